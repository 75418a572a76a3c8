//! A request for a certificate: a new key, and what the authority is to sign for it (PKCS #10, RFC 2986).
//!
//! The new key lies beside the one in use, as `<key>.next`, until a certificate for it is installed. Asking again makes another key
//! and forgets the one before: no certificate was installed for it.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, SanType,
};
use zeroize::Zeroizing;

use crate::{durable::dirs, peer::PeerName};

/// The most hosts that one program is reached under.
const HOSTS_MAX: usize = 32;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whose certificate it is to be: its one URI name.
    pub name: PeerName,
    /// DNS names and addresses under which others reach the program.
    pub hosts: Vec<String>,
}

impl Request {
    /// Whether it can be written, before anything is.
    ///
    /// # Errors
    /// When there is no host, there are too many, or one is none.
    pub fn check(&self) -> Result<(), RequestError> {
        if self.hosts.is_empty() || self.hosts.len() > HOSTS_MAX {
            return Err(RequestError::NoHost);
        }
        self.hosts.iter().try_for_each(|host| alternative(host).map(drop))
    }
}

/// Why nothing was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// A host is neither a DNS name nor an address.
    #[error(
        "`{0}` is neither a DNS name nor an address; write it as others do in `https://HOST:PORT`, without port"
    )]
    Host(String),
    /// Nobody could connect to it.
    #[error("name the hosts, at least one and at most 32, under which others reach this program")]
    NoHost,
    /// No key can be made.
    #[error("no key can be made: {0}")]
    Key(String),
    /// There is a key already where the first one was to be written.
    #[error("`{}` exists and is not overwritten", .0.display())]
    Exists(PathBuf),
    /// The file system refused.
    #[error("can not write `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
}

/// The name of this machine, where it can be a host in a certificate; otherwise `localhost`. A first guess, for a request that an
/// operator can make anew.
#[must_use]
pub fn this_host() -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_str().unwrap_or_default().to_ascii_lowercase();
    if rustls_pki_types::DnsName::try_from(name.as_str()).is_ok() {
        name
    } else {
        "localhost".to_owned()
    }
}

/// Where the next key waits for its certificate.
#[must_use]
pub fn next_key(private_key: &Path) -> PathBuf {
    let mut name = private_key.as_os_str().to_owned();
    name.push(".next");
    PathBuf::from(name)
}

/// Where the request is written: beside the key, as `<key>.csr` with the key's extension taken off.
#[must_use]
pub fn request_path(private_key: &Path) -> PathBuf {
    private_key.with_extension("csr")
}

/// Makes a new key beside the one in use, and the request for it. Returns the request's path.
///
/// # Errors
/// When a host is none, no key can be made, or the file system refuses.
pub fn write(request: &Request, private_key: &Path) -> Result<PathBuf, RequestError> {
    let (key, text) = make(request)?;
    let next = next_key(private_key);
    let failed = |path: &Path, source| RequestError::Io { path: path.to_owned(), source };
    // Order matters: a request is never there without the key that it is for.
    dirs::replace(&next, key.as_bytes(), 0o600).map_err(|source| failed(&next, source))?;
    let path = request_path(private_key);
    dirs::replace(&path, text.as_bytes(), 0o644).map_err(|source| failed(&path, source))?;
    Ok(path)
}

/// Makes the first key, at its own place, and the request for it. Returns the request's path.
///
/// # Errors
/// As [`write()`], and when there is a key already.
pub fn write_first(request: &Request, private_key: &Path) -> Result<PathBuf, RequestError> {
    let (key, text) = make(request)?;
    let failed = |path: &Path, source| RequestError::Io { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o600).open(private_key);
    let mut file = match opened {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(RequestError::Exists(private_key.to_owned()));
        }
        opened => opened.map_err(|source| failed(private_key, source))?,
    };
    file.write_all(key.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| dirs::sync_dir(dirs::parent_of(private_key)))
        .map_err(|source| failed(private_key, source))?;
    let path = request_path(private_key);
    dirs::replace(&path, text.as_bytes(), 0o644).map_err(|source| failed(&path, source))?;
    Ok(path)
}

/// Takes away what waited, once its certificate is installed. What is not there is no error.
pub(super) fn forget(private_key: &Path) -> io::Result<()> {
    for path in [next_key(private_key), request_path(private_key)] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    dirs::sync_dir(dirs::parent_of(private_key))
}

/// A key (PKCS #8) and a request for it, both in PEM. The key is ECDSA on P-256, from the system's randomness.
fn make(request: &Request) -> Result<(Zeroizing<String>, String), RequestError> {
    request.check()?;
    let failed = |error: rcgen::Error| RequestError::Key(error.to_string());
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    // For people who look at a list of certificates; nobody decides by it.
    subject.push(DnType::CommonName, request.name.to_string());
    params.distinguished_name = subject;
    let uri = request.name.to_string().try_into().map_err(failed)?;
    params.subject_alt_names.push(SanType::URI(uri));
    for host in &request.hosts {
        params.subject_alt_names.push(alternative(host)?);
    }
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(failed)?;
    let text = params.serialize_request(&key).and_then(|made| made.pem()).map_err(failed)?;
    Ok((Zeroizing::new(key.serialize_pem()), text))
}

fn alternative(host: &str) -> Result<SanType, RequestError> {
    let none = || RequestError::Host(host.to_owned());
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    // As TLS compares names: a name that it would not take can not be connected to.
    rustls_pki_types::DnsName::try_from(host).map_err(|_| none())?;
    Ok(SanType::DnsName(host.try_into().map_err(|_| none())?))
}
