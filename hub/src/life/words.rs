//! Words of the trade, as data: how referrals come, what happens, what agencies take on, how enquiries end; and what each means for
//! flags and for closing. Those of `words.toml` are always there; a partnership adds its own.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// The words that every hub has.
const SHIPPED: &str = include_str!("words.toml");

/// What a word is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// How a referral comes.
    Source,
    /// Something that happened.
    Event,
    /// What an agency takes on in the plan.
    Action,
    /// How an enquiry ends.
    Outcome,
}

impl Kind {
    /// The word for the kind.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Event => "event",
            Self::Action => "action",
            Self::Outcome => "outcome",
        }
    }

    /// Whether a word of this kind can mean this.
    const fn can(self, effect: Effect) -> bool {
        match effect {
            Effect::MeetsSection47 | Effect::ClearsEncompassDue | Effect::NotDuringSection47 => {
                matches!(self, Self::Event)
            }
            Effect::ProtectsAddress | Effect::EarlyHelp => {
                matches!(self, Self::Event | Self::Action)
            }
            Effect::AddressesRisk => matches!(self, Self::Action),
            Effect::NoFurtherAction => matches!(self, Self::Outcome),
        }
    }
}

/// What a word means for flags and for closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The decision for which the section 47 clock waits.
    #[serde(rename = "meets_section_47")]
    MeetsSection47,
    /// The school knows of the children it names.
    ClearsEncompassDue,
    /// It has no place while a section 47 clock runs.
    #[serde(rename = "not_during_section_47")]
    NotDuringSection47,
    /// Somebody's address is protected.
    ProtectsAddress,
    /// Early help has its part in it.
    EarlyHelp,
    /// It is about the behaviour of the person who poses risk.
    AddressesRisk,
    /// Nothing is done.
    NoFurtherAction,
}

/// One word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// What it is for.
    pub kind: Kind,
    /// The word: lower-case letters, digits and `_`, at most 48.
    pub word: String,
    /// What people read.
    pub title: String,
    /// What it means.
    pub means: String,
    /// What follows from it.
    #[serde(default)]
    pub does: Vec<Effect>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    word: Vec<Word>,
}

/// Every word that a hub knows.
#[derive(Debug, Clone)]
pub struct Words(BTreeMap<(Kind, String), Word>);

impl Words {
    /// Those that every hub has, and those of the partnership's own file.
    ///
    /// # Errors
    /// When the file can not be read, a word is none, means what its kind can not mean, or is there already.
    pub fn load(own: Option<&Path>) -> anyhow::Result<Self> {
        let mut words = Self(BTreeMap::new());
        words.add(SHIPPED).context("the words that come with the hub")?;
        if let Some(path) = own {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("can not read the words in {}", path.display()))?;
            words.add(&text).with_context(|| format!("the words in {}", path.display()))?;
        }
        Ok(words)
    }

    fn add(&mut self, text: &str) -> anyhow::Result<()> {
        let file: File = toml::from_str(text)?;
        for word in file.word {
            let name = word.word.as_str();
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            anyhow::ensure!(
                (1..=48).contains(&name.len()) && name.bytes().all(plain),
                "`{name}` is no word: 1 to 48 lower-case letters, digits or `_`"
            );
            if let Some(effect) = word.does.iter().find(|effect| !word.kind.can(**effect)) {
                anyhow::bail!(
                    "the {} `{name}` can not do {}",
                    word.kind.word(),
                    serde_json::to_string(effect)?
                );
            }
            let place = (word.kind, word.word.clone());
            anyhow::ensure!(
                !self.0.contains_key(&place),
                "there is a {} `{name}` already: a word keeps its meaning",
                word.kind.word()
            );
            self.0.insert(place, word);
        }
        Ok(())
    }

    /// All of them, by kind and then by word.
    pub fn all(&self) -> impl Iterator<Item = &Word> {
        self.0.values()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, kind: Kind, word: &str) -> Option<&Word> {
        self.0.get(&(kind, word.to_owned()))
    }

    /// Whether a word has an effect. One that is not known any more has none.
    #[must_use]
    pub fn does(&self, kind: Kind, word: &str, effect: Effect) -> bool {
        self.get(kind, word).is_some_and(|word| word.does.contains(&effect))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(own: &str) -> Result<Words, String> {
        let mut words = Words::load(None).unwrap();
        words.add(own).map(|()| words).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_word_of_the_trade_can_not_be_given_another_meaning() {
        let own = "[[word]]\nkind = \"outcome\"\nword = \"no_further_action\"\ntitle = \"Done\"\nmeans = \"Done.\"\n";
        assert!(with(own).unwrap_err().contains("keeps its meaning"));
    }

    #[test]
    fn a_word_means_only_what_its_kind_can_mean() {
        let own = "[[word]]\nkind = \"source\"\nword = \"x\"\ntitle = \"X\"\nmeans = \"X.\"\ndoes = [\"meets_section_47\"]\n";
        assert!(with(own).unwrap_err().contains("can not do"));
        let own = "[[word]]\nkind = \"event\"\nword = \"No Word\"\ntitle = \"X\"\nmeans = \"X.\"\n";
        assert!(with(own).unwrap_err().contains("is no word"));
    }

    #[test]
    fn a_partnership_adds_its_own() {
        let own = "[[word]]\nkind = \"action\"\nword = \"caring_dads\"\ntitle = \"Caring Dads\"\nmeans = \"A programme.\"\ndoes = [\"addresses_risk\"]\n";
        let words = with(own).unwrap();
        assert!(words.does(Kind::Action, "caring_dads", Effect::AddressesRisk));
        assert!(!words.does(Kind::Event, "caring_dads", Effect::AddressesRisk));
    }
}
