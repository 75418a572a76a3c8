//! What a running program takes up by itself when its file changes: certificate, key, authorities, revocation lists, and the level of
//! its messages. Files are looked at each second, and at once on SIGHUP; what can not be used changes nothing and is tried again.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    certificate::{describe, read_chain, read_crl_updates},
    config::ConfigError,
    telemetry::{LogHandle, LogLevel, Metrics},
    time::{SharedClock, Timestamp},
    tls::{ClientTls, ServerTls, TlsFiles},
};

/// How often files are looked at: their names and times, not what is in them.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Seconds until certificates and lists end, by what they are for; 0 where there is none, below 0 when it has ended.
#[derive(Debug, Clone)]
pub struct CertificateMetrics(Family<OfCertificate, Gauge<i64, AtomicI64>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCertificate {
    of: &'static str,
}

/// The program's own, the authority's that ends first, the list that is due first, the console's.
const KINDS: [&str; 4] = ["own", "authority", "revocation_list", "console"];

impl CertificateMetrics {
    /// Gauges at zero, shown by `metrics`.
    #[must_use]
    pub fn register(metrics: &Metrics) -> Self {
        let new = Self(Family::default());
        for of in KINDS {
            drop(new.0.get_or_create(&OfCertificate { of }));
        }
        metrics.register(
            "certificate_seconds_left",
            "Seconds until a certificate or revocation list ends; below zero: it has ended",
            new.0.clone(),
        );
        new
    }

    fn set(&self, of: &'static str, ends: Option<Timestamp>, now: Timestamp) {
        let left = ends.map_or(0, |ends| ends.duration_since(now).as_secs());
        self.0.get_or_create(&OfCertificate { of }).set(left);
    }
}

/// The TLS of a running program, and where it comes from.
#[derive(Debug)]
pub struct Reloading {
    /// Read by those who connect to us.
    pub server: Arc<ServerTls>,
    /// Read when we connect to others.
    pub client: Arc<ClientTls>,
    /// Their files.
    pub files: TlsFiles,
    /// The console's certificate, which the console itself reads again.
    pub console: Option<PathBuf>,
    /// The source of time.
    pub clock: SharedClock,
    /// What is shown of them.
    pub metrics: CertificateMetrics,
}

impl Reloading {
    fn paths(&self) -> Vec<PathBuf> {
        let TlsFiles { certificate, private_key, roots, crls } = &self.files;
        [certificate, private_key, roots].into_iter().chain(crls).cloned().collect()
    }

    /// Reads everything anew, for both directions; as a client first, so that whoever finds the new certificate here finds all of it.
    fn reload(&self) -> Result<(), String> {
        let both = self.client.reload().and_then(|()| self.server.reload());
        both.map_err(|error| format!("{:#}", anyhow::Error::new(error)))
    }

    /// When each of the files ends.
    fn ends(&self) -> [Option<Timestamp>; 4] {
        let first_to_end = |path: &Path| {
            let chain = read_chain(path).ok()?;
            chain.iter().filter_map(|one| Some(describe(one)?.expires)).min()
        };
        let list = self.files.crls.as_ref().and_then(|path| {
            read_crl_updates(path).ok()?.into_iter().filter_map(|(_, next)| next).min()
        });
        let console = self.console.as_deref().and_then(first_to_end);
        [Some(self.server.expires()), first_to_end(&self.files.roots), list, console]
    }
}

/// Takes up what changes, until `shutdown`.
pub async fn keep_reloading(of: Reloading, shutdown: CancellationToken) {
    let of = Arc::new(of);
    let mut hangup = signal(SignalKind::hangup()).ok();
    // What is there now was read when the program was built, or has changed since: it is read once more.
    let mut seen = None;
    let mut said: Option<String> = None;
    let mut ends = [None; 4];
    let mut first = true;
    loop {
        let paths = of.paths();
        let stamp = tokio::task::spawn_blocking(move || stamp(&paths)).await.ok();
        if stamp.is_some() && stamp != seen {
            let reading = Arc::clone(&of);
            let read = move || (reading.reload(), reading.ends());
            if let Ok((reloaded, read)) = tokio::task::spawn_blocking(read).await {
                ends = read;
                match reloaded {
                    Ok(()) => {
                        seen = stamp;
                        said = None;
                        if !first {
                            tracing::info!(expires = %of.server.expires(), "certificates, authorities and lists were read anew");
                        }
                    }
                    Err(why) if said.as_ref() != Some(&why) => {
                        tracing::error!(
                            why,
                            "the new certificates or lists can not be used; the former stay in use"
                        );
                        said = Some(why);
                    }
                    // Said before; perhaps one of several files is still to come.
                    Err(_) => {}
                }
            }
            first = false;
        }
        let now = of.clock.now();
        for (kind, ends) in KINDS.into_iter().zip(ends) {
            of.metrics.set(kind, ends, now);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = hung_up(hangup.as_mut()) => seen = None,
        }
    }
}

/// SIGHUP, by which supervisors ask for a reload; without a handler of ours it would end the program.
async fn hung_up(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}

/// Takes up another level of messages from the configuration at `path`, until `shutdown`. Nothing else of it is taken up.
pub async fn keep_log_level(
    handle: LogHandle,
    path: PathBuf,
    read: fn(&Path) -> Result<LogLevel, ConfigError>,
    shutdown: CancellationToken,
) {
    // The first look is for a change that came between the start and this: nothing is said of it when there was none.
    let (mut seen, mut said) = (None, None);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let looked = path.clone();
        let look = move || (stamp(std::slice::from_ref(&looked)), read(&looked));
        let Ok((stamp, level)) = tokio::task::spawn_blocking(look).await else { continue };
        if seen.as_ref() == Some(&stamp) {
            continue;
        }
        seen = Some(stamp);
        match level {
            Ok(level) => match handle.set_level(level) {
                Ok(()) => {
                    if said.replace(level).is_some_and(|before| before != level) {
                        tracing::info!(
                            ?level,
                            "the level of messages is as the configuration says"
                        );
                    }
                }
                Err(error) => tracing::warn!(%error, "the level of messages stays"),
            },
            Err(error) => {
                tracing::warn!(%error, "the configuration can not be read; the level of messages stays")
            }
        }
    }
}

