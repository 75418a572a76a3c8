use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use proptest::prelude::*;

use super::*;
use crate::durable::Batch;

const CACHE: u64 = 1 << 20;
const KINDS: &[&str] = &["cell", "enquiry"];

fn key() -> SecretBytes<32> {
    SecretBytes::new([5; 32])
}

fn scope(name: &str) -> EnquiryRef {
    name.parse().unwrap()
}

/// A data folder with its folder of keys beside it.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn keys(&self) -> PathBuf {
        self.0.path().join("keys")
    }

    fn open(&self) -> Durable {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> Result<Durable, StoreError> {
        self.try_open_at(&self.data())
    }

    fn try_open_at(&self, data: &Path) -> Result<Durable, StoreError> {
        let scopes = Scopes::open(data, &self.keys(), KINDS).unwrap();
        Durable::open_scoped(data, &key(), CACHE, scopes)
    }

    /// A copy of the data, without the keys.
    fn backup(&self, name: &str) -> PathBuf {
        let to = self.0.path().join(name);
        fs::create_dir(&to).unwrap();
        for item in fs::read_dir(self.data()).unwrap() {
            let item = item.unwrap();
            if item.path().is_file() {
                fs::copy(item.path(), to.join(item.file_name())).unwrap();
            }
        }
        to
    }
}

fn put(store: &Durable, place: &str, value: &str) -> Result<(), StoreError> {
    let mut batch = Batch::new();
    batch.put(place, value);
    store.commit(batch)
}

