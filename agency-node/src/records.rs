//! The agency's records in the durable store: where imported rows go.
//!
//! | place | value |
//! |---|---|
//! | `counter/record` | the first record number that was never given out |
//! | `source/<blinded id>` | record number of a person |
//! | `person/<record>` | the person |
//! | `where/<record>/<blinded key>` | category of an entry, to find it by its own id |
//! | `entry/<record>/<category>/<blinded key>` | the entry, its text withheld |
//! | `standing/<record>` | the standing rating |
//!
//! Rows are written in pieces, each value by itself, because large batches eat memory. INVARIANTS, so that a
//! second run completes whatever a kill interrupts:
//! - the counter is durable before a number below it is used, so no number means two people;
//! - `source/` is written before its `person/`, and `where/` before its `entry/`, so nothing is there that a later
//!   row would not find.

use std::collections::HashMap;

use brag_common::{
    durable::{Batch, StoreError},
    id::CategoryCode,
    release::{DetailPlace, Withheld},
};
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{
    import::{Entry, Flag, ImportItem, Put, Rating, RecordSink, SinkError, SourceId},
    store::{
        Store, person_place,
        shapes::{EntryRecord, PersonRecord, StandingRating},
        standing_place,
    },
};

mod load;
mod report;

#[cfg(test)]
mod tests;

pub(crate) use load::categories;
pub use load::{ImportJob, ImportProgress, Imported, import_files, import_for};
pub use report::{ImportReport, MAX_REJECTS, Rejected, Rows};

/// Record numbers taken from the counter at a time.
const NUMBERS_AT_ONCE: u64 = 1000;

/// A piece is written when it holds so many values …
const PIECE_VALUES: usize = 2_000;

/// … or so many bytes.
const PIECE_BYTES: usize = 4 * 1024 * 1024;

const COUNTER: &str = "counter/record";

/// Loads rows into a node's store. What was put is durable after [`StoreSink::flush`].
pub struct StoreSink {
    store: Store,
    /// What is not written yet, in the order of writing.
    pending: Vec<(String, Zeroizing<Vec<u8>>)>,
    /// Where each place is in `pending`.
    pending_at: HashMap<String, usize>,
    pending_bytes: usize,
    next: u64,
    /// Numbers below this are safe to give out.
    reserved: u64,
}

impl StoreSink {
    /// A sink into `store`.
    ///
    /// # Errors
    /// When the store can not be read.
    pub fn new(store: Store) -> Result<Self, StoreError> {
        let mut sink = Self {
            store,
            pending: Vec::new(),
            pending_at: HashMap::new(),
            pending_bytes: 0,
            next: 0,
            reserved: 0,
        };
        let next = sink.read::<u64>(COUNTER)?.unwrap_or(1);
        (sink.next, sink.reserved) = (next, next);
        Ok(sink)
    }

