//! A rating that its agency takes back: the cell falls back to what is left, and gates close for what is asked from then on.
//! Both statements stay. Deliveries may overtake one another, so a rating that comes after its withdrawal changes nothing.

use std::{collections::BTreeSet, sync::Arc};

use brag_common::{
    audit::entry::Digest,
    id::{AgencyId, EnquiryRef, PersonRef, RequestId},
    statement::{Body, Statement},
    time::Timestamp,
};

use crate::{
    changes::{self, Changed},
    guard::Refusal,
    hub::Shared,
    round,
    store::{
        Change,
        shapes::{CellRecord, CellState, RatingChangeRecord, SaidRecord, StatementRecord},
    },
    take, view,
};

/// Ratings that their own signers have withdrawn.
pub type Withdrawn = BTreeSet<(AgencyId, RequestId)>;

/// Every withdrawal among statements.
#[must_use]
pub fn withdrawn(statements: &[StatementRecord]) -> Withdrawn {
    statements
        .iter()
        .filter_map(|kept| kept.signed.read_unverified().ok())
        .filter_map(|statement| match statement.body {
            Body::RatingWithdrawn { rating, .. } => Some((statement.signer, rating)),
            _ => None,
        })
        .collect()
}

/// A withdrawal that came in.
#[derive(Debug, Clone, Copy)]
pub struct Withdrawal<'a> {
    /// The enquiry.
    pub enquiry: &'a EnquiryRef,
    /// Whose rating.
    pub agency: &'a AgencyId,
    /// Of whom.
    pub person: &'a PersonRef,
    /// The rating's own name.
    pub rating: &'a RequestId,
    /// The agency knows the person and is to rate anew.
    pub still_known: bool,
    /// The withdrawal's own name.
    pub statement: &'a RequestId,
    /// Digest of the withdrawal.
    pub evidence: Digest,
    /// The delivery that brought it.
    pub exchange: &'a RequestId,
}

/// Keeps a withdrawal, whose statement is in `change`, and what becomes of the cell.
///
/// # Errors
/// When the change can not be recorded, or the store fails.
pub async fn withdraw(
    shared: &Arc<Shared>,
    taken_back: Withdrawal<'_>,
    mut change: Change,
) -> Result<(), Refusal> {
    let Withdrawal { enquiry, agency, person, rating, .. } = taken_back;
    let cells = shared.cell_locks.of(enquiry, agency).await;
    let (name, by, about) = (enquiry.clone(), agency.clone(), person.clone());
    let (record, cell, statements, history) = shared
        .store
        .run(move |store| {
            let cell = store.cell(&name, &by, &about)?;
            let history = store.rating_changes(&name)?;
            Ok((store.enquiry(&name)?, cell, store.statements(&name)?, history))
        })
        .await?;
    let record = record.ok_or(Refusal::NotFound("enquiry"))?;
    let now = shared.clock.now();
    let mut gone = withdrawn(&statements);
    gone.insert((agency.clone(), rating.clone()));
    let known = Known { gone: &gone, statements: &statements, history: &history };
    let next = cell.as_ref().and_then(|cell| left_over(&cell.state, &taken_back, known));
    let next = next.map(|state| CellRecord { state, since: now });
    let mut changed = Vec::new();
    if let Some(next) = &next {
        change.cell(enquiry, agency, person, next)?;
        if let Some(before) = cell.as_ref().and_then(|cell| changes::rating_in(&cell.state)) {
            changed.push(Changed {
                agency,
                person: person.clone(),
                cause: taken_back.statement.clone(),
                evidence: taken_back.evidence,
                before: before.clone(),
                after: changes::rating_in(&next.state).cloned(),
                withdrawn: true,
            });
        }
    }
    let news = changes::keep(shared, enquiry, taken_back.exchange, changed, &mut change).await?;
    shared.store.run(move |store| store.commit(change)).await?;
    drop(cells);
    for event in news {
        shared.tell(enquiry, event);
    }
    let asks_again = !taken_back.still_known;
    if asks_again && next.as_ref().is_some_and(|next| next.state == CellState::Pending) {
        round::start_one(shared, enquiry, agency);
    }
    if let Some(next) = next {
        let cell = view::matrix_cell(agency, person, &take::cell(&next), now, &record);
        shared.tell(enquiry, view::cell_event(now, cell));
    }
    Ok(())
}

/// What is kept of an enquiry's ratings.
#[derive(Clone, Copy)]
struct Known<'a> {
    gone: &'a Withdrawn,
    statements: &'a [StatementRecord],
    history: &'a [RatingChangeRecord],
}

/// What a cell says once ratings are gone; `None` when it stays as it is. Pure.
fn left_over(
    cell: &CellState,
    taken_back: &Withdrawal<'_>,
    Known { gone, statements, history }: Known<'_>,
) -> Option<CellState> {
    let Withdrawal { agency, person, rating, still_known, .. } = taken_back;
    let late = match cell {
        CellState::Answered { late, .. } => *late,
        CellState::Pending | CellState::NoResponse(_) => false,
    };
    let read = || statements.iter().filter_map(|kept| kept.signed.read_unverified().ok());
    let through_another = read().any(|one| {
        one.id == **rating && matches!(&one.body, Body::Rating(given) if given.via.is_some())
    });
    let still = read()
        .filter(|one| {
            one.signer == **agency && !gone.contains(&((*agency).clone(), one.id.clone()))
        })
        .filter_map(|one| rating_of(one, person, history))
        .max_by_key(|(rated_at, _)| *rated_at);
    let said = match (cell, still) {
        // The rating that it shows is not the one that was taken back.
        (
            CellState::Answered { said: SaidRecord::Rated { rated_at: shown, .. }, .. },
            Some((left, _)),
        ) if left == *shown => return None,
        (_, Some((_, said))) => said,
        // It rested on somebody else's record, so the agency may know this person all the same: it is asked again.
        (_, None) if through_another => return Some(CellState::Pending),
        // The agency knows the person, and its assessor has to judge anew.
        (_, None) if *still_known => return Some(CellState::Pending),
        (_, None) => SaidRecord::NotKnown,
    };
    Some(CellState::Answered { said, late })
}

/// A rating as a cell shows it, with the analysis of the version that was replaced.
fn rating_of(
    statement: Statement,
    person: &PersonRef,
    history: &[RatingChangeRecord],
) -> Option<(Timestamp, SaidRecord)> {
    let Body::Rating(rating) = statement.body else { return None };
    let analysis = history
        .iter()
        .filter(|change| change.agency == statement.signer && change.person == *person)
        .find_map(|change| match &change.before {
            SaidRecord::Rated { rated_at, analysis, .. } if *rated_at == rating.rated_at => {
                Some(analysis.clone())
            }
            _ => None,
        });
    (rating.person.person == *person).then(|| {
        let said = SaidRecord::Rated {
            colour: rating.colour,
            rated_at: rating.rated_at,
            analysis: analysis.unwrap_or_default(),
            topics: rating.topics.into_iter().collect(),
            via: rating.via.map(|via| via.person),
            by: statement.made_by,
        };
        (rating.rated_at, said)
    })
}
