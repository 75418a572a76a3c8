//! What the tests of reports share: entries made by hand, a month, the sample agreement, and a document with a text everywhere.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use brag_common::{
    agreement::Agreement,
    audit::{
        AuditLog, LogOptions, Origin,
        entry::{Action, Digest, Entry, EntryDraft, Party, SCHEMA_VERSION, Word},
    },
    keys::SigningKey,
    reason::Reason,
    secret::SecretBytes,
    time::{SettableClock, Timestamp},
};

use super::{
    count::FigureId,
    document::{Block, Cell, Document, Row, Section, Table},
    measures,
    period::{Month, Period},
};

/// The sample agreement's file.
pub(crate) fn agreement_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/corpus/agreements/exampleshire/agreement.toml")
}

/// The sample agreement.
pub(crate) fn agreement() -> Agreement {
    Agreement::parse(&fs::read_to_string(agreement_file()).unwrap()).unwrap()
}

/// February 2027.
pub(crate) fn february() -> Period {
    let Month(period) = "2027-02".parse().unwrap();
    period
}

/// Entries in the order in which they were made, of the hub's log until another's is named.
pub(crate) struct Entries {
    all: Vec<Entry>,
    now: Timestamp,
    node: Party,
}

impl Entries {
    pub(crate) fn new() -> Self {
        Self { all: Vec::new(), now: "2027-02-09T08:40:00Z".parse().unwrap(), node: Party::Hub }
    }

    pub(crate) fn all(&self) -> &[Entry] {
        &self.all
    }

    /// What follows happens then.
    pub(crate) fn at(&mut self, time: &str) {
        self.now = time.parse().unwrap();
    }

    /// What follows stands in the log of this agency.
    pub(crate) fn of(&mut self, agency: &str) {
        self.node = agency.parse().unwrap();
    }

    fn add(&mut self, draft: EntryDraft) {
        let seq = self.all.iter().filter(|entry| entry.node == self.node).count() as u64;
        self.all.push(Entry {
            v: SCHEMA_VERSION,
            seq,
            prev_hash: Digest::ZERO,
            ts: self.now,
            node: self.node.clone(),
            actor: draft.actor,
            action: draft.action,
            enquiry: draft.enquiry,
            person: draft.person,
            commitment: draft.commitment,
            exchange: draft.exchange,
            release: draft.release,
            peer: draft.peer,
            category: draft.category,
            gate: draft.gate,
            class: draft.class,
            purpose: draft.purpose,
            art6: draft.art6,
            art9: draft.art9,
            art10: draft.art10,
            gateway: draft.gateway,
            agreement_status: draft.agreement_status,
            agreement: draft.agreement,
            evidence: draft.evidence,
            decision: draft.decision,
            reason: draft.reason,
            recipients: draft.recipients,
            obligations: draft.obligations,
            count: draft.count,
            payload_digest: draft.payload_digest,
            test_env: false,
        });
    }

    pub(crate) fn opened(&mut self, enquiry: &str, purpose: &str, people: u64) {
        let mut draft = by("coordinator", Action::EnquiryOpened);
        draft.enquiry = Some(enquiry.parse().unwrap());
        draft.purpose = Some(word(purpose));
        draft.count = Some(people);
        self.add(draft);
    }

    pub(crate) fn closed(
        &mut self,
        enquiry: &str,
        decision: &str,
        reason: Option<Reason>,
        missing: Option<u64>,
    ) {
        let mut draft = by("coordinator", Action::EnquiryClosed);
        draft.enquiry = Some(enquiry.parse().unwrap());
        draft.decision = Some(word(decision));
        draft.reason = reason;
        draft.count = missing;
        self.add(draft);
    }

    fn about(&mut self, enquiry: &str, person: &str, agency: &str, action: Action, decision: &str) {
        let mut draft = EntryDraft::new(action);
        draft.enquiry = Some(enquiry.parse().unwrap());
        draft.person = Some(person.parse().unwrap());
        draft.peer = Some(agency.parse().unwrap());
        draft.decision = Some(word(decision));
        self.add(draft);
    }

    pub(crate) fn answered(&mut self, enquiry: &str, person: &str, agency: &str, decision: &str) {
        self.about(enquiry, person, agency, Action::RateAnswered, decision);
    }

    pub(crate) fn silent(&mut self, enquiry: &str, person: &str, agency: &str) {
        self.about(enquiry, person, agency, Action::NoResponse, "DEADLINE");
    }

    pub(crate) fn late(&mut self, enquiry: &str, person: &str, agency: &str, decision: &str) {
        self.about(enquiry, person, agency, Action::AnswerLate, decision);
    }

    fn detail(&self, release: &str, holder: &str, category: &str, to: &[&str]) -> EntryDraft {
        let mut draft = by("coordinator", Action::ReleaseAsked);
        draft.enquiry = Some("e1".parse().unwrap());
        draft.person = Some("p1".parse().unwrap());
        draft.release = Some(release.parse().unwrap());
        draft.peer = Some(holder.parse().unwrap());
        draft.category = Some(category.parse().unwrap());
        draft.agreement_status = Some(word("not_sought"));
        draft.gateway = Some(word("CA2004_S10_S11_S16E"));
        draft.recipients = to.iter().map(|to| to.parse().unwrap()).collect();
        draft
    }

