//! The commands of the `hub` program, and how they end.

use std::io::Write;

use brag_common::audit::command::{self as log_command, LogCommand};
use clap::Parser;

use crate::{
    agreement_command::{self, AgreementCommand, Exit},
    serve_command::{self, ServeArgs},
};

/// The BRAG exchange's hub: opens enquiries, asks every agency, keeps the matrix, and relays what it can
/// not read.
///
/// Exit codes: 0 done, 1 failed, 2 not a valid command, 3 refused by the agreement or a rule, 4 a signature
/// or the log does not verify.
#[derive(Debug, Parser)]
#[command(name = "hub", version, max_term_width = 100)]
pub enum Cli {
    /// Serve nodes and co-ordinators until SIGINT or SIGTERM
    ///
    /// Messages go to standard error. On a signal no new calls are taken, those under way may finish, and
    /// the program exits with 0.
    ///
    /// Example: hub serve --config /etc/brag/hub.toml
    #[command(verbatim_doc_comment)]
    Serve(ServeArgs),
    /// Check, sign or try out an information sharing agreement; needs no running hub
    #[command(subcommand)]
    Agreement(AgreementCommand),
    /// Verify or show the audit log; needs no running hub
    ///
    /// Example: hub log verify data/log --key-file hub-log.pub
    #[command(subcommand, verbatim_doc_comment)]
    Log(LogCommand),
}

/// Runs a command to its end.
///
/// # Errors
/// When it fails; the error says what and where.
pub fn run(cli: &Cli, stdout: &mut dyn Write) -> anyhow::Result<u8> {
    let exit = match cli {
        Cli::Serve(args) => {
            runtime()?.block_on(serve_command::run(args))?;
            Exit::Done
        }
        Cli::Agreement(command) => agreement_command::run(command, stdout)?,
        Cli::Log(command) => return log_command::run(command, stdout),
    };
    Ok(exit.code())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
