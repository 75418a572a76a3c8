//! The hub's console: pages for co-ordinators and for information governance.
//!
//! Each page calls the hub's own services as whoever has signed in ([`Visit::request`]), so that a page is checked and recorded
//! exactly as a command is; a page decides nothing. One file for each place in the navigation.

mod access;
mod alerts;
mod basis_words;
mod checks;
mod close;
mod drafts;
mod enquiries;
mod enquiry;
mod exchange;
mod governance;
mod history;
mod log;
mod matrix;
mod meeting;
mod moment;
mod outcome;
mod plan;
mod records;
mod release;
mod reports;
mod small;
mod standing;
mod step;
mod summary;
mod terms;
mod thresholds;
mod written;

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use brag_common::{
    agreement::Environment,
    audit::LogError,
    console::{ConsoleHost, Link, SignInAct, Visit},
    id::StaffName,
    peer::TrustDomain,
    staff::{Role as _, roles_of},
    time::SharedClock,
    wire::records::{ForGovernance, records_calls},
};
use futures::future::BoxFuture;

use crate::{
    audit_service::{ForAuditors, auditor_calls},
    config::Role,
    drafts::Drafts,
    hub::Shared,
    inspect::Inspection,
    report::subject_access::service::{ForSubjectAccess, subject_access_calls},
    service::{ForCoordinators, coordinator_calls},
};

/// The hub as its console sees it.
#[derive(Debug)]
pub struct AsConsole(pub Arc<Shared>);

impl ConsoleHost for AsConsole {
    fn clock(&self) -> &SharedClock {
        &self.0.clock
    }

    fn trust_domain(&self) -> &TrustDomain {
        &self.0.trust_domain
    }

    fn title(&self) -> String {
        format!("Hub of {}", self.0.trust_domain)
    }

    fn environment(&self) -> Option<&'static str> {
        match self.0.agreement.agreement().environment() {
            Environment::Test => Some("test"),
            Environment::Production => None,
        }
    }

    fn roles(&self, name: &StaffName) -> Vec<&'static str> {
        roles_of(&self.0.config.staff, name).into_iter().map(Role::word).collect()
    }

    fn places(&self, roles: &[&'static str]) -> Vec<Link> {
        let may = |role: Role| roles.contains(&role.word());
        let mut places = Vec::new();
        if may(Role::Coordinator) {
            places.push(Link::new("/enquiries", "Enquiries"));
            places.push(Link::new("/agenda", "Agenda"));
        }
        if may(Role::Auditor) {
            places.push(Link::new("/log", "Log"));
            places.push(Link::new("/checks", "Checks"));
            places.push(Link::new("/alerts", "Alerts"));
            places.push(Link::new("/reports", "Reports"));
            places.push(Link::new("/access", "Subject access"));
        }
        if may(Role::Governance) {
            places.push(Link::new("/records", "Holds and erasure"));
        }
        places
    }

    fn record<'a>(
        &'a self,
        act: SignInAct,
        name: &'a StaffName,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        Box::pin(async move {
            let mut draft = act.entry(name.clone());
            draft.agreement = Some(brag_common::program::stamp(&self.0.agreement));
            self.0.log.record(draft).await.map(drop)
        })
    }
}

/// What pages call.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) coordinators: ForCoordinators,
    pub(crate) drafts: Drafts,
    pub(crate) terms: terms::Terms,
    /// After how many days a draft is erased.
    pub(crate) kept_days: u64,
    pub(crate) auditors: ForAuditors,
    pub(crate) access: ForSubjectAccess,
    pub(crate) records: ForGovernance<Shared>,
    pub(crate) inspection: Inspection,
}

/// The state of every page.
type Here = axum::extract::State<Arc<Calls>>;

/// Every page but those for signing in.
pub fn pages(shared: &Arc<Shared>) -> Router {
    let calls = Calls {
        coordinators: coordinator_calls(Arc::clone(shared)),
        drafts: Drafts::new(Arc::clone(shared)),
        terms: terms::Terms::new(Arc::clone(shared)),
        kept_days: shared.config.drafts.kept.get().as_secs() / 86_400,
        auditors: auditor_calls(Arc::clone(shared)),
        access: subject_access_calls(Arc::clone(shared)),
        records: records_calls(Arc::clone(shared)),
        inspection: Inspection::new(Arc::clone(shared)),
    };
    Router::new()
        .route("/", get(home))
        .merge(enquiries::routes())
        .merge(enquiry::routes())
        .merge(drafts::routes())
        .merge(thresholds::routes())
        .merge(release::routes())
        .merge(plan::routes())
        .merge(meeting::routes())
        .merge(small::routes())
        .merge(close::routes())
        .merge(log::routes())
        .merge(exchange::routes())
        .merge(checks::routes())
        .merge(alerts::routes())
        .merge(reports::routes())
        .merge(access::routes())
        .merge(records::routes())
        .with_state(Arc::new(calls))
}

/// The first page is that of the first place one may go to.
async fn home(visit: Visit) -> Response {
    let first = visit.frame("").places.into_iter().next();
    match first {
        Some(place) => Redirect::to(&place.address).into_response(),
        None => brag_common::console::Problem::NotAllowed(
            "your roles have no pages here; use the command line".to_owned(),
        )
        .into_response(),
    }
}
