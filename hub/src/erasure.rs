//! Erasing enquiries at the hub: what `brag_common::erasure` needs to know of it.

use std::sync::Arc;

use brag_common::{
    agreement::Period,
    audit::{
        AuditLog,
        entry::{Action, EntryDraft},
    },
    durable::{Durable, StoreError},
    erasure::{Erasable, Erasing},
    id::EnquiryRef,
    peer::VerifiedPeer,
    staff::SignedIn,
    status::to_status,
    time::{SharedClock, Timestamp},
    wire::records::Governed,
};
use tonic::Status;

use crate::{config::Role, conflict, hub::Shared, store::Store};

impl Erasable for Shared {
    fn durable(&self) -> &Durable {
        self.store.durable()
    }

    fn log(&self) -> &AuditLog {
        self.log.audit()
    }

    fn clock(&self) -> &SharedClock {
        &self.clock
    }

    fn draft(&self, action: Action) -> EntryDraft {
        Self::draft(self, action)
    }

    fn period(&self) -> Period {
        self.agreement.agreement().retention().ratings_after_close
    }

    fn erasing(&self) -> &Erasing {
        &self.erasing
    }

    fn counts_from(&self, enquiry: &EnquiryRef) -> Result<Option<Timestamp>, StoreError> {
        counts_from(&self.store, enquiry)
    }

    fn clear(&self, enquiry: &EnquiryRef) -> Result<(), StoreError> {
        self.store.forget(enquiry)
    }
}

impl Governed for Shared {
    type Role = Role;

    fn governs(&self, peer: &VerifiedPeer) -> Result<SignedIn<Role>, Status> {
        self.staff(peer, Role::Governance).map_err(|refusal| to_status(&refusal))
    }

    async fn free(
        self: &Arc<Self>,
        who: &SignedIn<Role>,
        enquiry: &EnquiryRef,
    ) -> Result<(), Status> {
        conflict::free(self, who, enquiry).await.map_err(|refusal| to_status(&refusal))
    }
}

/// The moment from which the retention of an enquiry counts: the last change of a cell, the last statement that came in, the last
/// request for detail, change of a rating or challenge, step of its life, and at the earliest the close of its round. The close of an
/// enquiry is its last step; what comes in after it is kept as long.
fn counts_from(store: &Store, enquiry: &EnquiryRef) -> Result<Option<Timestamp>, StoreError> {
    let Some(record) = store.enquiry(enquiry)? else { return Ok(None) };
    let cells = store.cells(enquiry)?.into_iter().map(|(_, _, cell)| cell.since);
    let statements = store.statements(enquiry)?.into_iter().map(|kept| kept.received_at);
    let releases = store.releases(enquiry)?.into_iter().map(|(_, release)| release.asked_at);
    let changes = store.rating_changes(enquiry)?.into_iter().map(|change| change.at);
    let challenges = store.challenges(enquiry)?.into_iter().map(|(_, one)| one.made_at);
    let steps = store.steps(enquiry)?.into_iter().map(|step| step.at);
    let all = cells.chain(statements).chain(releases).chain(changes).chain(challenges).chain(steps);
    Ok(Some(all.fold(record.answer_by, Timestamp::max)))
}
