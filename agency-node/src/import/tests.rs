use proptest::prelude::*;

use super::*;

const HEADER: &str = "record,id,given,family,other_names,born,sex,nhs,house,postcode,former_addresses,category,text,flags,handling_code,colour,analysis,tags,rated_by,rated_at\n";

fn options(format: Format) -> ImportOptions {
    ImportOptions {
        format,
        mode: Mode::Load,
        file: "people.csv".to_owned(),
        bounds: AnalysisBounds { min_chars: 5, max_chars: 300 },
        categories: Some(["C01", "C33"].map(|code| code.parse().unwrap()).into()),
    }
}

fn run(
    bytes: &[u8],
    options: &ImportOptions,
    sink: &mut MemorySink,
) -> (Result<ImportSummary, ImportFailure>, String) {
    let mut rejects = RejectWriter::new(Vec::new());
    let summary = import(bytes, options, sink, &mut rejects, &mut |_| {});
    (summary, String::from_utf8(rejects.into_inner()).unwrap())
}

fn load(text: &str, sink: &mut MemorySink) -> (ImportSummary, Vec<String>) {
    let format = if text.starts_with('{') { Format::Jsonl } else { Format::Csv };
    let (summary, rejects) = run(text.as_bytes(), &options(format), sink);
    // Line and field of each reject.
    let places = rejects.lines().skip(1).map(|line| {
        let mut parts = line.split(',').skip(1);
        format!("{} {}", parts.next().unwrap(), parts.next().unwrap())
    });
    (summary.unwrap(), places.collect())
}

fn counts(n_new: u64, n_changed: u64, n_unchanged: u64, n_rejected: u64) -> ImportSummary {
    let n_read = n_new + n_changed + n_unchanged + n_rejected;
    ImportSummary { n_read, n_new, n_changed, n_unchanged, n_rejected }
}

fn person(id: &str, given: &str, born: &str) -> String {
    format!("person,{id},{given},Pell,,{born},male,,3 Mill Lane,ZZ1 2AB,,,,,,,,,,\n")
}

/// A bad byte, a bad date, an id twice, too few fields and ten megabytes in one field reject their rows, and only those.
#[test]
fn bad_rows_are_rejected_with_line_and_reason_and_the_rest_loads() {
    let mut file = HEADER.as_bytes().to_vec();
    let mut add = |row: &[u8]| file.extend_from_slice(row);
    add(person("1", "Theo", "2016-03-04").as_bytes()); // line 2
    add(b"person,2,Is\xFFla,Pell,,,,,,,,,,,,,,,,\n");
    add(person("3", "Robin", "2016-02-30").as_bytes());
    add(person("1", "Moira", "1960-01-02").as_bytes()); // line 5
    add(b"person,4,Gareth,Pell\n");
    add(format!("person,5,\"{}\",Pell,,,,,,,,,,,,,,,,\n", "x\n".repeat(5_000_000)).as_bytes());
    add(person("6", "Nadia", "1992").as_bytes());
    let mut sink = MemorySink::default();
    let (summary, rejects) = run(&file, &options(Format::Csv), &mut sink);
    assert_eq!(summary.unwrap(), counts(2, 0, 0, 5));
    let expected = [
        "file,line,field,reason",
        "\"people.csv\",3,given,\"not UTF-8: the byte at position 3 of the field is not part of a character\"",
        "\"people.csv\",4,born,\"not a date: expected `YYYY-MM-DD`, `DD/MM/YYYY`, `YYYY-MM` or `YYYY`, and a day that exists\"",
        "\"people.csv\",5,id,\"an earlier row of this file has the same id: the first one counts\"",
        "\"people.csv\",6,,\"the row has 4 fields, the first row names 20 columns\"",
        "\"people.csv\",7,given,\"the field is too long: at most 65536 bytes\"",
    ];
    assert_eq!(rejects.lines().collect::<Vec<_>>(), expected);
    let first = &sink.people[&"1".parse::<SourceId>().unwrap()];
    assert_eq!(first.names()[0].given(), "Theo");

    let (again, _) = run(&file, &options(Format::Csv), &mut sink);
    assert_eq!(again.unwrap(), counts(0, 0, 2, 5));
}

#[test]
fn a_header_that_is_wrong_refuses_the_file() {
    let mut sink = MemorySink::default();
    let mut failure =
        |text: &str| run(text.as_bytes(), &options(Format::Csv), &mut sink).0.unwrap_err();
    assert!(matches!(failure(""), ImportFailure::NoHeader));
    assert!(matches!(failure("record,given\n"), ImportFailure::MissingColumn("id")));
    assert!(matches!(failure("id,given\n"), ImportFailure::MissingColumn("record")));
    assert!(matches!(failure("record,id,given,given\n"), ImportFailure::ColumnTwice("given")));
    assert!(matches!(
        failure("record,id,\"x\"y\n"),
        ImportFailure::BadHeader(Reason::TextAfterQuote)
    ));
    let headerless = failure("person,1,Nadia,Brookes\n");
    assert!(matches!(headerless, ImportFailure::UnknownColumn(1)));
    assert!(!format!("{headerless} {headerless:?}").contains("Nadia"));
}

