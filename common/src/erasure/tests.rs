use std::{collections::BTreeMap, path::Path, sync::Mutex};

use super::*;
use crate::{
    audit::{FaultSwitch, LogOptions, Origin, Party, entries, verify_dir},
    durable::Scopes,
    keys::SigningKey,
    peer::{PeerName, VerifiedPeer},
    secret::SecretBytes,
    staff::Staff,
    testing::verified_peer,
    time::SettableClock,
};

const KINDS: &[&str] = &["enquiry", "erasure", "hold"];
const START: &str = "2027-02-09T09:00:00Z";

/// A program that keeps nothing but enquiries, each with the moment of its last change.
struct Keeper {
    durable: Durable,
    log: AuditLog,
    clock: SharedClock,
    erasing: Erasing,
    cleared: Mutex<Vec<EnquiryRef>>,
}

impl Erasable for Keeper {
    fn durable(&self) -> &Durable {
        &self.durable
    }

    fn log(&self) -> &AuditLog {
        &self.log
    }

    fn clock(&self) -> &SharedClock {
        &self.clock
    }

    fn draft(&self, action: Action) -> EntryDraft {
        EntryDraft::new(action)
    }

    fn period(&self) -> Period {
        Period::Months(12)
    }

    fn erasing(&self) -> &Erasing {
        &self.erasing
    }

    fn counts_from(&self, enquiry: &EnquiryRef) -> Result<Option<Timestamp>, StoreError> {
        let kept = self.durable.get(format!("enquiry/{enquiry}").as_bytes())?;
        Ok(kept.map(|value| std::str::from_utf8(&value).unwrap().parse().unwrap()))
    }

    fn clear(&self, enquiry: &EnquiryRef) -> Result<(), StoreError> {
        // What has not been recorded is not touched, and its key is still there.
        assert!(self.durable.has_key(enquiry)?);
        let recorded = entries(self.log.dir()).unwrap().map(Result::unwrap);
        let mut recorded = recorded.filter(|entry| entry.action == Action::RecordsErased);
        assert!(recorded.any(|entry| entry.enquiry.as_ref() == Some(enquiry)));
        self.cleared.lock().unwrap().push(enquiry.clone());
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OneRole {
    Governance,
}

impl Role for OneRole {
    fn word(self) -> &'static str {
        "governance"
    }
}

fn staff(name: &str) -> SignedIn<OneRole> {
    let listed = Staff::<OneRole, String> {
        name: name.parse().unwrap(),
        roles: [OneRole::Governance].into(),
        linked_to: Vec::new(),
    };
    let name: PeerName = format!("spiffe://exampleshire/person/{name}").parse().unwrap();
    let peer: VerifiedPeer = verified_peer(name);
    SignedIn::check(&[listed], &peer, OneRole::Governance).unwrap()
}

fn enquiry(name: &str) -> EnquiryRef {
    name.parse().unwrap()
}

fn signing_key() -> SigningKey {
    SigningKey::from_seed(SecretBytes::new([3; 32])).unwrap()
}

/// The program's files, and the disk of its log.
struct Site {
    folder: tempfile::TempDir,
    clock: Arc<SettableClock>,
    faults: FaultSwitch,
}

impl Site {
    fn new() -> Self {
        let clock = Arc::new(SettableClock::at(START.parse().unwrap()));
        Self { folder: tempfile::tempdir().unwrap(), clock, faults: FaultSwitch::default() }
    }

    fn keys(&self) -> std::path::PathBuf {
        self.folder.path().join("keys")
    }

    fn logs(&self) -> std::path::PathBuf {
        self.folder.path().join("data/log")
    }

    fn log(&self) -> std::path::PathBuf {
        self.logs().join("1")
    }

    fn origin() -> Origin {
        Origin::new("exampleshire", Party::Hub, "1").unwrap()
    }

    fn open(&self) -> Arc<Keeper> {
        let data = self.folder.path().join("data");
        let scopes = Scopes::open(&data, &self.keys(), KINDS).unwrap();
        let key = SecretBytes::new([5; 32]);
        let durable = Durable::open_scoped(&data.join("store"), &key, 1 << 20, scopes).unwrap();
        let clock: SharedClock = self.clock.clone();
        let options =
            LogOptions::new(data.join("log"), Self::origin(), signing_key(), Arc::clone(&clock))
                .back_off(Duration::from_millis(1), Duration::from_millis(5))
                .faults(self.faults.clone());
        let log = AuditLog::open(options).unwrap();
        let (erasing, cleared) = (Erasing::default(), Mutex::default());
        Arc::new(Keeper { durable, log, clock, erasing, cleared })
    }

    fn recorded(&self) -> Vec<(String, Option<String>, String)> {
        let read = entries(&self.log()).unwrap().map(Result::unwrap);
        let word = |entry: &crate::audit::Entry| entry.decision.as_ref().map(ToString::to_string);
        let who = |entry: &crate::audit::Entry| match &entry.actor {
            Actor::Program => "program".to_owned(),
            Actor::Staff { name, .. } => name.to_string(),
        };
        read.map(|entry| (entry.action.word().to_owned(), word(&entry), who(&entry))).collect()
    }

