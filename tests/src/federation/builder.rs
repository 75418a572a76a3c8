//! What a test says of its partnership before it starts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak, atomic::AtomicU32},
    time::Duration,
};

use brag_agency_node::config::{Role, Staff};
use brag_common::{
    agreement::SignedAgreement,
    id::AgencyId,
    keyfile,
    statement::Realm,
    time::{SettableClock, SignedDuration, Timestamp},
};
use toml_edit::{Array, ArrayOfTables, DocumentMut, Value};

use super::{Federation, Holding, Program, ReservedPort, START, id, records};
use crate::partnership::Partnership;

/// A change of the agreement before it is signed.
type AgreementChange = Box<dyn FnOnce(&mut DocumentMut)>;

/// A partnership that is to be started.
#[derive(Default)]
pub struct Builder {
    parties: Vec<AgencyId>,
    running: BTreeSet<AgencyId>,
    not_enrolled: BTreeSet<AgencyId>,
    holdings: BTreeMap<AgencyId, Vec<Holding>>,
    staff: BTreeMap<AgencyId, Vec<Staff>>,
    call_within: Option<String>,
    epoch: Option<String>,
    cut: Option<String>,
    minute: i64,
    ahead: BTreeMap<AgencyId, SignedDuration>,
    change: Option<AgreementChange>,
    consoles: bool,
    connection_age: Option<Duration>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("parties", &self.parties).finish_non_exhaustive()
    }
}

impl Builder {
    /// Parties with a node that runs; the agreement has these and those of [`Builder::silent`], and no others.
    #[must_use]
    pub fn nodes(mut self, agencies: &[&str]) -> Self {
        self.parties.extend(agencies.iter().map(|agency| id::<AgencyId>(agency)));
        self.running.extend(agencies.iter().map(|agency| id::<AgencyId>(agency)));
        self
    }

    /// Parties whose node does not run; they are never enrolled.
    #[must_use]
    pub fn silent(mut self, agencies: &[&str]) -> Self {
        self.parties.extend(agencies.iter().map(|agency| id::<AgencyId>(agency)));
        self
    }

    /// A party whose node runs and has not enrolled.
    #[must_use]
    pub fn not_enrolled(mut self, agency: &str) -> Self {
        self.not_enrolled.insert(id(agency));
        self
    }

    /// An agency knows somebody.
    #[must_use]
    pub fn holds(mut self, agency: &str, holding: Holding) -> Self {
        self.holdings.entry(id(agency)).or_default().push(holding);
        self
    }

    /// One more member of an agency's staff.
    #[must_use]
    pub fn approver(mut self, agency: &str, name: &str) -> Self {
        let staff = Staff {
            name: id(name),
            roles: BTreeSet::from([Role::Approver]),
            linked_to: Vec::new(),
        };
        self.staff.entry(id(agency)).or_default().push(staff);
        self
    }

    /// A member of an agency's staff is linked to somebody on its records, by the place among its holdings, from 0.
    #[must_use]
    pub fn linked(mut self, agency: &str, name: &str, place: usize) -> Self {
        let staff = Staff {
            name: id(name),
            roles: BTreeSet::new(),
            linked_to: vec![format!("source-{place}")],
        };
        self.staff.entry(id(agency)).or_default().push(staff);
        self
    }

    /// How long a node has for a call. 10 s unless told otherwise.
    #[must_use]
    pub fn call_within(mut self, length: &str) -> Self {
        self.call_within = Some(length.to_owned());
        self
    }

    /// How long an epoch of the secrets lasts. 30 days unless told otherwise.
    #[must_use]
    pub fn epoch(mut self, length: &str) -> Self {
        self.epoch = Some(length.to_owned());
        self
    }

    /// From when on an enrolment counts: the next multiple of this. At once unless told otherwise.
    #[must_use]
    pub fn cut(mut self, length: &str) -> Self {
        self.cut = Some(length.to_owned());
        self
    }

    /// A node's clock is ahead of everybody's by this much, or behind.
    #[must_use]
    pub fn clock_ahead(mut self, agency: &str, by: SignedDuration) -> Self {
        self.ahead.insert(id(agency), by);
        self
    }

    /// Starts so many minutes after the hour, not at the hour.
    #[must_use]
    pub const fn minute(mut self, minute: i64) -> Self {
        self.minute = minute;
        self
    }

    /// Changes the agreement before it is signed.
    #[must_use]
    pub fn agreement(mut self, change: impl FnOnce(&mut DocumentMut) + 'static) -> Self {
        self.change = Some(Box::new(change));
        self
    }

