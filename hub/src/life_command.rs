//! `hub enquiry …`: the commands with which the life of an enquiry is recorded, from events to its close; and `hub words`.

use brag_common::{
    id::{AgencyId, EnquiryRef},
    time::Timestamp,
    wire::pb::{self, record_request::Step},
};
use clap::{Args, Subcommand};

use crate::{
    config::Config,
    enquiry_command::{Output, Stop, To, answered, hub, print, reference, show, within},
    life::words::{Kind, Words},
    render::{self, Labels},
};

/// Record what happens in an enquiry.
#[derive(Debug, Subcommand)]
pub enum LifeCommand {
    /// Record something that happened, in a word of the trade
    ///
    /// `hub words` lists the words and what each means. Texts stay at the hub, sealed with the enquiry.
    ///
    /// Example: hub enquiry event ENQUIRY strategy_meeting --agency CSC --note "With police and health."
    #[command(verbatim_doc_comment)]
    Event {
        /// Reference of the enquiry
        enquiry: EnquiryRef,
        /// The word, for example strategy_meeting or section_47_decision
        word: String,
        /// Whom it concerns: labels, for example P3,P4; left out: the whole enquiry
        #[arg(long, value_name = "PEOPLE", value_delimiter = ',')]
        people: Vec<String>,
        /// The agency that did it or said so
        #[arg(long, value_name = "AGENCY")]
        agency: Option<AgencyId>,
        /// When it happened, in RFC 3339; left out: now
        #[arg(long, value_name = "TIME")]
        at: Option<Timestamp>,
        /// More about it, at most 600 characters
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// Which hub
        #[command(flatten)]
        to: To,
    },
    /// Add an action to the plan: an agency takes something on about one person
    ///
    /// The owner is an agency, never one of the family. Its node accepts it with `agency-node accept-action`.
    ///
    /// Example: hub enquiry action ENQUIRY A-2 bail_conditions --owner POL --person P2
    ///          --what "Ask the court." --due 2027-03-08T09:00:00Z
    #[command(verbatim_doc_comment)]
    Action {
        /// Reference of the enquiry
        enquiry: EnquiryRef,
        /// Your own name for it, for example A-2
        name: String,
        /// The kind of action, see `hub words`
        word: String,
        /// Who owns it: an agency
        #[arg(long, value_name = "AGENCY")]
        owner: String,
        /// Whom it is about: a label, for example P2
        #[arg(long, value_name = "PERSON")]
        person: String,
        /// What is to be done, 1 to 600 characters
        #[arg(long, value_name = "TEXT")]
        what: String,
        /// When it is due, in RFC 3339
        #[arg(long, value_name = "TIME")]
        due: Option<Timestamp>,
        /// Which hub
        #[command(flatten)]
        to: To,
    },
    /// Say that an action of the plan is done, or dropped
    ///
    /// Example: hub enquiry progress ENQUIRY A-2 done --note "Conditions granted."
    #[command(verbatim_doc_comment)]
    Progress {
        /// Reference of the enquiry
        enquiry: EnquiryRef,
        /// The action, for example A-2
        action: String,
        /// `done` or `dropped`
        #[arg(value_parser = ["done", "dropped"])]
        state: String,
        /// What came of it, or why it is dropped
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// Which hub
        #[command(flatten)]
        to: To,
    },
    /// Say which agency leads, and its lead professional by role
    ///
    /// Example: hub enquiry lead ENQUIRY CSC --role "social worker"
    #[command(verbatim_doc_comment)]
    Lead {
        /// Reference of the enquiry
        enquiry: EnquiryRef,
        /// The agency
        agency: AgencyId,
        /// The lead professional, by role and not by name
        #[arg(long, value_name = "TEXT", default_value = "")]
        role: String,
        /// Which hub
        #[command(flatten)]
        to: To,
    },
    /// Record that a meeting has discussed the enquiry; the hub keeps what it saw
    ///
    /// Example: hub enquiry meeting ENQUIRY --chair POL --present POL,CSC,DAS --dialled-in HLT
    ///          --agreed "As in the plan."
    #[command(verbatim_doc_comment)]
    Meeting {
        /// Reference of the enquiry
        enquiry: EnquiryRef,
        /// Who chaired
        #[arg(long, value_name = "AGENCY")]
        chair: AgencyId,
        /// Who was there
        #[arg(long, value_name = "AGENCIES", value_delimiter = ',')]
        present: Vec<AgencyId>,
        /// Who was there from afar
        #[arg(long, value_name = "AGENCIES", value_delimiter = ',')]
        dialled_in: Vec<AgencyId>,
        /// When it was, in RFC 3339; left out: now
        #[arg(long, value_name = "TIME")]
        at: Option<Timestamp>,
        /// What was agreed, at most 600 characters
        #[arg(long, value_name = "TEXT", default_value = "")]
        agreed: String,
        /// Which hub
        #[command(flatten)]
        to: To,
    },
    /// Do not wait for an answer that the agreement only recommends; needs the role chair, too
    ///
    /// Example: hub enquiry waive ENQUIRY --agency MHT --person P1 --reason "Seen by the crisis team today."
    #[command(verbatim_doc_comment)]
    Waive {
        /// Reference of the enquiry
        enquiry: EnquiryRef,
        /// Whose answer
        #[arg(long, value_name = "AGENCY")]
        agency: AgencyId,
        /// About whom: a label
        #[arg(long, value_name = "PERSON")]
        person: String,
        /// Why, 1 to 600 characters
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Which hub
        #[command(flatten)]
        to: To,
    },
    /// Record how many earlier contacts an agency knows of, and when its last work with the family was closed
    ///
    /// Example: hub enquiry history ENQUIRY --agency CSC --contacts 11 --last-closed 2027-03-03T12:00:00Z
    #[command(verbatim_doc_comment)]
    History {
        /// Reference of the enquiry
        enquiry: EnquiryRef,
        /// Which agency
        #[arg(long, value_name = "AGENCY")]
        agency: AgencyId,
        /// How many
        #[arg(long, value_name = "N")]
        contacts: u32,
        /// When its last work was closed, in RFC 3339
        #[arg(long, value_name = "TIME")]
        last_closed: Option<Timestamp>,
        /// Which hub
        #[command(flatten)]
        to: To,
    },
    /// Close an enquiry, or hear everything that stands in the way
    ///
    /// It is closed once every required answer is there, somebody leads, every one of the family has
    /// an action, whoever poses risk has one about that risk, and no section 47 decision is awaited.
    /// With the outcome no_further_action only where there is no evidence of domestic abuse, with a
    /// reason, and when a second person says the same. Exit 3: refused.
    ///
    /// Example: hub enquiry close ENQUIRY child_protection_plan --profile me.toml
    #[command(verbatim_doc_comment)]
    Close {
        /// Reference of the enquiry
        enquiry: EnquiryRef,
        /// How it ends, see `hub words`
        outcome: String,
        /// Why, at most 600 characters
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        /// Which hub
        #[command(flatten)]
        to: To,
    },
    /// List open enquiries as a meeting should take them, and whose turn it is to chair
    ///
    /// The highest level first, then the clock that runs out first.
    ///
    /// Example: hub enquiry agenda --profile me.toml
    #[command(verbatim_doc_comment)]
    Agenda {
        /// At most this many, 1 to 1000
        #[arg(long, value_name = "N", default_value_t = 100,
              value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Which hub
        #[command(flatten)]
        to: To,
    },
}

