//! The hub: built from its configuration, then run until it is told to stop.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use brag_common::{
    admin::{Admin, Readiness},
    agreement::{Former, NoteError, SignedAgreement},
    alert::{
        Alert, Alerts,
        watched::{SharedWatch, WatchedLog},
    },
    audit::{
        AuditLog,
        entry::{Action, AgreementStamp, EntryDraft, Party},
    },
    backup::local,
    config::ConfigPath,
    console::{self, Console},
    erasure::{Erasing, retention},
    forward::{self, ForwardMetrics, Forwarder},
    id::{AgencyId, EnquiryRef},
    keyfile,
    lifecycle::Served,
    peer::{PeerName, TrustDomain},
    program::{
        Accepting, CertificateMetrics, Loaded, Reloading, Surroundings, Took, keep_reloading, load,
        log_options, open_log, open_witness, quorum, realm, stamp, watch_agreements,
        watch_readiness,
    },
    reason::Reason,
    replay::ReplayGuard,
    serve::{self, Limits, ServeMetrics, Serving},
    standing::{PeerChannel, Standing},
    status::PeerFacing as _,
    store_key,
    telemetry::{Metrics, RequestMetrics, calls::AskedCalls},
    time::{SharedClock, Timestamp},
    tls::{ClientTls, ServerTls, connect},
    version_folder::{Found, VersionFolder},
    versions::{AgreementNow, RealmNow, Versions},
    wire::{FILE_DESCRIPTOR_SET, pb::WatchResponse, records::records},
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
    sync::{Mutex, Notify, RwLock, Semaphore, broadcast, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{service::Routes, transport::Endpoint};

use crate::{
    audit_service, backup, challenges,
    config::{Config, DIALS_OUT},
    conflict::{self, LinkedPeople},
    console::{AsConsole, pages},
    doctor_command, drafts, epochs,
    guard::{Refusal, SignedIn},
    life::{agenda::Summaries, settle, words::Words},
    locks::Locks,
    measure::Gauges,
    mismatches::Mismatches,
    notify,
    report::subject_access::service::subject_access,
    round, service,
    store::{Change, Store},
    witnessing,
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
    /// The agreement that holds now, signed by all parties.
    pub agreement: AgreementNow<()>,
    /// Where statements hold.
    pub realm: RealmNow<()>,
    /// Enquiries, matrix, releases.
    pub store: Store,
    /// The audit log, with a watch over it.
    pub log: WatchedLog,
    /// How much of the log the nodes have seen.
    pub cosigned: Cosigned,
    /// Cosigns the nodes' logs.
    pub witness: Arc<Witness>,
    /// What is remembered of witnessing between exchanges.
    pub in_band: InBand,
    /// Whose names count.
    pub trust_domain: TrustDomain,
    /// Ids of requests that could still be alive.
    pub replay: ReplayGuard,
    /// How requests ended.
    pub requests: RequestMetrics,
    /// How calls of nodes ended.
    pub asked: AskedCalls,
    /// What information governance is told of.
    pub alerts: Alerts,
    /// Read while an agency is screened, written while new keys of its are evaluated in an epoch that it is screened with: so a key that
    /// was not enrolled before a person was asked about can not be claimed to have hit.
    pub screening: BTreeMap<AgencyId, RwLock<()>>,
    /// Whom the staff are linked to.
    pub linked: LinkedPeople,
    /// A channel to each agency's node.
    pub nodes: BTreeMap<AgencyId, PeerChannel>,
    /// Connections that nodes have dialled, and serve the hub on.
    pub standing: Standing,
    /// Calls to nodes under way.
    pub calls: Semaphore,
    /// What happens, for those who watch.
    pub events: broadcast::Sender<(EnquiryRef, WatchResponse)>,
    /// Rounds under way; joined at the end.
    pub rounds: TaskTracker,
    /// Held while answers of one agency in one enquiry are taken.
    pub cell_locks: Locks,
    /// Held while a delivery of one agency about one enquiry is taken.
    pub deliveries: Locks,
    /// Held while a step in the life of an enquiry is taken, or its flags are.
    pub life_locks: Locks,
    /// The words in which the life of an enquiry is told.
    pub words: Words,
    /// Every enquiry in a line.
    pub summaries: Summaries,
    /// Nodes that work under another version of the agreement.
    pub mismatches: Mismatches,
    /// Tells that there is a challenge to pass on.
    pub challenged: Notify,
    /// Held while an agency is told what others have stated in an enquiry.
    pub notice_locks: Locks,
    /// Held while an agency's key and quota change.
    pub enrolling: Mutex<()>,
    /// The state of erasing enquiries.
    pub erasing: Erasing,
    /// Held while an enquiry is counted and opened.
    pub opening: Mutex<()>,
    /// Held while an auditor reads the log, handles an alert or answers a person: one at a time reads all of it, and no approval
    /// overtakes another.
    pub auditing: Mutex<()>,
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

    /// Waits for a call as long as the hub is not told to stop; then it counts as cancelled. So every call that was
    /// recorded has its end recorded too.
    ///
    /// # Errors
    /// The call's own, or that the hub stops.
    pub async fn unless_stopping<T>(
        &self,
        call: impl Future<Output = Result<T, tonic::Status>>,
    ) -> Result<T, tonic::Status> {
        tokio::select! {
            () = self.shutdown.cancelled() => Err(tonic::Status::cancelled("the hub stops")),
            answer = call => answer,
        }
    }

    /// Records that a call came to nothing: nobody answered it, or it was refused. `asked` is the entry with which the call
    /// was recorded, `code` why.
    ///
    /// # Errors
    /// When it can not be recorded.
    pub async fn record_no_response(&self, asked: EntryDraft, code: &str) -> Result<(), Refusal> {
        let draft = EntryDraft { action: Action::NoResponse, decision: code.parse().ok(), ..asked };
        self.log.record(draft).await?;
        Ok(())
    }

    /// Records that a rule refused what a member of staff wanted to do. What is an alert by itself has its entry.
    ///
    /// # Errors
    /// When it can not be recorded.
    pub async fn record_refused_act(
        &self,
        who: &SignedIn,
        enquiry: Option<&EnquiryRef>,
        refusal: &Refusal,
    ) -> Result<(), Refusal> {
        let Refusal::Rule { code, .. } = refusal else { return Ok(()) };
        let reason: Option<Reason> = code.parse().ok();
        if *code == conflict::CODE || reason.and_then(Alert::of).is_some() {
            return Ok(());
        }
        let mut draft = self.draft(Action::RequestRefused);
        draft.enquiry = enquiry.cloned();
        draft.decision = code.parse().ok();
        draft.reason = reason;
        self.log.record(who.signs(draft)).await?;
        Ok(())
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
    folder: VersionFolder,
    listener: TcpListener,
    server_tls: Arc<ServerTls>,
    client_tls: Arc<ClientTls>,
    started: Timestamp,
    witnesses: Peers<Shared>,
    metrics: Metrics,
    gauges: Gauges,
    forwarder: Option<Forwarder>,
    limits: Limits,
    console: Option<Console>,
    file: Option<PathBuf>,
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
        // Before the store is made: a hub whose agreement is not accepted leaves nothing behind.
        read_agreement(&config, &clock)?;
        let store_key = store_key::open(config.data.as_path(), config.keys.store.as_path())?;
        let store = Store::open(config.data.as_path(), &config.enquiry_key_folder(), &store_key)?;
        let folder = VersionFolder::new(config.data.as_path(), config.agreement.as_path());
        let Loaded { versions, folder, taken_up } =
            load(folder, &AsHub::of(&config), &clock, |digest| {
                Ok(store.agreement_taken_up(digest)?)
            })?;
        let agreement = AgreementNow::of(Arc::clone(&versions));
        let (trust_domain, _) = realm(&agreement)?;
        let options = log_options(
            config.data.as_path(),
            config.keys.log.as_path(),
            &agreement,
            Party::Hub,
            &clock,
        )?;
        let options = surroundings.change(options);
        let watch = SharedWatch::new(&config.oversight);
        let watching = watch.clone();
        let (log, replay) = open_log(options, &clock, move |entry| watching.saw(entry)).await?;
        for (stamp, at) in taken_up {
            take_up(&log, &store, stamp, at).await?;
        }

        let files = config.tls.files();
        let server_tls = ServerTls::load(files.clone(), trust_domain.clone(), Arc::clone(&clock))?;
        let client_tls = ClientTls::load(files, trust_domain.clone(), Arc::clone(&clock))?;
        let metrics = Metrics::new("brag_hub");
        let admits = members(Arc::clone(&versions), Arc::clone(&clock));
        let agencies = config.nodes.keys().cloned();
        let standing = Standing::new(config.dial_out, &metrics, agencies, admits);
        let nodes = channels(&config, &versions, &trust_domain, &client_tls, &standing)?;
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("can not listen on {}", config.listen))?;
        let calls = Semaphore::new(usize::from(config.fan_out.calls_at_once.clamp(1, 1024)));
        let linked = LinkedPeople::read(&config)?;
        let words = Words::load(config.words.as_ref().map(ConfigPath::as_path))?;
        let witness = open_witness(
            config.data.as_path(),
            config.keys.witness.as_path(),
            &trust_domain,
            &Party::Hub,
        )?;
        let parties = nodes.keys().cloned().map(Party::Agency);
        let quorum = quorum(&config.witness, &log, &trust_domain, parties, Quorum::Majority)?;
        let cosigned = Cosigned::new(log.clone(), quorum);
        let alerts = Alerts::register(&metrics);
        let forwarder = forward::open(
            config.forward.as_ref(),
            "brag-hub",
            config.data.as_path(),
            &log,
            &clock,
            ForwardMetrics::register(&metrics),
        )?;
        let log = WatchedLog::new(log, Arc::clone(&clock), watch, alerts.clone()).await?;
        let shared = Arc::new(Shared {
            config,
            clock,
            agreement,
            realm: RealmNow::of(versions),
            store,
            log,
            cosigned,
            witness,
            in_band: InBand::default(),
            trust_domain,
            replay,
            alerts,
            asked: AskedCalls::register(
                &metrics,
                "brag.v1.NodeService",
                |_| true,
                nodes.keys().cloned().map(Party::Agency),
            ),
            linked,
            screening: nodes.keys().map(|agency| (agency.clone(), RwLock::default())).collect(),
            requests: RequestMetrics::register(&metrics, &["evaluate", "enrolled", "deliver"]),
            nodes,
            standing,
            calls,
            events: broadcast::channel(EVENTS_KEPT).0,
            rounds: TaskTracker::new(),
            cell_locks: Locks::default(),
            deliveries: Locks::default(),
            life_locks: Locks::default(),
            words,
            summaries: Summaries::default(),
            mismatches: Mismatches::default(),
            challenged: Notify::new(),
            notice_locks: Locks::default(),
            enrolling: Mutex::default(),
            erasing: Erasing::default(),
            opening: Mutex::default(),
            auditing: Mutex::default(),
            shutdown,
        });
        let console = console::configured(
            shared.config.console.as_ref(),
            shared.config.data.as_path(),
            (shared.store.durable(), store_key),
            AsConsole(Arc::clone(&shared)),
        )
        .await?;
        let nodes = shared.nodes.iter();
        let nodes = nodes.map(|(id, channel)| (Party::Agency(id.clone()), channel.clone()));
        let witnesses = Peers::new(Arc::clone(&shared), nodes)
            .and(&shared.config.witness.independent, &client_tls)
            .context("the endpoint of a witness is not a URI")?;
        let limits = surroundings.limits;
        let file = None;
        let started = shared.clock.now();
        let gauges = Gauges::register(&metrics, &shared);
        Ok(Self {
            shared,
            folder,
            listener,
            server_tls,
            client_tls,
            started,
            witnesses,
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

    /// Serves until told to stop, then lets the calls under way finish. `started` is told where.
    ///
    /// # Errors
    /// When a part can not start, or ends by itself.
    pub async fn run(self, started: impl FnOnce(Served)) -> anyhow::Result<()> {
        let Self {
            shared,
            folder,
            listener,
            server_tls,
            client_tls,
            started: since,
            witnesses,
            metrics,
            gauges,
            forwarder,
            limits,
            console,
            file,
        } = self;
        let shutdown = shared.shutdown.clone();
        shared.log.record(shared.draft(Action::ServiceStarted)).await?;
        let (tell, readiness) = watch::channel(Readiness::starting());
        let watched = Arc::clone(&shared);
        let own_tls = Arc::clone(&server_tls);
        let in_force = move || {
            let refused = watched.in_force().err().map(|refusal| refusal.to_string());
            // A store that failed refuses everything until it is opened again.
            let works = watched.store.durable().is_available();
            let failed =
                || (!works).then(|| "the store failed; start the program again".to_owned());
            refused.or_else(|| own_tls.expired()).or_else(failed)
        };
        let admin = Admin::start_telling(
            shared.config.admin_listen,
            readiness.clone(),
            metrics.clone(),
            Some(doctor_command::tell(&shared, since)),
            shutdown.clone(),
        )
        .await?;
        let (health, _health) = serve::health(service::NAMES, readiness).await;
        let routes = Routes::new(health)
            .add_service(serve::reflection(FILE_DESCRIPTOR_SET)?)
            .add_service(Witnessed::new(
                service::agencies(Arc::clone(&shared)),
                Arc::clone(&shared),
            ))
            .add_service(service::coordinators(Arc::clone(&shared)))
            .add_service(witness::grpc::service(Arc::clone(&shared)))
            .add_service(records(Arc::clone(&shared)))
            .add_service(audit_service::auditors(Arc::clone(&shared)))
            .add_service(subject_access(Arc::clone(&shared)));
        shared.rounds.spawn(round::ask_again(Arc::clone(&shared)));
        shared.rounds.spawn(epochs::keep_turning(Arc::clone(&shared)));
        shared.rounds.spawn(watch_agreements(
            Arc::clone(shared.agreement.versions()),
            folder,
            AsHub::of(&shared.config),
            Arc::clone(&shared.clock),
            took(&shared),
            shutdown.clone(),
        ));
        shared.rounds.spawn(keep_reloading(
            Reloading {
                server: Arc::clone(&server_tls),
                client: client_tls,
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
        shared.rounds.spawn(witnessing::run(Arc::clone(&shared), witnesses));
        shared.rounds.spawn(settle::keep_settling(Arc::clone(&shared)));
        shared.rounds.spawn(challenges::keep_telling(Arc::clone(&shared)));
        shared.rounds.spawn(notify::keep_telling(Arc::clone(&shared)));
        shared.rounds.spawn(drafts::keep_clearing(Arc::clone(&shared)));
        shared.rounds.spawn(retention::run(Arc::clone(&shared), shutdown.clone()));
        gauges.measure(&shared).await;
        shared.rounds.spawn(forward::run(forwarder, shutdown.clone()));
        shared.rounds.spawn(gauges.run(Arc::clone(&shared)));
        shared.rounds.spawn(shared.standing.clone().watch_over(shutdown.clone()));
        let copying =
            local::listen(shared.config.data.as_path()).context("the socket for backups")?;
        shared.rounds.spawn(local::serve(
            copying,
            backup::of_running(&shared, file.as_deref()),
            shutdown.clone(),
        ));
        let serving = Serving::start_taking(
            listener,
            server_tls,
            limits,
            ServeMetrics::register(&metrics, service::NAMES),
            routes,
            Some(shared.standing.clone()),
            shutdown.clone(),
        )?;
        let watching = tokio::spawn(watch_readiness(shared.log.audit().clone(), in_force, tell));
        tracing::info!(address = %serving.local_addr(), "serving");
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
        if let Some(console) = console {
            console.ended().await;
        }
        shared.rounds.close();
        shared.rounds.wait().await;
        watching.abort();
        // Nothing is lost when the log can not be written: it says less, never something false.
        let _ = shared.log.record(shared.draft(Action::ServiceStopped)).await;
        admin.ended().await;
        Ok(())
    }
}

/// How the hub accepts an agreement.
#[derive(Debug, Clone)]
pub struct AsHub {
    statements: PathBuf,
}

impl AsHub {
    /// The hub of a configuration, with its keys.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self { statements: config.keys.statements.as_path().to_owned() }
    }

    /// Verifies a note by whichever of the hub's keys it names.
    ///
    /// # Errors
    /// When it names none of them, or somebody's signature is missing or wrong.
    pub fn verify_note(&self, note: &[u8]) -> anyhow::Result<SignedAgreement> {
        let mut refused = None;
        for key in keyfile::read_signing_ring(&self.statements)? {
            match SignedAgreement::verify_as_hub(note, key.verifying_key()) {
                Ok(agreement) => return Ok(agreement),
                // Another key of the ring may be the one.
                Err(error @ NoteError::OtherKey(_)) => _ = refused.get_or_insert(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(refused.map_or_else(|| anyhow::anyhow!("there is no key for statements"), Into::into))
    }
}

impl Accepting<()> for AsHub {
    fn verify(&self, found: &Found) -> anyhow::Result<SignedAgreement> {
        self.verify_note(&found.note)
    }

    fn keys(&self, _: &SignedAgreement) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Reads the newest signed agreement, as the hub.
///
/// # Errors
/// When it can not be read, or somebody's signature is missing or wrong, or it names another key for the hub.
pub fn read_agreement(config: &Config, clock: &SharedClock) -> anyhow::Result<SignedAgreement> {
    let own = AsHub::of(config);
    let folder = VersionFolder::new(config.data.as_path(), config.agreement.as_path());
    folder.holding(clock.now(), |found| own.verify(found))
}

/// Records that a version of the agreement was taken up, and remembers when.
async fn take_up(
    log: &AuditLog,
    store: &Store,
    stamp: AgreementStamp,
    at: Timestamp,
) -> anyhow::Result<()> {
    let mut draft = EntryDraft::new(Action::AgreementLoaded);
    let digest = stamp.digest;
    draft.agreement = Some(stamp);
    log.record(draft).await?;
    let mut change = Change::new();
    change.agreement_taken_up(digest, at)?;
    Ok(store.run(move |store| store.commit(change)).await?)
}

/// Weak: it is held by a task that would else keep the hub open.
fn took(shared: &Arc<Shared>) -> Took {
    let shared = Arc::downgrade(shared);
    Box::new(move |stamp, at| {
        let shared = shared.upgrade();
        Box::pin(async move {
            let shared = shared.context("the hub is stopping")?;
            take_up(shared.log.audit(), &shared.store, stamp, at).await
        })
    })
}

/// A channel to the node of every party, of any version: of one that is added ahead, too.
fn channels(
    config: &Config,
    versions: &Versions<()>,
    trust_domain: &TrustDomain,
    tls: &Arc<ClientTls>,
    standing: &Standing,
) -> anyhow::Result<BTreeMap<AgencyId, PeerChannel>> {
    let (current, newest) = (&versions.current().agreement, &versions.newest().agreement);
    let known = |agency: &AgencyId| {
        let former = current.former().map(Former::agreement);
        let all = former.chain([current.agreement(), newest.agreement()]);
        all.into_iter().any(|agreement| agreement.party(agency).is_some())
    };
    for agency in config.nodes.keys() {
        anyhow::ensure!(
            known(agency),
            "[nodes] names {agency}, which is not a party to the agreement"
        );
    }
    for party in current.agreement().parties().chain(newest.agreement().parties()) {
        if !config.nodes.contains_key(party.id()) {
            anyhow::bail!("[nodes] does not say where the node of {} is", party.id());
        }
    }
    let mut channels = BTreeMap::new();
    for (agency, uri) in &config.nodes {
        let dialled = if uri == DIALS_OUT {
            None
        } else {
            let endpoint = Endpoint::from_shared(uri.clone())
                .with_context(|| format!("the endpoint of {agency} is not a URI"))?;
            let name = trust_domain.agency(agency.clone());
            Some(connect(&endpoint, name, Arc::clone(tls)))
        };
        // A node that dials out is called over its own connections, whether it could be dialled or not.
        let channel = PeerChannel::standing(standing.clone(), agency.clone(), dialled);
        channels.insert(agency.clone(), channel);
    }
    Ok(channels)
}

/// Whether a peer is an agency that may serve the hub: a party that has not withdrawn, or one that a signed version adds.
fn members(
    versions: Arc<Versions<()>>,
    clock: SharedClock,
) -> impl Fn(&PeerName) -> bool + Send + Sync + 'static {
    move |name| {
        let Some(agency) = name.agency() else { return false };
        let (current, newest) = (&versions.current().agreement, &versions.newest().agreement);
        let named = |agreement: &SignedAgreement| {
            let party = agreement.agreement().party(agency)?;
            let keys = party.keys()?;
            (keys.tls.as_str() == name.to_string()).then(|| party.in_force(clock.now()))
        };
        let is_coming = newest.digest() != current.digest() && named(newest).is_some();
        named(current).unwrap_or(is_coming)
    }
}
