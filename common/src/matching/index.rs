//! A node's tokens of one epoch: a sorted file, read in place.
//!
//! | bytes | header (64) |
//! |---|---|
//! | 8 | magic `BRAGTIX1`, whose last digit is the version |
//! | 8 | epoch, little-endian like every number here |
//! | 8 | number of entries |
//! | 8 | zero |
//! | 32 | SHA-256 of the entries |
//!
//! Then the entries in order, 40 bytes each: tag 16, secret 16, record number 8. The file is derived data: when it
//! is missing or damaged, enrol again.
//!
//! **Theft.** The file is mode 0600. Who steals it learns how many keys there are and which records share one. Tags and secrets can not
//! be turned back into people without the hub's secret for this agency and epoch, but with the secrets one can claim hits
//! in this agency's name until the epoch is over.

use std::{
    fmt,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use ring::digest::{Context, SHA256};

use super::token::{Epoch, Output, Tag};

mod write;

pub use write::IndexWriter;
#[cfg(any(test, feature = "test-util"))]
pub use write::write_index;

/// Most records that one tag gives. More than this share a key only when data are bad.
pub const MAX_RECORDS_PER_TAG: usize = 64;

const MAGIC: [u8; 8] = *b"BRAGTIX1";
const HEADER_BYTES: usize = 64;
const ENTRY_BYTES: usize = 40;
/// Entries between two tags held in memory: 10 million entries take 2.5 MB.
const FENCE_EVERY: usize = 64;
const BLOCK_BYTES: usize = ENTRY_BYTES * FENCE_EVERY;
/// What one look-up reads. With two blocks from the one before the first fence that is not smaller, at least
/// [`MAX_RECORDS_PER_TAG`] entries of any tag are seen; and a miss reads as much as a hit.
const LOOKUP_BYTES: usize = 2 * BLOCK_BYTES;

/// Why an index can not be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexFailure {
    /// No file there.
    #[error("there is no token index at {path}: enrol first")]
    Missing {
        /// Where it was expected.
        path: PathBuf,
    },
    /// The file can not be read or written.
    #[error("the token index at {path} can not be used")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not what was once written.
    #[error("the token index at {path} is damaged ({what}): enrol again")]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}

/// One token of one record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    tag: Tag,
    record: u64,
    secret: [u8; 16],
}

impl Entry {
    /// The token of a key of this record.
    #[must_use]
    pub fn new(output: &Output, record: u64) -> Self {
        Self { tag: output.tag, record, secret: *output.secret.expose() }
    }

    fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        let record = self.record.to_le_bytes();
        let fields = self.tag.iter().chain(&self.secret).chain(&record);
        for (byte, field) in bytes.iter_mut().zip(fields) {
            *byte = *field;
        }
        bytes
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry([secret])")
    }
}

fn header(epoch: Epoch, count: u64, body: Context) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let digest = body.finish();
    let fields = MAGIC
        .into_iter()
        .chain(epoch.0.to_le_bytes())
        .chain(count.to_le_bytes())
        .chain([0; 8])
        .chain(digest.as_ref().iter().copied());
    for (byte, field) in header.iter_mut().zip(fields) {
        *byte = field;
    }
    header
}

/// An open index. Look-ups take `&self` and may run at the same time.
#[derive(Debug)]
pub struct TokenIndex {
    path: PathBuf,
    file: File,
    epoch: Epoch,
    count: u64,
    /// The first tag of every block.
    fences: Vec<Tag>,
}

