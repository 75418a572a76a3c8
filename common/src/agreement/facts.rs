//! The verified facts of one enquiry, as plain values.
//!
//! Whoever fills this in has verified each signature against the agreement, and that it is of this
//! enquiry and this person; what failed goes into [`Facts::rejected`]. How old a fact may be, and
//! whether its signer may state it, is decided here, from the agreement.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{
    model::Agreement,
    terms::{LinkKind, PartyType},
};
use crate::{
    id::{AgencyId, CategoryCode, PersonRef},
    rating::{Basis, Colour, Topic},
    reason::Reason,
    time::{SignedDuration, Timestamp},
};

/// How far in the future a statement's time may lie: clocks of agencies differ a little.
const CLOCK_SKEW_MAX: SignedDuration = SignedDuration::from_mins(5);

/// What a piece of evidence is called in traces and logs: a digest or a reference, nothing about
/// anyone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EvidenceId(Box<str>);

impl EvidenceId {
    /// Names a piece of evidence.
    #[must_use]
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EvidenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for EvidenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An agency's rating of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rating {
    /// Who rates.
    pub agency: AgencyId,
    /// Whom.
    pub person: PersonRef,
    /// The colour.
    pub colour: Colour,
    /// What it rests on.
    pub basis: Basis,
    /// What its analysis is about.
    pub topics: BTreeSet<Topic>,
    /// When it was given.
    pub at: Timestamp,
    /// The signed statement.
    pub evidence: EvidenceId,
}

/// A link between two people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The first person.
    pub from: PersonRef,
    /// The second person.
    pub to: PersonRef,
    /// How they are linked.
    pub kind: LinkKind,
    /// The signed statement.
    pub evidence: EvidenceId,
}

/// A statutory assertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// Who asserts it.
    pub by: AgencyId,
    /// What is asserted.
    pub kind: AssertionKind,
    /// For whom.
    pub people: BTreeSet<PersonRef>,
    /// When it was made.
    pub at: Timestamp,
    /// The signed statement.
    pub evidence: EvidenceId,
}

/// What is asserted. Each counts only from the kinds of party that may state it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssertionKind {
    /// Section 47 of the Children Act 1989; from children's social care.
    Section47,
    /// Marac; from police, a domestic abuse service, or the Marac co-ordinator.
    Marac(Marac),
    /// Section 42 of the Care Act 2014; from adult social care.
    CareAct42,
}

/// A Marac assertion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marac {
    /// Why the threshold is met.
    pub ground: MaracGround,
    /// When the meeting is; absent until it is listed. After it, the gate stays open for the time
    /// the agreement gives; before it is listed, while the enquiry is open.
    pub meeting: Option<Timestamp>,
}

/// On what ground the Marac threshold is met, as far as the signer states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaracGround {
    /// Numbers to hold against the agreement's; any one that meets its threshold is enough.
    Stated {
        /// Dash ticks; absent when no checklist was done.
        dash_ticks: Option<u32>,
        /// Whether it is met by professional judgement.
        judgement: bool,
        /// Reports in the last twelve months; absent when not counted.
        reports_in_12_months: Option<u32>,
        /// Whether victim and perpetrator were at Marac within twelve months.
        repeat: bool,
    },
    /// The signer has worked it out and vouches for it.
    WorkedOut,
}

/// What a person said about sharing, as an agency recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Whose agreement.
    pub person: PersonRef,
    /// How it stands.
    pub status: ConsentStatus,
    /// What it names.
    pub categories: BTreeSet<CategoryCode>,
    /// Whom it names.
    pub recipients: BTreeSet<AgencyId>,
    /// When it ends; absent when it names no end.
    pub expires: Option<Timestamp>,
    /// The signed statement.
    pub evidence: EvidenceId,
}

/// How a person's agreement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConsentStatus {
    /// Given.
    Valid,
    /// Withdrawn after it was given. Stays so when it would have expired.
    Withdrawn,
    /// Asked for and refused.
    Refused,
    /// Over.
    Expired,
}

impl Consent {
    /// How it stands at this moment.
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> ConsentStatus {
        match self.status {
            ConsentStatus::Valid if self.expires.is_some_and(|end| end <= now) => {
                ConsentStatus::Expired
            }
            status => status,
        }
    }
}

/// An action that an agency has accepted about a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AcceptedAction {
    /// Who accepted it.
    pub agency: AgencyId,
    /// About whom.
    pub person: PersonRef,
}

/// A specialist was asked to look at a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpecialistPrompt {
    /// The specialist.
    pub agency: AgencyId,
    /// The person.
    pub person: PersonRef,
}

/// What kind of statement a piece of evidence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EvidenceKind {
    /// A rating.
    Rating,
    /// A link.
    Link,
    /// An assertion.
    Assertion,
    /// A person's agreement.
    Consent,
    /// An accepted action.
    Action,
}

/// Why a piece of evidence was rejected before it got here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// Not validly signed for this enquiry and person.
    Unsigned,
    /// Made under another version of the agreement.
    AgreementVersionMismatch,
    /// Too old, or replaced by a newer statement of the same agency.
    Stale,
}

impl Rejection {
    /// The reason code.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Unsigned => Reason::EvidenceUnsigned,
            Self::AgreementVersionMismatch => Reason::AgreementVersionMismatch,
            Self::Stale => Reason::EvidenceStale,
        }
    }
}

/// A piece of evidence that was offered and does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RejectedEvidence {
    /// Who is said to have made it.
    pub agency: AgencyId,
    /// Whom it is said to be about; absent when that can not be told.
    pub person: Option<PersonRef>,
    /// What it is said to be.
    pub kind: EvidenceKind,
    /// Why it does not count.
    pub rejection: Rejection,
}

