//! Small secrets under a key that this program has: AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces.
//!
//! What is sealed is at most some hundred bytes: the data key of a store, the secret of somebody's authenticator app, a sign-in
//! under way. Sealed bytes are `nonce (12) | ciphertext | tag (16)`. The key is either random and the process's own, or derived
//! from a longer-lived one *for* its use (HMAC-SHA-256 of a label of that use), so that what one use seals opens for no other
//! and the longer-lived key itself encrypts nothing. The associated data says what a sealed text *is*, where that has a name: an
//! account's secret does not open as another account's.
//!
//! What opening proves: whoever sealed it had this key, it is what it was sealed as, and no byte of it has changed. It does not
//! prove that it is the newest that was sealed: whoever may write where it lies may put back an older one. Random nonces allow
//! 2^32 texts under one key (SP 800-38D, section 8.3).
//!
//! Values of the store have keys and places of their own (`durable`); texts to another agency are sealed to its public key
//! ([`seal`](crate::seal)).

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use zeroize::Zeroizing;

use crate::secret::{NoRandomness, SecretBytes, random_bytes};

/// A key that seals and opens. It is never shown.
pub(crate) struct SymmetricKey(LessSafeKey);

/// A text can not be sealed: the machine gives no randomness, or a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing can be sealed on this machine")]
pub(crate) struct NotSealed;

impl From<NoRandomness> for NotSealed {
    fn from(_: NoRandomness) -> Self {
        Self
    }
}

impl std::fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

impl SymmetricKey {
    /// The key for one use of `key`, which a label says.
    pub(crate) fn derive(key: &SecretBytes<32>, label: &[u8]) -> Result<Self, NotSealed> {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), label);
        Self::of(derived.as_ref())
    }

    /// A key that nobody else has, and that is gone with the process.
    pub(crate) fn random() -> Result<Self, NotSealed> {
        Self::of(SecretBytes::<32>::random()?.expose())
    }

    fn of(bytes: &[u8]) -> Result<Self, NotSealed> {
        let key = UnboundKey::new(&AES_256_GCM, bytes);
        key.map(LessSafeKey::new).map(Self).map_err(|_| NotSealed)
    }

    /// Seals `text` as what `is` says.
    pub(crate) fn seal(&self, is: &[u8], text: &[u8]) -> Result<Vec<u8>, NotSealed> {
        let nonce: [u8; NONCE_LEN] = random_bytes()?;
        // Room for all of it: what is plain is copied nowhere else.
        let mut sealed = Vec::with_capacity(text.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(text);
        let unique = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(unique, Aad::from(is), &mut sealed)
            .map_err(|_| NotSealed)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// What was sealed as this; `None`: another key sealed it, or as something else, or a byte has changed.
    pub(crate) fn open(&self, is: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let n_bytes = self.0.open_in_place(nonce, Aad::from(is), &mut text).ok()?.len();
        text.truncate(n_bytes);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8, label: &[u8]) -> SymmetricKey {
        SymmetricKey::derive(&SecretBytes::new([byte; 32]), label).unwrap()
    }

    #[test]
    fn refuses_another_key_another_use_another_name_and_any_changed_or_missing_byte() {
        let own = key(1, b"use");
        let sealed = own.seal(b"a", b"secret").unwrap();
        for other in [key(2, b"use"), key(1, b"other"), SymmetricKey::random().unwrap()] {
            assert!(other.open(b"a", &sealed).is_none());
        }
        for is in [&b"b"[..], b"", b"ab"] {
            assert!(own.open(is, &sealed).is_none());
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(own.open(b"a", &changed).is_none(), "byte {at}");
            assert!(own.open(b"a", &sealed[..at]).is_none(), "length {at}");
        }
        assert!(own.open(b"a", &[&sealed[..], b"x"].concat()).is_none());
        assert_eq!(own.open(b"a", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(sealed.len(), NONCE_LEN + 6 + 16);
    }

    #[test]
    fn the_same_text_is_never_sealed_to_the_same_bytes_and_the_key_is_not_shown() {
        let own = SymmetricKey::random().unwrap();
        assert_ne!(own.seal(b"", b"x").unwrap(), own.seal(b"", b"x").unwrap());
        assert_eq!(format!("{own:?}"), "[secret]");
    }
}
