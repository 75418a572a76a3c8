//! What is refused and told to information governance at once.

use brag_common::{
    audit::entry::{Action, Actor, Entry},
    status::code_of,
    wire::pb::{self, Colour, Decision},
};
use brag_tests::federation::{Enquiry, Federation, Holding, lawful_basis, person_of};

async fn one_red() -> (Federation, Enquiry) {
    let known = person_of(0);
    let federation = Federation::builder()
        .nodes(&["SMS", "CSC"])
        .silent(&["POL", "DAS"])
        .holds("SMS", Holding::of(known.clone()).entry("C33", "held"))
        .holds("CSC", Holding::of(known.clone()))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &known)]).await;
    federation.rate("CSC", &enquiry, "P1", Colour::Red).await;
    federation.until_status(&enquiry, "CSC", "P1", pb::AnswerStatus::Rated).await;
    (federation, enquiry)
}

/// The alerts in a log, each as its word, its reason's code, and who is told as its cause.
fn alerts(log: &[Entry]) -> Vec<(String, Option<&'static str>, bool)> {
    log.iter()
        .filter(|entry| entry.action == Action::AlertRaised)
        .map(|entry| {
            let word = entry.decision.as_ref().unwrap().as_str().to_owned();
            (
                word,
                entry.reason.map(|reason| reason.code()),
                matches!(entry.actor, Actor::Staff { .. }),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x22_an_enquiry_for_immigration_enforcement_is_refused_asks_nobody_and_alerts() {
    let (federation, _) = one_red().await;
    let asked = federation.log_of("SMS").len();
    let wanted = pb::OpenRequest {
        purpose: "immigration_enforcement".to_owned(),
        ..Federation::opening(&[("P1", &person_of(0))])
    };
    let refused = federation.coordinator().open(wanted).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("PURPOSE_NOT_PERMITTED"));
    let raised = ("purpose_not_permitted".to_owned(), None, true);
    assert_eq!(alerts(&federation.hub_log()), [raised]);
    assert_eq!(federation.log_of("SMS").len(), asked);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x22_detail_for_another_purpose_is_refused_by_the_holder_and_alerts_both_sides() {
    let (federation, enquiry) = one_red().await;
    let wanted = pb::RequestReleaseRequest {
        enquiry: enquiry.name.clone(),
        holder: "SMS".to_owned(),
        person: enquiry.person("P1"),
        category: "C33".to_owned(),
        recipients: vec!["CSC".to_owned(), "POL".to_owned()],
        lawful_basis: Some(lawful_basis()),
        purpose: "immigration_enforcement".to_owned(),
    };
    let views = federation.coordinator().request_release(wanted).await.unwrap().into_inner();
    for view in views.releases {
        let told = (view.decision(), view.reason.as_str());
        assert_eq!(told, (Decision::Deny, "PURPOSE_NOT_PERMITTED"));
    }
    let raised = |by_somebody| {
        vec![("purpose_not_permitted".to_owned(), Some("PURPOSE_NOT_PERMITTED"), by_somebody)]
    };
    assert_eq!(alerts(&federation.hub_log()), raised(true));
    assert_eq!(alerts(&federation.log_of("SMS")), raised(false));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_category_that_is_never_carried_alerts_both_sides_and_a_missed_threshold_nobody() {
    let (federation, enquiry) = one_red().await;
    let missed = federation.ask_detail(&enquiry, "SMS", "P1", "C35", &["POL"]).await.unwrap();
    assert_eq!(missed[0].decision(), Decision::Deny);
    assert_eq!(alerts(&federation.hub_log()), []);
    let views = federation.ask_detail(&enquiry, "SMS", "P1", "C60", &["CSC"]).await.unwrap();
    assert_eq!((views[0].decision(), views[0].reason.as_str()), (Decision::Deny, "CATEGORY_NEVER"));
    let raised =
        |by_somebody| vec![("category_never".to_owned(), Some("CATEGORY_NEVER"), by_somebody)];
    assert_eq!(alerts(&federation.hub_log()), raised(true));
    assert_eq!(alerts(&federation.log_of("SMS")), raised(false));
    federation.finish().await;
}
