//! Date of birth, known in full or in part, and the age that follows from it.

use std::fmt;

use jiff::civil::Date;

use super::IdentityProblem;
use crate::matching::normalise::{NotADate, WrittenDate, parse_date};

/// Years of birth that are believed: nobody alive is older, and a due date may lie ahead.
const YEARS: std::ops::RangeInclusive<i16> = 1850..=2200;

/// A date of birth, or of expected birth, as far as it is known. The default is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BirthDate(Known);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Known {
    #[default]
    Nothing,
    Year(i16),
    Month(i16, i8),
    Day(Date),
}

impl BirthDate {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self(Known::Nothing);

    /// Reads `YYYY-MM-DD`, `DD/MM/YYYY`, `YYYY-MM` or `YYYY`; nothing means unknown.
    ///
    /// # Errors
    /// When the text is none of these, or not a day of the calendar from 1850 to 2200.
    pub fn parse(text: &str) -> Result<Self, NotADate> {
        if text.trim().is_empty() {
            return Ok(Self::UNKNOWN);
        }
        let date = match parse_date(text)? {
            WrittenDate::Day(date) => Self::from_date(date),
            WrittenDate::Month(year, month) => Self::from_month(year, month),
            WrittenDate::Year(year) => Self::from_year(year),
        };
        date.map_err(|_| NotADate)
    }

    /// A day.
    ///
    /// # Errors
    /// When it is outside the years 1850 to 2200.
    pub fn from_date(date: Date) -> Result<Self, IdentityProblem> {
        believed(date.year()).map(|_| Self(Known::Day(date)))
    }

    /// A month, 1 to 12, of a year.
    ///
    /// # Errors
    /// When it is outside the years 1850 to 2200, or no month.
    pub fn from_month(year: i16, month: i8) -> Result<Self, IdentityProblem> {
        if !(1..=12).contains(&month) {
            return Err(IdentityProblem::BirthOutOfRange);
        }
        believed(year).map(|year| Self(Known::Month(year, month)))
    }

    /// A year.
    ///
    /// # Errors
    /// When it is outside 1850 to 2200.
    pub fn from_year(year: i16) -> Result<Self, IdentityProblem> {
        believed(year).map(|year| Self(Known::Year(year)))
    }

    /// The day; absent unless the date is known in full.
    #[must_use]
    pub const fn day(self) -> Option<Date> {
        match self.0 {
            Known::Day(date) => Some(date),
            Known::Nothing | Known::Year(_) | Known::Month(..) => None,
        }
    }

    /// The month, 1 to 12; absent when it is not known.
    #[must_use]
    pub fn month(self) -> Option<i8> {
        match self.0 {
            Known::Day(date) => Some(date.month()),
            Known::Month(_, month) => Some(month),
            Known::Nothing | Known::Year(_) => None,
        }
    }

    /// The year; absent when it is not known.
    #[must_use]
    pub fn year(self) -> Option<i16> {
        match self.0 {
            Known::Day(date) => Some(date.year()),
            Known::Month(year, _) | Known::Year(year) => Some(year),
            Known::Nothing => None,
        }
    }

    /// Completed years on a day; absent when the known part leaves two answers, or birth lies ahead.
    #[must_use]
    pub fn age(self, on: Date) -> Option<i16> {
        let (least, most) = self.age_range(on)?;
        (least == most && least >= 0).then_some(least)
    }

    /// The age band on a day; unknown when the known part leaves two answers, or birth lies ahead.
    #[must_use]
    pub fn age_band(self, on: Date) -> AgeBand {
        let Some((least, most)) = self.age_range(on) else { return AgeBand::Unknown };
        let (young, old) = (AgeBand::of(least), AgeBand::of(most));
        if young == old { young } else { AgeBand::Unknown }
    }

    fn age_range(self, on: Date) -> Option<(i16, i16)> {
        let years = on.year() - self.year()?;
        Some(match self.0 {
            Known::Day(born) => {
                let had_birthday = (on.month(), on.day()) >= (born.month(), born.day());
                let age = if had_birthday { years } else { years - 1 };
                (age, age)
            }
            Known::Month(_, month) if month != on.month() => {
                let age = if on.month() > month { years } else { years - 1 };
                (age, age)
            }
            Known::Month(..) | Known::Year(_) | Known::Nothing => (years - 1, years),
        })
    }
}

