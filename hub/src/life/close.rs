//! Closing an enquiry, or saying everything that stands in the way.

use std::{fmt::Write as _, sync::Arc};

use brag_common::{audit::entry::Action, id::EnquiryRef};

use super::{
    Picture,
    closing::{Condition, Unmet, unmet},
    record::{Recording, closed, text, unknown},
    settle::settle,
    words::{Effect, Kind},
};
use crate::{
    guard::{Refusal, SignedIn},
    hub::Shared,
    store::{life::Step, shapes::EnquiryRecord},
};

/// Closing with no further action is refused.
pub const NFA_BLOCKED: &str = "NFA_BLOCKED";

/// Closing is refused.
pub const CLOSE_BLOCKED: &str = "CLOSE_BLOCKED";

/// Closes an enquiry; true when it is closed. With no further action it takes two people: the first one's wish is kept.
///
/// # Errors
/// When something stands in the way (all of it is named), the outcome is no word, or it can not be recorded.
pub async fn close(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: &EnquiryRef,
    outcome: &str,
    reason: &str,
) -> Result<bool, Refusal> {
    let _alone = shared.life_locks.of_enquiry(enquiry).await;
    let whole = settle(shared, enquiry).await?;
    let recording = Recording::new(shared, enquiry, &whole);
    if shared.words.get(Kind::Outcome, outcome).is_none() {
        return Err(unknown("outcome", Kind::Outcome));
    }
    let nothing_done = shared.words.does(Kind::Outcome, outcome, Effect::NoFurtherAction);
    let reason = text("reason", reason, usize::from(nothing_done))?;
    let case = recording.case();
    if case.plan.closed.is_some() {
        return Err(closed());
    }
    let stands_in_the_way = unmet(&case, &Picture::of(&case), nothing_done);
    let wanted_by = case.plan.closing_wanted.as_ref().map(|(by, _)| by);
    if !stands_in_the_way.is_empty() {
        let blocks = |one: &Unmet| one.condition.blocks_no_further_action();
        let code = if nothing_done && stands_in_the_way.iter().any(blocks) {
            let mut draft = recording.draft(Action::EventRecorded);
            draft.decision = "nfa_blocked".parse().ok();
            recording.keep(who, vec![(Step::NfaBlocked, draft)]).await?;
            NFA_BLOCKED
        } else {
            CLOSE_BLOCKED
        };
        return Err(Refusal::rule(code, said(&whole.record, &stands_in_the_way)));
    }
    if nothing_done && wanted_by.is_none_or(|by| by == who.name()) {
        let mut draft = recording.draft(Action::EventRecorded);
        draft.decision = "closing_wanted".parse().ok();
        recording.keep(who, vec![(Step::ClosingWanted { reason }, draft)]).await?;
        return Ok(false);
    }
    let mut draft = recording.draft(Action::EnquiryClosed);
    draft.decision = outcome.parse().ok();
    // How many required answers were missing; the condition above is that there was none.
    draft.count = Some(0);
    let step = Step::Closed { outcome: outcome.to_owned(), reason };
    recording.keep(who, vec![(step, draft)]).await?;
    Ok(true)
}

/// Everything that stands in the way, in words.
fn said(record: &EnquiryRecord, unmet: &[Unmet]) -> String {
    let mut said = String::from("it can not be closed yet:");
    for (n, Unmet { condition, agency, person }) in unmet.iter().enumerate() {
        let label = person.as_ref().and_then(|person| record.person(person));
        let whom = label.map_or("somebody", |person| person.label.as_str());
        let who = agency.as_ref().map(ToString::to_string).unwrap_or_default();
        let end = if n == 0 { "" } else { ";" };
        // Writing to a string does not fail.
        let _ = match condition {
            Condition::MissingRating => write!(said, "{end} {who} has not answered about {whom}"),
            Condition::LeadProfessionalMissing => write!(said, "{end} nobody leads"),
            Condition::NoActionForMember => write!(said, "{end} there is no action for {whom}"),
            Condition::NoActionPerpetrator => {
                write!(said, "{end} there is no action about the risk that {whom} poses")
            }
            Condition::Section47DecisionMissing => {
                write!(said, "{end} the section 47 decision is not recorded")
            }
            Condition::DomesticAbuse => write!(
                said,
                "{end} there is evidence of domestic abuse, so no further action is no outcome"
            ),
        };
    }
    said
}
