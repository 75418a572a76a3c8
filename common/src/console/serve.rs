//! TLS for browsers, and the loop that accepts them.
//!
//! Everything that a stranger could make grow has a bound, in [`LIMITS`]. No
//! client certificate is asked for: who somebody is comes from signing in.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::Router;
use rustls::{ServerConfig, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{ConsoleConfig, accounts::AccountError};
use crate::{
    durable::StoreError,
    serve::{Places, Version, WebLimits, accept},
};

/// What strangers may take of a console, before anything is known of them.
pub(super) const LIMITS: WebLimits = WebLimits {
    // Each browser may have several.
    connections: 1024,
    // An office behind one address: forty browsers with six connections each.
    connections_per_source: 256,
    // A quarter of those whose answers are made at one time.
    requests_per_source: 32,
    handshake: Duration::from_secs(5),
    head: Duration::from_secs(10),
    body: Duration::from_secs(20),
    // A live page connects again by itself.
    age: Duration::from_secs(3600),
    grace: Duration::from_secs(60),
    head_bytes: 16 * 1024,
    streams: 32,
};
/// Time that requests under way have when the program stops. Live pages end at once.
const DRAIN: Duration = Duration::from_secs(5);
/// How often the certificate's files are read again.
const REREAD: Duration = Duration::from_secs(3600);

/// Why a console can not be served.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// A file of the certificate can not be used.
    #[error("[console] `{}` is not a usable PEM file: {problem}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The table of the sign-in service can not be used.
    #[error("[console.sign_in_service] {0}")]
    SignInService(String),
    /// There is no way to sign in.
    #[error(
        "[console] accounts = false, and there is no [console.sign_in_service]: nobody could sign in"
    )]
    NobodySignsIn,
    /// The address can not be listened on.
    #[error("[console] can not listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The listener has no address.
    #[error("the listener has no address")]
    Address(#[source] io::Error),
    /// The accounts can not be opened.
    #[error("the console's accounts can not be opened")]
    Accounts(#[source] AccountError),
    /// The sessions can not be read.
    #[error("the console's sessions can not be read")]
    Store(#[source] StoreError),
}

pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener, ConsoleError> {
    TcpListener::bind(address).await.map_err(|source| ConsoleError::Listen { address, source })
}

/// The certificate for browsers.
pub(super) struct BrowserTls {
    certificate: PathBuf,
    private_key: PathBuf,
    current: ArcSwap<ServerConfig>,
}

impl BrowserTls {
    pub(super) fn load(config: &ConsoleConfig) -> Result<Self, ConsoleError> {
        let certificate = config.certificate.as_path().to_owned();
        let private_key = config.private_key.as_path().to_owned();
        let current = read(&certificate, &private_key)?;
        Ok(Self { certificate, private_key, current: ArcSwap::new(current) })
    }

    /// Takes up a renewed certificate; one that can not be used changes nothing.
    async fn keep_reading(self: Arc<Self>) {
        loop {
            tokio::time::sleep(REREAD).await;
            let tls = Arc::clone(&self);
            let read = move || read(&tls.certificate, &tls.private_key);
            match tokio::task::spawn_blocking(read).await {
                Ok(Ok(renewed)) => self.current.store(renewed),
                Ok(Err(error)) => tracing::warn!(%error, "the former certificate is kept"),
                Err(_) => return,
            }
        }
    }
}

fn read(certificate: &Path, private_key: &Path) -> Result<Arc<ServerConfig>, ConsoleError> {
    let unusable =
        |path: &Path, problem: String| ConsoleError::Certificate { path: path.to_owned(), problem };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(certificate, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(private_key)
        .map_err(|error| unusable(private_key, error.to_string()))?;
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| unusable(certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| unusable(certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A running console. Dropping it stops it at once.
#[derive(Debug)]
pub struct Serving {
    local_addr: SocketAddr,
    task: AbortOnDropHandle<()>,
}

impl Serving {
    pub(super) fn start(
        listener: TcpListener,
        tls: BrowserTls,
        router: Router,
        limits: WebLimits,
        shutdown: CancellationToken,
    ) -> Result<Self, ConsoleError> {
        let local_addr = listener.local_addr().map_err(ConsoleError::Address)?;
        let task = tokio::spawn(run(listener, Arc::new(tls), router, limits, shutdown));
        Ok(Self { local_addr, task: AbortOnDropHandle::new(task) })
    }

    /// Where browsers reach it.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Waits until it has ended after `shutdown`.
    pub async fn ended(self) {
        if self.task.await.is_err() {
            tracing::error!("the console stopped by a defect");
        }
    }
}

async fn run(
    listener: TcpListener,
    tls: Arc<BrowserTls>,
    router: Router,
    limits: WebLimits,
    shutdown: CancellationToken,
) {
    let _reading = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&tls).keep_reading()));
    let places = Places::new(limits);
    let serve = |tcp, from| {
        let config = tls.current.load_full();
        let (router, places, shutdown) = (router.clone(), places.clone(), shutdown.clone());
        async move { connection(tcp, from, config, router, &places, shutdown).await }
    };
    accept(listener, &places, DRAIN, &shutdown, serve).await;
}

/// One browser's connection, to its end.
async fn connection(
    tcp: TcpStream,
    from: SocketAddr,
    config: Arc<ServerConfig>,
    router: Router,
    places: &Places,
    shutdown: CancellationToken,
) {
    let _ = tcp.set_nodelay(true);
    let accepting = TlsAcceptor::from(config).accept(tcp);
    let Ok(Ok(stream)) = tokio::time::timeout(places.limits().handshake, accepting).await else {
        return;
    };
    let version = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Version::Two,
        Some(_) | None => Version::One,
    };
    places.serve(stream, from, version, router, shutdown).await;
}
