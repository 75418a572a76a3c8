//! What the pages of information governance share: who may see them, the fields of their forms, and files that are taken away.

use std::collections::BTreeMap;

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use brag_common::{
    console::{Problem, Visit, page},
    matching::identity::{
        Address, BirthDate, Identifier, IdentifierKind, Identity, IdentityParts, Name, NameKind,
        Sex,
    },
    staff::Role as _,
};

use crate::{config::Role, inspect::question::FieldProblem};

/// What a form was sent with, by the names of its fields.
pub(super) type Sent = BTreeMap<String, String>;

/// An auditor on a page. The calls that a page makes check it again.
pub(super) struct Auditor(pub(super) Visit);

/// Somebody who governs what is kept, on a page.
pub(super) struct Governor(pub(super) Visit);

async fn with_role<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    role: Role,
) -> Result<Visit, Problem> {
    let visit = Visit::from_request_parts(parts, state).await?;
    if visit.has(role.word()) {
        return Ok(visit);
    }
    Err(Problem::NotAllowed(format!("this page needs the role `{}`", role.word())))
}

impl<S: Send + Sync> FromRequestParts<S> for Auditor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        with_role(parts, state, Role::Auditor).await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Governor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        with_role(parts, state, Role::Governance).await.map(Self)
    }
}

/// A field of a form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) hint: &'static str,
    /// As it was filled in.
    pub(super) value: String,
    pub(super) problem: Option<String>,
    /// Values and their words; empty: it is written, not chosen.
    pub(super) options: Vec<(String, String)>,
}

impl Field {
    /// A field, as it was sent.
    pub(super) fn new(
        name: &'static str,
        label: &'static str,
        hint: &'static str,
        sent: &Sent,
    ) -> Self {
        let value = sent.get(name).cloned().unwrap_or_default();
        Self { name, label, hint, value, problem: None, options: Vec::new() }
    }

    pub(super) fn of(mut self, options: Vec<(String, String)>) -> Self {
        self.options = options;
        self
    }

    /// The names of what stands beside it, for screen readers.
    pub(super) fn described_by(&self) -> Option<String> {
        let hint = (!self.hint.is_empty()).then(|| format!("{}-hint", self.name));
        let error = self.problem.is_some().then(|| format!("{}-error", self.name));
        let both: Vec<String> = hint.into_iter().chain(error).collect();
        (!both.is_empty()).then(|| both.join(" "))
    }
}

/// A line of the summary of what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The field that it leads to.
    pub(super) field: String,
    pub(super) text: String,
}

/// Puts what is wrong beside the fields, and gives the lines of the summary. What belongs to no field leads to the first.
pub(super) fn mark(fields: &mut [Field], problems: &[FieldProblem]) -> Vec<Wrong> {
    let first = fields.first().map_or("main", |field| field.name);
    let wrong = problems.iter().map(|(name, text)| {
        let field = fields.iter_mut().find(|field| field.name == *name);
        let known = field.map(|field| {
            field.problem.get_or_insert_with(|| text.clone());
            field.name
        });
        Wrong { field: known.unwrap_or(first).to_owned(), text: text.clone() }
    });
    wrong.collect()
}

/// A refusal as the line of a summary beside a field; other problems have pages of their own.
pub(super) fn refusal(
    status: tonic::Status,
    field: &'static str,
) -> Result<Vec<FieldProblem>, Problem> {
    match Problem::from(status) {
        problem @ Problem::Refused { .. } => Ok(vec![(field, problem.text())]),
        other => Err(other),
    }
}

/// A form that was refused, filled as it was.
pub(super) fn again(template: &impl askama::Template) -> Response {
    let mut response = page(template);
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    response
}

/// A file that the browser keeps. Its name is of letters, digits, `.` and `-`.
pub(super) fn file(name: &str, kind: &'static str, bytes: Vec<u8>) -> Response {
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '-' })
        .collect();
    let value = format!("attachment; filename=\"{name}\"");
    let value = HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, value),
    ];
    (headers, bytes).into_response()
}

