use std::{fs, sync::atomic::AtomicUsize};

use super::*;

const CACHE: u64 = 1 << 20;

fn key() -> SecretBytes<32> {
    SecretBytes::new([5; 32])
}

fn open(dir: &Path) -> Durable {
    Durable::open(dir, &key(), CACHE).unwrap()
}

fn put(store: &Durable, place: &[u8], value: &[u8]) {
    let mut batch = Batch::new();
    batch.put(place, value);
    store.commit(batch).unwrap();
}

fn value(store: &Durable, place: &[u8]) -> Option<Vec<u8>> {
    store.get(place).unwrap().map(|value| value.to_vec())
}

#[test]
fn refuses_a_wrong_key() {
    let dir = tempfile::tempdir().unwrap();
    put(&open(dir.path()), b"a", b"1");
    let opened = Durable::open(dir.path(), &SecretBytes::new([6; 32]), CACHE);
    assert!(matches!(opened, Err(StoreError::WrongKey)));
    assert_eq!(value(&open(dir.path()), b"a"), Some(b"1".to_vec()));
}

#[test]
fn opens_after_an_opening_that_was_killed_or_found_its_disk_full_while_it_wrote_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    put(&open(dir.path()), b"a", b"1");
    // The snapshot of before is there, as sled leaves it: removed when the new one is whole.
    put(&open(dir.path()), b"b", b"2");
    let unfinished = dir.path().join("snap.7FFFFFFFFFFFFFFF.generating");
    for bytes in [&b""[..], &b"half of it"[..], &[7; 4096][..]] {
        fs::write(&unfinished, bytes).unwrap();
        let store = open(dir.path());
        assert!(!unfinished.exists());
        assert_eq!(value(&store, b"a"), Some(b"1".to_vec()));
        assert_eq!(value(&store, b"b"), Some(b"2".to_vec()));
    }
}

#[test]
fn refuses_a_store_that_another_handle_has_open_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let error = Durable::open(dir.path(), &key(), CACHE).unwrap_err();
    assert_eq!(error.code(), "store_locked");
    assert!(error.to_string().contains("another process is using the store"));
    drop(first);
    open(dir.path());
}

#[test]
fn refuses_a_later_schema_an_earlier_one_and_records_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let place = b"mschema";
    let later = store.inner.keys.seal(place, &7_u32.to_be_bytes()).unwrap();
    store.inner.db.insert(place, later).unwrap();
    drop(store);
    let opened = Durable::open(dir.path(), &key(), CACHE);
    assert!(matches!(opened, Err(StoreError::SchemaNewer { found: 7 })));

    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let earlier = store.inner.keys.seal(place, &1_u32.to_be_bytes()).unwrap();
    store.inner.db.insert(place, earlier).unwrap();
    drop(store);
    let opened = Durable::open(dir.path(), &key(), CACHE);
    assert!(matches!(opened, Err(StoreError::SchemaOlder { found: 1 })));

    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, b"a", b"1");
    store.inner.db.remove(place).unwrap();
    drop(store);
    let opened = Durable::open(dir.path(), &key(), CACHE);
    assert!(matches!(opened, Err(StoreError::Corrupt { .. })));
}

#[test]
fn refuses_a_value_moved_to_another_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, b"a", b"1");
    let sealed = store.inner.db.get(b"da").unwrap().unwrap();
    store.inner.db.insert(b"db", sealed).unwrap();
    assert_eq!(store.get(b"b").unwrap_err().code(), "store_corrupt");
    assert_eq!(store.scan(b"").filter(Result::is_err).count(), 1);
    assert_eq!(value(&store, b"a"), Some(b"1".to_vec()));
}

#[test]
fn a_required_absence_refuses_the_second_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let once = |value: &[u8]| {
        let mut batch = Batch::new();
        batch.require_absent("request").put("request", value).put("other", value);
        store.commit(batch)
    };
    once(b"first").unwrap();
    assert!(matches!(once(b"second"), Err(StoreError::AlreadyPresent)));
    assert_eq!(value(&store, b"other"), Some(b"first".to_vec()));
    assert!(store.is_available());
}

#[test]
fn of_many_at_the_same_time_one_finds_the_place_absent() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let n_won: usize = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8_u8)
            .map(|caller| {
                let store = store.clone();
                scope.spawn(move || {
                    let mut batch = Batch::new();
                    batch.require_absent("request").put("request", [caller]);
                    usize::from(store.commit(batch).is_ok())
                })
            })
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    assert_eq!(n_won, 1);
}

#[test]
fn refuses_large_values_and_large_batches_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut batch = Batch::new();
    batch.put("a", "1").put("b", vec![0; MAX_VALUE_BYTES]);
    assert_eq!(store.commit(batch).unwrap_err().code(), "store_value_too_large");
    let mut batch = Batch::new();
    for i in 0..=MAX_BATCH_CHANGES {
        batch.put(i.to_be_bytes(), "1");
    }
    assert_eq!(store.commit(batch).unwrap_err().code(), "store_batch_too_large");
    let mut batch = Batch::new();
    batch.put("a", "1").put(vec![0; MAX_PLACE_BYTES], "1");
    assert_eq!(store.commit(batch).unwrap_err().code(), "store_place_too_long");
    assert_eq!(store.keys(b"").count(), 0);
}

