//! `AuditLog`: records, waits until it is durable, and only then gives the value back as
//! [`Recorded`].
//!
//! One thread writes. What is handed in while a sync runs goes with the next one (group commit), so 64
//! callers wait for about two syncs, not for 64; one signature vouches for all of it. Callers encode and hash what they want recorded
//! themselves, while the disk is busy, so that the thread has little to do between two syncs. After an error of write or sync every waiting and
//! later caller is told [`LogError::Unavailable`] at once, and the thread reads the disk again, with
//! growing pauses, until it can continue behind the last acknowledged entry.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, atomic::Ordering},
    time::Duration,
};

use tokio::sync::{Semaphore, oneshot, watch};
use tracing::Instrument as _;

use super::{
    chain::Origin,
    checkpoints::Contradiction,
    entry::{Body, EntryDraft},
    verify::Fault,
    writer::{Identity, SEGMENT_BYTES},
};
use crate::{
    keys::{SigningKey, VerifyingKey},
    telemetry::traces,
    time::SharedClock,
    tlog::{CheckpointNote, NoteKey, TreeReader},
};

pub(in crate::audit) mod desk;
mod noted;
pub(in crate::audit) mod thread;
pub(in crate::audit) mod turn;
use desk::{Job, Placed, Written};
pub use noted::{NotedEntry, also_noting, noting};
use thread::{BackOff, Turning, WriterThread};
use turn::{Opening, Shard, Years};

/// The most entries one call records.
pub const MAX_RECORDED_AT_ONCE: usize = 1024;

/// Callers that may wait at a time; the next ones wait for their turn to wait.
const MAX_WAITING: usize = 4096;

/// Something that must stand in the log before it has any effect.
pub trait Recordable {
    /// What the log says of it: references only, see [`EntryDraft`].
    fn entry(&self) -> EntryDraft;
}

impl Recordable for EntryDraft {
    fn entry(&self) -> EntryDraft {
        self.clone()
    }
}

impl<T: Recordable, E: Recordable> Recordable for Result<T, E> {
    fn entry(&self) -> EntryDraft {
        match self {
            Ok(value) => value.entry(),
            Err(value) => value.entry(),
        }
    }
}

/// A value whose entry is durable in the log. Only the log makes one.
///
/// ```compile_fail,E0451
/// use brag_common::audit::Recorded;
/// let forged = Recorded { value: "permit", seq: 0, base: 0 };
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Recorded<T> {
    value: T,
    seq: u64,
    base: u64,
}

impl<T> Recorded<T> {
    /// The number of its entry in its shard, as the entry says it; of no other shard.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The number of its entry through all shards that continue each other: what other entries and records name it by.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.base.saturating_add(self.seq)
    }

    /// The value.
    #[must_use]
    pub const fn get(&self) -> &T {
        &self.value
    }

    /// The value without the proof that it was recorded.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T, E> Recorded<Result<T, E>> {
    /// The permit or the refusal, each still with the proof: what was recorded was this very value.
    ///
    /// # Errors
    /// The recorded refusal, when that is what was recorded.
    pub fn transpose(self) -> Result<Recorded<T>, Recorded<E>> {
        let Self { value, seq, base } = self;
        match value {
            Ok(value) => Ok(Recorded { value, seq, base }),
            Err(value) => Err(Recorded { value, seq, base }),
        }
    }
}

/// Why something could not be recorded. Nothing that needs the record may happen then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The log can not be written at the moment; it mends itself when the disk does.
    ///
    /// The entry may stand in the log all the same, when the program ended between writing and
    /// syncing: an entry says that something was about to happen, never more.
    #[error("the audit log can not be written")]
    Unavailable,
    /// The entry is longer than [`MAX_ENTRY_BYTES`](super::entry::MAX_ENTRY_BYTES).
    #[error("the entry has {n_bytes} bytes, more than an entry may have")]
    TooLarge {
        /// Its length in bytes.
        n_bytes: usize,
    },
    /// More than [`MAX_RECORDED_AT_ONCE`] values in one call.
    #[error("{n_entries} entries are too many for one call")]
    TooMany {
        /// How many.
        n_entries: usize,
    },
}

