//! The small types an entry is made of: words, digests, parties. None can hold a person's name.

use std::{fmt, str::FromStr};

use crate::{
    id::{AgencyId, Commitment, InvalidId},
    text_form::{Hex, OneText, is_hex, stands_as_text},
};

/// A word of the agreement or of a program's configuration: a purpose, a lawful basis, a role.
///
/// 1 to 64 letters, digits and `_ . : / ( ) -`, with no more than four digits in a row. There is no
/// space, so a name does not fit as it is written; and no NHS number, telephone number or date
/// without separators fits at all.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(Box<str>);

/// A text that is not a word. The text itself is not repeated: it may be personal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a word: expected 1 to 64 letters, digits or `_ . : / ( ) -`, with at most 4 digits in a row"
)]
pub struct InvalidWord;

impl Word {
    /// The word as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Word {
    type Err = InvalidWord;

    fn from_str(text: &str) -> Result<Self, InvalidWord> {
        if Self::stands(text) { Ok(Self(text.into())) } else { Err(InvalidWord) }
    }
}

impl OneText for Word {
    fn stands(text: &str) -> bool {
        let in_alphabet = |b: u8| {
            b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'/' | b'(' | b')' | b'-')
        };
        let mut digits_in_a_row = 0;
        let mut may_follow = |b: u8| {
            digits_in_a_row = if b.is_ascii_digit() { digits_in_a_row + 1 } else { 0 };
            in_alphabet(b) && digits_in_a_row <= 4
        };
        (1..=64).contains(&text.len()) && text.bytes().all(&mut may_follow)
    }
}

stands_as_text!(Word);

impl From<Word> for String {
    fn from(word: Word) -> Self {
        word.0.into()
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Word({})", self.0)
    }
}

/// SHA-256 of bytes that nobody can guess: they hold a signature or a random salt.
///
/// Never of a bare identifier: there are few enough NHS numbers to try them all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// What stands before the first entry of a log.
    pub const ZERO: Self = Self([0; 32]);

    /// The digest with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut digest = [0; 32];
        digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
        Self(digest)
    }

    /// The bytes of the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A commitment has the same form; its parser is the one place that reads it.
        text.parse::<Commitment>().map(|digest| Self(*digest.as_bytes()))
    }
}

impl OneText for Digest {
    fn stands(text: &str) -> bool {
        is_hex(text)
    }
}

stands_as_text!(Digest);

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Hex::of(&self.0).as_str())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A party to the exchange: the hub or an agency. As text, `hub` or the agency's id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// The hub of the partnership.
    Hub,
    /// An agency, behind its node.
    Agency(AgencyId),
}

impl Party {
    /// The party as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Hub => "hub",
            Self::Agency(agency) => agency.as_str(),
        }
    }
}

impl FromStr for Party {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Agency ids are upper case, so no agency can be called `hub`.
        if text == Self::Hub.as_str() { Ok(Self::Hub) } else { text.parse().map(Self::Agency) }
    }
}

impl OneText for Party {
    fn stands(text: &str) -> bool {
        text == Self::Hub.as_str() || AgencyId::stands(text)
    }
}

stands_as_text!(Party);

impl From<Party> for String {
    fn from(party: Party) -> Self {
        party.to_string()
    }
}

impl From<AgencyId> for Party {
    fn from(agency: AgencyId) -> Self {
        Self::Agency(agency)
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
