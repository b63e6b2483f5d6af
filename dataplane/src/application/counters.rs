//! What the applications of one service did, on one worker.
//!
//! Invariant: plain numbers written by their worker only; nothing here is shared, so counting is
//! an add to memory that is already at hand. Readers get copies the worker publishes.

/// Counters of one service on one worker. All only ever grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppCounters {
    /// TCP payload bytes the application took.
    pub tcp_bytes_in: u64,
    /// TCP payload bytes the application queued.
    pub tcp_bytes_out: u64,
    /// Datagrams the application was given.
    pub udp_datagrams_in: u64,
    /// Payload bytes of those.
    pub udp_bytes_in: u64,
    /// Datagrams the application answered with.
    pub udp_datagrams_out: u64,
    /// Payload bytes of those.
    pub udp_bytes_out: u64,
    /// Answers that could not be sent: no buffer, or longer than the path carries.
    pub udp_replies_refused: u64,
    /// Requests whose head was complete and well formed.
    pub http_requests: u64,
    /// Responses begun, by class: 1xx, 2xx, 3xx, 4xx, 5xx.
    pub http_responses: [u64; 5],
    /// Requests refused with an error that ends the connection: syntax, limits, unknown framing, time.
    pub http_bad_requests: u64,
    /// Connections on which the peer ended in the middle of a request.
    pub http_truncated_requests: u64,
    /// Connections reset because the peer kept sending long after it was refused.
    pub http_drain_aborts: u64,
    /// Requests whose head or body did not come in time (status 408).
    pub http_timeouts: u64,
    /// Connections closed because no request came for too long.
    pub http_idle_closes: u64,
}

impl AppCounters {
    /// How many numbers there are.
    pub const COUNT: usize = 18;

    /// Their names, in the order of [`AppCounters::values`].
    pub const NAMES: [&'static str; Self::COUNT] = [
        "tcp_bytes_in",
        "tcp_bytes_out",
        "udp_datagrams_in",
        "udp_bytes_in",
        "udp_datagrams_out",
        "udp_bytes_out",
        "udp_replies_refused",
        "http_requests",
        "http_responses_1xx",
        "http_responses_2xx",
        "http_responses_3xx",
        "http_responses_4xx",
        "http_responses_5xx",
        "http_bad_requests",
        "http_truncated_requests",
        "http_drain_aborts",
        "http_timeouts",
        "http_idle_closes",
    ];

    /// All the numbers, for a worker to publish without knowing them one by one.
    pub fn values(&self) -> [u64; Self::COUNT] {
        let [r1, r2, r3, r4, r5] = self.http_responses;
        [
            self.tcp_bytes_in,
            self.tcp_bytes_out,
            self.udp_datagrams_in,
            self.udp_bytes_in,
            self.udp_datagrams_out,
            self.udp_bytes_out,
            self.udp_replies_refused,
            self.http_requests,
            r1,
            r2,
            r3,
            r4,
            r5,
            self.http_bad_requests,
            self.http_truncated_requests,
            self.http_drain_aborts,
            self.http_timeouts,
            self.http_idle_closes,
        ]
    }

    pub(super) fn datagram(&mut self, data: &[u8]) {
        self.udp_datagrams_in += 1;
        self.udp_bytes_in += data.len() as u64;
    }

    pub(super) fn replied(&mut self, len: usize, sent: bool) {
        if sent {
            self.udp_datagrams_out += 1;
            self.udp_bytes_out += len as u64;
        } else {
            self.udp_replies_refused += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_line_up() {
        let counters = AppCounters {
            tcp_bytes_in: 1,
            http_responses: [2, 3, 4, 5, 6],
            http_drain_aborts: 7,
            http_idle_closes: 8,
            ..AppCounters::default()
        };
        let of = |name: &str| {
            let at = AppCounters::NAMES.iter().position(|n| *n == name).unwrap();
            counters.values()[at]
        };
        assert_eq!(of("tcp_bytes_in"), 1);
        assert_eq!(of("http_responses_1xx"), 2);
        assert_eq!(of("http_responses_5xx"), 6);
        assert_eq!(of("http_drain_aborts"), 7);
        assert_eq!(of("http_idle_closes"), 8);
        assert_eq!(counters.values().iter().sum::<u64>(), 36);
    }
}
