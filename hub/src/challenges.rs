//! Passes challenges on to the agency whose rating it is, until it has them: a node that is away is told when it is back.

use std::sync::Arc;

use brag_common::{
    audit::entry::{Action, Digest, Party},
    id::{EnquiryRef, RequestId},
    rating::SaltedAnalysis,
    status::code_of,
    tls::with_deadline,
    wire::{pb, statement::reasoned},
};

use crate::{
    guard::Refusal,
    hub::Shared,
    round::{client, envelope},
    store::{
        Change,
        shapes::{ChallengeRecord, ChallengeStatus},
    },
};

/// One challenge with its place.
type Row = (EnquiryRef, RequestId, ChallengeRecord);

/// Tells agencies of challenges until the hub is told to stop.
pub async fn keep_telling(shared: Arc<Shared>) {
    let pause = shared.config.fan_out.ask_again_after.get();
    loop {
        match shared.store.run(|store| store.all_challenges()).await {
            Ok(rows) => {
                let untold = rows.into_iter().filter(is_untold);
                let telling = untold.map(|row| tell(&shared, row));
                futures::future::join_all(telling).await;
            }
            Err(error) => tracing::warn!(%error, "can not look for challenges to pass on"),
        }
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            () = shared.challenged.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn is_untold((_, _, challenge): &Row) -> bool {
    matches!(challenge.status, ChallengeStatus::Open { told: false })
}

async fn tell(shared: &Arc<Shared>, (enquiry, id, challenge): Row) {
    let agency = challenge.of.clone();
    if let Err(error) = try_tell(shared, &enquiry, &id, challenge).await {
        tracing::warn!(%error, %agency, "could not pass on a challenge; it is tried again");
    }
}

async fn try_tell(
    shared: &Arc<Shared>,
    enquiry: &EnquiryRef,
    id: &RequestId,
    challenge: ChallengeRecord,
) -> Result<(), Refusal> {
    shared.in_force()?;
    if shared.still_party(&challenge.of).is_err() {
        return Ok(());
    }
    let Some(channel) = shared.to_node(&challenge.of) else { return Ok(()) };
    let within = shared.config.fan_out.call_within.get();
    let envelope = envelope(shared, within)?;
    let mut draft = shared.draft(Action::RatingChallenged);
    draft.enquiry = Some(enquiry.clone());
    draft.person = Some(challenge.person.clone());
    draft.exchange = Some(envelope.request_id.clone());
    draft.peer = Some(Party::Agency(challenge.of.clone()));
    draft.evidence = vec![Digest::of(&challenge.signed.payload)];
    let _turn = shared.calls.acquire().await.map_err(|_| Refusal::Internal)?;
    if shared.shutdown.is_cancelled() {
        return Ok(());
    }
    shared.log.record(draft.clone()).await?;
    let reason = SaltedAnalysis { salt: challenge.salt, text: challenge.reason.clone() };
    let request = pb::ChallengeRequest {
        request_id: envelope.request_id.to_string(),
        agreement_digest: envelope.agreement.as_bytes().to_vec(),
        valid_until_unix_ms: envelope.valid_until.as_millisecond(),
        challenge: Some(reasoned(&challenge.signed, &reason)),
    };
    let mut client = client(channel);
    let call = client.challenge(with_deadline(request, within));
    if let Err(status) = shared.unless_stopping(call).await {
        let code = code_of(&status).unwrap_or("unreachable");
        tracing::warn!(code, agency = %challenge.of, "a challenge did not arrive; it is tried again");
        return shared.record_no_response(draft, code).await;
    }
    // Read again under the lock: an answer may have come before this call returned.
    let _cells = shared.cell_locks.of(enquiry, &challenge.of).await;
    let (name, known) = (enquiry.clone(), id.clone());
    let known = shared.store.run(move |store| store.challenge(&name, &known)).await?;
    let Some(known) = known.filter(|known| matches!(known.status, ChallengeStatus::Open { .. }))
    else {
        return Ok(());
    };
    let told = ChallengeRecord { status: ChallengeStatus::Open { told: true }, ..known };
    let mut change = Change::new();
    change.challenge(enquiry, id, &told)?;
    shared.store.run(move |store| store.commit(change)).await?;
    shared.tell(enquiry, crate::view::challenge_event(shared.clock.now(), id, &told));
    Ok(())
}
