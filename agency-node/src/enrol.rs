//! Enrolment: the agency's people become tokens that the hub's queries can hit, without the hub reading a name.
//!
//! For everybody who is new or has changed the node makes match keys, blinds them in batches of constant size, has the
//! hub evaluate each batch, checks the proof, and keeps the outputs. At the end the index is written in one step.
//!
//! Every batch that the hub has answered is kept durably, so a run that was killed goes on where it was, and a person
//! who has not changed is evaluated once an epoch. The first answer of an epoch pins the hub's public key; another
//! key within that epoch is refused, because with a key of its own for one batch a hub could tell people apart later.
//! A later epoch starts everything again.
//!
//! Memory: a few batches under way, 32 bytes for each person, and a thirty-second of the index (40 bytes a token) while it is
//! sorted. A running node takes up a new index by itself; the command needs the store, so it works while the node is
//! stopped.

use std::path::Path;

use anyhow::Context as _;
use brag_common::{
    audit::{
        AuditLog,
        entry::{Action, AgreementStamp, EntryDraft},
    },
    matching::token::Epoch,
    program::stamp,
    time::SharedClock,
    tls::{Channel, ClientTls, connect_by},
};
use futures::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use crate::{config::Config, ground::Ground, hot_index, store::Store};

pub use kept::public_key;
#[cfg(any(test, feature = "test-util"))]
pub use made_up::keep_made_up;

mod caller;
mod kept;
#[cfg(any(test, feature = "test-util"))]
mod made_up;
mod people;

#[cfg(test)]
mod tests;

use caller::{Answer, Caller};
use kept::{Enrolled, Kept};
use people::{Batch, Counts};

/// Batches under way at once: the node blinds one while the hub evaluates another.
const AT_ONCE: usize = 4;

/// How often a run starts again because the hub's epoch changed under it.
const STARTS: usize = 3;

/// How far an enrolment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrolProgress {
    /// People who are done.
    pub n_done: u64,
    /// People there are.
    pub n_people: u64,
}

/// What came of an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrolSummary {
    /// The hub's epoch, whose tokens the index holds.
    pub epoch: Epoch,
    /// People of the agency's records.
    pub n_people: u64,
    /// People evaluated in this run: new ones and changed ones.
    pub n_evaluated: u64,
    /// People of whom too little is known to make any key; nobody who asks for them will find them.
    pub n_without_keys: u64,
    /// Batches the hub evaluated in this run.
    pub n_batches: u64,
    /// Tokens of the index.
    pub n_tokens: u64,
}

/// Why a node could not enrol.
#[derive(Debug, thiserror::Error)]
pub enum EnrolFailure {
    /// The hub could not be reached, several times.
    #[error("the hub can not be reached; what was done is kept, enrol again later ({0})")]
    Unreachable(String),
    /// The hub refused.
    #[error("the hub refused the enrolment: {message} ({code})")]
    Refused {
        /// The hub's code.
        code: String,
        /// The hub's words.
        message: String,
        /// Whether a rule says no, so that trying again changes nothing.
        is_rule: bool,
    },
    /// The hub answered with another public key than before in the same epoch.
    #[error(
        "the hub has answered with a second key within epoch {}: this is how a hub would mark people to tell \
         them apart later; nothing of this answer was used; tell the partnership's information governance",
        .0.0
    )]
    SecondKey(Epoch),
    /// The hub answered in an earlier epoch than before.
    #[error("the hub has gone back from epoch {} to epoch {}; nothing of this answer was used", .from.0, .to.0)]
    WentBack {
        /// The epoch that is pinned.
        from: Epoch,
        /// The one it answered with.
        to: Epoch,
    },
    /// The hub's epoch changed again and again.
    #[error("the hub's epoch changed {STARTS} times during the enrolment; enrol again later")]
    Restless,
}

/// Enrols the people of a stopped node.
///
/// # Errors
/// When the node runs, something the configuration names is missing or wrong, or [`EnrolFailure`].
pub async fn run(
    config: Config,
    clock: SharedClock,
    progress: impl FnMut(EnrolProgress) + Send,
) -> anyhow::Result<EnrolSummary> {
    let ground = Ground::open(config, clock, |options| options).await?;
    let (files, domain) = (ground.config.tls.files(), ground.trust_domain.clone());
    let clock = ground.clock.clone();
    let tls = tokio::task::spawn_blocking(move || ClientTls::load(files, domain, clock)).await??;
    let route = ground.config.hub.route()?;
    let hub =
        ground.agreement.agreement().hub().context("the agreement has no keys for the hub")?;
    let channel = connect_by(route, hub.tls.as_str().parse()?, tls);
    let enrolling = Enrolling {
        store: &ground.store,
        log: &ground.log,
        stamp: stamp(&ground.agreement),
        data: ground.config.data.as_path(),
    };
    enrol(&enrolling, channel, progress).await
}

/// What an enrolment works on.
#[derive(Debug)]
pub struct Enrolling<'a> {
    /// The records, and the batches kept.
    pub store: &'a Store,
    /// The audit log.
    pub log: &'a AuditLog,
    /// The agreement as log entries name it.
    pub stamp: AgreementStamp,
    /// The folder in which the index is written.
    pub data: &'a Path,
}

