//! A throw-away certificate authority, for tests and for the demonstration. Never for real use: its
//! certificates are good for decades and its key lies in a file.
#![expect(clippy::expect_used, reason = "test support: a fault here is the test's")]

pub mod http2;
mod relay;

use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevocationReason, RevokedCertParams, SanType, SerialNumber,
};

pub use self::relay::{Passing, Relay, connect_proxy};
use crate::{
    id::{AgencyId, StaffName},
    peer::{Fingerprint, PeerName, TrustDomain, VerifiedPeer},
    time::Timestamp,
    tls::TlsFiles,
};

/// A moment after 1970 in rcgen's type, which it does not export.
macro_rules! date {
    ($at:expr) => {
        rcgen::date_time_ymd(1970, 1, 1)
            + Duration::from_secs(u64::try_from($at.as_second()).expect("after 1970"))
    };
}

/// What a certificate is to say. [`TestCa::spec`] gives a good one; tests spoil what they test.
#[derive(Debug, Clone)]
pub struct CertSpec {
    /// URI names; a good certificate has one.
    pub uris: Vec<String>,
    /// DNS names.
    pub dns_names: Vec<String>,
    /// IP addresses.
    pub addresses: Vec<IpAddr>,
    /// What the key may be used for.
    pub usages: Vec<CertUsage>,
    /// Whether it says of itself that it is an authority's.
    pub authority: bool,
    /// Start of validity.
    pub valid_from: Timestamp,
    /// End of validity.
    pub valid_until: Timestamp,
}

/// An extended key usage (RFC 5280, section 4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertUsage {
    /// To connect.
    Client,
    /// To be connected to.
    Server,
}

/// A certificate with its private key.
#[derive(Clone)]
pub struct TestCert {
    /// The certificate, in PEM.
    pub certificate_pem: String,
    /// The private key (PKCS #8), in PEM.
    pub key_pem: String,
    /// The certificate, in DER.
    pub der: Vec<u8>,
    serial: u64,
}

impl TestCert {
    /// SHA-256 of the certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.der)
    }

    /// Writes `<name>.pem` and `<name>.key` (mode 0600) into `folder`, and the root of `ca` as
    /// `ca.pem`; replaces what is there. Sets no revocation list.
    ///
    /// # Panics
    /// When a file can not be written.
    pub fn write(&self, ca: &TestCa, folder: &Path, name: &str) -> TlsFiles {
        let files = TlsFiles {
            certificate: folder.join(format!("{name}.pem")),
            private_key: folder.join(format!("{name}.key")),
            roots: folder.join("ca.pem"),
            crls: None,
        };
        fs::write(&files.certificate, &self.certificate_pem).expect("certificate is written");
        write_private(&files.private_key, &self.key_pem);
        fs::write(&files.roots, ca.root_pem()).expect("root is written");
        files
    }
}

impl fmt::Debug for TestCert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestCert({})", self.fingerprint())
    }
}

/// A certificate authority with its key.
pub struct TestCa {
    trust_domain: TrustDomain,
    issuer: Issuer<'static, KeyPair>,
    root_pem: String,
    next_serial: AtomicU64,
}

