//! How a person's command reaches a program: where it listens, who it must be, and the certificate the
//! person holds.

use std::path::Path;

use serde::Deserialize;

use crate::{
    config::{self, ConfigError, ConfigPath},
    peer::PeerName,
    tls::TlsFiles,
};

/// A profile file. Keys: `endpoint`, `server`, and the table `[tls]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// `https://host:port`; host is an address or a name in the server's certificate.
    pub endpoint: String,
    /// The name in the server's certificate, for example `spiffe://exampleshire/hub`.
    pub server: PeerName,
    /// The person's certificate and key, and the authorities that are trusted.
    pub tls: TlsPaths,
}

/// Paths of certificates and keys, in PEM; relative ones start at the configuration's folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsPaths {
    /// Certificate chain, leaf first.
    pub certificate: ConfigPath,
    /// Its private key.
    pub private_key: ConfigPath,
    /// Authorities that are trusted.
    pub roots: ConfigPath,
    /// Revocation lists; absent: none are checked.
    pub crls: Option<ConfigPath>,
}

impl TlsPaths {
    /// The paths, for the TLS layer.
    #[must_use]
    pub fn files(&self) -> TlsFiles {
        let path = |path: &ConfigPath| path.as_path().to_owned();
        TlsFiles {
            certificate: path(&self.certificate),
            private_key: path(&self.private_key),
            roots: path(&self.roots),
            crls: self.crls.as_ref().map(path),
        }
    }
}

/// Reads a profile.
///
/// # Errors
/// When the file can not be read or is not a profile; the error names line and key.
pub fn load(path: &Path) -> Result<Profile, ConfigError> {
    config::load(path)
}
