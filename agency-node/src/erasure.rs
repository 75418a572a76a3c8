//! Erasing enquiries at a node: what `brag_common::erasure` needs to know of it. The agency's own records are not touched.

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

use crate::{config::Role, conflict, guard::Refusal, node::Shared, receive::View, store::Store};

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
        let views = self.store.inbox_in(enquiry)?;
        let ends =
            views.iter().filter_map(|(_, record)| Some(View::read(self, record).ok()?.expires));
        Ok(ends.chain(counts_from(&self.store, enquiry)?).max())
    }

    fn clear(&self, enquiry: &EnquiryRef) -> Result<(), StoreError> {
        self.views.destroy_all(&self.store, enquiry)
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

/// Refuses what concerns an enquiry that was erased here: nothing of it is kept again.
///
/// # Errors
/// When it was.
pub fn not_erased(shared: &Shared, enquiry: &EnquiryRef) -> Result<(), Refusal> {
    if shared.store.durable().is_erased(enquiry) {
        return Err(Refusal::rule("enquiry_erased", "the enquiry was erased at this agency"));
    }
    Ok(())
}

/// The moment from which the retention of an enquiry counts: the last statement that this node signed or verified, the last
/// decision about an identity, the last review, challenge, notice, news or detail that came, and at the earliest the close of its
/// round. When enquiries can be closed, it is their close. `None` when nothing of it is kept.
fn counts_from(store: &Store, enquiry: &EnquiryRef) -> Result<Option<Timestamp>, StoreError> {
    let round = store.enquiry(enquiry)?.map(|record| record.answer_by);
    let statements = store.statements(enquiry)?;
    let statements = statements.iter().filter_map(|signed| signed.read_unverified().ok());
    let people = store.people_in(enquiry)?;
    let decisions = people.iter().flat_map(|(_, person)| &person.decisions).map(|made| made.at);
    let reviews = store.reviews_in(enquiry)?.into_iter().map(|(_, review)| review.decide_by);
    let challenges = store.challenges_in(enquiry)?.into_iter().map(|(_, one)| one.made_at);
    let notices = store.notices_in(enquiry)?.into_iter().map(|(_, notice)| notice.received_at);
    let news = store.news_in(enquiry)?.into_iter().map(|told| told.received_at);
    let arrived = store.inbox_in(enquiry)?.into_iter().map(|(_, view)| view.received_at);
    let all = round.into_iter().chain(statements.map(|statement| statement.made_at));
    Ok(all
        .chain(decisions)
        .chain(reviews)
        .chain(challenges)
        .chain(notices)
        .chain(news)
        .chain(arrived)
        .max())
}
