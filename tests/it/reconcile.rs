//! Both sides of every exchange beside each other (L7): in good order they agree; what one side leaves out or writes otherwise
//! is named, with its kind and the numbers of its entries.

use std::path::{Path, PathBuf};

use brag_common::{
    audit::{
        Entry,
        command::{self, LogCommand, ReconcileArgs},
        reconcile::{Explained, Kind, Wanted},
        rewrite::rewrite,
        verify_dir,
    },
    news::{News, NewsKind},
    time::SignedDuration,
    wire::pb::{self, AnswerStatus, Colour, ConsentAnswer, Decision},
};
use brag_tests::federation::{Enquiry, Federation, Holding, eventually, person_of};
use serde_json::Value;

use crate::news::put_news;

const NODES: [&str; 3] = ["DAS", "CSC", "EHT"];

/// DAS holds C50 and C35 about P1, whom all three know; nobody knows P2. Everything that parties exchange has happened:
/// enrolment, screening, ratings in time and late, a challenge, detail released at once and after a review, a refusal,
/// a withdrawal, a retraction and its acknowledgement.
struct Played {
    federation: Federation,
    enquiry: Enquiry,
}

impl Played {
    async fn new() -> Self {
        let person = person_of(0);
        let mut builder = Federation::builder().nodes(&NODES).silent(&["POL"]).holds(
            "DAS",
            Holding::of(person.clone()).entry("C50", "outreach").entry("C35", "methadone"),
        );
        for agency in ["CSC", "EHT"] {
            builder = builder.holds(agency, Holding::of(person.clone()));
        }
        let federation = builder.start().await;
        let enquiry = federation.open(&[("P1", &person), ("P2", &person_of(1))]).await;
        for agency in NODES {
            federation.until_asked(agency, &enquiry, "P1").await;
        }
        let played = Self { federation, enquiry };
        played.agreed_and_taken_back().await;
        played.rated_and_challenged().await;
        played.reviewed().await;
        played.told().await;
        played.settled().await;
        played
    }

    fn person(&self) -> String {
        self.enquiry.person("P1")
    }

    async fn ask(&self, category: &str, recipients: &[&str]) -> Vec<pb::ReleaseView> {
        let asked = self.federation.ask_detail(&self.enquiry, "DAS", "P1", category, recipients);
        asked.await.unwrap()
    }

    /// She agrees, detail goes, she withdraws, and the recipient acknowledges.
    async fn agreed_and_taken_back(&self) {
        let Self { federation, enquiry } = self;
        assert_eq!(self.ask("C50", &["CSC"]).await[0].decision(), Decision::Deny);
        let ends = federation.now().checked_add(SignedDuration::from_hours(24)).unwrap();
        let agreed = pb::RecordConsentRequest {
            enquiry: enquiry.name.clone(),
            person: self.person(),
            answer: ConsentAnswer::Agreed.into(),
            categories: vec!["C50".to_owned()],
            recipients: vec!["CSC".to_owned()],
            expires_at_unix_ms: ends.as_millisecond(),
            ..pb::RecordConsentRequest::default()
        };
        federation.assessor("DAS").record_consent(agreed).await.unwrap();
        self.until_delivered("DAS").await;
        assert_eq!(self.ask("C50", &["CSC"]).await[0].decision(), Decision::Release);
        self.until_inbox("CSC", |inbox| inbox.items.len() == 1).await;
        federation.advance(SignedDuration::from_secs(1));
        let withdrawn = pb::WithdrawConsentRequest {
            enquiry: enquiry.name.clone(),
            person: self.person(),
            reason: String::new(),
        };
        federation.assessor("EHT").withdraw_consent(withdrawn).await.unwrap();
        let inbox = self.until_inbox("CSC", |inbox| inbox.notices.len() == 1).await;
        let notice = inbox.notices[0].notice.clone();
        let acknowledged = pb::AcknowledgeRequest { notice };
        federation.assessor("CSC").acknowledge(acknowledged).await.unwrap();
    }

    async fn rated_and_challenged(&self) {
        let Self { federation, enquiry } = self;
        federation.rate("DAS", enquiry, "P1", Colour::Red).await;
        federation.until_status(enquiry, "DAS", "P1", AnswerStatus::Rated).await;
        let challenge = pb::ChallengeRatingRequest {
            enquiry: enquiry.name.clone(),
            person: self.person(),
            agency: "DAS".to_owned(),
            reason: "Two visits this month went well.".to_owned(),
        };
        federation.assessor("CSC").challenge_rating(challenge).await.unwrap();
        eventually("DAS knows of the challenge", async || {
            let list = federation.assessor("DAS").worklist(pb::WorklistRequest {}).await;
            (!list.unwrap().into_inner().challenges.is_empty()).then_some(())
        })
        .await;
        // After the end of the round.
        federation.advance(SignedDuration::from_hours(2));
        federation.rate("CSC", enquiry, "P1", Colour::Amber).await;
        federation.until_status(enquiry, "CSC", "P1", AnswerStatus::Late).await;
    }

