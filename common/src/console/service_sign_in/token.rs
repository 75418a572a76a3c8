//! ID tokens: whose signature counts, and what a token must say (OpenID Connect Core 1.0, section 3.1.3.7).
//!
//! Only compact JWS (RFC 7515) with one of three algorithms is read, and the key is one that the service publishes for signing:
//! nothing that a token says chooses how it is checked beyond naming one of those keys.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use crate::time::Timestamp;

/// Keys of a service that are looked at.
const MAX_KEYS: usize = 64;
/// How far the clocks of service and program may be apart.
const LEEWAY: Duration = Duration::from_secs(60);
/// How old a token may be that was made for this very request.
const OLDEST: Duration = Duration::from_secs(10 * 60);

/// Why a token is not accepted. Says nothing of whom it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    #[error("the token is not a signed ID token")]
    Malformed,
    #[error("the token is signed in no way that is accepted (RS256, PS256, ES256)")]
    Algorithm,
    #[error("the service publishes no such key")]
    NoKey,
    #[error("the token's signature does not verify")]
    Signature,
    #[error("the token is another issuer's")]
    Issuer,
    #[error("the token is for another client")]
    Audience,
    #[error("the token's time is over, or has not begun")]
    Time,
    #[error("the token was made for another sign-in")]
    Nonce,
    #[error("the token does not say that a second factor was used")]
    SecondFactor,
}

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Algorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "PS256")]
    Ps256,
    #[serde(rename = "ES256")]
    Es256,
}

/// A public key of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Public {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Uncompressed point.
    P256(Vec<u8>),
}

/// One key of a key set, with what it is for.
#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    algorithm: Option<String>,
    public: Public,
}

/// The keys that a service publishes for signing (RFC 7517).
#[derive(Debug, Clone, Default)]
pub(super) struct Keys(Vec<Key>);

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Published {
    kty: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    /// Reads a key set; keys of other kinds and for other purposes are left out. `None`: it is none.
    pub(super) fn read(set: &[u8]) -> Option<Self> {
        let set: Set = serde_json::from_slice(set).ok()?;
        let keys = set.keys.into_iter().take(MAX_KEYS).filter_map(read_key).collect();
        Some(Self(keys))
    }
}

fn read_key(key: Value) -> Option<Key> {
    let key: Published = serde_json::from_value(key).ok()?;
    if key.purpose.is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let bytes = |text: Option<String>| BASE64_URL_SAFE_NO_PAD.decode(text?).ok();
    let public = match (key.kty.as_str(), key.crv.as_deref()) {
        ("RSA", _) => {
            // ring takes numbers without leading zeros.
            let number = |text| {
                let bytes = bytes(text)?;
                Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>())
            };
            Public::Rsa { n: number(key.n)?, e: number(key.e)? }
        }
        ("EC", Some("P-256")) => {
            let (x, y) = (bytes(key.x)?, bytes(key.y)?);
            (x.len() == 32 && y.len() == 32)
                .then(|| Public::P256([&[4], x.as_slice(), y.as_slice()].concat()))?
        }
        _ => return None,
    };
    Some(Key { id: key.kid, algorithm: key.alg, public })
}

/// What a token must say.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) acr: &'a [String],
    pub(super) amr: &'a [String],
    pub(super) now: Timestamp,
}

#[derive(Deserialize)]
struct Header {
    alg: Value,
    kid: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

/// What a token says, once its signature and everything that is expected of it have been checked.
pub(super) fn verify(
    token: &str,
    keys: &Keys,
    expected: &Expected<'_>,
) -> Result<Map<String, Value>, TokenError> {
    let payload = signed_payload(token, keys)?;
    let claims: Map<String, Value> =
        serde_json::from_slice(&payload).map_err(|_| TokenError::Malformed)?;
    check(&claims, expected)?;
    Ok(claims)
}

fn signed_payload(token: &str, keys: &Keys) -> Result<Vec<u8>, TokenError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    let bytes = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Malformed);
    let header: Header =
        serde_json::from_slice(&bytes(header)?).map_err(|_| TokenError::Malformed)?;
    // Extensions that must be understood: none is (RFC 7515, section 4.1.11).
    if header.crit.is_some() {
        return Err(TokenError::Malformed);
    }
    let algorithm: Algorithm =
        serde_json::from_value(header.alg).map_err(|_| TokenError::Algorithm)?;
    let (signature, payload) = (bytes(signature)?, bytes(payload)?);
    let mut fitting = keys.0.iter().filter(|key| fits(key, algorithm, header.kid.as_deref()));
    let mut tried = false;
    let verified = fitting.any(|key| {
        tried = true;
        is_signed(&key.public, algorithm, signed.as_bytes(), &signature)
    });
    match (verified, tried) {
        (true, _) => Ok(payload),
        (false, true) => Err(TokenError::Signature),
        (false, false) => Err(TokenError::NoKey),
    }
}

