//! A log as a folder that any verifier of the format reads (C2SP tlog-tiles): `checkpoint`, `tile/<level>/<n>` with the
//! tree's hashes, `tile/entries/<n>` with the entries.
//!
//! Tiles are made from a log that has been read and checked; nothing here is ever read back by the programs.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use tlog_tiles::Tile;

use super::tree::{TreeReader, failed};

/// Entries of a full tile: the format's height of 8.
const TILE_HEIGHT: u8 = 8;
/// 2^8.
const TILE_ENTRIES: u64 = 1 << TILE_HEIGHT;

/// Writes the entries of a log, in order, as bundles.
#[derive(Debug)]
pub struct Bundles<'a> {
    folder: &'a Path,
    n_entries: u64,
    bundle: Vec<u8>,
}

impl<'a> Bundles<'a> {
    /// Bundles in a folder, from the first entry on.
    #[must_use]
    pub const fn new(folder: &'a Path) -> Self {
        Self { folder, n_entries: 0, bundle: Vec::new() }
    }

    /// The next entry.
    ///
    /// # Errors
    /// When a bundle can not be written, or the entry is longer than 65,535 bytes, which the format can not carry.
    pub fn push(&mut self, entry: &[u8]) -> io::Result<()> {
        let length = u16::try_from(entry.len())
            .map_err(|_| io::Error::other("an entry is longer than a bundle can carry"))?;
        self.bundle.extend_from_slice(&length.to_be_bytes());
        self.bundle.extend_from_slice(entry);
        self.n_entries += 1;
        if self.n_entries.is_multiple_of(TILE_ENTRIES) { self.write(TILE_ENTRIES) } else { Ok(()) }
    }

    /// The last bundle, which may not be full.
    ///
    /// # Errors
    /// When it can not be written.
    pub fn finish(mut self) -> io::Result<()> {
        match self.n_entries % TILE_ENTRIES {
            0 => Ok(()),
            width => self.write(width),
        }
    }

    fn write(&mut self, width: u64) -> io::Result<()> {
        let n = (self.n_entries - width) / TILE_ENTRIES;
        let width = u32::try_from(width).map_err(io::Error::other)?;
        let tile = Tile::new(TILE_HEIGHT, 0, n, width, true);
        write(self.folder, &path(&tile)?, &self.bundle)?;
        self.bundle.clear();
        Ok(())
    }
}

/// Writes the tiles of the tree of `size`.
///
/// # Errors
/// When one can not be made or written.
pub fn write_tiles(folder: &Path, tree: &TreeReader, size: u64) -> io::Result<()> {
    for tile in Tile::new_tiles(TILE_HEIGHT, 0, size) {
        let hashes = tile.read_data(&tree.stored()).map_err(failed)?;
        write(folder, &path(&tile)?, &hashes)?;
    }
    Ok(())
}

/// The library writes the height into the path, as the format did once, and says `data` for entries.
fn path(tile: &Tile) -> io::Result<String> {
    let level = tile.level().to_string();
    let (theirs, ours) =
        if tile.is_data() { ("data", "entries") } else { (level.as_str(), level.as_str()) };
    let path = tile.path();
    let rest = path.strip_prefix(&format!("tile/{TILE_HEIGHT}/{theirs}/"));
    let rest = rest.ok_or_else(|| io::Error::other("a tile of another height"))?;
    Ok(format!("tile/{ours}/{rest}"))
}

fn write(folder: &Path, path: &str, bytes: &[u8]) -> io::Result<()> {
    let path = folder.join(path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)
}

#[cfg(test)]
mod tests;
