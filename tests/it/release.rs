//! Detail: from the request to the eyes of one person at the recipient, with reviews, refusals and the end of the
//! view.

use brag_common::{
    matching::identity::Identity,
    status::code_of,
    time::SignedDuration,
    wire::pb::{self, AssertionKind, Colour, Decision, ReleaseView},
};
use brag_tests::federation::{
    Desk, Enquiry, Federation, Holding, contains, eventually, id, person_of,
};
use tonic::Code;

use crate::round::words_of;

/// In every category that the holder keeps.
const MARKERS: [(&str, &str); 3] = [
    ("C33", "MARKER-C33 drinks daily since the autumn"),
    ("C35", "MARKER-C35 methadone, supervised"),
    ("C42", "MARKER-C42 9 Weir Gardens"),
];

/// What the approver writes; it stays at the holder.
const REFUSAL: &str = "MARKER-REFUSAL he would find out who told";

/// SMS holds detail about P1; CSC knows P1 and P2; POL knows nobody.
struct Family {
    federation: Federation,
    enquiry: Enquiry,
    people: [Identity; 2],
}

impl Family {
    async fn new() -> Self {
        Self::under(|_| {}).await
    }

    async fn under(change: impl FnOnce(&mut toml_edit::DocumentMut) + 'static) -> Self {
        let people = [person_of(0), person_of(1)];
        let held = MARKERS.iter().fold(Holding::of(people[0].clone()), |holding, (code, text)| {
            holding.entry(code, text)
        });
        let federation = Federation::builder()
            .agreement(change)
            .nodes(&["SMS", "CSC", "POL"])
            .holds("SMS", held)
            .holds("CSC", Holding::of(people[0].clone()))
            .holds("CSC", Holding::of(people[1].clone()))
            .approver("SMS", "hub.coordinator")
            .start()
            .await;
        let enquiry = federation.open(&[("P1", &people[0]), ("P2", &people[1])]).await;
        Self { federation, enquiry, people }
    }

    /// SMS has rated P1 Red: gate 3 is open.
    async fn red() -> Self {
        let family = Self::new().await;
        family.federation.rate("SMS", &family.enquiry, "P1", Colour::Red).await;
        family.until_gate("g3").await;
        family
    }

    async fn until_gate(&self, gate: &str) {
        let what = format!("{gate} is open");
        self.federation
            .until(&self.enquiry, &what, |show| {
                show.people[0].gates.iter().any(|open| open == gate)
            })
            .await;
    }

    async fn ask(&self, category: &str, recipient: &str) -> ReleaseView {
        let asked =
            self.federation.ask_detail(&self.enquiry, "SMS", "P1", category, &[recipient]).await;
        asked.unwrap().remove(0)
    }

    async fn until_decided(&self, release: &ReleaseView, decision: Decision) -> ReleaseView {
        let name = release.release.clone();
        let show = self
            .federation
            .until(&self.enquiry, "the outcome has come", |show| {
                show.releases
                    .iter()
                    .any(|known| known.release == name && known.decision() == decision)
            })
            .await;
        show.releases.into_iter().find(|known| known.release == name).unwrap()
    }

