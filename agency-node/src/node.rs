//! The node: built from its configuration, then run until it is told to stop.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use brag_common::{
    admin::{Admin, Readiness},
    alert::{Alerts, watched::WatchedLog},
    audit::entry::{Action, AgreementStamp, EntryDraft, Party},
    backup::local,
    console::{self, Console},
    erasure::{Erasing, retention},
    forward::{self, ForwardMetrics, Forwarder},
    id::RequestId,
    lifecycle::Served,
    peer::TrustDomain,
    program::{
        CertificateMetrics, Reloading, Surroundings, Took, keep_reloading, open_witness, quorum,
        stamp, watch_agreements, watch_readiness,
    },
    replay::ReplayGuard,
    serve::{self, Limits, ServeMetrics, Serving},
    standing::{DialOut, Dialling, dice},
    status::PeerFacing as _,
    telemetry::{Metrics, RequestMetrics, calls::AskedCalls},
    time::{SharedClock, Timestamp},
    tls::{ClientTls, Route, ServerTls},
    version_folder::VersionFolder,
    versions::{AgreementNow, RealmNow},
    wire::{FILE_DESCRIPTOR_SET, records::records},
    witness::{
        self, Witness,
        cosigned::{Cosigned, Quorum},
        grpc::Peers,
        in_band::InBand,
        layer::Witnessed,
    },
};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{
    audit_service, backup,
    budget::Screenings,
    config::Config,
    connect,
    console::{AsConsole, pages},
    ground::{AsAgency, Ground, NodeKeys, SealingNow, StatementsNow},
    guard::Refusal,
    hot_index::HotIndex,
    measure::Gauges,
    operating,
    outbox::{self, Order},
    renew::{self, Told},
    review::deadline::{self, Deadlines},
    running::Running,
    service,
    store::{Change, SharedRecords, Store, shapes::Screened},
    views::{self, Views},
    witnessing,
};

/// The most screenings whose candidates are remembered at a time; each lives for minutes.
const MAX_SCREENED: usize = 100_000;

/// What all handlers of a node share.
#[derive(Debug)]
pub struct Shared {
    /// The operator's configuration.
    pub config: Config,
    /// The source of time.
    pub clock: SharedClock,
    /// The agreement that holds now, signed by all parties.
    pub agreement: AgreementNow<NodeKeys>,
    /// Where statements hold.
    pub realm: RealmNow<NodeKeys>,
    /// Signs statements.
    pub statements: StatementsNow,
    /// Opens what is sealed to the agency.
    pub sealing: SealingNow,
    /// Records, enquiries, outgoing.
    pub store: Store,
    /// The audit log, with a watch over it.
    pub log: WatchedLog,
    /// How much of the log the hub has seen.
    pub cosigned: Cosigned,
    /// Cosigns the hub's log.
    pub witness: Arc<Witness>,
    /// What is remembered of witnessing between exchanges.
    pub in_band: InBand,
    /// Whose names count.
    pub trust_domain: TrustDomain,
    /// Screenings that count against the budget.
    pub screenings: Arc<Screenings>,
    /// Tokens of the agency's people; takes up what an enrolment writes.
    pub index: HotIndex,
    /// Since when it runs, and the last calls.
    pub running: Running,
    /// What the hub has told of newer epochs.
    pub told: Told,
    /// Ids of requests that could still be alive.
    pub replay: ReplayGuard,
    /// How requests ended.
    pub requests: RequestMetrics,
    /// How calls of the hub ended.
    pub asked: AskedCalls,
    /// What information governance is told of.
    pub alerts: Alerts,
    /// The order of what is delivered.
    pub order: Order,
    /// When the next review is escalated or ends.
    pub deadlines: Deadlines,
    /// Views of detail that others released to this agency, and their keys.
    pub views: Views,
    /// Tells the outbox that there is something to deliver.
    pub outbox: Notify,
    /// Held while a member of staff changes where a person stands, so that no act undoes another.
    pub at_desk: tokio::sync::Mutex<()>,
    /// The state of erasing enquiries.
    pub erasing: Erasing,
    /// Held while it is looked at whether something released has to be taken back.
    pub retracting: tokio::sync::Mutex<()>,
    /// Held while an auditor reads the log or handles an alert: one at a time reads all of it.
    pub auditing: tokio::sync::Mutex<()>,
    screened: Mutex<HashMap<RequestId, Screened>>,
}

impl Shared {
    /// The agreement as log entries name it.
    #[must_use]
    pub fn stamp(&self) -> AgreementStamp {
        stamp(&self.agreement)
    }

