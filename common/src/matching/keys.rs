//! Match keys: the tight combinations of facts that two agencies compare.
//!
//! A key that hits tells a node its components, so each kind must be tight by itself: [`KeyKind::ALL`] is the set, and
//! [`KeyKind::measured`] how often each finds the same person and hits another.
//!
//! | name | made of |
//! |---|---|
//! | `K1` | one checksum-valid NHS number or UPN |
//! | `K13` | day of birth; four digits of that number |
//! | `K14` | starts of both names in either order; four digits of that number |
//! | `K17` | as `K7`, where an NHS number or a UPN is on record; not the number itself |
//! | `K5` | family name, given name and day of birth in full |
//! | `K2` | starts of both names in either order; day of birth |
//! | `K6` | start of the family name; day of birth; postcode district |
//! | `K3` | start of the given name; day of birth; postcode district |
//! | `K4` | starts of both names in either order; postcode district; house numbers |
//! | `K7` | day of birth; postcode district; house numbers |
//! | `K8` | start of the family name; day of birth; house numbers |
//! | `K9` | start of the given name; day of birth; house numbers |
//! | `K15` | start of the given name; year of birth; postcode district; house numbers |
//! | `K10` | sounds of both names in either order; year and day of the month of birth |
//! | `K11` | sounds of both names in either order; year and month of birth |
//! | `K12` | both names in full in either order; month and day of birth |
//! | `K16` | family name and given name in full; postcode district; house numbers |
//! | `K18` | family name and given name in full; year of birth; postcode district |
//!
//! A start is three letters, a sound the Soundex code, a given name its formal form (Bob is Robert). Three of them (`K5`, `K15`,
//! `K16`) repeat in full what others ask in part: they tell twins and relatives from the person. `K17` says that a number which
//! was asked and missed is another number, and not one that is not on record: without it the two look alike.
//!
//! A kind whose facts are missing, or are placeholders such as `1900-01-01` and `Unknown`, gives no key. The text of a key
//! starts with `brag/v1|` and its kind and version, so keys of two kinds or versions never meet.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use rand_core::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use super::identity::Identity;

mod facts;
mod kind;

pub(super) use facts::MIN_NAME_LETTERS;
use facts::all_keys;
pub use kind::{KeyKind, Measured};

/// Keys in a query, dummies included: always as many, so that their number tells nothing.
/// Even, and as many as there are kinds: a query with every fact leaves no kind out.
pub const QUERY_SLOTS: usize = 18;
/// Most keys that one person is enrolled under.
pub const ENROLMENT_SLOTS: usize = 32;

/// A match key. Personal: its text can be read back.
#[derive(Clone, PartialEq, Eq)]
pub struct MatchKey {
    kind: KeyKind,
    text: Zeroizing<String>,
}

impl MatchKey {
    fn new(kind: KeyKind, parts: &[&str]) -> Self {
        let text = format!("brag/v1|{}|{}", kind.label(), parts.join("|"));
        Self { kind, text: Zeroizing::new(text) }
    }

    /// Which facts the key is made of.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The input of the pseudorandom function: ASCII, at most 600 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Hash for MatchKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.as_bytes().hash(state);
    }
}

impl fmt::Debug for MatchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MatchKey({}, [personal])", self.kind.label())
    }
}

/// The keys under which a person is enrolled: distinct, at most [`ENROLMENT_SLOTS`], those that say most first.
#[must_use]
pub fn enrolment_keys(identity: &Identity) -> Vec<MatchKey> {
    let mut keys = all_keys(identity);
    keys.truncate(ENROLMENT_SLOTS);
    keys
}

/// The slots of a query in random order; an absent key is a dummy. When there are more keys than slots, identifiers go
/// first, then the keys of the current name and address.
pub fn query_slots<R: RngCore + CryptoRng>(
    identity: &Identity,
    rng: &mut R,
) -> [Option<MatchKey>; QUERY_SLOTS] {
    let mut slots = [const { None }; QUERY_SLOTS];
    for (slot, key) in slots.iter_mut().zip(all_keys(identity)) {
        *slot = Some(key);
    }
    shuffle(&mut slots, rng);
    slots
}

/// Fisher and Yates' shuffle, the index drawn without bias.
pub(super) fn shuffle<T, R: RngCore>(items: &mut [T], rng: &mut R) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last + 1, rng));
    }
}

/// A random number below `bound`, which is at least 1, by rejection.
fn below<R: RngCore>(bound: usize, rng: &mut R) -> usize {
    let bound = bound as u64;
    let usable = u64::MAX - u64::MAX % bound;
    loop {
        let drawn = rng.next_u64();
        if drawn < usable {
            return usize::try_from(drawn % bound).unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests;
