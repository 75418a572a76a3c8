//! The bounds of a server, at the door and inside.

mod attacks;

use std::net::SocketAddr;

use tokio::{
    io::AsyncReadExt as _,
    net::{TcpSocket, TcpStream},
};
use tonic::{Code, Request};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

use super::*;
use crate::{
    admin::Readiness,
    tls::tests::{Rig, check, csc, eventually},
};

fn request(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

async fn silent(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(from.parse().unwrap()).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test]
async fn silence_from_one_address_does_not_keep_others_out() {
    let rig = Rig::with_limits(Limits {
        handshakes_per_source: 8,
        handshakes: 16,
        handshake_timeout: Duration::from_secs(600),
        ..Limits::default()
    })
    .await;
    let mut silent_ones = Vec::new();
    for _ in 0..40 {
        silent_ones.push(silent("127.0.0.2:0", rig.serving.local_addr()).await);
    }
    let refused = || rig.metrics.refused("handshakes_of_source") == 32;
    eventually("places of the source are taken", refused).await;
    assert_eq!(check(&mut rig.client(&rig.ca.agency(&csc()))).await, Ok(()));
}

#[tokio::test]
async fn all_handshakes_together_are_bounded() {
    let rig = Rig::with_limits(Limits { handshakes: 1, ..Limits::default() }).await;
    let _first = silent("127.0.0.2:0", rig.serving.local_addr()).await;
    let mut second = silent("127.0.0.3:0", rig.serving.local_addr()).await;
    assert_eq!(second.read(&mut [0]).await.unwrap_or(0), 0);
    assert_eq!(rig.metrics.refused("handshakes"), 1);
}

#[tokio::test]
async fn a_silent_connection_ends_at_the_handshake_timeout() {
    let limits = Limits { handshake_timeout: Duration::from_millis(50), ..Limits::default() };
    let rig = Rig::with_limits(limits).await;
    let mut tcp = silent("127.0.0.1:0", rig.serving.local_addr()).await;
    assert_eq!(tcp.read(&mut [0]).await.unwrap_or(0), 0);
    eventually("counted", || rig.metrics.refused("handshake_timeout") == 1).await;
}

#[tokio::test]
async fn connections_of_one_peer_are_bounded_and_given_back() {
    let rig = Rig::with_limits(Limits { connections_per_peer: 1, ..Limits::default() }).await;
    let cert = rig.ca.agency(&csc());
    let mut first = rig.client(&cert);
    assert_eq!(check(&mut first).await, Ok(()));
    assert!(check(&mut rig.client(&cert)).await.is_err());
    assert!(rig.metrics.refused("connections_of_peer") >= 1);
    assert_eq!(check(&mut rig.client(&rig.ca.hub())).await, Ok(()));

    drop(first);
    eventually("connections are closed", || rig.metrics.open.get() == 0).await;
    assert_eq!(check(&mut rig.client(&cert)).await, Ok(()));
}

#[tokio::test]
async fn all_connections_together_are_bounded() {
    let rig = Rig::with_limits(Limits { connections: 1, ..Limits::default() }).await;
    let mut first = rig.client(&rig.ca.agency(&csc()));
    assert_eq!(check(&mut first).await, Ok(()));
    assert!(check(&mut rig.client(&rig.ca.hub())).await.is_err());
    assert!(rig.metrics.refused("connections") >= 1);
    assert_eq!(check(&mut first).await, Ok(()));
}

#[tokio::test]
async fn a_message_over_the_limit_is_out_of_range() {
    let rig = Rig::start().await;
    let mut client = rig.client(&rig.ca.agency(&csc()));
    let big = request(&"x".repeat(MAX_MESSAGE_BYTES));
    assert_eq!(client.check(big).await.unwrap_err().code(), Code::OutOfRange);
    assert_eq!(check(&mut client).await, Ok(()));
}

#[tokio::test]
async fn requests_over_the_limit_are_refused_at_once() {
    let rig = Rig::with_limits(Limits { requests: 0, ..Limits::default() }).await;
    let mut client = rig.client(&rig.ca.agency(&csc()));
    assert_eq!(check(&mut client).await, Err(Code::ResourceExhausted));
}

#[tokio::test]
async fn headers_over_the_limit_are_refused() {
    let rig = Rig::start().await;
    let mut client = rig.client(&rig.ca.agency(&csc()));
    let mut big = Request::new(request("test"));
    big.metadata_mut().insert("x", "x".repeat(20 * 1024).parse().unwrap());
    assert!(client.check(big).await.is_err());
    assert_eq!(check(&mut client).await, Ok(()));
}

#[tokio::test]
async fn a_stream_is_cut_at_the_greatest_age_of_its_connection() {
    let rig = Rig::with_limits(Limits {
        connection_age: Duration::from_millis(50),
        connection_age_grace: Duration::from_millis(50),
        ..Limits::default()
    })
    .await;
    let mut client = rig.client(&rig.ca.agency(&csc()));
    let mut stream = client.watch(request("test")).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    assert!(stream.message().await.is_err());
    // The channel connects again.
    assert_eq!(check(&mut client).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_because_its_connection_was_at_its_greatest_age() {
    let rig = Rig::with_limits(Limits {
        // Not so short that a connection ends before its first byte was read: such a one is closed at once.
        connection_age: Duration::from_millis(200),
        connection_age_grace: Duration::from_secs(10),
        ..Limits::default()
    })
    .await;
    let client = rig.client(&rig.ca.agency(&csc()));
    let calling = (0..4).map(|_| {
        let mut client = client.clone();
        tokio::spawn(async move {
            for _ in 0..1_000 {
                client.check(request("test")).await.map_err(|status| format!("{status:?}"))?;
            }
            Ok(())
        })
    });
    for called in futures::future::join_all(calling).await {
        assert_eq!(called.unwrap(), Ok::<(), String>(()));
    }
}

#[tokio::test]
async fn a_stop_ends_streams_after_the_drain_and_takes_no_more() {
    let limits = Limits { drain: Duration::from_millis(50), ..Limits::default() };
    let rig = Rig::with_limits(limits).await;
    let mut client = rig.client(&rig.ca.agency(&csc()));
    let mut stream = client.watch(request("test")).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    let address = rig.serving.local_addr();
    rig.serving.stop().await.unwrap();
    assert!(stream.message().await.is_err());
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(rig.metrics.open.get(), 0);
}

#[tokio::test]
async fn health_follows_readiness() {
    let rig = Rig::start().await;
    let mut client = rig.client(&rig.ca.agency(&csc()));
    let mut stream = client.watch(request("test")).await.unwrap().into_inner();
    let mut next = async || stream.message().await.unwrap().unwrap().status();
    assert_eq!(next().await, ServingStatus::Serving);
    rig.readiness.send_replace(Readiness::not_ready(vec!["disk".to_owned()]));
    assert_eq!(next().await, ServingStatus::NotServing);
    rig.readiness.send_replace(Readiness::ready());
    assert_eq!(next().await, ServingStatus::Serving);
    let unknown = client.check(request("none")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}

#[test]
fn limits_read_from_a_configuration_keep_the_other_defaults() {
    let limits: Limits = toml::from_str("handshake_timeout = \"5s\"\nrequests = 7").unwrap();
    let expected =
        Limits { handshake_timeout: Duration::from_secs(5), requests: 7, ..Limits::default() };
    assert_eq!(limits, expected);
    for wrong in ["handshake_timeout = 5", "requests = -1", "request = 1"] {
        assert!(toml::from_str::<Limits>(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn limits_of_any_size_do_not_stop_the_server() {
    let rig = Rig::with_limits(Limits {
        handshakes: usize::MAX,
        connections: usize::MAX,
        requests: usize::MAX,
        frame_max_bytes: u32::MAX,
        connection_age: Duration::MAX,
        connection_age_grace: Duration::MAX,
        ..Limits::default()
    })
    .await;
    assert_eq!(check(&mut rig.client(&rig.ca.agency(&csc()))).await, Ok(()));
}

#[tokio::test]
async fn reflection_describes_itself() {
    assert!(reflection(&[0xff]).is_err());
    assert!(reflection(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET).is_ok());
}
