//! What the desk's commands print: tables of words for people, one document for programs.
//!
//! Texts come from other organisations. On a terminal a control character could move the cursor and hide or forge a
//! line, so none is printed.

use std::io::Write;

use brag_common::{
    time::Timestamp,
    wire::{pb, words},
};
use serde_json::{Value, json};

use crate::cli::print_json;

mod challenge;
mod identity;
mod news;
mod review;

pub(super) use identity::decided;
pub(super) use news::news;

/// The text without control characters and marks that reorder what is shown.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if hides(c) { '\u{FFFD}' } else { c }).collect()
}

fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

pub(super) fn time(unix_ms: i64) -> String {
    match Timestamp::from_millisecond(unix_ms) {
        Ok(time) if unix_ms != 0 => time.to_string(),
        _ => String::new(),
    }
}

/// Columns as wide as their widest cell, two spaces apart.
pub(super) fn table(
    out: &mut dyn Write,
    head: &[&str],
    rows: &[Vec<String>],
) -> std::io::Result<()> {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|cell| cell.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> =
            cells.zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", padded.join("  ").trim_end())
    };
    line(&mut head.iter().copied())?;
    for row in &rows {
        line(&mut row.iter().map(String::as_str))?;
    }
    Ok(())
}

fn role(number: i32) -> &'static str {
    words::to_role(number).ok().flatten().map_or("", |role| role.word())
}

fn link_word(number: i32) -> &'static str {
    words::to_link_kind(number).map_or("", |kind| kind.word())
}

/// What waits.
pub(super) fn worklist(
    out: &mut dyn Write,
    list: &pb::WorklistResponse,
    json: bool,
) -> anyhow::Result<()> {
    if json {
        let ratings: Vec<Value> = list.ratings.iter().map(rating_document).collect();
        let reviews: Vec<Value> = list.reviews.iter().map(review::document).collect();
        let challenges: Vec<Value> = list.challenges.iter().map(challenge::document).collect();
        return print_json(
            out,
            &json!({ "ratings": ratings, "reviews": reviews, "challenges": challenges }),
        );
    }
    challenge::lines(out, &list.challenges)?;
    if list.ratings.is_empty() {
        writeln!(out, "Nobody waits for a rating.")?;
    } else {
        writeln!(out, "To rate, the soonest to close first:")?;
        let rows: Vec<Vec<String>> = list
            .ratings
            .iter()
            .map(|work| {
                let name = if work.name.is_empty() { "(not told)" } else { &work.name };
                vec![
                    work.enquiry.clone(),
                    work.person.clone(),
                    name.to_owned(),
                    work.record_id.clone(),
                    role(work.role).to_owned(),
                    work.age_band.clone(),
                    work.kind.clone(),
                    time(work.answer_by_unix_ms),
                    work.purpose.clone(),
                ]
            })
            .collect();
        table(
            out,
            &["ENQUIRY", "PERSON", "NAME", "RECORD", "ROLE", "AGE", "KIND", "ANSWER BY", "PURPOSE"],
            &rows,
        )?;
        let links: Vec<Vec<String>> = list
            .ratings
            .iter()
            .flat_map(|work| {
                work.links.iter().map(|link| {
                    let kind = link_word(link.kind).to_owned();
                    vec![work.enquiry.clone(), link.from.clone(), kind, link.to.clone()]
                })
            })
            .collect();
        let mut unique: Vec<Vec<String>> = Vec::new();
        for link in links {
            if !unique.contains(&link) {
                unique.push(link);
            }
        }
        if !unique.is_empty() {
            writeln!(out, "\nLinks as the enquiry claims them:")?;
            table(out, &["ENQUIRY", "FROM", "KIND", "TO"], &unique)?;
        }
        identity::to_compare(out, &list.ratings)?;
    }
    review::to_approve(out, &list.reviews)
}

fn rating_document(work: &pb::RatingWork) -> Value {
    let links: Vec<Value> = work
        .links
        .iter()
        .map(|link| json!({ "from": link.from, "kind": link_word(link.kind), "to": link.to }))
        .collect();
    let mut document = json!({
        "enquiry": work.enquiry,
        "person": work.person,
        "name": work.name,
        "record_id": work.record_id,
        "role": role(work.role),
        "age_band": work.age_band,
        "kind": work.kind,
        "answer_by": time(work.answer_by_unix_ms),
        "links": links,
        "purpose": work.purpose,
    });
    identity::add_sides(&mut document, work);
    document
}

/// Something was signed.
pub(super) fn signed(
    out: &mut dyn Write,
    what: &str,
    statement_id: &str,
    json: bool,
) -> anyhow::Result<()> {
    if json {
        return print_json(out, &json!({ "statement_id": statement_id }));
    }
    writeln!(out, "{what}: statement {}.", plain(statement_id))?;
    Ok(())
}

/// A rule said no.
pub(super) fn refused(
    out: &mut dyn Write,
    code: &str,
    message: &str,
    json: bool,
) -> anyhow::Result<()> {
    if json {
        return print_json(out, &json!({ "refused": { "code": code, "message": message } }));
    }
    writeln!(out, "Refused: {} ({})", plain(message), plain(code))?;
    Ok(())
}

