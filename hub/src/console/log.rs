//! Searching the log: by conditions, by who a person is, one entry, and questions that are saved.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use brag_common::{
    agreement::Agreement,
    audit::{Fault, entry::Action},
    console::{Choice, Form, Frame, Problem, Visit, form_page, page, shown::when},
    id::RequestId,
    reason::Reason,
    wire::pb::{self, coordinator_service_server::CoordinatorService as _},
};

use super::{
    Calls, Here,
    governance::{Auditor, Field, file, identity, mark, person_fields, refuse},
};
use crate::{
    inspect::{
        question::Question,
        words::{Told, action_words, told},
    },
    render::gate_words,
    store::shapes::QuestionRecord,
};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/log", get(show))
        .route("/log/search", post(search))
        .route("/log/person", get(show_person).post(find_person))
        .route("/log/found/{name}", get(found))
        .route("/log/found/{name}/below/{below}", get(found_below))
        .route("/log/found/{name}/entries.csv", get(table))
        .route("/log/found/{name}/keep", post(keep))
        .route("/log/questions/{place}/ask", post(ask_kept))
        .route("/log/questions/{place}/delete", post(delete_kept))
        .route("/log/entries/{seq}", get(entry))
}

#[derive(Template)]
#[template(path = "log_search.html")]
struct SearchPage {
    frame: Frame,
    form: Form,
    fields: Vec<Field>,
    kept: Vec<Kept>,
}

#[derive(Template)]
#[template(path = "log_person.html")]
struct PersonPage {
    frame: Frame,
    form: Form,
    fields: Vec<Field>,
}