fn value(store: &Durable, place: &str) -> Option<String> {
    let value = store.get(place.as_bytes()).unwrap()?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

fn erase(store: &Durable, name: &str) {
    store.begin_erasure(&scope(name), b"note").unwrap();
    store.finish_erasure(&scope(name)).unwrap();
}

#[test]
fn an_erased_scope_opens_neither_from_the_store_nor_from_an_earlier_copy_and_others_do() {
    let site = Site::new();
    let store = site.open();
    for name in ["e1", "e10", "e2"] {
        put(&store, &format!("enquiry/{name}"), "Ann").unwrap();
        put(&store, &format!("cell/{name}/POL"), "Red").unwrap();
    }
    put(&store, "person/1", "own").unwrap();
    drop(store);
    let copy = site.backup("copy");

    let store = site.open();
    erase(&store, "e1");
    assert!(!store.has_key(&scope("e1")).unwrap());
    let gone = |store: &Durable| {
        assert_eq!(value(store, "enquiry/e1"), None);
        assert_eq!(value(store, "cell/e1/POL"), None);
        assert!(!store.contains(b"enquiry/e1").unwrap());
        for (place, value) in [("enquiry/e10", "Ann"), ("cell/e2/POL", "Red"), ("person/1", "own")]
        {
            assert_eq!(self::value(store, place).as_deref(), Some(value), "{place}");
        }
        let found: Vec<_> = store.scan(b"enquiry/").map(|row| row.unwrap().0).collect();
        assert_eq!(found, [b"enquiry/e10".to_vec(), b"enquiry/e2".to_vec()]);
        let found: Vec<_> = store.keys(b"cell/").map(Result::unwrap).collect();
        assert_eq!(found, [b"cell/e10/POL".to_vec(), b"cell/e2/POL".to_vec()]);
    };
    gone(&store);
    drop(store);
    gone(&site.open());
    // The copy still has the values; nothing opens them.
    let copy = site.try_open_at(&copy).unwrap();
    gone(&copy);
    assert_eq!(copy.count_in(&scope("e1")).unwrap(), [("cell", 1), ("enquiry", 1)]);
}

#[test]
fn nothing_is_put_into_an_erased_scope_again() {
    let site = Site::new();
    let store = site.open();
    put(&store, "enquiry/e1", "Ann").unwrap();
    store.begin_erasure(&scope("e1"), b"").unwrap();
    assert!(matches!(put(&store, "enquiry/e1", "Ben"), Err(StoreError::Erased)));
    assert_eq!(value(&store, "enquiry/e1").as_deref(), Some("Ann"), "until it is finished");
    store.finish_erasure(&scope("e1")).unwrap();
    drop(store);
    let store = site.open();
    assert!(store.is_erased(&scope("e1")));
    assert!(matches!(put(&store, "cell/e1/POL", "Red"), Err(StoreError::Erased)));
    assert!(store.scopes().unwrap().is_empty(), "no key is made for it");
    put(&store, "enquiry/e2", "Ben").unwrap();
    assert!(store.is_available());
}

#[test]
fn an_erasure_that_was_cut_off_shows_and_is_finished_after_a_restart() {
    let site = Site::new();
    let store = site.open();
    put(&store, "enquiry/e1", "Ann").unwrap();
    store.begin_erasure(&scope("e1"), b"why").unwrap();
    drop(store);
    // Cut off before the key was destroyed, and after.
    for destroyed in [false, true] {
        let store = site.open();
        let begun = store.erasures_begun().unwrap();
        assert_eq!((&begun[0].0, begun[0].1.as_slice()), (&scope("e1"), b"why".as_slice()));
        if destroyed {
            KeyFolder::open(&site.keys()).unwrap().destroy(&scope("e1")).unwrap();
        }
    }
    let store = site.open();
    store.finish_erasure(&scope("e1")).unwrap();
    assert!(store.erasures_begun().unwrap().is_empty());
    assert!(store.count_in(&scope("e1")).unwrap().is_empty());
    // What was not begun is not finished: the note, and so the entry in the log, comes first.
    put(&store, "enquiry/e2", "Ben").unwrap();
    assert!(store.finish_erasure(&scope("e2")).is_err());
    assert_eq!(value(&store, "enquiry/e2").as_deref(), Some("Ben"));
}

#[test]
fn refuses_a_folder_of_keys_that_is_empty_or_anothers() {
    let site = Site::new();
    put(&site.open(), "enquiry/e1", "Ann").unwrap();
    let away = site.0.path().join("away");
    fs::rename(site.keys(), &away).unwrap();
    assert!(matches!(site.try_open(), Err(StoreError::OtherKeyFolder)));
    // Another store takes an empty folder, and no store takes that one's.
    let other = site.try_open_at(&site.0.path().join("other")).unwrap();
    put(&other, "enquiry/e9", "Cy").unwrap();
    drop(other);
    assert!(matches!(site.try_open(), Err(StoreError::OtherKeyFolder)));
    let third = site.try_open_at(&site.0.path().join("third"));
    assert!(matches!(third, Err(StoreError::OtherKeyFolder)));
    fs::remove_dir_all(site.keys()).unwrap();
    fs::rename(&away, site.keys()).unwrap();
    assert_eq!(value(&site.open(), "enquiry/e1").as_deref(), Some("Ann"));
}

#[test]
fn refuses_a_folder_of_keys_within_the_data() {
    let site = Site::new();
    assert!(Scopes::open(&site.data(), &site.data().join("keys"), KINDS).is_err());
}

#[test]
fn a_person_can_say_that_the_keys_are_lost_and_the_store_goes_on_without_its_enquiries() {
    let site = Site::new();
    let store = site.open();
    put(&store, "enquiry/e1", "Ann").unwrap();
    put(&store, "person/1", "own").unwrap();
    drop(store);
    fs::remove_dir_all(site.keys()).unwrap();
    assert!(matches!(site.try_open(), Err(StoreError::OtherKeyFolder)));
    fs::write(site.keys().join("keys-are.lost"), b"").unwrap();
    let store = site.open();
    assert_eq!(value(&store, "enquiry/e1"), None);
    assert_eq!(value(&store, "person/1").as_deref(), Some("own"));
    drop(store);
    assert!(site.try_open().is_ok(), "it is said once");
}

#[test]
fn a_store_that_was_cut_off_when_it_was_made_opens() {
    let site = Site::new();
    drop(site.open());
    fs::remove_file(site.keys().join("store.mark")).unwrap();
    put(&site.open(), "enquiry/e1", "Ann").unwrap();
    assert_eq!(value(&site.open(), "enquiry/e1").as_deref(), Some("Ann"));
}

#[test]
fn keys_are_read_once_and_no_copy_of_the_data_has_one() {
    let site = Site::new();
    let store = site.open();
    for n in 0..20 {
        put(&store, "enquiry/e1", &n.to_string()).unwrap();
    }
    let names = KeyFolder::<EnquiryRef>::open(&site.keys()).unwrap().names().unwrap();
    assert_eq!(names, [scope("e1")]);
    let secret = fs::read(site.keys().join("e1")).unwrap();
    // While the program runs it needs the file no more: only the erasure reaches what it keeps in memory.
    fs::rename(site.keys().join("e1"), site.0.path().join("e1")).unwrap();
    assert_eq!(value(&store, "enquiry/e1").as_deref(), Some("19"));
    fs::rename(site.0.path().join("e1"), site.keys().join("e1")).unwrap();
    drop(store);
    for item in fs::read_dir(site.data()).unwrap() {
        let path = item.unwrap().path();
        if path.is_file() {
            let bytes = fs::read(path).unwrap();
            assert!(!bytes.windows(16).any(|part| part == &secret[..16]));
        }
    }
}

#[test]
fn the_stores_key_file_can_be_exchanged_and_scopes_open_and_are_erased_as_before() {
    use crate::{
        keyfile::{self, KeyKind},
        store_key,
    };
    let site = Site::new();
    let key_file = site.0.path().join("store.key");
    keyfile::write(&key_file, KeyKind::Store, &SecretBytes::new([7; 32])).unwrap();
    let open = || {
        let key = store_key::open(&site.data(), &key_file).unwrap();
        let scopes = Scopes::open(&site.data(), &site.keys(), KINDS).unwrap();
        Durable::open_scoped(&site.data().join("store"), &key, CACHE, scopes).unwrap()
    };
    let store = open();
    put(&store, "enquiry/e1", "Ann").unwrap();
    put(&store, "enquiry/e2", "Ben").unwrap();
    let rotated = store_key::rotate(&site.data(), &key_file).unwrap();
    rotated.former.iter().for_each(|former| fs::remove_file(former).unwrap());
    drop(store);
    let store = open();
    assert_eq!(value(&store, "enquiry/e1").as_deref(), Some("Ann"));
    erase(&store, "e1");
    drop(store);
    let store = open();
    assert_eq!(value(&store, "enquiry/e1"), None);
    assert_eq!(value(&store, "enquiry/e2").as_deref(), Some("Ben"));
}

#[test]
fn of_writers_and_an_erasure_at_the_same_time_nothing_is_readable_afterwards() {
    let site = Site::new();
    let store = site.open();
    put(&store, "enquiry/e1", "Ann").unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for writer in 0..4 {
            let (store, stop) = (store.clone(), &stop);
            threads.spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    match put(&store, &format!("cell/e1/{writer}"), "Red") {
                        Ok(()) | Err(StoreError::Erased) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        erase(&store, "e1");
        stop.store(true, Ordering::SeqCst);
    });
    assert!(store.count_in(&scope("e1")).unwrap().is_empty(), "nothing was left behind");
    assert!(store.scopes().unwrap().is_empty());
    drop(store);
    assert_eq!(site.open().scan(b"").count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_put_and_erased_exactly_the_erased_is_gone(
        steps in prop::collection::vec((0..4_u8, 0..6_u8, any::<bool>()), 1..40),
    ) {
        let site = Site::new();
        let mut store = site.open();
        let mut expected = std::collections::BTreeMap::new();
        let mut erased = BTreeSet::new();
        for (n, (enquiry, what, restart)) in steps.into_iter().enumerate() {
            let name = format!("e{enquiry}");
            if what == 0 {
                erase(&store, &name);
                erased.insert(name.clone());
                expected.retain(|place: &String, _| place.split('/').nth(1) != Some(&name));
            } else {
                let (place, text) = (format!("cell/{name}/{what}"), n.to_string());
                match put(&store, &place, &text) {
                    Ok(()) => _ = expected.insert(place, text),
                    Err(StoreError::Erased) => prop_assert!(erased.contains(&name)),
                    Err(error) => panic!("{error}"),
                }
            }
            if restart {
                drop(store);
                store = site.open();
            }
        }
        let found: std::collections::BTreeMap<String, String> = store
            .scan(b"")
            .map(|row| row.map(|(place, value)| {
                (String::from_utf8(place).unwrap(), String::from_utf8(value.to_vec()).unwrap())
            }))
            .collect::<Result<_, _>>()
            .unwrap();
        prop_assert_eq!(found, expected);
    }
}
