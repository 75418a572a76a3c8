//! A node's answer to a query: which keys hit which candidate, in a constant size.
//!
//! Always [`CANDIDATES`] candidates, each a random handle and a proof for each slot; random bytes wherever there is
//! nothing to prove. Hit and miss take the same path: as many look-ups, reads and proofs. Whoever lacks the secret halves
//! (everybody but the hub) can not tell an answer that hits from one that does not.

use std::{collections::BTreeMap, fmt};

use rand_core::{CryptoRng, RngCore};

use super::{
    index::{IndexFailure, TokenIndex},
    keys::QUERY_SLOTS,
    token::{Handle, HitProof, Tag, prove_hit},
};
use crate::id::RequestId;

/// Candidates in an answer, filler included.
pub const CANDIDATES: usize = 4;
/// Length of an answer on the wire: for each candidate a handle and a proof for each slot.
pub const ANSWER_BYTES: usize = CANDIDATES * CANDIDATE_BYTES;

const CANDIDATE_BYTES: usize = 16 + 16 * QUERY_SLOTS;

/// An answer of another length than [`ANSWER_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an answer to a query has {ANSWER_BYTES} bytes, found {0}")]
pub struct BadAnswer(pub usize);

/// One candidate as it travels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ScreenCandidate {
    /// Random; means something only together with the node's [`Candidate`] list.
    pub handle: Handle,
    /// Proof for each slot; random where the slot does not hit.
    pub proofs: [HitProof; QUERY_SLOTS],
}

/// What the node sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ScreenAnswer {
    /// The candidates, those with the most hits first, filler behind.
    pub candidates: [ScreenCandidate; CANDIDATES],
}

impl ScreenAnswer {
    /// The bytes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ANSWER_BYTES);
        for candidate in &self.candidates {
            bytes.extend_from_slice(&candidate.handle);
            bytes.extend_from_slice(candidate.proofs.as_flattened());
        }
        bytes
    }

    /// Reads the bytes on the wire; every content of the right length is an answer.
    ///
    /// # Errors
    /// When the length is another.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadAnswer> {
        if bytes.len() != ANSWER_BYTES {
            return Err(BadAnswer(bytes.len()));
        }
        let empty = ScreenCandidate { handle: [0; 16], proofs: [[0; 16]; QUERY_SLOTS] };
        let mut answer = Self { candidates: [empty; CANDIDATES] };
        let parts = bytes.chunks_exact(CANDIDATE_BYTES);
        for (candidate, part) in answer.candidates.iter_mut().zip(parts) {
            let fields = std::iter::once(&mut candidate.handle).chain(&mut candidate.proofs);
            for (field, bytes) in fields.zip(part.chunks_exact(16)) {
                field.copy_from_slice(bytes);
            }
        }
        Ok(answer)
    }
}

impl fmt::Debug for ScreenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScreenAnswer([{ANSWER_BYTES} bytes])")
    }
}

impl fmt::Debug for ScreenCandidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScreenCandidate([opaque])")
    }
}

/// A candidate as the node keeps it, to know whom a later `Rate` is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The handle in the answer.
    pub handle: Handle,
    /// The node's own number of the record.
    pub record: u64,
    /// Slots that hit, 1 to [`QUERY_SLOTS`].
    pub n_hits: usize,
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Candidate([personal])")
    }
}

