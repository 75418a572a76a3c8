//! One connection for somebody who looks for a fault: which stage it came to, and what stopped it there.

use std::{io, net::SocketAddr, time::Duration};

use http::Uri;
use rustls::{AlertDescription, CertificateError};
use rustls_pki_types::ServerName;
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::Instant};
use tokio_rustls::TlsConnector;
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::{ALPN_H2, ClientTls, connect, with_deadline};
use crate::{
    peer::{IdentityError, PeerName, name_in_certificate},
    time::Timestamp,
    tls::{NOW_HEADER, VERSION_HEADER, files::expiry},
};

/// For each stage of a connection.
const STAGE: Duration = Duration::from_secs(5);

/// A peer that answers.
#[derive(Debug, Clone)]
pub struct Reached {
    /// Until TCP and TLS were done.
    pub connected: Duration,
    /// From the question to the answer of gRPC health.
    pub answered: Duration,
    /// When its certificate expires.
    pub expires: Option<Timestamp>,
    /// What its clock showed when it answered, where it says so.
    pub now: Option<Timestamp>,
    /// Its version, where it says so.
    pub version: Option<String>,
    /// Whether it says that it serves.
    pub serves: bool,
}

/// Why a peer was not reached, by the stage that failed.
#[derive(Debug, thiserror::Error)]
pub enum Unreached {
    /// The endpoint is none.
    #[error("the endpoint is not `https://host:port`")]
    Endpoint,
    /// The host's name has no address.
    #[error("the name `{host}` does not resolve: {error}")]
    Name {
        /// The host.
        host: String,
        /// What the resolver said.
        error: io::Error,
    },
    /// Nothing listens there.
    #[error("{0} refuses the connection: nothing listens there")]
    Refused(SocketAddr),
    /// Nothing answers.
    #[error("{0} does not answer within {STAGE:?}")]
    TimedOut(&'static str),
    /// TCP fails in another way.
    #[error("no TCP connection to {address}: {error}")]
    Tcp {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// No trusted authority signed its certificate.
    #[error("its certificate is not trusted: none of our authorities has signed it")]
    NotTrusted,
    /// The certificate is for another host.
    #[error("its certificate is not for the host `{0}`")]
    OtherHost(String),
    /// The certificate has expired.
    #[error("its certificate has expired, or our clock is ahead")]
    Expired,
    /// The certificate is not good yet.
    #[error("its certificate is not valid yet, or our clock is behind")]
    NotYetValid,
    /// The certificate was revoked.
    #[error("its certificate has been revoked")]
    Revoked,
    /// Our lists do not say.
    #[error(
        "our revocation lists do not say whether its certificate is good: the list of its issuer is missing or out of date"
    )]
    RevocationUnknown,
    /// The certificate can not be used for this.
    #[error("its certificate can not be used: {0}")]
    Certificate(String),
    /// It speaks something else.
    #[error("it does not speak TLS 1.3 and HTTP/2 as programs of the exchange do: {0}")]
    OtherProtocol(String),
    /// The certificate names nobody of the partnership.
    #[error("its certificate names nobody of this partnership: {0}")]
    Nobody(IdentityError),
    /// Another program is there.
    #[error("it is `{found}`, and should be `{expected}`")]
    OtherPeer {
        /// Who should be there.
        expected: PeerName,
        /// Who is.
        found: PeerName,
    },
    /// It does not accept our certificate.
    #[error("it refuses our certificate: {0}")]
    RefusesUs(String),
    /// The connection stands and the call fails.
    #[error("it is there, and gRPC health answers {0:?}")]
    Health(Code),
}

