//! Serving: bind, admit, serve, drain.
//!
//! The accept loop is our own (`serve/accept.rs`): tonic's knows neither revocation lists nor reloading nor
//! places for each source. Everything that a caller could make grow has a bound in [`Limits`].

mod accept;
mod dialled;
mod health;
mod line;
mod tally;
#[cfg(test)]
mod tests;
mod web;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};
use serde::Deserialize;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::service::Routes;

use self::accept::Admission;
pub(crate) use self::{
    accept::Connection,
    line::{Answer, Asked, OnLine},
    tally::{Tally, lock},
    web::{Address, Places, Version, WebLimits, accept},
};
pub use self::{
    dialled::Services,
    health::{HealthTask, health, reflection},
};
use crate::{
    config::duration,
    standing::Standing,
    telemetry::{Metrics, calls::ServedCalls},
    tls::{Gate, HandshakeError, ServerTls},
};

/// The longest message, in bytes, in either direction: a batch of 512 blinded elements of 32 bytes
/// with its framing and signature fits four times over. tonic's own limits are 4 MiB in and none
/// out, so every service and every client sets both with `max_decoding_message_size` and
/// `max_encoding_message_size`. Over it, tonic answers `OUT_OF_RANGE`. Compression stays off.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// What a server admits. Counts are of things at one time. Read from a configuration, absent keys
/// have their defaults and lengths of time are written as in `30s`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// TLS handshakes under way from one address. Default 32: a site behind one address
    /// reconnects at once; a silent flood from one address takes no more.
    pub handshakes_per_source: usize,
    /// TLS handshakes under way in all. Default 256.
    pub handshakes: usize,
    /// Time for one handshake. Default 3 s.
    #[serde(deserialize_with = "duration")]
    pub handshake_timeout: Duration,
    /// Connections in all. Default 1024.
    pub connections: usize,
    /// Connections of one peer. Default 32: fourteen agencies can not use up `connections`.
    pub connections_per_peer: usize,
    /// Requests in all. Over it: `RESOURCE_EXHAUSTED`. Default 512.
    pub requests: usize,
    /// Requests of one peer, over all its connections. A request counts until the first message of its answer has left, so that
    /// a peer who does not read comes to its own end. Over it: `RESOURCE_EXHAUSTED`. Default 128: four peers, not one, could
    /// use up `requests`; the hub asks a node 64 things at once.
    pub requests_per_peer: usize,
    /// Requests of one connection that are abandoned: reset by the peer, or given up after their time. Over it the connection
    /// ends: HTTP/2 bounds only resets of what was not yet accepted. Default 1000.
    pub abandoned_requests: usize,
    /// Time in which the peer takes each message of an answer; over it the connection ends. Default 30 s.
    #[serde(deserialize_with = "duration")]
    pub answer_timeout: Duration,
    /// Time, after the handshake, in which the peer begins to speak HTTP/2. Default 10 s.
    #[serde(deserialize_with = "duration")]
    pub begin_timeout: Duration,
    /// Requests of one connection. Over it: `RESOURCE_EXHAUSTED`. Default 64.
    pub requests_per_connection: usize,
    /// HTTP/2 streams of one connection. Default 100, so that the limit above answers first.
    pub streams_per_connection: u32,
    /// Time for a handler, if the caller's `grpc-timeout` is not shorter. Streams see to their own
    /// deadlines: this ends when a stream starts. Default 30 s.
    #[serde(deserialize_with = "duration")]
    pub request_timeout: Duration,
    /// HTTP/2 headers of a request, in bytes. Default 16 KiB.
    pub headers_max_bytes: u32,
    /// One HTTP/2 frame, in bytes. Default 16 KiB, HTTP/2's own least.
    pub frame_max_bytes: u32,
    /// Streams that the peer reset before they were accepted, and that we reset because of its
    /// errors; over either the connection ends ("rapid reset"). Default 20 each.
    pub reset_streams: usize,
    /// Silence after which the peer is asked whether it is there. Default 30 s.
    #[serde(deserialize_with = "duration")]
    pub keepalive_interval: Duration,
    /// Time to answer that. Default 10 s.
    #[serde(deserialize_with = "duration")]
    pub keepalive_timeout: Duration,
    /// Age at which a connection takes no new requests; the peer connects again, which verifies its
    /// certificate anew. Default 15 min.
    #[serde(deserialize_with = "duration")]
    pub connection_age: Duration,
    /// Time that requests under way then have, before the connection is cut. Default 30 s.
    #[serde(deserialize_with = "duration")]
    pub connection_age_grace: Duration,
    /// Time that requests under way have when the server stops. Default 20 s.
    #[serde(deserialize_with = "duration")]
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshakes_per_source: 32,
            handshakes: 256,
            handshake_timeout: Duration::from_secs(3),
            connections: 1024,
            connections_per_peer: 32,
            requests: 512,
            requests_per_peer: 128,
            abandoned_requests: 1000,
            answer_timeout: Duration::from_secs(30),
            begin_timeout: Duration::from_secs(10),
            requests_per_connection: 64,
            streams_per_connection: 100,
            request_timeout: Duration::from_secs(30),
            headers_max_bytes: 16 * 1024,
            frame_max_bytes: 16 * 1024,
            reset_streams: 20,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            connection_age: Duration::from_secs(15 * 60),
            connection_age_grace: Duration::from_secs(30),
            drain: Duration::from_secs(20),
        }
    }
}

