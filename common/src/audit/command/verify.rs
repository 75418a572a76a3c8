//! `log verify`: a log's entries, and what it has signed and others have seen of it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use super::{DONE, FAILED, NOT_VERIFIED, progress, prove};
use crate::{
    audit::{
        Fault,
        chain::Origin,
        shard,
        storage::{KEY_FILE, ORIGIN_FILE},
        verify::{
            Summary, VerifyError, read_verified, verify_every_signature,
            witnessed::{self, Witnessed},
        },
    },
    keys::VerifyingKey,
    tlog::{Policy, TreeHead, policy::NotAccepted},
};

/// What `log verify` is told.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The log's directory: the one with the `.seg` files; or the one with the shards in it, to check all of them and that each
    /// continues the one before
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
    /// The same as policies write it (C2SP).
    #[serde(skip_serializing_if = "Option::is_none")]
    note_key: Option<String>,
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
    /// Where all shards were asked for: how this one follows the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    follows: Option<Follows>,
}

/// How a shard follows the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Follows {
    /// It is the oldest.
    Nothing,
    /// Its first entry names how many entries precede it, and the root over those of the shard before, as they are.
    Continues,
    /// A person began it; it does not say how the one before ended.
    BegunAnew,
    /// Its first entry names other entries than the shard before has.
    Contradicts,
    /// The shard before is not in order.
    Unknown,
}

/// The document of `log verify --json` for a log of several shards.
#[derive(Debug, Serialize)]
struct AllVerified<'a> {
    status: &'static str,
    shards: Vec<Verified<'a>>,
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

/// The first entry that is wrong.
#[derive(Debug, Serialize)]
pub(super) struct FoundFault {
    pub(super) seq: u64,
    /// How many entries, from the first, are in order for certain; those between them and `seq` only read well.
    n_vouched: u64,
    pub(super) segment: String,
    pub(super) offset: u64,
    code: &'static str,
    pub(super) text: String,
}

impl FoundFault {
    pub(super) fn new(fault: Fault) -> Self {
        let segment = format!("{:020}.seg", fault.segment);
        let (code, text) = (fault.what.code(), fault.what.to_string());
        let Fault { seq, n_vouched, offset, .. } = fault;
        Self { seq, n_vouched, segment, offset, code, text }
    }
}

/// Verifies one shard with a key that its reader has, not one from beside it, for those who look at a whole program.
///
/// # Errors
/// What is wrong with it, in words; or that it can not be read.
pub fn examine_shard(dir: &Path, key: VerifyingKey) -> Result<Summary, String> {
    let args = VerifyArgs {
        dir: dir.to_owned(),
        policy: None,
        witness: Vec::new(),
        complete: false,
        key: Some(key),
        key_file: None,
        origin: None,
        every_signature: false,
        json: false,
    };
    let (document, _) = verify_one(&args, dir);
    if let Some(summary) = document.summary.filter(|_| document.status == "ok") {
        return Ok(summary);
    }
    let fault = document.fault.map(|fault| format!("entry {}: {}", fault.seq, fault.text));
    let contradiction = document.contradiction.map(|found| found.text);
    let said = fault.or(contradiction).or(document.error);
    Err(said.unwrap_or_else(|| "it is not in order".to_owned()))
}

/// Runs `log verify`.
///
/// # Errors
/// When `out` can not be written.
pub(super) fn verify(args: &VerifyArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let shards = shard::within(&args.dir).unwrap_or_else(|_| vec![args.dir.clone()]);
    if let [one] = shards.as_slice() {
        let (document, code) = verify_one(args, one);
        if args.json {
            print_json(&document, out)?;
        } else {
            print_verified(&document, out)?;
        }
        return Ok(code);
    }
    let mut all = AllVerified { status: "ok", shards: Vec::new() };
    let mut worst = DONE;
    // Entries before the shard at hand, and the head of the one before.
    let mut before = None;
    for dir in &shards {
        let (mut document, mut code) = verify_one(args, dir);
        let follows = follows(dir, all.shards.last(), before);
        let base = match (follows, before) {
            (Follows::Continues, Some((base, head))) => base.saturating_add(head.size),
            _ => 0,
        };
        document.follows = Some(follows);
        if follows == Follows::Contradicts && code == DONE {
            (document.status, code) = ("contradicted", NOT_VERIFIED);
        }
        before = document
            .summary
            .as_ref()
            .map(|summary| (base, TreeHead { size: summary.n_entries, root: summary.root }));
        if code != DONE && worst == DONE {
            (all.status, worst) = (document.status, code);
        }
        all.shards.push(document);
    }
    if args.json {
        print_json(&all, out)?;
    } else {
        for (number, document) in all.shards.iter().enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            print_verified(document, out)?;
        }
    }
    Ok(worst)
}

