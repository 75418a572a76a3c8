//! What was measured, as a document and as text.

use std::io::Write;

use brag_common::matching::{compare::Confirmation, keys::KeyKind};
use serde_json::{Value, json};

use super::{
    eval::{Counts, Found, Measured},
    people::People,
};

#[expect(clippy::cast_precision_loss, reason = "counts")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Recall, precision and their harmonic mean.
fn quality(found: Found, pairs: u64) -> (Option<f64>, Option<f64>, Option<f64>) {
    let recall = share(found.right, pairs);
    let precision = share(found.right, found.right + found.wrong);
    let f1 = share(2 * found.right, pairs + found.right + found.wrong);
    (recall, precision, f1)
}

fn stage(found: Found, pairs: u64) -> Value {
    let (recall, precision, f1) = quality(found, pairs);
    json!({ "right": found.right, "wrong": found.wrong, "recall": recall, "precision": precision, "f1": f1 })
}

fn counts(counts: &Counts) -> Value {
    let n_queries = counts.known + counts.unknown;
    let reviewed = counts.review_known + counts.review_unknown;
    json!({
        "queries": { "known": counts.known, "unknown": counts.unknown },
        "true_pairs": counts.pairs,
        "keys": stage(counts.keys, counts.pairs),
        "candidates": stage(counts.candidates, counts.pairs),
        "screen": stage(counts.disclosed, counts.pairs),
        "false_candidates_per_query": share(counts.keys.wrong, n_queries),
        "disclosed_for_unknown": counts.disclosed_for_unknown,
        "disclosed_for_unknown_rate": share(counts.disclosed_for_unknown, counts.unknown),
        "review": {
            "queries": reviewed,
            "of_known": share(counts.review_known, counts.known),
            "of_unknown": share(counts.review_unknown, counts.unknown),
            "adds_to_recall": share(counts.review_right, counts.pairs),
        },
        "confirmed": stage(counts.confirmed, counts.pairs),
        "confirmed_of_disclosed": stage(counts.confirmed_disclosed, counts.pairs),
        "confirmed_of_disclosed_and_authorised": stage(counts.confirmed_authorised, counts.pairs),
        "unclear": { "right": counts.unclear.right, "wrong": counts.unclear.wrong },
    })
}

/// The JSON document.
pub(super) fn document(measured: &Measured, provenance: &str) -> Value {
    let n_queries = measured.n_left as u64;
    let kinds: serde_json::Map<String, Value> = measured
        .kinds
        .iter()
        .map(|(kind, of)| {
            let measured = json!({
                "recall": share(of.found.right, measured.all.pairs),
                "false_candidates_per_query": share(of.found.wrong, n_queries),
            });
            (kind.label().to_owned(), measured)
        })
        .collect();
    let groups: serde_json::Map<String, Value> =
        measured.groups.iter().map(|(name, group)| (name.clone(), counts(group))).collect();
    json!({
        "weights": provenance,
        "left": measured.n_left,
        "right": measured.n_right,
        "weighed_as_people": measured.n_people,
        "keys_enrolled": measured.n_keys,
        "tokens": "plain keys stand for tokens",
        "all": counts(&measured.all),
        "kinds": kinds,
        "groups": groups,
        "seconds": {
            "index": measured.index_time.as_secs_f64(),
            "screen": measured.screen_time.as_secs_f64(),
            "confirm": measured.confirm_time.as_secs_f64(),
        },
    })
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}

