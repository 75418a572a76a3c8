//! Forms: what was filled in, the fields of a page, and what is wrong with them.
//!
//! A form is a plain list of fields, so that every page asks in the same way: label, hint, error at the field, and a list of the errors at
//! the top whose links lead to their fields. A refused form comes back filled as it was.

use askama::Template;
use axum::{
    extract::{FromRequest, Request},
    http::StatusCode,
    response::Response,
};
use brag_common::console::{Frame, Problem, Visit, page};

/// What somebody has filled in: names and values, as the browser sent them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filled(pub(super) Vec<(String, String)>);

impl Filled {
    /// The first value of a field, without white space around it; empty when there is none.
    pub(super) fn one(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The first value of a field as it was typed.
    pub(super) fn raw(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map_or("", |(_, value)| value)
    }

    /// Every value of a field.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let found = self.0.iter().filter(|(field, value)| field == name && !value.is_empty());
        found.map(|(_, value)| value.clone()).collect()
    }

    /// Whether a field has this value.
    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        self.0.iter().any(|(field, given)| field == name && given == value)
    }
}

impl<S: Send + Sync> FromRequest<S> for Filled {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let form = axum::Form::<Vec<(String, String)>>::from_request(request, state).await;
        form.map(|axum::Form(pairs)| Self(pairs)).map_err(|_| Problem::Refused {
            code: "form".to_owned(),
            text: "The form could not be read; load the page again".to_owned(),
        })
    }
}

/// Something that is wrong, and at which field; an empty name: at none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) field: String,
    pub(super) text: String,
}

impl Wrong {
    pub(super) fn at(field: &str, text: impl Into<String>) -> Self {
        Self { field: field.to_owned(), text: text.into() }
    }
}

/// A refusal of a service as something wrong with the form: at the field that its code stands for. What is no refusal of what was filled in
/// stays a problem.
pub(super) fn wrong(status: tonic::Status, fields: &[(&str, &str)]) -> Result<Vec<Wrong>, Problem> {
    match Problem::from(status) {
        // Nothing that is filled in would change it, and the form would show whom it is about.
        Problem::Refused { code, text } if code != "conflict_of_interest" => {
            let field = fields.iter().find(|(known, _)| *known == code).map_or("", |(_, at)| at);
            let said = Problem::Refused { code: code.clone(), text }.text();
            let text = if said.contains(&code) { said } else { format!("{said} ({code})") };
            Ok(vec![Wrong::at(field, text)])
        }
        problem => Err(problem),
    }
}

/// One choice of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) text: String,
    pub(super) hint: String,
    pub(super) chosen: bool,
}

impl Choice {
    pub(super) fn new(value: impl Into<String>, text: impl Into<String>) -> Self {
        let (value, text) = (value.into(), text.into());
        Self { value, text, hint: String::new(), chosen: false }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

/// How a field is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// One line, so many characters wide; the words of `inputmode`, empty for text.
    Line { width: u8, mode: &'static str },
    /// Several lines; the address that checks the text while it is written, if it is checked.
    Area { rows: u8, check: Option<String> },
    /// One of these.
    One(Vec<Choice>),
    /// Any of these.
    Any(Vec<Choice>),
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: String,
    pub(super) hint: String,
    pub(super) kind: Kind,
    pub(super) value: String,
    pub(super) errors: Vec<String>,
}

impl Field {
    fn new(name: &'static str, label: impl Into<String>, kind: Kind) -> Self {
        let (label, value, errors) = (label.into(), String::new(), Vec::new());
        Self { name, label, hint: String::new(), kind, value, errors }
    }

    pub(super) fn line(name: &'static str, label: impl Into<String>) -> Self {
        Self::new(name, label, Kind::Line { width: 20, mode: "" })
    }

    pub(super) fn number(name: &'static str, label: impl Into<String>) -> Self {
        Self::new(name, label, Kind::Line { width: 3, mode: "numeric" })
    }

    pub(super) fn area(name: &'static str, label: impl Into<String>) -> Self {
        Self::new(name, label, Kind::Area { rows: 4, check: None })
    }

    /// A text that others read: it is checked while it is written.
    pub(super) fn checked(name: &'static str, label: impl Into<String>, check: String) -> Self {
        Self::new(name, label, Kind::Area { rows: 5, check: Some(check) })
    }

    pub(super) fn one(name: &'static str, label: impl Into<String>, of: Vec<Choice>) -> Self {
        Self::new(name, label, Kind::One(of))
    }

    pub(super) fn any(name: &'static str, label: impl Into<String>, of: Vec<Choice>) -> Self {
        Self::new(name, label, Kind::Any(of))
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    pub(super) fn rows(mut self, n: u8) -> Self {
        if let Kind::Area { rows, .. } = &mut self.kind {
            *rows = n;
        }
        self
    }

    /// A value to begin with.
    pub(super) fn value(self, value: impl Into<String>) -> Self {
        Self { value: value.into(), ..self }
    }

    /// What describes the field, for `aria-describedby`; empty: nothing does.
    pub(super) fn described_by(&self) -> String {
        let mut ids = Vec::new();
        if !self.hint.is_empty() {
            ids.push(format!("{}-hint", self.name));
        }
        if !self.errors.is_empty() {
            ids.push(format!("{}-error", self.name));
        }
        ids.join(" ")
    }

    /// The id of a choice: that of the first is the field's own, so that the list of errors leads to it.
    pub(super) fn choice_id(&self, place: &usize) -> String {
        if *place == 0 { self.name.to_owned() } else { format!("{}-{}", self.name, place + 1) }
    }

    /// Filled in as it was, and with what is wrong with it.
    fn filled(mut self, filled: &Filled, wrong: &[Wrong]) -> Self {
        match &mut self.kind {
            // A form that does not have the field leaves it as it begins.
            Kind::Line { .. } | Kind::Area { .. } => {
                if filled.0.iter().any(|(field, _)| field == self.name) {
                    filled.raw(self.name).clone_into(&mut self.value);
                }
            }
            Kind::One(choices) | Kind::Any(choices) => {
                for choice in choices {
                    choice.chosen = filled.has(self.name, &choice.value);
                }
            }
        }
        let here = wrong.iter().filter(|one| one.field == self.name);
        self.errors = here.map(|one| one.text.clone()).collect();
        self
    }
}

/// Where one came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Back {
    pub(super) address: String,
    pub(super) text: &'static str,
}

/// A form that asks one thing.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub(super) heading: String,
    /// Of whom, in a line; empty: of nobody.
    pub(super) about: String,
    pub(super) text: Vec<String>,
    /// What can not be undone; empty: nothing.
    pub(super) warning: String,
    pub(super) fields: Vec<Field>,
    pub(super) button: &'static str,
    /// Where it is sent.
    pub(super) address: String,
    pub(super) back: Back,
}

#[derive(Template)]
#[template(path = "form.html")]
struct FormPage {
    frame: Frame,
    form: Form,
    errors: Vec<Wrong>,
}

impl Form {
    /// The page of an empty form.
    pub(super) fn show(self, visit: &Visit) -> Response {
        let frame = visit.frame(self.heading.clone());
        page(&FormPage { frame, form: self, errors: Vec::new() })
    }

