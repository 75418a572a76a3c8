//! The bytes of an identity that travel and are committed to.
//!
//! Version 1: the magic `brag-identity/v1` and a NUL; then texts, each behind its length in bytes (`u32`, big-endian):
//!
//! | texts | |
//! |---|---|
//! | number of names; for each: kind, given, family | kind is a word of [`NameKind`] |
//! | birth | `YYYY-MM-DD`, `YYYY-MM`, `YYYY` or empty |
//! | sex | `female`, `male`, `other` or empty |
//! | number of identifiers; for each: kind, value | |
//! | number of addresses; for each: house, postcode, from, to | empty when absent; days as `YYYY-MM-DD` |
//!
//! Numbers are decimal. Nothing follows. Who receives the bytes hashes the bytes, and never encodes again to verify, so
//! a later version of this module can not change an older commitment.

use std::fmt;

use jiff::civil::Date;
use ring::digest::{Context, SHA256};

use super::{
    Address, BirthDate, Identifier, IdentifierKind, Identity, IdentityParts, MAX_ADDRESSES,
    MAX_IDENTIFIERS, MAX_NAMES, Name, NameKind, Sex,
};
use crate::{
    id::Commitment,
    matching::normalise::{WrittenDate, parse_date},
};

/// Longest canonical identity, in bytes. The longest that the bounds of the parts allow is about 59 KiB.
pub const MAX_CANONICAL_BYTES: usize = 64 * 1024;

const MAGIC: &[u8] = b"brag-identity/v1\0";
const COMMITMENT_DOMAIN: &[u8] = b"brag-exchange/v1/identity-commitment\0";

/// Bytes that are not the canonical form of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a canonical identity: expected version 1, complete and within its bounds")]
pub struct NotCanonical;

/// An identity together with the very bytes it was decoded from, which are what a commitment is checked against.
#[derive(Clone, PartialEq, Eq)]
pub struct CanonicalIdentity {
    bytes: Box<[u8]>,
    identity: Identity,
}

impl CanonicalIdentity {
    /// Decodes `bytes` and keeps them.
    ///
    /// # Errors
    /// When they are not a canonical identity.
    pub fn decode(bytes: &[u8]) -> Result<Self, NotCanonical> {
        Ok(Self { identity: Identity::from_canonical_bytes(bytes)?, bytes: bytes.into() })
    }

    /// The bytes that travelled.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What they say.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The commitment to these bytes under a salt.
    #[must_use]
    pub fn commitment(&self, salt: &[u8; 32]) -> Commitment {
        commit(salt, &self.bytes)
    }
}

impl fmt::Debug for CanonicalIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CanonicalIdentity([personal])")
    }
}

/// Commitment to the canonical bytes of an identity: SHA-256 over a domain, the salt and the bytes.
///
/// The salt must be random and secret until the commitment is opened: identities can be guessed.
#[must_use]
pub fn commit(salt: &[u8; 32], canonical: &[u8]) -> Commitment {
    let mut context = Context::new(&SHA256);
    context.update(COMMITMENT_DOMAIN);
    context.update(salt);
    context.update(canonical);
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    Commitment::from_bytes(digest)
}

