//! Two identities side by side, and what was decided about them.

use std::io::Write;

use brag_common::wire::pb;
use serde_json::{Value, json};

use super::{plain, table};
use crate::cli::print_json;

/// Everyone whom a person has to compare, asked and own in two columns.
pub(super) fn to_compare(out: &mut dyn Write, works: &[pb::RatingWork]) -> std::io::Result<()> {
    for work in works {
        let Some(asked) = &work.asked else { continue };
        writeln!(out, "\nIs this one person? {} {}", plain(&work.enquiry), plain(&work.person))?;
        let own = work.own.clone().unwrap_or_default();
        let mut rows = vec![row("record", "(asked about)", &work.record_id)];
        rows.extend(beside("name", &asked.names, &own.names));
        rows.push(row("born", &asked.born, &own.born));
        rows.push(row("sex", &asked.sex, &own.sex));
        rows.extend(beside("address", &asked.addresses, &own.addresses));
        rows.extend(beside("identifier", &asked.identifiers, &own.identifiers));
        table(out, &["", "ASKED ABOUT", "OUR RECORD"], &rows)?;
    }
    Ok(())
}

fn row(what: &str, asked: &str, own: &str) -> Vec<String> {
    [what, asked, own].map(ToOwned::to_owned).into()
}

/// As many rows as the longer list has, and one at least.
fn beside(what: &str, asked: &[String], own: &[String]) -> Vec<Vec<String>> {
    let cell = |list: &[String], n: usize| list.get(n).cloned().unwrap_or_default();
    (0..asked.len().max(own.len()).max(1))
        .map(|n| row(if n == 0 { what } else { "" }, &cell(asked, n), &cell(own, n)))
        .collect()
}

/// Both sides in the document of a worklist item; nothing for an item without them.
pub(super) fn add_sides(document: &mut Value, work: &pb::RatingWork) {
    let Some(fields) = document.as_object_mut() else { return };
    for (key, side) in [("asked", &work.asked), ("own", &work.own)] {
        let Some(side) = side else { continue };
        let side = json!({
            "names": side.names,
            "born": side.born,
            "sex": side.sex,
            "addresses": side.addresses,
            "identifiers": side.identifiers,
        });
        fields.insert(key.to_owned(), side);
    }
}

/// An identity was decided about.
pub(in crate::desk_command) fn decided(
    out: &mut dyn Write,
    word: &str,
    rating: &str,
    json: bool,
) -> anyhow::Result<()> {
    if json {
        let mut document = json!({ "decided": word });
        if let (Some(fields), false) = (document.as_object_mut(), rating.is_empty()) {
            fields.insert("rating".to_owned(), rating.into());
        }
        return print_json(out, &document);
    }
    match (word, rating) {
        ("same", "") => writeln!(out, "Decided: the same person. They are to be rated now.")?,
        ("same", rating) => {
            let rating = plain(rating);
            writeln!(
                out,
                "Decided: the same person. Your standing rating answers: statement {rating}."
            )?;
        }
        _ => writeln!(
            out,
            "Decided: somebody else. The hub is told that your agency does not know the person, and what it \
             disclosed is erased."
        )?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_list_is_filled_up() {
        let asked = ["current: Ann Lee".to_owned(), "former: Ann May".to_owned()];
        let rows = beside("name", &asked, &[]);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1], row("", "former: Ann May", ""));
        assert_eq!(beside("name", &[], &[]).len(), 1);
    }

    #[test]
    fn an_item_without_sides_has_none_in_its_document() {
        let mut document = json!({});
        add_sides(&mut document, &pb::RatingWork::default());
        assert_eq!(document, json!({}));
    }
}
