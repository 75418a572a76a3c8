//! The commands of the `agency-node` program, and how they end.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use brag_common::{
    audit::command::{self as log_command, LogCommand},
    backup::command::{self as backup_command, BackupArgs, MakeArgs, RestoreArgs},
    certificate::command::CertificateCommand,
    console::command::AccountCommand,
    erasure::{
        command::{self as erasure, EraseArgs, ErasureCommand, HoldCommand},
        report,
    },
    program::{LOG_FOLDER, Surroundings},
    time::SystemClock,
    wire::audit::command::AlertCommand,
};
use clap::{Args, Parser};
use serde::Serialize;

use crate::{
    agreement_command::{self, AgreementCommand},
    backup,
    check_command::{self, CheckArgs},
    config::Config,
    connector_command::{self, ConnectorCommand},
    desk_command::{self, DeskCommand},
    doctor_command::{self, DoctorArgs},
    init_command::{self, InitArgs},
    key_command::{self, KeyCommand},
    match_command::{self, MatchCommand},
    records_command::{self, EnrolArgs, ImportArgs},
    serve_command::{self, ServeArgs},
};

/// The BRAG exchange's agency node: keeps the agency's records, answers the hub with colours, and releases
/// detail only when the signed agreement allows it.
///
/// Exit codes: 0 done, 1 failed, 2 not a valid command, 3 refused by the agreement or a rule, 4 a signature
/// or the log does not verify. With --json, a command prints one JSON document on standard output.
#[derive(Debug, Parser)]
#[command(name = "agency-node", version, max_term_width = 100)]
pub enum Cli {
    /// Make the configuration and keys of a new node
    ///
    /// Writes DIR/agency-node.toml, five key files in DIR/keys, and DIR/tls with a key and a request for its certificate; prints the block that the partnership
    /// puts into the agreement for this agency. Never overwrites anything.
    ///
    /// Example: agency-node init /etc/brag --agency CSC --trust-domain exampleshire
    #[command(verbatim_doc_comment)]
    Init(InitArgs),
    /// Check everything a node needs before it serves
    ///
    /// Looks at the configuration, keys, agreement, certificates, data folder and addresses, and says all that
    /// is wrong at once, with what to do about it. Changes nothing.
    ///
    /// Example: agency-node check-config --config /etc/brag/agency-node.toml
    #[command(verbatim_doc_comment)]
    CheckConfig(CheckArgs),
    /// Say what is wrong with this node or about to be, and how to mend it
    ///
    /// Looks at configuration, clock, disk, files, store, log, certificates, agreement, enrolment and the hub. Changes nothing, and
    /// may run beside the node. Exit 1 when something is to be done. docs/doctor.md explains every finding.
    ///
    /// Example: agency-node doctor --config /etc/brag/agency-node.toml
    #[command(verbatim_doc_comment)]
    Doctor(DoctorArgs),
    /// Request, install and show the node's certificate, while the node runs
    ///
    /// Example: agency-node certificate show --config /etc/brag/agency-node.toml
    #[command(subcommand, verbatim_doc_comment)]
    Certificate(CertificateCommand),
    /// Serve the hub and the agency's staff until SIGINT or SIGTERM
    ///
    /// Messages go to standard error. On a signal no new calls are taken, those under way may finish, and the
    /// program exits with 0.
    ///
    /// An agency that is a party of several partnerships names the configuration of each: one process serves them all, each with keys,
    /// agreement, log and addresses of its own. docs/agency-it.md says how.
    ///
    /// Examples:
    ///   agency-node serve --config /etc/brag/agency-node.toml
    ///   agency-node serve --config /etc/brag/east/agency-node.toml --config /etc/brag/west/agency-node.toml
    #[command(verbatim_doc_comment)]
    Serve(ServeArgs),
    /// Load people, entries and standing ratings from files
    ///
    /// The node has to be stopped. A bad row is rejected with file, line and reason, and the rest loads; then
    /// the exit code is 1. Running it twice changes nothing. docs/agency-it.md describes the files.
    ///
    /// Example: agency-node import people.csv entries.jsonl --rejects rejects.csv
    #[command(verbatim_doc_comment)]
    Import(ImportArgs),
    /// Look at, try and run the connectors by which records come from the agency's own systems
    ///
    /// A running node runs each by itself. docs/connectors.md describes them.
    ///
    /// Example: agency-node connector test housing --config /etc/brag/agency-node.toml
    #[command(subcommand, verbatim_doc_comment)]
    Connector(ConnectorCommand),
    /// Enrol new and changed people with the hub, so that its queries can find them
    ///
    /// The node has to be stopped. The hub evaluates keys that it can not read. A run that was interrupted goes
    /// on where it was.
    ///
    /// Example: agency-node enrol --config /etc/brag/agency-node.toml
    #[command(verbatim_doc_comment)]
    Enrol(EnrolArgs),
    /// Measure how well people would be found, learn weights, list likely duplicates
    ///
    /// Works on files, or on the store of a stopped node. docs/matching.md says what the measures mean.
    ///
    /// Example: agency-node match eval --left a.csv --right b.csv --truth t.csv
    #[command(subcommand, verbatim_doc_comment)]
    Match(MatchCommand),
    /// Sign, install and list versions of the information sharing agreement
    ///
    /// Example: agency-node agreement sign agreement.toml --out csc.note
    #[command(subcommand, verbatim_doc_comment)]
    Agreement(AgreementCommand),
    /// Make new keys beside those in use, while the node runs
    ///
    /// Example: agency-node keys rotate-store
    #[command(subcommand, verbatim_doc_comment)]
    Keys(KeyCommand),
    /// What assessors and approvers do
    #[command(flatten)]
    Desk(DeskCommand),
    /// Keep enquiries from being erased, at a running node; needs the role governance
    ///
    /// Example: agency-node hold set ENQUIRY --reason "Subject of a court case." --profile me.toml
    #[command(subcommand, verbatim_doc_comment)]
    Hold(HoldCommand),
    /// Erase an enquiry at a running node, for good: one person asks, another confirms; needs the role governance
    ///
    /// Everything the node keeps of it, in its store and in every copy of it, becomes unreadable. The agency's own records stay.
    ///
    /// Examples:
    ///   agency-node erase ENQUIRY --reason "The hub opened it about the wrong family." --profile me.toml
    ///   agency-node erase ENQUIRY --confirm --profile colleague.toml
    #[command(verbatim_doc_comment)]
    Erase(EraseArgs),
    /// Report what was erased; needs no running node
    ///
    /// Example: agency-node erasure report --config /etc/brag/agency-node.toml
    #[command(subcommand, verbatim_doc_comment)]
    Erasure(ErasureCommand),
    /// Make a backup of the node, which may run or be stopped; or a recovery key, or verify a backup
    ///
    /// It is sealed to the recovery key of the configuration, whose private half is not on this machine. The keys of enquiries
    /// go to a file of their own. docs/backup.md has the schedule, the drill and what to do after a loss.
    ///
    /// Example: agency-node backup --to /backup/csc.backup --enquiry-keys-to /keys/csc.keys --config agency-node.toml
    #[command(verbatim_doc_comment)]
    Backup(BackupArgs),
    /// Put a backup back into an empty folder, verified; exit 4 when it or anything in it does not verify
    ///
    /// The log goes on in a new shard that names what is missing.
    ///
    /// Example: agency-node restore FILE --recovery-key recovery.key --enquiry-keys KEYS --into /srv/brag
    #[command(verbatim_doc_comment)]
    Restore(RestoreArgs),
    /// List alerts, say how one was handled, and read the log, at a running node; for auditors
    ///
    /// Needs your profile and the role auditor.
    ///
    /// Example: agency-node alert list --open
    #[command(subcommand, verbatim_doc_comment)]
    Alert(AlertCommand),
    /// Invite staff to set up accounts for the console, lock and list accounts; needs no stopped node
    ///
    /// Example: agency-node account invite j.okafor --config /etc/brag/agency-node.toml
    #[command(subcommand, verbatim_doc_comment)]
    Account(AccountCommand),
    /// Verify, show, prove, compare or export the audit log; needs no running node
    ///
    /// Example: agency-node log verify data/log/1
    #[command(subcommand, verbatim_doc_comment)]
    Log(LogCommand),
}

