//! `[[connector]]` of the configuration: where rows come from, and how often.

use std::{fmt, path::Path, str::FromStr};

use brag_common::config::{ConfigPath, DurationText};
use serde::Deserialize;

use super::mapping::Mapping;

/// Longest name of a connector.
const MAX_NAME_BYTES: usize = 32;

/// One system that records come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorConfig {
    /// What it is called in commands, messages and on pages.
    pub name: ConnectorName,
    /// How long after one run the next begins.
    #[serde(default = "default_every")]
    pub every: DurationText,
    /// The mapping file. Absent: rows are in the layout of an import, or FHIR as it is built in.
    #[serde(default)]
    pub mapping: Option<ConfigPath>,
    /// Files that are put into a folder.
    #[serde(default)]
    pub folder: Option<FolderConfig>,
    /// A query of a PostgreSQL database.
    #[serde(default)]
    pub postgresql: Option<PostgresqlConfig>,
    /// A FHIR server that is searched.
    #[serde(default)]
    pub fhir: Option<FhirConfig>,
}

/// A folder that is watched.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderConfig {
    /// The folder. Files in it are taken; folders in it are not looked into.
    pub path: ConfigPath,
    /// For how long a file must not have been written or renamed before it is taken.
    #[serde(default = "default_settled")]
    pub settled: DurationText,
    /// What the files hold. Absent: JSON Lines for names that end in `.jsonl` or `.ndjson`, CSV for all others.
    #[serde(default)]
    pub layout: Option<Layout>,
    /// What separates the fields of CSV: one character of ASCII.
    #[serde(default)]
    pub delimiter: Delimiter,
}

/// What files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Comma-separated values with a first row of names.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// One FHIR resource a line, as Bulk Data exports them.
    Fhir,
}

/// What separates the fields of CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Delimiter(u8);

impl Delimiter {
    /// The character.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Delimiter {
    fn default() -> Self {
        Self(b',')
    }
}

impl TryFrom<String> for Delimiter {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_bytes() {
            [byte @ (b',' | b';' | b'\t' | b'|' | b'^' | b'~')] => Ok(Self(*byte)),
            _ => Err("expected one of `,`, `;`, `|`, `^`, `~` and a tab (`\\t`)"),
        }
    }
}

/// A query of a PostgreSQL database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresqlConfig {
    /// Name or address of the server, or the folder of its socket.
    pub host: String,
    /// Its port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// The database.
    pub database: String,
    /// Who the node signs in as: somebody who may `SELECT` and nothing else.
    pub user: String,
    /// The file of the password, mode 0600. Absent: none is sent.
    #[serde(default)]
    pub password_file: Option<ConfigPath>,
    /// Whether the connection has to be TLS.
    #[serde(default)]
    pub tls: PostgresqlTls,
    /// The authorities that may have certified the server, in PEM.
    #[serde(default = "system_roots")]
    pub roots: ConfigPath,
    /// One `SELECT`, without `ORDER BY` and `LIMIT`.
    pub query: String,
    /// The column of it that grows with each change of a row: a time of change, or a number of a sequence.
    pub cursor: String,
    /// By how much the next run goes back behind the last row's time, for transactions that committed late.
    #[serde(default = "default_overlap")]
    pub overlap: DurationText,
}

/// Whether a connection to a database is TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PostgresqlTls {
    /// TLS 1.3, with a certificate for `host`.
    #[default]
    Required,
    /// None: on this machine only, over a socket or a loopback address.
    None,
}

/// A FHIR server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FhirConfig {
    /// Its base, `https://host[:port]/path`.
    pub base: String,
    /// What is searched for, in this order.
    #[serde(default = "default_resources")]
    pub resources: Vec<Resource>,
    /// The file of the bearer token, mode 0600; read anew for each run. Absent: none is sent.
    #[serde(default)]
    pub token_file: Option<ConfigPath>,
    /// The authorities that may have certified the server, in PEM.
    #[serde(default = "system_roots")]
    pub roots: ConfigPath,
    /// How many resources a page is asked to have, at most 1000.
    #[serde(default = "default_page")]
    pub page: u16,
    /// By how much the next run goes back behind the last resource's time.
    #[serde(default = "default_overlap")]
    pub overlap: DurationText,
}

