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
    /// Whether people may sign in with local accounts.
    #[serde(default = "yes")]
    pub accounts: bool,
    /// The organisation's own sign-in service. Absent: there are local accounts only.
    #[serde(default)]
    pub sign_in_service: Option<SignInServiceConfig>,
}

/// A sign-in service that speaks OpenID Connect, as `[console.sign_in_service]` tells of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInServiceConfig {
    /// Its issuer identifier, an `https` address, exactly as it writes it into its tokens.
    pub issuer: String,
    /// What it calls this console.
    pub client_id: String,
    /// File of the secret that it gave this console, mode 0600. Absent: it gave none, and PKCE alone binds the exchange.
    #[serde(default)]
    pub client_secret_file: Option<ConfigPath>,
    /// The console's own origin as browsers reach it, for example `https://brag.exampleshire.gov.uk`.
    pub redirect: String,
    /// Which claim of the ID token is the name of a member of staff.
    #[serde(default = "claim")]
    pub claim: String,
    /// What follows the name in the claim after `@`. Absent: the claim is the name alone.
    #[serde(default)]
    pub domain: Option<String>,
    /// Scopes that are asked for beside `openid`.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// Certificates of the authorities that it may be certified by, in PEM.
    #[serde(default = "roots")]
    pub roots: ConfigPath,
    /// Words for the button, after `Sign in with`.
    pub label: String,
    /// Authentication contexts (`acr`) of which one is required. Empty: any will do.
    #[serde(default)]
    pub acr: Vec<String>,
    /// Authentication methods (`amr`) of which one is required, for example `mfa`. Empty: any will do.
    #[serde(default)]
    pub amr: Vec<String>,
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

const fn yes() -> bool {
    true
}

/// OpenID Connect Core 1.0, section 5.1: the shorthand by which somebody wishes to be known at the client.
fn claim() -> String {
    "preferred_username".to_owned()
}

/// The scope of `preferred_username` (OpenID Connect Core 1.0, section 5.4).
fn scopes() -> Vec<String> {
    vec!["profile".to_owned()]
}

/// Where Debian keeps the authorities of the public web.
fn roots() -> ConfigPath {
    ConfigPath::new("/etc/ssl/certs/ca-certificates.crt")
}
