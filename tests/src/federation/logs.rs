//! The audit logs of a federation that has ended.

use std::path::PathBuf;

use brag_common::{
    audit::{
        Entry, Origin, Party,
        reconcile::{Report, Wanted, reconcile},
        shard, verify_dir,
    },
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

    /// The directory of a node's log, of its first shard.
    #[must_use]
    pub fn log_dir(&self, agency: &str) -> PathBuf {
        self.log_folder(&Party::Agency(id(agency))).join("data/log").join(LOG_SHARD)
    }

    /// The directory of the hub's log, of its first shard.
    #[must_use]
    pub fn hub_log_dir(&self) -> PathBuf {
        self.log_folder(&Party::Hub).join("data/log").join(LOG_SHARD)
    }

    /// Compares the hub's log with that of every node that has run.
    ///
    /// # Panics
    /// When a log can not be read.
    #[must_use]
    pub fn reconcile(&self) -> Report {
        let shards = |party: &Party| self.log_folder(party).join("data/log");
        let nodes = self.nodes.keys().map(|agency| shards(&Party::Agency(agency.clone())));
        let others = nodes.filter(|dir| dir.exists()).collect();
        let wanted = Wanted { hub: shards(&Party::Hub), others, ..Wanted::default() };
        reconcile(&wanted, &mut |_| {}).unwrap()
    }

    fn log_folder(&self, party: &Party) -> PathBuf {
        match party {
            Party::Hub => self.partnership.hub_folder(),
            Party::Agency(agency) => self.partnership.node_folder(agency),
        }
    }

    fn read_log(&self, party: Party) -> Vec<Entry> {
        let dir = self.log_folder(&party).join("data/log");
        if !dir.exists() {
            return Vec::new();
        }
        shard::joined(&dir).unwrap().map(Result::unwrap).collect()
    }
}

/// Checks that every log verifies.
pub(super) fn verify(federation: &Federation) {
    let domain = federation.partnership.ca().trust_domain().to_string();
    let parties = federation.nodes.keys().cloned().map(Party::Agency).chain([Party::Hub]);
    for party in parties {
        let folder = federation.log_folder(&party);
        let shards = shard::every(&folder.join("data/log")).unwrap();
        assert!(party != Party::Hub || !shards.is_empty(), "the hub has run");
        for dir in shards {
            let key = keyfile::read_signing_key(&folder.join("keys/log.key")).unwrap();
            let shard = dir.file_name().and_then(|name| name.to_str()).unwrap();
            let origin = Origin::new(&domain, party.clone(), shard).unwrap();
            verify_dir(&dir, &key.verifying_key(), &origin).unwrap();
        }
    }
}

/// The first difference between the two sides of an exchange, in words; `None` when there is none.
pub(super) fn difference(federation: &Federation) -> Option<String> {
    let report = federation.reconcile();
    report.differences.first().map(|found| format!("{found:?}"))
}
