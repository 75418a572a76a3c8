//! The logs that a report is made from: read as files, verified, and counted up to the first entry that is wrong.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use brag_common::{
    audit::{
        Origin, VerifyError, entries,
        entry::{Entry, Party},
        storage::{KEY_FILE, ORIGIN_FILE},
        verify_dir,
    },
    keys::VerifyingKey,
};

/// What verifying a log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is in order.
    InOrder {
        /// How many entries.
        n_entries: u64,
        /// The hash of the last one, which stands for them all.
        last_hash: String,
    },
    /// It is not; what comes from this entry on is not counted.
    NotInOrder {
        /// The first entry that is wrong.
        seq: u64,
        /// What is wrong.
        what: String,
    },
}

/// A log, verified.
#[derive(Debug, Clone)]
pub struct Log {
    dir: PathBuf,
    /// Its name.
    pub origin: Origin,
    /// Whether the key was taken from beside the log, where whoever changed the log could have changed it.
    pub key_from_log: bool,
    /// What verifying found.
    pub verdict: Verdict,
}

impl Log {
    /// Verifies the log in a folder, with the key of its party in the folder `keys` (`hub.pub`, `CSC.pub`), or with the one beside
    /// the log.
    ///
    /// # Errors
    /// When it can not be read.
    pub fn open(dir: &Path, keys: Option<&Path>) -> anyhow::Result<Self> {
        let text = |path: PathBuf| {
            fs::read_to_string(&path).with_context(|| format!("can not read `{}`", path.display()))
        };
        let name = dir.join(ORIGIN_FILE);
        let origin: Origin = text(name)
            .with_context(|| format!("`{}` holds no log", dir.display()))?
            .trim()
            .parse()?;
        let path = match keys {
            Some(keys) => keys.join(format!("{}.pub", origin.party())),
            None => dir.join(KEY_FILE),
        };
        let key = text(path.clone())?;
        let key: VerifyingKey =
            key.trim().parse().with_context(|| format!("`{}` is no key", path.display()))?;
        let verdict = match verify_dir(dir, &key, &origin) {
            Ok(summary) => Verdict::InOrder {
                n_entries: summary.n_entries,
                last_hash: summary.last_hash.to_string(),
            },
            Err(VerifyError::Fault(fault)) => {
                Verdict::NotInOrder { seq: fault.seq, what: fault.what.to_string() }
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self { dir: dir.to_owned(), origin, key_from_log: keys.is_none(), verdict })
    }

    /// Whose it is.
    #[must_use]
    pub const fn party(&self) -> &Party {
        self.origin.party()
    }

    /// Whether it is in order.
    #[must_use]
    pub const fn is_in_order(&self) -> bool {
        matches!(self.verdict, Verdict::InOrder { .. })
    }

    /// Gives each entry to `read`, in order, up to the first that is wrong.
    ///
    /// # Errors
    /// When it can not be read.
    pub fn read(&self, mut read: impl FnMut(&Entry)) -> anyhow::Result<()> {
        let end = match self.verdict {
            Verdict::InOrder { n_entries, .. } => n_entries,
            Verdict::NotInOrder { seq, .. } => seq,
        };
        for entry in entries(&self.dir)? {
            match entry {
                Ok(entry) if entry.seq < end => read(&entry),
                // Entries that were written since it was verified, or are behind the first that is wrong.
                Ok(_) | Err(VerifyError::Fault(_)) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
