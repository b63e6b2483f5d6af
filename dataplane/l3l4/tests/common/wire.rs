//! Packets by hand: what no well-behaved client would send, and reading what comes back.

use l3l4::checksum;
use l3l4::{Addr, Protocol};
use std::collections::HashMap;
use std::net::IpAddr;

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

/// A TCP segment, to be changed and built.
#[derive(Clone, Debug)]
pub struct Seg {
    pub from: IpAddr,
    pub to: IpAddr,
    pub sport: u16,
    pub dport: u16,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub options: Vec<u8>,
    pub data: Vec<u8>,
}

pub fn seg(dport: u16, flags: u8, seq: u32, ack: u32) -> Seg {
    Seg {
        from: IpAddr::from([10, 0, 0, 1]),
        to: IpAddr::from([10, 0, 0, 2]),
        sport: 40_000,
        dport,
        seq,
        ack,
        flags,
        window: 60_000,
        options: vec![],
        data: vec![],
    }
}

impl Seg {
    pub fn data(mut self, data: &[u8]) -> Self {
        self.data = data.to_vec();
        self
    }

    pub fn sport(mut self, port: u16) -> Self {
        self.sport = port;
        self
    }

    pub fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }

    pub fn options(mut self, options: &[u8]) -> Self {
        self.options = options.to_vec();
        self
    }

    pub fn ends(mut self, from: &str, to: &str) -> Self {
        self.from = from.parse().unwrap();
        self.to = to.parse().unwrap();
        self
    }

    pub fn build(&self) -> Vec<u8> {
        assert_eq!(self.options.len() % 4, 0);
        let mut tcp = vec![];
        tcp.extend(self.sport.to_be_bytes());
        tcp.extend(self.dport.to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        tcp.extend([((20 + self.options.len()) as u8 / 4) << 4, self.flags]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(&self.options);
        tcp.extend(&self.data);
        ip(self.from, self.to, Protocol::TCP, tcp, 16)
    }
}

/// Wraps a payload whose checksum lies at `at` into an IP packet.
pub fn ip(from: IpAddr, to: IpAddr, protocol: Protocol, mut l4: Vec<u8>, at: usize) -> Vec<u8> {
    let (a, b) = (Addr::from(from), Addr::from(to));
    let sum = checksum::segment(a, b, protocol, &l4);
    l4[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![];
    if a.is_v4() {
        let len = (20 + l4.len()) as u16;
        packet.extend([0x45, 0]);
        packet.extend(len.to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, protocol.0, 0, 0]);
        packet.extend(a.v4_octets());
        packet.extend(b.v4_octets());
        let sum = checksum::header(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        packet.extend([0x60, 0, 0, 0]);
        packet.extend((l4.len() as u16).to_be_bytes());
        packet.extend([protocol.0, 64]);
        packet.extend(a.octets());
        packet.extend(b.octets());
    }
    packet.extend(l4);
    packet
}

pub fn udp(from: &str, to: &str, sport: u16, dport: u16, data: &[u8]) -> Vec<u8> {
    let mut l4 = vec![];
    l4.extend(sport.to_be_bytes());
    l4.extend(dport.to_be_bytes());
    l4.extend(((8 + data.len()) as u16).to_be_bytes());
    l4.extend([0, 0]);
    l4.extend(data);
    ip(from.parse().unwrap(), to.parse().unwrap(), Protocol::UDP, l4, 6)
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub options: Vec<u8>,
    pub data: Vec<u8>,
}

/// Reads a TCP packet with no IP options; its checksums must be right.
pub fn got(packet: &[u8]) -> Got {
    let l3 = if packet[0] >> 4 == 4 { 20 } else { 40 };
    assert!(verifies(packet), "checksum of {packet:x?}");
    let tcp = &packet[l3..];
    let word = |at: usize| u32::from_be_bytes(tcp[at..at + 4].try_into().unwrap());
    let header = usize::from(tcp[12] >> 4) * 4;
    Got {
        seq: word(4),
        ack: word(8),
        flags: tcp[13],
        window: (word(12) & 0xffff) as u16,
        options: tcp[20..header].to_vec(),
        data: tcp[header..].to_vec(),
    }
}

/// Whether smoltcp finds all checksums of a TCP or UDP packet right.
pub fn verifies(packet: &[u8]) -> bool {
    use smoltcp::wire::{IpAddress, Ipv4Packet, Ipv6Packet, TcpPacket};
    let (from, to, next, payload): (IpAddress, IpAddress, u8, &[u8]) = if packet[0] >> 4 == 4 {
        let ip = Ipv4Packet::new_checked(packet).unwrap();
        if !ip.verify_checksum() {
            return false;
        }
        (ip.src_addr().into(), ip.dst_addr().into(), ip.next_header().into(), &packet[20..])
    } else {
        let ip = Ipv6Packet::new_checked(packet).unwrap();
        (ip.src_addr().into(), ip.dst_addr().into(), ip.next_header().into(), &packet[40..])
    };
    match next {
        6 => TcpPacket::new_checked(payload).unwrap().verify_checksum(&from, &to),
        17 => {
            // smoltcp's UDP is not compiled in: by the book.
            let ends = |a: IpAddress| match a {
                IpAddress::Ipv4(a) => Addr::from(a),
                IpAddress::Ipv6(a) => Addr::from(a),
            };
            checksum::verify(ends(from), ends(to), Protocol::UDP, payload)
        }
        other => panic!("protocol {other}"),
    }
}

/// Takes the SACK-permitted option out of a SYN.
pub fn hide_sack(packet: &mut [u8]) {
    let l3 = if packet[0] >> 4 == 4 { 20 } else { 40 };
    if packet[l3 + 13] & SYN == 0 {
        return;
    }
    let end = l3 + usize::from(packet[l3 + 12] >> 4) * 4;
    let mut at = l3 + 20;
    while at + 1 < end && packet[at] != 0 {
        match packet[at] {
            1 => at += 1,
            4 => {
                packet[at..at + 2].fill(1);
                at += 2;
            }
            _ => at += usize::from(packet[at + 1]),
        }
    }
    seal(packet, l3);
}

/// What a client connection, by its port, last said: acknowledgment number and window field.
pub type Said = HashMap<u16, ([u8; 4], [u8; 2])>;

/// smoltcp forgets what window a keepalive of its told; of a segment that fills it, it then cuts the end away but
/// takes the FIN behind. So a keepalive says again what was said before.
pub fn mend_keepalive(packet: &mut [u8], said: &mut Said) {
    let (l3, protocol) = if packet[0] >> 4 == 4 { (20, packet[9]) } else { (40, packet[6]) };
    if protocol != 6 {
        return;
    }
    let data = l3 + usize::from(packet[l3 + 12] >> 4) * 4;
    let port = u16::from_be_bytes([packet[l3], packet[l3 + 1]]);
    let ack: [u8; 4] = packet[l3 + 8..l3 + 12].try_into().unwrap();
    match said.get(&port) {
        Some((last, window)) if packet[data..] == [0] && packet[l3 + 13] == ACK && ack == *last => {
            packet[l3 + 14..l3 + 16].copy_from_slice(window);
            seal(packet, l3);
        }
        _ => _ = said.insert(port, (ack, packet[l3 + 14..l3 + 16].try_into().unwrap())),
    }
}

/// Puts the checksum of a TCP segment right.
fn seal(packet: &mut [u8], l3: usize) {
    packet[l3 + 16..l3 + 18].fill(0);
    let address = |at: usize| {
        if l3 == 20 {
            IpAddr::from(<[u8; 4]>::try_from(&packet[12 + 4 * at..16 + 4 * at]).unwrap())
        } else {
            IpAddr::from(<[u8; 16]>::try_from(&packet[8 + 16 * at..24 + 16 * at]).unwrap())
        }
    };
    let sum = checksum::segment(Addr::from(address(0)), Addr::from(address(1)), Protocol::TCP, &packet[l3..]);
    packet[l3 + 16..l3 + 18].copy_from_slice(&sum.to_be_bytes());
}
