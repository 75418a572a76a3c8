//! Certificates, authorities, revocation lists, the agreement and the level of messages change while everybody works: no call fails, and
//! whoever is revoked is out.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use brag_common::{
    audit::entry::Action,
    certificate::{Request, install, next_key, write_request},
    id::StaffName,
    peer::PeerName,
    program::keep_log_level,
    telemetry::{LogConfig, LogLevel, start_log},
    testing::TestCa,
    time::{SharedClock, SignedDuration, Timestamp},
    tls::{Channel, ClientTls, TlsFiles, Unreached, connect, probe},
    wire::pb::{
        Colour, GiveRatingRequest, ListRequest, ShowRequest, WorklistRequest,
        coordinator_service_client::CoordinatorServiceClient,
        desk_service_client::DeskServiceClient,
    },
};
use brag_tests::{
    federation::{ANALYSIS, Federation, Holding, cell, eventually, id, person_of},
    partnership::{COORDINATOR, Partnership},
};
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

use crate::agreement_change::{begins_tomorrow, ends_tonight};

const NODES: [&str; 2] = ["SMS", "CSC"];

/// Those that every enquiry must ask by the agreement, and that have no node here.
const SILENT: [&str; 2] = ["POL", "DAS"];
/// So that connections are made anew often, as after the hour for which docs/certificates.md says to wait.
const CONNECTION_AGE: Duration = Duration::from_secs(2);
/// Calls that each of the callers makes at least between two changes.
const CALLS: u64 = 25;

/// Writes a file as an operator should: beside, then renamed.
fn put(path: &Path, text: &str) {
    let beside = path.with_extension("beside");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

/// Somebody who calls without end, over one channel.
struct Caller {
    files: TlsFiles,
    name: PeerName,
    tls: Arc<ClientTls>,
    channel: Channel,
    good: Arc<AtomicU64>,
    bad: Arc<Mutex<Vec<String>>>,
}

impl Caller {
    /// Calls `server` at `endpoint` until `stop`; `call` makes one call.
    fn start<F>(
        federation: &Federation,
        person: &str,
        (server, endpoint): (PeerName, String),
        stop: &Arc<AtomicBool>,
        call: fn(Channel) -> F,
    ) -> Self
    where
        F: Future<Output = Result<(), tonic::Status>> + Send + 'static,
    {
        let folder = federation.partnership().folder().join("callers").join(person);
        fs::create_dir_all(&folder).unwrap();
        let ca = federation.partnership().ca();
        let person: StaffName = person.parse().unwrap();
        let files = ca.person(&person).write(ca, &folder, "own");
        let domain = ca.trust_domain().clone();
        let name = domain.person(person);
        let tls = ClientTls::load(files.clone(), domain, federation.clock()).unwrap();
        let (good, bad) = (Arc::<AtomicU64>::default(), Arc::<Mutex<Vec<String>>>::default());
        let channel = connect(&Endpoint::from_shared(endpoint).unwrap(), server, Arc::clone(&tls));
        let (counts, errors, stop) = (Arc::clone(&good), Arc::clone(&bad), Arc::clone(stop));
        let calling = channel.clone();
        tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                match call(calling.clone()).await {
                    Ok(()) => _ = counts.fetch_add(1, Ordering::SeqCst),
                    Err(status) => errors.lock().unwrap().push(format!("{status:?}")),
                }
            }
        });
        Self { files, name, tls, channel, good, bad }
    }
}

async fn worklist(channel: Channel) -> Result<(), tonic::Status> {
    DeskServiceClient::new(channel).worklist(WorklistRequest {}).await.map(drop)
}

async fn list(channel: Channel) -> Result<(), tonic::Status> {
    let mut client = CoordinatorServiceClient::new(channel).max_decoding_message_size(16 << 20);
    client.list(ListRequest { limit: 5 }).await.map(drop)
}

/// A program's files, its name and where it listens.
struct Program {
    name: PeerName,
    files: TlsFiles,
    endpoint: String,
}

