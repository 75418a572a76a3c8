//! The document under the safety profile. It is made from the agreement and from what the asker wrote, and from nothing that is kept
//! about anybody: what does not reach it can not give anybody away, by a name, a date, a colour, or by being missing.

use brag_common::{agreement::Agreement, matching::identity::Identity};

use super::own;
use crate::report::document::{Document, Section};

/// The document. `held`: something is kept about the person.
#[must_use]
pub fn document(agreement: &Agreement, person: &Identity, held: bool) -> Document {
    let mut sections = vec![confirmation(held)];
    if held {
        sections.extend([
            Section::new("data", "What kinds of data")
                .text("Who you are; how concerned public bodies are about the safety of people, as one of four colours with a short reason; who asked \
                       for information, and what was decided."),
            Section::new("purposes", "What for")
                .text("To keep children and adults safe from harm."),
            Section::new("recipients", "Who receives it")
                .text("Public bodies with a safeguarding duty, and organisations that work for them."),
            Section::new("source", "Where it comes from")
                .text("Public bodies with a safeguarding duty, and organisations that work for them. Where a source is not named, that is so because \
                       naming it would tell of other people."),
            Section::new("retention", "How long it is kept")
                .text(format!(
                    "{} after the matter is closed; records of who did what, {}.",
                    agreement.retention().ratings_after_close,
                    agreement.retention().audit_log
                )),
            Section::new("left-out", "What is left out")
                .text("A copy of the data itself is not part of this answer. Information is left out where it is about other people too, or where giving it \
                       out could do harm or get in the way of the prevention of crime (UK GDPR Article 15(4); Data Protection Act 2018 Schedules 2 and \
                       3). You may ask for this to be looked at again, and complain, as said below."),
        ]);
    }
    sections.extend(own::rights(agreement));
    own::frame(person, sections)
}

fn confirmation(held: bool) -> Section {
    let section = Section::new("confirmation", "Whether data about you is kept");
    if held {
        section.text("Yes: personal data about you is processed.")
    } else {
        section.text("No: nothing is kept that is known to be about you.")
    }
}
