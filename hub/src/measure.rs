//! The figures that the hub shows of itself beside those that every program has: how many enquiries are open, what waits, and which
//! agencies can be asked. How many, never who.

use std::sync::Arc;

use brag_common::{
    durable::StoreError,
    telemetry::{
        Metrics,
        vitals::{MEASURE_EVERY, Present, Vitals, whole},
    },
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
};

use crate::{hub::Shared, store::Store};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAgency {
    agency: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// The hub's gauges.
#[derive(Debug, Clone)]
pub struct Gauges {
    vitals: Vitals,
    enquiries: Gauge,
    waiting: Family<Kind, Gauge>,
    notices: Gauge,
    enrolled: Family<OfAgency, Gauge>,
    calls_free: Gauge,
}

/// Cells that wait, in the matrices of open enquiries; and enquiries whose clock has run out.
const CELLS: &str = "answer";
const OVERDUE: &str = "overdue_enquiry";

impl Gauges {
    /// Gauges at zero, shown by `metrics`.
    #[must_use]
    pub fn register(metrics: &Metrics, shared: &Shared) -> Self {
        let new = Self {
            vitals: Vitals::register(metrics, env!("CARGO_PKG_VERSION"), shared.clock.now()),
            enquiries: Gauge::default(),
            waiting: Family::default(),
            notices: Gauge::default(),
            enrolled: Family::default(),
            calls_free: Gauge::default(),
        };
        for kind in [CELLS, OVERDUE] {
            drop(new.waiting.get_or_create(&Kind { kind }));
        }
        for agency in shared.nodes.keys() {
            drop(new.enrolled.get_or_create(&OfAgency { agency: agency.to_string() }));
        }
        metrics.register("enquiries_open", "Enquiries that are not closed", new.enquiries.clone());
        metrics.register(
            "waiting",
            "What open enquiries wait for: answers of agencies, and those whose clock has run out",
            new.waiting.clone(),
        );
        metrics.register(
            "notices_waiting_agencies",
            "Agencies in enquiries for which notices wait to be delivered",
            new.notices.clone(),
        );
        metrics.register(
            "agency_can_be_screened",
            "Whether an agency has enrolled, so that it can be asked: 1, or 0",
            new.enrolled.clone(),
        );
        metrics.register(
            "calls_free",
            "Calls of nodes that may be made at once beside those under way",
            new.calls_free.clone(),
        );
        new
    }

    /// Measures.
    pub async fn measure(&self, shared: &Arc<Shared>) {
        let (gauges, host) = (self.clone(), Arc::clone(shared));
        let measured = shared.store.run(move |store| gauges.look(&host, store)).await;
        if let Err(error) = measured {
            tracing::warn!(code = error.code(), "the store can not be measured");
        }
    }

    /// Measures now and then until the hub stops.
    pub async fn run(self, shared: Arc<Shared>) {
        loop {
            tokio::select! {
                () = shared.shutdown.cancelled() => return,
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
                && shared.in_force().is_ok(),
            agreement_version: agreement.version(),
            agreement_ends: agreement.ends(),
        };
        let data = shared.config.data.as_path();
        self.vitals.measure(&present, data, &shared.log, &shared.cosigned, store.durable());
        let counts = shared.summaries.counts(now);
        self.enquiries.set(whole(counts.open));
        self.waiting.get_or_create(&Kind { kind: CELLS }).set(whole(counts.waiting));
        self.waiting.get_or_create(&Kind { kind: OVERDUE }).set(whole(counts.overdue));
        self.notices.set(whole(store.notices_wait_at()?.len()));
        for agency in shared.nodes.keys() {
            let can = store.epochs(agency)?.can_be_screened(now);
            let agency = agency.to_string();
            self.enrolled.get_or_create(&OfAgency { agency }).set(i64::from(can));
        }
        self.calls_free.set(whole(shared.calls.available_permits()));
        Ok(())
    }
}
