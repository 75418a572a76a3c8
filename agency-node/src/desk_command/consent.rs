//! `agency-node consent`: what a person said about sharing.

use std::io::Write;

use brag_common::{
    time::Timestamp,
    tls::with_deadline,
    wire::pb::{self, ConsentAnswer},
};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{CALL_WITHIN, Desk, Failure, PlainArgs, show};
use crate::cli::print_json;

/// What a person said about sharing, and what they say now.
#[derive(Debug, Subcommand)]
pub enum ConsentCommand {
    /// Record that a person agreed: to these categories, for these recipients
    ///
    /// Your agency must have a record of the person. Asked by you, unless told otherwise. Why somebody was not asked stays
    /// at your agency.
    ///
    /// Examples:
    ///   agency-node consent record ENQUIRY PERSON --category C50 --to CSC,EHT --expires 2027-05-11T00:00:00Z
    ///   agency-node consent record ENQUIRY PERSON --category C30 --to EDU --not-asked-because "Aged 4; his mother agreed."
    #[command(verbatim_doc_comment)]
    Record(RecordArgs),
    /// Record that a person was asked and refused; without categories and recipients, everything
    ///
    /// A refusal takes back what the person had agreed to before, as far as it names it.
    ///
    /// Example: agency-node consent refuse ENQUIRY PERSON --category C30 --to EDU
    #[command(verbatim_doc_comment)]
    Refuse(RefuseArgs),
    /// Record that a person has taken back everything they agreed to in this enquiry
    ///
    /// Views that rest on it are closed at their recipients, who are told. The reason stays at your agency.
    ///
    /// Example: agency-node consent withdraw ENQUIRY PERSON
    #[command(verbatim_doc_comment)]
    Withdraw(WithdrawArgs),
    /// Show what your node knows of a person's agreement, or of everybody's in an enquiry
    ///
    /// Example: agency-node consent show ENQUIRY PERSON
    #[command(verbatim_doc_comment)]
    Show(ShowArgs),
}

/// What an answer is about.
#[derive(Debug, Args)]
pub struct RecordArgs {
    #[command(flatten)]
    about: AboutArgs,
    /// A category that they agree to; several with commas, or given several times
    #[arg(long = "category", value_name = "CODE", required = true, value_delimiter = ',')]
    categories: Vec<String>,
    /// An agency that may receive it; several with commas, or given several times
    #[arg(long = "to", value_name = "AGENCY", required = true, value_delimiter = ',')]
    recipients: Vec<String>,
    /// When it ends (RFC 3339); without it, it has no end of its own
    #[arg(long, value_name = "TIME")]
    expires: Option<Timestamp>,
    #[command(flatten)]
    asked: AskedArgs,
    #[command(flatten)]
    plain: PlainArgs,
}

/// What a refusal is about.
#[derive(Debug, Args)]
pub struct RefuseArgs {
    #[command(flatten)]
    about: AboutArgs,
    /// A category that they were asked about; without any, all
    #[arg(long = "category", value_name = "CODE", value_delimiter = ',')]
    categories: Vec<String>,
    /// An agency that they were asked about; without any, all
    #[arg(long = "to", value_name = "AGENCY", value_delimiter = ',')]
    recipients: Vec<String>,
    #[command(flatten)]
    asked: AskedArgs,
    #[command(flatten)]
    plain: PlainArgs,
}

/// Who takes back what they agreed to.
#[derive(Debug, Args)]
pub struct WithdrawArgs {
    #[command(flatten)]
    about: AboutArgs,
    /// What they said; kept at your agency, never sent
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    plain: PlainArgs,
}

/// Whose agreement to show.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The enquiry
    enquiry: String,
    /// The person; without one, everybody
    person: Option<String>,
    #[command(flatten)]
    plain: PlainArgs,
}

/// A person of an enquiry.
#[derive(Debug, Args)]
struct AboutArgs {
    /// The enquiry, as the worklist shows it
    enquiry: String,
    /// The person, as the worklist shows them
    person: String,
}

/// Who asked.
#[derive(Debug, Args)]
struct AskedArgs {
    /// The member of staff who asked them; without it, you
    #[arg(long, value_name = "NAME", conflicts_with = "not_asked_because")]
    asked_by: Option<String>,
    /// Why they were not asked themselves; kept at your agency, never sent
    #[arg(long, value_name = "TEXT")]
    not_asked_because: Option<String>,
}

impl ConsentCommand {
    pub(super) const fn plain(&self) -> &PlainArgs {
        match self {
            Self::Record(args) => &args.plain,
            Self::Refuse(args) => &args.plain,
            Self::Withdraw(args) => &args.plain,
            Self::Show(args) => &args.plain,
        }
    }
}

