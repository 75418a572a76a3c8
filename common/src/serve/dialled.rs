//! Serving on a connection that we have dialled: the same services, the same gate, the same limits.

use std::{any::Any, fmt, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;

use super::{
    Connection, Limits, ServeMetrics,
    accept::{PREFACE_BYTES, unheard},
    builder,
    line::Line,
};
use crate::tls::{Caller, Cut, Gate, HandshakeError, ServerTls};

/// What a server answers with, for connections that do not come through its listener. Clones share its limits.
#[derive(Clone)]
pub struct Services {
    gate: Gate<Routes>,
    tls: Arc<ServerTls>,
    limits: Limits,
    metrics: ServeMetrics,
    cut: CancellationToken,
    /// Cuts everything when the server and all of these are gone.
    _guard: Arc<DropGuard>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}

impl Services {
    pub(super) fn new(
        gate: Gate<Routes>,
        tls: Arc<ServerTls>,
        limits: Limits,
        metrics: ServeMetrics,
        cut: CancellationToken,
    ) -> Self {
        let guard = Arc::new(cut.clone().drop_guard());
        Self { gate, tls, limits, metrics, cut, _guard: guard }
    }

    pub(super) fn gate(&self) -> Gate<Routes> {
        self.gate.clone()
    }

    /// How old a connection may become.
    pub(crate) const fn connection_age(&self) -> Duration {
        self.limits.connection_age
    }

    /// With other times of keep-alive.
    #[must_use]
    pub(crate) const fn alive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.limits.keepalive_interval = interval;
        self.limits.keepalive_timeout = timeout;
        self
    }

    /// Whoever answers at the other end, as a caller of ours: its certificate is checked again, as one who calls, before every
    /// request.
    ///
    /// # Errors
    /// Unless its certificate is good for that, too.
    pub(crate) fn caller(
        &self,
        chain: Arc<[CertificateDer<'static>]>,
    ) -> Result<Caller, HandshakeError> {
        self.tls.caller(chain)
    }

    /// How long requests under way have when the program stops.
    pub(crate) const fn drain(&self) -> Duration {
        self.limits.drain
    }

    /// Serves `caller` on `stream` until it ends, or `drain`: then no new requests are taken, and those under way have
    /// [`Limits::connection_age_grace`] before the connection is cut. As soon as the connection is gone, `gone` is cancelled and
    /// `held` dropped.
    pub(crate) async fn serve<S>(
        self,
        stream: S,
        caller: Caller,
        drain: CancellationToken,
        gone: CancellationToken,
        held: impl Any + Send + Sync,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { gate, limits, metrics, cut, _guard, .. } = self;
        let oldest = limits.connection_age.saturating_add(limits.connection_age_grace);
        let (grace, draining) = (limits.connection_age_grace, drain.clone());
        let begun = CancellationToken::new();
        let line = Line::new(&limits, metrics);
        let is_cut = line.is_cut();
        let unheard = unheard(Some(begun.clone()), limits.begin_timeout, Arc::clone(&line));
        let stream = Cut::new(stream, async move {
            let drained = async {
                draining.cancelled().await;
                tokio::time::sleep(grace).await;
            };
            tokio::select! {
                () = cut.cancelled() => {}
                () = tokio::time::sleep(oldest) => {}
                () = drained => {}
                () = is_cut => {}
                () = unheard => {}
            }
        })
        .telling(begun, PREFACE_BYTES);
        let over = gone.clone();
        let connection = Connection::new(stream, caller, line, (gone.drop_guard(), held));
        let incoming = stream::iter([Ok::<_, std::io::Error>(connection)]).chain(stream::pending());
        let ending = async move {
            tokio::select! {
                () = drain.cancelled() => {}
                () = over.cancelled() => {}
            }
        };
        let served = builder(&limits).serve_with_incoming_shutdown(gate, incoming, ending).await;
        if let Err(error) = served {
            tracing::debug!(%error, "a connection that was dialled ended");
        }
    }
}
