//! A copy of a store that is in use, as it was at one moment, and a store filled from one.
//!
//! What is copied stays sealed: keys and values go out as they stand on the disk, so a copy is worth nothing without the store's key,
//! and what belongs to an enquiry is worth nothing without the enquiry's.
//!
//! sled walks its tree while others change it, which gives a mixture of moments. So every change that is made during the walk is
//! handed on behind it, in the order in which changes are made: whoever takes the rows and then the changes, each over what it has, has
//! the store as it was at the end of the walk. Nobody waits for the copy; a store that is changed faster than its copy is taken gives up
//! the copy, never the change.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::PoisonError,
};

use super::{
    DATA, Durable, LOAD_SYNC_EVERY, MAX_PLACE_BYTES, MAX_VALUE_BYTES, META, SEGMENT_BYTES,
    StoreError, dirs,
};

/// The most that may wait to be handed on, in bytes: changes made while whoever takes the copy is busy.
const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// How many rows are walked before the changes that have come about meanwhile are handed on.
const ROWS_AT_A_TIME: usize = 256;

/// A full key, and what was put there, still sealed; `None`: it was taken away.
pub(super) type Raw = (Vec<u8>, Option<Vec<u8>>);

/// Where rows and changes go: a full key, and the sealed value; `None` when it is taken away.
pub type Sink<'a> = dyn FnMut(&[u8], Option<&[u8]>) -> io::Result<()> + 'a;

/// Changes that a copy has not taken yet.
#[derive(Default)]
pub(super) struct Following {
    waiting: Vec<Raw>,
    n_bytes: usize,
    is_behind: bool,
}

impl Following {
    pub(super) fn saw(&mut self, changes: &[Raw]) {
        let n_bytes = |(key, value): &Raw| key.len() + value.as_ref().map_or(0, Vec::len);
        self.n_bytes += changes.iter().map(n_bytes).sum::<usize>();
        if self.n_bytes > MAX_WAITING_BYTES {
            self.is_behind = true;
            self.waiting.clear();
        }
        if !self.is_behind {
            self.waiting.extend_from_slice(changes);
        }
    }
}

/// Ends the following of a copy, however it ends.
struct Follows<'a>(&'a Durable);

impl Drop for Follows<'_> {
    fn drop(&mut self) {
        *self.0.following() = None;
    }
}

impl Durable {
    fn following(&self) -> std::sync::MutexGuard<'_, Option<Following>> {
        self.inner.following.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes changes in one piece, and tells a copy that is being taken. Not durable yet.
    pub(super) fn apply(&self, changes: Vec<Raw>) -> Result<(), StoreError> {
        // Under the lock: a copy is told of changes in the order in which they are made.
        let mut following = self.following();
        if let Some(following) = following.as_mut() {
            following.saw(&changes);
        }
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.or_fail(self.inner.db.apply_batch(batch).map_err(StoreError::from))
    }

    /// Hands the whole store to `sink`, and runs `at_the_end` at the moment as of which the copy is: no change is made while it runs, so
    /// what it looks at elsewhere belongs to the copy. Others read and change the store meanwhile. Blocking.
    ///
    /// # Errors
    /// When another copy is being taken, the store is changed faster than `sink` takes it, or `sink` or the disk fails.
    pub fn copy<T>(
        &self,
        sink: &mut Sink<'_>,
        at_the_end: impl FnOnce() -> T,
    ) -> Result<T, StoreError> {
        self.refuse_failed()?;
        {
            let mut following = self.following();
            if following.is_some() {
                let text = "a copy of this store is being taken already";
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, text).into());
            }
            *following = Some(Following::default());
        }
        let _follows = Follows(self);
        let mut rows = self.inner.db.iter();
        loop {
            let mut n_rows = 0;
            for row in rows.by_ref().take(ROWS_AT_A_TIME) {
                let (key, value) = row?;
                sink(&key, Some(&value))?;
                n_rows += 1;
            }
            // Behind the rows: of a row and a change of the same place the change is the later one, or says the same.
            self.hand_on(sink)?;
            if n_rows < ROWS_AT_A_TIME {
                break;
            }
        }
        let (rest, found) = {
            let mut following = self.following();
            let rest = following.as_mut().map(std::mem::take).unwrap_or_default();
            (rest, at_the_end())
        };
        hand(rest, sink)?;
        // What failed may have been told and not made.
        self.refuse_failed()?;
        Ok(found)
    }

    fn hand_on(&self, sink: &mut Sink<'_>) -> Result<(), StoreError> {
        let waiting = self.following().as_mut().map(std::mem::take).unwrap_or_default();
        hand(waiting, sink)
    }
}

fn hand(following: Following, sink: &mut Sink<'_>) -> Result<(), StoreError> {
    if following.is_behind {
        let text = "the store is changed faster than the copy is taken; take it at a quieter time";
        return Err(io::Error::other(text).into());
    }
    for (key, value) in following.waiting {
        sink(&key, value.as_deref())?;
    }
    Ok(())
}

/// A store that is being filled from a copy. It is a store when [`Filling::finish`] has returned, and not before.
pub struct Filling {
    db: sled::Db,
    path: PathBuf,
    n_changes: usize,
}

impl std::fmt::Debug for Filling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filling").finish_non_exhaustive()
    }
}

