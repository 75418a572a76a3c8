//! Detail that is taken back: from the person's withdrawal, by way of the holder, to the recipient's closed view and the
//! acknowledgement that travels back.

use brag_common::{
    audit::Entry,
    id::{Commitment, EnquiryRef},
    reason::Reason,
    statement::{Body, PersonIn, Retraction, SignedStatement, Statement},
    status::code_of,
    time::SignedDuration,
    wire::pb::{self, Colour, ConsentAnswer, Decision, InboxItem, Notice, ReleaseView},
};
use brag_hub::round::envelope;
use brag_tests::federation::{Enquiry, Federation, Holding, eventually, fresh, id, person_of};
use tonic::{Code, Status};

use crate::scene::parcel;

const DETAIL: &str = "outreach since March";

/// P1 is known to DAS, which holds her C50, and to CSC and EHT.
struct Scene {
    federation: Federation,
    enquiry: Enquiry,
}

impl Scene {
    async fn new() -> Self {
        let person = person_of(0);
        let federation = Federation::builder()
            .nodes(&["DAS", "CSC", "EHT"])
            .silent(&["POL"])
            .holds("DAS", Holding::of(person.clone()).entry("C50", DETAIL))
            .holds("CSC", Holding::of(person.clone()))
            .holds("EHT", Holding::of(person.clone()))
            .start()
            .await;
        let enquiry = federation.open(&[("P1", &person)]).await;
        for agency in ["DAS", "CSC", "EHT"] {
            federation.until_asked(agency, &enquiry, "P1").await;
        }
        Self { federation, enquiry }
    }

    /// She has agreed that C50 goes to both, for four weeks, and it lies in their inboxes.
    async fn released() -> Self {
        let scene = Self::new().await;
        scene.says("DAS", ConsentAnswer::Agreed, &["CSC", "EHT"]).await;
        let asked = scene.ask(&["CSC", "EHT"]).await;
        assert!(asked.iter().all(|one| one.gate == "g1"), "{asked:?}");
        for agency in ["CSC", "EHT"] {
            scene.until_item(agency, "").await;
        }
        scene
    }

    /// She agrees or refuses about C50 for these recipients, and the hub has it.
    async fn says(&self, agency: &str, answer: ConsentAnswer, recipients: &[&str]) {
        let agrees = answer == ConsentAnswer::Agreed;
        let ends = self.federation.now().checked_add(SignedDuration::from_hours(28 * 24)).unwrap();
        let request = pb::RecordConsentRequest {
            enquiry: self.enquiry.name.clone(),
            person: self.enquiry.person("P1"),
            answer: answer.into(),
            categories: vec!["C50".to_owned()],
            recipients: recipients.iter().map(|name| (*name).to_owned()).collect(),
            expires_at_unix_ms: if agrees { ends.as_millisecond() } else { 0 },
            ..pb::RecordConsentRequest::default()
        };
        let mut desk = self.federation.assessor(agency);
        let statement = desk.record_consent(request).await.unwrap().into_inner().statement_id;
        self.until_at_hub(&statement).await;
    }

    async fn withdraws(&self, agency: &str) {
        self.federation.advance(SignedDuration::from_secs(1));
        let request = pb::WithdrawConsentRequest {
            enquiry: self.enquiry.name.clone(),
            person: self.enquiry.person("P1"),
            reason: String::new(),
        };
        let mut desk = self.federation.assessor(agency);
        let statement = desk.withdraw_consent(request).await.unwrap().into_inner().statement_id;
        self.until_at_hub(&statement).await;
    }

    async fn until_at_hub(&self, statement: &str) {
        let enquiry = id(&self.enquiry.name);
        eventually("the hub has the statement", async || {
            let kept = self.federation.inside_hub().store.statements(&enquiry).unwrap();
            let mut ids = kept.iter().map(|kept| kept.signed.read_unverified().unwrap().id);
            ids.any(|id| id.as_str() == statement).then_some(())
        })
        .await;
    }

    async fn ask(&self, recipients: &[&str]) -> Vec<ReleaseView> {
        let asked = self.federation.ask_detail(&self.enquiry, "DAS", "P1", "C50", recipients);
        asked.await.unwrap()
    }

