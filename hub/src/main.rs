//! The `hub` program.

use std::{io::Write as _, process::ExitCode};

use brag_hub::agreement_command::{self, AgreementCommand, Exit};
use clap::Parser;

/// The BRAG exchange's hub.
#[derive(Debug, Parser)]
#[command(name = "hub", version)]
enum Hub {
    /// Check, sign or try out an information sharing agreement.
    #[command(subcommand)]
    Agreement(AgreementCommand),
}

fn main() -> ExitCode {
    let Hub::Agreement(command) = Hub::parse();
    let exit = agreement_command::run(&command, &mut std::io::stdout().lock());
    let exit = exit.unwrap_or_else(|error| {
        // Nowhere to report a broken standard error.
        let _ = writeln!(std::io::stderr(), "hub: {error:#}");
        Exit::Failed
    });
    ExitCode::from(exit.code())
}
