//! `log verify`, `show`, `prove`, `reconcile` and more, for both programs: the work of information governance.
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
    shard,
    storage::{KEY_FILE, ORIGIN_FILE},
    verify::{
        Summary, VerifyError, entries, read_verified, verify_every_signature,
        witnessed::{self, Witnessed},
    },
};
use crate::{
    id::EnquiryRef,
    keys::VerifyingKey,
    time::Timestamp,
    tlog::{Policy, policy::NotAccepted},
};

mod export;
mod prove;
mod reconcile;

pub use self::{
    export::ExportArgs,
    prove::{CheckProofArgs, ProveArgs, TilesArgs},
    reconcile::ReconcileArgs,
};

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

/// What `log verify` is told.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The log's directory: the one with the `.seg` files
    pub dir: PathBuf,
    /// Whom to believe: a C2SP tlog-policy file with the log's key, its witnesses, and how many of them must have cosigned
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "key_file"])]
    pub policy: Option<PathBuf>,
    /// Hold the log also against what this witness remembers: the folder `witness` in another party's data, copied before the
    /// log was
    #[arg(long, value_name = "DIR")]
    pub witness: Vec<PathBuf>,
    /// Ask that the policy's witnesses have seen the last entry too
    #[arg(long, requires = "policy")]
    pub complete: bool,
    /// The public key that must have signed it, in base64; without policy and key, the one beside the log is
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
    /// What checkpoints say of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    witnessed: Option<Witnessed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<FoundFault>,
    /// The entries are in order; what the log has signed, or who has seen it, is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    contradiction: Option<FoundContradiction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct FoundContradiction {
    /// `rolled_back`, `fork`, `quorum_missing`, …
    code: &'static str,
    /// The first entry that is in doubt, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    text: String,
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
        witnessed: None,
        fault: None,
        contradiction: None,
        error: None,
    };
    let policy = args.policy.as_deref().map(prove::read_policy).transpose();
    let known = policy.and_then(|policy| {
        let key = args.key.map(Key::Given).or(args.key_file.as_deref().map(Key::File));
        let terms = terms(&args.dir, key, args.origin.as_ref(), policy.as_ref())?;
        Ok((policy, terms))
    });
    let code = match known {
        Err(error) => {
            document.error = Some(format!("{error:#}"));
            FAILED
        }
        Ok((policy, (key, key_from_log, origin))) => {
            document.key = Some(key.to_string());
            document.key_from_log = Some(key_from_log);
            document.origin = Some(origin.to_string());
            let checked = check(args, &key, &origin, policy.as_ref());
            match checked {
                Ok((summary, witnessed)) => {
                    document.status = "ok";
                    document.summary = Some(summary);
                    document.witnessed = Some(witnessed);
                    DONE
                }
                Err(error @ (VerifyError::Contradicted { .. } | VerifyError::NotAccepted(_))) => {
                    document.status = "contradicted";
                    document.contradiction = Some(FoundContradiction::new(error));
                    NOT_VERIFIED
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

/// Every entry, and everything that was signed of them.
fn check(
    args: &VerifyArgs,
    key: &VerifyingKey,
    origin: &Origin,
    policy: Option<&Policy>,
) -> Result<(Summary, Witnessed), VerifyError> {
    if args.every_signature {
        verify_every_signature(&args.dir, key, origin)?;
    }
    let (summary, tree) = read_verified(&args.dir, key, origin, &mut |_, _| Ok(()))?;
    let log = origin.key(*key);
    let witnessed = witnessed::check(&args.dir, &log, &tree, policy, &args.witness)?;
    if args.complete && witnessed.n_unseen > 0 {
        return Err(VerifyError::NotAccepted(None));
    }
    Ok((summary, witnessed))
}

impl FoundContradiction {
    fn new(error: VerifyError) -> Self {
        let (code, seq) = match &error {
            VerifyError::Contradicted { contradiction, .. } => {
                (contradiction.code(), contradiction.seq())
            }
            VerifyError::NotAccepted(Some(NotAccepted::UnknownLog)) => ("log_not_in_policy", None),
            VerifyError::NotAccepted(_) => ("quorum_missing", None),
            VerifyError::Fault(fault) => (fault.what.code(), Some(fault.seq)),
            VerifyError::Io { .. } => ("unreadable", None),
        };
        Self { code, seq, text: format!("{:#}", anyhow::Error::new(error)) }
    }
}

/// The log's key, when neither the policy nor the log itself says it.
enum Key<'a> {
    Given(VerifyingKey),
    File(&'a Path),
}

/// The key, whether it came from the log itself, and the origin.
fn terms(
    dir: &Path,
    key: Option<Key<'_>>,
    origin: Option<&Origin>,
    policy: Option<&Policy>,
) -> anyhow::Result<(VerifyingKey, bool, Origin)> {
    let beside = |file| read_text(&dir.join(file));
    let origin = match origin {
        Some(origin) => origin.clone(),
        None => beside(ORIGIN_FILE)?.parse()?,
    };
    let (key, key_from_log) = match (policy, key) {
        (Some(policy), _) => {
            let log = policy.log(origin.as_str());
            (*log.ok_or_else(|| anyhow::anyhow!("the policy has no log `{origin}`"))?.key(), false)
        }
        (None, Some(Key::Given(key))) => (key, false),
        (None, Some(Key::File(path))) => (read_text(path)?.parse()?, false),
        (None, None) => (beside(KEY_FILE)?.parse()?, true),
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
    if let Some(FoundContradiction { seq, text, .. }) = &document.contradiction {
        let from = seq.map_or_else(String::new, |seq| format!(" from entry {seq} on"));
        writeln!(out, "NOT WHAT IT WAS{from}: {text}")?;
        return writeln!(
            out,
            "The entries that are here are in order. Keep the files as they are."
        );
    }
    if let Some(summary) = &document.summary {
        let Summary { n_entries, n_segments, n_unfinished_bytes, .. } = summary;
        writeln!(out, "in order {n_entries} entries in {n_segments} segments")?;
        if let (Some(first), Some(last)) = (summary.first_ts, summary.last_ts) {
            writeln!(out, "written  {first} to {last}")?;
        }
        writeln!(out, "ends in  {}", summary.last_hash)?;
        writeln!(out, "root     {}", summary.root)?;
        if *n_unfinished_bytes > 0 {
            writeln!(out, "note     {n_unfinished_bytes} bytes of a write under way at the end")?;
        }
    }
    if let Some(Witnessed { n_checkpoints, accepted, n_unseen }) = &document.witnessed {
        writeln!(out, "signed   {n_checkpoints} checkpoint(s) agree with it")?;
        if let Some(accepted) = accepted {
            let at = accepted.at.map_or_else(String::new, |at| format!(", last at {at}"));
            let by =
                if accepted.by.is_empty() { "nobody".to_owned() } else { accepted.by.join(", ") };
            writeln!(out, "seen     {} entries, by {by}{at}; {n_unseen} not yet", accepted.size)?;
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