fn believed(year: i16) -> Result<i16, IdentityProblem> {
    if YEARS.contains(&year) { Ok(year) } else { Err(IdentityProblem::BirthOutOfRange) }
}

/// The date in the form that [`BirthDate::parse`] reads: `YYYY-MM-DD`, `YYYY-MM`, `YYYY` or nothing.
impl fmt::Display for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Known::Nothing => Ok(()),
            Known::Year(year) => write!(f, "{year:04}"),
            Known::Month(year, month) => write!(f, "{year:04}-{month:02}"),
            Known::Day(date) => write!(f, "{date}"),
        }
    }
}

impl fmt::Debug for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BirthDate([personal])")
    }
}

/// What is told of the age of a person whose identity is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is its own bounds, in completed years")]
pub enum AgeBand {
    Years0To4,
    Years5To10,
    Years11To15,
    Years16To17,
    Years18To24,
    Years25To64,
    Years65AndOver,
    Unknown,
}

impl AgeBand {
    /// The band of an age in completed years; unknown for an age below nought.
    #[must_use]
    pub const fn of(age: i16) -> Self {
        match age {
            ..0 => Self::Unknown,
            0..=4 => Self::Years0To4,
            5..=10 => Self::Years5To10,
            11..=15 => Self::Years11To15,
            16..=17 => Self::Years16To17,
            18..=24 => Self::Years18To24,
            25..=64 => Self::Years25To64,
            65.. => Self::Years65AndOver,
        }
    }

    /// Whether everyone in the band is under 18; not when nothing is known.
    #[must_use]
    pub const fn is_child(self) -> bool {
        match self {
            Self::Years0To4 | Self::Years5To10 | Self::Years11To15 | Self::Years16To17 => true,
            Self::Years18To24 | Self::Years25To64 | Self::Years65AndOver | Self::Unknown => false,
        }
    }

    /// The band in the form `0-4` … `65+`, `unknown`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Years0To4 => "0-4",
            Self::Years5To10 => "5-10",
            Self::Years11To15 => "11-15",
            Self::Years16To17 => "16-17",
            Self::Years18To24 => "18-24",
            Self::Years25To64 => "25-64",
            Self::Years65AndOver => "65+",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn refuses_impossible_and_unbelievable_dates() {
        for text in ["1992-02-30", "31/04/1992", "1992-13", "1849", "3000-01-01", "soon", "1/2/92"]
        {
            assert!(BirthDate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_known_form_prints_as_it_parses() {
        for text in ["", "1992", "1992-03", "1992-03-04"] {
            assert_eq!(BirthDate::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(BirthDate::parse("04/03/1992"), BirthDate::parse("1992-03-04"));
    }

    #[test]
    fn an_age_counts_completed_years() {
        let born = BirthDate::parse("2010-06-15").unwrap();
        assert_eq!(born.age(date(2026, 6, 14)), Some(15));
        assert_eq!(born.age(date(2026, 6, 15)), Some(16));
        assert_eq!(born.age_band(date(2026, 6, 15)), AgeBand::Years16To17);
    }

    #[test]
    fn a_partial_date_gives_an_age_only_when_it_leaves_one_answer() {
        let month = BirthDate::parse("2010-06").unwrap();
        assert_eq!(month.age(date(2026, 7, 1)), Some(16));
        assert_eq!(month.age(date(2026, 6, 30)), None);
        assert_eq!(month.age_band(date(2026, 6, 30)), AgeBand::Unknown);
        let year = BirthDate::parse("2010").unwrap();
        assert_eq!(year.age_band(date(2028, 1, 1)), AgeBand::Unknown);
        assert_eq!(year.age_band(date(2030, 1, 1)), AgeBand::Years18To24);
    }

    #[test]
    fn the_unborn_and_the_unknown_have_no_band() {
        let today = date(2026, 1, 1);
        assert_eq!(BirthDate::parse("2026-05-01").unwrap().age_band(today), AgeBand::Unknown);
        assert_eq!(BirthDate::UNKNOWN.age_band(today), AgeBand::Unknown);
    }
}
