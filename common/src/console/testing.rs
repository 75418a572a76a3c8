//! A console without a program around it, and a browser, for tests: over real TLS, under a clock that the test sets.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "test support: a fault here is the test's"
)]

mod browser;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{Form, Router, extract::Path as Place, response::Response, routing::get};
use futures::future::BoxFuture;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub use self::browser::{Browser, Got, Jar};
use super::{
    Console, ConsoleConfig, ConsoleError, ConsoleHost, Ground, Link, Problem, Serving, SignInAct,
    Visit, accounts, one_time::OneTimeSecret, serve,
};
use crate::{
    audit::LogError,
    config,
    durable::Durable,
    id::StaffName,
    peer::TrustDomain,
    secret::SecretBytes,
    serve::WebLimits,
    status::to_status,
    testing::TestCa,
    time::{Clock as _, SettableClock, SharedClock, SignedDuration, Timestamp},
    wire::WireError,
};

/// The origin of the console, as browsers type it.
pub const ORIGIN: &str = "https://console.example";

/// A password that is long enough.
pub const PASSWORD: &str = "correct horse battery";

/// The program that the console is of: who its staff are, and what was recorded.
#[derive(Debug)]
pub struct Host {
    clock: Arc<SettableClock>,
    shared_clock: SharedClock,
    domain: TrustDomain,
    staff: Mutex<BTreeMap<StaffName, Vec<&'static str>>>,
    recorded: Mutex<Vec<(SignInAct, String)>>,
    log_fails: AtomicBool,
}

impl ConsoleHost for Host {
    fn clock(&self) -> &SharedClock {
        &self.shared_clock
    }

    fn trust_domain(&self) -> &TrustDomain {
        &self.domain
    }

    fn title(&self) -> String {
        "Program of exampleshire".to_owned()
    }

    fn environment(&self) -> Option<&'static str> {
        Some("test")
    }

    fn roles(&self, name: &StaffName) -> Vec<&'static str> {
        let staff = self.staff.lock().unwrap_or_else(PoisonError::into_inner);
        staff.get(name).cloned().unwrap_or_default()
    }

    fn places(&self, _: &[&'static str]) -> Vec<Link> {
        vec![Link::new("/thing", "Thing")]
    }

    fn record<'a>(
        &'a self,
        act: SignInAct,
        name: &'a StaffName,
    ) -> BoxFuture<'a, Result<(), LogError>> {
        Box::pin(async move {
            if self.log_fails.load(Ordering::SeqCst) {
                return Err(LogError::Unavailable);
            }
            let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
            recorded.push((act, name.to_string()));
            Ok(())
        })
    }
}

/// A console with its ground.
#[derive(Debug)]
pub struct Stage {
    folder: TempDir,
    /// Signs for the console, and for whatever else the test serves.
    pub ca: TestCa,
    host: Arc<Host>,
    config: String,
    /// What strangers may take of it.
    pub(crate) limits: WebLimits,
    running: Option<(Serving, CancellationToken)>,
}

impl Stage {
    /// A console at `now` with these staff, whose configuration has `more` beside what is needed. Nothing runs yet. `{folder}`
    /// in it is the stage's folder.
    #[must_use]
    pub fn new(now: Timestamp, staff: &[&str], more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let domain: TrustDomain = "exampleshire.example".parse().unwrap();
        let ca = TestCa::new(domain.clone());
        let mut spec = ca.spec(&domain.hub());
        spec.uris.clear();
        spec.dns_names.push("console.example".to_owned());
        ca.issue(&spec).write(&ca, folder.path(), "console");
        let config = format!(
            "listen = \"127.0.0.1:0\"\ncertificate = \"console.pem\"\nprivate_key = \"console.key\"\n{}",
            more.replace("{folder}", &folder.path().display().to_string())
        );
        let staff = staff.iter().map(|name| (name.parse().unwrap(), vec!["assessor"])).collect();
        let clock = Arc::new(SettableClock::at(now));
        let host = Arc::new(Host {
            shared_clock: clock.clone(),
            clock,
            domain,
            staff: Mutex::new(staff),
            recorded: Mutex::default(),
            log_fails: AtomicBool::new(false),
        });
        Self { folder, ca, host, config, limits: serve::LIMITS, running: None }
    }

    /// Adds to the configuration.
    pub fn add_config(&mut self, more: &str) {
        self.config.push_str(more);
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.host.clock.now()
    }

    /// Moves the clock.
    pub fn advance(&self, step: SignedDuration) {
        self.host.clock.advance(step);
    }

    /// Takes all roles from somebody.
    pub fn dismiss(&self, name: &str) {
        let mut staff = self.host.staff.lock().unwrap_or_else(PoisonError::into_inner);
        staff.remove(&name.parse::<StaffName>().unwrap());
    }

    /// The log can not be written from now on.
    pub fn fail_log(&self) {
        self.host.log_fails.store(true, Ordering::SeqCst);
    }

