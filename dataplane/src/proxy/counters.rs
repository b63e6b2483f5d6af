//! What a worker counts of the sessions of one service, and of those to one server.
//!
//! Invariant: plain numbers written by their worker only; all but the gauges only ever grow.

use core::time::Duration;

/// Upper bounds of the classes of [`Times`], in microseconds.
pub const BOUNDS_US: [u64; 14] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000,
];

/// Durations by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// How many were within each of [`BOUNDS_US`] and no smaller one; the last: how many were longer than all.
    pub classes: [u64; BOUNDS_US.len() + 1],
    /// All of them together, in microseconds.
    pub sum_us: u64,
}

impl Times {
    /// One more.
    #[inline]
    pub fn add(&mut self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let class = BOUNDS_US.partition_point(|bound| *bound < us);
        if let Some(count) = self.classes.get_mut(class) {
            *count += 1;
        }
        self.sum_us = self.sum_us.saturating_add(us);
    }
}

/// The sessions of one service on one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxyCounters {
    /// Sessions begun: a client was there (after its handshake, unless `wait_for_upstream`).
    pub sessions: u64,
    /// Gauge: sessions there are.
    pub open: u64,
    /// Gauge: sessions that wait for a server with room.
    pub waiting: u64,
    /// Sessions whose upstream leg was established (TCP) or opened (UDP).
    pub established: u64,
    /// Further attempts after a first one that failed.
    pub retries: u64,
    /// Payload bytes from clients.
    pub bytes_up: u64,
    /// Payload bytes from servers.
    pub bytes_down: u64,
    /// Refused: the worker has as many sessions as may be.
    pub refused_limit: u64,
    /// Refused: no server is in service, or no way leads to it.
    pub refused_no_server: u64,
    /// Refused: as many sessions as may be wait already.
    pub refused_queue_full: u64,
    /// Refused: no server had room in time.
    pub refused_queue_timeout: u64,
    /// Refused: every attempt failed (refused, or not answered in time).
    pub refused_connect: u64,
    /// Refused: no source port was left, or the client's own is in use.
    pub refused_source_port: u64,
    /// Refused: no flow or buffer was left for the upstream leg.
    pub refused_resources: u64,
    /// Refused: what the client sent is no PROXY protocol header, or it did not come in time.
    pub refused_header: u64,
    /// Sessions ended by `idle_timeout`.
    pub idle_timeouts: u64,
    /// Datagrams that could not be passed on because the session has no upstream leg yet.
    pub datagrams_early: u64,
    /// From the client being there to the upstream leg being established.
    pub connect_times: Times,
    /// Length of sessions that have ended and had an upstream leg.
    pub session_times: Times,
}

/// The sessions to one server on one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerCounters {
    /// Attempts to connect.
    pub connects: u64,
    /// Attempts that succeeded.
    pub established: u64,
    /// Gauge: legs there are, those being opened among them.
    pub open: u64,
    /// Attempts that the server refused.
    pub refused: u64,
    /// Attempts that it did not answer in time.
    pub unanswered: u64,
    /// Attempts not made because its station (MAC address) is not known.
    pub unreachable: u64,
    /// Times there was no source port.
    pub exhausted: u64,
    /// Established legs that the server reset.
    pub resets: u64,
    /// Payload bytes to the server.
    pub bytes_up: u64,
    /// Payload bytes from the server.
    pub bytes_down: u64,
    /// Times it was left out for refusing too often.
    pub ejections: u64,
    /// Health checks that succeeded.
    pub checks_passed: u64,
    /// Health checks that failed.
    pub checks_failed: u64,
    /// From SYN to the handshake's end.
    pub connect_times: Times,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_class_of_the_first_bound_that_holds_it() {
        let mut times = Times::default();
        for us in [0, 100, 101, 2_500_000, 2_500_001] {
            times.add(Duration::from_micros(us));
        }
        assert_eq!((times.classes[0], times.classes[1]), (2, 1));
        assert_eq!((times.classes[13], times.classes[14]), (1, 1));
        assert_eq!(times.sum_us, 5_000_202);
        assert!(BOUNDS_US.is_sorted());
    }
}
