use super::{
    super::{
        testkit::{SAMPLE, agency, category, sample, sample_with},
        *,
    },
    *,
};

/// Path and line of every fault.
fn faults(text: &str) -> Vec<(usize, String)> {
    let faults = Agreement::parse(text).expect_err("the text has a fault");
    faults.as_slice().iter().map(|fault| (fault.line, fault.path.clone())).collect()
}

/// The one fault of the sample with a text replaced, which has to lie on the line of the new text.
fn fault_of(from: &str, to: &str) -> String {
    let text = sample_with(from, to);
    let faults = Agreement::parse(&text).expect_err(to);
    let at = SAMPLE.find(from).unwrap();
    // The new text may start with a line that stays as it was.
    let first = SAMPLE.split_at(at).0.matches('\n').count() + 1;
    let last = first + to.matches('\n').count();
    for fault in faults.as_slice() {
        assert!((first..=last).contains(&fault.line), "{to:?}: {fault}");
    }
    assert_eq!(faults.as_slice().len(), 1, "{to:?}: {faults}");
    faults.as_slice()[0].to_string()
}

#[test]
fn refuses_words_it_does_not_know_and_names_the_line() {
    for (from, to) in [
        ("when = [\"known\"]", "when = [\"if_moon_full\"]"),
        ("type = \"police\"", "type = \"militia\""),
        ("requirement = \"recommended\"", "requirement = \"nice\""),
        ("environment = \"test\"", "environment = \"beta\""),
        ("\"early_help\"]", "\"immigration_enforcement\"]"),
        ("class = \"S1\"", "class = \"SX\""),
        ("special = [\"art10\"]", "special = [\"art11\"]"),
        ("[disclosure.S4]\n", "[disclosure.S4]\ng0 = \"auto\"\n"),
        ("g2 = \"review\"", "g2 = \"maybe\""),
        ("runs = \"elapsed\"", "runs = \"lunch\""),
        ("review_authorised_by = \"coordinator\"", "review_authorised_by = \"anyone\""),
        ("expires_to = \"deny\"", "expires_to = \"release\""),
        ("housing = [", "barracks = ["),
        ("types = [\"substance_misuse\"", "types = [\"wizards\""),
    ] {
        let fault = fault_of(from, to);
        assert!(fault.contains("known"), "{fault}");
    }
}

#[test]
fn refuses_keys_it_does_not_know() {
    for (from, to) in [
        ("schema = 1\n", "schema = 1\nbackdoor = true\n"),
        ("version = 3\n", "version = 3\ncolour = \"red\"\n"),
        ("id = \"CSC\"\n", "id = \"CSC\"\nfax = \"none\"\n"),
        ("amber_agencies = 2", "amber_agencies = 2\namber_agents = 2"),
        ("[disclosure.S1]\n", "[disclosure.S1]\ng7 = \"auto\"\n"),
        ("\"POL\", \"DAS\"] }", "\"POL\", \"DAS\"], until = 3 }"),
        ("code = \"C01\"\n", "code = \"C01\"\nnote = \"x\"\n"),
    ] {
        assert!(fault_of(from, to).contains("unknown key"));
    }
}

#[test]
fn refuses_what_is_listed_twice() {
    assert!(fault_of("id = \"PRO\"", "id = \"CSC\"").contains("two parties `CSC`"));
    let twice = "code = \"C01\"\ntitle = \"x\"\nclass = \"S1\"\n[[category]]\ncode = \"C01\"";
    assert!(fault_of("code = \"C01\"", twice).contains("listed twice"));
    assert!(fault_of("housing = [\"C01\"", "housing = [\"C01\", \"C01\"").contains("twice"));
    assert!(fault_of("version = 3", "version = 3\nversion = 4").contains("not TOML"));
}

#[test]
fn refuses_never_lists_that_leave_out_what_is_never_carried() {
    let fault = fault_of("\"C60\", \"C61\"", "\"C61\"");
    assert!(fault.contains("C60"), "{fault}");
    for number in NEVER_CARRIED {
        let code = format!("\"C{number}\"");
        let text =
            SAMPLE.replacen(&format!("{code}, "), "", 1).replacen(&format!(", {code}"), "", 1);
        assert!(Agreement::parse(&text).is_err(), "{code}");
    }
}

