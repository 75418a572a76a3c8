//! What has to come of a scenario: cells, levels, gates and decisions, in the words of the file.

use std::{collections::BTreeMap, fmt, str::FromStr};

use brag_common::{
    agreement::Gate,
    id::AgencyId,
    matching::identity::{NameKind, Sex},
    rating::Colour,
    reason::Reason,
    wire::pb::AnswerStatus,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use toml::Spanned;

use super::At;

/// What has to be so at a time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// When.
    pub at: At,
    /// What every agency has said, in the order of the people.
    pub matrix: BTreeMap<Spanned<AgencyId>, Vec<Cell>>,
    /// The people's levels, in their order.
    pub levels: Vec<Level>,
    /// Gates.
    #[serde(default)]
    pub gates: Vec<Gates>,
    /// Labels of exactly those whose level is above the referrer's colour.
    pub uprated: Vec<Spanned<String>>,
    /// Labels of people whose ratings are two steps or more apart.
    #[serde(default)]
    pub divergence: Vec<Spanned<String>>,
    /// Labels of people whose ratings are not.
    #[serde(default)]
    pub no_divergence: Vec<Spanned<String>>,
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

/// One cell of the matrix: `B`, `G`, `A`, `R`, a colour `via` somebody, or a status.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Cell {
    /// Rated; `via` is the label of the person it rests on.
    Rated {
        /// The colour.
        colour: Colour,
        /// Whom it rests on; absent: the agency's own record.
        via: Option<String>,
    },
    /// Anything else.
    Status(AnswerStatus),
}

/// Words of the file for what is not a colour, and in plain words.
const STATUSES: [(&str, AnswerStatus, &str); 7] = [
    ("NK", AnswerStatus::NotKnown, "not known"),
    ("IR", AnswerStatus::IdentityReview, "identity review"),
    ("UN", AnswerStatus::Unable, "unable"),
    ("DE", AnswerStatus::Declined, "declined"),
    ("PE", AnswerStatus::Pending, "pending"),
    ("NR", AnswerStatus::NoResponse, "no response"),
    ("LT", AnswerStatus::Late, "late"),
];

/// What a status that is not a colour is called in plain words.
#[must_use]
pub fn status_words(status: AnswerStatus) -> &'static str {
    STATUSES.iter().find(|(_, known, _)| *known == status).map_or("?", |(_, _, words)| words)
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, status, _)) = STATUSES.iter().find(|(word, ..)| *word == text) {
            return Ok(Self::Status(*status));
        }
        let (letter, via) = match text.split_once(" via ") {
            Some((letter, via)) => (letter, Some(via.to_owned())),
            None => (text, None),
        };
        let colour = colour_of(letter).ok_or_else(|| {
            format!(
                "`{text}` is not a cell: expected B, G, A or R, a colour with `via` and a label as in `R via P2`, or NK, IR, UN, DE, PE, NR, LT"
            )
        })?;
        Ok(Self::Rated { colour, via })
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
        match self {
            Self::Rated { colour, via: None } => f.write_str(letter(*colour)),
            Self::Rated { colour, via: Some(via) } => write!(f, "{} via {via}", letter(*colour)),
            Self::Status(status) => {
                let known = STATUSES.iter().find(|(_, known, _)| known == status);
                f.write_str(known.map_or("?", |(word, ..)| word))
            }
        }
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
    /// The refusal tells how to reach the team.
    #[serde(default)]
    pub contact_route: bool,
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
}

impl Decided {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Review => "review",
            Self::Deny => "deny",
        }
    }
}

fn reason<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Reason>, D::Error> {
    let code = String::deserialize(from)?;
    code.parse().map(Some).map_err(|_| D::Error::custom(format!("`{code}` is not a reason code")))
}

pub(super) fn sex<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Sex>, D::Error> {
    Sex::parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

pub(super) fn name_kind<'de, D: Deserializer<'de>>(from: D) -> Result<NameKind, D::Error> {
    let word = String::deserialize(from)?;
    NameKind::from_word(&word)
        .ok_or_else(|| D::Error::custom(format!("`{word}` is not a kind of name")))
}
