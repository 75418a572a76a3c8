//! A day and a time of day in the United Kingdom, in the four fields of a form.

use brag_common::{agreement::clock::united_kingdom, console::Form, time::Timestamp};
use jiff::{civil, tz::TimeZone};

/// The moment that the four fields of a name say, in milliseconds since 1970; 0: none is given. What is none is wrong.
pub(super) fn moment(form: &mut Form, name: &str) -> i64 {
    let part = |end: &str| form.trimmed(&format!("{name}-{end}"));
    let (day, month, year, time) = (part("day"), part("month"), part("year"), part("time"));
    if [day, month, year, time].into_iter().all(str::is_empty) {
        return 0;
    }
    match at(day, month, year, time) {
        Some(at) => at.as_millisecond(),
        None => {
            let text = "Enter a real date and a time of day, for example 28 11 2026 and 14:05, or leave all four empty";
            form.wrong(name, text);
            0
        }
    }
}

/// Fills the four fields of a moment.
pub(super) fn put_moment(form: &mut Form, name: &str, at: Timestamp) {
    let at = at.to_zoned(united_kingdom().unwrap_or(TimeZone::UTC));
    form.put(format!("{name}-day"), at.day().to_string());
    form.put(format!("{name}-month"), at.month().to_string());
    form.put(format!("{name}-year"), at.year().to_string());
    form.put(format!("{name}-time"), at.strftime("%H:%M").to_string());
}

fn at(day: &str, month: &str, year: &str, time: &str) -> Option<Timestamp> {
    let date = civil::Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
    let (hour, minute) = time.split_once([':', '.'])?;
    let time = civil::Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()?;
    let zone = united_kingdom().unwrap_or(TimeZone::UTC);
    Some(date.to_datetime(time).to_zoned(zone).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(values: &[(&str, &str)]) -> Form {
        Form::of(values.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn a_moment_is_whole_or_absent() {
        let whole = [("t-day", "1"), ("t-month", "7"), ("t-year", "2026"), ("t-time", "15:05")];
        for gap in 0..4 {
            let mut part = form(&[&whole[..gap], &whole[gap + 1..]].concat());
            assert_eq!(moment(&mut part, "t"), 0);
            assert_ne!(part.error("t"), "");
        }
        let mut none =
            form(&[("t-day", "31"), ("t-month", "2"), ("t-year", "2026"), ("t-time", "1:00")]);
        moment(&mut none, "t");
        assert!(!none.is_right());
        let mut summer = form(&whole);
        let expected: Timestamp = "2026-07-01T14:05:00Z".parse().unwrap();
        assert_eq!(moment(&mut summer, "t"), expected.as_millisecond());
        assert!(summer.is_right());
        assert_eq!(moment(&mut form(&[]), "t"), 0);
    }

    #[test]
    fn a_moment_that_is_filled_in_reads_back() {
        let at: Timestamp = "2026-11-28T23:59:00Z".parse().unwrap();
        let mut form = Form::default();
        put_moment(&mut form, "t", at);
        assert_eq!(moment(&mut form, "t"), at.as_millisecond());
    }
}
