//! How one text is made from a row: a field, a constant or a template, then cut, looked up, read as a date and joined.

use std::{collections::BTreeMap, fmt};

use jiff::civil::Date;
use serde::{
    Deserialize, Deserializer,
    de::{self, IntoDeserializer as _, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;

use super::path::FieldPath;
use crate::import::{Reason, reject::MAX_FIELD_BYTES};

/// Up to here (2^53) a number that is not read as a whole one keeps every digit before its point.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Most placeholders of a template.
const MAX_PARTS: usize = 64;

/// How a text is made.
#[derive(Debug, Clone)]
pub(crate) struct ValueSpec {
    from: From,
    after: Option<String>,
    map: Option<BTreeMap<String, String>>,
    otherwise: Option<String>,
    default: String,
    date: Vec<DateForm>,
    join: String,
}

#[derive(Debug, Clone)]
enum From {
    Field(FieldPath),
    Constant(String),
    Template(Vec<Part>),
}

#[derive(Debug, Clone)]
enum Part {
    Words(String),
    Field(FieldPath),
}

/// A form in which a date is written.
#[derive(Debug, Clone)]
enum DateForm {
    /// ISO 8601, perhaps with a time of day, which is cut off; a year or a month alone stays.
    Iso,
    /// As `strptime` writes forms.
    Written(String),
}

impl ValueSpec {
    /// The text, perhaps empty.
    ///
    /// # Errors
    /// What is wrong with the value, never the value.
    pub(crate) fn of(&self, row: &Value) -> Result<String, Reason> {
        let text = match &self.from {
            From::Constant(text) => text.clone(),
            From::Template(parts) => filled(parts, row)?,
            From::Field(path) => self.joined(&path.find(row))?,
        };
        let text = if text.is_empty() { self.default.clone() } else { text };
        if text.len() > MAX_FIELD_BYTES {
            return Err(Reason::FieldTooLong(MAX_FIELD_BYTES));
        }
        Ok(text)
    }

    /// Every field that it reads.
    pub(crate) fn fields(&self) -> Vec<&FieldPath> {
        match &self.from {
            From::Field(path) => vec![path],
            From::Constant(_) => Vec::new(),
            From::Template(parts) => parts
                .iter()
                .filter_map(|part| match part {
                    Part::Field(path) => Some(path),
                    Part::Words(_) => None,
                })
                .collect(),
        }
    }

    fn joined(&self, found: &[&Value]) -> Result<String, Reason> {
        let mut joined = String::new();
        for value in found {
            let text = self.made(&text_of(value)?)?;
            if text.is_empty() {
                continue;
            }
            if !joined.is_empty() {
                joined.push_str(&self.join);
            }
            joined.push_str(&text);
            if joined.len() > MAX_FIELD_BYTES {
                return Err(Reason::FieldTooLong(MAX_FIELD_BYTES));
            }
        }
        Ok(joined)
    }

    /// One value: cut, looked up, read as a date.
    fn made(&self, text: &str) -> Result<String, Reason> {
        let mut text = text.trim();
        if text.is_empty() {
            return Ok(String::new());
        }
        if let Some(mark) = &self.after {
            let (_, behind) = text.rsplit_once(mark.as_str()).ok_or(Reason::NotThere)?;
            text = behind.trim();
        }
        let mut made = match &self.map {
            None => text.to_owned(),
            Some(map) => match (map.get(text), &self.otherwise) {
                (Some(word), _) | (None, Some(word)) => word.clone(),
                (None, None) => return Err(Reason::NotInMap),
            },
        };
        if !self.date.is_empty() && !made.is_empty() {
            let read = self.date.iter().find_map(|form| form.read(&made));
            made = read.ok_or(Reason::NotInForm)?;
        }
        Ok(made)
    }
}

impl DateForm {
    fn read(&self, text: &str) -> Option<String> {
        match self {
            Self::Iso => {
                let is_time = |c: char| c == 'T' || c == ' ';
                let day = text.split(is_time).next()?;
                let plain = day.bytes().all(|b| b.is_ascii_digit() || b == b'-');
                (plain && matches!(day.len(), 4 | 7 | 10)).then(|| day.to_owned())
            }
            Self::Written(form) => Date::strptime(form, text).ok().map(|date| date.to_string()),
        }
    }

    /// A form that says day, month and a year of four digits, and nothing that jiff does not read.
    fn parse(text: &str) -> Result<Self, String> {
        if text == "iso" {
            return Ok(Self::Iso);
        }
        let problem = || {
            format!(
                "`{text}` is not a form of a date: expected `iso`, or day, month and a year of four digits as in \
                 `%d/%m/%Y` or `%d %b %Y`"
            )
        };
        // A year of two digits would be a guess.
        if text.contains("%y") || text.contains("%g") {
            return Err(problem());
        }
        let day = Date::new(2001, 12, 13).map_err(|_| problem())?;
        let written = jiff::fmt::strtime::format(text, day).map_err(|_| problem())?;
        match Date::strptime(text, &written) {
            Ok(read) if read == day => Ok(Self::Written(text.to_owned())),
            Ok(_) | Err(_) => Err(problem()),
        }
    }
}

/// A scalar as text; nothing for `null`.
pub(super) fn text_of(value: &Value) -> Result<String, Reason> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        // Beyond this a number that was not read as a whole one has lost digits: an id would be another's.
        Value::Number(number)
            if number.is_f64() && number.as_f64().is_none_or(|n| n.abs() >= EXACT) =>
        {
            Err(Reason::WrongType)
        }
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(is) => Ok(is.to_string()),
        Value::Array(_) | Value::Object(_) => Err(Reason::NotText),
    }
}

