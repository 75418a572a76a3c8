//! `agency-node connector`: the connectors of the configuration, what they would bring, and running one at once.

use std::io::Write;

use anyhow::Context as _;
use brag_common::{
    agreement::Agreement,
    telemetry::{self, LogConfig, LogLevel},
    time::SharedClock,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::{
    Config,
    cli::{ConfigArg, Exit, print_json},
    connect::{
        Onto, ReadFrom, Waiting,
        config::ConnectorConfig,
        mask::shown,
        open, run_stopped,
        state::{ConnectorState, RunReport},
    },
    ground::{self, Ground},
    import::Row,
};

/// Rows that `test` shows.
const N_SHOWN: usize = 10;
/// Rejects that `test` lists.
const N_REJECTS: usize = 100;

/// What is done with connectors.
#[derive(Debug, Subcommand)]
pub enum ConnectorCommand {
    /// List the connectors of the configuration
    ///
    /// What each brought last is on the console's page Records, for operators.
    ///
    /// Example: agency-node connector list --config /etc/brag/agency-node.toml
    #[command(verbatim_doc_comment)]
    List(ListArgs),
    /// Read some rows and show what they would become, with everything personal masked
    ///
    /// Stores nothing, moves no file, and needs neither a running nor a stopped node. Names, dates, numbers and texts
    /// are shown as shapes; categories, flags, codes and colours as they are. Whether the person of an entry is known
    /// is not looked at. Exit code 1 when a row would be rejected.
    ///
    /// Example: agency-node connector test housing --config /etc/brag/agency-node.toml
    #[command(verbatim_doc_comment)]
    Test(TestArgs),
    /// Run one connector now; the node has to be stopped
    ///
    /// A running node runs its connectors by itself, each at its interval, and at once when it starts.
    ///
    /// Example: agency-node connector run housing --config /etc/brag/agency-node.toml
    #[command(verbatim_doc_comment)]
    Run(RunArgs),
}

/// How to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What to try.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The connector's name
    name: String,
    #[command(flatten)]
    config: ConfigArg,
    /// Read so many rows at most
    #[arg(long, value_name = "N", default_value_t = 1000)]
    rows: u64,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What to run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The connector's name
    name: String,
    #[command(flatten)]
    config: ConfigArg,
    /// Forget how far it had come, and read everything that the system has
    #[arg(long)]
    from_start: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Runs one of the commands.
///
/// # Errors
/// When the configuration is wrong, there is no such connector, or its source can not be read.
pub async fn run(
    command: ConnectorCommand,
    clock: SharedClock,
    stdout: &mut dyn Write,
) -> anyhow::Result<Exit> {
    match command {
        ConnectorCommand::List(args) => list(&args, stdout),
        ConnectorCommand::Test(args) => test(args, clock, stdout).await,
        ConnectorCommand::Run(args) => run_now(args, clock, stdout).await,
    }
}

fn list(args: &ListArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = Config::load(args.config.path())?;
    let mapping = |connector: &ConnectorConfig| {
        connector.mapping.as_ref().map(|path| path.as_path().display().to_string())
    };
    if args.json {
        let all = config.connector.iter().map(|connector| {
            json!({
                "name": connector.name.as_str(),
                "kind": connector.kind(),
                "every": connector.every.to_string(),
                "mapping": mapping(connector),
            })
        });
        print_json(stdout, &json!({ "connectors": all.collect::<Vec<_>>() }))?;
        return Ok(Exit::Done);
    }
    if config.connector.is_empty() {
        writeln!(stdout, "The configuration has no [[connector]].")?;
    }
    for connector in &config.connector {
        let (name, kind, every) = (&connector.name, connector.kind(), connector.every);
        let mapping = mapping(connector).unwrap_or_else(|| "its own layout".to_owned());
        writeln!(stdout, "{name}: {kind}, every {every}, {mapping}")?;
    }
    Ok(Exit::Done)
}

fn named(config: &Config, name: &str) -> anyhow::Result<ConnectorConfig> {
    let found = config.connector.iter().find(|connector| connector.name.as_str() == name);
    found.cloned().context("the configuration has no connector of this name; see `connector list`")
}

/// What a look at a source came to.
#[derive(Default)]
struct Looked {
    rows: Vec<Value>,
    rejects: Vec<(usize, u64, &'static str, String)>,
    n_good: u64,
    n_rejected: u64,
    n_passed_over: u64,
}

async fn test(args: TestArgs, clock: SharedClock, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let config = Config::load(args.config.path())?;
    start_log(&config)?;
    let mut connector = named(&config, &args.name)?;
    // To look does no harm: a file that has just come is looked at too.
    if let (Some(folder), Ok(at_once)) = (&mut connector.folder, "1ms".parse()) {
        folder.settled = at_once;
    }
    let signed = ground::read_agreement(&config, &clock)?;
    let (handle, most) = (Handle::current(), args.rows);
    let looking = tokio::task::spawn_blocking(move || {
        look(&connector, signed.agreement(), &clock, handle, most)
    });
    let looked = looking.await??;
    let exit = if looked.n_rejected == 0 { Exit::Done } else { Exit::Failed };
    if args.json {
        let rejects = looked.rejects.iter().map(|(file, line, field, reason)| {
            json!({ "file": file, "line": line, "field": field, "reason": reason })
        });
        print_json(
            stdout,
            &json!({
                "connector": args.name,
                "rows": looked.rows,
                "good": looked.n_good,
                "rejected": looked.n_rejected,
                "passed_over": looked.n_passed_over,
                "rejects": rejects.collect::<Vec<_>>(),
            }),
        )?;
        return Ok(exit);
    }
    for row in &looked.rows {
        writeln!(stdout, "{row}")?;
    }
    writeln!(
        stdout,
        "{} records would be taken, {} rejected; of {} rows the mapping makes nothing. Nothing was stored.",
        looked.n_good, looked.n_rejected, looked.n_passed_over
    )?;
    for (file, line, field, reason) in &looked.rejects {
        let field = if field.is_empty() { "the whole row" } else { field };
        writeln!(stdout, "file {file}, line {line}: {field}: {reason}")?;
    }
    Ok(exit)
}

fn look(
    connector: &ConnectorConfig,
    agreement: &Agreement,
    clock: &SharedClock,
    handle: Handle,
    most: u64,
) -> anyhow::Result<Looked> {
    let waiting = Waiting { handle, stop: CancellationToken::new() };
    let state = ConnectorState::default();
    let mut source = open(Onto { connector, agreement, clock, waiting, state })?;
    let mut looked = Looked::default();
    // A source is not told that anything was stored, so it moves nothing.
    while let Some(batch) = source.next()? {
        looked.n_passed_over += batch.passed_over;
        for Row { line, item } in batch.rows {
            match item {
                Ok(item) => {
                    looked.n_good += 1;
                    if looked.rows.len() < N_SHOWN {
                        looked.rows.push(shown(&item));
                    }
                }
                Err(faults) => {
                    looked.n_rejected += 1;
                    for fault in faults {
                        if looked.rejects.len() < N_REJECTS {
                            let field = fault.field.unwrap_or_default();
                            let reason = fault.reason.to_string();
                            looked.rejects.push((batch.file, line, field, reason));
                        }
                    }
                }
            }
        }
        if looked.n_good + looked.n_rejected + looked.n_passed_over >= most {
            break;
        }
    }
    Ok(looked)
}

async fn run_now(
    args: RunArgs,
    clock: SharedClock,
    stdout: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let config = Config::load(args.config.path())?;
    start_log(&config)?;
    let connector = named(&config, &args.name)?;
    let ground = Ground::open(config, clock, |options| options).await?;
    let from = if args.from_start { ReadFrom::TheStart } else { ReadFrom::ItsMark };
    let report = run_stopped(ground, connector, from, CancellationToken::new()).await?;
    let exit = if report.rows.rejected == 0 { Exit::Done } else { Exit::Failed };
    if args.json {
        print_json(stdout, &document(&args.name, &report))?;
        return Ok(exit);
    }
    let rows = report.rows;
    writeln!(
        stdout,
        "{}: {} records: {} new, {} changed, {} unchanged, {} rejected; of {} rows the mapping makes nothing.",
        args.name,
        rows.read,
        rows.new,
        rows.changed,
        rows.unchanged,
        rows.rejected,
        report.passed_over
    )?;
    for reject in &report.rejects {
        let field = if reject.field.is_empty() { "the whole row" } else { &reject.field };
        writeln!(stdout, "file {}, line {}: {field}: {}", reject.file, reject.line, reject.reason)?;
    }
    if rows.new + rows.changed > 0 {
        writeln!(
            stdout,
            "Next: start the node, which enrols new and changed people, or agency-node enrol."
        )?;
    }
    Ok(exit)
}

fn document(name: &str, report: &RunReport) -> Value {
    json!({
        "connector": name,
        "files": report.files,
        "rows": report.rows,
        "passed_over": report.passed_over,
        "rejects": report.rejects,
    })
}

/// Only what needs somebody's attention: these commands speak for themselves.
fn start_log(config: &Config) -> anyhow::Result<()> {
    let level = config.log.level.min(LogLevel::Warn);
    telemetry::start_log(LogConfig { level, ..config.log })?;
    Ok(())
}
