//! Installing a certificate, so that key and certificate always fit, whenever the machine stops.
//!
//! Two files can not be replaced at one stroke, so both names are links through one: `<certificate>` and `<key>` lead through
//! `<key>.pairs/current`, itself a link to the folder of one pair, and installing exchanges that one link. A pair that was in use
//! before is kept, so that it can be put back by hand.
//!
//! ```text
//! node.pem -> node.key.pairs/current/certificate.pem
//! node.key -> node.key.pairs/current/private.key
//! node.key.pairs/current -> 2
//! node.key.pairs/1/{certificate.pem,private.key}
//! node.key.pairs/2/{certificate.pem,private.key}
//! ```
//!
//! INVARIANT: after each single step the two configured names hold a key and a certificate that fit, the former ones or the new ones.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, symlink},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{crypto::ring::sign::any_supported_type, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use zeroize::Zeroizing;

use super::{
    judge::{NotAccepted, judge},
    read::{Described, Unreadable, describe, read_bounded, read_chain},
    request::{forget, next_key},
};
use crate::{
    durable::dirs,
    keyfile::{self, KeyFileError},
    peer::{IdentityError, PeerName, name_in_certificate},
    time::Timestamp,
    tls::TlsFiles,
};

const CURRENT: &str = "current";
const CERTIFICATE: &str = "certificate.pem";
const PRIVATE_KEY: &str = "private.key";

/// What was installed.
#[derive(Debug)]
pub struct Installed {
    /// The certificate.
    pub certificate: Described,
    /// Whether it is for the key that was made for it, or for the one that was in use.
    pub with_new_key: bool,
    /// Names that the former certificate had and this one has not.
    pub hosts_lost: Vec<String>,
}

/// Why nothing was installed.
#[derive(Debug, thiserror::Error)]
pub enum NotInstalled {
    /// The file can not be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It is not for this program.
    #[error("the certificate is for `{found}`, and this program is `{expected}`")]
    OtherName {
        /// Whose it is.
        found: PeerName,
        /// Whose it should be.
        expected: PeerName,
    },
    /// It is for nobody of the partnership.
    #[error("the certificate names nobody of this partnership: {0}; this program is `{1}`")]
    NoName(IdentityError, PeerName),
    /// It is for a key that is not here.
    #[error("the certificate is for another key: neither the one in use nor the one that waits (`{}`)", .0.display())]
    OtherKey(PathBuf),
    /// Others would not accept it.
    #[error("the certificate would not be accepted: {0}")]
    NotAccepted(#[from] NotAccepted),
    /// A private key can not be used.
    #[error("the private key can not be used")]
    Key(#[from] KeyFileError),
    /// The file system refused.
    #[error("can not install it")]
    Io(#[from] io::Error),
}

impl NotInstalled {
    /// A stable code where a rule refused it; `None`: something failed.
    #[must_use]
    pub const fn refused(&self) -> Option<&'static str> {
        match self {
            Self::OtherName { .. } => Some("certificate_of_another"),
            Self::NoName(error, _) => Some(error.code()),
            Self::OtherKey(_) => Some("certificate_for_another_key"),
            Self::NotAccepted(NotAccepted::Trust(_)) => None,
            Self::NotAccepted(why) => Some(why.code()),
            Self::Unreadable(_) | Self::Key(_) | Self::Io(_) => None,
        }
    }
}

/// A step of installing, after which a pair is in place; tests stop after each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The pair in use has been copied into a folder of its own.
    FormerKept,
    /// `current` leads to it.
    CurrentMade,
    /// The certificate's name is a link.
    CertificateLinked,
    /// The key's name is a link.
    KeyLinked,
    /// The new pair is in a folder of its own.
    NewWritten,
    /// `current` leads to it: it is installed.
    Exchanged,
    /// What waited has been taken away.
    Forgotten,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 7] = [
        Self::FormerKept,
        Self::CurrentMade,
        Self::CertificateLinked,
        Self::KeyLinked,
        Self::NewWritten,
        Self::Exchanged,
        Self::Forgotten,
    ];
}

