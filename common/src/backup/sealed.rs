//! The envelope of a backup: a stream sealed to the recovery key, in chunks (RFC 9180 HPKE, base mode: X25519, HKDF-SHA256,
//! ChaCha20-Poly1305).
//!
//! `magic | kind (1) | encapsulated key (32) | commitment (32) | chunk …`; a chunk is `length u32 BE | ciphertext`, the length's highest bit
//! set on the last. One HPKE context seals all of them: its sequence number is in the nonce, and whether a chunk is the last is its associated
//! data. The first line and the kind are the HPKE `info`.
//!
//! What it proves: only the recovery key opens it (the machine that makes it has the public half alone and can not read it back); each
//! chunk is whole, in its place, none is missing or doubled, and the stream ends where it was ended: what was cut off, swapped, altered
//! or lengthened does not open. The commitment, a value that the context's own key schedule exports, fixes the key: there are no two
//! recovery keys under which one file opens to two texts, which ChaCha20-Poly1305 alone does not promise. What it does not prove is who
//! made it: anybody has the public half. For that the audit log of whoever made it has an entry with the SHA-256 of the whole file.

use std::io::{self, Read, Write};

use hpke::{
    Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _,
    aead::{AeadCtxR, AeadCtxS, ChaCha20Poly1305},
    kdf::HkdfSha256,
    kem::X25519HkdfSha256,
    setup_receiver, setup_sender,
};
use rand_core::OsRng;
use zeroize::Zeroizing;

use super::BackupError;
use crate::{audit::Digest, seal::SealingPublicKey, secret::SecretBytes};

type Kem = X25519HkdfSha256;

/// How a backup begins; the number is the format's.
const MAGIC: &[u8] = b"brag-backup-v1\n";

/// Plain bytes of a chunk, at most; also what sealing and opening hold in memory.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes that sealing adds to a chunk.
const TAG_BYTES: usize = 16;
/// Of a chunk's length: it is the last.
const LAST: u32 = 1 << 31;
/// For what the commitment is exported.
const COMMITMENT: &[u8] = b"brag-exchange/v1/backup-commitment";
const COMMITMENT_BYTES: usize = 32;

/// What is in a backup. One is never opened as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Store, log, agreements and the program's own keys.
    Data,
    /// The keys of enquiries.
    EnquiryKeys,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Data => b'D',
            Self::EnquiryKeys => b'K',
        }
    }

    fn info(self) -> Vec<u8> {
        [MAGIC, &[self.byte()]].concat()
    }
}

fn aad(is_last: bool) -> &'static [u8] {
    if is_last { b"last" } else { b"more" }
}

/// Seals what is written to it.
pub struct Sealing<W> {
    out: W,
    context: AeadCtxS<ChaCha20Poly1305, HkdfSha256, Kem>,
    waiting: Zeroizing<Vec<u8>>,
    seen: ring::digest::Context,
}

impl<W> std::fmt::Debug for Sealing<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealing").finish_non_exhaustive()
    }
}

impl<W: Write> Sealing<W> {
    /// Begins a backup for the holder of the recovery key.
    ///
    /// # Errors
    /// When the key is none, or `out` fails.
    pub fn begin(kind: Kind, key: &SealingPublicKey, out: W) -> io::Result<Self> {
        let refused = |_| io::Error::other("the recovery key is not a key");
        let key = <Kem as hpke::Kem>::PublicKey::from_bytes(key.as_bytes()).map_err(refused)?;
        let (encapsulated, context) = setup_sender::<ChaCha20Poly1305, HkdfSha256, Kem, _>(
            &OpModeS::Base,
            &key,
            &kind.info(),
            &mut OsRng,
        )
        .map_err(refused)?;
        let mut commitment = [0; COMMITMENT_BYTES];
        context.export(COMMITMENT, &mut commitment).map_err(refused)?;
        let waiting = Zeroizing::new(Vec::with_capacity(CHUNK_BYTES));
        let seen = ring::digest::Context::new(&ring::digest::SHA256);
        let mut new = Self { out, context, waiting, seen };
        new.put(&kind.info())?;
        new.put(&encapsulated.to_bytes())?;
        new.put(&commitment)?;
        Ok(new)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.seen.update(bytes);
        self.out.write_all(bytes)
    }

    fn chunk(&mut self, is_last: bool) -> io::Result<Vec<u8>> {
        let sealed = self.context.seal(&self.waiting, aad(is_last));
        let sealed = sealed.map_err(|_| io::Error::other("the backup can not be sealed"))?;
        self.waiting.clear();
        let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
        let length = if is_last { length | LAST } else { length };
        Ok([&length.to_be_bytes()[..], &sealed].concat())
    }

