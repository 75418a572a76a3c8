use super::*;
use crate::{
    audit::{
        AuditLog, LogOptions, OpenLogError,
        fixtures::{clock, draft, key, origin},
    },
    keys::SigningKey,
    secret::SecretBytes,
    tlog::{KeyKind, NoteKey},
};

fn options(dir: &Path) -> LogOptions {
    LogOptions::new(dir, origin(), key(), clock()).in_test_environment().segment_bytes(1)
}

/// A log whose checkpoints at 2 and 4 entries were cosigned and kept, with one entry more.
async fn a_log(dir: &Path) -> PathBuf {
    let witness = SigningKey::from_seed(SecretBytes::new([8; 32])).unwrap();
    let public = NoteKey::new("w", KeyKind::Witness, witness.verifying_key()).unwrap();
    let log = AuditLog::open(options(dir)).unwrap();
    for count in 0..5 {
        log.record(draft(count)).await.unwrap();
        if count % 2 == 1 {
            let mut note = log.sign(&log.tree()).unwrap();
            note.cosign(&public, "2027-01-01T00:00:00Z".parse().unwrap(), &witness).unwrap();
            log.keep_checkpoint(&note).unwrap();
        }
    }
    log.dir().to_owned()
}

fn contradiction(dir: &Path) -> Contradiction {
    match AuditLog::open(options(dir)) {
        Err(OpenLogError::Contradicted { contradiction, .. }) => contradiction,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn x6_a_log_from_which_entries_were_cut_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let log = a_log(dir.path()).await;
    fs::remove_file(log.join("00000000000000000004.seg")).unwrap();
    // One entry that no checkpoint was over: nothing beside the log remembers it.
    assert_eq!(AuditLog::open(options(dir.path())).unwrap().tree().head().size, 4);
    fs::remove_file(log.join("00000000000000000003.seg")).unwrap();
    assert_eq!(contradiction(dir.path()), Contradiction::RolledBack { n_entries: 3, size: 4 });
}

#[tokio::test]
async fn a_log_that_was_written_anew_with_its_own_key_does_not_open_beside_its_checkpoints() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = a_log(dir.path()).await;
    let rewritten = AuditLog::open(options(other.path())).unwrap();
    for count in 10..20 {
        rewritten.record(draft(count)).await.unwrap();
    }
    fs::copy(log.join(CHECKPOINTS_FILE), rewritten.dir().join(CHECKPOINTS_FILE)).unwrap();
    drop(rewritten);
    assert_eq!(contradiction(other.path()), Contradiction::Rewritten { size: 2 });
}

#[tokio::test]
async fn damaged_and_foreign_checkpoints_are_named_and_a_torn_last_one_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let log = a_log(dir.path()).await;
    let file = log.join(CHECKPOINTS_FILE);
    let whole = fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[30] ^= 1;
    fs::write(&file, &damaged).unwrap();
    let damage = Contradiction::Damaged { offset: 0, what: What::Crc };
    assert_eq!(contradiction(dir.path()), damage);
    assert_eq!(fs::read(&file).unwrap(), damaged, "evidence is not touched");

    let mut foreign = Vec::new();
    let text = String::from_utf8(whole[8..].to_vec());
    let note = read(&log).unwrap();
    assert!(text.is_err() && note.is_err());
    fs::write(&file, &whole).unwrap();
    let (_, note) = read(&log).unwrap().unwrap().remove(0);
    let text = String::from_utf8(note.to_bytes().unwrap()).unwrap();
    let elsewhere = text.replace("example/CSC/2027", "example/POL/2027");
    frame::append(&mut foreign, elsewhere.as_bytes());
    fs::write(&file, foreign).unwrap();
    assert_eq!(contradiction(dir.path()), Contradiction::NotOurs { offset: 0 });

    fs::write(&file, &whole[..whole.len() - 3]).unwrap();
    let log = AuditLog::open(options(dir.path())).unwrap();
    assert_eq!(log.latest_checkpoint().unwrap().checkpoint().head.size, 2);
    let note = log.sign(&log.tree()).unwrap();
    log.keep_checkpoint(&note).unwrap();
    assert_eq!(log.latest_checkpoint(), Some(note));
    assert_eq!(read(log.dir()).unwrap().unwrap().len(), 2);
}

#[tokio::test]
async fn a_condemned_log_records_nothing_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let log = AuditLog::open(options(dir.path())).unwrap();
    log.record(draft(0)).await.unwrap();
    log.condemn(Contradiction::Rewritten { size: 7 });
    assert!(!log.is_available());
    assert!(log.record(draft(1)).await.is_err());
    log.condemn(Contradiction::Rewritten { size: 8 });
    assert_eq!(log.condemned().get(), Some(&Contradiction::Rewritten { size: 7 }));
}

/// Checkpoints are written faster than anybody needs them. What stays still shows a log that was put back, to any earlier size.
#[tokio::test]
async fn old_checkpoints_are_thinned_and_what_they_showed_is_still_shown() {
    let dir = tempfile::tempdir().unwrap();
    let options = || LogOptions::new(dir.path(), origin(), key(), clock());
    let log = AuditLog::open(options()).unwrap();
    let n_notes = LATEST as u64 * 2 + 1;
    for _ in 0..n_notes {
        log.record_all(vec![draft(0), draft(1)]).await.unwrap();
        log.keep_checkpoint(&log.sign(&log.tree()).unwrap()).unwrap();
    }
    let size = |note: &CheckpointNote| note.checkpoint().head.size;
    let sizes = |log: &AuditLog| -> Vec<u64> {
        read(log.dir()).unwrap().unwrap().iter().map(|(_, note)| size(note)).collect()
    };
    let kept = sizes(&log);
    // Of the older ones, the last before each multiple of 1024 entries; and where the newest begin.
    let first_of_latest = (n_notes - LATEST as u64 + 1) * 2;
    let mut expected: Vec<u64> = vec![1022];
    expected.extend((1..first_of_latest / 1024).map(|n| n * 1024 + 1022));
    expected.retain(|size| *size < first_of_latest);
    expected.extend((first_of_latest / 2..=n_notes).map(|n| n * 2));
    assert_eq!(kept, expected);
    assert_eq!(log.latest_checkpoint().as_ref().map(size), Some(n_notes * 2));
    // It goes on behind the new file's end.
    log.record(draft(2)).await.unwrap();
    log.keep_checkpoint(&log.sign(&log.tree()).unwrap()).unwrap();
    assert_eq!(sizes(&log).len(), kept.len() + 1);
    let (folder, segment) = (log.dir().to_owned(), "00000000000000000000.seg");
    drop(log);
    // A rewriting that never came to its end is passed over.
    fs::write(folder.join("checkpoints.tmp"), b"half").unwrap();
    let log = AuditLog::open(options()).unwrap();
    assert_eq!(log.latest_checkpoint().as_ref().map(size), Some(n_notes * 2 + 1));
    drop(log);
    let bytes = fs::read(folder.join(segment)).unwrap();
    let mut frames = Frames::new(&bytes);
    for _ in 0..100 {
        assert!(matches!(frames.step(), Step::Payload(_)));
    }
    let n_bytes = usize::try_from(frames.offset()).unwrap();
    fs::write(folder.join(segment), &bytes[..n_bytes]).unwrap();
    let Err(OpenLogError::Contradicted { contradiction, .. }) = AuditLog::open(options()) else {
        panic!("it was put back");
    };
    assert_eq!(contradiction, Contradiction::RolledBack { n_entries: 100, size: 1022 });
}
