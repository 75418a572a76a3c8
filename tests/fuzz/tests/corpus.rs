//! The kept inputs, run as ordinary tests; and the search itself, shown on a fault that is there on purpose.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use brag_fuzz::{PLANTED, TARGETS, seeds, target};

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn kept(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = here().join("corpus").join(name);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let read = |file: std::io::Result<fs::DirEntry>| {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    };
    files.map(read).collect()
}

#[test]
fn no_kept_input_breaks_a_promise_and_each_target_understands_some_and_refuses_some() {
    for (name, target) in TARGETS {
        let understood: Vec<bool> = kept(name).iter().map(|(_, bytes)| target(bytes)).collect();
        if name != PLANTED {
            assert!(understood.contains(&true), "{name} understands nothing that is kept");
            assert!(understood.contains(&false), "{name} refuses nothing that is kept");
        }
    }
}

#[test]
fn what_the_product_makes_now_breaks_no_promise_and_is_understood() {
    let mut understood = std::collections::BTreeSet::new();
    for seed in seeds::all() {
        if target(seed.target).unwrap()(&seed.bytes) {
            understood.insert(format!("{}/{}", seed.target, seed.name));
        }
    }
    let expected = [
        "agreement/sample",
        "agreement/with-keys",
        "case_file/s1",
        "case_file/s2",
        "case_file/s5",
        "identity/canonical",
        "identity/lines",
        "import_csv/people",
        "import_jsonl/people",
        "note/signed",
        "policy/one-witness",
        "receipt/third-of-five",
        "sealed/sealed",
        "wire/answer",
        "wire/deliver",
        "wire/link",
        "wire/rate",
        "wire/rate-response",
        "wire/rating",
        "wire/receive",
        "wire/release",
        "wire/screen",
    ];
    assert_eq!(understood.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn the_kept_inputs_are_less_than_a_megabyte() {
    let n_bytes: usize =
        TARGETS.iter().flat_map(|(name, _)| kept(name)).map(|(_, bytes)| bytes.len()).sum();
    assert!(n_bytes < 1 << 20, "{n_bytes} bytes");
}

#[test]
fn the_search_finds_a_planted_fault_and_leaves_the_input_that_shows_it() {
    let found = tempfile::tempdir().unwrap();
    let run = Command::new(here().join("run"))
        .args(["60", PLANTED])
        .env("BRAG_FUZZ_FOUND", found.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(1), "{said}");
    assert!(said.contains("the planted fault"), "{said}");
    let left: Vec<_> = fs::read_dir(found.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| is_input(path))
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(fs::read(&left[0]).unwrap().starts_with(b"BRAG!"));
}

fn is_input(path: &Path) -> bool {
    path.file_name().unwrap().to_string_lossy().starts_with("planted-crash-")
}
