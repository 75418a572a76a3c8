//! The view of an enquiry for a projector: matrix, flags, clocks and plan, large, without navigation, live.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use brag_common::{
    console::{Frame, Problem, Visit, page, shown::spoken},
    wire::pb,
};

use super::{Calls, Here, enquiry::read, matrix::Matrix, plan::Plan, standing::Standing};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/enquiries/{enquiry}/meeting-view", get(show))
        .route("/enquiries/{enquiry}/meeting-view/part", get(renewed))
}

#[derive(Template)]
#[template(path = "meeting.html")]
struct MeetingPage {
    frame: Frame,
    enquiry: String,
    purpose: String,
    view: View,
}

#[derive(Template)]
#[template(path = "meeting_live.html")]
struct MeetingPart {
    view: View,
}

/// What changes while a meeting looks.
struct View {
    matrix: Matrix,
    standing: Standing,
    plan: Plan,
}

impl View {
    fn of(show: &pb::ShowResponse, calls: &Calls) -> Self {
        Self {
            matrix: Matrix::of(show, &|agency| calls.terms.agency_name(agency)),
            standing: Standing::of(show),
            plan: Plan::of(show, calls),
        }
    }
}

async fn show(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, &enquiry).await?;
    let mut frame = visit.frame("Meeting view");
    // A screen in a room: nothing to go to but back.
    frame.places = Vec::new();
    Ok(page(&MeetingPage {
        frame,
        enquiry: shown.enquiry.clone(),
        purpose: spoken(&shown.purpose),
        view: View::of(&shown, &calls),
    }))
}

async fn renewed(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, &enquiry).await?;
    Ok(page(&MeetingPart { view: View::of(&shown, &calls) }))
}
