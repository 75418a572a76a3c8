//! Two identities side by side: who is asked about, and the agency's own record. A person decides whether they are one.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use brag_common::{
    console::{
        Choice, Form, Frame, Problem, Visit, form_page,
        shown::{spoken, when},
    },
    wire::pb::{self, IdentityDecision, desk_service_server::DeskService as _},
};

use super::{
    Calls, Here,
    acts::reason_field,
    ask::{Field, refuse},
    due::Due,
    person::{At, Head, address, look},
    terms::Terms,
};
use crate::{
    look::{self, Extent},
    store::shapes::{IdentityVerdict, Standing},
    work::side,
};

// Askama's templates name them.
use super::ask::Kind;

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new().route("/people/{enquiry}/{person}/identity", get(show).post(decide))
}

#[derive(Template)]
#[template(path = "identity.html")]
struct IdentityPage {
    frame: Frame,
    head: Head,
    due: Due,
    purpose: String,
    record_id: String,
    rows: Vec<Row>,
    decisions: Vec<Decided>,
    /// Nobody has decided yet.
    open: bool,
    /// There is nothing to compare any more.
    erased: bool,
    fields: Vec<Field>,
    form: Form,
}

/// One line of the comparison.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    what: &'static str,
    asked: String,
    own: String,
    verdict: Verdict,
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Agrees,
    AsFarAsKnown,
    Differs,
    OnlyAsked,
    OnlyOwn,
    Unknown,
}

impl Verdict {
    const fn words(self) -> &'static str {
        match self {
            Self::Agrees => "Agrees",
            Self::AsFarAsKnown => "Agrees as far as known",
            Self::Differs => "Differs",
            Self::OnlyAsked => "Only asked about",
            Self::OnlyOwn => "Only on our record",
            Self::Unknown => "Not known",
        }
    }

    /// The colour of its tag; the words carry the meaning.
    const fn tag(self) -> &'static str {
        match self {
            Self::Agrees | Self::AsFarAsKnown => "green",
            Self::Differs => "red",
            Self::OnlyAsked | Self::OnlyOwn | Self::Unknown => "grey",
        }
    }
}

/// What somebody decided before.
struct Decided {
    what: &'static str,
    by: String,
    at: String,
    reason: String,
}

/// Every field of both, those that agree beside each other.
fn compare(asked: &pb::IdentitySide, own: &pb::IdentitySide) -> Vec<Row> {
    let mut rows = several("Name", &asked.names, &own.names);
    rows.push(single("Born", &asked.born, &own.born));
    rows.push(single("Sex", &asked.sex, &own.sex));
    rows.extend(several("Address", &asked.addresses, &own.addresses));
    rows.extend(several("Identifier", &asked.identifiers, &own.identifiers));
    rows
}

fn single(what: &'static str, asked: &str, own: &str) -> Row {
    let verdict = match (asked, own) {
        ("", "") => Verdict::Unknown,
        (_, "") => Verdict::OnlyAsked,
        ("", _) => Verdict::OnlyOwn,
        (asked, own) if asked == own => Verdict::Agrees,
        // A date of which only the year or the month is known is a beginning of the whole one.
        (asked, own) if asked.starts_with(own) || own.starts_with(asked) => Verdict::AsFarAsKnown,
        _ => Verdict::Differs,
    };
    Row { what, asked: spoken(asked), own: spoken(own), verdict }
}

/// Values that agree beside each other, then what is left of both.
fn several(what: &'static str, asked: &[String], own: &[String]) -> Vec<Row> {
    let mut left: Vec<&String> = own.iter().collect();
    let mut unmatched = Vec::new();
    let mut rows = Vec::new();
    for value in asked {
        match left.iter().position(|other| bare(other) == bare(value)) {
            Some(place) => {
                let other = left.remove(place);
                rows.push(Row {
                    what,
                    asked: spoken(value),
                    own: spoken(other),
                    verdict: Verdict::Agrees,
                });
            }
            None => unmatched.push(value),
        }
    }
    let mut left = left.into_iter();
    for value in unmatched {
        let (own, verdict) = match left.next() {
            Some(other) => (spoken(other), Verdict::Differs),
            None => (String::new(), Verdict::OnlyAsked),
        };
        rows.push(Row { what, asked: spoken(value), own, verdict });
    }
    rows.extend(left.map(|other| Row {
        what,
        asked: String::new(),
        own: spoken(other),
        verdict: Verdict::OnlyOwn,
    }));
    if rows.is_empty() {
        rows.push(single(what, "", ""));
    }
    rows
}

/// A value as it is compared: in lower case, without punctuation, and without the days between which it held.
fn bare(value: &str) -> String {
    let value = value.split(" (").next().unwrap_or(value);
    let letters = value.chars().filter(|c| c.is_alphanumeric() || *c == ':');
    letters.flat_map(char::to_lowercase).collect()
}