fn programs(federation: &Federation) -> Vec<Program> {
    let partnership = federation.partnership();
    let domain = partnership.ca().trust_domain();
    let of = |folder: PathBuf, name: PeerName, address: std::net::SocketAddr| Program {
        name,
        files: TlsFiles {
            certificate: folder.join("tls.pem"),
            private_key: folder.join("tls.key"),
            roots: folder.join("ca.pem"),
            crls: None,
        },
        endpoint: format!("https://{address}"),
    };
    let mut all = vec![of(partnership.hub_folder(), domain.hub(), federation.hub_address())];
    for agency in NODES {
        let folder = partnership.node_folder(&id(agency));
        all.push(of(folder, domain.agency(id(agency)), federation.node_address(agency)));
    }
    all
}

/// A client that others trust when they trust `ca`, and that trusts both authorities.
fn prober(federation: &Federation, ca: &TestCa, roots: &str, name: &str) -> Arc<ClientTls> {
    let folder = federation.partnership().folder().join(name);
    fs::create_dir_all(&folder).unwrap();
    let files = ca.person(&"prober".parse().unwrap()).write(ca, &folder, "own");
    put(&files.roots, roots);
    ClientTls::load(files, ca.trust_domain().clone(), federation.clock()).unwrap()
}

async fn more_calls(callers: &[Caller], what: &str) {
    for caller in callers {
        let from = caller.good.load(Ordering::SeqCst);
        eventually(&format!("{} goes on calling after {what}", caller.name), async || {
            let failed = caller.bad.lock().unwrap().clone();
            assert!(failed.is_empty(), "{} after {what}: {failed:#?}", caller.name);
            (caller.good.load(Ordering::SeqCst) >= from + CALLS).then_some(())
        })
        .await;
    }
}

