//! TLS to a server outside of the partnership: named by its host, certified by the authorities that the operator names, with a certificate
//! of our own where it asks for one.

use std::{io::BufReader, path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore, client::Resumption, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use super::{ClockTime, TlsError, files::read_pem, provider};
use crate::{keyfile, time::SharedClock};

/// A client's side, TLS 1.3 only. `own` are our certificate chain and its private key. Blocks on the disk.
///
/// # Errors
/// When a file can not be read or used; the message says which.
pub fn plain_client(
    roots: &Path,
    own: Option<(&Path, &Path)>,
    clock: &SharedClock,
) -> Result<ClientConfig, TlsError> {
    let mut store = RootCertStore::empty();
    for root in read_pem::<CertificateDer<'static>>(roots, "certificate")? {
        store.add(root)?;
    }
    let builder =
        ClientConfig::builder_with_details(provider(), Arc::new(ClockTime(Arc::clone(clock))))
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(store);
    let mut config = match own {
        Some((certificate, key)) => {
            let chain = read_pem(certificate, "certificate")?;
            let file = keyfile::open_private(key)?;
            let not_pem = |_| TlsError::NotPem { path: key.to_owned(), expected: "private key" };
            let key = PrivateKeyDer::from_pem_reader(BufReader::new(file)).map_err(not_pem)?;
            builder.with_client_auth_cert(chain, key)?
        }
        None => builder.with_no_client_auth(),
    };
    // A resumed session would not verify the server's certificate again.
    config.resumption = Resumption::disabled();
    Ok(config)
}