    /// At which age hub and nodes have a connection made anew. As programs have it unless told otherwise.
    #[must_use]
    pub const fn connection_age(mut self, age: Duration) -> Self {
        self.connection_age = Some(age);
        self
    }

    /// Hub and nodes serve pages for browsers.
    #[must_use]
    pub const fn consoles(mut self) -> Self {
        self.consoles = true;
        self
    }

    /// Sets everything up and starts it: the hub, then each node, which first enrols.
    ///
    /// # Panics
    /// When something does not start.
    pub async fn start(self) -> Federation {
        let folder = tempfile::tempdir().unwrap();
        let Self {
            parties,
            running,
            not_enrolled,
            holdings,
            staff,
            call_within,
            epoch,
            cut,
            minute,
            ahead,
            change,
            consoles,
            connection_age,
        } = self;
        let hour: Timestamp = START.parse().unwrap();
        let start = hour.checked_add(SignedDuration::from_mins(minute)).unwrap();
        let partnership = Partnership::create(folder.path(), start, |document| {
            keep_parties(document, &parties);
            if let Some(change) = change {
                change(document);
            }
        })
        .unwrap();
        let hub_port = ReservedPort::new().unwrap();
        let mut nodes = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        for agency in &parties {
            let port = ReservedPort::new().unwrap();
            addresses.insert(agency.clone(), port.address());
            let config =
                partnership.write_node_config(agency, port.address(), hub_port.address()).unwrap();
            if consoles {
                partnership.add_console(&config).unwrap();
            }
            nodes.insert(agency.clone(), Program::new(port, config));
        }
        let config = partnership.write_hub_config(hub_port.address(), &addresses).unwrap();
        if consoles {
            partnership.add_console(&config).unwrap();
        }
        let mut federation = Federation {
            realm: realm(&partnership),
            partnership,
            folder,
            clock: Arc::new(SettableClock::at(start)),
            other_clocks: ahead
                .into_iter()
                .map(|(agency, by)| {
                    (agency, Arc::new(SettableClock::at(start.checked_add(by).unwrap())))
                })
                .collect(),
            hub: Program::new(hub_port, config),
            nodes,
            inside: BTreeMap::new(),
            inside_hub: Weak::new(),
            enrolled: running.difference(&not_enrolled).cloned().collect(),
            extra_staff: staff,
            cut: cut.unwrap_or_else(|| "1ms".to_owned()),
            epoch: epoch.unwrap_or_else(|| "30d".to_owned()),
            connection_age,
            call_within: call_within.unwrap_or_else(|| "10s".to_owned()),
            certificates: AtomicU32::new(0),
            one_sided: false.into(),
        };
        federation.start_hub().await;
        for agency in &running {
            let config = federation.node_config(agency);
            let known = holdings.get(agency).cloned().unwrap_or_default();
            records::keep(&config, &known, &Partnership::assessor(agency)).unwrap();
            if federation.enrolled.contains(agency) {
                let clock = federation.clock.clone();
                brag_agency_node::enrol::run(config, clock, |_| {}).await.unwrap();
            }
            federation.start_node(agency.as_str()).await;
        }
        federation
    }
}

/// Leaves only these parties in the agreement, and nobody else as a recipient.
pub(crate) fn keep_parties(document: &mut DocumentMut, parties: &[AgencyId]) {
    let kept = |name: &str| parties.iter().any(|agency| agency.as_str() == name);
    let all = document["party"].as_array_of_tables().unwrap();
    let few = all.iter().filter(|party| kept(party["id"].as_str().unwrap())).cloned();
    document["party"] = ArrayOfTables::from_iter(few).into();
    let classes = document["disclosure"].as_table_mut().unwrap();
    for (_, class) in classes.iter_mut() {
        for (_, cell) in class.as_table_mut().unwrap().iter_mut() {
            let Some(table) = cell.as_inline_table_mut() else { continue };
            let few = table["recipients"].as_array().unwrap().iter();
            let few: Array = few.filter(|name| kept(name.as_str().unwrap())).cloned().collect();
            table.insert("recipients", Value::Array(few));
        }
    }
}

pub(crate) fn realm(partnership: &Partnership) -> Realm {
    let agency = &partnership.agencies()[0];
    let note = std::fs::read(partnership.agreement_path()).unwrap();
    let key = partnership.node_folder(agency).join("keys/statements.key");
    let key = keyfile::read_signing_key(&key).unwrap().verifying_key();
    let signed = SignedAgreement::verify(&note, (agency, key)).unwrap();
    Realm {
        trust_domain: partnership.ca().trust_domain().to_string(),
        environment: signed.agreement().environment().word().to_owned(),
        agreement: signed.digest(),
    }
}
