//! Packets on their way out: buffers fetched a burst at a time, sent a burst at a time.
//!
//! Invariant: new operations begin only while there is [`Outbox::room`], so what the link does not take holds the
//! generator back instead of being lost. Answers to what was received may use the rest; what does not fit even there is
//! left to the retransmission timer.

use crate::link::{BACKLOG, Link, Queue};
use crate::template::Template;
use arrayvec::ArrayVec;
use dpdk_ffi::mbuf::Mbuf;
use dpdk_ffi::mempool::Mempool;
use dpdk_ffi::queue::BURST;

/// Packets that wait before no new operation begins.
const PRESSURE: usize = 64;

pub(crate) struct Outbox {
    pool: Mempool,
    fresh: ArrayVec<Mbuf, BURST>,
    queue: Queue,
    /// Flushes after which the link had left something over.
    pub(crate) held_back: u64,
}

impl Outbox {
    pub(crate) fn new(pool: Mempool) -> Self {
        Self { pool, fresh: ArrayVec::new(), queue: ArrayVec::new(), held_back: 0 }
    }

    /// How many packets may be added for new operations.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        PRESSURE.saturating_sub(self.queue.len())
    }

    /// Queues a segment.
    #[inline]
    pub(crate) fn segment(&mut self, template: &Template, slot: u32, seq: u32, ack: u32) {
        self.push(|room| template.write_segment(room, slot, seq, ack));
    }

    /// Queues a datagram; false when there is no place for it.
    #[inline]
    pub(crate) fn datagram(&mut self, template: &Template, slot: u32, stamp: u64) -> bool {
        self.push(|room| template.write_datagram(room, slot, stamp))
    }

    #[inline]
    fn push(&mut self, write: impl FnOnce(&mut [u8]) -> u16) -> bool {
        if self.fresh.is_empty() {
            self.pool.alloc_bulk(&mut self.fresh, BURST);
        }
        if self.queue.len() < BACKLOG
            && let Some(mut mbuf) = self.fresh.pop()
        {
            let length = write(mbuf.room_mut());
            mbuf.set_len(length);
            self.queue.push(mbuf);
            return true;
        }
        false
    }

    /// Gives the link what it takes; returns how many packets that were.
    #[inline]
    pub(crate) fn flush(&mut self, link: &mut impl Link) -> u64 {
        if self.queue.is_empty() {
            return 0;
        }
        let before = self.queue.len();
        link.send(&mut self.queue);
        let sent = (before - self.queue.len()) as u64;
        self.held_back += u64::from(!self.queue.is_empty());
        sent
    }
}
