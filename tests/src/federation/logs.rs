//! The audit logs of a federation that has ended.

use std::collections::BTreeSet;

use brag_common::{
    audit::{Action, Entry, Origin, Party, entries, verify_dir},
    id::RequestId,
    keyfile,
    program::LOG_SHARD,
};

use super::{Federation, id};

impl Federation {
    /// Every entry of a node's log so far.
    ///
    /// # Panics
    /// When the log can not be read.
    #[must_use]
    pub fn log_of(&self, agency: &str) -> Vec<Entry> {
        self.read_log(Party::Agency(id(agency)))
    }

    /// Every entry of the hub's log so far.
    ///
    /// # Panics
    /// When the log can not be read.
    #[must_use]
    pub fn hub_log(&self) -> Vec<Entry> {
        self.read_log(Party::Hub)
    }

    fn log_folder(&self, party: &Party) -> std::path::PathBuf {
        match party {
            Party::Hub => self.partnership.hub_folder(),
            Party::Agency(agency) => self.partnership.node_folder(agency),
        }
    }

    fn read_log(&self, party: Party) -> Vec<Entry> {
        let dir = self.log_folder(&party).join("data/log").join(LOG_SHARD);
        if !dir.exists() {
            return Vec::new();
        }
        entries(&dir).unwrap().map(Result::unwrap).collect()
    }
}

/// Checks that every log verifies.
pub(super) fn verify(federation: &Federation) {
    let domain = federation.partnership.ca().trust_domain().to_string();
    let parties = federation.nodes.keys().cloned().map(Party::Agency).chain([Party::Hub]);
    for party in parties {
        let folder = federation.log_folder(&party);
        let dir = folder.join("data/log").join(LOG_SHARD);
        let of_a_node_that_never_ran = !dir.exists() && party != Party::Hub;
        if !of_a_node_that_never_ran {
            let key = keyfile::read_signing_key(&folder.join("keys/log.key")).unwrap();
            let origin = Origin::new(&domain, party, LOG_SHARD).unwrap();
            verify_dir(&dir, &key.verifying_key(), &origin).unwrap();
        }
    }
}

/// An exchange that stands in the log of one of its parties and not in the other's, in words; `None` when there is none.
pub(super) fn one_sided(federation: &Federation) -> Option<String> {
    let hub = federation.hub_log();
    let at_hub: BTreeSet<RequestId> = hub.iter().filter_map(|e| e.exchange.clone()).collect();
    let mut at_nodes = BTreeSet::new();
    for agency in federation.nodes.keys() {
        for entry in federation.log_of(agency.as_str()) {
            let Some(exchange) = entry.exchange else { continue };
            if !at_hub.contains(&exchange) {
                return Some(format!("{} of {agency}", entry.action.word()));
            }
            at_nodes.insert(exchange);
        }
    }
    let at_no_node =
        |entry: &&Entry| !entry.exchange.as_ref().is_some_and(|x| at_nodes.contains(x));
    let alone = hub.iter().filter(|entry| is_exchange(entry)).find(at_no_node);
    alone.map(|entry| format!("{} of the hub", entry.action.word()))
}

/// Whether an entry of the hub is of an exchange that reached a node: that there was no answer, or nobody to ask, has
/// no other side.
fn is_exchange(entry: &Entry) -> bool {
    let unable = entry.decision.as_ref().is_some_and(|word| word.as_str() == "unable");
    entry.exchange.is_some() && !unable && entry.action != Action::NoResponse
}
