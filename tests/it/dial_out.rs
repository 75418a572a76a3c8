//! Nodes that let nothing in: they dial the hub, and are asked over their own connections. What is cut in the middle is neither
//! lost nor said twice.

use std::{
    collections::BTreeSet, net::SocketAddr, os::unix::fs::PermissionsExt as _,
    sync::atomic::Ordering,
};

use brag_common::{
    audit::Entry,
    id::EnquiryRef,
    testing::{Passing, Relay, connect_proxy},
    time::SignedDuration,
    wire::pb::{AnswerStatus, Colour},
};
use brag_tests::{
    federation::{Federation, Holding, eventually, id, person_of},
    partnership::Partnership,
};
use toml_edit::{Datetime, value};

/// Starts hub and node again so that the hub has no address of the node, and the node dials the hub at these; `more` is added
/// to its table `[hub]`.
async fn let_dial(federation: &mut Federation, agency: &str, hub: &[SocketAddr], more: &str) {
    federation.stop_node(agency).await;
    federation.stop_hub().await;
    let hub_file = federation.hub_config().to_owned();
    let text = std::fs::read_to_string(&hub_file).unwrap();
    let address = format!("{agency} = \"https://{}\"", federation.node_address(agency));
    assert!(text.contains(&address), "{text}");
    std::fs::write(&hub_file, text.replace(&address, &format!("{agency} = \"dial-out\""))).unwrap();
    let node_file = federation.node_config_file(agency);
    let text = std::fs::read_to_string(&node_file).unwrap();
    let endpoint = format!("endpoint = \"https://{}\"", federation.hub_address());
    assert!(text.contains(&endpoint), "{text}");
    let others: Vec<String> =
        hub.iter().skip(1).map(|address| format!("\"https://{address}\"")).collect();
    let ways = format!(
        "endpoint = \"https://{}\"\nother_endpoints = [{}]\ndial_out = true\nredial_at_most = \"300ms\"\n{more}\n",
        hub[0],
        others.join(", ")
    );
    std::fs::write(&node_file, text.replace(&endpoint, &ways)).unwrap();
    federation.start_hub().await;
    federation.start_node(agency).await;
}

async fn until_standing(federation: &Federation, agency: &str, n: usize) {
    let agency = id(agency);
    eventually("the node's connections stand", async || {
        (federation.inside_hub().standing.count(&agency) == n).then_some(())
    })
    .await;
}

