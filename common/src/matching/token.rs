//! Match keys under an oblivious pseudorandom function: RFC 9497, ristretto255-SHA512, mode VOPRF.
//!
//! The hub holds one secret per agency and epoch. A node enrols: it blinds its keys, the hub evaluates what it can not
//! read, the node checks the proof that the hub used the published secret, and removes the blinds. For a query the hub
//! evaluates the asked person's keys by itself. An output has two halves: the **tag**, which a query carries and a
//! node looks up, and the **secret**, which neither ever sends and with which a node proves a hit.
//!
//! Sizes on the wire, in bytes: element 32, public key 32, proof 64; a batch is always [`BATCH`] elements, 16 KiB each
//! way. Measured on one core of a server (AMD EPYC with AVX2): about 100 ms a batch for the node, 50 ms for the hub.
//!
//! RFC 9497 has no analysis of many server keys with batches; that each agency and epoch has an
//! independent secret rests on the one-more gap Diffie-Hellman assumption for each of them alone.

use std::fmt;

use rand_core::{CryptoRng, RngCore};
use ring::{hkdf, hmac};
use voprf::{
    BlindedElement, CipherSuite, EvaluationElement, Group, Proof, Ristretto255, VoprfClient,
    VoprfServer,
};
use zeroize::Zeroizing;

use super::keys::{KeyKind, MatchKey, QUERY_SLOTS, shuffle};
use crate::{
    id::{AgencyId, RequestId},
    secret::SecretBytes,
};

/// Elements in a batch, dummies included: always as many, so that a batch does not tell how many people changed.
pub const BATCH: usize = 512;
/// Length of a proof, in bytes: two scalars.
pub const PROOF_BYTES: usize = 64;

/// A blinded or evaluated element on the wire: a compressed ristretto255 point that is not the identity.
pub type ElementBytes = [u8; 32];
/// What a query carries for a slot, and a node looks up.
pub type Tag = [u8; 16];
/// What identifies a candidate within one answer: random, made by the node.
pub type Handle = [u8; 16];
/// Proof of one hit; random where there is none.
pub type HitProof = [u8; 16];

type Ciphersuite = <Ristretto255 as CipherSuite>::Group;

/// Why tokens could not be made. `Proof` and the malformed ones are the peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenFailure {
    /// Not exactly [`BATCH`] elements.
    #[error("a batch has {BATCH} elements, found {0}")]
    BatchSize(usize),
    /// An element that is not a point of the group, or is its identity.
    #[error("element {0} of the batch is not a valid point")]
    BadElement(usize),
    /// A proof that is not two scalars.
    #[error("the proof is malformed")]
    BadProof,
    /// A public key that is not a point of the group, or is its identity.
    #[error("the public key is not a valid point")]
    BadPublicKey,
    /// The hub did not evaluate this batch with the secret behind the public key.
    #[error("the proof does not verify: the elements were not evaluated under the published key")]
    Proof,
    /// The library refused; it does so with negligible probability.
    #[error("the pseudorandom function failed")]
    Function,
}

/// Number of an epoch, counted up by the hub each time it rotates secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// The hub's secret for one agency and epoch.
pub struct EpochSecret(VoprfServer<Ristretto255>);

impl EpochSecret {
    /// The secret that follows from `seed` for this agency and epoch (RFC 9497 `DeriveKeyPair`, info `agency|epoch`).
    ///
    /// Seeds of different agencies should be independent, and that of an epoch destroyed when it is over: then its
    /// tokens can never be inverted again.
    ///
    /// # Errors
    /// With negligible probability; take another epoch.
    pub fn derive(
        seed: &SecretBytes<32>,
        agency: &AgencyId,
        epoch: Epoch,
    ) -> Result<Self, TokenFailure> {
        let info = format!("{agency}|{}", epoch.0);
        VoprfServer::new_from_seed(seed.expose(), info.as_bytes())
            .map(Self)
            .map_err(|_| TokenFailure::Function)
    }

    /// The public half, against which nodes check every batch.
    #[must_use]
    pub fn public_key(&self) -> ElementBytes {
        Ciphersuite::serialize_elem(self.0.get_public_key()).into()
    }

