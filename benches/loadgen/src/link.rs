//! What the generator sends into and receives from: a DPDK port, or a reflector inside of the generator.
//!
//! Invariant: a link never waits; what it has no room for stays with the caller, in order.

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
}

/// The first queues of a port.
pub(crate) struct PortLink {
    pub(crate) rx: RxQueue,
    pub(crate) tx: TxQueue,
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
