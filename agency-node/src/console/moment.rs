//! Times as people write them into a form: in the time of the United Kingdom.

use brag_common::agreement::clock::united_kingdom;
use jiff::{
    civil::{Date, DateTime},
    tz::TimeZone,
};

/// What to write.
pub(super) const EXPECTED: &str =
    "Write a date and a time, for example 2027-02-11 10:00, or leave it empty";

/// A time in Unix milliseconds, of a date (its beginning) or a date and a time; 0 for an empty text; `None` when it is neither.
pub(super) fn of_optional_text(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let there = match text.parse::<Date>() {
        Ok(date) if text.len() <= 10 => date.to_datetime(jiff::civil::Time::midnight()),
        _ => text.parse::<DateTime>().ok()?,
    };
    let zone = united_kingdom().unwrap_or(TimeZone::UTC);
    let at = there.to_zoned(zone).ok()?.timestamp().as_millisecond();
    // 0 says that there is none.
    (at > 0).then_some(at)
}

#[cfg(test)]
mod tests {
    use brag_common::time::Timestamp;

    use super::*;

    #[test]
    fn times_are_read_as_those_of_the_united_kingdom() {
        let ms = |text: &str| Some(text.parse::<Timestamp>().unwrap().as_millisecond());
        assert_eq!(of_optional_text("2027-02-11 10:00"), ms("2027-02-11T10:00:00Z"));
        assert_eq!(of_optional_text("2027-07-11 10:00"), ms("2027-07-11T09:00:00Z"));
        assert_eq!(of_optional_text("2027-07-11"), ms("2027-07-10T23:00:00Z"));
        assert_eq!(of_optional_text(""), Some(0));
        for text in ["soon", "11/02/2027", "2027-02-30", "1960-01-01"] {
            assert_eq!(of_optional_text(text), None, "{text}");
        }
    }
}
