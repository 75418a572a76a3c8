//! Detail at its recipient, while it may be looked at.
//!
//! What arrives is sealed to the agency's long-term key, which would open it for ever. So it is opened once, at once
//! sealed again (AES-256-GCM) under a [`ViewKey`] of its own, and what arrived is dropped: [`rewrap`] does both and
//! gives out no text. Whoever destroys the view key ends the view.
//!
//! The associated data of the second sealing is the digest of the holder's signed permit, which names enquiry, person,
//! category, holder, recipient, release and expiry: a view does not open as another one.
//!
//! What this proves: without the view key nobody opens what this program keeps of the detail, neither with the store's
//! key nor with the agency's sealing key. What it does not: that nobody kept what a person read from the screen, or
//! recorded the connection and has broken its encryption as well; nor that the machine's memory was not read meanwhile. The
//! holder keeps the sealed bytes until they are delivered; what its disk still has of them afterwards opens only for somebody
//! with the holder's store key *and* the recipient's sealing key.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::{
    audit::entry::Digest,
    seal::{Binding, CannotOpen, SealingKey},
    secret::{SecretBytes, random_bytes},
};

/// The key of one view.
#[derive(Debug)]
pub struct ViewKey(SecretBytes<32>);

impl ViewKey {
    /// The key with these bytes.
    #[must_use]
    pub const fn from_secret(bytes: SecretBytes<32>) -> Self {
        Self(bytes)
    }

    /// The bytes, for where keys of views are kept.
    #[must_use]
    pub const fn secret(&self) -> &SecretBytes<32> {
        &self.0
    }

    fn cipher(&self) -> Result<LessSafeKey, CannotOpen> {
        let key = UnboundKey::new(&AES_256_GCM, self.0.expose()).map_err(|_| CannotOpen)?;
        Ok(LessSafeKey::new(key))
    }

    /// Opens a view. `permit` is the digest of the holder's signed permit.
    ///
    /// # Errors
    /// When it was kept under another key or permit, or was altered.
    pub fn open(&self, permit: &Digest, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_LEN>().ok_or(CannotOpen)?;
        let mut text = Zeroizing::new(sealed.to_vec());
        let n_bytes = self
            .cipher()?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), aad(permit), &mut text)
            .map_err(|_| CannotOpen)?
            .len();
        text.truncate(n_bytes);
        Ok(text)
    }

    fn seal(&self, permit: &Digest, mut text: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, CannotOpen> {
        // One text for each key; the nonce is random all the same.
        let nonce: [u8; NONCE_LEN] = random_bytes().map_err(|_| CannotOpen)?;
        let tag = self
            .cipher()?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                aad(permit),
                text.as_mut_slice(),
            )
            .map_err(|_| CannotOpen)?;
        Ok([nonce.as_slice(), &text, tag.as_ref()].concat())
    }
}

fn aad(permit: &Digest) -> Aad<Vec<u8>> {
    Aad::from([b"brag-exchange/v1/view\0".as_slice(), permit.as_bytes()].concat())
}

/// Opens what a holder sealed to this agency, and seals it again under a new key of its own.
///
/// # Errors
/// When it was not sealed to this key as `binding` says, was altered, or the machine gives no randomness.
pub fn rewrap(
    sealing: &SealingKey,
    binding: &Binding,
    permit: &Digest,
    sealed: &[u8],
) -> Result<(ViewKey, Vec<u8>), CannotOpen> {
    let text = sealing.open(binding, sealed)?;
    let key = ViewKey(SecretBytes::random().map_err(|_| CannotOpen)?);
    let wrapped = key.seal(permit, text)?;
    Ok((key, wrapped))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived() -> (SealingKey, Binding, Vec<u8>) {
        let key = SealingKey::generate().unwrap();
        let binding = Binding::detail(&[b"e1"]);
        let sealed = key.public_key().unwrap().seal(&binding, b"what she told the nurse").unwrap();
        (key, binding, sealed)
    }

    #[test]
    fn refuses_what_was_sealed_to_another_agency_or_as_something_else() {
        let (key, binding, sealed) = arrived();
        let permit = Digest::of(b"permit");
        let other = SealingKey::generate().unwrap();
        assert!(rewrap(&other, &binding, &permit, &sealed).is_err());
        assert!(rewrap(&key, &Binding::detail(&[b"e2"]), &permit, &sealed).is_err());
        assert!(rewrap(&key, &binding, &permit, &sealed[..40]).is_err());
    }

    #[test]
    fn a_view_opens_with_its_own_key_and_permit_only() {
        let (key, binding, sealed) = arrived();
        let permit = Digest::of(b"permit");
        let (view_key, wrapped) = rewrap(&key, &binding, &permit, &sealed).unwrap();
        assert_eq!(
            view_key.open(&permit, &wrapped).unwrap().as_slice(),
            b"what she told the nurse"
        );
        let (other, _) = rewrap(&key, &binding, &permit, &sealed).unwrap();
        assert!(other.open(&permit, &wrapped).is_err(), "two views share no key");
        assert!(view_key.open(&Digest::of(b"another"), &wrapped).is_err());
        for at in 0..wrapped.len() {
            let mut altered = wrapped.clone();
            altered[at] ^= 1;
            assert!(view_key.open(&permit, &altered).is_err(), "byte {at}");
            assert!(view_key.open(&permit, &wrapped[..at]).is_err(), "length {at}");
        }
    }

    #[test]
    fn what_is_kept_does_not_open_with_the_agencys_own_key() {
        let (key, binding, sealed) = arrived();
        let (_, wrapped) = rewrap(&key, &binding, &Digest::of(b"permit"), &sealed).unwrap();
        for from in 0..wrapped.len() {
            assert!(key.open(&binding, &wrapped[from..]).is_err(), "from byte {from}");
        }
        assert!(!wrapped.windows(16).any(|part| sealed.windows(16).any(|whole| whole == part)));
    }
}
