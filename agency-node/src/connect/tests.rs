//! What connectors bring into a real store, from real files, a real database and a real server, and what a kill leaves of it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use brag_common::{
    secret::SecretBytes,
    time::{SettableClock, SharedClock, SignedDuration},
};

use super::{folder::Step, *};
use crate::import::{Entry, Format, ImportOptions, Mode};

mod fhir_server;
mod folder_kills;
mod postgresql_server;

/// A node's store, a folder for files, and what the log was told.
pub(super) struct Ground {
    dir: tempfile::TempDir,
    pub(super) store: Store,
    pub(super) clock: Arc<SettableClock>,
    pub(super) told: Mutex<Vec<u64>>,
    pub(super) name: ConnectorName,
}

impl Ground {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        let (data, keys) = (dir.path().join("data"), dir.path().join("keys"));
        let store = Store::open(&data, &keys, &SecretBytes::new([7; 32])).unwrap();
        Self {
            store,
            // After every file of this machine was written, and while certificates of tests hold.
            clock: Arc::new(SettableClock::at("2040-01-01T00:00:00Z".parse().unwrap())),
            told: Mutex::default(),
            name: "housing".parse().unwrap(),
            dir,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("in").join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Names in a folder, sorted.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let Ok(items) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        let name = |item: fs::DirEntry| item.file_name().into_string().unwrap();
        let mut names: Vec<String> = items.map(|item| name(item.unwrap())).collect();
        names.sort();
        names
    }

    pub(super) fn shared_clock(&self) -> SharedClock {
        Arc::clone(&self.clock) as SharedClock
    }

    pub(super) fn bring(&self, source: &mut dyn Source) -> (RunReport, Result<(), RunFailure>) {
        self.bring_and_tell(source, &|count| {
            self.told.lock().unwrap().push(count);
            Ok(())
        })
    }

    pub(super) fn bring_and_tell(
        &self,
        source: &mut dyn Source,
        record: &dyn Fn(u64) -> Result<(), String>,
    ) -> (RunReport, Result<(), RunFailure>) {
        let (clock, stop) = (self.shared_clock(), CancellationToken::new());
        let on = Run { store: &self.store, clock: &clock, name: &self.name, stop: &stop, record };
        run(&on, source)
    }

    pub(super) fn told(&self) -> Vec<u64> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    pub(super) fn state(&self) -> ConnectorState {
        ConnectorState::read(&self.store, &self.name).unwrap()
    }

    /// Who is stored, as the store has it, and how many entries: record numbers may differ from run to run.
    pub(super) fn records(&self) -> (Vec<Vec<u8>>, usize) {
        let all = self.store.durable().scan(b"person/").map(|row| row.unwrap().1.to_vec());
        let mut people: Vec<Vec<u8>> = all.collect();
        people.sort();
        (people, self.store.durable().keys(b"entry/").count())
    }

    pub(super) fn n_people(&self) -> usize {
        self.records().0.len()
    }
}

pub(super) fn options() -> ImportOptions {
    ImportOptions {
        format: Format::Csv,
        mode: Mode::Load,
        file: String::new(),
        bounds: brag_common::rating::AnalysisBounds { min_chars: 5, max_chars: 300 },
        categories: Some(["C30", "C33", "C35"].map(|code| code.parse().unwrap()).into()),
    }
}

pub(super) fn mapping(toml: &str) -> mapping::Mapping {
    toml::from_str(toml).unwrap()
}

/// A source whose program is killed before it gives its nth batch.
pub(super) struct Cut<S> {
    pub(super) source: S,
    pub(super) after: usize,
}

impl<S: Source> Source for Cut<S> {
    fn repeats(&self) -> Order {
        self.source.repeats()
    }

    fn next(&mut self) -> Result<Option<Batch>, SourceFailure> {
        if self.after == 0 {
            return Err(SourceFailure::Stopping);
        }
        self.after -= 1;
        self.source.next()
    }

    fn stored(&mut self, rejects: &[Reject]) -> Result<(), SourceFailure> {
        self.source.stored(rejects)
    }
}

/// Batches that a test wrote down.
struct Given(Vec<Batch>, Order);

impl Source for Given {
    fn repeats(&self) -> Order {
        self.1
    }

    fn next(&mut self) -> Result<Option<Batch>, SourceFailure> {
        Ok((!self.0.is_empty()).then(|| self.0.remove(0)))
    }

    fn stored(&mut self, _: &[Reject]) -> Result<(), SourceFailure> {
        Ok(())
    }
}

