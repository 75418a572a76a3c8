//! A form: what somebody has sent in it, what is wrong with it and at which field, and how it is shown again as it was filled.
//!
//! Every form of both consoles is read in this one way and shows its faults in one way (`parts::problems` of the templates): a
//! list at the top whose lines lead to the fields, and the fault at the field itself. What a form asks for, and in which words,
//! is each page's own.
//!
//! INVARIANT: the secret of the session, which every form carries, is in no [`Form`], so that no page carries it along as an
//! answer of somebody's.

use std::fmt;

use askama::Template;
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{StatusCode, header},
    response::Response,
};

use super::{Problem, guard, page};

/// The most fields that a form is read with: the largest of ours, a person with every name, number and address that one may
/// have, has fewer than two hundred.
pub const MAX_FIELDS: usize = 1000;

/// One thing to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What is sent when it is chosen.
    pub value: String,
    /// What people read.
    pub text: String,
    /// What it means; empty: the text says it.
    pub hint: String,
}

impl Choice {
    /// One whose text says what it means.
    #[must_use]
    pub fn new(value: impl Into<String>, text: impl Into<String>) -> Self {
        Self { value: value.into(), text: text.into(), hint: String::new() }
    }

    /// With what it means.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Where it is put right: the address of a field, for example `#note`, or of another page; empty: nowhere in particular.
    pub at: String,
    /// What is wrong and how it is put right.
    pub text: String,
}

/// A form as it was sent, or as it is to be filled.
#[derive(Clone, Default)]
pub struct Form {
    values: Vec<(String, String)>,
    wrong: Vec<Wrong>,
    code: String,
}

impl fmt::Debug for Form {
    /// How much there is of it: what somebody filled in is not for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Form")
            .field("n_values", &self.values.len())
            .field("n_wrong", &self.wrong.len())
            .finish_non_exhaustive()
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let is_form = kind.is_some_and(|kind| {
            kind.as_bytes().split(|byte| *byte == b';').next()
                == Some(b"application/x-www-form-urlencoded")
        });
        if !is_form {
            return Err(Problem::unreadable());
        }
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|refused| match refused.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::TooLarge,
            _ => Problem::unreadable(),
        })?;
        Self::read(&bytes)
    }
}

impl Form {
    /// Reads what a browser sent (WHATWG URL, section 5.1); bytes that are no UTF-8 become a sign that says so.
    ///
    /// # Errors
    /// When there are more than [`MAX_FIELDS`].
    pub fn read(bytes: &[u8]) -> Result<Self, Problem> {
        let mut pairs = form_urlencoded::parse(bytes);
        let sent = pairs.by_ref().take(MAX_FIELDS);
        let form = Self::of(sent.map(|(name, value)| (name.into_owned(), value.into_owned())));
        if pairs.next().is_some() { Err(Problem::TooLarge) } else { Ok(form) }
    }

    /// A form with these values, without the secret of the session.
    pub fn of(values: impl IntoIterator<Item = (String, String)>) -> Self {
        let values = values.into_iter().filter(|(name, _)| name != guard::FIELD).collect();
        Self { values, ..Self::default() }
    }

    /// Fills a field.
    pub fn put(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.values.push((name.into(), value.into()));
    }

    /// Fills a field, unless the form has it already: what was sent empty stays empty.
    pub fn begin(&mut self, name: &str, value: impl Into<String>) {
        if !self.values.iter().any(|(known, _)| known == name) {
            self.put(name, value);
        }
    }

    /// What stands in a field, as it was typed; empty: nothing. The first, where a name was sent several times.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        let found = self.values.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// What stands in a field, without white space around it.
    #[must_use]
    pub fn trimmed(&self, name: &str) -> &str {
        self.value(name).trim()
    }

    /// What stands in a field, on one line: the wire takes no breaks.
    #[must_use]
    pub fn line(&self, name: &str) -> String {
        let plain = self.value(name).chars().map(|sign| if sign.is_control() { ' ' } else { sign });
        let plain: String = plain.collect();
        plain.split(' ').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// What stands in a field, on one line, unless it is blank.
    #[must_use]
    pub fn given(&self, name: &str) -> Option<String> {
        Some(self.line(name)).filter(|text| !text.is_empty())
    }

    /// Everything that was ticked under a name, in the order in which it was sent.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<String> {
        let of = self.values.iter().filter(|(known, _)| known == name);
        of.map(|(_, value)| value.clone()).filter(|value| !value.is_empty()).collect()
    }

