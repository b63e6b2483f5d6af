//! Traffic that wants memory: it gets what the limits allow, and is counted.

use super::super::*;
use super::settings;
use crate::event::{Part, Records};

/// A frame of a connection between 10.x.y.z and 10.99.0.1:80.
pub(super) fn frame(client: u32, up: bool, flags: u8, (seq, ack): (u32, u32), payload: &[u8]) -> Vec<u8> {
    let mut p = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    p.extend(((40 + payload.len()) as u16).to_be_bytes());
    p.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    let [_, a, b, c] = client.to_be_bytes();
    let (ours, theirs) = ([10, a, b, c], [10, 99, 0, 1]);
    let (source, destination) = if up { (ours, theirs) } else { (theirs, ours) };
    p.extend([source, destination].concat());
    let (from, to) = if up { (4000u16, 80u16) } else { (80, 4000) };
    p.extend([from.to_be_bytes(), to.to_be_bytes()].concat());
    p.extend([seq.to_be_bytes(), ack.to_be_bytes()].concat());
    p.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    p.extend(payload);
    p
}

struct Attack {
    offline: Offline,
    records: Records,
    now: u64,
    told: Vec<Part>,
}

impl Attack {
    fn new(settings: ObserveSettings) -> Self {
        let (offline, records) = Offline::new(&settings, Level::Http, 4 << 20);
        Self { offline, records, now: 1, told: vec![] }
    }

    fn feed(&mut self, frame: &[u8]) {
        self.now += 1000;
        self.offline.packet(self.now, LinkType::Ethernet, frame);
        while let Some((record, _)) = self.records.take() {
            self.told.push(record.part);
        }
    }

    fn open(&mut self, client: u32) {
        self.feed(&frame(client, true, 2, (0, 0), &[]));
        self.feed(&frame(client, false, 0x12, (0, 1), &[]));
        self.feed(&frame(client, true, 0x10, (1, 1), &[]));
    }

    fn gauges(&self) -> ObserveGauges {
        let mut gauges = ObserveGauges::default();
        self.offline.follower.fill(&mut ObserveCounters::default(), &mut gauges);
        gauges.http_held = self.offline.teller.http().held() as u64;
        gauges
    }
}

#[test]
fn a_flood_out_of_order_and_a_hole_that_is_never_acknowledged() {
    let mut settings = settings();
    (settings.follow.held, settings.follow.held_of_stream) = (512, 64);
    let mut attack = Attack::new(settings);
    for client in 0..50 {
        attack.open(client);
    }
    let mut most = 0;
    for at in 0..20_000u32 {
        // Every segment leaves a hole behind.
        attack.feed(&frame(at % 50, true, 0x10, (10 + at / 50 * 20, 1), b"0123456789"));
        most = most.max(attack.gauges().held);
    }
    assert!((400..=512).contains(&most), "{most}");
    let observed = attack.offline.counters().observed;
    assert!(observed.follow.held_limit > 1000 && observed.follow.gaps[1] > 1000, "{:?}", observed.follow);
    assert!(observed.follow.out_of_order > 10_000);
    // What is left ages.
    attack.now += 11_000_000_000;
    for _ in 0..200 {
        attack.now += 2_000_000;
        attack.feed(&frame(0, true, 0x10, (1, 1), &[]));
    }
    assert_eq!(attack.gauges().held, 0);
    assert!(attack.offline.counters().observed.follow.gaps[2] > 0);
}

#[test]
fn a_million_half_open_connections() {
    let mut settings = settings();
    (settings.follow.flows, settings.follow.half_open) = (4096, 1024);
    let mut attack = Attack::new(settings);
    attack.open(1);
    for client in 10..1_000_010 {
        attack.feed(&frame(client, true, 2, (0, 0), &[]));
    }
    let gauges = attack.gauges();
    assert!(gauges.half_open <= 1024 && gauges.flows <= 4096, "{gauges:?}");
    let follow = attack.offline.counters().observed.follow;
    assert_eq!(follow.opened, 1_000_001);
    assert!(follow.evicted_half_open > 900_000, "{follow:?}");
    attack.told.clear();
    attack.feed(&frame(1, true, 0x18, (1, 1), b"GET / HTTP/1.1\r\n\r\n"));
    assert!(matches!(attack.told[..], [Part::Whole(_)]), "the one that is real is still followed");
}

#[test]
fn bodies_chunks_and_heads_without_end() {
    let mut attack = Attack::new(settings());
    attack.open(1);
    attack.feed(&frame(1, true, 0x18, (1, 1), b"GET / HTTP/1.1\r\n\r\n"));
    attack.feed(&frame(1, false, 0x18, (1, 19), b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n"));
    let mut at = 49;
    for _ in 0..1000 {
        attack.feed(&frame(1, false, 0x10, (at, 19), &[b'x'; 1400]));
        at += 1400;
    }
    assert_eq!(attack.gauges().http_held, 0, "nothing of a body is kept");
    // Chunks whose sizes overflow, or lie.
    for (client, chunk) in [(2, &b"fffffffffffffffff\r\n"[..]), (3, b"ffffffffffffffff\r\nx"), (4, b"-1\r\n")]
    {
        attack.open(client);
        attack.feed(&frame(client, true, 0x18, (1, 1), b"GET / HTTP/1.1\r\n\r\n"));
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        attack.feed(&frame(client, false, 0x18, (1, 19), head));
        attack.feed(&frame(client, false, 0x18, (1 + head.len() as u32, 19), chunk));
    }
    assert!(attack.offline.counters().observed.http.bad_chunks >= 2);
    // Heads that never end, of many connections.
    let mut most = 0;
    for client in 10..200 {
        attack.open(client);
        let mut seq = 1;
        for _ in 0..60 {
            let piece =
                if seq == 1 { "GET / HTTP/1.1\r\n".into() } else { format!("A: {}\r\n", "b".repeat(1390)) };
            attack.feed(&frame(client, true, 0x10, (seq, 1), piece.as_bytes()));
            seq += piece.len() as u32;
        }
        most = most.max(attack.gauges().http_held);
    }
    let http = attack.offline.counters().observed.http;
    assert!(http.heads_too_long > 100 && most < 64 << 20, "{http:?} {most}");
    while attack.offline.finish(100) {}
    assert_eq!(attack.gauges().http_held, 0);
}
