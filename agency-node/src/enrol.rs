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
//! Memory: a few batches under way, 32 bytes for each person, and the index itself (40 bytes a token) while it is
//! sorted. A running node takes up a new index by itself; the command needs the store, so it works while the node is
//! stopped.

use std::time::Duration;

use anyhow::Context as _;
use brag_common::{
    audit::{
        AuditLog,
        entry::{Action, EntryDraft, Party},
    },
    id::RequestId,
    matching::token::{
        BATCH, BlindBatch, ElementBytes, Epoch, EvaluatedBatch, Output, PROOF_BYTES,
    },
    secret::random_bytes,
    status::code_of,
    time::SharedClock,
    tls::{ClientTls, connect, with_deadline},
    wire::{MAX_MESSAGE_BYTES, pb},
};
use futures::{StreamExt as _, TryStreamExt as _};
use rand_core::OsRng;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};

use crate::{config::Config, ground::Ground, hot_index, store::Store};

mod kept;
mod people;

#[cfg(test)]
mod tests;

use kept::{Enrolled, Kept, Pinned};
use people::{Batch, Counts};

/// How long the hub has for one batch: it takes 50 ms, and others may be before us.
const EVALUATE_WITHIN: Duration = Duration::from_secs(20);

/// How often one batch is sent, at most, when the hub can not be reached.
const ATTEMPTS: u32 = 6;

/// The pause before the second attempt; doubled each time, four seconds in the end.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

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
    let endpoint = Endpoint::from_shared(ground.config.hub.endpoint.clone())
        .context("`hub.endpoint` is not a URI such as https://hub.example:7443")?;
    let hub =
        ground.agreement.agreement().hub().context("the agreement has no keys for the hub")?;
    let channel = connect(&endpoint, hub.tls.as_str().parse()?, tls);
    enrol(&ground, channel, progress).await
}

/// As [`run`], over what is open already.
///
/// # Errors
/// When the store or the log fails, or [`EnrolFailure`].
pub async fn enrol(
    ground: &Ground,
    hub: Channel,
    mut progress: impl FnMut(EnrolProgress) + Send,
) -> anyhow::Result<EnrolSummary> {
    let n_people = ground.store.run(count_people).await?;
    let caller = Caller {
        hub,
        log: ground.log.clone(),
        draft: ground.draft(Action::EnrolmentEvaluated),
        // The hub wants at least one: an agency that knows nobody yet looks like one that knows somebody.
        declared_people: n_people.max(1),
    };
    for _ in 0..STARTS {
        if let Some(run) = one_run(&ground.store, &caller, n_people, &mut progress).await? {
            let (store, data) = (ground.store.clone(), ground.config.data.as_path().to_path_buf());
            let epoch = run.epoch;
            let write = move || {
                hot_index::keep_previous(&data, epoch)?;
                kept::write_index(&store, &data.join(hot_index::NEWEST), epoch)
            };
            let n_tokens = tokio::task::spawn_blocking(write).await??;
            return Ok(EnrolSummary { n_tokens, ..run });
        }
    }
    Err(EnrolFailure::Restless.into())
}

