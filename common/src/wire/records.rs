//! Holds and erasure on the wire: the service that both programs offer, and its client.

use std::{sync::Arc, time::Duration};

use tonic::{Request, Response, Status};

use super::{
    MAX_MESSAGE_BYTES, WireError, id,
    pb::{
        self,
        records_service_client::RecordsServiceClient,
        records_service_server::{RecordsService, RecordsServiceServer},
    },
    time,
};
use crate::{
    erasure::{self, Erasable, Hold, NotDone},
    id::EnquiryRef,
    peer::VerifiedPeer,
    staff::{Role, SignedIn},
    status::to_status,
    tls::{Channel, peer_of, with_deadline},
};

/// The service, by its full name, for gRPC health.
pub const NAME: &str = "brag.v1.RecordsService";

/// For one call. An erasure waits for the disk; the server itself gives up after 30 s.
const CALL_WITHIN: Duration = Duration::from_secs(40);

/// A program whose staff govern what is kept.
pub trait Governed: Erasable {
    /// The roles of its staff.
    type Role: Role + Send + Sync;

    /// The caller has the role `governance`.
    ///
    /// # Errors
    /// When they are not listed, or do not have it.
    fn governs(&self, peer: &VerifiedPeer) -> Result<SignedIn<Self::Role>, Status>;

    /// The caller may work on an enquiry: it is not about a family that they are linked to.
    fn free(
        self: &Arc<Self>,
        who: &SignedIn<Self::Role>,
        enquiry: &EnquiryRef,
    ) -> impl Future<Output = Result<(), Status>> + Send;
}

/// The service.
#[must_use]
pub fn records<G: Governed>(of: Arc<G>) -> RecordsServiceServer<ForGovernance<G>> {
    RecordsServiceServer::new(ForGovernance(of))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The handlers, for calls from within the program: a console makes them for whoever has signed in.
#[must_use]
pub const fn records_calls<G: Governed>(of: Arc<G>) -> ForGovernance<G> {
    ForGovernance(of)
}

/// Handlers of [`RecordsService`].
#[derive(Debug)]
pub struct ForGovernance<G>(Arc<G>);

impl<G: Governed> ForGovernance<G> {
    fn signed_in<T>(&self, request: Request<T>) -> Result<(SignedIn<G::Role>, T), Status> {
        let who = self.0.governs(peer_of(&request)?)?;
        Ok((who, request.into_inner()))
    }

    /// The enquiry of a request, when the caller may work on it.
    async fn free(&self, who: &SignedIn<G::Role>, enquiry: &str) -> Result<EnquiryRef, Status> {
        let enquiry = id("enquiry", enquiry).map_err(|error: WireError| to_status(&error))?;
        self.0.free(who, &enquiry).await?;
        Ok(enquiry)
    }
}

fn refused<E: Into<NotDone>>(why: E) -> Status {
    to_status(&why.into())
}

#[tonic::async_trait]
impl<G: Governed> RecordsService for ForGovernance<G> {
    async fn set_hold(
        &self,
        request: Request<pb::SetHoldRequest>,
    ) -> Result<Response<pb::SetHoldResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        erasure::hold(&self.0, &who, &enquiry, &message.reason).await.map_err(refused)?;
        Ok(Response::new(pb::SetHoldResponse {}))
    }

    async fn lift_hold(
        &self,
        request: Request<pb::LiftHoldRequest>,
    ) -> Result<Response<pb::LiftHoldResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        erasure::lift(&self.0, &who, &enquiry).await.map_err(refused)?;
        Ok(Response::new(pb::LiftHoldResponse {}))
    }

    async fn list_holds(
        &self,
        request: Request<pb::ListHoldsRequest>,
    ) -> Result<Response<pb::ListHoldsResponse>, Status> {
        let (who, _) = self.signed_in(request)?;
        let holds = erasure::holds(&self.0, &who).await.map_err(refused)?;
        let holds = holds.into_iter().map(|(enquiry, hold)| pb::HoldView {
            enquiry: enquiry.to_string(),
            by: hold.by.to_string(),
            set_at_unix_ms: hold.at.as_millisecond(),
            reason: hold.reason,
        });
        Ok(Response::new(pb::ListHoldsResponse { holds: holds.collect() }))
    }

    async fn ask_erasure(
        &self,
        request: Request<pb::AskErasureRequest>,
    ) -> Result<Response<pb::AskErasureResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        erasure::ask(&self.0, &who, &enquiry, &message.reason).await.map_err(refused)?;
        Ok(Response::new(pb::AskErasureResponse {}))
    }

    async fn confirm_erasure(
        &self,
        request: Request<pb::ConfirmErasureRequest>,
    ) -> Result<Response<pb::ConfirmErasureResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        let count = erasure::confirm(&self.0, &who, &enquiry).await.map_err(refused)?;
        Ok(Response::new(pb::ConfirmErasureResponse { count }))
    }
}

/// A client of the service.
#[derive(Debug, Clone)]
pub struct Client(RecordsServiceClient<Channel>);

impl Client {
    /// A client over a channel.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        let client = RecordsServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Self(client)
    }

    /// Holds an enquiry.
    ///
    /// # Errors
    /// The program's refusal, or the network's.
    pub async fn hold(mut self, enquiry: &EnquiryRef, reason: &str) -> Result<(), Status> {
        let request =
            pb::SetHoldRequest { enquiry: enquiry.to_string(), reason: reason.to_owned() };
        self.0.set_hold(with_deadline(request, CALL_WITHIN)).await.map(|_| ())
    }

    /// Lifts a hold.
    ///
    /// # Errors
    /// As [`Client::hold`].
    pub async fn lift(mut self, enquiry: &EnquiryRef) -> Result<(), Status> {
        let request = pb::LiftHoldRequest { enquiry: enquiry.to_string() };
        self.0.lift_hold(with_deadline(request, CALL_WITHIN)).await.map(|_| ())
    }

    /// Every hold.
    ///
    /// # Errors
    /// As [`Client::hold`], or an answer that is not well-formed.
    pub async fn holds(mut self) -> Result<Vec<(EnquiryRef, Hold)>, Status> {
        let request = with_deadline(pb::ListHoldsRequest {}, CALL_WITHIN);
        let holds = self.0.list_holds(request).await?.into_inner().holds;
        let read = |view: pb::HoldView| {
            let hold = Hold {
                by: id("by", &view.by)?,
                at: time("set_at", view.set_at_unix_ms)?,
                reason: view.reason,
            };
            Ok((id("enquiry", &view.enquiry)?, hold))
        };
        let holds: Result<_, WireError> = holds.into_iter().map(read).collect();
        holds.map_err(|error| to_status(&error))
    }

    /// Asks that an enquiry be erased.
    ///
    /// # Errors
    /// As [`Client::hold`].
    pub async fn ask(mut self, enquiry: &EnquiryRef, reason: &str) -> Result<(), Status> {
        let request =
            pb::AskErasureRequest { enquiry: enquiry.to_string(), reason: reason.to_owned() };
        self.0.ask_erasure(with_deadline(request, CALL_WITHIN)).await.map(|_| ())
    }

    /// Confirms an erasure; gives how many values were erased.
    ///
    /// # Errors
    /// As [`Client::hold`].
    pub async fn confirm(mut self, enquiry: &EnquiryRef) -> Result<u64, Status> {
        let request = pb::ConfirmErasureRequest { enquiry: enquiry.to_string() };
        let done = self.0.confirm_erasure(with_deadline(request, CALL_WITHIN)).await?;
        Ok(done.into_inner().count)
    }
}
