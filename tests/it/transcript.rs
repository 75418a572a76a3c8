//! What a node receives about people it does not know: by length and by content as random, and different for each
//! agency and epoch.
//!
//! The hub's tokens come from its own code with the machine's randomness, so every bound is one that truly random bytes
//! would break in fewer than one of a million runs of the whole test.

use std::collections::BTreeSet;

use brag_agency_node::enrol;
use brag_common::{
    id::{AgencyId, RequestId},
    matching::identity::commit,
    secret::random_bytes,
    time::SignedDuration,
    wire::pb,
};
use brag_hub::{round::envelope, screening::Screening, store::shapes::PersonRecord};
use brag_tests::{
    federation::{Federation, Holding, fresh, id, person_of},
    people::Population,
};
use prost::Message as _;

const N_PEOPLE: usize = 10_000;

/// People in one request: as many as an enquiry may have.
const AT_ONCE: usize = 24;

/// Bytes that one person is in a request, dummies included.
const SLOT_BYTES: usize = 288;

fn people(seed: u64, n: usize) -> Vec<PersonRecord> {
    let population = Population::generate(seed, n);
    assert!(population.people.len() >= n);
    let record = |identity: Vec<u8>| PersonRecord {
        label: "P1".to_owned(),
        person: id(&fresh()),
        commitment: commit(&[7; 32], &identity),
        salt: [7; 32],
        identity,
        role: None,
        initial: None,
    };
    let people = population.people.iter().take(n);
    people.map(|person| record(person.identity().canonical_bytes())).collect()
}

/// The requests with which the hub would screen these people at an agency.
async fn requests(
    federation: &Federation,
    agency: &str,
    people: &[PersonRecord],
) -> Vec<pb::ScreenRequest> {
    let hub = federation.inside_hub();
    let agency: AgencyId = id(agency);
    let mut requests = Vec::new();
    for family in people.chunks(AT_ONCE) {
        let family: Vec<&PersonRecord> = family.iter().collect();
        let head = envelope(&hub, std::time::Duration::from_secs(10)).unwrap();
        let screening = Screening::prepare(&hub, &agency, head, &family).await.unwrap().unwrap();
        requests.push(screening.request());
    }
    requests
}

fn tags(requests: &[pb::ScreenRequest]) -> BTreeSet<Vec<u8>> {
    let slots = requests.iter().flat_map(|request| &request.slots);
    slots.flat_map(|slot| slot.chunks_exact(16).map(<[u8]>::to_vec)).collect()
}

/// Pearson's statistic over the 256 values of a byte, against all being as likely.
fn chi_squared(bytes: impl Iterator<Item = u8>) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        counts[usize::from(byte)] += 1;
    }
    let expected = f64::from(counts.iter().sum::<u32>()) / 256.0;
    counts.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum()
}

/// Correlation of the bytes with themselves `lag` bytes on, in standard deviations of random bytes.
fn autocorrelation(bytes: &[u8], lag: usize) -> f64 {
    let centred = |byte: u8| f64::from(byte) - 127.5;
    let pairs = bytes.iter().zip(&bytes[lag..]);
    let sum: f64 = pairs.map(|(a, b)| centred(*a) * centred(*b)).sum();
    // Variance of a random byte: (256² − 1) / 12.
    let variance = f64::from(256 * 256 - 1) / 12.0;
    sum / variance / f64::from(u32::try_from(bytes.len() - lag).unwrap()).sqrt()
}

/// Two-sided bounds of the statistic with 255 degrees of freedom, each passed by random bytes with a probability
/// below 10⁻⁹ (Wilson and Hilferty's approximation at six standard deviations: 140 and 415).
const CHI_SQUARED: std::ops::Range<f64> = 135.0..420.0;

/// Six and a half standard deviations: below 10⁻¹⁰ on both sides together, for each lag.
const CORRELATION_AT_MOST: f64 = 6.5;

