//! A witness of other parties' logs: it remembers how far it has seen each, and cosigns only what continues that.
//!
//! INVARIANTS
//! - Of one log, a witness never cosigns two histories: a checkpoint is cosigned only with a proof that it begins with all of the one
//!   cosigned before (C2SP tlog-witness, `add-checkpoint`).
//! - What was cosigned is on the disk, synced, before the cosignature leaves; what it says never goes back.
//! - A checkpoint that a log has signed and that does not continue what it signed before is kept: the two together are the evidence.
//!
//! One call at a time changes a witness, so two checkpoints of one log can not both be held against the same earlier one.
//!
//! [`keys`] is how a party's log and witness keys are vouched for; [`cosigned`] is the other side, the log that wants to be witnessed;
//! [`grpc`] carries both between programs.

pub mod cosigned;
pub mod grpc;
pub mod keys;

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::{
    audit::Digest,
    durable::dirs,
    keys::SigningKey,
    time::Timestamp,
    tlog::{CheckpointNote, Hash, NoteKey, TreeHead, checkpoint::CheckpointError},
};

/// The folder of a witness, within a program's data.
pub const FOLDER: &str = "witness";
/// In it: the witness's verifier key, for whoever writes a policy.
pub const KEY_FILE: &str = "witness.pub";
/// Below it: what was refused.
const REFUSED: &str = "refused";
/// The most refused checkpoints that are kept; whoever signs more of them is in breach already.
const MAX_REFUSED: usize = 1000;
/// The most logs that are remembered: those of a partnership, and of its years.
const MAX_LOGS: usize = 10_000;

/// Why a checkpoint was not cosigned.
#[derive(Debug, thiserror::Error)]
pub enum NotCosigned {
    /// Not signed by the log, or malformed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The caller started from another size than the one that was cosigned last.
    #[error("the last checkpoint that was cosigned has another size")]
    Conflict {
        /// The checkpoint that was cosigned last; `None`: none was.
        kept: Option<Box<CheckpointNote>>,
    },
    /// It does not begin with what was cosigned before.
    #[error("the checkpoint does not continue the one that was cosigned before")]
    Inconsistent {
        /// The checkpoint that was cosigned last.
        kept: Box<CheckpointNote>,
    },
    /// The log of this name has another key.
    #[error("a log of this name is known under another key")]
    AnotherKey,
    /// There are too many logs.
    #[error("too many logs are witnessed here")]
    TooMany,
    /// The disk failed; nothing was cosigned.
    #[error("what was witnessed can not be kept")]
    Io(#[from] io::Error),
}

/// Remembers and cosigns.
#[derive(Debug)]
pub struct Witness {
    dir: PathBuf,
    public: NoteKey,
    key: SigningKey,
    turn: Mutex<()>,
}

impl Witness {
    /// Opens a witness's folder, and makes it where there is none.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open(dir: PathBuf, public: NoteKey, key: SigningKey) -> io::Result<Self> {
        dirs::create_dirs(&dir.join(REFUSED))?;
        fs::write(dir.join(KEY_FILE), format!("{public}\n"))?;
        Ok(Self { dir, public, key, turn: Mutex::default() })
    }

    /// The witness's public key.
    #[must_use]
    pub const fn public(&self) -> &NoteKey {
        &self.public
    }

