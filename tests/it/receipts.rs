//! Receipts: what the other side answers counts when its log has the entry of this exchange, and continues what was seen of it.

use std::{
    convert::Infallible,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use brag_agency_node as agency_node;
use brag_common::{
    alert::Alert,
    audit::{
        Action, Entry, Party,
        reconcile::{Wanted, reconcile},
    },
    status::code_of,
    tlog::{Checkpoint, Hash, Tree, TreeHead},
    wire::{
        pb::{self, AnswerStatus, Colour},
        witness::{behind_answer, from_proof, read_answer, read_request},
    },
    witness::{grpc::WitnessHost as _, layer::Witnessed, receipt},
};
use brag_tests::{
    federation::{Federation, Holding, cell, eventually, id, person_of},
    shown::{Shown, with_behind},
};
use futures::future::{BoxFuture, FutureExt as _};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use tonic::{Code, body::Body, server::NamedService, service::Routes};
use tower_service::Service;

/// What a side that has turned bad does to the receipts of its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// Nothing.
    None,
    /// There is none.
    NoReceipt,
    /// The receipt of the first exchange, again.
    OfAnotherExchange,
    /// An entry that is not in the log at this place.
    NotInTheLog,
    /// A log that has this entry and none of those before.
    AnotherHistory,
    /// The log as it was when it had one entry.
    RolledBack,
}

/// What is shown in place of an honest answer, given what was asked.
type Liar = Arc<dyn Fn(Lie, &pb::Witnessing, &pb::Witnessing) -> pb::Witnessing + Send + Sync>;

/// Puts a lie behind every answer of a service.
#[derive(Clone)]
struct Lying<S> {
    inner: S,
    lie: Arc<Mutex<Lie>>,
    log: Liar,
    first: Arc<Mutex<Option<pb::Witnessing>>>,
    n_told: Arc<AtomicUsize>,
}

impl<S: NamedService> NamedService for Lying<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Lying<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut this = self.clone();
        async move {
            let (head, body) = request.into_parts();
            let frame = body.collect().await.unwrap().to_bytes();
            let (_, asked) = read_request(&frame[5..]).unwrap();
            let request = Request::from_parts(head, Body::new(Full::new(frame)));
            let answer = this.inner.call(request).await?;
            let lie = *this.lie.lock().unwrap();
            let (head, body) = answer.into_parts();
            if lie == Lie::None || head.headers.contains_key("grpc-status") {
                return Ok(Response::from_parts(head, body));
            }
            let collected = body.collect().await.unwrap();
            let trailers = collected.trailers().cloned();
            let frame = collected.to_bytes();
            let honest = read_answer(&frame[5..]).unwrap();
            let first = this.first.lock().unwrap().get_or_insert_with(|| honest.clone()).clone();
            let told = match lie {
                Lie::NoReceipt => None,
                Lie::OfAnotherExchange => {
                    Some(pb::Witnessing { old_size: honest.old_size, ..first })
                }
                _ => Some((this.log)(lie, &asked.unwrap(), &honest)),
            };
            let behind = pb::WitnessedAnswer { witnessing: Some(honest) };
            let n_bytes = frame.len() - behind.encoded_len();
            let behind = told.map(behind_answer).unwrap_or_default();
            this.n_told.fetch_add(1, Ordering::SeqCst);
            let body = Full::new(with_behind(&frame[..n_bytes], &behind));
            let body = body.with_trailers(std::future::ready(trailers.map(Ok)));
            Ok(Response::from_parts(head, Body::new(body)))
        }
        .boxed()
    }
}

/// A liar with a log's key: what it shows instead.
fn liar(log: brag_common::audit::AuditLog, key_file: std::path::PathBuf) -> Liar {
    Arc::new(move |lie, asked, honest| {
        let key = brag_common::keyfile::read_signing_key(&key_file).unwrap();
        let sign = |head: TreeHead| {
            let checkpoint = Checkpoint { origin: log.origin().as_str().into(), head };
            checkpoint.sign(log.note_key(), &key).unwrap().to_bytes().unwrap()
        };
        let real = log.tree();
        match lie {
            Lie::NotInTheLog => {
                let mut entry = Entry::decode(&honest.entry).unwrap();
                entry.count = Some(99);
                pb::Witnessing { entry: entry.encode(), ..honest.clone() }
            }
            Lie::AnotherHistory => {
                let mut tree = Tree::new(tempfile::tempfile().unwrap());
                for n in 0..honest.index {
                    tree.push(Hash::of_leaf(format!("another {n}").as_bytes())).unwrap();
                }
                tree.push(Hash::of_leaf(&honest.entry)).unwrap();
                let tree = tree.reader().unwrap();
                let size = tree.head().size;
                pb::Witnessing {
                    proof: from_proof(&tree.prove_consistency(asked.seen, size).unwrap()),
                    checkpoint: sign(tree.head()),
                    inclusion: from_proof(&tree.prove_inclusion(honest.index, size).unwrap()),
                    ..honest.clone()
                }
            }
            Lie::RolledBack => pb::Witnessing {
                old_size: 0,
                proof: Vec::new(),
                checkpoint: sign(real.head_at(1).unwrap()),
                ..honest.clone()
            },
            Lie::None | Lie::NoReceipt | Lie::OfAnotherExchange => honest.clone(),
        }
    })
}

