//! A person's own agreement: recorded by one agency, believed by others by its signature, and taken back with everything
//! that rests on it.

use brag_common::{
    status::code_of,
    time::{SignedDuration, Timestamp},
    wire::pb::{self, Colour, ConsentAnswer, Decision, KnownConsent, ReleaseView},
};
use brag_tests::federation::{Enquiry, Federation, Holding, contains, eventually, id, person_of};
use tonic::{Code, Status};

/// What DAS holds about P1.
const MARKER: &str = "MARKER-C50 outreach since March";

/// What stays at the agency that recorded it.
const REASON: &str = "MARKER-REASON she is afraid that he reads her letters";

/// P1 is known to DAS, which holds her C50, to CSC and to EHT; HLT knows P2. Nobody is Red.
struct Agreed {
    federation: Federation,
    enquiry: Enquiry,
}

impl Agreed {
    async fn new() -> Self {
        let people = [person_of(0), person_of(1)];
        let federation = Federation::builder()
            .nodes(&["DAS", "CSC", "EHT"])
            .silent(&["POL"])
            .holds("DAS", Holding::of(people[0].clone()).entry("C50", MARKER).entry("C24", "x"))
            .holds("CSC", Holding::of(people[0].clone()))
            .holds("EHT", Holding::of(people[0].clone()))
            .start()
            .await;
        let enquiry = federation.open(&[("P1", &people[0]), ("P2", &people[1])]).await;
        for agency in ["DAS", "CSC", "EHT"] {
            federation.until_asked(agency, &enquiry, "P1").await;
        }
        Self { federation, enquiry }
    }

    fn request(&self, categories: &[&str], recipients: &[&str]) -> pb::RecordConsentRequest {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        pb::RecordConsentRequest {
            enquiry: self.enquiry.name.clone(),
            person: self.enquiry.person("P1"),
            answer: ConsentAnswer::Agreed.into(),
            categories: owned(categories),
            recipients: owned(recipients),
            ..pb::RecordConsentRequest::default()
        }
    }

    async fn record(
        &self,
        agency: &str,
        request: pb::RecordConsentRequest,
    ) -> Result<String, Status> {
        let mut desk = self.federation.assessor(agency);
        Ok(desk.record_consent(request).await?.into_inner().statement_id)
    }

    /// P1 agrees, and the hub has it.
    async fn agrees(&self, agency: &str, request: pb::RecordConsentRequest) -> String {
        let statement = self.record(agency, request).await.unwrap();
        self.until_at_hub(&statement).await;
        statement
    }

    async fn until_at_hub(&self, statement: &str) {
        let enquiry = id(&self.enquiry.name);
        eventually("the hub has the statement", async || {
            let kept = self.federation.inside_hub().store.statements(&enquiry).unwrap();
            let ids = kept.iter().map(|kept| kept.signed.read_unverified().unwrap().id);
            ids.into_iter().any(|id| id.as_str() == statement).then_some(())
        })
        .await;
    }

    async fn withdraws(&self, agency: &str) -> String {
        let request = pb::WithdrawConsentRequest {
            enquiry: self.enquiry.name.clone(),
            person: self.enquiry.person("P1"),
            reason: REASON.to_owned(),
        };
        let mut desk = self.federation.assessor(agency);
        let statement = desk.withdraw_consent(request).await.unwrap().into_inner().statement_id;
        self.until_at_hub(&statement).await;
        statement
    }

    async fn known(&self, agency: &str) -> Vec<KnownConsent> {
        let request = pb::ShowConsentRequest {
            enquiry: self.enquiry.name.clone(),
            person: self.enquiry.person("P1"),
        };
        let mut desk = self.federation.assessor(agency);
        desk.show_consent(request).await.unwrap().into_inner().consents
    }

    async fn ask(&self, category: &str, recipients: &[&str]) -> Vec<ReleaseView> {
        let asked = self.federation.ask_detail(&self.enquiry, "DAS", "P1", category, recipients);
        asked.await.unwrap()
    }

    /// The decision on C50 for CSC: its reason, or that it was released.
    async fn asked(&self, category: &str) -> String {
        let asked = self.ask(category, &["CSC"]).await.remove(0);
        match asked.decision() {
            Decision::Release => "RELEASE".to_owned(),
            _ => asked.reason,
        }
    }

