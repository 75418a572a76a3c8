//! Those who act: each with a certificate of their own, over gRPC and mutual TLS, as their programs would.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use brag_common::{
    id::AgencyId,
    peer::PeerName,
    profile,
    time::SharedClock,
    tls::{Channel, ClientTls, connect, with_deadline},
    wire::{
        pb::{
            coordinator_service_client::CoordinatorServiceClient,
            desk_service_client::DeskServiceClient,
        },
        records,
    },
};
use tonic::transport::Endpoint;

use super::stage::{Addresses, HUB};
use crate::partnership::{COORDINATOR, HUB_GOVERNANCE, Partnership};

/// How long one call may take.
const CALL_WITHIN: Duration = Duration::from_secs(20);

/// Everybody who acts.
#[derive(Debug)]
pub struct People<'a> {
    partnership: &'a Partnership,
    addresses: Addresses,
    clock: SharedClock,
    channels: Mutex<BTreeMap<String, Channel>>,
}

impl<'a> People<'a> {
    /// Nobody has a certificate yet.
    #[must_use]
    pub fn new(partnership: &'a Partnership, addresses: Addresses, clock: SharedClock) -> Self {
        Self { partnership, addresses, clock, channels: Mutex::default() }
    }

    /// The co-ordinator, at the hub.
    ///
    /// # Errors
    /// When the profile can not be written or read.
    pub fn coordinator(&self) -> anyhow::Result<CoordinatorServiceClient<Channel>> {
        let hub = self.partnership.ca().trust_domain().hub();
        self.channel(COORDINATOR, &hub, self.addresses.hub).map(CoordinatorServiceClient::new)
    }

    /// An agency's assessor, at its node.
    ///
    /// # Errors
    /// As [`People::coordinator`].
    pub fn assessor(&self, agency: &AgencyId) -> anyhow::Result<DeskServiceClient<Channel>> {
        self.staff(agency, &Partnership::assessor(agency))
    }

    /// An agency's first or second approver, at its node.
    ///
    /// # Errors
    /// As [`People::coordinator`].
    pub fn approver(&self, agency: &AgencyId, n: u8) -> anyhow::Result<DeskServiceClient<Channel>> {
        self.staff(agency, &Partnership::approver(agency, n))
    }

    /// The first or second of those who govern what the hub or an agency keeps.
    ///
    /// # Errors
    /// As [`People::coordinator`].
    pub fn governance(&self, party: &str, n: u8) -> anyhow::Result<records::Client> {
        let domain = self.partnership.ca().trust_domain();
        let channel = match party {
            HUB => {
                let name = HUB_GOVERNANCE[usize::from(n) - 1];
                self.channel(name, &domain.hub(), self.addresses.hub)?
            }
            agency => {
                let agency: AgencyId = agency.parse()?;
                let name = Partnership::governance(&agency, n);
                self.channel(&name, &domain.agency(agency.clone()), self.addresses.nodes[&agency])?
            }
        };
        Ok(records::Client::new(channel))
    }

    /// The parties.
    #[must_use]
    pub fn agencies(&self) -> &[AgencyId] {
        self.partnership.agencies()
    }

    /// Writes everybody's profile, for those who want to use the programs themselves. Gives the folder.
    ///
    /// # Errors
    /// When one can not be written.
    pub fn write_profiles(&self) -> anyhow::Result<PathBuf> {
        self.coordinator()?;
        for agency in self.partnership.agencies() {
            self.assessor(agency)?;
            self.approver(agency, 1)?;
            self.approver(agency, 2)?;
        }
        Ok(self.partnership.folder().join("people"))
    }

    fn staff(&self, agency: &AgencyId, name: &str) -> anyhow::Result<DeskServiceClient<Channel>> {
        let node = self.partnership.ca().trust_domain().agency(agency.clone());
        let address = self.addresses.nodes[agency];
        self.channel(name, &node, address).map(DeskServiceClient::new)
    }

    fn channel(
        &self,
        name: &str,
        server: &PeerName,
        address: std::net::SocketAddr,
    ) -> anyhow::Result<Channel> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(name) {
            return Ok(channel.clone());
        }
        let path = self.partnership.write_profile(name, server, address)?;
        let profile = profile::load(&path)?;
        let domain = self.partnership.ca().trust_domain().clone();
        let tls = ClientTls::load(profile.tls.files(), domain, Arc::clone(&self.clock))?;
        let channel = connect(&Endpoint::from_shared(profile.endpoint)?, profile.server, tls);
        channels.insert(name.to_owned(), channel.clone());
        Ok(channel)
    }
}

/// A request with the deadline of all calls here.
pub fn asked<T>(message: T) -> tonic::Request<T> {
    with_deadline(message, CALL_WITHIN)
}