fn count_people(store: &Store) -> Result<u64, brag_common::durable::StoreError> {
    let mut n_people = 0;
    for key in store.durable().keys(b"person/") {
        key?;
        n_people += 1;
    }
    Ok(n_people)
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
    let mut answers =
        ReceiverStream::new(receive).map(|batch| caller.evaluate(batch)).buffer_unordered(AT_ONCE);
    let mut n_batches = 0;
    while let Some(answer) = answers.try_next().await? {
        n_batches += 1;
        progressed.n_done += answer.batch.people.len() as u64;
        if !take(store, &mut kept, answer).await? {
            return Ok(None);
        }
        progress(progressed);
    }
    drop(answers);
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
            let name = pinned.clone();
            store.run(move |store| kept::start_again(store, &name)).await?;
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

/// A batch with what the hub made of it.
struct Answer {
    batch: Batch,
    pinned: Pinned,
    /// In the order of the batch's keys.
    outputs: Vec<Output>,
}

struct Caller {
    hub: Channel,
    log: AuditLog,
    draft: EntryDraft,
    declared_people: u64,
}

impl Caller {
    /// Blinds, asks, checks the proof and removes the blinds.
    async fn evaluate(&self, batch: Batch) -> anyhow::Result<Answer> {
        let blinding =
            tokio::task::spawn_blocking(move || (BlindBatch::new(&batch.keys, &mut OsRng), batch));
        let (blinded, batch) = blinding.await?;
        let blinded = blinded?;
        let response = self.ask(&blinded).await?;
        let (evaluated, public_key) = read_response(&response)?;
        let n_keys = batch.keys.len();
        let finalize = move || blinded.finalize(&evaluated, &public_key);
        let outputs = tokio::task::spawn_blocking(finalize).await?.context("the hub's answer")?;
        anyhow::ensure!(outputs.len() == n_keys, "the hub's answer does not fit the question");
        let epoch = Epoch(u64::from(response.epoch));
        anyhow::ensure!(epoch.0 > 0, "the hub's answer names no epoch");
        let outputs = outputs.into_iter().map(|(_, output)| output).collect();
        Ok(Answer { batch, pinned: Pinned { epoch, public_key }, outputs })
    }

    /// Sends one batch until the hub answers, a bounded number of times, each as a request of its own.
    async fn ask(&self, blinded: &BlindBatch) -> anyhow::Result<pb::EvaluateResponse> {
        let mut hub = pb::hub_service_client::HubServiceClient::new(self.hub.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let mut pause = FIRST_PAUSE;
        let mut last = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            let request_id = RequestId::from_random(random_bytes()?);
            let mut draft = self.draft.clone();
            draft.exchange = Some(request_id.clone());
            draft.peer = Some(Party::Hub);
            draft.count = Some(BATCH as u64);
            // Recorded before it leaves, as everything is.
            self.log.record(draft).await?;
            let request = pb::EvaluateRequest {
                request_id: request_id.to_string(),
                declared_people: self.declared_people,
                blinded: blinded.elements().concat(),
            };
            match hub.evaluate(with_deadline(request, EVALUATE_WITHIN)).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) if is_passing(status.code()) => {
                    last = code_of(&status).unwrap_or(status.message()).to_owned();
                    tracing::warn!(attempt, code = ?status.code(), "the hub did not answer");
                }
                Err(status) => {
                    let code = code_of(&status).map_or_else(
                        || format!("{:?}", status.code()).to_lowercase(),
                        ToOwned::to_owned,
                    );
                    let message = status.message().to_owned();
                    let is_rule = matches!(
                        status.code(),
                        tonic::Code::FailedPrecondition | tonic::Code::PermissionDenied
                    );
                    return Err(EnrolFailure::Refused { code, message, is_rule }.into());
                }
            }
        }
        Err(EnrolFailure::Unreachable(last).into())
    }
}

const fn is_passing(code: tonic::Code) -> bool {
    use tonic::Code;
    matches!(
        code,
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::ResourceExhausted
    )
}

fn read_response(
    response: &pb::EvaluateResponse,
) -> anyhow::Result<(EvaluatedBatch, ElementBytes)> {
    let (elements, rest) = response.evaluated.as_chunks::<32>();
    anyhow::ensure!(rest.is_empty(), "the hub's answer is not whole elements");
    let proof = <[u8; PROOF_BYTES]>::try_from(response.proof.as_slice());
    let public_key = ElementBytes::try_from(response.public_key.as_slice());
    Ok((
        EvaluatedBatch {
            elements: elements.to_vec(),
            proof: proof.context("the hub's proof has another length")?,
        },
        public_key.context("the hub's public key has another length")?,
    ))
}
