//! The client's side: which server it is, checked twice, and channels to it.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use arc_swap::ArcSwap;
use futures::stream::{FuturesUnordered, StreamExt as _};
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier as _},
    time_provider::TimeProvider,
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::{net::TcpStream, sync::watch};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tower_service::Service;

mod channel;
mod probe;

pub(crate) use self::channel::never_taken;
pub use self::{
    channel::Channel,
    probe::{Reached, Unreached, probe},
};
use super::{
    ALPN_H2, ClockTime, Cut, Material, Proxy, ProxyError, Route, Spoken, TlsError, TlsFiles,
    provider, route::Place,
};
use crate::{
    peer::{IdentityError, PeerName, TrustDomain, name_in_certificate},
    time::{SharedClock, Timestamp},
};

/// For name resolution, TCP and TLS together.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the first of several addresses has before the next is tried beside it (RFC 8305, section 5, says 250 ms).
const BESIDE_AFTER: Duration = Duration::from_millis(250);
/// How often a connection is begun again because certificates were reloaded while it was made.
const RELOADED_AGAIN: usize = 3;
/// As the server's, so that either side notices a dead connection within 40 s.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// As the server's own limit: its answers have no larger headers.
pub(crate) const HEADERS_MAX_BYTES: u32 = 16 * 1024;
/// The most that `grpc-timeout` can say is far more; no call of ours waits longer.
const DEADLINE_MAX: Duration = Duration::from_secs(24 * 3600);

/// A server at the other end of an open connection.
struct Server {
    chain: Arc<[CertificateDer<'static>]>,
    host: ServerName<'static>,
    end: CancellationToken,
}

/// The client's side of TLS.
pub struct ClientTls {
    files: TlsFiles,
    trust_domain: TrustDomain,
    clock: SharedClock,
    current: ArcSwap<Current>,
    /// Guards the making of the next reading, so that an older one never replaces a newer.
    changing: Mutex<()>,
    /// The open connections, so that a reload can end those it no longer accepts.
    open: Mutex<Vec<Weak<Server>>>,
    /// How often the files were read again.
    reloads: watch::Sender<u64>,
}

/// A connection to a server whose name is known.
pub(crate) struct Dialled {
    pub(crate) stream: Cut<TlsStream<TcpStream>>,
    /// The server's certificates.
    pub(crate) chain: Arc<[CertificateDer<'static>]>,
}

/// One reading of the files.
struct Current {
    config: Arc<ClientConfig>,
    verifier: Arc<WebPkiServerVerifier>,
    name: PeerName,
    expires: Timestamp,
}

impl ClientTls {
    /// Reads the files. Blocks on the disk.
    ///
    /// # Errors
    /// When a file can not be read or used; the message says which.
    pub fn load(
        files: TlsFiles,
        trust_domain: TrustDomain,
        clock: SharedClock,
    ) -> Result<Arc<Self>, TlsError> {
        let current = ArcSwap::from_pointee(Current::read(&files, &trust_domain, &clock)?);
        let (changing, open) = (Mutex::default(), Mutex::default());
        let reloads = watch::Sender::new(0);
        Ok(Arc::new(Self { files, trust_domain, clock, current, changing, open, reloads }))
    }

    /// Reads the files again. New connections use the new certificate, roots and lists; open ones end
    /// if the new roots and lists no longer accept their server. On error everything stays as it was.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// As [`ClientTls::load`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let _changing = lock(&self.changing);
        let next = Arc::new(Current::read(&self.files, &self.trust_domain, &self.clock)?);
        self.current.store(Arc::clone(&next));
        let time = ClockTime(Arc::clone(&self.clock)).current_time();
        for server in lock(&self.open).iter().filter_map(Weak::upgrade) {
            if !time.is_some_and(|time| next.accepts(&server, time)) {
                server.end.cancel();
            }
        }
        self.reloads.send_modify(|n| *n += 1);
        Ok(())
    }

    /// Changes whenever the files were read again.
    pub(crate) fn reloads(&self) -> watch::Receiver<u64> {
        self.reloads.subscribe()
    }

    /// The name in our own certificate.
    #[must_use]
    pub fn name(&self) -> PeerName {
        self.current.load().name.clone()
    }

    /// When our own certificate expires.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.current.load().expires
    }

