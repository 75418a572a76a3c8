//! Detail at its recipient: what is shown before it opens, what is kept of it, and every way in which it ends, for good.

use std::{fs, path::Path};

use brag_agency_node::views::blob_place;
use brag_common::{
    audit::Entry,
    matching::identity::Identity,
    seal::SealingPublicKey,
    statement::{Body, SignedStatement, Statement},
    status::code_of,
    time::{SignedDuration, Timestamp},
    wire::pb::{self, Colour, Decision, InboxItem},
};
use brag_hub::round::envelope;
use brag_tests::federation::{
    Enquiry, Federation, Holding, contains, eventually, fresh, id, person_of,
};
use tonic::{Code, Status};

use crate::scene::parcel;

/// What the holder keeps of P1, and CSC is released.
const MARKER: &str = "MARKER-C33 drinks daily since the autumn";

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// SMS has rated P1 Red; its C33 lies in the inbox of CSC.
struct Released {
    federation: Federation,
    enquiry: Enquiry,
    father: Identity,
    item: InboxItem,
}

impl Released {
    async fn new() -> Self {
        Self::under(|_| {}).await
    }

    async fn under(change: impl FnOnce(&mut toml_edit::DocumentMut) + 'static) -> Self {
        let father = person_of(0);
        let federation = Federation::builder()
            .nodes(&["SMS", "CSC"])
            .silent(&["POL"])
            .holds("SMS", Holding::of(father.clone()).entry("C33", MARKER))
            .holds("CSC", Holding::of(father.clone()))
            .agreement(change)
            .start()
            .await;
        let enquiry = federation.open(&[("P1", &father)]).await;
        federation.rate("SMS", &enquiry, "P1", Colour::Red).await;
        federation
            .until(&enquiry, "gate 3 is open", |show| {
                show.people[0].gates.iter().any(|gate| gate == "g3")
            })
            .await;
        federation.until_asked("CSC", &enquiry, "P1").await;
        let asked = federation.ask_detail(&enquiry, "SMS", "P1", "C33", &["CSC"]).await.unwrap();
        assert_eq!(asked[0].decision(), Decision::Release, "{asked:?}");
        let item = until_inbox(&federation, "CSC", |_| true).await;
        Self { federation, enquiry, father, item }
    }

    async fn open(&self) -> Result<String, Status> {
        open(&self.federation, "CSC", &self.item.release).await
    }

    async fn until_closed(&self, why: &str) {
        let release = &self.item.release;
        until_inbox(&self.federation, "CSC", |item| item.release == *release && item.closed == why)
            .await;
    }

    /// The only file in the folder of view keys.
    fn key(&self) -> Vec<u8> {
        fs::read(self.key_folder().join(&self.item.release)).unwrap()
    }

    fn key_folder(&self) -> std::path::PathBuf {
        self.federation.node_settings("CSC").view_key_folder()
    }

    fn has_no_key(&self) -> bool {
        fs::read_dir(self.key_folder()).unwrap().next().is_none()
    }
}

async fn open(federation: &Federation, agency: &str, release: &str) -> Result<String, Status> {
    let request = pb::OpenDetailRequest { release: release.to_owned(), obligations_accepted: true };
    Ok(federation.assessor(agency).open_detail(request).await?.into_inner().text)
}

async fn inbox(federation: &Federation, agency: &str) -> Vec<InboxItem> {
    let answer = federation.assessor(agency).inbox(pb::InboxRequest {}).await.unwrap();
    answer.into_inner().items
}

pub(crate) async fn until_inbox(
    federation: &Federation,
    agency: &str,
    wanted: impl Fn(&InboxItem) -> bool,
) -> InboxItem {
    eventually("the inbox is as it should be", async || {
        inbox(federation, agency).await.into_iter().find(|item| wanted(item))
    })
    .await
}

fn entries<'a>(log: &'a [Entry], action: &str) -> Vec<&'a Entry> {
    log.iter().filter(|entry| entry.action.word() == action).collect()
}

