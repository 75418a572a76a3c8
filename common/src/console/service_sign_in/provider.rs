//! The service as it describes itself: where to send people, where to redeem a code, which keys sign. Asked for when it is needed,
//! so that a program starts while its service is away, and kept for an hour.

use std::{path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, Uri};
use serde::Deserialize;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::{flow::Flow, token::Keys};
use crate::{
    console::SignInServiceConfig,
    fetch::{Answer, Bounds, Fetch, NoAnswer, https, read_secret_file},
    time::{SharedClock, Timestamp},
};

/// How long what a service says of itself is kept.
const KEPT: Duration = Duration::from_secs(3600);
/// How long a failure is: a service that is away does not keep everybody waiting, one after the other.
const FAILURE_KEPT: Duration = Duration::from_secs(10);
/// What it answers in.
const JSON: &str = "application/json";
/// What one request may take: key sets of large services are below 50 KiB.
const BOUNDS: Bounds = Bounds { within: Duration::from_secs(10), answer_bytes: 256 * 1024 };
/// How soon its keys are asked for again because a token names one that is not known.
const KEYS_AGAIN: Duration = Duration::from_secs(60);

/// Why the service does not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ServiceError {
    #[error("{0}")]
    NoAnswer(#[from] NoAnswer),
    #[error("it answered with status {0}")]
    Status(u16),
    #[error("what it says of itself can not be read")]
    Unreadable,
    #[error("it says that it is another issuer")]
    Issuer,
    #[error("it offers no way that is supported (authorisation code, S256, client secret or none)")]
    Unsupported,
    #[error("it refused the code")]
    CodeRefused,
}

/// What a service says of itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Debug, Deserialize)]
struct Discovered {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    response_types_supported: Option<Vec<String>>,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// How the client's secret is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SecretIn {
    Header,
    Form,
}

/// What of it is used.
#[derive(Debug)]
pub(super) struct Described {
    /// Where people are sent.
    pub(super) authorization: Uri,
    /// Whether its answers name the issuer (RFC 9207).
    pub(super) names_itself: bool,
    token: Uri,
    keys: Uri,
    secret_in: SecretIn,
}

/// Something asked for, and when.
#[derive(Debug, Clone)]
struct Kept<T> {
    at: Timestamp,
    result: Result<Arc<T>, ServiceError>,
}

impl<T> Kept<T> {
    fn holds(&self, now: Timestamp) -> bool {
        let longest = if self.result.is_ok() { KEPT } else { FAILURE_KEPT };
        self.age(now) < longest
    }

    fn age(&self, now: Timestamp) -> Duration {
        now.duration_since(self.at).unsigned_abs()
    }
}

/// The service.
pub(super) struct Provider {
    fetch: Fetch,
    issuer: String,
    client_id: String,
    secret: Option<Zeroizing<String>>,
    clock: SharedClock,
    described: Mutex<Option<Kept<Described>>>,
    keys: Mutex<Option<Kept<Keys>>>,
}

impl Provider {
    /// Reads what the configuration names; asks nobody yet. Blocks on the disk.
    pub(super) fn open(config: &SignInServiceConfig, clock: &SharedClock) -> Result<Self, String> {
        let secret = config.client_secret_file.as_ref();
        Ok(Self {
            fetch: Fetch::open(config.roots.as_path(), clock, BOUNDS)?,
            issuer: config.issuer.clone(),
            client_id: config.client_id.clone(),
            secret: secret.map(|path| read_secret(path.as_path())).transpose()?,
            clock: Arc::clone(clock),
            described: Mutex::default(),
            keys: Mutex::default(),
        })
    }

    /// What the service says of itself.
    pub(super) async fn described(&self) -> Result<Arc<Described>, ServiceError> {
        let mut kept = self.described.lock().await;
        let now = self.clock.now();
        if let Some(kept) = kept.as_ref().filter(|kept| kept.holds(now)) {
            return kept.result.clone();
        }
        let result = self.describe().await.map(Arc::new);
        *kept = Some(Kept { at: now, result: result.clone() });
        result
    }

