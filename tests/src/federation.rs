//! A partnership in this process: hub and nodes on real sockets with real TLS, their own folder, one clock that the
//! test sets, and a switch under each log that makes its disk fail.
//!
//! It panics where a test would: what fails here is the test.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use brag_agency_node::{self as agency_node, Node};
use brag_common::{
    audit::{FaultSwitch, LogOptions},
    id::{AgencyId, RequestId},
    secret::random_bytes,
    serve::{Limits, ServeMetrics, Serving},
    statement::Realm,
    telemetry::Metrics,
    time::{Clock as _, SettableClock, SharedClock, SignedDuration, Timestamp},
    tls::{ServerTls, TlsFiles},
};
use brag_hub::{self as hub, Hub};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{browser_client::Browser, partnership::Partnership};

mod amending;
mod asking;
mod builder;
mod clients;
mod logs;
mod ports;
mod records;

pub use asking::{ANALYSIS, Enquiry, cell, lawful_basis, level, person_of, status_of};
pub use builder::Builder;
pub(crate) use builder::{keep_parties, realm};
pub use clients::{Auditor, Coordinator, Desk, HubClient, NodeClient};
pub use ports::ReservedPort;
pub use records::Holding;

/// When every federation begins: a working day, well inside the agreement's time.
pub const START: &str = "2027-02-09T09:00:00Z";

/// The longest that a condition may take to come about: generous, for a machine that is shared.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A program that runs in this process.
#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    ended: JoinHandle<anyhow::Result<()>>,
    /// Absent for a server that stands in for a node.
    admin: Option<SocketAddr>,
    /// Absent where the configuration has none.
    console: Option<SocketAddr>,
}

/// A program, running or not, at an address that stays its own.
#[derive(Debug)]
struct Program {
    port: ReservedPort,
    config: PathBuf,
    faults: FaultSwitch,
    running: Option<Running>,
}

/// A whole partnership in this process.
#[derive(Debug)]
pub struct Federation {
    folder: TempDir,
    partnership: Partnership,
    clock: Arc<SettableClock>,
    /// Nodes whose clock is not everybody's.
    other_clocks: BTreeMap<AgencyId, Arc<SettableClock>>,
    realm: Realm,
    hub: Program,
    nodes: BTreeMap<AgencyId, Program>,
    inside: BTreeMap<AgencyId, Weak<agency_node::node::Shared>>,
    inside_hub: Weak<hub::hub::Shared>,
    enrolled: BTreeSet<AgencyId>,
    extra_staff: BTreeMap<AgencyId, Vec<agency_node::config::Staff>>,
    call_within: String,
    epoch: String,
    cut: String,
    connection_age: Option<Duration>,
    certificates: AtomicU32,
    /// Whether an exchange may have only one side, because a side was stopped, failed, or was not asked by the hub.
    one_sided: AtomicBool,
}

impl Federation {
    /// What to start.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Moves the clock of everybody.
    pub fn advance(&self, step: SignedDuration) {
        self.clock.advance(step);
        for clock in self.other_clocks.values() {
            clock.advance(step);
        }
    }

    /// The files behind it, and its certificate authority.
    #[must_use]
    pub const fn partnership(&self) -> &Partnership {
        &self.partnership
    }

    /// Where signatures hold.
    #[must_use]
    pub const fn realm(&self) -> &Realm {
        &self.realm
    }

    /// Every byte of every file below a folder of the partnership, for example `hub`.
    #[must_use]
    pub fn bytes_below(&self, folder: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut folders = vec![self.folder.path().join(folder)];
        while let Some(folder) = folders.pop() {
            for item in std::fs::read_dir(folder).unwrap() {
                let path = item.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.is_file() {
                    bytes.extend(std::fs::read(path).unwrap());
                }
            }
        }
        bytes
    }

    /// What a running node's handlers share. Do not keep it: the node can not stop while it is held.
    #[must_use]
    pub fn inside(&self, agency: &str) -> Arc<agency_node::node::Shared> {
        self.inside[&id::<AgencyId>(agency)].upgrade().unwrap()
    }

