//! What is wrong with an agreement file: everything at once, each with its place.

use std::fmt;

/// One thing wrong with an agreement file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Line in the file, counted from 1.
    pub line: usize,
    /// Path of the key, for example `party[3].keys.tls`; items of a list are counted from 1. Empty
    /// for the text as a whole.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything wrong with an agreement file, in order of line. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementFaults(Vec<Fault>);

impl AgreementFaults {
    pub(super) fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort();
        faults.dedup();
        Self(faults)
    }

    /// The faults, in order of line.
    #[must_use]
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }
}

impl fmt::Display for AgreementFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the agreement has {} fault(s)", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

impl std::error::Error for AgreementFaults {}

/// Collects faults while a text is read.
#[derive(Debug)]
pub(super) struct Collector {
    line_starts: Vec<usize>,
    faults: Vec<Fault>,
}

impl Collector {
    pub(super) fn new(text: &str) -> Self {
        let after_newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let line_starts = std::iter::once(0).chain(after_newlines.map(|(at, _)| at + 1)).collect();
        Self { line_starts, faults: Vec::new() }
    }

    /// Notes a fault at a byte offset of the text.
    pub(super) fn add(&mut self, offset: usize, path: &str, message: impl Into<String>) {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        self.faults.push(Fault { line, path: path.to_owned(), message: message.into() });
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    pub(super) fn into_faults(self) -> AgreementFaults {
        AgreementFaults::new(self.faults)
    }
}
