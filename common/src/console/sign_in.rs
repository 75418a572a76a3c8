//! The pages for signing in with a local account, for setting one up, and signing out.
//!
//! Whoever is refused learns only that: not whether the name, the password or the code was wrong.

use std::{fmt, net::IpAddr, sync::Arc};

use askama::Template;
use axum::{
    Extension, Form,
    extract::Query,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;
use zeroize::Zeroize;

use super::{
    Frame, Inner, Problem,
    accounts::{AccountError, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS},
    one_time::OneTimeSecret,
    page,
    sessions::Means,
    visit::{Address, COOKIE, Current, Here},
};
use crate::{
    audit::entry::{Action, EntryDraft},
    id::StaffName,
    time::Timestamp,
};

/// The longest path that somebody is sent on to, in bytes.
const MAX_NEXT_BYTES: usize = 200;

/// What happened at the door, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInAct {
    /// Somebody signed in.
    SignedIn,
    /// Somebody signed out.
    SignedOut,
    /// Somebody gave the name of one of the staff and was refused.
    Refused,
    /// There were too many failures for a name of the staff.
    LockedOut,
    /// An invited person set up their account.
    SetUp,
}

impl SignInAct {
    /// The entry that records it, as an act of this member of staff.
    #[must_use]
    pub fn entry(self, name: StaffName) -> EntryDraft {
        let (action, decision) = match self {
            Self::SignedIn => (Action::SignedIn, None),
            Self::SignedOut => (Action::SignedOut, None),
            Self::Refused => (Action::SignInRefused, Some("refused")),
            Self::LockedOut => (Action::SignInRefused, Some("locked_out")),
            Self::SetUp => (Action::AccountSetUp, None),
        };
        let mut draft = EntryDraft::new(action);
        draft.decision = decision.and_then(|word| word.parse().ok());
        // Not in any of their roles: those begin behind the door.
        match "console".parse() {
            Ok(role) => draft.by(name, role),
            Err(_) => draft,
        }
    }
}

/// A text that is wiped when it is done with, and never shown.
#[derive(Default, Deserialize)]
#[serde(transparent)]
struct SecretText(String);

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    pub(super) next: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct SignIn {
    name: String,
    password: SecretText,
    code: String,
    #[serde(default)]
    next: String,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    next: String,
    name: String,
    error: Option<String>,
    /// Whether there are local accounts.
    accounts: bool,
    /// Words for the button of the sign-in service, where there is one.
    service: Option<String>,
}

/// The page for signing in; `error` says why somebody sees it again.
pub(super) fn sign_in_page(
    inner: &Inner,
    next: &str,
    name: &str,
    error: Option<String>,
) -> Response {
    let title = if error.is_some() { "Error: Sign in" } else { "Sign in" };
    page(&SignInPage {
        frame: Frame::new(inner, title),
        next: inside(next).to_owned(),
        name: name.to_owned(),
        error,
        accounts: inner.config.accounts,
        service: inner.service.as_ref().map(|service| service.label().to_owned()),
    })
}

/// `GET /sign-in`
pub(super) async fn show(
    Extension(Here(inner)): Extension<Here>,
    current: Option<Extension<Current>>,
    Query(to): Query<Next>,
) -> Response {
    if current.is_some() {
        return Redirect::to("/").into_response();
    }
    sign_in_page(&inner, &to.next, "", None)
}

/// `POST /sign-in`
pub(super) async fn sign_in(
    Extension(Here(inner)): Extension<Here>,
    Extension(Address(from)): Extension<Address>,
    Form(form): Form<SignIn>,
) -> Result<Response, Problem> {
    only_with_accounts(&inner)?;
    match try_sign_in(&inner, from.ip(), &form).await? {
        Ok(token) => Ok(let_in(&token, &form.next)),
        Err(error) => {
            let mut response = sign_in_page(&inner, &form.next, &form.name, Some(error));
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(response)
        }
    }
}

