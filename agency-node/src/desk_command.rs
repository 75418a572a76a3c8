//! The work of assessors and approvers from a terminal: each command is one call to the running node, made with
//! the person's own certificate.

use std::{io::Write, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use brag_common::{
    agreement::LinkKind,
    profile,
    rating::{Colour, Topic},
    statement::PersonRole,
    status::code_of,
    time::{SystemClock, Timestamp},
    tls::{Channel, ClientTls, connect, with_deadline},
    wire::{
        MAX_MESSAGE_BYTES,
        audit::command::{self as audit, AlertCommand},
        pb::{self, desk_service_client::DeskServiceClient},
        words,
    },
};
use clap::{Args, Subcommand, ValueEnum, builder::PossibleValuesParser};
use serde_json::json;
use tonic::{Code, Status, transport::Endpoint};

use crate::cli::{Exit, print_json};

mod approve;
mod consent;
mod show;

pub use consent::ConsentCommand;

/// How long one call may take: an approval may seal and record before it answers.
const CALL_WITHIN: Duration = Duration::from_secs(30);

/// What a person does at the desk.
#[derive(Debug, Subcommand)]
pub enum DeskCommand {
    /// Show what waits: people to rate, and releases to approve
    ///
    /// Example: agency-node worklist --profile ~/.config/brag/profile.toml
    #[command(verbatim_doc_comment)]
    Worklist(PlainArgs),
    /// Give a person of an enquiry a colour, or decline to
    ///
    /// The colour is your judgement. It is signed by your agency, carries your name, and goes to the hub.
    ///
    /// Examples:
    ///   agency-node rate ENQUIRY PERSON --colour amber --analysis "Missed four appointments since May."
    ///   agency-node rate ENQUIRY PERSON --decline conflict_of_interest
    #[command(verbatim_doc_comment)]
    Rate(RateArgs),
    /// Say whether your agency's record is the person asked about
    ///
    /// The worklist shows both side by side. What you decide is recorded with your name; the reason stays at your
    /// agency. `--different` also undoes an earlier `--same`.
    ///
    /// Examples:
    ///   agency-node identity ENQUIRY PERSON --same --reason "Spoke to the GP: she moved in May."
    ///   agency-node identity ENQUIRY PERSON --different --reason "Twin sister."
    #[command(verbatim_doc_comment)]
    Identity(IdentityArgs),
    /// Take back your agency's own rating of a person
    ///
    /// Both the rating and its withdrawal stay on record, and what was released on it stays released; from now on it
    /// opens nothing. An earlier rating of yours counts again; otherwise the person waits for a rating. The reason
    /// stays at your agency. To replace a rating, rate again instead.
    ///
    /// Example: agency-node withdraw-rating ENQUIRY PERSON --reason "Entered for the wrong brother."
    #[command(verbatim_doc_comment)]
    WithdrawRating(WithdrawRatingArgs),
    /// Ask another agency to look again at its rating of a person
    ///
    /// It changes nothing by itself: only the agency that gave a rating can change it. Your reason is signed, carries
    /// your name, and goes to the hub and to that agency, whose assessor answers.
    ///
    /// Example: agency-node challenge ENQUIRY PERSON --agency CSC --reason "He was seen at the school gate on Monday."
    #[command(verbatim_doc_comment)]
    Challenge(ChallengeArgs),
    /// Answer a challenge: your agency's rating stays
    ///
    /// The worklist shows challenges. To change the rating instead, rate the person again; that answers the challenge.
    ///
    /// Example: agency-node answer-challenge ENQUIRY CHALLENGE --keep --reason "We saw the children on Tuesday; all is well."
    #[command(verbatim_doc_comment)]
    AnswerChallenge(AnswerChallengeArgs),
    /// Sign that two people of an enquiry are linked; your agency must know both
    ///
    /// Example: agency-node confirm-link ENQUIRY PERSON poses_risk_to OTHER
    #[command(verbatim_doc_comment)]
    ConfirmLink(ConfirmLinkArgs),
    /// Sign which part a person has, as your agency sees it today
    ///
    /// Your newest statement counts. Where agencies differ the co-ordinator sees that they do.
    ///
    /// Example: agency-node state-role ENQUIRY PERSON person_posing_risk
    #[command(verbatim_doc_comment)]
    StateRole(StateRoleArgs),
    /// Sign that a statutory or Marac threshold is met
    ///
    /// Only the kinds of agency that the agreement names may state each of them.
    ///
    /// Examples:
    ///   agency-node assert ENQUIRY section-47 --person P1 --person P2
    ///   agency-node assert ENQUIRY marac --dash-ticks 16 --judgement --person P1
    #[command(verbatim_doc_comment)]
    Assert(AssertArgs),
    /// Sign that your agency accepts an action of the plan
    ///
    /// Who has accepted an action may be told what it needs for it, after a person at the holder has approved that.
    ///
    /// Example: agency-node accept-action ENQUIRY --action A-2 --person P2
    #[command(verbatim_doc_comment)]
    AcceptAction(AcceptActionArgs),
    /// Record what a person said about sharing
    ///
    /// Example: agency-node consent record ENQUIRY PERSON --category C50 --to CSC
    #[command(subcommand, verbatim_doc_comment)]
    Consent(ConsentCommand),
    /// Approve a release that waits: of what is held, or of a redacted text in its place
    ///
    /// With --redacted only your text goes out, with the obligation THIRD_PARTY_REDACTED; nothing of what is held does.
    /// Where two people have to approve, both approve the same text: an approval of another one no longer counts.
    ///
    /// Examples:
    ///   agency-node approve WORK
    ///   agency-node approve WORK --redacted summary.txt --reason "Names the neighbour who reported."
    ///   agency-node approve WORK --as-redacted NAME
    #[command(verbatim_doc_comment)]
    Approve(approve::ApproveArgs),
    /// Refuse a release that waits
    ///
    /// The reason stays at your agency.
    ///
    /// Example: agency-node refuse WORK --reason "The source is at risk."
    #[command(verbatim_doc_comment)]
    Refuse(RefuseArgs),
    /// Show the detail that others have released to your agency
    ///
    /// Example: agency-node inbox
    #[command(verbatim_doc_comment)]
    Inbox(PlainArgs),
    /// Show news of enquiries that your agency has a part in, those that came last first
    ///
    /// That an enquiry is closed, who leads it, who answered late, a clock that ran out, an action of the plan for your agency, and
    /// that somebody is in another enquiry too. News hold no name, no colour and no detail.
    ///
    /// Example: agency-node news --limit 20
    #[command(verbatim_doc_comment)]
    News(NewsArgs),
    /// Open one item of the inbox; every opening is recorded with your name
    ///
    /// Prints the obligations that come with it. Without --accept-obligations nothing is opened and the exit
    /// code is 3.
    ///
    /// Example: agency-node open RELEASE --accept-obligations
    #[command(verbatim_doc_comment)]
    Open(OpenArgs),
    /// Say that an enquiry concerns your own family or friends
    ///
    /// From now on you do not see it, and can not rate, approve or open anything of it; a colleague does. It is recorded with your
    /// name, and not taken back here.
    ///
    /// Example: agency-node declare-conflict ENQUIRY
    #[command(verbatim_doc_comment)]
    DeclareConflict(DeclareConflictArgs),
    /// Say that you have read and acted on a notice of the inbox: detail was taken back
    ///
    /// Its view is closed already. Delete what you have noted or copied of it, then acknowledge; the agency that took it
    /// back is told, and when.
    ///
    /// Example: agency-node acknowledge NOTICE
    #[command(verbatim_doc_comment)]
    Acknowledge(NoticeArgs),
}

/// An enquiry that concerns whoever says so.
#[derive(Debug, Args)]
pub struct DeclareConflictArgs {
    /// The enquiry, as the worklist shows it
    enquiry: String,
    #[command(flatten)]
    plain: PlainArgs,
}

/// Who calls which node, and how the answer looks.
#[derive(Debug, Args)]
pub struct PlainArgs {
    /// Your profile: the node's address and your certificate
    #[arg(long, value_name = "FILE", env = "BRAG_PROFILE")]
    profile: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Which news.
#[derive(Debug, Args)]
pub struct NewsArgs {
    /// At most this many, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    plain: PlainArgs,
}

/// A judgement.
#[derive(Debug, Args)]
pub struct RateArgs {
    /// The enquiry, as the worklist shows it
    enquiry: String,
    /// The person, as the worklist shows them
    person: String,
    /// How worried your agency is: blue, green, amber or red
    #[arg(
        long,
        value_name = "COLOUR",
        requires = "analysis",
        conflicts_with = "decline",
        required_unless_present = "decline"
    )]
    colour: Option<Colour>,
    /// Why, on one line: expertise and concern, not detail
    #[arg(long, value_name = "TEXT", requires = "colour")]
    analysis: Option<String>,
    /// What it is about; may be given several times
    #[arg(long, value_name = "TOPIC", requires = "colour", value_parser = PossibleValuesParser::new(Topic::ALL.map(|(_, word)| word)))]
    topic: Vec<String>,
    /// The linked person whose record the rating rests on, when your agency does not know this one
    #[arg(long, value_name = "PERSON", requires = "colour")]
    via: Option<String>,
    /// Decline to rate, for this reason: one word of letters, digits and `_`, which the hub is told
    #[arg(long, value_name = "WORD")]
    decline: Option<String>,
    #[command(flatten)]
    plain: PlainArgs,
}

