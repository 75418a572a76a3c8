//! The agency's own record of a person, and what it has said of them, as a page shows it.

use brag_common::{
    console::shown::{ColourTag, spoken, when},
    wire::pb,
};

use super::other_words;
use crate::{console::terms::Terms, look, store::shapes::StandingRating};

/// The agency's own record.
pub(super) struct OwnRecord {
    pub(super) record_id: String,
    pub(super) lines: Vec<Line>,
    pub(super) held: Vec<Category>,
}

/// A field of the record, with its values.
pub(super) struct Line {
    pub(super) what: &'static str,
    pub(super) values: Vec<String>,
}

/// What is held in one category.
pub(super) struct Category {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) entries: Vec<Entry>,
}

/// One entry; without a text it is restricted.
pub(super) struct Entry {
    pub(super) text: Option<String>,
    pub(super) third_party: bool,
    pub(super) handling_code: bool,
}

impl OwnRecord {
    pub(super) fn of(seen: &look::Person, own: pb::IdentitySide, terms: &Terms) -> Self {
        let held = seen.held.iter().map(|held| Category {
            id: format!("held-{}", held.category),
            title: terms.category(&held.category.to_string()),
            entries: held
                .entries
                .iter()
                .map(|entry| Entry {
                    text: entry.text.as_ref().map(|text| text.as_str().to_owned()),
                    third_party: entry.third_party,
                    handling_code: entry.handling_code,
                })
                .collect(),
        });
        Self { record_id: seen.record_id.clone(), lines: lines(own), held: held.collect() }
    }
}

/// The fields of an identity that are known, in the order of a record.
fn lines(own: pb::IdentitySide) -> Vec<Line> {
    let one = |text: String| if text.is_empty() { Vec::new() } else { vec![spoken(&text)] };
    let all = |texts: Vec<String>| texts.iter().map(|text| spoken(text)).collect();
    let lines = [
        Line { what: "Names", values: all(own.names) },
        Line { what: "Born", values: one(own.born) },
        Line { what: "Sex", values: one(own.sex) },
        Line { what: "Addresses", values: own.addresses },
        Line { what: "Identifiers", values: all(own.identifiers) },
    ];
    lines.into_iter().filter(|line| !line.values.is_empty()).collect()
}

/// A rating of the agency's own.
pub(super) struct Rated {
    pub(super) colour: ColourTag,
    pub(super) analysis: String,
    pub(super) topics: String,
    pub(super) at: String,
    pub(super) by: String,
    pub(super) via: String,
}

impl Rated {
    /// In this enquiry.
    pub(super) fn of(given: &look::Given, seen: &look::Person) -> Self {
        Self {
            colour: ColourTag::of(Some(given.colour)),
            analysis: given.analysis.clone(),
            topics: topics(&given.topics),
            at: when(given.rated_at.as_millisecond()),
            by: given.rated_by.as_ref().map(ToString::to_string).unwrap_or_default(),
            via: given.via.as_ref().map(|via| other_words(seen, via)).unwrap_or_default(),
        }
    }

    /// Before, whoever asked.
    pub(super) fn before(standing: &StandingRating) -> Self {
        Self {
            colour: ColourTag::of(Some(standing.colour)),
            analysis: standing.analysis.clone(),
            topics: topics(&standing.topics),
            at: when(standing.rated_at.as_millisecond()),
            by: standing.rated_by.to_string(),
            via: String::new(),
        }
    }
}

fn topics(topics: &[brag_common::rating::Topic]) -> String {
    topics.iter().map(|topic| spoken(topic.word())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_record_does_not_say_has_no_line() {
        let own = pb::IdentitySide {
            names: vec!["current: Ann Lee".to_owned()],
            born: "1991-04".to_owned(),
            ..pb::IdentitySide::default()
        };
        let lines = lines(own);
        let whats: Vec<&str> = lines.iter().map(|line| line.what).collect();
        assert_eq!(whats, ["Names", "Born"]);
        assert_eq!(lines[0].values, ["Current: Ann Lee"]);
    }
}
