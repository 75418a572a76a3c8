//! What of an enrolment is durable: the pinned key, and every batch that the hub has answered.
//!
//! | place | value |
//! |---|---|
//! | `enrolment/pinned` | epoch and the hub's public key, in which the node enrols |
//! | `enrolment/key/<epoch>` | the hub's public key, of that epoch and of the one before |
//! | `enrolled/<epoch>/<number>` | one batch: its people and their tokens |
//!
//! A batch is one value of about 25 KiB, so that a million people are some fifteen thousand places. When a person
//! changes, the earlier tokens stay behind in their batch, and the index leaves them out.

use std::path::Path;

use anyhow::Context as _;
use brag_common::{
    durable::{self, StoreError},
    matching::{
        index::{Entry, IndexWriter},
        token::{ElementBytes, Epoch, Output},
    },
    secret::SecretBytes,
};
use zeroize::Zeroizing;

use super::people::{Batch, IdentityDigest, digest};
use crate::store::Store;

const PINNED: &[u8] = b"enrolment/pinned";
const KEYS: &str = "enrolment/key/";
const BATCHES: &[u8] = b"enrolled/";

/// The hub's key of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pinned {
    pub(super) epoch: Epoch,
    pub(super) public_key: ElementBytes,
}

impl Pinned {
    fn encode(&self) -> Vec<u8> {
        [self.epoch.0.to_be_bytes().as_slice(), &self.public_key].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (epoch, key) = bytes.split_first_chunk()?;
        let public_key = key.try_into().ok()?;
        Some(Self { epoch: Epoch(u64::from_be_bytes(*epoch)), public_key })
    }
}

/// Who is done, sorted by record.
#[derive(Debug, Default)]
pub(super) struct Done(Vec<(u64, IdentityDigest)>);

impl Done {
    pub(super) fn contains(&self, record: u64, digest: &IdentityDigest) -> bool {
        self.0.binary_search(&(record, *digest)).is_ok()
    }
}

/// What earlier runs, or this one, have done.
pub(super) struct Kept {
    pinned: Option<Pinned>,
    done: Done,
    next_number: u64,
}

impl Kept {
    /// Reads what there is.
    pub(super) fn open(store: &Store) -> Result<Self, StoreError> {
        let pinned = match store.durable().get(PINNED)? {
            Some(bytes) => Some(Pinned::decode(&bytes).ok_or_else(damaged)?),
            None => None,
        };
        let mut done = Vec::new();
        let mut next_number = 0;
        if let Some(pinned) = &pinned {
            for batch in batches(store, pinned.epoch) {
                let (number, enrolled) = batch?;
                next_number = next_number.max(number.saturating_add(1));
                done.extend(enrolled.0.iter().map(|person| (person.record, person.digest)));
            }
        }
        done.sort_unstable();
        Ok(Self { pinned, done: Done(done), next_number })
    }

    pub(super) const fn pinned(&self) -> Option<&Pinned> {
        self.pinned.as_ref()
    }

    pub(super) fn set_pinned(&mut self, pinned: Pinned) {
        self.pinned = Some(pinned);
    }

    /// How many people were done when this was opened; whoever has changed since counts still.
    pub(super) fn n_done(&self) -> usize {
        self.done.0.chunk_by(|(one, _), (other, _)| one == other).count()
    }

    /// Who was done when this was opened; gives it away.
    pub(super) fn done(&mut self) -> Done {
        std::mem::take(&mut self.done)
    }

    pub(super) const fn next_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number = number.saturating_add(1);
        number
    }
}

/// One person with their tokens.
struct EnrolledPerson {
    record: u64,
    digest: IdentityDigest,
    tokens: Vec<Output>,
}

/// One batch.
pub(super) struct Enrolled(Vec<EnrolledPerson>);

impl Enrolled {
    pub(super) fn new(batch: &Batch, outputs: &[Output]) -> Self {
        let mut outputs = outputs.iter().cloned();
        let people = batch.people.iter().map(|(record, digest, n_keys)| EnrolledPerson {
            record: *record,
            digest: *digest,
            tokens: outputs.by_ref().take(*n_keys).collect(),
        });
        Self(people.collect())
    }