/// As [`run`], over what is open already, while the node runs or not. One at a time.
///
/// # Errors
/// When the store or the log fails, or [`EnrolFailure`].
pub async fn enrol(
    on: &Enrolling<'_>,
    hub: Channel,
    mut progress: impl FnMut(EnrolProgress) + Send,
) -> anyhow::Result<EnrolSummary> {
    let n_people = on.store.run(count_people).await?;
    // The hub wants at least one: an agency that knows nobody yet looks like one that knows somebody.
    let declared_people = n_people.max(1);
    let mut draft = EntryDraft::new(Action::EnrolmentStarted);
    draft.agreement = Some(on.stamp.clone());
    // Whoever compares the logs learns from it which calls an earlier run, that was cut off, left open.
    on.log.record(EntryDraft { count: Some(declared_people), ..draft.clone() }).await?;
    let caller = Caller { hub, log: on.log.clone(), draft, declared_people };
    for _ in 0..STARTS {
        if let Some(run) = one_run(on.store, &caller, n_people, &mut progress).await? {
            let (store, data) = (on.store.clone(), on.data.to_path_buf());
            let epoch = run.epoch;
            let write = move || {
                hot_index::keep_previous(&data, epoch)?;
                kept::write_index(&store, &data.join(hot_index::NEWEST), epoch)
            };
            let n_tokens = tokio::task::spawn_blocking(write).await??;
            // Order matters: the hub may screen with this epoch from the moment it is told.
            let newest = caller.enrolled(epoch).await?;
            if newest > epoch {
                // Everybody was enrolled in an epoch that is about to end; any batch tells of the newer one.
                let answer = caller.evaluate(Batch::default()).await?;
                let mut kept = on.store.run(Kept::open).await?;
                take(on.store, &mut kept, answer).await?;
                continue;
            }
            return Ok(EnrolSummary { n_tokens, ..run });
        }
    }
    Err(EnrolFailure::Restless.into())
}

/// How many people the records have.
pub(crate) fn count_people(store: &Store) -> Result<u64, brag_common::durable::StoreError> {
    let mut n_people = 0;
    for key in store.records().keys(b"person/") {
        key?;
        n_people += 1;
    }
    Ok(n_people)
}

/// How many people have been evaluated in the epoch that is pinned.
pub(crate) fn count_enrolled(store: &Store) -> Result<u64, brag_common::durable::StoreError> {
    Kept::open(store).map(|kept| u64::try_from(kept.n_done()).unwrap_or(u64::MAX))
}

/// Evaluates everybody who is not; `None` when the hub's epoch changed and all starts again.
async fn one_run(
    store: &Store,
    caller: &Caller,
    n_people: u64,
    progress: &mut (impl FnMut(EnrolProgress) + Send),
) -> anyhow::Result<Option<EnrolSummary>> {
    let mut kept = store.run(Kept::open).await?;
    let mut progressed = EnrolProgress { n_done: 0, n_people };
    let (send, receive) = tokio::sync::mpsc::channel(AT_ONCE);
    let done = kept.done();
    let reading = {
        let store = store.clone();
        // Ends when the receiver is dropped.
        tokio::task::spawn_blocking(move || people::read_batches(&store, &done, &send))
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut answers = ReceiverStream::new(receive)
        .take_until(stopped)
        .map(|batch| caller.evaluate(batch))
        .buffer_unordered(AT_ONCE);
    let mut stop = Some(stop);
    let mut outcome = Ok(true);
    let mut n_batches = 0;
    while let Some(answer) = answers.next().await {
        // Once it is given up, nothing new is asked; what is under way ends, so that the log tells how every call ended.
        if !matches!(outcome, Ok(true)) {
            continue;
        }
        outcome = match answer {
            Ok(answer) => {
                n_batches += 1;
                progressed.n_done += answer.batch.people.len() as u64;
                take(store, &mut kept, answer).await
            }
            Err(error) => Err(error),
        };
        match &outcome {
            Ok(true) => progress(progressed),
            Ok(false) | Err(_) => drop(stop.take()),
        }
    }
    drop(answers);
    if !outcome? {
        return Ok(None);
    }
    let Counts { n_evaluated, n_without_keys } = reading.await??;
    let epoch = match kept.pinned() {
        Some(pinned) => pinned.epoch,
        // Nobody has keys: a batch of dummies tells which epoch the empty index is of.
        None => {
            let answer = caller.evaluate(Batch::default()).await?;
            n_batches += 1;
            let epoch = answer.pinned.epoch;
            take(store, &mut kept, answer).await?;
            epoch
        }
    };
    progress(EnrolProgress { n_done: n_people, n_people });
    Ok(Some(EnrolSummary { epoch, n_people, n_evaluated, n_without_keys, n_batches, n_tokens: 0 }))
}

/// Keeps a batch; false when it is of a later epoch, and all before it has been dropped.
async fn take(store: &Store, kept: &mut Kept, answer: Answer) -> anyhow::Result<bool> {
    let Answer { batch, pinned, outputs } = answer;
    match kept.pinned() {
        Some(before) if before.epoch > pinned.epoch => {
            return Err(EnrolFailure::WentBack { from: before.epoch, to: pinned.epoch }.into());
        }
        Some(before) if before.epoch == pinned.epoch && before.public_key != pinned.public_key => {
            return Err(EnrolFailure::SecondKey(pinned.epoch).into());
        }
        Some(before) if before.epoch < pinned.epoch => {
            let (before, name) = (before.clone(), pinned.clone());
            store.run(move |store| kept::start_again(store, &before, &name)).await?;
            return Ok(false);
        }
        Some(_) => {}
        None => {
            let name = pinned.clone();
            store.run(move |store| kept::pin(store, &name)).await?;
            kept.set_pinned(pinned.clone());
        }
    }
    let number = kept.next_number();
    let enrolled = Enrolled::new(&batch, &outputs);
    store.run(move |store| kept::keep(store, pinned.epoch, number, &enrolled)).await?;
    Ok(true)
}
