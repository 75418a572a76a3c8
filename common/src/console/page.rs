//! The frame of a page, and how a template becomes an answer.

use askama::Template;
use axum::{
    http::header,
    response::{IntoResponse, Response},
};

use super::Problem;

/// A place in the navigation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its path.
    pub address: String,
    /// What it is called.
    pub text: String,
    /// Whether the page belongs to it.
    pub current: bool,
}

impl Link {
    /// A place.
    #[must_use]
    pub fn new(address: impl Into<String>, text: impl Into<String>) -> Self {
        Self { address: address.into(), text: text.into(), current: false }
    }
}

/// What is around every page: `layout.html` reads it as `frame`.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The page's own title.
    pub title: String,
    /// Which program.
    pub program: String,
    /// A word for an environment that is not for real people.
    pub environment: Option<&'static str>,
    /// Where one can go.
    pub places: Vec<Link>,
    /// Who has signed in; absent on the pages for it.
    pub person: Option<String>,
    /// The secret that forms carry; empty before signing in.
    pub csrf: String,
    /// What was just done; shown once.
    pub notice: Option<String>,
    /// The address of the style sheet.
    pub style: String,
    /// The address of the icon.
    pub icon: String,
    /// The address of the script.
    pub script: String,
    /// What the program was built without.
    pub missing: Option<&'static str>,
}

/// A whole page, or a part of one for the script that renews it.
pub fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response(),
        Err(_) => Problem::Failed.into_response(),
    }
}
