use std::path::Path;

use proptest::prelude::*;
use rand_core::{OsRng, RngCore as _};

use super::{
    model::{NameAgreement, State},
    *,
};
use crate::{
    matching::{
        identity::{
            Address, BirthDate, Identifier, IdentifierKind, Identity, IdentityParts, Name, NameKind,
        },
        index::{Entry, TokenIndex, write_index},
        keys::{enrolment_keys, query_slots},
        screen::{ScreenCandidate, screen},
        token::{Epoch, EpochSecret},
    },
    secret::SecretBytes,
};

const MILLION: u64 = 1_000_000;

fn identity(given: &str, family: &str, nhs: Option<&str>, house: Option<&str>) -> Identity {
    Identity::new(IdentityParts {
        names: vec![Name::new(NameKind::Current, given, family).unwrap()],
        birth: BirthDate::parse("2016-03-04").unwrap(),
        identifiers: nhs
            .map(|nhs| Identifier::new(IdentifierKind::Nhs, nhs).unwrap())
            .into_iter()
            .collect(),
        addresses: house
            .map(|house| Address::new(Some(house), Some("ZZ1 2AB"), None, None).unwrap())
            .into_iter()
            .collect(),
        ..IdentityParts::default()
    })
    .unwrap()
}

fn enrolled(folder: &Path, secret: &EpochSecret, people: &[Identity]) -> TokenIndex {
    let mut entries = Vec::new();
    for (person, record) in people.iter().zip(0..) {
        for key in enrolment_keys(person) {
            entries.push(Entry::new(&secret.evaluate(&key).unwrap(), record));
        }
    }
    let path = folder.join("tokens");
    write_index(&path, Epoch(1), entries).unwrap();
    TokenIndex::open(&path).unwrap()
}

/// The whole way of a query: keys, tokens, index, answer, weighing.
fn ask(asked: &Identity, known: &[Identity]) -> Assessment {
    let folder = tempfile::tempdir().unwrap();
    let agency = "CSC".parse().unwrap();
    let secret = EpochSecret::derive(&SecretBytes::new([5; 32]), &agency, Epoch(1)).unwrap();
    let index = enrolled(folder.path(), &secret, known);
    let query = RequestId::from_random([1; 16]);
    let prepared = secret.prepare_query(&query_slots(asked, &mut OsRng), &mut OsRng).unwrap();
    let (answer, _) = screen(&index, &query, &prepared.tags, &mut OsRng).unwrap();
    weigh(&query, &prepared.asked, &answer, MILLION, Thresholds::DEFAULT)
}

#[test]
fn a_stranger_is_unknown() {
    let known = [identity("Theo", "Pell", None, Some("3"))];
    let assessment = ask(&identity("Grace", "Adeyemi", None, Some("9")), &known);
    assert_eq!((assessment.verdict, assessment.candidates.len()), (Verdict::Unknown, 0));
}

#[test]
fn a_twin_is_not_taken_for_the_other() {
    let known = [identity("Theo", "Pell", Some("943 476 5919"), Some("3"))];
    let assessment = ask(&identity("Isla", "Pell", None, Some("3")), &known);
    assert!(assessment.verdict < Verdict::Known);
}

#[test]
fn a_twin_whose_name_begins_alike_is_less_likely_than_the_person() {
    let of = |given| {
        ask(&identity("Theo", "Pell", None, Some("3")), &[identity(given, "Pell", None, Some("3"))])
    };
    let (twin, person) = (of("Theodora"), of("Theo"));
    assert!(twin.candidates[0].posterior < person.candidates[0].posterior);
    // A number that the other's record does not have says nothing.
    let known = [identity("Theodora", "Pell", None, Some("3"))];
    let numbered = ask(&identity("Theo", "Pell", Some("943 476 5919"), Some("3")), &known);
    assert!((numbered.candidates[0].posterior - twin.candidates[0].posterior).abs() < 1e-3);
}

#[test]
fn a_twin_whose_own_number_is_on_record_is_not_disclosed_however_alike_the_names() {
    let twins = ["943 476 5919", "999 000 0018"];
    let asked = identity("Kirpreet", "Khan", Some(twins[0]), Some("90"));
    for other in ["Kirit", "Kirpree"] {
        let numbered = ask(&asked, &[identity(other, "Khan", Some(twins[1]), Some("90"))]);
        let unnumbered = ask(&asked, &[identity(other, "Khan", None, Some("90"))]);
        assert!(numbered.verdict < Verdict::Known, "{other}");
        assert!(numbered.candidates[0].posterior < unnumbered.candidates[0].posterior, "{other}");
    }
    let person = ask(&asked, &[identity("Kirit", "Khan", Some(twins[0]), Some("90"))]);
    assert_eq!(person.verdict, Verdict::Known);
}

#[test]
fn one_weak_hit_is_possible_at_most() {
    for kind in [KeyKind::GivenBirthPlace, KeyKind::InitialsHouse] {
        let asked = Kinds::of(&KeyKind::ALL);
        for asked in [asked, Kinds::of(KeyKind::without_identifier())] {
            let posterior = posterior(asked, Kinds::of(&[kind]), MILLION);
            assert!(
                Thresholds::DEFAULT.verdict(posterior) <= Verdict::Possible,
                "{kind:?} {posterior}"
            );
        }
    }
}

