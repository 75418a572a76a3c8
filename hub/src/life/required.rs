//! Whose answer is waited for. Everybody is asked; the agreement says whose answer has to come before an enquiry can be closed.
//! Not known is an answer; silence, unable and declined are none.

use std::collections::BTreeSet;

use brag_common::{
    agreement::{Condition, Party, Requirement},
    id::{AgencyId, PersonRef},
    rating::Colour,
};

use super::case::Case;
use crate::matrix::{Cell, Said, State};

/// Whether a cell holds what counts as an answer.
#[must_use]
pub const fn is_answered(cell: &Cell) -> bool {
    matches!(&cell.state, State::Answered { said: Said::Rated(_) | Said::NotKnown, .. })
}

/// Every agency and person whose required answer has not come.
#[must_use]
pub fn missing(case: &Case<'_>) -> BTreeSet<(AgencyId, PersonRef)> {
    let any_red = case.family_level() == Some(Colour::Red);
    case.matrix
        .iter()
        .filter(|(_, cell)| !is_answered(cell))
        .map(|(place, _)| place)
        .filter(|(agency, person)| {
            let party = case.agreement.party(agency).filter(|party| party.in_force(case.now));
            party.is_some_and(|party| is_required(case, party, person, any_red))
        })
        .cloned()
        .collect()
}

/// Whether the answer of a party about a person, which has not come, is waited for.
fn is_required(case: &Case<'_>, party: &Party, person: &PersonRef, any_red: bool) -> bool {
    match party.requirement() {
        Requirement::Core => true,
        Requirement::Recommended => {
            !case.plan.waivers.contains_key(&(party.id().clone(), person.clone()))
        }
        // Whether it knows the person is not known before it has answered.
        Requirement::Conditional => party.when().iter().all(|condition| match condition {
            Condition::Known => true,
            Condition::AnyRed => any_red,
        }),
    }
}

/// Those of [`missing`] that have to be chased: the agency could not or would not answer, the round is over, or a section 47 clock has
/// started, so that the decision is made without it.
#[must_use]
pub fn to_chase(
    case: &Case<'_>,
    missing: &BTreeSet<(AgencyId, PersonRef)>,
    section_47_started: bool,
) -> BTreeSet<(AgencyId, PersonRef)> {
    let over = section_47_started || case.now > case.record.answer_by;
    let waits = |place: &&(AgencyId, PersonRef)| {
        over || case.matrix.get(*place).is_some_and(|cell| cell.state != State::Pending)
    };
    missing.iter().filter(waits).cloned().collect()
}
