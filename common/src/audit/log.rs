//! `AuditLog`: records, waits until it is durable, and only then gives the value back as
//! [`Recorded`].
//!
//! One thread writes. What is queued while a sync runs goes with the next one (group commit), so 64
//! callers wait for about two syncs, not for 64; one signature vouches for all of it. Callers encode what they want recorded
//! themselves, so that the thread has little to do between two syncs. After an error of write or sync every waiting and
//! later caller is told [`LogError::Unavailable`] at once, and the thread reads the disk again, with
//! growing pauses, until it can continue behind the last acknowledged entry.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, oneshot, watch};

use super::{
    chain::Origin,
    checkpoints::{Checkpoints, Contradiction},
    entry::{Body, EntryDraft},
    recover::NotRecovered,
    storage::{FileStorage, Storage},
    verify::Fault,
    writer::{Identity, SEGMENT_BYTES, Writer},
};
use crate::{
    keys::{SigningKey, VerifyingKey},
    time::SharedClock,
    tlog::{Checkpoint, CheckpointNote, NoteKey, TreeReader},
};

mod thread;
use thread::{BackOff, Job, WriterThread};

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
/// let forged = Recorded { value: "permit", seq: 0 };
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Recorded<T> {
    value: T,
    seq: u64,
}

impl<T> Recorded<T> {
    /// The number of its entry.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
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
        let seq = self.seq;
        match self.value {
            Ok(value) => Ok(Recorded { value, seq }),
            Err(value) => Err(Recorded { value, seq }),
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
    dir: PathBuf,
    identity: Identity,
    test_env: bool,
    back_off: BackOff,
    #[cfg(any(test, feature = "test-util"))]
    faults: Option<super::storage::FaultSwitch>,
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
        Self {
            dir: dir.into(),
            identity: Identity { origin, key: Arc::new(key), clock, segment_bytes: SEGMENT_BYTES },
            test_env: false,
            back_off: BackOff { first: Duration::from_millis(100), most: Duration::from_secs(30) },
            #[cfg(any(test, feature = "test-util"))]
            faults: None,
        }
    }

    /// Marks every entry as made in a test environment.
    #[must_use]
    pub const fn in_test_environment(mut self) -> Self {
        self.test_env = true;
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
        self.faults = Some(switch);
        self
    }

    /// Starts segments at this size instead of 64 MiB.
    #[cfg(any(test, feature = "test-util"))]
    #[must_use]
    pub const fn segment_bytes(mut self, n_bytes: u64) -> Self {
        self.identity.segment_bytes = n_bytes;
        self
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
    dir: PathBuf,
    origin: Origin,
    key: Arc<SigningKey>,
    public: NoteKey,
    test_env: bool,
    tree: Arc<ArcSwap<TreeReader>>,
    checkpoints: Checkpoints,
    condemned: Arc<OnceLock<Contradiction>>,
    waiting: Arc<Semaphore>,
    available: watch::Receiver<bool>,
    writer: WriterThread,
}

impl AuditLog {
    /// Opens the log, makes it when there is none, reads all of it back and cuts a torn last write.
    ///
    /// Blocking: it reads the whole log, about a second for each million entries.
    ///
    /// # Errors
    /// See [`OpenLogError`]; a log that is damaged anywhere else than in its last write is refused.
    pub fn open(options: LogOptions) -> Result<Self, OpenLogError> {
        let LogOptions { dir, identity, test_env, back_off, .. } = options;
        let dir = dir.join(identity.origin.shard());
        let (origin, key) = (identity.origin.clone(), Arc::clone(&identity.key));
        let public = origin.key(key.verifying_key());
        let files = FileStorage::open(&dir, &origin, public.key())?;
        #[cfg(any(test, feature = "test-util"))]
        let storage: Box<dyn Storage> = match options.faults {
            Some(switch) => Box::new(super::storage::Faulty { disk: files, switch }),
            None => Box::new(files),
        };
        #[cfg(not(any(test, feature = "test-util")))]
        let storage: Box<dyn Storage> = Box::new(files);

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
        let tree = Arc::new(ArcSwap::from_pointee(tree));
        let (set_available, available) = watch::channel(true);
        let writer = WriterThread::start(writer, Arc::clone(&tree), set_available, back_off)
            .map_err(failed)?;
        let waiting = Arc::new(Semaphore::new(MAX_WAITING));
        let inner = Inner {
            dir,
            origin,
            key,
            public,
            test_env,
            tree,
            checkpoints,
            condemned: Arc::default(),
            waiting,
            available,
            writer,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Records `value` and gives it back once its entry is durable.
    ///
    /// Cancel-safe in this sense: when the future is dropped, the entry may still be written, and
    /// without a [`Recorded`] nothing follows from it.
    ///
    /// # Errors
    /// See [`LogError`]; the value is gone, and what it would have allowed must not happen.
    pub async fn record<T: Recordable>(&self, value: T) -> Result<Recorded<T>, LogError> {
        let seq = self.append([value.entry()]).await?;
        Ok(Recorded { value, seq })
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
        let first = self.append(values.iter().map(Recordable::entry)).await?;
        Ok((first..).zip(values).map(|(seq, value)| Recorded { value, seq }).collect())
    }

    async fn append(&self, drafts: impl IntoIterator<Item = EntryDraft>) -> Result<u64, LogError> {
        // Before the queue, so that a full queue of a log that fails does not make anybody wait.
        if !self.is_available() {
            return Err(LogError::Unavailable);
        }
        let test_env = self.inner.test_env;
        let bodies = drafts.into_iter().map(|draft| Body::of(draft, test_env)).collect();
        let waiting = Arc::clone(&self.inner.waiting);
        let turn = waiting.acquire_owned().await.map_err(|_| LogError::Unavailable)?;
        let (done, outcome) = oneshot::channel();
        self.inner.writer.send(Job { bodies, done, _turn: turn })?;
        outcome.await.map_err(|_| LogError::Unavailable)?
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

    /// The log's directory, for the auditor's commands.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.inner.origin
    }

    /// The key that verifies its entries.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        self.inner.public.key()
    }

    /// The same key, as it stands under checkpoints and in policies.
    #[must_use]
    pub fn note_key(&self) -> &NoteKey {
        &self.inner.public
    }

    /// The tree over everything that has been acknowledged, for proofs.
    #[must_use]
    pub fn tree(&self) -> Arc<TreeReader> {
        self.inner.tree.load_full()
    }

    /// Signs a checkpoint of `tree`, which has to be one of this log's.
    ///
    /// Only what is synced is in a tree, so a crash can not make the log contradict what it has signed.
    ///
    /// # Errors
    /// When the tree can not be signed for, which does not happen for this log's.
    pub fn sign(&self, tree: &TreeReader) -> Result<CheckpointNote, LogError> {
        let origin = self.inner.origin.as_str().into();
        let checkpoint = Checkpoint { origin, head: tree.head() };
        checkpoint.sign(&self.inner.public, &self.inner.key).map_err(|_| LogError::Unavailable)
    }

    /// Keeps a cosigned checkpoint of this log beside it, durably. Blocking.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep_checkpoint(&self, note: &CheckpointNote) -> Result<(), LogError> {
        self.inner.checkpoints.keep(note).map_err(|error| {
            tracing::error!(%error, "a cosigned checkpoint can not be kept");
            LogError::Unavailable
        })
    }

    /// The largest checkpoint that was kept, with its cosignatures.
    #[must_use]
    pub fn latest_checkpoint(&self) -> Option<CheckpointNote> {
        self.inner.checkpoints.latest()
    }
}

#[cfg(test)]
mod tests;
