//! Reports: on the page, to print, to take away, and the entries behind each figure.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use brag_common::{
    audit::entry::Party,
    console::{Form, Frame, Problem, Visit, form_page, page},
};
use serde::Deserialize;

use super::{
    Calls, Here,
    governance::{Auditor, Field, file, mark},
};
use crate::{
    inspect::{
        documents::{Days, ExplainedFigure, Kind, WantedDocument},
        question::FieldProblem,
    },
    report::{count::Source, csv::csv, html, json::json, text::text},
};

/// Forms in which a report is taken away: its name in addresses, and in words.
const FORMS: [(&str, &str); 4] = [
    ("csv", "CSV"),
    ("json", "JSON"),
    ("text", "plain text"),
    ("html", "a page that needs nothing else"),
];

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/reports", get(choose).post(chosen))
        .route("/reports/{kind}/{days}/explained", get(explained))
        .route("/reports/{kind}/{days}/{form}", get(show))
        .route("/reports/{kind}/{days}/{form}/{file}", get(download))
}

#[derive(Template)]
#[template(path = "reports.html")]
struct ChoosePage {
    frame: Frame,
    form: Form,
    copies: String,
    /// Name, words, and whether it is chosen.
    kinds: Vec<(&'static str, &'static str, bool)>,
    fields: Vec<Field>,
}

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage {
    frame: Frame,
    title: String,
    address: String,
    forms: Vec<(&'static str, &'static str)>,
    is_explained: bool,
    fragment: String,
}

