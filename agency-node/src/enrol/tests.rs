use brag_common::{
    id::AgencyId,
    matching::{
        identity::{BirthDate, Identity, IdentityParts, Name, NameKind},
        index::TokenIndex,
        keys::enrolment_keys,
        token::EpochSecret,
    },
    secret::SecretBytes,
};

use super::{kept::Pinned, people::digest, *};
use crate::store::{person_place, shapes::PersonRecord};

struct Fixture {
    folder: tempfile::TempDir,
    store: Store,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(
        &folder.path().join("data"),
        &folder.path().join("keys"),
        &SecretBytes::new([7; 32]),
    )
    .unwrap();
    Fixture { folder, store }
}

fn identity(given: &str) -> Identity {
    Identity::new(IdentityParts {
        names: vec![Name::new(NameKind::Current, given, "Brookes").unwrap()],
        birth: BirthDate::parse("1992-03-04").unwrap(),
        ..IdentityParts::default()
    })
    .unwrap()
}

fn put_person(store: &Store, record: u64, given: &str) {
    let person =
        PersonRecord { source_id: record.to_string(), identity: identity(given).canonical_bytes() };
    let mut change = crate::store::Change::new();
    change.put(&person_place(record), &person).unwrap();
    store.commit(change).unwrap();
}

fn secret(seed: u8, epoch: u64) -> EpochSecret {
    let agency: AgencyId = "CSC".parse().unwrap();
    EpochSecret::derive(&SecretBytes::new([seed; 32]), &agency, Epoch(epoch)).unwrap()
}

/// What the hub would have answered for one person.
fn answer(store: &Store, secret: &EpochSecret, epoch: u64, record: u64, given: &str) -> Answer {
    let identity = identity(given);
    let keys = enrolment_keys(&identity);
    let outputs = keys.iter().map(|key| secret.evaluate(key).unwrap()).collect();
    let people = vec![(record, digest(store, &identity.canonical_bytes()), keys.len())];
    let pinned = Pinned { epoch: Epoch(epoch), public_key: secret.public_key() };
    Answer { batch: Batch { keys, people }, pinned, outputs }
}

/// The records that the keys of a person hit.
fn hits(fixture: &Fixture, secret: &EpochSecret, epoch: u64, given: &str) -> Vec<u64> {
    let path = fixture.folder.path().join("tokens");
    kept::write_index(&fixture.store, &path, Epoch(epoch)).unwrap();
    let index = TokenIndex::open(&path).unwrap();
    let keys = enrolment_keys(&identity(given));
    let mut records: Vec<u64> = keys
        .iter()
        .flat_map(|key| index.lookup(&secret.evaluate(key).unwrap().tag).unwrap())
        .map(|(_, record)| record)
        .collect();
    records.sort_unstable();
    records.dedup();
    records
}

#[tokio::test]
async fn a_second_key_within_an_epoch_is_refused_and_nothing_of_it_is_kept() {
    let Fixture { store, .. } = &fixture();
    let mut kept = Kept::open(store).unwrap();
    assert!(take(store, &mut kept, answer(store, &secret(1, 1), 1, 1, "Nadia")).await.unwrap());
    let again = answer(store, &secret(2, 1), 1, 2, "Omar");
    let error = take(store, &mut kept, again).await.unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(EnrolFailure::SecondKey(Epoch(1)))), "{error}");
    // The pin is durable: another run refuses it too.
    let mut kept = Kept::open(store).unwrap();
    assert_eq!(kept.next_number(), 1);
    let error = take(store, &mut kept, answer(store, &secret(2, 1), 1, 2, "Omar")).await;
    assert!(error.is_err());
}

#[tokio::test]
async fn an_earlier_epoch_is_refused() {
    let Fixture { store, .. } = &fixture();
    let mut kept = Kept::open(store).unwrap();
    take(store, &mut kept, answer(store, &secret(1, 2), 2, 1, "Nadia")).await.unwrap();
    let error = take(store, &mut kept, answer(store, &secret(1, 1), 1, 1, "Nadia")).await;
    let error = error.unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(EnrolFailure::WentBack { .. })), "{error}");
}

#[tokio::test]
async fn a_later_epoch_starts_everything_again() {
    let fixture = fixture();
    let store = &fixture.store;
    put_person(store, 1, "Nadia");
    let mut kept = Kept::open(store).unwrap();
    take(store, &mut kept, answer(store, &secret(1, 1), 1, 1, "Nadia")).await.unwrap();
    let later = answer(store, &secret(1, 2), 2, 1, "Nadia");
    assert!(!take(store, &mut kept, later).await.unwrap());
    let mut kept = Kept::open(store).unwrap();
    assert_eq!((kept.pinned().unwrap().epoch, kept.next_number()), (Epoch(2), 0));
    assert!(hits(&fixture, &secret(1, 1), 1, "Nadia").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_done_is_not_read_again_until_they_change() {
    let fixture = fixture();
    let store = &fixture.store;
    put_person(store, 1, "Nadia");
    put_person(store, 2, "Omar");
    let mut kept = Kept::open(store).unwrap();
    take(store, &mut kept, answer(store, &secret(1, 1), 1, 1, "Nadia")).await.unwrap();
    let to_do = || {
        let (send, mut receive) = tokio::sync::mpsc::channel(4);
        let done = Kept::open(store).unwrap().done();
        let store = store.clone();
        let reading =
            std::thread::spawn(move || people::read_batches(&store, &done, &send).unwrap());
        let mut records = Vec::new();
        while let Some(batch) = receive.blocking_recv() {
            records.extend(batch.people.iter().map(|(record, ..)| *record));
        }
        reading.join().unwrap();
        records
    };
    assert_eq!(tokio::task::block_in_place(to_do), [2]);
    put_person(store, 1, "Grace");
    assert_eq!(tokio::task::block_in_place(to_do), [1, 2]);
}

#[tokio::test]
async fn the_index_holds_present_identities_only() {
    let fixture = fixture();
    let store = &fixture.store;
    let key = secret(1, 1);
    put_person(store, 1, "Nadia");
    let mut kept = Kept::open(store).unwrap();
    take(store, &mut kept, answer(store, &key, 1, 1, "Nadia")).await.unwrap();
    assert_eq!(hits(&fixture, &key, 1, "Nadia"), [1]);
    put_person(store, 1, "Grace");
    take(store, &mut kept, answer(store, &key, 1, 1, "Grace")).await.unwrap();
    assert!(hits(&fixture, &key, 1, "Nadia").is_empty());
    assert_eq!(hits(&fixture, &key, 1, "Grace"), [1]);
}
