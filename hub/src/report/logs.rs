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
        shard,
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
    /// Its shards, oldest first, each with how many of its entries are counted.
    shards: Vec<(PathBuf, u64)>,
    /// Its name; of several shards, that of the newest.
    pub origin: Origin,
    /// Whether the key was taken from beside the log, where whoever changed the log could have changed it.
    pub key_from_log: bool,
    /// What verifying found.
    pub verdict: Verdict,
}

impl Log {
    /// Verifies the log in a folder, a shard's or that of all shards, with the key of its party in the folder `keys` (`hub.pub`, `CSC.pub`), or with the one beside
    /// the log.
    ///
    /// # Errors
    /// When it can not be read.
    pub fn open(dir: &Path, keys: Option<&Path>) -> anyhow::Result<Self> {
        let text = |path: PathBuf| {
            fs::read_to_string(&path).with_context(|| format!("can not read `{}`", path.display()))
        };
        let mut read: Option<Self> = None;
        for dir in shard::within(dir)? {
            let origin: Origin = text(dir.join(ORIGIN_FILE))
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
            let log = Self::verified(read, dir, origin, &key)?;
            let log = Self { key_from_log: keys.is_none(), ..log };
            let is_in_order = log.is_in_order();
            read = Some(log);
            // What comes behind the first entry that is wrong is not counted.
            if !is_in_order {
                break;
            }
        }
        read.with_context(|| format!("`{}` holds no log", dir.display()))
    }

    /// Verifies the shard in a folder with a key that is known, and with the name that it has to have.
    ///
    /// # Errors
    /// When it can not be read.
    pub fn with_key(dir: &Path, origin: Origin, key: &VerifyingKey) -> anyhow::Result<Self> {
        Self::verified(None, dir.to_owned(), origin, key)
    }

    /// Verifies a shard, which comes after those that were read and are in order.
    fn verified(
        read: Option<Self>,
        dir: PathBuf,
        origin: Origin,
        key: &VerifyingKey,
    ) -> anyhow::Result<Self> {
        let (mut shards, n_before) = match read {
            Some(Self { shards, verdict: Verdict::InOrder { n_entries, .. }, .. }) => {
                (shards, n_entries)
            }
            _ => (Vec::new(), 0),
        };
        let (verdict, n_counted) = match verify_dir(&dir, key, &origin) {
            Ok(summary) => {
                let n_entries = n_before + summary.n_entries;
                let last_hash = summary.last_hash.to_string();
                (Verdict::InOrder { n_entries, last_hash }, summary.n_entries)
            }
            Err(VerifyError::Fault(fault)) => {
                let (seq, what) = (n_before + fault.seq, fault.what.to_string());
                (Verdict::NotInOrder { seq, what }, fault.seq)
            }
            Err(error) => return Err(error.into()),
        };
        shards.push((dir, n_counted));
        Ok(Self { shards, origin, key_from_log: false, verdict })
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

    /// Gives each entry to `read`, in order, up to the first that is wrong, each with its number through all the shards.
    ///
    /// # Errors
    /// When it can not be read.
    pub fn read(&self, mut read: impl FnMut(&Entry)) -> anyhow::Result<()> {
        let mut n_before = 0;
        for (dir, end) in &self.shards {
            for entry in entries(dir)? {
                match entry {
                    Ok(entry) if entry.seq < *end => {
                        read(&Entry { seq: n_before + entry.seq, ..entry });
                    }
                    // Entries that were written since it was verified, or are behind the first that is wrong.
                    Ok(_) | Err(VerifyError::Fault(_)) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            n_before += end;
        }
        Ok(())
    }
}
