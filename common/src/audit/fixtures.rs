//! What the tests of the log share.

use std::{path::Path, sync::Arc};

use super::{
    chain::Origin,
    entry::{Action, Body, EntryDraft},
    storage::FileStorage,
    writer::{Identity, Writer},
};
use crate::{keys::SigningKey, secret::SecretBytes, time::SettableClock};

pub(crate) fn origin() -> Origin {
    "example/CSC/2027".parse().unwrap()
}

pub(crate) fn key() -> SigningKey {
    SigningKey::from_seed(SecretBytes::new([9; 32])).unwrap()
}

pub(crate) fn clock() -> Arc<SettableClock> {
    Arc::new(SettableClock::at("2027-01-02T03:04:05Z".parse().unwrap()))
}

pub(crate) fn identity(segment_bytes: u64) -> Identity {
    Identity { origin: origin(), key: Arc::new(key()), clock: clock(), segment_bytes }
}

/// An entry that can be told from others by its count.
pub(crate) fn draft(count: u64) -> EntryDraft {
    let mut draft = EntryDraft::new(Action::RateAnswered);
    draft.enquiry = Some("e1".parse().unwrap());
    draft.count = Some(count);
    draft
}

/// The same, encoded for the writer.
pub(crate) fn body(count: u64) -> Body {
    Body::of(draft(count), true)
}

/// A log of `n_entries` entries in several segments, each in a write of its own.
pub(crate) fn write_log(dir: &Path, n_entries: u64, segment_bytes: u64) {
    let n_writes = usize::try_from(n_entries).unwrap();
    write_log_in(dir, &vec![1; n_writes], segment_bytes);
}

/// A log of as many entries in each write.
pub(crate) fn write_log_in(dir: &Path, writes: &[u64], segment_bytes: u64) {
    let storage = FileStorage::open(dir, &origin(), &key().verifying_key()).unwrap();
    let (mut writer, _) = Writer::open(identity(segment_bytes), Box::new(storage)).unwrap();
    let mut counts = 0..;
    for n_entries in writes {
        let n_entries = usize::try_from(*n_entries).unwrap();
        let group: Vec<_> = counts.by_ref().take(n_entries).map(body).collect();
        writer.record(&group).unwrap();
    }
}
