//! The files that TLS is set up from, and what can be wrong with them.

use std::{
    io::{self, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::RootCertStore;
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject,
};

use crate::{
    keyfile::{self, KeyFileError},
    peer::{IdentityError, PeerName, TrustDomain, name_in_certificate},
    time::Timestamp,
};

/// Paths of PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate, then intermediate ones.
    pub certificate: PathBuf,
    /// Its private key; only its owner may read it.
    pub private_key: PathBuf,
    /// The roots that peers' certificates must chain to.
    pub roots: PathBuf,
    /// Revocation lists. When given, every peer's issuer must have a current one. `None`:
    /// revocation is not checked.
    pub crls: Option<PathBuf>,
}

/// Why TLS can not be set up from files. An operator's matter.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can not be read.
    #[error("can not read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// A file is not the PEM it should be.
    #[error("`{}` holds no {expected} in PEM", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The private key is not private, or can not be read.
    #[error("the private key can not be used")]
    PrivateKey(#[from] KeyFileError),
    /// Our own certificate names nobody of this partnership.
    #[error("our certificate `{}` names nobody of this partnership", path.display())]
    OwnName {
        /// The certificate.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: IdentityError,
    },
    /// rustls refuses the roots or the revocation lists.
    #[error("the roots or revocation lists can not be used")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
    /// rustls refuses the certificate, its key or a root; for example a key of another certificate.
    #[error("the certificates and keys can not be used")]
    Material(#[from] rustls::Error),
}

/// What the files hold.
pub(super) struct Material {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) private_key: PrivateKeyDer<'static>,
    pub(super) roots: Arc<RootCertStore>,
    pub(super) crls: Vec<CertificateRevocationListDer<'static>>,
    pub(super) name: PeerName,
    pub(super) expires: Timestamp,
}

impl Material {
    pub(super) fn read(files: &TlsFiles, trust_domain: &TrustDomain) -> Result<Self, TlsError> {
        let chain: Vec<CertificateDer<'static>> = read_pem(&files.certificate, "certificate")?;
        let own_name = |source| TlsError::OwnName { path: files.certificate.clone(), source };
        let leaf = chain.first().ok_or_else(|| own_name(IdentityError::Unreadable))?;
        let name = name_in_certificate(leaf, trust_domain).map_err(own_name)?;
        let expires = expiry(leaf).ok_or_else(|| own_name(IdentityError::Unreadable))?;
        let mut roots = RootCertStore::empty();
        for root in read_pem(&files.roots, "certificate")? {
            roots.add(root)?;
        }
        let crls = match &files.crls {
            Some(path) => read_pem(path, "revocation list")?,
            None => Vec::new(),
        };
        let key_file = keyfile::open_private(&files.private_key)?;
        let private_key =
            PrivateKeyDer::from_pem_reader(BufReader::new(key_file)).map_err(|_| {
                TlsError::NotPem { path: files.private_key.clone(), expected: "private key" }
            })?;
        Ok(Self { chain, private_key, roots: Arc::new(roots), crls, name, expires })
    }
}

/// Every section of a PEM file; at least one.
pub(super) fn read_pem<T: PemObject>(
    path: &Path,
    expected: &'static str,
) -> Result<Vec<T>, TlsError> {
    let not_pem = || TlsError::NotPem { path: path.to_owned(), expected };
    let text = std::fs::read(path)
        .map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })?;
    let items: Vec<T> =
        T::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(|_| not_pem())?;
    if items.is_empty() { Err(not_pem()) } else { Ok(items) }
}

pub(super) fn expiry(certificate_der: &[u8]) -> Option<Timestamp> {
    use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};
    let (_, certificate) = X509Certificate::from_der(certificate_der).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}
