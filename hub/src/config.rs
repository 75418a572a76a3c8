//! The hub's configuration file. Nothing sensitive is in it: keys are files of their own.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use brag_common::{
    alert::oversight::Oversight,
    backup::BackupConfig,
    config::{self, ConfigError, ConfigPath, DurationText, WitnessConfig},
    console::ConsoleConfig,
    forward::ForwardConfig,
    id::AgencyId,
    profile::TlsPaths,
    staff,
    standing::StandingOptions,
    telemetry::{LogConfig, traces::TracesConfig},
};
use serde::Deserialize;

/// What stands in the place of an address for a node that can not be dialled, and dials the hub.
pub const DIALS_OUT: &str = "dial-out";

/// What a hub is told by its operator. Unknown keys are refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder of the store and the log. Only this program writes there.
    pub data: ConfigPath,
    /// Folder of the keys of enquiries: outside of `data`, with a backup of its own. Absent: beside `data`, see
    /// [`Config::enquiry_key_folder`].
    #[serde(default)]
    pub enquiry_keys: Option<ConfigPath>,
    /// The signed agreement.
    pub agreement: ConfigPath,
    /// Where nodes and co-ordinators reach the hub.
    pub listen: SocketAddr,
    /// Where liveness, readiness and metrics are served; must be a loopback address.
    pub admin_listen: SocketAddr,
    /// Where each agency's node is, by agency id: `https://host:port`, or [`DIALS_OUT`].
    pub nodes: BTreeMap<AgencyId, String>,
    /// Connections that nodes dial, and serve the hub on.
    #[serde(default)]
    pub dial_out: StandingOptions,
    /// Certificates.
    pub tls: TlsPaths,
    /// Secret keys.
    pub keys: KeyPaths,
    /// The hub's staff and their roles.
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
    /// How the hub asks.
    #[serde(default)]
    pub fan_out: FanOut,
    /// How secrets of enrolment turn.
    #[serde(default)]
    pub matching: Matching,
    /// How much may be asked.
    #[serde(default)]
    pub budget: Budget,
    /// What is usual, so that information governance is told of what is not.
    #[serde(default)]
    pub oversight: Oversight,
    /// Meetings.
    #[serde(default)]
    pub meeting: Meeting,
    /// The partnership's own words for what happens in an enquiry, beside those that every hub has. Absent: it has none.
    #[serde(default)]
    pub words: Option<ConfigPath>,
    /// Enquiries that co-ordinators are still writing.
    #[serde(default)]
    pub drafts: Drafts,
    /// Pages for browsers. Absent: there are none.
    #[serde(default)]
    pub console: Option<ConsoleConfig>,
    /// What information governance has on this machine to hold the log against.
    #[serde(default)]
    pub governance: Governance,
    /// For whom backups are sealed.
    #[serde(default)]
    pub backup: BackupConfig,
}

/// Copies of other parties' files on this machine. They are read, never written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Governance {
    /// Copies of nodes' logs, by agency: the folder with the `.seg` files. Without one, pages show the hub's side of an exchange alone.
    pub node_logs: BTreeMap<AgencyId, ConfigPath>,
    /// Copies of what witnesses remember: the folders `witness` of other parties' data. A check holds the log against them, too.
    pub witnesses: Vec<ConfigPath>,
    /// Whom a check believes: a C2SP tlog-policy file with the log's key, its witnesses, and how many must have cosigned. Without
    /// one a check asks for no quorum, and says so.
    pub policy: Option<ConfigPath>,
}

/// Enquiries that co-ordinators are still writing on the pages of the console.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drafts {
    /// How long after it was last saved a draft is kept.
    pub kept: DurationText,
}

impl Default for Drafts {
    fn default() -> Self {
        // What nobody has opened within a working week is no work of today; it names people.
        Self { kept: DurationText::from_secs(7 * 86_400) }
    }
}

/// Meetings that discuss enquiries.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Meeting {
    /// Agencies that chair, in turn: one working day each. Empty: the agenda names nobody.
    pub chair_rota: Vec<AgencyId>,
}