/// A kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "each is the resource of this name")]
pub enum Resource {
    Patient,
    Flag,
    Encounter,
    Condition,
}

impl Resource {
    /// Its name in FHIR.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Patient => "Patient",
            Self::Flag => "Flag",
            Self::Encounter => "Encounter",
            Self::Condition => "Condition",
        }
    }
}

/// What a connector is called: 1 to 32 lower-case letters, digits, `-` or `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct ConnectorName(Box<str>);

impl ConnectorName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no name of a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a connector's name: expected 1 to 32 lower-case letters, digits, `-` or `_`")]
pub struct NotAName;

impl FromStr for ConnectorName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        let valid = (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(good);
        if valid { Ok(Self(text.into())) } else { Err(NotAName) }
    }
}

impl TryFrom<String> for ConnectorName {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        text.parse()
    }
}

impl fmt::Debug for ConnectorName {
    /// As it is written: nothing personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Display for ConnectorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const fn default_every() -> DurationText {
    // A client who is new in the morning is found before noon: the hub cuts enrolments hourly.
    DurationText::from_secs(15 * 60)
}

const fn default_settled() -> DurationText {
    DurationText::from_secs(30)
}

const fn default_overlap() -> DurationText {
    // Longer than the transactions of a system in which people type.
    DurationText::from_secs(5 * 60)
}

const fn default_port() -> u16 {
    5432
}

const fn default_page() -> u16 {
    100
}

fn system_roots() -> ConfigPath {
    ConfigPath::new("/etc/ssl/certs/ca-certificates.crt")
}

fn default_resources() -> Vec<Resource> {
    vec![Resource::Patient, Resource::Encounter, Resource::Condition, Resource::Flag]
}