/// Checks the certificate in `file` and installs it with the key that it is for. Running it again after it was interrupted does the
/// rest.
///
/// # Errors
/// When it is not for this program and its key, or others would not accept it: then nothing has changed. When the disk fails: then
/// the pair in use is the former or the new one.
pub fn install(
    file: &Path,
    files: &TlsFiles,
    expected: &PeerName,
    now: Timestamp,
) -> Result<Installed, NotInstalled> {
    install_watched(file, files, expected, now, &mut |_| Ok(()))
}

/// As [`install`]; `after` is called after each step, and ends it with an error.
///
/// # Errors
/// As [`install`], and what `after` returns.
pub fn install_watched(
    file: &Path,
    files: &TlsFiles,
    expected: &PeerName,
    now: Timestamp,
    after: &mut dyn FnMut(Step) -> io::Result<()>,
) -> Result<Installed, NotInstalled> {
    let chain = read_chain(file)?;
    let leaf = chain.first().ok_or(NotAccepted::Unreadable)?;
    let found = name_in_certificate(leaf, expected.trust_domain())
        .map_err(|error| NotInstalled::NoName(error, expected.clone()))?;
    if found != *expected {
        return Err(NotInstalled::OtherName { found, expected: expected.clone() });
    }
    let next = next_key(&files.private_key);
    let waits = read_key(&next)?;
    let in_use = read_key(&files.private_key)?;
    let with_new_key = waits.as_ref().is_some_and(|key| fits(&chain, key));
    let key = waits.filter(|_| with_new_key).or_else(|| in_use.filter(|key| fits(&chain, key)));
    let Some(key) = key else { return Err(NotInstalled::OtherKey(next)) };
    judge(&chain, files, now)?;
    let certificate = describe(leaf).ok_or(NotAccepted::Unreadable)?;
    let former = read_chain(&files.certificate).ok();
    let former = former.and_then(|chain| describe(chain.first()?)).map(|former| former.hosts);
    let hosts_lost = former.unwrap_or_default();
    let hosts_lost =
        hosts_lost.into_iter().filter(|host| !certificate.hosts.contains(host)).collect();
    let pairs = Pairs::of(files);
    pairs.adopt(after)?;
    pairs.exchange(&read_bounded(file)?, key.as_bytes(), after)?;
    if with_new_key {
        forget(&files.private_key)?;
    } else {
        // The certificate came for the key in use; a key that waits goes on waiting for its own.
        let request = super::request::request_path(&files.private_key);
        if !next.exists() && request.exists() {
            fs::remove_file(request)?;
        }
    }
    after(Step::Forgotten)?;
    Ok(Installed { certificate, with_new_key, hosts_lost })
}

