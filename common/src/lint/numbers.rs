//! Numbers that reach or identify somebody, and e-mail addresses.

use super::{Finding, Found, text::Text};
use crate::matching::identity::{Check, Identifier, IdentifierKind};

/// From so many digits on, a number is not a count, an age, a year or a score.
const LONG: usize = 7;

pub(super) fn find(text: &Text, findings: &mut Vec<Finding>) {
    let chars: Vec<char> = text.chars.iter().map(|(c, _)| *c).collect();
    let mut at = 0;
    while at < chars.len() {
        let rest = chars.get(at..).unwrap_or_default();
        let length = match date_length(rest) {
            Some(length) => length,
            None => match run(rest) {
                Some(run) => {
                    if let Some(found) = run.found() {
                        let (from, to) = text.places(at, at + run.length);
                        findings.push(Finding { from, to, found });
                    }
                    run.length
                }
                None => 1,
            },
        };
        at += length;
    }
    mail(text, &chars, findings);
}

/// Digits with single separators between them.
struct Run {
    digits: String,
    plus: bool,
    length: usize,
}

impl Run {
    fn found(&self) -> Option<Found> {
        let n_digits = self.digits.len();
        let leads = self.plus || self.digits.starts_with('0');
        if leads && (9..=15).contains(&n_digits) {
            return Some(Found::Telephone);
        }
        let nhs = n_digits == 10
            && Identifier::new(IdentifierKind::Nhs, &self.digits)
                .is_ok_and(|identifier| identifier.check() == Check::Valid);
        if nhs { Some(Found::NhsNumber) } else { (n_digits >= LONG).then_some(Found::LongNumber) }
    }
}

/// The run at the beginning, if there is one.
fn run(chars: &[char]) -> Option<Run> {
    let plus = matches!(chars, ['+', ..]);
    if !chars.get(usize::from(plus)).is_some_and(|c| c.is_numeric()) {
        return None;
    }
    let mut digits = String::new();
    let mut length = usize::from(plus);
    let mut n_separators = 0;
    for (at, c) in chars.iter().enumerate().skip(length) {
        if c.is_numeric() {
            digits.push(char::from_digit(c.to_digit(10).unwrap_or(1), 10).unwrap_or('1'));
            length = at + 1;
            n_separators = 0;
        } else if matches!(c, ' ' | '-' | '.' | '(' | ')' | '/' | '\u{2010}'..='\u{2015}')
            && n_separators < 2
        {
            // Two, for `(0117) 496`.
            n_separators += 1;
        } else {
            break;
        }
    }
    Some(Run { digits, plus, length })
}

/// Length of a date in digits at the beginning: `2027-02-09`, `9/2/2027`, `09.02.27`.
fn date_length(chars: &[char]) -> Option<usize> {
    let part = |from: usize| {
        let digits = chars.iter().skip(from).take_while(|c| c.is_ascii_digit()).count();
        from + digits
    };
    let first = part(0);
    let separator = *chars.get(first)?;
    if first == 0 || !matches!(separator, '-' | '/' | '.') {
        return None;
    }
    let second = part(first + 1);
    if *chars.get(second)? != separator {
        return None;
    }
    let third = part(second + 1);
    let lengths = (first, second - first - 1, third - second - 1);
    matches!(lengths, (4, 2, 2) | (1..=2, 1..=2, 2 | 4)).then_some(third)
}

fn mail(text: &Text, chars: &[char], findings: &mut Vec<Finding>) {
    let of_address = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '%');
    for (at, _) in chars.iter().enumerate().filter(|(_, c)| **c == '@') {
        let before = chars.iter().take(at).rev().take_while(|c| of_address(c)).count();
        let after = chars.iter().skip(at + 1).take_while(|c| of_address(c)).count();
        if after > 0 {
            let (from, to) = text.places(at - before, at + 1 + after);
            findings.push(Finding { from, to, found: Found::Mail });
        }
    }
}