/// The session's token, or what to say.
async fn try_sign_in(
    inner: &Arc<Inner>,
    from: IpAddr,
    form: &SignIn,
) -> Result<Result<String, String>, Problem> {
    let now = inner.host.clock().now();
    // Only names of the staff are ever recorded: what is typed into the field may be a password.
    let name: Option<StaffName> = form.name.trim().parse().ok();
    let name = name.filter(|name| !inner.host.roles(name).is_empty());
    if inner.throttle.attempt(form.name.trim(), from, now).is_err() {
        record_refusal(inner, SignInAct::LockedOut, name.as_ref()).await?;
        return Ok(Err("There were too many tries. Wait 15 minutes, then try again.".to_owned()));
    }
    let opened = {
        let (inner, name) = (Arc::clone(inner), name.clone());
        let password = SecretText(form.password.0.chars().take(MAX_PASSWORD_BYTES).collect());
        let check = move || inner.accounts.check(name.as_ref(), &password.0);
        tokio::task::spawn_blocking(check).await.map_err(|_| Problem::Failed)?
    };
    let code: String = form.code.chars().filter(|c| !c.is_whitespace()).collect();
    let step = opened.as_ref().and_then(|opened| opened.secret.step_of(&code, now));
    let (Some(name), Some(opened), Some(step)) = (name.clone(), opened, step) else {
        record_refusal(inner, SignInAct::Refused, name.as_ref()).await?;
        return Ok(Err("The name, the password or the code is wrong.".to_owned()));
    };
    if inner.sessions.last_step(&name).await?.is_some_and(|last| step <= last) {
        record_refusal(inner, SignInAct::Refused, Some(&name)).await?;
        return Ok(Err("This code was used already. Wait for the next one.".to_owned()));
    }
    record(inner, SignInAct::SignedIn, &name).await?;
    let means = Means::Account(opened.serial);
    let token = inner.sessions.begin(name, means, now, Some(step)).await?;
    inner.throttle.succeeded(form.name.trim(), from);
    Ok(Ok(token))
}

/// Nobody signs in with an account where there are none.
fn only_with_accounts(inner: &Inner) -> Result<(), Problem> {
    if inner.config.accounts { Ok(()) } else { Err(Problem::NotFound) }
}

/// Where somebody wanted to go, if it is a page of this site; the first page otherwise.
pub(super) fn inside(next: &str) -> &str {
    let inside = next.starts_with('/')
        && !next.starts_with("//")
        && next.len() <= MAX_NEXT_BYTES
        && next.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.".contains(&b));
    if inside { next } else { "/" }
}

/// The cookie of a session.
pub(super) fn session_cookie(token: &str) -> String {
    format!("{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict")
}

/// Sets the cookie and goes to where somebody wanted to go, within this site.
fn let_in(token: &str, next: &str) -> Response {
    let mut response = Redirect::to(inside(next)).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&session_cookie(token)) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// `POST /sign-out`
