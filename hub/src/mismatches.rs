//! Nodes that work under another version of the agreement than the hub, each with what it said, until it answers again. Kept
//! in memory: the next call tells it again.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use brag_common::{id::AgencyId, status::code_of};
use tonic::Status;

use crate::hub::Shared;

/// The longest text of a node that is shown, in characters.
const MAX_CHARS: usize = 400;

/// What nodes said last.
#[derive(Debug, Default)]
pub struct Mismatches(Mutex<BTreeMap<AgencyId, String>>);

impl Mismatches {
    fn note(&self, agency: &AgencyId, text: String) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(agency.clone(), text);
    }

    /// The node has answered under the hub's version.
    pub fn clear(&self, agency: &AgencyId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(agency);
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> BTreeMap<AgencyId, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    /// Keeps what a node said, when it refused a call because it works under another version.
    pub fn note_mismatch(&self, agency: &AgencyId, status: &Status) {
        if code_of(status) == Some("agreement_version_mismatch") {
            self.note_other_version(agency, status.message());
        }
    }

    /// Keeps that a node works under another version, in its own words; empty when it gave none.
    pub fn note_other_version(&self, agency: &AgencyId, words: &str) {
        let (id, version) = (self.agreement.agreement().id(), self.agreement.agreement().version());
        let words: String = words.chars().filter(|c| !c.is_control()).take(MAX_CHARS).collect();
        let digest = self.agreement.digest();
        let mut text = format!(
            "the hub works under version {version} of `{id}` ({digest}), {agency} under another"
        );
        if !words.is_empty() {
            text.push_str(": ");
            text.push_str(&words);
        }
        tracing::warn!(%agency, text, "a node works under another version of the agreement");
        self.mismatches.note(agency, text);
    }
}
