//! Who may serve the hub on a connection that it did not make, and what happens when such a connection ends: real sockets and
//! real handshakes.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{io::AsyncReadExt as _, net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{Code, service::interceptor::InterceptedService};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::*;
use crate::{
    admin::Readiness,
    id::AgencyId,
    peer::VerifiedPeer,
    serve::{HealthTask, Limits, ServeMetrics, Serving, health},
    telemetry::Metrics,
    testing::{Passing, Relay, TestCa, TestCert, connect_proxy},
    time::{SettableClock, Timestamp},
    tls::{
        ClientTls, Proxy, Route, ServerTls, Spoken, TlsFiles, peer_of,
        tests::{csc, domain, eventually},
        with_deadline,
    },
};

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn agency(text: &str) -> AgencyId {
    text.parse().unwrap()
}

/// A hub that takes standing connections of CSC and POL.
struct Hub {
    ca: TestCa,
    serving: Serving,
    refusals: ServeMetrics,
    metrics: Metrics,
    standing: Standing,
    /// Whether CSC is a party.
    csc_is_party: Arc<AtomicBool>,
    tls: Arc<ServerTls>,
    folder: tempfile::TempDir,
    clock: Arc<SettableClock>,
    stop: CancellationToken,
    _watching: AbortOnDropHandle<()>,
}

impl Hub {
    async fn start(options: StandingOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = TestCa::new(domain());
        let clock = Arc::new(SettableClock::at(now()));
        let files = ca.hub().write(&ca, folder.path(), "hub");
        let tls = ServerTls::load(files, domain(), Arc::clone(&clock) as _).unwrap();
        let csc_is_party = Arc::new(AtomicBool::new(true));
        let is_party = Arc::clone(&csc_is_party);
        let metrics = Metrics::new("hub");
        let standing = Standing::new(options, &metrics, [csc()], move |name| {
            match name.agency().map(AgencyId::as_str) {
                Some("CSC") => is_party.load(Ordering::SeqCst),
                other => other == Some("POL"),
            }
        });
        let (refusals, stop) = (ServeMetrics::default(), CancellationToken::new());
        let (service, _) = health(&["test"], watch::channel(Readiness::ready()).1).await;
        let serving = Serving::start_taking(
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            Arc::clone(&tls),
            Limits::default(),
            refusals.clone(),
            tonic::service::Routes::new(service),
            Some(standing.clone()),
            stop.clone(),
        )
        .unwrap();
        let watching = tokio::spawn(standing.clone().watch_over(stop.clone()));
        let _watching = AbortOnDropHandle::new(watching);
        Self {
            ca,
            serving,
            refusals,
            metrics,
            standing,
            csc_is_party,
            tls,
            folder,
            clock,
            stop,
            _watching,
        }
    }

    fn address(&self) -> SocketAddr {
        self.serving.local_addr()
    }

    fn client_tls(&self, cert: &TestCert, name: &str) -> (Arc<ClientTls>, TlsFiles) {
        let files = cert.write(&self.ca, self.folder.path(), name);
        (ClientTls::load(files.clone(), domain(), Arc::clone(&self.clock) as _).unwrap(), files)
    }

    fn way(&self) -> Route {
        route(&[self.address()], None)
    }

    /// Dials with a certificate, and reads what the hub says.
    async fn verdict(&self, cert: &TestCert) -> Option<u8> {
        let (tls, _) = self.client_tls(cert, "somebody");
        let dialled = tls.dial(&self.way(), &domain().hub(), Spoken::DialOut).await;
        dialled.unwrap().stream.read_u8().await.ok()
    }

    /// Asks an agency how it is, over its standing connections.
    async fn ask(&self, who: &str) -> Result<(), Code> {
        let channel = PeerChannel::standing(self.standing.clone(), agency(who), None);
        let request = HealthCheckRequest { service: "test".to_owned() };
        let call = with_deadline(request, Duration::from_secs(20));
        let answer = HealthClient::new(channel).check(call).await;
        answer.map(|_| ()).map_err(|status| status.code())
    }

    async fn until_standing(&self, n: usize) {
        eventually("connections stand", || self.standing.count(&csc()) == n).await;
    }
}

fn route(hubs: &[SocketAddr], proxy: Option<Proxy>) -> Route {
    let addresses: Vec<String> =
        hubs.iter().map(|address| format!("https://localhost:{}", address.port())).collect();
    Route::new(addresses.iter().map(String::as_str), proxy).unwrap()
}

