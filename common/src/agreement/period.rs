//! Lengths of time as agreements write them: `"72h"`, `"28d"`, `"12 months"`.

use std::fmt;

use crate::time::{SignedDuration, Timestamp};

/// The longest duration an agreement may state: ten years of hours. Longer is a slip of the pen.
const DURATION_HOURS_MAX: i64 = 10 * 366 * 24;

/// Parses `"30s"`, `"15m"`, `"72h"` or `"28d"`. A day here is 24 elapsed hours.
pub(super) fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || {
        format!(
            "`{text}` is not a duration: write a whole number and `s`, `m`, `h` or `d`, as in `72h`"
        )
    };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits).unwrap_or_default();
    let n: i64 = parse_digits(digits).ok_or_else(wrong)?;
    let seconds_each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(wrong()),
    };
    let seconds = n.checked_mul(seconds_each).ok_or_else(wrong)?;
    if seconds == 0 || seconds > DURATION_HOURS_MAX * 3600 {
        return Err(format!("`{text}` is out of range: more than nothing, at most ten years"));
    }
    Ok(SignedDuration::from_secs(seconds))
}

/// Parses `"50%"`.
pub(super) fn parse_percent(text: &str) -> Result<u8, String> {
    text.strip_suffix('%')
        .and_then(parse_digits)
        .and_then(|n| u8::try_from(n).ok())
        .filter(|n| (1..=100).contains(n))
        .ok_or_else(|| format!("`{text}` is not a share: write `1%` to `100%`"))
}

fn parse_digits(digits: &str) -> Option<i64> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    // No leading zero and no sign: one way to write each number.
    if !plain || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    digits.parse().ok()
}

/// A retention period, in units of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Calendar days.
    Days(u16),
    /// Calendar months.
    Months(u16),
    /// Calendar years.
    Years(u16),
}

impl Period {
    /// The period as a calendar span, to be added to a civil date.
    #[must_use]
    pub fn span(self) -> jiff::Span {
        match self {
            Self::Days(n) => jiff::Span::new().days(n),
            Self::Months(n) => jiff::Span::new().months(n),
            // A year count beyond jiff's range can not pass `parse`.
            Self::Years(n) => jiff::Span::new().years(n.min(PERIOD_MAX)),
        }
    }

    /// The moment at which the period is over that begins at `from`, by the calendar in UTC. Beyond what a time can be: the last one.
    #[must_use]
    pub fn after(self, from: Timestamp) -> Timestamp {
        let begins = from.to_zoned(jiff::tz::TimeZone::UTC);
        begins.checked_add(self.span()).map_or(Timestamp::MAX, |ends| ends.timestamp())
    }

    /// Parses `"90 days"`, `"12 months"` or `"8 years"`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is not a period: write for example `90 days`, `12 months`, `8 years`")
        };
        let (digits, unit) = text.split_once(' ').ok_or_else(wrong)?;
        let n = parse_digits(digits).and_then(|n| u16::try_from(n).ok());
        let n = n.filter(|n| (1..=PERIOD_MAX).contains(n)).ok_or_else(wrong)?;
        match unit {
            "day" | "days" => Ok(Self::Days(n)),
            "month" | "months" => Ok(Self::Months(n)),
            "year" | "years" => Ok(Self::Years(n)),
            _ => Err(wrong()),
        }
    }
}

/// The greatest count of any unit: a thousand years is a slip of the pen, and jiff can hold it.
const PERIOD_MAX: u16 = 1000;

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Days(n) => write!(f, "{n} days"),
            Self::Months(n) => write!(f, "{n} months"),
            Self::Years(n) => write!(f, "{n} years"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_durations_that_are_empty_signed_fractional_or_huge() {
        for text in
            ["", "h", "72", "72 h", "-1h", "+1h", "1.5h", "0h", "07h", "72w", "9999999999999d"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert_eq!(parse_duration("72h"), Ok(SignedDuration::from_hours(72)));
        assert_eq!(parse_duration("30s"), Ok(SignedDuration::from_secs(30)));
    }

    #[test]
    fn refuses_shares_outside_one_to_a_hundred() {
        for text in ["0%", "101%", "50", "%", "-5%"] {
            assert!(parse_percent(text).is_err(), "{text}");
        }
        assert_eq!(parse_percent("50%"), Ok(50));
    }

    #[test]
    fn a_period_ends_on_the_same_day_of_the_calendar_or_the_last_that_there_is() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let ends = |period: Period, from: &str| period.after(at(from));
        assert_eq!(ends(Period::Months(12), "2027-02-09T09:00:00Z"), at("2028-02-09T09:00:00Z"));
        assert_eq!(ends(Period::Months(1), "2027-01-31T09:00:00Z"), at("2027-02-28T09:00:00Z"));
        assert_eq!(ends(Period::Days(90), "2027-02-09T09:00:00Z"), at("2027-05-10T09:00:00Z"));
        assert_eq!(Period::Years(1000).after(Timestamp::MAX), Timestamp::MAX);
    }

    #[test]
    fn refuses_periods_in_other_units() {
        for text in ["12", "12months", "0 years", "1 decade", "1001 years"] {
            assert!(Period::parse(text).is_err(), "{text}");
        }
        assert_eq!(Period::parse("8 years"), Ok(Period::Years(8)));
        assert_eq!(Period::parse("12 months").unwrap().span().get_months(), 12);
    }
}
