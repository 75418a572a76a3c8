//! Drafts in the store: at `draft/<member of staff>/<draft>/head` and, each for itself, `…/person/<number>`, since a value has a
//! greatest size. They belong to no enquiry yet.

use brag_common::{
    durable::StoreError,
    id::{RequestId, StaffName},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{Change, Store, shape};
use crate::written_enquiry::{WrittenEnquiry, WrittenPerson};

/// An enquiry that somebody is still writing.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DraftRecord {
    /// When it was begun.
    pub(crate) started_at: Timestamp,
    /// When it was last saved.
    pub(crate) saved_at: Timestamp,
    /// What is written. In the head of the record without its people.
    pub(crate) enquiry: WrittenEnquiry,
}

impl std::fmt::Debug for DraftRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DraftRecord").field("saved_at", &self.saved_at).finish_non_exhaustive()
    }
}

fn folder(of: &StaffName, draft: &RequestId) -> String {
    format!("draft/{of}/{draft}/")
}

impl Store {
    /// One draft of a member of staff.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn draft(
        &self,
        of: &StaffName,
        draft: &RequestId,
    ) -> Result<Option<DraftRecord>, StoreError> {
        let folder = folder(of, draft);
        let Some(mut record) = self.get::<DraftRecord>(&format!("{folder}head"))? else {
            return Ok(None);
        };
        let people = self.scan::<WrittenPerson>(&format!("{folder}person/"))?;
        record.enquiry.person = people.into_iter().map(|(_, person)| person).collect();
        Ok(Some(record))
    }

    /// Every draft: whose, its name, and when it was last saved.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn drafts(&self) -> Result<Vec<(StaffName, RequestId, Timestamp)>, StoreError> {
        let mut found = Vec::new();
        let places: Vec<String> = self.places("draft/").collect::<Result<_, _>>()?;
        for place in places {
            let Some(rest) = place.strip_suffix("/head") else { continue };
            let (of, draft) = rest.split_once('/').ok_or_else(shape)?;
            let of: StaffName = of.parse().map_err(|_| shape())?;
            let draft: RequestId = draft.parse().map_err(|_| shape())?;
            // Erased meanwhile: it is none.
            let Some(record) = self.get::<DraftRecord>(&format!("draft/{place}"))? else {
                continue;
            };
            found.push((of, draft, record.saved_at));
        }
        Ok(found)
    }
}

impl Change {
    /// A draft as it now stands, in the place of one with `n_before` people.
    ///
    /// # Errors
    /// When it can not be encoded.
    pub(crate) fn draft(
        &mut self,
        of: &StaffName,
        draft: &RequestId,
        (record, n_before): (&DraftRecord, usize),
    ) -> Result<(), StoreError> {
        let folder = folder(of, draft);
        let mut head = record.clone();
        let people = std::mem::take(&mut head.enquiry.person);
        self.put(&format!("{folder}head"), &head)?;
        for (n, person) in people.iter().enumerate() {
            self.put(&format!("{folder}person/{n:02}"), person)?;
        }
        for n in people.len()..n_before {
            self.batch.remove(format!("{folder}person/{n:02}"));
        }
        Ok(())
    }

    /// A draft is not needed any more.
    pub(crate) fn draft_is_over(&mut self, of: &StaffName, draft: &RequestId, n_people: usize) {
        let folder = folder(of, draft);
        self.batch.remove(format!("{folder}head"));
        for n in 0..n_people {
            self.batch.remove(format!("{folder}person/{n:02}"));
        }
    }
}