    /// The page of a form that was refused.
    pub(super) fn refused(
        mut self,
        visit: &Visit,
        filled: &Filled,
        errors: Vec<Wrong>,
    ) -> Response {
        self.fields = fill(self.fields, filled, &errors);
        let frame = visit.frame(format!("Error: {}", self.heading));
        refused(page(&FormPage { frame, form: self, errors }))
    }
}

/// Fields as they were filled in, each with what is wrong with it.
pub(super) fn fill(fields: Vec<Field>, filled: &Filled, errors: &[Wrong]) -> Vec<Field> {
    fields.into_iter().map(|field| field.filled(filled, errors)).collect()
}

/// An answer that says that what was sent was not done.
pub(super) fn refused(mut response: Response) -> Response {
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(pairs: &[(&str, &str)]) -> Filled {
        Filled(
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        )
    }

    #[test]
    fn a_refusal_stands_at_the_field_of_its_code_and_any_other_at_the_top() {
        use brag_common::status::to_status;

        use crate::guard::Refusal;
        let refusal = |code| to_status(&Refusal::rule(code, "give a reason"));
        let fields = [("reason_missing", "reason")];
        let at = wrong(refusal("reason_missing"), &fields).unwrap();
        assert_eq!(at, [Wrong::at("reason", "Give a reason. (reason_missing)")]);
        assert_eq!(wrong(refusal("no_rating"), &fields).unwrap()[0].field, "");
        let missing = to_status(&Refusal::NotFound("notice"));
        assert_eq!(wrong(missing, &fields), Err(Problem::NotFound));
        assert!(wrong(refusal("conflict_of_interest"), &fields).is_err());
    }

    #[test]
    fn a_refused_form_is_filled_as_it_was() {
        let choices = vec![Choice::new("a", "A"), Choice::new("b", "B")];
        let fields = vec![Field::any("topic", "Topics", choices), Field::area("reason", "Why")];
        let given = filled(&[("topic", "b"), ("reason", " because\n"), ("topic", "x")]);
        let fields = fill(fields, &given, &[Wrong::at("reason", "Too short.")]);
        let Kind::Any(choices) = &fields[0].kind else { panic!() };
        assert_eq!(choices.iter().map(|c| c.chosen).collect::<Vec<_>>(), [false, true]);
        assert_eq!((fields[1].value.as_str(), fields[1].errors.len()), (" because\n", 1));
        assert_eq!(fields[1].described_by(), "reason-error");
        assert_eq!(given.all("topic"), ["b", "x"]);
        assert_eq!((given.one("reason"), given.one("nothing")), ("because", ""));
    }

    #[test]
    fn a_field_that_was_not_sent_keeps_what_it_began_with_and_one_that_was_sent_empty_does_not() {
        let fields = || vec![Field::area("text", "Text").value("as held")];
        let wrong = [Wrong::at("text", "Redact it.")];
        let kept = fill(fields(), &Filled::default(), &wrong);
        assert_eq!((kept[0].value.as_str(), kept[0].errors.len()), ("as held", 1));
        assert_eq!(fill(fields(), &filled(&[("text", "")]), &wrong)[0].value, "");
    }

    #[test]
    fn the_first_choice_has_the_id_that_errors_lead_to() {
        let field = Field::one("colour", "Colour", vec![]);
        assert_eq!(
            (field.choice_id(&0).as_str(), field.choice_id(&1).as_str()),
            ("colour", "colour-2")
        );
    }
}
