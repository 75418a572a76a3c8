//! Possible matches: nothing is disclosed until a co-ordinator authorises it, and nothing is answered until a person at
//! the agency has compared and decided.

use brag_common::{
    id::{EnquiryRef, PersonRef},
    matching::identity::{Address, BirthDate, Identity, IdentityParts, Name, NameKind},
    rating,
    status::code_of,
    wire::pb::{self, AnswerStatus, Colour, IdentityDecision},
};
use brag_tests::federation::{
    ANALYSIS, Builder, Enquiry, Federation, Holding, contains, eventually, id, level, person_of,
    status_of,
};
use brag_tests::partnership::AUDITOR;
use tonic::Status;

const REASON: &str = "Same-street-and-birth: REASON-MARKER-17";

/// A person of one birth and house. Given names without anything in common may be twins: even odds, however many are
/// enrolled. Two that begin and sound alike are known to the screen, and unclear to the node.
pub(crate) fn called(given: &str) -> Identity {
    Identity::new(IdentityParts {
        names: vec![Name::new(NameKind::Current, given, "Brookfield").unwrap()],
        birth: BirthDate::parse("1988-04-17").unwrap(),
        addresses: vec![Address::new(Some("12 Mill Lane"), Some("LS6 2AB"), None, None).unwrap()],
        ..IdentityParts::default()
    })
    .unwrap()
}

/// One enquiry about P1, whom SMS may know, and P2, whom it knows well.
async fn possible(standing: bool) -> (Federation, Enquiry) {
    possible_in(Federation::builder(), standing).await
}

/// As [`possible`], in a federation that is set up further.
pub(crate) async fn possible_in(builder: Builder, standing: bool) -> (Federation, Enquiry) {
    let known = person_of(1);
    let at = "2027-02-01T09:00:00Z".parse().unwrap();
    let mut holding = Holding::of(called("Rosalind")).entry("C33", "held under the other name");
    if standing {
        holding = holding.standing(rating::Colour::Red, ANALYSIS, at);
    }
    let federation = builder
        .nodes(&["SMS", "CSC"])
        .silent(&["POL", "DAS"])
        .holds("SMS", holding)
        .holds("SMS", Holding::of(known.clone()))
        .holds("CSC", Holding::of(known.clone()))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &called("Cathryn")), ("P2", &known)]).await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::IdentityReview).await;
    (federation, enquiry)
}

fn authority(enquiry: &Enquiry, agency: &str, label: &str) -> pb::AuthoriseIdentityReviewRequest {
    pb::AuthoriseIdentityReviewRequest {
        enquiry: enquiry.name.clone(),
        agency: agency.to_owned(),
        person: enquiry.person(label),
        reason: REASON.to_owned(),
    }
}

pub(crate) async fn authorise(federation: &Federation, enquiry: &Enquiry) {
    let wanted = authority(enquiry, "SMS", "P1");
    federation.coordinator().authorise_identity_review(wanted).await.unwrap();
    until_told(federation).await;
}

/// Until somebody at the agency is asked to compare.
async fn until_told(federation: &Federation) {
    let mut desk = federation.assessor("SMS");
    eventually("the node is told", async || {
        let list = desk.worklist(pb::WorklistRequest {}).await.ok()?.into_inner();
        list.ratings.iter().any(|work| work.kind == "identity").then_some(())
    })
    .await;
}

async fn decide(
    federation: &Federation,
    enquiry: &Enquiry,
    decision: IdentityDecision,
) -> Result<pb::DecideIdentityResponse, Status> {
    let request = pb::DecideIdentityRequest {
        enquiry: enquiry.name.clone(),
        person: enquiry.person("P1"),
        decision: decision.into(),
        reason: "compared on paper".to_owned(),
    };
    Ok(federation.assessor("SMS").decide_identity(request).await?.into_inner())
}

