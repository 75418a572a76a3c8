//! Where rows go.

use std::{collections::HashMap, error::Error, fmt};

use brag_common::matching::identity::Identity;

use super::{Entry, ImportItem, Rating, SourceId};

/// What storing an item did, or would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It was not known.
    New,
    /// It replaced an earlier state.
    Changed,
    /// It was known as it is.
    Unchanged,
}

/// The store failed.
#[derive(Debug, thiserror::Error)]
#[error("the store failed")]
pub struct SinkError(#[source] pub Box<dyn Error + Send + Sync>);

/// A store of an agency's records.
///
/// A person is identified by its source id, an entry by its person and [`Entry::key`], a rating by its person. `put` of an
/// item that is there already, equal in every part, is [`Put::Unchanged`] and writes nothing.
pub trait RecordSink {
    /// Whether a person with this id is stored.
    ///
    /// # Errors
    /// When the store can not be read.
    fn knows(&self, person: &SourceId) -> Result<bool, SinkError>;

    /// What [`Self::put`] would do with the item.
    ///
    /// # Errors
    /// When the store can not be read.
    fn compare(&self, item: &ImportItem) -> Result<Put, SinkError>;

    /// Stores the item.
    ///
    /// # Errors
    /// When the store can not be read or written.
    fn put(&mut self, item: ImportItem) -> Result<Put, SinkError>;
}

/// A store in memory, for tests and for looking at a file.
#[derive(Default)]
pub struct MemorySink {
    /// People by source id.
    pub people: HashMap<SourceId, Identity>,
    /// Entries by person and key.
    pub entries: HashMap<(SourceId, [u8; 32]), Entry>,
    /// Standing ratings by person.
    pub ratings: HashMap<SourceId, Rating>,
}

fn difference<T: PartialEq>(stored: Option<&T>, item: &T) -> Put {
    match stored {
        None => Put::New,
        Some(stored) if stored == item => Put::Unchanged,
        Some(_) => Put::Changed,
    }
}

impl RecordSink for MemorySink {
    fn knows(&self, person: &SourceId) -> Result<bool, SinkError> {
        Ok(self.people.contains_key(person))
    }

    fn compare(&self, item: &ImportItem) -> Result<Put, SinkError> {
        Ok(match item {
            ImportItem::Person { source_id, identity } => {
                difference(self.people.get(source_id), identity.as_ref())
            }
            ImportItem::Entry(entry) => {
                difference(self.entries.get(&(entry.person.clone(), entry.key())), entry)
            }
            ImportItem::Rating(rating) => difference(self.ratings.get(&rating.person), rating),
        })
    }

    fn put(&mut self, item: ImportItem) -> Result<Put, SinkError> {
        let put = self.compare(&item)?;
        match item {
            ImportItem::Person { source_id, identity } => {
                self.people.insert(source_id, *identity);
            }
            ImportItem::Entry(entry) => {
                self.entries.insert((entry.person.clone(), entry.key()), entry);
            }
            ImportItem::Rating(rating) => {
                self.ratings.insert(rating.person.clone(), rating);
            }
        }
        Ok(put)
    }
}

impl fmt::Debug for MemorySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemorySink([personal])")
    }
}
