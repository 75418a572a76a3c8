//! `agency-node import` and `enrol`: work on the records of a stopped node.

use std::{
    fs::File,
    io::{BufWriter, IsTerminal as _, Write},
    path::PathBuf,
};

use anyhow::Context as _;
use brag_common::{
    telemetry::{self, LogConfig, LogLevel},
    time::SharedClock,
};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{
    Config,
    cli::{ConfigArg, ConfigsArg, Exit, print_json},
    enrol::{self, EnrolFailure},
    import::{Format, ImportFailure, ImportSummary, Mode},
    partnerships,
    records::{ImportJob, Imported, import_for},
};

/// What to import.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The files, in order: people before the entries and ratings about them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigsArg,
    /// The layout of all files; by default JSON Lines for .jsonl and .ndjson, CSV for all others
    #[arg(long, value_name = "LAYOUT")]
    format: Option<FormatArg>,
    /// Write the list of rejects here (CSV: file, line, field, reason); by default to standard error
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Check the files and say what would change, but store nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// A layout on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatArg {
    Csv,
    Jsonl,
}

/// How to enrol.
#[derive(Debug, Args)]
pub struct EnrolArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Imports files.
///
/// # Errors
/// When the node runs, or something it needs is missing or wrong.
pub async fn import(
    args: ImportArgs,
    clock: SharedClock,
    stdout: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let configs = partnerships::load(args.config.paths())?;
    if let Some(first) = configs.first() {
        start_log(first)?;
    }
    let bar = progress_bar("{msg} {wide_bar} {bytes}/{total_bytes} {eta}");
    let shown = bar.clone();
    let job = ImportJob {
        files: args.files,
        format: args.format.map(|format| match format {
            FormatArg::Csv => Format::Csv,
            FormatArg::Jsonl => Format::Jsonl,
        }),
        mode: if args.dry_run { Mode::DryRun } else { Mode::Load },
        rejects: match &args.rejects {
            Some(path) => Box::new(BufWriter::new(
                File::create(path)
                    .with_context(|| format!("can not write rejects to `{}`", path.display()))?,
            )),
            None => Box::new(std::io::stderr()),
        },
        progress: Box::new(move |progress| {
            shown.set_message(progress.file.display().to_string());
            shown.set_length(progress.total_bytes);
            shown.set_position(progress.n_bytes);
        }),
    };
    let imported = import_for(configs, clock, job).await?;
    bar.finish_and_clear();
    if args.json {
        print_json(stdout, &import_document(&imported, args.dry_run))?;
    } else {
        print_import(stdout, &imported, args.dry_run)?;
    }
    Ok(if imported.is_complete() { Exit::Done } else { Exit::Failed })
}

fn import_document(imported: &Imported, dry_run: bool) -> Value {
    let counts = |summary: &ImportSummary| {
        json!({
            "read": summary.n_read,
            "new": summary.n_new,
            "changed": summary.n_changed,
            "unchanged": summary.n_unchanged,
            "rejected": summary.n_rejected,
        })
    };
    let files: Vec<Value> = imported
        .files
        .iter()
        .map(|(file, summary)| json!({ "file": file.display().to_string(), "rows": counts(summary) }))
        .collect();
    let failed = imported.failed.as_ref().map(
        |(file, failure)| json!({ "file": file.display().to_string(), "problem": chain(failure) }),
    );
    json!({
        "dry_run": dry_run,
        "files": files,
        "rows": counts(&imported.total()),
        "failed": failed,
    })
}

fn print_import(stdout: &mut dyn Write, imported: &Imported, dry_run: bool) -> anyhow::Result<()> {
    for (file, rows) in &imported.files {
        writeln!(
            stdout,
            "{}: {} rows: {} new, {} changed, {} unchanged, {} rejected",
            file.display(),
            rows.n_read,
            rows.n_new,
            rows.n_changed,
            rows.n_unchanged,
            rows.n_rejected
        )?;
    }
    if let Some((file, failure)) = &imported.failed {
        writeln!(stdout, "{}: given up: {}", file.display(), chain(failure))?;
    }
    let total = imported.total();
    if dry_run {
        writeln!(stdout, "Nothing was stored.")?;
    } else if total.n_new + total.n_changed > 0 {
        writeln!(
            stdout,
            "Next: agency-node enrol, so that the hub's queries find new and changed people."
        )?;
    }
    Ok(())
}

fn chain(failure: &ImportFailure) -> String {
    let mut text = failure.to_string();
    let mut cause = std::error::Error::source(failure);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Enrols new and changed people.
///
/// # Errors
/// When the node runs, something it needs is missing or wrong, or the hub can not be reached or used.
pub async fn enrol(
    args: &EnrolArgs,
    clock: SharedClock,
    stdout: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let config = Config::load(args.config.path())?;
    start_log(&config)?;
    let bar = progress_bar("enrolling {wide_bar} {pos}/{len} people {eta}");
    let shown = bar.clone();
    let outcome = enrol::run(config, clock, move |progress| {
        shown.set_length(progress.n_people);
        shown.set_position(progress.n_done);
    })
    .await;
    bar.finish_and_clear();
    let done = match outcome {
        Ok(done) => done,
        Err(error) => {
            return match error.downcast::<EnrolFailure>()? {
                EnrolFailure::Refused { code, message, is_rule: true } => {
                    if args.json {
                        let refused = json!({ "code": code, "message": message });
                        print_json(stdout, &json!({ "refused": refused }))?;
                    } else {
                        writeln!(stdout, "Refused by the hub: {message} ({code})")?;
                    }
                    Ok(Exit::Refused)
                }
                failure => Err(failure.into()),
            };
        }
    };
    if args.json {
        print_json(
            stdout,
            &json!({
                "epoch": done.epoch.0,
                "people": done.n_people,
                "evaluated": done.n_evaluated,
                "without_keys": done.n_without_keys,
                "batches": done.n_batches,
                "tokens": done.n_tokens,
            }),
        )?;
    } else {
        writeln!(
            stdout,
            "{} people, {} of them evaluated now in {} batches; {} tokens of epoch {}.",
            done.n_people, done.n_evaluated, done.n_batches, done.n_tokens, done.epoch.0
        )?;
        if done.n_without_keys > 0 {
            writeln!(
                stdout,
                "{} people have too little recorded to be found: no valid identifier, and not enough of name, \
                 birth and address.",
                done.n_without_keys
            )?;
        }
    }
    Ok(Exit::Done)
}

/// Only what needs somebody's attention: these commands speak for themselves.
fn start_log(config: &Config) -> anyhow::Result<()> {
    let level = config.log.level.min(LogLevel::Warn);
    telemetry::start_log(LogConfig { level, ..config.log })?;
    Ok(())
}

/// A bar on a terminal, and nothing elsewhere.
fn progress_bar(template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
