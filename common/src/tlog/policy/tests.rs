use super::*;
use crate::tlog::checkpoint::tests::{key, log, named, signed};

fn witness(n: u8) -> NoteKey {
    named(&format!("w{n}"), KeyKind::Witness, 20 + n)
}

fn cosigned_by(which: &[u8]) -> CheckpointNote {
    let mut note = signed(5);
    for n in which {
        note.cosign(&witness(*n), "2027-01-01T00:00:00Z".parse().unwrap(), &key(20 + n)).unwrap();
    }
    note
}

fn line_of(text: &str) -> usize {
    text.parse::<Policy>().unwrap_err().line
}

#[test]
fn refuses_what_it_does_not_know_with_its_line() {
    let (log, w1) = (log(), witness(1));
    assert_eq!(line_of(""), 0);
    assert_eq!(line_of(&format!("log {log}\n")), 1);
    assert_eq!(line_of(&format!("log {log}\nlog {log}\nquorum none\n")), 2);
    assert_eq!(line_of(&format!("# a comment\n\nlog {w1}\n")), 3);
    assert_eq!(line_of(&format!("witness a {w1}\nwitness b {w1}\n")), 2);
    assert_eq!(line_of(&format!("witness none {w1}\n")), 1);
    assert_eq!(line_of("quorum later\n"), 1);
    assert_eq!(line_of("quorum none\nquorum none\n"), 2);
    assert_eq!(line_of(&format!("witness a {w1}\ngroup g 2 a\nquorum g\n")), 2);
    assert_eq!(line_of(&format!("witness a {w1}\ngroup g 0 a\nquorum g\n")), 2);
    assert_eq!(line_of(&format!("witness a {w1}\ngroup g some a\n")), 2);
    assert_eq!(line_of("group g all\n"), 1);
    assert_eq!(line_of("if_moon_full yes\n"), 1);
    assert!("log nonsense\n".parse::<Policy>().unwrap_err().what.contains("verifier key"));
}

#[test]
fn the_shards_of_one_log_stand_in_it_under_one_key_and_no_witness_does() {
    let shard = |n: u8| named(&format!("example/CSC/{n}"), KeyKind::Log, 7);
    let as_witness = named("w", KeyKind::Witness, 7);
    assert_eq!(line_of(&format!("log {}\nwitness w {as_witness}\nquorum w\n", shard(1))), 2);
    assert_eq!(line_of(&format!("witness w {as_witness}\nlog {}\nquorum w\n", shard(1))), 2);
    let both: Policy =
        format!("log {}\nlog {}\nquorum none\n", shard(1), shard(2)).parse().unwrap();
    assert_eq!(both.log("example/CSC/2"), Some(&shard(2)));
}

#[test]
fn groups_within_groups_ask_for_so_many_of_their_members() {
    let mut text = format!("log {} https://example.org/\n", log());
    for n in 1..=5 {
        text.push_str(&format!("\twitness  W{n}\t{}\n", witness(n)));
    }
    text.push_str("group X 2 W1 W2 W3\ngroup Y any W4 W5\ngroup both all X Y\nquorum both\n");
    let policy: Policy = text.parse().unwrap();
    assert_eq!(policy.to_string().parse(), Ok(policy.clone()));
    let accepted = |which: &[u8]| policy.accept(&cosigned_by(which)).map(|found| found.len());
    assert_eq!(accepted(&[1, 3, 5]), Ok(3));
    assert_eq!(accepted(&[1, 2, 3, 4, 5]), Ok(5));
    for which in [&[1, 2, 3][..], &[1, 4, 5], &[4, 5], &[]] {
        assert!(matches!(accepted(which), Err(NotAccepted::NoQuorum { .. })), "{which:?}");
    }
    let why = policy.accept(&cosigned_by(&[2])).unwrap_err().to_string();
    assert_eq!(why, "too few witnesses have cosigned: only W2");
}

#[test]
fn a_checkpoint_of_an_unknown_log_or_without_its_signature_is_not_accepted() {
    let other = named("example/POL/1", KeyKind::Log, 7);
    let policy = Policy::of(&other, &[], 0).unwrap();
    assert_eq!(policy.accept(&signed(5)), Err(NotAccepted::UnknownLog));
    let same_name = named("example/CSC/1", KeyKind::Log, 7);
    let policy = Policy::of(&same_name, &[], 0).unwrap();
    let expected = NotAccepted::Checkpoint(CheckpointError::NotSigned);
    assert_eq!(policy.accept(&signed(5)), Err(expected));
}

#[test]
fn a_policy_of_so_many_witnesses_asks_for_just_that_many() {
    let witnesses = [witness(1), witness(2), witness(3)];
    for least in 0..=3 {
        let policy = Policy::of(&log(), &witnesses, least).unwrap();
        for n in 0..=3_u8 {
            let which: Vec<u8> = (1..=n).collect();
            assert_eq!(policy.accept(&cosigned_by(&which)).is_ok(), usize::from(n) >= least);
        }
    }
    assert!(Policy::of(&log(), &witnesses, 4).is_err());
}
