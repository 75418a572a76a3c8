//! Through an HTTP proxy: a tunnel by CONNECT (RFC 9110, section 9.3.6), inside which TLS is spoken end to end.
//!
//! The proxy learns host and port of the server, and how much passes when. It can cut, and nothing else. What it answers is
//! read up to a bound and never trusted.

use std::{fmt, io, path::Path, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::Uri;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use zeroize::Zeroizing;

/// The longest answer of a proxy, in bytes: as the headers of our own servers.
const ANSWER_MAX_BYTES: usize = 16 * 1024;
/// The most of a proxy's own words that go into a message, in characters.
const REASON_MAX_CHARS: usize = 80;
/// The longest file with credentials, in bytes.
const CREDENTIALS_MAX_BYTES: u64 = 1024;

/// A proxy on the way to a server.
#[derive(Clone)]
pub struct Proxy {
    host: Arc<str>,
    port: u16,
    /// The value of `Proxy-Authorization`.
    credentials: Option<Arc<Zeroizing<String>>>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// Why a proxy can not be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum ProxyConfigError {
    /// Not an address of a proxy.
    #[error(
        "`{0}` is not `http://host:port`; what passes the proxy is encrypted end to end, so it needs no TLS of its own, and \
         credentials stand in a file, not in the address"
    )]
    NotHttp(String),
    /// The file with the credentials.
    #[error("the proxy's credentials in `{path}`: {problem}")]
    Credentials {
        /// The file.
        path: String,
        /// What is wrong with it; nothing of what is in it.
        problem: String,
    },
}

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The proxy is not there.
    #[error("the proxy at {proxy} can not be reached")]
    Unreachable {
        /// Host and port.
        proxy: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It does not make the tunnel.
    #[error("the proxy at {proxy} answered {status}: {reason}{}", advice(*.status))]
    Answered {
        /// Host and port.
        proxy: String,
        /// The status, for example 407.
        status: u16,
        /// The proxy's own words, cut short.
        reason: String,
    },
    /// What it answered is no answer of a proxy.
    #[error("the proxy at {proxy} {problem}; is it an HTTP proxy?")]
    NoAnswer {
        /// Host and port.
        proxy: String,
        /// What is wrong.
        problem: &'static str,
    },
}

const fn advice(status: u16) -> &'static str {
    match status {
        407 => "; it wants credentials: see `proxy_credentials`",
        403 | 405 => "; it does not allow CONNECT to this host and port: ask whoever runs it",
        502..=504 => "; it can not reach the hub",
        _ => "",
    }
}

impl Proxy {
    /// The proxy at `http://host:port`, which is told the credentials in the file, one line `user:password`, if there is one.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// When the address is none, or the file can not be read, can be read by others, or is not such a line.
    pub fn new(address: &str, credentials: Option<&Path>) -> Result<Self, ProxyConfigError> {
        let not_http = || ProxyConfigError::NotHttp(without_credentials(address));
        let uri: Uri = address.parse().map_err(|_| not_http())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let host = authority.map(|authority| authority.host()).filter(|host| !host.is_empty());
        let (Some(host), Some("http"), "/" | "") = (host, uri.scheme_str(), uri.path()) else {
            return Err(not_http());
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let credentials = credentials.map(read_credentials).transpose()?.map(Arc::new);
        Ok(Self { host: host.into(), port: uri.port_u16().unwrap_or(80), credentials })
    }

    /// Host and port, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        host_and_port(&self.host, self.port)
    }