/// A node that serves its health on connections that it dials.
struct Node {
    dialling: Dialling,
    tls: Arc<ClientTls>,
    files: TlsFiles,
    /// Who called last.
    seen: Arc<Mutex<Option<VerifiedPeer>>>,
    serving: Serving,
    stop: CancellationToken,
    ended: AbortOnDropHandle<()>,
    _health: HealthTask,
    _readiness: watch::Sender<Readiness>,
}

impl Node {
    async fn start(hub: &Hub, who: &str, route: Route, connections: u8) -> Self {
        let cert = hub.ca.agency(&agency(who));
        let (tls, files) = hub.client_tls(&cert, who);
        let server = ServerTls::load(files.clone(), domain(), Arc::clone(&hub.clock) as _).unwrap();
        let (readiness, state) = watch::channel(Readiness::ready());
        let (service, health) = health(&["test"], state).await;
        let seen = Arc::new(Mutex::new(None));
        let sees = Arc::clone(&seen);
        let service = InterceptedService::new(service, move |request: tonic::Request<()>| {
            *sees.lock().unwrap() = Some(peer_of(&request)?.clone());
            Ok(request)
        });
        let stop = CancellationToken::new();
        let serving = Serving::start(
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            server,
            Limits { drain: Duration::from_secs(2), ..Limits::default() },
            ServeMetrics::default(),
            tonic::service::Routes::new(service),
            stop.clone(),
        )
        .unwrap();
        let dialling = Dialling::default();
        let dial_out = DialOut {
            route,
            hub: domain().hub(),
            tls: Arc::clone(&tls),
            services: serving.services(),
            options: DialOutOptions {
                connections,
                dead_after: DeadAfter(Duration::from_secs(1)),
                retry_at_most: Duration::from_millis(50),
                stable_after: Duration::from_millis(1),
            },
            dialling: dialling.clone(),
            dice: dice(),
        };
        let ended = AbortOnDropHandle::new(tokio::spawn(dial_out.run(stop.clone())));
        Self {
            dialling,
            tls,
            files,
            seen,
            serving,
            stop,
            ended,
            _health: health,
            _readiness: readiness,
        }
    }
}

#[tokio::test]
async fn only_an_agency_that_is_a_party_may_serve_the_hub() {
    let hub = Hub::start(StandingOptions::default()).await;
    let person = hub.ca.person(&"j.okafor".parse().unwrap());
    for (cert, octet, reason) in [
        (person, 1, "dial_out_not_an_agency"),
        (hub.ca.hub(), 1, "dial_out_not_an_agency"),
        (hub.ca.agency(&agency("DAS")), 2, "dial_out_not_a_party"),
    ] {
        assert_eq!(hub.verdict(&cert).await, Some(octet), "{reason}");
        eventually(reason, || hub.refusals.refused(reason) > 0).await;
    }
    let stranger = TestCa::new(domain()).agency(&csc());
    assert_eq!(hub.verdict(&stranger).await, None);
    eventually("refused", || hub.refusals.refused("tls_refused") == 1).await;
    assert_eq!(hub.standing.count(&csc()), 0);
    assert_eq!(hub.ask("CSC").await, Err(Code::Unavailable));
    assert_eq!(hub.verdict(&hub.ca.agency(&csc())).await, Some(0));
}

#[tokio::test]
async fn nobody_takes_a_connection_of_another_protocol() {
    let hub = Hub::start(StandingOptions::default()).await;
    let node = Node::start(&hub, "CSC", hub.way(), 1).await;
    // A node keeps no standing connections: whoever dials it is to call it.
    let (tls, _) = hub.client_tls(&hub.ca.agency(&agency("POL")), "POL");
    let to_node = route(&[node.serving.local_addr()], None);
    let dialled = tls.dial(&to_node, &domain().agency(csc()), Spoken::DialOut).await;
    assert!(dialled.unwrap().stream.read_u8().await.is_err());
    // A later version of the protocol is not this one.
    let mut config =
        (*crate::tls::tests::raw_config(&hub.ca, Some(&hub.ca.agency(&csc())))).clone();
    config.alpn_protocols = vec![b"brag-dial-out/2".to_vec()];
    assert!(crate::tls::tests::raw(hub.address(), Arc::new(config)).await.is_err());
    eventually("refused", || hub.refusals.refused("tls_refused") == 1).await;
}

