use proptest::prelude::*;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::json;

use super::*;

const NOW: i64 = 1_800_000_000;

fn encoded(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A signer and the key set that publishes it under `kid`.
struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &random).unwrap())
    }

    fn published(&self, more: &Value) -> Keys {
        let point = self.0.public_key().as_ref();
        let part = |range: std::ops::Range<usize>| BASE64_URL_SAFE_NO_PAD.encode(&point[range]);
        let mut key = json!({ "kty": "EC", "crv": "P-256", "x": part(1..33), "y": part(33..65) });
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Keys::read(json!({ "keys": [{ "kty": "oct", "k": "AAAA" }, key] }).to_string().as_bytes())
            .unwrap()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

fn expected() -> Expected<'static> {
    Expected {
        issuer: "https://login.example",
        client_id: "console",
        nonce: "a nonce",
        acr: &[],
        amr: &[],
        now: Timestamp::from_second(NOW).unwrap(),
    }
}

fn claims(change: &Value) -> Value {
    let mut claims = json!({
        "iss": "https://login.example", "aud": "console", "sub": "1", "nonce": "a nonce",
        "iat": NOW, "exp": NOW + 300,
    });
    let object = claims.as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
    claims
}

#[test]
fn a_token_says_what_it_must_and_nothing_else_will_do() {
    let signer = Signer::new();
    let keys = signer.published(&json!({ "kid": "k" }));
    let header = json!({ "alg": "ES256", "kid": "k" });
    let of =
        |change: Value| verify(&signer.sign(&header, &claims(&change)), &keys, &expected()).err();
    for (change, error) in [
        (json!({ "iss": "https://login.example/" }), TokenError::Issuer),
        (json!({ "iss": null }), TokenError::Issuer),
        (json!({ "iss": ["https://login.example"] }), TokenError::Issuer),
        (json!({ "aud": null }), TokenError::Audience),
        (json!({ "aud": "other" }), TokenError::Audience),
        (json!({ "aud": [] }), TokenError::Audience),
        (json!({ "aud": ["console", "other"] }), TokenError::Audience),
        (json!({ "aud": ["console", "other"], "azp": "other" }), TokenError::Audience),
        (json!({ "azp": "other" }), TokenError::Audience),
        (json!({ "exp": null }), TokenError::Time),
        (json!({ "exp": "1800000300" }), TokenError::Time),
        (json!({ "exp": NOW - 60 }), TokenError::Time),
        (json!({ "iat": null }), TokenError::Time),
        (json!({ "iat": NOW + 61 }), TokenError::Time),
        (json!({ "iat": NOW - 601 }), TokenError::Time),
        (json!({ "nbf": NOW + 61 }), TokenError::Time),
        (json!({ "nbf": "soon" }), TokenError::Time),
        (json!({ "exp": 1e300, "iat": -1e300 }), TokenError::Time),
        (json!({ "nonce": null }), TokenError::Nonce),
        (json!({ "nonce": "" }), TokenError::Nonce),
        (json!({ "nonce": "a nonc" }), TokenError::Nonce),
        (json!({ "sub": null }), TokenError::Malformed),
        (json!({ "sub": "" }), TokenError::Malformed),
    ] {
        assert_eq!(of(change.clone()), Some(error), "{change}");
    }
    for change in [
        json!({}),
        json!({ "aud": ["console"] }),
        json!({ "aud": ["console", "other"], "azp": "console" }),
        json!({ "exp": NOW - 59, "iat": NOW - 300 }),
        json!({ "iat": NOW + 60, "nbf": NOW + 60 }),
        json!({ "iat": 1_800_000_000.5, "exp": 1_800_000_300.5 }),
    ] {
        assert_eq!(of(change.clone()), None, "{change}");
    }
}

