//! The agency's own records, as the node reads them: people, entries about them, standing ratings.
//!
//! They lie in the node's store, or in a store of their own that the nodes of several partnerships read within one process: an
//! agency that is a party of several loads its records once. Only records are there. What a partnership has asked, what was
//! answered, which tokens were enrolled with its hub, stays in each node's own store, under each node's own key.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use anyhow::Context as _;
use brag_common::{
    durable::{Durable, StoreError, store_folder},
    id::CategoryCode,
    release::DetailKey,
    secret::SecretBytes,
    store_key,
};
use tokio::sync::watch;

use super::{
    CACHE_BYTES, LAYOUT, Store, get, hex, scan, shape,
    shapes::{EntryRecord, PersonRecord, StandingRating},
};
use crate::config::RecordsConfig;

/// Where the agency's own records lie. Clones are the same.
#[derive(Debug, Clone)]
pub struct Records {
    db: Durable,
    details: Arc<DetailKey>,
    /// Held by whoever writes records.
    importing: Arc<tokio::sync::Mutex<()>>,
    /// Tells that people have changed.
    changed: Arc<watch::Sender<()>>,
}

impl Records {
    /// In a node's own store, under its key.
    pub(super) fn within(db: Durable, key: &SecretBytes<32>) -> Self {
        let (importing, changed) = (Arc::default(), Arc::new(watch::Sender::new(())));
        Self { db, details: Arc::new(DetailKey::derive(key)), importing, changed }
    }

    /// In a store of their own, made when there is none.
    ///
    /// # Errors
    /// When another process uses it, the key is another's, or the disk fails.
    pub fn open(config: &RecordsConfig) -> anyhow::Result<Self> {
        let data = config.data.as_path();
        let key = store_key::open(data, config.key.as_path())?;
        let folder = store_folder(data);
        let db = Durable::open(&folder, &key, CACHE_BYTES)?;
        db.bring_up_to(&LAYOUT, &folder)?;
        Ok(Self::within(db, &key))
    }
}

/// The stores of records that this process has open, by folder: nodes that name the same one share it.
#[derive(Debug, Default)]
pub struct SharedRecords(Mutex<BTreeMap<PathBuf, (PathBuf, Records)>>);

impl SharedRecords {
    /// The store of records that a configuration names.
    ///
    /// # Errors
    /// When it can not be opened, or is open under another key file.
    pub fn open(&self, config: &RecordsConfig) -> anyhow::Result<Records> {
        let (data, key) = (config.data.as_path(), config.key.as_path());
        fs::create_dir_all(data)
            .with_context(|| format!("can not make the folder `{}`", data.display()))?;
        let place = real(data)?;
        let key_file = real(key)?;
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((with, records)) = open.get(&place) {
            anyhow::ensure!(
                *with == key_file,
                "[records] of two configurations name `{}` with two key files: `{}` and `{}`; name the same one",
                data.display(),
                with.display(),
                key_file.display()
            );
            return Ok(records.clone());
        }
        let records = Records::open(config)
            .with_context(|| format!("the agency's records in `{}`", data.display()))?;
        open.insert(place, (key_file, records.clone()));
        Ok(records)
    }

    /// How many stores of records are open.
    #[must_use]
    pub fn n_open(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn real(path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize().with_context(|| format!("`{}`", path.display()))
}

impl Store {
    /// The database of the agency's own records, for bulk loading.
    #[must_use]
    pub const fn records(&self) -> &Durable {
        &self.records.db
    }

    /// Held while records are written by a running program: one connector at a time, of whichever partnership.
    #[must_use]
    pub fn importing(&self) -> &tokio::sync::Mutex<()> {
        &self.records.importing
    }

    /// People of the records have changed: tells every node that reads them.
    pub fn people_changed(&self) {
        self.records.changed.send_replace(());
    }

    /// Hears of changes of people from here on.
    #[must_use]
    pub fn changes_of_people(&self) -> watch::Receiver<()> {
        self.records.changed.subscribe()
    }

    /// How often it was asked so far what is held in a category about a person. An answer that must not depend on that
    /// has not asked.
    #[must_use]
    pub fn n_detail_reads(&self) -> u64 {
        self.n_detail_reads.load(Ordering::Relaxed)
    }

    /// The key under which detail is withheld.
    #[must_use]
    pub fn detail_key(&self) -> &DetailKey {
        &self.records.details
    }

    /// Blinds an id of the agency's own systems, for use in a place.
    #[must_use]
    pub fn blind(&self, label: &str, id: &str) -> String {
        hex(&self.records.db.blind(label, id.as_bytes()))
    }

    /// A person of the agency's records.
    ///
    /// # Errors
    /// When the store fails.
    pub fn person(&self, record: u64) -> Result<Option<PersonRecord>, StoreError> {
        get(&self.records.db, &person_place(record))
    }

    /// Every person of the agency's records, by record number.
    pub fn people(&self) -> impl Iterator<Item = Result<(u64, PersonRecord), StoreError>> + '_ {
        self.records.db.scan(b"person/").map(|row| {
            let (place, bytes) = row?;
            let record = place
                .get(b"person/".len()..)
                .and_then(|rest| std::str::from_utf8(rest).ok())
                .and_then(|rest| u64::from_str_radix(rest, 16).ok())
                .ok_or_else(shape)?;
            let person = serde_json::from_slice(&bytes).map_err(|_| shape())?;
            Ok((record, person))
        })
    }

    /// The record number of a person by the agency's own id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn record_of(&self, source_id: &str) -> Result<Option<u64>, StoreError> {
        get(&self.records.db, &self.source_place(source_id))
    }

    /// Entries of one category about one person.
    ///
    /// # Errors
    /// When the store fails.
    pub fn entries(
        &self,
        record: u64,
        category: CategoryCode,
    ) -> Result<Vec<EntryRecord>, StoreError> {
        self.n_detail_reads.fetch_add(1, Ordering::Relaxed);
        let found = scan(&self.records.db, &format!("entry/{record:016x}/{category}/"))?;
        Ok(found.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Every entry about one person, by category, in the order of the codes.
    ///
    /// # Errors
    /// When the store fails.
    pub fn entries_of(
        &self,
        record: u64,
    ) -> Result<BTreeMap<CategoryCode, Vec<EntryRecord>>, StoreError> {
        self.n_detail_reads.fetch_add(1, Ordering::Relaxed);
        let mut found: BTreeMap<CategoryCode, Vec<EntryRecord>> = BTreeMap::new();
        for (_, entry) in scan::<EntryRecord>(&self.records.db, &format!("entry/{record:016x}/"))? {
            found.entry(entry.category).or_default().push(entry);
        }
        Ok(found)
    }

    /// One entry by its place.
    ///
    /// # Errors
    /// When the store fails.
    pub fn entry(&self, place: &str) -> Result<Option<EntryRecord>, StoreError> {
        get(&self.records.db, place)
    }

    /// The standing rating of a person.
    ///
    /// # Errors
    /// When the store fails.
    pub fn standing_rating(&self, record: u64) -> Result<Option<StandingRating>, StoreError> {
        get(&self.records.db, &standing_place(record))
    }

    /// The place of the record number of a person by the agency's own id.
    #[must_use]
    pub fn source_place(&self, source_id: &str) -> String {
        format!("source/{}", self.blind("source", source_id))
    }
}

/// The place of a person of the agency's records.
#[must_use]
pub fn person_place(record: u64) -> String {
    format!("person/{record:016x}")
}

/// The place of a standing rating.
#[must_use]
pub fn standing_place(record: u64) -> String {
    format!("standing/{record:016x}")
}
