//! Ratings that are replaced or withdrawn. The old version stays beside the new one, the change is recorded and told, and
//! challenges of the old version are answered by it. Gates close for what is asked from then on; what was released
//! before stays what it was.

use std::sync::Arc;

use brag_common::{
    audit::entry::{Action, Digest, EntryDraft, Party},
    id::{AgencyId, EnquiryRef, PersonRef, RequestId},
    wire::pb::WatchResponse,
};

use crate::{
    guard::Refusal,
    hub::Shared,
    store::{
        Change,
        shapes::{CellState, ChallengeRecord, ChallengeStatus, RatingChangeRecord, SaidRecord},
    },
    view,
};

/// A rating that gives way.
#[derive(Debug)]
pub struct Changed<'a> {
    /// Whose rating.
    pub agency: &'a AgencyId,
    /// Of whom.
    pub person: PersonRef,
    /// The statement that changes it: a newer rating, or a withdrawal.
    pub cause: RequestId,
    /// Digest of that statement.
    pub evidence: Digest,
    /// The rating before.
    pub before: SaidRecord,
    /// The rating after; `None`: none is left.
    pub after: Option<SaidRecord>,
    /// It was withdrawn, and not replaced.
    pub withdrawn: bool,
}

/// The rating in a cell, if there is one.
#[must_use]
pub fn rating_in(state: &CellState) -> Option<&SaidRecord> {
    match state {
        CellState::Answered { said: said @ SaidRecord::Rated { .. }, .. } => Some(said),
        CellState::Answered { .. } | CellState::Pending | CellState::NoResponse(_) => None,
    }
}

/// Records changes and puts them into `change`, with the end of the challenges that they answer. Gives what is to be
/// told once the change is kept. The caller holds the lock of the agency's cells.
///
/// # Errors
/// When nothing can be recorded, or the store fails.
pub async fn keep(
    shared: &Arc<Shared>,
    enquiry: &EnquiryRef,
    exchange: &RequestId,
    changes: Vec<Changed<'_>>,
    change: &mut Change,
) -> Result<Vec<WatchResponse>, Refusal> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let drafts = changes.iter().map(|changed| entry(shared, enquiry, exchange, changed)).collect();
    shared.log.record_all::<EntryDraft>(drafts).await?;
    let name = enquiry.clone();
    let challenges = shared.store.run(move |store| store.challenges(&name)).await?;
    let now = shared.clock.now();
    let mut news = Vec::new();
    for Changed { agency, person, cause, before, after, withdrawn, .. } in changes {
        for (id, challenge) in &challenges {
            if challenge.of == *agency
                && challenge.person == person
                && matches!(challenge.status, ChallengeStatus::Open { .. })
            {
                let answered = ChallengeRecord {
                    status: ChallengeStatus::Changed { at: now },
                    ..challenge.clone()
                };
                change.challenge(enquiry, id, &answered)?;
                news.push(view::challenge_event(now, id, &answered));
            }
        }
        let record = RatingChangeRecord {
            agency: agency.clone(),
            person,
            at: now,
            before,
            after,
            withdrawn,
        };
        change.rating_change(enquiry, &cause, &record)?;
        news.push(view::rating_changed_event(&record));
    }
    Ok(news)
}

fn entry(
    shared: &Shared,
    enquiry: &EnquiryRef,
    exchange: &RequestId,
    changed: &Changed<'_>,
) -> EntryDraft {
    let mut draft = shared.draft(Action::RatingChanged);
    draft.enquiry = Some(enquiry.clone());
    draft.person = Some(changed.person.clone());
    draft.exchange = Some(exchange.clone());
    draft.peer = Some(Party::Agency(changed.agency.clone()));
    draft.evidence = vec![changed.evidence];
    // No colour: the log says that it changed, the enquiry says how.
    draft.decision = if changed.withdrawn { "withdrawn" } else { "replaced" }.parse().ok();
    draft
}
