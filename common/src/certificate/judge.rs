//! Whether the other programs of a partnership will accept a certificate: by the same verifier that they use.

use std::{sync::Arc, time::Duration};

use rustls::{
    CertificateError, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    server::WebPkiClientVerifier,
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};

use super::read::{describe, read_chain, read_crls};
use crate::{
    time::Timestamp,
    tls::{TlsFiles, provider},
};

/// Why a certificate would not be accepted. Each has a code, and words for an operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// It is not a certificate.
    #[error("it can not be read as a certificate")]
    Unreadable,
    /// It is not good yet.
    #[error("it is not valid before {0}")]
    NotYetValid(Timestamp),
    /// It is good no longer.
    #[error("it expired at {0}")]
    Expired(Timestamp),
    /// It can not be used in both directions.
    #[error("it may not be used {0}; the authority has to allow both clientAuth and serverAuth")]
    Usage(&'static str),
    /// It does not lead to an authority that is trusted.
    #[error(
        "no authority in `roots` has signed it, and no intermediate certificate in the file leads to one"
    )]
    UnknownAuthority,
    /// It has been revoked.
    #[error("it is on the revocation list")]
    Revoked,
    /// The revocation lists do not cover its issuer, or are out of date.
    #[error(
        "the revocation lists do not say whether it is good: its issuer's list is missing or out of date"
    )]
    RevocationUnknown,
    /// Nobody can connect to it.
    #[error("it names no host: neither a DNS name nor an address")]
    NoHost,
    /// The authorities or lists that are configured can not be used.
    #[error("the authorities or revocation lists can not be used: {0}")]
    Trust(String),
    /// Something else that the verifier says.
    #[error("the verifier refuses it: {0}")]
    Other(String),
}

impl NotAccepted {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable => "certificate_unreadable",
            Self::NotYetValid(_) => "certificate_not_yet_valid",
            Self::Expired(_) => "certificate_expired",
            Self::Usage(_) => "certificate_usage",
            Self::UnknownAuthority => "certificate_unknown_authority",
            Self::Revoked => "certificate_revoked",
            Self::RevocationUnknown => "certificate_revocation_unknown",
            Self::NoHost => "certificate_without_host",
            Self::Trust(_) => "certificate_trust_unusable",
            Self::Other(_) => "certificate_refused",
        }
    }
}

/// Whether others accept `chain`, leaf first, at `now`, when they trust the authorities and lists in `files`.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn judge(
    chain: &[CertificateDer<'static>],
    files: &TlsFiles,
    now: Timestamp,
) -> Result<(), NotAccepted> {
    let (leaf, rest) = chain.split_first().ok_or(NotAccepted::Unreadable)?;
    let described = describe(leaf).ok_or(NotAccepted::Unreadable)?;
    if now < described.valid_from {
        return Err(NotAccepted::NotYetValid(described.valid_from));
    }
    if now >= described.expires {
        return Err(NotAccepted::Expired(described.expires));
    }
    if !described.for_clients {
        return Err(NotAccepted::Usage("to connect to others (clientAuth)"));
    }
    if !described.for_servers {
        return Err(NotAccepted::Usage("to be connected to (serverAuth)"));
    }
    let host = described.hosts.iter().find_map(|host| ServerName::try_from(host.clone()).ok());
    let host = host.ok_or(NotAccepted::NoHost)?;
    let trust = |error: String| NotAccepted::Trust(error);
    let mut roots = RootCertStore::empty();
    for root in read_chain(&files.roots)
        .map_err(|error| trust(format!("{:#}", anyhow::Error::new(error))))?
    {
        roots.add(root).map_err(|error| trust(error.to_string()))?;
    }
    let roots = Arc::new(roots);
    let lists: Vec<CertificateRevocationListDer<'static>> = match &files.crls {
        Some(path) => {
            read_crls(path).map_err(|error| trust(format!("{:#}", anyhow::Error::new(error))))?
        }
        None => Vec::new(),
    };
    let seconds = u64::try_from(now.as_second()).map_err(|_| NotAccepted::Unreadable)?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let mut clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider());
    let mut servers = WebPkiServerVerifier::builder_with_provider(roots, provider());
    if !lists.is_empty() {
        clients = clients.with_crls(lists.clone()).enforce_revocation_expiration();
        servers = servers.with_crls(lists).enforce_revocation_expiration();
    }
    let clients = clients.build().map_err(|error| trust(error.to_string()))?;
    let servers = servers.build().map_err(|error| trust(error.to_string()))?;
    clients
        .verify_client_cert(leaf, rest, time)
        .map_err(|error| why(&error, &described.expires))?;
    servers
        .verify_server_cert(leaf, rest, &host, &[], time)
        .map_err(|error| why(&error, &described.expires))?;
    Ok(())
}

fn why(error: &rustls::Error, expires: &Timestamp) -> NotAccepted {
    let rustls::Error::InvalidCertificate(error) = error else {
        return NotAccepted::Other(error.to_string());
    };
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            NotAccepted::UnknownAuthority
        }
        CertificateError::Revoked => NotAccepted::Revoked,
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => NotAccepted::RevocationUnknown,
        // Of the leaf it was looked at before: this is one above it.
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            NotAccepted::Other(format!("a certificate above it has expired ({error})"))
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            NotAccepted::Usage("in both directions")
        }
        _ => NotAccepted::Other(format!("{error} (it expires at {expires})")),
    }
}
