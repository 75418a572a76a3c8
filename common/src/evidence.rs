//! From signed statements to facts: the one place where evidence is believed.
//!
//! A statement becomes a fact when the agency it names signed it, under this agreement (or, in its time, under a version
//! that this one superseded here), for this enquiry, about people whose references and commitments are those of the enquiry. Everything else
//! becomes a rejection that [`decide`](crate::agreement::decide()) sees, so that nothing forged is
//! silently ignored. Whether the signer may state it, and how old it may be, is for `decide`.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    agreement::{
        AcceptedAction, Agreement, Assertion, AssertionKind, EvidenceId, EvidenceKind, Facts,
        Former, Link, Marac, MaracGround, Rating, RejectedEvidence, Rejection, Seen,
        SignedAgreement,
    },
    id::{AgencyId, Commitment, EnquiryRef, PersonRef, RequestId},
    rating::Basis,
    statement::{
        Body, PersonIn, PersonRole, Realm, Refused, SignedStatement, Statement, Threshold,
    },
};

mod consents;

/// The people of an enquiry, as commitments.
pub type People = BTreeMap<PersonRef, Commitment>;

/// What a pile of statements comes to.
#[derive(Debug, Default)]
pub struct Evidence {
    /// The facts, and what was rejected.
    pub facts: Facts,
    /// The statements behind the facts, each with the bytes that were signed, to be kept: a later request
    /// can not then withhold a newer statement and show an older one.
    pub accepted: Vec<(Statement, SignedStatement)>,
    /// Ratings that their own signers have withdrawn; they stay, and prove nothing.
    withdrawn: BTreeSet<(AgencyId, RequestId)>,
    /// What people said about sharing, until all of it is in.
    consents: Vec<(Statement, EvidenceId)>,
}

impl Evidence {
    /// Verifies `presented` statements, and adds `known` ones that this program verified or made before.
    ///
    /// A rating that is presented although a newer one by the same agency about the same person is known
    /// is rejected as stale: it was replaced. So is one that its agency has withdrawn. A withdrawal counts whether it was
    /// known or is presented, in any order, and for the signer's own ratings only.
    #[must_use]
    pub fn verify(
        agreement: &SignedAgreement,
        realm: &Realm,
        enquiry: &EnquiryRef,
        people: &People,
        presented: &[SignedStatement],
        known: &[SignedStatement],
    ) -> Self {
        let mut evidence = Self::default();
        evidence.facts.people = people.keys().cloned().collect();
        let read = |signed: &SignedStatement| -> Result<Statement, Rejection> {
            let seen = if known.contains(signed) { Seen::Before } else { Seen::New };
            let statement = agreement.believe(signed, realm, enquiry, seen).map_err(rejection)?;
            // The reference alone is the hub's word; the commitment is what the signer opened.
            let named = named(&statement.body);
            let all_here = named.iter().all(|p| people.get(&p.person) == Some(&p.commitment));
            if all_here { Ok(statement) } else { Err(Rejection::Unsigned) }
        };
        for signed in known.iter().chain(presented) {
            if let Ok(statement) = read(signed)
                && let Body::RatingWithdrawn { rating, .. } = statement.body
            {
                evidence.withdrawn.insert((statement.signer, rating));
            }
        }
        // A name is its signer's own: another agency's statement of the same name takes no statement's place.
        let mut seen = BTreeSet::new();
        // What was known and no longer verifies (another agreement, say) is simply not known.
        for signed in known {
            if let Ok(statement) = read(signed)
                && seen.insert((statement.signer.clone(), statement.id.clone()))
            {
                evidence.accept(agreement, statement, signed.clone());
            }
        }
        for signed in presented {
            match read(signed) {
                Ok(statement) => {
                    if evidence.replaces(&statement) || evidence.is_withdrawn(&statement) {
                        evidence.reject(&statement, Rejection::Stale);
                    }
                    if seen.insert((statement.signer.clone(), statement.id.clone())) {
                        evidence.accept(agreement, statement, signed.clone());
                    }
                }
                Err(why) => match signed.read_unverified() {
                    Ok(statement) => evidence.reject(&statement, why),
                    Err(_) => evidence.reject_unreadable(agreement),
                },
            }
        }
        let said = std::mem::take(&mut evidence.consents);
        evidence.facts.consents = consents::standing(agreement.agreement(), &said);
        evidence
    }

