//! Decision cases: one enquiry's facts and some requests, as JSON, with the expected decisions.
//!
//! Partnerships read and write these to see what an agreement means. Facts here are stated, not
//! signed, and fresh unless said otherwise.

mod format;

use std::collections::{BTreeMap, BTreeSet};

use format::{
    CaseAction, CaseAssertion, CaseBasis, CaseConsent, CaseIdentity, CaseLink, CaseRating,
    CaseRequest, Initial,
};
use serde::Deserialize;

use super::{
    decide::decide,
    decision::{Outcome, RecipientDecision},
    facts::{AcceptedAction, EvidenceId, Facts, Link, Rating, SpecialistPrompt},
    lawful::LawfulBasis,
    model::Agreement,
    moment::{Holding, Identity, Moment, Request},
    terms::Purpose,
};
use crate::{
    id::{AgencyId, PersonRef},
    rating::{Basis, Colour},
    reason::Reason,
    time::Timestamp,
};

/// A file of cases: one enquiry.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// Name of the enquiry.
    pub name: String,
    people: BTreeSet<PersonRef>,
    #[serde(default)]
    posing_risk: BTreeSet<PersonRef>,
    #[serde(default)]
    children: BTreeSet<PersonRef>,
    #[serde(default)]
    links: Vec<CaseLink>,
    #[serde(default)]
    initial: Vec<Initial>,
    uprated: Option<BTreeSet<PersonRef>>,
    ratings: Vec<CaseRating>,
    #[serde(default)]
    assertions: Vec<CaseAssertion>,
    #[serde(default)]
    agreements: Vec<CaseConsent>,
    #[serde(default)]
    accepted_actions: Vec<CaseAction>,
    requests: Vec<CaseRequest>,
}

/// The decision a case expects, and what it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case", deny_unknown_fields)]
pub enum Expected {
    /// Released at once.
    Release {},
    /// Waits for approvals.
    Review {
        /// How many.
        approvals: usize,
    },
    /// Refused.
    Deny {
        /// Why.
        reason: Reason,
    },
}

impl Expected {
    /// What a decision amounts to.
    #[must_use]
    pub const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Release(_) => Self::Release {},
            Outcome::Review(pending) => Self::Review { approvals: pending.approvals().count() },
            Outcome::Deny(reason) => Self::Deny { reason: *reason },
        }
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Release {} => f.write_str("release"),
            Self::Review { approvals } => write!(f, "review ({approvals} approval(s))"),
            Self::Deny { reason } => write!(f, "deny {reason}"),
        }
    }
}

/// A request of a case file, ready to be decided.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name in the file.
    pub id: String,
    /// The request.
    pub request: Request,
    /// The facts of the enquiry at that moment.
    pub facts: Facts,
    /// The circumstances.
    pub moment: Moment,
    /// What is expected for each recipient; absent when the file does not say.
    pub expect: Option<BTreeMap<AgencyId, Expected>>,
}

impl Case {
    /// Decides it.
    #[must_use]
    pub fn decide(&self, agreement: &Agreement) -> Vec<RecipientDecision> {
        decide(agreement, &self.request, &self.facts, &self.moment)
    }

    /// One line for each difference between decisions and what is expected.
    #[must_use]
    pub fn mismatches(&self, decisions: &[RecipientDecision]) -> Vec<String> {
        let id = &self.id;
        let Some(expect) = &self.expect else {
            return vec![format!("{id}: the file does not say what is expected")];
        };
        let mut lines = Vec::new();
        for RecipientDecision { recipient, outcome, .. } in decisions {
            let found = Expected::of(outcome);
            match expect.get(recipient) {
                Some(expected) if *expected == found => {}
                Some(expected) => {
                    lines.push(format!("{id} {recipient}: expected {expected}, found {found}"));
                }
                None => lines.push(format!("{id} {recipient}: nothing expected, found {found}")),
            }
        }
        let decided: BTreeSet<_> = decisions.iter().map(|decision| &decision.recipient).collect();
        for (recipient, expected) in expect.iter().filter(|(id, _)| !decided.contains(id)) {
            lines.push(format!("{id} {recipient}: expected {expected}, not asked for"));
        }
        lines
    }
}

