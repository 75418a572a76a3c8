//! The days that a report is about. They are days of local time in the United Kingdom, as the agreement's are.

use std::{fmt, str::FromStr};

use brag_common::{agreement::clock::united_kingdom, time::Timestamp};
use jiff::{ToSpan as _, civil::Date};

/// Whole days, from midnight to midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    first: Date,
    last: Date,
    starts: Timestamp,
    ends: Timestamp,
}

/// Why two days are no period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAPeriod {
    /// Not a month as it is written.
    #[error("not a month: write for example 2027-02")]
    Month,
    /// The last day is before the first.
    #[error("the last day is before the first")]
    Order,
    /// Outside of the calendar.
    #[error("outside of the calendar")]
    Calendar,
}

impl Period {
    /// From the first day to the last, both included.
    ///
    /// # Errors
    /// When the last is before the first, or a day is outside of the calendar.
    pub fn days(first: Date, last: Date) -> Result<Self, NotAPeriod> {
        if last < first {
            return Err(NotAPeriod::Order);
        }
        let zone = united_kingdom().ok_or(NotAPeriod::Calendar)?;
        let midnight = |day: Date| {
            let at = day.to_zoned(zone.clone()).map_err(|_| NotAPeriod::Calendar)?;
            Ok(at.timestamp())
        };
        let after = last.checked_add(1.day()).map_err(|_| NotAPeriod::Calendar)?;
        Ok(Self { first, last, starts: midnight(first)?, ends: midnight(after)? })
    }

    /// The first day.
    #[must_use]
    pub const fn first(&self) -> Date {
        self.first
    }

    /// The last day, which is part of it.
    #[must_use]
    pub const fn last(&self) -> Date {
        self.last
    }

    /// Its first moment.
    #[must_use]
    pub const fn starts(&self) -> Timestamp {
        self.starts
    }

    /// The first moment after it.
    #[must_use]
    pub const fn ends(&self) -> Timestamp {
        self.ends
    }

    /// Whether a time is in it.
    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        self.starts <= at && at < self.ends
    }

    /// Whether a time is in it or before it.
    #[must_use]
    pub fn reaches(&self, at: Timestamp) -> bool {
        at < self.ends
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.first, self.last)
    }
}

/// A month, written `2027-02`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Month(pub Period);

impl FromStr for Month {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let (year, month) = text.split_once('-').ok_or(NotAPeriod::Month)?;
        if year.len() != 4 || month.len() != 2 || !digits(year) || !digits(month) {
            return Err(NotAPeriod::Month);
        }
        let year: i16 = year.parse().map_err(|_| NotAPeriod::Month)?;
        let month: i8 = month.parse().map_err(|_| NotAPeriod::Month)?;
        let first = Date::new(year, month, 1).map_err(|_| NotAPeriod::Month)?;
        Period::days(first, first.last_of_month()).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn what_is_not_a_month_is_refused() {
        for text in ["", "2027", "2027-13", "2027-00", "2027-2", "27-02", "2027-02-01", "+027-02"] {
            assert_eq!(text.parse::<Month>(), Err(NotAPeriod::Month), "{text}");
        }
    }

    #[test]
    fn the_last_day_is_not_before_the_first() {
        assert_eq!(Period::days(date(2027, 2, 2), date(2027, 2, 1)), Err(NotAPeriod::Order));
    }

    #[test]
    fn a_month_begins_and_ends_at_midnight_of_the_united_kingdom() {
        let Month(march) = "2027-03".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert!(!march.holds(at("2027-02-28T23:59:59Z")));
        assert!(march.holds(at("2027-03-01T00:00:00Z")));
        // Clocks went forward on the 28th: the month ends at 23:00 of UTC.
        assert!(march.holds(at("2027-03-31T22:59:59Z")));
        assert!(!march.holds(at("2027-03-31T23:00:00Z")));
        assert!(march.reaches(at("2026-01-01T00:00:00Z")));
        assert!(!march.reaches(at("2027-03-31T23:00:00Z")));
        assert_eq!(march.to_string(), "2027-03-01 to 2027-03-31");
    }
}
