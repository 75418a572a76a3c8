//! Which enquiries have changed, for those who keep something that follows from them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use brag_common::id::EnquiryRef;
use tokio::sync::Notify;

/// Changes of enquiries since the store was opened.
#[derive(Debug, Default)]
pub struct Changes {
    inner: Mutex<Inner>,
    marked: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// How often each has changed.
    generations: BTreeMap<EnquiryRef, u64>,
    /// Those that nobody has looked at since.
    marked: BTreeSet<EnquiryRef>,
}

impl Changes {
    /// Whole at every moment, so one that a panic left is good.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enquiries have changed.
    pub(super) fn made<'e>(&self, enquiries: impl IntoIterator<Item = &'e EnquiryRef>) {
        let mut inner = self.inner();
        for enquiry in enquiries {
            let generation = inner.generations.entry(enquiry.clone()).or_default();
            *generation = generation.saturating_add(1);
            inner.marked.insert(enquiry.clone());
        }
        drop(inner);
        self.marked.notify_one();
    }

    /// How often an enquiry has changed.
    #[must_use]
    pub fn generation(&self, enquiry: &EnquiryRef) -> u64 {
        self.inner().generations.get(enquiry).copied().unwrap_or_default()
    }

    /// These have to be looked at.
    pub fn mark(&self, enquiries: impl IntoIterator<Item = EnquiryRef>) {
        self.inner().marked.extend(enquiries);
        self.marked.notify_one();
    }

    /// Those that have changed since they were last taken.
    #[must_use]
    pub fn take(&self) -> BTreeSet<EnquiryRef> {
        std::mem::take(&mut self.inner().marked)
    }

    /// Until something is marked.
    pub async fn changed(&self) {
        self.marked.notified().await;
    }
}
