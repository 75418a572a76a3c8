//! News of an enquiry: told by the hub and by nobody else, once, in their order, also to an agency that was away; read by the
//! agency's staff who are not linked to the family.

use brag_common::{
    audit::Entry,
    id::{AgencyId, PersonRef},
    news::{InformQuery, News, NewsKind},
    reason::Reason,
    status::code_of,
    time::SignedDuration,
    wire::{pb, records::Client},
};
use brag_hub::{notify, round::envelope, store::Change};
use brag_tests::{
    federation::{Enquiry, Federation, Holding, eventually, id, person_of},
    partnership::Partnership,
};
use tonic::{Code, Status};

/// Puts news out at the hub, as whatever they come of does.
pub fn put_news(federation: &Federation, enquiry: &Enquiry, to: &[&str], news: &News) {
    let (hub, enquiry) = (federation.inside_hub(), id(&enquiry.name));
    let to = to.iter().map(|agency| id::<AgencyId>(agency)).collect();
    let mut change = Change::new();
    notify::put_news(&mut change, &enquiry, &to, news, federation.now()).unwrap();
    hub.store.commit(change).unwrap();
    for agency in &to {
        notify::start_one(&hub, &enquiry, agency);
    }
}

/// CSC knows P1. EHT knows nobody, and could have referred the family.
struct Scene {
    federation: Federation,
    enquiry: Enquiry,
}

impl Scene {
    async fn new() -> Self {
        let person = person_of(0);
        let approver = Partnership::approver(&id("CSC"), 1);
        let federation = Federation::builder()
            .nodes(&["CSC", "EHT"])
            .silent(&["POL"])
            .holds("CSC", Holding::of(person.clone()))
            .linked("CSC", &approver, 0)
            .start()
            .await;
        let enquiry = federation.open(&[("P1", &person)]).await;
        federation.until_asked("CSC", &enquiry, "P1").await;
        // Everybody has answered the hub before the first news.
        federation.until_status(&enquiry, "EHT", "P1", pb::AnswerStatus::NotKnown).await;
        Self { federation, enquiry }
    }

    fn news(&self, kind: NewsKind, about: &str, person: Option<PersonRef>) -> News {
        News::new(kind, self.federation.now(), about, person).unwrap()
    }

    fn tell(&self, to: &[&str], news: &News) {
        put_news(&self.federation, &self.enquiry, to, news);
    }

    async fn listed(&self, agency: &str) -> Vec<pb::NewsItem> {
        let mut desk = self.federation.assessor(agency);
        desk.news(pb::NewsRequest::default()).await.unwrap().into_inner().items
    }

    /// Waits until an agency has so many news; gives their words, those that came last first.
    async fn until_told(&self, agency: &str, n: usize) -> Vec<pb::NewsItem> {
        eventually(&format!("{agency} has {n} news"), async || {
            let items = self.listed(agency).await;
            (items.len() == n).then_some(items)
        })
        .await
    }

    async fn until_nothing_waits(&self) {
        let hub = self.federation.inside_hub();
        eventually("nothing waits at the hub", async || {
            hub.store.notices_wait_at().unwrap().is_empty().then_some(())
        })
        .await;
    }

    /// Waits until both sides of every exchange agree, whoever was away meanwhile.
    async fn until_reconciled(&self) {
        eventually("both sides agree", async || self.federation.reconcile().agrees().then_some(()))
            .await;
    }

    /// News as the hub brings them.
    fn brought(&self) -> pb::InformRequest {
        let within = std::time::Duration::from_secs(10);
        let envelope = envelope(&self.federation.inside_hub(), within).unwrap();
        let news = self.news(NewsKind::LeadNamed, "CSC", None);
        (&InformQuery { envelope, enquiry: id(&self.enquiry.name), news }).into()
    }

    async fn erase(&self, agency: &str) {
        let governs = |n| {
            let name = Partnership::governance(&id(agency), n);
            Client::new(self.federation.to_node(&self.federation.person(&name), agency))
        };
        let enquiry = id(&self.enquiry.name);
        governs(1).ask(&enquiry, "opened about the wrong family").await.unwrap();
        governs(2).confirm(&enquiry).await.unwrap();
    }
}

