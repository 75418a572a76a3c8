//! What an agency has on record as rows of the import's CSV layout (see `agency-node/src/import.rs`).

use serde_json::Value;

/// The columns, in order; all of the import's layout.
pub(super) const COLUMNS: [&str; 20] = [
    "record",
    "id",
    "given",
    "family",
    "other_names",
    "born",
    "sex",
    "nhs",
    "house",
    "postcode",
    "entry",
    "category",
    "text",
    "flags",
    "handling_code",
    "colour",
    "analysis",
    "tags",
    "rated_by",
    "rated_at",
];

/// The first row.
pub(super) fn header() -> String {
    COLUMNS.join(",")
}

/// A row of JSON Lines as one of CSV: what is nested there is in columns, or packed into one.
pub(super) fn row(json: &Value) -> String {
    let cells = COLUMNS.iter().map(|column| quoted(&cell(json, column)));
    cells.collect::<Vec<_>>().join(",")
}

fn cell(json: &Value, column: &str) -> String {
    let current = |part: &str| text(&json["names"][0][part]);
    let address = |part: &str| text(&json["addresses"][0][part]);
    match column {
        "given" | "family" => current(column),
        "other_names" => {
            let others = json["names"].as_array().into_iter().flatten().skip(1);
            let packed = others.map(|name| {
                let part = |part: &str| text(&name[part]);
                format!("{}:{}/{}", part("kind"), part("given"), part("family"))
            });
            packed.collect::<Vec<_>>().join(";")
        }
        "nhs" => text(&json["identifiers"][0]["value"]),
        "house" | "postcode" => address(column),
        "flags" | "tags" => {
            let words = json[column].as_array().into_iter().flatten().map(text);
            words.collect::<Vec<_>>().join(";")
        }
        column => text(&json[column]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A cell as RFC 4180 quotes it.
fn quoted(cell: &str) -> String {
    format!("\"{}\"", cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_row_has_its_cells_in_the_columns_of_the_import() {
        let person = json!({
            "record": "person", "id": "=1+1", "born": "1993", "sex": "female",
            "names": [
                { "kind": "current", "given": "A \"B\"", "family": "C" },
                { "kind": "alias", "given": "D", "family": "E" },
            ],
            "identifiers": [{ "kind": "nhs", "value": "999 000 0018" }],
            "addresses": [{ "house": "1, Row", "postcode": "ZZ9 4QT" }],
        });
        let cells = r#""person","=1+1","A ""B""","C","alias:D/E","1993","female","999 000 0018","1, Row","ZZ9 4QT","","","","","","","","","","""#;
        assert_eq!(row(&person), cells);
        let rating = json!({
            "record": "rating", "id": "7", "colour": "red", "analysis": "x", "tags": ["a", "b"],
            "rated_by": "j.okafor", "rated_at": "2027-02-09T08:40:00Z",
        });
        let end = r#""red","x","a;b","j.okafor","2027-02-09T08:40:00Z""#;
        assert!(row(&rating).ends_with(end), "{}", row(&rating));
        assert_eq!(header().split(',').count(), 20);
    }
}
