//! The client's side: which server it is, checked twice, and channels to it.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use arc_swap::ArcSwap;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig,
    client::{Resumption, WebPkiServerVerifier},
    time_provider::TimeProvider,
    version::TLS13,
};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

use super::{ALPN_H2, ClockTime, Material, TlsError, TlsFiles, provider};
use crate::{
    peer::{IdentityError, PeerName, TrustDomain, name_in_certificate},
    time::{SharedClock, Timestamp},
};

/// For name resolution, TCP and TLS together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// As the server's, so that either side notices a dead connection within 40 s.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// The most that `grpc-timeout` can say is far more; no call of ours waits longer.
const DEADLINE_MAX: Duration = Duration::from_secs(24 * 3600);

/// The client's side of TLS.
pub struct ClientTls {
    files: TlsFiles,
    trust_domain: TrustDomain,
    clock: SharedClock,
    current: ArcSwap<Current>,
}

struct Current {
    config: Arc<ClientConfig>,
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
        Ok(Arc::new(Self { files, trust_domain, clock, current }))
    }

    /// Reads the files again, for connections made from now on; open ones stay. On error everything
    /// stays as it was. Blocks on the disk.
    ///
    /// # Errors
    /// As [`ClientTls::load`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let next = Current::read(&self.files, &self.trust_domain, &self.clock)?;
        self.current.store(Arc::new(next));
        Ok(())
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

    /// Connects to `uri` and makes sure that `expected` is there. Has no deadline of its own.
    async fn dial(
        &self,
        uri: &Uri,
        expected: &PeerName,
    ) -> Result<TlsStream<TcpStream>, ConnectError> {
        let host = uri.host().ok_or(ConnectError::NotHttps)?;
        if uri.scheme_str() != Some("https") {
            return Err(ConnectError::NotHttps);
        }
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let server_name =
            ServerName::try_from(host.to_owned()).map_err(|_| ConnectError::NotHttps)?;
        let tcp = TcpStream::connect((host, uri.port_u16().unwrap_or(443)))
            .await
            .map_err(ConnectError::Tcp)?;
        tcp.set_nodelay(true).map_err(ConnectError::Tcp)?;
        let connector = TlsConnector::from(Arc::clone(&self.current.load().config));
        let stream = connector.connect(server_name, tcp).await.map_err(ConnectError::Tls)?;
        let (_, session) = stream.get_ref();
        if session.alpn_protocol() != Some(ALPN_H2) {
            return Err(ConnectError::NotHttp2);
        }
        let leaf = session
            .peer_certificates()
            .and_then(|chain| chain.first())
            .ok_or(ConnectError::Identity(IdentityError::Unreadable))?;
        let name = name_in_certificate(leaf, &self.trust_domain).map_err(ConnectError::Identity)?;
        if name == *expected {
            Ok(stream)
        } else {
            Err(ConnectError::OtherPeer { expected: expected.clone(), found: name })
        }
    }
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
            .with_webpki_verifier(verifier)
            .with_client_auth_cert(material.chain, material.private_key)?;
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        // A resumed session would not verify the server's certificate again.
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        Ok(Self { config: Arc::new(config), name: material.name, expires: material.expires })
    }
}

/// Why there is no connection. Callers see it as the source of an `UNAVAILABLE` status.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("the endpoint is not `https://` and a host name or address")]
    NotHttps,
    #[error("no TCP connection")]
    Tcp(#[source] io::Error),
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    #[error("the server does not speak HTTP/2")]
    NotHttp2,
    #[error("the server's certificate names nobody of this partnership")]
    Identity(#[source] IdentityError),
    #[error("the server is `{found}`, not `{expected}`")]
    OtherPeer { expected: PeerName, found: PeerName },
}

/// A channel to the peer `expected` at `https://host:port`.
///
/// It connects on first use and again when the connection ends. Each time the server's certificate
/// must be valid for the host (DNS or IP name) *and* its one URI name must be `expected`, or no byte
/// of HTTP/2 is sent. Give each call its deadline with [`with_deadline`].
pub fn connect(endpoint: &Endpoint, expected: PeerName, tls: Arc<ClientTls>) -> Channel {
    let connector = Connector { expected: Arc::new(expected), tls };
    endpoint
        .clone()
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(connector)
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
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { expected, tls } = self.clone();
        Box::pin(async move {
            let connected = tls.dial(&uri, &expected).await;
            connected.map(TokioIo::new).inspect_err(|error| {
                tracing::debug!(peer = %expected, error = error as &dyn std::error::Error, "no connection");
            })
        })
    }
}
