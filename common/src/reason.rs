//! Reason codes: why a request for detail was refused, or why it waits.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text_form::OneText;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// A stable code for a refusal or a wait. Codes are words of the agreement: they do not change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $(#[doc = $text] #[serde(rename = $code)] $name,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code, for example `THRESHOLD_NOT_MET`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The reason in plain words, for the person who asked.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }

        impl std::str::FromStr for Reason {
            type Err = UnknownReason;

            fn from_str(code: &str) -> Result<Self, UnknownReason> {
                match code {
                    $($code => Ok(Self::$name),)*
                    _ => Err(UnknownReason),
                }
            }
        }

        impl OneText for Reason {
            fn stands(text: &str) -> bool {
                text.parse::<Self>().is_ok()
            }
        }
    };
}

reasons! {
    ThresholdNotMet = "THRESHOLD_NOT_MET", "The ratings and assertions so far do not meet any threshold for this person.";
    ConsentRequired = "CONSENT_REQUIRED", "Below the threshold this needs the person's agreement; ask, if it is safe.";
    ConsentRefused = "CONSENT_REFUSED", "The person was asked and refused.";
    ConsentExpired = "CONSENT_EXPIRED", "The person's agreement has expired.";
    ConsentWithdrawn = "CONSENT_WITHDRAWN", "The person has withdrawn their agreement.";
    CategoryNotInAgreement = "CATEGORY_NOT_IN_AGREEMENT", "The person's agreement does not name this category.";
    CategoryNever = "CATEGORY_NEVER", "The exchange never carries this category; speak to the team instead.";
    CategoryNotInTier = "CATEGORY_NOT_IN_TIER", "A threshold is met, but not one that opens a category this sensitive.";
    RecipientNotParty = "RECIPIENT_NOT_PARTY", "The recipient is not a party to the agreement.";
    RecipientNotInvolved = "RECIPIENT_NOT_INVOLVED", "The recipient has neither a rating nor an accepted action here.";
    RecipientCategoryNotPermitted = "RECIPIENT_CATEGORY_NOT_PERMITTED", "A recipient of this kind may not receive this category.";
    RecipientNotPermittedForGate = "RECIPIENT_NOT_PERMITTED_FOR_GATE", "The threshold that is met does not allow this recipient.";
    RecipientConflict = "RECIPIENT_CONFLICT", "The recipient works only with a person posing risk.";
    SubjectNotInEnquiry = "SUBJECT_NOT_IN_ENQUIRY", "The person is not in this enquiry.";
    PurposeNotPermitted = "PURPOSE_NOT_PERMITTED", "The agreement does not allow this purpose.";
    NecessityMissing = "NECESSITY_MISSING", "The request does not say why the detail is necessary.";
    LawfulBasisIncomplete = "LAWFUL_BASIS_INCOMPLETE", "The request does not state every lawful basis this category needs.";
    AgreementExpired = "AGREEMENT_EXPIRED", "The information sharing agreement is not in force today.";
    AgreementVersionMismatch = "AGREEMENT_VERSION_MISMATCH", "The request or its evidence was made under another version of the agreement.";
    PartyWithdrawn = "PARTY_WITHDRAWN", "A party to this exchange has withdrawn from the agreement.";
    EvidenceUnsigned = "EVIDENCE_UNSIGNED", "A piece of evidence is not validly signed for this enquiry and person.";
    EvidenceStale = "EVIDENCE_STALE", "The evidence is too old, or a newer statement of the same agency replaces it.";
    ThirdPartyData = "THIRD_PARTY_DATA", "The record is also about somebody else.";
    HandlingCode = "HANDLING_CODE", "The record's handling code does not allow it to be shared.";
    RestrictedRecord = "RESTRICTED_RECORD", "The holder has restricted this record.";
    IdentityAmbiguous = "IDENTITY_AMBIGUOUS", "The holder has not settled who this person is in its records.";
    BudgetExceeded = "BUDGET_EXCEEDED", "Too many requests; information governance has been told.";
    LogUnavailable = "LOG_UNAVAILABLE", "The holder can not record the exchange, so nothing may leave.";
    PendingApproval = "PENDING_APPROVAL", "A person at the holder has to approve this.";
    ApproverRefused = "APPROVER_REFUSED", "The approver at the holder refused.";
    ApprovalTimeout = "APPROVAL_TIMEOUT", "Nobody at the holder approved this in time.";
    DisclosureMoreDetrimental = "DISCLOSURE_MORE_DETRIMENTAL", "Sharing would harm the person more than not sharing.";
    NothingHeld = "NOTHING_HELD", "The threshold is met; the holder holds nothing of this category.";
    BlueNotPermittedDa = "BLUE_NOT_PERMITTED_DA", "Blue is not a possible colour where there is evidence of domestic abuse.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// A text that is not a reason code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a reason code")]
pub struct UnknownReason;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_parse_back() {
        for reason in Reason::ALL {
            assert_eq!(reason.code().parse(), Ok(*reason));
        }
        assert_eq!(Reason::ALL.len(), 34);
    }
}
