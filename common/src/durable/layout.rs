//! The layout of a program's records in its store: which version it has, and how an older one is brought up to date.
//!
//! [`SCHEMA_VERSION`](super::SCHEMA_VERSION) is how this module writes; a [`Layout`] is what a program writes with it: places and the form of
//! values. The store says its layout's version. One that says none is of the time before there was a version: that is version 1. A program
//! brings an older store up to date when it opens it, one version after the other, and refuses a newer one.
//!
//! A migration looks at each record by itself. What it makes of some of them is written together with how far it has come, in one
//! piece; so a program that is killed in the middle goes on where it was, and no record is half old.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{DATA, Durable, META, StoreError, data_key, dirs, place_of};

/// Where the version stands, behind [`META`].
const VERSION: &[u8] = b"layout";
/// Where it stands how far a migration has come, behind [`META`].
const MIGRATING: &[u8] = b"migrating";
/// A note of the version in the store's folder, for whoever wants to know it without opening the store. Nothing rests on it.
const NOTE: &str = "layout";

/// Records that are rewritten in one piece: bounded, as sled holds them in memory.
const RECORDS_AT_ONCE: usize = 256;

/// What a program writes into its store.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The version that it writes, and reads.
    pub version: u32,
    /// How each older version is brought up, in their order; the first makes version 2.
    pub migrations: &'static [Migration],
}

/// How the records of one version become those of the next.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The version that it makes.
    pub to: u32,
    /// What changes, in a few words for an operator.
    pub what: &'static str,
    /// What becomes of a record: its place, its value. It keeps what is in the new form already: a record that it moved may be shown to it
    /// again.
    pub rewrite: fn(&[u8], &[u8]) -> Rewrite,
}

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// It stays as it is.
    Keep,
    /// It goes to this place with this value; from its old place, if that is another, it is taken away.
    Put(Vec<u8>, Vec<u8>),
    /// It is taken away.
    Remove,
    /// It is not what a record of this version is.
    Malformed,
}

/// What a start would find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// A store of this version, or none.
    Current,
    /// An older one: what would be done, in words.
    Older(Vec<String>),
    /// A newer one, which it refuses: why, in words.
    Newer(String),
}

impl Layout {
    /// The version that the store in a folder has, as it was noted there; `None`: there is no store. It may be older than what is written there
    /// by now.
    ///
    /// # Errors
    /// When the folder can not be read.
    pub fn noted(store: &Path) -> io::Result<Option<u32>> {
        match fs::read_to_string(store.join(NOTE)) {
            Ok(text) => text.trim().parse().map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(store.join("db").exists().then_some(1))
            }
            Err(error) => Err(error),
        }
    }

    /// What a start would find in the data of a stopped or running program, as the store's folder notes it: whether it would refuse it, and what it
    /// would migrate.
    ///
    /// # Errors
    /// When the folder can not be read.
    pub fn look(&self, data: &Path) -> io::Result<Look> {
        Ok(match Self::noted(&store_folder(data))? {
            Some(found) if found > self.version => {
                Look::Newer(StoreError::LayoutNewer { found, known: self.version }.to_string())
            }
            Some(found) if found < self.version => Look::Older(self.steps_from(found)),
            Some(_) | None => Look::Current,
        })
    }

    /// What would be done with a store of this version, in words; nothing when it is up to date.
    #[must_use]
    pub fn steps_from(&self, found: u32) -> Vec<String> {
        let due = self.migrations.iter().filter(|migration| migration.to > found);
        due.map(|migration| format!("to version {}: {}", migration.to, migration.what)).collect()
    }
}

impl Durable {
    /// Brings the store in the folder `path`, which this is, up to the layout. What an earlier run began is gone on with. Blocking.
    ///
    /// # Errors
    /// When the store is newer, a record is not one of its version, or the disk fails; then the next opening goes on.
    pub fn bring_up_to(&self, layout: &Layout, path: &Path) -> Result<(), StoreError> {
        let found = match self.number_at(VERSION)? {
            Some(found) => found,
            None if self.inner.db.scan_prefix([DATA]).next().transpose()?.is_none() => {
                layout.version
            }
            None => 1,
        };
        if found > layout.version {
            return Err(StoreError::LayoutNewer { found, known: layout.version });
        }
        let mut at = found;
        for migration in layout.migrations.iter().filter(|migration| migration.to > found) {
            tracing::info!(to = migration.to, what = migration.what, "the store is migrated");
            self.migrate(migration)?;
            at = migration.to;
        }
        if at != layout.version {
            // A table with a hole in it: nothing is known of what is missing.
            return Err(StoreError::Corrupt { what: "no migration leads to this version" });
        }
        if self.number_at(VERSION)? != Some(at) {
            self.say(at)?;
        }
        if Layout::noted(path)? != Some(at) || !path.join(NOTE).exists() {
            dirs::replace(&path.join(NOTE), format!("{at}\n").as_bytes(), 0o600)?;
        }
        Ok(())
    }

