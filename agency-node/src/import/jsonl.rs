//! The JSON Lines layout: one object a line, in bounded memory.

use std::io::{self, BufRead};

use serde_json::{Map, Value};

use super::{
    Fault, ImportItem, ImportOptions, Reason, Row,
    build::{
        Faults, Raw, RawAddress, RawEntry, RawIdentifier, RawName, RawPerson, RawRating, build,
    },
    csv::BYTE_ORDER_MARK,
    reject::{MAX_FIELD_BYTES, MAX_ROW_BYTES},
};

/// Lines of a file, each at most [`MAX_ROW_BYTES`] long.
pub(crate) struct JsonRows<R> {
    input: R,
    line: u64,
    n_bytes: u64,
    bytes: Vec<u8>,
}

/// What was found behind the last line feed.
enum Line {
    End,
    TooLong,
    Whole,
}

impl<R: BufRead> JsonRows<R> {
    pub(crate) const fn new(input: R) -> Self {
        Self { input, line: 0, n_bytes: 0, bytes: Vec::new() }
    }

    pub(crate) const fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// The next row, good or bad; nothing at the end.
    pub(crate) fn next(&mut self, options: &ImportOptions) -> io::Result<Option<Row>> {
        loop {
            let item = match self.read_line()? {
                Line::End => return Ok(None),
                Line::TooLong => Err(vec![Fault::row(Reason::RowTooLong)]),
                Line::Whole if self.bytes.trim_ascii().is_empty() => continue,
                Line::Whole => item(&self.bytes, options),
            };
            return Ok(Some(Row { line: self.line, item }));
        }
    }

    /// The next line as whatever it holds, with its number, or what is wrong with it; nothing at the end.
    pub(crate) fn next_value(&mut self) -> io::Result<Option<(u64, Result<Value, Reason>)>> {
        loop {
            let value = match self.read_line()? {
                Line::End => return Ok(None),
                Line::TooLong => Err(Reason::RowTooLong),
                Line::Whole if self.bytes.trim_ascii().is_empty() => continue,
                Line::Whole => match std::str::from_utf8(&self.bytes) {
                    Err(error) => Err(Reason::NotUtf8(error.valid_up_to() + 1)),
                    // The parser's own message may repeat a value, so it is not passed on.
                    Ok(text) => serde_json::from_str(text).map_err(|_| Reason::NotJson),
                },
            };
            return Ok(Some((self.line, value)));
        }
    }

    fn read_line(&mut self) -> io::Result<Line> {
        self.bytes.clear();
        let mut any = false;
        let mut too_long = false;
        loop {
            let chunk = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            if chunk.is_empty() && !any {
                return Ok(Line::End);
            }
            if !any {
                self.line += 1;
            }
            any = true;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            too_long = too_long || self.bytes.len() + part.len() > MAX_ROW_BYTES;
            if too_long {
                self.bytes.clear();
            } else {
                self.bytes.extend_from_slice(part);
            }
            let at_end = chunk.is_empty() || end.is_some();
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            self.n_bytes += used as u64;
            if at_end {
                if self.line == 1 && self.bytes.starts_with(BYTE_ORDER_MARK) {
                    self.bytes.drain(..BYTE_ORDER_MARK.len());
                }
                return Ok(if too_long { Line::TooLong } else { Line::Whole });
            }
        }
    }
}

fn item(bytes: &[u8], options: &ImportOptions) -> Result<ImportItem, Vec<Fault>> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| vec![Fault::row(Reason::NotUtf8(error.valid_up_to() + 1))])?;
    // The parser's own message may repeat a value, so it is not passed on.
    let map = serde_json::from_str(text).map_err(|_| vec![Fault::row(Reason::NotJson)])?;
    let mut object = Object { field: None, map, faults: Faults::default() };
    let raw = match object.text("record").as_str() {
        "person" => Raw::Person(person(&mut object)),
        "entry" => Raw::Entry(RawEntry {
            id: object.text("id"),
            entry: object.text("entry"),
            category: object.text("category"),
            text: object.text("text"),
            flags: object.texts("flags"),
            handling_code: object.text("handling_code"),
        }),
        "rating" => Raw::Rating(RawRating {
            id: object.text("id"),
            colour: object.text("colour"),
            analysis: object.text("analysis"),
            tags: object.texts("tags"),
            rated_by: object.text("rated_by"),
            rated_at: object.text("rated_at"),
        }),
        "" => return Err(vec![Fault::at("record", Reason::Missing)]),
        _ => return Err(vec![Fault::at("record", Reason::UnknownRecord)]),
    };
    let (faults, unknown_keys) = object.finish();
    if unknown_keys {
        return Err(vec![Fault::row(Reason::UnknownKey)]);
    }
    build(raw, faults, options)
}

