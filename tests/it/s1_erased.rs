//! The whole of S1, erased at the hub and at every agency: what is left of its people, and of the logs that tell of it.

use std::path::Path;

use brag_tests::{
    partnership::sample_parties,
    player::{self, KillHub, Narrator, Options},
    scenario::{S1, Scenario},
    sweep::{Sweep, Swept},
};
use tokio_util::sync::CancellationToken;

use crate::erasure::OWN_KINDS;

#[tokio::test(flavor = "multi_thread")]
async fn after_the_erasure_of_s1_nothing_names_its_people_and_every_log_verifies_and_reconciles() {
    let agencies = sample_parties().unwrap();
    let scenario = Scenario::parse(Path::new("s1.toml"), S1, &agencies).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        folder: folder.path().join("play"),
        n_people: 60,
        kill_hub: KillHub::AsWritten,
        consoles: None,
    };
    let (narrator, never) = (Narrator::default(), CancellationToken::new());
    let mut played = player::play(&scenario, options, &narrator, &never).await.unwrap();
    let erased = played.erase().await.unwrap();
    played.stop(&narrator).await.unwrap();

    // The hub, and each agency that knows somebody, had something of it.
    assert_eq!(erased.len(), agencies.len() + 1);
    for party in ["hub", "POL", "CSC", "HLT", "EDU", "HOU", "DAS", "SMS"] {
        assert!(erased[party] > 0, "{party}: {erased:?}");
    }

    // With every key that is left, no store gives a name or a number of anybody, nor names the enquiry; but what an agency itself keeps of
    // people stays, and shows that they would be found.
    let people = Sweep::new(scenario.names().into_iter().chain(scenario.numbers()));
    let enquiry = Sweep::new([played.report.enquiry.clone()]);
    let mut own = Swept::default();
    for (party, rows) in played.everything().unwrap() {
        let mut left = Swept::default();
        for (place, value) in &rows {
            let name = Path::new(&party).join(place);
            let kind = place.split('/').next().unwrap();
            if party != "hub" && OWN_KINDS.contains(&kind) {
                people.bytes(&name, value, &mut own);
                continue;
            }
            for sweep in [&people, &enquiry] {
                sweep.bytes(&name, value, &mut left);
                sweep.bytes(&name, place.as_bytes(), &mut left);
            }
        }
        assert_eq!(left.leaks, [], "{party}");
    }
    assert!(own.leaks.len() > 6, "people in agencies' own records are not found: {own:?}");

    // Logs verify and reconcile, receipts fit, and no file of any program has a payload or, in logs and messages, a name.
    played.look_back(&scenario, &narrator).await.unwrap();
    let report = &played.report;
    assert_eq!(report.logs.len(), agencies.len() + 1);
    assert!(report.logs.iter().all(|log| log.ok), "{:?}", report.logs);
    assert!(report.reconciled.ok, "{:?}", report.reconciled);
    assert!(report.sweeps.iter().all(|sweep| sweep.ok), "{:?}", report.sweeps);
    // As they lie on the disk, nothing at all can be read: of the data of all programs.
    let mut swept = Swept::default();
    for data in played.data_folders().unwrap() {
        let of_one = people.folder(&data, &|_| true).unwrap();
        swept.n_files += of_one.n_files;
        swept.leaks.extend(of_one.leaks);
    }
    assert!(swept.n_files > agencies.len() * 3);
    assert_eq!(swept.leaks, []);
}
