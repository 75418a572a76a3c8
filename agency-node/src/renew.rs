//! Enrolment by a running node: when a screening tells of a newer epoch, everybody is enrolled in it while screening
//! goes on with the old one. What does not succeed is tried again when the next screening tells.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use brag_common::matching::token::Epoch;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::{
    enrol::{self, Enrolling},
    node::Shared,
};

/// The newest epoch that the hub has told of.
#[derive(Debug, Default)]
pub struct Told {
    newest: AtomicU64,
    changed: Notify,
}

impl Told {
    /// The hub tells of an epoch, perhaps again.
    pub fn of(&self, epoch: Epoch) {
        self.newest.fetch_max(epoch.0, Ordering::SeqCst);
        self.changed.notify_one();
    }

    /// The newest that it has told of; 0: none since the start.
    #[must_use]
    pub fn newest(&self) -> Epoch {
        Epoch(self.newest.load(Ordering::SeqCst))
    }
}

/// Enrols at the hub whenever it is told, until `shutdown`.
pub async fn run(shared: Arc<Shared>, hub: Channel, shutdown: CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = shared.told.changed.notified() => {}
        }
        // A node that has never enrolled is not screened, and its operator begins.
        if shared.index.newest_epoch().is_none_or(|known| known >= shared.told.newest()) {
            continue;
        }
        let enrolling = Enrolling {
            store: &shared.store,
            log: shared.log.audit(),
            stamp: shared.stamp(),
            data: shared.config.data.as_path(),
        };
        // Dropped in the middle it loses nothing that the hub has answered.
        let outcome = tokio::select! {
            () = shutdown.cancelled() => return,
            outcome = enrol::enrol(&enrolling, hub.clone(), |_| ()) => outcome,
        };
        match outcome {
            Ok(done) => tracing::info!(epoch = done.epoch.0, "enrolled in a new epoch"),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "can not enrol in the new epoch")
            }
        }
    }
}
