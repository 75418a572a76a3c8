//! Modes and owners of keys and data, and what is left of writing that was interrupted.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{Examined, Findings, Machine, Subject};
use crate::time::{SignedDuration, Timestamp};

/// The most files that are looked at below one folder.
const AT_MOST: usize = 20_000;
/// What is younger may still be written.
const LEFT_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// Files below a folder, at most so many. Links are not followed; what can not be read is left out.
pub(super) fn below(folder: &Path, at_most: usize) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder).into_iter().flatten().flatten() {
            if files.len() >= at_most {
                return files;
            }
            match item.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(item.path()),
                Ok(kind) if kind.is_file() => files.push(item.path()),
                Ok(_) | Err(_) => {}
            }
        }
    }
    files
}

/// Keys are their owner's alone, nobody else writes the data, and all of it belongs to one user.
pub(super) fn modes(examined: &Examined, findings: &mut Findings) {
    let Examined { data, key_folders, key_files, tls, console, .. } = examined;
    let mut fine = true;
    let mut wrong = |what: String, remedy: String| {
        fine = false;
        findings.action(Subject::Files, what, remedy);
    };
    let secret = key_files
        .iter()
        .chain([&tls.private_key])
        .chain(console.as_ref().map(|(_, private_key)| private_key));
    let mut owned: Vec<(&Path, u32)> = Vec::new();
    for path in secret {
        let Ok(metadata) = fs::metadata(path) else { continue };
        owned.push((path, metadata.uid()));
        if metadata.mode() & 0o077 != 0 {
            let shown = path.display();
            wrong(
                format!("the key `{shown}` can be read or changed by other users"),
                format!("run chmod 600 {shown}; if it may have been read, make a new key"),
            );
        }
    }
    let folders_of_keys = key_files.iter().filter_map(|path| path.parent()).chain([data.as_path()]);
    let mut folders: Vec<&Path> =
        folders_of_keys.chain(key_folders.iter().map(AsRef::as_ref)).collect();
    folders.sort();
    folders.dedup();
    for folder in folders {
        let Ok(metadata) = fs::metadata(folder) else { continue };
        if metadata.mode() & 0o022 != 0 {
            let shown = folder.display();
            wrong(
                format!("others can exchange what is in the folder `{shown}`"),
                format!("run chmod go-w {shown}"),
            );
        }
    }
    let files = below(data, AT_MOST);
    if let Ok(owner) = fs::metadata(data).map(|metadata| metadata.uid()) {
        let keys = owned.into_iter().find(|(_, uid)| *uid != owner);
        let stranger = keys.map(|(path, _)| path.to_owned()).or_else(|| {
            let other = |path: &&PathBuf| fs::metadata(path).is_ok_and(|of| of.uid() != owner);
            files.iter().find(other).cloned()
        });
        if let Some(path) = stranger {
            wrong(
                format!(
                    "`{}` does not belong to the user of the data folder; a command may have been run as another user",
                    path.display()
                ),
                "give everything to the program's user (chown), and run commands as that user"
                    .to_owned(),
            );
        }
    }
    if fine {
        findings.ok(Subject::Files, "keys are private, and everything belongs to one user");
    }
}

/// Files that are written beside another before they take its name, and were left.
pub(super) fn leftovers(
    examined: &Examined,
    machine: Machine,
    now: Timestamp,
    findings: &mut Findings,
) {
    let mut all = below(&examined.data, AT_MOST);
    for folder in &examined.key_folders {
        all.extend(below(folder, AT_MOST));
    }
    // Of the configuration's own folder only the files: the data may lie in it.
    let beside = fs::read_dir(&examined.folder).into_iter().flatten().flatten();
    all.extend(beside.map(|item| item.path()).filter(|path| path.is_file()));
    let tls =
        examined.tls.private_key.parent().into_iter().chain(examined.tls.certificate.parent());
    all.extend(tls.flat_map(|folder| below(folder, 1_000)));
    let old =
        |path: &Path| (machine.written)(path).is_ok_and(|at| now.duration_since(at) > LEFT_AFTER);
    let mut left: Vec<PathBuf> =
        all.into_iter().filter(|path| is_temporary(path) && old(path)).collect();
    left.sort();
    left.dedup();
    match left.first() {
        None => findings.ok(Subject::Leftovers, "nothing is left of writing that was interrupted"),
        Some(first) => findings.note(
            Subject::Leftovers,
            format!(
                "{} file(s) are left of writing that was interrupted, the first `{}`",
                left.len(),
                first.display()
            ),
            "remove them while the program is stopped; what they were to replace is whole",
        ),
    }
}

fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let probe = [".agency-node-check-", ".brag-check-"].iter().any(|probe| name.starts_with(probe));
    probe || path.extension().is_some_and(|extension| extension == "new" || extension == "tmp")
}
