//! The list of enquiries, and the agenda of a meeting.

use std::sync::Arc;

use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use brag_common::{
    console::{
        Frame, Problem, Visit, page,
        shown::{ColourTag, spoken, when},
    },
    wire::{
        pb::{self, coordinator_service_server::CoordinatorService as _},
        words,
    },
};

use super::{Calls, Here};

/// Lines on a page.
const LIMIT: u32 = 500;

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new().route("/enquiries", get(list)).route("/agenda", get(agenda))
}

#[derive(Template)]
#[template(path = "enquiries.html")]
struct ListPage {
    frame: Frame,
    /// On the agenda: whose turn it is to chair, if the hub has a rota.
    chair: Option<String>,
    is_agenda: bool,
    lines: Vec<Line>,
}

/// One enquiry in a line.
struct Line {
    enquiry: String,
    opened: String,
    n_people: u32,
    n_waiting: u32,
    level: ColourTag,
    due: Option<Due>,
    closed: bool,
    flags: Vec<String>,
}

/// When the clock that runs out first runs out.
struct Due {
    at: String,
    overdue: bool,
}

impl From<pb::EnquiryLine> for Line {
    fn from(line: pb::EnquiryLine) -> Self {
        Self {
            opened: when(line.opened_at_unix_ms),
            n_people: line.people,
            n_waiting: line.waiting,
            level: colour_tag(line.family_level),
            due: (line.due_at_unix_ms != 0)
                .then(|| Due { at: when(line.due_at_unix_ms), overdue: line.overdue }),
            closed: line.closed,
            flags: line.flags.iter().map(|flag| spoken(flag)).collect(),
            enquiry: line.enquiry,
        }
    }
}

/// A colour of the wire as it is shown; one that this version does not know is shown as none.
pub(super) fn colour_tag(number: i32) -> ColourTag {
    ColourTag::of(words::to_optional_colour(number).ok().flatten())
}

async fn list(visit: Visit, State(calls): Here) -> Result<Response, Problem> {
    let request = visit.request(pb::ListRequest { limit: LIMIT });
    let listed = calls.coordinators.list(request).await?.into_inner();
    let lines = listed.enquiries.into_iter().map(Line::from).collect();
    let frame = visit.frame("Enquiries");
    Ok(page(&ListPage { frame, chair: None, is_agenda: false, lines }))
}

async fn agenda(visit: Visit, State(calls): Here) -> Result<Response, Problem> {
    let request = visit.request(pb::AgendaRequest { limit: LIMIT });
    let agenda = calls.coordinators.agenda(request).await?.into_inner();
    let lines = agenda.enquiries.into_iter().map(Line::from).collect();
    let chair = (!agenda.chair.is_empty()).then_some(agenda.chair);
    Ok(page(&ListPage { frame: visit.frame("Agenda"), chair, is_agenda: true, lines }))
}
