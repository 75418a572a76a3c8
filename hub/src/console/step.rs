//! Recording one step in the life of an enquiry: what each kind of step asks for, and the message that a form makes.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    response::Response,
    routing::get,
};
use brag_common::{
    console::{Choice, Form, Frame, Problem, Visit, form_page},
    wire::pb::{self, coordinator_service_server::CoordinatorService as _, record_request::Step},
};
use serde::Deserialize;

use super::{
    Calls, Here,
    enquiry::{Head, read, whom},
    moment::moment,
};
use crate::life::words::Kind as Words;

/// A kind of step, as an address has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An action of the plan.
    Action,
    /// An action has come further.
    Progress,
    /// Who leads.
    Lead,
    /// Something happened.
    Event,
    /// A meeting was held.
    Meeting,
    /// An answer is not waited for.
    Waiver,
    /// Earlier contacts.
    Contacts,
}

impl Kind {
    const fn title(self) -> &'static str {
        match self {
            Self::Action => "Add an action",
            Self::Progress => "Say what came of an action",
            Self::Lead => "Say who leads",
            Self::Event => "Record what happened",
            Self::Meeting => "Record a meeting",
            Self::Waiver => "Do not wait for an answer",
            Self::Contacts => "Record earlier contacts",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Progress => "progress",
            Self::Lead => "lead",
            Self::Event => "event",
            Self::Meeting => "meeting",
            Self::Waiver => "waiver",
            Self::Contacts => "contacts",
        }
    }

    fn from_word(word: &str) -> Result<Self, Problem> {
        let all = [
            Self::Action,
            Self::Progress,
            Self::Lead,
            Self::Event,
            Self::Meeting,
            Self::Waiver,
            Self::Contacts,
        ];
        all.into_iter().find(|kind| kind.word() == word).ok_or(Problem::NotFound)
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Action => "The action was added. Its owner’s agency has been told.",
            Self::Progress => "It was recorded what came of the action.",
            Self::Lead => "It was recorded who leads.",
            Self::Event => "It was recorded.",
            Self::Meeting => "The meeting was recorded, with what it saw.",
            Self::Waiver => "The answer is not waited for any more.",
            Self::Contacts => "The earlier contacts were recorded.",
        }
    }

    /// Whether somebody may record it as far as roles say; the call decides.
    pub(super) fn is_for(self, visit: &Visit) -> bool {
        self != Self::Waiver || visit.has("chair")
    }
}

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new().route("/enquiries/{enquiry}/plan/{kind}", get(ask).post(record))
}

/// What a form is filled with at first. References only.
#[derive(Deserialize)]
struct About {
    #[serde(default)]
    person: String,
    #[serde(default)]
    agency: String,
    #[serde(default)]
    action: String,
}

/// What a form offers.
#[derive(Debug, Default)]
pub(super) struct Offered {
    people: Vec<Choice>,
    agencies: Vec<Choice>,
    words: Vec<Choice>,
    actions: Vec<Choice>,
    states: Vec<Choice>,
}

#[derive(Template)]
#[template(path = "step.html")]
struct StepPage {
    frame: Frame,
    head: Head,
    kind: &'static str,
    heading: &'static str,
    form: Form,
    offered: Offered,
}

fn offered(calls: &Calls, show: &pb::ShowResponse, kind: Kind) -> Offered {
    let words = match kind {
        Kind::Action => calls.terms.words(Words::Action),
        Kind::Event => calls.terms.words(Words::Event),
        _ => Vec::new(),
    };
    let open = show.plan.iter().filter(|one| one.state != "done" && one.state != "dropped");
    Offered {
        people: show
            .people
            .iter()
            .map(|one| Choice::new(&one.person, whom(show, &one.person)))
            .collect(),
        agencies: calls.terms.agencies(),
        words,
        actions: open
            .map(|one| {
                let what = format!("{} {} – {}", one.action, one.owner, one.what);
                Choice::new(&one.action, what)
            })
            .collect(),
        states: vec![
            Choice::new("done", "It is done"),
            Choice::new("dropped", "It is dropped").hint("Say why below."),
        ],
    }
}

fn step_page(
    visit: &Visit,
    calls: &Calls,
    show: &pb::ShowResponse,
    (kind, form): (Kind, Form),
) -> Response {
    form_page(
        form.status(),
        &StepPage {
            frame: visit.frame(form.title(kind.title())),
            head: Head::of(show, calls, "/plan"),
            kind: kind.word(),
            heading: kind.title(),
            offered: offered(calls, show, kind),
            form,
        },
    )
}

