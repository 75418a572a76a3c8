//! Who a scenario is about: the referral, the people, their links.

use brag_common::{
    agreement::LinkKind,
    id::AgencyId,
    matching::identity::{NameKind, Sex},
    rating::Colour,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use toml::Spanned;

use super::At;

/// Where an enquiry comes from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Referral {
    /// The agency that referred.
    pub agency: Spanned<AgencyId>,
    /// Its reference.
    pub reference: String,
    /// How it came, in a word of the trade; absent: not said.
    pub source: Option<Spanned<String>>,
    /// When it happened.
    pub incident: At,
    /// When the referral was received; absent: at the start.
    pub received: Option<At>,
}

/// One person of the enquiry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Short label, unique.
    pub label: Spanned<String>,
    /// Given name.
    pub given: String,
    /// Family name.
    pub family: String,
    /// Other names.
    #[serde(default)]
    pub other_names: Vec<OtherName>,
    /// Age in years at the start; or else `born`.
    pub age: Option<u8>,
    /// Birth, as far as it is known; or else `age`.
    pub born: Option<String>,
    /// Sex as recorded; absent when none is.
    #[serde(default, deserialize_with = "sex")]
    pub sex: Option<Sex>,
    /// Invented NHS number of the test range 999; absent when there is none.
    pub nhs: Option<Spanned<String>>,
    /// Addresses, the present one first.
    #[serde(default)]
    pub addresses: Vec<Address>,
    /// Part in the enquiry.
    pub role: Option<Role>,
    /// The referrer's first colour; absent when it gave none.
    pub initial: Option<Colour>,
}

/// A former name, an alias, or what somebody is known as.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherName {
    /// `former`, `alias` or `known_as`.
    #[serde(deserialize_with = "name_kind")]
    pub kind: NameKind,
    /// Given name; absent when it is that of the person.
    pub given: Option<String>,
    /// Family name; absent when it is that of the person.
    pub family: Option<String>,
}

/// An address. Days are not written: the first is the present one, the others came before.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// First line.
    pub house: Option<String>,
    /// Postcode.
    pub postcode: Option<String>,
}

/// Part of a person in the enquiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the word itself")]
pub enum Role {
    Victim,
    Child,
    PersonPosingRisk,
    ConnectedPerson,
    Unclear,
}

/// A link, as the co-ordinator enters it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Label.
    pub from: Spanned<String>,
    /// Kind.
    pub kind: LinkKind,
    /// Labels: one link to each.
    pub to: Vec<Spanned<String>>,
}

fn sex<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Sex>, D::Error> {
    Sex::parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

fn name_kind<'de, D: Deserializer<'de>>(from: D) -> Result<NameKind, D::Error> {
    let word = String::deserialize(from)?;
    NameKind::from_word(&word)
        .ok_or_else(|| D::Error::custom(format!("`{word}` is not a kind of name")))
}
