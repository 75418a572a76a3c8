//! A round: standing ratings, ratings given later, ratings through a linked person, and what is learnt of people
//! nobody knows.

use brag_common::{
    audit::Entry,
    matching::identity::Identity,
    rating,
    reason::Reason,
    status::code_of,
    wire::pb::{self, AnswerStatus, Colour, watch_response::Event},
};
use brag_tests::federation::{
    ANALYSIS, Federation, Holding, cell, contains, eventually, id, level, person_of, status_of,
};
use tonic::Code;

use crate::scene::{HOLDER, Scene};

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
    assert_eq!(rated.analysis, ANALYSIS);
    federation.until_asked("SMS", &enquiry, "P2").await;
    let show = federation.show(&enquiry.name).await;
    assert_eq!(status_of(&show, "SMS", &enquiry.person("P2")), AnswerStatus::Pending);
    assert_eq!(level(&show, &enquiry.person("P1")), Colour::Red);
    assert_eq!(level(&show, &enquiry.person("P2")), Colour::Unspecified);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_10_a_rating_given_later_is_delivered_shown_and_carries_who_gave_it() {
    let father = person_of(0);
    let federation = Federation::builder()
        .nodes(&["SMS", "POL"])
        .holds("SMS", Holding::of(father.clone()))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &father)]).await;
    let pending = federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Pending).await;
    assert_eq!(pending.colour(), Colour::Unspecified);
    let mut coordinator = federation.coordinator();
    let request = pb::WatchRequest { enquiry: enquiry.name.clone() };
    let mut watching = coordinator.watch(request).await.unwrap().into_inner();
    federation.rate("SMS", &enquiry, "P1", Colour::Amber).await;
    let event = eventually("the rating is told to whoever watches", async || {
        match watching.message().await.unwrap().unwrap().event.unwrap() {
            Event::Cell(cell) => (cell.status() == AnswerStatus::Rated).then_some(cell),
            _ => None,
        }
    })
    .await;
    assert_eq!((event.agency.as_str(), event.colour()), ("SMS", Colour::Amber));
    let rated = federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    assert_eq!(rated.rated_by, "sms.assessor");
    let kept = federation.inside_hub().store.statements(&id(&enquiry.name)).unwrap();
    let statement = kept[0].signed.read_unverified().unwrap();
    assert_eq!(statement.made_by.unwrap().as_str(), "sms.assessor");
    let given = federation.log_of("SMS");
    let given = given.iter().find(|entry| entry.action.word() == "rating_given").unwrap();
    assert!(format!("{:?}", given.actor).contains("sms.assessor"));
    drop(watching);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linked_person_is_rated_without_a_name_and_only_through_somebody_the_agency_knows() {
    let (father, child) = (person_of(0), person_of(1));
    let federation = Federation::builder()
        .nodes(&["SMS", "POL"])
        .holds("SMS", Holding::of(father.clone()))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &father), ("P2", &child)]).await;
    federation.until_asked("SMS", &enquiry, "P2").await;
    let mut desk = federation.assessor("SMS");
    let list = desk.worklist(pb::WorklistRequest {}).await.unwrap().into_inner().ratings;
    let linked = list.iter().find(|work| work.person == enquiry.person("P2")).unwrap();
    assert_eq!(linked.kind, "linked");
    assert_eq!((linked.name.as_str(), linked.record_id.as_str()), ("", ""));
    let refused = federation.try_rate("SMS", &enquiry, "P2", Colour::Red, None).await;
    assert_eq!(code_of(&refused.unwrap_err()), Some("via_needed"));
    let refused = federation.try_rate("SMS", &enquiry, "P2", Colour::Red, Some("P2")).await;
    assert_eq!(code_of(&refused.unwrap_err()), Some("via_not_linked"));
    federation.try_rate("SMS", &enquiry, "P2", Colour::Red, Some("P1")).await.unwrap();
    let rated = federation.until_status(&enquiry, "SMS", "P2", AnswerStatus::Rated).await;
    assert_eq!(rated.via, enquiry.person("P1"));
    let show = federation.show(&enquiry.name).await;
    assert_eq!(level(&show, &enquiry.person("P2")), Colour::Red);
    // It counts towards a gate only beside a signed link, and there is none.
    let of_child = show.people.iter().find(|person| person.label == "P2").unwrap();
    assert!(of_child.gates.is_empty());
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_4_a_node_that_knows_nobody_keeps_no_trace_of_who_was_asked_about() {
    let (known, asked) = (person_of(0), person_of(1));
    let federation =
        Federation::builder().nodes(&["SMS", "POL"]).holds("SMS", Holding::of(known)).start().await;
    let before = federation.log_of("SMS").len();
    let enquiry = federation.open(&[("P1", &asked)]).await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::NotKnown).await;
    assert!(federation.inside("SMS").store.enquiries().unwrap().is_empty());
    let name = id(&enquiry.name);
    assert!(federation.inside("SMS").store.people_in(&name).unwrap().is_empty());
    let log = federation.log_of("SMS").split_off(before);
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].action.word(), "screen_answered");
    assert_eq!((&log[0].enquiry, &log[0].person, &log[0].commitment), (&None, &None, &None));
    let bytes = federation.bytes_below("nodes/SMS");
    for text in words_of(&asked).iter().chain([&enquiry.name, &enquiry.person("P1")]) {
        assert!(!contains(&bytes, text));
    }
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_4_the_answer_and_the_entry_of_a_miss_look_like_those_of_a_hit() {
    let scene = Scene::new().await;
    // The worklist may show P1 before the entry of the node's answer is written.
    eventually("the node's answer is recorded", async || {
        let log = scene.federation.log_of(HOLDER);
        log.iter().any(|entry| entry.action.word() == "rate_answered").then_some(())
    })
    .await;
    let mut sizes = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    for label in ["P1", "P2"] {
        let before = scene.federation.log_of(HOLDER).len();
        let (answers, _) = scene.screen_raw(label).await;
        sizes.push(answers.iter().map(Vec::len).collect::<Vec<_>>());
        let mut log = scene.federation.log_of(HOLDER).split_off(before);
        assert_eq!(log.len(), 1);
        entries.append(&mut log);
    }
    assert_eq!(sizes[0], sizes[1]);
    assert_eq!(sizes[0], [1216; 12]);
    let mut same = entries[0].clone();
    (same.seq, same.prev_hash, same.ts) = (entries[1].seq, entries[1].prev_hash, entries[1].ts);
    same.exchange.clone_from(&entries[1].exchange);
    assert_eq!(same, entries[1]);
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_7_a_purpose_that_is_not_in_the_agreement_opens_no_enquiry() {
    let federation = Federation::builder().nodes(&["SMS"]).silent(&["POL"]).start().await;
    let father = person_of(0);
    for purpose in ["immigration_enforcement", "", "domestic_abuse_safety "] {
        let mut opening = Federation::opening(&[("P1", &father)]);
        opening.purpose = purpose.to_owned();
        let refused = federation.coordinator().open(opening).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(code_of(&refused), Some("PURPOSE_NOT_PERMITTED"));
    }
    let mut without_reason = Federation::opening(&[("P1", &father)]);
    without_reason.referral.as_mut().unwrap().reference = " ".to_owned();
    let refused = federation.coordinator().open(without_reason).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(federation.inside_hub().store.enquiries().unwrap().is_empty());
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blue_is_refused_where_there_is_evidence_of_domestic_abuse_and_other_colours_are_not() {
    let father = person_of(0);
    let at = "2027-02-01T09:00:00Z".parse().unwrap();
    let federation = Federation::builder()
        .nodes(&["SMS"])
        .silent(&["POL"])
        .holds("SMS", Holding::of(father.clone()).standing(rating::Colour::Blue, ANALYSIS, at))
        .start()
        .await;
    // The standing Blue does not answer either: it is put to the assessor.
    let enquiry = federation.open(&[("P1", &father)]).await;
    federation.until_asked("SMS", &enquiry, "P1").await;
    let refused = federation.try_rate("SMS", &enquiry, "P1", Colour::Blue, None).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(code_of(&refused), Some("BLUE_NOT_PERMITTED_DA"));
    // Who waits for the answer sees why it does not come, until it does.
    let cell = federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Unable).await;
    assert_eq!(cell.reason, "BLUE_NOT_PERMITTED_DA");
    federation.until_asked("SMS", &enquiry, "P1").await;
    federation.try_rate("SMS", &enquiry, "P1", Colour::Green, None).await.unwrap();
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    // A Blue in the place of a rating is refused, and the rating stands.
    let refused = federation.try_rate("SMS", &enquiry, "P1", Colour::Blue, None).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("BLUE_NOT_PERMITTED_DA"));
    let said = |log: Vec<Entry>, action: &str| -> Vec<Option<String>> {
        let entries = log.into_iter().filter(|entry| entry.action.word() == action);
        entries.map(|entry| entry.decision.map(|word| word.to_string())).collect()
    };
    let given = said(federation.log_of("SMS"), "rating_given");
    assert_eq!(given, [Some("unable".to_owned()), None]);
    let taken = said(federation.hub_log(), "rate_answered");
    let times = |word: &str| taken.iter().filter(|said| said.as_deref() == Some(word)).count();
    assert_eq!((times("unable"), times("rated")), (1, 1));
    let why = |entry: &Entry| {
        let unable = entry.decision.as_ref().is_some_and(|word| word.as_str() == "unable");
        entry.reason.filter(|_| unable && entry.action.word() == "rate_answered")
    };
    let reasons: Vec<_> = federation.hub_log().iter().filter_map(why).collect();
    assert_eq!(reasons, [Reason::BlueNotPermittedDa]);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_6_only_the_agency_itself_changes_its_rating_and_both_versions_stay() {
    let father = person_of(0);
    let federation = Federation::builder()
        .nodes(&["SMS", "POL"])
        .holds("SMS", Holding::of(father.clone()))
        .holds("POL", Holding::of(father.clone()))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &father)]).await;
    let person = enquiry.person("P1");
    federation.rate("SMS", &enquiry, "P1", Colour::Red).await;
    federation.rate("POL", &enquiry, "P1", Colour::Green).await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    federation.until_status(&enquiry, "POL", "P1", AnswerStatus::Rated).await;
    assert_eq!(level(&federation.show(&enquiry.name).await, &person), Colour::Red);
    federation.advance(brag_common::time::SignedDuration::from_mins(1));
    federation.try_rate("SMS", &enquiry, "P1", Colour::Amber, None).await.unwrap();
    let show = federation
        .until(&enquiry, "the new rating came", |show| {
            cell(show, "SMS", &person).colour() == Colour::Amber
        })
        .await;
    assert_eq!(level(&show, &person), Colour::Amber);
    let kept = federation.inside_hub().store.statements(&id(&enquiry.name)).unwrap();
    assert_eq!(kept.len(), 3);
    federation.finish().await;
}

/// Everything of an identity that could give a person away.
pub fn words_of(identity: &Identity) -> Vec<String> {
    let names = identity.names().iter().flat_map(|n| [n.given().to_owned(), n.family().to_owned()]);
    let numbers = identity.identifiers().iter().map(|identifier| identifier.value().to_owned());
    let places = identity.addresses().iter().filter_map(|a| a.postcode().map(ToOwned::to_owned));
    names.chain(numbers).chain(places).filter(|word| word.len() > 3).collect()
}