/// What happened at the door. Strangers are counted, not written to any log that they could fill.
#[derive(Debug, Clone, Default)]
pub struct ServeMetrics {
    /// Connections that peers have opened.
    admitted: Counter,
    /// Connections refused before their first request.
    refused: Family<Refusal, Counter>,
    /// Connections that were cut for what the peer did on them.
    cut: Family<Refusal, Counter>,
    /// Connections open now.
    open: Gauge,
    /// What was asked on them.
    calls: ServedCalls,
}

/// The label of a refused connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    reason: &'static str,
}

impl ServeMetrics {
    /// Counters at zero, for calls of the methods of these services, shown by `metrics`.
    #[must_use]
    pub fn register(metrics: &Metrics, services: &[&str]) -> Self {
        let calls = ServedCalls::register(metrics, services);
        let new = Self { calls, ..Self::default() };
        for reason in accept::REASONS.iter().chain(HandshakeError::CODES) {
            drop(new.refused.get_or_create(&Refusal { reason }));
        }
        for reason in line::CUTS {
            drop(new.cut.get_or_create(&Refusal { reason }));
        }
        metrics.register(
            "connections_cut",
            "Connections cut for what the peer did, or did not, on them",
            new.cut.clone(),
        );
        metrics.register("connections", "Connections that peers opened", new.admitted.clone());
        metrics.register(
            "connections_refused",
            "Connections refused before their first request; a client may try several times",
            new.refused.clone(),
        );
        metrics.register("connections_open", "Connections open now", new.open.clone());
        new
    }

    /// How many connections were refused for `reason`.
    #[must_use]
    pub fn refused(&self, reason: &'static str) -> u64 {
        self.refused.get_or_create(&Refusal { reason }).get()
    }

    /// How many open connections were cut for `reason`.
    #[must_use]
    pub fn cut(&self, reason: &'static str) -> u64 {
        self.cut.get_or_create(&Refusal { reason }).get()
    }

    fn count_cut(&self, reason: &'static str) {
        self.cut.get_or_create(&Refusal { reason }).inc();
    }

    fn count_refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Refusal { reason }).inc();
    }
}

