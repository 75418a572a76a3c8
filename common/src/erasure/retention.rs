//! The retention rule: what has been kept for as long as the agreement says is erased by the program itself.
//!
//! The period is the agreement's `[retention] ratings_after_close`, in units of the calendar, in UTC. It counts from
//! the last thing that came about in the enquiry at this program, of which its close is one, and never before
//! the round has closed: what nobody has touched for so long is not kept because somebody forgot to close it. Each program says in one function which moment that is ([`Erasable::counts_from`]).

use std::sync::{Arc, atomic::Ordering};

use tokio_util::sync::CancellationToken;

use super::{
    Erasable, LOOK_EVERY, NotDone, Rule, complete, erase, moment, not_held, run as off_thread,
};
use crate::{
    audit::entry::Actor,
    id::EnquiryRef,
    status::PeerFacing as _,
    time::{SignedDuration, Timestamp},
};

/// At the latest so long after a look everything is looked at again: a new version of the agreement may have another period.
const LOOK_AT_ALL_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// How long until something that failed is tried again: the log or the disk needs a person.
const TRY_AGAIN_AFTER: std::time::Duration = std::time::Duration::from_secs(2);

/// Erases what is due until `shutdown`; first what an earlier run has begun.
pub async fn run<E: Erasable>(of: Arc<E>, shutdown: CancellationToken) {
    loop {
        let mut wait = LOOK_EVERY;
        if of.erasing().due_ms.load(Ordering::SeqCst) <= of.clock().now().as_millisecond()
            && let Err(error) = sweep(&of).await
        {
            tracing::warn!(code = error.code(), "could not erase what is due; it is tried again");
            of.erasing().due_ms.store(i64::MIN, Ordering::SeqCst);
            wait = TRY_AGAIN_AFTER;
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Does what was begun, erases what is due, and finds out when something is due next.
pub(super) async fn sweep<E: Erasable>(of: &Arc<E>) -> Result<(), NotDone> {
    let now = of.clock().now();
    let latest = now.checked_add(LOOK_AT_ALL_EVERY).unwrap_or(Timestamp::MAX);
    // What happens meanwhile brings the time forward again.
    of.erasing().due_ms.store(latest.as_millisecond(), Ordering::SeqCst);
    complete(of).await?;
    // One that can not be erased holds up no other.
    let mut failed = None;
    for enquiry in off_thread(of, |of| of.durable().scopes()).await? {
        match look_at(of, &enquiry, now).await {
            Ok(Some(due)) => {
                _ = of.erasing().due_ms.fetch_min(due.as_millisecond(), Ordering::SeqCst);
            }
            Ok(None) => {}
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Erases an enquiry that is due; otherwise says when it will be. `None` when it is held, erased, or nothing of it is kept.
async fn look_at<E: Erasable>(
    of: &Arc<E>,
    enquiry: &EnquiryRef,
    now: Timestamp,
) -> Result<Option<Timestamp>, NotDone> {
    let _alone = of.erasing().alone.lock().await;
    let Some(from) = moment(of, enquiry).await? else { return Ok(None) };
    let due = of.period().after(from);
    if due > now {
        return Ok(Some(due));
    }
    match not_held(of, enquiry).await {
        Ok(()) => _ = erase(of, enquiry, Rule::Retention, Actor::Program).await?,
        Err(NotDone::Rule { .. }) => {}
        Err(failed) => return Err(failed),
    }
    Ok(None)
}
