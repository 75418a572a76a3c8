//! Enrolment: the hub evaluates blinded match keys under the calling agency's own key. It learns how many there
//! are, and nothing else. Every batch is metered and recorded.

use std::sync::Arc;

use brag_common::{
    alert::Alert,
    audit::entry::{Action, Party},
    id::{AgencyId, RequestId},
    matching::{
        keys::ENROLMENT_SLOTS,
        token::{BATCH, ElementBytes, Epoch, EpochSecret},
    },
    secret::SecretBytes,
    wire::{WireError, id, pb},
};
use rand_core::OsRng;

use crate::{epochs, guard::Refusal, hub::Shared, store::shapes::EpochRecord};

/// The most people one agency may declare.
const MAX_DECLARED: u64 = 50_000_000;

/// By how many people a declaration may always grow within an epoch, beside a quarter of the first one.
const DECLARED_SLACK: u64 = 1_000;

/// Elements any agency may have evaluated in an epoch, however few people it declares.
const EPOCH_AT_LEAST: u64 = 64 * BATCH as u64;

/// Elements any agency may have evaluated on a day after its enrolment was complete, however few people it declares.
const DAY_AT_LEAST: u64 = 16 * BATCH as u64;

/// Evaluates one batch for `agency`.
///
/// # Errors
/// When the batch does not have its form or its id was used before, the quota is used up, or it can not be recorded.
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
    shared.once(&request)?;

    let record = meter(shared, agency, &request, message.declared_people).await?;
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

/// Counts one batch against the agency's quotas; makes the agency's first key at its first batch.
async fn meter(
    shared: &Arc<Shared>,
    agency: &AgencyId,
    request: &RequestId,
    declared_people: u64,
) -> Result<EpochRecord, Refusal> {
    let _one_at_a_time = shared.enrolling.lock().await;
    let mut epochs = epochs::for_enrolment(shared, agency).await?;
    let Some(epoch) = epochs.newest_mut() else { return Err(Refusal::Internal) };
    let today = shared.clock.now().as_second().div_euclid(86_400);
    if let Err(why) = count(epoch, declared_people, today) {
        tracing::warn!(%agency, "an agency wants more evaluated than its quota allows");
        let mut draft = shared.draft(Action::AlertRaised);
        draft.exchange = Some(request.clone());
        draft.peer = Some(Party::Agency(agency.clone()));
        draft.count = Some(declared_people);
        shared.log.record(shared.alerts.raise(why.alert(), draft)).await?;
        return Err(Refusal::rule("enrolment_quota", why.text()));
    }
    let counted = epoch.clone();
    epochs::keep(shared, agency, &epochs).await?;
    Ok(counted)
}

/// Which quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Declared,
    Epoch,
    Day,
}

impl Over {
    const fn alert(self) -> Alert {
        match self {
            Self::Declared => Alert::DeclaredPeople,
            Self::Epoch => Alert::EpochQuota,
            Self::Day => Alert::DailyQuota,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Declared => {
                "the agency declares many more people than before in this epoch; ask the hub's operator"
            }
            Self::Epoch => {
                "the agency has had as many keys evaluated as its declared population allows in this epoch"
            }
            Self::Day => {
                "the agency has had as many changes evaluated today as it may; enrol again tomorrow"
            }
        }
    }
}

/// Counts one batch, or says which quota is used up; then nothing is counted.
fn count(epoch: &mut EpochRecord, declared_people: u64, today: i64) -> Result<(), Over> {
    let batch = BATCH as u64;
    let declared_first =
        if epoch.declared_first == 0 { declared_people } else { epoch.declared_first };
    if declared_people > declared_first.saturating_mul(5) / 4 + DECLARED_SLACK {
        return Err(Over::Declared);
    }
    let evaluated = epoch.evaluated.saturating_add(batch);
    let slots = declared_people.saturating_mul(ENROLMENT_SLOTS as u64);
    if evaluated > (slots.saturating_mul(6) / 5).max(EPOCH_AT_LEAST) {
        return Err(Over::Epoch);
    }
    let before_today = if epoch.day == today { epoch.evaluated_today } else { 0 };
    let mut evaluated_today = before_today;
    if epoch.effective_at.is_some() {
        evaluated_today = evaluated_today.saturating_add(batch);
        if evaluated_today > (slots / 50).max(DAY_AT_LEAST) {
            return Err(Over::Day);
        }
    }
    epoch.declared_first = declared_first;
    epoch.declared_people = declared_people;
    epoch.evaluated = evaluated;
    epoch.day = today;
    epoch.evaluated_today = evaluated_today;
    Ok(())
}

#[cfg(test)]
mod tests {
    use brag_common::time::Timestamp;

    use super::*;

    fn epoch() -> EpochRecord {
        EpochRecord {
            epoch: 1,
            seed: [1; 32],
            begun_at: Timestamp::UNIX_EPOCH,
            declared_first: 0,
            declared_people: 0,
            evaluated: 0,
            day: 0,
            evaluated_today: 0,
            effective_at: None,
        }
    }

    /// How many batches are counted before a quota is used up, and which.
    fn until_over(epoch: &mut EpochRecord, declared: u64, today: i64) -> (u64, Over) {
        let mut n = 0;
        loop {
            match count(epoch, declared, today) {
                Ok(()) => n += 1,
                Err(over) => return (n, over),
            }
        }
    }

    #[test]
    fn a_declared_population_that_jumps_is_refused_and_not_counted() {
        let mut epoch = epoch();
        count(&mut epoch, 10_000, 1).unwrap();
        let before = epoch.clone();
        assert_eq!(count(&mut epoch, 13_501, 1), Err(Over::Declared));
        assert!(epoch == before);
        count(&mut epoch, 13_500, 1).unwrap();
        // The bound is from the first declaration, so it can not be crept up.
        assert_eq!(count(&mut epoch, 15_000, 1), Err(Over::Declared));
    }

    #[test]
    fn an_epochs_quota_is_every_slot_of_everybody_and_a_fifth_more() {
        assert_eq!(until_over(&mut epoch(), 10_000, 1), (10_000 * 32 * 6 / 5 / 512, Over::Epoch));
        assert_eq!(until_over(&mut epoch(), 1, 1), (64, Over::Epoch));
    }

    #[test]
    fn after_the_enrolment_a_day_has_a_quota_of_its_own() {
        let mut epoch = epoch();
        count(&mut epoch, 1_000_000, 1).unwrap();
        epoch.effective_at = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(until_over(&mut epoch, 1_000_000, 1), (1_000_000 * 32 / 50 / 512, Over::Day));
        assert_eq!(until_over(&mut epoch, 1_000_000, 2), (1_000_000 * 32 / 50 / 512, Over::Day));
        let mut small = self::epoch();
        small.effective_at = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(until_over(&mut small, 1, 3), (16, Over::Day));
    }
}
