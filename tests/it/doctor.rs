//! The doctor: each fault that is planted into a healthy program is found under its subject, and a healthy one has nothing to be done.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use brag_common::{
    doctor::{Findings, Machine, Severity, Volume},
    keyfile::{self, KeyKind},
    keys::SigningKey,
    machine::Space,
    secret::SecretBytes,
    testing::{CertSpec, TestCa, TestCert},
    time::{SettableClock, SharedClock, SignedDuration, Timestamp},
};
use brag_tests::federation::{Federation, Holding, START, eventually, id, person_of};

/// A healthy disk, and files that were written when everything began.
fn machine() -> Machine {
    Machine { volume: |_| Ok(volume(50, 50)), written: |_| Ok(start()) }
}

fn start() -> Timestamp {
    START.parse().unwrap()
}

/// A disk with so much in use, in percent of bytes and of files.
fn volume(bytes: u64, files: u64) -> Volume {
    let space = |used| Space { total: 1_000_000, free: (100 - used) * 10_000 };
    Volume { bytes: space(bytes), files: Some(space(files)) }
}

/// A copy of a stopped node's folder, in which something is wrong.
struct Sick<'a> {
    federation: &'a Federation,
    folder: PathBuf,
    clock: SharedClock,
    machine: Machine,
}

impl Sick<'_> {
    fn ca(&self) -> &TestCa {
        self.federation.partnership().ca()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Changes the configuration.
    fn config(&self, from: &str, to: &str) {
        let path = self.path("agency-node.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    fn hub_at(&self, endpoint: &str) {
        let hub = format!("https://{}", self.federation.hub_address());
        self.config(&hub, endpoint);
    }

    /// Another certificate of the node's own, spoilt.
    fn certificate(&self, spoil: impl FnOnce(&mut CertSpec)) {
        let mut spec = self.ca().spec(&self.ca().trust_domain().agency(id("CSC")));
        spoil(&mut spec);
        self.write(&self.ca().issue(&spec), "tls");
    }

    fn write(&self, certificate: &TestCert, name: &str) {
        certificate.write(self.ca(), &self.folder, name);
    }

    fn revoke(&self, list: impl FnOnce(&TestCa) -> String) {
        fs::write(self.path("crls.pem"), list(self.ca())).unwrap();
        self.config("roots = \"ca.pem\"", "roots = \"ca.pem\"\ncrls = \"crls.pem\"");
    }

    fn at(&mut self, after: SignedDuration) {
        self.clock = Arc::new(SettableClock::at(start() + after));
    }

    async fn examine(&self) -> Findings {
        let config = self.path("agency-node.toml");
        brag_agency_node::doctor_command::examine(&config, None, &self.clock, self.machine).await
    }
}

/// Copies a folder with the modes of what is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy(&item.path(), &target);
        } else {
            fs::copy(item.path(), target).unwrap();
        }
    }
}

fn replace_key(path: &Path, write: impl FnOnce(&Path)) {
    fs::remove_file(path).unwrap();
    write(path);
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What is planted, its name, and where it is found: subject, severity, and a word of what is said.
type Fault = (&'static str, (&'static str, Severity, &'static str), fn(&mut Sick<'_>));

