//! Packets in, records out; real captures among them, where they lie beside the repository.

mod attacks;

use super::*;
use crate::event::{Part, Records, Topic};
use md5::{Digest, Md5};
use pcap_file::DataLink;
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
        while let Some((record, payload)) = records.take() {
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
        let raw = reader.header().datalink == DataLink::RAW;
        while let Some(packet) = reader.next_packet() {
            let packet = packet.unwrap();
            // Those that begin with the IP header get one of Ethernet.
            let mut frame = if raw { [&[2; 12][..], &[0x86, 0xdd]].concat() } else { vec![] };
            frame.extend_from_slice(&packet.data);
            packets.push((nanos(packet.timestamp), frame));
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
    (
        // What tshark makes of it.
        "tf_test4.pcap",
        &[
            (1108, "b4772e037e05aaf315aaad911a59650d"),
            (1109, "c043c19025e6ba8278b7ddb6f08d68d3"),
            (1109, "ca32de2d5504c6f8dc32610d94046106"),
            (1938, "873ce29539afc9bd72d65c11d9aef2f7"),
            (1941, "92e4df1f268a7f7b1244b4ddc67120d3"),
            (3061, "547bdc57f5ac3bac3b6620afc19d5a00"),
            (3068, "3a2c8438a3e42e617b0d134ae9bb2f0a"),
            (3074, "4b12431fb1403ed45a0cdd264c555c21"),
            (5198, "2600d38f9524c66f190212bbdb6f3c96"),
            (5308, "ea4d328b4c831f6cb54772bcaa206ad1"),
            (5348, "775823553ec206c97c079ab054869c80"),
            (12_391, "2a8f64558ad7a1731e4950a3f7f16913"),
        ],
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

#[test]
fn a_machine_that_talks_to_itself_is_followed() {
    let mut frame = attacks::frame(1, true, 0x18, (1, 1), b"GET / HTTP/1.1\r\n\r\n");
    for at in [26, 30] {
        frame[at..at + 4].copy_from_slice(&[127, 0, 0, 1]);
    }
    let (told, counters) = follow(&[(1, frame)]);
    assert_eq!((told.messages.len(), counters.followed), (1, 1));
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
