//! What the node's operator sees: how program, disk, imports, certificates and connections are.
//!
//! Nothing here reads what is kept about anybody: numbers, sizes, times and codes, no name and no reference of an enquiry. So it is
//! not recorded who looks.

use std::{path::Path, sync::Arc};

use brag_common::{
    config::DurationText,
    doctor::{Enrolment, State, Tell},
    durable::StoreError,
    machine::{self, Space},
    status::to_status,
    time::Timestamp,
    tls::peer_of,
};
use tonic::{Request, Status};

use crate::{
    check_command::{self, Addresses, Findings},
    config::Role,
    connect::{
        config::{ConnectorConfig, ConnectorName},
        state::{ConnectorState, RunReport},
    },
    enrol,
    guard::Refusal,
    node::Shared,
    records::ImportReport,
};

/// What an operator may ask.
#[derive(Debug)]
pub struct Operating(Arc<Shared>);

/// How the program is.
#[derive(Debug)]
pub struct Health {
    /// Why it does not serve; empty: it does.
    pub not_ready: Vec<String>,
    /// Its version.
    pub version: &'static str,
    /// What its clock shows.
    pub now: Timestamp,
    /// When it started.
    pub started: Timestamp,
    /// The disk of the data folder; what the system said where it says nothing.
    pub disk: Result<Space, String>,
    /// Bytes of the store.
    pub store_bytes: Option<u64>,
    /// Whether the store can be written.
    pub store_available: bool,
    /// Bytes of the log's folder.
    pub log_bytes: Option<u64>,
    /// Entries of the log.
    pub log_entries: u64,
    /// Whether the log can be written.
    pub log_available: bool,
    /// How many of its entries the hub has cosigned.
    pub log_cosigned: u64,
    /// Deliveries that wait for the hub.
    pub outbox: usize,
}

/// How the records are.
#[derive(Debug)]
pub struct Records {
    /// The last import; `None`: none since reports are kept.
    pub import: Option<ImportReport>,
    /// The connectors, in the order of the configuration.
    pub connectors: Vec<Connected>,
    /// People of the records.
    pub people: u64,
    /// People of whom a token stands in the newest epoch.
    pub enrolled: u64,
    /// The newest epoch of the index; `None`: the node has never enrolled.
    pub epoch: Option<u64>,
    /// The newest epoch that the hub has told of since the start; 0: none.
    pub told: u64,
}

/// A connector.
#[derive(Debug)]
pub struct Connected {
    /// What it is called.
    pub name: ConnectorName,
    /// What kind of source it has, in a word.
    pub kind: &'static str,
    /// How long after one run the next begins.
    pub every: DurationText,
    /// Its last run; `None`: there was none.
    pub last: Option<RunReport>,
}

/// A certificate of the node.
#[derive(Debug)]
pub struct Certificate {
    /// What it is for.
    pub what: &'static str,
    /// When it expires, or why that can not be said.
    pub expires: Result<Timestamp, String>,
}

/// How the connections are.
#[derive(Debug)]
pub struct Connections {
    /// Where the hub is.
    pub hub: String,
    /// How many connections stand on which the node serves it; `None`: the node does not dial out.
    pub standing: Option<i64>,
    /// When it last called, in milliseconds since 1970; 0: not since the start.
    pub called: i64,
    /// When it last answered; likewise.
    pub answered: i64,
    /// The version of the agreement that holds.
    pub version: u32,
    /// Until when it holds at most.
    pub until: Timestamp,
    /// The version that is coming, and its first instant.
    pub coming: Option<(u32, Timestamp)>,
    /// The node's certificates.
    pub certificates: Vec<Certificate>,
    /// What the clock shows.
    pub now: Timestamp,
}

impl Operating {
    /// Of a node.
    #[must_use]
    pub const fn of(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    fn is_operator<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let who = self.0.staff(peer_of(request)?, Role::Operator);
        who.map(drop).map_err(|refusal| to_status(&refusal))
    }

    /// How the program is.
    ///
    /// # Errors
    /// When the caller is no operator, or the store fails.
    pub async fn health(&self, request: Request<()>) -> Result<Health, Status> {
        self.is_operator(&request)?;
        let shared = Arc::clone(&self.0);
        let looked = self.0.store.run(move |store| {
            let data = store_and_log(&shared);
            Ok((data, store.outgoing()?.len(), store.durable().size_on_disk().ok()))
        });
        let ((disk, log_bytes), outbox, store_bytes) = looked.await.map_err(failed)?;
        let (shared, log) = (&self.0, self.0.log.audit());
        let mut not_ready = Vec::new();
        if !log.is_available() {
            not_ready.push("the audit log can not be written".to_owned());
        }
        not_ready.extend(log.condemned().get().map(ToString::to_string));
        not_ready.extend(shared.in_force().err().map(|refusal| refusal.to_string()));
        Ok(Health {
            not_ready,
            version: env!("CARGO_PKG_VERSION"),
            now: shared.clock.now(),
            started: shared.running.started(),
            disk,
            store_bytes,
            store_available: shared.store.durable().is_available()
                && shared.store.records().is_available(),
            log_bytes,
            log_entries: log.tree().head().size,
            log_available: log.is_available(),
            log_cosigned: shared.cosigned.size(),
            outbox,
        })
    }

