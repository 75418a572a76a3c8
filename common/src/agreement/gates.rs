//! Which gates are open for a person, and on what evidence.
//!
//! Equal voice: nothing here asks what kind of agency gave a rating, except where statute does
//! (section 47, the Care Act) and where Marac names who may refer. Another agency's rating never
//! shuts a gate, because each gate asks only whether enough ratings are high enough.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    facts::{Age, Assertion, AssertionKind, EvidenceId, Facts, Marac, MaracGround, Rating},
    model::Agreement,
    terms::{Gate, LinkKind, PartyType},
};
use crate::{
    id::{AgencyId, PersonRef},
    rating::{Basis, Colour},
    time::Timestamp,
};

/// The open gates of one person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenGates(BTreeMap<Gate, BTreeSet<EvidenceId>>);

impl OpenGates {
    /// Whether this gate is open.
    #[must_use]
    pub fn is_open(&self, gate: Gate) -> bool {
        self.0.contains_key(&gate)
    }

    /// Whether every gate is shut.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Open gates in order, each with its evidence.
    pub fn iter(&self) -> impl Iterator<Item = (Gate, &BTreeSet<EvidenceId>)> {
        self.0.iter().map(|(gate, evidence)| (*gate, evidence))
    }
}

/// The gates that are open for a person of an open enquiry.
#[must_use]
pub fn open(agreement: &Agreement, facts: &Facts, person: &PersonRef, now: Timestamp) -> OpenGates {
    open_at_age(agreement, facts, person, now, Age::Limited)
}

/// Whether anybody in the enquiry is Red, on evidence that counts.
pub(super) fn anybody_red(agreement: &Agreement, facts: &Facts, now: Timestamp) -> bool {
    let view = View::new(agreement, facts, now, Age::Limited);
    view.counting.iter().any(|rating| rating.colour == Colour::Red)
}

pub(super) fn open_at_age(
    agreement: &Agreement,
    facts: &Facts,
    person: &PersonRef,
    now: Timestamp,
    age: Age,
) -> OpenGates {
    if !facts.people.contains(person) {
        return OpenGates::default();
    }
    let view = View::new(agreement, facts, now, age);
    let gates = Gate::ALL.iter().filter_map(|gate| {
        let evidence = match gate {
            Gate::G1 => view.consent(person),
            Gate::G2 => view.amber(person),
            Gate::G3 => view.red(person),
            Gate::G4 => view.section_47(person),
            Gate::G5 => view.marac(person),
            Gate::G6 => view.care_act(person),
        };
        evidence.map(|evidence| (*gate, evidence))
    });
    OpenGates(gates.collect())
}

/// When a detail released under gate 5 can be opened until: the meeting, and the time after it.
/// Before the meeting is listed, that time from now.
pub(super) fn marac_expiry(
    agreement: &Agreement,
    facts: &Facts,
    person: &PersonRef,
    now: Timestamp,
) -> Timestamp {
    let view = View::new(agreement, facts, now, Age::Limited);
    let meetings = view.maracs(person).filter_map(|(_, marac)| marac.meeting);
    later(meetings.max().map_or(now, |meeting| meeting.max(now)), agreement.view(Gate::G5))
}

/// The time `step` after `at`, or the last there is.
pub(super) fn later(at: Timestamp, step: crate::time::SignedDuration) -> Timestamp {
    at.checked_add(step).unwrap_or(Timestamp::MAX)
}

/// The facts of an enquiry at one moment.
struct View<'a> {
    agreement: &'a Agreement,
    facts: &'a Facts,
    now: Timestamp,
    age: Age,
    /// Ratings at Amber and above that count towards a gate.
    counting: Vec<&'a Rating>,
}

impl<'a> View<'a> {
    fn new(agreement: &'a Agreement, facts: &'a Facts, now: Timestamp, age: Age) -> Self {
        let counts = |rating: &&Rating| {
            let Some(limit) = agreement.freshness().limit(rating.colour) else { return false };
            let fresh = age == Age::Ignored || Facts::in_time(rating.at, limit, now);
            // Who rates from knowing somebody else counts beside a signed link between the two.
            let founded = match &rating.basis {
                Basis::Direct => true,
                Basis::ViaLinkedPerson(via) => {
                    facts.links_of(&rating.person).any(|(other, _)| other == via)
                }
            };
            fresh && founded
        };
        let counting = facts.current_ratings(agreement).into_iter().filter(counts).collect();
        Self { agreement, facts, now, age, counting }
    }