fn only_for(kind: Kind, visit: &Visit) -> Result<(), Problem> {
    if kind.is_for(visit) {
        return Ok(());
    }
    Err(Problem::NotAllowed("this needs the role `chair`".to_owned()))
}

async fn ask(
    visit: Visit,
    State(calls): Here,
    Path((enquiry, kind)): Path<(String, String)>,
    Query(about): Query<About>,
) -> Result<Response, Problem> {
    let kind = Kind::from_word(&kind)?;
    let shown = read(&visit, &calls, &enquiry).await?;
    only_for(kind, &visit)?;
    let mut form = Form::default();
    if kind == Kind::Action {
        let taken = |name: &String| shown.plan.iter().any(|one| one.action == *name);
        let free = (shown.plan.len() + 1..).map(|n| format!("A-{n}")).find(|name| !taken(name));
        form.put("action", free.unwrap_or_default());
    } else {
        form.put("action", about.action);
    }
    form.put("person", about.person);
    form.put("agency", about.agency);
    Ok(step_page(&visit, &calls, &shown, (kind, form)))
}

async fn record(
    visit: Visit,
    State(calls): Here,
    Path((enquiry, kind)): Path<(String, String)>,
    mut form: Form,
) -> Result<Response, Problem> {
    let kind = Kind::from_word(&kind)?;
    let shown = read(&visit, &calls, &enquiry).await?;
    let step = step_of(kind, &mut form, &offered(&calls, &shown, kind));
    if form.is_right() {
        let request = pb::RecordRequest { enquiry: shown.enquiry.clone(), step: Some(step) };
        match calls.coordinators.record(visit.request(request)).await {
            Ok(_) => {
                let address = format!("/enquiries/{}/plan", shown.enquiry);
                return Ok(visit.done(&address, kind.done()));
            }
            Err(status) => form.refuse("", status)?,
        }
    }
    Ok(step_page(&visit, &calls, &shown, (kind, form)))
}

/// The longest text of a step, in characters.
const MAX_TEXT_CHARS: usize = 600;

/// A text of a step; one that is required, where `missing` says what to enter.
fn text(form: &mut Form, field: &str, missing: &str) -> String {
    let text = form.line(field);
    if text.is_empty() && !missing.is_empty() {
        form.wrong(field, missing);
    } else if text.chars().count() > MAX_TEXT_CHARS {
        form.wrong(field, "Say it in at most 600 characters");
    }
    text
}

/// The step that a form makes; what is wrong with it is said in the form.
pub(super) fn step_of(kind: Kind, form: &mut Form, offered: &Offered) -> Step {
    match kind {
        Kind::Action => Step::Action(pb::PlannedAction {
            action: text(form, "action", "Enter a short name for it, for example A-2"),
            word: form.chosen("word", &offered.words, "Choose the kind of action"),
            owner: form.chosen("agency", &offered.agencies, "Choose the agency that sees to it"),
            person: form.chosen("person", &offered.people, "Choose whom it is about"),
            what: text(form, "what", "Say what is to be done"),
            due_at_unix_ms: moment(form, "due"),
            ..pb::PlannedAction::default()
        }),
        Kind::Progress => {
            let action = form.chosen("action", &offered.actions, "Choose the action");
            let state = form.chosen("state", &offered.states, "Say whether it is done or dropped");
            let why = if state == "dropped" { "Say why it is dropped" } else { "" };
            Step::Progress(pb::ActionProgress { action, state, note: text(form, "note", why) })
        }
        Kind::Lead => Step::Lead(pb::Lead {
            agency: form.chosen("agency", &offered.agencies, "Choose the agency that leads"),
            role: text(form, "role", ""),
            ..pb::Lead::default()
        }),
        Kind::Event => {
            let agency = form.line("agency");
            Step::Event(pb::Event {
                word: form.chosen("word", &offered.words, "Choose what happened"),
                people: among(form, "people", &offered.people),
                agency,
                at_unix_ms: moment(form, "at"),
                note: text(form, "note", ""),
                ..pb::Event::default()
            })
        }
        Kind::Meeting => {
            let present = among(form, "present", &offered.agencies);
            let dialled_in = among(form, "dialled-in", &offered.agencies);
            if present.iter().any(|agency| dialled_in.contains(agency)) {
                form.wrong("dialled-in", "An agency was there or dialled in, not both");
            }
            Step::Meeting(pb::Meeting {
                chair: form.chosen("agency", &offered.agencies, "Choose who chaired"),
                present,
                dialled_in,
                at_unix_ms: moment(form, "at"),
                agreed: text(form, "agreed", ""),
                ..pb::Meeting::default()
            })
        }
        Kind::Waiver => Step::Waiver(pb::Waiver {
            agency: form.chosen("agency", &offered.agencies, "Choose whose answer"),
            person: form.chosen("person", &offered.people, "Choose about whom"),
            reason: text(form, "reason", "Say why it is not waited for"),
        }),
        Kind::Contacts => {
            let contacts = form.line("contacts").parse();
            if contacts.is_err() {
                form.wrong("contacts", "Enter how many, as a number from 0 to 10000");
            }
            Step::History(pb::History {
                agency: form.chosen("agency", &offered.agencies, "Choose which agency"),
                contacts: contacts.unwrap_or(0),
                last_closed_at_unix_ms: moment(form, "last-closed"),
            })
        }
    }
}

