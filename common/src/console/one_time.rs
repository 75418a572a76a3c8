//! One-time codes of an authenticator app: RFC 6238 as every app speaks it (SHA-1, six digits, thirty seconds).

use totp_rs::{Algorithm, TOTP};
use zeroize::Zeroizing;

use crate::{
    secret::{NoRandomness, random_bytes},
    time::Timestamp,
};

/// RFC 4226, section 4: at least 128 bits, recommended 160.
const BYTES: usize = 20;
const DIGITS: usize = 6;
const STEP_SECONDS: u64 = 30;

/// The secret that an authenticator app and the program share.
#[derive(Clone)]
pub(super) struct OneTimeSecret(Zeroizing<[u8; BYTES]>);

impl std::fmt::Debug for OneTimeSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

impl OneTimeSecret {
    pub(super) fn random() -> Result<Self, NoRandomness> {
        random_bytes().map(Zeroizing::new).map(Self)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Zeroizing::new).map(Self)
    }

    pub(super) fn expose(&self) -> &[u8; BYTES] {
        &self.0
    }

    fn totp(&self, issuer: &str, name: &str) -> Option<TOTP> {
        // The two are separated by a colon in the address that apps read.
        let issuer = issuer.replace(':', " ");
        let secret = self.0.to_vec();
        TOTP::new(
            Algorithm::SHA1,
            DIGITS,
            0,
            STEP_SECONDS,
            secret,
            Some(issuer),
            name.replace(':', " "),
        )
        .ok()
    }

    /// The step whose code this is, if it is this moment's or one of its two neighbours (RFC 6238, section 5.2). The caller
    /// refuses a step that is not after the last one used.
    pub(super) fn step_of(&self, code: &str, now: Timestamp) -> Option<u64> {
        let totp = self.totp("", "x")?;
        let now = u64::try_from(now.as_second()).ok()? / STEP_SECONDS;
        let steps = now.saturating_sub(1)..=now + 1;
        let code = code.as_bytes();
        steps.into_iter().find(|step| {
            use subtle::ConstantTimeEq as _;
            totp.generate(step * STEP_SECONDS).as_bytes().ct_eq(code).into()
        })
    }

    /// The code of a moment, as the app shows it.
    #[cfg(feature = "test-util")]
    pub(super) fn code_at(&self, now: Timestamp) -> String {
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        self.totp("", "x").map(|totp| totp.generate(seconds)).unwrap_or_default()
    }

    /// The secret in base 32, in groups of four, to be typed.
    pub(super) fn to_type(&self) -> String {
        let text = self.totp("", "x").map(|totp| totp.get_secret_base32()).unwrap_or_default();
        let chars: Vec<char> = text.chars().collect();
        chars.chunks(4).map(String::from_iter).collect::<Vec<_>>().join(" ")
    }

    /// A drawing for the app to read, in SVG without styles.
    pub(super) fn drawing(&self, issuer: &str, name: &str) -> String {
        let Some(totp) = self.totp(issuer, name) else { return String::new() };
        let Ok(code) = qrcode::QrCode::new(totp.get_url()) else { return String::new() };
        let drawn =
            code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(240, 240).build();
        // Without the XML declaration it can stand within a page.
        drawn.split_once("?>").map_or(drawn.clone(), |(_, svg)| svg.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// RFC 6238, appendix B, SHA-1, the last six of eight digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = OneTimeSecret::from_bytes(b"12345678901234567890").unwrap();
        for (second, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")]
        {
            assert_eq!(
                secret.step_of(code, at(second)),
                u64::try_from(second / 30).ok(),
                "{second}"
            );
        }
    }

    #[test]
    fn a_code_is_good_in_its_step_and_beside_it_only() {
        let secret = OneTimeSecret::from_bytes(b"12345678901234567890").unwrap();
        for (second, good) in [(-1, false), (0, true), (59, true), (89, true), (90, false)] {
            assert_eq!(secret.step_of("287082", at(second)).is_some(), good, "{second}");
        }
        for code in ["", "28708", "2870822", "28708a", "94287082"] {
            assert_eq!(secret.step_of(code, at(59)), None, "{code}");
        }
    }

    #[test]
    fn the_drawing_stands_within_a_page() {
        let secret = OneTimeSecret::random().unwrap();
        let svg = secret.drawing("Hub: exampleshire", "a.person");
        assert!(svg.trim_start().starts_with("<svg") && !svg.contains("style"), "{svg}");
    }
}
