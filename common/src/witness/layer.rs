//! Puts [`in_band`](super::in_band) around the calls between hub and node, so that no handler and no caller has to think of it.
//!
//! What is witnessed stands behind the message in the one frame of a unary call's body: protobuf reads two encodings, one behind the
//! other, as one message, and passes over fields that it does not know. [`Witnessed`] is the server's side, [`WitnessedChannel`] the client's.
//!
//! A refusal has no receipt and needs none: nothing is given with it.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{
    future::{BoxFuture, FutureExt as _},
    stream,
};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Limited, StreamBody};
use tokio::time::Instant;
use tonic::{Status, body::Body, codegen::StdError, server::NamedService};
use tower_service::Service;
use tracing::{Instrument as _, Span};

use super::{
    grpc::Refused,
    in_band::{Exchanging, Sent},
};
use crate::{
    audit::{LogError, Party, noting},
    standing::PeerChannel,
    status::{PeerFacing, to_status},
    telemetry::{calls::CallOutcome, traces},
    tls::Caller,
    wire::witness as wire,
};

/// How long the rest of a message may take, once it has begun.
const BODY_WITHIN: Duration = Duration::from_secs(20);
/// Before the message of a gRPC frame: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// Nothing of an exchange was recorded, so nothing of it leaves.
#[derive(Debug, thiserror::Error)]
#[error("the exchange can not be recorded")]
struct NotRecorded;

impl PeerFacing for NotRecorded {
    fn code(&self) -> &'static str {
        LogError::Unavailable.code()
    }

    fn public_message(&self) -> String {
        self.to_string()
    }

    fn grpc(&self) -> tonic::Code {
        tonic::Code::Unavailable
    }
}

/// The one message in a body, with what stands behind it, and the trailers.
struct Message {
    bytes: Bytes,
    trailers: Option<HeaderMap>,
}

impl Message {
    /// Reads a body that has one message, not compressed and not too long.
    async fn read(body: Body) -> Result<Self, Status> {
        let limited = Limited::new(body, wire::MAX_EXCHANGE_BYTES + PREFIX_BYTES);
        let read = tokio::time::timeout(BODY_WITHIN, limited.collect()).await;
        let read = read.map_err(|_| Status::deadline_exceeded("the message did not come whole"))?;
        let too_long = |_| Status::out_of_range("the message is too long, or did not come whole");
        let collected = read.map_err(too_long)?;
        let trailers = collected.trailers().cloned();
        let mut bytes = collected.to_bytes();
        let whole = bytes.split_first_chunk::<PREFIX_BYTES>().is_some_and(|(prefix, rest)| {
            let [is_compressed, length @ ..] = prefix;
            *is_compressed == 0
                && usize::try_from(u32::from_be_bytes(*length)).is_ok_and(|n| n == rest.len())
        });
        if !whole {
            return Err(Status::invalid_argument("the call does not carry one message"));
        }
        bytes = bytes.slice(PREFIX_BYTES..);
        Ok(Self { bytes, trailers })
    }

    /// The body again, with `behind` behind the message.
    fn into_body(self, behind: &[u8]) -> Body {
        let n_bytes = self.bytes.len() + behind.len();
        let mut framed = BytesMut::with_capacity(PREFIX_BYTES + n_bytes);
        framed.put_u8(0);
        // Bounded: it was read, or is a little longer.
        framed.put_u32(u32::try_from(n_bytes).unwrap_or(u32::MAX));
        framed.put_slice(&self.bytes);
        framed.put_slice(behind);
        let data = Frame::data(framed.freeze());
        let frames = std::iter::once(data).chain(self.trailers.map(Frame::trailers));
        Body::new(StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>))))
    }
}

/// Whether a call is one that is witnessed: all that the hub asks nodes, and what nodes deliver. Enrolments go on for hours, tell nothing about
/// anybody, and stand in both logs.
fn is_witnessed(path: &str) -> bool {
    path.starts_with("/brag.v1.NodeService/") || path == "/brag.v1.HubService/Deliver"
}

/// A service whose answers have receipts.
#[derive(Debug)]
pub struct Witnessed<S, H> {
    inner: S,
    host: Arc<H>,
}

impl<S: Clone, H> Clone for Witnessed<S, H> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), host: Arc::clone(&self.host) }
    }
}

impl<S, H> Witnessed<S, H> {
    /// `inner`, of the program that `host` is.
    pub const fn new(inner: S, host: Arc<H>) -> Self {
        Self { inner, host }
    }
}

impl<S: NamedService, H> NamedService for Witnessed<S, H> {
    const NAME: &'static str = S::NAME;
}

impl<S, H> Service<Request<Body>> for Witnessed<S, H>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    H: Exchanging,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone that was found ready is the one that is called.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let host = Arc::clone(&self.host);
        let caller = request.extensions().get::<Caller>().map(|caller| caller.peer().clone());
        let party = caller.and_then(|peer| host.party(&peer).ok());
        async move {
            match party {
                Some(party) if is_witnessed(request.uri().path()) => {
                    let answered = answer(&mut inner, &host, &party, request).await;
                    Ok(answered.unwrap_or_else(Status::into_http))
                }
                // The handler refuses strangers, in its own words.
                Some(_) | None => inner.call(request).await,
            }
        }
        .boxed()
    }
}

