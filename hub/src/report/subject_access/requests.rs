//! The steps of an answer: asked, shown, approved, issued. Each finds anew what is held, and is recorded before anything is shown.

use std::{collections::BTreeSet, sync::Arc};

use brag_common::{
    audit::entry::{Action, Digest, EntryDraft},
    id::AgencyId,
    matching::identity::CanonicalIdentity,
    secret::random_bytes,
    time::{SignedDuration, Timestamp},
    wire::WireError,
};

use super::{approvals, draft::Draft, held::About};
use crate::{
    conflict, earlier, enquiry,
    guard::{Refusal, SignedIn},
    hub::Shared,
    report::document::Document,
    store::{Change, shapes::AccessRecord},
};

/// How long a request is kept after it was asked. The law gives a month, and two more where a request is complex (Article 12(3)).
pub const KEPT_FOR: SignedDuration = SignedDuration::from_hours(92 * 24);

/// The most requests in one list.
pub const MAX_LISTED: usize = 1000;

/// The most enquiries that are recorded in one write.
const MAX_AT_ONCE: usize = 256;

/// The longest identity, in bytes.
const MAX_IDENTITY_BYTES: usize = 16 * 1024;

/// A draft as it is shown.
#[derive(Debug)]
pub struct Shown {
    /// The number of the request.
    pub request: u64,
    /// The digest by which it is approved.
    pub digest: Digest,
    /// How many people have to approve it.
    pub needed: usize,
    /// How many have.
    pub given: usize,
    /// Whether the safety profile applies.
    pub safe: bool,
    /// The draft with its notes.
    pub document: Document,
}

impl Shown {
    fn of(request: u64, record: &AccessRecord, draft: &Draft) -> Self {
        let digest = draft.digest(&record.salt);
        let given = approvals::given(record, digest);
        Self {
            request,
            digest,
            needed: draft.needed(),
            given,
            safe: draft.is_safe(),
            document: draft.with_notes(request, digest, given),
        }
    }
}

/// Begins an answer.
///
/// # Errors
/// When the identity is not one, the caller is linked to a family that it would show, or nothing can be recorded.
pub async fn ask(
    shared: &Arc<Shared>,
    who: &SignedIn,
    identity: &[u8],
    analyses_of: BTreeSet<AgencyId>,
) -> Result<Shown, Refusal> {
    let _alone = shared.auditing.lock().await;
    forget_old(shared).await?;
    let person = decode(identity)?;
    let all = find(shared, who, &person).await?;
    let asked = shared.log.record(who.signs(shared.draft(Action::SubjectAccessAsked))).await?;
    let request = asked.number();
    looked_at(shared, who, &all, &about(shared, Action::SubjectAccessAsked, request)).await?;
    let salt = random_bytes().map_err(|_| Refusal::Internal)?;
    let record = AccessRecord {
        asked_by: who.name().clone(),
        asked_at: shared.clock.now(),
        salt,
        person: person.commitment(&salt),
        analyses_of: analyses_of.into_iter().collect(),
        approvals: Vec::new(),
        issued_at: None,
    };
    keep(shared, request, &record).await?;
    Ok(Shown::of(request, &record, &draft(shared, &person, &all, &record)))
}

/// Shows the draft as it stands.
///
/// # Errors
/// As [`ask`]; also when there is no such request, or it is about somebody else.
pub async fn show(
    shared: &Arc<Shared>,
    who: &SignedIn,
    request: u64,
    identity: &[u8],
) -> Result<Shown, Refusal> {
    let _alone = shared.auditing.lock().await;
    let (record, person) = known(shared, who, request, identity).await?;
    let all = find(shared, who, &person).await?;
    let mut read = about(shared, Action::ReportRead, request);
    read.decision = "subject_access".parse().ok();
    shared.log.record(who.signs(read.clone())).await?;
    looked_at(shared, who, &all, &read).await?;
    Ok(Shown::of(request, &record, &draft(shared, &person, &all, &record)))
}

/// Approves the draft with this digest. Gives how many approvals it needs, and has.
///
/// # Errors
/// As [`show`]; also when the caller asked, has approved it already, or the draft is another by now.
pub async fn approve(
    shared: &Arc<Shared>,
    who: &SignedIn,
    request: u64,
    identity: &[u8],
    read: Digest,
) -> Result<(usize, usize), Refusal> {
    let _alone = shared.auditing.lock().await;
    let (mut record, person) = known(shared, who, request, identity).await?;
    let all = find(shared, who, &person).await?;
    let draft = draft(shared, &person, &all, &record);
    let stands = draft.digest(&record.salt);
    let taken = approvals::approve(&mut record, (who.name(), shared.clock.now()), read, stands);
    or_record(shared, who, request, taken).await?;
    let mut entry = about(shared, Action::SubjectAccessApproved, request);
    entry.payload_digest = Some(stands);
    shared.log.record(who.signs(entry)).await?;
    keep(shared, request, &record).await?;
    Ok((draft.needed(), approvals::given(&record, stands)))
}

/// Gives the document, when it is approved as it stands.
///
/// # Errors
/// As [`show`]; also when too few people have approved the draft as it stands.
pub async fn issue(
    shared: &Arc<Shared>,
    who: &SignedIn,
    request: u64,
    identity: &[u8],
) -> Result<Document, Refusal> {
    let _alone = shared.auditing.lock().await;
    let (mut record, person) = known(shared, who, request, identity).await?;
    let all = find(shared, who, &person).await?;
    let draft = draft(shared, &person, &all, &record);
    let digest = draft.digest(&record.salt);
    let enough = approvals::enough(&record, digest, draft.needed());
    or_record(shared, who, request, enough).await?;
    let mut entry = about(shared, Action::SubjectAccessIssued, request);
    entry.payload_digest = Some(digest);
    shared.log.record(who.signs(entry.clone())).await?;
    looked_at(shared, who, &all, &entry).await?;
    record.issued_at = Some(shared.clock.now());
    keep(shared, request, &record).await?;
    Ok(draft.document)
}

