//! Segments that came before their turn: held by reference, in a sorted list for each stream.
//!
//! Invariant: as many as there are places, taken once at the start; every list is sorted by offset, and a place is in one
//! list or free.

use crate::limits::Overlap;
use crate::segment::Buffer;

/// No place.
const NONE: u32 = u32::MAX;

struct Held<B> {
    /// Of its first byte in the stream.
    offset: u64,
    begin: u16,
    end: u16,
    /// Counts up: who came first?
    arrival: u64,
    /// When it came.
    time: u64,
    buffer: B,
}

impl<B: Buffer> Held<B> {
    fn stop(&self) -> u64 {
        self.offset + u64::from(self.end - self.begin)
    }

    /// The bytes from one offset to another, both within it.
    fn bytes(&self, from: u64, to: u64) -> &[u8] {
        let at = |offset: u64| usize::from(self.begin) + (offset - self.offset) as usize;
        self.buffer.bytes().get(at(from)..at(to)).unwrap_or_default()
    }
}

struct Place<B> {
    held: Option<Held<B>>,
    previous: u32,
    next: u32,
}

/// The list of one stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    first: u32,
    last: u32,
    /// Segments in it.
    pub(crate) len: u32,
    /// Their payload bytes.
    pub(crate) bytes: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { first: NONE, last: NONE, len: 0, bytes: 0 }
    }
}

/// What an insertion found.
#[derive(Default, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overlapped {
    /// Bytes that were held already, counted for each segment that held them.
    pub(crate) bytes: u64,
    /// Those of them that differ.
    pub(crate) conflicts: u64,
}

/// All places.
pub(crate) struct Pending<B> {
    places: Vec<Place<B>>,
    free: u32,
    most: usize,
    in_use: usize,
    arrivals: u64,
}

impl<B: Buffer> Pending<B> {
    pub(crate) fn new(most: usize) -> Self {
        Self { places: Vec::with_capacity(most), free: NONE, most, in_use: 0, arrivals: 0 }
    }

    pub(crate) fn in_use(&self) -> usize {
        self.in_use
    }

    pub(crate) fn is_full(&self) -> bool {
        self.in_use >= self.most
    }

    fn held(&self, place: u32) -> Option<&Held<B>> {
        self.places.get(place as usize)?.held.as_ref()
    }

    fn next(&self, place: u32) -> u32 {
        self.places.get(place as usize).map_or(NONE, |place| place.next)
    }

    /// Offset of the first segment in the list.
    pub(crate) fn front(&self, list: &List) -> Option<u64> {
        self.held(list.first).map(|held| held.offset)
    }

    /// When the first segment in the list came.
    pub(crate) fn front_time(&self, list: &List) -> Option<u64> {
        self.held(list.first).map(|held| held.time)
    }

    /// Holds a segment that came at `time`, of which bytes `begin..end` of the buffer are the payload; there must be a free
    /// place.
    pub(crate) fn insert(
        &mut self,
        list: &mut List,
        time: u64,
        offset: u64,
        (begin, end): (u16, u16),
        buffer: B,
    ) -> Overlapped {
        self.arrivals += 1;
        let new = Held { offset, begin, end, arrival: self.arrivals, time, buffer };
        let mut found = Overlapped::default();
        // From the end: segments mostly come in order behind the hole.
        let mut before = list.last;
        while let Some(held) = self.held(before) {
            if held.offset <= offset {
                break;
            }
            found.add(held, &new);
            before = self.places[before as usize].previous;
        }
        // Those in front may reach into it, too, as far as a segment can be long.
        let mut at = before;
        while let Some(held) = self.held(at).filter(|held| held.offset + u64::from(u16::MAX) > offset) {
            found.add(held, &new);
            at = self.places[at as usize].previous;
        }
        list.len += 1;
        list.bytes += u32::from(end - begin);
        self.link(list, before, new);
        found
    }

    /// Puts a segment into a place of its own behind `before`.
    fn link(&mut self, list: &mut List, before: u32, held: Held<B>) {
        let after = if before == NONE { list.first } else { self.next(before) };
        let place = Place { held: Some(held), previous: before, next: after };
        let index = if self.free == NONE {
            self.places.push(place);
            self.places.len() as u32 - 1
        } else {
            let index = self.free;
            self.free = self.next(index);
            self.places[index as usize] = place;
            index
        };
        self.in_use += 1;
        match self.places.get_mut(before as usize) {
            Some(place) => place.next = index,
            None => list.first = index,
        }
        match self.places.get_mut(after as usize) {
            Some(place) => place.previous = index,
            None => list.last = index,
        }
    }

    /// Lets go of the first segment.
    fn pop(&mut self, list: &mut List) {
        let Some(place) = self.places.get_mut(list.first as usize) else { return };
        let index = list.first;
        let bytes = place.held.take().map_or(0, |held| u32::from(held.end - held.begin));
        list.first = core::mem::replace(&mut place.next, self.free);
        self.free = index;
        self.in_use -= 1;
        list.len -= 1;
        list.bytes -= bytes;
        match self.places.get_mut(list.first as usize) {
            Some(place) => place.previous = NONE,
            None => list.last = NONE,
        }
    }

