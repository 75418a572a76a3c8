//! Ratings that are replaced, withdrawn or challenged: nobody but the rating agency changes one, both versions stay, gates
//! close for what is asked from then on, and what was released before stays what it was.

use brag_common::{
    audit::{Digest, Entry},
    rating::Colour as Judged,
    statement::Body,
    status::code_of,
    time::SignedDuration,
    wire::pb::{self, AnswerStatus, Colour, Decision, ReleaseView, ShowResponse, watch_response},
};
use brag_tests::federation::{
    ANALYSIS, Enquiry, Federation, Holding, cell, contains, eventually, fresh, id, person_of,
    status_of,
};
use tonic::Status;

use crate::scene::{HOLDER, Scene, analysis};

/// What CSC holds about P1.
const HISTORY: &str = "MARKER-C24 two child protection plans since 2019";

/// Why SMS looks again, or not.
const REASON: &str = "Seen on Tuesday, sober and with the children; nothing new.";

/// SMS, CSC and POL know P1; CSC holds detail about P1.
struct Stage {
    federation: Federation,
    enquiry: Enquiry,
}

impl Stage {
    async fn new() -> Self {
        let person = person_of(0);
        let federation = Federation::builder()
            .nodes(&["SMS", "CSC", "POL"])
            .holds("SMS", Holding::of(person.clone()))
            .holds("CSC", Holding::of(person.clone()).entry("C24", HISTORY))
            .holds("POL", Holding::of(person.clone()))
            .start()
            .await;
        let enquiry = federation.open(&[("P1", &person)]).await;
        for agency in ["SMS", "CSC", "POL"] {
            federation.until_asked(agency, &enquiry, "P1").await;
        }
        Self { federation, enquiry }
    }

    /// SMS has rated P1 Red a minute ago, and CSC has released on it to POL.
    async fn used() -> (Self, ReleaseView) {
        let stage = Self::new().await;
        stage.rate("SMS", Colour::Red).await;
        stage.until("g3 is open", |show| show.people[0].gates.contains(&"g3".to_owned())).await;
        let released = stage.ask().await;
        assert_eq!((released.decision(), released.gate.as_str()), (Decision::Release, "g3"));
        stage.until_in_inbox(&released).await;
        stage.federation.advance(SignedDuration::from_mins(1));
        (stage, released)
    }

    async fn rate(&self, agency: &str, colour: Colour) {
        self.federation.try_rate(agency, &self.enquiry, "P1", colour, None).await.unwrap();
        let person = self.enquiry.person("P1");
        self.until("the rating has come", |show| cell(show, agency, &person).colour() == colour)
            .await;
    }

    async fn until(&self, what: &str, wanted: impl Fn(&ShowResponse) -> bool) -> ShowResponse {
        self.federation.until(&self.enquiry, what, wanted).await
    }

    async fn ask(&self) -> ReleaseView {
        let asked = self.federation.ask_detail(&self.enquiry, "CSC", "P1", "C24", &["POL"]).await;
        asked.unwrap().remove(0)
    }

    async fn until_in_inbox(&self, release: &ReleaseView) {
        let mut desk = self.federation.assessor("POL");
        eventually("detail is in the inbox", async || {
            let inbox = desk.inbox(pb::InboxRequest {}).await.ok()?.into_inner();
            inbox.items.iter().any(|item| item.release == release.release).then_some(())
        })
        .await;
    }

    async fn open(&self, release: &ReleaseView) -> Result<String, Status> {
        let request =
            pb::OpenDetailRequest { release: release.release.clone(), obligations_accepted: true };
        Ok(self.federation.assessor("POL").open_detail(request).await?.into_inner().text)
    }

    async fn withdraw(&self, agency: &str) -> Result<(), Status> {
        let request = pb::WithdrawRatingRequest {
            enquiry: self.enquiry.name.clone(),
            person: self.enquiry.person("P1"),
            reason: "MARKER-WITHDRAWAL the wrong brother".to_owned(),
        };
        self.federation.assessor(agency).withdraw_rating(request).await.map(|_| ())
    }