/// The option that names the configuration.
#[derive(Debug, Args)]
pub struct ConfigArg {
    /// The node's configuration
    #[arg(long, value_name = "FILE", default_value = "./agency-node.toml")]
    config: PathBuf,
}

impl ConfigArg {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.config
    }
}

/// The option that names the configuration of each partnership.
#[derive(Debug, Args)]
pub struct ConfigsArg {
    /// The node's configuration; given several times, one for each partnership, which share `[records]`
    #[arg(long, value_name = "FILE", default_value = "./agency-node.toml")]
    config: Vec<PathBuf>,
}

impl ConfigsArg {
    /// The files, at least one.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        &self.config
    }
}

/// How a command ended, as an exit code that scripts rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Failed, or done in part: a row was rejected, a check found something.
    Failed,
    /// Not a valid command.
    Usage,
    /// Refused by the agreement or a rule.
    Refused,
    /// A log or a signature does not verify.
    NotVerified,
}

impl Exit {
    /// The exit that a command of both programs gives as a code.
    pub(crate) const fn of(code: u8) -> Self {
        match code {
            log_command::DONE => Self::Done,
            erasure::REFUSED => Self::Refused,
            log_command::NOT_VERIFIED => Self::NotVerified,
            _ => Self::Failed,
        }
    }

    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NotVerified => 4,
        }
    }
}

