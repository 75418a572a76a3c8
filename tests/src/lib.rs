//! What the whole-system tests and the demo share.

pub mod federation;
pub mod partnership;
pub mod people;
pub mod player;
pub mod processes;
pub mod scenario;
pub mod staging;
pub mod sweep;