    /// What the running hub's handlers share. Do not keep it: the hub can not stop while it is held.
    #[must_use]
    pub fn inside_hub(&self) -> Arc<hub::hub::Shared> {
        self.inside_hub.upgrade().unwrap()
    }

    /// The switch under a node's log.
    #[must_use]
    pub fn fault_switch(&self, agency: &str) -> &FaultSwitch {
        self.one_sided();
        &self.program(agency).faults
    }

    /// The switch under the hub's log.
    #[must_use]
    pub fn hub_fault_switch(&self) -> &FaultSwitch {
        self.one_sided();
        &self.hub.faults
    }

    fn program(&self, agency: &str) -> &Program {
        self.nodes.get(&id(agency)).unwrap()
    }

    fn one_sided(&self) {
        self.one_sided.store(true, Ordering::SeqCst);
    }

    /// Stops one node and waits until it has let go of everything.
    pub async fn stop_node(&mut self, agency: &str) {
        self.one_sided();
        self.nodes.get_mut(&id(agency)).unwrap().stop().await;
        let folder = self.partnership.node_folder(&id(agency));
        let_go(&folder).await;
    }

    /// Starts one node, at the address it had.
    pub async fn start_node(&mut self, agency: &str) {
        let agency = id(agency);
        let clock: SharedClock = self.other_clocks.get(&agency).unwrap_or(&self.clock).clone();
        let mut config = self.node_config(&agency);
        config.staff.extend(self.extra_staff.get(&agency).into_iter().flatten().cloned());
        let surroundings = agency_node::Surroundings {
            clock,
            limits: self.limits(),
            log_options,
            log_faults: Some(self.nodes[&agency].faults.clone()),
        };
        let node = Node::build(config, surroundings).await.unwrap();
        let node = node.configured_by(&self.nodes[&agency].config);
        self.inside.insert(agency.clone(), Arc::downgrade(&node.shared()));
        let program = self.nodes.get_mut(&agency).unwrap();
        let stop = CancellationToken::new();
        let (tell, told) = oneshot::channel();
        let stopping = stop.clone();
        let ended = tokio::spawn(
            node.run(stopping, |served| _ = tell.send((served.admin, served.console))),
        );
        let (admin, console) = told.await.unwrap();
        program.running = Some(Running { stop, ended, admin: Some(admin), console });
    }

    /// Starts another server in a node's place, at its address and with its certificate.
    pub async fn stand_in(&mut self, agency: &str, routes: Routes) {
        self.one_sided();
        let files = self.node_config(&id(agency)).tls.files();
        let running = self.served(self.program(agency), files, routes).await;
        self.nodes.get_mut(&id(agency)).unwrap().running = Some(running);
    }

    async fn served(&self, program: &Program, files: TlsFiles, routes: Routes) -> Running {
        let domain = self.partnership.ca().trust_domain().clone();
        let tls = ServerTls::load(files, domain, self.clock.clone()).unwrap();
        let listener = TcpListener::bind(program.port.address()).await.unwrap();
        let stop = CancellationToken::new();
        let metrics = ServeMetrics::register(&Metrics::new("stand_in"), &[]);
        let serving =
            Serving::start(listener, tls, limits(), metrics, routes, stop.clone()).unwrap();
        let ended = tokio::spawn(async move { Ok(serving.ended().await?) });
        Running { stop, ended, admin: None, console: None }
    }

    /// What a stopped node's handlers share, for a stand-in that answers with the node's own log, keys and store. Nothing of it
    /// runs by itself.
    pub async fn behind(&self, agency: &str) -> Arc<agency_node::node::Shared> {
        let mut config = self.node_config(&id(agency));
        config.listen.set_port(0);
        let surroundings = agency_node::Surroundings {
            clock: self.clock.clone(),
            limits: limits(),
            log_options,
            log_faults: None,
        };
        Node::build(config, surroundings).await.unwrap().shared()
    }

    /// As [`behind`](Self::behind), of the hub. The token ends what it does.
    pub async fn behind_hub(&self) -> (Arc<hub::hub::Shared>, CancellationToken) {
        let mut config = hub::Config::load(&self.hub.config).unwrap();
        config.listen.set_port(0);
        let surroundings = hub::Surroundings {
            clock: self.clock.clone(),
            limits: limits(),
            log_options,
            log_faults: None,
        };
        let stop = CancellationToken::new();
        (Hub::build(config, surroundings, stop.clone()).await.unwrap().shared(), stop)
    }