    /// What `check-config` finds on the configuration that runs.
    ///
    /// # Errors
    /// When the caller is no operator.
    pub async fn findings(&self, request: Request<()>) -> Result<Findings, Status> {
        self.is_operator(&request)?;
        let shared = Arc::clone(&self.0);
        let check = move || {
            let mut findings = Findings::default();
            check_command::check(&shared.config, &shared.clock, Addresses::Ours, &mut findings);
            findings
        };
        tokio::task::spawn_blocking(check).await.map_err(|_| to_status(&Refusal::Internal))
    }

    /// How the records are.
    ///
    /// # Errors
    /// When the caller is no operator, or the store fails.
    pub async fn records(&self, request: Request<()>) -> Result<Records, Status> {
        self.is_operator(&request)?;
        let shared = Arc::clone(&self.0);
        let looked = self.0.store.run(move |store| {
            let import = ImportReport::last(store)?;
            let connected = |connector: &ConnectorConfig| {
                Ok(Connected {
                    name: connector.name.clone(),
                    kind: connector.kind(),
                    every: connector.every,
                    last: ConnectorState::read(store, &connector.name)?.last,
                })
            };
            let connectors = shared.config.connector.iter().map(connected);
            let connectors = connectors.collect::<Result<_, StoreError>>()?;
            Ok((import, connectors, enrol::count_people(store)?, enrol::count_enrolled(store)?))
        });
        let (import, connectors, people, enrolled) = looked.await.map_err(failed)?;
        let epoch = self.0.index.newest_epoch().map(|epoch| epoch.0);
        let told = self.0.told.newest().0;
        Ok(Records { import, connectors, people, enrolled, epoch, told })
    }

    /// How the connections are.
    ///
    /// # Errors
    /// When the caller is no operator.
    pub async fn connections(&self, request: Request<()>) -> Result<Connections, Status> {
        self.is_operator(&request)?;
        let shared = Arc::clone(&self.0);
        let look = move || {
            let mut paths = vec![
                ("Connections within the partnership", shared.config.tls.files().certificate),
                ("The partnership's authority, first of the file", shared.config.tls.files().roots),
            ];
            if let Some(console) = &shared.config.console {
                let path: &Path = console.certificate.as_path();
                paths.push(("This console", path.to_owned()));
            }
            let expires = |(what, path): (_, std::path::PathBuf)| Certificate {
                what,
                expires: machine::certificate_expires(&path),
            };
            paths.into_iter().map(expires).collect()
        };
        let certificates =
            tokio::task::spawn_blocking(look).await.map_err(|_| to_status(&Refusal::Internal))?;
        let shared = &self.0;
        let (holds, newest) = (shared.agreement.agreement(), shared.agreement.versions().newest());
        let newest = newest.agreement.agreement();
        let is_coming = newest.version() != holds.version();
        Ok(Connections {
            hub: shared.config.hub.endpoint.clone(),
            standing: shared.config.hub.dial_out.then(|| shared.running.dialling.standing()),
            called: shared.running.last_called(),
            answered: shared.running.last_answered(),
            version: holds.version(),
            until: holds.ends(),
            coming: is_coming.then(|| (newest.version(), newest.starts())),
            certificates,
            now: shared.clock.now(),
        })
    }
}

/// What the running node tells its doctor. Weak: the admin port outlives the node.
pub(crate) fn tell(shared: &Arc<Shared>) -> Tell {
    let shared = Arc::downgrade(shared);
    Tell::new(move || {
        let shared = shared.upgrade();
        Box::pin(async move {
            let shared = shared?;
            let counted = shared.store.run(|store| {
                let people = enrol::count_people(store)?;
                Ok((people, enrol::count_enrolled(store)?, store.outgoing()?.len()))
            });
            // A store that can not be read says so below.
            let counted = counted.await.ok();
            let epoch = shared.index.newest_epoch().map(|epoch| epoch.0);
            let told = shared.told.newest().0;
            let log = shared.log.audit();
            Some(State {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                now: shared.clock.now(),
                started: shared.running.started(),
                store_available: counted.is_some() && shared.store.durable().is_available(),
                log_available: log.is_available(),
                log_entries: log.tree().head().size,
                log_cosigned: shared.cosigned.size(),
                waiting: counted
                    .map_or(0, |(_, _, waiting)| u64::try_from(waiting).unwrap_or(u64::MAX)),
                enrolment: counted.map(|(people, enrolled, _)| Enrolment {
                    people,
                    enrolled,
                    epoch,
                    told,
                }),
            })
        })
    })
}

fn failed(error: StoreError) -> Status {
    to_status(&Refusal::from(error))
}

/// The disk's space, and the bytes of the log.
fn store_and_log(shared: &Shared) -> (Result<Space, String>, Option<u64>) {
    let disk = Space::of(shared.config.data.as_path()).map_err(|error| error.to_string());
    (disk, machine::bytes_below(shared.log.audit().dir()).ok())
}
