//! Messages of other programs: prost's decoding, then the conversion to values.

use brag_common::{
    enquiry::{PersonAnswer, RateQuery, ReleaseQuery, ScreenQuery},
    statement::SignedStatement,
    wire::{self, pb},
};
use prost::Message;

/// The first byte says which message the others are.
pub(crate) fn wire(bytes: &[u8]) -> bool {
    let Some((which, bytes)) = bytes.split_first() else { return false };
    match which % 24 {
        0 => screen(bytes),
        1 => rate(bytes),
        2 => release(bytes),
        3 => receive(bytes),
        4 => deliver(bytes),
        5 => statement(bytes),
        6 => answer(bytes),
        7 => open(bytes),
        // What the services read field by field: that it decodes is all there is to see here.
        8 => decodes::<pb::EvaluateRequest>(bytes),
        9 => decodes::<pb::EnrolledRequest>(bytes),
        10 => decodes::<pb::ShowRequest>(bytes),
        11 => decodes::<pb::RequestReleaseRequest>(bytes),
        12 => decodes::<pb::FindPersonRequest>(bytes),
        13 => decodes::<pb::AuthoriseIdentityReviewRequest>(bytes),
        14 => decodes::<pb::GiveRatingRequest>(bytes),
        15 => decodes::<pb::DecideIdentityRequest>(bytes),
        16 => decodes::<pb::ConfirmLinkRequest>(bytes),
        17 => decodes::<pb::MakeAssertionRequest>(bytes),
        18 => decodes::<pb::ApproveRequest>(bytes),
        19 => decodes::<pb::RefuseRequest>(bytes),
        20 => decodes::<pb::OpenDetailRequest>(bytes),
        21 => decodes::<pb::ScreenResponse>(bytes),
        22 => decodes::<pb::RateResponse>(bytes),
        _ => decodes::<pb::ReleaseResponse>(bytes),
    }
}

/// Decodes, and what was decoded is encoded to what decodes to the same.
fn decoded<M: Message + Default + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<M> {
    let message = M::decode(bytes).ok()?;
    let again = M::decode(message.encode_to_vec().as_slice()).expect("what was encoded decodes");
    assert_eq!(message, again);
    Some(message)
}

fn decodes<M: Message + Default + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> bool {
    decoded::<M>(bytes).is_some()
}

fn screen(bytes: &[u8]) -> bool {
    let Some(message) = decoded::<pb::ScreenRequest>(bytes) else { return false };
    ScreenQuery::try_from(message).is_ok()
}

fn rate(bytes: &[u8]) -> bool {
    let Some(message) = decoded::<pb::RateRequest>(bytes) else { return false };
    let Ok(query) = RateQuery::try_from(message) else { return false };
    let again = RateQuery::try_from(pb::RateRequest::from(&query)).expect("a value travels");
    assert_eq!(query, again);
    true
}

fn release(bytes: &[u8]) -> bool {
    let Some(message) = decoded::<pb::ReleaseRequest>(bytes) else { return false };
    let Ok(query) = ReleaseQuery::try_from(message) else { return false };
    let encoded = wire::release::encode(&query);
    let again = wire::release::decode(&encoded).expect("a value travels");
    assert_eq!(wire::release::encode(&again), encoded);
    for signed in &query.evidence {
        // Evidence is read before it is verified.
        let _ = signed.read_unverified();
    }
    true
}

fn receive(bytes: &[u8]) -> bool {
    let Some(message) = decoded::<pb::ReceiveRequest>(bytes) else { return false };
    let permit = message.release.and_then(|release| release.permit);
    permit.is_some_and(|permit| SignedStatement::try_from(permit).is_ok())
}

fn deliver(bytes: &[u8]) -> bool {
    use pb::deliver_request::Item;
    let Some(message) = decoded::<pb::DeliverRequest>(bytes) else { return false };
    match message.item {
        Some(Item::Answer(answer)) => PersonAnswer::try_from(answer).is_ok(),
        Some(Item::Reasoned(reasoned)) => wire::statement::to_reasoned(reasoned).is_ok(),
        Some(Item::Fact(fact)) => SignedStatement::try_from(fact).is_ok(),
        Some(Item::Outcome(outcome)) => {
            outcome.decision.is_some_and(|signed| SignedStatement::try_from(signed).is_ok())
        }
        None => false,
    }
}

/// What is signed: every byte of it counts, so that it must read as one thing only.
fn statement(bytes: &[u8]) -> bool {
    let Ok(statement) = wire::statement::decode(bytes) else { return false };
    let again = wire::statement::decode(&wire::statement::encode(&statement));
    assert_eq!(again.as_ref(), Ok(&statement));
    true
}

fn answer(bytes: &[u8]) -> bool {
    let Some(message) = decoded::<pb::PersonAnswer>(bytes) else { return false };
    PersonAnswer::try_from(message).is_ok()
}

fn open(bytes: &[u8]) -> bool {
    let Some(message) = decoded::<pb::OpenRequest>(bytes) else { return false };
    message.people.iter().all(|person| {
        wire::words::to_role(person.role).is_ok()
            && wire::words::to_optional_colour(person.initial).is_ok()
    })
}