impl TestCa {
    /// A new authority for a partnership, valid from 2020 to 2049.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn new(trust_domain: TrustDomain) -> Self {
        let key = KeyPair::generate().expect("a key is made");
        let params = ca_params(&trust_domain);
        let root_pem = params.self_signed(&key).expect("the root is signed").pem();
        Self {
            trust_domain,
            issuer: Issuer::new(params, key),
            root_pem,
            next_serial: first_serial(),
        }
    }

    /// The authority that [`TestCa::save`] wrote into `folder`.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn open(trust_domain: TrustDomain, folder: &Path) -> Self {
        let key = fs::read_to_string(folder.join("ca.key")).expect("key is read");
        let key = KeyPair::from_pem(&key).expect("key is good");
        let root_pem = fs::read_to_string(folder.join("ca.pem")).expect("root is read");
        let issuer = Issuer::new(ca_params(&trust_domain), key);
        Self { trust_domain, issuer, root_pem, next_serial: first_serial() }
    }

    /// Writes `ca.pem` and `ca.key` (mode 0600) into `folder`.
    ///
    /// # Panics
    /// When a file can not be written.
    pub fn save(&self, folder: &Path) {
        fs::write(folder.join("ca.pem"), &self.root_pem).expect("root is written");
        write_private(&folder.join("ca.key"), &self.issuer.key().serialize_pem());
    }

    /// The partnership it signs for.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Its root certificate, in PEM.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// A good certificate of an agency's node.
    pub fn agency(&self, id: &AgencyId) -> TestCert {
        self.issue(&self.spec(&self.trust_domain.agency(id.clone())))
    }

    /// A good certificate of the hub.
    pub fn hub(&self) -> TestCert {
        self.issue(&self.spec(&self.trust_domain.hub()))
    }

    /// A good certificate of a member of staff.
    pub fn person(&self, name: &StaffName) -> TestCert {
        self.issue(&self.spec(&self.trust_domain.person(name.clone())))
    }

    /// A good certificate of a witness that is no party.
    pub fn witness(&self, name: &StaffName) -> TestCert {
        self.issue(&self.spec(&self.trust_domain.witness(name.clone())))
    }

    /// What a good certificate of `name` says: also `localhost`, 127.0.0.1 and `::1`; both usages;
    /// valid from 2020 to 2049.
    #[must_use]
    pub fn spec(&self, name: &PeerName) -> CertSpec {
        CertSpec {
            uris: vec![name.to_string()],
            dns_names: vec!["localhost".to_owned()],
            addresses: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            usages: vec![CertUsage::Client, CertUsage::Server],
            authority: false,
            valid_from: VALID_FROM,
            valid_until: VALID_UNTIL,
        }
    }

    /// The certificate, in PEM, that says what `spec` says of somebody else's key (PKCS #8, in PEM), as for a request.
    ///
    /// # Panics
    /// When the key can not be read, a name is not ASCII, or a time is before 1970.
    pub fn issue_for(&self, spec: &CertSpec, key_pem: &str) -> String {
        self.sign(spec, &KeyPair::from_pem(key_pem).expect("key is good")).certificate_pem
    }

    /// A revocation list, in PEM, of the certificate in this PEM.
    ///
    /// # Panics
    /// When it is none.
    pub fn crl_of_pem(&self, certificate_pem: &str) -> String {
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes()).expect("PEM");
        let certificate = pem.parse_x509().expect("certificate");
        let serial = certificate.tbs_certificate.raw_serial();
        let serial = serial.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        let revoked = TestCert {
            certificate_pem: certificate_pem.to_owned(),
            key_pem: String::new(),
            der: pem.contents.clone(),
            serial,
        };
        self.crl(&[&revoked])
    }

    /// Signs a certificate that says what `spec` says, good or bad.
    ///
    /// # Panics
    /// When a name is not ASCII or a time is before 1970.
    pub fn issue(&self, spec: &CertSpec) -> TestCert {
        self.sign(spec, &KeyPair::generate().expect("a key is made"))
    }

    fn sign(&self, spec: &CertSpec, key: &KeyPair) -> TestCert {
        let serial = self.next_serial.fetch_add(1, Ordering::Relaxed);
        let mut params = CertificateParams::default();
        params.distinguished_name = named("BRAG test peer");
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_before = date!(spec.valid_from);
        params.not_after = date!(spec.valid_until);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        if spec.authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params.extended_key_usages = spec
            .usages
            .iter()
            .map(|usage| match usage {
                CertUsage::Client => ExtendedKeyUsagePurpose::ClientAuth,
                CertUsage::Server => ExtendedKeyUsagePurpose::ServerAuth,
            })
            .collect();
        let uris = spec.uris.iter().map(|uri| SanType::URI(ascii(uri)));
        let dns_names = spec.dns_names.iter().map(|name| SanType::DnsName(ascii(name)));
        let addresses = spec.addresses.iter().map(|address| SanType::IpAddress(*address));
        params.subject_alt_names = uris.chain(dns_names).chain(addresses).collect();
        let certificate = params.signed_by(key, &self.issuer).expect("it is signed");
        TestCert {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            der: certificate.der().to_vec(),
            serial,
        }
    }

    /// A revocation list, in PEM, of these certificates; in force until 2049.
    pub fn crl(&self, revoked: &[&TestCert]) -> String {
        self.crl_until(revoked, VALID_UNTIL)
    }

    /// A revocation list, in PEM, whose next issue is due at `next_update`.
    ///
    /// # Panics
    /// When `next_update` is before 2020.
    pub fn crl_until(&self, revoked: &[&TestCert], next_update: Timestamp) -> String {
        let entry = |certificate: &&TestCert| RevokedCertParams {
            serial_number: SerialNumber::from(certificate.serial),
            revocation_time: date!(VALID_FROM),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        CertificateRevocationListParams {
            this_update: date!(VALID_FROM),
            next_update: date!(next_update),
            crl_number: SerialNumber::from(self.next_serial.fetch_add(1, Ordering::Relaxed)),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&self.issuer)
        .and_then(|list| list.pem())
        .expect("the list is signed")
    }
}

impl fmt::Debug for TestCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestCa({})", self.trust_domain)
    }
}

/// A peer as handlers see it after a handshake, for tests that have no connection.
#[must_use]
pub fn verified_peer(name: PeerName) -> VerifiedPeer {
    VerifiedPeer::assertion(name)
}

/// 2020-01-01 and 2049-01-01.
const VALID_FROM: Timestamp = Timestamp::constant(1_577_836_800, 0);
const VALID_UNTIL: Timestamp = Timestamp::constant(2_493_072_000, 0);

fn ca_params(trust_domain: &TrustDomain) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("BRAG test authority of {trust_domain}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date!(VALID_FROM);
    params.not_after = date!(VALID_UNTIL);
    params
}

/// Random, so that an authority that is opened again does not give a number twice.
fn first_serial() -> AtomicU64 {
    let bytes = crate::secret::random_bytes().expect("randomness");
    AtomicU64::new((u64::from_be_bytes(bytes) >> 2) | (1 << 61))
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn ascii(text: &str) -> rcgen::string::Ia5String {
    text.try_into().expect("names are ASCII")
}

fn write_private(path: &Path, text: &str) {
    use std::io::Write as _;
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .expect("key is opened");
    file.write_all(text.as_bytes()).expect("key is written");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{time::SettableClock, tls::ServerTls};

    #[test]
    fn an_authority_that_is_opened_again_issues_under_the_same_root() {
        let folder = tempfile::tempdir().unwrap();
        let domain: TrustDomain = "exampleshire.example".parse().unwrap();
        let first = TestCa::new(domain.clone());
        first.save(folder.path());
        let again = TestCa::open(domain.clone(), folder.path());
        assert_eq!(again.root_pem(), first.root_pem());

        let person = again.person(&"j.okafor".parse().unwrap());
        let files = person.write(&first, folder.path(), "person");
        let clock = Arc::new(SettableClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
        let tls = ServerTls::load(files, domain, clock).unwrap();
        assert_eq!(tls.name().to_string(), "spiffe://exampleshire.example/person/j.okafor");
    }
}
