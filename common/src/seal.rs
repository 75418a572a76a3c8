//! Sealing to one agency (RFC 9180 HPKE, base mode: X25519, HKDF-SHA256, ChaCha20-Poly1305).
//!
//! What it proves: only the holder of the recipient's key can read it, and only as what it was sealed
//! as: the [`Binding`] (purpose, enquiry, person, …) is the HPKE `info`, so a sealed text passed off as
//! another's does not open. It does not prove who sealed it; detail travels with the holder's signed
//! permit over the sealed bytes for that.

use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hpke::{
    Deserializable as _, OpModeR, OpModeS, Serializable as _, aead::ChaCha20Poly1305,
    kdf::HkdfSha256, kem::X25519HkdfSha256, single_shot_open, single_shot_seal,
};
use rand_core::OsRng;
use zeroize::Zeroizing;

use crate::{
    keys::InvalidKey,
    secret::{NoRandomness, SecretBytes},
};

/// Length of the encapsulated key before the ciphertext, in bytes.
const ENCAPSULATED_LEN: usize = 32;

type Kem = X25519HkdfSha256;

/// What a sealed text is, so that it opens as nothing else.
#[derive(Debug)]
pub struct Binding(Vec<u8>);

impl Binding {
    /// An identity told to an agency that knows the person. Parts: agreement digest, enquiry, person,
    /// commitment, agency.
    #[must_use]
    pub fn identity(parts: &[&[u8]]) -> Self {
        Self::new(b"brag-exchange/v1/identity\0", parts)
    }

    /// Detail released to a recipient. Parts: agreement digest, enquiry, person, category, recipient,
    /// release, expiry.
    #[must_use]
    pub fn detail(parts: &[&[u8]]) -> Self {
        Self::new(b"brag-exchange/v1/detail\0", parts)
    }

    fn new(context: &[u8], parts: &[&[u8]]) -> Self {
        let mut info = context.to_vec();
        for part in parts {
            info.extend_from_slice(&(part.len() as u64).to_be_bytes());
            info.extend_from_slice(part);
        }
        Self(info)
    }
}

/// A text that can not be sealed or opened. It does not say why: that would help an attacker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed text does not open with this key, as this")]
pub struct CannotOpen;

/// An agency's public sealing key. Text form: base64 of its 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SealingPublicKey([u8; 32]);

impl SealingPublicKey {
    /// The key with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals `text` to this key: the encapsulated key, then the ciphertext (48 bytes longer in all).
    ///
    /// # Errors
    /// When the key is not a usable X25519 key.
    pub fn seal(&self, binding: &Binding, text: &[u8]) -> Result<Vec<u8>, CannotOpen> {
        let key = <Kem as hpke::Kem>::PublicKey::from_bytes(&self.0).map_err(|_| CannotOpen)?;
        let (encapsulated, ciphertext) = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, Kem, _>(
            &OpModeS::Base,
            &key,
            &binding.0,
            text,
            &[],
            &mut OsRng,
        )
        .map_err(|_| CannotOpen)?;
        let mut sealed = encapsulated.to_bytes().to_vec();
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }
}

impl fmt::Display for SealingPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for SealingPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingPublicKey({self})")
    }
}

impl FromStr for SealingPublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| InvalidKey)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| InvalidKey)?;
        // The all-zero point makes every shared secret zero (RFC 7748, section 6.1).
        if bytes == [0; 32] { Err(InvalidKey) } else { Ok(Self(bytes)) }
    }
}

/// An agency's private sealing key, with the ones that it has replaced: what was sealed to a former key and arrives later
/// still opens.
#[derive(Debug)]
pub struct SealingKey(SecretBytes<32>, Vec<Self>);

impl SealingKey {
    /// The key with these bytes.
    #[must_use]
    pub const fn from_secret(bytes: SecretBytes<32>) -> Self {
        Self(bytes, Vec::new())
    }

    /// The same key, which also opens what was sealed to these.
    #[must_use]
    pub fn with_others(self, others: Vec<Self>) -> Self {
        Self(self.0, others)
    }

    /// A new random key.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn generate() -> Result<Self, NoRandomness> {
        SecretBytes::random().map(Self::from_secret)
    }

    /// The bytes, for a key file.
    #[must_use]
    pub const fn secret(&self) -> &SecretBytes<32> {
        &self.0
    }

    /// The public half.
    ///
    /// # Errors
    /// When the bytes are not an X25519 key.
    pub fn public_key(&self) -> Result<SealingPublicKey, CannotOpen> {
        let public = <Kem as hpke::Kem>::sk_to_pk(&self.private()?).to_bytes();
        public.as_slice().try_into().map(SealingPublicKey).map_err(|_| CannotOpen)
    }

    fn private(&self) -> Result<<Kem as hpke::Kem>::PrivateKey, CannotOpen> {
        <Kem as hpke::Kem>::PrivateKey::from_bytes(self.0.expose()).map_err(|_| CannotOpen)
    }

    /// Opens what was sealed to this key, or to one that it has replaced, as `binding` says.
    ///
    /// # Errors
    /// When it was sealed to another key, as something else, or was altered.
    pub fn open(&self, binding: &Binding, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        let own = self.open_alone(binding, sealed);
        let others = || self.1.iter().find_map(|other| other.open_alone(binding, sealed).ok());
        own.or_else(|error| others().ok_or(error))
    }

    fn open_alone(
        &self,
        binding: &Binding,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        let (encapsulated, ciphertext) =
            sealed.split_at_checked(ENCAPSULATED_LEN).ok_or(CannotOpen)?;
        let encapsulated =
            <Kem as hpke::Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| CannotOpen)?;
        single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeR::Base,
            &self.private()?,
            &encapsulated,
            &binding.0,
            ciphertext,
            &[],
        )
        .map(Zeroizing::new)
        .map_err(|_| CannotOpen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_the_key_and_binding_it_was_sealed_for() {
        let (key, other) = (SealingKey::generate().unwrap(), SealingKey::generate().unwrap());
        let binding = Binding::detail(&[b"e1", b"p1"]);
        let sealed = key.public_key().unwrap().seal(&binding, b"text").unwrap();
        assert_eq!(key.open(&binding, &sealed).unwrap().as_slice(), b"text");
        assert_eq!(other.open(&binding, &sealed).unwrap_err(), CannotOpen);
        for wrong in [
            Binding::detail(&[b"e1", b"p2"]),
            Binding::detail(&[b"e1p1"]),
            Binding::identity(&[b"e1", b"p1"]),
        ] {
            assert_eq!(key.open(&wrong, &sealed).unwrap_err(), CannotOpen);
        }
    }

    #[test]
    fn refuses_altered_and_short_bytes() {
        let key = SealingKey::generate().unwrap();
        let binding = Binding::identity(&[]);
        let sealed = key.public_key().unwrap().seal(&binding, b"text").unwrap();
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(key.open(&binding, &altered).is_err(), "byte {at}");
            assert!(key.open(&binding, &sealed[..at]).is_err(), "length {at}");
        }
    }
}
