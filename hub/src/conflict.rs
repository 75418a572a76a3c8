//! Staff of the hub who are linked to a family do not work on it: they can not open, see or follow an enquiry about it, or ask for
//! anything in it. Whoever tries is refused, and information governance is told.
//!
//! Who is linked comes from two places: files about people that the configuration names (`linked_to`), for what is known beforehand,
//! and anybody can say of an enquiry that it concerns them. A declaration is not taken back here; the operator of the hub can.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use brag_common::{
    alert::Alert,
    audit::entry::Action,
    durable::StoreError,
    id::{EnquiryRef, StaffName},
    matching::{
        compare::{Confirmation, confirm},
        identity::{CanonicalIdentity, Identity},
    },
};

use crate::{
    config::Config,
    enquiry_file,
    guard::{Refusal, SignedIn},
    hub::Shared,
    store::{
        Change, Store,
        shapes::{ConflictRecord, EnquiryRecord},
    },
};

/// The code of the refusal; the alert is its entry.
pub const CODE: &str = "conflict_of_interest";

/// People whom each member of staff is linked to.
#[derive(Debug, Clone, Default)]
pub struct LinkedPeople(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    people: BTreeMap<StaffName, Vec<CanonicalIdentity>>,
    looked: Mutex<BTreeMap<StaffName, Arc<Reached>>>,
}

/// Whether somebody is linked to one of an enquiry's people, of the enquiries that were there when they last asked. Who is in an
/// enquiry never changes, so it is found out once.
type Reached = BTreeMap<EnquiryRef, bool>;

impl LinkedPeople {
    /// Reads the files that the configuration names.
    ///
    /// # Errors
    /// When one can not be read or is not about a person.
    pub fn read(config: &Config) -> anyhow::Result<Self> {
        let mut people: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for staff in &config.staff {
            for path in &staff.linked_to {
                let bytes = enquiry_file::load_person(path.as_path())?;
                let person = CanonicalIdentity::decode(&bytes)?;
                people.entry(staff.name.clone()).or_default().push(person);
            }
        }
        Ok(Self(Arc::new(Inner { people, looked: Mutex::default() })))
    }

    /// Whether somebody is linked to one of these people; a doubt about who they are counts.
    #[must_use]
    pub fn reach(&self, name: &StaffName, people: &[&Identity]) -> bool {
        let linked = self.0.people.get(name).map(Vec::as_slice).unwrap_or_default();
        linked.iter().any(|own| {
            let same =
                |asked: &&Identity| confirm(asked, own.identity()) != Confirmation::Different;
            people.iter().any(same)
        })
    }

    fn reach_record(&self, name: &StaffName, record: &EnquiryRecord) -> bool {
        if !self.0.people.contains_key(name) {
            return false;
        }
        let identities =
            record.people.iter().map(|person| CanonicalIdentity::decode(&person.identity));
        let identities: Vec<CanonicalIdentity> = identities.filter_map(Result::ok).collect();
        let people: Vec<&Identity> = identities.iter().map(CanonicalIdentity::identity).collect();
        self.reach(name, &people)
    }

    /// Whether somebody may not work on an enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn reach_enquiry(
        &self,
        store: &Store,
        name: &StaffName,
        enquiry: &EnquiryRef,
        record: &EnquiryRecord,
    ) -> Result<bool, StoreError> {
        Ok(store.conflict(name, enquiry)?.is_some() || self.reach_record(name, record))
    }

    /// Every enquiry that somebody may work on. Who is in one is read only for somebody whom the configuration links to people, and
    /// once: for all others names are enough.
    ///
    /// # Errors
    /// When the store fails.
    pub fn leave_free(
        &self,
        store: &Store,
        name: &StaffName,
    ) -> Result<Vec<EnquiryRef>, StoreError> {
        let mut free = store.enquiry_names()?;
        if self.0.people.contains_key(name) {
            let reached = self.reached(store, name, &free)?;
            // One that was erased meanwhile is in neither.
            free.retain(|enquiry| reached.get(enquiry) == Some(&false));
        }
        let declared = store.conflicts_of(name)?;
        free.retain(|enquiry| !declared.contains(enquiry));
        Ok(free)
    }

    fn reached(
        &self,
        store: &Store,
        name: &StaffName,
        enquiries: &[EnquiryRef],
    ) -> Result<Arc<Reached>, StoreError> {
        let before = self.looked().get(name).cloned().unwrap_or_default();
        let mut reached = Reached::new();
        for enquiry in enquiries {
            let known = match before.get(enquiry) {
                Some(known) => Some(*known),
                None => store.enquiry(enquiry)?.map(|record| self.reach_record(name, &record)),
            };
            reached.extend(known.map(|known| (enquiry.clone(), known)));
        }
        let reached = Arc::new(reached);
        self.looked().insert(name.clone(), Arc::clone(&reached));
        Ok(reached)
    }

    /// Whole at every moment, so one that a panic left is good.
    fn looked(&self) -> MutexGuard<'_, BTreeMap<StaffName, Arc<Reached>>> {
        self.0.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses somebody who would open an enquiry about a family they are linked to, and raises an alert.
///
/// # Errors
/// When they are, or it can not be recorded.
pub async fn may_open(
    shared: &Arc<Shared>,
    who: &SignedIn,
    record: &EnquiryRecord,
) -> Result<(), Refusal> {
    if shared.linked.reach_record(who.name(), record) {
        return Err(refuse(shared, who, None).await?);
    }
    Ok(())
}

/// Refuses somebody who is linked to the family of an enquiry, and raises an alert. An enquiry that does not exist is for others to
/// refuse.
///
/// # Errors
/// When they are, or it can not be found out or recorded.
pub async fn free(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: &EnquiryRef,
) -> Result<(), Refusal> {
    let (linked, name, asked) = (shared.linked.clone(), who.name().clone(), enquiry.clone());
    let reaches = shared.store.run(move |store| match store.enquiry(&asked)? {
        Some(record) => linked.reach_enquiry(store, &name, &asked, &record),
        None => Ok(false),
    });
    if reaches.await? {
        return Err(refuse(shared, who, Some(enquiry)).await?);
    }
    Ok(())
}

async fn refuse(
    shared: &Shared,
    who: &SignedIn,
    enquiry: Option<&EnquiryRef>,
) -> Result<Refusal, Refusal> {
    let mut draft = who.signs(shared.draft(Action::AlertRaised));
    draft.enquiry = enquiry.cloned();
    shared.log.record(shared.alerts.raise(Alert::OwnFamily, draft)).await?;
    Ok(Refusal::rule(CODE, "you are recorded as linked to this family; a colleague has to do this"))
}

/// Keeps that somebody is linked to the family of an enquiry: from now on they do not work on it.
///
/// # Errors
/// When there is no such enquiry, or it can not be recorded.
pub async fn declare(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: EnquiryRef,
) -> Result<(), Refusal> {
    let asked = enquiry.clone();
    if shared.store.run(move |store| store.enquiry(&asked)).await?.is_none() {
        return Err(Refusal::NotFound("enquiry"));
    }
    let mut draft = who.signs(shared.draft(Action::ConflictDeclared));
    draft.enquiry = Some(enquiry.clone());
    shared.log.record(draft).await?;
    let mut change = Change::new();
    change.conflict(who.name(), &enquiry, &ConflictRecord { at: shared.clock.now() })?;
    Ok(shared.store.run(move |store| store.commit(change)).await?)
}
