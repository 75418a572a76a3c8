//! The decision: a pure and total function. Deny by default; the first failure wins, in the order
//! of [`Stage`].

use std::collections::BTreeSet;

use super::{
    admission::{Admission, Involvement, Recipient, party_of},
    decision::{
        Approvals, Obligation, Outcome, PendingPermit, Permit, PermitParts, RecipientDecision,
        Stage, Step, StepResult,
    },
    facts::{Age, ConsentStatus, EvidenceId, Facts, Rejection},
    gates::{self, later, valid_consents},
    hypothesis,
    model::Agreement,
    moment::{Holding, Identity, Moment, Request},
    terms::{Class, Gate, Mode},
    values::Category,
};
use crate::{id::AgencyId, reason::Reason, time::Timestamp};

/// Decides a request, for each of its recipients in the order asked.
#[must_use]
pub fn decide(
    agreement: &Agreement,
    request: &Request,
    facts: &Facts,
    moment: &Moment,
) -> Vec<RecipientDecision> {
    let decide_one = |recipient: &AgencyId| {
        let (outcome, trace) = evaluate(agreement, request, facts, moment, recipient);
        let would_be_released_if = match outcome {
            Outcome::Release(_) | Outcome::Review(_) => Vec::new(),
            Outcome::Deny(_) => hypothesis::all(agreement, request, facts, moment, recipient),
        };
        RecipientDecision { recipient: recipient.clone(), outcome, trace, would_be_released_if }
    };
    request.recipients.iter().map(decide_one).collect()
}

/// One recipient's outcome and its trace.
pub(super) fn evaluate(
    agreement: &Agreement,
    request: &Request,
    facts: &Facts,
    moment: &Moment,
    recipient: &AgencyId,
) -> (Outcome, Vec<Step>) {
    let mut evaluation =
        Evaluation { agreement, request, facts, moment, recipient, trace: Vec::new() };
    let outcome = evaluation.run().unwrap_or_else(Outcome::Deny);
    (outcome, evaluation.trace)
}

struct Evaluation<'a> {
    agreement: &'a Agreement,
    request: &'a Request,
    facts: &'a Facts,
    moment: &'a Moment,
    recipient: &'a AgencyId,
    trace: Vec<Step>,
}

/// The gate a release goes by.
#[derive(Debug, Clone, Copy)]
struct Way {
    gate: Gate,
    mode: Mode,
}

impl<'a> Evaluation<'a> {
    fn run(&mut self) -> Result<Outcome, Reason> {
        self.check_log()?;
        self.check_agreement()?;
        self.check_enquiry()?;
        self.check_identity()?;
        let category = self.check_never()?;
        let (recipient, admission) = self.check_recipient(category)?;
        self.check_lawful_basis(category)?;
        self.check_evidence()?;
        let way = self.best_way(&recipient, admission)?;
        let (mode, redacted) = self.check_holder(way.mode)?;
        let permit = self.permit(way.gate, category.class, admission, redacted);
        Ok(match mode {
            Mode::Auto => Outcome::Release(permit),
            Mode::Review => Outcome::Review(PendingPermit::new(permit, Approvals::One)),
            Mode::Review2 => Outcome::Review(PendingPermit::new(permit, Approvals::Two)),
        })
    }

    fn check_log(&mut self) -> Result<(), Reason> {
        self.check(Stage::Log, "writable", self.moment.log_available, Reason::LogUnavailable)
    }

    fn check_agreement(&mut self) -> Result<(), Reason> {
        let now = self.moment.now;
        let in_force = self.agreement.in_force(now);
        self.check(Stage::Agreement, "in_force", in_force, Reason::AgreementExpired)?;
        let matches = self.moment.agreement_matches;
        self.check(Stage::Agreement, "version", matches, Reason::AgreementVersionMismatch)?;
        let holder = self.agreement.party(&self.request.holder);
        let holder = holder.is_some_and(|party| party.in_force(now));
        self.check(Stage::Agreement, "holder_in_force", holder, Reason::PartyWithdrawn)?;
        // Somebody who never was a party is told so at the recipient's stage.
        let recipient = self.agreement.party(self.recipient);
        let recipient = recipient.is_none_or(|party| party.in_force(now));
        self.check(Stage::Agreement, "recipient_in_force", recipient, Reason::PartyWithdrawn)
    }

    fn check_enquiry(&mut self) -> Result<(), Reason> {
        // A closed enquiry has nobody in it.
        let open = self.moment.enquiry_open;
        self.check(Stage::Enquiry, "open", open, Reason::SubjectNotInEnquiry)?;
        let named = self.facts.people.contains(&self.request.person);
        self.check(Stage::Enquiry, "subject", named, Reason::SubjectNotInEnquiry)?;
        let allowed =
            self.request.purpose.is_some_and(|word| self.agreement.purposes().contains(&word));
        self.check(Stage::Enquiry, "purpose", allowed, Reason::PurposeNotPermitted)?;
        let within = self.moment.within_budget;
        self.check(Stage::Enquiry, "budget", within, Reason::BudgetExceeded)
    }

