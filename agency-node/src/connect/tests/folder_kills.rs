//! Files in a folder, and a kill before every step.

use brag_common::time::Timestamp;

use super::*;
use crate::connect::{config::FolderConfig, folder::Folder};

const HOUSING: &str = "[person]\nid = \"REF\"\ngiven = \"NAME\"\nborn = { field = \"DOB\", date = \"%d.%m.%Y\" }\n\
    [[entry]]\nid = \"REF\"\nentry = { text = \"n{REF}\" }\nwhen = [{ field = \"NOTE\", present = true }]\n\
    category = { value = \"C33\" }\ntext = \"NOTE\"\n";

fn config(ground: &Ground, extra: &str) -> FolderConfig {
    toml::from_str(&format!("path = \"{}\"\n{extra}", ground.path("").display())).unwrap()
}

fn folder(ground: &Ground, extra: &str, toml: Option<&str>) -> Folder {
    let config = config(ground, extra);
    Folder::open(&config, toml.map(mapping), options(), &ground.shared_clock()).unwrap()
}

/// More rows than two batches have; every hundredth has a bad date.
fn tenants() -> String {
    let row = |n: usize| {
        let day = if n % 100 == 99 { "MARKER" } else { "04.03.1992" };
        format!("T{n},Nadia{n},{day},Note {n}\n")
    };
    format!("REF,NAME,DOB,NOTE\n{}", (0..450).map(row).collect::<String>())
}

/// What an undisturbed run leaves: the records, and the reject report.
fn undisturbed() -> ((Vec<Vec<u8>>, usize), String) {
    let ground = Ground::new();
    ground.write("tenants.csv", &tenants());
    let (report, done) = ground.bring(&mut folder(&ground, "", Some(HOUSING)));
    done.unwrap();
    assert_eq!((report.rows.new, report.rows.rejected, report.files), (892, 8, 1));
    assert_eq!(ground.told(), [892]);
    let list = fs::read_to_string(ground.path("done/tenants.csv.rejects.csv")).unwrap();
    (ground.records(), list)
}

#[test]
fn a_kill_before_any_step_loses_nothing_and_the_next_run_completes() {
    let (records, list) = undisturbed();
    // Of a person who was rejected the entry is too: nobody of that id is known.
    assert_eq!(list.lines().count(), 1 + 8);
    assert!(!list.contains("MARKER") && !list.contains("T99"), "{list}");
    let kills = [
        (Some(Step::WriteReport), 9),
        (Some(Step::NameReport), 9),
        (Some(Step::MoveFile), 9),
        (None, 0),
        (None, 1),
        (None, 2),
    ];
    for (step, after) in kills {
        let ground = Ground::new();
        ground.write("tenants.csv", &tenants());
        let mut source = folder(&ground, "", Some(HOUSING));
        source.killed_before = step;
        let stopped = ground.bring(&mut Cut { source, after }).1;
        let stopped = matches!(stopped, Err(RunFailure::Source(SourceFailure::Stopping)));
        assert!(stopped && ground.path("tenants.csv").exists(), "{step:?} {after}");
        // What the log was told before the kill is told; the rest follows.
        let (report, done) = ground.bring(&mut folder(&ground, "", Some(HOUSING)));
        done.unwrap();
        assert_eq!(report.rows.new + report.rows.unchanged, 892, "{step:?} {after}");
        assert_eq!(ground.told().iter().sum::<u64>(), 892, "{step:?} {after}");
        assert_eq!(ground.records(), records, "{step:?} {after}");
        assert_eq!(ground.names("done"), ["tenants.csv", "tenants.csv.rejects.csv"]);
        let again = fs::read_to_string(ground.path("done/tenants.csv.rejects.csv")).unwrap();
        assert_eq!(again, list);
        assert_eq!(ground.names(""), ["done"]);
    }
}

#[test]
fn a_file_that_is_still_being_written_or_is_none_is_left_alone() {
    let ground = Ground::new();
    for name in ["a.csv.part", "b.tmp", ".c.csv", "d.filepart"] {
        ground.write(name, "REF,NAME,DOB,NOTE\n1,A,,\n");
    }
    let outside = ground.dir.path().join("outside.csv");
    fs::write(&outside, "REF,NAME,DOB,NOTE\n1,A,,\n").unwrap();
    std::os::unix::fs::symlink(&outside, ground.path("link.csv")).unwrap();
    fs::create_dir(ground.path("folder.csv")).unwrap();
    ground.bring(&mut folder(&ground, "", Some(HOUSING))).1.unwrap();
    assert_eq!((ground.n_people(), ground.names("").len()), (0, 6));

    ground.write("e.csv", "REF,NAME,DOB,NOTE\n1,A,,\n");
    let written =
        std::os::unix::fs::MetadataExt::ctime(&fs::metadata(ground.path("e.csv")).unwrap());
    let written = Timestamp::from_second(written).unwrap();
    for (after, n_people) in [(-86_400, 0), (-5, 0), (29, 0), (30, 1)] {
        let now = written.checked_add(SignedDuration::from_secs(after)).unwrap();
        let clock: SharedClock = Arc::new(SettableClock::at(now));
        let found = config(&ground, "settled = \"30s\"\n");
        let mut source = Folder::open(&found, Some(mapping(HOUSING)), options(), &clock).unwrap();
        ground.bring(&mut source).1.unwrap();
        assert_eq!(ground.n_people(), n_people, "{after}");
    }
}

