//! Who may make which call. Every call of the descriptor set has a row here; a new one without a row fails, and so
//! does a service that a server offers and nobody thought of.
//!
//! Each call is made with an empty message by everybody who must not make it. The refusal has to come before the
//! message is looked at, so its code tells that the caller was refused and not the message.

use std::{collections::BTreeMap, io, sync::Arc};

use brag_common::{
    status::code_of,
    testing::{TestCa, TestCert},
    tls::Channel,
    wire::FILE_DESCRIPTOR_SET,
};
use brag_tests::{
    federation::{Federation, id},
    partnership::{AUDITOR, COORDINATOR, HUB_GOVERNANCE},
};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tonic::{Code, Request, Status, transport::Endpoint};
use tonic_prost::ProstCodec;

/// Who may make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// The hub alone.
    Hub,
    /// This agency's staff, in any of these roles.
    Staff(&'static [&'static str]),
    /// Any agency that is a party.
    Agencies,
    /// The hub's co-ordinator.
    Coordinator,
    /// The hub's co-ordinator or auditor.
    CoordinatorOrAuditor,
    /// Each program for the logs of the others: the hub for any agency that is a party, a node for the hub.
    Witnessed,
    /// The people who govern what a program keeps, of whichever server is called.
    Governance,
    /// The auditor of whichever server is called.
    Auditor,
    /// Whoever has a certificate of the partnership: they say nothing about anyone.
    Anybody,
}

