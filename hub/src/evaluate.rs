//! Enrolment: the hub evaluates blinded match keys under the calling agency's own key. It learns how many there
//! are, and nothing else. Every batch is metered and recorded.

use std::sync::Arc;

use brag_common::{
    audit::entry::{Action, Party},
    id::{AgencyId, RequestId},
    matching::token::{BATCH, ElementBytes, Epoch, EpochSecret},
    secret::{SecretBytes, random_bytes},
    wire::{WireError, id, pb},
};
use rand_core::OsRng;

use crate::{
    guard::Refusal,
    hub::Shared,
    store::{Change, shapes::EpochRecord},
};

/// The most people one agency may declare.
const MAX_DECLARED: u64 = 50_000_000;

/// Elements an agency may have evaluated for each person it declares: eight keys of a whole record, aliases and
/// former addresses, padding, and a second run after a failure.
const ELEMENTS_PER_PERSON: u64 = 32;

/// Elements any agency may have evaluated, however few people it declares.
const ELEMENTS_AT_LEAST: u64 = 64 * BATCH as u64;

/// Evaluates one batch for `agency`.
///
/// # Errors
/// When the batch does not have its form, the quota is used up, or it can not be recorded.
pub async fn evaluate(
    shared: &Arc<Shared>,
    agency: &AgencyId,
    message: pb::EvaluateRequest,
) -> Result<pb::EvaluateResponse, Refusal> {
    shared.in_force()?;
    let request: RequestId = id("request_id", &message.request_id)?;
    if message.declared_people == 0 || message.declared_people > MAX_DECLARED {
        return Err(WireError::invalid("declared_people", "1 to 50 million").into());
    }
    let (elements, rest) = message.blinded.as_chunks::<32>();
    if elements.len() != BATCH || !rest.is_empty() {
        return Err(WireError::invalid("blinded", "512 elements of 32 bytes").into());
    }
    let elements: Vec<ElementBytes> = elements.to_vec();

    let record = meter(shared, agency, message.declared_people).await?;
    let mut draft = shared.draft(Action::EnrolmentEvaluated);
    draft.exchange = Some(request);
    draft.peer = Some(Party::Agency(agency.clone()));
    draft.count = Some(BATCH as u64);
    shared.log.record(draft).await?;

    let by = agency.clone();
    let epoch = record.epoch;
    let evaluated = tokio::task::spawn_blocking(move || {
        let seed = SecretBytes::new(record.seed);
        let secret = EpochSecret::derive(&seed, &by, Epoch(u64::from(epoch)))
            .map_err(|_| Refusal::Internal)?;
        let batch = secret
            .evaluate_batch(&elements, &mut OsRng)
            .map_err(|_| WireError::invalid("blinded", "elements of ristretto255"))?;
        Ok::<_, Refusal>((secret.public_key(), batch))
    });
    let (public_key, batch) = evaluated.await.map_err(|_| Refusal::Internal)??;
    Ok(pb::EvaluateResponse {
        epoch,
        public_key: public_key.to_vec(),
        evaluated: batch.elements.concat(),
        proof: batch.proof.to_vec(),
    })
}

/// Counts one batch against the agency's quota; makes the agency's key at its first batch.
async fn meter(
    shared: &Arc<Shared>,
    agency: &AgencyId,
    declared_people: u64,
) -> Result<EpochRecord, Refusal> {
    let _one_at_a_time = shared.enrolling.lock().await;
    let name = agency.clone();
    let known = shared.store.run(move |store| store.epoch(&name)).await?;
    let mut record = match known {
        Some(record) => record,
        None => EpochRecord {
            epoch: 1,
            seed: random_bytes().map_err(|_| Refusal::Internal)?,
            declared_people,
            evaluated: 0,
        },
    };
    record.declared_people = declared_people;
    record.evaluated = record.evaluated.saturating_add(BATCH as u64);
    let quota = declared_people.saturating_mul(ELEMENTS_PER_PERSON).max(ELEMENTS_AT_LEAST);
    if record.evaluated > quota {
        tracing::warn!(%agency, "an agency has used up its enrolment quota");
        return Err(Refusal::rule(
            "enrolment_quota",
            "the agency has had as many keys evaluated as its declared population allows",
        ));
    }
    let mut change = Change::new();
    change.epoch(agency, &record)?;
    shared.store.run(move |store| store.commit(change)).await?;
    Ok(record)
}
