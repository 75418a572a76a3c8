//! `hub enquiry`: the co-ordinator's work at a running hub, over the same calls as any other client.

use std::{collections::BTreeMap, io::Write, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use brag_common::{
    id::{AgencyId, CategoryCode, EnquiryRef},
    lifecycle::stop_on_signals,
    profile,
    status::code_of,
    time::SystemClock,
    tls::{Channel, ClientTls, connect, with_deadline},
    wire::{
        audit::command::{self as audit, AlertCommand},
        pb::{
            self, coordinator_service_client::CoordinatorServiceClient,
            watch_response::Event as Happened,
        },
    },
};
use clap::{Args, Subcommand};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, transport::Endpoint};

use crate::{
    agreement_command::Exit,
    basis_file, enquiry_file,
    life_command::{self, LifeCommand},
    render::{self, Analyses, Labels, Paint},
    service::MAX_VIEW_BYTES,
};

/// For one call. The hub itself gives up on a request after 30 s.
const CALL_WITHIN: Duration = Duration::from_secs(40);
/// How long after a lost connection the watch begins again.
const WATCH_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// How often in a row it may fail to begin: two minutes without the hub.
const WATCH_FAILURES_MAX: u32 = 60;
/// The longest that one call of `watch` runs.
const WATCH_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// Work on enquiries at a running hub.
#[derive(Debug, Subcommand)]
pub enum EnquiryCommand {
    /// Open an enquiry: every agency is asked at once
    ///
    /// The file says who is asked about, why, and on whose referral; deploy/samples/enquiry.toml explains
    /// every key. Prints the enquiry's reference. Nothing is sent when anything in the file is wrong.
    ///
    /// Example: hub enquiry open brookes.toml --profile me.toml
    #[command(verbatim_doc_comment)]
    Open {
        /// The enquiry: TOML, or JSON when the name ends in .json
        file: PathBuf,
        /// Which hub
        #[command(flatten)]
        to: To,
    },
    /// Show one enquiry: people and levels, the matrix, requests for detail
    ///
    /// Looking is itself recorded in the hub's log.
    ///
    /// Example: hub enquiry show ENQUIRY --analyses --profile me.toml
    #[command(verbatim_doc_comment)]
    Show {
        /// Reference of the enquiry
        enquiry: EnquiryRef,
        /// Also the analysis behind each colour; with --json they are always there
        #[arg(long)]
        analyses: bool,
        /// Which hub
        #[command(flatten)]
        to: To,
    },
    /// List enquiries, newest first
    ///
    /// Example: hub enquiry list --limit 20 --profile me.toml
    #[command(verbatim_doc_comment)]
    List {
        /// At most this many, 1 to 1000
        #[arg(long, value_name = "N", default_value_t = 100,
              value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Which hub
        #[command(flatten)]
        to: To,
    },
    /// Follow one enquiry until interrupted: first what has happened, then each thing as it happens
    ///
    /// One line, or with --json one JSON object on a line, for each thing.
    ///
    /// Example: hub enquiry watch ENQUIRY --profile me.toml
    #[command(verbatim_doc_comment)]
    Watch {
        /// Reference of the enquiry
        enquiry: EnquiryRef,
        /// Which hub
        #[command(flatten)]
        to: To,
    },
    /// Ask the agency that holds it for one category of detail about one person
    ///
    /// The holder decides for each recipient, and says why; what it releases goes sealed to the recipient,
    /// never through your hands. Exit 3: every recipient was refused.
    ///
    /// The basis file states the lawful basis; deploy/samples/basis.toml explains every key. Closed lists,
    /// checked before anything is sent:
    ///   art6               UKGDPR_6_1_C, UKGDPR_6_1_D, UKGDPR_6_1_E, UKGDPR_6_1_EA
    ///   statutory_gateway  CA1989_S47, CA1989_S17, CA2004_S10_S11_S16E, CARE_ACT_S42, CARE_ACT_S45,
    ///                      CDA1998_S115, DA_ACT_2021, COMMON_LAW
    ///   confidentiality_justification  agreement, overriding_public_interest, legal_duty
    ///
    /// Example: hub enquiry release ENQUIRY --holder HLT --person P1 --category C33 --to CSC,POL
    ///          --basis basis.toml --profile me.toml
    #[command(verbatim_doc_comment)]
    Release(ReleaseArgs),
    /// Let an agency compare a person whom it may know: its cell says identity review
    ///
    /// The identity is disclosed to that one agency, where a person compares and decides. Who authorised it is
    /// recorded; the reason stays at the hub.
    ///
    /// Example: hub enquiry authorise ENQUIRY --agency SMS --person P1 --reason "Same street, same year of birth."
    #[command(verbatim_doc_comment)]
    Authorise(AuthoriseArgs),
    /// Say that an enquiry concerns your own family or friends
    ///
    /// From now on you do not see it and can not ask for anything in it; a colleague does. It is recorded with your name, and not
    /// taken back here.
    ///
    /// Example: hub enquiry declare-conflict ENQUIRY --profile me.toml
    #[command(verbatim_doc_comment)]
    DeclareConflict {
        /// Reference of the enquiry
        enquiry: EnquiryRef,
        /// Which hub
        #[command(flatten)]
        to: To,
    },
    /// Find what was exchanged about one person, for a request for subject access
    ///
    /// The file has the keys of one `[[person]]` of an enquiry, at the top level. Needs the role coordinator or
    /// auditor. Each look is recorded with your name. Where it says unclear, compare before you give anything out.
    ///
    /// Example: hub enquiry find-person person.toml --profile me.toml
    #[command(verbatim_doc_comment)]
    FindPerson {
        /// The person: TOML, or JSON when the name ends in .json
        file: PathBuf,
        /// Which hub
        #[command(flatten)]
        to: To,
    },
    /// Record what happens
    #[command(flatten)]
    Life(LifeCommand),
}

