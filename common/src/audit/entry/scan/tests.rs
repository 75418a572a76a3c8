use proptest::prelude::*;

use super::*;
use crate::audit::entry::{AgreementStamp, Entry, EntryDraft, Place};

fn word() -> impl Strategy<Value = Word> {
    "[a-zA-Z_.:/()-]{1,10}[0-9]{0,4}".prop_map(|text| text.parse().unwrap())
}

fn text<T: std::str::FromStr<Err: fmt::Debug> + fmt::Debug>(
    form: &'static str,
) -> impl Strategy<Value = T> {
    form.prop_map(|text| text.parse::<T>().unwrap())
}

fn party() -> impl Strategy<Value = Party> {
    prop_oneof![Just(Party::Hub), text::<Party>("[A-Z][A-Z0-9]{1,7}")]
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    let nanoseconds =
        prop_oneof![Just(0), (0..1000_i32).prop_map(|ms| ms * 1_000_000), 0..1_000_000_000_i32];
    // Beyond what a clock says, in both directions.
    (-100_000_000_000_i64..200_000_000_000, nanoseconds).prop_map(|(second, nanosecond)| {
        let time = Timestamp::from_second(second).unwrap();
        time.checked_add(crate::time::SignedDuration::from_nanos(nanosecond.into())).unwrap()
    })
}

fn place() -> impl Strategy<Value = Place> {
    (any::<u64>(), digest(), timestamp(), party()).prop_map(|(seq, prev_hash, ts, node)| Place {
        seq,
        prev_hash,
        ts,
        node,
    })
}

fn references() -> impl Strategy<Value = EntryDraft> {
    use prop::option::of;
    let action = prop::sample::select(Action::ALL);
    let staff = of((text::<StaffName>("[a-z0-9._-]{1,64}"), word()));
    let ids = (
        of(text::<EnquiryRef>("[a-zA-Z0-9_-]{1,32}")),
        of(text::<PersonRef>("[a-zA-Z0-9_-]{1,32}")),
        of(any::<[u8; 32]>().prop_map(Commitment::from_bytes)),
        of(text::<RequestId>("[a-zA-Z0-9_-]{1,32}")),
        of(text::<ReleaseRef>("[a-zA-Z0-9_-]{1,32}")),
        of(party()),
        of((1..100_u8).prop_map(|number| CategoryCode::new(number).unwrap())),
    );
    (action, staff, ids).prop_map(|(action, staff, ids)| {
        let mut draft = EntryDraft::new(action);
        if let Some((name, role)) = staff {
            draft = draft.by(name, role);
        }
        let (enquiry, person, commitment, exchange, release, peer, category) = ids;
        EntryDraft { enquiry, person, commitment, exchange, release, peer, category, ..draft }
    })
}

fn draft() -> impl Strategy<Value = EntryDraft> {
    use prop::{collection::vec, option::of};
    let words = prop::array::uniform9(of(word()));
    let agreement = of((text("[a-z0-9-]{3,64}"), any::<u32>(), any::<[u8; 32]>()).prop_map(
        |(id, version, digest)| AgreementStamp {
            id,
            version,
            digest: AgreementDigest::from_bytes(digest),
        },
    ));
    let lists = (vec(digest(), 0..3), vec(party(), 0..3), vec(word(), 0..3));
    let reason = of(prop::sample::select(Reason::ALL));
    let rest = (reason, of(any::<u64>()), of(digest()));
    (references(), words, agreement, lists, rest).prop_map(
        |(draft, words, agreement, lists, (reason, count, payload_digest))| {
            let [gate, class, purpose, art6, art9, art10, gateway, agreement_status, decision] =
                words;
            let (evidence, recipients, obligations) = lists;
            EntryDraft {
                gate,
                class,
                purpose,
                art6,
                art9,
                art10,
                gateway,
                agreement_status,
                decision,
                agreement,
                evidence,
                recipients,
                obligations,
                reason,
                count,
                payload_digest,
                ..draft
            }
        },
    )
}

fn entry() -> impl Strategy<Value = Entry> {
    (place(), draft(), any::<bool>())
        .prop_map(|(place, draft, test_env)| Entry::at(place, draft, test_env))
}

