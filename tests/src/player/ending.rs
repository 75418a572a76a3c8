//! The enquiry at the end as the hub shows it, without anything that is random: two plays of one scenario can be compared.

use std::collections::BTreeMap;

use brag_common::wire::pb;
use brag_hub::render;
use serde_json::Value;

use super::{acts::Play, flags};

impl Play<'_> {
    /// The document of `enquiry show --json` with labels, rows and words in the place of random names, and every list in the
    /// order of its texts, since the order of some is that of random names; without flags that came and went in one moment.
    pub(super) fn without_random_names(&self, shown: &pb::ShowResponse) -> Value {
        let mut names: BTreeMap<&str, String> = BTreeMap::new();
        names.insert(&self.enquiry, "(the enquiry)".to_owned());
        names.extend(self.labels.iter().map(|(person, label)| (person.as_str(), label.clone())));
        let rows = self.asked.iter().map(|(row, release)| (release.as_str(), format!("row {row}")));
        names.extend(rows);
        names.extend(self.statements.iter().map(|(id, says)| (id.as_str(), says.clone())));
        let mut shown = shown.clone();
        shown.flags.retain(|flag| !flags::is_momentary(flag));
        let mut document = render::show_json(&shown);
        rename(&mut document, &names);
        document
    }
}

fn rename(value: &mut Value, names: &BTreeMap<&str, String>) {
    match value {
        Value::String(text) => {
            if let Some(name) = names.get(text.as_str()) {
                text.clone_from(name);
            }
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| rename(item, names));
            items.sort_by_cached_key(Value::to_string);
        }
        Value::Object(fields) => {
            // A standing rating has no name that a play could know.
            if let Some(Value::Array(evidence)) = fields.get_mut("evidence") {
                for id in evidence {
                    let known = id.as_str().is_some_and(|id| names.contains_key(id));
                    if !known {
                        *id = Value::from("(a standing rating)");
                    }
                }
            }
            fields.values_mut().for_each(|field| rename(field, names));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn two_plays_that_differ_in_random_names_only_give_the_same_document() {
        let play = |person: &str, other: &str, statement: &str, standing: &str| {
            let names = BTreeMap::from([
                (person, "P1".to_owned()),
                (other, "P2".to_owned()),
                (statement, "CSC: section 47".to_owned()),
            ]);
            let mut people = [person, other];
            people.sort_unstable();
            let mut document = json!({
                "cells": people.map(|person| json!({ "person": person, "colour": "red" })),
                "trace": [{ "evidence": [statement, standing] }],
            });
            rename(&mut document, &names);
            document
        };
        let first = play("aa", "bb", "s1", "x");
        assert_eq!(first, play("dd", "cc", "s9", "a"));
        assert_eq!(first["cells"][0], json!({ "person": "P1", "colour": "red" }));
        assert_eq!(
            first["trace"][0]["evidence"],
            json!(["(a standing rating)", "CSC: section 47"])
        );
    }
}
