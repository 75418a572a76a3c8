//! Approvals at the holder: a release that waits for people, decided again on what is known now when enough of them
//! have approved.

use std::sync::Arc;

use brag_common::{
    agreement::Outcome,
    audit::entry::{Action, EntryDraft, Party},
    id::WorkRef,
    reason::Reason,
    statement::{Body, DecidedOutcome},
    wire,
};

use crate::{
    case::Case,
    conflict,
    desk::{by, send},
    guard::{Refusal, SignedIn},
    node::Shared,
    outbox,
    store::{
        Change,
        shapes::{Review, ReviewEnd},
    },
};

/// The longest reason of a refusal, in bytes.
const MAX_REASON: usize = 2400;

/// Approves a release that waits. When enough people have, it is decided again on what is known now, and
/// released if the threshold is still met. Gives the approvals that are still needed.
///
/// # Errors
/// When it does not wait, the person asked for it or has approved it already, or nothing can be recorded.
pub async fn approve(shared: &Arc<Shared>, who: &SignedIn, work: WorkRef) -> Result<u32, Refusal> {
    shared.in_force()?;
    let mut review = waiting(shared, &work).await?;
    conflict::free(shared, who, &review.enquiry).await?;
    let mut query = wire::release::decode(&review.request).map_err(|_| Refusal::Internal)?;
    if query.requested_by == *who.name() {
        return Err(Refusal::rule("approver_is_requester", "whoever asked can not approve"));
    }
    if review.approved_by.contains(who.name()) {
        return Err(Refusal::rule("approved_already", "a second approval needs another person"));
    }
    shared.log.record(reviewed(shared, Action::ReviewApproved, who, &review, &query)).await?;
    review.approved_by.push(who.name().clone());
    query.recipients = vec![review.recipient.clone()];
    let case = Case::weigh(shared, &query).await?;
    let decisions = case.decide(shared.log.is_available());
    let pending = decisions.iter().any(|decision| match &decision.outcome {
        Outcome::Review(pending) => pending.approvals().count() > review.approved_by.len(),
        Outcome::Release(_) | Outcome::Deny(_) => false,
    });
    if !pending {
        review.ended = Some(ReviewEnd::Decided);
    }
    let replies = case.settle(decisions, review.approved_by.clone()).await?;
    let mut change = Change::new();
    let mut still_needed = 0;
    for reply in replies {
        let statement = reply.decision.read_unverified().map_err(|_| Refusal::Internal)?;
        let Body::Release(decided) = statement.body else { continue };
        match decided.outcome {
            // Its sealed detail is on its way already, with the decision.
            DecidedOutcome::Release { .. } => {}
            DecidedOutcome::Deny(Reason::LogUnavailable) => {
                return Err(Refusal::Log(brag_common::audit::LogError::Unavailable));
            }
            DecidedOutcome::Deny(_) => {
                let (exchange, decision) = (&reply.exchange, &reply.decision);
                outbox::put_outcome(shared, exchange, &review.enquiry, decision, None, &mut change);
            }
            DecidedOutcome::Review { approvals_needed, .. } => still_needed = approvals_needed,
        }
    }
    change.review(&work, &review)?;
    send(shared, change).await?;
    Ok(still_needed)
}

/// Refuses a release that waits. The reason stays at the node.
///
/// # Errors
/// When it does not wait, the reason is missing or too long, or nothing can be recorded.
pub async fn refuse(
    shared: &Arc<Shared>,
    who: &SignedIn,
    work: WorkRef,
    reason: &str,
) -> Result<(), Refusal> {
    if reason.trim().is_empty() || reason.len() > MAX_REASON {
        return Err(Refusal::rule("reason_missing", "give a reason of 1 to 600 characters"));
    }
    let mut review = waiting(shared, &work).await?;
    conflict::free(shared, who, &review.enquiry).await?;
    let mut query = wire::release::decode(&review.request).map_err(|_| Refusal::Internal)?;
    query.recipients = vec![review.recipient.clone()];
    let mut draft = reviewed(shared, Action::ReviewRefused, who, &review, &query);
    draft.decision = "deny".parse().ok();
    draft.reason = Some(Reason::ApproverRefused);
    let exchange = outbox::new_exchange()?;
    draft.exchange = Some(exchange.clone());
    shared.log.record(draft).await?;
    let case = Case::weigh(shared, &query).await?;
    let decision = case.sign(&review.recipient, DecidedOutcome::Deny(Reason::ApproverRefused))?;
    review.ended = Some(ReviewEnd::Refused { by: who.name().clone(), reason: reason.to_owned() });
    let mut change = Change::new();
    change.review(&work, &review)?;
    outbox::put_outcome(shared, &exchange, &review.enquiry, &decision, None, &mut change);
    send(shared, change).await
}

async fn waiting(shared: &Arc<Shared>, work: &WorkRef) -> Result<Review, Refusal> {
    let name = work.clone();
    let review = shared.store.run(move |store| store.review(&name)).await?;
    review
        .filter(|review| review.ended.is_none())
        .ok_or(Refusal::NotFound("release that waits for approval"))
}

fn reviewed(
    shared: &Shared,
    action: Action,
    who: &SignedIn,
    review: &Review,
    query: &brag_common::enquiry::ReleaseQuery,
) -> EntryDraft {
    let mut draft = by(shared, action, who);
    draft.enquiry = Some(review.enquiry.clone());
    draft.release = Some(review.release.clone());
    draft.person = Some(query.subject.clone());
    draft.category = Some(query.category);
    draft.recipients = vec![Party::Agency(review.recipient.clone())];
    draft.gate = review.gate.parse().ok();
    draft
}
