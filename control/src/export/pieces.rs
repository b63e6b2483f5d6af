//! Messages that come in pieces, until their end.
//!
//! Invariant: all of them together take no more than a number of bytes. Where they would, the body of the oldest that
//! has one is left out. Where heads take half of it, the oldest message is given up: those that never end leave room for
//! the bodies of others. A body never exceeds its own limit.

use std::collections::{BTreeMap, HashMap};

use reassembly::Direction;

use super::FlowKey;

/// The most holes that are listed of a message.
pub(super) const MOST_HOLES: usize = 16;
/// What a message takes beside its bytes, roughly.
const OVERHEAD: usize = 256;

/// A flow and who sends.
pub(super) type Key = (FlowKey, Direction);

/// A message so far.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    begun: u64,
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
    /// Position in the body, and bytes.
    pub(super) holes: Vec<(u64, u64)>,
    pub(super) trailers: Vec<u8>,
    /// Nothing more is added to the body.
    full: bool,
    /// The body was left out for want of memory.
    pub(super) emptied: bool,
}

impl Pieces {
    fn size(&self) -> usize {
        OVERHEAD + self.head.capacity() + self.body.capacity() + self.trailers.capacity()
    }
}

/// What became of messages beside those that were told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Bodies cut at the limit of one body.
    pub cut_limit: u64,
    /// Bodies left out for want of memory.
    pub cut_memory: u64,
    /// Bodies that the ring had no room for, or for part of them.
    pub cut_ring: u64,
    /// Messages whose head was given up for want of memory.
    pub evicted: u64,
    /// Messages without an end.
    pub endless: u64,
}

/// Those of all flows.
pub(super) struct Messages {
    table: HashMap<Key, Pieces>,
    /// By when they began.
    order: BTreeMap<u64, Key>,
    /// Those of them that have a body.
    bodies: BTreeMap<u64, Key>,
    clock: u64,
    bytes: usize,
    /// Those of them that are bodies.
    body_bytes: usize,
    most_bytes: usize,
    most_body: usize,
    pub(super) losses: Losses,
}

impl Messages {
    pub(super) fn new(most_bytes: usize, most_body: usize) -> Self {
        Self {
            table: HashMap::new(),
            order: BTreeMap::new(),
            bodies: BTreeMap::new(),
            clock: 0,
            bytes: 0,
            body_bytes: 0,
            most_bytes,
            most_body,
            losses: Losses::default(),
        }
    }

    /// Bytes kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages kept.
    pub(super) fn count(&self) -> usize {
        self.table.len()
    }

    /// A message begins. One of the same direction that did not end never will.
    pub(super) fn head(&mut self, key: Key, head: &[u8]) {
        self.forget(key);
        self.clock += 1;
        let pieces = Pieces { begun: self.clock, head: head.to_vec(), ..Pieces::default() };
        self.bytes += pieces.size();
        self.order.insert(self.clock, key);
        self.table.insert(key, pieces);
        self.make_room();
    }

    /// More of its body.
    pub(super) fn body(&mut self, key: Key, bytes: &[u8]) {
        let Some(pieces) = self.table.get_mut(&key).filter(|pieces| !pieces.full) else { return };
        let fits = bytes.len().min(self.most_body - pieces.body.len());
        pieces.full = fits < bytes.len();
        let before = pieces.size();
        let Some(bytes) = bytes.get(..fits).filter(|bytes| !bytes.is_empty()) else { return };
        if pieces.body.is_empty() {
            self.bodies.insert(pieces.begun, key);
        }
        pieces.body.extend_from_slice(bytes);
        self.bytes += pieces.size() - before;
        self.body_bytes += pieces.size() - before;
        self.make_room();
    }

    /// Bytes of its body that were never seen.
    pub(super) fn hole(&mut self, key: Key, length: u64) {
        let Some(pieces) = self.table.get_mut(&key).filter(|pieces| !pieces.full) else { return };
        let at = pieces.body.len() as u64;
        let listed = pieces.holes.len();
        match pieces.holes.last_mut() {
            Some((position, missing)) if *position == at => *missing += length,
            _ if listed < MOST_HOLES => pieces.holes.push((at, length)),
            _ => {}
        }
    }

    /// Its trailer section.
    pub(super) fn trailers(&mut self, key: Key, section: &[u8]) {
        let Some(pieces) = self.table.get_mut(&key) else { return };
        let before = pieces.size();
        pieces.trailers.extend_from_slice(section);
        self.bytes += pieces.size() - before;
        self.make_room();
    }

    /// Its end: all that was kept of it; `None` where it was given up.
    pub(super) fn end(&mut self, key: Key) -> Option<Pieces> {
        let pieces = self.remove(key);
        self.losses.evicted += u64::from(pieces.is_none());
        pieces
    }

    /// What has begun will not end.
    pub(super) fn forget(&mut self, key: Key) {
        self.losses.endless += u64::from(self.remove(key).is_some());
    }