    /// Once approved, once refused.
    async fn reviewed(&self) {
        let Self { federation, .. } = self;
        for approves in [true, false] {
            let asked = self.ask("C35", &["CSC"]).await.remove(0);
            assert_eq!(asked.decision(), Decision::Review, "{asked:?}");
            let mut desk = federation.approver("DAS", 1);
            let list = desk.worklist(pb::WorklistRequest {}).await.unwrap().into_inner();
            let work = list.reviews[0].work.clone();
            if approves {
                let request = pb::ApproveRequest { work, ..pb::ApproveRequest::default() };
                desk.approve(request).await.unwrap();
                self.until_inbox("CSC", |inbox| inbox.items.len() == 2).await;
            } else {
                let reason = "Not needed for the plan.".to_owned();
                desk.refuse(pb::RefuseRequest { work, reason }).await.unwrap();
            }
        }
    }

    /// News that CSC leads.
    async fn told(&self) {
        let Self { federation, enquiry } = self;
        let now = federation.now();
        let news = News::new(NewsKind::LeadNamed, now, "CSC", None).unwrap();
        put_news(federation, enquiry, &["CSC"], &news);
        eventually("CSC is told", async || {
            let news = federation.assessor("CSC").news(pb::NewsRequest::default()).await;
            (!news.unwrap().into_inner().items.is_empty()).then_some(())
        })
        .await;
    }

    async fn until_delivered(&self, agency: &str) {
        eventually("everything is delivered", async || {
            let waiting = self.federation.inside(agency).store.outgoing().unwrap();
            waiting.is_empty().then_some(())
        })
        .await;
    }

    async fn until_inbox(
        &self,
        agency: &str,
        wanted: impl Fn(&pb::InboxResponse) -> bool,
    ) -> pb::InboxResponse {
        eventually("the inbox has it", async || {
            let inbox = self.federation.assessor(agency).inbox(pb::InboxRequest {}).await;
            Some(inbox.unwrap().into_inner()).filter(&wanted)
        })
        .await
    }

    /// Waits until nothing is on its way any more: both sides have all of it.
    async fn settled(&self) {
        for agency in NODES {
            self.until_delivered(agency).await;
        }
        // What the hub passes on is queued with what was delivered.
        eventually("the logs agree", async || {
            let store = &self.federation.inside_hub().store;
            if !store.notices_wait_at().unwrap().is_empty() {
                return None;
            }
            let report = self.federation.reconcile();
            let under_way = report.classes.contains_key(&Explained::NotDelivered);
            (report.agrees() && !under_way).then_some(())
        })
        .await;
    }

    fn dirs(&self) -> [PathBuf; 4] {
        let [das, csc, eht] = NODES.map(|agency| self.federation.log_dir(agency));
        [self.federation.hub_log_dir(), das, csc, eht]
    }
}

/// Runs the command as a program would: exit code and document.
fn reconcile(dirs: &[PathBuf; 4]) -> (u8, Value) {
    let [hub, nodes @ ..] = dirs.clone();
    let args = ReconcileArgs {
        hub,
        witness: Vec::new(),
        nodes: nodes.to_vec(),
        from: None,
        to: None,
        explained: false,
        json: true,
    };
    let mut out = Vec::new();
    let code = command::run(&LogCommand::Reconcile(args), &mut out).unwrap();
    (code, serde_json::from_slice(&out).unwrap())
}

/// The logs with one of them written anew, by its number among them, without or with another entry.
async fn rewritten(
    dirs: &[PathBuf; 4],
    which: usize,
    folder: &Path,
    edit: impl FnMut(Entry) -> Option<Entry>,
) -> [PathBuf; 4] {
    let mut dirs = dirs.clone();
    dirs[which] = rewrite(&dirs[which], folder, edit).await;
    dirs
}

