//! The console of a program: pages for the people who use it, served by the program itself.
//!
//! This module is what hub and node share: TLS for browsers, signing in, sessions, the guard against forged requests, security
//! headers, the frame of a page. What the pages show is each program's own (`hub/src/console`, `agency-node/src/console`), and
//! what they do goes through the same services as the command line, with the same checks and the same entries in the log: a page
//! never knows more than a call.
//!
//! INVARIANTS
//! - A page other than those for signing in is made only for a [`Visit`]: somebody who has signed in, is one of the staff, and
//!   whose session and account still stand.
//! - Nothing that changes anything is done for a request that another site could have made (`guard`).
//! - Nothing of others' text reaches a page unescaped; the policy of every answer lets no script run but ours (`headers`).
//! - Addresses carry references only, never what is said about anybody.
//! - Pages are never stored by the browser or anything between.

pub mod accounts;
mod assets;
pub mod command;
mod config;
mod form;
mod guard;
mod headers;
mod one_time;
mod page;
mod problem;
mod serve;
mod service_sign_in;
mod sessions;
pub mod shown;
mod sign_in;
#[cfg(feature = "test-util")]
pub mod testing;
#[cfg(test)]
mod tests;
mod throttle;
mod visit;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{Router, middleware, routing::get};
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::limit::GlobalConcurrencyLimitLayer;

use self::{
    accounts::Accounts, service_sign_in::ServiceSignIn, sessions::Sessions, throttle::Throttle,
};
pub use self::{
    config::{ConsoleConfig, SignInServiceConfig},
    form::{Choice, Form, MAX_FIELDS, Wrong, form_page},
    page::{Frame, Link, page},
    problem::Problem,
    serve::{ConsoleError, Serving},
    sign_in::SignInAct,
    visit::Visit,
};
use crate::{
    audit::LogError,
    durable::{Durable, StoreError},
    id::StaffName,
    peer::TrustDomain,
    secret::SecretBytes,
    serve::WebLimits,
    time::SharedClock,
};

/// The folder of accounts, within a program's data.
pub const FOLDER: &str = "console";

/// Requests whose answers are being made at one time; others wait for their turn.
const MAX_REQUESTS: usize = 128;

/// What a program gives its console.
pub trait ConsoleHost: Send + Sync + 'static {
    /// The source of time.
    fn clock(&self) -> &SharedClock;

    /// Whose names count.
    fn trust_domain(&self) -> &TrustDomain;

    /// Which program this is, as people call it, for example `Hub of exampleshire`.
    fn title(&self) -> String;

    /// A word for the environment when it is not for real people, for example `test`; shown on every page.
    fn environment(&self) -> Option<&'static str>;

    /// The words of the roles of a member of staff; empty: they are none.
    fn roles(&self, name: &StaffName) -> Vec<&'static str>;

    /// Where somebody with these roles can go, in order.
    fn places(&self, roles: &[&'static str]) -> Vec<Link>;

    /// Records that one of the staff signed in or out, or was refused. Nobody is let in before it is durable.
    ///
    /// # Errors
    /// When it can not be recorded.
    fn record<'a>(
        &'a self,
        act: SignInAct,
        name: &'a StaffName,
    ) -> BoxFuture<'a, Result<(), LogError>>;
}

/// What is needed to run a console.
#[derive(Debug)]
pub struct Ground {
    /// The operator's configuration.
    pub config: ConsoleConfig,
    /// The program's data folder.
    pub data: PathBuf,
    /// The program's store: sessions are kept in it.
    pub store: Durable,
    /// The store's key: seals what accounts keep secret.
    pub store_key: SecretBytes<32>,
}

/// Everything that serves requests shares this.
pub(crate) struct Inner {
    pub(crate) host: Arc<dyn ConsoleHost>,
    pub(crate) config: ConsoleConfig,
    pub(crate) accounts: Accounts,
    pub(crate) service: Option<ServiceSignIn>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) throttle: Throttle,
}

