//! Forwarding the audit log to a SIEM: each entry as a message of syslog (RFC 5424) over TLS (RFC 5425), in the order of the log.
//!
//! It reads the log's own files behind whoever writes it, so it never makes anybody wait, and holds one piece of them in memory. Where it
//! has come is kept in the data folder.
//!
//! At least once: syslog acknowledges nothing, so an entry counts as arrived when the connection on which it was sent has held for a
//! while, or was closed in order by both sides. What does not count yet is sent again on the next connection; shard and number say which
//! entries came twice. What a receiver that dies had taken and not kept before that while was over, it loses.

mod message;
mod session;
#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use self::message::Heading;
use crate::{
    audit::{
        AuditLog,
        tail::{Place, Tail},
    },
    config::{ConfigPath, DurationText},
    durable::dirs,
    telemetry::Metrics,
    time::SharedClock,
    tls::{TlsError, plain_client},
};

/// The file of the place, in the data folder.
const PLACE_FILE: &str = "forward.place";

/// The `[forward]` table of a configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardConfig {
    /// Where the receiver is: `host:port`. The host must stand in its certificate.
    pub address: String,
    /// Authorities that may have certified the receiver, in PEM.
    pub roots: ConfigPath,
    /// The program's certificate for the receiver, in PEM; absent: it asks for none.
    #[serde(default)]
    pub certificate: Option<ConfigPath>,
    /// Its private key.
    #[serde(default)]
    pub private_key: Option<ConfigPath>,
    /// The facility of the messages, 0 to 23. Default 13, which is "log audit".
    #[serde(default = "default_facility")]
    pub facility: u8,
    /// The private enterprise number under which the structured data stand. Default 32473, which is for documentation and nobody's.
    #[serde(default = "default_enterprise")]
    pub enterprise: u32,
    /// How long a connection must have held after an entry was sent before the entry counts as arrived.
    #[serde(default = "default_confirm_after")]
    pub confirm_after: DurationText,
}

const fn default_facility() -> u8 {
    13
}

const fn default_enterprise() -> u32 {
    // RFC 5612.
    32_473
}

const fn default_confirm_after() -> DurationText {
    DurationText::from_secs(30)
}

/// Why nothing can be forwarded as configured. An operator's matter.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The address is not one.
    #[error("[forward] address `{0}` is not `host:port`")]
    Address(String),
    /// A certificate without its key, or the other way round.
    #[error("[forward] has one of `certificate` and `private_key`; give both or neither")]
    HalfACertificate,
    /// The facility is not one.
    #[error("[forward] facility {0} is not 0 to 23")]
    Facility(u8),
    /// A file of certificates or keys can not be used.
    #[error("[forward] certificates can not be used")]
    Tls(#[from] TlsError),
    /// The log's folder can not be read, or the place not be kept.
    #[error("[forward] can not read or keep where it has come in `{}`", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    reason: &'static str,
}

/// What operators see of it.
#[derive(Debug, Clone, Default)]
pub struct ForwardMetrics {
    sent: Counter,
    waiting: Gauge,
    connected: Gauge,
    failures: Family<Failure, Counter>,
}

/// Why a connection was not made or did not go on, as the counter names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failed {
    /// There was no connection.
    Connect,
    /// It ended, or did not take what was written.
    Connection,
    /// The log could not be read.
    Log,
    /// The place could not be kept.
    Place,
}

impl Failed {
    const ALL: [Self; 4] = [Self::Connect, Self::Connection, Self::Log, Self::Place];

    const fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Connection => "connection",
            Self::Log => "log",
            Self::Place => "place",
        }
    }
}

impl ForwardMetrics {
    /// At zero, shown by `metrics`, also where nothing is forwarded.
    #[must_use]
    pub fn register(metrics: &Metrics) -> Self {
        let new = Self::default();
        for reason in Failed::ALL {
            drop(new.failures.get_or_create(&Failure { reason: reason.word() }));
        }
        metrics.register(
            "forward_entries",
            "Entries of the audit log sent to the SIEM; some twice",
            new.sent.clone(),
        );
        metrics.register(
            "forward_waiting_entries",
            "Entries of the audit log that have not been sent to the SIEM",
            new.waiting.clone(),
        );
        metrics.register(
            "forward_connected",
            "Whether there is a connection to the SIEM: 1, or 0",
            new.connected.clone(),
        );
        metrics.register(
            "forward_failures",
            "Why forwarding to the SIEM stopped for a while",
            new.failures.clone(),
        );
        new
    }