    fn meta_key(place: &[u8]) -> Vec<u8> {
        [&[META][..], place].concat()
    }

    fn number_at(&self, place: &[u8]) -> Result<Option<u32>, StoreError> {
        let key = Self::meta_key(place);
        let Some(sealed) = self.inner.db.get(&key)? else { return Ok(None) };
        let value = self.inner.keys.open(&key, &sealed)?;
        let number = value.as_slice().try_into().map(u32::from_be_bytes);
        let no_number = |_| StoreError::Corrupt { what: "the layout is not a number" };
        number.map(Some).map_err(no_number)
    }

    /// Writes the version, and that no migration is under way.
    fn say(&self, version: u32) -> Result<(), StoreError> {
        let key = Self::meta_key(VERSION);
        let sealed = self.inner.keys.seal(&key, &version.to_be_bytes())?;
        self.apply(vec![(key, Some(sealed)), (Self::meta_key(MIGRATING), None)])?;
        self.make_durable()
    }

    fn migrate(&self, migration: &Migration) -> Result<(), StoreError> {
        let mark = Self::meta_key(MIGRATING);
        let mut from = vec![DATA];
        if let Some(sealed) = self.inner.db.get(&mark)? {
            let value = self.inner.keys.open(&mark, &sealed)?;
            let malformed = StoreError::Corrupt { what: "how far a migration has come" };
            let Some((to, done)) = value.split_first_chunk::<4>() else { return Err(malformed) };
            // Of this one; another has ended.
            if u32::from_be_bytes(*to) == migration.to {
                from = [done, &[0]].concat();
            }
        }
        let end = vec![DATA + 1];
        loop {
            let rows = self.inner.db.range(from.clone()..end.clone()).take(RECORDS_AT_ONCE);
            let rows = rows.collect::<Result<Vec<_>, _>>()?;
            let Some((last, _)) = rows.last() else { break };
            let last = last.to_vec();
            let mut changes = Vec::new();
            for (key, sealed) in rows {
                // What has no key any more reads as nothing, and is nothing to anybody.
                let Some(value) = self.opened(&key, &sealed)? else { continue };
                let place = place_of(&key);
                match (migration.rewrite)(&place, &value) {
                    Rewrite::Keep => {}
                    Rewrite::Remove => changes.push((key.to_vec(), None)),
                    Rewrite::Malformed => {
                        let what = "a record is not one of the version that is migrated";
                        return Err(StoreError::Corrupt { what });
                    }
                    Rewrite::Put(to, value) => {
                        if to != place {
                            changes.push((key.to_vec(), None));
                        }
                        let to = data_key(&to);
                        let (sealed, _) = self.seal(&to, &value)?;
                        changes.push((to, Some(sealed)));
                    }
                }
            }
            let done = [&migration.to.to_be_bytes()[..], &last].concat();
            changes.push((mark.clone(), Some(self.inner.keys.seal(&mark, &done)?)));
            self.apply(changes)?;
            self.make_durable()?;
            from = [&last[..], &[0]].concat();
        }
        self.say(migration.to)
    }
}

