//! The life of an enquiry: who has to answer, clocks, flags, meetings, the plan, and its close.
//!
//! What people record is kept as steps, in order ([`crate::store::life`]). Where an enquiry stands is worked out from its steps,
//! cells and signed statements whenever somebody looks ([`Case`], [`Picture`]); nothing of it is stored, so there is nothing that a crash
//! could leave half-changed, and every clock is right when the hub comes back. Only when a flag was raised and cleared is kept, and
//! recorded in the log ([`settle`]).

use std::collections::BTreeSet;

use brag_common::{
    evidence::Evidence,
    id::{AgencyId, EnquiryRef, PersonRef},
    statement::Body,
    time::Timestamp,
};

use crate::{hub::Shared, matrix::Matrix, view::Whole};

pub mod agenda;
mod case;
pub mod clocks;
pub mod close;
pub mod closing;
pub mod flags;
pub mod plan;
pub mod record;
pub mod required;
pub mod settle;
pub mod show;
mod tell;
pub mod words;

#[cfg(test)]
mod tests;

pub use case::{Case, Received, signed_roles};

/// What follows of an enquiry at one moment.
#[derive(Debug)]
pub struct Picture {
    /// Agencies and people whose required answer has not come.
    pub missing: BTreeSet<(AgencyId, PersonRef)>,
    /// Those of them that have to be chased.
    pub to_chase: BTreeSet<(AgencyId, PersonRef)>,
    /// The section 47 clock; `None` while there is no ground for one.
    pub section_47: Option<clocks::Clock>,
    /// The clock of the highest colour; `None` while there is none, or at Blue.
    pub response: Option<clocks::Clock>,
}

impl Picture {
    /// Works it out.
    #[must_use]
    pub fn of(case: &Case<'_>) -> Self {
        let missing = required::missing(case);
        let section_47 = clocks::section_47(case);
        let to_chase = required::to_chase(case, &missing, section_47.is_some());
        let response = clocks::response(case, missing.is_empty().then(|| full_since(case)));
        Self { missing, to_chase, section_47, response }
    }

    /// When something comes about by itself, if it does.
    #[must_use]
    pub fn next(&self, case: &Case<'_>) -> Option<Timestamp> {
        let clocks = [self.section_47, self.response].into_iter().flatten();
        let due = clocks.filter(|clock| clock.waits()).map(|clock| clock.due_at);
        let actions =
            case.plan.actions.iter().filter(|one| one.counts()).filter_map(|one| one.due_at);
        let round = std::iter::once(case.record.answer_by);
        due.chain(actions).chain(round).filter(|at| *at >= case.now).min()
    }

    /// The clock that runs out first of those that wait.
    #[must_use]
    pub fn nearest(&self) -> Option<clocks::Clock> {
        let clocks = [self.section_47, self.response].into_iter().flatten();
        clocks.filter(clocks::Clock::waits).min_by_key(|clock| clock.due_at)
    }
}

/// When the last answer came: the first of each agency about each person, as far as it was signed.
fn full_since(case: &Case<'_>) -> Timestamp {
    let first = |agency: &AgencyId, person: &PersonRef| {
        let signed = case.received.iter().filter(|one| match &one.statement.body {
            Body::Rating(rating) => {
                one.statement.signer == *agency && rating.person.person == *person
            }
            _ => false,
        });
        signed.map(|one| one.at).min()
    };
    case.matrix
        .iter()
        .filter(|(_, cell)| required::is_answered(cell))
        .map(|((agency, person), cell)| match first(agency, person) {
            Some(at) if cell.rated().is_some() => at.min(cell.since),
            Some(_) | None => cell.since,
        })
        .fold(case.record.opened_at, Timestamp::max)
}

/// Everything that a [`Case`] borrows.
#[derive(Debug)]
pub struct Ground<'w> {
    whole: &'w Whole,
    matrix: Matrix,
    received: Vec<Received>,
    evidence: Evidence,
    plan: plan::Plan,
}

impl<'w> Ground<'w> {
    /// Reads what is stored of an enquiry.
    #[must_use]
    pub fn of(shared: &Shared, name: &EnquiryRef, whole: &'w Whole) -> Self {
        let received: Vec<Received> = whole
            .statements
            .iter()
            // Verified when it came.
            .filter_map(|kept| {
                let statement = kept.signed.read_unverified().ok()?;
                Some(Received { statement, at: kept.received_at })
            })
            .collect();
        let statements: Vec<_> = whole.statements.iter().map(|kept| kept.signed.clone()).collect();
        let evidence = Evidence::verify(
            &shared.agreement,
            &shared.realm,
            name,
            &whole.people(),
            &[],
            &statements,
        );
        let plan = plan::Plan::of(&whole.steps, &received);
        Self { whole, matrix: whole.matrix(), received, evidence, plan }
    }

    /// The enquiry at a moment.
    #[must_use]
    pub fn case<'a>(&'a self, shared: &'a Shared, now: Timestamp) -> Case<'a> {
        Case {
            agreement: shared.agreement.agreement(),
            words: &shared.words,
            record: &self.whole.record,
            matrix: &self.matrix,
            received: &self.received,
            facts: &self.evidence.facts,
            releases: self.whole.releases.iter().map(|(_, release)| release).collect(),
            earlier: &self.whole.earlier,
            plan: &self.plan,
            now,
        }
    }
}
