//! The gRPC services of the hub: parse, authenticate, call the use case, encode. No decisions here.

use std::{pin::Pin, sync::Arc};

use brag_common::{
    audit::{
        also_noting,
        entry::{Action, EntryDraft},
        noting,
    },
    id::{AgencyId, EnquiryRef},
    status::{PeerFacing as _, to_status},
    tls::{Caller, peer_of},
    wire::{
        self, MAX_MESSAGE_BYTES, WireError, bounded, id,
        pb::{
            self,
            coordinator_service_server::{CoordinatorService, CoordinatorServiceServer},
            hub_service_server::{HubService, HubServiceServer},
        },
        release::{MAX_RECIPIENTS, to_lawful_basis},
        witness::MAX_EXCHANGE_BYTES,
    },
    witness,
};
use futures::{Stream, StreamExt as _, stream};
use tokio_stream::wrappers::BroadcastStream;
use tonic::{Request, Response, Status};

use crate::{
    config::Role,
    conflict, deliver, enquiry, epochs, evaluate, find_person,
    guard::{Refusal, SignedIn},
    hub::Shared,
    identity_review,
    life::{agenda, close, record, settle},
    release,
    report::subject_access,
    thresholds::{self, Thresholds},
    view,
};

/// The services, by their full names, for gRPC health.
pub const NAMES: &[&str] = &[
    "brag.v1.HubService",
    "brag.v1.CoordinatorService",
    "brag.v1.AuditService",
    subject_access::service::NAME,
    wire::records::NAME,
    witness::grpc::NAME,
];

/// The longest answer to a co-ordinator, in bytes: 24 people, every agency, an analysis in each cell, and the
/// requests for detail with their traces. Requests keep the bound of every other message.
pub const MAX_VIEW_BYTES: usize = 16 * 1024 * 1024;