/// Requests that are kept, oldest first, at most [`MAX_LISTED`]. That somebody looked is recorded first.
///
/// # Errors
/// When the store fails, or it can not be recorded.
pub async fn list(
    shared: &Arc<Shared>,
    who: &SignedIn,
) -> Result<Vec<(u64, AccessRecord)>, Refusal> {
    let _alone = shared.auditing.lock().await;
    forget_old(shared).await?;
    let mut draft = shared.draft(Action::ReportRead);
    draft.decision = "subject_access_list".parse().ok();
    shared.log.record(who.signs(draft)).await?;
    let mut all = shared.store.run(|store| store.access_requests()).await?;
    all.truncate(MAX_LISTED);
    Ok(all)
}

fn decode(identity: &[u8]) -> Result<CanonicalIdentity, WireError> {
    let wrong = WireError::invalid("identity", "a canonical identity of at most 16 KiB");
    if identity.len() > MAX_IDENTITY_BYTES {
        return Err(wrong);
    }
    CanonicalIdentity::decode(identity).map_err(|_| wrong)
}

/// A request, and the person whom it is about, when the identity is the one with which it was asked.
async fn known(
    shared: &Arc<Shared>,
    who: &SignedIn,
    request: u64,
    identity: &[u8],
) -> Result<(AccessRecord, CanonicalIdentity), Refusal> {
    let person = decode(identity)?;
    let record = shared.store.run(move |store| store.access_request(request)).await?;
    let now = shared.clock.now();
    let record = record.filter(|record| !is_over(record, now));
    let record = record.ok_or(Refusal::NotFound("request for access"))?;
    let same = if person.commitment(&record.salt) == record.person {
        Ok(())
    } else {
        let text = "the request is about somebody else: give the file with which it was asked";
        Err(Refusal::rule("other_person", text))
    };
    or_record(shared, who, request, same).await?;
    Ok((record, person))
}

/// Everything that is held about a person, newest enquiry first, for somebody who may see it.
async fn find(
    shared: &Arc<Shared>,
    who: &SignedIn,
    person: &CanonicalIdentity,
) -> Result<Vec<About>, Refusal> {
    let bounds = earlier::Bounds::agreement(&shared.agreement);
    let asked = person.clone();
    let found =
        shared.store.run(move |store| earlier::find(store, asked.identity(), bounds)).await?;
    let mut all = Vec::with_capacity(found.len());
    for one in found {
        conflict::free(shared, who, &one.name).await?;
        let whole = match enquiry::whole(shared, &one.name).await {
            Ok(whole) => whole,
            // Erased since it was found.
            Err(Refusal::NotFound(_)) => continue,
            Err(failed) => return Err(failed),
        };
        all.push(About { enquiry: one.name, person: one.person, unclear: one.unclear, whole });
    }
    Ok(all)
}

fn draft(
    shared: &Shared,
    person: &CanonicalIdentity,
    all: &[About],
    record: &AccessRecord,
) -> Draft {
    let include = record.analyses_of.iter().cloned().collect();
    Draft::new(shared.agreement.agreement(), person.identity(), all, &include)
}

/// An entry of a request.
fn about(shared: &Shared, action: Action, request: u64) -> EntryDraft {
    let mut draft = shared.draft(action);
    draft.count = Some(request);
    draft
}

/// Records one entry like this for each enquiry that is looked at.
async fn looked_at(
    shared: &Shared,
    who: &SignedIn,
    all: &[About],
    like: &EntryDraft,
) -> Result<(), Refusal> {
    for some in all.chunks(MAX_AT_ONCE) {
        let each = some.iter().map(|about| {
            who.signs(EntryDraft {
                enquiry: Some(about.enquiry.clone()),
                person: Some(about.person.clone()),
                ..like.clone()
            })
        });
        shared.log.record_all::<EntryDraft>(each.collect()).await?;
    }
    Ok(())
}

/// What a rule refused is recorded before it is told.
async fn or_record<T>(
    shared: &Shared,
    who: &SignedIn,
    request: u64,
    outcome: Result<T, Refusal>,
) -> Result<T, Refusal> {
    if let Err(Refusal::Rule { code, .. }) = &outcome {
        let mut draft = about(shared, Action::RequestRefused, request);
        draft.decision = code.parse().ok();
        shared.log.record(who.signs(draft)).await?;
    }
    outcome
}

async fn keep(shared: &Shared, request: u64, record: &AccessRecord) -> Result<(), Refusal> {
    let mut change = Change::new();
    change.access_request(request, record)?;
    Ok(shared.store.run(move |store| store.commit(change)).await?)
}

fn is_over(record: &AccessRecord, now: Timestamp) -> bool {
    now.duration_since(record.asked_at) > KEPT_FOR
}

/// Takes away requests whose time is over.
async fn forget_old(shared: &Shared) -> Result<(), Refusal> {
    let now = shared.clock.now();
    let forget = shared.store.run(move |store| {
        let all = store.access_requests()?.into_iter();
        let over: Vec<u64> =
            all.filter(|(_, record)| is_over(record, now)).map(|(request, _)| request).collect();
        if over.is_empty() {
            return Ok(());
        }
        let mut change = Change::new();
        over.into_iter().for_each(|request| change.access_request_is_over(request));
        store.commit(change)
    });
    Ok(forget.await?)
}
