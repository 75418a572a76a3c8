//! What the pages of information governance share: who may see them, the fields of their forms, and files that are taken away.

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use brag_common::{
    console::{Choice, Form, Problem, Visit},
    matching::identity::{
        Address, BirthDate, Identifier, IdentifierKind, Identity, IdentityParts, Name, NameKind,
        Sex,
    },
    staff::Role as _,
};

use crate::{config::Role, inspect::question::FieldProblem};

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

/// A field of a form: what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) hint: &'static str,
    /// Empty: it is written, not chosen.
    pub(super) options: Vec<Choice>,
}

impl Field {
    pub(super) const fn new(name: &'static str, label: &'static str, hint: &'static str) -> Self {
        Self { name, label, hint, options: Vec::new() }
    }

    pub(super) fn of(self, options: Vec<Choice>) -> Self {
        Self { options, ..self }
    }
}

/// Says in a form what is wrong with its fields.
pub(super) fn mark(form: &mut Form, problems: Vec<FieldProblem>) {
    problems.into_iter().for_each(|(field, text)| form.wrong(field, text));
}

/// A refusal, in words beside a field; other problems have pages of their own.
pub(super) fn refuse(form: &mut Form, field: &str, status: tonic::Status) -> Result<(), Problem> {
    let (_, text) = Problem::from(status).refusal()?;
    form.wrong(field, text);
    Ok(())
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
pub(super) fn person_fields() -> Vec<Field> {
    vec![
        Field::new("given", "Given names", ""),
        Field::new("family", "Family name", ""),
        Field::new(
            "born",
            "Date of birth",
            "For example 2014-05-31; a month or a year alone is enough",
        ),
        Field::new("sex", "Sex (optional)", "female or male"),
        Field::new("nhs", "NHS number (optional)", ""),
        Field::new("upn", "Unique pupil number (optional)", ""),
        Field::new("house", "House number or name (optional)", ""),
        Field::new("postcode", "Postcode (optional)", ""),
    ]
}

/// The canonical identity of whom a form is about; no value is repeated in what is wrong.
pub(super) fn identity(form: &Form) -> Result<Vec<u8>, Vec<FieldProblem>> {
    let written = |name: &str| form.trimmed(name);
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

    fn form(pairs: &[(&str, &str)]) -> Form {
        Form::of(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn what_is_wrong_with_a_person_stands_beside_its_field_and_repeats_no_value() {
        let wrong = [("given", " "), ("family", ""), ("born", "soon"), ("sex", "Marta")];
        let problems = identity(&form(&wrong)).unwrap_err();
        let names: Vec<_> = problems.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["given", "born", "sex"], "{problems:?}");
        assert!(problems.iter().all(|(_, text)| !text.contains("soon") && !text.contains("Marta")));
        assert!(!identity(&form(&[])).unwrap_err().is_empty());
        let whole = [
            ("given", "Ann"),
            ("family", "Example"),
            ("born", "2014-05-31"),
            ("postcode", "ZZ99 3WZ"),
        ];
        assert!(!identity(&form(&whole)).unwrap().is_empty());
    }

    #[test]
    fn every_problem_leads_to_a_field_that_is_there() {
        let long = "9".repeat(100);
        let mut sent = form(&[
            ("born", "soon"),
            ("sex", "Marta"),
            ("nhs", &long),
            ("upn", &long),
            ("postcode", &long),
        ]);
        mark(&mut sent, identity(&form(&[])).unwrap_err());
        let problems = identity(&sent).unwrap_err();
        mark(&mut sent, problems);
        let fields = person_fields();
        assert!(sent.all_wrong().len() > 4, "{:?}", sent.all_wrong());
        for wrong in sent.all_wrong() {
            assert!(fields.iter().any(|field| wrong.at == format!("#{}", field.name)), "{wrong:?}");
        }
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
