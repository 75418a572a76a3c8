//! Configuration files: TOML, read once, every mistake told with its place and its remedy.
//!
//! The types that are read say `#[serde(deny_unknown_fields)]`; nothing secret is in the file, only
//! the paths of key files. [`ConfigPath`] resolves relative paths against the file's own folder, so
//! that a configuration means the same from wherever the program is started.

use std::{
    cell::RefCell,
    fmt,
    io::{self, Read as _},
    ops::Range,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::{
    peer::PeerName,
    tlog::{KeyKind, NoteKey},
};

/// The longest configuration file, in bytes.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

thread_local! {
    /// The folder of the file that this thread is reading; set only within [`load`].
    static FOLDER: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
}

/// Reads a configuration file.
///
/// # Errors
/// When the file can not be read, is not TOML, or does not fit `T`.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(FILE_MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_MAX_BYTES {
        return Err(unreadable(io::Error::other("longer than 1 MiB")));
    }
    let folder = std::path::absolute(path).map_err(unreadable)?.parent().map(Path::to_owned);
    let outer = FOLDER.replace(folder);
    let parsed = toml::from_str(&text);
    FOLDER.set(outer);
    parsed.map_err(|error| {
        let place = Place::of(&text, error.span());
        ConfigError::Invalid {
            path: path.to_owned(),
            line: place.line,
            key: place.key,
            problem: error.message().to_owned(),
        }
    })
}

/// Why a configuration can not be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can not be read.
    #[error("can not read the configuration `{}`; give its path with --config", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// The file is not TOML, or has a wrong, missing or unknown key.
    #[error("{}:{line}: {key}: {problem}; correct this line, then run check-config", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key with its table, for example `listen.address`; `(top)` outside any.
        key: String,
        /// What is wrong, and what was expected.
        problem: String,
    },
}

/// How the log is witnessed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WitnessConfig {
    /// How long new entries wait, at most, before they are shown to witnesses; a release of detail does not wait for it.
    pub every: DurationText,
    /// Whose cosignatures a release of detail waits for: a C2SP tlog-policy file with this program's log. Absent: those of the program's
    /// own rule.
    pub policy: Option<ConfigPath>,
    /// Witnesses that are no party, for example one of information governance.
    pub independent: Vec<IndependentWitness>,
}

/// A witness that is no party.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndependentWitness {
    /// Where it is: `https://host:port`.
    pub endpoint: String,
    /// The name in its certificate, for example `spiffe://exampleshire/witness/ig`.
    pub tls: PeerName,
    /// Its verifier key, as `hub witness init` printed it.
    pub key: WitnessKey,
}

/// A witness's verifier key in a configuration.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct WitnessKey(pub NoteKey);

impl fmt::Debug for WitnessKey {
    /// As it is written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl TryFrom<String> for WitnessKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let key: NoteKey = text.parse().map_err(|error| format!("{error}"))?;
        match key.kind() {
            KeyKind::Witness => Ok(Self(key)),
            KeyKind::Log => Err("it is a log's key; a witness's is expected".to_owned()),
        }
    }
}

impl Default for WitnessConfig {
    fn default() -> Self {
        // A minute: what an owner of the key could rewrite unseen is then no more than a minute old.
        Self { every: DurationText::from_secs(60), policy: None, independent: Vec::new() }
    }
}

/// A place in a file, for a message.
struct Place {
    line: usize,
    key: String,
}

impl Place {
    fn of(text: &str, span: Option<Range<usize>>) -> Self {
        let start = span.map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let up_to = text.lines().take(line);
        let table_of = |line: &str| {
            let name = line.trim().strip_prefix('[')?.split_once(']')?.0;
            Some(name.trim_start_matches('[').trim().to_owned())
        };
        let table = up_to.clone().filter_map(table_of).last();
        let key = up_to.last().and_then(|line| {
            let (key, _) = line.split_once('=')?;
            Some(key.trim().to_owned())
        });
        let key = match (table, key) {
            (Some(table), Some(key)) => format!("{table}.{key}"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => "(top)".to_owned(),
        };
        Self { line, key }
    }
}

/// A path in a configuration. Relative to the folder of the file it is read from by [`load`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ConfigPath(PathBuf);

impl ConfigPath {
    /// This path, as it is.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The path to open.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

/// The folder that is configured; otherwise the one beside `data`, under its name and `suffix`.
#[must_use]
pub fn beside(data: &ConfigPath, configured: Option<&ConfigPath>, suffix: &str) -> PathBuf {
    if let Some(folder) = configured {
        return folder.as_path().to_owned();
    }
    let data = data.as_path();
    let mut name = data.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    data.with_file_name(name)
}

impl AsRef<Path> for ConfigPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl<'de> Deserialize<'de> for ConfigPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = PathBuf::deserialize(deserializer)?;
        if written.as_os_str().is_empty() {
            return Err(serde::de::Error::custom("the path is empty"));
        }
        let folder = FOLDER.with_borrow(Clone::clone);
        // An absolute path replaces the folder.
        Ok(Self(folder.map_or_else(|| written.clone(), |folder| folder.join(&written))))
    }
}