    /// Ends it. Gives the last chunk, which is *not* written yet, and the digest of the whole file with it: nobody opens the backup before
    /// that chunk is written, so what has to be recorded about it is recorded first.
    ///
    /// # Errors
    /// When it can not be sealed.
    pub fn finish(mut self) -> io::Result<(W, Vec<u8>, Digest)> {
        let last = self.chunk(true)?;
        self.seen.update(&last);
        let mut digest = [0; 32];
        digest.iter_mut().zip(self.seen.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Ok((self.out, last, Digest::from_bytes(digest)))
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.waiting.len() == CHUNK_BYTES {
            let chunk = self.chunk(false)?;
            self.put(&chunk)?;
        }
        let n_bytes = bytes.len().min(CHUNK_BYTES - self.waiting.len());
        self.waiting.extend_from_slice(bytes.get(..n_bytes).unwrap_or_default());
        Ok(n_bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Opens a backup as it is read.
pub struct Opening<R> {
    from: R,
    context: AeadCtxR<ChaCha20Poly1305, HkdfSha256, Kem>,
    chunk: Zeroizing<Vec<u8>>,
    place: usize,
    is_last: bool,
}

impl<R> std::fmt::Debug for Opening<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening").finish_non_exhaustive()
    }
}

impl<R: Read> Opening<R> {
    /// Begins to open a backup with the recovery key.
    ///
    /// # Errors
    /// When it is no backup, of another kind, or made for another key.
    pub fn begin(kind: Kind, key: &SecretBytes<32>, mut from: R) -> Result<Self, BackupError> {
        let mut info = vec![0; MAGIC.len() + 1];
        read(&mut from, &mut info)?;
        if !info.starts_with(MAGIC) {
            return Err(BackupError::NotABackup);
        }
        if info != kind.info() {
            return Err(BackupError::AnotherKind);
        }
        let (mut encapsulated, mut said) = ([0; 32], [0; COMMITMENT_BYTES]);
        read(&mut from, &mut encapsulated)?;
        read(&mut from, &mut said)?;
        let another = |_| BackupError::AnotherKey;
        let key = <Kem as hpke::Kem>::PrivateKey::from_bytes(key.expose()).map_err(another)?;
        let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(&encapsulated);
        let context = setup_receiver::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeR::Base,
            &key,
            &encapsulated.map_err(another)?,
            &kind.info(),
        )
        .map_err(another)?;
        let mut commitment = [0; COMMITMENT_BYTES];
        context.export(COMMITMENT, &mut commitment).map_err(another)?;
        // Both are public to whoever made the file.
        if commitment != said {
            return Err(BackupError::AnotherKey);
        }
        Ok(Self { from, context, chunk: Zeroizing::default(), place: 0, is_last: false })
    }

    fn next(&mut self) -> Result<(), BackupError> {
        let mut length = [0; 4];
        read(&mut self.from, &mut length)?;
        let length = u32::from_be_bytes(length);
        let (is_last, length) = (length & LAST != 0, (length & !LAST) as usize);
        if !(TAG_BYTES..=CHUNK_BYTES + TAG_BYTES).contains(&length) {
            return Err(BackupError::Altered);
        }
        let mut sealed = vec![0; length];
        read(&mut self.from, &mut sealed)?;
        let opened = self.context.open(&sealed, aad(is_last)).map_err(|_| BackupError::Altered)?;
        // A chunk that is not the last is a full one: there is one way to write a text.
        if !is_last && opened.len() != CHUNK_BYTES {
            return Err(BackupError::Altered);
        }
        if is_last && self.from.read(&mut [0])? != 0 {
            return Err(BackupError::Altered);
        }
        (self.chunk, self.place, self.is_last) = (Zeroizing::new(opened), 0, is_last);
        Ok(())
    }

    /// Fills `bytes`.
    ///
    /// # Errors
    /// When the stream ends before, or does not open.
    pub fn fill(&mut self, bytes: &mut [u8]) -> Result<(), BackupError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let there = self.chunk.get(self.place..).unwrap_or_default();
            if there.is_empty() {
                if self.is_last {
                    return Err(BackupError::Altered);
                }
                self.next()?;
                continue;
            }
            let n_bytes = there.len().min(rest.len());
            let (now, later) = rest.split_at_mut(n_bytes);
            now.copy_from_slice(there.get(..n_bytes).unwrap_or_default());
            self.place += n_bytes;
            rest = later;
        }
        Ok(())
    }

    /// Whether everything was read, up to the end of the stream.
    ///
    /// # Errors
    /// When what follows does not open.
    pub fn is_at_the_end(&mut self) -> Result<bool, BackupError> {
        while self.place == self.chunk.len() && !self.is_last {
            self.next()?;
        }
        Ok(self.place == self.chunk.len())
    }
}