/// List the words of the trade.
#[derive(Debug, Args)]
pub struct WordsArgs {
    /// The hub's configuration, for the partnership's own words, too
    #[arg(long, value_name = "FILE")]
    config: Option<std::path::PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Lists the words of the trade, and what each means.
///
/// # Errors
/// When the configuration or the words can not be read, or output can not be written.
pub fn words(args: &WordsArgs, out: &mut dyn std::io::Write) -> anyhow::Result<()> {
    let config = args.config.as_deref().map(Config::load).transpose()?;
    let own = config.as_ref().and_then(|config| config.words.as_ref());
    let words = Words::load(own.map(|path| path.as_path()))?;
    if args.json {
        let all: Vec<_> = words.all().collect();
        writeln!(out, "{:#}", serde_json::json!({ "words": all }))?;
        return Ok(());
    }
    for kind in [Kind::Source, Kind::Event, Kind::Action, Kind::Outcome] {
        writeln!(out, "{}", kind.word().to_uppercase())?;
        for word in words.all().filter(|word| word.kind == kind) {
            writeln!(out, "  {:<36} {}: {}", word.word, word.title, word.means)?;
        }
    }
    Ok(())
}

/// Runs a command.
pub(crate) async fn execute(command: &LifeCommand, output: &mut Output<'_>) -> Result<(), Stop> {
    match command {
        LifeCommand::Event { enquiry, word, people, agency, at, note, to } => {
            let labels = labels(enquiry, to).await?;
            let people = people.iter().map(|one| reference(&labels, one));
            let step = Step::Event(pb::Event {
                word: word.clone(),
                people: people.collect::<Result<_, _>>()?,
                agency: agency.as_ref().map(ToString::to_string).unwrap_or_default(),
                at_unix_ms: ms(*at),
                note: note.clone(),
                ..pb::Event::default()
            });
            record(enquiry, step, to, output).await
        }
        LifeCommand::Action { enquiry, name, word, owner, person, what, due, to } => {
            let labels = labels(enquiry, to).await?;
            let step = Step::Action(pb::PlannedAction {
                action: name.clone(),
                word: word.clone(),
                owner: owner.clone(),
                person: reference(&labels, person)?,
                what: what.clone(),
                due_at_unix_ms: ms(*due),
                ..pb::PlannedAction::default()
            });
            record(enquiry, step, to, output).await
        }
        LifeCommand::Progress { enquiry, action, state, note, to } => {
            let (action, state, note) = (action.clone(), state.clone(), note.clone());
            let step = Step::Progress(pb::ActionProgress { action, state, note });
            record(enquiry, step, to, output).await
        }
        LifeCommand::Lead { enquiry, agency, role, to } => {
            let (agency, role) = (agency.to_string(), role.clone());
            let step = Step::Lead(pb::Lead { agency, role, ..pb::Lead::default() });
            record(enquiry, step, to, output).await
        }
        LifeCommand::Meeting { enquiry, chair, present, dialled_in, at, agreed, to } => {
            let names = |all: &[AgencyId]| all.iter().map(ToString::to_string).collect();
            let step = Step::Meeting(pb::Meeting {
                chair: chair.to_string(),
                present: names(present),
                dialled_in: names(dialled_in),
                at_unix_ms: ms(*at),
                agreed: agreed.clone(),
                ..pb::Meeting::default()
            });
            record(enquiry, step, to, output).await
        }
        LifeCommand::Waive { enquiry, agency, person, reason, to } => {
            let person = reference(&labels(enquiry, to).await?, person)?;
            let (agency, reason) = (agency.to_string(), reason.clone());
            let step = Step::Waiver(pb::Waiver { agency, person, reason });
            record(enquiry, step, to, output).await
        }
        LifeCommand::History { enquiry, agency, contacts, last_closed, to } => {
            let step = Step::History(pb::History {
                agency: agency.to_string(),
                contacts: *contacts,
                last_closed_at_unix_ms: ms(*last_closed),
            });
            record(enquiry, step, to, output).await
        }
        LifeCommand::Close { enquiry, outcome, reason, to } => {
            let (outcome, reason) = (outcome.clone(), reason.clone());
            let request = pb::CloseRequest { enquiry: enquiry.to_string(), outcome, reason };
            let closed = answered(hub(to)?.close(within(request)).await)?.closed;
            let said = if closed {
                "Closed and recorded."
            } else {
                "Recorded. It is closed once a second person says the same."
            };
            tell(output, to, &serde_json::json!({ "closed": closed }), said)
        }
        LifeCommand::Agenda { limit, to } => {
            let agenda =
                answered(hub(to)?.agenda(within(pb::AgendaRequest { limit: *limit })).await)?;
            if to.json {
                print(output, &render::agenda_json(&agenda))?;
            } else {
                write!(output.out, "{}", render::agenda_text(&agenda, output.paint))?;
            }
            Ok(())
        }
    }
}

async fn labels(enquiry: &EnquiryRef, to: &To) -> Result<Labels, Stop> {
    Ok(Labels::of(&show(&mut hub(to)?, enquiry).await?))
}

async fn record(
    enquiry: &EnquiryRef,
    step: Step,
    to: &To,
    output: &mut Output<'_>,
) -> Result<(), Stop> {
    let request = pb::RecordRequest { enquiry: enquiry.to_string(), step: Some(step) };
    answered(hub(to)?.record(within(request)).await)?;
    tell(output, to, &serde_json::json!({ "recorded": true }), "Recorded.")
}

fn tell(
    output: &mut Output<'_>,
    to: &To,
    document: &serde_json::Value,
    said: &str,
) -> Result<(), Stop> {
    if to.json {
        print(output, document)?;
    } else {
        writeln!(output.out, "{said}")?;
    }
    Ok(())
}

fn ms(at: Option<Timestamp>) -> i64 {
    at.map_or(0, Timestamp::as_millisecond)
}
