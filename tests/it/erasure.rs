//! Erasure: what is left of an enquiry at the hub and at every node, in stores, copies, keys and logs, once it is erased; and who
//! can keep it from being erased.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use brag_agency_node::store as node_store;
use brag_common::{
    audit::{Action, Entry, shard},
    durable::KeyFolder,
    erasure::report::Report,
    id::EnquiryRef,
    matching::identity::Identity,
    status::code_of,
    time::SignedDuration,
    wire::{
        pb::{self, AnswerStatus, Colour, Decision},
        records::Client,
    },
};
use brag_hub::store as hub_store;
use brag_tests::{
    federation::{ANALYSIS, Enquiry, Federation, Holding, contains, eventually, id, person_of},
    opened,
    partnership::{HUB_GOVERNANCE, Partnership},
};
use tonic::{Code, Status};

/// What the holder keeps of P1, and CSC is released.
const DETAIL: &str = "MARKER-C33 drinks daily since the autumn";

/// Kinds of places of a node that belong to no enquiry.
pub const OWN_KINDS: [&str; 9] = [
    "agreement",
    "counter",
    "enrolled",
    "enrolment",
    "entry",
    "person",
    "source",
    "standing",
    "where",
];

const YEAR: SignedDuration = SignedDuration::from_hours(366 * 24);

/// The parties whose programs run.
const NODES: [&str; 2] = ["SMS", "CSC"];

/// An enquiry that is played to its end: rated by two agencies, one of which has released detail to the other; a challenge, an
/// agreement of the person's, a retraction that waits.
struct Played {
    federation: Federation,
    father: Identity,
    first: Enquiry,
}

impl Played {
    async fn new() -> Self {
        let father = person_of(0);
        let federation = Federation::builder()
            .nodes(&NODES)
            .silent(&["POL"])
            .holds("SMS", Holding::of(father.clone()).entry("C33", DETAIL))
            .holds("CSC", Holding::of(father.clone()))
            .start()
            .await;
        let first = play(&federation, &father).await;
        Self { federation, father, first }
    }

    fn enquiry(&self) -> EnquiryRef {
        id(&self.first.name)
    }
}

/// Opens an enquiry and lets it run to an open view.
async fn play(federation: &Federation, father: &Identity) -> Enquiry {
    let enquiry = federation.open(&[("P1", father)]).await;
    federation.rate("SMS", &enquiry, "P1", Colour::Red).await;
    federation.until_asked("CSC", &enquiry, "P1").await;
    federation.try_rate("CSC", &enquiry, "P1", Colour::Amber, None).await.unwrap();
    federation
        .until(&enquiry, "both have rated", |show| {
            let rated = show.cells.iter().filter(|cell| cell.status() == AnswerStatus::Rated);
            rated.count() == 2 && show.people[0].gates.iter().any(|gate| gate == "g3")
        })
        .await;
    let asked = federation.ask_detail(&enquiry, "SMS", "P1", "C33", &["CSC"]).await.unwrap();
    assert_eq!(asked[0].decision(), Decision::Release, "{asked:?}");
    eventually("the detail has arrived", async || {
        let inbox = federation.assessor("CSC").inbox(pb::InboxRequest {}).await.unwrap();
        inbox.into_inner().items.into_iter().find(|item| item.enquiry == enquiry.name)
    })
    .await;
    eventually("everything is delivered", async || {
        let empty = |agency: &&str| federation.inside(agency).store.outgoing().unwrap().is_empty();
        NODES.iter().all(empty).then_some(())
    })
    .await;
    enquiry
}

/// Whoever governs what a party keeps.
fn governance(federation: &Federation, party: &str, n: u8) -> Client {
    if party == "hub" {
        let name = HUB_GOVERNANCE[usize::from(n) - 1];
        return Client::new(federation.to_hub(&federation.person(name)));
    }
    let name = Partnership::governance(&id(party), n);
    Client::new(federation.to_node(&federation.person(&name), party))
}

/// Two people erase an enquiry at a party.
pub async fn erase(federation: &Federation, party: &str, enquiry: &EnquiryRef) -> u64 {
    governance(federation, party, 1).ask(enquiry, "opened about the wrong family").await.unwrap();
    governance(federation, party, 2).confirm(enquiry).await.unwrap()
}

