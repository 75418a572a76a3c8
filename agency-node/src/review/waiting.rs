//! Releases that wait, as those see them who may act on them.

use std::sync::Arc;

use brag_common::{
    durable::StoreError,
    enquiry::ReleaseQuery,
    id::WorkRef,
    wire::{self, pb},
};

use crate::{
    config::Role,
    conflict::Links,
    guard::{Refusal, SignedIn},
    node::Shared,
    store::{Store, shapes::Review},
};

/// The most bytes of redacted texts in one list, which has to fit into a message.
const MAX_TEXTS_BYTES: usize = 96 * 1024;

/// A release that waits.
#[derive(Debug)]
pub struct ToApprove {
    work: WorkRef,
    review: Review,
    query: ReleaseQuery,
    /// What is held is also about somebody else.
    third_party: bool,
}

/// Releases that wait for this person, the soonest to end first: all for an approver, for a deputy those that were escalated;
/// for neither those about a family that they are linked to.
///
/// # Errors
/// When the store fails.
pub async fn list(shared: &Arc<Shared>, who: &SignedIn) -> Result<Vec<ToApprove>, Refusal> {
    let now = shared.clock.now();
    let role = who.role();
    let sees = move |review: &Review| {
        let asked = match role {
            Role::Approver => true,
            Role::Deputy => review.escalated_at.is_some(),
            Role::Assessor | Role::Governance | Role::Auditor | Role::Operator => false,
        };
        asked && review.ended.is_none() && review.decide_by > now
    };
    let links = Links::of(shared, who.name());
    let waiting = shared.store.run(move |store| {
        let mut waiting = Vec::new();
        for (work, review) in store.reviews()?.into_iter().filter(|(_, review)| sees(review)) {
            if links.reach(store, &review.enquiry)? {
                continue;
            }
            let query = wire::release::decode(&review.request)
                .map_err(|_| StoreError::Corrupt { what: "a request does not read back" })?;
            let third_party = is_about_others(store, &query)?;
            waiting.push(ToApprove { work, review, query, third_party });
        }
        Ok(waiting)
    });
    let mut waiting = waiting.await?;
    waiting.sort_by(|a, b| {
        (a.review.decide_by, a.work.as_str()).cmp(&(b.review.decide_by, b.work.as_str()))
    });
    Ok(waiting)
}

fn is_about_others(store: &Store, query: &ReleaseQuery) -> Result<bool, StoreError> {
    let person = store.person_in(&query.enquiry, &query.subject)?;
    let Some(opened) = person.and_then(|person| person.opened) else { return Ok(false) };
    let entries = store.entries(opened.record, query.category)?;
    Ok(entries.iter().any(|entry| entry.third_party))
}

/// The list as wire messages. Redacted texts that no longer fit are left out; their names are not.
#[must_use]
pub fn messages(waiting: &[ToApprove]) -> Vec<pb::ReviewWork> {
    let mut n_bytes = 0_usize;
    let message = |item: &ToApprove| {
        let mut message = message(item);
        if let Some(redaction) = &mut message.redaction {
            n_bytes = n_bytes.saturating_add(redaction.text.len());
            if n_bytes > MAX_TEXTS_BYTES {
                redaction.text.clear();
            }
        }
        message
    };
    waiting.iter().map(message).collect()
}

fn message(item: &ToApprove) -> pb::ReviewWork {
    let ToApprove { work, review, query, third_party } = item;
    pb::ReviewWork {
        work: work.to_string(),
        release: review.release.to_string(),
        enquiry: review.enquiry.to_string(),
        person: query.subject.to_string(),
        category: query.category.to_string(),
        recipient: review.recipient.to_string(),
        approvals_needed: review.approvals_needed,
        approvals_given: u32::try_from(review.approved_by.len()).unwrap_or(u32::MAX),
        necessity: query.basis.necessity.as_deref().unwrap_or_default().to_owned(),
        gate: review.gate.clone(),
        escalates_at_unix_ms: review.escalate_at.as_millisecond(),
        escalated_at_unix_ms: review.escalated_at.map_or(0, |at| at.as_millisecond()),
        decide_by_unix_ms: review.decide_by.as_millisecond(),
        must_be_redacted: *third_party,
        redaction: review.redaction.as_ref().map(|redaction| pb::Redaction {
            name: redaction.name.to_string(),
            text: redaction.text.clone(),
            by: redaction.by.to_string(),
            reason: redaction.reason.clone(),
        }),
    }
}