    /// Starts another server in the hub's place, at its address and with its certificate.
    pub async fn stand_in_for_hub(&mut self, routes: Routes) {
        self.one_sided();
        let files = hub::Config::load(&self.hub.config).unwrap().tls.files();
        self.hub.running = Some(self.served(&self.hub, files, routes).await);
    }

    /// How a node is configured, to run one of its commands while it is stopped.
    #[must_use]
    pub fn node_settings(&self, agency: &str) -> agency_node::Config {
        self.node_config(&id(agency))
    }

    /// A node's configuration file, read whenever it starts.
    #[must_use]
    pub fn node_config_file(&self, agency: &str) -> PathBuf {
        self.program(agency).config.clone()
    }

    /// The clock that everybody has.
    #[must_use]
    pub fn clock(&self) -> SharedClock {
        self.clock.clone()
    }

    /// The hub's configuration file, read whenever it starts.
    #[must_use]
    pub fn hub_config(&self) -> &Path {
        &self.hub.config
    }

    fn node_config(&self, agency: &AgencyId) -> agency_node::Config {
        let mut config = agency_node::Config::load(&self.nodes[agency].config).unwrap();
        config.deliver_retry_at_most = "300ms".parse().unwrap();
        config
    }

    fn limits(&self) -> Limits {
        let limits = limits();
        let connection_age = self.connection_age.unwrap_or(limits.connection_age);
        Limits { connection_age, ..limits }
    }

    /// Stops the hub and waits until it has let go of everything.
    pub async fn stop_hub(&mut self) {
        self.one_sided();
        self.hub.stop().await;
        let_go(&self.partnership.hub_folder()).await;
    }

    /// Starts the hub, at the address it had.
    pub async fn start_hub(&mut self) {
        let mut config = hub::Config::load(&self.hub.config).unwrap();
        config.fan_out.ask_again_after = "200ms".parse().unwrap();
        config.fan_out.call_within = self.call_within.parse().unwrap();
        config.fan_out.answer_within = "1h".parse().unwrap();
        config.matching.epoch = self.epoch.parse().unwrap();
        config.matching.cut = self.cut.parse().unwrap();
        let surroundings = hub::Surroundings {
            clock: self.clock.clone(),
            limits: self.limits(),
            log_options,
            log_faults: Some(self.hub.faults.clone()),
        };
        let stop = CancellationToken::new();
        let hub = Hub::build(config, surroundings, stop.clone()).await.unwrap();
        let hub = hub.configured_by(&self.hub.config);
        self.inside_hub = Arc::downgrade(&hub.shared());
        let (tell, told) = oneshot::channel();
        let ended = tokio::spawn(hub.run(|served| _ = tell.send((served.admin, served.console))));
        let (admin, console) = told.await.unwrap();
        self.hub.running = Some(Running { stop, ended, admin: Some(admin), console });
    }

    /// A browser in which somebody has just signed in at a node's console; see [`Builder::consoles`].
    ///
    /// # Panics
    /// When they can not.
    pub async fn browser_at(&self, agency: &str, name: &str) -> Browser {
        let address = self.program(agency).running.as_ref().unwrap().console.unwrap();
        self.browser(address, &self.partnership.node_folder(&id(agency)), name).await
    }

    /// As [`Federation::browser_at`], at the hub's console.
    ///
    /// # Panics
    /// When they can not.
    pub async fn browser_at_hub(&self, name: &str) -> Browser {
        let address = self.hub.running.as_ref().unwrap().console.unwrap();
        self.browser(address, &self.partnership.hub_folder(), name).await
    }

    async fn browser(&self, address: SocketAddr, folder: &Path, name: &str) -> Browser {
        let mut browser = Browser::new(address, &folder.join("ca.pem"));
        browser.sign_in(&folder.join("data"), name, &self.clock()).await;
        browser
    }

    /// Where a running node's own port is, on this machine.
    #[must_use]
    pub fn admin_address(&self, agency: &str) -> SocketAddr {
        self.program(agency).running.as_ref().unwrap().admin.unwrap()
    }

