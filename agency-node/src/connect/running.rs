//! Connectors in a running node: each at its interval, one after the other.

use std::sync::Arc;

use brag_common::{audit::entry::Action, time::SharedClock};
use tokio::{runtime::Handle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Run, RunFailure, Source, SourceFailure, Waiting,
    config::{ConnectorConfig, SourceConfig},
    could_not_begin,
    fhir::Search,
    folder::Folder,
    postgresql::{self, Database},
    run,
    state::{ConnectorState, RunReport},
};
use crate::{
    ground::Ground,
    import::{Format, ImportOptions, Mode},
    node::Shared,
    records::categories,
};

/// What a source is opened with.
#[derive(Debug)]
pub struct Onto<'a> {
    /// Its settings.
    pub connector: &'a ConnectorConfig,
    /// What the agreement says of rows.
    pub agreement: &'a brag_common::agreement::Agreement,
    /// The source of time.
    pub clock: &'a SharedClock,
    /// What it waits with.
    pub waiting: Waiting,
    /// How far it has come.
    pub state: ConnectorState,
}

/// Opens the source of a connector. Blocks.
///
/// # Errors
/// When its settings are wrong, or the other system is away.
pub fn open(onto: Onto<'_>) -> Result<Box<dyn Source>, SourceFailure> {
    let Onto { connector, agreement, clock, waiting, state } = onto;
    let mapping = connector.read_mapping().map_err(SourceFailure::Settings)?;
    let options = ImportOptions {
        format: Format::Csv,
        mode: Mode::Load,
        file: String::new(),
        bounds: agreement.rating().analysis,
        categories: Some(categories(agreement)),
    };
    let needed = || SourceFailure::Settings("it has no mapping".to_owned());
    let source = connector.source().map_err(|why| SourceFailure::Settings(why.to_owned()))?;
    Ok(match source {
        SourceConfig::Folder(folder) => Box::new(Folder::open(folder, mapping, options, clock)?),
        SourceConfig::Postgresql(database) => {
            let mark = state.marks.get(postgresql::PART).map(String::as_str);
            let mapping = mapping.ok_or_else(needed)?;
            Box::new(Database::open(database, mapping, options, clock, waiting, mark)?)
        }
        SourceConfig::Fhir(server) => {
            let mark = |kind: &str| state.marks.get(kind).cloned();
            let mapping = mapping.ok_or_else(needed)?;
            Box::new(Search::open(server, mapping, options, clock, waiting, &mark)?)
        }
    })
}

/// Runs every connector of a node at its interval, until `shutdown`.
pub async fn run_all(shared: Arc<Shared>, shutdown: CancellationToken) {
    let connectors = shared.config.connector.clone();
    let mut due = vec![Instant::now(); connectors.len()];
    loop {
        for (connector, due) in connectors.iter().zip(&mut due) {
            if *due > Instant::now() {
                continue;
            }
            run_one(&shared, connector, &shutdown).await;
            *due = Instant::now() + connector.every.get();
        }
        let Some(next) = due.iter().min() else { return };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep_until(*next) => {}
        }
    }
}

/// Runs one connector of a running node. What it comes to is kept in its state, and said in the messages.
pub async fn run_one(
    shared: &Arc<Shared>,
    connector: &ConnectorConfig,
    shutdown: &CancellationToken,
) {
    let importing = shared.store.importing().lock().await;
    if shutdown.is_cancelled() {
        return;
    }
    let (node, settings, stop) = (Arc::clone(shared), connector.clone(), shutdown.clone());
    let handle = Handle::current();
    let running = tokio::task::spawn_blocking(move || run_here(&node, &settings, &handle, &stop));
    let outcome = running.await.unwrap_or_else(|_| {
        Err(SourceFailure::Other("it ended in a fault of the program".to_owned()).into())
    });
    let name = connector.name.as_str();
    match outcome {
        Ok(report) if report.rows.read == 0 => {}
        Ok(report) => tracing::info!(
            connector = name,
            read = report.rows.read,
            new = report.rows.new,
            changed = report.rows.changed,
            rejected = report.rows.rejected,
            "a connector brought records"
        ),
        // It goes on at the next start.
        Err(RunFailure::Source(SourceFailure::Stopping)) => {}
        Err(failure) => {
            let why = super::config::chain(&failure);
            tracing::warn!(connector = name, why, "a connector was given up; it is tried again");
        }
    }
    // Whoever hears of it looks while nobody writes.
    drop(importing);
    shared.store.people_changed();
}

fn run_here(
    shared: &Arc<Shared>,
    connector: &ConnectorConfig,
    handle: &Handle,
    stop: &CancellationToken,
) -> Result<RunReport, RunFailure> {
    let record = |count: u64| {
        let mut draft = shared.draft(Action::RecordsImported);
        draft.count = Some(count);
        handle.block_on(shared.log.record(draft)).map(drop).map_err(|error| error.to_string())
    };
    let (store, clock) = (&shared.store, &shared.clock);
    let on = Run { store, clock, name: &connector.name, stop, record: &record };
    begin(&on, connector, shared.agreement.agreement(), handle, || {
        shared.log.audit().is_available()
    })
}

fn begin(
    on: &Run<'_>,
    connector: &ConnectorConfig,
    agreement: &brag_common::agreement::Agreement,
    handle: &Handle,
    log_is_available: impl Fn() -> bool,
) -> Result<RunReport, RunFailure> {
    let opened = ConnectorState::read(on.store, on.name).map_err(RunFailure::from);
    let opened = opened.and_then(|state| {
        if !log_is_available() {
            // Nothing is brought in that can not be recorded.
            return Err(RunFailure::Log("it is closed".to_owned()));
        }
        let waiting = Waiting { handle: handle.clone(), stop: on.stop.clone() };
        Ok(open(Onto { connector, agreement, clock: on.clock, waiting, state })?)
    });
    let mut source = match opened {
        Ok(source) => source,
        Err(failure) => {
            could_not_begin(on.store, on.name, on.clock.now(), &failure)?;
            return Err(failure);
        }
    };
    let (report, outcome) = run(on, &mut *source);
    outcome.map(|()| report)
}

/// From where a connector reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// From where it had come to.
    ItsMark,
    /// From the beginning of what the source has.
    TheStart,
}

/// Runs one connector of a stopped node, until it has taken all there is.
///
/// # Errors
/// When it was given up; what it stored stays.
pub async fn run_stopped(
    ground: Ground,
    connector: ConnectorConfig,
    from: From,
    stop: CancellationToken,
) -> anyhow::Result<RunReport> {
    let handle = Handle::current();
    let running = tokio::task::spawn_blocking(move || {
        if from == From::TheStart {
            let mut state = ConnectorState::read(&ground.store, &connector.name)?;
            state.marks.clear();
            state.keep(&ground.store, &connector.name)?;
        }
        let record = |count: u64| {
            let mut draft = ground.draft(Action::RecordsImported);
            draft.count = Some(count);
            handle.block_on(ground.log.record(draft)).map(drop).map_err(|error| error.to_string())
        };
        let on = Run {
            store: &ground.store,
            clock: &ground.clock,
            name: &connector.name,
            stop: &stop,
            record: &record,
        };
        let agreement = ground.agreement.agreement();
        begin(&on, &connector, agreement, &handle, || ground.log.is_available())
    });
    Ok(running.await??)
}
