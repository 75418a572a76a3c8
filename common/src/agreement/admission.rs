//! Who may receive: the rules that do not depend on a gate, then those that do.

use super::{
    facts::{Facts, Rating},
    gates::valid_consents,
    model::Agreement,
    moment::Request,
    party::Party,
    terms::{Class, Gate, Requirement},
    values::Cell,
};
use crate::{
    id::{AgencyId, CategoryCode, PersonRef},
    rating::Basis,
    reason::Reason,
    time::Timestamp,
};

/// The protective instruction: what a recipient must do, not what is known about somebody.
pub(super) const PROTECTIVE_INSTRUCTION: u8 = 71;

/// One recipient of one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recipient<'a> {
    pub(super) agreement: &'a Agreement,
    pub(super) facts: &'a Facts,
    pub(super) request: &'a Request,
    pub(super) party: &'a Party,
    pub(super) class: Class,
    pub(super) now: Timestamp,
}

/// What let a recipient past the rules that do not depend on a gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Admission {
    /// An exception was needed that asks for a person's approval.
    pub(super) needs_review: bool,
    /// An accepted action has lifted a conflict.
    pub(super) conflict_lifted: bool,
}

/// How a recipient may receive under a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Involvement {
    /// In its own right, or because the person agreed.
    Full,
    /// By an exception that asks for a person's approval.
    ForReview,
}

impl Recipient<'_> {
    /// Allow-list, conflict of role, client-only kinds; in this order.
    pub(super) fn admit(&self) -> Result<Admission, Reason> {
        let kind = self.party.kind();
        let category = self.request.category;
        let by_consent = self.consented();
        let as_specialist = self.is_prompted_specialist();
        let mut admission = Admission::default();

        let listed = self.agreement.allow_list(kind).is_none_or(|list| list.contains(&category));
        if !listed && !by_consent {
            if !as_specialist {
                return Err(self.not_permitted());
            }
            admission.needs_review = true;
        }
        if self.class == Class::S1 {
            return Ok(admission);
        }

        let has_action = self.has_action(|_| true);
        if self.has_conflict() {
            if !has_action {
                return Err(Reason::RecipientConflict);
            }
            admission.conflict_lifted = true;
            admission.needs_review = true;
        }
        let is_client = self.works_with(|person| *person == self.request.person);
        if self.agreement.is_client_only(kind) && !is_client && !by_consent {
            if !has_action && !as_specialist {
                return Err(self.not_permitted());
            }
            admission.needs_review = true;
        }
        Ok(admission)
    }

    /// Whether this recipient may receive under an open gate.
    pub(super) fn may_receive(&self, gate: Gate, cell: &Cell) -> Result<Involvement, Reason> {
        if cell.recipients.as_ref().is_some_and(|only| !only.contains(self.party.id())) {
            return Err(Reason::RecipientNotPermittedForGate);
        }
        if gate == Gate::G1 {
            return self.named_in_consent();
        }
        let subject = &self.request.person;
        let involved = if self.is_protective_instruction() && self.may_be_instructed() {
            true
        } else if gate == Gate::G2 {
            self.is_involved(|person| person == subject)
        } else {
            self.is_core() || self.is_involved(|_| true)
        };
        if involved || self.consented() {
            Ok(Involvement::Full)
        } else if self.is_prompted_specialist() {
            Ok(Involvement::ForReview)
        } else {
            Err(Reason::RecipientNotInvolved)
        }
    }

    fn named_in_consent(&self) -> Result<Involvement, Reason> {
        if self.consented() {
            return Ok(Involvement::Full);
        }
        let category = self.request.category;
        if self.consents().any(|consent| consent.categories.contains(&category)) {
            Err(Reason::RecipientNotPermittedForGate)
        } else {
            Err(Reason::CategoryNotInAgreement)
        }
    }

    /// Why a kind of recipient is refused a category. Where the person's own agreement names the
    /// recipient and merely not the category, that is what has to change.
    fn not_permitted(&self) -> Reason {
        let opens = self.agreement.disclosure(self.class, Gate::G1).is_some();
        let named = self.consents().any(|consent| consent.recipients.contains(self.party.id()));
        if opens && named {
            Reason::CategoryNotInAgreement
        } else {
            Reason::RecipientCategoryNotPermitted
        }
    }

    fn consents(&self) -> impl Iterator<Item = &super::facts::Consent> {
        valid_consents(self.facts, &self.request.person, self.now)
    }

    /// Whether one agreement of the person names both recipient and category.
    fn consented(&self) -> bool {
        self.consents().any(|consent| {
            consent.categories.contains(&self.request.category)
                && consent.recipients.contains(self.party.id())
        })
    }

    fn is_prompted_specialist(&self) -> bool {
        self.agreement.specialist_categories().contains(&self.request.category)
            && self.facts.prompts(self.agreement, self.party.id(), &self.request.person)
    }

    /// Whether all this recipient knows at first hand is people posing risk, and the subject is not
    /// one of them. A rating through a linked person is not first hand. Age does not matter: an old
    /// rating still says with whom the agency works.
    fn has_conflict(&self) -> bool {
        !self.facts.poses_risk(&self.request.person)
            && self.works_with(|_| true)
            && !self.works_with(|person| !self.facts.poses_risk(person))
    }

    /// Whether it has rated somebody from its own record.
    fn works_with(&self, whom: impl Fn(&PersonRef) -> bool) -> bool {
        self.ratings().any(|rating| rating.basis == Basis::Direct && whom(&rating.person))
    }

    fn has_rated(&self, whom: impl Fn(&PersonRef) -> bool) -> bool {
        self.ratings().any(|rating| whom(&rating.person))
    }

    fn ratings(&self) -> impl Iterator<Item = &Rating> {
        let ratings = self.facts.current_ratings(self.agreement).into_iter();
        ratings.filter(|rating| rating.agency == *self.party.id())
    }

    fn has_action(&self, about: impl Fn(&PersonRef) -> bool) -> bool {
        self.facts.accepted_actions.iter().any(|action| {
            action.agency == *self.party.id()
                && self.facts.people.contains(&action.person)
                && about(&action.person)
        })
    }

    fn is_involved(&self, with: impl Fn(&PersonRef) -> bool) -> bool {
        self.has_rated(&with) || self.has_action(&with)
    }

    fn is_core(&self) -> bool {
        self.party.requirement() == Requirement::Core
    }

    fn is_protective_instruction(&self) -> bool {
        Some(self.request.category) == CategoryCode::new(PROTECTIVE_INSTRUCTION)
    }

    /// A protective instruction may go to whoever works with somebody at risk from the subject.
    fn may_be_instructed(&self) -> bool {
        let at_risk = self.facts.at_risk_from(&self.request.person);
        self.is_core() || self.is_involved(|person| at_risk.contains(person))
    }
}

/// The party a recipient is, or why there is none.
pub(super) fn party_of<'a>(agreement: &'a Agreement, id: &AgencyId) -> Result<&'a Party, Reason> {
    agreement.party(id).ok_or(Reason::RecipientNotParty)
}
