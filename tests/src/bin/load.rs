//! The load benchmark: the exchange and its parts, measured, and compared with a floor taken in the same run.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use brag_tests::{
    load::{attacks, day, log, matching},
    player::Narrator,
};
use clap::{Args, Parser, Subcommand};
use serde::Serialize;
use tempfile::TempDir;

/// Measures the exchange at full size, and compares it with a floor taken in the same run.
///
/// Works on this machine with invented people, and prints ratios first. It never judges: the targets, and what came of them, are in docs/performance.md. Build with --release, or the figures mean nothing.
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
    /// The audit log: appends by many writers beside a bare loop of group commit, and `log verify`
    ///
    /// A million entries take about 1.5 GB on the disk. Turns are short; take more runs on a machine that is shared.
    Log(LogArgs),
    /// Lists, agendas and a restart of the hub with a day's enquiries, at fourteen agencies
    ///
    /// Every enquiry is about people of its own. Five hundred of four take some six minutes of two cores.
    Day(DayArgs),
    /// How long a well-behaved caller waits for the hub while another peer attacks its limits
    ///
    /// Quiet and attack take turns; the attacker is a process of lowest priority, and still uses the cores that the hub uses.
    Attacks(AttacksArgs),
    /// The attacker of `attacks`
    #[command(hide = true)]
    Attacker(AttackerArgs),
}

#[derive(Debug, Args)]
struct AttacksArgs {
    /// How long a turn is
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    seconds: f64,
    /// Turns of each attack, with as many of quiet
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: usize,
    /// Milliseconds from one call of the caller to its next
    #[arg(long, value_name = "MS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    every: u16,
    /// Only this attack; may be given several times [default: all]
    #[arg(long, value_name = "ATTACK")]
    only: Vec<attacks::Attack>,
    /// Keep all data in a new folder in this one [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    below: Option<PathBuf>,
    /// Print one JSON document on standard output and nothing else there
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct AttackerArgs {
    /// What to do
    #[arg(long)]
    attack: attacks::Attack,
    /// To whom
    #[arg(long)]
    address: SocketAddr,
    /// Where the certificate is
    #[arg(long)]
    folder: PathBuf,
    /// How long
    #[arg(long)]
    seconds: f64,
}

#[derive(Debug, Args)]
struct LogArgs {
    /// Entries of the log that is verified
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    entries: u64,
    /// Callers, each of whom waits for its entry before it comes with the next
    #[arg(long, value_name = "N", default_value_t = 64)]
    writers: usize,
    /// How long a turn is
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    seconds: f64,
    /// Turns of each, the bare loop and the log
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: usize,
    /// Keep all data in a new folder in this one, on the disk that is meant [default: the system's folder for temporary
    /// files]
    #[arg(long, value_name = "DIR")]
    below: Option<PathBuf>,
    /// Print one JSON document on standard output and nothing else there
    #[arg(long)]
    json: bool,
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

#[derive(Debug, Args)]
struct DayArgs {
    /// Enquiries
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..))]
    enquiries: u16,
    /// People in each enquiry
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=24))]
    people: u8,
    /// Calls of each kind
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    samples: u16,
    /// Keep all data in a new folder in this one [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    below: Option<PathBuf>,
    /// Print one JSON document on standard output and nothing else there
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Load::parse().what {
        What::Matching(args) => matching(&args).await,
        What::Log(args) => log(&args).await,
        What::Day(args) => day(&args).await,
        What::Attacks(args) => attacks(&args).await,
        What::Attacker(args) => attacker(&args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn matching(args: &MatchingArgs) -> anyhow::Result<()> {
    let folder = new_folder(args.below.as_deref())?;
    let options = matching::Options {
        folder: folder.path().to_owned(),
        n_people: args.people,
        n_evaluated: args.evaluate.unwrap_or(args.people).max(1),
        n_screens: args.screens,
    };
    let report = matching::run(&options, &Narrator::default()).await?;
    print(&report, args.json, matching::text)
}

async fn log(args: &LogArgs) -> anyhow::Result<()> {
    let folder = new_folder(args.below.as_deref())?;
    let options = log::Options {
        folder: folder.path().to_owned(),
        n_entries: args.entries,
        n_writers: args.writers.max(1),
        turn: Duration::try_from_secs_f64(args.seconds)?,
        n_runs: args.runs.max(1),
    };
    let report = log::run(&options, &Narrator::default()).await?;
    print(&report, args.json, log::text)
}

async fn day(args: &DayArgs) -> anyhow::Result<()> {
    let folder = new_folder(args.below.as_deref())?;
    let options = day::Options {
        folder: folder.path().to_owned(),
        n_enquiries: args.enquiries.into(),
        n_people: args.people.into(),
        n_samples: args.samples.into(),
    };
    let report = day::run(&options, &Narrator::default()).await?;
    print(&report, args.json, day::text)
}

async fn attacks(args: &AttacksArgs) -> anyhow::Result<()> {
    let folder = new_folder(args.below.as_deref())?;
    let options = attacks::Options {
        folder: folder.path().to_owned(),
        turn: Duration::try_from_secs_f64(args.seconds)?,
        n_runs: args.runs.max(1),
        every: Duration::from_millis(args.every.into()),
        attacks: args.only.clone(),
    };
    let report = attacks::run(&options, &Narrator::default()).await?;
    print(&report, args.json, attacks::text)
}

async fn attacker(args: &AttackerArgs) -> anyhow::Result<()> {
    let within = Duration::try_from_secs_f64(args.seconds)?;
    let n = attacks::attack(args.attack, args.address, &args.folder, within).await?;
    Ok(writeln!(std::io::stdout(), "{}", serde_json::json!({ "n": n }))?)
}

fn new_folder(below: Option<&Path>) -> std::io::Result<TempDir> {
    let below = below.map_or_else(std::env::temp_dir, Path::to_owned);
    tempfile::Builder::new().prefix("brag-load-").tempdir_in(below)
}

fn print<R: Serialize>(report: &R, json: bool, text: fn(&R) -> String) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout();
    if json {
        serde_json::to_writer_pretty(&mut stdout, report)?;
        writeln!(stdout)?;
    } else {
        write!(stdout, "{}", text(report))?;
    }
    Ok(stdout.flush()?)
}
