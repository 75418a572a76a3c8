//! Identifiers, each a type of its own.
//!
//! References to people, enquiries and requests are random: they carry nothing about anyone, so
//! they may appear in the audit log, in metrics and in errors. What links them to a person is kept,
//! sealed, in a store that can be erased.

use std::{fmt, str::FromStr};

use crate::text_form::{Hex, OneText, from_hex, is_hex, stands_as_text};

/// Why a text is not an identifier. The text itself is not repeated: it may be personal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}: expected {expected}")]
pub struct InvalidId {
    /// The kind of identifier that was expected.
    pub kind: &'static str,
    /// Its form, in words.
    pub expected: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if Self::stands(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidId { kind: $kind, expected: $expected })
                }
            }
        }

        impl OneText for $name {
            fn stands(text: &str) -> bool {
                let valid: fn(&str) -> bool = $valid;
                valid(text)
            }
        }

        stands_as_text!($name);

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

macro_rules! random_ref {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        text_id!(
            $(#[$doc])*
            $name,
            $kind,
            "1 to 32 letters, digits, `-` or `_`",
            is_reference
        );

        impl $name {
            /// A reference made of 16 random bytes, 26 characters long.
            #[must_use]
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(base32(bytes).into())
            }
        }
    };
}

fn is_reference(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Crockford's base 32, lower case: no letter that is read as a digit.
fn base32(bytes: [u8; 16]) -> String {
    const ALPHABET: [char; 32] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h',
        'j', 'k', 'm', 'n', 'p', 'q', 'r', 's', 't', 'v', 'w', 'x', 'y', 'z',
    ];
    let value = u128::from_be_bytes(bytes);
    (0..26_u32)
        .rev()
        .filter_map(|place| {
            let digit = usize::try_from((value >> (place * 5)) & 31).ok()?;
            ALPHABET.get(digit).copied()
        })
        .collect()
}

text_id!(
    /// An agency in the agreement, for example `CSC`. Agencies are public; people are not.
    AgencyId,
    "agency id",
    "2 to 8 upper-case letters or digits, starting with a letter",
    |text| {
        (2..=8).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            && text.bytes().next().is_some_and(|b| b.is_ascii_uppercase())
    }
);

text_id!(
    /// An information sharing agreement, for example `exampleshire-ofd`.
    AgreementId,
    "agreement id",
    "3 to 64 lower-case letters, digits or `-`",
    |text| {
        (3..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }
);

text_id!(
    /// A member of staff, as named in the certificate they hold, for example `j.okafor`.
    StaffName,
    "staff name",
    "1 to 64 lower-case letters, digits, `.`, `-` or `_`",
    |text| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_')
            })
    }
);

random_ref!(
    /// One enquiry about a family.
    EnquiryRef,
    "enquiry reference"
);
random_ref!(
    /// One person within one enquiry. The same person has another reference in another enquiry.
    PersonRef,
    "person reference"
);
random_ref!(
    /// One request between programs; the unit of the replay check.
    RequestId,
    "request id"
);
random_ref!(
    /// One request for detail, and what came of it.
    ReleaseRef,
    "release reference"
);
random_ref!(
    /// One item of an assessor's or approver's work at a node.
    WorkRef,
    "work reference"
);

/// A category of the catalogue, `C01` to `C99`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CategoryCode(u8);

impl CategoryCode {
    /// The code with this number; `None` unless it is 1 to 99.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number >= 1 && number <= 99 { Some(Self(number)) } else { None }
    }
}

impl FromStr for CategoryCode {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId { kind: "category code", expected: "`C` and two digits" };
        let digits = text.strip_prefix('C').ok_or(invalid)?;
        if digits.len() != 2 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid);
        }
        digits.parse().ok().and_then(Self::new).ok_or(invalid)
    }
}

impl OneText for CategoryCode {
    fn stands(text: &str) -> bool {
        // Its parser takes one form only, and makes no copy.
        text.parse::<Self>().is_ok()
    }
}

stands_as_text!(CategoryCode);

impl From<CategoryCode> for String {
    fn from(code: CategoryCode) -> Self {
        code.to_string()
    }
}

impl fmt::Display for CategoryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("C{:02}", self.0))
    }
}

impl fmt::Debug for CategoryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The digest with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The bytes of the digest.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = InvalidId;

            fn try_from(bytes: &[u8]) -> Result<Self, InvalidId> {
                let expected = InvalidId { kind: $kind, expected: "32 bytes" };
                bytes.try_into().map(Self).map_err(|_| expected)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                from_hex(text)
                    .map(Self)
                    .ok_or(InvalidId { kind: $kind, expected: "64 hexadecimal digits" })
            }
        }

        impl OneText for $name {
            fn stands(text: &str) -> bool {
                is_hex(text)
            }
        }

        stands_as_text!($name);

        impl From<$name> for String {
            fn from(digest: $name) -> Self {
                digest.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Hex::of(&self.0).as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

digest!(
    /// SHA-256 of the exact bytes of an agreement: what all parties signed, and what every
    /// statement and log entry names.
    AgreementDigest,
    "agreement digest"
);
digest!(
    /// Commitment to one person's identity within one enquiry: SHA-256 over a random salt and the
    /// canonical identity. Without the salt it says nothing about the person.
    Commitment,
    "commitment"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_lower_case_and_long_agency_ids() {
        for text in ["csc", "C", "ABCDEFGHI", "1AB", "C-C", ""] {
            assert!(text.parse::<AgencyId>().is_err(), "{text}");
        }
        assert_eq!("CSC".parse::<AgencyId>().unwrap().as_str(), "CSC");
    }

    #[test]
    fn an_invalid_id_does_not_repeat_the_text() {
        let error = "Nadia Brookes".parse::<PersonRef>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("Nadia"));
    }

    #[test]
    fn random_references_are_26_characters_and_differ() {
        let low = PersonRef::from_random([0; 16]);
        let high = PersonRef::from_random([255; 16]);
        assert_eq!(low.as_str(), "0".repeat(26));
        assert_eq!(high.as_str(), format!("7{}", "z".repeat(25)));
    }

    #[test]
    fn category_codes_round_trip_and_refuse_other_forms() {
        assert_eq!("C07".parse::<CategoryCode>().unwrap().to_string(), "C07");
        for text in ["C7", "C007", "c07", "D07", "C00", "C1a", "C+1"] {
            assert!(text.parse::<CategoryCode>().is_err(), "{text}");
        }
    }

    #[test]
    fn digests_round_trip_as_hexadecimal() {
        let digest = AgreementDigest::from_bytes([0xa5; 32]);
        assert_eq!(digest.to_string().parse::<AgreementDigest>().unwrap(), digest);
        assert!("zz".repeat(32).parse::<AgreementDigest>().is_err());
    }
}