fn fits(key: &Key, algorithm: Algorithm, id: Option<&str>) -> bool {
    let word = match algorithm {
        Algorithm::Rs256 => "RS256",
        Algorithm::Ps256 => "PS256",
        Algorithm::Es256 => "ES256",
    };
    let kind = matches!(
        (&key.public, algorithm),
        (Public::Rsa { .. }, Algorithm::Rs256 | Algorithm::Ps256)
            | (Public::P256(_), Algorithm::Es256)
    );
    kind && key.algorithm.as_deref().is_none_or(|of| of == word)
        && id.is_none_or(|id| key.id.as_deref() == Some(id))
}

fn is_signed(public: &Public, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
    match (public, algorithm) {
        (Public::Rsa { n, e }, Algorithm::Rs256) => RsaPublicKeyComponents { n, e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
            .is_ok(),
        (Public::Rsa { n, e }, Algorithm::Ps256) => RsaPublicKeyComponents { n, e }
            .verify(&RSA_PSS_2048_8192_SHA256, signed, signature)
            .is_ok(),
        (Public::P256(point), Algorithm::Es256) => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(signed, signature)
                .is_ok()
        }
        (Public::Rsa { .. }, Algorithm::Es256)
        | (Public::P256(_), Algorithm::Rs256 | Algorithm::Ps256) => false,
    }
}

fn check(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), TokenError> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(TokenError::Issuer);
    }
    check_audience(claims, expected.client_id)?;
    check_time(claims, expected.now)?;
    let nonce = text("nonce").unwrap_or_default();
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return Err(TokenError::Nonce);
    }
    if text("sub").is_none_or(str::is_empty) {
        return Err(TokenError::Malformed);
    }
    let wanted = |words: &[String], word: &str| words.iter().any(|wanted| wanted == word);
    let context =
        expected.acr.is_empty() || text("acr").is_some_and(|context| wanted(expected.acr, context));
    let methods = claims.get("amr").and_then(Value::as_array);
    let mut methods = methods.into_iter().flatten().filter_map(Value::as_str);
    let method = expected.amr.is_empty() || methods.any(|method| wanted(expected.amr, method));
    if context && method { Ok(()) } else { Err(TokenError::SecondFactor) }
}

/// The token is for this client; among several, it is this one that asked for it.
fn check_audience(claims: &Map<String, Value>, client: &str) -> Result<(), TokenError> {
    let (among, several) = match claims.get("aud") {
        Some(Value::String(one)) => (one == client, false),
        Some(Value::Array(all)) => {
            (all.iter().any(|one| one.as_str() == Some(client)), all.len() > 1)
        }
        Some(_) | None => (false, false),
    };
    let party = match claims.get("azp") {
        Some(party) => party.as_str() == Some(client),
        None => !several,
    };
    if among && party { Ok(()) } else { Err(TokenError::Audience) }
}

fn check_time(claims: &Map<String, Value>, now: Timestamp) -> Result<(), TokenError> {
    let now = now.as_second();
    // Numbers may have a fraction (RFC 7519, section 2); what they say to the second is enough.
    let second = |name: &str| {
        let value = claims.get(name)?;
        value.as_i64().or_else(|| {
            let seconds = value.as_f64()?;
            format!("{:.0}", seconds.floor()).parse().ok()
        })
    };
    let bound = |length: Duration| i64::try_from(length.as_secs()).unwrap_or(0);
    let (leeway, oldest) = (bound(LEEWAY), bound(OLDEST));
    let (Some(expires), Some(issued)) = (second("exp"), second("iat")) else {
        return Err(TokenError::Time);
    };
    let begun = second("nbf").is_none_or(|from| from <= now.saturating_add(leeway));
    let good = now < expires.saturating_add(leeway)
        && issued <= now.saturating_add(leeway)
        && issued >= now.saturating_sub(oldest)
        && (claims.get("nbf").is_none() || second("nbf").is_some())
        && begun;
    if good { Ok(()) } else { Err(TokenError::Time) }
}

#[cfg(test)]
mod tests;
