//! What operators see of running programs: metrics as the page on them says, messages as JSON, traces over hub and node; and that
//! nobody is named in any of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use brag_common::wire::pb::{AnswerStatus, Colour};
use brag_tests::{
    federation::{Federation, Holding, eventually, fetch, person_of},
    processes::{Fleet, Programs},
    staging::Stagehand,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::independent_witness::{Witnessing, policy_with_somebody_else};

const NODE: &str = "SMS";

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap()
}

/// A metric as it is served, or as the page has it: type and labels.
type Shape = (String, BTreeSet<String>);

/// Every metric of an OpenMetrics text, by its name behind the program's prefix.
fn served(text: &str, prefix: &str) -> BTreeMap<String, Shape> {
    let mut metrics = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let sample = format!("{name}{suffix}");
        let starts = [sample.clone(), format!("{name}_bucket")];
        let of_metric = |line: &&str| {
            let mut rests = starts.iter().filter_map(|start| line.strip_prefix(start.as_str()));
            rests.any(|rest| rest.starts_with(['{', ' ']))
        };
        let mut samples = text.lines().filter(of_metric).peekable();
        assert!(samples.peek().is_some(), "{name} has no series before anything happens");
        let labels = samples.flat_map(|line| {
            let labels =
                line.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
            labels
                .split(',')
                .filter_map(|label| label.split_once('='))
                .map(|(name, _)| name.to_owned())
        });
        let labels = labels.filter(|label| label != "le").collect();
        let name = sample.strip_prefix(prefix).unwrap_or_else(|| panic!("{sample}")).to_owned();
        metrics.insert(name, (kind.to_owned(), labels));
    }
    metrics
}

/// Every metric that the page has of a program.
fn documented(program: &str) -> BTreeMap<String, Shape> {
    let page = read("docs/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let in_code = |text: &str| -> Vec<String> {
        text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut metrics = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, of, tells, _] = cells.as_slice() else { panic!("{row}") };
        assert!(!tells.is_empty(), "{row}");
        if of.split(", ").any(|one| one == program) {
            // Their values stand behind them, as plain words.
            let labels = in_code(labels).into_iter().collect();
            metrics.insert(in_code(name).remove(0), ((*kind).to_owned(), labels));
        }
    }
    metrics
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_on_metrics_has_each_that_is_served_and_no_other() {
    let mut federation = Federation::builder()
        .nodes(&[NODE])
        .silent(&["POL", "CSC", "DAS"])
        .holds(NODE, Holding::of(person_of(1)))
        .start()
        .await;
    let place = policy_with_somebody_else(&mut federation, NODE).await;
    let witness = Witnessing::start(&federation, place).await;
    let node = federation.node_metrics(NODE).await;
    let hub = federation.hub_metrics().await;
    let (_, watching) = fetch(witness.admin(), "/metrics").await;
    for (program, prefix, text) in [
        ("node", "brag_node_", &node),
        ("hub", "brag_hub_", &hub),
        ("witness", "brag_witness_", &watching),
    ] {
        let (served, documented) = (served(text, prefix), documented(program));
        for (name, shape) in &served {
            let said = documented.get(name);
            assert_eq!(said, Some(shape), "{program}: {name} is served and not so on the page");
        }
        for name in documented.keys() {
            assert!(served.contains_key(name), "{program}: {name} is on the page and not served");
        }
        assert!(served.len() >= 6, "{text}");
    }
    // They are measured, not only there.
    for line in ["brag_node_ready 1", "brag_node_writable{part=\"audit_log\"} 1"] {
        assert!(node.lines().any(|one| one == line), "{line}: {node}");
    }
    let figure = |text: &str, name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap()
    };
    assert!(figure(&node, "brag_node_audit_log_entries") > 1.0);
    assert!(figure(&hub, "brag_hub_disk_bytes") > figure(&hub, "brag_hub_disk_free_bytes"));
    assert!(figure(&hub, "brag_hub_audit_log_last_append_time_seconds") > 1.8e9);
    // Enrolled after the hub had started, so it shows with the next measurement.
    eventually("the hub shows that the agency has enrolled", async || {
        let hub = federation.hub_metrics().await;
        hub.contains("brag_hub_agency_can_be_screened{agency=\"SMS\"} 1\n").then_some(())
    })
    .await;
    witness.stop().await;
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_counted_at_both_ends_by_method_and_outcome_and_nobody_is_named() {
    let federation = Federation::builder()
        .nodes(&[NODE])
        .silent(&["POL", "CSC", "DAS"])
        .holds(NODE, Holding::of(person_of(1)))
        .start()
        .await;
    let enquiry = federation.open(&[("X", &person_of(1)), ("Y", &person_of(2))]).await;
    federation.until_status(&enquiry, NODE, "X", AnswerStatus::Pending).await;
    federation.rate(NODE, &enquiry, "X", Colour::Amber).await;
    federation.until_status(&enquiry, NODE, "X", AnswerStatus::Rated).await;
    let (node, hub) = (federation.node_metrics(NODE).await, federation.hub_metrics().await);
    let counts = |text: &str, start: &str| -> bool {
        let line = text.lines().find(|line| line.starts_with(start));
        line.unwrap_or_else(|| panic!("{start}: {text}")).rsplit(' ').next() != Some("0")
    };
    assert!(counts(&node, "brag_node_calls_total{method=\"NodeService/Screen\",outcome=\"ok\"}"));
    assert!(counts(&node, "brag_node_call_duration_seconds_count{method=\"NodeService/Rate\"}"));
    let deliver = "peer=\"hub\",method=\"HubService/Deliver\",outcome=\"ok\"";
    assert!(counts(&node, &format!("brag_node_asked_calls_total{{{deliver}}}")));
    let screen = "peer=\"SMS\",method=\"NodeService/Screen\",outcome=\"ok\"";
    assert!(counts(&hub, &format!("brag_hub_asked_calls_total{{{screen}}}")));
    let away = "peer=\"POL\",method=\"NodeService/Screen\",outcome=\"ok\"";
    assert!(!counts(&hub, &format!("brag_hub_asked_calls_total{{{away}}}")));
    for text in [&node, &hub] {
        for names in [person_of(1), person_of(2)] {
            for name in names.names() {
                assert!(!text.contains(&name.full()), "{text}");
            }
        }
        assert!(!text.contains(&enquiry.name) && !text.contains(&enquiry.person("X")), "{text}");
    }
    federation.finish().await;
}

