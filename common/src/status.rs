//! The two faces of an error: a stable code and a safe sentence for the peer, the chain of causes
//! for the operator.
//!
//! INVARIANT: nothing of a cause's text crosses to the peer; [`to_status`] is the only way an error
//! of ours becomes a [`Status`].

use std::{error::Error, fmt};

use tonic::{Code, Status, metadata::MetadataValue};

/// The metadata key that carries [`PeerFacing::code`].
pub const CODE_KEY: &str = "brag-code";

/// An error that a peer may be told about.
pub trait PeerFacing: Error {
    /// A stable code in ASCII, for programs, for example `AGREEMENT_EXPIRED`.
    fn code(&self) -> &'static str;

    /// One sentence for the people at the peer: no personal data and nothing of the cause.
    fn public_message(&self) -> String;

    /// The gRPC code that tells the peer's library whether to try again.
    fn grpc(&self) -> Code;
}

/// The status that tells a peer about `error`. The causes are logged at debug, for the operator;
/// errors of this project carry no personal data in any text.
pub fn to_status<E: PeerFacing + ?Sized>(error: &E) -> Status {
    let code = error.code();
    tracing::debug!(code, error = %Chain(error), "refused");
    let mut status = Status::new(error.grpc(), error.public_message());
    if let Ok(value) = MetadataValue::try_from(code) {
        status.metadata_mut().insert(CODE_KEY, value);
    }
    status
}

/// The stable code in a peer's status; `None` when it came from a library or the network.
#[must_use]
pub fn code_of(status: &Status) -> Option<&str> {
    status.metadata().get(CODE_KEY)?.to_str().ok()
}

/// An error and its causes on one line.
struct Chain<'a, E: ?Sized>(&'a E);

impl<E: Error + ?Sized> fmt::Display for Chain<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("storing the answer")]
    struct Stored(#[source] std::io::Error);

    impl PeerFacing for Stored {
        fn code(&self) -> &'static str {
            "LOG_UNAVAILABLE"
        }

        fn public_message(&self) -> String {
            "the answer can not be recorded".to_owned()
        }

        fn grpc(&self) -> Code {
            Code::Unavailable
        }
    }

    fn error() -> Stored {
        Stored(std::io::Error::other("/var/lib/secret"))
    }

    #[test]
    fn a_cause_stays_with_the_operator() {
        let status = to_status(&error());
        assert!(!format!("{status:?}").contains("secret"));
        assert_eq!(Chain(&error()).to_string(), "storing the answer: /var/lib/secret");
    }

    #[test]
    fn a_code_crosses_the_wire() {
        let status = to_status(&error());
        let received = Status::from_header_map(status.into_http::<()>().headers()).unwrap();
        assert_eq!(received.code(), Code::Unavailable);
        assert_eq!(received.message(), "the answer can not be recorded");
        assert_eq!(code_of(&received), Some("LOG_UNAVAILABLE"));
        assert_eq!(code_of(&Status::unavailable("network")), None);
    }
}
