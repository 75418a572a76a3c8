//! What has to come of a scenario: cells, levels, gates and decisions, in the words of the file.

use std::{collections::BTreeMap, fmt, str::FromStr};

use brag_common::{
    agreement::Gate, id::AgencyId, rating::Colour, reason::Reason, wire::pb::AnswerStatus,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use toml::Spanned;

use super::{At, ClockStands, Mark};

/// What has to be so at a time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// When.
    pub at: At,
    /// What every agency has said, in the order of the people; empty: cells, levels and rules are not looked at.
    #[serde(default)]
    pub matrix: BTreeMap<Spanned<AgencyId>, Vec<Cell>>,
    /// The people's levels, in their order; they belong to the matrix.
    #[serde(default)]
    pub levels: Vec<Level>,
    /// Gates.
    #[serde(default)]
    pub gates: Vec<Gates>,
    /// Labels of exactly those whose level is above the referrer's colour; absent, as only without a matrix: not looked at.
    pub uprated: Option<Vec<Spanned<String>>>,
    /// Labels of people whose ratings are two steps or more apart.
    #[serde(default)]
    pub divergence: Vec<Spanned<String>>,
    /// Labels of people whose ratings are not.
    #[serde(default)]
    pub no_divergence: Vec<Spanned<String>>,
    /// Flags that have to stand.
    #[serde(default)]
    pub flags: Vec<Spanned<Mark>>,
    /// Flags that must not stand.
    #[serde(default)]
    pub no_flags: Vec<Spanned<Mark>>,
    /// How clocks have to stand.
    #[serde(default)]
    pub clocks: Vec<ClockStands>,
    /// Exactly what has to stand in the way of closing; absent: it is not looked at.
    pub unmet: Option<Vec<Spanned<Mark>>>,
    /// Who has to lead; absent: it is not looked at.
    pub lead: Option<Spanned<AgencyId>>,
    /// Whether it has to be closed; absent: it is not looked at.
    pub closed: Option<bool>,
}

/// Gates of some people.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gates {
    /// Labels.
    pub people: Vec<Spanned<String>>,
    /// Gates that have to be open.
    #[serde(default)]
    pub open: Vec<Gate>,
    /// Gates that must not be.
    #[serde(default)]
    pub shut: Vec<Gate>,
}

/// One cell of the matrix, as the file writes it: `A`, `R via P2`, `NK`, `UN AUDIT_UNAVAILABLE`, `G late`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cell {
    /// What was said.
    pub said: Said,
    /// Whether it came after the round had closed.
    pub late: bool,
}

/// What a cell says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Rated; `via` is the label of the person it rests on.
    Rated {
        /// The colour.
        colour: Colour,
        /// Whom it rests on; absent: the agency's own record.
        via: Option<String>,
    },
    /// Anything else, and why; absent: any reason, or none.
    Status(AnswerStatus, Option<String>),
}

impl Cell {
    /// Whether a cell that was found is as this one wants it.
    #[must_use]
    pub fn admits(&self, found: &Self) -> bool {
        let said = match (&self.said, &found.said) {
            (Said::Status(status, None), Said::Status(found, _)) => status == found,
            (said, found) => said == found,
        };
        said && self.late == found.late
    }

    /// Whether nothing more is to come: an answer, a colour or not.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(
            self.said,
            Said::Rated { .. } | Said::Status(AnswerStatus::NotKnown | AnswerStatus::Declined, _)
        )
    }
}

/// Words of the file for what is not a colour.
const STATUSES: [(&str, AnswerStatus); 6] = [
    ("NK", AnswerStatus::NotKnown),
    ("IR", AnswerStatus::IdentityReview),
    ("UN", AnswerStatus::Unable),
    ("DE", AnswerStatus::Declined),
    ("PE", AnswerStatus::Pending),
    ("NR", AnswerStatus::NoResponse),
];

