//! Detail that its holder takes back, because the person's own agreement no longer covers it.
//!
//! A holder keeps what it has released: the signed decision for each recipient, no detail. When it hears that a person has
//! withdrawn or refused, from its own staff, from the hub or beside a request, it looks at every release that rests on the
//! person's agreement (gate 1) and whose view is still open, and signs a retraction for each that is no longer covered. What
//! was released by another gate stays: it never rested on the agreement.
//!
//! The other side of it, at the recipient, is `notices.rs`.

use std::sync::Arc;

use brag_common::{
    agreement::{ConsentStatus, Facts, Gate},
    audit::{
        Recordable,
        entry::{Action, Digest, EntryDraft, Party},
    },
    evidence::{Evidence, People},
    id::{AgencyId, EnquiryRef, ReleaseRef, RequestId},
    reason::Reason,
    secret::random_bytes,
    statement::{
        Acknowledgement, Body, DecidedOutcome, ReleaseDecision, Retraction, SignedStatement,
        Statement,
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
    let facts =
        Evidence::verify(&shared.agreement, &shared.realm, enquiry, &people, &[], &statements)
            .facts;
    let mut retracting = Vec::new();
    for (release, recipient, record, decision) in open {
        let Some(reason) = no_longer_covered(&facts, &decision, now) else { continue };
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
            agreement: shared.agreement.digest(),
            enquiry: enquiry.clone(),
            made_at: now,
            // By rule: the act was the person's, and is in the statement that says that they withdrew.
            made_by: None,
            body,
        };
        let signed = SignedStatement::sign(&statement, &shared.realm, &shared.statements);
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
    said: &Acknowledgement,
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

/// Why the person's agreement no longer covers what was released; `None` while it does. That it merely ran out takes
/// nothing back: the view never outlives it.
fn no_longer_covered(facts: &Facts, decision: &ReleaseDecision, now: Timestamp) -> Option<Reason> {
    let of_person = || facts.consents.iter().filter(|c| c.person == decision.person.person);
    let covered = of_person().any(|consent| {
        matches!(consent.status_at(now), ConsentStatus::Valid | ConsentStatus::Expired)
            && consent.categories.contains(&decision.category)
            && consent.recipients.contains(&decision.recipient)
    });
    if covered {
        return None;
    }
    let says = |status| of_person().any(|consent| consent.status == status);
    // What was agreed again since names something else: the withdrawal that took this back is what happened to it.
    let refused = says(ConsentStatus::Refused) && !says(ConsentStatus::Withdrawn);
    Some(if refused { Reason::ConsentRefused } else { Reason::ConsentWithdrawn })
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
