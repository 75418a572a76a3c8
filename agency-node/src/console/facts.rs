//! Facts that an agency signs: a link, a part, a threshold, an action that it takes on.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use brag_common::{
    agreement::{LinkKind, PartyType},
    console::{Problem, Visit, shown::spoken},
    statement::PersonRole,
    wire::{
        pb::{self, desk_service_server::DeskService as _},
        words,
    },
};

use super::{
    Calls, Here,
    acts::{about, to_person},
    form::{Choice, Field, Filled, Form, Wrong, wrong},
    moment,
    person::{At, Head, address, look, other_words},
    terms::Terms,
};
use crate::look::{self, Extent};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/people/{enquiry}/{person}/link", get(show_link).post(link))
        .route("/people/{enquiry}/{person}/role", get(show_role).post(role))
        .route("/people/{enquiry}/{person}/threshold", get(show_threshold).post(threshold))
        .route("/people/{enquiry}/{person}/action", get(show_action).post(action))
}

fn form(head: &Head, what: &str, heading: &str, text: &str, fields: Vec<Field>) -> Form {
    Form {
        heading: heading.to_owned(),
        about: about(head),
        text: vec![text.to_owned()],
        warning: String::new(),
        fields,
        button: "Sign and send",
        address: format!("{}/{what}", head.address),
        back: to_person(head.address.clone()),
    }
}

/// The others of the enquiry, to choose from.
fn others(seen: &look::Person) -> Vec<Choice> {
    let others = seen.others.iter();
    others
        .map(|other| Choice::new(other.person.to_string(), other_words(seen, &other.person)))
        .collect()
}

const LINKS: [(LinkKind, &str); 5] = [
    (LinkKind::Household, "They live in one household"),
    (LinkKind::PosesRiskTo, "This person poses a risk to the other"),
    (LinkKind::AtRiskFrom, "This person is at risk from the other"),
    (LinkKind::Relative, "They are related"),
    (LinkKind::ContactVenue, "This person is where contact with the other takes place"),
];

fn link_form(seen: &look::Person) -> Form {
    let kinds = LINKS.map(|(kind, text)| Choice::new(kind.word(), text));
    let fields = vec![
        Field::one("kind", "What is the link?", kinds.into()),
        Field::one("other", "To whom?", others(seen)),
    ];
    let text = "Your agency signs that it knows this to be true. It must have a record of both people. The co-ordinator's own claim of a link opens nothing; yours may.";
    form(&Head::of(seen), "link", "Confirm a link", text, fields)
}

async fn show_link(visit: Visit, State(calls): Here, Path(at): At) -> Result<Response, Problem> {
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(link_form(&seen).show(&visit))
}

async fn link(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
    filled: Filled,
) -> Result<Response, Problem> {
    let kind = LinkKind::from_word(filled.one("kind"));
    let other = filled.one("other").to_owned();
    let mut errors = Vec::new();
    if kind.is_none() {
        errors.push(Wrong::at("kind", "Choose the link"));
    }
    if other.is_empty() {
        errors.push(Wrong::at("other", "Choose the other person"));
    }
    if let (Some(kind), true) = (kind, errors.is_empty()) {
        let claimed =
            pb::ClaimedLink { from: at.1.clone(), to: other, kind: words::link_kind(kind).into() };
        let request = pb::ConfirmLinkRequest { enquiry: at.0.clone(), link: Some(claimed) };
        match calls.desk.confirm_link(visit.request(request)).await {
            Ok(_) => {
                return Ok(visit.done(
                    &address(&at.0, &at.1),
                    "The link is signed and on its way to the hub.",
                ));
            }
            Err(status) => errors = wrong(status, &[("commitment_not_opened", "other")])?,
        }
    }
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(link_form(&seen).refused(&visit, &filled, errors))
}

fn role_form(seen: &look::Person) -> Form {
    let roles = PersonRole::ALL.map(|(_, word)| Choice::new(word, spoken(word)));
    let fields = vec![Field::one("role", "Which part has this person?", roles.into())];
    let text = "As your agency sees it today. Your newest statement counts; where agencies differ the co-ordinator sees that they do.";
    form(&Head::of(seen), "role", "State this person's part", text, fields)
}

