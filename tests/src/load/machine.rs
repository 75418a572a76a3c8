//! The machine that was measured on.

use std::fs;

use serde::Serialize;

/// The machine.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Cores that may be used.
    pub n_cores: usize,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Name and version of the kernel.
    pub kernel: String,
    /// Whether the programs were built with optimisation.
    pub optimised: bool,
    /// Processes that wanted a core, on average over the last minute of the run; more than there are cores: it was shared.
    pub load_average: f64,
}

impl Machine {
    pub(crate) fn this() -> anyhow::Result<Self> {
        let line = |file: &str, name: &str| -> anyhow::Result<String> {
            let text = fs::read_to_string(file)?;
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            Ok(line.split_once(':').unwrap_or_default().1.trim().to_owned())
        };
        let kib = line("/proc/meminfo", "MemTotal")?;
        let load = fs::read_to_string("/proc/loadavg")?;
        Ok(Self {
            processor: line("/proc/cpuinfo", "model name")?,
            n_cores: std::thread::available_parallelism()?.get(),
            memory_bytes: kib.trim_end_matches(" kB").parse::<u64>()? * 1024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            optimised: !cfg!(debug_assertions),
            load_average: load.split(' ').next().unwrap_or_default().parse()?,
        })
    }

    /// One line about it.
    pub(super) fn text(&self) -> String {
        format!(
            "{}, {} cores, {} MB, Linux {}; load average {:.1}{}",
            self.processor,
            self.n_cores,
            self.memory_bytes / 1_000_000,
            self.kernel,
            self.load_average,
            if self.optimised { "" } else { "; NOT OPTIMISED, figures mean nothing" }
        )
    }
}
