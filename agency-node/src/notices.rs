//! Signed notices that the hub passes on: that a person has withdrawn, to those who were asked for their detail; that a
//! holder has taken detail back, to its recipient; that the recipient knows, to the holder. Each is believed by its own
//! signature; the hub only carries it, and none holds anything about a person but references.
//!
//! A retraction closes the view at once, whether or not anybody has read the notice. The notice stays in the inbox until a
//! person has acknowledged it: what was copied or noted elsewhere only people can delete.

use std::sync::Arc;

use brag_common::{
    agreement::Seen,
    audit::entry::{Action, Digest, Party},
    enquiry::Envelope,
    id::{RequestId, StaffName},
    statement::{Acknowledgement, Body, Consent, Retraction, SignedStatement, Statement},
    time::Timestamp,
};

use crate::{
    desk::{Act, send},
    erasure::not_erased,
    guard::{Refusal, SignedIn},
    node::Shared,
    outbox, retract,
    store::{
        Change,
        shapes::{AcknowledgedRecord, CloseReason, NoticeRecord},
    },
    views,
};

/// Takes a notice that the hub passes on. The same one again changes nothing.
///
/// # Errors
/// When nobody of the partnership signed it, it does not concern this agency, or it can not be recorded.
pub async fn notified(
    shared: &Arc<Shared>,
    envelope: &Envelope,
    signed: SignedStatement,
) -> Result<(), Refusal> {
    shared.admit(envelope)?;
    shared.under_agreement(envelope)?;
    let claimed = signed.read_unverified().map_err(|_| not_a_notice())?;
    let statement = shared
        .agreement
        .believe(&signed, &shared.realm, &claimed.enquiry, Seen::New)
        .map_err(|_| not_a_notice())?;
    not_erased(shared, &statement.enquiry)?;
    let exchange = &envelope.request_id;
    match &statement.body {
        Body::Consent(consent) => {
            heard_consent(shared, exchange, &statement, consent, &signed).await
        }
        Body::Retraction(retraction) => {
            heard_retraction(shared, exchange, &statement, retraction, signed).await
        }
        Body::Acknowledgement(said) if said.holder == shared.config.agency => {
            retract::acknowledged(shared, exchange, &statement, (said, &signed)).await
        }
        _ => Err(not_a_notice()),
    }
}

fn not_a_notice() -> Refusal {
    Refusal::rule("not_a_notice", "it is no signed notice for this agency")
}

/// Somebody recorded what a person said about sharing. It is evidence here from now on.
async fn heard_consent(
    shared: &Arc<Shared>,
    exchange: &RequestId,
    statement: &Statement,
    consent: &Consent,
    signed: &SignedStatement,
) -> Result<(), Refusal> {
    let enquiry = &statement.enquiry;
    let (name, person) = (enquiry.clone(), consent.person.person.clone());
    let known = shared.store.run(move |store| store.person_in(&name, &person)).await?;
    if known.is_none_or(|known| known.commitment != consent.person.commitment) {
        return Err(Refusal::NotFound("person in an enquiry that this node was asked about"));
    }
    let mut draft = shared.draft(Action::ConsentRecorded);
    draft.enquiry = Some(enquiry.clone());
    draft.person = Some(consent.person.person.clone());
    draft.commitment = Some(consent.person.commitment);
    draft.exchange = Some(exchange.clone());
    draft.peer = Some(Party::Agency(statement.signer.clone()));
    draft.evidence = vec![Digest::of(&signed.payload)];
    draft.decision = consent.state.word().parse().ok();
    shared.log.record(draft).await?;
    let mut change = Change::new();
    change.statement(enquiry, &statement.id, signed)?;
    shared.store.run(move |store| store.commit(change)).await?;
    retract::reconsider(shared, enquiry).await
}