    /// Whether a newer rating by the same agency about the same person is known.
    fn replaces(&self, statement: &Statement) -> bool {
        let Body::Rating(rating) = &statement.body else { return false };
        self.facts.ratings.iter().any(|known| {
            known.agency == statement.signer
                && known.person == rating.person.person
                && known.at > rating.rated_at
        })
    }

    /// Whether it is a rating that its signer has withdrawn.
    fn is_withdrawn(&self, statement: &Statement) -> bool {
        matches!(statement.body, Body::Rating(_))
            && self.withdrawn.contains(&(statement.signer.clone(), statement.id.clone()))
    }

    fn reject(&mut self, statement: &Statement, rejection: Rejection) {
        self.facts.rejected.push(RejectedEvidence {
            agency: statement.signer.clone(),
            person: named(&statement.body).first().map(|named| named.person.clone()),
            kind: kind(&statement.body),
            rejection,
        });
    }

    /// Bytes that are no statement at all: nobody can be named, and all the same they are not ignored.
    fn reject_unreadable(&mut self, agreement: &SignedAgreement) {
        if let Some(party) = agreement.agreement().parties().next() {
            self.facts.rejected.push(RejectedEvidence {
                agency: party.id().clone(),
                person: None,
                kind: EvidenceKind::Rating,
                rejection: Rejection::Unsigned,
            });
        }
    }

    fn accept(
        &mut self,
        agreement: &SignedAgreement,
        statement: Statement,
        signed: SignedStatement,
    ) {
        if self.is_withdrawn(&statement) || says_after_leaving(agreement, &statement) {
            self.accepted.push((statement, signed));
            return;
        }
        let evidence = EvidenceId::new(statement.id.as_str());
        let agency = &statement.signer;
        let facts = &mut self.facts;
        match &statement.body {
            Body::Rating(rating) => {
                if rating.subject_is_child && rating.via.is_none() {
                    facts.children.insert(rating.person.person.clone());
                }
                facts.ratings.push(Rating {
                    agency: agency.clone(),
                    person: rating.person.person.clone(),
                    colour: rating.colour,
                    basis: rating
                        .via
                        .as_ref()
                        .map_or(Basis::Direct, |via| Basis::ViaLinkedPerson(via.person.clone())),
                    topics: rating.topics.clone(),
                    at: rating.rated_at,
                    evidence,
                });
            }
            Body::Link { from, to, kind } => facts.links.push(Link {
                from: from.person.clone(),
                to: to.person.clone(),
                kind: *kind,
                evidence,
            }),
            Body::Role { person, role } => {
                let person = person.person.clone();
                match role {
                    PersonRole::PersonPosingRisk => _ = facts.posing_risk.insert(person),
                    PersonRole::Child => _ = facts.children.insert(person),
                    PersonRole::Victim | PersonRole::ConnectedPerson | PersonRole::Unclear => {}
                }
            }
            Body::Assertion(assertion) => facts.assertions.push(Assertion {
                by: agency.clone(),
                kind: assertion_kind(&assertion.threshold),
                people: assertion.people.iter().map(|named| named.person.clone()).collect(),
                at: statement.made_at,
                evidence,
            }),
            // What several of them come to is known once all are in.
            Body::Consent(_) => self.consents.push((statement.clone(), evidence)),
            Body::Action { person, .. } => facts
                .accepted_actions
                .push(AcceptedAction { agency: agency.clone(), person: person.person.clone() }),
            // A decision is an outcome; it opens nothing. What a withdrawal takes back was left out already.
            // A challenge and its answer say nothing of a person.
            Body::Release(_)
            | Body::RatingWithdrawn { .. }
            | Body::RatingChallenged(_)
            | Body::RatingKept(_)
            | Body::Retraction(_)
            | Body::Acknowledgement(_) => {}
        }
        self.accepted.push((statement, signed));
    }
}

