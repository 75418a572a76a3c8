//! What is inside the envelope: a header, the rows of the store, files with their digests, and a manifest, one behind the other.
//!
//! A frame is `tag (1) | length u32 BE | bytes`. The envelope has vouched for every byte before it is read here; what is refused here
//! all the same is what a program of another version, or one that is broken, may have written.

use std::io::{Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{BackupError, sealed::Opening};
use crate::{
    audit::{Digest, Party},
    time::Timestamp,
};

/// The format of the frames.
pub const FORMAT: u32 = 1;

/// The longest frame, in bytes.
const MAX_FRAME_BYTES: usize = 256 * 1024;

/// Bytes of a file in one frame.
const PIECE_BYTES: usize = 64 * 1024;

/// The longest path of a file, in bytes.
const MAX_PATH_BYTES: usize = 255;

/// The most parts of a path: it is made of these folders when it is put back.
const MAX_PATH_PARTS: usize = 8;

/// What a backup begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: u32,
    /// `agency-node` or `hub`.
    pub program: String,
    /// The program's version.
    pub version: String,
    /// Whose it is.
    pub party: Party,
    /// When it was begun.
    pub made: Timestamp,
}

/// How far the log goes in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEnd {
    /// The name of the shard that was written.
    pub origin: String,
    /// The key that verifies it, in base64.
    pub key: String,
    /// How many entries it has there.
    pub entries: u64,
    /// The root of the tree over them.
    pub root: Digest,
}

/// What a backup ends with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// How far the log goes; absent in a backup of enquiry keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogEnd>,
    /// Rows and changes of the store.
    pub n_rows: u64,
    /// SHA-256 over them.
    pub rows: Digest,
    /// Files.
    pub n_files: u64,
    /// Their bytes.
    pub n_bytes: u64,
}

/// The name of a file in a backup, and how it may be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHead {
    /// Its path below the folder that is put back, with `/`.
    pub path: String,
    /// Its mode.
    pub mode: u32,
}

/// Whether a path may be made below a folder of ours: parts of letters, digits, `.`, `_` and `-`, none of them a way out.
fn is_path(path: &str) -> bool {
    let is_part = |part: &str| {
        let of_ours = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(of_ours)
    };
    let parts = path.split('/');
    path.len() <= MAX_PATH_BYTES
        && parts.clone().count() <= MAX_PATH_PARTS
        && parts.into_iter().all(is_part)
}

/// A SHA-256 under way.
pub(super) fn sha256() -> ring::digest::Context {
    ring::digest::Context::new(&ring::digest::SHA256)
}

/// Its end.
pub(super) fn ended(context: ring::digest::Context) -> Digest {
    let mut digest = [0; 32];
    digest.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    Digest::from_bytes(digest)
}

/// Writes the frames.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    rows: Rows,
    n_files: u64,
    n_bytes: u64,
}

/// Rows that have gone by.
struct Rows {
    n_rows: u64,
    digest: ring::digest::Context,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows").field("n_rows", &self.n_rows).finish_non_exhaustive()
    }
}

impl Rows {
    fn new() -> Self {
        Self { n_rows: 0, digest: sha256() }
    }

    fn saw(&mut self, tag: u8, bytes: &[u8]) {
        self.n_rows += 1;
        self.digest.update(&[tag]);
        self.digest.update(&(bytes.len() as u64).to_be_bytes());
        self.digest.update(bytes);
    }
}

impl<W: Write> Writer<W> {
    /// Begins with the header.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn begin(header: &Header, out: W) -> std::io::Result<Self> {
        let mut new = Self { out, rows: Rows::new(), n_files: 0, n_bytes: 0 };
        new.frame(b'H', &serde_json::to_vec(header)?)?;
        Ok(new)
    }

    fn frame(&mut self, tag: u8, bytes: &[u8]) -> std::io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(std::io::Error::other)?;
        if bytes.len() > MAX_FRAME_BYTES {
            return Err(std::io::Error::other("a part of the backup is too long"));
        }
        self.out.write_all(&[tag])?;
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(bytes)
    }

    /// A row of the store, or a change of one.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn row(&mut self, key: &[u8], value: Option<&[u8]>) -> std::io::Result<()> {
        let length = u16::try_from(key.len()).map_err(std::io::Error::other)?;
        let bytes = [&length.to_be_bytes()[..], key, value.unwrap_or_default()].concat();
        let tag = if value.is_some() { b'P' } else { b'R' };
        self.rows.saw(tag, &bytes);
        self.frame(tag, &bytes)
    }

    /// A file: `n_bytes` of what `from` gives.
    ///
    /// # Errors
    /// When `from` ends before, `out` fails, or the name is none that a backup may have.
    pub fn file(&mut self, head: &FileHead, from: impl Read, n_bytes: u64) -> std::io::Result<()> {
        if !is_path(&head.path) {
            return Err(std::io::Error::other("the name of a file is none that a backup can have"));
        }
        self.frame(b'F', &serde_json::to_vec(head)?)?;
        let (mut from, mut digest, mut n_read) = (from.take(n_bytes), sha256(), 0);
        let mut piece = zeroize::Zeroizing::new(vec![0; PIECE_BYTES]);
        loop {
            let n = from.read(&mut piece)?;
            if n == 0 {
                break;
            }
            let bytes = piece.get(..n).unwrap_or_default();
            digest.update(bytes);
            self.frame(b'D', bytes)?;
            n_read += n as u64;
        }
        if n_read != n_bytes {
            let text = format!("`{}` became shorter while it was read", head.path);
            return Err(std::io::Error::other(text));
        }
        self.n_files += 1;
        self.n_bytes += n_read;
        self.frame(b'E', ended(digest).as_bytes())
    }

    /// Ends with the manifest; gives it, and what was written to.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn finish(mut self, log: Option<LogEnd>) -> std::io::Result<(Manifest, W)> {
        let rows = std::mem::replace(&mut self.rows, Rows::new());
        let manifest = Manifest {
            log,
            n_rows: rows.n_rows,
            rows: ended(rows.digest),
            n_files: self.n_files,
            n_bytes: self.n_bytes,
        };
        self.frame(b'M', &serde_json::to_vec(&manifest)?)?;
        Ok((manifest, self.out))
    }
}

