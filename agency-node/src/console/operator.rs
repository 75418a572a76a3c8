//! Pages for whoever runs the node: how it is, and what to do. Nothing about anybody.

mod shown;

use std::sync::Arc;

use askama::Template;
use axum::{Router, extract::State, response::Response, routing::get};
use brag_common::console::{Frame, Problem, Visit, page, shown::when};

use self::shown::{Row, certificates, health_rows, hub_rows, import_rows};
use super::{Calls, Here};
use crate::{
    check_command::Finding,
    records::{MAX_REJECTS, Rejected},
};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/operator/health", get(health))
        .route("/operator/configuration", get(configuration))
        .route("/operator/records", get(records))
        .route("/operator/connections", get(connections))
}

#[derive(Template)]
#[template(path = "operator_health.html")]
struct HealthPage {
    frame: Frame,
    not_ready: Vec<String>,
    rows: Vec<Row>,
}

async fn health(visit: Visit, State(calls): Here) -> Result<Response, Problem> {
    let health = calls.operating.health(visit.request(())).await?;
    let rows = health_rows(&health);
    Ok(page(&HealthPage { frame: visit.frame("Health"), not_ready: health.not_ready, rows }))
}

#[derive(Template)]
#[template(path = "operator_configuration.html")]
struct ConfigurationPage {
    frame: Frame,
    problems: Vec<Finding>,
    notes: Vec<Finding>,
}

async fn configuration(visit: Visit, State(calls): Here) -> Result<Response, Problem> {
    let found = calls.operating.findings(visit.request(())).await?;
    let frame = visit.frame("Configuration");
    Ok(page(&ConfigurationPage { frame, problems: found.problems, notes: found.notes }))
}

#[derive(Template)]
#[template(path = "operator_records.html")]
struct RecordsPage {
    frame: Frame,
    enrolment: Vec<Row>,
    import: Vec<Row>,
    rejects: Vec<Rejected>,
    /// Whether there may be more rejects than are kept.
    are_cut: bool,
}

async fn records(visit: Visit, State(calls): Here) -> Result<Response, Problem> {
    let records = calls.operating.records(visit.request(())).await?;
    let enrolment = shown::enrolment_rows(&records);
    let import = records.import.as_ref().map(import_rows).unwrap_or_default();
    let rejects = records.import.map(|import| import.rejects).unwrap_or_default();
    let are_cut = rejects.len() >= MAX_REJECTS;
    Ok(page(&RecordsPage { frame: visit.frame("Records"), enrolment, import, rejects, are_cut }))
}

#[derive(Template)]
#[template(path = "operator_connections.html")]
struct ConnectionsPage {
    frame: Frame,
    hub: Vec<Row>,
    certificates: Vec<Row>,
    looked: String,
}

async fn connections(visit: Visit, State(calls): Here) -> Result<Response, Problem> {
    let seen = calls.operating.connections(visit.request(())).await?;
    Ok(page(&ConnectionsPage {
        frame: visit.frame("Connections"),
        hub: hub_rows(&seen),
        certificates: certificates(&seen.certificates, seen.now),
        looked: when(seen.now.as_millisecond()),
    }))
}
