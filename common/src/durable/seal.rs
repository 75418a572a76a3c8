//! Values at rest: AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces.
//!
//! A sealed value is `0x01 | nonce (12 bytes) | ciphertext | tag (16 bytes)`; the associated data is
//! the full key it stands at. Two keys are derived from the store's key (HKDF-SHA-256, RFC 5869), one
//! to seal and one to blind. Random nonces allow 2^32 values under one key (SP 800-38D, section 8.3).

use std::fmt;

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
};
use zeroize::Zeroizing;

use super::StoreError;
use crate::secret::{SecretBytes, random_bytes};

const FORMAT: u8 = 1;
const SALT: &[u8] = b"brag-exchange/v1/store";

/// The keys of one store.
pub(super) struct StoreKeys {
    seal: LessSafeKey,
    blind: hmac::Key,
}

/// A value that does not open: another key, another place, or changed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotOpened;

impl StoreKeys {
    pub(super) fn derive(key: &SecretBytes<32>) -> Result<Self, StoreError> {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(key.expose());
        // Neither can happen: both lengths are within what HKDF gives.
        let weak = |_| StoreError::WrongKey;
        let seal = root.expand(&[b"seal"], &AES_256_GCM).map(UnboundKey::from).map_err(weak)?;
        let blind =
            root.expand(&[b"blind"], hmac::HMAC_SHA256).map(hmac::Key::from).map_err(weak)?;
        Ok(Self { seal: LessSafeKey::new(seal), blind })
    }

    pub(super) fn seal(&self, place: &[u8], value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let nonce: [u8; NONCE_LEN] = random_bytes().map_err(|_| StoreError::NoRandomness)?;
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + value.len() + AES_256_GCM.tag_len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(value);
        let Some(text) = sealed.get_mut(1 + NONCE_LEN..) else {
            return Err(StoreError::Corrupt { what: "a value lost its own header" });
        };
        let tag = self
            .seal
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), text)
            .map_err(|_| StoreError::ValueTooLarge { n_bytes: value.len() })?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    pub(super) fn open(
        &self,
        place: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let Some((&FORMAT, rest)) = sealed.split_first() else {
            return Err(NotOpened);
        };
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(NotOpened)?;
        let mut value = Zeroizing::new(text.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self
            .seal
            .open_in_place(nonce, Aad::from(place), &mut value)
            .map_err(|_| NotOpened)?
            .len();
        value.truncate(length);
        Ok(value)
    }

    pub(super) fn blind(&self, label: &str, bytes: &[u8]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.blind);
        // The label behind its length: no label and bytes give another label and bytes.
        context.update(&(label.len() as u64).to_be_bytes());
        context.update(label.as_bytes());
        context.update(bytes);
        let tag = context.sign();
        let mut blinded = [0; 16];
        blinded.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        blinded
    }
}

impl fmt::Debug for StoreKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(byte: u8) -> StoreKeys {
        StoreKeys::derive(&SecretBytes::new([byte; 32])).unwrap()
    }

    #[test]
    fn refuses_another_place_another_key_and_any_changed_byte() {
        let sealed = keys(1).seal(b"a", b"value").unwrap();
        assert_eq!(keys(1).open(b"b", &sealed), Err(NotOpened));
        assert_eq!(keys(2).open(b"a", &sealed), Err(NotOpened));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(keys(1).open(b"a", &changed), Err(NotOpened), "{at}");
            assert_eq!(keys(1).open(b"a", &sealed[..at]), Err(NotOpened), "{at}");
        }
        assert_eq!(keys(1).open(b"a", &sealed).unwrap().as_slice(), b"value");
    }

    #[test]
    fn the_same_value_is_never_sealed_to_the_same_bytes() {
        assert_ne!(keys(1).seal(b"a", b"v").unwrap(), keys(1).seal(b"a", b"v").unwrap());
    }

    #[test]
    fn blinding_depends_on_key_label_and_bytes_and_on_nothing_else() {
        let blinded = keys(1).blind("nhs", b"9434765919");
        assert_eq!(blinded, keys(1).blind("nhs", b"9434765919"));
        assert_ne!(blinded, keys(2).blind("nhs", b"9434765919"));
        assert_ne!(blinded, keys(1).blind("nh", b"s9434765919"));
        assert_ne!(blinded, keys(1).blind("nhs", b"9434765918"));
    }
}
