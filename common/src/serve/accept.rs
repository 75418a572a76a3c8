//! The accept loop: who gets as far as speaking HTTP/2.
//!
//! Nothing here waits for a peer without a deadline and a place: a connection first takes a place of
//! its address and one of all handshakes, then proves who it is, then takes a place of its name and
//! one of all connections. Whoever finds no place is dropped at once, so that silence costs the
//! silent. INVARIANT: no error of a connection ends the loop.

use std::{
    any::Any,
    io::{self, IoSlice},
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use super::{
    Accepted, Limits, ServeMetrics,
    line::{Line, OnLine},
    semaphore,
    tally::{Place, Tally, source},
};
use crate::{
    peer::PeerName,
    standing::Standing,
    tls::{Caller, Cut, ServerTls, Spoken},
};

/// The length of what a client of HTTP/2 says first (RFC 9113, section 3.4).
pub(super) const PREFACE_BYTES: usize = 24;

/// After an accept error that lasts, such as no free file descriptor: first and longest pause.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Accepts until `shutdown`, and then drops the listener and every handshake under way.
pub(super) async fn run(
    listener: TcpListener,
    admission: Arc<Admission>,
    admitted: mpsc::Sender<io::Result<Accepted>>,
    shutdown: CancellationToken,
) {
    let mut handshakes = JoinSet::new();
    let mut pause = PAUSE_MIN;
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            Some(_) = handshakes.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, from)) => {
                pause = PAUSE_MIN;
                // A place first: a flood must not even cost a task for each connection.
                let Some(places) = admission.door(from.ip()) else { continue };
                let admission = Arc::clone(&admission);
                let admitted = admitted.clone();
                handshakes.spawn(async move {
                    if let Some(connection) = admission.admit(tcp, from, places).await {
                        // The receiver is gone only when the server is.
                        let _ = admitted.send(Ok(connection)).await;
                    }
                });
            }
            // The peer went away before we accepted it.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "can not accept connections");
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSE_MAX),
                }
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// The places, and what a connection needs to be admitted.
pub(super) struct Admission {
    tls: Arc<ServerTls>,
    limits: Limits,
    metrics: ServeMetrics,
    /// Absent: nobody may serve on a connection that they have dialled.
    standing: Option<Standing>,
    cut: CancellationToken,
    handshakes: Arc<Semaphore>,
    sources: Tally<IpAddr>,
    connections: Arc<Semaphore>,
    peers: Tally<PeerName>,
}

/// Why a connection is refused other than for its handshake, as the counter names it.
pub(super) const REASONS: &[&str] = &[
    "handshakes_of_source",
    "handshakes",
    "handshake_timeout",
    "connections_of_peer",
    "connections",
];

/// The places of a handshake.
type DoorPlaces = (Place<IpAddr>, OwnedSemaphorePermit);

impl Admission {
    pub(super) fn new(
        tls: Arc<ServerTls>,
        limits: Limits,
        metrics: ServeMetrics,
        standing: Option<Standing>,
        cut: CancellationToken,
    ) -> Self {
        Self {
            tls,
            metrics,
            standing,
            cut,
            handshakes: Arc::new(semaphore(limits.handshakes)),
            sources: Tally::new(limits.handshakes_per_source),
            connections: Arc::new(semaphore(limits.connections)),
            peers: Tally::new(limits.connections_per_peer),
            limits,
        }
    }

    fn door(&self, from: IpAddr) -> Option<DoorPlaces> {
        let Some(source) = self.sources.take(source(from)) else {
            self.metrics.count_refused("handshakes_of_source");
            return None;
        };
        let Ok(handshake) = Arc::clone(&self.handshakes).try_acquire_owned() else {
            self.metrics.count_refused("handshakes");
            return None;
        };
        Some((source, handshake))
    }

