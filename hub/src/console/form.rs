//! What somebody has sent in a form, what is wrong with it, and how it is shown again.

use axum::extract::{FromRequest, Request};
use brag_common::{agreement::clock::united_kingdom, console::Problem, time::Timestamp};
use jiff::{civil, tz::TimeZone};

/// One thing to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) text: String,
    /// What it means; empty: the text says it.
    pub(super) hint: String,
}

impl Choice {
    pub(super) fn new(value: impl Into<String>, text: impl Into<String>) -> Self {
        Self { value: value.into(), text: text.into(), hint: String::new() }
    }

    pub(super) fn with(
        value: impl Into<String>,
        text: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { hint: hint.into(), ..Self::new(value, text) }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The address of the field, for example `#note`; empty: none in particular.
    pub(super) at: String,
    /// What is wrong and how it is put right.
    pub(super) text: String,
}

/// A form as it was sent, or as it is to be filled.
#[derive(Debug, Clone, Default)]
pub(super) struct Form {
    values: Vec<(String, String)>,
    wrong: Vec<Wrong>,
    /// The code of the reason for which a service refused it; empty: none did.
    code: String,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let sent = axum::Form::<Vec<(String, String)>>::from_request(request, state).await;
        let axum::Form(values) = sent.map_err(|_| Problem::Forged)?;
        Ok(Self::of(values))
    }
}

impl Form {
    pub(super) fn of(values: Vec<(String, String)>) -> Self {
        let values = values.into_iter().filter(|(name, _)| name != "csrf").collect();
        Self { values, ..Self::default() }
    }

    /// Fills a field.
    pub(super) fn put(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.values.push((name.into(), value.into()));
    }

    /// What stands in a field, as it was typed; empty: nothing.
    pub(super) fn value(&self, name: &str) -> &str {
        let found = self.values.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// What stands in a field, on one line: the wire takes no breaks.
    pub(super) fn line(&self, name: &str) -> String {
        let plain = self.value(name).chars().map(|sign| if sign.is_control() { ' ' } else { sign });
        let plain: String = plain.collect();
        plain.split(' ').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// What stands in a field, unless it is blank.
    pub(super) fn given(&self, name: &str) -> Option<String> {
        Some(self.line(name)).filter(|text| !text.is_empty())
    }

    /// Everything that was ticked under a name.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let of = self.values.iter().filter(|(known, _)| known == name);
        of.map(|(_, value)| value.clone()).filter(|value| !value.is_empty()).collect()
    }

    /// Whether this was chosen or ticked.
    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        self.values.iter().any(|(known, chosen)| known == name && chosen == value)
    }

    /// Every field, to be carried along.
    pub(super) fn values(&self) -> &[(String, String)] {
        &self.values
    }

    /// Says what is wrong with a field.
    pub(super) fn wrong(&mut self, field: &str, text: impl Into<String>) {
        let at = if field.is_empty() { String::new() } else { format!("#{field}") };
        self.wrong.push(Wrong { at, text: text.into() });
    }

    /// Says what is wrong on another page, or was found elsewhere.
    pub(super) fn wrong_elsewhere(&mut self, wrong: Wrong) {
        self.wrong.push(wrong);
    }

    /// What is wrong with a field; empty: nothing.
    pub(super) fn error(&self, field: &str) -> &str {
        let of = |wrong: &&Wrong| wrong.at.strip_prefix('#') == Some(field);
        self.wrong.iter().find(of).map_or("", |wrong| wrong.text.as_str())
    }

    /// What describes a field: its hint, if it has one, and its error.
    pub(super) fn described(&self, field: &str, hint: &str) -> String {
        match (hint.is_empty(), self.error(field).is_empty()) {
            (true, true) => String::new(),
            (false, true) => format!("{field}-hint"),
            (true, false) => format!("{field}-error"),
            (false, false) => format!("{field}-hint {field}-error"),
        }
    }

    /// Everything that is wrong.
    pub(super) fn all_wrong(&self) -> &[Wrong] {
        &self.wrong
    }

    /// The code of the reason for which it was refused; empty: it was not, or for none that has a code.
    pub(super) fn code(&self) -> &str {
        &self.code
    }

    /// Keeps the code of a refusal, which stands beside its words.
    pub(super) fn refused_for(&mut self, code: &str) {
        code.clone_into(&mut self.code);
    }

    pub(super) fn is_right(&self) -> bool {
        self.wrong.is_empty()
    }

