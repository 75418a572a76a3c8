//! Forms in which two spellings of the same fact are equal: names, postcodes, house numbers, dates.
//!
//! Everything here is total, takes bounded time, and is part of the match keys' version: a change of any result is a
//! new version of the keys (see [`super::keys`]).

use std::fmt;

use jiff::civil::Date;

mod fold;
mod nicknames;
mod sound;

pub use fold::{MAX_FOLDED_CHARS, family_halves, fold, fold_family, fold_given};
pub use nicknames::{are_forms_of_one_name, formal_given};
pub use sound::soundex;

/// A text that is not a date. The text is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error(
    "not a date: expected `YYYY-MM-DD`, `DD/MM/YYYY`, `YYYY-MM` or `YYYY`, and a day that exists"
)]
pub struct NotADate;

/// A date as it was written, in full or in part.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum WrittenDate {
    /// A day of the calendar.
    Day(Date),
    /// A year and its month, 1 to 12.
    Month(i16, i8),
    /// A year.
    Year(i16),
}

impl fmt::Debug for WrittenDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrittenDate([personal])")
    }
}

/// Reads `YYYY-MM-DD`, `DD/MM/YYYY`, `YYYY-MM` or `YYYY`. Years have four digits: two would be a guess.
///
/// # Errors
/// When the text has none of these forms, or names a day that does not exist.
pub fn parse_date(text: &str) -> Result<WrittenDate, NotADate> {
    let text = text.trim();
    let number = |part: &str, digits: usize| -> Result<i16, NotADate> {
        if part.len() != digits || !part.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotADate);
        }
        part.parse().map_err(|_| NotADate)
    };
    let small = |part: &str| -> Result<i8, NotADate> {
        i8::try_from(number(part, 2)?).map_err(|_| NotADate)
    };
    let day = |year: &str, month: &str, day: &str| {
        let date = Date::new(number(year, 4)?, small(month)?, small(day)?);
        date.map(WrittenDate::Day).map_err(|_| NotADate)
    };
    let hyphens: Vec<&str> = text.splitn(4, '-').collect();
    let slashes: Vec<&str> = text.splitn(4, '/').collect();
    match (hyphens.as_slice(), slashes.as_slice()) {
        ([y, m, d], _) | (_, [d, m, y]) => day(y, m, d),
        ([y, m], _) => match small(m)? {
            month @ 1..=12 => Ok(WrittenDate::Month(number(y, 4)?, month)),
            _ => Err(NotADate),
        },
        ([y], [_]) => number(y, 4).map(WrittenDate::Year),
        _ => Err(NotADate),
    }
}

/// A postcode of the United Kingdom, in upper case.
#[derive(Clone, PartialEq, Eq)]
pub struct Postcode {
    outward: Box<str>,
    inward: Option<Box<str>>,
}

impl Postcode {
    /// Reads a whole postcode, or its outward half alone, with or without a space. `None` for any other text.
    ///
    /// The forms are those of the Royal Mail: outward `A9`, `A99`, `A9A`, `AA9`, `AA99`, `AA9A`; inward `9AA`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut code: Vec<char> = text
            .chars()
            .filter(|c| !c.is_whitespace())
            .take(8)
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let inward = match code.as_slice() {
            [.., a, b, c]
                if code.len() >= 5
                    && a.is_ascii_digit()
                    && b.is_ascii_uppercase()
                    && c.is_ascii_uppercase() =>
            {
                Some([*a, *b, *c].iter().collect::<String>().into())
            }
            _ => None,
        };
        if inward.is_some() {
            code.truncate(code.len() - 3);
        }
        let shape: String = code
            .iter()
            .map(|c| match c {
                'A'..='Z' => 'A',
                '0'..='9' => '9',
                _ => '?',
            })
            .collect();
        matches!(shape.as_str(), "A9" | "A99" | "A9A" | "AA9" | "AA99" | "AA9A")
            .then(|| Self { outward: code.iter().collect::<String>().into(), inward })
    }

    /// The district, for example `EX4`: the outward half.
    #[must_use]
    pub fn district(&self) -> &str {
        &self.outward
    }

    /// The inward half, for example `6QD`; absent when only the district is known.
    #[must_use]
    pub fn inward(&self) -> Option<&str> {
        self.inward.as_deref()
    }
}

impl fmt::Debug for Postcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Postcode([personal])")
    }
}

