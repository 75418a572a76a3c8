//! The load benchmark: the exchange and its parts, measured beside a floor taken in the same run.
//!
//! It reports and never asserts. Wall time on a shared machine says little, so processor seconds stand beside it, and
//! whatever is compared is measured by turns.

pub mod attacks;
pub mod day;
pub mod log;
pub mod matching;

mod floor;
mod machine;
mod process;
mod sample;

pub use machine::Machine;
pub use sample::Sample;
