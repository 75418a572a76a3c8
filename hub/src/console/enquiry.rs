//! One enquiry: its matrix, live, and what it lacks.

use std::{convert::Infallible, sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use brag_common::{
    console::{
        Frame, Problem, Visit, page, part,
        shown::{spoken, when},
    },
    wire::pb::{self, coordinator_service_server::CoordinatorService as _},
};
use futures::StreamExt as _;

use super::{Calls, Here, matrix::Matrix};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/enquiries/{enquiry}", get(show))
        .route("/enquiries/{enquiry}/matrix", get(matrix))
        .route("/enquiries/{enquiry}/events", get(events))
}

#[derive(Template)]
#[template(path = "enquiry.html")]
struct EnquiryPage {
    frame: Frame,
    enquiry: String,
    purpose: String,
    opened: String,
    answer_by: String,
    matrix: Matrix,
    flags: Vec<String>,
    unmet: Vec<String>,
}

#[derive(Template)]
#[template(path = "matrix.html")]
struct MatrixPart {
    enquiry: String,
    matrix: Matrix,
}

async fn read(visit: &Visit, calls: &Calls, enquiry: String) -> Result<pb::ShowResponse, Problem> {
    let request = visit.request(pb::ShowRequest { enquiry });
    Ok(calls.coordinators.show(request).await?.into_inner())
}

async fn show(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, enquiry).await?;
    let label = |person: &str| {
        let known = shown.people.iter().find(|known| known.person == person);
        known.map_or_else(String::new, |known| format!(", {}", known.label))
    };
    let agency = |agency: &str| match agency {
        "" => String::new(),
        agency => format!(", {agency}"),
    };
    let standing = shown.flags.iter().filter(|flag| flag.cleared_at_unix_ms == 0);
    let flags = standing
        .map(|flag| {
            format!("{}{}{}", spoken(&flag.flag), agency(&flag.agency), label(&flag.person))
        })
        .collect();
    let unmet = shown
        .unmet
        .iter()
        .map(|one| {
            format!("{}{}{}", spoken(&one.condition), agency(&one.agency), label(&one.person))
        })
        .collect();
    Ok(page(&EnquiryPage {
        frame: visit.frame("Enquiry"),
        enquiry: shown.enquiry.clone(),
        purpose: spoken(&shown.purpose),
        opened: when(shown.opened_at_unix_ms),
        answer_by: when(shown.answer_by_unix_ms),
        matrix: Matrix::of(&shown),
        flags,
        unmet,
    }))
}

/// The matrix alone, for the script that renews it.
async fn matrix(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, enquiry).await?;
    Ok(part(&MatrixPart { enquiry: shown.enquiry.clone(), matrix: Matrix::of(&shown) }))
}

/// How long changes that come close together are waited for, so that they renew a page once.
const GATHER: Duration = Duration::from_millis(150);

/// That something has changed, without what: the page asks for that itself, which is checked and recorded.
async fn events(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
) -> Result<Response, Problem> {
    let request = visit.request(pb::WatchRequest { enquiry });
    let stream = calls.coordinators.watch(request).await?.into_inner();
    // What stood before is on the page; the first chunk, if any, renews it once.
    let changed = stream
        .take_while(|event| std::future::ready(event.is_ok()))
        .ready_chunks(1024)
        .then(|_| async {
            tokio::time::sleep(GATHER).await;
            Ok::<_, Infallible>(Event::default().event("changed").data("1"))
        });
    Ok(Sse::new(changed).keep_alive(KeepAlive::default()).into_response())
}
