//! Who calls: any certificate, the staff, and the test in the hub's or a node's own name.

use std::{
    net::SocketAddr,
    sync::{Weak, atomic::Ordering},
};

use brag_common::{
    audit::Party,
    id::{AgencyId, StaffName},
    peer::PeerName,
    testing::TestCert,
    tls::{Channel, ClientTls, connect},
    wire::pb::{
        audit_service_client::AuditServiceClient,
        coordinator_service_client::CoordinatorServiceClient,
        desk_service_client::DeskServiceClient, hub_service_client::HubServiceClient,
        node_service_client::NodeServiceClient,
    },
    wire::witness::MAX_EXCHANGE_BYTES,
    witness::grpc::WitnessHost as _,
};
use tonic::transport::Endpoint;

use super::{Federation, id};
use crate::{
    partnership::{AUDITOR, COORDINATOR, Partnership},
    shown::{Shown, witnessing},
};

/// A client of the co-ordinator's calls.
pub type Coordinator = CoordinatorServiceClient<Channel>;
/// A client of a node's desk.
pub type Desk = DeskServiceClient<Channel>;
/// A client of the auditors' calls.
pub type Auditor = AuditServiceClient<Channel>;
/// A client of the calls that the hub makes.
pub type NodeClient = NodeServiceClient<Shown>;
/// A client of the calls that nodes make.
pub type HubClient = HubServiceClient<Shown>;

impl Federation {
    /// A channel to `server` at `address` for whoever holds `certificate`, over TLS.
    #[must_use]
    pub fn channel(
        &self,
        certificate: &TestCert,
        server: PeerName,
        address: SocketAddr,
    ) -> Channel {
        let folder = self.folder.path().join("people");
        std::fs::create_dir_all(&folder).unwrap();
        let n = self.certificates.fetch_add(1, Ordering::Relaxed);
        let files = certificate.write(self.partnership.ca(), &folder, &format!("client-{n}"));
        let domain = self.partnership.ca().trust_domain().clone();
        let tls = ClientTls::load(files, domain, self.clock.clone()).unwrap();
        let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
        connect(&endpoint, server, tls)
    }

    /// A channel to a node.
    #[must_use]
    pub fn to_node(&self, certificate: &TestCert, agency: &str) -> Channel {
        let name = self.partnership.ca().trust_domain().agency(id(agency));
        self.channel(certificate, name, self.node_address(agency))
    }

    /// A channel to the hub.
    #[must_use]
    pub fn to_hub(&self, certificate: &TestCert) -> Channel {
        let name = self.partnership.ca().trust_domain().hub();
        self.channel(certificate, name, self.hub.port.address())
    }

    /// Where a node listens, or would.
    #[must_use]
    pub fn node_address(&self, agency: &str) -> SocketAddr {
        self.program(agency).port.address()
    }

    /// Where the hub listens, or would.
    #[must_use]
    pub fn hub_address(&self) -> SocketAddr {
        self.hub.port.address()
    }

    /// A good certificate of a person.
    #[must_use]
    pub fn person(&self, name: &str) -> TestCert {
        let name: StaffName = name.parse().unwrap();
        self.partnership.ca().person(&name)
    }

    /// The co-ordinator's client.
    #[must_use]
    pub fn coordinator(&self) -> Coordinator {
        CoordinatorServiceClient::new(self.to_hub(&self.person(COORDINATOR)))
    }

    /// A client of the co-ordinator's calls, for somebody else.
    #[must_use]
    pub fn coordinator_as(&self, person: &str) -> Coordinator {
        CoordinatorServiceClient::new(self.to_hub(&self.person(person)))
    }

    /// The client of the hub's auditor.
    #[must_use]
    pub fn hub_auditor(&self) -> Auditor {
        self.hub_auditor_as(AUDITOR)
    }

    /// A client of the auditors' calls at the hub, for anybody.
    #[must_use]
    pub fn hub_auditor_as(&self, person: &str) -> Auditor {
        AuditServiceClient::new(self.to_hub(&self.person(person)))
    }

    /// The client of a node's auditor.
    #[must_use]
    pub fn auditor(&self, agency: &str) -> Auditor {
        self.auditor_as(agency, &Partnership::auditor(&id(agency)))
    }

    /// A client of the auditors' calls at a node, for anybody.
    #[must_use]
    pub fn auditor_as(&self, agency: &str, person: &str) -> Auditor {
        AuditServiceClient::new(self.to_node(&self.person(person), agency))
    }

    /// A node's desk, for one of its staff.
    #[must_use]
    pub fn desk(&self, agency: &str, person: &str) -> Desk {
        DeskServiceClient::new(self.to_node(&self.person(person), agency))
    }

    /// A node's desk, for its assessor.
    #[must_use]
    pub fn assessor(&self, agency: &str) -> Desk {
        self.desk(agency, &Partnership::assessor(&id(agency)))
    }

    /// A node's desk, for its first or second approver.
    #[must_use]
    pub fn approver(&self, agency: &str, n: u8) -> Desk {
        self.desk(agency, &Partnership::approver(&id(agency), n))
    }

    /// A node's desk, for the deputy of its approvers.
    #[must_use]
    pub fn deputy(&self, agency: &str) -> Desk {
        self.desk(agency, &Partnership::deputy(&id(agency)))
    }

    /// The hub's own calls to a node, made by the test with the hub's real certificate. The hub knows nothing of them.
    #[must_use]
    pub fn as_hub(&self, agency: &str) -> NodeClient {
        self.one_sided();
        let channel = self.to_node(&self.partnership.ca().hub(), agency);
        let folder = self.partnership.hub_folder();
        let domain = self.partnership.ca().trust_domain();
        let mut shown = witnessing(domain, &Party::Hub, &folder);
        // A hub that runs knows which of its keys the agreement names now.
        if let Some(keys) = self.inside_hub.upgrade().and_then(|hub| hub.own_keys()) {
            shown.keys = Some((&keys).into());
        }
        let shown = Shown::showing(channel, shown);
        NodeServiceClient::new(shown).max_decoding_message_size(MAX_EXCHANGE_BYTES)
    }

    /// A node's own calls to the hub, made by the test with the agency's real certificate.
    #[must_use]
    pub fn as_node(&self, agency: &str) -> HubClient {
        self.one_sided();
        let channel = self.to_hub(&self.partnership.ca().agency(&id(agency)));
        let folder = self.partnership.node_folder(&id(agency));
        let domain = self.partnership.ca().trust_domain();
        let mut shown = witnessing(domain, &Party::Agency(id(agency)), &folder);
        let node = self.inside.get(&id::<AgencyId>(agency)).and_then(Weak::upgrade);
        if let Some(keys) = node.and_then(|node| node.own_keys()) {
            shown.keys = Some((&keys).into());
        }
        HubServiceClient::new(Shown::showing(channel, shown))
    }
}