/// Whether an agency says it after it has left the agreement. Ratings and assertions are held against their own time by
/// `decide`, and a rating can be taken back at any time.
fn says_after_leaving(agreement: &SignedAgreement, statement: &Statement) -> bool {
    let in_force = |agreement: &Agreement| {
        Some(agreement.party(&statement.signer)?.in_force(statement.made_at))
    };
    let former = agreement.former().find(|former| former.digest() == statement.agreement);
    let named = former.map_or_else(|| agreement.agreement(), Former::agreement);
    // An agency that the present version no longer names left as the version that it signed under ended; what it signed
    // later than that was not believed.
    let in_force = in_force(named) == Some(true) && in_force(agreement.agreement()) != Some(false);
    match statement.body {
        Body::Link { .. } | Body::Role { .. } | Body::Consent(_) | Body::Action { .. } => !in_force,
        Body::Rating(_)
        | Body::Assertion(_)
        | Body::Release(_)
        | Body::RatingWithdrawn { .. }
        | Body::RatingChallenged(_)
        | Body::RatingKept(_)
        | Body::Retraction(_)
        | Body::Acknowledgement(_) => false,
    }
}

/// The agencies with a current statement in the evidence.
#[must_use]
pub fn signers(evidence: &Evidence) -> BTreeSet<AgencyId> {
    evidence.accepted.iter().map(|(statement, _)| statement.signer.clone()).collect()
}

const fn rejection(refused: Refused) -> Rejection {
    match refused {
        Refused::OtherAgreement => Rejection::AgreementVersionMismatch,
        Refused::Malformed
        | Refused::OtherEnquiry
        | Refused::UnknownSigner
        | Refused::RevokedKey
        | Refused::BadSignature => Rejection::Unsigned,
    }
}

/// Everyone a statement names, each with the commitment that its signer opened.
#[must_use]
pub fn named(body: &Body) -> Vec<&PersonIn> {
    match body {
        Body::Rating(rating) => std::iter::once(&rating.person).chain(&rating.via).collect(),
        Body::Link { from, to, .. } => vec![from, to],
        Body::Role { person, .. }
        | Body::Action { person, .. }
        | Body::RatingWithdrawn { person, .. } => vec![person],
        Body::Assertion(assertion) => assertion.people.iter().collect(),
        Body::Consent(consent) => vec![&consent.person],
        Body::Release(decision) => vec![&decision.person],
        Body::RatingChallenged(challenge) => vec![&challenge.person],
        Body::RatingKept(kept) => vec![&kept.person],
        Body::Retraction(retraction) => vec![&retraction.person],
        Body::Acknowledgement(said) => vec![&said.person],
    }
}

const fn kind(body: &Body) -> EvidenceKind {
    match body {
        Body::Rating(_)
        | Body::Release(_)
        | Body::RatingWithdrawn { .. }
        | Body::RatingChallenged(_)
        | Body::RatingKept(_)
        | Body::Retraction(_)
        | Body::Acknowledgement(_) => EvidenceKind::Rating,
        Body::Link { .. } | Body::Role { .. } => EvidenceKind::Link,
        Body::Assertion(_) => EvidenceKind::Assertion,
        Body::Consent(_) => EvidenceKind::Consent,
        Body::Action { .. } => EvidenceKind::Action,
    }
}

fn assertion_kind(threshold: &Threshold) -> AssertionKind {
    match threshold {
        Threshold::Section47 => AssertionKind::Section47,
        Threshold::CareAct42 => AssertionKind::CareAct42,
        Threshold::Marac(grounds) => AssertionKind::Marac(Marac {
            ground: MaracGround::Stated {
                dash_ticks: (grounds.dash_ticks > 0).then_some(grounds.dash_ticks),
                judgement: grounds.professional_judgement,
                reports_in_12_months: (grounds.reports_in_12_months > 0)
                    .then_some(grounds.reports_in_12_months),
                repeat: grounds.repeat,
            },
            meeting: grounds.meeting_at,
        }),
    }
}

#[cfg(test)]
mod tests;