    /// A connection through the proxy to `host` and `port`. Has no deadline of its own.
    pub(super) async fn tunnel(&self, host: &str, port: u16) -> Result<TcpStream, ProxyError> {
        let unreachable = |source| ProxyError::Unreachable { proxy: self.place(), source };
        let mut tcp = TcpStream::connect((&*self.host, self.port)).await.map_err(unreachable)?;
        let to = host_and_port(host, port);
        let mut request = Zeroizing::new(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n"));
        if let Some(credentials) = &self.credentials {
            request.push_str("Proxy-Authorization: ");
            request.push_str(credentials);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        tcp.write_all(request.as_bytes()).await.map_err(unreachable)?;
        let head = self.answer(&mut tcp).await?;
        let (status, reason) =
            status_line(&head).ok_or_else(|| self.no_answer("did not answer in HTTP/1"))?;
        if (200..300).contains(&status) {
            Ok(tcp)
        } else {
            Err(ProxyError::Answered { proxy: self.place(), status, reason })
        }
    }

    /// What the proxy says before the tunnel begins, with the empty line.
    async fn answer(&self, from: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, ProxyError> {
        let mut head = Vec::with_capacity(512);
        let mut chunk = [0; 512];
        loop {
            let n = from
                .read(&mut chunk)
                .await
                .map_err(|source| ProxyError::Unreachable { proxy: self.place(), source })?;
            if n == 0 {
                return Err(self.no_answer("closed the connection without an answer"));
            }
            head.extend_from_slice(chunk.get(..n).unwrap_or_default());
            if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
                let is_good =
                    status_line(&head).is_some_and(|(status, _)| (200..300).contains(&status));
                // In TLS the client speaks first: what comes already is not from the server.
                if is_good && head.len() > end.saturating_add(4) {
                    return Err(self.no_answer("said something after its answer"));
                }
                return Ok(head);
            }
            if head.len() > ANSWER_MAX_BYTES {
                return Err(self.no_answer("answered more than 16 KiB"));
            }
        }
    }

    fn no_answer(&self, problem: &'static str) -> ProxyError {
        ProxyError::NoAnswer { proxy: self.place(), problem }
    }
}

/// The address without what could be a password.
fn without_credentials(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((_, place)) => format!("…@{place}"),
        None => address.to_owned(),
    }
}

fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Status and reason of an answer's first line (RFC 9112, section 4).
fn status_line(head: &[u8]) -> Option<(u16, String)> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let (minor, rest) = rest.split_first()?;
    let (space, rest) = rest.split_first()?;
    if !minor.is_ascii_digit() || *space != b' ' {
        return None;
    }
    let (digits, reason) = rest.split_at_checked(3)?;
    let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let after_status = matches!(reason.first(), None | Some(b' '));
    if !digits.iter().all(u8::is_ascii_digit) || !after_status {
        return None;
    }
    let reason: String = String::from_utf8_lossy(reason)
        .trim()
        .chars()
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .take(REASON_MAX_CHARS)
        .collect();
    Some((status, if reason.is_empty() { "no reason given".to_owned() } else { reason }))
}

