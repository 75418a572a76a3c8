//! The evidence pack for a data protection impact assessment: the seven steps of the Information Commissioner's Office, with what
//! the log and the agreement tell, and places for what only people can write.

use std::collections::{BTreeMap, BTreeSet};

use brag_common::agreement::Agreement;

use super::{
    count::{FigureId, Figures, Unit},
    document::{Block, Document, Row, Section, Table},
    logs::{Log, Verdict},
    measures as m,
    period::Period,
    signed::{Signed, SignedBy},
    tables::Tables,
    terms, texts,
    waiting::Times,
    withhold::SMALL,
};

/// What the pack is made from.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// The agreement.
    pub signed: &'a Signed,
    /// The logs: the hub's, then those of nodes.
    pub logs: &'a [Log],
    /// How many entries of the hub's log were made under another version of the agreement.
    pub under_other_versions: u64,
    /// Whether any entry was made in a test environment.
    pub test_entries: bool,
    /// The days.
    pub period: Period,
    /// What was counted.
    pub figures: &'a Figures,
    /// How long decisions took.
    pub times: &'a Times,
}

/// The pack. `shared`: the form for others, without small figures and without counts to date.
#[must_use]
pub fn dpia(evidence: &Evidence<'_>, shared: bool) -> Document {
    let Evidence { signed, logs, period, .. } = evidence;
    let agreement = &signed.agreement;
    let mut facts = vec![("Period".to_owned(), format!("{period}, days of local time"))];
    facts.extend(terms::facts(signed));
    facts.push(("Reference of the assessment".to_owned(), agreement.dpia_ref().to_owned()));
    for log in *logs {
        facts.push((format!("Log of {}", log.party()), verdict(log)));
    }
    let known = if shared { asked_about(evidence.figures) } else { Vec::new() };
    let tables = Tables::new(evidence.figures, evidence.times, shared, &known);
    let sections = vec![
        status(evidence, shared),
        need(evidence),
        describe(evidence, &tables),
        consult(),
        necessity(evidence, &tables),
        risks(&tables),
        measures(evidence, &tables),
        sign_off(evidence),
    ];
    Document {
        kind: "dpia",
        title: "Data protection impact assessment: evidence of the exchange".to_owned(),
        shared,
        facts,
        sections,
    }
}

/// What verifying a log found, in words.
pub(super) fn verdict(log: &Log) -> String {
    let key = if log.key_from_log { "; key taken from beside the log" } else { "" };
    match &log.verdict {
        Verdict::InOrder { n_entries, last_hash } => {
            format!("in order, {n_entries} entries, ends in {last_hash}{key}")
        }
        Verdict::NotInOrder { seq, what } => {
            format!("NOT IN ORDER at entry {seq}: {what}; nothing from there on is counted{key}")
        }
    }
}

/// What a reader has to know before any figure.
fn status(evidence: &Evidence<'_>, shared: bool) -> Section {
    let mut section = Section::new("status", "About this document").text(
        "Made by program from the agreement and from copies of the audit logs. What only people can write is marked as such. Every \
         figure has a name; `--explain NAME` lists the entries behind it. The logs hold references and codes, no names of the people \
         concerned.",
    );
    for log in evidence.logs.iter().filter(|log| !log.is_in_order()) {
        let text = format!(
            "The log of {} does not verify. Its figures end before the first wrong entry. Keep the files as they are and find out why.",
            log.party()
        );
        section = section.block(Block::Warning(text));
    }
    if evidence.signed.by != SignedBy::All {
        let text = format!("The agreement is {}.", evidence.signed.by);
        section = section.block(Block::Warning(text));
    }
    if evidence.logs.iter().any(|log| log.key_from_log) {
        section = section.text(
            "At least one log was verified with the key that lies beside it, which whoever changed the log could have changed too. Give \
             `--keys` with the keys that you keep.",
        );
    }
    if evidence.test_entries {
        section = section.text("Entries were made in a test environment: the people are invented.");
    }
    if evidence.under_other_versions > 0 {
        section = section.text(
            "Part of the hub's log was made under another version of the agreement. Classes of categories are those of the version named \
             above.",
        );
    }
    if evidence.logs.len() == 1 {
        section = section.text(
            "Only the hub's log was read. What staff of agencies opened and approved stands in the logs of their nodes.",
        );
    }
    if shared {
        section = section.text(
            "Form for others. Counts of 1 to 4 are withheld, and so is whatever would give one of them away; what is withheld looks the \
             same in both cases, and 0 is shown. There are no counts to date, because two reports could be subtracted. Do not share another report \
             over days that overlap with these.",
        );
    }
    section
}

