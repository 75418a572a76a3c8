//! The Merkle tree of RFC 6962, section 2.1: growing it, its roots, its proofs.
//!
//! Hashes lie in a file that is made anew each time a log is read and has no name: it is derived, never believed, and gone
//! with the program. A reader of it gives proofs for every size up to the one it was taken at, while the tree grows.

use std::{
    fmt,
    fs::File,
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    str::FromStr,
    sync::Arc,
};

use tlog_tiles::{
    Error as TreeError, HashReader, check_record, check_tree, prove_record, prove_tree,
    record_hash, stored_hashes_for_record_hash, tree_hash,
};

/// The most hashes in a proof: no tree is higher (C2SP tlog-witness: "at most 63").
pub const MAX_PROOF_HASHES: usize = 63;

/// The greatest size of a tree. Other implementations of the format count in signed 64-bit numbers.
pub const MAX_SIZE: u64 = i64::MAX.unsigned_abs();

/// Bytes of one hash.
const HASH_BYTES: usize = 32;

/// A hash of the tree (SHA-256). Text form: base64, as the format wants it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; HASH_BYTES]);

/// A text that is not a hash, or a proof that does not prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotProven {
    /// Not base64 of 32 bytes.
    #[error("not a hash: expected base64 of 32 bytes")]
    NotAHash,
    /// More hashes than any proof has, or a size that no tree has.
    #[error("a proof has at most {MAX_PROOF_HASHES} hashes, and a tree at most 2^63 - 1 entries")]
    TooLarge,
    /// The hashes do not lead from the one to the other.
    #[error("the proof does not hold")]
    Invalid,
}

impl Hash {
    /// The hash with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }

    /// The hash of an entry as a leaf of the tree.
    #[must_use]
    pub fn of_leaf(entry: &[u8]) -> Self {
        Self(record_hash(entry).0)
    }

    fn inner(self) -> tlog_tiles::Hash {
        tlog_tiles::Hash(self.0)
    }
}

impl FromStr for Hash {
    type Err = NotProven;

    fn from_str(text: &str) -> Result<Self, NotProven> {
        tlog_tiles::Hash::parse_hash(text).map(|hash| Self(hash.0)).map_err(|_| NotProven::NotAHash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner(), f)
    }
}

impl serde::Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// How large a tree is, and the hash that stands for all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// How many entries.
    pub size: u64,
    /// The root's hash.
    pub root: Hash,
}

impl TreeHead {
    /// The tree without an entry.
    pub const EMPTY: Self = Self { size: 0, root: Hash(tlog_tiles::EMPTY_HASH.0) };

    /// Whether `proof` shows that the entry with this leaf hash stands at `index`.
    ///
    /// # Errors
    /// When it does not.
    pub fn check_inclusion(&self, index: u64, leaf: Hash, proof: &[Hash]) -> Result<(), NotProven> {
        let proof = bounded(proof, self.size)?;
        check_record(&proof, self.size, self.root.inner(), index, leaf.inner())
            .map_err(|_| NotProven::Invalid)
    }

    /// Whether `proof` shows that this tree begins with all of `earlier`, unchanged.
    ///
    /// # Errors
    /// When it does not.
    pub fn check_consistency(&self, earlier: &Self, proof: &[Hash]) -> Result<(), NotProven> {
        let proof = bounded(proof, self.size)?;
        // Everything begins with nothing, and of one size there is one tree; neither needs a hash.
        if earlier.size == 0 || earlier.size == self.size {
            let same = earlier.size == 0 && earlier.root == Self::EMPTY.root || earlier == self;
            return if same && proof.is_empty() { Ok(()) } else { Err(NotProven::Invalid) };
        }
        check_tree(&proof, self.size, self.root.inner(), earlier.size, earlier.root.inner())
            .map_err(|_| NotProven::Invalid)
    }
}

fn bounded(proof: &[Hash], size: u64) -> Result<Vec<tlog_tiles::Hash>, NotProven> {
    if proof.len() > MAX_PROOF_HASHES || size > MAX_SIZE {
        return Err(NotProven::TooLarge);
    }
    Ok(proof.iter().map(|hash| hash.inner()).collect())
}

/// A tree that grows. See [`Tree::reader`] for its proofs.
#[derive(Debug)]
pub struct Tree {
    file: Arc<File>,
    size: u64,
    /// Hashes behind those in the file, as they are to stand there.
    pending: Vec<u8>,
    /// The whole subtrees that the tree is made of.
    edge: Edge,
}

/// Bytes of pending hashes above which they are written.
const MAX_PENDING: usize = 8192 * HASH_BYTES;

/// The hashes of the largest whole subtrees from the left, which get smaller to the right: one for each bit that is set in
/// the size. Both what the next entry completes and the root follow from them, so growing the tree reads nothing.
#[derive(Debug, Default)]
struct Edge(Vec<tlog_tiles::Hash>);