/// Paths of the secret keys, each readable by the hub's user only.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPaths {
    /// Signs the agreement for the hub; its public half is in the agreement.
    pub statements: ConfigPath,
    /// Encrypts the store.
    pub store: ConfigPath,
    /// Signs the log.
    pub log: ConfigPath,
    /// Cosigns the nodes' logs.
    pub witness: ConfigPath,
}

/// One member of staff.
pub type Staff = staff::Staff<Role, ConfigPath>;

/// What a member of staff may do at the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Opens enquiries and requests detail.
    Coordinator,
    /// A co-ordinator who chairs: may also waive an answer that the agreement only recommends.
    Chair,
    /// Reads the log and its alerts, finds what was exchanged about a person, and answers that person (subject access); nothing else.
    Auditor,
    /// Holds and erases enquiries, and sees nothing of what is in them.
    Governance,
}

impl staff::Role for Role {
    fn word(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Chair => "chair",
            Self::Auditor => "auditor",
            Self::Governance => "governance",
        }
    }
}

/// How the hub asks the agencies.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FanOut {
    /// How many calls to nodes are under way at once, for all enquiries together. 1 to 1,024.
    pub calls_at_once: u16,
    /// How long a node has for one call, where the agreement gives it no time of its own.
    pub call_within: DurationText,
    /// How long a round stays open for assessors, where the enquiry does not say.
    pub answer_within: DurationText,
    /// How long after a call that failed the node is asked again.
    pub ask_again_after: DurationText,
}

impl Default for FanOut {
    fn default() -> Self {
        Self {
            // Two whole partnerships of thirty agencies in flight.
            calls_at_once: 64,
            call_within: DurationText::from_secs(10),
            // The Red clock of the sample agreement: four hours.
            answer_within: DurationText::from_secs(4 * 3600),
            ask_again_after: DurationText::from_secs(15),
        }
    }
}

/// How the secrets turn with which agencies are enrolled and screened.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Matching {
    /// How long an epoch is screened with before the next is prepared.
    pub epoch: DurationText,
    /// A completed enrolment counts from the next multiple of this on.
    pub cut: DurationText,
}

impl Default for Matching {
    fn default() -> Self {
        Self {
            // Long enough to enrol a million people once, short enough that what was stolen is soon worth nothing.
            epoch: DurationText::from_secs(30 * 86_400),
            // A new client is found the same day.
            cut: DurationText::from_secs(3600),
        }
    }
}

/// How much co-ordinators may ask. Windows slide: an hour and a day are the last sixty minutes and twenty-four hours.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Enquiries that one co-ordinator may open within an hour.
    pub enquiries_per_hour: u32,
    /// … within a day.
    pub enquiries_per_day: u32,
    /// People whom one co-ordinator may ask about within an hour.
    pub people_per_hour: u32,
    /// … within a day.
    pub people_per_day: u32,
    /// People who may be asked about within a day under one reference of a referral, whoever asks; and by one co-ordinator under
    /// references that are none.
    pub people_per_referral: u32,
    /// How long an enquiry about somebody is recent: another one needs a reason until then.
    pub recent: DurationText,
    /// Enquiries about the same person while they are recent, whoever asks.
    pub enquiries_per_person: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            // A busy front door takes in a handful of families an hour, for each person who works there.
            enquiries_per_hour: 20,
            enquiries_per_day: 80,
            people_per_hour: 80,
            people_per_day: 320,
            // One family and those around them: as many as fit into one enquiry.
            people_per_referral: 24,
            // A month and its end: what is asked again after it is a new matter.
            recent: DurationText::from_secs(30 * 86_400),
            enquiries_per_person: 6,
        }
    }
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When it can not be read or a key is wrong; the error names file, line and key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        config::load(path)
    }

    /// Where the keys of enquiries are: as configured, or beside the data folder under its name and `-enquiry-keys`, so that
    /// whoever copies the data does not copy them.
    #[must_use]
    pub fn enquiry_key_folder(&self) -> PathBuf {
        config::beside(&self.data, self.enquiry_keys.as_ref(), "-enquiry-keys")
    }
}
