//! Enquiries made by hand, for the tests of an answer.

use brag_common::{
    agreement::{Agreement, LinkKind},
    audit::entry::Digest,
    id::{AgreementDigest, PersonRef},
    keys::SigningKey,
    matching::identity::{
        Address, BirthDate, CanonicalIdentity, Identity, IdentityParts, Name, NameKind,
    },
    rating::{Colour, Topic},
    reason::Reason,
    secret::SecretBytes,
    statement::{
        Assertion, Body, Consent, ConsentState, PersonIn, PersonRole, Realm, SignedStatement,
        Statement, Threshold,
    },
    time::Timestamp,
};

use super::held::About;
use crate::{
    report::testkit,
    store::shapes::{
        CellRecord, CellState, EnquiryRecord, Link, OutcomeRecord, PersonRecord,
        RatingChangeRecord, Referral, ReleaseRecord, SaidRecord, StatementRecord,
    },
    view::Whole,
};

/// Everything happens then.
pub(super) fn at() -> Timestamp {
    "2027-02-09T11:05:00Z".parse().unwrap()
}

/// The sample agreement.
pub(super) fn agreement() -> Agreement {
    testkit::agreement()
}

/// Somebody with a name and an address of their own.
pub(super) fn called(given: &str, family: &str) -> Identity {
    Identity::new(IdentityParts {
        names: vec![Name::new(NameKind::Current, given, family).unwrap()],
        birth: BirthDate::parse("1988-04-17").unwrap(),
        addresses: vec![Address::new(Some("7 Quarryside"), Some("ZZ9 3AB"), None, None).unwrap()],
        ..IdentityParts::default()
    })
    .unwrap()
}

/// A family that is asked about. People are labelled `P1`, `P2` and so on, in order, which are their references too.
pub(super) struct Family {
    whole: Whole,
}

impl Family {
    pub(super) fn of(people: &[(&Identity, Option<PersonRole>)]) -> Self {
        let people = people.iter().zip(1..).map(|((identity, role), n)| {
            let bytes = identity.canonical_bytes();
            PersonRecord {
                label: format!("P{n}"),
                person: format!("P{n}").parse().unwrap(),
                commitment: CanonicalIdentity::decode(&bytes).unwrap().commitment(&[1; 32]),
                salt: [1; 32],
                identity: bytes,
                role: *role,
                initial: Some(Colour::Amber),
            }
        });
        let record = EnquiryRecord {
            purpose: "domestic_abuse_safety".to_owned(),
            opened_by: "hub.coordinator".parse().unwrap(),
            opened_at: at(),
            answer_by: at(),
            domestic_abuse: true,
            referral: Referral {
                agency: "POL".parse().unwrap(),
                reference: "INC-1".to_owned(),
                incident_at: None,
                received_at: at(),
                source: None,
            },
            people: people.collect(),
            links: Vec::new(),
            again_because: None,
        };
        let whole = Whole {
            record,
            cells: Vec::new(),
            statements: Vec::new(),
            releases: Vec::new(),
            earlier: Vec::new(),
            changes: Vec::new(),
            challenges: Vec::new(),
            steps: Vec::new(),
            flags: Vec::new(),
        };
        Self { whole }
    }

    /// What is held about one of them, with this enquiry as the only one.
    pub(super) fn about(self, label: &str) -> Vec<About> {
        vec![About {
            enquiry: "e1".parse().unwrap(),
            person: label.parse().unwrap(),
            unclear: false,
            whole: self.whole,
        }]
    }

    /// A link as the co-ordinator entered it.
    pub(super) fn link(mut self, from: &str, kind: LinkKind, to: &str) -> Self {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        self.whole.record.links.push(Link { from, to, kind });
        self
    }

    /// An agency's rating, from its own record or by way of another person.
    pub(super) fn rated(
        mut self,
        agency: &str,
        label: &str,
        (colour, analysis, topics): (Colour, &str, &[Topic]),
        via: Option<&str>,
    ) -> Self {
        let said = said(colour, analysis, topics, via);
        let state = CellState::Answered { said, late: false };
        let (agency, person) = (agency.parse().unwrap(), label.parse().unwrap());
        self.whole.cells.push((agency, person, CellRecord { state, since: at() }));
        self
    }

