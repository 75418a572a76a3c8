//! Writing an index: entries come in any order, and more of them than memory should hold at once.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use ring::digest::{Context, SHA256};

use super::{ENTRY_BYTES, Entry, HEADER_BYTES, IndexFailure, entries, header};
use crate::matching::token::Epoch;

/// Files over which entries are spread by the first bits of their tags. Tags are outputs of a pseudo-random function, so
/// each holds about as many: of 16 million entries, which is a million people, 20 MB.
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 5;

/// An index on its way to its file. Memory: a buffer for each part, and while it is finished one part.
///
/// The parts have no names, so that nothing of them is left behind when the program is killed.
#[derive(Debug)]
pub struct IndexWriter {
    path: PathBuf,
    epoch: Epoch,
    parts: Vec<BufWriter<File>>,
}

impl IndexWriter {
    /// An index of an epoch that will be at `path`; its parts lie in the same folder meanwhile.
    ///
    /// # Errors
    /// When the folder can not be written.
    pub fn new(path: &Path, epoch: Epoch) -> Result<Self, IndexFailure> {
        let part = |_| tempfile::tempfile_in(folder(path)).map(BufWriter::new);
        let parts = (0..PARTS).map(part).collect::<io::Result<_>>();
        let failed = |source| IndexFailure::Io { path: path.into(), source };
        Ok(Self { path: path.into(), epoch, parts: parts.map_err(failed)? })
    }

    /// Takes an entry, in any order; the same one twice counts once.
    ///
    /// # Errors
    /// When the disk is full or broken.
    pub fn push(&mut self, entry: &Entry) -> Result<(), IndexFailure> {
        let [first, ..] = entry.tag;
        let place = usize::from(first >> (u8::BITS - PART_BITS));
        let Some(part) = self.parts.get_mut(place) else { return Ok(()) };
        part.write_all(&entry.encode())
            .map_err(|source| IndexFailure::Io { path: self.path.clone(), source })
    }

    /// Writes the file in one step: whoever opens it sees the old one or the new one, also after a power cut. Gives the
    /// number of its entries. One process writes at a time.
    ///
    /// # Errors
    /// When the file can not be written; then the old one is still there.
    pub fn finish(self) -> Result<u64, IndexFailure> {
        let Self { path, epoch, parts } = self;
        let written = write(&path, epoch, parts);
        written.map_err(|source| IndexFailure::Io { path, source })
    }
}

fn write(path: &Path, epoch: Epoch, parts: Vec<BufWriter<File>>) -> io::Result<u64> {
    let mut new = path.to_path_buf().into_os_string();
    new.push(".new");
    let new = PathBuf::from(new);
    // A file left by a crash may have another mode.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    // The header tells what follows, so it comes last; a file without it is refused.
    out.write_all(&[0; HEADER_BYTES])?;
    let mut body = Context::new(&SHA256);
    let mut count = 0;
    for part in parts {
        for entry in sorted(part)? {
            let bytes = entry.encode();
            body.update(&bytes);
            out.write_all(&bytes)?;
            count += 1;
        }
    }
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.write_all_at(&header(epoch, count, body), 0)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(folder(path))?.sync_all()?;
    Ok(count)
}

/// The entries of one part.
fn sorted(part: BufWriter<File>) -> io::Result<Vec<Entry>> {
    let mut file = part.into_inner().map_err(io::IntoInnerError::into_error)?;
    let n_bytes = usize::try_from(file.stream_position()?).unwrap_or_default();
    file.rewind()?;
    let mut found = Vec::with_capacity(n_bytes / ENTRY_BYTES);
    let mut file = BufReader::new(file);
    let mut bytes = [0; ENTRY_BYTES];
    for _ in 0..n_bytes / ENTRY_BYTES {
        file.read_exact(&mut bytes)?;
        found.extend(entries(&bytes).map(|(tag, secret, record)| Entry { tag, record, secret }));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn folder(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}

/// [`IndexWriter`] for entries that are all there.
///
/// # Errors
/// As [`IndexWriter::finish`].
#[cfg(any(test, feature = "test-util"))]
pub fn write_index(
    path: &Path,
    epoch: Epoch,
    entries: impl IntoIterator<Item = Entry>,
) -> Result<u64, IndexFailure> {
    let mut writer = IndexWriter::new(path, epoch)?;
    for entry in entries {
        writer.push(&entry)?;
    }
    writer.finish()
}
