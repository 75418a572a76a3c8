//! What a row says, once it has been understood.

use std::{fmt, str::FromStr};

use brag_common::{
    id::{CategoryCode, StaffName},
    matching::identity::Identity,
    rating::{Analysis, Colour, Topic},
    time::Timestamp,
};
use ring::digest::{Context, SHA256};

use super::Reason;

/// Longest id of a record or entry, in characters.
const MAX_ID_CHARS: usize = 64;

/// The agency's own id of a record or an entry. Personal, as it leads to the person.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(Box<str>);

impl SourceId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SourceId {
    type Err = Reason;

    /// Reads 1 to 64 characters, none of them a control character; space around them is dropped.
    fn from_str(text: &str) -> Result<Self, Reason> {
        let text = text.trim();
        let n_chars = text.chars().take(MAX_ID_CHARS + 1).count();
        if n_chars == 0 {
            return Err(Reason::Missing);
        }
        if n_chars > MAX_ID_CHARS || text.chars().any(char::is_control) {
            return Err(Reason::BadId);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Debug for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceId([personal])")
    }
}

/// What stands in the way of passing an entry on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// It is also about somebody else.
    ThirdParty,
    /// The agency has restricted it.
    Restricted,
}

impl Flag {
    /// The flag with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "third_party" => Some(Self::ThirdParty),
            "restricted" => Some(Self::Restricted),
            _ => None,
        }
    }
}

/// The holder's own marking of how an entry may travel, for example the police's `C`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HandlingCode(Box<str>);

impl HandlingCode {
    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HandlingCode {
    type Err = Reason;

    fn from_str(text: &str) -> Result<Self, Reason> {
        let valid = (1..=16).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if valid { Ok(Self(text.into())) } else { Err(Reason::BadHandlingCode) }
    }
}

/// Something the agency holds about a person, in one category.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The person's record.
    pub person: SourceId,
    /// The agency's own id of the entry; absent when it gave none.
    pub entry: Option<SourceId>,
    /// The category of the catalogue.
    pub category: CategoryCode,
    /// The payload.
    pub text: Box<str>,
    /// What stands in the way of passing it on, in order, each once.
    pub flags: Vec<Flag>,
    /// The holder's marking; absent when there is none.
    pub handling_code: Option<HandlingCode>,
}

impl Entry {
    /// What makes it this entry of its person: its id, or else its category and text. Two with one key are one entry.
    #[must_use]
    pub fn key(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        match &self.entry {
            Some(id) => {
                context.update(b"id\0");
                context.update(id.as_str().as_bytes());
            }
            None => {
                context.update(b"text\0");
                context.update(self.category.to_string().as_bytes());
                context.update(self.text.as_bytes());
            }
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        key
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry([personal])")
    }
}

/// The agency's standing rating of a person, from its own record.
#[derive(Clone, PartialEq, Eq)]
pub struct Rating {
    /// The person's record.
    pub person: SourceId,
    /// The colour an assessor gave.
    pub colour: Colour,
    /// Why.
    pub analysis: Analysis,
    /// What the analysis is about, in order, each once.
    pub tags: Vec<Topic>,
    /// The assessor.
    pub rated_by: StaffName,
    /// When.
    pub rated_at: Timestamp,
}

impl fmt::Debug for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rating([personal])")
    }
}

/// What one row says.
#[derive(Clone, PartialEq, Eq)]
pub enum ImportItem {
    /// Who a person is.
    Person {
        /// The person's record.
        source_id: SourceId,
        /// Who it is.
        identity: Box<Identity>,
    },
    /// Something held about a person.
    Entry(Entry),
    /// The standing rating of a person.
    Rating(Rating),
}

impl ImportItem {
    /// The record of the person that the item is about.
    #[must_use]
    pub const fn source_id(&self) -> &SourceId {
        match self {
            Self::Person { source_id, .. } => source_id,
            Self::Entry(entry) => &entry.person,
            Self::Rating(rating) => &rating.person,
        }
    }
}

impl fmt::Debug for ImportItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Person { .. } => "Person([personal])",
            Self::Entry(_) => "Entry([personal])",
            Self::Rating(_) => "Rating([personal])",
        })
    }
}
