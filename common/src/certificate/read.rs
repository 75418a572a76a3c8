//! What stands in certificates and revocation lists.

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, pem::PemObject as _};
use serde::Serialize;
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _,
    revocation_list::CertificateRevocationList,
};

use crate::{peer::Fingerprint, time::Timestamp};

/// The longest PEM file that is read, in bytes: hundreds of certificates, or a list of some ten thousand numbers.
const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Why a file of certificates or lists can not be used.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The file system refused.
    #[error("can not read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// It does not hold what it should.
    #[error("`{}` holds no {expected} in PEM", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
}

/// A certificate in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Described {
    /// Its URI names; a good certificate has one, `spiffe://…`.
    pub names: Vec<String>,
    /// DNS names and addresses under which it can be reached.
    pub hosts: Vec<String>,
    /// Who signed it, as the certificate writes it.
    pub issuer: String,
    /// Its number, in hexadecimal digits.
    pub serial: String,
    /// From when on it is good.
    pub valid_from: Timestamp,
    /// The first instant at which it is not.
    pub expires: Timestamp,
    /// Whether it may be used to connect.
    pub for_clients: bool,
    /// Whether it may be used to be connected to.
    pub for_servers: bool,
    /// SHA-256 of it.
    pub fingerprint: Fingerprint,
}

/// Reads a certificate; `None`: it is none.
#[must_use]
pub fn describe(certificate: &[u8]) -> Option<Described> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let (mut names, mut hosts) = (Vec::new(), Vec::new());
    let alternative = parsed.subject_alternative_name().ok()?;
    for name in alternative.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::URI(uri) => names.push((*uri).to_owned()),
            GeneralName::DNSName(name) => hosts.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => hosts.extend(address(bytes)),
            _ => {}
        }
    }
    let usage = parsed.extended_key_usage().ok()?.map(|usage| usage.value);
    let second = |at: i64| Timestamp::from_second(at).ok();
    Some(Described {
        names,
        hosts,
        issuer: parsed.issuer().to_string(),
        serial: parsed.tbs_certificate.raw_serial_as_string().replace(':', ""),
        valid_from: second(parsed.validity().not_before.timestamp())?,
        expires: second(parsed.validity().not_after.timestamp())?,
        // Without the extension it is good for anything (RFC 5280, section 4.2.1.12).
        for_clients: usage.is_none_or(|usage| usage.any || usage.client_auth),
        for_servers: usage.is_none_or(|usage| usage.any || usage.server_auth),
        fingerprint: Fingerprint::of(certificate),
    })
}

fn address(bytes: &[u8]) -> Option<String> {
    let four: Option<[u8; 4]> = bytes.try_into().ok();
    let sixteen: Option<[u8; 16]> = bytes.try_into().ok();
    let four = four.map(|four| std::net::IpAddr::from(four).to_string());
    four.or_else(|| sixteen.map(|sixteen| std::net::IpAddr::from(sixteen).to_string()))
}

pub(super) fn read_bounded(path: &Path) -> Result<Vec<u8>, Unreadable> {
    let unreadable = |source| Unreadable::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        return Err(unreadable(io::Error::other("longer than 4 MiB")));
    }
    Ok(bytes)
}

/// Every certificate of a PEM file, the leaf first; at least one.
///
/// # Errors
/// When there is none, or the file can not be read.
pub fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Unreadable> {
    let not_pem = || Unreadable::NotPem { path: path.to_owned(), expected: "certificate" };
    let bytes = read_bounded(path)?;
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(|_| not_pem())?;
    if chain.is_empty() { Err(not_pem()) } else { Ok(chain) }
}

/// Every revocation list of a PEM file; at least one.
pub(super) fn read_crls(
    path: &Path,
) -> Result<Vec<CertificateRevocationListDer<'static>>, Unreadable> {
    let not_pem = || Unreadable::NotPem { path: path.to_owned(), expected: "revocation list" };
    let bytes = read_bounded(path)?;
    let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|_| not_pem())?;
    if lists.is_empty() { Err(not_pem()) } else { Ok(lists) }
}

/// Of every revocation list of a PEM file: who issued it, and when the next one is due; a list without such a time is never
/// out of date by itself.
///
/// # Errors
/// When there is none, or the file can not be read.
pub fn read_crl_updates(path: &Path) -> Result<Vec<(String, Option<Timestamp>)>, Unreadable> {
    let not_pem = || Unreadable::NotPem { path: path.to_owned(), expected: "revocation list" };
    let mut updates = Vec::new();
    for list in read_crls(path)? {
        let (_, parsed) =
            CertificateRevocationList::from_der(list.as_ref()).map_err(|_| not_pem())?;
        let next = parsed.next_update().and_then(|at| Timestamp::from_second(at.timestamp()).ok());
        updates.push((parsed.issuer().to_string(), next));
    }
    Ok(updates)
}
