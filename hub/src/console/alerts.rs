//! Alerts, and how they were handled.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use brag_common::{
    alert::Alert,
    console::{
        Frame, Problem, Visit, page,
        shown::{spoken, when},
    },
    wire::pb::{self, audit_service_server::AuditService as _},
};

use super::{
    Calls, Here,
    governance::{Auditor, Field, Sent, Wrong, again, mark, refusal},
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
    problems: Vec<Wrong>,
    alert: Line,
    note: Vec<Field>,
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

fn note_field(sent: &Sent) -> Field {
    let hint = "1 to 4,000 characters. It stays in the hub's store and is in no log. Name people by their references";
    Field::new("note", "What was found and done", hint, sent)
}

async fn show(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path(number): Path<u64>,
) -> Result<Response, Problem> {
    let alert = read(&visit, &calls, number).await?;
    let frame = visit.frame(format!("Alert {number}"));
    let note = vec![note_field(&Sent::new())];
    Ok(page(&AlertPage { frame, problems: Vec::new(), alert, note }))
}

async fn handle(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path(number): Path<u64>,
    Form(sent): Form<Sent>,
) -> Result<Response, Problem> {
    let field = note_field(&sent);
    let request = pb::HandleAlertRequest { number, note: field.value.clone() };
    let problems = match calls.auditors.handle_alert(visit.request(request)).await {
        Ok(_) => return Ok(visit.done("/alerts", format!("Alert {number} is handled."))),
        Err(status) => refusal(status, "note")?,
    };
    let alert = read(&visit, &calls, number).await?;
    let mut note = vec![field];
    let problems = mark(&mut note, &problems);
    let frame = visit.frame(format!("Error: Alert {number}"));
    Ok(again(&AlertPage { frame, problems, alert, note }))
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
