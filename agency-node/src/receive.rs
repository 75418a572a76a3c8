//! Detail that another agency released to this one arrives: checked against the holder's signed permit, recorded, and at
//! once sealed again under a key of its own. Opening it and its end are in `views.rs`.

use std::sync::Arc;

use brag_common::{
    agreement::Seen,
    audit::entry::{Action, Digest, EntryDraft, Party},
    enquiry::Envelope,
    id::{AgencyId, AgreementDigest, EnquiryRef},
    release::{SealedFor, binding},
    seal::Binding,
    statement::{Body, DecidedOutcome, ReleaseDecision, SignedStatement, Statement},
    time::Timestamp,
    view::rewrap,
};

use crate::{
    erasure::not_erased,
    guard::Refusal,
    node::Shared,
    store::{
        Change,
        shapes::{CloseReason, Closed, InboxRecord},
    },
    views::blob_place,
};

/// A view in the inbox.
#[derive(Debug)]
pub struct View {
    /// The holder's decision.
    pub decision: ReleaseDecision,
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// The version of the agreement under which it was released; it is sealed as that.
    pub agreement: AgreementDigest,
    /// Who released it.
    pub holder: AgencyId,
    /// Obligations that come with it.
    pub obligations: Vec<String>,
    /// When the view ends.
    pub expires: Timestamp,
    /// How it ended; `None` while it is open.
    pub closed: Option<Closed>,
    sealed_digest: [u8; 32],
}

impl View {
    /// Reads a permit that this node is the recipient of.
    fn of(shared: &Shared, statement: Statement) -> Result<Self, Refusal> {
        let Body::Release(decision) = statement.body else { return Err(not_a_permit()) };
        let DecidedOutcome::Release { obligations, view_expires_at, sealed_digest, .. } =
            decision.outcome.clone()
        else {
            return Err(not_a_permit());
        };
        if decision.recipient != shared.config.agency {
            return Err(Refusal::rule("another_recipient", "the detail is for another agency"));
        }
        Ok(Self {
            enquiry: statement.enquiry,
            agreement: statement.agreement,
            holder: statement.signer,
            obligations,
            expires: view_expires_at,
            closed: None,
            sealed_digest: sealed_digest.ok_or_else(not_a_permit)?,
            decision,
        })
    }

    /// Reads a view that this node keeps; its permit was verified when it came.
    pub(crate) fn read(shared: &Shared, record: &InboxRecord) -> Result<Self, Refusal> {
        let statement = record.permit.read_unverified().map_err(|_| Refusal::Internal)?;
        Ok(Self { closed: record.closed, ..Self::of(shared, statement)? })
    }

    pub(crate) fn draft(&self, shared: &Shared, action: Action) -> EntryDraft {
        let mut draft = shared.draft(action);
        draft.enquiry = Some(self.enquiry.clone());
        draft.person = Some(self.decision.person.person.clone());
        draft.release = Some(self.decision.release.clone());
        draft.peer = Some(Party::Agency(self.holder.clone()));
        draft.category = Some(self.decision.category);
        draft.payload_digest = Some(Digest::from_bytes(self.sealed_digest));
        draft.obligations = self
            .obligations
            .iter()
            .filter_map(|word| word.split('=').next()?.parse().ok())
            .collect();
        draft
    }

    /// What the holder sealed it as.
    fn binding(&self, shared: &Shared) -> Binding {
        binding(&SealedFor {
            agreement: self.agreement,
            enquiry: &self.enquiry,
            person: &self.decision.person.person,
            category: self.decision.category,
            holder: &self.holder,
            recipient: &shared.config.agency,
            release: &self.decision.release,
            expires: self.expires,
        })
    }
}

fn not_a_permit() -> Refusal {
    Refusal::rule("not_a_permit", "the detail does not come with a holder's signed permit")
}

/// Keeps sealed detail that the hub relays.
///
/// Detail that comes after the view's time, or after its retraction, is recorded and noted as ended; nothing of it is kept, and the holder need
/// not try again.
///
/// # Errors
/// When the permit is not the holder's, not for this agency, or not for these bytes; when they are not sealed to this
/// agency; or when the same release came before.
pub async fn receive(
    shared: &Arc<Shared>,
    envelope: &Envelope,
    permit: SignedStatement,
    sealed: Vec<u8>,
) -> Result<(), Refusal> {
    shared.admit(envelope)?;
    shared.under_agreement(envelope)?;
    let claimed = permit.read_unverified().map_err(|_| not_a_permit())?;
    let statement = shared
        .agreement
        .believe(&permit, &shared.realm, &claimed.enquiry, Seen::New)
        .map_err(|_| not_a_permit())?;
    let view = View::of(shared, statement)?;
    if Digest::of(&sealed).as_bytes() != &view.sealed_digest {
        return Err(not_a_permit());
    }
    let _alone = shared.views.alone.lock().await;
    not_erased(shared, &view.enquiry)?;
    let release = view.decision.release.clone();
    let looked_up = release.clone();
    if let Some(known) = shared.store.run(move |store| store.inbox_item(&looked_up)).await? {
        return Err(if known.permit == permit {
            Refusal::rule("received_already", "this detail came before; it is taken once")
        } else {
            Refusal::rule("release_reused", "another detail came under this release")
        });
    }
    let (key, wrapped) =
        rewrap(&shared.sealing, &view.binding(shared), &Digest::of(&permit.payload), &sealed)
            .map_err(|_| {
                Refusal::rule("can_not_open", "the detail is not sealed to this agency's key")
            })?;
    // What arrived opens with a key that outlives the view: from here on only the other form exists.
    drop(sealed);
    let mut draft = view.draft(shared, Action::DetailReceived);
    draft.exchange = Some(envelope.request_id.clone());
    shared.log.record(draft).await?;
    let now = shared.clock.now();
    // The agreement may have ended while this waited for its turn.
    shared.in_force()?;
    let mut change = Change::new();
    let mut record = InboxRecord { permit, received_at: now, closed: None };
    let retracted = is_retracted(shared, &view).await?;
    if view.expires <= now {
        record.closed = Some(Closed { why: CloseReason::Expired, at: now });
    } else if retracted {
        record.closed = Some(Closed { why: CloseReason::Retracted, at: now });
    } else {
        let name = release.clone();
        shared.views.run(move |keys| keys.put(&name, key.secret())).await?;
        change.blob(&blob_place(&view.enquiry, &release), &wrapped);
        shared.views.expect(view.expires);
    }
    change.inbox(&view.enquiry, &release, &record)?;
    Ok(shared.store.run(move |store| store.commit(change)).await?)
}

/// Whether the holder took the detail back before it came: a recipient that was away may hear of both in any order.
async fn is_retracted(shared: &Arc<Shared>, view: &View) -> Result<bool, Refusal> {
    let notices = shared.store.run(|store| store.notices()).await?;
    let read = notices.iter().filter_map(|(_, notice)| notice.signed.read_unverified().ok());
    let mut retractions = read.filter(|statement| statement.signer == view.holder);
    Ok(retractions.any(|statement| {
        matches!(statement.body, Body::Retraction(r) if r.release == view.decision.release)
    }))
}

/// The inbox, newest first.
///
/// # Errors
/// When the store fails.
pub async fn inbox(shared: &Arc<Shared>) -> Result<Vec<View>, Refusal> {
    let mut records = shared.store.run(|store| store.inbox()).await?;
    records.sort_by_key(|(_, record)| std::cmp::Reverse(record.received_at));
    records.into_iter().map(|(_, record)| View::read(shared, &record)).collect()
}