#[test]
fn refuses_a_catalogue_that_lists_what_is_never_carried() {
    let listed = "code = \"C43\"\ntitle = \"x\"\nclass = \"S1\"\n[[category]]\ncode = \"C01\"";
    assert!(fault_of("code = \"C01\"", listed).contains("never carried"));
}

#[test]
fn refuses_numbers_dates_and_durations_that_make_no_sense() {
    for (from, to) in [
        ("valid_to = 2027-12-31", "valid_to = 2026-12-31"),
        ("valid_to = 2027-12-31", "valid_to = \"2027-12-31\""),
        ("review_by = 2027-09-30", "review_by = 2029-09-30"),
        ("version = 3", "version = 0"),
        ("amber_agencies = 2", "amber_agencies = 0"),
        ("marac_dash_ticks = 14", "marac_dash_ticks = 28"),
        ("amber = \"72h\"", "amber = \"72 hours\""),
        ("red = \"7d\"", "red = \"0d\""),
        ("answer_within = \"30s\"", "answer_within = 30"),
        ("escalate_at = \"50%\"", "escalate_at = \"500%\""),
        ("audit_log = \"8 years\"", "audit_log = \"8 moons\""),
        ("disclose_from = 0.9", "disclose_from = 1.5"),
        ("review_from = 0.2", "review_from = 0.95"),
        ("analysis_max_chars = 600", "analysis_max_chars = 6"),
        ("schema = 1", "schema = 3"),
        ("title = \"Incident summary\"", "title = \" \""),
    ] {
        fault_of(from, to);
    }
}

#[test]
fn refuses_recipients_that_are_nobody() {
    assert!(fault_of("[\"POL\", \"CSC\", \"DAS\"] }", "[] }").contains("empty"));
    assert!(fault_of("\"POL\", \"CSC\", \"DAS\"] }", "\"XYZ\"] }").contains("not a party"));
    assert!(fault_of("[\"C32\", \"C33\"]", "[\"C99\"]").contains("catalogue"));
}

#[test]
fn conditions_belong_to_conditional_parties_and_to_every_one_of_them() {
    assert!(fault_of("when = [\"known\", \"any_red\"]", "when = []").contains("empty"));
    let core = "requirement = \"core\"\nwhen = [\"known\"]";
    assert!(fault_of("requirement = \"core\"", core).contains("only a conditional party"));
}

#[test]
fn refuses_text_that_can_not_be_signed() {
    assert!(fault_of("schema = 1\n", "schema = 1\r\n").contains("U+000D"));
    assert!(fault_of("schema = 1", "schema\t= 1").contains("U+0009"));
    assert_eq!(faults(SAMPLE.trim_end()), [(SAMPLE.lines().count(), String::new())]);
    assert_eq!(faults(&"#\n".repeat(500_000)).len(), 1);
    assert!(faults("schema = = 1\n").iter().all(|(line, _)| *line == 1));
    assert!(!faults("\n").is_empty());
}

#[test]
fn what_is_missing_is_reported_at_the_table_that_lacks_it() {
    let line = |text: &str| SAMPLE.lines().position(|line| line.starts_with(text)).unwrap() + 1;
    let without = |text: &str| faults(&sample_with(text, ""));
    assert_eq!(without("g1 = \"28d\"\n"), [(line("[views]"), "views.g1".to_owned())]);
    let conditions = without("when = [\"known\", \"any_red\"]\n");
    assert_eq!(conditions, [(line("id = \"PRO\"") - 1, "party[9].when".to_owned())]);
    let version = without("version = 3\n");
    assert_eq!(version, [(line("[agreement]"), "agreement.version".to_owned())]);
    assert!(faults("schema = 1\n").iter().all(|(line, _)| *line == 1));
}

#[test]
fn reports_many_faults_at_once_each_on_its_line() {
    let text = SAMPLE
        .replacen("version = 3", "version = 0", 1)
        .replacen("when = [\"known\"]", "when = [\"if_moon_full\"]", 1)
        .replacen("amber = \"72h\"", "amber = \"soon\"", 1)
        .replacen("g6 = \"review\"", "g6 = \"perhaps\"", 1)
        .replacen("class = \"S4\"", "class = \"S9\"", 1);
    let line = |needle: &str| text.lines().position(|line| line.contains(needle)).unwrap() + 1;
    let expected = [
        (line("version = 0"), "agreement.version"),
        (line("if_moon_full"), "party[10].when[1]"),
        (line("soon"), "freshness.amber"),
        (line("perhaps"), "disclosure.S2.g6"),
        (line("S9"), "category[27].class"),
    ];
    assert_eq!(faults(&text), expected.map(|(line, path)| (line, path.to_owned())));
}

