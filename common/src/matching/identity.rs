//! What is known of who somebody is: names, birth, sex, identifiers and addresses.
//!
//! The text is kept as it was recorded; [`super::normalise`] makes it comparable. Everything is bounded,
//! because identities arrive from other organisations. Every constructor reports all it finds wrong, and no report
//! repeats a value.

use std::fmt;

use jiff::civil::Date;

mod address;
mod birth;
mod canonical;
mod identifier;
mod name;

pub use address::Address;
pub use birth::{AgeBand, BirthDate};
pub use canonical::{CanonicalIdentity, MAX_CANONICAL_BYTES, NotCanonical, commit};
pub use identifier::{Check, Identifier, IdentifierKind};
pub use name::{Name, NameKind};

/// Most names of one person.
pub const MAX_NAMES: usize = 16;
/// Most addresses of one person.
pub const MAX_ADDRESSES: usize = 32;
/// Most identifiers of one person.
pub const MAX_IDENTIFIERS: usize = 16;
/// Longest given or family name, or line of an address, in characters.
pub const MAX_TEXT_CHARS: usize = 200;

/// Something wrong with a statement of who somebody is. Never repeats the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum IdentityProblem {
    /// Neither a given nor a family name.
    #[error("a name needs a given or a family part")]
    NameEmpty,
    /// More names than [`MAX_NAMES`].
    #[error("at most {MAX_NAMES} names, found {0}")]
    TooManyNames(usize),
    /// More addresses than [`MAX_ADDRESSES`].
    #[error("at most {MAX_ADDRESSES} addresses, found {0}")]
    TooManyAddresses(usize),
    /// More identifiers than [`MAX_IDENTIFIERS`].
    #[error("at most {MAX_IDENTIFIERS} identifiers, found {0}")]
    TooManyIdentifiers(usize),
    /// A text longer than its bound.
    #[error("{part} is longer than {max} characters")]
    TooLong {
        /// Which part.
        part: &'static str,
        /// Its bound in characters.
        max: usize,
    },
    /// A control character, which could forge a line where the text is shown.
    #[error("{0} holds a control character")]
    ControlCharacter(&'static str),
    /// An identifier without a value.
    #[error("an identifier needs a value")]
    IdentifierEmpty,
    /// A kind of identifier that is not a word.
    #[error("a kind of identifier is 1 to 32 lower-case letters, digits or `_`")]
    IdentifierKind,
    /// Neither a house nor a postcode.
    #[error("an address needs a house or a postcode")]
    AddressEmpty,
    /// An address that ends before it begins.
    #[error("an address ends before it begins")]
    AddressEndsBeforeStart,
    /// A date that is not of the calendar, or outside the years of birth that are believable.
    #[error("not a date of birth: expected a day, month or year from 1850 to 2200")]
    BirthOutOfRange,
    /// A word for a sex that is not in the list.
    #[error("not a recorded sex: expected `female`, `male`, `other` or nothing")]
    Sex,
}

/// Sex as an agency recorded it; absent when it recorded none.
///
/// The codes 1, 2 and 9 are those of the NHS Data Dictionary, *person stated gender code*.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the word itself")]
pub enum Sex {
    Female,
    Male,
    Other,
}

impl Sex {
    /// The word for it, as [`Self::parse`] reads it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Female => "female",
            Self::Male => "male",
            Self::Other => "other",
        }
    }

    /// Reads a word, letter or code in any case; nothing, `x`, `u` and `unknown` mean that none is recorded.
    ///
    /// # Errors
    /// When the word is none of these.
    pub fn parse(text: &str) -> Result<Option<Self>, IdentityProblem> {
        match text.trim().to_ascii_lowercase().as_str() {
            "" | "x" | "u" | "unknown" => Ok(None),
            "female" | "f" | "2" => Ok(Some(Self::Female)),
            "male" | "m" | "1" => Ok(Some(Self::Male)),
            "other" | "o" | "indeterminate" | "9" => Ok(Some(Self::Other)),
            _ => Err(IdentityProblem::Sex),
        }
    }
}

impl fmt::Debug for Sex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sex([personal])")
    }
}

/// The parts of an [`Identity`], before their number has been checked.
#[derive(Clone, Default)]
pub struct IdentityParts {
    /// Names, in the order of the record.
    pub names: Vec<Name>,
    /// Date of birth, as far as it is known.
    pub birth: BirthDate,
    /// Sex as recorded; absent when none is.
    pub sex: Option<Sex>,
    /// Identifiers, in the order of the record.
    pub identifiers: Vec<Identifier>,
    /// Addresses, in the order of the record.
    pub addresses: Vec<Address>,
}