/// A decision about an identity.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("decision").required(true).args(["same", "different"]))]
pub struct IdentityArgs {
    /// The enquiry, as the worklist shows it
    enquiry: String,
    /// The person, as the worklist shows them
    person: String,
    /// The record is this person
    #[arg(long)]
    same: bool,
    /// The record is somebody else: the hub is told that your agency does not know the person
    #[arg(long)]
    different: bool,
    /// Why; kept at your agency, never sent
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    plain: PlainArgs,
}

/// A rating that is taken back.
#[derive(Debug, Args)]
pub struct WithdrawRatingArgs {
    /// The enquiry
    enquiry: String,
    /// The person
    person: String,
    /// Why; kept at your agency, never sent
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    plain: PlainArgs,
}

/// A challenge.
#[derive(Debug, Args)]
pub struct ChallengeArgs {
    /// The enquiry
    enquiry: String,
    /// The person
    person: String,
    /// The agency whose rating it is
    #[arg(long, value_name = "AGENCY")]
    agency: String,
    /// Why, on one line: expertise and concern, not detail
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    plain: PlainArgs,
}

/// An answer to a challenge.
#[derive(Debug, Args)]
pub struct AnswerChallengeArgs {
    /// The enquiry, as the worklist shows it
    enquiry: String,
    /// The challenge, as the worklist shows it
    challenge: String,
    /// The rating stays as it is
    #[arg(long, required = true)]
    keep: bool,
    /// Why, on one line; the hub is told
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    plain: PlainArgs,
}

