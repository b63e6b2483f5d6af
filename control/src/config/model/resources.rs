//! Bounds: memory, tables, rates, and what a worker does with time to spare.
//!
//! Invariant: everything that grows at run time has its bound here.

use std::time::Duration;

use crate::config::Auto;
use crate::config::section::{choice, section};
use crate::config::spec::default;
use crate::config::units::{Size, micros, millis, seconds};
use crate::config::value::Value;

section! {
    /// Packet buffers. Every worker has a pool of its own.
    pub struct Mempool {
        /// Buffers of each worker's pool.
        "mbufs" mbufs: u32 = default(8192).range(512..=4_194_304);
        /// Buffers kept in a worker's cache in front of its pool.
        "cache" cache: u32 = default(256).range(0..=512);
        /// Bytes of each buffer, headroom included. `auto`: fits the largest MTU.
        "data_room" data_room: Auto<Size> = default(Auto::Auto).range(1024..=16_384);
    }

    /// Bounds of everything that grows. Counts are per worker unless they say otherwise.
    pub struct Limits {
        /// Flows of a worker, TCP and UDP together; UDP may take at most half. Reaching it refuses new flows.
        "flows" flows: u32 = default(65_536).range(16..=8_388_608);
        /// TCP flows of a worker that have a stack and buffers; the others sleep until there is something to do. The default is not more than `flows`.
        "live" live: u32 = default(65_536).range(16..=1_048_576);
        /// TCP flows of a worker whose handshake is not finished. The default is not more than `flows`.
        "half_open" half_open: u32 = default(8192).range(16..=8_388_608);
        /// Those among them that come from one source (an IPv4 address or an IPv6 /64), roughly; 0 for no limit. What is more is answered by SYN cookies.
        "half_open_per_source" half_open_per_source: u32 = default(256).range(0..=65_535);
        /// Neighbours (ARP and ND), in one table for all workers. Rounded up to a power of two.
        "neighbours" neighbours: u32 = default(4096).range(16..=65_536);
        /// Datagrams a worker reassembles at a time.
        "fragments" fragments: u32 = default(64).range(0..=65_536);
        /// How long a datagram may take to become complete.
        "fragment_timeout" fragment_timeout: Duration = default(Duration::from_secs(30)).range(seconds(1)..=seconds(120));
        /// TCP resets a worker sends in a second.
        "rst_per_second" rst_per_second: u32 = default(1000).range(0..=1_000_000).live();
        /// ICMP and ICMPv6 errors a worker sends in a second.
        "icmp_per_second" icmp_per_second: u32 = default(100).range(0..=1_000_000).live();
        /// Challenge ACKs (RFC 5961) a worker sends in a second.
        "challenge_acks_per_second" challenge_acks_per_second: u32 = default(1000).range(0..=1_000_000).live();
        /// Sessions on the admin socket at a time, for the whole daemon.
        "admin_sessions" admin_sessions: u32 = default(16).range(1..=1024);
        /// Slots of the ring on which a worker gets packets from another one. A power of two.
        "steering_ring" steering_ring: u32 = default(1024).range(64..=65_536);
    }
}

impl Limits {
    /// What `half_open` and `live` are where they are not given: their defaults, but not more than `flows`.
    #[must_use]
    pub fn derived(&self) -> [(&'static str, u32); 2] {
        let default = Self::placeholder();
        [("half_open", default.half_open.min(self.flows)), ("live", default.live.min(self.flows))]
    }

    /// The value of one of [`Limits::derived`].
    pub fn derived_mut(&mut self, key: &str) -> &mut u32 {
        if key == "live" { &mut self.live } else { &mut self.half_open }
    }
}

choice! {
    /// What a worker does when there are no packets.
    pub enum IdleMode {
        /// Sleeps a little longer with each empty turn.
        Adaptive = "adaptive",
        /// Polls without pause: lowest latency, a whole CPU each.
        Busy = "busy",
    }
}

section! {
    /// What a worker does when there are no packets.
    pub struct Idle {
        /// `adaptive` sleeps a little longer with each empty turn, `busy` polls without pause.
        "mode" mode: IdleMode = default(IdleMode::Adaptive);
        /// Empty turns before the first sleep. Unused when busy.
        "spin_turns" spin_turns: u32 = default(1024).range(1..=10_000_000);
        /// The longest sleep; adds to the latency of the first packet. Unused when busy.
        "max_sleep" max_sleep: Duration = default(Duration::from_micros(100)).range(micros(1)..=millis(10));
    }
}
