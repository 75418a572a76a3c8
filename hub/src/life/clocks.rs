//! The clocks of an enquiry. Both follow from what was signed and recorded, with the agreement's limits, so a hub that was killed knows
//! them as well as one that was not.

use brag_common::{
    agreement::{ClockName, PartyType},
    rating::Colour,
    statement::{Body, PersonRole, Rating, Threshold},
    time::Timestamp,
};

use super::{case::Case, words::Effect};

/// How a clock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    /// It runs.
    Running,
    /// What it waits for came in time.
    Met,
    /// It did not.
    Breached,
}

impl ClockState {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Met => "met",
            Self::Breached => "breached",
        }
    }
}

/// One clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// When it started.
    pub started_at: Timestamp,
    /// When it runs out.
    pub due_at: Timestamp,
    /// When what it waits for came.
    pub ended_at: Option<Timestamp>,
    /// How it stands.
    pub state: ClockState,
}

impl Clock {
    fn new(
        started_at: Timestamp,
        due_at: Timestamp,
        ended_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let state = match ended_at {
            Some(at) if at <= due_at => ClockState::Met,
            Some(_) => ClockState::Breached,
            None if now > due_at => ClockState::Breached,
            None => ClockState::Running,
        };
        Self { started_at, due_at, ended_at, state }
    }

    /// Whether what it waits for has still to come.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.ended_at.is_none()
    }
}

/// The section 47 clock: from the first Red of children's social care on a child, or its assertion of section 47, until its decision was
/// recorded. Elapsed time: through nights, weekends and the change to summer time. That a rating is taken back does not stop it; a
/// decision does.
#[must_use]
pub fn section_47(case: &Case<'_>) -> Option<Clock> {
    let opened_at = case.record.opened_at;
    let starts = case.received.iter().filter(|received| {
        let statement = &received.statement;
        case.is(&statement.signer, PartyType::ChildrensSocialCare)
            && match &statement.body {
                Body::Rating(rating) => rating.colour == Colour::Red && is_child(case, rating),
                Body::Assertion(assertion) => assertion.threshold == Threshold::Section47,
                _ => false,
            }
    });
    // By the signer's time; a clock of theirs that is ahead gives nobody more time.
    let at = starts.map(|one| one.statement.made_at.min(one.at).max(opened_at)).min()?;
    let decided = case.plan.events_that(case.words, Effect::MeetsSection47);
    let ended = decided.map(|event| event.recorded_at).filter(|recorded| *recorded >= at).min();
    let due = case.agreement.clocks().end(ClockName::Section47, at);
    Some(Clock::new(at, due, ended, case.now))
}

fn is_child(case: &Case<'_>, rating: &Rating) -> bool {
    let record = case.record.person(&rating.person.person);
    let by_part = record.is_some_and(|record| record.role == Some(PersonRole::Child));
    rating.subject_is_child || by_part || record.is_some_and(|record| case.is_child(record))
}

/// The clock of the highest colour: from when the family's level has been that, by the referrer or by an agency, until every
/// required answer was there. `full_since` is when the last of them came; `None` while one is missing.
#[must_use]
pub fn response(case: &Case<'_>, full_since: Option<Timestamp>) -> Option<Clock> {
    let initial = case.record.people.iter().filter_map(|person| person.initial).max();
    let level = case.family_level().max(initial)?;
    let name = match level {
        Colour::Blue => return None,
        Colour::Green => ClockName::Green,
        Colour::Amber => ClockName::Amber,
        Colour::Red => ClockName::Red,
    };
    let rated = case.received.iter().filter_map(|received| match &received.statement.body {
        Body::Rating(rating) if rating.colour == level => {
            Some(received.at.max(case.record.opened_at))
        }
        _ => None,
    });
    let referred = (initial == Some(level)).then_some(case.record.referral.received_at);
    let at = rated.chain(referred).min().unwrap_or(case.record.opened_at);
    let due = case.agreement.clocks().end(name, at);
    // A level that rises when all have answered finds all answers there.
    Some(Clock::new(at, due, full_since.map(|since| since.max(at)), case.now))
}

/// Whether the notification came later after the incident than the agreement allows.
#[must_use]
pub fn notified_late(case: &Case<'_>) -> bool {
    let referral = &case.record.referral;
    let limit = case.agreement.clocks().notification_lag.limit;
    referral
        .incident_at
        .is_some_and(|incident| referral.received_at.duration_since(incident) > limit)
}
