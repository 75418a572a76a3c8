//! Secrets: never printed, never serialised, wiped when dropped.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes that are never shown. `Debug` prints `[secret]`; there is no `Serialize`.
#[derive(Clone)]
pub struct SecretBytes<const N: usize>(Zeroizing<[u8; N]>);

impl<const N: usize> SecretBytes<N> {
    /// Takes `bytes` as a secret.
    #[must_use]
    pub fn new(bytes: [u8; N]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A secret of random bytes.
    ///
    /// # Errors
    /// When the operating system gives no randomness; nothing can be done safely without it.
    pub fn random() -> Result<Self, NoRandomness> {
        random_bytes().map(Self::new)
    }

    /// The bytes, for a cipher or a key file.
    #[must_use]
    pub fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> fmt::Debug for SecretBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// The operating system gave no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoRandomness;

/// `N` bytes from the operating system's generator.
///
/// # Errors
/// When the operating system gives none.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    use ring::rand::SecureRandom as _;
    let mut bytes = [0; N];
    ring::rand::SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_the_bytes() {
        assert_eq!(format!("{:?}", SecretBytes::new([7; 4])), "[secret]");
    }
}
