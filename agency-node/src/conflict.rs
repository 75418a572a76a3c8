//! Staff who are linked to a family do not work on it: they do not see it in the worklist, and can not rate, sign, approve or open
//! anything of it. Whoever tries is refused, and information governance is told.
//!
//! Who is linked comes from two places: the configuration names records of the agency (`linked_to`), for what is known beforehand,
//! and anybody can say of an enquiry that it concerns them. A declaration is not taken back here; the operator of the node can.

use std::sync::Arc;

use brag_common::{
    alert::Alert,
    audit::entry::Action,
    durable::StoreError,
    id::{EnquiryRef, StaffName},
    matching::{
        compare::{Confirmation, confirm},
        identity::CanonicalIdentity,
    },
};

use crate::{
    desk::by,
    guard::{Refusal, SignedIn},
    node::Shared,
    store::{Change, Store, shapes::ConflictRecord},
};

/// Refuses somebody who is linked to the family of an enquiry, and raises an alert.
///
/// # Errors
/// When they are, or it can not be found out or recorded.
pub async fn free(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: &EnquiryRef,
) -> Result<(), Refusal> {
    let links = Links::of(shared, who.name());
    let asked = enquiry.clone();
    if !shared.store.run(move |store| links.reach(store, &asked)).await? {
        return Ok(());
    }
    let mut draft = by(shared, Action::AlertRaised, who);
    draft.enquiry = Some(enquiry.clone());
    shared.log.record(shared.alerts.raise(Alert::OwnFamily, draft)).await?;
    Err(Refusal::rule(
        "conflict_of_interest",
        "you are recorded as linked to this family; a colleague has to do this",
    ))
}

/// Keeps that somebody is linked to the family of an enquiry: from now on they do not work on it.
///
/// # Errors
/// When the node was not asked in the enquiry and was told nothing of it, or it can not be recorded.
pub async fn declare(
    shared: &Arc<Shared>,
    who: &SignedIn,
    enquiry: EnquiryRef,
) -> Result<(), Refusal> {
    let asked = enquiry.clone();
    let known = move |store: &Store| {
        Ok(store.enquiry(&asked)?.is_some() || !store.news_places_of(&asked)?.is_empty())
    };
    if !shared.store.run(known).await? {
        return Err(Refusal::NotFound("enquiry"));
    }
    let mut draft = by(shared, Action::ConflictDeclared, who);
    draft.enquiry = Some(enquiry.clone());
    shared.log.record(draft).await?;
    let mut change = Change::new();
    change.conflict(who.name(), &enquiry, &ConflictRecord { at: shared.clock.now() })?;
    Ok(shared.store.run(move |store| store.commit(change)).await?)
}

/// What one member of staff is linked to.
#[derive(Debug, Clone)]
pub struct Links {
    name: StaffName,
    /// The agency's own ids of people on its records.
    records: Vec<String>,
}

impl Links {
    /// Those of somebody, from the configuration.
    #[must_use]
    pub fn of(shared: &Shared, name: &StaffName) -> Self {
        let staff = shared.config.staff.iter().filter(|staff| staff.name == *name);
        let records = staff.flat_map(|staff| staff.linked_to.iter().cloned()).collect();
        Self { name: name.clone(), records }
    }

    /// Whether they reach into an enquiry: it was declared, or somebody in it is, or may be, a person they are linked to.
    ///
    /// # Errors
    /// When the store fails.
    pub fn reach(&self, store: &Store, enquiry: &EnquiryRef) -> Result<bool, StoreError> {
        if store.conflict(&self.name, enquiry)?.is_some() {
            return Ok(true);
        }
        if self.records.is_empty() {
            return Ok(false);
        }
        let mut linked = Vec::with_capacity(self.records.len());
        for id in &self.records {
            let Some(record) = store.record_of(id)? else { continue };
            let Some(person) = store.person(record)? else { continue };
            linked.extend(CanonicalIdentity::decode(&person.identity).ok());
        }
        for (_, known) in store.people_in(enquiry)? {
            let Some(opened) = known.opened else { continue };
            let Ok(asked) = CanonicalIdentity::decode(&opened.identity) else { continue };
            // Recorded twice, a person has two ids; so who they are decides, and a doubt counts.
            let same = |own: &CanonicalIdentity| {
                confirm(asked.identity(), own.identity()) != Confirmation::Different
            };
            if linked.iter().any(same) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
