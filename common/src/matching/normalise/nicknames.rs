//! Short forms of given names, as data: `nicknames.txt`, which names its source.

use std::{collections::HashMap, sync::LazyLock};

static TABLE: &str = include_str!("nicknames.txt");

struct Row {
    /// For match keys the short form is its first full form.
    one_name: bool,
    full: Vec<&'static str>,
}

static NICKNAMES: LazyLock<HashMap<&'static str, Row>> =
    LazyLock::new(|| TABLE.lines().filter_map(row).collect());

fn row(line: &'static str) -> Option<(&'static str, Row)> {
    let mut words = line.split_whitespace().peekable();
    let short = words.next().filter(|word| !word.starts_with('#'))?;
    let one_name = words.next_if_eq(&"=").is_some();
    Some((short, Row { one_name, full: words.collect() }))
}

/// The form of a folded given name that match keys use: the full form of a short form that stands for one name and is
/// hardly ever a name of its own; any other name itself.
#[must_use]
pub fn formal_given(folded: &str) -> &str {
    match NICKNAMES.get(folded) {
        Some(Row { one_name: true, full }) => full.first().copied().unwrap_or(folded),
        _ => folded,
    }
}

/// Whether one folded given name is a short form of the other, or both are of the same name.
#[must_use]
pub fn are_forms_of_one_name(one: &str, other: &str) -> bool {
    let full = |name: &str| NICKNAMES.get(name).map_or(&[][..], |row| &row.full);
    full(one).contains(&other)
        || full(other).contains(&one)
        || full(one).iter().any(|name| full(other).contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::normalise::fold;

    #[test]
    fn names_that_share_a_short_form_stay_two_names() {
        assert!(!are_forms_of_one_name("ALEXANDER", "ALEXANDRA"));
        assert!(!are_forms_of_one_name("NADIA", "NADIA"));
        assert_eq!(formal_given("ALEX"), "ALEX");
        assert_eq!(formal_given("JACK"), "JACK");
    }

    #[test]
    fn short_forms_are_forms_of_their_names() {
        assert_eq!(formal_given("BOB"), "ROBERT");
        for (one, other) in [("BILL", "WILLIAM"), ("PEGGY", "MARGARET"), ("LIZ", "BETTY")] {
            assert!(are_forms_of_one_name(one, other) && are_forms_of_one_name(other, one));
        }
    }

    #[test]
    fn every_row_is_folded_and_leads_to_a_name_that_leads_nowhere_else() {
        let rows = TABLE.lines().filter_map(row);
        assert!(rows.clone().count() > 200);
        assert_eq!(rows.clone().count(), NICKNAMES.len(), "a short form is listed twice");
        for (short, Row { one_name, full }) in rows {
            assert!(!full.is_empty() && full.iter().all(|name| fold(name) == **name), "{short}");
            assert_eq!(fold(short), short);
            assert!(!one_name || formal_given(full[0]) == full[0], "{short}");
        }
    }
}
