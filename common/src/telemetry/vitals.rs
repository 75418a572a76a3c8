//! How a program is: measured now and then, and shown as gauges. Numbers, sizes and times; nothing about anybody.

use std::{path::Path, sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge, info::Info},
};

use super::{Metrics, traces};
use crate::{
    alert::watched::WatchedLog,
    durable::Durable,
    machine::{self, Space},
    time::Timestamp,
    witness::cosigned::Cosigned,
};

/// How often a program measures itself. A question of its own costs more than these figures change.
pub const MEASURE_EVERY: Duration = Duration::from_secs(15);

/// Seconds since 1970, with fractions; 0 before the first.
pub type SecondsGauge = Gauge<f64, AtomicU64>;

/// A moment as a gauge has it; milliseconds since 1970 are far below the 2^53 that it has exactly.
#[must_use]
pub fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

/// A number as a gauge has it: the greatest there is where it is greater.
#[must_use]
pub fn whole<N: TryInto<i64>>(number: N) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPart {
    part: &'static str,
}

/// The figures that hub and node both have.
#[derive(Debug, Clone, Default)]
pub struct Vitals {
    ready: Gauge,
    available: Family<OfPart, Gauge>,
    started: SecondsGauge,
    measured: SecondsGauge,
    log_entries: Gauge,
    log_bytes: Gauge,
    log_appended: SecondsGauge,
    log_uncosigned: Gauge,
    store_bytes: Gauge,
    disk_bytes: Gauge,
    disk_free_bytes: Gauge,
    agreement_version: Gauge,
    agreement_ends: SecondsGauge,
}

/// What is measured, as a program has it at the moment.
#[derive(Debug)]
pub struct Present {
    /// The moment.
    pub now: Timestamp,
    /// Whether it serves.
    pub is_ready: bool,
    /// The version of the agreement that holds.
    pub agreement_version: u32,
    /// Until when it holds at most.
    pub agreement_ends: Timestamp,
}

impl Vitals {
    /// Gauges, shown by `metrics`.
    #[must_use]
    pub fn register(metrics: &Metrics, version: &'static str, started: Timestamp) -> Self {
        let new = Self::default();
        metrics.register("build", "The program's version", Info::new(vec![("version", version)]));
        let gauges: [(&str, &str, &Gauge); 7] = [
            ("ready", "Whether it serves: 1, or 0", &new.ready),
            (
                "audit_log_entries",
                "Entries of the audit log, through all its shards",
                &new.log_entries,
            ),
            ("audit_log_bytes", "Bytes of the shard that is written", &new.log_bytes),
            (
                "audit_log_uncosigned_entries",
                "Entries that nobody whose word counts has seen yet",
                &new.log_uncosigned,
            ),
            ("store_bytes", "Bytes of the store", &new.store_bytes),
            ("disk_bytes", "Bytes of the disk that holds the data", &new.disk_bytes),
            (
                "disk_free_bytes",
                "Bytes of it that the program may still write",
                &new.disk_free_bytes,
            ),
        ];
        for (name, help, gauge) in gauges {
            metrics.register(name, help, gauge.clone());
        }
        let times: [(&str, &str, &SecondsGauge); 4] = [
            ("start_time_seconds", "When the program started, in seconds since 1970", &new.started),
            ("measured_time_seconds", "When these gauges were last measured", &new.measured),
            (
                "audit_log_last_append_time_seconds",
                "When the newest entry of the audit log became durable",
                &new.log_appended,
            ),
            (
                "agreement_end_time_seconds",
                "Until when the agreement that holds holds at most",
                &new.agreement_ends,
            ),
        ];
        for (name, help, gauge) in times {
            metrics.register(name, help, gauge.clone());
        }
        metrics.register(
            "agreement_version",
            "The version of the agreement that holds",
            new.agreement_version.clone(),
        );
        for part in ["audit_log", "store"] {
            drop(new.available.get_or_create(&OfPart { part }));
        }
        metrics.register(
            "writable",
            "Whether a part can be written: 1, or 0",
            new.available.clone(),
        );
        new.started.set(seconds(started));
        traces::register(metrics);
        new
    }

    /// Measures. Blocks on the disk.
    pub fn measure(
        &self,
        present: &Present,
        data: &Path,
        log: &WatchedLog,
        cosigned: &Cosigned,
        store: &Durable,
    ) {
        self.ready.set(i64::from(present.is_ready));
        let available = |part, is: bool| {
            self.available.get_or_create(&OfPart { part }).set(i64::from(is));
        };
        available("audit_log", log.is_available());
        available("store", store.is_available());
        let audit = log.audit();
        let n_entries = audit.n_entries();
        self.log_entries.set(whole(n_entries));
        self.log_uncosigned.set(whole(n_entries.saturating_sub(cosigned.size())));
        if let Some(at) = log.last_append() {
            self.log_appended.set(seconds(at));
        }
        // What the system does not say stays as it was; `measured` tells that it was asked.
        if let Ok(bytes) = machine::bytes_below(audit.dir()) {
            self.log_bytes.set(whole(bytes));
        }
        if let Ok(bytes) = store.size_on_disk() {
            self.store_bytes.set(whole(bytes));
        }
        if let Ok(space) = Space::of(data) {
            self.disk_bytes.set(whole(space.total));
            self.disk_free_bytes.set(whole(space.free));
        }
        self.agreement_version.set(i64::from(present.agreement_version));
        self.agreement_ends.set(seconds(present.agreement_ends));
        self.measured.set(seconds(present.now));
    }
}
