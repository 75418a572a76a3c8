//! Requests to a sign-in service: one on each connection, over TLS 1.3, with a bound on everything. Redirects are not followed:
//! what a service says comes from the address that it was asked at.

use std::{path::Path, sync::Arc, time::Duration};

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

/// Time for one request, from the look-up of the name to the last byte.
const WITHIN: Duration = Duration::from_secs(10);
/// The longest answer, in bytes: key sets of large services are below 50 KiB.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// The longest head of an answer, in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Requests at one time.
const MAX_AT_ONCE: usize = 16;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("its address is not `https://host[:port]/path`")]
    Address,
    #[error("it can not be reached")]
    Unreachable,
    #[error("its certificate is not accepted, or it does not speak TLS 1.3")]
    Tls,
    #[error("it did not answer as HTTP, or too much")]
    Http,
    #[error("it did not answer within 10 seconds")]
    TooLate,
    #[error("too many requests to it are under way")]
    Busy,
}

/// What a service answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// What requests to a sign-in service need.
pub(super) struct Fetch {
    tls: Arc<ClientConfig>,
    places: Semaphore,
}

impl Fetch {
    /// Accepts services that one of the authorities in `roots` has certified. Blocks on the disk.
    pub(super) fn open(roots: &Path, clock: &SharedClock) -> Result<Self, String> {
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
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: Arc::new(tls), places: Semaphore::new(MAX_AT_ONCE) })
    }

    /// Gets what is at an address.
    pub(super) async fn get(&self, address: &Uri) -> Result<Answer, NoAnswer> {
        self.ask(Method::GET, address, None, String::new()).await
    }

    /// Sends a form.
    pub(super) async fn post(
        &self,
        address: &Uri,
        authorization: Option<HeaderValue>,
        form: String,
    ) -> Result<Answer, NoAnswer> {
        self.ask(Method::POST, address, authorization, form).await
    }

    async fn ask(
        &self,
        method: Method,
        address: &Uri,
        authorization: Option<HeaderValue>,
        form: String,
    ) -> Result<Answer, NoAnswer> {
        let _place = self.places.try_acquire().map_err(|_| NoAnswer::Busy)?;
        let asked = self.ask_in_time(method, address, authorization, form);
        tokio::time::timeout(WITHIN, asked).await.map_err(|_| NoAnswer::TooLate)?
    }

    async fn ask_in_time(
        &self,
        method: Method,
        address: &Uri,
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
            .header(header::ACCEPT, "application/json")
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
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES);
        let body = body.collect().await.map_err(|_| NoAnswer::Http)?.to_bytes();
        Ok(Answer { status, body: Zeroizing::new(body.to_vec()) })
    }
}

/// An address of a service: `https`, with a host, without anything that names a person.
pub(super) fn https(address: &str) -> Option<Uri> {
    let uri: Uri = address.parse().ok()?;
    let authority = uri.authority()?;
    let plain = uri.scheme_str() == Some("https") && !authority.as_str().contains('@');
    (plain && !authority.host().is_empty()).then_some(uri)
}