/// Why a server ended other than by its shutdown.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener has no address.
    #[error("the listener has no address")]
    Listener(#[source] io::Error),
    /// tonic gave up.
    #[error("the server ended")]
    Transport(#[source] tonic::transport::Error),
    /// A part of the server panicked.
    #[error("the server stopped by a defect")]
    Defect,
}

/// A running server. Dropping it stops it at once, without draining.
#[derive(Debug)]
pub struct Serving {
    local_addr: SocketAddr,
    /// Cuts every connection when dropped, with the copies of it.
    services: Services,
    shutdown: CancellationToken,
    task: AbortOnDropHandle<Result<(), ServeError>>,
}

impl Serving {
    /// Serves `routes` on `listener` until `shutdown`. Handlers know their caller by
    /// [`peer_of`](crate::tls::peer_of).
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn start(
        listener: TcpListener,
        tls: Arc<ServerTls>,
        limits: Limits,
        metrics: ServeMetrics,
        routes: Routes,
        shutdown: CancellationToken,
    ) -> Result<Self, ServeError> {
        Self::start_taking(listener, tls, limits, metrics, routes, None, shutdown)
    }

    /// As [`Serving::start`], and takes connections on which agencies serve; `standing` keeps them.
    ///
    /// # Errors
    /// As [`Serving::start`].
    pub fn start_taking(
        listener: TcpListener,
        tls: Arc<ServerTls>,
        limits: Limits,
        metrics: ServeMetrics,
        routes: Routes,
        standing: Option<Standing>,
        shutdown: CancellationToken,
    ) -> Result<Self, ServeError> {
        let local_addr = listener.local_addr().map_err(ServeError::Listener)?;
        let cut = CancellationToken::new();
        let gate = Gate::new(
            routes.prepare(),
            Tally::new(limits.requests_per_peer),
            Arc::new(semaphore(limits.requests)),
            tls.clock(),
            metrics.calls.clone(),
        );
        let services =
            Services::new(gate, Arc::clone(&tls), limits.clone(), metrics.clone(), cut.clone());
        let server = Server { tls, limits, metrics, cut, shutdown: shutdown.clone() };
        let running = server.run(listener, services.gate(), standing);
        let task = AbortOnDropHandle::new(tokio::spawn(running));
        Ok(Self { local_addr, services, shutdown, task })
    }

    /// What it serves, to be served on connections that were dialled as well. They end with this server.
    #[must_use]
    pub fn services(&self) -> Services {
        self.services.clone()
    }

    /// The address it listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Waits until it has ended: after `shutdown`, or by a defect.
    ///
    /// # Errors
    /// When it ended by itself.
    pub async fn ended(self) -> Result<(), ServeError> {
        self.task.await.map_err(|_| ServeError::Defect)?
    }

    /// Stops it: no new connections or requests, [`Limits::drain`] for those under way, then cuts.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub async fn stop(self) -> Result<(), ServeError> {
        self.shutdown.cancel();
        self.ended().await
    }
}

struct Server {
    tls: Arc<ServerTls>,
    limits: Limits,
    metrics: ServeMetrics,
    cut: CancellationToken,
    shutdown: CancellationToken,
}

impl Server {
    async fn run(
        self,
        listener: TcpListener,
        gate: Gate<Routes>,
        standing: Option<Standing>,
    ) -> Result<(), ServeError> {
        let Self { tls, limits, metrics, cut, shutdown } = self;
        // Admitted connections pass through at once; the loop waits only if tonic does not take them.
        let (admitted, incoming) = mpsc::channel::<io::Result<Accepted>>(16);
        let admission =
            Arc::new(Admission::new(tls, limits.clone(), metrics, standing, cut.clone()));
        let accepting = AbortOnDropHandle::new(tokio::spawn(accept::run(
            listener,
            admission,
            admitted,
            shutdown.clone(),
        )));
        let serving = builder(&limits).serve_with_incoming_shutdown(
            gate,
            ReceiverStream::new(incoming),
            shutdown.clone().cancelled_owned(),
        );
        tokio::pin!(serving);
        let drained = async {
            shutdown.cancelled().await;
            tokio::time::sleep(limits.drain).await;
        };
        let ended = tokio::select! {
            ended = &mut serving => ended,
            () = drained => {
                tracing::warn!("requests still under way are cut");
                cut.cancel();
                serving.await
            }
        };
        accepting.await.map_err(|_| ServeError::Defect)?;
        ended.map_err(ServeError::Transport)
    }
}

/// A connection that was accepted.
type Accepted = Connection<tokio_rustls::server::TlsStream<tokio::net::TcpStream>>;

/// A semaphore of any size; tokio's own panics above its greatest.
fn semaphore(permits: usize) -> Semaphore {
    Semaphore::new(permits.min(Semaphore::MAX_PERMITS))
}

/// tonic's part of the limits. `tcp_nodelay` and its like do not apply to connections of our own.
fn builder(limits: &Limits) -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .max_concurrent_streams(limits.streams_per_connection)
        .concurrency_limit_per_connection(limits.requests_per_connection)
        // Without it requests over the limit would queue.
        .load_shed(true)
        .timeout(limits.request_timeout)
        .http2_keepalive_interval(Some(limits.keepalive_interval))
        .http2_keepalive_timeout(Some(limits.keepalive_timeout))
        // Only the age: with a grace as well, tonic 0.14.9 cuts at age + grace without telling the
        // peer to go away first. `Connection` does the cutting.
        .max_connection_age(limits.connection_age)
        .http2_max_header_list_size(limits.headers_max_bytes)
        // HTTP/2's own bounds (RFC 9113, section 4.2), outside which h2 panics.
        .max_frame_size(limits.frame_max_bytes.clamp(16_384, 16_777_215))
        .http2_max_pending_accept_reset_streams(Some(limits.reset_streams))
        .http2_max_local_error_reset_streams(Some(limits.reset_streams))
}
