//! Numbers that organisations give to people, and their check digits.
//!
//! A number that fails its check is kept, marked [`Check::Unverified`]: it may still help a person who compares, but
//! it never becomes a match key.

use std::fmt;

use super::{IdentityProblem, bounded};

/// Longest value of an identifier, in characters.
const MAX_VALUE_CHARS: usize = 64;
/// Longest word for another kind of identifier, in bytes.
const MAX_KIND_BYTES: usize = 32;

/// Who gives the number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum IdentifierKind {
    /// NHS number: ten digits, the last a check digit.
    Nhs,
    /// Unique pupil number: a check letter and twelve characters.
    Upn,
    /// Police reference, of whatever form the force uses.
    Police,
    /// Any other, by a word of the agency's.
    Other(Box<str>),
}

impl IdentifierKind {
    /// The kind with this word: `nhs`, `upn`, `police`, or any other word of lower-case letters, digits and `_`.
    ///
    /// # Errors
    /// When the text is not 1 to 32 of these characters.
    pub fn from_word(word: &str) -> Result<Self, IdentityProblem> {
        match word {
            "nhs" => Ok(Self::Nhs),
            "upn" => Ok(Self::Upn),
            "police" => Ok(Self::Police),
            _ => {
                let valid = (1..=MAX_KIND_BYTES).contains(&word.len())
                    && word
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
                if valid {
                    Ok(Self::Other(word.into()))
                } else {
                    Err(IdentityProblem::IdentifierKind)
                }
            }
        }
    }

    /// The word for the kind.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Nhs => "nhs",
            Self::Upn => "upn",
            Self::Police => "police",
            Self::Other(word) => word,
        }
    }
}

/// Whether a number passed the check that its kind carries within itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Check {
    /// It passed.
    Valid,
    /// It failed, is a placeholder such as `9999999999`, or its kind has no check.
    Unverified,
}

/// A number that an organisation gave to a person, as recorded.
#[derive(Clone, PartialEq, Eq)]
pub struct Identifier {
    kind: IdentifierKind,
    value: Box<str>,
    check: Check,
}