fn parties() -> impl Iterator<Item = &'static str> {
    NODES.into_iter().chain(["hub"])
}

fn folder(federation: &Federation, party: &str) -> PathBuf {
    match party {
        "hub" => federation.partnership().hub_folder(),
        agency => federation.partnership().node_folder(&id(agency)),
    }
}

fn log(federation: &Federation, party: &str) -> Vec<Entry> {
    if party == "hub" { federation.hub_log() } else { federation.log_of(party) }
}

fn keys(federation: &Federation, party: &str) -> PathBuf {
    folder(federation, party).join("data-enquiry-keys")
}

fn report(federation: &Federation, party: &str) -> Report {
    let logs = folder(federation, party).join("data/log");
    Report::read(&logs, &keys(federation, party)).unwrap()
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

/// Everything that a store in a data folder gives whoever has every key that there is, by its place.
///
/// `data` is a copy: the program that works on the original need not be stopped for it.
pub fn everything(federation: &Federation, party: &str, data: &Path) -> BTreeMap<String, Vec<u8>> {
    opened::everything(&folder(federation, party), data, kinds(party)).unwrap()
}

fn kinds(party: &str) -> &'static [&'static str] {
    if party == "hub" { hub_store::KINDS } else { node_store::KINDS }
}

/// What in a store belongs to an enquiry, or names it.
pub fn of_enquiry(rows: &BTreeMap<String, Vec<u8>>, enquiry: &EnquiryRef) -> Vec<String> {
    let names = |(place, value): &(&String, &Vec<u8>)| {
        place.contains(enquiry.as_str()) || contains(value, enquiry.as_str())
    };
    rows.iter().filter(names).map(|(place, _)| place.clone()).collect()
}

