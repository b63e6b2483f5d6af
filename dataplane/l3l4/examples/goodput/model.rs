//! The simulation: the engine sends to a model of a receiver over the link, on a virtual clock.

use crate::link::{Link, Path};
use crate::server::Server;
use l3l4::{CongestionControl, Counters, TxChecksum};

const MSS: usize = 1460;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// A receiver with SACK (RFC 2018), D-SACK (RFC 2883) and delayed acknowledgments (RFC 1122).
struct Receiver {
    next: u32,
    /// What lies beyond a hole, the latest first.
    beyond: Vec<(u32, u32)>,
    window: u32,
    shift: u8,
    unacknowledged: u8,
    late: Option<u64>,
    duplicate: Option<(u32, u32)>,
    seq: u32,
    bytes: u64,
}

impl Receiver {
    fn segment(&self, flags: u8, options: &[u8]) -> Vec<u8> {
        let len = 40 + options.len();
        let mut p = vec![0; len];
        p[..10].copy_from_slice(&[0x45, 0, (len >> 8) as u8, len as u8, 0, 0, 0x40, 0, 64, 6]);
        p[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        p[20..24].copy_from_slice(&[0x9c, 0x40, 0, 19]);
        p[24..28].copy_from_slice(&self.seq.to_be_bytes());
        p[28..32].copy_from_slice(&self.next.to_be_bytes());
        let window = if flags & SYN != 0 { 0xffff } else { (self.window >> self.shift).min(0xffff) };
        p[32..36].copy_from_slice(&[
            ((20 + options.len()) as u8) << 2,
            flags,
            (window >> 8) as u8,
            window as u8,
        ]);
        p[40..].copy_from_slice(options);
        p
    }

    fn syn(&self) -> Vec<u8> {
        self.segment(SYN, &[2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, self.shift])
    }

    fn ack(&mut self) -> Vec<u8> {
        (self.unacknowledged, self.late) = (0, None);
        let blocks: Vec<_> =
            self.duplicate.take().into_iter().chain(self.beyond.iter().copied()).take(4).collect();
        let mut options = vec![];
        if !blocks.is_empty() {
            options.extend([1, 1, 5, 2 + 8 * blocks.len() as u8]);
            for (from, to) in blocks {
                options.extend(from.to_be_bytes());
                options.extend(to.to_be_bytes());
            }
        }
        self.segment(ACK, &options)
    }

    /// Takes in a segment; what it answers at once.
    fn take(&mut self, now: u64, packet: &[u8]) -> Option<Vec<u8>> {
        let word =
            |at: usize| u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]]);
        let (seq, header) = (word(24), 20 + usize::from(packet[32] >> 4) * 4);
        if packet[33] & SYN != 0 {
            self.seq = word(28);
            self.next = seq.wrapping_add(1);
            return Some(self.ack());
        }
        let (from, to) = (seq, seq.wrapping_add((packet.len() - header) as u32));
        let before = |a: u32, b: u32| (a.wrapping_sub(b) as i32) < 0;
        if from == to {
            return None;
        }
        if !before(self.next, to) || self.beyond.iter().any(|b| !before(from, b.0) && !before(b.1, to)) {
            self.duplicate = Some((from, to));
            return Some(self.ack());
        }
        let holes = !self.beyond.is_empty();
        let mut block = (from, to);
        self.beyond.retain(|b| {
            let apart = before(block.1, b.0) || before(b.1, block.0);
            if !apart {
                block.0 = if before(b.0, block.0) { b.0 } else { block.0 };
                block.1 = if before(block.1, b.1) { b.1 } else { block.1 };
            }
            apart
        });
        if before(self.next, block.0) {
            self.beyond.insert(0, block);
            return Some(self.ack());
        }
        self.bytes += u64::from(block.1.wrapping_sub(self.next));
        self.next = block.1;
        self.unacknowledged += 1;
        if holes || self.unacknowledged >= 2 {
            return Some(self.ack());
        }
        self.late = self.late.or(Some(now + 40_000));
        None
    }
}

/// Bytes received and the engine's counters after `seconds`.
pub(crate) fn run(path: Path, window: usize, congestion: CongestionControl, seconds: u64) -> (u64, Counters) {
    let mut server = Server::new(Some(window), Some(congestion), TxChecksum::None);
    let mut receiver = Receiver {
        next: 0,
        beyond: vec![],
        window: window as u32 - 1,
        shift: 7,
        unacknowledged: 0,
        late: None,
        duplicate: None,
        seq: 1000,
        bytes: 0,
    };
    let (mut up, mut down) = (Link::new(path, false), Link::new(path, true));
    let mut now = 1_000_000;
    let end = now + seconds * 1_000_000;
    up.send(now, receiver.syn());
    receiver.seq = 1001;
    assert!(MSS < window);
    while now < end {
        while let Some(mut packet) = up.take(now) {
            server.give(now, &mut packet);
        }
        let (sent, next) = server.turn(now);
        for packet in sent {
            down.send(now, packet);
        }
        while let Some(packet) = down.take(now) {
            if let Some(answer) = receiver.take(now, &packet) {
                up.send(now, answer);
            }
        }
        if receiver.late.is_some_and(|at| at <= now) {
            let ack = receiver.ack();
            up.send(now, ack);
        }
        let waiting = [next, up.next(), down.next(), receiver.late];
        now = waiting.into_iter().flatten().min().map_or(end, |at| at.max(now + 1));
    }
    (receiver.bytes, server.engine.counters().clone())
}