    /// Cosigns a checkpoint of `log` that continues the one of `old_size`, which was cosigned last (0: none was). The line, without
    /// its new line. Blocking.
    ///
    /// # Errors
    /// See [`NotCosigned`].
    pub fn add(
        &self,
        log: &NoteKey,
        old_size: u64,
        proof: &[Hash],
        mut note: CheckpointNote,
        now: Timestamp,
    ) -> Result<Vec<u8>, NotCosigned> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.kept(log)?;
        if let Some(kept) = &kept
            && kept.signed_by(log).is_err()
        {
            return Err(NotCosigned::AnotherKey);
        }
        note.signed_by(log)?;
        let earlier = kept.as_ref().map_or(TreeHead::EMPTY, |kept| kept.checkpoint().head);
        if earlier.size != old_size {
            return Err(NotCosigned::Conflict { kept: kept.map(Box::new) });
        }
        if let Err(_not_proven) = note.checkpoint().head.check_consistency(&earlier, proof) {
            let Some(kept) = kept else { return Err(CheckpointError::Malformed.into()) };
            self.keep_refused(log, &note)?;
            return Err(NotCosigned::Inconsistent { kept: Box::new(kept) });
        }
        if kept.is_none() && self.n_logs()? >= MAX_LOGS {
            return Err(NotCosigned::TooMany);
        }
        let line = note.cosign(&self.public, now, &self.key)?;
        // Order matters: remembered before anybody can hold the cosignature against us.
        self.keep(log, &note)?;
        Ok(line)
    }

    /// The checkpoint of a log that was cosigned last.
    ///
    /// # Errors
    /// When it can not be read, or is not a checkpoint of this log any more.
    pub fn kept(&self, log: &NoteKey) -> io::Result<Option<CheckpointNote>> {
        let bytes = match fs::read(self.path(log)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let note = CheckpointNote::parse(&bytes).map_err(io::Error::other)?;
        // The witness believes only what it has cosigned itself: a file that anybody else wrote is no memory.
        let own = note.cosignatures(std::slice::from_ref(&self.public));
        if own.is_ok_and(|own| !own.is_empty()) && *note.checkpoint().origin == *log.key_name() {
            Ok(Some(note))
        } else {
            Err(io::Error::other("a remembered checkpoint is not one that this witness cosigned"))
        }
    }

    fn path(&self, log: &NoteKey) -> PathBuf {
        self.dir.join(file_name(log.key_name()))
    }

    fn n_logs(&self) -> io::Result<usize> {
        Ok(fs::read_dir(&self.dir)?.count())
    }

    fn keep(&self, log: &NoteKey, note: &CheckpointNote) -> io::Result<()> {
        let path = self.path(log);
        let temporary = path.with_extension("tmp");
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(&note.to_bytes().map_err(io::Error::other)?)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        dirs::sync_dir(&self.dir)
    }

    fn keep_refused(&self, log: &NoteKey, note: &CheckpointNote) -> io::Result<()> {
        let dir = self.dir.join(REFUSED);
        if fs::read_dir(&dir)?.count() >= MAX_REFUSED {
            return Ok(());
        }
        let bytes = note.to_bytes().map_err(io::Error::other)?;
        let name = format!("{}-{}", file_name(log.key_name()), Digest::of(&bytes));
        match OpenOptions::new().create_new(true).write(true).mode(0o600).open(dir.join(name)) {
            Ok(mut file) => {
                file.write_all(&bytes)?;
                file.sync_all()?;
                dirs::sync_dir(&dir)
            }
            // The same one again.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The name of the file about a log: of any origin, a name without a separator.
#[must_use]
pub fn file_name(origin: &str) -> String {
    Digest::of(origin.as_bytes()).to_string()
}

/// The checkpoint of the log `origin` that a witness cosigned last, from its folder, and those that it refused. Nothing is verified:
/// whoever reads holds them against the log.
///
/// # Errors
/// When a file can not be read.
pub fn kept_in(dir: &Path, origin: &str) -> io::Result<Vec<CheckpointNote>> {
    let name = file_name(origin);
    let mut paths = vec![dir.join(&name)];
    match fs::read_dir(dir.join(REFUSED)) {
        Ok(files) => {
            for file in files {
                let file = file?;
                if file.file_name().to_str().is_some_and(|found| found.starts_with(&name)) {
                    paths.push(file.path());
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut notes = Vec::new();
    for path in paths {
        match fs::read(&path) {
            Ok(bytes) => notes.push(CheckpointNote::parse(&bytes).map_err(io::Error::other)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(notes)
}

#[cfg(test)]
mod tests;
