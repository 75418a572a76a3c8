//! What the hub keeps about a person, enquiry by enquiry, as values; and what the signed statements among it say.

use brag_common::{
    id::{EnquiryRef, PersonRef},
    matching::identity::Identity,
    statement::Statement,
};

use crate::{store::shapes::PersonRecord, view::Whole};

/// One enquiry in which the person was asked about, or may have been.
#[derive(Debug)]
pub struct About {
    /// The enquiry.
    pub enquiry: EnquiryRef,
    /// The person in it.
    pub person: PersonRef,
    /// Nobody has settled that it is the same person.
    pub unclear: bool,
    /// Everything that is kept of the enquiry.
    pub whole: Whole,
}

impl About {
    /// The person's own record; absent when the enquiry does not have it, which a sound store does not do.
    #[must_use]
    pub fn record(&self) -> Option<&PersonRecord> {
        self.whole.record.person(&self.person)
    }

    /// Who the people of the enquiry are, as far as they can be read.
    #[must_use]
    pub fn identities(&self) -> Vec<Identity> {
        let people = self.whole.record.people.iter();
        people.filter_map(|one| Identity::from_canonical_bytes(&one.identity).ok()).collect()
    }

    /// What agencies have stated in the enquiry. Each was verified when it came in; here they are only read.
    pub fn statements(&self) -> impl Iterator<Item = Statement> + '_ {
        self.whole.statements.iter().filter_map(|kept| kept.signed.read_unverified().ok())
    }
}
