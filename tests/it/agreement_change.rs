//! The agreement changes while everybody works: it ends at midnight, a new version takes over without a restart, a party
//! withdraws, and two parties work under different versions.

use brag_common::{
    rating::Colour as Judged,
    status::code_of,
    time::SignedDuration,
    wire::pb::{self, AnswerStatus, Colour, Decision, ShowResponse},
};
use brag_tests::{
    federation::{Builder, Enquiry, Federation, Holding, cell, eventually, id, person_of},
    partnership::Partnership,
};
use toml_edit::{Datetime, DocumentMut, value};

use crate::scene::{HOLDER, Scene};

const NODES: [&str; 3] = ["SMS", "CSC", "POL"];

/// What CSC holds about P1.
const HISTORY: &str = "Two child protection plans since 2019";

/// SMS, CSC and POL know P1 and have been asked; CSC holds detail about P1.
struct Stage {
    federation: Federation,
    enquiry: Enquiry,
}

impl Stage {
    async fn new() -> Self {
        Self::of(Federation::builder()).await
    }

    async fn of(builder: Builder) -> Self {
        let person = person_of(0);
        let federation = builder
            .nodes(&NODES)
            .holds("SMS", Holding::of(person.clone()))
            .holds("CSC", Holding::of(person.clone()).entry("C24", HISTORY))
            .holds("POL", Holding::of(person.clone()))
            .start()
            .await;
        let enquiry = federation.open(&[("P1", &person)]).await;
        for agency in NODES {
            federation.until_asked(agency, &enquiry, "P1").await;
        }
        Self { federation, enquiry }
    }

    async fn rate(&self, agency: &str, colour: Colour) {
        self.federation.try_rate(agency, &self.enquiry, "P1", colour, None).await.unwrap();
        self.until_rated(agency, colour).await;
    }

    async fn until_rated(&self, agency: &str, colour: Colour) {
        let person = self.enquiry.person("P1");
        self.until("the rating has come", |show| cell(show, agency, &person).colour() == colour)
            .await;
    }

    async fn until(&self, what: &str, wanted: impl Fn(&ShowResponse) -> bool) -> ShowResponse {
        self.federation.until(&self.enquiry, what, wanted).await
    }

    async fn ask(&self, holder: &str, recipients: &[&str]) -> Vec<pb::ReleaseView> {
        let asked = self.federation.ask_detail(&self.enquiry, holder, "P1", "C24", recipients);
        asked.await.unwrap()
    }

    async fn rate_refused(&self, agency: &str, code: &str) {
        let rated = self.federation.try_rate(agency, &self.enquiry, "P1", Colour::Red, None);
        assert_eq!(code_of(&rated.await.unwrap_err()), Some(code), "{agency}");
    }
}

/// The agreement holds until the end of the day on which every test begins.
pub(crate) fn ends_tonight(document: &mut DocumentMut) {
    let today: Datetime = "2027-02-09".parse().unwrap();
    document["agreement"]["valid_to"] = value(today);
    document["agreement"]["review_by"] = value(today);
}

/// The version after it holds from the next day on.
pub(crate) fn begins_tomorrow(document: &mut DocumentMut) {
    document["agreement"]["valid_from"] = value("2027-02-10".parse::<Datetime>().unwrap());
    document["agreement"]["valid_to"] = value("2027-12-31".parse::<Datetime>().unwrap());
    document["agreement"]["review_by"] = value("2027-06-30".parse::<Datetime>().unwrap());
}

/// Another number, so that there is something to sign for.
fn stricter(document: &mut DocumentMut) {
    document["gates"]["marac_dash_ticks"] = value(20);
}

