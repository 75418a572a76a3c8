//! Signing keys. A key serves one purpose: statements and the agreement, or the log; never TLS.
//!
//! A signature under [`SigningKey::sign`] is over a domain that starts with a NUL-terminated context
//! (see [`Context`]). The agreement's note signature ([`SigningKey::sign_note`]) is over its bare
//! text, as C2SP's signed-note demands; a note's text can not hold a NUL, so neither signature can
//! ever be taken for the other.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::secret::{NoRandomness, SecretBytes};

/// What a signature is for. Its text is part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// A statement of an agency: a rating, a link, an assertion, a decision.
    Statement,
    /// An entry of an audit log.
    LogEntry,
    /// The keys of a party's log and witness.
    LogKeys,
}

impl Context {
    const fn text(self) -> &'static [u8] {
        match self {
            Self::Statement => b"brag-exchange/v1/statement\0",
            Self::LogEntry => b"brag-exchange/v1/log-entry\0",
            Self::LogKeys => b"brag-exchange/v1/log-keys\0",
        }
    }

    /// Context, then every part behind its length: no two lists of parts give the same bytes.
    fn message(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut message = self.text().to_vec();
        for part in parts {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part);
        }
        message
    }
}

/// An Ed25519 signature (RFC 8032).
pub type Signature = [u8; 64];

/// An Ed25519 private key.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    seed: SecretBytes<32>,
}

/// Something that is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a key: expected base64 of 32 bytes")]
pub struct InvalidKey;

impl SigningKey {
    /// The key with this seed (RFC 8032, section 5.1.5).
    ///
    /// # Errors
    /// When ring refuses the seed.
    pub fn from_seed(seed: SecretBytes<32>) -> Result<Self, InvalidKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| InvalidKey)?;
        Ok(Self { pair, seed })
    }

    /// A new random key.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate() -> Result<Self, NoRandomness> {
        Self::from_seed(SecretBytes::random()?).map_err(|_| NoRandomness)
    }

    /// The seed, for a key file.
    #[must_use]
    pub const fn seed(&self) -> &SecretBytes<32> {
        &self.seed
    }

    /// The public half.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        VerifyingKey(bytes)
    }

    /// Signs the parts for one purpose.
    #[must_use]
    pub fn sign(&self, context: Context, parts: &[&[u8]]) -> Signature {
        self.sign_note(&context.message(parts))
    }

    /// Signs the bare text of a C2SP note, which holds no control character but the new line.
    #[must_use]
    pub fn sign_note(&self, text: &[u8]) -> Signature {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(text).as_ref());
        signature
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.verifying_key())
    }
}

/// An Ed25519 public key. Text form: base64 of its 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifyingKey([u8; 32]);

/// A signature that does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

impl VerifyingKey {
    /// The key with these bytes. Whether they are a point of the curve shows when it verifies.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Verifies a signature over the parts for one purpose.
    ///
    /// # Errors
    /// When the signature is not this key's over exactly these parts and this purpose.
    pub fn verify(
        &self,
        context: Context,
        parts: &[&[u8]],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        self.verify_note(&context.message(parts), signature)
    }

    /// Verifies a signature over the bare text of a C2SP note.
    ///
    /// # Errors
    /// When the signature is not this key's over exactly this text.
    pub fn verify_note(&self, text: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        UnparsedPublicKey::new(&ED25519, self.0).verify(text, signature).map_err(|_| BadSignature)
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({self})")
    }
}

impl std::str::FromStr for VerifyingKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| InvalidKey)?;
        bytes.try_into().map(Self).map_err(|_| InvalidKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed(SecretBytes::new([3; 32])).unwrap()
    }

    #[test]
    fn refuses_other_parts_contexts_and_keys() {
        let signature = key().sign(Context::Statement, &[b"ab", b"c"]);
        let public = key().verifying_key();
        assert_eq!(public.verify(Context::Statement, &[b"ab", b"c"], &signature), Ok(()));
        for parts in [[&b"a"[..], b"bc"], [b"abc", b""], [b"c", b"ab"]] {
            assert_eq!(public.verify(Context::Statement, &parts, &signature), Err(BadSignature));
        }
        assert!(public.verify(Context::LogEntry, &[b"ab", b"c"], &signature).is_err());
        let other = SigningKey::generate().unwrap().verifying_key();
        assert!(other.verify(Context::Statement, &[b"ab", b"c"], &signature).is_err());
    }

    #[test]
    fn a_public_key_round_trips_as_text() {
        let public = key().verifying_key();
        assert_eq!(public.to_string().parse::<VerifyingKey>(), Ok(public));
        assert_eq!("AAAA".parse::<VerifyingKey>(), Err(InvalidKey));
    }

    #[test]
    fn debug_does_not_show_the_seed() {
        assert_eq!(format!("{:?}", key()), format!("SigningKey({})", key().verifying_key()));
    }
}
