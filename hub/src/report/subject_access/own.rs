//! The whole document, for a person whom it puts nobody at risk to answer: what the hub keeps about them, from whom, for whom and why,
//! without what is about others.

use std::collections::BTreeSet;

use brag_common::{
    agreement::{Agreement, PartyType, clock::united_kingdom},
    id::{AgencyId, CategoryCode},
    lint,
    matching::identity::Identity,
    rating::Topic,
    reason::Reason,
    statement::Body,
    time::Timestamp,
};

use super::{
    exemption::{Exemption, LeftOut, by_kind, concerns_another},
    held::About,
    profile,
};
use crate::{
    report::{
        document::{Block, Document, Section, Table},
        terms,
    },
    store::shapes::{CellState, OutcomeRecord, ReleaseRecord, SaidRecord},
};

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
    let name = person.current_name().map(brag_common::matching::identity::Name::full);
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

    /// Everything of one enquiry that is about the person.
    fn enquiry(&mut self, about: &About, n: usize) -> Section {
        let record = &about.whole.record;
        let purpose = terms::spoken(&record.purpose);
        self.purposes.insert(purpose.clone());
        let from = self.name(&record.referral.agency);
        self.sources.insert(from.clone());
        self.sources.insert("the co-ordinator who opened the enquiry".to_owned());
        let fact = |term: &str, what: String| (term.to_owned(), what);
        let mut facts = vec![
            fact("Opened on", day(record.opened_at)),
            fact("What for", purpose),
            fact("Referred by", from),
        ];
        if let Some(own) = about.record() {
            if let Some(role) = own.role {
                facts.push(fact("Your part, as recorded", terms::spoken(role.word())));
            }
            if let Some(initial) = own.initial {
                facts.push(fact("First colour of the referrer", initial.to_string()));
            }
            facts.extend(identity(&own.identity));
        }
        let (ratings, changes) = (self.ratings(about), self.changes(about));
        let (decisions, agreed) = (self.decisions(about), self.agreed(about));
        self.others(about);
        let id = |what: &str| format!("enquiry-{n}-{what}");
        let mut section = Section::new(&format!("enquiry-{n}"), &format!("Enquiry {n}"))
            .block(Block::Facts(facts))
            .table(Table::texts(
                &id("ratings"),
                "How concerned agencies are about you",
                ["Agency", "Colour", "Given on", "Why"],
                ratings,
            ));
        if !changes.is_empty() {
            section = section.table(Table::texts(
                &id("changes"),
                "Colours that were replaced or withdrawn",
                ["Agency", "Colour", "Given on", "Replaced on"],
                changes,
            ));
        }
        section = section.table(Table::texts(
            &id("decisions"),
            "Requests for detail about you, and what was decided",
            ["Holder", "Category", "For", "Asked on", "Decided", "Reason"],
            decisions,
        ));
        if !agreed.is_empty() {
            section = section.table(Table::texts(
                &id("agreed"),
                "What you said about sharing",
                ["Recorded by", "What", "Categories", "For", "Recorded on"],
                agreed,
            ));
        }
        section
    }

    fn ratings(&mut self, about: &About) -> Vec<[String; 4]> {
        let mut rows = Vec::new();
        for (agency, person, cell) in &about.whole.cells {
            if *person != about.person {
                continue;
            }
            let CellState::Answered { said, .. } = &cell.state else {
                if matches!(cell.state, CellState::Pending) {
                    // Whether it was told depends on how far the round has come.
                    self.told.insert(format!("{}, which has not answered", self.name(agency)));
                }
                continue;
            };
            match said {
                SaidRecord::Rated { colour, rated_at, analysis, topics, via, .. } => {
                    // That an agency knows somebody else is that person's data, the agency's name too.
                    let who = if via.is_some() {
                        self.out.add("which agency gave a colour", Exemption::ThirdParty, 1);
                        "an agency, from what it knows of another person".to_owned()
                    } else {
                        let name = self.name(agency);
                        self.told.insert(name.clone());
                        self.sources.insert(name.clone());
                        name
                    };
                    let why = self.analysis(about, agency, (analysis, topics), via.is_some());
                    rows.push([who, colour.to_string(), day(*rated_at), why]);
                }
                SaidRecord::IdentityReview | SaidRecord::Declined(_) => {
                    self.told.insert(self.name(agency));
                }
                SaidRecord::NotKnown | SaidRecord::Possible | SaidRecord::Unable(_) => {}
            }
        }
        rows
    }

    /// An analysis as far as it may be shown. What speaks of somebody else by name, or rests on somebody else's record, is never shown.
    fn analysis(
        &mut self,
        about: &About,
        agency: &AgencyId,
        (text, topics): (&str, &[Topic]),
        via_another: bool,
    ) -> String {
        let identities = about.identities();
        let people: Vec<&Identity> = identities.iter().collect();
        let named = lint::check(text, &people).is_err();
        let never = if via_another || named {
            Some(Exemption::ThirdParty)
        } else if profile::is_child(about) {
            Some(Exemption::ChildAbuse)
        } else {
            None
        };
        let of_others = topics.is_empty() || topics.iter().any(|topic| concerns_another(*topic));
        let proposed =
            if of_others { Some(Exemption::ThirdParty) } else { by_kind(self.kind(agency)) };
        let included = self.include.contains(agency);
        let why = match (never, proposed) {
            (Some(never), _) => never,
            (None, Some(why)) if !included => {
                let (agency, analysis) = (agency.clone(), text.to_owned());
                self.may_include.push(MayInclude { agency, why, analysis });
                why
            }
            (None, Some(_) | None) => return text.to_owned(),
        };
        self.out.add("the reason for a colour", why, 1);
        format!("left out: {}", why.code())
    }

    fn changes(&mut self, about: &About) -> Vec<[String; 4]> {
        let own = about.whole.changes.iter().filter(|change| change.person == about.person);
        let mut rows = Vec::new();
        for change in own {
            let SaidRecord::Rated { colour, rated_at, via, .. } = &change.before else { continue };
            self.out.add("the reason for a former colour", Exemption::ThirdParty, 1);
            if via.is_some() {
                self.out.add("a former colour", Exemption::ThirdParty, 1);
                continue;
            }
            let name = self.name(&change.agency);
            rows.push([name, colour.to_string(), day(*rated_at), day(change.at)]);
        }
        rows
    }

    fn decisions(&mut self, about: &About) -> Vec<[String; 6]> {
        let own = about.whole.releases.iter().filter(|(_, one)| one.person == about.person);
        let mut rows = Vec::new();
        for (_, release) in own {
            // It says that the recipient works with somebody else.
            if matches!(release.outcome, OutcomeRecord::Deny(Reason::RecipientConflict)) {
                self.out.add("a request for detail", Exemption::ThirdParty, 1);
                continue;
            }
            let recipient = self.name(&release.recipient);
            if matches!(release.outcome, OutcomeRecord::Release { .. }) {
                self.told.insert(recipient.clone());
            }
            let (decided, reason) = outcome(release);
            rows.push([
                self.name(&release.holder),
                self.category(&release.category),
                recipient,
                day(release.asked_at),
                decided.to_owned(),
                reason.to_owned(),
            ]);
        }
        rows
    }

    fn category(&self, code: &str) -> String {
        let category = code.parse::<CategoryCode>().ok();
        let category = category.and_then(|code| self.agreement.category(code));
        category.map_or_else(|| code.to_owned(), |category| format!("{code} {}", category.title))
    }

    fn agreed(&mut self, about: &About) -> Vec<[String; 5]> {
        let mut rows = Vec::new();
        for statement in about.statements() {
            let Body::Consent(consent) = &statement.body else { continue };
            if consent.person.person != about.person {
                continue;
            }
            let categories: Vec<String> =
                consent.categories.iter().map(|code| self.category(&code.to_string())).collect();
            let recipients: Vec<String> =
                consent.recipients.iter().map(|agency| self.name(agency)).collect();
            self.sources.insert(self.name(&statement.signer));
            rows.push([
                self.name(&statement.signer),
                consent.state.word().to_owned(),
                categories.join("; "),
                recipients.join("; "),
                day(statement.made_at),
            ]);
        }
        rows
    }

    /// What else the enquiry has, all of which is about others too.
    fn others(&mut self, about: &About) {
        let whole = &about.whole;
        let people = whole.record.people.iter().filter(|one| one.person != about.person).count();
        self.out.add(
            "another person of an enquiry, with all about them",
            Exemption::ThirdParty,
            people,
        );
        let links = whole
            .record
            .links
            .iter()
            .filter(|link| link.from == about.person || link.to == about.person)
            .count();
        self.out.add("a link between you and another person", Exemption::ThirdParty, links);
        let challenges =
            whole.challenges.iter().filter(|(_, one)| one.person == about.person).count();
        self.out.add(
            "what an agency asked another about a colour",
            Exemption::ThirdParty,
            challenges,
        );
        let again = usize::from(whole.record.again_because.is_some());
        self.out.add("why an enquiry was opened again", Exemption::ThirdParty, again);
        for statement in about.statements() {
            match statement.body {
                Body::Assertion(stated)
                    if stated.people.iter().any(|named| named.person == about.person) =>
                {
                    self.out.add("a statement about a legal threshold", Exemption::Crime, 1);
                }
                Body::Link { from, to, .. }
                    if from.person == about.person || to.person == about.person =>
                {
                    let what = "a link between you and another person";
                    self.out.add(what, Exemption::ThirdParty, 1);
                }
                Body::Action { person, .. } if person.person == about.person => {
                    self.out.add("an action that an agency took on", Exemption::SeriousHarm, 1);
                }
                _ => {}
            }
        }
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

/// What is kept of who somebody is. Where they live, and numbers that lead there, are said to be kept and not repeated: the document
/// may be read by others.
fn identity(canonical: &[u8]) -> Vec<(String, String)> {
    let Ok(identity) = Identity::from_canonical_bytes(canonical) else { return Vec::new() };
    let fact = |term: &str, what: String| (term.to_owned(), what);
    let names: Vec<String> =
        identity.names().iter().map(brag_common::matching::identity::Name::full).collect();
    let (addresses, numbers) = (identity.addresses().len(), identity.identifiers().len());
    vec![
        fact("Your names", names.join("; ")),
        fact("Your date of birth", identity.birth().to_string()),
        fact("Addresses of yours", format!("{addresses}, not repeated here; ask to see them")),
        fact("Numbers of yours", format!("{numbers}, not repeated here; ask to see them")),
    ]
}

/// What was decided, and why, in words.
const fn outcome(release: &ReleaseRecord) -> (&'static str, &'static str) {
    match &release.outcome {
        OutcomeRecord::NoResponse => ("not answered", ""),
        OutcomeRecord::Release { .. } if release.retraction.is_some() => {
            ("released, and taken back", "")
        }
        OutcomeRecord::Release { .. } => ("released", ""),
        OutcomeRecord::Review { .. } => ("waits for a person to decide", ""),
        OutcomeRecord::Deny(reason) => ("refused", reason.text()),
    }
}

/// A day, of local time in the United Kingdom.
fn day(at: Timestamp) -> String {
    united_kingdom().map_or_else(String::new, |zone| at.to_zoned(zone).date().to_string())
}
