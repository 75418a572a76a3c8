//! A draft: the document that would be issued, and notes for whoever reviews it. Pure.

use std::collections::BTreeSet;

use brag_common::{
    agreement::Agreement, audit::entry::Digest, id::AgencyId, matching::identity::Identity,
};

use super::{
    approvals,
    held::About,
    own::{self, MayInclude},
    profile::{self, Cause},
    safe,
};
use crate::report::{
    document::{Block, Document, Section, Table},
    json::json,
};

/// A draft.
#[derive(Debug)]
pub struct Draft {
    /// What would be issued.
    pub document: Document,
    /// Why the safety profile applies; empty: it does not.
    pub causes: Vec<Cause>,
    may_include: Vec<MayInclude>,
    n_held: usize,
    n_unclear: usize,
}

impl Draft {
    /// Makes the draft from all that is held. `include`: agencies whose analyses are included although the program proposes to leave them
    /// out; under the safety profile it says nothing.
    #[must_use]
    pub fn new(
        agreement: &Agreement,
        person: &Identity,
        all: &[About],
        include: &BTreeSet<AgencyId>,
    ) -> Self {
        let causes = profile::causes(all);
        let n_unclear = all.iter().filter(|about| about.unclear).count();
        let (document, may_include) = if causes.is_empty() {
            let own = own::document(agreement, person, all, include);
            (own.document, own.may_include)
        } else {
            (safe::document(agreement, person, n_unclear < all.len()), Vec::new())
        };
        Self { document, causes, may_include, n_held: all.len(), n_unclear }
    }

    /// Whether the safety profile applies.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        !self.causes.is_empty()
    }

    /// How many people other than the one who asked have to approve it.
    #[must_use]
    pub fn needed(&self) -> usize {
        approvals::needed(self.is_safe())
    }

    /// The digest by which it is approved: of the document alone, under the request's own salt, for what stands in it can be guessed.
    #[must_use]
    pub fn digest(&self, salt: &[u8; 32]) -> Digest {
        let document = json(&self.document).to_string();
        let domain: &[u8] = b"brag-exchange/v1/subject-access-draft\0";
        Digest::of(&[domain, salt, document.as_bytes()].concat())
    }

    /// The document with notes before it, for reading and not for giving out. Under the safety profile the notes too name no agency.
    #[must_use]
    pub fn with_notes(&self, request: u64, digest: Digest, given: usize) -> Document {
        let mut document = self.document.clone();
        document.title = format!("DRAFT, NOT TO BE GIVEN OUT: {}", document.title);
        document.facts.extend([
            ("Request".to_owned(), request.to_string()),
            ("Draft".to_owned(), digest.to_string()),
            ("Approvals".to_owned(), format!("{given} of {}", self.needed())),
        ]);
        document.sections.insert(0, self.notes());
        document
    }

    fn notes(&self) -> Section {
        let section = Section::new("review", "For whoever reviews this draft")
            .block(Block::Warning("This part is not in the document that is issued.".to_owned()))
            .block(Block::Facts(vec![
                ("Enquiries found".to_owned(), self.n_held.to_string()),
                ("Of these unclear".to_owned(), self.n_unclear.to_string()),
                (
                    "Safety profile".to_owned(),
                    if self.is_safe() { "APPLIES" } else { "no" }.to_owned(),
                ),
            ]));
        if self.is_safe() { self.notes_on_safety(section) } else { self.notes_on_analyses(section) }
    }

    fn notes_on_safety(&self, section: Section) -> Section {
        let rows = self
            .causes
            .iter()
            .map(|cause| [cause.enquiry.to_string(), cause.because.text().to_owned()]);
        section
            .table(Table::texts(
                "review-causes",
                "Why the safety profile applies",
                ["Enquiry", "Because"],
                rows,
            ))
            .list([
                "Nothing that is kept about anybody is in the document. Do not add to it: an agency, a colour or a date can tell who spoke.",
                "Consider whether even to confirm that data is kept would put somebody at risk (DPA 2018 Schedule 2 paragraph 2, Schedule 3).",
                "Two people other than the one who asked approve it.",
            ])
    }

    fn notes_on_analyses(&self, section: Section) -> Section {
        let rows = self.may_include.iter().map(|one| {
            let (why, title) = (one.why.code().to_owned(), one.why.title().to_owned());
            [one.agency.to_string(), one.analysis.clone(), why, title]
        });
        section
            .table(Table::texts(
                "review-analyses",
                "Analyses that are left out and may be included (`--analyses-of`, with a new request)",
                ["Agency", "Analysis", "Code", "Because it is"],
                rows,
            ))
            .list([
                "Read every analysis that is in the document: one that describes another person has to go out.",
                "Where the code is DPA18_SCH3, include it only with the opinion of the appropriate professional.",
                "Find out who asks, and where the document will be read. One person other than the one who asked approves it.",
            ])
    }
}