    /// The title of a page with this form.
    pub(super) fn title(&self, title: &str) -> String {
        if self.is_right() { title.to_owned() } else { format!("Error: {title}") }
    }

    /// What is chosen of these; what is not among them is wrong.
    pub(super) fn chosen(&mut self, field: &str, choices: &[Choice], ask: &str) -> String {
        let value = self.value(field).to_owned();
        if !choices.iter().any(|choice| choice.value == value) {
            self.wrong(field, ask);
        }
        value
    }

    /// A day and a time of day in the United Kingdom, in four fields; 0: none is given.
    pub(super) fn moment(&mut self, name: &str) -> i64 {
        let part = |end: &str| self.value(&format!("{name}-{end}")).trim().to_owned();
        let (day, month, year, time) = (part("day"), part("month"), part("year"), part("time"));
        if [&day, &month, &year, &time].into_iter().all(String::is_empty) {
            return 0;
        }
        match at(&day, &month, &year, &time) {
            Some(at) => at.as_millisecond(),
            None => {
                let text = "Enter a real date and a time of day, for example 28 11 2026 and 14:05, or leave all four empty";
                self.wrong(name, text);
                0
            }
        }
    }

    /// Fills the four fields of a moment.
    pub(super) fn put_moment(&mut self, name: &str, at: Timestamp) {
        let at = at.to_zoned(united_kingdom().unwrap_or(TimeZone::UTC));
        self.put(format!("{name}-day"), at.day().to_string());
        self.put(format!("{name}-month"), at.month().to_string());
        self.put(format!("{name}-year"), at.year().to_string());
        self.put(format!("{name}-time"), at.strftime("%H:%M").to_string());
    }
}

fn at(day: &str, month: &str, year: &str, time: &str) -> Option<Timestamp> {
    let date = civil::Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
    let (hour, minute) = time.split_once([':', '.'])?;
    let time = civil::Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()?;
    let zone = united_kingdom().unwrap_or(TimeZone::UTC);
    Some(date.to_datetime(time).to_zoned(zone).ok()?.timestamp())
}

/// What a service refused, at the form: what it says is shown above it. Anything that the form can not put right is a page of its
/// own.
pub(super) fn refuse(form: &mut Form, problem: Problem) -> Result<(), Problem> {
    match problem {
        Problem::Refused { ref code, .. } => {
            form.refused_for(code);
            form.wrong("", problem.text());
            Ok(())
        }
        other => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(values: &[(&str, &str)]) -> Form {
        Form::of(values.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn the_secret_of_the_session_is_not_carried_along() {
        assert!(form(&[("csrf", "x")]).values().is_empty());
    }

    #[test]
    fn a_text_of_several_lines_becomes_one() {
        assert_eq!(form(&[("a", " one\r\n two\t\u{7}three ")]).line("a"), "one two three");
        assert_eq!(form(&[("a", " \r\n")]).given("a"), None);
    }

    #[test]
    fn a_moment_is_whole_or_absent() {
        let whole = [("t-day", "1"), ("t-month", "7"), ("t-year", "2026"), ("t-time", "15:05")];
        let mut summer = form(&whole);
        let expected: Timestamp = "2026-07-01T14:05:00Z".parse().unwrap();
        assert_eq!(summer.moment("t"), expected.as_millisecond());
        assert!(summer.is_right());
        assert_eq!(form(&[]).moment("t"), 0);
        for gap in 0..4 {
            let mut part = form(&[&whole[..gap], &whole[gap + 1..]].concat());
            assert_eq!(part.moment("t"), 0);
            assert_ne!(part.error("t"), "");
        }
        let mut none =
            form(&[("t-day", "31"), ("t-month", "2"), ("t-year", "2026"), ("t-time", "1:00")]);
        none.moment("t");
        assert!(!none.is_right());
    }

    #[test]
    fn a_moment_that_is_filled_in_reads_back() {
        let at: Timestamp = "2026-11-28T23:59:00Z".parse().unwrap();
        let mut form = Form::default();
        form.put_moment("t", at);
        assert_eq!(form.moment("t"), at.as_millisecond());
    }

    #[test]
    fn what_is_not_among_the_choices_is_not_chosen() {
        let mut sent = form(&[("c", "z")]);
        sent.chosen("c", &[Choice::new("a", "A")], "Choose one");
        assert_eq!(sent.error("c"), "Choose one");
        assert_eq!(sent.title("Page"), "Error: Page");
    }
}