    /// Connects to the first address of `route` that `expected` answers at. Another one is tried as soon as one has failed, and
    /// beside one that is slow. Has no deadline of its own.
    pub(crate) async fn dial(
        &self,
        route: &Route,
        expected: &PeerName,
        spoken: Spoken,
    ) -> Result<Dialled, ConnectError> {
        let mut next = route.places().iter();
        let mut trying = FuturesUnordered::new();
        let mut failed = None;
        loop {
            match next.next() {
                Some(place) => trying.push(self.dial_one(place, route.proxy(), expected, spoken)),
                None if trying.is_empty() => {
                    return Err(failed.unwrap_or(ConnectError::NotHttps));
                }
                None => {}
            }
            let all_tried = next.len() == 0;
            let outcome = tokio::select! {
                outcome = trying.next() => outcome,
                () = tokio::time::sleep(BESIDE_AFTER), if !all_tried => None,
            };
            match outcome {
                Some(Ok(dialled)) => return Ok(dialled),
                // The first address is the one that people know.
                Some(Err(error)) => failed = Some(failed.unwrap_or(error)),
                None => {}
            }
        }
    }

    /// Connects to one place and makes sure that `expected` is there.
    async fn dial_one(
        &self,
        place: &Place,
        proxy: Option<&Proxy>,
        expected: &PeerName,
        spoken: Spoken,
    ) -> Result<Dialled, ConnectError> {
        let Place { host, port } = place;
        let server_name = ServerName::try_from(host.clone()).map_err(|_| ConnectError::NotHttps)?;
        let current = self.current.load_full();
        let tcp = match proxy {
            Some(proxy) => proxy.tunnel(host, *port).await?,
            None => TcpStream::connect((host.as_str(), *port)).await.map_err(ConnectError::Tcp)?,
        };
        tcp.set_nodelay(true).map_err(ConnectError::Tcp)?;
        let config = match spoken {
            Spoken::Http2 => Arc::clone(&current.config),
            Spoken::DialOut => {
                let mut config = (*current.config).clone();
                config.alpn_protocols = vec![spoken.alpn().to_vec()];
                Arc::new(config)
            }
        };
        let stream = TlsConnector::from(config)
            .connect(server_name.clone(), tcp)
            .await
            .map_err(ConnectError::Tls)?;
        let (_, session) = stream.get_ref();
        if Spoken::of(session.alpn_protocol()) != Some(spoken) {
            return Err(ConnectError::NotHttp2);
        }
        let chain: Arc<[CertificateDer<'static>]> =
            session.peer_certificates().unwrap_or_default().to_vec().into();
        let leaf = chain.first().ok_or(ConnectError::Identity(IdentityError::Unreadable))?;
        let name = name_in_certificate(leaf, &self.trust_domain).map_err(ConnectError::Identity)?;
        if name != *expected {
            return Err(ConnectError::OtherPeer { expected: expected.clone(), found: name });
        }
        let end = CancellationToken::new();
        let server = Arc::new(Server { chain: Arc::clone(&chain), host: server_name, end });
        let mut open = lock(&self.open);
        open.retain(|server| server.strong_count() > 0);
        open.push(Arc::downgrade(&server));
        drop(open);
        // Order matters: from here on a reload sees this connection; one that came before may not.
        if !Arc::ptr_eq(&current, &self.current.load_full()) {
            return Err(ConnectError::Reloaded);
        }
        let stream = Cut::new(stream, async move { server.end.cancelled().await });
        Ok(Dialled { stream, chain })
    }
}

/// What these locks guard is whole at every moment, so one that a panic left is good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Current {
    fn read(
        files: &TlsFiles,
        trust_domain: &TrustDomain,
        clock: &SharedClock,
    ) -> Result<Self, TlsError> {
        let material = Material::read(files, trust_domain)?;
        let mut verifier = WebPkiServerVerifier::builder_with_provider(material.roots, provider());
        if !material.crls.is_empty() {
            verifier = verifier.with_crls(material.crls).enforce_revocation_expiration();
        }
        let verifier = verifier.build().map_err(TlsError::Verifier)?;
        let time: Arc<dyn TimeProvider> = Arc::new(ClockTime(Arc::clone(clock)));
        let mut config = ClientConfig::builder_with_details(provider(), time)
            .with_protocol_versions(&[&TLS13])?
            .with_webpki_verifier(Arc::clone(&verifier))
            .with_client_auth_cert(material.chain, material.private_key)?;
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        // A resumed session would not verify the server's certificate again.
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        let Material { name, expires, .. } = material;
        Ok(Self { config: Arc::new(config), verifier, name, expires })
    }

