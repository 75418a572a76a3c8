//! The figures that a node shows of itself beside those that every program has: how much waits, how many people are enrolled, and when
//! the hub was last heard of. How many, never who.

use std::sync::Arc;

use brag_common::{
    durable::StoreError,
    telemetry::{
        Metrics,
        vitals::{MEASURE_EVERY, Present, SecondsGauge, Vitals, seconds, whole},
    },
    time::Timestamp,
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
};
use tokio_util::sync::CancellationToken;

use crate::{
    enrol,
    node::Shared,
    store::{Store, shapes::Standing},
};

/// Measurements between two counts of the people: counting a million takes a moment, and they change with an import or an enrolment only.
const COUNT_PEOPLE_EVERY: u32 = 240;

/// What waits for people of the agency, in the order of the labels.
const WAITING: [&str; 4] = ["rate", "identity", "linked", "review"];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// A node's gauges.
#[derive(Debug, Clone)]
pub struct Gauges {
    vitals: Vitals,
    outbox: Gauge,
    worklist: Family<Kind, Gauge>,
    people: Gauge,
    enrolled: Gauge,
    epoch: Gauge,
    told: Gauge,
    called: SecondsGauge,
    answered: SecondsGauge,
}

impl Gauges {
    /// Gauges at zero, shown by `metrics`, of a node that started then.
    #[must_use]
    pub fn register(metrics: &Metrics, started: Timestamp) -> Self {
        let new = Self {
            vitals: Vitals::register(metrics, env!("CARGO_PKG_VERSION"), started),
            outbox: Gauge::default(),
            worklist: Family::default(),
            people: Gauge::default(),
            enrolled: Gauge::default(),
            epoch: Gauge::default(),
            told: Gauge::default(),
            called: SecondsGauge::default(),
            answered: SecondsGauge::default(),
        };
        for kind in WAITING {
            drop(new.worklist.get_or_create(&Kind { kind }));
        }
        let gauges: [(&str, &str, &Gauge); 5] = [
            ("outbox_entries", "Deliveries that wait for the hub", &new.outbox),
            ("people", "People of the agency's records", &new.people),
            ("people_enrolled", "People of whom a token stands in the newest epoch", &new.enrolled),
            ("enrolment_epoch", "The newest epoch of the index; 0: never enrolled", &new.epoch),
            (
                "enrolment_epoch_told",
                "The newest epoch that the hub has told of since the start",
                &new.told,
            ),
        ];
        for (name, help, gauge) in gauges {
            metrics.register(name, help, gauge.clone());
        }
        metrics.register(
            "worklist_entries",
            "What waits for people of the agency, by kind of work",
            new.worklist.clone(),
        );
        metrics.register(
            "hub_last_call_time_seconds",
            "When the hub last called; 0: not since the start",
            new.called.clone(),
        );
        metrics.register(
            "hub_last_answer_time_seconds",
            "When the hub last answered; 0: not since the start",
            new.answered.clone(),
        );
        new
    }

    /// Measures all but what takes a scan of every person.
    pub async fn measure(&self, shared: &Arc<Shared>) {
        let (gauges, host) = (self.clone(), Arc::clone(shared));
        let measured = shared.store.run(move |store| gauges.look(&host, store)).await;
        if let Err(error) = measured {
            tracing::warn!(code = error.code(), "the store can not be measured");
        }
    }

    async fn count_people(&self, shared: &Shared) {
        let counted = shared.store.run(|store| {
            Ok::<_, StoreError>((enrol::count_people(store)?, enrol::count_enrolled(store)?))
        });
        if let Ok((people, enrolled)) = counted.await {
            self.people.set(whole(people));
            self.enrolled.set(whole(enrolled));
        }
    }

    /// Measures now and then until `shutdown`.
    pub async fn run(self, shared: Arc<Shared>, shutdown: CancellationToken) {
        let mut turns = 0;
        let mut counted_in = None;
        loop {
            let epoch = shared.index.newest_epoch();
            if turns == 0 || epoch != counted_in {
                self.count_people(&shared).await;
                counted_in = epoch;
            }
            turns = (turns + 1) % COUNT_PEOPLE_EVERY;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(MEASURE_EVERY) => {}
            }
            self.measure(&shared).await;
        }
    }

    fn look(&self, shared: &Shared, store: &Store) -> Result<(), StoreError> {
        let now = shared.clock.now();
        let agreement = shared.agreement.agreement();
        let present = Present {
            now,
            is_ready: shared.log.is_available()
                && shared.store.durable().is_available()
                && shared.store.records().is_available()
                && shared.in_force().is_ok(),
            agreement_version: agreement.version(),
            agreement_ends: agreement.ends(),
        };
        let data = shared.config.data.as_path();
        self.vitals.measure(&present, data, &shared.log, &shared.cosigned, store.durable());
        let [mut rate, mut identity, mut linked] = [0, 0, 0];
        for (enquiry, _) in store.enquiries()? {
            for (_, known) in store.people_in(&enquiry)? {
                match known.standing {
                    Standing::ToRate => rate += 1,
                    Standing::IdentityReview => identity += 1,
                    Standing::Linked => linked += 1,
                    Standing::Rated | Standing::Declined | Standing::Different => {}
                }
            }
        }
        let reviews = store.reviews()?.into_iter();
        let review = reviews.filter(|(_, one)| one.ended.is_none() && one.decide_by > now).count();
        for (kind, n) in WAITING.into_iter().zip([rate, identity, linked, whole(review)]) {
            self.worklist.get_or_create(&Kind { kind }).set(n);
        }
        self.outbox.set(whole(store.outgoing()?.len()));
        self.epoch.set(shared.index.newest_epoch().map_or(0, |epoch| whole(epoch.0)));
        self.told.set(whole(shared.told.newest().0));
        let at = |ms| Timestamp::from_millisecond(ms).map_or(0.0, seconds);
        self.called.set(at(shared.running.last_called()));
        self.answered.set(at(shared.running.last_answered()));
        Ok(())
    }
}
