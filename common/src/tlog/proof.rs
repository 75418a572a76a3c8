//! Receipts: one entry's place in a log, checkable by anybody who has the entry and a policy (C2SP tlog-proof).

use super::{
    checkpoint::{CheckpointNote, Cosignature, MAX_NOTE_BYTES},
    policy::{NotAccepted, Policy},
    tree::{Hash, MAX_PROOF_HASHES, NotProven},
};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// The longest receipt, in bytes: its hashes, and a checkpoint.
pub const MAX_PROOF_BYTES: usize = 4096 + MAX_NOTE_BYTES;

/// The place of an entry in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The entry's number.
    pub index: u64,
    /// From the leaf's sibling up to below the root.
    pub hashes: Vec<Hash>,
    /// A checkpoint of the log at a size above `index`.
    pub checkpoint: CheckpointNote,
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not a receipt, or not in its one way of being written.
    #[error(
        "not a receipt: expected `{FIRST_LINE}`, the index, hashes, a blank line and a checkpoint"
    )]
    Malformed,
    /// The checkpoint is not believed.
    #[error("the checkpoint is not accepted")]
    Checkpoint(#[source] NotAccepted),
    /// The entry is not at this place.
    #[error("the entry is not at this place of the log")]
    Entry(#[source] NotProven),
}

impl Proof {
    /// Reads a receipt. Nothing is verified. A line `extra`, which nothing vouches for, is refused.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > MAX_PROOF_BYTES {
            return Err(ProofError::Malformed);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ProofError::Malformed)?;
        let (head, note) = text.split_once("\n\n").ok_or(ProofError::Malformed)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(ProofError::Malformed);
        }
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.ok_or(ProofError::Malformed)?;
        let index: u64 = match index.parse() {
            Ok(number) if format!("{number}") == index => number,
            _ => return Err(ProofError::Malformed),
        };
        let hashes: Result<Vec<Hash>, _> = lines.map(str::parse).collect();
        let hashes = hashes.map_err(|_| ProofError::Malformed)?;
        if hashes.len() > MAX_PROOF_HASHES {
            return Err(ProofError::Malformed);
        }
        let checkpoint =
            CheckpointNote::parse(note.as_bytes()).map_err(|_| ProofError::Malformed)?;
        Ok(Self { index, hashes, checkpoint })
    }

    /// The receipt's text.
    ///
    /// # Errors
    /// When the checkpoint has become too long to be written.
    pub fn to_text(&self) -> Result<String, ProofError> {
        let mut text = format!("{FIRST_LINE}\nindex {}\n", self.index);
        for hash in &self.hashes {
            text.push_str(&format!("{hash}\n"));
        }
        text.push('\n');
        let note = self.checkpoint.to_bytes().map_err(|_| ProofError::Malformed)?;
        text.push_str(std::str::from_utf8(&note).map_err(|_| ProofError::Malformed)?);
        Ok(text)
    }

    /// Whether the entry stands at its place in a log that the policy accepts: whose cosignatures say so.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(&self, entry: &[u8], policy: &Policy) -> Result<Vec<Cosignature>, ProofError> {
        let seen = policy.accept(&self.checkpoint).map_err(ProofError::Checkpoint)?;
        let head = self.checkpoint.checkpoint().head;
        head.check_inclusion(self.index, Hash::of_leaf(entry), &self.hashes)
            .map_err(ProofError::Entry)?;
        Ok(seen)
    }
}

#[cfg(test)]
mod tests;