    /// An entry under this agreement.
    #[must_use]
    pub fn draft(&self, action: Action) -> EntryDraft {
        let mut draft = EntryDraft::new(action);
        draft.agreement = Some(self.stamp());
        draft
    }

    /// Records that a call by the hub was refused before any decision. A caller that is not the hub is counted
    /// only: strangers do not write the log.
    pub async fn record_refusal(&self, exchange: &str, refusal: &Refusal) {
        if matches!(refusal, Refusal::NotTheHub | Refusal::Log(_)) {
            return;
        }
        let mut draft = self.draft(Action::RequestRefused);
        draft.exchange = exchange.parse().ok();
        draft.peer = Some(Party::Hub);
        draft.decision = refusal.code().parse().ok();
        draft.reason = refusal.code().parse().ok();
        // A refusal leaves nothing; that it could not be recorded shows as the log being unavailable.
        let _ = self.log.record(draft).await;
    }

    /// Remembers what a screening answered, until the request is dead.
    pub fn remember_screened(&self, request: RequestId, screened: Screened, now: Timestamp) {
        let mut kept = self.screened.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_SCREENED {
            kept.retain(|_, screened| screened.valid_until >= now);
        }
        // Forgetting is safe: the hub screens again.
        if kept.len() < MAX_SCREENED {
            kept.insert(request, screened);
        }
    }

    /// The record behind a handle that a screening answered.
    #[must_use]
    pub fn screened_record(&self, request: &RequestId, handle: &[u8; 16]) -> Option<u64> {
        let kept = self.screened.lock().unwrap_or_else(PoisonError::into_inner);
        let candidates = &kept.get(request)?.candidates;
        candidates.iter().find(|known| known.handle == *handle).map(|known| known.record)
    }
}

/// A node that is ready to run.
#[derive(Debug)]
pub struct Node {
    shared: Arc<Shared>,
    folder: VersionFolder,
    listener: TcpListener,
    server_tls: Arc<ServerTls>,
    client_tls: Arc<ClientTls>,
    route: Route,
    metrics: Metrics,
    gauges: Gauges,
    forwarder: Option<Forwarder>,
    limits: Limits,
    console: Option<Console>,
    file: Option<PathBuf>,
}

impl Node {
    /// Opens everything the configuration names, and listens. Nothing is served yet.
    ///
    /// # Errors
    /// When something is missing or wrong; the error says what and where.
    pub async fn build(config: Config, surroundings: Surroundings) -> anyhow::Result<Self> {
        Self::build_beside(config, surroundings, &SharedRecords::default()).await
    }

