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
}
