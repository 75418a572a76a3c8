//! Who is on the line: the name in a certificate that TLS has already verified.
//!
//! A name is a SPIFFE ID (SPIFFE-ID standard, section 2) in the one URI subject alternative name of
//! the leaf: `spiffe://<trust domain>/agency/<ID>`, `…/hub`, `…/person/<name>` or `…/witness/<name>`. The common name,
//! DNS names and anything the caller says about itself are never read. What a name may do is not
//! decided here; that is the agreement's matter.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use crate::id::{AgencyId, StaffName};

/// The longest name, in bytes. Ours; SPIFFE allows 2048.
const NAME_MAX_BYTES: usize = 255;

/// A text that is not a peer's name or trust domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a peer name: expected `spiffe://<trust domain>/agency/<ID>`, `…/hub`, `…/person/<name>` or \
     `…/witness/<name>`"
)]
pub struct InvalidPeerName;

/// The partnership that names belong to, for example `exampleshire.example`.
///
/// Lower-case letters, digits, `.`, `-` and `_`; at most 200 bytes; no port, no user.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustDomain(Box<str>);

impl TrustDomain {
    /// The domain as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of an agency in this partnership.
    #[must_use]
    pub fn agency(&self, id: AgencyId) -> PeerName {
        PeerName { trust_domain: self.clone(), role: PeerRole::Agency(id) }
    }

    /// The name of the partnership's hub.
    #[must_use]
    pub fn hub(&self) -> PeerName {
        PeerName { trust_domain: self.clone(), role: PeerRole::Hub }
    }

    /// The name of a member of staff of the partnership.
    #[must_use]
    pub fn person(&self, name: StaffName) -> PeerName {
        PeerName { trust_domain: self.clone(), role: PeerRole::Person(name) }
    }

    /// The name of a witness of logs that is no party.
    #[must_use]
    pub fn witness(&self, name: StaffName) -> PeerName {
        PeerName { trust_domain: self.clone(), role: PeerRole::Witness(name) }
    }
}

impl FromStr for TrustDomain {
    type Err = InvalidPeerName;

    fn from_str(text: &str) -> Result<Self, InvalidPeerName> {
        let allowed =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        if (1..=200).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidPeerName)
        }
    }
}

impl TryFrom<String> for TrustDomain {
    type Error = InvalidPeerName;

    fn try_from(text: String) -> Result<Self, InvalidPeerName> {
        text.parse()
    }
}

impl From<TrustDomain> for String {
    fn from(domain: TrustDomain) -> Self {
        domain.0.into()
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustDomain({})", self.0)
    }
}

/// What a peer is, within its partnership.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerRole {
    /// An agency's node.
    Agency(AgencyId),
    /// The partnership's hub.
    Hub,
    /// A member of staff at a command line.
    Person(StaffName),
    /// A program that cosigns logs and is no party. It calls nobody.
    Witness(StaffName),
}

/// The name of a program or person that holds a certificate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PeerName {
    trust_domain: TrustDomain,
    role: PeerRole,
}

impl PeerName {
    /// The partnership the name belongs to.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// What the peer is.
    #[must_use]
    pub const fn role(&self) -> &PeerRole {
        &self.role
    }

    /// The agency, when the peer is an agency's node.
    #[must_use]
    pub const fn agency(&self) -> Option<&AgencyId> {
        match &self.role {
            PeerRole::Agency(id) => Some(id),
            PeerRole::Hub | PeerRole::Person(_) | PeerRole::Witness(_) => None,
        }
    }

    /// The member of staff, when the peer is a person.
    #[must_use]
    pub const fn person(&self) -> Option<&StaffName> {
        match &self.role {
            PeerRole::Person(name) => Some(name),
            PeerRole::Agency(_) | PeerRole::Hub | PeerRole::Witness(_) => None,
        }
    }

    /// Whether the peer is the hub.
    #[must_use]
    pub const fn is_hub(&self) -> bool {
        matches!(self.role, PeerRole::Hub)
    }
}

impl FromStr for PeerName {
    type Err = InvalidPeerName;