/// What was ticked, each of which has to be offered.
fn among(form: &mut Form, field: &str, choices: &[Choice]) -> Vec<String> {
    let ticked = form.all(field);
    if !ticked.iter().all(|one| choices.iter().any(|choice| choice.value == *one)) {
        form.wrong(field, "Choose among what is offered");
    }
    ticked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(values: &[(&str, &str)]) -> Form {
        Form::of(values.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())))
    }

    fn choices(values: &[&str]) -> Vec<Choice> {
        values.iter().map(|value| Choice::new(*value, *value)).collect()
    }

    fn offers() -> Offered {
        Offered {
            people: choices(&["r1", "r2"]),
            agencies: choices(&["CSC", "POL"]),
            words: choices(&["bail_conditions"]),
            actions: choices(&["A-1"]),
            states: choices(&["done", "dropped"]),
        }
    }

    fn wrong_fields(kind: Kind, values: &[(&str, &str)]) -> Vec<String> {
        let mut form = form(values);
        step_of(kind, &mut form, &offers());
        form.all_wrong().iter().map(|wrong| wrong.at.clone()).collect()
    }

    #[test]
    fn a_blank_form_says_everything_that_it_needs() {
        for (kind, fields) in [
            (Kind::Action, &["#action", "#word", "#agency", "#person", "#what"][..]),
            (Kind::Progress, &["#action", "#state"]),
            (Kind::Lead, &["#agency"]),
            (Kind::Event, &["#word"]),
            (Kind::Meeting, &["#agency"]),
            (Kind::Waiver, &["#agency", "#person", "#reason"]),
            (Kind::Contacts, &["#contacts", "#agency"]),
        ] {
            assert_eq!(wrong_fields(kind, &[]), fields, "{kind:?}");
        }
    }

    #[test]
    fn an_action_is_owned_by_an_agency_and_never_by_one_of_the_family() {
        let fields = [
            ("action", "A-2"),
            ("word", "bail_conditions"),
            ("agency", "r1"),
            ("person", "r2"),
            ("what", "Ask."),
        ];
        assert_eq!(wrong_fields(Kind::Action, &fields), ["#agency"]);
    }

    #[test]
    fn an_action_is_dropped_only_with_a_reason() {
        let dropped = [("action", "A-1"), ("state", "dropped")];
        assert_eq!(wrong_fields(Kind::Progress, &dropped), ["#note"]);
        assert!(wrong_fields(Kind::Progress, &[("action", "A-1"), ("state", "done")]).is_empty());
    }

    #[test]
    fn several_people_and_agencies_are_each_taken() {
        let mut sent = form(&[("word", "bail_conditions"), ("people", "r1"), ("people", "r2")]);
        let Step::Event(event) = step_of(Kind::Event, &mut sent, &offers()) else { panic!() };
        assert_eq!(event.people, ["r1", "r2"]);
        let both = [("agency", "CSC"), ("present", "POL"), ("dialled-in", "POL")];
        assert_eq!(wrong_fields(Kind::Meeting, &both), ["#dialled-in"]);
        assert_eq!(
            wrong_fields(Kind::Meeting, &[("agency", "CSC"), ("present", "X")]),
            ["#present"]
        );
    }
}
