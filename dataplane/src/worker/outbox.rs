//! Packets on their way out of one port: collected over a turn, sent in bursts.
//!
//! Invariant: what the port does not take stays at the front, in order, and goes first at the next turn; only
//! when the outbox itself is full is a packet given up, and counted.

use crate::report::PortCounters;
use arrayvec::ArrayVec;
use dpdk_ffi::mbuf::Mbuf;
use dpdk_ffi::queue::TxQueue;
use dpdk_ffi::ring::MbufSender;

/// Packets that may wait in an outbox.
const WAITING: usize = 256;

/// The way to the port.
pub(crate) enum Exit {
    /// A transmit queue of this worker's own.
    Queue(TxQueue),
    /// The port has fewer queues than there are workers: a ring to a worker that has one.
    Ring(MbufSender),
}

/// Packets on their way out of one port.
pub(crate) struct Outbox {
    exit: Exit,
    /// Packets may carry requests to the NIC, which the driver wants to see first.
    prepare: bool,
    waiting: ArrayVec<Mbuf, WAITING>,
}

impl Outbox {
    pub(crate) fn new(exit: Exit, prepare: bool) -> Self {
        Self { exit, prepare, waiting: ArrayVec::new() }
    }

    /// Whether there is no place for another packet.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.is_full()
    }

    /// Adds a packet; gives one up where there is no place even after sending.
    #[inline]
    pub(crate) fn push(&mut self, packet: Mbuf, counters: &mut PortCounters) {
        if self.waiting.is_full() {
            self.flush(counters);
        }
        if let Err(refused) = self.waiting.try_push(packet) {
            counters.tx_dropped += 1;
            drop(refused);
        }
    }

    /// Sends what the port takes.
    #[inline]
    pub(crate) fn flush(&mut self, counters: &mut PortCounters) {
        if self.waiting.is_empty() {
            return;
        }
        match &mut self.exit {
            Exit::Queue(queue) => {
                if self.prepare {
                    let fit = queue.tx_prepare(&mut self.waiting);
                    if fit == 0 {
                        // The driver cannot send the first one as it asks to be sent; it would block all behind.
                        counters.tx_dropped += 1;
                        drop(self.waiting.remove(0));
                        return;
                    }
                }
                let bytes: u64 = self.waiting.iter().map(|m| u64::from(m.pkt_len())).sum();
                let sent = queue.tx_burst(&mut self.waiting);
                let left: u64 = self.waiting.iter().map(|m| u64::from(m.pkt_len())).sum();
                counters.tx_packets += sent as u64;
                counters.tx_bytes += bytes - left;
            }
            // Counted by the worker that owns the queue.
            Exit::Ring(ring) => {
                ring.send_burst(&mut self.waiting);
            }
        }
    }
}