/// What has come.
pub(super) fn inbox(
    out: &mut dyn Write,
    inbox: &pb::InboxResponse,
    json: bool,
) -> anyhow::Result<()> {
    if json {
        let items: Vec<Value> = inbox.items.iter().map(item_document).collect();
        let notices: Vec<Value> = inbox.notices.iter().map(notice_document).collect();
        return print_json(out, &json!({ "items": items, "notices": notices }));
    }
    for notice in &inbox.notices {
        notice_line(out, notice)?;
    }
    if inbox.items.is_empty() {
        writeln!(out, "The inbox is empty.")?;
        return Ok(());
    }
    let rows: Vec<Vec<String>> = inbox
        .items
        .iter()
        .map(|item| {
            vec![
                item.release.clone(),
                item.enquiry.clone(),
                item.person.clone(),
                item.category.clone(),
                item.holder.clone(),
                time(item.expires_at_unix_ms),
                if item.closed.is_empty() { "open".to_owned() } else { item.closed.clone() },
                item.obligations.join(" "),
            ]
        })
        .collect();
    table(
        out,
        &["RELEASE", "ENQUIRY", "PERSON", "CATEGORY", "FROM", "VIEW ENDS", "STATE", "OBLIGATIONS"],
        &rows,
    )?;
    Ok(())
}

fn item_document(item: &pb::InboxItem) -> Value {
    let mut document = json!({
        "release": item.release,
        "enquiry": item.enquiry,
        "person": item.person,
        "category": item.category,
        "holder": item.holder,
        "obligations": item.obligations,
        "obligation_texts": item.obligation_texts,
        "expires_at": time(item.expires_at_unix_ms),
    });
    if let Some(document) = document.as_object_mut().filter(|_| !item.closed.is_empty()) {
        document.insert("closed".to_owned(), json!(item.closed));
        document.insert("closed_at".to_owned(), json!(time(item.closed_at_unix_ms)));
    }
    document
}

fn notice_document(notice: &pb::Notice) -> Value {
    json!({
        "notice": notice.notice,
        "release": notice.release,
        "enquiry": notice.enquiry,
        "person": notice.person,
        "category": notice.category,
        "holder": notice.holder,
        "reason": notice.reason,
        "text": notice.text,
        "received_at": time(notice.received_at_unix_ms),
        "acknowledged_by": notice.acknowledged_by,
        "acknowledged_at": time(notice.acknowledged_at_unix_ms),
    })
}

fn notice_line(out: &mut dyn Write, notice: &pb::Notice) -> std::io::Result<()> {
    let what = format!(
        "{} has taken back {} about {} ({})",
        notice.holder, notice.category, notice.person, notice.reason
    );
    if notice.acknowledged_by.is_empty() {
        writeln!(
            out,
            "NOTICE {}: {}. {}\n",
            plain(&notice.notice),
            plain(&what),
            plain(&notice.text)
        )
    } else {
        let when = time(notice.acknowledged_at_unix_ms);
        let by = plain(&notice.acknowledged_by);
        writeln!(
            out,
            "Notice {}: {}; acknowledged by {by} {when}.\n",
            plain(&notice.notice),
            plain(&what)
        )
    }
}

/// The obligations of one item, before anything else.
pub(super) fn obligations(out: &mut dyn Write, item: &pb::InboxItem) -> std::io::Result<()> {
    writeln!(
        out,
        "{} about {} from {}. The view ends {}.",
        plain(&item.category),
        plain(&item.person),
        plain(&item.holder),
        time(item.expires_at_unix_ms)
    )?;
    writeln!(out, "Obligations:")?;
    for (n, obligation) in item.obligations.iter().enumerate() {
        writeln!(out, "  - {}", plain(obligation))?;
        if let Some(text) = item.obligation_texts.get(n) {
            writeln!(out, "    {}", plain(text))?;
        }
    }
    Ok(())
}

/// Nobody has accepted the obligations yet.
pub(super) fn not_accepted(
    out: &mut dyn Write,
    item: &pb::InboxItem,
    json: bool,
) -> anyhow::Result<()> {
    let code = "obligations_not_accepted";
    let message =
        "read the obligations; to accept them and open the detail, add --accept-obligations";
    if json {
        let refused = json!({ "code": code, "message": message });
        let document = json!({
            "refused": refused,
            "obligations": item.obligations,
            "obligation_texts": item.obligation_texts,
        });
        return print_json(out, &document);
    }
    refused(out, code, message, false)
}

/// The detail.
pub(super) fn detail(
    out: &mut dyn Write,
    detail: &pb::OpenDetailResponse,
    json: bool,
) -> anyhow::Result<()> {
    if json {
        return print_json(
            out,
            &json!({
                "text": detail.text,
                "obligations": detail.obligations,
                "expires_at": time(detail.expires_at_unix_ms),
            }),
        );
    }
    writeln!(out)?;
    for line in detail.text.lines() {
        writeln!(out, "{}", plain(line))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_can_not_move_the_cursor_or_reorder_a_line() {
        assert_eq!(plain("a\u{1b}[2Jb\u{202e}c\nd"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
    }

    #[test]
    fn columns_line_up_in_characters() {
        let mut out = Vec::new();
        let rows = [vec!["Zoë".to_owned(), "x".to_owned()], vec!["A".to_owned(), "y".to_owned()]];
        table(&mut out, &["NAME", "B"], &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "NAME  B\nZoë   x\nA     y\n");
    }

    #[test]
    fn an_absent_time_is_empty() {
        assert_eq!(time(0), "");
        assert_eq!(time(1_799_402_400_000), "2027-01-08T10:00:00Z");
    }
}
