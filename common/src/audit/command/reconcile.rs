//! `log reconcile`.

use std::{fmt::Write as _, io::Write, path::PathBuf};

use clap::Args;
use serde::Serialize;

use super::{DONE, FAILED, NOT_VERIFIED, progress};
use crate::{
    audit::reconcile::{
        Counts, Difference, EntryNumber, Gap, Promised, Report, Side, Wanted, reconcile,
    },
    time::Timestamp,
};

/// What `log reconcile` is told.
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// The hub's log: the directory with the `.seg` files, or the one with the shards in it
    #[arg(value_name = "HUB_DIR")]
    pub hub: PathBuf,
    /// Logs of nodes; exchanges with agencies whose log is not given are left out
    #[arg(required = true, value_name = "NODE_DIR")]
    pub nodes: Vec<PathBuf>,
    /// Hold the logs also against the receipts that this witness holds: the folder `data/witness` of a party, copied before the logs were
    #[arg(long, value_name = "DIR")]
    pub witness: Vec<PathBuf>,
    /// Only exchanges that began at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub from: Option<Timestamp>,
    /// Only exchanges that began before this time (RFC 3339): the time at which the first of the logs was copied, when the
    /// programs were running
    #[arg(long, value_name = "TIME")]
    pub to: Option<Timestamp>,
    /// Also list every exchange that is on one side only, or came to nothing, for a reason that is in order
    #[arg(long)]
    pub explained: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// The document of `log reconcile --json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    /// `agree`, `differ` or `unreadable`.
    status: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    report: Option<&'a Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn run(args: &ReconcileArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let wanted = Wanted {
        hub: args.hub.clone(),
        others: args.nodes.clone(),
        witnesses: args.witness.clone(),
        from: args.from,
        to: args.to,
        list_explained: args.explained,
    };
    let bar = progress("comparing");
    let compared = reconcile(&wanted, &mut |n_entries| bar.set_position(n_entries));
    bar.finish_and_clear();
    let report = match compared {
        Ok(report) => report,
        Err(error) => {
            let error = format!("{:#}", anyhow::Error::new(error));
            if args.json {
                print_json(
                    out,
                    &Document { status: "unreadable", report: None, error: Some(error) },
                )?;
            } else {
                writeln!(out, "not compared: {error}")?;
            }
            return Ok(FAILED);
        }
    };
    let (status, code) = if report.agrees() { ("agree", DONE) } else { ("differ", NOT_VERIFIED) };
    if args.json {
        print_json(out, &Document { status, report: Some(&report), error: None })?;
    } else {
        print(out, &report)?;
    }
    Ok(code)
}

fn print_json(out: &mut dyn Write, document: &Document<'_>) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    writeln!(out)?;
    Ok(())
}

fn print(out: &mut dyn Write, report: &Report) -> std::io::Result<()> {
    for difference in report.explained.iter().chain(&report.differences) {
        writeln!(out, "{}", line(difference))?;
    }
    if !(report.explained.is_empty() && report.differences.is_empty()) {
        writeln!(out)?;
    }
    for Promised { origin, seq, exchange, witness, entry, in_gap } in &report.promised {
        let (witness, entry) = (witness.display(), entry.as_deref().unwrap_or("not kept"));
        writeln!(
            out,
            "{origin}: NOT IN THE LOG, which has signed that it is: entry {seq} of exchange {exchange}\n  \
             receipt in {witness}; the entry: {entry}{}",
            if *in_gap { LOST } else { "" }
        )?;
    }
    for log in &report.logs {
        let (entries, local, origin) = (log.entries, log.local, &log.origin);
        writeln!(out, "{origin}: {entries} entries, {local} of them involve no other party")?;
        for Gap { after, until, kept, seen } in &log.gaps {
            let after = after.map_or_else(|| "its beginning".to_owned(), |at| at.to_string());
            write!(
                out,
                "  PUT BACK from a backup of {kept} entries: what was recorded from {after} to {until} is lost here"
            )?;
            for (party, n) in seen {
                write!(out, "; {party} has seen {n} entries more")?;
            }
            writeln!(out)?;
        }
        if let Some(fault) = &log.fault {
            writeln!(out, "  NOT IN ORDER: {fault}; what stands behind it was not compared")?;
        }
    }
    for (party, n) in &report.not_given {
        writeln!(out, "{party}: its log was not given; {n} exchanges with it were left out")?;
    }
    writeln!(
        out,
        "\n{:<18} {:>9} {:>9} {:>9} {:>9}",
        "exchanges", "agreed", "explained", "one-sided", "different"
    )?;
    for (kind, counts) in &report.kinds {
        row(out, kind.word(), counts)?;
    }
    row(out, "all", &report.total)?;
    for (class, n) in &report.classes {
        writeln!(out, "\n{n} {}: {}", class.word(), class.text())?;
    }
    Ok(())
}

fn row(out: &mut dyn Write, what: &str, counts: &Counts) -> std::io::Result<()> {
    let Counts { agreed, explained, one_sided, different } = counts;
    writeln!(out, "{what:<18} {agreed:>9} {explained:>9} {one_sided:>9} {different:>9}")
}

/// What is said of an entry in a gap.
const LOST: &str = "; lost there when the log was put back from a backup";

/// One difference on one line.
fn line(difference: &Difference) -> String {
    let Difference { exchange, kind, party, began, .. } = difference;
    let party = party.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    let mut line = format!("{began} {} {exchange} {party}: ", kind.word());
    // Writing to a text does not fail.
    let _ = match (difference.explained, difference.missing_at) {
        (Some(class), _) => write!(line, "{}", class.word()),
        (None, Some(side)) => {
            let of = if side == Side::Hub { "the hub's log" } else { "the node's log" };
            write!(line, "MISSING in {of}")
        }
        (None, None) => write!(line, "DIFFERENT"),
    };
    for field in &difference.fields {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        let (name, hub, node) = (field.field.word(), shown(&field.hub), shown(&field.node));
        let _ = write!(line, " {name} (hub: {hub}, node: {node})");
    }
    for (side, entries) in [("hub", &difference.hub), ("node", &difference.node)] {
        let words: Vec<String> =
            entries.iter().map(|EntryNumber { seq, action }| format!("{seq} {action}")).collect();
        let words = if words.is_empty() { "none".to_owned() } else { words.join(", ") };
        let _ = write!(line, "; {side}: {words}");
    }
    if difference.in_gap {
        line.push_str(LOST);
    } else if difference.after_the_end {
        line.push_str("; it began after the last entry of the log that lacks it");
    }
    line
}
