//! Walks a TOML document and notes every fault with its line, instead of stopping at the first.
//!
//! A reader asks for each key it knows; whatever is left at [`Table::finish`] is unknown.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::faults::Collector;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Value<'a, 't> {
    inner: &'a DeValue<'t>,
    at: usize,
    path: String,
}

impl<'a, 't> Value<'a, 't> {
    fn new(spanned: &'a Spanned<DeValue<'t>>, path: String) -> Self {
        Self { inner: spanned.get_ref(), at: spanned.span().start, path }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    fn expected(&self, what: &str) -> String {
        format!("expected {what}, found a value of type {}", self.inner.type_str())
    }

    pub(super) fn text(&self) -> Result<&'a str, String> {
        self.inner.as_str().ok_or_else(|| self.expected("a text"))
    }

    /// A text that says something.
    pub(super) fn words(&self) -> Result<Box<str>, String> {
        let text = self.text()?.trim();
        if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.into()) }
    }

    pub(super) fn flag(&self) -> Result<bool, String> {
        self.inner.as_bool().ok_or_else(|| self.expected("`true` or `false`"))
    }

    /// A whole number from `min` to `max`.
    pub(super) fn number(&self, min: u32, max: u32) -> Result<u32, String> {
        let integer = self.inner.as_integer().ok_or_else(|| self.expected("a whole number"))?;
        u32::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .filter(|n| (min..=max).contains(n))
            .ok_or_else(|| format!("`{integer}` is out of range: {min} to {max}"))
    }

    /// A probability above 0, at most 1.
    pub(super) fn probability(&self) -> Result<f64, String> {
        let text = match self.inner {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) => integer.as_str(),
            DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => return Err(self.expected("a number above 0, at most 1")),
        };
        let value = text.parse::<f64>().ok().filter(|p| *p > 0.0 && *p <= 1.0);
        value.ok_or_else(|| format!("`{text}` is out of range: above 0, at most 1"))
    }

    /// A civil date.
    pub(super) fn date(&self) -> Result<jiff::civil::Date, String> {
        let expected = || self.expected("a date as in `2027-01-31`");
        let found = self.inner.as_datetime().ok_or_else(expected)?;
        if found.time.is_some() || found.offset.is_some() {
            return Err("expected a date without a time, as in `2027-01-31`".to_owned());
        }
        found.to_string().parse().map_err(|_| "there is no such day".to_owned())
    }

    /// A date-time with its offset (RFC 3339).
    pub(super) fn instant(&self) -> Result<crate::time::Timestamp, String> {
        const FORM: &str = "a date-time with an offset, as in `2027-06-30T17:00:00Z`";
        let found = self.inner.as_datetime().ok_or_else(|| self.expected(FORM))?;
        if found.date.is_none() || found.time.is_none() || found.offset.is_none() {
            return Err(format!("expected {FORM}"));
        }
        found.to_string().parse().map_err(|_| "there is no such moment".to_owned())
    }

    pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&self) -> Result<T, String> {
        let text = self.text()?;
        text.parse().map_err(|error| format!("`{text}`: {error}"))
    }

    /// One of a list of words.
    pub(super) fn word<T: Copy>(
        &self,
        all: &[T],
        word: impl Fn(T) -> &'static str,
    ) -> Result<T, String> {
        let text = self.text()?;
        let found = all.iter().copied().find(|known| word(*known) == text);
        found.ok_or_else(|| {
            let known: Vec<_> = all.iter().map(|known| word(*known)).collect();
            format!("`{text}` is not known here; known: {}", known.join(", "))
        })
    }

    pub(super) fn as_table(&self) -> Result<Table<'a, 't>, String> {
        let entries = self.inner.as_table().ok_or_else(|| self.expected("a table"))?;
        Ok(Table { entries, at: self.at, path: self.path.clone(), known: Vec::new() })
    }

    pub(super) fn items(&self) -> Result<Vec<Self>, String> {
        let array = self.inner.as_array().ok_or_else(|| self.expected("a list"))?;
        let place = |n: usize| format!("{}[{}]", self.path, n + 1);
        Ok(array.iter().enumerate().map(|(n, item)| Value::new(item, place(n))).collect())
    }

    /// Every item of a list, each parsed; faulty and repeated items are noted and left out.
    pub(super) fn set<T: Ord>(
        &self,
        faults: &mut Collector,
        parse: impl Fn(&Self) -> Result<T, String>,
    ) -> std::collections::BTreeSet<T> {
        let mut set = std::collections::BTreeSet::new();
        for item in self.items().unwrap_or_else(|message| {
            faults.add(self.at, &self.path, message);
            Vec::new()
        }) {
            match parse(&item) {
                Ok(value) => {
                    if !set.insert(value) {
                        faults.add(item.at, &item.path, "listed twice");
                    }
                }
                Err(message) => faults.add(item.at, &item.path, message),
            }
        }
        set
    }
}

