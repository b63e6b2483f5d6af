//! Everything that reads packets of strangers before there is a flow: Ethernet, ARP, neighbour discovery, ICMP, IP
//! headers with options and extensions, TCP options, fragments. And what is read at the beginning of one: the PROXY
//! protocol, and the status with which a server answers a health check.
//!
//! Invariant: offsets that are given out lie inside the packet and in order; an answer fits where it is written;
//! each fragment is counted once: in = completed + dropped + expired + held; and a verdict on a PROXY protocol header
//! or a status stands whatever follows.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use arbitrary::{Arbitrary, Unstructured};
use dataplane::fragment::{Outcome, Reassembler};
use dataplane::neighbour::ndp::Ndp;
use dataplane::neighbour::{Mac, Owned, arp, ndp};
use dataplane::proxy::header::{self, Ends, Read};
use dataplane::proxy::health::{HttpProgress, HttpStatus};
use dataplane::{frame, icmp};
use l3l4::packet::{self, Parsed};
use l3l4::{Addr, Protocol, RxChecksum, checksum, tcp_options};

const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
const PEER: Mac = Mac([2, 0, 0, 0, 0, 2]);
const V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

/// What to send: bytes as they are, or made to look like something.
#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    Frame(&'a [u8], Option<u16>),
    Arp(&'a [u8], bool),
    /// ICMPv6 with the right checksum: type, code, body, and whether the hop limit is 255.
    Neighbour(u8, u8, &'a [u8], bool),
    Icmp(&'a [u8], bool),
    Ip(&'a [u8]),
    Extensions(u8, &'a [u8]),
    Options(&'a [u8]),
    /// The PROXY protocol: how it begins, and what comes then.
    Proxied(u8, &'a [u8]),
    Status(&'a [u8], bool),
    V4Fragment {
        id: u8,
        offset: u8,
        more: bool,
        source: u8,
        body: &'a [u8],
    },
    V6Fragment {
        id: u8,
        offset: u8,
        more: bool,
        source: u8,
        body: &'a [u8],
    },
    Wait(u32),
}

/// A sequence of packets.
pub fn run(data: &[u8]) {
    let addresses = vec![(IpAddr::from(V4).into(), 24), (IpAddr::from(V6).into(), 64)];
    let Ok(owned) = Owned::new(addresses, true, vec![], vec![]) else { unreachable!("constants") };
    let mut fragments = Fragments::new();
    let mut input = Unstructured::new(data);
    while !input.is_empty() {
        let Ok(piece) = Piece::arbitrary(&mut input) else { break };
        one(&piece, &owned, &mut fragments);
    }
    fragments.end();
}

fn one(piece: &Piece<'_>, owned: &Owned, fragments: &mut Fragments) {
    match *piece {
        Piece::Frame(bytes, stripped) => {
            if let Ok(frame) = frame::parse(bytes, stripped) {
                assert!(frame.payload <= bytes.len());
            }
        }
        Piece::Arp(bytes, dressed) => {
            let mut bytes = bytes.to_vec();
            if dressed && bytes.len() >= 14 {
                bytes[..6].copy_from_slice(&[0, 1, 8, 0, 6, 4]);
                bytes[8..14].copy_from_slice(&PEER.0);
            }
            if let Ok(packet) = arp::ArpPacket::parse(&bytes, PEER) {
                for known in [None, Some(OWN), Some(PEER)] {
                    let _ = packet.decide(owned, OWN, known);
                }
                let mut room = [0; 64];
                assert!(arp::write_reply(&mut room, OWN, &packet).is_ok_and(|len| len <= room.len()));
            }
        }
        Piece::Neighbour(kind, code, body, near) => {
            let mut message = vec![kind, code, 0, 0];
            message.extend(&body[..body.len().min(1400)]);
            neighbour(&v6_packet(Protocol::ICMPV6, if near { 255 } else { 64 }, message), owned);
        }
        Piece::Icmp(bytes, v4) => {
            let bytes = &bytes[..bytes.len().min(1400)];
            let (mut packet, at) = match v4 {
                true => (v4_packet(Protocol::ICMP, [10, 0, 0, 1], [0; 4], bytes), 20),
                false => (v6_packet(Protocol::ICMPV6, 64, bytes.to_vec()), 40),
            };
            if v4 && packet.len() >= 24 {
                packet[22..24].fill(0);
                let sum = checksum::header(&packet[20..]);
                packet[22..24].copy_from_slice(&sum.to_be_bytes());
            }
            let _ = icmp::parse(&packet, at, 0);
            if let Ok(len) = icmp::echo_reply(&mut packet, at, owned) {
                assert!(len <= packet.len());
                assert!(icmp::parse(&packet[..len], at, 0).is_err(), "a reply is no request");
            }
        }
        Piece::Ip(bytes) => ip(bytes),
        Piece::Extensions(first, body) => {
            let mut packet = v6_packet(Protocol(first), 64, vec![]);
            packet.extend(&body[..body.len().min(1400)]);
            let len = (packet.len() - 40) as u16;
            packet[4..6].copy_from_slice(&len.to_be_bytes());
            ip(&packet);
            fragments.push(&packet);
        }
        Piece::Options(bytes) => {
            let _ = tcp_options::read(bytes);
        }
        Piece::Proxied(begin, rest) => {
            const BEGINNINGS: [&[u8]; 6] = [
                b"",
                b"PROXY ",
                b"PROXY TCP4 ",
                b"PROXY TCP6 ",
                b"\r\n\r\n\0\r\nQUIT\n",
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0",
            ];
            let begin = BEGINNINGS[usize::from(begin) % BEGINNINGS.len()];
            proxied(&[begin, &rest[..rest.len().min(header::MAX_READ)]].concat());
        }
        Piece::Status(bytes, begun) => {
            let bytes = [if begun { &b"HTTP/1.1 1"[..] } else { b"" }, bytes].concat();
            let (mut reader, mut verdict) = (HttpStatus::new(), HttpProgress::Pending);
            for byte in &bytes {
                let now = reader.push(&[*byte]);
                assert!(verdict == HttpProgress::Pending || verdict == now, "{verdict:?}, then {now:?}");
                verdict = now;
            }
            assert_eq!(HttpStatus::new().push(&bytes), verdict);
            assert!(!matches!(verdict, HttpProgress::Status(..=99 | 1000..)));
        }
        Piece::V4Fragment { id, offset, more, source, body } => {
            let field = u16::from(offset) << (offset & 4) | u16::from(more) << 13;
            let id = [0, id & 3, (field >> 8) as u8, field as u8];
            let body = &body[..body.len().min(1400)];
            fragments.push(&v4_packet(Protocol::UDP, [10, 0, 0, source & 3], id, body));
        }
        Piece::V6Fragment { id, offset, more, source, body } => {
            let field = u16::from(offset) << 3 | u16::from(more);
            let mut message = vec![17, 0, (field >> 8) as u8, field as u8, 0, 0, 0, id & 3];
            message.extend(&body[..body.len().min(1400)]);
            let mut packet = v6_packet(Protocol(44), 64, message);
            packet[23] = source & 3;
            fragments.push(&packet);
        }
        Piece::Wait(micros) => fragments.wait(u64::from(micros)),
    }
}

fn proxied(bytes: &[u8]) {
    let mut verdict = Read::Incomplete;
    for len in 0..=bytes.len() {
        let now = header::read(&bytes[..len]);
        assert!(verdict == Read::Incomplete || verdict == now, "{verdict:?}, then {now:?}");
        assert!(now != Read::Incomplete || len < header::MAX_READ);
        verdict = now;
    }
    match verdict {
        Read::Incomplete | Read::Invalid(_) => {}
        Read::Local { len } => assert!(len <= bytes.len()),
        Read::Proxied { len, ends } => {
            assert!(len <= bytes.len());
            let write: [fn(&Ends, &mut [u8]) -> usize; 2] = [header::write_v1, header::write_v2];
            for write in &write[usize::from(ends.protocol != Protocol::TCP)..] {
                let mut room = [0; header::MAX];
                let len = write(&ends, &mut room);
                assert_eq!(header::read(&room[..len]), Read::Proxied { len, ends });
            }
        }
    }
}

fn neighbour(packet: &[u8], owned: &Owned) {
    match ndp::parse(packet, PEER) {
        Ok(Ndp::Solicitation(asked)) => {
            for known in [None, Some(OWN), Some(PEER)] {
                let _ = asked.decide(owned, OWN, known);
            }
            let mut room = [0; 128];
            assert!(ndp::write_reply(&mut room, OWN, owned, &asked).is_ok_and(|w| w.len <= room.len()));
        }
        Ok(Ndp::Advertisement(told)) => {
            let _ = told.decide(owned, OWN);
        }
        Err(_) => {}
    }
}

fn ip(bytes: &[u8]) {
    for known in [RxChecksum::default(), RxChecksum::GOOD] {
        let Ok(parsed) = packet::parse(bytes, 0, known) else { continue };
        let (Parsed::Whole(h) | Parsed::Fragment(h) | Parsed::Other(h)) = parsed;
        assert!(h.l4 <= h.payload && h.payload <= h.payload_end && h.payload_end <= h.end, "{h:?}");
        assert!(usize::from(h.end) <= bytes.len(), "{h:?}");
    }
}

fn v4_packet(protocol: Protocol, source: [u8; 4], id: [u8; 4], body: &[u8]) -> Vec<u8> {
    let [a, b] = ((20 + body.len()) as u16).to_be_bytes();
    let mut packet = vec![0x45, 0, a, b];
    packet.extend(id);
    packet.extend([64, protocol.0, 0, 0]);
    packet.extend(source);
    packet.extend(V4.octets());
    let sum = checksum::header(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(body);
    packet
}

/// From fd00::1 to us; an ICMPv6 message gets its checksum.
fn v6_packet(protocol: Protocol, hops: u8, mut body: Vec<u8>) -> Vec<u8> {
    let from = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    if protocol == Protocol::ICMPV6 && body.len() >= 4 {
        body[2..4].fill(0);
        let ends = (Addr::from(IpAddr::from(from)), Addr::from(IpAddr::from(V6)));
        let sum = checksum::segment(ends.0, ends.1, protocol, &body);
        body[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    let [a, b] = (body.len() as u16).to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, a, b, protocol.0, hops];
    packet.extend(from.octets());
    packet.extend(V6.octets());
    packet.extend(body);
    packet
}

/// A small reassembler and what became of what it was given.
struct Fragments {
    reassembler: Reassembler,
    now: u64,
    given: u64,
    gone: u64,
}

const SLOTS: usize = 4;
const TIMEOUT: u64 = 30_000_000;

impl Fragments {
    fn new() -> Self {
        Self { reassembler: Reassembler::new(SLOTS, TIMEOUT, 9000), now: 0, given: 0, gone: 0 }
    }

    fn push(&mut self, packet: &[u8]) {
        self.given += 1;
        match self.reassembler.push(self.now, 0, packet) {
            Outcome::Complete { packet, fragments } => {
                assert!(packet.len() <= 9000);
                self.gone += u64::from(fragments);
                // What was put together is read like any other packet, and is no fragment any more.
                let parsed = packet::parse(packet, 0, RxChecksum::GOOD);
                assert!(!matches!(parsed, Ok(Parsed::Fragment(_))), "{packet:x?}");
            }
            Outcome::Held => {}
            Outcome::Dropped { fragments, .. } => self.gone += u64::from(fragments),
        }
        self.check();
    }

    fn wait(&mut self, micros: u64) {
        self.now += micros;
        self.gone += self.reassembler.expire(self.now);
        self.check();
    }

    fn check(&self) {
        assert_eq!(self.given, self.gone + self.reassembler.held(), "every fragment is counted once");
        assert!(self.reassembler.datagrams() <= SLOTS);
    }

    fn end(&mut self) {
        self.wait(TIMEOUT);
        assert_eq!((self.reassembler.held(), self.reassembler.datagrams()), (0, 0), "all given up in time");
    }
}
