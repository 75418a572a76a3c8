//! The load benchmark: real processes on loopback, measured, and compared with a floor taken in the same run.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use brag_tests::{
    load::matching::{self, Options},
    player::Narrator,
};
use clap::{Args, Parser, Subcommand};

/// Measures the exchange at full size, and compares it with a floor taken in the same run.
///
/// Starts real processes on this machine with invented people, and prints ratios first. It never judges: the targets,
/// and what came of them, are in docs/performance.md. Build with --release, or the figures mean nothing.
#[derive(Debug, Parser)]
#[command(name = "load", version)]
struct Load {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Import, enrolment, index, start, memory and screening, at three agencies
    ///
    /// The largest knows all people, the others a tenth and a hundredth of them. A million take about an hour of
    /// two cores, and 5 GB on the disk.
    Matching(MatchingArgs),
}

#[derive(Debug, Args)]
struct MatchingArgs {
    /// People whom the largest agency knows
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    people: usize,
    /// Have the hub evaluate the keys of so many people at each agency, and make up the tokens of the others [default:
    /// everybody's]
    #[arg(long, value_name = "N")]
    evaluate: Option<usize>,
    /// Screenings that hit, and as many that miss, at each agency
    #[arg(long, value_name = "N", default_value_t = 500)]
    screens: usize,
    /// Keep all data in a new folder in this one [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    below: Option<PathBuf>,
    /// Print one JSON document on standard output and nothing else there
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Load { what: What::Matching(args) } = Load::parse();
    match matching(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn matching(args: &MatchingArgs) -> anyhow::Result<()> {
    let below = args.below.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::Builder::new().prefix("brag-load-").tempdir_in(below)?;
    let options = Options {
        folder: folder.path().to_owned(),
        n_people: args.people,
        n_evaluated: args.evaluate.unwrap_or(args.people).max(1),
        n_screens: args.screens,
    };
    let report = matching::run(&options, &Narrator::default()).await?;
    let mut stdout = std::io::stdout();
    if args.json {
        serde_json::to_writer_pretty(&mut stdout, &report)?;
        writeln!(stdout)?;
    } else {
        write!(stdout, "{}", matching::text(&report))?;
    }
    Ok(stdout.flush()?)
}
