//! Checking a log from its bytes alone: no running program, no network, nothing written.
//!
//! Every checksum, number and link of the chain is looked at, and the first entry that is wrong is
//! named. The chain covers each frame with its signature, so the signature of the last entry vouches
//! for all before it; a signature costs fifty times a hash. When anything is wrong, or when
//! [`verify_every_signature`] is asked for, each signature is looked at. One segment is in memory at a
//! time, and every core looks at a part of it.
//!
//! A log may be checked while it is written. Bytes that end within a frame, at the very end, and entries there that no signature
//! vouches for yet, are then a write that is under way: they are counted, not blamed ([`Summary::n_unfinished_bytes`]).
//!
//! Not found in the segments alone: whole entries cut from the end, or everything written anew by the holder of the key. What the log
//! has signed before shows both, as far as witnesses have it: see [`witnessed`].

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    chain::{Chain, Origin, Terms, What},
    checkpoints::Contradiction,
    entry::{Digest, Entry},
    frame::{Frames, NOT_SIGNED, Step, split},
    segment::{Link, Links, Seal, Signatures, leads_to_a_signature},
    storage::{list_segments, segment_path},
};
use crate::{
    keys::VerifyingKey,
    time::Timestamp,
    tlog::{Hash, Tree, TreeReader, policy::NotAccepted},
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
    /// How many entries, from the first, a good signature vouches for. Those between them and `seq` are of the same write; they
    /// read well, but the signature that vouches for them is not to be had. Nought when the log was only read, not verified.
    pub n_vouched: u64,
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
    match walk(dir, key, origin, Signatures::Later, each) {
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
    let tree = Tree::new(tempfile::tempfile().map_err(scratch)?);
    let segments = segments_of(dir)?;
    let terms = Terms::new(origin.clone(), *key);
    if segments.is_empty() {
        let what = What::NoSegment;
        return Err(Fault { segment: 0, offset: 0, seq: 0, n_vouched: 0, what }.into());
    }
    let mut walk = Walk { chain: Chain::START, vouched: Chain::START, tree, times: None, each };
    let mut n_unfinished_bytes = 0;
    // One for all segments: fresh memory for each costs as much as reading it.
    let mut bytes = Vec::new();
    for (index, &segment) in segments.iter().enumerate() {
        if segment != walk.chain.next_seq {
            return Err(walk.fault(segment, 0, What::Segment { found: segment }).into());
        }
        read_into(&mut bytes, dir, segment)?;
        if let Some(next) = segments.get(index + 1) {
            read_ahead(dir, *next);
        }
        let mut links = Links::new(&bytes, &terms, signatures);
        let mut pending = Vec::new();
        let (mut vouched_bytes, mut last) = (0, None);
        loop {
            let block = links.block();
            if block.is_empty() {
                break;
            }
            for link in block {
                let offset = link.offset;
                if let Err(what) = walk.accept(&link) {
                    let before: Option<&Link<'_>> = pending.last();
                    return Err(match before {
                        // One of the two was changed. What signatures vouch for shows which.
                        Some(before)
                            if what == What::PrevHash
                                && leads_to_a_signature(&bytes, offset, &terms) =>
                        {
                            let seq = walk.chain.next_seq - 1;
                            let fault = walk.fault(segment, before.offset, What::Altered);
                            Fault { seq, ..fault }
                        }
                        _ => walk.fault(segment, offset, what),
                    }
                    .into());
                }
                let (is_signed, end) = (link.is_signed(), link.end());
                if is_signed {
                    let fault = walk.fault(segment, offset, What::Signature);
                    let seq = walk.chain.next_seq - 1;
                    last = Some((link.payload, Fault { seq, ..fault }));
                }
                pending.push(link);
                if is_signed {
                    walk.vouch(&mut pending).map_err(scratch)?;
                    vouched_bytes = end;
                }
            }
        }
        let is_last = index + 1 == segments.len();
        let (offset, broken) = links.end();
        if let Some(broken) = broken
            && (!is_last || broken.followed || broken.what != What::Incomplete)
        {
            return Err(walk.fault(segment, offset, broken.what).into());
        }
        if let Some((payload, fault)) = last {
            terms.signed(payload).map_err(|what| Fault { what, ..fault })?;
        }
        if is_last {
            n_unfinished_bytes = (bytes.len() as u64).saturating_sub(vouched_bytes);
        } else if !pending.is_empty() && segments.get(index + 1) == Some(&walk.chain.next_seq) {
            let seq = walk.vouched.next_seq;
            let fault = walk.fault(segment, vouched_bytes, What::NotSigned);
            return Err(Fault { seq, ..fault }.into());
        }
    }
    let Walk { vouched, mut tree, times, .. } = walk;
    let tree = tree.reader().map_err(scratch)?;
    let summary = Summary {
        n_entries: vouched.next_seq,
        n_segments: segments.len(),
        first_ts: times.map(|(first, _)| first),
        last_ts: times.map(|(_, last)| last),
        last_hash: vouched.prev_hash,
        root: tree.head().root,
        n_unfinished_bytes,
    };
    Ok((summary, tree))
}

/// A log that is walked through.
struct Walk<'a, 'each> {
    /// Up to the last entry that was read.
    chain: Chain,
    /// Up to the last entry that is signed.
    vouched: Chain,
    /// Over the same entries as `vouched`, and no others.
    tree: Tree,
    /// Of the first and the last of them.
    times: Option<(Timestamp, Timestamp)>,
    each: &'a mut EachEntry<'each>,
}

impl Walk<'_, '_> {
    /// What is wrong with the next entry, at `offset` of a segment.
    const fn fault(&self, segment: u64, offset: u64, what: What) -> Fault {
        let (seq, n_vouched) = (self.chain.next_seq, self.vouched.next_seq);
        Fault { segment, offset, seq, n_vouched, what }
    }

    fn accept(&mut self, link: &Link<'_>) -> Result<(), What> {
        // First, so that a changed entry is named, and not the one behind it.
        if link.seal == Seal::Bad {
            return Err(What::Signature);
        }
        self.chain.accept(link.told).map(drop)
    }

    /// Takes in the entries that the last of them vouches for.
    fn vouch(&mut self, links: &mut Vec<Link<'_>>) -> io::Result<()> {
        for link in links.drain(..) {
            // None that is wrong has been accepted.
            let Ok(told) = link.told else { continue };
            (self.each)(told.seq, link.json)?;
            self.tree.push(link.leaf)?;
            self.times = Some((self.times.map_or(told.ts, |(first, _)| first), told.ts));
        }
        self.vouched = self.chain;
        Ok(())
    }
}

fn scratch(source: io::Error) -> VerifyError {
    VerifyError::Io { path: std::env::temp_dir(), source }
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
    let (mut seq, mut n_signed) = (segment, 0);
    loop {
        let offset = frames.offset();
        let what = match frames.step() {
            Step::Payload(payload) => {
                let parts = split(payload);
                match parts.and_then(|(json, _)| Entry::decode(json).ok()) {
                    Some(entry) => {
                        entries.push(Ok(entry));
                        seq += 1;
                        if parts.is_some_and(|(_, signature)| *signature != NOT_SIGNED) {
                            n_signed = entries.len();
                        }
                        continue;
                    }
                    None => What::NotAnEntry,
                }
            }
            Step::End => {
                if is_last {
                    entries.truncate(n_signed);
                }
                return entries;
            }
            Step::Broken(broken)
                if is_last && !broken.followed && broken.what == What::Incomplete =>
            {
                entries.truncate(n_signed);
                return entries;
            }
            Step::Broken(broken) => broken.what,
        };
        entries.push(Err(Fault { segment, offset, seq, n_vouched: 0, what }));
        return entries;
    }
}

fn segments_of(dir: &Path) -> Result<Vec<u64>, VerifyError> {
    list_segments(dir).map_err(|source| VerifyError::Io { path: dir.to_owned(), source })
}

fn read(dir: &Path, segment: u64) -> Result<Vec<u8>, VerifyError> {
    let mut bytes = Vec::new();
    read_into(&mut bytes, dir, segment)?;
    Ok(bytes)
}

fn read_into(bytes: &mut Vec<u8>, dir: &Path, segment: u64) -> Result<(), VerifyError> {
    let path = segment_path(dir, segment);
    bytes.clear();
    let read = File::open(&path).and_then(|mut file| file.read_to_end(bytes));
    read.map(drop).map_err(|source| VerifyError::Io { path, source })
}

/// Has the system fetch a segment from the disk while the one before is looked at. It may decline.
fn read_ahead(dir: &Path, segment: u64) {
    if let Ok(file) = File::open(segment_path(dir, segment)) {
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::WillNeed);
    }
}

#[cfg(test)]
mod tests;
