//! Enrolment by a running node: when a screening tells of a newer epoch, everybody is enrolled in it while screening
//! goes on with the old one; what does not succeed is tried again when the next screening tells. When a connector has
//! changed people, those are enrolled, at most every quarter of an hour, and tried again until it succeeds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use brag_common::{matching::token::Epoch, tls::Channel};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    connect::state,
    enrol::{self, Enrolling},
    node::Shared,
};

/// The least time between two enrolments because of connectors: each writes the whole index and asks the hub, which takes up
/// what is new once an hour.
const ENROL_EVERY: Duration = Duration::from_secs(15 * 60);

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
    let mut changes = shared.store.changes_of_people();
    // A change of people that no enrolment followed before the last stop.
    changes.mark_changed();
    let mut people_not_before = Instant::now();
    let mut again = None;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = shared.told.changed.notified() => {}
            // The store, which is held here, has the sender.
            _ = changes.changed() => {}
            () = until(again) => again = None,
        }
        // A node that has never enrolled is not screened, and its operator begins, or a connector does.
        let is_newer =
            shared.index.newest_epoch().is_some_and(|known| known < shared.told.newest());
        // Not while a connector writes: what it is about to change would be taken for enrolled. It tells when it has ended.
        let people = match shared.store.importing().try_lock() {
            Ok(_importing) => shared.store.run(state::to_enrol).await.unwrap_or_else(|error| {
                tracing::warn!(code = error.code(), "can not look whether people have changed");
                None
            }),
            Err(_) => None,
        };
        if !is_newer {
            match people {
                None => continue,
                Some(_) if Instant::now() < people_not_before => {
                    again = Some(people_not_before);
                    continue;
                }
                Some(_) => {}
            }
        }
        people_not_before = Instant::now() + ENROL_EVERY;
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
            Ok(done) => {
                tracing::info!(epoch = done.epoch.0, people = done.n_evaluated, "enrolled");
                if let Some(change) = people {
                    let noted = shared.store.run(move |store| state::enrolled(store, change)).await;
                    if let Err(error) = noted {
                        tracing::warn!(
                            code = error.code(),
                            "can not note that people are enrolled"
                        );
                    }
                }
            }
            Err(error) => tracing::warn!(error = format!("{error:#}"), "can not enrol"),
        }
        if people.is_some() {
            // To look again, whether it failed or people have changed meanwhile.
            again = Some(people_not_before);
        }
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
