//! Checking the whole log, and comparing both sides, with progress.

use std::{convert::Infallible, sync::Arc, time::Duration};

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use brag_common::{
    audit::reconcile::{Difference, EntryNumber, Report, Side},
    console::{
        Form, Frame, Problem, Visit, form_page, page,
        shown::{spoken, when},
    },
    id::RequestId,
};
use futures::{Stream, StreamExt as _};

use super::{
    Calls, Here,
    governance::{Auditor, refuse},
};
use crate::inspect::check::{Kind, Outcome, Standing};

/// Differences that a page shows.
const MAX_SHOWN: usize = 200;

/// How often a page that waits is told how far a check is.
const TELL_EVERY: Duration = Duration::from_secs(1);

pub(super) fn routes() -> Router<Arc<Calls>> {
    Router::new()
        .route("/checks", get(show).post(begin))
        .route("/checks/part", get(show_part))
        .route("/checks/{name}/events", get(events))
        .route("/checks/{name}/stop", post(stop))
}

#[derive(Template)]
#[template(path = "checks.html")]
struct ChecksPage {
    frame: Frame,
    csrf: String,
    form: Form,
    policy: &'static str,
    copies: String,
    may_compare: bool,
    /// The check that runs.
    running: Option<String>,
    check: Option<Shown>,
}

#[derive(Template)]
#[template(path = "check.html")]
struct CheckPart {
    csrf: String,
    check: Option<Shown>,
}

/// A check as it is shown.
#[derive(Debug, Default)]
struct Shown {
    name: String,
    title: &'static str,
    began: String,
    by: String,
    is_running: bool,
    n_read: u64,
    n_entries: u64,
    ended: String,
    /// The colour of the verdict's tag; its words say the same.
    tag: &'static str,
    verdict: &'static str,
    lines: Vec<String>,
    kinds: Vec<(String, [u64; 4])>,
    differences: Vec<Different>,
}

/// A difference in words.
#[derive(Debug)]
struct Different {
    exchange: String,
    text: String,
    lines: Vec<String>,
}

impl Shown {
    fn of(standing: &Standing) -> Self {
        let mut shown = Self {
            name: standing.name.to_string(),
            title: match standing.kind {
                Kind::Verify => "Every entry",
                Kind::Reconcile => "Both sides",
            },
            began: when(standing.began.as_millisecond()),
            by: standing.by.to_string(),
            is_running: standing.ended.is_none(),
            n_read: standing.n_read,
            n_entries: standing.n_entries,
            ..Self::default()
        };
        if let Some((at, outcome)) = &standing.ended {
            shown.ended = when(at.as_millisecond());
            shown.tell(outcome);
        }
        shown
    }

    fn tell(&mut self, outcome: &Outcome) {
        (self.tag, self.verdict) = match outcome {
            Outcome::InOrder { .. } => ("green", "In order"),
            Outcome::Compared(report) if report.agrees() => ("green", "Both sides agree"),
            Outcome::Fault(_) => ("red", "Not in order"),
            Outcome::Contradicted { .. } => ("red", "Not what it was"),
            Outcome::Compared(_) => ("red", "Both sides differ"),
            Outcome::Stopped => ("grey", "Stopped"),
            Outcome::NotDone(_) => ("yellow", "Not done"),
        };
        self.lines = lines(outcome);
        if let Outcome::Compared(report) = outcome {
            let counts = report.kinds.iter().map(|(kind, counts)| {
                let numbers = [counts.agreed, counts.explained, counts.one_sided, counts.different];
                (spoken(kind.word()), numbers)
            });
            self.kinds = counts.collect();
            let differences = report.differences.iter().take(MAX_SHOWN);
            self.differences = differences.map(Different::of).collect();
        }
    }
}

