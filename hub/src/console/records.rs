//! Holds and erasure at the hub, for the role `governance`, which sees nothing of what is in an enquiry.

use std::{fmt::Write as _, sync::Arc};

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::{get, post},
};
use brag_common::{
    audit::export::neutral,
    console::{
        Form, Frame, Problem, Visit, form_page, page,
        shown::{spoken, when},
    },
    erasure::report::{Erased, Report},
    wire::pb::{self, records_service_server::RecordsService as _},
};

use super::{
    Calls, Here,
    governance::{Field, Governor, file, refuse},
};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/records", get(show).post(begin))
        .route("/records/lift", post(lift))
        .route("/records/confirm", post(confirm))
        .route("/records/report", get(report))
        .route("/records/report/{form}", get(download))
}

#[derive(Template)]
#[template(path = "records.html")]
struct RecordsPage {
    frame: Frame,
    form: Form,
    holds: Vec<HoldLine>,
    waiting: Vec<WaitingLine>,
    enquiry: Field,
    reason: Field,
}

struct HoldLine {
    enquiry: String,
    set: String,
    reason: String,
}

struct WaitingLine {
    enquiry: String,
    asked: String,
    /// Whoever asked is who reads.
    is_own: bool,
}

#[derive(Template)]
#[template(path = "erasures.html")]
struct ErasuresPage {
    frame: Frame,
    summary: String,
    still: usize,
    erased: Vec<ErasedLine>,
}

struct ErasedLine {
    enquiry: String,
    at: String,
    rule: String,
    by: String,
    counts: String,
    key_exists: bool,
}

impl From<&Erased> for ErasedLine {
    fn from(one: &Erased) -> Self {
        let by = match (&one.asked_by, &one.confirmed_by) {
            (Some(asked), Some(confirmed)) => format!("asked by {asked}, confirmed by {confirmed}"),
            (None, Some(confirmed)) => format!("confirmed by {confirmed}"),
            (_, None) => "the program".to_owned(),
        };
        let counts = one.counts.iter().map(|(kind, n)| format!("{}: {n}", spoken(kind)));
        Self {
            enquiry: one.enquiry.to_string(),
            at: when(one.at.as_millisecond()),
            rule: spoken(one.rule),
            by,
            counts: counts.collect::<Vec<_>>().join(", "),
            key_exists: one.key_exists,
        }
    }
}

const ENQUIRY: Field = Field::new("enquiry", "Enquiry", "Its reference");

const REASON: Field = Field::new(
    "reason",
    "Why",
    "1 to 600 characters. It is kept with the enquiry and goes with it",
);

async fn records_page(visit: &Visit, calls: &Calls, form: Form) -> Result<Response, Problem> {
    let holds = calls.records.list_holds(visit.request(pb::ListHoldsRequest {})).await?;
    let waiting = calls.inspection.erasures_asked(visit.request(())).await?;
    let shown = RecordsPage {
        frame: visit.frame(form.title("Holds and erasure")),
        form,
        holds: holds
            .into_inner()
            .holds
            .into_iter()
            .map(|hold| HoldLine {
                enquiry: hold.enquiry,
                set: format!("{} by {}", when(hold.set_at_unix_ms), hold.by),
                reason: hold.reason,
            })
            .collect(),
        waiting: waiting
            .into_iter()
            .map(|one| WaitingLine {
                enquiry: one.enquiry.to_string(),
                asked: format!("{} by {}", when(one.at.as_millisecond()), one.by),
                is_own: one.by == *visit.name(),
            })
            .collect(),
        enquiry: ENQUIRY,
        reason: REASON,
    };
    Ok(form_page(shown.form.status(), &shown))
}

async fn show(Governor(visit): Governor, State(calls): Here) -> Result<Response, Problem> {
    records_page(&visit, &calls, Form::default()).await
}

/// The page again, with why it was refused.
async fn refused(
    visit: &Visit,
    calls: &Calls,
    mut form: Form,
    status: tonic::Status,
) -> Result<Response, Problem> {
    let field = match brag_common::status::code_of(&status) {
        Some("reason_missing") => REASON.name,
        Some(_) | None => ENQUIRY.name,
    };
    if status.code() == tonic::Code::NotFound {
        form.wrong(field, "There is nothing here for that enquiry");
    } else {
        refuse(&mut form, field, status)?;
    }
    records_page(visit, calls, form).await
}

