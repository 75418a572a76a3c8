//! Checkpoints and their keys on the wire.

use signed_note::Verifier as _;

use super::{WireError, pb};
use crate::{
    tlog::{CheckpointNote, Hash, NoteKey, checkpoint::MAX_NOTE_BYTES, tree::MAX_PROOF_HASHES},
    witness::keys::LogKeys,
};

/// The longest verifier key, in bytes.
const MAX_KEY_BYTES: usize = 1024;

impl From<&LogKeys> for pb::LogKeys {
    fn from(keys: &LogKeys) -> Self {
        Self {
            log: keys.log.to_string(),
            witness: keys.witness.to_string(),
            signature: keys.signature.to_vec(),
        }
    }
}

impl TryFrom<pb::LogKeys> for LogKeys {
    type Error = WireError;

    fn try_from(message: pb::LogKeys) -> Result<Self, WireError> {
        let key = |field, text: &str| -> Result<NoteKey, WireError> {
            let read = (text.len() <= MAX_KEY_BYTES).then(|| text.parse().ok()).flatten();
            read.ok_or(WireError::invalid(field, "a verifier key of an Ed25519 log or witness"))
        };
        let signature = message.signature.as_slice().try_into();
        Ok(Self {
            log: key("log", &message.log)?,
            witness: key("witness", &message.witness)?,
            signature: signature.map_err(|_| WireError::invalid("signature", "64 bytes"))?,
        })
    }
}

/// The hashes of a proof.
///
/// # Errors
/// When there are too many, or one has not 32 bytes.
pub fn to_proof(hashes: &[Vec<u8>]) -> Result<Vec<Hash>, WireError> {
    let wrong = WireError::invalid("proof", "at most 63 hashes of 32 bytes");
    if hashes.len() > MAX_PROOF_HASHES {
        return Err(wrong);
    }
    let hash = |bytes: &Vec<u8>| bytes.as_slice().try_into().ok().map(Hash::from_bytes);
    hashes.iter().map(|bytes| hash(bytes).ok_or(wrong.clone())).collect()
}

/// A checkpoint.
///
/// # Errors
/// When it is not one, or too long.
pub fn to_checkpoint(bytes: &[u8]) -> Result<CheckpointNote, WireError> {
    let wrong = WireError::invalid("checkpoint", "a signed checkpoint, at most 16 KiB");
    if bytes.len() > MAX_NOTE_BYTES {
        return Err(wrong);
    }
    CheckpointNote::parse(bytes).map_err(|_| wrong)
}

/// Whether a signature line names this key; whether it verifies is for whoever adds it to a checkpoint.
#[must_use]
pub fn is_line_of(line: &[u8], key: &NoteKey) -> bool {
    line.len() <= MAX_KEY_BYTES
        && signed_note::Signature::from_bytes(line)
            .is_ok_and(|line| (line.name(), line.id()) == (key.name(), key.key_id()))
}
