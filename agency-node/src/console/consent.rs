//! What a person said about sharing: what the node knows of it, and recording what they say now.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use brag_common::{
    console::{Choice, Form, Frame, Problem, Visit, page, shown::when},
    wire::pb::{self, ConsentAnswer, desk_service_server::DeskService as _},
};

use super::{
    Calls, Here,
    acts::about,
    ask::{Ask, Back, Field, refuse},
    moment,
    person::{At, Head, address, look},
    terms::Terms,
};
use crate::look::Extent;

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/people/{enquiry}/{person}/consent", get(show))
        .route("/people/{enquiry}/{person}/consent/record", get(show_record).post(record))
        .route("/people/{enquiry}/{person}/consent/withdraw", get(show_withdraw).post(withdraw))
}

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage {
    frame: Frame,
    head: Head,
    said: Vec<Said>,
}

/// One thing that a person said.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    /// What they said.
    what: &'static str,
    /// How it stands now.
    stands: &'static str,
    /// Whether it lets anything go now.
    holds: bool,
    categories: String,
    recipients: String,
    expires: String,
    by: String,
    at: String,
    /// Who asked, or why nobody did.
    asked: String,
    reason: String,
}

fn said(known: pb::KnownConsent, terms: &Terms) -> Said {
    let all = |list: &[String], named: &dyn Fn(&str) -> String| match list {
        [] => "All".to_owned(),
        list => list.iter().map(|one| named(one)).collect::<Vec<_>>().join(", "),
    };
    let asked = match (known.asked_by.as_str(), known.not_asked_because.as_str()) {
        ("", "") => String::new(),
        ("", why) => format!("Not asked: {why}"),
        (name, _) => format!("Asked by {name}"),
    };
    Said {
        what: what_words(&known.state),
        stands: stands_words(&known.stands),
        holds: known.stands == "valid",
        categories: all(&known.categories, &|code| terms.category(code)),
        recipients: all(&known.recipients, &|agency| terms.agency(agency)),
        expires: when(known.expires_at_unix_ms),
        by: format!("{}, {}", known.recorded_by, terms.agency(&known.agency)),
        at: when(known.recorded_at_unix_ms),
        asked,
        reason: known.reason,
    }
}

fn what_words(state: &str) -> &'static str {
    match state {
        "valid" => "Agreed",
        "refused" => "Refused",
        "withdrawn" => "Took back what they had agreed to",
        _ => "Said something that this version does not know",
    }
}

fn stands_words(stands: &str) -> &'static str {
    match stands {
        "valid" => "Holds now",
        "expired" => "Has run out",
        "refused" => "Refused",
        "withdrawn" => "Withdrawn",
        "taken_back" => "Replaced by what they said later",
        _ => "Not known to this version",
    }
}

async fn show(visit: Visit, State(calls): Here, Path(at): At) -> Result<Response, Problem> {
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    let request = pb::ShowConsentRequest { enquiry: at.0.clone(), person: at.1.clone() };
    let known = calls.desk.show_consent(visit.request(request)).await?.into_inner().consents;
    let said = known.into_iter().rev().map(|one| said(one, &calls.terms)).collect();
    let frame = visit.frame("What this person said about sharing");
    Ok(page(&ConsentPage { frame, head: Head::of(&seen), said }))
}

fn back(head: &Head) -> Back {
    Back { address: format!("{}/consent", head.address), text: "What this person said" }
}

fn ask_record(head: &Head, terms: &Terms) -> Ask {
    let list = |of: Vec<(String, String)>| {
        of.into_iter().map(|(id, name)| Choice::new(id, name)).collect()
    };
    let answers = vec![
        Choice::new("agreed", "They agreed"),
        Choice::new("refused", "They refused")
            .hint("It takes back what they had agreed to before, as far as it names it; a refusal that names nothing is of everything."),
    ];
    let asked = vec![
        Choice::new("me", "I asked them"),
        Choice::new("colleague", "A colleague asked them"),
        Choice::new("nobody", "They were not asked themselves"),
    ];
    Ask {
        heading: "Record what this person said".to_owned(),
        about: about(head),
        text: vec!["It is their own agreement, not the lawful basis of a request: above a threshold nobody needs it. Ask when it is safe. It is signed with your name and goes to the hub.".to_owned()],
        warning: String::new(),
        fields: vec![
            Field::one("answer", "What did they say?", answers),
            Field::any("category", "About which detail?", list(terms.categories())),
            Field::any("recipient", "For which agencies?", list(terms.parties())),
            Field::line("expires", "Until when?").hint("For example 2027-05-11, or 2027-05-11 10:00. Leave empty if it has no end of its own."),
            Field::one("asked", "Who asked them?", asked),
            Field::line("asked_by", "Name of the colleague who asked").hint("Only if a colleague asked"),
            Field::area("not_asked_because", "Why were they not asked?").rows(2).hint("Only if nobody asked, for example: Aged 4; his mother agreed. It stays at your agency."),
        ],
        button: "Sign and record",
        address: format!("{}/consent/record", head.address),
        back: back(head),
    }
}

async fn show_record(visit: Visit, State(calls): Here, Path(at): At) -> Result<Response, Problem> {
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(ask_record(&Head::of(&seen), &calls.terms).show(&visit))
}