impl Filling {
    /// Begins a store in `path`, where there must be none.
    ///
    /// # Errors
    /// When there is something, or the disk fails.
    pub fn begin(path: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        if path.exists() {
            let text = "there is something where the store is to be";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text).into());
        }
        dirs::create_dirs(path)?;
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(cache_bytes)
            .flush_every_ms(None)
            .segment_size(SEGMENT_BYTES);
        let db = super::open_sled(&config, path)?;
        Ok(Self { db, path: path.to_owned(), n_changes: 0 })
    }

    /// Takes a row or a change, over what is there.
    ///
    /// # Errors
    /// When it is none that a store hands out, or the disk fails.
    pub fn take(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError> {
        let is_ours = matches!(key.first(), Some(&META | &DATA)) && key.len() <= MAX_PLACE_BYTES;
        // A sealed value is longer by its seal.
        if !is_ours || value.is_some_and(|value| value.len() > MAX_VALUE_BYTES + 1024) {
            return Err(StoreError::Corrupt { what: "a row of the copy is none of a store" });
        }
        match value {
            Some(value) => _ = self.db.insert(key, value)?,
            None => _ = self.db.remove(key)?,
        }
        self.n_changes += 1;
        if self.n_changes.is_multiple_of(LOAD_SYNC_EVERY) {
            self.make_durable()?;
        }
        Ok(())
    }

    fn make_durable(&self) -> Result<(), StoreError> {
        self.db.flush()?;
        Ok(File::open(self.path.join("db"))?.sync_data()?)
    }

    /// Makes all of it durable.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn finish(self) -> Result<(), StoreError> {
        self.make_durable()?;
        for file in ["conf", "db"] {
            File::open(self.path.join(file))?.sync_all()?;
        }
        dirs::sync_dir(&self.path)?;
        Ok(dirs::sync_dir(dirs::parent_of(&self.path))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{durable::Batch, secret::SecretBytes};

    fn open(path: &Path) -> Durable {
        Durable::open(path, &SecretBytes::new([3; 32]), 1 << 20).unwrap()
    }

    fn put(store: &Durable, place: &str, value: &str) {
        let mut batch = Batch::new();
        batch.put(place, value);
        store.commit(batch).unwrap();
    }

    fn rows(store: &Durable) -> Vec<(Vec<u8>, Vec<u8>)> {
        store
            .scan(b"")
            .map(|row| row.map(|(place, value)| (place, value.to_vec())).unwrap())
            .collect()
    }

    #[test]
    fn a_copy_has_every_change_up_to_its_moment_and_none_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir.path().join("a"));
        for n in 0..2000 {
            put(&store, &format!("{n:05}"), "before");
        }
        let mut filling = Filling::begin(&dir.path().join("b"), 1 << 20).unwrap();
        let mut n_seen = 0;
        let changing = store.clone();
        let mut sink = |key: &[u8], value: Option<&[u8]>| {
            n_seen += 1;
            // Places that were walked already, and those that are to come; both belong to one change.
            if n_seen == 1000 {
                let mut batch = Batch::new();
                batch.put("00000", "during").put("01999", "during").remove("00001").remove("01998");
                batch.put("new", "during");
                changing.commit(batch).unwrap();
            }
            filling.take(key, value).map_err(io::Error::other)
        };
        let at_the_end = store.copy(&mut sink, || "now").unwrap();
        assert_eq!(at_the_end, "now");
        let then = rows(&store);
        put(&store, "00002", "after");
        filling.finish().unwrap();
        assert_eq!(rows(&open(&dir.path().join("b"))), then);
    }

    #[test]
    fn what_takes_a_copy_and_fails_leaves_the_store_as_it_was_and_free_for_another() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir.path().join("a"));
        put(&store, "a", "b");
        let mut failing = |_: &[u8], _: Option<&[u8]>| Err(io::Error::other("full"));
        assert!(store.copy(&mut failing, || ()).is_err());
        let other = store.clone();
        let mut second = |_: &[u8], _: Option<&[u8]>| {
            let mut nothing = |_: &[u8], _: Option<&[u8]>| Ok(());
            let error = other.copy(&mut nothing, || ()).unwrap_err();
            assert!(
                matches!(error, StoreError::Io(error) if error.kind() == io::ErrorKind::ResourceBusy)
            );
            Ok(())
        };
        store.copy(&mut second, || ()).unwrap();
        assert_eq!(store.get(b"a").unwrap().unwrap().as_slice(), b"b");
    }

    #[test]
    fn a_store_is_filled_only_where_there_is_none_and_with_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Filling::begin(dir.path(), 1 << 20).is_err());
        let mut filling = Filling::begin(&dir.path().join("b"), 1 << 20).unwrap();
        for (key, value) in [(&b""[..], &b""[..]), (b"x/1", b"v"), (&[b'd'; 2000], b"v")] {
            assert!(filling.take(key, Some(value)).is_err());
        }
        assert!(filling.take(b"d1", Some(&vec![0; 100_000])).is_err());
    }

    #[test]
    fn a_store_that_changes_faster_than_it_is_copied_gives_up_the_copy() {
        let mut following = Following::default();
        let change = (vec![b'd'], Some(vec![0; 1024 * 1024]));
        for _ in 0..70 {
            following.saw(std::slice::from_ref(&change));
        }
        assert!(following.is_behind && following.waiting.is_empty());
        assert!(hand(following, &mut |_, _| Ok(())).is_err());
    }
}
