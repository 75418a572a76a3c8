//! One screening: blinded tokens for everyone asked about, and what an agency's answer comes to.

use std::{collections::BTreeMap, sync::Arc};

use brag_common::{
    enquiry::{Envelope, SLOT_TAGS, SLOTS_STEP, ScreenQuery, SlotTags},
    id::{AgencyId, PersonRef},
    matching::{
        identity::Identity,
        keys::query_slots,
        screen::ScreenAnswer,
        token::{AskedSlot, Epoch, EpochSecret},
        weigh::{Thresholds, Verdict, weigh},
    },
    secret::{SecretBytes, random_bytes},
    wire::pb,
};
use rand_core::{OsRng, RngCore as _};

use crate::{epochs, guard::Refusal, hub::Shared, store::shapes::PersonRecord};

/// What the screening says of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The agency does not know them.
    NotKnown,
    /// Perhaps, by this candidate; nothing is disclosed unless a co-ordinator authorises it.
    Possible([u8; 16]),
    /// The agency knows them, by this candidate.
    Known([u8; 16]),
}

/// A screening that is under way.
#[derive(Debug, Clone)]
pub struct Screening {
    query: ScreenQuery,
    /// Where each person's slot is among the dummies, and what it asked.
    places: BTreeMap<PersonRef, (usize, [Option<AskedSlot>; SLOT_TAGS])>,
    n_people: u64,
}

impl Screening {
    /// Prepares tokens for `people`; `None` when no enrolment of the agency counts yet.
    ///
    /// # Errors
    /// When the store, the machine's randomness or a stored identity fails.
    pub async fn prepare(
        shared: &Arc<Shared>,
        agency: &AgencyId,
        envelope: Envelope,
        people: &[&PersonRecord],
    ) -> Result<Option<Self>, Refusal> {
        let epochs = epochs::present(shared, agency).await?;
        let newest_epoch = epochs.newest().map_or(0, |newest| newest.epoch);
        let Some(epoch) = epochs.screening else { return Ok(None) };
        let secret = EpochSecret::derive(
            &SecretBytes::new(epoch.seed),
            agency,
            Epoch(u64::from(epoch.epoch)),
        )
        .map_err(|_| Refusal::Internal)?;
        let public_key = secret.public_key();
        let people: Vec<(PersonRef, Vec<u8>)> =
            people.iter().map(|p| (p.person.clone(), p.identity.clone())).collect();
        // Curve work: milliseconds for a family, off the runtime's threads.
        let prepared = tokio::task::spawn_blocking(move || {
            let n_slots = people.len().next_multiple_of(SLOTS_STEP);
            let mut slots = Vec::with_capacity(n_slots);
            for _ in 0..n_slots {
                slots.push(dummy()?);
            }
            let mut free: Vec<usize> = (0..n_slots).collect();
            let mut places = BTreeMap::new();
            for (person, identity) in people {
                let identity =
                    Identity::from_canonical_bytes(&identity).map_err(|_| Refusal::Internal)?;
                let keys = query_slots(&identity, &mut OsRng);
                let prepared =
                    secret.prepare_query(&keys, &mut OsRng).map_err(|_| Refusal::Internal)?;
                let place = free.swap_remove(below(free.len()));
                if let Some(slot) = slots.get_mut(place) {
                    *slot = prepared.tags;
                }
                places.insert(person, (place, prepared.asked));
            }
            Ok::<_, Refusal>((slots, places))
        });
        let (slots, places) = prepared.await.map_err(|_| Refusal::Internal)??;
        let query = ScreenQuery { envelope, epoch: epoch.epoch, public_key, newest_epoch, slots };
        Ok(Some(Self { query, places, n_people: epoch.declared_people }))
    }

    /// How many slots it asks, dummies among them.
    #[must_use]
    pub fn n_slots(&self) -> usize {
        self.query.slots.len()
    }

    /// The request, as it is sent.
    #[must_use]
    pub fn request(&self) -> pb::ScreenRequest {
        (&self.query).into()
    }

    /// Weighs the agency's answers. An answer of another size is not an answer.
    ///
    /// # Errors
    /// When the answers do not have their form.
    pub async fn weigh(
        self,
        shared: &Shared,
        _agency: &AgencyId,
        answers: &[Vec<u8>],
    ) -> Result<BTreeMap<PersonRef, Asked>, Refusal> {
        let malformed = || Refusal::Statement("the screening's answer does not have its form");
        if answers.len() != self.query.slots.len() {
            return Err(malformed());
        }
        let terms = shared.agreement.agreement().matching();
        let thresholds = Thresholds::new(terms.disclose_from, terms.review_from)
            .map_err(|_| Refusal::Internal)?;
        let query = &self.query.envelope.request_id;
        let mut verdicts = BTreeMap::new();
        for (person, (place, asked)) in &self.places {
            let bytes = answers.get(*place).ok_or_else(malformed)?;
            let answer = ScreenAnswer::from_bytes(bytes).map_err(|_| malformed())?;
            let assessment = weigh(query, asked, &answer, self.n_people, thresholds);
            let verdict = match (assessment.verdict, assessment.candidates.first()) {
                (Verdict::Known, Some(best)) => Asked::Known(best.handle),
                (Verdict::Possible, Some(best)) => Asked::Possible(best.handle),
                (Verdict::Unknown | Verdict::Known | Verdict::Possible, _) => Asked::NotKnown,
            };
            verdicts.insert(person.clone(), verdict);
        }
        Ok(verdicts)
    }
}

fn dummy() -> Result<SlotTags, Refusal> {
    let mut tags = [[0; 16]; SLOT_TAGS];
    for tag in &mut tags {
        *tag = random_bytes().map_err(|_| Refusal::Internal)?;
    }
    Ok(tags)
}

/// A random number below `n`, or 0 when `n` is 0. The bias of the remainder is below 2⁻⁵⁰ here.
fn below(n: usize) -> usize {
    let n = u64::try_from(n).unwrap_or(u64::MAX).max(1);
    usize::try_from(OsRng.next_u64() % n).unwrap_or(0)
}
