//! What the node says of its own accord: late ratings, signed facts, outcomes of releases. It is kept until
//! the hub has it, and delivered in the order it came about, across restarts of either side.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use brag_common::{
    audit::entry::{Action, Party},
    durable::StoreError,
    enquiry::PersonAnswer,
    id::{EnquiryRef, RequestId},
    peer::PeerName,
    secret::random_bytes,
    statement::SignedStatement,
    status::code_of,
    time::Timestamp,
    tls::{Channel, ClientTls, Route, connect_by, with_deadline},
    wire::{MAX_MESSAGE_BYTES, pb, witness::MAX_EXCHANGE_BYTES},
    witness::{cosigned::ANSWER_WITHIN, layer::WitnessedChannel},
};
use prost::Message as _;
use tokio_util::sync::CancellationToken;

use crate::{guard::Refusal, node::Shared, store::Change};

/// How long the hub has to take one delivery: it may have to reach the recipient of sealed detail first.
const DELIVER_WITHIN: Duration = Duration::from_secs(20);

/// The first pause after a failed delivery; doubled each time up to the configured most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The name of a delivery. It goes into the entry of what is delivered, so that the logs of both sides have it.
///
/// # Errors
/// When the machine gives no randomness.
pub fn new_exchange() -> Result<RequestId, Refusal> {
    random_bytes().map(RequestId::from_random).map_err(|_| Refusal::Internal)
}

/// Puts an answer about a person out for delivery.
pub fn put_answer(
    shared: &Shared,
    exchange: &RequestId,
    enquiry: &EnquiryRef,
    answer: &PersonAnswer,
    change: &mut Change,
) {
    put(shared, exchange, enquiry, pb::deliver_request::Item::Answer(answer.into()), change);
}

/// Puts a signed fact out for delivery.
pub fn put_fact(
    shared: &Shared,
    exchange: &RequestId,
    enquiry: &EnquiryRef,
    fact: &SignedStatement,
    change: &mut Change,
) {
    put(shared, exchange, enquiry, pb::deliver_request::Item::Fact(fact.into()), change);
}

/// Puts a challenge or its answer out for delivery, with its reason.
pub fn put_reasoned(
    shared: &Shared,
    exchange: &RequestId,
    enquiry: &EnquiryRef,
    reasoned: pb::ReasonedStatement,
    change: &mut Change,
) {
    put(shared, exchange, enquiry, pb::deliver_request::Item::Reasoned(reasoned), change);
}

/// Puts the outcome of a release out for delivery, with its sealed detail where there is any.
pub fn put_outcome(
    shared: &Shared,
    exchange: &RequestId,
    enquiry: &EnquiryRef,
    decision: &SignedStatement,
    sealed: Option<&[u8]>,
    change: &mut Change,
) {
    let outcome = pb::ReleaseOutcome {
        decision: Some(decision.into()),
        sealed: sealed.unwrap_or_default().to_vec(),
    };
    put(shared, exchange, enquiry, pb::deliver_request::Item::Outcome(outcome), change);
}

fn put(
    shared: &Shared,
    exchange: &RequestId,
    enquiry: &EnquiryRef,
    item: pb::deliver_request::Item,
    change: &mut Change,
) {
    let request = pb::DeliverRequest {
        request_id: exchange.to_string(),
        agreement_digest: shared.agreement.digest().as_bytes().to_vec(),
        enquiry: enquiry.to_string(),
        item: Some(item),
    };
    let at = shared.order.next(shared.clock.now());
    change.outgoing(enquiry, at, exchange, &request.encode_to_vec());
}

/// The order of deliveries: that in which they came about, also while the clock stands still or is set back.
#[derive(Debug, Default)]
pub struct Order(AtomicI64);

impl Order {
    /// The time of the next delivery, after that of every other since the start.
    fn next(&self, now: Timestamp) -> Timestamp {
        let now = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX);
        let after = |last: i64| now.max(last.saturating_add(1));
        let last =
            self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(after(last)));
        let (Ok(last) | Err(last)) = last;
        Timestamp::from_nanosecond(i128::from(after(last))).unwrap_or(Timestamp::MAX)
    }
}

