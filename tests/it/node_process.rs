//! A node's own commands against a real hub and real nodes: import, enrolment, and the desk.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use brag_agency_node::{
    Config,
    cli::{self, Cli},
    enrol::{self, EnrolSummary},
    records::{ImportJob, import_files},
};
use brag_common::{
    audit::entry::Action,
    id::AgencyId,
    matching::token::BATCH,
    time::{SettableClock, SharedClock},
    wire::pb::ShowResponse,
};
use brag_tests::{
    federation::{ANALYSIS, Federation, Holding, PATIENCE, eventually, id, person_of},
    partnership::Partnership,
    processes::Programs,
};
use clap::Parser as _;
use tokio_util::sync::CancellationToken;

const AGENCY: &str = "SMS";

/// A hub, and a stopped node that knows `n` people whom it has not enrolled.
async fn stopped_node(n: usize) -> (Federation, Config) {
    let mut federation = Federation::builder()
        .nodes(&[AGENCY])
        .silent(&["POL", "CSC", "DAS"])
        .not_enrolled(AGENCY)
        .start()
        .await;
    federation.stop_node(AGENCY).await;
    let folder = federation.partnership().node_folder(&id::<AgencyId>(AGENCY));
    let config = Config::load(&folder.join("agency-node.toml")).unwrap();
    if n > 0 {
        import(&federation, &config, &people(n)).await;
    }
    (federation, config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x3_a_node_whose_agreement_has_a_condition_it_does_not_know_does_not_start_and_names_the_line()
 {
    let (federation, config) = stopped_node(0).await;
    // As a node that never had another.
    std::fs::remove_dir_all(config.data.as_path().join("agreements")).unwrap();
    let path = federation.partnership().agreement_path();
    let good = std::fs::read_to_string(&path).unwrap();
    let known = "requirement = \"core\"";
    let line = 2 + good[..good.find(known).unwrap()].matches('\n').count();
    let unknown = "requirement = \"conditional\"\nwhen = [\"if_moon_full\"]";
    std::fs::write(&path, good.replacen(known, unknown, 1)).unwrap();
    let captured = tempfile::tempdir().unwrap();
    let program = Programs::beside_this(captured.path().to_owned()).unwrap().path("agency-node");
    let folder = federation.partnership().node_folder(&id::<AgencyId>(AGENCY));
    let started = tokio::process::Command::new(program)
        .args(["serve", "--config"])
        .arg(folder.join("agency-node.toml"))
        .kill_on_drop(true)
        .output();
    let started = tokio::time::timeout(PATIENCE, started).await.expect("it serves").unwrap();
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    assert!(!started.status.success(), "{said}");
    assert!(said.contains(&format!("line {line}")) && said.contains("if_moon_full"), "{said}");
    std::fs::write(&path, good).unwrap();
    federation.finish().await;
}

fn clock(federation: &Federation) -> SharedClock {
    Arc::new(SettableClock::at(federation.now()))
}

fn people(n: usize) -> String {
    let mut csv = "record,id,given,family,born,house,postcode\n".to_owned();
    for n in 0..n {
        let name = |mut n: usize| {
            let mut text = String::new();
            for _ in 0..4 {
                text.push(char::from(b'a' + u8::try_from(n % 26).unwrap()));
                n /= 26;
            }
            text
        };
        let born = format!("19{:02}-{:02}-{:02}", 50 + n % 49, 1 + n % 12, 1 + n % 28);
        writeln!(csv, "person,{n},{},{},{born},{n},ZZ1 2AB", name(n * 7919), name(n * 104_729))
            .unwrap();
    }
    csv
}

async fn import(federation: &Federation, config: &Config, csv: &str) {
    let file = config.data.as_path().with_extension("csv");
    std::fs::write(&file, csv).unwrap();
    let job = ImportJob::load(vec![file]);
    let imported = import_files(config.clone(), clock(federation), job).await.unwrap();
    assert!(imported.is_complete(), "{imported:?}");
}

async fn enrol(federation: &Federation, config: &Config) -> EnrolSummary {
    enrol::run(config.clone(), clock(federation), |_| ()).await.unwrap()
}

fn n_evaluated_at_the_hub(federation: &Federation) -> usize {
    let log = federation.hub_log();
    log.iter().filter(|entry| entry.action == Action::EnrolmentEvaluated).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_node_keeps_import_and_enrolment_out_and_says_so() {
    let federation = Federation::builder()
        .nodes(&[AGENCY])
        .silent(&["POL", "CSC", "DAS"])
        .not_enrolled(AGENCY)
        .start()
        .await;
    let folder = federation.partnership().node_folder(&id::<AgencyId>(AGENCY));
    let config = Config::load(&folder.join("agency-node.toml")).unwrap();
    let job = ImportJob::load(vec![folder.join("none.csv")]);
    let import = import_files(config.clone(), clock(&federation), job).await.unwrap_err();
    let enrol = enrol::run(config, clock(&federation), |_| ()).await.unwrap_err();
    for error in [import, enrol] {
        assert!(format!("{error:#}").starts_with("stop the node first"), "{error:#}");
    }
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agency_that_knows_nobody_gets_an_empty_index() {
    let (federation, config) = stopped_node(0).await;
    let done = enrol(&federation, &config).await;
    assert_eq!((done.n_people, done.n_batches, done.n_tokens, done.epoch.0), (0, 1, 0, 1));
    assert_eq!(enrol(&federation, &config).await.n_batches, 0);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_new_and_changed_people_are_evaluated_again() {
    let (federation, config) = stopped_node(40).await;
    let first = enrol(&federation, &config).await;
    assert_eq!((first.n_people, first.n_evaluated, first.n_without_keys), (40, 40, 0));
    assert!(first.n_tokens >= 80, "{first:?}");
    let before = n_evaluated_at_the_hub(&federation);
    let again = enrol(&federation, &config).await;
    assert_eq!((again.n_evaluated, again.n_batches, again.n_tokens), (0, 0, first.n_tokens));
    assert_eq!(n_evaluated_at_the_hub(&federation), before);
    // One person moves, one is new.
    let csv = people(41).replace(",3,ZZ1 2AB", ",3,ZZ9 9ZZ");
    import(&federation, &config, &csv).await;
    let changed = enrol(&federation, &config).await;
    assert_eq!((changed.n_people, changed.n_evaluated, changed.n_batches), (41, 2, 1));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_that_was_cut_off_goes_on_where_it_was() {
    let (federation, config) = stopped_node(500).await;
    let cut = CancellationToken::new();
    let at_first = cut.clone();
    let running = enrol::run(config.clone(), clock(&federation), move |_| at_first.cancel());
    tokio::select! {
        ended = running => panic!("it was to be cut off: {ended:?}"),
        () = cut.cancelled() => {}
    }
    // What it had open is let go by other threads.
    let until = Instant::now() + PATIENCE;
    let done = loop {
        match enrol::run(config.clone(), clock(&federation), |_| ()).await {
            Ok(done) => break done,
            Err(error) => {
                assert!(Instant::now() < until, "{error:#}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    assert_eq!(done.n_people, 500);
    assert!(done.n_evaluated < 500, "{done:?}");
    // Everybody is in the index all the same: as many tokens as one run over the same people gives.
    let (whole, whole_config) = stopped_node(500).await;
    assert_eq!(enrol(&whole, &whole_config).await.n_tokens, done.n_tokens);
}

/// The program as it is, killed without a word in the middle. A whole run is about as many batches as the tokens fill.
#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_that_is_killed_does_not_redo_what_was_acknowledged() {
    const PEOPLE: usize = 3000;
    /// Batches that may be under way at once.
    const AT_ONCE: usize = 4;
    let (federation, config) = stopped_node(PEOPLE).await;
    let captured = tempfile::tempdir().unwrap();
    let program = Programs::beside_this(captured.path().to_owned()).unwrap().path("agency-node");
    let folder = federation.partnership().node_folder(&id::<AgencyId>(AGENCY));
    let mut child = tokio::process::Command::new(program)
        .args(["enrol", "--json", "--config"])
        .arg(folder.join("agency-node.toml"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    eventually("the enrolment is in its middle", async || {
        (n_evaluated_at_the_hub(&federation) >= 4 * AT_ONCE).then_some(())
    })
    .await;
    assert!(child.try_wait().unwrap().is_none(), "it was to be killed before its end");
    child.kill().await.unwrap();

    let done = enrol(&federation, &config).await;
    let whole = usize::try_from(done.n_tokens).unwrap().div_ceil(BATCH);
    assert!(whole > 5 * AT_ONCE, "{done:?}");
    let second = usize::try_from(done.n_batches).unwrap();
    let n_calls = n_evaluated_at_the_hub(&federation);
    // What was under way when it was killed, and what had come and was not on the disk yet, is the most that is asked
    // twice; each run has a batch that is not full, and people are not split over two.
    assert!(n_calls <= whole + 2 * AT_ONCE + 2, "{n_calls} calls where a whole run has {whole}");
    assert!(second + AT_ONCE <= whole, "{second} batches in the second run, {whole} in all");
    // Everybody is in.
    let again = enrol(&federation, &config).await;
    assert_eq!((again.n_evaluated, again.n_batches, again.n_tokens), (0, 0, done.n_tokens));
    federation.finish().await;
}

const DETAIL: &str = "MARKER-c33 drinks daily since the autumn";

/// Runs a command of the desk as somebody of an agency; gives its exit code and its one document.
async fn desk(federation: &Federation, agency: &str, args: &[&str]) -> (u8, serde_json::Value) {
    let partnership = federation.partnership();
    let agency: AgencyId = id(agency);
    let server = partnership.ca().trust_domain().agency(agency.clone());
    let person = Partnership::assessor(&agency);
    let address = federation.node_address(agency.as_str());
    let profile = partnership.write_profile(&person, &server, address).unwrap();
    let line = ["agency-node"].iter().chain(args).map(ToString::to_string);
    let options = ["--json".to_owned(), "--profile".to_owned(), profile.display().to_string()];
    let command = Cli::try_parse_from(line.chain(options)).unwrap();
    let mut out = Vec::new();
    let (exit, out) =
        tokio::task::spawn_blocking(move || (cli::run(command, &mut out), out)).await.unwrap();
    (exit.unwrap().code(), serde_json::from_slice(&out).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assessor_rates_and_another_opens_detail_from_a_terminal() {
    let known = person_of(0);
    let federation = Federation::builder()
        .nodes(&[AGENCY, "CSC"])
        .silent(&["POL", "DAS"])
        .holds(AGENCY, Holding::of(known.clone()).entry("C33", DETAIL))
        .holds("CSC", Holding::of(known.clone()))
        .start()
        .await;
    let enquiry = federation.open(&[("P1", &known)]).await;
    federation.until_asked(AGENCY, &enquiry, "P1").await;

    let (exit, list) = desk(&federation, AGENCY, &["worklist"]).await;
    assert_eq!((exit, &list["ratings"][0]["kind"]), (0, &"rate".into()), "{list:#}");
    let person = list["ratings"][0]["person"].as_str().unwrap().to_owned();
    let rate = ["rate", &enquiry.name, &person, "--colour", "red", "--analysis"];
    let (exit, refused) = desk(&federation, AGENCY, &[&rate[..], &["Hm."]].concat()).await;
    assert_eq!((exit, &refused["refused"]["code"]), (3, &"analysis_not_accepted".into()));
    let (exit, rated) = desk(&federation, AGENCY, &[&rate[..], &[ANALYSIS]].concat()).await;
    assert!(exit == 0 && rated["statement_id"].is_string(), "{rated:#}");
    let is_open = |show: &ShowResponse| show.people[0].gates.iter().any(|gate| gate == "g3");
    federation.until(&enquiry, "g3 is open", is_open).await;

    federation.ask_detail(&enquiry, AGENCY, "P1", "C33", &["CSC"]).await.unwrap();
    let item = eventually("the detail has come", async || {
        let (exit, inbox) = desk(&federation, "CSC", &["inbox"]).await;
        assert_eq!(exit, 0);
        inbox["items"].get(0).cloned()
    })
    .await;
    let release = item["release"].as_str().unwrap();
    let (exit, refused) = desk(&federation, "CSC", &["open", release]).await;
    assert_eq!((exit, &refused["refused"]["code"]), (3, &"obligations_not_accepted".into()));
    assert_eq!(refused["obligations"], item["obligations"]);
    assert!(!federation.log_of("CSC").iter().any(|entry| entry.action == Action::DetailOpened));
    let (exit, detail) = desk(&federation, "CSC", &["open", release, "--accept-obligations"]).await;
    assert_eq!((exit, &detail["text"]), (0, &DETAIL.into()));
    federation.finish().await;
}
