//! Detail that its holder takes back, because the person's own agreement no longer covers it.
//!
//! A holder keeps what it has released: the signed decision for each recipient, no detail. When it hears that a person has
//! withdrawn or refused, from its own staff, from the hub or beside a request, it looks at every release that rests on the
//! person's agreement (gate 1) and whose view is still open, and signs a retraction for each that the person has taken back. What
//! was released by another gate stays: it never rested on the agreement.
//!
//! The other side of it, at the recipient, is `notices.rs`.

use std::sync::Arc;

use brag_common::{
    agreement::{ConsentStatus, Gate},
    audit::{
        Recordable,
        entry::{Action, Digest, EntryDraft, Party},
    },
    evidence::{Evidence, People},
    id::{AgencyId, EnquiryRef, ReleaseRef, RequestId},
    reason::Reason,
    secret::random_bytes,
    statement::{
        Acknowledgement, Body, ConsentState, DecidedOutcome, ReleaseDecision, Retraction,
        SignedStatement, Statement,
    },
    time::Timestamp,
};

use crate::{
    guard::Refusal,
    node::Shared,
    outbox,
    store::{
        Change,
        shapes::{ReleasedRecord, RetractedRecord},
    },
};

/// A retraction, and the entry that tells of it.
struct Retracting {
    draft: EntryDraft,
    release: ReleaseRef,
    recipient: AgencyId,
    record: ReleasedRecord,
    id: RequestId,
    signed: SignedStatement,
}

impl Recordable for Retracting {
    fn entry(&self) -> EntryDraft {
        self.draft.clone()
    }
}

/// Takes back every release of an enquiry that the person's agreement no longer covers. Nothing that is taken back already
/// is taken back again.
///
/// # Errors
/// When the store fails, or nothing can be recorded; called again, it does what is left.
pub async fn reconsider(shared: &Arc<Shared>, enquiry: &EnquiryRef) -> Result<(), Refusal> {
    // One look at a time, so that none is taken back twice.
    let _alone = shared.retracting.lock().await;
    let name = enquiry.clone();
    let (released, people, statements) = shared
        .store
        .run(move |store| {
            let released = store.released(&name)?;
            if released.is_empty() {
                return Ok((released, Vec::new(), Vec::new()));
            }
            Ok((released, store.people_in(&name)?, store.statements(&name)?))
        })
        .await?;
    let now = shared.clock.now();
    let open: Vec<_> = released
        .into_iter()
        .filter(|(_, record)| record.retraction.is_none())
        .filter_map(|((release, recipient), record)| {
            let statement = record.permit.read_unverified().ok()?;
            let Body::Release(decision) = statement.body else { return None };
            rests_on_agreement(&decision, now).then_some((release, recipient, record, decision))
        })
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    let people: People = people.into_iter().map(|(p, known)| (p, known.commitment)).collect();
    // One version for all of it: another may take over at any moment.
    let version = shared.agreement.versions().current();
    let evidence =
        Evidence::verify(&version.agreement, &version.realm, enquiry, &people, &[], &statements);
    let mut retracting = Vec::new();
    for (release, recipient, record, decision) in open {
        let Some(reason) = taken_back(&evidence, &decision, now) else { continue };
        let body = Body::Retraction(Retraction {
            release: release.clone(),
            person: decision.person.clone(),
            category: decision.category,
            recipient: recipient.clone(),
            reason,
        });
        let statement = Statement {
            id: random_bytes().map(RequestId::from_random).map_err(|_| Refusal::Internal)?,
            signer: shared.config.agency.clone(),
            agreement: version.agreement.digest(),
            enquiry: enquiry.clone(),
            made_at: now,
            // By rule: the act was the person's, and is in the statement that says that they withdrew.
            made_by: None,
            body,
        };
        let signed = SignedStatement::sign(&statement, &version.realm, &version.keys.statements);
        let mut draft = about(shared, Action::DetailRetracted, enquiry, &decision);
        draft.exchange = Some(statement.id.clone());
        draft.evidence = vec![Digest::of(&signed.payload)];
        draft.reason = Some(reason);
        draft.gate = Gate::G1.word().parse().ok();
        let id = statement.id;
        retracting.push(Retracting { draft, release, recipient, record, id, signed });
    }
    if retracting.is_empty() {
        return Ok(());
    }
    let mut change = Change::new();
    for recorded in shared.log.record_all(retracting).await? {
        let Retracting { release, recipient, mut record, id, signed, .. } = recorded.into_inner();
        outbox::put_fact(shared, &id, enquiry, &signed, &mut change);
        record.retraction = Some(RetractedRecord { signed, at: now, acknowledged: None });
        change.released(enquiry, &release, &recipient, &record)?;
    }
    shared.store.run(move |store| store.commit(change)).await?;
    shared.outbox.notify_one();
    Ok(())
}

