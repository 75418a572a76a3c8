//! Releases that wait for people at the holder: who may act and until when, what goes in the place of what is held, and how
//! each end reaches the hub once.

use brag_common::{
    audit::entry::Actor,
    matching::identity::Identity,
    reason::Reason,
    status::code_of,
    time::SignedDuration,
    wire::pb::{self, AssertionKind, Colour, Decision, ReleaseView, ReviewStage},
};
use brag_tests::federation::{
    Desk, Enquiry, Federation, Holding, contains, eventually, id, lawful_basis, person_of,
};
use tonic::Status;

/// What the holder keeps; of the second only a redacted text may go.
const HELD: [(&str, &str); 2] = [
    ("C35", "MARKER-C35 methadone, supervised; the neighbour at 7 told us"),
    ("C42", "MARKER-C42 9 Weir Gardens"),
];

/// What goes in its place.
const REDACTED: &str = "MARKED-REDACTED in treatment,\n\tsupervised daily";

/// Why; it stays at the holder.
const BECAUSE: &str = "MARKED-BECAUSE names the neighbour";

/// SMS holds detail about P1, whom CSC knows too.
struct Waiting {
    federation: Federation,
    enquiry: Enquiry,
}

impl Waiting {
    async fn new() -> Self {
        Self::holding(|person| Holding::of(person.clone())).await
    }

    async fn holding(holding: impl FnOnce(&Identity) -> Holding) -> Self {
        let person = person_of(0);
        let held = HELD.iter().fold(holding(&person), |held, (code, text)| held.entry(code, text));
        let federation = Federation::builder()
            .nodes(&["SMS", "CSC"])
            .silent(&["POL"])
            .holds("SMS", held)
            .holds("CSC", Holding::of(person.clone()))
            .start()
            .await;
        let enquiry = federation.open(&[("P1", &person)]).await;
        Self { federation, enquiry }
    }

    /// SMS has rated P1 Red at nine o'clock on a Tuesday: the clock of a Red runs for four working hours.
    async fn red() -> Self {
        let waiting = Self::new().await;
        waiting.rate_red().await;
        waiting
    }

    async fn rate_red(&self) {
        self.federation.rate("SMS", &self.enquiry, "P1", Colour::Red).await;
        self.until_gate("g3").await;
    }

    /// CSC has asserted section 47.
    async fn section_47() -> Self {
        let waiting = Self::new().await;
        waiting.federation.until_asked("CSC", &waiting.enquiry, "P1").await;
        section_47(&waiting.federation, &waiting.enquiry, &["P1"]).await;
        waiting.until_gate("g4").await;
        waiting
    }

    async fn until_gate(&self, gate: &str) {
        until_gate(&self.federation, &self.enquiry, gate).await;
    }

    /// Asks for detail that has to wait.
    async fn ask(&self, category: &str) -> ReleaseView {
        let asked =
            self.federation.ask_detail(&self.enquiry, "SMS", "P1", category, &["CSC"]).await;
        let asked = asked.unwrap().remove(0);
        assert_eq!(asked.decision(), Decision::Review, "{asked:?}");
        assert_eq!(asked.reason, "PENDING_APPROVAL");
        asked
    }

    /// Waits until the hub shows a release as `wanted` says.
    async fn until(
        &self,
        release: &ReleaseView,
        what: &str,
        wanted: impl Fn(&ReleaseView) -> bool,
    ) -> ReleaseView {
        until(&self.federation, &self.enquiry, release, what, wanted).await
    }

    async fn until_denied(&self, release: &ReleaseView) -> ReleaseView {
        self.until(release, "it is refused", |view| view.decision() == Decision::Deny).await
    }

    /// Entries of the holder's log with this action.
    fn recorded(&self, action: &str) -> usize {
        let log = self.federation.log_of("SMS");
        log.iter().filter(|entry| entry.action.word() == action).count()
    }

    /// What the hub's log says was decided in the end, for this reason; `None`: released.
    fn told_to_hub(&self, reason: Option<Reason>) -> usize {
        let word = if reason.is_some() { "deny" } else { "release" };
        let log = self.federation.hub_log();
        log.iter()
            .filter(|entry| {
                entry.action.word() == "release_decided"
                    && entry.reason == reason
                    && entry.decision.as_ref().is_some_and(|decision| decision.as_str() == word)
            })
            .count()
    }

