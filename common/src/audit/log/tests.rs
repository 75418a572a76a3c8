use std::{fs, sync::Arc, time::Duration};

use super::*;
use crate::audit::{
    chain::What,
    entry::{Action, Word},
    fixtures::{clock, draft, key, origin},
    frame,
    storage::FaultSwitch,
    verify::{Summary, entries, verify_dir},
};

fn options(dir: &Path) -> LogOptions {
    LogOptions::new(dir, origin(), key(), clock())
        .in_test_environment()
        .back_off(Duration::from_millis(1), Duration::from_millis(5))
}

fn verified(log: &AuditLog) -> Summary {
    verify_dir(log.dir(), log.verifying_key(), log.origin()).unwrap()
}

fn counts(log: &AuditLog) -> Vec<u64> {
    entries(log.dir()).unwrap().map(|entry| entry.unwrap().count.unwrap()).collect()
}

async fn mended(log: &AuditLog) {
    log.availability().wait_for(|available| *available).await.unwrap();
}

#[tokio::test]
async fn a_failed_sync_records_nothing_and_every_later_caller_is_refused_until_the_disk_heals() {
    let dir = tempfile::tempdir().unwrap();
    let switch = FaultSwitch::default();
    let log = AuditLog::open(options(dir.path()).faults(switch.clone())).unwrap();
    log.record(draft(0)).await.unwrap();

    switch.fail_syncs();
    for count in 1..4 {
        assert_eq!(log.record(draft(count)).await, Err(LogError::Unavailable));
        assert!(!log.is_available());
    }
    switch.heal();
    mended(&log).await;

    assert_eq!(log.record(draft(9)).await.unwrap().seq(), 1);
    assert_eq!(counts(&log), [0, 9]);
    assert_eq!(verified(&log).n_entries, 2);
}

#[tokio::test]
async fn a_full_disk_records_nothing_and_its_half_written_frame_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let switch = FaultSwitch::default();
    let log = AuditLog::open(options(dir.path()).faults(switch.clone())).unwrap();
    log.record(draft(0)).await.unwrap();
    switch.fail_writes();
    let waiting: Vec<_> = (1..6).map(|count| log.record(draft(count))).collect();
    for outcome in futures::future::join_all(waiting).await {
        assert_eq!(outcome, Err(LogError::Unavailable));
    }
    switch.heal();
    mended(&log).await;
    log.record(draft(7)).await.unwrap();
    assert_eq!(counts(&log), [0, 7]);
    assert_eq!(verified(&log).n_unfinished_bytes, 0);
}

#[tokio::test]
async fn a_failure_while_a_segment_begins_leaves_no_gap() {
    let dir = tempfile::tempdir().unwrap();
    let switch = FaultSwitch::default();
    let options = options(dir.path()).segment_bytes(1).faults(switch.clone());
    let log = AuditLog::open(options).unwrap();
    log.record(draft(0)).await.unwrap();
    switch.fail_syncs();
    log.record(draft(1)).await.unwrap_err();
    switch.heal();
    mended(&log).await;
    log.record(draft(2)).await.unwrap();
    log.record(draft(3)).await.unwrap();
    assert_eq!(counts(&log), [0, 2, 3]);
    assert_eq!(verified(&log).n_segments, 3);
}

#[tokio::test]
async fn refuses_an_oversized_entry_and_records_its_neighbours() {
    let dir = tempfile::tempdir().unwrap();
    let log = AuditLog::open(options(dir.path())).unwrap();
    let mut huge = draft(1);
    huge.obligations = vec!["x".repeat(64).parse::<Word>().unwrap(); 1000];
    let outcomes = futures::future::join3(
        log.record(draft(0)),
        log.record_all(vec![draft(1), huge]),
        log.record(draft(2)),
    );
    let (before, group, after) = outcomes.await;
    assert!(matches!(group, Err(LogError::TooLarge { n_bytes }) if n_bytes > 61_440));
    assert_eq!((before.unwrap().seq(), after.unwrap().seq()), (0, 1));
    assert_eq!(counts(&log), [0, 2]);
    let many = log.record_all(vec![draft(0); 1025]).await;
    assert_eq!(many, Err(LogError::TooMany { n_entries: 1025 }));
}

#[tokio::test]
async fn refuses_a_second_log_on_the_same_directory_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let log = AuditLog::open(options(dir.path())).unwrap();
    let second = AuditLog::open(options(dir.path()));
    assert!(matches!(second, Err(OpenLogError::Locked { .. })));
    log.record(draft(0)).await.unwrap();
    drop(log);
    let log = AuditLog::open(options(dir.path())).unwrap();
    assert_eq!(log.record(draft(1)).await.unwrap().seq(), 1);
}

