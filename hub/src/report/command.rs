//! `hub report`: reads files, writes one document. It needs no running program and no network, but for `subject-access`, which calls a
//! running hub.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use brag_common::{
    audit::entry::{Digest, Entry, Party},
    id::AgencyId,
};
use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;

use super::{
    answers::Answers,
    article_30::article_30,
    count::Figures,
    csv::csv,
    document::Document,
    dpia::{Evidence, dpia},
    exchanges::Exchanges,
    explain::explain,
    happened,
    html::html,
    json::json,
    logs::Log,
    nfa_audit::{Closings, nfa_audit},
    period::{Month, Period},
    policy::policy,
    signed::{NotSigned, Signed},
    subject_access::command::{self as subject_access, SubjectAccessCommand},
    text::text,
    waiting::{self, Times},
};
use crate::agreement_command::Exit;

mod performance;

use performance::{PerformanceArgs, ReAuditArgs, make_performance, make_re_audit};

/// Which document to make.
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// Evidence for the data protection impact assessment, from the logs and the agreement
    ///
    /// Follows the seven steps of the Information Commissioner's Office; what only people can write is left open and marked.
    /// --shared withholds small figures. --explain lists the log entries behind one figure.
    ///
    /// Example: hub report dpia --log logs/hub --node-log logs/CSC --keys keys --agreement agreement.note --month 2027-02
    #[command(verbatim_doc_comment)]
    Dpia(DpiaArgs),
    /// The record of processing activities of each controller (Article 30), from the agreement
    ///
    /// Example: hub report article-30 --agreement agreement.note --agency CSC --format html --out csc.html
    #[command(name = "article-30", verbatim_doc_comment)]
    Article30(Article30Args),
    /// The appropriate policy document (DPA 2018 Schedule 1 Part 4), from the agreement
    ///
    /// Example: hub report policy --agreement agreement.note --format html --out policy.html
    #[command(verbatim_doc_comment)]
    Policy(PolicyArgs),
    /// Every enquiry that was closed: by whom, why, and which answers were missing
    ///
    /// Example: hub report nfa-audit --log logs/hub --agreement agreement.note --month 2027-02
    #[command(name = "nfa-audit", verbatim_doc_comment)]
    NfaAudit(NfaArgs),
    /// Answer a person who asks what is held about them (Article 15), at a running hub; needs the role auditor
    ///
    /// One asks, others approve the draft, then it is issued. Each step is recorded in the hub's log.
    ///
    /// Example: hub report subject-access ask person.toml --profile me.toml
    #[command(subcommand, name = "subject-access", verbatim_doc_comment)]
    SubjectAccess(SubjectAccessCommand),
    /// How the exchange works: how soon agencies answer, how they rate, how enquiries end
    ///
    /// From the hub's log; with --config also what only its store has (colours, first colours, times of incidents). --shared withholds
    /// small figures. --explain lists the log entries behind one figure.
    ///
    /// Example: hub report performance --log logs/hub --agreement agreement.note --month 2027-02 --format html --out february.html
    #[command(verbatim_doc_comment)]
    Performance(PerformanceArgs),
    /// Enquiries that were closed twelve months before, for the follow-up audit
    ///
    /// From the hub's log; with --config also whether the same people were in a later enquiry.
    ///
    /// Example: hub report re-audit --log logs/hub --month 2028-02
    #[command(name = "re-audit", verbatim_doc_comment)]
    ReAudit(ReAuditArgs),
}

/// Which days.
#[derive(Debug, Args)]
pub struct Days {
    /// A month, for example 2027-02
    #[arg(long, value_name = "MONTH", required_unless_present = "from", conflicts_with_all = ["from", "to"])]
    month: Option<Month>,
    /// The first day, for example 2027-02-01; local time in the United Kingdom
    #[arg(long, value_name = "DATE", requires = "to")]
    from: Option<Date>,
    /// The last day, which is part of the report
    #[arg(long, value_name = "DATE", requires = "from")]
    to: Option<Date>,
}

impl Days {
    fn period(&self) -> anyhow::Result<Period> {
        match (self.month, self.from, self.to) {
            (Some(Month(period)), _, _) => Ok(period),
            (None, Some(from), Some(to)) => Ok(Period::days(from, to)?),
            // Clap has seen to it that there is one or the other.
            (None, _, _) => anyhow::bail!("give --month, or --from and --to"),
        }
    }
}

/// In which form, and where to.
#[derive(Debug, Args)]
pub struct Form {
    /// The form of the document
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
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
    /// One line for each cell, for a spreadsheet
    Csv,
    /// One JSON document
    Json,
}

