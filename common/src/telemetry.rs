//! What operators see: the log on standard error and the registry of metrics.
//!
//! Not the audit log, which is evidence. INVARIANT: no identifier of a person, no request and no key
//! at any level; therefore the level applies to our own modules only. The libraries below us print
//! headers and frames when asked to, so they never say more than warnings.

pub mod calls;
pub mod traces;
pub mod vitals;

use std::{
    fmt,
    io::IsTerminal as _,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::{Metric, Registry},
};
use serde::{Deserialize, Serialize};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer as _, fmt::MakeWriter, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

use self::traces::Traces;

/// How much our own modules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Defects only.
    Error,
    /// Also what is degraded by outside causes.
    Warn,
    /// Also start, stop, enrolment, reload.
    #[default]
    Info,
    /// Also every refusal with its causes.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// Our crates and the programs' own names; everything else at warnings.
    fn filter(self) -> EnvFilter {
        let level = match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        };
        let others = if self == Self::Error { "error" } else { "warn" };
        EnvFilter::new(format!("{others},brag={level},hub={level},agency_node={level}"))
    }
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text for each event.
    #[default]
    Text,
    /// One JSON object for each event.
    Json,
}

/// The `[log]` table of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// How much is said. Reloads without a restart. Default `info`.
    pub level: LogLevel,
    /// The form. Default `text`.
    pub format: LogFormat,
}

/// The log can not be started or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// This process has a log already.
    #[error("the log was started before")]
    Started,
    /// The log has ended.
    #[error("the log has ended")]
    Ended,
}

/// Changes the level of the running log.
#[derive(Clone)]
pub struct LogHandle(reload::Handle<EnvFilter, tracing_subscriber::Registry>);

impl LogHandle {
    /// From now on, says as much as `level`.
    ///
    /// # Errors
    /// When the log has ended.
    pub fn set_level(&self, level: LogLevel) -> Result<(), LogError> {
        self.0.reload(level.filter()).map_err(|_| LogError::Ended)
    }
}

impl fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogHandle")
    }
}

/// Starts the log of this process, on standard error, without traces.
///
/// # Errors
/// When it was started before.
pub fn start_log(config: LogConfig) -> Result<LogHandle, LogError> {
    start(config, None)
}

/// Starts the log of this process, on standard error, and traces where there are any.
///
/// # Errors
/// When it was started before.
pub fn start(config: LogConfig, traces: Option<&Traces>) -> Result<LogHandle, LogError> {
    let (subscriber, handle) = subscriber(config, traces, std::io::stderr);
    subscriber.try_init().map_err(|_| LogError::Started)?;
    Ok(handle)
}

/// What takes the events of this process: lines to `writer`, and spans to `traces`.
fn subscriber<W>(
    config: LogConfig,
    traces: Option<&Traces>,
    writer: W,
) -> (impl Subscriber + Send + Sync + use<W>, LogHandle)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(config.level.filter());
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match config.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.with_ansi(false).json().boxed(),
    };
    let subscriber = tracing_subscriber::registry()
        // Each with a filter of its own: spans of traces are not said in the log, and nothing of the log is in a trace. Two layers of
        // the registry, not one of both: a pair that lacks its second part never sees the filter of its first change.
        .with(lines.with_filter(filter))
        .with(traces.map(Traces::layer));
    (subscriber, LogHandle(handle))
}

/// The one line that says what has started and from which configuration.
pub fn log_start(program: &str, version: &str, config: &Path) {
    tracing::info!(program, version, config = %config.display(), "starting");
}

/// How requests ended, by call and stable code; `ok` when nothing was refused.
#[derive(Debug, Clone, Default)]
pub struct RequestMetrics(Family<RequestLabels, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    rpc: &'static str,
    code: &'static str,
}

impl RequestMetrics {
    /// Counters for these calls, at zero, shown by `metrics`.
    #[must_use]
    pub fn register(metrics: &Metrics, rpcs: &[&'static str]) -> Self {
        let new = Self::default();
        for rpc in rpcs {
            // So that "never happened" differs from "not there".
            drop(new.0.get_or_create(&RequestLabels { rpc, code: "ok" }));
        }
        metrics.register("requests", "Requests by call and how they ended", new.0.clone());
        new
    }

    /// Counts one request.
    pub fn count(&self, rpc: &'static str, code: &'static str) {
        self.0.get_or_create(&RequestLabels { rpc, code }).inc();
    }
}

/// The metrics of a program, all under its prefix. Clones share one registry.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// No metrics yet; names will start with `prefix` and `_`.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self(Arc::new(Mutex::new(Registry::with_prefix(prefix))))
    }

    /// Adds a metric. Counters get `_total` when they are shown; give names without it.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.registry().register(name, help, metric);
    }

    /// All metrics in the OpenMetrics text format, version 1.0.0.
    ///
    /// # Errors
    /// When a metric can not be shown; that is a defect of the metric.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry())?;
        Ok(text)
    }

    /// A registry is only ever added to, so one that a panic interrupted is still good.
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn libraries_never_say_more_than_warnings() {
        for level in [LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace] {
            let filter = level.filter().to_string();
            assert!(filter.split(',').any(|directive| directive == "warn"), "{filter}");
            assert!(filter.split(',').all(|d| !d.contains('=')
                || ["brag=", "hub=", "agency_node="].iter().any(|ours| d.starts_with(ours))));
        }
    }

    #[test]
    fn a_level_that_changes_counts_from_the_next_event() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let writer = Arc::new(file.reopen().unwrap());
        let (subscriber, log) = subscriber(LogConfig::default(), None, writer);
        tracing::subscriber::with_default(subscriber, || {
            for (level, what) in [
                (None, "first"),
                (Some(LogLevel::Debug), "second"),
                (Some(LogLevel::Info), "third"),
            ] {
                if let Some(level) = level {
                    log.set_level(level).unwrap();
                }
                tracing::debug!(target: "brag", what);
            }
        });
        let said = std::fs::read_to_string(file.path()).unwrap();
        assert!(said.contains("second"), "{said}");
        assert!(!said.contains("first") && !said.contains("third"), "{said}");
    }

    #[test]
    fn metrics_show_under_their_prefix() {
        let metrics = Metrics::new("hub");
        let counter: Counter = Counter::default();
        metrics.register("requests", "Requests", counter.clone());
        counter.inc();
        let text = metrics.encode().unwrap();
        assert!(text.contains("hub_requests_total 1\n"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
