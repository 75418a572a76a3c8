//! Places under keys: so many of one peer, of one address, and no more.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts places taken, each under a key. Clones share them.
pub(crate) struct Tally<K> {
    limit: usize,
    taken: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K> Clone for Tally<K> {
    fn clone(&self) -> Self {
        Self { limit: self.limit, taken: Arc::clone(&self.taken) }
    }
}

impl<K> fmt::Debug for Tally<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<K: Eq + Hash + Clone> Tally<K> {
    /// At most `limit` places under each key.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, taken: Arc::default() }
    }

    /// A place under `key`, until it is dropped; `None` when all are taken.
    pub(crate) fn take(&self, key: K) -> Option<Place<K>> {
        let mut taken = lock(&self.taken);
        let count = taken.get(&key).copied().unwrap_or_default();
        if count >= self.limit {
            return None;
        }
        taken.insert(key.clone(), count + 1);
        Some(Place { key, taken: Arc::clone(&self.taken) })
    }
}

/// A place that is taken.
pub(crate) struct Place<K: Eq + Hash> {
    key: K,
    taken: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(count) = taken.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            // Keys come from outside; only those in use are kept.
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

/// Counts are whole at every moment, so a lock that a panic left is good.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whose address it is, to be counted by: a site has an IPv4 address, but a network of 2^64 IPv6 addresses (RFC 4291, section 2.5.4).
pub(crate) fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_of_a_key_and_are_given_back() {
        let tally = Tally::new(1);
        let of_one = tally.take("one").unwrap();
        assert!(tally.take("one").is_none());
        assert!(tally.take("other").is_some());
        drop(of_one);
        assert!(lock(&tally.taken).is_empty(), "keys without places are kept");
        assert!(tally.take("one").is_some());
        assert!(Tally::new(0).take("one").is_none());
    }

    #[test]
    fn the_addresses_of_one_network_are_one_source() {
        let of = |text: &str| source(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:2:ffff::4"));
        assert_ne!(of("2001:db8:1:2::3"), of("2001:db8:1:3::3"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
