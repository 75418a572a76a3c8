//! Whether an item of a running connector can be taken: its person is known, and it says nothing else than an earlier row did.

use std::collections::HashMap;

use super::{Fault, ImportFailure, ImportItem, Reason, RecordSink, SourceId, digest, reject};

/// What counts when two rows of one reading are the same person, entry or rating, and differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeats {
    /// The first, as in a file: which of the two is newer is not known.
    FirstCounts,
    /// The later, where rows come in the order in which they changed.
    LaterCounts,
}

/// What became of an item.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It can be stored.
    Good,
    /// An earlier row said exactly this.
    Again,
    /// It is rejected.
    Rejected(Fault),
}

/// What one reading has had so far: 32 bytes for each row, or for each person where later rows count.
pub(crate) struct Intake {
    repeats: Repeats,
    seen: HashMap<[u8; 16], [u8; 16]>,
}

impl Intake {
    pub(crate) fn new(repeats: Repeats) -> Self {
        Self { repeats, seen: HashMap::new() }
    }

    /// A new file begins.
    pub(crate) fn begin(&mut self) {
        self.seen.clear();
    }

    /// Looks at the next item.
    ///
    /// # Errors
    /// When the store can not be read.
    pub(crate) fn take<S: RecordSink>(
        &mut self,
        item: &ImportItem,
        sink: &S,
    ) -> Result<Taken, ImportFailure> {
        if let ImportItem::Person { identity, .. } = item
            && identity.canonical_bytes().len() > reject::MAX_IDENTITY_BYTES
        {
            return Ok(Taken::Rejected(Fault::row(Reason::IdentityTooLong)));
        }
        let person = item.source_id();
        let is_person = matches!(item, ImportItem::Person { .. });
        if !is_person
            && !self.seen.contains_key(&of_person(person))
            && !sink.knows(person).map_err(ImportFailure::Sink)?
        {
            return Ok(Taken::Rejected(Fault::at("id", Reason::PersonNotKnown)));
        }
        if self.repeats == Repeats::LaterCounts && !is_person {
            return Ok(Taken::Good);
        }
        let (field, identity) = match item {
            ImportItem::Person { .. } => ("id", of_person(person)),
            ImportItem::Entry(entry) => {
                ("entry", digest(&[b"entry", person.as_str().as_bytes(), &entry.key()]))
            }
            ImportItem::Rating(_) => ("id", digest(&[b"rating", person.as_str().as_bytes()])),
        };
        let content = content(item);
        let before = match self.repeats {
            Repeats::LaterCounts => self.seen.insert(identity, content),
            Repeats::FirstCounts => {
                let before = self.seen.get(&identity).copied();
                if before.is_none() {
                    self.seen.insert(identity, content);
                }
                before
            }
        };
        Ok(match (before, self.repeats) {
            (None, _) | (Some(_), Repeats::LaterCounts) => Taken::Good,
            (Some(before), Repeats::FirstCounts) if before == content => Taken::Again,
            (Some(_), Repeats::FirstCounts) => Taken::Rejected(Fault::at(field, Reason::Duplicate)),
        })
    }
}

fn of_person(person: &SourceId) -> [u8; 16] {
    digest(&[b"person", person.as_str().as_bytes()])
}

/// A digest of all that the item says.
fn content(item: &ImportItem) -> [u8; 16] {
    match item {
        ImportItem::Person { identity, .. } => digest(&[&identity.canonical_bytes()]),
        ImportItem::Entry(entry) => {
            let code = entry.handling_code.as_ref().map_or("", |code| code.as_str());
            let flags = format!("{:?}", entry.flags);
            let category = entry.category.to_string();
            digest(&[category.as_bytes(), entry.text.as_bytes(), flags.as_bytes(), code.as_bytes()])
        }
        ImportItem::Rating(rating) => {
            let tags = format!("{:?}", rating.tags);
            let (colour, at) = (format!("{:?}", rating.colour), rating.rated_at.to_string());
            digest(&[
                colour.as_bytes(),
                rating.analysis.as_str().as_bytes(),
                tags.as_bytes(),
                rating.rated_by.as_str().as_bytes(),
                at.as_bytes(),
            ])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::MemorySink;

    fn entry(text: &str) -> ImportItem {
        ImportItem::Entry(crate::import::Entry {
            person: "1".parse().unwrap(),
            entry: Some("9".parse().unwrap()),
            category: "C33".parse().unwrap(),
            text: text.into(),
            flags: Vec::new(),
            handling_code: None,
        })
    }

    fn person() -> ImportItem {
        let identity = brag_common::matching::identity::Identity::new(Default::default()).unwrap();
        ImportItem::Person { source_id: "1".parse().unwrap(), identity: Box::new(identity) }
    }

    #[test]
    fn an_entry_before_its_person_is_rejected_and_what_is_said_again_is_not() {
        let sink = MemorySink::default();
        let mut intake = Intake::new(Repeats::FirstCounts);
        let unknown = Taken::Rejected(Fault::at("id", Reason::PersonNotKnown));
        assert_eq!(intake.take(&entry("a"), &sink).unwrap(), unknown);
        assert_eq!(intake.take(&person(), &sink).unwrap(), Taken::Good);
        assert_eq!(intake.take(&person(), &sink).unwrap(), Taken::Again);
        assert_eq!(intake.take(&entry("a"), &sink).unwrap(), Taken::Good);
        assert_eq!(intake.take(&entry("a"), &sink).unwrap(), Taken::Again);
        let differs = Taken::Rejected(Fault::at("entry", Reason::Duplicate));
        assert_eq!(intake.take(&entry("b"), &sink).unwrap(), differs);
        intake.begin();
        assert_eq!(intake.take(&entry("b"), &sink).unwrap(), unknown);
    }

    #[test]
    fn where_rows_come_in_the_order_of_their_change_the_later_counts() {
        let sink = MemorySink::default();
        let mut intake = Intake::new(Repeats::LaterCounts);
        for item in [person(), person(), entry("a"), entry("b")] {
            assert_eq!(intake.take(&item, &sink).unwrap(), Taken::Good);
        }
    }
}
