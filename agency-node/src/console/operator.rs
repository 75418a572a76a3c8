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
    connectors: Vec<Connector>,
    /// Whether there may be more rejects than are kept.
    are_cut: bool,
}

/// A connector and its last run.
struct Connector {
    title: String,
    rows: Vec<Row>,
    rejects: Vec<Rejected>,
}

async fn records(visit: Visit, State(calls): Here) -> Result<Response, Problem> {
    let records = calls.operating.records(visit.request(())).await?;
    let enrolment = shown::enrolment_rows(&records);
    let connectors = records.connectors.iter().map(|connected| Connector {
        title: format!("Connector {}", connected.name),
        rows: shown::connector_rows(connected),
        rejects: connected.last.as_ref().map(|last| last.rejects.clone()).unwrap_or_default(),
    });
    let connectors = connectors.collect();
    let import = records.import.as_ref().map(import_rows).unwrap_or_default();
    let rejects = records.import.map(|import| import.rejects).unwrap_or_default();
    let are_cut = rejects.len() >= MAX_REJECTS;
    let frame = visit.frame("Records");
    Ok(page(&RecordsPage { frame, enrolment, import, rejects, connectors, are_cut }))
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
