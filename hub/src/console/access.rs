//! Subject access: one auditor begins an answer, another approves the draft that they have read, then it is issued.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use brag_common::{
    audit::entry::Digest,
    console::{Form, Frame, Problem, Visit, form_page, shown::when},
    wire::pb::{self, DocumentForm, subject_access_service_server::SubjectAccessService as _},
};

use super::{
    Calls, Here,
    governance::{Auditor, Field, file, identity, mark, person_fields, refuse},
};
use crate::report::{html::fragment, subject_access::requests::Shown};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/access", get(list).post(ask))
        .route("/access/{number}", get(show).post(step))
}

#[derive(Template)]
#[template(path = "access.html")]
struct ListPage {
    frame: Frame,
    form: Form,
    requests: Vec<Line>,
    fields: Vec<Field>,
}

#[derive(Template)]
#[template(path = "access_request.html")]
struct RequestPage {
    frame: Frame,
    form: Form,
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
fn ask_fields() -> Vec<Field> {
    let mut fields = person_fields();
    let hint = "Agencies, separated by commas, whose analyses are included although the program would leave them out. For most \
        requests none";
    fields.push(Field::new("analyses_of", "Include analyses of (optional)", hint));
    fields
}

async fn list_page(visit: &Visit, calls: &Calls, form: Form) -> Result<Response, Problem> {
    let request = visit.request(pb::ListSubjectAccessRequest {});
    let listed = calls.access.list_subject_access(request).await?.into_inner();
    let shown = ListPage {
        frame: visit.frame(form.title("Subject access")),
        requests: listed.requests.into_iter().map(Line::from).collect(),
        fields: ask_fields(),
        form,
    };
    Ok(form_page(shown.form.status(), &shown))
}

async fn list(Auditor(visit): Auditor, State(calls): Here) -> Result<Response, Problem> {
    list_page(&visit, &calls, Form::default()).await
}

async fn ask(
    Auditor(visit): Auditor,
    State(calls): Here,
    mut form: Form,
) -> Result<Response, Problem> {
    let identity = match identity(&form) {
        Ok(identity) => identity,
        Err(problems) => {
            mark(&mut form, problems);
            return list_page(&visit, &calls, form).await;
        }
    };
    let named = form.value("analyses_of").split(',').map(str::trim);
    let named = named.filter(|agency| !agency.is_empty());
    let request = pb::AskSubjectAccessRequest {
        identity,
        analyses_of: named.map(str::to_owned).collect(),
        form: DocumentForm::Text.into(),
    };
    match calls.access.asked(visit.request(request)).await {
        // The draft is of this answer alone: who the person is, is not kept, so there is no address to go to.
        Ok(shown) => Ok(request_page(&visit, shown.request, Some(shown), Form::default())),
        Err(status) => {
            let field = match brag_common::status::code_of(&status) {
                Some("invalid_message") => "analyses_of",
                Some(_) | None => "given",
            };
            refuse(&mut form, field, status)?;
            list_page(&visit, &calls, form).await
        }
    }
}

fn request_page(visit: &Visit, number: u64, shown: Option<Shown>, form: Form) -> Response {
    let shown = RequestPage {
        frame: visit.frame(form.title(&format!("Request {number}"))),
        number,
        draft: shown.map(Draft::from),
        fields: person_fields(),
        form,
    };
    form_page(shown.form.status(), &shown)
}

async fn show(Auditor(visit): Auditor, Path(number): Path<u64>) -> Response {
    request_page(&visit, number, None, Form::default())
}

/// What is done with a request: its draft shown, approved, or the answer issued.
async fn step(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path(number): Path<u64>,
    mut form: Form,
) -> Result<Response, Problem> {
    let identity = match identity(&form) {
        Ok(identity) => identity,
        Err(problems) => {
            mark(&mut form, problems);
            return Ok(request_page(&visit, number, None, form));
        }
    };
    let done = match form.value("step") {
        "show" => {
            let form = DocumentForm::Text.into();
            let request = pb::ShowSubjectAccessRequest { request: number, identity, form };
            let shown = calls.access.shown(visit.request(request)).await;
            shown.map(|shown| request_page(&visit, number, Some(shown), Form::default()))
        }
        "approve" => {
            let Ok(read) = form.value("draft").parse::<Digest>() else {
                form.wrong("given", "Show the draft first, and read it");
                return Ok(request_page(&visit, number, None, form));
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
        word @ ("html" | "text" | "json") => {
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
        _ => return Err(Problem::NotFound),
    };
    match done {
        Ok(response) => Ok(response),
        Err(status) => {
            refuse(&mut form, "given", status)?;
            Ok(request_page(&visit, number, None, form))
        }
    }
}
