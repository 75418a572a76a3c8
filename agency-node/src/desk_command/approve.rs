//! `agency-node approve`: of what is held, or of a redacted text in its place.

use std::{
    io::{Read as _, Write},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use brag_common::{release::MAX_REDACTED_BYTES, tls::with_deadline, wire::pb};
use clap::Args;
use serde_json::json;

use super::{CALL_WITHIN, Desk, Failure, PlainArgs};
use crate::cli::print_json;

/// An approval.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The work, as the worklist shows it
    work: String,
    /// Let this text go in the place of what is held: a file, or `-` for standard input; at most 8 KiB
    #[arg(long, value_name = "FILE", requires = "reason", conflicts_with = "as_redacted")]
    redacted: Option<PathBuf>,
    /// Why you redact; kept at your agency, never sent
    #[arg(long, value_name = "TEXT", requires = "redacted")]
    reason: Option<String>,
    /// Approve the redacted text that the worklist shows under this name, as it stands
    #[arg(long, value_name = "NAME")]
    as_redacted: Option<String>,
    #[command(flatten)]
    pub(super) plain: PlainArgs,
}

pub(super) async fn run(
    desk: &mut Desk,
    args: ApproveArgs,
    json: bool,
    stdout: &mut dyn Write,
) -> Result<(), Failure> {
    let redacted = args.redacted.is_some() || args.as_redacted.is_some();
    let redacted_text = match args.redacted {
        Some(path) => tokio::task::spawn_blocking(move || read(&path))
            .await
            .context("reading the redacted text")??,
        None => String::new(),
    };
    let request = pb::ApproveRequest {
        work: args.work,
        redacted_text,
        reason: args.reason.unwrap_or_default(),
        redaction: args.as_redacted.unwrap_or_default(),
    };
    let done = desk.approve(with_deadline(request, CALL_WITHIN)).await?.into_inner();
    if json {
        let document = json!({
            "approvals_needed": done.approvals_needed,
            "approvals_dropped": done.approvals_dropped,
            "redacted": redacted,
        });
        print_json(stdout, &document)?;
        return Ok(());
    }
    let what = if redacted { "Approved, redacted." } else { "Approved." };
    match done.approvals_needed {
        0 => writeln!(stdout, "{what} It was decided again on what is known now.")?,
        left => writeln!(stdout, "{what} Approvals of other people still needed: {left}.")?,
    }
    if done.approvals_dropped > 0 {
        writeln!(stdout, "An earlier approval was of another text, and no longer counts.")?;
    }
    Ok(())
}

/// The text, or one that is too long for the node to accept.
fn read(path: &Path) -> anyhow::Result<String> {
    let most = u64::try_from(MAX_REDACTED_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_string(&mut text).context("standard input")?;
    } else {
        let file = std::fs::File::open(path);
        let file = file.with_context(|| format!("can not open `{}`", path.display()))?;
        let read = file.take(most).read_to_string(&mut text);
        read.with_context(|| format!("can not read `{}`", path.display()))?;
    }
    // An empty text in a request stands for none.
    anyhow::ensure!(
        !text.trim().is_empty(),
        "the redacted text is empty; to let nothing go, refuse"
    );
    Ok(text)
}
