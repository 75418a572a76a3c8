//! Loading an agency's records from files.
//!
//! A file is UTF-8, in one of two layouts. Each row is a **person**, an **entry** about a person, or the agency's
//! **standing rating** of a person. A person comes before its entries and ratings, in the same file or an earlier one. A
//! row that is wrong is rejected with line, field and reason, never with its content, and the rest loads. Loading a
//! file twice changes nothing.
//!
//! # CSV (RFC 4180)
//!
//! The first row names the columns, in any order. `record` and `id` are required, a column that is not in this list refuses the
//! file. Every row has as many fields as the first. A field of another kind of record stays empty.
//!
//! | column | of | |
//! |---|---|---|
//! | `record` | all | `person`, `entry` or `rating` |
//! | `id` | all | the agency's own id of the person's record, 1 to 64 characters |
//! | `given`, `family` | person | the current name; at least one of them |
//! | `other_names` | person | `kind:name`, separated by `;`; kind `former`, `alias` or `known_as`; the last word is the family name, or the parts are written `given/family` |
//! | `born` | person | `YYYY-MM-DD`, `DD/MM/YYYY`, `YYYY-MM`, `YYYY` or empty |
//! | `sex` | person | `female`, `male`, `other` or empty; also `f`, `m`, `2`, `1`, `9` |
//! | `nhs`, `upn` | person | the number; one that fails its check is kept, but never matched with |
//! | `identifiers` | person | `kind:value`, separated by `;`, for example `police:AB/123` |
//! | `house`, `postcode` | person | the present address: number, name or first line; postcode |
//! | `address_from`, `address_to` | person | the days it began and ended: `YYYY-MM-DD`, `DD/MM/YYYY` or empty |
//! | `former_addresses` | person | `house\|postcode\|from\|to`, separated by `;` |
//! | `entry` | entry | the agency's own id of the entry; without one its category and text are its identity |
//! | `category` | entry | `C01` to `C99`, one of the agreement's |
//! | `text` | entry | the payload, at most 32 KiB |
//! | `flags` | entry | `third_party`, `restricted`, separated by `;`, or empty |
//! | `handling_code` | entry | 1 to 16 letters, digits, `-` or `_`, or empty |
//! | `colour` | rating | `blue`, `green`, `amber` or `red` |
//! | `analysis` | rating | one line within the agreement's bounds |
//! | `tags` | rating | topics, separated by `;`, or empty |
//! | `rated_by` | rating | the assessor's staff name |
//! | `rated_at` | rating | RFC 3339 |
//!
//! # JSON Lines
//!
//! One object a line. The words are those of the CSV; what CSV packs into one field is nested. Texts may be left out or
//! `null` where a CSV field may be empty; of a key written twice the last counts; an unknown key rejects the line.
//!
//! ```json
//! {"record":"person","id":"17","names":[{"kind":"current","given":"Ann","family":"Lee"}],"born":"1992-03","sex":"female","identifiers":[{"kind":"nhs","value":"999 000 0018"}],"addresses":[{"house":"3 Mill Lane","postcode":"ZZ1 2AB","from":"2020-01-31","to":null}]}
//! {"record":"entry","id":"17","entry":"9","category":"C33","text":"…","flags":["third_party"],"handling_code":"C"}
//! {"record":"rating","id":"17","colour":"amber","analysis":"…","tags":["substance"],"rated_by":"j.okafor","rated_at":"2027-02-09T08:40:00Z"}
//! ```
//!
//! # Bounds
//!
//! A field has at most 64 KiB and a row at most 256 KiB, enforced while reading: what is longer is skipped without being held,
//! up to the end of the row. Besides that, 16 bytes are kept for each row, to find duplicates; of two rows with one id in
//! a file the first counts.

use std::{
    collections::{BTreeSet, HashSet},
    io::{self, BufReader, Read, Write},
};

use brag_common::{id::CategoryCode, rating::AnalysisBounds};
use ring::digest::{Context, SHA256};