impl LogError {
    /// A stable code for metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "log_unavailable",
            Self::TooLarge { .. } => "log_entry_too_large",
            Self::TooMany { .. } => "log_too_many_entries",
        }
    }
}

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenLogError {
    /// Another process writes this log.
    #[error("the audit log in `{}` is in use by another process; stop it first", path.display())]
    Locked {
        /// The log's directory.
        path: PathBuf,
    },
    /// The directory holds the log of another party, shard or key.
    #[error("`{}` names another log or key than the configuration", path.display())]
    AnotherLog {
        /// The file that differs.
        path: PathBuf,
    },
    /// The log is damaged; it is not touched. Keep it, and begin a new shard.
    #[error("the audit log in `{}` is damaged; keep it and begin a new shard", path.display())]
    Damaged {
        /// The log's directory.
        path: PathBuf,
        /// Where and how.
        #[source]
        fault: Fault,
    },
    /// The log is not what it has signed that it was. It is not touched.
    #[error(
        "the audit log in `{}` is not what it was; keep it as it is, and begin a new shard",
        path.display()
    )]
    Contradicted {
        /// The log's directory.
        path: PathBuf,
        /// What shows it.
        #[source]
        contradiction: Contradiction,
    },
    /// The disk failed.
    #[error("can not open the audit log at `{}`", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// Which log to open, and how.
#[derive(Debug)]
pub struct LogOptions {
    opening: Opening,
    back_off: BackOff,
}

impl LogOptions {
    /// The log of `origin`, in the directory `<dir>/<shard>`, signed with `key`.
    #[must_use]
    pub fn new(
        dir: impl Into<PathBuf>,
        origin: Origin,
        key: SigningKey,
        clock: SharedClock,
    ) -> Self {
        let identity = Identity { origin, key: Arc::new(key), clock, segment_bytes: SEGMENT_BYTES };
        Self {
            opening: Opening {
                logs: dir.into(),
                identity,
                test_env: false,
                years: Years::OneShard,
                #[cfg(any(test, feature = "test-util"))]
                faults: None,
            },
            back_off: BackOff { first: Duration::from_millis(100), most: Duration::from_secs(30) },
        }
    }

    /// Begins a new shard with each year (UTC); the shard of the origin is then a number.
    #[must_use]
    pub const fn a_shard_each_year(mut self) -> Self {
        self.opening.years = Years::ShardEach;
        self
    }

    /// Marks every entry as made in a test environment.
    #[must_use]
    pub const fn in_test_environment(mut self) -> Self {
        self.opening.test_env = true;
        self
    }

    /// Pauses between attempts to reopen after an error: `first`, doubled each time, up to `most`.
    /// 100 ms and 30 s unless told otherwise.
    #[must_use]
    pub const fn back_off(mut self, first: Duration, most: Duration) -> Self {
        self.back_off = BackOff { first, most };
        self
    }

    /// Puts a switch under the log that makes its disk fail.
    #[cfg(any(test, feature = "test-util"))]
    #[must_use]
    pub fn faults(mut self, switch: super::storage::FaultSwitch) -> Self {
        self.opening.faults = Some(switch);
        self
    }

    /// Starts segments at this size instead of 64 MiB.
    #[cfg(any(test, feature = "test-util"))]
    #[must_use]
    pub const fn segment_bytes(mut self, n_bytes: u64) -> Self {
        self.opening.identity.segment_bytes = n_bytes;
        self
    }
}

/// One shard of a party's log, as far as it has come.
#[derive(Debug, Clone, Copy)]
pub struct LogShard<'a>(&'a Shard);

impl LogShard<'_> {
    /// Its name.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// The key that verifies its entries, as it stands under checkpoints.
    #[must_use]
    pub const fn note_key(&self) -> &NoteKey {
        &self.0.public
    }

    /// The tree over everything that has been acknowledged in it.
    #[must_use]
    pub fn tree(&self) -> Arc<TreeReader> {
        self.0.tree.load_full()
    }
}

/// A party's audit log. Clones write the same log; the last one to be dropped waits for the writer
/// to end, which is at most one sync, and frees the directory.
#[derive(Debug, Clone)]
pub struct AuditLog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The shard that was written when the log was opened; others may follow it.
    shards: Arc<Shard>,
    key: Arc<SigningKey>,
    test_env: bool,
    condemned: Arc<OnceLock<Contradiction>>,
    waiting: Arc<Semaphore>,
    available: watch::Receiver<bool>,
    writer: WriterThread,
}