    async fn restart_both(&mut self) {
        self.federation.stop_node("SMS").await;
        self.federation.stop_hub().await;
        self.federation.start_hub().await;
        self.federation.start_node("SMS").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deputy_neither_sees_nor_decides_anything_before_half_of_the_clock_and_then_may() {
    let waiting = Waiting::red().await;
    let federation = &waiting.federation;
    let asked = waiting.ask("C35").await;
    let work = until_work(&mut federation.approver("SMS", 1)).await.work;
    let mut deputy = federation.deputy("SMS");
    federation.advance(SignedDuration::from_mins(119));
    let seen = deputy.worklist(pb::WorklistRequest {}).await.unwrap().into_inner();
    assert!(seen.reviews.is_empty() && seen.ratings.is_empty());
    let refused = approve(&mut deputy, &work).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("not_escalated"));
    let refusal = pb::RefuseRequest { work: work.clone(), reason: "No.".to_owned() };
    let refused = deputy.refuse(refusal).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("not_escalated"));
    // An assessor does not approve, and is not shown what others have to.
    let mut assessor = federation.assessor("SMS");
    let seen = assessor.worklist(pb::WorklistRequest {}).await.unwrap().into_inner();
    assert!(seen.reviews.is_empty());

    federation.advance(SignedDuration::from_mins(1));
    let seen = until_work(&mut deputy).await;
    assert_eq!((seen.work.as_str(), seen.escalated_at_unix_ms), (work.as_str(), ms("11:00")));
    assert_eq!(waiting.recorded("review_escalated"), 1);
    waiting
        .until(&asked, "it waits for a deputy", |view| {
            view.review_stage() == ReviewStage::DeputyApprover
        })
        .await;
    assert_eq!(approve(&mut deputy, &work).await.unwrap().approvals_needed, 0);
    waiting.until(&asked, "it is released", |view| view.relayed).await;
    assert_eq!(read(federation, &asked).await, HELD[0].1);
    let log = federation.log_of("SMS");
    let approval = log.iter().find(|entry| entry.action.word() == "review_approved").unwrap();
    let deputy = Actor::Staff { name: id("sms.deputy"), role: "deputy".parse().unwrap() };
    assert_eq!(approval.actor, deputy);
    waiting.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_decides_in_time_is_refused_and_the_hub_is_told_once_over_restarts() {
    let mut waiting = Waiting::red().await;
    let asked = waiting.ask("C35").await;
    let mut approver = waiting.federation.approver("SMS", 1);
    let work = until_work(&mut approver).await.work;
    waiting.federation.advance(SignedDuration::from_mins(120));
    eventually("it is escalated", async || {
        (waiting.recorded("review_escalated") == 1).then_some(())
    })
    .await;
    // The hub is away when the time is over, and the node starts again before it is back.
    waiting.federation.stop_hub().await;
    waiting.federation.advance(SignedDuration::from_mins(120));
    let late = approve(&mut approver, &work).await.unwrap_err();
    assert!(matches!(code_of(&late), Some("APPROVAL_TIMEOUT" | "not_found")), "{late:?}");
    eventually("its time is over", async || {
        (waiting.recorded("review_expired") == 1).then_some(())
    })
    .await;
    let list = approver.worklist(pb::WorklistRequest {}).await.unwrap().into_inner();
    assert!(list.reviews.is_empty());
    waiting.federation.stop_node("SMS").await;
    waiting.federation.start_node("SMS").await;
    waiting.federation.start_hub().await;
    let denied = waiting.until_denied(&asked).await;
    assert_eq!(denied.reason, "APPROVAL_TIMEOUT");
    assert_eq!((denied.review_stage(), denied.review_until_unix_ms), (ReviewStage::Unspecified, 0));

    waiting.restart_both().await;
    // Whatever was still to be said is said before the next thing.
    let next = waiting.ask("C35").await;
    waiting.federation.advance(SignedDuration::from_hours(24));
    waiting.until_denied(&next).await;
    assert_eq!((waiting.recorded("review_escalated"), waiting.recorded("review_expired")), (1, 2));
    assert_eq!(waiting.told_to_hub(Some(Reason::ApprovalTimeout)), 2);
    waiting.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_away_at_the_end_of_the_clock_refuses_when_it_is_back() {
    let mut waiting = Waiting::red().await;
    let asked = waiting.ask("C35").await;
    waiting.federation.stop_node("SMS").await;
    waiting.federation.advance(SignedDuration::from_hours(5));
    waiting.federation.start_node("SMS").await;
    assert_eq!(waiting.until_denied(&asked).await.reason, "APPROVAL_TIMEOUT");
    assert_eq!((waiting.recorded("review_escalated"), waiting.recorded("review_expired")), (0, 1));
    assert_eq!(waiting.told_to_hub(Some(Reason::ApprovalTimeout)), 1);
    waiting.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_2_a_review_goes_on_waiting_until_its_end_can_be_recorded() {
    let waiting = Waiting::red().await;
    let asked = waiting.ask("C35").await;
    let mut approver = waiting.federation.approver("SMS", 1);
    let work = until_work(&mut approver).await.work;
    let switch = waiting.federation.fault_switch("SMS").clone();
    switch.fail_writes();
    // The log finds out by what it has to record.
    let refused = approve(&mut approver, &work).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("log_unavailable"));
    waiting.federation.advance(SignedDuration::from_hours(4));
    let late = approve(&mut approver, &work).await.unwrap_err();
    assert_eq!(code_of(&late), Some("APPROVAL_TIMEOUT"));
    let show = waiting.federation.show(&waiting.enquiry.name).await;
    assert_eq!(show.releases[0].decision(), Decision::Review);
    assert_eq!(waiting.recorded("review_expired"), 0);
    switch.heal();
    assert_eq!(waiting.until_denied(&asked).await.reason, "APPROVAL_TIMEOUT");
    assert_eq!((waiting.recorded("review_approved"), waiting.recorded("review_expired")), (0, 1));
    waiting.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_and_a_release_reach_a_hub_that_was_away_once_each() {
    let mut waiting = Waiting::red().await;
    let (refused, released) = (waiting.ask("C35").await, waiting.ask("C35").await);
    waiting.federation.stop_hub().await;
    let mut approver = waiting.federation.approver("SMS", 1);
    let list = approver.worklist(pb::WorklistRequest {}).await.unwrap().into_inner().reviews;
    let work = |view: &ReleaseView| {
        list.iter().find(|work| work.release == view.release).unwrap().work.clone()
    };
    let request = pb::RefuseRequest { work: work(&refused), reason: BECAUSE.to_owned() };
    approver.refuse(request).await.unwrap();
    approve(&mut approver, &work(&released)).await.unwrap();
    waiting.restart_both().await;
    assert_eq!(waiting.until_denied(&refused).await.reason, "APPROVER_REFUSED");
    waiting.until(&released, "it is released", |view| view.relayed).await;
    assert_eq!(read(&waiting.federation, &released).await, HELD[0].1);

    waiting.restart_both().await;
    let next = waiting.ask("C35").await;
    waiting.federation.advance(SignedDuration::from_hours(24));
    waiting.until_denied(&next).await;
    assert_eq!(waiting.told_to_hub(Some(Reason::ApproverRefused)), 1);
    assert_eq!(waiting.told_to_hub(None), 1);
    let received = waiting.federation.log_of("CSC");
    let received = received.iter().filter(|entry| entry.action.word() == "detail_received");
    assert_eq!(received.count(), 1);
    waiting.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_requester_sees_who_must_act_and_until_when_and_how_many_more() {
    let waiting = Waiting::section_47().await;
    let federation = &waiting.federation;
    // Section 47 runs by night: a day from nine o'clock.
    let asked = waiting.ask("C42").await;
    let seen = |view: &ReleaseView| {
        (view.approvals_needed, view.review_stage(), view.review_until_unix_ms)
    };
    let until = ms("09:00") + 24 * 3_600_000;
    assert_eq!(seen(&asked), (2, ReviewStage::Approver, until));
    let mut one = federation.approver("SMS", 1);
    let work = until_work(&mut one).await;
    assert_eq!((work.escalates_at_unix_ms, work.decide_by_unix_ms), (ms("21:00"), until));
    approve(&mut one, &work.work).await.unwrap();
    let wanted = (1, ReviewStage::Approver, until);
    waiting.until(&asked, "one more has to approve", |view| seen(view) == wanted).await;
    federation.advance(SignedDuration::from_hours(12));
    let wanted = (1, ReviewStage::DeputyApprover, until);
    let shown = waiting.until(&asked, "a deputy may approve", |view| seen(view) == wanted).await;
    assert!(!format!("{shown:?}").contains("sms."), "no name of the holder's staff");
    // Escalated or not, one person is one approval.
    let refused = approve(&mut one, &work.work).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("approved_already"));
    approve(&mut federation.deputy("SMS"), &work.work).await.unwrap();
    let released = waiting.until(&asked, "it is released", |view| view.relayed).await;
    assert_eq!(seen(&released), (0, ReviewStage::Unspecified, 0));
    waiting.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_approvers_approve_the_same_text_or_the_first_approval_no_longer_counts() {
    let waiting = Waiting::section_47().await;
    let federation = &waiting.federation;
    let asked = waiting.ask("C42").await;
    let (mut one, mut two) = (federation.approver("SMS", 1), federation.approver("SMS", 2));
    let work = until_work(&mut one).await.work;
    assert_eq!(approve(&mut one, &work).await.unwrap().approvals_needed, 1);
    // The second approves another text than what is held.
    let other = redact(&mut two, &work, "Within the county.", BECAUSE).await.unwrap();
    assert_eq!((other.approvals_needed, other.approvals_dropped), (1, 1));
    let again = redact(&mut two, &work, " Within the county.\n", BECAUSE).await.unwrap_err();
    assert_eq!(code_of(&again), Some("approved_already"));
    let first = until_work(&mut one).await.redaction.unwrap();
    assert_eq!((first.text.as_str(), first.by.as_str()), ("Within the county.", "sms.approver2"));
    assert_eq!(first.reason, BECAUSE);
    // So does the first: and what the second gave is no longer what is approved.
    let other = redact(&mut one, &work, REDACTED, BECAUSE).await.unwrap();
    assert_eq!((other.approvals_needed, other.approvals_dropped), (1, 1));
    let stale = as_redacted(&mut two, &work, &first.name).await.unwrap_err();
    assert_eq!(code_of(&stale), Some("redaction_changed"));
    let second = until_work(&mut two).await;
    assert_eq!((second.approvals_given, second.approvals_needed), (1, 2));
    let done = as_redacted(&mut two, &work, &second.redaction.unwrap().name).await.unwrap();
    assert_eq!((done.approvals_needed, done.approvals_dropped), (0, 0));
    let released = waiting.until(&asked, "it is released", |view| view.relayed).await;
    assert!(released.obligations.iter().any(|word| word == "THIRD_PARTY_REDACTED"));
    assert_eq!(read(federation, &asked).await, REDACTED);
    waiting.federation.finish().await;
}

/// Row 2.7 of the second scenario: a safety plan that also names others leaves redacted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_1_what_is_also_about_others_leaves_redacted_and_nothing_of_the_original_does() {
    let person = person_of(0);
    let mut held = Holding::of(person.clone()).entry("C51", HELD[0].1);
    held.third_party = true;
    let federation = Federation::builder()
        .nodes(&["DAS", "CSC"])
        .silent(&["POL"])
        .holds("DAS", held)
        .holds("CSC", Holding::of(person.clone()))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &person)]).await;
    federation.rate("DAS", &enquiry, "P1", Colour::Red).await;
    until_gate(&federation, &enquiry, "g3").await;
    let asked = federation.ask_detail(&enquiry, "DAS", "P1", "C51", &["CSC"]).await;
    let asked = asked.unwrap().remove(0);
    assert_eq!((asked.decision(), asked.gate.as_str()), (Decision::Review, "g3"));
    let mut approver = federation.approver("DAS", 1);
    let waits = until_work(&mut approver).await;
    assert!(waits.must_be_redacted && waits.redaction.is_none());
    let whole = approve(&mut approver, &waits.work).await.unwrap_err();
    assert_eq!(code_of(&whole), Some("THIRD_PARTY_DATA"));
    let long = "y".repeat(brag_common::release::MAX_REDACTED_BYTES + 1);
    for (text, reason, code) in [
        (REDACTED, " ", "reason_missing"),
        (" \n", BECAUSE, "redaction_not_accepted"),
        ("\u{1b}[2J", BECAUSE, "redaction_not_accepted"),
        (long.as_str(), BECAUSE, "redaction_not_accepted"),
    ] {
        let refused = redact(&mut approver, &waits.work, text, reason).await.unwrap_err();
        assert_eq!(code_of(&refused), Some(code));
    }
    let done = redact(&mut approver, &waits.work, REDACTED, BECAUSE).await.unwrap();
    assert_eq!(done.approvals_needed, 0);
    until(&federation, &enquiry, &asked, "it is released", |view| view.relayed).await;
    let mut desk = federation.assessor("CSC");
    let item = desk.inbox(pb::InboxRequest {}).await.unwrap().into_inner().items.remove(0);
    assert!(item.obligations.iter().any(|word| word == "THIRD_PARTY_REDACTED"));
    assert_eq!(read(&federation, &asked).await, REDACTED);

