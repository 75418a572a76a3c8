//! `hub report subject-access`: calls to a running hub with the person's own certificate.

use std::{collections::BTreeMap, io::Write, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use brag_common::{
    audit::entry::Digest,
    id::AgencyId,
    profile,
    status::code_of,
    time::{SystemClock, Timestamp},
    tls::{Channel, ClientTls, connect, with_deadline},
    wire::pb::{self, DocumentForm, subject_access_service_client::SubjectAccessServiceClient},
};
use clap::{Args, Subcommand, ValueEnum};
use tonic::{Code, Response, Status, transport::Endpoint};

use crate::{
    agreement_command::Exit, enquiry_file, report::command::write_bytes, service::MAX_VIEW_BYTES,
};

/// For one call. The hub itself gives up on a request after 30 s.
const CALL_WITHIN: Duration = Duration::from_secs(40);

/// The steps of an answer.
#[derive(Debug, Subcommand)]
pub enum SubjectAccessCommand {
    /// Begin an answer: prints a draft, with the request's number and the draft's digest
    ///
    /// Example: hub report subject-access ask person.toml --profile me.toml --format html --out draft.html
    #[command(verbatim_doc_comment)]
    Ask {
        /// The person, and which hub
        #[command(flatten)]
        about: About,
        /// Include the analyses of these agencies although the program proposes to leave them out; separated by commas
        #[arg(long, value_name = "AGENCIES", value_delimiter = ',')]
        analyses_of: Vec<AgencyId>,
        /// In which form, and where to
        #[command(flatten)]
        form: Form,
    },
    /// Show the draft as it stands now, to review it
    ///
    /// Example: hub report subject-access show 412 person.toml --profile colleague.toml
    #[command(verbatim_doc_comment)]
    Show {
        /// Number of the request
        request: u64,
        /// The person, and which hub
        #[command(flatten)]
        about: About,
        /// In which form, and where to
        #[command(flatten)]
        form: Form,
    },
    /// Approve exactly the draft that you have read; never whoever asked
    ///
    /// Example: hub report subject-access approve 412 person.toml --draft 5e88… --profile colleague.toml
    #[command(verbatim_doc_comment)]
    Approve {
        /// Number of the request
        request: u64,
        /// The person, and which hub
        #[command(flatten)]
        about: About,
        /// The draft's digest, as it is printed with it
        #[arg(long, value_name = "DIGEST")]
        draft: Digest,
    },
    /// Write the document, once it is approved as it stands
    ///
    /// Example: hub report subject-access issue 412 person.toml --format html --out answer.html --profile me.toml
    #[command(verbatim_doc_comment)]
    Issue {
        /// Number of the request
        request: u64,
        /// The person, and which hub
        #[command(flatten)]
        about: About,
        /// In which form, and where to
        #[command(flatten)]
        form: Form,
    },
    /// List requests: who asked when, who approved, when it was issued
    ///
    /// Example: hub report subject-access list --profile me.toml
    #[command(verbatim_doc_comment)]
    List {
        /// Which hub
        #[command(flatten)]
        to: To,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

/// The person, and which hub.
#[derive(Debug, Args)]
pub struct About {
    /// The person: the keys of one `[[person]]` of an enquiry file, at the top level; TOML, or JSON when the name ends in .json
    file: PathBuf,
    #[command(flatten)]
    to: To,
}

/// Which hub, as whom.
#[derive(Debug, Args)]
pub struct To {
    /// Profile: the hub's address and name, and your certificate
    #[arg(long, value_name = "FILE", env = "BRAG_PROFILE")]
    profile: PathBuf,
}

/// In which form, and where to. A spreadsheet is no form for one person's data.
#[derive(Debug, Args)]
pub struct Form {
    /// The form of the document
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Where to write it; standard output by default
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The form of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Plain text
    Text,
    /// One page that needs nothing else, to read and to print
    Html,
    /// One JSON document
    Json,
}

impl Form {
    fn wire(&self) -> i32 {
        match self.format {
            Format::Text => DocumentForm::Text,
            Format::Html => DocumentForm::Html,
            Format::Json => DocumentForm::Json,
        }
        .into()
    }
}

/// Runs a command to its end. What the hub refuses is said on standard error.
///
/// # Errors
/// When a file is wrong, the hub can not be reached, or output can not be written.
pub fn run(command: &SubjectAccessCommand, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match runtime.block_on(execute(command, stdout))? {
        Ok(()) => Ok(Exit::Done),
        Err(status) => refused(&status),
    }
}

/// A refusal by rule has a stable code; anything else is a failure.
fn refused(status: &Status) -> anyhow::Result<Exit> {
    let rule = matches!(status.code(), Code::FailedPrecondition | Code::PermissionDenied);
    match code_of(status) {
        Some(code) if rule => {
            writeln!(std::io::stderr(), "refused: {code}: {}", status.message())?;
            Ok(Exit::Refused)
        }
        Some(code) => Err(anyhow::anyhow!("the hub answered {code}: {}", status.message())),
        None => Err(anyhow::Error::new(status.clone()).context("the hub did not answer")),
    }
}

async fn execute(
    command: &SubjectAccessCommand,
    stdout: &mut dyn Write,
) -> anyhow::Result<Result<(), Status>> {
    let done = match command {
        SubjectAccessCommand::Ask { about, analyses_of, form } => {
            let request = pb::AskSubjectAccessRequest {
                identity: enquiry_file::load_person(&about.file)?,
                analyses_of: analyses_of.iter().map(ToString::to_string).collect(),
                form: form.wire(),
            };
            let asked = hub(&about.to)?.ask_subject_access(within(request)).await;
            asked.map(|answer| answer.into_inner().draft.unwrap_or_default().document)
        }
        SubjectAccessCommand::Show { request, about, form } => {
            let request = pb::ShowSubjectAccessRequest {
                request: *request,
                identity: enquiry_file::load_person(&about.file)?,
                form: form.wire(),
            };
            let shown = hub(&about.to)?.show_subject_access(within(request)).await;
            shown.map(|answer| answer.into_inner().draft.unwrap_or_default().document)
        }
        SubjectAccessCommand::Approve { request, about, draft } => {
            let request = pb::ApproveSubjectAccessRequest {
                request: *request,
                identity: enquiry_file::load_person(&about.file)?,
                draft_digest: draft.as_bytes().to_vec(),
            };
            let approved = hub(&about.to)?.approve_subject_access(within(request)).await;
            approved.map(Response::into_inner).map(|answer| {
                let (given, needed) = (answer.approvals, answer.approvals_needed);
                format!("Approved and recorded: {given} of {needed}.\n").into_bytes()
            })
        }
        SubjectAccessCommand::Issue { request, about, form } => {
            let request = pb::IssueSubjectAccessRequest {
                request: *request,
                identity: enquiry_file::load_person(&about.file)?,
                form: form.wire(),
            };
            let issued = hub(&about.to)?.issue_subject_access(within(request)).await;
            issued.map(|answer| answer.into_inner().document)
        }
        SubjectAccessCommand::List { to, json } => {
            let request = within(pb::ListSubjectAccessRequest {});
            let listed = hub(to)?.list_subject_access(request).await;
            listed.map(|answer| list(&answer.into_inner().requests, *json).into_bytes())
        }
    };
    match done {
        Ok(bytes) => write_bytes(&bytes, out_of(command), stdout).map(Ok),
        Err(status) => Ok(Err(status)),
    }
}

fn out_of(command: &SubjectAccessCommand) -> Option<&std::path::Path> {
    match command {
        SubjectAccessCommand::Ask { form, .. }
        | SubjectAccessCommand::Show { form, .. }
        | SubjectAccessCommand::Issue { form, .. } => form.out.as_deref(),
        SubjectAccessCommand::Approve { .. } | SubjectAccessCommand::List { .. } => None,
    }
}

fn list(requests: &[pb::SubjectAccessView], as_json: bool) -> String {
    let time = |ms: i64| match Timestamp::from_millisecond(ms) {
        Ok(at) if ms != 0 => Some(format!("{at:.0}")),
        Ok(_) | Err(_) => None,
    };
    if as_json {
        let each = requests.iter().map(|one| {
            serde_json::json!({
                "request": one.request,
                "asked_by": one.asked_by,
                "asked_at": time(one.asked_at_unix_ms),
                "approved_by": one.approved_by,
                "issued_at": time(one.issued_at_unix_ms),
            })
        });
        let document = BTreeMap::from([("requests", each.collect::<Vec<_>>())]);
        return format!("{:#}\n", serde_json::json!(document));
    }
    if requests.is_empty() {
        return "No requests.\n".to_owned();
    }
    let line = |one: &pb::SubjectAccessView| {
        let asked = time(one.asked_at_unix_ms).unwrap_or_default();
        let issued = time(one.issued_at_unix_ms).unwrap_or_else(|| "not issued".to_owned());
        let approved = match one.approved_by.as_slice() {
            [] => "nobody".to_owned(),
            some => some.join(", "),
        };
        let (request, by) = (one.request, &one.asked_by);
        format!("{request}  asked {asked} by {by}, approved by {approved}, {issued}\n")
    };
    requests.iter().map(line).collect()
}

fn hub(to: &To) -> anyhow::Result<SubjectAccessServiceClient<Channel>> {
    let profile = profile::load(&to.profile)
        .with_context(|| format!("can not use the profile `{}`", to.profile.display()))?;
    let domain = profile.server.trust_domain().clone();
    let tls = ClientTls::load(profile.tls.files(), domain, Arc::new(SystemClock))?;
    let endpoint = Endpoint::from_shared(profile.endpoint.clone())
        .with_context(|| format!("`{}` is not an address", profile.endpoint))?;
    let channel = connect(&endpoint, profile.server, tls);
    Ok(SubjectAccessServiceClient::new(channel).max_decoding_message_size(MAX_VIEW_BYTES))
}

fn within<T>(message: T) -> tonic::Request<T> {
    with_deadline(message, CALL_WITHIN)
}