impl AuditLog {
    /// Opens the log, makes it when there is none, reads all of it back and cuts a torn last write.
    ///
    /// Blocking: it reads the shard that is written and hashes every entry twice, on every core: some seven processor seconds for a
    /// million entries of 1,250 bytes, as [`verify_dir`](super::verify_dir) does.
    ///
    /// # Errors
    /// See [`OpenLogError`]; a log that is damaged anywhere else than in its last write is refused.
    pub fn open(options: LogOptions) -> Result<Self, OpenLogError> {
        let LogOptions { opening, back_off } = options;
        let (mut writer, mut shard) = opening.open(opening.identity.origin.clone())?;
        if writer.began().is_none()
            && let Some(former) = opening.cut_off(&shard)?
        {
            // Frees the directory, which is opened anew by the turn.
            drop((writer, shard));
            (writer, shard) = opening.open(former)?;
        }
        if writer.is_closed() {
            (writer, shard) = opening.turn(&mut writer, &shard)?;
        }
        let (key, test_env) = (Arc::clone(&opening.identity.key), opening.test_env);
        let shards = Arc::new(shard);
        let (set_available, available) = watch::channel(true);
        let dir = shards.dir.clone();
        let turning = Turning { opening, shards: Arc::clone(&shards) };
        let writer =
            WriterThread::start(writer, Arc::clone(&shards.tree), turning, set_available, back_off)
                .map_err(|source| OpenLogError::Io { path: dir, source })?;
        let waiting = Arc::new(Semaphore::new(MAX_WAITING));
        let condemned = Arc::default();
        let inner = Inner { shards, key, test_env, condemned, waiting, available, writer };
        Ok(Self { inner: Arc::new(inner) })
    }

    fn shard(&self) -> &Shard {
        self.inner.shards.newest()
    }

    /// Records `value` and gives it back once its entry is durable.
    ///
    /// Cancel-safe in this sense: when the future is dropped, the entry may still be written, and
    /// without a [`Recorded`] nothing follows from it.
    ///
    /// # Errors
    /// See [`LogError`]; the value is gone, and what it would have allowed must not happen.
    pub async fn record<T: Recordable>(&self, value: T) -> Result<Recorded<T>, LogError> {
        let Placed { seq, base } =
            self.append([value.entry()]).instrument(traces::appending(1)).await?;
        Ok(Recorded { value, seq, base })
    }

    /// Records all values, one behind the other, in one write: all of them or none.
    ///
    /// # Errors
    /// As [`AuditLog::record`], and when there are more than [`MAX_RECORDED_AT_ONCE`].
    pub async fn record_all<T: Recordable>(
        &self,
        values: Vec<T>,
    ) -> Result<Vec<Recorded<T>>, LogError> {
        if values.len() > MAX_RECORDED_AT_ONCE {
            return Err(LogError::TooMany { n_entries: values.len() });
        }
        let appending = traces::appending(values.len());
        let placed = self.append(values.iter().map(Recordable::entry)).instrument(appending);
        let Placed { seq: first, base } = placed.await?;
        Ok((first..).zip(values).map(|(seq, value)| Recorded { value, seq, base }).collect())
    }

    async fn append(
        &self,
        drafts: impl IntoIterator<Item = EntryDraft>,
    ) -> Result<Placed, LogError> {
        // Before the queue, so that a full queue of a log that fails does not make anybody wait.
        if !self.is_available() {
            return Err(LogError::Unavailable);
        }
        let test_env = self.inner.test_env;
        let bodies: Vec<_> = drafts.into_iter().map(|draft| Body::of(draft, test_env)).collect();
        if bodies.is_empty() {
            return Ok(Placed { seq: self.tree().head().size, base: self.shard().base });
        }
        let waiting = Arc::clone(&self.inner.waiting);
        let turn = waiting.acquire_owned().await.map_err(|_| LogError::Unavailable)?;
        let (done, outcome) = oneshot::channel();
        self.inner.writer.hand_in(Job { bodies, done, turn, is_noted: noted::is_wanted() })?;
        let Written { first, last } = outcome.await.map_err(|_| LogError::Unavailable)??;
        noted::note(last);
        Ok(first)
    }

    /// Whether the log can be written, as far as is known; readiness follows it.
    #[must_use]
    pub fn is_available(&self) -> bool {
        *self.inner.available.borrow() && self.inner.condemned.get().is_none()
    }

    /// Says that this log is not what it has signed that it was, as somebody else's memory shows. It records nothing from
    /// now on; what is there is kept for whoever looks into it.
    pub fn condemn(&self, contradiction: Contradiction) {
        tracing::error!(%contradiction, "the audit log is not what it was; nothing may leave");
        // The first one stands.
        let _ = self.inner.condemned.set(contradiction);
    }