fn read(from: &mut impl Read, bytes: &mut [u8]) -> Result<(), BackupError> {
    from.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => BackupError::CutOff,
        _ => BackupError::Io(error),
    })
}

/// The public half of a recovery key.
///
/// # Errors
/// When the bytes are no key.
pub fn public_half(key: &SecretBytes<32>) -> Result<SealingPublicKey, BackupError> {
    let key = <Kem as hpke::Kem>::PrivateKey::from_bytes(key.expose());
    let public = Kem::sk_to_pk(&key.map_err(|_| BackupError::AnotherKey)?).to_bytes();
    let public = <[u8; 32]>::try_from(public.as_slice()).map_err(|_| BackupError::AnotherKey)?;
    Ok(SealingPublicKey::from_bytes(public))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretBytes<32> {
        SecretBytes::new([byte; 32])
    }

    fn sealed(text: &[u8]) -> Vec<u8> {
        let public = public_half(&key(1)).unwrap();
        let mut sealing = Sealing::begin(Kind::Data, &public, Vec::new()).unwrap();
        sealing.write_all(text).unwrap();
        let (mut file, last, digest) = sealing.finish().unwrap();
        file.extend(last);
        assert_eq!(digest, Digest::of(&file));
        file
    }

    fn opened(kind: Kind, by: u8, file: &[u8]) -> Result<Vec<u8>, BackupError> {
        let mut opening = Opening::begin(kind, &key(by), file)?;
        let mut text = Vec::new();
        while !opening.is_at_the_end()? {
            let mut byte = [0];
            opening.fill(&mut byte)?;
            text.extend(byte);
        }
        Ok(text)
    }

    fn text(n_bytes: usize) -> Vec<u8> {
        (0..n_bytes).map(|n| u8::try_from(n % 251).unwrap()).collect()
    }

    #[test]
    fn refuses_another_key_another_kind_and_what_is_no_backup() {
        let file = sealed(b"text");
        assert!(matches!(opened(Kind::Data, 2, &file), Err(BackupError::AnotherKey)));
        assert!(matches!(opened(Kind::EnquiryKeys, 1, &file), Err(BackupError::AnotherKind)));
        assert!(matches!(opened(Kind::Data, 1, b"short"), Err(BackupError::CutOff)));
        assert!(matches!(opened(Kind::Data, 1, &[7; 200]), Err(BackupError::NotABackup)));
        // Passed off as the other kind.
        let mut renamed = file;
        renamed[MAGIC.len()] = b'K';
        assert!(opened(Kind::EnquiryKeys, 1, &renamed).is_err());
    }

    #[test]
    fn refuses_every_flipped_byte_and_every_length_but_its_own() {
        let file = sealed(b"some text");
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert!(opened(Kind::Data, 1, &changed).is_err(), "byte {at}");
            assert!(opened(Kind::Data, 1, &file[..at]).is_err(), "length {at}");
        }
        assert!(opened(Kind::Data, 1, &[&file[..], b"x"].concat()).is_err());
        assert_eq!(opened(Kind::Data, 1, &file).unwrap(), b"some text");
    }

    #[test]
    fn refuses_chunks_that_were_swapped_doubled_or_left_out() {
        let whole = text(3 * CHUNK_BYTES + 17);
        let file = sealed(&whole);
        let n_head = MAGIC.len() + 1 + 32 + COMMITMENT_BYTES;
        let (head, body) = file.split_at(n_head);
        let one = 4 + CHUNK_BYTES + TAG_BYTES;
        let (first, second, rest) = (&body[..one], &body[one..2 * one], &body[2 * one..]);
        assert_eq!(opened(Kind::Data, 1, &file).unwrap(), whole);
        for parts in [
            &[head, second, first, rest][..],
            &[head, first, first, second, rest],
            &[head, second, rest],
            &[head, first, second],
            &[head, first, rest],
        ] {
            assert!(opened(Kind::Data, 1, &parts.concat()).is_err());
        }
        // A chunk of another backup for the same key.
        let other = sealed(&whole);
        let mixed = [head, &other[n_head..n_head + one], second, rest].concat();
        assert!(opened(Kind::Data, 1, &mixed).is_err());
    }

    #[test]
    fn texts_of_every_length_around_a_chunk_come_back() {
        for n_bytes in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1] {
            assert_eq!(opened(Kind::Data, 1, &sealed(&text(n_bytes))).unwrap(), text(n_bytes));
        }
    }
}
