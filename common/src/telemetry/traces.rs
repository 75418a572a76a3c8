//! Traces: what a call spends its time on, across programs, sent by OTLP to a collector on this machine. Off unless configured.
//!
//! INVARIANT: a span carries methods, parties and random references, as an entry of the audit log does; no identity, and nothing that a
//! caller could put into it. So spans are made under one target of their own, [`TARGET`], and nothing else becomes one.
//!
//! Nobody waits for the collector: spans lie in a queue of [`MOST_WAITING`]; what does not fit is dropped.
//!
//! Across programs a trace is carried by the header `traceparent` of W3C Trace Context; `tracestate` is neither read nor sent, since
//! it is whatever somebody wrote.

use std::{net::IpAddr, sync::LazyLock, time::Duration};

use opentelemetry::{
    Context, KeyValue,
    trace::{
        SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
        TracerProvider as _,
    },
};
use opentelemetry_otlp::{WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
    },
};
use prometheus_client::metrics::counter::Counter;
use serde::Deserialize;
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

use super::Metrics;
use crate::{
    id::{AgencyId, EnquiryRef},
    peer::PeerName,
};

/// The target of every span that is part of a trace, and of nothing else.
pub const TARGET: &str = "brag_trace";

/// Spans that wait for the collector, at most: some two megabytes.
pub const MOST_WAITING: usize = 2048;

/// Spans that are sent at once.
const AT_ONCE: usize = 256;
/// How long a span waits for others to be sent with.
const GATHER: Duration = Duration::from_secs(1);
/// How long the collector has to take them.
const SEND_WITHIN: Duration = Duration::from_secs(5);
/// How long the program's end waits for the last of them.
const END_WITHIN: Duration = Duration::from_secs(2);

/// Where trace context travels (W3C Trace Context, section 3.2).
const HEADER: &str = "traceparent";

/// The `[traces]` table of a configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracesConfig {
    /// Where a collector takes OTLP over gRPC: `http://127.0.0.1:4317`. On this machine; it sends them on over TLS.
    pub endpoint: String,
    /// How many of a hundred traces that begin here are kept. What began elsewhere is kept when it is there.
    #[serde(default = "all")]
    pub percent: u8,
}

const fn all() -> u8 {
    100
}

/// Why there are no traces as configured. An operator's matter.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The endpoint is not a collector on this machine.
    #[error(
        "[traces] endpoint `{0}` is not `http://` and a loopback address with a port, such as http://127.0.0.1:4317"
    )]
    Endpoint(String),
    /// More than all.
    #[error("[traces] percent {0} is not 0 to 100")]
    Percent(u8),
    /// The exporter can not be made.
    #[error("[traces] the exporter can not be made: {0}")]
    Exporter(String),
}

/// Checks a `[traces]` table.
///
/// # Errors
/// When the endpoint is not on this machine, or the part of traces is not one.
pub fn check(config: &TracesConfig) -> Result<(), TracesError> {
    let wrong = || TracesError::Endpoint(config.endpoint.clone());
    let uri: http::Uri = config.endpoint.parse().map_err(|_| wrong())?;
    let host = uri.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_here = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if uri.scheme_str() != Some("http") || !is_here || uri.port().is_none() {
        return Err(wrong());
    }
    if config.percent > 100 { Err(TracesError::Percent(config.percent)) } else { Ok(()) }
}

/// What became of the spans of this process.
#[derive(Debug, Clone, Default)]
struct Counts {
    sent: Counter,
    not_sent: Counter,
}

/// One process has one log and one set of traces, whatever programs tests run in it.
static COUNTS: LazyLock<Counts> = LazyLock::new(Counts::default);

/// Shows how many spans were sent, and how many the collector did not take.
pub fn register(metrics: &Metrics) {
    metrics.register("trace_spans_sent", "Spans that the collector took", COUNTS.sent.clone());
    metrics.register(
        "trace_spans_not_sent",
        "Spans that the collector did not take in time; those that did not fit the queue are not counted",
        COUNTS.not_sent.clone(),
    );
}

/// An exporter that is counted.
#[derive(Debug)]
struct Counted<E>(E);

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let n = batch.len() as u64;
        let exported = self.0.export(batch).await;
        if exported.is_ok() { &COUNTS.sent } else { &COUNTS.not_sent }.inc_by(n);
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

/// Traces that are being sent. Dropping it without [`Traces::end`] loses what waits.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// For a program, `instance` being which of its kind. Has to be called within the runtime.
    ///
    /// # Errors
    /// When what is configured can not be used. A collector that is away is no error.
    pub fn start(
        config: &TracesConfig,
        program: &'static str,
        version: &'static str,
        instance: String,
    ) -> Result<Self, TracesError> {
        check(config)?;
        // Lazy: it connects when there is something to send, and again.
        let endpoint = tonic::transport::Endpoint::from_shared(config.endpoint.clone())
            .map_err(|_| TracesError::Endpoint(config.endpoint.clone()))?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_channel(endpoint.connect_lazy())
            .with_timeout(SEND_WITHIN)
            .build()
            .map_err(|error| TracesError::Exporter(error.to_string()))?;
        let queue = BatchConfigBuilder::default()
            .with_max_queue_size(MOST_WAITING)
            .with_max_export_batch_size(AT_ONCE)
            .with_scheduled_delay(GATHER)
            .build();
        let processor =
            BatchSpanProcessor::builder(Counted(exporter)).with_batch_config(queue).build();
        let resource = Resource::builder_empty().with_attributes([
            KeyValue::new("service.name", program),
            KeyValue::new("service.version", version),
            KeyValue::new("service.instance.id", instance),
        ]);
        let part = f64::from(config.percent) / 100.0;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(part)));
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler)
            .with_resource(resource.build())
            .with_span_processor(processor)
            .with_max_attributes_per_span(16)
            .with_max_events_per_span(0)
            .build();
        Ok(Self(provider))
    }

    /// What makes spans of them.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("brag"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(TARGET, tracing::Level::INFO))
    }

    /// Sends what waits, for a moment at most.
    pub async fn end(self) {
        let ending = move || self.0.shutdown_with_timeout(END_WITHIN);
        // What could not be sent is lost: it was never evidence.
        drop(tokio::task::spawn_blocking(ending).await);
    }
}

