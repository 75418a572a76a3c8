//! The node's side: keeps connections to the hub, on which it serves, and makes new ones before old ones are given up.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};
use tokio::{io::AsyncReadExt as _, sync::watch, task::JoinSet, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{BackOff, DeadAfter, Verdict};
use crate::{
    peer::PeerName,
    secret::random_bytes,
    serve::Services,
    telemetry::Metrics,
    tls::{CONNECT_TIMEOUT, ClientTls, ConnectError, HandshakeError, Route, Spoken},
};

/// The bound of the first wait after a failure; doubled with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// How long the hub has to say that it takes the connection.
const VERDICT_WITHIN: Duration = Duration::from_secs(5);

/// Gives random numbers.
pub type Dice = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How a node dials out.
#[derive(Debug, Clone, Copy)]
pub struct DialOutOptions {
    /// How many connections stand at a time, 1 to 4: while one comes back, the others are there.
    pub connections: u8,
    /// How soon a dead connection is noticed.
    pub dead_after: DeadAfter,
    /// The longest wait between two attempts.
    pub retry_at_most: Duration,
    /// How long a connection has stood before it counts as a good one: the next failure is then the first.
    pub stable_after: Duration,
}

/// What dialling out has come to. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Dialling {
    standing: Gauge,
    opened: Counter,
    failed: Family<Why, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    reason: &'static str,
}

impl Dialling {
    /// Counters at zero, shown by `metrics`.
    #[must_use]
    pub fn register(metrics: &Metrics) -> Self {
        let new = Self::default();
        metrics.register(
            "standing_connections",
            "Connections that this node has dialled and serves the hub on, now",
            new.standing.clone(),
        );
        metrics.register(
            "standing_connections_opened",
            "Standing connections that the hub has taken, since the start",
            new.opened.clone(),
        );
        for reason in ["no_tcp_connection", "proxy", "tls_refused", "closed", "ended"] {
            drop(new.failed.get_or_create(&Why { reason }));
        }
        metrics.register(
            "standing_connections_failed",
            "Attempts at a standing connection that failed, and connections that ended unasked, by reason",
            new.failed.clone(),
        );
        new
    }

    /// What failed, by reason.
    #[cfg(test)]
    pub(super) fn failed(&self, reason: &'static str) -> u64 {
        self.failed.get_or_create(&Why { reason }).get()
    }

    /// How many stand now.
    #[must_use]
    pub fn standing(&self) -> i64 {
        self.standing.get()
    }

    /// How many the hub has taken since the start.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.opened.get()
    }
}

/// One connection in the gauge.
struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Keeps connections to the hub on which this node serves.
pub struct DialOut {
    /// The ways to the hub.
    pub route: Route,
    /// The hub's name.
    pub hub: PeerName,
    /// Our certificate.
    pub tls: Arc<ClientTls>,
    /// What is served.
    pub services: Services,
    /// How.
    pub options: DialOutOptions,
    /// What it has come to.
    pub dialling: Dialling,
    /// The chance in waiting.
    pub dice: Dice,
}

impl fmt::Debug for DialOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialOut").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Why there is no standing connection.
#[derive(Debug, thiserror::Error)]
enum NotStanding {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the hub's certificate is not good for one who calls")]
    Caller(#[source] HandshakeError),
    #[error(
        "the hub ended the connection before it took it: most often it does not accept this node's certificate, or has too many \
         connections of it"
    )]
    Closed(#[source] std::io::Error),
    #[error("the hub does not take the connection: {}", words(*.0))]
    Refused(Verdict),
    #[error("no connection within {} s", (CONNECT_TIMEOUT + VERDICT_WITHIN).as_secs())]
    Slow,
}

const fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Taken => "it does",
        Verdict::NotAnAgency => "this certificate is no agency's",
        Verdict::NotAParty => "this agency is no party of the agreement that holds there",
        Verdict::TooMany => "it keeps as many standing connections as it may",
        Verdict::Other(_) => "for a reason that this version does not know",
    }
}

impl NotStanding {
    const fn code(&self) -> &'static str {
        match self {
            Self::Connect(error) => error.code(),
            Self::Caller(error) => error.code(),
            Self::Closed(_) => "closed",
            Self::Refused(verdict) => match verdict.code() {
                Some(code) => code,
                None => "none",
            },
            Self::Slow => "slow",
        }
    }
}

/// When there is something to go, and it has gone.
async fn gone(what: Option<CancellationToken>) {
    match what {
        Some(what) => what.cancelled().await,
        None => std::future::pending().await,
    }
}

/// The operating system's randomness.
#[must_use]
pub fn dice() -> Dice {
    // Without randomness the longest wait is the safe one.
    Arc::new(|| random_bytes().map_or(u64::MAX, u64::from_le_bytes))
}

/// A connection that the hub has taken.
struct Up {
    since: Instant,
    /// When it is replaced.
    until: Instant,
    /// Changes when our certificate may have.
    reloads: watch::Receiver<u64>,
    drain: CancellationToken,
    gone: CancellationToken,
    served: AbortOnDropHandle<()>,
}