#[test]
fn the_largest_values_stay_in_the_file_that_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let largest = vec![7; MAX_VALUE_BYTES - 1];
    store.load((0..100_u8).map(|i| ([i], &largest))).unwrap();
    let mut batch = Batch::new();
    (0..100_u8).for_each(|i| {
        batch.put([i, 1], largest.clone());
    });
    store.commit(batch).unwrap();
    let long = [7; MAX_PLACE_BYTES - 3];
    store.load((0..2_000_u16).map(|i| ([&long[..], &i.to_be_bytes()].concat(), [0]))).unwrap();
    let n_blobs = fs::read_dir(dir.path().join("blobs")).map_or(0, Iterator::count);
    assert_eq!(n_blobs, 0);
}

#[test]
fn a_commit_is_synced_before_it_returns_and_a_failed_sync_fails_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let n_syncs = Arc::new(AtomicUsize::new(0));
    let fails = Arc::new(AtomicBool::new(false));
    let sync: Sync = {
        let (n_syncs, fails) = (Arc::clone(&n_syncs), Arc::clone(&fails));
        Box::new(move |file| {
            if fails.load(Ordering::SeqCst) {
                return Err(io::Error::other("made to fail"));
            }
            n_syncs.fetch_add(1, Ordering::SeqCst);
            file.sync_data()
        })
    };
    let store = Durable::open_with(dir.path(), &key(), CACHE, None, sync).unwrap();
    let before = n_syncs.load(Ordering::SeqCst);
    assert_eq!(before, 1, "the schema is durable when the store is open");
    put(&store, b"a", b"1");
    assert_eq!(n_syncs.load(Ordering::SeqCst), before + 1);

    fails.store(true, Ordering::SeqCst);
    let mut batch = Batch::new();
    batch.put("b", "2");
    assert_eq!(store.commit(batch).unwrap_err().code(), "store_io");
    fails.store(false, Ordering::SeqCst);
    assert_eq!(store.get(b"b").unwrap_err().code(), "store_failed");
    assert_eq!(store.commit(Batch::new()).unwrap_err().code(), "store_failed");
    assert_eq!(store.load([("c", "3")]).unwrap_err().code(), "store_failed");
    assert!(store.scan(b"").all(|item| item.is_err()) && !store.is_available());
}

#[test]
fn values_do_not_show_in_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let marker = b"Nadia-Brookes-marker";
    let store = open(dir.path());
    for place in 0..50_u8 {
        put(&store, &[place], marker);
    }
    drop(store);
    let mut n_files = 0;
    for file in fs::read_dir(dir.path()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            n_files += 1;
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(marker.len()).any(|window| window == marker);
            assert!(!found, "{}", path.display());
        }
    }
    assert!(n_files >= 2);
}

#[test]
fn everything_is_there_after_it_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/store");
    let store = open(&path);
    let mut batch = Batch::new();
    batch.put("a/1", "one").put("a/2", "two").put("b/1", "three").put("gone", "x").remove("gone");
    store.commit(batch).unwrap();
    let blinded = store.blind("nhs", b"9434765919");
    drop(store);

    let store = open(&path);
    assert_eq!(value(&store, b"a/2"), Some(b"two".to_vec()));
    assert_eq!(value(&store, b"gone"), None);
    assert!(store.contains(b"b/1").unwrap() && !store.contains(b"b").unwrap());
    let scanned: Vec<_> =
        store.scan(b"a/").map(|item| item.map(|(place, value)| (place, value.to_vec()))).collect();
    let scanned: Vec<_> = scanned.into_iter().map(Result::unwrap).collect();
    let pair = |place: &str, value: &str| (place.as_bytes().to_vec(), value.as_bytes().to_vec());
    assert_eq!(scanned, [pair("a/1", "one"), pair("a/2", "two")]);
    assert_eq!(store.keys(b"").count(), 3, "what the store keeps for itself does not show");
    assert_eq!(store.blind("nhs", b"9434765919"), blinded);
}

#[test]
fn a_load_puts_every_record_and_a_second_load_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let records = || (0..12_000_u32).map(|i| (i.to_be_bytes(), i.to_le_bytes()));
    assert_eq!(store.load(records()).unwrap(), 12_000);
    assert_eq!(store.load(records()).unwrap(), 12_000);
    assert_eq!(store.keys(b"").count(), 12_000);
    assert_eq!(value(&store, &7_u32.to_be_bytes()), Some(7_u32.to_le_bytes().to_vec()));
    assert!(store.size_on_disk().unwrap() > 12_000);
}

#[test]
fn debug_shows_neither_key_nor_values() {
    let dir = tempfile::tempdir().unwrap();
    let mut batch = Batch::new();
    batch.put("place", "secret");
    let shown = format!("{:?} {batch:?}", open(dir.path()));
    assert!(!shown.contains("secret") && !shown.contains("place"));
}
