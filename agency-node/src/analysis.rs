//! The words of an analysis: within the agreement's length, and naming nobody whom the node has been told of.

use brag_common::{
    durable::StoreError,
    id::EnquiryRef,
    lint,
    matching::identity::{CanonicalIdentity, Identity},
    rating::{Analysis, AnalysisBounds},
};

use crate::store::Store;

/// Who may not be named in an enquiry: the people whose identity the node has been told, as they were asked about and as the agency
/// has them on record. People linked to them, whose names it was not told, it can not look for.
#[derive(Debug, Default)]
pub struct Named(Vec<CanonicalIdentity>);

impl Named {
    /// Those of an enquiry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn in_enquiry(store: &Store, enquiry: &EnquiryRef) -> Result<Self, StoreError> {
        let mut named = Self::default();
        for (_, known) in store.people_in(enquiry)? {
            let Some(opened) = known.opened else { continue };
            named.0.extend(CanonicalIdentity::decode(&opened.identity).ok());
            if let Some(record) = store.person(opened.record)? {
                named.0.extend(CanonicalIdentity::decode(&record.identity).ok());
            }
        }
        Ok(named)
    }

    /// And these.
    pub fn and(&mut self, identity: &CanonicalIdentity) {
        self.0.push(identity.clone());
    }

    /// A text as an analysis, when it may be one.
    ///
    /// # Errors
    /// When it is not within the bounds, or says who or where somebody is: in words for whoever wrote it, which do not
    /// repeat it.
    pub fn analysis(&self, text: &str, bounds: AnalysisBounds) -> Result<Analysis, String> {
        let analysis = Analysis::parse(text, bounds).map_err(|error| error.to_string())?;
        let people: Vec<&Identity> = self.0.iter().map(CanonicalIdentity::identity).collect();
        lint::check(analysis.as_str(), &people).map_err(|error| error.to_string())?;
        Ok(analysis)
    }

    /// Everything that keeps a text from being an analysis, in words, for whoever is writing it: each finding of the linter with the part
    /// of their own text that it is about. Empty: it may be sent.
    #[must_use]
    pub fn problems(&self, text: &str, bounds: AnalysisBounds) -> Vec<String> {
        let length = Analysis::parse(text, bounds).err().map(|error| error.to_string());
        let people: Vec<&Identity> = self.0.iter().map(CanonicalIdentity::identity).collect();
        // Places count from the first character that is sent.
        let text = text.trim();
        let said = lint::findings(text, &people).into_iter().map(|finding| {
            let n_chars = (finding.to + 1).saturating_sub(finding.from);
            let there: String =
                text.chars().skip(finding.from.saturating_sub(1)).take(n_chars).collect();
            format!("“{there}” is {}: say it in other words", finding.found)
        });
        length.into_iter().chain(said).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: AnalysisBounds = AnalysisBounds { min_chars: 10, max_chars: 60 };

    #[test]
    fn each_problem_is_told_with_the_words_that_it_is_about() {
        let problems =
            Named::default().problems("  Hides at 12 Mill Lane, call 07700 900123  ", BOUNDS);
        assert_eq!(
            problems,
            [
                "“12 Mill Lane” is a street or an address: say it in other words",
                "“07700 900123” is a telephone number: say it in other words"
            ]
        );
        assert_eq!(
            Named::default().problems("Missed four appointments.", BOUNDS),
            [] as [String; 0]
        );
    }

    #[test]
    fn a_text_that_is_too_long_is_still_searched() {
        let long = format!("{} EX4 6QD", "word ".repeat(20));
        let problems = Named::default().problems(&long, BOUNDS);
        assert_eq!(problems.len(), 2);
        assert!(problems[0].contains("the agreement asks for 10 to 60"), "{problems:?}");
        assert!(problems[1].starts_with("“EX4 6QD” is a postcode"), "{problems:?}");
    }
}
