//! One exchange from both sides, and what proves an entry to others.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use brag_common::{
    audit::entry::Party,
    console::{Frame, Problem, page},
    id::RequestId,
};

use super::{
    Calls, Here,
    governance::{Auditor, file},
};
use crate::inspect::{
    exchange::{Covering, Exchange},
    words::{Told, party_words, told},
};

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/log/exchanges/{exchange}", get(show))
        .route("/log/entries/{seq}/proof", get(proof))
        .route("/log/entries/{seq}/json", get(json))
}

#[derive(Template)]
#[template(path = "exchange.html")]
struct ExchangePage {
    frame: Frame,
    exchange: String,
    hub: Vec<Told>,
    sides: Vec<Side>,
    covered_by: Vec<Covering>,
    cut: bool,
}

/// The other side.
struct Side {
    party: String,
    caption: &'static str,
    entries: Vec<Told>,
    /// Why it is not shown.
    missing: Option<&'static str>,
}

/// No copy of a log is configured.
const NO_COPY: &str = "no copy of its log is on this machine, so only the hub's side is here. Ask the agency for its side, or the operator to \
    configure a copy";

/// The other sides, those that are here first.
fn sides(found: &Exchange, agreement: &brag_common::agreement::Agreement) -> Vec<Side> {
    let here = found.nodes.iter().map(|side| {
        let party = party_words(&Party::Agency(side.agency.clone()), agreement);
        let (entries, missing) = match &side.entries {
            Ok(entries) => (entries.iter().map(|entry| told(entry, agreement)).collect(), None),
            Err(why) => (Vec::new(), Some(*why)),
        };
        Side { party, caption: "Its side, from a copy of its log, oldest first", entries, missing }
    });
    let not_here = found.not_here.iter().map(|party| Side {
        party: party_words(party, agreement),
        caption: "",
        entries: Vec::new(),
        missing: Some(NO_COPY),
    });
    here.chain(not_here).collect()
}

async fn show(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path(exchange): Path<RequestId>,
) -> Result<Response, Problem> {
    let found = calls.inspection.exchange(visit.request(exchange.clone())).await?;
    let agreement = calls.inspection.shared().agreement.agreement();
    Ok(page(&ExchangePage {
        frame: visit.frame("Exchange"),
        exchange: exchange.to_string(),
        hub: found.hub.iter().map(|entry| told(entry, agreement)).collect(),
        sides: sides(&found, agreement),
        covered_by: found.covered_by,
        cut: found.cut,
    }))
}

async fn proof(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path(seq): Path<u64>,
) -> Result<Response, Problem> {
    let receipt = calls.inspection.receipt(visit.request(seq)).await?;
    let name = format!("hub-{seq}.tlog-proof");
    Ok(file(&name, "text/plain; charset=utf-8", receipt.proof.into_bytes()))
}

async fn json(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path(seq): Path<u64>,
) -> Result<Response, Problem> {
    let entry = calls.inspection.entry(visit.request(seq)).await?;
    // Exactly the bytes that a receipt proves: no new line at the end.
    Ok(file(&format!("hub-{seq}.entry.json"), "application/json", entry.encode()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{inspect::exchange::NodeSide, report::testkit::agreement};

    #[test]
    fn a_side_of_which_there_is_no_copy_says_so() {
        let found = Exchange {
            hub: Vec::new(),
            nodes: vec![NodeSide { agency: "CSC".parse().unwrap(), entries: Ok(Vec::new()) }],
            not_here: vec!["POL".parse().unwrap()],
            covered_by: Vec::new(),
            cut: false,
        };
        let sides = sides(&found, &agreement());
        assert!(sides[0].party.starts_with("CSC") && sides[0].missing.is_none());
        assert!(sides[1].party.starts_with("POL") && sides[1].missing == Some(NO_COPY));
    }
}