/// The service for agency nodes.
#[must_use]
pub fn agencies(shared: Arc<Shared>) -> HubServiceServer<ForAgencies> {
    HubServiceServer::new(ForAgencies(shared))
        .max_decoding_message_size(MAX_EXCHANGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The service for co-ordinators.
#[must_use]
pub fn coordinators(shared: Arc<Shared>) -> CoordinatorServiceServer<ForCoordinators> {
    CoordinatorServiceServer::new(ForCoordinators(shared))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_VIEW_BYTES)
}

/// The handlers for co-ordinators, for calls from within the program: the console makes them for whoever has signed in.
#[must_use]
pub const fn coordinator_calls(shared: Arc<Shared>) -> ForCoordinators {
    ForCoordinators(shared)
}

/// Handlers of [`HubService`].
#[derive(Debug)]
pub struct ForAgencies(Arc<Shared>);

/// Handlers of [`CoordinatorService`].
#[derive(Debug)]
pub struct ForCoordinators(Arc<Shared>);

fn refused(refusal: impl Into<Refusal>) -> Status {
    to_status(&refusal.into())
}

impl ForAgencies {
    fn agency<T>(&self, request: Request<T>, rpc: &'static str) -> Result<(AgencyId, T), Status> {
        match self.0.party(peer_of(&request)?) {
            Ok(agency) => Ok((agency, request.into_inner())),
            Err(refusal) => {
                self.0.requests.count(rpc, refusal.code());
                Err(to_status(&refusal))
            }
        }
    }

    /// Counts how a call ended; a refusal is recorded before it is told.
    async fn ended<T>(
        &self,
        rpc: &'static str,
        agency: &AgencyId,
        exchange: &str,
        outcome: Result<T, Refusal>,
    ) -> Result<Response<T>, Status> {
        match outcome {
            Ok(message) => {
                self.0.requests.count(rpc, "ok");
                Ok(Response::new(message))
            }
            Err(refusal) => {
                self.0.requests.count(rpc, refusal.code());
                self.0.record_refusal(agency, exchange, &refusal).await;
                Err(to_status(&refusal))
            }
        }
    }
}

#[tonic::async_trait]
impl HubService for ForAgencies {
    async fn evaluate(
        &self,
        request: Request<pb::EvaluateRequest>,
    ) -> Result<Response<pb::EvaluateResponse>, Status> {
        let (agency, message) = self.agency(request, "evaluate")?;
        let exchange = message.request_id.clone();
        let outcome = evaluate::evaluate(&self.0, &agency, message).await;
        self.ended("evaluate", &agency, &exchange, outcome).await
    }

    async fn enrolled(
        &self,
        request: Request<pb::EnrolledRequest>,
    ) -> Result<Response<pb::EnrolledResponse>, Status> {
        let (agency, message) = self.agency(request, "enrolled")?;
        let exchange = message.request_id.clone();
        let outcome = epochs::enrolled(&self.0, &agency, message).await;
        self.ended("enrolled", &agency, &exchange, outcome).await
    }

    async fn deliver(
        &self,
        request: Request<pb::DeliverRequest>,
    ) -> Result<Response<pb::DeliverResponse>, Status> {
        let (agency, message) = self.agency(request, "deliver")?;
        let exchange = message.request_id.clone();
        let (shared, by) = (Arc::clone(&self.0), agency.clone());
        // What was begun is ended, also when the caller's connection is: otherwise it would be recorded, and not kept.
        let taking = async move { noting(deliver::deliver(&shared, &by, message)).await };
        let outcome = match self.0.rounds.spawn(taking).await {
            Ok((outcome, noted)) => {
                also_noting(noted);
                outcome
            }
            Err(_) => Err(Refusal::Internal),
        };
        self.ended("deliver", &agency, &exchange, outcome.map(|()| pb::DeliverResponse {})).await
    }
}

impl ForCoordinators {
    fn signed_in<T>(&self, request: Request<T>) -> Result<(SignedIn, T), Status> {
        let who = self.0.staff(peer_of(&request)?, Role::Coordinator).map_err(refused)?;
        Ok((who, request.into_inner()))
    }

    /// The enquiry of a request, when the caller may work on it.
    async fn free(&self, who: &SignedIn, enquiry: &str) -> Result<EnquiryRef, Status> {
        let enquiry = id("enquiry", enquiry).map_err(refused)?;
        conflict::free(&self.0, who, &enquiry).await.map_err(refused)?;
        Ok(enquiry)
    }

    /// How an act ended; what a rule refused is recorded before it is told.
    async fn told<T>(
        &self,
        who: &SignedIn,
        enquiry: Option<&EnquiryRef>,
        outcome: Result<T, Refusal>,
    ) -> Result<T, Status> {
        if let Err(refusal) = &outcome {
            self.0.record_refused_act(who, enquiry, refusal).await.map_err(refused)?;
        }
        outcome.map_err(refused)
    }

    /// One enquiry with the thresholds of its people, for the console: checked and recorded as [`CoordinatorService::show`].
    pub(crate) async fn show_thresholds(
        &self,
        request: Request<pb::ShowRequest>,
    ) -> Result<(pb::ShowResponse, Vec<Thresholds>), Status> {
        let (who, message) = self.signed_in(request)?;
        let name = self.free(&who, &message.enquiry).await?;
        let whole = settle::settled(&self.0, &name).await.map_err(refused)?;
        self.looked(&who, Some(&name)).await?;
        Ok((view::show(&self.0, &name, &whole), thresholds::of(&self.0, &name, &whole)))
    }

    /// That somebody looked is itself recorded, before anything is shown.
    async fn looked(&self, who: &SignedIn, enquiry: Option<&EnquiryRef>) -> Result<(), Status> {
        let mut draft: EntryDraft = self.0.draft(Action::ReportRead);
        draft.enquiry = enquiry.cloned();
        self.0.log.record(who.signs(draft)).await.map_err(refused)?;
        Ok(())
    }
}

#[tonic::async_trait]
impl CoordinatorService for ForCoordinators {
    async fn open(
        &self,
        request: Request<pb::OpenRequest>,
    ) -> Result<Response<pb::OpenResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        let opened = enquiry::open(&self.0, &who, message).await;
        let enquiry = self.told(&who, None, opened).await?;
        Ok(Response::new(pb::OpenResponse { enquiry: enquiry.to_string() }))
    }

    async fn show(
        &self,
        request: Request<pb::ShowRequest>,
    ) -> Result<Response<pb::ShowResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        let name = self.free(&who, &message.enquiry).await?;
        let whole = settle::settled(&self.0, &name).await.map_err(refused)?;
        self.looked(&who, Some(&name)).await?;
        Ok(Response::new(view::show(&self.0, &name, &whole)))
    }

    async fn list(
        &self,
        request: Request<pb::ListRequest>,
    ) -> Result<Response<pb::ListResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        let limit = at_most(message.limit);
        let listed = agenda::list(&self.0, &who, limit).await.map_err(refused)?;
        self.looked(&who, None).await?;
        Ok(Response::new(listed))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<pb::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<pb::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = request.extensions().get::<Caller>().cloned();
        let (who, message) = self.signed_in(request)?;
        let name = self.free(&who, &message.enquiry).await?;
        // Subscribed before the state is read, so that nothing falls between the two.
        let events = BroadcastStream::new(self.0.events.subscribe());
        let whole = settle::settled(&self.0, &name).await.map_err(refused)?;
        self.looked(&who, Some(&name)).await?;
        let shown = view::show(&self.0, &name, &whole);
        let now = self.0.clock.now();
        let changed: Vec<_> = view::changes_so_far(now, &whole);
        let before = shown
            .cells
            .into_iter()
            .map(move |cell| view::cell_event(now, cell))
            .chain(shown.releases.into_iter().map(move |r| view::release_event(now, r)))
            .chain(changed)
            .chain(whole.flags.into_iter().map(move |flag| view::flag_event(now, &flag)))
            .map(Ok);
        let after = events.filter_map(move |event| {
            let event = match event {
                Ok((enquiry, event)) => (enquiry == name).then_some(Ok(event)),
                Err(_) => Some(Err(Status::data_loss("too slow; watch again to read everything"))),
            };
            std::future::ready(event)
        });
        // A certificate revoked while the stream is open ends it.
        let trusted = move || caller.as_ref().is_some_and(Caller::is_trusted);
        let stop = self.0.shutdown.clone().cancelled_owned();
        let after = after.take_while(move |_| std::future::ready(trusted())).take_until(stop);
        Ok(Response::new(Box::pin(stream::iter(before).chain(after))))
    }

    async fn request_release(
        &self,
        request: Request<pb::RequestReleaseRequest>,
    ) -> Result<Response<pb::RequestReleaseResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        let wanted = wanted(message).map_err(refused)?;
        let releases = release::request(&self.0, &who, wanted).await;
        let releases = self.told(&who, Some(&enquiry), releases).await?;
        Ok(Response::new(pb::RequestReleaseResponse { releases }))
    }

    async fn find_person(
        &self,
        request: Request<pb::FindPersonRequest>,
    ) -> Result<Response<pb::FindPersonResponse>, Status> {
        let peer = peer_of(&request)?;
        // Either role may; somebody with neither is refused for the second.
        let who = self.0.staff(peer, Role::Auditor);
        let who = who.or_else(|_| self.0.staff(peer, Role::Coordinator)).map_err(refused)?;
        let found = find_person::find(&self.0, &who, request.into_inner()).await;
        Ok(Response::new(found.map_err(refused)?))
    }

    async fn stand_aside(
        &self,
        request: Request<pb::StandAsideRequest>,
    ) -> Result<Response<pb::StandAsideResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        let enquiry = id("enquiry", &message.enquiry).map_err(refused)?;
        conflict::declare(&self.0, &who, enquiry).await.map_err(refused)?;
        Ok(Response::new(pb::StandAsideResponse {}))
    }

    async fn record(
        &self,
        request: Request<pb::RecordRequest>,
    ) -> Result<Response<pb::RecordResponse>, Status> {
        let may_chair = self.0.staff(peer_of(&request)?, Role::Chair).is_ok();
        let (who, message) = self.signed_in(request)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        let step = message.step.ok_or(WireError::Missing("step")).map_err(refused)?;
        let recorded = record::record(&self.0, &who, may_chair, &enquiry, step).await;
        self.told(&who, Some(&enquiry), recorded).await?;
        Ok(Response::new(pb::RecordResponse {}))
    }

    async fn close(
        &self,
        request: Request<pb::CloseRequest>,
    ) -> Result<Response<pb::CloseResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        let closed = close::close(&self.0, &who, &enquiry, &message.outcome, &message.reason).await;
        let closed = self.told(&who, Some(&enquiry), closed).await?;
        Ok(Response::new(pb::CloseResponse { closed }))
    }

    async fn agenda(
        &self,
        request: Request<pb::AgendaRequest>,
    ) -> Result<Response<pb::AgendaResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        let agenda =
            agenda::agenda(&self.0, &who, at_most(message.limit)).await.map_err(refused)?;
        self.looked(&who, None).await?;
        Ok(Response::new(agenda))
    }

    async fn authorise_identity_review(
        &self,
        request: Request<pb::AuthoriseIdentityReviewRequest>,
    ) -> Result<Response<pb::AuthoriseIdentityReviewResponse>, Status> {
        let (who, message) = self.signed_in(request)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        let wanted = wanted_review(message).map_err(refused)?;
        let authorised = identity_review::authorise(&self.0, &who, wanted).await;
        self.told(&who, Some(&enquiry), authorised).await?;
        Ok(Response::new(pb::AuthoriseIdentityReviewResponse {}))
    }
}

