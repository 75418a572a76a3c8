//! The operator's page on this machine: `/live`, `/ready`, `/metrics`, and `/state` for the doctor; plain HTTP.
//!
//! It has no sign-in, so it listens on the loopback interface and nowhere else.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{
    net::TcpListener,
    sync::{Mutex, watch},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    doctor::Tell,
    serve::{Places, Version, WebLimits, accept},
    telemetry::Metrics,
};

/// Whether a program serves, and if not, why. One value drives `/ready` and gRPC health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    reasons: Vec<String>,
}

impl Readiness {
    /// The program serves.
    #[must_use]
    pub const fn ready() -> Self {
        Self { reasons: Vec::new() }
    }

    /// The program does not serve, for these reasons, in words for an operator; no personal data.
    /// An empty list means ready.
    #[must_use]
    pub const fn not_ready(reasons: Vec<String>) -> Self {
        Self { reasons }
    }

    /// What a program is until it has looked: not ready.
    #[must_use]
    pub fn starting() -> Self {
        Self::not_ready(vec!["starting".to_owned()])
    }

    /// Whether the program serves.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Why it does not; empty when it does.
    #[must_use]
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }
}

/// Why the admin server can not start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address could be reached from other machines.
    #[error("`{0}` is not a loopback address; use 127.0.0.1 or [::1]")]
    NotLoopback(SocketAddr),
    /// The address can not be listened on.
    #[error("can not listen on `{address}`")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A running admin server. Dropping it ends it at once.
#[derive(Debug)]
pub struct Admin {
    local_addr: SocketAddr,
    task: AbortOnDropHandle<()>,
}

impl Admin {
    /// Listens on `address` (port 0: any free port) until `shutdown`.
    ///
    /// # Errors
    /// When the address is not a loopback address or can not be listened on.
    pub async fn start(
        address: SocketAddr,
        readiness: watch::Receiver<Readiness>,
        metrics: Metrics,
        shutdown: CancellationToken,
    ) -> Result<Self, AdminError> {
        Self::start_telling(address, readiness, metrics, None, shutdown).await
    }

    /// As [`Admin::start`], and tells at `/state` how the program is, for its doctor.
    ///
    /// # Errors
    /// As [`Admin::start`].
    pub async fn start_telling(
        address: SocketAddr,
        readiness: watch::Receiver<Readiness>,
        metrics: Metrics,
        tell: Option<Tell>,
        shutdown: CancellationToken,
    ) -> Result<Self, AdminError> {
        if !address.ip().is_loopback() {
            return Err(AdminError::NotLoopback(address));
        }
        let bind = |source| AdminError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let local_addr = listener.local_addr().map_err(bind)?;
        let router = Router::new()
            .route("/live", get(async || "live\n"))
            .route("/ready", get(ready).with_state(readiness))
            .route("/metrics", get(show_metrics).with_state(metrics))
            .route("/state", get(state).with_state(Arc::new((tell, Mutex::new(())))));
        let task = AbortOnDropHandle::new(tokio::spawn(run(listener, router, LIMITS, shutdown)));
        Ok(Self { local_addr, task })
    }

    /// The address it listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Waits until it has ended after `shutdown`.
    pub async fn ended(self) {
        if self.task.await.is_err() {
            tracing::error!("the admin server stopped by a defect");
        }
    }
}

/// What processes of this machine may take of it, whoever they are.
const LIMITS: WebLimits = WebLimits {
    connections: 64,
    // They all have the same address.
    connections_per_source: 64,
    requests_per_source: 16,
    handshake: Duration::ZERO,
    head: Duration::from_secs(5),
    body: Duration::from_secs(5),
    age: Duration::from_secs(60),
    grace: Duration::from_secs(10),
    head_bytes: 16 * 1024,
    streams: 1,
};

async fn run(
    listener: TcpListener,
    router: Router,
    limits: WebLimits,
    shutdown: CancellationToken,
) {
    let places = Places::new(limits);
    let serve = |tcp, from| {
        let (router, places, shutdown) = (router.clone(), places.clone(), shutdown.clone());
        async move { places.serve(tcp, from, Version::One, router, shutdown).await }
    };
    accept(listener, &places, limits.grace, &shutdown, serve).await;
}

async fn ready(State(readiness): State<watch::Receiver<Readiness>>) -> Response {
    let now = readiness.borrow().clone();
    if now.is_ready() {
        return "ready\n".into_response();
    }
    let mut text = String::from("not ready\n");
    for reason in now.reasons() {
        text.push_str(reason);
        text.push('\n');
    }
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

/// One caller at a time: some of it is counted anew.
async fn state(State(tell): State<Arc<(Option<Tell>, Mutex<()>)>>) -> Response {
    let (Some(tell), one_at_a_time) = &*tell else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let _held = one_at_a_time.lock().await;
    let state = tell.state().await;
    match state.and_then(|state| serde_json::to_string(&state).ok()) {
        Some(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn show_metrics(State(metrics): State<Metrics>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    async fn fetch(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn refuses_an_address_that_others_can_reach() {
        let (_keep, readiness) = watch::channel(Readiness::starting());
        let address = "0.0.0.0:0".parse().unwrap();
        let refused =
            Admin::start(address, readiness, Metrics::new("x"), CancellationToken::new()).await;
        assert!(matches!(refused, Err(AdminError::NotLoopback(_))));
    }

    #[tokio::test]
    async fn ready_says_why_not() {
        let (state, readiness) = watch::channel(Readiness::starting());
        let shutdown = CancellationToken::new();
        let address = "127.0.0.1:0".parse().unwrap();
        let admin =
            Admin::start(address, readiness, Metrics::new("hub"), shutdown.clone()).await.unwrap();
        let address = admin.local_addr();

        assert!(fetch(address, "/live").await.starts_with("HTTP/1.1 200"));
        let answer = fetch(address, "/ready").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("starting"), "{answer}");
        state.send_replace(Readiness::ready());
        assert!(fetch(address, "/ready").await.starts_with("HTTP/1.1 200"));
        assert!(fetch(address, "/metrics").await.ends_with("# EOF\n"));

        shutdown.cancel();
        admin.ended().await;
    }

    #[tokio::test]
    async fn connections_that_say_nothing_do_not_keep_monitoring_out_for_long() {
        let (_keep, readiness) = watch::channel(Readiness::ready());
        let shutdown = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/ready", get(ready).with_state(readiness));
        let limits = WebLimits {
            connections: 4,
            connections_per_source: 4,
            head: Duration::from_millis(500),
            ..LIMITS
        };
        let running = tokio::spawn(run(listener, router, limits, shutdown.clone()));
        let mut silent = Vec::new();
        for n in 0..4 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // Nothing, or a head that does not end.
            stream.write_all(["", "GET /ready HTTP/1.1\r\nhost:"][n % 2].as_bytes()).await.unwrap();
            silent.push(stream);
        }
        let mut fifth = TcpStream::connect(address).await.unwrap();
        assert_eq!(fifth.read(&mut [0]).await.unwrap_or(0), 0, "a connection over the limit");
        for mut stream in silent {
            let mut said = Vec::new();
            let _ = stream.read_to_end(&mut said).await;
            assert!(!said.starts_with(b"HTTP/1.1 200"));
        }
        assert!(fetch(address, "/ready").await.starts_with("HTTP/1.1 200"));
        shutdown.cancel();
        running.await.unwrap();
    }
}