fn kept(federation: &Federation, enquiry: &Enquiry) -> Option<Vec<u8>> {
    let (name, person): (EnquiryRef, PersonRef) = (id(&enquiry.name), id(&enquiry.person("P1")));
    let known = federation.inside("SMS").store.person_in(&name, &person).unwrap()?;
    known.opened.map(|opened| opened.identity)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_possible_match_discloses_nothing_and_is_authorised_with_a_reason_only_where_it_is_one() {
    let (federation, enquiry) = possible(true).await;
    federation.until_status(&enquiry, "CSC", "P1", AnswerStatus::NotKnown).await;
    assert_eq!(kept(&federation, &enquiry), None);
    let bare = pb::AuthoriseIdentityReviewRequest {
        reason: " ".to_owned(),
        ..authority(&enquiry, "SMS", "P1")
    };
    let wrong = [
        (bare, "reason_missing"),
        (authority(&enquiry, "CSC", "P1"), "identity_not_possible"),
        (authority(&enquiry, "ZZZ", "P1"), "not_found"),
    ];
    for (wanted, code) in wrong {
        let refused = federation.coordinator().authorise_identity_review(wanted).await.unwrap_err();
        assert_eq!(code_of(&refused), Some(code));
    }
    assert_eq!(kept(&federation, &enquiry), None);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authorised_match_waits_for_a_person_who_sees_both_sides_and_nothing_is_answered_before()
{
    let (federation, enquiry) = possible(true).await;
    authorise(&federation, &enquiry).await;
    let list = federation.assessor("SMS").worklist(pb::WorklistRequest {}).await.unwrap();
    let person = enquiry.person("P1");
    let work = list.into_inner().ratings.into_iter().find(|w| w.person == person).unwrap();
    assert_eq!(work.kind, "identity");
    let (asked, own) = (work.asked.unwrap(), work.own.unwrap());
    assert_eq!(asked.names, ["current: Cathryn Brookfield"]);
    assert_eq!(own.names, ["current: Rosalind Brookfield"]);
    assert_eq!((asked.born.as_str(), own.born.as_str()), ("1988-04-17", "1988-04-17"));
    assert_eq!(own.addresses, ["12 Mill Lane, LS6 2AB"]);
    // Neither an assessor nor a standing rating answers for somebody who may be somebody else.
    let refused =
        federation.try_rate("SMS", &enquiry, "P1", Colour::Green, None).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("identity_not_decided"));
    let show = federation.show(&enquiry.name).await;
    assert_eq!(status_of(&show, "SMS", &person), AnswerStatus::IdentityReview);
    assert_eq!(level(&show, &person), Colour::Unspecified);
    federation.rate("CSC", &enquiry, "P2", Colour::Red).await;
    federation.rate("SMS", &enquiry, "P2", Colour::Red).await;
    let views = federation.ask_detail(&enquiry, "SMS", "P1", "C33", &["CSC"]).await.unwrap();
    assert_eq!(views[0].reason, "IDENTITY_AMBIGUOUS");
    // Authorised once; who did it is in the log, and why is not.
    let wanted = authority(&enquiry, "SMS", "P1");
    let again = federation.coordinator().authorise_identity_review(wanted).await.unwrap_err();
    assert_eq!(code_of(&again), Some("identity_review_authorised"));
    let log = federation.hub_log();
    let authorised: Vec<_> =
        log.iter().filter(|entry| entry.action.word() == "identity_reviewed").collect();
    assert_eq!(authorised.len(), 1);
    assert!(format!("{:?}", authorised[0].actor).contains("hub.coordinator"));
    assert!(!contains(&federation.bytes_below("hub"), "REASON-MARKER-17"));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_an_agency_was_told_and_compares_there_is_nothing_to_authorise() {
    let federation = Federation::builder()
        .nodes(&["SMS"])
        .silent(&["POL", "CSC", "DAS"])
        .holds("SMS", Holding::of(called("Catherine")))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &called("Cathryn"))]).await;
    let cell = federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::IdentityReview).await;
    assert_eq!(cell.reason, "comparing");
    let wanted = authority(&enquiry, "SMS", "P1");
    let refused = federation.coordinator().authorise_identity_review(wanted).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("identity_review_told"));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decided_different_is_not_known_at_the_hub_and_erased_at_the_node() {
    let (federation, enquiry) = possible(true).await;
    authorise(&federation, &enquiry).await;
    assert!(kept(&federation, &enquiry).is_some());
    let unclear = decide(&federation, &enquiry, IdentityDecision::Unspecified).await;
    assert_eq!(unclear.unwrap_err().code(), tonic::Code::InvalidArgument);
    decide(&federation, &enquiry, IdentityDecision::Different).await.unwrap();
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::NotKnown).await;
    assert_eq!(kept(&federation, &enquiry), None);
    let again = decide(&federation, &enquiry, IdentityDecision::Same).await.unwrap_err();
    assert_eq!(code_of(&again), Some("identity_not_told"));
    let log = federation.log_of("SMS");
    let decided = log.iter().find(|entry| entry.action.word() == "identity_reviewed").unwrap();
    assert!(format!("{:?}", decided.actor).contains("sms.assessor"));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decided_the_same_a_fresh_standing_rating_answers() {
    let (federation, enquiry) = possible(true).await;
    authorise(&federation, &enquiry).await;
    let decided = decide(&federation, &enquiry, IdentityDecision::Same).await.unwrap();
    assert!(!decided.rating.is_empty());
    let cell = federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    assert_eq!(cell.colour(), Colour::Red);
    let again = decide(&federation, &enquiry, IdentityDecision::Same).await.unwrap_err();
    assert_eq!(code_of(&again), Some("identity_decided"));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decided_the_same_an_assessor_is_asked_to_rate() {
    let (federation, enquiry) = possible(false).await;
    authorise(&federation, &enquiry).await;
    let decided = decide(&federation, &enquiry, IdentityDecision::Same).await.unwrap();
    assert!(decided.rating.is_empty());
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Pending).await;
    federation.try_rate("SMS", &enquiry, "P1", Colour::Amber, None).await.unwrap();
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_survives_a_node_that_is_away_and_a_hub_that_starts_again() {
    let (mut federation, enquiry) = possible(false).await;
    federation.stop_node("SMS").await;
    let wanted = authority(&enquiry, "SMS", "P1");
    federation.coordinator().authorise_identity_review(wanted).await.unwrap();
    federation.stop_hub().await;
    federation.start_hub().await;
    federation.start_node("SMS").await;
    until_told(&federation).await;
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undone_a_decision_takes_the_rating_with_it_and_both_statements_stay() {
    let (federation, enquiry) = possible(false).await;
    authorise(&federation, &enquiry).await;
    let person = enquiry.person("P1");
    decide(&federation, &enquiry, IdentityDecision::Same).await.unwrap();
    federation.try_rate("SMS", &enquiry, "P1", Colour::Red, None).await.unwrap();
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    // Through P1, whom it took for its own, the agency has rated P2 as well.
    federation.try_rate("SMS", &enquiry, "P2", Colour::Amber, Some("P1")).await.unwrap();
    federation.until_status(&enquiry, "SMS", "P2", AnswerStatus::Rated).await;
    let show = federation.show(&enquiry.name).await;
    assert_eq!(level(&show, &person), Colour::Red);
    let gates = |show: &pb::ShowResponse| {
        show.people.iter().find(|known| known.person == person).unwrap().gates.clone()
    };
    assert!(gates(&show).contains(&"g3".to_owned()));

    decide(&federation, &enquiry, IdentityDecision::Different).await.unwrap();
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::NotKnown).await;
    // P2 the agency knows all the same, and can rate by itself.
    federation.until_status(&enquiry, "SMS", "P2", AnswerStatus::Pending).await;
    let show = federation.show(&enquiry.name).await;
    assert_eq!(level(&show, &person), Colour::Unspecified);
    assert!(gates(&show).is_empty());
    assert_eq!(kept(&federation, &enquiry), None);
    let statements = federation.inside_hub().store.statements(&id(&enquiry.name)).unwrap();
    let kinds: Vec<_> =
        statements.iter().map(|kept| kept.signed.read_unverified().unwrap().body.kind()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "rating").count(), 2);
    assert_eq!(kinds.iter().filter(|kind| **kind == "rating_withdrawn").count(), 2);
    for log in [federation.hub_log(), federation.log_of("SMS")] {
        let withdrawn = log.iter().filter(|entry| entry.action.word() == "rating_withdrawn");
        assert_eq!(withdrawn.count(), 2);
    }
    federation.finish().await;
}

