//! A log that can not be written: nothing is answered, asked or released that it could not tell of, and service
//! resumes by itself once it can be written again (invariant 2).

use brag_common::{
    audit::FaultSwitch,
    rating,
    statement::DecidedOutcome,
    status::code_of,
    wire::pb::{self, AnswerStatus, Colour, Decision},
};
use brag_tests::federation::{
    ANALYSIS, Federation, Holding, cell, contains, eventually, id, person_of, status_of,
};
use tonic::Code;

use crate::scene::{HOLDER, MARKER, Scene};

type Break = fn(&FaultSwitch);

/// The two ways in which a disk fails.
const BREAKS: [Break; 2] = [FaultSwitch::fail_writes, FaultSwitch::fail_syncs];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x7_invariant_2_a_node_whose_log_can_not_be_written_is_unable_and_answers_again_by_itself()
{
    for break_log in BREAKS {
        let father = person_of(0);
        let at = "2027-02-01T09:00:00Z".parse().unwrap();
        let federation = Federation::builder()
            .nodes(&["SMS", "POL"])
            .holds("SMS", Holding::of(father.clone()).standing(rating::Colour::Red, ANALYSIS, at))
            .start()
            .await;
        assert_eq!(federation.ready("SMS").await.0, 200);
        let switch = federation.fault_switch("SMS").clone();
        break_log(&switch);
        let enquiry = federation.open(&[("P1", &father)]).await;
        let unable = federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Unable).await;
        assert_eq!(unable.reason, "AUDIT_UNAVAILABLE");
        assert_eq!(unable.colour(), Colour::Unspecified);
        // The other agency's answer is there all the same.
        federation.until_status(&enquiry, "POL", "P1", AnswerStatus::NotKnown).await;
        not_ready(&federation, "SMS").await;
        assert!(
            !federation.log_of("SMS").iter().any(|entry| entry.action.word() == "rate_answered")
        );
        switch.heal();
        let rated = federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
        assert_eq!(rated.colour(), Colour::Red);
        ready(&federation, "SMS").await;
        federation.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_2_a_round_says_unable_and_a_release_log_unavailable_and_no_payload_leaves() {
    for break_log in BREAKS {
        let scene = Scene::new().await;
        let red = scene.red("POL", "P1");
        let (screen, asked) = scene.screen("P1").await;
        let brag_hub::screening::Asked::Known(handle) = asked else { panic!("not known") };
        break_log(scene.federation.fault_switch(HOLDER));
        // The release goes first: the log has not yet been found out to fail. What was decided leaves in no form.
        for _ in 0..2 {
            let request = scene.release(std::slice::from_ref(&red));
            let refused = scene.hub.clone().release(request).await.unwrap_err();
            assert_eq!(code_of(&refused), Some("log_unavailable"));
        }
        let request = scene.round(&scene.name(), &screen, handle, "P1");
        let refused = scene.hub.clone().rate(request).await.unwrap_err();
        assert_eq!(code_of(&refused), Some("log_unavailable"));
        // What the co-ordinator is told of it.
        let name = &scene.enquiry;
        let told = scene.federation.ask_detail(name, HOLDER, "P1", "C33", &["CSC"]).await.unwrap();
        assert_eq!(
            (told[0].decision(), told[0].reason.as_str()),
            (Decision::Deny, "LOG_UNAVAILABLE")
        );
        let enquiry = scene.federation.open(&[("P1", &person_of(0))]).await;
        let federation = &scene.federation;
        let unable = federation.until_status(&enquiry, HOLDER, "P1", AnswerStatus::Unable).await;
        assert_eq!(unable.reason, "AUDIT_UNAVAILABLE");
        assert!(scene.federation.inside(HOLDER).store.outgoing().unwrap().is_empty());
        scene.federation.fault_switch(HOLDER).heal();
        ready(&scene.federation, HOLDER).await;
        let outcome = scene.decide(std::slice::from_ref(&red)).await;
        assert!(matches!(outcome, DecidedOutcome::Release { .. }), "{outcome:?}");
        assert!(!contains(&scene.federation.bytes_below("hub"), MARKER));
        scene.federation.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_screening_is_not_answered_and_a_delivery_of_detail_not_taken() {
    let scene = Scene::new().await;
    scene.federation.fault_switch(HOLDER).fail_syncs();
    let slots = vec![vec![0; 288]; 12];
    let envelope = scene.envelope();
    let request = pb::ScreenRequest {
        request_id: envelope.request_id.to_string(),
        agreement_digest: envelope.agreement.as_bytes().to_vec(),
        valid_until_unix_ms: envelope.valid_until.as_millisecond(),
        epoch: 1,
        slots,
        public_key: scene.public_key().await,
        newest_epoch: 1,
    };
    let refused = scene.hub.clone().screen(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(code_of(&refused), Some("log_unavailable"));
    scene.federation.fault_switch(HOLDER).heal();
    scene.end_with_nothing_sealed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_2_the_desk_takes_no_rating_that_it_can_not_record() {
    let scene = Scene::new().await;
    let federation = &scene.federation;
    federation.fault_switch(HOLDER).fail_writes();
    for _ in 0..2 {
        let refused = federation.try_rate(HOLDER, &scene.enquiry, "P1", Colour::Red, None).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert_eq!(code_of(&refused), Some("log_unavailable"));
    }
    assert!(federation.inside(HOLDER).store.outgoing().unwrap().is_empty());
    let show = federation.show(&scene.enquiry.name).await;
    assert_eq!(status_of(&show, HOLDER, &scene.enquiry.person("P1")), AnswerStatus::Pending);
    federation.fault_switch(HOLDER).heal();
    ready(federation, HOLDER).await;
    federation.rate(HOLDER, &scene.enquiry, "P1", Colour::Red).await;
    federation.until_status(&scene.enquiry, HOLDER, "P1", AnswerStatus::Rated).await;
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_2_a_hub_whose_log_can_not_be_written_asks_nobody() {
    let father = person_of(0);
    let federation = Federation::builder()
        .nodes(&["SMS", "POL"])
        .holds("SMS", Holding::of(father.clone()))
        .start()
        .await;
    for break_log in BREAKS {
        break_log(federation.hub_fault_switch());
        let before = (federation.log_of("SMS").len(), federation.log_of("POL").len());
        for _ in 0..2 {
            let opening = Federation::opening(&[("P1", &father)]);
            let refused = federation.coordinator().open(opening).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unavailable);
            assert_eq!(code_of(&refused), Some("log_unavailable"));
        }
        eventually("the hub says that it is not ready", async || {
            let (status, text) = federation.hub_ready().await;
            (status == 503 && text.contains("audit log")).then_some(())
        })
        .await;
        assert_eq!((federation.log_of("SMS").len(), federation.log_of("POL").len()), before);
        assert!(federation.inside_hub().store.enquiries().unwrap().is_empty());
        federation.hub_fault_switch().heal();
        eventually("the hub is ready", async || {
            (federation.hub_ready().await.0 == 200).then_some(())
        })
        .await;
    }
    let enquiry = federation.open(&[("P1", &father)]).await;
    federation.until_asked("SMS", &enquiry, "P1").await;
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_2_a_hub_that_can_not_record_an_answer_does_not_show_it_and_takes_it_later() {
    let father = person_of(0);
    let federation = Federation::builder()
        .nodes(&["SMS"])
        .silent(&["POL"])
        .holds("SMS", Holding::of(father.clone()))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &father)]).await;
    federation.until_asked("SMS", &enquiry, "P1").await;
    let person = enquiry.person("P1");
    federation.hub_fault_switch().fail_syncs();
    federation.try_rate("SMS", &enquiry, "P1", Colour::Amber, None).await.unwrap();
    eventually("the hub has refused the delivery", async || {
        (federation.hub_ready().await.0 == 503).then_some(())
    })
    .await;
    let name = id(&enquiry.name);
    assert!(federation.inside_hub().store.statements(&name).unwrap().is_empty());
    // Reading is recorded too, so it is refused as well.
    let request = pb::ShowRequest { enquiry: enquiry.name.clone() };
    let refused = federation.coordinator().show(request).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("log_unavailable"));
    federation.hub_fault_switch().heal();
    let show = federation
        .until(&enquiry, "the rating came", |show| {
            status_of(show, "SMS", &person) == AnswerStatus::Rated
        })
        .await;
    assert_eq!(cell(&show, "SMS", &person).colour(), Colour::Amber);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_were_under_way_when_the_hubs_log_failed_are_on_both_sides_once_it_is_back() {
    let father = person_of(0);
    let federation = Federation::builder()
        .nodes(&["SMS", "POL"])
        .holds("SMS", Holding::of(father.clone()))
        .holds("POL", Holding::of(father.clone()))
        .start()
        .await;
    for break_log in BREAKS.iter().cycle().take(6) {
        let enquiry = federation.open(&[("P1", &father)]).await;
        // Agencies are being asked now.
        break_log(federation.hub_fault_switch());
        let opening = Federation::opening(&[("P1", &father)]);
        federation.coordinator().open(opening).await.unwrap_err();
        eventually("the hub is not ready", async || {
            (federation.hub_ready().await.0 == 503).then_some(())
        })
        .await;
        federation.hub_fault_switch().heal();
        federation.until_asked("SMS", &enquiry, "P1").await;
    }
    eventually("both sides agree on every exchange", async || {
        federation.reconcile().agrees().then_some(())
    })
    .await;
    federation.finish().await;
}

async fn not_ready(federation: &Federation, agency: &str) {
    eventually("the node says that it is not ready, and why", async || {
        let (status, text) = federation.ready(agency).await;
        (status == 503 && text.contains("audit log can not be written")).then_some(())
    })
    .await;
}

async fn ready(federation: &Federation, agency: &str) {
    eventually("the node is ready", async || {
        (federation.ready(agency).await.0 == 200).then_some(())
    })
    .await;
}