    /// As [`Node::build`], beside the agency's nodes of other partnerships, which share what is open in `records` and nothing else.
    ///
    /// # Errors
    /// As [`Node::build`].
    pub async fn build_beside(
        config: Config,
        surroundings: Surroundings,
        records: &SharedRecords,
    ) -> anyhow::Result<Self> {
        let clock = Arc::clone(&surroundings.clock);
        let Ground {
            config,
            clock,
            agreement,
            folder,
            trust_domain,
            realm,
            statements,
            sealing,
            store,
            store_key,
            log,
            replay,
            watch,
            screenings,
        } = Ground::open_beside(config, clock, |options| surroundings.change(options), records)
            .await?;
        let index = HotIndex::open(config.data.as_path())?;
        let views = Views::open(&config)?;
        let witness = open_witness(
            config.data.as_path(),
            config.keys.witness.as_path(),
            &trust_domain,
            &Party::Agency(config.agency.clone()),
        )?;
        // Unless the operator's policy says otherwise, detail leaves only under a checkpoint that the hub has cosigned.
        let own_rule = Quorum::All(vec![Party::Hub]);
        let quorum = quorum(&config.witness, &log, &trust_domain, [Party::Hub], own_rule)?;
        let cosigned = Cosigned::new(log.clone(), quorum);

        let files = config.tls.files();
        let server_tls = ServerTls::load(files.clone(), trust_domain.clone(), Arc::clone(&clock))?;
        let client_tls = ClientTls::load(files, trust_domain.clone(), Arc::clone(&clock))?;
        let route = config.hub.route()?;
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("can not listen on {}", config.listen))?;
        let metrics = Metrics::new("brag_node");
        let alerts = Alerts::register(&metrics);
        let forwarder = forward::open(
            config.forward.as_ref(),
            "brag-node",
            config.data.as_path(),
            &log,
            &clock,
            ForwardMetrics::register(&metrics),
        )?;
        let log = WatchedLog::new(log, Arc::clone(&clock), watch, alerts.clone()).await?;
        let running = Running::since(clock.now(), Dialling::register(&metrics));
        let shared = Arc::new(Shared {
            config,
            clock,
            agreement,
            realm,
            statements,
            sealing,
            store,
            log,
            cosigned,
            witness,
            in_band: InBand::default(),
            trust_domain,
            screenings,
            index,
            running,
            told: Told::default(),
            replay,
            alerts,
            asked: AskedCalls::register(
                &metrics,
                "brag.v1.HubService",
                |method| method == "HubService/Deliver",
                [Party::Hub],
            ),
            requests: RequestMetrics::register(
                &metrics,
                &["screen", "rate", "release", "receive", "challenge", "notify", "inform"],
            ),
            views,
            order: Order::default(),
            deadlines: Deadlines::default(),
            outbox: Notify::new(),
            at_desk: tokio::sync::Mutex::default(),
            erasing: Erasing::default(),
            retracting: tokio::sync::Mutex::default(),
            auditing: tokio::sync::Mutex::default(),
            screened: Mutex::default(),
        });
        let limits = surroundings.limits;
        let gauges = Gauges::register(&metrics, shared.running.started());
        let console = console::configured(
            shared.config.console.as_ref(),
            shared.config.data.as_path(),
            (shared.store.durable(), store_key),
            AsConsole(Arc::clone(&shared)),
        )
        .await?;
        let file = None;
        Ok(Self {
            shared,
            folder,
            listener,
            server_tls,
            client_tls,
            route,
            metrics,
            gauges,
            forwarder,
            limits,
            console,
            file,
        })
    }

    /// The file that the configuration was read from: backups have it.
    #[must_use]
    pub fn configured_by(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    /// Where the hub and the staff reach the node.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What the handlers share, for tests that look inside.
    #[must_use]
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Serves until `shutdown`, then lets the calls under way finish. `started` is told where.
    ///
    /// # Errors
    /// When a part can not start, or ends by itself.
    pub async fn run(
        self,
        shutdown: CancellationToken,
        started: impl FnOnce(Served),
    ) -> anyhow::Result<()> {
        let Self {
            shared,
            folder,
            listener,
            server_tls,
            client_tls,
            route,
            metrics,
            gauges,
            forwarder,
            limits,
            console,
            file,
        } = self;
        shared.log.record(shared.draft(Action::ServiceStarted)).await?;
        let (tell, readiness) = watch::channel(Readiness::starting());
        let watched = Arc::clone(&shared);
        let own_tls = Arc::clone(&server_tls);
        let in_force = move || {
            let refused = watched.in_force().err().map(|refusal| refusal.to_string());
            // A store that failed refuses everything until it is opened again.
            let works =
                watched.store.durable().is_available() && watched.store.records().is_available();
            let failed =
                || (!works).then(|| "the store failed; start the program again".to_owned());
            refused.or_else(|| own_tls.expired()).or_else(failed)
        };
        let admin = Admin::start_telling(
            shared.config.admin_listen,
            readiness.clone(),
            metrics.clone(),
            Some(operating::tell(&shared)),
            shutdown.clone(),
        )
        .await?;
        let (health, _health) = serve::health(service::NAMES, readiness).await;
        let routes = Routes::new(health)
            .add_service(serve::reflection(FILE_DESCRIPTOR_SET)?)
            .add_service(Witnessed::new(service::node(Arc::clone(&shared)), Arc::clone(&shared)))
            .add_service(service::desk(Arc::clone(&shared)))
            .add_service(witness::grpc::service(Arc::clone(&shared)))
            .add_service(records(Arc::clone(&shared)))
            .add_service(audit_service::auditors(Arc::clone(&shared)));
        let hub = outbox::channel(&shared, route.clone(), Arc::clone(&client_tls));
        let hub = hub.context("the agreement has no name for the hub")?;
        let renewing = tokio::spawn(renew::run(Arc::clone(&shared), hub.clone(), shutdown.clone()));
        let taking_up = tokio::spawn(watch_agreements(
            Arc::clone(shared.agreement.versions()),
            folder,
            AsAgency::of(&shared.config),
            Arc::clone(&shared.clock),
            took(&shared),
            shutdown.clone(),
        ));
        let reloading = tokio::spawn(keep_reloading(
            Reloading {
                server: Arc::clone(&server_tls),
                client: Arc::clone(&client_tls),
                files: shared.config.tls.files(),
                console: shared
                    .config
                    .console
                    .as_ref()
                    .map(|console| console.certificate.as_path().to_owned()),
                clock: Arc::clone(&shared.clock),
                metrics: CertificateMetrics::register(&metrics),
            },
            shutdown.clone(),
        ));
        let witnesses = Peers::new(Arc::clone(&shared), [(Party::Hub, hub.clone())])
            .and(&shared.config.witness.independent, &client_tls)
            .context("the endpoint of a witness is not a URI")?;
        let witnessing =
            tokio::spawn(witnessing::run(Arc::clone(&shared), witnesses, shutdown.clone()));
        let delivering = tokio::spawn(outbox::run(Arc::clone(&shared), hub, shutdown.clone()));
        let reviewing = tokio::spawn(deadline::run(Arc::clone(&shared), shutdown.clone()));
        let closing = tokio::spawn(views::run(Arc::clone(&shared), shutdown.clone()));
        let connecting = tokio::spawn(connect::run_all(Arc::clone(&shared), shutdown.clone()));
        let erasing = tokio::spawn(retention::run(Arc::clone(&shared), shutdown.clone()));
        let copying =
            local::listen(shared.config.data.as_path()).context("the socket for backups")?;
        let copying = tokio::spawn(local::serve(
            copying,
            backup::of_running(&shared, file.as_deref()),
            shutdown.clone(),
        ));
        gauges.measure(&shared).await;
        let forwarding = tokio::spawn(forward::run(forwarder, shutdown.clone()));
        let measuring = tokio::spawn(gauges.run(Arc::clone(&shared), shutdown.clone()));
        let serving = Serving::start(
            listener,
            server_tls,
            limits,
            ServeMetrics::register(&metrics, service::NAMES),
            routes,
            shutdown.clone(),
        )?;
        let watching = tokio::spawn(watch_readiness(shared.log.audit().clone(), in_force, tell));
        tracing::info!(agency = %shared.config.agency, address = %serving.local_addr(), "serving");
        let dialling = dial_out(&shared, &serving, route, client_tls)?.map(|dialling| {
            tracing::info!("dialling out: the hub is served on connections that this node makes");
            tokio::spawn(dialling.run(shutdown.clone()))
        });
        let console = match console {
            Some(console) => Some(console.serve(pages(&shared), shutdown.clone())?),
            None => None,
        };
        started(Served {
            listen: serving.local_addr(),
            admin: admin.local_addr(),
            console: console.as_ref().map(console::Serving::local_addr),
        });
        serving.ended().await?;
        if let Some(dialling) = dialling {
            dialling.await?;
        }
        if let Some(console) = console {
            console.ended().await;
        }
        delivering.await?;
        witnessing.await?;
        renewing.await?;
        reviewing.await?;
        closing.await?;
        erasing.await?;
        copying.await?;
        connecting.await?;
        taking_up.await?;
        reloading.await?;
        measuring.await?;
        forwarding.await?;
        watching.abort();
        // Nothing is lost when the log can not be written: it says less, never something false.
        let _ = shared.log.record(shared.draft(Action::ServiceStopped)).await;
        admin.ended().await;
        Ok(())
    }
}

