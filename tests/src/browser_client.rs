//! A browser without a screen: it keeps the session's cookie, sends forms with their secret as a page does, and reads what comes back.
//!
//! It panics where a test would: what fails here is the test.

use std::{net::SocketAddr, path::Path, sync::Arc};

use brag_common::{
    console::accounts,
    id::StaffName,
    time::{SharedClock, Timestamp},
};
use ring::hmac;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// A password of every account of a test.
const PASSWORD: &str = "correct horse battery";

/// One browser at one console.
pub struct Browser {
    address: SocketAddr,
    tls: TlsConnector,
    cookie: String,
    csrf: String,
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browser").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// The page.
    pub body: String,
}

impl Answer {
    /// The value of a header; empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let found = self.head.lines().filter_map(|line| line.split_once(": "));
        found.into_iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// The page as people read it: without tags, with single spaces.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut inside = false;
        for c in self.body.chars() {
            match c {
                '<' => inside = true,
                '>' => {
                    inside = false;
                    text.push(' ');
                }
                c if !inside => text.push(c),
                _ => {}
            }
        }
        unescaped(&text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The error at a field; `None` when there is none.
    #[must_use]
    pub fn error_at(&self, field: &str) -> Option<String> {
        let start = self.body.split_once(&format!("id=\"{field}-error\""))?.1;
        let inner = start.split_once('>')?.1.split_once("</p>")?.0;
        let answer = Self { body: inner.to_owned(), ..self.clone() };
        Some(answer.text())
    }
}

impl Browser {
    /// A browser that trusts the roots in this PEM file, at a console.
    ///
    /// # Panics
    /// When the file is none.
    #[must_use]
    pub fn new(address: SocketAddr, roots: &Path) -> Self {
        let mut trusted = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(roots).unwrap() {
            trusted.add(root.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let tls = TlsConnector::from(Arc::new(config));
        Self { address, tls, cookie: String::new(), csrf: String::new() }
    }

    /// Invites somebody, sets up their account, and signs them in.
    ///
    /// # Panics
    /// When the console does not let them.
    pub async fn sign_in(&mut self, data: &Path, name: &str, clock: &SharedClock) {
        let staff: StaffName = name.parse().unwrap();
        let now = clock.now();
        let (code, _) = accounts::invite(data, &staff, now).unwrap();
        let invited = [("name", name), ("invitation", code.as_str())];
        let page = self.send("/sign-in/set-up", &invited).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let secret = value_of(&page.body, "secret").unwrap();
        let one_time = one_time_code(&secret, now);
        let set_up = [
            ("name", name),
            ("invitation", code.as_str()),
            ("secret", secret.as_str()),
            ("code", one_time.as_str()),
            ("password", PASSWORD),
            ("again", PASSWORD),
        ];
        let answer = self.send("/sign-in/set-up", &set_up).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        let cookie = answer.set_cookie();
        self.cookie = cookie.split(';').next().unwrap().to_owned();
    }

    /// A page.
    pub async fn get(&mut self, path: &str) -> Answer {
        let answer = self.exchange(&format!("GET {path} HTTP/1.1"), "", None).await;
        self.learn(&answer);
        answer
    }

    /// Sends a form, with the secret of the page that was last read.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf.clone();
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend_from_slice(fields);
        self.send(path, &all).await
    }

    /// Sends a form, and reads the page to which the answer leads.
    ///
    /// # Panics
    /// When it leads nowhere.
    pub async fn post_and_follow(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let answer = self.post(path, fields).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        let to = answer.header("location").to_owned();
        self.get(&to).await
    }

    async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let body = body.join("&");
        let answer = self.exchange(&format!("POST {path} HTTP/1.1"), "", Some(body)).await;
        self.learn(&answer);
        answer
    }

    fn learn(&mut self, answer: &Answer) {
        if let Some(csrf) = value_of(&answer.body, "csrf") {
            self.csrf = csrf;
        }
    }

    async fn exchange(&self, first: &str, more: &str, body: Option<String>) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::from(self.address.ip());
        let mut stream = self.tls.connect(name, stream).await.unwrap();
        let mut request = format!(
            "{first}\r\nhost: {0}\r\nconnection: close\r\norigin: https://{0}\r\nsec-fetch-site: same-origin\r\n{more}",
            self.address
        );
        if !self.cookie.is_empty() {
            request.push_str(&format!("cookie: {}\r\n", self.cookie));
        }
        if let Some(body) = &body {
            request.push_str(&format!(
                "content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n",
                body.len()
            ));
        }
        request.push_str("\r\n");
        request.push_str(&body.unwrap_or_default());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        // The server may end the stream without a word of TLS's; what it sent has its length in the head.
        let _ = stream.read_to_end(&mut bytes).await;
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let answer = Answer { status, head: head.to_owned(), body: body.to_owned() };
        let length = answer.header("content-length");
        assert_eq!(length.parse(), Ok(body.len()), "the whole answer came");
        answer
    }
}

impl Answer {
    fn set_cookie(&self) -> &str {
        self.header("set-cookie")
    }
}

/// The value of a hidden field.
fn value_of(body: &str, name: &str) -> Option<String> {
    let rest = body.split_once(&format!("name=\"{name}\" value=\""))?.1;
    Some(unescaped(rest.split_once('"')?.0))
}

/// The six digits of this moment (RFC 6238, SHA-1, thirty seconds).
fn one_time_code(secret: &str, now: Timestamp) -> String {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let secret = BASE64_STANDARD.decode(secret).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
    let step = u64::try_from(now.as_second()).unwrap() / 30;
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let bytes = tag.as_ref();
    let at = usize::from(bytes[19] & 0x0f);
    let four: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn unescaped(text: &str) -> String {
    let mut text = text.to_owned();
    for (code, plain) in [
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ] {
        text = text.replace(code, plain);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_that_of_rfc_6238() {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        let secret = BASE64_STANDARD.encode(b"12345678901234567890");
        let now = Timestamp::from_second(1_111_111_109).unwrap();
        assert_eq!(one_time_code(&secret, now), "081804");
    }

    #[test]
    fn a_page_is_read_as_people_read_it() {
        let body =
            "<p id=\"colour-error\" class=\"x\"><span>Error:</span> Blue &#38; not</p>".to_owned();
        let answer = Answer { status: 422, head: "http/1.1 422\r\nlocation: /x".to_owned(), body };
        assert_eq!(answer.error_at("colour").unwrap(), "Error: Blue & not");
        assert_eq!((answer.error_at("via"), answer.header("location")), (None, "/x"));
    }
}
