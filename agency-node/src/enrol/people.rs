//! Who is to be enrolled: people whose identity the kept batches do not have, in batches of whole people.

use brag_common::{
    durable::StoreError,
    matching::{
        identity::CanonicalIdentity,
        keys::{MatchKey, enrolment_keys},
        token::BATCH,
    },
};
use tokio::sync::mpsc::Sender;

use super::kept::Done;
use crate::store::Store;

/// A digest of a person's identity under the store's key.
pub(super) type IdentityDigest = [u8; 16];

/// The keys of some people, in order.
#[derive(Default)]
pub(super) struct Batch {
    /// The keys of all.
    pub(super) keys: Vec<MatchKey>,
    /// Record, digest of the identity, and number of keys, for each person.
    pub(super) people: Vec<(u64, IdentityDigest, usize)>,
}

/// What reading came to.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    /// People put into batches.
    pub(super) n_evaluated: u64,
    /// People without any key.
    pub(super) n_without_keys: u64,
}

/// Sends everybody who is not done yet. Blocks; ends early when nobody receives any more.
///
/// # Errors
/// When the store fails.
pub(super) fn read_batches(
    store: &Store,
    done: &Done,
    to: &Sender<Batch>,
) -> Result<Counts, StoreError> {
    let mut counts = Counts::default();
    let mut batch = Batch::default();
    for person in store.people() {
        let (record, person) = person?;
        let digest = digest(store, &person.identity);
        if done.contains(record, &digest) {
            continue;
        }
        let damaged = StoreError::Corrupt { what: "an identity does not read back" };
        let identity = CanonicalIdentity::decode(&person.identity).map_err(|_| damaged)?;
        let keys = enrolment_keys(identity.identity());
        if keys.is_empty() {
            counts.n_without_keys += 1;
            continue;
        }
        if batch.keys.len() + keys.len() > BATCH
            && to.blocking_send(std::mem::take(&mut batch)).is_err()
        {
            return Ok(counts);
        }
        counts.n_evaluated += 1;
        batch.people.push((record, digest, keys.len()));
        batch.keys.extend(keys);
    }
    if !batch.keys.is_empty() {
        // Nobody receives any more: the run has failed, and says so itself.
        let _ = to.blocking_send(batch);
    }
    Ok(counts)
}

/// The digest under which a person counts as done.
pub(super) fn digest(store: &Store, identity: &[u8]) -> IdentityDigest {
    store.durable().blind("enrolled-identity", identity)
}
