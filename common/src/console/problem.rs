//! What a page says when something can not be done: in the words of whoever refused it, with what to do next.

use askama::Template;
use axum::{
    extract::Request,
    http::{Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tonic::Code;

use super::{
    Frame, page,
    visit::{Current, Here},
};
use crate::status::code_of;

/// Why there is no page, or something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// There is no such page or thing.
    NotFound,
    /// Nobody has signed in, or their session is over.
    NotSignedIn,
    /// The person may not do this; why.
    NotAllowed(String),
    /// The request did not come from a page of ours.
    Forged,
    /// The form is too long.
    TooLarge,
    /// A rule or a check says no: its code and its text.
    Refused {
        /// The stable code, for example `APPROVAL_TIMEOUT`.
        code: String,
        /// What it says, and what to do.
        text: String,
    },
    /// It can not be done now; why.
    Unavailable(String),
    /// Something failed that can not be mended from a page.
    Failed,
}

impl Problem {
    const fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotSignedIn => StatusCode::UNAUTHORIZED,
            Self::NotAllowed(_) | Self::Forged => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Refused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A heading in a few words.
    #[must_use]
    pub const fn heading(&self) -> &'static str {
        match self {
            Self::NotFound => "Page not found",
            Self::NotSignedIn => "You have been signed out",
            Self::NotAllowed(_) => "You can not do this",
            Self::Forged => "This form is out of date",
            Self::TooLarge => "This is too long",
            Self::Refused { .. } => "This was refused",
            Self::Unavailable(_) => "This can not be done now",
            Self::Failed => "Something went wrong",
        }
    }

    /// What happened and what to do.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::NotFound => "There is nothing at this address. If you followed a link, what it led to may have been erased.".to_owned(),
            Self::NotSignedIn => "Your session is over. Sign in again; what you had not sent yet was not kept.".to_owned(),
            Self::Forged => "It was opened before you last signed in, or did not come from this service. Go back, load the page again, and send it once more.".to_owned(),
            Self::TooLarge => "Shorten what you have written and send it again.".to_owned(),
            Self::Failed => "Nothing was changed that you were not told of. The operator can see what happened; try again later.".to_owned(),
            Self::NotAllowed(text) | Self::Refused { text, .. } | Self::Unavailable(text) => sentence(text),
        }
    }
}

impl Problem {
    /// A form that can not be read.
    pub(super) fn unreadable() -> Self {
        Self::Refused {
            code: String::new(),
            text:
                "what was sent can not be read; go back, load the page again, and send it once more"
                    .to_owned(),
        }
    }

    /// The code and the words of a refusal of what somebody has filled in.
    ///
    /// # Errors
    /// What is none: nothing that is filled in would change it.
    pub fn refusal(self) -> Result<(String, String), Self> {
        match self {
            Self::Refused { ref code, .. } => Ok((code.clone(), self.text())),
            other => Err(other),
        }
    }
}

/// With a capital letter and a full stop, as errors are written without.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

impl From<tonic::Status> for Problem {
    /// What one of the program's own services said.
    fn from(status: tonic::Status) -> Self {
        let text = status.message().to_owned();
        match status.code() {
            Code::NotFound => Self::NotFound,
            Code::Unauthenticated => Self::NotSignedIn,
            Code::PermissionDenied => Self::NotAllowed(text),
            Code::Unavailable
            | Code::ResourceExhausted
            | Code::Cancelled
            | Code::DeadlineExceeded => Self::Unavailable(text),
            Code::FailedPrecondition
            | Code::InvalidArgument
            | Code::AlreadyExists
            | Code::OutOfRange => {
                Self::Refused { code: code_of(&status).unwrap_or_default().to_owned(), text }
            }
            Code::Ok
            | Code::Unknown
            | Code::Aborted
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss => Self::Failed,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // `render` makes the page: it knows who has signed in.
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    heading: &'static str,
    text: String,
    code: String,
    signed_out: bool,
}

/// What the framework refuses by itself, in a line of plain text: a form that it can not read, most often. Whoever only asked for a
/// page gave an address at which none can be.
fn of_framework(method: &Method, response: &Response) -> Option<Problem> {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let plain = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    match response.status() {
        StatusCode::NOT_FOUND if plain => Some(Problem::NotFound),
        status if plain && status.is_client_error() && method.is_safe() => Some(Problem::NotFound),
        StatusCode::PAYLOAD_TOO_LARGE if plain => Some(Problem::TooLarge),
        status if plain && status.is_client_error() => Some(Problem::unreadable()),
        status if plain && status.is_server_error() => Some(Problem::Failed),
        _ => None,
    }
}

/// A service names a field that can not be read. Whoever only asks for a page has filled in none: it is of the address, so that
/// there is nothing there.
fn at_address(method: &Method, problem: Problem) -> Problem {
    match problem {
        Problem::Refused { code, .. } if method.is_safe() && code == "invalid_message" => {
            Problem::NotFound
        }
        other => other,
    }
}

/// Makes a page of a problem.
pub(super) async fn render(request: Request, next: Next) -> Response {
    let here = request.extensions().get::<Here>().cloned();
    let current = request.extensions().get::<Current>().cloned();
    let method = request.method().clone();
    let response = next.run(request).await;
    let of_ours = response.extensions().get::<Problem>().cloned();
    let problem = of_ours.or_else(|| of_framework(&method, &response));
    let (Some(problem), Some(Here(inner))) = (problem, here) else { return response };
    let problem = &at_address(&method, problem);
    let mut frame = Frame::new(&inner, problem.heading());
    if let Some(current) = current {
        frame.places = inner.host.places(&current.roles);
        frame.person = Some(current.session.name.to_string());
        frame.csrf = current.session.csrf;
    }
    let code = match problem {
        Problem::Refused { code, .. } => code.clone(),
        _ => String::new(),
    };
    let signed_out = *problem == Problem::NotSignedIn;
    let shown =
        ProblemPage { frame, heading: problem.heading(), text: problem.text(), code, signed_out };
    let mut rendered = page(&shown);
    *rendered.status_mut() = problem.status();
    rendered
}
