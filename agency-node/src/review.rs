//! Approvals at the holder: a release that waits for people, decided again on what is known now when enough of them
//! have approved the same text: what is held, or a redacted one in its place.
//!
//! INVARIANT: an approval, a refusal, an escalation and the end of the time exclude each other, and each takes effect in one
//! change together with what is to be delivered, so that a restart repeats none of them.

use std::sync::Arc;

use brag_common::{
    agreement::{Outcome, SignedAgreement},
    audit::{
        LogError,
        entry::{Action, EntryDraft, Party},
    },
    enquiry::{Envelope, ReleaseQuery},
    id::{RequestId, WorkRef},
    reason::Reason,
    release::RedactedText,
    secret::random_bytes,
    statement::{Body, DecidedOutcome, SignedStatement},
    wire,
};

use crate::{
    answer_release::{Approved, Settled, look_again},
    case::Case,
    config::Role,
    conflict,
    desk::{by, send},
    guard::{Refusal, SignedIn},
    node::Shared,
    outbox,
    store::{
        Change,
        shapes::{Redaction, Review, ReviewEnd},
    },
};

pub mod deadline;
pub mod waiting;

/// The longest reason, in characters.
const MAX_REASON_CHARS: usize = 600;

/// What an approver approves.
#[derive(Debug)]
pub enum Approving {
    /// What is held, as it is held.
    Whole,
    /// A text in its place, for a reason that stays at the node.
    Redacted {
        /// The text.
        text: RedactedText,
        /// Why.
        reason: String,
    },
    /// The redacted text of this name, as an earlier approver gave it.
    AsRedacted(RequestId),
}

/// What came of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AfterApproval {
    /// Approvals that are still needed.
    pub still_needed: u32,
    /// Earlier approvals that no longer count, because they were of another text.
    pub dropped: u32,
}

/// Approves a release that waits. When enough people have approved the same text, it is decided again on what is known
/// now, and released if the threshold is still met.
///
/// # Errors
/// When it does not wait, the person asked for it or has approved this text already, is a deputy before it was escalated, the
/// record is also about others and is not redacted, or nothing can be recorded.
pub async fn approve(
    shared: &Arc<Shared>,
    who: &SignedIn,
    work: WorkRef,
    approving: Approving,
) -> Result<AfterApproval, Refusal> {
    shared.in_force()?;
    let _alone = shared.at_desk.lock().await;
    let mut review = waiting_for(shared, who, &work).await?;
    let version = shared.agreement.versions().current();
    let query = asked_again(query_of(&review)?, &version.agreement);
    if query.requested_by == *who.name() {
        return Err(Refusal::rule("approver_is_requester", "whoever asked can not approve"));
    }
    let redaction = redaction(shared, who, &review, approving)?;
    let same = redaction.as_ref().map(|r| &r.name) == review.redaction.as_ref().map(|r| &r.name);
    if same && review.approved_by.contains(who.name()) {
        return Err(Refusal::rule("approved_already", "a second approval needs another person"));
    }
    let case = Case::weigh_under(shared, version, &query).await?;
    if redaction.is_none() && case.entries.iter().any(|entry| entry.third_party) {
        return Err(Refusal::rule(
            Reason::ThirdPartyData.code(),
            "the record is also about somebody else: approve a redacted text, or refuse",
        ));
    }
    let redacted = redaction.as_ref().map(|redaction| RedactedText::parse(&redaction.text));
    let redacted = redacted.transpose().map_err(|_| Refusal::Internal)?;
    let mut draft = reviewed(shared, Action::ReviewApproved, who, &review, &query);
    draft.decision = if redacted.is_some() { "redacted" } else { "approved" }.parse().ok();
    shared.log.record(draft).await?;

    let mut dropped = 0;
    if !same {
        let others = review.approved_by.iter().filter(|name| *name != who.name()).count();
        dropped = u32::try_from(others).unwrap_or(u32::MAX);
        review.approved_by.clear();
    }
    review.approved_by.push(who.name().clone());
    review.redaction = redaction;
    let decisions = case.decide(shared.log.is_available());
    for decision in &decisions {
        // What is known now may ask for more people, or fewer, than when it began to wait.
        if let Outcome::Review(pending) = &decision.outcome {
            review.approvals_needed =
                u32::try_from(pending.approvals().count()).unwrap_or(u32::MAX);
        }
    }
    let approved = Approved { review: &review, redacted: redacted.as_ref() };
    let Settled { replies, mut change, .. } = case.settle(decisions, Some(approved)).await?;
    let mut still_needed = 0;
    for reply in replies {
        let statement = reply.decision.read_unverified().map_err(|_| Refusal::Internal)?;
        let Body::Release(decided) = statement.body else { continue };
        match decided.outcome {
            // Its sealed detail is in the change, with the decision.
            DecidedOutcome::Release { .. } => review.ended = Some(ReviewEnd::Decided),
            DecidedOutcome::Deny(Reason::LogUnavailable) => {
                return Err(Refusal::Log(LogError::Unavailable));
            }
            DecidedOutcome::Deny(_) => {
                (review.ended, review.redaction) = (Some(ReviewEnd::Decided), None);
                outcome_of(shared, &reply.exchange, &review, &reply.decision, &mut change);
            }
            // The hub shows how many are still needed.
            DecidedOutcome::Review { approvals_needed, .. } => {
                still_needed = approvals_needed;
                outcome_of(shared, &reply.exchange, &review, &reply.decision, &mut change);
            }
        }
    }
    change.review(&work, &review)?;
    let enquiry = review.enquiry.clone();
    send(shared, change).await?;
    look_again(shared, &enquiry).await;
    Ok(AfterApproval { still_needed, dropped })
}