/// What to authorise.
#[derive(Debug, Args)]
pub struct AuthoriseArgs {
    /// Reference of the enquiry
    enquiry: EnquiryRef,
    /// The agency that may know the person, for example SMS
    #[arg(long, value_name = "AGENCY")]
    agency: AgencyId,
    /// Who it is about: your label, for example P1, or the reference
    #[arg(long, value_name = "PERSON")]
    person: String,
    /// Why: 1 to 600 characters, kept at the hub
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    to: To,
}

/// What to ask for.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// Reference of the enquiry
    enquiry: EnquiryRef,
    /// The agency that holds it, for example HLT
    #[arg(long, value_name = "AGENCY")]
    holder: AgencyId,
    /// Who it is about: your label, for example P1, or the reference
    #[arg(long, value_name = "PERSON")]
    person: String,
    /// The category of the agreement, for example C33
    #[arg(long, value_name = "CODE")]
    category: CategoryCode,
    /// Who would receive it: agencies, separated by commas
    #[arg(long = "to", value_name = "AGENCIES", value_delimiter = ',', required = true)]
    recipients: Vec<AgencyId>,
    /// File with the lawful basis
    #[arg(long, value_name = "FILE")]
    basis: PathBuf,
    /// Purpose, in the agreement's words; by default the enquiry's own
    #[arg(long, value_name = "WORD")]
    purpose: Option<String>,
    #[command(flatten)]
    to: To,
}

/// Which hub, as whom, and in which form the answer is wanted.
#[derive(Debug, Args)]
pub struct To {
    /// Profile: the hub's address and name, and your certificate
    #[arg(long, value_name = "FILE", env = "BRAG_PROFILE")]
    profile: PathBuf,
    /// Print one JSON document; `watch` prints one line for each event
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where a command writes, and whether it may use colours there.
pub struct Output<'a> {
    /// Results.
    pub out: &'a mut dyn Write,
    /// Why something was refused.
    pub err: &'a mut dyn Write,
    /// Colours on `out`.
    pub paint: Paint,
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Output")
    }
}

/// Runs a command. What the hub refuses is said on `err`.
///
/// # Errors
/// When a file is wrong, the hub can not be reached, or output can not be written.
pub async fn run(command: &EnquiryCommand, output: &mut Output<'_>) -> anyhow::Result<Exit> {
    let Err(error) = execute(command, output).await else { return Ok(Exit::Done) };
    match error {
        Stop::Failed(error) => Err(error),
        Stop::Ended(exit) => Ok(exit),
        Stop::Refused(status) => refused(&status, output),
    }
}