/// Every call, and who may make it.
const ROWS: &[(&str, Open)] = &[
    ("brag.v1.NodeService/Screen", Open::Hub),
    ("brag.v1.NodeService/Rate", Open::Hub),
    ("brag.v1.NodeService/Release", Open::Hub),
    ("brag.v1.NodeService/Receive", Open::Hub),
    ("brag.v1.NodeService/Challenge", Open::Hub),
    ("brag.v1.NodeService/Notify", Open::Hub),
    ("brag.v1.NodeService/Inform", Open::Hub),
    ("brag.v1.DeskService/Worklist", Open::Staff(&["assessor", "approver", "deputy"])),
    ("brag.v1.DeskService/GiveRating", Open::Staff(&["assessor"])),
    ("brag.v1.DeskService/DecideIdentity", Open::Staff(&["assessor"])),
    ("brag.v1.DeskService/ConfirmLink", Open::Staff(&["assessor"])),
    ("brag.v1.DeskService/StateRole", Open::Staff(&["assessor"])),
    ("brag.v1.DeskService/MakeAssertion", Open::Staff(&["assessor"])),
    ("brag.v1.DeskService/AcceptAction", Open::Staff(&["assessor"])),
    ("brag.v1.DeskService/RecordConsent", Open::Staff(&["assessor"])),
    ("brag.v1.DeskService/WithdrawConsent", Open::Staff(&["assessor"])),
    ("brag.v1.DeskService/ShowConsent", Open::Staff(&["assessor"])),
    ("brag.v1.DeskService/Approve", Open::Staff(&["approver", "deputy"])),
    ("brag.v1.DeskService/Refuse", Open::Staff(&["approver", "deputy"])),
    ("brag.v1.DeskService/Inbox", Open::Staff(&["assessor"])),
    ("brag.v1.DeskService/OpenDetail", Open::Staff(&["assessor"])),
    ("brag.v1.DeskService/DeclareConflict", Open::Staff(&["assessor", "approver", "deputy"])),
    ("brag.v1.DeskService/ChallengeRating", Open::Staff(&["assessor"])),
    ("brag.v1.DeskService/KeepRating", Open::Staff(&["assessor"])),
    ("brag.v1.DeskService/WithdrawRating", Open::Staff(&["assessor"])),
    ("brag.v1.DeskService/Acknowledge", Open::Staff(&["assessor"])),
    ("brag.v1.DeskService/News", Open::Staff(&["assessor", "approver"])),
    ("brag.v1.HubService/Evaluate", Open::Agencies),
    ("brag.v1.HubService/Enrolled", Open::Agencies),
    ("brag.v1.HubService/Deliver", Open::Agencies),
    ("brag.v1.CoordinatorService/Open", Open::Coordinator),
    ("brag.v1.CoordinatorService/Show", Open::Coordinator),
    ("brag.v1.CoordinatorService/List", Open::Coordinator),
    ("brag.v1.CoordinatorService/Watch", Open::Coordinator),
    ("brag.v1.CoordinatorService/RequestRelease", Open::Coordinator),
    ("brag.v1.CoordinatorService/AuthoriseIdentityReview", Open::Coordinator),
    ("brag.v1.CoordinatorService/StandAside", Open::Coordinator),
    ("brag.v1.CoordinatorService/FindPerson", Open::CoordinatorOrAuditor),
    ("brag.v1.CoordinatorService/Record", Open::Coordinator),
    ("brag.v1.CoordinatorService/Close", Open::Coordinator),
    ("brag.v1.CoordinatorService/Agenda", Open::Coordinator),
    ("brag.v1.WitnessService/AddCheckpoint", Open::Witnessed),
    ("brag.v1.RecordsService/SetHold", Open::Governance),
    ("brag.v1.RecordsService/LiftHold", Open::Governance),
    ("brag.v1.RecordsService/ListHolds", Open::Governance),
    ("brag.v1.RecordsService/AskErasure", Open::Governance),
    ("brag.v1.RecordsService/ConfirmErasure", Open::Governance),
    ("brag.v1.AuditService/ListAlerts", Open::Auditor),
    ("brag.v1.AuditService/HandleAlert", Open::Auditor),
    ("brag.v1.AuditService/ListEntries", Open::Auditor),
    ("brag.v1.SubjectAccessService/AskSubjectAccess", Open::Auditor),
    ("brag.v1.SubjectAccessService/ShowSubjectAccess", Open::Auditor),
    ("brag.v1.SubjectAccessService/ApproveSubjectAccess", Open::Auditor),
    ("brag.v1.SubjectAccessService/IssueSubjectAccess", Open::Auditor),
    ("brag.v1.SubjectAccessService/ListSubjectAccess", Open::Auditor),
    ("grpc.health.v1.Health/Check", Open::Anybody),
    ("grpc.health.v1.Health/Watch", Open::Anybody),
    ("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Open::Anybody),
];

/// Calls whose answer is a stream.
const STREAMS: &[&str] = &["brag.v1.CoordinatorService/Watch", "grpc.health.v1.Health/Watch"];

/// The agency whose node is called.
const HERE: &str = "SMS";

impl Open {
    /// Who may, at one of the servers.
    fn at(self, server: Server) -> Self {
        match (self, server) {
            (Self::Auditor, Server::Node) => Self::Staff(&["auditor"]),
            (Self::Governance, Server::Node) => Self::Staff(&["governance"]),
            (Self::Witnessed, Server::Node) => Self::Hub,
            (Self::Witnessed, Server::Hub) => Self::Agencies,
            (open, _) => open,
        }
    }

    /// Everybody else, by name, and the code with which they are refused.
    fn refused(self) -> Vec<(&'static str, &'static str)> {
        let (everybody, code): (&[&str], _) = match self {
            Self::Anybody => return Vec::new(),
            Self::Hub => (
                &["own agency", "other agency", "no party", "coordinator", "assessor", "unlisted"],
                "not_the_hub",
            ),
            Self::Staff(_) => (
                &[
                    "hub",
                    "own agency",
                    "other agency",
                    "no party",
                    "coordinator",
                    "hub's auditor",
                    "other agency's assessor",
                    "unlisted",
                ],
                "not_staff",
            ),
            Self::Agencies => (
                &["hub", "no party", "coordinator", "assessor", "approver", "unlisted"],
                "not_a_party",
            ),
            // Of either server by another way: see `Open::at`.
            Self::Witnessed => return Vec::new(),
            Self::Coordinator | Self::CoordinatorOrAuditor | Self::Auditor | Self::Governance => (
                &["hub", "own agency", "no party", "assessor", "approver", "unlisted"],
                "not_staff",
            ),
        };
        let mut refused: Vec<_> = everybody.iter().map(|who| (*who, code)).collect();
        if let Self::Staff(roles) = self {
            let others = ["assessor", "approver", "deputy", "auditor", "governance"]
                .into_iter()
                .filter(|role| !roles.contains(role));
            refused.extend(others.map(|role| (role, "role_missing")));
        }
        if self == Self::Coordinator {
            refused.push(("hub's auditor", "role_missing"));
        }
        if matches!(self, Self::Auditor | Self::Governance) {
            refused.push(("coordinator", "role_missing"));
        }
        if self == Self::Governance {
            refused.extend([("hub's auditor", "role_missing"), ("governance", "not_staff")]);
        }
        if matches!(self, Self::Coordinator | Self::CoordinatorOrAuditor | Self::Auditor) {
            refused.push(("hub's governance", "role_missing"));
        }
        refused
    }

    /// Everybody who may.
    fn admitted(self) -> Vec<&'static str> {
        match self {
            Self::Hub => vec!["hub"],
            Self::Staff(roles) => roles.to_vec(),
            Self::Agencies => vec!["own agency", "other agency"],
            Self::Coordinator => vec!["coordinator"],
            Self::CoordinatorOrAuditor => vec!["coordinator", "hub's auditor"],
            Self::Auditor => vec!["hub's auditor"],
            Self::Governance => vec!["hub's governance"],
            Self::Witnessed => Vec::new(),
            Self::Anybody => vec!["hub", "other agency", "no party", "assessor", "unlisted"],
        }
    }
}

