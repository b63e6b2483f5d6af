//! Packets on their way out: buffers fetched a burst at a time, sent a burst at a time.
//!
//! Invariant: new operations begin only while there is [`Outbox::room`], so what the link does not take holds the
//! generator back instead of being lost. Answers to what was received may use the rest; what does not fit even there is
//! left to the retransmission timer. Filling goes out only where the link has taken everything else.

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
    /// What fills the room the queue leaves on the link.
    filling: Queue,
    /// Packets of the queue the link took.
    pub(crate) sent: u64,
    /// Packets of the filling the link took.
    pub(crate) filled: u64,
    /// Flushes after which the link had left something over.
    pub(crate) held_back: u64,
}

impl Outbox {
    pub(crate) fn new(pool: Mempool) -> Self {
        let (fresh, queue, filling) = (ArrayVec::new(), ArrayVec::new(), ArrayVec::new());
        Self { pool, fresh, queue, filling, sent: 0, filled: 0, held_back: 0 }
    }

    /// How many packets may be added for new operations.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        PRESSURE.saturating_sub(self.queue.len())
    }

    /// How many packets of filling may be added.
    #[inline]
    pub(crate) fn unfilled(&self) -> usize {
        PRESSURE.saturating_sub(self.filling.len())
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

    /// Adds a segment from any address and port to the filling.
    #[inline]
    pub(crate) fn fill(&mut self, template: &Template, source: (u32, u16), seq: u32) {
        if self.filling.len() < BACKLOG
            && let Some(mbuf) = self.written(|room| template.write_segment_of(room, source, seq, 0))
        {
            self.filling.push(mbuf);
        }
    }

    /// Gives up the filling that was not sent.
    pub(crate) fn empty(&mut self) {
        self.filling.clear();
    }

    /// Queues a packet that came, made into its answer; false when there is no place for it.
    #[inline]
    pub(crate) fn pass(&mut self, mbuf: Mbuf) -> bool {
        let has_room = self.queue.len() < BACKLOG;
        if has_room {
            self.queue.push(mbuf);
        }
        has_room
    }

    /// Whether there is place for `n` packets.
    #[inline]
    pub(crate) fn takes(&self, n: usize) -> bool {
        self.queue.len() + n <= BACKLOG
    }

    /// Queues what `write` writes, of the length it returns; false when there is no place for it.
    #[inline]
    pub(crate) fn push(&mut self, write: impl FnOnce(&mut [u8]) -> u16) -> bool {
        if self.queue.len() < BACKLOG
            && let Some(mbuf) = self.written(write)
        {
            self.queue.push(mbuf);
            return true;
        }
        false
    }

    #[inline]
    fn written(&mut self, write: impl FnOnce(&mut [u8]) -> u16) -> Option<Mbuf> {
        if self.fresh.is_empty() {
            self.pool.alloc_bulk(&mut self.fresh, BURST);
        }
        let mut mbuf = self.fresh.pop()?;
        let length = write(mbuf.room_mut());
        mbuf.set_len(length);
        Some(mbuf)
    }

    /// Gives the link what it takes; returns how many packets that were.
    #[inline]
    pub(crate) fn flush(&mut self, link: &mut impl Link) -> u64 {
        let sent = give(link, &mut self.queue);
        self.sent += sent;
        let mut filled = 0;
        if self.queue.is_empty() {
            filled = give(link, &mut self.filling);
            self.filled += filled;
        }
        self.held_back += u64::from(!self.queue.is_empty() || !self.filling.is_empty());
        sent + filled
    }
}

#[inline]
fn give(link: &mut impl Link, queue: &mut Queue) -> u64 {
    if queue.is_empty() {
        return 0;
    }
    let before = queue.len();
    link.send(queue);
    (before - queue.len()) as u64
}