#[test]
fn entries_and_ratings_need_their_person_and_their_words() {
    let rows = [
        "entry,1,,,,,,,,,,C01,Contact closed.,,,,,,,", // 2: before its person
        "person,1,Theo,Pell,,,,,,,,,,,,,,,,",
        "entry,1,,,,,,,,,,C33,Relapse.,third_party;restricted,C,,,,,",
        "entry,1,,,,,,,,,,C34,Other.,secret,not a code,,,,,", // 5: category, flags
        "entry,1,,,,,,,,,,C33,Relapse.,,,,,,,",               // 6: the same entry again
        "entry,2,,,,,,,,,,C33,Relapse.,,,,,,,",               // 7: nobody
        "rating,1,,,,,,,,,,,,,,purple,Hi,luck,J O,today",     // 8: everything
        "rating,1,,,,,,,,,,,,,,red,Worried.,substance,j.okafor,2027-02-09T08:40:00Z",
        "rating,1,Theo,,,,,,,,,,,,,red,Worried.,,j.okafor,2027-02-09T08:40:00Z", // 10: a name in a rating
        "visit,1,,,,,,,,,,,,,,,,,,", // 11: no such record
    ];
    let mut sink = MemorySink::default();
    let (summary, places) = load(&format!("{HEADER}{}\n", rows.join("\n")), &mut sink);
    assert_eq!(summary, counts(3, 0, 0, 7));
    let expected = [
        "2 id",
        "5 category",
        "5 flags",
        "6 entry",
        "7 id",
        "8 colour",
        "8 analysis",
        "8 tags",
        "8 rated_by",
        "8 rated_at",
        "10 given",
        "11 record",
    ];
    assert_eq!(places, expected);
    let entry = sink.entries.values().next().unwrap();
    assert_eq!(entry.flags, [Flag::ThirdParty, Flag::Restricted]);
    assert_eq!(entry.handling_code.as_ref().map(HandlingCode::as_str), Some("C"));
}

#[test]
fn a_changed_row_changes_and_an_entry_finds_its_person_from_an_earlier_file() {
    let mut sink = MemorySink::default();
    load(&format!("{HEADER}{}", person("1", "Theo", "2016-03-04")), &mut sink);
    let (summary, _) = load(
        &format!(
            "{HEADER}{}entry,1,,,,,,,,,,C01,Contact.,,,,,,,\n",
            person("1", "Theodore", "2016-03-04")
        ),
        &mut sink,
    );
    assert_eq!(summary, counts(1, 1, 0, 0));
    let (summary, _) = load("record,id,category,text\nentry,1,C01,Contact.\n", &mut sink);
    assert_eq!(summary, counts(0, 0, 1, 0));
}

#[test]
fn a_dry_run_says_the_same_and_stores_nothing() {
    let mut sink = MemorySink::default();
    let dry = ImportOptions { mode: Mode::DryRun, ..options(Format::Csv) };
    let file = format!(
        "{HEADER}{}entry,1,,,,,,,,,,C01,Contact.,,,,,,,\n",
        person("1", "Theo", "2016-03-04")
    );
    let (summary, _) = run(file.as_bytes(), &dry, &mut sink);
    assert_eq!(summary.unwrap(), counts(2, 0, 0, 0));
    assert!(sink.people.is_empty() && sink.entries.is_empty());
}

#[test]
fn json_lines_say_the_same_as_csv() {
    let csv = "record,id,given,family,other_names,born,sex,nhs,identifiers,house,postcode,former_addresses,category,text,flags,colour,analysis,tags,rated_by,rated_at\n\
        person,1,Nadia,Brookes,former:Nadia Pell;known_as:Nads,1992-03-04,f,943 476 5919,police:A/1,3 Mill Lane,ZZ1 2AB,9|ZZ2 1AA||2020-01-01,,,,,,,,\n\
        entry,1,,,,,,,,,,,C33,\"He said \"\"no\"\"\",third_party,,,,,\n\
        rating,1,,,,,,,,,,,,,,red,Worried.,substance,j.okafor,2027-02-09T08:40:00Z\n";
    let json = r#"{"record":"person","id":"1","names":[{"kind":"current","given":"Nadia","family":"Brookes"},{"kind":"former","given":"Nadia","family":"Pell"},{"kind":"known_as","given":"Nads"}],"born":"1992-03-04","sex":"female","identifiers":[{"kind":"nhs","value":"943 476 5919"},{"kind":"police","value":"A/1"}],"addresses":[{"house":"3 Mill Lane","postcode":"ZZ1 2AB","from":null},{"house":"9","postcode":"ZZ2 1AA","to":"2020-01-01"}]}

{"record":"entry","id":"1","category":"C33","text":"He said \"no\"","flags":["third_party"]}
{"record":"rating","id":"1","colour":"red","analysis":"Worried.","tags":["substance"],"rated_by":"j.okafor","rated_at":"2027-02-09T08:40:00Z"}"#;
    let mut sink = MemorySink::default();
    assert_eq!(load(csv, &mut sink), (counts(3, 0, 0, 0), vec![]));
    assert_eq!(load(json, &mut sink), (counts(0, 0, 3, 0), vec![]));
}

