//! What agencies are to be told of an enquiry: kept until the agency has taken it, told once and in the order in which it came.
//!
//! Signed notices that one agency's statement makes necessary at another are passed on as they were signed; the hub adds nothing
//! and can alter nothing:
//!
//! - A person's refusal or withdrawal goes to every holder that was asked for detail about the person.
//! - A retraction goes to the recipient of the detail, its acknowledgement to the holder.
//!
//! News ([`brag_common::news`]) are the hub's own word and hold no detail.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use brag_common::{
    audit::entry::{Action, Digest, EntryDraft, Party},
    durable::StoreError,
    enquiry::{Envelope, ReleaseQuery},
    id::{AgencyId, EnquiryRef},
    news::{InformQuery, News},
    statement::{Body, ConsentState, SignedStatement, Statement},
    status::code_of,
    time::Timestamp,
    tls::with_deadline,
    wire::pb,
    witness::layer::WitnessedChannel,
};
use tonic::{Code, Status};

use crate::{
    backlog::{Backlog, Place},
    guard::Refusal,
    hub::Shared,
    round::{client, envelope},
    store::{
        Change, Store,
        shapes::{AcknowledgedRecord, NoticeRecord, ReleaseRecord, RetractionRecord},
    },
};

/// What a statement changes at the hub: what is shown of a release, and who is to be told.
#[derive(Debug, Default)]
pub struct Consequences {
    /// Agencies that are to be told.
    pub tell: BTreeSet<AgencyId>,
    /// The release that is shown otherwise from now on.
    pub release: Option<(brag_common::id::ReleaseRef, ReleaseRecord)>,
}

/// What follows from a statement of an agency that was just taken.
///
/// # Errors
/// When it takes back or acknowledges what was not released so.
pub fn consequences(
    store: &Store,
    enquiry: &EnquiryRef,
    statement: &Statement,
) -> Result<Consequences, Refusal> {
    let by = &statement.signer;
    let mut follows = Consequences::default();
    match &statement.body {
        Body::Consent(consent) if consent.state != ConsentState::Valid => {
            let of_person = store.releases(enquiry)?.into_iter().map(|(_, record)| record);
            let holders = of_person.filter(|record| record.person == consent.person.person);
            follows.tell = holders.map(|record| record.holder).filter(|h| h != by).collect();
        }
        Body::Retraction(taken_back) => {
            let record = store.release(enquiry, &taken_back.release, &taken_back.recipient)?;
            let mut record = record
                .filter(|kept| kept.holder == *by && kept.person == taken_back.person.person)
                .ok_or(Refusal::NotFound("release by this agency"))?;
            record.retraction = Some(RetractionRecord {
                id: statement.id.clone(),
                reason: taken_back.reason,
                at: statement.made_at,
                acknowledged: None,
            });
            follows.tell.insert(taken_back.recipient.clone());
            follows.release = Some((taken_back.release.clone(), record));
        }
        Body::Acknowledgement(said) => {
            let record = store.release(enquiry, &said.release, by)?;
            let mut record = record
                .filter(|kept| kept.holder == said.holder)
                .ok_or(Refusal::NotFound("release to this agency"))?;
            let retraction = record.retraction.as_mut().filter(|one| one.id == said.retraction);
            let retraction = retraction.ok_or(Refusal::NotFound("retraction of a release"))?;
            let by = statement.made_by.clone();
            retraction.acknowledged = Some(AcknowledgedRecord { by, at: statement.made_at });
            follows.tell.insert(said.holder.clone());
            follows.release = Some((said.release.clone(), record));
        }
        _ => {}
    }
    Ok(follows)
}

