//! News of enquiries.

use std::io::Write;

use brag_common::wire::pb;
use serde_json::{Value, json};

use super::{plain, print_json, time};

/// What the hub has told, one sentence each.
pub(in super::super) fn news(
    out: &mut dyn Write,
    list: &pb::NewsResponse,
    json: bool,
) -> anyhow::Result<()> {
    if json {
        let news: Vec<Value> = list.items.iter().map(document).collect();
        return print_json(out, &json!({ "news": news }));
    }
    if list.items.is_empty() {
        writeln!(out, "There is no news.")?;
    }
    for item in &list.items {
        writeln!(out, "{}", plain(&item.text))?;
    }
    Ok(())
}

fn document(item: &pb::NewsItem) -> Value {
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    json!({
        "enquiry": item.enquiry,
        "news": item.news,
        "at": time(item.at_unix_ms),
        "about": given(&item.about),
        "person": given(&item.person),
        "received_at": time(item.received_at_unix_ms),
        "text": item.text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(items: &[pb::NewsItem], json: bool) -> String {
        let mut out = Vec::new();
        news(&mut out, &pb::NewsResponse { items: items.to_vec() }, json).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn news_are_a_sentence_for_people_and_a_document_for_programs() {
        let item = pb::NewsItem {
            enquiry: "e1".to_owned(),
            news: "lead_named".to_owned(),
            at_unix_ms: 1_799_402_400_000,
            about: "CSC".to_owned(),
            person: String::new(),
            received_at_unix_ms: 1_799_402_401_000,
            text: "Enquiry e1: Children's Social Care\u{1b}[2J leads.".to_owned(),
        };
        let items = [item];
        assert_eq!(shown(&items, false), "Enquiry e1: Children's Social Care\u{fffd}[2J leads.\n");
        let document: Value = serde_json::from_str(&shown(&items, true)).unwrap();
        let first = &document["news"][0];
        assert_eq!((&first["news"], &first["about"]), (&json!("lead_named"), &json!("CSC")));
        assert_eq!(first["person"], Value::Null);
        assert_eq!(first["at"], "2027-01-08T10:00:00Z");
        assert_eq!(shown(&[], false), "There is no news.\n");
        assert_eq!(shown(&[], true), "{\n  \"news\": []\n}\n");
    }
}
