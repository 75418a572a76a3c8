//! TLS for browsers, and the loop that accepts them.
//!
//! Everything that a stranger could make grow has a bound: connections, handshakes and headers have deadlines and places. No
//! client certificate is asked for: who somebody is comes from signing in.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{Router, body::Body, extract::Request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use rustls::{ServerConfig, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tower::ServiceExt as _;

use super::{ConsoleConfig, accounts::AccountError, visit::Address};
use crate::durable::StoreError;

/// Browsers at one time; each may have several connections.
const MAX_CONNECTIONS: usize = 1024;
/// Time for one handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Time for the head of a request.
const HEAD: Duration = Duration::from_secs(10);
/// Time that requests under way have when the program stops. Live pages end at once.
const DRAIN: Duration = Duration::from_secs(5);
/// The head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Requests of one connection at one time.
const MAX_STREAMS: u32 = 32;
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
        shutdown: CancellationToken,
    ) -> Result<Self, ConsoleError> {
        let local_addr = listener.local_addr().map_err(ConsoleError::Address)?;
        let task = tokio::spawn(run(listener, Arc::new(tls), router, shutdown));
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
    shutdown: CancellationToken,
) {
    let _reading = AbortOnDropHandle::new(tokio::spawn(Arc::clone(&tls).keep_reading()));
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = Arc::new(GracefulShutdown::new());
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok((tcp, from)) = accepted else {
            // Most often no free file descriptor: others have to end first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let config = tls.current.load_full();
        let (router, watcher) = (router.clone(), graceful.watcher());
        connections.spawn(async move {
            let _place = place;
            connection(tcp, from, config, router, watcher).await;
        });
    }
    drop(listener);
    // All watchers are held by connections now; whoever is still there after the time is cut.
    if let Ok(graceful) = Arc::try_unwrap(graceful) {
        let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
    }
    connections.shutdown().await;
}

/// One browser's connection, to its end.
async fn connection(
    tcp: TcpStream,
    from: SocketAddr,
    config: Arc<ServerConfig>,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let _ = tcp.set_nodelay(true);
    let handshake = tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(tcp)).await;
    let Ok(Ok(stream)) = handshake else { return };
    let service = router.map_request(move |mut request: Request<_>| {
        request.extensions_mut().insert(Address(from));
        request.map(Body::new)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MAX_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(Duration::from_secs(30)));
    let served = builder
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .into_owned();
    // What goes wrong on one connection concerns nobody else.
    let _ = watcher.watch(served).await;
}
