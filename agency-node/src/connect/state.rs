//! What of a connector is durable: how far it has come, what the log has not been told yet, and its last run.
//!
//! | place | value |
//! |---|---|
//! | `connector/<name>` | marks, rows that are not recorded yet, the last run |
//! | `to-enrol`, with the records | grows each time a connector is about to change people |
//! | `enrolled-to` | what it was when the last enrolment began that came to its end; the same: everybody who changed has been enrolled |
//!
//! Nothing here is about anybody: marks are times and numbers of the other system.

use std::collections::BTreeMap;

use brag_common::{
    durable::{Batch, Durable, StoreError},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use super::config::ConnectorName;
use crate::{
    records::{Rejected, Rows},
    store::Store,
};

const TO_ENROL: &str = "to-enrol";
const ENROLLED_TO: &str = "enrolled-to";

/// What is kept of a connector.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorState {
    /// How far each part of the source has come.
    #[serde(default)]
    pub marks: BTreeMap<String, String>,
    /// Rows that were stored, or were about to be, and that the log has not been told of.
    #[serde(default)]
    pub unrecorded: u64,
    /// The last run; absent: there was none.
    #[serde(default)]
    pub last: Option<RunReport>,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// When it ended.
    pub at: Timestamp,
    /// Why it was given up; absent: it came to the end of what there was.
    pub failure: Option<String>,
    /// Files that were read to their end; 0 for a source that has none.
    pub files: usize,
    /// Rows.
    pub rows: Rows,
    /// Rows that the mapping makes nothing of.
    pub passed_over: u64,
    /// The first rejects.
    pub rejects: Vec<Rejected>,
}

impl RunReport {
    /// A run that has just begun.
    #[must_use]
    pub fn begun(at: Timestamp) -> Self {
        Self {
            at,
            failure: None,
            files: 0,
            rows: Rows::default(),
            passed_over: 0,
            rejects: Vec::new(),
        }
    }
}

impl ConnectorState {
    /// The state of a connector; a new one when there is none.
    ///
    /// # Errors
    /// When the store fails, or what it holds is not a state.
    pub fn read(store: &Store, name: &ConnectorName) -> Result<Self, StoreError> {
        let damaged = StoreError::Corrupt { what: "a connector's state does not have its shape" };
        match store.durable().get(place(name).as_bytes())? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|_| damaged),
            None => Ok(Self::default()),
        }
    }

    /// Keeps it, durably.
    ///
    /// # Errors
    /// When the store fails.
    pub fn keep(&self, store: &Store, name: &ConnectorName) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(place(name), self.encode()?);
        store.durable().commit(batch)
    }

    /// Keeps it before people change: from here on somebody has to be enrolled.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn keep_before_people_change(
        &self,
        store: &Store,
        name: &ConnectorName,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(
            TO_ENROL,
            number(store.records(), TO_ENROL)?.wrapping_add(1).to_be_bytes().to_vec(),
        );
        // Before the state: cut off here, somebody is enrolled who has not changed.
        store.records().commit(batch)?;
        self.keep(store, name)
    }

    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let damaged = StoreError::Corrupt { what: "a connector's state can not be encoded" };
        serde_json::to_vec(self).map_err(|_| damaged)
    }
}

fn place(name: &ConnectorName) -> String {
    format!("connector/{name}")
}

/// Which change of people waits for an enrolment; `None`: none does.
///
/// # Errors
/// When the store fails.
pub fn to_enrol(store: &Store) -> Result<Option<u64>, StoreError> {
    let change = number(store.records(), TO_ENROL)?;
    Ok((change != number(store.durable(), ENROLLED_TO)?).then_some(change))
}

/// A number; nought when there is none, or it does not have its shape: then everybody who may have changed is enrolled once more.
fn number(db: &Durable, place: &str) -> Result<u64, StoreError> {
    let bytes = db.get(place.as_bytes())?;
    Ok(bytes.and_then(|bytes| bytes.as_slice().try_into().ok()).map_or(0, u64::from_be_bytes))
}

/// An enrolment that began at `change` has come to its end; what changed since waits on.
///
/// # Errors
/// When the store fails.
pub(crate) fn enrolled(store: &Store, change: u64) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    batch.put(ENROLLED_TO, change.to_be_bytes().to_vec());
    store.durable().commit(batch)
}
