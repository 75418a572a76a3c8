//! Key epochs: for each agency the secret that it is screened with, and the one that it enrols in.
//!
//! An epoch's life: *prepared*, with a random seed of its own, at the agency's first batch or when the one before has
//! had its time; *enrolled in*, while screening goes on with the one before; *complete*, when the agency says that
//! everybody is in; *screened with*, from the next cut on. In that moment the secret before it is destroyed, and what
//! was ever made with it can not be turned back into people by anybody.
//!
//! Nothing here waits for a timer: whoever needs an agency's epochs first brings them to the present. The timer only
//! makes a secret end when nobody asks.

use std::{sync::Arc, time::Duration};

use brag_common::{
    audit::entry::{Action, Party},
    id::{AgencyId, RequestId},
    secret::random_bytes,
    time::{SignedDuration, Timestamp},
    wire::{WireError, id, pb},
};

use crate::{
    config::Matching,
    guard::Refusal,
    hub::Shared,
    store::{
        Change,
        shapes::{EpochRecord, EpochsRecord},
    },
};

/// How often epochs are brought to the present when nobody asks.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// An agency's epochs as they stand now.
///
/// # Errors
/// When the store, the log or the machine's randomness fails.
pub async fn present(shared: &Shared, agency: &AgencyId) -> Result<EpochsRecord, Refusal> {
    let name = agency.clone();
    let known = shared.store.run(move |store| store.epochs(&name)).await?;
    if !is_due(&known, shared.config.matching, shared.clock.now()) {
        return Ok(known);
    }
    let _one_at_a_time = shared.enrolling.lock().await;
    bring_to_present(shared, agency).await
}

/// The epoch that an agency enrols in: the one prepared, or else the one it is screened with. The caller holds
/// `shared.enrolling`.
///
/// # Errors
/// As [`present`].
pub async fn for_enrolment(shared: &Shared, agency: &AgencyId) -> Result<EpochsRecord, Refusal> {
    let mut epochs = bring_to_present(shared, agency).await?;
    if epochs.newest().is_none() {
        prepare(shared, agency, &mut epochs).await?;
        keep(shared, agency, &epochs).await?;
    }
    Ok(epochs)
}

/// Writes an agency's epochs. The caller holds `shared.enrolling`.
///
/// # Errors
/// When the store fails.
pub async fn keep(
    shared: &Shared,
    agency: &AgencyId,
    epochs: &EpochsRecord,
) -> Result<(), Refusal> {
    let mut change = Change::new();
    change.epochs(agency, epochs)?;
    Ok(shared.store.run(move |store| store.commit(change)).await?)
}

/// Takes an agency's word that everybody is enrolled.
///
/// # Errors
/// When the request's id was used before, the epoch is none of the agency's, nothing was evaluated in it, or it can not
/// be recorded.
pub async fn enrolled(
    shared: &Shared,
    agency: &AgencyId,
    message: pb::EnrolledRequest,
) -> Result<pb::EnrolledResponse, Refusal> {
    shared.in_force()?;
    let request: RequestId = id("request_id", &message.request_id)?;
    if message.epoch == 0 {
        return Err(WireError::Missing("epoch").into());
    }
    shared.once(&request)?;
    let _one_at_a_time = shared.enrolling.lock().await;
    let mut epochs = bring_to_present(shared, agency).await?;
    let newest_epoch = epochs.newest().map_or(0, |newest| newest.epoch);
    let both = [&mut epochs.enrolling, &mut epochs.screening];
    let Some(epoch) = both.into_iter().flatten().find(|known| known.epoch == message.epoch) else {
        return Err(Refusal::rule(
            "epoch_over",
            "the agency does not enrol in this epoch; enrol again",
        ));
    };
    if epoch.evaluated == 0 {
        return Err(Refusal::rule("enrolment_incomplete", "nothing was evaluated in this epoch"));
    }
    let mut draft = shared.draft(Action::EnrolmentCompleted);
    draft.exchange = Some(request);
    draft.peer = Some(Party::Agency(agency.clone()));
    draft.count = Some(u64::from(epoch.epoch));
    shared.log.record(draft).await?;
    let effective_at = match epoch.effective_at {
        Some(known) => known,
        None => next_cut(shared.clock.now(), shared.config.matching)?,
    };
    epoch.effective_at = Some(effective_at);
    keep(shared, agency, &epochs).await?;
    bring_to_present(shared, agency).await?;
    Ok(pb::EnrolledResponse { effective_at_unix_ms: effective_at.as_millisecond(), newest_epoch })
}