    async fn inbox(&self, agency: &str) -> (Vec<InboxItem>, Vec<Notice>) {
        let answer = self.federation.assessor(agency).inbox(pb::InboxRequest {}).await.unwrap();
        let answer = answer.into_inner();
        (answer.items, answer.notices)
    }

    /// Waits for an item that is open, or closed for a reason.
    async fn until_item(&self, agency: &str, closed: &str) -> InboxItem {
        eventually(&format!("{agency} has a view that is `{closed}`"), async || {
            self.inbox(agency).await.0.into_iter().find(|item| item.closed == closed)
        })
        .await
    }

    async fn open(&self, agency: &str, release: &str) -> Result<String, Status> {
        let request =
            pb::OpenDetailRequest { release: release.to_owned(), obligations_accepted: true };
        Ok(self.federation.assessor(agency).open_detail(request).await?.into_inner().text)
    }

    async fn acknowledge(&self, agency: &str, notice: &str) -> Result<(), Status> {
        let request = pb::AcknowledgeRequest { notice: notice.to_owned() };
        self.federation.assessor(agency).acknowledge(request).await.map(|_| ())
    }

    fn has_no_key(&self, agency: &str) -> bool {
        let folder = self.federation.node_settings(agency).view_key_folder();
        std::fs::read_dir(folder).unwrap().next().is_none()
    }

    async fn until_shown(
        &self,
        recipient: &str,
        wanted: impl Fn(&ReleaseView) -> bool,
    ) -> ReleaseView {
        let of = |show: &pb::ShowResponse| {
            show.releases
                .iter()
                .find(|one| one.recipient == recipient && one.decision() == Decision::Release)
                .cloned()
        };
        let show = self
            .federation
            .until(&self.enquiry, "the hub shows it", |show| of(show).is_some_and(|r| wanted(&r)))
            .await;
        of(&show).unwrap()
    }

    /// A notice as the hub brings it.
    async fn notify(&self, agency: &str, notice: &SignedStatement) -> Result<(), Status> {
        let within = std::time::Duration::from_secs(10);
        let head = envelope(&self.federation.inside_hub(), within).unwrap();
        let request = pb::NotifyRequest {
            request_id: head.request_id.to_string(),
            agreement_digest: head.agreement.as_bytes().to_vec(),
            valid_until_unix_ms: head.valid_until.as_millisecond(),
            notice: Some(notice.into()),
        };
        self.federation.as_hub(agency).notify(request).await.map(|_| ())
    }

    /// A statement that names `signer`, with the key of `key_of`.
    fn signed(&self, signer: &str, key_of: &str, body: Body) -> SignedStatement {
        let realm = self.federation.realm();
        let statement = Statement {
            id: id(&fresh()),
            signer: id(signer),
            agreement: realm.agreement,
            enquiry: id(&self.enquiry.name),
            made_at: self.federation.now(),
            made_by: None,
            body,
        };
        let key = self.federation.partnership().signing_key(&id(key_of)).unwrap();
        SignedStatement::sign(&statement, realm, &key)
    }
}

fn retraction(release: &str, recipient: &str) -> Body {
    Body::Retraction(Retraction {
        release: id(release),
        person: PersonIn { person: id("P1"), commitment: Commitment::from_bytes([5; 32]) },
        category: id("C50"),
        recipient: id(recipient),
        reason: Reason::ConsentWithdrawn,
    })
}

