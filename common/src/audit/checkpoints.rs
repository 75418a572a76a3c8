//! The checkpoints that a log has signed and others have cosigned, beside its segments, in `checkpoints.log`.
//!
//! They are evidence, not the log: entries are believed for what the segments hold. What they show is that the log was once longer, or
//! other, than it is now. The file has the segments' frames, and each note in it is synced before anybody relies on it. It is thinned now and
//! then, or it would grow by a note for every answer that had to be witnessed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{
    chain::What,
    frame::{self, Frames, Step},
};
use crate::{
    durable::dirs,
    tlog::{CheckpointNote, NoteKey, TreeReader},
};

/// The file's name in the log's directory.
pub const CHECKPOINTS_FILE: &str = "checkpoints.log";

/// How many of the latest checkpoints are always kept.
const LATEST: usize = 1000;

/// Of those before, the last over each so many entries is kept. A later checkpoint vouches for all that an earlier one does, so what is
/// left out shows nothing that the rest does not.
const ONE_FOR_EACH: u64 = 1024;

/// What a checkpoint shows to be wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// The log has said that it was longer.
    #[error(
        "the log has {n_entries} entries, and has signed that it had {size}: entries were cut off, or it was put back \
         from a copy"
    )]
    RolledBack {
        /// How many entries it has.
        n_entries: u64,
        /// How many it has said to have.
        size: u64,
    },
    /// The log has said that its first entries were others.
    #[error("the first {size} entries are not those that the log has signed")]
    Rewritten {
        /// How many entries the checkpoint is over.
        size: u64,
    },
    /// A checkpoint in the file is not one of this log.
    #[error("the checkpoint at byte {offset} of `{CHECKPOINTS_FILE}` is not one of this log")]
    NotOurs {
        /// Where it begins.
        offset: u64,
    },
    /// The file is damaged.
    #[error("`{CHECKPOINTS_FILE}` is damaged at byte {offset}: {what}")]
    Damaged {
        /// Where.
        offset: u64,
        /// How.
        what: What,
    },
}

impl Contradiction {
    /// A stable code for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::RolledBack { .. } => "rolled_back",
            Self::Rewritten { .. } => "fork",
            Self::NotOurs { .. } => "checkpoint_not_of_this_log",
            Self::Damaged { .. } => "checkpoints_damaged",
        }
    }

    /// The first entry about which it leaves a doubt, as far as it tells.
    #[must_use]
    pub const fn seq(&self) -> Option<u64> {
        match self {
            Self::RolledBack { n_entries, .. } => Some(*n_entries),
            Self::Rewritten { .. } | Self::NotOurs { .. } | Self::Damaged { .. } => None,
        }
    }
}

/// Whether a tree is, or begins with, what a checkpoint of its log says.
///
/// # Errors
/// When the hashes can not be read.
pub fn compare(note: &CheckpointNote, tree: &TreeReader) -> io::Result<Result<(), Contradiction>> {
    let (said, n_entries) = (note.checkpoint().head, tree.head().size);
    if said.size > n_entries {
        return Ok(Err(Contradiction::RolledBack { n_entries, size: said.size }));
    }
    let same = tree.head_at(said.size)? == said;
    Ok(if same { Ok(()) } else { Err(Contradiction::Rewritten { size: said.size }) })
}

/// The notes in a file's bytes, each with where it begins, and where the last whole one ends.
fn notes(bytes: &[u8]) -> Result<(Vec<(u64, CheckpointNote)>, u64), Contradiction> {
    let mut frames = Frames::new(bytes);
    let mut notes = Vec::new();
    loop {
        let offset = frames.offset();
        match frames.step() {
            Step::Payload(payload) => {
                let note = CheckpointNote::parse(payload);
                notes.push((offset, note.map_err(|_| Contradiction::NotOurs { offset })?));
            }
            Step::End => return Ok((notes, offset)),
            // The last write, cut off by the end of the program or of the power.
            Step::Broken(broken) if broken.what == What::Incomplete => return Ok((notes, offset)),
            Step::Broken(broken) => {
                return Err(Contradiction::Damaged { offset, what: broken.what });
            }
        }
    }
}

/// Every checkpoint beside a log, oldest first; none when there is no file.
///
/// # Errors
/// When the file can not be read; what is wrong in it, as the value.
pub fn read(dir: &Path) -> io::Result<Result<Vec<(u64, CheckpointNote)>, Contradiction>> {
    match fs::read(dir.join(CHECKPOINTS_FILE)) {
        Ok(bytes) => Ok(notes(&bytes).map(|(notes, _)| notes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ok(Vec::new())),
        Err(error) => Err(error),
    }
}

/// The file while the log is open.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    path: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    file: File,
    n_bytes: u64,
    /// How many notes were kept since the file was thinned.
    n_new: usize,
    latest: Option<CheckpointNote>,
}

