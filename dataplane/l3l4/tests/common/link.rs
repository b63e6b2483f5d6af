//! The link between the two: a queue ordered by arrival, with faults drawn from a seed.

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Chances are per thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub loss: u64,
    pub duplicate: u64,
    pub corrupt: u64,
    pub reorder: u64,
    /// That a run of up to ten is lost.
    pub burst: u64,
    /// Microseconds each packet takes, and as much again at most where it is reordered.
    pub delay: u64,
}

/// splitmix64.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn chance(&mut self, per_thousand: u64) -> bool {
        self.below(1000) < per_thousand
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

#[derive(Debug)]
pub struct Link {
    pub faults: Faults,
    rng: Rng,
    waiting: BinaryHeap<Reverse<(u64, u64, Vec<u8>)>>,
    count: u64,
    pub cut: bool,
    /// The most packets underway at a time; 0 for any number.
    pub queue: usize,
    /// The longest packet that passes; 0 for any. Longer ones are kept, to be sent back as an error.
    pub mtu: usize,
    pub refused: Vec<Vec<u8>>,
    /// How many more of a run will be lost.
    run: u64,
}

impl Link {
    pub fn new(faults: Faults, seed: u64) -> Self {
        Self {
            faults,
            rng: Rng(seed),
            waiting: BinaryHeap::new(),
            count: 0,
            cut: false,
            queue: 0,
            mtu: 0,
            refused: vec![],
            run: 0,
        }
    }

    pub fn send(&mut self, now: u64, mut packet: Vec<u8>) {
        if self.mtu > 0 && packet.len() > self.mtu {
            self.refused.push(packet);
            return;
        }
        let f = self.faults;
        if self.run == 0 && f.burst > 0 && self.rng.chance(f.burst) {
            self.run = 1 + self.rng.below(10);
        }
        if self.run > 0 {
            self.run -= 1;
            return;
        }
        if self.cut || self.rng.chance(f.loss) || self.queue > 0 && self.waiting.len() >= self.queue {
            return;
        }
        if self.rng.chance(f.duplicate) {
            self.file(now + f.delay + self.rng.clone().below(f.delay), packet.clone());
        }
        if self.rng.chance(f.corrupt) {
            let at = self.rng.below(packet.len() as u64) as usize;
            packet[at] ^= 1 << self.rng.below(8);
        }
        let late = if self.rng.chance(f.reorder) { self.rng.below(f.delay + 200) } else { 0 };
        self.file(now + f.delay + late, packet);
    }

    fn file(&mut self, at: u64, packet: Vec<u8>) {
        self.count += 1;
        self.waiting.push(Reverse((at, self.count, packet)));
    }

    pub fn due(&mut self, now: u64) -> Vec<Vec<u8>> {
        let mut due = vec![];
        while self.waiting.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            due.extend(self.waiting.pop().map(|Reverse((_, _, packet))| packet));
        }
        due
    }

    pub fn next(&self) -> Option<u64> {
        self.waiting.peek().map(|Reverse((at, ..))| *at)
    }
}

/// The client's network card: checksums are computed and verified.
#[derive(Debug)]
pub struct Pipe {
    pub rx: VecDeque<Vec<u8>>,
    pub tx: Vec<Vec<u8>>,
    /// Whether to keep what came.
    pub record: bool,
    pub seen: Vec<Vec<u8>>,
    mtu: usize,
}

impl Pipe {
    pub fn new(mtu: usize) -> Self {
        Self { rx: VecDeque::new(), tx: vec![], record: false, seen: vec![], mtu }
    }
}

pub struct Rx(Vec<u8>);
pub struct Tx<'a>(&'a mut Vec<Vec<u8>>);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.0.push(packet);
        result
    }
}

impl Device for Pipe {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Rx, Tx<'_>)> {
        let packet = self.rx.pop_front()?;
        if self.record {
            self.seen.push(packet.clone());
        }
        Some((Rx(packet), Tx(&mut self.tx)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        Some(Tx(&mut self.tx))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ip;
        caps.max_transmission_unit = self.mtu;
        caps
    }
}