impl Identity {
    /// The canonical form (version 1, see the module). The same identity always gives the same bytes.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut out = Writer(MAGIC.to_vec());
        out.count(self.names.len());
        for name in &self.names {
            out.text(name.kind().word());
            out.text(name.given());
            out.text(name.family());
        }
        out.text(&self.birth.to_string());
        out.text(self.sex.map_or("", Sex::word));
        out.count(self.identifiers.len());
        for identifier in &self.identifiers {
            out.text(identifier.kind().word());
            out.text(identifier.value());
        }
        out.count(self.addresses.len());
        for address in &self.addresses {
            out.text(address.house().unwrap_or(""));
            out.text(address.postcode().unwrap_or(""));
            out.text(&day_text(address.from()));
            out.text(&day_text(address.to()));
        }
        out.0
    }

    /// Decodes the canonical form.
    ///
    /// # Errors
    /// When the bytes are of another version, incomplete, outside the bounds, go on behind the end, or are not what
    /// [`Self::canonical_bytes`] makes of the identity that they spell: two forms of one identity would be two
    /// commitments to it.
    pub fn from_canonical_bytes(bytes: &[u8]) -> Result<Self, NotCanonical> {
        if bytes.len() > MAX_CANONICAL_BYTES {
            return Err(NotCanonical);
        }
        let mut input = Reader(bytes.strip_prefix(MAGIC).ok_or(NotCanonical)?);
        let mut parts = IdentityParts::default();
        for _ in 0..input.count(MAX_NAMES)? {
            let kind = NameKind::from_word(input.text()?).ok_or(NotCanonical)?;
            let name = Name::new(kind, input.text()?, input.text()?);
            parts.names.push(name.map_err(|_| NotCanonical)?);
        }
        parts.birth = BirthDate::parse(input.text()?).map_err(|_| NotCanonical)?;
        parts.sex = Sex::parse(input.text()?).map_err(|_| NotCanonical)?;
        for _ in 0..input.count(MAX_IDENTIFIERS)? {
            let kind = IdentifierKind::from_word(input.text()?).map_err(|_| NotCanonical)?;
            let identifier = Identifier::new(kind, input.text()?);
            parts.identifiers.push(identifier.map_err(|_| NotCanonical)?);
        }
        for _ in 0..input.count(MAX_ADDRESSES)? {
            let (house, postcode) = (input.text()?, input.text()?);
            let (from, to) = (day(input.text()?)?, day(input.text()?)?);
            let address = Address::new(Some(house), Some(postcode), from, to);
            parts.addresses.push(address.map_err(|_| NotCanonical)?);
        }
        if !input.0.is_empty() {
            return Err(NotCanonical);
        }
        let identity = Self::new(parts).map_err(|_| NotCanonical)?;
        if identity.canonical_bytes() == bytes { Ok(identity) } else { Err(NotCanonical) }
    }
}

fn day_text(date: Option<Date>) -> String {
    date.map(|date| date.to_string()).unwrap_or_default()
}

