//! Hub and nodes under faults: whether they keep their promises when everything around them fails. See docs/faults.md.

use std::{io::Write as _, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use brag_common::secret::random_bytes;
use brag_tests::{
    faults::{self, Options, Sabotage, Until, disk},
    player::Narrator,
};
use clap::Parser;

/// Starts a hub and four nodes, lets enquiries flow through them, and kills, cuts, fills, fails and skews what is around them, at random
/// moments that follow from a seed. After every round everything is healed and the promises are checked.
///
/// As root each program's data lies on a small file system of its own, which is filled too.
#[derive(Debug, Parser)]
#[command(name = "faults", version)]
struct Faults {
    /// From which the faults and their moments follow [default: a random one, which is printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Go on for so many minutes, and to the end of the round
    #[arg(long, value_name = "N", default_value_t = 5.0, conflicts_with = "rounds")]
    minutes: f64,
    /// Go on for so many rounds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rounds: Option<u64>,
    /// The most memory that a process may have, in MiB
    #[arg(long, value_name = "N", default_value_t = 384)]
    memory: u64,
    /// Keep everything in this new folder [default: a folder that is removed when every promise was kept]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Print one JSON document on standard output and nothing else there
    #[arg(long)]
    json: bool,
    /// Spoil what is found in the end: the check has to find it, and this ends with 0 only then
    #[arg(long, value_enum, hide = true)]
    sabotage: Option<Sabotage>,
}

fn main() -> ExitCode {
    // Before there are threads: it starts this program anew.
    disk::own_mounts();
    let faults = Faults::parse();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(faults)));
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(faults: Faults) -> anyhow::Result<bool> {
    let Faults { seed, minutes, rounds, memory, keep, json, sabotage } = faults;
    let seed = match seed {
        Some(seed) => seed,
        None => u64::from(u32::from_le_bytes(
            random_bytes().context("the machine gives no randomness")?,
        )),
    };
    let folder = match &keep {
        Some(folder) => {
            std::fs::create_dir(folder)
                .with_context(|| format!("`{}` is not new", folder.display()))?;
            folder.clone()
        }
        None => tempfile::Builder::new().prefix("brag-faults-").tempdir()?.keep(),
    };
    let folder = folder.canonicalize()?;
    let narrator = Narrator::default();
    narrator.say(&format!("Seed {seed}, in {}", folder.display()));
    if !disk::can_mount() {
        narrator.say("Disks are not filled: that needs root and a mount namespace.");
    }
    let until = match rounds {
        Some(rounds) => Until::Rounds(rounds),
        None => Until::Time(Duration::try_from_secs_f64(minutes * 60.0)?),
    };
    let options =
        Options { folder: folder.clone(), seed, until, memory_bound: memory << 20, sabotage };
    let ran = faults::run(&options, &narrator).await;
    let stays = keep.is_some() || !ran.as_ref().is_ok_and(|report| report.ok || sabotage.is_some());
    let kept = if stays { Some(faults::disk::keep(&folder)?) } else { None };
    if !stays {
        faults::disk::remove(&folder)?;
    }
    let mut report = ran.with_context(|| format!("seed {seed}, files in {kept:?}"))?;
    report.kept = kept;
    let mut stdout = std::io::stdout();
    if json {
        serde_json::to_writer_pretty(&mut stdout, &report)?;
        writeln!(stdout)?;
    } else {
        write!(stdout, "{}", faults::text(&report))?;
    }
    stdout.flush()?;
    let found = report.broken.iter().flat_map(|broken| &broken.violations);
    Ok(match sabotage {
        Some(sabotage) => found.into_iter().any(|one| one.promise == sabotage.breaks()),
        None => report.ok,
    })
}
