//! How the program that runs is asked for a backup: over a socket in its data folder, by its own account.
//!
//! Only the running program can read its store at one moment, so it makes the backup and whoever asks writes it to a file. There is no call for it over
//! the network: who may run `backup` is who may read the program's files anyway, and what comes out is sealed to a key that is not
//! there. The account on the other end is looked at all the same; it has to be the program's own, or root.
//!
//! The question is one byte, the kind. The answer is frames `tag (1) | length u32 BE | bytes`: `B` bytes of the backup, `X` why there is none,
//! `O` that it is whole. One backup is made at a time.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read as _, Write},
    os::{
        fd::AsRawFd as _,
        unix::{
            fs::{OpenOptionsExt as _, PermissionsExt as _},
            net::UnixStream,
        },
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::{BackupError, archive::Manifest, sealed::Kind, take::Backups};
use crate::{audit::Digest, durable::dirs};

/// The socket, in the data folder.
pub const SOCKET: &str = "backup.sock";

/// Whoever takes nothing for so long is gone.
const STALLED: Duration = Duration::from_secs(60);

/// The longest frame of an answer, in bytes.
const MAX_FRAME_BYTES: usize = 256 * 1024;

/// The longest path that a socket may have, in bytes, with room (sun_path has 108).
const MAX_SOCKET_PATH: usize = 100;

/// What came of a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// SHA-256 of the file.
    pub digest: Digest,
    /// What is in it.
    pub manifest: Manifest,
}

/// The socket's path, by a way that is short enough for the system. The folder is held open as long as it is used.
fn reached(data: &Path) -> io::Result<(PathBuf, Option<File>)> {
    let path = data.join(SOCKET);
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        return Ok((path, None));
    }
    let folder = File::open(data)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd())), Some(folder)))
}

/// Answers whoever asks, until `shutdown`. Nobody else has the data folder.
///
/// # Errors
/// When the socket can not be made.
pub fn listen(data: &Path) -> io::Result<UnixListener> {
    let (path, _held) = reached(data)?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Makes a backup for each caller, one at a time.
pub async fn serve(listener: UnixListener, backups: Backups, shutdown: CancellationToken) {
    let backups = Arc::new(backups);
    answering(&listener, &backups, shutdown).await;
    // Left behind by a program that was killed, it is taken away at the next start.
    let _ = fs::remove_file(backups.parts.data.join(SOCKET));
}

async fn answering(listener: &UnixListener, backups: &Arc<Backups>, shutdown: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let own = rustix::process::geteuid().as_raw();
        let is_own = stream.peer_cred().is_ok_and(|peer| [own, 0].contains(&peer.uid()));
        if !is_own {
            tracing::warn!("a backup was asked for by another account, and refused");
            continue;
        }
        let backups = Arc::clone(backups);
        let runtime = tokio::runtime::Handle::current();
        let answering = tokio::task::spawn_blocking(move || {
            let stream = stream.into_std()?;
            stream.set_nonblocking(false)?;
            stream.set_write_timeout(Some(STALLED))?;
            stream.set_read_timeout(Some(STALLED))?;
            answer(&stream, &backups, &runtime)
        });
        match answering.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a backup was not made"),
            Err(_) => tracing::error!("a backup ended in the middle"),
        }
    }
}

/// Bytes of a backup, as frames.
struct Framed<W>(W);

impl<W: Write> Write for Framed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = bytes.get(..bytes.len().min(MAX_FRAME_BYTES)).unwrap_or_default();
        frame(&mut self.0, b'B', piece)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn frame(out: &mut impl Write, tag: u8, bytes: &[u8]) -> io::Result<()> {
    out.write_all(&[tag])?;
    out.write_all(&u32::try_from(bytes.len()).map_err(io::Error::other)?.to_be_bytes())?;
    out.write_all(bytes)
}

fn answer(
    stream: &UnixStream,
    backups: &Backups,
    runtime: &tokio::runtime::Handle,
) -> io::Result<()> {
    let mut kind = [0];
    (&*stream).read_exact(&mut kind)?;
    let kind = match &kind {
        b"D" => Kind::Data,
        b"K" => Kind::EnquiryKeys,
        _ => return Err(io::Error::other("something else than a backup was asked for")),
    };
    let mut out = Framed(BufWriter::new(stream));
    match finished(backups, kind, runtime, &mut out) {
        Ok(done) => frame(&mut out.0, b'O', &serde_json::to_vec(&done)?)?,
        Err(error) => {
            let text = format!("{:#}", anyhow::Error::new(error));
            tracing::warn!(error = text, "a backup was not made");
            frame(&mut out.0, b'X', text.as_bytes())?;
        }
    }
    out.flush()
}

/// Makes a whole backup: its entry is durable before its last chunk is written. Blocking.
///
/// # Errors
/// As [`Backups::take`], and when the entry can not be recorded; then there is no whole backup.
pub fn finished(
    backups: &Backups,
    kind: Kind,
    runtime: &tokio::runtime::Handle,
    out: &mut dyn Write,
) -> Result<Done, BackupError> {
    let taken = backups.take(kind, out)?;
    let recorded = runtime.block_on(backups.log.record(taken.entry(kind)));
    recorded.map_err(io::Error::other)?;
    out.write_all(&taken.last)?;
    out.flush()?;
    Ok(Done { digest: taken.digest, manifest: taken.manifest })
}

/// Asks the program that runs on `data`, and writes what it gives to `out`; `None`: none runs there.
///
/// # Errors
/// When it makes none, or `out` fails.
pub fn ask(data: &Path, kind: Kind, out: &mut dyn Write) -> Result<Option<Done>, BackupError> {
    let stream = match reached(data).and_then(|(path, _held)| UnixStream::connect(path)) {
        Err(error)
            if [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused]
                .contains(&error.kind()) =>
        {
            return Ok(None);
        }
        stream => stream?,
    };
    stream.set_read_timeout(Some(STALLED * 2))?;
    let byte = match kind {
        Kind::Data => b"D",
        Kind::EnquiryKeys => b"K",
    };
    (&stream).write_all(byte)?;
    let mut from = io::BufReader::new(&stream);
    loop {
        let (mut tag, mut length) = ([0], [0; 4]);
        from.read_exact(&mut tag)?;
        from.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_FRAME_BYTES {
            return Err(BackupError::Malformed("the program's answer"));
        }
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes)?;
        match &tag {
            b"B" => out.write_all(&bytes)?,
            b"O" => {
                let done = serde_json::from_slice(&bytes);
                return done.map(Some).map_err(|_| BackupError::Malformed("the program's answer"));
            }
            _ => return Err(BackupError::Refused(String::from_utf8_lossy(&bytes).into_owned())),
        }
    }
}

/// A file that takes its name once it is whole and durable; a former one of the name is replaced then, and stays until then.
///
/// # Errors
/// What `write` says, and when the disk fails; then nothing has the name that did not have it before.
pub fn whole_file<T>(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<T, BackupError>,
) -> Result<T, BackupError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".partial");
    let mut options = fs::OpenOptions::new();
    // Left there by a run that was cut off: no part of it is used.
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    let mut out = BufWriter::new(file);
    let done = write(&mut out)?;
    out.flush()?;
    out.get_ref().sync_all()?;
    fs::rename(&beside, path)?;
    dirs::sync_dir(dirs::parent_of(path))?;
    Ok(done)
}