#[test]
fn every_metric_that_rules_and_dashboard_name_is_on_the_page_and_every_alert_in_the_runbook() {
    let rules = read("deploy/observability/alerts.yml");
    let dashboard = read("deploy/observability/dashboard.json");
    let shown: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(shown["panels"].as_array().unwrap().len() > 10);
    let mut n = 0;
    for text in [&rules, &dashboard] {
        let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for word in words.by_ref().filter(|word| word.starts_with("brag_")) {
            let (program, name) = ["node", "hub", "witness"]
                .into_iter()
                .find_map(|one| Some((one, word.strip_prefix(&format!("brag_{one}_"))?)))
                .unwrap_or_else(|| panic!("{word}"));
            let name = name.trim_end_matches("_bucket");
            assert!(documented(program).contains_key(name), "{word} is on no page");
            n += 1;
        }
    }
    assert!(n > 60, "{n}");
    let runbook = read("docs/runbook.md");
    let mut alerts = 0;
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(runbook.contains(&format!("### {alert}\n")), "{alert} is not in the runbook");
        let anchor = format!("runbook: docs/runbook.md#{}", alert.to_lowercase());
        assert!(rules.contains(&anchor), "{anchor}");
        alerts += 1;
    }
    let headings = runbook.lines().filter(|line| line.starts_with("### Brag")).count();
    assert_eq!(headings, alerts, "the runbook has alerts that no rule has");
}

/// What a collector took.
#[derive(Debug, Clone, Default)]
struct Collected(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

/// A span, as far as it matters here.
#[derive(Debug, Clone)]
struct Span {
    service: String,
    name: String,
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    attributes: BTreeMap<String, String>,
}

#[tonic::async_trait]
impl TraceService for Collected {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        other => Some(format!("{other:?}")),
    };
    pairs.iter().filter_map(|pair| Some((pair.key.clone(), text(pair)?))).collect()
}

impl Collected {
    /// Listens until `stop`; gives where.
    async fn listen(&self, stop: CancellationToken) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(self.clone()))
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop.cancelled_owned());
        tokio::spawn(server);
        endpoint
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.0.lock().unwrap();
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        let spans = resources.flat_map(|of| {
            let resource = attributes(&of.resource.as_ref().unwrap().attributes);
            let service = resource["service.name"].clone();
            let spans = of.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.map(move |span| Span {
                service: service.clone(),
                name: span.name.clone(),
                trace: span.trace_id.clone(),
                id: span.span_id.clone(),
                parent: span.parent_span_id.clone(),
                attributes: attributes(&span.attributes),
            })
        });
        spans.collect()
    }

    /// The hub's call of the node, and the node's answer to it, once both are there.
    fn both_ends(&self, method: &str) -> Option<(Span, Span)> {
        let spans = self.spans();
        let asked = spans.iter().find(|one| one.service == "brag-hub" && one.name == method)?;
        let served = spans.iter().find(|one| one.service == "brag-node" && one.name == method)?;
        Some((asked.clone(), served.clone()))
    }
}

