//! Time as an argument. [`SystemClock`] is the only reader of the machine's clock.

use std::{fmt, sync::Arc};

pub use jiff::{SignedDuration, Timestamp};

/// A source of the present moment.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present moment, to the nanosecond.
    fn now(&self) -> Timestamp;
}

/// A clock that several parts of a program hold.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one reader of the machine's clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that a test sets.
#[cfg(feature = "test-util")]
#[derive(Debug)]
pub struct SettableClock(std::sync::Mutex<Timestamp>);

#[cfg(feature = "test-util")]
impl SettableClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub const fn at(start: Timestamp) -> Self {
        Self(std::sync::Mutex::new(start))
    }

    /// Moves the clock by `step`, which may be negative.
    ///
    /// # Panics
    /// When the result is outside the calendar.
    #[expect(clippy::unwrap_used, reason = "test support")]
    pub fn advance(&self, step: SignedDuration) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(step).unwrap();
    }
}

#[cfg(feature = "test-util")]
impl Clock for SettableClock {
    #[expect(clippy::unwrap_used, reason = "test support")]
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}