/// Hub and nodes call each other: an enquiry about the nth person is asked at both nodes, and a rating is delivered. All of it over the
/// callers' own channels, for the certificates of others change too.
async fn an_enquiry_goes_its_way(callers: &[Caller], n: usize) {
    let [hub, sms, csc] = callers else { panic!("three call") };
    let coordinator =
        || CoordinatorServiceClient::new(hub.channel.clone()).max_decoding_message_size(16 << 20);
    let opening = Federation::opening(&[("P1", &person_of(n))]);
    let enquiry = coordinator().open(opening).await.unwrap().into_inner().enquiry;
    let show = async || {
        let request = ShowRequest { enquiry: enquiry.clone() };
        coordinator().show(request).await.unwrap().into_inner()
    };
    let person = show().await.people.remove(0).person;
    for node in [sms, csc] {
        eventually(&format!("round {n} is asked at {}", node.name), async || {
            let mut desk = DeskServiceClient::new(node.channel.clone());
            let list = desk.worklist(WorklistRequest {}).await.unwrap().into_inner();
            list.ratings.iter().any(|work| work.enquiry == enquiry).then_some(())
        })
        .await;
    }
    let rating = GiveRatingRequest {
        enquiry: enquiry.clone(),
        person: person.clone(),
        colour: Colour::Amber.into(),
        analysis: ANALYSIS.to_owned(),
        topics: vec!["substance".to_owned()],
        via: String::new(),
        decline_reason: String::new(),
    };
    DeskServiceClient::new(csc.channel.clone()).give_rating(rating).await.unwrap();
    eventually(&format!("the rating of round {n} has come"), async || {
        (cell(&show().await, "CSC", &person).colour() == Colour::Amber).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_authorities_agreement_and_log_level_change_under_load_without_a_failed_call()
{
    let mut builder = Federation::builder()
        .nodes(&NODES)
        .silent(&SILENT)
        .agreement(ends_tonight)
        .connection_age(CONNECTION_AGE);
    for n in 0..5 {
        builder = builder.holds("SMS", Holding::of(person_of(n)));
        builder = builder.holds("CSC", Holding::of(person_of(n)));
    }
    let federation = builder.start().await;
    let (old, clock) = (federation.partnership().ca(), federation.clock());
    let domain = old.trust_domain().clone();
    let new = TestCa::new(domain.clone());
    let programs = programs(&federation);
    let stop = Arc::<AtomicBool>::default();
    let at = |place: usize| (programs[place].name.clone(), programs[place].endpoint.clone());
    let assessor = |agency: &str| Partnership::assessor(&id(agency));
    let callers = [
        Caller::start(&federation, COORDINATOR, at(0), &stop, list),
        Caller::start(&federation, &assessor("SMS"), at(1), &stop, worklist),
        Caller::start(&federation, &assessor("CSC"), at(2), &stop, worklist),
    ];
    more_calls(&callers, "the start").await;
    an_enquiry_goes_its_way(&callers, 0).await;

    // The level of messages, by the hub's own configuration.
    let handle = start_log(LogConfig { level: LogLevel::Warn, ..LogConfig::default() }).unwrap();
    let read = |path: &Path| brag_hub::Config::load(path).map(|config| config.log.level);
    let ending = CancellationToken::new();
    let config = federation.hub_config().to_owned();
    let text = fs::read_to_string(&config).unwrap();
    let watched = tokio::spawn(keep_log_level(handle, config.clone(), read, ending.clone()));
    let says = || tracing::enabled!(target: "brag_hub", tracing::Level::INFO);
    assert!(!says());
    put(&config, &format!("{text}\n[log]\nlevel = \"info\"\n"));
    eventually("the hub says more", async || says().then_some(())).await;
    put(&config, &format!("{text}\n[log]\nlevel = \"warn\"\n"));
    eventually("the hub says less", async || (!says()).then_some(())).await;
    // One that is none changes nothing.
    put(&config, &format!("{text}\n[log]\nlevel = \"loud\"\n"));
    more_calls(&callers, "the change of the level").await;
    ending.cancel();
    watched.await.unwrap();
    put(&config, &text);

    // The new authority beside the old one, everywhere.
    let both = format!("{}{}", old.root_pem(), new.root_pem());
    let by_new = prober(&federation, &new, &both, "by-new");
    let by_old = prober(&federation, old, &both, "by-old");
    for program in &programs {
        put(&program.files.roots, &both);
    }
    for caller in &callers {
        put(&caller.files.roots, &both);
        caller.tls.reload().unwrap();
    }
    for Program { name, endpoint, .. } in &programs {
        eventually("the new authority is trusted", async || {
            probe(endpoint, name, &by_new).await.ok()
        })
        .await;
    }
    more_calls(&callers, "the new authority").await;
    an_enquiry_goes_its_way(&callers, 1).await;

    // New keys and certificates of the new authority, by request and installation.
    let until: Timestamp = "2040-01-01T00:00:00Z".parse().unwrap();
    for (n, Program { name, files, endpoint }) in programs.iter().enumerate() {
        let hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        write_request(&Request { name: name.clone(), hosts }, &files.private_key).unwrap();
        let key = fs::read_to_string(next_key(&files.private_key)).unwrap();
        let mut spec = new.spec(name);
        spec.valid_until = until + SignedDuration::from_hours(i64::try_from(n).unwrap());
        let signed = federation.partnership().folder().join("signed.pem");
        fs::write(&signed, new.issue_for(&spec, &key)).unwrap();
        assert!(install(&signed, files, name, clock.now()).unwrap().with_new_key);
        eventually("the new certificate is shown", async || {
            let reached = probe(endpoint, name, &by_new).await.ok()?;
            (reached.expires == Some(spec.valid_until)).then_some(())
        })
        .await;
    }
    for caller in &callers {
        let certificate = new.issue(&new.spec(&caller.name));
        put(&caller.files.private_key, &certificate.key_pem);
        fs::set_permissions(
            &caller.files.private_key,
            std::os::unix::fs::PermissionsExt::from_mode(0o600),
        )
        .unwrap();
        put(&caller.files.certificate, &certificate.certificate_pem);
        caller.tls.reload().unwrap();
    }
    more_calls(&callers, "the new certificates").await;
    an_enquiry_goes_its_way(&callers, 2).await;

    // The old authority goes once every connection has been made anew. That takes time and nothing else: the greatest age.
    tokio::time::sleep(CONNECTION_AGE * 3).await;
    more_calls(&callers, "waiting").await;
    for caller in &callers {
        put(&caller.files.roots, new.root_pem());
        caller.tls.reload().unwrap();
    }
    for program in &programs {
        put(&program.files.roots, new.root_pem());
    }
    for Program { name, endpoint, .. } in &programs {
        eventually("the old authority is trusted no more", async || {
            let refused = probe(endpoint, name, &by_old).await.err()?;
            matches!(refused, Unreached::RefusesUs(_)).then_some(())
        })
        .await;
    }
    more_calls(&callers, "the old authority has gone").await;
    an_enquiry_goes_its_way(&callers, 3).await;

    // The next version of the agreement, which takes over at midnight.
    let next = federation.amended(begins_tomorrow);
    federation.install_everywhere(&NODES, &next).await;
    more_calls(&callers, "installing the agreement").await;
    let midnight: Timestamp = "2027-02-10T00:00:00Z".parse().unwrap();
    federation.advance(midnight.duration_since(federation.now()));
    for agency in NODES {
        assert_eq!(federation.inside(agency).agreement.agreement().version(), 4);
    }
    more_calls(&callers, "the agreement has changed").await;
    an_enquiry_goes_its_way(&callers, 4).await;

    stop.store(true, Ordering::SeqCst);
    let calls: u64 = callers.iter().map(|caller| caller.good.load(Ordering::SeqCst)).sum();
    let failed: usize = callers.iter().map(|caller| caller.bad.lock().unwrap().len()).sum();
    assert_eq!(failed, 0, "of {calls} calls");
    // What the hub asked of the nodes did not fail either: it would stand in its log, as it does for the agencies that have none.
    let unanswered: BTreeSet<String> = federation
        .hub_log()
        .iter()
        .filter(|entry| entry.action == Action::NoResponse)
        .filter_map(|entry| entry.peer.as_ref().map(ToString::to_string))
        .collect();
    assert_eq!(unanswered, BTreeSet::from(SILENT.map(str::to_owned)));
    assert!(calls >= CALLS * 24, "{calls} calls");
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_hub_takes_up_a_revocation_list_and_its_end_refuses_everybody() {
    let mut federation =
        Federation::builder().nodes(&["SMS"]).silent(&["CSC", "POL", "DAS"]).start().await;
    federation.stop_hub().await;
    let hub = federation.partnership().hub_folder();
    let list = hub.join("crls.pem");
    put(&list, &federation.partnership().ca().crl(&[]));
    let config = federation.hub_config().to_owned();
    let text = fs::read_to_string(&config).unwrap();
    put(&config, &text.replace("roots = \"ca.pem\"", "roots = \"ca.pem\"\ncrls = \"crls.pem\""));
    federation.start_hub().await;

    let ca = federation.partnership().ca();
    let name = ca.trust_domain().hub();
    let endpoint = format!("https://{}", federation.hub_address());
    let clock: SharedClock = federation.clock();
    let of = |person: &str| {
        let folder = federation.partnership().folder().join(person);
        fs::create_dir_all(&folder).unwrap();
        let certificate = ca.person(&person.parse().unwrap());
        let files = certificate.write(ca, &folder, "own");
        let tls = ClientTls::load(files, ca.trust_domain().clone(), Arc::clone(&clock)).unwrap();
        (certificate, tls)
    };
    let ((lost, by_lost), (_, by_other)) = (of("lost.laptop"), of("j.okafor"));
    probe(&endpoint, &name, &by_lost).await.unwrap();
    put(&list, &ca.crl(&[&lost]));
    // While the list is read a connection may be cut that was let in before.
    eventually("the lost certificate is refused", async || {
        let refused = probe(&endpoint, &name, &by_lost).await.err()?;
        matches!(refused, Unreached::RefusesUs(_)).then_some(())
    })
    .await;
    probe(&endpoint, &name, &by_other).await.unwrap();
    // A file that is none changes nothing: the list before goes on.
    put(&list, "not a list");
    eventually("the hub has looked at it", async || {
        let metrics = federation.hub_metrics().await;
        let left = "brag_hub_certificate_seconds_left{of=\"revocation_list\"} 0\n";
        metrics.contains(left).then_some(())
    })
    .await;
    probe(&endpoint, &name, &by_other).await.unwrap();
    assert!(probe(&endpoint, &name, &by_lost).await.is_err());
    // A list that has come to its end says nothing of anybody, so nobody is let in.
    let soon = federation.now() + SignedDuration::from_hours(1);
    put(&list, &ca.crl_until(&[], soon));
    eventually("the newer list counts", async || probe(&endpoint, &name, &by_lost).await.ok())
        .await;
    federation.advance(SignedDuration::from_hours(2));
    assert!(probe(&endpoint, &name, &by_other).await.is_err());
    put(&list, &ca.crl(&[]));
    eventually("a current list lets everybody in", async || {
        probe(&endpoint, &name, &by_other).await.ok()
    })
    .await;
    federation.finish().await;
}