async fn begin(
    Governor(visit): Governor,
    State(calls): Here,
    form: Form,
) -> Result<Response, Problem> {
    let field = |name: &str| form.trimmed(name).to_owned();
    let (enquiry, reason) = (field("enquiry"), field("reason"));
    let done = match form.value("step") {
        "hold" => {
            let request = visit.request(pb::SetHoldRequest { enquiry, reason });
            let done = calls.records.set_hold(request).await;
            done.map(|_| "The enquiry is held.")
        }
        "erase" => {
            let request = visit.request(pb::AskErasureRequest { enquiry, reason });
            let done = calls.records.ask_erasure(request).await;
            done.map(|_| "Asked. Another person confirms it within 30 days.")
        }
        _ => return Err(Problem::NotFound),
    };
    match done {
        Ok(text) => Ok(visit.done("/records", text)),
        Err(status) => refused(&visit, &calls, form, status).await,
    }
}

async fn lift(
    Governor(visit): Governor,
    State(calls): Here,
    form: Form,
) -> Result<Response, Problem> {
    let enquiry = form.value("enquiry").to_owned();
    match calls.records.lift_hold(visit.request(pb::LiftHoldRequest { enquiry })).await {
        Ok(_) => Ok(visit.done("/records", "The hold is lifted. What is due by now is erased.")),
        Err(status) => refused(&visit, &calls, Form::default(), status).await,
    }
}

async fn confirm(
    Governor(visit): Governor,
    State(calls): Here,
    form: Form,
) -> Result<Response, Problem> {
    let enquiry = form.value("enquiry").to_owned();
    let request = visit.request(pb::ConfirmErasureRequest { enquiry });
    match calls.records.confirm_erasure(request).await {
        Ok(answer) => {
            let n = answer.into_inner().count;
            Ok(visit.done("/records", format!("Erased: {n} values, and the key.")))
        }
        Err(status) => refused(&visit, &calls, Form::default(), status).await,
    }
}

async fn report(Governor(visit): Governor, State(calls): Here) -> Result<Response, Problem> {
    let report = calls.inspection.erasures(visit.request(())).await?;
    Ok(page(&ErasuresPage {
        frame: visit.frame("What was erased"),
        summary: format!(
            "{} enquiries were erased; {} enquiries have a key.",
            report.erased.len(),
            report.n_keys
        ),
        still: report.erased.iter().filter(|one| one.key_exists).count(),
        erased: report.erased.iter().map(ErasedLine::from).collect(),
    }))
}

async fn download(
    Governor(visit): Governor,
    State(calls): Here,
    Path(form): Path<String>,
) -> Result<Response, Problem> {
    if !matches!(form.as_str(), "csv" | "json") {
        return Err(Problem::NotFound);
    }
    let report = calls.inspection.erasures(visit.request(())).await?;
    if form == "csv" {
        return Ok(file("erasures.csv", "text/csv; charset=utf-8", csv(&report).into_bytes()));
    }
    let json = serde_json::to_value(&report).map_err(|_| Problem::Failed)?;
    Ok(file("erasures.json", "application/json", format!("{json:#}\n").into_bytes()))
}

/// One line for each enquiry. Every cell is quoted, and none begins with what a spreadsheet takes for a formula.
fn csv(report: &Report) -> String {
    let mut out =
        "\"enquiry\",\"erased_at\",\"rule\",\"by\",\"counts\",\"key_exists\"\r\n".to_owned();
    for one in &report.erased {
        let line = ErasedLine::from(one);
        let at = format!("{:.0}", one.at);
        let key = one.key_exists.to_string();
        let cells = [&line.enquiry, &at, &line.rule, &line.by, &line.counts, &key];
        let cells = cells.map(|cell| format!("\"{}\"", neutral(cell).replace('"', "\"\"")));
        // Writing to a text does not fail.
        let _ = write!(out, "{}\r\n", cells.join(","));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erasure_says_by_whom_and_its_table_has_no_formula() {
        let one = Erased {
            enquiry: "-e1".parse().unwrap(),
            at: "2027-02-09T10:00:00Z".parse().unwrap(),
            rule: "by_hand",
            asked_by: "a.khan".parse().ok(),
            confirmed_by: "b.lee".parse().ok(),
            counts: [("cell".to_owned(), 4)].into(),
            key_exists: false,
        };
        let line = ErasedLine::from(&one);
        assert_eq!(line.by, "asked by a.khan, confirmed by b.lee");
        assert_eq!(line.rule, "By hand");
        let table = csv(&Report { erased: vec![one], n_keys: 2 });
        assert!(table.contains("\r\n\"'-e1\",\"2027-02-09T10:00:00Z\""), "{table}");
    }
}
