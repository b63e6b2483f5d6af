//! A capture file made up from what is kept of a flow: its bytes, in Ethernet, IP and TCP headers that fit together.
//!
//! Invariant: sequence numbers are positions in the streams, so that a tool which follows the stream finds the same
//! bytes in the same places, and a gap where there is one.

use std::collections::VecDeque;

use hyper::body::Bytes;

use crate::event::{Direction, End};
use crate::mask::Lines;
use crate::store::{Flow, Piece, PieceKind};

/// The file's magic number for nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
const LINKTYPE_ETHERNET: u32 = 1;
/// Bytes of the stream in one segment.
const SEGMENT: usize = 1400;
/// About how many bytes are made at a time.
const CHUNK: usize = 64 << 10;
/// Initial sequence numbers of client and server.
const FIRST: [u32; 2] = [1_000_000, 2_000_000];
const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// The bytes of the file, made as they are asked for.
pub(crate) struct Capture {
    ends: [End; 2],
    vlan: u16,
    pieces: VecDeque<Piece>,
    /// `None`: credentials are left as they are.
    masks: Option<[Lines; 2]>,
    /// Offsets in the streams behind what was written.
    next: [u64; 2],
    /// Whether the last piece was a gap.
    behind_gap: [bool; 2],
    begin: bool,
    handshake: bool,
    first: u64,
    /// When it ended and how, if it did.
    end: Option<(u64, String)>,
}

impl Capture {
    /// The capture of `flow`, with credentials only if they are to be revealed.
    pub(crate) fn new(flow: &Flow, reveal: bool) -> Self {
        let origin = flow.origin();
        let front = |direction: Direction| {
            let first = flow.pieces.iter().find(|piece| piece.direction == direction);
            first.map_or(0, |piece| piece.offset)
        };
        let next = [front(Direction::Client), front(Direction::Server)];
        Self {
            ends: [origin.client, origin.server],
            vlan: flow.vlan,
            pieces: flow.pieces.clone(),
            masks: (!reveal).then(Default::default),
            next,
            behind_gap: [false; 2],
            begin: true,
            // A handshake in front of bytes in the middle would claim that these are the first ones.
            handshake: flow.midstream == Some(false) && next == [0, 0],
            first: flow.first,
            end: flow.close.as_ref().map(|close| (flow.last, close.reason.clone())),
        }
    }

    fn piece(&mut self, piece: Piece, out: &mut Vec<u8>) {
        let side = piece.direction.index();
        match piece.kind {
            PieceKind::Gap(..) => {
                if let Some(masks) = &mut self.masks {
                    masks[side].gap();
                }
                self.behind_gap[side] = true;
            }
            PieceKind::Data(ref bytes) => {
                self.next[side] = piece.offset;
                let masked = self.masks.as_mut().map(|masks| {
                    let mut copy = bytes.to_vec();
                    masks[side].mask(&mut copy);
                    copy
                });
                for part in masked.as_deref().unwrap_or(bytes).chunks(SEGMENT) {
                    self.packet(out, piece.time, piece.direction, PSH | ACK, part);
                    self.next[side] += part.len() as u64;
                }
            }
        }
        self.next[side] = piece.offset.saturating_add(piece.length());
        if matches!(piece.kind, PieceKind::Data(_)) && core::mem::take(&mut self.behind_gap[side]) {
            // Once what is behind a gap is acknowledged, tools wait for nothing more, and show the gap.
            self.packet(out, piece.time, piece.direction.other(), ACK, &[]);
        }
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        use Direction::{Client, Server};
        let numbers = |side: usize, more: u32| FIRST[side].wrapping_add(more);
        self.raw(out, self.first, Client, SYN, [numbers(0, 0), 0], &[]);
        self.raw(out, self.first, Server, SYN | ACK, [numbers(1, 0), numbers(0, 1)], &[]);
        self.raw(out, self.first, Client, ACK, [numbers(0, 1), numbers(1, 1)], &[]);
    }

    fn close(&mut self, out: &mut Vec<u8>, time: u64, reason: &str) {
        use Direction::{Client, Server};
        match reason {
            "fin" => {
                self.packet(out, time, Client, FIN | ACK, &[]);
                self.next[0] += 1;
                self.packet(out, time, Server, FIN | ACK, &[]);
                self.next[1] += 1;
                self.packet(out, time, Client, ACK, &[]);
            }
            "reset" => self.packet(out, time, Server, RST | ACK, &[]),
            // Nobody said good-bye.
            _ => {}
        }
    }

