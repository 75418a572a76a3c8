//! Mutual TLS 1.3 between the programs of a partnership.
//!
//! Provider, version and verifier are named here and nowhere else: rustls with ring, TLS 1.3 only,
//! both sides with a certificate, revocation lists enforced when given, no resumption and no early
//! data, so that every connection verifies the other side's certificate anew. After the handshake and
//! before any HTTP/2 the one URI name of the certificate becomes a [`VerifiedPeer`] or the connection
//! ends. The authority must not use URI name constraints: webpki rejects them outright.
//!
//! Everything reloads from the files without a restart; see [`ServerTls::reload`].

mod client;
mod cut;
mod files;
mod gate;
mod plain;
mod proxy;
mod route;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::BTreeSet,
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    time_provider::TimeProvider,
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::{net::TcpStream, sync::watch};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::Status;

use self::files::Material;
pub(crate) use self::{
    client::{CONNECT_TIMEOUT, HEADERS_MAX_BYTES, never_taken},
    cut::Cut,
    gate::Gate,
};
pub use self::{
    client::{
        Channel, ClientTls, ConnectError, Reached, Unreached, connect, connect_by, probe,
        with_deadline,
    },
    files::{TlsError, TlsFiles},
    plain::plain_client,
    proxy::{Proxy, ProxyConfigError, ProxyError},
    route::{Route, RouteError},
};
use crate::{
    peer::{Fingerprint, IdentityError, PeerName, TrustDomain, VerifiedPeer, name_in_certificate},
    time::{SharedClock, Timestamp},
};

/// The protocol spoken over TLS (RFC 9113, section 3.2).
const ALPN_H2: &[u8] = b"h2";

/// The same with its roles reversed: whoever dialled serves. See [`standing`](crate::standing).
const ALPN_DIAL_OUT: &[u8] = b"brag-dial-out/1";

/// What is spoken on a connection after its handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// HTTP/2, whoever accepted serves.
    Http2,
    /// One octet by whoever accepted, then HTTP/2, whoever dialled serves.
    DialOut,
}

impl Spoken {
    /// By the protocol that both sides have agreed on.
    fn of(agreed: Option<&[u8]>) -> Option<Self> {
        match agreed {
            Some(ALPN_H2) => Some(Self::Http2),
            Some(ALPN_DIAL_OUT) => Some(Self::DialOut),
            Some(_) | None => None,
        }
    }

    /// Its name in the handshake.
    const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http2 => ALPN_H2,
            Self::DialOut => ALPN_DIAL_OUT,
        }
    }
}

/// How long a certificate that was found good on an open connection stays so without another look.
const RECHECK_AFTER: Duration = Duration::from_secs(60);

/// What a program's clock shows, in milliseconds since 1970, beside its answer to gRPC health: for a doctor on the other side.
pub(crate) const NOW_HEADER: &str = "brag-now-unix-ms";
/// The program's version, likewise.
pub(crate) const VERSION_HEADER: &str = "brag-version";

/// How long a connection of a peer that is no longer accepted is kept: its next request is told why it is refused.
const REFUSED_LINGERS: Duration = Duration::from_secs(5);

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The project's clock, as rustls reads it.
#[derive(Debug)]
pub(crate) struct ClockTime(pub(crate) SharedClock);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// One reading of the files, and the certificates denied by name.
struct Generation {
    number: u64,
    config: Arc<ServerConfig>,
    verifier: Arc<dyn ClientCertVerifier>,
    denied: Arc<BTreeSet<Fingerprint>>,
    name: PeerName,
    expires: Timestamp,
}

/// The server's side of TLS.
pub struct ServerTls {
    files: TlsFiles,
    trust_domain: TrustDomain,
    clock: SharedClock,
    current: ArcSwap<Generation>,
    /// Guards the making of the next generation, so that none is lost.
    changing: Mutex<()>,
    /// Tells open connections that there is another generation.
    changed: watch::Sender<u64>,
}

impl ServerTls {
    /// Reads the files. Blocks on the disk, and parses what came from elsewhere: not for a thread
    /// that serves.
    ///
    /// # Errors
    /// When a file can not be read or used; the message says which.
    pub fn load(
        files: TlsFiles,
        trust_domain: TrustDomain,
        clock: SharedClock,
    ) -> Result<Arc<Self>, TlsError> {
        let first = Generation::read(&files, &trust_domain, &clock, 1, Arc::default())?;
        Ok(Arc::new(Self {
            files,
            trust_domain,
            clock,
            current: ArcSwap::from_pointee(first),
            changing: Mutex::new(()),
            changed: watch::Sender::new(1),
        }))
    }

