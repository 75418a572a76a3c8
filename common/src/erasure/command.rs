//! `hold` and `erase`, for both programs: calls to the running program with the person's own certificate.

use std::{io::Write, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use tonic::{Code, Status, transport::Endpoint};

use crate::{
    id::EnquiryRef,
    profile,
    status::code_of,
    time::SystemClock,
    tls::{ClientTls, connect},
    wire::records::Client,
};

/// Done.
pub const DONE: u8 = 0;
/// Refused by a rule.
pub const REFUSED: u8 = 3;

/// Legal holds: an enquiry that is held is not erased.
#[derive(Debug, Subcommand)]
pub enum HoldCommand {
    /// Hold an enquiry; needs the role governance
    ///
    /// Example, after the program's name: hold set ENQUIRY --reason "Subject of a court case." --profile me.toml
    #[command(verbatim_doc_comment)]
    Set {
        /// Reference of the enquiry
        enquiry: EnquiryRef,
        /// Why: 1 to 600 characters; it stays here and goes with the enquiry
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Which program
        #[command(flatten)]
        to: To,
    },
    /// Lift the hold of an enquiry; what is due by then is erased at once
    ///
    /// Example, after the program's name: hold lift ENQUIRY --profile me.toml
    #[command(verbatim_doc_comment)]
    Lift {
        /// Reference of the enquiry
        enquiry: EnquiryRef,
        /// Which program
        #[command(flatten)]
        to: To,
    },
    /// List the holds. Looking is recorded
    ///
    /// Example, after the program's name: hold list --profile me.toml
    #[command(verbatim_doc_comment)]
    List {
        /// Which program
        #[command(flatten)]
        to: To,
    },
}

/// What `erase` is told.
#[derive(Debug, Args)]
pub struct EraseArgs {
    /// Reference of the enquiry
    pub enquiry: EnquiryRef,
    /// Ask for it, and why: 1 to 600 characters; it stays here and goes with the enquiry
    #[arg(long, value_name = "TEXT", required_unless_present = "confirm")]
    pub reason: Option<String>,
    /// Confirm what somebody else has asked: it is erased, for good
    #[arg(long, conflicts_with = "reason")]
    pub confirm: bool,
    /// Which program
    #[command(flatten)]
    pub to: To,
}

/// What `erasure` can do.
#[derive(Debug, Subcommand)]
pub enum ErasureCommand {
    /// Print what was erased, when and by whom, and check that no key of it exists; exit 4 when one does
    ///
    /// Example, after the program's name: erasure report --config /etc/brag/program.toml
    #[command(verbatim_doc_comment)]
    Report {
        /// The program's configuration: it says where the log and the keys are
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

/// Which program, as whom, and in which form the answer is wanted.
#[derive(Debug, Args)]
pub struct To {
    /// Profile: the program's address and name, and your certificate
    #[arg(long, value_name = "FILE", env = "BRAG_PROFILE")]
    profile: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Runs a command about holds; gives the exit code. What is refused is said on `err`.
///
/// # Errors
/// When the profile is wrong, the program can not be reached, or output can not be written.
pub async fn hold(
    command: &HoldCommand,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    let outcome = match command {
        HoldCommand::Set { enquiry, reason, to } => {
            let done = client(to)?.hold(enquiry, reason).await;
            done.map(|()| (to, serde_json::json!({ "held": enquiry }), "Held.".to_owned()))
        }
        HoldCommand::Lift { enquiry, to } => {
            let done = client(to)?.lift(enquiry).await;
            done.map(|()| (to, serde_json::json!({ "lifted": enquiry }), "Lifted.".to_owned()))
        }
        HoldCommand::List { to } => client(to)?.holds().await.map(|holds| {
            let lines = holds.iter().map(|(enquiry, hold)| {
                format!("{enquiry}  {}  {}  {}", hold.at, hold.by, hold.reason)
            });
            let lines: Vec<_> = lines.collect();
            let text = if lines.is_empty() { "No holds.".to_owned() } else { lines.join("\n") };
            let holds = holds
                .iter()
                .map(|(enquiry, hold)| serde_json::json!({ "enquiry": enquiry, "hold": hold }));
            (to, serde_json::json!({ "holds": holds.collect::<Vec<_>>() }), text)
        }),
    };
    end(outcome, out, err)
}

/// Asks for an erasure or confirms one; gives the exit code. What is refused is said on `err`.
///
/// # Errors
/// As [`hold`].
pub async fn erase(
    args: &EraseArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    let EraseArgs { enquiry, reason, to, .. } = args;
    let client = client(to)?;
    let outcome = match reason {
        Some(reason) => client.ask(enquiry, reason).await.map(|()| {
            let text =
                "Asked and recorded. Another person confirms it within 30 days, with --confirm.";
            (to, serde_json::json!({ "asked": enquiry }), text.to_owned())
        }),
        None => client.confirm(enquiry).await.map(|count| {
            let text = format!("Erased: {count} values, and the key. This can not be undone.");
            (to, serde_json::json!({ "erased": enquiry, "count": count }), text)
        }),
    };
    end(outcome, out, err)
}

fn end(
    outcome: Result<(&To, serde_json::Value, String), Status>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    match outcome {
        Ok((to, document, _)) if to.json => writeln!(out, "{document:#}")?,
        Ok((_, _, text)) => writeln!(out, "{text}")?,
        Err(status) => return refused(&status, err),
    }
    Ok(DONE)
}

/// A refusal by rule has a stable code; anything else is a failure.
fn refused(status: &Status, err: &mut dyn Write) -> anyhow::Result<u8> {
    let rule = matches!(status.code(), Code::FailedPrecondition | Code::PermissionDenied);
    match code_of(status) {
        Some(code) if rule => {
            writeln!(err, "refused: {code}: {}", status.message())?;
            Ok(REFUSED)
        }
        Some(code) => Err(anyhow::anyhow!("the program answered {code}: {}", status.message())),
        None => Err(anyhow::Error::new(status.clone()).context("the program did not answer")),
    }
}

fn client(to: &To) -> anyhow::Result<Client> {
    let profile = profile::load(&to.profile)
        .with_context(|| format!("can not use the profile `{}`", to.profile.display()))?;
    let domain = profile.server.trust_domain().clone();
    let tls = ClientTls::load(profile.tls.files(), domain, Arc::new(SystemClock))?;
    let endpoint = Endpoint::from_shared(profile.endpoint.clone())
        .with_context(|| format!("`{}` is not an address", profile.endpoint))?;
    Ok(Client::new(connect(&endpoint, profile.server, tls)))
}
