//! The lawful basis that every request for detail states.

use super::terms::Special;
use crate::reason::Reason;

/// Bases of Article 6 of the UK GDPR that a request may state: legal obligation, vital interests,
/// public task, recognised legitimate interest.
pub const ART6: [&str; 4] = ["UKGDPR_6_1_C", "UKGDPR_6_1_D", "UKGDPR_6_1_E", "UKGDPR_6_1_EA"];

/// Statutory gateways that are in force. Section 16LA of the Children Act 2004 is left out until a
/// commencement regulation brings it into force.
pub const GATEWAYS: [&str; 8] = [
    "CA1989_S47",
    "CA1989_S17",
    "CA2004_S10_S11_S16E",
    "CARE_ACT_S42",
    "CARE_ACT_S45",
    "CDA1998_S115",
    "DA_ACT_2021",
    "COMMON_LAW",
];

/// Whether the person was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedSubject {
    /// They were.
    Asked,
    /// They were not, for this reason, which must not be blank.
    NotAsked(Box<str>),
}

/// What a request states about its lawfulness. A field that is absent or blank is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LawfulBasis {
    /// Basis under Article 6 of the UK GDPR: `UKGDPR_6_1_C`, `_D`, `_E` or `_EA`.
    pub art6: Option<Box<str>>,
    /// Condition of Article 9 for special category data, for example `UKGDPR_9_2_G`.
    pub art9_condition: Option<Box<str>>,
    /// Authority for criminal offence data under Article 10.
    pub art10_authority: Option<Box<str>>,
    /// Paragraph of Schedule 1 to the Data Protection Act 2018, for example `DPA18_SCH1_P18`.
    pub schedule_paragraph: Option<Box<str>>,
    /// Statutory gateway: `CA1989_S47`, `CA1989_S17`, `CA2004_S10_S11_S16E`, `CARE_ACT_S42`,
    /// `CARE_ACT_S45`, `CDA1998_S115`, `DA_ACT_2021` or `COMMON_LAW`.
    pub gateway: Option<Box<str>>,
    /// Why confidentiality may be set aside: agreement, overriding public interest, legal duty.
    pub confidentiality: Option<Box<str>>,
    /// How the person's agreement stands, or why it was not sought.
    pub agreement_status: Option<Box<str>>,
    /// Why this detail is necessary.
    pub necessity: Option<Box<str>>,
    /// Why it is proportionate.
    pub proportionality: Option<Box<str>>,
    /// Whether the person was asked; absent is missing.
    pub asked_subject: Option<AskedSubject>,
}

impl LawfulBasis {
    /// Every field filled in with words of the vocabulary: for cases that are about something else,
    /// and to see whether a complete basis would have made the difference.
    #[must_use]
    pub fn complete() -> Self {
        let field = |text: &str| Some(text.into());
        Self {
            art6: field("UKGDPR_6_1_E"),
            art9_condition: field("UKGDPR_9_2_G"),
            art10_authority: field("DPA18_SCH1_P18"),
            schedule_paragraph: field("DPA18_SCH1_P18"),
            gateway: field("CA2004_S10_S11_S16E"),
            confidentiality: field("overriding public interest"),
            agreement_status: field("not sought: it would raise the risk"),
            necessity: field("to plan the safety of the family"),
            proportionality: field("this category only"),
            asked_subject: Some(AskedSubject::NotAsked("asking would raise the risk".into())),
        }
    }

    /// Checks that everything a category needs is stated.
    ///
    /// # Errors
    /// The reason code: necessity has its own, anything else missing or unknown is incomplete.
    pub(super) fn check<'s>(
        &self,
        special: impl IntoIterator<Item = &'s Special>,
    ) -> Result<(), Reason> {
        if !stated(self.necessity.as_deref()) {
            return Err(Reason::NecessityMissing);
        }
        let asked = match &self.asked_subject {
            Some(AskedSubject::Asked) => true,
            Some(AskedSubject::NotAsked(why)) => !why.trim().is_empty(),
            None => false,
        };
        let always = asked
            && one_of(self.art6.as_deref(), &ART6)
            && one_of(self.gateway.as_deref(), &GATEWAYS)
            && stated(self.confidentiality.as_deref())
            && stated(self.agreement_status.as_deref())
            && stated(self.proportionality.as_deref());
        let special = special.into_iter().all(|article| match article {
            Special::Art9 => {
                stated(self.art9_condition.as_deref()) && stated(self.schedule_paragraph.as_deref())
            }
            Special::Art10 => stated(self.art10_authority.as_deref()),
        });
        if always && special { Ok(()) } else { Err(Reason::LawfulBasisIncomplete) }
    }
}

fn stated(field: Option<&str>) -> bool {
    field.is_some_and(|text| !text.trim().is_empty())
}

fn one_of(field: Option<&str>, known: &[&str]) -> bool {
    field.is_some_and(|text| known.contains(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Clear = fn(&mut LawfulBasis);

    #[test]
    fn refuses_every_single_field_that_is_missing() {
        let clear: [Clear; 9] = [
            |b| b.art6 = None,
            |b| b.art9_condition = None,
            |b| b.art10_authority = None,
            |b| b.schedule_paragraph = None,
            |b| b.gateway = None,
            |b| b.confidentiality = Some(" ".into()),
            |b| b.agreement_status = None,
            |b| b.proportionality = None,
            |b| b.asked_subject = Some(AskedSubject::NotAsked("".into())),
        ];
        for (n, clear) in clear.into_iter().enumerate() {
            let mut basis = LawfulBasis::complete();
            clear(&mut basis);
            assert_eq!(basis.check(Special::ALL), Err(Reason::LawfulBasisIncomplete), "{n}");
        }
        assert_eq!(LawfulBasis::complete().check(Special::ALL), Ok(()));
    }

    #[test]
    fn necessity_has_its_own_reason() {
        let basis = LawfulBasis { necessity: None, ..LawfulBasis::complete() };
        assert_eq!(basis.check(&[]), Err(Reason::NecessityMissing));
    }

    #[test]
    fn special_conditions_are_asked_only_of_special_categories() {
        let basis = LawfulBasis {
            art9_condition: None,
            art10_authority: None,
            schedule_paragraph: None,
            ..LawfulBasis::complete()
        };
        assert_eq!(basis.check(&[]), Ok(()));
    }

    #[test]
    fn refuses_unknown_bases_and_gateways_not_in_force() {
        for gateway in ["CA2004_S16LA", "immigration_act", ""] {
            let basis = LawfulBasis { gateway: Some(gateway.into()), ..LawfulBasis::complete() };
            assert_eq!(basis.check(&[]), Err(Reason::LawfulBasisIncomplete), "{gateway}");
        }
        let consent = LawfulBasis { art6: Some("UKGDPR_6_1_A".into()), ..LawfulBasis::complete() };
        assert_eq!(consent.check(&[]), Err(Reason::LawfulBasisIncomplete));
    }
}
