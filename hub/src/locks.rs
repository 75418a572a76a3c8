//! Locks by name: answers of one agency in one enquiry are taken one at a time, others in parallel.

use std::hash::{DefaultHasher, Hash, Hasher as _};

use brag_common::id::{AgencyId, EnquiryRef};
use tokio::sync::{Mutex, MutexGuard};

/// How many locks there are; names share them by hash.
const N_LOCKS: usize = 64;

/// A fixed number of locks for any number of names.
#[derive(Debug)]
pub struct Locks(Vec<Mutex<()>>, Mutex<()>);

impl Default for Locks {
    fn default() -> Self {
        Self((0..N_LOCKS).map(|_| Mutex::new(())).collect(), Mutex::new(()))
    }
}

impl Locks {
    /// Waits for the lock of an agency in an enquiry.
    pub async fn of(&self, enquiry: &EnquiryRef, agency: &AgencyId) -> MutexGuard<'_, ()> {
        self.named(&(enquiry, agency)).await
    }

    /// Waits for the lock of an enquiry.
    pub async fn of_enquiry(&self, enquiry: &EnquiryRef) -> MutexGuard<'_, ()> {
        self.named(enquiry).await
    }

    async fn named(&self, name: &impl Hash) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % (N_LOCKS as u64)).unwrap_or(0);
        self.0.get(place).unwrap_or(&self.1).lock().await
    }
}
