//! What a malicious node tries against the hub, each refused, with the matrix as it was.

use brag_common::{
    rating::Colour,
    statement::{Body, DecidedOutcome, PersonIn, ReleaseDecision, SignedStatement},
    status::code_of,
    wire::pb::{self, AnswerStatus, deliver_request::Item},
};
use brag_tests::federation::{Federation, Holding, eventually, fresh, id, person_of, status_of};
use tonic::{Code, Status};

use crate::{
    scene::{HOLDER, Scene, analysis, other_agreement, rating},
    stand_in::{Screening, StandIn},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_that_another_agency_signed_is_refused() {
    let scene = Scene::new().await;
    let red = scene.red("POL", "P1");
    let refused = deliver(&scene, answer(&scene.person("P1"), &red)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(code_of(&refused), Some("statement_refused"));
    // Signed with its own key in the other's name.
    let body = rating(scene.person("P1"), Colour::Red, scene.federation.now());
    let forged = scene.sign(&scene.statement("POL", body), &scene.key(HOLDER));
    let refused = deliver(&scene, answer(&scene.person("P1"), &forged)).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("statement_refused"));
    end_unchanged(scene).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_of_somebody_who_is_not_in_the_enquiry_is_refused() {
    let scene = Scene::new().await;
    let stranger = PersonIn { person: id(&fresh()), ..scene.person("P1") };
    let red = own_red(&scene, stranger.clone());
    let refused = deliver(&scene, answer(&stranger, &red)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(code_of(&refused), Some("not_found"));
    // The rating is of one person, the answer says that it is another's.
    let red = own_red(&scene, scene.person("P2"));
    let refused = deliver(&scene, answer(&scene.person("P1"), &red)).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("statement_refused"));
    end_unchanged(scene).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_over_another_commitment_than_the_enquirys_is_refused() {
    let scene = Scene::new().await;
    let other = PersonIn { commitment: scene.person("P2").commitment, ..scene.person("P1") };
    let red = own_red(&scene, other.clone());
    let refused = deliver(&scene, answer(&other, &red)).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("statement_refused"));
    end_unchanged(scene).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_analysis_that_was_not_signed_with_the_rating_is_refused() {
    let scene = Scene::new().await;
    let red = own_red(&scene, scene.person("P1"));
    let Item::Answer(mut said) = answer(&scene.person("P1"), &red) else { unreachable!() };
    said.analysis = "Something that the assessor did not write at all.".to_owned();
    let refused = deliver(&scene, Item::Answer(said)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(code_of(&refused), Some("statement_refused"));
    end_unchanged(scene).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_of_another_enquiry_or_agreement_is_refused() {
    let scene = Scene::new().await;
    let body = || rating(scene.person("P1"), Colour::Red, scene.federation.now());
    let mut elsewhere = scene.statement(HOLDER, body());
    elsewhere.enquiry = id(&fresh());
    let mut under_another = scene.statement(HOLDER, body());
    under_another.agreement = other_agreement();
    for statement in [elsewhere, under_another] {
        let signed = scene.sign(&statement, &scene.key(HOLDER));
        let refused = deliver(&scene, answer(&scene.person("P1"), &signed)).await.unwrap_err();
        assert_eq!(code_of(&refused), Some("statement_refused"));
    }
    end_unchanged(scene).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_of_a_request_that_this_node_does_not_hold_is_refused() {
    let scene = Scene::new().await;
    let body = Body::Release(ReleaseDecision {
        release: id(&fresh()),
        person: scene.person("P1"),
        category: id("C33"),
        recipient: id("CSC"),
        outcome: DecidedOutcome::Deny(brag_common::reason::Reason::NothingHeld),
    });
    let decision = scene.sign(&scene.statement(HOLDER, body), &scene.key(HOLDER));
    let outcome =
        Item::Outcome(pb::ReleaseOutcome { decision: Some((&decision).into()), sealed: vec![] });
    let refused = deliver(&scene, outcome).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(code_of(&refused), Some("not_found"));
    end_unchanged(scene).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_is_no_fact_and_a_fact_is_the_agencys_own_about_the_enquirys_people() {
    let scene = Scene::new().await;
    let red = own_red(&scene, scene.person("P1"));
    let refused = deliver(&scene, Item::Fact((&red).into())).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("statement_refused"));
    let link = crate::scene::link(scene.person("P2"), scene.person("P1"));
    let others = scene.sign(&scene.statement("POL", link), &scene.key("POL"));
    let refused = deliver(&scene, Item::Fact((&others).into())).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("statement_refused"));
    // One that every holder would refuse as forged must not get among the evidence.
    let elsewhere = PersonIn { commitment: scene.person("P2").commitment, ..scene.person("P1") };
    let link = crate::scene::link(scene.person("P2"), elsewhere);
    let own = scene.sign(&scene.statement(HOLDER, link), &scene.key(HOLDER));
    let refused = deliver(&scene, Item::Fact((&own).into())).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("statement_refused"));
    end_unchanged(scene).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agency_answers_for_itself_alone_whatever_its_message_says() {
    let scene = Scene::new().await;
    // POL's genuine rating, delivered by POL about somebody whom SMS was asked about, changes POL's cell only.
    let red = scene.red("POL", "P1");
    let Item::Answer(said) = answer(&scene.person("P1"), &red) else { unreachable!() };
    let request = request(&scene, Item::Answer(said));
    let mut as_pol = scene.federation.as_node("POL");
    for _ in 0..2 {
        // Twice the same: it counts once.
        as_pol.deliver(request.clone()).await.unwrap();
    }
    let show = scene.federation.show(&scene.enquiry.name).await;
    let person = scene.enquiry.person("P1");
    assert_eq!(status_of(&show, "POL", &person), AnswerStatus::Rated);
    assert_eq!(status_of(&show, HOLDER, &person), AnswerStatus::Pending);
    let kept = scene.federation.inside_hub().store.statements(&scene.name()).unwrap();
    assert_eq!(kept.len(), 1);
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_claims_hits_it_did_not_enrol_is_told_no_identity() {
    let (enrolled, asked) = (person_of(0), person_of(1));
    let mut federation = Federation::builder()
        .nodes(&["POL", "SMS"])
        .holds("SMS", Holding::of(enrolled))
        .start()
        .await;
    federation.stop_node("SMS").await;
    let liar = StandIn::new(federation.behind("SMS").await, Screening::ClaimsEverybody);
    federation.stand_in("SMS", liar.routes()).await;
    let enquiry = federation.open(&[("P1", &asked)]).await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::NotKnown).await;
    eventually("it was screened", async || (liar.n_screened() > 0).then_some(())).await;
    assert_eq!(liar.n_disclosed(), 0);
    federation.finish().await;
}

fn own_red(scene: &Scene, person: PersonIn) -> SignedStatement {
    scene.rated(HOLDER, person, Colour::Red, scene.federation.now())
}

fn answer(person: &PersonIn, rating: &SignedStatement) -> Item {
    let mut answer = pb::PersonAnswer {
        person: person.person.to_string(),
        rating: Some(rating.into()),
        analysis: analysis().text,
        analysis_salt: analysis().salt.to_vec(),
        ..pb::PersonAnswer::default()
    };
    answer.set_status(AnswerStatus::Rated);
    Item::Answer(answer)
}

/// Delivers with the holder's real certificate.
async fn deliver(scene: &Scene, item: Item) -> Result<(), Status> {
    scene.federation.as_node(HOLDER).deliver(request(scene, item)).await.map(|_| ())
}

fn request(scene: &Scene, item: Item) -> pb::DeliverRequest {
    pb::DeliverRequest {
        request_id: fresh(),
        agreement_digest: scene.realm().agreement.as_bytes().to_vec(),
        enquiry: scene.enquiry.name.clone(),
        item: Some(item),
    }
}

/// The matrix is as the round left it, and nothing was kept as evidence.
async fn end_unchanged(scene: Scene) {
    let show = scene.federation.show(&scene.enquiry.name).await;
    assert_eq!(status_of(&show, HOLDER, &scene.enquiry.person("P1")), AnswerStatus::Pending);
    assert_eq!(status_of(&show, HOLDER, &scene.enquiry.person("P2")), AnswerStatus::NotKnown);
    let kept = scene.federation.inside_hub().store.statements(&scene.name()).unwrap();
    assert!(kept.is_empty());
    scene.federation.finish().await;
}
