//! `hub report performance` and `hub report re-audit`: from the hub's log and, where asked to, its store.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;

use super::{Days, Form, LogArgs, exit_of, explained, hub_log, write_out};
use crate::{
    agreement_command::Exit,
    report::{
        csv,
        document::Document,
        performance::{Counted, kept::Kept, performance},
        period::Month,
        re_audit::{Closings, re_audit},
        signed::Signed,
    },
};

/// The hub's store, which has what the log does not.
#[derive(Debug, Args)]
struct StoreArgs {
    /// The hub's configuration, to read its store as well: with the hub stopped, or the configuration of a copy; nothing is written to it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl StoreArgs {
    fn read(&self) -> anyhow::Result<Option<Kept>> {
        self.config.as_deref().map(Kept::read).transpose()
    }
}

/// One file for each table.
#[derive(Debug, Args)]
struct TablesArgs {
    /// Also write each table as CSV of its own into this folder
    #[arg(long, value_name = "DIR")]
    tables: Option<PathBuf>,
}

/// What `report performance` is told.
#[derive(Debug, Args)]
pub struct PerformanceArgs {
    #[command(flatten)]
    logs: LogArgs,
    /// The agreement, which says whose answers are required: the signed note, or its text
    #[arg(long, value_name = "FILE")]
    agreement: PathBuf,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    days: Days,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    tables: TablesArgs,
    /// The form for others: small figures are withheld, and what would give them away
    #[arg(long)]
    shared: bool,
    /// Instead of the document, the log entries behind this figure
    #[arg(long, value_name = "FIGURE", conflicts_with_all = ["shared", "tables"])]
    explain: Option<String>,
}

/// What `report re-audit` is told.
#[derive(Debug, Args)]
pub struct ReAuditArgs {
    #[command(flatten)]
    logs: LogArgs,
    #[command(flatten)]
    store: StoreArgs,
    /// The month of the anniversaries, for example 2027-02; by default that of the log's last entry
    #[arg(long, value_name = "MONTH")]
    month: Option<Month>,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    tables: TablesArgs,
}

pub(super) fn make_performance(
    args: &PerformanceArgs,
    stdout: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let (signed, period) = (Signed::read(&args.agreement)?, args.days.period()?);
    let (log, kept) = (hub_log(&args.logs)?, args.store.read()?);
    let counted = Counted::of(&log, &signed, kept.as_ref(), period)?;
    if let Some(name) = &args.explain {
        explained(&counted.figures, name, &args.form, stdout)?;
    } else {
        let document = performance(&counted, args.shared);
        finish(&document, &args.form, &args.tables, stdout)?;
    }
    Ok(exit_of(&[log]))
}

pub(super) fn make_re_audit(args: &ReAuditArgs, stdout: &mut dyn Write) -> anyhow::Result<Exit> {
    let (log, kept) = (hub_log(&args.logs)?, args.store.read()?);
    let closings = Closings::of(&log)?;
    let month = args.month.map(|Month(period)| period).or_else(|| closings.last_month());
    let month = month.context("the log has no entry: give --month")?;
    let document = re_audit(&closings, &log, kept.as_ref(), &month);
    finish(&document, &args.form, &args.tables, stdout)?;
    Ok(exit_of(&[log]))
}

fn finish(
    document: &Document,
    form: &Form,
    tables: &TablesArgs,
    stdout: &mut dyn Write,
) -> anyhow::Result<()> {
    if let Some(folder) = &tables.tables {
        write_tables(document, folder)?;
    }
    write_out(document, form, stdout)
}

fn write_tables(document: &Document, folder: &Path) -> anyhow::Result<()> {
    let writing = |path: &Path| format!("writing {}", path.display());
    fs::create_dir_all(folder).with_context(|| writing(folder))?;
    for (name, bytes) in csv::tables(document)? {
        let path = folder.join(format!("{name}.csv"));
        fs::write(&path, bytes).with_context(|| writing(&path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
