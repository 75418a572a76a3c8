//! Identities: the canonical form that commitments are over, and what becomes of arbitrary names, dates and addresses on
//! their way to match keys.

use brag_common::matching::{
    identity::{
        Address, BirthDate, CanonicalIdentity, Identifier, IdentifierKind, Identity, IdentityParts,
        Name, NameKind,
    },
    keys::{ENROLMENT_SLOTS, enrolment_keys, query_slots},
};

/// The first byte says whether the rest is a canonical identity, or lines of text that make one up.
pub(crate) fn identity(bytes: &[u8]) -> bool {
    let Some((which, bytes)) = bytes.split_first() else { return false };
    if which % 2 == 0 { canonical(bytes) } else { written(bytes) }
}

fn canonical(bytes: &[u8]) -> bool {
    let Ok(identity) = Identity::from_canonical_bytes(bytes) else {
        assert!(CanonicalIdentity::decode(bytes).is_err());
        return false;
    };
    // A commitment is over bytes: two forms of one identity would be two commitments to it.
    assert_eq!(identity.canonical_bytes(), bytes, "read from bytes that are not canonical");
    keys_of(&identity);
    true
}

/// Lines: given name, family name, date of birth, house, postcode, kind of identifier, value.
fn written(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let mut parts = IdentityParts::default();
    parts.names.extend(Name::new(NameKind::Current, next(), next()));
    if let Ok(birth) = BirthDate::parse(next()) {
        parts.birth = birth;
    }
    parts.addresses.extend(Address::new(Some(next()), Some(next()), None, None));
    if let Ok(kind) = IdentifierKind::from_word(next()) {
        parts.identifiers.extend(Identifier::new(kind, next()));
    }
    let Ok(identity) = Identity::new(parts) else { return false };
    let read = Identity::from_canonical_bytes(&identity.canonical_bytes());
    assert!(
        read.is_ok_and(|read| read == identity),
        "an identity does not survive its canonical form"
    );
    keys_of(&identity);
    !identity.names().is_empty()
}

fn keys_of(identity: &Identity) {
    let keys = enrolment_keys(identity);
    assert!(keys.len() <= ENROLMENT_SLOTS);
    assert_eq!(keys, enrolment_keys(identity), "keys depend on something else than the identity");
    let asked = query_slots(identity, &mut rand_core::OsRng);
    let found = asked.iter().flatten().filter(|key| keys.contains(key)).count();
    assert!(keys.is_empty() || found > 0, "somebody enrolled is not found by the same identity");
}
