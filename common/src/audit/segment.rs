//! What each frame of a segment says by itself, found out on every core: reading JSON, hashing and looking at signatures
//! need no other frame. Whether the frames are a log is for [`Chain`](super::chain::Chain) to say, in their order.

use std::thread;

use super::{
    chain::{Terms, What},
    entry::{Digest, scan::outline},
    frame::{self, Broken, Frames, Step},
};
use crate::{time::Timestamp, tlog::Hash};

/// Frames that are looked at together.
const BLOCK: usize = 4096;

/// Threads, at most; a disk does not feed more.
const MAX_THREADS: usize = 8;

/// Which signatures are looked at here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signatures {
    /// None.
    Later,
    /// Each.
    Every,
}

/// Who vouches for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seal {
    /// The next entry that is signed, by way of the chain: it is not the last of its write.
    Next,
    /// Its own signature, which nobody has looked at.
    Unseen,
    /// Its own signature, which is good.
    Good,
    /// A signature that does not verify.
    Bad,
}

/// One frame.
#[derive(Debug)]
pub(crate) struct Link<'a> {
    /// Where it begins, in bytes from the start of the segment.
    pub(crate) offset: u64,
    pub(crate) payload: &'a [u8],
    /// The entry's canonical bytes.
    pub(crate) json: &'a [u8],
    /// The leaf of the log's tree that the entry is: the hash of its canonical JSON, without the signature, so that whoever has
    /// the entry can compute it.
    pub(crate) leaf: Hash,
    pub(crate) seal: Seal,
    /// What matters of the entry to the chain; otherwise what is wrong.
    pub(crate) told: Result<Told, What>,
}

/// What an entry says of its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) seq: u64,
    pub(crate) prev_hash: Digest,
    pub(crate) ts: Timestamp,
    /// Whether it is an entry of the party whose log it is.
    pub(crate) is_ours: bool,
    /// Of the payload: what the next entry has to name.
    pub(crate) hash: Digest,
}

impl<'a> Link<'a> {
    pub(crate) fn of(offset: u64, payload: &'a [u8], terms: &Terms, look: Signatures) -> Self {
        let Some((json, signature)) = frame::split(payload) else {
            let told = Err(What::NotAnEntry);
            return Self {
                offset,
                payload,
                json: &[],
                leaf: Hash::of_leaf(&[]),
                seal: Seal::Unseen,
                told,
            };
        };
        let seal = match look {
            _ if *signature == frame::NOT_SIGNED => Seal::Next,
            Signatures::Later => Seal::Unseen,
            Signatures::Every if terms.signed(payload).is_ok() => Seal::Good,
            Signatures::Every => Seal::Bad,
        };
        let told = outline(json).map_err(|_| What::NotAnEntry).map(|entry| Told {
            seq: entry.seq,
            prev_hash: entry.prev_hash,
            ts: entry.ts,
            is_ours: entry.node == terms.origin().party().as_str(),
            hash: Digest::of(payload),
        });
        Self { offset, payload, json, leaf: Hash::of_leaf(json), seal, told }
    }

    /// Whether it has a signature of its own.
    pub(crate) const fn is_signed(&self) -> bool {
        !matches!(self.seal, Seal::Next)
    }

    /// Where the frame ends.
    pub(crate) const fn end(&self) -> u64 {
        self.offset + (frame::HEADER_BYTES + self.payload.len()) as u64
    }
}

/// Walks the links of one segment, held in memory.
#[derive(Debug)]
pub(crate) struct Links<'a> {
    frames: Frames<'a>,
    terms: &'a Terms,
    look: Signatures,
    n_threads: usize,
    broken: Option<Broken>,
}

impl<'a> Links<'a> {
    pub(crate) fn new(segment: &'a [u8], terms: &'a Terms, look: Signatures) -> Self {
        let n_cores = thread::available_parallelism().map_or(1, usize::from);
        let n_threads = n_cores.min(MAX_THREADS);
        Self { frames: Frames::new(segment), terms, look, n_threads, broken: None }
    }

    /// The next links; none when there is no further whole frame.
    pub(crate) fn block(&mut self) -> Vec<Link<'a>> {
        let mut payloads = Vec::with_capacity(BLOCK);
        while payloads.len() < BLOCK && self.broken.is_none() {
            let offset = self.frames.offset();
            match self.frames.step() {
                Step::Payload(payload) => payloads.push((offset, payload)),
                Step::End => break,
                Step::Broken(broken) => self.broken = Some(broken),
            }
        }
        let Self { terms, look, n_threads, .. } = *self;
        let links = |part: &[(u64, &'a [u8])]| -> Vec<Link<'a>> {
            part.iter().map(|(offset, payload)| Link::of(*offset, payload, terms, look)).collect()
        };
        let part = payloads.len().div_ceil(n_threads).max(64);
        let mut parts = payloads.chunks(part);
        let Some(first) = parts.next() else { return Vec::new() };
        thread::scope(|scope| {
            let others: Vec<_> =
                parts.map(|part| (part, scope.spawn(move || links(part)))).collect();
            let mut all = links(first);
            for (part, thread) in others {
                // A thread that ended without a result leaves the work to this one.
                all.append(&mut thread.join().unwrap_or_else(|_| links(part)));
            }
            all
        })
    }

    /// Where the whole frames end, and what stands there other than the segment's end. Told when there are no more links.
    pub(crate) const fn end(&self) -> (u64, Option<Broken>) {
        (self.frames.offset(), self.broken)
    }
}

/// Whether what stands at `offset` is what the log has signed, and the entry before it is not: from there the chain leads, link
/// by link, to a signature that is good.
pub(crate) fn leads_to_a_signature(segment: &[u8], offset: u64, terms: &Terms) -> bool {
    let from = usize::try_from(offset).ok().and_then(|offset| segment.get(offset..));
    let mut frames = Frames::new(from.unwrap_or_default());
    let mut due: Option<Digest> = None;
    while let Step::Payload(payload) = frames.step() {
        let link = Link::of(0, payload, terms, Signatures::Every);
        let Ok(told) = link.told else { return false };
        if due.is_some_and(|due| due != told.prev_hash) {
            return false;
        }
        match link.seal {
            Seal::Next => due = Some(told.hash),
            seal => return seal == Seal::Good,
        }
    }
    false
}
