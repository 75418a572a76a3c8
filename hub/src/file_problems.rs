//! What is wrong with a file that a co-ordinator wrote: everything, each with its place. No value is repeated:
//! the files name people.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

/// The longest file that is read, in bytes.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, for example `person[2].born`, or the line when the file can not be taken apart.
    pub place: String,
    /// What, and what is expected.
    pub text: String,
}

/// Everything that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` can not be used{}", path.display(), Lines(problems))]
pub struct FileProblems {
    /// The file.
    pub path: PathBuf,
    /// What is wrong; never empty.
    pub problems: Vec<Problem>,
}

struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| write!(f, "\n  {}: {}", problem.place, problem.text))
    }
}

/// Problems while a file is looked through.
#[derive(Debug, Default)]
pub(crate) struct Found(Vec<Problem>);

impl Found {
    pub(crate) fn add(&mut self, place: impl Into<String>, text: impl fmt::Display) {
        self.0.push(Problem { place: place.into(), text: text.to_string() });
    }

    /// The value, or nothing and a problem.
    pub(crate) fn take<T, E: fmt::Display>(
        &mut self,
        place: &str,
        result: Result<T, E>,
    ) -> Option<T> {
        result.map_err(|error| self.add(place, error)).ok()
    }

    /// Everything that was found.
    pub(crate) fn problems(self) -> Vec<Problem> {
        self.0
    }

    /// `whole`, when nothing was found.
    pub(crate) fn finish<T>(self, path: &Path, whole: T) -> Result<T, FileProblems> {
        if self.0.is_empty() {
            Ok(whole)
        } else {
            Err(FileProblems { path: path.to_owned(), problems: self.0 })
        }
    }
}

/// Reads a file into its raw shape: JSON when its name ends in `.json`, otherwise TOML.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, FileProblems> {
    use std::io::Read as _;
    let wrong = |place: String, text: String| FileProblems {
        path: path.to_owned(),
        problems: vec![Problem { place, text }],
    };
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(FILE_MAX_BYTES + 1).read_to_string(&mut text));
    if let Err(error) = read {
        return Err(wrong("file".to_owned(), error.to_string()));
    }
    if text.len() as u64 > FILE_MAX_BYTES {
        return Err(wrong("file".to_owned(), "longer than 1 MiB".to_owned()));
    }
    let is_json = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    if is_json {
        serde_json::from_str(&text)
            .map_err(|error| wrong(format!("line {}", error.line()), shape(&error.to_string())))
    } else {
        toml::from_str(&text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text.get(..start).unwrap_or(&text).matches('\n').count() + 1;
            wrong(format!("line {line}"), shape(error.message()))
        })
    }
}

/// What the parser says, without the value that it quotes (`invalid type: string "…", expected …`).
fn shape(message: &str) -> String {
    let about_a_value =
        ["invalid type", "invalid value"].iter().any(|kind| message.starts_with(kind));
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if about_a_value => format!("wrong kind of value: expected {expected}"),
        _ if about_a_value => "wrong kind of value".to_owned(),
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_the_parser_quotes_is_left_out() {
        for message in [
            "invalid type: string \"Ann\", expected a boolean",
            "invalid type: integer `9990000018`, expected a boolean",
        ] {
            assert_eq!(shape(message), "wrong kind of value: expected a boolean");
        }
        assert_eq!(shape("unknown field `name`"), "unknown field `name`");
    }
}
