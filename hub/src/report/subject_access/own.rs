//! The whole document, for a person whom it puts nobody at risk to answer: what the hub keeps about them, from whom, for whom and why,
//! without what is about others.

use std::collections::BTreeSet;

use brag_common::{
    agreement::{Agreement, PartyType},
    id::AgencyId,
    matching::identity::{Identity, Name},
};

use super::{
    exemption::{Exemption, LeftOut},
    held::About,
};
use crate::report::document::{Document, Section, Table};

mod enquiry;

/// An analysis that is left out and may be included, once whoever asks has settled what stands against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MayInclude {
    /// Who wrote it.
    pub agency: AgencyId,
    /// Why it is left out.
    pub why: Exemption,
    /// What it says.
    pub analysis: String,
}

/// The document, with what was left out of it.
#[derive(Debug)]
pub struct Own {
    /// The document.
    pub document: Document,
    /// Analyses that may be included.
    pub may_include: Vec<MayInclude>,
}

/// Makes the document. `include`: agencies whose analyses are included although the program would leave them out.
#[must_use]
pub fn document(
    agreement: &Agreement,
    person: &Identity,
    all: &[About],
    include: &BTreeSet<AgencyId>,
) -> Own {
    let mut making = Making {
        agreement,
        include,
        out: LeftOut::default(),
        told: BTreeSet::new(),
        sources: BTreeSet::new(),
        purposes: BTreeSet::new(),
        may_include: Vec::new(),
    };
    let certain: Vec<&About> = all.iter().filter(|about| !about.unclear).collect();
    let unclear = all.len().saturating_sub(certain.len());
    making.out.add("an enquiry", Exemption::IdentityUnclear, unclear);
    let mut enquiries: Vec<Section> =
        certain.iter().zip(1..).map(|(about, n)| making.enquiry(about, n)).collect();
    let mut sections = vec![making.confirmation(certain.len())];
    sections.append(&mut enquiries);
    if !certain.is_empty() {
        sections.extend(making.about_the_data());
    }
    sections.push(making.left_out());
    sections.extend(rights(agreement));
    Own { document: frame(person, sections), may_include: making.may_include }
}

/// A document for a person, in its frame. The name is the one that they were asked about by, not one that is kept.
pub(super) fn frame(person: &Identity, sections: Vec<Section>) -> Document {
    let name = person.current_name().map(Name::full);
    Document {
        kind: "subject_access",
        title: "What is held about you (UK GDPR Article 15)".to_owned(),
        shared: false,
        facts: vec![
            ("About".to_owned(), name.unwrap_or_default()),
            ("Born".to_owned(), person.birth().to_string()),
        ],
        sections,
    }
}

/// What a person may do, and whom they may complain to; the same for everybody.
pub(super) fn rights(agreement: &Agreement) -> [Section; 4] {
    [
        Section::new("rights", "Your rights").list([
            "to have what is wrong corrected (Article 16)",
            "to have data erased where the law says so (Article 17)",
            "to have its use restricted (Article 18)",
            "to object to its use (Article 21)",
        ])
        .text(format!("Write to: {}.", agreement.contacts().data_protection_officer)),
        Section::new("complaint", "If you are not content")
            .text("You may complain to the Information Commissioner: Information Commissioner's Office, Wycliffe House, Water Lane, Wilmslow, \
                   Cheshire SK9 5AF; telephone 0303 123 1113; ico.org.uk. You may also go to court."),
        Section::new("automated", "Automated decisions")
            .text("None. Every assessment is made by a person, no score is computed, and no decision with legal effect is made by a program."),
        Section::new("transfers", "Transfers to other countries")
            .slot("safeguards", "Whether anything is kept or sent outside of the United Kingdom, and under which safeguards (Article 15(2))."),
    ]
}

/// A document that is being made.
struct Making<'a> {
    agreement: &'a Agreement,
    include: &'a BTreeSet<AgencyId>,
    out: LeftOut,
    told: BTreeSet<String>,
    sources: BTreeSet<String>,
    purposes: BTreeSet<String>,
    may_include: Vec<MayInclude>,
}

impl Making<'_> {
    fn confirmation(&self, n: usize) -> Section {
        let section = Section::new("confirmation", "Whether data about you is kept");
        if n == 0 {
            return section.text("No: nothing is kept that is known to be about you.");
        }
        section.text(format!(
            "Yes. The hub of {} keeps personal data about you, in {n} {}. What each agency keeps itself, that agency gives out: ask \
             it directly.",
            self.agreement.id(),
            if n == 1 { "enquiry" } else { "enquiries" }
        ))
    }

    fn name(&self, agency: &AgencyId) -> String {
        let party = self.agreement.party(agency);
        party.map_or_else(|| agency.to_string(), |party| format!("{} ({agency})", party.name()))
    }

    fn kind(&self, agency: &AgencyId) -> Option<PartyType> {
        self.agreement.party(agency).map(|party| party.kind())
    }

    fn about_the_data(&self) -> [Section; 5] {
        let kept = self.agreement.retention();
        [
            Section::new("purposes", "What for").list(&self.purposes),
            Section::new("categories", "What kinds of data").list([
                "who you are: names, date of birth, sex, numbers, addresses",
                "your part in an enquiry",
                "how concerned agencies are about you: a colour, and why",
                "requests for detail about you, and what was decided; the detail itself is not at the hub",
                "what you said about sharing",
            ]),
            Section::new("recipients", "Who has received it")
                .text("These agencies were told that you are asked about because they know you, or have received detail about you. Agencies that do not know you can \
                       not tell who was asked about. Staff of the hub see what is above; holders of detail are shown colours when they decide.")
                .list(&self.told),
            Section::new("sources", "Where it comes from").list(&self.sources),
            Section::new("retention", "How long it is kept").text(format!(
                "Colours and reasons: {} after the enquiry is closed. Records of who did what, without names: {}.",
                kept.ratings_after_close, kept.audit_log
            )),
        ]
    }

    fn left_out(&self) -> Section {
        let rows = self.out.iter().map(|(what, why, n)| {
            [what.to_owned(), n.to_string(), why.code().to_owned(), why.title().to_owned()]
        });
        Section::new("left-out", "What is left out, and why").table(Table::texts(
            "left-out-table",
            "Left out",
            ["What", "How many", "Code", "Because it is"],
            rows,
        ))
    }
}