    /// Writes what is still held back.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        self.pending_at.clear();
        self.pending_bytes = 0;
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            self.store.records().load(pending)?;
        }
        Ok(())
    }

    fn read<T: DeserializeOwned>(&self, place: &str) -> Result<Option<T>, StoreError> {
        let decode = |bytes: &[u8]| {
            let damaged = StoreError::Corrupt { what: "a record does not have its shape" };
            serde_json::from_slice(bytes).map(Some).map_err(|_| damaged)
        };
        if let Some((_, bytes)) = self.pending_at.get(place).and_then(|at| self.pending.get(*at)) {
            return decode(bytes);
        }
        match self.store.records().get(place.as_bytes())? {
            Some(bytes) => decode(&bytes),
            None => Ok(None),
        }
    }

    fn write<T: Serialize>(&mut self, place: String, value: &T) -> Result<(), StoreError> {
        let bytes = Zeroizing::new(encode(value)?);
        self.pending_bytes += place.len() + bytes.len();
        self.pending_at.insert(place.clone(), self.pending.len());
        self.pending.push((place, bytes));
        Ok(())
    }

    fn flush_if_full(&mut self) -> Result<(), StoreError> {
        if self.pending.len() >= PIECE_VALUES || self.pending_bytes >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn record_of(&self, person: &SourceId) -> Result<Option<u64>, StoreError> {
        self.read(&self.store.source_place(person.as_str()))
    }

    fn next_record(&mut self) -> Result<u64, StoreError> {
        if self.next >= self.reserved {
            let reserved = self.next.saturating_add(NUMBERS_AT_ONCE);
            let mut batch = Batch::new();
            batch.put(COUNTER, encode(&reserved)?);
            self.store.records().commit(batch)?;
            self.reserved = reserved;
        }
        let record = self.next;
        self.next = record.saturating_add(1);
        Ok(record)
    }

    fn put_person(&mut self, id: &SourceId, person: &PersonRecord) -> Result<Put, StoreError> {
        let record = match self.record_of(id)? {
            Some(record) => record,
            None => {
                let record = self.next_record()?;
                self.write(self.store.source_place(id.as_str()), &record)?;
                record
            }
        };
        let put = difference(self.read(&person_place(record))?.as_ref(), person);
        if put != Put::Unchanged {
            self.write(person_place(record), person)?;
        }
        Ok(put)
    }

    /// How an entry compares with what is stored, and where that is.
    fn look_up(&self, record: u64, entry: &Entry) -> Result<(Put, EntryPlaces), StoreError> {
        let places = EntryPlaces::of(&self.store, record, entry);
        let Some(category) = self.read::<CategoryCode>(&places.locator)? else {
            return Ok((Put::New, places));
        };
        if category != entry.category {
            let moved_from = Some(places.in_category(record, category));
            return Ok((Put::Changed, EntryPlaces { moved_from, ..places }));
        }
        let put = match self.read::<EntryRecord>(&places.entry)? {
            None => Put::New,
            Some(stored) if stored.digest == self.digest(entry) => Put::Unchanged,
            Some(_) => Put::Changed,
        };
        Ok((put, places))
    }

    fn put_entry(&mut self, record: u64, entry: &Entry) -> Result<Put, StoreError> {
        let (put, places) = self.look_up(record, entry)?;
        if put == Put::Unchanged {
            return Ok(put);
        }
        let place = DetailPlace { record, category: entry.category };
        let withheld = Withheld::keep(self.store.detail_key(), place, &entry.text)
            .map_err(|_| StoreError::NoRandomness)?
            .into_sealed();
        let stored = EntryRecord {
            category: entry.category,
            withheld,
            third_party: entry.flags.contains(&Flag::ThirdParty),
            restricted: entry.flags.contains(&Flag::Restricted),
            // Whatever the marking says, the exchange can not keep its conditions for the holder.
            handling_code: entry.handling_code.is_some(),
            more_detrimental: false,
            digest: self.digest(entry),
        };
        match places.moved_from {
            // Another category: the old entry goes in the same step as the new one comes.
            Some(old) => {
                self.flush()?;
                let mut batch = Batch::new();
                batch.remove(old);
                batch.put(places.locator, encode(&entry.category)?);
                batch.put(places.entry, encode(&stored)?);
                self.store.records().commit(batch)?;
            }
            None => {
                if put == Put::New {
                    self.write(places.locator, &entry.category)?;
                }
                self.write(places.entry, &stored)?;
            }
        }
        Ok(put)
    }

    fn put_rating(&mut self, record: u64, rating: &Rating) -> Result<Put, StoreError> {
        let rating = standing(rating);
        let put = difference(self.read(&standing_place(record))?.as_ref(), &rating);
        if put != Put::Unchanged {
            self.write(standing_place(record), &rating)?;
        }
        Ok(put)
    }

    fn digest(&self, entry: &Entry) -> [u8; 16] {
        let mut bytes = Zeroizing::new(Vec::with_capacity(entry.text.len() + 64));
        for flag in &entry.flags {
            bytes.extend_from_slice(match flag {
                Flag::ThirdParty => b"third_party\0",
                Flag::Restricted => b"restricted\0",
            });
        }
        bytes.extend_from_slice(b"\0");
        if let Some(code) = &entry.handling_code {
            bytes.extend_from_slice(code.as_str().as_bytes());
        }
        bytes.extend_from_slice(b"\0");
        bytes.extend_from_slice(entry.text.as_bytes());
        self.store.records().blind("entry-digest", &bytes)
    }

    fn compare_item(&self, item: &ImportItem) -> Result<Put, StoreError> {
        let Some(record) = self.record_of(item.source_id())? else { return Ok(Put::New) };
        match item {
            ImportItem::Person { source_id, identity } => {
                let person = person(source_id, identity.canonical_bytes());
                Ok(difference(self.read(&person_place(record))?.as_ref(), &person))
            }
            ImportItem::Entry(entry) => Ok(self.look_up(record, entry)?.0),
            ImportItem::Rating(rating) => {
                Ok(difference(self.read(&standing_place(record))?.as_ref(), &standing(rating)))
            }
        }
    }

    fn put_item(&mut self, item: &ImportItem) -> Result<Put, StoreError> {
        let put = match item {
            ImportItem::Person { source_id, identity } => {
                self.put_person(source_id, &person(source_id, identity.canonical_bytes()))?
            }
            ImportItem::Entry(entry) => {
                let record = self.known(&entry.person)?;
                self.put_entry(record, entry)?
            }
            ImportItem::Rating(rating) => {
                let record = self.known(&rating.person)?;
                self.put_rating(record, rating)?
            }
        };
        self.flush_if_full()?;
        Ok(put)
    }

    /// The record that an entry or a rating is of; the import has made sure that there is one.
    fn known(&self, person: &SourceId) -> Result<u64, StoreError> {
        let missing = StoreError::Corrupt { what: "a person that was there is not" };
        self.record_of(person)?.ok_or(missing)
    }
}