impl Identifier {
    /// An identifier as recorded; its check is worked out here.
    ///
    /// # Errors
    /// When the value is empty, longer than 64 characters or holds a control character; or when another kind is given
    /// by a word that [`IdentifierKind::from_word`] refuses.
    pub fn new(kind: IdentifierKind, value: &str) -> Result<Self, Vec<IdentityProblem>> {
        let mut problems = Vec::new();
        let value = bounded("identifier", value, MAX_VALUE_CHARS, &mut problems);
        if IdentifierKind::from_word(kind.word()).as_ref() != Ok(&kind) {
            problems.push(IdentityProblem::IdentifierKind);
        }
        if problems.is_empty() && value.is_none() {
            problems.push(IdentityProblem::IdentifierEmpty);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let value = value.unwrap_or_default();
        let normal = normal(&value);
        let check = match kind {
            IdentifierKind::Nhs if nhs_number_is_valid(&normal) => Check::Valid,
            IdentifierKind::Upn if upn_is_valid(&normal) => Check::Valid,
            _ => Check::Unverified,
        };
        Ok(Self { kind, value, check })
    }

    /// Who gives the number.
    #[must_use]
    pub const fn kind(&self) -> &IdentifierKind {
        &self.kind
    }

    /// The number as recorded.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The number in upper case, with letters and digits only: the form in which two are compared.
    #[must_use]
    pub fn normal(&self) -> String {
        normal(&self.value)
    }

    /// Whether it passed its check.
    #[must_use]
    pub const fn check(&self) -> Check {
        self.check
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identifier([personal])")
    }
}

fn normal(value: &str) -> String {
    value.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

/// Modulus 11 with weights 10 to 2 (NHS Data Dictionary, *NHS number*). One digit ten times passes it, and is what
/// systems write for "none", so it does not count.
fn nhs_number_is_valid(number: &str) -> bool {
    let digits: Option<Vec<u32>> = number.chars().map(|c| c.to_digit(10)).collect();
    let Some([rest @ .., check]) = digits.as_deref() else { return false };
    if rest.len() != 9 || rest.iter().all(|digit| digit == check) {
        return false;
    }
    let sum: u32 = rest.iter().zip((2..=10).rev()).map(|(digit, weight)| digit * weight).sum();
    // A remainder of 1 would need the check digit 10: such numbers are not given out.
    (11 - sum % 11) % 11 == *check
}

/// Modulus 23 with weights 2 to 13 over the twelve characters behind the check letter; a temporary number ends in a
/// letter, which counts as its place in the same alphabet (Department for Education, *Unique pupil numbers: a guide*).
fn upn_is_valid(number: &str) -> bool {
    const LETTERS: &str = "ABCDEFGHJKLMNPQRTUVWXYZ";
    let mut characters = number.chars();
    let Some(check) = characters.next() else { return false };
    let body: Vec<char> = characters.collect();
    if body.len() != 12 {
        return false;
    }
    let value = |(place, c): (usize, &char)| match c.to_digit(10) {
        Some(digit) => usize::try_from(digit).ok(),
        None if place == 11 => LETTERS.chars().position(|letter| letter == *c),
        None => None,
    };
    let values: Option<Vec<usize>> = body.iter().enumerate().map(value).collect();
    let Some(values) = values else { return false };
    let sum: usize = values.iter().zip(2..).map(|(value, weight)| value * weight).sum();
    values.iter().any(|value| *value != 0) && LETTERS.chars().nth(sum % 23) == Some(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: IdentifierKind, value: &str) -> Check {
        Identifier::new(kind, value).unwrap().check()
    }

    #[test]
    fn refuses_empty_values_and_kinds_that_are_no_words() {
        assert_eq!(
            Identifier::new(IdentifierKind::Police, " ").unwrap_err(),
            [IdentityProblem::IdentifierEmpty]
        );
        let kind = IdentifierKind::Other("Two Words".into());
        assert_eq!(Identifier::new(kind, "1").unwrap_err(), [IdentityProblem::IdentifierKind]);
        assert!(IdentifierKind::from_word(&"a".repeat(33)).is_err());
    }

    #[test]
    fn an_nhs_number_with_a_wrong_check_digit_is_kept_unverified() {
        // 9434765919 is the worked example of the NHS Data Dictionary.
        assert_eq!(check(IdentifierKind::Nhs, "943 476 5919"), Check::Valid);
        for value in ["943 476 5918", "943476591", "94347659190", "943476591X", "1234567890"] {
            assert_eq!(check(IdentifierKind::Nhs, value), Check::Unverified, "{value}");
        }
    }

    #[test]
    fn an_nhs_number_of_one_digit_is_a_placeholder() {
        for digit in 0..10 {
            let value = digit.to_string().repeat(10);
            assert_eq!(check(IdentifierKind::Nhs, &value), Check::Unverified, "{value}");
        }
    }

    #[test]
    fn every_single_wrong_digit_of_an_nhs_number_shows() {
        let valid = "9434765919";
        for place in 0..10 {
            for digit in '0'..='9' {
                let changed: String = valid
                    .chars()
                    .enumerate()
                    .map(|(i, c)| if i == place { digit } else { c })
                    .collect();
                let expected = if changed == valid { Check::Valid } else { Check::Unverified };
                assert_eq!(check(IdentifierKind::Nhs, &changed), expected, "{changed}");
            }
        }
    }

    #[test]
    fn a_pupil_number_needs_its_check_letter() {
        // 8*2 + 1*4 + 2*5 + 1*8 + 1*10 + 1*13 = 61, and 61 mod 23 = 15: the sixteenth letter, R.
        let body = "801200101001";
        let letters = "ABCDEFGHJKLMNPQRTUVWXYZ";
        let valid: Vec<char> = letters
            .chars()
            .filter(|letter| check(IdentifierKind::Upn, &format!("{letter}{body}")) == Check::Valid)
            .collect();
        assert_eq!(valid, ['R']);
        assert_eq!(check(IdentifierKind::Upn, "A000000000000"), Check::Unverified);
        assert_eq!(check(IdentifierKind::Upn, "R8012O0101001"), Check::Unverified);
    }

    #[test]
    fn other_kinds_are_never_verified() {
        assert_eq!(check(IdentifierKind::Police, "9434765919"), Check::Unverified);
    }
}
