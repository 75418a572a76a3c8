//! As much of a browser as the tests need: HTTPS, cookies with what says where they are sent, no redirects on its own.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use http::{HeaderMap, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::testing::TestCa;

/// Cookies of one host: name, value, and whether they are sent to it from other sites.
pub type Jar = BTreeMap<String, (String, bool)>;

/// A browser of one person.
#[derive(Clone)]
pub struct Browser {
    tls: Arc<ClientConfig>,
    hosts: BTreeMap<String, SocketAddr>,
    cookies: BTreeMap<String, Jar>,
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// An answer.
#[derive(Debug)]
pub struct Got {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its text.
    pub body: String,
}

impl Got {
    /// A header, empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Where it sends the browser.
    #[must_use]
    pub fn location(&self) -> &str {
        self.header("location")
    }

    /// Every cookie that it sets, as it is written.
    #[must_use]
    pub fn cookies(&self) -> Vec<&str> {
        self.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect()
    }
}

impl Browser {
    /// Trusts an authority.
    #[must_use]
    pub fn new(ca: &TestCa) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(ca.root_pem().as_bytes()).unwrap();
        roots.add(root).unwrap();
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { tls: Arc::new(tls), hosts: BTreeMap::new(), cookies: BTreeMap::new() }
    }

    /// Where an origin is.
    pub fn leads(&mut self, origin: &str, address: SocketAddr) {
        let uri: Uri = origin.parse().unwrap();
        self.hosts.insert(uri.host().unwrap().to_owned(), address);
    }

    /// Cookies of an origin.
    pub fn jar(&mut self, origin: &str) -> &mut Jar {
        let uri: Uri = origin.parse().unwrap();
        self.cookies.entry(uri.authority().unwrap().to_string()).or_default()
    }

    /// A TLS connection to an origin.
    pub async fn connect(&self, uri: &Uri) -> TlsStream<TcpStream> {
        let host = uri.host().unwrap();
        let port = uri.port_u16().unwrap_or(443);
        let tcp = match self.hosts.get(host) {
            Some(address) => TcpStream::connect(address).await.unwrap(),
            None => TcpStream::connect((host, port)).await.unwrap(),
        };
        let name = ServerName::try_from(host.to_owned()).unwrap();
        TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await.unwrap()
    }

    /// Gets a page, by a link on a page of the same site.
    pub async fn get(&mut self, url: &str) -> Got {
        let request = Request::get(url).header("sec-fetch-site", "same-origin");
        self.send(request.body(String::new()).unwrap(), false).await
    }

    /// Gets a page, by a link or a redirect from another site.
    pub async fn get_from_elsewhere(&mut self, url: &str) -> Got {
        let request = Request::get(url).header("sec-fetch-site", "cross-site");
        self.send(request.body(String::new()).unwrap(), true).await
    }

    /// Sends a form of a page of the same site.
    pub async fn post(&mut self, url: &str, fields: &[(&str, &str)]) -> Got {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let request = Request::post(url)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(form.finish()).unwrap(), false).await
    }

    /// Sends a request with the cookies of its host; from another site, only with those that are sent then. Keeps the cookies
    /// of the answer.
    pub async fn send(&mut self, mut request: Request<String>, from_elsewhere: bool) -> Got {
        let uri = request.uri().clone();
        let authority = uri.authority().unwrap().to_string();
        let stream = self.connect(&uri).await;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let jar = self.cookies.entry(authority.clone()).or_default();
        let sent: Vec<String> = jar
            .iter()
            .filter(|(_, (_, everywhere))| *everywhere || !from_elsewhere)
            .map(|(name, (value, _))| format!("{name}={value}"))
            .collect();
        let headers = request.headers_mut();
        if !sent.is_empty() {
            headers.insert(header::COOKIE, sent.join("; ").parse().unwrap());
        }
        headers.insert(header::HOST, authority.parse().unwrap());
        *request.uri_mut() = uri.path_and_query().unwrap().as_str().parse().unwrap();
        let is_head = *request.method() == Method::HEAD;
        let answer = sender.send_request(request.map(|body| Full::new(Bytes::from(body)))).await;
        let (parts, body) = answer.unwrap().into_parts();
        let body = if is_head { Bytes::new() } else { body.collect().await.unwrap().to_bytes() };
        let got = Got {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        for cookie in got.cookies() {
            let (pair, flags) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').unwrap();
            let flags = flags.to_ascii_lowercase();
            let gone = flags.contains("max-age=0") || flags.contains("1970");
            if gone || value.is_empty() {
                jar.remove(name);
            } else {
                let everywhere = !flags.contains("samesite=strict");
                jar.insert(name.to_owned(), (value.to_owned(), everywhere));
            }
        }
        got
    }
}