    let log = federation.log_of("DAS");
    let approval = log.iter().find(|entry| entry.action.word() == "review_approved").unwrap();
    assert!(format!("{:?}", approval.actor).contains("das.approver1"));
    assert_eq!(approval.decision.as_ref().unwrap().as_str(), "redacted");
    let sealed = log.iter().find(|entry| entry.action.word() == "detail_sealed").unwrap();
    assert!(sealed.obligations.iter().any(|word| word.as_str() == "THIRD_PARTY_REDACTED"));
    for folder in ["hub", "nodes/DAS", "nodes/CSC"] {
        let bytes = federation.bytes_below(folder);
        for text in ["MARKER", "MARKED", "neighbour", "methadone", "supervised"] {
            assert!(!contains(&bytes, text), "{text} in {folder}");
        }
    }
    federation.finish().await;
}

/// Rows 4.2 and 4.5 of the fourth scenario: section 47 from Friday night, offence data on Saturday, the child's voice on Monday.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_under_section_47_runs_over_the_weekend_and_the_gate_is_open_on_monday() {
    let (father, child) = (person_of(0), person_of(1));
    let federation = Federation::builder()
        .nodes(&["POL", "EDU", "CSC"])
        .holds("POL", Holding::of(father.clone()).entry("C14", HELD[0].1))
        .holds("EDU", Holding::of(child.clone()).entry("C21", HELD[1].1))
        .holds("CSC", Holding::of(father.clone()))
        .holds("CSC", Holding::of(child.clone()))
        .start()
        .await;
    // From Tuesday, 09:00 to Friday, 23:00.
    federation.advance(SignedDuration::from_hours(3 * 24 + 14));
    let enquiry = federation.open(&[("P2", &father), ("P4", &child)]).await;
    for label in ["P2", "P4"] {
        federation.until_asked("CSC", &enquiry, label).await;
    }
    federation.until_asked("POL", &enquiry, "P2").await;
    federation.until_asked("EDU", &enquiry, "P4").await;
    section_47(&federation, &enquiry, &["P2", "P4"]).await;
    until_gate(&federation, &enquiry, "g4").await;

    federation.advance(SignedDuration::from_mins(10 * 60 + 10));
    let mut basis = lawful_basis();
    basis.art10_authority = String::new();
    let request = pb::RequestReleaseRequest {
        enquiry: enquiry.name.clone(),
        holder: "POL".to_owned(),
        person: enquiry.person("P2"),
        category: "C14".to_owned(),
        recipients: vec!["CSC".to_owned()],
        lawful_basis: Some(basis),
        purpose: String::new(),
    };
    let refused = federation.coordinator().request_release(request).await.unwrap().into_inner();
    assert_eq!(refused.releases[0].reason, "LAWFUL_BASIS_INCOMPLETE");
    let saturday = federation.now().as_millisecond();
    let rows = [("POL", "P2", "C14", HELD[0].1), ("EDU", "P4", "C21", HELD[1].1)];
    for (holder, label, category, text) in rows {
        if holder == "EDU" {
            // From Saturday, 09:10 to Monday, 08:45.
            federation.advance(SignedDuration::from_mins(47 * 60 + 35));
        }
        let asked = federation.ask_detail(&enquiry, holder, label, category, &["CSC"]).await;
        let asked = asked.unwrap().remove(0);
        assert_eq!((asked.decision(), asked.gate.as_str()), (Decision::Review, "g4"), "{asked:?}");
        if holder == "POL" {
            assert_eq!(asked.review_until_unix_ms, saturday + 24 * 3_600_000);
        }
        let mut approver = federation.approver(holder, 1);
        let work = until_work(&mut approver).await.work;
        approve(&mut approver, &work).await.unwrap();
        until(&federation, &enquiry, &asked, "it is released", |view| view.relayed).await;
        assert_eq!(read(&federation, &asked).await, text);
    }
    federation.finish().await;
}

