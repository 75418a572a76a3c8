//! Keys of logs and witnesses, and the two kinds of signature lines under a checkpoint.
//!
//! A verifier key reads `<name>+<8 hexadecimal digits>+<base64 of kind and key>` (C2SP signed-note, "Verifier keys"). A log signs
//! the checkpoint's text (kind 1). A witness signs the time and the text (kind 4, C2SP tlog-cosignature), so neither kind of
//! line can stand for the other. A key does one of the two, never both, and nothing else.

use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use signed_note::{Signature, Verifier, is_key_name_valid, key_id};

use crate::{
    keys::{SigningKey, VerifyingKey},
    time::Timestamp,
};

/// Bytes of a cosignature: the time, then an Ed25519 signature.
const COSIGNATURE_BYTES: usize = 8 + 64;

/// The longest name of a key, in bytes. Ours; names stand in file names and messages.
const MAX_NAME_BYTES: usize = 255;

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// Checkpoints of the log that the key is named for.
    Log,
    /// Cosignatures of other logs' checkpoints.
    Witness,
}

impl KeyKind {
    /// The byte for it in keys and key ids.
    const fn byte(self) -> u8 {
        match self {
            Self::Log => 1,
            Self::Witness => 4,
        }
    }
}

/// A public key with its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoteKey {
    name: Box<str>,
    kind: KeyKind,
    key: VerifyingKey,
}

/// A text that is not a verifier key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a verifier key of a log or witness: expected `<name>+<8 hexadecimal digits>+<base64>`, \
     Ed25519, the digits those of this name and key"
)]
pub struct InvalidNoteKey;

impl NoteKey {
    /// The key of this name.
    ///
    /// # Errors
    /// When the name is empty, longer than 255 bytes, or has a space or `+`.
    pub fn new(name: &str, kind: KeyKind, key: VerifyingKey) -> Result<Self, InvalidNoteKey> {
        if name.len() > MAX_NAME_BYTES || !is_key_name_valid(name) {
            return Err(InvalidNoteKey);
        }
        Ok(Self { name: name.into(), kind, key })
    }

    /// The key of a name that is known to be one: short, and of an alphabet that has neither space nor `+`.
    pub(crate) fn named(name: &str, kind: KeyKind, key: VerifyingKey) -> Self {
        Self { name: name.into(), kind, key }
    }

    /// What it signs.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key without its name.
    #[must_use]
    pub const fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Its name: a log's origin, or a witness's name.
    #[must_use]
    pub fn key_name(&self) -> &str {
        &self.name
    }

    /// Signs the text of a note as a log.
    pub(super) fn sign(&self, text: &[u8], key: &SigningKey) -> Option<Signature> {
        self.line(key.sign_note(text).to_vec())
    }

    /// Signs the text of a note as a witness that saw it at `at`.
    pub(super) fn cosign(&self, text: &[u8], at: Timestamp, key: &SigningKey) -> Option<Signature> {
        let seconds = u64::try_from(at.as_second()).ok()?;
        let mut bytes = seconds.to_be_bytes().to_vec();
        bytes.extend_from_slice(&key.sign_note(&cosigned(seconds, text)));
        self.line(bytes)
    }

    fn line(&self, signature: Vec<u8>) -> Option<Signature> {
        Signature::new(self.name.to_string(), self.key_id(), signature).ok()
    }
}

/// What a witness signs.
fn cosigned(seconds: u64, text: &[u8]) -> Vec<u8> {
    [format!("cosignature/v1\ntime {seconds}\n").as_bytes(), text].concat()
}

/// The time in a cosignature that has verified.
pub(super) fn cosigned_at(signature: &[u8]) -> Option<Timestamp> {
    let (seconds, _) = signature.split_first_chunk::<8>()?;
    Timestamp::from_second(i64::try_from(u64::from_be_bytes(*seconds)).ok()?).ok()
}

impl Verifier for NoteKey {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        key_id(&self.name, &[&[self.kind.byte()], self.key.as_bytes().as_slice()].concat())
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        match self.kind {
            KeyKind::Log => self.key.verify_note(text, signature).is_ok(),
            KeyKind::Witness => {
                let Some((seconds, bare)) = signature.split_first_chunk::<8>() else {
                    return false;
                };
                let seconds = u64::from_be_bytes(*seconds);
                signature.len() == COSIGNATURE_BYTES
                    && (1..=i64::MAX.unsigned_abs()).contains(&seconds)
                    && self.key.verify_note(&cosigned(seconds, text), bare).is_ok()
            }
        }
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind.byte()], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.key_id(), BASE64_STANDARD.encode(key))
    }
}

impl FromStr for NoteKey {
    type Err = InvalidNoteKey;

    fn from_str(text: &str) -> Result<Self, InvalidNoteKey> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(InvalidNoteKey);
        };
        let bytes = BASE64_STANDARD.decode(key).map_err(|_| InvalidNoteKey)?;
        let (kind, key) = bytes.split_first().ok_or(InvalidNoteKey)?;
        let kind = [KeyKind::Log, KeyKind::Witness].into_iter().find(|known| known.byte() == *kind);
        let key = VerifyingKey::from_bytes(key.try_into().map_err(|_| InvalidNoteKey)?);
        let parsed = Self::new(name, kind.ok_or(InvalidNoteKey)?, key)?;
        if format!("{:08x}", parsed.key_id()) == id { Ok(parsed) } else { Err(InvalidNoteKey) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretBytes;

    fn key() -> SigningKey {
        SigningKey::from_seed(SecretBytes::new([4; 32])).unwrap()
    }

    fn named(kind: KeyKind) -> NoteKey {
        NoteKey::new("example.org/log", kind, key().verifying_key()).unwrap()
    }

    #[test]
    fn refuses_texts_that_are_not_a_key_of_this_name() {
        let good = named(KeyKind::Log).to_string();
        let other = good.replace("example.org/log", "example.org/lag");
        for text in ["", "a+b", "a+00000000+AQ==", &other, &format!("{good}x"), "a b+1+AQ=="] {
            assert_eq!(text.parse::<NoteKey>(), Err(InvalidNoteKey), "{text}");
        }
    }

    #[test]
    fn a_key_reads_back_as_it_was_written() {
        for kind in [KeyKind::Log, KeyKind::Witness] {
            assert_eq!(named(kind).to_string().parse(), Ok(named(kind)));
        }
    }

    #[test]
    fn neither_kind_of_line_stands_for_the_other() {
        let (log, witness) = (named(KeyKind::Log), named(KeyKind::Witness));
        let at = "2027-01-02T03:04:05Z".parse().unwrap();
        let signed = log.sign(b"text\n", &key()).unwrap();
        let cosigned = witness.cosign(b"text\n", at, &key()).unwrap();
        assert!(log.verify(b"text\n", signed.signature()));
        assert!(witness.verify(b"text\n", cosigned.signature()));
        assert_eq!(cosigned_at(cosigned.signature()), Some(at));
        assert!(!log.verify(b"text\n", cosigned.signature()));
        assert!(!witness.verify(b"text\n", signed.signature()));
        assert!(!witness.verify(b"other\n", cosigned.signature()));
        assert_ne!(signed.id(), cosigned.id());
    }

    #[test]
    fn another_time_than_the_signed_one_does_not_verify() {
        let witness = named(KeyKind::Witness);
        let at = "2027-01-02T03:04:05Z".parse().unwrap();
        let mut bytes = witness.cosign(b"text\n", at, &key()).unwrap().signature().to_vec();
        bytes[7] ^= 1;
        assert!(!witness.verify(b"text\n", &bytes));
    }
}
