//! What a running program tells of itself on its admin port, at `/state`: numbers and times, nothing about anybody.

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// How a running program is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Its version.
    pub version: String,
    /// What its clock shows.
    pub now: Timestamp,
    /// When it started.
    pub started: Timestamp,
    /// Whether the store can be written.
    pub store_available: bool,
    /// Whether the log can be written.
    pub log_available: bool,
    /// Entries of the log.
    pub log_entries: u64,
    /// How many of them have been cosigned as the quorum wants.
    pub log_cosigned: u64,
    /// Deliveries that wait for the hub; a hub has none.
    pub waiting: u64,
    /// The agency's people; a hub has none.
    pub enrolment: Option<Enrolment>,
}

/// How the agency's people are enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// People of the records.
    pub people: u64,
    /// People who have been evaluated in the newest epoch.
    pub enrolled: u64,
    /// The newest epoch of the index; `None`: the node has never enrolled.
    pub epoch: Option<u64>,
    /// The newest epoch that the hub has told of; 0: none, or not known.
    pub told: u64,
}

/// What tells of a program. The admin port asks it each time it is asked, one caller at a time.
#[derive(Clone)]
pub struct Tell(Arc<dyn Fn() -> BoxFuture<'static, Option<State>> + Send + Sync>);

impl Tell {
    /// What this says; `None` where it can not say it now.
    pub fn new(
        tell: impl Fn() -> BoxFuture<'static, Option<State>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(tell))
    }

    /// How the program is now.
    pub(crate) async fn state(&self) -> Option<State> {
        (self.0)().await
    }
}

impl fmt::Debug for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tell")
    }
}
