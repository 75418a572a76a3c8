//! Backups of programs that run, and what comes of one that is put back: it verifies, works on, and names what it has lost; what was erased
//! stays erased; and nothing that was altered is put back.

use std::{
    fs,
    path::{Path, PathBuf},
};

use brag_agency_node::{
    Surroundings,
    cli::{self, Cli},
};
use brag_common::{
    audit::{Action, Entry, Party, reconcile::Side},
    id::AgencyId,
    time::{SharedClock, SignedDuration},
    wire::pb::{AnswerStatus, Colour},
};
use brag_tests::{
    federation::{Enquiry, Federation, Holding, eventually, id, person_of},
    partnership::Partnership,
};
use clap::Parser as _;
use serde_json::Value;
use toml_edit::{ArrayOfTables, Datetime, Item, Table, value};

use crate::erasure::{erase, everything, of_enquiry};

pub const AGENCY: &str = "SMS";

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A partnership whose node SMS seals its backups to a key, and the folder with that key and what is made.
pub struct Site {
    pub federation: Federation,
    kept: tempfile::TempDir,
}

impl Site {
    pub async fn new() -> Self {
        let known = person_of(0);
        let mut federation = Federation::builder()
            .nodes(&[AGENCY, "CSC"])
            .silent(&["POL", "DAS"])
            .holds(AGENCY, Holding::of(known.clone()).entry("C33", "drinks daily"))
            .holds("CSC", Holding::of(known))
            .start()
            .await;
        let kept = tempfile::tempdir().unwrap();
        let key = kept.path().join("recovery.key");
        let (exit, made) =
            node(federation.clock(), &["backup", "init-recovery-key", text(&key)]).await;
        assert_eq!(exit, 0, "{made:#}");
        federation.stop_node(AGENCY).await;
        federation.stop_hub().await;
        let table =
            format!("\n[backup]\nrecovery_key = \"{}\"\n", made["recovery_key"].as_str().unwrap());
        for config in [federation.node_config_file(AGENCY), federation.hub_config().to_owned()] {
            let with = fs::read_to_string(&config).unwrap() + &table;
            fs::write(&config, with).unwrap();
        }
        federation.start_hub().await;
        federation.start_node(AGENCY).await;
        Self { federation, kept }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.kept.path().join(name)
    }

    fn folder(&self) -> PathBuf {
        self.federation.partnership().node_folder(&id::<AgencyId>(AGENCY))
    }

    /// Something more to copy, so that there are many chunks.
    pub fn fill(&self, n_bytes: usize) {
        fs::write(self.folder().join("data/filler"), vec![7; n_bytes]).unwrap();
    }

    /// Makes a backup of the data and one of the enquiry keys.
    pub async fn backup(&self) -> Value {
        let config = self.federation.node_config_file(AGENCY);
        let (to, keys) = (self.file("data.backup"), self.file("keys.backup"));
        let words = [
            "backup",
            "--to",
            text(&to),
            "--enquiry-keys-to",
            text(&keys),
            "--config",
            text(&config),
        ];
        let (exit, made) = self.node(&words).await;
        assert_eq!(exit, 0, "{made:#}");
        made
    }

    /// Puts the backup in the place of the node, whose machine is lost.
    async fn restore(&self) -> Value {
        let folder = self.folder();
        fs::rename(&folder, folder.with_file_name("lost")).unwrap();
        let (exit, done) = self
            .restore_into(
                &folder,
                "data.backup",
                &["--enquiry-keys", text(&self.file("keys.backup"))],
            )
            .await;
        assert_eq!(exit, 0, "{done:#}");
        self.certify(&folder);
        done
    }

    /// Certificates are in no backup.
    fn certify(&self, folder: &Path) {
        let ca = self.federation.partnership().ca();
        fs::create_dir(folder.join("tls")).unwrap();
        ca.agency(&id(AGENCY)).write(ca, &folder.join("tls"), "tls");
    }

