//! A document as CSV (RFC 4180): one line for each cell, fact, paragraph and place to write in, so that one file holds all of its
//! tables and a spreadsheet can filter them.

use super::document::{Block, Cell, Document, Table};

/// The heading of the file.
const HEADING: [&str; 6] = ["section", "item", "row", "column", "value", "figure"];

/// The document as CSV.
///
/// # Errors
/// When the lines can not be written, which in memory does not happen.
pub fn csv(document: &Document) -> anyhow::Result<Vec<u8>> {
    let mut lines =
        Lines(csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new()));
    lines.line(HEADING)?;
    for (term, what) in &document.facts {
        lines.line(["", "fact", "", term, what, ""])?;
    }
    for section in &document.sections {
        let id = section.id.as_str();
        for block in &section.blocks {
            match block {
                Block::Text(text) => lines.line([id, "text", "", "", text, ""])?,
                Block::Warning(text) => lines.line([id, "warning", "", "", text, ""])?,
                Block::List(items) => {
                    for item in items {
                        lines.line([id, "list", "", "", item, ""])?;
                    }
                }
                Block::Facts(pairs) => {
                    for (term, what) in pairs {
                        lines.line([id, "fact", "", term, what, ""])?;
                    }
                }
                Block::Slot { id: name, asks } => {
                    lines.line([id, "to be written", name, "", asks, ""])?;
                }
                Block::Table(table) => lines.table(id, table)?,
                // Its numbers are those of the table.
                Block::Chart(_) => {}
            }
        }
    }
    Ok(lines.0.into_inner()?)
}

/// Each table of the document as CSV of its own, with its name: a heading, then a line for each row, with the names of its figures in
/// the last cell.
///
/// # Errors
/// When the lines can not be written, which in memory does not happen.
pub fn tables(document: &Document) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let blocks = document.sections.iter().flat_map(|section| &section.blocks);
    let tables = blocks.filter_map(|block| match block {
        Block::Table(table) => Some(table),
        _ => None,
    });
    tables.map(|table| Ok((table.id.clone(), table_alone(table)?))).collect()
}

fn table_alone(table: &Table) -> anyhow::Result<Vec<u8>> {
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let heading = table.columns.iter().map(String::as_str).chain(["figures"]);
    writer.write_record(heading.map(harmless))?;
    for row in &table.rows {
        let names: Vec<String> = row.figures.iter().map(ToString::to_string).collect();
        let cells = row.cells.iter().map(Cell::text).chain([names.join(" ")]);
        writer.write_record(cells.map(|cell| harmless(&cell)))?;
    }
    Ok(writer.into_inner()?)
}

struct Lines(csv::Writer<Vec<u8>>);

impl Lines {
    fn line(&mut self, cells: [&str; 6]) -> csv::Result<()> {
        self.0.write_record(cells.map(harmless))
    }

    fn table(&mut self, section: &str, table: &Table) -> csv::Result<()> {
        for (n, row) in table.rows.iter().enumerate() {
            let number = (n + 1).to_string();
            let names: Vec<String> = row.figures.iter().map(ToString::to_string).collect();
            let names = names.join(" ");
            for (column, cell) in table.columns.iter().zip(&row.cells) {
                let name = if cell.is_figure() { names.as_str() } else { "" };
                self.line([section, &table.id, &number, column, &cell.text(), name])?;
            }
        }
        Ok(())
    }
}

/// A cell that no spreadsheet takes for a formula: where it begins like one, an apostrophe goes before it. Control characters, with
/// which programs divide cells and lines, are replaced.
fn harmless(cell: &str) -> String {
    // The full-width forms are read as the plain ones by spreadsheets in some languages.
    const STARTS: [char; 12] = [
        '=', '+', '-', '@', '\t', '\r', '\n', '\0', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
    ];
    let quoted = if cell.starts_with(STARTS) { "'" } else { "" };
    let plain = cell.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    quoted.chars().chain(plain).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::testkit::hostile_document;

    #[test]
    fn what_begins_like_a_formula_is_quoted() {
        for text in ["=1+1", "+1", "-1", "@a", "\tx", "\rx", "\0x", "＝1"] {
            assert!(harmless(text).starts_with('\''), "{text:?}");
        }
        assert_eq!(harmless("a=b"), "a=b");
        assert_eq!(harmless("12"), "12");
    }

    #[test]
    fn each_table_is_a_file_with_a_heading_and_a_line_for_each_row() {
        let tables = tables(&hostile_document("=x")).unwrap();
        let (name, bytes) = &tables[0];
        assert_eq!((name.as_str(), tables.len()), ("=x", 2));
        let text = String::from_utf8(bytes.clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "'=x,'=x,'=x,figures");
        assert_eq!(lines[1], "'=x,7,'=x,alerts.=x");
        assert_eq!(lines[2], "'=x,withheld,–,");
    }

    proptest! {
        #[test]
        fn no_cell_of_any_document_is_a_formula_or_breaks_its_line(
            text in "[=+\\-@\t\r\n\0,;\"'a-z]{0,12}|.{0,20}",
        ) {
            let bytes = csv(&hostile_document(&text)).unwrap();
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&*bytes);
            for record in reader.records() {
                let record = record.unwrap();
                prop_assert_eq!(record.len(), HEADING.len());
                for cell in &record {
                    prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\0']), "{:?}", cell);
                    prop_assert!(!cell.contains(['\n', '\r', '\0']), "{:?}", cell);
                }
            }
        }
    }
}
