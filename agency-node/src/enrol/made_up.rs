//! Tokens that no hub has made, for measuring what a large index costs without an hour of curve work.

use brag_common::{
    durable::StoreError,
    matching::token::Output,
    secret::{SecretBytes, random_bytes},
};
use tokio::sync::mpsc::channel;

use super::{
    kept::{self, Enrolled, Kept},
    people::read_batches,
};
use crate::store::Store;

/// Keeps random tokens for everybody who is not enrolled yet, as if the hub had evaluated their keys; gives how many
/// people that were. The node must be stopped and have enrolled before, in the epoch in which these will count.
/// Nobody will ever find these people. Blocks.
///
/// # Errors
/// When the store or the machine's randomness fails, or the node has never enrolled.
pub fn keep_made_up(store: &Store) -> Result<u64, StoreError> {
    let mut kept = Kept::open(store)?;
    let Some(epoch) = kept.pinned().map(|pinned| pinned.epoch) else {
        return Err(StoreError::Corrupt { what: "the node has never enrolled" });
    };
    let done = kept.done();
    let (send, mut receive) = channel(1);
    let reading = {
        let store = store.clone();
        std::thread::spawn(move || read_batches(&store, &done, &send))
    };
    let mut failed = None;
    let rows = std::iter::from_fn(|| {
        let batch = receive.blocking_recv()?;
        let outputs: Result<Vec<Output>, StoreError> =
            batch.keys.iter().map(|_| random()).collect();
        match outputs {
            Ok(outputs) => {
                Some(kept::row(epoch, kept.next_number(), &Enrolled::new(&batch, &outputs)))
            }
            Err(error) => {
                failed = Some(error);
                None
            }
        }
    });
    store.durable().load(rows)?;
    drop(receive);
    let counts = reading.join().map_err(|_| StoreError::Failed)??;
    failed.map_or(Ok(counts.n_evaluated), Err)
}

fn random() -> Result<Output, StoreError> {
    let random = || random_bytes().map_err(|_| StoreError::NoRandomness);
    Ok(Output { tag: random()?, secret: SecretBytes::new(random()?) })
}
