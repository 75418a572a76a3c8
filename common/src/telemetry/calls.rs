//! How calls end and how long they take: those that others make here, and those that this program makes of others.
//!
//! Every label has a bounded set of values, all of them there at zero from the start: methods from the descriptors of the services that are
//! served, peers from the agreement. A method that nobody serves counts as `other`, so that a caller can not make labels.

use std::{borrow::Borrow, collections::BTreeSet, fmt, hash::Hash, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
};
use prost::Message as _;
use tokio::time::Instant;
use tonic::Code;

use super::Metrics;
use crate::{audit::Party, wire::FILE_DESCRIPTOR_SET};

/// Bounds of the buckets of durations, in seconds: from an answer out of memory to the longest that a handler may take.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The method of a call that no service here has.
const OTHER: &str = "other";

/// How a call ended, as far as an operator has to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// It was answered.
    Ok,
    /// It was refused by a rule, or was not well-formed: a normal outcome.
    Refused,
    /// Something did not work: a disk, a limit, the other side.
    Failed,
    /// Nobody waited for the answer any more, or its time had passed.
    Late,
}

impl CallOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Refused, Self::Failed, Self::Late];

    /// The label's value.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Late => "late",
        }
    }

    /// What a gRPC code comes to.
    #[must_use]
    pub const fn of(code: Code) -> Self {
        match code {
            Code::Ok => Self::Ok,
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated => Self::Refused,
            Code::Unknown
            | Code::ResourceExhausted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => Self::Failed,
            Code::Cancelled | Code::DeadlineExceeded => Self::Late,
        }
    }

    /// What the head of an answer comes to. A stream that fails later has been answered.
    #[must_use]
    pub fn of_head(headers: &http::HeaderMap) -> Self {
        tonic::Status::from_header_map(headers).map_or(Self::Ok, |status| Self::of(status.code()))
    }
}

/// A method as labels have it: `Service/Method`, without the package. `path` is that of the request.
fn short(path: &str) -> &str {
    path.trim_start_matches('/').trim_start_matches("brag.v1.")
}

/// The methods of our services, each as [`short`] has it.
fn methods_of(services: &[&str]) -> BTreeSet<Name> {
    let files = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap_or_default();
    let mut methods = BTreeSet::new();
    for file in &files.file {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            if services.contains(&name.as_str()) {
                methods.extend(
                    service
                        .method
                        .iter()
                        .map(|method| short(&format!("{name}/{}", method.name())).into()),
                );
            }
        }
    }
    methods
}

/// A label's value that is known at the start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Name(Arc<str>);

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        EncodeLabelValue::encode(&&*self.0, encoder)
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

