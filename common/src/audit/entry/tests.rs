use super::*;

fn place() -> Place {
    Place {
        seq: 7,
        prev_hash: Digest::from_bytes([0xab; 32]),
        ts: "2027-03-04T05:06:07.089Z".parse().unwrap(),
        node: "CSC".parse().unwrap(),
    }
}

fn full_draft() -> EntryDraft {
    let word = |text: &str| text.parse::<Word>().unwrap();
    let mut draft =
        EntryDraft::new(Action::ReleaseDecided).by("j.okafor".parse().unwrap(), word("approver"));
    draft.enquiry = Some("e1".parse().unwrap());
    draft.person = Some("p1".parse().unwrap());
    draft.commitment = Some(Commitment::from_bytes([1; 32]));
    draft.exchange = Some("x1".parse().unwrap());
    draft.release = Some("r1".parse().unwrap());
    draft.peer = Some(Party::Hub);
    draft.category = Some("C10".parse().unwrap());
    draft.gate = Some(word("g3"));
    draft.class = Some(word("S2"));
    draft.purpose = Some(word("child_safeguarding"));
    draft.art6 = Some(word("6(1)(e)"));
    draft.art9 = Some(word("9(2)(g)"));
    draft.art10 = Some(word("DPA2018/Sch1/18"));
    draft.gateway = Some(word("CA2004/s10"));
    draft.agreement_status = Some(word("not_needed"));
    draft.agreement = Some(AgreementStamp {
        id: "exampleshire-ofd".parse().unwrap(),
        version: 3,
        digest: AgreementDigest::from_bytes([2; 32]),
    });
    draft.evidence = vec![Digest::from_bytes([3; 32])];
    draft.decision = Some(word("refused"));
    draft.reason = Some(Reason::ThresholdNotMet);
    draft.recipients = vec!["POL".parse().unwrap()];
    draft.obligations = vec![word("no_onward")];
    draft.count = Some(2);
    draft.payload_digest = Some(Digest::from_bytes([4; 32]));
    draft
}

fn full() -> Entry {
    Entry::at(place(), full_draft(), true)
}

/// Golden bytes: a change here is a new schema version, for old logs must stay readable.
#[test]
fn the_encoding_of_a_full_entry_does_not_change() {
    let expected = format!(
        concat!(
            r#"{{"v":1,"seq":7,"prev_hash":"{ab}","ts":"2027-03-04T05:06:07.089Z","#,
            r#""node":"CSC","actor":{{"staff":{{"name":"j.okafor","role":"approver"}}}},"#,
            r#""action":"release_decided","enquiry":"e1","person":"p1","commitment":"{one}","#,
            r#""exchange":"x1","release":"r1","peer":"hub","category":"C10","gate":"g3","#,
            r#""class":"S2","purpose":"child_safeguarding","art6":"6(1)(e)","art9":"9(2)(g)","#,
            r#""art10":"DPA2018/Sch1/18","gateway":"CA2004/s10","agreement_status":"not_needed","#,
            r#""agreement":{{"id":"exampleshire-ofd","version":3,"digest":"{two}"}},"#,
            r#""evidence":["{three}"],"decision":"refused","reason":"THRESHOLD_NOT_MET","#,
            r#""recipients":["POL"],"obligations":["no_onward"],"count":2,"#,
            r#""payload_digest":"{four}","test_env":true}}"#
        ),
        ab = "ab".repeat(32),
        one = "01".repeat(32),
        two = "02".repeat(32),
        three = "03".repeat(32),
        four = "04".repeat(32),
    );
    assert_eq!(String::from_utf8(full().encode()).unwrap(), expected);
    assert_eq!(Entry::decode(expected.as_bytes()), Ok(full()));
}

#[test]
fn what_is_absent_is_left_out() {
    let place = Place { seq: 0, prev_hash: Digest::ZERO, ..place() };
    let entry = Entry::at(place, EntryDraft::new(Action::ServiceStarted), false);
    let expected = format!(
        r#"{{"v":1,"seq":0,"prev_hash":"{}","ts":"2027-03-04T05:06:07.089Z","node":"CSC","actor":"program","action":"service_started"}}"#,
        "0".repeat(64)
    );
    assert_eq!(String::from_utf8(entry.encode()).unwrap(), expected);
}

#[test]
fn an_entry_that_is_encoded_in_two_parts_has_the_same_bytes() {
    let places = [
        place(),
        Place { seq: u64::MAX, node: Party::Hub, ..place() },
        Place { ts: Timestamp::UNIX_EPOCH, prev_hash: Digest::ZERO, ..place() },
        Place { ts: "2027-03-04T05:06:07.123456789Z".parse().unwrap(), ..place() },
    ];
    for (draft, test_env) in [
        (full_draft(), true),
        (full_draft(), false),
        (EntryDraft::new(Action::ServiceStarted), false),
    ] {
        let body = Body::of(draft.clone(), test_env);
        for place in places.clone() {
            let json = body.at(&place);
            assert_eq!(json, Entry::at(place, draft.clone(), test_env).encode());
            assert!(Entry::decode(&json).is_ok());
        }
    }
}

#[test]
fn refuses_bytes_that_are_not_canonical() {
    let text = String::from_utf8(full().encode()).unwrap();
    let spaced = text.replace(r#""seq":7"#, r#""seq": 7"#);
    let unknown = text.replace(r#""seq":7"#, r#""seq":7,"name":"x""#);
    let explicit = text.replace(r#","count":2"#, r#","count":2,"gate":null"#);
    assert_eq!(Entry::decode(spaced.as_bytes()), Err(NotAnEntry::NotCanonical));
    assert_eq!(Entry::decode(unknown.as_bytes()), Err(NotAnEntry::NotCanonical));
    assert!(Entry::decode(explicit.as_bytes()).is_err());
    let later = text.replace(r#""v":1"#, r#""v":2"#);
    assert_eq!(Entry::decode(later.as_bytes()), Err(NotAnEntry::Shape));
}

#[test]
fn refuses_words_that_could_carry_a_person() {
    for text in ["", "Nadia Brookes", "943 476 5919", "9434765919", "20150304", "a\nb", "é"] {
        assert_eq!(text.parse::<Word>(), Err(InvalidWord), "{text}");
    }
    assert!("x".repeat(65).parse::<Word>().is_err());
    for text in ["child_safeguarding", "6(1)(e)", "CA2004/s10", "g3", "x"] {
        assert_eq!(text.parse::<Word>().unwrap().as_str(), text);
    }
}

#[test]
fn every_action_has_a_word_that_parses_back_and_is_what_is_written() {
    for action in Action::ALL {
        assert_eq!(action.word().parse(), Ok(*action));
        assert_eq!(serde_json::to_string(action).unwrap(), format!("\"{action}\""));
    }
    assert_eq!("anything".parse::<Action>(), Err(UnknownAction));
}

#[test]
fn the_hub_is_not_an_agency() {
    assert_eq!("hub".parse(), Ok(Party::Hub));
    assert!("HUBS".parse::<Party>().is_ok_and(|party| party != Party::Hub));
    assert!("csc".parse::<Party>().is_err());
}
