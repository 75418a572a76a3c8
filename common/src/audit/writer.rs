//! The one writer of a log: entries in, frames on the disk. No threads here.
//!
//! It has two halves, so that one works while the other waits for the disk. A [`Composer`] gives entries their places, hashes and signs
//! them: all that needs no disk. The [`Writer`] writes and syncs what was composed, in order, and then has it in the tree. What was composed
//! behind a write that failed is of no use any more, and the writer takes none of it.

use std::{io, sync::Arc};

use super::{
    chain::{Chain, Origin, Terms},
    entry::{Body, Digest, MAX_ENTRY_BYTES, Place},
    frame::{self, Open},
    recover::{NotRecovered, Position, Recovered, recover},
    storage::Storage,
};
use crate::{
    keys::{Context, SigningKey},
    time::{SharedClock, Timestamp},
    tlog::{Hash, Tree, TreeReader},
};

/// The size at which the next segment begins, in bytes. One larger batch stays in one segment.
pub(crate) const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// What a writer needs besides a disk.
#[derive(Debug, Clone)]
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

/// Gives entries their places, behind each other, while the disk is busy with earlier ones.
#[derive(Debug)]
pub(crate) struct Composer {
    identity: Arc<Identity>,
    open: Write,
}

impl Composer {
    /// Takes in all of a group, or nothing of it. The number of its first entry.
    pub(crate) fn take(&mut self, group: &[Body]) -> Result<u64, Oversized> {
        self.open.take(group, &self.identity)
    }

    /// The entry that was taken in last, not signed yet: its number and canonical bytes. `None` when the next write has none.
    pub(crate) fn last(&self) -> Option<(u64, &[u8])> {
        let (json, _) = frame::split(frame::payload_of(&self.open.frames, self.open.last?))?;
        Some((self.open.next.seq.checked_sub(1)?, json))
    }

    /// How many entries the next write has so far.
    pub(crate) const fn n_entries(&self) -> usize {
        self.open.leaves.len()
    }

    /// Signs what was taken, and with it all of it: it is in the log together or not at all. `None` when nothing was taken.
    pub(crate) fn seal(&mut self) -> Option<Write> {
        self.open.sign(&self.identity)?;
        let mut next = Write::behind(self.open.end(), &self.identity);
        // The next write is about as long.
        next.frames.reserve(self.open.frames.len());
        Some(std::mem::replace(&mut self.open, next))
    }
}

/// The entries of one write, ready for the disk.
#[derive(Debug)]
pub(crate) struct Write {
    /// What it continues, and nothing else.
    behind: Chain,
    frames: Vec<u8>,
    leaves: Vec<Hash>,
    /// When the first entry was put here.
    began: Option<Timestamp>,
    /// The last frame.
    last: Option<Open>,
    /// The place behind it.
    next: Place,
}

impl Write {
    fn behind(behind: Chain, identity: &Identity) -> Self {
        let Chain { next_seq: seq, prev_hash } = behind;
        let (ts, node) = (Timestamp::UNIX_EPOCH, identity.origin.party().clone());
        let next = Place { seq, prev_hash, ts, node };
        Self { behind, frames: Vec::new(), leaves: Vec::new(), began: None, last: None, next }
    }

    const fn end(&self) -> Chain {
        Chain { next_seq: self.next.seq, prev_hash: self.next.prev_hash }
    }

    fn take(&mut self, group: &[Body], identity: &Identity) -> Result<u64, Oversized> {
        let (n_bytes, n_leaves, last, end) =
            (self.frames.len(), self.leaves.len(), self.last, self.end());
        for body in group {
            if let Err(oversized) = self.push(body, identity) {
                self.frames.truncate(n_bytes);
                self.began = self.began.filter(|_| n_leaves > 0);
                self.leaves.truncate(n_leaves);
                self.last = last;
                (self.next.seq, self.next.prev_hash) = (end.next_seq, end.prev_hash);
                return Err(oversized);
            }
        }
        Ok(end.next_seq)
    }

    fn push(&mut self, body: &Body, identity: &Identity) -> Result<(), Oversized> {
        self.next.ts = identity.clock.now();
        self.began.get_or_insert(self.next.ts);
        let frame = frame::open(&mut self.frames);
        self.next.write(&mut self.frames);
        self.frames.extend_from_slice(body.as_bytes());
        let json = frame::payload_of(&self.frames, frame);
        if json.len() > MAX_ENTRY_BYTES {
            return Err(Oversized { n_bytes: json.len() });
        }
        self.leaves.push(Hash::of_leaf(json));
        frame::leave_unsigned(&mut self.frames);
        self.close(frame);
        self.next.seq += 1;
        self.last = Some(frame);
        Ok(())
    }

    /// Ends a frame, and has the next one name it.
    fn close(&mut self, frame: Open) {
        frame::close(&mut self.frames, frame);
        self.next.prev_hash = Digest::of(frame::payload_of(&self.frames, frame));
    }

    fn sign(&mut self, identity: &Identity) -> Option<()> {
        let last = self.last?;
        let (json, _) = frame::split(frame::payload_of(&self.frames, last))?;
        let origin = identity.origin.as_str().as_bytes();
        let signature = identity.key.sign(Context::LogEntry, &[origin, json]);
        frame::put_signature(&mut self.frames, &signature);
        self.close(last);
        Some(())
    }
}