    async fn challenge(&self, by: &str, of: &str, reason: &str) -> Result<String, Status> {
        let request = pb::ChallengeRatingRequest {
            enquiry: self.enquiry.name.clone(),
            person: self.enquiry.person("P1"),
            agency: of.to_owned(),
            reason: reason.to_owned(),
        };
        let answer = self.federation.assessor(by).challenge_rating(request).await?;
        Ok(answer.into_inner().statement_id)
    }

    async fn until_challenge(&self, challenge: &str, status: &str) -> pb::RatingChallenge {
        let here =
            |known: &pb::RatingChallenge| known.challenge == challenge && known.status == status;
        let what = format!("the challenge is {status}");
        let show = self.until(&what, |show| show.challenges.iter().any(here)).await;
        show.challenges.into_iter().find(here).unwrap()
    }

    async fn worklist_of(&self, agency: &str) -> pb::WorklistResponse {
        let list = self.federation.assessor(agency).worklist(pb::WorklistRequest {}).await;
        list.unwrap().into_inner()
    }

    async fn until_told(&self, agency: &str) -> pb::ChallengeWork {
        eventually("the challenge is on the worklist", async || {
            self.worklist_of(agency).await.challenges.pop()
        })
        .await
    }

    /// What stands of SMS's ratings at the hub and at SMS's own node.
    fn versions(&self) -> [usize; 2] {
        let name = id(&self.enquiry.name);
        let at_hub = self.federation.inside_hub().store.statements(&name).unwrap();
        let at_node = self.federation.inside("SMS").store.statements(&name).unwrap();
        let is_rating = |signed: &brag_common::statement::SignedStatement| {
            let statement = signed.read_unverified().unwrap();
            statement.signer.as_str() == "SMS" && matches!(statement.body, Body::Rating(_))
        };
        let at_hub = at_hub.iter().filter(|kept| is_rating(&kept.signed)).count();
        [at_hub, at_node.iter().filter(|signed| is_rating(signed)).count()]
    }

    /// A past release stays what it was: shown, provable from the log, and still to be opened.
    async fn past_release_stands(&self, release: &ReleaseView) {
        let show = self.federation.show(&self.enquiry.name).await;
        let shown = show.releases.iter().find(|known| known.release == release.release).unwrap();
        assert_eq!(shown.decision(), Decision::Release);
        assert_eq!(self.open(release).await.unwrap(), HISTORY);
        let name = id(&self.enquiry.name);
        let kept = self.federation.inside_hub().store.statements(&name).unwrap();
        let red = kept.iter().find(|kept| {
            let body = kept.signed.read_unverified().unwrap().body;
            matches!(body, Body::Rating(rating) if rating.colour == Judged::Red)
        });
        let digest = Digest::of(&red.unwrap().signed.payload);
        let rests_on_it = |entry: &Entry| {
            entry.release == Some(id(&release.release))
                && entry.action.word() == "release_decided"
                && entry.evidence.contains(&digest)
        };
        assert!(self.federation.log_of("CSC").iter().any(rests_on_it));
    }
}

