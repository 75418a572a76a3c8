//! What a task records while it answers a call, for the receipt of the call (see `witness/in_band.rs`).
//!
//! The handlers need not know: whoever runs one under [`noting`] gets, with its answer, the entries that it wrote.

use std::cell::RefCell;

use super::super::entry::Entry;
use crate::id::RequestId;

/// The most entries that are noted of one call; the last ones stay.
const MAX_NOTED: usize = 64;

tokio::task_local! {
    static NOTED: RefCell<Vec<NotedEntry>>;
}

/// An entry that is durable in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedEntry {
    /// How many entries stand in the shards before its own.
    pub base: u64,
    /// Its number in its shard.
    pub seq: u64,
    /// Its canonical bytes: what its leaf is the hash of.
    pub json: Box<[u8]>,
}

impl NotedEntry {
    /// The exchange that it tells of.
    #[must_use]
    pub fn exchange(&self) -> Option<RequestId> {
        Entry::decode(&self.json).ok()?.exchange
    }
}

/// Runs `work`, and gives what it recorded: the last entry of every write, in the order in which they were written. What a task
/// that it starts records is not among them, unless it is handed on with [`also_noting`].
pub async fn noting<T>(work: impl Future<Output = T>) -> (T, Vec<NotedEntry>) {
    NOTED
        .scope(RefCell::default(), async {
            let output = work.await;
            (output, NOTED.with(RefCell::take))
        })
        .await
}

/// Notes, for whoever runs this task under [`noting`], what a task that it started has recorded under `noting` of its own.
pub fn also_noting(noted: Vec<NotedEntry>) {
    for entry in noted {
        note(Some(entry));
    }
}

/// Whether whoever runs this task wants to know what it records.
pub(super) fn is_wanted() -> bool {
    NOTED.try_with(|_| ()).is_ok()
}

/// Notes the last entry of a write, where anybody wants to know.
pub(super) fn note(last: Option<NotedEntry>) {
    let Some(last) = last else { return };
    // Outside of a call that is to have a receipt nobody does.
    let _not_wanted = NOTED.try_with(|noted| {
        let mut noted = noted.borrow_mut();
        if noted.len() >= MAX_NOTED {
            noted.remove(0);
        }
        noted.push(last);
    });
}
