//! Who gets in, who does not, and who is let in no longer: real sockets, real handshakes.

use std::{fs, net::SocketAddr};

use rustls::{HandshakeKind, RootCertStore};
use rustls_pki_types::{PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, service::interceptor::InterceptedService};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{files::expiry, *};
use crate::{
    admin::Readiness,
    id::AgencyId,
    keyfile::KeyFileError,
    serve::{HealthTask, Limits, ServeMetrics, Serving, health},
    testing::{CertSpec, CertUsage, TestCa, TestCert},
    time::{SettableClock, SignedDuration},
};

/// A hub with a health service, its authority, and clients.
pub(crate) struct Rig {
    pub(crate) serving: Serving,
    pub(crate) metrics: ServeMetrics,
    pub(crate) readiness: watch::Sender<Readiness>,
    pub(crate) ca: TestCa,
    hub: TestCert,
    tls: Arc<ServerTls>,
    files: TlsFiles,
    clock: Arc<SettableClock>,
    folder: tempfile::TempDir,
    /// Who sent the last request, as a handler sees it.
    seen: Arc<Mutex<Option<VerifiedPeer>>>,
    _health: HealthTask,
}

pub(crate) fn domain() -> TrustDomain {
    "exampleshire.example".parse().unwrap()
}

pub(crate) fn csc() -> AgencyId {
    "CSC".parse().unwrap()
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// Waits until something that another task does has been done.
pub(crate) async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let wait = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect(what);
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default(), |_| None).await
    }

    pub(crate) async fn with_limits(limits: Limits) -> Self {
        Self::with(limits, |_| None).await
    }

    /// `crl`: the revocation list it starts with, made by its authority or another.
    async fn with(limits: Limits, crl: impl FnOnce(&TestCa) -> Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = TestCa::new(domain());
        let hub = ca.hub();
        let mut files = hub.write(&ca, folder.path(), "hub");
        if let Some(crl) = crl(&ca) {
            let path = folder.path().join("crl.pem");
            fs::write(&path, crl).unwrap();
            files.crls = Some(path);
        }
        let clock = Arc::new(SettableClock::at(now()));
        let tls = ServerTls::load(files.clone(), domain(), Arc::clone(&clock) as _).unwrap();
        let (readiness, state) = watch::channel(Readiness::ready());
        let (service, health) = health(&["test"], state).await;
        let seen = Arc::new(Mutex::new(None));
        let sees = Arc::clone(&seen);
        let service = InterceptedService::new(service, move |request: tonic::Request<()>| {
            *sees.lock().unwrap() = Some(peer_of(&request)?.clone());
            Ok(request)
        });
        let metrics = ServeMetrics::default();
        let serving = Serving::start(
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            Arc::clone(&tls),
            limits,
            metrics.clone(),
            tonic::service::Routes::new(service),
            CancellationToken::new(),
        )
        .unwrap();
        Self {
            serving,
            metrics,
            readiness,
            ca,
            hub,
            tls,
            files,
            clock,
            folder,
            seen,
            _health: health,
        }
    }

    fn client_tls(&self, cert: &TestCert) -> Arc<ClientTls> {
        let files = cert.write(&self.ca, self.folder.path(), "client");
        ClientTls::load(files, domain(), Arc::clone(&self.clock) as _).unwrap()
    }

    /// A client with this certificate, which connects on first use.
    pub(crate) fn client(&self, cert: &TestCert) -> HealthClient<Channel> {
        let url = format!("https://localhost:{}", self.serving.local_addr().port());
        self.client_of(&url, domain().hub(), self.client_tls(cert))
    }

    fn client_of(
        &self,
        url: &str,
        expected: PeerName,
        tls: Arc<ClientTls>,
    ) -> HealthClient<Channel> {
        let endpoint = url.parse().unwrap();
        HealthClient::new(connect(&endpoint, expected, tls))
    }

    /// A bad certificate of an agency.
    fn bad(&self, spoil: impl FnOnce(&mut CertSpec)) -> TestCert {
        let mut spec = self.ca.spec(&domain().agency(csc()));
        spoil(&mut spec);
        self.ca.issue(&spec)
    }

    fn revoke(&self, revoked: &[&TestCert]) {
        fs::write(self.files.crls.as_ref().unwrap(), self.ca.crl(revoked)).unwrap();
        self.tls.reload().unwrap();
    }

    async fn raw(&self, cert: Option<&TestCert>) -> Result<TlsStream, io::Error> {
        raw(self.serving.local_addr(), raw_config(&self.ca, cert)).await
    }

    /// Refused, and counted for this reason.
    async fn assert_refused(&self, cert: Option<&TestCert>, reason: &'static str) {
        let before = self.metrics.refused(reason);
        assert!(self.raw(cert).await.is_err(), "{reason}");
        eventually(reason, || self.metrics.refused(reason) == before + 1).await;
    }
}