fn looks_random(bytes: &[u8]) -> Result<(), String> {
    let whole = chi_squared(bytes.iter().copied());
    if !CHI_SQUARED.contains(&whole) {
        return Err(format!("chi-squared of all bytes: {whole}"));
    }
    for place in 0..16 {
        let at_place = chi_squared(bytes.iter().skip(place).step_by(16).copied());
        if !CHI_SQUARED.contains(&at_place) {
            return Err(format!("chi-squared of byte {place} of the tags: {at_place}"));
        }
    }
    // Within tags, from tag to tag, from slot to slot, and from request to request.
    let slots = [1, 2, 12, AT_ONCE].map(|n| n * SLOT_BYTES);
    for lag in (1..=64).chain((80..=240).step_by(16)).chain(slots) {
        let found = autocorrelation(bytes, lag);
        if found.abs() > CORRELATION_AT_MOST {
            return Err(format!("autocorrelation {lag} bytes on: {found} standard deviations"));
        }
    }
    Ok(())
}

#[test]
fn the_measure_tells_identities_and_repeats_from_random_bytes() {
    let identities: Vec<u8> = people(1, 400).into_iter().flat_map(|p| p.identity).collect();
    assert!(looks_random(&identities).is_err());
    let repeated = random_bytes::<SLOT_BYTES>().unwrap().repeat(1000);
    assert!(looks_random(&repeated).is_err());
    // One byte in a hundred is always the same.
    let mut stained: Vec<u8> = (0..1000).flat_map(|_| random_bytes::<512>().unwrap()).collect();
    stained.iter_mut().step_by(100).for_each(|byte| *byte = 7);
    assert!(looks_random(&stained).is_err());
    let random: Vec<u8> = (0..1000).flat_map(|_| random_bytes::<512>().unwrap()).collect();
    looks_random(&random).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_people_whom_a_node_does_not_know_are_random_bytes_to_it() {
    let federation = Federation::builder()
        .nodes(&["SMS"])
        .silent(&["POL", "CSC", "DAS"])
        .holds("SMS", Holding::of(person_of(0)))
        .start()
        .await;
    let people = people(20_270_209, N_PEOPLE);
    let requests = requests(&federation, "SMS", &people).await;
    let full = &requests[..N_PEOPLE / AT_ONCE];
    // By length: whoever they are, and whatever is known of them.
    let lengths: BTreeSet<usize> = full.iter().map(pb::ScreenRequest::encoded_len).collect();
    assert_eq!(lengths.len(), 1, "{lengths:?}");
    assert!(requests.iter().flat_map(|r| &r.slots).all(|slot| slot.len() == SLOT_BYTES));
    // Beside tags and a random id there is nothing that depends on anybody.
    let heads: BTreeSet<Vec<u8>> = full
        .iter()
        .map(|request| {
            let _: RequestId = id(&request.request_id);
            let head = pb::ScreenRequest {
                request_id: String::new(),
                slots: Vec::new(),
                ..request.clone()
            };
            head.encode_to_vec()
        })
        .collect();
    assert_eq!(heads.len(), 1);
    // By content.
    let bytes: Vec<u8> = requests.iter().flat_map(|request| request.slots.concat()).collect();
    assert!(bytes.len() >= N_PEOPLE * SLOT_BYTES);
    looks_random(&bytes).unwrap();
    federation.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_people_are_other_bytes_to_another_agency_and_in_another_epoch() {
    let mut federation = Federation::builder()
        .nodes(&["SMS", "POL"])
        .holds("SMS", Holding::of(person_of(0)))
        .holds("POL", Holding::of(person_of(0)))
        .epoch("1h")
        .start()
        .await;
    let people = people(3, 10 * AT_ONCE);
    let here = tags(&requests(&federation, "SMS", &people).await);
    let again = tags(&requests(&federation, "SMS", &people).await);
    // Control: within an agency and epoch a person's keys have the same tags, so that the index can have them.
    assert!(here.intersection(&again).count() > people.len());
    let elsewhere = tags(&requests(&federation, "POL", &people).await);
    assert_eq!(here.intersection(&elsewhere).count(), 0);

    federation.advance(SignedDuration::from_hours(2));
    federation.stop_node("SMS").await;
    let hub = federation.inside_hub();
    brag_hub::epochs::present(&hub, &id("SMS")).await.unwrap();
    drop(hub);
    enrol::run(federation.node_settings("SMS"), federation.clock(), |_| ()).await.unwrap();
    let later = requests(&federation, "SMS", &people).await;
    assert!(later.iter().all(|request| request.epoch == 2));
    assert_eq!(here.intersection(&tags(&later)).count(), 0);
    federation.finish().await;
}
