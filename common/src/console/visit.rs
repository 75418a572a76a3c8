//! Whose request it is.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Redirect, Response},
};

use super::{
    Frame, Inner, Problem, assets,
    page::Link,
    sessions::{Key, Means, Session},
};
pub(super) use crate::serve::Address;
use crate::{id::StaffName, tls::Caller};

/// The session's cookie. `__Host-`: only from this host, over TLS, for every path (RFC 6265bis, section 4.1.3.2).
pub(super) const COOKIE: &str = "__Host-session";

/// The console, in every request.
#[derive(Clone)]
pub(super) struct Here(pub(super) Arc<Inner>);

/// The session of a request.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) key: Key,
    pub(super) session: Session,
    pub(super) roles: Vec<&'static str>,
}

/// Finds the session of a request, if its person still may do anything.
pub(super) async fn load(
    State(inner): State<Arc<Inner>>,
    mut request: Request,
    next: Next,
) -> Response {
    match current(&inner, request.headers()).await {
        Ok(Some(current)) => _ = request.extensions_mut().insert(current),
        Ok(None) => {}
        Err(problem) => return problem.into_response(),
    }
    request.extensions_mut().insert(Here(inner));
    next.run(request).await
}

async fn current(inner: &Arc<Inner>, headers: &HeaderMap) -> Result<Option<Current>, Problem> {
    let Some(token) = cookie(headers, COOKIE) else { return Ok(None) };
    let now = inner.host.clock().now();
    let Some((key, session)) = inner.sessions.of_token(token, now).await? else { return Ok(None) };
    let roles = inner.host.roles(&session.name);
    let stands = match &session.means {
        Means::Account(serial) => {
            inner.config.accounts && {
                // The account's file is read each time: a lock holds from the next request on.
                let (of, name) = (Arc::clone(inner), session.name.clone());
                let read = tokio::task::spawn_blocking(move || of.accounts.serial(&name));
                read.await.map_err(|_| Problem::Failed)?.as_ref() == Some(serial)
            }
        }
        Means::Service => inner.service.is_some(),
    };
    if roles.is_empty() || !stands {
        inner.sessions.end(key).await?;
        return Ok(None);
    }
    Ok(Some(Current { key, session, roles }))
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Sends whoever has not signed in to the page for it.
pub(super) async fn only_signed_in(request: Request, next: Next) -> Response {
    if request.extensions().get::<Current>().is_some() {
        return next.run(request).await;
    }
    if request.method() != Method::GET {
        return Problem::NotSignedIn.into_response();
    }
    // References only: an address never says anything about anybody.
    let wanted = request.uri().path();
    if wanted == "/" {
        return Redirect::to("/sign-in").into_response();
    }
    Redirect::to(&format!("/sign-in?next={}", wanted.replace('&', "%26"))).into_response()
}

/// Somebody who has signed in, on a page.
#[derive(Clone)]
pub struct Visit {
    inner: Arc<Inner>,
    current: Current,
    path: String,
}

impl std::fmt::Debug for Visit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Visit({})", self.current.session.name)
    }
}

impl Visit {
    /// Who.
    #[must_use]
    pub const fn name(&self) -> &StaffName {
        &self.current.session.name
    }

    /// Whether they have the role of this word.
    #[must_use]
    pub fn has(&self, role: &str) -> bool {
        self.current.roles.contains(&role)
    }

    /// A request to one of the program's own services, as this person: it is checked and recorded there like one that came with
    /// their certificate.
    pub fn request<T>(&self, message: T) -> tonic::Request<T> {
        let (inner, key) = (Arc::clone(&self.inner), self.current.key);
        let name = inner.host.trust_domain().person(self.current.session.name.clone());
        let stands = move || inner.sessions.stands(&key, inner.host.clock().now());
        let mut request = tonic::Request::new(message);
        request.extensions_mut().insert(Caller::signed_in(name, Arc::new(stands)));
        request
    }

    /// The frame of a page with this title.
    #[must_use]
    pub fn frame(&self, title: impl Into<String>) -> Frame {
        let mut frame = Frame::new(&self.inner, title);
        let mut places = self.inner.host.places(&self.current.roles);
        for place in &mut places {
            place.current = is_below(&self.path, &place.address);
        }
        frame.places = places;
        frame.person = Some(self.current.session.name.to_string());
        frame.csrf.clone_from(&self.current.session.csrf);
        frame.notice = self.inner.sessions.told(&self.current.key);
        frame
    }

    /// What forms within a part of a page carry.
    #[must_use]
    pub fn csrf(&self) -> &str {
        &self.current.session.csrf
    }

    /// After something was done: goes to `address`, and says there what.
    #[must_use]
    pub fn done(&self, address: &str, notice: impl Into<String>) -> Response {
        self.inner.sessions.tell(&self.current.key, notice.into());
        Redirect::to(address).into_response()
    }
}

/// Whether a page belongs to a place.
fn is_below(path: &str, place: &str) -> bool {
    path == place
        || (place != "/" && path.strip_prefix(place).is_some_and(|rest| rest.starts_with('/')))
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let current = parts.extensions.get::<Current>().cloned().ok_or(Problem::NotSignedIn)?;
        let Here(inner) = parts.extensions.get::<Here>().cloned().ok_or(Problem::Failed)?;
        Ok(Self { inner, current, path: parts.uri.path().to_owned() })
    }
}

impl Frame {
    /// A page of somebody who has not signed in, or of whom it does not matter.
    pub(super) fn new(inner: &Inner, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            program: inner.host.title(),
            environment: inner.host.environment(),
            places: Vec::<Link>::new(),
            person: None,
            csrf: String::new(),
            notice: None,
            style: assets::address("console.css"),
            icon: assets::address("icon.svg"),
            script: assets::address("console.js"),
            missing: assets::missing(),
        }
    }
}
