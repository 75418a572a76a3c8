//! What may not be said in an analysis: whatever tells where somebody is, how to reach them, or who they are.
//!
//! An analysis travels to every party of an enquiry, below any threshold. It says how worried an agency is and why, in words that
//! need no name: postcodes, telephone numbers, e-mail addresses, numbers that identify, street addresses, and names of people in the
//! enquiry are found here and refused before anything is signed, each with its place in the text. The check is on the safe side: what is
//! found wrongly costs a rewording, what is missed can cost an address.
//!
//! It does not understand text. A description that identifies without any of these passes, and so does a name that the node has
//! not been told; both stay the assessor's responsibility.

use std::fmt;

use crate::matching::identity::Identity;

mod names;
mod numbers;
mod places;
mod text;

use text::Text;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Found {
    /// A whole postcode of the United Kingdom.
    Postcode,
    /// A telephone number.
    Telephone,
    /// An e-mail address, or a name of an account that begins with `@`.
    Mail,
    /// Ten digits whose check digit is that of an NHS number.
    NhsNumber,
    /// Seven digits or more: a reference of somebody or something.
    LongNumber,
    /// A street or a house.
    Address,
    /// A name, or a form of a name, of somebody in the enquiry.
    Name,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postcode => "a postcode",
            Self::Telephone => "a telephone number",
            Self::Mail => "an e-mail address",
            Self::NhsNumber => "an NHS number",
            Self::LongNumber => "a number that may identify somebody",
            Self::Address => "a street or an address",
            Self::Name => "the name of somebody in the enquiry",
        })
    }
}

/// Something that may not be said, and where it stands. The text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Finding {
    /// The first character, counted from 1.
    pub from: usize,
    /// The last character, counted from 1; not before `from`.
    pub to: usize,
    /// What it is.
    pub found: Found,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "characters {} to {}: {}", self.from, self.to, self.found)
    }
}

/// Everything in a text that may not be said, in the order of the text. `people` are those of the enquiry, as far as they are
/// known here. Total, for any text; time grows with the length of the text times the number of names.
#[must_use]
pub fn findings(text: &str, people: &[&Identity]) -> Vec<Finding> {
    let text = Text::new(text);
    let mut findings = Vec::new();
    numbers::find(&text, &mut findings);
    places::find(&text, people, &mut findings);
    names::find(&text, people, &mut findings);
    findings.sort();
    findings.dedup();
    findings
}

/// That a text says what it may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotToBeSaid(Vec<Finding>);

impl NotToBeSaid {
    /// What was found, never nothing, in the order of the text.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.0
    }
}

impl fmt::Display for NotToBeSaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the analysis may not say who or where somebody is; say it in other words. ")?;
        for (place, finding) in self.0.iter().enumerate() {
            let between = if place == 0 { "" } else { "; " };
            write!(f, "{between}{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NotToBeSaid {}

/// Refuses a text that says what it may not; see [`findings`].
///
/// # Errors
/// When something was found.
pub fn check(text: &str, people: &[&Identity]) -> Result<(), NotToBeSaid> {
    let findings = findings(text, people);
    if findings.is_empty() { Ok(()) } else { Err(NotToBeSaid(findings)) }
}

#[cfg(test)]
mod tests;
