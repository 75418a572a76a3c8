//! Checking a log from its bytes alone: no running program, no network, nothing written.
//!
//! Every checksum, number and link of the chain is looked at, and the first entry that is wrong is
//! named. The chain covers each frame with its signature, so the signature of the last entry vouches
//! for all before it; a signature costs fifty times a hash. When anything is wrong, or when
//! [`verify_every_signature`] is asked for, each signature is looked at. One segment is in memory at a
//! time.
//!
//! A log may be checked while it is written. Bytes that end within a frame, at the very end, are then
//! a write that is under way: they are counted, not blamed ([`Summary::n_unfinished_bytes`]).
//!
//! Not found in the segments alone: whole entries cut from the end, or everything written anew by the holder of the key. What the log
//! has signed before shows both, as far as witnesses have it: see [`witnessed`].

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    chain::{Chain, Origin, What},
    checkpoints::Contradiction,
    entry::{Digest, Entry},
    frame::{Frames, Step, split},
    storage::{list_segments, segment_path},
};
use crate::{
    keys::VerifyingKey,
    time::Timestamp,
    tlog::{Hash, Tree, TreeHead, TreeReader, policy::NotAccepted},
};

pub mod witnessed;

/// The first thing that is wrong with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} (segment {segment:020}.seg, byte {offset})")]
pub struct Fault {
    /// The segment, by the number in its name.
    pub segment: u64,
    /// Where the frame begins, in bytes from the start of the segment.
    pub offset: u64,
    /// The number of the entry that should stand there.
    pub seq: u64,
    /// What is wrong.
    #[source]
    pub what: What,
}

/// Why a log did not pass.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It could be read and is not in order.
    #[error("the log is not in order")]
    Fault(#[from] Fault),
    /// The segments are in order, and are not what the log has signed.
    #[error("{}", witness.as_ref().map_or_else(String::new, |path| format!("the witness in `{}` remembers another log: ", path.display())))]
    Contradicted {
        /// Whose memory shows it; `None`: the log's own.
        witness: Option<PathBuf>,
        /// What is wrong.
        #[source]
        contradiction: Contradiction,
    },
    /// No checkpoint of the log is believed by the policy.
    #[error("no checkpoint of the log is accepted by the policy")]
    NotAccepted(#[source] Option<NotAccepted>),
    /// It could not be read; whether it is in order is not known.
    #[error("can not read `{}`", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// What a log in order holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How many entries.
    pub n_entries: u64,
    /// How many segment files.
    pub n_segments: usize,
    /// When the first entry was written; absent in an empty log.
    pub first_ts: Option<Timestamp>,
    /// When the last entry was written; absent in an empty log.
    pub last_ts: Option<Timestamp>,
    /// SHA-256 of the last frame's payload: two logs with the same one are the same.
    pub last_hash: Digest,
    /// The root of the tree over all entries (RFC 6962), as checkpoints state it.
    pub root: Hash,
    /// Bytes at the end of a write that is under way, or was when the program ended.
    pub n_unfinished_bytes: u64,
}

/// Which signatures are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signatures {
    /// That of the last entry of each segment.
    Last,
    Every,
}

/// Checks every entry of the log in `dir`, signatures by way of the chain.
///
/// What passes was signed, in this order, by who holds the key. The key's holder alone could have put
/// an entry with a false signature before a good one; [`verify_every_signature`] finds that too.
///
/// # Errors
/// The first entry that is wrong, or that the log can not be read.
pub fn verify_dir(dir: &Path, key: &VerifyingKey, origin: &Origin) -> Result<Summary, VerifyError> {
    Ok(read_verified(dir, key, origin, &mut |_, _| Ok(()))?.0)
}

/// As [`verify_dir`]; gives each entry's number and canonical bytes to `each` on the way, and the tree over all of them. What `each`
/// was given is good only when all of it is.
///
/// # Errors
/// As [`verify_dir`], and when `each` fails.
pub fn read_verified(
    dir: &Path,
    key: &VerifyingKey,
    origin: &Origin,
    each: &mut EachEntry<'_>,
) -> Result<(Summary, TreeReader), VerifyError> {
    match walk(dir, key, origin, Signatures::Last, each) {
        // A changed entry breaks the link behind it; only its own signature names it.
        Err(VerifyError::Fault(fault)) => {
            walk(dir, key, origin, Signatures::Every, &mut |_, _| Ok(())).and(Err(fault.into()))
        }
        checked => checked,
    }
}

/// Is given an entry's number and its canonical bytes.
pub type EachEntry<'a> = dyn FnMut(u64, &[u8]) -> io::Result<()> + 'a;

/// Checks every entry of the log in `dir`, and each signature by itself (about 50 µs each).
///
/// # Errors
/// The first entry that is wrong, or that the log can not be read.
pub fn verify_every_signature(
    dir: &Path,
    key: &VerifyingKey,
    origin: &Origin,
) -> Result<Summary, VerifyError> {
    Ok(walk(dir, key, origin, Signatures::Every, &mut |_, _| Ok(()))?.0)
}

