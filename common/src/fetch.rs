//! Requests to services outside of the partnership (a sign-in service, an agency's own systems): one on each connection, over
//! TLS 1.3, with a bound on everything. Redirects are not followed: what a service says comes from the address that it was asked at.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use http::{HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::ring, time_provider::TimeProvider};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{net::TcpStream, sync::Semaphore};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use zeroize::Zeroizing;

use crate::{time::SharedClock, tls::ClockTime};

/// The longest head of an answer, in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Requests at one time.
const MAX_AT_ONCE: usize = 16;

/// The longest file of a secret, in bytes.
const MAX_SECRET_BYTES: u64 = 16 * 1024;

/// What a request may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Time, from the look-up of the name to the last byte.
    pub within: Duration,
    /// The longest answer, in bytes.
    pub answer_bytes: usize,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The address is not one.
    #[error("its address is not `https://host[:port]/path`")]
    Address,
    /// Nobody is there.
    #[error("it can not be reached")]
    Unreachable,
    /// Whoever is there is not the service.
    #[error("its certificate is not accepted, or it does not speak TLS 1.3")]
    Tls,
    /// The answer is not HTTP, or longer than its bound.
    #[error("it did not answer as HTTP, or too much")]
    Http,
    /// The time ran out.
    #[error("it did not answer within {0} seconds")]
    TooLate(u64),
    /// Too many ask at once.
    #[error("too many requests to it are under way")]
    Busy,
}

/// What a service answered.
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    /// The body.
    pub body: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// What requests to a service need.
pub struct Fetch {
    tls: Arc<ClientConfig>,
    places: Semaphore,
    bounds: Bounds,
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

/// TLS 1.3 to servers that one of the authorities in `roots` (PEM) has certified, for one protocol. Blocks on the disk.
///
/// # Errors
/// When the file holds no authority; the text names the file.
pub fn client_tls(
    roots: &Path,
    clock: &SharedClock,
    protocol: &[u8],
) -> Result<Arc<ClientConfig>, String> {
    let unusable = |problem: String| {
        format!("roots: `{}` is not a usable PEM file: {problem}", roots.display())
    };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(roots)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(error.to_string()))?;
    let mut store = RootCertStore::empty();
    // A bundle of a distribution may hold one that rustls does not take; the others count.
    let (accepted, _) = store.add_parsable_certificates(certificates);
    if accepted == 0 {
        return Err(unusable("it holds no certificate of an authority".to_owned()));
    }
    let time: Arc<dyn TimeProvider> = Arc::new(ClockTime(Arc::clone(clock)));
    let provider = Arc::new(ring::default_provider());
    let mut tls = ClientConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?
        .with_root_certificates(store)
        .with_no_client_auth();
    tls.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(tls))
}

/// Reads a secret of one line from a file that nobody else can read.
///
/// # Errors
/// What is wrong with the file, by its name.
pub fn read_secret_file(path: &Path) -> Result<Zeroizing<String>, String> {
    use std::os::unix::fs::MetadataExt as _;
    let of = |problem: String| format!("`{}`: {problem}", path.display());
    let metadata = std::fs::metadata(path).map_err(|error| of(error.to_string()))?;
    if metadata.mode() & 0o077 != 0 {
        return Err(of("others can read it; run chmod 600 on it".to_owned()));
    }
    if metadata.len() > MAX_SECRET_BYTES {
        return Err(of(format!("it is longer than {MAX_SECRET_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| of(error.to_string()))?;
    let text = Zeroizing::new(text);
    let secret = text.trim();
    if secret.is_empty() || secret.chars().any(char::is_control) {
        return Err(of("it is not one line with a secret".to_owned()));
    }
    Ok(Zeroizing::new(secret.to_owned()))
}

impl Fetch {
    /// Accepts services that one of the authorities in `roots` has certified. Blocks on the disk.
    ///
    /// # Errors
    /// When the file holds no authority.
    pub fn open(roots: &Path, clock: &SharedClock, bounds: Bounds) -> Result<Self, String> {
        let tls = client_tls(roots, clock, b"http/1.1")?;
        Ok(Self { tls, places: Semaphore::new(MAX_AT_ONCE), bounds })
    }

    /// Gets what is at an address, as `accept`.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(
        &self,
        address: &Uri,
        accept: &'static str,
        authorization: Option<HeaderValue>,
    ) -> Result<Answer, NoAnswer> {
        self.ask(Method::GET, address, accept, authorization, String::new()).await
    }

    /// Sends a form.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn post(
        &self,
        address: &Uri,
        authorization: Option<HeaderValue>,
        form: String,
    ) -> Result<Answer, NoAnswer> {
        self.ask(Method::POST, address, "application/json", authorization, form).await
    }

    async fn ask(
        &self,
        method: Method,
        address: &Uri,
        accept: &'static str,
        authorization: Option<HeaderValue>,
        form: String,
    ) -> Result<Answer, NoAnswer> {
        let _place = self.places.try_acquire().map_err(|_| NoAnswer::Busy)?;
        let asked = self.ask_in_time(method, address, accept, authorization, form);
        let within = self.bounds.within;
        let too_late = |_| NoAnswer::TooLate(within.as_secs());
        tokio::time::timeout(within, asked).await.map_err(too_late)?
    }

    async fn ask_in_time(
        &self,
        method: Method,
        address: &Uri,
        accept: &'static str,
        authorization: Option<HeaderValue>,
        form: String,
    ) -> Result<Answer, NoAnswer> {
        let authority = address.authority().ok_or(NoAnswer::Address)?;
        // An address of IP version 6 stands in brackets.
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(443);
        let name = ServerName::try_from(host.clone()).map_err(|_| NoAnswer::Address)?;
        let tcp = TcpStream::connect((host, port)).await.map_err(|_| NoAnswer::Unreachable)?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector.connect(name, tcp).await.map_err(|_| NoAnswer::Tls)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| NoAnswer::Http)?;
        // It ends with the answer, or when nobody waits for it any more.
        let _driven = AbortOnDropHandle::new(tokio::spawn(async move { _ = connection.await }));
        let path = address.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder()
            .method(&method)
            .uri(path)
            .header(header::HOST, authority.as_str())
            .header(header::ACCEPT, accept)
            .header(header::CONNECTION, "close");
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        if let Some(mut value) = authorization {
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        let request = request.body(Full::new(Bytes::from(form))).map_err(|_| NoAnswer::Address)?;
        let answer = sender.send_request(request).await.map_err(|_| NoAnswer::Http)?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), self.bounds.answer_bytes);
        let body = body.collect().await.map_err(|_| NoAnswer::Http)?.to_bytes();
        Ok(Answer { status, body: Zeroizing::new(body.to_vec()) })
    }
}

/// An address of a service: `https`, with a host, without anything that names a person.
#[must_use]
pub fn https(address: &str) -> Option<Uri> {
    let uri: Uri = address.parse().ok()?;
    let authority = uri.authority()?;
    let plain = uri.scheme_str() == Some("https") && !authority.as_str().contains('@');
    (plain && !authority.host().is_empty()).then_some(uri)
}
