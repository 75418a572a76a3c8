//! The agreement as the code uses it. Only [`Agreement::parse`] makes one, so one that exists is valid.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::civil::Date;

use super::{
    party::{HubKeys, Party},
    revoked::Revoked,
    terms::{Class, Environment, Gate, PartyType, Purpose},
    values::{
        Category, Cell, Clocks, Contacts, Freshness, GateNumbers, MatchingTerms, RatingTerms,
        Retention, ReviewTerms,
    },
};
use crate::{
    id::{AgencyId, AgreementDigest, AgreementId, CategoryCode},
    time::{SignedDuration, Timestamp},
};

/// Numbers of the categories the exchange never carries, whatever an agreement says: full records,
/// protected addresses, therapy notes, immigration status, sexual health, live intelligence,
/// informants, privileged or court-restricted material, equality monitoring.
pub const NEVER_CARRIED: [u8; 9] = [36, 43, 52, 60, 61, 63, 64, 65, 70];

/// What they are called: no agreement has them in its catalogue. In the order of [`NEVER_CARRIED`].
const NEVER_TITLES: [&str; 9] = [
    "Full record or clinical notes",
    "Refuge, safe or protected address",
    "Counselling or therapy notes",
    "Immigration status",
    "Sexual health",
    "Live intelligence",
    "Identity of an informant",
    "Privileged or court-restricted material",
    "Equality monitoring",
];

/// An information sharing agreement.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    pub(super) id: AgreementId,
    pub(super) version: u32,
    pub(super) replaces: Option<AgreementDigest>,
    pub(super) revoked: BTreeMap<[u8; 32], Revoked>,
    pub(super) validity: Validity,
    pub(super) review_by: Date,
    pub(super) environment: Environment,
    pub(super) territory: Vec<Box<str>>,
    pub(super) dpia_ref: Box<str>,
    pub(super) ropa_ref: Box<str>,
    pub(super) purposes: BTreeSet<Purpose>,
    pub(super) parties: BTreeMap<AgencyId, Party>,
    pub(super) hub: Option<HubKeys>,
    pub(super) rating: RatingTerms,
    pub(super) gates: GateNumbers,
    pub(super) matching: MatchingTerms,
    pub(super) freshness: Freshness,
    pub(super) clocks: Clocks,
    pub(super) review: ReviewTerms,
    pub(super) views: BTreeMap<Gate, SignedDuration>,
    pub(super) retention: Retention,
    pub(super) disclosure: BTreeMap<(Class, Gate), Cell>,
    pub(super) allow: BTreeMap<PartyType, BTreeSet<CategoryCode>>,
    pub(super) client_only: BTreeSet<PartyType>,
    pub(super) specialist: BTreeSet<CategoryCode>,
    pub(super) categories: BTreeMap<CategoryCode, Category>,
    pub(super) never: BTreeSet<CategoryCode>,
    pub(super) contacts: Contacts,
}

/// From when to when an agreement holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: Date,
    pub(super) to: Date,
    /// The first instant of `from`, local time in the United Kingdom.
    pub(super) starts: Timestamp,
    /// The first instant after `to`, local time in the United Kingdom.
    pub(super) ends: Timestamp,
}

/// Who lacks keys in an agreement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyHolder {
    /// A party.
    Party(AgencyId),
    /// The hub.
    Hub,
}

impl fmt::Display for KeyHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Party(id) => fmt::Display::fmt(id, f),
            Self::Hub => f.pad("hub"),
        }
    }
}

/// An agreement that names no keys for somebody, and so can not be signed or used by a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysMissing(pub Vec<KeyHolder>);

impl fmt::Display for KeysMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the agreement names no keys for")?;
        self.0.iter().try_for_each(|holder| write!(f, " {holder}"))
    }
}

impl std::error::Error for KeysMissing {}

impl Agreement {
    /// Its id: the same in every version.
    #[must_use]
    pub const fn id(&self) -> &AgreementId {
        &self.id
    }

    /// Its version.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// The digest of the version that it replaces; absent in a first version, and in the first format of the file.
    #[must_use]
    pub const fn replaces(&self) -> Option<AgreementDigest> {
        self.replaces
    }

    /// Why and from when on a former key is no longer believed; `None` when it was not revoked.
    #[must_use]
    pub fn revoked(&self, key: &[u8; 32]) -> Option<&Revoked> {
        self.revoked.get(key)
    }

    /// Every revoked key.
    pub fn revocations(&self) -> impl Iterator<Item = (&[u8; 32], &Revoked)> {
        self.revoked.iter()
    }

    /// The first day it holds.
    #[must_use]
    pub const fn valid_from(&self) -> Date {
        self.validity.from
    }

    /// The last day it holds.
    #[must_use]
    pub const fn valid_to(&self) -> Date {
        self.validity.to
    }

    /// The first instant it holds: 00:00 of [`Self::valid_from`], local time in the United Kingdom.
    #[must_use]
    pub const fn starts(&self) -> Timestamp {
        self.validity.starts
    }

    /// The first instant it no longer holds: the end of [`Self::valid_to`], local time in the
    /// United Kingdom.
    #[must_use]
    pub const fn ends(&self) -> Timestamp {
        self.validity.ends
    }

    /// Whether it holds at this moment.
    #[must_use]
    pub fn in_force(&self, at: Timestamp) -> bool {
        self.validity.starts <= at && at < self.validity.ends
    }

    /// When the partnership reviews it.
    #[must_use]
    pub const fn review_by(&self) -> Date {
        self.review_by
    }

    /// Which nodes may use it.
    #[must_use]
    pub const fn environment(&self) -> Environment {
        self.environment
    }

    /// Where its law applies.
    pub fn territory(&self) -> impl Iterator<Item = &str> {
        self.territory.iter().map(AsRef::as_ref)
    }

