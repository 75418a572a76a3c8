//! What would turn a refusal into a release: each possibility alone, by deciding again.
//!
//! The holder's record is taken to be there and without rules of its own, so that the answer says
//! nothing about what is held.

use std::{collections::BTreeSet, fmt};

use super::{
    decide::evaluate,
    facts::{
        AcceptedAction, Assertion, AssertionKind, Consent, ConsentStatus, EvidenceId, Facts, Marac,
        MaracGround, Rating,
    },
    lawful::LawfulBasis,
    model::Agreement,
    moment::{Holding, Moment, Request},
    party::Party,
    terms::PartyType,
};
use crate::{
    id::AgencyId,
    rating::{Basis, Colour},
};

/// One thing that would have made the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hypothesis {
    /// The person agrees to this category for this recipient.
    Agreement,
    /// Another agency rates the person Amber.
    AnotherAmber,
    /// Another agency rates the person Red.
    AnotherRed,
    /// Children's social care asserts section 47 for the person.
    Section47,
    /// The Marac threshold is asserted for the person.
    Marac,
    /// The request states its lawful basis in full.
    LawfulBasis,
    /// The recipient accepts an action about the person.
    AcceptedAction,
    /// The recipient rates the person from its own record.
    Involvement,
}

impl Hypothesis {
    /// Every hypothesis.
    pub const ALL: [Self; 8] = [
        Self::Agreement,
        Self::AnotherAmber,
        Self::AnotherRed,
        Self::Section47,
        Self::Marac,
        Self::LawfulBasis,
        Self::AcceptedAction,
        Self::Involvement,
    ];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Agreement => "agreement",
            Self::AnotherAmber => "another_amber",
            Self::AnotherRed => "another_red",
            Self::Section47 => "section_47",
            Self::Marac => "marac",
            Self::LawfulBasis => "lawful_basis",
            Self::AcceptedAction => "accepted_action",
            Self::Involvement => "involvement",
        }
    }
}

impl fmt::Display for Hypothesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Every hypothesis under which this recipient would not be refused; none when the refusal is the
/// holder's own, which no fact of the enquiry changes.
pub(super) fn all(
    agreement: &Agreement,
    request: &Request,
    facts: &Facts,
    moment: &Moment,
    recipient: &AgencyId,
) -> Vec<Hypothesis> {
    let moment = Moment { holding: Holding::PLAIN, ..*moment };
    let allowed = |request: &Request, facts: &Facts| {
        evaluate(agreement, request, facts, &moment, recipient).0.is_allowed()
    };
    if allowed(request, facts) {
        return Vec::new();
    }
    let suppose = Suppose { agreement, request, facts, moment: &moment, recipient };
    let helps = |hypothesis: &Hypothesis| {
        suppose.that(*hypothesis).is_some_and(|(request, facts)| allowed(&request, &facts))
    };
    Hypothesis::ALL.into_iter().filter(helps).collect()
}

struct Suppose<'a> {
    agreement: &'a Agreement,
    request: &'a Request,
    facts: &'a Facts,
    moment: &'a Moment,
    recipient: &'a AgencyId,
}

impl Suppose<'_> {
    /// Request and facts as they would be; `None` when nobody could bring it about.
    fn that(&self, hypothesis: Hypothesis) -> Option<(Request, Facts)> {
        let mut request = self.request.clone();
        let mut facts = self.facts.clone();
        match hypothesis {
            Hypothesis::Agreement => facts.consents.push(Consent {
                person: request.person.clone(),
                status: ConsentStatus::Valid,
                categories: BTreeSet::from([request.category]),
                recipients: BTreeSet::from([self.recipient.clone()]),
                expires: None,
                evidence: supposed(),
            }),
            Hypothesis::AnotherAmber => self.rate(&mut facts, self.another()?, Colour::Amber),
            Hypothesis::AnotherRed => self.rate(&mut facts, self.another()?, Colour::Red),
            Hypothesis::Section47 => {
                let by = self.party(|party| party.kind() == PartyType::ChildrensSocialCare)?;
                facts.assertions.push(self.assertion(by, AssertionKind::Section47));
            }
            Hypothesis::Marac => {
                let by = self.party(|party| {
                    matches!(
                        party.kind(),
                        PartyType::Police | PartyType::DomesticAbuseService | PartyType::Marac
                    )
                })?;
                let marac = Marac { ground: MaracGround::WorkedOut, meeting: None };
                facts.assertions.push(self.assertion(by, AssertionKind::Marac(marac)));
            }
            Hypothesis::LawfulBasis => request.basis = LawfulBasis::complete(),
            Hypothesis::AcceptedAction => facts.accepted_actions.push(AcceptedAction {
                agency: self.recipient.clone(),
                person: request.person.clone(),
            }),
            Hypothesis::Involvement => {
                // Not a new concern: the colour it has given, or else one that opens nothing.
                let given = facts.current_ratings(self.agreement).into_iter().find(|rating| {
                    rating.agency == *self.recipient && rating.person == request.person
                });
                let colour = given.map_or(Colour::Green, |rating| rating.colour);
                self.rate(&mut facts, self.recipient.clone(), colour);
            }
        }
        Some((request, facts))
    }

    /// A party that has not rated the person Amber or above, and is neither the recipient (whose
    /// rating would also involve it) nor children's social care (whose Red means more).
    fn another(&self) -> Option<AgencyId> {
        let ratings = self.facts.current_ratings(self.agreement);
        let is_worried = |party: &Party| {
            ratings.iter().any(|rating| {
                rating.agency == *party.id()
                    && rating.person == self.request.person
                    && rating.colour >= Colour::Amber
            })
        };
        self.party(|party| {
            party.id() != self.recipient
                && party.kind() != PartyType::ChildrensSocialCare
                && !is_worried(party)
        })
    }

    fn party(&self, wanted: impl Fn(&Party) -> bool) -> Option<AgencyId> {
        let mut in_force = self.agreement.parties().filter(|p| p.in_force(self.moment.now));
        in_force.find(|party| wanted(party)).map(|party| party.id().clone())
    }

    fn rate(&self, facts: &mut Facts, agency: AgencyId, colour: Colour) {
        let person = self.request.person.clone();
        facts.ratings.retain(|rating| rating.agency != agency || rating.person != person);
        let (basis, at, evidence) = (Basis::Direct, self.moment.now, supposed());
        let topics = BTreeSet::new();
        facts.ratings.push(Rating { agency, person, colour, basis, topics, at, evidence });
    }

    fn assertion(&self, by: AgencyId, kind: AssertionKind) -> Assertion {
        Assertion {
            by,
            kind,
            people: BTreeSet::from([self.request.person.clone()]),
            at: self.moment.now,
            evidence: supposed(),
        }
    }
}

fn supposed() -> EvidenceId {
    EvidenceId::new("supposed")
}
