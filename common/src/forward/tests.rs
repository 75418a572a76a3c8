//! A receiver as a SIEM has it: syslog over TLS, octets counted, that comes and goes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt as _, net::TcpSocket, sync::mpsc, task::JoinHandle};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::*;
use crate::{
    audit::{
        LogOptions,
        fixtures::{clock, draft, key, origin},
    },
    testing::TestCa,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Files, certificates and a log.
struct Stage {
    dir: TempDir,
    log: AuditLog,
    clock: SharedClock,
    acceptor: TlsAcceptor,
    address: SocketAddr,
    _port: TcpSocket,
}

fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = TestCa::new("example".parse().unwrap());
        let server = ca.hub().write(&ca, dir.path(), "siem");
        // The program's own, for the receiver.
        ca.agency(&"CSC".parse().unwrap()).write(&ca, dir.path(), "own");
        let read = |path| CertificateDer::from_pem_file(path).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(read(&server.roots)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let asks =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(asks.build().unwrap())
            .with_single_cert(
                vec![read(&server.certificate)],
                PrivateKeyDer::from_pem_file(&server.private_key).unwrap(),
            )
            .unwrap();
        let clock: SharedClock = clock();
        let options = LogOptions::new(dir.path().join("log"), origin(), key(), Arc::clone(&clock));
        // Taken and not listened on until there is a receiver.
        let port = socket("127.0.0.1:0".parse().unwrap());
        let address = port.local_addr().unwrap();
        Self {
            log: AuditLog::open(options).unwrap(),
            dir,
            clock,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            address,
            _port: port,
        }
    }

    fn config(&self, confirm_after: &str) -> ForwardConfig {
        let path = |name: &str| ConfigPath::new(self.dir.path().join(name));
        ForwardConfig {
            address: self.address.to_string(),
            roots: path("ca.pem"),
            certificate: Some(path("own.pem")),
            private_key: Some(path("own.key")),
            facility: 13,
            enterprise: 32_473,
            confirm_after: confirm_after.parse().unwrap(),
        }
    }

    fn start(&self, config: ForwardConfig) -> Running {
        let metrics = ForwardMetrics::default();
        let (log, shown) = (self.log.clone(), metrics.clone());
        let data = self.dir.path();
        let forwarder = Forwarder::open(config, "brag-test", data, log, &self.clock, metrics);
        let stop = CancellationToken::new();
        let task = tokio::spawn(forwarder.unwrap().run(stop.clone()));
        Running { metrics: shown, stop, task }
    }

    async fn record(&self, counts: std::ops::Range<u64>) {
        for n in counts {
            self.log.record(draft(n)).await.unwrap();
        }
    }

    /// A receiver that is up: what it takes comes out of the channel, message by message.
    fn receiver(&self) -> Receiver {
        let listener = socket(self.address).listen(16).unwrap();
        let acceptor = self.acceptor.clone();
        let (tell, messages) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let Ok(stream) = acceptor.accept(tcp).await else { continue };
                take(stream, &tell).await;
            }
        });
        Receiver { messages, task }
    }
}

/// Reads frames to the end of the connection, and answers an end in order with its own.
async fn take(mut stream: TlsStream<tokio::net::TcpStream>, tell: &mpsc::UnboundedSender<String>) {
    use tokio::io::AsyncWriteExt as _;
    loop {
        let mut length = 0_usize;
        loop {
            match stream.read_u8().await {
                Ok(b' ') => break,
                Ok(digit) => {
                    assert!(digit.is_ascii_digit(), "a frame begins with its length");
                    length = length * 10 + usize::from(digit - b'0');
                }
                Err(_) => {
                    let _ = stream.shutdown().await;
                    return;
                }
            }
        }
        let mut message = vec![0; length];
        if stream.read_exact(&mut message).await.is_err() {
            return;
        }
        let _ = tell.send(String::from_utf8(message).unwrap());
    }
}

struct Receiver {
    messages: mpsc::UnboundedReceiver<String>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// The numbers of the next `n` entries.
    async fn next(&mut self, n: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        while numbers.len() < n {
            let message = tokio::time::timeout(PATIENCE, self.messages.recv()).await;
            let message = message.expect("a message comes").expect("the receiver is up");
            let after = message.split(" seq=\"").nth(1).unwrap();
            numbers.push(after.split('"').next().unwrap().parse().unwrap());
        }
        numbers
    }