    /// For each person: record 8, digest 16, number of tokens 1, then tag 16 and secret 16 of each.
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(32 * 1024));
        for person in &self.0 {
            bytes.extend_from_slice(&person.record.to_be_bytes());
            bytes.extend_from_slice(&person.digest);
            bytes.push(u8::try_from(person.tokens.len()).unwrap_or(u8::MAX));
            for token in person.tokens.iter().take(usize::from(u8::MAX)) {
                bytes.extend_from_slice(&token.tag);
                bytes.extend_from_slice(token.secret.expose());
            }
        }
        bytes
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut people = Vec::new();
        while !bytes.is_empty() {
            let (record, rest) = bytes.split_first_chunk()?;
            let (digest, rest) = rest.split_first_chunk()?;
            let (n_tokens, mut rest) = rest.split_first()?;
            let mut tokens = Vec::with_capacity(usize::from(*n_tokens));
            for _ in 0..*n_tokens {
                let (tag, after) = rest.split_first_chunk()?;
                let (secret, after) = after.split_first_chunk()?;
                tokens.push(Output { tag: *tag, secret: SecretBytes::new(*secret) });
                rest = after;
            }
            let (record, digest) = (u64::from_be_bytes(*record), *digest);
            people.push(EnrolledPerson { record, digest, tokens });
            bytes = rest;
        }
        Some(Self(people))
    }
}

fn batches(
    store: &Store,
    epoch: Epoch,
) -> impl Iterator<Item = Result<(u64, Enrolled), StoreError>> + use<> {
    let prefix = place(epoch, "");
    let n_prefix = prefix.len();
    store.durable().scan(prefix.as_bytes()).map(move |row| {
        let (place, bytes) = row?;
        let number = place
            .get(n_prefix..)
            .and_then(|rest| std::str::from_utf8(rest).ok())
            .and_then(|rest| u64::from_str_radix(rest, 16).ok())
            .ok_or_else(damaged)?;
        Ok((number, Enrolled::decode(&bytes).ok_or_else(damaged)?))
    })
}

fn place(epoch: Epoch, number: &str) -> String {
    format!("enrolled/{:016x}/{number}", epoch.0)
}

const fn damaged() -> StoreError {
    StoreError::Corrupt { what: "a kept batch of the enrolment does not read back" }
}

/// Pins the hub's key of an epoch.
pub(super) fn pin(store: &Store, pinned: &Pinned) -> Result<(), StoreError> {
    let mut batch = durable::Batch::new();
    batch.put(PINNED, pinned.encode());
    batch.put(key_place(pinned.epoch), pinned.public_key.to_vec());
    store.durable().commit(batch)
}

/// The hub's public key of the newest epoch or the one before; absent for every other.
///
/// # Errors
/// When the store fails.
pub fn public_key(store: &Store, epoch: Epoch) -> Result<Option<ElementBytes>, StoreError> {
    let Some(bytes) = store.durable().get(key_place(epoch).as_bytes())? else { return Ok(None) };
    ElementBytes::try_from(bytes.as_slice()).map(Some).map_err(|_| damaged())
}

fn key_place(epoch: Epoch) -> String {
    format!("{KEYS}{:016x}", epoch.0)
}

/// Drops every batch and the keys of epochs before the last, then pins the hub's key of a later epoch.
pub(super) fn start_again(
    store: &Store,
    before: &Pinned,
    pinned: &Pinned,
) -> Result<(), StoreError> {
    let mut batch = durable::Batch::new();
    let kept = key_place(before.epoch);
    for place in store.durable().keys(KEYS.as_bytes()) {
        let place = place?;
        if place != kept.as_bytes() {
            batch.remove(place);
        }
    }
    for place in store.durable().keys(BATCHES) {
        batch.remove(place?);
        if batch.len() >= 500 {
            store.durable().commit(std::mem::take(&mut batch))?;
        }
    }
    store.durable().commit(batch)?;
    pin(store, pinned)
}

/// Keeps one batch.
pub(super) fn keep(
    store: &Store,
    epoch: Epoch,
    number: u64,
    enrolled: &Enrolled,
) -> Result<(), StoreError> {
    let mut batch = durable::Batch::new();
    let (place, value) = row(epoch, number, enrolled);
    batch.put(place, value.to_vec());
    store.durable().commit(batch)
}

/// Place and value of one batch.
pub(super) fn row(epoch: Epoch, number: u64, enrolled: &Enrolled) -> (String, Zeroizing<Vec<u8>>) {
    (place(epoch, &format!("{number:016x}")), enrolled.encode())
}

/// Writes the index of everybody's present identity; gives the number of its tokens.
pub(super) fn write_index(store: &Store, path: &Path, epoch: Epoch) -> anyhow::Result<u64> {
    let mut present = Vec::new();
    for person in store.people() {
        let (record, person) = person?;
        present.push((record, digest(store, &person.identity)));
    }
    // The store gives people by record number, so they are in order.
    let present = Done(present);
    let mut index = IndexWriter::new(path, epoch).context("the token index")?;
    for batch in batches(store, epoch) {
        let (_, enrolled) = batch?;
        for person in enrolled.0 {
            if present.contains(person.record, &person.digest) {
                for token in &person.tokens {
                    index.push(&Entry::new(token, person.record)).context("the token index")?;
                }
            }
        }
    }
    index.finish().context("the token index")
}