/// Most numbers of one house that are looked at.
const MAX_HOUSE_NUMBERS: usize = 4;

/// The numbers of a house or first line of an address, in order of size: `Flat 3, 12a Mill Lane` and
/// `12A Mill Lane (Flat 3)` both give `3-12A`. `None` when it has none.
///
/// A number is up to five digits and at most one letter, standing alone; so `2nd` of `2nd Avenue` is none.
#[must_use]
pub fn house_number(text: &str) -> Option<String> {
    let mut numbers: Vec<(u32, String)> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter_map(number_of_house)
        .take(MAX_HOUSE_NUMBERS)
        .collect();
    numbers.sort();
    numbers.dedup();
    let numbers: Vec<String> = numbers.into_iter().map(|(_, number)| number).collect();
    (!numbers.is_empty()).then(|| numbers.join("-"))
}

fn number_of_house(word: &str) -> Option<(u32, String)> {
    let word = word.to_ascii_uppercase();
    let digits = word.trim_end_matches(|c: char| c.is_ascii_uppercase());
    let letters = word.len() - digits.len();
    let valid = (1..=5).contains(&digits.len())
        && letters <= 1
        && digits.bytes().all(|b| b.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| valid)?;
    let letter = word.strip_prefix(digits).unwrap_or("");
    Some((number, format!("{number}{letter}")))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_dates_that_do_not_exist_or_are_written_otherwise() {
        let texts = [
            "2023-02-29",
            "29/02/2023",
            "2023-00-10",
            "2023-13",
            "23-01-02",
            "1/2/2023",
            "2023-1-2",
            "2023/01/02",
            "20230102",
            "+200-01-01",
            "2023-01-02-03",
            "01/02/2023/4",
            "2023-01/02",
            "",
            "-",
            "/",
        ];
        for text in texts {
            assert_eq!(parse_date(text), Err(NotADate), "{text}");
        }
    }

    #[test]
    fn reads_days_months_and_years() {
        assert_eq!(parse_date("2024-02-29"), Ok(WrittenDate::Day(date(2024, 2, 29))));
        assert_eq!(parse_date(" 29/02/2024 "), Ok(WrittenDate::Day(date(2024, 2, 29))));
        assert_eq!(parse_date("2024-02"), Ok(WrittenDate::Month(2024, 2)));
        assert_eq!(parse_date("2024"), Ok(WrittenDate::Year(2024)));
    }

    #[test]
    fn postcodes_of_every_form_give_their_district() {
        let forms = [
            ("m1 1ae", "M1"),
            ("B338TH", "B33"),
            ("CR2 6XH", "CR2"),
            ("dn55 1pt", "DN55"),
            ("W1A 0AX", "W1A"),
            ("EC1A1BB", "EC1A"),
            ("ex4", "EX4"),
        ];
        for (text, district) in forms {
            assert_eq!(Postcode::parse(text).unwrap().district(), district, "{text}");
        }
        assert_eq!(Postcode::parse("EC1A 1BB").unwrap().inward(), Some("1BB"));
        assert_eq!(Postcode::parse("EC1A").unwrap().inward(), None);
    }

    #[test]
    fn other_texts_are_no_postcodes() {
        for text in ["", "ZZ", "12345", "EX4 6Q", "EX4 6QDX", "É4 6QD", "unknown", "EX4-6QD"] {
            assert_eq!(Postcode::parse(text), None, "{text}");
        }
    }

    #[test]
    fn house_numbers_do_not_depend_on_how_a_line_is_written() {
        for text in ["Flat 3, 12a Mill Lane", "12A Mill Lane (flat 03)", "3/12a"] {
            assert_eq!(house_number(text).as_deref(), Some("3-12A"), "{text}");
        }
        assert_eq!(house_number("14 2nd Avenue").as_deref(), Some("14"));
        for text in ["Rose Cottage", "2nd Avenue", "", "123456", "EX4 6QD"] {
            assert_eq!(house_number(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,400}") {
            let _ = parse_date(&text);
            let _ = Postcode::parse(&text);
            let _ = house_number(&text);
        }

        #[test]
        fn short_texts_of_digits_and_signs_are_read_without_panic(text in "[0-9/ A-Z-]{0,12}") {
            let _ = parse_date(&text);
            let _ = Postcode::parse(&text);
            let _ = house_number(&text);
        }
    }
}
