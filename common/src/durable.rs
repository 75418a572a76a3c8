//! The durable store: records, enquiries, replay checks and indexes, sealed at rest.
//!
//! The only module that names sled. It is here because sled 0.34's `flush` is not durable on Linux
//! (it ends in `sync_file_range`, which flushes no disk cache and no metadata: spacejam/sled #1452):
//! a commit here is `flush` *and* `sync_data` on sled's own file.
//!
//! INVARIANTS
//! - What [`Durable::commit`] returned `Ok` for survives a power cut, all of it or, when it returned
//!   an error, as a whole or not at all.
//! - Values are sealed (AES-256-GCM) under a key that is not in the store, with their place as
//!   associated data: a value moved to another place does not open.
//! - What belongs to one enquiry is sealed under a key of that enquiry, which can be destroyed: see [`Scopes`].
//! - Places are *not* sealed: they are random references or [`Durable::blind`]ed, never personal data.
//! - After an error of write or sync the store refuses everything until it is opened again, for its
//!   memory may then hold what the disk does not.
//!
//! Costs of sled (measured): about 200 bytes on disk and up to 3 KB of memory for each key that is
//! loaded in large batches; so [`Durable::load`] inserts singly, there is one tree, and values and
//! places are bounded so that sled keeps all of them in the one file that is synced.
//!
//! A reader may see a commit that is still being synced. All calls block: use `spawn_blocking`.

use std::{
    collections::BTreeSet,
    fmt,
    fs::File,
    io,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use zeroize::Zeroizing;

use crate::{id::EnquiryRef, secret::SecretBytes};

mod batch;
mod copy;
pub(crate) mod dirs;
mod error;
mod key_folder;
mod layout;
mod scope;
mod seal;

pub use batch::Batch;
use batch::Change;
pub use copy::{Filling, Sink};
use copy::{Following, Raw};
pub use error::StoreError;
pub use key_folder::KeyFolder;
pub use layout::{Layout, Look, Migration, Rewrite, store_folder};
use scope::Scoping;
pub use scope::{Begun, Scopes};
use seal::StoreKeys;

/// Version of what this module writes. 1 was before enquiries had keys of their own.
pub const SCHEMA_VERSION: u32 = 2;

/// sled's segment. It writes a page larger than a quarter of this to a file of its own, in `blobs/`,
/// which it never syncs. A page holds up to 17 values (node.rs, `should_split`), so with sled's 512 KiB
/// even values of 8 KiB would end there; a quarter of 8 MiB holds 32 of the largest.
const SEGMENT_BYTES: usize = 8 * 1024 * 1024;

/// A place must be shorter than this, in bytes: a page of 256 of them stays in that one file too.
pub const MAX_PLACE_BYTES: usize = 1024;

/// A value must be shorter than this, in bytes: 64 KiB with room for the seal.
pub const MAX_VALUE_BYTES: usize = 63 * 1024;

/// The most changes in one batch: sled holds all of them in memory at once.
pub const MAX_BATCH_CHANGES: usize = 10_000;

/// [`Durable::load`] makes what it loaded durable each time it has loaded so many.
const LOAD_SYNC_EVERY: usize = 10_000;

/// How sled 0.34.7 begins to say that its file is locked; it has no kind of error for that.
const SLED_LOCKED: &str = "could not acquire lock";
/// What sled 0.34.7 calls a snapshot that it is still writing ends so.
const SLED_UNFINISHED: &str = ".generating";

/// How often, and how far apart, that lock is looked at: five seconds in all.
const SLED_LOCK_LOOKS: u32 = 500;
const SLED_LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// First byte of the keys of this module, so that no place of a caller is one of them.
const META: u8 = b'm';
/// First byte of the keys of callers.
const DATA: u8 = b'd';

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => Self::Io(error),
            sled::Error::Corruption { .. } => Self::Corrupt { what: "a page does not read back" },
            sled::Error::CollectionNotFound(_) => Self::Corrupt { what: "the tree is missing" },
            // sled's texts may repeat keys; they are not passed on.
            sled::Error::Unsupported(_) | sled::Error::ReportableBug(_) => {
                Self::Corrupt { what: "the store's files are not as sled expects them" }
            }
        }
    }
}