/// A refusal or withdrawal that came while a holder was being asked, with the evidence of before: it is told now.
///
/// # Errors
/// When the store fails.
pub async fn tell_what_it_was_not_shown(
    shared: &Arc<Shared>,
    query: &ReleaseQuery,
    holder: &AgencyId,
) -> Result<(), Refusal> {
    let name = query.enquiry.clone();
    let statements = shared.store.run(move |store| store.statements(&name)).await?;
    let mut change = Change::new();
    let mut any = false;
    for kept in statements.iter().filter(|kept| !query.evidence.contains(&kept.signed)) {
        let Ok(statement) = kept.signed.read_unverified() else { continue };
        let takes_back = match &statement.body {
            Body::Consent(consent) => {
                consent.state != ConsentState::Valid && consent.person.person == query.subject
            }
            _ => false,
        };
        if takes_back && statement.signer != *holder {
            let told = (&statement, &kept.signed);
            put(&mut change, &query.enquiry, &[holder.clone()].into(), told, kept.received_at)?;
            any = true;
        }
    }
    if any {
        shared.store.run(move |store| store.commit(change)).await?;
        start_one(shared, &query.enquiry, holder);
    }
    Ok(())
}

/// Tells one agency what waits for it in one enquiry; returns at once.
pub fn start_one(shared: &Arc<Shared>, enquiry: &EnquiryRef, agency: &AgencyId) {
    let (telling, place) = (Arc::clone(shared), (enquiry.clone(), agency.clone()));
    shared.rounds.spawn(async move {
        tell(&telling, &place).await;
    });
}

