//! The entries behind a figure: each thing that was counted, with the logs and numbers where it stands.

use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::json;

use super::{
    count::{Figure, FigureId, Measure, Unit},
    measures, performance,
};

/// A figure, explained: as text, or as one JSON document.
///
/// # Errors
/// When it can not be written, which in memory does not happen.
pub fn explain(id: &FigureId, figure: &Figure, as_json: bool) -> anyhow::Result<String> {
    let all = measures::ALL.iter().chain(performance::measures::ALL);
    let measure = all.into_iter().find(|measure| id.is_of(measure));
    let (caption, means) = measure.map_or(("", ""), |m: &&Measure| (m.caption, m.means));
    if as_json {
        let counted: Vec<_> = figure
            .to_date
            .iter()
            .map(|unit| {
                let entries: Vec<_> = unit.entries().collect();
                json!({ "in_period": figure.in_period.contains(unit), "entries": entries })
            })
            .collect();
        let document = json!({
            "figure": id.to_string(),
            "caption": caption,
            "means": means,
            "in_period": figure.in_period.len(),
            "to_date": figure.to_date.len(),
            "counted": counted,
        });
        return Ok(format!("{document:#}\n"));
    }
    let mut out = format!("{id}\n{caption}\n{means}\n\n");
    let before: BTreeSet<&Unit> = figure.to_date.difference(&figure.in_period).collect();
    for (words, units) in
        [("in the period", figure.in_period.iter().collect()), ("before it", before)]
    {
        writeln!(out, "{}: {}", words, units.len())?;
        for (n, unit) in units.into_iter().enumerate() {
            let entries: Vec<String> = unit.entries().map(ToString::to_string).collect();
            writeln!(out, "  {:>4}. {}", n + 1, entries.join(", "))?;
        }
    }
    out.push_str(
        "\nEach entry is the party whose log it stands in, and its number: `log show` prints it.\n",
    );
    Ok(out)
}