/// Where each refusal stands on the page.
const AT: [(&str, &str); 5] = [
    ("consent_names_nothing", "category"),
    ("category_never", "category"),
    ("recipient_not_party", "recipient"),
    ("consent_expired", "expires"),
    ("text_missing", "not_asked_because"),
];

/// The call that a form stands for; what is missing in it is said in the form.
fn to_request(at: &(String, String), form: &mut Form) -> pb::RecordConsentRequest {
    let answer = match form.trimmed("answer") {
        "agreed" => ConsentAnswer::Agreed,
        "refused" => ConsentAnswer::Refused,
        _ => {
            form.wrong("answer", "Choose what they said");
            ConsentAnswer::Unspecified
        }
    };
    let expires = moment::of_optional_text(form.trimmed("expires"));
    if expires.is_none() {
        form.wrong("expires", moment::EXPECTED);
    }
    let (mut asked_by, mut not_asked_because) = (String::new(), String::new());
    match form.trimmed("asked") {
        "me" => {}
        "colleague" => {
            form.trimmed("asked_by").clone_into(&mut asked_by);
            if asked_by.is_empty() {
                form.wrong("asked_by", "Write the name of the colleague who asked");
            }
        }
        "nobody" => {
            form.trimmed("not_asked_because").clone_into(&mut not_asked_because);
            if not_asked_because.is_empty() {
                form.wrong("not_asked_because", "Say why they were not asked");
            }
        }
        _ => form.wrong("asked", "Choose who asked them"),
    }
    pb::RecordConsentRequest {
        enquiry: at.0.clone(),
        person: at.1.clone(),
        answer: answer.into(),
        categories: form.all("category"),
        recipients: form.all("recipient"),
        expires_at_unix_ms: expires.unwrap_or_default(),
        asked_by,
        not_asked_because,
    }
}

async fn record(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
    mut form: Form,
) -> Result<Response, Problem> {
    let request = to_request(&at, &mut form);
    if form.is_right() {
        match calls.desk.record_consent(visit.request(request)).await {
            Ok(_) => {
                let there = format!("{}/consent", address(&at.0, &at.1));
                return Ok(
                    visit.done(&there, "What they said is recorded and on its way to the hub.")
                );
            }
            Err(status) => refuse(&mut form, status, &AT)?,
        }
    }
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(ask_record(&Head::of(&seen), &calls.terms).filled(&visit, form))
}

fn ask_withdrawal(head: &Head) -> Ask {
    let field = Field::area("reason", "What did they say?")
        .hint("At most 600 characters; you may leave it empty. It stays at your agency and is never sent.");
    Ask {
        heading: "They take back what they agreed to".to_owned(),
        about: about(head),
        text: vec!["It takes back everything they had agreed to in this enquiry, whoever recorded it, at once: views that rest on it end, and their readers are told. To keep a part, record what still holds.".to_owned()],
        warning: "Only a later agreement changes it.".to_owned(),
        fields: vec![field],
        button: "Sign and record the withdrawal",
        address: format!("{}/consent/withdraw", head.address),
        back: back(head),
    }
}

async fn show_withdraw(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
) -> Result<Response, Problem> {
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(ask_withdrawal(&Head::of(&seen)).show(&visit))
}

async fn withdraw(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
    mut form: Form,
) -> Result<Response, Problem> {
    let request = pb::WithdrawConsentRequest {
        enquiry: at.0.clone(),
        person: at.1.clone(),
        reason: form.trimmed("reason").to_owned(),
    };
    match calls.desk.withdraw_consent(visit.request(request)).await {
        Ok(_) => {
            let there = format!("{}/consent", address(&at.0, &at.1));
            Ok(visit.done(
                &there,
                "The withdrawal is recorded. What rested on their agreement is closed.",
            ))
        }
        Err(status) => {
            refuse(&mut form, status, &[("text_missing", "reason")])?;
            let seen = look(&visit, &calls, &at, Extent::Person).await?;
            Ok(ask_withdrawal(&Head::of(&seen)).filled(&visit, form))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Form {
        Form::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn wrong(pairs: &[(&str, &str)]) -> Vec<String> {
        let mut form = form(pairs);
        to_request(&at(), &mut form);
        form.all_wrong().iter().map(|wrong| wrong.at.clone()).collect()
    }

    fn at() -> (String, String) {
        ("e".to_owned(), "p".to_owned())
    }

    #[test]
    fn an_empty_form_asks_for_what_they_said_and_who_asked() {
        assert_eq!(wrong(&[]), ["#answer", "#asked"]);
    }

    #[test]
    fn who_was_not_asked_needs_a_reason_and_a_colleague_a_name() {
        for (asked, field) in [("nobody", "#not_asked_because"), ("colleague", "#asked_by")] {
            assert_eq!(wrong(&[("answer", "agreed"), ("asked", asked)]), [field]);
        }
    }

    #[test]
    fn what_stands_in_a_field_of_another_answer_is_not_sent() {
        let mut form = form(&[
            ("answer", "refused"),
            ("category", "C50"),
            ("recipient", "CSC"),
            ("category", "C30"),
            ("asked", "me"),
            ("asked_by", "j.okafor"),
            ("not_asked_because", "left from before"),
        ]);
        let request = to_request(&at(), &mut form);
        assert!(form.is_right());
        assert_eq!(request.categories, ["C50", "C30"]);
        assert_eq!((request.asked_by.as_str(), request.not_asked_because.as_str()), ("", ""));
        assert_eq!(request.answer(), ConsentAnswer::Refused);
    }
}
