//! Releases that wait for approval.

use std::io::Write;

use brag_common::wire::pb;
use serde_json::{Value, json};

use super::{plain, table, time};

/// What waits, until when, and under it what has to be redacted or was.
pub(super) fn to_approve(out: &mut dyn Write, reviews: &[pb::ReviewWork]) -> anyhow::Result<()> {
    if reviews.is_empty() {
        writeln!(out, "\nNo release waits for your approval.")?;
        return Ok(());
    }
    writeln!(out, "\nReleases to approve, the soonest to end first:")?;
    let rows: Vec<Vec<String>> = reviews
        .iter()
        .map(|work| {
            vec![
                work.work.clone(),
                work.enquiry.clone(),
                work.person.clone(),
                work.category.clone(),
                work.recipient.clone(),
                work.gate.clone(),
                format!("{} of {}", work.approvals_given, work.approvals_needed),
                time(work.decide_by_unix_ms),
                if work.escalated_at_unix_ms == 0 { "no" } else { "yes" }.to_owned(),
                work.necessity.clone(),
            ]
        })
        .collect();
    let head = [
        "WORK",
        "ENQUIRY",
        "PERSON",
        "CATEGORY",
        "TO",
        "GATE",
        "APPROVED",
        "DECIDE BY",
        "ESCALATED",
        "NECESSARY BECAUSE",
    ];
    table(out, &head, &rows)?;
    for work in reviews {
        if work.must_be_redacted {
            let name = plain(&work.work);
            writeln!(
                out,
                "\n{name}: the record is also about somebody else; approve a redacted text."
            )?;
        }
        if let Some(redaction) = &work.redaction {
            redacted(out, &work.work, redaction)?;
        }
    }
    Ok(())
}

fn redacted(out: &mut dyn Write, work: &str, redaction: &pb::Redaction) -> std::io::Result<()> {
    let (work, name) = (plain(work), plain(&redaction.name));
    let (by, reason) = (plain(&redaction.by), plain(&redaction.reason));
    writeln!(
        out,
        "\n{work}: redacted by {by} ({reason}). To approve this text: --as-redacted {name}"
    )?;
    if redaction.text.is_empty() {
        return writeln!(out, "    (the list is too long to show it; decide others first)");
    }
    redaction.text.lines().try_for_each(|line| writeln!(out, "    {}", plain(line)))
}

/// One of them as a document.
pub(super) fn document(work: &pb::ReviewWork) -> Value {
    let mut document = json!({
        "work": work.work,
        "release": work.release,
        "enquiry": work.enquiry,
        "person": work.person,
        "category": work.category,
        "recipient": work.recipient,
        "approvals_needed": work.approvals_needed,
        "approvals_given": work.approvals_given,
        "necessity": work.necessity,
        "gate": work.gate,
        "escalates_at": time(work.escalates_at_unix_ms),
        "escalated_at": time(work.escalated_at_unix_ms),
        "decide_by": time(work.decide_by_unix_ms),
        "must_be_redacted": work.must_be_redacted,
    });
    if let (Some(redaction), Some(fields)) = (&work.redaction, document.as_object_mut()) {
        let redaction = json!({
            "name": redaction.name,
            "text": redaction.text,
            "by": redaction.by,
            "reason": redaction.reason,
        });
        fields.insert("redaction".to_owned(), redaction);
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redacted_text_shows_under_its_name_and_can_not_forge_a_line() {
        let redaction = pb::Redaction {
            name: "N1".to_owned(),
            text: "In treatment.\n\u{1b}[2JW2: redacted".to_owned(),
            by: "sms.approver1".to_owned(),
            reason: "Names\na neighbour.".to_owned(),
        };
        let work = pb::ReviewWork {
            work: "W1".to_owned(),
            decide_by_unix_ms: 1_799_402_400_000,
            must_be_redacted: true,
            redaction: Some(redaction),
            ..pb::ReviewWork::default()
        };
        let mut out = Vec::new();
        to_approve(&mut out, std::slice::from_ref(&work)).unwrap();
        let text = String::from_utf8(out).unwrap();
        let told = "W1: redacted by sms.approver1 (Names\u{fffd}a neighbour.). To approve this text: --as-redacted N1";
        assert!(text.contains(told), "{text}");
        assert!(text.contains("\n    In treatment.\n    \u{fffd}[2JW2: redacted\n"), "{text}");
        assert!(text.contains("2027-01-08T10:00:00Z") && text.contains("also about somebody else"));
        let document = document(&work);
        assert_eq!(document["redaction"]["name"], "N1");
        assert_eq!(document["escalated_at"], "");
        let empty = pb::ReviewWork::default();
        assert!(super::document(&empty).get("redaction").is_none());
    }
}
