//! A page that asks one thing: its fields, and where it is sent. Every page of an act asks in the same way.

use askama::Template;
use axum::response::Response;
use brag_common::console::{Choice, Form, Frame, Problem, Visit, form_page};

/// Says in a form what a service refused: at the field that its code stands for, with the code beside the words. What is no
/// refusal of what was filled in stays a problem.
pub(super) fn refuse(
    form: &mut Form,
    status: tonic::Status,
    fields: &[(&str, &str)],
) -> Result<(), Problem> {
    let problem = Problem::from(status);
    // Nothing that is filled in would change it, and the form would show whom it is about.
    if matches!(&problem, Problem::Refused { code, .. } if code == "conflict_of_interest") {
        return Err(problem);
    }
    let (code, said) = problem.refusal()?;
    let field = fields.iter().find(|(known, _)| *known == code).map_or("", |(_, at)| at);
    form.wrong(field, if said.contains(&code) { said } else { format!("{said} ({code})") });
    Ok(())
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
}

impl Field {
    fn new(name: &'static str, label: impl Into<String>, kind: Kind) -> Self {
        Self { name, label: label.into(), hint: String::new(), kind }
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

    /// The id of a choice: that of the first is the field's own, so that the list of errors leads to it.
    pub(super) fn choice_id(&self, place: &usize) -> String {
        if *place == 0 { self.name.to_owned() } else { format!("{}-{}", self.name, place + 1) }
    }
}

/// Where one came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Back {
    pub(super) address: String,
    pub(super) text: &'static str,
}

/// A page that asks one thing.
#[derive(Debug, Clone)]
pub(super) struct Ask {
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
struct AskPage {
    frame: Frame,
    ask: Ask,
    form: Form,
}

impl Ask {
    /// The page with its fields empty.
    pub(super) fn show(self, visit: &Visit) -> Response {
        self.filled(visit, Form::default())
    }

    /// The page with its fields as they are filled, and what is wrong with them.
    pub(super) fn filled(self, visit: &Visit, form: Form) -> Response {
        let frame = visit.frame(form.title(&self.heading));
        form_page(form.status(), &AskPage { frame, ask: self, form })
    }
}

#[cfg(test)]
mod tests {
    use brag_common::status::to_status;

    use super::*;
    use crate::guard::Refusal;

    #[test]
    fn a_refusal_stands_at_the_field_of_its_code_and_any_other_at_the_top() {
        let refusal = |code| to_status(&Refusal::rule(code, "give a reason"));
        let fields = [("reason_missing", "reason")];
        let mut form = Form::default();
        let missing = to_status(&Refusal::NotFound("notice"));
        assert_eq!(refuse(&mut form, missing, &fields), Err(Problem::NotFound));
        assert!(refuse(&mut form, refusal("conflict_of_interest"), &fields).is_err());
        assert!(form.is_right(), "each has a page of its own");
        refuse(&mut form, refusal("reason_missing"), &fields).unwrap();
        assert_eq!(form.error("reason"), "Give a reason. (reason_missing)");
        refuse(&mut form, refusal("no_rating"), &fields).unwrap();
        assert_eq!(form.all_wrong()[1].at, "");
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