    /// Evaluates a batch without learning what is in it, and proves that it used this secret.
    ///
    /// # Errors
    /// When there are not exactly [`BATCH`] elements, or one is no valid point: the node is at fault.
    pub fn evaluate_batch<R: RngCore + CryptoRng>(
        &self,
        blinded: &[ElementBytes],
        rng: &mut R,
    ) -> Result<EvaluatedBatch, TokenFailure> {
        check_size(blinded)?;
        let mut elements = Vec::with_capacity(BATCH);
        for (place, bytes) in blinded.iter().enumerate() {
            let element = BlindedElement::<Ristretto255>::deserialize(bytes);
            elements.push(element.map_err(|_| TokenFailure::BadElement(place))?);
        }
        let evaluated =
            self.0.batch_blind_evaluate(rng, &elements).map_err(|_| TokenFailure::Function)?;
        let mut proof = [0; PROOF_BYTES];
        proof.copy_from_slice(&evaluated.proof.serialize());
        let elements = evaluated.messages.iter().map(|element| element.serialize().into());
        Ok(EvaluatedBatch { elements: elements.collect(), proof })
    }

    /// The hub's own evaluation of a key, equal to what a node gets for the same key.
    ///
    /// # Errors
    /// With negligible probability.
    pub fn evaluate(&self, key: &MatchKey) -> Result<Output, TokenFailure> {
        let output = self.0.evaluate(key.as_bytes()).map_err(|_| TokenFailure::Function)?;
        Output::split(&output)
    }

    /// Tags for all slots of a query, random for dummies; and what the hub keeps to weigh the answer.
    ///
    /// # Errors
    /// With negligible probability.
    pub fn prepare_query<R: RngCore + CryptoRng>(
        &self,
        slots: &[Option<MatchKey>; QUERY_SLOTS],
        rng: &mut R,
    ) -> Result<PreparedQuery, TokenFailure> {
        let mut query =
            PreparedQuery { tags: [[0; 16]; QUERY_SLOTS], asked: [const { None }; QUERY_SLOTS] };
        let places = query.tags.iter_mut().zip(query.asked.iter_mut());
        for ((tag, asked), slot) in places.zip(slots) {
            match slot {
                Some(key) => {
                    let output = self.evaluate(key)?;
                    *tag = output.tag;
                    *asked = Some(AskedSlot { kind: key.kind(), secret: output.secret });
                }
                None => rng.fill_bytes(tag),
            }
        }
        Ok(query)
    }
}

impl fmt::Debug for EpochSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochSecret([secret])")
    }
}

/// A batch as the hub sends it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluatedBatch {
    /// The evaluated elements, in the order of the blinded ones.
    pub elements: Vec<ElementBytes>,
    /// That all were evaluated under one secret.
    pub proof: [u8; PROOF_BYTES],
}

/// A query as the hub prepares it.
#[derive(Debug)]
pub struct PreparedQuery {
    /// What travels: one tag for each slot.
    pub tags: [Tag; QUERY_SLOTS],
    /// What stays: kind and secret half of each slot; absent for dummies.
    pub asked: [Option<AskedSlot>; QUERY_SLOTS],
}

/// What the hub keeps of a slot.
#[derive(Debug, Clone)]
pub struct AskedSlot {
    /// Which facts the slot's key is made of.
    pub kind: KeyKind,
    /// The half of the output that did not travel.
    pub secret: SecretBytes<16>,
}

/// The function's output for a key, in two independent halves.
#[derive(Debug, Clone)]
pub struct Output {
    /// What a query carries.
    pub tag: Tag,
    /// What proves a hit; at rest it is in the node's index.
    pub secret: SecretBytes<16>,
}

impl Output {
    /// HKDF-SHA512 (RFC 5869) over the 64 bytes, with a label for each half: one half says nothing about the other.
    fn split(output: &[u8]) -> Result<Self, TokenFailure> {
        let extracted =
            hkdf::Salt::new(hkdf::HKDF_SHA512, b"brag-exchange/v1/token").extract(output);
        let half = |label: &[u8]| {
            let mut bytes = [0; 16];
            let filled = extracted.expand(&[label], Half).and_then(|okm| okm.fill(&mut bytes));
            filled.map(|()| bytes).map_err(|_| TokenFailure::Function)
        };
        Ok(Self { tag: half(b"tag")?, secret: SecretBytes::new(half(b"secret")?) })
    }
}

struct Half;

impl hkdf::KeyType for Half {
    fn len(&self) -> usize {
        16
    }
}

/// A node's batch between blinding and the hub's answer. Keep it until then: only it can remove the blinds.
pub struct BlindBatch {
    elements: Vec<ElementBytes>,
    states: Vec<VoprfClient<Ristretto255>>,
    inputs: Vec<Zeroizing<Vec<u8>>>,
    /// For each element the place of its key in the caller's list; absent for dummies.
    places: Vec<Option<usize>>,
}

