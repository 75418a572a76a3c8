//! Erasing enquiries, the same at the hub and at every node: by the agreement's rule when their time has come, or by hand by two
//! people; and legal holds, under which nothing is erased.
//!
//! Each party erases for itself. The agency's own records are no part of an enquiry and stay.
//!
//! INVARIANTS
//! - An erasure is recorded, durably, before anything is destroyed: begun in the store, recorded, then done. One that was cut off
//!   in between is recorded again and done when the program starts again, so `records_erased` may stand twice, never not at all.
//! - An enquiry that is held is not erased, by nobody and by no rule.
//! - By hand it takes two different people; both are in the log.
//! - Entries hold the reference of the enquiry, counts and words. Reasons are kept with the enquiry and go with it.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    agreement::Period,
    audit::{
        AuditLog, LogError,
        entry::{Action, Actor, EntryDraft},
    },
    durable::{Batch, Durable, StoreError},
    id::{EnquiryRef, StaffName},
    staff::{Role, SignedIn},
    status::PeerFacing,
    time::{SharedClock, SignedDuration, Timestamp},
};

pub mod command;
pub mod report;
pub mod retention;

/// The longest reason, in characters.
const MAX_REASON_CHARS: usize = 600;

/// How long a request to erase waits for a second person.
pub const ASKED_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The most holds in one list.
const MAX_HOLDS: usize = 1000;

/// How often the retention rule looks at the clock. Looking costs nothing while nothing is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a program has that can erase enquiries.
pub trait Erasable: Send + Sync + 'static {
    /// The store. Its scopes are the enquiries.
    fn durable(&self) -> &Durable;
    /// The audit log.
    fn log(&self) -> &AuditLog;
    /// The source of time.
    fn clock(&self) -> &SharedClock;
    /// An entry under the agreement that holds now.
    fn draft(&self, action: Action) -> EntryDraft;
    /// How long what was exchanged is kept, by the agreement that holds now.
    fn period(&self) -> Period;
    /// The state of erasing in this program.
    fn erasing(&self) -> &Erasing;
    /// The moment from which the retention of an enquiry counts; `None` when nothing of it is kept. Blocks.
    ///
    /// # Errors
    /// When the store fails.
    fn counts_from(&self, enquiry: &EnquiryRef) -> Result<Option<Timestamp>, StoreError>;
    /// Takes away what lies elsewhere than in the scope of the enquiry. Called after the entry and before the key is destroyed,
    /// and again when that was cut off. Blocks.
    ///
    /// # Errors
    /// When the store fails.
    fn clear(&self, enquiry: &EnquiryRef) -> Result<(), StoreError>;
}

/// The state of erasing in a program.
#[derive(Debug)]
pub struct Erasing {
    /// Held while an enquiry is held, let go or erased, so that none of these overtakes another.
    alone: tokio::sync::Mutex<()>,
    /// When something is due next, in Unix milliseconds; a time before it is looked at once.
    due_ms: AtomicI64,
}

impl Default for Erasing {
    fn default() -> Self {
        Self { alone: tokio::sync::Mutex::default(), due_ms: AtomicI64::new(i64::MIN) }
    }
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// A rule says no.
    #[error("{text}")]
    Rule {
        /// Stable code.
        code: &'static str,
        /// What to do.
        text: &'static str,
    },
    /// There is no such thing here.
    #[error("there is no such {0} here")]
    NotFound(&'static str),
    /// The audit log can not be written.
    #[error("the audit log can not be written, so nothing is erased; try again later")]
    Log(#[from] LogError),
    /// The store failed.
    #[error("the store failed; the operator has been told")]
    Store(#[from] StoreError),
    /// Something that can not fail did.
    #[error("the program could not do this; the operator has been told")]
    Internal,
}

impl PeerFacing for NotDone {
    fn code(&self) -> &'static str {
        match self {
            Self::Rule { code, .. } => code,
            Self::NotFound(_) => "not_found",
            Self::Log(_) => "log_unavailable",
            Self::Store(_) => "store_failed",
            Self::Internal => "internal",
        }
    }

    fn public_message(&self) -> String {
        self.to_string()
    }

    fn grpc(&self) -> tonic::Code {
        match self {
            Self::Rule { .. } => tonic::Code::FailedPrecondition,
            Self::NotFound(_) => tonic::Code::NotFound,
            Self::Log(_) => tonic::Code::Unavailable,
            Self::Store(_) | Self::Internal => tonic::Code::Internal,
        }
    }
}

const HELD: NotDone = NotDone::Rule {
    code: "legal_hold",
    text: "LEGAL_HOLD: the enquiry is held and is not erased; lift the hold first, if it may be lifted",
};

/// A legal hold, as it is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Who set it.
    pub by: StaffName,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hold([personal])")
    }
}

