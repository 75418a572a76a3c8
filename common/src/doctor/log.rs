//! The audit log: as much of it as can be verified in the time that somebody waits.

use std::path::Path;

use super::{Examined, Findings, State, Subject};
use crate::{
    audit::{command::examine_shard, shard},
    keyfile,
    machine::{bytes_below, spoken_bytes},
    program::LOG_FOLDER,
    time::Timestamp,
};

/// The most bytes of a log that are read: some seconds' work. A longer one is for `log verify`.
const MOST_BYTES: u64 = 512 * 1024 * 1024;

/// Verifies the log with the program's own key, and says what a running program says of it. Gives the time of the last entry.
pub(super) fn verify(
    examined: &Examined,
    state: Option<&State>,
    findings: &mut Findings,
) -> Option<Timestamp> {
    if state.is_some_and(|state| !state.log_available) {
        findings.action(
            Subject::Log,
            "the running program can not write it",
            "see the program's messages and the disk; the program tries again by itself, and refuses everything until then",
        );
    }
    let logs = examined.data.join(LOG_FOLDER);
    let shards = match shard::every(&logs) {
        Ok(shards) if !shards.is_empty() => shards,
        Ok(_) | Err(_) if !logs.exists() => {
            findings.ok(Subject::Log, "there is none yet");
            return None;
        }
        Ok(_) => {
            findings.ok(Subject::Log, "no part of it has been begun");
            return None;
        }
        Err(error) => {
            let what = format!("`{}` can not be read: {error}", logs.display());
            findings.action(Subject::Log, what, "run the doctor as the program's user");
            return None;
        }
    };
    // An unreadable key is said by `check-config`.
    let key = keyfile::read_signing_key(&examined.log_key).ok()?.verifying_key();
    let mut last = None;
    let mut budget = MOST_BYTES;
    let mut n_entries = 0_u64;
    let mut left_out = 0_usize;
    // The newest first: what is left out is what was looked at in former years.
    for dir in shards.iter().rev() {
        let bytes = bytes_below(dir).unwrap_or(u64::MAX);
        let Some(rest) = budget.checked_sub(bytes) else {
            left_out += 1;
            continue;
        };
        budget = rest;
        match examine_shard(dir, key) {
            Ok(summary) => {
                n_entries = n_entries.saturating_add(summary.n_entries);
                last = last.max(summary.last_ts);
            }
            Err(what) => {
                findings.action(
                    Subject::Log,
                    format!("`{}`: {what}", dir.display()),
                    remedy(examined, dir),
                );
                return last;
            }
        }
    }
    if left_out > 0 {
        findings.note(
            Subject::Log,
            format!(
                "{left_out} shard(s) are not verified here: more than {} in all",
                spoken_bytes(MOST_BYTES)
            ),
            format!("run {} log verify {}", examined.program, logs.display()),
        );
    }
    findings.ok(Subject::Log, format!("{n_entries} entries verify with the program's own key"));
    last
}

fn remedy(examined: &Examined, dir: &Path) -> String {
    format!(
        "change nothing and keep a copy; run {} log verify {} for the place, and tell information governance. If keys.log is not the \
         key that the log was begun with, put that key back; after a restore, see log begin-shard",
        examined.program,
        dir.display()
    )
}
