//! What the hub keeps about one person, as a document for that person (UK GDPR Article 15).
//!
//! Information governance asks, another person reads the draft and approves exactly that, and the document is issued; under the
//! [safety profile](profile) two others approve. What is held is looked up anew at every step, by the keys with which people are found
//! across enquiries, and is never kept a second time: a request is its number in the log, who asked, who approved, and salted digests.
//!
//! INVARIANTS
//! - Whoever asked does not approve, and nobody approves twice.
//! - What is issued is, byte for byte, what was approved: a draft that has changed since needs its approvals again.
//! - Under the safety profile nothing that any agency or co-ordinator entered reaches the document, so that it is the same whoever
//!   answered.
//! - Each step is recorded before anything is shown, and so is a refusal. Entries hold references, numbers and salted digests.
//!
//! Reading order: [`held`] is what is looked at, [`profile`] whether it is safe to show, [`exemption`] why something is left out;
//! [`own`] and [`safe`] are the two documents, [`draft`] chooses between them; [`approvals`] is the rule of who approves, [`requests`]
//! the steps; [`service`] and [`command`] are how they are called.

pub mod approvals;
pub mod command;
pub mod draft;
pub mod exemption;
pub mod held;
pub mod own;
pub mod profile;
pub mod requests;
pub mod safe;
pub mod service;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;
