//! What the hub's store has that its log does not: colours, the referrer's first colours, when an incident was, and which enquiries are
//! about the same people. Nobody's name or analysis leaves this module, nor a reference but that of an enquiry and its people.
//!
//! The store is read by the command while the hub is stopped, or from a copy of its folders. No entry tells that it was read, for
//! only the running hub writes its log. What was erased is not there any more.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use brag_common::{
    durable::StoreError,
    id::{AgencyId, EnquiryRef, PersonRef},
    rating::Colour,
    store_key,
    time::Timestamp,
};

use crate::{
    config::Config,
    matrix::{self, Matrix},
    store::Store,
    take,
};

/// Every enquiry of a store, as far as it is counted.
#[derive(Debug, Default)]
pub struct Kept(BTreeMap<EnquiryRef, KeptEnquiry>);

/// One enquiry.
#[derive(Debug)]
pub struct KeptEnquiry {
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The agency that referred.
    pub referred_by: AgencyId,
    /// From the incident to the referral, in their own times; `None` when nobody entered when the incident was.
    pub lag: Option<brag_common::time::SignedDuration>,
    /// When its round closes.
    pub answer_by: Timestamp,
    /// Its people, in the order in which they were entered.
    pub people: Vec<KeptPerson>,
    /// Earlier enquiries to which its people were linked.
    pub earlier: Vec<EnquiryRef>,
}

/// One person of an enquiry.
#[derive(Debug)]
pub struct KeptPerson {
    /// Their reference.
    pub person: PersonRef,
    /// The referrer's first colour.
    pub initial: Option<Colour>,
    /// Current ratings.
    pub ratings: BTreeMap<AgencyId, Colour>,
    /// Whether ratings are two steps or more apart.
    pub divergent: bool,
    /// Whether the level is above the referrer's first colour, or the referrer's highest where there is none.
    pub uprated: bool,
}

impl Kept {
    /// Reads the store of the hub with this configuration.
    ///
    /// # Errors
    /// When there is none, the hub runs, a key is missing or does not belong to it, or the disk fails.
    pub fn read(config: &Path) -> anyhow::Result<Self> {
        let config = Config::load(config)?;
        let (data, keys) = (config.data.as_path(), config.enquiry_key_folder());
        // To open a store is to make it where there is none.
        for folder in [data.join("store"), keys.clone()] {
            anyhow::ensure!(folder.is_dir(), "`{}` is not there: no store", folder.display());
        }
        let key = store_key::open(data, config.keys.store.as_path())?;
        let store = Store::open(data, &keys, &key)
            .context("the store is read while the hub is stopped, or from a copy of its folders")?;
        Ok(Self::of(&store)?)
    }

    /// What is counted of a store.
    ///
    /// # Errors
    /// When the store fails.
    pub fn of(store: &Store) -> Result<Self, StoreError> {
        let mut kept = BTreeMap::new();
        for (name, record) in store.enquiries()? {
            let cells: Matrix = store
                .cells(&name)?
                .into_iter()
                .map(|(agency, person, cell)| ((agency, person), take::cell(&cell)))
                .collect();
            let highest = record.people.iter().filter_map(|person| person.initial).max();
            let people = record.people.iter().map(|entered| {
                let person = &entered.person;
                let about = cells.iter().filter(|((_, about), _)| about == person);
                let ratings = about.filter_map(|((agency, _), cell)| {
                    cell.rated().map(|rated| (agency.clone(), rated.colour))
                });
                let level = matrix::level(&cells, person);
                KeptPerson {
                    person: person.clone(),
                    initial: entered.initial,
                    ratings: ratings.collect(),
                    divergent: matrix::divergence(&cells, person),
                    uprated: matrix::uprated(level, entered.initial, highest),
                }
            });
            let people = people.collect();
            let earlier = store.earlier(&name)?.into_iter().map(|earlier| earlier.enquiry);
            let referral = &record.referral;
            let lag = referral.incident_at.map(|at| referral.received_at.duration_since(at));
            let one = KeptEnquiry {
                opened_at: record.opened_at,
                referred_by: referral.agency.clone(),
                lag,
                answer_by: record.answer_by,
                people,
                earlier: earlier.collect(),
            };
            kept.insert(name, one);
        }
        Ok(Self(kept))
    }

    /// Every enquiry.
    pub fn enquiries(&self) -> impl Iterator<Item = (&EnquiryRef, &KeptEnquiry)> {
        self.0.iter()
    }

    /// One enquiry; `None`: it was erased, or is not this store's.
    #[must_use]
    pub fn enquiry(&self, name: &EnquiryRef) -> Option<&KeptEnquiry> {
        self.0.get(name)
    }

    /// Enquiries that were linked to this one when they were opened, the oldest first.
    #[must_use]
    pub fn later(&self, name: &EnquiryRef) -> Vec<(&EnquiryRef, Timestamp)> {
        let later = self.0.iter().filter(|(_, one)| one.earlier.contains(name));
        let mut later: Vec<_> = later.map(|(later, one)| (later, one.opened_at)).collect();
        later.sort_by_key(|(_, opened_at)| *opened_at);
        later
    }
}