pub(super) async fn sign_out(
    Extension(Here(inner)): Extension<Here>,
    Extension(current): Extension<Current>,
) -> Result<Response, Problem> {
    inner.sessions.end(current.key).await?;
    record(&inner, SignInAct::SignedOut, &current.session.name).await?;
    let mut response = Redirect::to("/sign-in").into_response();
    let cookie = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

#[derive(Debug, Deserialize)]
pub(super) struct SetUp {
    name: String,
    invitation: SecretText,
    #[serde(default)]
    password: SecretText,
    #[serde(default)]
    again: SecretText,
    /// The one-time secret that the page showed, in base 64. It is the person's own until the account is set up.
    #[serde(default)]
    secret: SecretText,
    #[serde(default)]
    code: String,
}

#[derive(Template)]
#[template(path = "set_up.html")]
struct SetUpPage {
    frame: Frame,
    name: String,
    invitation: String,
    error: Option<String>,
    min_chars: usize,
    /// Present once the invitation is checked.
    secret: Option<Shown>,
}

struct Shown {
    encoded: String,
    to_type: String,
    drawing: String,
}

/// `GET /sign-in/set-up`
pub(super) async fn show_set_up(
    Extension(Here(inner)): Extension<Here>,
) -> Result<Response, Problem> {
    only_with_accounts(&inner)?;
    let frame = Frame::new(&inner, "Set up your account");
    Ok(page(&SetUpPage {
        frame,
        name: String::new(),
        invitation: String::new(),
        error: None,
        min_chars: MIN_PASSWORD_CHARS,
        secret: None,
    }))
}

/// `POST /sign-in/set-up`: first with the invitation, then with the password and a code of the app as well.
pub(super) async fn set_up(
    Extension(Here(inner)): Extension<Here>,
    Extension(Address(from)): Extension<Address>,
    Form(form): Form<SetUp>,
) -> Result<Response, Problem> {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    only_with_accounts(&inner)?;
    let now = inner.host.clock().now();
    let refused = |error: &str, secret: Option<Shown>| {
        let mut response = page(&SetUpPage {
            frame: Frame::new(&inner, "Error: Set up your account"),
            name: form.name.clone(),
            invitation: if secret.is_some() { form.invitation.0.clone() } else { String::new() },
            error: Some(error.to_owned()),
            min_chars: MIN_PASSWORD_CHARS,
            secret,
        });
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        Ok(response)
    };
    if inner.throttle.attempt(form.name.trim(), from.ip(), now).is_err() {
        return refused("There were too many tries. Wait 15 minutes, then try again.", None);
    }
    let name: Option<StaffName> = form.name.trim().parse().ok();
    let name = name.filter(|name| !inner.host.roles(name).is_empty());
    let code = form.invitation.0.trim();
    let Some(name) = name.filter(|name| inner.accounts.is_invited(name, code, now)) else {
        return refused(
            "The name or the invitation is wrong, or its time is over. Ask your operator for another.",
            None,
        );
    };
    inner.throttle.succeeded(form.name.trim(), from.ip());
    let given = BASE64_STANDARD.decode(&form.secret.0).ok();
    let given = given.and_then(|bytes| OneTimeSecret::from_bytes(&bytes));
    let first = given.is_none();
    let secret = match given {
        Some(secret) => secret,
        None => OneTimeSecret::random().map_err(|_| Problem::Failed)?,
    };
    let shown = Shown {
        encoded: BASE64_STANDARD.encode(secret.expose()),
        to_type: secret.to_type(),
        drawing: secret.drawing(&inner.host.title(), name.as_str()),
    };
    if first {
        return Ok(page(&SetUpPage {
            frame: Frame::new(&inner, "Set up your account"),
            name: name.to_string(),
            invitation: form.invitation.0.clone(),
            error: None,
            min_chars: MIN_PASSWORD_CHARS,
            secret: Some(shown),
        }));
    }
    let password = &form.password.0;
    if password.chars().count() < MIN_PASSWORD_CHARS || password.len() > MAX_PASSWORD_BYTES {
        return refused(
            "Choose a password of at least 12 characters. Three or four words are easy to remember.",
            Some(shown),
        );
    }
    if *password != form.again.0 {
        return refused("The two passwords are not the same.", Some(shown));
    }
    let digits: String = form.code.chars().filter(|c| !c.is_whitespace()).collect();
    let Some(step) = secret.step_of(&digits, now) else {
        return refused(
            "The code is not the one that the app shows now. Enter the six digits before they change.",
            Some(shown),
        );
    };
    let serial = finish(&inner, &name, password, &secret, now).await?;
    let token = inner.sessions.begin(name, Means::Account(serial), now, Some(step)).await?;
    Ok(let_in(&token, "/"))
}

async fn finish(
    inner: &Arc<Inner>,
    name: &StaffName,
    password: &str,
    secret: &OneTimeSecret,
    now: Timestamp,
) -> Result<String, Problem> {
    record(inner, SignInAct::SetUp, name).await?;
    let (inner, name, secret) = (Arc::clone(inner), name.clone(), secret.clone());
    let password = SecretText(password.to_owned());
    let write = move || inner.accounts.set_up(&name, &password.0, &secret, now);
    let written = tokio::task::spawn_blocking(write).await.map_err(|_| Problem::Failed)?;
    written.map_err(|error: AccountError| {
        tracing::error!(%error, "an account can not be set up");
        Problem::Failed
    })
}

async fn record_refusal(
    inner: &Arc<Inner>,
    act: SignInAct,
    name: Option<&StaffName>,
) -> Result<(), Problem> {
    match name {
        Some(name) => record(inner, act, name).await,
        None => Ok(()),
    }
}

/// Nobody is let in, or told anything, before it is in the log.
pub(super) async fn record(
    inner: &Arc<Inner>,
    act: SignInAct,
    name: &StaffName,
) -> Result<(), Problem> {
    let unavailable = |_| {
        Problem::Unavailable(
            "the log can not be written, so nobody can sign in or out; try again later".to_owned(),
        )
    };
    inner.host.record(act, name).await.map_err(unavailable)
}