/// Where the rows of a connector come from.
#[derive(Debug, Clone, Copy)]
pub enum SourceConfig<'a> {
    /// Files.
    Folder(&'a FolderConfig),
    /// A database.
    Postgresql(&'a PostgresqlConfig),
    /// A FHIR server.
    Fhir(&'a FhirConfig),
}

impl ConnectorConfig {
    /// Where its rows come from.
    ///
    /// # Errors
    /// When the configuration names none, or several.
    pub fn source(&self) -> Result<SourceConfig<'_>, &'static str> {
        match (&self.folder, &self.postgresql, &self.fhir) {
            (Some(folder), None, None) => Ok(SourceConfig::Folder(folder)),
            (None, Some(database), None) => Ok(SourceConfig::Postgresql(database)),
            (None, None, Some(server)) => Ok(SourceConfig::Fhir(server)),
            _ => Err("it needs exactly one of the tables `folder`, `postgresql` and `fhir`"),
        }
    }

    /// What kind of source it has, in a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.source() {
            Ok(SourceConfig::Folder(_)) => "folder",
            Ok(SourceConfig::Postgresql(_)) => "postgresql",
            Ok(SourceConfig::Fhir(_)) => "fhir",
            Err(_) => "none",
        }
    }

    /// Its mapping, read anew; `None`: its rows are in the layout of an import.
    ///
    /// # Errors
    /// When the file is wrong, or there is none where one is needed.
    pub fn read_mapping(&self) -> Result<Option<Mapping>, String> {
        let read = |path: &ConfigPath| Mapping::load(path.as_path()).map_err(|e| chain(&e));
        let own = self.mapping.as_ref().map(read).transpose()?;
        if own.as_ref().is_some_and(Mapping::is_empty) {
            return Err(
                "its mapping file maps nothing: it has neither [person] nor [[entry]] nor [rating]"
                    .to_owned(),
            );
        }
        let is_fhir = match self.source()? {
            SourceConfig::Fhir(_) => true,
            SourceConfig::Folder(folder) => folder.layout == Some(Layout::Fhir),
            SourceConfig::Postgresql(_) => false,
        };
        if is_fhir {
            return Mapping::fhir_r4(own).map(Some);
        }
        match (own, self.source()?) {
            (None, SourceConfig::Postgresql(_)) => {
                Err("a database needs a `mapping`: which column is what".to_owned())
            }
            (own, _) => Ok(own),
        }
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Something wrong with a connector's settings.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What is so, beginning with the connector's name.
    pub what: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Everything that is wrong with the connectors' settings. Looks at files and folders, and asks no other machine.
#[must_use]
pub fn check(connectors: &[ConnectorConfig]) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    for (place, connector) in connectors.iter().enumerate() {
        let mut say = |what: String, remedy| {
            wrong.push(Wrong { what: format!("`{}`: {what}", connector.name), remedy });
        };
        if connectors.iter().take(place).any(|before| before.name == connector.name) {
            say("another connector has this name".to_owned(), "give each a name of its own");
        }
        let source = match connector.source() {
            Ok(source) => source,
            Err(problem) => {
                say(problem.to_owned(), "see deploy/config/agency-node/advanced.toml");
                continue;
            }
        };
        if let Err(problem) = connector.read_mapping() {
            say(problem, "correct the mapping; docs/connectors.md is its reference");
        }
        match source {
            SourceConfig::Folder(folder) => {
                if let Some(problem) = not_usable(folder.path.as_path()) {
                    say(problem, "make the folder, and let the node's user write in it");
                }
            }
            SourceConfig::Postgresql(database) => {
                if let Err(problem) = super::postgresql::check(database) {
                    say(problem, "correct [connector.postgresql]");
                }
            }
            SourceConfig::Fhir(server) => {
                if let Err(problem) = super::fhir::check(server) {
                    say(problem, "correct [connector.fhir]");
                }
            }
        }
    }
    wrong
}

fn not_usable(folder: &Path) -> Option<String> {
    let probe = folder.join(format!(".agency-node-check-{}", std::process::id()));
    let written =
        std::fs::write(&probe, b"may be deleted\n").and_then(|()| std::fs::remove_file(&probe));
    written.err().map(|error| format!("`{}` can not be written: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ConnectorConfig, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn what_is_not_a_connector_is_refused_or_found() {
        assert!(read("name = \"Housing\"\n").is_err());
        assert!(read("name = \"a\"\nfolder = { path = \"x\", delimiter = \"::\" }\n").is_err());
        let none = read("name = \"a\"\n").unwrap();
        let two =
            read("name = \"a\"\nfolder = { path = \"x\" }\nfhir = { base = \"https://x/fhir\" }\n");
        let wrong = check(&[none, two.unwrap()]);
        let texts: Vec<&str> = wrong.iter().map(|wrong| wrong.what.as_str()).collect();
        assert_eq!(wrong.len(), 3, "{texts:?}");
        assert!(texts[0].contains("exactly one of the tables"));
        assert!(texts[1].contains("has this name"));
    }

    #[test]
    fn a_mapping_that_is_wrong_and_a_folder_that_is_not_there_are_both_found() {
        let folder = tempfile::tempdir().unwrap();
        let mapping = folder.path().join("m.toml");
        std::fs::write(&mapping, "[persn]\n").unwrap();
        let text = format!(
            "name = \"a\"\nmapping = \"{}\"\nfolder = {{ path = \"{}\" }}\n",
            mapping.display(),
            folder.path().join("none").display()
        );
        let wrong = check(&[read(&text).unwrap()]);
        assert!(
            wrong[0].what.contains("m.toml:1: ") && wrong[0].what.contains("persn"),
            "{wrong:?}"
        );
        assert!(wrong[1].what.contains("can not be written"), "{wrong:?}");
    }
}