    /// Reads the files again. New connections see the new certificate, roots and lists; the next
    /// request on an open connection is refused if they no longer accept its certificate, and the
    /// connection ends within seconds. On error everything stays as it was. Blocks, as [`ServerTls::load`].
    ///
    /// # Errors
    /// As [`ServerTls::load`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.current.load_full();
        let denied = Arc::clone(&old.denied);
        let next =
            Generation::read(&self.files, &self.trust_domain, &self.clock, old.number + 1, denied)?;
        self.current.store(Arc::new(next));
        self.changed.send_replace(old.number + 1);
        Ok(())
    }

    /// From now on denies exactly these certificates: their next request on an open connection, and
    /// every new connection. Needs no revocation list, and survives [`ServerTls::reload`].
    pub fn set_denied(&self, denied: BTreeSet<Fingerprint>) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.current.load_full();
        self.current.store(Arc::new(Generation {
            number: old.number + 1,
            config: Arc::clone(&old.config),
            verifier: Arc::clone(&old.verifier),
            denied: Arc::new(denied),
            name: old.name.clone(),
            expires: old.expires,
        }));
        self.changed.send_replace(old.number + 1);
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

    /// Why nobody accepts our own certificate: it has expired. In words for an operator.
    #[must_use]
    pub fn expired(&self) -> Option<String> {
        let expires = self.expires();
        (expires <= self.clock.now())
            .then(|| format!("the program's own certificate expired at {expires}"))
    }

    /// Our clock.
    pub(crate) fn clock(&self) -> SharedClock {
        Arc::clone(&self.clock)
    }

    /// The partnership whose members may connect.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Completes the server's side of a handshake. Has no deadline of its own.
    ///
    /// # Errors
    /// Unless the peer has an accepted certificate that names it, and speaks HTTP/2, one way or the other.
    pub(crate) async fn accept(
        self: &Arc<Self>,
        tcp: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, Caller, Spoken), HandshakeError> {
        let config = Arc::clone(&self.current.load().config);
        let stream =
            TlsAcceptor::from(config).accept(tcp).await.map_err(HandshakeError::Refused)?;
        let (_, session) = stream.get_ref();
        let spoken = Spoken::of(session.alpn_protocol()).ok_or(HandshakeError::NotHttp2)?;
        let chain = session.peer_certificates().unwrap_or_default().to_vec();
        let caller = self.caller(chain.into())?;
        Ok((stream, caller, spoken))
    }

    /// Whoever has proved in a handshake to hold this chain of certificates.
    ///
    /// # Errors
    /// Unless the certificate names a peer of the partnership, and is good for one who calls.
    pub(crate) fn caller(
        self: &Arc<Self>,
        chain: Arc<[CertificateDer<'static>]>,
    ) -> Result<Caller, HandshakeError> {
        let leaf = chain.first().ok_or(IdentityError::Unreadable)?;
        let name = name_in_certificate(leaf, &self.trust_domain)?;
        let caller = Caller(Standing::Certificate(Arc::new(ByCertificate {
            peer: VerifiedPeer::assertion(name),
            fingerprint: Fingerprint::of(leaf),
            chain,
            tls: Arc::clone(self),
            // Generation 0 is none: the lists may have changed during the handshake.
            last: Mutex::new(Look { generation: 0, at: Timestamp::MIN, good: false }),
        })));
        if caller.is_trusted() { Ok(caller) } else { Err(HandshakeError::Denied) }
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Generation {
    fn read(
        files: &TlsFiles,
        trust_domain: &TrustDomain,
        clock: &SharedClock,
        number: u64,
        denied: Arc<BTreeSet<Fingerprint>>,
    ) -> Result<Self, TlsError> {
        let material = Material::read(files, trust_domain)?;
        let mut verifier = WebPkiClientVerifier::builder_with_provider(material.roots, provider());
        if !material.crls.is_empty() {
            verifier = verifier.with_crls(material.crls).enforce_revocation_expiration();
        }
        let verifier = verifier.build().map_err(TlsError::Verifier)?;
        let time: Arc<dyn TimeProvider> = Arc::new(ClockTime(Arc::clone(clock)));
        let mut config = ServerConfig::builder_with_details(provider(), time)
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_single_cert(material.chain, material.private_key)?;
        config.alpn_protocols = vec![ALPN_H2.to_vec(), ALPN_DIAL_OUT.to_vec()];
        // A resumed session would not verify the client's certificate again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        let config = Arc::new(config);
        Ok(Self {
            number,
            config,
            verifier,
            denied,
            name: material.name,
            expires: material.expires,
        })
    }
}

/// Why a connection ended before its first request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// The TLS handshake failed; most often the peer's certificate was refused.
    #[error("the TLS handshake failed")]
    Refused(#[source] io::Error),
    /// The peer offered no protocol that is spoken here.
    #[error("the peer does not speak HTTP/2")]
    NotHttp2,
    /// The certificate names nobody.
    #[error("the certificate names nobody of this partnership")]
    Identity(#[from] IdentityError),
    /// The certificate is on the list of denied ones.
    #[error("the certificate is denied")]
    Denied,
}

impl HandshakeError {
    /// Every [`code`](Self::code).
    pub(crate) const CODES: &[&str] = &[
        "tls_refused",
        "not_http2",
        "certificate_denied",
        "certificate_unreadable",
        "certificate_is_authority",
        "certificate_without_name",
        "certificate_with_several_names",
        "certificate_name_invalid",
        "certificate_of_other_domain",
    ];

    /// A stable code, for counters.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "tls_refused",
            Self::NotHttp2 => "not_http2",
            Self::Identity(error) => error.code(),
            Self::Denied => "certificate_denied",
        }
    }
}

/// Who makes a request, in the extensions of it: the peer at the other end of a connection, or somebody who has signed in at the
/// program's console.
#[derive(Clone)]
pub struct Caller(Standing);

#[derive(Clone)]
enum Standing {
    /// By the certificate of the connection.
    Certificate(Arc<ByCertificate>),
    /// By a session of the console, for as long as it stands.
    Session(Arc<VerifiedPeer>, Arc<dyn Fn() -> bool + Send + Sync>),
}

struct ByCertificate {
    peer: VerifiedPeer,
    fingerprint: Fingerprint,
    chain: Arc<[CertificateDer<'static>]>,
    tls: Arc<ServerTls>,
    last: Mutex<Look>,
}

/// What the last look at a certificate found.
struct Look {
    generation: u64,
    at: Timestamp,
    good: bool,
}

impl Caller {
    /// Who it is.
    #[must_use]
    pub fn peer(&self) -> &VerifiedPeer {
        match &self.0 {
            Standing::Certificate(by) => &by.peer,
            Standing::Session(peer, _) => peer,
        }
    }

    /// Somebody who has signed in at the console, while `stands` says so.
    pub(crate) fn signed_in(name: PeerName, stands: Arc<dyn Fn() -> bool + Send + Sync>) -> Self {
        Self(Standing::Session(Arc::new(VerifiedPeer::assertion(name)), stands))
    }

    /// Whether the session stands, or the certificate is accepted now: not denied, not revoked, not expired, and chaining to
    /// a current root. Every request is checked before its handler; a handler that keeps a stream
    /// open asks again. Looks at the certificate only when something was reloaded or a minute passed.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        let ByCertificate { fingerprint, chain, tls, last, .. } = match &self.0 {
            Standing::Certificate(by) => &**by,
            Standing::Session(_, stands) => return stands(),
        };
        let current = tls.current.load();
        let now = tls.clock.now();
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back counts as time passed.
        let recent = last.at <= now && now.duration_since(last.at).unsigned_abs() < RECHECK_AFTER;
        if last.generation != current.number || !recent {
            let good = !current.denied.contains(fingerprint)
                && ClockTime(Arc::clone(&tls.clock)).current_time().is_some_and(|time| {
                    chain.split_first().is_some_and(|(leaf, rest)| {
                        current.verifier.verify_client_cert(leaf, rest, time).is_ok()
                    })
                });
            *last = Look { generation: current.number, at: now, good };
        }
        last.good
    }

    /// Waits until the certificate is no longer accepted, and a little longer, so that the peer's next request can be told. It is
    /// looked at when something is reloaded, and each minute for what time alone changes. Never ends for a session.
    pub(crate) async fn no_longer_trusted(self) {
        let Standing::Certificate(by) = &self.0 else { return std::future::pending().await };
        let mut changed = by.tls.changed.subscribe();
        while self.is_trusted() {
            // An error would mean that the server is gone, and this connection with it.
            let _ = tokio::time::timeout(RECHECK_AFTER, changed.changed()).await;
        }
        tokio::time::sleep(REFUSED_LINGERS).await;
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({})", self.peer().name())
    }
}

/// Who sent a request.
///
/// # Errors
/// `UNAUTHENTICATED` when the request did not come through [`crate::serve`].
pub fn peer_of<T>(request: &tonic::Request<T>) -> Result<&VerifiedPeer, Status> {
    request
        .extensions()
        .get::<Caller>()
        .map(Caller::peer)
        .ok_or_else(|| Status::unauthenticated("no verified certificate"))
}