/// Keeps that a recipient knows of a retraction. That it says so again changes nothing.
///
/// # Errors
/// When this node has not released that detail to the agency that says so, or has not taken it back by that retraction.
pub async fn acknowledged(
    shared: &Arc<Shared>,
    exchange: &RequestId,
    statement: &Statement,
    (said, signed): (&Acknowledgement, &SignedStatement),
) -> Result<(), Refusal> {
    let _alone = shared.retracting.lock().await;
    let enquiry = statement.enquiry.clone();
    let (release, recipient) = (said.release.clone(), statement.signer.clone());
    let name = enquiry.clone();
    let released = shared.store.run(move |store| store.released(&name)).await?;
    let found = released.into_iter().find(|((r, to), _)| *r == release && *to == recipient);
    let mut record = found.map(|(_, record)| record).ok_or(NOT_RETRACTED)?;
    let retraction = record.retraction.as_mut().ok_or(NOT_RETRACTED)?;
    let by_that = retraction.signed.read_unverified().is_ok_and(|one| one.id == said.retraction);
    if !by_that {
        return Err(NOT_RETRACTED);
    }
    let mut draft = shared.draft(Action::RetractionAcknowledged);
    draft.enquiry = Some(enquiry.clone());
    draft.person = Some(said.person.person.clone());
    draft.release = Some(release.clone());
    draft.exchange = Some(exchange.clone());
    draft.peer = Some(Party::Hub);
    draft.recipients = vec![Party::Agency(recipient.clone())];
    draft.evidence = vec![Digest::of(&signed.payload)];
    shared.log.record(draft).await?;
    if retraction.acknowledged.is_none() {
        retraction.acknowledged = Some(statement.made_at);
        let mut change = Change::new();
        change.released(&enquiry, &release, &recipient, &record)?;
        shared.store.run(move |store| store.commit(change)).await?;
    }
    Ok(())
}

const NOT_RETRACTED: Refusal = Refusal::NotFound("retraction by this agency");

/// Whether a release rests on the person's own agreement, and its view is still open.
fn rests_on_agreement(decision: &ReleaseDecision, now: Timestamp) -> bool {
    match &decision.outcome {
        DecidedOutcome::Release { gate, view_expires_at, .. } => {
            gate == Gate::G1.word() && *view_expires_at > now
        }
        DecidedOutcome::Review { .. } | DecidedOutcome::Deny(_) => false,
    }
}

/// Why what was released has to be taken back: the newest refusal or withdrawal that names it; `None` while there is none,
/// or an agreement covers it again.
///
/// Only what the person said counts. That their agreement ran out takes nothing back, as the view never outlives it; nor
/// does an agreement that is merely not to be found, because its signer is no party any more, say.
fn taken_back(evidence: &Evidence, decision: &ReleaseDecision, now: Timestamp) -> Option<Reason> {
    let person = &decision.person;
    let covered = evidence.facts.consents.iter().any(|consent| {
        consent.person == person.person
            && matches!(consent.status_at(now), ConsentStatus::Valid | ConsentStatus::Expired)
            && consent.categories.contains(&decision.category)
            && consent.recipients.contains(&decision.recipient)
    });
    if covered {
        return None;
    }
    let named = evidence.accepted.iter().filter_map(|(statement, _)| match &statement.body {
        Body::Consent(consent)
            if consent.person == *person
                && consent.takes_back(decision.category, &decision.recipient) =>
        {
            Some((statement.made_at, consent.state))
        }
        _ => None,
    });
    let (_, state) = named.max_by_key(|(made_at, _)| *made_at)?;
    Some(match state {
        ConsentState::Refused => Reason::ConsentRefused,
        ConsentState::Withdrawn | ConsentState::Valid => Reason::ConsentWithdrawn,
    })
}