    /// Reference of its data protection impact assessment.
    #[must_use]
    pub fn dpia_ref(&self) -> &str {
        &self.dpia_ref
    }

    /// Reference of its record of processing activities.
    #[must_use]
    pub fn ropa_ref(&self) -> &str {
        &self.ropa_ref
    }

    /// What information may be shared for.
    #[must_use]
    pub const fn purposes(&self) -> &BTreeSet<Purpose> {
        &self.purposes
    }

    /// Its parties, withdrawn ones too, in order of id.
    pub fn parties(&self) -> impl Iterator<Item = &Party> {
        self.parties.values()
    }

    /// The party with this id, withdrawn or not.
    #[must_use]
    pub fn party(&self, id: &AgencyId) -> Option<&Party> {
        self.parties.get(id)
    }

    /// The hub's keys; absent until the partnership has written them into the agreement.
    #[must_use]
    pub const fn hub(&self) -> Option<&HubKeys> {
        self.hub.as_ref()
    }

    /// Who lacks keys: parties in order of id, then the hub.
    #[must_use]
    pub fn missing_keys(&self) -> Vec<KeyHolder> {
        let parties = self.parties().filter(|party| party.keys.is_none());
        let parties = parties.map(|party| KeyHolder::Party(party.id.clone()));
        parties.chain(self.hub.is_none().then_some(KeyHolder::Hub)).collect()
    }

    /// Whether every party and the hub have keys; a node insists on this before it serves.
    ///
    /// # Errors
    /// When somebody lacks keys: the partnership has to add them and sign anew.
    pub fn ready(&self) -> Result<(), KeysMissing> {
        let missing = self.missing_keys();
        if missing.is_empty() { Ok(()) } else { Err(KeysMissing(missing)) }
    }

    /// The trust domain that every TLS name is in; absent when nobody has keys yet.
    #[must_use]
    pub fn trust_domain(&self) -> Option<&str> {
        let parties = self.parties().filter_map(Party::keys).map(|keys| &keys.tls);
        parties.chain(self.hub().map(|hub| &hub.tls)).next().map(|name| name.trust_domain())
    }

    /// Rules for ratings.
    #[must_use]
    pub const fn rating(&self) -> RatingTerms {
        self.rating
    }

    /// The numbers in the gates.
    #[must_use]
    pub const fn gates(&self) -> GateNumbers {
        self.gates
    }

    /// When an agency is taken to know a person.
    #[must_use]
    pub const fn matching(&self) -> MatchingTerms {
        self.matching
    }

    /// How long a rating counts towards a gate.
    #[must_use]
    pub const fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// The clocks of an enquiry.
    #[must_use]
    pub const fn clocks(&self) -> Clocks {
        self.clocks
    }

    /// Human approval at the holder.
    #[must_use]
    pub const fn review(&self) -> ReviewTerms {
        self.review
    }

    /// How long a detail released under this gate can be opened; under gate 5 counted from the
    /// Marac meeting. A gate the file leaves out takes the shortest time that is stated.
    #[must_use]
    pub fn view(&self, gate: Gate) -> SignedDuration {
        let stated = self.views.get(&gate).or_else(|| self.views.values().min());
        stated.copied().unwrap_or(SignedDuration::ZERO)
    }

    /// How long things are kept.
    #[must_use]
    pub const fn retention(&self) -> Retention {
        self.retention
    }

    /// How a class is released under a gate; `None` means that it is not.
    #[must_use]
    pub fn disclosure(&self, class: Class, gate: Gate) -> Option<&Cell> {
        self.disclosure.get(&(class, gate))
    }

    /// The only categories that parties of this kind may receive; `None` means no such limit.
    #[must_use]
    pub fn allow_list(&self, kind: PartyType) -> Option<&BTreeSet<CategoryCode>> {
        self.allow.get(&kind)
    }

    /// Whether parties of this kind receive class S2 and above only about people they rated from
    /// their own record.
    #[must_use]
    pub fn is_client_only(&self, kind: PartyType) -> bool {
        self.client_only.contains(&kind)
    }

    /// What a prompted specialist that has not rated may receive, after review.
    #[must_use]
    pub const fn specialist_categories(&self) -> &BTreeSet<CategoryCode> {
        &self.specialist
    }

    /// The catalogue.
    #[must_use]
    pub const fn categories(&self) -> &BTreeMap<CategoryCode, Category> {
        &self.categories
    }

    /// The category with this code; `None` for never-carried ones and for ones not listed.
    #[must_use]
    pub fn category(&self, code: CategoryCode) -> Option<&Category> {
        if self.never_carries(code) { None } else { self.categories.get(&code) }
    }

    /// What people call a category, of the catalogue or one that the code itself keeps out; absent when it is neither.
    #[must_use]
    pub fn category_title(&self, code: CategoryCode) -> Option<&str> {
        let mut fixed = NEVER_CARRIED.into_iter().zip(NEVER_TITLES);
        match fixed.find(|(number, _)| CategoryCode::new(*number) == Some(code)) {
            Some((_, title)) => Some(title),
            None => self.categories.get(&code).map(|known| &*known.title),
        }
    }

    /// Whether the exchange never carries this category: fixed in code, or listed as never.
    #[must_use]
    pub fn never_carries(&self, code: CategoryCode) -> bool {
        fixed_never(code) || self.never.contains(&code)
    }

    /// Who is told when something is late or wrong.
    #[must_use]
    pub const fn contacts(&self) -> &Contacts {
        &self.contacts
    }
}

/// Whether the code itself keeps this category out.
pub(super) fn fixed_never(code: CategoryCode) -> bool {
    NEVER_CARRIED.into_iter().any(|number| CategoryCode::new(number) == Some(code))
}