impl FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (said, late) = match text.strip_suffix(" late") {
            Some(said) => (said, true),
            None => (text, false),
        };
        let (word, why) = match said.split_once(' ') {
            Some((word, why)) => (word, Some(why)),
            None => (said, None),
        };
        if let Some((_, status)) = STATUSES.iter().find(|(known, _)| *known == word) {
            let said = Said::Status(*status, why.map(ToOwned::to_owned));
            return Ok(Self { said, late });
        }
        let via = why.and_then(|why| why.strip_prefix("via ")).map(ToOwned::to_owned);
        match colour_of(word) {
            Some(colour) if via.is_some() == why.is_some() => {
                Ok(Self { said: Said::Rated { colour, via }, late })
            }
            _ => Err(format!(
                "`{text}` is not a cell: expected B, G, A or R, a colour with `via` and a label as in `R via P2`, or NK, IR, UN, DE, PE, NR and perhaps why; behind each perhaps `late`"
            )),
        }
    }
}

impl TryFrom<String> for Cell {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.said {
            Said::Rated { colour, via: None } => f.write_str(letter(*colour))?,
            Said::Rated { colour, via: Some(via) } => write!(f, "{} via {via}", letter(*colour))?,
            Said::Status(status, why) => {
                let known = STATUSES.iter().find(|(_, known)| known == status);
                f.write_str(known.map_or("?", |(word, _)| word))?;
                if let Some(why) = why {
                    write!(f, " {why}")?;
                }
            }
        }
        if self.late { f.write_str(" late") } else { Ok(()) }
    }
}

/// A level: a colour's letter, or `-` for nobody's rating.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Level(pub Option<Colour>);

impl TryFrom<String> for Level {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "-" => Ok(Self(None)),
            letter => colour_of(letter)
                .map(|colour| Self(Some(colour)))
                .ok_or_else(|| format!("`{text}` is not a level: expected B, G, A, R or -")),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.map_or("-", letter))
    }
}

/// The letter of a colour.
#[must_use]
pub const fn letter(colour: Colour) -> &'static str {
    match colour {
        Colour::Blue => "B",
        Colour::Green => "G",
        Colour::Amber => "A",
        Colour::Red => "R",
    }
}

fn colour_of(text: &str) -> Option<Colour> {
    Colour::ALL.into_iter().find(|colour| letter(*colour) == text)
}

/// What has to be decided for one recipient.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The decision.
    pub decision: Decided,
    /// With a refusal: its reason code.
    #[serde(default, deserialize_with = "reason")]
    pub reason: Option<Reason>,
    /// With a review: approvals that are still needed.
    pub approvals: Option<u32>,
    /// The gate it rests on; absent: any.
    pub gate: Option<Gate>,
    /// Obligations that have to be among those of the release.
    #[serde(default)]
    pub obligations: Vec<String>,
    /// When the view has to end, relative to the start and give or take ten minutes; absent: any time.
    pub view_until: Option<At>,
    /// Obligations that must not be among them.
    #[serde(default)]
    pub no_obligations: Vec<String>,
    /// The refusal tells how to reach the team.
    #[serde(default)]
    pub contact_route: bool,
    /// What has to be among that which would change the refusal, in the words of `decide`.
    #[serde(default)]
    pub would_be_released_if: Vec<String>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decided {
    /// Released.
    Release,
    /// Waits for approval.
    Review,
    /// Refused.
    Deny,
    /// The holder gave no decision.
    NoResponse,
}

impl Decided {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Review => "review",
            Self::Deny => "deny",
            Self::NoResponse => "no_response",
        }
    }
}

fn reason<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Reason>, D::Error> {
    reason_code(from).map(Some)
}

pub(super) fn reason_code<'de, D: Deserializer<'de>>(from: D) -> Result<Reason, D::Error> {
    let code = String::deserialize(from)?;
    code.parse().map_err(|_| D::Error::custom(format!("`{code}` is not a reason code")))
}