impl Unreached {
    /// A stable word for the stage.
    #[must_use]
    pub const fn stage(&self) -> &'static str {
        match self {
            Self::Endpoint => "configuration",
            Self::Name { .. } => "name",
            Self::Refused(_) | Self::TimedOut(_) | Self::Tcp { .. } => "tcp",
            Self::NotTrusted
            | Self::OtherHost(_)
            | Self::Expired
            | Self::NotYetValid
            | Self::Revoked
            | Self::RevocationUnknown
            | Self::Certificate(_)
            | Self::OtherProtocol(_)
            | Self::RefusesUs(_) => "tls",
            Self::Nobody(_) | Self::OtherPeer { .. } => "identity",
            Self::Health(_) => "health",
        }
    }

    /// What to do about it, in words for an operator.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Endpoint => "write the address as its operator gave it, with https:// and a port",
            Self::Name { .. } => {
                "correct the host in the endpoint, or this machine's name service (/etc/resolv.conf, /etc/hosts)"
            }
            Self::Refused(_) => {
                "see that the program runs there and listens on that port and address"
            }
            Self::TimedOut(_) | Self::Tcp { .. } => {
                "see that the network and firewalls on both sides let this machine reach that address and port"
            }
            Self::NotTrusted => {
                "compare the authorities in `roots` on both sides: put the partnership's there; if something on the way \
                 opens TLS, take the exchange out of it"
            }
            Self::OtherHost(_) => {
                "use a host that its certificate is good for, or have its operator get a certificate with this one"
            }
            Self::Expired => {
                "compare the clocks; otherwise its operator installs a new certificate"
            }
            Self::NotYetValid => "compare the clocks on both sides with a time server",
            Self::Revoked => {
                "ask its operator and the authority why; nothing is exchanged with it until it has a new certificate"
            }
            Self::RevocationUnknown => "put the authority's newest revocation list in place",
            Self::Certificate(_) => "its operator gets a certificate as docs/certificates.md says",
            Self::OtherProtocol(_) => {
                "see what listens there; a proxy on the way must pass TLS through untouched"
            }
            Self::Nobody(_) | Self::OtherPeer { .. } => {
                "correct the endpoint, or ask its operator which certificate is installed; the agreement says which name counts"
            }
            Self::RefusesUs(_) => {
                "see the subjects certificate and clock here; if both are in order, its operator compares `roots` and `crls` there"
            }
            Self::Health(_) => {
                "its operator looks at the program's messages; it may be starting or at its limits"
            }
        }
    }
}

/// Connects to `expected` at `endpoint` step by step, and asks how it is.
///
/// # Errors
/// The stage that fails.
pub async fn probe(
    endpoint: &str,
    expected: &PeerName,
    tls: &std::sync::Arc<ClientTls>,
) -> Result<Reached, Unreached> {
    let began = Instant::now();
    let uri: Uri = endpoint.parse().map_err(|_| Unreached::Endpoint)?;
    let (Some("https"), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err(Unreached::Endpoint);
    };
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host).to_owned();
    let port = uri.port_u16().unwrap_or(443);
    let tcp = dial(&host, port).await?;
    let expires = handshake(&host, tcp, expected, tls).await?;
    let connected = began.elapsed();

    let asked = Endpoint::from_shared(endpoint.to_owned()).map_err(|_| Unreached::Endpoint)?;
    let mut client =
        HealthClient::new(connect(&asked, expected.clone(), std::sync::Arc::clone(tls)));
    let began = Instant::now();
    let request = with_deadline(HealthCheckRequest::default(), STAGE);
    let answer = client.check(request).await.map_err(|status| Unreached::Health(status.code()))?;
    let answered = began.elapsed();
    let said = |name| answer.metadata().get(name).and_then(|value| value.to_str().ok());
    let now = said(NOW_HEADER).and_then(|text| text.parse().ok());
    let now = now.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let version = said(VERSION_HEADER).filter(|text| text.len() <= 32).map(str::to_owned);
    let serves = answer.get_ref().status() == ServingStatus::Serving;
    Ok(Reached { connected, answered, expires, now, version, serves })
}

