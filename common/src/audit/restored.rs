//! A log that was put back from a backup: how far it goes, and what is said about it where it goes on.
//!
//! What others have seen of a log can not be unsaid, so a log that was put back does not go on under its name: a new shard is begun. The file
//! `restored` in its folder says what the backup held; the shard's second entry, `log_restored`, says the same, signed. How much more
//! a party had seen of the old shard it says when it is asked, once the program runs: `restore_gap`, one entry for each party. So the log itself
//! names what it has lost, and comparing both sides finds each exchange in it.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::{
    chain::Origin,
    entry::{Action, Digest, EntryDraft, Party},
    shard,
    verify::entries,
};
use crate::{
    durable::dirs,
    keys::VerifyingKey,
    tlog::{CheckpointNote, NoteKey},
};

/// The file's name, in the folder of the shard that was begun.
pub const RESTORED_FILE: &str = "restored";

/// What a backup held of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restored {
    /// SHA-256 of the backup, as it was recorded when it was made.
    pub backup: Digest,
    /// The name of the shard that it held last.
    pub origin: String,
    /// The key that verifies that shard, in base64.
    pub key: String,
    /// How many entries it held of it.
    pub entries: u64,
    /// The root of the tree over them.
    pub root: Digest,
    /// A checkpoint over them, signed by the log: with it others are asked what they have seen.
    pub checkpoint: String,
}

impl Restored {
    /// Keeps it in the folder of a shard, durably.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep(&self, dir: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        dirs::replace(&dir.join(RESTORED_FILE), &text, 0o600)
    }

    /// What the shard in `dir` was begun with; `None`: not after a backup was put back.
    ///
    /// # Errors
    /// When the file can not be read.
    pub fn read(dir: &Path) -> io::Result<Option<Self>> {
        match fs::read(dir.join(RESTORED_FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The entry that says it.
    #[must_use]
    pub fn entry(&self) -> EntryDraft {
        let mut draft = EntryDraft::new(Action::LogRestored);
        draft.count = Some(self.entries);
        draft.evidence = vec![self.root];
        draft.payload_digest = Some(self.backup);
        draft
    }

    /// The key of the old shard, and the checkpoint.
    #[must_use]
    pub fn shown(&self) -> Option<(NoteKey, CheckpointNote)> {
        let origin: Origin = self.origin.parse().ok()?;
        let key: VerifyingKey = self.key.parse().ok()?;
        let (key, note) =
            (origin.key(key), CheckpointNote::parse(self.checkpoint.as_bytes()).ok()?);
        note.signed_by(&key).ok()?;
        Some((key, note))
    }

    /// What a party has seen of the old shard, as an entry: its own last checkpoint of it, where there is one, which the log has signed.
    #[must_use]
    pub fn gap(&self, party: &Party, last: Option<&CheckpointNote>) -> EntryDraft {
        let mut draft = EntryDraft::new(Action::RestoreGap);
        draft.peer = Some(party.clone());
        let head = last.map(|note| note.checkpoint().head);
        draft.count = Some(head.map_or(0, |head| head.size.saturating_sub(self.entries)));
        draft.evidence =
            head.iter().map(|head| Digest::from_bytes(*head.root.as_bytes())).collect();
        draft.payload_digest =
            last.and_then(|note| note.to_bytes().ok()).map(|bytes| Digest::of(&bytes));
        draft
    }
}

/// The newest shard in the folder `logs` that was begun after a backup was put back, with the parties that have said there what they had seen.
///
/// # Errors
/// When the log can not be read.
pub fn newest(logs: &Path) -> io::Result<Option<(Restored, Vec<Party>)>> {
    let mut later = Vec::new();
    for dir in shard::every(logs)?.into_iter().rev() {
        let restored = Restored::read(&dir)?;
        later.push(dir);
        // Entries are read only where there is something to look for.
        let Some(restored) = restored else { continue };
        let mut said = Vec::new();
        for dir in later {
            let all = entries(&dir).map_err(io::Error::other)?.map_while(Result::ok);
            said.extend(all.filter(|e| e.action == Action::RestoreGap).filter_map(|e| e.peer));
        }
        return Ok(Some((restored, said)));
    }
    Ok(None)
}