/// Who is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Hub,
    Node,
}

impl Server {
    /// Those that offer a call.
    fn offering(call: &str) -> &'static [Self] {
        match call.split_once('/').unwrap().0 {
            "brag.v1.NodeService" | "brag.v1.DeskService" => &[Self::Node],
            "brag.v1.AuditService" | "brag.v1.RecordsService" | "brag.v1.WitnessService" => {
                &[Self::Hub, Self::Node]
            }
            _ => &[Self::Hub],
        }
    }

    fn channel(self, federation: &Federation, who: &TestCert) -> Channel {
        match self {
            Self::Hub => federation.to_hub(who),
            Self::Node => federation.to_node(who, HERE),
        }
    }
}

/// Every call at every server that offers it, and who may make it there.
fn calls() -> impl Iterator<Item = (&'static str, Server, Open)> {
    let everywhere = |(call, open): &'static (&'static str, Open)| {
        Server::offering(call).iter().map(move |server| (*call, *server, open.at(*server)))
    };
    ROWS.iter().flat_map(everywhere)
}

#[test]
fn every_call_of_the_descriptor_set_has_a_row_and_every_row_is_a_call() {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut calls = BTreeMap::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let call = format!("{}.{}/{}", file.package(), service.name(), method.name());
                assert!(!method.client_streaming(), "{call}: this test can not make it");
                calls.insert(call, method.server_streaming());
            }
        }
    }
    for (call, streams) in &calls {
        assert!(ROWS.iter().any(|(row, _)| row == call), "{call} has no row: who may make it?");
        assert_eq!(*streams, STREAMS.contains(&call.as_str()), "{call}");
    }
    for (row, _) in ROWS.iter().filter(|(row, _)| row.starts_with("brag.")) {
        assert!(calls.contains_key(*row), "{row} is no call");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_offer_no_service_without_a_row() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let federation = start().await;
    let hub = federation.partnership().ca().hub();
    for channel in [federation.to_node(&hub, HERE), federation.to_hub(&hub)] {
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new(channel);
        let asked = futures::stream::iter([request]);
        let mut answers = client.server_reflection_info(asked).await.unwrap().into_inner();
        let answer = answers.message().await.unwrap().unwrap().message_response;
        let Some(MessageResponse::ListServicesResponse(list)) = answer else {
            panic!("{answer:?}")
        };
        assert!(!list.service.is_empty());
        for service in list.service {
            let prefix = format!("{}/", service.name);
            assert!(ROWS.iter().any(|(row, _)| row.starts_with(&prefix)), "{}", service.name);
        }
    }
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_refuses_everybody_who_may_not_make_it_before_it_has_any_effect() {
    let federation = start().await;
    let people = people(&federation);
    let entries =
        |federation: &Federation| (federation.log_of(HERE).len(), federation.hub_log().len());
    let before = entries(&federation);
    for (call, server, open) in calls() {
        for (who, code) in open.refused() {
            let refused = make(&federation, &people[who], (server, call)).await.unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied, "{call} by {who}: {refused:?}");
            assert_eq!(code_of(&refused), Some(code), "{call} by {who}");
        }
    }
    // Nothing was asked, answered or recorded in anybody's name.
    assert_eq!(entries(&federation), before);
    for (call, server, open) in calls() {
        for who in open.admitted() {
            if let Err(status) = make(&federation, &people[who], (server, call)).await {
                assert_ne!(status.code(), Code::PermissionDenied, "{call} by {who}: {status:?}");
                assert_ne!(status.code(), Code::Unauthenticated, "{call} by {who}");
                assert_ne!(status.code(), Code::Unimplemented, "{call} by {who}");
            }
        }
    }
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_heard_without_a_certificate_of_this_partnership() {
    let federation = start().await;
    // Right in every name, and signed by somebody else.
    let other = TestCa::new(federation.partnership().ca().trust_domain().clone());
    let strangers =
        [other.hub(), other.agency(&id(HERE)), other.person(&COORDINATOR.parse().unwrap())];
    for (call, server, _) in calls() {
        let bare = without_certificate(&federation, server);
        let refused = make_over(bare, call).await.unwrap_err();
        assert!(is_of_the_network(&refused), "{call}: {refused:?}");
    }
    for stranger in &strangers {
        for (call, server, _) in calls() {
            let refused = make(&federation, stranger, (server, call)).await.unwrap_err();
            assert!(is_of_the_network(&refused), "{call}: {refused:?}");
        }
    }
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_a_server_does_not_offer_is_unimplemented_for_everybody() {
    let federation = start().await;
    let hub = federation.partnership().ca().hub();
    let refused = make_over(federation.to_hub(&hub), "brag.v1.NodeService/Screen").await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    let coordinator = federation.person(COORDINATOR);
    let at_node = federation.to_node(&coordinator, HERE);
    let refused = make_over(at_node, "brag.v1.CoordinatorService/Open").await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    federation.finish().await;
}

async fn start() -> Federation {
    Federation::builder().nodes(&[HERE]).silent(&["POL"]).start().await
}

fn people(federation: &Federation) -> BTreeMap<&'static str, TestCert> {
    let ca = federation.partnership().ca();
    BTreeMap::from([
        ("hub", ca.hub()),
        ("own agency", ca.agency(&id(HERE))),
        ("other agency", ca.agency(&id("POL"))),
        ("no party", ca.agency(&id("ZZZ"))),
        ("coordinator", federation.person(COORDINATOR)),
        ("hub's auditor", federation.person(AUDITOR)),
        ("assessor", federation.person("sms.assessor")),
        ("approver", federation.person("sms.approver1")),
        ("deputy", federation.person("sms.deputy")),
        ("auditor", federation.person("sms.auditor")),
        ("governance", federation.person("sms.governance1")),
        ("hub's governance", federation.person(HUB_GOVERNANCE[0])),
        ("other agency's assessor", federation.person("pol.assessor")),
        ("unlisted", federation.person("j.doe")),
    ])
}

/// Makes a call with an empty message, at a server that offers it.
async fn make(
    federation: &Federation,
    who: &TestCert,
    (server, call): (Server, &str),
) -> Result<(), Status> {
    make_over(server.channel(federation, who), call).await
}

async fn make_over(channel: Channel, call: &str) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(Status::from_error)?;
    let path = format!("/{call}").parse().unwrap();
    // An empty message is one of any kind.
    let codec: ProstCodec<(), ()> = ProstCodec::default();
    if STREAMS.contains(&call) {
        let answer = client.server_streaming(Request::new(()), path, codec).await?;
        return answer.into_inner().message().await.map(|_| ());
    }
    if call.ends_with("ServerReflectionInfo") {
        let asked = futures::stream::iter([()]);
        return client.streaming(Request::new(asked), path, codec).await.map(|_| ());
    }
    client.unary(Request::new(()), path, codec).await.map(|_| ())
}

/// A refusal that no handler gave: the connection was not admitted.
fn is_of_the_network(status: &Status) -> bool {
    code_of(status).is_none()
        && matches!(
            status.code(),
            Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled
        )
        && std::error::Error::source(status).is_some()
}

/// A channel that shows no certificate.
fn without_certificate(federation: &Federation, server: Server) -> Channel {
    let address = match server {
        Server::Hub => federation.hub_address(),
        Server::Node => federation.node_address(HERE),
    };
    let mut roots = rustls::RootCertStore::empty();
    let pem = federation.partnership().ca().root_pem().as_bytes().to_vec();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tls = tokio_rustls::TlsConnector::from(Arc::new(config));
    let connector = tower::service_fn(move |_| {
        let tls = tls.clone();
        async move {
            let tcp = tokio::net::TcpStream::connect(address).await?;
            let name = ServerName::try_from("127.0.0.1").unwrap();
            Ok::<_, io::Error>(TokioIo::new(tls.connect(name, tcp).await?))
        }
    });
    Endpoint::from_shared(format!("https://{address}"))
        .unwrap()
        .connect_with_connector_lazy(connector)
        .into()
}
