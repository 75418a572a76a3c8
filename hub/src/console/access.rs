//! Subject access: one auditor begins an answer, another approves the draft that they have read, then it is issued.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use brag_common::{
    audit::entry::Digest,
    console::{Frame, Problem, Visit, page, shown::when},
    wire::pb::{self, DocumentForm, subject_access_service_server::SubjectAccessService as _},
};

use super::{
    Calls, Here,
    governance::{
        Auditor, Field, Sent, Wrong, again, file, identity, mark, person_fields, refusal,
    },
};
use crate::{
    inspect::question::FieldProblem,
    report::{html::fragment, subject_access::requests::Shown},
};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/access", get(list).post(ask))
        .route("/access/{number}", get(show).post(step))
}

#[derive(Template)]
#[template(path = "access.html")]
struct ListPage {
    frame: Frame,
    problems: Vec<Wrong>,
    requests: Vec<Line>,
    fields: Vec<Field>,
}

#[derive(Template)]
#[template(path = "access_request.html")]
struct RequestPage {
    frame: Frame,
    problems: Vec<Wrong>,
    number: u64,
    draft: Option<Draft>,
    fields: Vec<Field>,
}

/// A request in a line.
struct Line {
    number: u64,
    asked: String,
    approved: String,
    issued: String,
}

impl From<pb::SubjectAccessView> for Line {
    fn from(view: pb::SubjectAccessView) -> Self {
        let approved = match view.approved_by.as_slice() {
            [] => "Nobody yet".to_owned(),
            some => some.join(", "),
        };
        let issued = when(view.issued_at_unix_ms);
        Self {
            number: view.request,
            asked: format!("{} by {}", when(view.asked_at_unix_ms), view.asked_by),
            approved,
            issued: if issued.is_empty() { "Not yet".to_owned() } else { issued },
        }
    }
}

/// A draft as it is shown.
struct Draft {
    digest: String,
    title: String,
    standing: String,
    fragment: String,
}

impl From<Shown> for Draft {
    fn from(shown: Shown) -> Self {
        let safety = if shown.safe { " The safety profile applies." } else { "" };
        Self {
            digest: shown.digest.to_string(),
            standing: format!(
                "{} of {} approvals, by people other than whoever began it.{safety}",
                shown.given, shown.needed
            ),
            fragment: fragment(&shown.document, &|_| None),
            title: shown.document.title,
        }
    }
}

/// The fields of a new request: who it is, and whose analyses are included.
fn ask_fields(sent: &Sent) -> Vec<Field> {
    let mut fields = person_fields(sent);
    let hint = "Agencies, separated by commas, whose analyses are included although the program would leave them out. For most \
        requests none";
    fields.push(Field::new("analyses_of", "Include analyses of (optional)", hint, sent));
    fields
}

async fn list_page(
    visit: &Visit,
    calls: &Calls,
    sent: &Sent,
    problems: &[FieldProblem],
) -> Result<ListPage, Problem> {
    let request = visit.request(pb::ListSubjectAccessRequest {});
    let listed = calls.access.list_subject_access(request).await?.into_inner();
    let mut fields = ask_fields(sent);
    let title = if problems.is_empty() { "Subject access" } else { "Error: Subject access" };
    Ok(ListPage {
        frame: visit.frame(title),
        problems: mark(&mut fields, problems),
        requests: listed.requests.into_iter().map(Line::from).collect(),
        fields,
    })
}

async fn list(Auditor(visit): Auditor, State(calls): Here) -> Result<Response, Problem> {
    Ok(page(&list_page(&visit, &calls, &Sent::new(), &[]).await?))
}