pub(crate) type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

/// A client's configuration without any of our own care, with resumption as rustls has it.
pub(crate) fn raw_config(ca: &TestCa, cert: Option<&TestCert>) -> Arc<rustls::ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.root_pem().as_bytes()).unwrap()).unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match cert {
        Some(cert) => {
            let key = PrivateKeyDer::from_pem_slice(cert.key_pem.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![cert.der.clone().into()], key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    Arc::new(config)
}

/// A handshake as far as the server's first HTTP/2 byte: in TLS 1.3 a client learns only then whether
/// its certificate was accepted.
pub(crate) async fn raw(
    address: SocketAddr,
    config: Arc<rustls::ClientConfig>,
) -> io::Result<TlsStream> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(config).connect(name, tcp).await?;
    stream.read_u8().await?;
    Ok(stream)
}

pub(crate) async fn check(client: &mut HealthClient<Channel>) -> Result<(), Code> {
    let request = HealthCheckRequest { service: "test".to_owned() };
    let answer = client.check(with_deadline(request, Duration::from_secs(10))).await;
    answer.map(|_| ()).map_err(|status| status.code())
}

#[tokio::test]
async fn strangers_are_refused_before_http2() {
    let rig = Rig::start().await;
    let other_ca = TestCa::new(domain());
    let tls_refused = [
        None,
        Some(other_ca.agency(&csc())),
        Some(rig.bad(|spec| spec.usages = vec![CertUsage::Server])),
        Some(rig.bad(|spec| spec.valid_until = now() - SignedDuration::from_secs(1))),
        Some(rig.bad(|spec| spec.valid_from = now() + SignedDuration::from_secs(1))),
        Some(rig.bad(|spec| spec.authority = true)),
    ];
    for cert in &tls_refused {
        rig.assert_refused(cert.as_ref(), "tls_refused").await;
    }
    let uri = domain().agency(csc()).to_string();
    let foreign = "spiffe://other.example/agency/CSC".to_owned();
    for (uris, reason) in [
        (vec![], "certificate_without_name"),
        (vec![uri.clone(), uri.clone()], "certificate_with_several_names"),
        (vec![uri.clone(), foreign.clone()], "certificate_with_several_names"),
        (vec![foreign], "certificate_of_other_domain"),
        (vec!["https://exampleshire.example/hub".to_owned()], "certificate_name_invalid"),
    ] {
        let cert = rig.bad(|spec| spec.uris = uris);
        rig.assert_refused(Some(&cert), reason).await;
    }
    assert!(rig.raw(Some(&rig.ca.agency(&csc()))).await.is_ok());
}

#[tokio::test]
async fn a_handler_knows_its_caller_by_the_certificate_alone() {
    let rig = Rig::start().await;
    let cert = rig.ca.agency(&csc());
    let mut client = rig.client(&cert);
    let mut request = with_deadline(HealthCheckRequest::default(), Duration::from_secs(10));
    request.metadata_mut().insert("agency", "POL".parse().unwrap());
    client.check(request).await.unwrap();
    let seen = rig.seen.lock().unwrap().clone().unwrap();
    assert_eq!(seen.name(), &domain().agency(csc()));
}

#[tokio::test]
async fn refuses_other_protocols_than_http2() {
    let rig = Rig::start().await;
    let mut config = (*raw_config(&rig.ca, Some(&rig.ca.agency(&csc())))).clone();
    config.alpn_protocols = Vec::new();
    assert!(raw(rig.serving.local_addr(), Arc::new(config)).await.is_err());
    eventually("counted", || rig.metrics.refused("not_http2") == 1).await;
}

/// The build has no TLS 1.2, so the client's first message is written by hand (RFC 5246, 7.4.1.2).
#[tokio::test]
async fn refuses_tls_1_2() {
    let rig = Rig::start().await;
    let mut hello = vec![3, 3]; // version: TLS 1.2
    hello.extend([7; 32]); // random
    hello.push(0); // no session
    hello.extend([0, 2, 0xc0, 0x2b]); // ECDHE-ECDSA with AES-128-GCM
    hello.extend([1, 0]); // no compression
    hello.extend([0, 16]); // length of the extensions
    hello.extend([0, 10, 0, 4, 0, 2, 0, 23]); // groups: P-256
    hello.extend([0, 13, 0, 4, 0, 2, 4, 3]); // signatures: ECDSA P-256 SHA-256
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);

    let mut tcp = TcpStream::connect(rig.serving.local_addr()).await.unwrap();
    tcp.write_all(&record).await.unwrap();
    let mut answer = [0; 7];
    tcp.read_exact(&mut answer).await.unwrap();
    // An alert (21), fatal (2), protocol_version (70).
    assert_eq!((answer[0], answer[5], answer[6]), (21, 2, 70));
}

