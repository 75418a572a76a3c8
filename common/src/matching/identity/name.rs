//! One name of a person.

use std::fmt;

use super::{IdentityProblem, MAX_TEXT_CHARS, bounded};

/// What a name is to the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameKind {
    /// The name the person has now.
    Current,
    /// A name of the past, for example from before a marriage.
    Former,
    /// Another name that the person uses or has given.
    Alias,
    /// What people call them.
    KnownAs,
}

impl NameKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Current, Self::Former, Self::Alias, Self::KnownAs];

    /// The word for the kind in files and encodings.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Former => "former",
            Self::Alias => "alias",
            Self::KnownAs => "known_as",
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// A name: given names and a family name, at least one of them, as they were recorded.
#[derive(Clone, PartialEq, Eq)]
pub struct Name {
    given: Box<str>,
    family: Box<str>,
    kind: NameKind,
}

impl Name {
    /// A name of these parts; given names are separated by spaces. Space around a part is dropped.
    ///
    /// # Errors
    /// Every part that is longer than [`MAX_TEXT_CHARS`] or holds a control character; or when both are empty.
    pub fn new(kind: NameKind, given: &str, family: &str) -> Result<Self, Vec<IdentityProblem>> {
        let mut problems = Vec::new();
        let given = bounded("given name", given, MAX_TEXT_CHARS, &mut problems);
        let family = bounded("family name", family, MAX_TEXT_CHARS, &mut problems);
        if problems.is_empty() && given.is_none() && family.is_none() {
            problems.push(IdentityProblem::NameEmpty);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { given: given.unwrap_or_default(), family: family.unwrap_or_default(), kind })
    }

    /// Given and family names, as they are read out.
    #[must_use]
    pub fn full(&self) -> String {
        [&*self.given, &*self.family].join(" ").trim().to_owned()
    }

    /// Given names as recorded; empty when none is known.
    #[must_use]
    pub fn given(&self) -> &str {
        &self.given
    }

    /// Family name as recorded; empty when none is known, or the person has none.
    #[must_use]
    pub fn family(&self) -> &str {
        &self.family
    }

    /// What the name is to the person.
    #[must_use]
    pub const fn kind(&self) -> NameKind {
        self.kind
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name([personal])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_empty_long_and_controlled_names_all_at_once() {
        assert_eq!(Name::new(NameKind::Current, " ", ""), Err(vec![IdentityProblem::NameEmpty]));
        let problems = Name::new(NameKind::Current, "a\nb", &"é".repeat(201)).unwrap_err();
        assert_eq!(
            problems,
            [
                IdentityProblem::ControlCharacter("given name"),
                IdentityProblem::TooLong { part: "family name", max: 200 }
            ]
        );
    }

    #[test]
    fn one_part_is_enough_and_text_is_kept() {
        let name = Name::new(NameKind::KnownAs, " Zoë-Ann ", "").unwrap();
        assert_eq!((name.given(), name.family()), ("Zoë-Ann", ""));
        assert!(Name::new(NameKind::Current, "", &"é".repeat(200)).is_ok());
    }
}