/// Writes entries; whether the disk may be trusted is its caller's business (see `log.rs`).
#[derive(Debug)]
pub(crate) struct Writer {
    identity: Arc<Identity>,
    storage: Box<dyn Storage>,
    /// INVARIANT: everything before it is durable, and nothing behind it was acknowledged.
    synced: Position,
    /// Over the same entries, neither more nor fewer.
    tree: Tree,
    /// When the first entry was written.
    began: Option<Timestamp>,
    /// Whether the last entry says that nothing follows it.
    is_closed: bool,
    /// Whether the disk has failed since it was read; nothing is written to it until it is read again.
    failed: bool,
}

impl Writer {
    /// Reads the log back and continues behind its last whole entry.
    pub(crate) fn open(
        identity: Identity,
        mut storage: Box<dyn Storage>,
    ) -> Result<(Self, u64), NotRecovered> {
        let Recovered { position: synced, tree, began, is_closed, n_cut_bytes } =
            recover(&mut *storage, &terms(&identity), None)?;
        let identity = Arc::new(identity);
        let failed = false;
        Ok((Self { identity, storage, synced, tree, began, is_closed, failed }, n_cut_bytes))
    }

    /// After an error: reads the log back and cuts it to what was acknowledged.
    pub(crate) fn reopen(&mut self) -> Result<(), NotRecovered> {
        let terms = terms(&self.identity);
        let recovered = recover(&mut *self.storage, &terms, Some(&self.synced))?;
        (self.synced, self.tree) = (recovered.position, recovered.tree);
        (self.began, self.is_closed) = (recovered.began, recovered.is_closed);
        self.failed = false;
        Ok(())
    }

    /// The tree over everything that was acknowledged.
    ///
    /// # Errors
    /// When its hashes can not be written or read; [`Writer::reopen`] makes them anew.
    pub(crate) fn tree(&mut self) -> io::Result<TreeReader> {
        self.tree.reader()
    }

    /// Composes what comes behind everything that is synced. Of two composers, the writer takes only what one has composed.
    pub(crate) fn composer(&self) -> Composer {
        let open = Write::behind(self.end(), &self.identity);
        Composer { identity: Arc::clone(&self.identity), open }
    }

    /// When the first entry was written; `None` while there is none.
    pub(crate) const fn began(&self) -> Option<Timestamp> {
        self.began
    }

    /// Whether the last entry says that nothing follows it.
    pub(crate) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Writes and syncs the last entry: nothing follows it.
    ///
    /// # Errors
    /// As [`Writer::commit`].
    pub(crate) fn close(&mut self, body: Body) -> io::Result<()> {
        self.record(&[body])?;
        self.is_closed = true;
        Ok(())
    }

    /// Composes, writes and syncs one group of entries. The number of its first.
    ///
    /// # Errors
    /// As [`Writer::commit`], and when an entry is too long.
    pub(crate) fn record(&mut self, group: &[Body]) -> io::Result<u64> {
        let mut composer = self.composer();
        let oversized = |_| io::Error::other("an entry is too long");
        let first = composer.take(group).map_err(oversized)?;
        composer.seal().map_or(Ok(first), |write| self.commit(write).map(|()| first))
    }

    const fn end(&self) -> Chain {
        Chain { next_seq: self.synced.next_seq, prev_hash: self.synced.prev_hash }
    }

    /// Writes and syncs what was composed. Durable, and in the tree, when it returns `Ok`.
    ///
    /// # Errors
    /// When the disk failed, now or before, or the write does not continue what is synced: none of it counts, and
    /// [`Writer::reopen`] comes next.
    pub(crate) fn commit(&mut self, write: Write) -> io::Result<()> {
        if self.failed || self.is_closed || write.behind != self.end() {
            self.failed = true;
            return Err(io::Error::other("a write behind one that failed"));
        }
        // Until it is known to have gone well.
        self.failed = true;
        let (segment, segment_bytes) = self.write(&write.frames)?;
        let Chain { next_seq, prev_hash } = write.end();
        // Order matters: the tree, and with it every checkpoint, holds only what is synced.
        write.leaves.into_iter().try_for_each(|leaf| self.tree.push(leaf))?;
        self.synced = Position { next_seq, prev_hash, segment, segment_bytes };
        self.began = self.began.or(write.began);
        self.failed = false;
        Ok(())
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

#[cfg(test)]
impl Writer {
    /// What must never be done: what comes behind a write that failed is written as if it had not.
    pub(crate) fn commit_carelessly(&mut self, write: Write) -> io::Result<()> {
        let (end, n_bytes) = (write.end(), write.frames.len() as u64);
        let done = self.commit(write);
        if done.is_err() {
            (self.synced.next_seq, self.synced.prev_hash) = (end.next_seq, end.prev_hash);
            self.synced.segment_bytes += n_bytes;
            self.failed = false;
        }
        done
    }
}

fn terms(identity: &Identity) -> Terms {
    Terms::new(identity.origin.clone(), identity.key.verifying_key())
}
