//! What was made under a version of the agreement that another has replaced since: views, a person's agreement and its
//! withdrawal, retractions, and releases that wait for people.

use brag_common::{
    status::code_of,
    time::SignedDuration,
    wire::pb::{self, Colour, ConsentAnswer, Decision, InboxItem, ReleaseView},
};
use brag_tests::federation::{Enquiry, Federation, Holding, eventually, id, person_of};
use toml_edit::{DocumentMut, value};
use tonic::Status;

const NODES: [&str; 2] = ["SMS", "CSC"];

/// What SMS holds about P1: on its own, with an approval, and with the person's own agreement.
const DETAIL: [(&str, &str); 3] = [
    ("C33", "drinks daily since the autumn"),
    ("C35", "methadone, supervised"),
    ("C50", "outreach"),
];

/// SMS and CSC know P1.
struct Scene {
    federation: Federation,
    enquiry: Enquiry,
}

impl Scene {
    async fn new() -> Self {
        let person = person_of(0);
        let held = DETAIL
            .iter()
            .fold(Holding::of(person.clone()), |held, (code, text)| held.entry(code, text));
        let federation = Federation::builder()
            .nodes(&NODES)
            .silent(&["POL"])
            .holds("SMS", held)
            .holds("CSC", Holding::of(person.clone()))
            .start()
            .await;
        let enquiry = federation.open(&[("P1", &person)]).await;
        for agency in NODES {
            federation.until_asked(agency, &enquiry, "P1").await;
        }
        Self { federation, enquiry }
    }

    /// SMS has rated P1 Red.
    async fn red() -> Self {
        let scene = Self::new().await;
        scene.federation.rate("SMS", &scene.enquiry, "P1", Colour::Red).await;
        let open = |show: &pb::ShowResponse| show.people[0].gates.contains(&"g3".to_owned());
        scene.federation.until(&scene.enquiry, "gate 3 is open", open).await;
        scene
    }

    async fn ask(&self, category: &str) -> ReleaseView {
        let asked =
            self.federation.ask_detail(&self.enquiry, "SMS", "P1", category, &["CSC"]).await;
        asked.unwrap().remove(0)
    }

    /// A minute later the next version holds at the hub and at these nodes.
    async fn next_version(&self, agencies: &[&str]) -> Vec<u8> {
        self.federation.advance(SignedDuration::from_mins(1));
        let next = self.federation.amended(other);
        self.federation.install_everywhere(agencies, &next).await;
        for agency in agencies {
            assert_eq!(self.federation.inside(agency).agreement.agreement().version(), 4);
        }
        next
    }

    async fn inbox(&self) -> pb::InboxResponse {
        let answer = self.federation.assessor("CSC").inbox(pb::InboxRequest {}).await;
        answer.unwrap().into_inner()
    }

    /// Waits for a view of CSC's that is open, or closed for a reason.
    async fn until_item(&self, release: &str, closed: &str) -> InboxItem {
        eventually(&format!("the view is `{closed}`"), async || {
            let items = self.inbox().await.items.into_iter();
            items.into_iter().find(|item| item.release == release && item.closed == closed)
        })
        .await
    }

    async fn open(&self, release: &str) -> Result<String, Status> {
        let request =
            pb::OpenDetailRequest { release: release.to_owned(), obligations_accepted: true };
        Ok(self.federation.assessor("CSC").open_detail(request).await?.into_inner().text)
    }

    /// She agrees at SMS that C50 goes to CSC, for four weeks.
    async fn agrees(&self) {
        let ends = self.federation.now().checked_add(SignedDuration::from_hours(28 * 24)).unwrap();
        let request = pb::RecordConsentRequest {
            enquiry: self.enquiry.name.clone(),
            person: self.enquiry.person("P1"),
            answer: ConsentAnswer::Agreed.into(),
            categories: vec!["C50".to_owned()],
            recipients: vec!["CSC".to_owned()],
            expires_at_unix_ms: ends.as_millisecond(),
            ..pb::RecordConsentRequest::default()
        };
        self.federation.assessor("SMS").record_consent(request).await.unwrap();
    }

    /// She tells this agency that she no longer does.
    async fn withdraws(&self, agency: &str) {
        let request = pb::WithdrawConsentRequest {
            enquiry: self.enquiry.name.clone(),
            person: self.enquiry.person("P1"),
            reason: String::new(),
        };
        self.federation.assessor(agency).withdraw_consent(request).await.unwrap();
    }
}

/// A number that none of these tests depends on.
fn other(document: &mut DocumentMut) {
    document["gates"]["marac_dash_ticks"] = value(20);
}