/// Where the logs are.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// The hub's log: the folder with the `.seg` files, or the one with the shards in it, or a copy
    #[arg(long, value_name = "DIR")]
    log: PathBuf,
    /// A folder with the logs' public keys that you keep: `hub.pub`, `CSC.pub` and so on; without it the keys beside the logs are
    /// believed
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
}

/// What `report dpia` is told.
#[derive(Debug, Args)]
pub struct DpiaArgs {
    #[command(flatten)]
    logs: LogArgs,
    /// The log of a node, or a copy of it; as often as there are logs
    #[arg(long, value_name = "DIR")]
    node_log: Vec<PathBuf>,
    /// The agreement: the signed note, or its text
    #[arg(long, value_name = "FILE")]
    agreement: PathBuf,
    #[command(flatten)]
    days: Days,
    #[command(flatten)]
    form: Form,
    /// The form for others: small figures are withheld, and what would give them away
    #[arg(long)]
    shared: bool,
    /// Instead of the document, the log entries behind this figure
    #[arg(long, value_name = "FIGURE", conflicts_with = "shared")]
    explain: Option<String>,
}

/// What `report article-30` is told.
#[derive(Debug, Args)]
pub struct Article30Args {
    /// The agreement: the signed note, or its text
    #[arg(long, value_name = "FILE")]
    agreement: PathBuf,
    /// Only the record of this party
    #[arg(long, value_name = "ID")]
    agency: Option<AgencyId>,
    /// The hub's log, to say how often
    #[arg(long, value_name = "DIR", requires = "counted")]
    log: Option<PathBuf>,
    /// A folder with the logs' public keys that you keep
    #[arg(long, value_name = "DIR", requires = "log")]
    keys: Option<PathBuf>,
    /// With --log: the month that is counted, for example 2027-02
    #[arg(long, value_name = "MONTH", requires = "log", id = "counted")]
    month: Option<Month>,
    #[command(flatten)]
    form: Form,
}

/// What `report policy` is told.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    /// The agreement: the signed note, or its text
    #[arg(long, value_name = "FILE")]
    agreement: PathBuf,
    #[command(flatten)]
    form: Form,
}

/// What `report nfa-audit` is told.
#[derive(Debug, Args)]
pub struct NfaArgs {
    #[command(flatten)]
    logs: LogArgs,
    /// The agreement, which says whose answers are required: the signed note, or its text
    #[arg(long, value_name = "FILE")]
    agreement: Option<PathBuf>,
    #[command(flatten)]
    days: Days,
    #[command(flatten)]
    form: Form,
}

/// Makes a document. A log that does not verify makes one up to its first wrong entry, and ends with exit code 4.
///
/// # Errors
/// When a file can not be read or written, or is not what it should be.
pub fn run(command: &ReportCommand, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let made = match command {
        ReportCommand::Dpia(args) => make_dpia(args, stdout),
        ReportCommand::Article30(args) => make_article_30(args, stdout),
        ReportCommand::Policy(args) => {
            let document = policy(&Signed::read(&args.agreement)?);
            write_out(&document, &args.form, stdout).map(|()| Exit::Done)
        }
        ReportCommand::NfaAudit(args) => make_nfa_audit(args, stdout),
        ReportCommand::SubjectAccess(command) => subject_access::run(command, stdout),
        ReportCommand::Performance(args) => make_performance(args, stdout),
        ReportCommand::ReAudit(args) => make_re_audit(args, stdout),
    };
    match made {
        Err(error) if error.is::<NotSigned>() => {
            writeln!(std::io::stderr(), "hub: {error:#}")?;
            Ok(Exit::VerificationFailed)
        }
        made => made,
    }
}

fn make_dpia(args: &DpiaArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let (signed, period) = (Signed::read(&args.agreement)?, args.days.period()?);
    let mut logs = vec![hub_log(&args.logs)?];
    for dir in &args.node_log {
        let log = Log::open(dir, args.logs.keys.as_deref())?;
        anyhow::ensure!(
            logs.iter().all(|known| known.party() != log.party()),
            "`{}` is the log of {}, which was given already",
            dir.display(),
            log.party()
        );
        logs.push(log);
    }
    let counted = Counted::of(&logs, &signed, &period)?;
    let exit = exit_of(&logs);
    if let Some(name) = &args.explain {
        explained(&counted.figures, name, &args.form, stdout)?;
        return Ok(exit);
    }
    let document = dpia(&counted.evidence(&signed, &logs, period), args.shared);
    write_out(&document, &args.form, stdout)?;
    Ok(exit)
}

