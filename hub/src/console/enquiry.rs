//! One enquiry: its matrix, live, with what there is to see to; and what every page of an enquiry begins with.

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
        Frame, Problem, Visit, page,
        shown::{spoken, when},
    },
    wire::pb::{self, coordinator_service_server::CoordinatorService as _},
};
use futures::StreamExt as _;

use super::{Calls, Here, matrix::Matrix, standing::Standing};
use crate::life::words::Kind;

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/enquiries/{enquiry}", get(show))
        .route("/enquiries/{enquiry}/matrix", get(matrix))
        .route("/enquiries/{enquiry}/events", get(events))
}

/// What every page of an enquiry begins with: its name, where else one can go, and that it is closed.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) enquiry: String,
    /// Address within the enquiry, text, whether it is this page.
    pub(super) places: Vec<(String, &'static str, bool)>,
    pub(super) closed: Option<String>,
    /// Whether a second person has to say how it is closed, and who the first is.
    pub(super) closing_wanted_by: Option<String>,
}

/// The pages of an enquiry: end of the address, and text.
const PLACES: [(&str, &str); 5] = [
    ("", "Matrix"),
    ("/thresholds", "Thresholds and release"),
    ("/plan", "Plan"),
    ("/history", "History"),
    ("/close", "Close"),
];

impl Head {
    /// Of the page whose address ends like this.
    pub(super) fn of(show: &pb::ShowResponse, calls: &Calls, here: &str) -> Self {
        let base = format!("/enquiries/{}", show.enquiry);
        let places = PLACES.iter().map(|(end, text)| (format!("{base}{end}"), *text, *end == here));
        let closed = show.closed.as_ref().map(|closed| {
            let outcome = calls.terms.word_title(Kind::Outcome, &closed.outcome);
            let why = if closed.reason.is_empty() {
                String::new()
            } else {
                format!(": {}", closed.reason.trim_end_matches('.'))
            };
            format!("{outcome}{why}. Closed {} by {}.", when(closed.at_unix_ms), closed.by)
        });
        let by = &show.closing_wanted_by;
        Self {
            enquiry: show.enquiry.clone(),
            places: places.collect(),
            closed,
            closing_wanted_by: (!by.is_empty()).then(|| by.clone()),
        }
    }
}

/// Label and name of everybody in an enquiry, by reference.
pub(super) fn whom(show: &pb::ShowResponse, person: &str) -> String {
    let known = show.people.iter().find(|known| known.person == person);
    known.map_or_else(
        || "somebody".to_owned(),
        |known| format!("{} {}", known.label, known.name).trim().to_owned(),
    )
}

/// Reads an enquiry: checked and recorded as any other look.
pub(super) async fn read(
    visit: &Visit,
    calls: &Calls,
    enquiry: &str,
) -> Result<pb::ShowResponse, Problem> {
    let request = visit.request(pb::ShowRequest { enquiry: enquiry.to_owned() });
    Ok(calls.coordinators.show(request).await?.into_inner())
}

#[derive(Template)]
#[template(path = "enquiry.html")]
struct EnquiryPage {
    frame: Frame,
    head: Head,
    facts: Vec<(&'static str, String)>,
    earlier: Vec<Earlier>,
    live: Live,
}

/// Somebody who was asked about before.
struct Earlier {
    text: String,
    enquiry: String,
}

/// What changes while one looks.
struct Live {
    base: String,
    closed: bool,
    matrix: Matrix,
    standing: Standing,
}

#[derive(Template)]
#[template(path = "enquiry_live.html")]
struct LivePart {
    live: Live,
}

impl Live {
    fn of(show: &pb::ShowResponse, calls: &Calls) -> Self {
        Self {
            base: format!("/enquiries/{}", show.enquiry),
            closed: show.closed.is_some(),
            matrix: Matrix::of(show, &|agency| calls.terms.agency_name(agency)),
            standing: Standing::of(show),
        }
    }
}

async fn show(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, &enquiry).await?;
    Ok(page(&EnquiryPage {
        frame: visit.frame("Enquiry"),
        head: Head::of(&shown, &calls, ""),
        facts: facts(&shown, &calls),
        earlier: earlier(&shown),
        live: Live::of(&shown, &calls),
    }))
}

fn facts(show: &pb::ShowResponse, calls: &Calls) -> Vec<(&'static str, String)> {
    let referral = show.referral.clone().unwrap_or_default();
    let source = match referral.source.as_str() {
        "" => String::new(),
        word => calls.terms.word_title(Kind::Source, word),
    };
    let lead = show.lead.as_ref().map_or_else(
        || "Nobody yet".to_owned(),
        |lead| match lead.role.as_str() {
            "" => lead.agency.clone(),
            role => format!("{}, {role}", lead.agency),
        },
    );
    let facts = [
        ("Why", spoken(&show.purpose)),
        ("Referred by", format!("{} ({})", referral.agency, referral.reference)),
        ("How it came", source),
        ("When it happened", when(referral.incident_at_unix_ms)),
        ("Opened", when(show.opened_at_unix_ms)),
        ("Answers due", when(show.answer_by_unix_ms)),
        ("Asked again because", show.again_because.clone()),
        ("Lead", lead),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn earlier(show: &pb::ShowResponse) -> Vec<Earlier> {
    let one = |known: &pb::LinkedEarlierEnquiry| Earlier {
        text: format!(
            "{} was asked about before, in an enquiry of {}, level there: {}",
            whom(show, &known.person),
            when(known.opened_at_unix_ms),
            super::enquiries::colour_tag(known.level).text(),
        ),
        enquiry: known.enquiry.clone(),
    };
    show.linked_earlier_enquiry.iter().map(one).collect()
}

/// The part that the script renews.
async fn matrix(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
) -> Result<Response, Problem> {
    let shown = read(&visit, &calls, &enquiry).await?;
    Ok(page(&LivePart { live: Live::of(&shown, &calls) }))
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