async fn shown(federation: &Federation, enquiry: &EnquiryRef) -> Result<(), Status> {
    let request = pb::ShowRequest { enquiry: enquiry.to_string() };
    federation.coordinator().show(request).await.map(|_| ())
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, Status>, code: &str) {
    let status = outcome.unwrap_err();
    assert_eq!(code_of(&status), Some(code), "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d3_an_erased_enquiry_opens_from_no_store_and_no_copy_and_every_log_verifies() {
    let mut played = Played::new().await;
    let enquiry = played.enquiry();
    let second = play(&played.federation, &played.father).await;
    // Copies from before, of stopped programs, as the operators make them: data and keys apart.
    let mut secrets = BTreeMap::new();
    for party in parties() {
        stop(&mut played.federation, party).await;
        let folder = folder(&played.federation, party);
        copy_folder(&folder.join("data"), &folder.join("backup"));
        let secret = fs::read(keys(&played.federation, party).join(enquiry.as_str())).unwrap();
        let copied = everything(&played.federation, party, &folder.join("backup"));
        assert!(!of_enquiry(&copied, &enquiry).is_empty(), "{party}: the copy has it");
        secrets.insert(party, secret);
        start(&mut played.federation, party).await;
    }
    let federation = &played.federation;
    let view_keys = federation.node_settings("CSC").view_key_folder();
    assert_eq!(fs::read_dir(&view_keys).unwrap().count(), 2, "two views are open");

    for party in parties() {
        assert!(erase(federation, party, &enquiry).await > 0, "{party}");
    }

    for party in parties() {
        let secret = &secrets[party];
        let files = match party {
            "hub" => federation.bytes_below("hub"),
            agency => federation.bytes_below(&format!("nodes/{agency}")),
        };
        assert!(!files.windows(16).any(|part| part == &secret[..16]), "{party}: the key is there");
        let report = report(federation, party);
        assert!(report.holds());
        let erased: Vec<_> = report.erased.iter().map(|erased| &erased.enquiry).collect();
        assert_eq!(erased, [&enquiry], "{party}");
        assert_eq!(report.n_keys, 1, "{party}: the other enquiry's");
        assert!(report.erased[0].asked_by.is_some() && report.erased[0].confirmed_by.is_some());
    }
    assert_eq!(fs::read_dir(&view_keys).unwrap().count(), 1, "its view has ended");

    // The hub shows it no more, finds its people only where they still are, and names it nowhere.
    assert_eq!(shown(federation, &enquiry).await.unwrap_err().code(), Code::NotFound);
    let found = federation
        .coordinator()
        .find_person(pb::FindPersonRequest { identity: played.father.canonical_bytes() })
        .await
        .unwrap()
        .into_inner();
    let found: Vec<_> = found.exchanges.iter().map(|exchange| &exchange.enquiry).collect();
    assert_eq!(found, [&second.name]);
    // The other enquiry about the same person works on.
    let show = federation.show(&second.name).await;
    let cell = show.cells.iter().find(|cell| cell.agency == "SMS").unwrap();
    assert_eq!((cell.status(), cell.analysis.as_str()), (AnswerStatus::Rated, ANALYSIS));
    federation.try_rate("CSC", &second, "P1", Colour::Green, None).await.unwrap();
    let third = federation.open(&[("P1", &played.father)]).await;
    federation.until_asked("CSC", &third, "P1").await;

    // With every key at hand, neither the stores nor the copies give anything of it.
    for party in parties() {
        stop(&mut played.federation, party).await;
        let folder = folder(&played.federation, party);
        copy_folder(&folder.join("data"), &folder.join("after"));
        for data in ["after", "backup"] {
            let rows = everything(&played.federation, party, &folder.join(data));
            let mut left = of_enquiry(&rows, &enquiry);
            if data == "backup" {
                // That another enquiry is a later one about the same person is part of that other one.
                left.retain(|place| *place != format!("earlier/{}", second.name));
            }
            assert!(left.is_empty(), "{party}, {data}: {left:?}");
            let of_second = of_enquiry(&rows, &id(&second.name));
            assert!(!of_second.is_empty(), "{party}, {data}: the other enquiry opens");
        }
        // What is the agency's own stays.
        if party != "hub" {
            let rows = everything(&played.federation, party, &folder.join("backup"));
            assert!(rows.keys().any(|place| place.starts_with("person/")), "{party}");
        }
    }
    // Put back, a copy serves, and has nothing of it either.
    let hub = folder(&played.federation, "hub");
    fs::remove_dir_all(hub.join("data")).unwrap();
    copy_folder(&hub.join("backup"), &hub.join("data"));
    start(&mut played.federation, "hub").await;
    let federation = &played.federation;
    assert_eq!(shown(federation, &enquiry).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(federation.show(&second.name).await.people.len(), 1);
    // It also checks every log.
    played.federation.finish().await;
}

async fn stop(federation: &mut Federation, party: &str) {
    if party == "hub" { federation.stop_hub().await } else { federation.stop_node(party).await }
}

async fn start(federation: &mut Federation, party: &str) {
    if party == "hub" { federation.start_hub().await } else { federation.start_node(party).await }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_agreement_has_kept_long_enough_is_erased_everywhere_by_itself() {
    let played = Played::new().await;
    let (federation, enquiry) = (&played.federation, played.enquiry());
    // One party holds it.
    governance(federation, "CSC", 1).hold(&enquiry, "subject of a court case").await.unwrap();
    federation.advance(YEAR + SignedDuration::from_hours(48));
    for party in ["hub", "SMS"] {
        eventually("it is erased", async || {
            report(federation, party).erased.iter().any(|one| one.enquiry == enquiry).then_some(())
        })
        .await;
        eventually("its key is gone", async || report(federation, party).holds().then_some(()))
            .await;
        let report = report(federation, party);
        assert_eq!((report.erased[0].rule, report.n_keys), ("retention", 0), "{party}");
        let entries = log(federation, party);
        let erased: Vec<_> =
            entries.iter().filter(|entry| entry.action == Action::RecordsErased).collect();
        assert!(erased.iter().all(|entry| entry.enquiry.as_ref() == Some(&enquiry)));
        assert!(erased.iter().all(|entry| entry.person.is_none() && entry.count > Some(0)));
    }
    let held = KeyFolder::<EnquiryRef>::open(&keys(federation, "CSC")).unwrap();
    assert!(held.key(&enquiry).unwrap().is_some());
    assert!(report(federation, "CSC").erased.is_empty());
    assert!(federation.inside("CSC").store.enquiry(&enquiry).unwrap().is_some());
    played.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_and_the_rule_of_two_hold_against_everybody() {
    let mut played = Played::new().await;
    let (federation, enquiry) = (&played.federation, played.enquiry());
    for party in parties() {
        let by = |n: u8| governance(federation, party, n);
        refused(by(1).lift(&enquiry).await, "not_found");
        refused(by(1).hold(&id("nosuch"), "why").await, "not_found");
        refused(by(1).hold(&enquiry, "").await, "reason_missing");
        refused(by(1).confirm(&enquiry).await, "not_found");
        by(1).ask(&enquiry, "why").await.unwrap();
        refused(by(1).confirm(&enquiry).await, "second_person_needed");
        by(1).hold(&enquiry, "subject of a court case").await.unwrap();
        let held = by(2).confirm(&enquiry).await.unwrap_err();
        assert_eq!(held.code(), Code::FailedPrecondition);
        assert!(held.message().contains("LEGAL_HOLD"), "{}", held.message());
        refused(by(2).ask(&enquiry, "why").await, "legal_hold");
        let holds = by(2).holds().await.unwrap();
        assert_eq!(holds.len(), 1);
        assert_eq!(holds[0].0, enquiry);
        by(2).lift(&enquiry).await.unwrap();
        assert!(by(2).holds().await.unwrap().is_empty());
        assert!(by(2).confirm(&enquiry).await.unwrap() > 0);
        let words: Vec<_> = log(federation, party)
            .iter()
            .map(|entry| entry.action.word())
            .filter(|word| ["erasure_asked", "hold_set", "hold_lifted"].contains(word))
            .collect();
        assert_eq!(words, ["erasure_asked", "hold_set", "hold_lifted"], "{party}");
    }
    // That was all there was: what is left opens to nothing but what belongs to no enquiry.
    for party in parties() {
        stop(&mut played.federation, party).await;
        let folder = folder(&played.federation, party);
        copy_folder(&folder.join("data"), &folder.join("after"));
        let rows = everything(&played.federation, party, &folder.join("after"));
        let kinds: BTreeSet<_> = rows.keys().filter_map(|place| place.split('/').next()).collect();
        let own: BTreeSet<_> = match party {
            "hub" => ["agreement", "delivered", "epochs"].into(),
            _ => OWN_KINDS.iter().copied().collect(),
        };
        assert!(kinds.is_subset(&own), "{party}: {kinds:?}");
        assert!(!rows.is_empty(), "{party}");
    }
    let federation = &played.federation;
    // Reasons are people's words: none is in a log.
    for party in parties() {
        // A year has passed, so there may be two.
        for log in shard::every(&folder(federation, party).join("data/log")).unwrap() {
            for item in fs::read_dir(log).unwrap() {
                let file = fs::read(item.unwrap().path()).unwrap();
                assert!(!contains(&file, "court case"), "{party}");
            }
        }
    }
    played.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_erased_an_enquiry_takes_nothing_of_it_again() {
    let played = Played::new().await;
    let (federation, enquiry) = (&played.federation, played.enquiry());
    erase(federation, "SMS", &enquiry).await;
    // The hub still has it, and asks again.
    let asked = federation.ask_detail(&played.first, "SMS", "P1", "C33", &["CSC"]).await.unwrap();
    assert_eq!(asked[0].decision(), Decision::Unspecified, "{asked:?}");
    let rated = federation.try_rate("SMS", &played.first, "P1", Colour::Green, None).await;
    refused(rated, "not_found");
    assert!(federation.inside("SMS").store.durable().scopes().unwrap().is_empty());
    // What it said before stays at the hub, which erases for itself.
    let show = federation.show(&played.first.name).await;
    let cell = show.cells.iter().find(|cell| cell.agency == "SMS").unwrap();
    assert_eq!(cell.status(), AnswerStatus::Rated);
    played.federation.finish().await;
}