#[test]
fn only_a_published_signing_key_of_the_right_kind_verifies() {
    let signer = Signer::new();
    let good = json!({ "alg": "ES256", "kid": "k" });
    let keys = signer.published(&json!({ "kid": "k", "alg": "ES256", "use": "sig" }));
    let check = |header: &Value, keys: &Keys| {
        verify(&signer.sign(header, &claims(&json!({}))), keys, &expected()).err()
    };
    assert_eq!(check(&good, &keys), None);
    assert_eq!(check(&json!({ "alg": "ES256" }), &keys), None);
    for (header, error) in [
        (json!({ "alg": "none" }), TokenError::Algorithm),
        (json!({ "alg": "None" }), TokenError::Algorithm),
        (json!({ "alg": "HS256", "kid": "k" }), TokenError::Algorithm),
        (json!({ "alg": "ES384", "kid": "k" }), TokenError::Algorithm),
        (json!({ "alg": ["ES256"], "kid": "k" }), TokenError::Algorithm),
        (json!({ "alg": "RS256", "kid": "k" }), TokenError::NoKey),
        (json!({ "alg": "ES256", "kid": "other" }), TokenError::NoKey),
        (json!({ "alg": "ES256", "kid": "k", "crit": ["exp"] }), TokenError::Malformed),
        (json!({ "kid": "k" }), TokenError::Malformed),
    ] {
        assert_eq!(check(&header, &keys), Some(error), "{header}");
    }
    for spoilt in [json!({ "kid": "k", "use": "enc" }), json!({ "kid": "k", "alg": "RS256" })] {
        assert_eq!(check(&good, &signer.published(&spoilt)), Some(TokenError::NoKey), "{spoilt}");
    }
    let another = Signer::new().published(&json!({ "kid": "k" }));
    assert_eq!(check(&good, &another), Some(TokenError::Signature));
}

#[test]
fn no_part_of_a_signed_token_can_be_exchanged() {
    let signer = Signer::new();
    let keys = signer.published(&json!({ "kid": "k" }));
    let token = signer.sign(&json!({ "alg": "ES256", "kid": "k" }), &claims(&json!({})));
    let parts: Vec<&str> = token.split('.').collect();
    let other = encoded(&claims(&json!({ "sub": "2" })));
    for (changed, error) in [
        (format!("{}.{other}.{}", parts[0], parts[2]), TokenError::Signature),
        (format!("{}.{}.", parts[0], parts[1]), TokenError::Signature),
        (format!("{}.{}", parts[0], parts[1]), TokenError::Malformed),
        (format!("{token}="), TokenError::Malformed),
        (format!("{token}.{}", parts[2]), TokenError::Malformed),
    ] {
        assert_eq!(verify(&changed, &keys, &expected()).err(), Some(error), "{changed}");
    }
}

#[test]
fn a_second_factor_counts_when_the_token_says_one_that_is_required() {
    let signer = Signer::new();
    let keys = signer.published(&json!({}));
    let (acr, amr) = (vec!["urn:two".to_owned()], vec!["mfa".to_owned(), "hwk".to_owned()]);
    let check = |change: Value| {
        let expected = Expected { acr: &acr, amr: &amr, ..expected() };
        verify(&signer.sign(&json!({ "alg": "ES256" }), &claims(&change)), &keys, &expected).is_ok()
    };
    for (change, good) in [
        (json!({}), false),
        (json!({ "acr": "urn:two" }), false),
        (json!({ "amr": ["mfa"] }), false),
        (json!({ "acr": "urn:one", "amr": ["mfa"] }), false),
        (json!({ "acr": "urn:two", "amr": "mfa" }), false),
        (json!({ "acr": "urn:two", "amr": ["pwd", "hwk"] }), true),
    ] {
        assert_eq!(check(change.clone()), good, "{change}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_fail_otherwise_than_by_refusing(token in ".{0,200}", set in ".{0,200}") {
        let keys = Keys::read(set.as_bytes()).unwrap_or_default();
        prop_assert!(verify(&token, &keys, &expected()).is_err());
    }
}
