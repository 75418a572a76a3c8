//! `log verify`, `show`, `prove`, `reconcile` and more, for both programs: the work of information governance.
//!
//! All read files only. They need no running program, no network and no configuration, and may run
//! beside a program that writes the log.

use std::{
    io::{IsTerminal as _, Write},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{
    entry::{Action, Actor, Entry},
    shard,
    storage::ORIGIN_FILE,
    verify::{VerifyError, entries},
};
use crate::{id::EnquiryRef, time::Timestamp};

mod export;
mod prove;
mod reconcile;
mod verify;

pub use self::{
    export::ExportArgs,
    prove::{CheckProofArgs, ProveArgs, TilesArgs},
    reconcile::ReconcileArgs,
    verify::{VerifyArgs, examine_shard},
};
use verify::FoundFault;

/// Done; the log is in order.
pub const DONE: u8 = 0;
/// The log could not be read.
pub const FAILED: u8 = 1;
/// The log is not in order.
pub const NOT_VERIFIED: u8 = 4;

/// Work on an audit log's files.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Check a log: every entry, and what it has signed and others have seen of it
    Verify(VerifyArgs),
    /// Print a log's entries
    Show(ShowArgs),
    /// Write a receipt for each entry of an exchange, which anybody can check
    Prove(ProveArgs),
    /// Check a receipt against the entry and a policy
    CheckProof(CheckProofArgs),
    /// Compare the hub's log with logs of nodes: each exchange stands on both sides, and says the same
    Reconcile(ReconcileArgs),
    /// Write a log's entries as CSV or JSON Lines
    Export(ExportArgs),
    /// Write the log as tiles, as other verifiers of transparency logs read it (C2SP tlog-tiles)
    Tiles(TilesArgs),
    /// Begin a new shard of a log that can not go on, after a restore from a backup or after damage; the program must be stopped
    BeginShard(BeginShardArgs),
}

/// What `log begin-shard` is told.
#[derive(Debug, Args)]
pub struct BeginShardArgs {
    /// The folder with the log's shards in it, `data/log`. Run it as the account of the program
    pub dir: PathBuf,
}

/// What `log show` is told. All conditions must hold for an entry to be printed.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The log's directory: the one with the `.seg` files, or the one with the shards in it
    pub dir: PathBuf,
    /// Only entries of this enquiry
    #[arg(long, value_name = "REF")]
    pub enquiry: Option<EnquiryRef>,
    /// Only entries of this action, for example `release_decided`
    #[arg(long)]
    pub action: Option<Action>,
    /// Only entries at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub from: Option<Timestamp>,
    /// Only entries before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub to: Option<Timestamp>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Runs a command and returns the program's exit code: [`DONE`], [`FAILED`] or [`NOT_VERIFIED`].
///
/// What is wrong with the log or its files is written to `out`, as the result it is.
///
/// # Errors
/// When `out` can not be written.
pub fn run(command: &LogCommand, out: &mut dyn Write) -> anyhow::Result<u8> {
    match command {
        LogCommand::Verify(args) => verify::verify(args, out),
        LogCommand::Show(args) => show(args, out),
        LogCommand::Prove(args) => prove::prove(args, out),
        LogCommand::CheckProof(args) => prove::check_proof(args, out),
        LogCommand::Tiles(args) => prove::tiles(args, out),
        LogCommand::BeginShard(args) => match shard::begin(&args.dir) {
            Ok(begun) => {
                writeln!(out, "{}: written from the program's next start on", begun.display())?;
                writeln!(
                    out,
                    "The shard before stays as it is: keep it, and tell information governance why."
                )?;
                Ok(DONE)
            }
            Err(error) => {
                writeln!(out, "not done: {:#}", anyhow::Error::new(error))?;
                Ok(FAILED)
            }
        },
        LogCommand::Reconcile(args) => reconcile::run(args, out),
        LogCommand::Export(args) => export::run(args, out),
    }
}