impl BlindBatch {
    /// Blinds up to [`BATCH`] keys, fills up with random dummies and shuffles.
    ///
    /// # Errors
    /// When there are more keys than that.
    pub fn new<R: RngCore + CryptoRng>(
        keys: &[MatchKey],
        rng: &mut R,
    ) -> Result<Self, TokenFailure> {
        if keys.len() > BATCH {
            return Err(TokenFailure::BatchSize(keys.len()));
        }
        let mut places: Vec<Option<usize>> =
            (0..BATCH).map(|place| (place < keys.len()).then_some(place)).collect();
        shuffle(&mut places, rng);
        let (mut elements, mut states, mut inputs) =
            (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        for place in &places {
            let input = match place.and_then(|place| keys.get(place)) {
                Some(key) => Zeroizing::new(key.as_bytes().to_vec()),
                None => {
                    // A blinded element is uniformly random whatever its input, so dummies do not stand out.
                    let mut dummy = Zeroizing::new(vec![0; 32]);
                    rng.fill_bytes(&mut dummy);
                    dummy
                }
            };
            let blinded = VoprfClient::<Ristretto255>::blind(&input, rng)
                .map_err(|_| TokenFailure::Function)?;
            elements.push(blinded.message.serialize().into());
            states.push(blinded.state);
            inputs.push(input);
        }
        Ok(Self { elements, states, inputs, places })
    }

    /// What to send: [`BATCH`] elements.
    #[must_use]
    pub fn elements(&self) -> &[ElementBytes] {
        &self.elements
    }

    /// Verifies the hub's proof over the whole batch and gives the outputs, each with the place of its key in the list
    /// given to [`Self::new`], in the order of that list.
    ///
    /// # Errors
    /// When anything the hub sent is malformed or the proof does not verify; then no output is given.
    pub fn finalize(
        &self,
        evaluated: &EvaluatedBatch,
        public_key: &ElementBytes,
    ) -> Result<Vec<(usize, Output)>, TokenFailure> {
        check_size(&evaluated.elements)?;
        let mut messages = Vec::with_capacity(BATCH);
        for (place, bytes) in evaluated.elements.iter().enumerate() {
            let element = EvaluationElement::<Ristretto255>::deserialize(bytes);
            messages.push(element.map_err(|_| TokenFailure::BadElement(place))?);
        }
        let proof = Proof::deserialize(&evaluated.proof).map_err(|_| TokenFailure::BadProof)?;
        let public_key =
            Ciphersuite::deserialize_elem(public_key).map_err(|_| TokenFailure::BadPublicKey)?;
        let inputs: Vec<&[u8]> = self.inputs.iter().map(|input| input.as_slice()).collect();
        let outputs =
            VoprfClient::batch_finalize(&inputs, &self.states, &messages, &proof, public_key)
                .map_err(|_| TokenFailure::Proof)?;
        let mut results = Vec::new();
        for (place, output) in self.places.iter().zip(outputs) {
            if let Some(place) = place {
                results
                    .push((*place, Output::split(&output.map_err(|_| TokenFailure::Function)?)?));
            }
        }
        results.sort_by_key(|(place, _)| *place);
        Ok(results)
    }
}

impl fmt::Debug for BlindBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlindBatch([personal])")
    }
}

const fn check_size(elements: &[ElementBytes]) -> Result<(), TokenFailure> {
    if elements.len() == BATCH { Ok(()) } else { Err(TokenFailure::BatchSize(elements.len())) }
}

/// Proves to the hub that the node had enrolled the key of a slot: HMAC-SHA256 (RFC 2104) under the secret half over
/// domain, query, slot and candidate, cut to 16 bytes. It is worth nothing in another query, slot or candidate.
#[must_use]
pub fn prove_hit(secret: &[u8; 16], query: &RequestId, slot: u8, candidate: &Handle) -> HitProof {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut context = hmac::Context::with_key(&key);
    context.update(b"brag-exchange/v1/hit\0");
    context.update(query.as_str().as_bytes());
    // A reference holds no NUL, so it ends here.
    context.update(&[0, slot]);
    context.update(candidate);
    let mut proof = [0; 16];
    for (byte, full) in proof.iter_mut().zip(context.sign().as_ref()) {
        *byte = *full;
    }
    proof
}

/// Whether `proof` is that of the slot's secret for this query and candidate. Takes the same time for every proof.
#[must_use]
pub fn verify_hit(
    secret: &SecretBytes<16>,
    query: &RequestId,
    slot: u8,
    candidate: &Handle,
    proof: &HitProof,
) -> bool {
    let expected = prove_hit(secret.expose(), query, slot, candidate);
    let difference = expected.iter().zip(proof).fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests;
