//! The hub's log is seen by the nodes, and theirs by the hub: what each of the two needs of this program.

use std::sync::Arc;

use brag_common::{
    alert::Alert,
    audit::{Party, entry::Action},
    keyfile,
    keys::VerifyingKey,
    peer::{TrustDomain, VerifiedPeer},
    status::PeerFacing as _,
    time::Timestamp,
    witness::{
        Witness,
        grpc::{Peers, WitnessHost},
        keys::LogKeys,
    },
};

use crate::hub::Shared;

impl WitnessHost for Shared {
    fn witness(&self) -> &Arc<Witness> {
        &self.witness
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    fn own_keys(&self) -> Option<LogKeys> {
        // Read each time: the hub signs nothing else with this key while it runs, and it may have been exchanged.
        let named = self.agreement.agreement().hub()?.signing;
        let ring = keyfile::read_signing_ring(self.config.keys.statements.as_path()).ok()?;
        let key = ring.into_iter().find(|key| key.verifying_key() == named)?;
        let (log, witness) = (self.log.audit().note_key().clone(), self.witness.public().clone());
        Some(LogKeys::sign(&self.trust_domain, &Party::Hub, log, witness, &key))
    }

    fn party(&self, peer: &VerifiedPeer) -> Result<Party, &'static str> {
        Self::party(self, peer).map(Party::Agency).map_err(|refusal| refusal.code())
    }

    fn statement_key(&self, party: &Party) -> Option<VerifyingKey> {
        let Party::Agency(agency) = party else { return None };
        self.still_party(agency).ok()?;
        Some(self.agreement.agreement().party(agency)?.keys()?.signing)
    }

    async fn inconsistent(&self, party: &Party) {
        let mut draft = self.draft(Action::AlertRaised);
        draft.peer = Some(party.clone());
        // It is on the operator's log already; the audit log says so as soon as it can be written.
        let _ = self.log.record(self.alerts.raise(Alert::LogInconsistent, draft)).await;
    }
}

/// Has the log cosigned by the nodes until the hub stops, now and then.
pub async fn run(shared: Arc<Shared>) {
    let every = shared.config.witness.every.get();
    let nodes = shared.nodes.iter();
    let channels =
        nodes.map(|(id, channel)| (Party::Agency(id.clone()), channel.clone())).collect();
    let peers = Peers::new(Arc::clone(&shared), channels);
    tokio::select! {
        () = shared.shutdown.cancelled() => {}
        () = shared.cosigned.keep_asking(&peers, every) => {}
    }
}
