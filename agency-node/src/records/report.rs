//! What is kept of the last import, for whoever runs the node: numbers, and of each reject the file's number, the line, the field's
//! name and the reason. Never a value, and no file's name.

use std::io::{self, Write};

use brag_common::{
    durable::{Batch, StoreError},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{import::ImportSummary, store::Store};

/// Where it lies; one, of the last import.
const PLACE: &str = "import/last";
/// Rejects that are kept, the first ones: a file that is wrong throughout is wrong in the same way.
pub const MAX_REJECTS: usize = 200;
/// The longest line of a list of rejects that is looked at, in bytes.
const MAX_LINE_BYTES: usize = 4096;

/// Rows of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rows {
    /// Read.
    pub read: u64,
    /// Not known before.
    pub new: u64,
    /// Replaced an earlier state.
    pub changed: u64,
    /// Known as they were.
    pub unchanged: u64,
    /// Rejected.
    pub rejected: u64,
}

impl From<ImportSummary> for Rows {
    fn from(of: ImportSummary) -> Self {
        Self {
            read: of.n_read,
            new: of.n_new,
            changed: of.n_changed,
            unchanged: of.n_unchanged,
            rejected: of.n_rejected,
        }
    }
}

/// A field that was rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Which file of the import, from 1.
    pub file: usize,
    /// The line, from 1.
    pub line: u64,
    /// The field's name in the layout; empty: the row as a whole.
    pub field: String,
    /// Why, in the words of the layout.
    pub reason: String,
}

/// What is kept of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// When it ended.
    pub at: Timestamp,
    /// How many files were read to their end.
    pub files: usize,
    /// Whether a file was given up, so that those behind it were not read.
    pub given_up: bool,
    /// All rows.
    pub rows: Rows,
    /// The first rejects.
    pub rejects: Vec<Rejected>,
}

impl ImportReport {
    /// Keeps it, over the one before.
    ///
    /// # Errors
    /// When the store fails.
    pub fn keep(&self, store: &Store) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(PLACE, serde_json::to_vec(self).unwrap_or_default());
        store.records().commit(batch)
    }

    /// The one of the last import; `None`: there was none since reports are kept.
    ///
    /// # Errors
    /// When the store fails.
    pub fn last(store: &Store) -> Result<Option<Self>, StoreError> {
        let bytes = store.records().get(PLACE.as_bytes())?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }
}

/// Passes a list of rejects on, and keeps its first rows.
pub(super) struct Listening<W> {
    out: W,
    line: Vec<u8>,
    /// Names of the files of the import, in order.
    files: Vec<String>,
    pub(super) rejects: Vec<Rejected>,
}

impl<W: Write> Listening<W> {
    pub(super) const fn to(out: W, files: Vec<String>) -> Self {
        Self { out, line: Vec::new(), files, rejects: Vec::new() }
    }

    fn hear(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.rejects.len() >= MAX_REJECTS {
                return;
            }
            if *byte == b'\n' {
                self.take();
                self.line.clear();
            } else if self.line.len() < MAX_LINE_BYTES {
                self.line.push(*byte);
            }
        }
    }

    /// One line: `file,line,field,reason`, as `RejectWriter` writes it.
    fn take(&mut self) {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&self.line[..]);
        let Some(Ok(row)) = reader.records().next() else { return };
        let text = |n: usize| row.get(n).unwrap_or_default().to_owned();
        let Ok(line) = text(1).parse() else { return };
        let name = text(0);
        let file = self.files.iter().position(|known| *known == name).map_or(0, |n| n + 1);
        self.rejects.push(Rejected { file, line, field: text(2), reason: text(3) });
    }
}

impl<W: Write> Write for Listening<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.hear(bytes.get(..n).unwrap_or_default());
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{Reason, Reject, RejectWriter};

    #[test]
    fn of_a_reject_the_place_and_the_reason_are_kept_and_no_name_of_a_file() {
        let mut list = RejectWriter::new(Listening::to(
            Vec::new(),
            ["a \"b\", c.csv", "other", "d.csv"].map(String::from).to_vec(),
        ));
        for (file, line, field) in [("a \"b\", c.csv", 7, Some("born")), ("d.csv", 2, None)] {
            list.write(file, &Reject { line, field, reason: Reason::Missing }).unwrap();
        }
        let heard = list.into_inner();
        let reason = "the field is required".to_owned();
        let rejected = |file, line, field: &str| Rejected {
            file,
            line,
            field: field.to_owned(),
            reason: reason.clone(),
        };
        assert_eq!(heard.rejects, [rejected(1, 7, "born"), rejected(3, 2, "")]);
        assert!(String::from_utf8(heard.out).unwrap().starts_with("file,line,field,reason\n"));
    }

    #[test]
    fn no_more_than_the_first_rejects_are_kept() {
        let mut list = RejectWriter::new(Listening::to(io::sink(), Vec::new()));
        for line in 1..1000 {
            list.write("a", &Reject { line, field: None, reason: Reason::Missing }).unwrap();
        }
        assert_eq!(list.into_inner().rejects.len(), MAX_REJECTS);
    }
}