#[test]
fn the_same_person_without_a_number_is_known() {
    let known =
        [identity("Theo", "Pell", None, Some("3")), identity("Isla", "Pell", None, Some("3"))];
    let assessment = ask(&identity("Theo", "Pell", Some("943 476 5919"), Some("3")), &known);
    assert_eq!(assessment.verdict, Verdict::Known);
}

#[test]
fn the_number_alone_makes_a_person_known() {
    let known = [identity("Theodore", "Marsh-Pell", Some("9434765919"), None)];
    let thin = Identity::new(IdentityParts {
        identifiers: vec![Identifier::new(IdentifierKind::Nhs, "943 476 5919").unwrap()],
        ..IdentityParts::default()
    });
    assert_eq!(ask(&thin.unwrap(), &known).verdict, Verdict::Known);
    // Also when everything else was asked and missed.
    assert_eq!(
        ask(&identity("Ay", "Bee", Some("943 476 5919"), Some("1")), &known).verdict,
        Verdict::Known
    );
}

#[test]
fn a_claimed_hit_with_a_bad_proof_counts_for_nothing() {
    let query = RequestId::from_random([1; 16]);
    let secret = SecretBytes::new([5; 16]);
    let asked = std::array::from_fn(|_| {
        Some(AskedSlot { kind: KeyKind::Identifier, secret: secret.clone() })
    });
    let mut proofs = [[0; 16]; QUERY_SLOTS];
    proofs.iter_mut().for_each(|proof| OsRng.fill_bytes(proof));
    let mut candidates = [ScreenCandidate { handle: [1; 16], proofs }; 4];
    // A proof of another candidate, replayed.
    candidates[1].proofs[0] =
        crate::matching::token::prove_hit(secret.expose(), &query, 0, &[2; 16]);
    let assessment =
        weigh(&query, &asked, &ScreenAnswer { candidates }, MILLION, Thresholds::DEFAULT);
    assert_eq!((assessment.verdict, assessment.candidates.len()), (Verdict::Unknown, 0));
}

#[test]
fn refuses_thresholds_that_are_not_in_order() {
    for (disclose, review) in [(0.2, 0.9), (1.0, 0.5), (0.9, 0.0), (f64::NAN, 0.1), (0.9, f64::NAN)]
    {
        assert_eq!(Thresholds::new(disclose, review), Err(BadThresholds));
    }
    assert_eq!(Thresholds::new(0.9, 0.2), Ok(Thresholds::DEFAULT));
}

#[test]
fn without_an_identifier_certainty_has_a_ceiling() {
    let asked = Kinds::of(KeyKind::without_identifier());
    let all = posterior(asked, asked, 10_000);
    assert!((0.99..0.996).contains(&all), "{all}");
    let with = posterior(Kinds::of(&KeyKind::ALL), Kinds::of(&KeyKind::ALL), MILLION);
    assert!(with > 0.999_999, "{with}");
}

#[test]
fn nothing_that_hits_is_nobody() {
    assert!(posterior(Kinds::of(&KeyKind::ALL), Kinds::default(), MILLION) <= 0.0);
}

#[test]
fn a_number_that_is_not_on_record_says_nothing_and_another_number_speaks_against() {
    let without = Kinds::of(KeyKind::without_identifier());
    let with = Kinds::of(&KeyKind::ALL);
    for hits in [without, Kinds::of(&[KeyKind::NameBirth, KeyKind::InitialsBirth])] {
        let (missed, unasked) = (posterior(with, hits, MILLION), posterior(without, hits, MILLION));
        assert!(missed <= unasked + 1e-9 && missed > unasked - 0.05, "{missed} {unasked}");
    }
    let alike = |identifier| {
        let names = model::name_state(NameAgreement::Start, NameAgreement::Full);
        let state = State { names, birth: 7, place: 3, identifier };
        posterior(with, state.pattern(), MILLION)
    };
    let (different, not_on_record) = (2, model::NOT_ON_RECORD);
    assert!(alike(different) < 0.2 && alike(not_on_record) > 0.8);
}

#[test]
fn a_larger_index_does_not_round_up() {
    // Found by the property below: the odds fell, and the quotient of two rounded numbers rose by its last bit.
    let (asked, hits) = (Kinds(163_040 | 127_799), Kinds(127_799));
    assert!(posterior(asked, hits, 64_568_255) <= posterior(asked, hits, 50_086_275));
}

fn kinds() -> impl Strategy<Value = Kinds> {
    (0_u32..1 << KeyKind::ALL.len()).prop_map(Kinds)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_larger_index_never_makes_anyone_more_certain(asked in kinds(), hits in kinds(), n in 1_u64..100_000_000, more in 0_u64..100_000_000) {
        let asked = Kinds(asked.0 | hits.0);
        let (small, large) = (posterior(asked, hits, n), posterior(asked, hits, n + more));
        prop_assert!(large <= small);
        prop_assert!((0.0..=1.0).contains(&small));
    }

    #[test]
    fn any_answer_is_weighed(bytes in proptest::collection::vec(any::<u8>(), crate::matching::screen::ANSWER_BYTES)) {
        let answer = ScreenAnswer::from_bytes(&bytes).unwrap();
        let asked = std::array::from_fn(|_| Some(AskedSlot { kind: KeyKind::NameBirth, secret: SecretBytes::new([5; 16]) }));
        let assessment = weigh(&RequestId::from_random([1; 16]), &asked, &answer, MILLION, Thresholds::DEFAULT);
        prop_assert_eq!(assessment.verdict, Verdict::Unknown);
    }
}