#[tokio::test]
async fn a_client_refuses_a_server_with_another_name() {
    let rig = Rig::start().await;
    let port = rig.serving.local_addr().port();
    let url = format!("https://localhost:{port}");
    let tls = rig.client_tls(&rig.ca.agency(&csc()));
    let foreign: PeerName = "spiffe://other.example/hub".parse().unwrap();
    for name in [domain().agency(csc()), foreign] {
        let mut client = rig.client_of(&url, name, Arc::clone(&tls));
        assert_eq!(check(&mut client).await, Err(Code::Unavailable));
    }
    // Not encrypted, and a host that the certificate does not name.
    for url in [format!("http://localhost:{port}"), format!("https://127.0.0.2:{port}")] {
        let mut client = rig.client_of(&url, domain().hub(), Arc::clone(&tls));
        assert_eq!(check(&mut client).await, Err(Code::Unavailable));
    }
    for url in [url, format!("https://127.0.0.1:{port}")] {
        let mut client = rig.client_of(&url, domain().hub(), Arc::clone(&tls));
        assert_eq!(check(&mut client).await, Ok(()));
    }
}

#[tokio::test]
async fn a_client_refuses_a_revoked_server() {
    let rig = Rig::start().await;
    let mut files = rig.ca.agency(&csc()).write(&rig.ca, rig.folder.path(), "client");
    let crl = rig.folder.path().join("crl.pem");
    files.crls = Some(crl.clone());
    let hub = fs::read(&rig.files.certificate).unwrap();
    let hub = CertificateDer::from_pem_slice(&hub).unwrap();
    let url = format!("https://localhost:{}", rig.serving.local_addr().port());

    // The list of another authority says nothing about the hub.
    fs::write(&crl, TestCa::new("other.example".parse().unwrap()).crl(&[])).unwrap();
    let tls = ClientTls::load(files, domain(), Arc::clone(&rig.clock) as _).unwrap();
    let mut client = rig.client_of(&url, domain().hub(), Arc::clone(&tls));
    assert_eq!(check(&mut client).await, Err(Code::Unavailable));

    fs::write(&crl, rig.ca.crl(&[])).unwrap();
    tls.reload().unwrap();
    assert_eq!(check(&mut client).await, Ok(()));
    assert_eq!(tls.name(), domain().agency(csc()));
    assert_eq!(rig.tls.name(), domain().hub());
    assert_eq!(rig.tls.expires(), expiry(&hub).unwrap());

    // The open connection ends, and no new one begins.
    let mut stream = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    fs::write(&crl, rig.ca.crl(&[&rig.hub])).unwrap();
    tls.reload().unwrap();
    assert!(stream.message().await.is_err());
    assert_eq!(check(&mut client).await, Err(Code::Unavailable));
}

#[tokio::test]
async fn a_client_keeps_good_connections_over_a_reload() {
    let rig = Rig::start().await;
    let tls = rig.client_tls(&rig.ca.agency(&csc()));
    let url = format!("https://localhost:{}", rig.serving.local_addr().port());
    let mut client = rig.client_of(&url, domain().hub(), Arc::clone(&tls));
    let mut stream = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    tls.reload().unwrap();
    rig.readiness.send_replace(Readiness::starting());
    assert!(stream.message().await.unwrap().is_some());
}

#[tokio::test]
async fn a_revoked_peer_is_refused_on_new_and_open_connections() {
    let rig = Rig::with(Limits::default(), |ca| Some(ca.crl(&[]))).await;
    let (revoked, good) = (rig.ca.agency(&csc()), rig.ca.agency(&"POL".parse().unwrap()));
    let (mut revoked_client, mut good_client) = (rig.client(&revoked), rig.client(&good));
    assert_eq!(check(&mut revoked_client).await, Ok(()));
    assert_eq!(check(&mut good_client).await, Ok(()));

    rig.revoke(&[&revoked]);
    assert_eq!(check(&mut revoked_client).await, Err(Code::Unauthenticated));
    rig.assert_refused(Some(&revoked), "tls_refused").await;
    assert_eq!(check(&mut good_client).await, Ok(()));
    assert!(rig.raw(Some(&good)).await.is_ok());
}

