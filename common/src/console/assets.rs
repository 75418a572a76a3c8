//! The style sheet and the script, embedded in the program. `deploy/assets` builds what is not ours from npm packages; a
//! program that was built without it says so, and its pages work without style.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};
use sha2::{Digest as _, Sha256};

use super::Problem;

/// Name and bytes.
const ASSETS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/console_assets.rs"));

/// Those that pages name.
const NEEDED: [&str; 3] = ["console.css", "console.js", "govuk-frontend.js"];

/// A part of the address that changes with any of them, so that browsers may keep them for ever.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut all = Sha256::new();
    for (name, bytes) in ASSETS {
        all.update(name);
        all.update(bytes);
    }
    all.finalize().iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
});

/// What pages lack in this build; `None`: nothing.
pub(super) fn missing() -> Option<&'static str> {
    let there = |name: &&str| ASSETS.iter().any(|(known, _)| known == name);
    NEEDED.iter().find(|name| !there(name)).copied()
}

/// The address of an asset.
pub(super) fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

/// `GET /assets/{version}/{name}`: of any version, so that an open page of a program that was renewed still finds them.
pub(super) async fn serve(Path((_, name)): Path<(String, String)>) -> Response {
    let kind = match name.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        Some(_) | None => return Problem::NotFound.into_response(),
    };
    let Some((_, bytes)) = ASSETS.iter().find(|(known, _)| *known == name) else {
        return Problem::NotFound.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, *bytes).into_response()
}
