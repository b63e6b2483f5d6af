//! Captures made by hand: packets of TCP connections in files of every kind.

use std::net::Ipv4Addr;

pub(crate) const CLIENT: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 0, 0, 1), 40_000);
pub(crate) const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 0, 0, 2), 80);

/// 2026-01-01, in nanoseconds.
pub(crate) const BEGIN: u64 = 1_767_225_600_000_000_000;

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// IP packets and their times.
#[derive(Default, Clone)]
pub(crate) struct Talk {
    pub(crate) packets: Vec<(u64, Vec<u8>)>,
    next: [u32; 2],
    port: u16,
}

impl Talk {
    /// A connection that is open.
    pub(crate) fn open(port: u16) -> Self {
        let mut talk = Self { packets: Vec::new(), next: [1000, 5_000_000], port };
        talk.segment(0, SYN, b"");
        talk.segment(1, SYN | ACK, b"");
        talk.segment(0, ACK, b"");
        talk
    }

    /// The client says something, in segments of at most 1000 bytes.
    pub(crate) fn ask(mut self, bytes: &[u8]) -> Self {
        bytes.chunks(1000).for_each(|chunk| self.segment(0, ACK, chunk));
        self
    }

    pub(crate) fn answer(self, bytes: &[u8]) -> Self {
        self.answer_in(1000, bytes)
    }

    /// The same in segments of another size.
    pub(crate) fn answer_in(mut self, most: usize, bytes: &[u8]) -> Self {
        bytes.chunks(most).for_each(|chunk| self.segment(1, ACK, chunk));
        self
    }

    /// Both sides are done.
    pub(crate) fn close(mut self) -> Self {
        self.segment(0, FIN | ACK, b"");
        self.segment(1, FIN | ACK, b"");
        self.segment(0, ACK, b"");
        self
    }

    /// Each packet is a millisecond behind the one before.
    fn segment(&mut self, side: usize, flags: u8, payload: &[u8]) {
        let client = (CLIENT.0, self.port);
        let (from, to) = if side == 0 { (client, SERVER) } else { (SERVER, client) };
        let mut tcp = Vec::new();
        tcp.extend(from.1.to_be_bytes());
        tcp.extend(to.1.to_be_bytes());
        tcp.extend(self.next[side].to_be_bytes());
        let acknowledged = if flags & ACK == 0 { 0 } else { self.next[1 - side] };
        tcp.extend(acknowledged.to_be_bytes());
        tcp.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(payload);
        let mut ip = vec![0x45, 0];
        ip.extend((20 + tcp.len() as u16).to_be_bytes());
        ip.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        ip.extend(from.0.octets());
        ip.extend(to.0.octets());
        let sum: u32 = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        ip.extend(tcp);
        self.next[side] += payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        let time = BEGIN + 1_000_000 * self.packets.len() as u64;
        self.packets.push((time, ip));
    }
}

/// What a file is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) big: bool,
    /// Nanoseconds, or microseconds.
    pub(crate) nanos: bool,
    pub(crate) link: u32,
}

/// Ethernet frames with a VLAN tag.
pub(crate) const TAGGED: u32 = u32::MAX;

impl Kind {
    fn u16(self, value: u16) -> [u8; 2] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn frame(self, ip: &[u8]) -> Vec<u8> {
        let head: &[u8] = match self.link {
            1 => &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0],
            // With a VLAN tag; no number of a link.
            TAGGED => &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 6, 8, 0],
            0 => &[2, 0, 0, 0],
            101 => &[],
            113 => &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0],
            276 => &[8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0],
            _ => panic!("no such link"),
        };
        [head, ip].concat()
    }

    pub(crate) fn pcap(self, packets: &[(u64, Vec<u8>)]) -> Vec<u8> {
        let magic = if self.nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut file = self.u32(magic).to_vec();
        file.extend(self.u16(2));
        file.extend(self.u16(4));
        file.extend([0; 8]);
        file.extend(self.u32(65_535));
        file.extend(self.u32(if self.link == TAGGED { 1 } else { self.link }));
        for (time, ip) in packets {
            let frame = self.frame(ip);
            let fraction = time % 1_000_000_000 / if self.nanos { 1 } else { 1000 };
            file.extend(self.u32((time / 1_000_000_000) as u32));
            file.extend(self.u32(fraction as u32));
            file.extend(self.u32(frame.len() as u32));
            file.extend(self.u32(frame.len() as u32));
            file.extend(frame);
        }
        file
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let length = self.u32(12 + body.len().next_multiple_of(4) as u32);
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        [&self.u32(kind)[..], &length, body, &padding, &length].concat()
    }

    /// With a block that nobody knows, and an interface whose link nobody knows, in front.
    pub(crate) fn pcapng(self, packets: &[(u64, Vec<u8>)]) -> Vec<u8> {
        let section = [&self.u32(0x1a2b_3c4d)[..], &self.u16(1), &self.u16(0), &[0xff; 8]].concat();
        let mut file = self.block(0x0a0d_0d0a, &section);
        file.extend(self.block(0x8000_0001, b"whatever"));
        let interface = |link: u32, options: &[u8]| {
            [&self.u16(link as u16)[..], &[0, 0], &self.u32(65_535), options].concat()
        };
        file.extend(self.block(1, &interface(147, &[])));
        let resolution = if self.nanos { [9, 0, 0, 0] } else { [6, 0, 0, 0] };
        let options =
            [&self.u16(2)[..], &self.u16(3), b"lo\0\0", &self.u16(9), &self.u16(1), &resolution, &[0; 4]]
                .concat();
        file.extend(self.block(1, &interface(self.link, &options)));
        // A packet of the interface whose link nobody knows, and of which there was more.
        let foreign = [&[0; 12][..], &self.u32(4), &self.u32(9), b"what"].concat();
        file.extend(self.block(6, &foreign));
        for (time, ip) in packets {
            let frame = self.frame(ip);
            let stamp = time / if self.nanos { 1 } else { 1000 };
            let mut body = self.u32(1).to_vec();
            body.extend(self.u32((stamp >> 32) as u32));
            body.extend(self.u32(stamp as u32));
            body.extend(self.u32(frame.len() as u32));
            body.extend(self.u32(frame.len() as u32));
            body.extend(frame);
            file.extend(self.block(6, &body));
        }
        file
    }
}