fn of<'a>(log: &'a [Entry], word: &str) -> Vec<&'a Entry> {
    log.iter().filter(|entry| entry.action.word() == word).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_completes_for_a_node_that_nobody_can_dial() {
    let (father, mother) = (person_of(0), person_of(1));
    let mut federation = Federation::builder()
        .nodes(&["SMS", "POL"])
        .holds("SMS", Holding::of(father.clone()))
        .start()
        .await;
    let hub = federation.hub_address();
    let_dial(&mut federation, "SMS", &[hub], "").await;
    until_standing(&federation, "SMS", 2).await;
    let enquiry = federation.open(&[("P1", &father), ("P2", &mother)]).await;
    federation.rate("SMS", &enquiry, "P1", Colour::Amber).await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    federation.until_status(&enquiry, "SMS", "P2", AnswerStatus::NotKnown).await;
    // The other node is dialled, as ever.
    federation.until_status(&enquiry, "POL", "P1", AnswerStatus::NotKnown).await;
    let metrics = federation.hub_metrics().await;
    assert!(metrics.contains("brag_hub_standing_connections{agency=\"SMS\"} 2\n"), "{metrics}");
    assert!(metrics.contains("brag_hub_standing_connections{agency=\"POL\"} 0\n"), "{metrics}");
    assert_eq!(federation.inside("SMS").running.dialling.standing(), 2);
    eventually("both sides have every exchange", async || {
        federation.reconcile().agrees().then_some(())
    })
    .await;
    // Without its connections it is as one that is away.
    federation.stop_node("SMS").await;
    let other = federation.open(&[("P1", &father)]).await;
    let away = federation.until_status(&other, "SMS", "P1", AnswerStatus::NoResponse).await;
    assert_eq!(away.reason, "UNREACHABLE");
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_and_restored_ten_times_no_answer_is_lost_or_doubled() {
    const ENQUIRIES: usize = 10;
    let mut federation = (0..ENQUIRIES)
        .fold(Federation::builder().nodes(&["SMS"]).silent(&["POL"]), |builder, n| {
            builder.holds("SMS", Holding::of(person_of(n)))
        })
        .start()
        .await;
    let relay = Relay::start(federation.hub_address()).await;
    // One connection: while it is away, nothing is there.
    let_dial(&mut federation, "SMS", &[relay.address()], "connections = 1").await;
    until_standing(&federation, "SMS", 1).await;
    let mut enquiries = Vec::new();
    for n in 0..ENQUIRIES {
        let person = person_of(n);
        let people = [("P1", &person)];
        // Cut somewhere between the question and its answer, at another place each time.
        let (enquiry, ()) = tokio::join!(federation.open(&people), async {
            let screened = || of(&federation.log_of("SMS"), "screen_answered").len();
            let before = screened();
            eventually("it is a good moment", async || {
                (n % 2 == 0 || screened() > before).then_some(())
            })
            .await;
            relay.cut();
        });
        federation.until_asked("SMS", &enquiry, "P1").await;
        federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Pending).await;
        // And while the rating is delivered.
        let (given, ()) =
            tokio::join!(federation.try_rate("SMS", &enquiry, "P1", Colour::Amber, None), async {
                for _ in 0..n * 20 {
                    tokio::task::yield_now().await;
                }
                relay.cut();
            });
        given.unwrap();
        enquiries.push(enquiry);
    }
    for enquiry in &enquiries {
        federation.until_status(enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    }
    eventually("everything is delivered", async || {
        federation.inside("SMS").store.outgoing().unwrap().is_empty().then_some(())
    })
    .await;
    for enquiry in &enquiries {
        let name: EnquiryRef = id(&enquiry.name);
        assert_eq!(federation.inside_hub().store.statements(&name).unwrap().len(), 1);
    }
    let (hub, node) = (federation.hub_log(), federation.log_of("SMS"));
    assert_eq!(of(&node, "rating_given").len(), ENQUIRIES);
    let delivered: BTreeSet<_> =
        of(&node, "delivered").iter().filter_map(|entry| entry.exchange.clone()).collect();
    assert_eq!(delivered.len(), ENQUIRIES);
    for exchange in &delivered {
        let taken = of(&hub, "rate_answered").into_iter();
        assert_eq!(taken.filter(|entry| entry.exchange.as_ref() == Some(exchange)).count(), 1);
    }
    eventually("both sides have every exchange", async || {
        federation.reconcile().agrees().then_some(())
    })
    .await;
    assert!(relay.accepted() > ENQUIRIES, "it was cut each time: {}", relay.accepted());
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agency_that_withdraws_loses_its_connections() {
    let mut federation = Federation::builder().nodes(&["SMS"]).silent(&["POL"]).start().await;
    let hub = federation.hub_address();
    let_dial(&mut federation, "SMS", &[hub], "").await;
    until_standing(&federation, "SMS", 2).await;
    let next = federation.amended(|document| {
        let moment: Datetime = "2027-02-09T10:00:00Z".parse().unwrap();
        Partnership::party_in(document, "SMS").insert("withdrawn_at", value(moment));
    });
    federation.advance(SignedDuration::from_mins(1));
    federation.install_at_hub(&next).await;
    // Until the moment it is a party like any other.
    assert_eq!(federation.inside_hub().standing.count(&id("SMS")), 2);
    federation.advance(SignedDuration::from_hours(1));
    until_standing(&federation, "SMS", 0).await;
    eventually("it is not taken any more", async || {
        let refused = "connections_refused_total{reason=\"dial_out_not_a_party\"}";
        federation.hub_metrics().await.contains(refused).then_some(())
    })
    .await;
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_addresses_of_the_hub_either_will_do() {
    let mut federation = Federation::builder()
        .nodes(&["SMS"])
        .silent(&["POL"])
        .holds("SMS", Holding::of(person_of(0)))
        .holds("SMS", Holding::of(person_of(1)))
        .start()
        .await;
    let hub = federation.hub_address();
    let (one, other) = (Relay::start(hub).await, Relay::start(hub).await);
    let ways = [one.address(), other.address()];
    let_dial(&mut federation, "SMS", &ways, "").await;
    until_standing(&federation, "SMS", 2).await;
    for (n, cut, left) in [(0, &one, &other), (1, &other, &one)] {
        let before = left.accepted();
        cut.set(Passing::Nothing);
        eventually("it comes by the other way", async || (left.accepted() > before).then_some(()))
            .await;
        until_standing(&federation, "SMS", 2).await;
        let person = person_of(n);
        let enquiry = federation.open(&[("P1", &person)]).await;
        federation.rate("SMS", &enquiry, "P1", Colour::Green).await;
        federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
        cut.set(Passing::Everything);
    }
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_proxy_that_wants_credentials_everything_goes() {
    let father = person_of(0);
    let mut federation = Federation::builder()
        .nodes(&["SMS"])
        .silent(&["POL"])
        .holds("SMS", Holding::of(father.clone()))
        .start()
        .await;
    let relay = Relay::start(federation.hub_address()).await;
    let (proxy, tunnels, _proxy) = connect_proxy(Some("brag:secret")).await;
    let secret = federation.node_config_file("SMS").with_file_name("proxy.secret");
    std::fs::write(&secret, "brag:secret\n").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let more = format!("proxy = \"http://{proxy}\"\nproxy_credentials = \"proxy.secret\"");
    let_dial(&mut federation, "SMS", &[relay.address()], &more).await;
    until_standing(&federation, "SMS", 2).await;
    let enquiry = federation.open(&[("P1", &father)]).await;
    federation.rate("SMS", &enquiry, "P1", Colour::Red).await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    // Two that stand, and one on which the rating was delivered; none came by another way.
    let tunnels = tunnels.load(Ordering::SeqCst);
    assert!(tunnels >= 3, "{tunnels}");
    assert_eq!(relay.accepted(), tunnels);
    federation.finish().await;
}