/// A length of time as people write it: a whole number above zero and `ms`, `s`, `m`, `h` or `d`,
/// for example `30s`, `72h`, `28d`. A day is 24 hours. At most 100 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DurationText(Duration);

/// A text that is not a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a length of time: expected a whole number above zero and `ms`, `s`, `m`, `h` or `d`, for example `72h`"
)]
pub struct InvalidDuration;

impl DurationText {
    const MAX: Duration = Duration::from_secs(100 * 366 * 86_400);

    /// The length of time.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// This many seconds, at least one; for defaults.
    #[must_use]
    pub const fn from_secs(seconds: u32) -> Self {
        Self(Duration::from_secs(if seconds == 0 { 1 } else { seconds as u64 }))
    }
}

impl FromStr for DurationText {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or(InvalidDuration)?;
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(InvalidDuration),
        };
        let number: u64 = number.parse().map_err(|_| InvalidDuration)?;
        let length = Duration::from_millis(number.checked_mul(unit_ms).ok_or(InvalidDuration)?);
        if length.is_zero() || length > Self::MAX { Err(InvalidDuration) } else { Ok(Self(length)) }
    }
}

impl TryFrom<String> for DurationText {
    type Error = InvalidDuration;

    fn try_from(text: String) -> Result<Self, InvalidDuration> {
        text.parse()
    }
}

impl From<DurationText> for String {
    fn from(length: DurationText) -> Self {
        length.to_string()
    }
}

impl fmt::Display for DurationText {
    /// In the largest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let (unit_ms, unit) = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")]
            .into_iter()
            .find(|(unit_ms, _)| ms.is_multiple_of(*unit_ms))
            .unwrap_or((1, "ms"));
        write!(f, "{}{unit}", ms / unit_ms)
    }
}

/// For `#[serde(deserialize_with)]` on a [`Duration`] that is written as a [`DurationText`].
///
/// # Errors
/// When the text is not a length of time.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    DurationText::deserialize(deserializer).map(DurationText::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        listen: Listen,
        store: ConfigPath,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Listen {
        grace: DurationText,
    }

    fn read(text: &str) -> Result<Sample, (usize, String, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.toml");
        std::fs::write(&path, text).unwrap();
        load(&path).map_err(|error| match error {
            ConfigError::Invalid { path: named, line, key, problem } => {
                assert_eq!(named, path);
                (line, key, problem)
            }
            ConfigError::Unreadable { .. } => panic!("{error}"),
        })
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let (line, key, problem) =
            read("store = \"s\"\n\n[listen]\ngrace = \"1s\"\ngraze = \"1s\"\n").unwrap_err();
        assert_eq!((line, key.as_str()), (5, "listen.graze"));
        assert!(problem.contains("graze") && problem.contains("grace"), "{problem}");
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_key_and_the_form_expected() {
        let (line, key, problem) =
            read("store = \"s\"\n[listen]\ngrace = \"1 week\"\n").unwrap_err();
        assert_eq!((line, key.as_str()), (3, "listen.grace"));
        assert!(problem.contains("for example `72h`"), "{problem}");
    }

    #[test]
    fn a_missing_key_and_broken_text_are_refused() {
        let (_, _, problem) = read("[listen]\ngrace = \"1s\"\n").unwrap_err();
        assert!(problem.contains("store"), "{problem}");
        assert_eq!(read("store = \"s\"\nlisten = [\n").unwrap_err().1, "listen");
        let missing = load::<Sample>(Path::new("/nowhere/node.toml")).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/node.toml"));
    }

    #[test]
    fn relative_paths_start_at_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.toml");
        for (written, expected) in
            [("data", folder.path().join("data")), ("/srv/data", PathBuf::from("/srv/data"))]
        {
            std::fs::write(&path, format!("store = \"{written}\"\n[listen]\ngrace = \"72h\"\n"))
                .unwrap();
            let sample: Sample = load(&path).unwrap();
            assert_eq!(sample.store.as_path(), expected);
            assert_eq!(sample.listen.grace.get(), Duration::from_secs(72 * 3600));
        }
    }

    #[test]
    fn lengths_of_time_are_whole_and_above_zero() {
        for text in ["", "s", "30", "0s", "-1s", "1.5h", "30 s", "30S", "1w", "+1s", "40000d"] {
            assert_eq!(text.parse::<DurationText>(), Err(InvalidDuration), "{text}");
        }
        assert_eq!(format!("{}d", u64::MAX).parse::<DurationText>(), Err(InvalidDuration));
        for (text, shown) in
            [("250ms", "250ms"), ("30s", "30s"), ("90m", "90m"), ("72h", "3d"), ("28d", "28d")]
        {
            assert_eq!(text.parse::<DurationText>().unwrap().to_string(), shown);
        }
    }
}
