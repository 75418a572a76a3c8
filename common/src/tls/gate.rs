//! The check that every request passes before any handler: the caller is still trusted, and the
//! server is not at its limit of requests. Here every request is counted, too.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::Semaphore;
use tonic::{Status, body::Body};
use tower_service::Service;
use tracing::Instrument as _;

use super::{NOW_HEADER, VERSION_HEADER};
use crate::{
    peer::PeerName,
    serve::{Answer, Asked, OnLine, Tally},
    telemetry::{
        calls::{CallOutcome, ServedCalls},
        traces,
    },
    time::SharedClock,
};

/// Where gRPC health is asked. Its answer alone tells clock and version: what is asked about people keeps its size.
const HEALTH: &str = "/grpc.health.v1.Health/";

/// Wraps the routes of a server; clones share one limit.
#[derive(Debug, Clone)]
pub(crate) struct Gate<S> {
    inner: S,
    of_peers: Tally<PeerName>,
    requests: Arc<Semaphore>,
    clock: SharedClock,
    calls: ServedCalls,
}

impl<S> Gate<S> {
    /// At most as many requests of each peer as `of_peers` has places, and as many in all as `requests` has permits.
    pub(crate) const fn new(
        inner: S,
        of_peers: Tally<PeerName>,
        requests: Arc<Semaphore>,
        clock: SharedClock,
        calls: ServedCalls,
    ) -> Self {
        Self { inner, of_peers, requests, clock, calls }
    }
}

impl<S> Service<http::Request<Body>> for Gate<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let refuse = |status: Status| -> Self::Future {
            self.calls.begin(request.uri().path()).ended(CallOutcome::of(status.code()));
            Box::pin(std::future::ready(Ok(status.into_http())))
        };
        let at = request.extensions().get::<OnLine>().cloned();
        let Some(OnLine { caller, line }) = at.filter(|at| at.caller.is_trusted()) else {
            return refuse(Status::unauthenticated("the certificate is no longer accepted"));
        };
        let name = caller.peer().name().clone();
        // Its own first: a peer that asks too much must not even take a place that others could have had.
        let Some(of_peer) = self.of_peers.take(name.clone()) else {
            return refuse(Status::resource_exhausted("too many requests of one caller at once"));
        };
        let Ok(of_all) = Arc::clone(&self.requests).try_acquire_owned() else {
            return refuse(Status::resource_exhausted("too many requests at once"));
        };
        request.extensions_mut().insert(caller);
        let tells = request.uri().path().starts_with(HEALTH).then(|| Arc::clone(&self.clock));
        let call = self.calls.begin(request.uri().path());
        let span = traces::served(call.method(), &name, request.headers());
        let under_way = line.request();
        let asking = Arc::clone(&line);
        let request = request.map(|body| Asked::body(body, asking));
        let answer = span.in_scope(|| self.inner.call(request));
        let ended = span.clone();
        let answering = async move {
            let mut answer = answer.await;
            let outcome = match &answer {
                Ok(answer) => CallOutcome::of_head(answer.headers()),
                Err(_) => CallOutcome::Failed,
            };
            ended.record("outcome", outcome.word());
            call.ended(outcome);
            under_way.answered();
            if let (Ok(answer), Some(clock)) = (&mut answer, tells) {
                let now = clock.now().as_millisecond();
                answer.headers_mut().insert(NOW_HEADER, http::HeaderValue::from(now));
                let version = http::HeaderValue::from_static(env!("CARGO_PKG_VERSION"));
                answer.headers_mut().insert(VERSION_HEADER, version);
            }
            answer.map(|answer| answer.map(|body| Answer::body(body, (of_peer, of_all), line)))
        };
        Box::pin(answering.instrument(span))
    }
}
