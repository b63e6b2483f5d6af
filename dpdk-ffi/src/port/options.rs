//! What a port is asked for, and what it then has.
//!
//! Invariant: requests are wishes. A port that lacks an offload or an RSS type works without it, and [`Effective`] says so;
//! only what it cannot work without (queues, MTU) is an error.

use crate::offload::{RxOffloads, TxOffloads};
use crate::rss::RssTypes;

/// Options of [`Port::configure`](super::Port::configure).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortOptions {
    /// Receive queues.
    pub rx_queues: u16,
    /// Transmit queues.
    pub tx_queues: u16,
    /// Descriptors of a receive queue, moved to the nearest number the port takes. 0: the driver's choice.
    pub rx_descriptors: u16,
    /// Descriptors of a transmit queue, likewise.
    pub tx_descriptors: u16,
    /// Largest IP packet in bytes (without Ethernet header).
    pub mtu: u16,
    /// Receive frames for every address.
    pub promiscuous: bool,
    /// Receive every multicast frame.
    pub all_multicast: bool,
    /// Spread flows over the receive queues.
    pub rss: Option<RssRequest>,
    /// Work to leave to the port.
    pub offloads: OffloadRequest,
}

impl Default for PortOptions {
    fn default() -> Self {
        Self {
            rx_queues: 1,
            tx_queues: 1,
            rx_descriptors: 1024,
            tx_descriptors: 1024,
            mtu: 1500,
            promiscuous: false,
            all_multicast: false,
            rss: None,
            offloads: OffloadRequest::default(),
        }
    }
}

/// How to spread flows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RssRequest {
    /// The hash key. A port that wants another length gets the key repeated or cut (see [`RssEffective::key`]).
    pub key: Vec<u8>,
    /// What to hash; reduced to what the port offers.
    pub types: RssTypes,
}

/// Work to leave to the port where it offers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools)]
pub struct OffloadRequest {
    /// Check IPv4, TCP and UDP checksums on receive.
    pub rx_checksum: bool,
    /// Fill in IPv4, TCP and UDP checksums on send.
    pub tx_checksum: bool,
    /// Take VLAN tags off received frames.
    pub vlan_strip: bool,
    /// Put VLAN tags into sent frames.
    pub vlan_insert: bool,
    /// Receive frames longer than one buffer.
    pub scatter: bool,
    /// Cut large TCP segments.
    pub tso: bool,
    /// Send packets in several segments.
    pub multi_segs: bool,
    /// Free sent mbufs without looking at each. Takes effect only without `multi_segs` and when all receive queues use one
    /// and the same pool; packets from other pools are then refused by [`TxQueue::tx_burst`](crate::queue::TxQueue::tx_burst).
    pub mbuf_fast_free: bool,
}

impl OffloadRequest {
    pub(super) fn rx(&self) -> RxOffloads {
        let checksums = RxOffloads::IPV4_CHECKSUM | RxOffloads::TCP_CHECKSUM | RxOffloads::UDP_CHECKSUM;
        let mut wanted = RxOffloads::empty();
        for (asked, set) in [
            (self.rx_checksum, checksums),
            (self.vlan_strip, RxOffloads::VLAN_STRIP),
            (self.scatter, RxOffloads::SCATTER),
        ] {
            wanted |= if asked { set } else { RxOffloads::empty() };
        }
        wanted
    }

    pub(super) fn tx(&self) -> TxOffloads {
        let checksums = TxOffloads::IPV4_CHECKSUM | TxOffloads::TCP_CHECKSUM | TxOffloads::UDP_CHECKSUM;
        let mut wanted = TxOffloads::empty();
        for (asked, set) in [
            (self.tx_checksum, checksums),
            (self.vlan_insert, TxOffloads::VLAN_INSERT),
            (self.tso, TxOffloads::TCP_TSO),
            (self.multi_segs, TxOffloads::MULTI_SEGS),
            (self.mbuf_fast_free, TxOffloads::MBUF_FAST_FREE),
        ] {
            wanted |= if asked { set } else { TxOffloads::empty() };
        }
        wanted
    }
}

/// What a port has after configuration. MTU, promiscuous, all-multicast and RSS are final once it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Receive queues.
    pub rx_queues: u16,
    /// Transmit queues.
    pub tx_queues: u16,
    /// Descriptors per receive queue.
    pub rx_descriptors: u16,
    /// Descriptors per transmit queue.
    pub tx_descriptors: u16,
    /// MTU as the port reports it.
    pub mtu: u16,
    /// Receives frames for every address.
    pub promiscuous: bool,
    /// Receives every multicast frame.
    pub all_multicast: bool,
    /// Receive offloads.
    pub rx_offloads: RxOffloads,
    /// Transmit offloads.
    pub tx_offloads: TxOffloads,
    /// How flows are spread, or none when the port cannot.
    pub rss: Option<RssEffective>,
}

/// How a port spreads flows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RssEffective {
    /// What it hashes.
    pub types: RssTypes,
    /// The key it was given, in the length it wants; empty when it takes none.
    pub key: Vec<u8>,
    /// Its redirection table (hash modulo length picks the queue); empty when it cannot be set.
    pub reta: Vec<u16>,
    /// Key and table were read back and equal what was set. A virtual driver may keep them and yet not hash by them
    /// (net_null does), so check the steering of what arrives where it matters.
    pub verified: bool,
}