const FAULTS: &[Fault] = &[
    ("an option is misspelt", ("configuration", Severity::Action, "nonsense"), |sick| {
        sick.config("data = \"data\"", "data = \"data\"\nnonsense = 1");
    }),
    ("others can read a key", ("files", Severity::Action, "statements.key"), |sick| {
        let key = sick.path("keys/statements.key");
        fs::set_permissions(key, PermissionsExt::from_mode(0o644)).unwrap();
    }),
    ("others can exchange the data", ("files", Severity::Action, "data"), |sick| {
        fs::set_permissions(sick.path("data"), PermissionsExt::from_mode(0o777)).unwrap();
    }),
    ("the sealing key is not the agreement's", ("keys.sealing", Severity::Action, ""), |sick| {
        replace_key(&sick.path("keys/sealing.key"), |path| {
            keyfile::write(path, KeyKind::Sealing, &SecretBytes::random().unwrap()).unwrap();
        });
    }),
    ("the store's key is another", ("store", Severity::Action, "does not open"), |sick| {
        replace_key(&sick.path("keys/store.key"), |path| {
            keyfile::write(path, KeyKind::Store, &SecretBytes::random().unwrap()).unwrap();
        });
    }),
    ("the keys of enquiries are gone", ("store", Severity::Action, "does not open"), |sick| {
        fs::remove_dir_all(sick.path("data-enquiry-keys")).unwrap();
    }),
    ("the log's key is another", ("log", Severity::Action, ""), |sick| {
        replace_key(&sick.path("keys/log.key"), |path| {
            keyfile::write_signing_key(path, &SigningKey::generate().unwrap()).unwrap();
        });
    }),
    ("a byte of the log was changed", ("log", Severity::Action, "entry"), |sick| {
        let segment = sick.path("data/log/1/00000000000000000000.seg");
        let mut bytes = fs::read(&segment).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(segment, bytes).unwrap();
    }),
    ("the keys of views lie in the data", ("view_keys", Severity::Action, "copy"), |sick| {
        sick.config("data = \"data\"", "data = \"data\"\nview_keys = \"data/view-keys\"");
    }),
    ("the agreement's text was changed", ("agreement", Severity::Action, ""), |sick| {
        let note = fs::read_to_string(sick.federation.partnership().agreement_path()).unwrap();
        let changed = note.replacen("# ", "#  ", 1);
        assert_ne!(changed, note);
        fs::write(sick.path("changed.note"), changed).unwrap();
        sick.config("../../agreement.note", "changed.note");
    }),
    ("the agreement has ended", ("agreement", Severity::Action, "not in force"), |sick| {
        sick.at(DAY * 800);
    }),
    ("the agreement ends within a month", ("agreement", Severity::Action, "more days"), |sick| {
        sick.at(DAY * 350);
    }),
    ("the certificate ends in six days", ("certificate", Severity::Action, "5 days"), |sick| {
        sick.certificate(|spec| spec.valid_until = start() + DAY * 6 - HOUR);
    }),
    ("the certificate ends in six weeks", ("certificate", Severity::Note, "42 days"), |sick| {
        sick.certificate(|spec| spec.valid_until = start() + DAY * 42);
    }),
    ("the certificate has expired", ("certificate", Severity::Action, "expired"), |sick| {
        sick.certificate(|spec| spec.valid_until = start() - DAY);
    }),
    ("the certificate is another agency's", ("tls.certificate", Severity::Action, "SMS"), |sick| {
        sick.write(&sick.ca().agency(&id("SMS")), "tls");
    }),
    ("an unknown authority signed it", ("certificate", Severity::Action, "authority"), |sick| {
        let other = TestCa::new(sick.ca().trust_domain().clone());
        sick.write(&other.agency(&id("CSC")), "tls");
    }),
    ("the hub refuses our certificate", ("peer", Severity::Action, "refuses our"), |sick| {
        let other = TestCa::new(sick.ca().trust_domain().clone());
        sick.write(&other.agency(&id("CSC")), "tls");
    }),
    ("the certificate was revoked", ("certificate", Severity::Action, "revocation list"), |sick| {
        let own = fs::read_to_string(sick.path("tls.pem")).unwrap();
        sick.revoke(|ca| ca.crl_of_pem(&own));
    }),
    ("the hub was revoked", ("peer", Severity::Action, "revoked"), |sick| {
        let hub = sick.federation.partnership().hub_folder().join("tls.pem");
        sick.revoke(|ca| ca.crl_of_pem(&fs::read_to_string(hub).unwrap()));
    }),
    ("the revocation list is out of date", ("revocation", Severity::Action, "until"), |sick| {
        sick.revoke(|ca| ca.crl_until(&[], start() - HOUR));
    }),
    ("the revocation list is none", ("revocation", Severity::Action, "revocation list"), |sick| {
        sick.revoke(|_| "nothing".to_owned());
    }),
    ("the hub's authority is not trusted", ("peer", Severity::Action, "not trusted"), |sick| {
        let other = TestCa::new(sick.ca().trust_domain().clone());
        fs::write(sick.path("ca.pem"), other.root_pem()).unwrap();
    }),
    (
        "the console's certificate expired",
        ("console.certificate", Severity::Action, "expired"),
        |sick| {
            sick.federation.partnership().add_console(&sick.path("agency-node.toml")).unwrap();
            let mut spec = sick.ca().spec(&sick.ca().trust_domain().hub());
            spec.valid_until = start() - DAY;
            sick.write(&sick.ca().issue(&spec), "console");
        },
    ),
    ("nothing listens where the hub should", ("peer", Severity::Action, "(tcp)"), |sick| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        sick.hub_at(&format!("https://{address}"));
    }),
    ("the hub's name does not resolve", ("peer", Severity::Action, "(name)"), |sick| {
        sick.hub_at("https://hub.nowhere.invalid:7443");
    }),
    (
        "another program is where the hub should be",
        ("peer", Severity::Action, "(identity)"),
        |sick| {
            sick.hub_at(&format!("https://{}", sick.federation.node_address("SMS")));
        },
    ),
    ("the clock is an hour ahead", ("clock", Severity::Action, "ahead of"), |sick| sick.at(HOUR)),
    ("the clock was set back", ("clock", Severity::Action, "log has an entry"), |sick| {
        sick.at(-DAY);
    }),
    ("the disk is nearly full", ("disk", Severity::Action, "95 %"), |sick| {
        sick.machine.volume = |_| Ok(volume(95, 10));
    }),
    ("the disk fills", ("disk", Severity::Note, "75 %"), |sick| {
        sick.machine.volume = |_| Ok(volume(75, 10));
    }),
    ("there is no room for more files", ("inodes", Severity::Action, "99 %"), |sick| {
        sick.machine.volume = |_| Ok(volume(10, 99));
    }),
    ("an interrupted write left a file", ("leftovers", Severity::Note, "view.new"), |sick| {
        fs::write(sick.path("data/view.new"), "half").unwrap();
        sick.machine.written = |_| Ok(start() - HOUR * 2);
    }),
    ("a request waits", ("certificate.request", Severity::Note, "tls.key.next"), |sick| {
        fs::write(sick.path("tls.key.next"), "key").unwrap();
    }),
    ("nobody of the staff is listed", ("staff", Severity::Note, "nobody"), |sick| {
        let path = sick.path("agency-node.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.split("[[staff]]").next().unwrap()).unwrap();
    }),
];

