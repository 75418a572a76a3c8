//! What people and machines do in a scenario, each at its time.

use std::collections::BTreeMap;

use brag_common::{
    agreement::LinkKind,
    id::{AgencyId, CategoryCode, RequestId},
    rating::Colour,
    reason::Reason,
};
use serde::Deserialize;
use toml::Spanned;

use super::{At, Expected};

/// Colours an agency gives to people, for one reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rating {
    /// The agency.
    pub agency: Spanned<AgencyId>,
    /// When. Before the start: a standing rating, imported with the records.
    pub at: At,
    /// The analysis.
    pub analysis: String,
    /// Its topics.
    #[serde(default)]
    pub topics: Vec<String>,
    /// The person whose record the ratings rest on; absent: each person's own.
    pub via: Option<Spanned<String>>,
    /// Colours by label.
    pub colours: BTreeMap<Spanned<String>, Colour>,
    /// The code with which the agency's own node refuses each of them; absent: it takes them.
    pub refused: Option<String>,
}

/// That an agency signs the enquiry's links of some kinds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// The agency.
    pub agency: Spanned<AgencyId>,
    /// When.
    pub at: At,
    /// Kinds.
    pub kinds: Vec<LinkKind>,
}

/// A threshold that an agency signs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// The agency.
    pub agency: Spanned<AgencyId>,
    /// When.
    pub at: At,
    /// Which.
    pub kind: Threshold,
    /// Labels of the people in its scope.
    pub people: Vec<Spanned<String>>,
    /// Marac: ticks on the Dash.
    #[serde(default)]
    pub dash_ticks: u32,
    /// Marac: professional judgement.
    #[serde(default)]
    pub judgement: bool,
    /// Marac: reports in twelve months.
    #[serde(default)]
    pub reports: u32,
    /// Marac: a repeat.
    #[serde(default)]
    pub repeat: bool,
    /// Marac: when the meeting is.
    pub meeting: Option<At>,
}

/// What is asserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the word itself")]
pub enum Threshold {
    #[serde(rename = "section_47")]
    Section47,
    Marac,
    #[serde(rename = "care_act_42")]
    CareAct42,
}

/// A request for detail.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The row's number.
    pub id: Spanned<String>,
    /// When.
    pub at: At,
    /// The agency that would release.
    pub holder: Spanned<AgencyId>,
    /// Label.
    pub person: Spanned<String>,
    /// Category.
    pub category: CategoryCode,
    /// Recipients, in the order asked.
    pub to: Vec<Spanned<AgencyId>>,
    /// Fields of the lawful basis that differ from the usual ones.
    #[serde(default)]
    pub basis: BTreeMap<Spanned<String>, String>,
    /// What has to be decided, by recipient.
    pub expect: BTreeMap<Spanned<AgencyId>, Expected>,
    /// Recipients that then open the detail.
    #[serde(default)]
    pub opened_by: Vec<Spanned<AgencyId>>,
}

/// What approvers do about one release that waits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// The release's row.
    pub release: Spanned<String>,
    /// The recipient.
    pub recipient: Spanned<AgencyId>,
    /// When.
    pub at: At,
    /// Which of the holder's two approvers act, in order; nobody: the time for it has passed.
    pub by: Vec<u8>,
    /// They refuse, for this reason; absent: they approve.
    pub refuse: Option<String>,
    /// They approve this text, on one line, in the place of what is held; absent: what is held.
    pub redact: Option<String>,
    /// What it comes to.
    pub expect: Expected,
    /// The recipient then opens the detail.
    #[serde(default)]
    pub opened: bool,
}

/// That an agency's node is away for a time: it is stopped, and started again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Away {
    /// The agency.
    pub agency: Spanned<AgencyId>,
    /// From when. Not after the start: it is away when the enquiry is opened.
    pub from: At,
    /// When it serves again.
    pub until: At,
}

/// That the hub is killed without a word, and started again at once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubRestart {
    /// When.
    pub at: At,
}

/// That the disk under an agency's log is full for a time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogFull {
    /// The agency.
    pub agency: Spanned<AgencyId>,
    /// From when. Not after the start: it is full when the enquiry is opened.
    pub from: At,
    /// When there is room again.
    pub until: At,
}

/// What a person said about sharing, as an agency records it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// The agency that records it.
    pub agency: Spanned<AgencyId>,
    /// Label.
    pub person: Spanned<String>,
    /// When.
    pub at: At,
    /// What they said.
    pub said: ConsentSaid,
    /// Categories it names.
    #[serde(default)]
    pub categories: Vec<CategoryCode>,
    /// Recipients it names.
    #[serde(default)]
    pub recipients: Vec<Spanned<AgencyId>>,
    /// When the agreement ends; absent: it has no end of its own.
    pub expires: Option<At>,
    /// Why the person was not asked themselves; absent: the agency's assessor asked.
    #[serde(default)]
    pub not_asked: String,
}

/// What a person says about sharing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentSaid {
    /// They agree.
    Agreed,
    /// They refuse.
    Refused,
    /// They take back everything.
    Withdrawn,
}

impl ConsentSaid {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// That an agency accepts an action of the plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// The agency that owns the action.
    pub agency: Spanned<AgencyId>,
    /// When.
    pub at: At,
    /// Label of the person it is about.
    pub person: Spanned<String>,
    /// The action's own name, for example `A-2`.
    pub action: RequestId,
}

/// That a recipient has detail taken back from it, and acknowledges that.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledge {
    /// The recipient.
    pub agency: Spanned<AgencyId>,
    /// The release's row.
    pub release: Spanned<String>,
    /// When.
    pub at: At,
    /// Why it has to have been taken back: a reason code.
    #[serde(deserialize_with = "super::expect::reason_code")]
    pub reason: Reason,
}

/// That a recipient opens, or tries to open, what was released to it before.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// The release's row.
    pub release: Spanned<String>,
    /// The recipient.
    pub recipient: Spanned<AgencyId>,
    /// When.
    pub at: At,
    /// The code with which its node refuses; absent: it opens and reads what is held.
    pub refused: Option<String>,
}
