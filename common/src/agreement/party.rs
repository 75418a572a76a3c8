//! A party to the agreement, and the keys it is known by.

use std::fmt;

use super::terms::{Condition, PartyType, Requirement};
use crate::{
    id::AgencyId,
    keys::VerifyingKey,
    seal::SealingPublicKey,
    time::{SignedDuration, Timestamp},
};

/// A party to the agreement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    pub(super) id: AgencyId,
    pub(super) name: Box<str>,
    pub(super) kind: PartyType,
    pub(super) requirement: Requirement,
    pub(super) when: Vec<Condition>,
    pub(super) answer_within: Option<SignedDuration>,
    pub(super) withdrawn_at: Option<Timestamp>,
    pub(super) keys: Option<PartyKeys>,
}

impl Party {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &AgencyId {
        &self.id
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What kind of agency it is.
    #[must_use]
    pub const fn kind(&self) -> PartyType {
        self.kind
    }

    /// Whether its answer is awaited.
    #[must_use]
    pub const fn requirement(&self) -> Requirement {
        self.requirement
    }

    /// For a conditional party, when its answer is awaited; empty for any other.
    #[must_use]
    pub fn when(&self) -> &[Condition] {
        &self.when
    }

    /// How long its node may take to answer; absent means the program's default.
    #[must_use]
    pub const fn answer_within(&self) -> Option<SignedDuration> {
        self.answer_within
    }

    /// When it withdrew from the agreement, if it did.
    #[must_use]
    pub const fn withdrawn_at(&self) -> Option<Timestamp> {
        self.withdrawn_at
    }

    /// Whether it is a party at this moment: not withdrawn.
    #[must_use]
    pub fn in_force(&self, at: Timestamp) -> bool {
        self.withdrawn_at.is_none_or(|withdrawn| at < withdrawn)
    }

    /// Its keys; absent until the partnership has written them into the agreement.
    #[must_use]
    pub const fn keys(&self) -> Option<&PartyKeys> {
        self.keys.as_ref()
    }
}

/// The keys a party is known by, each for one use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyKeys {
    /// The name in its TLS certificate.
    pub tls: TlsName,
    /// Verifies its statements and its signature on the agreement.
    pub signing: VerifyingKey,
    /// Details for it are sealed to this key.
    pub sealing: SealingPublicKey,
}

/// The keys the hub is known by. The hub seals nothing and nothing is sealed to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubKeys {
    /// The name in its TLS certificate.
    pub tls: TlsName,
    /// Verifies its checkpoints and its signature on the agreement.
    pub signing: VerifyingKey,
}

/// The name in a TLS certificate: a SPIFFE id (SPIFFE-ID standard, section 2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlsName {
    uri: Box<str>,
    trust_domain: Box<str>,
}

impl TlsName {
    /// The name of an agency's node.
    pub(super) fn of_agency(uri: &str, agency: &AgencyId) -> Result<Self, String> {
        Self::parse(uri, &format!("agency/{agency}"))
    }

    /// The name of the hub.
    pub(super) fn of_hub(uri: &str) -> Result<Self, String> {
        Self::parse(uri, "hub")
    }

    fn parse(uri: &str, path: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{uri}` is not the name expected: `spiffe://<trust-domain>/{path}`");
        let rest = uri.strip_prefix("spiffe://").ok_or_else(wrong)?;
        let (trust_domain, found) = rest.split_once('/').ok_or_else(wrong)?;
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b);
        let valid = (1..=255).contains(&trust_domain.len()) && trust_domain.bytes().all(plain);
        if !valid || found != path {
            return Err(wrong());
        }
        Ok(Self { uri: uri.into(), trust_domain: trust_domain.into() })
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.uri
    }

    /// The trust domain: the same for everybody in one agreement.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }
}

impl fmt::Display for TlsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.uri)
    }
}
