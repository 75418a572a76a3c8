//! Colours, the basis of a rating, and its analysis.
//!
//! A colour is the professional judgement of a person in an agency. It is not TLP: TLP says how far
//! information may travel, BRAG says how worried an agency is.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    id::PersonRef,
    secret::{NoRandomness, random_bytes},
};

/// A BRAG colour, from the least to the most worried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// Low.
    Blue,
    /// Standard.
    Green,
    /// Medium.
    Amber,
    /// High.
    Red,
}

impl Colour {
    /// All colours, from the least to the most worried.
    pub const ALL: [Self; 4] = [Self::Blue, Self::Green, Self::Amber, Self::Red];

    /// The word for the colour; a colour is never shown by colour alone.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
            Self::Amber => "amber",
            Self::Red => "red",
        }
    }

    /// The letter for the colour.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Blue => 'B',
            Self::Green => 'G',
            Self::Amber => 'A',
            Self::Red => 'R',
        }
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A text that is not a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a colour: expected `blue`, `green`, `amber` or `red`")]
pub struct NotAColour;

impl FromStr for Colour {
    type Err = NotAColour;

    fn from_str(text: &str) -> Result<Self, NotAColour> {
        Self::ALL.into_iter().find(|colour| colour.word() == text).ok_or(NotAColour)
    }
}

/// What a rating rests on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// The agency's own record of the person.
    Direct,
    /// What the agency knows of somebody linked to the person; it may not know the person at all.
    ViaLinkedPerson(PersonRef),
}

impl Basis {
    /// Whether the agency rated from its own record of the person.
    #[must_use]
    pub const fn is_direct(&self) -> bool {
        matches!(self, Self::Direct)
    }
}

/// Bounds on an analysis, in characters, from the agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnalysisBounds {
    /// The least number of characters.
    pub min_chars: usize,
    /// The greatest number of characters.
    pub max_chars: usize,
}

/// The short analysis that goes with a colour: expertise and concern, not detail.
#[derive(Clone, PartialEq, Eq)]
pub struct Analysis(Box<str>);

/// Why a text is not an analysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAnalysis {
    /// Outside the agreement's bounds.
    #[error("the analysis has {n_chars} characters; the agreement asks for {min} to {max}")]
    Length {
        /// Characters found.
        n_chars: usize,
        /// Least allowed.
        min: usize,
        /// Most allowed.
        max: usize,
    },
    /// Holds a control character, which could forge a line where the text is shown.
    #[error("the analysis holds a control character at character {at}; use plain text on one line")]
    ControlCharacter {
        /// Position, counted in characters from 1.
        at: usize,
    },
}

impl Analysis {
    /// Parses a text of one line within `bounds`.
    ///
    /// # Errors
    /// When it is too short, too long, or holds a control or direction-changing character.
    pub fn parse(text: &str, bounds: AnalysisBounds) -> Result<Self, InvalidAnalysis> {
        let text = text.trim();
        // Bounded before it is walked: a peer chooses the length.
        let n_chars = text.chars().take(bounds.max_chars.saturating_mul(2) + 1).count();
        if n_chars < bounds.min_chars || n_chars > bounds.max_chars {
            let AnalysisBounds { min_chars: min, max_chars: max } = bounds;
            return Err(InvalidAnalysis::Length { n_chars, min, max });
        }
        if let Some(at) = text.chars().position(is_control) {
            return Err(InvalidAnalysis::ControlCharacter { at: at + 1 });
        }
        Ok(Self(text.into()))
    }

    /// The text of the analysis.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, and the Unicode marks that reorder or hide text (UAX 9 and zero-width).
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

impl fmt::Debug for Analysis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Analysis([personal])")
    }
}

/// An analysis with the salt of its digest. The digest is what is signed; text and salt go only to those who
/// may read the analysis, and erasing them leaves a digest that says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SaltedAnalysis {
    /// Random.
    pub salt: [u8; 32],
    /// The text of the analysis.
    pub text: String,
}

impl SaltedAnalysis {
    /// A new salt for `text`.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn new(text: &str) -> Result<Self, NoRandomness> {
        Ok(Self { salt: random_bytes()?, text: text.to_owned() })
    }

    /// The digest that a rating carries.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        context.update(b"brag-exchange/v1/analysis\0");
        context.update(&self.salt);
        context.update(self.text.as_bytes());
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

impl fmt::Debug for SaltedAnalysis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaltedAnalysis([personal])")
    }
}

/// What an analysis is about, so that a specialist who was not asked can be prompted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the word itself")]
pub enum Topic {
    MentalHealth,
    SelfHarm,
    Substance,
    Controlling,
    Physical,
    Sexual,
    Neglect,
    Housing,
    Weapons,
    Stalking,
    ParentalConflict,
}

impl Topic {
    /// Every topic with its word, in the order they are offered.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::MentalHealth, "mental_health"),
        (Self::SelfHarm, "self_harm"),
        (Self::Substance, "substance"),
        (Self::Controlling, "controlling"),
        (Self::Physical, "physical"),
        (Self::Sexual, "sexual"),
        (Self::Neglect, "neglect"),
        (Self::Housing, "housing"),
        (Self::Weapons, "weapons"),
        (Self::Stalking, "stalking"),
        (Self::ParentalConflict, "parental_conflict"),
    ];

    /// The topic's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(topic, _)| *topic == self).map_or("", |(_, word)| word)
    }

    /// The topic with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(topic, _)| *topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: AnalysisBounds = AnalysisBounds { min_chars: 5, max_chars: 20 };

    #[test]
    fn red_is_above_amber_above_green_above_blue() {
        assert!(Colour::ALL.is_sorted());
        assert_eq!(Colour::ALL.into_iter().max(), Some(Colour::Red));
    }

    #[test]
    fn refuses_an_analysis_outside_the_bounds() {
        assert!(matches!(
            Analysis::parse("abc", BOUNDS),
            Err(InvalidAnalysis::Length { n_chars: 3, .. })
        ));
        assert!(Analysis::parse(&"x".repeat(21), BOUNDS).is_err());
        assert!(Analysis::parse(&"é".repeat(20), BOUNDS).is_ok());
    }

    #[test]
    fn refuses_an_analysis_that_could_forge_a_line_or_reorder_text() {
        for text in ["first\nsecond", "abc\u{202E}defgh", "abc\u{0}defg"] {
            assert!(matches!(
                Analysis::parse(text, BOUNDS),
                Err(InvalidAnalysis::ControlCharacter { at }) if at > 3
            ));
        }
    }

    #[test]
    fn debug_does_not_show_the_analysis() {
        let analysis = Analysis::parse("Fear is high.", BOUNDS).unwrap();
        assert!(!format!("{analysis:?}").contains("Fear"));
    }

    #[test]
    fn every_topic_has_a_word_that_parses_back() {
        for (topic, word) in Topic::ALL {
            assert_eq!((topic.word(), Topic::from_word(word)), (word, Some(topic)));
        }
    }
}
