//! The table `[console]` of a program's configuration.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::config::{ConfigPath, DurationText};

/// How the console is served. The whole table is absent where there is none.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleConfig {
    /// Where browsers reach it.
    pub listen: SocketAddr,
    /// Certificate chain for browsers, leaf first, in PEM: with the name that people type, from an authority that their
    /// browsers trust. Not the program's own certificate within the partnership. Read again for each new hour, so that it is
    /// renewed without a restart.
    pub certificate: ConfigPath,
    /// Its private key.
    pub private_key: ConfigPath,
    /// A session ends after so long without a request.
    #[serde(default = "idle")]
    pub idle: DurationText,
    /// A session ends so long after signing in.
    #[serde(default = "longest")]
    pub longest: DurationText,
}

/// People leave desks: a quarter of an hour (OWASP ASVS 5.0, section 7.3, asks for a documented bound; NIST SP 800-63B-4,
/// section 2.2.3, at most one hour).
const fn idle() -> DurationText {
    DurationText::from_secs(15 * 60)
}

/// A working day (NIST SP 800-63B-4, section 2.2.3, at most 24 hours).
const fn longest() -> DurationText {
    DurationText::from_secs(9 * 3600)
}