/// How the store's file is made durable; a test counts it, or makes it fail.
type Sync = Box<dyn Fn(&File) -> io::Result<()> + Send + std::marker::Sync>;

/// A durable store. Clones use the same one.
#[derive(Clone)]
pub struct Durable {
    inner: Arc<Inner>,
}

struct Inner {
    db: sled::Db,
    keys: StoreKeys,
    /// Absent: nothing in it belongs to an enquiry.
    scoping: Option<Scoping>,
    /// sled's own file, on a handle of ours, for `sync_data`.
    file: File,
    sync: Sync,
    /// Guards the look at absent places together with the change that follows.
    commit: Mutex<()>,
    /// What a copy that is being taken has to be told.
    following: Mutex<Option<Following>>,
    failed: AtomicBool,
    /// Held, never read: gives a clear error where sled's own lock gives a vague one. Declared last,
    /// so that it is let go after sled has closed.
    _lock: File,
}

impl Durable {
    /// Opens the store in the directory `path`, and makes it when there is none.
    ///
    /// `cache_bytes` bounds sled's cache; its memory may reach several times that.
    ///
    /// # Errors
    /// See [`StoreError`]: locked, wrong key, later schema, damaged, or the disk failed.
    pub fn open(path: &Path, key: &SecretBytes<32>, cache_bytes: u64) -> Result<Self, StoreError> {
        Self::open_with(path, key, cache_bytes, None, Box::new(File::sync_data))
    }

    /// As [`Durable::open`], for a store in which values belong to enquiries.
    ///
    /// # Errors
    /// As [`Durable::open`], and when the folder of keys belongs to another store.
    pub fn open_scoped(
        path: &Path,
        key: &SecretBytes<32>,
        cache_bytes: u64,
        scopes: Scopes,
    ) -> Result<Self, StoreError> {
        Self::open_with(path, key, cache_bytes, Some(scopes), Box::new(File::sync_data))
    }

    fn open_with(
        path: &Path,
        key: &SecretBytes<32>,
        cache_bytes: u64,
        scopes: Option<Scopes>,
        sync: Sync,
    ) -> Result<Self, StoreError> {
        dirs::create_dirs(path)?;
        let lock = lock(path)?;
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(cache_bytes)
            .flush_every_ms(None)
            .segment_size(SEGMENT_BYTES);
        remove_unfinished_snapshots(path)?;
        let db = open_sled(&config, path)?;
        let store = Self {
            inner: Arc::new(Inner {
                db,
                keys: StoreKeys::derive(key)?,
                scoping: scopes.map(Scoping::new),
                file: File::open(path.join("db"))?,
                sync,
                commit: Mutex::new(()),
                following: Mutex::default(),
                failed: AtomicBool::new(false),
                _lock: lock,
            }),
        };
        store.check_schema()?;
        store.open_scopes()?;
        // Each time: the first opening may have been killed before it came to this.
        for file in ["conf", "db"] {
            File::open(path.join(file))?.sync_all()?;
        }
        dirs::sync_dir(path)?;
        dirs::sync_dir(dirs::parent_of(path))?;
        Ok(store)
    }

    /// The sealed schema version is also what shows a wrong key.
    fn check_schema(&self) -> Result<(), StoreError> {
        let place = [&[META][..], b"schema"].concat();
        if let Some(sealed) = self.inner.db.get(&place)? {
            let found = self.inner.keys.open(&place, &sealed).map_err(|_| StoreError::WrongKey)?;
            let found = found.as_slice().try_into().map(u32::from_be_bytes);
            return match found {
                Ok(SCHEMA_VERSION) => Ok(()),
                Ok(found) if found < SCHEMA_VERSION => Err(StoreError::SchemaOlder { found }),
                Ok(found) => Err(StoreError::SchemaNewer { found }),
                Err(_) => Err(StoreError::Corrupt { what: "the schema is not a number" }),
            };
        }
        if !self.inner.db.is_empty() {
            return Err(StoreError::Corrupt { what: "it holds records but no schema" });
        }
        let sealed = self.inner.keys.seal(&place, &SCHEMA_VERSION.to_be_bytes())?;
        self.inner.db.insert(place, sealed)?;
        self.make_durable()
    }