impl Checkpoints {
    /// Opens the file of a log, and holds every checkpoint in it against the log as it is.
    pub(crate) fn open(
        dir: &Path,
        log: &NoteKey,
        tree: &TreeReader,
    ) -> io::Result<Result<Self, Contradiction>> {
        let path = dir.join(CHECKPOINTS_FILE);
        let is_new = !path.exists();
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let bytes = fs::read(&path)?;
        let (notes, n_bytes) = match notes(&bytes) {
            Ok(read) => read,
            Err(contradiction) => return Ok(Err(contradiction)),
        };
        for (offset, note) in &notes {
            if note.checkpoint().origin != log.key_name().into() {
                return Ok(Err(Contradiction::NotOurs { offset: *offset }));
            }
            if let Err(contradiction) = compare(note, tree)? {
                return Ok(Err(contradiction));
            }
        }
        // A signature takes as long as fifty roots; the last one vouches for this file being this log's.
        if let Some((offset, note)) = notes.last()
            && note.signed_by(log).is_err()
        {
            return Ok(Err(Contradiction::NotOurs { offset: *offset }));
        }
        file.set_len(n_bytes)?;
        file.sync_all()?;
        if is_new {
            dirs::sync_dir(dir)?;
        }
        let n_new = notes.len();
        let latest = notes.into_iter().map(|(_, note)| note).max_by_key(size);
        Ok(Ok(Self { path, kept: Mutex::new(Kept { file, n_bytes, n_new, latest }) }))
    }

    /// The largest checkpoint that was kept.
    pub(crate) fn latest(&self) -> Option<CheckpointNote> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).latest.clone()
    }

    /// Keeps a checkpoint, durably.
    ///
    /// # Errors
    /// When the disk fails; what was written of it is cut off again before the next.
    pub(crate) fn keep(&self, note: &CheckpointNote) -> io::Result<()> {
        let bytes = note.to_bytes().map_err(io::Error::other)?;
        let mut frame = Vec::new();
        frame::append(&mut frame, &bytes);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // A new handle: after a failed sync the old one proves nothing.
        let file = OpenOptions::new().append(true).open(&self.path)?;
        file.set_len(kept.n_bytes.min(file.metadata()?.len()))?;
        kept.file = file;
        kept.file.write_all(&frame)?;
        kept.file.sync_data()?;
        kept.n_bytes += frame.len() as u64;
        kept.n_new += 1;
        if kept.latest.as_ref().is_none_or(|latest| size(latest) <= size(note)) {
            kept.latest = Some(note.clone());
        }
        if kept.n_new > LATEST * 2 {
            // The note is kept either way, and what there is, is whole.
            match thin(&self.path) {
                Ok(n_bytes) => kept.n_bytes = n_bytes,
                Err(error) => {
                    tracing::warn!(%error, "the log's checkpoints can not be thinned");
                    // The old file or the new one has the name; both are whole.
                    kept.n_bytes = fs::metadata(&self.path).map_or(kept.n_bytes, |file| file.len());
                }
            }
            kept.n_new = LATEST;
        }
        Ok(())
    }
}

/// Writes the file anew with those notes that are to stay, in their order; whole, or not at all. Its length afterwards.
fn thin(path: &Path) -> io::Result<u64> {
    let bytes = fs::read(path)?;
    let (notes, _) = notes(&bytes).map_err(io::Error::other)?;
    let n_old = notes.len().saturating_sub(LATEST);
    let mut frames = Vec::new();
    let mut rest = notes.iter().peekable();
    for place in 0..notes.len() {
        let Some((offset, note)) = rest.next() else { break };
        let end = rest.peek().map_or(bytes.len() as u64, |(next, _)| *next);
        let block = |note| size(note) / ONE_FOR_EACH;
        let is_last = rest.peek().is_none_or(|(_, next)| block(next) != block(note));
        if place >= n_old || is_last {
            let from = usize::try_from(*offset).map_err(io::Error::other)?;
            let to = usize::try_from(end).map_err(io::Error::other)?;
            frames.extend_from_slice(bytes.get(from..to).unwrap_or_default());
        }
    }
    dirs::replace(path, &frames, 0o666)?;
    Ok(frames.len() as u64)
}

fn size(note: &CheckpointNote) -> u64 {
    note.checkpoint().head.size
}

#[cfg(test)]
mod tests;
