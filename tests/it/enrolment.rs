//! Enrolment between a hub and nodes: what is refused, the quotas, and epochs that turn without a gap.

use brag_agency_node::enrol::{self, EnrolFailure};
use brag_common::{
    audit::entry::Action,
    id::AgencyId,
    matching::token::BlindBatch,
    secret::random_bytes,
    status::code_of,
    time::SignedDuration,
    wire::pb::{self, AnswerStatus},
};
use brag_hub::{
    epochs,
    round::envelope,
    screening::{Asked, Screening},
    store::{
        Change,
        shapes::{EpochRecord, EpochsRecord, PersonRecord},
    },
};
use brag_tests::federation::{
    Federation, Holding, HubClient, eventually, fresh, id, person_of, status_of,
};
use rand_core::OsRng;
use tonic::{Code, Status};

use crate::scene::{HOLDER, Scene};

/// A hub and two nodes that know one person each, with epochs of an hour.
async fn federation() -> Federation {
    let mut federation = Federation::builder().nodes(&["SMS", "POL"]).silent(&["CSC", "DAS"]);
    for agency in ["SMS", "POL"] {
        federation = federation.holds(agency, Holding::of(person_of(0)));
    }
    federation.epoch("1h").start().await
}

fn epochs_of(federation: &Federation, agency: &str) -> EpochsRecord {
    federation.inside_hub().store.epochs(&id(agency)).unwrap()
}

/// Puts an agency's epochs at the hub where a test wants them.
fn set_screening(federation: &Federation, agency: &str, change: impl FnOnce(&mut EpochRecord)) {
    let mut epochs = epochs_of(federation, agency);
    change(epochs.screening.as_mut().unwrap());
    let mut committed = Change::new();
    committed.epochs(&id(agency), &epochs).unwrap();
    federation.inside_hub().store.commit(committed).unwrap();
}

fn blinded() -> Vec<u8> {
    BlindBatch::new(&[], &mut OsRng).unwrap().elements().concat()
}

async fn evaluate(
    mut node: HubClient,
    declared_people: u64,
    blinded: Vec<u8>,
) -> Result<pb::EvaluateResponse, Status> {
    let request = pb::EvaluateRequest { request_id: fresh(), declared_people, blinded };
    Ok(node.evaluate(request).await?.into_inner())
}

fn n_alerts(federation: &Federation, why: &str) -> usize {
    let log = federation.hub_log();
    let alerted = log.iter().filter(|entry| entry.action == Action::AlertRaised);
    alerted.filter(|entry| entry.decision.as_ref().is_some_and(|word| word.as_str() == why)).count()
}

/// A screening of somebody at an agency as the hub makes it.
async fn screening(federation: &Federation, agency: &str, person: &PersonRecord) -> Screening {
    let hub = federation.inside_hub();
    let head = envelope(&hub, std::time::Duration::from_secs(10)).unwrap();
    Screening::prepare(&hub, &id(agency), head, &[person]).await.unwrap().unwrap()
}

