//! Somebody without a session attacks a limit of the console; it is bounded, and others are answered meanwhile.

use tokio::net::TcpSocket;

use super::*;
use crate::testing::http2::{self, Client, Kind, field, frame};

/// A console with these limits, and a browser at another address than the attacker's.
async fn limited(limit: impl FnOnce(&mut crate::serve::WebLimits)) -> (Stage, Browser) {
    let mut stage = Stage::new(start_of_day(), &["a.nurse"], "");
    limit(&mut stage.limits);
    let browser = stage.start().await;
    (stage, browser)
}

async fn assert_served(browser: &mut Browser) {
    assert_eq!(browser.get(&url("/sign-in")).await.status, 200);
}

/// A TCP connection from another address of this machine.
async fn tcp(stage: &Stage) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    socket.connect(stage.address()).await.unwrap()
}

async fn tls(stage: &Stage, alpn: &[u8]) -> tokio_rustls::client::TlsStream<TcpStream> {
    use rustls_pki_types::pem::PemObject as _;
    let mut roots = RootCertStore::empty();
    let root = rustls_pki_types::CertificateDer::from_pem_slice(stage.ca.root_pem().as_bytes());
    roots.add(root.unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let name = ServerName::try_from("console.example").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect(name, tcp(stage).await).await.unwrap()
}

/// Whether the other side ends the connection, and what it said before.
async fn end(mut stream: impl tokio::io::AsyncRead + Unpin) -> Vec<u8> {
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    said
}

#[tokio::test]
async fn one_address_can_not_take_all_connections() {
    let (mut stage, mut browser) = limited(|limits| {
        limits.connections = 8;
        limits.connections_per_source = 4;
        limits.handshake = Duration::from_secs(600);
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(tcp(&stage).await);
    }
    for _ in 0..8 {
        assert_eq!(end(tcp(&stage).await).await, b"");
    }
    assert_served(&mut browser).await;
    drop(silent);
    stage.stop().await;
}

#[tokio::test]
async fn whoever_says_nothing_after_the_handshake_is_cut_whatever_was_agreed_on() {
    let (mut stage, mut browser) = limited(|limits| limits.head = Duration::from_millis(500)).await;
    let (one, mut two) = (tls(&stage, b"http/1.1").await, tls(&stage, b"h2").await);
    two.write_all(&http2::PREFACE[..23]).await.unwrap();
    assert_served(&mut browser).await;
    end(one).await;
    end(two).await;
    assert_served(&mut browser).await;
    stage.stop().await;
}

#[tokio::test]
async fn a_form_that_comes_octet_by_octet_is_refused_at_its_time_and_holds_up_nobody() {
    let (mut stage, mut browser) = limited(|limits| {
        limits.requests_per_source = 2;
        limits.body = Duration::from_millis(500);
    })
    .await;
    let begin = "POST /sign-in HTTP/1.1\r\nHost: console.example\r\nSec-Fetch-Site: same-origin\r\n\
        Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\nConnection: close\r\n\r\na=";
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = tls(&stage, b"http/1.1").await;
        stream.write_all(begin.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        slow.push(stream);
    }
    assert_served(&mut browser).await;
    for stream in slow {
        let said = String::from_utf8_lossy(&end(stream).await).into_owned();
        assert!(said.starts_with("HTTP/1.1 4"), "{said}");
    }
    assert_served(&mut browser).await;
    stage.stop().await;
}

#[tokio::test]
async fn requests_of_one_address_over_its_places_are_refused_at_once() {
    let (mut stage, mut browser) = limited(|limits| {
        limits.requests_per_source = 0;
    })
    .await;
    assert_eq!(browser.get(&url("/sign-in")).await.status, 503);
    stage.stop().await;
}

#[tokio::test]
async fn whoever_does_not_read_is_cut_at_the_greatest_age_of_a_connection() {
    let (mut stage, mut browser) = limited(|limits| {
        limits.age = Duration::from_millis(300);
        limits.grace = Duration::from_millis(300);
    })
    .await;
    // It grants no window, so that the page can not come, and answers nothing else.
    let mut client = Client::open(tls(&stage, b"h2").await, 0).await.unwrap();
    let head: Vec<u8> = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/sign-in"),
        (":authority", "console.example"),
    ]
    .iter()
    .flat_map(|(name, value)| field(name, value))
    .collect();
    let flags = http2::END_HEADERS | http2::END_STREAM;
    client.send(&frame(Kind::Headers, flags, 1, &head)).await.unwrap();
    client.end().await;
    assert_served(&mut browser).await;
    stage.stop().await;
}

#[tokio::test]
async fn streams_of_browsers_opened_and_reset_without_end_end_the_connection() {
    let (mut stage, mut browser) = limited(|_| {}).await;
    let client = Client::open(tls(&stage, b"h2").await, 0x7fff_ffff).await.unwrap();
    let (reader, mut writer) = tokio::io::split(client.0);
    let attack = async move {
        for stream in (1..200_000).step_by(2) {
            let both = [http2::begun(stream, "/sign-in"), http2::reset(stream)].concat();
            if writer.write_all(&both).await.is_err() {
                return stream / 2;
            }
        }
        100_000
    };
    let (n_opened, said, ()) = tokio::join!(attack, end(reader), assert_served(&mut browser));
    assert!(n_opened < 100_000, "all were taken");
    assert!(said.len() < 1 << 20, "{} bytes were answered", said.len());
    stage.stop().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_come_ends_at_its_time() {
    let (mut stage, mut browser) =
        limited(|limits| limits.handshake = Duration::from_millis(500)).await;
    let silent = tcp(&stage).await;
    assert_eq!(end(silent).await, b"");
    assert_served(&mut browser).await;
    stage.stop().await;
}
