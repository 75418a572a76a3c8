//! Postcodes, streets and houses.

use super::{
    Finding, Found,
    text::{Text, Word},
};
use crate::matching::{identity::Identity, normalise::Postcode};

/// Kinds of street that are hardly anything else. With a name before them they are a street, numbered or not.
const STREETS: [&str; 12] = [
    "street",
    "road",
    "rd",
    "lane",
    "avenue",
    "ave",
    "crescent",
    "terrace",
    "boulevard",
    "mews",
    "esplanade",
    "st",
];

/// Kinds that are words of another meaning as well: a street only with a capital letter, and with a number before the name.
const STREETS_TOO: [&str; 19] = [
    "close", "court", "drive", "gardens", "green", "grove", "hill", "house", "ln", "park", "place",
    "rise", "row", "square", "view", "walk", "way", "wharf", "yard",
];

/// A number after one of these is a home.
const HOMES: [&str; 4] = ["flat", "apartment", "maisonette", "bedsit"];

/// Words that part a number from a street that has nothing to do with it.
const NOT_IN_NAMES: [&str; 24] = [
    "a", "after", "an", "and", "at", "by", "days", "for", "from", "hours", "in", "months", "near",
    "of", "off", "on", "or", "over", "per", "the", "times", "to", "weeks", "years",
];

/// Most words of a street's name before its kind.
const MAX_NAME_WORDS: usize = 3;

pub(super) fn find(text: &Text, people: &[&Identity], findings: &mut Vec<Finding>) {
    let known: Vec<Vec<String>> = people.iter().flat_map(|person| streets_of(person)).collect();
    for (at, word) in text.words.iter().enumerate() {
        let mut push = |start: usize, end: usize, found: Found| {
            let (from, to) = text.places(start, end);
            findings.push(Finding { from, to, found });
        };
        if is_postcode(&word.letters) {
            push(word.start, word.end, Found::Postcode);
        }
        if let Some(next) = text.words.get(at + 1) {
            let apart = text.between(word, next).all(|c| c.is_whitespace() || c == '-');
            let both = format!("{}{}", word.letters, next.letters);
            if apart && !is_postcode(&next.letters) && is_postcode(&both) && !is_count(next) {
                push(word.start, next.end, Found::Postcode);
            }
            if HOMES.contains(&word.bare().as_str()) && is_number(next) {
                push(word.start, next.end, Found::Address);
            }
        }
        if let Some(start) = street_that_ends_with(text, at) {
            push(start, word.end, Found::Address);
        }
        for street in &known {
            let here = text.words.get(at..at + street.len()).unwrap_or_default();
            if let [.., last] = here
                && here.iter().map(Word::bare).eq(street.iter().cloned())
            {
                push(word.start, last.end, Found::Address);
            }
        }
    }
}

/// Whether the letters are a whole postcode, both halves.
fn is_postcode(letters: &str) -> bool {
    (5..=7).contains(&letters.chars().count())
        && Postcode::parse(letters).is_some_and(|code| code.inward().is_some_and(is_inward))
}

/// The letters that Royal Mail does not use in the second half (they are misread) tell `2pm` from a postcode.
fn is_inward(inward: &str) -> bool {
    !inward.contains(['C', 'I', 'K', 'M', 'O', 'V'])
}

/// `1st`, `2nd`, `3rd`, `4th`, as they are written.
fn is_count(word: &Word) -> bool {
    let letters = word.letters.as_str();
    letters.starts_with(|c: char| c.is_ascii_digit())
        && ["st", "nd", "rd", "th"].iter().any(|ending| letters.ends_with(ending))
}

/// A number of a house: up to four digits and at most one letter.
fn is_number(word: &Word) -> bool {
    let digits = word.letters.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let n_letters = word.letters.len() - digits.len();
    (1..=4).contains(&digits.len())
        && n_letters <= 1
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Where a street begins whose last word is at `last`; `None` when it is not one.
fn street_that_ends_with(text: &Text, last: usize) -> Option<usize> {
    let kind = text.words.get(last)?;
    let bare = kind.bare();
    let always = STREETS.contains(&bare.as_str());
    let may_be = always || STREETS_TOO.contains(&bare.as_str()) && kind.is_capital();
    if !may_be {
        return None;
    }
    let mut named = None;
    let mut after = kind;
    for (n_before, word) in text.words.iter().take(last).rev().take(MAX_NAME_WORDS + 1).enumerate()
    {
        let joined = text.between(word, after).all(|c| c.is_whitespace() || matches!(c, ',' | '-'));
        if !joined {
            break;
        }
        if is_number(word) {
            return (n_before > 0).then_some(word.start);
        }
        if NOT_IN_NAMES.contains(&word.bare().as_str()) {
            break;
        }
        if n_before < MAX_NAME_WORDS && word.is_capital() && kind.is_capital() && always {
            named = Some(word.start);
        }
        after = word;
    }
    named
}

/// The streets at which somebody has lived, each as its words: at least two, without house numbers.
fn streets_of(person: &Identity) -> Vec<Vec<String>> {
    let words = |house: &str| -> Vec<String> {
        let text = Text::new(house);
        text.words.iter().filter(|word| !is_number(word)).map(Word::bare).collect()
    };
    let houses = person.addresses().iter().filter_map(|address| address.house());
    houses.map(words).filter(|words| words.len() >= 2).collect()
}