/// Runs a command to its end, on this machine's clock.
///
/// # Errors
/// When it fails; the error says what and where.
pub fn run(cli: Cli, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    run_in(cli, Surroundings::of_this_machine(Arc::new(SystemClock)), stdout)
}

/// As [`run`], in surroundings of the caller's: what works on stores and what serves goes by their clock. What a person
/// calls a running program with goes by the machine's.
///
/// # Errors
/// As [`run`].
pub fn run_in(cli: Cli, around: Surroundings, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let clock = Arc::clone(&around.clock);
    match cli {
        Cli::Init(args) => init_command::run(&args, stdout),
        Cli::CheckConfig(args) => check_command::run(&args, &clock, stdout),
        Cli::Doctor(args) => doctor_command::run(&args, &clock, stdout),
        Cli::Certificate(command) => doctor_command::certificate(&command, &clock, stdout),
        Cli::Serve(args) => {
            runtime()?.block_on(serve_command::run(&args, around))?;
            Ok(Exit::Done)
        }
        Cli::Import(args) => runtime()?.block_on(records_command::import(args, clock, stdout)),
        Cli::Connector(command) => {
            runtime()?.block_on(connector_command::run(command, clock, stdout))
        }
        Cli::Enrol(args) => runtime()?.block_on(records_command::enrol(&args, clock, stdout)),
        Cli::Match(command) => runtime()?.block_on(match_command::run(&command, stdout)),
        Cli::Agreement(command) => agreement_command::run(&command, stdout),
        Cli::Keys(command) => key_command::run(&command, stdout),
        Cli::Desk(command) => runtime()?.block_on(desk_command::run(command, stdout)),
        Cli::Hold(command) => {
            let mut err = std::io::stderr();
            Ok(Exit::of(runtime()?.block_on(erasure::hold(&command, stdout, &mut err))?))
        }
        Cli::Erase(args) => {
            let mut err = std::io::stderr();
            Ok(Exit::of(runtime()?.block_on(erasure::erase(&args, stdout, &mut err))?))
        }
        Cli::Erasure(ErasureCommand::Report { config, json }) => {
            let config = Config::load(&config)?;
            let logs = config.data.as_path().join(LOG_FOLDER);
            Ok(Exit::of(report::run(&logs, &config.enquiry_key_folder(), json, stdout)?))
        }
        Cli::Backup(args) => match args.command {
            Some(command) => Ok(Exit::of(backup_command::run(&command, stdout)?)),
            None => runtime()?.block_on(make_backup(args.make, around, stdout)),
        },
        Cli::Restore(args) => {
            let check = |file: &Path| backup::check(file, &clock);
            let code = backup_command::restore(&args, "agency-node", &around, check, stdout)?;
            Ok(Exit::of(code))
        }
        Cli::Alert(command) => runtime()?.block_on(desk_command::alert(&command, stdout)),
        Cli::Account(command) => {
            let config = Config::load(command.config())?;
            let staff: Vec<_> = config.staff.into_iter().map(|listed| listed.name).collect();
            command.run(config.data.as_path(), &staff, &clock, stdout)?;
            Ok(Exit::Done)
        }
        Cli::Log(command) => Ok(Exit::of(log_command::run(&command, stdout)?)),
    }
}

async fn make_backup(
    args: MakeArgs,
    around: Surroundings,
    stdout: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let file = args.config.clone().unwrap_or_else(|| PathBuf::from("./agency-node.toml"));
    let config = Config::load(&file)?;
    let (data, party) = (config.data.clone(), config.agency.to_string());
    let clock = Arc::clone(&around.clock);
    let open = || backup::of_stopped(config, &file, clock);
    let made = backup_command::make(&args, data.as_path(), &party, &around, open, stdout);
    Ok(Exit::of(made.await?))
}

/// Prints the one document of a command with `--json`.
///
/// # Errors
/// When standard output can not be written.
pub(crate) fn print_json(stdout: &mut dyn Write, document: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *stdout, document)?;
    writeln!(stdout)?;
    Ok(())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
