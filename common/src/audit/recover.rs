//! Reading a log back from the disk, before the first entry is written and after every error.
//!
//! Checksums, numbers and the chain are checked for every entry, the signature for the last that has one: the
//! chain covers each frame with its signature, so one good signature at the end vouches for all
//! before it. Whole entries behind it are the beginning of a write that was torn, and are cut as a torn frame is. The auditor's
//! check is [`verify`](super::verify).
//!
//! What this can not know: a program that starts after another was killed believes what the kernel
//! shows. Had the disk failed under the first one, and the power then failed under the second, the
//! entries it adopted could be missing; the log then refuses to open, and nothing is passed over.

use std::io;

use super::{
    chain::{Chain, Terms, What},
    entry::{Action, Digest, Entry},
    frame,
    segment::{Links, Signatures},
    storage::Storage,
    verify::Fault,
};
use crate::{time::Timestamp, tlog::Tree};

/// Where the next entry goes. All before it is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) next_seq: u64,
    pub(crate) prev_hash: Digest,
    /// The segment that is appended to, by its first number.
    pub(crate) segment: u64,
    pub(crate) segment_bytes: u64,
}

/// Why a log can not be continued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRecovered {
    #[error("the disk does not answer")]
    Io(#[from] io::Error),
    #[error("the log is damaged")]
    Damaged(#[from] Fault),
}

/// A log that can be continued.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) position: Position,
    /// The tree over all entries before it, hashed anew.
    pub(crate) tree: Tree,
    /// When the first entry was written.
    pub(crate) began: Option<Timestamp>,
    /// Whether the last entry says that the shard ends with it.
    pub(crate) is_closed: bool,
    /// Bytes of a torn write that were cut from the end; nothing of it was ever acknowledged.
    pub(crate) n_cut_bytes: u64,
}

/// Reads the log, cuts what a torn write left, and makes the rest durable.
///
/// With `floor`, the place up to which this very process has acknowledged entries, everything
/// behind it is cut: after a failed sync the kernel shows bytes that may not be on the disk, so what
/// reads well behind that place proves nothing. Everything before it must be there.
pub(crate) fn recover(
    storage: &mut dyn Storage,
    terms: &Terms,
    floor: Option<&Position>,
) -> Result<Recovered, NotRecovered> {
    let segments = storage.segments()?;
    let mut tree = Tree::new(storage.scratch()?);
    let walked = walk(storage, terms, &segments, floor, &mut tree)?;
    match walked.end {
        Some(position) => storage.resume(position.segment, position.segment_bytes)?,
        None => storage.create(0)?,
    }
    // Order matters: the file before the directory, so that no name stands for lost bytes.
    storage.sync()?;
    storage.sync_dir()?;
    let Chain { next_seq, prev_hash } = Chain::START;
    let empty = Position { next_seq, prev_hash, segment: 0, segment_bytes: 0 };
    let Walked { end, began, is_closed, n_cut_bytes } = walked;
    Ok(Recovered { position: end.unwrap_or(empty), tree, began, is_closed, n_cut_bytes })
}

/// What the segments hold.
#[derive(Debug, Default)]
struct Walked {
    /// `None` when there is no segment yet.
    end: Option<Position>,
    began: Option<Timestamp>,
    is_closed: bool,
    /// What is to be cut behind the end.
    n_cut_bytes: u64,
}

