//! What of a mapped row may be looked at by somebody who has nothing to do with the people: codes and shapes, no content.
//!
//! Every run of letters becomes `xxx`, every run of digits `999`, everything else a space, however long it was, and after four of
//! them the rest is left out; so neither a length nor a rare mark tells anything. Categories, flags, codes, colours, kinds, sex and
//! how much of a date is known stay as they are: they are what a mapping is checked by.

use brag_common::matching::identity::{BirthDate, Identity};
use serde_json::{Value, json};

use crate::import::{Entry, Flag, HandlingCode, ImportItem, Rating};

/// Runs that are shown of a text.
const MAX_RUNS: usize = 4;

/// A text without its content; empty stays empty.
pub(crate) fn mask(text: &str) -> String {
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Kind {
        Letters,
        Digits,
        Other,
    }
    let kind = |c: char| {
        if c.is_numeric() {
            Kind::Digits
        } else if c.is_alphanumeric() {
            Kind::Letters
        } else {
            Kind::Other
        }
    };
    let (mut runs, mut last) = (Vec::new(), Kind::Other);
    for c in text.chars() {
        let now = kind(c);
        // Marks within a word, as in O'Brien, are dropped: which names have them is known.
        if now != Kind::Other && now != last {
            runs.push(if now == Kind::Letters { "xxx" } else { "999" });
        }
        if now != Kind::Other || c.is_whitespace() {
            last = now;
        }
    }
    let more = runs.len() > MAX_RUNS;
    runs.truncate(MAX_RUNS);
    if more {
        runs.push("…");
    }
    match (runs.is_empty(), text.trim().is_empty()) {
        (true, false) => "xxx".to_owned(),
        _ => runs.join(" "),
    }
}

fn birth(birth: BirthDate) -> &'static str {
    match birth.to_string().len() {
        0 => "",
        4 => "9999",
        7 => "9999-99",
        _ => "9999-99-99",
    }
}

/// A mapped row as JSON.
pub(crate) fn shown(item: &ImportItem) -> Value {
    match item {
        ImportItem::Person { source_id, identity } => person(source_id.as_str(), identity),
        ImportItem::Entry(entry) => shown_entry(entry),
        ImportItem::Rating(rating) => shown_rating(rating),
    }
}

fn person(id: &str, identity: &Identity) -> Value {
    let names = identity.names().iter().map(|name| {
        json!({ "kind": name.kind().word(), "given": mask(name.given()), "family": mask(name.family()) })
    });
    let identifiers = identity.identifiers().iter().map(
        |identifier| json!({ "kind": identifier.kind().word(), "value": mask(identifier.value()) }),
    );
    let addresses = identity.addresses().iter().map(|address| {
        let text = |text: Option<&str>| mask(text.unwrap_or_default());
        json!({ "house": text(address.house()), "postcode": text(address.postcode()) })
    });
    json!({
        "record": "person",
        "id": mask(id),
        "names": names.collect::<Vec<_>>(),
        "born": birth(identity.birth()),
        "sex": identity.sex().map_or("", |sex| sex.word()),
        "identifiers": identifiers.collect::<Vec<_>>(),
        "addresses": addresses.collect::<Vec<_>>(),
    })
}

fn shown_entry(entry: &Entry) -> Value {
    let flags = entry.flags.iter().map(|flag| match flag {
        Flag::ThirdParty => "third_party",
        Flag::Restricted => "restricted",
    });
    json!({
        "record": "entry",
        "id": mask(entry.person.as_str()),
        "entry": entry.entry.as_ref().map_or(String::new(), |id| mask(id.as_str())),
        "category": entry.category.to_string(),
        "text": mask(&entry.text),
        "flags": flags.collect::<Vec<_>>(),
        "handling_code": entry.handling_code.as_ref().map_or(String::new(), code),
    })
}

/// A code is short; what is longer may be a field that was mapped by mistake.
fn code(code: &HandlingCode) -> String {
    if code.as_str().len() <= 4 { code.as_str().to_owned() } else { mask(code.as_str()) }
}

fn shown_rating(rating: &Rating) -> Value {
    json!({
        "record": "rating",
        "id": mask(rating.person.as_str()),
        "colour": rating.colour.word(),
        "analysis": mask(rating.analysis.as_str()),
        "tags": rating.tags.iter().map(|tag| tag.word()).collect::<Vec<_>>(),
        "rated_by": mask(rating.rated_by.as_str()),
        "rated_at": "9999-99-99T99:99:99Z",
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neither_length_nor_marks_are_told() {
        for text in ["Li", "Featherstonehaugh", "O'Brien", "Ní-Dhomhnaill", "李"] {
            assert_eq!(mask(text), "xxx", "{text}");
        }
        assert_eq!(mask("ZZ1 2AB"), "xxx 999 999 xxx");
        assert_eq!(mask("Relapsed in May, back in treatment since June."), "xxx xxx xxx xxx …");
        assert_eq!(mask("***"), "xxx");
        assert_eq!((mask(""), mask("  ")), (String::new(), String::new()));
    }

    proptest! {
        #[test]
        fn nothing_of_a_text_is_left(text in "\\PC{0,80}") {
            let masked = mask(&text);
            prop_assert!(masked.len() <= 4 * 4 + 3);
            prop_assert!(masked.chars().all(|c| "x9 …".contains(c)));
        }
    }
}
