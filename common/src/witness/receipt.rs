//! Receipts: the other side of an exchange shows that its log has the entry of it, before its answer is used.
//!
//! A receipt is the entry, its place in the other side's log, and a checkpoint that the log has signed: whoever holds one can show that
//! the log promised this entry, whatever it shows later. Kept as
//!
//! ```text
//! receipt <exchange> <entry>
//! <C2SP tlog-proof>
//! ```
//!
//! where the entry is its canonical JSON, or, when it is too long to be kept, the base64 of its leaf's hash.

use std::{io, path::Path};

use super::journal::{self, Item};
use crate::{
    id::RequestId,
    tlog::{
        Hash,
        proof::{MAX_PROOF_BYTES, Proof},
    },
};

/// How a receipt begins. No checkpoint does: an origin has no space.
const BEGIN: &[u8] = b"receipt ";
/// The longest entry that is kept with its receipt, in bytes.
const MAX_KEPT_ENTRY_BYTES: usize = 32 * 1024;
const _: () = assert!(
    MAX_KEPT_ENTRY_BYTES + MAX_PROOF_BYTES + 256 < crate::audit::frame::MAX_PAYLOAD_BYTES,
    "a receipt fits into a frame"
);

/// What a log has promised to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The exchange.
    pub exchange: RequestId,
    /// The entry's canonical bytes; `None` when it was too long to be kept.
    pub entry: Option<Box<[u8]>>,
    /// The hash of its leaf.
    pub leaf: Hash,
    /// Where it stands, in which log.
    pub proof: Proof,
}

impl Receipt {
    /// The receipt of an entry.
    #[must_use]
    pub fn new(exchange: RequestId, entry: &[u8], proof: Proof) -> Self {
        let kept = (entry.len() <= MAX_KEPT_ENTRY_BYTES).then(|| entry.into());
        Self { exchange, entry: kept, leaf: Hash::of_leaf(entry), proof }
    }

    pub(super) fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(BEGIN)
    }

    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = BEGIN.to_vec();
        bytes.extend_from_slice(self.exchange.as_str().as_bytes());
        bytes.push(b' ');
        match &self.entry {
            Some(entry) => bytes.extend_from_slice(entry),
            None => bytes.extend_from_slice(self.leaf.to_string().as_bytes()),
        }
        bytes.push(b'\n');
        bytes.extend_from_slice(self.proof.to_text().ok()?.as_bytes());
        Some(bytes)
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(BEGIN)?;
        let (exchange, rest) = split_at(rest, b' ')?;
        let (entry, proof) = split_at(rest, b'\n')?;
        let exchange = std::str::from_utf8(exchange).ok()?.parse().ok()?;
        let proof = Proof::parse(proof).ok()?;
        if entry.first() == Some(&b'{') {
            return Some(Self::new(exchange, entry, proof));
        }
        let leaf = std::str::from_utf8(entry).ok()?.parse().ok()?;
        Some(Self { exchange, entry: None, leaf, proof })
    }
}

fn split_at(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|byte| *byte == at)?;
    let (before, rest) = bytes.split_at_checked(place)?;
    Some((before, rest.get(1..)?))
}

/// The receipts in a witness's folder, oldest first. Nothing is verified.
///
/// # Errors
/// When a file can not be read or is damaged.
pub fn read(dir: &Path, see: &mut dyn FnMut(Receipt)) -> io::Result<()> {
    journal::read(dir, &mut |item| {
        if let Item::Receipt(receipt) = item {
            see(*receipt);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        keys::SigningKey,
        secret::SecretBytes,
        tlog::{Checkpoint, KeyKind, NoteKey, Tree},
    };

    fn receipt(entry: &[u8]) -> Receipt {
        let key = SigningKey::from_seed(SecretBytes::new([1; 32])).unwrap();
        let log = NoteKey::new("example/CSC/1", KeyKind::Log, key.verifying_key()).unwrap();
        let mut tree = Tree::new(tempfile::tempfile().unwrap());
        tree.push(Hash::of_leaf(b"before")).unwrap();
        tree.push(Hash::of_leaf(entry)).unwrap();
        let tree = tree.reader().unwrap();
        let checkpoint = Checkpoint { origin: "example/CSC/1".into(), head: tree.head() };
        let checkpoint = checkpoint.sign(&log, &key).unwrap();
        let proof = Proof { index: 1, hashes: tree.prove_inclusion(1, 2).unwrap(), checkpoint };
        Receipt::new(RequestId::from_random([7; 16]), entry, proof)
    }

    #[test]
    fn what_is_not_a_receipt_is_refused() {
        let good = receipt(br#"{"v":1}"#).to_bytes().unwrap();
        for n_bytes in 0..good.len() {
            assert_eq!(Receipt::parse(&good[..n_bytes]), None, "{n_bytes}");
        }
        assert_eq!(Receipt::parse(b"receipt a b\nc"), None);
    }

    #[test]
    fn a_receipt_reads_back_and_without_a_long_entry_keeps_its_leaf() {
        let short = receipt(br#"{"v":1}"#);
        assert_eq!(Receipt::parse(&short.to_bytes().unwrap()), Some(short.clone()));
        assert!(short.entry.is_some());
        let long = receipt(&[b'x'; MAX_KEPT_ENTRY_BYTES + 1]);
        assert_eq!(long.entry, None);
        assert_eq!(Receipt::parse(&long.to_bytes().unwrap()), Some(long));
    }
}
