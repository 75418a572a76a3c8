//! What pages offer to choose from: the parties, purposes and catalogue of the agreement, and the words of the trade. Nothing of
//! anybody.

use std::sync::Arc;

use brag_common::{
    agreement::{Class, LinkKind, Purpose, Special},
    console::{Choice, shown::spoken},
    id::CategoryCode,
    matching::identity::NameKind,
    rating::Colour,
    statement::PersonRole,
};

use crate::{
    hub::Shared,
    life::words::{Effect, Kind},
};

/// The agreement and the words that hold now.
#[derive(Debug)]
pub(crate) struct Terms(Arc<Shared>);

impl Terms {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The parties that have not withdrawn.
    pub(super) fn agencies(&self) -> Vec<Choice> {
        let now = self.0.clock.now();
        let parties = self.0.agreement.agreement();
        let parties = parties.parties().filter(|party| party.in_force(now));
        parties
            .map(|party| {
                Choice::new(party.id().as_str(), format!("{} – {}", party.id(), party.name()))
            })
            .collect()
    }

    /// What an agency is called; empty when it is no party.
    pub(super) fn agency_name(&self, agency: &str) -> String {
        let id = agency.parse().ok();
        let agreement = self.0.agreement.agreement();
        let party = id.as_ref().and_then(|id| agreement.party(id));
        party.map(|party| party.name().to_owned()).unwrap_or_default()
    }

    /// The purposes of the agreement.
    pub(super) fn purposes(&self) -> Vec<Choice> {
        let purposes = self.0.agreement.agreement().purposes().clone();
        purposes.into_iter().map(purpose_choice).collect()
    }

    /// Words of one kind.
    pub(super) fn words(&self, kind: Kind) -> Vec<Choice> {
        let of = self.0.words.all().filter(|word| word.kind == kind);
        of.map(|word| Choice::new(&word.word, &word.title).hint(&word.means)).collect()
    }

    /// What people read for a word.
    pub(super) fn word_title(&self, kind: Kind, word: &str) -> String {
        self.0.words.get(kind, word).map_or_else(|| spoken(word), |known| known.title.clone())
    }

    /// Whether closing with this outcome means that nothing is done.
    pub(super) fn does_nothing(&self, outcome: &str) -> bool {
        self.0.words.does(Kind::Outcome, outcome, Effect::NoFurtherAction)
    }

    /// The catalogue, by class.
    pub(super) fn catalogue(&self) -> Vec<(String, Vec<Choice>)> {
        let agreement = self.0.agreement.agreement();
        let of = |class: &Class| {
            let of = agreement.categories().iter().filter(|(_, known)| known.class == *class);
            of.map(|(code, known)| {
                Choice::new(code.to_string(), format!("{code} – {}", known.title))
            })
            .collect()
        };
        Class::ALL.iter().map(|class| (class_words(*class), of(class))).collect()
    }

    /// A category by its code and title; the code alone when nobody knows it.
    pub(super) fn category_title(&self, code: &str) -> String {
        let parsed = code.parse::<CategoryCode>().ok();
        let title = parsed.and_then(|code| self.0.agreement.agreement().category_title(code));
        title.map_or_else(|| code.to_owned(), |title| format!("{code} – {title}"))
    }

    /// A category in words: its title, its class, and what its request must state besides. `None`: it is in no catalogue.
    pub(super) fn category(&self, code: &str) -> Option<CategoryWords> {
        let code: CategoryCode = code.parse().ok()?;
        let agreement = self.0.agreement.agreement();
        let known = agreement.category(code)?;
        Some(CategoryWords {
            title: format!("{code} – {}", known.title),
            class: class_words(known.class),
            art9: known.special.contains(&Special::Art9),
            art10: known.special.contains(&Special::Art10),
        })
    }
}

/// A category in words.
#[derive(Debug)]
pub(super) struct CategoryWords {
    pub(super) title: String,
    pub(super) class: String,
    pub(super) art9: bool,
    pub(super) art10: bool,
}

/// A class in words.
pub(super) fn class_words(class: Class) -> String {
    let text = match class {
        Class::S1 => "involvement, plan status, protective instruction",
        Class::S2 => "risk summaries and incidents",
        Class::S3 => "special detail",
        Class::S4 => "locations",
    };
    format!("{class}: {text}")
}

fn purpose_choice(purpose: Purpose) -> Choice {
    let hint = match purpose {
        Purpose::ChildSafeguarding => "A child may be at risk of harm.",
        Purpose::AdultSafeguarding => "An adult with care and support needs may be at risk.",
        Purpose::DomesticAbuseSafety => "Somebody may be at risk from a partner or relative.",
        Purpose::EarlyHelp => "A family may need support before things get worse.",
    };
    Choice::new(purpose.word(), spoken(purpose.word())).hint(hint)
}

/// The parts that a person can have.
pub(super) fn roles() -> Vec<Choice> {
    PersonRole::ALL.iter().map(|(_, word)| Choice::new(*word, spoken(word))).collect()
}

/// The colours that a referrer can give, the highest first.
pub(super) fn colours() -> Vec<Choice> {
    Colour::ALL
        .iter()
        .rev()
        .map(|colour| Choice::new(colour.word(), spoken(colour.word())))
        .collect()
}

/// Kinds of names beside the one that a person has now.
pub(super) fn name_kinds() -> Vec<Choice> {
    [NameKind::Former, NameKind::Alias, NameKind::KnownAs]
        .iter()
        .map(|kind| Choice::new(kind.word(), spoken(kind.word())))
        .collect()
}

/// How people can be linked.
pub(super) fn link_kinds() -> Vec<Choice> {
    LinkKind::ALL.iter().map(|kind| Choice::new(kind.word(), link_words(kind.word()))).collect()
}

/// A link in words, between two people.
pub(super) fn link_words(kind: &str) -> String {
    match kind {
        "household" => "lives in one household with".to_owned(),
        "poses_risk_to" => "poses risk to".to_owned(),
        "at_risk_from" => "is at risk from".to_owned(),
        "relative" => "is a relative of".to_owned(),
        "contact_venue" => "meets at a contact venue".to_owned(),
        other => spoken(other).to_lowercase(),
    }
}
