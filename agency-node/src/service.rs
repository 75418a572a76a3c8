//! The gRPC services of a node: parse, authenticate, call the use case, encode. No decisions here.

use std::sync::Arc;

use brag_common::{
    agreement::Obligation,
    enquiry::{RateQuery, ReleaseQuery, ScreenQuery, Why},
    id::EnquiryRef,
    news::InformQuery,
    release::RedactedText,
    status::{PeerFacing as _, to_status},
    tls::peer_of,
    wire::{
        self, MAX_MESSAGE_BYTES, WireError, id, news, optional_id, padding, pb,
        pb::{
            desk_service_server::{DeskService, DeskServiceServer},
            node_service_server::{NodeService, NodeServiceServer},
        },
        release::{MAX_SEALED_BYTES, trace_step},
        round, statement,
        witness::MAX_EXCHANGE_BYTES,
        words,
    },
    witness,
};
use tonic::{Request, Response, Status};

use crate::{
    answer_release::answer_release,
    answer_round::answer_round,
    answer_screen::answer_screen,
    challenge,
    config::Role,
    conflict, consent, desk,
    guard::{Refusal, SignedIn},
    identity, inform,
    node::Shared,
    notices, plan, receive,
    review::{self, Approving, waiting},
    store::shapes::IdentityVerdict,
    views,
    work::rating_work,
};

mod consent_wire;
pub(crate) mod looks;

/// The services, by their full names, for gRPC health.
pub const NAMES: &[&str] = &[
    "brag.v1.NodeService",
    "brag.v1.DeskService",
    "brag.v1.AuditService",
    wire::records::NAME,
    witness::grpc::NAME,
];

