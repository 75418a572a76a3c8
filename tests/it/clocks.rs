//! Clocks of hub and node that differ: four minutes are tolerated in both directions, twenty are refused with a text that
//! names both clocks.

use brag_common::{
    status::code_of,
    time::SignedDuration,
    wire::pb::{AnswerStatus, Colour, Decision},
};
use brag_tests::federation::{Federation, Holding, person_of};

use crate::scene::{HOLDER, Scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x18_four_minutes_are_tolerated_in_both_directions() {
    for minutes in [4, -4] {
        let person = person_of(0);
        let federation = Federation::builder()
            .nodes(&["SMS", "CSC", "POL"])
            .clock_ahead("SMS", SignedDuration::from_mins(minutes))
            .holds("SMS", Holding::of(person.clone()))
            .holds("CSC", Holding::of(person.clone()).entry("C24", "Known since 2019"))
            .start()
            .await;
        let enquiry = federation.open(&[("P1", &person)]).await;
        federation.rate("SMS", &enquiry, "P1", Colour::Red).await;
        let open = |show: &brag_common::wire::pb::ShowResponse| {
            show.people[0].gates.contains(&"g3".to_owned())
        };
        federation.until(&enquiry, "the gate is open", open).await;
        let asked = federation.ask_detail(&enquiry, "CSC", "P1", "C24", &["POL"]).await.unwrap();
        assert_eq!(asked[0].decision(), Decision::Release, "{minutes}");
        federation.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x18_twenty_minutes_are_refused_with_both_clocks_named() {
    for (minutes, here, code) in [
        (20, "2027-02-09T09:20:00Z", "request_expired"),
        (-20, "2027-02-09T08:40:00Z", "request_too_far_ahead"),
    ] {
        let person = person_of(0);
        let federation = Federation::builder()
            .nodes(&[HOLDER])
            .silent(&["POL"])
            .clock_ahead(HOLDER, SignedDuration::from_mins(minutes))
            .holds(HOLDER, Holding::of(person.clone()))
            .start()
            .await;
        let enquiry = federation.open(&[("P1", &person)]).await;
        let cell = federation.until_status(&enquiry, HOLDER, "P1", AnswerStatus::NoResponse).await;
        assert_eq!(cell.reason, "CLOCKS_DIFFER", "{minutes}");
        // What the hub is told, as it would be by any call.
        let envelope = {
            let hub = federation.inside_hub();
            brag_hub::round::envelope(&hub, std::time::Duration::from_secs(10)).unwrap()
        };
        let request = brag_common::wire::pb::ScreenRequest {
            request_id: envelope.request_id.to_string(),
            agreement_digest: envelope.agreement.as_bytes().to_vec(),
            valid_until_unix_ms: envelope.valid_until.as_millisecond(),
            epoch: 1,
            slots: vec![vec![0; 288]; 12],
            public_key: vec![1; 32],
            newest_epoch: 1,
        };
        let refused = federation.as_hub(HOLDER).screen(request).await.unwrap_err();
        assert_eq!(code_of(&refused), Some(code));
        assert!(refused.message().contains("2027-02-09T09:00:10Z"), "{}", refused.message());
        assert!(refused.message().contains(here), "{}", refused.message());
        let log = federation.log_of(HOLDER);
        let told = log.iter().filter_map(|entry| entry.decision.as_ref());
        assert!(told.into_iter().any(|word| word.to_string() == code));
        federation.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_that_claims_to_be_from_twenty_minutes_ahead_opens_no_gate() {
    let scene = Scene::new().await;
    let ahead = scene.federation.now().checked_add(SignedDuration::from_mins(20)).unwrap();
    let red = scene.rated("POL", scene.person("P1"), brag_common::rating::Colour::Red, ahead);
    let outcome = scene.decide(&[red]).await;
    let text = format!("{outcome:?}");
    assert!(text.contains("Deny"), "{text}");
    scene.end_with_nothing_sealed().await;
}
