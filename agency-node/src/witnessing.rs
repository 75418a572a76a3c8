//! The node's log is seen by the hub, and the hub's by the node: what each of the two needs of this program.

use std::sync::Arc;

use brag_common::{
    alert::Alert,
    audit::{AuditLog, Party, entry::Action},
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
    },
};
use tokio_util::sync::CancellationToken;

use crate::node::Shared;

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
        let party = Party::Agency(self.config.agency.clone());
        let witness = self.witness.public().clone();
        Some(LogKeys::sign(&self.trust_domain, &party, log.clone(), witness, &self.statements))
    }

    fn party(&self, peer: &VerifiedPeer) -> Result<Party, &'static str> {
        self.hub(peer).map(|()| Party::Hub).map_err(|refusal| refusal.code())
    }

    fn statement_key(&self, party: &Party) -> Option<VerifyingKey> {
        match party {
            Party::Hub => self.agreement.agreement().hub().map(|keys| keys.signing),
            // A node witnesses the hub, and is witnessed by it.
            Party::Agency(_) => None,
        }
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
        Some(self.statements.verifying_key())
    }

    async fn no_receipt(&self, party: &Party) {
        let mut draft = self.draft(Action::AlertRaised);
        draft.peer = Some(party.clone());
        let _ = self.log.record(self.alerts.raise(Alert::NoReceipt, draft)).await;
    }
}

/// Has the log cosigned by the hub, and by whom else the operator names, until `shutdown`: when something waits for it, and now and
/// then.
pub async fn run(shared: Arc<Shared>, witnesses: Peers<Shared>, shutdown: CancellationToken) {
    let every = shared.config.witness.every.get();
    let mut sizes = shared.cosigned.progress();
    let listening = async {
        while sizes.changed().await.is_ok() {
            shared.running.hub_answered(shared.clock.now());
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = listening => {}
        () = shared.cosigned.keep_asking(&witnesses, every) => {}
        // Ends at once where nothing was put back.
        () = async {
            gap::settle(shared.log.audit(), &witnesses, every).await;
            std::future::pending::<()>().await;
        } => {}
    }
}
