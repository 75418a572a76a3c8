//! Types that stand as text in documents: read and written without a copy on the way. A log of a million entries has tens
//! of millions of them.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::de;

/// Reads a text by the type's `FromStr`.
pub(crate) struct TextVisitor<T>(PhantomData<T>);

impl<T> TextVisitor<T> {
    pub(crate) const NEW: Self = Self(PhantomData);
}

impl<T: FromStr<Err: fmt::Display>> de::Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// A type of which each value has one text, and a look at a text that makes no value of it.
///
/// INVARIANT: what `stands` accepts is exactly what `Display` writes of some value.
pub(crate) trait OneText {
    /// Whether `text` is how a value is written.
    fn stands(text: &str) -> bool;
}

/// Has a type with `Display` and `FromStr` stand as its text.
macro_rules! stands_as_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::text_form::TextVisitor::<Self>::NEW)
            }
        }
    };
}
pub(crate) use stands_as_text;

/// 32 bytes as 64 hexadecimal digits, lower case.
pub(crate) struct Hex([u8; 64]);

impl Hex {
    pub(crate) fn of(bytes: &[u8; 32]) -> Self {
        const fn digit(value: u8) -> u8 {
            if value < 10 { b'0' + value } else { b'a' + (value - 10) }
        }
        let mut digits = [0; 64];
        let (pairs, _) = digits.as_chunks_mut::<2>();
        for ([high, low], byte) in pairs.iter_mut().zip(bytes) {
            (*high, *low) = (digit(byte >> 4), digit(byte & 15));
        }
        Self(digits)
    }

    pub(crate) fn as_str(&self) -> &str {
        // Digits are always text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Whether `text` is how [`Hex`] writes 32 bytes.
pub(crate) fn is_hex(text: &str) -> bool {
    // Without an early end: the processor looks at many digits at once then.
    let is_digit = |b: u8| b.is_ascii_digit() | (b'a'..=b'f').contains(&b);
    text.len() == 64 && text.bytes().fold(true, |all, b| all & is_digit(b))
}

/// The 32 bytes that 64 hexadecimal digits of either case stand for.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    const fn value(digit: u8) -> Option<u8> {
        match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            b'A'..=b'F' => Some(digit - b'A' + 10),
            _ => None,
        }
    }
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    if pairs.len() != 32 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_digits_are_32_bytes() {
        let digits = "00112233445566778899aabbccddeeff".repeat(2);
        for text in ["", "0", "00", &digits.replace('f', "g"), &digits.replace("ff", "f")] {
            assert_eq!(from_hex(text), None, "{text}");
        }
        assert_eq!(from_hex(&format!("{digits}00")), None);
        // What the standard library's numbers allow.
        assert_eq!(from_hex(&digits.replace("00", "+0")), None);
        assert_eq!(from_hex(&digits.replace("aa", "é")), None);
        let bytes = from_hex(&digits).unwrap();
        assert_eq!(bytes[..3], [0x00, 0x11, 0x22]);
        assert_eq!(from_hex(&digits.to_uppercase()), Some(bytes));
        assert_eq!(Hex::of(&bytes).as_str(), digits);
    }
}
