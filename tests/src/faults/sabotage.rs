//! Spoiling what is found at the end of a run that kept every promise, so that each check can be seen to fail on a real run.

use std::{fs, io::Write as _};

use anyhow::Context as _;
use brag_common::{audit::entry::Action, program::LOG_SHARD, time::SignedDuration};
use clap::ValueEnum;

use super::{
    checks::Promise,
    evidence::Evidence,
    stage::{HOLDER, HUB, RECIPIENT, Stage},
};

/// What is spoilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sabotage {
    /// The last third of the recipient's log is cut off, on the disk.
    Log,
    /// An acknowledged enquiry is not in the hub's store.
    Lost,
    /// The holder's entries of sealed detail are missing.
    Unrecorded,
    /// A node has answered the same request twice.
    Twice,
    /// A node has answered twenty minutes late.
    Stale,
    /// Detail stands in what a program printed, on the disk.
    Leak,
    /// The bound of memory is a megabyte.
    Memory,
}

impl Sabotage {
    /// The promise whose check has to find it.
    #[must_use]
    pub const fn breaks(self) -> Promise {
        match self {
            Self::Log => Promise::LogsAgree,
            Self::Lost => Promise::NothingLost,
            Self::Unrecorded => Promise::ReleasedOnRecord,
            Self::Twice => Promise::AnsweredOnce,
            Self::Stale => Promise::NothingStale,
            Self::Leak => Promise::NothingLeaks,
            Self::Memory => Promise::MemoryBounded,
        }
    }

    /// Spoils files of programs that have stopped.
    ///
    /// # Errors
    /// When a file can not be read or written.
    pub fn on_disk(self, stage: &Stage) -> anyhow::Result<()> {
        match self {
            Self::Log => {
                let dir = stage.unit(RECIPIENT)?.folder().join("data/log").join(LOG_SHARD);
                let segments = fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?.into_iter();
                let mut segments: Vec<_> = segments
                    .map(|item| item.path())
                    .filter(|p| p.extension().is_some_and(|e| e == "seg"))
                    .collect();
                segments.sort();
                let newest = segments.last().context("the log has no segment")?;
                let n_bytes = fs::metadata(newest)?.len();
                fs::File::options().write(true).open(newest)?.set_len(n_bytes / 3 * 2)?;
            }
            Self::Leak => {
                let path = stage.captured.join(format!("{HUB}.stderr"));
                let mut file = fs::File::options().append(true).open(path)?;
                writeln!(file, "{}", super::stage::marker("C33", 7))?;
            }
            Self::Lost | Self::Unrecorded | Self::Twice | Self::Stale | Self::Memory => {}
        }
        Ok(())
    }

    /// Spoils what was found.
    pub fn on(self, found: &mut Evidence) {
        let answered =
            |action: Action| matches!(action, Action::RateAnswered | Action::ScreenAnswered);
        match self {
            Self::Lost => _ = found.shown.pop_first(),
            Self::Unrecorded => {
                if let Some(log) = found.logs.get_mut(HOLDER) {
                    log.retain(|entry| entry.action != Action::DetailSealed);
                }
            }
            Self::Twice => {
                if let Some(log) = found.logs.get_mut(RECIPIENT) {
                    let again = log.iter().find(|entry| answered(entry.action)).cloned();
                    log.extend(again);
                }
            }
            Self::Stale => {
                // The first ones: before any clock was turned.
                if let Some(log) = found.logs.get_mut(RECIPIENT)
                    && let Some(entry) = log.iter_mut().find(|entry| answered(entry.action))
                {
                    entry.ts += SignedDuration::from_mins(20);
                }
                found.turned.clear();
            }
            Self::Log | Self::Leak | Self::Memory => {}
        }
    }
}