    /// A former rating of an agency, which was replaced.
    pub(super) fn changed(mut self, agency: &str, label: &str, before: Colour) -> Self {
        self.whole.changes.push(RatingChangeRecord {
            agency: agency.parse().unwrap(),
            person: label.parse().unwrap(),
            at: at(),
            before: said(before, "It was so.", &[Topic::Housing], None),
            after: None,
            withdrawn: true,
        });
        self
    }

    /// A request for detail; refused for a reason, or released.
    pub(super) fn asked(
        mut self,
        (holder, label, category): (&str, &str, &str),
        recipient: &str,
        refused: Option<Reason>,
    ) -> Self {
        let outcome = refused.map_or_else(
            || OutcomeRecord::Release {
                gate: "g3".to_owned(),
                obligations: Vec::new(),
                view_expires_at: at(),
                relayed: true,
            },
            OutcomeRecord::Deny,
        );
        let record = ReleaseRecord {
            holder: holder.parse().unwrap(),
            person: label.parse().unwrap(),
            category: category.to_owned(),
            recipient: recipient.parse().unwrap(),
            asked_by: "hub.coordinator".parse().unwrap(),
            asked_at: at(),
            outcome,
            trace: Vec::new(),
            would_be_released_if: Vec::new(),
            contact_route: String::new(),
            retraction: None,
        };
        let name = format!("r{}", self.whole.releases.len()).parse().unwrap();
        self.whole.releases.push((name, record));
        self
    }

    /// An agency states somebody's part.
    pub(super) fn stated(self, agency: &str, label: &str, role: PersonRole) -> Self {
        let person = self.person(label);
        self.says(agency, Body::Role { person, role })
    }

    /// An agency states a link.
    pub(super) fn linked(self, agency: &str, from: &str, kind: LinkKind, to: &str) -> Self {
        let (from, to) = (self.person(from), self.person(to));
        self.says(agency, Body::Link { from, to, kind })
    }

    /// An agency states section 47 of somebody.
    pub(super) fn section_47(self, agency: &str, label: &str) -> Self {
        let people = vec![self.person(label)];
        self.says(agency, Body::Assertion(Assertion { threshold: Threshold::Section47, people }))
    }

    /// An agency records that somebody agrees to one category for one recipient.
    pub(super) fn agrees(self, agency: &str, label: &str, category: &str, recipient: &str) -> Self {
        let consent = Consent {
            person: self.person(label),
            state: ConsentState::Valid,
            categories: [category.parse().unwrap()].into(),
            recipients: [recipient.parse().unwrap()].into(),
            expires_at: None,
            asked_by: None,
        };
        self.says(agency, Body::Consent(consent))
    }

    fn person(&self, label: &str) -> PersonIn {
        let person: PersonRef = label.parse().unwrap();
        let commitment = self.whole.record.person(&person).unwrap().commitment;
        PersonIn { person, commitment }
    }

    fn says(mut self, agency: &str, body: Body) -> Self {
        let agreement = AgreementDigest::from_bytes(*Digest::of(b"agreement").as_bytes());
        let statement = Statement {
            id: format!("s{}", self.whole.statements.len()).parse().unwrap(),
            signer: agency.parse().unwrap(),
            agreement,
            enquiry: "e1".parse().unwrap(),
            made_at: at(),
            made_by: None,
            body,
        };
        let realm = Realm {
            trust_domain: "exampleshire-ofd".to_owned(),
            environment: "test".to_owned(),
            agreement,
        };
        let key = SigningKey::from_seed(SecretBytes::new([3; 32])).unwrap();
        let signed = SignedStatement::sign(&statement, &realm, &key);
        self.whole.statements.push(StatementRecord { signed, received_at: at() });
        self
    }
}

fn said(colour: Colour, analysis: &str, topics: &[Topic], via: Option<&str>) -> SaidRecord {
    SaidRecord::Rated {
        colour,
        rated_at: at(),
        analysis: analysis.to_owned(),
        topics: topics.to_vec(),
        via: via.map(|label| label.parse().unwrap()),
        by: Some("x.assessor".parse().unwrap()),
    }
}
