//! Packets in, records out; real captures among them, where they lie beside the repository.

use super::*;
use crate::event::{Part, Records, Topic};
use md5::{Digest, Md5};
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// What is told of a file's packets.
#[derive(Default, Debug, PartialEq, Eq)]
struct Told {
    /// By flow and direction.
    streams: BTreeMap<(u64, u8), Vec<u8>>,
    /// Direction, exchange, bytes of the head, bytes of the body: of whole messages.
    messages: Vec<(u64, u8, u32, u32, u64)>,
    gaps: u64,
    opened: usize,
    closed: Vec<reassembly::End>,
}

impl Told {
    fn take(&mut self, records: &mut Records) {
        while let Some((record, payload)) = records.next() {
            let flow = record.flow.id;
            match record.part {
                Part::Data { direction, offset } => {
                    let stream = self.streams.entry((flow, direction as u8)).or_default();
                    if self.gaps == 0 {
                        assert_eq!(offset, stream.len() as u64);
                    }
                    stream.extend(payload);
                }
                Part::Gap { .. } => self.gaps += 1,
                Part::Whole(m) | Part::End(m) => {
                    assert!(m.complete, "{m:?}");
                    self.messages.push((flow, m.direction as u8, m.exchange, m.head_length, m.body_length));
                }
                Part::Open { .. } => self.opened += 1,
                Part::Close(summary) => self.closed.push(summary.end),
                Part::Head(_) | Part::Body(_) | Part::Hole(..) | Part::Trailers(_) => {}
            }
        }
    }

    /// Length and MD5 of every stream that is not empty, in order.
    fn sums(&self) -> Vec<(usize, String)> {
        let sum =
            |bytes: &Vec<u8>| Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut sums: Vec<_> = self.streams.values().map(|bytes| (bytes.len(), sum(bytes))).collect();
        sums.sort();
        sums
    }
}

fn follow<'a>(packets: impl IntoIterator<Item = &'a (u64, Vec<u8>)>) -> (Told, OfflineCounters) {
    let (mut offline, mut records) = Offline::new(&settings(), Level::All, 4 << 20);
    let mut told = Told::default();
    for (time, packet) in packets {
        offline.packet(*time, LinkType::Ethernet, packet);
        told.take(&mut records);
    }
    while offline.finish(1) {
        told.take(&mut records);
    }
    told.take(&mut records);
    let counters = offline.counters();
    let events = &counters.observed.events;
    assert_eq!(events.dropped, [0; crate::event::TOPICS]);
    assert_eq!(events.produced[Topic::FlowOpen as usize], events.produced[Topic::FlowClose as usize]);
    assert_eq!(counters.packets, counters.followed + counters.dropped.values().sum::<u64>());
    (told, counters)
}

fn settings() -> ObserveSettings {
    ObserveSettings { body: u64::MAX, ..ObserveSettings::default() }
}

/// Times and frames of a capture, `None` where the captures are not there.
fn capture(name: &str) -> Option<Vec<(u64, Vec<u8>)>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures").join(name);
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("skipped: {name} is not there");
        return None;
    };
    let nanos = |time: core::time::Duration| time.as_nanos() as u64;
    let mut packets = vec![];
    if bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
        let mut reader = PcapNgReader::new(&bytes[..]).unwrap();
        while let Some(block) = reader.next_block() {
            if let Block::EnhancedPacket(packet) = block.unwrap() {
                packets.push((nanos(packet.timestamp), packet.data.into_owned()));
            }
        }
    } else {
        let mut reader = PcapReader::new(&bytes[..]).unwrap();
        while let Some(packet) = reader.next_packet() {
            let packet = packet.unwrap();
            packets.push((nanos(packet.timestamp), packet.data.into_owned()));
        }
    }
    Some(packets)
}

/// Every capture, and what a right reassembly of it yields.
const ANSWERS: &[(&str, &[(usize, &str)])] = &[
    (
        "tf_test1.pcap",
        &[
            (136, "ae30a88136feb0655492bdb75e078643"),
            (604, "78b8073093d107207327103e80fbdf43"),
            (655, "14e9c335bf54dc4652999e25d99fecfe"),
            (2792, "61051e417d34e1354559e3a8901d19d3"),
        ],
    ),
    (
        "tf_test5-lines.pcap",
        &[(120, "4efc87d2ed413f00ebe629e27aab804a"), (1884, "9028a8087c146069592c6234c656a439")],
    ),
    (
        "tf_test5-lines-randomized.pcap",
        &[(120, "4efc87d2ed413f00ebe629e27aab804a"), (1884, "9028a8087c146069592c6234c656a439")],
    ),
    (
        "pp_one_tcp_stream.pcap",
        &[(9948, "8dffcf6c7fbefff630164afef8eb6dcd"), (12_444, "845f80370b3073b3c6564d88ef45cd5f")],
    ),
    (
        "pp_one_tcp_stream_max_seq.pcap",
        &[(9948, "8dffcf6c7fbefff630164afef8eb6dcd"), (12_444, "845f80370b3073b3c6564d88ef45cd5f")],
    ),
];

#[test]
fn captures_give_their_published_answers() {
    for (name, answers) in ANSWERS {
        let Some(packets) = capture(name) else { continue };
        let (told, counters) = follow(&packets);
        let sums = told.sums();
        let sums: Vec<_> = sums.iter().map(|(length, sum)| (*length, sum.as_str())).collect();
        assert_eq!(&sums, answers, "{name}: {counters:?}");
    }
}

#[test]
fn five_exchanges_in_one_connection() {
    let Some(packets) = capture("z_pipelined-requests.pcap") else { return };
    let (told, _) = follow(&packets);
    let bodies: Vec<_> = told.messages.iter().filter(|m| m.1 == 1).map(|m| (m.2, m.4)).collect();
    // The first two are compressed.
    assert_eq!(bodies, [(0, 946), (1, 6716), (2, 94), (3, 2349), (4, 27_579)]);
    assert_eq!(told.messages.iter().filter(|m| m.1 == 0).count(), 5);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever the order of the packets behind the SYN, streams are the same.
    #[test]
    fn captures_in_any_order(seed: u64, which in 1..5usize) {
        let (name, answers) = ANSWERS[which];
        let Some(mut packets) = capture(name) else { return Ok(()) };
        // A keepalive probe repeats the last byte with another value; before that byte it cannot be told from data.
        packets.retain(|(_, frame)| frame.len() != 55 && (frame.len() != 60 || frame[17] != 41));
        let syn = packets.iter().position(|(_, frame)| frame[47] & 0x12 == 2).unwrap_or(0);
        packets.swap(0, syn);
        let times: Vec<u64> = packets.iter().map(|(time, _)| *time).collect();
        let mut state = seed;
        for at in (2..packets.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            packets.swap(at, 1 + (state >> 33) as usize % at);
        }
        // In the new order, at the old pace but much faster: nothing waits too long.
        let first = times.iter().min().copied().unwrap_or(0);
        for (at, (time, _)) in packets.iter_mut().enumerate() {
            *time = first + at as u64 * 1000;
        }
        let (told, _) = follow(&packets);
        let sums = told.sums();
        let sums: Vec<_> = sums.iter().map(|(length, sum)| (*length, sum.as_str())).collect();
        prop_assert_eq!(&sums, answers, "{}", name);
        prop_assert_eq!(told.gaps, 0);
    }
}

/// A frame of a connection between 10.x.y.z and 10.99.0.1:80.
fn frame(client: u32, up: bool, flags: u8, (seq, ack): (u32, u32), payload: &[u8]) -> Vec<u8> {
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
        while let Some((record, _)) = self.records.next() {
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
