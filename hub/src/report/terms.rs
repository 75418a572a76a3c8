//! What the agreement says, as tables and sentences that several documents share.

use brag_common::{
    agreement::{Agreement, Category, Gate, Mode, Party, PartyType, Special},
    id::CategoryCode,
    time::SignedDuration,
};

use super::{document::Table, signed::Signed};
use crate::render::gate_words;

/// Which agreement a document is made from.
#[must_use]
pub fn facts(signed: &Signed) -> Vec<(String, String)> {
    let agreement = &signed.agreement;
    let fact = |term: &str, what: String| (term.to_owned(), what);
    vec![
        fact("Agreement", format!("{} version {}", agreement.id(), agreement.version())),
        fact("Digest", signed.digest.to_string()),
        fact("Signatures", signed.by.to_string()),
        fact("Valid", format!("{} to {}", agreement.valid_from(), agreement.valid_to())),
        fact("To be reviewed by", agreement.review_by().to_string()),
        fact("Environment", agreement.environment().to_string()),
        fact("Territory", agreement.territory().collect::<Vec<_>>().join(", ")),
    ]
}

/// The purposes, in words.
#[must_use]
pub fn purposes(agreement: &Agreement) -> Vec<String> {
    agreement.purposes().iter().map(|purpose| spoken(purpose.word())).collect()
}

/// The catalogue of categories.
#[must_use]
pub fn catalogue(agreement: &Agreement) -> Table {
    let rows = agreement.categories().iter().map(|(code, category)| {
        [
            code.to_string(),
            category.title.to_string(),
            category.class.to_string(),
            special_words(category),
            conditions(category).join("; "),
        ]
    });
    Table::texts(
        "catalogue",
        "Categories that the exchange may carry",
        ["Code", "Category", "Class", "Kind of data", "What a request for it has to state"],
        rows,
    )
}

/// What is never carried, whatever is agreed.
#[must_use]
pub fn never(agreement: &Agreement) -> String {
    let codes =
        (1..=99).filter_map(CategoryCode::new).filter(|code| agreement.never_carries(*code));
    let codes: Vec<String> = codes.map(|code| code.to_string()).collect();
    format!(
        "Never carried: {}. Full records, protected addresses, therapy notes, immigration status, sexual health, live intelligence, \
         informants, privileged or court-restricted material and equality monitoring are fixed in the program; no agreement can \
         allow them.",
        codes.join(", ")
    )
}

fn special_words(category: &Category) -> String {
    let words: Vec<&str> = category
        .special
        .iter()
        .map(|special| match special {
            Special::Art9 => "special category (Article 9)",
            Special::Art10 => "criminal offence (Article 10)",
        })
        .collect();
    if words.is_empty() { "personal".to_owned() } else { words.join("; ") }
}

/// What a request for a category has to state beyond what every request states.
#[must_use]
pub fn conditions(category: &Category) -> Vec<String> {
    let mut all = vec!["an Article 6 basis and a statutory gateway".to_owned()];
    all.extend(category.special.iter().map(|special| {
        match special {
            Special::Art9 => "an Article 9 condition and the paragraph of DPA 2018 Schedule 1",
            Special::Art10 => "the authority under Article 10",
        }
        .to_owned()
    }));
    all
}

/// How long everything is kept.
#[must_use]
pub fn retention(agreement: &Agreement) -> Table {
    let kept = agreement.retention();
    let mut rows = vec![
        [
            "Colours and analyses at the hub".to_owned(),
            format!("{} after the enquiry is closed", kept.ratings_after_close),
        ],
        ["Audit logs of hub and nodes".to_owned(), kept.audit_log.to_string()],
        [
            "Sealed detail at the hub".to_owned(),
            "not kept: it passes through memory, and the hub has no key for it".to_owned(),
        ],
    ];
    for gate in Gate::ALL.iter().copied() {
        let counted = if gate == Gate::G5 { " after the Marac meeting" } else { "" };
        rows.push([
            format!("View of detail released on {}", gate_words(gate.word())),
            format!("{}{counted}, then its key is destroyed", length(agreement.view(gate))),
        ]);
    }
    rows.push([
        "The agencies' own records".to_owned(),
        "by each agency's own schedule; they never leave its node".to_owned(),
    ]);
    Table::texts("retention", "How long things are kept", ["What", "How long"], rows)
}