fn word(entry: &Entry) -> &str {
    entry.decision.as_ref().unwrap().as_str()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x15_after_its_time_a_view_is_expired_and_nothing_on_the_disk_holds_its_key() {
    let scene = Released::new().await;
    assert_eq!(scene.open().await.unwrap(), MARKER);
    let key = scene.key();
    assert_eq!(key.len(), 32);
    scene.federation.advance(WEEK);
    // Nobody opens it: the node's own timer ends it.
    scene.until_closed("view_expired").await;
    assert!(scene.has_no_key());
    let disk = scene.federation.bytes_below("nodes/CSC");
    assert!(!disk.windows(16).any(|part| part == &key[..16]), "the key is still on the disk");
    let refused = scene.open().await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(code_of(&refused), Some("view_expired"));
    assert!(refused.message().contains("VIEW_EXPIRED"));
    let place = blob_place(&id(&scene.enquiry.name), &id(&scene.item.release));
    assert!(scene.federation.inside("CSC").store.blob(&place).unwrap().is_none());

    let log = scene.federation.log_of("CSC");
    let closed = entries(&log, "detail_closed");
    assert_eq!(closed.iter().map(|entry| word(entry)).collect::<Vec<_>>(), ["view_expired"]);
    // Who wanted to open what had ended is recorded like whoever opened it.
    for (action, n) in [("detail_opened", 1), ("detail_expired", 1)] {
        let of = entries(&log, action);
        assert_eq!(of.len(), n, "{action}");
        assert!(of.iter().all(|entry| format!("{:?}", entry.actor).contains("csc.assessor")));
    }
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_data_that_is_put_back_opens_no_view_that_has_ended() {
    let mut scene = Released::new().await;
    let data = scene.federation.node_settings("CSC").data.as_path().to_owned();
    let copy = data.with_file_name("a-copy");
    scene.federation.stop_node("CSC").await;
    copy_folder(&data, &copy);
    let key = scene.key();
    let copied = scene.federation.bytes_below("nodes/CSC/a-copy");
    assert!(!copied.windows(16).any(|part| part == &key[..16]), "the copy has the key");
    scene.federation.start_node("CSC").await;
    assert_eq!(scene.open().await.unwrap(), MARKER, "a restart ends no view");
    scene.federation.advance(WEEK);
    scene.until_closed("view_expired").await;

    scene.federation.stop_node("CSC").await;
    put_back(&copy, &data);
    scene.federation.start_node("CSC").await;
    let refused = scene.open().await.unwrap_err();
    assert_eq!(code_of(&refused), Some("view_expired"));

    // Nor with a clock that is put back as well: the time is not what keeps it shut.
    scene.federation.stop_node("CSC").await;
    put_back(&copy, &data);
    scene.federation.advance(-WEEK);
    scene.federation.start_node("CSC").await;
    let refused = scene.open().await.unwrap_err();
    assert_eq!(code_of(&refused), Some("view_key_missing"));
    assert!(refused.message().contains("VIEW_CLOSED"));
    let log = scene.federation.log_of("CSC");
    let refused: Vec<_> = entries(&log, "detail_expired").iter().map(|entry| word(entry)).collect();
    assert_eq!(refused, ["view_key_missing"]);
    scene.federation.finish().await;
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.path().is_dir() {
            copy_folder(&item.path(), &target);
        } else {
            fs::copy(item.path(), target).unwrap();
        }
    }
}

fn put_back(copy: &Path, data: &Path) {
    fs::remove_dir_all(data).unwrap();
    copy_folder(copy, data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_fails_opens_nothing_and_does_not_keep_a_key_beyond_its_time() {
    let scene = Released::new().await;
    scene.federation.fault_switch("CSC").fail_syncs();
    let refused = scene.open().await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(code_of(&refused), Some("log_unavailable"));
    scene.federation.advance(WEEK);
    eventually("the key is gone", async || scene.has_no_key().then_some(())).await;
    assert!(entries(&scene.federation.log_of("CSC"), "detail_closed").is_empty());
    scene.federation.fault_switch("CSC").heal();
    // What could not be recorded is, once it can.
    scene.until_closed("view_expired").await;
    assert_eq!(entries(&scene.federation.log_of("CSC"), "detail_closed").len(), 1);
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x4_when_the_agreement_ends_colours_are_refused_and_open_views_close() {
    // In force to the end of the day after the start.
    let scene = Released::under(|document| {
        let day = |text: &str| toml_edit::value(text.parse::<toml_edit::Datetime>().unwrap());
        document["agreement"]["review_by"] = day("2027-02-10");
        document["agreement"]["valid_to"] = day("2027-02-10");
    })
    .await;
    let ends: Timestamp = "2027-02-11T00:00:00Z".parse().unwrap();
    assert_eq!(scene.item.expires_at_unix_ms, ends.as_millisecond());
    let federation = &scene.federation;
    federation.advance(ends.duration_since(federation.now()) - SignedDuration::from_secs(1));
    scene.open().await.unwrap();
    federation.try_rate("CSC", &scene.enquiry, "P1", Colour::Amber, None).await.unwrap();
    federation.until_status(&scene.enquiry, "CSC", "P1", pb::AnswerStatus::Late).await;

    federation.advance(SignedDuration::from_secs(1));
    scene.until_closed("agreement_expired").await;
    assert!(scene.has_no_key());
    let expired = |refused: Status| {
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
        assert_eq!(code_of(&refused), Some("agreement_expired"));
        assert!(refused.message().contains("AGREEMENT_EXPIRED"), "{}", refused.message());
    };
    expired(scene.open().await.unwrap_err());
    let rated = federation.try_rate("SMS", &scene.enquiry, "P1", Colour::Green, None).await;
    expired(rated.unwrap_err());
    let opening = Federation::opening(&[("P1", &scene.father)]);
    expired(federation.coordinator().open(opening).await.unwrap_err());
    let asked = federation.ask_detail(&scene.enquiry, "SMS", "P1", "C33", &["CSC"]).await;
    expired(asked.unwrap_err());
    // A node refuses the hub's round by itself: it does not rely on the hub's calendar.
    let head = envelope(&federation.inside_hub(), std::time::Duration::from_secs(10)).unwrap();
    let round = pb::RateRequest {
        request_id: head.request_id.to_string(),
        agreement_digest: head.agreement.as_bytes().to_vec(),
        valid_until_unix_ms: head.valid_until.as_millisecond(),
        enquiry: scene.enquiry.name.clone(),
        purpose: "domestic_abuse_safety".to_owned(),
        answer_by_unix_ms: head.valid_until.as_millisecond(),
        screen_request_id: fresh(),
        people: vec![pb::RatePerson {
            person: Some(pb::PersonCommitment {
                person: scene.enquiry.person("P1"),
                commitment: vec![1; 32],
            }),
            sealed_identity: vec![0; 64],
            handle: vec![0; 16],
            ..pb::RatePerson::default()
        }],
        ..pb::RateRequest::default()
    };
    expired(federation.as_hub("SMS").rate(round).await.unwrap_err());
    let closed = federation.log_of("CSC");
    let closed: Vec<_> =
        entries(&closed, "detail_closed").iter().map(|entry| word(entry)).collect();
    assert_eq!(closed, ["agreement_expired"]);
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn obligations_are_shown_in_words_before_the_detail_and_are_in_the_entry_of_the_opening() {
    let scene = Released::new().await;
    let item = &scene.item;
    let codes: Vec<&str> =
        item.obligations.iter().map(|word| word.split('=').next().unwrap()).collect();
    assert_eq!(
        codes,
        ["NO_ONWARD", "SAFEGUARDING_PURPOSE_ONLY", "DELETE_AFTER", "DO_NOT_TELL_SUBJECT"]
    );
    assert_eq!(item.obligation_texts.len(), codes.len());
    assert!(item.obligation_texts[0].contains("consent of the agency that released it"));
    assert!(item.obligation_texts[2].contains("16 Feb 2027, 09:00"), "{item:?}");
    assert!(item.obligation_texts[3].contains("Do not let the person know"));
    let request =
        pb::OpenDetailRequest { release: item.release.clone(), obligations_accepted: false };
    let refused = scene.federation.assessor("CSC").open_detail(request).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("obligations_not_accepted"));
    assert!(entries(&scene.federation.log_of("CSC"), "detail_opened").is_empty());
    scene.open().await.unwrap();
    scene.open().await.unwrap();
    let log = scene.federation.log_of("CSC");
    let opened = entries(&log, "detail_opened");
    assert_eq!(opened.len(), 2, "every opening is recorded");
    let recorded: Vec<&str> = opened[0].obligations.iter().map(|word| word.as_str()).collect();
    assert_eq!(recorded, codes);
    scene.federation.finish().await;
}

/// CSC and POL run; the test has the keys of SMS and calls as the hub.
struct Bare {
    federation: Federation,
}

impl Bare {
    async fn new() -> Self {
        let federation =
            Federation::builder().nodes(&["CSC", "POL"]).silent(&["SMS"]).start().await;
        Self { federation }
    }

    fn key_of(&self, agency: &str) -> SealingPublicKey {
        self.federation.inside(agency).sealing.public_key().unwrap()
    }

    fn in_a_day(&self) -> Timestamp {
        self.federation.now().checked_add(SignedDuration::from_hours(24)).unwrap()
    }

    /// Detail of SMS for `recipient`, sealed to a key.
    fn parcel(
        &self,
        recipient: &str,
        key: &SealingPublicKey,
        until: Timestamp,
    ) -> (SignedStatement, Vec<u8>) {
        let enquiry = id(&fresh());
        let realm = self.federation.realm();
        let (body, sealed) = parcel(realm, &enquiry, ("SMS", recipient), key, (MARKER, until));
        (self.signed(enquiry, body), sealed)
    }

    fn signed(&self, enquiry: brag_common::id::EnquiryRef, body: Body) -> SignedStatement {
        let realm = self.federation.realm();
        let statement = Statement {
            id: id(&fresh()),
            signer: id("SMS"),
            agreement: realm.agreement,
            enquiry,
            made_at: self.federation.now(),
            made_by: None,
            body,
        };
        let key = self.federation.partnership().signing_key(&id("SMS")).unwrap();
        SignedStatement::sign(&statement, realm, &key)
    }

    async fn receive(
        &self,
        agency: &str,
        (permit, sealed): &(SignedStatement, Vec<u8>),
    ) -> Result<(), Status> {
        let within = std::time::Duration::from_secs(10);
        let head = envelope(&self.federation.inside_hub(), within).unwrap();
        let request = pb::ReceiveRequest {
            request_id: head.request_id.to_string(),
            agreement_digest: head.agreement.as_bytes().to_vec(),
            valid_until_unix_ms: head.valid_until.as_millisecond(),
            release: Some(pb::SealedRelease {
                permit: Some(permit.into()),
                sealed: sealed.clone(),
            }),
        };
        self.federation.as_hub(agency).receive(request).await.map(|_| ())
    }

    async fn refused(&self, agency: &str, parcel: &(SignedStatement, Vec<u8>), code: &str) {
        let refused = self.receive(agency, parcel).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{code}");
        assert_eq!(code_of(&refused), Some(code));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x16_sealed_detail_is_not_taken_twice_nor_by_another_agency() {
    let scene = Bare::new().await;
    let until = scene.in_a_day();
    let for_csc = scene.parcel("CSC", &scene.key_of("CSC"), until);
    // Another agency: named neither in the permit, nor, when the holder names it by mistake, the one it is sealed to.
    scene.refused("POL", &for_csc, "another_recipient").await;
    let misnamed = scene.parcel("POL", &scene.key_of("CSC"), until);
    scene.refused("POL", &misnamed, "can_not_open").await;
    assert!(inbox(&scene.federation, "POL").await.is_empty());

    scene.receive("CSC", &for_csc).await.unwrap();
    scene.refused("CSC", &for_csc, "received_already").await;
    let item = inbox(&scene.federation, "CSC").await.remove(0);
    assert_eq!(open(&scene.federation, "CSC", &item.release).await.unwrap(), MARKER);
    scene.refused("CSC", &for_csc, "received_already").await;
    // Nor after its end, with the clock put back: it would be a view without an end.
    scene.federation.advance(SignedDuration::from_hours(24));
    until_inbox(&scene.federation, "CSC", |item| item.closed == "view_expired").await;
    scene.federation.advance(-SignedDuration::from_hours(24));
    scene.refused("CSC", &for_csc, "received_already").await;
    let refused = open(&scene.federation, "CSC", &item.release).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("view_expired"));
    let log = scene.federation.log_of("CSC");
    assert_eq!(entries(&log, "request_refused").len(), 3);
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_is_not_what_arrived_and_does_not_open_with_the_agencys_key() {
    let scene = Bare::new().await;
    let parcel = scene.parcel("CSC", &scene.key_of("CSC"), scene.in_a_day());
    scene.receive("CSC", &parcel).await.unwrap();
    let inside = scene.federation.inside("CSC");
    // Every value of the store, in the clear: as somebody sees it who has the store's key.
    for row in inside.store.durable().scan(b"") {
        let (place, value) = row.unwrap();
        assert!(!value.windows(16).any(|part| part == &parcel.1[40..56]), "{place:?}");
        assert!(!contains(&value, "MARKER"), "{place:?}");
    }
    drop(inside);
    assert!(!contains(&scene.federation.bytes_below("nodes/CSC"), "MARKER"));
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn detail_that_comes_after_its_time_is_noted_as_ended_and_not_kept() {
    let scene = Bare::new().await;
    let parcel = scene.parcel("CSC", &scene.key_of("CSC"), scene.in_a_day());
    scene.federation.advance(SignedDuration::from_hours(24));
    scene.receive("CSC", &parcel).await.unwrap();
    let item = inbox(&scene.federation, "CSC").await.remove(0);
    assert_eq!(item.closed, "view_expired");
    let keys = scene.federation.node_settings("CSC").view_key_folder();
    assert!(fs::read_dir(keys).unwrap().next().is_none());
    let refused = open(&scene.federation, "CSC", &item.release).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("view_expired"));
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_obligation_that_this_version_does_not_know_keeps_the_detail_shut() {
    let scene = Bare::new().await;
    let enquiry: brag_common::id::EnquiryRef = id(&fresh());
    let key = scene.key_of("CSC");
    let realm = scene.federation.realm();
    let (mut body, sealed) =
        parcel(realm, &enquiry, ("SMS", "CSC"), &key, (MARKER, scene.in_a_day()));
    if let Body::Release(decision) = &mut body
        && let brag_common::statement::DecidedOutcome::Release { obligations, .. } =
            &mut decision.outcome
    {
        obligations.push("BURN_BEFORE_READING".to_owned());
    }
    let permit = scene.signed(enquiry, body);
    scene.receive("CSC", &(permit, sealed)).await.unwrap();
    let item = inbox(&scene.federation, "CSC").await.remove(0);
    let refused = open(&scene.federation, "CSC", &item.release).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("obligation_unknown"));
    scene.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_belongs_to_no_open_view_is_destroyed_when_the_node_starts() {
    let mut scene = Released::new().await;
    scene.federation.stop_node("CSC").await;
    // A run that was cut off between the key and the view.
    let stray = scene.key_folder().join(fresh());
    fs::write(&stray, [7; 32]).unwrap();
    scene.federation.start_node("CSC").await;
    eventually("the stray key is gone", async || (!stray.exists()).then_some(())).await;
    assert_eq!(scene.open().await.unwrap(), MARKER, "the key of an open view stays");
    scene.federation.finish().await;
}
