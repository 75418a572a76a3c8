//! Stale and repeated requests. Every request has an id, used once, and a time after which it is dead.
//!
//! Ids are remembered for as long as a request could still be alive. Across a restart they come back
//! from the audit log, which names every exchange (see [`ReplayGuard::remember`]).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{
    enquiry::Envelope,
    id::RequestId,
    status::PeerFacing,
    time::{SignedDuration, Timestamp},
};

/// How far apart two parties' clocks may be: agencies' clocks are seldom better, and a request that is
/// five minutes old does no harm.
pub const MAX_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// How far ahead a request may say it is valid.
pub const MAX_VALIDITY: SignedDuration = SignedDuration::from_mins(10);

/// Ids kept at most, about 60 MB; past that, requests are refused rather than forgotten.
const MAX_KEPT: usize = 500_000;

/// Why a request is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// Its time has passed.
    #[error(
        "the request was valid until {valid_until} by the clock of whoever made it, and the clock here says {here}; if it was \
         just made, the two clocks are more than five minutes apart: set both by a time service"
    )]
    Expired {
        /// Its end, by the clock of whoever made it.
        valid_until: Timestamp,
        /// What the clock here says.
        here: Timestamp,
    },
    /// It claims to be valid for longer than any request may.
    #[error(
        "the request is valid until {valid_until} by the clock of whoever made it, and the clock here says {here}, which is \
         longer than any request may be; if it was just made, the two clocks are more than five minutes apart: set both by a \
         time service"
    )]
    TooFarAhead {
        /// Its end, by the clock of whoever made it.
        valid_until: Timestamp,
        /// What the clock here says.
        here: Timestamp,
    },
    /// Its id was used before.
    #[error("a request with this id was received before")]
    Replayed,
    /// Too many requests are remembered.
    #[error("too many requests at once; try again later")]
    Busy,
}

impl PeerFacing for NotAdmitted {
    fn code(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "request_expired",
            Self::TooFarAhead { .. } => "request_too_far_ahead",
            Self::Replayed => "request_replayed",
            Self::Busy => "busy",
        }
    }

    fn public_message(&self) -> String {
        self.to_string()
    }

    fn grpc(&self) -> tonic::Code {
        match self {
            Self::Expired { .. } => tonic::Code::DeadlineExceeded,
            Self::TooFarAhead { .. } => tonic::Code::InvalidArgument,
            Self::Replayed => tonic::Code::AlreadyExists,
            Self::Busy => tonic::Code::ResourceExhausted,
        }
    }
}

/// Remembers request ids.
#[derive(Debug, Default)]
pub struct ReplayGuard(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    until: HashMap<RequestId, Timestamp>,
    swept_at: Option<Timestamp>,
}

impl ReplayGuard {
    /// An empty guard.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers an id found in the log, from the time its entry was written.
    pub fn remember(&self, id: RequestId, written_at: Timestamp) {
        let until = written_at.saturating_add(MAX_VALIDITY + MAX_SKEW * 2);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(until) = until {
            seen.until.insert(id, until);
        }
    }

    /// Admits a request once, while it is alive.
    ///
    /// # Errors
    /// When it is dead, claims too long a life, or was admitted before.
    pub fn admit(&self, envelope: &Envelope, now: Timestamp) -> Result<(), NotAdmitted> {
        let ahead = envelope.valid_until.duration_since(now);
        if ahead < -MAX_SKEW {
            return Err(NotAdmitted::Expired { valid_until: envelope.valid_until, here: now });
        }
        if ahead > MAX_VALIDITY + MAX_SKEW {
            return Err(NotAdmitted::TooFarAhead { valid_until: envelope.valid_until, here: now });
        }
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = seen.swept_at.is_none_or(|at| now.duration_since(at) > MAX_SKEW);
        if due || seen.until.len() >= MAX_KEPT {
            seen.until.retain(|_, until| *until >= now);
            seen.swept_at = Some(now);
        }
        if seen.until.len() >= MAX_KEPT {
            return Err(NotAdmitted::Busy);
        }
        // Kept past its end by the skew that would still admit it.
        let until = envelope.valid_until.saturating_add(MAX_SKEW).unwrap_or(Timestamp::MAX);
        match seen.until.insert(envelope.request_id.clone(), until) {
            None => Ok(()),
            Some(earlier) => {
                seen.until.insert(envelope.request_id.clone(), earlier.max(until));
                Err(NotAdmitted::Replayed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::AgreementDigest;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn envelope(id: u8, valid_until: i64) -> Envelope {
        Envelope {
            request_id: RequestId::from_random([id; 16]),
            agreement: AgreementDigest::from_bytes([0; 32]),
            valid_until: at(valid_until),
        }
    }

    #[test]
    fn invariant_8_a_request_is_admitted_once_even_after_a_sweep() {
        let guard = ReplayGuard::new();
        assert_eq!(guard.admit(&envelope(1, 10), at(0)), Ok(()));
        assert_eq!(guard.admit(&envelope(1, 10), at(1)), Err(NotAdmitted::Replayed));
        assert_eq!(guard.admit(&envelope(2, 310), at(301)), Ok(()));
        assert_eq!(guard.admit(&envelope(1, 10), at(302)), Err(NotAdmitted::Replayed));
        assert!(matches!(guard.admit(&envelope(1, 10), at(320)), Err(NotAdmitted::Expired { .. })));
    }

    #[test]
    fn invariant_8_a_stale_request_never_wakes_up() {
        assert!(matches!(
            ReplayGuard::new().admit(&envelope(1, 0), at(301)),
            Err(NotAdmitted::Expired { .. })
        ));
    }

    #[test]
    fn clocks_four_minutes_apart_are_tolerated_and_twenty_are_refused_with_clear_words() {
        let guard = ReplayGuard::new();
        assert_eq!(guard.admit(&envelope(1, 10), at(240)), Ok(()));
        assert_eq!(guard.admit(&envelope(2, 600), at(-240)), Ok(()));
        let error = guard.admit(&envelope(3, 10), at(1200)).unwrap_err();
        assert!(error.to_string().contains("clocks"));
        assert!(matches!(
            guard.admit(&envelope(4, 10), at(-1200)),
            Err(NotAdmitted::TooFarAhead { .. })
        ));
    }

    #[test]
    fn ids_from_the_log_are_replays() {
        let guard = ReplayGuard::new();
        guard.remember(RequestId::from_random([1; 16]), at(0));
        assert_eq!(guard.admit(&envelope(1, 10), at(5)), Err(NotAdmitted::Replayed));
    }
}