    /// Gives `deliver` what follows offset `next` without a hole, piece by piece, until there is a hole or `deliver`
    /// has had `until`; returns the offset behind it.
    pub(crate) fn sweep(
        &mut self,
        list: &mut List,
        mut next: u64,
        until: u64,
        overlap: Overlap,
        mut deliver: impl FnMut(u64, &[u8]),
    ) -> u64 {
        loop {
            while self.held(list.first).is_some_and(|held| held.stop() <= next) {
                self.pop(list);
            }
            let Some((winner, stop)) = self.winner(list, next, overlap) else { return next };
            let stop = stop.min(until);
            if stop <= next {
                return next;
            }
            deliver(next, winner.bytes(next, stop));
            next = stop;
        }
    }

    /// The segment whose bytes count at offset `next`, and up to where they do.
    fn winner(&self, list: &List, next: u64, overlap: Overlap) -> Option<(&Held<B>, u64)> {
        let beats = |a: &Held<B>, b: &Held<B>| match overlap {
            Overlap::First => a.arrival < b.arrival,
            Overlap::Last => a.arrival > b.arrival,
        };
        let mut best: Option<&Held<B>> = None;
        let mut at = list.first;
        while let Some(held) = self.held(at).filter(|held| held.offset <= next) {
            if held.stop() > next && best.is_none_or(|best| beats(held, best)) {
                best = Some(held);
            }
            at = self.next(at);
        }
        let best = best?;
        let mut stop = best.stop();
        // One that begins later may count more from there on.
        while let Some(held) = self.held(at).filter(|held| held.offset < stop) {
            if beats(held, best) {
                stop = held.offset;
                break;
            }
            at = self.next(at);
        }
        Some((best, stop))
    }

    /// Moves every segment of the list `by` bytes towards the beginning of the stream; lets go of those that would begin
    /// before it.
    pub(crate) fn shift(&mut self, list: &mut List, by: u64) {
        while self.front(list).is_some_and(|offset| offset < by) {
            self.pop(list);
        }
        let mut at = list.first;
        while let Some(place) = self.places.get_mut(at as usize) {
            if let Some(held) = &mut place.held {
                held.offset -= by;
            }
            at = place.next;
        }
    }

    /// Lets go of all.
    pub(crate) fn clear(&mut self, list: &mut List) {
        while list.len > 0 {
            self.pop(list);
        }
    }
}

impl Overlapped {
    fn add<B: Buffer>(&mut self, held: &Held<B>, new: &Held<B>) {
        let (from, to) = (held.offset.max(new.offset), held.stop().min(new.stop()));
        if from < to {
            self.bytes += to - from;
            let pairs = held.bytes(from, to).iter().zip(new.bytes(from, to));
            self.conflicts += pairs.filter(|(a, b)| a != b).count() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(overlap: Overlap, segments: &[(u64, &str)]) -> (String, Pending<Vec<u8>>, List) {
        let (mut pending, mut list) = (Pending::new(16), List::default());
        for (offset, text) in segments {
            pending.insert(&mut list, 0, *offset, (0, text.len() as u16), text.as_bytes().to_vec());
        }
        let mut got = Vec::new();
        let end = pending.sweep(&mut list, 0, u64::MAX, overlap, |at, bytes| {
            assert_eq!(at, got.len() as u64);
            got.extend_from_slice(bytes);
        });
        assert_eq!(end, got.len() as u64);
        (String::from_utf8(got).unwrap(), pending, list)
    }

    #[test]
    fn the_first_copy_counts_or_the_last() {
        let segments = [(2, "CDE"), (0, "abcd"), (4, "xyz"), (1, "?")];
        assert_eq!(filled(Overlap::First, &segments).0, "abCDEyz");
        assert_eq!(filled(Overlap::Last, &segments).0, "a?cdxyz");
    }

    #[test]
    fn sweeping_stops_at_a_hole_and_keeps_what_is_behind() {
        let (got, mut pending, mut list) = filled(Overlap::First, &[(5, "f"), (0, "abc"), (8, "ij")]);
        assert_eq!((got.as_str(), list.len, list.bytes, pending.in_use()), ("abc", 2, 3, 2));
        assert_eq!(pending.front(&list), Some(5));
        pending.shift(&mut list, 6);
        assert_eq!(
            (pending.front(&list), list.len),
            (Some(2), 1),
            "what would begin before the stream is gone"
        );
        pending.clear(&mut list);
        assert_eq!((pending.in_use(), list.bytes, pending.front(&list)), (0, 0, None));
    }

    #[test]
    fn overlaps_are_measured_and_places_used_again() {
        let (mut pending, mut list) = (Pending::new(2), List::default());
        for _ in 0..10 {
            assert!(!pending.is_full());
            pending.insert(&mut list, 0, 10, (0, 4), b"abcd".to_vec());
            let found = pending.insert(&mut list, 0, 12, (0, 4), b"cXyz".to_vec());
            assert_eq!(found, Overlapped { bytes: 2, conflicts: 1 });
            assert!(pending.is_full());
            pending.clear(&mut list);
        }
        assert_eq!(pending.places.len(), 2);
    }
}
