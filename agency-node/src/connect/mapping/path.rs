//! Where a value lies in a row: the name of a column, or a way through nested objects and lists.
//!
//! | written | finds |
//! |---|---|
//! | `SURNAME` | the column or key of exactly this name; it may hold spaces and dots, and no square brackets |
//! | `name.family` | the key in the object; in a list of objects, in each of them |
//! | `name[0].family` | … in the first of the list |
//! | `name[use=official].family` | … in those whose `use` is `official` |
//! | `name[use!=old].family` | … in those whose `use` is not |
//!
//! What is not there is no value and no error: rows leave out what is not known.

use std::str::FromStr;

use serde_json::Value;

/// Most steps of a path.
const MAX_STEPS: usize = 16;
/// Longest path, in bytes.
const MAX_PATH_BYTES: usize = 256;

/// Where a value lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldPath {
    /// As it is written: a column of exactly this name comes first.
    written: Box<str>,
    steps: Box<[Step]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(Box<str>),
    Nth(usize),
    Where { keys: Box<[Box<str>]>, wanted: Wanted, word: Box<str> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Equal,
    Different,
}

/// Why a text is not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a field: expected a column, or keys separated by `.`, with `[0]` or `[key=value]` behind a list, for example \
     `name[use=official].family`"
)]
pub(crate) struct NotAPath;

impl FieldPath {
    /// As it is written.
    pub(crate) fn written(&self) -> &str {
        &self.written
    }

    /// Whether it is the plain name of a column or key.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(&*self.steps, [Step::Key(key)] if **key == *self.written)
    }

    /// Everything that lies there, in order; a list at the end is taken apart.
    pub(crate) fn find<'a>(&self, row: &'a Value) -> Vec<&'a Value> {
        if let Some(found) = row.as_object().and_then(|object| object.get(&*self.written)) {
            return flat(vec![found]);
        }
        let mut found = vec![row];
        for step in &self.steps {
            found = step.of(&found);
            if found.is_empty() {
                return found;
            }
        }
        flat(found)
    }
}

impl FromStr for FieldPath {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        if text.is_empty() || text.len() > MAX_PATH_BYTES || text.chars().any(char::is_control) {
            return Err(NotAPath);
        }
        let steps = steps(text)?;
        if steps.is_empty() || steps.len() > MAX_STEPS {
            return Err(NotAPath);
        }
        Ok(Self { written: text.into(), steps: steps.into() })
    }
}

impl Step {
    fn of<'a>(&self, found: &[&'a Value]) -> Vec<&'a Value> {
        let mut next = Vec::new();
        for value in found {
            match (self, value) {
                (Self::Key(key), Value::Object(object)) => next.extend(object.get(&**key)),
                (Self::Key(key), Value::Array(list)) => {
                    next.extend(list.iter().filter_map(|item| item.get(&**key)));
                }
                (Self::Nth(n), Value::Array(list)) => next.extend(list.get(*n)),
                // One thing where a list could be is its first.
                (Self::Nth(0), value @ Value::Object(_)) => next.push(value),
                (Self::Where { .. }, Value::Array(list)) => {
                    next.extend(list.iter().filter(|item| self.holds(item)));
                }
                (Self::Where { .. }, value @ Value::Object(_)) if self.holds(value) => {
                    next.push(value);
                }
                _ => {}
            }
        }
        next
    }

    fn holds(&self, item: &Value) -> bool {
        let Self::Where { keys, wanted, word } = self else { return false };
        let mut found = vec![item];
        for key in keys {
            found = Self::Key(key.clone()).of(&found);
        }
        let is = flat(found).into_iter().any(|value| match value {
            Value::String(text) => **text == **word,
            Value::Number(number) => number.to_string() == **word,
            Value::Bool(is) => is.to_string() == **word,
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        });
        is == (*wanted == Wanted::Equal)
    }
}