    fn from_str(text: &str) -> Result<Self, InvalidPeerName> {
        if text.len() > NAME_MAX_BYTES {
            return Err(InvalidPeerName);
        }
        let rest = text.strip_prefix("spiffe://").ok_or(InvalidPeerName)?;
        let (domain, path) = rest.split_once('/').ok_or(InvalidPeerName)?;
        let trust_domain = domain.parse()?;
        let role = match path.split_once('/') {
            None if path == "hub" => PeerRole::Hub,
            Some(("agency", id)) => PeerRole::Agency(id.parse().map_err(|_| InvalidPeerName)?),
            Some(("person", name)) => PeerRole::Person(name.parse().map_err(|_| InvalidPeerName)?),
            Some(("witness", name)) => {
                PeerRole::Witness(name.parse().map_err(|_| InvalidPeerName)?)
            }
            None | Some(_) => return Err(InvalidPeerName),
        };
        // SPIFFE forbids the path segments `.` and `..`, which a staff name could otherwise be.
        if matches!(&role, PeerRole::Person(name) | PeerRole::Witness(name) if matches!(name.as_str(), "." | ".."))
        {
            return Err(InvalidPeerName);
        }
        Ok(Self { trust_domain, role })
    }
}

impl TryFrom<String> for PeerName {
    type Error = InvalidPeerName;

    fn try_from(text: String) -> Result<Self, InvalidPeerName> {
        text.parse()
    }
}

impl From<PeerName> for String {
    fn from(name: PeerName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/", self.trust_domain)?;
        match &self.role {
            PeerRole::Agency(id) => write!(f, "agency/{id}"),
            PeerRole::Hub => f.write_str("hub"),
            PeerRole::Person(name) => write!(f, "person/{name}"),
            PeerRole::Witness(name) => write!(f, "witness/{name}"),
        }
    }
}

impl fmt::Debug for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerName({self})")
    }
}

/// SHA-256 of a certificate (DER). Text form: 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of this certificate.
    #[must_use]
    pub fn of(certificate_der: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(certificate_der).into())
    }

    /// The bytes of the hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A text that is not a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a certificate fingerprint: expected 64 lower-case hexadecimal digits")]
pub struct InvalidFingerprint;

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 64 || !text.bytes().all(lower_hex) {
            return Err(InvalidFingerprint);
        }
        let mut bytes = [0; 32];
        for (byte, place) in bytes.iter_mut().zip((0..64).step_by(2)) {
            let pair = text.get(place..place + 2).ok_or(InvalidFingerprint)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidFingerprint)?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = InvalidFingerprint;

    fn try_from(text: String) -> Result<Self, InvalidFingerprint> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Why a certificate that TLS accepted names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The certificate, or its list of names, can not be read.
    #[error("the certificate can not be read")]
    Unreadable,
    /// The certificate may sign others; an authority is not a peer.
    #[error("the certificate is an authority's, not a peer's")]
    Authority,
    /// It has no URI name.
    #[error("the certificate has no URI name")]
    NoName,
    /// It has more than one URI name.
    #[error("the certificate has more than one URI name")]
    SeveralNames,
    /// Its URI name is not of our form.
    #[error("the certificate's URI name is not a peer name")]
    NotAPeerName,
    /// Its name belongs to another partnership.
    #[error("the certificate belongs to another trust domain")]
    ForeignDomain,
}

impl IdentityError {
    /// A stable code, for counters.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "certificate_unreadable",
            Self::Authority => "certificate_is_authority",
            Self::NoName => "certificate_without_name",
            Self::SeveralNames => "certificate_with_several_names",
            Self::NotAPeerName => "certificate_name_invalid",
            Self::ForeignDomain => "certificate_of_other_domain",
        }
    }
}

