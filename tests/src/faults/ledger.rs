//! What the programs have acknowledged, as whoever asked them wrote it down: the harness's own list, kept outside of the programs.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use serde::Serialize;

/// Something that was acknowledged: from then on it may not be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Acknowledged {
    /// The hub opened an enquiry.
    Opened {
        /// The enquiry.
        enquiry: String,
    },
    /// A node took a rating.
    Rated {
        /// The enquiry.
        enquiry: String,
        /// The agency.
        agency: String,
        /// The person's reference.
        person: String,
        /// The colour, as its number on the wire.
        colour: i32,
        /// The name of the signed statement.
        statement: String,
    },
    /// The hub told what a holder decided about detail.
    Decided {
        /// The enquiry.
        enquiry: String,
        /// The request.
        release: String,
        /// The holder.
        holder: String,
        /// The recipient.
        recipient: String,
        /// The person's reference.
        person: String,
        /// The category.
        category: String,
        /// `release`, `review`, `deny` or `no_response`.
        decision: String,
        /// Why not, as a code.
        reason: String,
    },
    /// A person at the recipient read detail.
    Read {
        /// The enquiry.
        enquiry: String,
        /// The request.
        release: String,
        /// The recipient.
        recipient: String,
    },
}

impl Acknowledged {
    /// The enquiry that it belongs to.
    #[must_use]
    pub fn enquiry(&self) -> &str {
        match self {
            Self::Opened { enquiry }
            | Self::Rated { enquiry, .. }
            | Self::Decided { enquiry, .. }
            | Self::Read { enquiry, .. } => enquiry,
        }
    }
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// In which round.
    pub round: u64,
    /// What.
    #[serde(flatten)]
    pub what: Acknowledged,
}

/// The list. It is written to a file as it grows.
#[derive(Debug)]
pub struct Ledger {
    lines: Mutex<(Vec<Line>, File)>,
}

impl Ledger {
    /// An empty list in a new file.
    ///
    /// # Errors
    /// When the file can not be made.
    pub fn new(path: &Path) -> std::io::Result<Self> {
        Ok(Self { lines: Mutex::new((Vec::new(), File::create(path)?)) })
    }

    /// Writes something down.
    ///
    /// # Errors
    /// When the file can not be written.
    pub fn note(&self, round: u64, what: Acknowledged) -> anyhow::Result<()> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = Line { round, what };
        writeln!(lines.1, "{}", serde_json::to_string(&line)?)?;
        lines.0.push(line);
        Ok(())
    }

    /// Everything so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}