fn flat(found: Vec<&Value>) -> Vec<&Value> {
    let mut all = Vec::with_capacity(found.len());
    for value in found {
        match value {
            Value::Array(list) => all.extend(list),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => {
                all.push(value);
            }
        }
    }
    all
}

fn steps(text: &str) -> Result<Vec<Step>, NotAPath> {
    let mut steps = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (key, behind) = rest.split_at_checked(end).ok_or(NotAPath)?;
        if key.trim().is_empty() || key.contains(']') {
            return Err(NotAPath);
        }
        steps.push(Step::Key(key.into()));
        rest = behind;
        while let Some(inside) = rest.strip_prefix('[') {
            let (inside, behind) = inside.split_once(']').ok_or(NotAPath)?;
            steps.push(selector(inside)?);
            rest = behind;
        }
        match rest.strip_prefix('.') {
            Some(behind) => rest = behind,
            None if rest.is_empty() => return Ok(steps),
            None => return Err(NotAPath),
        }
    }
}

fn selector(inside: &str) -> Result<Step, NotAPath> {
    let Some((keys, word)) = inside.split_once('=') else {
        return inside.parse().map(Step::Nth).map_err(|_| NotAPath);
    };
    let (keys, wanted) = match keys.strip_suffix('!') {
        Some(keys) => (keys, Wanted::Different),
        None => (keys, Wanted::Equal),
    };
    let keys: Box<[Box<str>]> = keys.split('.').map(Box::from).collect();
    if keys.len() > MAX_STEPS || keys.iter().any(|key| key.is_empty()) || word.is_empty() {
        return Err(NotAPath);
    }
    Ok(Step::Where { keys, wanted, word: word.into() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn find(path: &str, row: &Value) -> Vec<Value> {
        path.parse::<FieldPath>().unwrap().find(row).into_iter().cloned().collect()
    }

    #[test]
    fn what_is_not_a_path_is_refused() {
        for text in
            ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[=b]", "a[b=]", "a]b", "a[0]b", "a\nb"]
        {
            assert_eq!(text.parse::<FieldPath>(), Err(NotAPath), "{text:?}");
        }
    }

    #[test]
    fn a_column_of_exactly_this_name_comes_first_and_what_is_not_there_is_nothing() {
        let row = json!({ "Date.of [birth]": "1990", "a": { "b": null } });
        assert_eq!("Date.of [birth]".parse::<FieldPath>(), Err(NotAPath));
        let row2 = json!({ "a.b": "flat", "a": { "b": "nested" } });
        assert_eq!(find("a.b", &row2), [json!("flat")]);
        assert_eq!(find("x.y[0].z", &row), Vec::<Value>::new());
        assert_eq!(find("a.b.c", &row), Vec::<Value>::new());
    }

    #[test]
    fn lists_are_walked_and_chosen_from() {
        let row = json!({
            "name": [
                { "use": "old", "family": "Pell", "given": ["Nadia"] },
                { "use": "official", "family": "Brookes", "given": ["Nadia", "Jane"] },
            ],
            "code": { "coding": [{ "system": "s", "code": 7 }] },
        });
        assert_eq!(find("name[use=official].given", &row), [json!("Nadia"), json!("Jane")]);
        assert_eq!(find("name[use!=official].family", &row), [json!("Pell")]);
        assert_eq!(find("name[1].given[0]", &row), [json!("Nadia")]);
        assert_eq!(find("name.family", &row), [json!("Pell"), json!("Brookes")]);
        assert_eq!(find("code[0].coding[code=7].system", &row), [json!("s")]);
        assert_eq!(find("name[9].family", &row), Vec::<Value>::new());
    }

    proptest! {
        #[test]
        fn any_text_is_a_path_or_not_and_never_a_panic(text in "\\PC{0,40}", key in "[a-z.\\[\\]=!0-9]{0,20}") {
            let row = json!({ "a": [{ "b": [1, "x", null] }], "0": {} });
            for text in [text, key] {
                if let Ok(path) = text.parse::<FieldPath>() {
                    let _ = path.find(&row);
                }
            }
        }
    }
}
