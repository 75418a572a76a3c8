use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::import::{Format, ImportItem, Mode};

fn options() -> ImportOptions {
    ImportOptions {
        format: Format::Csv,
        mode: Mode::Load,
        file: String::new(),
        bounds: brag_common::rating::AnalysisBounds { min_chars: 5, max_chars: 300 },
        categories: Some(["C30", "C33", "C35"].map(|code| code.parse().unwrap()).into()),
    }
}

fn mapping(toml: &str) -> Mapping {
    toml::from_str(toml).unwrap()
}

/// The items of a row, or field and reason of each fault.
fn made(mapping: &Mapping, row: &Value) -> Vec<Result<ImportItem, Vec<(String, Reason)>>> {
    let rows = mapping.rows(7, row, &options()).into_iter();
    rows.map(|row| {
        assert_eq!(row.line, 7);
        row.item.map_err(|faults| {
            let name = |field: Option<&str>| field.unwrap_or("").to_owned();
            faults.into_iter().map(|fault| (name(fault.field), fault.reason)).collect()
        })
    })
    .collect()
}

#[test]
fn an_unknown_key_or_a_wrong_value_is_named_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("housing.toml");
    for (text, line, words) in [
        ("[person]\nid = \"A\"\ngivven = \"B\"\n", 3, "givven"),
        ("[person]\nid = \"A\"\nsex = { field = \"S\", mop = {} }\n", 3, "mop"),
        ("[person]\ngiven = \"A\"\n", 1, "id"),
        ("[[entry]]\nid = \"A\"\ncategory = { value = \"C33\" }\n", 1, "text"),
        ("[person]\nid = \"A\"\nwhen = [{ field = \"B\" }]\n", 3, "exactly one"),
        ("[person]\nid = \"A[\"\n", 2, "not a field"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Mapping::load(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("housing.toml:{line}:")), "{error}");
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_wrong_row_is_rejected_by_field_and_never_repeats_its_value() {
    let mapping = mapping(
        "[person]\nid = \"N\"\ngiven = \"G\"\nborn = { field = \"B\", date = \"%d.%m.%Y\" }\n\
         sex = { field = \"S\", map = { M = \"male\" } }\n\
         [[entry]]\nid = \"N\"\ncategory = \"C\"\ntext = \"T\"\nflags = { value = \"secret\" }\n",
    );
    let row = json!({ "N": "", "G": "Nadia", "B": "1992-03-04", "S": "F", "C": "C99", "T": "" });
    let rows = made(&mapping, &row);
    let person = rows[0].clone().unwrap_err();
    let expected =
        [("id", Reason::Missing), ("born", Reason::NotInForm), ("sex", Reason::NotInMap)];
    for (field, reason) in expected {
        assert!(person.contains(&(field.to_owned(), reason)), "{field}: {person:?}");
    }
    let entry = rows[1].clone().unwrap_err();
    for field in ["id", "category", "text", "flags"] {
        assert!(entry.iter().any(|(of, _)| of == field), "{field}: {entry:?}");
    }
}

#[test]
fn a_row_of_a_housing_system_becomes_a_person_an_entry_and_nothing_where_no_when_holds() {
    let mapping = mapping(
        "[person]\nid = \"REF\"\ngiven = \"FORENAME\"\nfamily = \"SURNAME\"\n\
         house = { text = \"{FLAT} {STREET}\" }\npostcode = \"PC\"\n\
         [[person.identifier]]\nkind = { value = \"housing\" }\nvalue = \"REF\"\n\
         [[person.name]]\nkind = { value = \"former\" }\ngiven = \"FORENAME\"\nfamily = \"MAIDEN\"\nwhen = [{ field = \"MAIDEN\", present = true }]\n\
         [[entry]]\nwhen = [{ field = \"NOISE\", is = [\"Y\", \"y\"] }]\nid = \"REF\"\nentry = { text = \"noise-{REF}\" }\n\
         category = { value = \"C33\" }\ntext = { text = \"Noise reported {N} times.\" }\nflags = [{ value = \"third_party\" }]\nhandling_code = { value = \"H1\" }\n",
    );
    let row = json!({ "REF": "T/9", "FORENAME": "Nadia", "SURNAME": "Brookes", "MAIDEN": "Pell", "FLAT": "", "STREET": "3 Mill Lane", "PC": "ZZ1 2AB", "NOISE": "Y", "N": 4 });
    let rows = made(&mapping, &row);
    let ImportItem::Person { identity, .. } = rows[0].as_ref().unwrap() else { panic!() };
    assert_eq!(identity.names().len(), 2);
    assert_eq!(identity.addresses().len(), 1);
    let ImportItem::Entry(entry) = rows[1].as_ref().unwrap() else { panic!() };
    assert_eq!(&*entry.text, "Noise reported 4 times.");
    assert_eq!(entry.category.to_string(), "C33");
    assert!(entry.handling_code.is_some() && entry.flags.len() == 1);
    assert_eq!(made(&mapping, &json!({ "REF": "1", "FORENAME": "A", "NOISE": "N" })).len(), 1);
    let columns = ["REF", "FORENAME", "SURNAME", "FLAT", "STREET", "NOISE", "N"].map(str::to_owned);
    assert_eq!(mapping.missing_columns(&columns), ["MAIDEN", "PC"]);
}

#[test]
fn the_four_kinds_of_fhir_resources_are_mapped_and_others_are_passed_over() {
    let mapping = Mapping::fhir_r4(None).unwrap();
    let patient = json!({
        "resourceType": "Patient", "id": "p1", "birthDate": "1992-03-04", "gender": "female",
        "identifier": [
            { "system": "urn:local", "value": "77" },
            { "system": "https://fhir.nhs.uk/Id/nhs-number", "value": "943 476 5919" }],
        "name": [
            { "use": "official", "family": "Brookes", "given": ["Nadia", "Jane"] },
            { "use": "maiden", "family": "Pell", "given": ["Nadia"] },
            { "use": "anonymous", "family": "X" }],
        "address": [{ "use": "home", "line": ["Flat 2", "3 Mill Lane"], "postalCode": "ZZ1 2AB", "period": { "start": "2020-01-31T00:00:00Z" } }],
    });
    let rows = made(&mapping, &patient);
    let ImportItem::Person { source_id, identity } = rows[0].as_ref().unwrap() else { panic!() };
    assert_eq!((rows.len(), source_id.as_str()), (1, "p1"));
    assert_eq!(identity.current_name().unwrap().given(), "Nadia Jane");
    assert_eq!((identity.names().len(), identity.identifiers().len()), (2, 1));
    assert_eq!(identity.addresses()[0].house(), Some("Flat 2 3 Mill Lane"));
    let subject = json!({ "reference": "https://ehr.example/fhir/Patient/p1" });
    for (kind, category) in [("Encounter", "C30"), ("Condition", "C35"), ("Flag", "C35")] {
        let resource = json!({
            "resourceType": kind, "id": "x", "subject": subject, "status": "entered-in-error",
            "verificationStatus": { "coding": [{ "code": "entered-in-error" }] },
            "code": { "text": "Asthma" }, "period": { "start": "2026-05-01" },
        });
        let rows = made(&mapping, &resource);
        let ImportItem::Entry(entry) = rows[0].as_ref().unwrap() else { panic!() };
        assert_eq!(
            (entry.category.to_string().as_str(), entry.flags.len()),
            (category, 1),
            "{kind}"
        );
        assert_eq!(entry.person.as_str(), "p1");
    }
    assert!(made(&mapping, &json!({ "resourceType": "Observation", "id": "o" })).is_empty());
}

#[test]
fn a_file_replaces_what_it_says_of_fhir_and_leaves_the_rest() {
    let over = mapping(
        "[[entry]]\nwhen = [{ field = \"resourceType\", is = \"Flag\" }]\nid = \"id\"\ncategory = { value = \"C33\" }\ntext = { value = \"x\" }\n",
    );
    let mapping = Mapping::fhir_r4(Some(over)).unwrap();
    assert_eq!(made(&mapping, &json!({ "resourceType": "Flag", "id": "1" })).len(), 1);
    assert_eq!(made(&mapping, &json!({ "resourceType": "Patient", "id": "1" })).len(), 1);
    assert!(made(&mapping, &json!({ "resourceType": "Encounter", "id": "1" })).is_empty());
}

#[test]
fn the_sample_mappings_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/config/agency-node");
    let mut n = 0;
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("mapping-") {
            let mapping = Mapping::load(&path).unwrap_or_else(|error| panic!("{error}"));
            assert!(!mapping.is_empty(), "{}", path.display());
            n += 1;
        }
    }
    assert_eq!(n, 3);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,30}".prop_map(Value::from),
        proptest::sample::select(vec!["Patient", "Flag", "official", "2020-01-01", "Patient/1"])
            .prop_map(Value::from),
    ];
    let keys = proptest::sample::select(vec![
        "resourceType",
        "id",
        "name",
        "use",
        "given",
        "family",
        "address",
        "line",
        "subject",
        "reference",
        "code",
        "coding",
        "birthDate",
        "gender",
        "identifier",
        "system",
        "value",
        "meta",
        "security",
        "period",
        "start",
        "status",
    ]);
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(keys.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_row_is_mapped_or_rejected_and_never_a_panic(row in any_json(), kind in proptest::sample::select(vec!["Patient", "Flag", "Encounter", "Condition"])) {
        let mapping = Mapping::fhir_r4(None).unwrap();
        let _ = made(&mapping, &row);
        if let Value::Object(mut object) = row {
            object.insert("resourceType".to_owned(), kind.into());
            let _ = made(&mapping, &Value::Object(object));
        }
    }

    #[test]
    fn any_text_is_a_mapping_or_not(text in "[\\[\\]a-z= \"{}\n]{0,120}") {
        let _ = toml::from_str::<Mapping>(&text);
    }
}
