//! The leak sweep: looks for words that must be nowhere in files, as they are and in disguise.
//!
//! A word is looked for as its bytes, in UTF-16 of both orders, in hexadecimal, and in base64 of both alphabets at
//! every alignment. What is encrypted does not show, and does not have to.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use serde::Serialize;

/// A word that was found where it must not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Leak {
    /// The file.
    pub file: PathBuf,
    /// The word.
    pub word: String,
    /// In which form.
    pub form: &'static str,
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Files.
    pub n_files: usize,
    /// Bytes.
    pub n_bytes: u64,
    /// Words looked for.
    pub n_words: usize,
    /// Leaks.
    pub leaks: Vec<Leak>,
}

/// Looks for words.
#[derive(Debug)]
pub struct Sweep {
    words: Vec<String>,
    /// Word and form of each pattern of `finder`.
    forms: Vec<(usize, &'static str)>,
    finder: AhoCorasick,
}

impl Sweep {
    /// A sweep for these words, each of at least four bytes.
    ///
    /// # Panics
    /// When a word is shorter: it would be found by chance.
    #[must_use]
    pub fn new(words: impl IntoIterator<Item = String>) -> Self {
        let words: Vec<String> = words.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut forms = Vec::new();
        let mut patterns = Vec::new();
        for (word, text) in words.iter().enumerate() {
            assert!(text.len() >= 4, "a word of the sweep is too short");
            for (form, bytes) in disguises(text) {
                forms.push((word, form));
                patterns.push(bytes);
            }
        }
        let finder = AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).build(patterns);
        Self { words, forms, finder: finder.expect("a few hundred short words fit") }
    }

    /// Looks through every file below `folder` for which `wanted` says so.
    ///
    /// # Errors
    /// When a file can not be read.
    pub fn folder(&self, folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> io::Result<Swept> {
        let mut swept = Swept { n_words: self.words.len(), ..Swept::default() };
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.is_file() && wanted(&path) {
                    self.bytes(&path, &fs::read(&path)?, &mut swept);
                }
            }
        }
        swept.leaks.sort();
        Ok(swept)
    }

    /// Looks through bytes, which count as a file called `name`.
    pub fn bytes(&self, name: &Path, bytes: &[u8], swept: &mut Swept) {
        swept.n_files += 1;
        swept.n_bytes += bytes.len() as u64;
        let found: BTreeSet<_> = self
            .finder
            .find_overlapping_iter(bytes)
            .map(|hit| self.forms[hit.pattern().as_usize()])
            .collect();
        swept.leaks.extend(found.into_iter().map(|(word, form)| Leak {
            file: name.to_owned(),
            word: self.words[word].clone(),
            form,
        }));
    }
}

/// A word in every form that is looked for.
fn disguises(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = text.as_bytes();
    let hex = |upper: bool| {
        let digits =
            bytes.iter().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") });
        digits.collect::<String>().into_bytes()
    };
    let mut forms = vec![
        ("as it is", bytes.to_vec()),
        ("UTF-16, little end first", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16, big end first", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("hexadecimal", hex(false)),
        ("hexadecimal", hex(true)),
    ];
    for before in 0..3 {
        for engine in [&BASE64_STANDARD_NO_PAD, &BASE64_URL_SAFE_NO_PAD] {
            let padded = [&vec![0; before][..], bytes].concat();
            let encoded = engine.encode(padded);
            // Characters that also depend on what is before or after the word are left out.
            let (from, to) = ((before * 8).div_ceil(6), (before + bytes.len()) * 8 / 6);
            forms.push(("base64", encoded.as_bytes()[from..to].to_vec()));
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    const WORD: &str = "SEALED-TEST-0001";

    fn leaks_of(bytes: &[u8]) -> Vec<&'static str> {
        let sweep = Sweep::new([WORD.to_owned(), "ANOTHER-WORD".to_owned()]);
        let mut swept = Swept::default();
        sweep.bytes(Path::new("planted"), bytes, &mut swept);
        assert!(swept.leaks.iter().all(|leak| leak.word == WORD));
        swept.leaks.iter().map(|leak| leak.form).collect()
    }

    #[test]
    fn finds_a_word_in_every_disguise_wherever_it_lies() {
        for n_before in 0..4 {
            let around = |middle: &[u8]| [&vec![b'x'; n_before][..], middle, b"yyy"].concat();
            let utf16: Vec<u8> = WORD.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert_eq!(leaks_of(&around(WORD.as_bytes())), ["as it is"]);
            assert_eq!(leaks_of(&around(&utf16)), ["UTF-16, little end first"]);
            let encoded = BASE64_STANDARD.encode(around(WORD.as_bytes()));
            assert_eq!(leaks_of(encoded.as_bytes()), ["base64"], "{n_before}");
        }
    }

    #[test]
    fn finds_a_planted_file_below_a_folder_and_counts_what_it_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/clean"), "nothing here").unwrap();
        fs::write(folder.path().join("a/b/store"), format!("\0\0{WORD}\0")).unwrap();
        let sweep = Sweep::new([WORD.to_owned()]);
        let swept = sweep.folder(folder.path(), &|_| true).unwrap();
        assert_eq!((swept.n_files, swept.leaks.len()), (2, 1));
        assert!(swept.leaks[0].file.ends_with("a/b/store"));
        let none = sweep.folder(folder.path(), &|path| path.ends_with("clean")).unwrap();
        assert_eq!((none.n_files, none.leaks.len()), (1, 0));
    }

    #[test]
    fn random_looking_bytes_are_no_leak() {
        let bytes: Vec<u8> =
            (0_u32..200_000).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert_eq!(leaks_of(&bytes), Vec::<&str>::new());
    }
}