/// A request to erase that waits for a second person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    by: StaffName,
    at: Timestamp,
    reason: String,
}

/// By what an enquiry is erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The agreement's period is over.
    Retention,
    /// Two people have said so.
    ByHand,
}

impl Rule {
    /// The word for it, in entries.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::ByHand => "by_hand",
        }
    }

    /// The rule of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Retention, Self::ByHand].into_iter().find(|rule| rule.word() == word)
    }
}

/// What the entries of an erasure say; kept from its beginning to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Plan {
    rule: Rule,
    actor: Actor,
    counts: Vec<(String, u64)>,
}

impl Plan {
    fn count(&self) -> u64 {
        self.counts.iter().map(|(_, n)| n).sum()
    }

    /// One entry for each kind of value: its decision is `<rule>:<kind>`.
    fn entries<E: Erasable>(&self, of: &E, enquiry: &EnquiryRef) -> Vec<EntryDraft> {
        let entry = |(kind, n): &(String, u64)| {
            let mut draft = of.draft(Action::RecordsErased);
            draft.actor = self.actor.clone();
            draft.enquiry = Some(enquiry.clone());
            draft.decision = format!("{}:{kind}", self.rule.word()).parse().ok();
            draft.count = Some(*n);
            draft
        };
        self.counts.iter().map(entry).collect()
    }
}

/// Keeps an enquiry from being erased.
///
/// # Errors
/// When there is no such enquiry, it is held, the reason is missing, or nothing can be recorded.
pub async fn hold<E: Erasable, R: Role>(
    of: &Arc<E>,
    who: &SignedIn<R>,
    enquiry: &EnquiryRef,
    reason: &str,
) -> Result<(), NotDone> {
    let reason = reason_of(reason)?;
    let _alone = of.erasing().alone.lock().await;
    known(of, enquiry).await?;
    if kept::<E, Hold>(of, &hold_place(enquiry)).await?.is_some() {
        let text = "the enquiry is held already";
        return Err(NotDone::Rule { code: "held_already", text });
    }
    of.log().record(who.signs(about(of, Action::HoldSet, enquiry))).await?;
    let hold = Hold { by: who.name().clone(), at: of.clock().now(), reason };
    keep(of, hold_place(enquiry), &hold).await
}

/// Lifts a hold.
///
/// # Errors
/// When there is none, or nothing can be recorded.
pub async fn lift<E: Erasable, R: Role>(
    of: &Arc<E>,
    who: &SignedIn<R>,
    enquiry: &EnquiryRef,
) -> Result<(), NotDone> {
    let _alone = of.erasing().alone.lock().await;
    let place = hold_place(enquiry);
    if kept::<E, Hold>(of, &place).await?.is_none() {
        return Err(NotDone::NotFound("hold"));
    }
    of.log().record(who.signs(about(of, Action::HoldLifted, enquiry))).await?;
    run(of, move |of| {
        let mut batch = Batch::new();
        batch.remove(place);
        of.durable().commit(batch)
    })
    .await?;
    // It may be due.
    of.erasing().due_ms.store(i64::MIN, std::sync::atomic::Ordering::SeqCst);
    Ok(())
}

/// Every hold, by enquiry. That somebody looked is recorded first.
///
/// # Errors
/// When the store fails, or it can not be recorded.
pub async fn holds<E: Erasable, R: Role>(
    of: &Arc<E>,
    who: &SignedIn<R>,
) -> Result<Vec<(EnquiryRef, Hold)>, NotDone> {
    let holds = run(of, |of| {
        let mut holds = Vec::new();
        for row in of.durable().scan(b"hold/").take(MAX_HOLDS) {
            let (place, value) = row?;
            let name = std::str::from_utf8(&place).ok().and_then(|place| place.split('/').nth(1));
            let name = name.and_then(|name| name.parse().ok()).ok_or_else(shape)?;
            holds.push((name, serde_json::from_slice(&value).map_err(|_| shape())?));
        }
        Ok(holds)
    })
    .await?;
    let mut draft = of.draft(Action::ReportRead);
    draft.decision = "holds".parse().ok();
    draft.count = u64::try_from(holds.len()).ok();
    of.log().record(who.signs(draft)).await?;
    Ok(holds)
}