/// How many lines are wanted.
fn at_most(limit: u32) -> usize {
    match limit {
        0 => 100,
        limit => usize::try_from(limit.min(1000)).unwrap_or(100),
    }
}

fn wanted_review(
    message: pb::AuthoriseIdentityReviewRequest,
) -> Result<identity_review::Wanted, WireError> {
    Ok(identity_review::Wanted {
        enquiry: id("enquiry", &message.enquiry)?,
        agency: id("agency", &message.agency)?,
        person: id("person", &message.person)?,
        reason: message.reason,
    })
}

fn wanted(message: pb::RequestReleaseRequest) -> Result<release::Wanted, WireError> {
    bounded("recipients", &message.recipients, 1..=MAX_RECIPIENTS, "1 to 32 agencies")?;
    Ok(release::Wanted {
        enquiry: id("enquiry", &message.enquiry)?,
        holder: id("holder", &message.holder)?,
        person: id("person", &message.person)?,
        category: id("category", &message.category)?,
        recipients: each_once(&message.recipients)?,
        basis: to_lawful_basis(message.lawful_basis.unwrap_or_default())?,
        purpose: message.purpose,
    })
}

/// Recipients in the order asked, each once: there is one decision for each.
fn each_once(named: &[String]) -> Result<Vec<AgencyId>, WireError> {
    let mut recipients = Vec::with_capacity(named.len());
    for agency in named {
        let agency = id("recipients", agency)?;
        if !recipients.contains(&agency) {
            recipients.push(agency);
        }
    }
    Ok(recipients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_named_twice_is_one_recipient() {
        let named = ["POL", "CSC", "POL"].map(str::to_owned);
        let each: Vec<_> = each_once(&named).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(each, ["POL", "CSC"]);
        assert!(each_once(&["not an id".to_owned()]).is_err());
    }
}
