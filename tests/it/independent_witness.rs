//! A witness of information governance's own: what hub and nodes would hide together it has seen, and policies ask for it.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use brag_common::{
    audit::{AuditLog, LogOptions, Party, command::NOT_VERIFIED, rewrite::rewrite_with},
    id::StaffName,
    keyfile,
    keys::SigningKey,
    serve::Limits,
    tlog::{Checkpoint, CheckpointNote, NoteKey, Policy},
    tls::Channel,
    wire::pb::{self, AnswerStatus, add_checkpoint_response::Outcome},
    witness::{
        grpc::WitnessHost as _,
        keys::{LogKeys, witness_key},
    },
};
use brag_hub::independent_witness::{Config, IndependentWitness, verifier_key};
use brag_tests::{
    federation::{Federation, ReservedPort, id, person_of},
    processes::{Fleet, Programs},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::witness::{run, start, verify};

/// Longer than any round takes.
const LONG: Duration = Duration::from_secs(30);

fn name() -> StaffName {
    "ig".parse().unwrap()
}

/// The witness's folder, key and address.
pub struct Place {
    folder: PathBuf,
    port: ReservedPort,
    key: NoteKey,
}

impl Place {
    /// As `hub witness init` makes it, with a certificate and the agreement.
    fn new(federation: &Federation) -> Self {
        let partnership = federation.partnership();
        let folder = partnership.hub_folder().parent().unwrap().join("ig");
        fs::create_dir_all(folder.join("keys")).unwrap();
        let key = SigningKey::generate().unwrap();
        keyfile::write_signing_key(&folder.join("keys/witness.key"), &key).unwrap();
        let ca = partnership.ca();
        let files = ca.witness(&name()).write(ca, &folder, "tls");
        let domain = ca.trust_domain();
        let port = ReservedPort::new().unwrap();
        let digest = federation.realm().agreement;
        let shown = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        let text = format!(
            "trust_domain = \"{domain}\"\nname = \"ig\"\ndata = \"data\"\nagreement = \"{}\"\n\
             agreement_digest = \"{digest}\"\nlisten = \"{}\"\nadmin_listen = \"127.0.0.1:0\"\n\
             [tls]\ncertificate = \"{}\"\nprivate_key = \"{}\"\nroots = \"{}\"\n\
             [keys]\nwitness = \"keys/witness.key\"\n",
            shown(&partnership.agreement_path()),
            port.address(),
            shown(&files.certificate),
            shown(&files.private_key),
            shown(&files.roots),
        );
        fs::write(folder.join("witness.toml"), text).unwrap();
        let key = verifier_key(domain, &name(), key.verifying_key()).unwrap();
        Self { folder, port, key }
    }

    /// What hub and nodes have in their configuration.
    fn section(&self, federation: &Federation) -> String {
        let (address, domain) = (self.port.address(), federation.partnership().ca().trust_domain());
        let key = &self.key;
        format!(
            "[[witness.independent]]\nendpoint = \"https://{address}\"\ntls = \"spiffe://{domain}/witness/ig\"\nkey = \"{key}\"\n"
        )
    }

    fn config(&self) -> PathBuf {
        self.folder.join("witness.toml")
    }
}

/// A witness that runs in this process.
pub struct Witnessing {
    pub place: Place,
    admin: SocketAddr,
    stop: CancellationToken,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl Witnessing {
    pub async fn start(federation: &Federation, place: Place) -> Self {
        let config = Config::load(&place.config()).unwrap();
        let limits = Limits { drain: Duration::from_secs(2), ..Limits::default() };
        let witness = IndependentWitness::build(config, federation.clock(), limits).await.unwrap();
        let (stop, (tell, told)) = (CancellationToken::new(), tokio::sync::oneshot::channel());
        let ended = tokio::spawn(witness.run(stop.clone(), |admin| _ = tell.send(admin)));
        Self { place, admin: told.await.unwrap(), stop, ended }
    }

    pub const fn admin(&self) -> SocketAddr {
        self.admin
    }

    pub async fn stop(self) -> Place {
        self.stop.cancel();
        self.ended.await.unwrap().unwrap();
        self.place
    }
}

/// Appends to a program's configuration.
fn configure(path: &std::path::Path, text: &str) {
    let before = fs::read_to_string(path).unwrap();
    fs::write(path, format!("{before}\n{text}")).unwrap();
}

/// Has a node wait for the hub and a witness that does not run yet, and starts it anew.
pub async fn policy_with_somebody_else(federation: &mut Federation, agency: &str) -> Place {
    let place = Place::new(federation);
    let node = federation.inside(agency);
    let log = node.log.audit().note_key().clone();
    drop(node);
    let hub = federation.inside_hub().witness.public().clone();
    let policy = Policy::of(&log, &[hub, place.key.clone()], 2).unwrap();
    let file = place.folder.join("node.policy");
    fs::write(&file, policy.to_string()).unwrap();
    federation.stop_node(agency).await;
    let section = place.section(federation);
    let text = format!("[witness]\npolicy = \"{}\"\n{section}", file.display());
    configure(&federation.node_config_file(agency), &text);
    federation.start_node(agency).await;
    place
}

/// The hub is told of the witness and started anew.
async fn hub_asks(federation: &mut Federation, place: &Place) {
    federation.stop_hub().await;
    let section = place.section(federation);
    configure(federation.hub_config(), &section);
    federation.start_hub().await;
}

async fn add(
    channel: Channel,
    keys: &LogKeys,
    old_size: u64,
    proof: Vec<Vec<u8>>,
    note: &CheckpointNote,
) -> Result<pb::AddCheckpointResponse, tonic::Status> {
    let request = pb::AddCheckpointRequest {
        keys: Some(keys.into()),
        old_size,
        proof,
        checkpoint: note.to_bytes().unwrap(),
    };
    let mut client = pb::witness_service_client::WitnessServiceClient::new(channel);
    client.add_checkpoint(request).await.map(tonic::Response::into_inner)
}

fn to_witness(
    federation: &Federation,
    certificate: &brag_common::testing::TestCert,
    place: &Place,
) -> Channel {
    let server = federation.partnership().ca().trust_domain().witness(name());
    federation.channel(certificate, server, place.port.address())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_could_not_be_met_or_asks_for_nobody_keeps_a_program_from_starting() {
    let mut federation = start().await;
    let node = federation.inside("SMS");
    let log = node.log.audit().note_key().clone();
    let (own, hub) =
        (node.witness.public().clone(), federation.inside_hub().witness.public().clone());
    drop(node);
    let other_log = federation.inside("CSC").log.audit().note_key().clone();
    federation.stop_node("SMS").await;
    let file = federation.partnership().node_folder(&id("SMS")).join("policy");
    configure(
        &federation.node_config_file("SMS"),
        &format!("[witness]\npolicy = \"{}\"\n", file.display()),
    );
    for (text, what) in [
        (Policy::of(&log, &[], 0).unwrap().to_string(), "asks for no witness"),
        // SMS does not ask itself.
        (Policy::of(&log, &[own, hub.clone()], 1).unwrap().to_string(), "is not asked here"),
        (
            Policy::of(&other_log, std::slice::from_ref(&hub), 1).unwrap().to_string(),
            "does not have this program's log",
        ),
        (format!("log {log}\nwitness a {hub}\nquorums a\n"), "line 3"),
    ] {
        fs::write(&file, text).unwrap();
        let refused = refused_to_start(&federation, "SMS").await;
        assert!(refused.contains(what), "{what}: {refused}");
    }
    fs::remove_file(&file).unwrap();
    assert!(refused_to_start(&federation, "SMS").await.contains("can not read the policy"));
    // The hub's alone is what the node would have without one.
    fs::write(&file, Policy::of(&log, &[hub], 1).unwrap().to_string()).unwrap();
    federation.start_node("SMS").await;
    federation.inside("SMS").cosigned.everything(LONG).await.unwrap();
    federation.finish().await;
}

async fn refused_to_start(federation: &Federation, agency: &str) -> String {
    let config = federation.node_settings(agency);
    let around = brag_agency_node::Surroundings::of_this_machine(federation.clock());
    let built = brag_agency_node::Node::build(config, around).await;
    format!("{:#}", built.expect_err("it does not start"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_cosigns_for_the_parties_alone_and_says_on_its_own_port_how_it_is() {
    let federation = start().await;
    let place = Place::new(&federation);
    let witness = Witnessing::start(&federation, place).await;
    let ca = federation.partnership().ca();
    let sms = federation.inside("SMS");
    let (keys, tree) = (sms.own_keys().unwrap(), sms.log.audit().tree());
    let note = sms.log.audit().sign(&tree).unwrap();
    drop(sms);
    let ask = async |certificate| {
        add(to_witness(&federation, &certificate, &witness.place), &keys, 0, Vec::new(), &note)
            .await
    };
    for stranger in
        [ca.hub(), ca.agency(&id("CSC")), federation.person("hub.coordinator"), ca.witness(&name())]
    {
        let refused = ask(stranger).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
    }
    let answer = ask(ca.agency(&id("SMS"))).await.unwrap();
    assert!(matches!(answer.outcome, Some(Outcome::Cosignature(_))) && answer.keys.is_none());
    let (status, _) = brag_tests::federation::fetch(witness.admin, "/ready").await;
    assert_eq!(status, 200);
    let (_, metrics) = brag_tests::federation::fetch(witness.admin, "/metrics").await;
    assert!(
        metrics.contains("brag_witness_requests_total{rpc=\"add_checkpoint\",code=\"ok\"} 1"),
        "{metrics}"
    );
    // It is nobody at the hub or a node.
    let certificate = ca.witness(&name());
    let mut as_node =
        pb::hub_service_client::HubServiceClient::new(federation.to_hub(&certificate));
    let refused = as_node.deliver(pb::DeliverRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    witness.stop().await;
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_hub_and_nodes_wrote_anew_together_has_no_quorum_and_is_kept_as_evidence() {
    let mut federation = start().await;
    let place = Place::new(&federation);
    hub_asks(&mut federation, &place).await;
    let witness = Witnessing::start(&federation, place).await;
    let enquiry = federation.open(&[("P1", &person_of(3))]).await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::NotKnown).await;
    let hub = federation.inside_hub();
    // The nodes answer sooner than the witness may; what it has seen is what counts here.
    let ig = witness.place.key.clone();
    let seen = brag_tests::federation::eventually("the witness has cosigned", async || {
        hub.cosigned.everything(LONG).await.unwrap();
        let kept = hub.log.audit().latest_checkpoint().unwrap();
        (!kept.cosignatures(std::slice::from_ref(&ig)).unwrap().is_empty()).then_some(kept)
    })
    .await;
    let keys = hub.own_keys().unwrap();
    let log = hub.log.audit().note_key().clone();
    drop(hub);
    let size = seen.checkpoint().head.size;
    let nodes = ["SMS", "CSC"].map(|agency| federation.inside(agency).witness.public().clone());
    let folder = federation.partnership().hub_folder();
    let policy_of = |name: &str, witnesses: &[NoteKey]| {
        let file = folder.join(name);
        let policy = Policy::of(&log, witnesses, witnesses.len()).unwrap();
        fs::write(&file, policy.to_string()).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let of_nodes = policy_of("nodes.policy", &nodes);
    let with_ig = policy_of("ig.policy", &[nodes[0].clone(), nodes[1].clone(), ig]);
    federation.stop_hub().await;
    let (code, text) = verify(&federation.hub_log_dir(), &["--policy", &with_ig]);
    assert_eq!(code, 0, "{text}");

    // The hub leaves out an enquiry, and both nodes cosign what it has now, as if they had never seen another.
    let anew = tempfile::tempdir().unwrap();
    let own = keyfile::read_signing_key(&folder.join("keys/log.key")).unwrap();
    let dir = rewrite_with(own, &federation.hub_log_dir(), anew.path(), |entry| {
        (entry.enquiry.as_ref().map(|name| name.as_str()) != Some(&enquiry.name)).then_some(entry)
    })
    .await;
    let own = keyfile::read_signing_key(&folder.join("keys/log.key")).unwrap();
    let (_, tree) = brag_common::audit::verify::read_verified(
        &dir,
        log.key(),
        &log.key_name().parse().unwrap(),
        &mut |_, _| Ok(()),
    )
    .unwrap();
    let head = tree.head();
    let checkpoint = Checkpoint { origin: log.key_name().into(), head };
    let mut forged = checkpoint.sign(&log, &own).unwrap();
    let ca = federation.partnership().ca();
    for agency in ["SMS", "CSC"] {
        let key = federation.partnership().node_folder(&id(agency)).join("keys/witness.key");
        let key = keyfile::read_signing_key(&key).unwrap();
        let public =
            witness_key(ca.trust_domain(), &Party::Agency(id(agency)), key.verifying_key());
        forged.cosign(&public, federation.now(), &key).unwrap();
    }
    // Asked for it, from where it stands and from nothing, the witness refuses.
    let channel = || to_witness(&federation, &ca.hub(), &witness.place);
    for (old_size, proof) in [(size, Vec::new()), (0, Vec::new())] {
        let answer = add(channel(), &keys, old_size, proof, &forged).await.unwrap();
        let Some(Outcome::Last(last)) = answer.outcome else { panic!("it cosigned a fork") };
        assert_eq!(CheckpointNote::parse(&last).unwrap().checkpoint(), seen.checkpoint());
    }
    let evidence: Vec<_> =
        fs::read_dir(witness.place.folder.join("data/refused")).unwrap().collect();
    assert_eq!(evidence.len(), 1);

    // Without the witness the fork would pass; with it, and with its memory, it does not.
    let own = keyfile::read_signing_key(&folder.join("keys/log.key")).unwrap();
    let options =
        LogOptions::new(anew.path(), log.key_name().parse().unwrap(), own, federation.clock());
    AuditLog::open(options).unwrap().keep_checkpoint(&forged).unwrap();
    let (code, text) = verify(&dir, &["--policy", &of_nodes]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = verify(&dir, &["--policy", &with_ig]);
    assert_eq!(code, NOT_VERIFIED, "{text}");
    let memory = witness.place.folder.join("data");
    let (code, text) =
        verify(&dir, &["--policy", &of_nodes, "--witness", memory.to_str().unwrap()]);
    assert_eq!(code, NOT_VERIFIED, "{text}");
    federation.start_hub().await;
    witness.stop().await;
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_that_is_killed_at_any_moment_never_cosigns_two_histories() {
    let federation = start().await;
    let place = Place::new(&federation);
    let logs = tempfile::tempdir().unwrap();
    let fleet = Fleet::new(Programs::beside_this(logs.path().to_owned()).unwrap());
    let sms = federation.inside("SMS");
    let keys = sms.own_keys().unwrap();
    let (log, origin) = (sms.log.audit().note_key().clone(), sms.log.audit().origin().clone());
    drop(sms);
    let key = federation.partnership().node_folder(&id("SMS")).join("keys/log.key");
    let key = Arc::new(keyfile::read_signing_key(&key).unwrap());
    // Two histories of the same name and key that grow from one beginning.
    let note = |branch: &str, size: u64| {
        let root = brag_common::tlog::Hash::of_leaf(format!("{branch} {size}").as_bytes());
        let head = brag_common::tlog::TreeHead { size, root };
        Checkpoint { origin: origin.as_str().into(), head }.sign(&log, &key).unwrap()
    };
    let ca = federation.partnership().ca();
    let mut cosigned = Vec::new();
    for (n, wait) in [0_u64, 1, 3, 8, 20].into_iter().enumerate() {
        let name = format!("witness-{n}");
        fleet.start(&name, "hub witness", &place.config()).await.unwrap();
        let channel = to_witness(&federation, &ca.agency(&id("SMS")), &place);
        let (first, keys) = (note("a", 5), keys.clone());
        let asking = tokio::spawn(async move { add(channel, &keys, 0, Vec::new(), &first).await });
        // Not synchronisation: the moment of the kill is what is varied.
        tokio::time::sleep(Duration::from_millis(wait)).await;
        fleet.kill(&name).await.unwrap();
        if let Ok(Ok(answer)) = asking.await
            && let Some(Outcome::Cosignature(_)) = answer.outcome
        {
            cosigned.push("a");
        }
    }
    fleet.start("witness", "hub witness", &place.config()).await.unwrap();
    let channel = || to_witness(&federation, &ca.agency(&id("SMS")), &place);
    let answer = add(channel(), &keys, 0, Vec::new(), &note("b", 5)).await.unwrap();
    let was_kept = matches!(answer.outcome, Some(Outcome::Last(_)));
    // When any killed witness had answered, or only kept it, the other history is refused.
    assert!(was_kept || cosigned.is_empty(), "both histories were cosigned");
    if was_kept {
        let again = add(channel(), &keys, 5, Vec::new(), &note("a", 5)).await.unwrap();
        assert!(matches!(again.outcome, Some(Outcome::Cosignature(_))));
    }
    fleet.stop().await.unwrap();
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_folder_is_made_with_what_the_others_need() {
    use clap::Parser as _;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("ig");
    let words = [
        "hub",
        "witness",
        "init",
        dir.to_str().unwrap(),
        "--trust-domain",
        "exampleshire",
        "--json",
    ];
    let mut out = Vec::new();
    let code = brag_hub::cli::run(&brag_hub::cli::Cli::try_parse_from(words).unwrap(), &mut out);
    assert_eq!(code.unwrap(), 0);
    let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(document["tls"], "spiffe://exampleshire/witness/ig");
    let key: NoteKey = document["key"].as_str().unwrap().parse().unwrap();
    assert_eq!(key.key_name(), "exampleshire/witness/ig");
    let config = Config::load(&dir.join("witness.toml")).unwrap();
    let kept = keyfile::read_signing_key(config.keys.witness.as_path()).unwrap();
    assert_eq!(*key.key(), kept.verifying_key());
    let again = brag_hub::cli::run(&brag_hub::cli::Cli::try_parse_from(words).unwrap(), &mut out);
    assert!(again.unwrap_err().to_string().contains("not overwritten"));
    let (code, _) = run(&["log", "verify", dir.to_str().unwrap()]);
    assert_eq!(code, 1);
}