    /// Whether this was chosen or ticked.
    #[must_use]
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.values.iter().any(|(known, chosen)| known == name && chosen == value)
    }

    /// Every field, to be carried along.
    #[must_use]
    pub fn values(&self) -> &[(String, String)] {
        &self.values
    }

    /// What is chosen of these; what is not among them is wrong.
    pub fn chosen(&mut self, field: &str, choices: &[Choice], ask: &str) -> String {
        let value = self.value(field).to_owned();
        if !choices.iter().any(|choice| choice.value == value) {
            self.wrong(field, ask);
        }
        value
    }

    /// Says what is wrong with a field; with no name, with the whole.
    pub fn wrong(&mut self, field: &str, text: impl Into<String>) {
        let at = if field.is_empty() { String::new() } else { format!("#{field}") };
        self.wrong.push(Wrong { at, text: text.into() });
    }

    /// Says what is put right on another page, or was found elsewhere.
    pub fn wrong_elsewhere(&mut self, wrong: Wrong) {
        self.wrong.push(wrong);
    }

    /// Takes back what was said of a field, where it is said anew and whole.
    pub fn right(&mut self, field: &str) {
        self.wrong.retain(|wrong| wrong.at.strip_prefix('#') != Some(field));
    }

    /// Says what a service refused: its words stand at a field (none: at the top), its code beside the list.
    ///
    /// # Errors
    /// What is no refusal of what was filled in: it has a page of its own.
    pub fn refuse(&mut self, field: &str, problem: impl Into<Problem>) -> Result<(), Problem> {
        let (code, text) = problem.into().refusal()?;
        self.wrong(field, text);
        self.refused_for(&code);
        Ok(())
    }

    /// Keeps the code of a refusal whose words are said otherwise.
    pub fn refused_for(&mut self, code: &str) {
        code.clone_into(&mut self.code);
    }

    /// The first thing that is wrong with a field; empty: nothing.
    #[must_use]
    pub fn error(&self, field: &str) -> &str {
        self.errors(field).first().copied().unwrap_or_default()
    }

    /// Everything that is wrong with a field.
    #[must_use]
    pub fn errors(&self, field: &str) -> Vec<&str> {
        let of = self.wrong.iter().filter(|wrong| wrong.at.strip_prefix('#') == Some(field));
        of.map(|wrong| wrong.text.as_str()).collect()
    }

    /// What describes a field, for `aria-describedby`: its hint, if it has one, and its error; empty: nothing does.
    #[must_use]
    pub fn described(&self, field: &str, hint: &str) -> String {
        match (hint.is_empty(), self.error(field).is_empty()) {
            (true, true) => String::new(),
            (false, true) => format!("{field}-hint"),
            (true, false) => format!("{field}-error"),
            (false, false) => format!("{field}-hint {field}-error"),
        }
    }

    /// Everything that is wrong, in the order in which it was found.
    #[must_use]
    pub fn all_wrong(&self) -> &[Wrong] {
        &self.wrong
    }

    /// The code of the reason for which it was refused; empty: it was not, or its code is not told.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Whether nothing is wrong, as far as it is known.
    #[must_use]
    pub const fn is_right(&self) -> bool {
        self.wrong.is_empty()
    }

    /// The title of a page with this form.
    #[must_use]
    pub fn title(&self, title: &str) -> String {
        if self.is_right() { title.to_owned() } else { format!("Error: {title}") }
    }

    /// The status of a page with this form: 422 says that what was sent was not done.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        if self.is_right() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY }
    }
}