pub(crate) mod build;
mod columns;
pub(crate) mod csv;
mod intake;
pub(crate) mod jsonl;
mod record;
pub(crate) mod reject;
mod sink;

#[cfg(test)]
mod tests;

pub(crate) use intake::{Intake, Repeats, Taken};
pub use record::{Entry, Flag, HandlingCode, ImportItem, Rating, SourceId};
pub use reject::{MAX_FIELD_BYTES, MAX_ROW_BYTES, Reason, Reject, RejectWriter};
pub use sink::{MemorySink, Put, RecordSink, SinkError};

/// Bytes between two reports of progress, at least.
const PROGRESS_BYTES: u64 = 1 << 20;

/// The layout of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// Whether anything is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Rows are stored.
    Load,
    /// Rows are checked and compared with what is stored, and nothing changes.
    DryRun,
}

/// How a file is read.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// The layout.
    pub format: Format,
    /// Whether anything is stored.
    pub mode: Mode,
    /// The file's name, for the list of rejects.
    pub file: String,
    /// Bounds on the analysis of a rating, from the agreement.
    pub bounds: AnalysisBounds,
    /// The agreement's categories; absent to take every code of the right form.
    pub categories: Option<BTreeSet<CategoryCode>>,
}

/// What came of a file, in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportSummary {
    /// Rows read, without the header and empty lines.
    pub n_read: u64,
    /// Rows that were not known before.
    pub n_new: u64,
    /// Rows that replaced an earlier state.
    pub n_changed: u64,
    /// Rows that were known as they are.
    pub n_unchanged: u64,
    /// Rows that were rejected, whatever the number of their faults.
    pub n_rejected: u64,
}

