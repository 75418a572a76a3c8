//! A witness that is no party: information governance runs it on a machine of its own, with its own key and its own memory. It knows
//! the parties from the agreement, holds their logs against what it has seen before, and calls nobody.
//!
//! What hub and one node could rewrite together, because only the two have seen it of each other, it finds: both show it their logs too.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context as _;
use brag_common::{
    admin::{Admin, Readiness},
    agreement::{Agreement, SignedAgreement},
    audit::Party,
    config::{self, ConfigError, ConfigPath},
    id::{AgreementDigest, StaffName},
    keyfile,
    keys::VerifyingKey,
    peer::{TrustDomain, VerifiedPeer},
    profile::TlsPaths,
    serve::{self, Limits, ServeMetrics, Serving},
    telemetry::{LogConfig, Metrics, RequestMetrics},
    time::{SharedClock, Timestamp},
    tlog::{KeyKind, NoteKey},
    tls::ServerTls,
    wire::FILE_DESCRIPTOR_SET,
    witness::{
        Witness,
        grpc::{self, WitnessHost},
        keys::LogKeys,
    },
};
use prometheus_client::metrics::counter::Counter;
use serde::Deserialize;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// Its one call, as the metrics name it.
const RPC: &str = "add_checkpoint";

/// What a witness is told by whoever runs it. Unknown keys are refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The partnership.
    pub trust_domain: TrustDomain,
    /// The witness's own name.
    pub name: StaffName,
    /// Folder of what it has seen. Only this program writes there.
    pub data: ConfigPath,
    /// The signed agreement.
    pub agreement: ConfigPath,
    /// SHA-256 of the agreement's text.
    pub agreement_digest: AgreementDigest,
    /// Where hub and nodes reach it.
    pub listen: SocketAddr,
    /// Where liveness, readiness and metrics are served; must be a loopback address.
    pub admin_listen: SocketAddr,
    /// Certificates.
    pub tls: TlsPaths,
    /// Secret keys.
    pub keys: KeyPaths,
    /// The program's own messages.
    #[serde(default)]
    pub log: LogConfig,
}

/// Paths of the secret keys, each readable by the witness's user only.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPaths {
    /// Cosigns the parties' logs.
    pub witness: ConfigPath,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When it can not be read or a key is wrong; the error names file, line and key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        config::load(path)
    }
}

/// A witness's verifier key under its name: `<trust domain>/witness/<name>`.
///
/// # Errors
/// When the name is too long for a key's.
pub fn verifier_key(
    domain: &TrustDomain,
    name: &StaffName,
    key: VerifyingKey,
) -> anyhow::Result<NoteKey> {
    Ok(NoteKey::new(&format!("{domain}/witness/{name}"), KeyKind::Witness, key)?)
}

/// What its one handler stands on.
#[derive(Debug)]
pub struct Shared {
    agreement: SignedAgreement,
    trust_domain: TrustDomain,
    clock: SharedClock,
    witness: Arc<Witness>,
    requests: RequestMetrics,
    inconsistent: Counter,
}

impl Shared {
    fn terms(&self) -> &Agreement {
        self.agreement.agreement()
    }
}

impl WitnessHost for Shared {
    fn witness(&self) -> &Arc<Witness> {
        &self.witness
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    fn own_keys(&self) -> Option<LogKeys> {
        // It has no log. Whoever asks it was told its key by whoever runs it.
        None
    }

    fn own_keys_with(&self, _: &NoteKey) -> Option<LogKeys> {
        None
    }

    fn party(&self, peer: &VerifiedPeer) -> Result<Party, &'static str> {
        let name = peer.name();
        let party = match name.agency() {
            Some(agency) => Party::Agency(agency.clone()),
            None if name.is_hub() => Party::Hub,
            None => return Err("not_a_party"),
        };
        let named = match &party {
            Party::Hub => self.terms().hub().map(|keys| keys.tls.as_str()),
            Party::Agency(agency) => {
                let party = self.terms().party(agency);
                party.and_then(|party| party.keys()).map(|keys| keys.tls.as_str())
            }
        };
        // A party that has withdrawn has its log witnessed to the end.
        if named == Some(name.to_string().as_str()) { Ok(party) } else { Err("not_a_party") }
    }

    fn statement_key(&self, party: &Party) -> Option<VerifyingKey> {
        match party {
            Party::Hub => self.terms().hub().map(|keys| keys.signing),
            Party::Agency(agency) => Some(self.terms().party(agency)?.keys()?.signing),
        }
    }