/// A holder has taken back what it released to this agency: the view ends now, or never begins.
async fn heard_retraction(
    shared: &Arc<Shared>,
    exchange: &RequestId,
    statement: &Statement,
    retraction: &Retraction,
    signed: SignedStatement,
) -> Result<(), Refusal> {
    if retraction.recipient != shared.config.agency {
        return Err(not_a_notice());
    }
    let (release, notice) = (retraction.release.clone(), statement.id.clone());
    let (item, known) = shared
        .store
        .run(move |store| Ok((store.inbox_item(&release)?, store.notice(&notice)?)))
        .await?;
    if let Some(item) = &item {
        let permit = item.permit.read_unverified().map_err(|_| Refusal::Internal)?;
        if permit.signer != statement.signer {
            return Err(Refusal::rule("not_the_holder", "another agency released that detail"));
        }
    }
    let mut draft = shared.draft(Action::DetailRetracted);
    draft.enquiry = Some(statement.enquiry.clone());
    draft.person = Some(retraction.person.person.clone());
    draft.release = Some(retraction.release.clone());
    draft.category = Some(retraction.category);
    draft.exchange = Some(exchange.clone());
    draft.peer = Some(Party::Agency(statement.signer.clone()));
    draft.evidence = vec![Digest::of(&signed.payload)];
    draft.reason = Some(retraction.reason);
    shared.log.record(draft).await?;
    let name = match &known {
        None => Some(statement.id.clone()),
        // A name is its signer's own: another agency's notice of the same name takes no notice's place.
        Some(known) if known.signed != signed => Some(outbox::new_exchange()?),
        Some(_) => None,
    };
    if let Some(name) = name {
        // Kept before the view is closed: detail that is overtaken by its retraction is not opened when it comes.
        let record = NoticeRecord { signed, received_at: shared.clock.now(), acknowledged: None };
        let mut change = Change::new();
        change.notice(&statement.enquiry, &name, &record)?;
        shared.store.run(move |store| store.commit(change)).await?;
    }
    views::close(shared, &retraction.release, CloseReason::Retracted).await?;
    Ok(())
}

/// A notice in the inbox.
#[derive(Debug)]
pub struct Notice {
    /// What to acknowledge it by.
    pub name: RequestId,
    /// The retraction.
    pub statement: Statement,
    /// What it takes back.
    pub retraction: Retraction,
    /// When it came.
    pub received_at: Timestamp,
    /// Who has acknowledged it, and when; `None` while nobody has.
    pub acknowledged: Option<(StaffName, Timestamp)>,
}

fn read(name: &RequestId, record: &NoticeRecord) -> Option<Notice> {
    let statement = record.signed.read_unverified().ok()?;
    let Body::Retraction(retraction) = statement.body.clone() else { return None };
    let acknowledged = record.acknowledged.as_ref().map(|done| (done.by.clone(), done.at));
    let (name, received_at) = (name.clone(), record.received_at);
    Some(Notice { name, statement, retraction, received_at, acknowledged })
}

/// Every notice, newest first.
///
/// # Errors
/// When the store fails.
pub async fn all(shared: &Arc<Shared>) -> Result<Vec<Notice>, Refusal> {
    let mut records = shared.store.run(|store| store.notices()).await?;
    records.sort_by_key(|(_, record)| std::cmp::Reverse(record.received_at));
    Ok(records.iter().filter_map(|(name, record)| read(name, record)).collect())
}

/// A person says that they know of a retraction and have acted on it. The holder is told.
///
/// # Errors
/// When there is no such notice, somebody has acknowledged it before, or it can not be recorded.
pub async fn acknowledge(
    shared: &Arc<Shared>,
    who: &SignedIn,
    notice: RequestId,
) -> Result<RequestId, Refusal> {
    shared.in_force()?;
    let _alone = shared.at_desk.lock().await;
    let name = notice.clone();
    let record = shared.store.run(move |store| store.notice(&name)).await?;
    let record = record.ok_or(Refusal::NotFound("notice"))?;
    if record.acknowledged.is_some() {
        return Err(Refusal::rule("acknowledged_already", "somebody has acknowledged it before"));
    }
    let Notice { statement, retraction, .. } = read(&notice, &record).ok_or(Refusal::Internal)?;
    let enquiry = &statement.enquiry;
    let body = Body::Acknowledgement(Acknowledgement {
        retraction: statement.id.clone(),
        release: retraction.release,
        person: retraction.person.clone(),
        holder: statement.signer,
    });
    let person = Some(&retraction.person.person);
    let act = Act { enquiry, person, action: Action::RetractionAcknowledged, body };
    let mut change = Change::new();
    let (id, signed) = act.sign_and_record(shared, who, &mut change).await?;
    let done = AcknowledgedRecord { by: who.name().clone(), at: shared.clock.now() };
    change.notice(enquiry, &notice, &NoticeRecord { acknowledged: Some(done), ..record })?;
    outbox::put_fact(shared, &id, enquiry, &signed, &mut change);
    send(shared, change).await?;
    Ok(id)
}