    async fn restore_into(&self, into: &Path, file: &str, more: &[&str]) -> (u8, Value) {
        let (file, key) = (self.file(file), self.file("recovery.key"));
        let words = ["restore", text(&file), "--recovery-key", text(&key), "--into", text(into)];
        self.node(&[&words[..], more].concat()).await
    }

    /// Runs a command of the node with `--json`, by the partnership's clock; gives its exit code and its one document.
    async fn node(&self, words: &[&str]) -> (u8, Value) {
        node(self.federation.clock(), words).await
    }

    /// Waits until the hub has seen all that the node has recorded.
    async fn witnessed(&self) {
        let within = std::time::Duration::from_secs(30);
        self.federation.inside(AGENCY).cosigned.everything(within).await.unwrap();
    }

    /// What the hub has said that it had seen.
    async fn gap(&self) -> Entry {
        eventually("the hub has said what it had seen", async || {
            let log = self.federation.log_of(AGENCY);
            log.into_iter().find(|entry| entry.action == Action::RestoreGap)
        })
        .await
    }

    pub async fn rated(&self) -> Enquiry {
        let enquiry = self.federation.open(&[("P1", &person_of(0))]).await;
        self.federation.until_asked(AGENCY, &enquiry, "P1").await;
        self.federation.try_rate(AGENCY, &enquiry, "P1", Colour::Amber, None).await.unwrap();
        self.federation.until_status(&enquiry, AGENCY, "P1", AnswerStatus::Rated).await;
        enquiry
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs a command of the node with `--json`; gives its exit code and its one document.
async fn node(clock: SharedClock, words: &[&str]) -> (u8, Value) {
    let line: Vec<String> =
        ["agency-node"].iter().chain(words).chain(&["--json"]).map(ToString::to_string).collect();
    tokio::task::spawn_blocking(move || {
        let command = Cli::try_parse_from(line).unwrap();
        let mut out = Vec::new();
        let around = Surroundings::of_this_machine(clock);
        let exit = cli::run_in(command, around, &mut out).unwrap();
        (exit.code(), serde_json::from_slice(&out).unwrap())
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_under_load_restores_to_a_node_that_verifies_answers_and_names_what_it_lost()
{
    let mut site = Site::new().await;
    site.rated().await;
    site.federation.advance(HOUR);
    // While both sides work.
    let (made, _) = tokio::join!(site.backup(), async {
        for _ in 0..3 {
            site.rated().await;
        }
    });
    let digest = made["made"][0]["sha256"].as_str().unwrap().to_owned();
    let kept = made["made"][0]["manifest"]["log"]["entries"].as_u64().unwrap();
    let entry = site.federation.log_of(AGENCY).into_iter().find(|e| e.action == Action::BackupMade);
    let entry = entry.unwrap();
    assert_eq!(entry.payload_digest.unwrap().to_string(), digest);
    assert!(entry.count == Some(kept) && entry.seq >= kept, "recorded behind what is in it");

    // What is lost with the machine.
    site.federation.advance(HOUR);
    let lost = site.rated().await;
    site.witnessed().await;
    site.federation.stop_node(AGENCY).await;
    site.federation.advance(HOUR);
    let done = site.restore().await;
    assert_eq!(done["restored"]["digest"], digest);
    let view_keys = site.folder().join("data-view-keys");
    assert!(!view_keys.exists(), "keys of views are in no backup");
    let keys = site.folder().join("keys");
    let witness = |folder: &Path| fs::read(folder.join("witness.key")).unwrap();
    let former = site.folder().with_file_name("lost").join("keys");
    assert_ne!(witness(&keys), witness(&former), "it has forgotten what the old key has cosigned");
    assert_eq!(fs::read(keys.join("log.key")).unwrap(), fs::read(former.join("log.key")).unwrap());

    site.federation.start_node(AGENCY).await;
    let federation = &site.federation;
    let gap = site.gap().await;
    assert_eq!(gap.peer, Some(Party::Hub));
    assert!(gap.count.unwrap() > 0, "{gap:?}");
    let log = federation.log_of(AGENCY);
    let restored = log.iter().find(|entry| entry.action == Action::LogRestored).unwrap();
    assert_eq!((restored.seq, restored.count), (kept + 1, Some(kept)));
    assert_eq!(restored.payload_digest.unwrap().to_string(), digest);

    // It works on, and its log is witnessed.
    site.rated().await;
    federation
        .inside(AGENCY)
        .cosigned
        .everything(std::time::Duration::from_secs(30))
        .await
        .unwrap();
    assert!(federation.inside(AGENCY).store.enquiry(&id(&lost.name)).unwrap().is_none());
    let report = federation.reconcile();
    assert!(!report.agrees());
    assert!(!report.differences.is_empty());
    for difference in &report.differences {
        assert_eq!(difference.missing_at, Some(Side::Node), "{difference:?}");
        assert!(difference.in_gap && difference.party == Some(Party::Agency(id(AGENCY))));
    }
    let of_node = report.logs.iter().find(|log| log.origin.contains("/SMS/")).unwrap();
    assert_eq!(of_node.gaps.len(), 1);
    assert_eq!(
        (of_node.gaps[0].kept, of_node.gaps[0].seen[&Party::Hub]),
        (kept, gap.count.unwrap())
    );
    // Whoever holds the logs against what the hub was promised sees the same.
    let folder = federation.partnership().hub_folder();
    let (code, told) = crate::witness::run(&[
        "log",
        "reconcile",
        text(&folder.join("data/log")),
        text(&site.folder().join("data/log")),
        "--witness",
        text(&folder.join("data/witness")),
    ]);
    assert_eq!(code, 4, "{told}");
    assert!(told.contains(&format!("PUT BACK from a backup of {kept} entries")), "{told}");
    assert!(
        told.contains("hub has seen") && told.contains("lost there when the log was put back"),
        "{told}"
    );
    // Asked once.
    let n_gaps =
        federation.log_of(AGENCY).iter().filter(|e| e.action == Action::RestoreGap).count();
    assert_eq!(n_gaps, 1);
    site.federation.finish().await;
}

/// Runs a command of the hub with `--json`; gives its exit code and its one document.
async fn hub(words: &[&str]) -> (u8, Value) {
    let line = ["hub"].iter().chain(words).chain(&["--json"]);
    let line: Vec<String> = line.map(ToString::to_string).collect();
    tokio::task::spawn_blocking(move || {
        let command = brag_hub::cli::Cli::try_parse_from(line).unwrap();
        let mut out = Vec::new();
        let exit = brag_hub::cli::run(&command, &mut out).unwrap();
        (exit, serde_json::from_slice(&out).unwrap())
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_was_put_back_asks_every_node_what_it_had_seen_and_works_on() {
    let mut site = Site::new().await;
    let first = site.rated().await;
    site.federation.advance(HOUR);
    let config = site.federation.hub_config().to_owned();
    let (to, keys, key) =
        (site.file("hub.backup"), site.file("hub.keys"), site.file("recovery.key"));
    let words =
        ["backup", "--to", text(&to), "--enquiry-keys-to", text(&keys), "--config", text(&config)];
    let (exit, made) = hub(&words).await;
    assert_eq!(exit, 0, "{made:#}");
    site.federation.advance(HOUR);
    site.rated().await;
    site.federation.stop_hub().await;
    site.federation.advance(HOUR);
    let folder = site.federation.partnership().hub_folder();
    fs::rename(&folder, folder.with_file_name("lost-hub")).unwrap();
    // A node's backup is none of the hub's.
    site.backup().await;
    let into = ["--recovery-key", text(&key), "--into", text(&folder)];
    let of_node = site.file("data.backup");
    let wrong = [&["restore", text(&of_node), "--without-enquiry-keys"][..], &into].concat();
    assert_eq!(hub(&wrong).await.0, 1);
    let restore = [&["restore", text(&to), "--enquiry-keys", text(&keys)][..], &into].concat();
    let (exit, done) = hub(&restore).await;
    assert_eq!(exit, 0, "{done:#}");
    let ca = site.federation.partnership().ca();
    fs::create_dir(folder.join("tls")).unwrap();
    ca.hub().write(ca, &folder.join("tls"), "tls");
    site.federation.start_hub().await;
    let federation = &site.federation;
    for agency in [AGENCY, "CSC"] {
        let peer = Some(Party::Agency(id(agency)));
        let gap = eventually("each node has said what it had seen", async || {
            let log = federation.hub_log();
            log.into_iter().find(|e| e.action == Action::RestoreGap && e.peer == peer)
        })
        .await;
        assert!(gap.count.unwrap() > 0, "{gap:?}");
    }
    assert_eq!(federation.show(&first.name).await.people.len(), 1);
    site.rated().await;
    let report = federation.reconcile();
    assert!(!report.differences.is_empty());
    for difference in &report.differences {
        assert_eq!(difference.missing_at, Some(Side::Hub), "{difference:?}");
        assert!(difference.in_gap, "{difference:?}");
    }
    site.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_altered_cut_off_or_swapped_is_not_put_back_and_nothing_is_put_over_anything() {
    let site = Site::new().await;
    site.rated().await;
    site.fill(400_000);
    site.backup().await;
    let (whole, key) = (fs::read(site.file("data.backup")).unwrap(), site.file("recovery.key"));
    let into = site.file("new");
    let lost = ["--without-enquiry-keys"];
    assert!(whole.len() > 200_000, "there are several chunks: {}", whole.len());
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    // Two whole chunks, behind the head of 15 + 1 + 32 + 32 bytes.
    let (head, chunk) = (80, 4 + 65_536 + 16);
    let swapped = [
        &whole[..head],
        &whole[head + chunk..head + 2 * chunk],
        &whole[head..head + chunk],
        &whole[head + 2 * chunk..],
    ]
    .concat();
    for bad in [&flipped[..], &whole[..whole.len() - 1], &whole[..head + chunk], &swapped] {
        fs::write(site.file("bad"), bad).unwrap();
        let verify = ["backup", "verify", text(&site.file("bad")), "--recovery-key", text(&key)]
            .map(str::to_owned);
        let verify: Vec<&str> = verify.iter().map(String::as_str).collect();
        let (exit, said) = site.node(&verify).await;
        assert_eq!((exit, &said["ok"]), (4, &false.into()), "{said:#}");
        let (exit, said) = site.restore_into(&into, "bad", &lost).await;
        assert_eq!(exit, 4, "{said:#}");
        assert!(!into.exists());
    }
    // A key that is another's, and files of the wrong kind.
    let other = site.file("other.key");
    assert_eq!(site.node(&["backup", "init-recovery-key", text(&other)]).await.0, 0);
    assert_eq!(
        site.node(&["backup", "init-recovery-key", text(&other)]).await.0,
        1,
        "never over a key"
    );
    let file = site.file("data.backup");
    assert_eq!(
        site.node(&["backup", "verify", text(&file), "--recovery-key", text(&other)]).await.0,
        4
    );
    assert_eq!(
        site.node(&["backup", "verify", text(&file), "--recovery-key", text(&key)]).await.0,
        0
    );
    let keys = ["--enquiry-keys", text(&file)];
    assert_eq!(site.restore_into(&into, "data.backup", &keys).await.0, 4);
    assert_eq!(site.restore_into(&into, "keys.backup", &lost).await.0, 4);
    // What is there stays.
    let taken = site.folder();
    let before = fs::read(taken.join("agency-node.toml")).unwrap();
    let (exit, said) = site.restore_into(&taken, "data.backup", &lost).await;
    assert_eq!(exit, 3, "{said:#}");
    assert_eq!(fs::read(taken.join("agency-node.toml")).unwrap(), before);
    // In the place of an empty folder, and then no more.
    fs::create_dir(&into).unwrap();
    assert_eq!(site.restore_into(&into, "data.backup", &lost).await.0, 0);
    assert_eq!(site.restore_into(&into, "data.backup", &lost).await.0, 3);
    site.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_erased_before_a_backup_stays_erased_and_what_was_erased_after_it_does_not_open() {
    let mut site = Site::new().await;
    let (before, after, stays) = (site.rated().await, site.rated().await, site.rated().await);
    erase(&site.federation, AGENCY, &id(&before.name)).await;
    site.backup().await;
    let data = fs::read(site.file("data.backup")).unwrap();
    erase(&site.federation, AGENCY, &id(&after.name)).await;
    // The next night's backup of the keys; the old one is gone. That of the data is the old one.
    site.backup().await;
    fs::write(site.file("data.backup"), data).unwrap();
    site.federation.stop_node(AGENCY).await;
    site.restore().await;
    let rows = everything(&site.federation, AGENCY, &site.folder().join("data"));
    assert!(of_enquiry(&rows, &id(&before.name)).is_empty());
    assert!(of_enquiry(&rows, &id(&after.name)).is_empty());
    assert!(!of_enquiry(&rows, &id(&stays.name)).is_empty());
    assert!(rows.keys().any(|place| place.starts_with("person/")), "the agency's own records");
    site.federation.start_node(AGENCY).await;
    let inside = site.federation.inside(AGENCY);
    assert!(inside.store.durable().is_erased(&id(&before.name)));
    assert!(inside.store.enquiry(&id(&after.name)).unwrap().is_none());
    assert!(inside.store.enquiry(&id(&stays.name)).unwrap().is_some());
    drop(inside);
    site.federation.finish().await;
}

/// From one provider's machine to another's, as docs/backup.md says it, and what comes of the copy that the first one keeps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_moves_to_another_provider_and_a_copy_at_the_old_one_gets_nowhere() {
    let mut site = Site::new().await;
    let before = site.rated().await;
    site.witnessed().await;
    // Stopped at the agreed hour, then the last backup: it lacks nothing that anybody has seen.
    site.federation.stop_node(AGENCY).await;
    let copy = site.folder().with_file_name("old-provider");
    copy_folder(&site.folder(), &copy);
    site.backup().await;
    site.restore().await;
    let config = site.federation.node_config_file(AGENCY);
    let (exit, said) = site.node(&["check-config", "--config", text(&config)]).await;
    assert_eq!((exit, &said["ok"]), (0, &true.into()), "{said:#}");
    assert!(said["problems"].as_array().unwrap().is_empty(), "{said:#}");
    site.federation.start_node(AGENCY).await;
    site.rated().await;
    site.witnessed().await;
    let gap = site.gap().await;
    assert_eq!((gap.peer, gap.count), (Some(Party::Hub), Some(0)), "nothing is missing");
    let report = site.federation.reconcile();
    assert!(report.differences.is_empty(), "{:?}", report.differences);
    assert!(site.federation.inside(AGENCY).store.enquiry(&id(&before.name)).unwrap().is_some());

    // New keys, and a version of the agreement that names them and revokes the old one.
    let signing = site.node(&["keys", "new", "signing", "--config", text(&config)]).await;
    let sealing = site.node(&["keys", "new", "sealing", "--config", text(&config)]).await;
    assert_eq!((signing.0, sealing.0), (0, 0));
    let folder = site.folder();
    let former =
        brag_common::keyfile::read_signing_key(&folder.join("keys/statements.key")).unwrap();
    let next = site.federation.amended(|document| {
        let party = Partnership::party_in(document, AGENCY);
        party["keys"]["signing"] = value(signing.1["signing"].as_str().unwrap());
        party["keys"]["sealing"] = value(sealing.1["sealing"].as_str().unwrap());
        let mut entry = Table::new();
        entry.insert("key", value(former.verifying_key().to_string()));
        entry.insert("revoked_at", value("2027-02-09T09:00:30Z".parse::<Datetime>().unwrap()));
        entry.insert("reason", value("the provider has changed"));
        document.insert("revoked", Item::ArrayOfTables(ArrayOfTables::from_iter([entry])));
    });
    site.federation.advance(HOUR);
    site.federation.install_everywhere(&[AGENCY, "CSC"], &next).await;
    site.rated().await;
    site.witnessed().await;
    // The store's key file, too; the former one is destroyed.
    let line =
        ["agency-node", "keys", "rotate-store", "--config", text(&config)].map(str::to_owned);
    let rotated = tokio::task::spawn_blocking(move || {
        cli::run(Cli::try_parse_from(line).unwrap(), &mut Vec::new()).unwrap()
    });
    assert_eq!(rotated.await.unwrap().code(), 0);
    site.federation.stop_node(AGENCY).await;
    fs::remove_file(folder.join("keys/store.key")).unwrap();
    site.federation.start_node(AGENCY).await;
    site.rated().await;
    site.federation.stop_node(AGENCY).await;

    // The copy again: the key with which it vouches for its log is not the agency's any more, so nobody cosigns it, and nothing leaves.
    fs::rename(&folder, folder.with_file_name("new-provider")).unwrap();
    fs::rename(&copy, &folder).unwrap();
    site.federation.start_node(AGENCY).await;
    let waited = std::time::Duration::from_secs(1);
    assert!(site.federation.inside(AGENCY).cosigned.everything(waited).await.is_err());
    let enquiry = site.federation.open(&[("P1", &person_of(0))]).await;
    site.federation
        .until(&enquiry, "the hub has no answer of the copy", |show| {
            let mut of_copy = show.cells.iter().filter(|cell| cell.agency == AGENCY).peekable();
            of_copy.peek().is_some() && of_copy.all(|cell| cell.status() != AnswerStatus::Rated)
        })
        .await;
    site.federation.stop_node(AGENCY).await;
    site.federation.finish().await;
}

/// A copy that was made before others had seen more, as a snapshot of a virtual machine is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_that_is_started_in_place_of_a_node_that_was_put_back_is_found_out() {
    let mut site = Site::new().await;
    site.rated().await;
    site.witnessed().await;
    site.federation.stop_node(AGENCY).await;
    let copy = site.folder().with_file_name("snapshot");
    copy_folder(&site.folder(), &copy);
    site.federation.start_node(AGENCY).await;
    site.rated().await;
    site.witnessed().await;
    site.backup().await;
    site.federation.stop_node(AGENCY).await;
    site.restore().await;
    site.federation.start_node(AGENCY).await;
    site.rated().await;
    site.federation.stop_node(AGENCY).await;
    fs::rename(site.folder(), site.folder().with_file_name("put-back")).unwrap();
    fs::rename(&copy, site.folder()).unwrap();
    site.federation.start_node(AGENCY).await;
    let waited = std::time::Duration::from_secs(1);
    assert!(site.federation.inside(AGENCY).cosigned.everything(waited).await.is_err());
    eventually("the copy says that its log is not what it was", async || {
        let (status, said) = site.federation.ready(AGENCY).await;
        (status == 503 && said.contains("signed")).then_some(())
    })
    .await;
    site.federation.finish().await;
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        let kind = item.file_type().unwrap();
        if kind.is_dir() {
            copy_folder(&item.path(), &target);
        } else if kind.is_file() {
            fs::copy(item.path(), &target).unwrap();
        }
    }
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
}
