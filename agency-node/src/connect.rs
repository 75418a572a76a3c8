//! Connectors: how records come into a running node from the agency's own systems.
//!
//! A [`Source`] gives batches of rows: files of a folder, a query of a database, a search of a FHIR server. `run` takes them one
//! after the other into the records, by the rules of an import, and keeps how far it has come. A run that is killed is simply
//! begun again. In this order, so that nothing is lost and nothing passes unrecorded:
//!
//! 1. a batch is compared with the records;
//! 2. the number of its changes, and that people have to be enrolled, are made durable;
//! 3. its changes are made durable;
//! 4. the source's mark behind it is made durable;
//! 5. the source is told, which moves a file away;
//! 6. at the end, the log is told the number of all changes. A kill before that leaves the number for the next run: the log may be
//!    told more than there was by what one batch holds, and never less.

use std::{future::Future, time::Duration};

use brag_common::{
    durable::StoreError,
    time::{SharedClock, Timestamp},
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

pub mod config;
pub(crate) mod fhir;
pub(crate) mod folder;
pub mod mapping;
pub(crate) mod mask;
pub(crate) mod postgresql;
mod running;
pub mod state;

#[cfg(test)]
mod tests;

pub use running::{From as ReadFrom, Onto, open, run_all, run_one, run_stopped};

use config::ConnectorName;
use state::{ConnectorState, RunReport};

use crate::{
    import::{ImportItem, Intake, Put, RecordSink as _, Reject, Repeats, Row, Taken},
    records::{Rejected, StoreSink},
    store::Store,
};

/// Rows of a batch, at most.
pub(crate) const BATCH_ROWS: usize = 200;
/// Rejects of a run that are kept; a reject report has all of its file.
const MAX_REJECTS: usize = 100;

/// Some rows of a source, and what they mean for it.
#[derive(Default)]
pub struct Batch {
    /// The rows, mapped; a row may have become several, or none.
    pub(crate) rows: Vec<Row>,
    /// Rows that became nothing.
    pub(crate) passed_over: u64,
    /// Whether a new file begins with it.
    pub(crate) begins: bool,
    /// Whether a file has ended with it.
    pub(crate) ends: bool,
    /// Which file of the run it is of, from 1; 1 for a source that has none.
    pub(crate) file: usize,
    /// How far the source has come with it: the part of the source, and the mark.
    pub(crate) mark: Option<(String, String)>,
}

impl std::fmt::Debug for Batch {
    /// How much there is; never what.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

/// A system that rows come from. All calls block.
pub trait Source: Send {
    /// What counts when two rows say different things.
    fn repeats(&self) -> Order;

    /// The next rows; nothing at the end of what there is now.
    ///
    /// # Errors
    /// When the system can not be read.
    fn next(&mut self) -> Result<Option<Batch>, SourceFailure>;

    /// The last batch, and its mark, are stored; these of its rows were rejected.
    ///
    /// # Errors
    /// When what follows from it can not be done.
    fn stored(&mut self, rejects: &[Reject]) -> Result<(), SourceFailure>;
}

/// In which order rows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// In none that says anything: of two that differ the first counts.
    Unknown,
    /// In that of their changes: the later counts.
    Changes,
}

/// Why a source can not be read. No text of it holds anything that the source said of anybody.
#[derive(Debug, thiserror::Error)]
pub enum SourceFailure {
    /// A setting, or a file that it names, is wrong.
    #[error("{0}")]
    Settings(String),
    /// A file or folder can not be read or written.
    #[error("{what}: {source}")]
    Disk {
        /// What was to be done.
        what: String,
        /// What the file system said.
        source: std::io::Error,
    },
    /// The other system is away, refuses, or says what can not be used.
    #[error("{0}")]
    Other(String),
    /// It took too long.
    #[error("the system did not answer within {0} seconds")]
    TooLate(u64),
    /// The program is stopping.
    #[error("the program is stopping")]
    Stopping,
}

impl SourceFailure {
    pub(crate) fn disk(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Disk { what, source }
    }
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunFailure {
    /// The source.
    #[error(transparent)]
    Source(#[from] SourceFailure),
    /// The node's own store.
    #[error("the records can not be stored")]
    Store(#[source] StoreError),
    /// The node's own store, as the rules of an import met it.
    #[error("the records can not be stored")]
    Records(#[from] crate::import::ImportFailure),
    /// The audit log: the rows are stored, and the log is told at the next run.
    #[error("the audit log can not be written")]
    Log(String),
}

impl From<StoreError> for RunFailure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What a blocking source needs to wait for something that does not block.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The runtime.
    pub(crate) handle: Handle,
    /// Ends every wait.
    pub(crate) stop: CancellationToken,
}

impl Waiting {
    /// Waits, no longer than `within`, and not while the program stops.
    pub(crate) fn wait<T>(
        &self,
        within: Duration,
        what: impl Future<Output = T>,
    ) -> Result<T, SourceFailure> {
        self.handle.block_on(async {
            tokio::select! {
                () = self.stop.cancelled() => Err(SourceFailure::Stopping),
                done = tokio::time::timeout(within, what) => {
                    done.map_err(|_| SourceFailure::TooLate(within.as_secs()))
                }
            }
        })
    }
}

/// What a run works on.
pub(crate) struct Run<'a> {
    pub(crate) store: &'a Store,
    pub(crate) clock: &'a SharedClock,
    pub(crate) name: &'a ConnectorName,
    pub(crate) stop: &'a CancellationToken,
    /// Tells the log how many rows are new or changed.
    pub(crate) record: &'a dyn Fn(u64) -> Result<(), String>,
}

/// Takes everything that the source has now. The report is kept, and returned whether the run came to its end or not.
///
/// # Errors
/// When the run was given up; what it stored stays, and the next run goes on.
pub(crate) fn run(on: &Run<'_>, source: &mut dyn Source) -> (RunReport, Result<(), RunFailure>) {
    let mut report = RunReport::begun(on.clock.now());
    let outcome = take_all(on, source, &mut report);
    report.at = on.clock.now();
    report.failure = outcome.as_ref().err().map(|error| config::chain(error));
    let kept = keep_report(on, &report);
    (report, outcome.and(kept))
}

/// Keeps that a run could not begin.
pub(crate) fn could_not_begin(
    store: &Store,
    name: &ConnectorName,
    at: Timestamp,
    failure: &RunFailure,
) -> Result<(), StoreError> {
    let mut state = ConnectorState::read(store, name)?;
    state.last = Some(RunReport { failure: Some(config::chain(failure)), ..RunReport::begun(at) });
    state.keep(store, name)
}

fn keep_report(on: &Run<'_>, report: &RunReport) -> Result<(), RunFailure> {
    let mut state = ConnectorState::read(on.store, on.name)?;
    // A run that found nothing new says so without hiding what the last one rejected, which is still to be mended.
    let quiet = report.failure.is_none() && report.rows.read == 0 && report.passed_over == 0;
    match &mut state.last {
        Some(last) if quiet && last.failure.is_none() => last.at = report.at,
        _ => state.last = Some(report.clone()),
    }
    Ok(state.keep(on.store, on.name)?)
}

fn take_all(
    on: &Run<'_>,
    source: &mut dyn Source,
    report: &mut RunReport,
) -> Result<(), RunFailure> {
    let mut state = ConnectorState::read(on.store, on.name)?;
    let mut sink = StoreSink::new(on.store.clone())?;
    let mut intake = Intake::new(match source.repeats() {
        Order::Unknown => Repeats::FirstCounts,
        Order::Changes => Repeats::LaterCounts,
    });
    let taken = loop {
        if on.stop.is_cancelled() {
            break Err(SourceFailure::Stopping.into());
        }
        match source.next() {
            Ok(Some(batch)) => {
                let took = take(on, batch, &mut state, &mut sink, &mut intake, report);
                let told = took.and_then(|rejects| Ok(source.stored(&rejects)?));
                if let Err(failure) = told {
                    break Err(failure);
                }
            }
            Ok(None) => break Ok(()),
            Err(failure) => break Err(failure.into()),
        }
    };
    // Also when it was given up: what is stored is recorded.
    if state.unrecorded > 0 || report.rows.read > 0 {
        (on.record)(state.unrecorded).map_err(RunFailure::Log)?;
        state.unrecorded = 0;
        state.keep(on.store, on.name)?;
    }
    taken
}

/// Takes one batch; returns its rejects.
fn take(
    on: &Run<'_>,
    batch: Batch,
    state: &mut ConnectorState,
    sink: &mut StoreSink,
    intake: &mut Intake,
    report: &mut RunReport,
) -> Result<Vec<Reject>, RunFailure> {
    if batch.begins {
        intake.begin();
    }
    report.passed_over += batch.passed_over;
    let mut rejects = Vec::new();
    let mut good = Vec::new();
    for Row { line, item } in batch.rows {
        report.rows.read += 1;
        let faults = match item {
            Err(faults) => faults,
            Ok(item) => match intake.take(&item, &*sink)? {
                Taken::Good => {
                    good.push(item);
                    continue;
                }
                Taken::Again => {
                    report.rows.unchanged += 1;
                    continue;
                }
                Taken::Rejected(fault) => vec![fault],
            },
        };
        report.rows.rejected += 1;
        for fault in faults {
            rejects.push(Reject { line, field: fault.field, reason: fault.reason });
        }
    }
    for reject in &rejects {
        if report.rejects.len() < MAX_REJECTS {
            report.rejects.push(Rejected {
                file: batch.file,
                line: reject.line,
                field: reject.field.unwrap_or_default().to_owned(),
                reason: reject.reason.to_string(),
            });
        }
    }
    store(on, &good, state, sink, report)?;
    if let Some((part, mark)) = batch.mark
        && state.marks.get(&part) != Some(&mark)
    {
        state.marks.insert(part, mark);
        state.keep(on.store, on.name)?;
    }
    report.files += usize::from(batch.ends);
    Ok(rejects)
}

fn store(
    on: &Run<'_>,
    good: &[ImportItem],
    state: &mut ConnectorState,
    sink: &mut StoreSink,
    report: &mut RunReport,
) -> Result<(), RunFailure> {
    let (mut changes, mut people_change) = (0, false);
    for item in good {
        if sink.compare(item).map_err(crate::import::ImportFailure::Sink)? != Put::Unchanged {
            changes += 1;
            people_change |= matches!(item, ImportItem::Person { .. });
        }
    }
    if changes == 0 {
        report.rows.unchanged += u64::try_from(good.len()).unwrap_or(u64::MAX);
        return Ok(());
    }
    state.unrecorded = state.unrecorded.saturating_add(changes);
    if people_change {
        state.keep_before_people_change(on.store, on.name)?;
    } else {
        state.keep(on.store, on.name)?;
    }
    // All of them, in their order: of two rows about one thing the later has to be what is left.
    for item in good {
        match sink.put(item.clone()).map_err(crate::import::ImportFailure::Sink)? {
            Put::New => report.rows.new += 1,
            Put::Changed => report.rows.changed += 1,
            Put::Unchanged => report.rows.unchanged += 1,
        }
    }
    Ok(sink.flush()?)
}