/// A link.
#[derive(Debug, Args)]
pub struct ConfirmLinkArgs {
    /// The enquiry
    enquiry: String,
    /// The person the link starts at
    from: String,
    /// What `from` is to `to`
    #[arg(value_parser = PossibleValuesParser::new(LinkKind::ALL.iter().map(|kind| kind.word())))]
    kind: String,
    /// The person the link ends at
    to: String,
    #[command(flatten)]
    plain: PlainArgs,
}

/// The part of a person.
#[derive(Debug, Args)]
pub struct StateRoleArgs {
    /// The enquiry
    enquiry: String,
    /// The person, by reference
    person: String,
    /// Their part
    #[arg(value_parser = PossibleValuesParser::new(PersonRole::ALL.map(|(_, word)| word)))]
    role: String,
    #[command(flatten)]
    plain: PlainArgs,
}

/// A threshold on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Threshold {
    /// Children Act 1989 section 47; children's social care
    #[value(name = "section-47")]
    Section47,
    /// The local Marac threshold; police, a domestic abuse service or the Marac co-ordinator
    Marac,
    /// Care Act 2014 section 42; adult social care
    #[value(name = "care-act-42")]
    CareAct42,
}

/// A threshold that is met.
#[derive(Debug, Args)]
pub struct AssertArgs {
    /// The enquiry
    enquiry: String,
    /// Which threshold
    threshold: Threshold,
    /// A person in its scope; several may follow, and it may be given several times
    #[arg(long = "person", value_name = "PERSON", required = true, num_args = 1..=24)]
    people: Vec<String>,
    /// Marac: ticks on the Dash risk checklist
    #[arg(long, value_name = "N")]
    dash_ticks: Option<u32>,
    /// Marac: professional judgement says high risk
    #[arg(long)]
    judgement: bool,
    /// Marac: reports in the last twelve months
    #[arg(long, value_name = "N")]
    reports: Option<u32>,
    /// Marac: the same victim and perpetrator were heard within twelve months
    #[arg(long)]
    repeat: bool,
    /// Marac: when the meeting is (RFC 3339)
    #[arg(long, value_name = "TIME")]
    meeting: Option<Timestamp>,
    #[command(flatten)]
    plain: PlainArgs,
}

