//! What the tests of reports share: entries made by hand, a month, the sample agreement, and a document with a text everywhere.

use std::{
    collections::BTreeSet,
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
    id::{AgencyId, EnquiryRef, PersonRef},
    keys::SigningKey,
    reason::Reason,
    secret::SecretBytes,
    time::{SettableClock, SignedDuration, Timestamp},
};
use serde_json::json;

use super::{
    count::FigureId,
    document::{Bar, Block, Cell, Chart, Document, Row, Section, Table},
    measures,
    period::{Month, Period},
};
use crate::store::{
    Change, Store,
    shapes::{CellRecord, CellState, EarlierRecord, EnquiryRecord, SaidRecord},
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

    pub(crate) fn waived(&mut self, enquiry: &str, person: &str, agency: &str) {
        let mut draft = by("coordinator", Action::AnswerWaived);
        draft.enquiry = Some(enquiry.parse().unwrap());
        draft.person = Some(person.parse().unwrap());
        draft.peer = Some(agency.parse().unwrap());
        self.add(draft);
    }

    /// A co-ordinator was refused something.
    pub(crate) fn refused(&mut self, enquiry: &str, code: &str) {
        let mut draft = by("coordinator", Action::RequestRefused);
        draft.enquiry = Some(enquiry.parse().unwrap());
        draft.decision = Some(word(code));
        self.add(draft);
    }

    /// Something of the course of an enquiry, with the word that says what, about these agency and person.
    pub(crate) fn course(
        &mut self,
        enquiry: &str,
        action: Action,
        decision: &str,
        agency: Option<&str>,
        person: Option<&str>,
    ) {
        let mut draft = EntryDraft::new(action);
        draft.enquiry = Some(enquiry.parse().unwrap());
        draft.decision = Some(word(decision));
        draft.peer = agency.map(|agency| agency.parse().unwrap());
        draft.person = person.map(|person| person.parse().unwrap());
        self.add(draft);
    }

    /// A flag of the whole enquiry is raised.
    pub(crate) fn flag(&mut self, enquiry: &str, flag: &str) {
        self.course(enquiry, Action::FlagRaised, flag, None, None);
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

/// An enquiry as it is stored.
pub(crate) struct KeptEnquiryOf {
    name: EnquiryRef,
    record: EnquiryRecord,
    cells: Vec<(AgencyId, PersonRef, CellRecord)>,
    earlier: Vec<EarlierRecord>,
}

/// A person with the referrer's first colour, and the agencies that rate them with their colours.
pub(crate) type EnteredPerson<'a> = (&'a str, Option<&'a str>, &'a [(&'a str, &'a str)]);

/// An enquiry that police have referred, an hour after the incident, with a round of four hours: its people, each with the referrer's
/// first colour and ratings by agency, and earlier enquiries to which the first of them is linked.
pub(crate) fn kept_enquiry(
    name: &str,
    opened_at: &str,
    people: &[EnteredPerson<'_>],
    earlier: &[&str],
) -> KeptEnquiryOf {
    let opened: Timestamp = opened_at.parse().unwrap();
    let hours = |n: i64| opened + SignedDuration::from_hours(n);
    let bytes = |n: usize| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, vec![7; n]);
    let colour = |word: &Option<&str>| word.map(str::to_owned);
    // By the stored shape, so that a field which is added with a default needs nothing here.
    let record = json!({
        "purpose": "child_safeguarding",
        "opened_by": "j.okafor",
        "opened_at": opened,
        "answer_by": hours(4),
        "domestic_abuse": true,
        "referral": {
            "agency": "POL",
            "reference": "EXP/27/0209",
            "incident_at": hours(-1),
            "received_at": opened,
        },
        "people": people.iter().map(|(person, initial, _)| json!({
            "label": person,
            "person": person,
            "commitment": "07".repeat(32),
            "salt": bytes(32),
            "identity": "",
            "role": null,
            "initial": colour(initial),
        })).collect::<Vec<_>>(),
        "links": [],
    });
    let mut cells = Vec::new();
    for (person, _, ratings) in people {
        for (agency, colour) in *ratings {
            let said = SaidRecord::Rated {
                colour: colour.parse().unwrap(),
                rated_at: opened,
                analysis: String::new(),
                topics: Vec::new(),
                via: None,
                by: None,
            };
            let state = CellState::Answered { said, late: false };
            let cell = CellRecord { state, since: opened };
            cells.push((agency.parse().unwrap(), person.parse().unwrap(), cell));
        }
    }
    let first: PersonRef = people[0].0.parse().unwrap();
    let earlier = earlier.iter().map(|earlier| EarlierRecord {
        person: first.clone(),
        enquiry: earlier.parse().unwrap(),
        earlier_person: first.clone(),
        opened_at: hours(-1_000),
    });
    KeptEnquiryOf {
        name: name.parse().unwrap(),
        record: serde_json::from_value(record).unwrap(),
        cells,
        earlier: earlier.collect(),
    }
}

/// A store with these enquiries, and the folder that it is in.
pub(crate) fn store_of(enquiries: &[KeptEnquiryOf]) -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (data, keys) = (folder.path().join("data"), folder.path().join("keys"));
    fs::create_dir(&data).unwrap();
    let store = Store::open(&data, &keys, &SecretBytes::new([7; 32])).unwrap();
    fill(&store, enquiries);
    (store, folder)
}