/// A request to erase that waits for a second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// Who asked.
    pub by: StaffName,
    /// When.
    pub at: Timestamp,
}

/// Requests to erase that wait for a second person. That somebody looked is recorded first.
///
/// # Errors
/// When the store fails, or it can not be recorded.
pub async fn waiting<E: Erasable, R: Role>(
    of: &Arc<E>,
    who: &SignedIn<R>,
) -> Result<Vec<Waiting>, NotDone> {
    let now = of.clock().now();
    let waiting = run(of, move |of| {
        let mut waiting = Vec::new();
        for row in of.durable().scan(b"erasure/").take(MAX_HOLDS) {
            let (place, value) = row?;
            let name = std::str::from_utf8(&place).ok().and_then(|place| place.split('/').nth(1));
            let enquiry = name.and_then(|name| name.parse().ok()).ok_or_else(shape)?;
            let Asked { by, at, .. } = serde_json::from_slice(&value).map_err(|_| shape())?;
            if now.duration_since(at) <= ASKED_FOR {
                waiting.push(Waiting { enquiry, by, at });
            }
        }
        Ok(waiting)
    })
    .await?;
    let mut draft = of.draft(Action::ReportRead);
    draft.decision = "erasures_asked".parse().ok();
    draft.count = u64::try_from(waiting.len()).ok();
    of.log().record(who.signs(draft)).await?;
    Ok(waiting)
}

/// Asks that an enquiry be erased now; another person has to confirm.
///
/// # Errors
/// When there is no such enquiry, it is held, somebody has asked already, the reason is missing, or nothing can be recorded.
pub async fn ask<E: Erasable, R: Role>(
    of: &Arc<E>,
    who: &SignedIn<R>,
    enquiry: &EnquiryRef,
    reason: &str,
) -> Result<(), NotDone> {
    let reason = reason_of(reason)?;
    let _alone = of.erasing().alone.lock().await;
    known(of, enquiry).await?;
    not_held(of, enquiry).await?;
    if asked(of, enquiry).await?.is_some() {
        let text = "somebody has asked that already; another person confirms it";
        return Err(NotDone::Rule { code: "erasure_asked", text });
    }
    of.log().record(who.signs(about(of, Action::ErasureAsked, enquiry))).await?;
    let asked = Asked { by: who.name().clone(), at: of.clock().now(), reason };
    keep(of, asked_place(enquiry), &asked).await
}

/// Confirms what somebody else has asked, and erases the enquiry. Gives how many values that were.
///
/// # Errors
/// When nobody has asked, or the same person has; when it is held, or nothing can be recorded. When it is recorded and can not be
/// done at once, the program does it as soon as it can.
pub async fn confirm<E: Erasable, R: Role>(
    of: &Arc<E>,
    who: &SignedIn<R>,
    enquiry: &EnquiryRef,
) -> Result<u64, NotDone> {
    let _alone = of.erasing().alone.lock().await;
    known(of, enquiry).await?;
    not_held(of, enquiry).await?;
    let asked = asked(of, enquiry).await?.ok_or(NotDone::NotFound("request to erase"))?;
    if asked.by == *who.name() {
        let text = "whoever asked can not confirm: it takes two people";
        return Err(NotDone::Rule { code: "second_person_needed", text });
    }
    let actor = who.signs(of.draft(Action::RecordsErased)).actor;
    erase(of, enquiry, Rule::ByHand, actor).await
}

/// Begins, records and does an erasure. The caller holds the guard, and has looked for a hold.
async fn erase<E: Erasable>(
    of: &Arc<E>,
    enquiry: &EnquiryRef,
    rule: Rule,
    actor: Actor,
) -> Result<u64, NotDone> {
    let name = enquiry.clone();
    let plan = run(of, move |of| {
        let counts = of.durable().count_in(&name)?.into_iter();
        let counts = counts.map(|(kind, n)| (kind.to_owned(), n)).collect();
        let plan = Plan { rule, actor, counts };
        let note = serde_json::to_vec(&plan).map_err(|_| shape())?;
        of.durable().begin_erasure(&name, &note)?;
        Ok(plan)
    })
    .await?;
    // Whatever fails from here on is done by the next sweep.
    of.erasing().due_ms.store(i64::MIN, std::sync::atomic::Ordering::SeqCst);
    record_and_do(of, enquiry, &plan).await?;
    Ok(plan.count())
}