/// RFC 7617: `user:password` in base64.
fn read_credentials(path: &Path) -> Result<Zeroizing<String>, ProxyConfigError> {
    use std::os::unix::fs::MetadataExt as _;
    let of = |problem: &str| ProxyConfigError::Credentials {
        path: path.display().to_string(),
        problem: problem.to_owned(),
    };
    let metadata = std::fs::metadata(path).map_err(|error| of(&error.to_string()))?;
    if metadata.mode() & 0o077 != 0 {
        return Err(of("others can read it; run chmod 600 on it"));
    }
    if metadata.len() > CREDENTIALS_MAX_BYTES {
        return Err(of("it is longer than 1024 bytes"));
    }
    let text =
        Zeroizing::new(std::fs::read_to_string(path).map_err(|error| of(&error.to_string()))?);
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let has_user = line.split_once(':').is_some_and(|(user, _)| !user.is_empty());
    if !has_user || line.chars().any(char::is_control) {
        return Err(of("it is not one line `user:password`"));
    }
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(line.as_bytes()));
    Ok(Zeroizing::new(format!("Basic {}", *encoded)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tokio::net::TcpListener;

    use super::*;

    /// A proxy that answers just this, and what it was asked.
    async fn asked_of(
        answer: &'static [u8],
        credentials: Option<&Path>,
    ) -> (Result<TcpStream, ProxyError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Proxy::new(&address, credentials).unwrap();
        let answering = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(tcp.read_u8().await.unwrap());
            }
            // The other side may have seen enough before all of it is out.
            let _ = tcp.write_all(answer).await;
            let _ = tcp.shutdown().await;
            String::from_utf8(asked).unwrap()
        });
        let outcome = proxy.tunnel("hub.example", 7443).await;
        (outcome, answering.await.unwrap())
    }

    #[tokio::test]
    async fn what_is_no_answer_of_a_proxy_is_refused_and_never_read_without_end() {
        let long: &'static [u8] = Vec::leak(
            [b"HTTP/1.1 200 OK\r\n".as_slice(), &b"X-Filler: aaaaaaaaaaaaaaaa\r\n".repeat(40_000)]
                .concat(),
        );
        let cases: [(&'static [u8], &str); 8] = [
            (b"", "without an answer"),
            (b"HTTP/1.1 200 OK\r\n", "without an answer"),
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "did not answer in HTTP/1"),
            (b"HTTP/2 200\r\n\r\n", "did not answer in HTTP/1"),
            (b"HTTP/1.1 20\r\n\r\n", "did not answer in HTTP/1"),
            (b"HTTP/1.1 2000 OK\r\n\r\n", "did not answer in HTTP/1"),
            (b"HTTP/1.1 200 OK\r\n\r\nhello", "said something after its answer"),
            (long, "more than 16 KiB"),
        ];
        for (answer, words) in cases {
            let error = asked_of(answer, None).await.0.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[tokio::test]
    async fn a_refusal_says_who_refused_and_why_and_shows_no_control_characters() {
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n<html>";
        let error = asked_of(answer, None).await.0.unwrap_err().to_string();
        assert!(error.starts_with("the proxy at 127.0.0.1:"), "{error}");
        assert!(
            error.contains("answered 407: Proxy Authentication Required; it wants credentials"),
            "{error}"
        );
        let error = asked_of(b"HTTP/1.0 503 \x1b[31m\xff\n\r\n\r\n", None).await.0.unwrap_err();
        let ProxyError::Answered { status: 503, reason, .. } = error else { panic!("{error}") };
        assert!(reason.chars().all(|c| c.is_ascii_graphic()), "{reason:?}");
    }

    #[tokio::test]
    async fn a_tunnel_is_asked_for_by_name_and_with_the_credentials_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy.secret");
        std::fs::write(&path, "brag:open sesame\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let ok = b"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n";
        let (outcome, asked) = asked_of(ok, Some(&path)).await;
        outcome.unwrap();
        assert_eq!(
            asked,
            "CONNECT hub.example:7443 HTTP/1.1\r\nHost: hub.example:7443\r\nProxy-Authorization: Basic YnJhZzpvcGVuIHNlc2FtZQ==\r\n\r\n"
        );
        assert!(!format!("{:?}", Proxy::new("http://p:1", Some(&path)).unwrap()).contains("YnJh"));
        for (mode, text, words) in [
            (0o640, "a:b\n", "others can read it"),
            (0o600, "a\n", "not one line"),
            (0o600, ":b\n", "not one line"),
            (0o600, "a:b\nc:d\n", "not one line"),
        ] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = Proxy::new("http://p:1", Some(&path)).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_showing_a_password() {
        for bad in ["https://proxy:3128", "proxy:3128", "http://", "http://proxy:3128/path", ""] {
            assert!(Proxy::new(bad, None).is_err(), "{bad}");
        }
        let error = Proxy::new("http://user:secret@proxy:3128", None).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        assert_eq!(Proxy::new("http://[::1]:3128/", None).unwrap().place(), "[::1]:3128");
    }
}
