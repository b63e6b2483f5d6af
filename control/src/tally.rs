//! Seats and numbers of the daemon's own servers.
//!
//! Invariant: never more seats are taken than there are; a seat is given back when its connection ends, however it
//! ends.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::snapshot::ServerNumbers;

/// Counts the connections and requests of one server.
#[derive(Debug, Default)]
pub struct Tally {
    open: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    requests: AtomicU64,
    bad_requests: AtomicU64,
}

/// The right to serve one connection.
#[derive(Debug)]
pub struct Seat(Arc<Tally>);

impl Tally {
    /// A seat for a new connection, if fewer than `most` are taken; else it is counted as refused.
    pub fn admit(self: &Arc<Self>, most: u64) -> Option<Seat> {
        let free = self.open.fetch_update(Relaxed, Relaxed, |open| (open < most).then_some(open + 1)).is_ok();
        let counter = if free { &self.accepted } else { &self.refused };
        counter.fetch_add(1, Relaxed);
        free.then(|| Seat(Arc::clone(self)))
    }

    /// Counts a request that was answered, or one that was refused.
    pub fn request(&self, good: bool) {
        let counter = if good { &self.requests } else { &self.bad_requests };
        counter.fetch_add(1, Relaxed);
    }

    /// The numbers now.
    #[must_use]
    pub fn numbers(&self) -> ServerNumbers {
        ServerNumbers {
            open: self.open.load(Relaxed),
            accepted: self.accepted.load(Relaxed),
            refused: self.refused.load(Relaxed),
            requests: self.requests.load(Relaxed),
            bad_requests: self.bad_requests.load(Relaxed),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_bounded_and_come_back() {
        let tally = Arc::new(Tally::default());
        let first = tally.admit(2);
        let second = tally.admit(2);
        assert!(first.is_some() && second.is_some());
        assert!(tally.admit(2).is_none());
        drop(first);
        assert!(tally.admit(2).is_some());
        let numbers = tally.numbers();
        assert_eq!((numbers.open, numbers.accepted, numbers.refused), (1, 3, 1));
    }
}
