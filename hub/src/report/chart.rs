//! A chart as an inline picture (SVG): drawn here, without script and without anything that is fetched, so that a page with it may be
//! kept, mailed and printed. The numbers stand in a table beside it, and as text at each bar; a screen reader is told the title and where
//! the table is.

use std::fmt::Write as _;

use super::{
    document::{Cell, Chart},
    html::{anchor, escape},
};

/// How wide the picture is, in its own units; a page scales it.
const WIDTH: usize = 720;

/// How wide the labels are.
const LABELS: usize = 190;

/// How high a line is, and the bar in it.
const LINE: usize = 22;
const BAR: usize = 14;

/// Room behind the longest bar for its number.
const NUMBERS: usize = 62;

/// How many characters of a label fit.
const LABEL_CHARS: usize = 28;

/// Draws a chart.
pub fn svg(chart: &Chart, out: &mut String) {
    let n_series = chart.series.len().max(1);
    let has_heading = n_series > 1;
    let top = if has_heading { LINE } else { 4 };
    let height = top + chart.bars.len() * LINE + 4;
    let (id, title) = (format!("c-{}", anchor(&chart.table)), escape(&chart.title));
    let _ = write!(
        out,
        "<figure class=\"chart\">\n<svg role=\"img\" aria-labelledby=\"{id}\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\">\n<title id=\"{id}\">{title}</title>\n<g aria-hidden=\"true\">\n"
    );
    let panel = (WIDTH - LABELS) / n_series;
    let longest = panel.saturating_sub(NUMBERS);
    let left = |n: usize| LABELS + n * panel;
    for (n, series) in chart.series.iter().enumerate() {
        let x = left(n);
        if has_heading {
            let _ = writeln!(out, "<text x=\"{x}\" y=\"15\">{}</text>", escape(&short(series)));
        }
        let (y1, y2) = (top, height - 4);
        let _ =
            writeln!(out, "<line class=\"line\" x1=\"{x}\" y1=\"{y1}\" x2=\"{x}\" y2=\"{y2}\"/>");
    }
    let greatest = chart.greatest().max(1);
    for (n, bar) in chart.bars.iter().enumerate() {
        let (y, text_y) = (top + n * LINE + 4, top + n * LINE + 15);
        let label = escape(&short(&bar.label));
        let (end, x) = ("end", LABELS - 8);
        let _ =
            writeln!(out, "<text x=\"{x}\" y=\"{text_y}\" text-anchor=\"{end}\">{label}</text>");
        for (n, value) in bar.values.iter().enumerate() {
            let (x, text) = (left(n), escape(&value.text()));
            let width = match value {
                Cell::Count(n) => n.saturating_mul(longest) / greatest,
                Cell::Text(_) | Cell::Withheld | Cell::Nothing => 0,
            };
            let _ = writeln!(
                out,
                "<rect class=\"bar\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BAR}\"/>"
            );
            let class = if *value == Cell::Withheld { " class=\"withheld\"" } else { "" };
            let x = x + width + 6;
            let _ = writeln!(out, "<text x=\"{x}\" y=\"{text_y}\"{class}>{text}</text>");
        }
    }
    let table = anchor(&chart.table);
    let _ = write!(
        out,
        "</g>\n</svg>\n<figcaption>{title}. The numbers are in <a href=\"#t-{table}\">the table</a>.</figcaption>\n</figure>\n"
    );
}

/// A label that fits; the table has all of it.
fn short(label: &str) -> String {
    if label.chars().count() <= LABEL_CHARS {
        return label.to_owned();
    }
    label.chars().take(LABEL_CHARS - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::Bar;

    fn drawn(values: Vec<Vec<Cell>>) -> String {
        let bars = values.into_iter().map(|values| Bar { label: "POL".to_owned(), values });
        let chart = Chart {
            table: "answers".to_owned(),
            title: "Answers".to_owned(),
            series: vec!["in time".to_owned()],
            bars: bars.collect(),
        };
        let mut out = String::new();
        svg(&chart, &mut out);
        out
    }

    #[test]
    fn no_length_tells_of_what_is_withheld() {
        let withheld = drawn(vec![vec![Cell::Withheld], vec![Cell::Count(10)]]);
        assert!(withheld.contains("width=\"0\"") && withheld.contains(">withheld</text>"));
        // The longest bar is that of the greatest figure that is shown.
        assert!(withheld.contains(&format!("width=\"{}\"", WIDTH - LABELS - NUMBERS)));
    }

    #[test]
    fn every_number_is_written_beside_its_bar_and_the_picture_has_a_title() {
        let page = drawn(vec![vec![Cell::Count(3)], vec![Cell::Count(0)]]);
        assert!(page.contains(">3</text>") && page.contains(">0</text>"));
        assert!(page.contains("role=\"img\" aria-labelledby=\"c-answers\""));
        assert!(page.contains("<title id=\"c-answers\">Answers</title>"));
        assert!(page.contains("href=\"#t-answers\""));
    }

    #[test]
    fn a_label_that_does_not_fit_is_cut_by_characters() {
        assert_eq!(short(&"ä".repeat(40)).chars().count(), LABEL_CHARS);
        assert_eq!(short("POL"), "POL");
    }
}
