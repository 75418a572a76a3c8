//! Acts about one person, a form each: to decline, to take back a rating, to challenge one, to answer a challenge, to stand aside.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use brag_common::{
    console::{
        Choice, Form, Problem, Visit,
        shown::{spoken, when},
    },
    wire::pb::{self, desk_service_server::DeskService as _},
};

use super::{
    Calls, Here,
    ask::{Ask, Back, Field, refuse},
    person::{At, Head, address, look},
    terms::Terms,
};
use crate::look::{self, Extent};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/people/{enquiry}/{person}/decline", get(show_decline).post(decline))
        .route("/people/{enquiry}/{person}/withdraw", get(show_withdraw).post(withdraw))
        .route("/people/{enquiry}/{person}/challenge", get(show_challenge).post(challenge))
        .route("/people/{enquiry}/{person}/challenges/{challenge}", get(show_answer).post(answer))
        .route("/people/{enquiry}/{person}/conflict", get(show_conflict).post(conflict))
}

/// Back to the page of a person.
pub(super) fn to_person(address: String) -> Back {
    Back { address, text: "Back to the person" }
}

/// Who a form is about, in a line.
pub(super) fn about(head: &Head) -> String {
    let parts = [head.name.as_str(), head.role.as_str(), head.age.as_str()];
    let said: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    said.join(", ")
}

/// Why an assessor may decline: the word that the hub is told, and what it stands for.
const REASONS: [(&str, &str); 4] = [
    ("conflict_of_interest", "I know the family, and no colleague can judge"),
    ("record_too_old", "What my agency knows is too old to judge by"),
    ("not_enough_known", "My agency does not know enough to judge"),
    ("other", "Another reason, which I shall tell the co-ordinator"),
];

/// Open to whoever is linked to the family: nobody is looked at.
fn ask_decline((enquiry, person): &(String, String)) -> Ask {
    let here = address(enquiry, person);
    let choices = REASONS.map(|(word, text)| {
        Choice::new(word, text).hint(format!("The hub is told: {}", spoken(word).to_lowercase()))
    });
    Ask {
        heading: "Decline to rate".to_owned(),
        about: format!("Person {person}"),
        text: vec!["Declining is not Blue, and nobody reads it as Blue. The co-ordinator sees that your agency declined, and why in one word.".to_owned()],
        warning: String::new(),
        fields: vec![Field::one("decline", "Why can your agency not judge?", choices.into())],
        button: "Decline to rate",
        address: format!("{here}/decline"),
        back: to_person(here),
    }
}

async fn show_decline(visit: Visit, Path(at): At) -> Response {
    ask_decline(&at).show(&visit)
}

async fn decline(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
    mut form: Form,
) -> Result<Response, Problem> {
    let reason = form.trimmed("decline").to_owned();
    if reason.is_empty() {
        form.wrong("decline", "Choose why your agency can not judge");
        return Ok(ask_decline(&at).filled(&visit, form));
    }
    let request = pb::GiveRatingRequest {
        enquiry: at.0.clone(),
        person: at.1.clone(),
        decline_reason: reason,
        ..pb::GiveRatingRequest::default()
    };
    match calls.desk.give_rating(visit.request(request)).await {
        Ok(_) => Ok(visit
            .done("/worklist", "Your agency has declined to rate this person. The hub is told.")),
        Err(status) => {
            refuse(&mut form, status, &[("decline_reason", "decline")])?;
            Ok(ask_decline(&at).filled(&visit, form))
        }
    }
}

fn ask_withdrawal(seen: &look::Person) -> Ask {
    let head = Head::of(seen);
    let now = seen.rating.as_ref().map_or_else(
        || "Your agency gives this person no rating now.".to_owned(),
        |given| {
            format!(
                "Your agency's rating now is {}, of {}.",
                spoken(given.colour.word()),
                when(given.rated_at.as_millisecond())
            )
        },
    );
    Ask {
        heading: "Withdraw your agency's rating".to_owned(),
        about: about(&head),
        text: vec![now, "Both the rating and its withdrawal stay on record. An earlier rating of yours counts again; otherwise the person waits for a rating. To replace a rating, rate again instead.".to_owned()],
        warning: "What was released on the rating stays released: speak to whoever received it.".to_owned(),
        fields: vec![reason_field("Why do you withdraw it?")],
        button: "Withdraw the rating",
        address: format!("{}/withdraw", head.address),
        back: to_person(head.address),
    }
}

/// A reason that stays at the agency.
pub(super) fn reason_field(label: &str) -> Field {
    Field::area("reason", label)
        .hint("At most 600 characters. It stays at your agency and is never sent.")
}

async fn show_withdraw(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
) -> Result<Response, Problem> {
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(ask_withdrawal(&seen).show(&visit))
}

async fn withdraw(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
    mut form: Form,
) -> Result<Response, Problem> {
    let request = pb::WithdrawRatingRequest {
        enquiry: at.0.clone(),
        person: at.1.clone(),
        reason: form.trimmed("reason").to_owned(),
    };
    match calls.desk.withdraw_rating(visit.request(request)).await {
        Ok(_) => {
            Ok(visit.done(&address(&at.0, &at.1), "The rating is withdrawn. The hub is told."))
        }
        Err(status) => {
            refuse(&mut form, status, &[("reason_missing", "reason")])?;
            let seen = look(&visit, &calls, &at, Extent::Person).await?;
            Ok(ask_withdrawal(&seen).filled(&visit, form))
        }
    }
}

/// A reason that other agencies read: as an analysis may be.
fn told_field(label: &str, head: &Head, terms: &Terms) -> Field {
    let bounds = terms.analysis_bounds();
    let hint = format!(
        "One line of {} to {} characters: expertise and concern, not detail. It carries your name, goes to the hub, and names nobody and no place.",
        bounds.min_chars, bounds.max_chars
    );
    Field::checked("reason", label, format!("{}/check", head.address)).hint(hint)
}

