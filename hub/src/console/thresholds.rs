//! Thresholds and release: for each person what is open, on what evidence, and what would open the rest; and every request for
//! detail with what became of it.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use brag_common::{
    agreement::Mode,
    console::{
        Frame, Problem, Visit, page,
        shown::{ColourTag, when},
    },
    wire::pb,
};

use super::{
    Calls, Here,
    enquiries::colour_tag,
    enquiry::{Head, whom},
    outcome::Decided,
    terms::class_words,
};
use crate::{render::gate_words, thresholds::Thresholds};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new().route("/enquiries/{enquiry}/thresholds", get(show))
}

#[derive(Template)]
#[template(path = "thresholds.html")]
struct ThresholdsPage {
    frame: Frame,
    head: Head,
    people: Vec<PersonThresholds>,
    decided: Vec<Decided>,
}

/// The thresholds of one person, in words.
struct PersonThresholds {
    person: String,
    whom: String,
    level: ColourTag,
    gates: Vec<GateLine>,
    classes: Vec<(String, &'static str)>,
    /// What would have released what was refused about them.
    would_help: Vec<String>,
}

struct GateLine {
    name: String,
    open: bool,
    evidence: Vec<(String, String)>,
    opened_by: String,
}

fn mode_words(mode: Option<Mode>) -> &'static str {
    match mode {
        None => "Not released",
        Some(Mode::Auto) => "Released at once",
        Some(Mode::Review) => "After one person at the holder has approved",
        Some(Mode::Review2) => "After two people at the holder have approved",
    }
}

impl PersonThresholds {
    fn of(show: &pb::ShowResponse, of: Thresholds) -> Self {
        let person = of.person.to_string();
        let known = show.people.iter().find(|known| known.person == person);
        let line = |gate: crate::thresholds::GateState| GateLine {
            name: gate_words(gate.gate.word()),
            open: gate.open_on.is_some(),
            evidence: gate
                .open_on
                .unwrap_or_default()
                .into_iter()
                .map(|one| {
                    (one.text, one.at.map_or_else(String::new, |at| when(at.as_millisecond())))
                })
                .collect(),
            opened_by: gate.opened_by,
        };
        let refused = show.releases.iter().filter(|view| view.person == person);
        let mut would_help: Vec<String> = refused
            .flat_map(|view| &view.would_be_released_if)
            .map(|word| crate::render::hypothesis_words(word))
            .collect();
        would_help.sort();
        would_help.dedup();
        Self {
            whom: whom(show, &person),
            level: colour_tag(known.map_or(0, |known| known.level)),
            gates: of.gates.into_iter().map(line).collect(),
            classes: of
                .classes
                .into_iter()
                .map(|(class, mode)| (class_words(class), mode_words(mode)))
                .collect(),
            would_help,
            person,
        }
    }
}

async fn show(
    visit: Visit,
    State(calls): Here,
    Path(enquiry): Path<String>,
) -> Result<Response, Problem> {
    let request = visit.request(pb::ShowRequest { enquiry });
    let (shown, thresholds) = calls.coordinators.show_thresholds(request).await?;
    let decided = shown.releases.iter().rev().map(|view| Decided::of(&shown, &calls.terms, view));
    Ok(page(&ThresholdsPage {
        frame: visit.frame("Thresholds and release"),
        head: Head::of(&shown, &calls, "/thresholds"),
        decided: decided.collect(),
        people: thresholds.into_iter().map(|one| PersonThresholds::of(&shown, one)).collect(),
    }))
}
