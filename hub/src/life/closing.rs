//! What stands in the way of closing an enquiry. It is closed only when every required answer is there, somebody leads, every one of the
//! family has an action, whoever poses risk has one about that risk, and no section 47 decision is awaited. With no further
//! action also not where there is evidence of domestic abuse, and only when two people say so.

use brag_common::id::{AgencyId, PersonRef};

use super::{Picture, case::Case, flags::Flag};

/// Something that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unmet {
    /// What.
    pub condition: Condition,
    /// Of which agency.
    pub agency: Option<AgencyId>,
    /// Of whom.
    pub person: Option<PersonRef>,
}

/// What may stand in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// A required answer is missing.
    MissingRating,
    /// Nobody leads.
    LeadProfessionalMissing,
    /// There is no action for one of the family.
    NoActionForMember,
    /// There is no action about what a person does who poses risk.
    NoActionPerpetrator,
    /// The section 47 decision is not recorded.
    Section47DecisionMissing,
    /// There is evidence of domestic abuse: closing with no further action only.
    DomesticAbuse,
}

impl Condition {
    /// The word for it; that of the flag where there is one.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::MissingRating => Flag::MissingRating.word(),
            Self::LeadProfessionalMissing => Flag::LeadProfessionalMissing.word(),
            Self::NoActionForMember => Flag::NoActionForMember.word(),
            Self::NoActionPerpetrator => Flag::NoActionPerpetrator.word(),
            Self::Section47DecisionMissing => "section_47_decision_missing",
            Self::DomesticAbuse => "domestic_abuse",
        }
    }

    /// Whether it blocks closing with no further action as such.
    #[must_use]
    pub const fn blocks_no_further_action(self) -> bool {
        matches!(self, Self::MissingRating | Self::DomesticAbuse)
    }
}

/// Everything that stands in the way of closing.
#[must_use]
pub fn unmet(case: &Case<'_>, picture: &Picture, no_further_action: bool) -> Vec<Unmet> {
    let mut unmet = Vec::new();
    let mut add = |condition, agency: Option<&AgencyId>, person: Option<&PersonRef>| {
        unmet.push(Unmet { condition, agency: agency.cloned(), person: person.cloned() });
    };
    for (agency, person) in &picture.missing {
        add(Condition::MissingRating, Some(agency), Some(person));
    }
    if case.plan.lead.is_none() {
        add(Condition::LeadProfessionalMissing, None, None);
    }
    for record in &case.record.people {
        let person = &record.person;
        if case.is_member(record) && !case.plan.has_action_about(person) {
            add(Condition::NoActionForMember, None, Some(person));
        }
        if case.poses_risk(record) && !case.plan.addresses_risk_of(person, case.words) {
            add(Condition::NoActionPerpetrator, None, Some(person));
        }
    }
    if picture.section_47.is_some_and(|clock| clock.waits()) {
        add(Condition::Section47DecisionMissing, None, None);
    }
    if no_further_action && case.domestic_abuse() {
        add(Condition::DomesticAbuse, None, None);
    }
    unmet
}
