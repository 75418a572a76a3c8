//! Backups of a program, running or stopped, and putting one back.
//!
//! A backup is one file, sealed to a *recovery key* whose private half is not on the machine ([`sealed`]). In it are the store as it was at
//! one moment, still sealed under its own keys; every shard of the log up to that moment; everything else in the data folder; the
//! agreement and the configuration; and the program's key files for statements, sealing, store and log ([`take`]).
//!
//! INVARIANTS
//! - The keys of views are in no backup: what has ended stays ended.
//! - The keys of enquiries are in no backup of the data. They have a file of their own, whole each time, so that what was erased is in the next
//!   one no more. Without its key nothing of an enquiry opens from a backup, however old.
//! - Nor is the key of the witness, nor the key of TLS: who is put back has forgotten what it cosigned, and may stand on another machine.
//! - A backup is of use only when its last chunk is written, and that is written once the audit log has an entry of it.
//! - What is put back is verified before it has its name ([`restore`]), and its log does not go on under the old one: what peers have seen
//!   of that can not be unsaid ([`audit::restored`](crate::audit::restored)).
//!
//! [`archive`] is what is inside, [`local`] how a program that runs is asked for one, [`command`] the words for it on the command line.

pub mod archive;
pub mod command;
pub mod local;
pub mod restore;
pub mod sealed;
pub mod take;

use std::{io, path::PathBuf};

use serde::Deserialize;

use crate::{
    audit::VerifyError, durable::StoreError, keyfile::KeyFileError, seal::SealingPublicKey,
};

/// The table `[backup]` of a configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackupConfig {
    /// The public half of the recovery key, in base64, as `backup init-recovery-key` prints it. Absent: there are no backups.
    pub recovery_key: Option<RecoveryKey>,
}

/// The public half of a recovery key, as a configuration has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RecoveryKey(pub SealingPublicKey);

impl TryFrom<String> for RecoveryKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let key = text.parse().map(Self);
        key.map_err(|_| "not the public half of a recovery key: expected base64 of 32 bytes")
    }
}

/// Why there is no backup, or it can not be put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It does not begin as one.
    #[error("it is no backup")]
    NotABackup,
    /// It is the other kind.
    #[error(
        "it is a backup of another kind: the data and the enquiry keys have files of their own"
    )]
    AnotherKind,
    /// The key does not open it.
    #[error(
        "this recovery key does not open it: it was made for another, or its beginning was altered"
    )]
    AnotherKey,
    /// It ends too early.
    #[error("it ends before its end: it was cut off")]
    CutOff,
    /// A chunk does not open in its place.
    #[error("it was altered: a part is not what was written there")]
    Altered,
    /// It opens, and is not what a backup is.
    #[error("it does not read as a backup: {0}")]
    Malformed(&'static str),
    /// A later version made it.
    #[error("a later version of the program made it (format {format}); use that one")]
    Later {
        /// The format that it says.
        format: u32,
    },
    /// It is of the other program, or of another party.
    #[error("it is a backup of {found}, not of {wanted}")]
    OfAnother {
        /// Whose it is.
        found: String,
        /// Whose it has to be.
        wanted: String,
    },
    /// There is something where it is to be put.
    #[error("`{}` is not empty; nothing is ever put over what is there: name another folder", .0.display())]
    NotEmpty(PathBuf),
    /// Another restore is putting something there.
    #[error("another restore is working on `{}`", .0.display())]
    UnderWay(PathBuf),
    /// The log in it is not in order.
    #[error("the log in it does not verify")]
    Log(#[from] VerifyError),
    /// The log in it is in order, and not the one that its manifest names.
    #[error("the log in it is not the one that its manifest names")]
    AnotherLog,
    /// The store in it is not in order.
    #[error("the store in it does not open")]
    Store(#[from] StoreError),
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// What the program itself checked.
    #[error("what was put together is not in order: {0}")]
    NotInOrder(String),
    /// The configuration names no recovery key.
    #[error(
        "the configuration names no recovery key: run `backup init-recovery-key` and put what it prints into it"
    )]
    NoRecoveryKey,
    /// The running program refused or failed.
    #[error("the program that runs made no backup: {0}")]
    Refused(String),
    /// The disk failed.
    #[error("the disk failed")]
    Io(#[from] io::Error),
}

impl BackupError {
    /// The exit code of a command that ends with it: 3 refused by a rule, 4 what was read does not verify, 1 everything else.
    #[must_use]
    pub const fn exit(&self) -> u8 {
        match self {
            Self::NotEmpty(_) => 3,
            Self::NotABackup
            | Self::AnotherKind
            | Self::AnotherKey
            | Self::CutOff
            | Self::Altered
            | Self::Malformed(_)
            | Self::Log(_)
            | Self::AnotherLog
            | Self::Store(
                StoreError::WrongKey | StoreError::Corrupt { .. } | StoreError::OtherKeyFolder,
            )
            | Self::NotInOrder(_) => 4,
            Self::Later { .. }
            | Self::OfAnother { .. }
            | Self::UnderWay(_)
            | Self::Store(_)
            | Self::Key(_)
            | Self::NoRecoveryKey
            | Self::Refused(_)
            | Self::Io(_) => 1,
        }
    }
}