/// The document of `log show --json`.
#[derive(Debug, Serialize)]
struct Shown {
    entries: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<FoundFault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

fn show(args: &ShowArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut shown = Shown { entries: Vec::new(), fault: None, error: None };
    let mut code = DONE;
    let shards = shard::within(&args.dir)?;
    if !shards.last().is_some_and(|newest| newest.join(ORIGIN_FILE).is_file()) {
        // Otherwise a wrong directory would look like a log in which nothing has happened.
        shown.error =
            Some(format!("`{}` holds no log: it has no file `{ORIGIN_FILE}`", args.dir.display()));
        return finish_show(&shown, args, FAILED, out);
    }
    let walk = shards.iter().flat_map(|shard| -> Box<dyn Iterator<Item = _>> {
        match entries(shard) {
            Ok(entries) => Box::new(entries),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    });
    for item in walk {
        if code != DONE {
            break;
        }
        match item {
            Ok(entry) if !is_wanted(&entry, args) => {}
            // Held only for the one document; as text, each is printed as it is read.
            Ok(entry) if args.json => shown.entries.push(entry),
            Ok(entry) => print_entry(&entry, out)?,
            Err(VerifyError::Fault(fault)) => {
                code = NOT_VERIFIED;
                shown.fault = Some(FoundFault::new(fault));
            }
            Err(error) => {
                code = FAILED;
                shown.error = Some(format!("{:#}", anyhow::Error::new(error)));
            }
        }
    }
    finish_show(&shown, args, code, out)
}

fn finish_show(
    shown: &Shown,
    args: &ShowArgs,
    code: u8,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    if args.json {
        serde_json::to_writer_pretty(&mut *out, shown)?;
        writeln!(out)?;
    } else if let Some(FoundFault { seq, segment, offset, text, .. }) = &shown.fault {
        writeln!(out, "NOT IN ORDER: entry {seq} ({segment}, byte {offset}): {text}")?;
    } else if let Some(error) = &shown.error {
        writeln!(out, "not shown: {error}")?;
    }
    Ok(code)
}

fn is_wanted(entry: &Entry, args: &ShowArgs) -> bool {
    args.enquiry.as_ref().is_none_or(|enquiry| entry.enquiry.as_ref() == Some(enquiry))
        && args.action.is_none_or(|action| entry.action == action)
        && args.from.is_none_or(|from| entry.ts >= from)
        && args.to.is_none_or(|to| entry.ts < to)
}

/// One line: number, time, who, what, then what is known of it as `name=value`.
fn print_entry(entry: &Entry, out: &mut dyn Write) -> std::io::Result<()> {
    let Entry { seq, ts, node, action, .. } = entry;
    write!(out, "{seq:>8} {ts} {node} ")?;
    match &entry.actor {
        Actor::Program => write!(out, "program {action}")?,
        Actor::Staff { name, role } => write!(out, "{name}/{role} {action}")?,
    }
    let list = |values: Vec<String>| (!values.is_empty()).then(|| values.join(","));
    let text = |value: Option<&dyn std::fmt::Display>| value.map(ToString::to_string);
    macro_rules! known {
        ($($field:ident),*) => {
            [$((stringify!($field), text(entry.$field.as_ref().map(|value| value as _))),)*]
        };
    }
    let singles = known![
        enquiry,
        person,
        exchange,
        release,
        peer,
        category,
        gate,
        class,
        purpose,
        art6,
        art9,
        art10,
        gateway,
        agreement_status,
        decision,
        reason,
        count,
        payload_digest
    ];
    let lists = [
        ("recipients", list(entry.recipients.iter().map(ToString::to_string).collect())),
        ("obligations", list(entry.obligations.iter().map(ToString::to_string).collect())),
        ("evidence", list(entry.evidence.iter().map(ToString::to_string).collect())),
    ];
    for (name, value) in singles.into_iter().chain(lists) {
        if let Some(value) = value {
            write!(out, " {name}={value}")?;
        }
    }
    if let Some(agreement) = &entry.agreement {
        write!(out, " agreement={}/{}", agreement.id, agreement.version)?;
    }
    if entry.test_env {
        write!(out, " test")?;
    }
    writeln!(out)
}

/// How many entries were read, on a terminal; nothing elsewhere.
fn progress(what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {pos} entries {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}

#[cfg(test)]
mod tests;
