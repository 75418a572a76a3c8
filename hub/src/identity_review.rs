//! Between the thresholds: a co-ordinator lets one agency compare one person whom it may know.
//!
//! Nothing is disclosed on a possible match by itself. The authority is for one agency and one person, is recorded before
//! anything is sent, and stands until the agency has taken it up; the reason stays in this store.

use std::{collections::BTreeMap, sync::Arc};

use brag_common::{
    audit::entry::{Action, Party},
    durable::StoreError,
    id::{AgencyId, EnquiryRef, PersonRef},
    time::Timestamp,
};

use crate::{
    guard::{Refusal, SignedIn},
    hub::Shared,
    matrix::{Cell, Said, State},
    round,
    store::{Change, Store, shapes::IdentityReviewRecord},
    take,
};

/// The longest reason, in characters.
const MAX_REASON_CHARS: usize = 600;

/// What a co-ordinator authorises.
#[derive(Debug)]
pub struct Wanted {
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// The agency that may know the person.
    pub agency: AgencyId,
    /// The person.
    pub person: PersonRef,
    /// Why.
    pub reason: String,
}

/// Authorises a comparison: recorded and kept, then the agency is screened again and told.
///
/// # Errors
/// When the reason is missing, the cell does not say identity review, it was authorised before, or nothing can be
/// recorded.
pub async fn authorise(
    shared: &Arc<Shared>,
    who: &SignedIn,
    wanted: Wanted,
) -> Result<(), Refusal> {
    shared.in_force()?;
    let Wanted { enquiry, agency, person, reason } = wanted;
    let n_chars = reason.trim().chars().count();
    if !(1..=MAX_REASON_CHARS).contains(&n_chars) {
        return Err(Refusal::rule("reason_missing", "give a reason of 1 to 600 characters"));
    }
    // Two authorities for one cell, or an answer that comes meanwhile: one after the other.
    let cells = shared.cell_locks.of(&enquiry, &agency).await;
    let (name, by, about) = (enquiry.clone(), agency.clone(), person.clone());
    let (cell, authorised) = shared
        .store
        .run(move |store| Ok((store.cell(&name, &by, &about)?, Authorised::load(store, &name)?)))
        .await?;
    let cell = cell.ok_or(Refusal::NotFound("agency and person in an enquiry"))?;
    if authorised.covers(&agency, &person) {
        return Err(Refusal::rule(
            "identity_review_authorised",
            "this was authorised before; the agency compares",
        ));
    }
    match said(&take::cell(&cell)) {
        Some(Said::Possible) => {}
        Some(Said::IdentityReview) => {
            return Err(Refusal::rule(
                "identity_review_told",
                "the agency has been told and compares already; there is nothing to authorise",
            ));
        }
        None | Some(Said::Rated(_) | Said::NotKnown | Said::Unable(_) | Said::Declined(_)) => {
            return Err(Refusal::rule(
                "identity_not_possible",
                "the agency's answer about this person is not a possible match",
            ));
        }
    }
    let mut draft = shared.draft(Action::IdentityReviewed);
    draft.enquiry = Some(enquiry.clone());
    draft.person = Some(person.clone());
    draft.peer = Some(Party::Agency(agency.clone()));
    draft.decision = "authorised".parse().ok();
    shared.log.record(who.signs(draft)).await?;
    let record = IdentityReviewRecord {
        by: who.name().clone(),
        at: shared.clock.now(),
        reason: reason.trim().to_owned(),
        told_at: None,
    };
    let mut change = Change::new();
    change.identity_review(&enquiry, &agency, &person, &record)?;
    shared.store.run(move |store| store.commit(change)).await?;
    drop(cells);
    round::start_one(shared, &enquiry, &agency);
    Ok(())
}

/// The comparisons that were authorised in one enquiry.
#[derive(Debug, Default)]
pub struct Authorised(BTreeMap<(AgencyId, PersonRef), IdentityReviewRecord>);

impl Authorised {
    /// Those of an enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn load(store: &Store, enquiry: &EnquiryRef) -> Result<Self, StoreError> {
        let rows = store.identity_reviews(enquiry)?;
        let of = |(agency, person, record)| ((agency, person), record);
        Ok(Self(rows.into_iter().map(of).collect()))
    }

    fn of(&self, agency: &AgencyId, person: &PersonRef) -> Option<&IdentityReviewRecord> {
        self.0.get(&(agency.clone(), person.clone()))
    }

    /// Whether an agency may compare a person.
    #[must_use]
    pub fn covers(&self, agency: &AgencyId, person: &PersonRef) -> bool {
        self.of(agency, person).is_some()
    }

    /// Whether an agency may compare a person and has still to be told: it is asked until it has.
    #[must_use]
    pub fn is_untold(&self, agency: &AgencyId, person: &PersonRef, cell: &Cell) -> bool {
        matches!(said(cell), Some(Said::Possible | Said::IdentityReview))
            && self.of(agency, person).is_some_and(|review| review.told_at.is_none())
    }

    /// Keeps that the agency has taken it up, where there was an authority.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub fn tell(
        &self,
        enquiry: &EnquiryRef,
        agency: &AgencyId,
        person: &PersonRef,
        at: Timestamp,
        change: &mut Change,
    ) -> Result<(), StoreError> {
        let Some(review) = self.of(agency, person) else { return Ok(()) };
        let told = IdentityReviewRecord { told_at: Some(at), ..review.clone() };
        change.identity_review(enquiry, agency, person, &told)
    }
}

const fn said(cell: &Cell) -> Option<&Said> {
    match &cell.state {
        State::Answered { said, .. } => Some(said),
        State::Pending | State::NoResponse(_) => None,
    }
}
