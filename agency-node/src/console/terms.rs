//! What the agreement calls things: agencies by name, categories by title. Nothing here is about anybody.

use std::sync::Arc;

use brag_common::{
    agreement::{Class, Gate, PartyType},
    console::shown::spoken,
    id::{AgencyId, CategoryCode},
    rating::AnalysisBounds,
    reason::Reason,
    time::Timestamp,
};

use crate::node::Shared;

/// The words of the agreement that holds, and the clock.
#[derive(Debug)]
pub(crate) struct Terms(pub(crate) Arc<Shared>);

impl Terms {
    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The agency whose node it is.
    pub(super) fn own(&self) -> &AgencyId {
        &self.0.config.agency
    }

    pub(super) fn own_kind(&self) -> Option<PartyType> {
        self.0.agreement.agreement().party(self.own()).map(|party| party.kind())
    }

    /// An agency by the name that the agreement gives it, with its id; the id alone when it is no party.
    pub(super) fn agency(&self, id: &str) -> String {
        let party = id.parse::<AgencyId>().ok();
        let agreement = self.0.agreement.agreement();
        let party = party.and_then(|id| agreement.party(&id).map(|party| party.name().to_owned()));
        party.map_or_else(|| id.to_owned(), |name| format!("{name} ({id})"))
    }

    /// A category by its title, with its code.
    pub(super) fn category(&self, code: &str) -> String {
        let parsed = code.parse::<CategoryCode>().ok();
        let agreement = self.0.agreement.agreement();
        let title = parsed.and_then(|code| agreement.category_title(code));
        title.map_or_else(|| code.to_owned(), |title| format!("{title} ({code})"))
    }

    /// How sensitive a category is, in words; empty for one that is not in the catalogue.
    pub(super) fn class_words(&self, code: CategoryCode) -> &'static str {
        let agreement = self.0.agreement.agreement();
        match agreement.category(code).map(|category| category.class) {
            Some(Class::S1) => "Involvement, plan status or a protective instruction (S1)",
            Some(Class::S2) => "Risk summaries and incidents (S2)",
            Some(Class::S3) => "Special detail (S3)",
            Some(Class::S4) => "Locations (S4)",
            None => "",
        }
    }

    /// Every category of the catalogue: its code, and its title with the code.
    pub(super) fn categories(&self) -> Vec<(String, String)> {
        let agreement = self.0.agreement.agreement();
        let codes = agreement.categories().keys().map(ToString::to_string);
        codes.map(|code| (code.clone(), self.category(&code))).collect()
    }

    /// Every party: its id, and its name with the id.
    pub(super) fn parties(&self) -> Vec<(String, String)> {
        let agreement = self.0.agreement.agreement();
        let ids = agreement.parties().map(|party| party.id().to_string());
        ids.map(|id| (id.clone(), self.agency(&id))).collect()
    }

    /// As [`Terms::parties`], without this agency.
    pub(super) fn others(&self) -> Vec<(String, String)> {
        let own = self.own().to_string();
        self.parties().into_iter().filter(|(id, _)| *id != own).collect()
    }

    pub(super) fn forbids_blue_with_domestic_abuse(&self) -> bool {
        self.0.agreement.agreement().rating().forbid_blue_with_domestic_abuse
    }

    pub(super) fn analysis_bounds(&self) -> AnalysisBounds {
        self.0.agreement.agreement().rating().analysis
    }
}

/// A gate in words, with its name.
pub(super) fn gate_words(gate: &str) -> String {
    let known = Gate::from_word(gate);
    known.map_or_else(|| gate.to_owned(), |known| format!("{} ({gate})", capital(known.spoken())))
}

/// A reason in words, with its code.
pub(super) fn reason_words(code: &str) -> String {
    let known = code.parse::<Reason>();
    known.map_or_else(|_| spoken(code), |known| format!("{} ({code})", known.text()))
}

/// With a capital letter.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}", chars.as_str())
}