/// Refuses a release that waits. The reason stays at the node.
///
/// # Errors
/// When it does not wait for this person, the reason is missing or too long, or nothing can be recorded.
pub async fn refuse(
    shared: &Arc<Shared>,
    who: &SignedIn,
    work: WorkRef,
    reason: &str,
) -> Result<(), Refusal> {
    check_reason(reason)?;
    let _alone = shared.at_desk.lock().await;
    let review = waiting_for(shared, who, &work).await?;
    let query = query_of(&review)?;
    let draft = reviewed(shared, Action::ReviewRefused, who, &review, &query);
    let end = ReviewEnd::Refused { by: who.name().clone(), reason: reason.trim().to_owned() };
    Ending { work, review, query, draft, reason: Reason::ApproverRefused, end }
        .carry_out(shared)
        .await
}

/// A review that ends in a refusal, by a person or by the clock.
struct Ending {
    work: WorkRef,
    review: Review,
    query: ReleaseQuery,
    draft: EntryDraft,
    reason: Reason,
    end: ReviewEnd,
}

impl Ending {
    /// Records the refusal, signs it, and puts it out for delivery. A redacted text that nobody will receive is erased.
    async fn carry_out(self, shared: &Arc<Shared>) -> Result<(), Refusal> {
        let Self { work, mut review, query, mut draft, reason, end } = self;
        draft.decision = "deny".parse().ok();
        draft.reason = Some(reason);
        let exchange = outbox::new_exchange()?;
        draft.exchange = Some(exchange.clone());
        let case = Case::weigh(shared, &query).await?;
        let decision = case.sign(&review.recipient, DecidedOutcome::Deny(reason))?;
        shared.log.record(draft).await?;
        (review.ended, review.redaction) = (Some(end), None);
        let mut change = Change::new();
        change.review(&work, &review)?;
        outcome_of(shared, &exchange, &review, &decision, &mut change);
        send(shared, change).await
    }
}

