//! Shapes that stores share: how bytes and statements look in a stored record. Domain types are not
//! `Serialize`; the disk has its own shapes, and these are its `serde(with = …)` modules.

/// Bytes as base64 text.
pub mod bytes {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// Writes bytes of any length.
    ///
    /// # Errors
    /// When the serializer fails.
    pub fn serialize<S: Serializer, T: AsRef<[u8]>>(
        bytes: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    /// Reads bytes; an array of fixed length must have exactly that length.
    ///
    /// # Errors
    /// When the text is not base64, or has another length.
    pub fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| D::Error::custom("not base64"))?;
        T::try_from(bytes).map_err(|_| D::Error::custom("wrong number of bytes"))
    }
}

/// A signed statement: its payload and signature.
pub mod statement {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::statement::SignedStatement;

    #[derive(Serialize, Deserialize)]
    struct Shape {
        #[serde(with = "super::bytes")]
        payload: Vec<u8>,
        #[serde(with = "super::bytes")]
        signature: Vec<u8>,
    }

    /// Writes the statement.
    ///
    /// # Errors
    /// When the serializer fails.
    pub fn serialize<S: Serializer>(
        signed: &SignedStatement,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Shape { payload: signed.payload.clone(), signature: signed.signature.clone() }
            .serialize(serializer)
    }

    /// Reads the statement. Its signature is checked where it is used.
    ///
    /// # Errors
    /// When the shape is another.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SignedStatement, D::Error> {
        let Shape { payload, signature } = Shape::deserialize(deserializer)?;
        Ok(SignedStatement { payload, signature })
    }
}

/// A word of a fixed list, such as a role, or nothing.
macro_rules! word_module {
    ($(#[$doc:meta])* $module:ident, $type:ty) => {
        $(#[$doc])*
        pub mod $module {
            use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

            /// Writes the word.
            ///
            /// # Errors
            /// When the serializer fails.
            pub fn serialize<S: Serializer>(
                value: &Option<$type>,
                serializer: S,
            ) -> Result<S::Ok, S::Error> {
                value.map(<$type>::word).serialize(serializer)
            }

            /// Reads the word.
            ///
            /// # Errors
            /// When it is not in the list.
            pub fn deserialize<'de, D: Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Option<$type>, D::Error> {
                Option::<String>::deserialize(deserializer)?
                    .map(|word| {
                        <$type>::from_word(&word).ok_or_else(|| D::Error::custom("unknown word"))
                    })
                    .transpose()
            }
        }
    };
}

word_module!(
    /// A person's role, or nothing.
    role,
    crate::statement::PersonRole
);
