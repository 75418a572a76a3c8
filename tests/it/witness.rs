//! Logs that witness each other: detail waits for it, and a log that is put back or rewritten is found out.

use std::{fs, path::Path, time::Duration};

use brag_common::{
    audit::{Action, Party, command::NOT_VERIFIED, entries},
    program::LOG_SHARD,
    status::code_of,
    tlog::{KeyKind, NoteKey, Policy},
    wire::pb::{self, Colour, Decision},
};
use brag_tests::federation::{Federation, Holding, eventually, id, person_of};
use tonic::Code;

use crate::{
    independent_witness::{Witnessing, policy_with_somebody_else},
    views::until_inbox,
};

/// What the holder keeps of P1.
const TEXT: &str = "drinks daily since the autumn";

/// Longer than any round takes.
const LONG: Duration = Duration::from_secs(30);

pub async fn a_released_item(federation: &Federation) {
    let father = person_of(0);
    let enquiry = federation.open(&[("P1", &father)]).await;
    federation.rate("SMS", &enquiry, "P1", Colour::Red).await;
    federation
        .until(&enquiry, "gate 3 is open", |show| show.people[0].gates.iter().any(|g| g == "g3"))
        .await;
    federation.until_asked("CSC", &enquiry, "P1").await;
    let asked = federation.ask_detail(&enquiry, "SMS", "P1", "C33", &["CSC"]).await.unwrap();
    assert_eq!(asked[0].decision(), Decision::Release, "{asked:?}");
}

