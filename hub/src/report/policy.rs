//! The appropriate policy document for special category and offence data (DPA 2018 Schedule 1 Part 4): a template with what the
//! agreement and the program settle, and places for what a controller has to say itself.

use super::{
    document::{Block, Document, Section},
    signed::Signed,
    terms, texts,
};

/// The policy document.
#[must_use]
pub fn policy(signed: &Signed) -> Document {
    let agreement = &signed.agreement;
    let sections = vec![
        Section::new("about", "What this document is")
            .text("Whoever processes special category data on the condition of DPA 2018 Schedule 1 paragraph 18, or offence data on it, has an appropriate policy document in place. It explains how the principles of Article 5 are complied with, and how long data is kept and when it is erased (paragraph 39). It is kept while the processing goes on and for six months after it has ended, is reviewed, and is given to the Information Commissioner on request, free of charge (paragraph 40).")
            .slot("controller", "The controller whose document this is, and who keeps it.")
            .slot("dates", "When it was approved, by whom, and when it will be reviewed."),
        Section::new("processing", "The processing")
            .text("Information about people around whom there is a safeguarding concern is shared with the other parties to the agreement, for these purposes:")
            .list(terms::purposes(agreement))
            .text("Whom it is about:")
            .list(texts::SUBJECTS),
        conditions(),
        Section::new("data", "Which data")
            .table(terms::catalogue(agreement))
            .text(terms::never(agreement)),
        lawfulness(),
        purpose(),
        minimisation(agreement),
        accuracy(),
        Section::new("storage", "Storage limitation (Article 5(1)(e)): retention and erasure")
            .table(terms::retention(agreement))
            .text("A view of released detail ends by itself; its key is destroyed, and the detail with it. It ends earlier when the person takes their agreement back, the agreement ends, or a party withdraws.")
            .slot("schedule", "How long this agency keeps the records from which it releases, where its own schedule is, and who erases what when.")
            .slot("holds", "Who may stop an erasure for a legal claim, an inquiry or a review, and how that is recorded."),
        Section::new("security", "Integrity and confidentiality (Article 5(1)(f))")
            .list(texts::SECURITY)
            .slot("staff", "Vetting, training, and who grants and removes the roles of staff."),
        Section::new("accountability", "Accountability (Article 5(2))")
            .list([
                "Every question, answer, refusal and silence is an entry in a signed log on each side, written before anything leaves.",
                "`hub report dpia` counts them, `hub report nfa-audit` lists what was closed, `hub report article-30` gives the record of processing.",
                "Alerts reach information governance at once; who looked at what is recorded by name and role.",
            ])
            .block(Block::Facts(vec![
                ("Data protection officer".to_owned(), agreement.contacts().data_protection_officer.to_string()),
                ("Impact assessment".to_owned(), agreement.dpia_ref().to_owned()),
                ("Record of processing".to_owned(), agreement.ropa_ref().to_owned()),
            ]))
            .slot("breaches", "How a personal data breach is found, reported within 72 hours, and told to people."),
    ];
    Document {
        kind: "policy",
        title: "Appropriate policy document".to_owned(),
        shared: false,
        facts: terms::facts(signed),
        sections,
    }
}

fn conditions() -> Section {
    Section::new("conditions", "Conditions")
        .list([
            "Special category data: UK GDPR Article 9(2)(g), substantial public interest, with DPA 2018 Schedule 1 paragraph 18: protecting somebody under 18, or 18 and over and at risk, from neglect or harm, or protecting their well-being.",
            "Without the person's consent only where it can not be given, the controller can not reasonably be expected to obtain it, or obtaining it would prejudice the protection (paragraph 18(1)(c) and (2)). Each request says why the person was not asked.",
            "Offence data: UK GDPR Article 10 with the same paragraph, or under the control of official authority.",
            "Article 6: public task, legal obligation or vital interests; for bodies without a public task the recognised legitimate interest of safeguarding.",
            "Confidentiality: the person's agreement, an overriding public interest, or a legal duty, stated in each request.",
        ])
        .slot("other", "Any other condition on which this controller relies, and for which categories.")
}

fn lawfulness() -> Section {
    Section::new("lawfulness", "Lawfulness, fairness and transparency (Article 5(1)(a))")
        .list([
            "A request for detail that lacks any part of its lawful basis is refused at the holder, before anything is looked up.",
            "Below a threshold nothing is released without the person's agreement, and whether anything is held is not told.",
            "Whether the person was asked, and why not, is recorded with each request.",
            "Ratings and reviewed releases are decided by named people; no risk is computed.",
        ])
        .slot("notices", "Where people are told about the sharing, and how that is kept safe for those at risk.")
}

fn purpose() -> Section {
    Section::new("purpose", "Purpose limitation (Article 5(1)(b))").list([
        "Four purposes exist in the program; the agreement names those that are allowed, and a request for another is refused and alerted.",
        "Every release carries the obligations not to pass it on and to use it for safeguarding only.",
        "Immigration status is never carried, and a request for it is alerted.",
    ])
}

fn minimisation(agreement: &brag_common::agreement::Agreement) -> Section {
    let analysis = agreement.rating().analysis;
    Section::new("minimisation", "Data minimisation (Article 5(1)(c))")
        .list([
            format!(
                "A colour and an analysis of {} to {} characters first; detail only past a threshold.",
                analysis.min_chars,
                analysis.max_chars
            ),
            "One category about one person at a time, for named recipients, each decided by itself.".to_owned(),
            "Special detail only after a person at the holder approved it, whole or redacted; locations after two.".to_owned(),
            "An agency that does not know a person is not told who was asked about.".to_owned(),
        ])
        .table(terms::disclosure(agreement))
}

fn accuracy() -> Section {
    Section::new("accuracy", "Accuracy (Article 5(1)(d))")
        .list([
            "Where it is not certain who somebody is, a person compares; the decision can be undone, and what rests on it is withdrawn.",
            "Ratings count for a limited time, are replaced by newer ones and can be challenged by other agencies; every version is kept.",
        ])
        .slot("correction", "How a record that is wrong is put right at this agency, and how those who received it are told.")
}
