//! The hub's side: which connections stand, and the newest of an agency that is well.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::{DeadAfter, Verdict};
use crate::{
    id::AgencyId,
    peer::PeerName,
    serve::{Connection, lock},
    telemetry::Metrics,
    tls::{Caller, Cut, HEADERS_MAX_BYTES},
};

/// How often it is looked whether everybody who holds a connection still may.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How the hub keeps standing connections: the table `[dial_out]` of its configuration.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StandingOptions {
    /// How soon a dead connection is noticed.
    pub dead_after: DeadAfter,
    /// Standing connections of one agency. With one more, its oldest is given up: the newest is the one that its node has.
    pub of_one_agency: u16,
    /// Standing connections of all agencies. With one more, it is refused.
    pub in_all: u16,
}

impl Default for StandingOptions {
    fn default() -> Self {
        Self {
            dead_after: DeadAfter::default(),
            // The most that a node holds (4), and as many that replace them.
            of_one_agency: 8,
            // Thirty agencies with as many, and a few.
            in_all: 256,
        }
    }
}

#[derive(Debug, Clone, Default)]
struct StandingMetrics {
    open: Family<OfAgency, Gauge>,
    taken: Family<OfAgency, Counter>,
    moved: Family<OfAgency, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAgency {
    agency: String,
}

impl OfAgency {
    fn of(agency: &AgencyId) -> Self {
        Self { agency: agency.to_string() }
    }
}

/// Whether a peer may hold standing connections.
type Admits = Box<dyn Fn(&PeerName) -> bool + Send + Sync>;

/// The standing connections of all agencies. Clones are the same.
#[derive(Clone)]
pub struct Standing(Arc<Inner>);

struct Inner {
    admits: Admits,
    options: StandingOptions,
    metrics: StandingMetrics,
    kept: Mutex<Kept>,
    /// Changes with every connection that is taken.
    arrivals: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    /// Oldest first.
    lines: BTreeMap<AgencyId, Vec<Line>>,
    /// When an agency lost its last one.
    lost: BTreeMap<AgencyId, Instant>,
}

/// One standing connection.
#[derive(Clone)]
pub(super) struct Line {
    /// Given when it is taken.
    number: u64,
    pub(super) requests: SendRequest<Body>,
    caller: Caller,
    cut: CancellationToken,
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Standing {
    /// None yet. `admits` says of a peer with an agency's certificate whether it is a party now; it is asked again and again.
    pub fn new(
        options: StandingOptions,
        metrics: &Metrics,
        agencies: impl IntoIterator<Item = AgencyId>,
        admits: impl Fn(&PeerName) -> bool + Send + Sync + 'static,
    ) -> Self {
        let own = StandingMetrics::default();
        for agency in agencies {
            // So that "never" differs from "not there".
            drop(own.open.get_or_create(&OfAgency::of(&agency)));
            drop(own.taken.get_or_create(&OfAgency::of(&agency)));
            drop(own.moved.get_or_create(&OfAgency::of(&agency)));
        }
        metrics.register(
            "standing_connections",
            "Connections on which an agency serves the hub, by agency",
            own.open.clone(),
        );
        metrics.register(
            "standing_connections_taken",
            "Standing connections that were taken, by agency",
            own.taken.clone(),
        );
        metrics.register(
            "standing_calls_moved",
            "Calls that went over another standing connection because theirs had ended, by agency",
            own.moved.clone(),
        );
        let (kept, arrivals) = (Mutex::default(), watch::Sender::new(0));
        Self(Arc::new(Inner { admits: Box::new(admits), options, metrics: own, kept, arrivals }))
    }

    /// How many stand of an agency.
    #[must_use]
    pub fn count(&self, agency: &AgencyId) -> usize {
        lock(&self.0.kept).lines.get(agency).map_or(0, Vec::len)
    }

    /// Looks every second whether each connection's certificate is still accepted and its agency still a party, and cuts it when
    /// not, until `shutdown`.
    pub async fn watch_over(self, shutdown: CancellationToken) {
        while tokio::time::timeout(LOOK_AGAIN, shutdown.cancelled()).await.is_err() {
            self.sweep();
        }
    }

    fn sweep(&self) {
        let all: Vec<(AgencyId, Line)> = {
            let kept = lock(&self.0.kept);
            let of = |(agency, lines): (&AgencyId, &Vec<Line>)| {
                lines.iter().map(|line| (agency.clone(), line.clone())).collect::<Vec<_>>()
            };
            kept.lines.iter().flat_map(of).collect()
        };
        for (agency, line) in all {
            if !self.may_stay(&line) {
                tracing::warn!(%agency, "a standing connection is cut: it is no party's any more, or its certificate is not accepted");
                self.end(&agency, &line);
            }
        }
    }

    fn may_stay(&self, line: &Line) -> bool {
        line.caller.is_trusted() && (self.0.admits)(line.caller.peer().name())
    }

    /// Whether a connection may stand.
    pub(crate) fn judge<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        connection: &Connection<S>,
    ) -> Verdict {
        let name = connection.caller().peer().name();
        let Some(agency) = name.agency() else { return Verdict::NotAnAgency };
        if !(self.0.admits)(name) {
            return Verdict::NotAParty;
        }
        let kept = lock(&self.0.kept);
        let all: usize = kept.lines.values().map(Vec::len).sum();
        // Its own oldest makes room for an agency that has some.
        let has_some = kept.lines.contains_key(agency);
        if all >= usize::from(self.0.options.in_all) && !has_some {
            return Verdict::TooMany;
        }
        Verdict::Taken
    }

