//! What co-ordinators record of the life of an enquiry in a scenario, each step at its time: events, the plan, who leads,
//! meetings, and how it is closed.

use brag_common::id::{AgencyId, RequestId};
use serde::Deserialize;
use toml::Spanned;

use super::{At, Mark};

/// Who owns an action of which the file says that nobody of an agency does.
pub const FAMILY: &str = "family";

/// What an agency knows of earlier contacts with the family.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// When it is recorded.
    pub at: At,
    /// The agency.
    pub agency: Spanned<AgencyId>,
    /// How many earlier contacts.
    pub contacts: u32,
    /// When its last work with the family was closed; absent: not known, or there was none.
    pub last_closed: Option<At>,
}

/// Something that happened, in a word of the trade.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Happening {
    /// When it happened, and is recorded.
    pub at: At,
    /// The word.
    pub word: Spanned<String>,
    /// Labels of the people it concerns; none: the whole enquiry.
    #[serde(default)]
    pub people: Vec<Spanned<String>>,
    /// The agency that did it or said so.
    pub agency: Option<Spanned<AgencyId>>,
    /// More about it.
    #[serde(default)]
    pub note: String,
}

/// A new action of the plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// Its own name in the plan, for example `A-2`.
    pub id: Spanned<RequestId>,
    /// When it is recorded.
    pub at: At,
    /// The agency that owns it; or the label of a person, or [`FAMILY`], which the hub has to refuse.
    pub owner: Spanned<String>,
    /// Label of the person whom it is about.
    pub person: Spanned<String>,
    /// The kind of action, in a word of the trade.
    #[serde(rename = "type")]
    pub kind: Spanned<String>,
    /// What is to be done.
    pub what: String,
    /// When it is due; absent: no date.
    pub due: Option<At>,
    /// The code with which the hub refuses it; absent: it takes it.
    pub refused: Option<String>,
}

/// That an action of the plan comes to an end.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// When.
    pub at: At,
    /// The action.
    pub action: Spanned<RequestId>,
    /// How it ended.
    pub state: Ended,
    /// What came of it, or why it is dropped.
    #[serde(default)]
    pub note: String,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the word itself")]
pub enum Ended {
    Done,
    Dropped,
}

impl Ended {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Dropped => "dropped",
        }
    }
}

/// Who leads from a time on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leader {
    /// When.
    pub at: At,
    /// The lead agency.
    pub agency: Spanned<AgencyId>,
    /// The lead professional, by role.
    #[serde(default)]
    pub role: String,
}

/// A meeting that discusses the enquiry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meeting {
    /// When.
    pub at: At,
    /// The agency that chairs.
    pub chair: Spanned<AgencyId>,
    /// Agencies that are there.
    #[serde(default)]
    pub present: Vec<Spanned<AgencyId>>,
    /// Agencies that are there from afar.
    #[serde(default)]
    pub dialled_in: Vec<Spanned<AgencyId>>,
    /// What is agreed.
    #[serde(default)]
    pub agreed: String,
}

/// That an answer which the agreement only recommends is not waited for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waive {
    /// When.
    pub at: At,
    /// Whose answer.
    pub agency: Spanned<AgencyId>,
    /// Label of the person whom it would be about.
    pub person: Spanned<String>,
    /// Why.
    pub reason: String,
    /// The code with which the hub refuses it; absent: it takes it.
    pub refused: Option<String>,
}

/// That a co-ordinator closes the enquiry, or tries to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Close {
    /// When.
    pub at: At,
    /// How it ends, in a word of the trade.
    pub outcome: Spanned<String>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// The code with which the hub refuses; absent: it is closed.
    pub refused: Option<Spanned<String>>,
    /// Exactly what has to stand in the way just before; absent: it is not looked at.
    pub unmet: Option<Vec<Spanned<Mark>>>,
}
