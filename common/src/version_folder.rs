//! Signed agreements on disk: one file for each version, below the data folder, none ever removed.
//!
//! The newest has to be signed by the reader's own key. It names the one before by its digest, that names the one before
//! it, and so on: so the reader's signature on the newest vouches for all of them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::{
    agreement::{Agreement, SignedAgreement, text_of},
    durable::dirs,
    id::AgreementDigest,
    time::Timestamp,
};

/// The folder's name below the data folder.
const FOLDER: &str = "agreements";

/// The agreements of one program.
#[derive(Debug, Clone)]
pub struct VersionFolder {
    folder: PathBuf,
    /// Where the configuration says that the agreement is.
    configured: PathBuf,
}

/// A signed note that was found, not verified.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where.
    pub path: PathBuf,
    /// Its bytes.
    pub note: Vec<u8>,
    /// The version that its text says it is.
    pub version: u32,
    /// SHA-256 of its text.
    pub digest: AgreementDigest,
}

impl VersionFolder {
    /// The agreements below `data`, and the one that the configuration names.
    #[must_use]
    pub fn new(data: &Path, configured: &Path) -> Self {
        Self { folder: data.join(FOLDER), configured: configured.to_owned() }
    }

    /// The agreement that holds at `now`: of the chain that `accept` takes the newest that has begun, or the first of all.
    ///
    /// # Errors
    /// As [`Self::found`] and [`chain`]; what `accept` refuses is told with its file.
    pub fn holding(
        &self,
        now: Timestamp,
        accept: impl Fn(&Found) -> anyhow::Result<SignedAgreement>,
    ) -> anyhow::Result<SignedAgreement> {
        let chain = chain(&self.found()?, |found| {
            let path = found.path.display();
            accept(found).with_context(|| format!("the agreement `{path}` is not accepted"))
        })?;
        let mut holds = None;
        for (agreement, _) in chain {
            if holds.is_none() || agreement.agreement().starts() <= now {
                holds = Some(agreement);
            }
        }
        holds.context("there is no agreement")
    }

    /// Every agreement there is, the lowest version first; a file that is none is left out, except the configured one.
    ///
    /// # Errors
    /// When the configured one can not be read while there is no other, or the folder can not be read.
    pub fn found(&self) -> anyhow::Result<Vec<Found>> {
        let mut found: Vec<Found> = Vec::new();
        for path in self.files()? {
            let note = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            found.extend(read(path, note));
        }
        match fs::read(&self.configured) {
            Ok(note) => {
                match read(self.configured.clone(), note.clone()) {
                    Some(one) if !found.iter().any(|known| known.digest == one.digest) => {
                        found.push(one);
                    }
                    // It is no agreement, which shows when it is verified; others are not held up by it.
                    None if found.is_empty() => found.push(Found {
                        path: self.configured.clone(),
                        note,
                        version: 0,
                        digest: AgreementDigest::from_bytes([0; 32]),
                    }),
                    Some(_) | None => {}
                }
            }
            Err(error) if found.is_empty() => {
                let path = self.configured.display();
                return Err(error).with_context(|| format!("can not read the agreement `{path}`"));
            }
            Err(_) => {}
        }
        found.sort_by_key(|one| one.version);
        Ok(found)
    }

    /// What says whether anything has changed: names and sizes, and the configured file's time.
    #[must_use]
    pub fn stamp(&self) -> Vec<(PathBuf, u64, Option<std::time::SystemTime>)> {
        let mut files = self.files().unwrap_or_default();
        files.push(self.configured.clone());
        let stamp = |path: PathBuf| {
            let metadata = fs::metadata(&path).ok()?;
            Some((path, metadata.len(), metadata.modified().ok()))
        };
        files.into_iter().filter_map(stamp).collect()
    }

    fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let listed = match fs::read_dir(&self.folder) {
            Ok(listed) => listed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(error).with_context(|| format!("reading {}", self.folder.display()));
            }
        };
        let mut files = Vec::new();
        for entry in listed {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "note") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// Keeps a verified agreement, durably; one that is kept already stays as it is.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep(&self, agreement: &SignedAgreement, note: &[u8]) -> anyhow::Result<PathBuf> {
        let version = agreement.agreement().version();
        let path = self.folder.join(format!("{version:06}-{}.note", agreement.digest()));
        if path.exists() {
            return Ok(path);
        }
        let write = || -> io::Result<()> {
            dirs::create_dirs(&self.folder)?;
            // Whoever lists the folder never sees a part of it.
            let beside = path.with_extension("new");
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).open(&beside)?;
            file.write_all(note)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

fn read(path: PathBuf, note: Vec<u8>) -> Option<Found> {
    let text = text_of(&note).ok()?;
    let version = Agreement::parse(&text).ok()?.version();
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref());
    Some(Found { path, note, version, digest: AgreementDigest::from_bytes(digest) })
}

/// The chain of versions that ends in the newest that `accept` takes, oldest first, each with its note.
///
/// # Errors
/// When the newest is not accepted, or two texts call themselves the same version.
pub fn chain(
    found: &[Found],
    accept: impl Fn(&Found) -> anyhow::Result<SignedAgreement>,
) -> anyhow::Result<Vec<(SignedAgreement, Found)>> {
    let newest = found.last().context("there is no agreement")?;
    let twice = found.iter().filter(|one| one.version == newest.version).count() > 1;
    anyhow::ensure!(
        !twice,
        "two different texts call themselves version {} of the agreement",
        newest.version
    );
    let mut chain = vec![(accept(newest)?, newest.clone())];
    let mut replaced = chain.first().and_then(|(newest, _)| newest.agreement().replaces());
    while let Some(digest) = replaced {
        let Some(one) = found.iter().find(|one| one.digest == digest) else { break };
        let former = SignedAgreement::vouched_for(&one.note, digest)
            .with_context(|| format!("the former agreement `{}`", one.path.display()))?;
        replaced = former.agreement().replaces();
        chain.push((former, one.clone()));
    }
    chain.reverse();
    Ok(chain)
}

/// Whether a version may take over from another while the program runs.
///
/// # Errors
/// When it is not the next version of the same agreement, in words that say what is wrong.
pub fn follows(previous: &SignedAgreement, next: &SignedAgreement) -> anyhow::Result<()> {
    let (old, new) = (previous.agreement(), next.agreement());
    anyhow::ensure!(old.id() == new.id(), "it is another agreement: `{}`", new.id());
    anyhow::ensure!(
        Some(new.version()) == old.version().checked_add(1),
        "it is version {}, and version {} holds here: the next one is version {}",
        new.version(),
        old.version(),
        old.version().saturating_add(1)
    );
    anyhow::ensure!(
        new.replaces() == Some(previous.digest()),
        "it does not say `replaces = \"{}\"`, the digest of the version that holds here",
        previous.digest()
    );
    anyhow::ensure!(
        old.environment() == new.environment(),
        "it is for the {} environment, and this is {}",
        new.environment(),
        old.environment()
    );
    anyhow::ensure!(
        old.trust_domain() == new.trust_domain(),
        "it is for the trust domain `{}`",
        new.trust_domain().unwrap_or_default()
    );
    Ok(())
}
