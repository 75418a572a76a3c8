//! The agreement that holds now, while the program runs: versions are added as the partnership signs them, and none is ever
//! taken away, so what was signed under an earlier one can still be verified.
//!
//! A version that is signed ahead of its first day waits, and takes over at its first instant without anybody's doing. Every
//! party then changes over at the same moment.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use crate::{
    agreement::SignedAgreement,
    statement::Realm,
    time::{SharedClock, Timestamp},
};

/// One version, and what a program holds for it.
#[derive(Debug)]
pub struct Version<K> {
    /// As all parties signed it, with the versions before it.
    pub agreement: SignedAgreement,
    /// Where statements under it hold.
    pub realm: Realm,
    /// The program's own keys, as this version names them.
    pub keys: K,
}

/// Versions, oldest first. References into it live as long as it does: it only grows.
pub struct Versions<K> {
    first: Link<K>,
    clock: SharedClock,
}

struct Link<K> {
    version: Version<K>,
    next: OnceLock<Box<Self>>,
}

impl<K> Versions<K> {
    /// Begins with one version.
    #[must_use]
    pub fn new(first: Version<K>, clock: SharedClock) -> Self {
        Self { first: Link { version: first, next: OnceLock::new() }, clock }
    }

    /// The version that holds now: the newest whose first instant has come, or the first of all.
    #[must_use]
    pub fn current(&self) -> &Version<K> {
        let now = self.clock.now();
        let mut current = &self.first;
        let mut link = current;
        while let Some(next) = link.next.get() {
            link = next;
            if link.version.agreement.agreement().starts() <= now {
                current = link;
            }
        }
        &current.version
    }

    /// The newest version, whether it holds yet or not.
    #[must_use]
    pub fn newest(&self) -> &Version<K> {
        let mut link = &self.first;
        while let Some(next) = link.next.get() {
            link = next;
        }
        &link.version
    }

    /// Adds the version after the newest. Of two that are added at once, the second waits for the first.
    pub fn add(&self, version: Version<K>) {
        let mut adding = Box::new(Link { version, next: OnceLock::new() });
        let mut link = &self.first;
        loop {
            while let Some(next) = link.next.get() {
                link = next;
            }
            match link.next.set(adding) {
                Ok(()) => return,
                Err(back) => adding = back,
            }
        }
    }
}

impl<K> fmt::Debug for Versions<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Versions(now {})", self.current().agreement.agreement().version())
    }
}

/// When a version takes over here: at its first instant, or when this program accepted it if that was later.
#[must_use]
pub fn takes_over(agreement: &SignedAgreement, accepted_at: Timestamp) -> Timestamp {
    agreement.agreement().starts().max(accepted_at)
}

/// The agreement that holds now.
#[derive(Debug)]
pub struct AgreementNow<K>(Arc<Versions<K>>);

impl<K> AgreementNow<K> {
    /// The agreement of the current version of `versions`.
    #[must_use]
    pub const fn of(versions: Arc<Versions<K>>) -> Self {
        Self(versions)
    }

    /// All versions.
    #[must_use]
    pub const fn versions(&self) -> &Arc<Versions<K>> {
        &self.0
    }
}

impl<K> Deref for AgreementNow<K> {
    type Target = SignedAgreement;

    fn deref(&self) -> &SignedAgreement {
        &self.0.current().agreement
    }
}

/// Where statements hold now.
#[derive(Debug)]
pub struct RealmNow<K>(Arc<Versions<K>>);

impl<K> RealmNow<K> {
    /// The realm of the current version of `versions`.
    #[must_use]
    pub const fn of(versions: Arc<Versions<K>>) -> Self {
        Self(versions)
    }
}

impl<K> Deref for RealmNow<K> {
    type Target = Realm;

    fn deref(&self) -> &Realm {
        &self.0.current().realm
    }
}