    fn until(&self, length: SignedDuration) -> i64 {
        self.federation.now().checked_add(length).map_or(0, Timestamp::as_millisecond)
    }
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_that_says_nothing_or_what_nobody_may_agree_to_is_refused() {
    let scene = Agreed::new().await;
    let past = scene.federation.now().as_millisecond();
    let nothing = scene.request(&[], &["CSC"]);
    let nobody = scene.request(&["C50"], &[]);
    let never = scene.request(&["C43"], &["CSC"]);
    let unknown = scene.request(&["C99"], &["CSC"]);
    let stranger = scene.request(&["C50"], &["ZZZ"]);
    let over =
        pb::RecordConsentRequest { expires_at_unix_ms: past, ..scene.request(&["C50"], &["CSC"]) };
    let why_not = pb::RecordConsentRequest {
        not_asked_because: "x".repeat(601),
        ..scene.request(&["C50"], &["CSC"])
    };
    for (request, code) in [
        (nothing, "consent_names_nothing"),
        (nobody, "consent_names_nothing"),
        (never, "category_never"),
        (unknown, "category_never"),
        (stranger, "recipient_not_party"),
        (over, "consent_expired"),
        (why_not, "text_missing"),
    ] {
        let refused = scene.record("DAS", request).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{code}");
        assert_eq!(code_of(&refused), Some(code));
    }
    // Nobody vouches for what a person said whom their agency does not know.
    let of_p2 = pb::RecordConsentRequest {
        person: scene.enquiry.person("P2"),
        ..scene.request(&["C50"], &["CSC"])
    };
    let refused = scene.record("DAS", of_p2).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("commitment_not_opened"));
    let both = pb::RecordConsentRequest {
        asked_by: "das.other".to_owned(),
        not_asked_because: "no".to_owned(),
        ..scene.request(&["C50"], &["CSC"])
    };
    assert_eq!(scene.record("DAS", both).await.unwrap_err().code(), Code::InvalidArgument);
    assert!(scene.known("DAS").await.is_empty());
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_agency_recorded_opens_the_gate_at_another_by_its_signature() {
    let scene = Agreed::new().await;
    assert_eq!(scene.asked("C50").await, "CONSENT_REQUIRED");
    // CSC asked her; DAS holds the record.
    let agreement = pb::RecordConsentRequest {
        asked_by: "csc.visitor".to_owned(),
        expires_at_unix_ms: scene.until(DAY),
        ..scene.request(&["C50"], &["CSC", "EHT"])
    };
    scene.agrees("CSC", agreement).await;
    let released = scene.ask("C50", &["CSC", "EHT", "POL"]).await;
    let gates: Vec<_> =
        released.iter().map(|one| (one.gate.as_str(), one.reason.as_str())).collect();
    assert_eq!(gates, [("g1", ""), ("g1", ""), ("", "RECIPIENT_NOT_PERMITTED_FOR_GATE")]);
    // Under her own agreement the view never outlives it.
    assert_eq!(released[0].view_expires_at_unix_ms, scene.until(DAY));
    assert!(!released[0].obligations.iter().any(|word| word == "DO_NOT_TELL_SUBJECT"));
    assert_eq!(scene.asked("C24").await, "CATEGORY_NOT_IN_AGREEMENT");

    let known = scene.known("DAS").await.remove(0);
    assert_eq!((known.agency.as_str(), known.asked_by.as_str()), ("CSC", "csc.visitor"));
    assert_eq!((known.state.as_str(), known.stands.as_str()), ("valid", "valid"));
    assert_eq!(known.recorded_by, "csc.assessor");
    scene.federation.advance(DAY);
    assert_eq!(scene.asked("C50").await, "CONSENT_EXPIRED");
    assert_eq!(scene.known("DAS").await[0].stands, "expired");
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_withdrawn_and_expired_each_say_so_and_withdrawal_wins_over_expiry() {
    let scene = Agreed::new().await;
    let refusal = pb::RecordConsentRequest {
        answer: ConsentAnswer::Refused.into(),
        ..scene.request(&["C50"], &["CSC"])
    };
    scene.agrees("DAS", refusal).await;
    assert_eq!(scene.asked("C50").await, "CONSENT_REFUSED");
    scene.federation.advance(SignedDuration::from_secs(1));
    let agreement = pb::RecordConsentRequest {
        expires_at_unix_ms: scene.until(DAY),
        ..scene.request(&["C50"], &["CSC"])
    };
    scene.agrees("DAS", agreement).await;
    assert_eq!(scene.asked("C50").await, "RELEASE");
    scene.federation.advance(SignedDuration::from_secs(1));
    scene.withdraws("DAS").await;
    assert_eq!(scene.asked("C50").await, "CONSENT_WITHDRAWN");
    scene.federation.advance(DAY * 3);
    assert_eq!(scene.asked("C50").await, "CONSENT_WITHDRAWN");
    let known = scene.known("DAS").await;
    let stands: Vec<&str> = known.iter().map(|one| one.stands.as_str()).collect();
    assert_eq!(stands, ["taken_back", "taken_back", "withdrawn"]);
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_somebody_was_not_asked_and_why_they_withdrew_stays_at_the_agency() {
    let scene = Agreed::new().await;
    let agreement = pb::RecordConsentRequest {
        not_asked_because: REASON.to_owned(),
        ..scene.request(&["C50"], &["CSC"])
    };
    scene.agrees("CSC", agreement).await;
    scene.federation.advance(SignedDuration::from_secs(1));
    scene.withdraws("CSC").await;
    assert_eq!(scene.asked("C50").await, "CONSENT_WITHDRAWN");
    let own = scene.known("CSC").await;
    assert_eq!((own[0].not_asked_because.as_str(), own[0].asked_by.as_str()), (REASON, ""));
    assert_eq!(own[1].reason, REASON);
    let elsewhere = scene.known("DAS").await;
    assert_eq!(elsewhere.len(), 2);
    assert!(elsewhere.iter().all(|one| one.not_asked_because.is_empty() && one.reason.is_empty()));
    let enquiry = id(&scene.enquiry.name);
    let at_hub = scene.federation.inside_hub().store.statements(&enquiry).unwrap();
    assert!(at_hub.iter().all(|kept| !contains(&kept.signed.payload, "MARKER")));
    for folder in ["hub", "nodes/DAS", "nodes/CSC", "nodes/EHT"] {
        assert!(!contains(&scene.federation.bytes_below(folder), "MARKER"), "{folder}");
    }
    let log = scene.federation.log_of("CSC");
    let recorded = log.iter().filter(|entry| entry.action.word() == "consent_recorded");
    let by: Vec<_> = recorded.map(|entry| format!("{:?}", entry.actor)).collect();
    assert!(by.len() == 2 && by.iter().all(|actor| actor.contains("csc.assessor")));
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_gap_in_the_lawful_basis_refuses_what_the_category_needs() {
    let federation = Federation::builder()
        .nodes(&["SMS", "CSC"])
        .silent(&["POL"])
        .holds(
            "SMS",
            Holding::of(person_of(0))
                .entry("C33", "health")
                .entry("C10", "an offence")
                .entry("C40", "a tenancy"),
        )
        .holds("CSC", Holding::of(person_of(0)))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &person_of(0))]).await;
    federation.rate("SMS", &enquiry, "P1", Colour::Red).await;
    federation
        .until(&enquiry, "gate 3 is open", |s| s.people[0].gates.contains(&"g3".to_owned()))
        .await;
    type Gap = fn(&mut pb::LawfulBasis);
    // What every request states; then what special category data needs; then what offence data needs.
    let gaps: [(&str, Gap, &[&str]); 8] = [
        ("proportionality", |b| b.proportionality.clear(), &["C33", "C10", "C40"]),
        ("agreement_status", |b| b.agreement_status.clear(), &["C33", "C10", "C40"]),
        ("confidentiality", |b| b.confidentiality_justification.clear(), &["C33", "C10", "C40"]),
        ("gateway", |b| b.statutory_gateway.clear(), &["C33", "C10", "C40"]),
        ("not_asked_because", |b| b.not_asked_because.clear(), &["C33", "C10", "C40"]),
        ("art9", |b| b.art9_condition.clear(), &["C33"]),
        ("schedule", |b| b.dpa_schedule_para.clear(), &["C33"]),
        ("art10", |b| b.art10_authority.clear(), &["C10"]),
    ];
    for (name, gap, needing) in gaps {
        let mut basis = brag_tests::federation::lawful_basis();
        gap(&mut basis);
        for category in ["C33", "C10", "C40"] {
            let request = pb::RequestReleaseRequest {
                enquiry: enquiry.name.clone(),
                holder: "SMS".to_owned(),
                person: enquiry.person("P1"),
                category: category.to_owned(),
                recipients: vec!["CSC".to_owned()],
                lawful_basis: Some(basis.clone()),
                purpose: String::new(),
            };
            let asked = federation.coordinator().request_release(request).await.unwrap();
            let reason = asked.into_inner().releases.remove(0).reason;
            let expected = if needing.contains(&category) { "LAWFUL_BASIS_INCOMPLETE" } else { "" };
            assert_eq!(reason, expected, "{category} without {name}");
        }
    }
    federation.finish().await;
}
