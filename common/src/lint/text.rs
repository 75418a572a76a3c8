//! A text as it is searched: compatibility forms resolved, invisible characters left out, every character with its place.

use unicode_normalization::UnicodeNormalization as _;

/// A character and its place in the original text, from 0.
pub(super) type Placed = (char, usize);

/// A run of letters and digits. An apostrophe between two letters belongs to the word.
#[derive(Debug)]
pub(super) struct Word {
    /// As written.
    pub(super) letters: String,
    /// Place of its first character in [`Text::chars`].
    pub(super) start: usize,
    /// Place after its last.
    pub(super) end: usize,
}

impl Word {
    /// Whether it begins with a capital letter.
    pub(super) fn is_capital(&self) -> bool {
        self.letters.chars().next().is_some_and(char::is_uppercase)
    }

    /// In lower case, without the ending of a possessive.
    pub(super) fn bare(&self) -> String {
        let lower = self.letters.to_lowercase().replace('’', "'");
        lower.strip_suffix("'s").unwrap_or(&lower).to_owned()
    }
}

/// A text, ready to be searched.
#[derive(Debug)]
pub(super) struct Text {
    /// Its characters.
    pub(super) chars: Vec<Placed>,
    /// Its words, in order.
    pub(super) words: Vec<Word>,
}

impl Text {
    pub(super) fn new(text: &str) -> Self {
        let chars: Vec<Placed> = text
            .chars()
            .enumerate()
            .filter(|(_, c)| !is_invisible(*c))
            .flat_map(|(place, c)| std::iter::once(c).nfkc().map(move |c| (c, place)))
            .collect();
        let words = words(&chars);
        Self { chars, words }
    }

    /// The places, counted from 1, of the first and last character of a range of [`Text::chars`].
    pub(super) fn places(&self, start: usize, end: usize) -> (usize, usize) {
        let place = |at: usize| self.chars.get(at).map_or(0, |(_, place)| place + 1);
        (place(start), place(end.saturating_sub(1)))
    }

    /// What stands between two words that follow one another.
    pub(super) fn between(&self, one: &Word, next: &Word) -> impl Iterator<Item = char> {
        self.chars.get(one.end..next.start).unwrap_or_default().iter().map(|(c, _)| *c)
    }
}

/// Characters that show nothing and would split a word in two: soft hyphen, zero-width characters, joiners, marks of direction,
/// variation selectors.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
    )
}

fn words(chars: &[Placed]) -> Vec<Word> {
    let mut words = Vec::new();
    let mut open: Option<Word> = None;
    for (at, (c, _)) in chars.iter().enumerate() {
        let next_is_letter = chars.get(at + 1).is_some_and(|(c, _)| c.is_alphabetic());
        // Marks without a composed form stay with their letter.
        let joins =
            matches!(c, '\'' | '’' | '\u{300}'..='\u{36f}') && (next_is_letter || is_mark(*c));
        match &mut open {
            Some(word) if c.is_alphanumeric() || joins => {
                word.letters.push(*c);
                word.end = at + 1;
            }
            None if c.is_alphanumeric() => {
                open = Some(Word { letters: c.to_string(), start: at, end: at + 1 });
            }
            Some(_) | None => words.extend(open.take()),
        }
    }
    words.extend(open);
    words
}

const fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}
