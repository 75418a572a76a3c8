//! A scenario in one file, or as a variant: another file up to a time, and what happens instead from then on.
//!
//! Both texts are read into one document before anything is looked up in it, so that a fault of either has its file and line.

use std::{fs, path::Path};

use serde::Deserialize as _;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue, Deserializer, Error},
};

use super::{At, Faults, Scenario};

/// The table that makes a file a variant.
const VARIANT: &str = "variant";

/// The texts of a scenario, one after the other.
#[derive(Debug)]
pub(super) struct Sources {
    /// The file that is varied; `None` when the scenario stands in one file.
    base: Option<Source>,
    /// The file itself. Behind a base, blanks of the base's length come first: a place says in which file it is.
    own: Source,
    /// Of the base, what begins before.
    until: Option<At>,
}

#[derive(Debug)]
struct Source {
    /// As faults name it.
    file: String,
    text: String,
}

impl Source {
    fn place(&self, at: usize) -> String {
        let line = self.text.get(..at).unwrap_or(&self.text).matches('\n').count() + 1;
        format!("{}:{line}", self.file)
    }
}

impl Sources {
    /// Takes the text of a file, and reads the file of which it is a variant from beside it.
    ///
    /// # Errors
    /// When it is not TOML, its table `variant` is not right, or the other file can not be read.
    pub(super) fn of(file: &Path, text: &str) -> Result<Self, Faults> {
        let own = Source { file: file.display().to_string(), text: text.to_owned() };
        let alone = Self { base: None, own, until: None };
        let document = DeTable::parse(text).map_err(|error| alone.fault(&error))?;
        let Some((key, variant)) = document.get_ref().get_key_value(VARIANT) else {
            return Ok(alone);
        };
        let wrong = |at: usize, what: &str| Faults(vec![format!("{}: {what}", alone.place(at))]);
        let word = |name: &str| {
            let value = variant.get_ref().as_table().and_then(|table| table.get(name));
            value.and_then(|value| Some((value.span().start, value.get_ref().as_str()?.to_owned())))
        };
        let n_keys = variant.get_ref().as_table().map_or(0, |table| table.len());
        let (Some((at, of)), Some((at_until, until)), 2) = (word("of"), word("until"), n_keys)
        else {
            let what = "a variant is `of` another file `until` a time, as in `of = \"s4.toml\"`, `until = \"+17h20m\"`";
            return Err(wrong(key.span().start, what));
        };
        let until: At = until.parse().map_err(|what: String| wrong(at_until, &what))?;
        let path = file.with_file_name(&of);
        let text = fs::read_to_string(&path)
            .map_err(|error| wrong(at, &format!("can not read `{of}`: {error}")))?;
        // The variant's own places come after the base's.
        let behind = format!("{}{}", " ".repeat(text.len()), alone.own.text);
        Ok(Self {
            base: Some(Source { file: path.display().to_string(), text }),
            own: Source { file: alone.own.file, text: behind },
            until: Some(until),
        })
    }

    /// Where a byte of the texts is, as `file:line`.
    pub(super) fn place(&self, at: usize) -> String {
        match &self.base {
            Some(base) if at < base.text.len() => base.place(at),
            _ => self.own.place(at),
        }
    }

    /// A fault of form with its place.
    pub(super) fn fault(&self, error: &Error) -> Faults {
        let at = error.span().map_or(0, |span| span.start);
        Faults(vec![format!("{}: {}", self.place(at), error.message())])
    }

    /// The whole scenario.
    ///
    /// # Errors
    /// What is wrong with its form, with its place among the texts.
    pub(super) fn read(&self) -> Result<Scenario, Error> {
        let mut document = DeTable::parse(&self.own.text)?;
        let own = document.get_mut();
        own.remove(VARIANT);
        if let (Some(base), Some(until)) = (&self.base, self.until) {
            let mut base = DeTable::parse(&base.text)?.into_inner();
            cut(&mut base, until);
            join(own, base);
        }
        Scenario::deserialize(Deserializer::from(document))
    }
}

/// Leaves out what begins at a time or later.
fn cut(base: &mut DeTable<'_>, until: At) {
    for (_, value) in base.iter_mut() {
        if let DeValue::Array(items) = value.get_mut() {
            let all = std::mem::replace(items, DeArray::new());
            let before = |item: &Spanned<DeValue<'_>>| begins(item).is_none_or(|at| at < until);
            *items = all.into_iter().filter(before).collect();
        }
    }
}

/// When something of a scenario happens or begins; `None` for what has no time, and for a time that does not read, which is
/// told when the whole is read.
fn begins(item: &Spanned<DeValue<'_>>) -> Option<At> {
    let table = item.get_ref().as_table()?;
    let at = table.get("at").or_else(|| table.get("from"))?;
    at.get_ref().as_str()?.parse().ok()
}

/// Puts what the base has behind what a variant has: lists one after the other; of anything else, the variant's own.
fn join<'i>(own: &mut DeTable<'i>, base: DeTable<'i>) {
    for (key, mut value) in base {
        let mine = own.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut);
        match (value.get_mut(), mine) {
            (DeValue::Array(first), Some(DeValue::Array(then))) => {
                let first = std::mem::replace(first, DeArray::new());
                let own = std::mem::replace(then, DeArray::new());
                *then = first.into_iter().chain(own).collect();
            }
            (_, Some(_)) => {}
            (_, None) => drop(own.insert(key, value)),
        }
    }
}