/// An action of the plan.
#[derive(Debug, Args)]
pub struct AcceptActionArgs {
    /// The enquiry
    enquiry: String,
    /// The action's name in the plan
    #[arg(long, value_name = "ID")]
    action: String,
    /// The person it is about
    #[arg(long, value_name = "PERSON")]
    person: String,
    #[command(flatten)]
    plain: PlainArgs,
}

/// A refusal.
#[derive(Debug, Args)]
pub struct RefuseArgs {
    /// The work, as the worklist shows it
    work: String,
    /// Why; kept at your agency, never sent
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    plain: PlainArgs,
}

/// An item to open.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// The release, as the inbox shows it
    release: String,
    /// You have read the obligations and accept them
    #[arg(long)]
    accept_obligations: bool,
    #[command(flatten)]
    plain: PlainArgs,
}

/// A notice.
#[derive(Debug, Args)]
pub struct NoticeArgs {
    /// The notice, as the inbox shows it
    notice: String,
    #[command(flatten)]
    plain: PlainArgs,
}

impl DeskCommand {
    const fn plain(&self) -> &PlainArgs {
        match self {
            Self::Worklist(plain) | Self::Inbox(plain) => plain,
            Self::News(args) => &args.plain,
            Self::Rate(args) => &args.plain,
            Self::Identity(args) => &args.plain,
            Self::WithdrawRating(args) => &args.plain,
            Self::Challenge(args) => &args.plain,
            Self::AnswerChallenge(args) => &args.plain,
            Self::ConfirmLink(args) => &args.plain,
            Self::StateRole(args) => &args.plain,
            Self::Assert(args) => &args.plain,
            Self::AcceptAction(args) => &args.plain,
            Self::Consent(command) => command.plain(),
            Self::Approve(args) => &args.plain,
            Self::Refuse(args) => &args.plain,
            Self::Open(args) => &args.plain,
            Self::DeclareConflict(args) => &args.plain,
            Self::Acknowledge(args) => &args.plain,
        }
    }
}