async fn show_role(visit: Visit, State(calls): Here, Path(at): At) -> Result<Response, Problem> {
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(role_form(&seen).show(&visit))
}

async fn role(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
    filled: Filled,
) -> Result<Response, Problem> {
    let chosen = PersonRole::ALL.into_iter().find(|(_, word)| *word == filled.one("role"));
    let errors = match chosen {
        None => vec![Wrong::at("role", "Choose the part")],
        Some((role, _)) => {
            let request = pb::StateRoleRequest {
                enquiry: at.0.clone(),
                person: at.1.clone(),
                role: words::role(Some(role)).into(),
            };
            match calls.desk.state_role(visit.request(request)).await {
                Ok(_) => {
                    return Ok(visit.done(
                        &address(&at.0, &at.1),
                        "The part is signed and on its way to the hub.",
                    ));
                }
                Err(status) => wrong(status, &[])?,
            }
        }
    };
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(role_form(&seen).refused(&visit, &filled, errors))
}

/// The threshold that an agency of this kind is asked for; the service has the rule itself.
pub(super) const fn threshold_of(
    kind: Option<PartyType>,
) -> Option<(pb::AssertionKind, &'static str)> {
    match kind {
        Some(PartyType::ChildrensSocialCare) => {
            Some((pb::AssertionKind::Section47, "Section 47 of the Children Act 1989 is met"))
        }
        Some(PartyType::Police | PartyType::DomesticAbuseService | PartyType::Marac) => {
            Some((pb::AssertionKind::Marac, "The Marac threshold is met"))
        }
        Some(PartyType::AdultSocialCare) => {
            Some((pb::AssertionKind::CareAct42, "Section 42 of the Care Act 2014 is met"))
        }
        _ => None,
    }
}

fn threshold_form(seen: &look::Person, terms: &Terms) -> Result<Form, Problem> {
    let Some((kind, text)) = threshold_of(terms.own_kind()) else {
        let text = "The agreement does not let your kind of agency state that a threshold is met: section 47 is children's social care's, Marac that of police, a domestic abuse service or the Marac co-ordinator, Care Act section 42 adult social care's.";
        return Err(Problem::NotAllowed(text.to_owned()));
    };
    let head = Head::of(seen);
    let mut people =
        vec![Choice { chosen: true, ..Choice::new(head.person.clone(), about(&head)) }];
    people.extend(others(seen));
    let mut fields = vec![Field::any("people", "Whom does it concern?", people)];
    if kind == pb::AssertionKind::Marac {
        fields.extend([
            Field::number("dash_ticks", "Ticks on the Dash risk checklist").hint("Leave empty if not counted"),
            Field::any("ground", "It rests also on", vec![
                Choice::new("judgement", "Professional judgement: high risk"),
                Choice::new("repeat", "A repeat: the same victim and perpetrator were heard within twelve months"),
            ]),
            Field::number("reports", "Reports in the last twelve months").hint("Leave empty if not counted"),
            Field::line("meeting", "When is the meeting?").hint("For example 2027-02-11 10:00, in United Kingdom time. Leave empty if it is not listed yet."),
        ]);
    }
    Ok(form(
        &head,
        "threshold",
        text,
        "It is signed with your name, goes to the hub, and can open detail. State it only when your agency has decided so.",
        fields,
    ))
}

async fn show_threshold(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
) -> Result<Response, Problem> {
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(threshold_form(&seen, &calls.terms)?.show(&visit))
}

/// A number that may be left out.
fn number(filled: &Filled, name: &str, errors: &mut Vec<Wrong>) -> u32 {
    let text = filled.one(name);
    if text.is_empty() {
        return 0;
    }
    text.parse().unwrap_or_else(|_| {
        errors.push(Wrong::at(name, "Write a whole number, or leave it empty"));
        0
    })
}

