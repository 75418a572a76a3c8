//! Checkpoints and their keys on the wire.

use signed_note::Verifier as _;

use prost::Message as _;

use super::{MAX_MESSAGE_BYTES, WireError, pb};
use crate::{
    audit::entry::MAX_ENTRY_BYTES,
    id::RequestId,
    tlog::{CheckpointNote, Hash, NoteKey, checkpoint::MAX_NOTE_BYTES, tree::MAX_PROOF_HASHES},
    witness::{Shown, ShownEntry, keys::LogKeys},
};

/// The most that witnessing adds to a message, in bytes: an entry, two checkpoints, two proofs, the keys, and their padding.
pub const MAX_WITNESSING_BYTES: usize = 128 * 1024;

/// The longest message of an exchange between hub and node, with what goes behind it.
pub const MAX_EXCHANGE_BYTES: usize = MAX_MESSAGE_BYTES + MAX_WITNESSING_BYTES;

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

/// A message's own request id and what it says of its sender's log; `None` where it says nothing.
///
/// # Errors
/// When it is not such a message.
pub fn read_request(message: &[u8]) -> Result<(RequestId, Option<pb::Witnessing>), WireError> {
    let wrong = WireError::invalid("request", "a message of an exchange");
    let read = pb::WitnessedRequest::decode(message).map_err(|_| wrong)?;
    Ok((super::id("request_id", &read.request_id)?, read.witnessing))
}

/// What an answer says of its sender's log.
#[must_use]
pub fn read_answer(message: &[u8]) -> Option<pb::Witnessing> {
    pb::WitnessedAnswer::decode(message).ok()?.witnessing
}

/// What goes behind an encoded request.
#[must_use]
pub fn behind_request(witnessing: pb::Witnessing) -> Vec<u8> {
    // An empty id is not written.
    let request_id = String::new();
    pb::WitnessedRequest { request_id, witnessing: Some(witnessing) }.encode_to_vec()
}

/// A receipt, with what became of the checkpoint in the request.
#[must_use]
pub fn with_outcome(
    receipt: pb::Witnessing,
    outcome: Option<pb::witnessing::Outcome>,
) -> pb::Witnessing {
    pb::Witnessing { outcome, ..receipt }
}

/// What goes behind an encoded answer.
#[must_use]
pub fn behind_answer(witnessing: pb::Witnessing) -> Vec<u8> {
    let witnessing = super::padding::witnessing(witnessing);
    pb::WitnessedAnswer { witnessing: Some(witnessing) }.encode_to_vec()
}

/// The keys, and the checkpoint with its proof.
///
/// # Errors
/// When something is missing or has not its form.
pub fn to_shown(message: &pb::Witnessing) -> Result<(LogKeys, Shown), WireError> {
    let keys = message.keys.clone().ok_or(WireError::Missing("keys"))?.try_into()?;
    let shown = Shown {
        old_size: message.old_size,
        proof: to_proof(&message.proof)?,
        note: to_checkpoint(&message.checkpoint)?,
        entry: None,
    };
    Ok((keys, shown))
}

/// The entry of `exchange` in a receipt. That it is one of that exchange is for the caller to look at.
///
/// # Errors
/// When it is missing or too long.
pub fn to_shown_entry(
    message: &pb::Witnessing,
    exchange: &RequestId,
) -> Result<ShownEntry, WireError> {
    if !(1..=MAX_ENTRY_BYTES).contains(&message.entry.len()) {
        return Err(WireError::invalid("entry", "the entry of the exchange, at most 60 KiB"));
    }
    Ok(ShownEntry {
        exchange: exchange.clone(),
        json: message.entry.clone(),
        index: message.index,
        proof: to_proof(&message.inclusion)?,
    })
}

/// The hashes of a proof, as they travel.
#[must_use]
pub fn from_proof(proof: &[Hash]) -> Vec<Vec<u8>> {
    proof.iter().map(|hash| hash.as_bytes().to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_behind_an_answer_has_one_size_whatever_the_usual_entry_says() {
        let size = |n_entry: usize, n_hashes: usize| {
            behind_answer(pb::Witnessing {
                entry: vec![b'x'; n_entry],
                checkpoint: vec![b'x'; 400],
                proof: vec![vec![1; 32]; n_hashes],
                inclusion: vec![vec![1; 32]; n_hashes],
                outcome: Some(pb::witnessing::Outcome::Cosignature(vec![b'x'; 150])),
                ..pb::Witnessing::default()
            })
            .len()
        };
        let usual = size(500, 10);
        for (n_entry, n_hashes) in [(200, 1), (501, 10), (1500, 24)] {
            assert_eq!(size(n_entry, n_hashes), usual, "{n_entry}");
        }
    }

    #[test]
    fn a_message_with_more_behind_it_reads_as_before() {
        let request =
            pb::ScreenRequest { request_id: "a".repeat(26), epoch: 7, ..Default::default() };
        let witnessing = pb::Witnessing { seen: 9, ..Default::default() };
        let mut bytes = request.encode_to_vec();
        bytes.extend(behind_request(witnessing.clone()));
        assert_eq!(pb::ScreenRequest::decode(bytes.as_slice()).unwrap(), request);
        let read = pb::WitnessedRequest::decode(bytes.as_slice()).unwrap();
        assert_eq!((read.request_id, read.witnessing), (request.request_id, Some(witnessing)));
        assert_eq!(read_answer(&pb::ScreenResponse::default().encode_to_vec()), None);
        assert_eq!(read_answer(b"\xff\xff"), None);
    }
}
