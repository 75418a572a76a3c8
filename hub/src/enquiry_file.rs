//! The file in which a co-ordinator writes an enquiry: who is asked about, why, and on whose referral. TOML, or
//! JSON of the same shape when its name ends in `.json`. `deploy/samples/enquiry.toml` explains every key.

use std::path::Path;

use brag_common::wire::pb;

use crate::{
    file_problems::{self, FileProblems, Found},
    written_enquiry::{WrittenEnquiry, WrittenPerson, request, to_identity},
};

/// Reads an enquiry file and makes the message that opens the enquiry.
///
/// # Errors
/// Everything that is wrong with it, each with its place; no value is repeated.
pub fn load(path: &Path) -> Result<pb::OpenRequest, FileProblems> {
    let raw: WrittenEnquiry = file_problems::read(path)?;
    let mut found = Found::default();
    let request = request(&raw, &mut found);
    found.finish(path, request)
}

/// Reads a file about one person, with the keys of a `[[person]]` of an enquiry, and makes the canonical identity.
///
/// # Errors
/// As [`load`].
pub fn load_person(path: &Path) -> Result<Vec<u8>, FileProblems> {
    let raw: WrittenPerson = file_problems::read(path)?;
    let mut found = Found::default();
    let identity = to_identity(&raw, &|key: &str| key.to_owned(), &mut found);
    let bytes = identity.map(|identity| identity.canonical_bytes()).unwrap_or_default();
    found.finish(path, bytes)
}

#[cfg(test)]
mod tests;
