//! Everything that a judgement about an enquiry rests on, in one place: what was entered, what agencies have said and signed, and the
//! steps that people have recorded. Nothing here asks the time or a store, so an enquiry stands at the same place whoever asks, and
//! however often the hub has been started again.

use std::collections::{BTreeMap, BTreeSet};

use brag_common::{
    agreement::{Agreement, Facts, PartyType, clock::united_kingdom},
    id::{AgencyId, PersonRef},
    matching::identity::Identity,
    rating::Colour,
    statement::{Body, PersonRole, Statement},
    time::Timestamp,
};
use jiff::tz::TimeZone;

use super::{plan::Plan, words::Words};
use crate::{
    matrix::{self, Matrix},
    store::shapes::{EnquiryRecord, PersonRecord, ReleaseRecord},
    view::Linked,
};

/// A child is under this age (Children Act 1989, section 105).
const CHILD_UNDER: i16 = 18;

/// A signed statement that the hub has verified when it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// What was signed.
    pub statement: Statement,
    /// When it came.
    pub at: Timestamp,
}

/// An enquiry with all that is known of it, at one moment.
#[derive(Debug)]
pub struct Case<'a> {
    /// The agreement that holds.
    pub agreement: &'a Agreement,
    /// The words of the trade.
    pub words: &'a Words,
    /// As it was opened.
    pub record: &'a EnquiryRecord,
    /// What every agency has said of every person.
    pub matrix: &'a Matrix,
    /// What agencies have signed, in the order in which it came.
    pub received: &'a [Received],
    /// What of it counts as evidence.
    pub facts: &'a Facts,
    /// Requests for detail.
    pub releases: Vec<&'a ReleaseRecord>,
    /// Earlier enquiries about its people.
    pub earlier: &'a [Linked],
    /// What people have recorded.
    pub plan: &'a Plan,
    /// The moment.
    pub now: Timestamp,
}

impl Case<'_> {
    /// Who is asked about.
    pub fn people(&self) -> impl Iterator<Item = &PersonRef> {
        self.record.people.iter().map(|record| &record.person)
    }

    /// The person's level.
    #[must_use]
    pub fn level(&self, person: &PersonRef) -> Option<Colour> {
        matrix::level(self.matrix, person)
    }

    /// The highest level of all.
    #[must_use]
    pub fn family_level(&self) -> Option<Colour> {
        self.people().filter_map(|person| self.level(person)).max()
    }

    /// Parties of this kind that have not withdrawn.
    pub fn parties(&self, kind: PartyType) -> impl Iterator<Item = &AgencyId> {
        let now = self.now;
        self.agreement
            .parties()
            .filter(move |party| party.kind() == kind && party.in_force(now))
            .map(|party| party.id())
    }

    /// Whether an agency is of this kind.
    #[must_use]
    pub fn is(&self, agency: &AgencyId, kind: PartyType) -> bool {
        self.agreement.party(agency).is_some_and(|party| party.kind() == kind)
    }

    /// The part of a person as each agency has signed it: its newest statement of it.
    #[must_use]
    pub fn signed_roles(&self, person: &PersonRef) -> BTreeMap<&AgencyId, (PersonRole, Timestamp)> {
        signed_roles(self.received, person)
    }

    /// Every part that a person has, by the co-ordinator or by an agency.
    #[must_use]
    pub fn roles(&self, person: &PersonRecord) -> BTreeSet<PersonRole> {
        let signed = self.signed_roles(&person.person).into_values().map(|(role, _)| role);
        signed.chain(person.role).collect()
    }

    /// Whether anybody says today that the person poses risk: by their part, or by a signed link. Laxer than what a holder goes by, for whom
    /// a part that was once stated stays evidence: here a mistake has to be mendable, or a victim could never be helped without an
    /// action against them.
    #[must_use]
    pub fn poses_risk(&self, person: &PersonRecord) -> bool {
        self.roles(person).contains(&PersonRole::PersonPosingRisk)
            || self.facts.poses_risk_by_a_link(&person.person)
    }

    /// Whether the person is a child: by their part, an agency's record, or their age.
    #[must_use]
    pub fn is_child(&self, person: &PersonRecord) -> bool {
        self.roles(person).contains(&PersonRole::Child)
            || self.facts.children.contains(&person.person)
            || match age(person, self.now) {
                Age::Years(years) => years < CHILD_UNDER,
                Age::Unborn => true,
                Age::Unknown => false,
            }
    }

    /// Whether there is evidence of domestic abuse: the co-ordinator says so, or an agency has stated the Marac threshold.
    #[must_use]
    pub fn domestic_abuse(&self) -> bool {
        self.record.domestic_abuse || self.marac_stated()
    }

    fn marac_stated(&self) -> bool {
        use brag_common::statement::Threshold;
        self.received.iter().any(|received| match &received.statement.body {
            Body::Assertion(assertion) => matches!(assertion.threshold, Threshold::Marac(_)),
            _ => false,
        })
    }

    /// Whether a person is one of the family, for whom there has to be an action: everybody but those who are only connected, and
    /// those, too, once an agency is worried about them.
    #[must_use]
    pub fn is_member(&self, person: &PersonRecord) -> bool {
        let roles = self.roles(person);
        let only_connected =
            !roles.is_empty() && roles.iter().all(|role| *role == PersonRole::ConnectedPerson);
        !only_connected || self.level(&person.person) >= Some(Colour::Amber)
    }
}

/// See [`Case::signed_roles`].
#[must_use]
pub fn signed_roles<'r>(
    received: &'r [Received],
    person: &PersonRef,
) -> BTreeMap<&'r AgencyId, (PersonRole, Timestamp)> {
    let mut newest = BTreeMap::new();
    for Received { statement, .. } in received {
        let Body::Role { person: about, role } = &statement.body else { continue };
        if about.person != *person {
            continue;
        }
        let known = newest.entry(&statement.signer).or_insert((*role, statement.made_at));
        if statement.made_at >= known.1 {
            *known = (*role, statement.made_at);
        }
    }
    newest
}

/// How old a person is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// In completed years.
    Years(i16),
    /// Not born yet.
    Unborn,
    /// Their date of birth is not known well enough.
    Unknown,
}

/// The age of a person on the day that it is in the United Kingdom.
#[must_use]
pub(super) fn age(person: &PersonRecord, now: Timestamp) -> Age {
    let Ok(identity) = Identity::from_canonical_bytes(&person.identity) else {
        return Age::Unknown;
    };
    let zone = united_kingdom().unwrap_or(TimeZone::UTC);
    let (birth, today) = (identity.birth(), zone.to_datetime(now).date());
    let ahead = match birth.day() {
        Some(born) => born > today,
        None => birth.year().is_some_and(|year| year > today.year()),
    };
    match birth.age(today) {
        _ if ahead => Age::Unborn,
        Some(years) => Age::Years(years),
        None => Age::Unknown,
    }
}
