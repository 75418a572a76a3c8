//! The load benchmark: a partnership of real processes on loopback, measured, beside a floor taken in the same run.
//!
//! It reports and never asserts. Wall time on a shared machine says little, so processor seconds stand beside it, and
//! whatever is compared is measured by turns.

pub mod day;
pub mod matching;

mod floor;
mod process;
mod sample;

pub use sample::Sample;