fn person(object: &mut Object) -> RawPerson {
    RawPerson {
        id: object.text("id"),
        born: object.text("born"),
        sex: object.text("sex"),
        names: object.objects("names", |name| RawName {
            field: "names",
            kind: name.text("kind"),
            given: name.text("given"),
            family: name.text("family"),
        }),
        identifiers: object.objects("identifiers", |identifier| RawIdentifier {
            field: "identifiers",
            kind: identifier.text("kind"),
            value: identifier.text("value"),
        }),
        addresses: object.objects("addresses", |address| RawAddress {
            field: "addresses",
            house: address.text("house"),
            postcode: address.text("postcode"),
            from: address.text("from"),
            to: address.text("to"),
        }),
    }
}

/// An object of which keys are taken away; what is left in the end is unknown.
struct Object {
    /// The key of the row under which the object lies; absent for the row itself.
    field: Option<&'static str>,
    map: Map<String, Value>,
    faults: Faults,
}

impl Object {
    /// A text; empty when it is absent or `null`.
    fn text(&mut self, key: &'static str) -> String {
        let field = self.field.unwrap_or(key);
        let text = match self.map.remove(key) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(value) => text_of_value(value),
        };
        self.faults.take(field, text).unwrap_or_default()
    }

    fn list(&mut self, key: &'static str) -> Vec<Value> {
        let list = match self.map.remove(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(list)) => Ok(list),
            Some(_) => Err(Reason::WrongType),
        };
        self.faults.take(key, list).unwrap_or_default()
    }

    fn texts(&mut self, key: &'static str) -> Vec<String> {
        let values = self.list(key).into_iter();
        values.filter_map(|value| self.faults.take(key, text_of_value(value))).collect()
    }

    fn objects<T>(&mut self, key: &'static str, read: impl Fn(&mut Self) -> T) -> Vec<T> {
        let mut items = Vec::new();
        for value in self.list(key) {
            let Value::Object(map) = value else {
                self.faults.add(key, Reason::WrongType);
                continue;
            };
            let faults = std::mem::take(&mut self.faults);
            let mut object = Self { field: Some(key), map, faults };
            items.push(read(&mut object));
            let (faults, unknown_keys) = object.finish();
            self.faults = faults;
            if unknown_keys {
                self.faults.add(key, Reason::UnknownKey);
            }
        }
        items
    }

    fn finish(self) -> (Faults, bool) {
        (self.faults, !self.map.is_empty())
    }
}

fn text_of_value(value: Value) -> Result<String, Reason> {
    match value {
        Value::String(text) if text.len() > MAX_FIELD_BYTES => {
            Err(Reason::FieldTooLong(MAX_FIELD_BYTES))
        }
        Value::String(text) => Ok(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(Reason::WrongType)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_line_is_skipped_without_being_held() {
        let text = format!("{}\nshort\n{}", "[".repeat(10_000_000), "x".repeat(MAX_ROW_BYTES));
        let mut rows = JsonRows::new(io::BufReader::with_capacity(1000, text.as_bytes()));
        assert!(matches!(rows.read_line().unwrap(), Line::TooLong));
        assert!(matches!(rows.read_line().unwrap(), Line::Whole));
        assert_eq!((rows.bytes.as_slice(), rows.line), (&b"short"[..], 2));
        assert!(matches!(rows.read_line().unwrap(), Line::Whole));
        assert!(matches!(rows.read_line().unwrap(), Line::End));
        assert!(rows.bytes.capacity() <= 2 * MAX_ROW_BYTES);
        assert_eq!(rows.n_bytes(), text.len() as u64);
    }
}