/// Runs an auditor's command. What the hub refuses is said on `err`.
///
/// # Errors
/// When a file is wrong, the hub can not be reached, or output can not be written.
pub async fn alert(command: &AlertCommand, output: &mut Output<'_>) -> anyhow::Result<Exit> {
    match command.run(output.out).await {
        Ok(()) => Ok(Exit::Done),
        Err(audit::Stop::Failed(error)) => Err(error),
        Err(audit::Stop::Refused(status)) => refused(&status, output),
    }
}

/// Why a command ended before its end.
pub(crate) enum Stop {
    Failed(anyhow::Error),
    Ended(Exit),
    Refused(Box<Status>),
}

impl<E: Into<anyhow::Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

pub(crate) fn answered<T>(answer: Result<tonic::Response<T>, Status>) -> Result<T, Stop> {
    answer.map(tonic::Response::into_inner).map_err(|status| Stop::Refused(Box::new(status)))
}

/// A refusal by rule has a stable code; anything else is a failure.
fn refused(status: &Status, output: &mut Output<'_>) -> anyhow::Result<Exit> {
    let rule = matches!(status.code(), Code::FailedPrecondition | Code::PermissionDenied);
    match code_of(status) {
        Some(code) if rule => {
            writeln!(output.err, "refused: {code}: {}", status.message())?;
            Ok(Exit::Refused)
        }
        Some(code) => Err(anyhow::anyhow!("the hub answered {code}: {}", status.message())),
        None => Err(anyhow::Error::new(status.clone()).context("the hub did not answer")),
    }
}

async fn execute(command: &EnquiryCommand, output: &mut Output<'_>) -> Result<(), Stop> {
    // Files first: nothing is sent, and no connection made, when anything in them is wrong.
    match command {
        EnquiryCommand::Open { file, to } => {
            let request = enquiry_file::load(file)?;
            let opened = answered(hub(to)?.open(within(request)).await)?;
            if to.json {
                print(output, &serde_json::json!({ "enquiry": opened.enquiry }))?;
            } else {
                writeln!(output.out, "{}", opened.enquiry)?;
            }
        }
        EnquiryCommand::Show { enquiry, analyses, to } => {
            let shown = show(&mut hub(to)?, enquiry).await?;
            if to.json {
                print(output, &render::show_json(&shown))?;
            } else {
                let analyses = if *analyses { Analyses::Shown } else { Analyses::Hidden };
                write!(output.out, "{}", render::show_text(&shown, analyses, output.paint))?;
            }
        }
        EnquiryCommand::List { limit, to } => {
            let list = answered(hub(to)?.list(within(pb::ListRequest { limit: *limit })).await)?;
            if to.json {
                print(output, &render::list_json(&list))?;
            } else {
                write!(output.out, "{}", render::list_text(&list, output.paint))?;
            }
        }
        EnquiryCommand::Watch { enquiry, to } => watch(enquiry, to, output).await?,
        EnquiryCommand::Life(command) => life_command::execute(command, output).await?,
        EnquiryCommand::Release(args) => release(args, output).await?,
        EnquiryCommand::Authorise(args) => authorise(args, output).await?,
        EnquiryCommand::DeclareConflict { enquiry, to } => {
            let request = pb::StandAsideRequest { enquiry: enquiry.to_string() };
            answered(hub(to)?.stand_aside(within(request)).await)?;
            if to.json {
                print(output, &serde_json::json!({ "declared": true }))?;
            } else {
                writeln!(output.out, "Recorded. A colleague works on this enquiry.")?;
            }
        }
        EnquiryCommand::FindPerson { file, to } => {
            let request = pb::FindPersonRequest { identity: enquiry_file::load_person(file)? };
            let found = answered(hub(to)?.find_person(within(request)).await)?;
            if to.json {
                print(output, &render::found_json(&found))?;
            } else {
                write!(output.out, "{}", render::found_text(&found, output.paint))?;
            }
        }
    }
    Ok(())
}

