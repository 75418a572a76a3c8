//! Scopes: what belongs to one enquiry is sealed under a key of that enquiry, so that destroying one key erases all of it.
//!
//! The keys lie in a folder outside of the store ([`KeyFolder`]), so that a copy of the store never has them. A place
//! carries its scope: `<kind>/<enquiry>` or `<kind>/<enquiry>/…`, where the kind is one that the program lists in
//! [`Scopes`]. Who puts a value there need not know of keys.
//!
//! INVARIANTS
//! - A value whose scope has no key any more reads as nothing, wherever it lies: here, and in a copy that is put back.
//! - From [`Durable::begin_erasure`] on nothing is put into the scope, and never again; it is finished when
//!   [`Durable::finish_erasure`] has returned, and what was begun shows until then, across a restart.
//! - The key is gone before the values are removed: what a removal leaves in the store's file opens for nobody.
//! - A store opens with the folder that belongs to it and with no other, so that a folder that is missing is never
//!   taken for enquiries that were erased.
//!
//! A key is read from its file once and then kept in memory, wiped when it is dropped; so a commit reads no file, but
//! for the first one of an enquiry.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use zeroize::Zeroizing;

use super::{
    Durable, KeyFolder, MAX_BATCH_CHANGES, META, StoreError, data_key, place_of,
    seal::{ScopeKey, Scoped},
};
use crate::{id::EnquiryRef, secret::SecretBytes};

/// The most keys that are kept in memory, about 150 bytes each; then they are read anew.
const MAX_KEPT: usize = 65_536;

/// Where it stands to which folder of keys the store belongs.
const MARK: &[u8] = b"scopes";
/// Before the name of an enquiry whose erasure has begun.
const ERASING: &[u8] = b"erasing/";
/// Before the name of an enquiry that was erased.
const ERASED: &[u8] = b"erased/";

/// Which places of a store belong to an enquiry, and where the keys of enquiries are.
#[derive(Debug)]
pub struct Scopes {
    folder: KeyFolder<EnquiryRef>,
    kinds: &'static [&'static str],
}

impl Scopes {
    /// The keys in `folder`, for the store in `data`. `kinds` are the first parts of places whose second part is the enquiry
    /// they belong to.
    ///
    /// # Errors
    /// When the folder lies in the data, so that a copy of the data would have the keys, or can not be used.
    pub fn open(
        data: &Path,
        folder: &Path,
        kinds: &'static [&'static str],
    ) -> Result<Self, StoreError> {
        if folder.starts_with(data) {
            let text = "the folder of enquiry keys lies in the data folder, so a copy of the data would hold them";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text).into());
        }
        Ok(Self { folder: KeyFolder::open(folder)?, kinds })
    }
}

/// An erasure that has begun, with its note.
pub type Begun = (EnquiryRef, Zeroizing<Vec<u8>>);

/// The scopes of an open store.
pub(super) struct Scoping {
    scopes: Scopes,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: HashMap<EnquiryRef, Arc<ScopeKey>>,
    /// Erased, or being erased.
    erased: BTreeSet<EnquiryRef>,
}

