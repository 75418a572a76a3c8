//! What the running node remembers of itself for its operator: since when it runs, and when it last heard from the hub and was
//! heard by it. In memory only.

use std::sync::atomic::{AtomicI64, Ordering};

use brag_common::{standing::Dialling, time::Timestamp};

/// Since when, and the last calls.
#[derive(Debug)]
pub struct Running {
    since: Timestamp,
    /// What dialling out has come to; nothing, where the node does not.
    pub dialling: Dialling,
    /// Milliseconds since 1970; 0: never.
    called: AtomicI64,
    answered: AtomicI64,
}

impl Running {
    /// Runs since then.
    #[must_use]
    pub fn since(since: Timestamp, dialling: Dialling) -> Self {
        Self { since, dialling, called: AtomicI64::new(0), answered: AtomicI64::new(0) }
    }

    /// When the program started.
    #[must_use]
    pub const fn started(&self) -> Timestamp {
        self.since
    }

    /// The hub has called, with its own certificate.
    pub fn hub_called(&self, now: Timestamp) {
        self.called.fetch_max(now.as_millisecond(), Ordering::Relaxed);
    }

    /// The hub has answered a call of the node.
    pub fn hub_answered(&self, now: Timestamp) {
        self.answered.fetch_max(now.as_millisecond(), Ordering::Relaxed);
    }

    /// When the hub last called, in milliseconds since 1970; 0: not since the start.
    #[must_use]
    pub fn last_called(&self) -> i64 {
        self.called.load(Ordering::Relaxed)
    }

    /// When the hub last answered; as [`Running::last_called`].
    #[must_use]
    pub fn last_answered(&self) -> i64 {
        self.answered.load(Ordering::Relaxed)
    }
}
