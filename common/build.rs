//! Embeds the consoles' style sheet and script, as far as `deploy/assets` has built them.

use std::{env, fmt::Write as _, fs, path::Path};

/// Ours first, then what is built from npm packages; the name in the page's address, and the file below `assets`.
const ASSETS: [(&str, &str); 4] = [
    ("console.js", "console.js"),
    ("icon.svg", "icon.svg"),
    ("console.css", "built/console.css"),
    ("govuk-frontend.js", "built/govuk-frontend.js"),
];

fn main() {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("assets");
    // The folder, not the files: one that is built later has to be noticed.
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut list = String::from("&[\n");
    for (name, file) in ASSETS {
        let path = folder.join(file);
        if path.is_file() {
            println!("cargo:rerun-if-changed={}", path.display());
            let _ = writeln!(list, "    ({name:?}, include_bytes!({path:?})),");
        }
    }
    list.push_str("]\n");
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("console_assets.rs");
    fs::write(out, list).expect("cargo's own folder can be written");
}
