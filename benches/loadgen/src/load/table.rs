//! All connections, by slot, claimed one after the other and around.
//!
//! Invariant: every slot that is not free lies between `tail` and `head`, which are less than [`SLOTS`] apart; a slot is
//! used again only after all others, so that the peer has forgotten its last connection where it can.

use crate::conn::{Conn, State};
use crate::wire::SLOTS;

/// How far apart the first sequence numbers of two claims are. Around the table this adds up to a quarter of the sequence
/// space, so a slot's next connection begins ahead of its last one, as RFC 6191 wants it.
const ISN_STEP: u32 = 1024;

/// The connections of the generator.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) conns: Vec<Conn>,
    head: u64,
    tail: u64,
    isn: u32,
    live: u32,
}

#[allow(clippy::cast_possible_truncation)]
fn slot(at: u64) -> u32 {
    at as u32 & (SLOTS - 1)
}

impl Table {
    pub(crate) fn new() -> Self {
        Self::starting_at(0)
    }

    /// A table whose first connections take the slots from `first` on: away from those of another table.
    pub(crate) fn starting_at(first: u32) -> Self {
        let first = u64::from(first);
        Self { conns: vec![Conn::default(); SLOTS as usize], head: first, tail: first, isn: 1, live: 0 }
    }

    /// Puts a new connection into the next slot; none when the table has gone around to one that is still in use.
    #[inline]
    pub(crate) fn claim(&mut self, intended: u64) -> Option<(u32, &mut Conn)> {
        if self.head - self.tail >= u64::from(SLOTS) {
            return None;
        }
        let slot = slot(self.head);
        self.head += 1;
        self.live += 1;
        self.isn = self.isn.wrapping_add(ISN_STEP);
        let conn = &mut self.conns[slot as usize];
        *conn = Conn::opening(self.isn, intended);
        Some((slot, conn))
    }

    /// Frees a slot.
    #[inline]
    pub(crate) fn free(&mut self, slot: u32) {
        let conn = &mut self.conns[slot as usize];
        if conn.state != State::Free {
            conn.state = State::Free;
            self.live -= 1;
        }
    }

    /// Connections that are not over.
    #[inline]
    pub(crate) fn live(&self) -> u32 {
        self.live
    }

    /// Leaves free slots behind, at most `most` of them, and returns where the used ones begin and end.
    #[inline]
    pub(crate) fn used(&mut self, most: u32) -> (u64, u64) {
        for _ in 0..most {
            if self.tail == self.head || self.conns[slot(self.tail) as usize].state != State::Free {
                break;
            }
            self.tail += 1;
        }
        (self.tail, self.head)
    }

    /// The slot at a place from [`Self::used`].
    #[inline]
    pub(crate) fn at(&self, place: u64) -> u32 {
        slot(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_in_turn_and_never_twice() {
        let mut table = Table::new();
        assert_eq!(table.claim(1).unwrap().0, 0);
        assert_eq!(table.claim(1).unwrap().0, 1);
        table.free(1);
        table.free(1);
        assert_eq!((table.live(), table.used(10)), (1, (0, 2)));
        for _ in 2..SLOTS {
            table.claim(1).unwrap();
        }
        assert!(table.claim(1).is_none(), "slot 0 is in use");
        table.free(0);
        assert_eq!(table.used(10), (2, u64::from(SLOTS)));
        assert_eq!(table.claim(1).unwrap().0, 0);
    }

    #[test]
    fn a_slots_next_connection_begins_ahead_of_its_last() {
        let mut table = Table::new();
        let first = table.claim(1).unwrap().1.nxt;
        table.free(0);
        for n in 1..SLOTS {
            table.claim(1).unwrap();
            table.free(n);
            table.used(1);
        }
        table.used(10);
        let (slot, conn) = table.claim(1).unwrap();
        assert_eq!(slot, 0);
        assert!(conn.nxt.wrapping_sub(first).cast_signed() > 0);
    }
}
