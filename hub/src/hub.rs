//! The hub: built from its configuration, then run until it is told to stop.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use brag_common::{
    admin::{Admin, Readiness},
    agreement::SignedAgreement,
    alert::Alerts,
    audit::{
        AuditLog,
        entry::{Action, EntryDraft, Party},
    },
    id::{AgencyId, EnquiryRef},
    keyfile::{self, KeyKind},
    peer::TrustDomain,
    program::{Surroundings, log_options, open_log, realm, stamp, watch_readiness},
    replay::ReplayGuard,
    serve::{self, Limits, ServeMetrics, Serving},
    statement::Realm,
    status::PeerFacing as _,
    telemetry::{Metrics, RequestMetrics},
    time::SharedClock,
    tls::{ClientTls, ServerTls, connect},
    wire::{FILE_DESCRIPTOR_SET, pb::WatchResponse},
};
use tokio::{
    net::TcpListener,
    sync::{Mutex, Notify, RwLock, Semaphore, broadcast, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{
    service::Routes,
    transport::{Channel, Endpoint},
};

use crate::{
    challenges, config::Config, conflict::LinkedPeople, epochs, guard::Refusal, locks::Locks,
    notify, round, service, store::Store,
};

/// Events that a slow watcher may lag behind before it misses some; it is told so and reads anew.
const EVENTS_KEPT: usize = 1024;

/// What all handlers of the hub share.
#[derive(Debug)]
pub struct Shared {
    /// The operator's configuration.
    pub config: Config,
    /// The source of time.
    pub clock: SharedClock,
    /// The agreement, signed by all parties.
    pub agreement: SignedAgreement,
    /// Where statements hold.
    pub realm: Realm,
    /// Enquiries, matrix, releases.
    pub store: Store,
    /// The audit log.
    pub log: AuditLog,
    /// Ids of requests that could still be alive.
    pub replay: ReplayGuard,
    /// How requests ended.
    pub requests: RequestMetrics,
    /// What information governance is told of.
    pub alerts: Alerts,
    /// Read while an agency is screened, written while new keys of its are evaluated in an epoch that it is screened with: so a key that
    /// was not enrolled before a person was asked about can not be claimed to have hit.
    pub screening: BTreeMap<AgencyId, RwLock<()>>,
    /// Whom the staff are linked to.
    pub linked: LinkedPeople,
    /// A channel to each agency's node.
    pub nodes: BTreeMap<AgencyId, Channel>,
    /// Calls to nodes under way.
    pub calls: Semaphore,
    /// What happens, for those who watch.
    pub events: broadcast::Sender<(EnquiryRef, WatchResponse)>,
    /// Rounds under way; joined at the end.
    pub rounds: TaskTracker,
    /// Held while answers of one agency in one enquiry are taken.
    pub cell_locks: Locks,
    /// Tells that there is a challenge to pass on.
    pub challenged: Notify,
    /// Held while an agency is told what others have stated in an enquiry.
    pub notice_locks: Locks,
    /// Held while an agency's key and quota change.
    pub enrolling: Mutex<()>,
    /// Ends everything.
    pub shutdown: CancellationToken,
}

impl Shared {
    /// An entry under this agreement.
    #[must_use]
    pub fn draft(&self, action: Action) -> EntryDraft {
        let mut draft = EntryDraft::new(action);
        draft.agreement = Some(stamp(&self.agreement));
        draft
    }

    /// Records that a call by an agency was refused.
    pub async fn record_refusal(&self, agency: &AgencyId, exchange: &str, refusal: &Refusal) {
        if matches!(refusal, Refusal::Log(_)) {
            return;
        }
        let mut draft = self.draft(Action::RequestRefused);
        draft.exchange = exchange.parse().ok();
        draft.peer = Some(Party::Agency(agency.clone()));
        draft.decision = refusal.code().parse().ok();
        // A refusal leaves nothing; that it could not be recorded shows as the log being unavailable.
        let _ = self.log.record(draft).await;
    }

    /// Tells those who watch. Nobody watching is no error.
    pub fn tell(&self, enquiry: &EnquiryRef, event: WatchResponse) {
        let _ = self.events.send((enquiry.clone(), event));
    }
}

/// A hub that is ready to run.
#[derive(Debug)]
pub struct Hub {
    shared: Arc<Shared>,
    listener: TcpListener,
    server_tls: Arc<ServerTls>,
    metrics: Metrics,
    limits: Limits,
}

impl Hub {
    /// Opens everything the configuration names, and listens. Nothing is served yet.
    ///
    /// # Errors
    /// When something is missing or wrong; the error says what and where.
    pub async fn build(
        config: Config,
        surroundings: Surroundings,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let clock = Arc::clone(&surroundings.clock);
        let agreement = read_agreement(&config)?;
        let (trust_domain, realm) = realm(&agreement)?;
        let store_key = keyfile::read(config.keys.store.as_path(), KeyKind::Store)?;
        let store = Store::open(config.data.as_path(), &store_key)?;
        let options = log_options(
            config.data.as_path(),
            config.keys.log.as_path(),
            &agreement,
            Party::Hub,
            &clock,
        )?;
        let options = surroundings.change(options);
        let (log, replay) = open_log(options, &clock).await?;

        let files = config.tls.files();
        let server_tls = ServerTls::load(files.clone(), trust_domain.clone(), Arc::clone(&clock))?;
        let client_tls = ClientTls::load(files, trust_domain.clone(), Arc::clone(&clock))?;
        let nodes = channels(&config, &agreement, &trust_domain, &client_tls)?;
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("can not listen on {}", config.listen))?;
        let calls = Semaphore::new(usize::from(config.fan_out.calls_at_once.clamp(1, 1024)));
        let metrics = Metrics::new("brag_hub");
        let linked = LinkedPeople::read(&config)?;
        let shared = Arc::new(Shared {
            config,
            clock,
            agreement,
            realm,
            store,
            log,
            replay,
            alerts: Alerts::register(&metrics),
            linked,
            screening: nodes.keys().map(|agency| (agency.clone(), RwLock::default())).collect(),
            requests: RequestMetrics::register(&metrics, &["evaluate", "enrolled", "deliver"]),
            nodes,
            calls,
            events: broadcast::channel(EVENTS_KEPT).0,
            rounds: TaskTracker::new(),
            cell_locks: Locks::default(),
            challenged: Notify::new(),
            notice_locks: Locks::default(),
            enrolling: Mutex::default(),
            shutdown,
        });
        Ok(Self { shared, listener, server_tls, metrics, limits: surroundings.limits })
    }

    /// Where nodes and co-ordinators reach the hub.
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

    /// Serves until told to stop, then lets the calls under way finish. `started` is told the admin address.
    ///
    /// # Errors
    /// When a part can not start, or ends by itself.
    pub async fn run(self, started: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
        let Self { shared, listener, server_tls, metrics, limits } = self;
        let shutdown = shared.shutdown.clone();
        shared.log.record(shared.draft(Action::ServiceStarted)).await?;
        let (tell, readiness) = watch::channel(Readiness::starting());
        let watched = Arc::clone(&shared);
        let in_force = move || watched.in_force().err().map(|refusal| refusal.to_string());
        let watching = tokio::spawn(watch_readiness(shared.log.clone(), in_force, tell));
        let admin = Admin::start(
            shared.config.admin_listen,
            readiness.clone(),
            metrics.clone(),
            shutdown.clone(),
        )
        .await?;
        let (health, _health) = serve::health(service::NAMES, readiness).await;
        let routes = Routes::new(health)
            .add_service(serve::reflection(FILE_DESCRIPTOR_SET)?)
            .add_service(service::agencies(Arc::clone(&shared)))
            .add_service(service::coordinators(Arc::clone(&shared)));
        shared.rounds.spawn(round::ask_again(Arc::clone(&shared)));
        shared.rounds.spawn(epochs::keep_turning(Arc::clone(&shared)));
        shared.rounds.spawn(challenges::keep_telling(Arc::clone(&shared)));
        shared.rounds.spawn(notify::keep_telling(Arc::clone(&shared)));
        let serving = Serving::start(
            listener,
            server_tls,
            limits,
            ServeMetrics::register(&metrics),
            routes,
            shutdown.clone(),
        )?;
        tracing::info!(address = %serving.local_addr(), "serving");
        started(admin.local_addr());
        serving.ended().await?;
        shared.rounds.close();
        shared.rounds.wait().await;
        watching.abort();
        // Nothing is lost when the log can not be written: it says less, never something false.
        let _ = shared.log.record(shared.draft(Action::ServiceStopped)).await;
        admin.ended().await;
        Ok(())
    }
}

fn read_agreement(config: &Config) -> anyhow::Result<SignedAgreement> {
    let path = config.agreement.as_path();
    let note = std::fs::read(path)
        .with_context(|| format!("can not read the agreement `{}`", path.display()))?;
    let key = keyfile::read_signing_key(config.keys.statements.as_path())?;
    SignedAgreement::verify_as_hub(&note, key.verifying_key())
        .with_context(|| format!("the agreement `{}` is not accepted", path.display()))
}

fn channels(
    config: &Config,
    agreement: &SignedAgreement,
    trust_domain: &TrustDomain,
    tls: &Arc<ClientTls>,
) -> anyhow::Result<BTreeMap<AgencyId, Channel>> {
    for agency in config.nodes.keys() {
        anyhow::ensure!(
            agreement.agreement().party(agency).is_some(),
            "[nodes] names {agency}, which is not a party to the agreement"
        );
    }
    let mut channels = BTreeMap::new();
    for party in agreement.agreement().parties() {
        let Some(uri) = config.nodes.get(party.id()) else {
            anyhow::bail!("[nodes] does not say where the node of {} is", party.id());
        };
        let endpoint = Endpoint::from_shared(uri.clone())
            .with_context(|| format!("the endpoint of {} is not a URI", party.id()))?;
        let name = trust_domain.agency(party.id().clone());
        channels.insert(party.id().clone(), connect(&endpoint, name, Arc::clone(tls)));
    }
    Ok(channels)
}