/// What a check found, in sentences.
fn lines(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::InOrder { summary, witnessed, by_policy } => {
            let mut lines = vec![format!(
                "{} entries in {} files: every number, link and signature is right.",
                summary.n_entries, summary.n_segments
            )];
            if summary.n_unfinished_bytes > 0 {
                let n = summary.n_unfinished_bytes;
                lines.push(format!("{n} bytes of a write under way stand at the end."));
            }
            let n = witnessed.n_checkpoints;
            lines.push(format!("It agrees with all {n} checkpoints that were signed or seen."));
            lines.push(match &witnessed.accepted {
                Some(accepted) => format!(
                    "The quorum of the policy has seen {} entries ({}); {} not yet.",
                    accepted.size,
                    accepted.by.join(", "),
                    witnessed.n_unseen
                ),
                None if *by_policy => "No quorum was asked for.".to_owned(),
                None => "No policy is configured, so no quorum was asked for: who has the log's key could have written its end anew."
                    .to_owned(),
            });
            lines.push(format!("Root of the tree: {}.", summary.root));
            lines
        }
        Outcome::Fault(fault) => {
            let mut lines = vec![format!(
                "Entry {} is the first that is wrong: {} (file {:020}.seg, byte {}).",
                fault.seq, fault.what, fault.segment, fault.offset
            )];
            if fault.n_vouched < fault.seq {
                lines.push(format!(
                    "Entries {} to {} read well and belong to the same write: no signature vouches for them any more.",
                    fault.n_vouched,
                    fault.seq - 1
                ));
            }
            lines.push(format!(
                "Entries before {} are in order. Keep the files as they are, and tell the operator.",
                fault.n_vouched
            ));
            lines
        }
        Outcome::Contradicted { code, seq, text } => {
            let what = match *code {
                "rolled_back" => "Entries are missing at the end (a rollback)",
                "fork" => "The log was written anew (a fork)",
                "quorum_missing" => "Too few witnesses have seen the log (no quorum)",
                "log_not_in_policy" => "The policy is for another log",
                _ => "The checkpoints are not those of this log",
            };
            let from = seq.map_or_else(String::new, |seq| format!(", from entry {seq} on"));
            vec![
                format!("{what}{from}: {text}."),
                "The entries that are here are in order. Keep the files as they are, and tell the operator."
                    .to_owned(),
            ]
        }
        Outcome::Compared(report) => compared(report),
        Outcome::Stopped => vec!["It was stopped before its end, and says nothing.".to_owned()],
        Outcome::NotDone(why) => vec![format!("It could not be done: {why}.")],
    }
}

fn compared(report: &Report) -> Vec<String> {
    let total = &report.total;
    let mut lines = vec![format!(
        "{} exchanges were compared: {} agree, {} are explained, {} are on one side only, {} are different.",
        total.all(),
        total.agreed,
        total.explained,
        total.one_sided,
        total.different
    )];
    for log in &report.logs {
        match &log.fault {
            Some(fault) => lines.push(format!(
                "The log {} is not in order: {fault}. What stands behind it was not compared.",
                log.origin
            )),
            None => lines.push(format!("{}: {} entries.", log.origin, log.entries)),
        }
    }
    for (party, n) in &report.not_given {
        lines.push(format!(
            "{party}: no copy of its log is here; {n} exchanges with it were left out."
        ));
    }
    for (class, n) in &report.classes {
        lines.push(format!("{n} explained ({}): {}", spoken(class.word()), class.text()));
    }
    if report.differences.len() > MAX_SHOWN {
        lines.push(format!("The first {MAX_SHOWN} differences are shown."));
    }
    lines
}

impl Different {
    fn of(difference: &Difference) -> Self {
        let party = difference
            .party
            .as_ref()
            .map_or_else(|| "an unknown agency".to_owned(), ToString::to_string);
        let what = match difference.missing_at {
            Some(Side::Hub) => "missing in the hub's log",
            Some(Side::Node) => "missing in the node's log",
            None => "different on both sides",
        };
        let began = when(difference.began.as_millisecond());
        let text =
            format!("{} with {party}, begun {began}: {what}", spoken(difference.kind.word()));
        let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        let mut lines: Vec<String> = difference
            .fields
            .iter()
            .map(|field| {
                let name = spoken(field.field.word());
                format!(
                    "{name}: the hub says {}, the node says {}",
                    said(&field.hub),
                    said(&field.node)
                )
            })
            .collect();
        for (whose, entries) in [("The hub's", &difference.hub), ("The node's", &difference.node)] {
            let entries: Vec<String> = entries
                .iter()
                .map(|EntryNumber { seq, action }| format!("{seq} ({})", spoken(action.word())))
                .collect();
            let entries = if entries.is_empty() { "none".to_owned() } else { entries.join(", ") };
            lines.push(format!("{whose} entries: {entries}"));
        }
        if difference.in_gap {
            lines.push("The log that lacks it was put back from a backup that ended before, and says so itself.".to_owned());
        } else if difference.after_the_end {
            lines.push("It began after the last entry of the log that lacks it: that log is older, or was cut.".to_owned());
        }
        Self { exchange: difference.exchange.to_string(), text, lines }
    }
}

