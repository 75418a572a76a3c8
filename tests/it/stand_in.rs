//! Servers that take a node's place, with its address and certificate, and do not do what a node does. What they answer has good receipts, of
//! the node's own log.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use brag_agency_node::node::Shared;
use brag_common::{
    audit::{Action, Party},
    secret::random_bytes,
    wire::{
        pb::{
            self,
            node_service_server::{NodeService, NodeServiceServer},
        },
        witness::MAX_EXCHANGE_BYTES,
    },
    witness::layer::Witnessed,
};
use tonic::{Request, Response, Status, service::Routes};

/// What it does when it is screened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screening {
    /// Answers in the right form, with proofs that are random: it claims hits that it did not enrol.
    ClaimsEverybody,
    /// Never answers.
    Hangs,
}

/// A server in a node's place.
#[derive(Debug, Clone)]
pub struct StandIn {
    /// The node whose place it takes.
    node: Arc<Shared>,
    screening: Screening,
    screened: Arc<AtomicUsize>,
    disclosed: Arc<AtomicUsize>,
}

impl StandIn {
    pub fn new(node: Arc<Shared>, screening: Screening) -> Self {
        Self { node, screening, screened: Arc::default(), disclosed: Arc::default() }
    }

    pub fn routes(&self) -> Routes {
        let service = NodeServiceServer::new(self.clone());
        let service = service.max_decoding_message_size(MAX_EXCHANGE_BYTES);
        Routes::new(Witnessed::new(service, Arc::clone(&self.node)))
    }

    /// How often it was screened.
    pub fn n_screened(&self) -> usize {
        self.screened.load(Ordering::SeqCst)
    }

    /// How many identities it was told.
    pub fn n_disclosed(&self) -> usize {
        self.disclosed.load(Ordering::SeqCst)
    }
}

#[tonic::async_trait]
impl NodeService for StandIn {
    async fn screen(
        &self,
        request: Request<pb::ScreenRequest>,
    ) -> Result<Response<pb::ScreenResponse>, Status> {
        self.screened.fetch_add(1, Ordering::SeqCst);
        if self.screening == Screening::Hangs {
            std::future::pending::<()>().await;
        }
        let request = request.into_inner();
        let mut draft = self.node.draft(Action::ScreenAnswered);
        draft.exchange = request.request_id.parse().ok();
        draft.peer = Some(Party::Hub);
        draft.count = Some(request.slots.len() as u64);
        self.node.log.record(draft).await.unwrap();
        let n_slots = request.slots.len();
        let answers = (0..n_slots).map(|_| random_bytes::<1216>().unwrap().to_vec()).collect();
        Ok(Response::new(pb::ScreenResponse { answers }))
    }

    async fn rate(
        &self,
        request: Request<pb::RateRequest>,
    ) -> Result<Response<pb::RateResponse>, Status> {
        let request = request.into_inner();
        self.disclosed.fetch_add(request.people.len() + request.linked.len(), Ordering::SeqCst);
        Err(Status::unavailable("a stand-in"))
    }

    async fn release(
        &self,
        _: Request<pb::ReleaseRequest>,
    ) -> Result<Response<pb::ReleaseResponse>, Status> {
        Err(Status::unavailable("a stand-in"))
    }

    async fn receive(
        &self,
        _: Request<pb::ReceiveRequest>,
    ) -> Result<Response<pb::ReceiveResponse>, Status> {
        Err(Status::unavailable("a stand-in"))
    }

    async fn challenge(
        &self,
        _: Request<pb::ChallengeRequest>,
    ) -> Result<Response<pb::ChallengeResponse>, Status> {
        Err(Status::unavailable("a stand-in"))
    }

    async fn inform(
        &self,
        _: Request<pb::InformRequest>,
    ) -> Result<Response<pb::InformResponse>, Status> {
        Err(Status::unavailable("a stand-in"))
    }

    async fn notify(
        &self,
        _: Request<pb::NotifyRequest>,
    ) -> Result<Response<pb::NotifyResponse>, Status> {
        Err(Status::unavailable("a stand-in"))
    }
}