impl Scoping {
    pub(super) fn new(scopes: Scopes) -> Self {
        Self { scopes, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The enquiry that a place belongs to; `None`: none.
    fn scope_of(&self, place: &[u8]) -> Result<Option<EnquiryRef>, StoreError> {
        let mut parts = place.split(|byte| *byte == b'/');
        let kind = parts.next().unwrap_or_default();
        if !self.scopes.kinds.iter().any(|known| known.as_bytes() == kind) {
            return Ok(None);
        }
        let named = parts.next().and_then(|part| std::str::from_utf8(part).ok()?.parse().ok());
        named.map(Some).ok_or(StoreError::Corrupt { what: "a place of an enquiry names none" })
    }
}

fn meta(prefix: &[u8], scope: &EnquiryRef) -> Vec<u8> {
    [&[META], prefix, scope.as_str().as_bytes()].concat()
}

impl Durable {
    fn scoping(&self) -> Result<&Scoping, StoreError> {
        self.inner.scoping.as_ref().ok_or(StoreError::Corrupt { what: "it has no scopes" })
    }

    /// Refuses a folder of keys that belongs to another store, and reads what was erased.
    pub(super) fn open_scopes(&self) -> Result<(), StoreError> {
        let Some(scoping) = &self.inner.scoping else { return Ok(()) };
        let (folder, place) = (&scoping.scopes.folder, [&[META][..], MARK].concat());
        let mark = folder.mark()?;
        match self.inner.db.get(&place)? {
            Some(sealed) => {
                let belongs = mark.as_ref().is_some_and(|mark| {
                    let opened = self.inner.keys.of_scope(mark).open(&place, &sealed);
                    matches!(opened, Ok(Scoped::Value(_)))
                });
                if !belongs {
                    // Cut off when it was made, before it had anything that needs a key; or a person says so.
                    let unused = mark.is_none() && !self.has_scoped(scoping)?;
                    if !unused && !folder.keys_are_lost()? {
                        return Err(StoreError::OtherKeyFolder);
                    }
                    self.set_mark(folder, place)?;
                }
            }
            // A new store does not take another's folder: whoever erases there would erase here.
            None if mark.is_some() => return Err(StoreError::OtherKeyFolder),
            None => self.set_mark(folder, place)?,
        }
        let mut state = scoping.state();
        for prefix in [ERASING, ERASED] {
            let all = [&[META][..], prefix].concat();
            for key in self.inner.db.scan_prefix(&all).keys() {
                let key = key?;
                let name = key.get(all.len()..).and_then(|name| std::str::from_utf8(name).ok());
                let name = name.and_then(|name| name.parse().ok());
                state.erased.insert(name.ok_or(StoreError::Corrupt { what: "an erasure" })?);
            }
        }
        Ok(())
    }

    /// Whether anything here belongs to an enquiry.
    fn has_scoped(&self, scoping: &Scoping) -> Result<bool, StoreError> {
        for kind in scoping.scopes.kinds {
            let first = self.inner.db.scan_prefix(data_key(format!("{kind}/").as_bytes())).next();
            if first.transpose()?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn set_mark(&self, folder: &KeyFolder<EnquiryRef>, place: Vec<u8>) -> Result<(), StoreError> {
        let mark = SecretBytes::random().map_err(|_| StoreError::NoRandomness)?;
        let sealed = self.inner.keys.of_scope(&mark).seal(&place, &[])?;
        // The store first: one that was cut off here finds no mark in its folder, and no keys either.
        self.inner.db.insert(place, sealed)?;
        self.make_durable()?;
        folder.set_mark(&mark)
    }

    /// The value that is sealed at a full key; `None` when its scope has no key.
    pub(super) fn opened(
        &self,
        key: &[u8],
        sealed: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let Some((scoping, scope)) = self.scope_at(key)? else {
            return Ok(Some(self.inner.keys.open(key, sealed)?));
        };
        let Some(own) = self.key_of(scoping, &scope)? else { return Ok(None) };
        match own.open(key, sealed)? {
            Scoped::Value(value) => Ok(Some(value)),
            Scoped::OfAnotherKey => Ok(None),
        }
    }

    /// Whether what is at a full key could be read: its scope, if it has one, has a key.
    pub(super) fn is_readable(&self, key: &[u8]) -> Result<bool, StoreError> {
        match self.scope_at(key)? {
            Some((scoping, scope)) => Ok(self.key_of(scoping, &scope)?.is_some()),
            None => Ok(true),
        }
    }

    /// Seals a value for its place; gives its scope as well.
    pub(super) fn sealed(
        &self,
        key: &[u8],
        value: &[u8],
    ) -> Result<(Vec<u8>, Option<EnquiryRef>), StoreError> {
        match self.scope_at(key)? {
            Some((scoping, scope)) => {
                let sealed = self.key_to_put(scoping, &scope)?.seal(key, value)?;
                Ok((sealed, Some(scope)))
            }
            None => Ok((self.inner.keys.seal(key, value)?, None)),
        }
    }

    fn scope_at(&self, key: &[u8]) -> Result<Option<(&Scoping, EnquiryRef)>, StoreError> {
        let Some(scoping) = &self.inner.scoping else { return Ok(None) };
        let place = key.get(1..).unwrap_or_default();
        Ok(scoping.scope_of(place)?.map(|scope| (scoping, scope)))
    }

    fn key_of(
        &self,
        scoping: &Scoping,
        scope: &EnquiryRef,
    ) -> Result<Option<Arc<ScopeKey>>, StoreError> {
        self.key_in(scoping, &mut scoping.state(), scope)
    }

    /// Under the lock, so that no key is read before it is destroyed and kept afterwards.
    fn key_in(
        &self,
        scoping: &Scoping,
        state: &mut State,
        scope: &EnquiryRef,
    ) -> Result<Option<Arc<ScopeKey>>, StoreError> {
        if let Some(key) = state.kept.get(scope) {
            return Ok(Some(Arc::clone(key)));
        }
        let Some(secret) = scoping.scopes.folder.key(scope)? else { return Ok(None) };
        let key = Arc::new(self.inner.keys.of_scope(&secret));
        if state.kept.len() >= MAX_KEPT {
            state.kept.clear();
        }
        state.kept.insert(scope.clone(), Arc::clone(&key));
        Ok(Some(key))
    }

    /// The key of a scope; a new scope is given one, durably, before anything is sealed under it.
    fn key_to_put(
        &self,
        scoping: &Scoping,
        scope: &EnquiryRef,
    ) -> Result<Arc<ScopeKey>, StoreError> {
        let mut state = scoping.state();
        if state.erased.contains(scope) {
            return Err(StoreError::Erased);
        }
        if let Some(key) = self.key_in(scoping, &mut state, scope)? {
            return Ok(key);
        }
        let secret = SecretBytes::random().map_err(|_| StoreError::NoRandomness)?;
        scoping.scopes.folder.put(scope, &secret)?;
        let key = self.key_in(scoping, &mut state, scope)?;
        key.ok_or(StoreError::Corrupt { what: "a key that was just kept is not there" })
    }

    /// Refuses a change of scopes that are being erased. The caller holds the lock of commits.
    pub(super) fn refuse_erased(&self, scopes: &BTreeSet<EnquiryRef>) -> Result<(), StoreError> {
        let Some(scoping) = &self.inner.scoping else { return Ok(()) };
        let state = scoping.state();
        let erased = scopes.iter().any(|scope| state.erased.contains(scope));
        if erased { Err(StoreError::Erased) } else { Ok(()) }
    }

    /// Every scope that has a key.
    ///
    /// # Errors
    /// When the disk fails, or the store was opened without scopes.
    pub fn scopes(&self) -> Result<Vec<EnquiryRef>, StoreError> {
        self.scoping()?.scopes.folder.names()
    }

    /// Whether the key of a scope is on the disk.
    ///
    /// # Errors
    /// As [`Durable::scopes`].
    pub fn has_key(&self, scope: &EnquiryRef) -> Result<bool, StoreError> {
        Ok(self.scoping()?.scopes.folder.key(scope)?.is_some())
    }

    /// Whether a scope was erased, or its erasure has begun.
    #[must_use]
    pub fn is_erased(&self, scope: &EnquiryRef) -> bool {
        let state = self.inner.scoping.as_ref().map(Scoping::state);
        state.is_some_and(|state| state.erased.contains(scope))
    }

    /// How many values a scope has, by kind; kinds without any are left out.
    ///
    /// # Errors
    /// As [`Durable::scopes`].
    pub fn count_in(&self, scope: &EnquiryRef) -> Result<Vec<(&'static str, u64)>, StoreError> {
        let mut counts = Vec::new();
        for kind in self.scoping()?.scopes.kinds {
            let mut n = 0_u64;
            for place in self.places_of(kind, scope) {
                place?;
                n += 1;
            }
            if n > 0 {
                counts.push((*kind, n));
            }
        }
        Ok(counts)
    }

    /// Full keys of one kind in one scope.
    fn places_of(
        &self,
        kind: &str,
        scope: &EnquiryRef,
    ) -> impl Iterator<Item = Result<Vec<u8>, StoreError>> + use<> {
        let whole = data_key(format!("{kind}/{scope}").as_bytes());
        self.inner.db.scan_prefix(&whole).keys().filter_map(move |key| match key {
            Ok(key) => {
                // Another name may begin with this one.
                let rest = key.get(whole.len()..).unwrap_or_default();
                (rest.is_empty() || rest.starts_with(b"/")).then(|| Ok(key.to_vec()))
            }
            Err(error) => Some(Err(error.into())),
        })
    }

    /// An erasure begins: durably, with a note of the caller's. Until it is finished the scope can be read; nothing is put
    /// into it any more.
    ///
    /// # Errors
    /// As [`Durable::commit`]. Begun again, the note is the new one.
    pub fn begin_erasure(&self, scope: &EnquiryRef, note: &[u8]) -> Result<(), StoreError> {
        self.refuse_failed()?;
        let scoping = self.scoping()?;
        let place = meta(ERASING, scope);
        let sealed = self.inner.keys.seal(&place, note)?;
        {
            // A commit that has looked before is applied before.
            let _guard = self.inner.commit.lock().unwrap_or_else(PoisonError::into_inner);
            scoping.state().erased.insert(scope.clone());
        }
        self.apply(vec![(place, Some(sealed))])?;
        self.make_durable()
    }

    /// Erasures that have begun and are not finished, with their notes.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn erasures_begun(&self) -> Result<Vec<Begun>, StoreError> {
        self.refuse_failed()?;
        let all = [&[META][..], ERASING].concat();
        let mut begun = Vec::new();
        for row in self.inner.db.scan_prefix(&all) {
            let (key, sealed) = row?;
            let name = key.get(all.len()..).and_then(|name| std::str::from_utf8(name).ok());
            let name = name.and_then(|name| name.parse().ok());
            let name = name.ok_or(StoreError::Corrupt { what: "an erasure" })?;
            begun.push((name, self.inner.keys.open(&key, &sealed)?));
        }
        Ok(begun)
    }

    /// Destroys the key of a scope whose erasure has begun, and removes its values. Called again, it does what is left.
    ///
    /// # Errors
    /// When the disk fails; then the erasure shows as begun.
    pub fn finish_erasure(&self, scope: &EnquiryRef) -> Result<(), StoreError> {
        self.refuse_failed()?;
        let scoping = self.scoping()?;
        let begun = meta(ERASING, scope);
        if !self.inner.db.contains_key(&begun)? {
            return Err(StoreError::Corrupt { what: "an erasure was not begun" });
        }
        {
            let mut state = scoping.state();
            scoping.scopes.folder.destroy(scope)?;
            state.kept.remove(scope);
        }
        for kind in scoping.scopes.kinds {
            let mut places = self.places_of(kind, scope).collect::<Result<Vec<_>, _>>()?;
            while !places.is_empty() {
                let rest = places.split_off(places.len().min(MAX_BATCH_CHANGES));
                self.apply(places.into_iter().map(|place| (place, None)).collect())?;
                places = rest;
            }
        }
        let done = meta(ERASED, scope);
        let sealed = self.inner.keys.seal(&done, &[])?;
        self.apply(vec![(begun, None), (done, Some(sealed))])?;
        self.make_durable()
    }
}

/// The place behind a full key, when it can be read.
pub(super) fn readable(store: &Durable, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(store.is_readable(key)?.then(|| place_of(key)))
}

#[cfg(test)]
mod tests;
