//! What the generator sends into and receives from: a DPDK port, two of them, or a reflector inside of the generator.
//!
//! Invariant: a link never waits; what it has no room for stays with the caller, in order.

use crate::upstream::Servers;
use arrayvec::ArrayVec;
use dpdk_ffi::mbuf::Mbuf;
use dpdk_ffi::queue::{BURST, RxQueue, TxQueue};

/// A burst of received packets.
pub(crate) type Burst = ArrayVec<Mbuf, BURST>;
/// Packets that can wait to be sent.
pub(crate) const BACKLOG: usize = 256;
/// Packets that wait to be sent.
pub(crate) type Queue = ArrayVec<Mbuf, BACKLOG>;

/// A way to Millrace and back.
pub(crate) trait Link {
    /// Appends received packets to `burst`.
    fn receive(&mut self, burst: &mut Burst);
    /// Sends from the front of `queue`; what was sent is gone from it.
    fn send(&mut self, queue: &mut Queue);
    /// What else the generator has to do on this link in a turn; returns how many packets that moved.
    #[inline]
    fn pump(&mut self, _now: u64) -> u64 {
        0
    }
}

/// The first queues of a port.
pub(crate) struct PortLink {
    pub(crate) rx: RxQueue,
    pub(crate) tx: TxQueue,
}

/// Clients' packets go over one link, servers' over another.
pub(crate) struct Across<'a> {
    pub(crate) front: &'a mut PortLink,
    pub(crate) back: &'a mut PortLink,
    pub(crate) servers: Servers,
}

impl Link for Across<'_> {
    #[inline]
    fn receive(&mut self, burst: &mut Burst) {
        self.front.receive(burst);
    }

    #[inline]
    fn send(&mut self, queue: &mut Queue) {
        self.front.send(queue);
    }

    #[inline]
    fn pump(&mut self, now: u64) -> u64 {
        self.servers.turn(self.back, now)
    }
}

impl Link for PortLink {
    #[inline]
    fn receive(&mut self, burst: &mut Burst) {
        self.rx.rx_burst(burst);
    }

    #[inline]
    fn send(&mut self, queue: &mut Queue) {
        self.tx.tx_burst(queue);
    }
}