    /// Where the running hub's own port is.
    #[must_use]
    pub fn hub_admin_address(&self) -> SocketAddr {
        self.hub.running.as_ref().unwrap().admin.unwrap()
    }

    /// A node's `/ready`: status and text.
    pub async fn ready(&self, agency: &str) -> (u16, String) {
        fetch(self.program(agency).running.as_ref().unwrap().admin.unwrap(), "/ready").await
    }

    /// The hub's `/ready`: status and text.
    pub async fn hub_ready(&self) -> (u16, String) {
        fetch(self.hub.running.as_ref().unwrap().admin.unwrap(), "/ready").await
    }

    /// Exchanges everybody whom a stopped node knows for others.
    ///
    /// # Panics
    /// When the store or a key can not be used.
    pub fn replace_people(&self, agency: &str, holdings: &[Holding]) {
        let config = self.node_config(&id(agency));
        records::keep(&config, holdings, &Partnership::assessor(&id(agency))).unwrap();
    }

    /// The hub's `/metrics`.
    pub async fn hub_metrics(&self) -> String {
        fetch(self.hub.running.as_ref().unwrap().admin.unwrap(), "/metrics").await.1
    }

    /// A node's `/metrics`.
    pub async fn node_metrics(&self, agency: &str) -> String {
        fetch(self.program(agency).running.as_ref().unwrap().admin.unwrap(), "/metrics").await.1
    }

    /// Stops everything and checks every log: that both sides have every exchange, unless the test kept a side from
    /// it, and that it verifies.
    pub async fn finish(mut self) {
        if !self.one_sided.load(Ordering::SeqCst) {
            // What the last call has set off may still be on its way.
            let started = std::time::Instant::now();
            while let Some(found) = logs::difference(&self) {
                assert!(started.elapsed() < PATIENCE, "the logs differ: {found}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        self.hub.stop().await;
        for program in self.nodes.values_mut() {
            program.stop().await;
        }
        logs::verify(&self);
    }
}

impl Program {
    fn new(port: ReservedPort, config: PathBuf) -> Self {
        Self { port, config, faults: FaultSwitch::default(), running: None }
    }

    async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.cancel();
            let ended = tokio::time::timeout(PATIENCE, running.ended).await;
            ended.expect("it stops").expect("it does not panic").expect("it ends well");
        }
    }
}

/// Waits until `look` gives something, or until [`PATIENCE`] is over.
///
/// # Panics
/// When it does not come about.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waited = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, waited).await;
    found.unwrap_or_else(|_| panic!("it did not come about that {what}"))
}

/// Waits until the store below `folder` is unlocked: sled's own threads may hold it for a moment after the last handle
/// is gone, which a process that ends does not notice.
async fn let_go(folder: &Path) {
    let store = folder.join("data/store");
    eventually("the store is let go of", async || {
        let free = |name| {
            let file = std::fs::File::open(store.join(name));
            file.is_ok_and(|file| file.try_lock().is_ok())
        };
        (free("lock") && free("db")).then_some(())
    })
    .await;
}

/// A reference that was never used.
#[must_use]
pub fn fresh() -> String {
    RequestId::from_random(random_bytes().unwrap()).to_string()
}

/// Parses an identifier of a test.
#[must_use]
pub fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

/// Whether a text stands somewhere among bytes.
#[must_use]
pub fn contains(bytes: &[u8], text: &str) -> bool {
    // By the first byte first: a build without optimisation is slow at windows.
    let Some((first, rest)) = text.as_bytes().split_first() else { return true };
    let mut left = bytes;
    while let Some(at) = left.iter().position(|byte| byte == first) {
        left = &left[at + 1..];
        if left.starts_with(rest) {
            return true;
        }
    }
    false
}

fn limits() -> Limits {
    Limits { drain: Duration::from_secs(2), ..Limits::default() }
}

fn log_options(options: LogOptions) -> LogOptions {
    options.back_off(Duration::from_millis(20), Duration::from_millis(100))
}

/// What a program's own port answers: status and text.
///
/// # Panics
/// When nobody answers.
pub async fn fetch(address: SocketAddr, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    (status, body)
}
