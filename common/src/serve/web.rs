//! HTTP for browsers and monitoring: what a connection may cost before anything is known of whoever made it.

use std::{
    error::Error,
    io,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, response::IntoResponse as _};
use bytes::Bytes;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, Sleep},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::tally::{Place, Tally, source};
use crate::tls::Cut;

/// What a page's server admits. Counts are of things at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WebLimits {
    /// Connections in all.
    pub(crate) connections: usize,
    /// Connections from one address; an office has one.
    pub(crate) connections_per_source: usize,
    /// Requests from one address. Over it: 503.
    pub(crate) requests_per_source: usize,
    /// Time for the TLS handshake.
    pub(crate) handshake: Duration,
    /// Time for the first octet after it, and for the head of each request in HTTP/1: an idle connection ends with it, too.
    pub(crate) head: Duration,
    /// Time for the body of a request.
    pub(crate) body: Duration,
    /// Age at which a connection takes no more requests.
    pub(crate) age: Duration,
    /// Time that requests under way then have.
    pub(crate) grace: Duration,
    /// The head of a request, in bytes.
    pub(crate) head_bytes: usize,
    /// Requests of one connection.
    pub(crate) streams: u32,
}

/// How often an HTTP/2 peer is asked for a sign of life, and how long it has to answer.
const ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));
/// Streams that the peer reset before they were accepted, and that we reset for its errors.
const RESET_STREAMS: usize = 20;

/// The pause after a connection could not be accepted.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// From where a request came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address(pub(crate) SocketAddr);

/// A body that has to come by a moment; `None`: whenever.
struct InTime {
    inner: Incoming,
    until: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for InTime {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let Some(until) = self.until else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        sleep.as_mut().poll(cx).map(|()| {
            Some(Err(io::Error::new(io::ErrorKind::TimedOut, "the request came too slowly").into()))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Places of connections and requests; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    limits: WebLimits,
    connections: Arc<Semaphore>,
    of_sources: Tally<IpAddr>,
    requests: Tally<IpAddr>,
}

/// The places of one connection.
pub(crate) type ConnectionPlaces = (Place<IpAddr>, OwnedSemaphorePermit);

/// What a connection speaks, by what was agreed on in its handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// HTTP/1.1.
    One,
    /// HTTP/2.
    Two,
}

impl Places {
    pub(crate) fn new(limits: WebLimits) -> Self {
        Self {
            limits,
            connections: Arc::new(super::semaphore(limits.connections)),
            of_sources: Tally::new(limits.connections_per_source),
            requests: Tally::new(limits.requests_per_source),
        }
    }

    pub(crate) const fn limits(&self) -> &WebLimits {
        &self.limits
    }

    /// Places for a connection from an address; `None`: all are taken.
    pub(crate) fn door(&self, from: IpAddr) -> Option<ConnectionPlaces> {
        let of_source = self.of_sources.take(source(from))?;
        Some((of_source, Arc::clone(&self.connections).try_acquire_owned().ok()?))
    }

    /// Serves one connection to its end: its own, its age, or `shutdown`, after which requests under way have the time that their
    /// program gives them.
    pub(crate) async fn serve<S>(
        &self,
        stream: S,
        from: SocketAddr,
        version: Version,
        router: Router,
        shutdown: CancellationToken,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = self.limits;
        let begun = CancellationToken::new();
        let begins = begun.clone();
        let oldest = limits.age.saturating_add(limits.grace);
        let stream = Cut::new(stream, async move {
            let unheard = async {
                if tokio::time::timeout(limits.head, begins.cancelled()).await.is_ok() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = unheard => {}
                // Writes end with it as well, so that nobody holds a connection by not reading.
                () = tokio::time::sleep(oldest) => {}
            }
        })
        .telling(begun, if version == Version::Two { super::accept::PREFACE_BYTES } else { 1 });
        let (requests, key) = (self.requests.clone(), source(from.ip()));
        let service = tower::service_fn(move |mut request: Request<Incoming>| {
            let (router, place) = (router.clone(), requests.take(key));
            async move {
                let Some(_place) = place else {
                    return Ok(StatusCode::SERVICE_UNAVAILABLE.into_response());
                };
                request.extensions_mut().insert(Address(from));
                let until = Instant::now().checked_add(limits.body);
                let in_time = |inner| Body::new(InTime { inner, until, sleep: None });
                router.oneshot(request.map(in_time)).await
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        // Without it the one that waits to see which version is spoken would wait for ever.
        builder = match version {
            Version::One => builder.http1_only(),
            Version::Two => builder.http2_only(),
        };
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(limits.head_bytes);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(RESET_STREAMS)
            .max_local_error_reset_streams(RESET_STREAMS)
            .keep_alive_interval(Some(ALIVE.0))
            .keep_alive_timeout(ALIVE.1);
        let served =
            builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let mut served = pin!(served);
        // What goes wrong on one connection concerns nobody else.
        tokio::select! {
            _ = served.as_mut() => return,
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(limits.age) => {}
        }
        served.as_mut().graceful_shutdown();
        let _ = served.await;
    }
}

/// Accepts until `shutdown`, as far as there are places, and has each connection served by a task of its own. Then they have `drain`;
/// whoever is still there after it is cut.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    places: &Places,
    drain: Duration,
    shutdown: &CancellationToken,
    serve: impl Fn(TcpStream, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (tcp, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most often no free file descriptor: others have to end first.
                tracing::debug!(%error, "can not accept a connection");
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                continue;
            }
        };
        let Some(held) = places.door(from.ip()) else { continue };
        let serving = serve(tcp, from);
        connections.spawn(async move {
            let _held = held;
            serving.await;
        });
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(drain, all_ended).await;
    connections.shutdown().await;
}