    /// What shows that this log is not what it was. The handle does not keep the log open.
    #[must_use]
    pub fn condemned(&self) -> Arc<OnceLock<Contradiction>> {
        Arc::clone(&self.inner.condemned)
    }

    /// Tells when [`AuditLog::is_available`] changes.
    #[must_use]
    pub fn availability(&self) -> watch::Receiver<bool> {
        self.inner.available.clone()
    }

    /// The directory of the shard that is written, for the auditor's commands.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.shard().dir
    }

    /// The name of the shard that is written.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.shard().origin
    }

    /// The key that verifies its entries.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        self.shard().public.key()
    }

    /// The same key, as it stands under checkpoints and in policies.
    #[must_use]
    pub fn note_key(&self) -> &NoteKey {
        &self.shard().public
    }

    /// The shard that is written.
    #[must_use]
    pub fn newest_shard(&self) -> LogShard<'_> {
        LogShard(self.shard())
    }

    /// The shard that has `base` entries in the shards before it; `None` when it was not written since the log was opened.
    #[must_use]
    pub fn shard_behind(&self, base: u64) -> Option<LogShard<'_>> {
        self.inner.shards.all().find(|shard| shard.base == base).map(LogShard)
    }

    /// The shard that a checkpoint is of, when this log has signed the checkpoint; `None` when it has not, and when the shard was not written
    /// since the log was opened.
    #[must_use]
    pub fn shard_signed_in(&self, note: &CheckpointNote) -> Option<LogShard<'_>> {
        let shard = self.shard_of(note)?;
        note.signed_by(&shard.public).ok()?;
        Some(LogShard(shard))
    }

    /// The tree over everything that has been acknowledged in the shard that is written, for proofs.
    #[must_use]
    pub fn tree(&self) -> Arc<TreeReader> {
        self.shard().tree.load_full()
    }

    /// Signs a checkpoint of `tree`, which has to be one of this log's.
    ///
    /// Only what is synced is in a tree, so a crash can not make the log contradict what it has signed.
    ///
    /// # Errors
    /// When the tree can not be signed for, which does not happen for this log's.
    pub fn sign(&self, tree: &TreeReader) -> Result<CheckpointNote, LogError> {
        let head = tree.head();
        // Another shard may be written by now. A tree is signed for under the name of its own shard, and no other.
        let shard = self.inner.shards.all().filter(|shard| {
            let now = shard.tree.load();
            now.head().size >= head.size && now.head_at(head.size).is_ok_and(|at| at == head)
        });
        let shard = shard.last().ok_or(LogError::Unavailable)?;
        shard.sign(head, &self.inner.key).map_err(|_| LogError::Unavailable)
    }

    /// How many entries there are, through all shards that continue each other.
    #[must_use]
    pub fn n_entries(&self) -> u64 {
        let shard = self.shard();
        shard.base.saturating_add(shard.tree.load().head().size)
    }

    /// How many entries, through all shards, a checkpoint of this log vouches for: those that it is over, and those before its shard, which
    /// the shard's first entry names.
    #[must_use]
    pub fn n_vouched(&self, note: &CheckpointNote) -> u64 {
        let size = note.checkpoint().head.size;
        self.shard_of(note)
            .map_or(0, |shard| if size == 0 { 0 } else { shard.base.saturating_add(size) })
    }

    fn shard_of(&self, note: &CheckpointNote) -> Option<&Shard> {
        self.inner.shards.all().find(|shard| *note.checkpoint().origin == *shard.origin.as_str())
    }

    /// Keeps a checkpoint of this log that witnesses have cosigned beside it, durably. Only a log of which one has been kept since it was
    /// opened begins a new shard with the year. Blocking.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep_checkpoint(&self, note: &CheckpointNote) -> Result<(), LogError> {
        let shard = self.shard_of(note).ok_or(LogError::Unavailable)?;
        shard.checkpoints.keep(note).map_err(|error| {
            tracing::error!(%error, "a cosigned checkpoint can not be kept");
            LogError::Unavailable
        })?;
        shard.is_witnessed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The largest checkpoint that was kept of the shard that is written, with its cosignatures.
    #[must_use]
    pub fn latest_checkpoint(&self) -> Option<CheckpointNote> {
        self.shard().checkpoints.latest()
    }
}

#[cfg(test)]
mod tests;
