//! Programs that are killed without a word while they make a backup, put one back, or migrate a store: nothing that was whole before is lost, nothing
//! that is not whole has a name, and the next run completes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use brag_tests::{federation::PATIENCE, processes::Programs};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::backup::{AGENCY, Site, text};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(1);

fn program(name: &str) -> PathBuf {
    let captured = std::env::temp_dir();
    Programs::beside_this(captured).unwrap().path(name)
}

fn spawn(name: &str, words: &[&str]) -> Child {
    Command::new(program(name))
        .args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Runs a program and kills it once `is_there` says so; whether it was killed, or had ended by itself.
async fn killed(name: &str, words: &[&str], is_there: impl Fn() -> bool) -> bool {
    let mut child = spawn(name, words);
    let watched = async {
        loop {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            if is_there() {
                child.kill().await.unwrap();
                return true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(PATIENCE, watched).await.expect("it neither ended nor came so far")
}

async fn run(name: &str, words: &[&str]) -> Option<i32> {
    let ended = tokio::time::timeout(PATIENCE * 2, spawn(name, words).wait_with_output()).await;
    ended.unwrap().unwrap().status.code()
}

fn n_bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Files below a folder.
fn n_files(folder: &Path) -> usize {
    let Ok(items) = fs::read_dir(folder) else { return 0 };
    items.flatten().map(|item| if item.path().is_dir() { n_files(&item.path()) } else { 1 }).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_killed_leaves_the_former_one_whole_and_the_next_one_is_made() {
    let mut site = Site::new().await;
    site.rated().await;
    site.fill(2_000_000);
    site.federation.stop_node(AGENCY).await;
    let (file, config) = (site.file("night.backup"), site.federation.node_config_file(AGENCY));
    let partial = site.file("night.backup.partial");
    let words = ["backup", "--to", text(&file), "--config", text(&config)];
    assert_eq!(run("agency-node", &words).await, Some(0));
    let key = site.file("recovery.key");
    let verify = ["backup", "verify", text(&file), "--recovery-key", text(&key)];
    let mut n_killed = 0;
    for at in [0, 100_000, 500_000, 1_000_000, 1_500_000] {
        // What the run before has left is none of this one's.
        let _ = fs::remove_file(&partial);
        n_killed += u32::from(
            killed("agency-node", &words, || partial.exists() && n_bytes(&partial) >= at).await,
        );
        assert_eq!(run("agency-node", &verify).await, Some(0), "the one of the name is whole");
    }
    assert!(n_killed > 0, "it was to be killed in its middle");
    assert_eq!(run("agency-node", &words).await, Some(0));
    assert!(!partial.exists());
    assert_eq!(run("agency-node", &verify).await, Some(0));
    // The node has lost nothing by it, and its log is in order.
    site.federation.start_node(AGENCY).await;
    site.rated().await;
    site.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_killed_has_put_nothing_there_and_the_next_one_completes() {
    let site = Site::new().await;
    site.rated().await;
    site.fill(2_000_000);
    site.backup().await;
    let (file, key, into) = (site.file("data.backup"), site.file("recovery.key"), site.file("new"));
    let beside = site.file("new.restoring");
    let keys = site.file("keys.backup");
    let words = [
        "restore",
        text(&file),
        "--recovery-key",
        text(&key),
        "--enquiry-keys",
        text(&keys),
        "--into",
        text(&into),
    ];
    let mut n_killed = 0;
    for at in [1, 4, 8, 12, 16, 20] {
        if killed("agency-node", &words, || n_files(&beside) >= at).await {
            n_killed += 1;
            assert!(!into.exists(), "it has its name only when it is whole");
        } else {
            assert!(into.join("agency-node.toml").exists());
            fs::remove_dir_all(&into).unwrap();
        }
    }
    assert!(n_killed > 0, "it was to be killed in its middle");
    assert_eq!(run("agency-node", &words).await, Some(0));
    assert!(!beside.exists());
    let log = into.join("data/log");
    assert_eq!(run("agency-node", &["log", "verify", text(&log.join("1"))]).await, Some(0));
    site.federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_is_killed_goes_on_and_every_record_is_migrated_once() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("store");
    assert_eq!(run("crash", &["fill", text(&dir)]).await, Some(0));
    assert_ne!(run("crash", &["check-migrated", text(&dir)]).await, Some(0), "the check can fail");
    let mut n_killed = 0;
    for n_lines in [1, 2, 4] {
        let mut child = spawn("crash", &["migrate", text(&dir)]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut n_seen = 0;
        while n_seen < n_lines && lines.next_line().await.unwrap().is_some() {
            n_seen += 1;
        }
        if n_seen == n_lines && child.try_wait().unwrap().is_none() {
            n_killed += 1;
        }
        child.kill().await.unwrap();
    }
    assert!(n_killed > 0, "it was to be killed in its middle");
    assert_eq!(run("crash", &["migrate", text(&dir)]).await, Some(0));
    assert_eq!(run("crash", &["check-migrated", text(&dir)]).await, Some(0));
}
