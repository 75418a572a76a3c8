use std::collections::HashMap;

use brag_common::{rating::AnalysisBounds, secret::SecretBytes};

use super::*;
use crate::import::{Format, ImportOptions, ImportSummary, Mode, Put, RejectWriter, import};

const MARKER: &str = "MARKER-relapse-in-may";

fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(
        &folder.path().join("data"),
        &folder.path().join("keys"),
        &SecretBytes::new([7; 32]),
    )
    .unwrap()
}

fn options(mode: Mode) -> ImportOptions {
    ImportOptions {
        format: Format::Csv,
        mode,
        file: "people.csv".to_owned(),
        bounds: AnalysisBounds { min_chars: 5, max_chars: 600 },
        categories: None,
    }
}

fn run(store: &Store, mode: Mode, file: &[u8]) -> (ImportSummary, Vec<String>) {
    let mut sink = StoreSink::new(store.clone()).unwrap();
    let mut rejects = RejectWriter::new(Vec::new());
    let summary = import(file, &options(mode), &mut sink, &mut rejects, &mut |_| ()).unwrap();
    sink.flush().unwrap();
    let list = String::from_utf8(rejects.into_inner()).unwrap();
    (summary, list.lines().skip(1).map(ToOwned::to_owned).collect())
}

fn load(store: &Store, file: &str) -> ImportSummary {
    let (summary, rejects) = run(store, Mode::Load, file.as_bytes());
    assert_eq!(rejects, Vec::<String>::new());
    summary
}

/// Everything that is stored, by place.
fn contents(store: &Store) -> HashMap<Vec<u8>, Vec<u8>> {
    store
        .durable()
        .scan(b"")
        .map(|row| row.map(|(place, value)| (place, value.to_vec())).unwrap())
        .collect()
}

const fn counts(n_new: u64, n_changed: u64, n_unchanged: u64, n_rejected: u64) -> ImportSummary {
    let n_read = n_new + n_changed + n_unchanged + n_rejected;
    ImportSummary { n_read, n_new, n_changed, n_unchanged, n_rejected }
}

#[test]
fn bad_rows_are_rejected_with_line_and_reason_the_rest_loads_and_again_changes_nothing() {
    let mut file = b"record,id,given,family,born\nperson,1,Nadia,Brookes,1992-03-04\n".to_vec();
    file.extend_from_slice(b"person,2,Th\xffo,Pell,2016-03-04\n"); // 3: a bad byte
    file.extend_from_slice(b"person,3,Isla,Pell,2016-02-30\n"); // 4: a bad date
    file.extend_from_slice(b"person,1,Grace,Adeyemi,1971-08-09\n"); // 5: a duplicate id
    file.extend_from_slice(b"person,4,Omar\n"); // 6: missing columns
    file.extend_from_slice(b"person,5,");
    file.extend(std::iter::repeat_n(b'x', 10_000_000)); // 7: 10 MB
    file.extend_from_slice(b",Pell,2016-03-04\nperson,6,Omar,Hale,1988\n");

    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let (summary, rejects) = run(&store, Mode::Load, &file);
    assert_eq!(summary, counts(2, 0, 0, 5));
    let starts = [
        "\"people.csv\",3,given,\"not UTF-8",
        "\"people.csv\",4,born,",
        "\"people.csv\",5,id,\"an earlier row",
        "\"people.csv\",6,,\"the row has 3 fields",
        "\"people.csv\",7,given,\"the field is too long",
    ];
    assert_eq!(rejects.len(), starts.len());
    for (reject, start) in rejects.iter().zip(starts) {
        assert!(reject.starts_with(start), "{reject}");
    }
    let before = contents(&store);
    assert_eq!(run(&store, Mode::Load, &file), (counts(0, 0, 2, 5), rejects));
    assert_eq!(contents(&store), before);
    let found: Vec<String> = store.people().map(|person| person.unwrap().1.source_id).collect();
    assert_eq!(found, ["1", "6"]);
}

const FILE: &str = "record,id,given,family,entry,category,text,flags,handling_code,colour,analysis,rated_by,rated_at\n\
person,1,Nadia,Brookes,,,,,,,,,\n\
entry,1,,,9,C33,MARKER-relapse-in-may,third_party,,,,,\n\
rating,1,,,,,,,,amber,Missed four.,j.okafor,2027-02-09T08:40:00Z\n";