/// Delivers until `shutdown`.
pub async fn run(shared: Arc<Shared>, channel: Channel, shutdown: CancellationToken) {
    let most = shared.config.deliver_retry_at_most.get();
    let mut pause = FIRST_PAUSE;
    loop {
        let outcome = tokio::select! {
            () = shutdown.cancelled() => return,
            outcome = deliver_all(&shared, &channel) => outcome,
        };
        let wait = match outcome {
            Ok(()) => {
                pause = FIRST_PAUSE;
                None
            }
            Err(NotDelivered(code)) => {
                tracing::warn!(code, "could not deliver to the hub; it is tried again");
                let now = pause;
                pause = (pause * 2).min(most);
                Some(now)
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = shared.outbox.notified() => {}
            () = sleep_or_forever(wait) => {}
        }
    }
}

async fn sleep_or_forever(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// A channel to the hub by these ways; `None` when the agreement names none.
pub fn channel(shared: &Shared, route: Route, tls: Arc<ClientTls>) -> Option<Channel> {
    Some(connect_by(route, hub_name(shared)?, tls))
}

/// The hub's name in the agreement.
pub fn hub_name(shared: &Shared) -> Option<PeerName> {
    shared.agreement.agreement().hub()?.tls.as_str().parse().ok()
}

struct NotDelivered(String);

impl From<StoreError> for NotDelivered {
    fn from(error: StoreError) -> Self {
        Self(error.code().to_owned())
    }
}

async fn deliver_all(shared: &Arc<Shared>, channel: &Channel) -> Result<(), NotDelivered> {
    // What the hub says counts with a receipt only.
    let channel = WitnessedChannel::new(channel.clone(), Party::Hub, Arc::clone(shared));
    let mut hub = pb::hub_service_client::HubServiceClient::new(channel)
        .max_decoding_message_size(MAX_EXCHANGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let mut held_up = None;
    let mut is_unseen = false;
    for name in shared.store.run(|store| store.outgoing()).await? {
        let reading = name.clone();
        let Some(bytes) = shared.store.run(move |store| store.blob(&reading)).await? else {
            continue;
        };
        let n_bytes = bytes.len();
        let Ok(request) = pb::DeliverRequest::decode(bytes.as_slice()) else {
            tracing::error!("a delivery does not read back; it is left out");
            continue;
        };
        // Detail leaves only when somebody else has seen that the log tells of it (see `witnessing`). Ratings do not wait for that.
        if has_detail(&request)
            && (is_unseen || shared.cosigned.everything(ANSWER_WITHIN).await.is_err())
        {
            is_unseen = true;
            held_up = Some(NotDelivered("log_not_witnessed".to_owned()));
            continue;
        }
        let mut draft = shared.draft(Action::Delivered);
        draft.enquiry = request.enquiry.parse().ok();
        draft.exchange = request.request_id.parse().ok();
        draft.peer = Some(Party::Hub);
        draft.decision = "taken".parse().ok();
        match hub.deliver(with_deadline(request, DELIVER_WITHIN)).await {
            Ok(_) => shared.running.hub_answered(shared.clock.now()),
            // The hub will never take it: an enquiry it does not know, or another agreement's.
            Err(status) if is_final(&status) => {
                let code = code_of(&status).unwrap_or("none");
                tracing::error!(code, "the hub refused a delivery for good");
                draft.decision = "refused".parse().ok();
            }
            // A recipient that is down holds up its own detail, not everybody's ratings.
            Err(status) if code_of(&status) == Some("recipient_unreachable") => {
                held_up = Some(NotDelivered("recipient_unreachable".to_owned()));
                continue;
            }
            Err(status) => {
                let code = code_of(&status).unwrap_or("unreachable").to_owned();
                if code == "agreement_version_mismatch" {
                    let mismatch = status.message();
                    tracing::warn!(mismatch, "the hub works under another version");
                }
                return Err(NotDelivered(code));
            }
        }
        // Recorded before it is forgotten here: after a crash in between it is delivered, and recorded, again.
        if shared.log.record(draft).await.is_err() {
            return Err(NotDelivered("log_unavailable".to_owned()));
        }
        let mut change = Change::new();
        change.remove_blob(&name, n_bytes);
        shared.store.run(move |store| store.commit(change)).await?;
    }
    held_up.map_or(Ok(()), Err)
}

fn has_detail(request: &pb::DeliverRequest) -> bool {
    use pb::deliver_request::Item;
    matches!(&request.item, Some(Item::Outcome(outcome)) if !outcome.sealed.is_empty())
}

fn is_final(status: &tonic::Status) -> bool {
    use tonic::Code;
    matches!(status.code(), Code::NotFound | Code::InvalidArgument | Code::FailedPrecondition)
        && code_of(status).is_some_and(|code| code != "agreement_version_mismatch")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_keep_their_order_when_the_clock_stands_still_or_is_set_back() {
        let order = Order::default();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (noon, before) = (at("2027-02-09T12:00:00Z"), at("2027-02-09T11:59:00Z"));
        let times = [noon, noon, before, at("2027-02-09T12:01:00Z")].map(|now| order.next(now));
        assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
        assert_eq!((times[0], times[3]), (noon, at("2027-02-09T12:01:00Z")));
    }
}
