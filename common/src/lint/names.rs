//! Names of the people of an enquiry.

use std::{collections::BTreeSet, sync::LazyLock};

use super::{
    Finding, Found,
    text::{Text, Word},
};
use crate::matching::{
    identity::Identity,
    normalise::{are_forms_of_one_name, fold},
};

/// Names that are words of the language as well; see the file.
static ORDINARY: LazyLock<BTreeSet<&str>> = LazyLock::new(|| {
    let lines = include_str!("ordinary_words.txt").lines();
    lines.filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect()
});

/// The shortest name that is looked for, in letters: an initial says little, and single letters are colours.
const SHORTEST: usize = 2;

/// The shortest name of several words that is also found when it is written as one word, or in two.
const SHORTEST_JOINED: usize = 5;

pub(super) fn find(text: &Text, people: &[&Identity], findings: &mut Vec<Finding>) {
    let names = Names::of(people);
    let mut before: Option<(&Word, String)> = None;
    for word in &text.words {
        let folded = fold(&word.bare());
        if names.contains(&folded) && is_meant(word) {
            let (from, to) = text.places(word.start, word.end);
            findings.push(Finding { from, to, found: Found::Name });
        }
        if let Some((first, start)) = &before {
            let both = format!("{start}{folded}");
            let apart = text.between(first, word).all(|c| c.is_whitespace() || c == '-');
            if apart && both.len() >= SHORTEST_JOINED && names.joined.contains(&both) {
                let (from, to) = text.places(first.start, word.end);
                findings.push(Finding { from, to, found: Found::Name });
            }
        }
        before = Some((word, folded));
    }
}

/// A word of the language is a name only with a capital letter. At the beginning of a sentence this can be wrong: then the
/// sentence has to begin otherwise.
fn is_meant(word: &Word) -> bool {
    word.is_capital() || !ORDINARY.contains(word.bare().as_str())
}

/// Names, folded.
#[derive(Default)]
struct Names {
    /// Single words of given names; their short forms count as well.
    given: BTreeSet<String>,
    /// Single words of family names.
    family: BTreeSet<String>,
    /// Names of several words, written as one.
    joined: BTreeSet<String>,
}

impl Names {
    fn of(people: &[&Identity]) -> Self {
        let mut names = Self::default();
        for name in people.iter().flat_map(|person| person.names()) {
            names.given.extend(parts(name.given()));
            names.family.extend(parts(name.family()));
            for whole in [name.given(), name.family()] {
                if whole.contains(|c: char| c.is_whitespace() || matches!(c, '-' | '\'' | '’')) {
                    names.joined.insert(fold(whole));
                }
            }
        }
        names
    }

    fn contains(&self, folded: &str) -> bool {
        folded.len() >= SHORTEST
            && (self.given.contains(folded)
                || self.family.contains(folded)
                || self.joined.contains(folded)
                || self.given.iter().any(|given| are_forms_of_one_name(given, folded)))
    }
}

/// The words of a name, folded. Particles such as `de` and `van` name nobody.
fn parts(name: &str) -> impl Iterator<Item = String> {
    let words = name.split(|c: char| c.is_whitespace() || c == '-');
    words.map(fold).filter(|word| word.len() >= SHORTEST && !is_particle(word))
}

fn is_particle(folded: &str) -> bool {
    matches!(
        folded,
        "AL" | "BIN"
            | "BINT"
            | "DA"
            | "DE"
            | "DEL"
            | "DER"
            | "DI"
            | "DOS"
            | "DU"
            | "EL"
            | "IBN"
            | "LA"
            | "LE"
            | "VAN"
            | "VON"
            | "THE"
            | "OF"
            | "AND"
            | "UNKNOWN"
            | "UNBORN"
            | "BABY"
    )
}
