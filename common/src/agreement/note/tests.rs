use super::{
    super::testkit::{SAMPLE, agency},
    *,
};
use crate::secret::SecretBytes;

const PARTIES: [&str; 14] = [
    "CSC", "POL", "DAS", "HLT", "EDU", "HOU", "SMS", "MHT", "PRO", "EHT", "ASC", "CAM", "YOS",
    "MRC",
];

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(SecretBytes::new([seed; 32])).unwrap()
}

fn party_key(id: &str) -> SigningKey {
    key(u8::try_from(PARTIES.iter().position(|party| *party == id).unwrap()).unwrap())
}

fn hub_key() -> SigningKey {
    key(99)
}

fn party(id: &str) -> Signatory {
    Signatory::Party(agency(id))
}

/// The sample with everybody's keys.
fn text() -> String {
    use base64::Engine as _;
    let mut text = String::new();
    for (n, block) in SAMPLE.split("[[party]]\n").enumerate() {
        let Some(id) = n.checked_sub(1).map(|n| PARTIES[n]) else {
            text.push_str(block);
            continue;
        };
        let sealing = base64::prelude::BASE64_STANDARD.encode([u8::try_from(n).unwrap() + 100; 32]);
        let keys = format!(
            "[party.keys]\ntls = \"spiffe://ex.test/agency/{id}\"\nsigning = \"{}\"\nsealing = \"{sealing}\"\n",
            party_key(id).verifying_key()
        );
        let end = block.find("\n[rating]").map_or(block.len(), |at| at + 1);
        let (own, rest) = block.split_at(end);
        text.push_str(&format!("[[party]]\n{own}{keys}{rest}"));
    }
    let hub = hub_key().verifying_key();
    text.push_str(&format!("[hub.keys]\ntls = \"spiffe://ex.test/hub\"\nsigning = \"{hub}\"\n"));
    text
}

fn signed_by(ids: &[&str]) -> Vec<u8> {
    ids.iter()
        .fold(text().into_bytes(), |note, id| sign(&note, &party(id), &party_key(id)).unwrap())
}

fn verify(note: &[u8]) -> Result<SignedAgreement, NoteError> {
    SignedAgreement::verify(note, (&agency("POL"), party_key("POL").verifying_key()))
}

fn replaced(note: &[u8], from: &str, to: &str) -> Vec<u8> {
    let note = String::from_utf8(note.to_vec()).unwrap();
    assert!(note.contains(from));
    note.replacen(from, to, 1).into_bytes()
}

#[test]
fn refuses_a_note_that_a_party_has_not_signed_and_says_which() {
    let missing = verify(&signed_by(&PARTIES[..12])).unwrap_err();
    assert_eq!(missing, NoteError::Missing(vec![party("MRC"), party("YOS")]));
    assert!(matches!(verify(text().as_bytes()), Err(NoteError::Malformed)));
}

#[test]
fn refuses_a_note_whose_text_has_changed() {
    let note = replaced(&signed_by(&PARTIES), "amber_agencies = 2", "amber_agencies = 1");
    assert!(matches!(verify(&note), Err(NoteError::Bad(_))));
}

#[test]
fn refuses_a_forged_signature_and_says_whose() {
    let note = String::from_utf8(signed_by(&PARTIES)).unwrap();
    let line = note.lines().find(|line| line.contains("/EDU ")).unwrap();
    let mut forged = line.to_owned();
    let last = forged.len() - 10;
    let other = if forged.as_bytes()[last] == b'A' { "B" } else { "A" };
    forged.replace_range(last..=last, other);
    let error = verify(&replaced(note.as_bytes(), line, &forged)).unwrap_err();
    assert_eq!(error, NoteError::Bad("exampleshire-ofd/EDU".into()));
}

#[test]
fn refuses_signatures_that_are_not_expected() {
    let note = signed_by(&PARTIES);
    let stranger = key(200);
    let name = "exampleshire-ofd/EDU";
    let id = ed25519_key_id(name, stranger.verifying_key());
    let signature = stranger.sign_note(text().as_bytes()).to_vec();
    let line = Signature::new(name.to_owned(), id, signature).unwrap().to_bytes();
    let error = verify(&[note, line].concat()).unwrap_err();
    assert_eq!(error, NoteError::Unknown(name.into()));
}