/// A page with a form, under the form's own [status](Form::status).
pub fn form_page(status: StatusCode, template: &impl Template) -> Response {
    let mut response = page(template);
    if response.status() == StatusCode::OK {
        *response.status_mut() = status;
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn form(values: &[(&str, &str)]) -> Form {
        Form::of(values.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())))
    }

    async fn sent(kind: &str, body: impl Into<Body>) -> Result<Form, Problem> {
        let request = Request::post("/").header(header::CONTENT_TYPE, kind);
        Form::from_request(request.body(body.into()).unwrap(), &()).await
    }

    const KIND: &str = "application/x-www-form-urlencoded";

    #[tokio::test]
    async fn what_is_no_form_is_too_long_or_has_too_many_fields_is_refused() {
        for kind in ["text/plain", "multipart/form-data; boundary=x", ""] {
            assert_eq!(sent(kind, "a=1").await.unwrap_err(), Problem::unreadable(), "{kind}");
        }
        let long = vec![b'a'; 3 * 1024 * 1024];
        assert_eq!(sent(KIND, long).await.unwrap_err(), Problem::TooLarge);
        let most = "a&".repeat(MAX_FIELDS);
        assert_eq!(sent(KIND, most.clone()).await.unwrap().values().len(), MAX_FIELDS);
        assert_eq!(sent(KIND, most + "a").await.unwrap_err(), Problem::TooLarge);
        let form = sent(&format!("{KIND}; charset=utf-8"), "a=%C3%A9+1&b=%FF").await.unwrap();
        assert_eq!((form.value("a"), form.value("b")), ("é 1", "\u{fffd}"));
    }

    #[test]
    fn any_bytes_make_a_form_or_are_refused() {
        proptest::proptest!(|(bytes: Vec<u8>)| {
            let form = Form::read(&bytes).unwrap();
            proptest::prop_assert!(form.values().iter().all(|(name, _)| name != guard::FIELD));
        });
    }

    #[test]
    fn the_secret_of_the_session_is_not_carried_along_and_nothing_filled_in_is_printed() {
        assert!(form(&[("csrf", "x")]).values().is_empty());
        assert!(Form::read(b"csrf=x&%63srf=y").unwrap().values().is_empty());
        let mut held = form(&[("name", "Nadia")]);
        held.wrong("name", "“Nadia” is a name");
        assert!(!format!("{held:?}").contains("Nadia"));
    }

    #[test]
    fn what_is_not_among_the_choices_is_not_chosen() {
        let mut sent = form(&[("c", "z")]);
        sent.chosen("c", &[Choice::new("a", "A")], "Choose one");
        assert_eq!(sent.error("c"), "Choose one");
        assert_eq!(sent.title("Page"), "Error: Page");
        assert_eq!(sent.status(), StatusCode::UNPROCESSABLE_ENTITY);
    }

    #[test]
    fn a_refusal_stands_at_its_field_with_its_code_and_anything_else_has_a_page_of_its_own() {
        let mut sent = form(&[]);
        let missing = tonic::Status::not_found("no such enquiry");
        assert_eq!(sent.refuse("why", missing), Err(Problem::NotFound));
        assert!(sent.is_right());
        let refused = Problem::Refused { code: "x_missing".to_owned(), text: "give x".to_owned() };
        sent.refuse("x", refused).unwrap();
        assert_eq!((sent.error("x"), sent.error("why"), sent.code()), ("Give x.", "", "x_missing"));
    }

    #[test]
    fn faults_stand_at_their_fields_in_order_and_are_taken_back_by_field() {
        let mut sent = form(&[]);
        sent.wrong("a", "First");
        sent.wrong("", "Of the whole");
        sent.wrong("a", "Second");
        sent.wrong_elsewhere(Wrong { at: "/other#a".to_owned(), text: "There".to_owned() });
        assert_eq!(sent.errors("a"), ["First", "Second"]);
        assert_eq!(sent.described("a", "hint"), "a-hint a-error");
        assert_eq!(sent.described("b", "hint"), "b-hint");
        assert_eq!(sent.described("b", ""), "");
        sent.right("a");
        let at: Vec<_> = sent.all_wrong().iter().map(|wrong| wrong.at.as_str()).collect();
        assert_eq!(at, ["", "/other#a"]);
    }

    #[test]
    fn a_form_is_shown_again_as_it_was_filled() {
        let sent = form(&[("topic", "b"), ("reason", " because\n"), ("topic", "x"), ("topic", "")]);
        assert_eq!(sent.all("topic"), ["b", "x"]);
        assert!(sent.has("topic", "x") && !sent.has("topic", "a"));
        assert_eq!((sent.value("reason"), sent.trimmed("reason")), (" because\n", "because"));
        assert_eq!(sent.value("nothing"), "");
    }

    #[test]
    fn a_field_that_was_not_sent_keeps_what_it_began_with_and_one_that_was_sent_empty_does_not() {
        for (values, expected) in [(&[][..], "as held"), (&[("text", "")], "")] {
            let mut form = form(values);
            form.begin("text", "as held");
            assert_eq!(form.value("text"), expected);
        }
    }

    #[test]
    fn a_text_of_several_lines_becomes_one() {
        assert_eq!(form(&[("a", " one\r\n two\t\u{7}three ")]).line("a"), "one two three");
        assert_eq!(form(&[("a", " \r\n")]).given("a"), None);
    }
}