#[tokio::test]
async fn the_standing_connection_of_a_revoked_peer_ends_within_seconds_and_others_stay() {
    let rig = Rig::with(Limits::default(), |ca| Some(ca.crl(&[]))).await;
    let (revoked, good) = (rig.ca.agency(&csc()), rig.ca.agency(&"POL".parse().unwrap()));
    let (mut gone, mut stays) = (rig.client(&revoked), rig.client(&good));
    let watching = async |client: &mut HealthClient<Channel>| {
        let mut stream = client.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
        assert!(stream.message().await.unwrap().is_some());
        stream
    };
    let (mut cut, mut kept) = (watching(&mut gone).await, watching(&mut stays).await);
    let at = std::time::Instant::now();
    rig.revoke(&[&revoked]);
    // The peer asks nothing and is told nothing: the connection itself ends.
    let ended = tokio::time::timeout(Duration::from_secs(60), cut.message()).await;
    assert!(ended.expect("it ends").is_err());
    assert!(at.elapsed() >= REFUSED_LINGERS, "a request has its time to be refused by name");
    rig.readiness.send_replace(Readiness::starting());
    assert!(kept.message().await.unwrap().is_some());
}

#[tokio::test]
async fn a_doctor_is_told_which_stage_failed_and_what_clock_and_version_are_there() {
    let rig = Rig::start().await;
    let port = rig.serving.local_addr().port();
    let url = format!("https://localhost:{port}");
    let own = rig.client_tls(&rig.ca.agency(&csc()));
    let reached = probe(&url, &domain().hub(), &own).await.unwrap();
    assert_eq!((reached.now, reached.serves), (Some(now()), true));
    assert_eq!(reached.version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(reached.expires, Some(rig.tls.expires()));
    let stage = async |url: &str, name: PeerName, tls: &Arc<ClientTls>| {
        let error = probe(url, &name, tls).await.unwrap_err();
        assert!(!error.remedy().is_empty());
        (error.stage(), error.to_string())
    };
    assert_eq!(stage("http://localhost:1", domain().hub(), &own).await.0, "configuration");
    assert_eq!(stage(&url, domain().agency(csc()), &own).await.0, "identity");
    let (at, text) = stage(&url, domain().hub(), &{
        let stranger = TestCa::new(domain());
        let files = stranger.agency(&csc()).write(&rig.ca, rig.folder.path(), "stranger");
        ClientTls::load(files, domain(), Arc::clone(&rig.clock) as _).unwrap()
    })
    .await;
    assert!(at == "tls" && text.contains("refuses our certificate"), "{text}");
    let distrusts = {
        let other = TestCa::new("other.example".parse().unwrap());
        let files = rig.ca.agency(&csc()).write(&other, rig.folder.path(), "distrusts");
        ClientTls::load(files, domain(), Arc::clone(&rig.clock) as _).unwrap()
    };
    let (at, text) = stage(&url, domain().hub(), &distrusts).await;
    assert!(at == "tls" && text.contains("not trusted"), "{text}");
    // Its clock is behind: the certificate of the hub is from the future.
    let behind: SharedClock = Arc::new(SettableClock::at("2019-01-01T00:00:00Z".parse().unwrap()));
    let files = rig.ca.agency(&csc()).write(&rig.ca, rig.folder.path(), "behind");
    let behind = ClientTls::load(files, domain(), behind).unwrap();
    let (at, text) = stage(&url, domain().hub(), &behind).await;
    assert!(at == "tls" && text.contains("our clock is behind"), "{text}");
}

#[tokio::test]
async fn a_denied_certificate_is_refused_on_new_and_open_connections() {
    let rig = Rig::start().await;
    let cert = rig.ca.agency(&csc());
    let mut client = rig.client(&cert);
    assert_eq!(check(&mut client).await, Ok(()));

    rig.tls.set_denied([cert.fingerprint()].into());
    assert_eq!(check(&mut client).await, Err(Code::Unauthenticated));
    rig.assert_refused(Some(&cert), "certificate_denied").await;
    rig.tls.reload().unwrap();
    assert_eq!(check(&mut client).await, Err(Code::Unauthenticated));

    rig.tls.set_denied(BTreeSet::new());
    assert_eq!(check(&mut client).await, Ok(()));
}

#[tokio::test]
async fn without_a_current_list_of_the_issuer_nobody_gets_in() {
    let other = |_: &TestCa| Some(TestCa::new("other.example".parse().unwrap()).crl(&[]));
    let rig = Rig::with(Limits::default(), other).await;
    rig.assert_refused(Some(&rig.ca.agency(&csc())), "tls_refused").await;

    let due = now() + SignedDuration::from_hours(1);
    let rig = Rig::with(Limits::default(), |ca| Some(ca.crl_until(&[], due))).await;
    let mut client = rig.client(&rig.ca.agency(&csc()));
    assert_eq!(check(&mut client).await, Ok(()));
    rig.clock.advance(SignedDuration::from_hours(2));
    rig.assert_refused(Some(&rig.ca.agency(&csc())), "tls_refused").await;
    assert_eq!(check(&mut client).await, Err(Code::Unauthenticated));
}

#[tokio::test]
async fn a_certificate_that_expires_ends_its_open_connection() {
    let rig = Rig::start().await;
    let cert = rig.bad(|spec| spec.valid_until = now() + SignedDuration::from_hours(1));
    let mut client = rig.client(&cert);
    assert_eq!(check(&mut client).await, Ok(()));
    rig.clock.advance(SignedDuration::from_hours(2));
    assert_eq!(check(&mut client).await, Err(Code::Unauthenticated));
}

#[tokio::test]
async fn no_session_is_resumed() {
    let rig = Rig::start().await;
    let config = raw_config(&rig.ca, Some(&rig.ca.agency(&csc())));
    for _ in 0..2 {
        let stream = raw(rig.serving.local_addr(), Arc::clone(&config)).await.unwrap();
        let kind = stream.get_ref().1.handshake_kind();
        assert!(kind.is_some_and(|kind| kind != HandshakeKind::Resumed), "{kind:?}");
    }
}

#[tokio::test]
async fn a_reload_serves_the_new_certificate_and_a_bad_one_changes_nothing() {
    let rig = Rig::start().await;
    let peer = rig.ca.agency(&csc());
    let served = async || {
        let stream = rig.raw(Some(&peer)).await.unwrap();
        Fingerprint::of(&stream.get_ref().1.peer_certificates().unwrap()[0])
    };
    let new = rig.ca.hub();
    let old = served().await;
    assert_ne!(old, new.fingerprint());

    fs::write(&rig.files.certificate, &new.certificate_pem).unwrap();
    assert!(rig.tls.reload().is_err(), "the key is of the old certificate");
    assert_eq!(served().await, old);

    new.write(&rig.ca, rig.folder.path(), "hub");
    rig.tls.reload().unwrap();
    assert_eq!(served().await, new.fingerprint());
}

#[test]
fn files_that_can_not_be_trusted_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let ca = TestCa::new(domain());
    let clock: SharedClock = Arc::new(SettableClock::at(now()));
    let load = |files: &TlsFiles| ServerTls::load(files.clone(), domain(), Arc::clone(&clock));

    let files = ca.hub().write(&ca, folder.path(), "hub");
    fs::set_permissions(&files.private_key, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = load(&files);
    assert!(matches!(refused, Err(TlsError::PrivateKey(KeyFileError::NotPrivate(_)))));
    fs::set_permissions(&files.private_key, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(load(&files).is_ok());

    let foreign = TlsFiles { crls: Some(files.roots.clone()), ..files.clone() };
    assert!(matches!(load(&foreign), Err(TlsError::NotPem { expected: "revocation list", .. })));
    let missing = TlsFiles { roots: folder.path().join("none.pem"), ..files.clone() };
    assert!(matches!(load(&missing), Err(TlsError::Unreadable { .. })));

    let mut spec = ca.spec(&domain().hub());
    spec.uris.clear();
    ca.issue(&spec).write(&ca, folder.path(), "hub");
    let nameless = load(&files);
    assert!(matches!(nameless, Err(TlsError::OwnName { source: IdentityError::NoName, .. })));
}

#[test]
fn a_request_without_a_connection_has_no_peer() {
    let status = peer_of(&tonic::Request::new(())).unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[test]
fn a_deadline_travels_with_its_request() {
    let request = with_deadline((), Duration::from_secs(5));
    assert_eq!(request.metadata().get("grpc-timeout").unwrap(), "5000000u");
    let longest = with_deadline((), Duration::MAX);
    assert_eq!(longest.metadata().get("grpc-timeout").unwrap(), "86400000m");
}