/// The folder of the store within a program's data.
#[must_use]
pub fn store_folder(data: &Path) -> PathBuf {
    data.join("store")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::{durable::Batch, secret::SecretBytes};

    const N_RECORDS: usize = 1000;

    static FAILS: AtomicBool = AtomicBool::new(false);
    static N_SHOWN: AtomicUsize = AtomicUsize::new(0);

    /// `a/…` becomes `b/…`, and says `new`; once it does not get beyond the 700th.
    fn renamed(place: &[u8], value: &[u8]) -> Rewrite {
        N_SHOWN.fetch_add(1, Ordering::SeqCst);
        let Some(rest) = place.strip_prefix(b"a/") else { return Rewrite::Keep };
        if rest == b"00700" && FAILS.swap(false, Ordering::SeqCst) {
            return Rewrite::Malformed;
        }
        Rewrite::Put([b"b/", rest].concat(), [value, b" new"].concat())
    }

    fn no_odd(place: &[u8], _: &[u8]) -> Rewrite {
        let is_odd = place.last().is_some_and(|last| last % 2 == 1);
        if is_odd { Rewrite::Remove } else { Rewrite::Keep }
    }

    const FIRST: Layout = Layout { version: 1, migrations: &[] };
    const THIRD: Layout = Layout {
        version: 3,
        migrations: &[
            Migration { to: 2, what: "a is called b", rewrite: renamed },
            Migration { to: 3, what: "odd ones go", rewrite: no_odd },
        ],
    };

    fn open(path: &Path) -> Durable {
        Durable::open(path, &SecretBytes::new([4; 32]), 1 << 20).unwrap()
    }

    fn filled(path: &Path) -> Durable {
        let store = open(path);
        for n in 0..N_RECORDS {
            let mut batch = Batch::new();
            batch.put(format!("a/{n:05}"), "old");
            store.commit(batch).unwrap();
        }
        store
    }

    #[test]
    fn a_store_without_a_version_is_version_1_and_a_newer_one_is_refused_and_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Layout::noted(dir.path()).unwrap(), None);
        let store = filled(dir.path());
        assert_eq!(Layout::noted(dir.path()).unwrap(), Some(1));
        store.bring_up_to(&FIRST, dir.path()).unwrap();
        assert_eq!(store.number_at(VERSION).unwrap(), Some(1));
        assert!(FIRST.steps_from(1).is_empty());
        let data = tempfile::tempdir().unwrap();
        assert_eq!(THIRD.look(data.path()).unwrap(), Look::Current);
        fs::create_dir(data.path().join("store")).unwrap();
        for (noted, looks) in
            [("3", Look::Current), ("2", Look::Older(vec!["to version 3: odd ones go".to_owned()]))]
        {
            fs::write(data.path().join("store").join(NOTE), noted).unwrap();
            assert_eq!(THIRD.look(data.path()).unwrap(), looks);
        }
        assert!(matches!(FIRST.look(data.path()).unwrap(), Look::Newer(_)));
        assert_eq!(
            THIRD.steps_from(1),
            ["to version 2: a is called b", "to version 3: odd ones go"]
        );
        store.say(4).unwrap();
        let refused = store.bring_up_to(&FIRST, dir.path());
        assert!(matches!(refused, Err(StoreError::LayoutNewer { found: 4, known: 1 })));
        assert_eq!(store.get(b"a/00001").unwrap().unwrap().as_slice(), b"old");
    }

    #[test]
    fn a_new_store_has_the_newest_layout() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let nothing = Layout { version: 3, migrations: &[] };
        store.bring_up_to(&nothing, dir.path()).unwrap();
        assert_eq!(Layout::noted(dir.path()).unwrap(), Some(3));
        // Nothing leads from 1 to 3 here.
        let dir = tempfile::tempdir().unwrap();
        assert!(filled(dir.path()).bring_up_to(&nothing, dir.path()).is_err());
    }

    #[test]
    fn a_migration_that_was_cut_off_goes_on_where_it_was_and_every_record_is_new_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = filled(dir.path());
        FAILS.store(true, Ordering::SeqCst);
        assert!(store.bring_up_to(&THIRD, dir.path()).is_err());
        assert_eq!(store.number_at(VERSION).unwrap(), None);
        drop(store);
        let store = open(dir.path());
        N_SHOWN.store(0, Ordering::SeqCst);
        store.bring_up_to(&THIRD, dir.path()).unwrap();
        // What was written before is not done again; those that it moved are looked at and kept.
        assert!(N_SHOWN.load(Ordering::SeqCst) < 2 * N_RECORDS - 256);
        let rows: Vec<_> = store.scan(b"").map(Result::unwrap).collect();
        assert_eq!(rows.len(), N_RECORDS / 2);
        assert!(
            rows.iter().all(|(place, value)| {
                place.starts_with(b"b/") && value.as_slice() == b"old new"
            })
        );
        assert_eq!(Layout::noted(dir.path()).unwrap(), Some(3));
        // And again it does nothing.
        store.bring_up_to(&THIRD, dir.path()).unwrap();
    }
}