/// A template with its fields; empty when it has fields and none of them has a value.
fn filled(parts: &[Part], row: &Value) -> Result<String, Reason> {
    let mut text = String::new();
    let (mut has_fields, mut has_value) = (false, false);
    for part in parts {
        match part {
            Part::Words(words) => text.push_str(words),
            Part::Field(path) => {
                has_fields = true;
                for (n, value) in path.find(row).into_iter().enumerate() {
                    let value = text_of(value)?;
                    has_value = has_value || !value.trim().is_empty();
                    if n > 0 {
                        text.push_str(", ");
                    }
                    text.push_str(value.trim());
                }
            }
        }
        if text.len() > MAX_FIELD_BYTES {
            return Err(Reason::FieldTooLong(MAX_FIELD_BYTES));
        }
    }
    if has_fields && !has_value {
        return Ok(String::new());
    }
    Ok(text.trim().to_owned())
}

/// Takes a template apart: `{field}`, and `{{` and `}}` for the braces themselves.
fn parts(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut words = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, behind) = rest.split_at_checked(at).unwrap_or((rest, ""));
        words.push_str(before);
        if let Some(behind) = behind.strip_prefix("{{") {
            words.push('{');
            rest = behind;
        } else if let Some(behind) = behind.strip_prefix("}}") {
            words.push('}');
            rest = behind;
        } else if let Some(behind) = behind.strip_prefix('{') {
            let unclosed = || "a `{` is not closed; a brace itself is written twice".to_owned();
            let (name, behind) = behind.split_once('}').ok_or_else(unclosed)?;
            let path: FieldPath = name.parse().map_err(|error| format!("`{{{name}}}`: {error}"))?;
            parts.push(Part::Words(std::mem::take(&mut words)));
            parts.push(Part::Field(path));
            rest = behind;
        } else {
            return Err("a `}` without a `{`; a brace itself is written twice".to_owned());
        }
        if parts.len() > 2 * MAX_PARTS {
            return Err(format!("more than {MAX_PARTS} fields in one text"));
        }
    }
    words.push_str(rest);
    parts.push(Part::Words(words));
    Ok(parts)
}

