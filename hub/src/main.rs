//! The `hub` program.

use std::{io::Write as _, process::ExitCode};

use brag_hub::{
    agreement_command::Exit,
    cli::{self, Cli},
};
use clap::Parser as _;

fn main() -> ExitCode {
    let code = cli::run(&Cli::parse(), &mut std::io::stdout().lock()).unwrap_or_else(|error| {
        // Nowhere to report a broken standard error.
        let _ = writeln!(std::io::stderr(), "hub: {error:#}");
        Exit::Failed.code()
    });
    ExitCode::from(code)
}
