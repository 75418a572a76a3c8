//! Across enquiries: who was asked about before, by the same match keys and weights as the screening.
//!
//! The index is looked up and never scanned, and lies in memory only; on the disk the keys of a person are part of their
//! enquiry and go with it. What it finds is confirmed on both full identities, which the hub has.

use std::collections::BTreeMap;

use brag_common::{
    agreement::SignedAgreement,
    durable::StoreError,
    id::{EnquiryRef, PersonRef},
    matching::{
        compare::{Confirmation, confirm},
        identity::Identity,
        keys::enrolment_keys,
        weigh::{Kinds, posterior},
    },
};

use crate::store::{
    Change, Store,
    shapes::{EarlierRecord, EnquiryRecord},
};

/// From which posterior a person is linked, and from which they are found at all; both from the agreement.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    linked: f64,
    found: f64,
}

impl Bounds {
    /// The agreement's thresholds.
    #[must_use]
    pub fn agreement(agreement: &SignedAgreement) -> Self {
        let terms = agreement.agreement().matching();
        Self { linked: terms.disclose_from, found: terms.review_from }
    }
}

/// Somebody of an earlier enquiry who is, or may be, the same person.
#[derive(Debug)]
pub struct Found {
    /// The enquiry.
    pub name: EnquiryRef,
    /// As it is kept.
    pub enquiry: EnquiryRecord,
    /// The person there.
    pub person: PersonRef,
    /// Whether somebody has to compare before it is taken for the same person.
    pub unclear: bool,
    posterior: f64,
}

impl Found {
    /// Likely by the keys, or the same by comparison: anything less would show a stranger's level.
    #[must_use]
    pub fn is_linked(&self, bounds: Bounds) -> bool {
        !self.unclear || self.posterior >= bounds.linked
    }
}

/// Everybody of any enquiry who is, or may be, this person; newest first.
///
/// # Errors
/// When the store fails.
pub fn find(store: &Store, identity: &Identity, bounds: Bounds) -> Result<Vec<Found>, StoreError> {
    let mut asked = Kinds::default();
    let mut hits: BTreeMap<(EnquiryRef, PersonRef), Kinds> = BTreeMap::new();
    for key in enrolment_keys(identity) {
        asked = asked.with(key.kind());
        for place in store.under_key(key.as_bytes()) {
            let kinds = hits.entry(place).or_default();
            *kinds = kinds.with(key.kind());
        }
    }
    let n_people = store.n_findable();
    let mut found = Vec::new();
    for ((name, person), kinds) in hits {
        let posterior = posterior(asked, kinds, n_people);
        if posterior < bounds.found {
            continue;
        }
        let Some(enquiry) = store.enquiry(&name)? else { continue };
        let Some(record) = enquiry.person(&person) else { continue };
        let Ok(other) = Identity::from_canonical_bytes(&record.identity) else { continue };
        let unclear = match confirm(identity, &other) {
            Confirmation::Different => continue,
            Confirmation::Unclear => true,
            Confirmation::Same => false,
        };
        found.push(Found { name, enquiry, person, unclear, posterior });
    }
    found.sort_by(|a, b| (b.enquiry.opened_at, &b.name).cmp(&(a.enquiry.opened_at, &a.name)));
    Ok(found)
}

/// Links the people of a new enquiry to earlier ones, and lets them be found from now on.
///
/// # Errors
/// When the store fails or something can not be encoded.
pub fn link(
    store: &Store,
    name: &EnquiryRef,
    record: &EnquiryRecord,
    bounds: Bounds,
    change: &mut Change,
) -> Result<(), StoreError> {
    let mut earlier = Vec::new();
    for person in &record.people {
        let Ok(identity) = Identity::from_canonical_bytes(&person.identity) else { continue };
        for found in find(store, &identity, bounds)? {
            if found.is_linked(bounds) {
                earlier.push(EarlierRecord {
                    person: person.person.clone(),
                    enquiry: found.name,
                    earlier_person: found.person,
                    opened_at: found.enquiry.opened_at,
                });
            }
        }
        let keys = enrolment_keys(&identity);
        change.findable(store, name, &person.person, keys.iter().map(|key| key.as_bytes()))?;
    }
    if !earlier.is_empty() {
        change.earlier(name, &earlier)?;
    }
    Ok(())
}
