//! What is stored of the life of an enquiry: the steps that people record, in order, and its flags. Where an enquiry stands
//! follows from its steps, its cells and its signed statements; nothing that follows is stored, except when a flag was raised
//! and cleared.

use std::{collections::BTreeSet, fmt};

use brag_common::{
    id::{AgencyId, PersonRef, StaffName},
    rating::Colour,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

/// One step that somebody recorded.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// When it was recorded.
    pub at: Timestamp,
    /// By whom.
    pub by: StaffName,
    /// What.
    pub step: Step,
}

/// What a step says. Words are those of the trade, see `crate::life::words`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Something happened.
    Event {
        /// The word.
        word: String,
        /// Whom it concerns; empty: the whole enquiry.
        people: BTreeSet<PersonRef>,
        /// Who did it or said so.
        agency: Option<AgencyId>,
        /// When it happened.
        happened_at: Timestamp,
        /// More about it.
        note: String,
        /// Whose required answers were missing when it was recorded.
        missing: BTreeSet<(AgencyId, PersonRef)>,
    },
    /// A new action of the plan.
    Action {
        /// Its name in the plan.
        action: String,
        /// The kind of action.
        word: String,
        /// The agency that owns it.
        owner: AgencyId,
        /// Whom it is about.
        person: PersonRef,
        /// What is to be done.
        what: String,
        /// When it is due.
        due_at: Option<Timestamp>,
    },
    /// An action has come to an end.
    Progress {
        /// Its name in the plan.
        action: String,
        /// Done, and not dropped.
        done: bool,
        /// What came of it, or why it is dropped.
        note: String,
    },
    /// Who leads from now on.
    Lead {
        /// The agency.
        agency: AgencyId,
        /// The lead professional, by role.
        role: String,
    },
    /// A meeting has discussed the enquiry.
    Meeting {
        /// Who chaired.
        chair: AgencyId,
        /// Who was there.
        present: BTreeSet<AgencyId>,
        /// Who was there from afar.
        dialled_in: BTreeSet<AgencyId>,
        /// When it was.
        held_at: Timestamp,
        /// What was agreed.
        agreed: String,
        /// What it saw.
        seen: Vec<SeenRecord>,
    },
    /// A recommended answer is not waited for.
    Waiver {
        /// Whose.
        agency: AgencyId,
        /// About whom.
        person: PersonRef,
        /// Why.
        reason: String,
    },
    /// Earlier contacts with the family, as an agency knows them.
    History {
        /// Which agency.
        agency: AgencyId,
        /// How many.
        contacts: u32,
        /// When its last work with the family was closed.
        last_closed_at: Option<Timestamp>,
    },
    /// Somebody tried to close it with no further action, and was refused.
    NfaBlocked,
    /// Somebody wants to close it with no further action; a second person has to say the same.
    ClosingWanted {
        /// Why.
        reason: String,
    },
    /// It is closed.
    Closed {
        /// How it ended.
        outcome: String,
        /// Why.
        reason: String,
    },
}

impl Step {
    /// The word for the kind of step, as watchers are told it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Event { .. } => "event",
            Self::Action { .. } => "action",
            Self::Progress { .. } => "progress",
            Self::Lead { .. } => "lead",
            Self::Meeting { .. } => "meeting",
            Self::Waiver { .. } => "waiver",
            Self::History { .. } => "history",
            Self::NfaBlocked => "nfa_blocked",
            Self::ClosingWanted { .. } => "closing_wanted",
            Self::Closed { .. } => "closed",
        }
    }
}

/// What a meeting saw of one person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenRecord {
    /// Who.
    pub person: PersonRef,
    /// Their level; `None` when nobody had rated them.
    pub level: Option<Colour>,
    /// Whose required answers were missing.
    pub missing: BTreeSet<AgencyId>,
}

/// One flag: when it was raised, and when cleared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagRecord {
    /// Its word.
    pub flag: String,
    /// The agency that it is about.
    pub agency: Option<AgencyId>,
    /// The person whom it is about.
    pub person: Option<PersonRef>,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// When it was cleared; `None` while it stands.
    pub cleared_at: Option<Timestamp>,
}

macro_rules! no_debug {
    ($($name:ident),*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([personal])"))
            }
        })*
    };
}

no_debug!(StepRecord, Step, SeenRecord);
