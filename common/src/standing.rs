//! Standing connections: an agency behind a firewall that lets nothing in dials the hub and serves it on that connection.
//!
//! The connection is made as any other to the hub: mutual TLS 1.3, the same certificates, the same names. What differs is the
//! protocol that is agreed on in the handshake (ALPN), `brag-dial-out/1`: after the handshake the hub sends one octet, the
//! [`Verdict`], and if it is 0, HTTP/2 follows with its roles reversed. The node serves the very services that it offers on its
//! listener, behind the same gate; its caller is whoever the certificate at the other end names, that is the hub. The hub calls
//! only an agency whose certificate opened the connection.
//!
//! ```text
//! node                                   hub
//!  │ ── TLS 1.3, ALPN brag-dial-out/1 ──► │  agency certificate, a party of the agreement?
//!  │ ◄──────────── one octet ──────────── │  0: taken; otherwise why not, and the end
//!  │ ◄──────── HTTP/2 requests ────────── │  over the newest connection that is well
//! ```
//!
//! An agency may hold several: a new one is made before an old one is given up, and a call that was not sent when its
//! connection ended is sent over another. A call that may have been sent is not: it fails as on a connection that the hub
//! had dialled, and the hub's own rules say when the agency is asked again.

mod back_off;
mod channel;
mod dial_out;
mod kept;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Deserialize;

pub use self::{
    back_off::BackOff,
    channel::PeerChannel,
    dial_out::{DialOut, DialOutOptions, Dialling, Dice, dice},
    kept::{Standing, StandingOptions},
};
use crate::config::DurationText;

/// What the hub says to somebody who wants to serve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the newest standing connection of its agency.
    Taken,
    /// The certificate is no agency's.
    NotAnAgency,
    /// The agency is no party of the agreement that holds here, or has withdrawn.
    NotAParty,
    /// There are as many standing connections as the hub keeps.
    TooMany,
    /// A reason of a later version.
    Other(u8),
}

impl Verdict {
    /// As it is sent.
    pub(crate) const fn octet(self) -> u8 {
        match self {
            Self::Taken => 0,
            Self::NotAnAgency => 1,
            Self::NotAParty => 2,
            Self::TooMany => 3,
            Self::Other(octet) => octet,
        }
    }

    const fn of(octet: u8) -> Self {
        match octet {
            0 => Self::Taken,
            1 => Self::NotAnAgency,
            2 => Self::NotAParty,
            3 => Self::TooMany,
            other => Self::Other(other),
        }
    }

    /// Why not, as a stable code for counters; `None`: taken.
    pub(crate) const fn code(self) -> Option<&'static str> {
        match self {
            Self::Taken => None,
            Self::NotAnAgency => Some("dial_out_not_an_agency"),
            Self::NotAParty => Some("dial_out_not_a_party"),
            Self::TooMany => Some("dial_out_too_many"),
            Self::Other(_) => Some("dial_out_refused"),
        }
    }
}

/// How long it takes at most until a connection on which nothing comes any more is given up: 1 s to 2 min. Two thirds of it are
/// silence, the last is the time to answer a ping (RFC 9113, section 6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "DurationText")]
pub struct DeadAfter(Duration);

impl DeadAfter {
    /// After how much silence the other side is asked whether it is there.
    pub(crate) fn interval(self) -> Duration {
        self.0.mul_f64(2.0 / 3.0)
    }

    /// How long it has to answer.
    pub(crate) fn timeout(self) -> Duration {
        self.0.saturating_sub(self.interval())
    }
}

impl Default for DeadAfter {
    fn default() -> Self {
        // Most firewalls forget a silent connection after 30 s or more: a ping comes before that.
        Self(Duration::from_secs(30))
    }
}

impl TryFrom<DurationText> for DeadAfter {
    type Error = &'static str;

    fn try_from(length: DurationText) -> Result<Self, &'static str> {
        if (Duration::from_secs(1)..=Duration::from_secs(120)).contains(&length.get()) {
            Ok(Self(length.get()))
        } else {
            Err("a connection is given up after 1s to 2m of silence")
        }
    }
}
