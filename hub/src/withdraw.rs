//! A rating that its agency takes back: the cell falls back to what is left, and gates close for what is asked from then on.
//! Both statements stay. Deliveries may overtake one another, so a rating that comes after its withdrawal changes nothing.

use std::{collections::BTreeSet, sync::Arc};

use brag_common::{
    id::{AgencyId, EnquiryRef, PersonRef, RequestId},
    statement::{Body, Statement},
};

use crate::{
    guard::Refusal,
    hub::Shared,
    round,
    store::{
        Change,
        shapes::{CellRecord, CellState, SaidRecord, StatementRecord},
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

/// Keeps a withdrawal, whose statement is in `change`, and what becomes of the cell.
///
/// # Errors
/// When the store fails.
pub async fn withdraw(
    shared: &Arc<Shared>,
    (enquiry, agency): (&EnquiryRef, &AgencyId),
    person: &PersonRef,
    rating: &RequestId,
    mut change: Change,
) -> Result<(), Refusal> {
    let cells = shared.cell_locks.of(enquiry, agency).await;
    let (name, by, about) = (enquiry.clone(), agency.clone(), person.clone());
    let (record, cell, statements) = shared
        .store
        .run(move |store| {
            let cell = store.cell(&name, &by, &about)?;
            Ok((store.enquiry(&name)?, cell, store.statements(&name)?))
        })
        .await?;
    let record = record.ok_or(Refusal::NotFound("enquiry"))?;
    let now = shared.clock.now();
    let mut gone = withdrawn(&statements);
    gone.insert((agency.clone(), rating.clone()));
    let taken_back = Taken { agency, person, rating };
    let next = cell.and_then(|cell| left_over(&cell.state, taken_back, &gone, &statements));
    let next = next.map(|state| CellRecord { state, since: now });
    if let Some(next) = &next {
        change.cell(enquiry, agency, person, next)?;
    }
    shared.store.run(move |store| store.commit(change)).await?;
    drop(cells);
    if next.as_ref().is_some_and(|next| next.state == CellState::Pending) {
        round::start_one(shared, enquiry, agency);
    }
    if let Some(next) = next {
        let cell = view::matrix_cell(agency, person, &take::cell(&next), now, record.answer_by);
        shared.tell(enquiry, view::cell_event(now, cell));
    }
    Ok(())
}

/// A rating that is taken back.
#[derive(Clone, Copy)]
struct Taken<'a> {
    agency: &'a AgencyId,
    person: &'a PersonRef,
    rating: &'a RequestId,
}

/// What a cell says once ratings are gone; `None` when it stays as it is. Pure.
fn left_over(
    known: &CellState,
    Taken { agency, person, rating }: Taken<'_>,
    gone: &Withdrawn,
    statements: &[StatementRecord],
) -> Option<CellState> {
    let late = match known {
        CellState::Answered { late, .. } => *late,
        CellState::Pending | CellState::NoResponse(_) => false,
    };
    let read = || statements.iter().filter_map(|kept| kept.signed.read_unverified().ok());
    let through_another = read().any(|one| {
        one.id == *rating && matches!(&one.body, Body::Rating(given) if given.via.is_some())
    });
    let still = read()
        .filter(|one| one.signer == *agency && !gone.contains(&(agency.clone(), one.id.clone())))
        .filter_map(|one| rating_of(one, person))
        .max_by_key(|(rated_at, _)| *rated_at);
    let said = match (known, still) {
        // The rating that it shows is not the one that was taken back.
        (
            CellState::Answered { said: SaidRecord::Rated { rated_at: shown, .. }, .. },
            Some((left, _)),
        ) if left == *shown => return None,
        (_, Some((_, said))) => said,
        // It rested on somebody else's record, so the agency may know this person all the same: it is asked again.
        (_, None) if through_another => return Some(CellState::Pending),
        (_, None) => SaidRecord::NotKnown,
    };
    Some(CellState::Answered { said, late })
}

/// A rating as a cell shows it. Its analysis went when it was replaced.
fn rating_of(
    statement: Statement,
    person: &PersonRef,
) -> Option<(brag_common::time::Timestamp, SaidRecord)> {
    let Body::Rating(rating) = statement.body else { return None };
    (rating.person.person == *person).then(|| {
        let said = SaidRecord::Rated {
            colour: rating.colour,
            rated_at: rating.rated_at,
            analysis: String::new(),
            topics: rating.topics.into_iter().collect(),
            via: rating.via.map(|via| via.person),
            by: statement.made_by,
        };
        (rating.rated_at, said)
    })
}