impl DialOut {
    /// Keeps as many connections as the options say, until `shutdown`; then lets the calls under way on them finish.
    pub async fn run(self, shutdown: CancellationToken) {
        let dialling = Arc::new(self);
        let mut places = JoinSet::new();
        for n in 0..dialling.options.connections.clamp(1, 4) {
            let (dialling, shutdown) = (Arc::clone(&dialling), shutdown.clone());
            places.spawn(async move { dialling.keep_one(usize::from(n), shutdown).await });
        }
        while places.join_next().await.is_some() {}
    }

    /// Keeps one connection, preferably by the `n`th way.
    async fn keep_one(&self, n: usize, shutdown: CancellationToken) {
        let route = self.route.clone().beginning_with(n);
        let mut back_off = BackOff::new(FIRST_WAIT, self.options.retry_at_most);
        let mut current: Option<Up> = None;
        // Old ones that let their calls finish.
        let mut former: JoinSet<()> = JoinSet::new();
        loop {
            while former.try_join_next().is_some() {}
            let opened = tokio::select! {
                () = shutdown.cancelled() => break,
                opened = self.open(&route) => opened,
            };
            let wait = match opened {
                Ok(up) => {
                    if let Some(old) = current.replace(up) {
                        old.drain.cancel();
                        former.spawn(async move { _ = old.served.await });
                    }
                    None
                }
                Err(error) => {
                    self.count(error.code());
                    let wait = back_off.failed((self.dice)());
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        again_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                        "no standing connection to the hub"
                    );
                    Some(wait)
                }
            };
            let wait = match (wait, &mut current) {
                (Some(wait), _) => Some(wait),
                (None, None) => None,
                (None, Some(up)) => tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = up.gone.cancelled() => {
                        self.count("ended");
                        let stable = up.since.elapsed() >= self.options.stable_after;
                        current = None;
                        if stable {
                            back_off.reset();
                            tracing::info!("a standing connection to the hub has ended; another is made");
                            None
                        } else {
                            Some(back_off.failed((self.dice)()))
                        }
                    }
                    // A new one is made while this one still serves.
                    () = tokio::time::sleep_until(up.until) => { back_off.reset(); None }
                    _ = up.reloads.changed() => None,
                },
            };
            if let Some(wait) = wait {
                // The one that was to be replaced may end while its successor is waited for.
                let last = current.as_ref().map(|up| up.gone.clone()).filter(|g| !g.is_cancelled());
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = tokio::time::sleep(wait) => {}
                    () = gone(last) => current = None,
                }
            }
        }
        if let Some(up) = current {
            up.drain.cancel();
            former.spawn(async move { _ = up.served.await });
        }
        let finished = async { while former.join_next().await.is_some() {} };
        // What has not finished by then is cut, when `former` is dropped.
        let _ = tokio::time::timeout(self.services.drain(), finished).await;
    }

    async fn open(&self, route: &Route) -> Result<Up, NotStanding> {
        // Before the certificate is used: one that comes meanwhile is noticed.
        let reloads = self.tls.reloads();
        let opening = async {
            let dialled = self.tls.dial(route, &self.hub, Spoken::DialOut);
            let dialled = tokio::time::timeout(CONNECT_TIMEOUT, dialled).await;
            let mut dialled = dialled.map_err(|_| NotStanding::Slow)??;
            let caller = self.services.caller(dialled.chain).map_err(NotStanding::Caller)?;
            let octet = tokio::time::timeout(VERDICT_WITHIN, dialled.stream.read_u8()).await;
            let octet = octet.map_err(|_| NotStanding::Slow)?.map_err(NotStanding::Closed)?;
            match Verdict::of(octet) {
                Verdict::Taken => Ok((dialled.stream, caller)),
                refused => Err(NotStanding::Refused(refused)),
            }
        };
        let (stream, caller) = opening.await?;
        let (drain, gone) = (CancellationToken::new(), CancellationToken::new());
        let dead_after = self.options.dead_after;
        let services = self.services.clone().alive(dead_after.interval(), dead_after.timeout());
        let counted = Counted::new(self.dialling.standing.clone());
        self.dialling.opened.inc();
        let serving = services.serve(stream, caller, drain.clone(), gone.clone(), counted);
        let served = AbortOnDropHandle::new(tokio::spawn(serving));
        let since = Instant::now();
        Ok(Up { since, until: since + self.lasts(), reloads, drain, gone, served })
    }

    /// How long a connection is kept: six to nine tenths of the age at which either side would end it, by chance, so that not
    /// all are replaced at once.
    fn lasts(&self) -> Duration {
        let age = self.services.connection_age();
        let mut span = BackOff::new(age.mul_f64(0.3), age);
        age.mul_f64(0.6).saturating_add(span.failed((self.dice)()))
    }

    fn count(&self, reason: &'static str) {
        self.dialling.failed.get_or_create(&Why { reason }).inc();
    }
}
