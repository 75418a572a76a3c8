//! Signing in with the organisation's own service, by OpenID Connect: the authorisation code flow with PKCE.
//!
//! The service says who somebody is and nothing else: what they may do comes from the program's configuration, for the member of
//! staff whose name one claim of the token is. A second factor is the service's matter; an operator may require that the token says
//! so.
//!
//! The tokens are checked here, with ring, rather than by a crate for OpenID Connect: what is used of it is one flow, and the crate
//! there is would bring four signature libraries beside the one the project has.

mod flow;
mod provider;
mod token;

use std::sync::Arc;

use askama::Template;
use axum::{
    Extension,
    extract::{Query, RawQuery},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
};
use serde_json::Value;

use self::{
    flow::{Flow, Flows},
    provider::{Look, Provider, ServiceError},
    token::{Expected, TokenError, verify},
};
use super::{
    Frame, Inner, Problem, SignInServiceConfig, page,
    sessions::Means,
    sign_in::{Next, SignInAct, inside, record, session_cookie, sign_in_page},
    visit::{Address, Here, cookie},
};
use crate::{fetch::https, id::StaffName, time::SharedClock};

/// Where the service sends people back to, below the console's origin.
const CALLBACK: &str = "/sign-in/service/callback";

/// The sign-in service of a console.
pub(crate) struct ServiceSignIn {
    config: SignInServiceConfig,
    provider: Provider,
    flows: Flows,
    redirect: String,
}

impl ServiceSignIn {
    /// Checks the configuration and reads its files; asks nobody yet. Blocks on the disk.
    ///
    /// # Errors
    /// What is wrong, with the option's name.
    pub(super) fn open(config: &SignInServiceConfig, clock: &SharedClock) -> Result<Self, String> {
        if https(&config.issuer).is_none_or(|issuer| issuer.query().is_some()) {
            return Err(format!("issuer: `{}` is not an https address", config.issuer));
        }
        let origin = https(&config.redirect).filter(|uri| {
            uri.path() == "/" && uri.query().is_none() && !config.redirect.ends_with('/')
        });
        if origin.is_none() {
            return Err(format!(
                "redirect: `{}` is not the console's origin, `https://name` without a path",
                config.redirect
            ));
        }
        let texts =
            [("client_id", &config.client_id), ("claim", &config.claim), ("label", &config.label)];
        if let Some((option, _)) = texts.iter().find(|(_, text)| text.trim().is_empty()) {
            return Err(format!("{option}: it is empty"));
        }
        Ok(Self {
            config: config.clone(),
            provider: Provider::open(config, clock)?,
            flows: Flows::new().map_err(|error| error.to_string())?,
            redirect: format!("{}{CALLBACK}", config.redirect),
        })
    }

    /// Words for the button.
    pub(super) fn label(&self) -> &str {
        &self.config.label
    }

    /// The address of the service's page for this sign-in.
    fn address(&self, authorization: &http::Uri, flow: &Flow) -> String {
        let scopes = std::iter::once("openid").chain(self.config.scopes.iter().map(String::as_str));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", &self.redirect)
            .append_pair("scope", &scopes.collect::<Vec<_>>().join(" "))
            .append_pair("state", &flow.state)
            .append_pair("nonce", &flow.nonce)
            .append_pair("code_challenge", &flow.challenge())
            .append_pair("code_challenge_method", "S256");
        if !self.config.acr.is_empty() {
            query.append_pair("acr_values", &self.config.acr.join(" "));
        }
        let between = if authorization.query().is_some() { '&' } else { '?' };
        format!("{authorization}{between}{}", query.finish())
    }

    /// The name that a claim is; `None`: it names nobody who could be one of the staff.
    fn name(&self, claims: &serde_json::Map<String, Value>) -> Option<StaffName> {
        let claim = claims.get(&self.config.claim)?.as_str()?;
        // Directories write names as they were typed; names of the staff are in lower case.
        let claim = claim.to_ascii_lowercase();
        match &self.config.domain {
            None => claim.parse().ok(),
            Some(domain) => {
                let (name, of) = claim.rsplit_once('@')?;
                (of == domain.to_ascii_lowercase()).then(|| name.parse().ok())?
            }
        }
    }

    /// Redeems a code and checks the token that it brings.
    async fn claims(
        &self,
        code: &str,
        flow: &Flow,
        clock: &SharedClock,
    ) -> Result<serde_json::Map<String, Value>, Refused> {
        let token = self.provider.redeem(code, flow, &self.redirect).await?;
        let expected = Expected {
            issuer: &self.config.issuer,
            client_id: &self.config.client_id,
            nonce: &flow.nonce,
            acr: &self.config.acr,
            amr: &self.config.amr,
            now: clock.now(),
        };
        let keys = self.provider.keys(Look::Kept).await?;
        match verify(&token, &keys, &expected) {
            // The service may have changed its keys since they were asked for.
            Err(TokenError::NoKey | TokenError::Signature) => {
                let keys = self.provider.keys(Look::Anew).await?;
                Ok(verify(&token, &keys, &expected)?)
            }
            checked => Ok(checked?),
        }
    }
}

/// Why somebody who comes back from the service is not let in.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the sign-in service: {0}")]
    Service(#[from] ServiceError),
    #[error("the sign-in service's token: {0}")]
    Token(#[from] TokenError),
}

impl Refused {
    /// What the person is told.
    const fn text(&self) -> &'static str {
        match self {
            Self::Token(TokenError::SecondFactor) => {
                "The sign-in service did not ask you for a second factor, which is needed here. Sign in again with one, or ask your operator."
            }
            Self::Service(ServiceError::CodeRefused) => {
                "The sign-in service did not accept this sign-in any more. Start again."
            }
            Self::Service(_) => {
                "The sign-in service does not answer as it should. Try again; if it happens again, tell your operator."
            }
            Self::Token(_) => {
                "What the sign-in service said can not be accepted. Start again; if it happens again, tell your operator."
            }
        }
    }
}