fn print_json(document: &impl Serialize, out: &mut dyn Write) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    writeln!(out)?;
    Ok(())
}

fn follows(dir: &Path, last: Option<&Verified<'_>>, before: Option<(u64, TreeHead)>) -> Follows {
    let (Some(_), first) = (last, shard::first_of(dir)) else { return Follows::Nothing };
    match (first, before) {
        (Ok(Some(first)), Some((base, head))) => match shard::continues(&first, base, head) {
            Some(true) => Follows::Continues,
            Some(false) => Follows::Contradicts,
            None => Follows::BegunAnew,
        },
        _ => Follows::Unknown,
    }
}

/// Checks one shard.
fn verify_one<'a>(args: &VerifyArgs, dir: &'a Path) -> (Verified<'a>, u8) {
    let mut document = Verified {
        status: "unreadable",
        follows: None,
        dir,
        origin: None,
        key: None,
        note_key: None,
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
        let terms = terms(dir, key, args.origin.as_ref(), policy.as_ref())?;
        Ok((policy, terms))
    });
    let code = match known {
        Err(error) => {
            document.error = Some(format!("{error:#}"));
            FAILED
        }
        Ok((policy, (key, key_from_log, origin))) => {
            document.key = Some(key.to_string());
            document.note_key = Some(origin.key(key).to_string());
            document.key_from_log = Some(key_from_log);
            document.origin = Some(origin.to_string());
            let checked = check(args, dir, &key, &origin, policy.as_ref());
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
    (document, code)
}

/// Every entry, and everything that was signed of them.
fn check(
    args: &VerifyArgs,
    dir: &Path,
    key: &VerifyingKey,
    origin: &Origin,
    policy: Option<&Policy>,
) -> Result<(Summary, Witnessed), VerifyError> {
    if args.every_signature {
        verify_every_signature(dir, key, origin)?;
    }
    let bar = progress("checking");
    let read = read_verified(dir, key, origin, &mut |_, _| {
        bar.inc(1);
        Ok(())
    });
    bar.finish_and_clear();
    let (summary, tree) = read?;
    let log = origin.key(*key);
    let witnessed = witnessed::check(dir, &log, &tree, policy, &args.witness)?;
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
pub(super) enum Key<'a> {
    Given(VerifyingKey),
    File(&'a Path),
}

/// The key, whether it came from the log itself, and the origin.
pub(super) fn terms(
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

pub(super) fn read_text(path: &Path) -> anyhow::Result<String> {
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
    if let Some(key) = &document.note_key {
        writeln!(out, "key      {key}")?;
    }
    if let Some(fault) = &document.fault {
        let FoundFault { seq, n_vouched, segment, offset, text, .. } = fault;
        writeln!(out, "NOT IN ORDER: entry {seq} ({segment}, byte {offset}): {text}")?;
        if n_vouched < seq {
            let write = "belong to the same write: no signature vouches for them any more";
            writeln!(out, "Entries {n_vouched} to {} read well, and {write}.", seq - 1)?;
        }
        return writeln!(
            out,
            "Entries before {n_vouched} are in order. Keep the files as they are."
        );
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
    let note = match document.follows {
        None | Some(Follows::Nothing) => None,
        Some(Follows::Continues) => Some("its first entry names the shard before as it is"),
        Some(Follows::BegunAnew) => {
            Some("a person began this shard; it does not say how the one before ended")
        }
        Some(Follows::Contradicts) => {
            Some("NOT WHAT IT WAS: its first entry names other entries than the shard before has")
        }
        Some(Follows::Unknown) => {
            Some("the shard before is not in order, so whether this one continues it is not known")
        }
    };
    if let Some(note) = note {
        writeln!(out, "follows  {note}")?;
    }
    if document.key_from_log == Some(true) {
        let note = "the key was taken from the log's own directory; give --key to check against one you trust";
        writeln!(out, "note     {note}")?;
    }
    Ok(())
}