    async fn describe(&self) -> Result<Described, ServiceError> {
        let address =
            format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let address = https(&address).ok_or(NoAnswer::Address)?;
        let body = body(self.fetch.get(&address, JSON, None).await?)?;
        let said: Discovered =
            serde_json::from_slice(&body).map_err(|_| ServiceError::Unreadable)?;
        // OpenID Connect Discovery 1.0, section 4.3: exactly the same.
        if said.issuer != self.issuer {
            return Err(ServiceError::Issuer);
        }
        let offers = |offered: &Option<Vec<String>>, word: &str| {
            offered.as_ref().is_none_or(|offered| offered.iter().any(|other| other == word))
        };
        if !offers(&said.response_types_supported, "code")
            || !offers(&said.code_challenge_methods_supported, "S256")
        {
            return Err(ServiceError::Unsupported);
        }
        let methods = &said.token_endpoint_auth_methods_supported;
        let secret_in = match &self.secret {
            Some(_) if offers(methods, "client_secret_basic") => SecretIn::Header,
            Some(_) if offers(methods, "client_secret_post") => SecretIn::Form,
            Some(_) => return Err(ServiceError::Unsupported),
            None => SecretIn::Form,
        };
        let address = |text: &str| https(text).ok_or(ServiceError::NoAnswer(NoAnswer::Address));
        Ok(Described {
            authorization: address(&said.authorization_endpoint)?,
            names_itself: said.authorization_response_iss_parameter_supported,
            token: address(&said.token_endpoint)?,
            keys: address(&said.jwks_uri)?,
            secret_in,
        })
    }

    /// Its keys. `Anew`: a token names one that is not among those that are kept.
    pub(super) async fn keys(&self, look: Look) -> Result<Arc<Keys>, ServiceError> {
        let described = self.described().await?;
        let mut kept = self.keys.lock().await;
        let now = self.clock.now();
        if let Some(kept) = kept.as_ref().filter(|kept| kept.holds(now))
            && (look == Look::Kept || kept.age(now) < KEYS_AGAIN)
        {
            return kept.result.clone();
        }
        let result = self.ask_keys(&described).await.map(Arc::new);
        *kept = Some(Kept { at: now, result: result.clone() });
        result
    }

    async fn ask_keys(&self, described: &Described) -> Result<Keys, ServiceError> {
        let body = body(self.fetch.get(&described.keys, JSON, None).await?)?;
        Keys::read(&body).ok_or(ServiceError::Unreadable)
    }

    /// Redeems a code; the ID token, which nobody has looked at yet.
    pub(super) async fn redeem(
        &self,
        code: &str,
        flow: &Flow,
        redirect: &str,
    ) -> Result<Zeroizing<String>, ServiceError> {
        #[derive(Deserialize)]
        struct Redeemed {
            id_token: String,
        }
        let described = self.described().await?;
        let (form, authorization) = self.redemption(code, flow, redirect, described.secret_in)?;
        let answer = self.fetch.post(&described.token, authorization, form).await?;
        // RFC 6749, section 5.2: what was wrong with the request is 400 or 401.
        if matches!(answer.status, 400 | 401 | 403) {
            return Err(ServiceError::CodeRefused);
        }
        let body = body(answer)?;
        let redeemed: Redeemed =
            serde_json::from_slice(&body).map_err(|_| ServiceError::Unreadable)?;
        Ok(Zeroizing::new(redeemed.id_token))
    }

    /// The form that redeems a code, and the header beside it (RFC 6749, section 4.1.3).
    fn redemption(
        &self,
        code: &str,
        flow: &Flow,
        redirect: &str,
        secret_in: SecretIn,
    ) -> Result<(String, Option<HeaderValue>), ServiceError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", redirect)
            .append_pair("code_verifier", &flow.verifier);
        let mut authorization = None;
        match (&self.secret, secret_in) {
            (Some(secret), SecretIn::Header) => {
                authorization = Some(basic(&self.client_id, secret)?);
            }
            (Some(secret), SecretIn::Form) => {
                form.append_pair("client_id", &self.client_id).append_pair("client_secret", secret);
            }
            (None, _) => _ = form.append_pair("client_id", &self.client_id),
        }
        Ok((form.finish(), authorization))
    }
}

/// Whether keys that are kept are enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Kept,
    Anew,
}

fn body(answer: Answer) -> Result<Zeroizing<Vec<u8>>, ServiceError> {
    if answer.status == 200 { Ok(answer.body) } else { Err(ServiceError::Status(answer.status)) }
}

/// RFC 6749, section 2.3.1: both are form-encoded first.
fn basic(client: &str, secret: &str) -> Result<HeaderValue, ServiceError> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encoded(client), encoded(secret)));
    let value = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes())));
    HeaderValue::from_str(&value).map_err(|_| ServiceError::Unsupported)
}

fn read_secret(path: &Path) -> Result<Zeroizing<String>, String> {
    read_secret_file(path).map_err(|problem| format!("client_secret_file: {problem}"))
}
