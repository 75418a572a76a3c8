//! Obligations in the words that the person reads who is about to open detail.

use super::{clock::in_words, decision::Obligation};
use crate::time::Timestamp;

impl Obligation {
    /// Reads an obligation as it travels, for example `NO_ONWARD` or `DELETE_AFTER=2027-02-16T09:00:00Z`; `None` for
    /// one that this version does not know.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        if let Some(time) = word.strip_prefix("DELETE_AFTER=") {
            return time.parse::<Timestamp>().ok().map(Self::DeleteAfter);
        }
        let without_time = [
            Self::NoOnward,
            Self::SafeguardingPurposeOnly,
            Self::DoNotTellSubject,
            Self::NoHomeContact,
            Self::ThirdPartyRedacted,
            Self::RoleConflictNote,
        ];
        without_time.into_iter().find(|known| known.code() == word)
    }

    /// What it asks of whoever opens the detail.
    #[must_use]
    pub fn text(self) -> String {
        let text = match self {
            Self::NoOnward => {
                "Do not pass it on, inside or outside your agency, without the consent of the agency that released it."
            }
            Self::SafeguardingPurposeOnly => {
                "Use it for safeguarding in this enquiry only: for no other decision about the person."
            }
            Self::DeleteAfter(end) => {
                let end = in_words(end);
                return format!(
                    "The view ends on {end}. Delete by then every note and copy that you have made of it."
                );
            }
            Self::DoNotTellSubject => {
                "Do not let the person know that it was shared: they were not asked, or it would raise the risk."
            }
            Self::NoHomeContact => {
                "Do not write to, telephone or visit the person's home on the strength of it."
            }
            Self::ThirdPartyRedacted => {
                "What is about other people was taken out. Do not try to work out who they are."
            }
            Self::RoleConflictNote => {
                "Your agency otherwise works with a person who poses risk: keep it apart from that work, and from whoever does it."
            }
        };
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [Obligation; 7] {
        [
            Obligation::NoOnward,
            Obligation::SafeguardingPurposeOnly,
            Obligation::DeleteAfter("2027-02-16T09:00:00Z".parse().unwrap()),
            Obligation::DoNotTellSubject,
            Obligation::NoHomeContact,
            Obligation::ThirdPartyRedacted,
            Obligation::RoleConflictNote,
        ]
    }

    #[test]
    fn an_unknown_obligation_is_none() {
        for word in ["", "NO_ONWARDS", "DELETE_AFTER", "DELETE_AFTER=soon", "no_onward"] {
            assert_eq!(Obligation::from_word(word), None, "{word}");
        }
    }

    #[test]
    fn every_obligation_reads_back_and_has_words_of_its_own() {
        let texts: std::collections::BTreeSet<String> = all().map(Obligation::text).into();
        assert_eq!(texts.len(), all().len());
        for obligation in all() {
            assert_eq!(Obligation::from_word(&obligation.to_string()), Some(obligation));
        }
        assert!(all()[2].text().contains("16 Feb 2027, 09:00"));
    }
}
