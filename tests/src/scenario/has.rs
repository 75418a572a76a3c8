//! What agencies have in a scenario: records of people, and what they hold about them.

use brag_common::id::{AgencyId, CategoryCode};
use serde::Deserialize;
use toml::Spanned;

/// That an agency has a person on record.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The agency.
    pub agency: Spanned<AgencyId>,
    /// Label.
    pub person: Spanned<String>,
    /// The agency's own id for them.
    pub id: String,
    /// Given name as the agency spells it.
    pub given: Option<String>,
    /// Family name as the agency spells it.
    pub family: Option<String>,
    /// What the agency does not have: `nhs`, `born`, `addresses`.
    #[serde(default)]
    pub without: Vec<Part>,
}

/// A part of a record that can be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the word itself")]
pub enum Part {
    Nhs,
    Born,
    Addresses,
}

/// Something an agency holds about a person.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holding {
    /// The agency.
    pub agency: Spanned<AgencyId>,
    /// Label.
    pub person: Spanned<String>,
    /// Category.
    pub category: Spanned<CategoryCode>,
    /// A word that is in the payload and nowhere else, so that a leak can be found.
    pub marker: Spanned<String>,
    /// The payload without the marker.
    pub text: String,
    /// `third_party`, `restricted`.
    #[serde(default)]
    pub flags: Vec<String>,
    /// The holder's own marking.
    pub handling_code: Option<String>,
}

impl Holding {
    /// The payload as it is imported.
    #[must_use]
    pub fn payload(&self) -> String {
        format!("{} [{}]", self.text, self.marker.get_ref())
    }
}
