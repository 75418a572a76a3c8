//! The node's configuration file. Nothing sensitive is in it: keys are files of their own.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use brag_common::{
    alert::oversight::Oversight,
    backup::BackupConfig,
    config::{self, ConfigError, ConfigPath, DurationText, WitnessConfig},
    console::ConsoleConfig,
    forward::ForwardConfig,
    id::AgencyId,
    profile::TlsPaths,
    staff,
    standing::{DeadAfter, DialOutOptions},
    telemetry::{LogConfig, traces::TracesConfig},
    tls::{Proxy, Route},
};
use serde::Deserialize;

use crate::connect::config::ConnectorConfig;

/// A standing connection that lasts for so long was a good one; what ended sooner is made again after a wait.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// What a node is told by its operator. Unknown keys are refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This agency's id in the agreement.
    pub agency: AgencyId,
    /// Folder of the store, the token index and the log. Only this program writes there.
    pub data: ConfigPath,
    /// Folder of the keys of views: outside of `data`, never copied. Absent: beside `data`, see
    /// [`Config::view_key_folder`].
    #[serde(default)]
    pub view_keys: Option<ConfigPath>,
    /// Folder of the keys of enquiries: outside of `data`, with a backup of its own. Absent: beside `data`, see
    /// [`Config::enquiry_key_folder`].
    #[serde(default)]
    pub enquiry_keys: Option<ConfigPath>,
    /// The signed agreement.
    pub agreement: ConfigPath,
    /// Where the hub and the agency's staff reach the node.
    pub listen: SocketAddr,
    /// Where liveness, readiness and metrics are served; must be a loopback address.
    pub admin_listen: SocketAddr,
    /// How people reach the team (category C02): told with a refusal of a category that is never carried.
    pub contact_route: String,
    /// The hub.
    pub hub: HubAddress,
    /// Certificates.
    pub tls: TlsPaths,
    /// Secret keys.
    pub keys: KeyPaths,
    /// A store of the agency's records apart from `data`, which the nodes of several partnerships read. Absent: they are in `data`.
    #[serde(default)]
    pub records: Option<RecordsConfig>,
    /// The agency's staff and their roles.
    #[serde(default)]
    pub staff: Vec<Staff>,
    /// The program's own messages.
    #[serde(default)]
    pub log: LogConfig,
    /// Where the log's entries are forwarded to. Absent: nowhere.
    #[serde(default)]
    pub forward: Option<ForwardConfig>,
    /// Where traces go. Absent: none are made.
    #[serde(default)]
    pub traces: Option<TracesConfig>,
    /// How the log is witnessed.
    #[serde(default)]
    pub witness: WitnessConfig,
    /// How long the node waits, at most, before it tries again to deliver to the hub.
    #[serde(default = "default_retry_at_most")]
    pub deliver_retry_at_most: DurationText,
    /// How much the hub may ask.
    #[serde(default)]
    pub budget: Budget,
    /// What is usual, so that information governance is told of what is not.
    #[serde(default)]
    pub oversight: Oversight,
    /// Pages for browsers. Absent: there are none.
    #[serde(default)]
    pub console: Option<ConsoleConfig>,
    /// For whom backups are sealed.
    #[serde(default)]
    pub backup: BackupConfig,
    /// Systems of the agency's own that records come from while the node runs.
    #[serde(default)]
    pub connector: Vec<ConnectorConfig>,
}

/// How much the hub may ask. Windows slide: an hour and a day are the last sixty minutes and twenty-four hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Screenings that are answered within an hour; each asks about the people of one enquiry, at most 24.
    pub screenings_per_hour: u32,
    /// … within a day.
    pub screenings_per_day: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            // Every co-ordinator of a large partnership at their own budget, and as many that are asked again after a failure.
            screenings_per_hour: 500,
            screenings_per_day: 3_000,
        }
    }
}

