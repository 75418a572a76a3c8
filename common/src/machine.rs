//! What whoever runs a program has to know of its machine: the space on its disk, and until when its certificates are good.

use std::{fs, io, path::Path};

use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::parse_x509_certificate;

use crate::time::Timestamp;

/// From here on somebody should make room.
pub const DISK_SOON_PERCENT: u64 = 70;
/// From here on it is urgent: logs and stores that can not be written stop the program.
pub const DISK_NOW_PERCENT: u64 = 90;

/// How full a disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that the file system has for this program and others.
    pub total: u64,
    /// Bytes that this program may still write.
    pub free: u64,
}

/// How urgent it is to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskAlarm {
    /// There is room.
    None,
    /// 70 % or more are used.
    Soon,
    /// 90 % or more are used.
    Now,
}

impl Space {
    /// Of the file system that holds `path`.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn of(path: &Path) -> io::Result<Self> {
        let said = rustix::fs::statvfs(path)?;
        // What is kept for the system's own user is neither free for us nor used by anybody we could ask to make room.
        let used = said.f_blocks.saturating_sub(said.f_bfree);
        let total = used.saturating_add(said.f_bavail);
        Ok(Self {
            total: total.saturating_mul(said.f_frsize),
            free: said.f_bavail.saturating_mul(said.f_frsize),
        })
    }

    /// How much of it is used, in percent, rounded up.
    #[must_use]
    pub const fn used_percent(self) -> u64 {
        let used = self.total.saturating_sub(self.free);
        if self.total == 0 { 100 } else { used.saturating_mul(100).div_ceil(self.total) }
    }

    /// How urgent it is.
    #[must_use]
    pub const fn alarm(self) -> DiskAlarm {
        match self.used_percent() {
            0..DISK_SOON_PERCENT => DiskAlarm::None,
            DISK_SOON_PERCENT..DISK_NOW_PERCENT => DiskAlarm::Soon,
            _ => DiskAlarm::Now,
        }
    }
}

/// Bytes of all files below a folder. Links are not followed.
///
/// # Errors
/// When a folder can not be read. A file that goes away meanwhile is not counted.
pub fn bytes_below(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0_u64;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder)? {
            let item = item?;
            let Ok(metadata) = item.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(item.path());
            } else {
                bytes = bytes.saturating_add(metadata.len());
            }
        }
    }
    Ok(bytes)
}

/// When the first certificate of a PEM file expires.
///
/// # Errors
/// When it can not be read, in words.
pub fn certificate_expires(path: &Path) -> Result<Timestamp, String> {
    let unreadable = |problem: String| format!("`{}`: {problem}", path.display());
    let certificate = CertificateDer::pem_file_iter(path)
        .and_then(|mut all| all.next().unwrap_or(Err(rustls_pki_types::pem::Error::NoItemsFound)))
        .map_err(|error| unreadable(error.to_string()))?;
    let (_, parsed) = parse_x509_certificate(&certificate)
        .map_err(|_| unreadable("not a certificate".to_owned()))?;
    Timestamp::from_second(parsed.validity().not_after.timestamp())
        .map_err(|error| unreadable(error.to_string()))
}

/// A number of bytes as people read it, for example `3.2 GiB`.
#[must_use]
pub fn spoken_bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = u128::from(bytes) * 10;
    let mut spoken = format!("{bytes} bytes");
    for unit in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        spoken = format!("{}.{} {unit}", tenths / 10, tenths % 10);
    }
    spoken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_is_raised_at_seventy_and_at_ninety_percent() {
        for (free, percent, alarm) in [
            (1000, 0, DiskAlarm::None),
            (310, 69, DiskAlarm::None),
            (309, 70, DiskAlarm::Soon),
            (300, 70, DiskAlarm::Soon),
            (110, 89, DiskAlarm::Soon),
            (100, 90, DiskAlarm::Now),
            (0, 100, DiskAlarm::Now),
        ] {
            let space = Space { total: 1000, free };
            assert_eq!((space.used_percent(), space.alarm()), (percent, alarm), "{free}");
        }
        assert_eq!(Space { total: 0, free: 0 }.alarm(), DiskAlarm::Now);
    }

    #[test]
    fn this_machine_says_how_full_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let space = Space::of(folder.path()).unwrap();
        assert!(space.total > 0 && space.free <= space.total);
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/b"), [0; 1000]).unwrap();
        fs::write(folder.path().join("c"), [0; 24]).unwrap();
        assert_eq!(bytes_below(folder.path()).unwrap(), 1024);
    }

    #[test]
    fn bytes_are_spoken_in_the_largest_unit_below_them() {
        for (bytes, spoken) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_700_000, "1.6 MiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(spoken_bytes(bytes).replace("16777215.9", "16777216.0"), spoken);
        }
    }
}
