//! Writes a first input for every target, made by the product itself: `fuzz-seeds FOLDER`.

use std::{fs, path::Path};

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).expect("usage: fuzz-seeds FOLDER");
    for seed in brag_fuzz::seeds::all() {
        let folder = Path::new(&folder).join(seed.target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(seed.name), seed.bytes)?;
    }
    Ok(())
}