/// Where the hub is, and which of the two dials.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubAddress {
    /// `https://host:port`.
    pub endpoint: String,
    /// Further addresses of the same hub, at most 7: whichever answers will do.
    #[serde(default)]
    pub other_endpoints: Vec<String>,
    /// Whether the node dials the hub and serves it on that connection, so that nobody has to reach the node.
    #[serde(default)]
    pub dial_out: bool,
    /// How many such connections stand at a time, 1 to 4.
    #[serde(default = "default_connections")]
    pub connections: u8,
    /// How soon it is noticed that one is dead.
    #[serde(default)]
    pub dead_after: DeadAfter,
    /// The longest wait between two attempts to dial.
    #[serde(default = "default_redial_at_most")]
    pub redial_at_most: DurationText,
    /// An HTTP proxy on the way to the hub, for everything that the node says to it: `http://host:port`.
    #[serde(default)]
    pub proxy: Option<String>,
    /// What the proxy is told of who asks: a file with one line `user:password`.
    #[serde(default)]
    pub proxy_credentials: Option<ConfigPath>,
}

/// Two: while one is made again, the other is there.
const fn default_connections() -> u8 {
    2
}

const fn default_redial_at_most() -> DurationText {
    // Half a minute: a hub that is back should not wait for its nodes for longer.
    DurationText::from_secs(30)
}

impl HubAddress {
    /// The ways to the hub. Reads the proxy's credentials: blocks on the disk.
    ///
    /// # Errors
    /// When an address is none, or the file of the credentials can not be used.
    pub fn route(&self) -> anyhow::Result<Route> {
        let credentials = self.proxy_credentials.as_ref().map(ConfigPath::as_path);
        let proxy = match &self.proxy {
            Some(address) => Some(Proxy::new(address, credentials).context("[hub] proxy")?),
            None if credentials.is_some() => {
                anyhow::bail!("[hub] proxy_credentials is given, and no proxy to tell them")
            }
            None => None,
        };
        let addresses = std::iter::once(&self.endpoint).chain(&self.other_endpoints);
        Route::new(addresses.map(String::as_str), proxy).context("[hub] endpoint")
    }

    /// How the node dials out.
    #[must_use]
    pub fn options(&self) -> DialOutOptions {
        DialOutOptions {
            connections: self.connections,
            dead_after: self.dead_after,
            retry_at_most: self.redial_at_most.get(),
            stable_after: STABLE_AFTER,
        }
    }
}

/// Paths of the secret keys, each readable by the node's user only.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPaths {
    /// Signs ratings, links, assertions and decisions.
    pub statements: ConfigPath,
    /// Opens what is sealed to the agency.
    pub sealing: ConfigPath,
    /// Encrypts the store.
    pub store: ConfigPath,
    /// Signs the log.
    pub log: ConfigPath,
    /// Cosigns the hub's log.
    pub witness: ConfigPath,
}

/// Where the agency's records are when several partnerships share them. They hold nothing of any enquiry.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsConfig {
    /// Their folder, outside of `data`.
    pub data: ConfigPath,
    /// Encrypts them.
    pub key: ConfigPath,
}

/// One member of staff.
pub type Staff = staff::Staff<Role, String>;

/// What a member of staff may do at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Rates people, signs links and assertions, opens detail sent to the agency.
    Assessor,
    /// Approves or refuses releases.
    Approver,
    /// Approves or refuses releases that were escalated.
    Deputy,
    /// Holds and erases enquiries, and sees nothing of what is in them.
    Governance,
    /// Reads the log and its alerts, and nothing else.
    Auditor,
    /// Runs the machine: sees how program, disk and connections are, and nothing of what is kept.
    Operator,
}

impl staff::Role for Role {
    fn word(self) -> &'static str {
        match self {
            Self::Assessor => "assessor",
            Self::Approver => "approver",
            Self::Deputy => "deputy",
            Self::Governance => "governance",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
        }
    }
}

const fn default_retry_at_most() -> DurationText {
    // A minute: a rating that an assessor has just given should not wait longer for a hub that is back.
    DurationText::from_secs(60)
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When it can not be read or a key is wrong; the error names file, line and key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        config::load(path)
    }

    /// Where the keys of views are: as configured, or beside the data folder under its name and `-view-keys`, so that
    /// whoever copies the data does not copy them.
    #[must_use]
    pub fn view_key_folder(&self) -> PathBuf {
        config::beside(&self.data, self.view_keys.as_ref(), "-view-keys")
    }

    /// Where the keys of enquiries are: as configured, or beside the data folder under its name and `-enquiry-keys`.
    #[must_use]
    pub fn enquiry_key_folder(&self) -> PathBuf {
        config::beside(&self.data, self.enquiry_keys.as_ref(), "-enquiry-keys")
    }
}
