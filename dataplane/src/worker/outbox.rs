//! Packets on their way out of one port: collected over a turn, sent in bursts.
//!
//! Invariant: what the port does not take stays at the front, in order, and goes first at the next turn; only
//! when the outbox itself is full is a packet given up, and counted. A port that takes nothing for long (its link is
//! down, its peer is gone) holds nobody back: what is meant for it is given up, and other ports go on.

use crate::report::PortCounters;
use arrayvec::ArrayVec;
use dpdk_ffi::mbuf::Mbuf;
use dpdk_ffi::queue::TxQueue;
use dpdk_ffi::ring::MbufSender;

/// Packets that may wait in an outbox.
const WAITING: usize = 256;
/// Attempts to send after which a port that took nothing counts as stuck.
const PATIENCE: u32 = 10_000;

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
    /// Attempts in a row that sent nothing.
    futile: u32,
}

impl Outbox {
    pub(crate) fn new(exit: Exit, prepare: bool) -> Self {
        Self { exit, prepare, waiting: ArrayVec::new(), futile: 0 }
    }

    /// Whether there is no place for another packet, and waiting will make one.
    #[inline]
    pub(crate) fn is_busy(&self) -> bool {
        self.waiting.is_full() && self.futile < PATIENCE
    }

    /// Places left.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        self.waiting.remaining_capacity()
    }

    /// Gives up what is left at the end.
    pub(crate) fn give_up(&mut self, counters: &mut PortCounters) {
        self.flush(counters);
        counters.tx_dropped += self.waiting.len() as u64;
        Mbuf::free_bulk(&mut self.waiting);
    }

    /// Adds a packet; gives one up where there is no place even after sending.
    #[inline]
    pub(crate) fn push(&mut self, packet: Mbuf, counters: &mut PortCounters) {
        if self.is_busy() {
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
        let waiting = &mut self.waiting;
        let sent = match &mut self.exit {
            Exit::Queue(queue) => {
                if self.prepare {
                    // A packet that the driver cannot send as it asks to be sent would block all behind it.
                    let mut fit = queue.tx_prepare(waiting);
                    while let Some(unfit) = waiting.pop_at(fit) {
                        drop(unfit);
                        counters.tx_dropped += 1;
                        fit = queue.tx_prepare(waiting);
                    }
                }
                let before = bytes(waiting);
                let sent = queue.tx_burst(waiting);
                counters.tx_packets += sent as u64;
                counters.tx_bytes += before - bytes(waiting);
                sent
            }
            // Counted by the worker that owns the queue.
            Exit::Ring(ring) => ring.send_burst(waiting),
        };
        self.futile = if sent > 0 { 0 } else { self.futile.saturating_add(1) };
    }
}

fn bytes(packets: &[Mbuf]) -> u64 {
    packets.iter().map(|mbuf| u64::from(mbuf.pkt_len())).sum()
}