impl HashReader for Edge {
    /// The library asks from left to right: for the subtrees that an entry completes, which are the last ones; and for
    /// all, of which the root is made.
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, TreeError> {
        let first = self.0.len().checked_sub(indexes.len());
        let asked = first.and_then(|first| self.0.get(first..));
        asked.map(<[_]>::to_vec).ok_or(TreeError::IndexesNotInTree)
    }
}

impl Edge {
    /// Takes in what an entry has added: its own hash, and that of each subtree which it completed.
    fn grow(&mut self, new: &[tlog_tiles::Hash]) {
        let n_completed = new.len().saturating_sub(1);
        self.0.truncate(self.0.len().saturating_sub(n_completed));
        self.0.extend(new.last());
    }
}

impl Tree {
    /// The empty tree, whose hashes go to `file`: an empty one that nobody else has.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file: Arc::new(file), size: 0, pending: Vec::new(), edge: Edge::default() }
    }

    /// How many entries it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends an entry by its leaf hash.
    ///
    /// # Errors
    /// When the hashes can not be written; the tree is of no use then.
    pub fn push(&mut self, leaf: Hash) -> io::Result<()> {
        let new =
            stored_hashes_for_record_hash(self.size, leaf.inner(), &self.edge).map_err(failed)?;
        new.iter().for_each(|hash| self.pending.extend_from_slice(&hash.0));
        self.edge.grow(&new);
        self.size += 1;
        if self.pending.len() >= MAX_PENDING { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        // Appended: nobody else has the file, and only whole batches are written.
        (&*self.file).write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }

    /// A reader of the tree as it is now.
    ///
    /// # Errors
    /// When the hashes can not be written or read.
    pub fn reader(&mut self) -> io::Result<TreeReader> {
        self.flush()?;
        let root = tree_hash(self.size, &self.edge).map_err(failed)?;
        let head = TreeHead { size: self.size, root: Hash(root.0) };
        Ok(TreeReader { file: Arc::clone(&self.file), head })
    }
}

/// Gives roots and proofs of a tree, of the size that it had then and of every smaller one.
#[derive(Debug, Clone)]
pub struct TreeReader {
    file: Arc<File>,
    head: TreeHead,
}

impl TreeReader {
    /// The tree's head.
    #[must_use]
    pub const fn head(&self) -> TreeHead {
        self.head
    }

    /// The head that the tree had at an earlier size.
    ///
    /// # Errors
    /// When the hashes can not be read, or it never had that size.
    pub fn head_at(&self, size: u64) -> io::Result<TreeHead> {
        let root = tree_hash(size, &self.stored()).map_err(failed)?;
        Ok(TreeHead { size, root: Hash(root.0) })
    }

    /// The proof that an entry stands at `index` in the tree of `size`, from the leaf's sibling up.
    ///
    /// # Errors
    /// When there is no such entry or size, or the hashes can not be read.
    pub fn prove_inclusion(&self, index: u64, size: u64) -> io::Result<Vec<Hash>> {
        let proof = prove_record(size, index, &self.stored()).map_err(failed)?;
        Ok(proof.into_iter().map(|hash| Hash(hash.0)).collect())
    }

    /// The proof that the tree of `size` begins with all of the tree of `earlier`.
    ///
    /// # Errors
    /// When there are no such sizes, or the hashes can not be read.
    pub fn prove_consistency(&self, earlier: u64, size: u64) -> io::Result<Vec<Hash>> {
        if earlier == 0 || earlier == size {
            return Ok(Vec::new());
        }
        let proof = prove_tree(size, earlier, &self.stored()).map_err(failed)?;
        Ok(proof.into_iter().map(|hash| Hash(hash.0)).collect())
    }

    pub(super) fn stored(&self) -> impl HashReader + '_ {
        Stored { file: &self.file }
    }
}

/// Hashes in the file.
struct Stored<'a> {
    file: &'a File,
}

impl HashReader for Stored<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, TreeError> {
        indexes.iter().map(|&index| self.read(index).ok_or(TreeError::IndexesNotInTree)).collect()
    }
}

impl Stored<'_> {
    fn read(&self, index: u64) -> Option<tlog_tiles::Hash> {
        let mut bytes = [0; HASH_BYTES];
        self.file.read_exact_at(&mut bytes, index.checked_mul(HASH_BYTES as u64)?).ok()?;
        Some(tlog_tiles::Hash(bytes))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "given to `map_err`")]
pub(super) fn failed(error: TreeError) -> io::Error {
    io::Error::other(format!("the hashes of the log's tree can not be read: {error}"))
}

#[cfg(test)]
mod tests;
