//! Packets written and read by hand, so that the tests share no code with what they test.
//!
//! Invariant: whatever these functions write is right in every length and checksum; a test that wants something
//! wrong spoils it afterwards.

use std::net::IpAddr;

pub const US: [u8; 6] = [2, 0, 0, 0, 0, 0x10];
pub const PEER: [u8; 6] = [2, 0, 0, 0, 0, 0x99];
pub const BROADCAST: [u8; 6] = [0xff; 6];

pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMPV6: u8 = 58;

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

/// Where a packet comes from and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    pub source: IpAddr,
    pub destination: IpAddr,
}

pub fn ends(source: &str, destination: &str) -> Ends {
    Ends { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

/// From the client to the server, IPv4.
pub fn four() -> Ends {
    ends("10.64.0.9", "10.64.0.2")
}

/// From the client to the server, IPv6.
pub fn six() -> Ends {
    ends("fd00:64::9", "fd00:64::2")
}

pub fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

/// The ones' complement sum of RFC 1071, word by word.
pub fn fold(bytes: &[u8]) -> u16 {
    let mut total = 0u32;
    for pair in bytes.chunks(2) {
        total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

fn with_pseudo(ends: &Ends, protocol: u8, segment: &[u8]) -> u16 {
    let mut all = [octets(ends.source), octets(ends.destination)].concat();
    all.extend((segment.len() as u32).to_be_bytes());
    all.extend([0, 0, 0, protocol]);
    all.extend(segment);
    fold(&all)
}

fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

pub fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

pub fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// An Ethernet frame for us, padded to 60 bytes; `vlan` 0 is untagged.
pub fn ether(vlan: u16, kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [US, PEER].concat();
    if vlan != 0 {
        frame.extend([0x81, 0x00]);
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame.resize(frame.len().max(60), 0);
    frame
}

/// An IP packet in a frame for us.
pub fn frame(packet: &[u8]) -> Vec<u8> {
    tagged(0, packet)
}

pub fn tagged(vlan: u16, packet: &[u8]) -> Vec<u8> {
    ether(vlan, if packet[0] >> 4 == 4 { 0x0800 } else { 0x86dd }, packet)
}

/// An IP packet without options.
pub fn ip(ends: Ends, protocol: u8, payload: &[u8]) -> Vec<u8> {
    fragment(ends, protocol, payload, 0, 0, false)
}

/// The same, as a fragment of datagram `id` (IPv6: with a fragment header) unless it is the whole.
pub fn fragment(ends: Ends, protocol: u8, payload: &[u8], id: u16, offset: usize, more: bool) -> Vec<u8> {
    let whole = offset == 0 && !more;
    let (source, destination) = (octets(ends.source), octets(ends.destination));
    if source.len() == 4 {
        let field = (offset / 8) as u16 | u16::from(more) << 13;
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
        packet.extend([source, destination].concat());
        put16(&mut packet, 2, 20 + payload.len() as u16);
        put16(&mut packet, 4, id);
        put16(&mut packet, 6, field);
        seal_ip(&mut packet);
        packet.extend(payload);
        return packet;
    }
    let extension = if whole { 0 } else { 8 };
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, if whole { protocol } else { 44 }, 64];
    put16(&mut packet, 4, payload.len() as u16 + extension);
    packet.extend([source, destination].concat());
    if !whole {
        packet.extend([protocol, 0]);
        packet.extend(((offset as u16) | u16::from(more)).to_be_bytes());
        packet.extend(u32::from(id).to_be_bytes());
    }
    packet.extend(payload);
    packet
}

/// Writes the IPv4 header checksum anew.
pub fn seal_ip(packet: &mut [u8]) {
    let len = usize::from(packet[0] & 15) * 4;
    put16(packet, 10, 0);
    let sum = !fold(&packet[..len]);
    put16(packet, 10, sum);
}

/// Cuts an IP packet's payload into fragments of at most `size` bytes (a multiple of 8).
pub fn cut(ends: Ends, protocol: u8, payload: &[u8], id: u16, size: usize) -> Vec<Vec<u8>> {
    let pieces = payload.chunks(size).count();
    let piece = |(i, part): (usize, &[u8])| fragment(ends, protocol, part, id, i * size, i + 1 < pieces);
    payload.chunks(size).enumerate().map(piece).collect()
}

/// A UDP datagram, header and data.
pub fn datagram(ends: Ends, from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes =
        [from.to_be_bytes(), to.to_be_bytes(), (8 + data.len() as u16).to_be_bytes(), [0; 2]].concat();
    bytes.extend(data);
    let sum = !with_pseudo(&ends, UDP, &bytes);
    put16(&mut bytes, 6, if sum == 0 { 0xffff } else { sum });
    bytes
}

pub fn udp(ends: Ends, from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    ip(ends, UDP, &datagram(ends, from, to, data))
}

/// A TCP segment to be written.
#[derive(Clone, Copy, Default)]
pub struct Segment<'a> {
    pub from: u16,
    pub to: u16,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    /// A multiple of 4 bytes.
    pub options: &'a [u8],
    pub data: &'a [u8],
}

pub fn tcp(ends: Ends, s: Segment<'_>) -> Vec<u8> {
    let mut bytes = [s.from.to_be_bytes(), s.to.to_be_bytes()].concat();
    bytes.extend([s.seq.to_be_bytes(), s.ack.to_be_bytes()].concat());
    bytes.extend([(5 + s.options.len() as u8 / 4) << 4, s.flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend([s.options, s.data].concat());
    let sum = !with_pseudo(&ends, TCP, &bytes);
    put16(&mut bytes, 16, sum);
    ip(ends, TCP, &bytes)
}

/// An ICMP or ICMPv6 message with its checksum.
pub fn message(ends: Ends, kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = [&[kind, code, 0, 0], rest].concat();
    let v4 = ends.source.is_ipv4();
    let sum = !if v4 { fold(&bytes) } else { with_pseudo(&ends, ICMPV6, &bytes) };
    put16(&mut bytes, 2, sum);
    bytes
}

pub fn icmp(ends: Ends, kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
    ip(ends, if ends.source.is_ipv4() { ICMP } else { ICMPV6 }, &message(ends, kind, code, rest))
}

/// An echo request.
pub fn ping(ends: Ends, rest: &[u8]) -> Vec<u8> {
    icmp(ends, if ends.source.is_ipv4() { 8 } else { 128 }, 0, rest)
}

/// An ARP packet; `operation` 1 asks, 2 answers.
pub fn arp(operation: u8, sender: [u8; 6], sender_ip: [u8; 4], target_ip: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 8, 0, 6, 4, 0, operation];
    bytes.extend(sender);
    bytes.extend(sender_ip);
    bytes.extend([0; 6]);
    bytes.extend(target_ip);
    bytes
}

/// A neighbour discovery message about `target` with one link-layer address option.
pub fn ndp(ends: Ends, kind: u8, flags: u8, target: &str, option: u8, mac: [u8; 6]) -> Vec<u8> {
    let mut rest = vec![flags, 0, 0, 0];
    rest.extend(octets(target.parse().unwrap()));
    rest.extend([option, 1]);
    rest.extend(mac);
    let mut packet = icmp(ends, kind, 0, &rest);
    packet[7] = 255;
    packet
}

/// A frame that was sent, taken apart and found sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub to: [u8; 6],
    pub vlan: u16,
    pub kind: u16,
    /// Behind the Ethernet header, without padding (for IP).
    pub packet: Vec<u8>,
}

impl Sent {
    /// Takes a frame apart; its checksums must be right.
    pub fn read(frame: &[u8]) -> Self {
        assert_eq!(frame[6..12], US, "sent from our address");
        let to = frame[..6].try_into().unwrap();
        let (vlan, kind, at) = match be16(frame, 12) {
            0x8100 => (be16(frame, 14), be16(frame, 16), 18),
            kind => (0, kind, 14),
        };
        let mut packet = frame[at..].to_vec();
        if kind != 0x0806 {
            let v4 = kind == 0x0800;
            let len = if v4 { usize::from(be16(&packet, 2)) } else { 40 + usize::from(be16(&packet, 4)) };
            packet.truncate(len);
            assert_eq!(packet.len(), len, "the frame holds the whole packet");
        }
        let sent = Self { to, vlan, kind, packet };
        if kind != 0x0806 {
            sent.assert_checksums();
        }
        sent
    }

    fn assert_checksums(&self) {
        let p = &self.packet;
        if self.kind == 0x0800 {
            assert_eq!((p[0], fold(&p[..20])), (0x45, 0xffff), "IPv4 header checksum");
        }
        let whole = match self.protocol() {
            ICMP => fold(self.l4()),
            protocol => with_pseudo(&self.ends(), protocol, self.l4()),
        };
        assert_eq!(whole, 0xffff, "transport checksum of protocol {}", self.protocol());
    }

    pub fn is_arp(&self) -> bool {
        self.kind == 0x0806
    }

    pub fn protocol(&self) -> u8 {
        if self.is_arp() { 0 } else { self.packet[if self.kind == 0x0800 { 9 } else { 6 }] }
    }

    pub fn l4(&self) -> &[u8] {
        &self.packet[if self.kind == 0x0800 { 20 } else { 40 }..]
    }

    pub fn ends(&self) -> Ends {
        let p = &self.packet;
        let address = |at: usize, len: usize| match len {
            4 => IpAddr::from(<[u8; 4]>::try_from(&p[at..at + 4]).unwrap()),
            _ => IpAddr::from(<[u8; 16]>::try_from(&p[at..at + 16]).unwrap()),
        };
        let (at, len) = if self.kind == 0x0800 { (12, 4) } else { (8, 16) };
        Ends { source: address(at, len), destination: address(at + len, len) }
    }

    /// Source and destination port of TCP or UDP.
    pub fn ports(&self) -> (u16, u16) {
        (be16(self.l4(), 0), be16(self.l4(), 2))
    }

    pub fn flags(&self) -> u8 {
        self.l4()[13]
    }

    /// The payload of TCP or UDP.
    pub fn data(&self) -> &[u8] {
        let header = if self.protocol() == TCP { usize::from(self.l4()[12] >> 4) * 4 } else { 8 };
        &self.l4()[header..]
    }
}