/// Tells agencies what waits for them, until told to stop; one that is away is tried again, ever more rarely.
pub async fn keep_telling(shared: Arc<Shared>) {
    let pause = shared.config.fan_out.ask_again_after.get();
    let backlog: Arc<Mutex<Backlog>> = Arc::default();
    loop {
        match shared.store.run(|store| store.notices_wait_at()).await {
            Ok(waiting) => {
                let now = backlog.lock().unwrap_or_else(PoisonError::into_inner).turn(waiting);
                for place in now {
                    let (telling, backlog) = (Arc::clone(&shared), Arc::clone(&backlog));
                    shared.rounds.spawn(async move {
                        tell(&telling, &place).await;
                        backlog.lock().unwrap_or_else(PoisonError::into_inner).asked(&place);
                    });
                }
            }
            Err(error) => tracing::warn!(%error, "can not look for notices that wait"),
        }
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn tell(shared: &Arc<Shared>, place: &Place) {
    if let Err(error) = try_to_tell(shared, place).await {
        use brag_common::status::PeerFacing as _;
        tracing::warn!(code = error.code(), agency = %place.1, "could not pass on a notice");
    }
}

async fn try_to_tell(shared: &Arc<Shared>, (enquiry, agency): &Place) -> Result<(), Refusal> {
    // One at a time: the order in which they came matters, and each is told once.
    let _alone = shared.notice_locks.of(enquiry, agency).await;
    // Its node has closed what it had; it is told nothing while it is no party.
    if shared.still_party(agency).is_err() {
        return Ok(());
    }
    let Some(channel) = shared.to_node(agency) else { return Ok(()) };
    let (name, to) = (enquiry.clone(), agency.clone());
    for (place, record) in shared.store.run(move |store| store.notices(&name, &to)).await? {
        if shared.shutdown.is_cancelled() {
            return Ok(());
        }
        let within = shared.config.fan_out.call_within.get();
        let head = envelope(shared, within)?;
        let mut draft = draft(shared, enquiry, &record);
        draft.exchange = Some(head.request_id.clone());
        draft.peer = Some(Party::Agency(agency.clone()));
        shared.log.record(draft.clone()).await?;
        let is_news = matches!(record, NoticeRecord::News { .. });
        let call = call(channel.clone(), enquiry, record, head, within);
        match shared.unless_stopping(call).await {
            Ok(()) => {}
            // It will never take it: it does not know the person, for example. Others in the queue may concern it.
            Err(status) if is_final(&status, is_news) => {
                let code = code_of(&status).unwrap_or("none");
                tracing::error!(code, %agency, "an agency refused a notice for good");
                shared.record_no_response(draft, code).await?;
            }
            Err(status) => {
                let code = code_of(&status).unwrap_or("unreachable");
                shared.record_no_response(draft, code).await?;
                return Err(Refusal::RecipientUnreachable);
            }
        }
        let mut change = Change::new();
        change.notice_taken(&place);
        shared.store.run(move |store| store.commit(change)).await?;
    }
    Ok(())
}

/// Tells one thing, by the call that is for it.
async fn call(
    channel: WitnessedChannel<Shared>,
    enquiry: &EnquiryRef,
    record: NoticeRecord,
    head: Envelope,
    within: Duration,
) -> Result<(), Status> {
    let mut client = client(channel);
    match record {
        NoticeRecord::Signed { signed } => {
            let request = pb::NotifyRequest {
                request_id: head.request_id.to_string(),
                agreement_digest: head.agreement.as_bytes().to_vec(),
                valid_until_unix_ms: head.valid_until.as_millisecond(),
                notice: Some((&signed).into()),
            };
            client.notify(with_deadline(request, within)).await?;
        }
        NoticeRecord::News { news } => {
            let query = InformQuery { envelope: head, enquiry: enquiry.clone(), news };
            let request = pb::InformRequest::from(&query);
            client.inform(with_deadline(request, within)).await?;
        }
    }
    Ok(())
}

fn is_final(status: &Status, is_news: bool) -> bool {
    // A node of an earlier version takes no news. What was signed is never given up for that.
    if is_news && status.code() == Code::Unimplemented {
        return true;
    }
    matches!(status.code(), Code::NotFound | Code::InvalidArgument | Code::FailedPrecondition)
        && code_of(status).is_some_and(|code| {
            !["agreement_version_mismatch", "agreement_expired", "party_withdrawn"].contains(&code)
        })
}

fn draft(shared: &Shared, enquiry: &EnquiryRef, record: &NoticeRecord) -> EntryDraft {
    let mut draft = match record {
        NoticeRecord::Signed { signed } => {
            let kind = signed.read_unverified().ok().map(|one| one.body.kind());
            EntryDraft {
                evidence: vec![Digest::of(&signed.payload)],
                decision: kind.and_then(|kind| kind.parse().ok()),
                ..shared.draft(Action::NoticeRelayed)
            }
        }
        NoticeRecord::News { news } => EntryDraft {
            person: news.person().cloned(),
            decision: news.kind().word().parse().ok(),
            ..shared.draft(Action::NewsTold)
        },
    };
    draft.enquiry = Some(enquiry.clone());
    draft
}

/// Puts a statement out for every agency that it concerns.
///
/// # Errors
/// When it can not be encoded.
pub fn put(
    change: &mut Change,
    enquiry: &EnquiryRef,
    tell: &BTreeSet<AgencyId>,
    (statement, signed): (&Statement, &SignedStatement),
    received_at: Timestamp,
) -> Result<(), StoreError> {
    for agency in tell {
        let record = NoticeRecord::Signed { signed: signed.clone() };
        change.notice(enquiry, agency, (received_at, &statement.id), &record)?;
    }
    Ok(())
}

/// Puts news out for every agency that is to be told; `at` is when they are put out, and decides about their order. The same news
/// put out twice at the same time are told once. Once the change is made, [`start_one`] tells them without waiting for the
/// next turn.
///
/// # Errors
/// When they can not be encoded.
pub fn put_news(
    change: &mut Change,
    enquiry: &EnquiryRef,
    to: &BTreeSet<AgencyId>,
    news: &News,
    at: Timestamp,
) -> Result<(), StoreError> {
    let name = news.name();
    for agency in to {
        let record = NoticeRecord::News { news: news.clone() };
        change.notice(enquiry, agency, (at, &name), &record)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use brag_common::news::NewsKind;

    use super::*;

    #[test]
    fn what_was_stored_before_there_were_news_reads_and_is_written_as_it_was() {
        let stored = r#"{"signed":{"payload":"AQI=","signature":"Aw=="}}"#;
        let record: NoticeRecord = serde_json::from_str(stored).unwrap();
        let signed = SignedStatement { payload: vec![1, 2], signature: vec![3] };
        assert_eq!(record, NoticeRecord::Signed { signed });
        assert_eq!(serde_json::to_string(&record).unwrap(), stored);
    }

    #[test]
    fn news_read_back() {
        let news = News::new(NewsKind::LeadNamed, Timestamp::UNIX_EPOCH, "CSC", None).unwrap();
        let record = NoticeRecord::News { news };
        let stored = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<NoticeRecord>(&stored).unwrap(), record);
    }
}
