//! A round: standing ratings, ratings given later, ratings through a linked person, and what is learnt of people
//! nobody knows.

use std::time::Duration;

use brag_common::{
    enquiry::Envelope,
    id::RequestId,
    rating,
    secret::random_bytes,
    time::SignedDuration,
    wire::pb::{self, AnswerStatus, Colour},
};
use brag_hub::round::envelope;
use brag_tests::federation::{
    ANALYSIS, Federation, Holding, cell, id, level, person_of, status_of,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standing_rating_answers_at_once_and_an_old_one_is_put_to_an_assessor() {
    let (father, mother) = (person_of(0), person_of(1));
    let fresh = "2027-02-01T09:00:00Z".parse().unwrap();
    let old = "2027-01-01T09:00:00Z".parse().unwrap();
    let federation = Federation::builder()
        .nodes(&["POL", "CSC", "SMS"])
        .holds("SMS", Holding::of(father.clone()).standing(rating::Colour::Red, ANALYSIS, fresh))
        .holds("SMS", Holding::of(mother.clone()).standing(rating::Colour::Green, ANALYSIS, old))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &father), ("P2", &mother)]).await;
    let rated = federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    assert_eq!(rated.colour(), Colour::Red);
    assert_eq!(rated.rated_by, "sms.assessor");
    federation.until_asked("SMS", &enquiry, "P2").await;
    let show = federation.show(&enquiry.name).await;
    assert_eq!(status_of(&show, "SMS", &enquiry.person("P2")), AnswerStatus::Pending);
    assert_eq!(level(&show, &enquiry.person("P1")), Colour::Red);
    assert_eq!(level(&show, &enquiry.person("P2")), Colour::Unspecified);
    federation.finish().await;
}
