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
    /// The flag that says the same, where there is one.
    #[must_use]
    pub const fn flag(self) -> Option<Flag> {
        match self {
            Self::MissingRating => Some(Flag::MissingRating),
            Self::LeadProfessionalMissing => Some(Flag::LeadProfessionalMissing),
            Self::NoActionForMember => Some(Flag::NoActionForMember),
            Self::NoActionPerpetrator => Some(Flag::NoActionPerpetrator),
            Self::Section47DecisionMissing | Self::DomesticAbuse => None,
        }
    }

    /// The word for it; that of the flag where there is one.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match (self.flag(), self) {
            (Some(flag), _) => flag.word(),
            (None, Self::DomesticAbuse) => "domestic_abuse",
            (None, _) => "section_47_decision_missing",
        }
    }

    /// Whether it blocks closing with no further action as such.
    #[must_use]
    pub const fn blocks_no_further_action(self) -> bool {
        matches!(self, Self::MissingRating | Self::DomesticAbuse)
    }
}

/// What the plan lacks: somebody who leads, an action for every one of the family, and one about the risk that somebody poses. Each is
/// a flag while it is so.
pub(super) fn lacking(case: &Case<'_>) -> Vec<(Condition, Option<PersonRef>)> {
    let mut lacking = Vec::new();
    if case.plan.lead.is_none() {
        lacking.push((Condition::LeadProfessionalMissing, None));
    }
    for record in &case.record.people {
        let person = &record.person;
        if case.is_member(record) && !case.plan.has_action_about(person) {
            lacking.push((Condition::NoActionForMember, Some(person.clone())));
        }
        if case.poses_risk(record) && !case.plan.addresses_risk_of(person, case.words) {
            lacking.push((Condition::NoActionPerpetrator, Some(person.clone())));
        }
    }
    lacking
}

/// Everything that stands in the way of closing.
#[must_use]
pub fn unmet(case: &Case<'_>, picture: &Picture, no_further_action: bool) -> Vec<Unmet> {
    let missing = picture.missing.iter().map(|(agency, person)| Unmet {
        condition: Condition::MissingRating,
        agency: Some(agency.clone()),
        person: Some(person.clone()),
    });
    let of = |(condition, person)| Unmet { condition, agency: None, person };
    let mut unmet: Vec<Unmet> = missing.chain(lacking(case).into_iter().map(of)).collect();
    if picture.section_47.is_some_and(|clock| clock.waits()) {
        unmet.push(of((Condition::Section47DecisionMissing, None)));
    }
    if no_further_action && case.domestic_abuse() {
        unmet.push(of((Condition::DomesticAbuse, None)));
    }
    unmet
}
