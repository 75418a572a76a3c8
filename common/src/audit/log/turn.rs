//! One shard of a log after the other, and the turn from one to the next.
//!
//! At the first moment between two writes of a new year (UTC) the shard is closed by an entry and a checkpoint over all of it, and the
//! next is begun: its first entry names how many entries there are before it, the former root, and that checkpoint. Callers who come
//! meanwhile wait; nobody is refused. A program that was down then does it soon after its start.
//!
//! A shard is not closed before witnesses have cosigned it since it was opened. Otherwise a log that was put back from a copy could begin
//! a new shard, of which nobody remembers anything, before anybody had been asked about the old one.
//!
//! Crash at any moment: before the closing entry is durable, the old shard goes on and is turned later. Behind it, nothing follows
//! in the old shard, and what is missing of the turn is made up when the log is opened.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;

use super::OpenLogError;
use crate::{
    audit::{
        chain::Origin,
        checkpoints::Checkpoints,
        entry::{Action, Body, Entry, EntryDraft},
        recover::NotRecovered,
        shard,
        storage::{FileStorage, Storage},
        verify::entries,
        writer::{Identity, Writer},
    },
    time::Timestamp,
    tlog::{
        Checkpoint, CheckpointNote, NoteKey, TreeHead, TreeReader, checkpoint::CheckpointError,
    },
};

/// One shard of the log, as those see it who do not write it.
#[derive(Debug)]
pub(in crate::audit) struct Shard {
    pub(super) dir: PathBuf,
    pub(super) origin: Origin,
    pub(super) public: NoteKey,
    /// How many entries stand in the shards that it continues.
    pub(super) base: u64,
    pub(super) tree: Arc<ArcSwap<TreeReader>>,
    pub(super) checkpoints: Checkpoints,
    /// Whether witnesses have cosigned it since it was opened.
    pub(super) is_witnessed: AtomicBool,
    /// The shard that continues it. Shards that were opened stay: others hold checkpoints of them.
    next: OnceLock<Box<Self>>,
}

impl Shard {
    /// The one that is written.
    pub(super) fn newest(&self) -> &Self {
        self.all().last().unwrap_or(self)
    }

    /// It, and those that continue it, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |shard| shard.next.get().map(Box::as_ref))
    }

    pub(super) fn sign(
        &self,
        head: TreeHead,
        key: &crate::keys::SigningKey,
    ) -> Result<CheckpointNote, CheckpointError> {
        Checkpoint { origin: self.origin.as_str().into(), head }.sign(&self.public, key)
    }
}

/// How shards are opened.
#[derive(Debug)]
pub(in crate::audit) struct Opening {
    /// The folder of the shards.
    pub(super) logs: PathBuf,
    /// Its origin is that of the first shard that is opened.
    pub(super) identity: Identity,
    pub(super) test_env: bool,
    pub(super) years: Years,
    #[cfg(any(test, feature = "test-util"))]
    pub(super) faults: Option<crate::audit::storage::FaultSwitch>,
}

/// Whether each year has a shard of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audit) enum Years {
    /// The shard goes on until a person begins another.
    OneShard,
    /// The next shard begins with the year (UTC).
    ShardEach,
}

impl Opening {
    /// Opens one shard, and makes it when there is none.
    pub(super) fn open(&self, origin: Origin) -> Result<(Writer, Shard), OpenLogError> {
        let dir = self.logs.join(origin.shard());
        let public = origin.key(self.identity.key.verifying_key());
        let files = FileStorage::open(&dir, &origin, public.key())?;
        #[cfg(any(test, feature = "test-util"))]
        let storage: Box<dyn Storage> = match self.faults.clone() {
            Some(switch) => Box::new(crate::audit::storage::Faulty { disk: files, switch }),
            None => Box::new(files),
        };
        #[cfg(not(any(test, feature = "test-util")))]
        let storage: Box<dyn Storage> = Box::new(files);

        let identity = Identity { origin: origin.clone(), ..self.identity.clone() };
        let (mut writer, n_cut_bytes) =
            Writer::open(identity, storage).map_err(|error| match error {
                NotRecovered::Io(source) => OpenLogError::Io { path: dir.clone(), source },
                NotRecovered::Damaged(fault) => OpenLogError::Damaged { path: dir.clone(), fault },
            })?;
        if n_cut_bytes > 0 {
            tracing::warn!(%origin, n_cut_bytes, "cut a write of the audit log that never finished");
        }
        let failed = |source| OpenLogError::Io { path: dir.clone(), source };
        let tree = writer.tree().map_err(failed)?;
        let checkpoints =
            Checkpoints::open(&dir, &public, &tree).map_err(failed)?.map_err(|contradiction| {
                OpenLogError::Contradicted { path: dir.clone(), contradiction }
            })?;
        let base = shard::base(&dir).map_err(failed)?;
        let tree = Arc::new(ArcSwap::from_pointee(tree));
        let (is_witnessed, next) = (AtomicBool::new(false), OnceLock::new());
        Ok((writer, Shard { dir, origin, public, base, tree, checkpoints, is_witnessed, next }))
    }

