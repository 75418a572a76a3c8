//! A document as one page of HTML: style of its own, no script, nothing that is fetched, so that it may be kept, mailed and printed.
//!
//! Tables have captions and headings with their scope. On a narrow screen each row becomes a list of its cells, each with its
//! heading before it; the roles say that it is a table all the same.

use std::fmt::Write as _;

use super::{
    chart::svg,
    count::FigureId,
    document::{Block, Cell, Document, Row, Section, Table},
};
use crate::render::safe;

const STYLE: &str = include_str!("style.css");

/// The document as a page.
#[must_use]
pub fn html(document: &Document) -> String {
    let mut out = String::with_capacity(64 * 1024);
    let title = escape(&document.title);
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en-GB\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n"
    );
    facts(&document.facts, &mut out);
    out.push_str("</header>\n");
    contents(document, &mut out);
    out.push_str("<main>\n");
    for section in &document.sections {
        section_html(section, &|_| None, &mut out);
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// Where a figure leads: the address of what explains it; `None`: nowhere.
pub type Explained<'a> = dyn Fn(&FigureId) -> Option<String> + 'a;

/// The document without its title, to stand within another page: no style, no script, nothing that is fetched, and all of its text
/// escaped. Figures are links to where `explained` says.
#[must_use]
pub fn fragment(document: &Document, explained: &Explained<'_>) -> String {
    let mut out = String::with_capacity(64 * 1024);
    facts(&document.facts, &mut out);
    contents(document, &mut out);
    for section in &document.sections {
        section_html(section, explained, &mut out);
    }
    out
}

fn contents(document: &Document, out: &mut String) {
    out.push_str("<nav aria-label=\"Contents\">\n<ul>\n");
    for section in &document.sections {
        let (id, title) = (anchor(&section.id), escape(&section.title));
        let _ = writeln!(out, "<li><a href=\"#{id}\">{title}</a></li>");
    }
    out.push_str("</ul>\n</nav>\n");
}

fn section_html(section: &Section, explained: &Explained<'_>, out: &mut String) {
    let (id, title) = (anchor(&section.id), escape(&section.title));
    let _ = writeln!(out, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>");
    for block in &section.blocks {
        match block {
            Block::Text(text) => _ = writeln!(out, "<p>{}</p>", with_code(text)),
            Block::Warning(text) => {
                _ = writeln!(out, "<p class=\"warning\"><strong>{}</strong></p>", escape(text));
            }
            Block::List(items) => {
                out.push_str("<ul>\n");
                items.iter().for_each(|item| _ = writeln!(out, "<li>{}</li>", with_code(item)));
                out.push_str("</ul>\n");
            }
            Block::Facts(pairs) => facts(pairs, out),
            Block::Slot { id, asks } => {
                let (id, asks) = (anchor(id), escape(asks));
                let _ = writeln!(
                    out,
                    "<div class=\"slot\" id=\"{id}\"><p><strong>To be written</strong> {asks}</p>\
                     <div class=\"lines\"></div></div>"
                );
            }
            Block::Table(table) => table_html(table, explained, out),
            Block::Chart(chart) => svg(chart, out),
        }
    }
    out.push_str("</section>\n");
}

fn facts(pairs: &[(String, String)], out: &mut String) {
    out.push_str("<dl>\n");
    for (term, what) in pairs {
        let _ = writeln!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(term), escape(what));
    }
    out.push_str("</dl>\n");
}

fn table_html(table: &Table, explained: &Explained<'_>, out: &mut String) {
    let has_figures = table.rows.iter().any(|row| !row.figures.is_empty());
    let (id, caption) = (anchor(&table.id), escape(&table.caption));
    let _ = writeln!(out, "<table role=\"table\" id=\"t-{id}\">\n<caption>{caption}</caption>");
    let figure = has_figures.then(|| "figure".to_owned());
    let columns: Vec<&String> = table.columns.iter().chain(&figure).collect();
    out.push_str("<thead role=\"rowgroup\"><tr role=\"row\">");
    for (n, column) in columns.iter().enumerate() {
        let of_figures = table.rows.iter().any(|row| row.cells.get(n).is_some_and(Cell::is_figure));
        let class = if of_figures { " class=\"figure\"" } else { "" };
        let column = escape(column);
        let _ = write!(out, "<th role=\"columnheader\" scope=\"col\"{class}>{column}</th>");
    }
    out.push_str("</tr></thead>\n<tbody role=\"rowgroup\">\n");
    for row in &table.rows {
        row_html(row, &columns, explained, out);
    }
    if table.rows.is_empty() {
        let n = columns.len();
        let _ = writeln!(out, "<tr role=\"row\"><td role=\"cell\" colspan=\"{n}\">None.</td></tr>");
    }
    out.push_str("</tbody>\n</table>\n");
    if !table.note.is_empty() {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", with_code(&table.note));
    }
}

fn row_html(row: &Row, columns: &[&String], explained: &Explained<'_>, out: &mut String) {
    out.push_str("<tr role=\"row\">");
    for (n, (cell, column)) in row.cells.iter().zip(columns).enumerate() {
        let (text, label) = (escape(&cell.text()), escape(column));
        let class = match cell {
            Cell::Withheld => " class=\"figure withheld\"",
            cell if cell.is_figure() => " class=\"figure\"",
            _ => "",
        };
        let _ = if n == 0 && !cell.is_figure() {
            write!(out, "<th role=\"rowheader\" scope=\"row\" data-label=\"{label}\">{text}</th>")
        } else {
            write!(out, "<td role=\"cell\" data-label=\"{label}\"{class}>{text}</td>")
        };
    }
    if !row.figures.is_empty() {
        let names: Vec<String> = row
            .figures
            .iter()
            .map(|id| {
                let name = format!("<code>{}</code>", escape(&id.to_string()));
                match explained(id) {
                    Some(address) => format!("<a href=\"{}\">{name}</a>", escape(&address)),
                    None => name,
                }
            })
            .collect();
        let names = names.join(" ");
        let _ = write!(out, "<td role=\"cell\" data-label=\"figure\" class=\"name\">{names}</td>");
    }
    out.push_str("</tr>\n");
}

/// Text that stays text, in an element or in an attribute in double quotes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in safe(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// As [`escape`], with what stands between grave accents set as code.
fn with_code(text: &str) -> String {
    let pieces: Vec<&str> = text.split('`').collect();
    if pieces.len().is_multiple_of(2) {
        return escape(text);
    }
    let piece = |(n, piece): (usize, &&str)| {
        let piece = escape(piece);
        if n % 2 == 1 { format!("<code>{piece}</code>") } else { piece }
    };
    pieces.iter().enumerate().map(piece).collect()
}

/// A name for links: letters, digits, `-`, `_` and `.`, whatever it was made from.
pub(super) fn anchor(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    id.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::testkit::hostile_document;

    /// What is outside of quoted attributes and text must be what this module writes, whatever a document says.
    fn tags(page: &str) -> Vec<&str> {
        page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or_default()).collect()
    }

    #[test]
    fn a_page_asks_for_nothing_and_runs_nothing() {
        let page = html(&hostile_document("x"));
        for word in
            ["<script", "javascript:", "http://", "https://", "url(", "@import", "<img", "<link"]
        {
            assert!(!page.contains(word), "{word}");
        }
        assert!(page.contains("default-src 'none'"));
    }

    #[test]
    fn tables_have_captions_and_headings_with_their_scope() {
        let page = html(&hostile_document("x"));
        let n = |what: &str| page.matches(what).count();
        assert_eq!(n("<table"), n("<caption>"));
        assert!(n("scope=\"col\"") >= n("<table"));
        assert!(n("scope=\"row\"") >= 1);
        assert_eq!(n("<h1>"), 1);
    }

    #[test]
    fn a_fragment_obeys_a_policy_without_inline_style_and_leads_from_figures_to_what_explains_them()
    {
        let all = |id: &FigureId| Some(format!("/explained?figure={id}&x=\"y"));
        let part = fragment(&hostile_document("<b>\" onload=x style='y' ="), &all);
        for word in ["<style", " style=\"", "<script", "<b>", "<main", "<h1", "onload=x style='"] {
            assert!(!part.contains(word), "{word}");
        }
        assert!(part.contains("<a href=\"/explained?figure=alerts."));
        assert!(part.contains("&amp;x=&quot;y"));
        assert!(!fragment(&hostile_document("x"), &|_| None).contains("/explained"));
    }

    proptest! {
        #[test]
        fn no_text_becomes_markup(text in ".{1,40}|[<>&\"'/= \\-!a-z]{1,40}") {
            let plain = html(&hostile_document("x"));
            let page = html(&hostile_document(&text));
            let names = |page: &str| -> Vec<String> {
                let names = tags(page).into_iter().map(|tag| tag.split(' ').next().unwrap_or_default());
                names.filter(|name| !name.ends_with("code")).map(str::to_owned).collect()
            };
            prop_assert_eq!(names(&page), names(&plain));
            // Every attribute is closed: an even number of quotes in each tag.
            for tag in tags(&page) {
                prop_assert_eq!(tag.matches('"').count() % 2, 0, "{}", tag);
            }
        }
    }
}
