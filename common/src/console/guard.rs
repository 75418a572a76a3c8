//! The guard against forged requests: what changes something is done only for a page of our own.
//!
//! Two checks, either of which would do in a browser of today: the browser's own word on where a request comes from
//! (`Sec-Fetch-Site`, or `Origin` where it is absent), and a secret of the session that only our forms carry. The session's
//! cookie is `SameSite=Strict` besides.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use subtle::ConstantTimeEq as _;

use super::{Problem, visit::Current};

/// The longest form, in bytes: an enquiry of 24 people with their names and addresses fits several times.
pub(super) const MAX_BODY_BYTES: usize = 256 * 1024;

/// The field of every form that carries the session's secret.
pub(super) const FIELD: &str = "csrf";

pub(super) async fn guard(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    if *request.method() != Method::POST || !is_from_our_page(request.headers()) {
        return Problem::Forged.into_response();
    }
    // Before there is a session there is no secret, and nothing that it could be used for.
    let Some(secret) = request.extensions().get::<Current>().map(|now| now.session.csrf.clone())
    else {
        return next.run(request).await;
    };
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_BODY_BYTES).await else {
        return Problem::TooLarge.into_response();
    };
    let given = form_urlencoded::parse(&bytes).find(|(name, _)| name == FIELD);
    if !given.is_some_and(|(_, given)| given.as_bytes().ct_eq(secret.as_bytes()).into()) {
        return Problem::Forged.into_response();
    }
    next.run(Request::from_parts(parts, Body::from(bytes))).await
}

fn is_from_our_page(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let (Some(origin), Some(host)) = (text(header::ORIGIN.as_str()), text(header::HOST.as_str()))
    else {
        return false;
    };
    origin.strip_prefix("https://") == Some(host)
}