/// The verified facts of one enquiry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Who is in the enquiry. Anything about anybody else is ignored.
    pub people: BTreeSet<PersonRef>,
    /// Who among them is in the role of a person posing risk.
    pub posing_risk: BTreeSet<PersonRef>,
    /// Who among them is a child.
    pub children: BTreeSet<PersonRef>,
    /// How they are linked.
    pub links: Vec<Link>,
    /// Ratings. Of several by one agency of one person the newest counts.
    pub ratings: Vec<Rating>,
    /// Statutory assertions.
    pub assertions: Vec<Assertion>,
    /// What people said about sharing. Each record stands on its own.
    pub consents: Vec<Consent>,
    /// Accepted actions.
    pub accepted_actions: Vec<AcceptedAction>,
    /// Specialists asked to look, besides those the topics of ratings call for.
    pub specialist_prompts: BTreeSet<SpecialistPrompt>,
    /// Evidence that was offered and does not count.
    pub rejected: Vec<RejectedEvidence>,
}

/// Whether evidence that is too old counts. Ignoring age serves one question only: was it age that
/// kept a gate shut?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    Limited,
    Ignored,
}

impl Facts {
    /// The current rating of each person by each party. A rating counts while its agency is a party,
    /// and one that an agency gave before it withdrew stays.
    pub(super) fn current_ratings<'f>(&'f self, agreement: &Agreement) -> Vec<&'f Rating> {
        let mut newest: BTreeMap<(&AgencyId, &PersonRef), &'f Rating> = BTreeMap::new();
        for rating in &self.ratings {
            let by_party = agreement.party(&rating.agency).is_some_and(|p| p.in_force(rating.at));
            if !by_party || !self.people.contains(&rating.person) {
                continue;
            }
            // Fail closed: of two at the same instant the less worried counts. The rest of the key
            // makes the choice independent of the order in which they arrived.
            let rank = |r: &Rating| {
                (r.at, std::cmp::Reverse((r.colour, r.basis.clone(), r.evidence.clone())))
            };
            let current = newest.entry((&rating.agency, &rating.person)).or_insert(rating);
            if rank(rating) > rank(current) {
                *current = rating;
            }
        }
        newest.into_values().collect()
    }

    /// Whether a statement of this time is within its limit.
    pub(super) fn in_time(at: Timestamp, limit: SignedDuration, now: Timestamp) -> bool {
        now.duration_since(at) <= limit && !Self::is_ahead(at, now)
    }

    /// Whether a statement claims to be from the future, which would make it last longer.
    pub(super) fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
        at.duration_since(now) > CLOCK_SKEW_MAX
    }

    /// Links between people of the enquiry, of one person with another.
    pub(super) fn links_of<'f>(
        &'f self,
        person: &PersonRef,
    ) -> impl Iterator<Item = (&'f PersonRef, &'f Link)> {
        self.links.iter().filter_map(move |link| {
            let other = if link.from == *person {
                &link.to
            } else if link.to == *person {
                &link.from
            } else {
                return None;
            };
            (other != person && self.people.contains(other)).then_some((other, link))
        })
    }

    /// Whether this person poses risk: by role, or by a link that says so.
    #[must_use]
    pub fn poses_risk(&self, person: &PersonRef) -> bool {
        self.posing_risk.contains(person) || self.poses_risk_by_a_link(person)
    }

    /// Whether a link says that this person poses risk.
    #[must_use]
    pub fn poses_risk_by_a_link(&self, person: &PersonRef) -> bool {
        self.links.iter().any(|link| match link.kind {
            LinkKind::PosesRiskTo => link.from == *person,
            LinkKind::AtRiskFrom => link.to == *person,
            LinkKind::Household | LinkKind::Relative | LinkKind::ContactVenue => false,
        })
    }

    /// People of the enquiry at risk from this person.
    pub(super) fn at_risk_from(&self, person: &PersonRef) -> BTreeSet<&PersonRef> {
        let at_risk = self.links.iter().filter_map(|link| match link.kind {
            LinkKind::PosesRiskTo => (link.from == *person).then_some(&link.to),
            LinkKind::AtRiskFrom => (link.to == *person).then_some(&link.from),
            LinkKind::Household | LinkKind::Relative | LinkKind::ContactVenue => None,
        });
        at_risk.filter(|other| self.people.contains(*other)).collect()
    }

    /// Whether a specialist is prompted about a person it has not rated: by hand, or because another
    /// agency's rating of that person has a topic that is the specialist's.
    #[must_use]
    pub fn prompts(&self, agreement: &Agreement, agency: &AgencyId, person: &PersonRef) -> bool {
        let ratings = self.current_ratings(agreement);
        if ratings.iter().any(|rating| rating.agency == *agency && rating.person == *person) {
            return false;
        }
        let kind = agreement.party(agency).map(super::party::Party::kind);
        self.specialist_prompts
            .iter()
            .any(|prompt| prompt.agency == *agency && prompt.person == *person)
            || ratings
                .iter()
                .filter(|rating| rating.person == *person)
                .flat_map(|rating| &rating.topics)
                .any(|topic| specialist_for(*topic).is_some_and(|wanted| Some(wanted) == kind))
    }
}

/// Which kind of specialist a topic calls for.
const fn specialist_for(topic: Topic) -> Option<PartyType> {
    match topic {
        Topic::MentalHealth | Topic::SelfHarm => Some(PartyType::MentalHealth),
        Topic::Substance => Some(PartyType::SubstanceMisuse),
        Topic::Controlling
        | Topic::Physical
        | Topic::Sexual
        | Topic::Neglect
        | Topic::Housing
        | Topic::Weapons
        | Topic::Stalking
        | Topic::ParentalConflict => None,
    }
}
