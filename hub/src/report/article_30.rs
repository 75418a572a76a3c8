//! The record of processing activities (UK GDPR Article 30(1)(a) to (g)), one for each controller, with what DPA 2018 Schedule 1
//! Part 4 (paragraph 41) adds for special category and offence data.

use brag_common::{
    agreement::{Agreement, Party},
    audit::entry::Party as LogParty,
    id::AgencyId,
};

use super::{
    count::{FigureId, Figures},
    document::{Block, Cell, Document, Row, Section, Table},
    measures as m,
    signed::Signed,
    terms, texts,
};

/// The record of every party, or of `only` one. With `figures`, how often something was released to and by each.
#[must_use]
pub fn article_30(signed: &Signed, only: Option<&AgencyId>, figures: Option<&Figures>) -> Document {
    let agreement = &signed.agreement;
    let mut facts = terms::facts(signed);
    facts.push(("Reference of the records".to_owned(), agreement.ropa_ref().to_owned()));
    let parties = agreement.parties().filter(|party| only.is_none_or(|id| party.id() == id));
    let mut sections: Vec<Section> =
        parties.map(|party| record(agreement, party, figures)).collect();
    if only.is_none() {
        sections.push(hub(agreement));
    }
    Document {
        kind: "article_30",
        title: "Record of processing activities (UK GDPR Article 30)".to_owned(),
        shared: false,
        facts,
        sections,
    }
}

fn record(agreement: &Agreement, party: &Party, figures: Option<&Figures>) -> Section {
    let id = party.id();
    let others = agreement.parties().filter(|other| other.id() != id);
    let recipients: Vec<[String; 3]> = others
        .map(|other| {
            let (id, name) = (other.id().to_string(), other.name().to_owned());
            [id, name, terms::may_receive(agreement, other)]
        })
        .collect();
    let name = id.as_str();
    let table = |what: &str, mut table: Table| {
        table.id = format!("{name}-{what}");
        table
    };
    let mut section = Section::new(&format!("record-{name}"), &format!("{} ({name})", party.name()))
        .block(Block::Facts(vec![
            ("(a) Controller".to_owned(), party.name().to_owned()),
            ("Kind".to_owned(), terms::spoken(party.kind().word())),
            (
                "Data protection officer of the partnership".to_owned(),
                agreement.contacts().data_protection_officer.to_string(),
            ),
        ]))
        .slot("contact", "(a) Address and contact of the controller, and of its own data protection officer; its representative, if it has one.")
        .slot("joint", "(a) Whether it is a joint controller with the other parties for colours, analyses and the hub, and where the arrangement under Article 26 is kept.")
        .text("(b) Purposes:")
        .list(terms::purposes(agreement))
        .text("(c) Categories of data subjects:")
        .list(texts::SUBJECTS)
        .text("(c) Categories of personal data: colours and analyses, and, of what the agency itself holds, these:")
        .table(table("data", terms::catalogue(agreement)))
        .text("(d) Categories of recipients: the parties to the agreement, each within these bounds; colours and analyses also reach the hub and those who rate in the same enquiry.")
        .table(table(
            "recipients",
            Table::texts("", "Recipients", ["Id", "Name", "May receive"], recipients),
        ))
        .text(format!("It may itself receive: {}.", terms::may_receive(agreement, party)))
        .text("(e) Transfers: the exchange passes data between the nodes of the parties and their hub, and to nobody else.")
        .slot("transfers", "(e) Countries in which its node and the hub are hosted; safeguards for any transfer.")
        .text("(f) Envisaged time limits for erasure:")
        .table(table("retention", terms::retention(agreement)))
        .text("(g) Technical and organisational security measures:")
        .list(texts::SECURITY)
        .text(lawful(party))
        .slot("lawful", "The lawful basis on which this controller relies, confirmed by it; the statutory functions behind it.")
        .slot("kept", "Whether data is retained and erased as the appropriate policy document says, and if not, why (DPA 2018 Schedule 1 paragraph 41(c)).");
    if let Some(figures) = figures {
        section = section.table(counts(id, figures));
    }
    section
}

/// Lawful bases by kind of agency, for its controller to confirm.
fn lawful(party: &Party) -> String {
    let art6 = if terms::is_public_body(party.kind()) {
        "UKGDPR_6_1_E (public task), or UKGDPR_6_1_C where a legal duty applies; a public authority can not rely on UKGDPR_6_1_EA for its tasks"
    } else {
        "UKGDPR_6_1_EA (recognised legitimate interest: safeguarding) unless it carries out a public task, then UKGDPR_6_1_E"
    };
    format!(
        "Lawful basis, by the kind of agency: {art6}. Special category data: Article 9(2)(g) with DPA 2018 Schedule 1 paragraph 18 \
         (safeguarding of children and of individuals at risk). Offence data: Article 10 with the same paragraph, or official authority. \
         Each request states its own, and is refused when it does not."
    )
}

fn counts(id: &AgencyId, figures: &Figures) -> Table {
    let agency = LogParty::Agency(id.clone());
    let row = |what: &str, figure: FigureId| {
        let figure_of = figures.get(&figure);
        let (now, to_date) =
            figure_of.map_or((0, 0), |figure| (figure.in_period.len(), figure.to_date.len()));
        Row {
            figures: vec![figure],
            cells: vec![what.into(), Cell::Count(now), Cell::Count(to_date)],
        }
    };
    Table {
        id: format!("{id}-counts"),
        caption: "How often, from the hub's log".to_owned(),
        columns: ["What", "in the period", "to date"].map(str::to_owned).to_vec(),
        rows: vec![
            row("People rated", FigureId::new(&m::ANSWERS, [agency.to_string().as_str(), "rated"])),
            row(
                "Detail released by it",
                FigureId::new(&m::HOLDERS, [agency.to_string().as_str(), "released"]),
            ),
            row("Detail released to it", FigureId::new(&m::RECIPIENTS, [&agency])),
        ],
        note: "The counts of the impact assessment's evidence pack, under the same names."
            .to_owned(),
    }
}

fn hub(agreement: &Agreement) -> Section {
    Section::new("hub", "The hub")
        .text(format!(
            "The hub of {} keeps who is asked about, colours, analyses, decisions and statements. It relays detail that it can not read.",
            agreement.id()
        ))
        .slot("role", "The role of whoever operates the hub has to be decided by the partnership and written here: controller, joint controller, or processor. The agreement file does not say it.")
        .slot("processor", "If it is a processor: the record under Article 30(2) (name and contact, each controller for whom it acts, categories of processing, transfers, security), and the contract under Article 28.")
        .list(texts::SECURITY)
}
