//! The matrix: agencies down, people across. Every cell has its words; an empty one says why it is empty.

use std::collections::BTreeMap;

use brag_common::{
    console::shown::{ColourTag, spoken, when},
    statement::PersonRole,
    wire::{pb, words},
};

use super::{
    enquiries::colour_tag,
    history::{challenge_state, change_words},
};

/// The matrix of an enquiry.
pub(super) struct Matrix {
    pub(super) people: Vec<Person>,
    pub(super) rows: Vec<Row>,
    pub(super) family: ColourTag,
}

/// The head of a column.
pub(super) struct Person {
    pub(super) label: String,
    pub(super) name: String,
    pub(super) role: String,
    pub(super) level: ColourTag,
    /// The referrer's first colour, if one was given.
    pub(super) initial: Option<ColourTag>,
    pub(super) uprated: bool,
    pub(super) divergence: bool,
    /// A victim of domestic abuse who has another part, for example a child.
    pub(super) victim: bool,
    /// Gates that are open on the evidence the hub holds, with their names.
    pub(super) gates: Vec<String>,
    /// Parts that agencies have signed and that differ from the one above.
    pub(super) signed_roles: Vec<String>,
}

/// What one agency has said.
pub(super) struct Row {
    pub(super) agency: String,
    /// What it is called.
    pub(super) name: String,
    pub(super) cells: Vec<Cell>,
}

/// What one agency has said of one person.
pub(super) struct Cell {
    /// An identifier of its own within the page.
    pub(super) id: String,
    pub(super) colour: Option<ColourTag>,
    /// Where it stands, in words.
    pub(super) status: String,
    /// A shape for it, beside the words.
    pub(super) sign: &'static str,
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
    /// Ratings that were replaced, newest first: what changed, and what was written before.
    pub(super) changes: Vec<(String, String)>,
    /// Challenges of it: by whom and why, and what came of it.
    pub(super) challenges: Vec<(String, String)>,
    pub(super) agency: String,
    pub(super) person: String,
    /// Who is meant, for links that are read out of their table.
    pub(super) label: String,
}

impl Cell {
    /// Whether there is more to it than its colour or status.
    pub(super) const fn has_more(&self) -> bool {
        !self.analysis.is_empty() || !self.changes.is_empty() || !self.challenges.is_empty()
    }
}

impl Matrix {
    /// `name_of` says what an agency is called.
    pub(super) fn of(show: &pb::ShowResponse, name_of: &dyn Fn(&str) -> String) -> Self {
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
            name: name_of(agency),
            cells: show
                .people
                .iter()
                .filter_map(|person| cells.get(&(*agency, person.person.as_str())))
                .map(|cell| Cell::of(cell, &labels, show))
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
            name: person.name.clone(),
            role: role_words(person.role),
            level: colour_tag(person.level),
            initial: initial.map(|colour| ColourTag::of(Some(colour))),
            uprated: person.uprated,
            divergence: person.divergence,
            // Their part says it already.
            victim: person.victim && words::to_role(person.role) != Ok(Some(PersonRole::Victim)),
            gates: person.gates.iter().map(|gate| crate::render::gate_words(gate)).collect(),
            signed_roles: person
                .signed_roles
                .iter()
                .filter(|signed| signed.role != person.role)
                .map(|signed| format!("{} says: {}", signed.agency, role_words(signed.role)))
                .collect(),
        }
    }
}

/// The part of a person in words; empty: not stated.
pub(super) fn role_words(role: i32) -> String {
    let role = words::to_role(role).ok().flatten();
    role.map(|role| spoken(role.word())).unwrap_or_default()
}