/// A release that waits for this person.
pub(crate) async fn waiting_for(
    shared: &Arc<Shared>,
    who: &SignedIn,
    work: &WorkRef,
) -> Result<Review, Refusal> {
    let name = work.clone();
    let review = shared.store.run(move |store| store.review(&name)).await?;
    let review = review
        .filter(|review| review.ended.is_none())
        .ok_or(Refusal::NotFound("release that waits for approval"))?;
    conflict::free(shared, who, &review.enquiry).await?;
    if review.decide_by <= shared.clock.now() {
        // The clock's own refusal is on its way.
        let reason = Reason::ApprovalTimeout;
        return Err(Refusal::rule(reason.code(), reason.text()));
    }
    if who.role() == Role::Deputy && review.escalated_at.is_none() {
        return Err(Refusal::rule(
            "not_escalated",
            "it waits for the approvers; deputies are asked when part of its time has passed",
        ));
    }
    Ok(review)
}

/// The request as it came, for the one recipient.
pub(crate) fn query_of(review: &Review) -> Result<ReleaseQuery, Refusal> {
    let mut query = wire::release::decode(&review.request).map_err(|_| Refusal::Internal)?;
    query.recipients = vec![review.recipient.clone()];
    Ok(query)
}

/// The request, when it was made under a version of the agreement that has been superseded here since: as if it were made
/// now. It was checked against its own version when it came; what is decided now is decided by the version that holds now.
pub(crate) fn asked_again(query: ReleaseQuery, now: &SignedAgreement) -> ReleaseQuery {
    if now.version_of(query.envelope.agreement).is_none() {
        return query;
    }
    let envelope = Envelope { agreement: now.digest(), ..query.envelope };
    ReleaseQuery { envelope, ..query }
}

/// The redacted text that is approved, with the name it has; `None`: what is held.
fn redaction(
    shared: &Shared,
    who: &SignedIn,
    review: &Review,
    approving: Approving,
) -> Result<Option<Redaction>, Refusal> {
    let earlier = review.redaction.as_ref();
    match approving {
        Approving::Whole => Ok(None),
        Approving::AsRedacted(name) => match earlier.filter(|redaction| redaction.name == name) {
            Some(redaction) => Ok(Some(redaction.clone())),
            None => Err(Refusal::rule(
                "redaction_changed",
                "there is no redacted text of this name now; look at the worklist again",
            )),
        },
        Approving::Redacted { text, reason } => {
            check_reason(&reason)?;
            // The same words are the same text, whoever typed them.
            if let Some(same) = earlier.filter(|redaction| redaction.text == text.as_str()) {
                return Ok(Some(same.clone()));
            }
            Ok(Some(Redaction {
                name: random_bytes().map(RequestId::from_random).map_err(|_| Refusal::Internal)?,
                text: text.as_str().to_owned(),
                by: who.name().clone(),
                reason: reason.trim().to_owned(),
                at: shared.clock.now(),
            }))
        }
    }
}

fn check_reason(reason: &str) -> Result<(), Refusal> {
    if (1..=MAX_REASON_CHARS).contains(&reason.trim().chars().count()) {
        return Ok(());
    }
    Err(Refusal::rule("reason_missing", "give a reason of 1 to 600 characters"))
}

fn outcome_of(
    shared: &Shared,
    exchange: &RequestId,
    review: &Review,
    decision: &SignedStatement,
    change: &mut Change,
) {
    outbox::put_outcome(shared, exchange, &review.enquiry, decision, None, change);
}

fn reviewed(
    shared: &Shared,
    action: Action,
    who: &SignedIn,
    review: &Review,
    query: &ReleaseQuery,
) -> EntryDraft {
    about(by(shared, action, who), review, query)
}

fn about(mut draft: EntryDraft, review: &Review, query: &ReleaseQuery) -> EntryDraft {
    draft.enquiry = Some(review.enquiry.clone());
    draft.release = Some(review.release.clone());
    draft.person = Some(query.subject.clone());
    draft.category = Some(query.category);
    draft.recipients = vec![Party::Agency(review.recipient.clone())];
    draft.gate = review.gate.parse().ok();
    draft
}
