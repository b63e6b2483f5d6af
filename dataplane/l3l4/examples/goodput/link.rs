//! A link: so many bits a second, a delay, a queue that overflows, and chance.

use std::collections::VecDeque;

/// What a link is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    /// Megabits per second.
    pub(crate) rate: u64,
    /// Round-trip time without queue, in microseconds; half of it each way.
    pub(crate) rtt: u64,
    /// Packets lost, per hundred thousand, on the way to the receiver.
    pub(crate) loss: u64,
}

/// One direction of it.
#[derive(Debug)]
pub(crate) struct Link {
    path: Path,
    lossy: bool,
    /// Bytes that may wait.
    queue: u64,
    /// When the last packet will have left, in nanoseconds.
    free: u64,
    packets: VecDeque<(u64, Vec<u8>)>,
    random: u64,
    pub(crate) dropped: u64,
}

impl Link {
    pub(crate) fn new(path: Path, lossy: bool) -> Self {
        // One bandwidth-delay product, and never less than a good burst.
        let queue = (path.rate * path.rtt / 8).max(96 * 1024);
        Self { path, lossy, queue, free: 0, packets: VecDeque::new(), random: 42, dropped: 0 }
    }

    fn chance(&mut self) -> bool {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % 100_000 < self.path.loss
    }

    /// Takes in a packet at `now` microseconds.
    pub(crate) fn send(&mut self, now: u64, packet: Vec<u8>) {
        let now = now * 1000;
        let waiting = self.free.saturating_sub(now) * self.path.rate / 8000;
        if self.lossy && self.chance() || waiting + packet.len() as u64 > self.queue {
            self.dropped += 1;
            return;
        }
        self.free = self.free.max(now) + packet.len() as u64 * 8000 / self.path.rate;
        self.packets.push_back((self.free.div_ceil(1000) + self.path.rtt / 2, packet));
    }

    /// A packet that has arrived by `now`.
    pub(crate) fn take(&mut self, now: u64) -> Option<Vec<u8>> {
        if self.next()? > now {
            return None;
        }
        self.packets.pop_front().map(|(_, packet)| packet)
    }

    pub(crate) fn next(&self) -> Option<u64> {
        self.packets.front().map(|(at, _)| *at)
    }
}