/// Takes what is in a backup, in its order.
pub trait Take {
    /// A row of the store, or a change of one.
    ///
    /// # Errors
    /// When it can not be taken.
    fn row(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), BackupError>;
    /// A file begins.
    ///
    /// # Errors
    /// When it can not be taken.
    fn file(&mut self, head: &FileHead) -> Result<(), BackupError>;
    /// Bytes of the file that has begun last.
    ///
    /// # Errors
    /// When they can not be taken.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), BackupError>;
    /// The file is whole.
    ///
    /// # Errors
    /// When it can not be kept.
    fn end(&mut self) -> Result<(), BackupError>;
}

/// Reads the header.
///
/// # Errors
/// When there is none, or it is of a later format.
pub fn header<R: Read>(opening: &mut Opening<R>) -> Result<Header, BackupError> {
    let (tag, bytes) = frame(opening)?;
    if tag != b'H' {
        return Err(BackupError::Malformed("it has no header"));
    }
    let header: Header = json(&bytes)?;
    if header.format > FORMAT {
        return Err(BackupError::Later { format: header.format });
    }
    Ok(header)
}

/// Reads everything behind the header, holding every digest against what was read.
///
/// # Errors
/// When something is not as it was written, or can not be taken.
pub fn read<R: Read>(
    opening: &mut Opening<R>,
    take: &mut dyn Take,
) -> Result<Manifest, BackupError> {
    let (mut rows, mut n_files, mut n_bytes) = (Rows::new(), 0, 0);
    let mut file: Option<ring::digest::Context> = None;
    loop {
        let (tag, bytes) = frame(opening)?;
        match (tag, file.as_mut()) {
            (b'P' | b'R', None) => {
                rows.saw(tag, &bytes);
                let no_row = BackupError::Malformed("a row has no key");
                let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
                    return Err(no_row);
                };
                let length = usize::from(u16::from_be_bytes(*length));
                let Some((key, value)) = rest.split_at_checked(length) else { return Err(no_row) };
                take.row(key, (tag == b'P').then_some(value))?;
            }
            (b'F', None) => {
                let head: FileHead = json(&bytes)?;
                if !is_path(&head.path) {
                    return Err(BackupError::Malformed("the name of a file"));
                }
                take.file(&head)?;
                file = Some(sha256());
            }
            (b'D', Some(digest)) => {
                digest.update(&bytes);
                n_bytes += bytes.len() as u64;
                take.bytes(&bytes)?;
            }
            (b'E', Some(_)) => {
                let read = file.take().map(ended);
                if read.is_none_or(|read| read.as_bytes() != &bytes[..]) {
                    return Err(BackupError::Malformed("a file is not what was written"));
                }
                n_files += 1;
                take.end()?;
            }
            (b'M', None) => {
                let manifest: Manifest = json(&bytes)?;
                let read = (rows.n_rows, ended(rows.digest), n_files, n_bytes);
                let Manifest { n_rows, rows, n_files, n_bytes, .. } = manifest;
                if read != (n_rows, rows, n_files, n_bytes) || !opening.is_at_the_end()? {
                    return Err(BackupError::Malformed("it does not hold what its manifest says"));
                }
                return Ok(manifest);
            }
            _ => return Err(BackupError::Malformed("its parts are not in their order")),
        }
    }
}

fn frame<R: Read>(
    opening: &mut Opening<R>,
) -> Result<(u8, zeroize::Zeroizing<Vec<u8>>), BackupError> {
    let (mut tag, mut length) = ([0], [0; 4]);
    opening.fill(&mut tag)?;
    opening.fill(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_FRAME_BYTES {
        return Err(BackupError::Malformed("a part is too long"));
    }
    let mut bytes = zeroize::Zeroizing::new(vec![0; length]);
    opening.fill(&mut bytes)?;
    let [tag] = tag;
    Ok((tag, bytes))
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BackupError> {
    serde_json::from_slice(bytes).map_err(|_| BackupError::Malformed("a part does not read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_put_back_below_the_folder_and_nowhere_else() {
        let long = format!("data/{}", "a".repeat(260));
        for path in ["", "/etc/passwd", "../a", "a/../b", "a//b", "a/", "./a", "a\\b", "a b", &long]
        {
            assert!(!is_path(path), "{path}");
        }
        for path in ["data/log/1/00000000000000000000.seg", "keys/store-2.key", "agreement.note"] {
            assert!(is_path(path), "{path}");
        }
        let header = Header {
            format: FORMAT,
            program: "hub".to_owned(),
            version: "0".to_owned(),
            party: Party::Hub,
            made: Timestamp::UNIX_EPOCH,
        };
        let mut writer = Writer::begin(&header, Vec::new()).unwrap();
        let head = FileHead { path: "../a".to_owned(), mode: 0o600 };
        assert!(writer.file(&head, &b""[..], 0).is_err());
        let head = FileHead { path: "a".to_owned(), mode: 0o600 };
        assert!(writer.file(&head, &b"short"[..], 6).is_err());
    }
}