fn finding(identity: &Identity) -> pb::FindPersonRequest {
    pb::FindPersonRequest { identity: identity.canonical_bytes() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_enquiry_about_the_same_person_shows_with_its_level_and_nobody_elses_does() {
    let (father, mother, stranger) = (person_of(0), person_of(1), person_of(2));
    let federation = Federation::builder()
        .nodes(&["SMS"])
        .silent(&["POL", "CSC", "DAS"])
        .holds("SMS", Holding::of(father.clone()))
        .start()
        .await;
    let first = federation.open(&[("P1", &father), ("P2", &mother)]).await;
    assert_eq!(federation.show(&first.name).await.linked_earlier_enquiry, []);
    federation.rate("SMS", &first, "P1", Colour::Amber).await;
    federation.until_status(&first, "SMS", "P1", AnswerStatus::Rated).await;
    let opened_at = federation.show(&first.name).await.opened_at_unix_ms;
    federation.advance(brag_common::time::SignedDuration::from_hours(30));
    let second = federation.open(&[("S", &stranger), ("F", &father)]).await;
    let linked = federation.show(&second.name).await.linked_earlier_enquiry;
    assert_eq!(
        linked,
        [pb::LinkedEarlierEnquiry {
            person: second.person("F"),
            enquiry: first.name.clone(),
            opened_at_unix_ms: opened_at,
            level: Colour::Amber.into(),
        }]
    );
    // The places of the store name nobody.
    for name in father.names() {
        assert!(!contains(&federation.bytes_below("hub"), name.family()));
    }
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_persons_exchanges_are_found_for_subject_access_and_each_look_is_recorded() {
    let (father, stranger) = (person_of(0), person_of(2));
    let federation = Federation::builder()
        .nodes(&["SMS"])
        .silent(&["POL", "CSC", "DAS"])
        .holds("SMS", Holding::of(father.clone()))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &father), ("P2", &person_of(1))]).await;
    federation.rate("SMS", &enquiry, "P1", Colour::Amber).await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    let auditor = federation.to_hub(&federation.person(AUDITOR));
    let mut auditor = pb::coordinator_service_client::CoordinatorServiceClient::new(auditor);
    let show = pb::ShowRequest { enquiry: enquiry.name.clone() };
    let refused = auditor.show(show).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("role_missing"));
    let found = auditor.find_person(finding(&stranger)).await.unwrap().into_inner();
    assert_eq!(found.exchanges, []);
    let found = auditor.find_person(finding(&father)).await.unwrap().into_inner().exchanges;
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].enquiry, &found[0].person), (&enquiry.name, &enquiry.person("P1")));
    assert!(!found[0].unclear);
    let cell = found[0].cells.iter().find(|cell| cell.agency == "SMS").unwrap();
    assert_eq!((cell.colour(), cell.analysis.as_str()), (Colour::Amber, ""));
    assert!(found[0].cells.iter().all(|cell| cell.person == enquiry.person("P1")));
    let log = federation.hub_log();
    let looks: Vec<_> = log
        .iter()
        .filter(|entry| entry.decision.as_ref().is_some_and(|word| word.as_str() == "find_person"))
        .collect();
    assert_eq!(looks.iter().map(|look| look.count).collect::<Vec<_>>(), [Some(0), Some(1), None]);
    assert!(looks.iter().all(|look| format!("{:?}", look.actor).contains(AUDITOR)));
    federation.finish().await;
}
