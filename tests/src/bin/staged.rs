//! `staged`: runs a command of `agency-node` or `hub` on a stage.
//!
//! It is the same command line and the same code as the programs'. What differs is what they are given: the clock is
//! the stage's, the disk under the log can be told to be full, and a log that failed is looked at again within a fifth
//! of a second.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use brag_common::program::Surroundings;
use brag_tests::staging;
use clap::Parser;

/// Runs a command of `agency-node` or `hub` on a stage, for the demo and for tests. Never for real use.
#[derive(Debug, Parser)]
#[command(name = "staged", version)]
struct Staged {
    /// The folder of the stage
    #[arg(long, value_name = "DIR")]
    stage: PathBuf,
    /// What this process is called on stage, for example CSC
    #[arg(long, value_name = "NAME")]
    name: String,
    /// `agency-node` or `hub`, and its command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<String>,
}

fn main() -> ExitCode {
    let Staged { stage, name, command } = Staged::parse();
    match staging::surroundings(&stage, &name).and_then(|around| run(around, &command)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // Nowhere to report a broken standard error.
            let program = command.first().map(Path::new).unwrap_or(Path::new("staged"));
            let _ = writeln!(std::io::stderr(), "{}: {error:#}", program.display());
            ExitCode::FAILURE
        }
    }
}

fn run(around: Surroundings, command: &[String]) -> anyhow::Result<u8> {
    let mut stdout = std::io::stdout().lock();
    match command.first().map(String::as_str) {
        Some("agency-node") => {
            let cli = brag_agency_node::cli::Cli::parse_from(command);
            Ok(brag_agency_node::cli::run_in(cli, around, &mut stdout)?.code())
        }
        Some("hub") => {
            brag_hub::cli::run_in(&brag_hub::cli::Cli::parse_from(command), around, &mut stdout)
        }
        _ => anyhow::bail!("the command begins with `agency-node` or `hub`"),
    }
}
