//! What one side holds of the other's word: receipts of entries, against the log in which they have to be.
//!
//! A log that shows neither the entry nor that there was an exchange agrees with itself. Whoever was given the receipt has the log's own
//! signature for the entry.

use std::{collections::HashMap, fs, io, path::PathBuf};

use serde::Serialize;

use super::seen::Log;
use crate::{
    audit::{
        Entry, Origin, shard,
        storage::{KEY_FILE, ORIGIN_FILE},
    },
    id::RequestId,
    keys::VerifyingKey,
    time::Timestamp,
    tlog::Hash,
    witness::receipt::{self, Receipt},
};

/// An entry that a log has promised, and does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Promised {
    /// The shard of the log.
    pub origin: String,
    /// The entry's number in it.
    pub seq: u64,
    /// The exchange.
    pub exchange: RequestId,
    /// The folder of the witness that holds the receipt.
    pub witness: PathBuf,
    /// The entry, where the receipt has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// The log says itself that it was put back from a backup which ended before that entry.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_gap: bool,
}

/// Which log, and which of its shards.
type Place = (u16, usize);

/// A shard of a log that takes part.
#[derive(Debug)]
struct OfLog {
    place: Place,
    dir: PathBuf,
    origin: Origin,
}

/// Receipts that are still to be found in their logs: by the place of the shard and the entry's number in it, the leaves and where they
/// came from.
#[derive(Debug, Default)]
pub(super) struct Promises {
    shards: Vec<OfLog>,
    wanted: HashMap<(Place, u64), Vec<(Hash, usize)>>,
}

impl Promises {
    /// The receipts in the folders of witnesses, of these logs.
    pub(super) fn read(logs: &[Log], witnesses: &[PathBuf]) -> io::Result<Self> {
        let mut promises = Self::default();
        if witnesses.is_empty() {
            return Ok(promises);
        }
        for (log, of_log) in (0..).zip(logs) {
            for (shard, dir) in shard::within(&of_log.dir)?.into_iter().enumerate() {
                let origin = fs::read_to_string(dir.join(ORIGIN_FILE))?;
                if let Ok(origin) = origin.trim().parse() {
                    promises.shards.push(OfLog { place: (log, shard), dir, origin });
                }
            }
        }
        for (folder, dir) in witnesses.iter().enumerate() {
            receipt::read(dir, &mut |receipt| {
                let Some(OfLog { place, .. }) = promises.shard_of(&receipt) else { return };
                let all = promises.wanted.entry((*place, receipt.proof.index)).or_default();
                if !all.iter().any(|(leaf, _)| *leaf == receipt.leaf) {
                    all.push((receipt.leaf, folder));
                }
            })?;
        }
        Ok(promises)
    }

    fn shard_of(&self, receipt: &Receipt) -> Option<&OfLog> {
        let origin = &receipt.proof.checkpoint.checkpoint().origin;
        self.shards.iter().find(|shard| shard.origin.as_str() == &**origin)
    }

    /// An entry is in its shard.
    pub(super) fn saw(&mut self, place: Place, entry: &Entry) {
        let key = (place, entry.seq);
        if let Some(promised) = self.wanted.get_mut(&key) {
            let leaf = Hash::of_leaf(&entry.encode());
            promised.retain(|(wanted, _)| *wanted != leaf);
            if promised.is_empty() {
                self.wanted.remove(&key);
            }
        }
    }

    /// What was not there, of entries before `to`, as far as the log has signed for it.
    pub(super) fn broken(
        self,
        witnesses: &[PathBuf],
        to: Option<Timestamp>,
    ) -> io::Result<Vec<Promised>> {
        let mut broken = Vec::new();
        if self.wanted.is_empty() {
            return Ok(broken);
        }
        for (folder, dir) in witnesses.iter().enumerate() {
            receipt::read(dir, &mut |receipt| {
                let Some(shard) = self.shard_of(&receipt) else { return };
                let missing = self.wanted.get(&(shard.place, receipt.proof.index));
                let is_missing = missing.is_some_and(|all| all.contains(&(receipt.leaf, folder)));
                let text =
                    receipt.entry.as_ref().map(|entry| String::from_utf8_lossy(entry).into_owned());
                let later = to.is_some_and(|to| {
                    let entry = receipt.entry.as_ref().and_then(|entry| Entry::decode(entry).ok());
                    entry.is_some_and(|entry| entry.ts >= to)
                });
                if is_missing && !later && shard.has_signed(&receipt) {
                    broken.push(Promised {
                        origin: shard.origin.to_string(),
                        seq: receipt.proof.index,
                        exchange: receipt.exchange.clone(),
                        witness: dir.clone(),
                        entry: text,
                        in_gap: false,
                    });
                }
            })?;
        }
        Ok(broken)
    }
}

impl OfLog {
    /// Whether the log has signed a checkpoint over the entry: what it has not signed nobody need have promised.
    fn has_signed(&self, receipt: &Receipt) -> bool {
        let key = fs::read_to_string(self.dir.join(KEY_FILE)).ok();
        let key = key.and_then(|key| key.trim().parse::<VerifyingKey>().ok());
        let note = &receipt.proof.checkpoint;
        let head = note.checkpoint().head;
        key.is_some_and(|key| note.signed_by(&self.origin.key(key)).is_ok())
            && head
                .check_inclusion(receipt.proof.index, receipt.leaf, &receipt.proof.hashes)
                .is_ok()
    }
}