const HUB: usize = 0;
const DAS: usize = 1;
const CSC: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l7_what_one_side_leaves_out_or_writes_otherwise_is_named_by_its_kind_and_entries() {
    let played = Played::new().await;
    let (dirs, folder) = (played.dirs(), tempfile::tempdir().unwrap());
    let left_out = [
        (HUB, "screen_asked", "screen", "hub"),
        (DAS, "screen_answered", "screen", "node"),
        (HUB, "rate_asked", "rate", "hub"),
        (DAS, "rate_answered", "rate", "node"),
        (HUB, "release_asked", "release", "hub"),
        (DAS, "release_decided", "release", "node"),
        (HUB, "detail_relayed", "receive", "hub"),
        (CSC, "detail_received", "receive", "node"),
        (HUB, "notice_relayed", "notice", "hub"),
        (CSC, "detail_retracted", "notice", "node"),
        (HUB, "news_told", "news", "hub"),
        (CSC, "news_received", "news", "node"),
        (HUB, "detail_retracted", "delivered_fact", "hub"),
        (CSC, "retraction_acknowledged", "delivered_fact", "node"),
        (CSC, "rating_given", "delivered_rating", "node"),
        (DAS, "rating_challenged", "challenge", "node"),
        (DAS, "review_refused", "delivered_outcome", "node"),
        (HUB, "enrolment_completed", "enrolment", "hub"),
        (DAS, "enrolment_evaluated", "enrolment", "node"),
    ];
    for (place, (which, action, kind, side)) in left_out.into_iter().enumerate() {
        let to = folder.path().join(place.to_string());
        let mut gone = None;
        let other = rewritten(&dirs, which, &to, |entry| {
            // The first of its kind.
            if gone.is_none() && entry.action.word() == action && entry.exchange.is_some() {
                gone = Some(entry);
                return None;
            }
            Some(entry)
        })
        .await;
        // A rewritten log that is in order by itself: only the other side tells.
        let origin = std::fs::read_to_string(other[which].join("origin")).unwrap();
        let key = std::fs::read_to_string(other[which].join("log.pub")).unwrap();
        let (key, origin) = (key.trim().parse().unwrap(), origin.trim().parse().unwrap());
        verify_dir(&other[which], &key, &origin).unwrap();
        let (code, found) = reconcile(&other);
        assert_eq!((code, &found["status"]), (4, &"differ".into()), "{action}");
        let differences = found["differences"].as_array().unwrap();
        assert_eq!(differences.len(), 1, "{action}: {differences:?}");
        let gone = gone.unwrap();
        assert_eq!(differences[0]["exchange"], gone.exchange.unwrap().to_string(), "{action}");
        assert_eq!(differences[0]["kind"], kind, "{action}");
        assert_eq!(differences[0]["missing_at"], side, "{action}: {differences:?}");
        let has = if side == "hub" { "node" } else { "hub" };
        assert_ne!(differences[0][has].as_array().unwrap().len(), 0, "{action}");
    }

    // The holder writes that it released it to somebody else.
    let to = folder.path().join("altered");
    let altered = rewritten(&dirs, DAS, &to, |mut entry| {
        if entry.action.word() == "detail_sealed" {
            entry.recipients = vec!["EHT".parse().unwrap()];
        }
        Some(entry)
    });
    let (code, found) = reconcile(&altered.await);
    assert_eq!(code, 4);
    let differences = found["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 2, "one for each release: {differences:?}");
    for difference in differences {
        assert_eq!(difference["kind"], "delivered_outcome");
        assert_eq!(difference["fields"][0]["field"], "recipients");
        assert_eq!(difference["fields"][0]["hub"], "CSC");
        assert_eq!(difference["fields"][0]["node"], "EHT");
    }

    // A log whose end is cut: what the hub has done with it since is missing there.
    let mut n_left = played.federation.log_of("CSC").len() - 3;
    let to = folder.path().join("cut");
    let cut = rewritten(&dirs, CSC, &to, |entry| {
        n_left = n_left.checked_sub(1)?;
        Some(entry)
    });
    let (code, found) = reconcile(&cut.await);
    assert_eq!(code, 4);
    assert!(!found["differences"].as_array().unwrap().is_empty());
    played.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_exchange_stands_on_both_sides_and_says_the_same() {
    let played = Played::new().await;
    let report = played.federation.reconcile();
    assert!(report.agrees(), "{:?}", report.differences);
    let here = |kind: &Kind| !matches!(kind, Kind::Unasked | Kind::Unknown);
    for kind in Kind::ALL.into_iter().filter(here) {
        assert!(report.kinds.get(&kind).is_some_and(|counts| counts.agreed > 0), "{kind:?}");
    }
    let counted: u64 = report.kinds.values().map(|counts| counts.all()).sum();
    assert_eq!(report.total.all(), counted);
    // POL has never enrolled, so the hub has asked it nothing.
    assert_eq!(report.classes.keys().copied().collect::<Vec<_>>(), [Explained::NotAsked]);
    let [hub, das, csc, _] = played.dirs();
    let wanted = Wanted { hub, others: vec![das, csc], ..Wanted::default() };
    let fewer = brag_common::audit::reconcile::reconcile(&wanted, &mut |_| {}).unwrap();
    assert!(fewer.agrees() && fewer.total.all() < report.total.all());
    assert_eq!(fewer.not_given.keys().map(ToString::to_string).collect::<Vec<_>>(), ["EHT"]);
    let (code, found) = reconcile(&played.dirs());
    assert_eq!((code, &found["status"]), (0, &"agree".into()), "{found}");
    played.federation.finish().await;
}
