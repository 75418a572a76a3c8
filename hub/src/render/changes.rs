//! Ratings that changed, and challenges, in lines.

use std::fmt::Write as _;

use brag_common::wire::pb;

use super::{Labels, Paint, colour, colour_words, safe, time};

/// Everything that changed and was challenged; empty when nothing was.
pub(super) fn change_lines(show: &pb::ShowResponse, paint: Paint) -> String {
    let labels = Labels::of(show);
    let mut out = String::new();
    if !show.agreement_mismatches.is_empty() {
        out.push_str("\nDifferent versions of the agreement\n");
        for one in &show.agreement_mismatches {
            let _ = writeln!(out, "{}: {}", safe(&one.agency), safe(&one.explanation));
        }
    }
    if !show.rating_changes.is_empty() {
        out.push_str("\nRatings that changed; both versions stay\n");
        for change in &show.rating_changes {
            let at = time(change.changed_at_unix_ms);
            let _ = writeln!(out, "{at} {}", change_line(&labels, change, paint));
        }
    }
    if !show.challenges.is_empty() {
        out.push_str("\nChallenges of ratings\n");
        for challenge in &show.challenges {
            let at = time(challenge.made_at_unix_ms);
            let _ = writeln!(out, "{at} {}", challenge_line(&labels, challenge));
        }
    }
    out
}

/// A rating that was replaced or withdrawn.
pub(super) fn change_line(labels: &Labels, change: &pb::RatingChange, paint: Paint) -> String {
    let version = |version: &pb::RatingVersion| {
        let colour = colour(version.colour);
        let words = colour.map_or_else(|| "no colour".to_owned(), |c| colour_words(c, paint));
        format!("{words} ({})", time(version.rated_at_unix_ms))
    };
    let before = change.before.as_ref().map_or_else(|| "nothing".to_owned(), version);
    let after = change.after.as_ref().map_or_else(|| "no rating".to_owned(), version);
    let how = if change.withdrawn { "withdrew its rating of" } else { "changed its rating of" };
    format!(
        "{} {how} {}: from {before} to {after}",
        safe(&change.agency),
        safe(labels.label(&change.person)),
    )
}

/// A challenge and what came of it.
pub(super) fn challenge_line(labels: &Labels, challenge: &pb::RatingChallenge) -> String {
    let mut line = format!(
        "{} ({}) challenges {}'s rating of {}: {}; ",
        safe(&challenge.by),
        safe(&challenge.made_by),
        safe(&challenge.of),
        safe(labels.label(&challenge.person)),
        safe(&challenge.reason),
    );
    match challenge.status.as_str() {
        "open" if challenge.told => line.push_str("waits for an answer"),
        "open" => line.push_str("not yet passed on"),
        "kept" => {
            let _ = write!(line, "the rating stays: {}", safe(&challenge.answer));
        }
        "changed" => line.push_str("the rating has changed"),
        "no_rating" => line.push_str("there was no rating to challenge"),
        other => line.push_str(&safe(other)),
    }
    line
}