fn make_article_30(args: &Article30Args, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let signed = Signed::read(&args.agreement)?;
    if let Some(id) = &args.agency {
        anyhow::ensure!(
            signed.agreement.party(id).is_some(),
            "`{id}` is not a party to {}",
            signed.agreement.id()
        );
    }
    let (mut figures, mut exit) = (None, Exit::Done);
    if let (Some(dir), Some(Month(period))) = (&args.log, args.month) {
        let logs = [hub_log(&LogArgs { log: dir.clone(), keys: args.keys.clone() })?];
        figures = Some(Counted::of(&logs, &signed, &period)?.figures);
        exit = exit_of(&logs);
    }
    let document = article_30(&signed, args.agency.as_ref(), figures.as_ref());
    write_out(&document, &args.form, stdout)?;
    Ok(exit)
}

fn make_nfa_audit(args: &NfaArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let period = args.days.period()?;
    let signed = args.agreement.as_deref().map(Signed::read).transpose()?;
    let agreement = signed.as_ref().map(|signed| &signed.agreement);
    let log = hub_log(&args.logs)?;
    let closings = Closings::of(&log, agreement, &period)?;
    let document = nfa_audit(&closings, &log, agreement.is_some(), &period);
    write_out(&document, &args.form, stdout)?;
    Ok(exit_of(&[log]))
}

/// What was counted in logs.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) figures: Figures,
    pub(crate) times: Times,
    pub(crate) under_other_versions: u64,
    pub(crate) test_entries: bool,
}

impl Counted {
    pub(crate) fn of(logs: &[Log], signed: &Signed, period: &Period) -> anyhow::Result<Self> {
        let mut figures = Figures::default();
        happened::declare(&mut figures);
        let (mut exchanges, mut answers) = (Exchanges::default(), Answers::default());
        let (mut under_other_versions, mut test_entries) = (0, false);
        for log in logs {
            log.read(|entry: &Entry| {
                if !period.reaches(entry.ts) {
                    return;
                }
                test_entries |= entry.test_env;
                happened::count(entry, period, &mut figures);
                if *log.party() == Party::Hub {
                    exchanges.read(entry);
                    answers.read(entry);
                    let other = entry.agreement.as_ref().is_some_and(|stamp| {
                        Digest::from_bytes(*stamp.digest.as_bytes()) != signed.digest
                    });
                    under_other_versions += u64::from(other);
                }
            })?;
        }
        exchanges.count(&signed.agreement, period, &mut figures);
        answers.count(period, &mut figures);
        let times = waiting::measure(&exchanges, &answers, period, &mut figures);
        Ok(Self { figures, times, under_other_versions, test_entries })
    }

    /// What the assessment rests on: what was counted in these logs, of this period.
    pub(crate) fn evidence<'a>(
        &'a self,
        signed: &'a Signed,
        logs: &'a [Log],
        period: Period,
    ) -> Evidence<'a> {
        Evidence {
            signed,
            logs,
            under_other_versions: self.under_other_versions,
            test_entries: self.test_entries,
            period,
            figures: &self.figures,
            times: &self.times,
        }
    }
}

fn hub_log(args: &LogArgs) -> anyhow::Result<Log> {
    let log = Log::open(&args.log, args.keys.as_deref())?;
    anyhow::ensure!(
        *log.party() == Party::Hub,
        "`{}` is the log of {}; give the hub's with --log",
        args.log.display(),
        log.party()
    );
    Ok(log)
}

fn exit_of(logs: &[Log]) -> Exit {
    if logs.iter().all(Log::is_in_order) { Exit::Done } else { Exit::VerificationFailed }
}

/// Writes the entries behind a figure in the place of the document.
fn explained(
    figures: &Figures,
    name: &str,
    form: &Form,
    stdout: &mut dyn Write,
) -> anyhow::Result<()> {
    let Some((id, figure)) = figures.named(name) else {
        anyhow::bail!(
            "there is no figure `{name}` in this report; the names stand beside the figures"
        );
    };
    let explained = explain(id, figure, form.json || form.format == Format::Json)?;
    write_bytes(explained.as_bytes(), form.out.as_deref(), stdout)
}

fn write_out(document: &Document, form: &Form, stdout: &mut dyn Write) -> anyhow::Result<()> {
    let format = if form.json { Format::Json } else { form.format };
    let bytes = match format {
        Format::Text => text(document).into_bytes(),
        Format::Html => html(document).into_bytes(),
        Format::Csv => csv(document)?,
        Format::Json => format!("{:#}\n", json(document)).into_bytes(),
    };
    write_bytes(&bytes, form.out.as_deref(), stdout)
}

/// Writes to a file, or to standard output.
///
/// # Errors
/// When it can not be written.
pub(super) fn write_bytes(
    bytes: &[u8],
    out: Option<&Path>,
    stdout: &mut dyn Write,
) -> anyhow::Result<()> {
    match out {
        Some(out) => fs::write(out, bytes).with_context(|| format!("writing {}", out.display())),
        None => Ok(stdout.write_all(bytes)?),
    }
}

#[cfg(test)]
mod tests;