    /// It dies: the connection is cut, and what was not taken is gone.
    async fn dies(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

struct Running {
    metrics: ForwardMetrics,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it stops").unwrap();
    }

    async fn has_failed(&self, failed: Failed) {
        let waited = async {
            let label = Failure { reason: failed.word() };
            while self.metrics.failures.get_or_create(&label).get() == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waited).await.expect("it fails");
    }
}

fn all(to: u64) -> Vec<u64> {
    (0..to).collect()
}

#[tokio::test]
async fn what_can_not_be_used_is_refused_before_anything_is_forwarded() {
    let stage = Stage::new();
    let refused = |change: &dyn Fn(&mut ForwardConfig)| {
        let mut config = stage.config("1s");
        change(&mut config);
        check(&config, &stage.clock).unwrap_err()
    };
    for address in ["siem", "siem:", "siem:99999", ":6514", "a b:6514"] {
        let error = refused(&|config| address.clone_into(&mut config.address));
        assert!(matches!(error, ForwardError::Address(_)), "{address}");
    }
    assert!(matches!(refused(&|c| c.private_key = None), ForwardError::HalfACertificate));
    assert!(matches!(refused(&|c| c.facility = 24), ForwardError::Facility(24)));
    let nowhere = ConfigPath::new(stage.dir.path().join("nowhere.pem"));
    assert!(matches!(refused(&|c| c.roots = nowhere.clone()), ForwardError::Tls(_)));
    check(&stage.config("1s"), &stage.clock).unwrap();
}

#[tokio::test]
async fn a_receiver_that_the_authorities_have_not_certified_is_sent_nothing() {
    let stage = Stage::new();
    stage.record(0..3).await;
    let mut receiver = stage.receiver();
    let stranger = TestCa::new("stranger".parse().unwrap());
    let other = stage.dir.path().join("other");
    fs::create_dir(&other).unwrap();
    let files = stranger.hub().write(&stranger, &other, "x");
    let mut config = stage.config("50ms");
    config.roots = ConfigPath::new(files.roots);
    let running = stage.start(config);
    running.has_failed(Failed::Connect).await;
    running.stop().await;
    assert!(receiver.messages.try_recv().is_err());
    // Without its own certificate the program is refused by this receiver.
    let mut config = stage.config("50ms");
    (config.certificate, config.private_key) = (None, None);
    let running = stage.start(config);
    running.has_failed(Failed::Connection).await;
    running.stop().await;
    assert!(receiver.messages.try_recv().is_err());
}

#[tokio::test]
async fn a_receiver_that_was_away_gets_everything_in_order_and_the_log_never_waits_for_it() {
    let stage = Stage::new();
    let running = stage.start(stage.config("50ms"));
    running.has_failed(Failed::Connect).await;
    stage.record(0..300).await;
    let mut receiver = stage.receiver();
    assert_eq!(receiver.next(300).await, all(300));
    stage.record(300..310).await;
    assert_eq!(receiver.next(10).await, (300..310).collect::<Vec<_>>());
    running.stop().await;
    assert!(receiver.messages.try_recv().is_err(), "nothing comes twice on a good connection");
}

#[tokio::test]
async fn what_a_receiver_that_died_may_not_have_kept_comes_again() {
    let stage = Stage::new();
    stage.record(0..20).await;
    let mut receiver = stage.receiver();
    // Nothing counts as arrived for an hour.
    let running = stage.start(stage.config("1h"));
    assert_eq!(receiver.next(20).await, all(20));
    receiver.dies().await;
    running.has_failed(Failed::Connection).await;
    stage.record(20..30).await;
    let mut receiver = stage.receiver();
    assert_eq!(receiver.next(30).await, all(30));
    running.stop().await;
}

#[tokio::test]
async fn a_program_that_starts_again_goes_on_where_the_receiver_has_everything() {
    let stage = Stage::new();
    stage.record(0..20).await;
    let mut receiver = stage.receiver();
    let running = stage.start(stage.config("1h"));
    assert_eq!(receiver.next(20).await, all(20));
    // Both ends closed in order, so everything has arrived.
    running.stop().await;
    stage.record(20..25).await;
    let running = stage.start(stage.config("1h"));
    assert_eq!(receiver.next(5).await, (20..25).collect::<Vec<_>>());
    // A program that is killed keeps nothing of what did not count yet.
    running.task.abort();
    let _ = running.task.await;
    let running = stage.start(stage.config("1h"));
    assert_eq!(receiver.next(5).await, (20..25).collect::<Vec<_>>());
    running.stop().await;
    // A place that does not read back: twice is better than never.
    fs::write(stage.dir.path().join(PLACE_FILE), "{").unwrap();
    let running = stage.start(stage.config("1h"));
    assert_eq!(receiver.next(25).await, all(25));
    running.stop().await;
}
