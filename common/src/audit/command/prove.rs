//! `log prove`, `log check-proof` and `log tiles`: what leaves a log for somebody who checks it with tools of their own.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;

use super::{
    DONE, FAILED, NOT_VERIFIED,
    verify::{read_text, terms},
};
use crate::{
    audit::{
        Entry, checkpoints,
        entry::Digest,
        shard,
        verify::{VerifyError, read_verified},
    },
    id::RequestId,
    tlog::{
        CheckpointNote, Policy, Proof,
        proof::{MAX_PROOF_BYTES, ProofError},
        tiles::{Bundles, write_tiles},
    },
};

/// What `log prove` is told.
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// The log's directory: the one with the `.seg` files, or the one with the shards in it
    pub dir: PathBuf,
    /// The exchange whose entries are to be proven, or the number of one entry
    #[arg(value_name = "EXCHANGE|NUMBER")]
    pub what: String,
    /// Use a checkpoint that this policy accepts (C2SP tlog-policy); without, the largest there is
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// The folder for the receipts; made when it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
}

/// What `log check-proof` is told.
#[derive(Debug, Args)]
pub struct CheckProofArgs {
    /// The receipt: a `.tlog-proof` file
    pub proof: PathBuf,
    /// The entry: the exact bytes, as `log prove` wrote them beside it
    pub entry: PathBuf,
    /// Whom to believe: a C2SP tlog-policy file
    #[arg(long, value_name = "FILE")]
    pub policy: PathBuf,
}

/// What `log tiles` is told.
#[derive(Debug, Args)]
pub struct TilesArgs {
    /// The log's directory: the one with the `.seg` files
    pub dir: PathBuf,
    /// The folder to write; must not be there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// A policy from its file.
///
/// # Errors
/// When it can not be read or is none; the error says where.
pub(super) fn read_policy(path: &Path) -> anyhow::Result<Policy> {
    let text = read_text(path)?;
    text.parse().with_context(|| format!("`{}` is not a policy", path.display()))
}

/// The largest checkpoint beside a log that the policy, if any, accepts.
fn checkpoint(dir: &Path, policy: Option<&Policy>) -> anyhow::Result<CheckpointNote> {
    let kept = checkpoints::read(dir)
        .with_context(|| format!("can not read the checkpoints in `{}`", dir.display()))??;
    let notes = kept.into_iter().map(|(_, note)| note);
    let believed = notes.filter(|note| policy.is_none_or(|policy| policy.accept(note).is_ok()));
    believed.max_by_key(|note| note.checkpoint().head.size).context(
        "there is no checkpoint that can be used; one is made as soon as witnesses have cosigned the log",
    )
}

/// Says what went wrong, in the way of all commands here.
fn failed(error: &anyhow::Error, out: &mut dyn Write) -> anyhow::Result<u8> {
    writeln!(out, "not done: {error:#}")?;
    let is_wrong = error.chain().any(|cause| {
        matches!(
            cause.downcast_ref(),
            Some(VerifyError::Fault(_) | VerifyError::Contradicted { .. })
        ) || cause.is::<ProofError>()
    });
    Ok(if is_wrong { NOT_VERIFIED } else { FAILED })
}

/// Runs `log prove`.
///
/// # Errors
/// When `out` can not be written.
pub(super) fn prove(args: &ProveArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    match try_prove(args, out) {
        Ok(()) => Ok(DONE),
        Err(error) => failed(&error, out),
    }
}

fn try_prove(args: &ProveArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let policy = args.policy.as_deref().map(read_policy).transpose()?;
    let shards = shard::within(&args.dir)?;
    anyhow::ensure!(
        shards.len() == 1 || args.what.parse::<u64>().is_err(),
        "`{}` has several shards, each with entries of this number; name one of them",
        args.dir.display()
    );
    let mut n_proven = 0;
    for shard in &shards {
        n_proven += prove_in(shard, args, policy.as_ref(), out)?;
    }
    anyhow::ensure!(n_proven > 0, "the log has no entry of `{}`", args.what);
    Ok(())
}

/// How many entries of a shard receipts were written for.
fn prove_in(
    dir: &Path,
    args: &ProveArgs,
    policy: Option<&Policy>,
    out: &mut dyn Write,
) -> anyhow::Result<usize> {
    let (key, _, origin) = terms(dir, None, None, policy)?;
    let number: Option<u64> = args.what.parse().ok();
    let exchange: Option<RequestId> = match number {
        Some(_) => None,
        None => Some(args.what.parse().context("neither an exchange nor the number of an entry")?),
    };
    let mut wanted = Vec::new();
    let (_, tree) = read_verified(dir, &key, &origin, &mut |seq, json| {
        let is_wanted = number == Some(seq)
            || exchange.is_some()
                && Entry::decode(json).is_ok_and(|entry| entry.exchange == exchange);
        if is_wanted {
            wanted.push((seq, json.to_vec()));
        }
        Ok(())
    })?;
    if wanted.is_empty() {
        return Ok(0);
    }
    let n_proven = wanted.len();
    let checkpoint = checkpoint(dir, policy)?;
    let size = checkpoint.checkpoint().head.size;
    anyhow::ensure!(
        tree.head().size >= size && tree.head_at(size)? == checkpoint.checkpoint().head,
        "the checkpoint is not of these entries; run `log verify`"
    );
    fs::create_dir_all(&args.out)
        .with_context(|| format!("can not make `{}`", args.out.display()))?;
    for (seq, entry) in wanted {
        anyhow::ensure!(
            seq < size,
            "entry {seq} is not covered by a checkpoint yet; the largest that can be used is over {size} entries"
        );
        let hashes = tree.prove_inclusion(seq, size)?;
        let proof = Proof { index: seq, hashes, checkpoint: checkpoint.clone() };
        let name = format!("{}-{seq}", origin.as_str().replace('/', "-"));
        for (ending, bytes) in
            [("tlog-proof", proof.to_text()?.into_bytes()), ("entry.json", entry)]
        {
            let path = args.out.join(format!("{name}.{ending}"));
            write_new(&path, &bytes)?;
            writeln!(out, "{}", path.display())?;
        }
    }
    Ok(n_proven)
}

fn write_new(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let file = fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("can not write `{}`; nothing is overwritten", path.display()))
}