    pub(crate) fn asked(&mut self, release: &str, holder: &str, category: &str, to: &[&str]) {
        let draft = self.detail(release, holder, category, to);
        self.add(draft);
    }

    #[expect(clippy::too_many_arguments, reason = "an entry has that many fields")]
    pub(crate) fn decided(
        &mut self,
        release: &str,
        holder: &str,
        category: &str,
        to: &str,
        decision: &str,
        gate: Option<&str>,
        reason: Option<Reason>,
    ) {
        let mut draft = EntryDraft {
            action: Action::ReleaseDecided,
            actor: brag_common::audit::Actor::Program,
            ..self.detail(release, holder, category, &[to])
        };
        draft.decision = Some(word(decision));
        draft.gate = gate.map(word);
        draft.reason = reason;
        self.add(draft);
    }

    pub(crate) fn unanswered(&mut self, release: &str, holder: &str, category: &str, to: &str) {
        let mut draft = EntryDraft {
            action: Action::NoResponse,
            actor: brag_common::audit::Actor::Program,
            ..self.detail(release, holder, category, &[to])
        };
        draft.decision = Some(word("no_response"));
        self.add(draft);
    }

    pub(crate) fn alert(&mut self, decision: &str) {
        let mut draft = EntryDraft::new(Action::AlertRaised);
        draft.decision = Some(word(decision));
        self.add(draft);
    }

    pub(crate) fn staff(&mut self, action: Action, role: &str, decision: Option<&str>) {
        let mut draft = by(role, action);
        draft.decision = decision.map(word);
        self.add(draft);
    }

    /// Writes the entries of one party as a log, with its name and key beside it, and gives its folder.
    pub(crate) fn write(&self, party: &Party, folder: &Path) -> PathBuf {
        let origin = Origin::new("exampleshire", party.clone(), "1").unwrap();
        let key = SigningKey::from_seed(SecretBytes::new([7; 32])).unwrap();
        let mine: Vec<&Entry> = self.all.iter().filter(|entry| entry.node == *party).collect();
        let clock = Arc::new(SettableClock::at(mine[0].ts));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let log = AuditLog::open(LogOptions::new(
            folder.join(party.to_string()),
            origin,
            key,
            Arc::<SettableClock>::clone(&clock),
        ))
        .unwrap();
        let dir = log.dir().to_owned();
        let mut now = mine[0].ts;
        for entry in mine {
            clock.advance(entry.ts.duration_since(now));
            now = entry.ts;
            runtime.block_on(log.record(draft_of(entry))).unwrap();
        }
        dir
    }
}

fn draft_of(entry: &Entry) -> EntryDraft {
    let mut draft = EntryDraft::new(entry.action);
    draft.actor = entry.actor.clone();
    draft.enquiry.clone_from(&entry.enquiry);
    draft.person.clone_from(&entry.person);
    draft.release.clone_from(&entry.release);
    draft.peer.clone_from(&entry.peer);
    draft.category = entry.category;
    draft.gate.clone_from(&entry.gate);
    draft.purpose.clone_from(&entry.purpose);
    draft.gateway.clone_from(&entry.gateway);
    draft.agreement_status.clone_from(&entry.agreement_status);
    draft.decision.clone_from(&entry.decision);
    draft.reason = entry.reason;
    draft.recipients.clone_from(&entry.recipients);
    draft.count = entry.count;
    draft
}

fn by(role: &str, action: Action) -> EntryDraft {
    EntryDraft::new(action).by("j.okafor".parse().unwrap(), word(role))
}

fn word(text: &str) -> Word {
    text.parse().unwrap()
}

/// A document with this text in every place where a text can be.
pub(crate) fn hostile_document(text: &str) -> Document {
    let text = || text.to_owned();
    let pair = || vec![(text(), text())];
    let figure = FigureId::new(&measures::ALERTS, [text()]);
    let table = Table {
        id: text(),
        caption: text(),
        columns: vec![text(), text(), text()],
        rows: vec![
            Row {
                figures: vec![figure],
                cells: vec![text().into(), Cell::Count(7), text().into()],
            },
            Row { figures: Vec::new(), cells: vec![text().into(), Cell::Withheld, Cell::Nothing] },
        ],
        note: text(),
    };
    let blocks = vec![
        Block::Text(text()),
        Block::Warning(text()),
        Block::List(vec![text(), text()]),
        Block::Facts(pair()),
        Block::Slot { id: text(), asks: text() },
        Block::Table(table.clone()),
        Block::Table(Table { rows: Vec::new(), ..table }),
    ];
    Document {
        kind: "dpia",
        title: text(),
        shared: true,
        facts: pair(),
        sections: vec![Section { id: text(), title: text(), blocks }],
    }
}