impl Cell {
    fn of(cell: &pb::MatrixCell, labels: &BTreeMap<&str, &str>, show: &pb::ShowResponse) -> Self {
        let label = labels.get(cell.person.as_str()).copied().unwrap_or_default();
        let changes = show.rating_changes.iter().rev();
        let changes = changes.filter(|one| one.agency == cell.agency && one.person == cell.person);
        let challenges = show.challenges.iter();
        let challenges =
            challenges.filter(|one| one.of == cell.agency && one.person == cell.person);
        let late = cell.status() == pb::AnswerStatus::Late;
        let status = if late { cell.late_status() } else { cell.status() };
        let rated = status == pb::AnswerStatus::Rated;
        Self {
            id: format!("cell-{}-{}", cell.agency, cell.person),
            colour: rated.then(|| colour_tag(cell.colour)),
            status: status_words(status, &cell.reason),
            sign: status_sign(status),
            label: label.to_owned(),
            changes: changes
                .map(|one| {
                    let before = one.before.as_ref().map(|before| before.analysis.clone());
                    let at = when(one.changed_at_unix_ms);
                    (format!("{} ({at})", change_words(one)), before.unwrap_or_default())
                })
                .collect(),
            challenges: challenges
                .map(|one| {
                    let answer = match one.answer.as_str() {
                        "" => String::new(),
                        answer => format!(": {answer}"),
                    };
                    (
                        format!("{} challenges it: {}", one.by, one.reason),
                        format!("{}{answer}", challenge_state(one)),
                    )
                })
                .collect(),
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

/// A shape for a status, so that an empty cell is told from another at a glance.
const fn status_sign(status: pb::AnswerStatus) -> &'static str {
    match status {
        pb::AnswerStatus::Rated => "",
        pb::AnswerStatus::NotKnown => "∅",
        pb::AnswerStatus::IdentityReview => "?",
        pb::AnswerStatus::Unable => "⊘",
        pb::AnswerStatus::Declined => "✕",
        pb::AnswerStatus::Pending => "…",
        pb::AnswerStatus::NoResponse | pb::AnswerStatus::Late | pb::AnswerStatus::Unspecified => {
            "!"
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(agency: &str, person: &str, status: pb::AnswerStatus) -> pb::MatrixCell {
        let (agency, person) = (agency.to_owned(), person.to_owned());
        let mut cell = pb::MatrixCell { agency, person, ..pb::MatrixCell::default() };
        cell.set_status(status);
        cell
    }

    fn matrix(cells: Vec<pb::MatrixCell>) -> Matrix {
        let person = |label: &str, person: &str| pb::MatrixPerson {
            label: label.to_owned(),
            person: person.to_owned(),
            ..pb::MatrixPerson::default()
        };
        let show = pb::ShowResponse {
            people: vec![person("P1", "r1"), person("P2", "r2")],
            rating_changes: vec![pb::RatingChange {
                agency: "CSC".to_owned(),
                person: "r1".to_owned(),
                before: Some(pb::RatingVersion {
                    analysis: "Before.".to_owned(),
                    ..pb::RatingVersion::default()
                }),
                ..pb::RatingChange::default()
            }],
            challenges: vec![pb::RatingChallenge {
                of: "POL".to_owned(),
                by: "CSC".to_owned(),
                person: "r2".to_owned(),
                status: "open".to_owned(),
                ..pb::RatingChallenge::default()
            }],
            cells,
            ..pb::ShowResponse::default()
        };
        Matrix::of(&show, &|agency| format!("The {agency}"))
    }

    #[test]
    fn every_empty_cell_says_why_and_none_is_a_colour() {
        use pb::AnswerStatus::{Declined, IdentityReview, NoResponse, NotKnown, Pending, Unable};
        let all = [NotKnown, IdentityReview, Unable, Declined, Pending, NoResponse];
        let words: std::collections::BTreeSet<_> = all
            .into_iter()
            .map(|status| {
                let shown = matrix(vec![cell("CSC", "r1", status)]);
                let cell = &shown.rows[0].cells[0];
                assert!(cell.colour.is_none() && !cell.sign.is_empty());
                cell.status.clone()
            })
            .collect();
        assert_eq!(words.len(), all.len());
    }

    #[test]
    fn a_late_answer_is_shown_as_what_it_is_and_as_late() {
        let mut late = cell("CSC", "r1", pb::AnswerStatus::Late);
        late.set_late_status(pb::AnswerStatus::Rated);
        late.set_colour(pb::Colour::Red);
        let shown = matrix(vec![late]);
        let cell = &shown.rows[0].cells[0];
        assert!(cell.late);
        assert_eq!(cell.colour.unwrap().text(), "R Red");
    }

    #[test]
    fn changes_and_challenges_are_told_in_the_cell_that_they_are_of() {
        let rated = pb::AnswerStatus::Rated;
        let shown = matrix(vec![
            cell("CSC", "r1", rated),
            cell("CSC", "r2", rated),
            cell("POL", "r1", rated),
            cell("POL", "r2", rated),
        ]);
        let more: Vec<Vec<bool>> =
            shown.rows.iter().map(|row| row.cells.iter().map(Cell::has_more).collect()).collect();
        assert_eq!(more, [[true, false], [false, true]]);
        assert_eq!(shown.rows[0].cells[0].changes[0].1, "Before.");
        assert_eq!(shown.rows[1].name, "The POL");
    }
}
