use super::*;
use crate::tlog::{Hash, Tree};

/// The example of the specification: 70,000 entries are 273 full tiles and one of 112 at level 0, one full and one of 17
/// at level 1, and one of 1 at level 2.
#[test]
fn the_tiles_of_the_specifications_example_are_where_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::new(tempfile::tempfile().unwrap());
    let mut bundles = Bundles::new(folder.path());
    let mut last_hashes = Vec::new();
    for n in 0..70_000_u32 {
        let entry = n.to_be_bytes();
        tree.push(Hash::of_leaf(&entry)).unwrap();
        bundles.push(&entry).unwrap();
        if n >= 273 * 256 {
            last_hashes.extend_from_slice(Hash::of_leaf(&entry).as_bytes());
        }
    }
    bundles.finish().unwrap();
    let reader = tree.reader().unwrap();
    write_tiles(folder.path(), &reader, 70_000).unwrap();
    let n_bytes = |path: &str| fs::metadata(folder.path().join(path)).unwrap().len();
    for path in ["tile/0/000", "tile/0/272", "tile/1/000"] {
        assert_eq!(n_bytes(path), 256 * 32, "{path}");
    }
    assert_eq!(fs::read(folder.path().join("tile/0/273.p/112")).unwrap(), last_hashes);
    assert_eq!(n_bytes("tile/1/001.p/17"), 17 * 32);
    assert_eq!(n_bytes("tile/2/000.p/1"), 32);
    assert_eq!(n_bytes("tile/entries/000"), 256 * 6);
    assert_eq!(n_bytes("tile/entries/273.p/112"), 112 * 6);
    assert!(!folder.path().join("tile/3").exists());
}

#[test]
fn an_entry_that_no_bundle_can_carry_and_a_file_that_is_there_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut bundles = Bundles::new(folder.path());
    assert!(bundles.push(&vec![0; 65_536]).is_err());
    for expected in [true, false] {
        let mut bundles = Bundles::new(folder.path());
        bundles.push(b"entry").unwrap();
        assert_eq!(bundles.finish().is_ok(), expected);
    }
}
