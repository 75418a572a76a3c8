//! One address of a person, with the days between which it was theirs.

use std::fmt;

use jiff::civil::Date;

use super::{IdentityProblem, MAX_TEXT_CHARS, bounded};

/// Longest postcode, in characters; generous, for those of other countries.
const MAX_POSTCODE_CHARS: usize = 16;

/// An address: a house (number, name or whole first line) and a postcode, at least one of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    house: Option<Box<str>>,
    postcode: Option<Box<str>>,
    from: Option<Date>,
    to: Option<Date>,
}

impl Address {
    /// An address as recorded. Days are inclusive; an absent one means that it is not known or not yet.
    ///
    /// # Errors
    /// Every part that is too long or holds a control character; both parts empty; an end before the beginning.
    pub fn new(
        house: Option<&str>,
        postcode: Option<&str>,
        from: Option<Date>,
        to: Option<Date>,
    ) -> Result<Self, Vec<IdentityProblem>> {
        let mut problems = Vec::new();
        let house = bounded("house", house.unwrap_or(""), MAX_TEXT_CHARS, &mut problems);
        let postcode =
            bounded("postcode", postcode.unwrap_or(""), MAX_POSTCODE_CHARS, &mut problems);
        if problems.is_empty() && house.is_none() && postcode.is_none() {
            problems.push(IdentityProblem::AddressEmpty);
        }
        if from.zip(to).is_some_and(|(from, to)| to < from) {
            problems.push(IdentityProblem::AddressEndsBeforeStart);
        }
        if problems.is_empty() { Ok(Self { house, postcode, from, to }) } else { Err(problems) }
    }

    /// House number, name or first line as recorded; absent when it is not known.
    #[must_use]
    pub fn house(&self) -> Option<&str> {
        self.house.as_deref()
    }

    /// Postcode as recorded, which may not be one; absent when it is not known.
    #[must_use]
    pub fn postcode(&self) -> Option<&str> {
        self.postcode.as_deref()
    }

    /// The first day; absent when it is not known.
    #[must_use]
    pub const fn from(&self) -> Option<Date> {
        self.from
    }

    /// The last day; absent when it is the address still, or the day is not known.
    #[must_use]
    pub const fn to(&self) -> Option<Date> {
        self.to
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address([personal])")
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn refuses_nothing_at_all_and_an_end_before_the_beginning() {
        let problems =
            Address::new(None, Some(" "), Some(date(2020, 2, 1)), Some(date(2020, 1, 1)));
        assert_eq!(
            problems.unwrap_err(),
            [IdentityProblem::AddressEmpty, IdentityProblem::AddressEndsBeforeStart]
        );
    }

    #[test]
    fn keeps_the_text_as_it_was_recorded() {
        let address =
            Address::new(Some("Flat 3, 12 Mill Lane"), Some("zz1 2ab"), None, None).unwrap();
        assert_eq!(address.postcode(), Some("zz1 2ab"));
        assert_eq!(address.house(), Some("Flat 3, 12 Mill Lane"));
    }
}