fn need(evidence: &Evidence<'_>) -> Section {
    let agreement = &evidence.signed.agreement;
    Section::new("need", "1. Why an assessment is needed")
        .text("The exchange lets agencies around a family share how worried they are about each person, and detail only once a threshold that all have signed is met. Its purposes:")
        .list(terms::purposes(agreement))
        .list([
            "Living individuals are concerned, children and victims of abuse among them.",
            "Information reaches people and organisations that did not have routine access to it.",
            "Information is used in a new way: ratings of several agencies are put beside each other.",
            "Decisions follow that have a significant effect on people. They are made by people; the program computes no risk.",
            "Special category and criminal offence data is processed.",
            "Processing is large enough, and of vulnerable people, so that an assessment is required (UK GDPR Article 35(3)(b)).",
        ])
        .slot("aims", "What the partnership wants to achieve, for whom, and who decided that an assessment is needed.")
}

fn describe(evidence: &Evidence<'_>, tables: &Tables<'_>) -> Section {
    let agreement = &evidence.signed.agreement;
    let flows = Table::texts(
        "flows",
        "How data flows",
        ["From and to", "What", "Protected by", "See"],
        texts::FLOWS.map(|row| row.map(str::to_owned)),
    );
    Section::new("describe", "2. What is done with the data")
        .table(flows)
        .table(terms::catalogue(agreement))
        .text(terms::never(agreement))
        .table(terms::parties(agreement))
        .table(terms::disclosure(agreement))
        .table(terms::retention(agreement))
        .text("Whom the data is about:")
        .list(texts::SUBJECTS)
        .table(tables.of(&m::TOTALS))
        .table(tables.of(&m::ENQUIRIES))
        .table(tables.of(&m::PEOPLE))
        .table(tables.of(&m::CLOSED))
        .table(tables.of(&m::ANSWERS))
        .table(tables.of(&m::LATE))
        .table(tables.of(&m::CHANGES))
        .table(tables.of(&m::EXCHANGES))
        .table(tables.of(&m::HOLDERS))
        .table(tables.of(&m::RECIPIENTS))
        .slot("context", "The relationship with the people concerned, what they would expect, how much control they have, earlier concerns, and the area and number of people in it.")
        .slot("hosting", "Where hub and nodes are hosted, by whom, and in which country.")
}

fn consult() -> Section {
    Section::new("consult", "3. Who was consulted")
        .slot("survivors", "When and how the views of survivors, children and others concerned were sought; or why not.")
        .slot("others", "Which others were consulted: staff, the agencies' data protection officers, the hub's operator, security experts.")
}

fn necessity(evidence: &Evidence<'_>, tables: &Tables<'_>) -> Section {
    let agreement = &evidence.signed.agreement;
    let gateways = brag_common::agreement::GATEWAYS.join(", ");
    let bases = brag_common::agreement::ART6.join(", ");
    let ratio = ratio(tables);
    Section::new("necessity", "4. Necessity and proportionality")
        .text(format!("Lawful bases that a request may state (Article 6): {bases}. Statutory gateways: {gateways}. A request for special category data states an Article 9 condition and the paragraph of DPA 2018 Schedule 1, by default UKGDPR_9_2_G with DPA18_SCH1_P18; one for offence data the authority under Article 10. A gap refuses the request before anything is looked up."))
        .text("Minimisation: colours first; detail only past a threshold, one category about one person at a time, for named recipients. No function creep: four purposes exist in the program, of which the agreement has these:")
        .list(terms::purposes(agreement))
        .block(Block::Facts(vec![("Asked : released, in the period".to_owned(), ratio)]))
        .table(categories(tables, agreement))
        .table(tables.of(&m::REFUSALS))
        .table(tables.of(&m::WITHOUT_AGREEMENT))
        .table(tables.of(&m::REVIEWS))
        .table(tables.of(&m::APPROVALS))
        .table(tables.times(&m::COLOUR_TO_DECISION))
        .table(tables.times(&m::REQUEST_TO_DECISION))
        .slot("alternatives", "Whether the same could be reached with less: which alternatives were looked at, and why they do not do.")
        .slot("quality", "How the agencies see to it that their records are right and up to date.")
        .slot("rights", "How people are told, and how they reach their rights of access, rectification, erasure, restriction and objection.")
        .slot("processors", "Processors (the hub's operator among them, if it is one), their contracts, and transfers outside the United Kingdom.")
}

fn risks(tables: &Tables<'_>) -> Section {
    let register = Table::texts(
        "risks",
        "Risk register: known risks of the exchange",
        ["Risk", "What can happen", "What is done about it", "See"],
        texts::RISKS.map(|row| row.map(str::to_owned)),
    );
    Section::new("risks", "5. Risks")
        .table(register)
        .table(tables.of(&m::ALERTS))
        .table(tables.of(&m::ACCESS))
        .table(tables.of(&m::CALLS_REFUSED))
        .slot("assessment", "Likelihood, severity and overall risk of each, in this partnership; and risks of its own.")
}

