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
    console::{Choice, Form, Problem, Visit, shown::spoken},
    statement::PersonRole,
    wire::{
        pb::{self, desk_service_server::DeskService as _},
        words,
    },
};

use super::{
    Calls, Here,
    acts::{about, to_person},
    ask::{Ask, Field, refuse},
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

fn ask(head: &Head, what: &str, heading: &str, text: &str, fields: Vec<Field>) -> Ask {
    Ask {
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

fn ask_link(seen: &look::Person) -> Ask {
    let kinds = LINKS.map(|(kind, text)| Choice::new(kind.word(), text));
    let fields = vec![
        Field::one("kind", "What is the link?", kinds.into()),
        Field::one("other", "To whom?", others(seen)),
    ];
    let text = "Your agency signs that it knows this to be true. It must have a record of both people. The co-ordinator's own claim of a link opens nothing; yours may.";
    ask(&Head::of(seen), "link", "Confirm a link", text, fields)
}

async fn show_link(visit: Visit, State(calls): Here, Path(at): At) -> Result<Response, Problem> {
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(ask_link(&seen).show(&visit))
}

async fn link(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
    mut form: Form,
) -> Result<Response, Problem> {
    let kind = LinkKind::from_word(form.trimmed("kind"));
    let other = form.trimmed("other").to_owned();
    if kind.is_none() {
        form.wrong("kind", "Choose the link");
    }
    if other.is_empty() {
        form.wrong("other", "Choose the other person");
    }
    if let (Some(kind), true) = (kind, form.is_right()) {
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
            Err(status) => refuse(&mut form, status, &[("commitment_not_opened", "other")])?,
        }
    }
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(ask_link(&seen).filled(&visit, form))
}

fn ask_role(seen: &look::Person) -> Ask {
    let roles = PersonRole::ALL.map(|(_, word)| Choice::new(word, spoken(word)));
    let fields = vec![Field::one("role", "Which part has this person?", roles.into())];
    let text = "As your agency sees it today. Your newest statement counts; where agencies differ the co-ordinator sees that they do.";
    ask(&Head::of(seen), "role", "State this person's part", text, fields)
}

async fn show_role(visit: Visit, State(calls): Here, Path(at): At) -> Result<Response, Problem> {
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(ask_role(&seen).show(&visit))
}

async fn role(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
    mut form: Form,
) -> Result<Response, Problem> {
    let chosen = PersonRole::ALL.into_iter().find(|(_, word)| *word == form.trimmed("role"));
    match chosen {
        None => form.wrong("role", "Choose the part"),
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
                Err(status) => refuse(&mut form, status, &[])?,
            }
        }
    }
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(ask_role(&seen).filled(&visit, form))
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

fn ask_threshold(seen: &look::Person, terms: &Terms) -> Result<Ask, Problem> {
    let Some((kind, text)) = threshold_of(terms.own_kind()) else {
        let text = "The agreement does not let your kind of agency state that a threshold is met: section 47 is children's social care's, Marac that of police, a domestic abuse service or the Marac co-ordinator, Care Act section 42 adult social care's.";
        return Err(Problem::NotAllowed(text.to_owned()));
    };
    let head = Head::of(seen);
    let mut people = vec![Choice::new(head.person.clone(), about(&head))];
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
    Ok(ask(
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
    let mut form = Form::default();
    form.put("people", seen.person.to_string());
    Ok(ask_threshold(&seen, &calls.terms)?.filled(&visit, form))
}

/// A number that may be left out.
fn number(form: &mut Form, name: &str) -> u32 {
    let text = form.trimmed(name);
    if text.is_empty() {
        return 0;
    }
    text.parse().unwrap_or_else(|_| {
        form.wrong(name, "Write a whole number, or leave it empty");
        0
    })
}

async fn threshold(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
    mut form: Form,
) -> Result<Response, Problem> {
    let people = form.all("people");
    if people.is_empty() {
        form.wrong("people", "Choose whom it concerns");
    }
    let dash_ticks = number(&mut form, "dash_ticks");
    let reports_in_12_months = number(&mut form, "reports");
    let meeting = moment::of_optional_text(form.trimmed("meeting"));
    if meeting.is_none() {
        form.wrong("meeting", moment::EXPECTED);
    }
    if form.is_right() {
        let kind = threshold_of(calls.terms.own_kind()).map(|(kind, _)| kind);
        let request = pb::MakeAssertionRequest {
            enquiry: at.0.clone(),
            kind: kind.unwrap_or(pb::AssertionKind::Unspecified).into(),
            people,
            dash_ticks,
            professional_judgement: form.has("ground", "judgement"),
            reports_in_12_months,
            repeat: form.has("ground", "repeat"),
            meeting_at_unix_ms: meeting.unwrap_or_default(),
        };
        match calls.desk.make_assertion(visit.request(request)).await {
            Ok(_) => {
                return Ok(visit.done(
                    &address(&at.0, &at.1),
                    "The threshold is signed and on its way to the hub.",
                ));
            }
            Err(status) => refuse(&mut form, status, &[("people_missing", "people")])?,
        }
    }
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(ask_threshold(&seen, &calls.terms)?.filled(&visit, form))
}

fn ask_action(seen: &look::Person) -> Ask {
    let given = match seen.actions.as_slice() {
        [] => "The hub has told your node of no action about this person.".to_owned(),
        actions => format!("The hub has told your node of: {}.", actions.join(", ")),
    };
    let field =
        Field::line("action", "Its name in the plan").hint(format!("For example A-2. {given}"));
    let text = "Say that your agency takes it on. It is signed and shown to every agency that is asked for detail.";
    ask(&Head::of(seen), "action", "Accept an action of the plan", text, vec![field])
}

async fn show_action(visit: Visit, State(calls): Here, Path(at): At) -> Result<Response, Problem> {
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    let mut form = Form::default();
    form.put("action", seen.actions.first().cloned().unwrap_or_default());
    Ok(ask_action(&seen).filled(&visit, form))
}

async fn action(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
    mut form: Form,
) -> Result<Response, Problem> {
    let name = form.trimmed("action").to_owned();
    if name.is_empty() {
        form.wrong("action", "Write the action's name in the plan");
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
            Err(status) => refuse(&mut form, status, &[("invalid_message", "action")])?,
        }
    }
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(ask_action(&seen).filled(&visit, form))
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
        let mut form = Form::default();
        form.put("reports", "many");
        assert_eq!(number(&mut form, "dash_ticks"), 0);
        assert!(form.is_right());
        number(&mut form, "reports");
        assert_ne!(form.error("reports"), "");
    }
}
