//! What the system knows of a process: processor time and memory, from `/proc`.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::{
    param::clock_ticks_per_second,
    process::{Pid, Signal, kill_process},
};
use serde::Serialize;

use crate::processes::{Ended, Programs};

/// How often a process is looked at. What it reaches between the last look and its end is not seen.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Processor seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Cpu {
    /// In the program.
    pub user: f64,
    /// In the system on its behalf.
    pub system: f64,
}

impl Cpu {
    /// Both.
    #[must_use]
    pub fn total(self) -> f64 {
        self.user + self.system
    }

    /// What came on top of an earlier look.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// The most that was ever resident.
    pub peak: u64,
}

/// A program that was run to its end.
#[derive(Debug)]
pub struct Measured {
    pub ended: Ended,
    pub wall_seconds: f64,
    pub cpu: Cpu,
    pub peak_bytes: u64,
}

/// Runs a program to its end and measures it. `between` is called again and again while it runs; the time it gives back
/// does not count.
pub async fn run(
    programs: &Programs,
    name: &str,
    args: &[&str],
    mut between: impl AsyncFnMut(u32) -> anyhow::Result<Duration>,
) -> anyhow::Result<Measured> {
    let began = Instant::now();
    let (mut last_cpu, mut peak_bytes, mut paused) = (Cpu::default(), 0, Duration::ZERO);
    let looked = programs.run_watched(name, "agency-node", args, async |id| {
        let (cpu, is_over) = cpu(id)?;
        last_cpu = cpu;
        if is_over {
            return Ok(false);
        }
        // It may end between the two looks.
        peak_bytes = memory(id).map_or(peak_bytes, |memory| memory.peak.max(peak_bytes));
        paused += between(id).await?;
        tokio::time::sleep(LOOK_EVERY).await;
        Ok(true)
    });
    let ended = looked.await?;
    let wall_seconds = began.elapsed().saturating_sub(paused).as_secs_f64();
    Ok(Measured { ended, wall_seconds, cpu: last_cpu, peak_bytes })
}

/// Processor time of a process, and whether it has ended and only its parent has not looked yet.
pub fn cpu(id: u32) -> anyhow::Result<(Cpu, bool)> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).context("the process is gone")?;
    // The name stands in brackets and may hold anything.
    let (_, rest) = text.rsplit_once(')').context("no name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    #[expect(clippy::cast_precision_loss, reason = "ticks of a process are few")]
    let seconds = |place: usize| -> anyhow::Result<f64> {
        let ticks: u64 = fields.get(place).context("too few fields")?.parse()?;
        Ok(ticks as f64 / clock_ticks_per_second() as f64)
    };
    // Fields 14 and 15 of proc_pid_stat(5); the state, field 3, is the first behind the name.
    let cpu = Cpu { user: seconds(11)?, system: seconds(12)? };
    Ok((cpu, matches!(fields.first(), Some(&("Z" | "X")))))
}

/// Memory of a process that runs.
pub fn memory(id: u32) -> anyhow::Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{id}/status"))?;
    let bytes = |name: &str| -> anyhow::Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    };
    Ok(Memory { resident: bytes("VmRSS:")?, peak: bytes("VmHWM:")? })
}

/// Forgets the most memory that this process has had: from now on it counts anew (proc_pid_clear_refs(5)).
pub fn reset_peak() -> anyhow::Result<()> {
    Ok(fs::write("/proc/self/clear_refs", "5")?)
}

/// Processes that stand still until this is dropped.
#[derive(Debug)]
pub struct Paused(Vec<Pid>);

impl Paused {
    pub fn new(ids: &[u32]) -> Self {
        let ids = ids.iter().filter_map(|id| Pid::from_raw(i32::try_from(*id).ok()?));
        Self(ids.inspect(|id| _ = kill_process(*id, Signal::STOP)).collect())
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        for id in &self.0 {
            // It may have been killed meanwhile.
            let _ = kill_process(*id, Signal::CONT);
        }
    }
}