/// Runs `log check-proof`.
///
/// # Errors
/// When `out` can not be written.
pub(super) fn check_proof(args: &CheckProofArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let checked = || -> anyhow::Result<(Proof, Vec<String>, Digest)> {
        let policy = read_policy(&args.policy)?;
        let text = read_bounded(&args.proof, MAX_PROOF_BYTES)?;
        let entry = read_bounded(&args.entry, crate::audit::entry::MAX_ENTRY_BYTES)?;
        let proof = Proof::parse(&text)?;
        let seen = proof.check(&entry, &policy)?;
        let by = seen.iter().map(|one| format!("{} at {}", one.key.key_name(), one.at)).collect();
        Ok((proof, by, Digest::of(&entry)))
    };
    match checked() {
        Ok((proof, by, digest)) => {
            let checkpoint = proof.checkpoint.checkpoint();
            writeln!(out, "log      {}", checkpoint.origin)?;
            writeln!(
                out,
                "entry    {} of {}, SHA-256 {digest}",
                proof.index, checkpoint.head.size
            )?;
            for witness in by {
                writeln!(out, "seen by  {witness}")?;
            }
            Ok(DONE)
        }
        Err(error) => failed(&error, out),
    }
}

fn read_bounded(path: &Path, max: usize) -> anyhow::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file =
        fs::File::open(path).with_context(|| format!("can not read `{}`", path.display()))?;
    file.take(max as u64 + 1).read_to_end(&mut bytes)?;
    anyhow::ensure!(bytes.len() <= max, "`{}` is longer than {max} bytes", path.display());
    Ok(bytes)
}

/// Runs `log tiles`.
///
/// # Errors
/// When `out` can not be written.
pub(super) fn tiles(args: &TilesArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    match try_tiles(args) {
        Ok(size) => {
            writeln!(out, "{}: {size} entries, tiles and a checkpoint", args.out.display())?;
            Ok(DONE)
        }
        Err(error) => failed(&error, out),
    }
}

fn try_tiles(args: &TilesArgs) -> anyhow::Result<u64> {
    let (key, _, origin) = terms(&args.dir, None, None, None)?;
    let checkpoint = checkpoint(&args.dir, None)?;
    let size = checkpoint.checkpoint().head.size;
    fs::create_dir(&args.out).with_context(|| {
        format!("can not make `{}`; nothing is overwritten", args.out.display())
    })?;
    let mut bundles = Bundles::new(&args.out);
    let (_, tree) = read_verified(&args.dir, &key, &origin, &mut |seq, json| {
        if seq < size { bundles.push(json) } else { Ok(()) }
    })?;
    bundles.finish()?;
    anyhow::ensure!(
        tree.head().size >= size && tree.head_at(size)? == checkpoint.checkpoint().head,
        "the checkpoint is not of these entries; run `log verify`"
    );
    write_tiles(&args.out, &tree, size)?;
    write_new(&args.out.join("checkpoint"), &checkpoint.to_bytes()?)?;
    Ok(size)
}