    async fn inconsistent(&self, _: &Party) {
        self.inconsistent.inc();
    }

    fn ended(&self, code: &'static str) {
        self.requests.count(RPC, code);
    }
}

/// A witness that is ready to run.
#[derive(Debug)]
pub struct IndependentWitness {
    shared: Arc<Shared>,
    listener: TcpListener,
    tls: Arc<ServerTls>,
    admin_listen: SocketAddr,
    metrics: Metrics,
    limits: Limits,
}

impl IndependentWitness {
    /// Opens everything the configuration names, and listens. Nothing is served yet.
    ///
    /// # Errors
    /// When something is missing or wrong; the error says what and where.
    pub async fn build(config: Config, clock: SharedClock, limits: Limits) -> anyhow::Result<Self> {
        let path = config.agreement.as_path();
        let shown = path.display();
        let note =
            std::fs::read(path).with_context(|| format!("can not read the agreement `{shown}`"))?;
        let agreement = SignedAgreement::vouched_for(&note, config.agreement_digest)
            .with_context(|| format!("the agreement `{shown}` is not accepted"))?;
        let named = agreement.agreement().trust_domain().unwrap_or_default();
        anyhow::ensure!(
            named == config.trust_domain.as_str(),
            "the agreement `{shown}` is of the trust domain `{named}`, the configuration says `{}`",
            config.trust_domain
        );
        let key = keyfile::read_signing_key(config.keys.witness.as_path())?;
        let public = verifier_key(&config.trust_domain, &config.name, key.verifying_key())?;
        let data = config.data.as_path();
        let witness = Witness::open(data.to_owned(), public, key)
            .with_context(|| format!("can not open `{}`", data.display()))?;
        let tls =
            ServerTls::load(config.tls.files(), config.trust_domain.clone(), Arc::clone(&clock))?;
        let own = config.trust_domain.witness(config.name.clone());
        anyhow::ensure!(
            tls.name() == own,
            "the certificate is for `{}`; it must name `{own}`",
            tls.name()
        );
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("can not listen on {}", config.listen))?;
        let metrics = Metrics::new("brag_witness");
        let inconsistent = Counter::default();
        metrics.register(
            "inconsistent",
            "Checkpoints that were refused because they do not continue what their log had signed before",
            inconsistent.clone(),
        );
        let shared = Arc::new(Shared {
            agreement,
            trust_domain: config.trust_domain,
            clock,
            witness: Arc::new(witness),
            requests: RequestMetrics::register(&metrics, &[RPC]),
            inconsistent,
        });
        let admin_listen = config.admin_listen;
        Ok(Self { shared, listener, tls, admin_listen, metrics, limits })
    }

    /// Where hub and nodes reach it.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, then lets the calls under way finish. `started` is told the admin address.
    ///
    /// # Errors
    /// When a part can not start, or ends by itself.
    pub async fn run(
        self,
        shutdown: CancellationToken,
        started: impl FnOnce(SocketAddr),
    ) -> anyhow::Result<()> {
        let Self { shared, listener, tls, admin_listen, metrics, limits } = self;
        let (tell, readiness) = watch::channel(Readiness::starting());
        let admin =
            Admin::start(admin_listen, readiness.clone(), metrics.clone(), shutdown.clone())
                .await?;
        let (health, _health) = serve::health(&[grpc::NAME], readiness).await;
        let routes = Routes::new(health)
            .add_service(serve::reflection(FILE_DESCRIPTOR_SET)?)
            .add_service(grpc::service(Arc::clone(&shared)));
        let serving = Serving::start(
            listener,
            tls,
            limits,
            ServeMetrics::register(&metrics, &[grpc::NAME]),
            routes,
            shutdown.clone(),
        )?;
        tracing::info!(address = %serving.local_addr(), key = %shared.witness.public(), "witnessing");
        let watching = tokio::spawn(watch_memory(Arc::clone(&shared), tell));
        started(admin.local_addr());
        serving.ended().await?;
        watching.abort();
        admin.ended().await;
        Ok(())
    }
}

/// Ready means that what is seen can be kept: without that nothing is cosigned.
async fn watch_memory(shared: Arc<Shared>, tell: watch::Sender<Readiness>) {
    let mut keeps = shared.witness.keeps();
    loop {
        let reasons = if *keeps.borrow_and_update() {
            Vec::new()
        } else {
            vec!["what is witnessed can not be kept".to_owned()]
        };
        tell.send_replace(Readiness::not_ready(reasons));
        if keeps.changed().await.is_err() {
            return;
        }
    }
}
