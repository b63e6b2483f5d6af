//! What direct connections have sent and may have to send again: one short buffer each, from a pool.
//!
//! Invariant: a slot belongs to one connection from [`Held::take`] to [`Held::release`], and the last one released is
//! the next one taken, so a few slots that are warm serve many connections in turn. The bytes of a slot begin with
//! the connection's oldest unacknowledged one.

use crate::time::Instant;

/// Bytes one connection may have under way without a stack. All of it may leave at once: with segments of common size
/// it is no more than the initial window of the most cautious sender (RFC 5681 section 3.1).
const ROOM: usize = 4096;

/// From one slot's bytes to the next one's: an odd number of cache lines, so that not all fronts fall into the same
/// few sets.
const STRIDE: usize = ROOM + 64;

/// What is known of the bytes in one slot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Under {
    /// Where the first byte lies.
    pub(crate) from: u16,
    /// How many there are.
    pub(crate) len: u16,
    /// How far they went out since sending last began with the first one; a FIN counts as one more.
    pub(crate) sent: u16,
    /// How far the peer has to get, see [`crate::pace`]; 0 where nobody has looked.
    pub(crate) target: u32,
    /// See [`crate::waits::word`]; of the last call only.
    pub(crate) word: u32,
    /// When the first of them was sent last.
    pub(crate) sent_at: Instant,
    /// Since when something waits to be acknowledged.
    pub(crate) busy_since: Instant,
}

/// The slots of one engine.
#[derive(Debug)]
pub(crate) struct Held {
    slots: Vec<Under>,
    free: Vec<u32>,
    bytes: Vec<u8>,
    limit: usize,
    room: usize,
}

impl Held {
    /// Room for `limit` connections, for each no more than a stack's transmit ring has; untouched pages of it cost
    /// nothing.
    pub(crate) fn new(limit: usize, ring: usize) -> Self {
        Self {
            room: ROOM.min(ring),
            slots: Vec::with_capacity(limit),
            free: Vec::with_capacity(limit),
            bytes: vec![0; limit * STRIDE],
            limit,
        }
    }

    /// Slots in use.
    pub(crate) fn used(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes an empty slot; `None` where all are taken.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<u32> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots.len() < self.limit => {
                self.slots.push(Under::default());
                (self.slots.len() - 1) as u32
            }
            None => return None,
        };
        self.slots[slot as usize] = Under::default();
        Some(slot)
    }

    #[inline]
    pub(crate) fn release(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// Whether [`Held::take`] would find one.
    pub(crate) fn has_room(&self) -> bool {
        self.used() < self.limit
    }

    /// The slot that was released last.
    pub(crate) fn last_released(&self) -> Option<u32> {
        self.free.last().copied()
    }

    #[inline]
    pub(crate) fn under(&mut self, slot: u32) -> &mut Under {
        &mut self.slots[slot as usize]
    }

    /// A slot with its whole room.
    #[inline]
    pub(crate) fn get(&mut self, slot: u32) -> (&mut Under, &mut [u8]) {
        let at = slot as usize * STRIDE;
        (&mut self.slots[slot as usize], &mut self.bytes[at..at + self.room])
    }

    /// Bytes there is room for in a slot.
    #[inline]
    pub(crate) fn free(&self, slot: u32) -> usize {
        self.room - usize::from(self.slots[slot as usize].len)
    }

    /// The bytes of a slot.
    #[inline]
    pub(crate) fn bytes(&self, slot: u32) -> &[u8] {
        let Under { from, len, .. } = self.slots[slot as usize];
        let at = slot as usize * STRIDE + usize::from(from);
        &self.bytes[at..at + usize::from(len)]
    }
}

impl Under {
    /// Drops `acked` bytes from the front; a FIN among them is the caller's.
    #[inline]
    pub(crate) fn acknowledge(&mut self, acked: u32) {
        let data = acked.min(u32::from(self.len)) as u16;
        self.from += data;
        self.len -= data;
        self.sent = u32::from(self.sent).saturating_sub(acked) as u16;
    }

    /// The free room behind the bytes of a slot, all of it in one piece: they are moved to the front for it.
    #[inline]
    pub(crate) fn room<'a>(&mut self, bytes: &'a mut [u8]) -> &'a mut [u8] {
        if self.from != 0 {
            let (from, len) = (usize::from(self.from), usize::from(self.len));
            bytes.copy_within(from..from + len, 0);
            self.from = 0;
        }
        &mut bytes[usize::from(self.len)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_a_queue_of_bytes() {
        let mut held = Held::new(2, 1 << 16);
        let slot = held.take().unwrap_or(9);
        assert_eq!((held.take(), held.take(), held.used()), (Some(1), None, 2));
        let put = |held: &mut Held, bytes: &[u8]| {
            let (under, all) = held.get(slot);
            let room = under.room(all);
            let len = bytes.len().min(room.len());
            room[..len].copy_from_slice(&bytes[..len]);
            under.len += len as u16;
            len
        };
        assert_eq!(put(&mut held, b"hello world"), 11);
        held.under(slot).sent = 11;
        held.under(slot).acknowledge(6);
        assert_eq!(held.under(slot).sent, 5);
        assert_eq!(held.bytes(slot), b"world");
        assert_eq!(put(&mut held, &[b'x'; 2 * ROOM]), ROOM - 5, "room is what is not used");
        assert!(held.bytes(slot).starts_with(b"worldx"));
        // A FIN behind the data.
        held.under(slot).acknowledge(ROOM as u32 + 1);
        assert_eq!(held.under(slot).sent, 0);
        assert_eq!(held.bytes(slot), b"");
        held.release(slot);
        assert_eq!(
            (held.used(), held.take()),
            (1, Some(slot)),
            "the last one released is the next one taken"
        );
    }
}
