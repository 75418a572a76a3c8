//! How values look on pages: colours, times, words.

use crate::{agreement::clock::in_words, rating::Colour, time::Timestamp};

/// A colour as it is shown: never by colour alone, but with a sign, a letter and its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColourTag(Option<Colour>);

impl ColourTag {
    /// Of a colour; `None`: nobody has rated.
    #[must_use]
    pub const fn of(colour: Option<Colour>) -> Self {
        Self(colour)
    }

    /// The name of its style.
    #[must_use]
    pub fn class(&self) -> &'static str {
        self.0.map_or("none", Colour::word)
    }

    /// A shape of its own, for whoever does not see the difference of the grounds.
    #[must_use]
    pub const fn sign(&self) -> &'static str {
        match self.0 {
            Some(Colour::Red) => "▲",
            Some(Colour::Amber) => "◆",
            Some(Colour::Green) => "●",
            Some(Colour::Blue) => "■",
            None => "–",
        }
    }

    /// Letter and word, for example `R Red`.
    #[must_use]
    pub const fn text(&self) -> &'static str {
        match self.0 {
            Some(Colour::Red) => "R Red",
            Some(Colour::Amber) => "A Amber",
            Some(Colour::Green) => "G Green",
            Some(Colour::Blue) => "B Blue",
            None => "Not rated",
        }
    }
}

/// A time as people in the United Kingdom read it, for example `28 Nov 2026, 14:05`; empty for 0, which is none.
#[must_use]
pub fn when(unix_ms: i64) -> String {
    match Timestamp::from_millisecond(unix_ms) {
        Ok(at) if unix_ms != 0 => in_words(at),
        Ok(_) | Err(_) => String::new(),
    }
}

/// A word of the wire as people read it: without underscores, with a capital letter.
#[must_use]
pub fn spoken(word: &str) -> String {
    let text = word.replace('_', " ");
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_united_kingdom_summer_and_winter() {
        let ms = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        assert_eq!(when(ms("2026-11-28T14:05:30Z")), "28 Nov 2026, 14:05");
        assert_eq!(when(ms("2026-07-01T14:05:30Z")), "1 Jul 2026, 15:05");
        assert_eq!(when(0), "");
    }

    #[test]
    fn a_colour_is_never_shown_by_colour_alone() {
        let tags: Vec<_> = Colour::ALL.into_iter().map(|c| ColourTag::of(Some(c))).collect();
        let signs: std::collections::BTreeSet<_> = tags.iter().map(ColourTag::sign).collect();
        assert_eq!(signs.len(), 4);
        assert!(tags.iter().all(|tag| tag.text().len() > 3));
    }
}