/// Brings every agency's epochs to the present now and then, until the hub stops.
pub async fn keep_turning(shared: Arc<Shared>) {
    loop {
        for agency in shared.nodes.keys() {
            if let Err(error) = present(&shared, agency).await {
                tracing::warn!(%error, %agency, "can not turn to the agency's next epoch");
            }
        }
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn is_due(epochs: &EpochsRecord, config: Matching, now: Timestamp) -> bool {
    takes_over(epochs, now) || ends(epochs, config, now)
}

/// The prepared epoch is complete and its cut has come.
fn takes_over(epochs: &EpochsRecord, now: Timestamp) -> bool {
    epochs.enrolling.as_ref().is_some_and(|next| next.is_effective(now))
}

/// The epoch that is screened with has had its time, and none is prepared.
fn ends(epochs: &EpochsRecord, config: Matching, now: Timestamp) -> bool {
    let had_its_time = |epoch: &EpochRecord| {
        SignedDuration::try_from(config.epoch.get())
            .ok()
            .and_then(|length| epoch.begun_at.checked_add(length).ok())
            .is_some_and(|end| end <= now)
    };
    epochs.enrolling.is_none() && epochs.screening.as_ref().is_some_and(had_its_time)
}

/// The caller holds `shared.enrolling`.
async fn bring_to_present(shared: &Shared, agency: &AgencyId) -> Result<EpochsRecord, Refusal> {
    let name = agency.clone();
    let mut epochs = shared.store.run(move |store| store.epochs(&name)).await?;
    let now = shared.clock.now();
    if takes_over(&epochs, now) {
        if let Some(over) = &epochs.screening {
            // Recorded first, as everything is; after a crash in between it is recorded and done again.
            record(shared, Action::EpochDestroyed, agency, over.epoch).await?;
            tracing::info!(%agency, epoch = over.epoch, "the secret of an epoch is destroyed");
        }
        epochs.screening = epochs.enrolling.take();
        keep(shared, agency, &epochs).await?;
    }
    if ends(&epochs, shared.config.matching, now) {
        prepare(shared, agency, &mut epochs).await?;
        keep(shared, agency, &epochs).await?;
    }
    Ok(epochs)
}

async fn prepare(
    shared: &Shared,
    agency: &AgencyId,
    epochs: &mut EpochsRecord,
) -> Result<(), Refusal> {
    let epoch = epochs.screening.as_ref().map_or(1, |before| before.epoch.saturating_add(1));
    record(shared, Action::EpochPrepared, agency, epoch).await?;
    epochs.enrolling = Some(EpochRecord {
        epoch,
        seed: random_bytes().map_err(|_| Refusal::Internal)?,
        begun_at: shared.clock.now(),
        declared_first: 0,
        declared_people: 0,
        evaluated: 0,
        day: 0,
        evaluated_today: 0,
        effective_at: None,
    });
    Ok(())
}

async fn record(
    shared: &Shared,
    action: Action,
    agency: &AgencyId,
    epoch: u32,
) -> Result<(), Refusal> {
    let mut draft = shared.draft(action);
    draft.peer = Some(Party::Agency(agency.clone()));
    draft.count = Some(u64::from(epoch));
    shared.log.record(draft).await?;
    Ok(())
}

/// The first cut that is not before `now`. Cuts are the multiples of their length since 1970.
fn next_cut(now: Timestamp, config: Matching) -> Result<Timestamp, Refusal> {
    let length = i64::try_from(config.cut.get().as_millis()).unwrap_or(i64::MAX).max(1);
    let past = now.as_millisecond().rem_euclid(length);
    let left = if past == 0 { 0 } else { length - past };
    now.checked_add(SignedDuration::from_millis(left)).map_err(|_| Refusal::Internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(epoch: &str, cut: &str) -> Matching {
        Matching { epoch: epoch.parse().unwrap(), cut: cut.parse().unwrap() }
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn epoch(number: u32, begun_at: &str, effective_at: Option<&str>) -> EpochRecord {
        EpochRecord {
            epoch: number,
            seed: [1; 32],
            begun_at: time(begun_at),
            declared_first: 1,
            declared_people: 1,
            evaluated: 512,
            day: 0,
            evaluated_today: 0,
            effective_at: effective_at.map(time),
        }
    }

    #[test]
    fn a_cut_is_the_next_whole_hour_and_the_hour_itself() {
        let next = |now: &str| next_cut(time(now), matching("30d", "1h")).unwrap().to_string();
        assert_eq!(next("2027-02-09T09:00:00Z"), "2027-02-09T09:00:00Z");
        assert_eq!(next("2027-02-09T09:00:00.001Z"), "2027-02-09T10:00:00Z");
        assert_eq!(next("2027-02-09T09:59:59Z"), "2027-02-09T10:00:00Z");
    }

    #[test]
    fn an_epoch_ends_after_its_time_and_not_while_the_next_is_prepared() {
        let config = matching("30d", "1h");
        let now = time("2027-03-03T00:00:00Z");
        let screening = |begun| Some(epoch(1, begun, Some(begun)));
        let young = EpochsRecord { screening: screening("2027-02-02T00:00:00Z"), enrolling: None };
        assert!(!is_due(&young, config, now));
        let old = EpochsRecord { screening: screening("2027-02-01T00:00:00Z"), enrolling: None };
        assert!(ends(&old, config, now));
        let enrolling = Some(epoch(2, "2027-03-02T00:00:00Z", None));
        assert!(!is_due(&EpochsRecord { enrolling, ..old }, config, now));
    }

    #[test]
    fn an_epoch_takes_over_only_when_it_is_complete_and_its_cut_has_come() {
        let now = time("2027-03-02T10:00:00Z");
        let next = |effective_at| {
            let enrolling = Some(epoch(2, "2027-03-02T00:00:00Z", effective_at));
            takes_over(&EpochsRecord { screening: None, enrolling }, now)
        };
        assert!(!next(None));
        assert!(!next(Some("2027-03-02T10:00:00.001Z")));
        assert!(next(Some("2027-03-02T10:00:00Z")));
    }
}
