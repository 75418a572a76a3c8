//! The node's console: pages for assessors and approvers, and for whoever runs the node.
//!
//! Each page calls the node's own services as whoever has signed in ([`Visit::request`]), so that a page is checked and recorded
//! exactly as a command is; a page decides nothing. One file for each place in the navigation.

mod acts;
mod approval;
mod ask;
mod consent;
mod due;
mod facts;
mod identity;
mod inbox;
mod moment;
mod news;
mod operator;
mod people;
mod person;
mod terms;
mod worklist;

use std::sync::Arc;

use axum::{
    Router,
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use brag_common::{
    agreement::Environment,
    audit::LogError,
    console::{ConsoleHost, Link, Problem, SignInAct, Visit},
    id::StaffName,
    peer::TrustDomain,
    staff::{Role as _, roles_of},
    time::SharedClock,
};
use futures::future::BoxFuture;

use self::terms::Terms;
use crate::{
    config::Role,
    node::Shared,
    operating::Operating,
    service::{ForStaff, desk_calls},
};

/// The node as its console sees it.
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
        format!("Node of {} in {}", self.0.config.agency, self.0.trust_domain)
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
        if may(Role::Assessor) || may(Role::Approver) || may(Role::Deputy) {
            places.push(Link::new("/worklist", "Worklist"));
        }
        if may(Role::Assessor) {
            places.push(Link::new("/people", "People asked about"));
            places.push(Link::new("/inbox", "Inbox"));
        }
        if may(Role::Assessor) || may(Role::Approver) {
            places.push(Link::new("/news", "News"));
        }
        if may(Role::Operator) {
            places.push(Link::new("/operator/health", "Health"));
            places.push(Link::new("/operator/configuration", "Configuration"));
            places.push(Link::new("/operator/records", "Records"));
            places.push(Link::new("/operator/connections", "Connections"));
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
            draft.agreement = Some(self.0.stamp());
            self.0.log.record(draft).await.map(drop)
        })
    }
}

/// What pages call.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) desk: ForStaff,
    pub(crate) terms: Terms,
    pub(crate) operating: Operating,
}

/// The state of every page.
type Here = axum::extract::State<Arc<Calls>>;

/// Every page but those for signing in.
pub fn pages(shared: &Arc<Shared>) -> Router {
    let calls = Calls {
        desk: desk_calls(Arc::clone(shared)),
        terms: Terms(Arc::clone(shared)),
        operating: Operating::of(Arc::clone(shared)),
    };
    Router::new()
        .route("/", get(home))
        .merge(worklist::routes())
        .merge(people::routes())
        .merge(person::routes())
        .merge(identity::routes())
        .merge(acts::routes())
        .merge(facts::routes())
        .merge(consent::routes())
        .merge(approval::routes())
        .merge(inbox::routes())
        .merge(news::routes())
        .merge(operator::routes())
        .with_state(Arc::new(calls))
}

/// The first page is that of the first place one may go to.
async fn home(visit: Visit) -> Response {
    let first = visit.frame("").places.into_iter().next();
    match first {
        Some(place) => Redirect::to(&place.address).into_response(),
        None => {
            Problem::NotAllowed("your roles have no pages here; use the command line".to_owned())
                .into_response()
        }
    }
}