    fn accepts(&self, server: &Server, time: UnixTime) -> bool {
        server.chain.split_first().is_some_and(|(leaf, rest)| {
            self.verifier.verify_server_cert(leaf, rest, &server.host, &[], time).is_ok()
        })
    }
}

/// Why there is no connection. Callers see it as the source of an `UNAVAILABLE` status.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is none of ours.
    #[error("the endpoint is not `https://` and a host name or address")]
    NotHttps,
    /// The network or the other machine did not let us.
    #[error("no TCP connection")]
    Tcp(#[source] io::Error),
    /// The proxy did not let us.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// Most often a certificate that one of the two sides does not accept.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// It is another service, or an older version of this one.
    #[error("the server does not speak HTTP/2 the way that is asked for")]
    NotHttp2,
    /// The certificate is good and says nothing.
    #[error("the server's certificate names nobody of this partnership")]
    Identity(#[source] IdentityError),
    /// Another attempt is needed.
    #[error("the certificates were reloaded meanwhile")]
    Reloaded,
    /// Somebody else is there.
    #[error("the server is `{found}`, not `{expected}`")]
    OtherPeer {
        /// Who should be.
        expected: PeerName,
        /// Who is.
        found: PeerName,
    },
}

impl ConnectError {
    /// A stable code, for counters.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotHttps => "not_https",
            Self::Tcp(_) => "no_tcp_connection",
            Self::Proxy(_) => "proxy",
            Self::Tls(_) => "tls_refused",
            Self::NotHttp2 => "not_http2",
            Self::Identity(error) => error.code(),
            Self::Reloaded => "reloaded",
            Self::OtherPeer { .. } => "other_peer",
        }
    }
}

/// A channel to the peer `expected` at `https://host:port`.
///
/// It connects on first use and again when the connection ends. Each time the server's certificate
/// must be valid for the host (DNS or IP name) *and* its one URI name must be `expected`, or no byte
/// of HTTP/2 is sent. Give each call its deadline with [`with_deadline`].
pub fn connect(endpoint: &Endpoint, expected: PeerName, tls: Arc<ClientTls>) -> Channel {
    channel(endpoint, Connector { expected: Arc::new(expected), tls, route: None })
}

/// As [`connect`], to whichever address of `route` answers first, and through its proxy.
pub fn connect_by(route: Route, expected: PeerName, tls: Arc<ClientTls>) -> Channel {
    let endpoint = Endpoint::from(route.first().clone());
    channel(
        &endpoint,
        Connector { expected: Arc::new(expected), tls, route: Some(Arc::new(route)) },
    )
}

fn channel(endpoint: &Endpoint, connector: Connector) -> Channel {
    endpoint
        .clone()
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(HEADERS_MAX_BYTES)
        .connect_with_connector_lazy(connector)
        .into()
}

/// A request with its deadline: at most `limit` from now (at most a day), sent as `grpc-timeout` so
/// that the server stops working on it too.
pub fn with_deadline<T>(message: T, limit: Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(limit.min(DEADLINE_MAX));
    request
}

/// What tonic asks for connections.
#[derive(Clone)]
struct Connector {
    expected: Arc<PeerName>,
    tls: Arc<ClientTls>,
    /// Absent: to the address that tonic asks for.
    route: Option<Arc<Route>>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Cut<TlsStream<TcpStream>>>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { expected, tls, route } = self.clone();
        Box::pin(async move {
            let route = match route {
                Some(route) => Ok(route),
                None => Route::to(&uri).map(Arc::new).map_err(|_| ConnectError::NotHttps),
            };
            let connected = match &route {
                Ok(route) => {
                    let mut connected = tls.dial(route, &expected, Spoken::Http2).await;
                    // No call fails because something was reloaded just then. More often than so, something reloads without end.
                    for _ in 0..RELOADED_AGAIN {
                        if !matches!(connected, Err(ConnectError::Reloaded)) {
                            break;
                        }
                        connected = tls.dial(route, &expected, Spoken::Http2).await;
                    }
                    connected
                }
                Err(_) => Err(ConnectError::NotHttps),
            };
            connected.map(|dialled| TokioIo::new(dialled.stream)).inspect_err(|error| {
                tracing::debug!(peer = %expected, error = error as &dyn std::error::Error, "no connection");
            })
        })
    }
}