fn walk(
    dir: &Path,
    key: &VerifyingKey,
    origin: &Origin,
    signatures: Signatures,
    each: &mut EachEntry<'_>,
) -> Result<(Summary, TreeReader), VerifyError> {
    let scratch = |source| VerifyError::Io { path: std::env::temp_dir(), source };
    let mut tree = Tree::new(tempfile::tempfile().map_err(scratch)?);
    let segments = segments_of(dir)?;
    let mut chain = Chain::start(origin.clone(), *key);
    let mut summary = Summary {
        n_entries: 0,
        n_segments: segments.len(),
        first_ts: None,
        last_ts: None,
        last_hash: Digest::ZERO,
        root: TreeHead::EMPTY.root,
        n_unfinished_bytes: 0,
    };
    if segments.is_empty() {
        return Err(Fault { segment: 0, offset: 0, seq: 0, what: What::NoSegment }.into());
    }
    for (index, &segment) in segments.iter().enumerate() {
        let fault =
            |chain: &Chain, offset, what| Fault { segment, offset, seq: chain.next_seq(), what };
        if segment != chain.next_seq() {
            return Err(fault(&chain, 0, What::Segment { found: segment }).into());
        }
        let bytes = read(dir, segment)?;
        let mut frames = Frames::new(&bytes);
        let mut last = None;
        loop {
            let offset = frames.offset();
            match frames.step() {
                Step::Payload(payload) => {
                    if signatures == Signatures::Every {
                        chain.signed(payload).map_err(|what| fault(&chain, offset, what))?;
                    }
                    last = Some((payload, fault(&chain, offset, What::Signature)));
                    let not_an_entry = fault(&chain, offset, What::NotAnEntry);
                    let entry =
                        chain.accept(payload).map_err(|what| fault(&chain, offset, what))?;
                    let (json, _) = split(payload).ok_or(not_an_entry)?;
                    each(entry.seq, json).map_err(scratch)?;
                    tree.push(Hash::of_leaf(json)).map_err(scratch)?;
                    summary.n_entries += 1;
                    summary.first_ts = summary.first_ts.or(Some(entry.ts));
                    summary.last_ts = Some(entry.ts);
                }
                Step::End => break,
                Step::Broken(broken) => {
                    let is_last = index + 1 == segments.len();
                    if !is_last || broken.followed || broken.what != What::Incomplete {
                        return Err(fault(&chain, offset, broken.what).into());
                    }
                    summary.n_unfinished_bytes = broken.n_bytes;
                    break;
                }
            }
        }
        if let Some((payload, fault)) = last {
            chain.signed(payload).map_err(|what| Fault { what, ..fault })?;
        }
    }
    summary.last_hash = chain.prev_hash();
    let tree = tree.reader().map_err(scratch)?;
    summary.root = tree.head().root;
    Ok((summary, tree))
}

/// The entries of the log in `dir`, for reading; checksums are looked at, signatures are not.
///
/// # Errors
/// When the directory can not be read; later errors come as items, and end the walk.
pub fn entries(dir: &Path) -> Result<Entries, VerifyError> {
    let segments = segments_of(dir)?;
    Ok(Entries {
        dir: dir.to_owned(),
        segments: segments.into_iter(),
        read: Vec::new().into_iter(),
    })
}

/// See [`entries`].
#[derive(Debug)]
pub struct Entries {
    dir: PathBuf,
    segments: std::vec::IntoIter<u64>,
    /// What is left of the segment at hand, and the error that ended it, if any.
    read: std::vec::IntoIter<Result<Entry, Fault>>,
}

impl Iterator for Entries {
    type Item = Result<Entry, VerifyError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.read.next() {
                if item.is_err() {
                    self.segments = Vec::new().into_iter();
                }
                return Some(item.map_err(VerifyError::Fault));
            }
            let segment = self.segments.next()?;
            let is_last = self.segments.len() == 0;
            match read(&self.dir, segment) {
                Ok(bytes) => self.read = parse(segment, &bytes, is_last).into_iter(),
                Err(error) => {
                    self.segments = Vec::new().into_iter();
                    return Some(Err(error));
                }
            }
        }
    }
}

fn parse(segment: u64, bytes: &[u8], is_last: bool) -> Vec<Result<Entry, Fault>> {
    let mut frames = Frames::new(bytes);
    let mut entries = Vec::new();
    let mut seq = segment;
    loop {
        let offset = frames.offset();
        let what = match frames.step() {
            Step::Payload(payload) => {
                match split(payload).and_then(|(json, _)| Entry::decode(json).ok()) {
                    Some(entry) => {
                        entries.push(Ok(entry));
                        seq += 1;
                        continue;
                    }
                    None => What::NotAnEntry,
                }
            }
            Step::End => return entries,
            Step::Broken(broken)
                if is_last && !broken.followed && broken.what == What::Incomplete =>
            {
                return entries;
            }
            Step::Broken(broken) => broken.what,
        };
        entries.push(Err(Fault { segment, offset, seq, what }));
        return entries;
    }
}

fn segments_of(dir: &Path) -> Result<Vec<u64>, VerifyError> {
    list_segments(dir).map_err(|source| VerifyError::Io { path: dir.to_owned(), source })
}

fn read(dir: &Path, segment: u64) -> Result<Vec<u8>, VerifyError> {
    let path = segment_path(dir, segment);
    fs::read(&path).map_err(|source| VerifyError::Io { path, source })
}

#[cfg(test)]
mod tests;