pub(super) async fn run(
    desk: &mut Desk,
    command: ConsentCommand,
    json: bool,
    stdout: &mut dyn Write,
) -> Result<(), Failure> {
    let (id, what) = match command {
        ConsentCommand::Record(args) => {
            let expires = args.expires.map_or(0, Timestamp::as_millisecond);
            let named = (args.categories, args.recipients, expires);
            let request = request(args.about, ConsentAnswer::Agreed, named, args.asked);
            (record(desk, request).await?, "Their agreement is signed and recorded")
        }
        ConsentCommand::Refuse(args) => {
            let named = (args.categories, args.recipients, 0);
            let request = request(args.about, ConsentAnswer::Refused, named, args.asked);
            (record(desk, request).await?, "Their refusal is signed and recorded")
        }
        ConsentCommand::Withdraw(args) => {
            let request = pb::WithdrawConsentRequest {
                enquiry: args.about.enquiry,
                person: args.about.person,
                reason: args.reason.unwrap_or_default(),
            };
            let answer = desk.withdraw_consent(with_deadline(request, CALL_WITHIN)).await?;
            let what = "Their withdrawal is signed and recorded";
            (answer.into_inner().statement_id, what)
        }
        ConsentCommand::Show(args) => {
            let request = pb::ShowConsentRequest {
                enquiry: args.enquiry,
                person: args.person.unwrap_or_default(),
            };
            let answer = desk.show_consent(with_deadline(request, CALL_WITHIN)).await?.into_inner();
            return Ok(shown(stdout, &answer.consents, json)?);
        }
    };
    show::signed(stdout, what, &id, json)?;
    Ok(())
}

async fn record(desk: &mut Desk, request: pb::RecordConsentRequest) -> Result<String, Failure> {
    let answer = desk.record_consent(with_deadline(request, CALL_WITHIN)).await?;
    Ok(answer.into_inner().statement_id)
}

fn request(
    about: AboutArgs,
    answer: ConsentAnswer,
    (categories, recipients, expires_at_unix_ms): (Vec<String>, Vec<String>, i64),
    asked: AskedArgs,
) -> pb::RecordConsentRequest {
    pb::RecordConsentRequest {
        enquiry: about.enquiry,
        person: about.person,
        answer: answer.into(),
        categories,
        recipients,
        expires_at_unix_ms,
        asked_by: asked.asked_by.unwrap_or_default(),
        not_asked_because: asked.not_asked_because.unwrap_or_default(),
    }
}

fn shown(out: &mut dyn Write, consents: &[pb::KnownConsent], json: bool) -> anyhow::Result<()> {
    if json {
        let all: Vec<_> = consents
            .iter()
            .map(|known| {
                json!({
                    "statement_id": known.statement_id,
                    "person": known.person,
                    "recorded_by": known.agency,
                    "recorded_by_person": known.recorded_by,
                    "recorded_at": show::time(known.recorded_at_unix_ms),
                    "state": known.state,
                    "stands": known.stands,
                    "categories": known.categories,
                    "recipients": known.recipients,
                    "expires_at": show::time(known.expires_at_unix_ms),
                    "asked_by": known.asked_by,
                    "not_asked_because": known.not_asked_because,
                    "reason": known.reason,
                })
            })
            .collect();
        return print_json(out, &json!({ "consents": all }));
    }
    if consents.is_empty() {
        writeln!(out, "This node knows of nothing that the person said about sharing.")?;
        return Ok(());
    }
    let or_all = |names: &[String]| match names {
        [] => "(all)".to_owned(),
        names => names.join(" "),
    };
    let rows: Vec<Vec<String>> = consents
        .iter()
        .map(|known| {
            let asked = match (known.asked_by.as_str(), known.not_asked_because.as_str()) {
                ("", "") => String::new(),
                ("", why) => format!("not asked: {why}"),
                (name, _) => name.to_owned(),
            };
            vec![
                known.person.clone(),
                known.stands.clone(),
                or_all(&known.categories),
                or_all(&known.recipients),
                show::time(known.expires_at_unix_ms),
                format!("{} {}", known.agency, known.recorded_by),
                show::time(known.recorded_at_unix_ms),
                asked,
            ]
        })
        .collect();
    let head = ["PERSON", "STANDS", "CATEGORIES", "TO", "ENDS", "RECORDED BY", "AT", "ASKED BY"];
    show::table(out, &head, &rows)?;
    Ok(())
}