fn text_of(category: &str) -> &'static str {
    DETAIL.iter().find(|(code, _)| *code == category).unwrap().1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_replaced_closes_no_view_and_what_was_sealed_under_it_still_opens() {
    let mut scene = Scene::red().await;
    let here = scene.ask("C33").await;
    assert_eq!(here.decision(), Decision::Release, "{here:?}");
    scene.until_item(&here.release, "").await;

    // Of another the recipient hears only when it has the next version.
    scene.federation.stop_node("CSC").await;
    scene.federation.advance(SignedDuration::from_secs(1));
    let late = scene.ask("C33").await;
    assert_eq!(late.decision(), Decision::Release, "{late:?}");
    let next = scene.next_version(&["SMS"]).await;
    scene.federation.try_install("CSC", &next).unwrap();
    scene.federation.start_node("CSC").await;
    assert_eq!(scene.federation.inside("CSC").agreement.agreement().version(), 4);
    for release in [&here.release, &late.release] {
        scene.until_item(release, "").await;
        assert_eq!(scene.open(release).await.unwrap(), text_of("C33"));
    }
    // Its time runs as before.
    scene.federation.advance(SignedDuration::from_hours(7 * 24));
    for release in [&here.release, &late.release] {
        scene.until_item(release, "view_expired").await;
    }
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_ends_with_none_after_it_closes_views_that_an_earlier_one_released() {
    let scene = Scene::red().await;
    let here = scene.ask("C33").await;
    scene.until_item(&here.release, "").await;
    scene.federation.advance(SignedDuration::from_mins(1));
    let next = scene.federation.amended(|document| {
        let today: toml_edit::Datetime = "2027-02-09".parse().unwrap();
        document["agreement"]["valid_to"] = value(today);
        document["agreement"]["review_by"] = value(today);
    });
    scene.federation.install_everywhere(&NODES, &next).await;
    assert_eq!(scene.open(&here.release).await.unwrap(), text_of("C33"));
    scene.federation.advance(SignedDuration::from_hours(24));
    scene.until_item(&here.release, "agreement_expired").await;
    let refused = scene.open(&here.release).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("agreement_expired"));
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_of_a_person_outlives_the_version_and_so_does_their_right_to_withdraw_it() {
    let scene = Scene::new().await;
    scene.agrees().await;
    let before = scene.ask("C50").await;
    assert_eq!((before.decision(), before.gate.as_str()), (Decision::Release, "g1"), "{before:?}");
    scene.until_item(&before.release, "").await;
    scene.next_version(&NODES).await;
    let after = scene.ask("C50").await;
    assert_eq!((after.decision(), after.gate.as_str()), (Decision::Release, "g1"), "{after:?}");
    scene.until_item(&after.release, "").await;

    scene.federation.advance(SignedDuration::from_secs(1));
    scene.withdraws("CSC").await;
    for release in [&before.release, &after.release] {
        scene.until_item(release, "view_retracted").await;
        let refused = scene.open(release).await.unwrap_err();
        assert_eq!(code_of(&refused), Some("view_retracted"));
    }
    assert_eq!(scene.ask("C50").await.reason, "CONSENT_WITHDRAWN");
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retraction_that_waited_for_its_recipient_since_the_former_version_closes_the_view() {
    let mut scene = Scene::new().await;
    scene.agrees().await;
    let released = scene.ask("C50").await.release;
    scene.until_item(&released, "").await;
    scene.federation.stop_node("CSC").await;
    scene.federation.advance(SignedDuration::from_secs(1));
    scene.withdraws("SMS").await;
    let enquiry = id(&scene.enquiry.name);
    eventually("the retraction waits at the hub", async || {
        let hub = scene.federation.inside_hub();
        let waiting = hub.store.notices(&enquiry, &id("CSC")).unwrap();
        (!waiting.is_empty()).then_some(())
    })
    .await;
    let next = scene.next_version(&["SMS"]).await;
    scene.federation.try_install("CSC", &next).unwrap();
    scene.federation.start_node("CSC").await;
    scene.until_item(&released, "view_retracted").await;
    let notice = scene.inbox().await.notices.remove(0);
    let request = pb::AcknowledgeRequest { notice: notice.notice };
    scene.federation.assessor("CSC").acknowledge(request).await.unwrap();
    let known = |show: &pb::ShowResponse| {
        show.releases.iter().any(|one| one.retraction_acknowledged_at_unix_ms > 0)
    };
    scene.federation.until(&scene.enquiry, "somebody has acknowledged it", known).await;
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_waits_when_a_version_takes_over_can_still_be_approved() {
    let scene = Scene::red().await;
    let waits = scene.ask("C35").await;
    assert_eq!(waits.decision(), Decision::Review, "{waits:?}");
    scene.next_version(&NODES).await;
    approve(&scene).await;
    let item = scene.until_item(&waits.release, "").await;
    assert_eq!(scene.open(&item.release).await.unwrap(), text_of("C35"));
    let log = scene.federation.log_of("SMS");
    let mut sealed = log.iter().filter(|entry| entry.action.word() == "detail_sealed");
    assert_eq!(sealed.next().unwrap().agreement.as_ref().unwrap().version, 4);
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_waits_is_decided_by_the_version_that_holds_when_it_is_approved() {
    let scene = Scene::red().await;
    let waits = scene.ask("C35").await;
    scene.federation.advance(SignedDuration::from_mins(1));
    let next = scene.federation.amended(|document| {
        for class in document["disclosure"].as_table_mut().unwrap().iter_mut() {
            if let Some(class) = class.1.as_table_mut() {
                class.remove("g3");
            }
        }
    });
    scene.federation.install_everywhere(&NODES, &next).await;
    approve(&scene).await;
    let denied = |show: &pb::ShowResponse| {
        let of = show.releases.iter().find(|one| one.release == waits.release);
        of.is_some_and(|one| one.decision() == Decision::Deny)
    };
    scene.federation.until(&scene.enquiry, "it is refused", denied).await;
    assert!(scene.inbox().await.items.is_empty());
    scene.federation.finish().await;
}

async fn approve(scene: &Scene) {
    let mut approver = scene.federation.approver("SMS", 1);
    let work = eventually("a release waits for approval", async || {
        let list = approver.worklist(pb::WorklistRequest {}).await.ok()?.into_inner();
        list.reviews.into_iter().next()
    })
    .await
    .work;
    let request = pb::ApproveRequest { work, ..pb::ApproveRequest::default() };
    approver.approve(request).await.unwrap();
}
