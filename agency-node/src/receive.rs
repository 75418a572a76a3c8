//! Detail that another agency released to this one: checked against the holder's signed permit, recorded,
//! kept sealed, and opened by a person, one recorded opening at a time.

use std::sync::Arc;

use brag_common::{
    agreement::Seen,
    audit::{
        Recordable, Recorded,
        entry::{Action, Digest, EntryDraft, Party},
    },
    enquiry::Envelope,
    id::{AgreementDigest, EnquiryRef, ReleaseRef},
    release::{SealedFor, binding},
    statement::{Body, DecidedOutcome, ReleaseDecision, SignedStatement, Statement},
    time::Timestamp,
};

use crate::{
    guard::{Refusal, SignedIn},
    node::Shared,
    store::{Change, shapes::InboxRecord},
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
    pub holder: brag_common::id::AgencyId,
    /// Obligations that come with it.
    pub obligations: Vec<String>,
    /// When the view ends.
    pub expires: Timestamp,
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
            sealed_digest: sealed_digest.ok_or_else(not_a_permit)?,
            decision,
        })
    }

    fn draft(&self, shared: &Shared, action: Action) -> EntryDraft {
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
}

fn not_a_permit() -> Refusal {
    Refusal::rule("not_a_permit", "the detail does not come with a holder's signed permit")
}

/// Keeps sealed detail that the hub relays. The same detail twice is kept once.
///
/// # Errors
/// When the permit is not the holder's, not for this agency, or not for these bytes.
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
    let release = view.decision.release.clone();
    let looked_up = release.clone();
    if shared.store.run(move |store| store.inbox_item(&looked_up)).await?.is_some() {
        return Ok(());
    }
    let mut draft = view.draft(shared, Action::DetailReceived);
    draft.exchange = Some(envelope.request_id.clone());
    shared.log.record(draft).await?;
    let mut change = Change::new();
    change.inbox(&release, &InboxRecord { permit, received_at: shared.clock.now() })?;
    change.blob(&format!("inbox/{release}"), &sealed);
    Ok(shared.store.run(move |store| store.commit(change)).await?)
}

/// The inbox, newest first.
///
/// # Errors
/// When the store fails.
pub async fn inbox(shared: &Arc<Shared>) -> Result<Vec<View>, Refusal> {
    let mut records = shared.store.run(|store| store.inbox()).await?;
    records.sort_by_key(|(_, record)| std::cmp::Reverse(record.received_at));
    records
        .into_iter()
        .filter_map(|(_, record)| record.permit.read_unverified().ok())
        .map(|statement| View::of(shared, statement))
        .collect()
}

/// An opening by a person, to be recorded first.
struct Opening {
    draft: EntryDraft,
}

impl Recordable for Opening {
    fn entry(&self) -> EntryDraft {
        self.draft.clone()
    }
}

/// Opens one view for a person who has accepted its obligations.
///
/// # Errors
/// When there is no such view, its time has passed, or the opening can not be recorded.
pub async fn open_detail(
    shared: &Arc<Shared>,
    who: &SignedIn,
    release: ReleaseRef,
    obligations_accepted: bool,
) -> Result<(View, String), Refusal> {
    let name = release.clone();
    let (record, sealed) = shared
        .store
        .run(move |store| Ok((store.inbox_item(&name)?, store.blob(&format!("inbox/{name}"))?)))
        .await?;
    let (Some(record), Some(sealed)) = (record, sealed) else {
        return Err(Refusal::NotFound("release in the inbox"));
    };
    let statement = record.permit.read_unverified().map_err(|_| Refusal::Internal)?;
    let view = View::of(shared, statement)?;
    if !obligations_accepted {
        return Err(Refusal::rule(
            "obligations_not_accepted",
            format!("read and accept the obligations first: {}", view.obligations.join(", ")),
        ));
    }
    let now = shared.clock.now();
    if view.expires <= now {
        return Err(Refusal::rule("view_expired", "VIEW_EXPIRED: ask for the detail again"));
    }
    let draft = who.signs(view.draft(shared, Action::DetailOpened));
    let opening = shared.log.record(Opening { draft }).await?;
    let text = unseal(shared, &view, &sealed, &opening)?;
    Ok((view, text))
}

/// Unseals for an opening that the log holds.
fn unseal(
    shared: &Shared,
    view: &View,
    sealed: &[u8],
    _opening: &Recorded<Opening>,
) -> Result<String, Refusal> {
    let binding = binding(&SealedFor {
        agreement: view.agreement,
        enquiry: &view.enquiry,
        person: &view.decision.person.person,
        category: view.decision.category,
        holder: &view.holder,
        recipient: &shared.config.agency,
        release: &view.decision.release,
        expires: view.expires,
    });
    let text = shared.sealing.open(&binding, sealed).map_err(|_| {
        Refusal::rule("can_not_open", "the detail does not open with this agency's sealing key")
    })?;
    String::from_utf8(text.to_vec()).map_err(|_| Refusal::Internal)
}
