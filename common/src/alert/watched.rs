//! The log with a watch over it: every entry that a program records is looked at as it becomes durable, in one place.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use super::{
    Alerts,
    oversight::Oversight,
    watch::{Due, Seen, Watch},
};
use crate::{
    audit::{
        AuditLog, LogError, Recordable, Recorded,
        entry::{Entry, EntryDraft},
    },
    time::{SharedClock, Timestamp},
};

/// A watch that the log's reading shows everything at the start, and the program everything after it.
#[derive(Debug, Clone)]
pub struct SharedWatch(Arc<Mutex<Watch>>);

impl SharedWatch {
    /// One that has seen nothing yet.
    #[must_use]
    pub fn new(oversight: &Oversight) -> Self {
        Self(Arc::new(Mutex::new(Watch::new(oversight))))
    }

    /// Shows it an entry of the log from before the program started.
    pub fn saw(&self, entry: &Entry) {
        self.with(|watch| drop(watch.see(&Seen::entry(entry))));
    }

    fn with<T>(&self, work: impl FnOnce(&mut Watch) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A program's audit log. What it records, and an alert that follows from it, are durable before the caller goes on.
///
/// The watch is told the time at which an entry has become durable, a moment after the one that the entry carries.
#[derive(Debug, Clone)]
pub struct WatchedLog {
    log: AuditLog,
    clock: SharedClock,
    watch: SharedWatch,
    alerts: Alerts,
    /// When the newest entry became durable, in milliseconds since 1970; 0: none has since the start.
    last: Arc<AtomicI64>,
}

impl WatchedLog {
    /// Puts a watch, which has been shown all that the log holds, over the log; raises what is due from before.
    ///
    /// # Errors
    /// When an alert can not be recorded.
    pub async fn new(
        log: AuditLog,
        clock: SharedClock,
        watch: SharedWatch,
        alerts: Alerts,
    ) -> Result<Self, LogError> {
        let due = watch.with(|watch| watch.due());
        let new = Self { log, clock, watch, alerts, last: Arc::default() };
        new.raise(due).await?;
        Ok(new)
    }

    /// The log itself: where it is, and whether it can be written.
    #[must_use]
    pub const fn audit(&self) -> &AuditLog {
        &self.log
    }

    /// As [`AuditLog::is_available`].
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.log.is_available()
    }

    /// When the newest entry became durable, if one has since the program started.
    #[must_use]
    pub fn last_append(&self) -> Option<Timestamp> {
        let last = self.last.load(Ordering::Relaxed);
        (last != 0).then(|| Timestamp::from_millisecond(last).ok()).flatten()
    }

    /// As [`AuditLog::record`], and raises what the entry makes due.
    ///
    /// When the future is dropped before the entry is durable, the entry may stand in the log and is not looked at before the next start;
    /// nothing follows from it either.
    ///
    /// # Errors
    /// As [`AuditLog::record`]; also when an alert can not be recorded.
    pub async fn record<T: Recordable>(&self, value: T) -> Result<Recorded<T>, LogError> {
        let recorded = self.log.record(value).await?;
        let due = self.see([(recorded.number(), recorded.get().entry())]);
        self.raise(due).await?;
        Ok(recorded)
    }

    /// As [`AuditLog::record_all`], and raises what the entries make due.
    ///
    /// # Errors
    /// As [`WatchedLog::record`].
    pub async fn record_all<T: Recordable>(
        &self,
        values: Vec<T>,
    ) -> Result<Vec<Recorded<T>>, LogError> {
        let recorded = self.log.record_all(values).await?;
        let due = self.see(recorded.iter().map(|one| (one.number(), one.get().entry())));
        self.raise(due).await?;
        Ok(recorded)
    }

    fn see(&self, entries: impl IntoIterator<Item = (u64, EntryDraft)>) -> Vec<Due> {
        let now = self.clock.now();
        self.last.store(now.as_millisecond(), Ordering::Relaxed);
        self.watch.with(|watch| {
            entries
                .into_iter()
                .flat_map(|(seq, draft)| watch.see(&Seen::recorded(&draft, seq, now)))
                .collect()
        })
    }

    /// In a task of its own: a caller that goes away does not take the alert with it.
    async fn raise(&self, due: Vec<Due>) -> Result<(), LogError> {
        if due.is_empty() {
            return Ok(());
        }
        let this = self.clone();
        let raising = tokio::spawn(async move {
            for due in due {
                let draft = this.alerts.raise(due.alert, due.draft());
                let recorded = this.log.record(draft).await?;
                // An alert makes nothing else due: the rules do not look at those that they made.
                drop(this.see([(recorded.number(), recorded.into_inner())]));
            }
            Ok(())
        });
        raising.await.unwrap_or(Err(LogError::Unavailable))
    }
}