fn at(federation: &Federation, time: &str) -> SignedDuration {
    time.parse::<brag_common::time::Timestamp>().unwrap().duration_since(federation.now())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x4_at_midnight_the_agreement_ends_and_colours_are_refused() {
    let stage = Stage::of(Federation::builder().agreement(ends_tonight)).await;
    let federation = &stage.federation;
    federation.advance(at(federation, "2027-02-09T23:59:59Z"));
    stage.rate("SMS", Colour::Red).await;
    federation.advance(SignedDuration::from_secs(1));
    for agency in NODES {
        stage.rate_refused(agency, "agreement_expired").await;
    }
    let person = person_of(0);
    let refused = federation.coordinator().open(Federation::opening(&[("P1", &person)])).await;
    assert_eq!(code_of(&refused.unwrap_err()), Some("agreement_expired"));
    let asked = federation.ask_detail(&stage.enquiry, "CSC", "P1", "C24", &["POL"]).await;
    assert_eq!(code_of(&asked.unwrap_err()), Some("agreement_expired"));
    // Not by its own doing alone: a hub that asks all the same is refused.
    let envelope = {
        let hub = federation.inside_hub();
        brag_hub::round::envelope(&hub, std::time::Duration::from_secs(10)).unwrap()
    };
    let challenge = pb::ScreenRequest {
        request_id: envelope.request_id.to_string(),
        agreement_digest: envelope.agreement.as_bytes().to_vec(),
        valid_until_unix_ms: envelope.valid_until.as_millisecond(),
        epoch: 1,
        slots: vec![vec![0; 288]; 12],
        public_key: vec![1; 32],
        newest_epoch: 1,
    };
    let refused = federation.as_hub("SMS").screen(challenge).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("agreement_expired"), "{refused:?}");
    eventually("the node is not ready", async || {
        let (status, text) = federation.ready("SMS").await;
        (status == 503 && text.contains("not in force")).then_some(())
    })
    .await;
    // What was said before midnight stays as it was said.
    let show = federation.show(&stage.enquiry.name).await;
    assert_eq!(cell(&show, "SMS", &stage.enquiry.person("P1")).colour(), Colour::Red);
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_was_signed_ahead_takes_over_at_midnight_and_earlier_ratings_count() {
    let stage = Stage::of(Federation::builder().agreement(ends_tonight)).await;
    let federation = &stage.federation;
    let next = federation.amended(begins_tomorrow);
    federation.install_everywhere(&NODES, &next).await;
    stage.rate("SMS", Colour::Red).await;
    assert_eq!(federation.inside("SMS").agreement.agreement().version(), 3);
    federation.advance(at(federation, "2027-02-10T00:00:00Z"));
    assert_eq!(federation.inside("SMS").agreement.agreement().version(), 4);
    stage.rate("POL", Colour::Amber).await;
    let released = stage.ask("CSC", &["POL"]).await.remove(0);
    assert_eq!((released.decision(), released.gate.as_str()), (Decision::Release, "g3"));
    let log = federation.log_of("CSC");
    let loaded: Vec<u32> = log
        .iter()
        .filter(|entry| entry.action.word() == "agreement_loaded")
        .filter_map(|entry| Some(entry.agreement.as_ref()?.version))
        .collect();
    assert_eq!(loaded, [3, 4]);
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x5_a_party_that_withdraws_gets_nothing_from_that_moment_and_its_rating_stays_its_own() {
    let stage = Stage::new().await;
    let federation = &stage.federation;
    stage.rate("SMS", Colour::Red).await;
    let next = federation.amended(|document| {
        let moment: Datetime = "2027-02-09T10:00:00Z".parse().unwrap();
        Partnership::party_in(document, "SMS").insert("withdrawn_at", value(moment));
    });
    federation.advance(SignedDuration::from_mins(1));
    federation.install_everywhere(&NODES, &next).await;
    // Until the moment it is a party like any other.
    stage.rate("SMS", Colour::Red).await;
    federation.advance(at(federation, "2027-02-09T10:00:00Z"));
    stage.rate_refused("SMS", "party_withdrawn").await;
    let asked = stage.ask("CSC", &["SMS", "POL"]).await;
    assert_eq!(
        (asked[0].decision(), asked[0].reason.as_str()),
        (Decision::Deny, "PARTY_WITHDRAWN")
    );
    // What it signed while it was a party is still its rating, and counts.
    assert_eq!((asked[1].decision(), asked[1].gate.as_str()), (Decision::Release, "g3"));
    let show = federation.show(&stage.enquiry.name).await;
    let red = cell(&show, "SMS", &stage.enquiry.person("P1"));
    assert_eq!((red.colour(), red.rated_by.as_str()), (Colour::Red, "sms.assessor"));

    // It is asked nothing any more, and heard no more.
    let screened = |federation: &Federation| {
        let log = federation.log_of("SMS");
        log.iter().filter(|entry| entry.action.word() == "screen_answered").count()
    };
    let before = screened(federation);
    let later = federation.open(&[("P1", &person_of(1))]).await;
    let cell = federation.until_status(&later, "SMS", "P1", AnswerStatus::Unable).await;
    assert_eq!(cell.reason, "PARTY_WITHDRAWN");
    assert_eq!(screened(federation), before);
    let refused = federation.as_node("SMS").deliver(pb::DeliverRequest::default()).await;
    assert_eq!(code_of(&refused.unwrap_err()), Some("party_withdrawn"));
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x5_two_versions_are_explained_to_both_sides_until_both_hold_the_newer() {
    let stage = Stage::new().await;
    let federation = &stage.federation;
    stage.rate("POL", Colour::Red).await;
    let next = federation.amended(stricter);
    federation.advance(SignedDuration::from_mins(1));
    federation.install_everywhere(&["CSC", "POL"], &next).await;
    let later = federation.open(&[("P1", &person_of(0))]).await;
    let unable = federation.until_status(&later, "SMS", "P1", AnswerStatus::Unable).await;
    assert_eq!(unable.reason, "AGREEMENT_VERSION_MISMATCH");
    federation.until_asked("CSC", &later, "P1").await;
    let show = federation.show(&later.name).await;
    let told = &show.agreement_mismatches[0];
    assert_eq!(told.agency, "SMS");
    assert!(told.explanation.contains("version 4"), "{}", told.explanation);
    assert!(told.explanation.contains("version 3"), "{}", told.explanation);
    let log = federation.log_of("SMS");
    let refused = |entry: &brag_common::audit::Entry| {
        let code = entry.decision.as_ref().map(ToString::to_string);
        code.as_deref() == Some("agreement_version_mismatch")
    };
    assert!(log.iter().any(refused));
    // A holder that is behind releases nothing, and says why.
    let denied = stage.ask("SMS", &["POL"]).await.remove(0);
    assert_eq!(denied.decision(), Decision::Deny);
    assert_eq!(denied.reason, "AGREEMENT_VERSION_MISMATCH");

    federation.install("SMS", &next).await;
    federation.until_asked("SMS", &later, "P1").await;
    federation.until(&later, "nothing differs", |show| show.agreement_mismatches.is_empty()).await;
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_ahead_is_told_so_and_its_rating_arrives_once_the_hub_has_the_version_too() {
    let stage = Stage::new().await;
    let federation = &stage.federation;
    let next = federation.amended(stricter);
    federation.install("SMS", &next).await;
    let digest = federation.inside("SMS").agreement.digest();
    federation.try_rate("SMS", &stage.enquiry, "P1", Colour::Red, None).await.unwrap();
    let early = pb::DeliverRequest {
        request_id: brag_tests::federation::fresh(),
        agreement_digest: digest.as_bytes().to_vec(),
        enquiry: stage.enquiry.name.clone(),
        item: None,
    };
    let refused = federation.as_node("SMS").deliver(early).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("agreement_version_mismatch"));
    assert!(refused.message().contains("version 3"), "{}", refused.message());
    assert!(refused.message().contains(&digest.to_string()));
    let show = federation.show(&stage.enquiry.name).await;
    let person = stage.enquiry.person("P1");
    assert_eq!(cell(&show, "SMS", &person).colour(), Colour::Unspecified);
    federation.install_at_hub(&next).await;
    stage.until_rated("SMS", Colour::Red).await;
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_since_the_former_version_arrives_and_what_is_signed_under_it_later_does_not() {
    let mut stage = Stage::new().await;
    stage.federation.stop_hub().await;
    stage.federation.try_rate("SMS", &stage.enquiry, "P1", Colour::Red, None).await.unwrap();
    stage.federation.advance(SignedDuration::from_mins(1));
    let next = stage.federation.amended(stricter);
    for agency in NODES {
        stage.federation.install(agency, &next).await;
    }
    stage.federation.try_install_at_hub(&next).unwrap();
    stage.federation.start_hub().await;
    stage.until_rated("SMS", Colour::Red).await;
    let released = stage.ask("CSC", &["POL"]).await.remove(0);
    assert_eq!((released.decision(), released.gate.as_str()), (Decision::Release, "g3"));
    stage.federation.finish().await;

    let scene = Scene::new().await;
    let next = scene.federation.amended(stricter);
    scene.federation.install(HOLDER, &next).await;
    // A colluding agency signs under the version that was superseded, at a time when it was.
    let late = scene.red("POL", "P1");
    let before = scene.rated(
        "DAS",
        scene.person("P1"),
        Judged::Red,
        scene.ago(SignedDuration::from_mins(1)),
    );
    let mut request = scene.release(&[late]);
    request.agreement_digest =
        scene.federation.inside(HOLDER).agreement.digest().as_bytes().to_vec();
    let outcome = scene.ask(request).await.unwrap();
    assert!(!format!("{outcome:?}").contains("Release"), "{outcome:?}");
    // Its date is `made_at`, which is not before either.
    let mut request = scene.release(&[before]);
    request.agreement_digest =
        scene.federation.inside(HOLDER).agreement.digest().as_bytes().to_vec();
    let outcome = scene.ask(request).await.unwrap();
    scene.end_with_refusal(outcome, "AGREEMENT_VERSION_MISMATCH").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_not_all_have_signed_or_that_is_not_the_next_is_not_taken_up() {
    let stage = Stage::new().await;
    let federation = &stage.federation;
    let partnership = federation.partnership();
    let next = federation.amended(stricter);
    let text = partnership.amendment(&federation.first_note(), stricter).unwrap();
    let why = |note: &[u8]| format!("{:#}", federation.try_install("SMS", note).unwrap_err());
    assert!(why(text.as_bytes()).contains("not a signed note"), "{}", why(text.as_bytes()));
    // One signature less.
    let shown = String::from_utf8(next.clone()).unwrap();
    let without = |name: &str| {
        let kept = shown.lines().filter(|line| !line.starts_with(&format!("\u{2014} {name} ")));
        kept.map(|line| format!("{line}\n")).collect::<String>().into_bytes()
    };
    let csc = without("exampleshire-ofd/CSC");
    assert!(why(&csc).contains("not signed by CSC"), "{}", why(&csc));
    let hub = without("exampleshire-ofd/hub");
    assert!(federation.try_install_at_hub(&hub).is_err());
    let skipped = partnership.amend(&next, stricter).unwrap();
    assert!(why(&skipped).contains("the next one is version 4"), "{}", why(&skipped));
    let unlinked = federation.amended(|document| {
        document["agreement"].as_table_mut().unwrap().remove("replaces");
    });
    assert!(why(&unlinked).contains("replaces"), "{}", why(&unlinked));
    let production = federation.amended(|document| {
        document["agreement"]["environment"] = value("production");
    });
    assert!(why(&production).contains("environment"), "{}", why(&production));
    // Put into the folder by hand it is left there, and everything goes on.
    let folder = partnership.node_folder(&id("SMS")).join("data/agreements");
    std::fs::write(folder.join("000004-by-hand.note"), &csc).unwrap();
    federation.install("CSC", &next).await;
    assert_eq!(
        federation.inside("SMS").agreement.versions().newest().agreement.agreement().version(),
        3
    );
    stage.rate("SMS", Colour::Red).await;
    stage.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_again_still_believes_what_was_signed_under_earlier_versions() {
    let mut stage = Stage::new().await;
    stage.rate("SMS", Colour::Red).await;
    stage.federation.advance(SignedDuration::from_mins(1));
    let next = stage.federation.amended(stricter);
    stage.federation.install_everywhere(&NODES, &next).await;
    for agency in NODES {
        stage.federation.stop_node(agency).await;
        stage.federation.start_node(agency).await;
    }
    stage.federation.stop_hub().await;
    stage.federation.start_hub().await;
    let gates = |show: &ShowResponse| show.people[0].gates.contains(&"g3".to_owned());
    stage.until("the gate is open", gates).await;
    let mut released = None;
    eventually("the holder has decided", async || {
        let asked = stage.ask("CSC", &["POL"]).await.remove(0);
        let decided = asked.decision() != Decision::Unspecified;
        released = Some(asked);
        decided.then_some(())
    })
    .await;
    assert_eq!(released.unwrap().decision(), Decision::Release);
    stage.federation.finish().await;
}
