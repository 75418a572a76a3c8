//! The token index as a running node holds it: looked at again whenever it is used, and exchanged in one step when
//! another file has been written in its place. A look-up that is under way ends on the index it began with.
//!
//! Two epochs are held: the newest, and the one before it, because the hub goes on screening with the old epoch until
//! it knows that the agency has enrolled in the new one.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use brag_common::matching::{
    index::{IndexFailure, TokenIndex},
    token::Epoch,
};

/// The file of the newest epoch's index, in the data folder.
pub const NEWEST: &str = "tokens";
/// The file of the epoch's before it.
pub const PREVIOUS: &str = "tokens.previous";

/// Which file it is: device, inode, length, and time of its last change in seconds and nanoseconds. An index is
/// written whole under another name, so another content is another file.
type FileIdentity = (u64, u64, u64, i64, i64);

#[derive(Debug)]
struct Opened {
    file: FileIdentity,
    index: Arc<TokenIndex>,
}

#[derive(Debug, Default)]
struct Held {
    newest: Option<Arc<Opened>>,
    previous: Option<Arc<Opened>>,
}

/// The indexes that a node answers from.
#[derive(Debug)]
pub struct HotIndex {
    data: PathBuf,
    held: ArcSwap<Held>,
    /// Held while files are opened, so that one is not read twice at a time.
    opening: Mutex<()>,
}

impl HotIndex {
    /// Opens what there is in the data folder; nothing before the first enrolment.
    ///
    /// # Errors
    /// When a file is there and can not be used.
    pub fn open(data: &Path) -> Result<Self, IndexFailure> {
        let hot = Self { data: data.into(), held: ArcSwap::default(), opening: Mutex::default() };
        hot.refresh()?;
        Ok(hot)
    }

    /// The index of an epoch, if the agency has enrolled in it. Blocks: when a file is new, it is read once (0.3 s for
    /// ten million tokens).
    #[must_use]
    pub fn of_epoch(&self, epoch: Epoch) -> Option<Arc<TokenIndex>> {
        if let Err(error) = self.refresh() {
            // What was open stays good, whatever has happened to the file.
            tracing::error!(%error, "a newly written token index can not be used; the one before it stays in use");
        }
        let held = self.held.load();
        let both = [&held.newest, &held.previous];
        let found = both.into_iter().flatten().find(|opened| opened.index.epoch() == epoch)?;
        Some(Arc::clone(&found.index))
    }

    /// The newest epoch that the agency has enrolled in.
    #[must_use]
    pub fn newest_epoch(&self) -> Option<Epoch> {
        self.held.load().newest.as_ref().map(|opened| opened.index.epoch())
    }

    /// Takes up files that have been written since the last look.
    ///
    /// # Errors
    /// When one can not be used; then what was held before still is.
    pub fn refresh(&self) -> Result<(), IndexFailure> {
        let (newest, previous) = (self.data.join(NEWEST), self.data.join(PREVIOUS));
        let is_held = |held: &Held| {
            held.newest.as_ref().map(|opened| opened.file) == identity(&newest)
                && held.previous.as_ref().map(|opened| opened.file) == identity(&previous)
        };
        if is_held(&self.held.load()) {
            return Ok(());
        }
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.held.load_full();
        let next = Held { newest: take_up(&newest, &held)?, previous: take_up(&previous, &held)? };
        self.held.store(Arc::new(next));
        Ok(())
    }
}

/// The file at `path`: as it is held, under either name, or newly opened; absent when there is none.
fn take_up(path: &Path, held: &Held) -> Result<Option<Arc<Opened>>, IndexFailure> {
    // Looked at before it is opened: a file that changes in between is taken up at the next look.
    let Some(file) = identity(path) else { return Ok(None) };
    let mut both = [&held.newest, &held.previous].into_iter().flatten();
    if let Some(same) = both.find(|opened| opened.file == file) {
        return Ok(Some(Arc::clone(same)));
    }
    let index = TokenIndex::open_if_any(path)?;
    Ok(index.map(|index| Arc::new(Opened { file, index: Arc::new(index) })))
}

fn identity(path: &Path) -> Option<FileIdentity> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
}

/// Keeps the index at [`NEWEST`] as [`PREVIOUS`] when it is of an epoch before `epoch`, which is about to be written.
/// At every moment each name has a whole file.
///
/// # Errors
/// When the folder can not be written.
pub fn keep_previous(data: &Path, epoch: Epoch) -> anyhow::Result<()> {
    let newest = data.join(NEWEST);
    // A damaged one is not worth keeping, and a new one is the remedy.
    let Ok(Some(index)) = TokenIndex::open_if_any(&newest) else { return Ok(()) };
    if index.epoch() >= epoch {
        return Ok(());
    }
    let staged = data.join("tokens.previous.new");
    match std::fs::remove_file(&staged) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    std::fs::hard_link(&newest, &staged)?;
    Ok(std::fs::rename(&staged, data.join(PREVIOUS))?)
}

#[cfg(test)]
mod tests {
    use brag_common::{
        matching::{
            index::{Entry, write_index},
            token::Output,
        },
        secret::SecretBytes,
    };

    use super::*;

    fn write(data: &Path, epoch: u64, record: u64) {
        keep_previous(data, Epoch(epoch)).unwrap();
        let output = Output { tag: [1; 16], secret: SecretBytes::new([2; 16]) };
        let path = data.join(NEWEST);
        write_index(&path, Epoch(epoch), vec![Entry::new(&output, record)]).unwrap();
    }

    fn record(hot: &HotIndex, epoch: u64) -> Option<u64> {
        let index = hot.of_epoch(Epoch(epoch))?;
        Some(index.lookup(&[1; 16]).unwrap()[0].1)
    }

    #[test]
    fn a_damaged_file_at_the_start_is_refused_and_a_later_one_leaves_the_old_in_use() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NEWEST), b"no index").unwrap();
        assert!(HotIndex::open(folder.path()).is_err());
        write_index(&folder.path().join(NEWEST), Epoch(1), Vec::new()).unwrap();
        write(folder.path(), 1, 10);
        let hot = HotIndex::open(folder.path()).unwrap();
        std::fs::remove_file(folder.path().join(NEWEST)).unwrap();
        std::fs::write(folder.path().join(NEWEST), b"no index").unwrap();
        assert_eq!(record(&hot, 1), Some(10));
    }

    #[test]
    fn a_newly_written_index_is_taken_up_and_one_under_way_stays_whole() {
        let folder = tempfile::tempdir().unwrap();
        let hot = HotIndex::open(folder.path()).unwrap();
        assert!(hot.of_epoch(Epoch(1)).is_none());
        write(folder.path(), 1, 10);
        assert_eq!((record(&hot, 1), record(&hot, 2)), (Some(10), None));
        let under_way = hot.of_epoch(Epoch(1)).unwrap();
        write(folder.path(), 1, 11);
        assert_eq!(record(&hot, 1), Some(11));
        assert_eq!(under_way.lookup(&[1; 16]).unwrap()[0].1, 10);
    }

    #[test]
    fn the_epoch_before_the_newest_is_held_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let hot = HotIndex::open(folder.path()).unwrap();
        for epoch in 1..=3 {
            write(folder.path(), epoch, epoch * 10);
            write(folder.path(), epoch, epoch * 10 + 1);
        }
        let records: Vec<_> = (1..=4).map(|epoch| record(&hot, epoch)).collect();
        assert_eq!(records, [None, Some(21), Some(31), None]);
        assert_eq!(hot.newest_epoch(), Some(Epoch(3)));
    }
}
