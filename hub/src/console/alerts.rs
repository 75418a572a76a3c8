//! Alerts, and how they were handled.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use brag_common::{
    alert::Alert,
    console::{
        Form, Frame, Problem, Visit, form_page, page,
        shown::{spoken, when},
    },
    wire::pb::{self, audit_service_server::AuditService as _},
};

use super::{
    Calls, Here,
    governance::{Auditor, Field, refuse},
};
use crate::render::reason_text;

/// Alerts on a page.
const LIMIT: u32 = 100;

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/alerts", get(open))
        .route("/alerts/open/{from}", get(open_from))
        .route("/alerts/all", get(all))
        .route("/alerts/all/{from}", get(all_from))
        .route("/alerts/{number}", get(show).post(handle))
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct ListPage {
    frame: Frame,
    all: bool,
    alerts: Vec<Line>,
    more_from: Option<u64>,
}

#[derive(Template)]
#[template(path = "alert.html")]
struct AlertPage {
    frame: Frame,
    form: Form,
    alert: Line,
    note: Field,
}

/// One alert.
struct Line {
    number: u64,
    raised: String,
    word: String,
    what: String,
    text: &'static str,
    about: String,
    is_about_reader: bool,
    /// When and by whom; empty: it is open.
    handled: String,
    note: String,
    more: Vec<(&'static str, String)>,
}

impl Line {
    fn of(line: pb::AlertLine, reader: &str) -> Self {
        let alert = Alert::from_word(&line.alert);
        let about = match (line.about.as_str(), line.role.as_str(), line.peer.as_str()) {
            ("", _, "") => "Nobody in particular".to_owned(),
            ("", _, peer) => peer.to_owned(),
            (name, role, "") => format!("{name} ({role})"),
            (name, role, peer) => format!("{name} ({role}), {peer}"),
        };
        let reason = match line.reason.as_str() {
            "" => String::new(),
            code => format!("{code}: {}", reason_text(code)),
        };
        let count = if line.count == 0 { String::new() } else { line.count.to_string() };
        let more = [
            ("Enquiry", line.enquiry),
            ("Person (reference)", line.person),
            ("Category", line.category),
            ("Reason", reason),
            ("How many", count),
        ];
        let handled = match line.handled_at_unix_ms {
            0 => String::new(),
            at => format!("{} by {}", when(at), line.handled_by),
        };
        Self {
            number: line.number,
            raised: when(line.raised_at_unix_ms),
            what: spoken(&line.alert),
            text: alert.map_or("An alert that this version does not know.", Alert::text),
            word: line.alert,
            is_about_reader: line.about == reader,
            about,
            handled,
            note: line.note,
            more: more.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
        }
    }
}

async fn open(auditor: Auditor, calls: Here) -> Result<Response, Problem> {
    list(auditor, calls, true, 0).await
}

async fn open_from(
    auditor: Auditor,
    calls: Here,
    Path(from): Path<u64>,
) -> Result<Response, Problem> {
    list(auditor, calls, true, from).await
}

async fn all(auditor: Auditor, calls: Here) -> Result<Response, Problem> {
    list(auditor, calls, false, 0).await
}

async fn all_from(
    auditor: Auditor,
    calls: Here,
    Path(from): Path<u64>,
) -> Result<Response, Problem> {
    list(auditor, calls, false, from).await
}

async fn list(
    Auditor(visit): Auditor,
    State(calls): Here,
    open_only: bool,
    from: u64,
) -> Result<Response, Problem> {
    let request = visit.request(pb::ListAlertsRequest { open_only, from, limit: LIMIT });
    let listed = calls.auditors.list_alerts(request).await?.into_inner();
    let reader = visit.name().as_str();
    Ok(page(&ListPage {
        frame: visit.frame("Alerts"),
        all: !open_only,
        alerts: listed.alerts.into_iter().map(|line| Line::of(line, reader)).collect(),
        more_from: (listed.more_from != 0).then_some(listed.more_from),
    }))
}

async fn read(visit: &Visit, calls: &Calls, number: u64) -> Result<Line, Problem> {
    let wanted = pb::ListAlertsRequest { open_only: false, from: number, limit: 1 };
    let listed = calls.auditors.list_alerts(visit.request(wanted)).await?.into_inner();
    let line = listed.alerts.into_iter().find(|line| line.number == number);
    let mut line = line.ok_or(Problem::NotFound)?;
    line.category = calls.terms.category_title(&line.category);
    Ok(Line::of(line, visit.name().as_str()))
}

const NOTE: Field = Field::new(
    "note",
    "What was found and done",
    "1 to 4,000 characters. It stays in the hub's store and is in no log. Name people by their references",
);

async fn alert_page(
    visit: &Visit,
    calls: &Calls,
    number: u64,
    form: Form,
) -> Result<Response, Problem> {
    let alert = read(visit, calls, number).await?;
    let frame = visit.frame(form.title(&format!("Alert {number}")));
    Ok(form_page(form.status(), &AlertPage { frame, form, alert, note: NOTE }))
}

async fn show(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path(number): Path<u64>,
) -> Result<Response, Problem> {
    alert_page(&visit, &calls, number, Form::default()).await
}

async fn handle(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path(number): Path<u64>,
    mut form: Form,
) -> Result<Response, Problem> {
    let request = pb::HandleAlertRequest { number, note: form.value(NOTE.name).to_owned() };
    match calls.auditors.handle_alert(visit.request(request)).await {
        Ok(_) => Ok(visit.done("/alerts", format!("Alert {number} is handled."))),
        Err(status) => {
            refuse(&mut form, NOTE.name, status)?;
            alert_page(&visit, &calls, number, form).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_says_about_whom_it_is_and_whether_that_is_the_reader() {
        let line = pb::AlertLine {
            number: 7,
            alert: "own_family".to_owned(),
            about: "j.okafor".to_owned(),
            role: "coordinator".to_owned(),
            ..pb::AlertLine::default()
        };
        let own = Line::of(line.clone(), "j.okafor");
        assert!(own.is_about_reader && own.handled.is_empty());
        assert_eq!(own.about, "j.okafor (coordinator)");
        assert!(!Line::of(line, "a.khan").is_about_reader);
        let program = Line::of(pb::AlertLine::default(), "");
        assert_eq!(program.about, "Nobody in particular");
    }
}
