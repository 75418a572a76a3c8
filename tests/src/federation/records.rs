//! What an agency holds when a test begins, and how it gets into its node: stored, then enrolled with the hub.

use anyhow::Context as _;
use brag_agency_node::{
    Config,
    store::{
        Change, Store, person_place,
        shapes::{EntryRecord, PersonRecord, StandingRating},
        standing_place,
    },
};
use brag_common::{
    id::CategoryCode,
    keyfile::{self, KeyKind},
    matching::{
        identity::Identity,
        index::{Entry as Token, write_index},
        keys::enrolment_keys,
        token::{BATCH, BlindBatch, Epoch, EvaluatedBatch},
    },
    rating::{Colour, Topic},
    release::{DetailPlace, Withheld},
    time::Timestamp,
    wire::pb,
};
use rand_core::OsRng;
use tonic::transport::Channel;

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

/// Puts holdings into a node's store. The node must not be running. Record numbers are the places in the list.
///
/// # Errors
/// When the store or a key can not be used.
pub fn keep(config: &Config, holdings: &[Holding], assessor: &str) -> anyhow::Result<()> {
    let key = keyfile::read(config.keys.store.as_path(), KeyKind::Store)?;
    let store = Store::open(config.data.as_path(), &key)?;
    let mut change = Change::new();
    for (record, holding) in (1u64..).zip(holdings) {
        let source_id = format!("source-{record}");
        change.put(&store.source_place(&source_id), &record)?;
        let identity = holding.identity.canonical_bytes();
        change.put(&person_place(record), &PersonRecord { source_id, identity })?;
        for (n, (category, text)) in holding.entries.iter().enumerate() {
            let place = DetailPlace { record, category: *category };
            let kept = EntryRecord {
                category: *category,
                withheld: Withheld::keep(store.detail_key(), place, text)?.into_sealed(),
                third_party: holding.third_party,
                restricted: false,
                handling_code: false,
                more_detrimental: false,
            };
            change.put(&format!("entry/{record:016x}/{category}/{n:04}"), &kept)?;
        }
        if let Some((colour, analysis, at)) = &holding.standing {
            let standing = StandingRating {
                colour: *colour,
                analysis: analysis.clone(),
                topics: vec![Topic::Substance],
                rated_by: assessor.parse()?,
                rated_at: *at,
            };
            change.put(&standing_place(record), &standing)?;
        }
    }
    Ok(store.commit(change)?)
}

/// Enrols the holdings with the hub and writes the node's token index. The node must not be running.
///
/// # Errors
/// When the hub refuses, or its proof does not verify.
pub async fn enrol(
    config: &Config,
    holdings: &[Holding],
    hub: Channel,
) -> anyhow::Result<()> {
    let mut hub = pb::hub_service_client::HubServiceClient::new(hub);
    let mut keys = Vec::new();
    for (record, holding) in (1u64..).zip(holdings) {
        keys.extend(enrolment_keys(&holding.identity).into_iter().map(|key| (record, key)));
    }
    anyhow::ensure!(keys.len() <= BATCH, "more people than one batch");
    let (records, keys): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
    let blinded = BlindBatch::new(&keys, &mut OsRng)?;
    let request = pb::EvaluateRequest {
        request_id: super::fresh(),
        declared_people: holdings.len().max(1) as u64,
        blinded: blinded.elements().concat(),
    };
    let answer = hub.evaluate(request).await?.into_inner();
    let evaluated = EvaluatedBatch {
        elements: answer.evaluated.as_chunks::<32>().0.to_vec(),
        proof: answer.proof.as_slice().try_into().context("the proof has another length")?,
    };
    let public_key = answer.public_key.as_slice().try_into().context("not a key")?;
    let outputs = blinded.finalize(&evaluated, &public_key)?;
    let tokens =
        outputs.iter().map(|(place, output)| Token::new(output, records[*place])).collect();
    let path = config.data.as_path().join("tokens");
    Ok(write_index(&path, Epoch(u64::from(answer.epoch)), tokens)?)
}