async fn section_47(federation: &Federation, enquiry: &Enquiry, labels: &[&str]) {
    let mut assertion = pb::MakeAssertionRequest {
        enquiry: enquiry.name.clone(),
        people: labels.iter().map(|label| enquiry.person(label)).collect(),
        ..pb::MakeAssertionRequest::default()
    };
    assertion.set_kind(AssertionKind::Section47);
    federation.assessor("CSC").make_assertion(assertion).await.unwrap();
}

async fn until_gate(federation: &Federation, enquiry: &Enquiry, gate: &str) {
    let what = format!("{gate} is open");
    federation
        .until(enquiry, &what, |show| show.people[0].gates.iter().any(|open| open == gate))
        .await;
}

async fn until(
    federation: &Federation,
    enquiry: &Enquiry,
    release: &ReleaseView,
    what: &str,
    wanted: impl Fn(&ReleaseView) -> bool,
) -> ReleaseView {
    let is_it = |view: &&ReleaseView| view.release == release.release;
    let show = federation
        .until(enquiry, what, |show| show.releases.iter().find(is_it).is_some_and(&wanted))
        .await;
    show.releases.iter().find(is_it).unwrap().clone()
}

/// The one thing that waits for whoever looks.
async fn until_work(desk: &mut Desk) -> pb::ReviewWork {
    eventually("a release waits for approval", async || {
        let list = desk.worklist(pb::WorklistRequest {}).await.ok()?.into_inner();
        assert!(list.reviews.len() < 2);
        list.reviews.into_iter().next()
    })
    .await
}

