//! What is kept of news, and how they read.

use brag_common::{secret::SecretBytes, time::Timestamp};

use super::*;

fn store(folder: &std::path::Path) -> Store {
    let (data, keys) = (folder.join("data"), folder.join("keys"));
    std::fs::create_dir_all(&data).unwrap();
    Store::open(&data, &keys, &SecretBytes::new([7; 32])).unwrap()
}

fn record(action: usize) -> NewsRecord {
    let at = Timestamp::from_second(i64::try_from(action).unwrap()).unwrap();
    let news = News::new(NewsKind::ActionPlanned, at, &format!("A-{action}"), None).unwrap();
    NewsRecord { news, received_at: at }
}

fn abouts(store: &Store) -> Vec<String> {
    store.news().unwrap().iter().map(|(_, record)| record.news.about().to_owned()).collect()
}

#[test]
fn the_same_news_are_kept_once_and_beyond_the_bound_the_oldest_of_the_enquiry_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let (store, first, second) =
        (store(folder.path()), "e1".parse().unwrap(), "e2".parse().unwrap());
    keep(&store, &second, &record(0)).unwrap();
    for action in 0..=MAX_OF_ENQUIRY {
        for _ in 0..2 {
            keep(&store, &first, &record(action)).unwrap();
        }
    }
    let kept = abouts(&store);
    assert_eq!(kept.len(), MAX_OF_ENQUIRY + 1);
    assert_eq!(kept[0], "A-1", "the oldest of e1 is gone");
    assert_eq!(kept.last().unwrap(), "A-0", "e2 keeps its own");
}

#[test]
fn an_enquiry_of_which_something_is_kept_always_has_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let enquiry = "e1".parse().unwrap();
    assert!(has_room(&store, &enquiry).unwrap());
    keep(&store, &enquiry, &record(0)).unwrap();
    assert!(has_room(&store, &enquiry).unwrap());
}
