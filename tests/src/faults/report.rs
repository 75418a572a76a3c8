//! What came of a run, for people and for programs.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use serde::Serialize;

use super::checks::{Seen, Violation};
use crate::load::Machine;

/// Violations of one round.
#[derive(Debug, Clone, Serialize)]
pub struct Broken {
    /// The round, from 1.
    pub round: u64,
    /// What was violated.
    pub violations: Vec<Violation>,
}

/// What came of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Whether every promise was kept.
    pub ok: bool,
    /// From which the faults follow.
    pub seed: u64,
    /// Rounds.
    pub rounds: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The machine.
    pub machine: Machine,
    /// Faults that were made, by kind.
    pub faults: BTreeMap<String, u64>,
    /// What came of them: connections that were ended, syncs that failed, readings of a wrong clock, and the like.
    pub effects: BTreeMap<String, u64>,
    /// Faults that this machine does not allow, and why.
    pub skipped: BTreeMap<String, u64>,
    /// Acts that people tried, and of these those that gave no acknowledgement.
    pub tried: u64,
    /// Acts without an acknowledgement.
    pub unanswered: u64,
    /// Acknowledged things, by kind.
    pub acknowledged: BTreeMap<String, u64>,
    /// What the last check saw.
    pub seen: Seen,
    /// Exchanges that both logs were compared on, in the end.
    pub exchanges: u64,
    /// Of these, those on one side only for a reason that is in order.
    pub explained: u64,
    /// Entries of all logs in the end.
    pub entries: u64,
    /// Old requests that were sent again and refused, by code.
    pub replays_refused: BTreeMap<String, u64>,
    /// Programs that had to be started anew after everything was healed, since their store had failed.
    pub restarts_after_a_failed_store: u64,
    /// The most memory of any process of each program, in bytes.
    pub memory: BTreeMap<String, u64>,
    /// The bound of it.
    pub memory_bound: u64,
    /// Files that were looked through for what may not be there.
    pub files_swept: u64,
    /// Promises that were not kept.
    pub broken: Vec<Broken>,
    /// Where everything is kept; absent: nowhere.
    pub kept: Option<PathBuf>,
}

/// The report in words.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut said = String::new();
    let list = |counts: &BTreeMap<String, u64>| {
        let words: Vec<String> =
            counts.iter().map(|(what, n)| format!("{} {n}", what.replace('_', " "))).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    };
    let mut line = |what: &str, value: String| {
        // Writing to memory can not fail.
        let _ = writeln!(said, "{what:<16} {value}");
    };
    line("seed", report.seed.to_string());
    line("rounds", format!("{} in {:.0} s", report.rounds, report.seconds));
    line("faults", list(&report.faults));
    line("effects", list(&report.effects));
    line("skipped", list(&report.skipped));
    line("tried", format!("{}, of these without an answer {}", report.tried, report.unanswered));
    line("acknowledged", list(&report.acknowledged));
    line("found again", report.seen.found_again.to_string());
    line("releases", format!("{} with entries on both sides", report.seen.releases));
    line(
        "recorded again",
        format!("{} entries, each with its effect once", report.seen.recorded_again),
    );
    line(
        "lives",
        format!(
            "{} requests within theirs, {} unclear",
            report.seen.lives, report.seen.lives_unclear
        ),
    );
    line("replays", list(&report.replays_refused));
    line(
        "logs",
        format!(
            "{} entries, {} exchanges compared, {} of them explained",
            report.entries, report.exchanges, report.explained
        ),
    );
    line("restarts", format!("{} after a failed store", report.restarts_after_a_failed_store));
    let mib: BTreeMap<String, u64> =
        report.memory.iter().map(|(name, n)| (name.clone(), n >> 20)).collect();
    line("memory (MiB)", format!("{}; bound {}", list(&mib), report.memory_bound >> 20));
    line("swept", format!("{} files", report.files_swept));
    for broken in &report.broken {
        for violation in &broken.violations {
            line("VIOLATION", format!("round {}: {violation}", broken.round));
        }
    }
    if let Some(kept) = &report.kept {
        line("kept in", kept.display().to_string());
    }
    line(
        "result",
        if report.ok { "every promise was kept" } else { "NOT every promise was kept" }.to_owned(),
    );
    said
}