/// Runs a command.
///
/// # Errors
/// When the profile can not be used, the node can not be reached, or it fails. A refusal by rule is not an error.
pub async fn run(command: DeskCommand, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let (profile, json) = (command.plain().profile.clone(), command.plain().json);
    if let DeskCommand::Assert(args) = &command
        && args.threshold != Threshold::Marac
        && (args.dash_ticks.is_some()
            || args.judgement
            || args.reports.is_some()
            || args.repeat
            || args.meeting.is_some())
    {
        writeln!(
            std::io::stderr(),
            "agency-node: --dash-ticks, --judgement, --reports, --repeat and --meeting belong to `marac`"
        )?;
        return Ok(Exit::Usage);
    }
    let desk = sign_in(profile).await?;
    match call(desk, command, json, stdout).await {
        Ok(exit) => Ok(exit),
        Err(Failure::Status(status)) => refused_or_failed(&status, json, stdout),
        Err(Failure::Other(error)) => Err(error),
    }
}

type Desk = DeskServiceClient<Channel>;

async fn sign_in(path: PathBuf) -> anyhow::Result<Desk> {
    let load = move || -> anyhow::Result<Desk> {
        let profile = profile::load(&path)?;
        let endpoint = Endpoint::from_shared(profile.endpoint.clone())
            .context("`endpoint` of the profile is not `https://host:port`")?;
        let domain = profile.server.trust_domain().clone();
        let tls = ClientTls::load(profile.tls.files(), domain, Arc::new(SystemClock))?;
        Ok(DeskServiceClient::new(connect(&endpoint, profile.server, tls))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES))
    };
    tokio::task::spawn_blocking(load).await?
}

/// Why a command did not come to its end.
enum Failure {
    /// The node said no.
    Status(Box<Status>),
    Other(anyhow::Error),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.into())
    }
}

/// Runs an auditor's command at the running node.
///
/// # Errors
/// When a file is wrong, the node can not be reached, or output can not be written.
pub async fn alert(command: &AlertCommand, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    match command.run(stdout).await {
        Ok(()) => Ok(Exit::Done),
        Err(audit::Stop::Failed(error)) => Err(error),
        Err(audit::Stop::Refused(status)) => refused_or_failed(&status, command.json(), stdout),
    }
}

fn refused_or_failed(status: &Status, json: bool, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let code = code_of(status);
    let by_rule = matches!(status.code(), Code::FailedPrecondition | Code::PermissionDenied);
    match code {
        Some(code) if by_rule => {
            show::refused(stdout, code, status.message(), json)?;
            Ok(Exit::Refused)
        }
        Some(code) => anyhow::bail!("{} ({code})", show::plain(status.message())),
        None => anyhow::bail!(
            "the node can not be reached or did not answer: {}; is it serving, and does the profile name it?",
            show::plain(status.message())
        ),
    }
}

