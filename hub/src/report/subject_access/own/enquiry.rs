//! What one enquiry has about a person, for the whole document; what is about others is counted and left out.

use brag_common::{
    agreement::clock::united_kingdom,
    id::{AgencyId, CategoryCode},
    lint,
    matching::identity::{Identity, Name},
    rating::Topic,
    reason::Reason,
    statement::Body,
    time::Timestamp,
};

use super::{
    super::{
        exemption::{Exemption, by_kind, concerns_another},
        held::About,
        profile,
    },
    Making, MayInclude,
};
use crate::{
    report::{
        document::{Block, Section, Table},
        terms,
    },
    store::shapes::{CellState, OutcomeRecord, ReleaseRecord, SaidRecord},
};

impl Making<'_> {
    /// Everything of one enquiry that is about the person.
    pub(super) fn enquiry(&mut self, about: &About, n: usize) -> Section {
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
        let title = category.and_then(|code| self.agreement.category_title(code));
        title.map_or_else(|| code.to_owned(), |title| format!("{code} {title}"))
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
        // Steps are told in texts about the whole family.
        let steps = whole.steps.len();
        self.out.add("a step of the enquiry: plan, meetings, notes", Exemption::ThirdParty, steps);
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
}

/// What is kept of who somebody is. Where they live, and numbers that lead there, are said to be kept and not repeated: the document
/// may be read by others.
fn identity(canonical: &[u8]) -> Vec<(String, String)> {
    let Ok(identity) = Identity::from_canonical_bytes(canonical) else { return Vec::new() };
    let fact = |term: &str, what: String| (term.to_owned(), what);
    let names: Vec<String> = identity.names().iter().map(Name::full).collect();
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
