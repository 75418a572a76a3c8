//! What is found after a round: the logs as they lie on the disk, and what the programs show of their stores.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use brag_common::{
    audit::{
        Entry, Origin, Party,
        reconcile::{Wanted, reconcile},
        shard, verify_dir,
    },
    keyfile,
    time::Timestamp,
    wire::pb,
};

use super::{
    stage::{HUB, Stage},
    work::asked,
};
use crate::player::people::People;

/// A moment at which a program's clock was turned, by its true time, and by how far it is wrong from then on.
pub type Turned = (Timestamp, i64);

/// What was found.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Every entry of every log, by the name of its program.
    pub logs: BTreeMap<String, Vec<Entry>>,
    /// What is wrong with a log, or between two of them.
    pub faults_of_logs: Vec<String>,
    /// Exchanges that were compared.
    pub n_exchanges: u64,
    /// Of these, exchanges that are on one side only for a reason that is in order.
    pub n_explained: u64,
    /// Enquiries as the hub shows them.
    pub shown: BTreeMap<String, pb::ShowResponse>,
    /// Inboxes, by agency.
    pub inboxes: BTreeMap<String, Vec<pb::InboxItem>>,
    /// When clocks were turned, by program.
    pub turned: BTreeMap<String, Vec<Turned>>,
}

impl Evidence {
    /// Looks at everything, and asks the hub for these enquiries.
    ///
    /// # Errors
    /// When a program does not answer, or a folder can not be read.
    pub async fn gather(
        stage: &Stage,
        people: &People<'_>,
        enquiries: &BTreeSet<String>,
    ) -> anyhow::Result<Self> {
        let mut found = Self::of_logs(stage)?;
        let mut coordinator = people.coordinator()?;
        for enquiry in enquiries {
            let request = pb::ShowRequest { enquiry: enquiry.clone() };
            match coordinator.show(asked(request)).await {
                Ok(shown) => _ = found.shown.insert(enquiry.clone(), shown.into_inner()),
                // It is lost; the check says so.
                Err(status) if status.code() == tonic::Code::NotFound => {}
                Err(status) => anyhow::bail!("the hub does not show an enquiry: {status}"),
            }
        }
        for agency in stage.partnership.agencies() {
            let inbox = people.assessor(agency)?.inbox(asked(pb::InboxRequest {})).await;
            let inbox = inbox.with_context(|| format!("the inbox of {agency}"))?.into_inner();
            found.inboxes.insert(agency.to_string(), inbox.items);
        }
        Ok(found)
    }

    /// Looks at the logs alone.
    ///
    /// # Errors
    /// When a folder or a key can not be read.
    pub fn of_logs(stage: &Stage) -> anyhow::Result<Self> {
        let mut found = Self::default();
        let partnership = &stage.partnership;
        let domain = partnership.ca().trust_domain().to_string();
        let nodes = partnership.agencies().iter();
        let mut all = vec![(HUB.to_owned(), Party::Hub, partnership.hub_folder())];
        all.extend(
            nodes.map(|a| (a.to_string(), Party::Agency(a.clone()), partnership.node_folder(a))),
        );
        for (name, party, folder) in &all {
            let key = keyfile::read_signing_key(&folder.join("keys/log.key"))?.verifying_key();
            let logs = folder.join("data/log");
            for dir in shard::every(&logs)? {
                let shard = dir.file_name().and_then(|name| name.to_str()).context("no shard")?;
                let origin = Origin::new(&domain, party.clone(), shard)?;
                if let Err(fault) = verify_dir(&dir, &key, &origin) {
                    found
                        .faults_of_logs
                        .push(format!("the log of {name} does not verify: {fault}"));
                }
            }
            let entries = shard::joined(&logs)?.map_while(Result::ok).collect();
            found.logs.insert(name.clone(), entries);
        }
        let log = |folder: &Path| folder.join("data/log");
        let witness = |folder: &Path| Some(folder.join("data/witness")).filter(|dir| dir.exists());
        let mut dirs = all.iter().map(|(_, _, folder)| log(folder));
        let wanted = Wanted {
            hub: dirs.next().unwrap_or_else(PathBuf::new),
            others: dirs.collect(),
            witnesses: all.iter().filter_map(|(_, _, folder)| witness(folder)).collect(),
            ..Wanted::default()
        };
        let report = reconcile(&wanted, &mut |_| {})?;
        found.n_exchanges = report.total.all();
        found.n_explained = report.total.explained;
        let faults = report.logs.iter().filter_map(|log| log.fault.clone());
        found.faults_of_logs.extend(faults);
        let differences = report.differences.iter().map(|found| format!("{found:?}"));
        found.faults_of_logs.extend(differences);
        let promised = report.promised.iter();
        found.faults_of_logs.extend(promised.map(|one| format!("promised and not there: {one:?}")));
        Ok(found)
    }

    /// The log of a program.
    #[must_use]
    pub fn log(&self, name: &str) -> &[Entry] {
        self.logs.get(name).map_or(&[], Vec::as_slice)
    }

    /// The logs of the nodes.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &[Entry])> {
        let logs = self.logs.iter().filter(|(name, _)| *name != HUB);
        logs.map(|(name, log)| (name.as_str(), log.as_slice()))
    }
}
