//! One peer attacks a limit, with octets that no library would send; it is bounded, and another is answered meanwhile.

use std::io;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::{
    testing::http2::{
        self, Client, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Kind, begun, field, frame, head,
        message, reset,
    },
    tls::{
        Channel,
        tests::{TlsStream, raw_config},
    },
};

const CHECK: &str = "/grpc.health.v1.Health/Check";
/// The most that HTTP/2 lets a server send unasked.
const EVERYTHING: u32 = 0x7fff_ffff;
/// The question after the service `test`: field 1, four bytes.
const ASKED: &[u8] = &[0x0a, 4, b't', b'e', b's', b't'];
/// For limits that a test must not meet.
const NEVER: Duration = Duration::from_secs(600);

/// A server with these limits, and a well-behaved caller who has been answered before.
async fn rig(limits: Limits) -> (Rig, HealthClient<Channel>) {
    let rig = Rig::with_limits(limits).await;
    let mut other = rig.client(&rig.ca.hub());
    assert_eq!(check(&mut other).await, Ok(()));
    (rig, other)
}

/// A TLS connection of an agency, on which nothing has been said yet.
async fn tls(rig: &Rig) -> TlsStream {
    tls_over(rig, TcpStream::connect(rig.serving.local_addr()).await.unwrap()).await
}

async fn tls_over(rig: &Rig, tcp: TcpStream) -> TlsStream {
    let config = raw_config(&rig.ca, Some(&rig.ca.agency(&csc())));
    let name = "localhost".try_into().unwrap();
    tokio_rustls::TlsConnector::from(config).connect(name, tcp).await.unwrap()
}

async fn attacker(rig: &Rig) -> Client<TlsStream> {
    Client::open(tls(rig).await, EVERYTHING).await.unwrap()
}

/// The other is answered on the connection it has, and a new one of the other is admitted.
async fn assert_served(rig: &Rig, other: &mut HealthClient<Channel>) {
    assert_eq!(check(other).await, Ok(()));
    assert_eq!(check(&mut rig.client(&rig.ca.hub())).await, Ok(()));
}

/// Everything of the attacker has been given up, and what there is is the other's.
async fn assert_only_one_connection(rig: &Rig) {
    eventually("only the other's connection is left", || rig.metrics.open.get() == 1).await;
}

/// Sends again and again until the connection ends, which it must; what was sent, in bytes.
async fn flood(client: &mut Client<TlsStream>, bytes: &[u8], at_most: usize) -> usize {
    let mut sent = 0;
    while client.send(bytes).await.is_ok() {
        sent += bytes.len();
        assert!(sent <= at_most, "still taken after {sent} bytes");
    }
    sent
}

/// The gRPC status of an answer that is nothing but trailers, or of its trailers: the field is sent as a literal.
fn status_of(received: &http2::Received) -> Option<u8> {
    // Compressed with the static Huffman code, or as it is: the value is one or two octets after the name.
    let name = [0x9a, 0xca, 0xc8, 0xb2, 0x12, 0x34, 0xda, 0x8f];
    let at = received.payload.windows(name.len()).position(|window| window == name)?;
    received.payload.get(at + name.len() + 1).copied()
}

