//! The audit log: how many entries a second it acknowledges to many writers, and how long a log of a million takes to verify.
//!
//! The floor is group commit and nothing else (`bare`) on the same disk. The two take turns of a few seconds, so that
//! whatever else the machine does weighs on both. Then the log is filled up and verified by the code of `log verify`.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use brag_common::{
    audit::{
        AuditLog, FaultSwitch, LogOptions, Origin,
        command::{self, LogCommand, VerifyArgs},
        entries,
    },
    keys::SigningKey,
    time::SystemClock,
};
use serde_json::Value;

use super::process;
use crate::player::Narrator;

mod bare;
mod entry;
mod report;

pub use report::{Appends, Ratios, Report, Verified, text};

/// Callers that fill the log up, and how many entries each records in a call.
const FILLERS: u64 = 4;
const FILL_AT_ONCE: u64 = 256;

/// What to measure.
#[derive(Debug)]
pub struct Options {
    /// The folder of all data; empty, and on the disk that is meant.
    pub folder: PathBuf,
    /// Entries of the log that is verified; more when the writers came further.
    pub n_entries: u64,
    /// Callers that wait for their entry before they come with the next.
    pub n_writers: usize,
    /// How long a turn is.
    pub turn: Duration,
    /// Turns of each.
    pub n_runs: usize,
}

/// What came of one turn.
struct Turn {
    n_appends: usize,
    n_syncs: u64,
    wall_seconds: f64,
    milliseconds: Vec<f64>,
}

impl Turn {
    #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
    fn per_second(&self) -> f64 {
        self.n_appends as f64 / self.wall_seconds
    }
}

/// Measures.
///
/// # Errors
/// When the disk fails, or a figure can not be read.
pub async fn run(options: &Options, narrator: &Narrator) -> anyhow::Result<Report> {
    let switch = FaultSwitch::default();
    let log = open(&options.folder, &switch)?;
    let draft = entry::release_decided()?;
    log.record(draft.clone()).await?;
    let frame: std::sync::Arc<[u8]> =
        std::fs::read(log.dir().join(format!("{:020}.seg", 0)))?.into();
    let bare = bare::Log::start(&options.folder.join("bare"))?;

    let work = narrator.begin("Appending, by turns", options.n_runs * 2);
    let (mut floors, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..options.n_runs {
        let (before, appender, frame) = (bare.n_syncs(), bare.appender(), frame.clone());
        let append = move || {
            let (appender, frame) = (appender.clone(), frame.clone());
            async move { appender.append(frame).await }
        };
        let mut turn = take_turn(options, append).await?;
        turn.n_syncs = bare.n_syncs() - before;
        floors.push(turn);
        work.step();
        let (before, log, draft) = (switch.n_syncs(), log.clone(), draft.clone());
        let append = move || {
            let (log, draft) = (log.clone(), draft.clone());
            async move { Ok(log.record(draft).await.map(drop)?) }
        };
        let mut turn = take_turn(options, append).await?;
        turn.n_syncs = switch.n_syncs() - before;
        ours.push(turn);
        work.step();
    }
    work.done();

    let work = narrator.begin(&format!("Filling up to {} entries", options.n_entries), 1);
    fill(&log, options.n_entries).await?;
    work.done();
    let work = narrator.begin("Verifying", 3);
    let dir = log.dir().to_owned();
    let policy = options.folder.join("policy");
    std::fs::write(&policy, format!("log {}\nquorum none\n", log.note_key()))?;
    log.keep_checkpoint(&log.sign(&log.tree())?)?;
    drop(log);
    let chain = verify(&dir, None, false).await?;
    work.step();
    let complete = verify(&dir, Some(&policy), false).await?;
    work.step();
    let every_signature = verify(&dir, None, true).await?;
    work.done();
    let first = entries(&dir)?.next().context("an empty log")??;
    let entry_bytes = first.encode().len();
    Report::of(options.n_writers, entry_bytes, [floors, ours], [chain, complete, every_signature])
}

fn open(folder: &Path, switch: &FaultSwitch) -> anyhow::Result<AuditLog> {
    let origin: Origin = "exampleshire/CSC/1".parse()?;
    let clock = std::sync::Arc::new(SystemClock);
    let options = LogOptions::new(folder.join("log"), origin, SigningKey::generate()?, clock);
    Ok(AuditLog::open(options.faults(switch.clone()))?)
}

/// Has every writer append, one entry after the other, until the turn is over.
async fn take_turn<A, F>(options: &Options, append: A) -> anyhow::Result<Turn>
where
    A: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let began = Instant::now();
    let until = began + options.turn;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..options.n_writers {
        writers.spawn(writer(until, append.clone()));
    }
    let mut milliseconds = Vec::new();
    while let Some(done) = writers.join_next().await {
        milliseconds.append(&mut done??);
    }
    let n_appends = milliseconds.len();
    Ok(Turn { n_appends, n_syncs: 0, wall_seconds: began.elapsed().as_secs_f64(), milliseconds })
}

/// How long each append took, in milliseconds.
async fn writer<F: Future<Output = anyhow::Result<()>>>(
    until: Instant,
    append: impl Fn() -> F,
) -> anyhow::Result<Vec<f64>> {
    let mut milliseconds = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        append().await?;
        milliseconds.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(milliseconds)
}

/// Records until there are so many entries.
async fn fill(log: &AuditLog, n_entries: u64) -> anyhow::Result<()> {
    let draft = entry::release_decided()?;
    while log.tree().head().size < n_entries {
        let left = n_entries - log.tree().head().size;
        let at_once = FILL_AT_ONCE.min(left.div_ceil(FILLERS));
        let calls = (0..FILLERS).map(|n| {
            let n_now = at_once.min(left.saturating_sub(n * at_once));
            log.record_all((0..n_now).map(|_| draft.clone()).collect())
        });
        futures::future::try_join_all(calls).await?;
    }
    Ok(())
}

/// Runs `log verify` in this process.
async fn verify(
    dir: &Path,
    policy: Option<&Path>,
    every_signature: bool,
) -> anyhow::Result<Verified> {
    let args = VerifyArgs {
        dir: dir.to_owned(),
        policy: policy.map(Path::to_owned),
        witness: Vec::new(),
        complete: policy.is_some(),
        key: None,
        key_file: None,
        origin: None,
        every_signature,
        json: true,
    };
    let own = std::process::id();
    process::reset_peak()?;
    let resident_before = process::memory(own)?.resident;
    let (cpu_before, _) = process::cpu(own)?;
    let began = Instant::now();
    let ran = tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        command::run(&LogCommand::Verify(args), &mut out).map(|_| out)
    });
    let document: Value = serde_json::from_slice(&ran.await??)?;
    let wall_seconds = began.elapsed().as_secs_f64();
    let (cpu_after, _) = process::cpu(own)?;
    let n_entries = document["n_entries"].as_u64();
    anyhow::ensure!(document["status"] == "ok", "the log is not in order: {document}");
    Ok(Verified {
        n_entries: n_entries.context("no summary")?,
        wall_seconds,
        cpu: cpu_after.since(cpu_before),
        resident_before,
        peak_bytes: process::memory(own)?.peak,
    })
}