    fn remove(&mut self, key: Key) -> Option<Pieces> {
        let pieces = self.table.remove(&key)?;
        self.bytes -= pieces.size();
        self.body_bytes -= pieces.body.capacity();
        self.order.remove(&pieces.begun);
        self.bodies.remove(&pieces.begun);
        Some(pieces)
    }

    fn make_room(&mut self) {
        while self.bytes - self.body_bytes > self.most_bytes / 2 {
            let Some((_, key)) = self.order.first_key_value() else { break };
            self.remove(*key);
        }
        while self.bytes > self.most_bytes {
            let Some((_, key)) = self.bodies.pop_first() else { break };
            let Some(pieces) = self.table.get_mut(&key) else { continue };
            self.bytes -= pieces.body.capacity();
            self.body_bytes -= pieces.body.capacity();
            pieces.body = Vec::new();
            pieces.holes.clear();
            self.losses.cut_memory += 1;
            (pieces.full, pieces.emptied) = (true, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEYS: [Key; 3] =
        [((0, 1), Direction::Client), ((0, 1), Direction::Server), ((1, 1), Direction::Client)];

    #[test]
    fn the_oldest_body_goes_first_and_then_the_oldest_message() {
        let mut messages = Messages::new(10_000, 6_000);
        for key in KEYS {
            messages.head(key, b"GET / HTTP/1.1\r\n\r\n");
        }
        messages.body(KEYS[1], &[1; 4000]);
        messages.body(KEYS[0], &[2; 4000]);
        messages.body(KEYS[2], &[3; 4000]);
        assert_eq!(messages.losses, Losses { cut_memory: 1, ..Losses::default() });
        messages.body(KEYS[0], &[2; 4000]);
        let [first, second, third] = KEYS.map(|key| messages.end(key).unwrap());
        assert_eq!([first.body.len(), second.body.len(), third.body.len()], [0, 4000, 4000]);
        assert_eq!((first.head.len(), messages.bytes(), messages.count()), (18, 0, 0));
        for flow in 0..100 {
            messages.head(((0, flow), Direction::Client), &[b'x'; 744]);
        }
        assert_eq!((messages.count(), messages.losses.evicted), (5, 0), "half of it is for bodies");
        assert!(messages.end(((0, 5), Direction::Client)).is_none(), "given up");
        assert_eq!(messages.losses.evicted, 1);
    }

    #[test]
    fn a_body_stops_at_its_limit_and_so_do_its_holes() {
        let mut messages = Messages::new(1 << 20, 10);
        messages.head(KEYS[0], b"h");
        messages.body(KEYS[0], &[1; 4]);
        messages.hole(KEYS[0], 5);
        messages.hole(KEYS[0], 6);
        messages.body(KEYS[0], &[2; 6]);
        messages.hole(KEYS[0], 7);
        messages.body(KEYS[0], &[3; 1]);
        messages.body(KEYS[0], &[3; 1]);
        messages.hole(KEYS[0], 8);
        let pieces = messages.end(KEYS[0]).unwrap();
        assert_eq!((pieces.body.len(), pieces.holes), (10, vec![(4, 11), (10, 7)]));
        messages.head(KEYS[0], b"h");
        messages.head(KEYS[0], b"h");
        messages.forget(KEYS[0]);
        assert_eq!((messages.losses.endless, messages.bytes()), (2, 0));
        (0..100).for_each(|n| {
            messages.head(KEYS[0], b"h");
            messages.hole(KEYS[0], n);
        });
        messages.body(KEYS[1], b"of no message");
        assert_eq!(messages.count(), 1);
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_nothing_is_left_behind(
            steps in proptest::collection::vec((0..5u8, 0..20u64, any::<bool>(), 0..3000usize), 0..300)
        ) {
            let mut messages = Messages::new(20_000, 5_000);
            for (step, flow, client, length) in steps {
                let key = ((0, flow), if client { Direction::Client } else { Direction::Server });
                let bytes = vec![step; length];
                match step {
                    0 => messages.head(key, &bytes),
                    1 => messages.body(key, &bytes),
                    2 => messages.hole(key, length as u64),
                    3 => messages.trailers(key, &bytes),
                    _ => drop(messages.end(key)),
                }
                prop_assert!(messages.bytes() <= 20_000);
                let sum: usize = messages.table.values().map(Pieces::size).sum();
                prop_assert_eq!(messages.bytes(), sum);
                let bodies: usize = messages.table.values().map(|pieces| pieces.body.capacity()).sum();
                prop_assert_eq!(messages.body_bytes, bodies);
                prop_assert_eq!(messages.order.len(), messages.table.len());
                let with_body = messages.table.values().filter(|pieces| !pieces.body.is_empty()).count();
                prop_assert_eq!(messages.bodies.len(), with_body);
            }
        }
    }
}
