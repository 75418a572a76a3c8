//! The list of enquiries, and the agenda of a meeting.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    response::Response,
    routing::get,
};
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

use serde::Deserialize;

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
    /// Which can be shown: address, text, whether it is this.
    shows: Vec<(&'static str, &'static str, bool)>,
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

/// Which enquiries are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Open,
    Closed,
    All,
}

#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    show: String,
}

impl Which {
    /// What an address names; anything else is the open ones.
    fn of(word: &str) -> Self {
        match word {
            "closed" => Self::Closed,
            "all" => Self::All,
            _ => Self::Open,
        }
    }

    const fn has(self, line: &pb::EnquiryLine) -> bool {
        match self {
            Self::Open => !line.closed,
            Self::Closed => line.closed,
            Self::All => true,
        }
    }
}

async fn list(
    visit: Visit,
    State(calls): Here,
    Query(Shown { show }): Query<Shown>,
) -> Result<Response, Problem> {
    let show = Which::of(&show);
    let request = visit.request(pb::ListRequest { limit: LIMIT });
    let listed = calls.coordinators.list(request).await?.into_inner();
    let of = listed.enquiries.into_iter().filter(|line| show.has(line));
    let lines = of.map(Line::from).collect();
    let frame = visit.frame("Enquiries");
    let shows = vec![
        ("/enquiries", "Open", show == Which::Open),
        ("/enquiries?show=closed", "Closed", show == Which::Closed),
        ("/enquiries?show=all", "All", show == Which::All),
    ];
    Ok(page(&ListPage { frame, chair: None, is_agenda: false, shows, lines }))
}

async fn agenda(visit: Visit, State(calls): Here) -> Result<Response, Problem> {
    let request = visit.request(pb::AgendaRequest { limit: LIMIT });
    let agenda = calls.coordinators.agenda(request).await?.into_inner();
    let lines = agenda.enquiries.into_iter().map(Line::from).collect();
    let chair = (!agenda.chair.is_empty()).then_some(agenda.chair);
    let frame = visit.frame("Agenda");
    Ok(page(&ListPage { frame, chair, is_agenda: true, shows: Vec::new(), lines }))
}
