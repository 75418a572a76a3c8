//! The edge: wire messages become domain values here, once, and fallibly; domain values become wire
//! messages infallibly. Outside `wire` and the services nothing names a wire message.

use std::str::FromStr;

use crate::{
    id::{Commitment, InvalidId},
    status::PeerFacing,
    time::Timestamp,
};

pub mod audit;
pub mod news;
pub mod padding;
pub mod records;
pub mod release;
pub mod round;
pub mod statement;
pub mod witness;
pub mod words;

pub use brag_proto::{FILE_DESCRIPTOR_SET, v1 as pb};

pub use crate::serve::MAX_MESSAGE_BYTES;

/// The most people in one enquiry.
pub const MAX_PEOPLE: usize = 24;

/// A message that is not acceptable; it names the field, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A required field is absent.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field does not have its form.
    #[error("`{field}` is not valid: expected {expected}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

impl WireError {
    /// A field that does not have the form `expected`.
    #[must_use]
    pub const fn invalid(field: &'static str, expected: &'static str) -> Self {
        Self::Invalid { field, expected }
    }
}

impl PeerFacing for WireError {
    fn code(&self) -> &'static str {
        "invalid_message"
    }

    fn public_message(&self) -> String {
        self.to_string()
    }

    fn grpc(&self) -> tonic::Code {
        tonic::Code::InvalidArgument
    }
}

/// Parses an identifier, naming the field when it is not one.
///
/// # Errors
/// When the text is empty or not of the identifier's form.
pub fn id<T: FromStr<Err = InvalidId>>(field: &'static str, text: &str) -> Result<T, WireError> {
    if text.is_empty() {
        return Err(WireError::Missing(field));
    }
    text.parse().map_err(|error: InvalidId| WireError::Invalid { field, expected: error.expected })
}

/// Parses an identifier that may be absent.
///
/// # Errors
/// When the text is neither empty nor of the identifier's form.
pub fn optional_id<T: FromStr<Err = InvalidId>>(
    field: &'static str,
    text: &str,
) -> Result<Option<T>, WireError> {
    if text.is_empty() { Ok(None) } else { id(field, text).map(Some) }
}

/// Parses a required time.
///
/// # Errors
/// When it is absent or outside the calendar.
pub fn time(field: &'static str, unix_ms: i64) -> Result<Timestamp, WireError> {
    optional_time(field, unix_ms)?.ok_or(WireError::Missing(field))
}

/// Parses a time that may be absent.
///
/// # Errors
/// When it is outside the calendar.
pub fn optional_time(field: &'static str, unix_ms: i64) -> Result<Option<Timestamp>, WireError> {
    if unix_ms == 0 {
        return Ok(None);
    }
    Timestamp::from_millisecond(unix_ms)
        .map(Some)
        .map_err(|_| WireError::invalid(field, "milliseconds since 1970"))
}

/// Parses a commitment.
///
/// # Errors
/// When it is not 32 bytes.
pub fn commitment(field: &'static str, bytes: &[u8]) -> Result<Commitment, WireError> {
    bytes.try_into().map_err(|_| WireError::invalid(field, "32 bytes"))
}

/// A repeated field within its bounds.
///
/// # Errors
/// When it has too few or too many elements.
pub fn bounded<T>(
    field: &'static str,
    items: &[T],
    bounds: std::ops::RangeInclusive<usize>,
    expected: &'static str,
) -> Result<(), WireError> {
    if bounds.contains(&items.len()) { Ok(()) } else { Err(WireError::invalid(field, expected)) }
}
