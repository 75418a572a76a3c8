//! Values at rest: AES-256-GCM (NIST SP 800-38D) with random 96-bit nonces.
//!
//! A sealed value is `0x01 | nonce (12 bytes) | ciphertext | tag (16 bytes)`; the associated data is
//! the full key it stands at. Three keys are derived from the store's key (HKDF-SHA-256, RFC 5869): one
//! to seal, one to blind, one for scopes. Random nonces allow 2^32 values under one key (SP 800-38D, section 8.3).
//!
//! A value of a scope is `0x02 | name of the scope's key (8 bytes) | nonce | ciphertext | tag`. Its key is
//! HMAC-SHA-256, under the secret of the scope, of a value that only the store's key gives: both are needed, and
//! without either nothing is learnt of it. The name tells a value whose key was destroyed from one that is damaged.

use std::fmt;

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
};
use zeroize::{Zeroize as _, Zeroizing};

use super::StoreError;
use crate::secret::{SecretBytes, random_bytes};

const FORMAT: u8 = 1;
const SCOPED: u8 = 2;
/// Bytes of the name of a scope's key.
const NAME_BYTES: usize = 8;
const SALT: &[u8] = b"brag-exchange/v1/store";

/// The keys of one store.
pub(super) struct StoreKeys {
    seal: LessSafeKey,
    blind: hmac::Key,
    scope: hmac::Key,
}

/// The key of one scope in one store. Wiped when dropped.
pub(super) struct ScopeKey {
    seal: SecretBytes<32>,
    name: [u8; NAME_BYTES],
}

/// What is at a place of a scope.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scoped {
    /// Its value.
    Value(Zeroizing<Vec<u8>>),
    /// Something that another key sealed, which the scope has no more.
    OfAnotherKey,
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
        let scope =
            root.expand(&[b"scope"], hmac::HMAC_SHA256).map(hmac::Key::from).map_err(weak)?;
        Ok(Self { seal: LessSafeKey::new(seal), blind, scope })
    }

    /// The key of the scope that has this secret.
    pub(super) fn of_scope(&self, secret: &SecretBytes<32>) -> ScopeKey {
        let under_secret = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        let derive = |label: &[u8]| {
            let of_store = hmac::sign(&self.scope, label);
            hmac::sign(&under_secret, of_store.as_ref())
        };
        let (mut seal, mut name) = ([0; 32], [0; NAME_BYTES]);
        seal.iter_mut().zip(derive(b"seal").as_ref()).for_each(|(to, from)| *to = *from);
        name.iter_mut().zip(derive(b"name").as_ref()).for_each(|(to, from)| *to = *from);
        let key = ScopeKey { seal: SecretBytes::new(seal), name };
        seal.zeroize();
        key
    }

    pub(super) fn seal(&self, place: &[u8], value: &[u8]) -> Result<Vec<u8>, StoreError> {
        seal_behind(&[FORMAT], &self.seal, place, value)
    }

    pub(super) fn open(
        &self,
        place: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
        let Some((&FORMAT, rest)) = sealed.split_first() else {
            return Err(NotOpened);
        };
        open_rest(&self.seal, place, rest)
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

impl ScopeKey {
    fn cipher(&self) -> Result<LessSafeKey, NotOpened> {
        let key = UnboundKey::new(&AES_256_GCM, self.seal.expose()).map_err(|_| NotOpened)?;
        Ok(LessSafeKey::new(key))
    }

    pub(super) fn seal(&self, place: &[u8], value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut header = [SCOPED; 1 + NAME_BYTES];
        header.iter_mut().skip(1).zip(self.name).for_each(|(to, from)| *to = from);
        seal_behind(&header, &self.cipher()?, place, value)
    }

    pub(super) fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Scoped, NotOpened> {
        let Some((&SCOPED, rest)) = sealed.split_first() else {
            return Err(NotOpened);
        };
        let (name, rest) = rest.split_first_chunk::<NAME_BYTES>().ok_or(NotOpened)?;
        if *name != self.name {
            return Ok(Scoped::OfAnotherKey);
        }
        open_rest(&self.cipher()?, place, rest).map(Scoped::Value)
    }
}

fn seal_behind(
    header: &[u8],
    key: &LessSafeKey,
    place: &[u8],
    value: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let nonce: [u8; NONCE_LEN] = random_bytes().map_err(|_| StoreError::NoRandomness)?;
    let n_before = header.len() + NONCE_LEN;
    let mut sealed = Vec::with_capacity(n_before + value.len() + AES_256_GCM.tag_len());
    sealed.extend_from_slice(header);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(value);
    let Some(text) = sealed.get_mut(n_before..) else {
        return Err(StoreError::Corrupt { what: "a value lost its own header" });
    };
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), text)
        .map_err(|_| StoreError::ValueTooLarge { n_bytes: value.len() })?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Opens what follows the header.
fn open_rest(
    key: &LessSafeKey,
    place: &[u8],
    rest: &[u8],
) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
    let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(NotOpened)?;
    let mut value = Zeroizing::new(text.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let length =
        key.open_in_place(nonce, Aad::from(place), &mut value).map_err(|_| NotOpened)?.len();
    value.truncate(length);
    Ok(value)
}

impl fmt::Debug for ScopeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
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
    fn a_value_of_a_scope_needs_the_stores_key_and_the_secret_of_the_scope() {
        let secret = |byte: u8| SecretBytes::new([byte; 32]);
        let own = keys(1).of_scope(&secret(3));
        let sealed = own.seal(b"a", b"value").unwrap();
        assert_eq!(keys(1).open(b"a", &sealed), Err(NotOpened), "the store's key alone");
        assert_eq!(own.open(b"b", &sealed), Err(NotOpened), "another place");
        for other in [keys(2).of_scope(&secret(3)), keys(1).of_scope(&secret(4))] {
            assert_eq!(other.open(b"a", &sealed), Ok(Scoped::OfAnotherKey));
            // Nor when its name is forged.
            let forged = ScopeKey { name: own.name, ..other };
            assert_eq!(forged.open(b"a", &sealed), Err(NotOpened));
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            let opened = own.open(b"a", &changed);
            assert!(!matches!(opened, Ok(Scoped::Value(_))), "byte {at}");
            let cut = own.open(b"a", &sealed[..at]);
            assert!(!matches!(cut, Ok(Scoped::Value(_))), "length {at}");
        }
        let again = keys(1).of_scope(&secret(3));
        assert_eq!(again.open(b"a", &sealed), Ok(Scoped::Value(b"value".to_vec().into())));
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
