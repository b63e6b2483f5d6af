//! Follows TCP connections passively and cuts their streams into HTTP/1 messages.
//!
//! Pure: no I/O, no clock of its own, nothing of DPDK. Time comes with each call, in nanoseconds.
//!
//! Invariant: whatever is fed, memory stays within the limits given, and each byte of a stream is delivered at most
//! once, in order, or named in a gap.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod connection;
pub mod http;
mod limits;
mod lists;
mod pending;
mod segment;
mod state;
mod stream;
mod summary;
mod tracker;

pub use connection::{Gap, Identity, Sink};
pub use limits::{Counters, Limits, Overlap};
pub use segment::{Buffer, Endpoint, Key, Segment, Side, flags};
pub use state::State;
pub use summary::{Cause, End, Sent, Summary};
pub use tracker::{FlowInfo, Outcome, Tracker};

/// Who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// The side that sent the SYN.
    Client = 0,
    /// The side that answered it.
    Server = 1,
}

impl Direction {
    /// As an index: 0 for the client, 1 for the server.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// Its name in events and listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}
