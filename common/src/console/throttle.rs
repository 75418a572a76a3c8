//! How often somebody may try to sign in: by name, so that a password can not be guessed, and by address, so that one place can
//! not try many names. A name is locked out for one address long before it is for all, so that a stranger's guesses do not keep
//! its owner out. A name that nobody has is treated as any other.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::time::Timestamp;

/// Failures of a name from one address before it is locked out there.
const PER_NAME_AND_ADDRESS: u32 = 5;
/// Failures of a name from anywhere before it is locked out everywhere (NIST SP 800-63B-4, section 3.2.2, allows at most 100).
const PER_NAME: u32 = 100;
/// Failures from one address: a site behind one address has many people.
const PER_ADDRESS: u32 = 50;
/// How long failures count, and how long somebody is locked out after the last.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Names and addresses that are remembered; beyond it, those whose time is over are forgotten first.
const MAX_KEPT: usize = 100_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    NameAndAddress(Box<str>, IpAddr),
    Name(Box<str>),
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    n: u32,
    last: Timestamp,
}

/// Failures to sign in that still count.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<Key, Failures>>);

impl Throttle {
    /// Counts a try before it is made; [`Throttle::succeeded`] takes it back. Counting first, so that many at once do not slip
    /// through.
    ///
    /// # Errors
    /// When there were too many; the longest wait that could still be needed.
    pub(super) fn attempt(&self, name: &str, from: IpAddr, now: Timestamp) -> Result<(), Duration> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = |failures: &Failures| {
            now.duration_since(failures.last).unsigned_abs() < WINDOW || failures.last > now
        };
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, failures| counts(failures));
            if kept.len() >= MAX_KEPT {
                return Err(WINDOW);
            }
        }
        let keys = [
            (Key::NameAndAddress(name.into(), from), PER_NAME_AND_ADDRESS),
            (Key::Name(name.into()), PER_NAME),
            (Key::Address(from), PER_ADDRESS),
        ];
        for (key, most) in &keys {
            if kept.get(key).is_some_and(|failures| counts(failures) && failures.n >= *most) {
                return Err(WINDOW);
            }
        }
        for (key, _) in keys {
            let failures = kept.entry(key).or_insert(Failures { n: 0, last: now });
            if !counts(failures) {
                failures.n = 0;
            }
            failures.n += 1;
            failures.last = now;
        }
        Ok(())
    }

    /// Somebody has signed in: their name's failures are forgotten, and the try of their address.
    pub(super) fn succeeded(&self, name: &str, from: IpAddr) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&Key::NameAndAddress(name.into(), from));
        kept.remove(&Key::Name(name.into()));
        if let Some(failures) = kept.get_mut(&Key::Address(from)) {
            failures.n = failures.n.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_name_is_locked_out_after_five_failures_and_free_a_quarter_of_an_hour_after_the_last() {
        let (throttle, from) = (Throttle::default(), "192.0.2.1".parse().unwrap());
        for second in 0..5 {
            throttle.attempt("a", from, at(second)).unwrap();
        }
        throttle.attempt("a", from, at(6)).unwrap_err();
        throttle.attempt("a", from, at(4 + 15 * 60 - 1)).unwrap_err();
        throttle.attempt("b", from, at(6)).unwrap();
        throttle.attempt("a", from, at(4 + 15 * 60)).unwrap();
    }

    #[test]
    fn guesses_from_elsewhere_keep_the_owner_of_a_name_out_only_when_they_are_many() {
        let (throttle, own) = (Throttle::default(), "192.0.2.1".parse().unwrap());
        for n in 0..99 {
            let from = std::net::Ipv4Addr::new(198, 51, 100, n / 5);
            throttle.attempt("a", from.into(), at(0)).unwrap();
        }
        throttle.attempt("a", own, at(0)).unwrap();
        throttle.attempt("a", own, at(0)).unwrap_err();
        throttle.attempt("a", own, at(15 * 60)).unwrap();
    }

    #[test]
    fn an_address_that_tries_many_names_is_locked_out_and_another_is_not() {
        let (throttle, from) = (Throttle::default(), "192.0.2.1".parse().unwrap());
        for n in 0..50 {
            throttle.attempt(&n.to_string(), from, at(0)).unwrap();
        }
        throttle.attempt("new", from, at(0)).unwrap_err();
        throttle.attempt("new", "192.0.2.2".parse().unwrap(), at(0)).unwrap();
    }

    #[test]
    fn whoever_signs_in_has_no_failures_left() {
        let (throttle, from) = (Throttle::default(), "192.0.2.1".parse().unwrap());
        for _ in 0..200 {
            throttle.attempt("a", from, at(0)).unwrap();
            throttle.succeeded("a", from);
        }
    }
}
