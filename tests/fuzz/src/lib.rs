//! Fuzz targets: one for each place where the exchange reads what somebody else wrote.
//!
//! A target takes bytes and says whether they were understood. It panics where a promise is broken: where the product
//! panics, where what was read is not written as it was read, where something opens or verifies that nobody sealed or
//! signed. `tests/fuzz/run` searches for such bytes with libFuzzer, guided by which code they reach; `cargo test` runs
//! the kept inputs.

mod agreements;
mod imports;
mod logs;
mod people;
mod sealed;
pub mod seeds;
mod wires;

pub use seeds::Ground;

/// A target: whether the bytes were understood.
pub type Target = fn(&[u8]) -> bool;

/// Every target by name. The last has a fault on purpose, to show that the search finds one.
pub const TARGETS: [(&str, Target); 11] = [
    ("wire", wires::wire),
    ("agreement", agreements::agreement),
    ("note", agreements::note),
    ("case_file", agreements::case_file),
    ("sealed", sealed::sealed),
    ("identity", people::identity),
    ("import_csv", imports::csv),
    ("import_jsonl", imports::jsonl),
    ("receipt", logs::receipt),
    ("policy", logs::policy),
    (PLANTED, planted),
];

/// The target with a fault.
pub const PLANTED: &str = "planted";

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}

/// Panics on bytes that begin with `BRAG!`: one of a million million, unless every right letter shows.
fn planted(bytes: &[u8]) -> bool {
    let mut rest = bytes.iter();
    for wanted in b"BRAG!" {
        if rest.next() != Some(wanted) {
            return false;
        }
    }
    panic!("the planted fault")
}