/// Puts enquiries into a store, all at once.
pub(crate) fn fill(store: &Store, enquiries: &[KeptEnquiryOf]) {
    let mut change = Change::new();
    for one in enquiries {
        change.enquiry(&one.name, &one.record).unwrap();
        for (agency, person, cell) in &one.cells {
            change.cell(&one.name, agency, person, cell).unwrap();
        }
        change.earlier(&one.name, &one.earlier).unwrap();
    }
    store.commit(change).unwrap();
}

/// What is wrong with a page as HTML: elements that are not closed in their order, attributes that are given twice or without quotes, names
/// that stand twice, links to nowhere.
pub(crate) fn html_faults(page: &str) -> Vec<String> {
    const VOID: [&str; 4] = ["meta", "br", "hr", "link"];
    let (mut open, mut faults) = (Vec::new(), Vec::new());
    let (mut ids, mut named) = (BTreeSet::new(), Vec::new());
    let after_doctype = page.strip_prefix("<!DOCTYPE html>").unwrap_or_else(|| {
        faults.push("no doctype".to_owned());
        page
    });
    // The style is text to a browser.
    let (before, rest) = after_doctype.split_once("<style>").unwrap();
    let (_, after) = rest.split_once("</style>").unwrap();
    for piece in [before, after].iter().flat_map(|part| part.split('<').skip(1)) {
        let Some((tag, text)) = piece.split_once('>') else {
            faults.push(format!("not closed: {piece}"));
            continue;
        };
        if text
            .replace("&amp;", "")
            .replace("&lt;", "")
            .replace("&gt;", "")
            .replace("&quot;", "")
            .replace("&#39;", "")
            .contains('&')
        {
            faults.push(format!("a bare & in {text}"));
        }
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                faults.push(format!("</{name}> out of order"));
            }
            continue;
        }
        let (tag, is_closed) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut seen = BTreeSet::new();
        for attribute in attributes.split("\" ").map(|one| one.trim().trim_end_matches('"')) {
            if attribute.is_empty() {
                continue;
            }
            let Some((key, value)) = attribute.split_once("=\"") else {
                faults.push(format!("attribute without a value: {attribute}"));
                continue;
            };
            if !seen.insert(key) {
                faults.push(format!("{key} twice in <{tag}>"));
            }
            match key {
                "id" if !ids.insert(value) => faults.push(format!("id {value} twice")),
                "aria-labelledby" => named.push(value),
                "href" => match value.strip_prefix('#') {
                    Some(id) => named.push(id),
                    None => faults.push(format!("a link out: {value}")),
                },
                _ => {}
            }
        }
        if !is_closed && !VOID.contains(&name) {
            open.push(name);
        }
    }
    faults.extend(open.iter().map(|name| format!("<{name}> is not closed")));
    let nowhere = named.iter().filter(|id| !ids.contains(**id));
    faults.extend(nowhere.map(|id| format!("nothing is named {id}")));
    faults
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
        Block::Chart(Chart {
            table: text(),
            title: text(),
            series: vec![text(), text()],
            bars: vec![Bar { label: text(), values: vec![Cell::Count(7), Cell::Withheld] }],
        }),
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