fn actions(log: &[Entry], word: &str) -> usize {
    log.iter().filter(|entry| entry.action.word() == word).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_that_is_lowered_closes_the_gate_and_both_versions_stay() {
    let (stage, released) = Stage::used().await;
    let request = pb::WatchRequest { enquiry: stage.enquiry.name.clone() };
    let mut watch = stage.federation.coordinator().watch(request).await.unwrap().into_inner();
    stage.rate("SMS", Colour::Green).await;
    let changed = loop {
        let event = watch.message().await.unwrap().unwrap();
        if let Some(watch_response::Event::RatingChanged(changed)) = event.event {
            break changed;
        }
    };
    drop(watch);
    let show = stage.federation.show(&stage.enquiry.name).await;
    assert_eq!(show.rating_changes, std::slice::from_ref(&changed));
    assert!(!changed.withdrawn);
    assert_eq!(changed.agency, "SMS");
    let (before, after) = (changed.before.unwrap(), changed.after.unwrap());
    assert_eq!((before.colour(), after.colour()), (Colour::Red, Colour::Green));
    assert_eq!(before.analysis, ANALYSIS);
    assert!(before.rated_at_unix_ms < after.rated_at_unix_ms);
    assert_eq!(stage.versions(), [2, 2]);
    assert!(show.people[0].gates.is_empty());

    let refused = stage.ask().await;
    assert_eq!((refused.decision(), refused.reason.as_str()), (Decision::Deny, "CONSENT_REQUIRED"));
    stage.past_release_stands(&released).await;
    assert_eq!(actions(&stage.federation.hub_log(), "rating_changed"), 1);
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x21_a_red_that_is_withdrawn_after_it_was_used_closes_the_gate_and_its_history_stays() {
    let (stage, released) = Stage::used().await;
    stage.withdraw("SMS").await.unwrap();
    let show = stage.until("it has changed", |show| !show.rating_changes.is_empty()).await;
    let changed = &show.rating_changes[0];
    assert!(changed.withdrawn && changed.after.is_none());
    assert_eq!(changed.before.as_ref().unwrap().colour(), Colour::Red);
    // The agency knows the person: its rating is missing, and it is asked for.
    let person = stage.enquiry.person("P1");
    assert_eq!(status_of(&show, "SMS", &person), AnswerStatus::Pending);
    assert!(stage.worklist_of("SMS").await.ratings.iter().any(|work| work.person == person));
    assert_eq!(stage.versions(), [1, 1]);

    let refused = stage.ask().await;
    assert_eq!((refused.decision(), refused.reason.as_str()), (Decision::Deny, "CONSENT_REQUIRED"));
    stage.past_release_stands(&released).await;
    let hub = stage.federation.hub_log();
    assert_eq!((actions(&hub, "rating_changed"), actions(&hub, "rating_withdrawn")), (1, 1));
    // Why stays at the agency.
    assert!(!contains(&stage.federation.bytes_below("hub"), "MARKER"));
    let again = stage.withdraw("SMS").await.unwrap_err();
    assert_eq!(code_of(&again), Some("no_rating"));
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rating_that_is_withdrawn_gives_way_to_the_agencys_earlier_one_with_its_analysis() {
    let stage = Stage::new().await;
    stage.rate("SMS", Colour::Amber).await;
    stage.federation.advance(SignedDuration::from_mins(1));
    stage.rate("SMS", Colour::Red).await;
    stage.withdraw("SMS").await.unwrap();
    let person = stage.enquiry.person("P1");
    let show = stage
        .until("Amber is back", |show| cell(show, "SMS", &person).colour() == Colour::Amber)
        .await;
    assert_eq!(cell(&show, "SMS", &person).analysis, ANALYSIS);
    assert_eq!(show.rating_changes.len(), 2);
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_reaches_the_agency_that_rated_and_changes_nothing_by_itself() {
    let stage = Stage::new().await;
    stage.rate("SMS", Colour::Red).await;
    let challenge = stage.challenge("CSC", "SMS", REASON).await.unwrap();
    let work = stage.until_told("SMS").await;
    assert_eq!((work.challenge.as_str(), work.by.as_str()), (challenge.as_str(), "CSC"));
    assert_eq!((work.reason.as_str(), work.colour()), (REASON, Colour::Red));
    assert_eq!(work.made_by, "csc.assessor");
    let shown = stage.until_challenge(&challenge, "open").await;
    assert_eq!((shown.of.as_str(), shown.reason.as_str()), ("SMS", REASON));
    assert!(stage.worklist_of("POL").await.challenges.is_empty());

    let answer = |of: &str| pb::KeepRatingRequest {
        enquiry: of.to_owned(),
        challenge: challenge.clone(),
        reason: "Two failed appointments this week say otherwise.".to_owned(),
    };
    // Nobody else answers for it.
    let other = stage.federation.assessor("POL").keep_rating(answer(&stage.enquiry.name)).await;
    assert_eq!(code_of(&other.unwrap_err()), Some("not_found"));
    let mut desk = stage.federation.assessor("SMS");
    desk.keep_rating(answer(&stage.enquiry.name)).await.unwrap();
    let kept = stage.until_challenge(&challenge, "kept").await;
    assert!(kept.answer.starts_with("Two failed appointments"));
    assert!(stage.worklist_of("SMS").await.challenges.is_empty());
    let twice = desk.keep_rating(answer(&stage.enquiry.name)).await.unwrap_err();
    assert_eq!(code_of(&twice), Some("challenge_answered"));
    let show = stage.federation.show(&stage.enquiry.name).await;
    let person = stage.enquiry.person("P1");
    assert_eq!(cell(&show, "SMS", &person).colour(), Colour::Red);
    assert!(show.rating_changes.is_empty());
    // On record on every side, and in no log in words.
    for log in ["SMS", "CSC"].map(|agency| stage.federation.log_of(agency)) {
        assert_eq!(actions(&log, "rating_challenged"), 1);
    }
    assert_eq!(actions(&stage.federation.log_of("SMS"), "rating_kept"), 1);
    assert_eq!(actions(&stage.federation.hub_log(), "rating_kept"), 1);
    for folder in ["hub", "nodes/SMS", "nodes/CSC"] {
        assert!(!contains(&stage.federation.bytes_below(folder), REASON), "{folder}");
    }
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_is_answered_by_a_new_rating_of_the_agency_that_rated() {
    let stage = Stage::new().await;
    stage.rate("SMS", Colour::Red).await;
    let challenge = stage.challenge("CSC", "SMS", REASON).await.unwrap();
    stage.until_told("SMS").await;
    // The challenger's own rating answers nothing.
    stage.rate("CSC", Colour::Green).await;
    stage.until_challenge(&challenge, "open").await;
    stage.federation.advance(SignedDuration::from_mins(1));
    stage.rate("SMS", Colour::Amber).await;
    stage.until_challenge(&challenge, "changed").await;
    assert!(stage.worklist_of("SMS").await.challenges.is_empty());
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_waits_for_a_node_that_is_away_and_for_a_hub_that_starts_again() {
    let mut stage = Stage::new().await;
    stage.rate("SMS", Colour::Red).await;
    stage.federation.stop_node("SMS").await;
    let challenge = stage.challenge("CSC", "SMS", REASON).await.unwrap();
    assert!(!stage.until_challenge(&challenge, "open").await.told);
    stage.federation.stop_hub().await;
    stage.federation.start_hub().await;
    stage.federation.start_node("SMS").await;
    assert_eq!(stage.until_told("SMS").await.challenge, challenge);
    stage.until("it has been told", |show| show.challenges[0].told).await;
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_of_oneself_of_a_stranger_without_a_reason_or_of_no_rating_comes_to_nothing() {
    let stage = Stage::new().await;
    for (of, reason, code) in [
        ("CSC", REASON, "not_another_party"),
        ("ZZZ", REASON, "not_another_party"),
        ("SMS", "no", "reason_not_accepted"),
    ] {
        let refused = stage.challenge("CSC", of, reason).await.unwrap_err();
        assert_eq!(code_of(&refused), Some(code), "{of}");
    }
    let challenge = stage.challenge("CSC", "SMS", REASON).await.unwrap();
    stage.until_challenge(&challenge, "no_rating").await;
    assert!(stage.worklist_of("SMS").await.challenges.is_empty());
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x20_blue_with_evidence_of_domestic_abuse_is_missing_until_it_is_corrected() {
    let stage = Stage::new().await;
    for agency in ["SMS", "CSC"] {
        let blue = stage.federation.try_rate(agency, &stage.enquiry, "P1", Colour::Blue, None);
        let refused = blue.await.unwrap_err();
        assert_eq!(code_of(&refused), Some("BLUE_NOT_PERMITTED_DA"), "{agency}");
    }
    let person = stage.enquiry.person("P1");
    for agency in ["SMS", "CSC"] {
        let told =
            stage.federation.until_status(&stage.enquiry, agency, "P1", AnswerStatus::Unable);
        assert_eq!(told.await.reason, "BLUE_NOT_PERMITTED_DA", "{agency}");
    }
    assert!(stage.worklist_of("SMS").await.ratings.iter().any(|work| work.person == person));
    for agency in ["SMS", "CSC"] {
        stage.rate(agency, Colour::Green).await;
    }
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x20_a_hub_refuses_a_blue_that_a_dishonest_node_has_signed() {
    let scene = Scene::new().await;
    let blue = scene.rated(HOLDER, scene.person("P1"), Judged::Blue, scene.federation.now());
    let mut answer = pb::PersonAnswer {
        person: scene.enquiry.person("P1"),
        rating: Some((&blue).into()),
        analysis: analysis().text,
        analysis_salt: analysis().salt.to_vec(),
        ..pb::PersonAnswer::default()
    };
    answer.set_status(AnswerStatus::Rated);
    let request = pb::DeliverRequest {
        request_id: fresh(),
        agreement_digest: scene.realm().agreement.as_bytes().to_vec(),
        enquiry: scene.enquiry.name.clone(),
        item: Some(pb::deliver_request::Item::Answer(answer)),
    };
    let mut node = scene.federation.as_node(HOLDER);
    for _ in 0..2 {
        let refused = node.deliver(request.clone()).await.unwrap_err();
        assert_eq!(code_of(&refused), Some("BLUE_NOT_PERMITTED_DA"));
    }
    let show = scene.federation.show(&scene.enquiry.name).await;
    let cell = cell(&show, HOLDER, &scene.enquiry.person("P1")).clone();
    assert_eq!(cell.colour(), Colour::Unspecified);
    assert!(matches!(cell.status(), AnswerStatus::NoResponse | AnswerStatus::Pending), "{cell:?}");
    let kept = scene.federation.inside_hub().store.statements(&scene.name()).unwrap();
    assert!(kept.is_empty(), "it is no evidence");
    let log = scene.federation.hub_log();
    let refused = |entry: &&Entry| entry.action.word() == "request_refused";
    let codes: Vec<_> =
        log.iter().filter(refused).filter_map(|entry| entry.decision.clone()).collect();
    assert_eq!(codes.len(), 2);
    assert!(codes.iter().all(|code| code.to_string() == "BLUE_NOT_PERMITTED_DA"));
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_or_an_answer_in_another_agencys_name_changes_nothing() {
    let stage = Stage::new().await;
    stage.rate("SMS", Colour::Red).await;
    let rating = {
        let name = id(&stage.enquiry.name);
        let kept = stage.federation.inside_hub().store.statements(&name).unwrap();
        kept[0].signed.read_unverified().unwrap()
    };
    let Body::Rating(given) = rating.body.clone() else { panic!("a rating") };
    let withdrawal = brag_common::statement::Statement {
        id: id(&fresh()),
        made_at: stage.federation.now(),
        body: Body::RatingWithdrawn { person: given.person, rating: rating.id, still_known: true },
        ..rating
    };
    let realm = stage.federation.realm();
    let key = stage.federation.partnership().signing_key(&id("POL")).unwrap();
    let forged = brag_common::statement::SignedStatement::sign(&withdrawal, realm, &key);
    let own = brag_common::statement::Statement { signer: id("POL"), ..withdrawal };
    let own = brag_common::statement::SignedStatement::sign(&own, realm, &key);
    let deliver = |signed: &brag_common::statement::SignedStatement| pb::DeliverRequest {
        request_id: fresh(),
        agreement_digest: realm.agreement.as_bytes().to_vec(),
        enquiry: stage.enquiry.name.clone(),
        item: Some(pb::deliver_request::Item::Fact(signed.into())),
    };
    let mut node = stage.federation.as_node("POL");
    let refused = node.deliver(deliver(&forged)).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("statement_refused"));
    // Signed by POL for itself it is kept, and takes back nothing of SMS's.
    node.deliver(deliver(&own)).await.unwrap();
    let show = stage.federation.show(&stage.enquiry.name).await;
    assert_eq!(cell(&show, "SMS", &stage.enquiry.person("P1")).colour(), Colour::Red);
    assert!(show.rating_changes.is_empty());
    assert_eq!(show.people[0].gates, ["g3"]);
    stage.federation.finish().await;
}