    /// What was recorded since the last look.
    #[must_use]
    pub fn recorded(&self) -> Vec<(SignInAct, String)> {
        let mut recorded = self.host.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut recorded)
    }

    /// Starts it; why it does not, where the configuration is wrong.
    ///
    /// # Errors
    /// See [`ConsoleError`].
    pub async fn try_start(&mut self) -> Result<SocketAddr, ConsoleError> {
        let path = self.folder().join("console.toml");
        std::fs::write(&path, &self.config).unwrap();
        let config: ConsoleConfig = config::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let store_key = SecretBytes::new([7; 32]);
        let store = Durable::open(&self.folder().join("store"), &store_key, 1 << 20).unwrap();
        let data = self.folder().to_owned();
        let host: Arc<dyn ConsoleHost> = self.host.clone();
        let console = Console::build(Ground { config, data, store, store_key }, host).await?;
        let stop = CancellationToken::new();
        let serving = console.limited(self.limits).serve(pages(), stop.clone())?;
        let address = serving.local_addr();
        self.running = Some((serving, stop));
        Ok(address)
    }

    /// Starts it. A browser that reaches it.
    pub async fn start(&mut self) -> Browser {
        let address = self.try_start().await.unwrap_or_else(|error| panic!("{error}"));
        let mut browser = Browser::new(&self.ca);
        browser.leads(ORIGIN, address);
        browser
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().0.local_addr()
    }

    /// Stops it.
    pub async fn stop(&mut self) {
        let (serving, stop) = self.running.take().unwrap();
        stop.cancel();
        serving.ended().await;
    }

    /// Invites somebody, who sets up their account and is signed in with it; the key of their app, as typed.
    pub async fn set_up(&self, browser: &mut Browser, name: &str) -> String {
        let staff: StaffName = name.parse().unwrap();
        let (code, _) = accounts::invite(self.folder(), &staff, self.now()).unwrap();
        let url = format!("{ORIGIN}/sign-in/set-up");
        let first = browser.post(&url, &[("name", name), ("invitation", &code)]).await;
        let key = between(&first.body, "<strong>Key:</strong> <code>", "</code>");
        let secret = between(&first.body, "name=\"secret\" value=\"", "\"");
        let digits = code_of(&key, self.now());
        let fields = [
            ("name", name),
            ("invitation", &code),
            ("secret", &secret),
            ("password", PASSWORD),
            ("again", PASSWORD),
            ("code", &digits),
        ];
        let done = browser.post(&url, &fields).await;
        assert_eq!(done.status, 303, "{}", done.body);
        key
    }

    /// Locks somebody's account, as the operator does.
    pub fn lock(&self, name: &str) {
        accounts::lock(self.folder(), &name.parse().unwrap(), self.now()).unwrap();
    }

    /// Removes somebody's account.
    pub fn remove(&self, name: &str) {
        accounts::remove(self.folder(), &name.parse().unwrap()).unwrap();
    }

    /// Invites somebody over the account they have.
    pub fn invite(&self, name: &str) {
        accounts::invite(self.folder(), &name.parse().unwrap(), self.now()).unwrap();
    }
}

/// A page, a form, and each problem.
fn pages() -> Router {
    async fn thing(visit: Visit) -> String {
        format!("thing of {} with {}", visit.name(), visit.csrf())
    }
    async fn changed(visit: Visit, Form(fields): Form<Vec<(String, String)>>) -> Response {
        visit.done("/thing", format!("{} fields", fields.len()))
    }
    let refused = || Problem::Refused { code: "SOME_CODE".to_owned(), text: "why <b>".to_owned() };
    Router::new()
        .route("/", get(thing))
        .route("/thing", get(thing).post(changed))
        .route("/refused", get(async move || refused()))
        .route("/not-allowed", get(async || Problem::NotAllowed("not yours".to_owned())))
        .route("/unavailable", get(async || Problem::Unavailable("the log is away".to_owned())))
        .route("/failed", get(async || Problem::Failed))
        .route("/things/{number}", get(async |number: Place<u64>| format!("thing {}", number.0)))
        .route("/misnamed", get(async || Problem::from(to_status(&WireError::Missing("thing")))))
}

/// The code that an authenticator app shows at `now` for a key, as the page for setting up writes it.
#[must_use]
pub fn code_of(key: &str, now: Timestamp) -> String {
    let key: String = key.split_whitespace().collect();
    let bytes = totp_rs::Secret::Encoded(key).to_bytes().unwrap();
    OneTimeSecret::from_bytes(&bytes).unwrap().code_at(now)
}

/// The first text between two others.
#[must_use]
pub fn between(text: &str, before: &str, after: &str) -> String {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}")).1;
    rest.split_once(after).unwrap_or_else(|| panic!("no {after} in {text}")).0.to_owned()
}