    /// Whether a shard is to be closed, or has been and nothing follows it yet.
    pub(super) fn is_due(&self, writer: &Writer, shard: &Shard) -> bool {
        let year = |at: Timestamp| at.to_zoned(jiff::tz::TimeZone::UTC).year();
        let now = self.identity.clock.now();
        let is_past = writer.began().is_some_and(|began| year(began) < year(now));
        let may = self.years == Years::ShardEach && shard.is_witnessed.load(Ordering::Relaxed);
        writer.is_closed() || may && is_past && shard::number_after(&shard.dir).is_ok()
    }

    /// The shard before an empty one, when the turn between the two was cut off.
    pub(super) fn cut_off(&self, empty: &Shard) -> Result<Option<Origin>, OpenLogError> {
        let io = |source| OpenLogError::Io { path: empty.dir.clone(), source };
        let Some(former) = shard::former(&empty.dir).map_err(io)? else { return Ok(None) };
        let is_next = shard::number_after(&former)
            .is_ok_and(|number| *number.to_string() == *empty.origin.shard());
        let name = former.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // A log that is damaged was not closed; a person has begun the next shard.
        let last = entries(&former).ok().and_then(|all| all.last());
        let is_closed = |last: &Entry| last.action == Action::ShardClosed;
        let was_cut_off = is_next && last.is_some_and(|last| last.as_ref().is_ok_and(is_closed));
        let origin = empty.origin.with_shard(name).map_err(io::Error::other).map_err(io)?;
        Ok(was_cut_off.then_some(origin))
    }

    /// Closes the shard, if it is not yet, and begins the one that continues it.
    ///
    /// # Errors
    /// When the disk fails. The old shard is then as it was, or closed; the turn can be tried again.
    pub(super) fn turn(
        &self,
        writer: &mut Writer,
        from: &Shard,
    ) -> Result<(Writer, Shard), OpenLogError> {
        let io = |source| OpenLogError::Io { path: from.dir.clone(), source };
        let number = shard::number_after(&from.dir).map_err(io)?;
        if !writer.is_closed() {
            let mut closing = EntryDraft::new(Action::ShardClosed);
            closing.count = Some(number.into());
            writer.close(Body::of(closing, self.test_env)).map_err(io)?;
        }
        let tree = writer.tree().map_err(io)?;
        let head = tree.head();
        from.tree.store(Arc::new(tree));
        // Order matters: what the next shard names is durable before it.
        let note = from.sign(head, &self.identity.key).map_err(io::Error::other).map_err(io)?;
        from.checkpoints.keep(&note).map_err(io)?;

        let origin = from.origin.with_shard(&number.to_string());
        let (mut next, mut shard) = self.open(origin.map_err(io::Error::other).map_err(io)?)?;
        if next.began().is_none() {
            let first = shard::continuing(from.base, head, &note);
            let failed = |source| OpenLogError::Io { path: shard.dir.clone(), source };
            next.record(&[Body::of(first, self.test_env)]).map_err(failed)?;
            shard.tree.store(Arc::new(next.tree().map_err(failed)?));
            shard.base = from.base.saturating_add(head.size);
        }
        tracing::info!(from = %from.origin, to = %shard.origin, "a new shard of the audit log was begun");
        Ok((next, shard))
    }

    /// Has a shard that is written be followed by another, for everybody who holds the log.
    pub(super) fn follow(from: &Shard, next: Shard) {
        // There is one thread that writes, so there is one next shard.
        let _ = from.next.set(Box::new(next));
    }
}

#[cfg(test)]
mod tests;