fn durations<S: Clone + Eq + Hash>() -> Family<S, Histogram> {
    Family::new_with_constructor(|| Histogram::new(SECONDS))
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfMethod {
    method: Name,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Served {
    method: Name,
    outcome: &'static str,
}

/// Calls that others make of this program.
#[derive(Debug, Clone)]
pub struct ServedCalls {
    known: Arc<BTreeSet<Name>>,
    calls: Family<Served, Counter>,
    seconds: Family<OfMethod, Histogram>,
}

impl Default for ServedCalls {
    fn default() -> Self {
        Self { known: Arc::default(), calls: Family::default(), seconds: durations() }
    }
}

impl ServedCalls {
    /// Counters at zero for each method of these services, shown by `metrics`.
    #[must_use]
    pub fn register(metrics: &Metrics, services: &[&str]) -> Self {
        let new = Self { known: Arc::new(methods_of(services)), ..Self::default() };
        for method in new.known.iter().cloned().chain([OTHER.into()]) {
            for outcome in CallOutcome::ALL {
                let (method, outcome) = (method.clone(), outcome.word());
                drop(new.calls.get_or_create(&Served { method, outcome }));
            }
            drop(new.seconds.get_or_create(&OfMethod { method }));
        }
        metrics.register(
            "calls",
            "Calls that others made, by method and outcome",
            new.calls.clone(),
        );
        metrics.register(
            "call_duration_seconds",
            "Time from a call to the head of its answer, by method",
            new.seconds.clone(),
        );
        new
    }

    /// A call to the method at `path` begins. What is given counts it when it ends, or is dropped.
    #[must_use]
    pub fn begin(&self, path: &str) -> Call {
        let method = self.known.get(short(path)).cloned().unwrap_or_else(|| OTHER.into());
        let outcome = CallOutcome::Late;
        Call { of: self.clone(), method, since: Instant::now(), outcome }
    }
}

/// A call under way.
#[derive(Debug)]
pub struct Call {
    of: ServedCalls,
    method: Name,
    since: Instant,
    outcome: CallOutcome,
}

impl Call {
    /// The method, as labels have it: one of ours, or `other`.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method.0
    }

    /// It has ended so. A call that is dropped without this is late: its caller has gone, or its time has passed.
    pub fn ended(mut self, outcome: CallOutcome) {
        self.outcome = outcome;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let (method, outcome) = (self.method.clone(), self.outcome.word());
        self.of.calls.get_or_create(&Served { method, outcome }).inc();
        let method = self.method.clone();
        self.of
            .seconds
            .get_or_create(&OfMethod { method })
            .observe(self.since.elapsed().as_secs_f64());
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPeer {
    peer: Name,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    peer: Name,
    method: Name,
    outcome: &'static str,
}

/// Calls that this program makes of other parties, as far as they are witnessed.
#[derive(Debug, Clone)]
pub struct AskedCalls {
    known: Arc<BTreeSet<Name>>,
    calls: Family<Asked, Counter>,
    seconds: Family<OfPeer, Histogram>,
}

impl Default for AskedCalls {
    fn default() -> Self {
        Self { known: Arc::default(), calls: Family::default(), seconds: durations() }
    }
}

impl AskedCalls {
    /// Counters at zero for each method of `service` that `counts`, at each of `peers`, shown by `metrics`.
    #[must_use]
    pub fn register(
        metrics: &Metrics,
        service: &str,
        counts: impl Fn(&str) -> bool,
        peers: impl IntoIterator<Item = Party>,
    ) -> Self {
        let known = methods_of(&[service]).into_iter().filter(|method| counts(&method.0)).collect();
        let new = Self { known: Arc::new(known), ..Self::default() };
        for peer in peers {
            let peer = Name::from(peer.to_string().as_str());
            drop(new.seconds.get_or_create(&OfPeer { peer: peer.clone() }));
            for method in new.known.iter().cloned().chain([OTHER.into()]) {
                for outcome in CallOutcome::ALL {
                    let (peer, method) = (peer.clone(), method.clone());
                    drop(new.calls.get_or_create(&Asked { peer, method, outcome: outcome.word() }));
                }
            }
        }
        metrics.register(
            "asked_calls",
            "Calls made of other parties, by party, method and outcome",
            new.calls.clone(),
        );
        metrics.register(
            "asked_call_duration_seconds",
            "Time from a call of another party to its answer, by party",
            new.seconds.clone(),
        );
        new
    }

    /// The method at `path`, as labels have it: one of those that are counted, or `other`.
    #[must_use]
    pub fn method(&self, path: &str) -> &str {
        self.known.get(short(path)).map_or(OTHER, |known| &known.0)
    }

    /// A call of the method at `path` at `peer` has ended so, after `took`.
    pub fn count(&self, peer: &Party, path: &str, outcome: CallOutcome, took: Duration) {
        let peer = Name::from(peer.to_string().as_str());
        let method = self.known.get(short(path)).cloned().unwrap_or_else(|| OTHER.into());
        self.seconds.get_or_create(&OfPeer { peer: peer.clone() }).observe(took.as_secs_f64());
        self.calls.get_or_create(&Asked { peer, method, outcome: outcome.word() }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "brag.v1.NodeService";

    #[test]
    fn a_method_that_nobody_serves_makes_no_label() {
        let metrics = Metrics::new("x");
        let calls = ServedCalls::register(&metrics, &[NODE]);
        for path in ["/brag.v1.NodeService/Ann", "/brag.v1.HubService/Deliver", "/", "Screen"] {
            calls.begin(path).ended(CallOutcome::Refused);
        }
        let text = metrics.encode().unwrap();
        assert!(text.contains("x_calls_total{method=\"other\",outcome=\"refused\"} 4\n"), "{text}");
        assert!(!text.contains("Ann") && !text.contains("Deliver"));
    }

    #[test]
    fn every_method_is_at_zero_before_its_first_call() {
        let metrics = Metrics::new("x");
        let calls = ServedCalls::register(&metrics, &[NODE]);
        let asked = AskedCalls::register(&metrics, NODE, |_| true, [Party::Hub]);
        let text = metrics.encode().unwrap();
        for outcome in CallOutcome::ALL {
            let outcome = outcome.word();
            let served =
                format!("x_calls_total{{method=\"NodeService/Screen\",outcome=\"{outcome}\"}} 0\n");
            assert!(text.contains(&served), "{text}");
        }
        assert!(text.contains("x_call_duration_seconds_count{method=\"NodeService/Rate\"} 0\n"));
        let lines = text.lines().count();
        drop(calls.begin("/brag.v1.NodeService/Screen"));
        asked.count(&Party::Hub, "/brag.v1.NodeService/Rate", CallOutcome::Ok, Duration::ZERO);
        let text = metrics.encode().unwrap();
        assert_eq!(text.lines().count(), lines, "a call makes no series that was not there");
        assert!(text.contains("{method=\"NodeService/Screen\",outcome=\"late\"} 1\n"), "{text}");
        assert!(text.contains("method=\"NodeService/Rate\",outcome=\"ok\"} 1\n"), "{text}");
    }

    #[test]
    fn a_refusal_by_rule_is_no_failure() {
        for (code, outcome) in [
            (Code::Ok, CallOutcome::Ok),
            (Code::FailedPrecondition, CallOutcome::Refused),
            (Code::PermissionDenied, CallOutcome::Refused),
            (Code::Unavailable, CallOutcome::Failed),
            (Code::ResourceExhausted, CallOutcome::Failed),
            (Code::DeadlineExceeded, CallOutcome::Late),
        ] {
            assert_eq!(CallOutcome::of(code), outcome);
            let status = tonic::Status::new(code, "");
            let head = status.into_http::<tonic::body::Body>();
            assert_eq!(CallOutcome::of_head(head.headers()), outcome);
        }
    }
}
