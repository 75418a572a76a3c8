//! What the whole-system tests, the demo and the load benchmark share.

pub mod browser;
pub mod browser_client;
pub mod faults;
pub mod federation;
pub mod load;
pub mod opened;
pub mod partnership;
pub mod people;
pub mod player;
pub mod processes;
pub mod scenario;
pub mod shown;
pub mod staging;
pub mod sweep;