/// The fields in which somebody writes who a person is.
pub(super) fn person_fields(sent: &Sent) -> Vec<Field> {
    vec![
        Field::new("given", "Given names", "", sent),
        Field::new("family", "Family name", "", sent),
        Field::new(
            "born",
            "Date of birth",
            "For example 2014-05-31; a month or a year alone is enough",
            sent,
        ),
        Field::new("sex", "Sex (optional)", "female or male", sent),
        Field::new("nhs", "NHS number (optional)", "", sent),
        Field::new("upn", "Unique pupil number (optional)", "", sent),
        Field::new("house", "House number or name (optional)", "", sent),
        Field::new("postcode", "Postcode (optional)", "", sent),
    ]
}

/// The canonical identity of whom a form is about; no value is repeated in what is wrong.
pub(super) fn identity(sent: &Sent) -> Result<Vec<u8>, Vec<FieldProblem>> {
    let written = |name: &str| sent.get(name).map_or("", |text| text.trim());
    let given = |name: &str| Some(written(name)).filter(|text| !text.is_empty());
    let mut problems: Vec<FieldProblem> = Vec::new();
    let mut parts = IdentityParts::default();
    match Name::new(NameKind::Current, written("given"), written("family")) {
        Ok(name) => parts.names.push(name),
        Err(wrong) => problems.extend(wrong.iter().map(|why| ("given", sentence(why)))),
    }
    match BirthDate::parse(written("born")) {
        Ok(birth) => parts.birth = birth,
        Err(why) => problems.push(("born", sentence(&why))),
    }
    match Sex::parse(written("sex")) {
        Ok(sex) => parts.sex = sex,
        Err(why) => problems.push(("sex", sentence(&why))),
    }
    for (field, kind) in [("nhs", IdentifierKind::Nhs), ("upn", IdentifierKind::Upn)] {
        match given(field).map(|value| Identifier::new(kind, value)) {
            Some(Ok(identifier)) => parts.identifiers.push(identifier),
            Some(Err(wrong)) => problems.extend(wrong.iter().map(|why| (field, sentence(why)))),
            None => {}
        }
    }
    let (house, postcode) = (given("house"), given("postcode"));
    if house.is_some() || postcode.is_some() {
        match Address::new(house, postcode, None, None) {
            Ok(address) => parts.addresses.push(address),
            Err(wrong) => problems.extend(wrong.iter().map(|why| ("postcode", sentence(why)))),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let whole = Identity::new(parts);
    let whole = whole
        .map_err(|wrong| wrong.iter().map(|why| ("given", sentence(why))).collect::<Vec<_>>())?;
    Ok(whole.canonical_bytes())
}

/// With a capital letter, as what is wrong is said beside a field.
fn sentence(why: &impl std::fmt::Display) -> String {
    let text = why.to_string();
    let mut chars = text.chars();
    let start: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{start}{}", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(pairs: &[(&str, &str)]) -> Sent {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_wrong_with_a_person_stands_beside_its_field_and_repeats_no_value() {
        let wrong = [("given", " "), ("family", ""), ("born", "soon"), ("sex", "Marta")];
        let problems = identity(&sent(&wrong)).unwrap_err();
        let names: Vec<_> = problems.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["given", "born", "sex"], "{problems:?}");
        assert!(problems.iter().all(|(_, text)| !text.contains("soon") && !text.contains("Marta")));
        assert!(!identity(&sent(&[])).unwrap_err().is_empty());
        let whole = [
            ("given", "Ann"),
            ("family", "Example"),
            ("born", "2014-05-31"),
            ("postcode", "ZZ99 3WZ"),
        ];
        assert!(!identity(&sent(&whole)).unwrap().is_empty());
    }

    #[test]
    fn every_problem_leads_to_a_field_that_is_there() {
        let mut fields = person_fields(&Sent::new());
        let wrong =
            mark(&mut fields, &[("born", "Enter a date".to_owned()), ("else", "No".to_owned())]);
        assert_eq!(wrong[0].field, "born");
        assert_eq!(wrong[1].field, "given");
        assert_eq!(fields[2].described_by().unwrap(), "born-hint born-error");
        assert_eq!(fields[0].described_by(), None);
    }

    #[test]
    fn the_name_of_a_file_ends_no_header() {
        let response = file("a\"\r\nX: y.csv", "text/csv", Vec::new());
        assert_eq!(
            response.headers()[header::CONTENT_DISPOSITION],
            "attachment; filename=\"a---X--y.csv\""
        );
    }
}