    fn verify(&self) {
        verify_dir(&self.log(), &signing_key().verifying_key(), &Self::origin()).unwrap();
    }
}

async fn put(of: &Arc<Keeper>, name: &str) {
    let at = of.clock.now();
    let mut batch = Batch::new();
    batch.put(format!("enquiry/{name}"), at.to_string());
    of.durable.commit(batch).unwrap();
}

fn code<T>(outcome: Result<T, NotDone>) -> &'static str {
    outcome.err().unwrap().code()
}

/// What one look of the rule does, without its loop.
async fn look(of: &Arc<Keeper>) -> Result<(), NotDone> {
    retention::sweep(of).await
}

fn gone(of: &Keeper, name: &str) -> bool {
    let enquiry = enquiry(name);
    of.counts_from(&enquiry).unwrap().is_none() && !of.durable.has_key(&enquiry).unwrap()
}

#[tokio::test]
async fn by_hand_it_takes_two_people_and_a_reason_and_both_are_recorded() {
    let site = Site::new();
    let of = site.open();
    put(&of, "e1").await;
    let (ann, ben) = (staff("ann"), staff("ben"));
    assert_eq!(code(ask(&of, &ann, &enquiry("e9"), "why").await), "not_found");
    assert_eq!(code(ask(&of, &ann, &enquiry("e1"), " ").await), "reason_missing");
    assert_eq!(code(confirm(&of, &ben, &enquiry("e1")).await), "not_found");
    ask(&of, &ann, &enquiry("e1"), "opened by mistake").await.unwrap();
    assert_eq!(code(ask(&of, &ben, &enquiry("e1"), "why").await), "erasure_asked");
    assert_eq!(code(confirm(&of, &ann, &enquiry("e1")).await), "second_person_needed");
    assert!(!gone(&of, "e1"));
    // The enquiry and the request itself.
    assert_eq!(confirm(&of, &ben, &enquiry("e1")).await.unwrap(), 2);
    assert!(gone(&of, "e1"));
    assert_eq!(*of.cleared.lock().unwrap(), [enquiry("e1")]);
    assert_eq!(code(ask(&of, &ann, &enquiry("e1"), "again").await), "not_found");
    let entry = |action: &str, word: Option<&str>, who: &str| {
        (action.to_owned(), word.map(ToOwned::to_owned), who.to_owned())
    };
    assert_eq!(
        site.recorded(),
        [
            entry("erasure_asked", None, "ann"),
            entry("records_erased", Some("by_hand:enquiry"), "ben"),
            entry("records_erased", Some("by_hand:erasure"), "ben"),
        ]
    );
    site.verify();
}

#[tokio::test]
async fn a_request_lapses_after_thirty_days_and_can_be_made_again() {
    let site = Site::new();
    let of = site.open();
    put(&of, "e1").await;
    let (ann, ben) = (staff("ann"), staff("ben"));
    ask(&of, &ann, &enquiry("e1"), "why").await.unwrap();
    site.clock.advance(ASKED_FOR + SignedDuration::from_secs(1));
    assert_eq!(code(confirm(&of, &ben, &enquiry("e1")).await), "not_found");
    ask(&of, &ben, &enquiry("e1"), "why").await.unwrap();
    confirm(&of, &ann, &enquiry("e1")).await.unwrap();
    assert!(gone(&of, "e1"));
}

#[tokio::test]
async fn what_is_held_is_erased_neither_by_hand_nor_by_the_rule_until_it_is_lifted() {
    let site = Site::new();
    let of = site.open();
    put(&of, "e1").await;
    let (ann, ben) = (staff("ann"), staff("ben"));
    ask(&of, &ann, &enquiry("e1"), "why").await.unwrap();
    assert_eq!(code(lift(&of, &ann, &enquiry("e1")).await), "not_found");
    hold(&of, &ann, &enquiry("e1"), "court").await.unwrap();
    assert_eq!(code(hold(&of, &ben, &enquiry("e1"), "court").await), "held_already");
    assert_eq!(code(confirm(&of, &ben, &enquiry("e1")).await), "legal_hold");
    assert_eq!(code(ask(&of, &ben, &enquiry("e1"), "why").await), "legal_hold");
    site.clock.advance(SignedDuration::from_hours(24 * 800));
    look(&of).await.unwrap();
    assert!(!gone(&of, "e1"));
    let holds = holds(&of, &ann).await.unwrap();
    assert_eq!((&holds[0].0, holds[0].1.reason.as_str()), (&enquiry("e1"), "court"));
    lift(&of, &ben, &enquiry("e1")).await.unwrap();
    look(&of).await.unwrap();
    assert!(gone(&of, "e1"));
    let last = site.recorded().pop().unwrap();
    assert_eq!(last.1.as_deref().map(|word| word.starts_with("retention:")), Some(true));
    assert_eq!(last.2, "program");
    site.verify();
}