/// Answers a query from the index; also gives what the node keeps: the real candidates, those with the most hits first.
///
/// # Errors
/// When the index can not be read; then there is no answer, which is not the answer that nobody is known.
pub fn screen<R: RngCore + CryptoRng>(
    index: &TokenIndex,
    query: &RequestId,
    tags: &[Tag; QUERY_SLOTS],
    rng: &mut R,
) -> Result<(ScreenAnswer, Vec<Candidate>), IndexFailure> {
    let mut records: BTreeMap<u64, [Option<[u8; 16]>; QUERY_SLOTS]> = BTreeMap::new();
    for (slot, tag) in tags.iter().enumerate() {
        for (secret, record) in index.lookup(tag)? {
            let hits = records.entry(record).or_insert([None; QUERY_SLOTS]);
            if let Some(hit) = hits.get_mut(slot) {
                *hit = Some(secret);
            }
        }
    }
    let mut ranked: Vec<_> = records.into_iter().collect();
    ranked
        .sort_by_key(|(record, hits)| (std::cmp::Reverse(hits.iter().flatten().count()), *record));

    let mut kept = Vec::new();
    let candidates = std::array::from_fn(|place| {
        let found = ranked.get(place);
        let handle = random(rng);
        let mut proofs = [[0; 16]; QUERY_SLOTS];
        for ((slot, proof), place) in (0..).zip(&mut proofs).zip(0..) {
            let hit = found.and_then(|(_, hits)| hits.get::<usize>(place).copied().flatten());
            // A filler is a proof under a secret that nobody has: the same work, and as random.
            let filler = random(rng);
            *proof = prove_hit(&hit.unwrap_or(filler), query, slot, &handle);
        }
        if let Some((record, hits)) = found {
            let n_hits = hits.iter().flatten().count();
            kept.push(Candidate { handle, record: *record, n_hits });
        }
        ScreenCandidate { handle, proofs }
    });
    Ok((ScreenAnswer { candidates }, kept))
}

fn random<R: RngCore + CryptoRng>(rng: &mut R) -> [u8; 16] {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rand_core::OsRng;

    use super::*;
    use crate::{
        matching::{
            index::{Entry, write_index},
            token::{Epoch, Output, verify_hit},
        },
        secret::SecretBytes,
    };

    fn index(folder: &Path, tokens: &[(u8, u64)]) -> TokenIndex {
        let entry = |&(tag, record): &(u8, u64)| {
            Entry::new(&Output { tag: [tag; 16], secret: SecretBytes::new([tag; 16]) }, record)
        };
        let path = folder.join("tokens");
        write_index(&path, Epoch(1), tokens.iter().map(entry)).unwrap();
        TokenIndex::open(&path).unwrap()
    }

    fn tags() -> [Tag; QUERY_SLOTS] {
        std::array::from_fn(|slot| [u8::try_from(slot).unwrap() + 100; 16])
    }

    fn query() -> RequestId {
        RequestId::from_random([1; 16])
    }

    #[test]
    fn an_answer_of_another_length_is_refused() {
        for length in [0, ANSWER_BYTES - 1, ANSWER_BYTES + 1] {
            assert_eq!(ScreenAnswer::from_bytes(&vec![0; length]), Err(BadAnswer(length)));
        }
    }

    #[test]
    fn a_miss_answers_in_the_same_size_with_nothing_that_verifies() {
        let folder = tempfile::tempdir().unwrap();
        let index = index(folder.path(), &[(1, 10), (2, 20)]);
        let (answer, kept) = screen(&index, &query(), &tags(), &mut OsRng).unwrap();
        assert!(kept.is_empty());
        assert_eq!(answer.to_bytes().len(), ANSWER_BYTES);
        let (again, _) = screen(&index, &query(), &tags(), &mut OsRng).unwrap();
        for (one, other) in answer.candidates.iter().zip(&again.candidates) {
            assert_ne!(one.handle, other.handle);
            assert!(one.proofs.iter().zip(&other.proofs).all(|(a, b)| a != b));
        }
    }

    #[test]
    fn only_slots_that_hit_verify_and_the_best_candidate_is_first() {
        let folder = tempfile::tempdir().unwrap();
        let index =
            index(folder.path(), &[(100, 5), (101, 5), (101, 6), (103, 7), (104, 8), (105, 9)]);
        let (answer, kept) = screen(&index, &query(), &tags(), &mut OsRng).unwrap();
        assert_eq!(
            kept.iter().map(|c| (c.record, c.n_hits)).collect::<Vec<_>>(),
            [(5, 2), (6, 1), (7, 1), (8, 1)]
        );
        let answer = ScreenAnswer::from_bytes(&answer.to_bytes()).unwrap();
        let verified: Vec<u8> = (0..18)
            .filter(|slot| {
                let secret = SecretBytes::new([slot + 100; 16]);
                let first = &answer.candidates[0];
                verify_hit(
                    &secret,
                    &query(),
                    *slot,
                    &first.handle,
                    &first.proofs[usize::from(*slot)],
                )
            })
            .collect();
        assert_eq!(verified, [0, 1]);
        assert_eq!(answer.candidates[0].handle, kept[0].handle);
    }
}