impl CaseFile {
    /// Parses a case file.
    ///
    /// # Errors
    /// When it is not JSON of this form, with line and column.
    pub fn parse(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// Its cases as of one moment, in order.
    #[must_use]
    pub fn cases(&self, now: Timestamp) -> Vec<Case> {
        self.requests.iter().map(|request| self.case(request, now)).collect()
    }

    /// Differences between who comes out above the referrer's colours and who is expected to.
    #[must_use]
    pub fn uprating_mismatches(&self) -> Vec<String> {
        let Some(expected) = &self.uprated else { return Vec::new() };
        let found: BTreeSet<_> =
            self.people.iter().filter(|person| self.is_uprated(person)).cloned().collect();
        let lines = |people: BTreeSet<PersonRef>, text: &str| -> Vec<String> {
            people.into_iter().map(|person| format!("{person}: {text}")).collect()
        };
        let mut all = lines(expected - &found, "expected to be uprated, and is not");
        all.extend(lines(&found - expected, "is uprated, and is not expected to be"));
        all
    }

    /// A person's level is the highest rating. Somebody the referrer did not rate is held against
    /// the referrer's highest.
    fn is_uprated(&self, person: &PersonRef) -> bool {
        let initial = self.initial.iter().find(|initial| initial.person == *person);
        let highest = || self.initial.iter().map(|initial| initial.colour).max();
        let initial = initial.map(|initial| initial.colour).or_else(highest);
        let ratings = self.ratings.iter().filter(|rating| rating.person == *person);
        ratings.map(|rating| rating.colour).max() > initial.or(Some(Colour::Red))
    }

    fn case(&self, request: &CaseRequest, now: Timestamp) -> Case {
        let mut basis = LawfulBasis::complete();
        if !request.art10_stated {
            basis.art10_authority = None;
        }
        let holding = if request.held {
            Holding::Held {
                third_party: request.third_party,
                restricted: false,
                handling_code: false,
                more_detrimental: false,
            }
        } else {
            Holding::NotHeld
        };
        let identity = match request.identity {
            CaseIdentity::Resolved => Identity::Resolved,
            CaseIdentity::Ambiguous => Identity::Ambiguous,
        };
        let fair = Moment::fair(now);
        Case {
            id: request.id.clone(),
            request: Request {
                holder: request.holder.clone(),
                person: request.person.clone(),
                category: request.category,
                recipients: request.to.clone(),
                purpose: Some(Purpose::ChildSafeguarding),
                basis,
            },
            facts: self.facts(request, now),
            moment: Moment { log_available: request.log_available, identity, holding, ..fair },
            expect: request.expect.clone(),
        }
    }

    fn facts(&self, request: &CaseRequest, now: Timestamp) -> Facts {
        let ratings = request.ratings.as_ref().unwrap_or(&self.ratings);
        let assertions = request.assertions.as_ref().unwrap_or(&self.assertions);
        let consents = request.agreements.as_ref().unwrap_or(&self.agreements);
        let actions = request.accepted_actions.as_ref().unwrap_or(&self.accepted_actions);
        let links = self.links.iter().map(|CaseLink { from, to, kind }| Link {
            from: from.clone(),
            to: to.clone(),
            kind: *kind,
            evidence: EvidenceId::new(format!("link {from} {kind} {to}")),
        });
        let prompts = request.specialist_prompt.iter().map(|agency| SpecialistPrompt {
            agency: agency.clone(),
            person: request.person.clone(),
        });
        Facts {
            people: self.people.clone(),
            posing_risk: self.posing_risk.clone(),
            children: self.children.clone(),
            links: links.collect(),
            ratings: ratings.iter().map(|rating| self.rating(rating, ratings, now)).collect(),
            assertions: assertions.iter().map(|assertion| assertion.stated(now)).collect(),
            consents: consents.iter().map(CaseConsent::stated).collect(),
            accepted_actions: actions
                .iter()
                .map(|CaseAction { agency, person }| AcceptedAction {
                    agency: agency.clone(),
                    person: person.clone(),
                })
                .collect(),
            specialist_prompts: prompts.collect(),
            rejected: Vec::new(),
        }
    }

    fn rating(&self, rating: &CaseRating, all: &[CaseRating], now: Timestamp) -> Rating {
        let CaseRating { agency, person, colour, basis, tags } = rating;
        let basis = match basis {
            CaseBasis::Direct => Basis::Direct,
            CaseBasis::ViaLinkedPerson => Basis::ViaLinkedPerson(self.via(rating, all)),
        };
        Rating {
            agency: agency.clone(),
            person: person.clone(),
            colour: *colour,
            basis,
            topics: tags.clone(),
            at: now,
            evidence: EvidenceId::new(format!("{agency} {colour} {person}")),
        }
    }

    /// Through whom an agency rates somebody: the file does not say. Somebody linked whom the agency
    /// rated from its own record, or else anybody linked; or else the person, which counts for
    /// nothing, because nobody is linked to themselves.
    fn via(&self, rating: &CaseRating, all: &[CaseRating]) -> PersonRef {
        let linked: Vec<_> = self
            .links
            .iter()
            .filter_map(|link| {
                if link.from == rating.person {
                    Some(&link.to)
                } else {
                    (link.to == rating.person).then_some(&link.from)
                }
            })
            .collect();
        let knows = |person: &&&PersonRef| {
            all.iter().any(|other| {
                other.agency == rating.agency
                    && other.person == ***person
                    && other.basis == CaseBasis::Direct
            })
        };
        let via = linked.iter().find(knows).or_else(|| linked.first());
        via.map_or_else(|| rating.person.clone(), |via| (*via).clone())
    }
}

#[cfg(test)]
mod tests;