fn day(text: &str) -> Result<Option<Date>, NotCanonical> {
    if text.is_empty() {
        return Ok(None);
    }
    match parse_date(text) {
        Ok(WrittenDate::Day(date)) => Ok(Some(date)),
        Ok(WrittenDate::Month(..) | WrittenDate::Year(_)) | Err(_) => Err(NotCanonical),
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn text(&mut self, text: &str) {
        // INVARIANT: every text is bounded far below 4 GiB by the type it comes from.
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn count(&mut self, count: usize) {
        self.text(&count.to_string());
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn text(&mut self) -> Result<&'a str, NotCanonical> {
        let (length, rest) = self.0.split_first_chunk().ok_or(NotCanonical)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| NotCanonical)?;
        let (text, rest) = rest.split_at_checked(length).ok_or(NotCanonical)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| NotCanonical)
    }

    fn count(&mut self, most: usize) -> Result<usize, NotCanonical> {
        let count = self.text()?.parse().map_err(|_| NotCanonical)?;
        if count > most { Err(NotCanonical) } else { Ok(count) }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn nadia() -> Identity {
        Identity::new(IdentityParts {
            names: vec![
                Name::new(NameKind::Current, "Nadia", "Brookes").unwrap(),
                Name::new(NameKind::Former, "Nadia", "Pell").unwrap(),
            ],
            birth: BirthDate::parse("1992-03").unwrap(),
            sex: Some(Sex::Female),
            identifiers: vec![Identifier::new(IdentifierKind::Police, "X/12").unwrap()],
            addresses: vec![
                Address::new(Some("3 Mill Lane"), None, Some(date(2020, 1, 2)), None).unwrap(),
            ],
        })
        .unwrap()
    }

    #[test]
    fn refuses_truncated_extended_and_foreign_bytes() {
        let bytes = nadia().canonical_bytes();
        for end in 0..bytes.len() {
            assert!(Identity::from_canonical_bytes(&bytes[..end]).is_err(), "{end}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(Identity::from_canonical_bytes(&longer).is_err());
        assert!(Identity::from_canonical_bytes(&vec![b' '; MAX_CANONICAL_BYTES + 1]).is_err());
    }

    /// Spaces around a text, a day written the other way round, a count with a nought in front: each spells an identity
    /// that has other bytes.
    #[test]
    fn refuses_another_spelling_of_an_identity() {
        let spelt = |count: &str, given: &str, birth: &str, postcode: &str| {
            let mut bytes = MAGIC.to_vec();
            for text in [count, "current", given, "Lee", birth, "", "0", "1", "", postcode, "", ""]
            {
                bytes.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
            Identity::from_canonical_bytes(&bytes)
        };
        assert!(spelt("1", "Ann", "1992-03-07", "ZZ1 2AB").is_ok());
        assert!(spelt("1", "Ann", "1992-03-07", "ZZ1 2AB ").is_err());
        assert!(spelt("1", " Ann", "1992-03-07", "ZZ1 2AB").is_err());
        assert!(spelt("1", "Ann", "07/03/1992", "ZZ1 2AB").is_err());
        assert!(spelt("01", "Ann", "1992-03-07", "ZZ1 2AB").is_err());
    }

    #[test]
    fn canonical_bytes_are_as_documented() {
        let mut expected = b"brag-identity/v1\0".to_vec();
        let texts = [
            "2",
            "current",
            "Nadia",
            "Brookes",
            "former",
            "Nadia",
            "Pell",
            "1992-03",
            "female",
            "1",
            "police",
            "X/12",
            "1",
            "3 Mill Lane",
            "",
            "2020-01-02",
            "",
        ];
        for text in texts {
            expected.extend_from_slice(&[0, 0, 0, u8::try_from(text.len()).unwrap()]);
            expected.extend_from_slice(text.as_bytes());
        }
        assert_eq!(nadia().canonical_bytes(), expected);
    }

    #[test]
    fn a_commitment_depends_on_salt_and_on_every_byte() {
        let canonical = CanonicalIdentity::decode(&nadia().canonical_bytes()).unwrap();
        let commitment = canonical.commitment(&[1; 32]);
        assert_ne!(commitment, canonical.commitment(&[2; 32]));
        let mut changed = canonical.bytes().to_vec();
        *changed.last_mut().unwrap() ^= 1;
        assert_ne!(commitment, commit(&[1; 32], &changed));
        assert_eq!(commitment, commit(&[1; 32], canonical.bytes()));
    }

    #[test]
    fn the_largest_identity_fits_the_bound() {
        let long = "\u{10FFFD}".repeat(200);
        let parts = IdentityParts {
            names: vec![Name::new(NameKind::Current, &long, &long).unwrap(); MAX_NAMES],
            birth: BirthDate::parse("1992-03-04").unwrap(),
            sex: Some(Sex::Female),
            identifiers: vec![
                Identifier::new(
                    IdentifierKind::Other("a".repeat(32).into()),
                    &"\u{10FFFD}".repeat(64)
                )
                .unwrap();
                MAX_IDENTIFIERS
            ],
            addresses: vec![
                Address::new(
                    Some(&long),
                    Some(&"\u{10FFFD}".repeat(16)),
                    Some(date(2020, 1, 1)),
                    Some(date(2020, 1, 1))
                )
                .unwrap();
                MAX_ADDRESSES
            ],
        };
        let identity = Identity::new(parts).unwrap();
        let bytes = identity.canonical_bytes();
        assert!(bytes.len() <= MAX_CANONICAL_BYTES, "{}", bytes.len());
        assert!(Identity::from_canonical_bytes(&bytes).unwrap() == identity);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn decoding_takes_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Identity::from_canonical_bytes(&bytes);
            let _ = Identity::from_canonical_bytes(&[MAGIC, &bytes].concat());
        }

        #[test]
        fn decoding_undoes_encoding(given in "\\PC{1,60}", house in "\\PC{0,60}", year in 1850_i16..2200) {
            let Ok(name) = Name::new(NameKind::Alias, &given, "") else { return Ok(()) };
            let parts = IdentityParts {
                names: vec![name],
                birth: BirthDate::from_year(year).unwrap(),
                addresses: Address::new(Some(&house), None, None, None).into_iter().collect(),
                ..IdentityParts::default()
            };
            let identity = Identity::new(parts).unwrap();
            let decoded = Identity::from_canonical_bytes(&identity.canonical_bytes()).unwrap();
            prop_assert!(decoded == identity);
        }
    }
}