fn walk(
    storage: &mut dyn Storage,
    terms: &Terms,
    segments: &[u64],
    floor: Option<&Position>,
    tree: &mut Tree,
) -> Result<Walked, NotRecovered> {
    let must_reach = floor.map_or(0, |floor| floor.next_seq);
    let reached_floor = |chain: &Chain| floor.is_some() && chain.next_seq == must_reach;
    let mut chain = Chain::START;
    let mut walked = Walked::default();
    let mut last_signed = Ok(());
    for (index, &segment) in segments.iter().enumerate() {
        let fault = |chain: &Chain, offset, what| Fault {
            segment,
            offset,
            seq: chain.next_seq,
            n_vouched: 0,
            what,
        };
        if segment != chain.next_seq {
            return Err(fault(&chain, 0, What::Segment { found: segment }).into());
        }
        let bytes = storage.read(segment)?;
        let mut links = Links::new(&bytes, terms, Signatures::Later);
        // Up to where a signature reaches, and the leaves behind it.
        let (mut sure, mut sure_bytes, mut last, mut leaves) = (chain, 0, None, Vec::new());
        'segment: loop {
            let block = links.block();
            if block.is_empty() {
                break;
            }
            for link in block {
                if reached_floor(&chain) {
                    break 'segment;
                }
                let seq = chain.next_seq;
                let ts = link.told.as_ref().ok().map(|told| told.ts);
                chain.accept(link.told).map_err(|what| fault(&chain, link.offset, what))?;
                walked.began = walked.began.or(ts);
                leaves.push(link.leaf);
                if link.is_signed() {
                    leaves.drain(..).try_for_each(|leaf| tree.push(leaf))?;
                    (sure, sure_bytes) = (chain, link.end());
                    last = Some((link.payload, link.offset, seq));
                }
            }
        }
        // INVARIANT: only the last write can be torn, and only before it was acknowledged.
        let is_last = index + 1 == segments.len();
        let (offset, broken) = links.end();
        if let Some(broken) = broken
            && !reached_floor(&chain)
            && (!is_last || broken.followed || chain.next_seq < must_reach)
        {
            return Err(fault(&chain, offset, broken.what).into());
        }
        if !leaves.is_empty() && !is_last {
            return Err(fault(&sure, sure_bytes, What::NotSigned).into());
        }
        chain = sure;
        walked.n_cut_bytes += (bytes.len() as u64).saturating_sub(sure_bytes);
        if let Some((payload, offset, seq)) = last {
            walked.is_closed = frame::split(payload).is_some_and(|(json, _)| closes(json));
            let bad = |what| Fault { segment, offset, seq, n_vouched: 0, what };
            last_signed = terms.signed(payload).map_err(bad);
        }
        let Chain { next_seq, prev_hash } = chain;
        walked.end = Some(Position { next_seq, prev_hash, segment, segment_bytes: sure_bytes });
    }
    last_signed?;
    if let Some(floor) = floor
        && (chain.next_seq, chain.prev_hash) != (floor.next_seq, floor.prev_hash)
    {
        let seq = chain.next_seq;
        let segment = segments.last().copied().unwrap_or(0);
        let what = if seq < must_reach { What::NoSegment } else { What::PrevHash };
        return Err(Fault { segment, offset: 0, seq, n_vouched: 0, what }.into());
    }
    Ok(walked)
}

/// Whether an entry says that its shard ends with it.
fn closes(json: &[u8]) -> bool {
    Entry::decode(json).is_ok_and(|entry| entry.action == Action::ShardClosed)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::audit::{
        fixtures::{body, identity, key, origin, write_log},
        storage::{FileStorage, segment_path},
        writer::Writer,
    };

    /// A writer behind four acknowledged entries in two segments.
    fn writer(dir: &std::path::Path) -> Writer {
        write_log(dir, 2, 1 << 20);
        let storage = FileStorage::open(dir, &origin(), &key().verifying_key()).unwrap();
        let (mut writer, n_cut_bytes) = Writer::open(identity(1), Box::new(storage)).unwrap();
        assert_eq!(n_cut_bytes, 0);
        writer.record(&[body(2), body(3)]).unwrap();
        writer
    }

    #[test]
    fn a_log_that_lost_acknowledged_entries_is_not_continued() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(dir.path());
        let last = segment_path(dir.path(), 2);
        let whole = fs::read(&last).unwrap();
        for found in [&whole[..0], &whole[..whole.len() - 1], &whole[..whole.len() / 2]] {
            fs::write(&last, found).unwrap();
            assert!(matches!(writer.reopen(), Err(NotRecovered::Damaged(_))));
        }
        fs::remove_file(&last).unwrap();
        assert!(matches!(writer.reopen(), Err(NotRecovered::Damaged(_))));
        fs::write(&last, whole).unwrap();
        writer.reopen().unwrap();
    }
}
