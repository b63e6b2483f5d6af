//! A stream and a reply for tests.
//!
//! Invariant: the receive ring really wraps and refuses what does not fit, the transmit queue has
//! exactly the room it was given, and misuse (taking too much, sending after close) panics.

use std::time::Duration;

use super::{AppCounters, Application, FlowState, Reply, Stream};

pub(super) struct Mock {
    ring: Vec<u8>,
    head: usize,
    len: usize,
    peer_closed: bool,
    queue: Vec<u8>,
    capacity: usize,
    /// The most that one call of `send` queues, whatever the room.
    pub(super) grain: usize,
    /// What left the transmit queue.
    pub(super) sent: Vec<u8>,
    pub(super) closes: usize,
    pub(super) aborts: usize,
    pub(super) deadline: Option<Duration>,
    /// How often one was set or taken back.
    pub(super) deadlines: usize,
}

impl Mock {
    pub(super) fn new(receive: usize, transmit: usize) -> Mock {
        Mock {
            ring: vec![0; receive],
            // Starting late in the ring makes nearly every test straddle its end.
            head: receive * 2 / 3,
            len: 0,
            peer_closed: false,
            queue: Vec::new(),
            capacity: transmit,
            grain: usize::MAX,
            sent: Vec::new(),
            closes: 0,
            aborts: 0,
            deadline: None,
            deadlines: 0,
        }
    }

    /// Receives as much as fits, returns how much.
    pub(super) fn arrive(&mut self, bytes: &[u8]) -> usize {
        assert!(!self.peer_closed, "data after FIN");
        let fits = bytes.len().min(self.ring.len() - self.len);
        for byte in &bytes[..fits] {
            let at = (self.head + self.len) % self.ring.len();
            self.ring[at] = *byte;
            self.len += 1;
        }
        fits
    }

    pub(super) fn fin(&mut self) {
        self.peer_closed = true;
    }

    /// The peer acknowledges up to `n` queued bytes.
    pub(super) fn drain(&mut self, n: usize) -> usize {
        let n = n.min(self.queue.len());
        self.sent.extend(self.queue.drain(..n));
        n
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Feeds all of `input` at most `step` bytes at a time, drains `ack` bytes between calls, then FIN.
    pub(super) fn play(
        &mut self,
        app: &dyn Application,
        state: &mut FlowState,
        counters: &mut AppCounters,
        input: &[u8],
        step: usize,
        ack: usize,
    ) {
        let mut rest = input;
        let mut idle = 0;
        loop {
            let took = self.arrive(&rest[..rest.len().min(step)]);
            rest = &rest[took..];
            app.on_tcp(state, self, counters);
            idle = if took + self.drain(ack) > 0 { 0 } else { idle + 1 };
            if rest.is_empty() || idle > 2 {
                break;
            }
        }
        self.fin();
        loop {
            app.on_tcp(state, self, counters);
            if self.drain(ack) == 0 {
                break;
            }
        }
        app.on_tcp(state, self, counters);
    }
}

impl Stream for Mock {
    fn data(&mut self) -> &[u8] {
        let end = self.ring.len().min(self.head + self.len);
        &self.ring[self.head..end]
    }

    fn pending(&self) -> usize {
        self.len
    }

    fn copy(&mut self, into: &mut [u8]) -> usize {
        let n = into.len().min(self.len);
        for (i, byte) in into[..n].iter_mut().enumerate() {
            *byte = self.ring[(self.head + i) % self.ring.len()];
        }
        n
    }

    fn take(&mut self, n: usize) {
        assert!(n <= self.len, "took {n} of {}", self.len);
        self.head = (self.head + n) % self.ring.len();
        self.len -= n;
    }

    fn at_end(&self) -> bool {
        self.peer_closed && self.len == 0
    }

    fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    fn full(&self) -> bool {
        self.len == self.ring.len()
    }

    fn send(&mut self, bytes: &[u8]) -> usize {
        assert_eq!((self.closes, self.aborts), (0, 0), "sent after close");
        let n = bytes.len().min(self.room()).min(self.grain);
        self.queue.extend_from_slice(&bytes[..n]);
        n
    }

    fn send_with(&mut self, fill: &mut dyn FnMut(&mut [u8]) -> usize) -> usize {
        let mut free = vec![0; self.room()];
        let n = fill(&mut free);
        self.send(&free[..n])
    }

    fn room(&self) -> usize {
        self.capacity - self.queue.len()
    }

    fn close(&mut self) {
        self.closes += 1;
    }

    fn abort(&mut self) {
        self.aborts += 1;
        self.queue.clear();
    }

    fn set_deadline(&mut self, after: Option<Duration>) {
        self.deadlines += 1;
        self.deadline = after;
    }
}

pub(super) struct Answer {
    pub(super) sent: Vec<Vec<u8>>,
    max: usize,
}

impl Answer {
    pub(super) fn new(max: usize) -> Answer {
        Answer { sent: Vec::new(), max }
    }
}

impl Reply for Answer {
    fn reply(&mut self, bytes: &[u8]) -> bool {
        assert!(bytes.len() <= self.max, "longer than max_len");
        self.sent.push(bytes.to_vec());
        true
    }

    fn max_len(&self) -> usize {
        self.max
    }
}
