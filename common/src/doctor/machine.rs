//! Disks and clock.

use std::{
    collections::BTreeMap,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{Examined, Findings, Subject};
use crate::{
    machine::{DISK_NOW_PERCENT, DISK_SOON_PERCENT, DiskAlarm, Space, spoken_bytes},
    replay::MAX_SKEW,
    time::{SignedDuration, Timestamp},
};

/// The disk that holds a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// Its bytes.
    pub bytes: Space,
    /// How many files it can hold; `None`: as many as there are bytes for.
    pub files: Option<Space>,
}

impl Volume {
    /// Of the file system that holds `path`.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn of(path: &Path) -> io::Result<Self> {
        let said = rustix::fs::statvfs(path)?;
        let files = (said.f_files > 0).then(|| {
            let used = said.f_files.saturating_sub(said.f_ffree);
            Space { total: used.saturating_add(said.f_favail), free: said.f_favail }
        });
        Ok(Self { bytes: Space::of(path)?, files })
    }
}

/// What is asked of the system; tests answer for it.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    /// The disk that holds a folder.
    pub volume: fn(&Path) -> io::Result<Volume>,
    /// When a file was last written.
    pub written: fn(&Path) -> io::Result<Timestamp>,
}

impl Default for Machine {
    /// This machine.
    fn default() -> Self {
        Self { volume: Volume::of, written }
    }
}

fn written(path: &Path) -> io::Result<Timestamp> {
    let at = std::fs::metadata(path)?.modified()?;
    Timestamp::try_from(at).map_err(io::Error::other)
}

/// Space and inodes of every disk on which something is written.
pub(super) fn volumes(examined: &Examined, machine: Machine, findings: &mut Findings) {
    let folders = std::iter::once(&examined.data).chain(&examined.key_folders);
    // Several folders mostly lie on one disk.
    let mut disks: BTreeMap<u64, PathBuf> = BTreeMap::new();
    for folder in folders {
        let Some(there) = folder.ancestors().find(|folder| folder.exists()) else { continue };
        let Ok(metadata) = std::fs::metadata(there) else { continue };
        disks.entry(metadata.dev()).or_insert_with(|| there.to_owned());
    }
    for folder in disks.values() {
        let shown = folder.display();
        match (machine.volume)(folder) {
            Ok(volume) => {
                space(Subject::Disk, &format!("the disk of `{shown}`"), volume.bytes, findings);
                if let Some(files) = volume.files {
                    let what = format!("what the disk of `{shown}` has for files (inodes)");
                    space(Subject::Inodes, &what, files, findings);
                }
            }
            Err(error) => findings.action(
                Subject::Disk,
                format!("the disk of `{shown}` does not say how full it is: {error}"),
                "see that the file system is mounted and can be read",
            ),
        }
    }
}

fn space(subject: Subject, of: &str, space: Space, findings: &mut Findings) {
    let percent = space.used_percent();
    let free = if subject == Subject::Disk {
        spoken_bytes(space.free)
    } else {
        format!("room for {} files", space.free)
    };
    let what = format!("{of}: {percent} % are used, {free} left");
    let remedy = if subject == Subject::Disk {
        "make room or a larger disk; log and store stop the program when they can not be written"
    } else {
        "remove small files that are not needed, or make a file system with more inodes"
    };
    match space.alarm() {
        DiskAlarm::None => findings.ok(subject, what),
        DiskAlarm::Soon => findings.note(
            subject,
            what,
            format!("{remedy}; it is looked at from {DISK_SOON_PERCENT} % on, urgent from {DISK_NOW_PERCENT} %"),
        ),
        DiskAlarm::Now => findings.action(subject, what, remedy),
    }
}

/// The machine's clock against what it has said before: the newest entry of the log, and the newest file. `last` is the entry's time.
pub(super) fn clock(
    examined: &Examined,
    machine: Machine,
    last: Option<Timestamp>,
    now: Timestamp,
    findings: &mut Findings,
) {
    let remedy = "set the clock and keep it right (chrony or systemd-timesyncd); a clock that is set back makes the program refuse what \
                  is in time";
    let ahead = |at: Timestamp| at.duration_since(now) > MAX_SKEW;
    if let Some(last) = last.filter(|last| ahead(*last)) {
        findings.action(
            Subject::Clock,
            format!("it shows {now}, and the log has an entry of {last}"),
            remedy,
        );
        return;
    }
    let newest = newest_below(&examined.data, machine);
    match newest.filter(|(_, at)| ahead(*at)) {
        Some((path, at)) => findings.action(
            Subject::Clock,
            format!("it shows {now}, and `{}` was written at {at}", path.display()),
            remedy,
        ),
        None => {
            findings.ok(Subject::Clock, format!("it shows {now}, and nothing was written later"))
        }
    }
}

/// The newest file directly in the folder's own folders; deeper ones are younger than the folder that holds them seldom enough.
fn newest_below(data: &Path, machine: Machine) -> Option<(PathBuf, Timestamp)> {
    let mut newest: Option<(PathBuf, Timestamp)> = None;
    for path in super::files::below(data, 2_000) {
        let Ok(at) = (machine.written)(&path) else { continue };
        if newest.as_ref().is_none_or(|(_, known)| at > *known) {
            newest = Some((path, at));
        }
    }
    newest
}

/// A length of time as people say it: whole days, hours or minutes.
pub(super) fn spoken(length: SignedDuration) -> String {
    let seconds = length.as_secs().unsigned_abs();
    let (number, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural}")
}