#[derive(Template)]
#[template(path = "log_found.html")]
struct FoundPage {
    frame: Frame,
    form: Form,
    name: String,
    conditions: Vec<(&'static str, String)>,
    fault: Option<String>,
    summary: String,
    entries: Vec<Told>,
    more_below: Option<u64>,
    keep: Field,
}

#[derive(Template)]
#[template(path = "log_entry.html")]
struct EntryPage {
    frame: Frame,
    entry: Told,
    action: &'static str,
    before: Option<u64>,
    after: u64,
    /// Whether a checkpoint covers it.
    covered: bool,
}

/// A question that is saved, in a line.
struct Kept {
    place: String,
    name: String,
    by: String,
    at: String,
    conditions: Vec<(&'static str, String)>,
}

impl Kept {
    fn of((place, record): (RequestId, QuestionRecord), agreement: &Agreement) -> Self {
        Self {
            place: place.to_string(),
            name: record.name,
            by: record.by.to_string(),
            at: when(record.at.as_millisecond()),
            conditions: conditions(&record.question, agreement),
        }
    }
}

/// The fields of a search.
fn fields(agreement: &Agreement) -> Vec<Field> {
    let option = |value: &str, text: String| Choice::new(value, text);
    let mut parties = vec![option("hub", "The hub".to_owned())];
    parties.extend(agreement.parties().map(|party| {
        let id = party.id().as_str();
        option(id, format!("{id} ({})", party.name()))
    }));
    let mut actions: Vec<_> = Action::ALL
        .iter()
        .map(|action| option(action.word(), format!("{} ({action})", action_words(*action))))
        .collect();
    actions.sort_by(|a, b| a.text.cmp(&b.text));
    let gates =
        ["g1", "g2", "g3", "g4", "g5", "g6"].map(|gate| Choice::new(gate, gate_words(gate)));
    let categories = agreement.categories().iter();
    let categories = categories.map(|(code, category)| {
        Choice::new(code.to_string(), format!("{code} ({})", category.title))
    });
    let reasons = Reason::ALL.iter().map(|reason| Choice::new(reason.code(), reason.code()));
    vec![
        Field::new("enquiry", "Enquiry", "Its reference"),
        Field::new("person", "Person", "Their reference, never a name"),
        Field::new("exchange", "Exchange", "Its reference"),
        Field::new("party", "Other side or recipient", "").of(parties),
        Field::new("actor", "Member of staff", "As in the log, for example j.okafor"),
        Field::new("action", "What happened", "").of(actions),
        Field::new("gate", "Gate", "").of(gates.to_vec()),
        Field::new("category", "Category", "").of(categories.collect()),
        Field::new("outcome", "Outcome", "In the log's word, for example deny or not_known"),
        Field::new("reason", "Reason", "").of(reasons.collect()),
        Field::new("from", "From day", "For example 2027-02-01"),
        Field::new("to", "Until day", "For example 2027-02-28; the day is part of it"),
    ]
}

/// What a question asks, in words.
fn conditions(question: &Question, agreement: &Agreement) -> Vec<(&'static str, String)> {
    let form = Form::of(question.fields());
    let shown = |field: Field| {
        let value = form.value(field.name);
        let option = field.options.iter().find(|option| option.value == value);
        let text = option.map_or(value, |option| &option.text);
        (!value.is_empty()).then(|| (field.label, text.to_owned()))
    };
    let mut all: Vec<_> = fields(agreement).into_iter().filter_map(shown).collect();
    if let Some(people) = &question.people {
        let n = people.len();
        all.push(("About", format!("somebody who was found by an identity, in {n} enquiries")));
    }
    all
}

async fn kept(visit: &Visit, calls: &Calls) -> Result<Vec<Kept>, Problem> {
    let agreement = calls.inspection.shared().agreement.agreement();
    let kept = calls.inspection.questions(visit.request(())).await?;
    Ok(kept.into_iter().map(|one| Kept::of(one, agreement)).collect())
}

async fn search_page(visit: &Visit, calls: &Calls, form: Form) -> Result<Response, Problem> {
    let shown = SearchPage {
        frame: visit.frame(form.title("Search the log")),
        fields: fields(calls.inspection.shared().agreement.agreement()),
        kept: kept(visit, calls).await?,
        form,
    };
    Ok(form_page(shown.form.status(), &shown))
}

async fn show(Auditor(visit): Auditor, State(calls): Here) -> Result<Response, Problem> {
    search_page(&visit, &calls, Form::default()).await
}

async fn search(
    Auditor(visit): Auditor,
    State(calls): Here,
    mut form: Form,
) -> Result<Response, Problem> {
    match Question::read(&form.values().iter().cloned().collect()) {
        Ok(question) => ask(&visit, &calls, question),
        Err(problems) => {
            mark(&mut form, problems);
            search_page(&visit, &calls, form).await
        }
    }
}

/// Remembers a question and goes to what it finds.
fn ask(visit: &Visit, calls: &Calls, question: Question) -> Result<Response, Problem> {
    let name = calls.inspection.ask(visit.request(question))?;
    Ok(Redirect::to(&format!("/log/found/{name}")).into_response())
}

fn person_page(visit: &Visit, form: Form) -> Response {
    let frame = visit.frame(form.title("Search by who a person is"));
    form_page(form.status(), &PersonPage { frame, form, fields: person_fields() })
}

async fn show_person(Auditor(visit): Auditor) -> Response {
    person_page(&visit, Form::default())
}

async fn find_person(
    Auditor(visit): Auditor,
    State(calls): Here,
    mut form: Form,
) -> Result<Response, Problem> {
    let identity = match identity(&form) {
        Ok(identity) => identity,
        Err(problems) => {
            mark(&mut form, problems);
            return Ok(person_page(&visit, form));
        }
    };
    let request = visit.request(pb::FindPersonRequest { identity });
    let found = match calls.coordinators.find_person(request).await {
        Ok(found) => found.into_inner().exchanges,
        Err(status) => {
            refuse(&mut form, "given", status)?;
            return Ok(person_page(&visit, form));
        }
    };
    if found.is_empty() {
        let text = "Looked: nothing is kept here that may be about this person.";
        return Ok(visit.done("/log/person", text));
    }
    let people =
        found.iter().filter_map(|one| Some((one.enquiry.parse().ok()?, one.person.parse().ok()?)));
    let question = Question { people: Some(people.collect()), ..Question::default() };
    let unclear = found.iter().filter(|one| one.unclear).count();
    let name = calls.inspection.ask(visit.request(question))?;
    let text = format!(
        "Found in {} enquiries; in {unclear} of them it is unclear whether it is the same person.",
        found.len()
    );
    Ok(visit.done(&format!("/log/found/{name}"), text))
}

async fn found(
    auditor: Auditor,
    calls: Here,
    Path(name): Path<RequestId>,
) -> Result<Response, Problem> {
    found_at(auditor, calls, name, None).await
}

async fn found_below(
    auditor: Auditor,
    calls: Here,
    Path((name, below)): Path<(RequestId, u64)>,
) -> Result<Response, Problem> {
    found_at(auditor, calls, name, Some(below)).await
}

/// A question that was asked, or the page to ask it anew when it is not remembered.
fn asked(visit: &Visit, calls: &Calls, name: &RequestId) -> Result<Option<Question>, Problem> {
    match calls.inspection.question(visit.request(name.clone())) {
        Ok(question) => Ok(Some(question)),
        Err(status) => match Problem::from(status) {
            Problem::NotFound => Ok(None),
            other => Err(other),
        },
    }
}

fn forgotten(visit: &Visit) -> Response {
    visit.done("/log", "The search is not remembered any more. Ask it anew.")
}

async fn found_at(
    Auditor(visit): Auditor,
    State(calls): Here,
    name: RequestId,
    below: Option<u64>,
) -> Result<Response, Problem> {
    let Some(question) = asked(&visit, &calls, &name)? else { return Ok(forgotten(&visit)) };
    found_page(&visit, &calls, (name, question, below), Form::default()).await
}

async fn found_page(
    visit: &Visit,
    calls: &Calls,
    (name, question, below): (RequestId, Question, Option<u64>),
    form: Form,
) -> Result<Response, Problem> {
    let agreement = calls.inspection.shared().agreement.agreement();
    let conditions = conditions(&question, agreement);
    let found = calls.inspection.found(visit.request((question, below))).await?;
    let shown = FoundPage {
        frame: visit.frame(form.title("Entries found")),
        form,
        name: name.to_string(),
        conditions,
        fault: found.fault.as_ref().map(fault_words),
        summary: summary(found.entries.len(), found.n_looked, found.more_below),
        entries: found.entries.iter().map(|entry| told(entry, agreement)).collect(),
        more_below: found.more_below,
        keep: KEEP_AS,
    };
    Ok(form_page(shown.form.status(), &shown))
}

const KEEP_AS: Field = Field::new(
    "keep_as",
    "Name of the question",
    "In words of the log and everyday words, for example Refusals on g3. Never anybody's name",
);

/// How many entries were found among how many.
fn summary(n_found: usize, n_looked: u64, more_below: Option<u64>) -> String {
    let entries = if n_found == 1 { "entry" } else { "entries" };
    match more_below {
        Some(below) => format!(
            "{n_found} {entries} of the {n_looked} that were looked at; those before number {below} were not looked at yet."
        ),
        None => format!("{n_found} {entries}; nothing before them was left out."),
    }
}

/// What is wrong with the log, for whoever searches it.
fn fault_words(fault: &Fault) -> String {
    format!(
        "The log is not in order at entry {}: {}. What stands behind it in the same file was not searched. Check the log.",
        fault.seq, fault.what
    )
}

async fn table(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path(name): Path<RequestId>,
) -> Result<Response, Problem> {
    let Some(question) = asked(&visit, &calls, &name)? else { return Ok(forgotten(&visit)) };
    let bytes = calls.inspection.table(visit.request(question)).await?;
    Ok(file("entries.csv", "text/csv; charset=utf-8", bytes))
}

async fn keep(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path(name): Path<RequestId>,
    mut form: Form,
) -> Result<Response, Problem> {
    let Some(question) = asked(&visit, &calls, &name)? else { return Ok(forgotten(&visit)) };
    let request = visit.request((question.clone(), form.value(KEEP_AS.name).to_owned()));
    match calls.inspection.keep_question(request).await {
        Ok(()) => Ok(visit.done("/log", "The question is saved.")),
        Err(status) => {
            refuse(&mut form, KEEP_AS.name, status)?;
            found_page(&visit, &calls, (name, question, None), form).await
        }
    }
}

async fn ask_kept(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path(place): Path<RequestId>,
) -> Result<Response, Problem> {
    let question = calls.inspection.kept_question(visit.request(place)).await?;
    ask(&visit, &calls, question)
}

async fn delete_kept(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path(place): Path<RequestId>,
) -> Result<Response, Problem> {
    calls.inspection.forget_question(visit.request(place)).await?;
    Ok(visit.done("/log", "The question is deleted."))
}

async fn entry(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path(seq): Path<u64>,
) -> Result<Response, Problem> {
    let entry = calls.inspection.entry(visit.request(seq)).await?;
    Ok(page(&EntryPage {
        frame: visit.frame(format!("Entry {seq}")),
        action: entry.action.word(),
        entry: told(&entry, calls.inspection.shared().agreement.agreement()),
        before: seq.checked_sub(1),
        after: seq.saturating_add(1),
        covered: calls.inspection.is_covered(seq).await,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testkit::agreement;

    #[test]
    fn a_search_offers_everything_that_the_log_and_the_agreement_know() {
        let all = fields(&agreement());
        let options = |name: &str| {
            let field = all.iter().find(|field| field.name == name);
            field.map_or(0, |field| field.options.len())
        };
        assert_eq!(options("action"), Action::ALL.len());
        assert_eq!(options("reason"), Reason::ALL.len());
        assert_eq!(options("gate"), 6);
        assert_eq!(options("party"), agreement().parties().count() + 1);
        assert!(options("category") > 10);
    }

    #[test]
    fn conditions_are_told_in_words_and_people_as_how_many() {
        let sent: std::collections::BTreeMap<_, _> = [("gate", "g3"), ("party", "POL")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let mut question = Question::read(&sent).unwrap();
        question.people = Some([("e1".parse().unwrap(), "p1".parse().unwrap())].into());
        let told = conditions(&question, &agreement());
        assert!(told.contains(&("Gate", "g3 (Red)".to_owned())), "{told:?}");
        assert!(
            told.iter()
                .any(|(label, text)| *label == "Other side or recipient"
                    && text.starts_with("POL ("))
        );
        assert!(told.last().unwrap().1.contains("in 1 enquiries"));
    }

    #[test]
    fn a_summary_says_what_was_not_looked_at() {
        assert!(summary(100, 250, Some(40)).contains("before number 40 were not looked at"));
        assert!(summary(1, 3, None).starts_with("1 entry;"));
    }
}
