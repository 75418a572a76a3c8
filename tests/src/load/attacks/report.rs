//! What was measured, as one document and as text: ratios first.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;

use super::{Attack, Options};
use crate::load::{Machine, Sample};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// Turns of each attack.
    pub n_runs: usize,
    /// Length of a turn.
    pub turn_seconds: f64,
    /// What the caller met beside each attack.
    pub attacks: Vec<Attacked>,
}

/// What the caller met in one turn; milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Turn {
    /// From when a call was due to its answer.
    pub waits: Sample,
    /// Its own new connection, with the handshake.
    pub connect_milliseconds: f64,
    /// Calls that were not answered.
    pub n_failed: usize,
}

/// One attack, and quiet before each of its turns.
#[derive(Debug, Serialize)]
pub struct Attacked {
    /// Which.
    pub attack: Attack,
    /// The caller's p99 beside it, to that in quiet: each turn to the quiet one before it, the median.
    pub p99_ratio: f64,
    /// The same of the median.
    pub p50_ratio: f64,
    /// In quiet, medians over the turns.
    pub quiet: Medians,
    /// Beside the attack.
    pub attacked: Medians,
    /// Calls of the caller that were not answered, of all turns.
    pub n_failed: usize,
    /// What the attacker did each second, the median.
    pub per_second: f64,
    /// The most that the hub had resident after a turn.
    pub resident_bytes: u64,
    #[serde(skip)]
    turns: Vec<(Turn, Turn, f64)>,
}

/// Medians over turns; milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Medians {
    /// Of the medians.
    pub p50: f64,
    /// Of the p99s.
    pub p99: f64,
    /// Of the longest.
    pub max: f64,
    /// Of new connections.
    pub connect: f64,
}

impl Medians {
    fn of(turns: &[Turn]) -> Self {
        let median = |of: fn(&Turn) -> f64| Sample::of(turns.iter().map(of).collect()).p50;
        Self {
            p50: median(|turn| turn.waits.p50),
            p99: median(|turn| turn.waits.p99),
            max: median(|turn| turn.waits.max),
            connect: median(|turn| turn.connect_milliseconds),
        }
    }
}

impl Attacked {
    pub(super) fn new(attack: Attack) -> Self {
        let (quiet, attacked) = (Medians::default(), Medians::default());
        Self {
            attack,
            p99_ratio: 0.0,
            p50_ratio: 0.0,
            quiet,
            attacked,
            n_failed: 0,
            per_second: 0.0,
            resident_bytes: 0,
            turns: Vec::new(),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
    pub(super) fn add(&mut self, quiet: Turn, attacked: Turn, n_done: u64, turn: Duration) {
        // The attacker has a second more.
        let per_second = n_done as f64 / (turn.as_secs_f64() + 1.0);
        self.turns.push((quiet, attacked, per_second));
    }

    fn finish(&mut self) {
        let quiet: Vec<Turn> = self.turns.iter().map(|turn| turn.0).collect();
        let attacked: Vec<Turn> = self.turns.iter().map(|turn| turn.1).collect();
        let median = |of: &dyn Fn(&(Turn, Turn, f64)) -> f64| {
            Sample::of(self.turns.iter().map(of).collect()).p50
        };
        self.p99_ratio = median(&|(quiet, attacked, _)| attacked.waits.p99 / quiet.waits.p99);
        self.p50_ratio = median(&|(quiet, attacked, _)| attacked.waits.p50 / quiet.waits.p50);
        self.per_second = median(&|(_, _, per_second)| *per_second);
        self.quiet = Medians::of(&quiet);
        self.n_failed = attacked.iter().map(|turn| turn.n_failed).sum();
        self.attacked = Medians::of(&attacked);
    }
}

impl Report {
    pub(super) fn of(mut attacks: Vec<Attacked>, options: &Options) -> anyhow::Result<Self> {
        attacks.iter_mut().for_each(Attacked::finish);
        Ok(Self {
            machine: Machine::this()?,
            n_runs: options.n_runs,
            turn_seconds: options.turn.as_secs_f64(),
            attacks,
        })
    }
}

/// The report for a person.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a text can not fail.
    let _ = write_text(report, &mut out);
    out
}

fn write_text(report: &Report, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "{:<13} {:>7} {:>7} | {:>22} | {:>22} | {:>8} {:>6}",
        "attack", "p99", "p50", "quiet p50/p99/max ms", "attacked p50/p99/max", "connect", "failed"
    )?;
    for of in &report.attacks {
        let three = |of: &Medians| format!("{:.1} / {:.1} / {:.1}", of.p50, of.p99, of.max);
        writeln!(
            out,
            "{:<13} {:>6.2}x {:>6.2}x | {:>22} | {:>22} | {:>8.1} {:>6}   {:.0} {} a second, hub {} MB",
            of.attack.word(),
            of.p99_ratio,
            of.p50_ratio,
            three(&of.quiet),
            three(&of.attacked),
            of.attacked.connect,
            of.n_failed,
            of.per_second,
            of.attack.unit(),
            of.resident_bytes / 1_000_000,
        )?;
    }
    writeln!(
        out,
        "{} turns of {:.1} s of each, quiet before each attack\n{}",
        report.n_runs,
        report.turn_seconds,
        report.machine.text()
    )
}