#[tokio::test]
async fn a_handshake_sent_octet_by_octet_ends_at_its_time() {
    let (rig, mut other) =
        rig(Limits { handshake_timeout: Duration::from_millis(300), ..Limits::default() }).await;
    let mut tcp = TcpStream::connect(rig.serving.local_addr()).await.unwrap();
    // A ClientHello that is to be as long as TLS lets it be.
    tcp.write_all(&[0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3]).await.unwrap();
    let trickle = async {
        while tcp.write_all(&[0]).await.is_ok() {
            // The pace of the attack.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let served = async {
        // Handshakes of others take place meanwhile; theirs must fit into the short time, too.
        assert_eq!(check(&mut other).await, Ok(()));
    };
    tokio::join!(trickle, served);
    eventually("counted", || rig.metrics.refused("handshake_timeout") >= 1).await;
    assert_served(&rig, &mut other).await;
}

#[tokio::test]
async fn whoever_does_not_begin_to_speak_http2_after_the_handshake_is_cut() {
    let (rig, mut other) =
        rig(Limits { begin_timeout: Duration::from_millis(500), ..Limits::default() }).await;
    let mut silent = tls(&rig).await;
    let mut almost = tls(&rig).await;
    almost.write_all(&http2::PREFACE[..23]).await.unwrap();
    assert_served(&rig, &mut other).await;
    for stream in [&mut silent, &mut almost] {
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
    }
    assert_eq!(rig.metrics.cut("not_begun"), 2);
    assert_only_one_connection(&rig).await;
    assert_served(&rig, &mut other).await;
}

#[tokio::test]
async fn whoever_never_ends_the_head_of_a_request_is_cut_when_it_gives_no_sign_of_life() {
    let (rig, mut other) = rig(Limits {
        keepalive_interval: Duration::from_millis(100),
        keepalive_timeout: Duration::from_secs(2),
        ..Limits::default()
    })
    .await;
    let mut client = attacker(&rig).await;
    client.send(&frame(Kind::Headers, 0, 1, &head(CHECK))).await.unwrap();
    assert_served(&rig, &mut other).await;
    // Within a head no frame of another kind may come, so that a ping can not be answered.
    client.end().await;
    assert_only_one_connection(&rig).await;
    assert_served(&rig, &mut other).await;
}

#[tokio::test]
async fn whoever_sends_the_message_octet_by_octet_is_refused_at_its_time_and_gives_the_place_back()
{
    let (rig, mut other) = rig(Limits {
        request_timeout: Duration::from_secs(1),
        requests_per_peer: 1,
        ..Limits::default()
    })
    .await;
    let (mut reader, mut writer) = tokio::io::split(tls(&rig).await);
    let trickle = async move {
        writer.write_all(&http2::opening(EVERYTHING)).await.unwrap();
        writer.write_all(&begun(1, CHECK)).await.unwrap();
        // It announces 200 octets.
        writer.write_all(&frame(Kind::Data, 0, 1, &[0, 0, 0, 0, 200])).await.unwrap();
        loop {
            writer.write_all(&frame(Kind::Data, 0, 1, &[0])).await.unwrap();
            writer.flush().await.unwrap();
            // The pace of the attack.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let refused = async {
        let mut seen = Vec::new();
        loop {
            let mut head = [0; 9];
            reader.read_exact(&mut head).await.unwrap();
            let mut payload = vec![0; usize::from(head[2]) + 256 * usize::from(head[1])];
            reader.read_exact(&mut payload).await.unwrap();
            let received = http2::Received {
                kind: head[3],
                flags: head[4],
                stream: u32::from(head[8]),
                payload,
            };
            if received.ends(1) {
                return seen.len();
            }
            seen.push(received);
        }
    };
    let served = assert_served(&rig, &mut other);
    tokio::select! {
        () = trickle => {},
        (n_before, ()) = async { tokio::join!(refused, served) } => assert!(n_before < 16),
    }
    // Its one place is free again.
    assert_eq!(check(&mut rig.client(&rig.ca.agency(&csc()))).await, Ok(()));
}

#[tokio::test]
async fn one_peer_can_not_take_the_places_of_requests_that_others_need() {
    let (rig, mut other) = rig(Limits {
        requests: 8,
        requests_per_peer: 4,
        request_timeout: NEVER,
        ..Limits::default()
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..4 {
        // Over several connections: the bound is of the peer.
        let mut client = attacker(&rig).await;
        client.send(&begun(1, CHECK)).await.unwrap();
        client.heard().await.unwrap();
        held.push(client);
    }
    let mut fifth = attacker(&rig).await;
    fifth.send(&[begun(1, CHECK), message(1, ASKED)].concat()).await.unwrap();
    let answer = fifth.until(|received| received.ends(1)).await.unwrap();
    assert_eq!(status_of(&answer), status_of_refusal().await, "{answer:?}");
    assert_served(&rig, &mut other).await;
    // And everything is given back.
    drop(held);
    let mut again = rig.client(&rig.ca.agency(&csc()));
    loop {
        match check(&mut again).await {
            Err(Code::ResourceExhausted) => tokio::task::yield_now().await,
            answered => break assert_eq!(answered, Ok(())),
        }
    }
}

/// As HTTP/2 writes `RESOURCE_EXHAUSTED` here: of a server that has no place for anybody.
async fn status_of_refusal() -> Option<u8> {
    let full = Rig::with_limits(Limits { requests: 0, ..Limits::default() }).await;
    let mut client = attacker(&full).await;
    client.send(&[begun(1, CHECK), message(1, ASKED)].concat()).await.unwrap();
    let answer = client.until(|received| received.ends(1)).await.unwrap();
    let status = status_of(&answer);
    assert!(status.is_some(), "{answer:?}");
    status
}

#[tokio::test]
async fn a_hundred_thousand_streams_opened_and_reset_at_once_end_the_connection() {
    let (rig, mut other) = rig(Limits::default()).await;
    let client = attacker(&rig).await;
    let (mut reader, mut writer) = tokio::io::split(client.0);
    let attack = async move {
        for stream in (1..200_000).step_by(2) {
            let both = [begun(stream, CHECK), reset(stream)].concat();
            if writer.write_all(&both).await.is_err() {
                return stream / 2;
            }
        }
        100_000
    };
    let drain = async {
        let mut all = Vec::new();
        let _ = reader.read_to_end(&mut all).await;
        all.len()
    };
    let (n_opened, n_told, ()) = tokio::join!(attack, drain, assert_served(&rig, &mut other));
    assert!(n_opened < 100_000, "all were taken");
    assert!(n_told < 1 << 20, "{n_told} bytes were answered");
    assert_only_one_connection(&rig).await;
    assert_served(&rig, &mut other).await;
}

#[tokio::test]
async fn requests_that_are_begun_and_abandoned_one_after_the_other_end_the_connection() {
    let (rig, mut other) = rig(Limits { abandoned_requests: 10, ..Limits::default() }).await;
    let mut client = attacker(&rig).await;
    let mut n_abandoned = 0;
    for stream in (1..).step_by(2) {
        let abandon = async {
            client.send(&begun(stream, CHECK)).await?;
            client.heard().await?;
            client.send(&reset(stream)).await?;
            client.heard().await
        };
        if abandon.await.is_err() {
            break;
        }
        n_abandoned += 1;
        assert!(n_abandoned < 100_000, "all were taken");
        assert_eq!(check(&mut other).await, Ok(()));
    }
    assert!(n_abandoned >= 10, "{n_abandoned}");
    assert_eq!(rig.metrics.cut("requests_abandoned"), 1);
    assert_only_one_connection(&rig).await;
    assert_served(&rig, &mut other).await;
}

#[tokio::test]
async fn streams_over_the_limit_that_are_opened_all_the_same_end_the_connection() {
    let (rig, mut other) =
        rig(Limits { streams_per_connection: 4, request_timeout: NEVER, ..Limits::default() })
            .await;
    let mut client = attacker(&rig).await;
    let mut n_opened = 0;
    for stream in (1..).step_by(2) {
        if client.send(&begun(stream, CHECK)).await.is_err() || client.heard().await.is_err() {
            break;
        }
        n_opened += 1;
        // Four, and as many more as may be refused.
        assert!(n_opened <= 4 + 20 + 1, "{n_opened} were taken");
    }
    assert_served(&rig, &mut other).await;
    assert_only_one_connection(&rig).await;
}

#[tokio::test]
async fn a_head_that_goes_on_for_ever_ends_the_connection() {
    let (rig, mut other) = rig(Limits::default()).await;
    let mut client = attacker(&rig).await;
    client.send(&frame(Kind::Headers, 0, 1, &head(CHECK))).await.unwrap();
    let more = field("x", &"x".repeat(100)).repeat(100);
    let flooding = async {
        flood(&mut client, &frame(Kind::Continuation, 0, 1, &more), 64 << 20).await;
    };
    tokio::join!(flooding, assert_served(&rig, &mut other));
    assert_only_one_connection(&rig).await;
    assert_served(&rig, &mut other).await;
}

#[tokio::test]
async fn a_head_of_more_fields_than_fit_ends_the_connection() {
    let (rig, mut other) = rig(Limits { headers_max_bytes: 4096, ..Limits::default() }).await;
    let mut client = attacker(&rig).await;
    // 32 bytes are counted for each field beside its octets (RFC 9113, section 6.5.2).
    let many = [head(CHECK), field("x", "").repeat(1000)].concat();
    client.send(&frame(Kind::Headers, END_HEADERS | END_STREAM, 1, &many)).await.unwrap();
    client.end().await;
    assert_only_one_connection(&rig).await;
    assert_served(&rig, &mut other).await;
}

#[tokio::test]
async fn a_message_announced_longer_than_the_limit_is_refused_before_it_comes() {
    let (rig, mut other) = rig(Limits { request_timeout: NEVER, ..Limits::default() }).await;
    let mut client = attacker(&rig).await;
    let announced = [&[0], &u32::MAX.to_be_bytes()[..], &[0; 100]].concat();
    client.send(&[begun(1, CHECK), frame(Kind::Data, 0, 1, &announced)].concat()).await.unwrap();
    client.until(|received| received.ends(1)).await.unwrap();
    // And one that says it is compressed is not unpacked.
    let compressed = [&[1], &100_u32.to_be_bytes()[..], &[0; 100]].concat();
    client.send(&[begun(3, CHECK), frame(Kind::Data, 0, 3, &compressed)].concat()).await.unwrap();
    client.until(|received| received.ends(3)).await.unwrap();
    assert_served(&rig, &mut other).await;
}

#[tokio::test]
async fn answers_that_nobody_takes_keep_their_places_until_they_are_taken() {
    let (rig, mut other) = rig(Limits {
        requests_per_peer: 4,
        answer_timeout: NEVER,
        request_timeout: NEVER,
        ..Limits::default()
    })
    .await;
    // It grants no window: heads of answers may come, messages not.
    let mut client = Client::open(tls(&rig).await, 0).await.unwrap();
    let ask = |stream: u32| [begun(stream, CHECK), message(stream, ASKED)].concat();
    for stream in [1, 3, 5, 7] {
        client.send(&ask(stream)).await.unwrap();
        client
            .until(|received| received.stream == stream && received.is(Kind::Headers))
            .await
            .unwrap();
    }
    client.send(&ask(9)).await.unwrap();
    let fifth = client.until(|received| received.stream == 9).await.unwrap();
    assert!(fifth.ends(9), "there is no place for it: {fifth:?}");
    assert_served(&rig, &mut other).await;

    client.send(&frame(Kind::WindowUpdate, 0, 1, &1000_u32.to_be_bytes())).await.unwrap();
    client.until(|received| received.ends(1)).await.unwrap();
    client.send(&ask(11)).await.unwrap();
    let next = client.until(|received| received.stream == 11).await.unwrap();
    assert!(!next.ends(11), "the place of the answer that was taken is free: {next:?}");
    assert_served(&rig, &mut other).await;
}

#[tokio::test]
async fn a_connection_whose_answer_nobody_takes_in_time_is_cut() {
    let (rig, mut other) =
        rig(Limits { answer_timeout: Duration::from_millis(500), ..Limits::default() }).await;
    let mut client = Client::open(tls(&rig).await, 0).await.unwrap();
    client.send(&[begun(1, CHECK), message(1, ASKED)].concat()).await.unwrap();
    // It answers everything else that is asked of it.
    while client.heard().await.is_ok() {}
    assert_eq!(rig.metrics.cut("answer_not_taken"), 1);
    assert_only_one_connection(&rig).await;
    assert_served(&rig, &mut other).await;
}

#[tokio::test]
async fn empty_pieces_of_a_message_without_end_end_the_connection() {
    let (rig, mut other) = rig(Limits { request_timeout: NEVER, ..Limits::default() }).await;
    let mut client = attacker(&rig).await;
    client.send(&begun(1, CHECK)).await.unwrap();
    let empty = frame(Kind::Data, 0, 1, &[]).repeat(1000);
    let flooding = async {
        flood(&mut client, &empty, 64 << 20).await;
        client.end().await
    };
    let (code, ()) = tokio::join!(flooding, assert_served(&rig, &mut other));
    assert!(code.is_none_or(|code| code == ENHANCE_YOUR_CALM), "{code:?}");
    assert_only_one_connection(&rig).await;
    assert_served(&rig, &mut other).await;
}

#[tokio::test]
async fn connections_that_say_nothing_more_take_no_more_than_their_peers_places() {
    let (rig, mut other) =
        rig(Limits { connections: 8, connections_per_peer: 3, ..Limits::default() }).await;
    let mut idle = Vec::new();
    for _ in 0..3 {
        let mut client = attacker(&rig).await;
        client.heard().await.unwrap();
        idle.push(client);
    }
    for _ in 0..5 {
        let refused: io::Result<()> =
            async { Client::open(tls(&rig).await, EVERYTHING).await?.heard().await }.await;
        assert!(refused.is_err());
    }
    assert_eq!(rig.metrics.refused("connections_of_peer"), 5);
    assert_eq!(rig.metrics.open.get(), 4);
    assert_served(&rig, &mut other).await;
}

#[tokio::test]
async fn requests_of_one_connection_over_its_places_are_refused_at_once() {
    let (rig, mut other) =
        rig(Limits { requests_per_connection: 2, request_timeout: NEVER, ..Limits::default() })
            .await;
    let mut client = attacker(&rig).await;
    client.send(&[begun(1, CHECK), begun(3, CHECK)].concat()).await.unwrap();
    client.heard().await.unwrap();
    client.send(&[begun(5, CHECK), message(5, ASKED)].concat()).await.unwrap();
    let answer = client.until(|received| received.ends(5)).await.unwrap();
    assert_eq!(status_of(&answer), status_of_refusal().await, "{answer:?}");
    assert_served(&rig, &mut other).await;
}

#[tokio::test]
async fn a_frame_longer_than_the_limit_ends_the_connection_before_it_has_come() {
    let (rig, mut other) = rig(Limits::default()).await;
    let mut client = attacker(&rig).await;
    // The head of a frame of 16 MiB.
    client.send(&[0xff, 0xff, 0xff, Kind::Data as u8, 0, 0, 0, 0, 1]).await.unwrap();
    client.end().await;
    assert_only_one_connection(&rig).await;
    assert_served(&rig, &mut other).await;
}