async fn call(
    mut desk: Desk,
    command: DeskCommand,
    json: bool,
    stdout: &mut dyn Write,
) -> Result<Exit, Failure> {
    match command {
        DeskCommand::Worklist(_) => {
            let request = with_deadline(pb::WorklistRequest {}, CALL_WITHIN);
            show::worklist(stdout, &desk.worklist(request).await?.into_inner(), json)?;
        }
        DeskCommand::Rate(args) => rate(&mut desk, args, json, stdout).await?,
        DeskCommand::Identity(args) => identity(&mut desk, args, json, stdout).await?,
        DeskCommand::WithdrawRating(args) => {
            let request = pb::WithdrawRatingRequest {
                enquiry: args.enquiry,
                person: args.person,
                reason: args.reason,
            };
            let request = with_deadline(request, CALL_WITHIN);
            let answer = desk.withdraw_rating(request).await?.into_inner();
            show::signed(stdout, "Withdrawn, signed and recorded", &answer.statement_id, json)?;
        }
        DeskCommand::Challenge(args) => {
            let request = pb::ChallengeRatingRequest {
                enquiry: args.enquiry,
                person: args.person,
                agency: args.agency,
                reason: args.reason,
            };
            let request = with_deadline(request, CALL_WITHIN);
            let answer = desk.challenge_rating(request).await?.into_inner();
            show::signed(stdout, "Challenged, signed and recorded", &answer.statement_id, json)?;
        }
        DeskCommand::AnswerChallenge(args) => {
            let request = pb::KeepRatingRequest {
                enquiry: args.enquiry,
                challenge: args.challenge,
                reason: args.reason,
            };
            let answer = desk.keep_rating(with_deadline(request, CALL_WITHIN)).await?.into_inner();
            let what = "The rating stays; the answer is signed and recorded";
            show::signed(stdout, what, &answer.statement_id, json)?;
        }
        DeskCommand::ConfirmLink(args) => {
            let kind = LinkKind::from_word(&args.kind).context("not a kind of link")?;
            let link = pb::ClaimedLink {
                from: args.from,
                to: args.to,
                kind: words::link_kind(kind).into(),
            };
            let request = pb::ConfirmLinkRequest { enquiry: args.enquiry, link: Some(link) };
            let answer = desk.confirm_link(with_deadline(request, CALL_WITHIN)).await?.into_inner();
            show::signed(stdout, "The link is signed and recorded", &answer.statement_id, json)?;
        }
        DeskCommand::StateRole(args) => {
            let role = PersonRole::from_word(&args.role).context("not a part of a person")?;
            let (enquiry, person) = (args.enquiry, args.person);
            let role = words::role(Some(role)).into();
            let request = pb::StateRoleRequest { enquiry, person, role };
            let answer = desk.state_role(with_deadline(request, CALL_WITHIN)).await?.into_inner();
            show::signed(stdout, "The part is signed and recorded", &answer.statement_id, json)?;
        }
        DeskCommand::Assert(args) => {
            let kind = match args.threshold {
                Threshold::Section47 => pb::AssertionKind::Section47,
                Threshold::Marac => pb::AssertionKind::Marac,
                Threshold::CareAct42 => pb::AssertionKind::CareAct42,
            };
            let request = pb::MakeAssertionRequest {
                enquiry: args.enquiry,
                kind: kind.into(),
                people: args.people,
                dash_ticks: args.dash_ticks.unwrap_or_default(),
                professional_judgement: args.judgement,
                reports_in_12_months: args.reports.unwrap_or_default(),
                repeat: args.repeat,
                meeting_at_unix_ms: args.meeting.map_or(0, Timestamp::as_millisecond),
            };
            let request = with_deadline(request, CALL_WITHIN);
            let answer = desk.make_assertion(request).await?.into_inner();
            show::signed(
                stdout,
                "The assertion is signed and recorded",
                &answer.statement_id,
                json,
            )?;
        }
        DeskCommand::DeclareConflict(args) => {
            let request = pb::DeclareConflictRequest { enquiry: args.enquiry };
            desk.declare_conflict(with_deadline(request, CALL_WITHIN)).await?;
            if json {
                print_json(stdout, &json!({ "declared": true }))?;
            } else {
                writeln!(stdout, "Recorded. A colleague works on this enquiry.")?;
            }
        }
        DeskCommand::AcceptAction(args) => {
            let AcceptActionArgs { enquiry, action, person, .. } = args;
            let request = pb::AcceptActionRequest { enquiry, person, action };
            let request = with_deadline(request, CALL_WITHIN);
            let id = desk.accept_action(request).await?.into_inner().statement_id;
            show::signed(stdout, "The acceptance is signed and recorded", &id, json)?;
        }
        DeskCommand::Consent(command) => consent::run(&mut desk, command, json, stdout).await?,
        DeskCommand::Approve(args) => approve::run(&mut desk, args, json, stdout).await?,
        DeskCommand::Refuse(args) => {
            let request = pb::RefuseRequest { work: args.work, reason: args.reason };
            desk.refuse(with_deadline(request, CALL_WITHIN)).await?;
            if json {
                print_json(stdout, &json!({ "refused_work": true }))?;
            } else {
                writeln!(stdout, "Refused. The reason stays at your agency.")?;
            }
        }
        DeskCommand::Inbox(_) => {
            let request = with_deadline(pb::InboxRequest {}, CALL_WITHIN);
            show::inbox(stdout, &desk.inbox(request).await?.into_inner(), json)?;
        }
        DeskCommand::News(args) => {
            let request = with_deadline(pb::NewsRequest { limit: args.limit }, CALL_WITHIN);
            show::news(stdout, &desk.news(request).await?.into_inner(), json)?;
        }
        DeskCommand::Acknowledge(args) => {
            let request = pb::AcknowledgeRequest { notice: args.notice };
            let answer = desk.acknowledge(with_deadline(request, CALL_WITHIN)).await?.into_inner();
            show::signed(stdout, "Acknowledged and recorded", &answer.statement_id, json)?;
        }
        DeskCommand::Open(args) => return open(&mut desk, args, json, stdout).await,
    }
    Ok(Exit::Done)
}