fn n_of(log: &[Entry], action: &str) -> usize {
    log.iter().filter(|entry| entry.action.word() == action).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_a_withdrawal_closes_every_view_that_rests_on_it_and_both_ends_record_who_knows() {
    let scene = Scene::released().await;
    let item = scene.until_item("CSC", "").await;
    assert_eq!(scene.open("CSC", &item.release).await.unwrap(), DETAIL);
    // She tells EHT, which neither asked her nor holds the detail: the hub tells the holder.
    scene.withdraws("EHT").await;
    for agency in ["CSC", "EHT"] {
        let item = scene.until_item(agency, "view_retracted").await;
        assert!(scene.has_no_key(agency), "{agency}");
        let refused = scene.open(agency, &item.release).await.unwrap_err();
        assert_eq!(code_of(&refused), Some("view_retracted"));
        assert!(refused.message().contains("VIEW_RETRACTED"));
    }
    let shown = scene.until_shown("CSC", |one| one.retracted_at_unix_ms > 0).await;
    assert_eq!(shown.retraction_reason, "CONSENT_WITHDRAWN");
    assert_eq!(shown.retraction_acknowledged_at_unix_ms, 0);

    let notice = scene.inbox("CSC").await.1.remove(0);
    assert_eq!((notice.holder.as_str(), notice.reason.as_str()), ("DAS", "CONSENT_WITHDRAWN"));
    assert_eq!(notice.release, item.release);
    assert!(notice.text.contains("Delete every note and copy"));
    let unknown = scene.acknowledge("CSC", &fresh()).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    scene.acknowledge("CSC", &notice.notice).await.unwrap();
    let again = scene.acknowledge("CSC", &notice.notice).await.unwrap_err();
    assert_eq!(code_of(&again), Some("acknowledged_already"));
    let known = scene.inbox("CSC").await.1.remove(0);
    assert_eq!(known.acknowledged_by, "csc.assessor");

    let shown = scene.until_shown("CSC", |one| one.retraction_acknowledged_at_unix_ms > 0).await;
    assert_eq!(shown.retraction_acknowledged_by, "csc.assessor");
    let waiting = scene.until_shown("EHT", |one| one.retracted_at_unix_ms > 0).await;
    assert_eq!(waiting.retraction_acknowledged_at_unix_ms, 0, "nobody at EHT has read it");
    eventually("the holder has recorded who knows", async || {
        (n_of(&scene.federation.log_of("DAS"), "retraction_acknowledged") == 1).then_some(())
    })
    .await;
    let recipient = scene.federation.log_of("CSC");
    let own = recipient.iter().find(|e| e.action.word() == "retraction_acknowledged").unwrap();
    assert!(format!("{:?}", own.actor).contains("csc.assessor"));
    assert_eq!(n_of(&recipient, "detail_retracted"), 1);
    assert_eq!(n_of(&recipient, "detail_closed"), 1);
    assert_eq!(n_of(&scene.federation.log_of("DAS"), "detail_retracted"), 2);
    assert_eq!(n_of(&scene.federation.hub_log(), "retraction_acknowledged"), 1);

    // 5.7 and 5.8: from now on, and after it would have run out, the answer is that she withdrew.
    assert_eq!(scene.ask(&["CSC"]).await[0].reason, "CONSENT_WITHDRAWN");
    scene.federation.advance(SignedDuration::from_hours(32 * 24));
    assert_eq!(scene.ask(&["CSC"]).await[0].reason, "CONSENT_WITHDRAWN");
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_records_the_withdrawal_itself_takes_back_what_it_released() {
    let scene = Scene::released().await;
    scene.withdraws("DAS").await;
    for agency in ["CSC", "EHT"] {
        scene.until_item(agency, "view_retracted").await;
    }
    // What she agrees to afterwards is released anew, and the old view stays closed.
    scene.federation.advance(SignedDuration::from_secs(1));
    scene.says("CSC", ConsentAnswer::Agreed, &["CSC"]).await;
    assert_eq!(scene.ask(&["CSC"]).await[0].decision(), Decision::Release);
    let item = scene.until_item("CSC", "").await;
    assert_eq!(scene.open("CSC", &item.release).await.unwrap(), DETAIL);
    assert_eq!(scene.inbox("CSC").await.0.len(), 2);
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_takes_back_from_whom_it_names_and_from_nobody_else() {
    let scene = Scene::released().await;
    scene.federation.advance(SignedDuration::from_secs(1));
    scene.says("CSC", ConsentAnswer::Refused, &["EHT"]).await;
    scene.until_item("EHT", "view_retracted").await;
    let notice = scene.inbox("EHT").await.1.remove(0);
    assert_eq!(notice.reason, "CONSENT_REFUSED");
    let item = scene.until_item("CSC", "").await;
    assert_eq!(scene.open("CSC", &item.release).await.unwrap(), DETAIL);
    assert!(scene.inbox("CSC").await.1.is_empty());
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_released_by_another_gate_does_not_rest_on_the_agreement_and_stays() {
    let scene = Scene::new().await;
    scene.federation.try_rate("DAS", &scene.enquiry, "P1", Colour::Red, None).await.unwrap();
    scene
        .federation
        .until(&scene.enquiry, "gate 3 is open", |show| {
            show.people[0].gates.contains(&"g3".to_owned())
        })
        .await;
    assert_eq!(scene.ask(&["CSC"]).await[0].gate, "g3");
    scene.until_item("CSC", "").await;
    scene.says("DAS", ConsentAnswer::Agreed, &["EHT"]).await;
    assert_eq!(scene.ask(&["EHT"]).await[0].gate, "g1");
    scene.until_item("EHT", "").await;
    scene.withdraws("DAS").await;
    scene.until_item("EHT", "view_retracted").await;
    let item = scene.until_item("CSC", "").await;
    assert_eq!(scene.open("CSC", &item.release).await.unwrap(), DETAIL);
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_that_was_away_while_the_hub_started_again_is_told_when_it_is_back() {
    let mut scene = Scene::released().await;
    scene.federation.stop_node("CSC").await;
    scene.withdraws("DAS").await;
    scene.until_item("EHT", "view_retracted").await;
    scene.until_shown("CSC", |one| one.retracted_at_unix_ms > 0).await;
    scene.federation.stop_hub().await;
    scene.federation.start_hub().await;
    scene.federation.start_node("CSC").await;
    scene.until_item("CSC", "view_retracted").await;
    assert!(scene.has_no_key("CSC"));
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn detail_that_is_overtaken_by_its_retraction_is_never_a_view() {
    let scene = Scene::new().await;
    let enquiry: EnquiryRef = id(&scene.enquiry.name);
    let until = scene.federation.now().checked_add(SignedDuration::from_hours(24)).unwrap();
    let key = scene.federation.inside("CSC").sealing.public_key().unwrap();
    let realm = scene.federation.realm();
    let (body, sealed) = parcel(realm, &enquiry, ("POL", "CSC"), &key, (DETAIL, until));
    let Body::Release(decision) = &body else { panic!() };
    let release = decision.release.to_string();
    let taken_back = scene.signed("POL", "POL", retraction(&release, "CSC"));
    scene.notify("CSC", &taken_back).await.unwrap();
    // The same notice again changes nothing.
    scene.notify("CSC", &taken_back).await.unwrap();
    assert_eq!(scene.inbox("CSC").await.1.len(), 1);
    let permit = scene.signed("POL", "POL", body);
    let head =
        envelope(&scene.federation.inside_hub(), std::time::Duration::from_secs(10)).unwrap();
    let request = pb::ReceiveRequest {
        request_id: head.request_id.to_string(),
        agreement_digest: head.agreement.as_bytes().to_vec(),
        valid_until_unix_ms: head.valid_until.as_millisecond(),
        release: Some(pb::SealedRelease { permit: Some((&permit).into()), sealed }),
    };
    scene.federation.as_hub("CSC").receive(request).await.unwrap();
    assert!(scene.has_no_key("CSC"));
    let refused = scene.open("CSC", &release).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("view_retracted"));
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_that_the_holder_did_not_sign_for_this_agency_closes_nothing() {
    let scene = Scene::released().await;
    let item = scene.until_item("CSC", "").await;
    let release = &item.release;
    for (notice, code) in [
        // Another party takes back what is not its own; or forges the holder's name; or names another recipient.
        (scene.signed("POL", "POL", retraction(release, "CSC")), "not_the_holder"),
        (scene.signed("DAS", "POL", retraction(release, "CSC")), "not_a_notice"),
        (scene.signed("DAS", "DAS", retraction(release, "EHT")), "not_a_notice"),
    ] {
        let refused = scene.notify("CSC", &notice).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{code}");
        assert_eq!(code_of(&refused), Some(code));
    }
    assert!(scene.inbox("CSC").await.1.is_empty());
    assert_eq!(scene.open("CSC", release).await.unwrap(), DETAIL);
    scene.federation.finish().await;
}
