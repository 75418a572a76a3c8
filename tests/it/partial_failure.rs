//! Parties that are away, slow or not enrolled: the others' answers come all the same, and nothing is lost
//! (invariant 8).

use brag_common::{
    time::SignedDuration,
    wire::pb::{AnswerStatus, Colour, WorklistRequest},
};
use brag_tests::federation::{Federation, Holding, eventually, id, level, person_of};

use crate::stand_in::{Screening, StandIn};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_8_a_node_that_is_away_is_no_response_and_its_assessors_answer_comes_late() {
    let father = person_of(0);
    let mut federation = Federation::builder()
        .nodes(&["SMS", "POL", "CSC"])
        .holds("SMS", Holding::of(father.clone()))
        .holds("POL", Holding::of(father.clone()))
        .start()
        .await;
    federation.stop_node("SMS").await;
    let enquiry = federation.open(&[("P1", &father)]).await;
    federation.rate("POL", &enquiry, "P1", Colour::Green).await;
    federation.until_status(&enquiry, "POL", "P1", AnswerStatus::Rated).await;
    federation.until_status(&enquiry, "CSC", "P1", AnswerStatus::NotKnown).await;
    let away = federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::NoResponse).await;
    assert_eq!(away.reason, "UNREACHABLE");
    federation.start_node("SMS").await;
    federation.until_asked("SMS", &enquiry, "P1").await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Pending).await;
    federation.advance(SignedDuration::from_hours(2));
    let silent = federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::NoResponse).await;
    assert_eq!(silent.reason, "NO_ANSWER_BY_THE_END_OF_THE_ROUND");
    federation.rate("SMS", &enquiry, "P1", Colour::Red).await;
    let late = federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Late).await;
    assert_eq!(late.late_status(), AnswerStatus::Rated);
    assert_eq!(late.colour(), Colour::Red);
    let show = federation.show(&enquiry.name).await;
    assert_eq!(level(&show, &enquiry.person("P1")), Colour::Red);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_8_a_node_that_hangs_is_given_up_after_its_time_and_holds_up_nobody() {
    let father = person_of(0);
    let mut federation = Federation::builder()
        .nodes(&["SMS", "POL"])
        .holds("SMS", Holding::of(father.clone()))
        .holds("POL", Holding::of(father.clone()))
        .call_within("1s")
        .start()
        .await;
    federation.stop_node("SMS").await;
    let slow = StandIn::new(federation.behind("SMS").await, Screening::Hangs);
    federation.stand_in("SMS", slow.routes()).await;
    let enquiry = federation.open(&[("P1", &father)]).await;
    // While the one hangs, the other is asked, rates and is shown.
    eventually("it is being asked", async || (slow.n_screened() > 0).then_some(())).await;
    federation.rate("POL", &enquiry, "P1", Colour::Amber).await;
    federation.until_status(&enquiry, "POL", "P1", AnswerStatus::Rated).await;
    let given_up = federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::NoResponse).await;
    assert_eq!(given_up.reason, "DEADLINE");
    // Another enquiry meanwhile.
    let other = federation.open(&[("P1", &person_of(1))]).await;
    federation.until_status(&other, "POL", "P1", AnswerStatus::NotKnown).await;
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_5_a_node_that_has_not_enrolled_is_unable_and_not_unknowing() {
    let father = person_of(0);
    let federation = Federation::builder()
        .nodes(&["SMS", "POL"])
        .not_enrolled("SMS")
        .holds("SMS", Holding::of(father.clone()))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &father)]).await;
    let unable = federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Unable).await;
    assert_eq!(unable.reason, "NOT_ENROLLED");
    federation.until_status(&enquiry, "POL", "P1", AnswerStatus::NotKnown).await;
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_restarts_in_the_middle_keeps_everything_and_asks_again() {
    let (father, mother) = (person_of(0), person_of(1));
    let mut federation = Federation::builder()
        .nodes(&["SMS", "POL"])
        .holds("SMS", Holding::of(father.clone()))
        .holds("POL", Holding::of(father.clone()))
        .start()
        .await;
    federation.stop_node("SMS").await;
    let enquiry = federation.open(&[("P1", &father), ("P2", &mother)]).await;
    federation.rate("POL", &enquiry, "P1", Colour::Amber).await;
    federation.until_status(&enquiry, "POL", "P1", AnswerStatus::Rated).await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::NoResponse).await;
    let before = federation.show(&enquiry.name).await;
    federation.stop_hub().await;
    federation.start_node("SMS").await;
    federation.start_hub().await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Pending).await;
    federation.until_status(&enquiry, "SMS", "P2", AnswerStatus::NotKnown).await;
    let after = federation.show(&enquiry.name).await;
    assert_eq!(after.people, before.people);
    assert_eq!(after.purpose, before.purpose);
    assert_eq!(after.referral, before.referral);
    let of_pol = |show: &brag_common::wire::pb::ShowResponse| -> Vec<_> {
        show.cells.iter().filter(|cell| cell.agency == "POL").cloned().collect()
    };
    assert_eq!(of_pol(&after), of_pol(&before));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_given_while_the_hub_is_away_is_delivered_once_also_after_the_node_restarts() {
    let (father, mother) = (person_of(0), person_of(1));
    let mut federation = Federation::builder()
        .nodes(&["SMS"])
        .silent(&["POL"])
        .holds("SMS", Holding::of(father.clone()))
        .holds("SMS", Holding::of(mother.clone()))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &father), ("P2", &mother)]).await;
    federation.until_asked("SMS", &enquiry, "P1").await;
    federation.until_asked("SMS", &enquiry, "P2").await;
    federation.stop_hub().await;
    federation.rate("SMS", &enquiry, "P1", Colour::Red).await;
    federation.stop_node("SMS").await;
    federation.start_node("SMS").await;
    // The worklist is as it was: P2 still waits, P1 does not.
    federation.until_asked("SMS", &enquiry, "P2").await;
    let mut desk = federation.assessor("SMS");
    let list = desk.worklist(WorklistRequest {}).await.unwrap().into_inner();
    assert!(!list.ratings.iter().any(|work| work.person == enquiry.person("P1")));
    assert_eq!(federation.inside("SMS").store.outgoing().unwrap().len(), 1);
    federation.start_hub().await;
    let rated = federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    assert_eq!(rated.colour(), Colour::Red);
    eventually("everything is delivered", async || {
        federation.inside("SMS").store.outgoing().unwrap().is_empty().then_some(())
    })
    .await;
    let name = id(&enquiry.name);
    assert_eq!(federation.inside_hub().store.statements(&name).unwrap().len(), 1);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stays_away_is_asked_again_and_again_and_recorded_as_silent_once() {
    let father = person_of(0);
    let mut federation = Federation::builder().nodes(&["POL"]).start().await;
    federation.stop_node("POL").await;
    let enquiry = federation.open(&[("P1", &father)]).await;
    federation.until_status(&enquiry, "POL", "P1", AnswerStatus::NoResponse).await;
    let of = |word| {
        let log = federation.hub_log().into_iter();
        log.filter(|entry| entry.action.word() == word).collect::<Vec<_>>()
    };
    eventually("it was asked four times", async || (of("screen_asked").len() >= 4).then_some(()))
        .await;
    let about_somebody = |entry: &&brag_common::audit::Entry| entry.person.is_some();
    assert_eq!(of("no_response").iter().filter(about_somebody).count(), 1);
    eventually("every call has an end", async || {
        (of("no_response").len() >= 4 && federation.reconcile().agrees()).then_some(())
    })
    .await;
    federation.finish().await;
}