/// The text of a key file; `None`: there is none.
fn read_key(path: &Path) -> Result<Option<Zeroizing<String>>, NotInstalled> {
    use io::Read as _;
    let mut text = Zeroizing::new(String::new());
    match keyfile::open_private(path) {
        Ok(file) => {
            file.take(64 * 1024).read_to_string(&mut text)?;
            Ok(Some(text))
        }
        Err(KeyFileError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the key is that of the leaf. One that can not be read is not.
fn fits(chain: &[CertificateDer<'static>], key: &Zeroizing<String>) -> bool {
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).ok();
    let key = key.and_then(|key| any_supported_type(&key).ok());
    key.is_some_and(|key| CertifiedKey::new(chain.to_vec(), Arc::clone(&key)).keys_match().is_ok())
}

/// The folder of pairs, and the names that lead through it.
struct Pairs<'a> {
    files: &'a TlsFiles,
    folder: PathBuf,
}

impl<'a> Pairs<'a> {
    fn of(files: &'a TlsFiles) -> Self {
        let mut folder = files.private_key.as_os_str().to_owned();
        folder.push(".pairs");
        Self { files, folder: PathBuf::from(folder) }
    }

    fn current(&self) -> PathBuf {
        self.folder.join(CURRENT)
    }

    /// Makes the configured names lead through `current`, without changing what they hold.
    fn adopt(&self, after: &mut dyn FnMut(Step) -> io::Result<()>) -> io::Result<()> {
        let TlsFiles { certificate, private_key, .. } = self.files;
        if !self.folder.is_dir() {
            DirBuilder::new().mode(0o700).create(&self.folder)?;
            dirs::sync_dir(dirs::parent_of(&self.folder))?;
        }
        let linked = |name: &Path, to: &str| {
            fs::read_link(name).is_ok_and(|link| link == self.link_to(name, to))
        };
        let links = linked(certificate, CERTIFICATE) && linked(private_key, PRIVATE_KEY);
        if links && self.current().is_dir() {
            return Ok(());
        }
        // What is in use now, as far as it is there: at the first installation there is a key and no certificate.
        let folder = self.new_folder()?;
        for (name, to) in [(certificate, CERTIFICATE), (private_key, PRIVATE_KEY)] {
            match fs::read(name).map(Zeroizing::new) {
                Ok(bytes) => dirs::replace(&folder.join(to), &bytes, 0o600)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        after(Step::FormerKept)?;
        self.lead_to(&folder)?;
        after(Step::CurrentMade)?;
        self.link(certificate, CERTIFICATE)?;
        after(Step::CertificateLinked)?;
        self.link(private_key, PRIVATE_KEY)?;
        after(Step::KeyLinked)
    }

    /// Writes a new pair and makes `current` lead to it.
    fn exchange(
        &self,
        certificate: &[u8],
        key: &[u8],
        after: &mut dyn FnMut(Step) -> io::Result<()>,
    ) -> io::Result<()> {
        let folder = self.new_folder()?;
        dirs::replace(&folder.join(CERTIFICATE), certificate, 0o600)?;
        dirs::replace(&folder.join(PRIVATE_KEY), key, 0o600)?;
        after(Step::NewWritten)?;
        self.lead_to(&folder)?;
        after(Step::Exchanged)
    }

    /// A folder with the next number. One that an interrupted installation left is not written to again.
    fn new_folder(&self) -> io::Result<PathBuf> {
        let mut last = 0_u32;
        for item in fs::read_dir(&self.folder)? {
            let name = item?.file_name();
            let number = name.to_str().and_then(|name| name.parse().ok());
            last = last.max(number.unwrap_or(0));
        }
        let folder = self.folder.join(last.saturating_add(1).to_string());
        DirBuilder::new().mode(0o700).create(&folder)?;
        dirs::sync_dir(&self.folder)?;
        Ok(folder)
    }

    /// Makes `current` lead to a folder, at one stroke.
    fn lead_to(&self, folder: &Path) -> io::Result<()> {
        let target = folder.file_name().unwrap_or_default();
        exchange_link(Path::new(target), &self.current())
    }

    /// Makes a configured name a link, at one stroke.
    fn link(&self, name: &Path, to: &str) -> io::Result<()> {
        exchange_link(&self.link_to(name, to), name)
    }

    /// Where a configured name leads: relative where it lies beside the key, so that the folder can be moved as a whole.
    fn link_to(&self, name: &Path, to: &str) -> PathBuf {
        let beside = name.parent() == self.files.private_key.parent();
        let folder = self.folder.file_name().filter(|_| beside).map(PathBuf::from);
        folder.unwrap_or_else(|| self.folder.clone()).join(CURRENT).join(to)
    }
}

/// Makes `name` a link to `target`, whether or not something has that name; durable when it returns.
fn exchange_link(target: &Path, name: &Path) -> io::Result<()> {
    let mut beside = name.as_os_str().to_owned();
    beside.push(".link.new");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    symlink(target, &beside)?;
    fs::rename(&beside, name)?;
    dirs::sync_dir(dirs::parent_of(name))
}
