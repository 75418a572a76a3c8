//! A document as JSON, a stable shape: fields are added, never renamed. A figure that is withheld is `null`, and so is one of which
//! there is nothing to say; in a document that is not shared nothing is withheld.

use serde_json::{Value, json};

use super::document::{Block, Cell, Chart, Document, Row, Section, Table};

/// The document as JSON.
#[must_use]
pub fn json(document: &Document) -> Value {
    json!({
        "report": document.kind,
        "title": document.title,
        "shared": document.shared,
        "facts": facts(&document.facts),
        "sections": document.sections.iter().map(section).collect::<Vec<_>>(),
    })
}

fn section(section: &Section) -> Value {
    json!({
        "id": section.id,
        "title": section.title,
        "blocks": section.blocks.iter().map(block).collect::<Vec<_>>(),
    })
}

fn block(block: &Block) -> Value {
    match block {
        Block::Text(text) => json!({ "text": text }),
        Block::Warning(text) => json!({ "warning": text }),
        Block::List(items) => json!({ "list": items }),
        Block::Facts(pairs) => json!({ "facts": facts(pairs) }),
        Block::Slot { id, asks } => json!({ "slot": id, "asks": asks }),
        Block::Table(table) => json!({ "table": table_json(table) }),
        // Its numbers are those of the table.
        Block::Chart(Chart { table, title, series, .. }) => {
            json!({ "chart": { "title": title, "table": table, "series": series } })
        }
    }
}

fn facts(pairs: &[(String, String)]) -> Vec<Value> {
    pairs.iter().map(|(term, what)| json!({ "term": term, "is": what })).collect()
}

fn table_json(table: &Table) -> Value {
    json!({
        "id": table.id,
        "caption": table.caption,
        "columns": table.columns,
        "rows": table.rows.iter().map(row).collect::<Vec<_>>(),
        "note": table.note,
    })
}

fn row(row: &Row) -> Value {
    let cell = |cell: &Cell| match cell {
        Cell::Text(text) => json!(text),
        Cell::Count(n) => json!(n),
        Cell::Withheld | Cell::Nothing => Value::Null,
    };
    let figures: Vec<String> = row.figures.iter().map(ToString::to_string).collect();
    json!({ "figures": figures, "cells": row.cells.iter().map(cell).collect::<Vec<_>>() })
}
