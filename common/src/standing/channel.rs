//! A channel to a peer, whichever of the two dials.

use std::{
    fmt,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::{BoxFuture, FutureExt as _, TryFutureExt as _, poll_fn};
use http::{
    Request, Response, Uri,
    uri::{Authority, Scheme},
};
use http_body_util::{BodyExt as _, Full};
use tokio::time::Instant;
use tonic::{Status, body::Body, codegen::StdError};
use tower_service::Service;

use super::Standing;
use crate::{
    id::AgencyId,
    tls::{CONNECT_TIMEOUT, Channel, never_taken},
};

/// Where the deadline of a gRPC call stands.
const GRPC_TIMEOUT: &str = "grpc-timeout";
/// The host that requests on a standing connection name. Nobody looks it up (RFC 6761 reserves its end).
const AUTHORITY: &str = "agency.invalid";

/// A channel to a peer: one that we dial, or one that dials us.
#[derive(Clone)]
pub struct PeerChannel(Way);

#[derive(Clone)]
enum Way {
    /// We dial.
    Dialled(Channel),
    /// The agency dials, and serves us on its connections.
    Standing {
        standing: Standing,
        agency: AgencyId,
        /// Where it can be dialled, while it holds no connection.
        otherwise: Option<Channel>,
    },
}

impl From<Channel> for PeerChannel {
    fn from(channel: Channel) -> Self {
        Self(Way::Dialled(channel))
    }
}

impl fmt::Debug for PeerChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Way::Dialled(_) => f.write_str("PeerChannel(dialled)"),
            Way::Standing { agency, .. } => write!(f, "PeerChannel(standing, {agency})"),
        }
    }
}

impl PeerChannel {
    /// A channel over the standing connections of an agency; while it holds none, over `otherwise`.
    #[must_use]
    pub const fn standing(
        standing: Standing,
        agency: AgencyId,
        otherwise: Option<Channel>,
    ) -> Self {
        Self(Way::Standing { standing, agency, otherwise })
    }
}

impl Service<Request<Body>> for PeerChannel {
    type Response = Response<Body>;
    type Error = StdError;
    type Future = BoxFuture<'static, Result<Response<Body>, StdError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        match &mut self.0 {
            Way::Dialled(channel) => channel.poll_ready(cx).map_err(Into::into),
            Way::Standing { .. } => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match &mut self.0 {
            Way::Dialled(channel) => channel.call(request).err_into().boxed(),
            Way::Standing { standing, agency, otherwise } => {
                let (standing, agency) = (standing.clone(), agency.clone());
                call(standing, agency, otherwise.clone(), request).boxed()
            }
        }
    }
}

async fn call(
    standing: Standing,
    agency: AgencyId,
    otherwise: Option<Channel>,
    request: Request<Body>,
) -> Result<Response<Body>, StdError> {
    // One that is dialled has deadlines of its own, for the connection and for the call.
    if let Some(channel) = &otherwise
        && standing.newest(&agency).is_none()
    {
        return dialled(channel.clone(), request).await;
    }
    // For the wait for a connection, too.
    let within = request.headers().get(GRPC_TIMEOUT).and_then(|value| deadline(value.as_bytes()));
    let calling = send(standing, agency, otherwise, request);
    let Some(within) = within else { return calling.await };
    match tokio::time::timeout(within, calling).await {
        Ok(answer) => answer,
        Err(_) => Err(Status::deadline_exceeded("the agency did not answer in time").into()),
    }
}

async fn dialled(mut channel: Channel, request: Request<Body>) -> Result<Response<Body>, StdError> {
    poll_fn(|cx| channel.poll_ready(cx)).await?;
    channel.call(request).await
}

async fn send(
    standing: Standing,
    agency: AgencyId,
    otherwise: Option<Channel>,
    request: Request<Body>,
) -> Result<Response<Body>, StdError> {
    let (head, body) = with_origin(request)?.into_parts();
    let message = body.collect().await?.to_bytes();
    let request = || Request::from_parts(head.clone(), Body::new(Full::new(message.clone())));
    let mut arrivals = standing.arrivals();
    loop {
        arrivals.mark_unchanged();
        if let Some(mut line) = standing.newest(&agency) {
            match line.requests.send_request(request()).await {
                Ok(answer) => return Ok(answer.map(Body::new)),
                Err(error) if never_taken(&error) => standing.moved(&agency, &line),
                // It may have reached the agency: not ours to say it again.
                Err(_) => return Err(Status::unavailable("the standing connection ended").into()),
            }
            continue;
        }
        if let Some(channel) = otherwise {
            return dialled(channel, request()).await;
        }
        // As long as a connection that we dialled would have had.
        let until = standing.expected_until(&agency, CONNECT_TIMEOUT);
        let Some(until) = until else {
            return Err(Status::unavailable("the agency holds no connection to the hub").into());
        };
        // Whichever it was, it is looked again; the next time nothing is expected any more.
        let _ = tokio::time::timeout_at(until.max(Instant::now()), arrivals.changed()).await;
    }
}

/// The request as HTTP/2 wants it: with a scheme and a host.
fn with_origin(request: Request<Body>) -> Result<Request<Body>, StdError> {
    let (mut head, body) = request.into_parts();
    let mut uri = head.uri.into_parts();
    uri.scheme = Some(Scheme::HTTPS);
    uri.authority = Some(Authority::from_static(AUTHORITY));
    head.uri = Uri::from_parts(uri)?;
    Ok(Request::from_parts(head, body))
}

/// The length of time in a `grpc-timeout` (gRPC over HTTP/2): at most eight digits, and a unit.
fn deadline(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(n * 3600)),
        b'M' => Some(Duration::from_secs(n * 60)),
        b'S' => Some(Duration::from_secs(n)),
        b'm' => Some(Duration::from_millis(n)),
        b'u' => Some(Duration::from_micros(n)),
        b'n' => Some(Duration::from_nanos(n)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_read_as_grpc_writes_it() {
        for bad in ["", "S", "1", "1x", "-1S", "123456789S", "1.5S", "+1S", " 1S"] {
            assert_eq!(deadline(bad.as_bytes()), None, "{bad}");
        }
        for (text, length) in [
            ("10S", Duration::from_secs(10)),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
            ("1500m", Duration::from_millis(1500)),
            ("7u", Duration::from_micros(7)),
            ("9n", Duration::from_nanos(9)),
            ("2M", Duration::from_secs(120)),
        ] {
            assert_eq!(deadline(text.as_bytes()), Some(length), "{text}");
        }
        // As our own calls write it.
        let request = crate::tls::with_deadline((), Duration::from_secs(10));
        let written = request.metadata().get(GRPC_TIMEOUT).unwrap();
        assert_eq!(deadline(written.as_bytes()), Some(Duration::from_secs(10)));
    }
}
