use proptest::prelude::*;

use super::*;
use crate::audit::entry::{Action, AgreementStamp, Digest, EntryDraft, Party, Place, Word};

fn place() -> Place {
    Place {
        seq: 7,
        prev_hash: Digest::from_bytes([0xab; 32]),
        ts: "2027-03-04T05:06:07.089Z".parse().unwrap(),
        node: "CSC".parse().unwrap(),
    }
}

/// Every field is set, and references begin as formulas do.
fn full() -> Entry {
    let word = |text: &str| text.parse::<Word>().unwrap();
    let draft = EntryDraft {
        enquiry: Some("-e1".parse().unwrap()),
        person: Some("p1".parse().unwrap()),
        commitment: Some(crate::id::Commitment::from_bytes([1; 32])),
        exchange: Some("x1".parse().unwrap()),
        release: Some("r1".parse().unwrap()),
        peer: Some(Party::Hub),
        category: Some("C10".parse().unwrap()),
        gate: Some(word("g3")),
        class: Some(word("S2")),
        purpose: Some(word("child_safeguarding")),
        art6: Some(word("6(1)(e)")),
        art9: Some(word("9(2)(g)")),
        art10: Some(word("-10")),
        gateway: Some(word("CA2004/s10")),
        agreement_status: Some(word("not_needed")),
        agreement: Some(AgreementStamp {
            id: "exampleshire-ofd".parse().unwrap(),
            version: 3,
            digest: crate::id::AgreementDigest::from_bytes([2; 32]),
        }),
        evidence: vec![Digest::from_bytes([3; 32]), Digest::from_bytes([4; 32])],
        decision: Some(word("deny")),
        reason: Some(crate::reason::Reason::ThresholdNotMet),
        recipients: vec!["POL".parse().unwrap(), "EDU".parse().unwrap()],
        obligations: vec![word("NO_ONWARD")],
        count: Some(2),
        payload_digest: Some(Digest::from_bytes([5; 32])),
        ..EntryDraft::new(Action::ReleaseDecided).by("j.okafor".parse().unwrap(), word("approver"))
    };
    Entry::at(place(), draft, true)
}

fn written(entries: &[Entry]) -> String {
    let mut out = Vec::new();
    let mut table = Table::begin(&mut out).unwrap();
    entries.iter().for_each(|entry| table.row(entry).unwrap());
    table.flush().unwrap();
    drop(table);
    String::from_utf8(out).unwrap()
}

/// Golden: others read these columns by their place.
#[test]
fn the_columns_and_their_text_do_not_change() {
    let digest = |byte: &str| byte.repeat(32);
    let header = concat!(
        r#""v","seq","prev_hash","ts","node","actor","actor_role","action","enquiry","person","commitment","#,
        r#""exchange","release","peer","category","gate","class","purpose","art6","art9","art10","gateway","#,
        r#""agreement_status","agreement","agreement_version","agreement_digest","evidence","decision","#,
        r#""reason","recipients","obligations","count","payload_digest","test_env""#,
    );
    let row = format!(
        concat!(
            r#""1","7","{ab}","2027-03-04T05:06:07.089Z","CSC","j.okafor","approver","#,
            r#""release_decided","'-e1","p1","{one}","x1","r1","hub","C10","g3","S2","#,
            r#""child_safeguarding","6(1)(e)","9(2)(g)","'-10","CA2004/s10","not_needed","#,
            r#""exampleshire-ofd","3","{two}","{three} {four}","deny","THRESHOLD_NOT_MET","POL EDU","#,
            r#""NO_ONWARD","2","{five}","true""#,
        ),
        ab = digest("ab"),
        one = digest("01"),
        two = digest("02"),
        three = digest("03"),
        four = digest("04"),
        five = digest("05"),
    );
    assert_eq!(written(&[full()]), format!("{header}\n{row}\n"));
}

#[test]
fn every_field_of_an_entry_has_a_column() {
    let json: serde_json::Value = serde_json::from_slice(&full().encode()).unwrap();
    for field in json.as_object().unwrap().keys() {
        assert!(COLUMNS.contains(&field.as_str()), "{field}");
    }
}

#[test]
fn what_is_absent_is_an_empty_cell() {
    let entry = Entry::at(place(), EntryDraft::new(Action::ServiceStarted), true);
    let text = written(&[entry]);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let row = reader.records().next().unwrap().unwrap();
    let present: Vec<&str> =
        COLUMNS.iter().zip(row.iter()).filter(|(_, cell)| !cell.is_empty()).map(|c| *c.0).collect();
    let always = ["v", "seq", "prev_hash", "ts", "node", "actor", "action", "test_env"];
    assert_eq!(present, always);
}

proptest! {
    #[test]
    fn no_cell_begins_as_a_formula_does_once_the_file_has_been_read(
        head in prop::sample::select(TRIGGERS.to_vec()),
        text in ".*",
        begins in any::<bool>(),
    ) {
        let text = if begins { format!("{head}{text}") } else { text };
        let mut writer = csv::WriterBuilder::new()
            .quote_style(csv::QuoteStyle::Always)
            .from_writer(Vec::new());
        writer.write_record([neutral(&text).as_ref(), "end"]).unwrap();
        let bytes = writer.into_inner().unwrap();
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).from_reader(bytes.as_slice());
        let row = reader.records().next().unwrap().unwrap();
        prop_assert!(!row[0].starts_with(TRIGGERS), "{:?}", &row[0]);
        let back = if text.starts_with(TRIGGERS) { row[0].strip_prefix('\'') } else { row.get(0) };
        prop_assert_eq!(back, Some(text.as_str()));
        prop_assert_eq!(&row[1], "end");
    }

    #[test]
    fn no_cell_of_an_exported_entry_begins_as_a_formula_does(
        enquiry in "[-_A-Za-z0-9]{1,32}",
        word in "[-_.:/()A-Za-z]{1,40}",
        name in "[a-z.-]{1,20}",
    ) {
        let mut draft = EntryDraft::new(Action::RatingGiven);
        draft.enquiry = enquiry.parse().ok();
        draft.purpose = word.parse().ok();
        draft.obligations = word.parse().into_iter().collect();
        if let Ok(name) = name.parse() {
            draft = draft.by(name, "assessor".parse().unwrap());
        }
        let text = written(&[Entry::at(place(), draft, true)]);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        for row in reader.records() {
            prop_assert!(row.unwrap().iter().all(|cell| !cell.starts_with(TRIGGERS)));
        }
    }
}
