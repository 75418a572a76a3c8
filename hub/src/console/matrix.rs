//! The matrix: agencies down, people across. Every cell has its words; an empty one says why it is empty.

use std::collections::BTreeMap;

use brag_common::{
    console::shown::{ColourTag, spoken, when},
    wire::{pb, words},
};

use super::enquiries::colour_tag;

/// The matrix of an enquiry.
pub(super) struct Matrix {
    pub(super) people: Vec<Person>,
    pub(super) rows: Vec<Row>,
    pub(super) family: ColourTag,
}

/// The head of a column.
pub(super) struct Person {
    pub(super) label: String,
    pub(super) person: String,
    pub(super) name: String,
    pub(super) role: String,
    pub(super) level: ColourTag,
    /// The referrer's first colour, if one was given.
    pub(super) initial: Option<ColourTag>,
    pub(super) uprated: bool,
    pub(super) divergence: bool,
    pub(super) victim: bool,
    /// Gates that are open on the evidence the hub holds, with their names.
    pub(super) gates: Vec<String>,
}

/// What one agency has said.
pub(super) struct Row {
    pub(super) agency: String,
    pub(super) cells: Vec<Cell>,
}

/// What one agency has said of one person.
pub(super) struct Cell {
    /// An identifier of its own within the page.
    pub(super) id: String,
    pub(super) colour: Option<ColourTag>,
    /// Where it stands, in words.
    pub(super) status: String,
    pub(super) late: bool,
    pub(super) since: String,
    pub(super) analysis: String,
    pub(super) topics: String,
    pub(super) rated_by: String,
    pub(super) rated_at: String,
    /// The label of the linked person that the rating rests on.
    pub(super) via: Option<String>,
    /// The agency may know the person; a co-ordinator can let it compare.
    pub(super) possible: bool,
    pub(super) agency: String,
    pub(super) person: String,
}

impl Matrix {
    pub(super) fn of(show: &pb::ShowResponse) -> Self {
        let labels: BTreeMap<&str, &str> =
            show.people.iter().map(|p| (p.person.as_str(), p.label.as_str())).collect();
        let mut agencies: Vec<&str> = Vec::new();
        let mut cells: BTreeMap<(&str, &str), &pb::MatrixCell> = BTreeMap::new();
        for cell in &show.cells {
            if !agencies.contains(&cell.agency.as_str()) {
                agencies.push(&cell.agency);
            }
            cells.insert((&cell.agency, &cell.person), cell);
        }
        let row = |agency: &&str| Row {
            agency: (*agency).to_owned(),
            cells: show
                .people
                .iter()
                .filter_map(|person| cells.get(&(*agency, person.person.as_str())))
                .map(|cell| Cell::of(cell, &labels))
                .collect(),
        };
        Self {
            people: show.people.iter().map(Person::of).collect(),
            rows: agencies.iter().map(row).collect(),
            family: colour_tag(show.family_level),
        }
    }
}

impl Person {
    fn of(person: &pb::MatrixPerson) -> Self {
        let initial = words::to_optional_colour(person.initial).ok().flatten();
        Self {
            label: person.label.clone(),
            person: person.person.clone(),
            name: person.name.clone(),
            role: role_words(person.role),
            level: colour_tag(person.level),
            initial: initial.map(|colour| ColourTag::of(Some(colour))),
            uprated: person.uprated,
            divergence: person.divergence,
            victim: person.victim,
            gates: person.gates.iter().map(|gate| crate::render::gate_words(gate)).collect(),
        }
    }
}

/// The part of a person in words; empty: not stated.
pub(super) fn role_words(role: i32) -> String {
    let role = words::to_role(role).ok().flatten();
    role.map(|role| spoken(role.word())).unwrap_or_default()
}

impl Cell {
    fn of(cell: &pb::MatrixCell, labels: &BTreeMap<&str, &str>) -> Self {
        let late = cell.status() == pb::AnswerStatus::Late;
        let status = if late { cell.late_status() } else { cell.status() };
        let rated = status == pb::AnswerStatus::Rated;
        Self {
            id: format!("cell-{}-{}", cell.agency, cell.person),
            colour: rated.then(|| colour_tag(cell.colour)),
            status: status_words(status, &cell.reason),
            late,
            since: when(cell.since_unix_ms),
            analysis: cell.analysis.clone(),
            topics: cell.topics.iter().map(|topic| spoken(topic)).collect::<Vec<_>>().join(", "),
            rated_by: cell.rated_by.clone(),
            rated_at: if cell.repeated { when(cell.rated_at_unix_ms) } else { String::new() },
            via: (!cell.via.is_empty())
                .then(|| labels.get(cell.via.as_str()).copied().unwrap_or(&cell.via).to_owned()),
            possible: status == pb::AnswerStatus::IdentityReview && cell.reason == "possible",
            agency: cell.agency.clone(),
            person: cell.person.clone(),
        }
    }
}

/// A status in words. None of them is ever shown as a colour, nor as another.
fn status_words(status: pb::AnswerStatus, reason: &str) -> String {
    let with = |text: &str| match reason {
        "" => text.to_owned(),
        reason => format!("{text}: {}", spoken(reason).to_lowercase()),
    };
    match status {
        pb::AnswerStatus::Rated => "Rated".to_owned(),
        pb::AnswerStatus::NotKnown => "Not known".to_owned(),
        pb::AnswerStatus::IdentityReview => match reason {
            "possible" => "Possible match".to_owned(),
            _ => "Identity is being compared".to_owned(),
        },
        pb::AnswerStatus::Unable => with("Unable"),
        pb::AnswerStatus::Declined => with("Declined"),
        pb::AnswerStatus::Pending => "Pending".to_owned(),
        pb::AnswerStatus::NoResponse => with("No response"),
        pb::AnswerStatus::Late | pb::AnswerStatus::Unspecified => {
            "A status that this version does not know".to_owned()
        }
    }
}