fn told(log: &[Entry], action: &str) -> Vec<String> {
    let entries = log.iter().filter(|entry| entry.action.word() == action);
    entries.map(|entry| entry.decision.as_ref().unwrap().to_string()).collect()
}

fn words(items: &[pb::NewsItem]) -> Vec<&str> {
    items.iter().map(|item| item.news.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_hub_brings_news_and_only_assessors_and_approvers_read_them() {
    let scene = Scene::new().await;
    let ca = scene.federation.partnership().ca();
    for certificate in [ca.agency(&id("CSC")), ca.agency(&id("EHT"))] {
        let mut stranger = pb::node_service_client::NodeServiceClient::new(
            scene.federation.to_node(&certificate, "EHT"),
        );
        let refused = stranger.inform(scene.brought()).await.unwrap_err();
        assert_eq!(code_of(&refused), Some("not_the_hub"));
    }
    let as_hub = scene.federation.to_node(&ca.hub(), "EHT");
    let mut as_hub = pb::desk_service_client::DeskServiceClient::new(as_hub);
    let refused = as_hub.news(pb::NewsRequest::default()).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("not_staff"));
    let refused = scene.federation.deputy("EHT").news(pb::NewsRequest::default()).await;
    assert_eq!(code_of(&refused.unwrap_err()), Some("role_missing"));
    let too_many = pb::NewsRequest { limit: 1001 };
    let refused = scene.federation.assessor("EHT").news(too_many).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(scene.listed("EHT").await.is_empty());
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_repeated_late_under_another_agreement_or_no_news_is_refused_and_not_kept() {
    let scene = Scene::new().await;
    let mut hub = scene.federation.as_hub("EHT");
    let changed = |change: fn(&mut pb::InformRequest)| {
        let mut request = scene.brought();
        change(&mut request);
        request
    };
    let first = scene.brought();
    hub.inform(first.clone()).await.unwrap();
    let before = scene.listed("EHT").await;
    assert_eq!(words(&before), ["lead_named"]);
    let late = changed(|r| r.valid_until_unix_ms -= 11 * 60_000);
    for (request, code) in [
        (first, "request_replayed"),
        (late, "request_expired"),
        (changed(|r| r.agreement_digest = vec![7; 32]), "agreement_version_mismatch"),
        (changed(|r| r.news = "rated_red".to_owned()), "invalid_message"),
        (changed(|r| r.about = "Zoë Brookes drinks".to_owned()), "invalid_message"),
        (changed(|r| r.person = "P1".to_owned()), "invalid_message"),
    ] {
        let refused = hub.inform(request).await.unwrap_err();
        assert_eq!(code_of(&refused), Some(code), "{refused:?}");
    }
    assert_eq!(scene.listed("EHT").await, before);
    let refusals = told(&scene.federation.log_of("EHT"), "request_refused");
    assert_eq!(refusals.len(), 6, "{refusals:?}");
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_are_told_once_and_an_agency_that_knows_nobody_keeps_the_reference_only() {
    let scene = Scene::new().await;
    let closed = scene.news(NewsKind::Closed, "no_further_action", None);
    scene.tell(&["CSC", "EHT"], &closed);
    scene.until_told("CSC", 1).await;
    scene.until_told("EHT", 1).await;
    // Put out again, for example after the hub was stopped in between: it is no other news.
    scene.federation.advance(SignedDuration::from_secs(1));
    scene.tell(&["EHT"], &closed);
    scene.until_nothing_waits().await;
    let item = scene.listed("EHT").await.remove(0);
    assert_eq!(
        item.text,
        format!(
            "Enquiry {}: closed on 9 Feb 2027, 09:00, outcome: no further action.",
            scene.enquiry.name
        )
    );
    assert_eq!((item.about.as_str(), item.person.as_str()), ("no_further_action", ""));
    assert_eq!(item.at_unix_ms, scene.federation.now().as_millisecond() - 1000);
    let node = scene.federation.inside("EHT");
    assert!(node.store.enquiries().unwrap().is_empty());
    assert!(node.store.people_in(&id(&scene.enquiry.name)).unwrap().is_empty());
    drop(node);
    scene.until_reconciled().await;
    let hub = scene.federation.hub_log();
    assert_eq!(told(&hub, "news_told"), ["closed", "closed", "closed"]);
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agency_that_was_away_while_the_hub_started_again_is_told_everything_in_order() {
    let mut scene = Scene::new().await;
    scene.federation.stop_node("CSC").await;
    let person = id::<PersonRef>(&scene.enquiry.person("P1"));
    let all = [
        (NewsKind::LeadNamed, "CSC", None),
        (NewsKind::LateRating, "EHT", None),
        (NewsKind::ClockBreached, "section_47", None),
        (NewsKind::ActionPlanned, "A-2", Some(person.clone())),
        (NewsKind::ConnectedPersonInOtherFamily, "", None),
        (NewsKind::Closed, "child_protection_plan", None),
    ];
    for (kind, about, person) in all.clone() {
        scene.federation.advance(SignedDuration::from_secs(1));
        scene.tell(&["CSC"], &scene.news(kind, about, person));
    }
    // The first is being tried, in vain.
    eventually("the hub has tried", async || {
        let log = scene.federation.hub_log();
        let tried = |entry: &Entry| {
            entry.action.word() == "no_response" && entry.peer == "CSC".parse().ok()
        };
        log.iter().any(tried).then_some(())
    })
    .await;
    scene.federation.stop_hub().await;
    scene.federation.start_hub().await;
    scene.federation.start_node("CSC").await;
    let items = scene.until_told("CSC", all.len()).await;
    let in_order: Vec<&str> = all.iter().map(|(kind, _, _)| kind.word()).collect();
    assert_eq!(told(&scene.federation.log_of("CSC"), "news_received"), in_order);
    let mut last_first = words(&items);
    last_first.reverse();
    assert_eq!(last_first, in_order);
    let leads = &items[5].text;
    assert!(leads.contains("Children's Social Care leads since 9 Feb 2027, 09:00"), "{leads}");
    let action = &items[2];
    assert_eq!((action.about.as_str(), action.person.as_str()), ("A-2", person.as_str()));
    scene.until_nothing_waits().await;
    scene.until_reconciled().await;
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_linked_to_the_family_does_not_see_its_news() {
    let scene = Scene::new().await;
    scene.tell(&["CSC", "EHT"], &scene.news(NewsKind::ClockBreached, "section_47", None));
    scene.until_told("CSC", 1).await;
    scene.until_told("EHT", 1).await;
    let by = async |agency: &str, n: u8| -> Result<usize, Status> {
        let mut desk = scene.federation.approver(agency, n);
        Ok(desk.news(pb::NewsRequest::default()).await?.into_inner().items.len())
    };
    assert_eq!(by("CSC", 1).await.unwrap(), 0, "linked to P1 by the agency's records");
    assert_eq!(by("CSC", 2).await.unwrap(), 1);
    // Who is told of a family can say that it is their own, also where the agency knows nobody of it.
    let declaring = pb::DeclareConflictRequest { enquiry: scene.enquiry.name.clone() };
    scene.federation.assessor("EHT").declare_conflict(declaring).await.unwrap();
    assert!(scene.listed("EHT").await.is_empty());
    assert_eq!(by("EHT", 1).await.unwrap(), 1);
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_are_erased_with_their_enquiry_and_what_comes_after_is_refused_and_holds_nothing_up() {
    let scene = Scene::new().await;
    scene.tell(&["EHT"], &scene.news(NewsKind::LeadNamed, "CSC", None));
    scene.until_told("EHT", 1).await;
    scene.erase("EHT").await;
    assert!(scene.listed("EHT").await.is_empty());
    for kind in [NewsKind::LateRating, NewsKind::LeadNamed] {
        scene.federation.advance(SignedDuration::from_secs(1));
        scene.tell(&["EHT"], &scene.news(kind, "CSC", None));
    }
    scene.until_nothing_waits().await;
    assert!(scene.listed("EHT").await.is_empty());
    let refused = told(&scene.federation.log_of("EHT"), "request_refused");
    assert_eq!(refused, ["enquiry_erased", "enquiry_erased"]);
    let log = scene.federation.hub_log();
    let known = log.iter().filter(|e| e.decision == "enquiry_erased".parse().ok()).count();
    assert_eq!(known, 2);
    assert!(log.iter().all(|entry| entry.reason != Some(Reason::LogUnavailable)));
    scene.federation.finish().await;
}