    fn count(&self, failed: Failed) {
        self.failures.get_or_create(&Failure { reason: failed.word() }).inc();
    }
}

/// Checks what is configured, and reads the certificates.
fn tls_of(
    config: &ForwardConfig,
    clock: &SharedClock,
) -> Result<(ClientConfig, ServerName<'static>), ForwardError> {
    let wrong = || ForwardError::Address(config.address.clone());
    let (host, port) = config.address.rsplit_once(':').ok_or_else(wrong)?;
    port.parse::<u16>().map_err(|_| wrong())?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| wrong())?;
    if config.facility > 23 {
        return Err(ForwardError::Facility(config.facility));
    }
    let own = match (&config.certificate, &config.private_key) {
        (Some(certificate), Some(key)) => Some((certificate.as_path(), key.as_path())),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(ForwardError::HalfACertificate),
    };
    Ok((plain_client(config.roots.as_path(), own, clock)?, name))
}

/// What is wrong with a `[forward]` table, without connecting. Blocks on the disk.
///
/// # Errors
/// When it can not be used.
pub fn check(config: &ForwardConfig, clock: &SharedClock) -> Result<(), ForwardError> {
    tls_of(config, clock).map(drop)
}

/// The forwarder of a log, where there is one; see [`Forwarder::open`].
///
/// # Errors
/// As there.
pub fn open(
    config: Option<&ForwardConfig>,
    program: &'static str,
    data: &Path,
    log: &AuditLog,
    clock: &SharedClock,
    metrics: ForwardMetrics,
) -> Result<Option<Forwarder>, ForwardError> {
    let Some(config) = config else { return Ok(None) };
    Forwarder::open(config.clone(), program, data, log.clone(), clock, metrics).map(Some)
}

/// Forwards until `shutdown`, where there is something to forward.
pub async fn run(forwarder: Option<Forwarder>, shutdown: CancellationToken) {
    if let Some(forwarder) = forwarder {
        forwarder.run(shutdown).await;
    }
}

/// Forwards one log.
#[derive(Debug)]
pub struct Forwarder {
    tail: Tail,
    tls: Arc<ClientConfig>,
    name: ServerName<'static>,
    config: ForwardConfig,
    heading: Heading,
    file: PathBuf,
    place: Place,
    metrics: ForwardMetrics,
}

impl Forwarder {
    /// Of the log of `program`, whose data are in `data`, going on where it was. Blocks on the disk.
    ///
    /// # Errors
    /// When what is configured can not be used, or the data folder not be read.
    pub fn open(
        config: ForwardConfig,
        program: &'static str,
        data: &Path,
        log: AuditLog,
        clock: &SharedClock,
        metrics: ForwardMetrics,
    ) -> Result<Self, ForwardError> {
        let (tls, name) = tls_of(&config, clock)?;
        let tail = Tail::of(log);
        let file = data.join(PLACE_FILE);
        let failed = |source| ForwardError::Io { path: file.clone(), source };
        let place = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        // A place that does not read back: from the start, since twice is better than never.
        let place = match place {
            Some(place) => place,
            None => tail.start().map_err(failed)?,
        };
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let ForwardConfig { facility, enterprise, .. } = config;
        let heading = Heading { facility, host, program, enterprise };
        metrics.waiting.set(i64::try_from(tail.n_behind(&place)).unwrap_or(i64::MAX));
        Ok(Self { tail, tls: Arc::new(tls), name, config, heading, file, place, metrics })
    }

    /// Keeps a place, durably.
    fn keep(file: &Path, place: &Place) -> io::Result<()> {
        let bytes = serde_json::to_vec(place).map_err(io::Error::other)?;
        dirs::replace(file, &bytes, 0o600)
    }
}
