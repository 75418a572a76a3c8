//! The one writer of a log: entries in, frames on the disk, positions out. No threads here.

use std::{io, sync::Arc};

use super::{
    chain::{Origin, Terms},
    entry::{Body, Digest, MAX_ENTRY_BYTES, Place},
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
            recover(&mut *storage, &terms(&identity), None)?;
        Ok((Self { identity, storage, synced: position, tree }, n_cut_bytes))
    }

    /// After an error: reads the log back and cuts it to what was acknowledged.
    pub(crate) fn reopen(&mut self) -> Result<(), NotRecovered> {
        let terms = terms(&self.identity);
        let recovered = recover(&mut *self.storage, &terms, Some(&self.synced))?;
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

    /// Writes and syncs groups of entries, in order, and signs the last. For each group, the number of its first entry; a group
    /// with an oversized entry is left out whole.
    ///
    /// # Errors
    /// When the disk failed: no entry of any group counts, and [`Writer::reopen`] comes next.
    pub(crate) fn commit(
        &mut self,
        groups: &[Vec<Body>],
    ) -> io::Result<Vec<Result<u64, Oversized>>> {
        let mut write = Write::behind(&self.synced, &self.identity);
        let outcomes = groups.iter().map(|group| write.take(group, &self.identity)).collect();
        write.sign(&self.identity);
        let frames = write.frames();
        if !frames.is_empty() {
            let (segment, segment_bytes) = self.write(&frames)?;
            // Order matters: the tree, and with it every checkpoint, holds only what is synced.
            write.leaves.into_iter().try_for_each(|leaf| self.tree.push(leaf))?;
            let Place { seq, prev_hash, .. } = write.next;
            self.synced = Position { next_seq: seq, prev_hash, segment, segment_bytes };
        }
        Ok(outcomes)
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

/// The entries of one write.
#[derive(Debug)]
struct Write {
    payloads: Vec<Vec<u8>>,
    leaves: Vec<Hash>,
    /// The place behind them.
    next: Place,
}

impl Write {
    fn behind(synced: &Position, identity: &Identity) -> Self {
        let Position { next_seq: seq, prev_hash, .. } = *synced;
        let next = Place {
            seq,
            prev_hash,
            ts: identity.clock.now(),
            node: identity.origin.party().clone(),
        };
        Self { payloads: Vec::new(), leaves: Vec::new(), next }
    }

    /// Takes in all of a group, or nothing of it. The number of its first entry.
    fn take(&mut self, group: &[Body], identity: &Identity) -> Result<u64, Oversized> {
        let (n_before, before) = (self.payloads.len(), self.next.clone());
        let taken = group.iter().try_for_each(|body| {
            self.next.ts = identity.clock.now();
            let json = body.at(&self.next);
            if json.len() > MAX_ENTRY_BYTES {
                return Err(Oversized { n_bytes: json.len() });
            }
            let payload = frame::payload(&json, &frame::NOT_SIGNED);
            self.next.seq += 1;
            self.next.prev_hash = Digest::of(&payload);
            self.leaves.push(Hash::of_leaf(&json));
            self.payloads.push(payload);
            Ok(())
        });
        let first = before.seq;
        if taken.is_err() {
            self.next = before;
            self.payloads.truncate(n_before);
            self.leaves.truncate(n_before);
        }
        taken.map(|()| first)
    }

    /// Signs the last entry, and with it all of them: they are in the log together or not at all.
    fn sign(&mut self, identity: &Identity) {
        let Some(last) = self.payloads.last_mut() else { return };
        // It was made here, so it has the form.
        let (json, _) = frame::split(last).unwrap_or_default();
        let origin = identity.origin.as_str().as_bytes();
        let signature = identity.key.sign(Context::LogEntry, &[origin, json]);
        *last = frame::payload(json, &signature);
        self.next.prev_hash = Digest::of(last);
    }

    fn frames(&self) -> Vec<u8> {
        let n_bytes = self.payloads.iter().map(|payload| frame::HEADER_BYTES + payload.len()).sum();
        let mut frames = Vec::with_capacity(n_bytes);
        self.payloads.iter().for_each(|payload| frame::append(&mut frames, payload));
        frames
    }
}

fn terms(identity: &Identity) -> Terms {
    Terms::new(identity.origin.clone(), identity.key.verifying_key())
}
