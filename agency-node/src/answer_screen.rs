//! Screening: which of these tokens belong to people the agency knows? The answer has one size and takes
//! one path, hit or miss; it is recorded before it leaves.

use std::sync::Arc;

use brag_common::{
    audit::{
        Recordable, Recorded,
        entry::{Action, EntryDraft, Party},
    },
    enquiry::ScreenQuery,
    matching::{screen, token::Epoch},
};
use rand_core::OsRng;

use crate::{
    enrol,
    guard::Refusal,
    node::Shared,
    store::shapes::{Candidate, Screened},
};

/// The answers to one screening, and the entry that tells of it: never which slots hit.
#[derive(Debug)]
pub struct Answers {
    draft: EntryDraft,
    slots: Vec<Vec<u8>>,
}

impl Recordable for Answers {
    fn entry(&self) -> EntryDraft {
        self.draft.clone()
    }
}

impl Answers {
    /// The answers, one for each slot.
    #[must_use]
    pub fn into_slots(self) -> Vec<Vec<u8>> {
        self.slots
    }
}

/// Answers a screening by the hub.
///
/// # Errors
/// When the request is stale, repeated, under another agreement, beyond the budget or of an epoch in which the agency has not enrolled,
/// or nothing can be recorded.
pub async fn answer_screen(
    shared: &Arc<Shared>,
    query: ScreenQuery,
) -> Result<Recorded<Answers>, Refusal> {
    shared.admit(&query.envelope)?;
    shared.under_agreement(&query.envelope)?;
    let place = shared.screenings.begin(shared.clock.now())?;
    let mut draft = shared.draft(Action::ScreenAnswered);
    draft.exchange = Some(query.envelope.request_id.clone());
    draft.peer = Some(Party::Hub);
    draft.count = Some(query.slots.len() as u64);

    let (request, valid_until) = (query.envelope.request_id.clone(), query.envelope.valid_until);
    let looking = Arc::clone(shared);
    let (slots, candidates) = tokio::task::spawn_blocking(move || look_up(&looking, &query))
        .await
        .map_err(|_| Refusal::Internal)??;
    let now = shared.clock.now();
    shared.remember_screened(request, Screened { valid_until, candidates }, now);
    let recorded = shared.log.record(Answers { draft, slots }).await?;
    place.answered(recorded.number(), now);
    Ok(recorded)
}

type LookedUp = (Vec<Vec<u8>>, Vec<Candidate>);

fn look_up(shared: &Shared, query: &ScreenQuery) -> Result<LookedUp, Refusal> {
    // Fail closed: no token of another epoch or key can hit, and "not known" would be false.
    let epoch = Epoch(u64::from(query.epoch));
    let index = shared.index.of_epoch(epoch).ok_or_else(|| {
        Refusal::rule("epoch_not_enrolled", "this agency has no tokens of the epoch asked in")
    })?;
    if enrol::public_key(&shared.store, epoch)? != Some(query.public_key) {
        let text = "these tokens were not made under the key that this agency enrolled with";
        return Err(Refusal::rule("another_key", text));
    }
    shared.told.of(Epoch(u64::from(query.newest_epoch)));
    let mut candidates = Vec::new();
    let mut slots = Vec::with_capacity(query.slots.len());
    for tags in &query.slots {
        let (answer, found) = screen::screen(&index, &query.envelope.request_id, tags, &mut OsRng)
            .map_err(|_| Refusal::Internal)?;
        slots.push(answer.to_bytes());
        candidates.extend(
            found.into_iter().map(|hit| Candidate { handle: hit.handle, record: hit.record }),
        );
    }
    Ok((slots, candidates))
}
