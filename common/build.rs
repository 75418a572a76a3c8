//! Embeds the consoles' style sheet and script, as far as `deploy/assets` has built them.

use std::{env, fmt::Write as _, fs, io, path::PathBuf};

/// Ours first, then what is built from npm packages; the name in the page's address, and the file below `assets`.
const ASSETS: [(&str, &str); 4] = [
    ("console.js", "console.js"),
    ("icon.svg", "icon.svg"),
    ("console.css", "built/console.css"),
    ("govuk-frontend.js", "built/govuk-frontend.js"),
];

fn main() -> io::Result<()> {
    let folder = folder("CARGO_MANIFEST_DIR")?.join("assets");
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
    fs::write(self::folder("OUT_DIR")?.join("console_assets.rs"), list)
}

/// A folder that cargo tells build scripts of.
fn folder(variable: &str) -> io::Result<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "cargo tells build scripts by the environment")]
    let value = env::var_os(variable);
    value.map(PathBuf::from).ok_or_else(|| io::Error::other(format!("{variable} is not set")))
}