fn lying<S>(inner: S, log: &brag_common::audit::AuditLog, key: std::path::PathBuf) -> Lying<S> {
    Lying {
        inner,
        lie: Arc::new(Mutex::new(Lie::None)),
        log: liar(log.clone(), key),
        first: Arc::default(),
        n_told: Arc::default(),
    }
}

async fn start() -> Federation {
    let father = person_of(0);
    Federation::builder()
        .nodes(&["SMS", "CSC"])
        .silent(&["POL"])
        .holds("SMS", Holding::of(father.clone()))
        .holds("CSC", Holding::of(father))
        .start()
        .await
}

fn alerts(log: &[Entry], about: &Party) -> Vec<Alert> {
    log.iter()
        .filter(|entry| entry.action == Action::AlertRaised && entry.peer.as_ref() == Some(about))
        .map(|entry| Alert::from_word(entry.decision.as_ref().unwrap().as_str()).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_answers_without_a_good_receipt_is_not_used() {
    let mut federation = start().await;
    // What the hub has seen of the log, so that there is something to contradict.
    federation.inside("SMS").cosigned.everything(std::time::Duration::from_secs(30)).await.unwrap();
    federation.stop_node("SMS").await;
    let node = federation.behind("SMS").await;
    let key = federation.partnership().node_folder(&id("SMS")).join("keys/log.key");
    let service = Witnessed::new(agency_node::service::node(Arc::clone(&node)), Arc::clone(&node));
    let service = lying(service, node.log.audit(), key);
    let (lie, n_told) = (Arc::clone(&service.lie), Arc::clone(&service.n_told));
    federation.stand_in("SMS", Routes::new(service)).await;
    let stranger = person_of(7);
    // With good receipts it is believed.
    let enquiry = federation.open(&[("P1", &stranger)]).await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::NotKnown).await;

    let sms = Party::Agency(id("SMS"));
    for (told, alert) in [
        (Lie::NoReceipt, Alert::NoReceipt),
        (Lie::OfAnotherExchange, Alert::NoReceipt),
        (Lie::NotInTheLog, Alert::NoReceipt),
        (Lie::AnotherHistory, Alert::LogInconsistent),
        (Lie::RolledBack, Alert::LogInconsistent),
    ] {
        let before = n_told.load(Ordering::SeqCst);
        *lie.lock().unwrap() = told;
        let enquiry = federation.open(&[("P1", &stranger)]).await;
        let show = federation
            .until(&enquiry, "the answer is not used", |show| {
                cell(show, "SMS", &enquiry.person("P1")).status() == AnswerStatus::NoResponse
            })
            .await;
        let cell = cell(&show, "SMS", &enquiry.person("P1"));
        assert_eq!(cell.reason, "RECEIPT_REFUSED", "{told:?}");
        assert!(n_told.load(Ordering::SeqCst) > before, "{told:?}");
        let raised = alerts(&federation.hub_log(), &sms);
        assert_eq!(raised.last(), Some(&alert), "{told:?}: {raised:?}");
        // Good again, it is believed again.
        *lie.lock().unwrap() = Lie::None;
        federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::NotKnown).await;
    }
    // The three ways of having no receipt are told once each, for a good one came in between; asking again and again is not.
    let raised = alerts(&federation.hub_log(), &sms);
    assert_eq!(raised.iter().filter(|alert| **alert == Alert::NoReceipt).count(), 3, "{raised:?}");
    let refused = federation.partnership().hub_folder().join("data/witness/refused");
    assert!(fs::read_dir(refused).unwrap().count() >= 2);
    drop(node);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_counts_when_the_hubs_log_has_it_and_is_tried_again_until_then() {
    let mut federation = start().await;
    let father = person_of(0);
    let enquiry = federation.open(&[("P1", &father)]).await;
    federation.until_asked("SMS", &enquiry, "P1").await;
    federation.stop_hub().await;
    let (hub, stop) = federation.behind_hub().await;
    let key = federation.partnership().hub_folder().join("keys/log.key");
    let service = Witnessed::new(brag_hub::service::agencies(Arc::clone(&hub)), Arc::clone(&hub));
    let service = lying(service, hub.log.audit(), key);
    let (lie, n_told) = (Arc::clone(&service.lie), Arc::clone(&service.n_told));
    *lie.lock().unwrap() = Lie::NoReceipt;
    federation.stand_in_for_hub(Routes::new(service)).await;
    federation.rate("SMS", &enquiry, "P1", Colour::Red).await;
    for (told, alert) in [
        (Lie::NoReceipt, Alert::NoReceipt),
        (Lie::AnotherHistory, Alert::LogInconsistent),
        (Lie::RolledBack, Alert::LogInconsistent),
    ] {
        *lie.lock().unwrap() = told;
        let before = n_told.load(Ordering::SeqCst);
        eventually(&format!("the hub lies twice: {told:?}"), async || {
            (n_told.load(Ordering::SeqCst) > before + 1).then_some(())
        })
        .await;
        let raised = alerts(&federation.log_of("SMS"), &Party::Hub);
        assert_eq!(raised.last(), Some(&alert), "{told:?}: {raised:?}");
        assert!(!federation.inside("SMS").store.outgoing().unwrap().is_empty(), "{told:?}");
        let delivered = |entry: &Entry| entry.action == Action::Delivered;
        assert!(!federation.log_of("SMS").iter().any(delivered), "{told:?}");
    }
    *lie.lock().unwrap() = Lie::None;
    eventually("it is delivered", async || {
        federation.inside("SMS").store.outgoing().unwrap().is_empty().then_some(())
    })
    .await;
    // The hub took it once, and has written down each time that it came again.
    let again = federation.hub_log().into_iter().filter(|entry| entry.action == Action::Delivered);
    assert!(again.map(|entry| entry.decision.unwrap()).all(|word| word.as_str() == "taken_before"));
    stop.cancel();
    drop(hub);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_does_not_show_its_log_or_shows_another_is_answered_nothing() {
    let federation = start().await;
    let ca = federation.partnership().ca();
    let (domain, folder) = (ca.trust_domain(), federation.partnership().hub_folder());
    let channel = || federation.to_node(&ca.hub(), "SMS");
    let request = pb::ScreenRequest {
        request_id: brag_tests::federation::fresh(),
        ..pb::ScreenRequest::default()
    };
    let mut bare = pb::node_service_client::NodeServiceClient::new(channel());
    let refused = bare.screen(request.clone()).await.unwrap_err();
    assert_eq!((refused.code(), code_of(&refused)), (Code::Aborted, Some("not_witnessed")));

    // The hub's own key, and another history of the length that the node has cosigned.
    let enquiry = federation.open(&[("P1", &person_of(3))]).await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::NotKnown).await;
    let hub = federation.inside_hub();
    let seen = federation.inside("SMS").witness.kept(hub.log.audit().note_key()).unwrap();
    let size = seen.checkpoint().head.size;
    let key = brag_common::keyfile::read_signing_key(&folder.join("keys/log.key")).unwrap();
    let head = TreeHead { size, root: Hash::of_leaf(b"another") };
    let forged = Checkpoint { origin: hub.log.audit().origin().as_str().into(), head };
    let forged = forged.sign(hub.log.audit().note_key(), &key).unwrap();
    let shown = pb::Witnessing {
        keys: Some((&hub.own_keys().unwrap()).into()),
        old_size: size,
        checkpoint: forged.to_bytes().unwrap(),
        ..pb::Witnessing::default()
    };
    drop(hub);
    let shown = Shown::showing(channel(), shown);
    let mut forging = pb::node_service_client::NodeServiceClient::new(shown);
    let refused = forging.screen(request).await.unwrap_err();
    assert_eq!(code_of(&refused), Some("checkpoint_inconsistent"));
    let raised = alerts(&federation.log_of("SMS"), &Party::Hub);
    assert_eq!(raised, [Alert::LogInconsistent]);
    // The node has not looked at the request.
    assert_eq!(domain, federation.inside("SMS").trust_domain());
    let screened = |entry: &&Entry| entry.action == Action::RequestRefused;
    assert_eq!(federation.log_of("SMS").iter().filter(screened).count(), 0);
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_are_kept_and_show_what_a_log_has_lost_since() {
    let federation = start().await;
    let father = person_of(0);
    let enquiry = federation.open(&[("P1", &father)]).await;
    federation.rate("SMS", &enquiry, "P1", Colour::Red).await;
    federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::Rated).await;
    eventually("it is delivered", async || {
        federation.inside("SMS").store.outgoing().unwrap().is_empty().then_some(())
    })
    .await;
    let hubs = federation.partnership().hub_folder().join("data/witness");
    let nodes = federation.partnership().node_folder(&id("SMS")).join("data/witness");
    let mut kept = Vec::new();
    receipt::read(&hubs, &mut |receipt| kept.push(receipt)).unwrap();
    let of_sms = |origin: &str| origin.ends_with("/SMS/1");
    let answered =
        federation.log_of("SMS").into_iter().rfind(|entry| entry.action == Action::RateAnswered);
    let answered = answered.unwrap();
    let promised = kept.iter().find(|receipt| {
        of_sms(&receipt.proof.checkpoint.checkpoint().origin) && receipt.proof.index == answered.seq
    });
    assert_eq!(promised.unwrap().entry.as_deref(), Some(answered.encode().as_slice()));
    let mut own = 0;
    receipt::read(&nodes, &mut |_| own += 1).unwrap();
    assert!(own > 0);

    let wanted = |log: std::path::PathBuf| Wanted {
        hub: federation.hub_log_dir(),
        others: vec![log],
        witnesses: vec![hubs.clone()],
        ..Wanted::default()
    };
    let report = reconcile(&wanted(federation.log_dir("SMS")), &mut |_| {}).unwrap();
    assert_eq!(report.promised, []);
    // Another log of the same name and key, without that entry and all that refers to it on either side.
    let anew = tempfile::tempdir().unwrap();
    let key = federation.partnership().node_folder(&id("SMS")).join("keys/log.key");
    let dir = brag_common::audit::rewrite::rewrite_with(
        brag_common::keyfile::read_signing_key(&key).unwrap(),
        &federation.log_dir("SMS"),
        anew.path(),
        |entry| (entry.seq != answered.seq).then_some(entry),
    )
    .await;
    let report = reconcile(&wanted(dir), &mut |_| {}).unwrap();
    assert!(!report.agrees());
    let lost = report.promised.iter().find(|promised| promised.seq == answered.seq).unwrap();
    assert_eq!(Some(&lost.exchange), answered.exchange.as_ref());
    assert_eq!(lost.entry.as_deref().map(str::as_bytes), Some(answered.encode().as_slice()));
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchanges_have_receipts_in_the_shards_that_begin_with_the_year() {
    let federation = Federation::builder()
        .nodes(&["SMS", "CSC"])
        .silent(&["POL"])
        .holds("SMS", Holding::of(person_of(0)))
        .epoch("500d")
        .start()
        .await;
    let asked = async || {
        let enquiry = federation.open(&[("P1", &person_of(3))]).await;
        federation.until_status(&enquiry, "SMS", "P1", AnswerStatus::NotKnown).await;
    };
    asked().await;
    let within = std::time::Duration::from_secs(30);
    federation.inside("SMS").cosigned.everything(within).await.unwrap();
    federation.inside_hub().cosigned.everything(within).await.unwrap();
    federation.advance(jiff::SignedDuration::from_hours(24 * 330));
    // The first write of the year is the last of the old shard.
    asked().await;
    eventually("both logs have begun a shard", async || {
        let sms = federation.inside("SMS");
        let hub = federation.inside_hub();
        let shards = [sms.log.audit().origin().shard(), hub.log.audit().origin().shard()];
        (shards == ["2", "2"]).then_some(())
    })
    .await;
    asked().await;
    let mut kept = Vec::new();
    let hubs = federation.partnership().hub_folder().join("data/witness");
    receipt::read(&hubs, &mut |receipt| kept.push(receipt)).unwrap();
    let of_sms = |shard: &str| {
        let name = format!("/SMS/{shard}");
        kept.iter()
            .filter(|receipt| receipt.proof.checkpoint.checkpoint().origin.ends_with(&name))
            .count()
    };
    assert!(of_sms("1") > 0 && of_sms("2") > 0, "{} {}", of_sms("1"), of_sms("2"));
    let report = reconcile(
        &Wanted {
            hub: federation.hub_log_dir().parent().unwrap().to_owned(),
            others: vec![federation.log_dir("SMS").parent().unwrap().to_owned()],
            witnesses: vec![hubs],
            ..Wanted::default()
        },
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(report.promised, []);
    federation.finish().await;
}