async fn checks_page(visit: &Visit, calls: &Calls, form: Form) -> Result<Response, Problem> {
    let check = calls.inspection.check(visit.request(())).await?;
    let running = check.as_ref().filter(|check| check.ended.is_none());
    let governance = &calls.inspection.shared().config.governance;
    let copies: Vec<String> = governance.node_logs.keys().map(ToString::to_string).collect();
    let shown = ChecksPage {
        frame: visit.frame(form.title("Check the log")),
        csrf: visit.csrf().to_owned(),
        form,
        policy: match governance.policy {
            Some(_) => "The policy in the configuration says how many witnesses must have seen it.",
            None => "No policy is configured, so no quorum is asked for.",
        },
        may_compare: !copies.is_empty(),
        copies: match copies.as_slice() {
            [] => {
                "No copy of a node's log is configured here, so there is nothing to compare with."
                    .to_owned()
            }
            some => format!(
                "Each exchange in the hub's log against the copies of nodes' logs that are here: {}.",
                some.join(", ")
            ),
        },
        running: running.map(|check| check.name.to_string()),
        check: check.as_ref().map(Shown::of),
    };
    Ok(form_page(shown.form.status(), &shown))
}

async fn show(Auditor(visit): Auditor, State(calls): Here) -> Result<Response, Problem> {
    checks_page(&visit, &calls, Form::default()).await
}

async fn show_part(Auditor(visit): Auditor, State(calls): Here) -> Result<Response, Problem> {
    let check = calls.inspection.check(visit.request(())).await?;
    Ok(page(&CheckPart { csrf: visit.csrf().to_owned(), check: check.as_ref().map(Shown::of) }))
}

async fn begin(
    Auditor(visit): Auditor,
    State(calls): Here,
    mut form: Form,
) -> Result<Response, Problem> {
    let kind = match form.value("kind") {
        "log_verify" => Kind::Verify,
        "log_reconcile" => Kind::Reconcile,
        _ => return Err(Problem::NotFound),
    };
    match calls.inspection.begin_check(visit.request(kind)).await {
        Ok(_) => Ok(visit.done("/checks", "The check has begun.")),
        Err(status) => {
            refuse(&mut form, kind.word(), status)?;
            checks_page(&visit, &calls, form).await
        }
    }
}

async fn stop(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path(name): Path<RequestId>,
) -> Result<Response, Problem> {
    calls.inspection.stop_check(visit.request(name))?;
    Ok(visit.done("/checks", "The check is told to stop."))
}

/// That a check went on or has ended, without what it found: the page asks for that itself.
async fn events(
    Auditor(visit): Auditor,
    State(calls): Here,
    Path(name): Path<RequestId>,
) -> Result<Response, Problem> {
    calls.inspection.check_progress(visit.request(name.clone()))?;
    let told = progress(visit, calls, name)
        .map(|()| Ok::<_, Infallible>(Event::default().event("changed").data("1")));
    Ok(Sse::new(told).keep_alive(KeepAlive::default()).into_response())
}

/// Each second in which a check went on, and its end; then nothing more, so that the browser does not connect anew.
fn progress(visit: Visit, calls: Arc<Calls>, name: RequestId) -> impl Stream<Item = ()> + Send {
    let ticks = tokio_stream::wrappers::IntervalStream::new(tokio::time::interval(TELL_EVERY));
    let at = move |_| {
        let progress = calls.inspection.check_progress(visit.request(name.clone()));
        progress.unwrap_or((0, true))
    };
    let mut last = None;
    let mut over = false;
    ticks
        .map(at)
        .take_while(move |(_, ended)| {
            let go_on = !over;
            over = *ended;
            std::future::ready(go_on)
        })
        .filter_map(move |now| {
            let changed = last.replace(now) != Some(now);
            std::future::ready(changed.then_some(()))
        })
        .chain(futures::stream::pending())
}

#[cfg(test)]
mod tests {
    use brag_common::audit::{Fault, chain::What};

    use super::*;

    #[test]
    fn a_fault_is_told_with_its_entry_and_what_still_counts() {
        let fault = Fault { segment: 0, offset: 900, seq: 7, n_vouched: 5, what: What::Crc };
        let told = lines(&Outcome::Fault(fault));
        assert!(
            told[0].starts_with("Entry 7 is the first that is wrong: the checksum does not fit")
        );
        assert!(told[1].starts_with("Entries 5 to 6 read well"));
        assert!(told[2].starts_with("Entries before 5 are in order"));
    }

    #[test]
    fn a_rollback_a_fork_and_a_missing_quorum_have_words_of_their_own() {
        let told = |code| {
            lines(&Outcome::Contradicted { code, seq: Some(3), text: "x".to_owned() }).remove(0)
        };
        assert!(told("rolled_back").contains("a rollback), from entry 3 on"));
        assert!(told("fork").contains("a fork"));
        assert!(told("quorum_missing").contains("no quorum"));
    }
}