fn measures(evidence: &Evidence<'_>, tables: &Tables<'_>) -> Section {
    let table = Table::texts(
        "measures",
        "Measures that are built in, and the tests that carry their number",
        ["Measure", "What it does", "Shown by"],
        texts::MEASURES.map(|row| row.map(str::to_owned)),
    );
    let logs = evidence
        .logs
        .iter()
        .map(|log| [log.party().to_string(), log.origin.to_string(), verdict(log)]);
    Section::new("measures", "6. Measures")
        .table(table)
        .list(texts::SECURITY)
        .table(Table::texts("logs", "Verification of the logs", ["Party", "Log", "Result"], logs))
        .table(tables.of(&m::RETRACTIONS))
        .slot(
            "residual",
            "For each risk: effect of the measures, residual risk, and whether it is accepted.",
        )
}

fn sign_off(evidence: &Evidence<'_>) -> Section {
    let agreement = &evidence.signed.agreement;
    let hashes = evidence.logs.iter().map(|log| {
        let hash = match &log.verdict {
            Verdict::InOrder { last_hash, .. } => last_hash.clone(),
            Verdict::NotInOrder { .. } => "not in order".to_owned(),
        };
        (format!("Log of {} ends in", log.party()), hash)
    });
    let mut facts = vec![
        (
            "Data protection officer".to_owned(),
            agreement.contacts().data_protection_officer.to_string(),
        ),
        ("Board".to_owned(), agreement.contacts().board.to_string()),
        ("Agreement".to_owned(), evidence.signed.digest.to_string()),
    ];
    facts.extend(hashes);
    Section::new("sign-off", "7. Sign-off")
        .block(Block::Facts(facts))
        .slot("approved", "Measures approved by, on.")
        .slot("residual-approved", "Residual risks approved by, on. If a residual risk is high, the Information Commissioner is consulted first (Article 36).")
        .slot("dpo", "Advice of the data protection officer; accepted or overruled by, and why.")
        .slot("review", "Responses to the consultation reviewed by; and who keeps this assessment under review.")
}

/// Categories, each with what was asked for beside what was released.
fn categories(tables: &Tables<'_>, agreement: &Agreement) -> Table {
    let asked = tables
        .figures(&m::CATEGORIES)
        .filter(|(id, _)| id.by().last().is_some_and(|what| what == "asked"));
    let rows = asked.map(|(asked, _)| {
        let code = asked.by().first().map_or("", String::as_str);
        let released = FigureId::new(&m::CATEGORIES, [code, "released"]);
        let category = code.parse().ok().and_then(|code| agreement.categories().get(&code));
        let title = category.map_or("never carried, or not in the catalogue", |c| &c.title);
        let class = category.map_or("–", |category| category.class.word());
        let mut cells = vec![
            code.into(),
            title.into(),
            class.into(),
            tables.in_period(asked),
            tables.in_period(&released),
        ];
        if !tables.is_shared() {
            cells.extend([tables.to_date(asked), tables.to_date(&released)]);
        }
        Row { figures: vec![asked.clone(), released], cells }
    });
    let mut columns = vec!["category", "title", "class", "asked", "released"];
    if !tables.is_shared() {
        columns.extend(["asked to date", "released to date"]);
    }
    Table {
        id: m::CATEGORIES.name.to_owned(),
        caption: m::CATEGORIES.caption.to_owned(),
        columns: columns.into_iter().map(str::to_owned).collect(),
        rows: rows.collect(),
        note: m::CATEGORIES.means.to_owned(),
    }
}

/// How many were asked for and released, as a ratio.
fn ratio(tables: &Tables<'_>) -> String {
    let count = |what: &str| tables.in_period(&FigureId::new(&m::TOTALS, [what])).text();
    format!("{} : {} (totals.requests : totals.released)", count("requests"), count("released"))
}

/// What each agency was asked about. How many people an enquiry has is how many answers each agency owes, so a reader who knows the
/// one knows the other, and what one answer leaves for another. So the people themselves are among these sets.
fn asked_about(figures: &Figures) -> Vec<BTreeSet<Unit>> {
    let people = figures.get(&FigureId::new(&m::TOTALS, ["people"]));
    let Some(people) = people.filter(|people| !SMALL.contains(&people.in_period.len())) else {
        return Vec::new();
    };
    let mut by_agency: BTreeMap<&str, BTreeSet<Unit>> = BTreeMap::new();
    for (id, figure) in figures.of(&m::ANSWERS) {
        let agency = id.by().first().map_or("", String::as_str);
        by_agency.entry(agency).or_default().extend(figure.in_period.iter().cloned());
    }
    let people = people.in_period.clone();
    by_agency.into_values().chain([people]).filter(|set| !set.is_empty()).collect()
}
