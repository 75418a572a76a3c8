use std::collections::{HashMap, HashSet};

use brag_agency_node::import::{Format, ImportOptions, MemorySink, Mode, RejectWriter, import};
use brag_common::{
    matching::{
        compare::{Confirmation, confirm},
        identity::Check,
        keys::enrolment_keys,
        weigh::{Kinds, posterior},
    },
    rating::AnalysisBounds,
};

use super::*;

fn agency(id: &str) -> AgencyId {
    id.parse().unwrap()
}

#[test]
fn a_seed_gives_the_same_people_and_another_seed_others() {
    assert_eq!(Population::generate(1, 500).people, Population::generate(1, 500).people);
    assert_ne!(Population::generate(1, 500).people, Population::generate(2, 500).people);
    assert_eq!(CULTURES.iter().map(|culture| culture.per_mille).sum::<u64>(), 1000);
}

#[test]
fn every_nhs_number_is_valid_of_the_test_range_and_given_once() {
    let people = Population::generate(3, 20_000).people;
    let mut seen = HashSet::new();
    for person in &people {
        assert!(person.nhs.as_ref().unwrap().starts_with("999"));
        assert!(seen.insert(person.nhs.clone()));
        assert_eq!(person.identity().identifiers()[0].check(), Check::Valid);
    }
}

#[test]
fn there_are_households_twins_and_every_culture() {
    let people = Population::generate(4, 5_000).people;
    let pairs = people.windows(2).filter(|pair| pair[0].household == pair[1].household);
    let twins = pairs.clone().filter(|pair| pair[0].born == pair[1].born).count();
    assert!(pairs.count() > 1_000);
    assert!((10..200).contains(&twins), "{twins}");
    for culture in &CULTURES {
        assert!(people.iter().any(|person| culture.families.contains(&person.family.as_str())));
    }
}

#[test]
fn what_is_written_imports_without_a_reject_and_reads_as_recorded() {
    let population = Population::generate(5, 3_000);
    let csc = agency("CSC");
    let mut file = Vec::new();
    let n_rows = population.write_csv(&csc, 400, &Noise::TYPICAL, &mut file).unwrap();
    assert!((1_000..1_400).contains(&n_rows), "{n_rows}");
    let options = ImportOptions {
        format: Format::Csv,
        mode: Mode::Load,
        file: "csc.csv".to_owned(),
        bounds: AnalysisBounds { min_chars: 20, max_chars: 600 },
        categories: None,
    };
    let mut sink = MemorySink::default();
    let mut rejects = RejectWriter::new(Vec::new());
    let summary = import(&file[..], &options, &mut sink, &mut rejects, &mut |_| {}).unwrap();
    assert_eq!(String::from_utf8(rejects.into_inner()).unwrap(), "");
    assert_eq!((summary.n_new, summary.n_rejected), (n_rows as u64, 0));
    for place in population.known_to(&csc, 400) {
        let loaded = &sink.people[&place.to_string().parse().unwrap()];
        assert!(*loaded == population.recorded(&csc, place, &Noise::TYPICAL).identity(), "{place}");
    }
}

/// How well keys, weights and comparison find people across two agencies that misspell independently. One agency asks
/// about 4,000 people, of whom the other has enrolled one half; weights are those of a million enrolled people.
#[test]
fn two_agencies_find_most_people_they_share_and_hardly_a_wrong_one() {
    let population = Population::generate(6, 4_000);
    let (asking, asked) = (agency("POL"), agency("CSC"));
    let mut index: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for place in population.known_to(&asked, 500) {
        let own = population.recorded(&asked, place, &Noise::TYPICAL).identity();
        for key in enrolment_keys(&own) {
            index.entry(key.as_bytes().to_vec()).or_default().push(place);
        }
    }
    let known: HashSet<usize> = population.known_to(&asked, 500).into_iter().collect();
    let (mut found, mut possible, mut wrong, mut confirmed_wrong, mut confirmed_right) =
        (0, 0, 0, 0, 0);
    for place in 0..population.people.len() {
        let query = population.recorded(&asking, place, &Noise::TYPICAL).identity();
        let keys = enrolment_keys(&query);
        let kinds = keys.iter().fold(Kinds::default(), |kinds, key| kinds.with(key.kind()));
        let mut hits: HashMap<usize, Kinds> = HashMap::new();
        for key in &keys {
            for candidate in index.get(key.as_bytes()).into_iter().flatten() {
                let hit = hits.entry(*candidate).or_default();
                *hit = hit.with(key.kind());
            }
        }
        for (candidate, hits) in hits {
            let posterior = posterior(kinds, hits, 1_000_000);
            let own = population.recorded(&asked, candidate, &Noise::TYPICAL).identity();
            let same = confirm(&query, &own) == Confirmation::Same;
            match (candidate == place, posterior) {
                (true, 0.9..) => {
                    found += 1;
                    confirmed_right += usize::from(same);
                }
                (true, 0.2..) => possible += 1,
                (false, 0.9..) => {
                    wrong += 1;
                    confirmed_wrong += usize::from(same);
                }
                _ => {}
            }
        }
    }
    let n_known = known.len();
    println!(
        "known {n_known}: found {found}, possible {possible}, wrong {wrong}; confirmed {confirmed_right}, wrongly {confirmed_wrong}"
    );
    assert!(found * 100 >= n_known * 80, "{found} of {n_known}");
    assert!((found + possible) * 100 >= n_known * 88, "{found} and {possible} of {n_known}");
    assert!(wrong * 500 <= population.people.len(), "{wrong}");
    assert_eq!(confirmed_wrong, 0);
    assert!(confirmed_right * 100 >= found * 80);
}