/// A value as it is written in a table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    field: Option<String>,
    value: Option<String>,
    text: Option<String>,
    after: Option<String>,
    map: Option<BTreeMap<String, String>>,
    otherwise: Option<String>,
    default: Option<String>,
    date: Option<OneOrMany>,
    join: Option<String>,
}

/// A text, or a list of texts.
#[derive(Debug, Clone, Default)]
pub(super) struct OneOrMany(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![text.to_owned()]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany(texts))
            }
        }
        deserializer.deserialize_any(Texts)
    }
}

impl ValueSpec {
    fn plain(from: From) -> Self {
        Self {
            from,
            after: None,
            map: None,
            otherwise: None,
            default: String::new(),
            date: Vec::new(),
            join: " ".to_owned(),
        }
    }

    fn check(written: Written) -> Result<Self, String> {
        let Written { field, value, text, after, map, otherwise, default, date, join } = written;
        let works = after.is_some() || map.is_some() || date.is_some() || join.is_some();
        let from = match (field, value, text) {
            (Some(field), None, None) => {
                From::Field(field.parse().map_err(|error| format!("`{field}`: {error}"))?)
            }
            (None, Some(value), None) => From::Constant(value),
            (None, None, Some(text)) => From::Template(parts(&text)?),
            _ => return Err("expected exactly one of `field`, `value` and `text`".to_owned()),
        };
        if works && !matches!(from, From::Field(_)) {
            return Err("`after`, `map`, `date` and `join` work on a `field` alone".to_owned());
        }
        if otherwise.is_some() && map.is_none() {
            return Err(
                "`otherwise` says what holds for what `map` does not list; there is no `map`"
                    .to_owned(),
            );
        }
        let date = date.unwrap_or_default().0;
        let date = date.iter().map(|form| DateForm::parse(form));
        Ok(Self {
            after,
            map,
            otherwise,
            default: default.unwrap_or_default(),
            date: date.collect::<Result<_, _>>()?,
            join: join.unwrap_or_else(|| " ".to_owned()),
            ..Self::plain(from)
        })
    }
}

impl<'de> Deserialize<'de> for ValueSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Spec;
        impl<'de> Visitor<'de> for Spec {
            type Value = ValueSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field, or a table with `field`, `value` or `text`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ValueSpec, E> {
                let path = text.parse().map_err(|error| E::custom(format!("`{text}`: {error}")))?;
                Ok(ValueSpec::plain(From::Field(path)))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ValueSpec, A::Error> {
                let written = Written::deserialize(MapAccessDeserializer::new(map))?;
                ValueSpec::check(written).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(Spec)
    }
}

impl<'de> Deserialize<'de> for FieldPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| de::Error::custom(format!("`{text}`: {error}")))
    }
}

/// One value or several, whose texts are listed.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListSpec(pub(super) Vec<ValueSpec>);

impl ListSpec {
    /// The texts, each taken apart at `;`.
    pub(crate) fn of(&self, row: &Value) -> Result<Vec<String>, Reason> {
        let mut texts = Vec::new();
        for spec in &self.0 {
            let text = spec.of(row)?;
            let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
            texts.extend(parts.map(str::to_owned));
        }
        Ok(texts)
    }
}

