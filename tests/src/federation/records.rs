//! What an agency holds when a test begins, and how it gets into its node.

use brag_agency_node::{
    Config,
    import::{Entry, Flag, ImportItem, Rating, RecordSink as _, SourceId},
    records::StoreSink,
    store::Store,
};
use brag_common::{
    id::{CategoryCode, StaffName},
    matching::identity::Identity,
    rating::{Analysis, AnalysisBounds, Colour, Topic},
    store_key,
    time::Timestamp,
};

/// One person of an agency's records, and what is held about them.
#[derive(Debug, Clone)]
pub struct Holding {
    /// Who, as the agency recorded them.
    pub identity: Identity,
    /// What is held, by category.
    pub entries: Vec<(CategoryCode, String)>,
    /// Also about somebody else.
    pub third_party: bool,
    /// The agency's standing rating: colour, analysis, when.
    pub standing: Option<(Colour, String, Timestamp)>,
}

impl Holding {
    /// Somebody the agency knows, with nothing held about them.
    #[must_use]
    pub const fn of(identity: Identity) -> Self {
        Self { identity, entries: Vec::new(), third_party: false, standing: None }
    }

    /// Holds a text in a category.
    ///
    /// # Panics
    /// When the category is none.
    #[must_use]
    pub fn entry(mut self, category: &str, text: &str) -> Self {
        self.entries.push((category.parse().unwrap(), text.to_owned()));
        self
    }

    /// Holds a standing rating.
    #[must_use]
    pub fn standing(mut self, colour: Colour, analysis: &str, at: Timestamp) -> Self {
        self.standing = Some((colour, analysis.to_owned(), at));
        self
    }
}

/// Puts holdings into a node's store, by the way that an import goes. The node must not be running.
///
/// # Errors
/// When the store or a key can not be used.
pub(super) fn keep(config: &Config, holdings: &[Holding], assessor: &str) -> anyhow::Result<()> {
    let key = store_key::open(config.data.as_path(), config.keys.store.as_path())?;
    let mut sink =
        StoreSink::new(Store::open(config.data.as_path(), &config.enquiry_key_folder(), &key)?)?;
    for (n, holding) in holdings.iter().enumerate() {
        for item in holding.items(&format!("source-{n}").parse()?, &assessor.parse()?)? {
            sink.put(item)?;
        }
    }
    Ok(sink.flush()?)
}

impl Holding {
    fn items(&self, person: &SourceId, assessor: &StaffName) -> anyhow::Result<Vec<ImportItem>> {
        let identity = Box::new(self.identity.clone());
        let mut items = vec![ImportItem::Person { source_id: person.clone(), identity }];
        items.extend(self.entries.iter().map(|(category, text)| {
            ImportItem::Entry(Entry {
                person: person.clone(),
                entry: None,
                category: *category,
                text: text.as_str().into(),
                flags: if self.third_party { vec![Flag::ThirdParty] } else { Vec::new() },
                handling_code: None,
            })
        }));
        if let Some((colour, analysis, rated_at)) = &self.standing {
            items.push(ImportItem::Rating(Rating {
                person: person.clone(),
                colour: *colour,
                analysis: Analysis::parse(analysis, BOUNDS)?,
                tags: vec![Topic::Substance],
                rated_by: assessor.clone(),
                rated_at: *rated_at,
            }));
        }
        Ok(items)
    }
}

/// Those of the sample agreement.
const BOUNDS: AnalysisBounds = AnalysisBounds { min_chars: 20, max_chars: 600 };
