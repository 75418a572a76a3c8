use std::{fs, path::Path, sync::Arc, time::Duration};

use super::*;
use crate::{
    audit::{
        AuditLog, LogOptions,
        checkpoints::Contradiction,
        command::{self, LogCommand, VerifyArgs},
        entry::Entry,
        fixtures::{draft, key},
        log::{LogError, also_noting, noting},
        storage::FaultSwitch,
        verify_dir,
    },
    time::{SettableClock, SignedDuration},
    tlog::Hash,
};

fn origin(shard: &str) -> Origin {
    Origin::new("example", "CSC".parse().unwrap(), shard).unwrap()
}

fn clock(at: &str) -> Arc<SettableClock> {
    Arc::new(SettableClock::at(at.parse().unwrap()))
}

fn options(logs: &Path, clock: &Arc<SettableClock>) -> LogOptions {
    let shard = shard::current(logs).unwrap();
    LogOptions::new(logs, origin(&shard), key(), Arc::clone(clock) as _)
        .a_shard_each_year()
        .back_off(Duration::from_millis(1), Duration::from_millis(5))
}

/// As if witnesses had cosigned all of it.
fn witnessed(log: &AuditLog) {
    log.keep_checkpoint(&log.sign(&log.tree()).unwrap()).unwrap();
}

/// Waits until this shard is written. A write that finds the year over is answered before the shards follow each other.
async fn follows(log: &AuditLog, shard: &str) {
    while log.origin().shard() != shard {
        tokio::task::yield_now().await;
    }
}

/// A log that has begun its second shard, with two entries of callers in the first and one in the second.
async fn turned(logs: &Path) -> Arc<SettableClock> {
    let clock = clock("2027-06-01T00:00:00Z");
    let log = AuditLog::open(options(logs, &clock)).unwrap();
    log.record(draft(0)).await.unwrap();
    witnessed(&log);
    clock.advance(SignedDuration::from_hours(24 * 400));
    log.record(draft(1)).await.unwrap();
    follows(&log, "2").await;
    log.record(draft(2)).await.unwrap();
    assert_eq!((log.origin().shard(), log.n_entries()), ("2", 5));
    clock
}

/// Every shard in order, and each continues the one before, as `log verify` sees it.
fn verified(logs: &Path) -> serde_json::Value {
    let args = VerifyArgs {
        dir: logs.to_owned(),
        policy: None,
        witness: Vec::new(),
        complete: false,
        key: Some(key().verifying_key()),
        key_file: None,
        origin: None,
        every_signature: false,
        json: true,
    };
    let mut out = Vec::new();
    let code = command::run(&LogCommand::Verify(args), &mut out).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(code, command::DONE, "{document:#}");
    document
}

fn read(logs: &Path) -> Vec<Entry> {
    shard::history(&logs.join(shard::current(logs).unwrap())).unwrap().map(Result::unwrap).collect()
}

fn counts(logs: &Path) -> Vec<u64> {
    let ours = read(logs).into_iter().filter(|entry| entry.action == Action::RateAnswered);
    ours.map(|entry| entry.count.unwrap()).collect()
}

#[tokio::test]
async fn a_running_log_begins_a_shard_with_the_year_and_refuses_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock("2027-12-31T23:59:59Z");
    let log = AuditLog::open(options(dir.path(), &clock)).unwrap();
    for count in 0..3 {
        let recorded = log.record(draft(count)).await.unwrap();
        assert_eq!((recorded.seq(), recorded.number()), (count, count));
    }
    let (before, old) = (log.tree(), log.sign(&log.tree()).unwrap());
    witnessed(&log);
    clock.advance(SignedDuration::from_secs(1));
    // Many at once, while the shards follow each other.
    let calls = (3..200).map(|count| {
        let log = log.clone();
        tokio::spawn(async move { log.record(draft(count)).await.unwrap().number() })
    });
    let mut numbers: Vec<u64> =
        futures::future::join_all(calls).await.into_iter().map(Result::unwrap).collect();
    follows(&log, "2").await;
    log.record(draft(200)).await.unwrap();

    assert_eq!((log.dir(), log.origin().shard()), (dir.path().join("2").as_path(), "2"));
    assert!(log.is_available());
    let entries = read(dir.path());
    assert!(entries.iter().enumerate().all(|(at, entry)| entry.seq == at as u64));
    let mut found = counts(dir.path());
    found.sort_unstable();
    assert_eq!(found, (0..=200).collect::<Vec<_>>());
    // Each was told the number under which it stands, through both shards.
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 197);
    let all = entries.iter().filter(|entry| entry.action == Action::RateAnswered);
    let (first, last) = (numbers.first().unwrap(), numbers.last().unwrap());
    let at: Vec<u64> = all.map(|entry| entry.seq).filter(|n| n >= first && n <= last).collect();
    assert_eq!(at, numbers);

    // A tree of the old shard is signed for under the old shard's name.
    assert_eq!(log.sign(&before).unwrap(), old);
    assert_eq!(*old.checkpoint().origin, *"example/CSC/1");
    let new = log.sign(&log.tree()).unwrap();
    assert_eq!(*new.checkpoint().origin, *"example/CSC/2");
    assert_eq!(log.n_vouched(&new), log.n_entries());
    log.keep_checkpoint(&old).unwrap();
    log.keep_checkpoint(&new).unwrap();
    drop(log);
    let document = verified(dir.path());
    assert_eq!(document["shards"][1]["follows"], "continues", "{document:#}");

    // It goes on in the new shard, and does not turn again in the same year.
    let log = AuditLog::open(options(dir.path(), &clock)).unwrap();
    assert_eq!(log.record(draft(201)).await.unwrap().number(), entries.len() as u64);
    assert_eq!(shard::every(dir.path()).unwrap().len(), 2);
}

