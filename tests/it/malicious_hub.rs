//! What a malicious hub tries against a holder, each refused by the holder with its own code. The hub's certificate,
//! keys and store are the real ones; see [`crate::scene`].

use brag_common::{
    rating::Colour,
    secret::random_bytes,
    statement::{Body, DecidedOutcome, PersonIn, SignedStatement},
    status::code_of,
    time::SignedDuration,
    wire::pb,
};
use brag_hub::screening::Asked;
use brag_tests::federation::{fresh, id};
use tonic::Code;

use crate::scene::{
    HOLDER, Scene, analysis, link, other_agreement, parcel, permit, rating, swapped,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x1_invariant_1_a_rating_that_the_hub_signed_opens_nothing_and_raises_an_alert() {
    let scene = Scene::new().await;
    let body = rating(scene.person("P1"), Colour::Red, scene.federation.now());
    let forged = scene.sign(&scene.statement("POL", body), &scene.hub_key());
    let outcome = scene.decide(&[forged]).await;
    let log = scene.federation.log_of(HOLDER);
    let alert = log.iter().find(|entry| entry.action.word() == "alert_raised").unwrap();
    assert_eq!(alert.decision.as_ref().unwrap().as_str(), "evidence_forged");
    scene.end_with_refusal(outcome, "EVIDENCE_UNSIGNED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_1_a_statement_of_the_hub_without_any_evidence_opens_nothing() {
    let scene = Scene::new().await;
    let outcome = scene.decide(&[]).await;
    scene.end_with_refusal(outcome, "CONSENT_REQUIRED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_with_a_random_signature_is_unsigned() {
    let scene = Scene::new().await;
    let mut forged = scene.red("POL", "P1");
    forged.signature = random_bytes::<64>().unwrap().to_vec();
    let outcome = scene.decide(&[forged]).await;
    scene.end_with_refusal(outcome, "EVIDENCE_UNSIGNED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_signed_with_another_agencys_key_is_unsigned() {
    let scene = Scene::new().await;
    let body = rating(scene.person("P1"), Colour::Red, scene.federation.now());
    let forged = scene.sign(&scene.statement("POL", body), &scene.key("DAS"));
    let outcome = scene.decide(&[forged]).await;
    scene.end_with_refusal(outcome, "EVIDENCE_UNSIGNED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_of_which_one_bit_was_changed_is_unsigned() {
    let scene = Scene::new().await;
    let green = scene.rated("POL", scene.person("P1"), Colour::Green, scene.federation.now());
    let red = scene.red("POL", "P1");
    // Green's signature over Red's bytes, and Green's bytes with one bit of the analysis' digest changed.
    let upgraded = SignedStatement { payload: red.payload, signature: green.signature.clone() };
    let mut edited = green;
    let digest = analysis().digest();
    let at = edited.payload.windows(32).position(|part| part == digest).unwrap();
    edited.payload[at] ^= 1;
    for forged in [upgraded, edited] {
        let DecidedOutcome::Deny(reason) = scene.decide(&[forged]).await else { panic!() };
        assert_eq!(reason.code(), "EVIDENCE_UNSIGNED");
    }
    scene.end_with_nothing_sealed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_forged_piece_spoils_a_request_that_genuine_evidence_would_have_opened() {
    let scene = Scene::new().await;
    let mut forged = scene.red("DAS", "P1");
    forged.signature[0] ^= 1;
    let outcome = scene.decide(&[scene.red("POL", "P1"), forged]).await;
    scene.end_with_refusal(outcome, "EVIDENCE_UNSIGNED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_red_of_eight_days_ago_is_stale() {
    let scene = Scene::new().await;
    let at = scene.ago(SignedDuration::from_hours(8 * 24));
    let old = scene.rated("POL", scene.person("P1"), Colour::Red, at);
    let outcome = scene.decide(&[old]).await;
    scene.end_with_refusal(outcome, "EVIDENCE_STALE").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x2_an_older_red_is_stale_once_the_holder_has_seen_that_the_agency_rated_again() {
    let scene = Scene::new().await;
    let at = scene.ago(SignedDuration::from_hours(1));
    let red = scene.rated("POL", scene.person("P1"), Colour::Red, at);
    let green = scene.rated("POL", scene.person("P1"), Colour::Green, scene.federation.now());
    let first = scene.decide(&[red.clone(), green]).await;
    assert!(matches!(first, DecidedOutcome::Deny(_)), "the newer Green counts");
    // Now the hub leaves the Green out.
    let outcome = scene.decide(&[red]).await;
    scene.end_with_refusal(outcome, "EVIDENCE_STALE").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_red_presented_alone_is_stale_once_the_holder_has_seen_the_withdrawal() {
    let scene = Scene::new().await;
    let red = scene.red("POL", "P1");
    let rating = red.read_unverified().unwrap().id;
    let body = Body::RatingWithdrawn { person: scene.person("P1"), rating, still_known: false };
    let withdrawn = scene.sign(&scene.statement("POL", body), &scene.key("POL"));
    // In an honest request the holder learns of it …
    scene.decide(&[withdrawn]).await;
    // … and the hub then shows only the Red.
    let outcome = scene.decide(&[red]).await;
    scene.end_with_refusal(outcome, "EVIDENCE_STALE").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_of_another_enquiry_is_unsigned_here() {
    let scene = Scene::new().await;
    let body = rating(scene.person("P1"), Colour::Red, scene.federation.now());
    let mut statement = scene.statement("POL", body);
    statement.enquiry = id(&fresh());
    let outcome = scene.decide(&[scene.sign(&statement, &scene.key("POL"))]).await;
    scene.end_with_refusal(outcome, "EVIDENCE_UNSIGNED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_over_another_persons_commitment_is_unsigned_for_this_person() {
    let scene = Scene::new().await;
    let commitment = scene.person("P2").commitment;
    let retargeted = PersonIn { commitment, ..scene.person("P1") };
    let red = scene.rated("POL", retargeted, Colour::Red, scene.federation.now());
    let outcome = scene.decide(&[red]).await;
    scene.end_with_refusal(outcome, "EVIDENCE_UNSIGNED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commitment_that_the_hub_swaps_in_the_request_does_not_make_the_rating_fit() {
    let scene = Scene::new().await;
    // The agency was told that P1 is somebody else, and rated them in good faith.
    let other = swapped(&scene.person("P1").person, &scene.record("P2").identity);
    let red = scene.rated("POL", other.clone(), Colour::Red, scene.federation.now());
    let mut request = scene.release(&[red]);
    request.people[0] = pb::PersonCommitment {
        person: other.person.to_string(),
        commitment: other.commitment.as_bytes().to_vec(),
    };
    let outcome = scene.ask(request).await.unwrap();
    scene.end_with_refusal(outcome, "EVIDENCE_UNSIGNED").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_made_under_another_agreement_does_not_count() {
    let scene = Scene::new().await;
    let body = rating(scene.person("P1"), Colour::Red, scene.federation.now());
    let mut statement = scene.statement("POL", body);
    statement.agreement = other_agreement();
    let outcome = scene.decide(&[scene.sign(&statement, &scene.key("POL"))]).await;
    scene.end_with_refusal(outcome, "AGREEMENT_VERSION_MISMATCH").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_under_another_agreement_is_refused() {
    let scene = Scene::new().await;
    let mut request = scene.release(&[scene.red("POL", "P1")]);
    request.agreement_digest = other_agreement().as_bytes().to_vec();
    let outcome = scene.ask(request).await.unwrap();
    scene.end_with_refusal(outcome, "AGREEMENT_VERSION_MISMATCH").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invented_link_is_unsigned_whoever_the_hub_says_has_signed_it() {
    let scene = Scene::new().await;
    // P2 is genuinely Red; a link would put P1 in scope.
    let red = scene.red("POL", "P2");
    let body = || link(scene.person("P2"), scene.person("P1"));
    let by_hub = scene.sign(&scene.statement("POL", body()), &scene.hub_key());
    let mut by_nobody = by_hub.clone();
    by_nobody.signature = vec![0; 64];
    let stranger = brag_common::keys::SigningKey::generate().unwrap();
    let by_a_stranger = scene.sign(&scene.statement("ZZZ", body()), &stranger);
    for link in [by_hub, by_nobody, by_a_stranger] {
        let DecidedOutcome::Deny(reason) = scene.decide(&[red.clone(), link]).await else {
            panic!("an invented link was believed")
        };
        assert_eq!(reason.code(), "EVIDENCE_UNSIGNED");
    }
    // The positive control: the same link, signed by an agency, opens.
    let genuine = scene.sign(&scene.statement("POL", body()), &scene.key("POL"));
    assert!(matches!(scene.decide(&[red, genuine]).await, DecidedOutcome::Release { .. }));
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x2_invariant_8_a_request_id_is_used_once_also_after_the_node_restarts() {
    let mut scene = Scene::new().await;
    let request = scene.release(&[scene.red("POL", "P1")]);
    assert!(matches!(scene.ask(request.clone()).await, Ok(DecidedOutcome::Release { .. })));
    for _ in 0..2 {
        let refused = scene.ask(request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert_eq!(code_of(&refused), Some("request_replayed"));
        scene.federation.stop_node(HOLDER).await;
        scene.federation.start_node(HOLDER).await;
        scene.hub = scene.federation.as_hub(HOLDER);
    }
    let decided = scene.federation.log_of(HOLDER).into_iter();
    let decided = decided.filter(|entry| entry.action.word() == "release_decided").count();
    assert_eq!(decided, 1);
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_8_an_id_that_was_used_in_one_call_is_used_up_for_every_call() {
    let scene = Scene::new().await;
    let (used, Asked::Known(handle)) = scene.screen("P1").await else { panic!("not known") };
    let mut round = scene.round(&id(&fresh()), &used, handle, "P1");
    round.request_id = used.to_string();
    let mut release = scene.release(&[scene.red("POL", "P1")]);
    release.request_id = used.to_string();
    let envelope = scene.envelope();
    let screening = pb::ScreenRequest {
        request_id: used.to_string(),
        agreement_digest: envelope.agreement.as_bytes().to_vec(),
        valid_until_unix_ms: envelope.valid_until.as_millisecond(),
        epoch: 1,
        slots: vec![vec![0; 288]; 12],
        public_key: vec![0; 32],
        newest_epoch: 1,
    };
    let mut hub = scene.hub.clone();
    for refused in [
        hub.screen(screening).await.map(|_| ()),
        hub.rate(round).await.map(|_| ()),
        hub.release(release).await.map(|_| ()),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists);
        assert_eq!(code_of(&refused), Some("request_replayed"));
    }
    scene.end_with_nothing_sealed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_8_a_request_that_comes_late_is_dead() {
    let scene = Scene::new().await;
    let mut request = scene.release(&[scene.red("POL", "P1")]);
    let dead = scene.ago(SignedDuration::from_mins(6));
    request.valid_until_unix_ms = dead.as_millisecond();
    let refused = scene.ask(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::DeadlineExceeded);
    assert_eq!(code_of(&refused), Some("request_expired"));
    scene.end_with_nothing_sealed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_that_is_not_the_committed_one_is_refused_and_nothing_is_kept() {
    let scene = Scene::new().await;
    let (screen, Asked::Known(handle)) = scene.screen("P1").await else { panic!("not known") };
    let enquiry = id(&fresh());
    let request = scene.round(&enquiry, &screen, handle, "P2");
    let refused = scene.hub.clone().rate(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(code_of(&refused), Some("commitment_refused"));
    assert!(!scene.is_kept(&enquiry));
    // The positive control: the same round with the committed identity.
    let request = scene.round(&enquiry, &screen, handle, "P1");
    scene.hub.clone().rate(request).await.unwrap();
    assert!(scene.is_kept(&enquiry));
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_no_screening_answered_is_refused_and_nothing_is_kept() {
    let scene = Scene::new().await;
    let (screen, Asked::Known(handle)) = scene.screen("P1").await else { panic!("not known") };
    let enquiry = id(&fresh());
    for (screen, handle) in [(screen, [5; 16]), (id(&fresh()), handle)] {
        let request = scene.round(&enquiry, &screen, handle, "P1");
        let refused = scene.hub.clone().rate(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        assert_eq!(code_of(&refused), Some("not_found"));
    }
    assert!(!scene.is_kept(&enquiry));
    scene.end_with_nothing_sealed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_colluding_agency_one_forged_red_opens_gate_3_and_leads_back_to_who_signed_it() {
    let scene = Scene::new().await;
    let forged = scene.red("POL", "P1");
    let outcome = scene.decide(std::slice::from_ref(&forged)).await;
    let DecidedOutcome::Release { gate, .. } = outcome else { panic!("not released: {outcome:?}") };
    assert_eq!(gate, "g3");
    // The holder's log names the statement by digest, and the holder keeps the statement with its signature.
    let log = scene.federation.log_of(HOLDER);
    let decided = log.iter().find(|entry| entry.action.word() == "release_decided").unwrap();
    let digest = brag_common::audit::Digest::of(&forged.payload);
    assert!(decided.evidence.contains(&digest));
    let kept = scene.federation.inside(HOLDER).store.statements(&scene.name()).unwrap();
    let kept = kept.into_iter().find(|kept| kept.payload == forged.payload).unwrap();
    let key = scene.key("POL").verifying_key();
    let statement = kept.verify(scene.realm(), &scene.name(), |_| Some(key)).unwrap();
    assert_eq!(statement.signer.as_str(), "POL");
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_that_wants_two_agencies_stays_shut_for_the_hub_and_one() {
    let scene = Scene::under(|document| {
        for gate in ["g3", "g4", "g5"] {
            document["disclosure"]["S2"].as_table_mut().unwrap().remove(gate);
        }
    })
    .await;
    let (now, before) = (scene.federation.now(), scene.ago(SignedDuration::from_hours(1)));
    let again = scene.rated("POL", scene.person("P1"), Colour::Amber, before);
    let forged = [scene.red("POL", "P1"), again];
    let DecidedOutcome::Deny(reason) = scene.decide(&forged).await else { panic!("released") };
    assert_eq!(reason.code(), "CATEGORY_NOT_IN_TIER");
    // The positive control: a second agency opens the gate, for review.
    let second = scene.rated("CSC", scene.person("P1"), Colour::Amber, now);
    let outcome = scene.decide(&[second]).await;
    assert!(matches!(&outcome, DecidedOutcome::Review { gate, .. } if gate == "g2"), "{outcome:?}");
    scene.end_with_nothing_sealed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn detail_without_the_holders_own_permit_for_these_bytes_is_not_taken_into_the_inbox() {
    let scene = Scene::new().await;
    let sealed = vec![1; 64];
    let until = scene.federation.now().checked_add(SignedDuration::from_hours(24)).unwrap();
    let for_us = || permit(scene.person("P1"), HOLDER, &sealed, until);
    let for_another = permit(scene.person("P1"), "CSC", &sealed, until);
    let not_a_release = rating(scene.person("P1"), Colour::Red, scene.federation.now());
    let (pol, das, hub) = (scene.key("POL"), scene.key("DAS"), scene.hub_key());
    let by = |body: Body, key| scene.sign(&scene.statement("POL", body), key);
    let cases = [
        (by(for_us(), &hub), sealed.clone(), "not_a_permit"),
        (by(for_us(), &das), sealed.clone(), "not_a_permit"),
        (by(for_us(), &pol), vec![2; 64], "not_a_permit"),
        (by(not_a_release, &pol), sealed.clone(), "not_a_permit"),
        (by(for_another, &pol), sealed.clone(), "another_recipient"),
    ];
    for (permit, sealed, code) in cases {
        let refused = receive(&scene, &permit, &sealed).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(code_of(&refused), Some(code));
    }
    assert!(scene.federation.inside(HOLDER).store.inbox().unwrap().is_empty());
    let key = scene.federation.inside(HOLDER).sealing.public_key().unwrap();
    let enquiry = scene.name();
    let (body, sealed) =
        parcel(scene.realm(), &enquiry, ("POL", HOLDER), &key, ("what POL holds", until));
    receive(&scene, &by(body, &pol), &sealed).await.unwrap();
    assert_eq!(scene.federation.inside(HOLDER).store.inbox().unwrap().len(), 1);
    scene.end_with_nothing_sealed().await;
}

async fn receive(
    scene: &Scene,
    permit: &SignedStatement,
    sealed: &[u8],
) -> Result<(), tonic::Status> {
    let envelope = scene.envelope();
    let request = pb::ReceiveRequest {
        request_id: envelope.request_id.to_string(),
        agreement_digest: envelope.agreement.as_bytes().to_vec(),
        valid_until_unix_ms: envelope.valid_until.as_millisecond(),
        release: Some(pb::SealedRelease { permit: Some(permit.into()), sealed: sealed.to_vec() }),
    };
    scene.hub.clone().receive(request).await.map(|_| ())
}