#[test]
fn a_file_that_grows_while_it_is_read_stays_and_is_read_again() {
    let ground = Ground::new();
    ground.write("tenants.csv", &tenants());
    ground.write("zoe.csv", "REF,NAME,DOB,NOTE\nZ,Zoe,,\n");
    struct Growing<'a>(Folder, &'a Ground, bool);
    impl Source for Growing<'_> {
        fn repeats(&self) -> Order {
            self.0.repeats()
        }
        fn next(&mut self) -> Result<Option<Batch>, SourceFailure> {
            let batch = self.0.next();
            if !std::mem::replace(&mut self.2, true) {
                self.1.write("tenants.csv", &format!("{}X,Late,,\n", tenants()));
            }
            batch
        }
        fn stored(&mut self, rejects: &[Reject]) -> Result<(), SourceFailure> {
            self.0.stored(rejects)
        }
    }
    let mut source = Growing(folder(&ground, "", Some(HOUSING)), &ground, false);
    let failed = ground.bring(&mut source).1.unwrap_err().to_string();
    assert!(
        failed.contains("written while it was read") && !failed.contains("tenants"),
        "{failed}"
    );
    assert!(ground.path("tenants.csv").exists() && ground.path("done/zoe.csv").exists());
    ground.bring(&mut folder(&ground, "", Some(HOUSING))).1.unwrap();
    assert!(ground.path("done/tenants.csv").exists());
    // The four of the bad dates are nobody.
    assert_eq!(ground.n_people(), 450 - 4 + 2);
}

#[test]
fn a_file_without_a_column_of_the_mapping_is_refused_with_the_reason_and_the_others_are_taken() {
    let ground = Ground::new();
    ground.write("a.csv", "REF,FORENAME,DOB\n1,MARKER,\n");
    ground.write("b.csv", "");
    ground.write("c.csv", "REF,NAME,DOB,NOTE\n1,Nadia,,\n");
    let (report, done) = ground.bring(&mut folder(&ground, "", Some(HOUSING)));
    done.unwrap();
    assert_eq!(
        (report.files, report.rows.new, ground.names("done")),
        (1, 1, vec!["c.csv".to_owned()])
    );
    assert_eq!(
        ground.names("refused"),
        ["a.csv", "a.csv.rejects.csv", "b.csv", "b.csv.rejects.csv"]
    );
    let why = fs::read_to_string(ground.path("refused/a.csv.rejects.csv")).unwrap();
    assert!(why.contains("NAME, NOTE") && !why.contains("MARKER"), "{why}");
}

#[test]
fn a_second_file_of_a_name_does_not_replace_the_first() {
    let ground = Ground::new();
    for note in ["one", "two"] {
        ground.write("a.csv", &format!("REF,NAME,DOB,NOTE\n1,Nadia,,{note}\n2,Bad,x,\n"));
        ground.bring(&mut folder(&ground, "", Some(HOUSING))).1.unwrap();
    }
    let expected = ["a.csv", "a.csv.2", "a.csv.2.rejects.csv", "a.csv.rejects.csv"];
    assert_eq!(ground.names("done"), expected);
}

#[test]
fn without_a_mapping_files_are_in_the_layouts_of_an_import() {
    let ground = Ground::new();
    ground.write("a.csv", "record,id,given\nperson,1,Theo\nperson,2,\n");
    ground.write(
        "b.jsonl",
        "{\"record\":\"entry\",\"id\":\"1\",\"category\":\"C33\",\"text\":\"x\"}\n",
    );
    let (report, done) = ground.bring(&mut folder(&ground, "", None));
    done.unwrap();
    assert_eq!((report.rows.new, report.rows.rejected, report.files), (2, 1, 2));
    let list = fs::read_to_string(ground.path("done/a.csv.rejects.csv")).unwrap();
    assert!(list.starts_with("file,line,field,reason\n\"a.csv\",3,given,"), "{list}");
}

#[test]
fn other_delimiters_and_long_rows_of_many_columns_are_read() {
    let ground = Ground::new();
    let many = (0..300).map(|n| format!("C{n}")).collect::<Vec<_>>().join(";");
    let values = "v;".repeat(299);
    ground.write("a.csv", &format!("REF;NAME;DOB;NOTE;{many}\n1;\"Nadia; Jane\";;;{values}v\n"));
    let (report, done) = ground.bring(&mut folder(&ground, "delimiter = \";\"\n", Some(HOUSING)));
    done.unwrap();
    assert_eq!((report.rows.new, report.rows.rejected), (1, 0), "{report:?}");
}

#[test]
fn of_a_bulk_export_people_are_taken_before_what_is_said_about_them() {
    let ground = Ground::new();
    let subject = "\"subject\":{\"reference\":\"Patient/p1\"}";
    ground.write(
        "Encounter.000.ndjson",
        &format!("{{\"resourceType\":\"Encounter\",\"id\":\"e1\",{subject},\"period\":{{\"start\":\"2026-05-01\"}}}}\n{{\"resourceType\":\"Observation\"}}\nnot json MARKER\n"),
    );
    ground.write(
        "Patient.000.ndjson",
        "{\"resourceType\":\"Patient\",\"id\":\"p1\",\"name\":[{\"family\":\"Pell\",\"given\":[\"Theo\"]}],\"birthDate\":\"2016-03-04\"}\n",
    );
    let config = config(&ground, "layout = \"fhir\"\n");
    let mapping = mapping::Mapping::fhir_r4(None).unwrap();
    let mut source =
        Folder::open(&config, Some(mapping), options(), &ground.shared_clock()).unwrap();
    let (report, done) = ground.bring(&mut source);
    done.unwrap();
    assert_eq!(
        (report.rows.new, report.rows.rejected, report.passed_over),
        (2, 1, 1),
        "{report:?}"
    );
    assert_eq!((report.rejects[0].file, report.rejects[0].line), (2, 3));
    assert!(!is_empty(&ground.path("done")));
}