fn append(path: &Path, text: &str) {
    let before = fs::read_to_string(path).unwrap();
    fs::write(path, format!("{before}\n{text}")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_is_one_trace_over_hub_and_node_and_neither_spans_nor_messages_name_anybody() {
    let mut federation = Federation::builder()
        .nodes(&[NODE])
        .silent(&["POL", "CSC", "DAS"])
        .holds(NODE, Holding::of(person_of(1)))
        .start()
        .await;
    federation.stop_node(NODE).await;
    federation.stop_hub().await;
    let (collected, away) = (Collected::default(), CancellationToken::new());
    let endpoint = collected.listen(away.clone()).await;
    let tables = format!(
        "[log]\nlevel = \"trace\"\nformat = \"json\"\n[traces]\nendpoint = \"{endpoint}\"\n"
    );
    let (hub, node) = (federation.hub_config().to_owned(), federation.node_config_file(NODE));
    append(&hub, &tables);
    append(&node, &tables);
    // As the programs they are, each with traces of its own, on the clock of the federation.
    let folder = tempfile::tempdir().unwrap();
    let stage = Stagehand::set_up(folder.path().join("stage"), federation.now()).unwrap();
    let programs = Programs::beside_this(folder.path().join("captured")).unwrap();
    let programs = programs.on_stage(stage.folder());
    let captured = programs.captured().to_owned();
    let fleet = Fleet::new(programs);
    fleet.start("hub", "hub", &hub).await.unwrap();
    fleet.start(NODE, "agency-node", &node).await.unwrap();

    let enquiry = federation.open(&[("X", &person_of(1))]).await;
    federation.until_status(&enquiry, NODE, "X", AnswerStatus::Pending).await;
    let both = async || collected.both_ends("NodeService/Rate");
    let (asked, served) = eventually("both ends of a call are collected", both).await;
    assert_eq!(served.trace, asked.trace, "hub and node are in one trace");
    assert_eq!(served.parent, asked.id, "the node's span is below the hub's");
    assert_eq!(asked.attributes["peer"], NODE);
    assert_eq!(served.attributes["peer"], "hub");
    assert_eq!(served.attributes["exchange"], asked.attributes["exchange"]);
    let spans = collected.spans();
    let in_trace = |name: &str, service: &str| {
        let found = spans
            .iter()
            .find(|one| one.trace == asked.trace && one.name == name && one.service == service);
        found.unwrap_or_else(|| panic!("{name} of {service}: {spans:#?}")).clone()
    };
    assert_eq!(in_trace("round", "brag-hub").attributes["enquiry"], enquiry.name);
    in_trace("audit log append", "brag-node");
    in_trace("NodeService/Screen", "brag-node");

    // Nobody waits for a collector that is away.
    away.cancel();
    let enquiry = federation.open(&[("X", &person_of(2)), ("Y", &person_of(1))]).await;
    federation.until_status(&enquiry, NODE, "Y", AnswerStatus::Pending).await;
    let (_, _, admin) = fleet.running().into_iter().find(|(name, ..)| name == "hub").unwrap();
    eventually("the hub counts spans that nobody took", async || {
        let (_, metrics) = fetch(admin, "/metrics").await;
        let count = metrics
            .lines()
            .find_map(|line| line.strip_prefix("brag_hub_trace_spans_not_sent_total "));
        (count? != "0").then_some(())
    })
    .await;
    fleet.stop().await.unwrap();

    let messages: String = ["hub", NODE]
        .iter()
        .map(|name| fs::read_to_string(captured.join(format!("{name}.stderr"))).unwrap())
        .collect();
    assert!(messages.lines().count() > 4, "{messages}");
    for line in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        for field in ["timestamp", "level", "target", "fields"] {
            assert!(message.get(field).is_some(), "{line}");
        }
    }
    let kept = format!("{messages}\n{spans:?}\n{:?}", collected.spans());
    let staff = ["hub.coordinator", "coordinator."];
    for person in [person_of(1), person_of(2)] {
        for name in person.names() {
            assert!(!kept.contains(&name.full()), "a name is in spans or messages");
        }
    }
    for name in staff {
        assert!(
            !format!("{:?}", collected.spans()).contains(name),
            "a member of staff is in spans"
        );
    }
    federation.finish().await;
}