fn about(
    shared: &Shared,
    action: Action,
    enquiry: &EnquiryRef,
    decision: &ReleaseDecision,
) -> EntryDraft {
    let mut draft = shared.draft(action);
    draft.enquiry = Some(enquiry.clone());
    draft.person = Some(decision.person.person.clone());
    draft.commitment = Some(decision.person.commitment);
    draft.release = Some(decision.release.clone());
    draft.category = Some(decision.category);
    draft.peer = Some(Party::Hub);
    draft.recipients = vec![Party::Agency(decision.recipient.clone())];
    draft
}

#[cfg(test)]
mod tests {
    use brag_common::{
        agreement::{Consent as Fact, EvidenceId},
        id::Commitment,
        statement::{Consent, PersonIn},
        time::SignedDuration,
    };

    use super::*;

    fn now() -> Timestamp {
        "2027-02-09T09:00:00Z".parse().unwrap()
    }

    fn person() -> PersonIn {
        PersonIn { person: "P1".parse().unwrap(), commitment: Commitment::from_bytes([1; 32]) }
    }

    fn released() -> ReleaseDecision {
        ReleaseDecision {
            release: "R1".parse().unwrap(),
            person: person(),
            category: "C50".parse().unwrap(),
            recipient: "CSC".parse().unwrap(),
            outcome: DecidedOutcome::Release {
                gate: "g1".to_owned(),
                obligations: Vec::new(),
                view_expires_at: now().checked_add(SignedDuration::from_hours(1)).unwrap(),
                sealed_digest: None,
            },
        }
    }

    /// Evidence with one statement about P1's agreement, made so many hours ago.
    fn said(evidence: &mut Evidence, state: ConsentState, recipients: &[&str], hours_ago: i64) {
        let body = Body::Consent(Consent {
            person: person(),
            state,
            categories: std::collections::BTreeSet::new(),
            recipients: recipients.iter().map(|name| name.parse().unwrap()).collect(),
            expires_at: None,
            asked_by: None,
        });
        let statement = Statement {
            id: RequestId::from_random([u8::try_from(hours_ago).unwrap(); 16]),
            signer: "DAS".parse().unwrap(),
            agreement: brag_common::id::AgreementDigest::from_bytes([0; 32]),
            enquiry: "e1".parse().unwrap(),
            made_at: now().checked_sub(SignedDuration::from_hours(hours_ago)).unwrap(),
            made_by: None,
            body,
        };
        let signed = SignedStatement { payload: Vec::new(), signature: Vec::new() };
        evidence.accepted.push((statement, signed));
    }

    #[test]
    fn an_agreement_that_is_merely_not_to_be_found_takes_nothing_back() {
        assert_eq!(taken_back(&Evidence::default(), &released(), now()), None);
    }

    #[test]
    fn the_newest_refusal_or_withdrawal_that_names_it_says_why() {
        let mut evidence = Evidence::default();
        said(&mut evidence, ConsentState::Refused, &["EHT"], 3);
        assert_eq!(taken_back(&evidence, &released(), now()), None, "another recipient");
        said(&mut evidence, ConsentState::Withdrawn, &[], 2);
        assert_eq!(taken_back(&evidence, &released(), now()), Some(Reason::ConsentWithdrawn));
        said(&mut evidence, ConsentState::Refused, &["CSC"], 1);
        assert_eq!(taken_back(&evidence, &released(), now()), Some(Reason::ConsentRefused));
    }

    #[test]
    fn what_an_agreement_covers_again_stays() {
        let mut evidence = Evidence::default();
        said(&mut evidence, ConsentState::Withdrawn, &[], 2);
        evidence.facts.consents.push(Fact {
            person: person().person,
            status: ConsentStatus::Valid,
            categories: ["C50".parse().unwrap()].into(),
            recipients: ["CSC".parse().unwrap()].into(),
            expires: None,
            evidence: EvidenceId::new("s1"),
        });
        assert_eq!(taken_back(&evidence, &released(), now()), None);
    }

    #[test]
    fn only_an_open_view_under_the_persons_agreement_is_looked_at() {
        assert!(rests_on_agreement(&released(), now()));
        assert!(!rests_on_agreement(&released(), now() + SignedDuration::from_hours(1)));
        let mut other = released();
        if let DecidedOutcome::Release { gate, .. } = &mut other.outcome {
            *gate = "g3".to_owned();
        }
        assert!(!rests_on_agreement(&other, now()));
    }
}
