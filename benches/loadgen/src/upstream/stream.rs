//! Connections that servers send on without end: as much as the peer's window allows, each in its turn.
//!
//! Invariant: every segment is full, and goes out whole or not at all; so a connection's next byte always is the first of
//! one of the segments made beforehand.

use super::answers::Answers;
use super::peer::{Peer, State};
use crate::outbox::Outbox;
use crate::wire::MSS;

/// Connections at a time.
const MOST: usize = 64;
/// Segments a connection sends before the next one's turn.
const RUN: u32 = 8;

#[derive(Debug, Clone, Copy)]
struct Stream {
    place: u32,
    /// The segment that comes next.
    next: usize,
    /// When the peer last got further.
    touched: u64,
}

/// The connections under way.
#[derive(Debug)]
pub(super) struct Streams {
    streams: Vec<Stream>,
    first: usize,
    patience: u64,
    /// Times a connection had to begin again where the peer was.
    pub(super) repeated: u64,
}

impl Streams {
    pub(super) fn new(hz: u64) -> Self {
        Self { streams: Vec::with_capacity(MOST), first: 0, patience: hz / 5, repeated: 0 }
    }

    /// Begins one; false when there are too many.
    pub(super) fn begin(&mut self, place: u32, now: u64) -> bool {
        self.end(place);
        let has_room = self.streams.len() < MOST;
        if has_room {
            self.streams.push(Stream { place, next: 0, touched: now });
        }
        has_room
    }

    pub(super) fn end(&mut self, place: u32) {
        self.streams.retain(|stream| stream.place != place);
    }

    /// The peer has acknowledged something.
    #[inline]
    pub(super) fn progress(&mut self, place: u32, now: u64) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.place == place) {
            stream.touched = now;
        }
    }

    /// Sends what windows allow.
    #[inline]
    pub(super) fn send(&mut self, peers: &mut [Peer], answers: &Answers, out: &mut Outbox, now: u64) {
        let count = self.streams.len();
        for n in 0..count {
            let at = (self.first + n) % count;
            let stream = &mut self.streams[at];
            let peer = &mut peers[stream.place as usize];
            if peer.state != State::Open {
                continue;
            }
            if peer.in_flight() > 0 && now.saturating_sub(stream.touched) > self.patience {
                self.repeated += 1;
                stream.begin_again(peer, answers.segments.len());
                stream.touched = now;
            }
            for _ in 0..RUN {
                if peer.in_flight() + u32::from(MSS) > peer.window() {
                    break;
                }
                if out.room() == 0 {
                    self.first = at;
                    return;
                }
                if peer.in_flight() == 0 {
                    stream.touched = now;
                }
                answers.say(out, &answers.segments[stream.next], stream.place, peer.nxt, peer.rcv);
                peer.nxt = peer.nxt.wrapping_add(u32::from(MSS));
                stream.next = (stream.next + 1) % answers.segments.len();
            }
        }
    }
}

impl Stream {
    /// Goes back to the segment with the first byte that was not acknowledged.
    #[cold]
    fn begin_again(&mut self, peer: &mut Peer, segments: usize) {
        let back = peer.in_flight().div_ceil(u32::from(MSS));
        peer.nxt = peer.nxt.wrapping_sub(back * u32::from(MSS));
        self.next = (self.next + segments - back as usize % segments) % segments;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_begins_with_the_segment_it_was_in() {
        let mut stream = Stream { place: 0, next: 1, touched: 0 };
        // Three segments are under way, and half of the first has been acknowledged.
        let mut peer = Peer::default();
        (peer.una, peer.nxt) = (730, 4380);
        stream.begin_again(&mut peer, 703);
        assert_eq!((stream.next, peer.nxt), (701, 0));
    }

    #[test]
    fn there_are_not_too_many() {
        let mut streams = Streams::new(1000);
        for place in 0..64 {
            assert!(streams.begin(place, 0));
        }
        assert!(!streams.begin(64, 0) && streams.begin(63, 0));
        streams.end(5);
        assert!(streams.begin(64, 0));
    }
}
