//! The logs of both sides beside each other: every decision on detail stands once in the holder's log and once, in the
//! same exchange, in the hub's; and so does everything that left.

use brag_common::{
    audit::{
        entries,
        entry::{Action, Entry},
    },
    id::AgencyId,
    program::LOG_SHARD,
    reason::Reason,
};

use super::report::{ReleaseRow, Report, Row};
use crate::partnership::Partnership;

/// Compares the logs, for each request and recipient of a play.
///
/// # Errors
/// When a log can not be read.
pub fn compare(report: &Report, partnership: &Partnership) -> anyhow::Result<Vec<Row>> {
    let read = |folder: std::path::PathBuf| -> anyhow::Result<Vec<Entry>> {
        Ok(entries(&folder.join("data/log").join(LOG_SHARD))?.collect::<Result<_, _>>()?)
    };
    let hub = read(partnership.hub_folder())?;
    let mut rows = Vec::new();
    for agency in partnership.agencies() {
        let asked: Vec<&ReleaseRow> =
            report.releases.iter().filter(|row| row.holder == agency.as_str()).collect();
        if asked.is_empty() {
            continue;
        }
        let holder = read(partnership.node_folder(agency))?;
        rows.extend(asked.into_iter().map(|row| compare_one(row, agency, &holder, &hub)));
    }
    rows.sort_by(|a, b| a.what.cmp(&b.what));
    Ok(rows)
}

/// How often something stands in each log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    holder: usize,
    hub: usize,
}

fn compare_one(row: &ReleaseRow, agency: &AgencyId, holder: &[Entry], hub: &[Entry]) -> Row {
    let about = |entry: &&Entry| {
        entry.release.as_ref().is_some_and(|release| release.as_str() == row.release)
            && entry.recipients.iter().any(|to| to.to_string() == row.recipient)
    };
    let holder: Vec<&Entry> = holder.iter().filter(about).collect();
    let hub: Vec<&Entry> = hub.iter().filter(about).collect();
    let decided = decided(row, &holder, &hub);
    // Nothing can be written where the log is full, and nothing comes from a node that is away.
    let unheard = row.decided.decision == "no_response"
        || row.decided.reason == Reason::LogUnavailable.code();
    let wanted = Times { holder: usize::from(!unheard), hub: 1 };
    let finally = row.finally.as_ref().map_or(&row.decided, |finally| finally).decision.as_str();
    let sent = sent(&holder, &hub);
    let n_sent = usize::from(finally == "release");
    let wanted_sent = Times { holder: n_sent, hub: n_sent };
    let words = |decided: Times, sent: Times| {
        format!(
            "decided {} at {agency} and {} at the hub, sent {} and passed on {}",
            decided.holder, decided.hub, sent.holder, sent.hub
        )
    };
    let what = format!("log entries of {} to {}", row.id, row.recipient);
    Row::compare(what, words(wanted, wanted_sent), words(decided, sent))
}

/// What was decided when it was asked, before anybody approved or refused.
fn decided(row: &ReleaseRow, holder: &[&Entry], hub: &[&Entry]) -> Times {
    let is_decision = |entry: &&&Entry| {
        let word = entry.decision.as_ref().map(ToString::to_string);
        entry.action == Action::ReleaseDecided && word.as_deref() == Some(&row.decided.decision)
    };
    let reviewed = |entry: &&Entry| {
        matches!(
            entry.action,
            Action::ReviewApproved | Action::ReviewRefused | Action::ReviewExpired
        )
    };
    let at_once: Vec<&Entry> =
        holder.iter().copied().take_while(|entry| !reviewed(entry)).collect();
    let mine: Vec<&&Entry> = at_once.iter().filter(is_decision).collect();
    let exchange = mine.first().and_then(|entry| entry.exchange.as_ref());
    let matching = hub.iter().filter(|entry| match (&*row.decided.decision, exchange) {
        ("no_response", _) => entry.action == Action::NoResponse,
        (_, None) => is_decision(entry),
        (_, Some(exchange)) => is_decision(entry) && entry.exchange.as_ref() == Some(exchange),
    });
    Times { holder: mine.len(), hub: matching.count() }
}

/// What was sealed, and the hub's entries of having it in the same exchange.
fn sent(holder: &[&Entry], hub: &[&Entry]) -> Times {
    let sealed: Vec<_> =
        holder.iter().filter(|entry| entry.action == Action::DetailSealed).collect();
    let passed_on = hub.iter().filter(|entry| {
        entry.action == Action::ReleaseDecided
            && sealed.iter().any(|sealed| sealed.exchange == entry.exchange)
    });
    Times { holder: sealed.len(), hub: passed_on.count() }
}