#[test]
fn refuses_a_second_line_of_the_same_key() {
    let note = signed_by(&PARTIES);
    let line = String::from_utf8(note.clone()).unwrap().lines().last().unwrap().to_owned() + "\n";
    assert_eq!(verify(&[note, line.into_bytes()].concat()), Err(NoteError::Repeated));
}

#[test]
fn refuses_an_agreement_that_names_another_key_for_the_reader() {
    // Everybody has signed, with keys that somebody has made up for all of them.
    let note = signed_by(&PARTIES);
    let own = (&agency("POL"), key(77).verifying_key());
    assert_eq!(SignedAgreement::verify(&note, own), Err(NoteError::OtherKey(party("POL"))));
    let nobody = (&agency("XYZ"), key(77).verifying_key());
    assert_eq!(SignedAgreement::verify(&note, nobody), Err(NoteError::OtherKey(party("XYZ"))));
}

#[test]
fn the_hub_asks_for_its_own_signature() {
    let note = signed_by(&PARTIES);
    let own = hub_key().verifying_key();
    let unsigned = SignedAgreement::verify_as_hub(&note, own);
    assert_eq!(unsigned, Err(NoteError::Missing(vec![Signatory::Hub])));
    assert!(!verify(&note).unwrap().hub_signed());
    let note = sign(&note, &Signatory::Hub, &hub_key()).unwrap();
    assert!(SignedAgreement::verify_as_hub(&note, own).unwrap().hub_signed());
    assert!(verify(&note).unwrap().hub_signed());
    assert!(SignedAgreement::verify_as_hub(&note, key(77).verifying_key()).is_err());
}

#[test]
fn signs_only_with_the_key_the_agreement_names_and_only_when_all_keys_are_there() {
    let other = sign(text().as_bytes(), &party("POL"), &key(77)).unwrap_err();
    assert_eq!(other, NoteError::OtherKey(party("POL")));
    let early = sign(SAMPLE.as_bytes(), &party("POL"), &party_key("POL")).unwrap_err();
    assert!(matches!(early, NoteError::Keys(KeysMissing(missing)) if missing.len() == 15));
    let faulty = text().replacen("version = 3", "version = 0", 1);
    let faulty = sign(faulty.as_bytes(), &party("POL"), &party_key("POL")).unwrap_err();
    assert!(matches!(faulty, NoteError::Agreement(_)));
}

#[test]
fn a_damaged_note_is_not_signed_as_a_text() {
    let note =
        replaced(&signed_by(&PARTIES[..2]), "exampleshire-ofd/POL ", "exampleshire-ofd/POL  ");
    let error = sign(&note, &party("DAS"), &party_key("DAS")).unwrap_err();
    assert_eq!(error, NoteError::Malformed);
}

#[test]
fn refuses_notes_that_are_too_long() {
    let long = vec![b'#'; NOTE_BYTES_MAX + 1];
    assert_eq!(verify(&long), Err(NoteError::TooLong));
    assert_eq!(text_of(&long), Err(NoteError::TooLong));
}

#[test]
fn a_note_of_all_parties_is_accepted_and_holds_the_exact_text() {
    let signed = verify(&signed_by(&PARTIES)).unwrap();
    assert_eq!(signed.text(), text());
    let expected = digest(&SHA256, text().as_bytes());
    assert_eq!(signed.digest().as_bytes().as_slice(), expected.as_ref());
    assert_eq!(signed.agreement(), &Agreement::parse(&text()).unwrap());
}

#[test]
fn signing_again_changes_nothing_and_order_does_not_matter() {
    let note = signed_by(&PARTIES);
    let again = sign(&note, &party("MRC"), &party_key("MRC")).unwrap();
    assert_eq!(again, note);
    let mut backwards = PARTIES;
    backwards.reverse();
    assert_eq!(verify(&signed_by(&backwards)).unwrap(), verify(&note).unwrap());
}

#[test]
fn the_text_of_a_note_is_the_text_that_was_signed() {
    assert_eq!(text_of(&signed_by(&PARTIES[..3])).unwrap(), text());
    assert_eq!(text_of(text().as_bytes()).unwrap(), text());
}
