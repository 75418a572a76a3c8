//! Challenges of the agency's ratings that wait for an answer.

use std::io::Write;

use brag_common::wire::{pb, words};
use serde_json::{Value, json};

use super::{table, time};

/// Nothing when none waits.
pub(super) fn lines(out: &mut dyn Write, waiting: &[pb::ChallengeWork]) -> std::io::Result<()> {
    if waiting.is_empty() {
        return Ok(());
    }
    writeln!(out, "Challenges of your ratings: answer with `answer-challenge`, or rate again:")?;
    let rows: Vec<Vec<String>> = waiting
        .iter()
        .map(|work| {
            vec![
                work.enquiry.clone(),
                work.challenge.clone(),
                work.person.clone(),
                colour(work.colour).to_owned(),
                format!("{} ({})", work.by, work.made_by),
                time(work.made_at_unix_ms),
                work.reason.clone(),
            ]
        })
        .collect();
    let head = ["ENQUIRY", "CHALLENGE", "PERSON", "YOUR RATING", "BY", "AT", "BECAUSE"];
    table(out, &head, &rows)?;
    writeln!(out)
}

fn colour(number: i32) -> &'static str {
    words::to_optional_colour(number).ok().flatten().map_or("none", |colour| colour.word())
}

/// One challenge as JSON.
pub(super) fn document(work: &pb::ChallengeWork) -> Value {
    json!({
        "enquiry": work.enquiry,
        "challenge": work.challenge,
        "person": work.person,
        "colour": words::to_optional_colour(work.colour).ok().flatten(),
        "by": work.by,
        "made_by": work.made_by,
        "made_at": time(work.made_at_unix_ms),
        "reason": work.reason,
    })
}