    /// Takes a connection, which has been told so. It stands when this returns.
    pub(crate) async fn keep<S>(&self, connection: Connection<S>, server: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let caller = connection.caller().clone();
        let Some(agency) = caller.peer().name().agency().cloned() else { return };
        let cut = CancellationToken::new();
        let ends = cut.clone();
        let stream = Cut::new(connection, async move {
            tokio::select! {
                () = ends.cancelled() => {}
                () = server.cancelled() => {}
            }
        });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(self.0.options.dead_after.interval())
            .keep_alive_timeout(self.0.options.dead_after.timeout())
            .keep_alive_while_idle(true)
            .max_header_list_size(HEADERS_MAX_BYTES);
        let Ok((requests, driving)) = builder.handshake(TokioIo::new(stream)).await else { return };
        let number = self.add(&agency, Line { number: 0, requests, caller, cut });
        let standing = self.clone();
        // Ends when the connection does, or takes no new requests.
        tokio::spawn(async move {
            let ended = driving.await;
            let error = ended.err();
            tracing::debug!(%agency, error = error.as_ref().map(|e| e as &dyn std::error::Error), "a standing connection has ended");
            standing.forget(&agency, number);
        });
    }

    fn add(&self, agency: &AgencyId, mut line: Line) -> u64 {
        let metrics = &self.0.metrics;
        let mut kept = lock(&self.0.kept);
        let mut number = 0;
        self.0.arrivals.send_modify(|last| {
            *last = last.wrapping_add(1);
            number = *last;
        });
        line.number = number;
        let lines = kept.lines.entry(agency.clone()).or_default();
        lines.push(line);
        let most = usize::from(self.0.options.of_one_agency.max(1));
        // Dropped, not cut: calls under way on it come to their end.
        let surplus = lines.len().saturating_sub(most);
        lines.drain(..surplus);
        metrics
            .open
            .get_or_create(&OfAgency::of(agency))
            .set(i64::try_from(lines.len()).unwrap_or(i64::MAX));
        metrics.taken.get_or_create(&OfAgency::of(agency)).inc();
        number
    }

    /// Takes no new calls on a connection.
    fn forget(&self, agency: &AgencyId, number: u64) {
        let mut kept = lock(&self.0.kept);
        let Some(lines) = kept.lines.get_mut(agency) else { return };
        lines.retain(|line| line.number != number);
        let left = lines.len();
        if left == 0 {
            kept.lines.remove(agency);
            kept.lost.insert(agency.clone(), Instant::now());
        }
        let open = self.0.metrics.open.get_or_create(&OfAgency::of(agency));
        open.set(i64::try_from(left).unwrap_or(i64::MAX));
    }

    fn end(&self, agency: &AgencyId, line: &Line) {
        line.cut.cancel();
        self.forget(agency, line.number);
    }

    /// The newest connection of an agency that is well.
    pub(super) fn newest(&self, agency: &AgencyId) -> Option<Line> {
        loop {
            let line = lock(&self.0.kept).lines.get(agency)?.last()?.clone();
            if line.requests.is_closed() {
                self.forget(agency, line.number);
            } else if !self.may_stay(&line) {
                self.end(agency, &line);
            } else {
                return Some(line);
            }
        }
    }

    /// A call was not sent because its connection had ended.
    pub(super) fn moved(&self, agency: &AgencyId, line: &Line) {
        self.forget(agency, line.number);
        self.0.metrics.moved.get_or_create(&OfAgency::of(agency)).inc();
    }

    /// Until when an agency that has lost its last connection may be expected back; `None`: it has been away for longer.
    pub(super) fn expected_until(&self, agency: &AgencyId, within: Duration) -> Option<Instant> {
        let until = lock(&self.0.kept).lost.get(agency)?.checked_add(within)?;
        (until > Instant::now()).then_some(until)
    }

    /// Changes with every connection that is taken.
    #[must_use]
    pub fn arrivals(&self) -> watch::Receiver<u64> {
        self.0.arrivals.subscribe()
    }
}