#[tokio::test]
async fn cuts_a_torn_last_write_when_opened_and_refuses_damage_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = AuditLog::open(options(dir.path())).unwrap();
    log.record(draft(0)).await.unwrap();
    log.record_all(vec![draft(1), draft(2), draft(3)]).await.unwrap();
    let segment = log.dir().join("00000000000000000000.seg");
    drop(log);

    // Within the last frame, and at the border of each: a write is there whole or not at all.
    let whole = fs::read(&segment).unwrap();
    for n_bytes in [whole.len() - 5, whole.len() / 4 * 3, whole.len() / 2] {
        fs::write(&segment, &whole[..n_bytes]).unwrap();
        let log = AuditLog::open(options(dir.path())).unwrap();
        assert_eq!(counts(&log), [0]);
        assert_eq!(log.record(draft(4)).await.unwrap().seq(), 1);
    }

    let mut damaged = whole.clone();
    damaged[whole.len() / 5 * 2] ^= 1;
    fs::write(&segment, &damaged).unwrap();
    match AuditLog::open(options(dir.path())) {
        Err(OpenLogError::Damaged { fault, .. }) => {
            assert_eq!((fault.seq, fault.what), (1, What::Crc));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read(&segment).unwrap(), damaged, "a damaged log is not touched");
}

#[tokio::test]
async fn refuses_a_last_entry_that_another_key_signed() {
    let dir = tempfile::tempdir().unwrap();
    let log = AuditLog::open(options(dir.path())).unwrap();
    log.record_all(vec![draft(0), draft(1)]).await.unwrap();
    let segment = log.dir().join("00000000000000000000.seg");
    drop(log);
    let bytes = fs::read(&segment).unwrap();
    let mut forged = Vec::new();
    let mut frames = frame::Frames::new(&bytes);
    while let frame::Step::Payload(payload) = frames.step() {
        let mut payload = payload.to_vec();
        if let Some(last) = payload.last_mut().filter(|_| frames.offset() == bytes.len() as u64) {
            *last ^= 1;
        }
        frame::append(&mut forged, &payload);
    }
    fs::write(&segment, forged).unwrap();
    let opened = AuditLog::open(options(dir.path()));
    assert!(matches!(
        opened,
        Err(OpenLogError::Damaged { fault: Fault { seq: 1, what: What::Signature, .. }, .. })
    ));
}

#[tokio::test]
async fn a_dropped_call_gives_no_proof_and_leaves_the_log_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let log = AuditLog::open(options(dir.path())).unwrap();
    for count in 0..20 {
        let call = log.record(draft(count));
        // Polled once, so that it is queued, then dropped.
        let _ = futures::FutureExt::now_or_never(call);
    }
    log.record(draft(99)).await.unwrap();
    assert_eq!(counts(&log).last(), Some(&99));
    verified(&log);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_one_log_and_each_gets_its_own_number() {
    let dir = tempfile::tempdir().unwrap();
    let log = AuditLog::open(options(dir.path()).segment_bytes(1)).unwrap();
    log.record(draft(64)).await.unwrap();
    let calls = (0..64_u64).map(|count| {
        let log = log.clone();
        tokio::spawn(async move { log.record(draft(count)).await.unwrap() })
    });
    let recorded: Vec<_> = futures::future::join_all(calls).await;
    let written = counts(&log);
    for recorded in recorded {
        let recorded = recorded.unwrap();
        let seq = usize::try_from(recorded.seq()).unwrap();
        assert_eq!(Some(written[seq]), recorded.get().count);
    }
    let summary = verified(&log);
    // Each batch begins a segment here, however many callers it holds.
    assert_eq!((summary.n_entries, summary.n_segments > 1), (65, true));
}

#[tokio::test]
async fn a_recorded_decision_splits_into_a_recorded_permit_or_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let log = AuditLog::open(options(dir.path())).unwrap();
    let permit: Result<EntryDraft, EntryDraft> = Ok(draft(1));
    let permit = log.record(permit).await.unwrap().transpose().unwrap();
    assert_eq!((permit.seq(), permit.into_inner()), (0, draft(1)));
    let refusal: Result<EntryDraft, EntryDraft> = Err(EntryDraft::new(Action::RequestRefused));
    let refusal = log.record(refusal).await.unwrap().transpose().unwrap_err();
    assert_eq!((refusal.seq(), refusal.get().action), (1, Action::RequestRefused));
}

#[test]
fn the_handle_can_be_shared_and_what_is_recorded_can_not_be_copied() {
    static_assertions::assert_impl_all!(AuditLog: Clone, Send, Sync);
    static_assertions::assert_not_impl_any!(Recorded<Arc<u8>>: Clone, std::ops::DerefMut, Default);
}
