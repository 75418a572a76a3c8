//! The hub's log is seen by the nodes, and theirs by the hub: what each of the two needs of this program.

use std::sync::Arc;

use brag_common::{
    alert::Alert,
    audit::{AuditLog, Party, entry::Action},
    id::AgencyId,
    keyfile,
    keys::VerifyingKey,
    peer::{TrustDomain, VerifiedPeer},
    status::PeerFacing as _,
    telemetry::calls::AskedCalls,
    time::Timestamp,
    tlog::NoteKey,
    witness::{
        Witness,
        cosigned::Cosigned,
        gap,
        grpc::{Peers, WitnessHost},
        in_band::{Exchanging, InBand},
        keys::LogKeys,
        layer::WitnessedChannel,
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
        self.own_keys_with(self.log.audit().note_key())
    }

    fn own_keys_with(&self, log: &NoteKey) -> Option<LogKeys> {
        // Read each time: the hub signs nothing else with this key while it runs, and it may have been exchanged.
        let named = self.agreement.agreement().hub()?.signing;
        let ring = keyfile::read_signing_ring(self.config.keys.statements.as_path()).ok()?;
        let key = ring.into_iter().find(|key| key.verifying_key() == named)?;
        let witness = self.witness.public().clone();
        Some(LogKeys::sign(&self.trust_domain, &Party::Hub, log.clone(), witness, &key))
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

impl Exchanging for Shared {
    fn log(&self) -> &AuditLog {
        self.log.audit()
    }

    fn cosigned(&self) -> &Cosigned {
        &self.cosigned
    }

    fn in_band(&self) -> &InBand {
        &self.in_band
    }

    fn asked_calls(&self) -> &AskedCalls {
        &self.asked
    }

    fn own_statement_key(&self) -> Option<VerifyingKey> {
        self.agreement.agreement().hub().map(|keys| keys.signing)
    }

    async fn no_receipt(&self, party: &Party) {
        let mut draft = self.draft(Action::AlertRaised);
        draft.peer = Some(party.clone());
        let _ = self.log.record(self.alerts.raise(Alert::NoReceipt, draft)).await;
    }
}

impl Shared {
    /// A channel to an agency's node whose answers have receipts; `None` when there is no such node.
    #[must_use]
    pub fn to_node(self: &Arc<Self>, agency: &AgencyId) -> Option<WitnessedChannel<Self>> {
        let channel = self.nodes.get(agency)?.clone();
        Some(WitnessedChannel::new(channel, Party::Agency(agency.clone()), Arc::clone(self)))
    }
}

/// Has the log cosigned by the nodes, and by whom else the operator names, until the hub stops, now and then.
pub async fn run(shared: Arc<Shared>, witnesses: Peers<Shared>) {
    let every = shared.config.witness.every.get();
    tokio::select! {
        () = shared.shutdown.cancelled() => {}
        () = shared.cosigned.keep_asking(&witnesses, every) => {}
        // Ends at once where nothing was put back.
        () = async {
            gap::settle(shared.log.audit(), &witnesses, every).await;
            std::future::pending::<()>().await;
        } => {}
    }
}
