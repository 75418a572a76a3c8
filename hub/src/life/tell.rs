//! Whom the life of an enquiry concerns, and what they are told: news without detail, put out in the same change as what they tell of.

use std::collections::BTreeSet;

use brag_common::{
    agreement::{Agreement, PartyType},
    durable::StoreError,
    id::{AgencyId, EnquiryRef, PersonRef},
    news::{News, NewsKind},
    time::Timestamp,
};

use super::{flags::Flag, plan::Plan};
use crate::{
    notify,
    store::{
        Change, Store,
        life::{FlagRecord, Step, StepRecord},
        shapes::{CellState, SaidRecord},
    },
    view::Whole,
};

/// Puts out what a step tells; gives whom.
///
/// # Errors
/// When it can not be encoded.
pub(super) fn of_step(
    whole: &Whole,
    enquiry: &EnquiryRef,
    (step, at): (&Step, Timestamp),
    change: &mut Change,
) -> Result<BTreeSet<AgencyId>, StoreError> {
    let (kind, about, person, to) = match step {
        Step::Action { action, owner, person, .. } => {
            let told = was_told(whole, owner, person).then(|| person.clone());
            (NewsKind::ActionPlanned, action.clone(), told, [owner.clone()].into())
        }
        Step::Lead { agency, .. } => {
            let mut to = involved(whole);
            to.insert(agency.clone());
            (NewsKind::LeadNamed, agency.to_string(), None, to)
        }
        Step::Closed { outcome, .. } => (NewsKind::Closed, outcome.clone(), None, involved(whole)),
        _ => return Ok(BTreeSet::new()),
    };
    // What is checked when a step is taken is what news can be about.
    let Ok(news) = News::new(kind, at, &about, person) else { return Ok(BTreeSet::new()) };
    notify::put_news(change, enquiry, &to, &news, at)?;
    Ok(to)
}

/// Puts out what flags tell that were raised; gives whom, and of which enquiry. Reads the store.
///
/// # Errors
/// When the store fails or something can not be encoded.
pub(super) fn of_flags(
    store: &Store,
    agreement: &Agreement,
    (whole, enquiry): (&Whole, &EnquiryRef),
    raised: &[FlagRecord],
    now: Timestamp,
    change: &mut Change,
) -> Result<BTreeSet<(EnquiryRef, AgencyId)>, StoreError> {
    let mut told = BTreeSet::new();
    let lead = lead(&whole.steps);
    for flag in raised.iter().filter(|flag| flag.cleared_at.is_none()) {
        let is = |known: Flag| flag.flag == known.word();
        let (kind, about, to): (_, String, BTreeSet<AgencyId>) = if is(Flag::LateRating) {
            let late = flag.agency.as_ref().map(ToString::to_string).unwrap_or_default();
            (NewsKind::LateRating, late, lead.iter().cloned().collect())
        } else if is(Flag::S47ClockBreached) || is(Flag::ResponseClockBreached) {
            let clock = if is(Flag::S47ClockBreached) { "section_47" } else { "response" };
            let social_care = agreement.parties().filter(|party| {
                party.kind() == PartyType::ChildrensSocialCare && party.in_force(now)
            });
            let to = social_care.map(|party| party.id().clone()).chain(lead.clone());
            (NewsKind::ClockBreached, clock.to_owned(), to.collect())
        } else if is(Flag::ConnectedPersonInOtherFamily) {
            for earlier in &whole.earlier {
                if Some(&earlier.record.person) != flag.person.as_ref() {
                    continue;
                }
                let other = &earlier.record.enquiry;
                let Some(leads) = self::lead(&store.steps(other)?) else { continue };
                let kind = NewsKind::ConnectedPersonInOtherFamily;
                let Ok(news) = News::new(kind, now, "", None) else { continue };
                notify::put_news(change, other, &[leads.clone()].into(), &news, now)?;
                told.insert((other.clone(), leads));
            }
            continue;
        } else {
            continue;
        };
        let Ok(news) = News::new(kind, flag.raised_at, &about, None) else { continue };
        notify::put_news(change, enquiry, &to, &news, now)?;
        told.extend(to.into_iter().map(|agency| (enquiry.clone(), agency)));
    }
    Ok(told)
}

fn lead(steps: &[StepRecord]) -> Option<AgencyId> {
    Plan::of(steps, &[]).lead.map(|lead| lead.agency)
}

/// Agencies with a part in an enquiry: those that have rated somebody, own an action, or referred the family.
fn involved(whole: &Whole) -> BTreeSet<AgencyId> {
    let rated = whole.cells.iter().filter(|(.., cell)| {
        matches!(&cell.state, CellState::Answered { said: SaidRecord::Rated { .. }, .. })
    });
    let owners = whole.steps.iter().filter_map(|record| match &record.step {
        Step::Action { owner, .. } => Some(owner.clone()),
        _ => None,
    });
    rated
        .map(|(agency, ..)| agency.clone())
        .chain(owners)
        .chain([whole.record.referral.agency.clone()])
        .collect()
}

/// Whether an agency has surely been told who a person is: it has rated them.
fn was_told(whole: &Whole, agency: &AgencyId, person: &PersonRef) -> bool {
    whole.cells.iter().any(|(by, about, cell)| {
        by == agency
            && about == person
            && matches!(
                &cell.state,
                CellState::Answered { said: SaidRecord::Rated { via: None, .. }, .. }
            )
    })
}