impl<'de> Deserialize<'de> for ListSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = ListSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a list of values")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ListSpec, E> {
                let spec = ValueSpec::deserialize(text.into_deserializer())?;
                Ok(ListSpec(vec![spec]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ListSpec, A::Error> {
                let spec = ValueSpec::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ListSpec(vec![spec]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<ListSpec, A::Error> {
                let mut specs = Vec::new();
                while let Some(spec) = list.next_element()? {
                    specs.push(spec);
                }
                Ok(ListSpec(specs))
            }
        }
        deserializer.deserialize_any(List)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn spec(toml: &str) -> Result<ValueSpec, String> {
        #[derive(Deserialize)]
        struct File {
            x: ValueSpec,
        }
        toml::from_str::<File>(&format!("x = {toml}"))
            .map(|file| file.x)
            .map_err(|e| e.message().to_owned())
    }

    fn made(toml: &str, row: &Value) -> Result<String, Reason> {
        spec(toml).unwrap().of(row)
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        for toml in [
            "{}",
            "{ field = \"a\", value = \"b\" }",
            "{ feild = \"a\" }",
            "{ value = \"b\", map = { a = \"b\" } }",
            "{ field = \"a\", otherwise = \"b\" }",
            "{ field = \"a\", date = \"%d/%m/%y\" }",
            "{ field = \"a\", date = \"%d\" }",
            "{ field = \"a\", date = \"%Q\" }",
            "{ text = \"{a\" }",
            "{ text = \"a}\" }",
            "{ text = \"{}\" }",
            "\"a[\"",
            "7",
        ] {
            assert!(spec(toml).is_err(), "{toml}");
        }
    }

    #[test]
    fn a_field_is_cut_looked_up_and_read_as_a_date() {
        let sex = "{ field = \"g\", map = { \"1\" = \"male\", \"2\" = \"female\" } }";
        assert_eq!(made(sex, &json!({ "g": 1 })), Ok("male".to_owned()));
        assert_eq!(made(sex, &json!({ "g": "3" })), Err(Reason::NotInMap));
        assert_eq!(made(sex, &json!({ "g": null })), Ok(String::new()));
        let sex = "{ field = \"g\", map = { F = \"female\" }, otherwise = \"\", default = \"x\" }";
        assert_eq!(made(sex, &json!({ "g": "?" })), Ok("x".to_owned()));
        let date = "{ field = \"d\", date = [\"%d-%b-%Y\", \"iso\"] }";
        assert_eq!(made(date, &json!({ "d": "04-Mar-1992" })), Ok("1992-03-04".to_owned()));
        assert_eq!(
            made(date, &json!({ "d": "1992-03-04T00:00:00Z" })),
            Ok("1992-03-04".to_owned())
        );
        assert_eq!(made(date, &json!({ "d": "1992-03" })), Ok("1992-03".to_owned()));
        assert_eq!(made(date, &json!({ "d": "4.3.92" })), Err(Reason::NotInForm));
        let after = "{ field = \"r\", after = \"Patient/\" }";
        assert_eq!(made(after, &json!({ "r": "https://x/Patient/7" })), Ok("7".to_owned()));
        assert_eq!(made(after, &json!({ "r": "Group/7" })), Err(Reason::NotThere));
        assert_eq!(made("\"g\"", &json!({ "g": { "h": 1 } })), Err(Reason::NotText));
        assert_eq!(made("\"g\"", &json!({ "g": ["A", " B "] })), Ok("A B".to_owned()));
    }

    #[test]
    fn a_template_whose_fields_are_all_empty_is_empty() {
        let text = "{ text = \"{{{a}}} seen {b}\" }";
        assert_eq!(made(text, &json!({ "a": "x" })), Ok("{x} seen".to_owned()));
        assert_eq!(made(text, &json!({ "a": " " })), Ok(String::new()));
        assert_eq!(made("{ text = \"always\" }", &json!({})), Ok("always".to_owned()));
        let long = json!({ "a": "y".repeat(MAX_FIELD_BYTES + 1) });
        assert_eq!(made(text, &long), Err(Reason::FieldTooLong(MAX_FIELD_BYTES)));
    }

    proptest! {
        #[test]
        fn any_value_is_made_or_rejected(text in "\\PC{0,60}", form in "[%a-zA-Z/ ]{0,8}", template in "[{}a-z ]{0,20}") {
            let row = json!({ "d": text, "a": [text, 1, null] });
            for toml in [
                "{ field = \"d\", date = [\"iso\", \"%d/%m/%Y\", \"%d %B %Y\"] }".to_owned(),
                format!("{{ field = \"d\", date = \"{form}\" }}"),
                format!("{{ text = \"{template}\" }}"),
                "{ field = \"a\", after = \"/\" }".to_owned(),
            ] {
                if let Ok(spec) = spec(&toml) {
                    let _ = spec.of(&row);
                }
            }
        }
    }
}