#[test]
fn bad_json_lines_are_rejected_and_the_rest_loads() {
    let huge = "x".repeat(10_000_000);
    let lines = [
        r#"{"record":"person","id":"1","names":[{"kind":"current","given":"Theo"}]}"#,
        r#"{"record":"person","id":"2","names":[{"kind":"nick","given":"Theo"}],"born":"soon"}"#,
        r#"{"record":"person","id":"3","names":[{"kind":"current","given":"Theo"}],"height":"tall"}"#,
        r#"["Theo"]"#,
        r#"{"record":"person","id":4,"names":"Theo"}"#,
        &format!(
            r#"{{"record":"person","id":"5","names":[{{"kind":"current","given":"{huge}"}}]}}"#
        ),
        &format!(
            r#"{{"record":"entry","id":"1","category":"C01","text":"{}"}}"#,
            "y".repeat(70_000)
        ),
        &"[".repeat(100_000),
        r#"{"record":"person","id":"6","names":[{"kind":"current","given":"Isla","tall":"no"}]}"#,
        r#"{"record":"person","id":"7","names":[{"kind":"current","given":"Isla"}]}"#,
    ];
    let mut sink = MemorySink::default();
    let (summary, places) = load(&lines.join("\n"), &mut sink);
    assert_eq!(summary, counts(2, 0, 0, 8));
    let expected =
        ["2 names", "2 born", "3 ", "4 ", "5 id", "5 names", "6 ", "7 text", "8 ", "9 names"];
    assert_eq!(places, expected);
}

#[test]
fn progress_ends_at_the_length_of_the_file() {
    let file = format!(
        "\u{FEFF}{HEADER}{}",
        (0..60_000).map(|n| person(&n.to_string(), "Theo", "2016")).collect::<String>()
    );
    for (text, format) in [(file.as_str(), Format::Csv), ("{}\n{}", Format::Jsonl)] {
        let mut reported = Vec::new();
        let mut rejects = RejectWriter::new(Vec::new());
        import(
            text.as_bytes(),
            &options(format),
            &mut MemorySink::default(),
            &mut rejects,
            &mut |n| reported.push(n),
        )
        .unwrap();
        assert!(reported.is_sorted() && reported.last() == Some(&(text.len() as u64)));
    }
}

#[test]
fn a_reject_never_repeats_the_value() {
    let row = "person,1,Na\u{7}dia,Pell,bogus Nadia,Nadia,Nadia,,,,Nadia|a|b|c|d,,,,,,,,,\n";
    let (summary, rejects) =
        run(format!("{HEADER}{row}").as_bytes(), &options(Format::Csv), &mut MemorySink::default());
    assert_eq!(summary.unwrap(), counts(0, 0, 0, 1));
    assert_eq!(rejects.lines().count(), 6);
    assert!(!rejects.contains("dia"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        for format in [Format::Csv, Format::Jsonl] {
            let _ = run(&bytes, &options(format), &mut MemorySink::default());
            let _ = run(&[HEADER.as_bytes(), &bytes].concat(), &options(format), &mut MemorySink::default());
        }
    }

    #[test]
    fn rows_of_any_words_are_read_and_a_second_time_nothing_changes(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "person", "entry", "rating", "1", "2", ",", ",", ",", "\n", "\n", "\"", "Theo", "2016-03-04", "C01", "red", ";", "|", ":", "former:A/B", "third_party",
        ]), 0..120),
    ) {
        let file = format!("record,id,given,other_names,born\n{}", words.concat());
        let mut sink = MemorySink::default();
        let (first, _) = run(file.as_bytes(), &options(Format::Csv), &mut sink);
        let (second, _) = run(file.as_bytes(), &options(Format::Csv), &mut sink);
        let (first, second) = (first.unwrap(), second.unwrap());
        prop_assert_eq!((second.n_new, second.n_changed), (0, 0));
        prop_assert_eq!(second.n_unchanged, first.n_new);
    }
}
