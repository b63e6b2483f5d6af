//! Observation: following connections, and telling what is seen in them as events.
//!
//! A `Follower` follows packets passively; a `Teller` turns what is seen in a connection, however it is seen, into
//! records for the exporter. [`Offline`] is a follower without ports: for packets of a file.
//!
//! Invariant: nothing here is ever sent to anybody in a flow, and nothing waits: what finds no room is counted.

mod follower;
mod offline;
mod teller;
#[cfg(test)]
mod tests;

pub(crate) use follower::{Follower, Packet, ring};
pub use offline::{LinkType, Offline, OfflineCounters};
pub use reassembly::http::Counters as HttpCounters;
pub use reassembly::{
    Counters as FollowCounters, Limits as FollowLimits, Overlap, http::Limits as HttpLimits,
};
pub(crate) use teller::{Observed, Teller};

/// What is told of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Level {
    /// Nothing.
    #[default]
    None,
    /// That it begins, ends and lacks bytes.
    Flow,
    /// Also the messages of HTTP in it.
    Http,
    /// Also the bytes of its streams, but no messages.
    Tcp,
    /// All of it.
    All,
}

impl Level {
    const fn http(self) -> bool {
        matches!(self, Self::Http | Self::All)
    }

    const fn data(self) -> bool {
        matches!(self, Self::Tcp | Self::All)
    }
}

/// What bounds observation on one worker.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObserveSettings {
    /// Following.
    pub follow: FollowLimits,
    /// Reading HTTP.
    pub http: HttpLimits,
    /// Bytes of a body that are told.
    pub body: u64,
    /// Followed segments with a wrong checksum are dropped; else checksums are not looked at.
    pub verify_checksums: bool,
    /// Bytes of the ring to the exporter; `None` where nobody wants to know.
    pub ring: Option<usize>,
}

/// What one worker counted of what it observes. All only ever grow.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObserveCounters {
    /// Connections followed passively.
    pub follow: FollowCounters,
    /// Messages of HTTP.
    pub http: HttpCounters,
    /// Flows that end here and should have been observed, but there were too many.
    pub taps_refused: u64,
    /// Events.
    pub events: crate::event::EventCounters,
}

/// How full what is bounded is on one worker.
#[derive(Clone, Copy, Debug, Default)]
pub struct ObserveGauges {
    /// Connections followed, those remembered after their end included.
    pub flows: u64,
    /// Connections followed whose handshake is not complete.
    pub half_open: u64,
    /// Flows that end here and are observed.
    pub taps: u64,
    /// Segments held because something before them is missing.
    pub held: u64,
    /// Bytes of partial heads of messages.
    pub http_held: u64,
}
