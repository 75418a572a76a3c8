//! A document as plain text, for a terminal or a letter.

use std::fmt::Write as _;

use super::document::{Bar, Block, Cell, Chart, Document, Row, Section, Table};
use crate::render::safe;

/// How wide a line of prose is, in characters.
const WIDTH: usize = 100;

/// How long the longest bar is, in characters.
const BAR: usize = 40;

/// The document as text.
#[must_use]
pub fn text(document: &Document) -> String {
    let mut out = format!("{}\n{}\n\n", safe(&document.title), "=".repeat(width(&document.title)));
    facts(&document.facts, &mut out);
    for section in &document.sections {
        section_text(section, &mut out);
    }
    out
}

fn section_text(section: &Section, out: &mut String) {
    let _ = write!(out, "\n{}\n{}\n", safe(&section.title), "-".repeat(width(&section.title)));
    for block in &section.blocks {
        out.push('\n');
        match block {
            Block::Text(text) => wrapped(text, "", "", out),
            Block::Warning(text) => wrapped(text, "!! ", "!! ", out),
            Block::List(items) => items.iter().for_each(|item| wrapped(item, "- ", "  ", out)),
            Block::Facts(pairs) => facts(pairs, out),
            Block::Slot { id, asks } => {
                wrapped(&format!("TO BE WRITTEN [{id}]: {asks}"), ">> ", ">> ", out);
                out.push_str(">> ..............................................................\n");
            }
            Block::Table(table) => table_text(table, out),
            Block::Chart(chart) => chart_text(chart, out),
        }
    }
}

fn facts(pairs: &[(String, String)], out: &mut String) {
    let widest = pairs.iter().map(|(term, _)| width(term)).max().unwrap_or(0);
    for (term, what) in pairs {
        let gap = " ".repeat(widest.saturating_sub(width(term)));
        let hanging = " ".repeat(widest + 2);
        wrapped(what, &format!("{}{gap}  ", safe(term)), &hanging, out);
    }
}

/// A bar of signs for each figure; what is withheld has none.
fn chart_text(chart: &Chart, out: &mut String) {
    let _ = writeln!(out, "{}", safe(&chart.title));
    let label = |bar: &Bar, n: usize| match chart.series.get(n) {
        Some(series) if chart.series.len() > 1 => format!("{} {}", bar.label, series),
        _ => bar.label.clone(),
    };
    let lines: Vec<(String, &Cell)> = chart
        .bars
        .iter()
        .flat_map(|bar| (0..).zip(&bar.values).map(move |(n, value)| (label(bar, n), value)))
        .map(|(label, value)| (safe(&label), value))
        .collect();
    let widest = lines.iter().map(|(label, _)| width(label)).max().unwrap_or(0);
    let greatest = chart.greatest();
    for (label, value) in lines {
        let gap = " ".repeat(widest.saturating_sub(width(&label)));
        let bar = match value {
            Cell::Count(n) => "#".repeat(n.saturating_mul(BAR).div_ceil(greatest.max(1))),
            Cell::Text(_) | Cell::Withheld | Cell::Nothing => String::new(),
        };
        let _ = writeln!(
            out,
            "{}",
            format!("  {label}{gap}  {bar} {}", safe(&value.text())).trim_end()
        );
    }
}

/// Columns side by side where they fit, otherwise each row below the other.
fn table_text(table: &Table, out: &mut String) {
    let _ = writeln!(out, "{}", safe(&table.caption));
    if table.rows.is_empty() {
        out.push_str("  (none)\n");
    } else {
        let has_figures = table.rows.iter().any(|row| !row.figures.is_empty());
        let mut lines = vec![table.columns.clone()];
        lines.extend(table.rows.iter().map(cells));
        if has_figures {
            if let Some(head) = lines.first_mut() {
                head.push("figure".to_owned());
            }
            for (line, row) in lines.iter_mut().skip(1).zip(&table.rows) {
                line.push(names(row));
            }
        }
        let n_columns = lines.iter().map(Vec::len).max().unwrap_or(0);
        let widest = |n: usize| lines.iter().filter_map(|l| l.get(n)).map(|c| width(c)).max();
        let widths: Vec<usize> = (0..n_columns).map(|n| widest(n).unwrap_or(0)).collect();
        if widths.iter().map(|w| w + 2).sum::<usize>() <= WIDTH + 20 {
            side_by_side(&lines, &widths, out);
        } else {
            below_each_other(&lines, out);
        }
    }
    if !table.note.is_empty() {
        wrapped(&table.note, "  ", "  ", out);
    }
}

fn cells(row: &Row) -> Vec<String> {
    row.cells.iter().map(|cell| safe(&cell.text())).collect()
}

fn names(row: &Row) -> String {
    row.figures.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn side_by_side(lines: &[Vec<String>], widths: &[usize], out: &mut String) {
    for (n, line) in lines.iter().enumerate() {
        let mut row = String::from("  ");
        for (cell, widest) in line.iter().zip(widths) {
            row.push_str(cell);
            row.extend(std::iter::repeat_n(' ', widest.saturating_sub(width(cell)) + 2));
        }
        let _ = writeln!(out, "{}", row.trim_end());
        if n == 0 {
            let rule: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
            let _ = writeln!(out, "  {}", rule.join("  "));
        }
    }
}

fn below_each_other(lines: &[Vec<String>], out: &mut String) {
    let Some((head, rows)) = lines.split_first() else { return };
    for row in rows {
        for (n, (term, what)) in head.iter().zip(row).enumerate() {
            let first = if n == 0 { "  * " } else { "    " };
            wrapped(&format!("{term}: {what}"), first, "      ", out);
        }
    }
}

/// A paragraph in lines, the first and the others with what stands before them.
fn wrapped(text: &str, first: &str, others: &str, out: &mut String) {
    let text = safe(text);
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && width(&line) + 1 + width(word) > WIDTH {
            let _ = writeln!(out, "{}", line.trim_end());
            line.clear();
            line.push_str(others);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

fn width(text: &str) -> usize {
    text.chars().count()
}