    fn ratings_of(&self, person: &PersonRef) -> impl Iterator<Item = &&'a Rating> {
        self.counting.iter().filter(move |rating| rating.person == *person)
    }

    /// Reds on people linked to this person by links of some kinds, with the link.
    fn linked_reds(
        &self,
        person: &PersonRef,
        kind: impl Fn(LinkKind) -> bool,
    ) -> BTreeSet<EvidenceId> {
        let mut evidence = BTreeSet::new();
        for (other, link) in self.facts.links_of(person).filter(|(_, link)| kind(link.kind)) {
            for red in self.ratings_of(other).filter(|rating| rating.colour == Colour::Red) {
                evidence.extend([red.evidence.clone(), link.evidence.clone()]);
            }
        }
        evidence
    }

    fn consent(&self, person: &PersonRef) -> Option<BTreeSet<EvidenceId>> {
        let valid = valid_consents(self.facts, person, self.now);
        some(valid.map(|consent| consent.evidence.clone()).collect())
    }

    /// Enough agencies at Amber or above; or one, beside a Red on somebody in the household or
    /// linked by risk.
    fn amber(&self, person: &PersonRef) -> Option<BTreeSet<EvidenceId>> {
        let agencies: BTreeSet<&AgencyId> = self.ratings_of(person).map(|r| &r.agency).collect();
        let mut evidence: BTreeSet<_> =
            self.ratings_of(person).map(|rating| rating.evidence.clone()).collect();
        if agencies.is_empty() {
            return None;
        }
        if agencies.len() >= self.agreement.gates().amber_agencies {
            return Some(evidence);
        }
        let beside = self.linked_reds(person, |kind| kind.is_risk() || kind == LinkKind::Household);
        some(beside).map(|beside| {
            evidence.extend(beside);
            evidence
        })
    }

    /// A Red of any one agency, on the person or on somebody linked by risk.
    fn red(&self, person: &PersonRef) -> Option<BTreeSet<EvidenceId>> {
        let own = self.ratings_of(person).filter(|rating| rating.colour == Colour::Red);
        let mut evidence: BTreeSet<_> = own.map(|rating| rating.evidence.clone()).collect();
        evidence.extend(self.linked_reds(person, LinkKind::is_risk));
        some(evidence)
    }

    /// An assertion of children's social care; or its Red on a child, which puts the child, the
    /// child's household and those who pose risk to the child in scope.
    fn section_47(&self, person: &PersonRef) -> Option<BTreeSet<EvidenceId>> {
        let mut evidence: BTreeSet<_> = self
            .assertions(person, &[PartyType::ChildrensSocialCare])
            .filter(|assertion| assertion.kind == AssertionKind::Section47)
            .map(|assertion| assertion.evidence.clone())
            .collect();
        let reds = self.counting.iter().filter(|rating| {
            rating.colour == Colour::Red
                && self.facts.children.contains(&rating.person)
                && self.is_one_of(&rating.agency, &[PartyType::ChildrensSocialCare])
        });
        for red in reds {
            if red.person == *person {
                evidence.insert(red.evidence.clone());
            }
            for (other, link) in self.facts.links_of(&red.person) {
                let in_scope = match link.kind {
                    LinkKind::Household => true,
                    LinkKind::PosesRiskTo => link.from == *person,
                    LinkKind::AtRiskFrom => link.to == *person,
                    LinkKind::Relative | LinkKind::ContactVenue => false,
                };
                if other == person && in_scope {
                    evidence.extend([red.evidence.clone(), link.evidence.clone()]);
                }
            }
        }
        some(evidence)
    }

    fn marac(&self, person: &PersonRef) -> Option<BTreeSet<EvidenceId>> {
        some(self.maracs(person).map(|(assertion, _)| assertion.evidence.clone()).collect())
    }

    /// Marac assertions about this person that meet the agreement's threshold and are in time.
    fn maracs(&self, person: &PersonRef) -> impl Iterator<Item = (&'a Assertion, &'a Marac)> {
        let may_refer = &[PartyType::Police, PartyType::DomesticAbuseService, PartyType::Marac];
        self.assertions(person, may_refer).filter_map(|assertion| match &assertion.kind {
            AssertionKind::Marac(marac) => {
                let over = marac.meeting.is_some_and(|meeting| {
                    later(meeting, self.agreement.view(Gate::G5)) <= self.now
                });
                let in_time = self.age == Age::Ignored || !over;
                (in_time && self.meets_marac(&marac.ground)).then_some((assertion, marac))
            }
            AssertionKind::Section47 | AssertionKind::CareAct42 => None,
        })
    }

    fn meets_marac(&self, ground: &MaracGround) -> bool {
        let numbers = self.agreement.gates();
        match ground {
            MaracGround::WorkedOut => true,
            MaracGround::Stated { dash_ticks, judgement, reports_in_12_months, repeat } => {
                dash_ticks.is_some_and(|ticks| ticks >= numbers.marac_dash_ticks)
                    || *judgement
                    || reports_in_12_months.is_some_and(|n| n >= numbers.marac_reports)
                    || *repeat
            }
        }
    }

    fn care_act(&self, person: &PersonRef) -> Option<BTreeSet<EvidenceId>> {
        let asserted = self
            .assertions(person, &[PartyType::AdultSocialCare])
            .filter(|assertion| assertion.kind == AssertionKind::CareAct42);
        some(asserted.map(|assertion| assertion.evidence.clone()).collect())
    }

    /// Assertions about this person by parties of the kinds that may make them.
    fn assertions(
        &self,
        person: &PersonRef,
        by: &'static [PartyType],
    ) -> impl Iterator<Item = &'a Assertion> {
        let facts = self.facts;
        let (agreement, now) = (self.agreement, self.now);
        facts.assertions.iter().filter(move |assertion| {
            let party = agreement.party(&assertion.by);
            assertion.people.contains(person)
                && !Facts::is_ahead(assertion.at, now)
                && party.is_some_and(|p| by.contains(&p.kind()) && p.in_force(assertion.at))
        })
    }

    fn is_one_of(&self, agency: &AgencyId, kinds: &[PartyType]) -> bool {
        self.agreement.party(agency).is_some_and(|party| kinds.contains(&party.kind()))
    }
}

/// A person's agreements that hold now.
pub(super) fn valid_consents<'f>(
    facts: &'f Facts,
    person: &PersonRef,
    now: Timestamp,
) -> impl Iterator<Item = &'f super::facts::Consent> {
    facts.consents.iter().filter(move |consent| {
        consent.person == *person && consent.status_at(now) == super::facts::ConsentStatus::Valid
    })
}

fn some(evidence: BTreeSet<EvidenceId>) -> Option<BTreeSet<EvidenceId>> {
    (!evidence.is_empty()).then_some(evidence)
}

#[cfg(test)]
mod tests;
