//! A channel that makes a call again that was never taken.
//!
//! Servers end their connections in good order: after a time, and when certificates change. A call that was handed to a connection at the
//! moment of its end has not been sent, or came after the last one that the server says it takes; hyper says so, and tonic makes a failed
//! call of it. Making it on the next connection can not say anything twice. A call that the server may have looked at is never made again
//! here: that is for whoever knows what it does.

use std::{
    error::Error,
    fmt, mem,
    task::{Context, Poll},
};

use futures::future::{BoxFuture, FutureExt as _, poll_fn};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tonic::{body::Body, codegen::StdError, transport};
use tower_service::Service;

/// How many connections may end under one call before it fails. Each is a new one that the server let in.
const CONNECTIONS: usize = 3;

/// A channel to a peer. Connects on first use, and again when the connection ends. Clones share the connection.
///
/// Each request is one message, and is held until it is answered.
#[derive(Clone)]
pub struct Channel(transport::Channel);

impl From<transport::Channel> for Channel {
    fn from(channel: transport::Channel) -> Self {
        Self(channel)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Channel")
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = StdError;
    type Future = BoxFuture<'static, Result<Response<Body>, StdError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let next = self.0.clone();
        // The one that was asked whether it is ready.
        let ready = mem::replace(&mut self.0, next);
        call(ready, request).boxed()
    }
}

async fn call(
    mut channel: transport::Channel,
    request: Request<Body>,
) -> Result<Response<Body>, StdError> {
    let (head, body) = request.into_parts();
    let message = body.collect().await?.to_bytes();
    let mut left = CONNECTIONS;
    loop {
        left -= 1;
        let body = Body::new(Full::new(message.clone()));
        match channel.call(Request::from_parts(head.clone(), body)).await {
            Err(error) if left > 0 && never_taken(&error) => {
                poll_fn(|cx| channel.poll_ready(cx)).await?;
            }
            answer => return Ok(answer?),
        }
    }
}

/// Whether the server has certainly not looked at the request: nothing of it was sent, or the server ended the connection in good order
/// and did not take it any more (RFC 9113, section 6.8; a request that it had taken fails otherwise, as an error of the connection).
pub(crate) fn never_taken(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.is_go_away()
                && error.is_remote()
                && error.reason() == Some(h2::Reason::NO_ERROR);
        }
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return true;
        }
        next = error.source();
    }
    false
}