/// CSC stopped, SMS and the hub running; CSC knows somebody.
async fn partnership() -> Federation {
    let mut federation = Federation::builder()
        .nodes(&["SMS", "CSC", "POL"])
        .silent(&["DAS"])
        .not_enrolled("POL")
        .holds("CSC", Holding::of(person_of(0)))
        .holds("POL", Holding::of(person_of(0)))
        .start()
        .await;
    // An enquiry, so that there is a key of one.
    let enquiry = federation.open(&[("P1", &person_of(0))]).await;
    federation.until_asked("CSC", &enquiry, "P1").await;
    federation.stop_node("CSC").await;
    federation.stop_node("POL").await;
    federation
}

fn sick<'a>(federation: &'a Federation, agency: &str, name: &str) -> Sick<'a> {
    let from = federation.partnership().node_folder(&id(agency));
    let folder = from.with_file_name(name.replace([' ', '\''], "-"));
    copy(&from, &folder);
    Sick { federation, folder, clock: federation.clock(), machine: machine() }
}

fn shown(findings: &Findings) -> String {
    let mut text = Vec::new();
    findings.print("agency-node", &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_planted_fault_is_found_and_a_healthy_node_has_nothing_to_be_done() {
    let federation = partnership().await;
    let healthy = sick(&federation, "CSC", "healthy").examine().await;
    assert!(!healthy.need_action(), "{}", shown(&healthy));
    let fine = |subject: &str| {
        healthy.all().iter().any(|found| found.subject == subject && found.severity == Severity::Ok)
    };
    for subject in [
        "configuration",
        "clock",
        "disk",
        "inodes",
        "files",
        "leftovers",
        "store",
        "log",
        "certificate",
        "authority",
        "agreement",
        "peer",
        "peer.certificate",
        "version",
        "enrolment",
    ] {
        assert!(fine(subject), "{subject} was not looked at: {}", shown(&healthy));
    }
    assert!(FAULTS.len() >= 20);
    for (name, (subject, severity, word), plant) in FAULTS {
        let mut sick = sick(&federation, "CSC", name);
        plant(&mut sick);
        let findings = sick.examine().await;
        let found = findings.all().iter().find(|found| {
            found.subject == *subject && found.severity == *severity && found.what.contains(word)
        });
        let found = found.unwrap_or_else(|| panic!("{name}: {}", shown(&findings)));
        assert!(!found.remedy.is_empty(), "{name}");
        let notes_alone = findings.of(Severity::Action).next().is_none();
        assert_eq!(notes_alone, *severity == Severity::Note, "{name}: {}", shown(&findings));
    }
    let people = sick(&federation, "POL", "people are not enrolled").examine().await;
    let found = people.of(Severity::Action).find(|found| found.subject == "enrolment");
    assert!(found.unwrap().what.contains("1 of 1"), "{}", shown(&people));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_program_is_asked_and_nothing_that_it_holds_is_opened() {
    let federation = Federation::builder()
        .nodes(&["CSC"])
        .silent(&["SMS", "POL", "DAS"])
        .holds("CSC", Holding::of(person_of(0)))
        .start()
        .await;
    let look = async |admin| {
        let config = federation.node_config_file("CSC");
        let clock = federation.clock();
        brag_agency_node::doctor_command::examine(&config, admin, &clock, machine()).await
    };
    let admin = federation.admin_address("CSC");
    let healthy = look(Some(admin)).await;
    assert!(!healthy.need_action(), "{}", shown(&healthy));
    let says = |findings: &Findings, subject: &str, word: &str| {
        findings.all().iter().any(|found| found.subject == subject && found.what.contains(word))
    };
    assert!(says(&healthy, "program", "runs and is ready"), "{}", shown(&healthy));
    assert!(says(&healthy, "store", "running program can write it"));
    assert!(says(&healthy, "enrolment", "all 1 people are enrolled"));
    // Without a port to ask, what holds the store is not opened, and nobody is blamed.
    let unasked = look(None).await;
    assert!(says(&unasked, "store", "not looked at"), "{}", shown(&unasked));
    // A port at which nobody answers, and a store that somebody holds.
    let silent = look(Some(([127, 0, 0, 1], 1).into())).await;
    assert!(silent.need_action() && says(&silent, "program", "nobody answers"));
    // The text is for anybody who runs machines: nothing of the person.
    let person = person_of(0);
    let name = person.current_name().unwrap();
    for text in [name.given(), name.family()] {
        assert!(!shown(&healthy).contains(text), "{text}");
    }

    federation.fault_switch("CSC").fail_writes();
    let _ = federation
        .inside("CSC")
        .log
        .record(federation.inside("CSC").draft(brag_common::audit::entry::Action::ServiceStarted))
        .await;
    eventually("the node is not ready", async || {
        (federation.ready("CSC").await.0 == 503).then_some(())
    })
    .await;
    let failing = look(Some(admin)).await;
    let of = |subject: &str| failing.of(Severity::Action).any(|found| found.subject == subject);
    assert!(of("program") && of("log"), "{}", shown(&failing));
    federation.fault_switch("CSC").heal();
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hubs_doctor_names_the_node_that_is_away_and_the_one_that_has_no_endpoint() {
    let mut federation = Federation::builder().nodes(&["SMS", "CSC", "POL", "DAS"]).start().await;
    let admin = federation.hub_admin_address();
    let look = async |federation: &Federation| {
        let (config, clock) = (federation.hub_config().to_owned(), federation.clock());
        brag_hub::doctor_command::examine(&config, Some(admin), &clock, machine()).await
    };
    let healthy = look(&federation).await;
    assert!(!healthy.need_action(), "{}", shown(&healthy));
    federation.stop_node("CSC").await;
    let away = look(&federation).await;
    let found: Vec<_> = away.of(Severity::Action).collect();
    let [found] = found.as_slice() else { panic!("{}", shown(&away)) };
    assert!(found.subject == "peer" && found.what.starts_with("CSC at"), "{found:?}");
    let config = federation.hub_config().to_owned();
    let text = fs::read_to_string(&config).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("CSC = ")).collect();
    fs::write(&config, without.join("\n")).unwrap();
    let missing = look(&federation).await;
    let found = missing.of(Severity::Action).find(|found| found.subject == "nodes");
    assert!(found.unwrap().remedy.contains("CSC"), "{}", shown(&missing));
    fs::write(&config, text).unwrap();
    federation.finish().await;
}