#[test]
fn reads_the_sample_exactly_as_it_is() {
    let agreement = sample();
    assert_eq!(agreement.id().as_str(), "exampleshire-ofd");
    assert_eq!((agreement.version(), agreement.parties().count()), (3, 14));
    assert_eq!(agreement.categories().len(), 28);
    let answer = agreement.party(&agency("HLT")).unwrap().answer_within();
    assert_eq!(answer, Some(SignedDuration::from_secs(30)));
    let cell = agreement.disclosure(Class::S4, Gate::G5).unwrap();
    assert_eq!((cell.mode, cell.recipients.as_ref().unwrap().len()), (Mode::Review2, 2));
    assert!(agreement.disclosure(Class::S4, Gate::G3).is_none());
    assert!(agreement.never_carries(category("C60")));
    assert!(agreement.category(category("C99")).is_none());
    // The file gives no time for gate 6: the shortest of the others.
    assert_eq!(agreement.view(Gate::G6), SignedDuration::from_hours(72));
}

#[test]
fn is_in_force_from_the_first_midnight_to_the_last_in_local_time() {
    let summer = sample_with("2027-12-31", "2027-06-30")
        .replacen("valid_from = 2027-01-01", "valid_from = 2027-04-01", 1)
        .replacen("review_by = 2027-09-30", "review_by = 2027-05-30", 1);
    let agreement = Agreement::parse(&summer).unwrap();
    let in_force = |at: &str| agreement.in_force(at.parse().unwrap());
    assert!(!in_force("2027-03-31T22:59:59Z"));
    assert!(in_force("2027-03-31T23:00:00Z"));
    assert!(in_force("2027-06-30T22:59:59Z"));
    assert!(!in_force("2027-06-30T23:00:00Z"));
    assert_eq!(sample().starts().to_string(), "2027-01-01T00:00:00Z");
    assert_eq!(sample().ends().to_string(), "2028-01-01T00:00:00Z");
}

mod keys {
    use super::*;

    fn base64(byte: u8) -> String {
        use base64::Engine as _;
        base64::prelude::BASE64_STANDARD.encode([byte; 32])
    }

    fn keys(tls: &str, signing: u8, sealing: u8) -> String {
        let (signing, sealing) = (base64(signing), base64(sealing));
        format!("[party.keys]\ntls = \"{tls}\"\nsigning = \"{signing}\"\nsealing = \"{sealing}\"\n")
    }

    /// The sample with keys for its second party.
    fn police(keys: &str) -> String {
        let after = "type = \"police\"\nrequirement = \"core\"\n";
        sample_with(after, &format!("{after}{keys}"))
    }