/// Of each file what shows that it is another, or has other bytes: also where a link leads to another file of the same size.
type Stamp = Vec<Option<(u64, u64, u64, i64, i64)>>;

fn stamp(paths: &[PathBuf]) -> Stamp {
    let of = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        let (dev, ino, len) = (metadata.dev(), metadata.ino(), metadata.len());
        Some((dev, ino, len, metadata.ctime(), metadata.ctime_nsec()))
    };
    paths.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing::TestCa,
        time::{SettableClock, SignedDuration},
    };

    fn seconds_left(metrics: &Metrics, of: &str) -> i64 {
        let text = metrics.encode().unwrap();
        let line = format!("x_certificate_seconds_left{{of=\"{of}\"}} ");
        let value = text.lines().find_map(|text| text.strip_prefix(&line));
        value.unwrap_or_else(|| panic!("{of}: {text}")).parse().unwrap()
    }

    #[tokio::test]
    async fn a_new_pair_is_taken_up_once_both_halves_are_there_and_seconds_are_shown() {
        let folder = tempfile::tempdir().unwrap();
        let ca = TestCa::new("exampleshire.example".parse().unwrap());
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let clock: SharedClock = Arc::new(SettableClock::at(now));
        let domain = ca.trust_domain().clone();
        let files = ca.hub().write(&ca, folder.path(), "hub");
        let server = ServerTls::load(files.clone(), domain.clone(), Arc::clone(&clock)).unwrap();
        let client = ClientTls::load(files.clone(), domain.clone(), Arc::clone(&clock)).unwrap();
        let shown = Metrics::new("x");
        let metrics = CertificateMetrics::register(&shown);
        for of in KINDS {
            assert_eq!(seconds_left(&shown, of), 0);
        }
        let stop = CancellationToken::new();
        let reloading = Reloading {
            server: Arc::clone(&server),
            client: Arc::clone(&client),
            files: files.clone(),
            console: None,
            clock,
            metrics,
        };
        let running = tokio::spawn(keep_reloading(reloading, stop.clone()));
        let until = async |what: &str, mut done: Box<dyn FnMut() -> bool>| {
            let wait = async {
                while !done() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), wait).await.expect(what);
        };
        let metric = shown.clone();
        until("shown", Box::new(move || seconds_left(&metric, "authority") > 0)).await;

        let mut spec = ca.spec(&domain.hub());
        spec.valid_until = now + SignedDuration::from_hours(48);
        let new = ca.issue(&spec);
        // The certificate first: until its key is there, the former pair stays in use.
        fs::write(&files.certificate, &new.certificate_pem).unwrap();
        let (old, metric) = (server.expires(), shown.clone());
        until("looked at", Box::new(move || seconds_left(&metric, "own") > 48 * 3600)).await;
        assert_eq!(server.expires(), old);
        fs::write(&files.private_key, &new.key_pem).unwrap();
        let (taken, both) = (Arc::clone(&server), Arc::clone(&client));
        let wanted = spec.valid_until;
        until("taken up", Box::new(move || taken.expires() == wanted && both.expires() == wanted))
            .await;
        let metric = shown.clone();
        until("shown", Box::new(move || seconds_left(&metric, "own") == 48 * 3600)).await;
        stop.cancel();
        running.await.unwrap();
    }
}