/// A console that is ready to run.
pub struct Console {
    inner: Arc<Inner>,
    listener: TcpListener,
    tls: serve::BrowserTls,
    limits: WebLimits,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

/// Builds the console that a program's configuration asks for; `None`: it asks for none. `store` is the program's, with its key.
///
/// # Errors
/// As [`Console::build`].
pub async fn configured(
    config: Option<&ConsoleConfig>,
    data: &Path,
    (store, store_key): (&Durable, SecretBytes<32>),
    host: impl ConsoleHost,
) -> Result<Option<Console>, ConsoleError> {
    let Some(config) = config.cloned() else { return Ok(None) };
    let ground = Ground { config, data: data.to_owned(), store: store.clone(), store_key };
    Console::build(ground, Arc::new(host)).await.map(Some)
}

impl Console {
    /// Reads the certificate, the accounts and the sessions, and listens. Nothing is served yet. Blocks on the disk.
    ///
    /// # Errors
    /// When something is missing or wrong; the error says what and where.
    pub async fn build(ground: Ground, host: Arc<dyn ConsoleHost>) -> Result<Self, ConsoleError> {
        let Ground { config, data, store, store_key } = ground;
        let tls = serve::BrowserTls::load(&config)?;
        let service = service_of(&config, host.clock())?;
        let listener = serve::listen(config.listen).await?;
        let accounts = Accounts::open(&data, &store_key).map_err(ConsoleError::Accounts)?;
        let sessions = Arc::new(Sessions::open(store, &config).map_err(ConsoleError::Store)?);
        if let Some(missing) = assets::missing() {
            tracing::warn!(missing, "the console has no style: run deploy/assets, build again");
        }
        let throttle = Throttle::default();
        let inner = Arc::new(Inner { host, config, accounts, service, sessions, throttle });
        Ok(Self { inner, listener, tls, limits: serve::LIMITS })
    }

    /// Where browsers reach it.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// With other limits, for tests.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) const fn limited(mut self, limits: WebLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves `pages`, behind signing in, until `shutdown`.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn serve(
        self,
        pages: Router,
        shutdown: CancellationToken,
    ) -> Result<Serving, ConsoleError> {
        let Self { inner, listener, tls, limits } = self;
        tracing::info!(address = %listener.local_addr().map_err(ConsoleError::Address)?, "console");
        Serving::start(listener, tls, router(&inner, pages), limits, shutdown)
    }
}

/// The sign-in service that is configured. Blocks on the disk.
fn service_of(
    config: &ConsoleConfig,
    clock: &SharedClock,
) -> Result<Option<ServiceSignIn>, ConsoleError> {
    let Some(service) = &config.sign_in_service else {
        return if config.accounts { Ok(None) } else { Err(ConsoleError::NobodySignsIn) };
    };
    ServiceSignIn::open(service, clock).map(Some).map_err(ConsoleError::SignInService)
}

/// What would keep a console with this configuration from being served, without listening. Blocks on the disk.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(config: &ConsoleConfig, clock: &SharedClock) -> Result<(), ConsoleError> {
    serve::BrowserTls::load(config)?;
    service_of(config, clock).map(drop)
}

/// Pages behind signing in, and the few that are not.
fn router(inner: &Arc<Inner>, pages: Router) -> Router {
    let behind = pages
        .route("/sign-out", axum::routing::post(sign_in::sign_out))
        .fallback(async || Problem::NotFound)
        .layer(middleware::from_fn(visit::only_signed_in));
    Router::new()
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-in/service", get(service_sign_in::begin))
        .route("/sign-in/service/callback", get(service_sign_in::callback))
        .route("/sign-in/set-up", get(sign_in::show_set_up).post(sign_in::set_up))
        .route("/assets/{version}/{name}", get(assets::serve))
        .merge(behind)
        // From the last to the first as a request meets them.
        .layer(middleware::from_fn(guard::guard))
        .layer(middleware::from_fn(problem::render))
        .layer(middleware::from_fn_with_state(Arc::clone(inner), visit::load))
        .layer(middleware::from_fn(headers::add))
        .layer(GlobalConcurrencyLimitLayer::new(MAX_REQUESTS))
        .layer(axum::extract::DefaultBodyLimit::max(guard::MAX_BODY_BYTES))
}

impl From<StoreError> for Problem {
    fn from(_: StoreError) -> Self {
        Self::Failed
    }
}