/// Why a file was given up. What came before stays loaded.
#[derive(Debug, thiserror::Error)]
pub enum ImportFailure {
    /// The file can not be read.
    #[error("the file can not be read")]
    Read(#[source] io::Error),
    /// The list of rejects can not be written.
    #[error("the list of rejects can not be written")]
    Rejects(#[source] io::Error),
    /// The store refused.
    #[error("the records can not be stored")]
    Sink(#[source] SinkError),
    /// No first row that could name the columns.
    #[error("the file is empty: its first row has to name the columns")]
    NoHeader,
    /// The first row can not be read as column names.
    #[error("the first row does not name columns: {0}")]
    BadHeader(Reason),
    /// A required column is not there.
    #[error("column `{0}` is missing from the first row")]
    MissingColumn(&'static str),
    /// A column that is not in the layout. Its name is not repeated: it may be a person's.
    #[error("column {0} of the first row is not one of the layout; is the first row missing?")]
    UnknownColumn(usize),
    /// A column twice.
    #[error("column `{0}` is named twice in the first row")]
    ColumnTwice(&'static str),
}

/// Loads one file. Every good row goes to `sink`, every wrong field of a bad one to `rejects`; `progress` is told the number of
/// bytes read, about once a megabyte and at the end.
///
/// # Errors
/// When the file as a whole can not be used, or reading, storing or listing fails. A bad row is not an error.
pub fn import<S: RecordSink, R: Read, W: Write>(
    input: R,
    options: &ImportOptions,
    sink: &mut S,
    rejects: &mut RejectWriter<W>,
    progress: &mut dyn FnMut(u64),
) -> Result<ImportSummary, ImportFailure> {
    let input = BufReader::with_capacity(64 * 1024, input);
    let mut rows = Rows::open(input, options.format)?;
    let mut seen = HashSet::new();
    let mut summary = ImportSummary::default();
    let mut reported = 0;
    while let Some(row) = rows.next(options)? {
        summary.n_read += 1;
        let accepted = match row.item {
            Ok(item) => check_order(&item, &mut seen, sink)?.map(|()| item),
            Err(faults) => Err(faults),
        };
        match accepted {
            Ok(item) => {
                let put = match options.mode {
                    Mode::Load => sink.put(item),
                    Mode::DryRun => sink.compare(&item),
                };
                match put.map_err(ImportFailure::Sink)? {
                    Put::New => summary.n_new += 1,
                    Put::Changed => summary.n_changed += 1,
                    Put::Unchanged => summary.n_unchanged += 1,
                }
            }
            Err(faults) => {
                summary.n_rejected += 1;
                for Fault { field, reason } in faults {
                    let reject = Reject { line: row.line, field, reason };
                    rejects.write(&options.file, &reject).map_err(ImportFailure::Rejects)?;
                }
            }
        }
        if rows.n_bytes() >= reported + PROGRESS_BYTES {
            reported = rows.n_bytes();
            progress(reported);
        }
    }
    progress(rows.n_bytes());
    rejects.flush().map_err(ImportFailure::Rejects)?;
    Ok(summary)
}

/// One row: where it began, and what it says or what is wrong with it.
pub(crate) struct Row {
    pub(crate) line: u64,
    pub(crate) item: Result<ImportItem, Vec<Fault>>,
}

/// One thing wrong with a row. The field is absent when the fault is of the row as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) field: Option<&'static str>,
    pub(crate) reason: Reason,
}

impl Fault {
    pub(crate) const fn row(reason: Reason) -> Self {
        Self { field: None, reason }
    }

    pub(crate) const fn at(field: &'static str, reason: Reason) -> Self {
        Self { field: Some(field), reason }
    }
}

pub(crate) enum Rows<R> {
    Csv(columns::CsvRows<R>),
    Jsonl(jsonl::JsonRows<R>),
}

impl<R: io::BufRead> Rows<R> {
    /// Rows of a file in one of the layouts; reads the header of a CSV file.
    pub(crate) fn open(input: R, format: Format) -> Result<Self, ImportFailure> {
        Ok(match format {
            Format::Csv => Self::Csv(columns::CsvRows::open(input)?),
            Format::Jsonl => Self::Jsonl(jsonl::JsonRows::new(input)),
        })
    }

    pub(crate) fn next(&mut self, options: &ImportOptions) -> Result<Option<Row>, ImportFailure> {
        match self {
            Self::Csv(rows) => rows.next(options),
            Self::Jsonl(rows) => rows.next(options),
        }
        .map_err(ImportFailure::Read)
    }

    const fn n_bytes(&self) -> u64 {
        match self {
            Self::Csv(rows) => rows.n_bytes(),
            Self::Jsonl(rows) => rows.n_bytes(),
        }
    }
}

/// Short digests of what the file has had so far.
type Seen = HashSet<[u8; 16]>;

/// Whether the item can be stored, is the first of its identity in the file, and its person is known.
fn check_order<S: RecordSink>(
    item: &ImportItem,
    seen: &mut Seen,
    sink: &S,
) -> Result<Result<(), Vec<Fault>>, ImportFailure> {
    let person = item.source_id();
    if let ImportItem::Person { identity, .. } = item
        && identity.canonical_bytes().len() > reject::MAX_IDENTITY_BYTES
    {
        return Ok(Err(vec![Fault::row(Reason::IdentityTooLong)]));
    }
    if !matches!(item, ImportItem::Person { .. })
        && !seen.contains(&digest(&[b"person", person.as_str().as_bytes()]))
        && !sink.knows(person).map_err(ImportFailure::Sink)?
    {
        return Ok(Err(vec![Fault::at("id", Reason::PersonNotKnown)]));
    }
    let (field, identity) = match item {
        ImportItem::Person { .. } => ("id", digest(&[b"person", person.as_str().as_bytes()])),
        ImportItem::Entry(entry) => {
            ("entry", digest(&[b"entry", person.as_str().as_bytes(), &entry.key()]))
        }
        ImportItem::Rating(_) => ("id", digest(&[b"rating", person.as_str().as_bytes()])),
    };
    let first = seen.insert(identity);
    Ok(if first { Ok(()) } else { Err(vec![Fault::at(field, Reason::Duplicate)]) })
}

fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut short = [0; 16];
    for (byte, full) in short.iter_mut().zip(context.finish().as_ref()) {
        *byte = *full;
    }
    short
}
