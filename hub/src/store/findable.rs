//! Who can be found by a match key, in memory only.
//!
//! On the disk a person's keys are a value of their enquiry, sealed under its key; no place names them. So nothing is left by
//! which somebody could be looked up, here or in a copy, once the enquiry is erased. The index is read from the store when the hub
//! starts: about 100 bytes for each key of each person, about twenty keys a person.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{PoisonError, RwLock},
};

use brag_common::id::{EnquiryRef, PersonRef};

/// A match key under the store's own key, so that memory holds no key that could be tried elsewhere.
pub(super) type Blinded = [u8; 16];

/// The index.
#[derive(Debug, Default)]
pub(super) struct Findable(RwLock<Index>);

#[derive(Debug, Default)]
struct Index {
    by_key: HashMap<Blinded, Vec<(EnquiryRef, PersonRef)>>,
    keys_of: BTreeMap<(EnquiryRef, PersonRef), Vec<Blinded>>,
}

impl Findable {
    /// From now on the person is found by these keys. The same person again changes nothing.
    pub(super) fn add(&self, enquiry: &EnquiryRef, person: &PersonRef, keys: Vec<Blinded>) {
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let place = (enquiry.clone(), person.clone());
        if index.keys_of.contains_key(&place) {
            return;
        }
        for key in &keys {
            index.by_key.entry(*key).or_default().push(place.clone());
        }
        index.keys_of.insert(place, keys);
    }

    /// Nobody of the enquiry is found any more.
    pub(super) fn forget(&self, enquiry: &EnquiryRef) {
        let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Index { by_key, keys_of } = &mut *index;
        keys_of.retain(|place, keys| {
            if place.0 != *enquiry {
                return true;
            }
            for key in keys {
                if let Some(places) = by_key.get_mut(key) {
                    places.retain(|other| other != place);
                    if places.is_empty() {
                        by_key.remove(key);
                    }
                }
            }
            false
        });
    }

    /// Everybody who has the key.
    pub(super) fn under(&self, key: &Blinded) -> Vec<(EnquiryRef, PersonRef)> {
        let index = self.0.read().unwrap_or_else(PoisonError::into_inner);
        index.by_key.get(key).cloned().unwrap_or_default()
    }

    /// How many people can be found.
    pub(super) fn n_people(&self) -> u64 {
        let index = self.0.read().unwrap_or_else(PoisonError::into_inner);
        u64::try_from(index.keys_of.len()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use brag_common::secret::SecretBytes;

    use super::*;
    use crate::store::{Change, Store};

    #[test]
    fn people_are_found_after_a_restart_until_their_enquiry_is_erased() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let (data, keys) = (folder.path().join("data"), folder.path().join("keys"));
            Store::open(&data, &keys, &SecretBytes::new([7; 32])).unwrap()
        };
        let (e1, e2): (EnquiryRef, EnquiryRef) = ("e1".parse().unwrap(), "e2".parse().unwrap());
        let person: PersonRef = "p1".parse().unwrap();
        let store = open();
        for enquiry in [&e1, &e2] {
            let mut change = Change::new();
            change.findable(&store, enquiry, &person, [b"K01 9990000018"]).unwrap();
            store.commit(change).unwrap();
        }
        drop(store);
        let store = open();
        assert_eq!(store.under_key(b"K01 9990000018").len(), 2);
        assert_eq!(store.n_findable(), 2);
        store.durable().begin_erasure(&e1, b"").unwrap();
        store.forget(&e1).unwrap();
        store.durable().finish_erasure(&e1).unwrap();
        let only = [(e2, person)];
        assert_eq!(store.under_key(b"K01 9990000018"), only);
        drop(store);
        assert_eq!(open().under_key(b"K01 9990000018"), only);
    }

    #[test]
    fn who_is_forgotten_is_under_no_key_and_others_stay() {
        let (e1, e2): (EnquiryRef, EnquiryRef) = ("e1".parse().unwrap(), "e2".parse().unwrap());
        let person: PersonRef = "p1".parse().unwrap();
        let findable = Findable::default();
        findable.add(&e1, &person, vec![[1; 16], [2; 16]]);
        findable.add(&e2, &person, vec![[1; 16]]);
        findable.add(&e2, &person, vec![[1; 16]]);
        assert_eq!(findable.under(&[1; 16]).len(), 2);
        findable.forget(&e1);
        findable.forget(&e1);
        assert_eq!(findable.under(&[1; 16]), [(e2, person)]);
        assert!(findable.under(&[2; 16]).is_empty());
        assert_eq!(findable.n_people(), 1);
    }
}