#[tokio::test]
async fn the_rule_erases_what_is_due_and_nothing_else() {
    let site = Site::new();
    let of = site.open();
    put(&of, "e1").await;
    site.clock.advance(SignedDuration::from_hours(24 * 30));
    put(&of, "e2").await;
    // A year after the first, to the second.
    let due: Timestamp = "2028-02-09T09:00:00Z".parse().unwrap();
    site.clock.advance(due.duration_since(of.clock.now()) - SignedDuration::from_secs(1));
    look(&of).await.unwrap();
    assert!(!gone(&of, "e1"));
    let next = of.erasing.due_ms.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(next, due.as_millisecond(), "it is looked at again when it is due");
    site.clock.advance(SignedDuration::from_secs(1));
    look(&of).await.unwrap();
    assert!(gone(&of, "e1") && !gone(&of, "e2"));
    let report = report::Report::read(&site.logs(), &site.keys()).unwrap();
    assert!(report.holds());
    assert_eq!(report.n_keys, 1);
    let counts = BTreeMap::from([("enquiry".to_owned(), 1)]);
    let erased = &report.erased[0];
    assert_eq!((erased.rule, &erased.counts), ("retention", &counts));
    assert_eq!((&erased.asked_by, &erased.confirmed_by), (&None, &None));
    assert_eq!((erased.at, &erased.enquiry), (due, &enquiry("e1")));
}

#[tokio::test]
async fn without_a_log_nothing_is_destroyed_and_what_was_begun_is_done_after_a_restart() {
    let site = Site::new();
    let of = site.open();
    put(&of, "e1").await;
    let secret = std::fs::read(site.keys().join("e1")).unwrap();
    let (ann, ben) = (staff("ann"), staff("ben"));
    ask(&of, &ann, &enquiry("e1"), "why").await.unwrap();
    site.faults.fail_syncs();
    assert_eq!(code(confirm(&of, &ben, &enquiry("e1")).await), "log_unavailable");
    assert_eq!(std::fs::read(site.keys().join("e1")).unwrap(), secret, "the key is there");
    assert!(of.cleared.lock().unwrap().is_empty());
    site.faults.heal();
    drop(of);
    let of = site.open();
    assert!(!gone(&of, "e1"), "it was begun and not recorded");
    look(&of).await.unwrap();
    assert!(gone(&of, "e1"));
    let erased: Vec<_> =
        site.recorded().into_iter().filter(|entry| entry.0 == "records_erased").collect();
    assert!(erased.iter().all(|entry| entry.2 == "ben"), "by whom is not forgotten: {erased:?}");
    // What a failed sync has left in the file may stand there as well.
    let report = report::Report::read(&site.logs(), &site.keys()).unwrap();
    assert!(report.holds());
    let counts = [("enquiry".to_owned(), 1), ("erasure".to_owned(), 1)];
    assert_eq!(report.erased[0].counts, BTreeMap::from(counts));
    site.verify();
}

#[tokio::test]
async fn killed_between_the_entry_and_the_destruction_it_is_done_after_a_restart() {
    let site = Site::new();
    let of = site.open();
    put(&of, "e1").await;
    // What `erase` does up to its entries.
    let plan = Plan {
        rule: Rule::Retention,
        actor: Actor::Program,
        counts: vec![("enquiry".to_owned(), 1)],
    };
    of.durable.begin_erasure(&enquiry("e1"), &serde_json::to_vec(&plan).unwrap()).unwrap();
    of.log.record_all::<EntryDraft>(plan.entries(&*of, &enquiry("e1"))).await.unwrap();
    let not_yet = report::Report::read(&site.logs(), &site.keys()).unwrap();
    assert!(!not_yet.holds(), "a report in between says so");
    drop(of);
    let of = site.open();
    look(&of).await.unwrap();
    assert!(gone(&of, "e1"));
    let report = report::Report::read(&site.logs(), &site.keys()).unwrap();
    assert!(report.holds());
    assert_eq!(report.erased.len(), 1, "recorded twice, erased once");
    assert_eq!(report.erased[0].counts.values().sum::<u64>(), 1);
    let mut out = Vec::new();
    assert_eq!(report::run(&site.logs(), &site.keys(), true, &mut out).unwrap(), 0);
    site.verify();
}

#[tokio::test]
async fn a_key_that_is_put_back_shows_in_the_report() {
    let site = Site::new();
    let of = site.open();
    put(&of, "e1").await;
    let (ann, ben) = (staff("ann"), staff("ben"));
    let secret = std::fs::read(site.keys().join("e1")).unwrap();
    ask(&of, &ann, &enquiry("e1"), "why").await.unwrap();
    confirm(&of, &ben, &enquiry("e1")).await.unwrap();
    put_back(&site.keys(), &secret);
    let mut out = Vec::new();
    assert_eq!(report::run(&site.logs(), &site.keys(), false, &mut out).unwrap(), 4);
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("STILL EXISTS"), "{text}");
    assert!(text.contains("asked ann, confirmed ben"), "{text}");
}

fn put_back(keys: &Path, secret: &[u8]) {
    std::fs::write(keys.join("e1"), secret).unwrap();
}