    /// The value at `place`; `None` when nothing is there.
    ///
    /// # Errors
    /// When the disk fails, or what is there was not put there.
    pub fn get(&self, place: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.refuse_failed()?;
        let key = data_key(place);
        match self.inner.db.get(&key)? {
            Some(sealed) => self.opened(&key, &sealed),
            None => Ok(None),
        }
    }

    /// Whether there is a value at `place`.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn contains(&self, place: &[u8]) -> Result<bool, StoreError> {
        self.refuse_failed()?;
        let key = data_key(place);
        Ok(self.inner.db.contains_key(&key)? && self.is_readable(&key)?)
    }

    /// Places that begin with `prefix`, in the order of their bytes, with their values.
    ///
    /// Not a snapshot: a change made during the walk may show or not.
    pub fn scan(
        &self,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<(Vec<u8>, Zeroizing<Vec<u8>>), StoreError>> + Send + use<>
    {
        let store = self.clone();
        let read = move |item: sled::Result<(sled::IVec, sled::IVec)>| {
            store.refuse_failed()?;
            let (key, sealed) = item?;
            Ok(store.opened(&key, &sealed)?.map(|value| (place_of(&key), value)))
        };
        self.inner.db.scan_prefix(data_key(prefix)).filter_map(move |item| read(item).transpose())
    }

    /// Places that begin with `prefix`, in the order of their bytes.
    ///
    /// Not a snapshot: a change made during the walk may show or not.
    pub fn keys(
        &self,
        prefix: &[u8],
    ) -> impl Iterator<Item = Result<Vec<u8>, StoreError>> + Send + use<> {
        let store = self.clone();
        let read = move |key: sled::Result<sled::IVec>| {
            store.refuse_failed()?;
            scope::readable(&store, &key?)
        };
        self.inner
            .db
            .scan_prefix(data_key(prefix))
            .keys()
            .filter_map(move |key| read(key).transpose())
    }

    /// Makes all changes of the batch, durably, or none.
    ///
    /// # Errors
    /// - [`StoreError::AlreadyPresent`], `ValueTooLarge`, `PlaceTooLong`, `BatchTooLarge`, `Erased`,
    ///   `NoRandomness`: nothing changed, the store works on.
    /// - `Io`, `Corrupt`: whether the batch is on the disk is not known, and the store refuses
    ///   everything until it is opened again; then all of the batch is there, or nothing.
    pub fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.refuse_failed()?;
        let Batch { changes, absent } = batch;
        if changes.len() > MAX_BATCH_CHANGES {
            return Err(StoreError::BatchTooLarge { n_changes: changes.len() });
        }
        let mut sealed: Vec<Raw> = Vec::with_capacity(changes.len());
        let mut scopes = BTreeSet::new();
        for change in changes {
            match change {
                Change::Put { place, value } => {
                    let key = data_key(&place);
                    let (value, scope) = self.seal(&key, &value)?;
                    sealed.push((key, Some(value)));
                    scopes.extend(scope);
                }
                Change::Remove { place } => sealed.push((data_key(&place), None)),
            }
        }
        {
            let _guard = self.inner.commit.lock().unwrap_or_else(PoisonError::into_inner);
            for place in absent {
                if self.inner.db.contains_key(data_key(&place))? {
                    return Err(StoreError::AlreadyPresent);
                }
            }
            self.refuse_erased(&scopes)?;
            self.apply(sealed)?;
        }
        // Outside the lock, so that several commits share the disk's time.
        self.make_durable()
    }

    /// Puts many values, each by itself, for a first load or an import; returns how many.
    ///
    /// Not atomic: after an error the first ones are there. Loading again puts the same.
    ///
    /// # Errors
    /// As [`Durable::commit`].
    pub fn load<P, V>(&self, records: impl IntoIterator<Item = (P, V)>) -> Result<usize, StoreError>
    where
        P: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        self.refuse_failed()?;
        let mut n_loaded = 0;
        for (place, value) in records {
            let key = data_key(place.as_ref());
            let (sealed, _) = self.seal(&key, value.as_ref())?;
            self.apply(vec![(key, Some(sealed))])?;
            n_loaded += 1;
            if n_loaded % LOAD_SYNC_EVERY == 0 {
                self.make_durable()?;
            }
        }
        self.make_durable()?;
        Ok(n_loaded)
    }

    /// A pseudonym of personal bytes for use in a place: HMAC-SHA-256 under a key derived from the
    /// store's key, cut to 16 bytes. `label` keeps one use apart from another.
    #[must_use]
    pub fn blind(&self, label: &str, bytes: &[u8]) -> [u8; 16] {
        self.inner.keys.blind(label, bytes)
    }

    /// Bytes of all the store's files.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn size_on_disk(&self) -> Result<u64, StoreError> {
        Ok(self.inner.db.size_on_disk()?)
    }

    /// Whether the store works; after a failure it must be opened again.
    #[must_use]
    pub fn is_available(&self) -> bool {
        !self.inner.failed.load(Ordering::SeqCst)
    }

    fn seal(&self, key: &[u8], value: &[u8]) -> Result<(Vec<u8>, Option<EnquiryRef>), StoreError> {
        if key.len() > MAX_PLACE_BYTES {
            return Err(StoreError::PlaceTooLong { n_bytes: key.len() });
        }
        if value.len() >= MAX_VALUE_BYTES {
            return Err(StoreError::ValueTooLarge { n_bytes: value.len() });
        }
        self.sealed(key, value)
    }

    fn make_durable(&self) -> Result<(), StoreError> {
        self.or_fail(self.inner.db.flush().map_err(StoreError::from))?;
        self.or_fail((self.inner.sync)(&self.inner.file).map_err(StoreError::from))?;
        // A commit that failed meanwhile may have taken this one's bytes with it.
        self.refuse_failed()
    }

    fn or_fail<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &outcome {
            self.inner.failed.store(true, Ordering::SeqCst);
            tracing::error!(code = error.code(), "the store failed; it must be opened again");
        }
        outcome
    }

    fn refuse_failed(&self) -> Result<(), StoreError> {
        if self.is_available() { Ok(()) } else { Err(StoreError::Failed) }
    }
}

