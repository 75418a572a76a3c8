//! What an analysis may not say is refused before anything is signed.

use brag_common::{
    matching::identity::Identity,
    rating,
    status::code_of,
    wire::pb::{self, AnswerStatus, Colour},
};
use brag_tests::federation::{Enquiry, Federation, Holding, person_of, status_of};

/// SMS knows P1 and P2, and is asked about both.
async fn asked(held: Holding) -> (Federation, Enquiry) {
    let federation = Federation::builder()
        .nodes(&["SMS"])
        .silent(&["POL", "CSC", "DAS"])
        .holds("SMS", held)
        .holds("SMS", Holding::of(person_of(1)))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &person_of(0)), ("P2", &person_of(1))]).await;
    federation.until_asked("SMS", &enquiry, "P2").await;
    (federation, enquiry)
}

fn rating(enquiry: &Enquiry, label: &str, analysis: &str) -> pb::GiveRatingRequest {
    pb::GiveRatingRequest {
        enquiry: enquiry.name.clone(),
        person: enquiry.person(label),
        colour: Colour::Amber.into(),
        analysis: analysis.to_owned(),
        topics: Vec::new(),
        via: String::new(),
        decline_reason: String::new(),
    }
}

fn given(identity: &Identity) -> String {
    identity.current_name().unwrap().given().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x8_an_analysis_with_a_postcode_a_number_an_address_or_a_name_is_not_signed_and_the_place_is_told()
 {
    let (federation, enquiry) = asked(Holding::of(person_of(0))).await;
    federation.until_asked("SMS", &enquiry, "P1").await;
    let (own, other) = (given(&person_of(0)), given(&person_of(1)));
    let entries = federation.log_of("SMS").len();
    for (said, what) in [
        ("EX4 6QD", "a postcode"),
        ("07700 900123", "a telephone number"),
        ("kit@example.org", "an e-mail address"),
        ("943 476 5919", "an NHS number"),
        ("943 476 5918", "a number that may identify somebody"),
        ("12 Mill Lane", "a street or an address"),
        (own.as_str(), "the name of somebody in the enquiry"),
        // Of another person in the enquiry, who is rated separately.
        (other.as_str(), "the name of somebody in the enquiry"),
    ] {
        let text = format!("Was told of {said}: worried about it.");
        let mut desk = federation.assessor("SMS");
        let refused = desk.give_rating(rating(&enquiry, "P1", &text)).await.unwrap_err();
        assert_eq!(code_of(&refused), Some("analysis_not_accepted"), "{said}");
        let words = refused.message();
        let to = 12 + said.chars().count();
        assert!(words.contains(&format!("characters 13 to {to}: {what}")), "{words}");
        assert!(!words.contains(said), "{words}");
    }
    assert_eq!(federation.log_of("SMS").len(), entries, "nothing was signed or recorded");
    let show = federation.show(&enquiry.name).await;
    assert_eq!(status_of(&show, "SMS", &enquiry.person("P1")), AnswerStatus::Pending);
    federation.rate("SMS", &enquiry, "P1", Colour::Amber).await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standing_rating_that_names_somebody_asked_about_is_put_to_a_person() {
    let at = "2027-02-01T09:00:00Z".parse().unwrap();
    let text = format!("Seen with {} more often than before.", given(&person_of(1)));
    let held = Holding::of(person_of(0)).standing(rating::Colour::Red, &text, at);
    let (federation, enquiry) = asked(held).await;
    federation.until_asked("SMS", &enquiry, "P1").await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Pending).await;
    federation.finish().await;
}
