use base64::{Engine as _, prelude::BASE64_STANDARD};
use brag_common::{keys::SigningKey, secret::SecretBytes};

use super::*;

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/agreements/exampleshire").join(name)
}

fn ran(command: &AgreementCommand) -> (Exit, String) {
    let mut out = Vec::new();
    let exit = run(command, &mut out).unwrap();
    (exit, String::from_utf8(out).unwrap())
}

fn decide_args(cases: PathBuf) -> DecideArgs {
    DecideArgs { agreement: corpus("agreement.toml"), cases, check: true, at: None, json: false }
}

#[test]
fn check_names_the_line_of_an_unknown_condition_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agreement.toml");
    let text = fs::read_to_string(corpus("agreement.toml")).unwrap();
    fs::write(&file, text.replacen("when = [\"known\"]", "when = [\"if_moon_full\"]", 1)).unwrap();
    let (exit, out) = ran(&AgreementCommand::Check { file, json: false });
    assert_eq!(exit, Exit::Failed);
    assert!(out.contains("line 70: party[10].when[1]: `if_moon_full`"), "{out}");
}

#[test]
fn check_says_whose_keys_are_missing() {
    let file = corpus("agreement.toml");
    let (exit, out) = ran(&AgreementCommand::Check { file: file.clone(), json: false });
    assert_eq!(exit, Exit::Done);
    assert!(out.contains("no keys for ASC CAM CSC"), "{out}");
    let (_, out) = ran(&AgreementCommand::Check { file, json: true });
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["missing_keys"].as_array().unwrap().len(), 15);
}

#[test]
fn decide_fails_when_a_case_differs_from_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let cases = folder.path().join("cases.json");
    let text = fs::read_to_string(corpus("s1.json")).unwrap();
    fs::write(&cases, text.replacen("RECIPIENT_CONFLICT", "NOTHING_HELD", 1)).unwrap();
    let (exit, out) = ran(&AgreementCommand::Decide(decide_args(cases)));
    assert_eq!(exit, Exit::Failed);
    assert!(out.contains("MISMATCH S1 1.3 SMS"), "{out}");
}

#[test]
fn decide_agrees_with_the_cases_and_prints_each_decision_in_the_order_asked() {
    let (exit, out) = ran(&AgreementCommand::Decide(decide_args(corpus("s1.json"))));
    assert_eq!(exit, Exit::Done, "{out}");
    assert!(out.contains(" decisions, 0 mismatches"), "{out}");
    let args = DecideArgs { json: true, ..decide_args(corpus("s1.json")) };
    let (_, out) = ran(&AgreementCommand::Decide(args));
    let document: Value = serde_json::from_str(&out).unwrap();
    let decisions = &document["requests"][2]["decisions"];
    let to: Vec<_> = (0..5).map(|n| decisions[n]["recipient"].as_str().unwrap()).collect();
    assert_eq!(to, ["CSC", "DAS", "HLT", "EDU", "SMS"]);
    assert_eq!(decisions[4]["reason"], "RECIPIENT_CONFLICT");
}

#[test]
fn decide_refuses_everything_after_the_agreement_has_ended() {
    let at = Some("2028-01-01T00:00:00Z".parse().unwrap());
    let args = DecideArgs { at, check: false, json: true, ..decide_args(corpus("s2.json")) };
    let (_, out) = ran(&AgreementCommand::Decide(args));
    assert!(!out.contains("\"release\"") && !out.contains("\"review\""), "{out}");
}

/// The sample with keys for everybody: the seed is the party's place in the file, the hub's is 0.
fn agreement_with_keys() -> String {
    let public = |seed: u8| key_of(seed).verifying_key();
    let mut text = String::new();
    let (mut n, mut id) = (0, None);
    for line in fs::read_to_string(corpus("agreement.toml")).unwrap().lines() {
        if line == "[[party]]" || line == "[rating]" {
            if let Some(id) = id.take() {
                let sealing = BASE64_STANDARD.encode([n + 100; 32]);
                text += &format!(
                    "[party.keys]\ntls = \"spiffe://ex.test/agency/{id}\"\n\
                     signing = \"{}\"\nsealing = \"{sealing}\"\n",
                    public(n)
                );
            }
            n += 1;
        }
        id = line.strip_prefix("id = \"").map(|id| id.trim_end_matches('"').to_owned()).or(id);
        if line == "[agreement]" || n == 0 {
            id = None;
        }
        text += &format!("{line}\n");
    }
    let hub = public(0);
    text + &format!("[hub.keys]\ntls = \"spiffe://ex.test/hub\"\nsigning = \"{hub}\"\n")
}

fn key_of(seed: u8) -> SigningKey {
    SigningKey::from_seed(SecretBytes::new([seed; 32])).unwrap()
}

#[test]
fn sign_refuses_another_partys_key_and_adds_one_signature_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("agreement.toml"), agreement_with_keys()).unwrap();
    for (name, seed) in [("csc.key", 1_u8), ("pol.key", 2)] {
        keyfile::write_signing_key(&path(name), &key_of(seed)).unwrap();
    }
    let sign = |file: &str, id: &str, key: &str, out: &str| {
        ran(&AgreementCommand::Sign(SignArgs {
            file: path(file),
            agency: Some(id.parse().unwrap()),
            hub: false,
            key: path(key),
            out: Some(path(out)),
        }))
        .0
    };
    assert_eq!(sign("agreement.toml", "CSC", "pol.key", "bad"), Exit::VerificationFailed);
    assert!(!path("bad").exists());
    assert_eq!(sign("agreement.toml", "CSC", "csc.key", "one"), Exit::Done);
    assert_eq!(sign("one", "POL", "pol.key", "two"), Exit::Done);
    let note = fs::read_to_string(path("two")).unwrap();
    let signers: Vec<_> = note
        .lines()
        .filter(|line| line.starts_with('—'))
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    assert_eq!(signers, ["exampleshire-ofd/CSC", "exampleshire-ofd/POL"]);
    let (exit, out) = ran(&AgreementCommand::Check { file: path("two"), json: false });
    assert_eq!((exit, out.contains("keys: complete")), (Exit::Done, true));
}