fn view(visit: &Visit, terms: &Terms, seen: &look::Person, form: Form) -> Response {
    let asked = seen.known.opened.as_ref().and_then(|opened| side(&opened.identity));
    let own = seen.own.as_deref().and_then(side).unwrap_or_default();
    let open = seen.known.standing == Standing::IdentityReview;
    let same = Choice::new("same", "The same person")
        .hint("They are to be rated next; a fresh standing rating answers at once.");
    let different = Choice::new("different", "Somebody else").hint(
        "The hub is told that your agency does not know the person, every rating that rests on this record is withdrawn, and what was disclosed is erased.",
    );
    // To decide the same way again is nothing; to undo it is to say that it is somebody else.
    let choices = if open { vec![same, different] } else { vec![different] };
    let label = if open { "Is it one person?" } else { "Undo: it is not one person" };
    let fields = vec![Field::one("decision", label, choices), reason_field("Why?")];
    let decisions = seen.known.decisions.iter().rev().map(|decided| Decided {
        what: match decided.verdict {
            IdentityVerdict::Same => "The same person",
            IdentityVerdict::Different => "Somebody else",
        },
        by: decided.by.to_string(),
        at: when(decided.at.as_millisecond()),
        reason: decided.reason.clone(),
    });
    let shown = IdentityPage {
        frame: visit.frame(form.title("Compare identities")),
        head: Head::of(seen),
        due: Due::by(seen.about.answer_by.as_millisecond(), terms.now()),
        purpose: spoken(&seen.about.purpose),
        record_id: seen.record_id.clone(),
        rows: asked.as_ref().map(|asked| compare(asked, &own)).unwrap_or_default(),
        decisions: decisions.collect(),
        open,
        erased: asked.is_none(),
        fields,
        form,
    };
    form_page(shown.form.status(), &shown)
}

async fn show(visit: Visit, State(calls): Here, Path(at): At) -> Result<Response, Problem> {
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(view(&visit, &calls.terms, &seen, Form::default()))
}

async fn decide(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
    mut form: Form,
) -> Result<Response, Problem> {
    let decision = match form.trimmed("decision") {
        "same" => Some(IdentityDecision::Same),
        "different" => Some(IdentityDecision::Different),
        _ => None,
    };
    match decision {
        None => form.wrong("decision", "Choose whether it is one person"),
        Some(decision) => {
            let request = pb::DecideIdentityRequest {
                enquiry: at.0.clone(),
                person: at.1.clone(),
                decision: decision.into(),
                reason: form.trimmed("reason").to_owned(),
            };
            match calls.desk.decide_identity(visit.request(request)).await {
                Ok(done) => return Ok(decided(&visit, &at, decision, &done.into_inner())),
                Err(status) => refuse(&mut form, status, &[("reason_missing", "reason")])?,
            }
        }
    }
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(view(&visit, &calls.terms, &seen, form))
}

fn decided(
    visit: &Visit,
    at: &(String, String),
    decision: IdentityDecision,
    done: &pb::DecideIdentityResponse,
) -> Response {
    match decision {
        IdentityDecision::Same if done.rating.is_empty() => visit
            .done(&address(&at.0, &at.1), "It is the same person: they are to be rated now."),
        IdentityDecision::Same => visit.done(
            &address(&at.0, &at.1),
            "It is the same person. Your agency's standing rating has answered.",
        ),
        _ => visit.done(
            "/worklist",
            "It is somebody else. The hub is told that your agency does not know the person, and what was disclosed is erased.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn what_agrees_stands_side_by_side_however_it_is_ordered_and_written() {
        let rows = several(
            "Name",
            &texts(&["current: Ann Lee", "former: Ann May"]),
            &texts(&["former: ANN MAY", "current: Anna Lee"]),
        );
        assert_eq!(rows[0].verdict, Verdict::Agrees);
        assert_eq!(rows[0].own, "Former: ANN MAY");
        assert_eq!(
            (rows[1].own.as_str(), rows[1].verdict),
            ("Current: Anna Lee", Verdict::Differs)
        );
    }

    #[test]
    fn what_one_side_lacks_is_said_to_be_lacking_and_never_to_differ() {
        let rows = several("Address", &texts(&["1 High St, AB1 2CD (to 2024-05-31)"]), &[]);
        assert_eq!(rows[0].verdict, Verdict::OnlyAsked);
        let rows = several("Address", &[], &texts(&["1 High St"]));
        assert_eq!(rows[0].verdict, Verdict::OnlyOwn);
        assert_eq!(several("Identifier", &[], &[])[0].verdict, Verdict::Unknown);
    }

    #[test]
    fn the_days_of_an_address_do_not_make_it_differ_but_its_letters_do() {
        let rows = several(
            "Address",
            &texts(&["1 High St, AB1 2CD (from 2020)"]),
            &texts(&["1 high st AB1 2CD"]),
        );
        assert_eq!(rows[0].verdict, Verdict::Agrees);
    }

    #[test]
    fn a_birth_that_is_known_in_part_agrees_as_far_as_it_is_known() {
        assert_eq!(single("Born", "1991-04", "1991-04-12").verdict, Verdict::AsFarAsKnown);
        assert_eq!(single("Born", "1991-05", "1991-04-12").verdict, Verdict::Differs);
        assert_eq!(single("Born", "1991-04-12", "1991-04-12").verdict, Verdict::Agrees);
    }
}
