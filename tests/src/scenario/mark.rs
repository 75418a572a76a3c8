//! Flags, clocks and what stands in the way of closing, in the words of a scenario file.

use std::{fmt, str::FromStr};

use serde::Deserialize;
use toml::Spanned;

use super::At;

/// A flag, or something that stands in the way of closing: its word, and what it is about, an agency before a person, as in
/// `missing_rating MHT P1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Mark {
    /// The word.
    pub word: String,
    /// The agency, the label of the person, both, or neither.
    pub about: Vec<String>,
}

impl Mark {
    /// One that was found: what is empty is left out.
    #[must_use]
    pub fn found(word: &str, agency: &str, label: &str) -> Self {
        let about = [agency, label].into_iter().filter(|text| !text.is_empty());
        Self { word: word.to_owned(), about: about.map(str::to_owned).collect() }
    }

    /// Whether this one, as it is written, means one that was found: what it does not say may be anything.
    #[must_use]
    pub fn means(&self, found: &Self) -> bool {
        self.word == found.word && self.about.iter().all(|about| found.about.contains(about))
    }
}

impl FromStr for Mark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(' ').map(str::to_owned);
        let word = words.next().unwrap_or_default();
        let about: Vec<String> = words.collect();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let about_something = about.iter().all(|about| !about.is_empty());
        if word.is_empty() || !word.bytes().all(plain) || about.len() > 2 || !about_something {
            return Err(format!(
                "`{text}` is not a word with perhaps an agency and a label behind it, as in `missing_rating MHT P1`"
            ));
        }
        Ok(Self { word, about })
    }
}

impl TryFrom<String> for Mark {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word)?;
        self.about.iter().try_for_each(|about| write!(f, " {about}"))
    }
}

/// What has to have become of flags at the end of the play.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flags {
    /// Flags that have to have been raised at some time.
    #[serde(default)]
    pub appear: Vec<Spanned<Mark>>,
    /// Flags that have to have been raised, and stand no more.
    #[serde(default)]
    pub cleared: Vec<Spanned<Mark>>,
    /// Flags that have to stand.
    #[serde(default)]
    pub standing: Vec<Spanned<Mark>>,
    /// Flags that must never have been raised.
    #[serde(default)]
    pub never: Vec<Spanned<Mark>>,
}

impl Flags {
    /// Every flag that is named.
    pub fn all(&self) -> impl Iterator<Item = &Spanned<Mark>> {
        self.appear.iter().chain(&self.cleared).chain(&self.standing).chain(&self.never)
    }
}

/// How a clock of the enquiry has to stand.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockStands {
    /// Which.
    pub clock: ClockName,
    /// When it started; absent: at any time.
    pub started: Option<At>,
    /// When it runs out; absent: at any time.
    pub due: Option<At>,
    /// How it stands.
    pub state: ClockState,
    /// When what it waits for came; absent: it has not, or at any time when the clock is met.
    pub ended: Option<At>,
}

/// A clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum ClockName {
    /// The decision on a section 47 enquiry.
    #[serde(rename = "section_47")]
    Section47,
    /// The first response, by the highest level.
    #[serde(rename = "response")]
    Response,
}

impl ClockName {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Section47 => "section_47",
            Self::Response => "response",
        }
    }
}

/// How a clock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the word itself")]
pub enum ClockState {
    Running,
    Met,
    Breached,
}

impl ClockState {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Met => "met",
            Self::Breached => "breached",
        }
    }
}