impl TokenIndex {
    /// Opens an index and reads it once, to check it and to build the table of fences (about 0.3 s for 10 million
    /// entries).
    ///
    /// # Errors
    /// When there is no file, it can not be read, or it is not what was written.
    pub fn open(path: &Path) -> Result<Self, IndexFailure> {
        let io = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => IndexFailure::Missing { path: path.into() },
            _ => IndexFailure::Io { path: path.into(), source },
        };
        let corrupt = |what| IndexFailure::Corrupt { path: path.into(), what };
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut found = [0; HEADER_BYTES];
        if length < HEADER_BYTES as u64 {
            return Err(corrupt("shorter than its header"));
        }
        file.read_exact_at(&mut found, 0).map_err(io)?;
        let number = |at: usize| {
            let bytes = found.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            u64::from_le_bytes(bytes.unwrap_or_default())
        };
        let (epoch, count) = (Epoch(number(8)), number(16));
        if !found.starts_with(&MAGIC) {
            return Err(corrupt("not a token index of version 1"));
        }
        let expected =
            count.checked_mul(ENTRY_BYTES as u64).and_then(|n| n.checked_add(HEADER_BYTES as u64));
        if expected != Some(length) {
            return Err(corrupt("cut short or grown"));
        }
        let mut body = Context::new(&SHA256);
        let mut fences = Vec::new();
        let mut last: Tag = [0; 16];
        let mut block = [0; BLOCK_BYTES];
        let mut at = HEADER_BYTES as u64;
        while at < length {
            let n_bytes =
                usize::try_from(length - at).map_or(BLOCK_BYTES, |left| left.min(BLOCK_BYTES));
            let block = block.get_mut(..n_bytes).unwrap_or_default();
            file.read_exact_at(block, at).map_err(io)?;
            body.update(block);
            for (place, (tag, ..)) in entries(block).enumerate() {
                if tag < last {
                    return Err(corrupt("out of order"));
                }
                if place == 0 {
                    fences.push(tag);
                }
                last = tag;
            }
            at += n_bytes as u64;
        }
        if header(epoch, count, body) != found {
            return Err(corrupt("its entries are not those that were written"));
        }
        Ok(Self { path: path.into(), file, epoch, count, fences })
    }

    /// Opens an index if there is one: a node that has never enrolled has none.
    ///
    /// # Errors
    /// As [`TokenIndex::open`], except that a missing file is no error.
    pub fn open_if_any(path: &Path) -> Result<Option<Self>, IndexFailure> {
        match Self::open(path) {
            Ok(index) => Ok(Some(index)),
            Err(IndexFailure::Missing { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The epoch whose tokens these are.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Number of tokens.
    #[must_use]
    pub const fn n_tokens(&self) -> u64 {
        self.count
    }

    /// Secrets and record numbers under a tag, at most [`MAX_RECORDS_PER_TAG`]. Reads 5 KiB, hit or miss.
    ///
    /// # Errors
    /// When the file can not be read any more.
    pub fn lookup(&self, tag: &Tag) -> Result<Vec<([u8; 16], u64)>, IndexFailure> {
        let block = self.fences.partition_point(|fence| fence < tag).saturating_sub(1) as u64;
        let start = block.saturating_mul(BLOCK_BYTES as u64);
        let body = self.count.saturating_mul(ENTRY_BYTES as u64);
        let n_bytes = usize::try_from(body.saturating_sub(start))
            .map_or(LOOKUP_BYTES, |left| left.min(LOOKUP_BYTES));
        let mut bytes = [0; LOOKUP_BYTES];
        let bytes = bytes.get_mut(..n_bytes).unwrap_or_default();
        self.file
            .read_exact_at(bytes, start + HEADER_BYTES as u64)
            .map_err(|source| IndexFailure::Io { path: self.path.clone(), source })?;
        let hits = entries(bytes).filter(|(found, ..)| found == tag);
        Ok(hits.take(MAX_RECORDS_PER_TAG).map(|(_, secret, record)| (secret, record)).collect())
    }
}

fn entries(bytes: &[u8]) -> impl Iterator<Item = (Tag, [u8; 16], u64)> {
    bytes.chunks_exact(ENTRY_BYTES).filter_map(|entry| {
        let (tag, rest) = entry.split_first_chunk()?;
        let (secret, record) = rest.split_first_chunk()?;
        Some((*tag, *secret, u64::from_le_bytes(record.try_into().ok()?)))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;

    use super::*;
    use crate::secret::SecretBytes;

    fn entry(tag: u8, record: u64) -> Entry {
        let output = Output { tag: [tag; 16], secret: SecretBytes::new([tag ^ 1; 16]) };
        Entry::new(&output, record)
    }

    fn written(entries: Vec<Entry>) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        write_index(&path, Epoch(7), entries).unwrap();
        (folder, path)
    }

    #[test]
    fn a_missing_file_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let failure = TokenIndex::open(&folder.path().join("none")).unwrap_err();
        assert!(matches!(failure, IndexFailure::Missing { .. }));
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_found() {
        let (_folder, path) = written(vec![entry(1, 10), entry(2, 20)]);
        let bytes = std::fs::read(&path).unwrap();
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            matches!(TokenIndex::open(&path), Err(IndexFailure::Corrupt { .. }))
        };
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x40;
            // The epoch is not personal and names the secret; a wrong one only makes every look-up miss.
            assert!((8..16).contains(&at) || refused(&flipped), "{at}");
            assert!(refused(&bytes[..at]), "{at}");
        }
    }

    #[test]
    fn finds_what_was_written_and_nothing_else() {
        let (_folder, path) = written(vec![entry(9, 90), entry(1, 10), entry(9, 91), entry(9, 90)]);
        let index = TokenIndex::open(&path).unwrap();
        assert_eq!((index.epoch(), index.n_tokens()), (Epoch(7), 3));
        assert_eq!(index.lookup(&[9; 16]).unwrap(), [([8; 16], 90), ([8; 16], 91)]);
        assert_eq!(index.lookup(&[1; 16]).unwrap(), [([0; 16], 10)]);
        for tag in [0, 5, 255] {
            assert!(index.lookup(&[tag; 16]).unwrap().is_empty());
        }
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_new_index_replaces_the_old_one_and_leaves_nothing_else() {
        let (folder, path) = written((0..=255).map(|tag| entry(tag, 1)).collect());
        assert_eq!(write_index(&path, Epoch(8), vec![entry(9, 2), entry(9, 2)]).unwrap(), 1);
        let index = TokenIndex::open(&path).unwrap();
        assert_eq!((index.epoch(), index.n_tokens()), (Epoch(8), 1));
        let names = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
        assert_eq!(names.collect::<Vec<_>>(), [path]);
    }

    #[test]
    fn an_empty_index_finds_nothing() {
        let (_folder, path) = written(Vec::new());
        assert!(TokenIndex::open(&path).unwrap().lookup(&[0; 16]).unwrap().is_empty());
    }

    #[test]
    fn a_tag_of_very_many_records_gives_a_bounded_number() {
        for before in [0, 1, 63, 64, 65, 127] {
            let mut entries: Vec<Entry> = (0..before).map(|n| entry(1, n)).collect();
            entries.extend((0..200).map(|n| entry(2, n)));
            entries.push(entry(3, 1));
            let (_folder, path) = written(entries);
            let index = TokenIndex::open(&path).unwrap();
            assert_eq!(index.lookup(&[2; 16]).unwrap().len(), MAX_RECORDS_PER_TAG, "{before}");
            assert_eq!(index.lookup(&[3; 16]).unwrap().len(), 1, "{before}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn looks_up_as_a_map_would(tags in proptest::collection::vec(0_u8..40, 0..400)) {
            let entries: Vec<Entry> = tags.iter().zip(0..).map(|(tag, record)| entry(*tag, record)).collect();
            let (_folder, path) = written(entries);
            let index = TokenIndex::open(&path).unwrap();
            for tag in 0..41 {
                let records: Vec<u64> = index.lookup(&[tag; 16]).unwrap().into_iter().map(|(_, record)| record).collect();
                let expected: Vec<u64> = tags.iter().zip(0..).filter(|(t, _)| **t == tag).map(|(_, n)| n).take(MAX_RECORDS_PER_TAG).collect();
                prop_assert_eq!(records, expected);
            }
        }
    }
}
