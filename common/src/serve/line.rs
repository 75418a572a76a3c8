//! One connection, as its requests and answers know it: what they may cost it before it is cut.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::{
    sync::{CancellationToken, WaitForCancellationFutureOwned},
    task::AbortOnDropHandle,
};
use tonic::{Status, body::Body};

use super::{Limits, ServeMetrics, tally::Place};
use crate::{peer::PeerName, tls::Caller};

/// Why an open connection is cut, as the counter names it.
pub(super) const CUTS: &[&str] = &["not_begun", "requests_abandoned", "answer_not_taken"];

/// A connection that can be cut from within.
#[derive(Debug)]
pub(crate) struct Line {
    cut: CancellationToken,
    abandoned: AtomicUsize,
    most_abandoned: usize,
    answer_timeout: Duration,
    metrics: ServeMetrics,
}

impl Line {
    pub(super) fn new(limits: &Limits, metrics: ServeMetrics) -> Arc<Self> {
        Arc::new(Self {
            cut: CancellationToken::new(),
            abandoned: AtomicUsize::new(0),
            most_abandoned: limits.abandoned_requests,
            answer_timeout: limits.answer_timeout,
            metrics,
        })
    }

    /// Waits until it is cut.
    pub(super) fn is_cut(&self) -> WaitForCancellationFutureOwned {
        self.cut.clone().cancelled_owned()
    }

    /// Ends it, and counts why, once.
    pub(super) fn cut(&self, reason: &'static str) {
        if !self.cut.is_cancelled() {
            self.cut.cancel();
            self.metrics.count_cut(reason);
        }
    }

    /// A request that ends before it is answered unless it is told otherwise.
    pub(crate) fn request(self: &Arc<Self>) -> Request {
        Request(Some(Arc::clone(self)))
    }
}

/// Whose connection a request came on, and the connection.
#[derive(Debug, Clone)]
pub(crate) struct OnLine {
    /// Who is at the other end.
    pub(crate) caller: Caller,
    /// The connection.
    pub(crate) line: Arc<Line>,
}

/// A request under way. Dropped before it is answered, it was abandoned: reset by the caller, or given up after its time.
#[derive(Debug)]
pub(crate) struct Request(Option<Arc<Line>>);

impl Request {
    /// It has an answer.
    pub(crate) fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let Some(line) = self.0.take() else { return };
        if line.abandoned.fetch_add(1, Ordering::Relaxed) >= line.most_abandoned {
            line.cut("requests_abandoned");
        }
    }
}

/// What is asked, piece by piece. Where it breaks off, the request is abandoned, although its handler may still say so to nobody.
pub(crate) struct Asked {
    inner: Body,
    line: Arc<Line>,
}

impl Asked {
    pub(crate) fn body(inner: Body, line: Arc<Line>) -> Body {
        Body::new(Self { inner, line })
    }
}

impl http_body::Body for Asked {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Err(_)) = polled {
            drop(self.line.request());
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The places of a request: among its peer's, and among all.
pub(crate) type RequestPlaces = (Place<PeerName>, OwnedSemaphorePermit);

/// An answer, which keeps its request's places until its first message has left: a caller who does not read must not make
/// answers pile up. A message that is not taken in time ends the connection.
pub(crate) struct Answer {
    inner: Body,
    places: Option<RequestPlaces>,
    line: Arc<Line>,
}

impl Answer {
    pub(crate) fn body(inner: Body, places: RequestPlaces, line: Arc<Line>) -> Body {
        Body::new(Self { inner, places: Some(places), line })
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if polled.is_pending() {
            // A stream that waits for something to tell; it may do so for long, and holds nothing.
            self.places = None;
        }
        let Some(frame) = ready!(polled) else { return Poll::Ready(None) };
        Poll::Ready(Some(frame.map(|frame| match frame.into_data() {
            Ok(data) if !data.is_empty() => {
                let sent = Sent::new(data, self.places.take(), &self.line);
                Frame::data(Bytes::from_owner(sent))
            }
            Ok(data) => Frame::data(data),
            Err(trailers) => trailers,
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A message on its way; HTTP/2 drops it when the last of it has been written to the connection.
struct Sent {
    bytes: Bytes,
    _places: Option<RequestPlaces>,
    _waits: AbortOnDropHandle<()>,
}

impl Sent {
    fn new(bytes: Bytes, places: Option<RequestPlaces>, line: &Arc<Line>) -> Self {
        let waiting = Arc::clone(line);
        let waits = tokio::spawn(async move {
            tokio::time::sleep(waiting.answer_timeout).await;
            waiting.cut("answer_not_taken");
        });
        Self { bytes, _places: places, _waits: AbortOnDropHandle::new(waits) }
    }
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
