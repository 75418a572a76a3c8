//! The clock of reviews: at its share a review is escalated to the deputies, at its end it is refused.
//!
//! The times are kept with each review, so a node that was stopped catches up when it starts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use brag_common::{
    audit::entry::{Action, Party},
    id::WorkRef,
    reason::Reason,
    statement::DecidedOutcome,
    status::PeerFacing as _,
    time::Timestamp,
};
use tokio_util::sync::CancellationToken;

use crate::{
    case::Case,
    config::Role,
    desk::send,
    guard::Refusal,
    node::Shared,
    outbox,
    store::{
        Change,
        shapes::{Review, ReviewEnd},
    },
};

use super::{Ending, about, outcome_of, query_of};

/// How often the clock is looked at for reviews whose time has come. Looking costs nothing while none has.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long until something that failed is tried again: the log or the disk needs a person.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// When the next review is escalated or ends, in milliseconds since 1970.
#[derive(Debug)]
pub struct Deadlines(AtomicI64);

impl Default for Deadlines {
    /// At once: what is kept has to be looked at first.
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl Deadlines {
    /// A review begins whose time first comes then; `None`: none does.
    pub fn bring_forward(&self, at: Option<Timestamp>) {
        if let Some(at) = at {
            self.0.fetch_min(at.as_millisecond(), Ordering::SeqCst);
        }
    }
}

/// Escalates and ends reviews as their time comes, until `shutdown`.
pub async fn run(shared: Arc<Shared>, shutdown: CancellationToken) {
    if !has_deputies(&shared) {
        tracing::warn!("no deputy is among the staff, so a review is not escalated to anybody");
    }
    loop {
        let mut wait = LOOK_EVERY;
        if shared.deadlines.0.load(Ordering::SeqCst) <= shared.clock.now().as_millisecond()
            && let Err(error) = sweep(&shared).await
        {
            tracing::warn!(
                code = error.code(),
                "could not escalate or end every review; it is tried again"
            );
            shared.deadlines.0.store(i64::MIN, Ordering::SeqCst);
            wait = TRY_AGAIN_AFTER;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn has_deputies(shared: &Shared) -> bool {
    shared.config.staff.iter().any(|person| person.roles.contains(&Role::Deputy))
}

/// Does what is due, and finds out when something is due next.
async fn sweep(shared: &Arc<Shared>) -> Result<(), Refusal> {
    let _alone = shared.at_desk.lock().await;
    // Reviews that begin meanwhile bring it forward again.
    shared.deadlines.0.store(i64::MAX, Ordering::SeqCst);
    let now = shared.clock.now();
    let escalates = has_deputies(shared);
    let reviews = shared.store.run(|store| store.reviews()).await?;
    let mut outcome = Ok(());
    for (work, review) in reviews.into_iter().filter(|(_, review)| review.ended.is_none()) {
        let (waits_for_deputies, decide_by) =
            (escalates && review.escalated_at.is_none(), review.decide_by);
        let done = if decide_by <= now {
            time_out(shared, work, review).await
        } else if waits_for_deputies && review.escalate_at <= now {
            shared.deadlines.bring_forward(Some(decide_by));
            escalate(shared, work, review).await
        } else {
            let next = if waits_for_deputies { review.escalate_at } else { decide_by };
            shared.deadlines.bring_forward(Some(next));
            Ok(())
        };
        // One that can not be dealt with holds up no other.
        outcome = outcome.and(done);
    }
    outcome
}

/// Lets deputies act, and tells the hub so.
async fn escalate(shared: &Arc<Shared>, work: WorkRef, mut review: Review) -> Result<(), Refusal> {
    let query = query_of(&review)?;
    review.escalated_at = Some(shared.clock.now());
    let given = u32::try_from(review.approved_by.len()).unwrap_or(u32::MAX);
    let case = Case::weigh(shared, &query).await?;
    let decision = case.sign(
        &review.recipient,
        DecidedOutcome::Review {
            gate: review.gate.clone(),
            approvals_needed: review.approvals_needed.saturating_sub(given),
            wait: Some(review.wait()),
        },
    )?;
    let exchange = outbox::new_exchange()?;
    let mut draft = about(shared.draft(Action::ReviewEscalated), &review, &query);
    draft.peer = Some(Party::Hub);
    draft.reason = Some(Reason::PendingApproval);
    draft.exchange = Some(exchange.clone());
    shared.log.record(draft).await?;
    let mut change = Change::new();
    change.review(&work, &review)?;
    outcome_of(shared, &exchange, &review, &decision, &mut change);
    send(shared, change).await
}

/// Ends a review that too few people have approved in time.
async fn time_out(shared: &Arc<Shared>, work: WorkRef, review: Review) -> Result<(), Refusal> {
    let query = query_of(&review)?;
    let mut draft = about(shared.draft(Action::ReviewExpired), &review, &query);
    draft.peer = Some(Party::Hub);
    let (reason, end) = (Reason::ApprovalTimeout, ReviewEnd::TimedOut);
    Ending { work, review, query, draft, reason, end }.carry_out(shared).await
}