pub async fn start() -> Federation {
    let father = person_of(0);
    Federation::builder()
        .nodes(&["SMS", "CSC"])
        .silent(&["POL"])
        .holds("SMS", Holding::of(father.clone()).entry("C33", TEXT))
        .holds("CSC", Holding::of(father))
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn detail_does_not_leave_while_nobody_has_seen_that_the_log_tells_of_it() {
    let mut federation = start().await;
    // A policy that asks for a witness who does not answer; the hub does.
    let key = policy_with_somebody_else(&mut federation, "SMS").await;
    a_released_item(&federation).await;
    let sms = federation.inside("SMS");
    assert!(sms.cosigned.everything(Duration::from_millis(200)).await.is_err());
    assert!(!federation.hub_log().iter().any(|entry| entry.action == Action::DetailRelayed));
    assert!(!sms.store.outgoing().unwrap().is_empty());
    drop(sms);
    let somebody = Witnessing::start(&federation, key).await;
    until_inbox(&federation, "CSC", |_| true).await;
    let sealed = federation.log_of("SMS");
    let sealed = sealed.iter().find(|entry| entry.action == Action::DetailSealed).unwrap().seq;
    let seen = federation.inside("SMS").log.audit().latest_checkpoint().unwrap();
    assert!(seen.checkpoint().head.size > sealed);
    somebody.stop().await;
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x6_a_node_that_was_put_back_from_a_copy_answers_nothing() {
    let mut federation = start().await;
    let folder = federation.partnership().node_folder(&id("SMS"));
    let log = folder.join("data/log").join(LOG_SHARD);
    federation.inside("SMS").cosigned.everything(LONG).await.unwrap();
    federation.stop_node("SMS").await;
    let copy = folder.join("copy");
    copy_files(&log, &copy);
    federation.start_node("SMS").await;
    let father = person_of(0);
    for _ in 0..3 {
        let enquiry = federation.open(&[("P1", &father)]).await;
        federation.until_asked("SMS", &enquiry, "P1").await;
    }
    federation.inside("SMS").cosigned.everything(LONG).await.unwrap();
    federation.stop_node("SMS").await;
    let whole = folder.join("whole");
    copy_files(&log, &whole);
    fs::remove_dir_all(&log).unwrap();
    copy_files(&copy, &log);
    federation.start_node("SMS").await;
    // The node can not know by itself. The first who is asked to cosign does.
    assert!(federation.inside("SMS").cosigned.everything(Duration::from_secs(1)).await.is_err());
    eventually("the node says that its log is not what it was", async || {
        let (status, text) = federation.ready("SMS").await;
        (status == 503 && text.contains("signed")).then_some(())
    })
    .await;
    assert!(!federation.inside("SMS").log.is_available());

    // Whoever verifies the log with the hub's memory at hand finds it too.
    federation.stop_node("SMS").await;
    let witness = federation.partnership().hub_folder().join("data/witness");
    let (code, text) = verify(&log, &["--witness", witness.to_str().unwrap()]);
    assert_eq!(code, NOT_VERIFIED, "{text}");
    let (code, text) = verify(&whole, &["--witness", witness.to_str().unwrap()]);
    assert_eq!(code, 0, "{text}");

    // It goes on in a new shard, which says that it is one.
    let (code, text) = run(&["log", "begin-shard", folder.join("data/log").to_str().unwrap()]);
    assert_eq!(code, 0, "{text}");
    federation.start_node("SMS").await;
    let sms = federation.inside("SMS");
    sms.cosigned.everything(LONG).await.unwrap();
    let first = entries(sms.log.audit().dir()).unwrap().next().unwrap().unwrap();
    assert_eq!((first.action, first.count), (Action::ShardBegun, Some(1)));
    drop(sms);
    let enquiry = federation.open(&[("P1", &father)]).await;
    federation.rate("SMS", &enquiry, "P1", Colour::Red).await;
    federation.until_status(&enquiry, "SMS", "P1", pb::AnswerStatus::Rated).await;
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nodes_see_the_hubs_log_and_a_policy_of_their_keys_accepts_it() {
    let federation = start().await;
    let hub = federation.inside_hub();
    let witnesses = ["SMS", "CSC"].map(|agency| federation.inside(agency).witness.public().clone());
    // POL is a party too, and silent: two of three are more than half.
    hub.cosigned.everything(LONG).await.unwrap();
    let seen = hub.log.audit().latest_checkpoint().unwrap();
    let policy = Policy::of(hub.log.audit().note_key(), &witnesses, 2).unwrap();
    assert!(policy.accept(&seen).is_ok());
    let dir = hub.log.audit().dir().to_owned();
    drop(hub);
    let file = federation.partnership().hub_folder().join("policy");
    fs::write(&file, policy.to_string()).unwrap();
    let (code, text) = verify(&dir, &["--policy", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("seen"), "{text}");
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_has_another_partys_log_witnessed_in_its_name() {
    let federation = start().await;
    let sms = federation.inside("SMS");
    let own = brag_common::witness::grpc::WitnessHost::own_keys(&*sms).unwrap();
    let checkpoint = sms.log.audit().sign(&sms.log.audit().tree()).unwrap().to_bytes().unwrap();
    drop(sms);
    let ask = async |channel, keys: &brag_common::witness::keys::LogKeys, checkpoint: &[u8]| {
        let request = pb::AddCheckpointRequest {
            keys: Some(keys.into()),
            old_size: 0,
            proof: Vec::new(),
            checkpoint: checkpoint.to_vec(),
        };
        pb::witness_service_client::WitnessServiceClient::new(channel)
            .add_checkpoint(request)
            .await
            .map(tonic::Response::into_inner)
    };
    let as_agency = |agency: &str| {
        let ca = federation.partnership().ca();
        federation.to_hub(&ca.agency(&id(agency)))
    };
    let refused = ask(as_agency("CSC"), &own, &checkpoint).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(code_of(&refused), Some("log_keys_not_vouched"));
    // Named as CSC's, but not stated by it.
    let named = NoteKey::new("exampleshire/CSC/1", KeyKind::Log, *own.log.key()).unwrap();
    let forged = brag_common::witness::keys::LogKeys { log: named, ..own.clone() };
    let refused = ask(as_agency("CSC"), &forged, &checkpoint).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("log_keys_not_vouched"));
    let mut changed = checkpoint.clone();
    let at = changed.len() - 10;
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    let refused = ask(as_agency("SMS"), &own, &changed).await.unwrap_err();
    assert!(matches!(code_of(&refused), Some("checkpoint_not_signed" | "invalid_message")));
    for wrong in [vec![b'x'; 20_000], Vec::new()] {
        let refused = ask(as_agency("SMS"), &own, &wrong).await.unwrap_err();
        assert_eq!(code_of(&refused), Some("invalid_message"));
    }
    let answer = ask(as_agency("SMS"), &own, &checkpoint).await.unwrap();
    assert!(answer.keys.is_some() && answer.outcome.is_some());
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_does_not_continue_what_it_signed_raises_an_alert_where_it_was_seen() {
    let federation = start().await;
    let sms = federation.inside("SMS");
    sms.cosigned.everything(LONG).await.unwrap();
    let own = brag_common::witness::grpc::WitnessHost::own_keys(&*sms).unwrap();
    let size = sms.log.audit().latest_checkpoint().unwrap().checkpoint().head.size;
    // The same key signs another history of the same length.
    let key = brag_common::keyfile::read_signing_key(
        &federation.partnership().node_folder(&id("SMS")).join("keys/log.key"),
    )
    .unwrap();
    let root = brag_common::tlog::Hash::of_leaf(b"another history");
    let checkpoint = brag_common::tlog::Checkpoint {
        origin: sms.log.audit().origin().as_str().into(),
        head: brag_common::tlog::TreeHead { size, root },
    };
    let forged = checkpoint.sign(sms.log.audit().note_key(), &key).unwrap();
    drop(sms);
    let request = pb::AddCheckpointRequest {
        keys: Some((&own).into()),
        old_size: size,
        proof: Vec::new(),
        checkpoint: forged.to_bytes().unwrap(),
    };
    let ca = federation.partnership().ca();
    let answer = pb::witness_service_client::WitnessServiceClient::new(
        federation.to_hub(&ca.agency(&id("SMS"))),
    )
    .add_checkpoint(request)
    .await
    .unwrap()
    .into_inner();
    let Some(pb::add_checkpoint_response::Outcome::Last(last)) = answer.outcome else {
        panic!("it was cosigned")
    };
    assert!(!last.is_empty());
    let alert = federation.hub_log().into_iter().find(|entry| entry.action == Action::AlertRaised);
    let alert = alert.unwrap();
    assert_eq!(alert.decision.unwrap().as_str(), "log_inconsistent");
    assert_eq!(alert.peer, Some(Party::Agency(id("SMS"))));
    let refused = federation.partnership().hub_folder().join("data/witness/refused");
    assert_eq!(fs::read_dir(refused).unwrap().count(), 1);
    federation.finish().await;
}

pub fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// `log verify`, as information governance runs it.
pub fn verify(dir: &Path, words: &[&str]) -> (u8, String) {
    run(&[&["log", "verify", dir.to_str().unwrap()], words].concat())
}

/// A command of the log, as either program has it.
pub fn run(words: &[&str]) -> (u8, String) {
    use brag_common::audit::command::{self, LogCommand};
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Program {
        #[command(subcommand)]
        command: LogCommand,
    }
    let program = Program::try_parse_from(words).unwrap();
    let mut out = Vec::new();
    let code = command::run(&program.command, &mut out).unwrap();
    (code, String::from_utf8(out).unwrap())
}
