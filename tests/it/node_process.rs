//! A node's own work beside serving: its import and its enrolment against a real hub.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use brag_agency_node::{
    Config,
    enrol::{self, EnrolSummary},
    records::{ImportJob, import_files},
};
use brag_common::{
    audit::entry::Action,
    id::AgencyId,
    time::{SettableClock, SharedClock},
};
use brag_tests::federation::{Federation, PATIENCE, id};
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