#[derive(Template)]
#[template(path = "figure.html")]
struct FigurePage {
    frame: Frame,
    report: String,
    name: String,
    caption: String,
    means: String,
    groups: Vec<(&'static str, Vec<Vec<Entry>>)>,
    cut: bool,
}

/// An entry behind a figure.
struct Entry {
    party: String,
    seq: u64,
    /// It is of the hub's own log, where it can be looked at.
    own: bool,
}

impl From<Source> for Entry {
    fn from(source: Source) -> Self {
        let own = source.party == Party::Hub;
        Self { party: source.party.to_string(), seq: source.seq, own }
    }
}

fn choose_page(visit: &Visit, calls: &Calls, mut form: Form) -> Response {
    let copies: Vec<String> = calls
        .inspection
        .shared()
        .config
        .governance
        .node_logs
        .keys()
        .map(ToString::to_string)
        .collect();
    form.begin("kind", "dpia");
    let fields = vec![
        Field::new("month", "Month", "For example 2027-02"),
        Field::new("from", "Or from day", "For example 2027-02-01"),
        Field::new("to", "Until day", "For example today, for a report to date"),
    ];
    let shown = ChoosePage {
        frame: visit.frame(form.title("Reports")),
        copies: match copies.as_slice() {
            [] => "; no copy of a node's log is configured here".to_owned(),
            some => format!(", and the copies of the logs of {}", some.join(", ")),
        },
        kinds: Kind::ALL
            .iter()
            .map(|kind| (kind.word(), kind.text(), form.has("kind", kind.word())))
            .collect(),
        fields,
        form,
    };
    form_page(shown.form.status(), &shown)
}

async fn choose(Auditor(visit): Auditor, State(calls): Here) -> Response {
    choose_page(&visit, &calls, Form::default())
}

/// What was chosen, as a part of an address.
fn address(form: &Form) -> Result<String, FieldProblem> {
    let given = |name: &str| Some(form.trimmed(name)).filter(|text| !text.is_empty());
    let kind: Kind = given("kind")
        .and_then(|word| word.parse().ok())
        .ok_or(("kind-dpia", "Choose a report".to_owned()))?;
    let days = match (given("month"), given("from"), given("to")) {
        (Some(month), None, None) => month.to_owned(),
        (None, Some(from), Some(to)) => format!("{from}..{to}"),
        _ => return Err(("month", "Enter a month, or the first and the last day".to_owned())),
    };
    let field = if given("month").is_some() { "month" } else { "from" };
    let days: Days = days.parse().map_err(|why: &str| (field, why.to_owned()))?;
    let shared = given("form") == Some("shared") && kind.has_shared_form();
    Ok(format!("/reports/{}/{days}/{}", kind.word(), if shared { "shared" } else { "full" }))
}

async fn chosen(Auditor(visit): Auditor, State(calls): Here, mut form: Form) -> Response {
    match address(&form) {
        Ok(address) => Redirect::to(&address).into_response(),
        Err(problem) => {
            mark(&mut form, vec![problem]);
            choose_page(&visit, &calls, form)
        }
    }
}

/// The parts of an address.
fn wanted(kind: &str, days: &str, form: &str) -> Option<WantedDocument> {
    let kind: Kind = kind.parse().ok()?;
    let Days(period) = days.parse().ok()?;
    let shared = match form {
        "full" => false,
        "shared" if kind.has_shared_form() => true,
        _ => return None,
    };
    Some(WantedDocument { kind, period, shared })
}

async fn show(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path((kind, days, form)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let wanted = wanted(&kind, &days, &form).ok_or(Problem::NotFound)?;
    let document = calls.inspection.document(visit.request(wanted)).await?;
    let under = format!("/reports/{}/{}", wanted.kind.word(), Days(wanted.period));
    // In the form for others a figure leads nowhere: its entries would tell what is withheld.
    let explain = !wanted.shared && !matches!(wanted.kind, Kind::Policy | Kind::ReAudit);
    let leads = |id: &crate::report::count::FigureId| {
        explain.then(|| format!("{under}/explained?figure={}", encoded(&id.to_string())))
    };
    Ok(page(&ReportPage {
        frame: visit.frame(document.title.clone()),
        title: document.title.clone(),
        address: format!("{under}/{form}"),
        forms: FORMS.to_vec(),
        is_explained: explain,
        fragment: html::fragment(&document, &leads),
    }))
}

/// A text within the query of an address (RFC 3986, section 2.1).
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let encode = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(encode).collect()
}

async fn download(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path((kind, days, form, name)): Path<(String, String, String, String)>,
) -> Result<Response, Problem> {
    let wanted = wanted(&kind, &days, &form).ok_or(Problem::NotFound)?;
    if !FORMS.iter().any(|(known, _)| *known == name) {
        return Err(Problem::NotFound);
    }
    let document = calls.inspection.document(visit.request(wanted)).await?;
    let (kind, bytes) = match name.as_str() {
        "csv" => ("text/csv; charset=utf-8", csv(&document).map_err(|_| Problem::Failed)?),
        "json" => ("application/json", format!("{:#}\n", json(&document)).into_bytes()),
        "html" => ("text/html; charset=utf-8", html::html(&document).into_bytes()),
        _ => ("text/plain; charset=utf-8", text(&document).into_bytes()),
    };
    let ending = if name == "text" { "txt" } else { &name };
    let name = format!("{}-{}-{form}.{ending}", wanted.kind.word(), Days(wanted.period));
    Ok(file(&name, kind, bytes))
}

#[derive(Deserialize)]
struct Figure {
    figure: String,
}

async fn explained(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path((kind, days)): Path<(String, String)>,
    Query(Figure { figure }): Query<Figure>,
) -> Result<Response, Problem> {
    let wanted = wanted(&kind, &days, "full").ok_or(Problem::NotFound)?;
    let request = visit.request((wanted.kind, wanted.period, figure));
    let ExplainedFigure { name, caption, means, things, cut } =
        calls.inspection.explained(request).await?;
    let group = |in_period: bool| {
        let things = things.iter().filter(|(within, _)| *within == in_period);
        things.map(|(_, entries)| entries.iter().cloned().map(Entry::from).collect()).collect()
    };
    Ok(page(&FigurePage {
        frame: visit.frame("The entries behind a figure"),
        report: format!("/reports/{}/{}/full", wanted.kind.word(), Days(wanted.period)),
        name,
        caption,
        means,
        groups: vec![("In the period", group(true)), ("Before it", group(false))],
        cut,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(pairs: &[(&str, &str)]) -> Form {
        Form::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn a_report_without_a_kind_or_with_half_a_period_is_refused() {
        assert_eq!(address(&sent(&[])).unwrap_err().0, "kind-dpia");
        assert_eq!(address(&sent(&[("kind", "dpia")])).unwrap_err().0, "month");
        assert_eq!(
            address(&sent(&[("kind", "dpia"), ("from", "2027-02-01")])).unwrap_err().0,
            "month"
        );
        let order = [("kind", "dpia"), ("from", "2027-02-02"), ("to", "2027-02-01")];
        assert_eq!(address(&sent(&order)).unwrap_err().0, "from");
    }

    #[test]
    fn what_is_chosen_is_an_address_that_is_read_again() {
        let month = [("kind", "dpia"), ("month", "2027-02"), ("form", "shared")];
        let text = address(&sent(&month)).unwrap();
        assert_eq!(text, "/reports/dpia/2027-02-01..2027-02-28/shared");
        let parts: Vec<_> = text.split('/').collect();
        assert!(wanted(parts[2], parts[3], parts[4]).unwrap().shared);
        // A document that names staff has no form for others.
        assert!(
            address(&sent(&[("kind", "nfa-audit"), ("month", "2027-02"), ("form", "shared")]))
                .unwrap()
                .ends_with("/full")
        );
        assert!(wanted("nfa-audit", "2027-02", "shared").is_none());
        assert!(wanted("dpia", "2027-02", "else").is_none());
    }

    #[test]
    fn a_figures_name_in_an_address_is_one_value() {
        assert_eq!(encoded("a.b c&d=\"é"), "a.b%20c%26d%3D%22%C3%A9");
    }
}