fn ask_challenge(seen: &look::Person, terms: &Terms) -> Ask {
    let head = Head::of(seen);
    let agencies = terms.others().into_iter().map(|(id, name)| Choice::new(id, name)).collect();
    Ask {
        heading: "Challenge another agency's rating".to_owned(),
        about: about(&head),
        text: vec!["It changes nothing by itself: only the agency that gave a rating changes it. Your reason is signed and goes to the hub and to that agency, whose assessor answers.".to_owned()],
        warning: String::new(),
        fields: vec![
            Field::one("agency", "Whose rating?", agencies),
            told_field("Why should they look again?", &head, terms),
        ],
        button: "Sign and send this challenge",
        address: format!("{}/challenge", head.address),
        back: to_person(head.address),
    }
}

async fn show_challenge(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
) -> Result<Response, Problem> {
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(ask_challenge(&seen, &calls.terms).show(&visit))
}

async fn challenge(
    visit: Visit,
    State(calls): Here,
    Path(at): At,
    mut form: Form,
) -> Result<Response, Problem> {
    let agency = form.trimmed("agency").to_owned();
    if agency.is_empty() {
        form.wrong("agency", "Choose the agency whose rating it is");
    } else {
        let request = pb::ChallengeRatingRequest {
            enquiry: at.0.clone(),
            person: at.1.clone(),
            agency,
            reason: form.trimmed("reason").to_owned(),
        };
        match calls.desk.challenge_rating(visit.request(request)).await {
            Ok(_) => {
                let notice = "Your challenge is signed and on its way. The agency's answer shows at the co-ordinator.";
                return Ok(visit.done(&address(&at.0, &at.1), notice));
            }
            Err(status) => refuse(&mut form, status, &[("reason_not_accepted", "reason")])?,
        }
    }
    let seen = look(&visit, &calls, &at, Extent::Person).await?;
    Ok(ask_challenge(&seen, &calls.terms).filled(&visit, form))
}

/// A challenge, as it stands in an address.
type AtChallenge = Path<(String, String, String)>;

fn ask_answer(seen: &look::Person, id: &str, terms: &Terms) -> Result<Ask, Problem> {
    let head = Head::of(seen);
    let waiting = seen.challenges.iter().find(|(known, _)| known.as_str() == id);
    let (_, record) = waiting.ok_or(Problem::NotFound)?;
    let by = record.made_by.as_ref().map(|name| format!(", {name}")).unwrap_or_default();
    let now = seen.rating.as_ref().map_or_else(
        || "Your agency gives this person no rating now.".to_owned(),
        |given| format!("Your agency's rating now is {}.", spoken(given.colour.word())),
    );
    Ok(Ask {
        heading: "Answer a challenge".to_owned(),
        about: about(&head),
        text: vec![
            format!("{}{by} asked on {}: {}", terms.agency(record.by.as_str()), when(record.made_at.as_millisecond()), record.reason),
            now,
            "To change the rating instead, go back and rate the person again: that answers the challenge.".to_owned(),
        ],
        warning: String::new(),
        fields: vec![told_field("Why does your rating stay as it is?", &head, terms)],
        button: "Keep the rating and send this reason",
        address: format!("{}/challenges/{id}", head.address),
        back: to_person(head.address),
    })
}

async fn show_answer(
    visit: Visit,
    State(calls): Here,
    Path((enquiry, person, id)): AtChallenge,
) -> Result<Response, Problem> {
    let seen = look(&visit, &calls, &(enquiry, person), Extent::Person).await?;
    Ok(ask_answer(&seen, &id, &calls.terms)?.show(&visit))
}

async fn answer(
    visit: Visit,
    State(calls): Here,
    Path((enquiry, person, id)): AtChallenge,
    mut form: Form,
) -> Result<Response, Problem> {
    let request = pb::KeepRatingRequest {
        enquiry: enquiry.clone(),
        challenge: id.clone(),
        reason: form.trimmed("reason").to_owned(),
    };
    match calls.desk.keep_rating(visit.request(request)).await {
        Ok(_) => Ok(visit.done(
            &address(&enquiry, &person),
            "The rating stays. Your reason is signed and on its way to the hub.",
        )),
        Err(status) => {
            refuse(&mut form, status, &[("reason_not_accepted", "reason")])?;
            let seen = look(&visit, &calls, &(enquiry, person), Extent::Person).await?;
            Ok(ask_answer(&seen, &id, &calls.terms)?.filled(&visit, form))
        }
    }
}

/// Nobody is looked at: whoever is linked to the family should see nothing of it.
fn ask_conflict((enquiry, person): &(String, String)) -> Ask {
    let here = address(enquiry, person);
    Ask {
        heading: "This enquiry concerns my own family or friends".to_owned(),
        about: format!("Enquiry {enquiry}"),
        text: vec!["From now on you do not see this enquiry, and can not rate, approve or open anything of it; a colleague does. It is recorded with your name.".to_owned()],
        warning: "It is not taken back here.".to_owned(),
        fields: Vec::new(),
        button: "Say so and stand aside",
        address: format!("{here}/conflict"),
        back: to_person(here),
    }
}

async fn show_conflict(visit: Visit, Path(at): At) -> Response {
    ask_conflict(&at).show(&visit)
}

async fn conflict(
    visit: Visit,
    State(calls): Here,
    Path((enquiry, _)): At,
) -> Result<Response, Problem> {
    let request = pb::DeclareConflictRequest { enquiry };
    calls.desk.declare_conflict(visit.request(request)).await?;
    Ok(visit.done("/worklist", "It is recorded. You do not see this enquiry any more."))
}