#[test]
fn an_entry_that_could_not_be_released_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let long = "y".repeat(brag_common::release::MAX_DETAIL_BYTES + 1);
    let file = format!("{FILE}entry,1,,,10,C33,{long},,,,,,\n");
    let (summary, rejects) = run(&store, Mode::Load, file.as_bytes());
    assert_eq!(summary, counts(3, 0, 0, 1));
    assert!(rejects[0].starts_with("\"people.csv\",5,text,\"the field is too long"), "{rejects:?}");
}

#[test]
fn a_dry_run_stores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    assert_eq!(run(&store, Mode::DryRun, FILE.as_bytes()).0, counts(3, 0, 0, 0));
    assert!(contents(&store).is_empty());
}

#[test]
fn rows_are_found_where_the_node_looks_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    assert_eq!(load(&store, FILE), counts(3, 0, 0, 0));
    let record = store.record_of("1").unwrap().unwrap();
    assert_eq!(store.person(record).unwrap().unwrap().source_id, "1");
    let entries = store.entries(record, "C33".parse().unwrap()).unwrap();
    assert_eq!(entries.len(), 1);
    assert!(entries[0].third_party && !entries[0].restricted && !entries[0].handling_code);
    assert_eq!(store.standing_rating(record).unwrap().unwrap().analysis, "Missed four.");
    assert_eq!(load(&store, FILE), counts(0, 0, 3, 0));
}

#[test]
fn neither_places_nor_values_show_a_text() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    load(&store, FILE);
    for (place, value) in contents(&store) {
        for bytes in [&place, &value] {
            assert!(!String::from_utf8_lossy(bytes).contains(MARKER));
        }
    }
}

#[test]
fn a_changed_text_or_marking_changes_and_a_moved_entry_leaves_its_category() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    load(&store, FILE);
    let record = store.record_of("1").unwrap().unwrap();
    let in_category = |code: &str| store.entries(record, code.parse().unwrap()).unwrap();
    assert_eq!(load(&store, &FILE.replace("in-may", "in-june")), counts(0, 1, 2, 0));
    assert_eq!(load(&store, &FILE.replace("in-may", "in-june")), counts(0, 0, 3, 0));
    let restricted = FILE.replace("in-may", "in-june").replace("third_party", "restricted");
    assert_eq!(load(&store, &restricted), counts(0, 1, 2, 0));
    assert!(in_category("C33")[0].restricted);
    assert_eq!(load(&store, &restricted.replace("C33", "C01")), counts(0, 1, 2, 0));
    assert_eq!((in_category("C33").len(), in_category("C01").len()), (0, 1));
    assert_eq!(load(&store, &restricted.replace("C33", "C01")), counts(0, 0, 3, 0));
}

#[test]
fn a_run_that_was_cut_off_is_completed_and_no_number_means_two_people() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let people = |n: usize| {
        let rows: String = (0..n).map(|id| format!("person,{id},Given{id},Family\n")).collect();
        format!("record,id,given,family\n{rows}")
    };
    // A kill drops what is still held back: here everything behind the last whole piece.
    {
        let mut sink = StoreSink::new(store.clone()).unwrap();
        let file = people(1500);
        let mut rejects = RejectWriter::new(Vec::new());
        import(file.as_bytes(), &options(Mode::Load), &mut sink, &mut rejects, &mut |_| ())
            .unwrap();
        assert_eq!(store.people().count(), 1000);
    }
    // The worst moment: the number of a person is durable and the person is not.
    store.durable().load([(store.source_place("1000"), b"900001")]).unwrap();
    assert_eq!(load(&store, &people(1500)), counts(500, 0, 1000, 0));
    let records: Vec<u64> = store.people().map(|person| person.unwrap().0).collect();
    let ids: std::collections::HashSet<String> =
        store.people().map(|person| person.unwrap().1.source_id).collect();
    assert_eq!((records.len(), ids.len()), (1500, 1500));
    for id in 0..1500 {
        let record = store.record_of(&id.to_string()).unwrap().unwrap();
        assert_eq!(store.person(record).unwrap().unwrap().source_id, id.to_string());
    }
}

#[test]
fn what_is_held_back_is_seen_by_the_rows_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = StoreSink::new(open(&folder)).unwrap();
    let identity = brag_common::matching::identity::Identity::new(Default::default()).unwrap();
    let item = ImportItem::Person { source_id: "1".parse().unwrap(), identity: Box::new(identity) };
    assert_eq!(sink.put(item.clone()).unwrap(), Put::New);
    assert!(sink.knows(&"1".parse().unwrap()).unwrap());
    assert_eq!(sink.put(item).unwrap(), Put::Unchanged);
}
