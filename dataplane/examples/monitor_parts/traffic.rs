//! Packets to follow: made, or read from a capture.
//!
//! Invariant: a round of generated packets is a whole life of all its connections, so that rounds can follow each other.

use dataplane::observe::LinkType;
use pcap_file::DataLink;
use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};
use std::time::Duration;

/// One round of packets.
pub(crate) struct Traffic {
    pub(crate) name: String,
    pub(crate) link: LinkType,
    pub(crate) packets: Vec<Vec<u8>>,
    /// By packet: a number for its connection, the same for both directions.
    pub(crate) streams: Vec<u64>,
    /// Connections at once.
    pub(crate) count: usize,
}

/// Frames are so long, like in the benchmarks of others.
const FRAME: usize = 512;
/// Ethernet, IPv4 and TCP headers.
const HEADERS: usize = 54;
/// Packets of a response.
const RESPONSE: usize = 4;
/// Packets of a round, about.
pub(crate) const ROUND: usize = 240_000;

/// About so many packets: `count` connections at once, each of which asks and is answered until the round is over: a request of one frame, a response
/// of four.
pub(crate) fn generate(count: usize, packets: usize) -> Traffic {
    let exchanges = (packets / count / (RESPONSE + 1)).clamp(1, 48_000);
    let mut traffic = Traffic {
        name: format!("{count} generated"),
        link: LinkType::Ethernet,
        packets: Vec::new(),
        streams: Vec::new(),
        count,
    };
    let room = FRAME - HEADERS;
    let request = filled(b"GET /index.html?query=value HTTP/1.1\r\nHost: www.example.org\r\n", room);
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: example\r\nContent-Type: text/html\r\nContent-Length: {}\r\n",
        (RESPONSE - 1) * room
    );
    let head = filled(head.as_bytes(), room);
    let body = vec![b'x'; room];
    let mut numbers = vec![(1u32, 1u32); count];
    for stream in 0..count {
        traffic.push(stream, true, 2, (0, 0), &[]);
        traffic.push(stream, false, 0x12, (0, 1), &[]);
        traffic.push(stream, true, 0x10, (1, 1), &[]);
    }
    for _ in 0..exchanges {
        // One packet of each connection in turn, so that no two behind each other belong together.
        for step in 0..=RESPONSE {
            for (stream, (client, server)) in numbers.iter_mut().enumerate() {
                match step {
                    0 => {
                        traffic.push(stream, true, 0x18, (*client, *server), &request);
                        *client += room as u32;
                    }
                    _ => {
                        let payload = if step == 1 { &head } else { &body };
                        traffic.push(stream, false, 0x18, (*server, *client), payload);
                        *server += room as u32;
                    }
                }
            }
        }
    }
    for (stream, (client, server)) in numbers.into_iter().enumerate() {
        traffic.push(stream, false, 0x11, (server, client), &[]);
        traffic.push(stream, true, 0x11, (client, server + 1), &[]);
        traffic.push(stream, false, 0x10, (server + 1, client + 1), &[]);
    }
    traffic
}

/// A head of exactly `length` bytes: the last field fills it.
fn filled(start: &[u8], length: usize) -> Vec<u8> {
    let mut head = start.to_vec();
    for (name, value) in [
        ("User-Agent", "bench/1.0 (generated)"),
        ("Accept", "text/html,*/*;q=0.8"),
        ("Cache-Control", "no-cache"),
    ] {
        head.extend(format!("{name}: {value}\r\n").bytes());
    }
    let rest = length - head.len() - "X-Fill: \r\n\r\n".len();
    head.extend(format!("X-Fill: {}\r\n\r\n", "y".repeat(rest)).bytes());
    head
}

impl Traffic {
    fn push(&mut self, stream: usize, client: bool, flags: u8, (seq, ack): (u32, u32), payload: &[u8]) {
        let mut p = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        let ours = [10, 1, (stream >> 8) as u8, stream as u8];
        let theirs = [10, 2, 0, 1];
        p.extend([0x45, 0]);
        p.extend(((40 + payload.len()) as u16).to_be_bytes());
        p.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        let (source, destination) = if client { (ours, theirs) } else { (theirs, ours) };
        p.extend(source);
        p.extend(destination);
        let (from, to) = if client { (40_000u16, 80u16) } else { (80, 40_000) };
        p.extend(from.to_be_bytes());
        p.extend(to.to_be_bytes());
        p.extend(seq.to_be_bytes());
        p.extend(ack.to_be_bytes());
        p.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        p.extend(payload);
        self.packets.push(p);
        self.streams.push(stream as u64);
    }
}

/// Writes packets in pcap format, a microsecond apart.
pub(crate) fn write(traffic: &Traffic, path: &str) -> Result<(), String> {
    let file = std::fs::File::create(path).map_err(|why| why.to_string())?;
    let mut writer = PcapWriter::new(std::io::BufWriter::new(file)).map_err(|why| why.to_string())?;
    for (at, packet) in traffic.packets.iter().enumerate() {
        let time = Duration::from_secs(1_000_000_000) + Duration::from_micros(at as u64);
        let packet = PcapPacket::new(time, packet.len() as u32, packet);
        writer.write_packet(&packet).map_err(|why| why.to_string())?;
    }
    Ok(())
}

/// A capture in pcap format.
pub(crate) fn read(path: &str) -> Result<Traffic, String> {
    let file = std::fs::File::open(path).map_err(|why| why.to_string())?;
    let mut reader = PcapReader::new(file).map_err(|why| why.to_string())?;
    let link = match reader.header().datalink {
        DataLink::ETHERNET => LinkType::Ethernet,
        DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => LinkType::RawIp,
        other => return Err(format!("packets of link type {other:?} are not read here")),
    };
    let at = if link == LinkType::Ethernet { 14 } else { 0 };
    let (mut packets, mut streams) = (Vec::new(), Vec::new());
    while let Some(packet) = reader.next_packet() {
        let packet = packet.map_err(|why| why.to_string())?.data.into_owned();
        streams.push(packet.get(at..).map_or(0, number));
        packets.push(packet);
    }
    let mut all = streams.clone();
    all.sort_unstable();
    all.dedup();
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    Ok(Traffic { name, link, packets, streams, count: all.len() })
}

/// A number for the connection of an IP packet without options.
fn number(packet: &[u8]) -> u64 {
    let (from, to, ports) = if packet[0] >> 4 == 4 { (12..16, 16..20, 20) } else { (8..24, 24..40, 40) };
    let sum = |bytes: Option<&[u8]>| {
        bytes.unwrap_or_default().iter().fold(0u64, |sum, byte| sum.wrapping_mul(257) + u64::from(*byte))
    };
    let end =
        |address, port| sum(packet.get(address)).wrapping_mul(65_537).wrapping_add(sum(packet.get(port)));
    end(from, ports..ports + 2).wrapping_add(end(to, ports + 2..ports + 4))
}