async fn rate(
    desk: &mut Desk,
    args: RateArgs,
    json: bool,
    stdout: &mut dyn Write,
) -> Result<(), Failure> {
    let colour = args.colour;
    let request = pb::GiveRatingRequest {
        enquiry: args.enquiry,
        person: args.person,
        colour: colour.map_or(pb::Colour::Unspecified, words::colour).into(),
        analysis: args.analysis.unwrap_or_default(),
        topics: args.topic,
        via: args.via.unwrap_or_default(),
        decline_reason: args.decline.unwrap_or_default(),
    };
    let answer = desk.give_rating(with_deadline(request, CALL_WITHIN)).await?.into_inner();
    match colour {
        Some(colour) => {
            let what = format!("Rated {colour} ({}), signed and recorded", colour.letter());
            show::signed(stdout, &what, &answer.statement_id, json)?;
        }
        None if json => print_json(stdout, &json!({ "declined": true }))?,
        None => writeln!(stdout, "Declined. The hub is told the word.")?,
    }
    Ok(())
}

async fn identity(
    desk: &mut Desk,
    args: IdentityArgs,
    json: bool,
    stdout: &mut dyn Write,
) -> Result<(), Failure> {
    let (decision, word) = if args.same {
        (pb::IdentityDecision::Same, "same")
    } else {
        (pb::IdentityDecision::Different, "different")
    };
    let request = pb::DecideIdentityRequest {
        enquiry: args.enquiry,
        person: args.person,
        decision: decision.into(),
        reason: args.reason,
    };
    let answer = desk.decide_identity(with_deadline(request, CALL_WITHIN)).await?.into_inner();
    show::decided(stdout, word, &answer.rating, json)?;
    Ok(())
}

/// Shows the obligations first; opens only what somebody has accepted.
async fn open(
    desk: &mut Desk,
    args: OpenArgs,
    json: bool,
    stdout: &mut dyn Write,
) -> Result<Exit, Failure> {
    let inbox = desk.inbox(with_deadline(pb::InboxRequest {}, CALL_WITHIN)).await?.into_inner();
    let item = inbox.items.into_iter().find(|item| item.release == args.release);
    // What has ended is asked for all the same: the node says why it does not open, and records who wanted to.
    if let Some(item) = item.as_ref().filter(|item| item.closed.is_empty()) {
        if !json {
            show::obligations(stdout, item)?;
        }
        if !args.accept_obligations {
            show::not_accepted(stdout, item, json)?;
            return Ok(Exit::Refused);
        }
    }
    // An item that the inbox does not show is asked for all the same: the node says why it does not open.
    let request = pb::OpenDetailRequest {
        release: args.release,
        obligations_accepted: args.accept_obligations,
    };
    let detail = desk.open_detail(with_deadline(request, CALL_WITHIN)).await?.into_inner();
    show::detail(stdout, &detail, json)?;
    Ok(Exit::Done)
}