async fn authorise(args: &AuthoriseArgs, output: &mut Output<'_>) -> Result<(), Stop> {
    let mut hub = hub(&args.to)?;
    let labels = Labels::of(&show(&mut hub, &args.enquiry).await?);
    let request = pb::AuthoriseIdentityReviewRequest {
        enquiry: args.enquiry.to_string(),
        agency: args.agency.to_string(),
        person: reference(&labels, &args.person)?,
        reason: args.reason.clone(),
    };
    answered(hub.authorise_identity_review(within(request)).await)?;
    if args.to.json {
        print(output, &serde_json::json!({ "authorised": true }))?;
    } else {
        writeln!(output.out, "Authorised and recorded; {} is asked to compare.", args.agency)?;
    }
    Ok(())
}

pub(crate) fn reference(labels: &Labels, person: &str) -> anyhow::Result<String> {
    let found = labels.reference(person);
    let found = found.with_context(|| {
        format!("`{person}` is neither a label nor a reference in this enquiry")
    })?;
    Ok(found.to_owned())
}

/// Follows an enquiry across lost connections: the hub ends each after a while, to look at certificates anew.
async fn watch(enquiry: &EnquiryRef, to: &To, output: &mut Output<'_>) -> Result<(), Stop> {
    let mut hub = hub(to)?;
    let labels = Labels::of(&show(&mut hub, enquiry).await?);
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    let mut seen = Seen::default();
    let mut failures = 0;
    loop {
        let request = pb::WatchRequest { enquiry: enquiry.to_string() };
        let lost = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            lost = follow(&mut hub, request, to, &labels, &mut seen, output) => lost?,
        };
        failures = if lost.was_watching { 0 } else { failures + 1 };
        if code_of(&lost.status).is_some() || failures > WATCH_FAILURES_MAX {
            return Err(Stop::Refused(Box::new(lost.status)));
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(WATCH_AGAIN_AFTER) => {}
        }
    }
}

/// A watch that ended.
struct Lost {
    was_watching: bool,
    status: Status,
}

async fn follow(
    hub: &mut CoordinatorServiceClient<Channel>,
    request: pb::WatchRequest,
    to: &To,
    labels: &Labels,
    seen: &mut Seen,
    output: &mut Output<'_>,
) -> anyhow::Result<Lost> {
    let mut events = match hub.watch(with_deadline(request, WATCH_WITHIN)).await {
        Ok(events) => events.into_inner(),
        Err(status) => return Ok(Lost { was_watching: false, status }),
    };
    loop {
        let event = match events.message().await {
            Ok(Some(event)) => event,
            Ok(None) => {
                let status = Status::unavailable("the hub ended the watch");
                return Ok(Lost { was_watching: true, status });
            }
            Err(status) => return Ok(Lost { was_watching: true, status }),
        };
        if !seen.is_new(&event) {
            continue;
        }
        if to.json {
            writeln!(output.out, "{}", render::event_json(labels, &event))?;
        } else {
            writeln!(output.out, "{}", render::event_line(labels, &event, output.paint))?;
        }
        output.out.flush()?;
    }
}

/// What was told of each cell and request last, so that a new watch does not tell it again.
#[derive(Default)]
struct Seen(BTreeMap<(String, String), Happened>);

impl Seen {
    fn is_new(&mut self, event: &pb::WatchResponse) -> bool {
        let Some(happened) = &event.event else { return true };
        let place = match happened {
            Happened::Cell(cell) => (cell.agency.clone(), cell.person.clone()),
            Happened::Release(view) => (view.release.clone(), view.recipient.clone()),
            Happened::RatingChanged(change) => {
                let place = format!("changed {} {}", change.agency, change.person);
                (place, change.changed_at_unix_ms.to_string())
            }
            Happened::Challenge(challenge) => (challenge.challenge.clone(), String::new()),
            Happened::Flag(flag) => (
                format!("flag {} {} {}", flag.flag, flag.agency, flag.person),
                flag.raised_at_unix_ms.to_string(),
            ),
            Happened::Fact(_) | Happened::Step(_) => return true,
        };
        self.0.insert(place, happened.clone()).as_ref() != Some(happened)
    }
}

