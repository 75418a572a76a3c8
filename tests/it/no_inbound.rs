//! The real programs, with a node in a network namespace whose firewall lets nothing in. `tests/no-inbound/run` makes the
//! namespace and runs this; without one there is nothing to run it in.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::Path,
    process::{Output, Stdio},
    sync::Arc,
    time::Duration,
};

use brag_common::{
    id::AgencyId,
    profile,
    time::{Clock as _, SystemClock},
    tls::{ClientTls, connect},
    wire::pb::{
        self, AnswerStatus, coordinator_service_client::CoordinatorServiceClient as Coordinator,
    },
};
use brag_tests::{
    federation::{Federation, eventually, id},
    partnership::{COORDINATOR, Partnership},
    people::{Noise, Population},
    processes::Programs,
};
use tokio::process::Command;

const AGENCY: &str = "SMS";

#[expect(
    clippy::disallowed_methods,
    reason = "the script that makes the namespace says which it is"
)]
fn given<T: std::str::FromStr<Err: std::fmt::Debug>>(name: &str) -> T {
    let text = std::env::var(name);
    text.unwrap_or_else(|_| panic!("run tests/no-inbound/run, which sets {name}")).parse().unwrap()
}

/// The node's program, in the namespace.
fn in_namespace(programs: &Programs, args: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", &given::<String>("BRAG_NAMESPACE")])
        .arg(programs.path("agency-node"))
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn done(programs: &Programs, args: &[&str]) -> Output {
    let output = in_namespace(programs, args).output().await.unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A hub's certificate for the address by which the namespace reaches it.
fn certify_hub(partnership: &Partnership, address: IpAddr) {
    let ca = partnership.ca();
    let mut spec = ca.spec(&ca.trust_domain().hub());
    spec.addresses.push(address);
    ca.issue(&spec).write(ca, &partnership.hub_folder(), "tls");
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a network namespace: tests/no-inbound/run makes one"]
async fn a_round_completes_with_a_node_behind_a_firewall_that_lets_nothing_in() {
    let (hub_ip, node_ip): (IpAddr, IpAddr) = (given("BRAG_HUB_IP"), given("BRAG_NODE_IP"));
    let (hub, node) = (SocketAddr::new(hub_ip, 7443), SocketAddr::new(node_ip, 7443));
    let folder = tempfile::tempdir().unwrap();
    let programs = Programs::beside_this(folder.path().join("captured")).unwrap();
    let partnership = Partnership::create(folder.path(), SystemClock.now(), |_| {}).unwrap();
    let agency: AgencyId = id(AGENCY);

    // Nobody is at the others' addresses.
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    let nodes: BTreeMap<AgencyId, SocketAddr> =
        partnership.agencies().iter().map(|agency| (agency.clone(), nowhere)).collect();
    let hub_config = partnership.write_hub_config(hub, &nodes).unwrap();
    replace(
        &hub_config,
        &format!("{AGENCY} = \"https://{nowhere}\""),
        &format!("{AGENCY} = \"dial-out\""),
    );
    certify_hub(&partnership, hub_ip);
    // It listens everywhere: what keeps others out is the firewall.
    let everywhere = SocketAddr::from(([0, 0, 0, 0], node.port()));
    let node_config = partnership.write_node_config(&agency, everywhere, hub).unwrap();
    replace(&node_config, "[hub]\n", "[hub]\ndial_out = true\n");
    let node_config = node_config.display().to_string();

    let population = Population::generate(7, 60);
    let place = population.people.iter().position(|person| person.nhs.is_some()).unwrap();
    let person = population.people[place].identity();
    let csv = folder.path().join("people.csv");
    let out = std::fs::File::create(&csv).unwrap();
    population.write_rows(&agency, [place], &Noise::NONE, out).unwrap();

    let running = programs.serve("hub", "hub", &hub_config).await.unwrap();
    done(&programs, &["import", &csv.display().to_string(), "--config", &node_config]).await;
    done(&programs, &["enrol", "--config", &node_config]).await;
    let ready = folder.path().join("ready");
    let ready_file = ready.display().to_string();
    let serve = ["serve", "--config", &node_config, "--ready-file", &ready_file];
    let mut serving = in_namespace(&programs, &serve).spawn().unwrap();
    eventually("the node serves", async || ready.exists().then_some(())).await;

    // It listens, and nobody from outside gets there.
    let dialled =
        tokio::time::timeout(Duration::from_secs(2), tokio::net::TcpStream::connect(node)).await;
    assert!(!matches!(dialled, Ok(Ok(_))), "the firewall lets connections in");

    let domain = partnership.ca().trust_domain();
    let profile = partnership.write_profile(COORDINATOR, &domain.hub(), hub).unwrap();
    let profile = profile::load(&profile).unwrap();
    let clock = Arc::new(SystemClock);
    let tls = ClientTls::load(profile.tls.files(), domain.clone(), clock).unwrap();
    let endpoint = profile.endpoint.parse().unwrap();
    let mut coordinator = Coordinator::new(connect(&endpoint, profile.server, tls));
    let opened = coordinator.open(Federation::opening(&[("P1", &person)])).await.unwrap();
    let enquiry = opened.into_inner().enquiry;
    let mut cell = async |wanted: AnswerStatus| {
        eventually(&format!("{AGENCY} is {wanted:?}"), async || {
            let request = pb::ShowRequest { enquiry: enquiry.clone() };
            let show = coordinator.show(request).await.ok()?.into_inner();
            let cell = show.cells.into_iter().find(|cell| cell.agency == AGENCY)?;
            (cell.status() == wanted).then_some(cell)
        })
        .await
    };
    let pending = cell(AnswerStatus::Pending).await;
    let desk = domain.agency(agency.clone());
    let own = SocketAddr::from(([127, 0, 0, 1], node.port()));
    let profile = partnership.write_profile(&Partnership::assessor(&agency), &desk, own).unwrap();
    let profile = profile.display().to_string();
    // A cell is pending from the start; the worklist says when the node has been asked.
    eventually("the node is asked", async || {
        let list = ["worklist", "--json", "--profile", &profile];
        let said = in_namespace(&programs, &list).output().await.ok()?;
        String::from_utf8_lossy(&said.stdout).contains(&pending.person).then_some(())
    })
    .await;
    let analysis = "Relapse this month; contact with the children is not safe.";
    done(
        &programs,
        &[
            "rate",
            &enquiry,
            &pending.person,
            "--colour",
            "amber",
            "--analysis",
            analysis,
            "--topic",
            "substance",
            "--profile",
            &profile,
        ],
    )
    .await;
    cell(AnswerStatus::Rated).await;
    serving.kill().await.unwrap();
    drop(running);
}
