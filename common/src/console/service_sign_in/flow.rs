//! A sign-in under way: what the browser keeps of it, sealed, until the service sends it back.
//!
//! The program keeps nothing of a sign-in that somebody only begins. The key is the process's own: after a restart whoever was
//! on the way begins again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::{
    secret::{NoRandomness, random_bytes},
    symmetric::SymmetricKey,
    time::Timestamp,
};

/// The cookie. It has to come back from another site, so that it is `SameSite=Lax`; it signs nobody in.
pub(super) const COOKIE: &str = "__Host-sign-in";
/// How long somebody has at the service: to find a telephone, to choose a new password.
pub(super) const WITHIN: Duration = Duration::from_secs(10 * 60);
/// Sign-ins that are remembered as done; each was let in by the service within the last ten minutes.
const MAX_USED: usize = 100_000;

/// A sign-in under way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Flow {
    /// Comes back with the answer: it belongs to this browser.
    pub(super) state: String,
    /// Comes back in the token: it was made for this sign-in.
    pub(super) nonce: String,
    /// Proves to the service that whoever redeems the code began the sign-in (RFC 7636).
    pub(super) verifier: String,
    /// Where somebody wanted to go.
    pub(super) next: String,
    /// When it is too late.
    until: Timestamp,
}

impl Flow {
    /// The challenge of the verifier, by SHA-256 (RFC 7636, section 4.2).
    pub(super) fn challenge(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier))
    }

    /// Whether this answer belongs to it.
    pub(super) fn is_of(&self, state: &str) -> bool {
        self.state.as_bytes().ct_eq(state.as_bytes()).into()
    }
}

/// Seals and opens them, and remembers which are done.
pub(super) struct Flows {
    seal: SymmetricKey,
    used: Mutex<HashMap<String, Timestamp>>,
}

impl Flows {
    pub(super) fn new() -> Result<Self, NoRandomness> {
        let seal = SymmetricKey::random().map_err(|_| NoRandomness)?;
        Ok(Self { seal, used: Mutex::default() })
    }

    /// Begins one; the value of its cookie.
    pub(super) fn begin(&self, next: &str, now: Timestamp) -> Result<(Flow, String), NoRandomness> {
        let random = || random_bytes::<32>().map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes));
        let flow = Flow {
            state: random()?,
            nonce: random()?,
            verifier: random()?,
            next: next.to_owned(),
            until: now.checked_add(WITHIN).map_err(|_| NoRandomness)?,
        };
        let text = serde_json::to_vec(&flow).map_err(|_| NoRandomness)?;
        // The key seals nothing else, so that what it is needs no name.
        let sealed = self.seal.seal(b"", &text).map_err(|_| NoRandomness)?;
        Ok((flow, BASE64_URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// The one of a cookie; `None`: it is not ours, or it is too late.
    pub(super) fn open(&self, cookie: &str, now: Timestamp) -> Option<Flow> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let opened = self.seal.open(b"", &sealed)?;
        let flow: Flow = serde_json::from_slice(&opened).ok()?;
        (now < flow.until).then_some(flow)
    }

    /// Uses one up; `false`: it was used before, or so many are that it can not be told.
    pub(super) fn use_up(&self, flow: &Flow, now: Timestamp) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, until| now < *until);
        used.len() < MAX_USED && used.insert(flow.state.clone(), flow.until).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_sign_in_is_opened_in_its_time_by_the_process_that_began_it_and_used_once() {
        let flows = Flows::new().unwrap();
        let (begun, cookie) = flows.begin("/worklist", at(0)).unwrap();
        let mut spoilt = cookie.clone().into_bytes();
        let last = spoilt.len() - 2;
        spoilt[last] = if spoilt[last] == b'A' { b'B' } else { b'A' };
        assert!(flows.open(&String::from_utf8(spoilt).unwrap(), at(1)).is_none());
        for other in ["", "AAAA", "not base 64"] {
            assert!(flows.open(other, at(1)).is_none(), "{other}");
        }
        assert!(flows.open(&cookie, at(600)).is_none());
        assert!(Flows::new().unwrap().open(&cookie, at(1)).is_none());
        let opened = flows.open(&cookie, at(599)).unwrap();
        assert!(opened.is_of(&begun.state) && !opened.is_of("") && !opened.is_of(&begun.nonce));
        assert!(flows.use_up(&opened, at(599)));
        assert!(!flows.use_up(&opened, at(599)));
    }

    #[test]
    fn what_the_browser_keeps_shows_neither_nonce_nor_verifier() {
        let flows = Flows::new().unwrap();
        let (flow, cookie) = flows.begin("/worklist", at(0)).unwrap();
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&cookie).unwrap();
        for part in [&flow.verifier, &flow.nonce, &flow.state] {
            assert!(!bytes.windows(part.len()).any(|window| window == part.as_bytes()));
        }
    }

    /// RFC 7636, appendix B.
    #[test]
    fn the_challenge_is_that_of_the_standard() {
        let flows = Flows::new().unwrap();
        let (mut flow, _) = flows.begin("/", at(0)).unwrap();
        flow.verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned();
        assert_eq!(flow.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
