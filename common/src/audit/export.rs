//! A log as a table or as lines of JSON, for spreadsheets and other people's programs.
//!
//! A cell of the table never begins with what a spreadsheet takes for a formula: it is then preceded by `'`, and every cell is
//! quoted (OWASP, CSV injection). JSON Lines carry each entry's canonical bytes, unchanged.

use std::{borrow::Cow, io::Write};

use super::entry::{Actor, Entry};

/// The columns of the table, in order. New ones come at the end.
pub const COLUMNS: [&str; 34] = [
    "v",
    "seq",
    "prev_hash",
    "ts",
    "node",
    "actor",
    "actor_role",
    "action",
    "enquiry",
    "person",
    "commitment",
    "exchange",
    "release",
    "peer",
    "category",
    "gate",
    "class",
    "purpose",
    "art6",
    "art9",
    "art10",
    "gateway",
    "agreement_status",
    "agreement",
    "agreement_version",
    "agreement_digest",
    "evidence",
    "decision",
    "reason",
    "recipients",
    "obligations",
    "count",
    "payload_digest",
    "test_env",
];

/// What begins a formula, or hides that one begins; the last four are their full-width forms.
pub const TRIGGERS: [char; 12] =
    ['=', '+', '-', '@', '\t', '\r', '\n', '\0', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// A text as a cell that no spreadsheet takes for a formula.
#[must_use]
pub fn neutral(text: &str) -> Cow<'_, str> {
    if text.starts_with(TRIGGERS) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// Writes entries, one after the other.
#[derive(Debug)]
pub struct Table<W: Write>(csv::Writer<W>);

impl<W: Write> Table<W> {
    /// A table with its header.
    ///
    /// # Errors
    /// When it can not be written.
    pub fn begin(out: W) -> Result<Self, csv::Error> {
        let mut writer =
            csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(out);
        writer.write_record(COLUMNS)?;
        Ok(Self(writer))
    }

    /// Writes an entry as a row.
    ///
    /// # Errors
    /// When it can not be written.
    pub fn row(&mut self, entry: &Entry) -> Result<(), csv::Error> {
        for cell in cells(entry) {
            self.0.write_field(neutral(&cell).as_bytes())?;
        }
        self.0.write_record(None::<&[u8]>)
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    /// When it can not be written.
    pub fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// An entry's cells, in the order of [`COLUMNS`]. Lists are joined by a space, which no item has in it; what is absent is empty.
fn cells(entry: &Entry) -> [String; COLUMNS.len()] {
    fn text<T: ToString>(value: Option<&T>) -> String {
        value.map(ToString::to_string).unwrap_or_default()
    }
    fn list<T: ToString>(values: &[T]) -> String {
        values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }
    let (actor, role) = match &entry.actor {
        Actor::Program => ("program".to_owned(), String::new()),
        Actor::Staff { name, role } => (name.to_string(), role.to_string()),
    };
    let agreement = entry.agreement.as_ref();
    [
        entry.v.to_string(),
        entry.seq.to_string(),
        entry.prev_hash.to_string(),
        entry.ts.to_string(),
        entry.node.to_string(),
        actor,
        role,
        entry.action.to_string(),
        text(entry.enquiry.as_ref()),
        text(entry.person.as_ref()),
        text(entry.commitment.as_ref()),
        text(entry.exchange.as_ref()),
        text(entry.release.as_ref()),
        text(entry.peer.as_ref()),
        text(entry.category.as_ref()),
        text(entry.gate.as_ref()),
        text(entry.class.as_ref()),
        text(entry.purpose.as_ref()),
        text(entry.art6.as_ref()),
        text(entry.art9.as_ref()),
        text(entry.art10.as_ref()),
        text(entry.gateway.as_ref()),
        text(entry.agreement_status.as_ref()),
        text(agreement.map(|stamp| &stamp.id)),
        text(agreement.map(|stamp| &stamp.version)),
        text(agreement.map(|stamp| &stamp.digest)),
        list(&entry.evidence),
        text(entry.decision.as_ref()),
        entry.reason.map(|reason| reason.code().to_owned()).unwrap_or_default(),
        list(&entry.recipients),
        list(&entry.obligations),
        text(entry.count.as_ref()),
        text(entry.payload_digest.as_ref()),
        entry.test_env.to_string(),
    ]
}

#[cfg(test)]
mod tests;
