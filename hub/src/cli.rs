//! The commands of the `hub` program, and how they end.

use std::{
    io::{IsTerminal as _, Write},
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
use clap::Parser;

use crate::{
    agreement_command::{self, AgreementCommand, Exit},
    backup,
    check_command::{self, CheckArgs},
    config::Config,
    doctor_command::{self, DoctorArgs},
    enquiry_command::{self, EnquiryCommand, Output},
    init_command::{self, InitArgs},
    key_command::{self, KeyCommand},
    life_command::{self, WordsArgs},
    render::Paint,
    report::command::{self as report_command, ReportCommand},
    serve_command::{self, ServeArgs},
    witness_command::{self, WitnessCommand},
};

/// The BRAG exchange's hub: opens enquiries, asks every agency, keeps the matrix, and relays what it can
/// not read.
///
/// Exit codes: 0 done, 1 failed, 2 not a valid command, 3 refused by the agreement or a rule, 4 a signature
/// or the log does not verify.
#[derive(Debug, Parser)]
#[command(name = "hub", version, max_term_width = 100)]
pub enum Cli {
    /// Set up a hub's folder: configuration and new keys
    ///
    /// Prints the [hub.keys] block for the agreement. Nothing that is there is overwritten.
    ///
    /// Example: hub init /etc/brag/hub --trust-domain exampleshire
    #[command(verbatim_doc_comment)]
    Init(InitArgs),
    /// Check the configuration and everything it names, without starting
    ///
    /// Keys and their modes, certificates, the agreement's signatures and dates, an endpoint for every party,
    /// a data folder that can be written: all problems at once, each with what to do. Exit 1 when there are any.
    ///
    /// Example: hub check-config --config /etc/brag/hub/hub.toml
    #[command(verbatim_doc_comment)]
    CheckConfig(CheckArgs),
    /// Say what is wrong with this hub or about to be, and how to mend it
    ///
    /// Looks at configuration, clock, disk, files, store, log, certificates, agreement and every node. Changes nothing, and may run
    /// beside the hub. Exit 1 when something is to be done. docs/doctor.md explains every finding.
    ///
    /// Example: hub doctor --config /etc/brag/hub/hub.toml
    #[command(verbatim_doc_comment)]
    Doctor(DoctorArgs),
    /// Request, install and show the hub's certificate, while the hub runs
    ///
    /// Example: hub certificate show --config /etc/brag/hub/hub.toml
    #[command(subcommand, verbatim_doc_comment)]
    Certificate(CertificateCommand),
    /// Serve nodes and co-ordinators until SIGINT or SIGTERM
    ///
    /// Messages go to standard error. On a signal no new calls are taken, those under way may finish, and
    /// the program exits with 0.
    ///
    /// Example: hub serve --config /etc/brag/hub.toml
    #[command(verbatim_doc_comment)]
    Serve(ServeArgs),
    /// Check, sign or try out an information sharing agreement; needs no running hub
    #[command(subcommand)]
    Agreement(AgreementCommand),
    /// Make new keys beside those in use, while the hub runs
    #[command(subcommand)]
    Keys(KeyCommand),
    /// Open, show, list and follow enquiries, and request detail, at a running hub
    ///
    /// Needs a profile: a TOML file with `endpoint`, `server`, and `[tls]` with your certificate. Give it with
    /// --profile or in BRAG_PROFILE.
    #[command(subcommand, verbatim_doc_comment)]
    Enquiry(EnquiryCommand),
    /// List the words of the trade in which the life of an enquiry is recorded; needs no running hub
    ///
    /// Example: hub words
    #[command(verbatim_doc_comment)]
    Words(WordsArgs),
    /// Keep enquiries from being erased, at a running hub; needs the role governance
    ///
    /// Example: hub hold set ENQUIRY --reason "Subject of a court case." --profile me.toml
    #[command(subcommand, verbatim_doc_comment)]
    Hold(HoldCommand),
    /// Erase an enquiry at a running hub, for good: one person asks, another confirms; needs the role governance
    ///
    /// Everything the hub keeps of it, in its store and in every copy of it, becomes unreadable. Agencies erase theirs themselves.
    ///
    /// Examples:
    ///   hub erase ENQUIRY --reason "Opened about the wrong family." --profile me.toml
    ///   hub erase ENQUIRY --confirm --profile colleague.toml
    #[command(verbatim_doc_comment)]
    Erase(EraseArgs),
    /// Report what was erased; needs no running hub
    ///
    /// Example: hub erasure report --config /etc/brag/hub/hub.toml
    #[command(subcommand, verbatim_doc_comment)]
    Erasure(ErasureCommand),
    /// Make a backup of the hub, which may run or be stopped; or a recovery key, or verify a backup
    ///
    /// It is sealed to the recovery key of the configuration, whose private half is not on this machine. The keys of enquiries
    /// go to a file of their own. docs/backup.md has the schedule, the drill and what to do after a loss.
    ///
    /// Example: hub backup --to /backup/hub.backup --enquiry-keys-to /keys/hub.keys --config hub.toml
    #[command(verbatim_doc_comment)]
    Backup(BackupArgs),
    /// Put a backup back into an empty folder, verified; exit 4 when it or anything in it does not verify
    ///
    /// The log goes on in a new shard that names what is missing.
    ///
    /// Example: hub restore FILE --recovery-key recovery.key --enquiry-keys KEYS --into /srv/brag
    #[command(verbatim_doc_comment)]
    Restore(RestoreArgs),
    /// List alerts, say how one was handled, and read the log, at a running hub; for auditors
    ///
    /// Needs a profile, as `enquiry` does, and the role auditor.
    ///
    /// Example: hub alert list --open --profile me.toml
    #[command(subcommand, verbatim_doc_comment)]
    Alert(AlertCommand),
    /// Invite staff to set up accounts for the console, lock and list accounts; needs no stopped hub
    ///
    /// Example: hub account invite j.okafor --config /etc/brag/hub/hub.toml
    #[command(subcommand, verbatim_doc_comment)]
    Account(AccountCommand),
    /// Verify, show, prove, compare or export the audit log; needs no running hub
    ///
    /// Example: hub log verify data/log/1 --key-file hub-log.pub
    #[command(subcommand, verbatim_doc_comment)]
    Log(LogCommand),
    /// Set up and run a witness of the logs that is no party, for information governance
    #[command(subcommand)]
    Witness(WitnessCommand),
    /// Make the documents of information governance; all but subject-access from logs and agreement, without a running hub
    #[command(subcommand)]
    Report(ReportCommand),
}

/// Runs a command to its end, on this machine's clock.
///
/// # Errors
/// When it fails; the error says what and where.
pub fn run(cli: &Cli, stdout: &mut dyn Write) -> anyhow::Result<u8> {
    run_in(cli, Surroundings::of_this_machine(Arc::new(SystemClock)), stdout)
}

/// As [`run`], in surroundings of the caller's: what works on stores and what serves goes by their clock. What a person
/// calls a running program with goes by the machine's.
///
/// # Errors
/// As [`run`].
pub fn run_in(cli: &Cli, around: Surroundings, stdout: &mut dyn Write) -> anyhow::Result<u8> {
    let clock = Arc::clone(&around.clock);
    let exit = match cli {
        Cli::Init(args) => init_command::run(args, stdout)?,
        Cli::CheckConfig(args) => check_command::run(args, &clock, stdout)?,
        Cli::Doctor(args) => doctor_command::run(args, &clock, stdout)?,
        Cli::Certificate(command) => return doctor_command::certificate(command, &clock, stdout),
        Cli::Serve(args) => {
            runtime()?.block_on(serve_command::run(args, around))?;
            Exit::Done
        }
        Cli::Agreement(command) => agreement_command::run(command, stdout)?,
        Cli::Keys(command) => key_command::run(command, stdout)?,
        Cli::Enquiry(command) => {
            let mut output = Output { out: stdout, err: &mut std::io::stderr(), paint: paint() };
            runtime()?.block_on(enquiry_command::run(command, &mut output))?
        }
        Cli::Words(args) => {
            life_command::words(args, stdout)?;
            Exit::Done
        }
        Cli::Hold(command) => {
            return runtime()?.block_on(erasure::hold(command, stdout, &mut std::io::stderr()));
        }
        Cli::Erase(args) => {
            return runtime()?.block_on(erasure::erase(args, stdout, &mut std::io::stderr()));
        }
        Cli::Erasure(ErasureCommand::Report { config, json }) => {
            let config = Config::load(config)?;
            let logs = config.data.as_path().join(LOG_FOLDER);
            return report::run(&logs, &config.enquiry_key_folder(), *json, stdout);
        }
        Cli::Backup(args) => {
            return match &args.command {
                Some(command) => backup_command::run(command, stdout),
                None => runtime()?.block_on(make_backup(&args.make, around, stdout)),
            };
        }
        Cli::Restore(args) => {
            let check = |file: &Path| backup::check(file, &clock);
            return backup_command::restore(args, "hub", &around, check, stdout);
        }
        Cli::Alert(command) => {
            let mut output = Output { out: stdout, err: &mut std::io::stderr(), paint: paint() };
            runtime()?.block_on(enquiry_command::alert(command, &mut output))?
        }
        Cli::Account(command) => {
            let config = Config::load(command.config())?;
            let staff: Vec<_> = config.staff.into_iter().map(|listed| listed.name).collect();
            command.run(config.data.as_path(), &staff, &clock, stdout)?;
            Exit::Done
        }
        Cli::Report(command) => report_command::run(command, stdout)?,
        Cli::Log(command) => return log_command::run(command, stdout),
        Cli::Witness(WitnessCommand::Init(args)) => witness_command::init(args, stdout)?,
        Cli::Witness(WitnessCommand::Serve(args)) => {
            runtime()?.block_on(witness_command::serve(args, around))?;
            Exit::Done
        }
    };
    Ok(exit.code())
}

async fn make_backup(
    args: &MakeArgs,
    around: Surroundings,
    stdout: &mut dyn Write,
) -> anyhow::Result<u8> {
    let file = args.config.clone().unwrap_or_else(|| PathBuf::from("./hub.toml"));
    let config = Config::load(&file)?;
    let data = config.data.clone();
    let clock = Arc::clone(&around.clock);
    let open = || backup::of_stopped(config, &file, clock);
    backup_command::make(args, data.as_path(), "hub", &around, open, stdout).await
}

/// Colours on a terminal only, and not where <https://no-color.org> asks for none.
fn paint() -> Paint {
    #[expect(clippy::disallowed_methods, reason = "the program's own command line")]
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if std::io::stdout().is_terminal() && !unwanted { Paint::Colour } else { Paint::Plain }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