/// Dialling out, where the configuration says so.
fn dial_out(
    shared: &Shared,
    serving: &Serving,
    route: Route,
    tls: Arc<ClientTls>,
) -> anyhow::Result<Option<DialOut>> {
    let config = &shared.config.hub;
    if !config.dial_out {
        return Ok(None);
    }
    Ok(Some(DialOut {
        route,
        hub: outbox::hub_name(shared).context("the agreement has no name for the hub")?,
        tls,
        services: serving.services(),
        options: config.options(),
        dialling: shared.running.dialling.clone(),
        dice: dice(),
    }))
}

/// Records that a version of the agreement was taken up, and remembers when. Weak: it is held by a task that would else keep
/// the node open.
fn took(shared: &Arc<Shared>) -> Took {
    let shared = Arc::downgrade(shared);
    Box::new(move |stamp, at| {
        let shared = shared.upgrade();
        Box::pin(async move {
            let shared = shared.context("the node is stopping")?;
            let mut draft = EntryDraft::new(Action::AgreementLoaded);
            let digest = stamp.digest;
            draft.agreement = Some(stamp);
            shared.log.record(draft).await?;
            let mut change = Change::new();
            change.agreement_taken_up(digest, at)?;
            Ok(shared.store.run(move |store| store.commit(change)).await?)
        })
    })
}