async fn release(args: &ReleaseArgs, output: &mut Output<'_>) -> Result<(), Stop> {
    let basis = basis_file::load(&args.basis)?;
    let mut hub = hub(&args.to)?;
    let labels = Labels::of(&show(&mut hub, &args.enquiry).await?);
    let person = reference(&labels, &args.person)?;
    let request = pb::RequestReleaseRequest {
        enquiry: args.enquiry.to_string(),
        holder: args.holder.to_string(),
        person,
        category: args.category.to_string(),
        recipients: args.recipients.iter().map(ToString::to_string).collect(),
        lawful_basis: Some(basis),
        purpose: args.purpose.clone().unwrap_or_default(),
    };
    let decided = answered(hub.request_release(within(request)).await)?.releases;
    if args.to.json {
        let releases: Vec<_> =
            decided.iter().map(|view| render::release_json(&labels, view)).collect();
        print(output, &serde_json::json!({ "releases": releases }))?;
    } else {
        for view in &decided {
            writeln!(output.out, "{}", render::release_line(&labels, view, output.paint))?;
        }
    }
    match exit_of(&decided) {
        Exit::Done => Ok(()),
        exit => {
            for view in &decided {
                let text = render::reason_text(&view.reason);
                writeln!(output.err, "{}: {}: {text}", view.recipient, view.reason)?;
            }
            Err(Stop::Ended(exit))
        }
    }
}

/// Refused when every recipient was; failed when nobody may have it and some decisions are missing.
fn exit_of(decided: &[pb::ReleaseView]) -> Exit {
    let all = |wanted: &[pb::Decision]| decided.iter().all(|v| wanted.contains(&v.decision()));
    if all(&[pb::Decision::Deny]) {
        Exit::Refused
    } else if all(&[pb::Decision::Deny, pb::Decision::Unspecified]) {
        Exit::Failed
    } else {
        Exit::Done
    }
}

pub(crate) async fn show(
    hub: &mut CoordinatorServiceClient<Channel>,
    enquiry: &EnquiryRef,
) -> Result<pb::ShowResponse, Stop> {
    answered(hub.show(within(pb::ShowRequest { enquiry: enquiry.to_string() })).await)
}

pub(crate) fn hub(to: &To) -> anyhow::Result<CoordinatorServiceClient<Channel>> {
    let profile = profile::load(&to.profile)
        .with_context(|| format!("can not use the profile `{}`", to.profile.display()))?;
    let domain = profile.server.trust_domain().clone();
    let tls = ClientTls::load(profile.tls.files(), domain, Arc::new(SystemClock))?;
    let endpoint = Endpoint::from_shared(profile.endpoint.clone())
        .with_context(|| format!("`{}` is not an address", profile.endpoint))?;
    let channel = connect(&endpoint, profile.server, tls);
    Ok(CoordinatorServiceClient::new(channel).max_decoding_message_size(MAX_VIEW_BYTES))
}

pub(crate) fn within<T>(message: T) -> tonic::Request<T> {
    with_deadline(message, CALL_WITHIN)
}

pub(crate) fn print(output: &mut Output<'_>, document: &serde_json::Value) -> std::io::Result<()> {
    writeln!(output.out, "{document:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(decision: pb::Decision) -> pb::ReleaseView {
        let mut view = pb::ReleaseView::default();
        view.set_decision(decision);
        view
    }

    #[test]
    fn a_new_watch_tells_only_what_has_changed_meanwhile() {
        let event = |reason: &str| {
            let cell = pb::MatrixCell { reason: reason.to_owned(), ..pb::MatrixCell::default() };
            pb::WatchResponse { at_unix_ms: 1, event: Some(Happened::Cell(cell)) }
        };
        let mut seen = Seen::default();
        assert!(seen.is_new(&event("A")));
        assert!(!seen.is_new(&event("A")));
        assert!(seen.is_new(&event("B")));
    }

    #[test]
    fn refused_means_that_every_recipient_was() {
        use pb::Decision::{Deny, Release, Review, Unspecified};
        for (decisions, exit) in [
            (&[Deny, Deny][..], Exit::Refused),
            (&[Deny, Unspecified], Exit::Failed),
            (&[Unspecified], Exit::Failed),
            (&[Deny, Review], Exit::Done),
            (&[Deny, Release, Unspecified], Exit::Done),
        ] {
            let decided: Vec<_> = decisions.iter().copied().map(view).collect();
            assert_eq!(exit_of(&decided), exit, "{decisions:?}");
        }
    }
}