/// A table and the keys asked of it so far.
#[derive(Debug)]
pub(super) struct Table<'a, 't> {
    entries: &'a DeTable<'t>,
    at: usize,
    path: String,
    known: Vec<&'static str>,
}

impl<'a, 't> Table<'a, 't> {
    pub(super) const fn root(entries: &'a DeTable<'t>) -> Self {
        Self { entries, at: 0, path: String::new(), known: Vec::new() }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Every key with its value, for tables whose keys are data.
    pub(super) fn entries(&self) -> Vec<(&'a str, usize, Value<'a, 't>)> {
        let entry = |(key, value): (&'a Spanned<_>, &'a Spanned<DeValue<'t>>)| {
            let name: &'a std::borrow::Cow<'t, str> = key.get_ref();
            let name: &'a str = name.as_ref();
            (name, key.span().start, Value::new(value, self.path_of(name)))
        };
        self.entries.iter().map(entry).collect()
    }

    pub(super) fn value(&mut self, key: &'static str) -> Option<Value<'a, 't>> {
        self.known.push(key);
        let path = self.path_of(key);
        self.entries.get(key).map(|value| Value::new(value, path))
    }

    pub(super) fn required_value(
        &mut self,
        key: &'static str,
        faults: &mut Collector,
    ) -> Option<Value<'a, 't>> {
        let value = self.value(key);
        if value.is_none() {
            faults.add(self.at, &self.path_of(key), "is missing");
        }
        value
    }

    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        faults: &mut Collector,
        parse: impl FnOnce(&Value<'a, 't>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.required_value(key, faults)?;
        noted(parse(&value), &value, faults)
    }

    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        faults: &mut Collector,
        parse: impl FnOnce(&Value<'a, 't>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(key)?;
        noted(parse(&value), &value, faults)
    }

    pub(super) fn required_table(
        &mut self,
        key: &'static str,
        faults: &mut Collector,
    ) -> Option<Self> {
        self.required(key, faults, Value::as_table)
    }

    pub(super) fn optional_table(
        &mut self,
        key: &'static str,
        faults: &mut Collector,
    ) -> Option<Self> {
        self.optional(key, faults, Value::as_table)
    }

    /// The items of a list of tables; a list that is absent is empty.
    pub(super) fn tables(&mut self, key: &'static str, faults: &mut Collector) -> Vec<Self> {
        let items = self.optional(key, faults, Value::items).unwrap_or_default();
        items.iter().filter_map(|item| noted(item.as_table(), item, faults)).collect()
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self, faults: &mut Collector) {
        for (key, at, value) in self.entries() {
            if !self.known.contains(&key) {
                let known = self.known.join(", ");
                faults.add(at, &value.path, format!("unknown key; known here: {known}"));
            }
        }
    }
}

fn noted<T>(result: Result<T, String>, value: &Value<'_, '_>, faults: &mut Collector) -> Option<T> {
    result.map_err(|message| faults.add(value.at, &value.path, message)).ok()
}