impl fmt::Debug for IdentityParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityParts([personal])")
    }
}

/// Who somebody is, as one organisation has it. May be as thin as one name.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    names: Vec<Name>,
    birth: BirthDate,
    sex: Option<Sex>,
    identifiers: Vec<Identifier>,
    addresses: Vec<Address>,
}

impl Identity {
    /// Puts an identity together.
    ///
    /// # Errors
    /// Every list that is longer than its bound.
    pub fn new(parts: IdentityParts) -> Result<Self, Vec<IdentityProblem>> {
        let IdentityParts { names, birth, sex, identifiers, addresses } = parts;
        let mut problems = Vec::new();
        if names.len() > MAX_NAMES {
            problems.push(IdentityProblem::TooManyNames(names.len()));
        }
        if addresses.len() > MAX_ADDRESSES {
            problems.push(IdentityProblem::TooManyAddresses(addresses.len()));
        }
        if identifiers.len() > MAX_IDENTIFIERS {
            problems.push(IdentityProblem::TooManyIdentifiers(identifiers.len()));
        }
        if problems.is_empty() {
            Ok(Self { names, birth, sex, identifiers, addresses })
        } else {
            Err(problems)
        }
    }

    /// Names, in the order of the record; may be empty.
    #[must_use]
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// The first current name, else the first name; absent when there is none.
    #[must_use]
    pub fn current_name(&self) -> Option<&Name> {
        let current = self.names.iter().find(|name| name.kind() == NameKind::Current);
        current.or_else(|| self.names.first())
    }

    /// Date of birth, as far as it is known.
    #[must_use]
    pub const fn birth(&self) -> BirthDate {
        self.birth
    }

    /// Sex as recorded; absent when none is.
    #[must_use]
    pub const fn sex(&self) -> Option<Sex> {
        self.sex
    }

    /// Identifiers, in the order of the record.
    #[must_use]
    pub fn identifiers(&self) -> &[Identifier] {
        &self.identifiers
    }

    /// Addresses, in the order of the record.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The age band on a day.
    #[must_use]
    pub fn age_band(&self, on: Date) -> AgeBand {
        self.birth.age_band(on)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity([personal])")
    }
}

/// Trims a text and checks its bounds; `None` when nothing is left or something is wrong.
fn bounded(
    part: &'static str,
    text: &str,
    max: usize,
    problems: &mut Vec<IdentityProblem>,
) -> Option<Box<str>> {
    let text = text.trim();
    if text.chars().take(max + 1).count() > max {
        problems.push(IdentityProblem::TooLong { part, max });
        return None;
    }
    if text.chars().any(char::is_control) {
        problems.push(IdentityProblem::ControlCharacter(part));
        return None;
    }
    (!text.is_empty()).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_lists_that_are_too_long_and_says_all_of_them() {
        let name = Name::new(NameKind::Alias, "Ann", "Lee").unwrap();
        let address = Address::new(Some("1"), None, None, None).unwrap();
        let parts = IdentityParts {
            names: vec![name; MAX_NAMES + 1],
            addresses: vec![address; MAX_ADDRESSES + 1],
            ..IdentityParts::default()
        };
        let problems = Identity::new(parts).unwrap_err();
        assert_eq!(
            problems,
            [IdentityProblem::TooManyNames(17), IdentityProblem::TooManyAddresses(33)]
        );
    }

    #[test]
    fn debug_shows_nothing_of_the_person() {
        let parts = IdentityParts {
            names: vec![Name::new(NameKind::Current, "Nadia", "Brookes").unwrap()],
            birth: BirthDate::parse("1992-03-04").unwrap(),
            sex: Some(Sex::Female),
            identifiers: vec![Identifier::new(IdentifierKind::Nhs, "999 000 0018").unwrap()],
            addresses: vec![
                Address::new(Some("3 Mill Lane"), Some("ZZ1 2AB"), None, None).unwrap(),
            ],
        };
        let shown = format!(
            "{parts:?}{:?}{:?}{:?}{:?}{:?}",
            parts.names, parts.birth, parts.sex, parts.identifiers, parts.addresses
        );
        let shown = format!("{shown}{:?}", Identity::new(parts).unwrap());
        for word in ["Nadia", "Brookes", "1992", "emale", "999", "Mill", "ZZ1"] {
            assert!(!shown.contains(word), "{word}");
        }
    }

    #[test]
    fn a_sex_is_a_known_word_or_absent() {
        assert_eq!(Sex::parse("tall"), Err(IdentityProblem::Sex));
        assert_eq!(Sex::parse(" F "), Ok(Some(Sex::Female)));
        assert_eq!(Sex::parse("unknown"), Ok(None));
    }
}