impl fmt::Debug for Durable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durable").finish_non_exhaustive()
    }
}

/// Opens sled's own database under our lock.
///
/// Our lock is free, so whoever still has sled's is a handle of this process that was dropped: sled's threads let
/// go of the file a moment after the last handle. That moment is waited for.
fn open_sled(config: &sled::Config, path: &Path) -> Result<sled::Db, StoreError> {
    for _ in 0..SLED_LOCK_LOOKS {
        // sled 0.34 panics on some damaged files instead of returning an error.
        let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| config.open()))
            .map_err(|_| StoreError::Corrupt { what: "sled can not read its files" })?;
        match opened {
            Err(sled::Error::Io(error)) if error.to_string().starts_with(SLED_LOCKED) => {
                std::thread::sleep(SLED_LOCK_PAUSE);
            }
            opened => return Ok(opened?),
        }
    }
    Err(StoreError::Locked { path: path.to_owned() })
}

/// Removes the snapshot that an opening had not finished writing when it was killed or its disk was full. sled 0.34.7 takes it for the newest
/// one and refuses to open ever after (`Config::get_snapshot_files` leaves out a name that `write_snapshot` does not use). The one before is
/// removed only when the new one has its name, so nothing is lost.
fn remove_unfinished_snapshots(path: &Path) -> io::Result<()> {
    for item in std::fs::read_dir(path)? {
        let item = item?;
        let name = item.file_name();
        let is_unfinished =
            |name: &str| name.starts_with("snap.") && name.ends_with(SLED_UNFINISHED);
        if name.to_str().is_some_and(is_unfinished) {
            std::fs::remove_file(item.path())?;
        }
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let lock = File::options().create(true).truncate(false).write(true).open(path.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.to_owned() }),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

fn data_key(place: &[u8]) -> Vec<u8> {
    [&[DATA], place].concat()
}

fn place_of(key: &[u8]) -> Vec<u8> {
    key.get(1..).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests;