/// How each class is released on each gate.
#[must_use]
pub fn disclosure(agreement: &Agreement) -> Table {
    use brag_common::agreement::Class;
    let rows = Class::ALL.iter().copied().map(|class| {
        let cell = |gate| match agreement.disclosure(class, gate) {
            None => "no".to_owned(),
            Some(cell) => {
                let mode = match cell.mode {
                    Mode::Auto => "at once",
                    Mode::Review => "one approval",
                    Mode::Review2 => "two approvals",
                };
                match &cell.recipients {
                    None => mode.to_owned(),
                    Some(only) => {
                        let only: Vec<&str> = only.iter().map(|id| id.as_str()).collect();
                        format!("{mode}, {} only", only.join(" "))
                    }
                }
            }
        };
        let [g1, g2, g3, g4, g5, g6] =
            [Gate::G1, Gate::G2, Gate::G3, Gate::G4, Gate::G5, Gate::G6].map(cell);
        [class.to_string(), g1, g2, g3, g4, g5, g6]
    });
    Table::texts(
        "disclosure",
        "How detail is released, by class and threshold",
        ["Class", "g1 agreement", "g2 Amber", "g3 Red", "g4 section 47", "g5 Marac", "g6 Care Act"],
        rows,
    )
}

/// The parties, and what each may receive.
#[must_use]
pub fn parties(agreement: &Agreement) -> Table {
    let rows = agreement.parties().map(|party| {
        [
            party.id().to_string(),
            party.name().to_owned(),
            spoken(party.kind().word()),
            may_receive(agreement, party),
        ]
    });
    Table::texts(
        "parties",
        "Parties, and what each may receive once a threshold is met",
        ["Id", "Name", "Kind", "May receive"],
        rows,
    )
}

/// What a party may receive, in words.
#[must_use]
pub fn may_receive(agreement: &Agreement, party: &Party) -> String {
    let mut words = match agreement.allow_list(party.kind()) {
        None => "any category that a met threshold opens".to_owned(),
        Some(codes) => {
            let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
            format!("{} only", codes.join(", "))
        }
    };
    if agreement.is_client_only(party.kind()) {
        words
            .push_str("; class S2 and above only about a person whom it rated from its own record");
    }
    if let Some(at) = party.withdrawn_at() {
        words.push_str(&format!("; WITHDRAWN at {at}, receives nothing since"));
    }
    words
}

/// Whether a kind of agency is a public body by its kind, so that its task is a public one.
#[must_use]
pub const fn is_public_body(kind: PartyType) -> bool {
    match kind {
        PartyType::ChildrensSocialCare
        | PartyType::Police
        | PartyType::Health
        | PartyType::Education
        | PartyType::MentalHealth
        | PartyType::Probation
        | PartyType::EarlyHelp
        | PartyType::AdultSocialCare
        | PartyType::Camhs
        | PartyType::YouthOffending
        | PartyType::Marac => true,
        // Often a charity, or a company that works for the council.
        PartyType::DomesticAbuseService | PartyType::Housing | PartyType::SubstanceMisuse => false,
    }
}

/// A word of the agreement as it is spoken.
#[must_use]
pub fn spoken(word: &str) -> String {
    word.replace('_', " ")
}

/// A length of time, in the largest unit that has no remainder.
#[must_use]
pub fn length(time: SignedDuration) -> String {
    let seconds = time.as_secs();
    for (unit, each) in [("days", 86_400), ("hours", 3_600), ("minutes", 60)] {
        if seconds != 0 && seconds % each == 0 {
            return format!("{} {unit}", seconds / each);
        }
    }
    format!("{seconds} seconds")
}

/// A measured time, as hours, minutes and seconds.
#[must_use]
pub fn elapsed(time: SignedDuration) -> String {
    let seconds = time.as_secs();
    format!("{} h {:02} min {:02} s", seconds / 3_600, seconds % 3_600 / 60, seconds % 60)
}
