//! Sealed blobs: identities and detail as they travel.

use brag_common::seal::Binding;

use crate::seeds::{Ground, SEALED_TEXT};

/// Opens nothing but what was sealed to this key as this; and nothing at all as something else.
pub(crate) fn sealed(bytes: &[u8]) -> bool {
    let key = &Ground::get().sealing;
    assert!(key.open(&Binding::identity(&[b"detail"]), bytes).is_err(), "opened as another thing");
    match key.open(&Binding::detail(&[b"detail"]), bytes) {
        Ok(text) => {
            // Anybody can seal to a public key; the search has none, so this is a seed or a broken seal.
            assert_eq!(text.as_slice(), SEALED_TEXT, "a sealed text was altered");
            true
        }
        Err(_) => false,
    }
}
