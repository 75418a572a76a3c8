//! What the hub asks: the head that every request has, the screening, and the round.

use std::fmt;

use crate::{
    agreement::{LawfulBasis, LinkKind},
    id::{
        AgencyId, AgreementDigest, CategoryCode, EnquiryRef, PersonRef, ReleaseRef, RequestId,
        StaffName,
    },
    matching::keys::QUERY_SLOTS,
    rating::SaltedAnalysis,
    statement::{PersonIn, PersonRole, SignedStatement},
    time::Timestamp,
};

/// Tags of one slot of a screening: a person, or a dummy that looks the same.
pub type SlotTags = [[u8; 16]; SLOT_TAGS];

/// Tags in one slot: one for each key of a query.
pub const SLOT_TAGS: usize = QUERY_SLOTS;

/// Slots of a screening come in multiples of this, so that the size of a family does not show.
pub const SLOTS_STEP: usize = 12;

/// The head of every request between programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Used once; the unit of the replay check, and the same in both parties' logs.
    pub request_id: RequestId,
    /// The agreement the caller works under.
    pub agreement: AgreementDigest,
    /// After this the request is dead.
    pub valid_until: Timestamp,
}

/// Blinded tokens of the people of an enquiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScreenQuery {
    /// Head of the request.
    pub envelope: Envelope,
    /// Key epoch of the tokens.
    pub epoch: u32,
    /// The public key of the secret that made the tokens.
    pub public_key: [u8; 32],
    /// The agency's newest epoch; the same as `epoch` when none is being enrolled in.
    pub newest_epoch: u32,
    /// A multiple of [`SLOTS_STEP`].
    pub slots: Vec<SlotTags>,
}

/// A round: people whom the agency knows, to be rated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateQuery {
    /// Head of the request.
    pub envelope: Envelope,
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// Its purpose, in the agreement's words.
    pub purpose: String,
    /// When the round closes.
    pub answer_by: Timestamp,
    /// The screening that found them.
    pub screen: RequestId,
    /// The people to rate.
    pub people: Vec<RatePerson>,
    /// People linked to them.
    pub linked: Vec<LinkedPerson>,
    /// Links as the co-ordinator entered them.
    pub links: Vec<ClaimedLink>,
    /// Whether there is evidence of domestic abuse.
    pub domestic_abuse: bool,
}

/// One person to rate, with the identity sealed to the agency.
#[derive(Clone, PartialEq, Eq)]
pub struct RatePerson {
    /// Who.
    pub person: PersonIn,
    /// A 32-byte salt and the canonical identity, sealed.
    pub sealed_identity: Vec<u8>,
    /// The candidate that the screening answered.
    pub handle: [u8; 16],
    /// Their part, as the co-ordinator sees it.
    pub role: Option<PersonRole>,
    /// A possible match only: a person at the agency compares before anything else is answered.
    pub possible_match: bool,
}

impl fmt::Debug for RatePerson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RatePerson({})", self.person.person)
    }
}

/// A person linked to one the agency knows, without identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedPerson {
    /// Who.
    pub person: PersonIn,
    /// Their part, as the co-ordinator sees it.
    pub role: Option<PersonRole>,
    /// Age band, for example `5-10`.
    pub age_band: String,
}

/// A link as the co-ordinator entered it: not evidence until an agency signs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedLink {
    /// The first person.
    pub from: PersonRef,
    /// The second person.
    pub to: PersonRef,
    /// Their relation.
    pub kind: LinkKind,
}

/// What an agency says of one person. None of these is ever read as another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A colour and an analysis, signed.
    Rated(RatedAnswer),
    /// Searched; no record.
    NotKnown,
    /// Perhaps known; a person has to compare first.
    IdentityReview,
    /// The agency could not answer.
    Unable(Why),
    /// An assessor declined.
    Declined(Why),
    /// Known; an assessor has been asked.
    Pending,
}

/// A signed rating and the analysis whose digest it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatedAnswer {
    /// The rating.
    pub signed: SignedStatement,
    /// The analysis.
    pub analysis: SaltedAnalysis,
}

/// A stable word for why there is no colour: 1 to 64 letters, digits or `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why(Box<str>);

impl Why {
    /// The audit log can not be written, so nothing may leave.
    #[must_use]
    pub fn audit_unavailable() -> Self {
        Self("AUDIT_UNAVAILABLE".into())
    }

    /// The agreement is not in force.
    #[must_use]
    pub fn agreement_expired() -> Self {
        Self("AGREEMENT_EXPIRED".into())
    }

    /// Parses a word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let valid = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        valid.then(|| Self(text.into()))
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an agency says of one named person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonAnswer {
    /// Who.
    pub person: PersonRef,
    /// What.
    pub answer: Answer,
}

impl Answer {
    /// The word for the kind of answer, for logs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Rated(_) => "rated",
            Self::NotKnown => "not_known",
            Self::IdentityReview => "identity_review",
            Self::Unable(_) => "unable",
            Self::Declined(_) => "declined",
            Self::Pending => "pending",
        }
    }
}

/// A request for one category of detail about one person.
#[derive(Debug, Clone)]
pub struct ReleaseQuery {
    /// Head of the request.
    pub envelope: Envelope,
    /// The request's name for its whole life.
    pub release: ReleaseRef,
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// The people of the enquiry.
    pub people: Vec<PersonIn>,
    /// Who the detail is about.
    pub subject: PersonRef,
    /// The category.
    pub category: CategoryCode,
    /// Who would receive it.
    pub recipients: Vec<AgencyId>,
    /// The purpose as stated; not every word is a purpose.
    pub purpose: String,
    /// The lawful basis as stated.
    pub basis: LawfulBasis,
    /// Who asks.
    pub requested_by: StaffName,
    /// Signed evidence.
    pub evidence: Vec<SignedStatement>,
}
