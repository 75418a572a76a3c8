//! What `tests/crash-images/run` stops in the middle and looks at afterwards: a writer of an audit log or of a store that says what it was
//! told is durable, and a check that all of it is there.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, ensure};
use brag_common::{
    audit::{Action, AuditLog, EntryDraft, FaultSwitch, LogOptions, Origin, entries, verify_dir},
    durable::{Batch, Durable, Layout, Migration, Rewrite},
    keys::SigningKey,
    secret::SecretBytes,
    time::SystemClock,
};
use clap::{Parser, Subcommand, ValueEnum};

/// Writes until it is stopped, and checks what is found afterwards.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write until stopped; each number that is durable is printed on a line of its own
    Write {
        /// What to write
        kind: Kind,
        /// Where
        dir: PathBuf,
    },
    /// Check that everything is there whose number stands on standard input; prints how many
    Check {
        /// What was written
        kind: Kind,
        /// Where
        dir: PathBuf,
    },
    /// Fill a store with records of the first layout
    Fill {
        /// Where
        dir: PathBuf,
    },
    /// Bring that store up to its third layout; each thousand records that were looked at are a line
    Migrate {
        /// Where
        dir: PathBuf,
    },
    /// Check that each record was brought up, once; prints how many
    CheckMigrated {
        /// Where
        dir: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// An audit log
    Log,
    /// An audit log whose disk is not waited for: the check must find it out
    LogWithoutSync,
    /// A store
    Store,
}

/// Callers at a time, so that one sync is for several.
const N_WRITERS: u64 = 8;

/// The last numbers that were acknowledged are the ones in danger; a line that was cut off is nobody's.
const MAX_ACKNOWLEDGED: usize = 10_000_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Write { kind: Kind::Store, dir } => {
            tokio::task::spawn_blocking(move || write_store(&dir)).await?
        }
        Command::Write { kind, dir } => write_log(&dir, kind).await,
        Command::Check { kind, dir } => check(kind, &dir),
        Command::Fill { dir } => fill(&dir),
        Command::Migrate { dir } => migrate(&dir),
        Command::CheckMigrated { dir } => check_migrated(&dir),
    }
}

fn origin() -> anyhow::Result<Origin> {
    Ok("crash.example/CSC/1".parse()?)
}

fn log_key() -> anyhow::Result<SigningKey> {
    Ok(SigningKey::from_seed(SecretBytes::new([7; 32]))?)
}

/// Says that a number is durable. One write, so that no line is half of two.
fn acknowledge(number: u64) -> anyhow::Result<()> {
    std::io::stdout().lock().write_all(format!("{number}\n").as_bytes())?;
    Ok(())
}

async fn write_log(dir: &Path, kind: Kind) -> anyhow::Result<()> {
    let switch = FaultSwitch::default();
    if kind == Kind::LogWithoutSync {
        switch.skip_syncs();
    }
    let options = LogOptions::new(dir, origin()?, log_key()?, Arc::new(SystemClock)).faults(switch);
    let log = AuditLog::open(options)?;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..N_WRITERS {
        let log = log.clone();
        writers.spawn(async move {
            for number in (writer..).step_by(usize::try_from(N_WRITERS)?) {
                let mut draft = EntryDraft::new(Action::RateAnswered);
                draft.count = Some(number);
                log.record(draft).await?;
                acknowledge(number)?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended??;
    }
    Ok(())
}

fn open_store(dir: &Path) -> anyhow::Result<Durable> {
    Ok(Durable::open(dir, &SecretBytes::new([9; 32]), 16 * 1024 * 1024)?)
}

fn place(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

fn write_store(dir: &Path) -> anyhow::Result<()> {
    let store = open_store(dir)?;
    for number in 0.. {
        let mut batch = Batch::new();
        batch.put(place(number), format!("value {number}").as_bytes());
        store.commit(batch)?;
        acknowledge(number)?;
    }
    Ok(())
}

/// Records of the store that is migrated: many pieces of a migration.
const N_RECORDS: u32 = 6_000;

/// Two migrations, as a program has them.
const THIRD: Layout = Layout {
    version: 3,
    migrations: &[
        Migration { to: 2, what: "a is called b", rewrite: renamed },
        Migration { to: 3, what: "values are longer", rewrite: longer },
    ],
};

fn looked_at() {
    static N_SHOWN: AtomicU64 = AtomicU64::new(0);
    let n_shown = N_SHOWN.fetch_add(1, Ordering::Relaxed) + 1;
    if n_shown.is_multiple_of(1000) {
        // Nobody who reads it any more is no reason to stop.
        let _ = acknowledge(n_shown);
    }
}

fn renamed(place: &[u8], value: &[u8]) -> Rewrite {
    looked_at();
    match place.strip_prefix(b"a/") {
        Some(rest) => Rewrite::Put([b"b/", rest].concat(), value.to_vec()),
        None => Rewrite::Keep,
    }
}

fn longer(place: &[u8], value: &[u8]) -> Rewrite {
    looked_at();
    Rewrite::Put(place.to_vec(), [value, b" and more"].concat())
}

fn fill(dir: &Path) -> anyhow::Result<()> {
    let rows = (0..N_RECORDS).map(|n| (format!("a/{n:08}"), format!("value {n}")));
    open_store(dir)?.load(rows)?;
    Ok(())
}

fn migrate(dir: &Path) -> anyhow::Result<()> {
    Ok(open_store(dir)?.bring_up_to(&THIRD, dir)?)
}

fn check_migrated(dir: &Path) -> anyhow::Result<()> {
    let store = open_store(dir)?;
    for n in 0..N_RECORDS {
        let found = store.get(format!("b/{n:08}").as_bytes())?;
        let expected = format!("value {n} and more");
        ensure!(found.is_some_and(|found| *found == expected.as_bytes()), "record {n}");
    }
    let n_rows = store.keys(b"").count();
    ensure!(n_rows == N_RECORDS as usize, "there are {n_rows} records");
    ensure!(Layout::noted(dir)? == Some(THIRD.version), "the version is not noted");
    acknowledge(N_RECORDS.into())
}

fn check(kind: Kind, dir: &Path) -> anyhow::Result<()> {
    let mut acknowledged = Vec::new();
    for line in std::io::stdin().lock().lines().take(MAX_ACKNOWLEDGED) {
        // The writer was stopped within its last line, perhaps.
        let Ok(number) = line?.parse::<u64>() else { break };
        acknowledged.push(number);
    }
    match kind {
        Kind::Log | Kind::LogWithoutSync => {
            let options = LogOptions::new(dir, origin()?, log_key()?, Arc::new(SystemClock));
            let log = AuditLog::open(options).context("the log does not open")?;
            let mut found = BTreeSet::new();
            for entry in entries(log.dir())? {
                found.extend(entry?.count);
            }
            for number in &acknowledged {
                ensure!(found.contains(number), "{number} was acknowledged and is not in the log");
            }
            verify_dir(log.dir(), log.verifying_key(), log.origin())?;
        }
        Kind::Store => {
            let store = open_store(dir).context("the store does not open")?;
            for number in &acknowledged {
                let found = store.get(&place(*number))?;
                ensure!(found.is_some(), "{number} was acknowledged and is not in the store");
            }
        }
    }
    let n = acknowledged.len();
    std::io::stdout().lock().write_all(format!("{n}\n").as_bytes())?;
    Ok(())
}