async fn record_and_do<E: Erasable>(
    of: &Arc<E>,
    enquiry: &EnquiryRef,
    plan: &Plan,
) -> Result<(), NotDone> {
    of.log().record_all::<EntryDraft>(plan.entries(&**of, enquiry)).await?;
    let name = enquiry.clone();
    run(of, move |of| {
        of.clear(&name)?;
        of.durable().finish_erasure(&name)
    })
    .await
}

/// Does what was begun and not finished.
async fn complete<E: Erasable>(of: &Arc<E>) -> Result<(), NotDone> {
    let _alone = of.erasing().alone.lock().await;
    for (enquiry, note) in run(of, |of| of.durable().erasures_begun()).await? {
        let plan: Plan = serde_json::from_slice(&note).map_err(|_| shape())?;
        record_and_do(of, &enquiry, &plan).await?;
    }
    Ok(())
}

/// The moment from which the retention of an enquiry counts; `None` when nothing of it is kept, or it is being erased.
async fn moment<E: Erasable>(
    of: &Arc<E>,
    enquiry: &EnquiryRef,
) -> Result<Option<Timestamp>, NotDone> {
    let name = enquiry.clone();
    run(of, move |of| if of.durable().is_erased(&name) { Ok(None) } else { of.counts_from(&name) })
        .await
}

/// Something of the enquiry is kept here, and it is not being erased.
async fn known<E: Erasable>(of: &Arc<E>, enquiry: &EnquiryRef) -> Result<(), NotDone> {
    let known = moment(of, enquiry).await?;
    known.map(|_| ()).ok_or(NotDone::NotFound("enquiry"))
}

async fn not_held<E: Erasable>(of: &Arc<E>, enquiry: &EnquiryRef) -> Result<(), NotDone> {
    match kept::<E, Hold>(of, &hold_place(enquiry)).await? {
        Some(_) => Err(HELD),
        None => Ok(()),
    }
}

async fn asked<E: Erasable>(of: &Arc<E>, enquiry: &EnquiryRef) -> Result<Option<Asked>, NotDone> {
    let asked = kept::<E, Asked>(of, &asked_place(enquiry)).await?;
    let now = of.clock().now();
    Ok(asked.filter(|asked| now.duration_since(asked.at) <= ASKED_FOR))
}

fn about<E: Erasable>(of: &Arc<E>, action: Action, enquiry: &EnquiryRef) -> EntryDraft {
    let mut draft = of.draft(action);
    draft.enquiry = Some(enquiry.clone());
    draft
}

fn hold_place(enquiry: &EnquiryRef) -> String {
    format!("hold/{enquiry}")
}

fn asked_place(enquiry: &EnquiryRef) -> String {
    format!("erasure/{enquiry}")
}

fn reason_of(reason: &str) -> Result<String, NotDone> {
    let reason = reason.trim();
    if (1..=MAX_REASON_CHARS).contains(&reason.chars().count()) {
        return Ok(reason.to_owned());
    }
    Err(NotDone::Rule { code: "reason_missing", text: "give a reason of 1 to 600 characters" })
}

async fn kept<E: Erasable, T: DeserializeOwned + Send + 'static>(
    of: &Arc<E>,
    place: &str,
) -> Result<Option<T>, NotDone> {
    let place = place.to_owned();
    run(of, move |of| {
        let Some(value) = of.durable().get(place.as_bytes())? else { return Ok(None) };
        serde_json::from_slice(&value).map(Some).map_err(|_| shape())
    })
    .await
}

async fn keep<E: Erasable, T: Serialize>(
    of: &Arc<E>,
    place: String,
    value: &T,
) -> Result<(), NotDone> {
    let value = serde_json::to_vec(value).map_err(|_| NotDone::Internal)?;
    run(of, move |of| {
        let mut batch = Batch::new();
        batch.put(place, value);
        of.durable().commit(batch)
    })
    .await
}

/// Blocking work off the runtime's threads.
async fn run<E: Erasable, T: Send + 'static>(
    of: &Arc<E>,
    work: impl FnOnce(&E) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, NotDone> {
    let of = Arc::clone(of);
    let done = tokio::task::spawn_blocking(move || work(&of)).await;
    Ok(done.map_err(|_| NotDone::Internal)??)
}

const fn shape() -> StoreError {
    StoreError::Corrupt { what: "a record does not have its shape" }
}

#[cfg(test)]
mod tests;
