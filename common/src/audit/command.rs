//! `log verify`, `show`, `reconcile` and `export`, for both programs: the work of information governance.
//!
//! All read files only. They need no running program, no network and no configuration, and may run
//! beside a program that writes the log.

use std::{
    fs,
    io::{IsTerminal as _, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{
    chain::Origin,
    entry::{Action, Actor, Entry},
    storage::{KEY_FILE, ORIGIN_FILE},
    verify::{Summary, VerifyError, entries, verify_dir, verify_every_signature},
};
use crate::{id::EnquiryRef, keys::VerifyingKey, time::Timestamp};

mod export;
mod reconcile;

pub use self::{export::ExportArgs, reconcile::ReconcileArgs};

/// Done; the log is in order.
pub const DONE: u8 = 0;
/// The log could not be read.
pub const FAILED: u8 = 1;
/// The log is not in order.
pub const NOT_VERIFIED: u8 = 4;

/// Work on an audit log's files.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Check every entry of a log: checksums, numbers, chain and signatures
    Verify(VerifyArgs),
    /// Print a log's entries
    Show(ShowArgs),
    /// Compare the hub's log with logs of nodes: each exchange stands on both sides, and says the same
    Reconcile(ReconcileArgs),
    /// Write a log's entries as CSV or JSON Lines
    Export(ExportArgs),
}

/// What `log verify` is told.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The log's directory: the one with the `.seg` files
    pub dir: PathBuf,
    /// The public key that must have signed it, in base64; without a key, the one beside the log is
    /// believed
    #[arg(long, value_name = "BASE64", conflicts_with = "key_file")]
    pub key: Option<VerifyingKey>,
    /// A file with that key
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// The name the log must have, `<trust domain>/<party>/<shard>`; otherwise the one beside the log
    #[arg(long)]
    pub origin: Option<Origin>,
    /// Look at each signature by itself, not at the last one and the chain to it (much slower)
    #[arg(long)]
    pub every_signature: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What `log show` is told. All conditions must hold for an entry to be printed.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The log's directory: the one with the `.seg` files
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
        LogCommand::Verify(args) => verify(args, out),
        LogCommand::Show(args) => show(args, out),
        LogCommand::Reconcile(args) => reconcile::run(args, out),
        LogCommand::Export(args) => export::run(args, out),
    }
}

/// The document of `log verify --json`.
#[derive(Debug, Serialize)]
struct Verified<'a> {
    /// `ok`, `fault` or `unreadable`.
    status: &'static str,
    dir: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Whether the key came from the log's own directory, where who changed the log could change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_from_log: Option<bool>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    summary: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<FoundFault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct FoundFault {
    seq: u64,
    segment: String,
    offset: u64,
    code: &'static str,
    text: String,
}

impl FoundFault {
    fn new(fault: super::Fault) -> Self {
        let segment = format!("{:020}.seg", fault.segment);
        let (code, text) = (fault.what.code(), fault.what.to_string());
        Self { seq: fault.seq, segment, offset: fault.offset, code, text }
    }
}

fn verify(args: &VerifyArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut document = Verified {
        status: "unreadable",
        dir: &args.dir,
        origin: None,
        key: None,
        key_from_log: None,
        summary: None,
        fault: None,
        error: None,
    };
    let code = match terms(args) {
        Err(error) => {
            document.error = Some(format!("{error:#}"));
            FAILED
        }
        Ok((key, key_from_log, origin)) => {
            document.key = Some(key.to_string());
            document.key_from_log = Some(key_from_log);
            document.origin = Some(origin.to_string());
            let check = if args.every_signature { verify_every_signature } else { verify_dir };
            match check(&args.dir, &key, &origin) {
                Ok(summary) => {
                    document.status = "ok";
                    document.summary = Some(summary);
                    DONE
                }
                Err(VerifyError::Fault(fault)) => {
                    document.status = "fault";
                    document.fault = Some(FoundFault::new(fault));
                    NOT_VERIFIED
                }
                Err(error @ VerifyError::Io { .. }) => {
                    document.error = Some(format!("{:#}", anyhow::Error::new(error)));
                    FAILED
                }
            }
        }
    };
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)?;
    } else {
        print_verified(&document, out)?;
    }
    Ok(code)
}

/// The key, whether it came from the log itself, and the origin.
fn terms(args: &VerifyArgs) -> anyhow::Result<(VerifyingKey, bool, Origin)> {
    let beside = |file| read_text(&args.dir.join(file));
    let (key, key_from_log) = match (&args.key, &args.key_file) {
        (Some(key), _) => (*key, false),
        (None, Some(path)) => (read_text(path)?.parse()?, false),
        (None, None) => (beside(KEY_FILE)?.parse()?, true),
    };
    let origin = match &args.origin {
        Some(origin) => origin.clone(),
        None => beside(ORIGIN_FILE)?.parse()?,
    };
    Ok((key, key_from_log, origin))
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    use anyhow::Context as _;
    let text =
        fs::read_to_string(path).with_context(|| format!("can not read `{}`", path.display()))?;
    Ok(text.trim().to_owned())
}

fn print_verified(document: &Verified<'_>, out: &mut dyn Write) -> std::io::Result<()> {
    let dir = document.dir.display();
    if let Some(error) = &document.error {
        return writeln!(out, "not checked: {dir}: {error}");
    }
    if let Some(origin) = &document.origin {
        writeln!(out, "log      {origin}")?;
    }
    if let Some(fault) = &document.fault {
        let FoundFault { seq, segment, offset, text, .. } = fault;
        writeln!(out, "NOT IN ORDER: entry {seq} ({segment}, byte {offset}): {text}")?;
        return writeln!(out, "Entries before {seq} are in order. Keep the files as they are.");
    }
    if let Some(summary) = &document.summary {
        let Summary { n_entries, n_segments, n_unfinished_bytes, .. } = summary;
        writeln!(out, "in order {n_entries} entries in {n_segments} segments")?;
        if let (Some(first), Some(last)) = (summary.first_ts, summary.last_ts) {
            writeln!(out, "written  {first} to {last}")?;
        }
        writeln!(out, "ends in  {}", summary.last_hash)?;
        if *n_unfinished_bytes > 0 {
            writeln!(out, "note     {n_unfinished_bytes} bytes of a write under way at the end")?;
        }
    }
    if document.key_from_log == Some(true) {
        let note = "the key was taken from the log's own directory; give --key to check against one you trust";
        writeln!(out, "note     {note}")?;
    }
    Ok(())
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
    if !args.dir.join(ORIGIN_FILE).is_file() {
        // Otherwise a wrong directory would look like a log in which nothing has happened.
        shown.error =
            Some(format!("`{}` holds no log: it has no file `{ORIGIN_FILE}`", args.dir.display()));
        return finish_show(&shown, args, FAILED, out);
    }
    let walk: Box<dyn Iterator<Item = Result<Entry, VerifyError>>> = match entries(&args.dir) {
        Ok(entries) => Box::new(entries),
        Err(error) => Box::new(std::iter::once(Err(error))),
    };
    for item in walk {
        match item {
            Ok(entry) if !is_wanted(&entry, args) => {}
            // Held only for the one document; as text, each is printed as it is read.
            Ok(entry) if args.json => shown.entries.push(entry),
            Ok(entry) => print_entry(&entry, out)?,
            Err(VerifyError::Fault(fault)) => {
                code = NOT_VERIFIED;
                shown.fault = Some(FoundFault::new(fault));
            }
            Err(error @ VerifyError::Io { .. }) => {
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
