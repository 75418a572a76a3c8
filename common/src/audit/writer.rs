//! The one writer of a log: entries in, frames on the disk, positions out. No threads here.

use std::{io, sync::Arc};

use super::{
    chain::{Chain, Origin},
    entry::{Digest, Entry, EntryDraft, MAX_ENTRY_BYTES, Place},
    frame,
    recover::{NotRecovered, Position, Recovered, recover},
    storage::Storage,
};
use crate::{
    keys::{Context, SigningKey},
    time::SharedClock,
    tlog::{Hash, Tree, TreeReader},
};

/// The size at which the next segment begins, in bytes. One larger batch stays in one segment.
pub(crate) const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// What a writer needs besides a disk.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) origin: Origin,
    pub(crate) key: Arc<SigningKey>,
    pub(crate) clock: SharedClock,
    pub(crate) test_env: bool,
    pub(crate) segment_bytes: u64,
}

/// An entry above [`MAX_ENTRY_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Oversized {
    pub(crate) n_bytes: usize,
}

/// Writes entries; whether the disk may be trusted is its caller's business (see `log.rs`).
#[derive(Debug)]
pub(crate) struct Writer {
    identity: Identity,
    storage: Box<dyn Storage>,
    /// INVARIANT: everything before it is durable, and nothing behind it was acknowledged.
    synced: Position,
    /// Over the same entries, neither more nor fewer.
    tree: Tree,
}

impl Writer {
    /// Reads the log back and continues behind its last whole entry.
    pub(crate) fn open(
        identity: Identity,
        mut storage: Box<dyn Storage>,
    ) -> Result<(Self, u64), NotRecovered> {
        let Recovered { position, tree, n_cut_bytes } =
            recover(&mut *storage, &start(&identity), None)?;
        Ok((Self { identity, storage, synced: position, tree }, n_cut_bytes))
    }

    /// After an error: reads the log back and cuts it to what was acknowledged.
    pub(crate) fn reopen(&mut self) -> Result<(), NotRecovered> {
        let start = start(&self.identity);
        let recovered = recover(&mut *self.storage, &start, Some(&self.synced))?;
        (self.synced, self.tree) = (recovered.position, recovered.tree);
        Ok(())
    }

    /// The tree over everything that was acknowledged.
    ///
    /// # Errors
    /// When its hashes can not be written or read; [`Writer::reopen`] makes them anew.
    pub(crate) fn tree(&mut self) -> io::Result<TreeReader> {
        self.tree.reader()
    }

    /// Writes and syncs groups of entries, in order. For each group, the number of its first entry;
    /// a group with an oversized entry is left out whole.
    ///
    /// # Errors
    /// When the disk failed: no entry of any group counts, and [`Writer::reopen`] comes next.
    pub(crate) fn commit(
        &mut self,
        groups: Vec<Vec<EntryDraft>>,
    ) -> io::Result<Vec<Result<u64, Oversized>>> {
        let mut next_seq = self.synced.next_seq;
        let mut prev_hash = self.synced.prev_hash;
        let mut frames = Vec::new();
        let mut leaves = Vec::new();
        let mut outcomes = Vec::with_capacity(groups.len());
        for group in groups {
            let before = (next_seq, prev_hash, frames.len(), leaves.len());
            let outcome = group.into_iter().try_for_each(|draft| {
                let (hash, leaf) = self.frame(next_seq, prev_hash, draft, &mut frames)?;
                prev_hash = hash;
                leaves.push(leaf);
                next_seq += 1;
                Ok(())
            });
            if outcome.is_err() {
                (next_seq, prev_hash) = (before.0, before.1);
                frames.truncate(before.2);
                leaves.truncate(before.3);
            }
            outcomes.push(outcome.map(|()| before.0));
        }
        if !frames.is_empty() {
            let (segment, segment_bytes) = self.write(&frames)?;
            // Order matters: the tree, and with it every checkpoint, holds only what is synced.
            leaves.into_iter().try_for_each(|leaf| self.tree.push(leaf))?;
            self.synced = Position { next_seq, prev_hash, segment, segment_bytes };
        }
        Ok(outcomes)
    }

    fn frame(
        &self,
        seq: u64,
        prev_hash: Digest,
        draft: EntryDraft,
        frames: &mut Vec<u8>,
    ) -> Result<(Digest, Hash), Oversized> {
        let Identity { origin, key, clock, test_env, .. } = &self.identity;
        let place = Place {
            seq,
            prev_hash,
            ts: clock.now(),
            node: origin.party().clone(),
            test_env: *test_env,
        };
        let json = Entry::at(place, draft).encode();
        if json.len() > MAX_ENTRY_BYTES {
            return Err(Oversized { n_bytes: json.len() });
        }
        let signature = key.sign(Context::LogEntry, &[origin.as_str().as_bytes(), &json]);
        let payload = frame::payload(&json, &signature);
        frame::append(frames, &payload);
        Ok((Digest::of(&payload), Hash::of_leaf(&json)))
    }

    /// The segment written to and its length afterwards. Durable when it returns `Ok`.
    fn write(&mut self, frames: &[u8]) -> io::Result<(u64, u64)> {
        let n_bytes = frames.len() as u64;
        let Position { next_seq, mut segment, mut segment_bytes, .. } = self.synced;
        if segment_bytes > 0 && segment_bytes + n_bytes > self.identity.segment_bytes {
            // Order matters: the file is synced before the directory that names it.
            self.storage.create(next_seq)?;
            self.storage.sync()?;
            self.storage.sync_dir()?;
            (segment, segment_bytes) = (next_seq, 0);
        }
        self.storage.append(frames)?;
        self.storage.sync()?;
        Ok((segment, segment_bytes + n_bytes))
    }
}

fn start(identity: &Identity) -> Chain {
    Chain::start(identity.origin.clone(), identity.key.verifying_key())
}