async fn threshold(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
    filled: Filled,
) -> Result<Response, Problem> {
    let mut errors = Vec::new();
    let people = filled.all("people");
    if people.is_empty() {
        errors.push(Wrong::at("people", "Choose whom it concerns"));
    }
    let dash_ticks = number(&filled, "dash_ticks", &mut errors);
    let reports_in_12_months = number(&filled, "reports", &mut errors);
    let meeting = filled.one("meeting");
    let meeting_at_unix_ms = moment::of_optional_text(meeting).unwrap_or_else(|| {
        errors.push(Wrong::at("meeting", moment::EXPECTED));
        0
    });
    if errors.is_empty() {
        let kind = threshold_of(calls.terms.own_kind()).map(|(kind, _)| kind);
        let request = pb::MakeAssertionRequest {
            enquiry: at.0.clone(),
            kind: kind.unwrap_or(pb::AssertionKind::Unspecified).into(),
            people,
            dash_ticks,
            professional_judgement: filled.has("ground", "judgement"),
            reports_in_12_months,
            repeat: filled.has("ground", "repeat"),
            meeting_at_unix_ms,
        };
        match calls.desk.make_assertion(visit.request(request)).await {
            Ok(_) => {
                return Ok(visit.done(
                    &address(&at.0, &at.1),
                    "The threshold is signed and on its way to the hub.",
                ));
            }
            Err(status) => errors = wrong(status, &[("people_missing", "people")])?,
        }
    }
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(threshold_form(&seen, &calls.terms)?.refused(&visit, &filled, errors))
}

fn action_form(seen: &look::Person) -> Form {
    let given = match seen.actions.as_slice() {
        [] => "The hub has told your node of no action about this person.".to_owned(),
        actions => format!("The hub has told your node of: {}.", actions.join(", ")),
    };
    let first = seen.actions.first().cloned().unwrap_or_default();
    let field =
        Field::line("action", "Its name in the plan").hint(format!("For example A-2. {given}"));
    let text = "Say that your agency takes it on. It is signed and shown to every agency that is asked for detail.";
    form(&Head::of(seen), "action", "Accept an action of the plan", text, vec![field.value(first)])
}

async fn show_action(visit: Visit, State(calls): Here, Path(at): At) -> Result<Response, Problem> {
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(action_form(&seen).show(&visit))
}

async fn action(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
    filled: Filled,
) -> Result<Response, Problem> {
    let name = filled.one("action").to_owned();
    let errors = if name.is_empty() {
        vec![Wrong::at("action", "Write the action's name in the plan")]
    } else {
        let request =
            pb::AcceptActionRequest { enquiry: at.0.clone(), person: at.1.clone(), action: name };
        match calls.desk.accept_action(visit.request(request)).await {
            Ok(_) => {
                return Ok(visit.done(
                    &address(&at.0, &at.1),
                    "Your agency has accepted the action. The hub is told.",
                ));
            }
            Err(status) => wrong(status, &[("invalid_field", "action")])?,
        }
    };
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(action_form(&seen).refused(&visit, &filled, errors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_agency_is_asked_for_its_own_threshold_and_most_for_none() {
        let kinds = PartyType::ALL.iter().filter_map(|kind| threshold_of(Some(*kind)));
        assert_eq!(kinds.count(), 5);
        assert_eq!(threshold_of(Some(PartyType::Education)), None);
        assert_eq!(threshold_of(None), None);
    }

    #[test]
    fn every_kind_of_link_can_be_confirmed() {
        assert_eq!(LINKS.map(|(kind, _)| kind).len(), LinkKind::ALL.len());
    }

    #[test]
    fn a_number_that_is_none_is_wrong_at_its_field_and_an_empty_one_is_nothing() {
        let filled = Filled(vec![("reports".to_owned(), "many".to_owned())]);
        let mut errors = Vec::new();
        assert_eq!(number(&filled, "dash_ticks", &mut errors), 0);
        assert_eq!(errors, []);
        number(&filled, "reports", &mut errors);
        assert_eq!(errors[0].field, "reports");
    }
}