/// What an editor of a log, or another encoder, might write in place of what stands there.
const SWAPS: [(&str, &str); 26] = [
    (":", ": "),
    (",", " ,"),
    ("{", "{ "),
    ("}", " }"),
    ("}", "}\n"),
    ("}", "},"),
    ("\"", "\\u0022"),
    ("a", "\\u0061"),
    ("/", "\\/"),
    ("a", "A"),
    ("e", "E"),
    ("Z\"", "+00:00\""),
    ("Z\"", "z\""),
    ("Z\"", "0Z\""),
    ("T", "t"),
    ("T", " "),
    ("\"seq\":", "\"seq\":0"),
    ("\"count\":", "\"count\":-"),
    ("\"count\":", "\"count\":+"),
    ("\"count\":1", "\"count\":1.0"),
    ("\"version\":", "\"version\":1"),
    ("true", "false"),
    ("\"actor\":\"program\"", "\"actor\":{\"program\":null}"),
    (",\"test_env\":true", ",\"test_env\":true,\"test_env\":true"),
    ("\"hub\"", "null"),
    ("C0", "C"),
];

fn same_verdict(bytes: &[u8]) -> Result<(), TestCaseError> {
    let (scanned, decoded) = (outline(bytes), Entry::decode(bytes));
    prop_assert_eq!(scanned.is_ok(), decoded.is_ok(), "{}", String::from_utf8_lossy(bytes));
    if let (Ok(scanned), Ok(entry)) = (scanned, decoded) {
        let node = entry.node.to_string();
        let Entry { seq, prev_hash, ts, .. } = entry;
        prop_assert_eq!(scanned, Outline { seq, prev_hash, ts, node: &node });
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_the_encoder_writes_is_accepted_and_says_the_same(entry in entry()) {
        let bytes = entry.encode();
        prop_assert!(outline(&bytes).is_ok(), "{}", String::from_utf8_lossy(&bytes));
        same_verdict(&bytes)?;
    }

    #[test]
    fn a_byte_that_is_changed_taken_out_or_put_in_is_judged_as_the_decoder_does(
        entry in entry(), at: prop::sample::Index, byte: u8
    ) {
        let bytes = entry.encode();
        let at = at.index(bytes.len());
        let mut changed = bytes.clone();
        changed[at] = byte;
        same_verdict(&changed)?;
        let mut shorter = bytes.clone();
        shorter.remove(at);
        same_verdict(&shorter)?;
        let mut longer = bytes.clone();
        longer.insert(at, byte);
        same_verdict(&longer)?;
        same_verdict(&bytes[..at])?;
    }

    #[test]
    fn another_way_to_write_the_same_is_judged_as_the_decoder_does(
        entry in entry(), swap in prop::sample::select(&SWAPS[..]), nth in 0..6_usize
    ) {
        let text = String::from_utf8(entry.encode()).unwrap();
        let (from, to) = swap;
        let Some((at, _)) = text.match_indices(from).nth(nth) else { return Ok(()) };
        let (before, rest) = text.split_at(at);
        let swapped = [before, to, rest.strip_prefix(from).unwrap()].concat();
        same_verdict(swapped.as_bytes())?;
    }

    #[test]
    fn fields_that_change_places_are_judged_as_the_decoder_does(
        entry in entry(), first: prop::sample::Index, second: prop::sample::Index, twice: bool
    ) {
        let text = String::from_utf8(entry.encode()).unwrap();
        let mut fields: Vec<&str> = text.split(",\"").collect();
        let (first, second) = (first.index(fields.len()), second.index(fields.len()));
        if twice {
            fields.insert(first, fields[second]);
        } else {
            fields.swap(first, second);
        }
        same_verdict(fields.join(",\"").as_bytes())?;
    }
}

/// Numbers at the borders of what fits, and forms of a moment that are not ours.
#[test]
fn numbers_and_times_have_one_form() {
    let good = Entry::at(
        Place {
            seq: u64::MAX,
            prev_hash: Digest::ZERO,
            ts: "2027-03-04T05:06:07.1Z".parse().unwrap(),
            node: Party::Hub,
        },
        EntryDraft::new(Action::ServiceStarted),
        false,
    );
    let text = String::from_utf8(good.encode()).unwrap();
    assert!(outline(text.as_bytes()).is_ok());
    for (from, to) in [
        ("18446744073709551615", "18446744073709551616"),
        ("18446744073709551615", "00"),
        ("18446744073709551615", ""),
        ("07.1Z", "07.10Z"),
        ("07.1Z", "07,1Z"),
        ("07.1Z", "60Z"),
        ("T05", "T25"),
    ] {
        let other = text.replace(from, to);
        assert_ne!(other, text);
        assert!(outline(other.as_bytes()).is_err(), "{other}");
        assert!(Entry::decode(other.as_bytes()).is_err(), "{other}");
    }
    assert!(outline(b"").is_err() && outline(b"{\xff").is_err());
}