#[tokio::test]
async fn a_program_that_was_down_at_the_turn_begins_the_shard_once_witnesses_have_seen_the_old_one()
{
    let dir = tempfile::tempdir().unwrap();
    let clock = clock("2027-06-01T00:00:00Z");
    AuditLog::open(options(dir.path(), &clock)).unwrap().record(draft(0)).await.unwrap();
    clock.advance(SignedDuration::from_hours(24 * 400));
    let log = AuditLog::open(options(dir.path(), &clock)).unwrap();
    // It may have been put back from a copy; nobody has been asked yet.
    log.record(draft(1)).await.unwrap();
    assert_eq!(log.origin().shard(), "1");
    witnessed(&log);
    // Behind this one the shard is closed, and the next begun.
    log.record(draft(2)).await.unwrap();
    follows(&log, "2").await;
    assert_eq!(log.record(draft(3)).await.unwrap().number(), 5);
    assert_eq!(log.origin().shard(), "2");
    drop(log);
    let entries = read(dir.path());
    let actions: Vec<_> = entries.iter().map(|entry| entry.action).collect();
    use Action::{RateAnswered, ShardClosed, ShardContinued};
    let turn = [ShardClosed, ShardContinued];
    assert_eq!(actions, [&[RateAnswered; 3][..], &turn, &[RateAnswered]].concat());
    assert_eq!((entries[3].count, entries[4].count), (Some(2), Some(4)));
    verified(dir.path());
    // A third year.
    clock.advance(SignedDuration::from_hours(24 * 400));
    let log = AuditLog::open(options(dir.path(), &clock)).unwrap();
    witnessed(&log);
    log.record(draft(4)).await.unwrap();
    follows(&log, "3").await;
    assert_eq!(log.record(draft(5)).await.unwrap().number(), 9);
    assert_eq!(log.origin().shard(), "3");
    drop(log);
    assert_eq!(verified(dir.path())["shards"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn without_the_option_a_shard_outlives_its_year() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock("2027-12-31T23:59:59Z");
    let log = LogOptions::new(dir.path(), origin("1"), key(), Arc::clone(&clock) as _);
    let log = AuditLog::open(log).unwrap();
    log.record(draft(0)).await.unwrap();
    clock.advance(SignedDuration::from_hours(24 * 400));
    assert_eq!(log.record(draft(1)).await.unwrap().seq(), 1);
    assert_eq!(log.origin().shard(), "1");
}

/// The disk fails, or the program ends, at each operation of the turn in turn. Nothing acknowledged is lost, what was not is not there
/// twice, and the next start makes up what is missing.
#[tokio::test]
async fn a_turn_that_is_cut_off_anywhere_leaves_the_old_shard_or_the_new_one() {
    let mut turned_at_once = 0;
    for n_operations in 0..24 {
        for goes_on in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let clock = clock("2027-12-31T23:59:59Z");
            let switch = FaultSwitch::default();
            let options = options(dir.path(), &clock).faults(switch.clone());
            let log = AuditLog::open(options).unwrap();
            log.record(draft(0)).await.unwrap();
            witnessed(&log);
            clock.advance(SignedDuration::from_secs(1));
            switch.fail_after(n_operations);
            let mut acknowledged = vec![0];
            for count in 1..4 {
                match log.record(draft(count)).await {
                    Ok(_) => acknowledged.push(count),
                    Err(error) => assert_eq!(error, LogError::Unavailable),
                }
            }
            if acknowledged.len() == 4 {
                turned_at_once += 1;
            }
            switch.heal();
            if goes_on {
                log.availability().wait_for(|available| *available).await.unwrap();
                log.record(draft(4)).await.unwrap();
                acknowledged.push(4);
            }
            drop(log);
            let log = AuditLog::open(self::options(dir.path(), &clock)).unwrap();
            witnessed(&log);
            log.record(draft(5)).await.unwrap();
            follows(&log, "2").await;
            log.record(draft(6)).await.unwrap();
            acknowledged.extend([5, 6]);
            drop(log);
            // What nobody was told of may stand there too, once.
            let mut found = counts(dir.path());
            assert!(found.is_sorted_by(|one, next| one < next), "{found:?}");
            found.retain(|count| acknowledged.contains(count));
            assert_eq!(found, acknowledged, "{n_operations} {goes_on}");
            verified(dir.path());
        }
    }
    assert!(turned_at_once > 0, "the last of these have no fault");
}

/// What a crash between two steps leaves: an empty new folder, with or without its names.
#[tokio::test]
async fn an_empty_next_shard_behind_a_closed_one_is_begun_when_the_log_is_opened() {
    for files in [&["lock"][..], &["lock", "log.pub"], &["lock", "log.pub", "origin"]] {
        let dir = tempfile::tempdir().unwrap();
        let clock = turned(dir.path()).await;
        for file in fs::read_dir(dir.path().join("2")).unwrap() {
            let name = file.unwrap().file_name();
            if !files.contains(&name.to_str().unwrap()) {
                fs::remove_file(dir.path().join("2").join(name)).unwrap();
            }
        }
        let log = AuditLog::open(options(dir.path(), &clock)).unwrap();
        assert_eq!((log.origin().shard(), log.n_entries()), ("2", 4));
        drop(log);
        assert_eq!(verified(dir.path())["shards"][1]["follows"], "continues");
    }
}

#[tokio::test]
async fn a_former_shard_that_was_put_back_is_found_by_the_first_entry_of_the_next() {
    let dir = tempfile::tempdir().unwrap();
    turned(dir.path()).await;
    let segment = dir.path().join("1/00000000000000000000.seg");
    let bytes = fs::read(&segment).unwrap();
    let mut frames = crate::audit::frame::Frames::new(&bytes);
    frames.step();
    let one_entry = usize::try_from(frames.offset()).unwrap();
    fs::write(&segment, &bytes[..one_entry]).unwrap();
    // With its checkpoints, so that only the next shard remembers.
    fs::remove_file(dir.path().join("1/checkpoints.log")).unwrap();
    let public = key().verifying_key();
    assert_eq!(verify_dir(&dir.path().join("1"), &public, &origin("1")).unwrap().n_entries, 1);
    let args = VerifyArgs {
        dir: dir.path().to_owned(),
        policy: None,
        witness: Vec::new(),
        complete: false,
        key: Some(public),
        key_file: None,
        origin: None,
        every_signature: false,
        json: false,
    };
    let mut out = Vec::new();
    let code = command::run(&LogCommand::Verify(args), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(code, command::NOT_VERIFIED, "{text}");
    assert!(text.contains("NOT WHAT IT WAS: its first entry names other entries"), "{text}");
}

#[tokio::test]
async fn a_condemned_log_does_not_become_another_by_a_turn() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock("2027-12-31T23:59:59Z");
    let log = AuditLog::open(options(dir.path(), &clock)).unwrap();
    log.record(draft(0)).await.unwrap();
    log.condemn(Contradiction::Rewritten { size: 1 });
    clock.advance(SignedDuration::from_secs(1));
    assert_eq!(log.record(draft(1)).await, Err(LogError::Unavailable));
    assert_eq!(log.origin().shard(), "1");
}

#[tokio::test]
async fn what_a_call_recorded_is_found_in_its_own_shard_whichever_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock("2027-12-31T00:00:00Z");
    let log = AuditLog::open(options(dir.path(), &clock)).unwrap();
    let mut noted = noting(log.record(draft(0))).await.1;
    witnessed(&log);
    clock.advance(SignedDuration::from_hours(48));
    noted.extend(noting(log.record_all(vec![draft(1), draft(2)])).await.1);
    follows(&log, "2").await;
    noted.extend(noting(log.record(draft(3))).await.1);
    assert_eq!(
        noted.iter().map(|one| (one.base, one.seq)).collect::<Vec<_>>(),
        [(0, 0), (0, 2), (4, 1)]
    );
    for one in &noted {
        let shard = log.shard_behind(one.base).unwrap();
        let head = shard.tree().head();
        let proof = shard.tree().prove_inclusion(one.seq, head.size).unwrap();
        head.check_inclusion(one.seq, Hash::of_leaf(&one.json), &proof).unwrap();
        assert_eq!(Entry::decode(&one.json).unwrap().seq, one.seq);
    }
    assert!(log.shard_behind(3).is_none());
    // What a task of its own records is noted when it is handed on.
    let (_, handed_on) = noting(async {
        let apart = tokio::spawn({
            let log = log.clone();
            async move { noting(log.record(draft(4))).await.1 }
        });
        also_noting(apart.await.unwrap());
    })
    .await;
    assert_eq!(handed_on.len(), 1);
    let (_, none) = noting(async {}).await;
    assert_eq!(none, []);
}