async fn answer<S, H>(
    inner: &mut S,
    host: &Arc<H>,
    party: &Party,
    request: Request<Body>,
) -> Result<Response<Body>, Status>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    H: Exchanging,
{
    let (head, body) = request.into_parts();
    let message = Message::read(body).await?;
    let read = wire::read_request(&message.bytes).map_err(|error| to_status(&error))?;
    let (exchange, asked) = read;
    Span::current().record("exchange", tracing::field::display(&exchange));
    let asked = asked.ok_or_else(|| to_status(&Refused::NotWitnessing))?;
    let refused = |refused: Refused| {
        tracing::warn!(%party, code = refused.code(), "a request is refused for its caller's log");
        to_status(&refused)
    };
    let heard = host.in_band().hear(host, party, &asked).await.map_err(refused)?;
    // What was cosigned goes to the disk while the handler works.
    let request = Request::from_parts(head, message.into_body(&[]));
    let (answered, noted) = noting(inner.call(request)).await;
    let (head, body) = answered.unwrap_or_else(|never| match never {}).into_parts();
    if head.headers.contains_key(Status::GRPC_STATUS) {
        return Ok(Response::from_parts(head, body));
    }
    let message = Message::read(body).await?;
    let receipt = host.in_band().receipt(&**host, &exchange, &asked, noted);
    let receipt = receipt.ok_or_else(|| to_status(&NotRecorded))?;
    let outcome = heard.outcome().await.map_err(refused)?;
    let body = message.into_body(&wire::behind_answer(wire::with_outcome(receipt, outcome)));
    Ok(Response::from_parts(head, body))
}

/// A channel whose answers are used only with a good receipt.
#[derive(Debug)]
pub struct WitnessedChannel<H> {
    channel: PeerChannel,
    party: Party,
    host: Arc<H>,
}

impl<H> Clone for WitnessedChannel<H> {
    fn clone(&self) -> Self {
        let (channel, party) = (self.channel.clone(), self.party.clone());
        Self { channel, party, host: Arc::clone(&self.host) }
    }
}

impl<H> WitnessedChannel<H> {
    /// A channel of the program that `host` is, on which only `party` answers.
    pub fn new(channel: impl Into<PeerChannel>, party: Party, host: Arc<H>) -> Self {
        Self { channel: channel.into(), party, host }
    }
}

impl<H: Exchanging> Service<Request<Body>> for WitnessedChannel<H> {
    type Response = Response<Body>;
    type Error = StdError;
    type Future = BoxFuture<'static, Result<Response<Body>, StdError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let next = self.clone();
        let Self { mut channel, party, host } = std::mem::replace(self, next);
        if !is_witnessed(request.uri().path()) {
            return channel.call(request).boxed();
        }
        let mut request = request;
        let method = host.asked_calls().method(request.uri().path());
        let span = traces::asked(method, party.as_str(), request.headers_mut());
        let asking = async move {
            let (path, since) = (request.uri().path().to_owned(), Instant::now());
            let count = |outcome: CallOutcome| {
                Span::current().record("outcome", outcome.word());
                host.asked_calls().count(&party, &path, outcome, since.elapsed());
            };
            let (request, sent) = match show(&host, &party, request).await {
                Ok(shown) => shown,
                Err(status) => return Ok(status.into_http()),
            };
            let answer = match channel.call(request).await {
                Ok(answer) => answer,
                Err(error) => {
                    count(if is_late(&error) { CallOutcome::Late } else { CallOutcome::Failed });
                    return Err(error);
                }
            };
            let answer = judge(&host, &party, &sent, answer).await;
            let answer = answer.unwrap_or_else(Status::into_http);
            count(CallOutcome::of_head(answer.headers()));
            Ok(answer)
        };
        asking.instrument(span).boxed()
    }
}

/// Whether a call ended because its time had passed.
fn is_late(error: &StdError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error.as_ref());
    while let Some(one) = cause {
        if one.is::<tonic::TimeoutExpired>() {
            return true;
        }
        cause = one.source();
    }
    false
}

/// The request with what is shown behind it.
async fn show<H: Exchanging>(
    host: &Arc<H>,
    party: &Party,
    request: Request<Body>,
) -> Result<(Request<Body>, Sent), Status> {
    let (head, body) = request.into_parts();
    let message = Message::read(body).await?;
    let (exchange, _) = wire::read_request(&message.bytes).map_err(|error| to_status(&error))?;
    Span::current().record("exchange", tracing::field::display(&exchange));
    let shown = host.in_band().show(&**host, party, exchange);
    let (witnessing, sent) = shown.ok_or_else(|| to_status(&NotRecorded))?;
    let body = message.into_body(&wire::behind_request(witnessing));
    Ok((Request::from_parts(head, body), sent))
}

/// The answer, when it has a good receipt.
async fn judge<H: Exchanging>(
    host: &Arc<H>,
    party: &Party,
    sent: &Sent,
    answer: Response<Body>,
) -> Result<Response<Body>, Status> {
    let (head, body) = answer.into_parts();
    if head.headers.contains_key(Status::GRPC_STATUS) {
        return Ok(Response::from_parts(head, body));
    }
    let message = Message::read(body).await?;
    let has_failed = message
        .trailers
        .as_ref()
        .and_then(Status::from_header_map)
        .is_none_or(|status| status.code() != tonic::Code::Ok);
    if has_failed {
        return Err(Status::unknown("the answer did not come whole"));
    }
    let receipt = wire::read_answer(&message.bytes);
    host.in_band().judge(host, party, sent, receipt).await.map_err(|error| to_status(&error))?;
    Ok(Response::from_parts(head, message.into_body(&[])))
}