/// The name in a leaf certificate. Says nothing about whether the certificate is genuine.
///
/// # Errors
/// Unless the certificate is no authority's and has exactly one URI name, in `trust_domain`.
pub fn name_in_certificate(
    certificate_der: &[u8],
    trust_domain: &TrustDomain,
) -> Result<PeerName, IdentityError> {
    let (rest, certificate) =
        X509Certificate::from_der(certificate_der).map_err(|_| IdentityError::Unreadable)?;
    if !rest.is_empty() {
        return Err(IdentityError::Unreadable);
    }
    let constraints = certificate.basic_constraints().map_err(|_| IdentityError::Unreadable)?;
    if constraints.is_some_and(|constraints| constraints.value.ca) {
        return Err(IdentityError::Authority);
    }
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| IdentityError::Unreadable)?
        .ok_or(IdentityError::NoName)?;
    let mut found = None;
    for name in &names.value.general_names {
        match name {
            GeneralName::URI(uri) if found.is_none() => found = Some(*uri),
            GeneralName::URI(_) => return Err(IdentityError::SeveralNames),
            // Fail closed: it may be a second URI that only another reader understands.
            GeneralName::Invalid(..) => return Err(IdentityError::Unreadable),
            _ => {}
        }
    }
    let name: PeerName = found
        .ok_or(IdentityError::NoName)?
        .parse()
        .map_err(|InvalidPeerName| IdentityError::NotAPeerName)?;
    if name.trust_domain() == trust_domain { Ok(name) } else { Err(IdentityError::ForeignDomain) }
}

/// A peer whose certificate TLS has verified, on the connection it was verified on; or a person who has signed in at the console.
///
/// Holding one is the proof: only the end of a mutual-TLS handshake and a session of the console make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedPeer {
    name: PeerName,
}

impl VerifiedPeer {
    /// Claims that TLS has verified the certificate of this name, or that its person has signed in. Called in `tls.rs` only.
    #[must_use]
    pub(crate) const fn assertion(name: PeerName) -> Self {
        Self { name }
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &PeerName {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_exactly_a_name() {
        let long = format!("spiffe://{}/hub", "a".repeat(201));
        for text in [
            "",
            "spiffe://",
            "spiffe://x.example",
            "spiffe://x.example/",
            "spiffe:///hub",
            "https://x.example/hub",
            "SPIFFE://x.example/hub",
            "spiffe://X.example/hub",
            "spiffe://x.example:443/hub",
            "spiffe://user@x.example/hub",
            "spiffe://x.example/hub/",
            "spiffe://x.example/hub?a=b",
            "spiffe://x.example/hub#a",
            "spiffe://x.example//hub",
            "spiffe://x.example/Hub",
            "spiffe://x.example/agency",
            "spiffe://x.example/agency/",
            "spiffe://x.example/agency/csc",
            "spiffe://x.example/agency/CSC/x",
            "spiffe://x.example/agency/%43SC",
            "spiffe://x.example/person/",
            "spiffe://x.example/person/..",
            "spiffe://x.example/witness/..",
            "spiffe://x.example/witness",
            "spiffe://x.example/person/a b",
            "spiffe://x.example/officer/a",
            " spiffe://x.example/hub",
            "spiffe://x.example/hub\n",
            &long,
        ] {
            assert_eq!(text.parse::<PeerName>(), Err(InvalidPeerName), "{text}");
        }
    }

    #[test]
    fn names_round_trip_as_text() {
        for text in [
            "spiffe://x.example/hub",
            "spiffe://x.example/agency/CSC",
            "spiffe://x.example/person/j.okafor",
            "spiffe://x.example/witness/ig",
        ] {
            assert_eq!(text.parse::<PeerName>().unwrap().to_string(), text);
        }
        let name: PeerName = "spiffe://x.example/agency/CSC".parse().unwrap();
        assert_eq!(name.agency().map(AgencyId::as_str), Some("CSC"));
        assert_eq!((name.person(), name.is_hub()), (None, false));
    }

    #[test]
    fn a_fingerprint_round_trips_as_text() {
        let fingerprint = Fingerprint::of(b"abc");
        // FIPS 180-4, SHA-256("abc").
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(fingerprint.to_string(), text);
        assert_eq!(text.parse(), Ok(fingerprint));
        assert_eq!(text.to_uppercase().parse::<Fingerprint>(), Err(InvalidFingerprint));
    }
}