/// The service for the hub.
#[must_use]
pub fn node(shared: Arc<Shared>) -> NodeServiceServer<ForHub> {
    NodeServiceServer::new(ForHub(shared))
        .max_decoding_message_size(MAX_EXCHANGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The service for the agency's staff.
#[must_use]
pub fn desk(shared: Arc<Shared>) -> DeskServiceServer<ForStaff> {
    DeskServiceServer::new(ForStaff(shared))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The handlers for the agency's staff, for calls from within the program: the console makes them for whoever has signed in.
#[must_use]
pub const fn desk_calls(shared: Arc<Shared>) -> ForStaff {
    ForStaff(shared)
}

/// Handlers of [`NodeService`].
#[derive(Debug)]
pub struct ForHub(Arc<Shared>);

/// Handlers of [`DeskService`].
#[derive(Debug)]
pub struct ForStaff(Arc<Shared>);

fn refused<R: Into<Refusal>>(refusal: R) -> Status {
    to_status(&refusal.into())
}

impl ForHub {
    fn asked_by_hub<T>(&self, request: Request<T>) -> Result<T, Refusal> {
        let peer = peer_of(&request).map_err(|_| Refusal::NotTheHub)?;
        self.0.hub(peer)?;
        Ok(request.into_inner())
    }

    /// Counts how a call ended; a refusal is recorded before it is told.
    async fn ended<T>(
        &self,
        rpc: &'static str,
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
                self.0.record_refusal(exchange, &refusal).await;
                Err(to_status(&refusal))
            }
        }
    }

    async fn answer_screen(
        &self,
        request: Request<pb::ScreenRequest>,
    ) -> Result<pb::ScreenResponse, Refusal> {
        let query: ScreenQuery = self.asked_by_hub(request)?.try_into()?;
        let answers = answer_screen(&self.0, query).await?;
        Ok(pb::ScreenResponse { answers: answers.into_inner().into_slots() })
    }

    async fn answer_rate(
        &self,
        request: Request<pb::RateRequest>,
    ) -> Result<pb::RateResponse, Refusal> {
        let query: RateQuery = self.asked_by_hub(request)?.try_into()?;
        let answers = answer_round(&self.0, query).await?;
        let answers = answers.iter().map(|answer| answer.get().into()).collect();
        Ok(padding::rate_response(answers))
    }

    async fn answer_release(
        &self,
        request: Request<pb::ReleaseRequest>,
    ) -> Result<pb::ReleaseResponse, Refusal> {
        let query: ReleaseQuery = self.asked_by_hub(request)?.try_into()?;
        let replies = answer_release(&self.0, query).await?;
        let decisions = replies
            .into_iter()
            .map(|reply| pb::RecipientDecision {
                recipient: reply.recipient.to_string(),
                decision: Some(reply.decision.into()),
                trace: reply.trace.iter().map(trace_step).collect(),
                would_be_released_if: reply.would_be_released_if,
                contact_route: reply.contact_route.unwrap_or_default(),
            })
            .collect();
        Ok(padding::release_response(decisions))
    }

    async fn answer_receive(
        &self,
        request: Request<pb::ReceiveRequest>,
    ) -> Result<pb::ReceiveResponse, Refusal> {
        let message = self.asked_by_hub(request)?;
        let envelope = round::envelope(
            &message.request_id,
            &message.agreement_digest,
            message.valid_until_unix_ms,
        )?;
        let release = message.release.ok_or(WireError::Missing("release"))?;
        if release.sealed.len() > MAX_SEALED_BYTES {
            return Err(WireError::invalid("sealed", "at most 128 KiB").into());
        }
        let permit = release.permit.ok_or(WireError::Missing("permit"))?;
        let permit = permit.try_into()?;
        receive::receive(&self.0, &envelope, permit, release.sealed).await?;
        Ok(pb::ReceiveResponse {})
    }

    async fn answer_challenge(
        &self,
        request: Request<pb::ChallengeRequest>,
    ) -> Result<pb::ChallengeResponse, Refusal> {
        let message = self.asked_by_hub(request)?;
        let envelope = round::envelope(
            &message.request_id,
            &message.agreement_digest,
            message.valid_until_unix_ms,
        )?;
        let challenge = message.challenge.ok_or(WireError::Missing("challenge"))?;
        let (signed, reason) = statement::to_reasoned(challenge)?;
        challenge::receive(&self.0, &envelope, signed, reason).await?;
        Ok(pb::ChallengeResponse {})
    }
}

impl ForHub {
    async fn answer_notify(
        &self,
        request: Request<pb::NotifyRequest>,
    ) -> Result<pb::NotifyResponse, Refusal> {
        let message = self.asked_by_hub(request)?;
        let envelope = round::envelope(
            &message.request_id,
            &message.agreement_digest,
            message.valid_until_unix_ms,
        )?;
        let notice = message.notice.ok_or(WireError::Missing("notice"))?;
        notices::notified(&self.0, &envelope, notice.try_into()?).await?;
        Ok(pb::NotifyResponse {})
    }

    async fn answer_inform(
        &self,
        request: Request<pb::InformRequest>,
    ) -> Result<pb::InformResponse, Refusal> {
        let query: InformQuery = self.asked_by_hub(request)?.try_into()?;
        inform::informed(&self.0, query).await?;
        Ok(pb::InformResponse {})
    }
}

#[tonic::async_trait]
impl NodeService for ForHub {
    async fn screen(
        &self,
        request: Request<pb::ScreenRequest>,
    ) -> Result<Response<pb::ScreenResponse>, Status> {
        let exchange = request.get_ref().request_id.clone();
        let outcome = self.answer_screen(request).await;
        self.ended("screen", &exchange, outcome).await
    }

    async fn rate(
        &self,
        request: Request<pb::RateRequest>,
    ) -> Result<Response<pb::RateResponse>, Status> {
        let exchange = request.get_ref().request_id.clone();
        let outcome = self.answer_rate(request).await;
        self.ended("rate", &exchange, outcome).await
    }

    async fn release(
        &self,
        request: Request<pb::ReleaseRequest>,
    ) -> Result<Response<pb::ReleaseResponse>, Status> {
        let exchange = request.get_ref().request_id.clone();
        let outcome = self.answer_release(request).await;
        self.ended("release", &exchange, outcome).await
    }

    async fn receive(
        &self,
        request: Request<pb::ReceiveRequest>,
    ) -> Result<Response<pb::ReceiveResponse>, Status> {
        let exchange = request.get_ref().request_id.clone();
        let outcome = self.answer_receive(request).await;
        self.ended("receive", &exchange, outcome).await
    }

    async fn challenge(
        &self,
        request: Request<pb::ChallengeRequest>,
    ) -> Result<Response<pb::ChallengeResponse>, Status> {
        let exchange = request.get_ref().request_id.clone();
        let outcome = self.answer_challenge(request).await;
        self.ended("challenge", &exchange, outcome).await
    }

    async fn notify(
        &self,
        request: Request<pb::NotifyRequest>,
    ) -> Result<Response<pb::NotifyResponse>, Status> {
        let exchange = request.get_ref().request_id.clone();
        let outcome = self.answer_notify(request).await;
        self.ended("notify", &exchange, outcome).await
    }

    async fn inform(
        &self,
        request: Request<pb::InformRequest>,
    ) -> Result<Response<pb::InformResponse>, Status> {
        let exchange = request.get_ref().request_id.clone();
        let outcome = self.answer_inform(request).await;
        self.ended("inform", &exchange, outcome).await
    }
}

impl ForStaff {
    fn signed_in<T>(&self, request: Request<T>, role: Role) -> Result<(SignedIn, T), Status> {
        let who = self.0.staff(peer_of(&request)?, role).map_err(refused)?;
        Ok((who, request.into_inner()))
    }

    /// The enquiry of a request, when the caller may work on it.
    async fn free(&self, who: &SignedIn, enquiry: &str) -> Result<EnquiryRef, Status> {
        let enquiry = id("enquiry", enquiry).map_err(refused)?;
        conflict::free(&self.0, who, &enquiry).await.map_err(refused)?;
        Ok(enquiry)
    }
}

#[tonic::async_trait]
impl DeskService for ForStaff {
    async fn worklist(
        &self,
        request: Request<pb::WorklistRequest>,
    ) -> Result<Response<pb::WorklistResponse>, Status> {
        let peer = peer_of(&request)?;
        // Any role has work here; somebody with none is refused for the last.
        let reviewer = self.0.reviewer(peer).ok();
        let rates = match &reviewer {
            Some(who) if who.role() == Role::Approver => true,
            Some(_) => self.0.staff(peer, Role::Assessor).is_ok(),
            None => self.0.staff(peer, Role::Assessor).map(|_| true).map_err(refused)?,
        };
        let name = peer.name().person().ok_or(Refusal::NotStaff).map_err(refused)?;
        let mut ratings = Vec::new();
        if rates {
            let list = desk::to_rate(&self.0, name).await.map_err(refused)?;
            ratings = list.iter().map(rating_work).collect();
        }
        let mut reviews = Vec::new();
        if let Some(who) = reviewer {
            reviews = waiting::messages(&waiting::list(&self.0, &who).await.map_err(refused)?);
        }
        let mut challenges = Vec::new();
        if rates {
            let waiting = challenge::waiting(&self.0, name).await.map_err(refused)?;
            challenges = waiting.iter().map(challenge_work).collect();
        }
        Ok(Response::new(pb::WorklistResponse { ratings, reviews, challenges }))
    }

    async fn give_rating(
        &self,
        request: Request<pb::GiveRatingRequest>,
    ) -> Result<Response<pb::GiveRatingResponse>, Status> {
        let (who, message) = self.signed_in(request, Role::Assessor)?;
        let person = id("person", &message.person).map_err(refused)?;
        if !message.decline_reason.is_empty() {
            // Open to whoever is linked to the family: it is how they say that they can not judge.
            let enquiry = id("enquiry", &message.enquiry).map_err(refused)?;
            let why = Why::parse(&message.decline_reason)
                .ok_or(WireError::invalid("decline_reason", "1 to 64 letters, digits or `_`"))
                .map_err(refused)?;
            desk::decline(&self.0, &who, enquiry, person, why).await.map_err(refused)?;
            return Ok(Response::new(pb::GiveRatingResponse::default()));
        }
        let topics = message
            .topics
            .iter()
            .map(|word| brag_common::rating::Topic::from_word(word))
            .collect::<Option<_>>()
            .ok_or(WireError::invalid("topics", "topics this version knows"))
            .map_err(refused)?;
        let judgement = desk::Judgement {
            enquiry: self.free(&who, &message.enquiry).await?,
            person,
            colour: words::to_colour(message.colour).map_err(refused)?,
            analysis: message.analysis,
            topics,
            via: optional_id("via", &message.via).map_err(refused)?,
        };
        let id = desk::rate(&self.0, &who, judgement).await.map_err(refused)?;
        Ok(Response::new(pb::GiveRatingResponse { statement_id: id.to_string() }))
    }

    async fn decide_identity(
        &self,
        request: Request<pb::DecideIdentityRequest>,
    ) -> Result<Response<pb::DecideIdentityResponse>, Status> {
        let (who, message) = self.signed_in(request, Role::Assessor)?;
        let verdict = match message.decision() {
            pb::IdentityDecision::Same => IdentityVerdict::Same,
            pb::IdentityDecision::Different => IdentityVerdict::Different,
            pb::IdentityDecision::Unspecified => {
                return Err(refused(WireError::Missing("decision")));
            }
        };
        let decision = identity::Decision {
            enquiry: self.free(&who, &message.enquiry).await?,
            person: id("person", &message.person).map_err(refused)?,
            verdict,
            reason: message.reason,
        };
        let rating = identity::decide(&self.0, &who, decision).await.map_err(refused)?;
        let rating = rating.map(|id| id.to_string()).unwrap_or_default();
        Ok(Response::new(pb::DecideIdentityResponse { rating }))
    }

    async fn confirm_link(
        &self,
        request: Request<pb::ConfirmLinkRequest>,
    ) -> Result<Response<pb::ConfirmLinkResponse>, Status> {
        let (who, message) = self.signed_in(request, Role::Assessor)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        let link = message.link.ok_or(WireError::Missing("link")).map_err(refused)?;
        let link = round::to_claimed_link(&link).map_err(refused)?;
        let id = desk::confirm_link(&self.0, &who, enquiry, link.from, link.to, link.kind)
            .await
            .map_err(refused)?;
        Ok(Response::new(pb::ConfirmLinkResponse { statement_id: id.to_string() }))
    }

    async fn state_role(
        &self,
        request: Request<pb::StateRoleRequest>,
    ) -> Result<Response<pb::StateRoleResponse>, Status> {
        let (who, message) = self.signed_in(request, Role::Assessor)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        let person = id("person", &message.person).map_err(refused)?;
        let role = words::to_role(message.role).map_err(refused)?;
        let role = role.ok_or(WireError::Missing("role")).map_err(refused)?;
        let id = desk::state_role(&self.0, &who, enquiry, person, role).await.map_err(refused)?;
        Ok(Response::new(pb::StateRoleResponse { statement_id: id.to_string() }))
    }

    async fn make_assertion(
        &self,
        request: Request<pb::MakeAssertionRequest>,
    ) -> Result<Response<pb::MakeAssertionResponse>, Status> {
        let (who, message) = self.signed_in(request, Role::Assessor)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        let people = message
            .people
            .iter()
            .map(|person| id("people", person))
            .collect::<Result<_, _>>()
            .map_err(refused)?;
        let threshold = statement::threshold(
            message.kind(),
            &pb::AssertionBody {
                dash_ticks: message.dash_ticks,
                professional_judgement: message.professional_judgement,
                reports_in_12_months: message.reports_in_12_months,
                repeat: message.repeat,
                meeting_at_unix_ms: message.meeting_at_unix_ms,
                ..pb::AssertionBody::default()
            },
        )
        .map_err(refused)?;
        let id = desk::assert(&self.0, &who, enquiry, threshold, people).await.map_err(refused)?;
        Ok(Response::new(pb::MakeAssertionResponse { statement_id: id.to_string() }))
    }

    async fn accept_action(
        &self,
        request: Request<pb::AcceptActionRequest>,
    ) -> Result<Response<pb::AcceptActionResponse>, Status> {
        let (who, message) = self.signed_in(request, Role::Assessor)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        let person = id("person", &message.person).map_err(refused)?;
        let action = id("action", &message.action).map_err(refused)?;
        let id = plan::accept(&self.0, &who, enquiry, person, action).await.map_err(refused)?;
        Ok(Response::new(pb::AcceptActionResponse { statement_id: id.to_string() }))
    }

    async fn record_consent(
        &self,
        request: Request<pb::RecordConsentRequest>,
    ) -> Result<Response<pb::RecordConsentResponse>, Status> {
        let (who, message) = self.signed_in(request, Role::Assessor)?;
        self.free(&who, &message.enquiry).await?;
        let record = consent_wire::record(&who, &message).map_err(refused)?;
        let id = consent::record(&self.0, &who, record).await.map_err(refused)?;
        Ok(Response::new(pb::RecordConsentResponse { statement_id: id.to_string() }))
    }

    async fn withdraw_consent(
        &self,
        request: Request<pb::WithdrawConsentRequest>,
    ) -> Result<Response<pb::WithdrawConsentResponse>, Status> {
        let (who, message) = self.signed_in(request, Role::Assessor)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        let person = id("person", &message.person).map_err(refused)?;
        let id = consent::withdraw(&self.0, &who, enquiry, person, &message.reason)
            .await
            .map_err(refused)?;
        Ok(Response::new(pb::WithdrawConsentResponse { statement_id: id.to_string() }))
    }

    async fn show_consent(
        &self,
        request: Request<pb::ShowConsentRequest>,
    ) -> Result<Response<pb::ShowConsentResponse>, Status> {
        let (who, message) = self.signed_in(request, Role::Assessor)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        let person = optional_id("person", &message.person).map_err(refused)?;
        let known = consent::show(&self.0, enquiry, person).await.map_err(refused)?;
        let consents = known.iter().map(consent_wire::known).collect();
        Ok(Response::new(pb::ShowConsentResponse { consents }))
    }

    async fn approve(
        &self,
        request: Request<pb::ApproveRequest>,
    ) -> Result<Response<pb::ApproveResponse>, Status> {
        let who = self.0.reviewer(peer_of(&request)?).map_err(refused)?;
        let message = request.into_inner();
        let work = id("work", &message.work).map_err(refused)?;
        let approving = match (message.redacted_text.as_str(), message.redaction.as_str()) {
            ("", "") => Approving::Whole,
            ("", name) => Approving::AsRedacted(id("redaction", name).map_err(refused)?),
            (text, "") => Approving::Redacted {
                text: RedactedText::parse(text)
                    .map_err(|error| Refusal::rule("redaction_not_accepted", error.to_string()))
                    .map_err(refused)?,
                reason: message.reason,
            },
            (_, _) => {
                let error = WireError::invalid("redaction", "empty beside a redacted text");
                return Err(refused(error));
            }
        };
        let done = review::approve(&self.0, &who, work, approving).await.map_err(refused)?;
        Ok(Response::new(pb::ApproveResponse {
            approvals_needed: done.still_needed,
            approvals_dropped: done.dropped,
        }))
    }

    async fn refuse(
        &self,
        request: Request<pb::RefuseRequest>,
    ) -> Result<Response<pb::RefuseResponse>, Status> {
        let who = self.0.reviewer(peer_of(&request)?).map_err(refused)?;
        let message = request.into_inner();
        let work = id("work", &message.work).map_err(refused)?;
        review::refuse(&self.0, &who, work, &message.reason).await.map_err(refused)?;
        Ok(Response::new(pb::RefuseResponse {}))
    }

    async fn inbox(
        &self,
        request: Request<pb::InboxRequest>,
    ) -> Result<Response<pb::InboxResponse>, Status> {
        self.signed_in(request, Role::Assessor)?;
        let views = receive::inbox(&self.0).await.map_err(refused)?;
        let items = views.iter().take(1000).map(inbox_item).collect();
        let notices = notices::all(&self.0).await.map_err(refused)?;
        let notices = notices.iter().take(1000).map(notice).collect();
        Ok(Response::new(pb::InboxResponse { items, notices }))
    }

    async fn acknowledge(
        &self,
        request: Request<pb::AcknowledgeRequest>,
    ) -> Result<Response<pb::AcknowledgeResponse>, Status> {
        let (who, message) = self.signed_in(request, Role::Assessor)?;
        let notice = id("notice", &message.notice).map_err(refused)?;
        let id = notices::acknowledge(&self.0, &who, notice).await.map_err(refused)?;
        Ok(Response::new(pb::AcknowledgeResponse { statement_id: id.to_string() }))
    }

    async fn news(
        &self,
        request: Request<pb::NewsRequest>,
    ) -> Result<Response<pb::NewsResponse>, Status> {
        let peer = peer_of(&request)?;
        let who = self.0.staff(peer, Role::Approver);
        let who = who.or_else(|_| self.0.staff(peer, Role::Assessor)).map_err(refused)?;
        let limit = news::limit(request.get_ref().limit).map_err(refused)?;
        let listed = inform::list(&self.0, who.name(), limit).await.map_err(refused)?;
        let agreement = self.0.agreement.agreement();
        let items = listed.iter().map(|(enquiry, record)| {
            let text = inform::sentence(agreement, enquiry, &record.news);
            news::item(enquiry, &record.news, record.received_at, text)
        });
        Ok(Response::new(pb::NewsResponse { items: items.collect() }))
    }

    async fn declare_conflict(
        &self,
        request: Request<pb::DeclareConflictRequest>,
    ) -> Result<Response<pb::DeclareConflictResponse>, Status> {
        let peer = peer_of(&request)?;
        let who = self.0.reviewer(peer);
        let who = who.or_else(|_| self.0.staff(peer, Role::Assessor)).map_err(refused)?;
        let enquiry = id("enquiry", &request.get_ref().enquiry).map_err(refused)?;
        conflict::declare(&self.0, &who, enquiry).await.map_err(refused)?;
        Ok(Response::new(pb::DeclareConflictResponse {}))
    }

    async fn open_detail(
        &self,
        request: Request<pb::OpenDetailRequest>,
    ) -> Result<Response<pb::OpenDetailResponse>, Status> {
        let (who, message) = self.signed_in(request, Role::Assessor)?;
        let release = id("release", &message.release).map_err(refused)?;
        let (view, text) = views::open_detail(&self.0, &who, release, message.obligations_accepted)
            .await
            .map_err(refused)?;
        Ok(Response::new(pb::OpenDetailResponse {
            text,
            obligations: view.obligations,
            expires_at_unix_ms: view.expires.as_millisecond(),
        }))
    }

    async fn challenge_rating(
        &self,
        request: Request<pb::ChallengeRatingRequest>,
    ) -> Result<Response<pb::ChallengeRatingResponse>, Status> {
        let (who, message) = self.signed_in(request, Role::Assessor)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        let person = id("person", &message.person).map_err(refused)?;
        let of = id("agency", &message.agency).map_err(refused)?;
        let id = challenge::challenge(&self.0, &who, enquiry, person, of, &message.reason)
            .await
            .map_err(refused)?;
        Ok(Response::new(pb::ChallengeRatingResponse { statement_id: id.to_string() }))
    }

    async fn keep_rating(
        &self,
        request: Request<pb::KeepRatingRequest>,
    ) -> Result<Response<pb::KeepRatingResponse>, Status> {
        let (who, message) = self.signed_in(request, Role::Assessor)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        let answered = id("challenge", &message.challenge).map_err(refused)?;
        let id = challenge::keep(&self.0, &who, enquiry, answered, &message.reason)
            .await
            .map_err(refused)?;
        Ok(Response::new(pb::KeepRatingResponse { statement_id: id.to_string() }))
    }

    async fn withdraw_rating(
        &self,
        request: Request<pb::WithdrawRatingRequest>,
    ) -> Result<Response<pb::WithdrawRatingResponse>, Status> {
        let (who, message) = self.signed_in(request, Role::Assessor)?;
        let enquiry = self.free(&who, &message.enquiry).await?;
        let person = id("person", &message.person).map_err(refused)?;
        let id = challenge::withdraw(&self.0, &who, enquiry, person, &message.reason)
            .await
            .map_err(refused)?;
        Ok(Response::new(pb::WithdrawRatingResponse { statement_id: id.to_string() }))
    }
}

fn challenge_work(waiting: &challenge::Waiting) -> pb::ChallengeWork {
    let record = &waiting.record;
    let colour = waiting.colour.map_or(pb::Colour::Unspecified, words::colour);
    pb::ChallengeWork {
        challenge: waiting.id.to_string(),
        enquiry: waiting.enquiry.to_string(),
        person: record.person.to_string(),
        by: record.by.to_string(),
        made_by: record.made_by.as_ref().map(ToString::to_string).unwrap_or_default(),
        reason: record.reason.clone(),
        made_at_unix_ms: record.made_at.as_millisecond(),
        colour: colour.into(),
    }
}

fn inbox_item(view: &receive::View) -> pb::InboxItem {
    pb::InboxItem {
        release: view.decision.release.to_string(),
        enquiry: view.enquiry.to_string(),
        person: view.decision.person.person.to_string(),
        category: view.decision.category.to_string(),
        holder: view.holder.to_string(),
        obligations: view.obligations.clone(),
        expires_at_unix_ms: view.expires.as_millisecond(),
        obligation_texts: view.obligations.iter().map(|word| obligation_text(word)).collect(),
        closed: view.closed.map_or("", |closed| closed.why.word()).to_owned(),
        closed_at_unix_ms: view.closed.map_or(0, |closed| closed.at.as_millisecond()),
    }
}

fn notice(notice: &notices::Notice) -> pb::Notice {
    let notices::Notice { name, statement, retraction, received_at, acknowledged } = notice;
    let to_do = "The view is closed. Delete every note and copy that you have made of it, then acknowledge.";
    pb::Notice {
        notice: name.to_string(),
        release: retraction.release.to_string(),
        enquiry: statement.enquiry.to_string(),
        person: retraction.person.person.to_string(),
        category: retraction.category.to_string(),
        holder: statement.signer.to_string(),
        reason: retraction.reason.code().to_owned(),
        text: format!("{} {to_do}", retraction.reason.text()),
        received_at_unix_ms: received_at.as_millisecond(),
        acknowledged_by: acknowledged.as_ref().map_or_else(String::new, |(by, _)| by.to_string()),
        acknowledged_at_unix_ms: acknowledged.as_ref().map_or(0, |(_, at)| at.as_millisecond()),
    }
}

fn obligation_text(word: &str) -> String {
    let unknown = "This version does not know this obligation, and does not open the detail.";
    Obligation::from_word(word).map_or_else(|| unknown.to_owned(), Obligation::text)
}