#[tokio::test]
async fn the_caller_on_a_dialled_connection_is_the_hub_by_its_certificate() {
    let hub = Hub::start(StandingOptions::default()).await;
    let node = Node::start(&hub, "CSC", hub.way(), 2).await;
    hub.until_standing(2).await;
    assert_eq!(hub.ask("CSC").await, Ok(()));
    let seen = node.seen.lock().unwrap().clone().unwrap();
    assert_eq!(seen.name(), &domain().hub());
    assert_eq!((node.dialling.standing(), node.dialling.opened()), (2, 2));
    // It is CSC's connection, and nobody else is called over it.
    assert_eq!(hub.ask("POL").await, Err(Code::Unavailable));
    let shown = hub.metrics.encode().unwrap();
    assert!(shown.contains("hub_standing_connections{agency=\"CSC\"} 2\n"), "{shown}");
    // A node that stops leaves nothing behind.
    node.stop.cancel();
    node.ended.await.unwrap();
    hub.until_standing(0).await;
}

#[tokio::test]
async fn a_party_that_is_none_any_more_loses_its_connections() {
    let hub = Hub::start(StandingOptions::default()).await;
    let node = Node::start(&hub, "CSC", hub.way(), 2).await;
    hub.until_standing(2).await;
    hub.csc_is_party.store(false, Ordering::SeqCst);
    assert_eq!(hub.ask("CSC").await, Err(Code::Unavailable));
    hub.until_standing(0).await;
    eventually("the node has noticed", || node.dialling.standing() == 0).await;
    eventually("refused", || hub.refusals.refused("dial_out_not_a_party") > 0).await;
    // And has them again once it is one again.
    hub.csc_is_party.store(true, Ordering::SeqCst);
    hub.until_standing(2).await;
    assert_eq!(hub.ask("CSC").await, Ok(()));
}

#[tokio::test]
async fn a_certificate_that_is_denied_loses_its_connections() {
    let hub = Hub::start(StandingOptions::default()).await;
    let node = Node::start(&hub, "CSC", hub.way(), 1).await;
    hub.until_standing(1).await;
    let pem = fs::read(&node.files.certificate).unwrap();
    use rustls_pki_types::pem::PemObject as _;
    let der = rustls_pki_types::CertificateDer::from_pem_slice(&pem).unwrap();
    hub.tls.set_denied(BTreeSet::from([crate::peer::Fingerprint::of(&der)]));
    // Without any call: by the look that is taken every second.
    hub.until_standing(0).await;
    eventually("refused", || hub.refusals.refused("certificate_denied") > 0).await;
}

#[tokio::test]
async fn calls_go_over_the_next_connection_when_one_is_cut() {
    let hub = Hub::start(StandingOptions::default()).await;
    let (one, other) = (Relay::start(hub.address()).await, Relay::start(hub.address()).await);
    let ways = route(&[one.address(), other.address()], None);
    let _node = Node::start(&hub, "CSC", ways, 2).await;
    hub.until_standing(2).await;
    for cut in [&one, &other, &one] {
        let before = hub.standing.count(&csc());
        assert_eq!(before, 2);
        cut.set(Passing::Nothing);
        // What goes by the other way now comes there, too.
        eventually("it is made by the other way", || hub.standing.count(&csc()) == 2).await;
        for _ in 0..20 {
            let asked = hub.ask("CSC").await;
            if asked.is_err() {
                // Only a call that was on its way when the connection was cut.
                assert_eq!(asked, Err(Code::Unavailable));
                assert_eq!(hub.ask("CSC").await, Ok(()));
            }
        }
        cut.set(Passing::Everything);
    }
}