    fn check_identity(&mut self) -> Result<(), Reason> {
        let resolved = self.moment.identity == Identity::Resolved;
        self.check(Stage::Identity, "resolved", resolved, Reason::IdentityAmbiguous)
    }

    /// A category that the catalogue does not list is not carried either.
    fn check_never(&mut self) -> Result<&'a Category, Reason> {
        let category = self.agreement.category(self.request.category);
        let rule = format!("category.{}", self.request.category);
        self.check(Stage::Never, &rule, category.is_some(), Reason::CategoryNever)?;
        category.ok_or(Reason::CategoryNever)
    }

    fn check_recipient(
        &mut self,
        category: &Category,
    ) -> Result<(Recipient<'a>, Admission), Reason> {
        let party =
            self.noted(Stage::Recipient, "party", party_of(self.agreement, self.recipient))?;
        let recipient = Recipient {
            agreement: self.agreement,
            facts: self.facts,
            request: self.request,
            party,
            class: category.class,
            now: self.moment.now,
        };
        let rule = format!("recipients.{}", party.kind());
        let admission = self.noted(Stage::Recipient, &rule, recipient.admit())?;
        if admission.conflict_lifted {
            self.step(Stage::Recipient, "accepted_action", StepResult::Met, BTreeSet::new());
        } else if admission.needs_review {
            self.step(Stage::Recipient, "reviewed_exception", StepResult::Met, BTreeSet::new());
        }
        Ok((recipient, admission))
    }

    fn check_lawful_basis(&mut self, category: &Category) -> Result<(), Reason> {
        let stated = self.request.basis.check(&category.special);
        self.noted(Stage::LawfulBasis, "stated", stated)
    }

    /// One forged piece spoils the request: somebody is lying, and has to be found.
    fn check_evidence(&mut self) -> Result<(), Reason> {
        let worst = [Rejection::Unsigned, Rejection::AgreementVersionMismatch];
        for rejection in worst {
            let clean = !self.facts.rejected.iter().any(|item| item.rejection == rejection);
            let rule = match rejection {
                Rejection::Unsigned => "signed",
                Rejection::AgreementVersionMismatch | Rejection::Stale => "version",
            };
            self.check(Stage::Evidence, rule, clean, rejection.reason())?;
        }
        Ok(())
    }

    /// The widest mode among open gates that open the class for this recipient.
    fn best_way(&mut self, recipient: &Recipient<'_>, admission: Admission) -> Result<Way, Reason> {
        let open = gates::open(self.agreement, self.facts, &self.request.person, self.moment.now);
        if open.is_empty() {
            let reason = self.no_gate();
            return self.noted(Stage::Gate, "open", Err(reason));
        }
        let mut best: Option<Way> = None;
        let mut first_refusal = None;
        for (gate, evidence) in open.iter() {
            self.step(Stage::Gate, gate.word(), StepResult::Met, evidence.clone());
            let rule = format!("disclosure.{}.{gate}", recipient.class);
            let Some(cell) = self.agreement.disclosure(recipient.class, gate) else {
                let result = StepResult::NotMet(Reason::CategoryNotInTier);
                self.step(Stage::Disclosure, &rule, result, BTreeSet::new());
                continue;
            };
            let involvement = match recipient.may_receive(gate, cell) {
                Ok(involvement) => involvement,
                Err(reason) => {
                    first_refusal = first_refusal.or(Some(reason));
                    self.step(Stage::Gate, &rule, StepResult::NotMet(reason), BTreeSet::new());
                    continue;
                }
            };
            self.step(Stage::Disclosure, &rule, StepResult::Met, BTreeSet::new());
            let needs_review = admission.needs_review || involvement == Involvement::ForReview;
            let mode = if needs_review { cell.mode.max(Mode::Review) } else { cell.mode };
            // Strictly wider: on a tie the first gate in order stays.
            if best.is_none_or(|way| mode < way.mode) {
                best = Some(Way { gate, mode });
            }
        }
        let reason = first_refusal.unwrap_or(Reason::CategoryNotInTier);
        let stage = if first_refusal.is_some() { Stage::Gate } else { Stage::Disclosure };
        match best {
            Some(way) => {
                let rule = format!("best.{}.{}", way.gate, way.mode);
                self.step(Stage::Disclosure, &rule, StepResult::Met, BTreeSet::new());
                Ok(way)
            }
            None => self.noted(stage, "best", Err(reason)),
        }
    }

    /// Why no gate is open; from the facts of the enquiry, never from what is held.
    fn no_gate(&self) -> Reason {
        let (agreement, facts, now) = (self.agreement, self.facts, self.moment.now);
        let subject = &self.request.person;
        let replaced = facts.rejected.iter().any(|item| {
            item.rejection == Rejection::Stale && item.person.as_ref() == Some(subject)
        });
        if replaced || !gates::open_at_age(agreement, facts, subject, now, Age::Ignored).is_empty()
        {
            return Reason::EvidenceStale;
        }
        // Withdrawal is the last word, then refusal; that an agreement ran out says least.
        let asked = facts.consents.iter().filter(|consent| consent.person == *subject);
        match asked.map(|consent| consent.status_at(now)).min() {
            Some(ConsentStatus::Withdrawn) => Reason::ConsentWithdrawn,
            Some(ConsentStatus::Refused) => Reason::ConsentRefused,
            Some(ConsentStatus::Expired) => Reason::ConsentExpired,
            // A valid agreement opens a gate, so there is none here.
            Some(ConsentStatus::Valid) | None => {
                if gates::anybody_red(agreement, facts, now) {
                    Reason::ThresholdNotMet
                } else {
                    Reason::ConsentRequired
                }
            }
        }
    }

    /// The holder's own rules: stricter, never looser. Gives the mode, and whether to redact.
    fn check_holder(&mut self, mode: Mode) -> Result<(Mode, bool), Reason> {
        let Holding::Held { third_party, restricted, handling_code, more_detrimental } =
            self.moment.holding
        else {
            return self.noted(Stage::Holder, "held", Err(Reason::NothingHeld));
        };
        self.check(Stage::Holder, "held", true, Reason::NothingHeld)?;
        self.check(Stage::Holder, "restricted", !restricted, Reason::RestrictedRecord)?;
        self.check(Stage::Holder, "handling_code", !handling_code, Reason::HandlingCode)?;
        let harmless = !more_detrimental;
        self.check(Stage::Holder, "detriment", harmless, Reason::DisclosureMoreDetrimental)?;
        Ok((if third_party { mode.max(Mode::Review) } else { mode }, third_party))
    }

    fn permit(&self, gate: Gate, class: Class, admission: Admission, redacted: bool) -> Permit {
        let expires = self.expiry(gate);
        let mut obligations = vec![
            Obligation::NoOnward,
            Obligation::SafeguardingPurposeOnly,
            Obligation::DeleteAfter(expires),
        ];
        let agreed = valid_consents(self.facts, &self.request.person, self.moment.now).next();
        if agreed.is_none() {
            obligations.push(Obligation::DoNotTellSubject);
        }
        if class == Class::S4 {
            obligations.push(Obligation::NoHomeContact);
        }
        if redacted {
            obligations.push(Obligation::ThirdPartyRedacted);
        }
        if admission.conflict_lifted {
            obligations.push(Obligation::RoleConflictNote);
        }
        Permit::new(PermitParts {
            holder: self.request.holder.clone(),
            subject: self.request.person.clone(),
            category: self.request.category,
            recipient: self.recipient.clone(),
            gate,
            class,
            expires,
            obligations,
        })
    }

    /// How long the detail can be opened: the gate's time, never beyond the person's agreement under
    /// gate 1, never beyond the partnership's.
    fn expiry(&self, gate: Gate) -> Timestamp {
        let now = self.moment.now;
        let subject = &self.request.person;
        let by_gate = match gate {
            Gate::G5 => gates::marac_expiry(self.agreement, self.facts, subject, now),
            Gate::G1 => {
                let naming = valid_consents(self.facts, subject, now).filter(|consent| {
                    consent.categories.contains(&self.request.category)
                        && consent.recipients.contains(self.recipient)
                });
                let end = naming.map(|c| c.expires.unwrap_or(Timestamp::MAX)).max();
                later(now, self.agreement.view(gate)).min(end.unwrap_or(now))
            }
            Gate::G2 | Gate::G3 | Gate::G4 | Gate::G6 => later(now, self.agreement.view(gate)),
        };
        by_gate.min(self.agreement.ends())
    }

    fn check(
        &mut self,
        stage: Stage,
        rule: &str,
        holds: bool,
        otherwise: Reason,
    ) -> Result<(), Reason> {
        self.noted(stage, rule, if holds { Ok(()) } else { Err(otherwise) })
    }

    fn noted<T>(
        &mut self,
        stage: Stage,
        rule: &str,
        result: Result<T, Reason>,
    ) -> Result<T, Reason> {
        let step = result.as_ref().map_or_else(|r| StepResult::Refused(*r), |_| StepResult::Met);
        self.step(stage, rule, step, BTreeSet::new());
        result
    }

    fn step(
        &mut self,
        stage: Stage,
        rule: &str,
        result: StepResult,
        evidence: BTreeSet<EvidenceId>,
    ) {
        self.trace.push(Step { stage, rule: rule.to_owned(), result, evidence });
    }
}

#[cfg(test)]
mod tests;
