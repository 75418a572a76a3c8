//! One release that waits: what is asked and why, how it would be decided now, the text that would leave, and the decision on it.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use brag_common::{
    agreement::Outcome,
    console::{
        Form, Frame, Problem, Visit, form_page,
        shown::{spoken, when},
    },
    release::MAX_REDACTED_BYTES,
    wire::pb::{self, desk_service_server::DeskService as _},
};

use super::{
    Calls, Here,
    acts::reason_field,
    ask::{Field, Kind, refuse as say},
    due::{Due, counted},
    person::NOT_TOLD,
    terms::{Terms, gate_words, reason_words},
};
use crate::look;

mod trace;

use trace::Line;

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/worklist/approve/{work}", get(show).post(approve))
        .route("/worklist/approve/{work}/redact", post(redact))
        .route("/worklist/approve/{work}/refuse", post(refuse))
}

/// The page of a release that waits.
pub(super) fn address(work: &str) -> String {
    format!("/worklist/approve/{work}")
}

#[derive(Template)]
#[template(path = "approval.html")]
struct ApprovalPage {
    frame: Frame,
    address: String,
    enquiry: String,
    person: String,
    name: String,
    category: String,
    class: &'static str,
    recipient: String,
    asked_by: String,
    asked_at: String,
    basis: Vec<(&'static str, String)>,
    gate: String,
    trace: Vec<Line>,
    /// Why it would be refused now; empty: it would not.
    refused_now: String,
    approvals: String,
    approved_by: String,
    deputies: String,
    due: Due,
    third_party: bool,
    text: Option<String>,
    redaction: Option<Redacted>,
    /// A redacted text that is about to be approved: it is shown as it would leave.
    preview: Option<String>,
    redact: Vec<Field>,
    refuse: Vec<Field>,
    form: Form,
}

/// A text that an approver has given in the place of what is held.
struct Redacted {
    name: String,
    text: String,
    by: String,
    reason: String,
}

fn view(
    visit: &Visit,
    terms: &Terms,
    seen: &look::Release,
    (mut form, preview): (Form, Option<String>),
) -> Response {
    let look::Release { work, review, query, name, third_party, decision, evidence, text } = seen;
    let text = text.as_ref().map(|text| text.as_str().to_owned());
    let redaction = review.redaction.as_ref().map(|redaction| Redacted {
        name: redaction.name.to_string(),
        text: redaction.text.clone(),
        by: redaction.by.to_string(),
        reason: redaction.reason.clone(),
    });
    let begin = redaction.as_ref().map(|one| one.text.clone()).or_else(|| text.clone());
    form.begin("text", begin.unwrap_or_default());
    let given = u64::try_from(review.approved_by.len()).unwrap_or(u64::MAX);
    let approved: Vec<String> = review.approved_by.iter().map(ToString::to_string).collect();
    let shown = ApprovalPage {
        frame: visit.frame(form.title("Approve a release")),
        address: address(work.as_str()),
        enquiry: review.enquiry.to_string(),
        person: query.subject.to_string(),
        name: if name.is_empty() { NOT_TOLD.to_owned() } else { name.clone() },
        category: terms.category(&query.category.to_string()),
        class: terms.class_words(query.category),
        recipient: terms.agency(review.recipient.as_str()),
        asked_by: query.requested_by.to_string(),
        asked_at: when(review.asked_at.as_millisecond()),
        basis: basis(query),
        gate: gate_words(&review.gate),
        trace: trace::lines(&decision.trace, evidence, terms),
        refused_now: match &decision.outcome {
            Outcome::Deny(reason) => reason_words(reason.code()),
            Outcome::Release(_) | Outcome::Review(_) => String::new(),
        },
        approvals: format!("{given} of {}", counted(review.approvals_needed.into(), "approval")),
        approved_by: approved.join(", "),
        deputies: match review.escalated_at {
            Some(at) => format!("Asked since {}", when(at.as_millisecond())),
            None => format!("Are asked at {}", when(review.escalate_at.as_millisecond())),
        },
        due: Due::by(review.decide_by.as_millisecond(), terms.now()),
        third_party: *third_party,
        text,
        redaction,
        preview,
        redact: redact_fields(),
        refuse: vec![refuse_field()],
        form,
    };
    form_page(shown.form.status(), &shown)
}

/// The grounds that the request states, in the order in which they are weighed; what it leaves out has no line.
fn basis(query: &brag_common::enquiry::ReleaseQuery) -> Vec<(&'static str, String)> {
    let basis = &query.basis;
    let stated = [
        ("Purpose", Some(spoken(&query.purpose))),
        ("Necessary because", basis.necessity.as_deref().map(ToOwned::to_owned)),
        ("Proportionate because", basis.proportionality.as_deref().map(ToOwned::to_owned)),
        ("UK GDPR Article 6", basis.art6.as_deref().map(ToOwned::to_owned)),
        ("UK GDPR Article 9", basis.art9_condition.as_deref().map(ToOwned::to_owned)),
        ("UK GDPR Article 10", basis.art10_authority.as_deref().map(ToOwned::to_owned)),
        ("Data Protection Act 2018", basis.schedule_paragraph.as_deref().map(ToOwned::to_owned)),
        ("Statutory gateway", basis.gateway.as_deref().map(ToOwned::to_owned)),
        ("Confidentiality", basis.confidentiality.as_deref().map(spoken)),
        ("The person's agreement", basis.agreement_status.as_deref().map(spoken)),
    ];
    stated.into_iter().filter_map(|(what, text)| Some((what, text?))).collect()
}

fn redact_fields() -> Vec<Field> {
    vec![
        Field::area("text", "Text that goes out").rows(10).hint(format!(
            "Take out what may not go. Your text alone is sealed to the recipient, with the obligation that it was redacted; nothing of what is held leaves. At most {MAX_REDACTED_BYTES} bytes."
        )),
        Field { label: "Why is it redacted?".to_owned(), ..reason_field("") },
    ]
}

fn refuse_field() -> Field {
    Field::area("because", "Why do you refuse it?").hint("At most 600 characters. It stays at your agency; the hub is told APPROVER_REFUSED: the approver at the holder refused.")
}

async fn look(visit: &Visit, calls: &Calls, work: &str) -> Result<look::Release, Problem> {
    Ok(calls.desk.release(visit.request(work.to_owned())).await?)
}

async fn show(
    visit: Visit,
    State(calls): Here,
    Path(work): Path<String>,
) -> Result<Response, Problem> {
    let seen = look(&visit, &calls, &work).await?;
    Ok(view(&visit, &calls.terms, &seen, (Form::default(), None)))
}

async fn again(visit: &Visit, calls: &Calls, work: &str, form: Form) -> Result<Response, Problem> {
    let seen = look(visit, calls, work).await?;
    Ok(view(visit, &calls.terms, &seen, (form, None)))
}

/// What is said after an approval.
fn approved(done: &pb::ApproveResponse) -> String {
    let dropped = match done.approvals_dropped {
        0 => String::new(),
        n => format!(" {} of another text no longer count.", counted(n.into(), "earlier approval")),
    };
    match done.approvals_needed {
        0 => format!("You have approved it. It has been decided on what is known now.{dropped}"),
        n => format!(
            "You have approved it. It still needs {}.{dropped}",
            counted(n.into(), "approval")
        ),
    }
}

/// Approves what is held as it is, or a redacted text by its name.
async fn approve(
    visit: Visit,
    State(calls): Here,
    Path(work): Path<String>,
    mut form: Form,
) -> Result<Response, Problem> {
    let redaction = form.trimmed("redaction").to_owned();
    let request =
        pb::ApproveRequest { work: work.clone(), redaction, ..pb::ApproveRequest::default() };
    match calls.desk.approve(visit.request(request)).await {
        Ok(done) => Ok(visit.done("/worklist", approved(&done.into_inner()))),
        Err(status) => {
            say(&mut form, status, &[("THIRD_PARTY_DATA", "text")])?;
            again(&visit, &calls, &work, form).await
        }
    }
}

/// Approves a redacted text: first it is shown as it would leave, then it is approved.
async fn redact(
    visit: Visit,
    State(calls): Here,
    Path(work): Path<String>,
    mut form: Form,
) -> Result<Response, Problem> {
    let text = form.trimmed("text").replace("\r\n", "\n");
    let reason = form.trimmed("reason").to_owned();
    if text.is_empty() {
        form.wrong("text", "Write the text that goes out; to let nothing go, refuse");
    }
    if reason.is_empty() {
        form.wrong("reason", "Say why it is redacted");
    }
    if form.is_right() && form.trimmed("act") != "approve" {
        let seen = look(&visit, &calls, &work).await?;
        return Ok(view(&visit, &calls.terms, &seen, (form, Some(text))));
    }
    if form.is_right() {
        let request = pb::ApproveRequest {
            work: work.clone(),
            redacted_text: text,
            reason,
            redaction: String::new(),
        };
        match calls.desk.approve(visit.request(request)).await {
            Ok(done) => {
                let notice =
                    format!("{} Only your redacted text goes out.", approved(&done.into_inner()));
                return Ok(visit.done("/worklist", notice));
            }
            Err(status) => {
                let fields = [("redaction_not_accepted", "text"), ("reason_missing", "reason")];
                say(&mut form, status, &fields)?;
            }
        }
    }
    again(&visit, &calls, &work, form).await
}

async fn refuse(
    visit: Visit,
    State(calls): Here,
    Path(work): Path<String>,
    mut form: Form,
) -> Result<Response, Problem> {
    let request =
        pb::RefuseRequest { work: work.clone(), reason: form.trimmed("because").to_owned() };
    match calls.desk.refuse(visit.request(request)).await {
        Ok(_) => Ok(visit.done(
            "/worklist",
            "You have refused it. The hub is told that the approver at the holder refused.",
        )),
        Err(status) => {
            say(&mut form, status, &[("reason_missing", "because")])?;
            again(&visit, &calls, &work, form).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_approval_came_to_is_said_in_numbers() {
        let done = |needed, dropped| pb::ApproveResponse {
            approvals_needed: needed,
            approvals_dropped: dropped,
        };
        assert!(approved(&done(0, 0)).ends_with("decided on what is known now."));
        assert!(approved(&done(1, 0)).contains("still needs 1 approval."));
        assert!(approved(&done(2, 1)).contains("2 approvals. 1 earlier approval of another text"));
    }
}
