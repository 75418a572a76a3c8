//! What a person's own agreement comes to, when several statements of several agencies speak of it.
//!
//! - Every agreement stands on its own: what a person allowed one agency to pass on, another need not have asked again.
//! - A refusal or a withdrawal takes back what was agreed before it, whoever recorded that, as far as it names categories
//!   and recipients; one that names none takes back everything. It does so at once and stays: that an agreement would have
//!   run out by now does not turn "withdrawn" into "expired".
//! - A later agreement stands beside it, and is then what the person said last.
//!
//! Of two statements of the same moment the refusal or withdrawal counts as the later one.

use std::collections::BTreeSet;

use crate::{
    agreement::{Agreement, Consent as Fact, ConsentStatus, EvidenceId},
    id::{AgencyId, CategoryCode},
    statement::{Body, Consent, ConsentState, Statement},
};

/// The facts that consent statements come to. Pure; the order of the statements does not matter.
///
/// An agreement counts when its signer was a party to the information sharing agreement as it was made; a refusal or
/// withdrawal counts in any case.
pub(super) fn standing(agreement: &Agreement, statements: &[(Statement, EvidenceId)]) -> Vec<Fact> {
    let mut consents: Vec<_> = statements
        .iter()
        .filter_map(|(statement, evidence)| match &statement.body {
            Body::Consent(consent) => Some(Said { statement, consent, evidence }),
            _ => None,
        })
        .filter(|said| {
            let party = agreement.party(&said.statement.signer);
            !said.agrees() || party.is_some_and(|party| party.in_force(said.statement.made_at))
        })
        .collect();
    consents.sort_by(|a, b| a.order().cmp(&b.order()));
    let mut facts = Vec::new();
    let mut later: &[Said<'_>] = &consents;
    while let Some((said, rest)) = later.split_first() {
        later = rest;
        let of_the_same = || rest.iter().filter(|other| other.is_of_the_same_person(said));
        if !said.agrees() {
            // What the person said last is an agreement, which opens what it names and nothing else.
            if !of_the_same().any(Said::agrees) {
                facts.push(said.fact(said.consent.categories.clone(), &said.consent.recipients));
            }
            continue;
        }
        let mut whole = BTreeSet::new();
        for category in &said.consent.categories {
            let left: BTreeSet<_> = (said.consent.recipients.iter())
                .filter(|to| !of_the_same().any(|other| other.consent.takes_back(*category, to)))
                .cloned()
                .collect();
            if left == said.consent.recipients {
                whole.insert(*category);
            } else if !left.is_empty() {
                facts.push(said.fact([*category].into(), &left));
            }
        }
        // One that names nothing allows nothing; that the person was asked is a fact all the same.
        if !whole.is_empty() || said.consent.categories.is_empty() {
            facts.push(said.fact(whole, &said.consent.recipients));
        }
    }
    facts
}

#[derive(Debug, Clone, Copy)]
struct Said<'a> {
    statement: &'a Statement,
    consent: &'a Consent,
    evidence: &'a EvidenceId,
}

impl Said<'_> {
    fn agrees(&self) -> bool {
        self.consent.state == ConsentState::Valid
    }

    /// In the order of time, agreements first; the name makes it independent of the order in which they came.
    fn order(&self) -> (crate::time::Timestamp, bool, &EvidenceId) {
        (self.statement.made_at, !self.agrees(), self.evidence)
    }

    fn is_of_the_same_person(&self, other: &Self) -> bool {
        self.consent.person == other.consent.person
    }

    fn fact(&self, categories: BTreeSet<CategoryCode>, recipients: &BTreeSet<AgencyId>) -> Fact {
        Fact {
            person: self.consent.person.person.clone(),
            status: match self.consent.state {
                ConsentState::Valid => ConsentStatus::Valid,
                ConsentState::Refused => ConsentStatus::Refused,
                ConsentState::Withdrawn => ConsentStatus::Withdrawn,
            },
            categories,
            recipients: recipients.clone(),
            expires: self.consent.expires_at,
            evidence: self.evidence.clone(),
        }
    }
}
