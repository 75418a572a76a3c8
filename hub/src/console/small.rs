//! Two small acts in an enquiry: standing aside, and letting an agency compare a person whom it may know.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    response::Response,
    routing::get,
};
use brag_common::{
    console::{Form, Frame, Problem, Visit, form_page, page},
    wire::pb::{self, coordinator_service_server::CoordinatorService as _},
};
use serde::Deserialize;

use super::{
    Calls, Here,
    enquiry::{Head, read, whom},
    history,
};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/enquiries/{enquiry}/stand-aside", get(ask_aside).post(aside))
        .route("/enquiries/{enquiry}/identity-review", get(ask_review).post(review))
        .merge(history::routes())
}

#[derive(Template)]
#[template(path = "stand_aside.html")]
struct AsidePage {
    frame: Frame,
    head: Head,
}

async fn ask_aside(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, &enquiry).await?;
    Ok(page(&AsidePage { frame: visit.frame("Stand aside"), head: Head::of(&shown, &calls, "-") }))
}

async fn aside(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
) -> Result<Response, Problem> {
    let request = visit.request(pb::StandAsideRequest { enquiry });
    calls.coordinators.stand_aside(request).await?;
    Ok(visit.done("/enquiries", "It was recorded. You do not work on that enquiry any more."))
}

/// Which cell. References only.
#[derive(Deserialize)]
struct About {
    #[serde(default)]
    agency: String,
    #[serde(default)]
    person: String,
}

#[derive(Template)]
#[template(path = "identity_review.html")]
struct ReviewPage {
    frame: Frame,
    head: Head,
    form: Form,
    whom: String,
    agency: String,
}

fn review_page(visit: &Visit, calls: &Calls, show: &pb::ShowResponse, form: Form) -> Response {
    let agency = form.line("agency");
    let name = calls.terms.agency_name(&agency);
    form_page(
        form.status(),
        &ReviewPage {
            frame: visit.frame(form.title("Let an agency compare")),
            head: Head::of(show, calls, ""),
            whom: whom(show, &form.line("person")),
            agency: if name.is_empty() { agency } else { format!("{agency} – {name}") },
            form,
        },
    )
}

async fn ask_review(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
    Query(about): Query<About>,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, &enquiry).await?;
    let mut form = Form::default();
    form.put("agency", about.agency);
    form.put("person", about.person);
    Ok(review_page(&visit, &calls, &shown, form))
}

async fn review(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
    mut form: Form,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, &enquiry).await?;
    let reason = form.line("reason");
    if !(1..=600).contains(&reason.chars().count()) {
        form.wrong("reason", "Give a reason of 1 to 600 characters");
    }
    if form.is_right() {
        let request = pb::AuthoriseIdentityReviewRequest {
            enquiry: shown.enquiry.clone(),
            agency: form.line("agency"),
            person: form.line("person"),
            reason,
        };
        match calls.coordinators.authorise_identity_review(visit.request(request)).await {
            Ok(_) => {
                let address = format!("/enquiries/{}", shown.enquiry);
                return Ok(visit.done(&address, "It was recorded. The agency is told who is asked about, and a person there compares."));
            }
            Err(status) => form.refuse("", status)?,
        }
    }
    Ok(review_page(&visit, &calls, &shown, form))
}