async fn approve(desk: &mut Desk, work: &str) -> Result<pb::ApproveResponse, Status> {
    let request = pb::ApproveRequest { work: work.to_owned(), ..pb::ApproveRequest::default() };
    Ok(desk.approve(request).await?.into_inner())
}

async fn redact(
    desk: &mut Desk,
    work: &str,
    text: &str,
    reason: &str,
) -> Result<pb::ApproveResponse, Status> {
    let request = pb::ApproveRequest {
        work: work.to_owned(),
        redacted_text: text.to_owned(),
        reason: reason.to_owned(),
        redaction: String::new(),
    };
    Ok(desk.approve(request).await?.into_inner())
}

async fn as_redacted(
    desk: &mut Desk,
    work: &str,
    redaction: &str,
) -> Result<pb::ApproveResponse, Status> {
    let request = pb::ApproveRequest {
        work: work.to_owned(),
        redaction: redaction.to_owned(),
        ..pb::ApproveRequest::default()
    };
    Ok(desk.approve(request).await?.into_inner())
}

/// What CSC's assessor reads of a release.
async fn read(federation: &Federation, release: &ReleaseView) -> String {
    let request =
        pb::OpenDetailRequest { release: release.release.clone(), obligations_accepted: true };
    federation.assessor("CSC").open_detail(request).await.unwrap().into_inner().text
}

/// A time of the day on which every federation begins, in milliseconds since 1970.
fn ms(time: &str) -> i64 {
    let at: brag_common::time::Timestamp = format!("2027-02-09T{time}:00Z").parse().unwrap();
    at.as_millisecond()
}
