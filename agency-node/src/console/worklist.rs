//! What waits for somebody: people to rate, releases to approve, challenges to answer.

use std::sync::Arc;

use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use brag_common::{
    console::{Frame, Problem, Visit, page, shown::when},
    wire::pb::{self, desk_service_server::DeskService as _},
};

use super::{Calls, Here};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new().route("/worklist", get(list))
}

#[derive(Template)]
#[template(path = "worklist.html")]
struct WorklistPage {
    frame: Frame,
    ratings: Vec<Rating>,
}

/// Somebody whom the agency is asked to rate.
struct Rating {
    enquiry: String,
    person: String,
    due: String,
}

async fn list(visit: Visit, State(calls): Here) -> Result<Response, Problem> {
    let list = calls.desk.worklist(visit.request(pb::WorklistRequest {})).await?.into_inner();
    let ratings = list.ratings.into_iter().map(|work| Rating {
        due: when(work.answer_by_unix_ms),
        enquiry: work.enquiry,
        person: work.person,
    });
    Ok(page(&WorklistPage { frame: visit.frame("Worklist"), ratings: ratings.collect() }))
}
