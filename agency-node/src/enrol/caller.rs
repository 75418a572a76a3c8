//! What an enrolment asks the hub, again and again until it answers, a bounded number of times, each as a request of
//! its own and recorded before it leaves.

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
    tls::{Channel, with_deadline},
    wire::{
        MAX_MESSAGE_BYTES,
        pb::{self, hub_service_client::HubServiceClient},
    },
};
use futures::future::{BoxFuture, FutureExt as _};
use rand_core::OsRng;
use tonic::{Response, Status};

use super::{EnrolFailure, kept::Pinned, people::Batch};

/// How long the hub has for one call: a batch takes it 50 ms, and others may be before us.
const CALL_WITHIN: Duration = Duration::from_secs(20);

/// How often one batch is sent, at most, when the hub can not be reached.
const ATTEMPTS: u32 = 6;

/// The pause before the second attempt; doubled each time, four seconds in the end.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// A batch with what the hub made of it.
pub(super) struct Answer {
    pub(super) batch: Batch,
    pub(super) pinned: Pinned,
    /// In the order of the batch's keys.
    pub(super) outputs: Vec<Output>,
}

type Called<T> = BoxFuture<'static, Result<Response<T>, Status>>;

/// The hub, as an enrolment calls it.
pub(super) struct Caller {
    pub(super) hub: Channel,
    pub(super) log: AuditLog,
    /// An entry under the agreement.
    pub(super) draft: EntryDraft,
    pub(super) declared_people: u64,
}

impl Caller {
    /// Blinds, asks, checks the proof and removes the blinds.
    pub(super) async fn evaluate(&self, batch: Batch) -> anyhow::Result<Answer> {
        let blinding =
            tokio::task::spawn_blocking(move || (BlindBatch::new(&batch.keys, &mut OsRng), batch));
        let (blinded, batch) = blinding.await?;
        let blinded = blinded?;
        let elements = blinded.elements().concat();
        let declared_people = self.declared_people;
        let response = self
            .ask(Action::EnrolmentEvaluated, BATCH as u64, |mut hub, request_id| {
                let request =
                    pb::EvaluateRequest { request_id, declared_people, blinded: elements.clone() };
                async move { hub.evaluate(with_deadline(request, CALL_WITHIN)).await }.boxed()
            })
            .await?;
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

    /// Says that everybody is in the index of `epoch`; gives the newest epoch, in which to enrol.
    pub(super) async fn enrolled(&self, epoch: Epoch) -> anyhow::Result<Epoch> {
        let number = u32::try_from(epoch.0).context("the epoch's number")?;
        let response = self
            .ask(Action::EnrolmentCompleted, epoch.0, |mut hub, request_id| {
                let request = pb::EnrolledRequest { request_id, epoch: number };
                async move { hub.enrolled(with_deadline(request, CALL_WITHIN)).await }.boxed()
            })
            .await?;
        Ok(Epoch(u64::from(response.newest_epoch)))
    }

    async fn ask<T>(
        &self,
        action: Action,
        count: u64,
        call: impl Fn(HubServiceClient<Channel>, String) -> Called<T> + Send + Sync,
    ) -> anyhow::Result<T> {
        let hub = HubServiceClient::new(self.hub.clone())
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
            let mut draft = EntryDraft { action, ..self.draft.clone() };
            draft.exchange = Some(request_id.clone());
            draft.peer = Some(Party::Hub);
            draft.count = Some(count);
            // Recorded before it leaves, as everything is.
            self.log.record(draft.clone()).await?;
            match call(hub.clone(), request_id.to_string()).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) if is_passing(status.code()) => {
                    self.no_response(draft, &status).await?;
                    last = code_of(&status).unwrap_or(status.message()).to_owned();
                    tracing::warn!(attempt, code = ?status.code(), "the hub did not answer");
                }
                Err(status) => {
                    self.no_response(draft, &status).await?;
                    return Err(refused(&status).into());
                }
            }
        }
        Err(EnrolFailure::Unreachable(last).into())
    }

    /// Records that a call came to nothing.
    async fn no_response(&self, asked: EntryDraft, status: &Status) -> anyhow::Result<()> {
        let code = code_of(status).unwrap_or("unreachable").parse().ok();
        let draft = EntryDraft { action: Action::NoResponse, decision: code, ..asked };
        self.log.record(draft).await?;
        Ok(())
    }
}

fn refused(status: &Status) -> EnrolFailure {
    let code = code_of(status)
        .map_or_else(|| format!("{:?}", status.code()).to_lowercase(), ToOwned::to_owned);
    let is_rule =
        matches!(status.code(), tonic::Code::FailedPrecondition | tonic::Code::PermissionDenied);
    EnrolFailure::Refused { code, message: status.message().to_owned(), is_rule }
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