/// The same as text.
pub(super) fn print(
    out: &mut dyn Write,
    measured: &Measured,
    provenance: &str,
) -> std::io::Result<()> {
    writeln!(
        out,
        "{} asked about, {} enrolled under {} keys (plain keys stand for tokens); weights: {provenance}",
        measured.n_left, measured.n_right, measured.n_keys
    )?;
    print_counts(out, &measured.all)?;
    for (name, group) in &measured.groups {
        writeln!(out, "\n{name}")?;
        print_counts(out, group)?;
    }
    writeln!(out, "\nkind    recall  false candidates a query")?;
    for (kind, of) in &measured.kinds {
        writeln!(
            out,
            "{:<6}  {}  {}",
            kind.label(),
            shown(share(of.found.right, measured.all.pairs)),
            share(of.found.wrong, measured.n_left as u64).unwrap_or_default()
        )?;
    }
    writeln!(
        out,
        "seconds: index {:.2}, screen {:.2}, confirm {:.2}",
        measured.index_time.as_secs_f64(),
        measured.screen_time.as_secs_f64(),
        measured.confirm_time.as_secs_f64()
    )
}

fn print_counts(out: &mut dyn Write, counts: &Counts) -> std::io::Result<()> {
    writeln!(
        out,
        "{} known, {} unknown, {} true pairs",
        counts.known, counts.unknown, counts.pairs
    )?;
    writeln!(out, "stage                        recall  precision  F1      right  wrong")?;
    for (name, found) in [
        ("keys", counts.keys),
        ("candidates, at most four", counts.candidates),
        ("screen: disclosed", counts.disclosed),
        ("confirmed, all candidates", counts.confirmed),
        ("confirmed, disclosed", counts.confirmed_disclosed),
        ("… and authorised", counts.confirmed_authorised),
    ] {
        let (recall, precision, f1) = quality(found, counts.pairs);
        writeln!(
            out,
            "{name:<27}  {}  {}     {}  {:>5}  {:>5}",
            shown(recall),
            shown(precision),
            shown(f1),
            found.right,
            found.wrong
        )?;
    }
    writeln!(
        out,
        "false candidates a query {}; disclosed for {} of {} unknown ({}); review: {} of known, {} of unknown, \
         adds {} to recall; unclear to the node: {} right, {} wrong",
        shown(share(counts.keys.wrong, counts.known + counts.unknown)),
        counts.disclosed_for_unknown,
        counts.unknown,
        shown(share(counts.disclosed_for_unknown, counts.unknown)),
        shown(share(counts.review_known, counts.known)),
        shown(share(counts.review_unknown, counts.unknown)),
        shown(share(counts.review_right, counts.pairs)),
        counts.unclear.right,
        counts.unclear.wrong
    )
}

/// The pairs disclosed wrongly, as CSV: ids, whether the person asked about is enrolled, and what it rested on.
pub(super) fn write_wrong(
    out: impl Write,
    measured: &Measured,
    left: &People,
    right: &People,
) -> anyhow::Result<()> {
    let mut rows = csv::Writer::from_writer(out);
    rows.write_record([
        "left_id",
        "right_id",
        "enrolled",
        "posterior",
        "hit",
        "missed",
        "confirmed",
    ])?;
    for wrong in &measured.wrong {
        let id = |people: &People, place: usize| people.get(place).map(|(id, _)| id.clone());
        let candidate = usize::try_from(wrong.candidate)?;
        let confirmed = match wrong.confirmed {
            Confirmation::Same => "same",
            Confirmation::Unclear => "unclear",
            Confirmation::Different => "different",
        };
        rows.write_record([
            id(left, wrong.asked).unwrap_or_default(),
            id(right, candidate).unwrap_or_default(),
            if wrong.is_known { "yes" } else { "no" }.to_owned(),
            format!("{:.6}", wrong.posterior),
            labels(|kind| wrong.hits.contains(kind)),
            labels(|kind| wrong.asked_kinds.contains(kind) && !wrong.hits.contains(kind)),
            confirmed.to_owned(),
        ])?;
    }
    rows.flush()?;
    Ok(())
}

fn labels(is_one: impl Fn(KeyKind) -> bool) -> String {
    let ones = KeyKind::ALL.into_iter().filter(|kind| is_one(*kind));
    ones.map(KeyKind::label).collect::<Vec<_>>().join(" ")
}