fn entry(id: &str, text: &str) -> Row {
    let entry = Entry {
        person: "1".parse().unwrap(),
        entry: Some(id.parse().unwrap()),
        category: "C33".parse().unwrap(),
        text: text.into(),
        flags: Vec::new(),
        handling_code: None,
    };
    Row { line: 1, item: Ok(ImportItem::Entry(entry)) }
}

fn person(id: &str, given: &str) -> Row {
    let row = serde_json::json!({ "I": id, "G": given });
    let mut rows = mapping("[person]\nid = \"I\"\ngiven = \"G\"\n").rows(1, &row, &options());
    rows.remove(0)
}

fn batch(rows: Vec<Row>, mark: &str) -> Batch {
    let mark = Some(("query".to_owned(), mark.to_owned()));
    Batch { rows, begins: true, file: 1, mark, ..Batch::default() }
}

#[test]
fn while_the_log_can_not_be_written_the_number_waits_and_is_told_at_the_next_run() {
    let ground = Ground::new();
    let mut source =
        Given(vec![batch(vec![person("1", "Theo"), entry("9", "a")], "5")], Order::Changes);
    let (report, failed) = ground.bring_and_tell(&mut source, &|_| Err("closed".to_owned()));
    assert!(matches!(failed, Err(RunFailure::Log(_))), "{failed:?}");
    assert_eq!(report.failure.as_deref(), Some("the audit log can not be written"));
    assert_eq!((ground.state().unrecorded, ground.told().len()), (2, 0));
    let (_, done) = ground.bring(&mut Given(Vec::new(), Order::Changes));
    done.unwrap();
    assert_eq!((ground.told(), ground.state().unrecorded), (vec![2], 0));
    // Nothing was read and nothing is owed: nothing is told.
    ground.bring(&mut Given(Vec::new(), Order::Changes)).1.unwrap();
    assert!(ground.told().is_empty());
}

#[test]
fn an_entry_of_nobody_is_rejected_and_kept_with_its_reason_alone() {
    let ground = Ground::new();
    let mut source = Given(vec![batch(vec![entry("9", "MARKER")], "5")], Order::Changes);
    let (report, done) = ground.bring(&mut source);
    done.unwrap();
    assert_eq!((report.rows.rejected, report.rejects[0].field.as_str()), (1, "id"));
    let kept = format!("{:?}", ground.state());
    assert!(kept.contains("no person with this id") && !kept.contains("MARKER"), "{kept}");
    assert_eq!(ground.told(), [0]);
}

#[test]
fn the_later_of_two_rows_counts_also_when_the_batch_is_read_again() {
    let ground = Ground::new();
    let rows = || vec![person("1", "Theo"), entry("9", "first"), entry("9", "second")];
    for told in [3, 1] {
        let mut source = Given(vec![batch(rows(), "5")], Order::Changes);
        ground.bring(&mut source).1.unwrap();
        // Read again, the first row differs from what is stored and the second puts it right: more is told, never less.
        assert_eq!(ground.told(), [told]);
        let mut again = Given(vec![batch(vec![entry("9", "second")], "5")], Order::Changes);
        assert_eq!(ground.bring(&mut again).0.rows.unchanged, 1);
        assert_eq!(ground.told(), [0]);
    }
}

#[test]
fn people_who_change_wait_for_an_enrolment_and_what_changes_meanwhile_waits_on() {
    let ground = Ground::new();
    let to_enrol = || state::to_enrol(&ground.store).unwrap();
    let bring = |rows| {
        ground.bring(&mut Given(vec![batch(rows, "5")], Order::Changes)).1.unwrap();
    };
    assert_eq!(to_enrol(), None);
    bring(vec![person("1", "Theo")]);
    let first = to_enrol().unwrap();
    bring(vec![person("1", "Theo"), entry("9", "a")]);
    assert_eq!(to_enrol(), Some(first), "nobody has changed");
    bring(vec![person("1", "Theodore")]);
    state::enrolled(&ground.store, first).unwrap();
    let second = to_enrol().unwrap();
    assert_ne!(second, first, "somebody changed while the enrolment ran");
    state::enrolled(&ground.store, second).unwrap();
    assert_eq!(to_enrol(), None);
}

#[test]
fn a_quiet_run_does_not_hide_what_is_still_to_be_mended() {
    let ground = Ground::new();
    ground.bring(&mut Given(vec![batch(vec![entry("9", "a")], "5")], Order::Changes)).1.unwrap();
    ground.clock.advance(SignedDuration::from_mins(15));
    ground.bring(&mut Given(Vec::new(), Order::Changes)).1.unwrap();
    let last = ground.state().last.unwrap();
    assert_eq!((last.rows.rejected, last.at), (1, "2040-01-01T00:15:00Z".parse().unwrap()));
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}