async fn ask(
    Auditor(visit): Auditor,
    State(calls): Here,
    Form(sent): Form<Sent>,
) -> Result<Response, Problem> {
    let identity = match identity(&sent) {
        Ok(identity) => identity,
        Err(problems) => return Ok(again(&list_page(&visit, &calls, &sent, &problems).await?)),
    };
    let named = sent.get("analyses_of").map(String::as_str).unwrap_or_default();
    let named = named.split(',').map(str::trim).filter(|agency| !agency.is_empty());
    let request = pb::AskSubjectAccessRequest {
        identity,
        analyses_of: named.map(str::to_owned).collect(),
        form: DocumentForm::Text.into(),
    };
    match calls.access.asked(visit.request(request)).await {
        // The draft is of this answer alone: who the person is, is not kept, so there is no address to go to.
        Ok(shown) => Ok(page(&request_page(&visit, shown.request, Some(shown), &Sent::new(), &[]))),
        Err(status) => {
            let field = match brag_common::status::code_of(&status) {
                Some("invalid_field") => "analyses_of",
                Some(_) | None => "given",
            };
            let problems = refusal(status, field)?;
            Ok(again(&list_page(&visit, &calls, &sent, &problems).await?))
        }
    }
}

fn request_page(
    visit: &Visit,
    number: u64,
    shown: Option<Shown>,
    sent: &Sent,
    problems: &[FieldProblem],
) -> RequestPage {
    let mut fields = person_fields(sent);
    let error = if problems.is_empty() { "" } else { "Error: " };
    RequestPage {
        frame: visit.frame(format!("{error}Request {number}")),
        problems: mark(&mut fields, problems),
        number,
        draft: shown.map(Draft::from),
        fields,
    }
}

async fn show(Auditor(visit): Auditor, Path(number): Path<u64>) -> Response {
    page(&request_page(&visit, number, None, &Sent::new(), &[]))
}

/// What is done with a request: its draft shown, approved, or the answer issued.
async fn step(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path(number): Path<u64>,
    Form(sent): Form<Sent>,
) -> Result<Response, Problem> {
    let wrong =
        |problems: &[FieldProblem]| Ok(again(&request_page(&visit, number, None, &sent, problems)));
    let identity = match identity(&sent) {
        Ok(identity) => identity,
        Err(problems) => return wrong(&problems),
    };
    let done = match sent.get("step").map(String::as_str) {
        Some("show") => {
            let form = DocumentForm::Text.into();
            let request = pb::ShowSubjectAccessRequest { request: number, identity, form };
            let shown = calls.access.shown(visit.request(request)).await;
            shown.map(|shown| page(&request_page(&visit, number, Some(shown), &Sent::new(), &[])))
        }
        Some("approve") => {
            let read = sent.get("draft").and_then(|text| text.parse::<Digest>().ok());
            let Some(read) = read else {
                return wrong(&[("given", "Show the draft first, and read it".to_owned())]);
            };
            let request = pb::ApproveSubjectAccessRequest {
                request: number,
                identity,
                draft_digest: read.as_bytes().to_vec(),
            };
            let approved = calls.access.approve_subject_access(visit.request(request)).await;
            approved.map(|answer| {
                let answer = answer.into_inner();
                let (given, needed) = (answer.approvals, answer.approvals_needed);
                visit.done("/access", format!("Approved: {given} of {needed} approvals."))
            })
        }
        Some(word @ ("html" | "text" | "json")) => {
            let (form, kind, ending) = match word {
                "html" => (DocumentForm::Html, "text/html; charset=utf-8", "html"),
                "json" => (DocumentForm::Json, "application/json", "json"),
                _ => (DocumentForm::Text, "text/plain; charset=utf-8", "txt"),
            };
            let form = form.into();
            let request = pb::IssueSubjectAccessRequest { request: number, identity, form };
            let issued = calls.access.issue_subject_access(visit.request(request)).await;
            let name = format!("subject-access-{number}.{ending}");
            issued.map(|answer| file(&name, kind, answer.into_inner().document))
        }
        Some(_) | None => return Err(Problem::NotFound),
    };
    match done {
        Ok(response) => Ok(response),
        Err(status) => wrong(&refusal(status, "given")?),
    }
}
