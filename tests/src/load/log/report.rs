//! What was measured, as one document and as text: ratios first.

use std::fmt::Write as _;

use serde::Serialize;

use super::Turn;
use crate::load::{Machine, Sample, process::Cpu};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// What the targets are about.
    pub ratios: Ratios,
    /// Callers at a time.
    pub n_writers: usize,
    /// Length of an entry's JSON.
    pub entry_bytes: usize,
    /// The bare loop of group commit.
    pub bare: Appends,
    /// The audit log.
    pub log: Appends,
    /// `log verify`: every link of the chain, and the signatures that vouch for all.
    pub verify: Verified,
    /// The same with a policy, which must accept a checkpoint over all entries.
    pub verify_complete: Verified,
    /// The same, and every signature by itself before.
    pub verify_every_signature: Verified,
}

/// Ours to what it is compared with.
#[derive(Debug, Serialize)]
pub struct Ratios {
    /// Median of acknowledged appends a second to that of the bare loop.
    pub appends: f64,
    /// Of each turn to the bare loop's turn just before it, the median.
    pub appends_by_turns: f64,
    /// Seconds to verify a million entries, by the processor's clock.
    pub verify_cpu_seconds: f64,
    /// The same, by the clock on the wall.
    pub verify_seconds: f64,
}

/// One side's appends.
#[derive(Debug, Serialize)]
pub struct Appends {
    /// Acknowledged appends a second, over the turns.
    pub per_second: Sample,
    /// From the call to its answer, over all appends of all turns.
    pub milliseconds: Sample,
    /// Appends for each sync.
    pub mean_batch: f64,
}

/// One check of a whole log.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// How many entries it has.
    pub n_entries: u64,
    /// From the call to its end.
    pub wall_seconds: f64,
    /// Of this process meanwhile.
    pub cpu: Cpu,
    /// Memory of this process before, which has measured other things.
    pub resident_before: u64,
    /// The most memory it had meanwhile.
    pub peak_bytes: u64,
}

impl Verified {
    fn per_million(&self, seconds: f64) -> f64 {
        seconds * 1e6 / count(self.n_entries.max(1))
    }
}

impl Appends {
    fn of(turns: Vec<Turn>) -> Self {
        let n_syncs: u64 = turns.iter().map(|turn| turn.n_syncs).sum();
        let n_appends: usize = turns.iter().map(|turn| turn.n_appends).sum();
        Self {
            per_second: Sample::of(turns.iter().map(Turn::per_second).collect()),
            mean_batch: count(n_appends as u64) / count(n_syncs.max(1)),
            milliseconds: Sample::of(turns.into_iter().flat_map(|t| t.milliseconds).collect()),
        }
    }
}

impl Report {
    pub(super) fn of(
        n_writers: usize,
        entry_bytes: usize,
        [bare, log]: [Vec<Turn>; 2],
        [verify, verify_complete, verify_every_signature]: [Verified; 3],
    ) -> anyhow::Result<Self> {
        let by_turns =
            bare.iter().zip(&log).map(|(bare, log)| log.per_second() / bare.per_second());
        let appends_by_turns = Sample::of(by_turns.collect()).p50;
        let (bare, log) = (Appends::of(bare), Appends::of(log));
        let ratios = Ratios {
            appends: log.per_second.p50 / bare.per_second.p50,
            appends_by_turns,
            verify_cpu_seconds: verify.per_million(verify.cpu.total()),
            verify_seconds: verify.per_million(verify.wall_seconds),
        };
        Ok(Self {
            machine: Machine::this()?,
            ratios,
            n_writers,
            entry_bytes,
            bare,
            log,
            verify,
            verify_complete,
            verify_every_signature,
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
    let Report { machine, ratios, n_writers, entry_bytes, bare, log, .. } = report;
    writeln!(out, "appends a second, to the bare loop of group commit:  {:.2}", ratios.appends)?;
    writeln!(
        out,
        "the same, each turn to the bare loop's before it:    {:.2}",
        ratios.appends_by_turns
    )?;
    writeln!(
        out,
        "a million entries verified: processor s, wall s:     {:.1}, {:.1}",
        ratios.verify_cpu_seconds, ratios.verify_seconds
    )?;
    writeln!(out, "\n{n_writers} writers, entries of {entry_bytes} bytes")?;
    writeln!(out, "{:<32} {:>14} {:>14}", "", "bare loop", "log")?;
    let mut line = |name: &str, figure: fn(&Appends) -> f64, places: usize| {
        writeln!(out, "{name:<32} {:>14.places$} {:>14.places$}", figure(bare), figure(log))
    };
    line("appends a second, median", |a| a.per_second.p50, 0)?;
    line("appends a second, most", |a| a.per_second.max, 0)?;
    line("appends for each sync, mean", |a| a.mean_batch, 1)?;
    line("an append: p50 ms", |a| a.milliseconds.p50, 2)?;
    line("an append: p99 ms", |a| a.milliseconds.p99, 2)?;
    line("an append: max ms", |a| a.milliseconds.max, 1)?;
    let verified = [
        ("chain", &report.verify),
        ("complete by policy", &report.verify_complete),
        ("every signature", &report.verify_every_signature),
    ];
    write!(out, "\n{:<32}", "verify")?;
    verified.iter().try_for_each(|(name, _)| write!(out, " {name:>18}"))?;
    let mut line = |name: &str, figure: &dyn Fn(&Verified) -> f64, places: usize| {
        write!(out, "\n{name:<32}")?;
        verified.iter().try_for_each(|(_, one)| write!(out, " {:>18.places$}", figure(one)))
    };
    line("entries", &|v| count(v.n_entries), 0)?;
    line("wall s", &|v| v.wall_seconds, 2)?;
    line("processor s", &|v| v.cpu.total(), 2)?;
    line("wall s for a million", &|v| v.per_million(v.wall_seconds), 2)?;
    line("processor s for a million", &|v| v.per_million(v.cpu.total()), 2)?;
    line("entries a second", &|v| count(v.n_entries) / v.wall_seconds, 0)?;
    line("memory before MB", &|v| count(v.resident_before) / 1e6, 1)?;
    line("peak memory MB", &|v| count(v.peak_bytes) / 1e6, 1)?;
    writeln!(out, "\n\n{}", machine.text())
}

#[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
fn count(n: u64) -> f64 {
    n as f64
}