    /// A packet at the current offsets.
    fn packet(&self, out: &mut Vec<u8>, time: u64, from: Direction, flags: u8, payload: &[u8]) {
        // Sequence numbers wrap as TCP's do.
        let number = |direction: Direction| {
            let side = direction.index();
            FIRST[side].wrapping_add(1).wrapping_add(self.next[side] as u32)
        };
        self.raw(out, time, from, flags, [number(from), number(from.other())], payload);
    }

    fn raw(
        &self,
        out: &mut Vec<u8>,
        time: u64,
        from: Direction,
        flags: u8,
        numbers: [u32; 2],
        payload: &[u8],
    ) {
        let (own, peer) = (self.ends[from.index()], self.ends[from.other().index()]);
        let mut tcp = Vec::with_capacity(20 + payload.len());
        tcp.extend(own.port.to_be_bytes());
        tcp.extend(peer.port.to_be_bytes());
        tcp.extend(numbers[0].to_be_bytes());
        tcp.extend(numbers[1].to_be_bytes());
        tcp.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(payload);
        let (ethertype, packet) = ip(own, peer, &mut tcp);
        let mut frame = Vec::with_capacity(18 + packet.len());
        frame.extend(MACS[from.other().index()]);
        frame.extend(MACS[from.index()]);
        if self.vlan != 0 {
            frame.extend([0x81, 0]);
            frame.extend(self.vlan.to_be_bytes());
        }
        frame.extend(ethertype);
        frame.extend(packet);
        // The file's times have 32 bits for seconds, until 2106.
        for word in [(time / 1_000_000_000) as u32, (time % 1_000_000_000) as u32] {
            out.extend(word.to_le_bytes());
        }
        let length = frame.len() as u32;
        out.extend(length.to_le_bytes());
        out.extend(length.to_le_bytes());
        out.extend(frame);
    }
}

impl Iterator for Capture {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::with_capacity(CHUNK);
        if core::mem::take(&mut self.begin) {
            out.extend(MAGIC.to_le_bytes());
            out.extend([2, 0, 4, 0]);
            for word in [0, 0, 0x4_0000, LINKTYPE_ETHERNET] {
                out.extend(word.to_le_bytes());
            }
            if self.handshake {
                self.open(&mut out);
            }
        }
        while out.len() < CHUNK {
            if let Some(piece) = self.pieces.pop_front() {
                self.piece(piece, &mut out);
            } else {
                if let Some((time, reason)) = self.end.take() {
                    self.close(&mut out, time, &reason);
                }
                break;
            }
        }
        (!out.is_empty()).then(|| out.into())
    }
}

/// The IP packet around a TCP segment, whose checksum is filled in, and its EtherType.
fn ip(own: End, peer: End, tcp: &mut [u8]) -> ([u8; 2], Vec<u8>) {
    use std::net::IpAddr::{V4, V6};
    let length = tcp.len() as u16;
    let mut packet = Vec::with_capacity(40 + tcp.len());
    let (ethertype, addresses) = match (own.address, peer.address) {
        (V4(own), V4(peer)) => {
            let addresses = [own.octets(), peer.octets()].concat();
            packet.extend([0x45, 0]);
            packet.extend((20 + length).to_be_bytes());
            packet.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
            packet.extend(&addresses);
            let sum = checksum(&[&packet]);
            packet[10..12].copy_from_slice(&sum);
            ([8, 0], addresses)
        }
        (own, peer) => {
            let wide = |address| match address {
                V4(address) => address.to_ipv6_mapped().octets(),
                V6(address) => address.octets(),
            };
            let addresses = [wide(own), wide(peer)].concat();
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(length.to_be_bytes());
            packet.extend([6, 64]);
            packet.extend(&addresses);
            ([0x86, 0xdd], addresses)
        }
    };
    let [high, low] = length.to_be_bytes();
    let sum = checksum(&[&addresses, &[0, 6, high, low], tcp]);
    tcp[16..18].copy_from_slice(&sum);
    packet.extend_from_slice(tcp);
    (ethertype, packet)
}

/// The checksum of RFC 1071; all parts but the last have even lengths.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let mut sum = 0_u64;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or_default()]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests;