/// The span of a call that somebody makes here. `method` is one of ours, never what the caller wrote.
pub(crate) fn served(method: &str, caller: &PeerName, headers: &http::HeaderMap) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "call",
        otel.name = method,
        otel.kind = "server",
        peer = Empty,
        exchange = Empty,
        outcome = Empty,
    );
    if span.is_disabled() {
        return span;
    }
    match (caller.agency(), caller.is_hub()) {
        (Some(agency), _) => span.record("peer", agency.as_str()),
        (None, true) => span.record("peer", "hub"),
        // A person's name is in their certificate; it stays there.
        (None, false) => span.record("peer", "other"),
    };
    if let Some(parent) = parent(headers) {
        // It can be set before the span is entered, which is here.
        let _ = span.set_parent(parent);
    }
    span
}

/// The span of a call that is made of another party, and its context in the headers of the request.
pub(crate) fn asked(method: &str, peer: &str, headers: &mut http::HeaderMap) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "ask",
        otel.name = method,
        otel.kind = "client",
        peer,
        exchange = Empty,
        outcome = Empty,
    );
    if !span.is_disabled() {
        let context = span.context();
        let span = context.span();
        if let Some(value) = to_header(span.span_context()) {
            headers.insert(HEADER, value);
        }
    }
    span
}

/// The span of everything that an agency is asked in an enquiry at a time.
#[must_use]
pub fn round(enquiry: &EnquiryRef, agency: &AgencyId) -> Span {
    tracing::info_span!(target: TARGET, "round", enquiry = enquiry.as_str(), peer = agency.as_str())
}

/// The span of writing to the audit log.
pub(crate) fn appending(n_entries: usize) -> Span {
    tracing::info_span!(target: TARGET, "audit log append", entries = n_entries)
}

/// The context that a request carries; `None` when it carries none, or not in the form of version 0 (section 3.2.2).
fn parent(headers: &http::HeaderMap) -> Option<Context> {
    let mut values = headers.get_all(HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let mut parts = value.to_str().ok()?.split('-');
    let version = parts.next().filter(|version| is_hex(version, 2))?;
    let trace = parts.next().filter(|trace| is_hex(trace, 32))?;
    let span = parts.next().filter(|span| is_hex(span, 16))?;
    let flags = parts.next().filter(|flags| is_hex(flags, 2))?;
    // A later version may have more behind it.
    if version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let remote = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    remote.is_valid().then(|| Context::new().with_remote_span_context(remote))
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn to_header(context: &SpanContext) -> Option<http::HeaderValue> {
    let (trace, span) = (context.trace_id(), context.span_id());
    let flags = u8::from(context.is_sampled());
    let value = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
    context.is_valid().then(|| value.try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(value: &str) -> Option<SpanContext> {
        let headers = http::HeaderMap::from_iter([(
            http::HeaderName::from_static(HEADER),
            value.parse().unwrap(),
        )]);
        parent(&headers).map(|context| context.span().span_context().clone())
    }

    #[test]
    fn what_is_not_a_trace_context_is_none() {
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-Ann-Lee-01",
        ] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
        let mut twice = http::HeaderMap::new();
        twice.append(HEADER, GOOD.parse().unwrap());
        twice.append(HEADER, GOOD.parse().unwrap());
        assert!(parent(&twice).is_none());
    }

    #[test]
    fn a_trace_context_is_written_as_it_is_read() {
        let context = read(GOOD).unwrap();
        assert!(context.is_remote() && context.is_sampled());
        assert_eq!(to_header(&context).unwrap(), GOOD);
        let later = read("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-x").unwrap();
        assert!(!later.is_sampled());
        assert_eq!(to_header(&SpanContext::NONE), None);
    }

    #[test]
    fn traces_leave_to_this_machine_alone() {
        let of = |endpoint: &str, percent| TracesConfig { endpoint: endpoint.to_owned(), percent };
        for endpoint in [
            "http://collector.example:4317",
            "http://192.0.2.1:4317",
            "http://localhost:4317",
            "https://127.0.0.1:4317",
            "http://127.0.0.1",
            "127.0.0.1:4317",
            "",
        ] {
            assert!(matches!(check(&of(endpoint, 1)), Err(TracesError::Endpoint(_))), "{endpoint}");
        }
        assert!(matches!(check(&of("http://127.0.0.1:4317", 101)), Err(TracesError::Percent(101))));
        check(&of("http://[::1]:4317", 100)).unwrap();
    }
}