    /// Nothing of a marker or a name stands unsealed in a file of any program.
    fn nothing_shows(&self) {
        for folder in ["hub", "nodes/SMS", "nodes/CSC", "nodes/POL"] {
            let bytes = self.federation.bytes_below(folder);
            for (_, marker) in MARKERS {
                assert!(!contains(&bytes, marker), "{folder}");
            }
            assert!(!contains(&bytes, REFUSAL) && !contains(&bytes, "MARKER"), "{folder}");
            for word in self.people.iter().flat_map(words_of) {
                assert!(!contains(&bytes, &word), "{folder}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_3_detail_reaches_its_recipient_and_is_nowhere_else() {
    let family = Family::red().await;
    let asked = family.ask("C33", "CSC").await;
    assert_eq!((asked.decision(), asked.gate.as_str()), (Decision::Release, "g3"), "{asked:?}");
    let mut desk = family.federation.assessor("CSC");
    let item = until_inbox(&mut desk).await;
    assert_eq!((item.holder.as_str(), item.category.as_str()), ("SMS", "C33"));
    assert!(item.obligations.iter().any(|obligation| obligation == "NO_ONWARD"));

    let refused = open(&mut desk, &item.release, false).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(code_of(&refused), Some("obligations_not_accepted"));
    assert!(!opened(&family.federation));

    assert_eq!(open(&mut desk, &item.release, true).await.unwrap(), MARKERS[0].1);
    let log = family.federation.log_of("CSC");
    let opening = log.iter().find(|entry| entry.action.word() == "detail_opened").unwrap();
    assert!(format!("{:?}", opening.actor).contains("csc.assessor"));
    assert_eq!(opening.release, Some(id(&item.release)));

    let relayed = family.until_decided(&asked, Decision::Release).await;
    assert!(relayed.relayed || !relayed.release.is_empty());
    family.nothing_shows();
    family.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_whose_time_has_passed_does_not_open() {
    let family = Family::red().await;
    family.ask("C33", "CSC").await;
    let mut desk = family.federation.assessor("CSC");
    let item = until_inbox(&mut desk).await;
    open(&mut desk, &item.release, true).await.unwrap();
    family.federation.advance(SignedDuration::from_hours(7 * 24));
    let refused = open(&mut desk, &item.release, true).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(code_of(&refused), Some("view_expired"));
    assert!(refused.message().contains("VIEW_EXPIRED"));
    family.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_7_below_the_threshold_what_is_held_and_what_is_not_get_the_same_answer() {
    let family = Family::new().await;
    family.federation.until_asked("SMS", &family.enquiry, "P1").await;
    let held = family.ask("C33", "CSC").await;
    let not_held = family.ask("C32", "CSC").await;
    assert_eq!(held.decision(), Decision::Deny);
    assert_eq!(held.reason, "CONSENT_REQUIRED");
    let shape = |view: &ReleaseView| {
        let mut view = view.clone();
        (view.release, view.category, view.asked_at_unix_ms) = Default::default();
        for step in &mut view.trace {
            step.rule = step.rule.replace("C32", "").replace("C33", "");
        }
        view
    };
    assert_eq!(shape(&held), shape(&not_held));
    // Above it, they differ.
    family.federation.rate("SMS", &family.enquiry, "P1", Colour::Red).await;
    family.until_gate("g3").await;
    assert_eq!(family.ask("C32", "CSC").await.reason, "NOTHING_HELD");
    family.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_7_an_unknown_category_recipient_or_purpose_is_refused_by_name() {
    let family = Family::red().await;
    assert_eq!(family.ask("C99", "CSC").await.reason, "CATEGORY_NEVER");
    let never = family.ask("C43", "CSC").await;
    assert_eq!(never.reason, "CATEGORY_NEVER");
    assert!(never.contact_route.contains("SMS"));
    assert_eq!(family.ask("C33", "ZZZ").await.reason, "RECIPIENT_NOT_PARTY");
    let mut request = pb::RequestReleaseRequest {
        enquiry: family.enquiry.name.clone(),
        holder: "SMS".to_owned(),
        person: family.enquiry.person("P1"),
        category: "C33".to_owned(),
        recipients: vec!["CSC".to_owned()],
        lawful_basis: Some(brag_tests::federation::lawful_basis()),
        purpose: "immigration_enforcement".to_owned(),
    };
    let mut coordinator = family.federation.coordinator();
    let asked = coordinator.request_release(request.clone()).await.unwrap().into_inner();
    assert_eq!(asked.releases[0].reason, "PURPOSE_NOT_PERMITTED");
    request.purpose = String::new();
    request.lawful_basis.as_mut().unwrap().necessity = String::new();
    let asked = coordinator.request_release(request).await.unwrap().into_inner();
    assert_eq!(asked.releases[0].reason, "NECESSITY_MISSING");
    family.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_10_two_approvers_are_two_people_and_neither_is_who_asked() {
    let family = Family::new().await;
    let federation = &family.federation;
    federation.until_asked("CSC", &family.enquiry, "P1").await;
    federation.until_asked("CSC", &family.enquiry, "P2").await;
    let people = vec![family.enquiry.person("P1"), family.enquiry.person("P2")];
    let mut assertion = pb::MakeAssertionRequest {
        enquiry: family.enquiry.name.clone(),
        people,
        ..pb::MakeAssertionRequest::default()
    };
    assertion.set_kind(AssertionKind::Section47);
    federation.assessor("CSC").make_assertion(assertion.clone()).await.unwrap();
    family.until_gate("g4").await;
    // Another kind of agency may not state it.
    federation.until_asked("SMS", &family.enquiry, "P1").await;
    let refused = federation.assessor("SMS").make_assertion(assertion).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("assertion_not_permitted"));

    let asked = family.ask("C42", "CSC").await;
    assert_eq!((asked.decision(), asked.approvals_needed), (Decision::Review, 2), "{asked:?}");
    assert_eq!(asked.reason, "PENDING_APPROVAL");
    let mut one = federation.approver("SMS", 1);
    let mut two = federation.approver("SMS", 2);
    let work = until_review(&mut one).await;
    let approve = || pb::ApproveRequest { work: work.clone(), ..Default::default() };
    let mut who_asked = federation.desk("SMS", "hub.coordinator");
    let refused = who_asked.approve(approve()).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("approver_is_requester"));
    assert_eq!(one.approve(approve()).await.unwrap().into_inner().approvals_needed, 1);
    let refused = one.approve(approve()).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("approved_already"));
    assert_eq!(
        federation
            .assessor("CSC")
            .inbox(pb::InboxRequest {})
            .await
            .unwrap()
            .into_inner()
            .items
            .len(),
        0
    );
    assert_eq!(two.approve(approve()).await.unwrap().into_inner().approvals_needed, 0);
    let released = family.until_decided(&asked, Decision::Release).await;
    assert_eq!(released.gate, "g4");

    let mut desk = federation.assessor("CSC");
    let item = until_inbox(&mut desk).await;
    assert!(item.obligations.iter().any(|obligation| obligation == "NO_HOME_CONTACT"));
    assert_eq!(open(&mut desk, &item.release, true).await.unwrap(), MARKERS[2].1);
    let log = federation.log_of("SMS");
    let approved = log.iter().filter(|entry| entry.action.word() == "review_approved");
    let names: Vec<_> = approved.map(|entry| format!("{:?}", entry.actor)).collect();
    assert_eq!(names.len(), 2);
    assert!(names[0].contains("sms.approver1") && names[1].contains("sms.approver2"));
    family.nothing_shows();
    family.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approver_refuses_and_the_reason_stays_with_the_holder() {
    let family = Family::red().await;
    let asked = family.ask("C35", "CSC").await;
    assert_eq!((asked.decision(), asked.approvals_needed), (Decision::Review, 1));
    let mut approver = family.federation.approver("SMS", 1);
    let work = until_review(&mut approver).await;
    let refuse = |reason: &str| pb::RefuseRequest { work: work.clone(), reason: reason.to_owned() };
    let refused = approver.refuse(refuse(" ")).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("reason_missing"));
    approver.refuse(refuse(REFUSAL)).await.unwrap();
    let denied = family.until_decided(&asked, Decision::Deny).await;
    assert_eq!(denied.reason, "APPROVER_REFUSED");
    // What has ended can not be approved any more.
    let late =
        approver.approve(pb::ApproveRequest { work, ..Default::default() }).await.unwrap_err();
    assert_eq!(late.code(), Code::NotFound);
    family.nothing_shows();
    family.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_that_is_approved_after_the_threshold_has_gone_releases_nothing() {
    let family = Family::under(|agreement| {
        agreement["freshness"]["red"] = toml_edit::value("1h");
    })
    .await;
    family.federation.rate("SMS", &family.enquiry, "P1", Colour::Red).await;
    family.until_gate("g3").await;
    let asked = family.ask("C35", "CSC").await;
    assert_eq!(asked.decision(), Decision::Review);
    // The Red no longer counts when the approver comes to it, in time.
    family.federation.advance(SignedDuration::from_mins(90));
    let mut approver = family.federation.approver("SMS", 1);
    let work = until_review(&mut approver).await;
    approver.approve(pb::ApproveRequest { work, ..Default::default() }).await.unwrap();
    let denied = family.until_decided(&asked, Decision::Deny).await;
    assert_eq!(denied.reason, "EVIDENCE_STALE");
    let items = family.federation.assessor("CSC").inbox(pb::InboxRequest {}).await.unwrap();
    assert!(items.into_inner().items.is_empty());
    family.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_9_the_logs_hold_references_and_nothing_about_anyone() {
    let family = Family::red().await;
    family.ask("C33", "CSC").await;
    let mut desk = family.federation.assessor("CSC");
    let item = until_inbox(&mut desk).await;
    open(&mut desk, &item.release, true).await.unwrap();
    for folder in ["hub", "nodes/SMS", "nodes/CSC", "nodes/POL"] {
        let bytes = family.federation.bytes_below(&format!("{folder}/data/log"));
        assert!(contains(&bytes, "service_started"), "the log of {folder} can be read");
        let basis = brag_tests::federation::lawful_basis();
        let mut forbidden: Vec<_> = family.people.iter().flat_map(words_of).collect();
        forbidden.extend([
            brag_tests::federation::ANALYSIS.to_owned(),
            basis.necessity,
            basis.proportionality,
            basis.not_asked_because,
            "source-0".to_owned(),
            "MARKER".to_owned(),
        ]);
        for word in forbidden {
            assert!(!contains(&bytes, &word), "{folder}");
        }
    }
    family.federation.finish().await;
}

async fn until_inbox(desk: &mut Desk) -> pb::InboxItem {
    eventually("detail is in the inbox", async || {
        desk.inbox(pb::InboxRequest {}).await.ok()?.into_inner().items.pop()
    })
    .await
}

async fn until_review(desk: &mut Desk) -> String {
    eventually("a release waits for approval", async || {
        let list = desk.worklist(pb::WorklistRequest {}).await.ok()?.into_inner();
        list.reviews.first().map(|review| review.work.clone())
    })
    .await
}

async fn open(desk: &mut Desk, release: &str, accepted: bool) -> Result<String, tonic::Status> {
    let request =
        pb::OpenDetailRequest { release: release.to_owned(), obligations_accepted: accepted };
    Ok(desk.open_detail(request).await?.into_inner().text)
}

fn opened(federation: &Federation) -> bool {
    federation.log_of("CSC").iter().any(|entry| entry.action.word() == "detail_opened")
}