/// The first of the host's addresses that takes a connection.
async fn dial(host: &str, port: u16) -> Result<TcpStream, Unreached> {
    let looked_up = tokio::time::timeout(STAGE, tokio::net::lookup_host((host, port))).await;
    let name = |error| Unreached::Name { host: host.to_owned(), error };
    let looked_up = looked_up.map_err(|_| name(io::ErrorKind::TimedOut.into()))?;
    let mut failed = name(io::Error::other("it has no address"));
    for address in looked_up.map_err(name)? {
        failed = match tokio::time::timeout(STAGE, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Unreached::Refused(address)
            }
            Ok(Err(error)) => Unreached::Tcp { address, error },
            Err(_) => Unreached::TimedOut("the address"),
        };
    }
    Err(failed)
}

/// TLS as far as the server's first byte: in TLS 1.3 a client learns only then whether its certificate was accepted. Gives when the
/// server's certificate expires.
async fn handshake(
    host: &str,
    tcp: TcpStream,
    expected: &PeerName,
    tls: &ClientTls,
) -> Result<Option<Timestamp>, Unreached> {
    let server = ServerName::try_from(host.to_owned()).map_err(|_| Unreached::Endpoint)?;
    let config = std::sync::Arc::clone(&tls.current.load().config);
    let connecting = TlsConnector::from(config).connect(server, tcp);
    let connected = tokio::time::timeout(STAGE, connecting).await;
    let connected = connected.map_err(|_| Unreached::TimedOut("TLS"))?;
    let mut stream = connected.map_err(|error| why(&error, host))?;
    let (_, session) = stream.get_ref();
    if session.alpn_protocol() != Some(ALPN_H2) {
        return Err(Unreached::OtherProtocol("it did not choose HTTP/2".to_owned()));
    }
    let leaf = session.peer_certificates().and_then(<[_]>::first).cloned();
    let leaf = leaf.ok_or(Unreached::Nobody(IdentityError::Unreadable))?;
    let found = name_in_certificate(&leaf, &tls.trust_domain).map_err(Unreached::Nobody)?;
    if found != *expected {
        return Err(Unreached::OtherPeer { expected: expected.clone(), found });
    }
    let first = tokio::time::timeout(STAGE, stream.read_u8()).await;
    match first.map_err(|_| Unreached::TimedOut("HTTP/2"))? {
        Ok(_) => Ok(expiry(&leaf)),
        Err(error) => Err(why_refused(&error)),
    }
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn why(error: &io::Error, host: &str) -> Unreached {
    let Some(error) = rustls_error(error) else {
        return Unreached::OtherProtocol(error.to_string());
    };
    let certificate = match error {
        rustls::Error::InvalidCertificate(certificate) => certificate,
        rustls::Error::AlertReceived(alert) => return Unreached::RefusesUs(alert_in_words(*alert)),
        other => return Unreached::OtherProtocol(other.to_string()),
    };
    match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Unreached::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Unreached::NotYetValid
        }
        CertificateError::Revoked => Unreached::Revoked,
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => Unreached::RevocationUnknown,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Unreached::OtherHost(host.to_owned())
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Unreached::NotTrusted,
        other => Unreached::Certificate(other.to_string()),
    }
}

/// After the handshake: what the server says before its first byte is about our certificate.
fn why_refused(error: &io::Error) -> Unreached {
    match rustls_error(error) {
        Some(rustls::Error::AlertReceived(alert)) => Unreached::RefusesUs(alert_in_words(*alert)),
        Some(other) => Unreached::OtherProtocol(other.to_string()),
        None => Unreached::RefusesUs(format!(
            "it ends the connection without a word ({error}), as it does when our certificate names nobody it knows or is denied, or \
             when it is at its limit of connections"
        )),
    }
}

fn alert_in_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateExpired => "expired, by its clock".to_owned(),
        AlertDescription::CertificateRevoked => "revoked".to_owned(),
        AlertDescription::UnknownCA => "signed by no authority that it trusts".to_owned(),
        AlertDescription::CertificateUnknown | AlertDescription::BadCertificate => {
            "it can not verify it".to_owned()
        }
        other => format!("alert {other:?}"),
    }
}