impl std::fmt::Debug for StoreSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreSink").finish_non_exhaustive()
    }
}

impl RecordSink for StoreSink {
    fn knows(&self, person: &SourceId) -> Result<bool, SinkError> {
        let Some(record) = self.record_of(person).map_err(sink)? else { return Ok(false) };
        Ok(self.read::<PersonRecord>(&person_place(record)).map_err(sink)?.is_some())
    }

    fn compare(&self, item: &ImportItem) -> Result<Put, SinkError> {
        self.compare_item(item).map_err(sink)
    }

    fn put(&mut self, item: ImportItem) -> Result<Put, SinkError> {
        self.put_item(&item).map_err(sink)
    }
}

/// Where an entry is. Its key is blinded: it follows from the agency's id or from the text.
struct EntryPlaces {
    key: String,
    locator: String,
    entry: String,
    /// Where it was, when its category has changed.
    moved_from: Option<String>,
}

impl EntryPlaces {
    fn of(store: &Store, record: u64, entry: &Entry) -> Self {
        let key = store.records().blind("entry", &entry.key());
        let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        let locator = format!("where/{record:016x}/{key}");
        let mut places = Self { key, locator, entry: String::new(), moved_from: None };
        places.entry = places.in_category(record, entry.category);
        places
    }

    fn in_category(&self, record: u64, category: CategoryCode) -> String {
        format!("entry/{record:016x}/{category}/{}", self.key)
    }
}

fn person(id: &SourceId, identity: Vec<u8>) -> PersonRecord {
    PersonRecord { source_id: id.as_str().to_owned(), identity }
}

fn standing(rating: &Rating) -> StandingRating {
    StandingRating {
        colour: rating.colour,
        analysis: rating.analysis.as_str().to_owned(),
        topics: rating.tags.clone(),
        rated_by: rating.rated_by.clone(),
        rated_at: rating.rated_at,
    }
}

fn difference<T: PartialEq>(stored: Option<&T>, item: &T) -> Put {
    match stored {
        None => Put::New,
        Some(stored) if stored == item => Put::Unchanged,
        Some(_) => Put::Changed,
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let damaged = StoreError::Corrupt { what: "a record can not be encoded" };
    serde_json::to_vec(value).map_err(|_| damaged)
}

fn sink(error: StoreError) -> SinkError {
    SinkError(Box::new(error))
}