#[tokio::test]
async fn a_call_waits_for_a_connection_that_was_lost_a_moment_ago() {
    let hub = Hub::start(StandingOptions::default()).await;
    let relay = Relay::start(hub.address()).await;
    let _node = Node::start(&hub, "CSC", route(&[relay.address()], None), 1).await;
    hub.until_standing(1).await;
    for _ in 0..10 {
        relay.set(Passing::Nothing);
        hub.until_standing(0).await;
        let asking = hub.ask("CSC");
        tokio::pin!(asking);
        tokio::select! {
            biased;
            asked = &mut asking => panic!("there is no connection: {asked:?}"),
            () = tokio::task::yield_now() => relay.set(Passing::Everything),
        }
        assert_eq!(asking.await, Ok(()));
    }
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_any_more_is_given_up_by_both_sides() {
    let dead_after = DeadAfter(Duration::from_secs(1));
    let hub = Hub::start(StandingOptions { dead_after, ..StandingOptions::default() }).await;
    let (silent, good) = (Relay::start(hub.address()).await, Relay::start(hub.address()).await);
    let ways = route(&[silent.address(), good.address()], None);
    let node = Node::start(&hub, "CSC", ways, 1).await;
    hub.until_standing(1).await;
    assert_eq!(good.accepted(), 0);
    silent.set(Passing::Silence);
    // The hub forgets it, and the node comes by the other way.
    eventually("another is there", || good.accepted() > 0 && hub.standing.count(&csc()) == 1).await;
    assert_eq!(hub.ask("CSC").await, Ok(()));
    assert_eq!(node.dialling.standing(), 1);
}

#[tokio::test]
async fn a_new_certificate_comes_into_use_without_a_failed_call() {
    let hub = Hub::start(StandingOptions::default()).await;
    let relay = Relay::start(hub.address()).await;
    let node = Node::start(&hub, "CSC", route(&[relay.address()], None), 1).await;
    hub.until_standing(1).await;
    for n in 2..6 {
        hub.ca.agency(&csc()).write(&hub.ca, hub.folder.path(), "CSC");
        node.tls.reload().unwrap();
        let mut asked = 0;
        while relay.accepted() < n || node.dialling.standing() != 1 {
            assert_eq!(hub.ask("CSC").await, Ok(()));
            asked += 1;
            assert!(asked < 100_000, "the new certificate is not used");
        }
        assert_eq!(hub.ask("CSC").await, Ok(()));
    }
    assert_eq!(hub.refusals.refused("tls_refused"), 0);
}

#[tokio::test]
async fn the_number_of_connections_is_bounded_for_each_agency_and_in_all() {
    let options = StandingOptions { of_one_agency: 2, in_all: 2, ..StandingOptions::default() };
    let hub = Hub::start(options).await;
    let (tls, _) = hub.client_tls(&hub.ca.agency(&csc()), "many");
    let mut held = Vec::new();
    for _ in 0..5 {
        let dialled = tls.dial(&hub.way(), &domain().hub(), Spoken::DialOut).await;
        let mut stream = dialled.unwrap().stream;
        assert_eq!(stream.read_u8().await.unwrap(), 0);
        held.push(stream);
    }
    // The newest two stand; the others were told to go.
    hub.until_standing(2).await;
    for stream in held.iter_mut().take(3) {
        let mut rest = Vec::new();
        assert!(stream.read_to_end(&mut rest).await.is_ok() || !rest.is_empty());
    }
    let other = hub.ca.agency(&agency("POL"));
    assert_eq!(hub.verdict(&other).await, Some(3));
    drop(held);
    hub.until_standing(0).await;
    assert_eq!(hub.verdict(&other).await, Some(0));
}

#[tokio::test]
async fn through_a_proxy_with_credentials_and_not_without() {
    let hub = Hub::start(StandingOptions::default()).await;
    let (address, tunnels, _proxy) = connect_proxy(Some("brag:secret")).await;
    let proxy = Proxy::new(&format!("http://{address}"), None).unwrap();
    let node = Node::start(&hub, "CSC", route(&[hub.address()], Some(proxy)), 1).await;
    eventually("refused by the proxy", || node.dialling.failed("proxy") > 0).await;
    assert_eq!(hub.standing.count(&csc()), 0);
    drop(node);

    let path = hub.folder.path().join("proxy.secret");
    fs::write(&path, "brag:secret\n").unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let proxy = Proxy::new(&format!("http://{address}"), Some(&path)).unwrap();
    let _node = Node::start(&hub, "CSC", route(&[hub.address()], Some(proxy)), 1).await;
    hub.until_standing(1).await;
    assert_eq!(hub.ask("CSC").await, Ok(()));
    assert_eq!(tunnels.load(Ordering::SeqCst), 1);
    hub.stop.cancel();
}

#[test]
fn how_soon_a_dead_connection_is_noticed_has_bounds() {
    for (text, good) in
        [("999ms", false), ("1s", true), ("30s", true), ("2m", true), ("121s", false)]
    {
        let length: DurationText = text.parse().unwrap();
        assert_eq!(DeadAfter::try_from(length).is_ok(), good, "{text}");
    }
    let whole = DeadAfter(Duration::from_secs(30));
    assert_eq!(whole.interval() + whole.timeout(), Duration::from_secs(30));
}