    fn message(text: &str) -> String {
        Agreement::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn refuses_names_of_other_agencies_paths_and_domains() {
        for name in [
            "spiffe://ex.test/agency/CSC",
            "spiffe://ex.test/agency/POL/",
            "spiffe://ex.test/hub",
            "spiffe:///agency/POL",
            "spiffe://EX.test/agency/POL",
            "https://ex.test/agency/POL",
        ] {
            assert!(message(&police(&keys(name, 1, 2))).contains("party[2].keys.tls"), "{name}");
        }
        let hub = "[hub.keys]\ntls = \"spiffe://other.test/hub\"\n";
        let hub = format!("{hub}signing = \"{}\"\n[rating]\n", base64(9));
        let text = police(&keys("spiffe://ex.test/agency/POL", 1, 2));
        let text = text.replacen("[rating]\n", &hub, 1);
        assert!(message(&text).contains("trust domain `other.test` differs"));
    }

    #[test]
    fn refuses_keys_that_are_shared_or_no_keys() {
        let name = "spiffe://ex.test/agency/POL";
        assert!(message(&police(&keys(name, 1, 1))).contains("the same key as"));
        assert!(message(&police(&keys(name, 1, 0))).contains("not an X25519 public key"));
        let short = keys(name, 1, 2).replacen(&base64(1), "AAAA", 1);
        assert!(message(&police(&short)).contains("not an Ed25519 public key"));
        let partial = format!("[party.keys]\ntls = \"{name}\"\n");
        let text = message(&police(&partial));
        assert!(
            text.contains("keys.signing: is missing") && text.contains("keys.sealing"),
            "{text}"
        );
    }

    #[test]
    fn says_who_lacks_keys_and_is_not_ready_until_nobody_does() {
        let agreement =
            Agreement::parse(&police(&keys("spiffe://ex.test/agency/POL", 1, 2))).unwrap();
        let missing = agreement.missing_keys();
        assert_eq!(missing.len(), 14);
        assert!(!missing.contains(&KeyHolder::Party(agency("POL"))));
        assert_eq!(missing.last(), Some(&KeyHolder::Hub));
        assert_eq!(agreement.ready(), Err(KeysMissing(missing)));
        assert_eq!(agreement.trust_domain(), Some("ex.test"));
    }

    #[test]
    fn a_party_is_in_force_until_the_moment_it_withdraws() {
        let text =
            sample_with("id = \"POL\"\n", "id = \"POL\"\nwithdrawn_at = 2027-06-30T17:00:00Z\n");
        let agreement = Agreement::parse(&text).unwrap();
        let police = agreement.party(&agency("POL")).unwrap();
        assert!(police.in_force("2027-06-30T16:59:59Z".parse().unwrap()));
        assert!(!police.in_force("2027-06-30T17:00:00Z".parse().unwrap()));
        let local = "id = \"POL\"\nwithdrawn_at = 2027-06-30T17:00:00\n";
        assert!(fault_of("id = \"POL\"\n", local).contains("offset"));
    }
}

mod random {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn a_damaged_file_is_read_or_refused_without_panic(
            at in 0..SAMPLE.len(), removed in 0..40_usize, put in "[ -~\\n]{0,8}",
        ) {
            let text = format!(
                "{}{put}{}",
                SAMPLE.split_at(at).0,
                SAMPLE.get(at + removed..).unwrap_or_default()
            );
            let n_lines = text.lines().count().max(1);
            if let Err(faults) = Agreement::parse(&text) {
                prop_assert!(!faults.as_slice().is_empty());
                for fault in faults.as_slice() {
                    prop_assert!((1..=n_lines + 1).contains(&fault.line), "{}", fault);
                }
            }
        }
    }
}

#[test]
fn what_came_with_the_second_format_is_unknown_in_the_first() {
    let digest = "ab".repeat(32);
    let replaces = format!("version = 4\nreplaces = \"{digest}\"");
    assert!(fault_of("version = 3", &replaces).contains("unknown key"));
    let key = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
    let revoked = |schema: &str| {
        format!(
            "schema = {schema}\n[[revoked]]\nkey = \"{key}\"\nrevoked_at = 2027-03-01T09:00:00Z\nreason = \"lost\"\n"
        )
    };
    assert!(fault_of("schema = 1\n", &revoked("1")).contains("unknown key"));
    let text = sample_with("schema = 1\n", &revoked("2")).replace("version = 3", &replaces);
    let agreement = Agreement::parse(&text).unwrap();
    assert_eq!(agreement.replaces().unwrap().to_string(), digest);
    let (_, revoked) = agreement.revocations().next().unwrap();
    assert_eq!(&*revoked.reason, "lost");
}

#[test]
fn refuses_to_revoke_a_key_that_is_in_use_or_no_key_or_without_a_reason() {
    let revoked = |entry: &str| format!("schema = 2\n[[revoked]]\n{entry}\n");
    let rest = "revoked_at = 2027-03-01T09:00:00Z\nreason = \"lost\"";
    let key = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
    let not_a_key = fault_of("schema = 1\n", &revoked(&format!("key = \"AAAA\"\n{rest}")));
    assert!(not_a_key.contains("not a public key"), "{not_a_key}");
    let no_reason = revoked(&format!("key = \"{key}\"\nrevoked_at = 2027-03-01T09:00:00Z"));
    assert!(fault_of("schema = 1\n", &no_reason).contains("is missing"));
    let other = "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=";
    let keys = format!(
        "id = \"CSC\"\nkeys = {{ tls = \"spiffe://t/agency/CSC\", signing = \"{key}\", sealing = \"{other}\" }}"
    );
    let text = sample_with("id = \"CSC\"", &keys);
    let text = text.replacen("schema = 1\n", &revoked(&format!("key = \"{key}\"\n{rest}")), 1);
    let faults = Agreement::parse(&text).unwrap_err();
    assert!(faults.to_string().contains("is in use as"), "{faults}");
}