/// `GET /sign-in/service`: sends somebody to the service.
pub(super) async fn begin(
    Extension(Here(inner)): Extension<Here>,
    Query(to): Query<Next>,
) -> Result<Response, Problem> {
    let service = inner.service.as_ref().ok_or(Problem::NotFound)?;
    let now = inner.host.clock().now();
    let described = service.provider.described().await.map_err(|error| {
        tracing::warn!(%error, "the sign-in service does not serve");
        let instead = if inner.config.accounts {
            "sign in with a local account if you have one, or try again later"
        } else {
            "try again later, or tell your operator"
        };
        Problem::Unavailable(format!("the sign-in service does not answer; {instead}"))
    })?;
    let (flow, sealed) = service.flows.begin(inside(&to.next), now).map_err(|_| Problem::Failed)?;
    let mut response =
        Redirect::to(&service.address(&described.authorization, &flow)).into_response();
    set_cookie(&mut response, &flow_cookie(&sealed, flow::WITHIN.as_secs()));
    Ok(response)
}

#[derive(Template)]
#[template(path = "signed_in.html")]
struct SignedInPage {
    frame: Frame,
    next: String,
}

/// `GET /sign-in/service/callback`: somebody comes back.
pub(super) async fn callback(
    Extension(Here(inner)): Extension<Here>,
    Extension(Address(from)): Extension<Address>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let service = inner.service.as_ref().ok_or(Problem::NotFound)?;
    let now = inner.host.clock().now();
    let said = Said::read(query.as_deref().unwrap_or_default());
    let flow = cookie(&headers, flow::COOKIE).and_then(|sealed| service.flows.open(sealed, now));
    let (Some(said), Some(flow)) = (said, flow) else {
        return Ok(refuse(
            &inner,
            "This sign-in was not begun here, or took longer than 10 minutes. Start again.",
        ));
    };
    if !flow.is_of(&said.state) {
        return Ok(refuse(
            &inner,
            "This sign-in was not begun here, or took longer than 10 minutes. Start again.",
        ));
    }
    // RFC 9207: an answer of another service, led here by mistake or on purpose.
    let described = service.provider.described().await.ok();
    let names_itself = described.is_some_and(|described| described.names_itself);
    if said.iss.as_ref().map_or(names_itself, |iss| *iss != service.config.issuer) {
        return Ok(refuse(&inner, Refused::Token(TokenError::Issuer).text()));
    }
    let Some(code) = said.code else {
        return Ok(refuse(&inner, "The sign-in service did not sign you in."));
    };
    // Each try asks the service; the name is not known yet, so that it counts for the address alone.
    if inner.throttle.attempt(&flow.state, from.ip(), now).is_err() {
        return Ok(refuse(&inner, "There were too many tries. Wait 15 minutes, then try again."));
    }
    let claims = match service.claims(&code, &flow, inner.host.clock()).await {
        Ok(claims) => claims,
        Err(refused) => {
            tracing::warn!(%refused, "somebody was not signed in");
            return Ok(refuse(&inner, refused.text()));
        }
    };
    inner.throttle.succeeded(&flow.state, from.ip());
    let name = service.name(&claims).filter(|name| !inner.host.roles(name).is_empty());
    let Some(name) = name else {
        // Who they are is not recorded: they are nobody's staff here.
        tracing::warn!("somebody whom the sign-in service knows is not one of the staff");
        return Ok(refuse(
            &inner,
            "The sign-in service knows you, but you are not listed here. Ask your operator.",
        ));
    };
    if !service.flows.use_up(&flow, now) {
        record(&inner, SignInAct::Refused, &name).await?;
        return Ok(refuse(&inner, "This sign-in was used already. Start again."));
    }
    record(&inner, SignInAct::SignedIn, &name).await?;
    let token = inner.sessions.begin(name, Means::Service, now, None).await?;
    // Not a redirect: the browser came from another site, and would not send the session's strict cookie with one.
    let mut response =
        page(&SignedInPage { frame: Frame::new(&inner, "You have signed in"), next: flow.next });
    set_cookie(&mut response, &session_cookie(&token));
    set_cookie(&mut response, &flow_cookie("", 0));
    Ok(response)
}

/// What the service says with somebody who comes back.
struct Said {
    state: String,
    code: Option<String>,
    iss: Option<String>,
}

impl Said {
    /// `None`: something is said twice (RFC 6749, section 3.1), or there is no state.
    fn read(query: &str) -> Option<Self> {
        let (mut state, mut code, mut iss) = (None, None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match name.as_ref() {
                "state" => &mut state,
                "code" => &mut code,
                "iss" => &mut iss,
                _ => continue,
            };
            if place.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        Some(Self { state: state?, code, iss })
    }
}

fn refuse(inner: &Arc<Inner>, text: &str) -> Response {
    let mut response = sign_in_page(inner, "", "", Some(text.to_owned()));
    *response.status_mut() = StatusCode::FORBIDDEN;
    set_cookie(&mut response, &flow_cookie("", 0));
    response
}

fn flow_cookie(sealed: &str, seconds: u64) -> String {
    format!("{}={sealed}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}", flow::COOKIE)
}

fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
