//! The `agency-node` program.

use std::{io::Write as _, process::ExitCode};

use brag_agency_node::cli::{self, Cli, Exit};
use clap::Parser as _;

fn main() -> ExitCode {
    let exit = cli::run(Cli::parse(), &mut std::io::stdout().lock()).unwrap_or_else(|error| {
        // Nowhere to report a broken standard error.
        let _ = writeln!(std::io::stderr(), "agency-node: {error:#}");
        Exit::Failed
    });
    ExitCode::from(exit.code())
}
