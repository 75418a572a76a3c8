//! One libFuzzer program for every target; `BRAG_FUZZ_TARGET` says which.
#![no_main]

use std::sync::LazyLock;

use brag_fuzz::Target;

#[expect(clippy::disallowed_methods, reason = "libFuzzer takes the arguments for itself")]
static CHOSEN: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("BRAG_FUZZ_TARGET").expect("BRAG_FUZZ_TARGET names a target");
    brag_fuzz::target(&name).expect("BRAG_FUZZ_TARGET names a target")
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    CHOSEN(bytes);
});