    async fn admit(&self, tcp: TcpStream, from: SocketAddr, door: DoorPlaces) -> Option<Accepted> {
        let refuse = |reason: &'static str, error: Option<&(dyn std::error::Error + 'static)>| {
            self.metrics.count_refused(reason);
            tracing::debug!(%from, reason, error, "connection refused");
        };
        // Small answers must not wait for each other's acknowledgement; failing that, they may.
        let _ = tcp.set_nodelay(true);
        let handshake = tokio::time::timeout(self.limits.handshake_timeout, self.tls.accept(tcp));
        let (stream, caller, spoken) = match handshake.await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => {
                refuse(error.code(), Some(&error));
                return None;
            }
            Err(_) => {
                refuse("handshake_timeout", None);
                return None;
            }
        };
        if spoken == Spoken::DialOut && self.standing.is_none() {
            refuse("dial_out_not_taken", None);
            return None;
        }
        let Some(of_peer) = self.peers.take(caller.peer().name().clone()) else {
            refuse("connections_of_peer", None);
            return None;
        };
        let Ok(of_all) = Arc::clone(&self.connections).try_acquire_owned() else {
            refuse("connections", None);
            return None;
        };
        self.metrics.admitted.inc();
        let open = Open::new(self.metrics.clone());
        let cut = self.cut.clone();
        let oldest = self.limits.connection_age.saturating_add(self.limits.connection_age_grace);
        let refused = caller.clone().no_longer_trusted();
        let line = Line::new(&self.limits, self.metrics.clone());
        let (is_cut, begun) = (line.is_cut(), CancellationToken::new());
        let unheard = unheard(
            (spoken == Spoken::Http2).then(|| begun.clone()),
            self.limits.begin_timeout,
            Arc::clone(&line),
        );
        let stream = Cut::new(stream, async move {
            tokio::select! {
                // At its age tonic tells the peer to go away; this is for what has not gone by then.
                _ = tokio::time::timeout(oldest, cut.cancelled()) => {}
                () = refused => {}
                () = is_cut => {}
                () = unheard => {}
            }
        })
        .telling(begun, PREFACE_BYTES);
        let mut connection = Connection::new(stream, caller, line, (of_peer, of_all, open));
        match (spoken, &self.standing) {
            (Spoken::Http2, _) => {
                drop(door);
                Some(connection)
            }
            (Spoken::DialOut, Some(standing)) => {
                // With its place among the handshakes, until the peer has been told.
                let verdict = standing.judge(&connection);
                let told = connection.tell(verdict.octet());
                let told = tokio::time::timeout(self.limits.handshake_timeout, told).await;
                drop(door);
                match (verdict.code(), told) {
                    (Some(reason), _) => refuse(reason, None),
                    (None, Ok(Ok(()))) => standing.keep(connection, self.cut.clone()).await,
                    (None, Ok(Err(_)) | Err(_)) => refuse("dial_out_not_told", None),
                }
                None
            }
            (Spoken::DialOut, None) => None,
        }
    }
}

/// Ends when a peer has not begun to speak HTTP/2 in time; never for one who has, or of whom nothing is waited for. HTTP/2 asks for
/// signs of life once it has begun; until then this does.
pub(super) async fn unheard(begun: Option<CancellationToken>, within: Duration, line: Arc<Line>) {
    if let Some(begun) = begun
        && tokio::time::timeout(within, begun.cancelled()).await.is_err()
    {
        line.cut("not_begun");
    } else {
        std::future::pending::<()>().await;
    }
}

/// Keeps the gauge of open connections.
struct Open(ServeMetrics);

impl Open {
    fn new(metrics: ServeMetrics) -> Self {
        metrics.open.inc();
        Self(metrics)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.dec();
    }
}

/// A connection of a verified peer. It ends at its greatest age, and when the server is cut off.
pub(crate) struct Connection<S> {
    stream: Cut<S>,
    at: OnLine,
    /// What is given back when the connection ends.
    _held: Box<dyn Any + Send + Sync>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// A connection of `caller`, which holds something until it ends.
    pub(super) fn new(
        stream: Cut<S>,
        caller: Caller,
        line: Arc<Line>,
        held: impl Any + Send + Sync,
    ) -> Self {
        Self { stream, at: OnLine { caller, line }, _held: Box::new(held) }
    }

    /// Who is at the other end.
    pub(crate) const fn caller(&self) -> &Caller {
        &self.at.caller
    }

    /// Sends one octet.
    pub(crate) async fn tell(&mut self, octet: u8) -> io::Result<()> {
        self.stream.write_all(&[octet]).await?;
        self.stream.flush().await
    }
}

impl<S> Connected for Connection<S> {
    type ConnectInfo = OnLine;

    fn connect_info(&self) -> OnLine {
        self.at.clone()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
