//! Changes that belong together.

use std::fmt;

use zeroize::Zeroizing;

/// Changes that are made together or not at all; see [`Durable::commit`](super::Durable::commit).
///
/// When a place is named twice, the later change counts.
#[derive(Default)]
pub struct Batch {
    pub(super) changes: Vec<Change>,
    pub(super) absent: Vec<Vec<u8>>,
}

pub(super) enum Change {
    Put { place: Vec<u8>, value: Zeroizing<Vec<u8>> },
    Remove { place: Vec<u8> },
}

impl Batch {
    /// No changes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `value` at `place`, over what is there. The place must hold no personal data.
    pub fn put(&mut self, place: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        let value = Zeroizing::new(value.into());
        self.changes.push(Change::Put { place: place.into(), value });
        self
    }

    /// Takes away what is at `place`; nothing there is no error.
    ///
    /// The sealed bytes stay in the store's file until sled reuses their place.
    pub fn remove(&mut self, place: impl Into<Vec<u8>>) -> &mut Self {
        self.changes.push(Change::Remove { place: place.into() });
        self
    }

    /// The whole batch is refused when there is something at `place`, before any of its changes.
    pub fn require_absent(&mut self, place: impl Into<Vec<u8>>) -> &mut Self {
        self.absent.push(place.into());
        self
    }

    /// Whether it changes nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many changes it makes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.changes.len()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} changes, {} conditions)", self.changes.len(), self.absent.len())
    }
}
