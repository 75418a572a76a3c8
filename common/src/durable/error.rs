//! Why the store did not do what it was asked. No error names a place or a value.

use std::{io, path::PathBuf};

use super::{SCHEMA_VERSION, seal::NotOpened};

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error("another process is using the store at `{}`; stop it first", path.display())]
    Locked {
        /// The store's directory.
        path: PathBuf,
    },
    /// The key does not open this store.
    #[error("the key does not open this store")]
    WrongKey,
    /// A later version of the program wrote the store.
    #[error("the store has schema {found}; this program knows {SCHEMA_VERSION}: use a later one")]
    SchemaNewer {
        /// The schema found.
        found: u32,
    },
    /// A later version of the program wrote the store. Nothing in it was changed.
    #[error(
        "the store has layout {found}, and this program knows up to {known}: a later version of it wrote the store; use that one, or \
         put back a backup from before"
    )]
    LayoutNewer {
        /// The version found.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// An earlier version of the program wrote the store. Nothing in it was changed.
    #[error(
        "the store has schema {found}, of a version before every enquiry had a key of its own, which this program does not \
         read; nothing was changed: go on with that version until its enquiries have ended, then begin with a new data \
         folder and import the agency's records again"
    )]
    SchemaOlder {
        /// The schema found.
        found: u32,
    },
    /// The folder of enquiry keys is not the one that belongs to the store. Nothing was changed.
    #[error(
        "the folder of enquiry keys is not the one that belongs to this store, or it is empty: put it back from its own copy, \
         or name the right one. Only if its keys are lost for good, and with them every enquiry: put an empty file \
         `keys-are.lost` into it and start again"
    )]
    OtherKeyFolder,
    /// The enquiry was erased: nothing is kept of it any more. Nothing changed.
    #[error("the enquiry was erased")]
    Erased,
    /// The store is damaged, or a value stands where it was not put: restore it from a backup.
    #[error("the store is damaged: {what}")]
    Corrupt {
        /// What does not hold, in words.
        what: &'static str,
    },
    /// A place that had to be absent is taken: a replay, or somebody was quicker. Nothing changed.
    #[error("a record that had to be new is already there")]
    AlreadyPresent,
    /// A value is not below [`MAX_VALUE_BYTES`](super::MAX_VALUE_BYTES). Nothing changed.
    #[error("a value of {n_bytes} bytes is too large")]
    ValueTooLarge {
        /// Its length in bytes.
        n_bytes: usize,
    },
    /// A place is not below [`MAX_PLACE_BYTES`](super::MAX_PLACE_BYTES). Nothing changed.
    #[error("a place of {n_bytes} bytes is too long")]
    PlaceTooLong {
        /// Its length in bytes.
        n_bytes: usize,
    },
    /// A batch has more than [`MAX_BATCH_CHANGES`](super::MAX_BATCH_CHANGES) changes. Nothing changed.
    #[error("{n_changes} changes are too many for one commit")]
    BatchTooLarge {
        /// How many.
        n_changes: usize,
    },
    /// An earlier write or sync failed; the store must be opened again, which reads the disk.
    #[error("the store failed earlier and must be opened again")]
    Failed,
    /// The disk failed.
    #[error("the store's disk failed")]
    Io(#[from] io::Error),
    /// The operating system gave no randomness, so nothing can be sealed.
    #[error("the operating system gave no randomness")]
    NoRandomness,
}

impl StoreError {
    /// A stable code for metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "store_locked",
            Self::WrongKey => "store_wrong_key",
            Self::SchemaNewer { .. } => "store_schema_newer",
            Self::SchemaOlder { .. } => "store_schema_older",
            Self::LayoutNewer { .. } => "store_layout_newer",
            Self::OtherKeyFolder => "store_other_key_folder",
            Self::Erased => "enquiry_erased",
            Self::Corrupt { .. } => "store_corrupt",
            Self::AlreadyPresent => "store_already_present",
            Self::ValueTooLarge { .. } => "store_value_too_large",
            Self::PlaceTooLong { .. } => "store_place_too_long",
            Self::BatchTooLarge { .. } => "store_batch_too_large",
            Self::Failed => "store_failed",
            Self::Io(_) => "store_io",
            Self::NoRandomness => "no_randomness",
        }
    }
}

impl From<NotOpened> for StoreError {
    fn from(_: NotOpened) -> Self {
        Self::Corrupt { what: "a value does not open at its place" }
    }
}
