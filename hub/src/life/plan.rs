//! The steps that people have recorded, put together: the plan, the lead, what happened, what was seen, and whether it is closed.

use std::collections::{BTreeMap, BTreeSet};

use brag_common::{
    id::{AgencyId, PersonRef, StaffName},
    statement::Body,
    time::Timestamp,
};

use super::{
    case::Received,
    words::{Effect, Kind, Words},
};
use crate::store::life::{SeenRecord, Step, StepRecord};

/// How far an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionState {
    /// It is in the plan.
    Proposed,
    /// The agency that owns it has accepted it, signed.
    Accepted,
    /// It is done.
    Done,
    /// It will not be done.
    Dropped,
}

impl ActionState {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Accepted => "accepted",
            Self::Done => "done",
            Self::Dropped => "dropped",
        }
    }
}

/// One action of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedAction {
    /// Its name.
    pub name: String,
    /// The kind of action.
    pub word: String,
    /// Who owns it.
    pub owner: AgencyId,
    /// Whom it is about.
    pub person: PersonRef,
    /// What is to be done.
    pub what: String,
    /// When it is due.
    pub due_at: Option<Timestamp>,
    /// How far it is.
    pub state: ActionState,
    /// Since when.
    pub since: Timestamp,
}

impl PlannedAction {
    /// Whether it is, or has been, done by somebody.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.state != ActionState::Dropped
    }

    /// Whether it should have been done by now.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        matches!(self.state, ActionState::Proposed | ActionState::Accepted)
            && self.due_at.is_some_and(|due| due < now)
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// The word.
    pub word: String,
    /// Whom it concerns; empty: the whole enquiry.
    pub people: BTreeSet<PersonRef>,
    /// Who did it or said so.
    pub agency: Option<AgencyId>,
    /// When it happened.
    pub at: Timestamp,
    /// More about it.
    pub note: String,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// By whom.
    pub recorded_by: StaffName,
    /// Whose required answers were missing then.
    pub missing: BTreeSet<(AgencyId, PersonRef)>,
}

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// The agency.
    pub agency: AgencyId,
    /// The lead professional, by role.
    pub role: String,
    /// Since when.
    pub since: Timestamp,
}

/// A meeting that has discussed the enquiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// Who chaired.
    pub chair: AgencyId,
    /// Who was there.
    pub present: BTreeSet<AgencyId>,
    /// Who was there from afar.
    pub dialled_in: BTreeSet<AgencyId>,
    /// When.
    pub at: Timestamp,
    /// What was agreed.
    pub agreed: String,
    /// What it saw.
    pub seen: Vec<SeenRecord>,
}

/// Earlier contacts, as an agency knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// How many.
    pub contacts: u32,
    /// When its last work with the family was closed.
    pub last_closed_at: Option<Timestamp>,
}

/// That it is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: StaffName,
    /// How it ended.
    pub outcome: String,
    /// Why.
    pub reason: String,
}

/// Everything that people have recorded.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Actions, in the order in which they were planned.
    pub actions: Vec<PlannedAction>,
    /// Who leads.
    pub lead: Option<Lead>,
    /// What happened, in the order in which it was recorded.
    pub events: Vec<Happened>,
    /// Meetings, in the order in which they were recorded.
    pub meetings: Vec<Meeting>,
    /// Recommended answers that are not waited for, and why.
    pub waivers: BTreeMap<(AgencyId, PersonRef), String>,
    /// Earlier contacts: what each agency said last.
    pub histories: BTreeMap<AgencyId, History>,
    /// When closing with no further action was first refused.
    pub nfa_blocked_at: Option<Timestamp>,
    /// Who wants to close it with no further action, and why.
    pub closing_wanted: Option<(StaffName, String)>,
    /// That it is closed.
    pub closed: Option<Closed>,
}

impl Plan {
    /// Puts the steps together; what owners have signed says which actions they have accepted.
    #[must_use]
    pub fn of(steps: &[StepRecord], received: &[Received]) -> Self {
        let mut plan = Self::default();
        for step in steps {
            plan.take(step);
        }
        for action in &mut plan.actions {
            let accepted = received.iter().filter(|one| accepts(one, action)).map(|one| one.at);
            if action.state == ActionState::Proposed
                && let Some(at) = accepted.min()
            {
                action.state = ActionState::Accepted;
                action.since = at.max(action.since);
            }
        }
        plan
    }

    fn take(&mut self, StepRecord { at, by, step }: &StepRecord) {
        match step.clone() {
            Step::Event { word, people, agency, happened_at, note, missing } => {
                let (recorded_at, recorded_by) = (*at, by.clone());
                let at = happened_at;
                self.events.push(Happened {
                    word,
                    people,
                    agency,
                    at,
                    note,
                    recorded_at,
                    recorded_by,
                    missing,
                });
            }
            Step::Action { action: name, word, owner, person, what, due_at } => {
                let state = ActionState::Proposed;
                let since = *at;
                self.actions.push(PlannedAction {
                    name,
                    word,
                    owner,
                    person,
                    what,
                    due_at,
                    state,
                    since,
                });
            }
            Step::Progress { action, done, .. } => {
                for known in self.actions.iter_mut().filter(|known| known.name == action) {
                    known.state = if done { ActionState::Done } else { ActionState::Dropped };
                    known.since = *at;
                }
            }
            Step::Lead { agency, role } => self.lead = Some(Lead { agency, role, since: *at }),
            Step::Meeting { chair, present, dialled_in, held_at: at, agreed, seen } => {
                self.meetings.push(Meeting { chair, present, dialled_in, at, agreed, seen });
            }
            Step::Waiver { agency, person, reason } => {
                self.waivers.insert((agency, person), reason);
            }
            Step::History { agency, contacts, last_closed_at } => {
                self.histories.insert(agency, History { contacts, last_closed_at });
            }
            Step::NfaBlocked => self.nfa_blocked_at = self.nfa_blocked_at.or(Some(*at)),
            Step::ClosingWanted { reason } => self.closing_wanted = Some((by.clone(), reason)),
            Step::Closed { outcome, reason } => {
                self.closing_wanted = None;
                self.closed = Some(Closed { at: *at, by: by.clone(), outcome, reason });
            }
        }
    }

    /// Whether there is an action about a person.
    #[must_use]
    pub fn has_action_about(&self, person: &PersonRef) -> bool {
        self.actions.iter().any(|action| action.counts() && action.person == *person)
    }

    /// Whether there is an action about what a person does, and not about those whom they harm.
    #[must_use]
    pub fn addresses_risk_of(&self, person: &PersonRef, words: &Words) -> bool {
        self.actions.iter().any(|action| {
            action.counts()
                && action.person == *person
                && words.does(Kind::Action, &action.word, Effect::AddressesRisk)
        })
    }

    /// Events whose word has an effect.
    pub fn events_that(&self, words: &Words, effect: Effect) -> impl Iterator<Item = &Happened> {
        self.events.iter().filter(move |event| words.does(Kind::Event, &event.word, effect))
    }

    /// Actions whose word has an effect.
    pub fn actions_that(
        &self,
        words: &Words,
        effect: Effect,
    ) -> impl Iterator<Item = &PlannedAction> {
        self.actions
            .iter()
            .filter(move |one| one.counts() && words.does(Kind::Action, &one.word, effect))
    }
}

fn accepts(received: &Received, action: &PlannedAction) -> bool {
    let Body::Action { person, action: name } = &received.statement.body else { return false };
    received.statement.signer == action.owner
        && person.person == action.person
        && name.as_str() == action.name
}
