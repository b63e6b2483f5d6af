//! What a worker knows of each port: its MAC address, its networks, what its NIC does by itself.
//!
//! Invariant: one entry per port, in the order of port numbers, the same on every worker; nothing here changes
//! while the port runs.

use crate::neighbour::{Mac, Owned};
use crate::settings::Steering;
use l3l4::Addr;

/// One VLAN of a port, or its untagged side.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) vlan: u16,
    pub(crate) owned: Owned,
    pub(crate) any_ip: bool,
}

impl Segment {
    /// Whether a packet for `addr` is for us: an address of ours, or, with `any_ip`, one that can only have been
    /// routed here.
    #[inline]
    pub(crate) fn takes(&self, addr: Addr) -> bool {
        self.owned.owns(addr) || self.any_ip && !self.owned.on_link(addr)
    }
}

/// One port.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) mac: Mac,
    pub(crate) steering: Steering,
    /// Its frames are copies of what others say to each other: they are followed, and nothing is ever sent here.
    pub(crate) mirror: bool,
    pub(crate) segments: Vec<Segment>,
    /// The NIC fills in checksums.
    pub(crate) checksum_offload: bool,
    /// The NIC puts VLAN tags on.
    pub(crate) vlan_insert: bool,
}

impl Side {
    /// The network of a VLAN, or `None` where the port is not on it.
    #[inline]
    pub(crate) fn segment(&self, vlan: u16) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.vlan == vlan)
    }
}
