//! Why a row was rejected, and the list of rejects: CSV with the columns `file`, `line`, `field`, `reason`.
//!
//! The list never repeats what the row says: it is mailed to whoever mends the export.

use std::{
    fmt,
    io::{self, Write},
};

use brag_common::{
    lint,
    matching::{identity::IdentityProblem, normalise::NotADate},
    rating::{InvalidAnalysis, NotAColour},
};

/// Longest field, in bytes.
pub const MAX_FIELD_BYTES: usize = 64 * 1024;
/// Longest row, in bytes.
pub const MAX_ROW_BYTES: usize = 256 * 1024;
/// Longest payload of an entry, in bytes: what can be kept is what can be released.
pub(crate) const MAX_TEXT_BYTES: usize = brag_common::release::MAX_DETAIL_BYTES;
/// Longest identity, in bytes of its canonical form: as text it still fits a store whose values stay under 63 KiB.
pub(crate) const MAX_IDENTITY_BYTES: usize = 40 * 1024;

/// Why a row, or one of its fields, is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Longer than [`MAX_FIELD_BYTES`], or 32 KiB for the text of an entry.
    #[error("the field is too long: at most {0} bytes")]
    FieldTooLong(usize),
    /// Longer than [`MAX_ROW_BYTES`].
    #[error("the row is too long: at most {MAX_ROW_BYTES} bytes")]
    RowTooLong,
    /// Not UTF-8.
    #[error("not UTF-8: the byte at position {0} of the field is not part of a character")]
    NotUtf8(usize),
    /// Fewer fields than columns.
    #[error("the row has {found} fields, the first row names {expected} columns")]
    TooFewFields {
        /// Columns of the header.
        expected: usize,
        /// Fields found.
        found: usize,
    },
    /// More fields than columns.
    #[error("the row has more fields than the first row names columns ({expected})")]
    TooManyFields {
        /// Columns of the header.
        expected: usize,
    },
    /// A quoted field that goes on behind its quote.
    #[error("text follows a closing quote: write quotes within a field twice")]
    TextAfterQuote,
    /// A quoted field that never ends.
    #[error("a quote that opens in this row is never closed: everything behind it was skipped")]
    QuoteNotClosed,
    /// Not one JSON object.
    #[error("not a JSON object on one line")]
    NotJson,
    /// A JSON value of another type.
    #[error("the value is of another type than the layout says")]
    WrongType,
    /// A JSON key that is not in the layout.
    #[error("a key is not one of this kind of record")]
    UnknownKey,
    /// A field that this kind of record does not have.
    #[error("this kind of record does not have the field: leave it empty")]
    NotOfThisRecord,
    /// A required field is empty or absent.
    #[error("the field is required")]
    Missing,
    /// Not a kind of record.
    #[error("not a kind of record: expected `person`, `entry` or `rating`")]
    UnknownRecord,
    /// Not an id.
    #[error("not an id: expected 1 to 64 characters, none of them a control character")]
    BadId,
    /// An earlier row of the file has this identity.
    #[error("an earlier row of this file has the same id: the first one counts")]
    Duplicate,
    /// No such person.
    #[error("no person with this id comes before, in this file or an earlier one")]
    PersonNotKnown,
    /// Not a date.
    #[error(transparent)]
    Date(NotADate),
    /// A date in part where a day is needed.
    #[error("not a day: expected `YYYY-MM-DD` or `DD/MM/YYYY`")]
    NotADay,
    /// Wrong as part of an identity.
    #[error(transparent)]
    Identity(IdentityProblem),
    /// Many names, identifiers and addresses, all of them long.
    #[error(
        "the names, identifiers and addresses together are too long: at most {MAX_IDENTITY_BYTES} bytes"
    )]
    IdentityTooLong,
    /// Not a kind of name.
    #[error("expected `kind:name` with kind `current`, `former`, `alias` or `known_as`")]
    BadName,
    /// Not an identifier.
    #[error("expected `kind:value`, for example `police:123`")]
    BadIdentifier,
    /// Not an address.
    #[error("expected `house|postcode|from|to`")]
    BadAddress,
    /// Not a category of the agreement.
    #[error("not a category of the agreement: expected `C` and two digits")]
    UnknownCategory,
    /// Not a flag.
    #[error("not a flag: expected `third_party` or `restricted`")]
    UnknownFlag,
    /// Not a handling code.
    #[error("not a handling code: expected 1 to 16 letters, digits, `-` or `_`")]
    BadHandlingCode,
    /// Not a colour.
    #[error(transparent)]
    Colour(NotAColour),
    /// Not an analysis within the agreement's bounds.
    #[error(transparent)]
    Analysis(InvalidAnalysis),
    /// An analysis that tells who or where somebody is.
    #[error("the analysis may not say who or where somebody is: {0}")]
    NotToBeSaid(lint::Finding),
    /// Not a topic.
    #[error("not a topic of the exchange")]
    UnknownTag,
    /// Not a staff name.
    #[error("not a staff name: expected 1 to 64 lower-case letters, digits, `.`, `-` or `_`")]
    BadStaffName,
    /// A value that the mapping's `map` does not list.
    #[error("the value is not one that the mapping lists")]
    NotInMap,
    /// A date in none of the mapping's forms.
    #[error("not a date in a form that the mapping names")]
    NotInForm,
    /// A text without what the mapping's `after` looks for.
    #[error("the text does not hold what the mapping looks for with `after`")]
    NotThere,
    /// An object or a list where the mapping wants a text.
    #[error("the mapping wants a text here, and there is an object")]
    NotText,
    /// Not a time.
    #[error("not a time: expected RFC 3339, for example `2027-02-09T08:40:00Z`")]
    BadTime,
}

/// One fault of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reject {
    /// The line where the row begins, counted from 1.
    pub line: u64,
    /// The column or key; absent when the fault is of the row as a whole.
    pub field: Option<&'static str>,
    /// What is wrong.
    pub reason: Reason,
}

/// Writes the list of rejects.
pub struct RejectWriter<W> {
    out: W,
    started: bool,
}

impl<W: Write> RejectWriter<W> {
    /// A list on `out`; its header is written before the first reject.
    pub const fn new(out: W) -> Self {
        Self { out, started: false }
    }

    /// Adds a reject of a file.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, file: &str, reject: &Reject) -> io::Result<()> {
        if !self.started {
            self.started = true;
            writeln!(self.out, "file,line,field,reason")?;
        }
        let (file, reason) = (quoted(file), quoted(&reject.reason.to_string()));
        writeln!(self.out, "{file},{},{},{reason}", reject.line, reject.field.unwrap_or(""))
    }

    /// Passes on what is buffered.
    ///
    /// # Errors
    /// When writing fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// The writer behind the list.
    pub fn into_inner(self) -> W {
        self.out
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

impl<W> fmt::Debug for RejectWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectWriter").finish_non_exhaustive()
    }
}
