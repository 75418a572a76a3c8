//! What the whole-system tests and the demo share.

pub mod federation;
pub mod partnership;
pub mod people;