async fn somebody(federation: &Federation) -> PersonRecord {
    let enquiry = federation.open(&[("P1", &person_of(0))]).await;
    for agency in ["SMS", "POL"] {
        federation.until_asked(agency, &enquiry, "P1").await;
    }
    let name = enquiry.name.parse().unwrap();
    let record = federation.inside_hub().store.enquiry(&name).unwrap().unwrap();
    record.people[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_another_agency_another_epoch_or_another_key_are_refused() {
    let federation = federation().await;
    let person = somebody(&federation).await;
    let mut sms = federation.as_hub("SMS");
    let others = screening(&federation, "POL", &person).await.request();
    let refused = sms.screen(others).await.unwrap_err();
    assert_eq!(
        (refused.code(), code_of(&refused)),
        (Code::FailedPrecondition, Some("another_key"))
    );
    for epoch in [2, u32::MAX] {
        let mut later = screening(&federation, "SMS", &person).await.request();
        later.epoch = epoch;
        let refused = sms.screen(later).await.unwrap_err();
        assert_eq!(code_of(&refused), Some("epoch_not_enrolled"));
    }
    // With the key's name exchanged as well they are answered, and hit nothing.
    let ours = screening(&federation, "SMS", &person).await;
    let foreign = screening(&federation, "POL", &person).await;
    let mut request = foreign.request();
    request.public_key = ours.request().public_key;
    let answer = sms.screen(request).await.unwrap().into_inner();
    let hub = federation.inside_hub();
    let asked = foreign.weigh(&hub, &id("POL"), &answer.answers).await.unwrap();
    assert_eq!(asked[&person.person], Asked::NotKnown);
    drop(hub);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_screening_is_refused_and_a_replayed_answer_is_worth_nothing() {
    let federation = federation().await;
    let person = somebody(&federation).await;
    let mut sms = federation.as_hub("SMS");
    let (first, second) = (
        screening(&federation, "SMS", &person).await,
        screening(&federation, "SMS", &person).await,
    );
    let elsewhere = screening(&federation, "POL", &person).await;
    let answer = sms.screen(first.request()).await.unwrap().into_inner().answers;
    let refused = sms.screen(first.request()).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("request_replayed"));
    let hub = federation.inside_hub();
    // The same answer to another screening of the same person, and in another agency's name.
    for (screening, agency) in [(second, "SMS"), (elsewhere, "POL")] {
        for turned in 0..answer.len() {
            let mut answer = answer.clone();
            answer.rotate_left(turned);
            let again = match screening.clone().weigh(&hub, &id(agency), &answer).await {
                Ok(asked) => asked[&person.person],
                Err(refusal) => panic!("{refusal}"),
            };
            assert_eq!(again, Asked::NotKnown);
        }
    }
    // Control: to its own screening it is a hit.
    let asked = first.weigh(&hub, &id("SMS"), &answer).await.unwrap();
    assert!(matches!(asked[&person.person], Asked::Known(_)));
    drop(hub);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_another_size_are_refused_and_not_counted() {
    let federation = federation().await;
    let person = somebody(&federation).await;
    let before = epochs_of(&federation, "SMS");
    let node = federation.as_node("SMS");
    let whole = blinded();
    let one_more = [&whole[..], &whole[..32]].concat();
    for wrong in [Vec::new(), whole[..511 * 32].to_vec(), whole[1..].to_vec(), one_more] {
        let refused = evaluate(node.clone(), 1, wrong).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    for declared in [0, 50_000_001] {
        let refused = evaluate(node.clone(), declared, whole.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    let refused = evaluate(node, 1, vec![1; 8 * 1024 * 1024]).await.unwrap_err();
    assert!(matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted), "{refused:?}");
    assert!(epochs_of(&federation, "SMS") == before);

    let hub = federation.as_hub("SMS");
    let screening = screening(&federation, "SMS", &person).await.request();
    let (slot, mut tries) = (screening.slots[0].clone(), Vec::new());
    for n in [0, 11, 13, 36] {
        tries.push(pb::ScreenRequest { slots: vec![slot.clone(); n], ..screening.clone() });
    }
    let mut long = screening.clone();
    long.slots[3].push(0);
    tries.extend([long, pb::ScreenRequest { public_key: vec![0; 33], ..screening }]);
    for wrong in tries {
        let refused = hub.clone().screen(wrong).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enrolments_request_is_taken_once() {
    let federation = federation().await;
    let mut node = federation.as_node("SMS");
    let batch = pb::EvaluateRequest { request_id: fresh(), declared_people: 1, blinded: blinded() };
    node.evaluate(batch.clone()).await.unwrap();
    let done = pb::EnrolledRequest { request_id: fresh(), epoch: 1 };
    node.enrolled(done.clone()).await.unwrap();
    let before = epochs_of(&federation, "SMS");
    let refused = [
        node.evaluate(batch.clone()).await.map(|_| ()),
        // Another agency's, and the one call's id in the other call.
        federation.as_node("POL").evaluate(batch.clone()).await.map(|_| ()),
        node.enrolled(done).await.map(|_| ()),
        node.enrolled(pb::EnrolledRequest { request_id: batch.request_id, epoch: 1 })
            .await
            .map(|_| ()),
    ];
    for refused in refused {
        assert_eq!(code_of(&refused.unwrap_err()), Some("request_replayed"));
    }
    assert!(epochs_of(&federation, "SMS") == before, "what is refused is not counted");
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_new_while_an_agency_is_screened_are_evaluated_only_when_its_answer_is_in() {
    let federation = federation().await;
    let hub = federation.inside_hub();
    let screened = hub.screening[&id::<AgencyId>("SMS")].read().await;
    let mut late = tokio::spawn(evaluate(federation.as_node("SMS"), 1, blinded()));
    // Another agency's are no matter of it.
    evaluate(federation.as_node("POL"), 1, blinded()).await.unwrap();
    let waits = tokio::time::timeout(std::time::Duration::from_millis(300), &mut late).await;
    assert!(waits.is_err(), "evaluated while a screening was under way");
    drop(screened);
    late.await.unwrap().unwrap();
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn enrolment_beyond_a_quota_is_refused_and_alerted() {
    let federation = federation().await;
    let node = || federation.as_node("SMS");
    let refused = async |declared, why: &str| {
        let refused = evaluate(node(), declared, blinded()).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(code_of(&refused), Some("enrolment_quota"));
        assert_eq!(n_alerts(&federation, why), 1);
    };
    assert!(federation.hub_log().iter().all(|entry| entry.action != Action::AlertRaised));
    evaluate(node(), 1, blinded()).await.unwrap();
    // A declared population that jumps.
    refused(1_000_000, "enrolment_declared_people").await;
    // A day's changes, to the last batch.
    set_screening(&federation, "SMS", |epoch| epoch.evaluated_today = 15 * 512);
    evaluate(node(), 1, blinded()).await.unwrap();
    refused(1, "enrolment_daily_quota").await;
    federation.advance(SignedDuration::from_hours(24));
    evaluate(node(), 1, blinded()).await.unwrap();
    // A whole epoch. The one just begun is enrolled in.
    let mut epochs = epochs_of(&federation, "SMS");
    epochs.enrolling.as_mut().unwrap().evaluated = 64 * 512;
    let mut change = Change::new();
    change.epochs(&id("SMS"), &epochs).unwrap();
    federation.inside_hub().store.commit(change).unwrap();
    refused(1, "enrolment_epoch_quota").await;
    assert!(epochs_of(&federation, "SMS") == epochs, "what is refused is not counted");
    let metrics = federation.hub_metrics().await;
    let counted = metrics.lines().find(|line| line.contains("code=\"enrolment_quota\"")).unwrap();
    assert!(counted.contains("rpc=\"evaluate\"") && counted.ends_with(" 3"), "{counted}");
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enrolment_is_complete_only_in_an_epoch_that_is_enrolled_in() {
    let federation = federation().await;
    let say = async |agency: &str, epoch| {
        let request = pb::EnrolledRequest { request_id: fresh(), epoch };
        federation.as_node(agency).enrolled(request).await.map(|_| ())
    };
    for epoch in [2, u32::MAX] {
        assert_eq!(code_of(&say("SMS", epoch).await.unwrap_err()), Some("epoch_over"));
    }
    assert_eq!(say("SMS", 0).await.unwrap_err().code(), Code::InvalidArgument);
    federation.advance(SignedDuration::from_hours(2));
    // The next epoch is prepared, and nobody is in it.
    assert_eq!(code_of(&say("SMS", 2).await.unwrap_err()), Some("enrolment_incomplete"));
    assert_eq!(epochs_of(&federation, "SMS").screening.unwrap().epoch, 1);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_keys_within_an_epoch_are_refused_by_the_node() {
    let mut federation = federation().await;
    let index = federation.node_settings("SMS").data.as_path().join("tokens");
    federation.stop_node("SMS").await;
    let before = std::fs::read(&index).unwrap();
    set_screening(&federation, "SMS", |epoch| epoch.seed = random_bytes().unwrap());
    federation.replace_people("SMS", &[Holding::of(person_of(1))]);
    let settings = federation.node_settings("SMS");
    let error = enrol::run(settings, federation.clock(), |_| ()).await.unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(EnrolFailure::SecondKey(_))), "{error:#}");
    assert!(std::fs::read(&index).unwrap() == before, "the index is as it was");
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_turns_without_a_gap_and_the_old_secret_is_destroyed() {
    let scene = Scene::with_epoch("1h").await;
    let federation = &scene.federation;
    let old = epochs_of(federation, HOLDER).screening.unwrap();
    federation.advance(SignedDuration::from_hours(2));
    // The screening tells the node, which enrols by itself. Whoever is asked about meanwhile is found.
    let mut n_meanwhile = 0;
    eventually("the next epoch is screened with", async || {
        // Not more often than one person may be asked about.
        if n_meanwhile < 5 {
            let enquiry = federation.open(&[("P1", &person_of(0)), ("P2", &person_of(1))]).await;
            federation.until_asked(HOLDER, &enquiry, "P1").await;
            federation.until_status(&enquiry, HOLDER, "P2", AnswerStatus::NotKnown).await;
            let show = federation.show(&enquiry.name).await;
            assert_eq!(status_of(&show, HOLDER, &enquiry.person("P1")), AnswerStatus::Pending);
            n_meanwhile += 1;
        }
        let epochs = epochs_of(federation, HOLDER);
        (epochs.screening.unwrap().epoch == 2).then_some(())
    })
    .await;
    assert!(n_meanwhile >= 1);
    let now = epochs_of(federation, HOLDER);
    let new = now.screening.unwrap();
    assert!(now.enrolling.is_none() && new.seed != old.seed);
    // And so it is afterwards, with the tokens of the new epoch.
    let (_, asked) = scene.screen("P1").await;
    assert!(matches!(asked, Asked::Known(_)), "{asked:?}");
    let log = federation.hub_log();
    let told = |action, epoch| {
        let of_holder = |entry: &&brag_common::audit::Entry| {
            entry.action == action && entry.count == Some(epoch)
        };
        log.iter().filter(of_holder).count()
    };
    assert_eq!((told(Action::EpochDestroyed, 1), told(Action::EpochDestroyed, 2)), (1, 0));
    assert!(told(Action::EpochPrepared, 2) >= 1);
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enrolment_counts_from_the_next_cut_on() {
    let federation = Federation::builder()
        .nodes(&[HOLDER])
        .silent(&["POL", "CSC", "DAS"])
        .holds(HOLDER, Holding::of(person_of(0)))
        .cut("1h")
        .minute(1)
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &person_of(0))]).await;
    let unable = federation.until_status(&enquiry, HOLDER, "P1", AnswerStatus::Unable).await;
    assert_eq!(unable.reason, "NOT_ENROLLED");
    federation.advance(SignedDuration::from_mins(58));
    let agency: AgencyId = id(HOLDER);
    let hub = federation.inside_hub();
    assert!(epochs::present(&hub, &agency).await.unwrap().screening.is_none());
    drop(hub);
    federation.advance(SignedDuration::from_mins(1));
    federation.until_asked(HOLDER, &enquiry, "P1").await;
    federation.finish().await;
}
