//! What information governance looks at through the console and no call gives: searches of the log, one exchange with its proof,
//! checks of the whole log, documents, questions that are kept.
//!
//! These functions stand beside the services and do as they do: each checks the role of whoever signed in, and records the look
//! (`report_read`) before anything is read. Reading is bounded: one at a time, one segment in memory, and it stops early.
//!
//! Reading order: [`question`] is what is asked, [`search`] asks it, [`words`] tells an entry, [`exchange`] puts both sides and
//! the proof together, [`check`] is the job, [`documents`] the reports, [`saved`] the questions that are kept.

use std::{path::PathBuf, sync::Arc};

use brag_common::{
    audit::{
        VerifyError,
        entry::{Action, EntryDraft},
    },
    status::to_status,
    tls::peer_of,
};
use tonic::{Request, Status};

use crate::{
    config::Role,
    guard::{Refusal, SignedIn},
    hub::Shared,
};

pub mod check;
pub mod documents;
pub mod exchange;
pub mod question;
pub mod saved;
pub mod search;
pub mod words;

/// What the console calls.
#[derive(Debug)]
pub struct Inspection {
    shared: Arc<Shared>,
    asked: search::Asked,
    checks: Arc<check::Checks>,
}

fn refused(refusal: impl Into<Refusal>) -> Status {
    to_status(&refusal.into())
}

impl Inspection {
    /// Of a hub.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, asked: search::Asked::default(), checks: Arc::default() }
    }

    /// The hub, for what pages say of it: its agreement and its configuration.
    #[must_use]
    pub const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn auditor<T>(&self, request: Request<T>) -> Result<(SignedIn, T), Status> {
        self.with_role(request, Role::Auditor)
    }

    fn with_role<T>(&self, request: Request<T>, role: Role) -> Result<(SignedIn, T), Status> {
        let who = self.shared.staff(peer_of(&request)?, role).map_err(refused)?;
        Ok((who, request.into_inner()))
    }

    /// Records a look, before it is taken. `at` is the entry's decision; `more` says at what.
    async fn looked(
        &self,
        who: &SignedIn,
        at: &str,
        more: impl FnOnce(&mut EntryDraft),
    ) -> Result<(), Refusal> {
        let mut draft = self.shared.draft(Action::ReportRead);
        draft.decision = at.parse().ok();
        more(&mut draft);
        self.shared.log.record(who.signs(draft)).await?;
        Ok(())
    }

    fn log_dir(&self) -> PathBuf {
        self.shared.log.audit().dir().to_owned()
    }

    /// Reads the log off the runtime's threads. Whoever calls holds `auditing`.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(PathBuf) -> Result<T, VerifyError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let dir = self.log_dir();
        let read = tokio::task::spawn_blocking(move || work(dir)).await;
        read.map_err(|_| Refusal::Internal)?.map_err(|error| {
            tracing::error!(%error, "the log can not be read for the console");
            Refusal::Internal
        })
    }
}
