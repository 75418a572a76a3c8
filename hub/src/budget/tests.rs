use brag_common::{config::DurationText, status::PeerFacing as _};
use proptest::{collection::vec, prelude::*};

use super::*;

fn at(minute: i64) -> Timestamp {
    let start: Timestamp = "2027-02-09T10:00:00Z".parse().unwrap();
    start.checked_add(SignedDuration::from_mins(minute)).unwrap()
}

fn opened(minute: i64, by: &str, people: u32, reference: &str) -> OpeningRecord {
    let referral = Referral {
        agency: "POL".parse().unwrap(),
        reference: reference.to_owned(),
        incident_at: None,
        received_at: at(0),
        source: None,
    };
    OpeningRecord { at: at(minute), by: by.parse().unwrap(), people, referral: lead(&referral) }
}

/// Opens one after the other as far as the budget allows; gives the place of the first that is refused.
fn refused_at(openings: &[OpeningRecord]) -> Option<usize> {
    let budget = Budget::default();
    let mut before = Vec::new();
    for (n, new) in openings.iter().enumerate() {
        if let Err(refusal) = allows(&budget, &before, new) {
            assert_eq!(refusal.code(), "BUDGET_EXCEEDED");
            return Some(n);
        }
        before.push(new.clone());
    }
    None
}

#[test]
fn x10_thirty_people_in_ten_minutes_without_a_referral_of_their_own_are_too_many() {
    for reference in ["-", "n/a", "none", "unknown", "000", "12", "POL-2027-17"] {
        let fishing: Vec<_> = (0..30).map(|n| opened(n / 3, "a", 1, reference)).collect();
        // Four and twenty in ones are also more enquiries than an hour has.
        assert_eq!(refused_at(&fishing), Some(20), "{reference}");
        let fishing: Vec<_> = (0..10).map(|n| opened(n, "a", 3, reference)).collect();
        assert_eq!(refused_at(&fishing), Some(8), "{reference}");
    }
}

#[test]
fn ten_families_in_an_hour_each_on_its_own_referral_are_everyday_work() {
    let work: Vec<_> = (0..10).map(|n| opened(n * 6, "a", 6, &format!("INC-{n}0"))).collect();
    assert_eq!(refused_at(&work), None);
    // A working day of it, by a co-ordinator who never rests.
    let day: Vec<_> = (0..64).map(|n| opened(n * 7, "a", 5, &format!("INC-{n}0"))).collect();
    assert_eq!(refused_at(&day), None);
}

#[test]
fn a_reference_is_the_same_however_it_is_typed_and_whoever_types_it() {
    let typed = ["POL/2027/17", "pol 2027 17", "Pol-2027-17."];
    let asked: Vec<_> = (0..6)
        .zip(typed.iter().cycle())
        .map(|(n, reference)| opened(n, "a", 4, reference))
        .collect();
    assert_eq!(refused_at(&asked), None);
    let more = [asked, vec![opened(7, "b", 1, "POL201717"), opened(7, "b", 1, typed[0])]].concat();
    assert_eq!(refused_at(&more), Some(7));
}

#[test]
fn windows_slide_and_another_co_ordinator_has_a_budget_of_their_own() {
    let burst = |minute: i64, by: &str| -> Vec<_> {
        (0..20).map(|n| opened(minute, by, 1, &format!("INC-{by}{minute}-{n}"))).collect()
    };
    assert_eq!(refused_at(&[burst(0, "a"), burst(59, "a")].concat()), Some(20));
    assert_eq!(refused_at(&[burst(0, "a"), burst(60, "a")].concat()), None);
    assert_eq!(refused_at(&[burst(0, "a"), burst(0, "b")].concat()), None);
    // Four hours full are a day's enquiries.
    let day: Vec<_> = (0..5).flat_map(|n| burst(n * 60, "a")).collect();
    assert_eq!(refused_at(&day), Some(80));
}

fn recent(n: u8) -> Recent {
    let enquiries = (1..=n).map(|k| (at(i64::from(k)), EnquiryRef::from_random([k; 16])));
    Recent { enquiries: enquiries.rev().collect(), most_of_one: u32::from(n) }
}

#[test]
fn x11_a_second_enquiry_needs_a_reason_and_is_told_what_to_write() {
    let budget = Budget::default();
    recent(0).allows(None, &budget).unwrap();
    let refusal = recent(2).allows(None, &budget).unwrap_err();
    assert_eq!(refusal.code(), "second_enquiry");
    let text = refusal.public_message();
    assert!(text.contains("again_because") && text.contains("10:02:00"), "{text}");
    recent(2).allows(Some("A new incident."), &budget).unwrap();
}

#[test]
fn a_reason_does_not_lift_the_budget_of_one_person() {
    let budget = Budget { recent: DurationText::from_secs(60), ..Budget::default() };
    recent(5).allows(Some("A new incident."), &budget).unwrap();
    let refusal = recent(6).allows(Some("A new incident."), &budget).unwrap_err();
    assert_eq!(refusal.code(), "BUDGET_EXCEEDED");
}

proptest! {
    #[test]
    fn no_window_ever_holds_more_than_the_budget_whatever_is_tried(
        tries in vec((0_i64..90, 1_u32..25, 0_usize..2, 0_usize..4), 1..120),
    ) {
        let budget = Budget {
            enquiries_per_hour: 5, enquiries_per_day: 12, people_per_hour: 40, people_per_day: 90,
            ..Budget::default()
        };
        let (mut minute, mut kept) = (0, Vec::<OpeningRecord>::new());
        for (step, people, who, reference) in tries {
            minute += step;
            let new = opened(minute, ["a", "b"][who], people, ["-", "INC-10", "INC-20", "INC-30"][reference]);
            // Order does not matter to it.
            let mut shuffled = kept.clone();
            shuffled.reverse();
            let allowed = allows(&budget, &kept, &new).is_ok();
            prop_assert_eq!(allowed, allows(&budget, &shuffled, &new).is_ok());
            if allowed {
                kept.push(new);
            }
        }
        for last in &kept {
            let within = |hours: i64| {
                let begin = SignedDuration::from_hours(hours);
                kept.iter().filter(move |one| {
                    let age = last.at.duration_since(one.at);
                    age >= SignedDuration::ZERO && age < begin
                })
            };
            for (hours, enquiries, people) in [(1, 5, 40), (24, 12, 90)] {
                let own = || within(hours).filter(|one| one.by == last.by);
                prop_assert!(own().count() <= enquiries);
                prop_assert!(own().map(|one| one.people).sum::<u32>() <= people);
            }
            let on_referral = within(24).filter(|one| last.referral.is_some() && one.referral == last.referral);
            prop_assert!(on_referral.map(|one| one.people).sum::<u32>() <= 24);
        }
    }
}
