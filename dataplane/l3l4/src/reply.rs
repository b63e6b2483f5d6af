//! Packets the engine writes by itself, without a socket: RST, bare ACK, UDP answers, ICMP errors.
//!
//! Invariant: an RST never answers an RST, an ICMP error never answers an ICMP error or a packet that was not for
//! one host (RFC 1122 section 3.2.2), and each kind has its own rate limit, kept by the caller.

use crate::checksum;
use crate::compose::Segment;
use crate::key::{FlowKey, Protocol};
use crate::packet::{Headers, flags};
use crate::record::option;

/// Writes an IPv4 or IPv6 header (no options, DF set, TTL 64) for `payload_len` bytes from `key.local` to
/// `key.remote`; returns its length. Checksums are filled in later.
#[inline]
pub(crate) fn ip_header(buffer: &mut [u8], key: &FlowKey, protocol: Protocol, payload_len: usize) -> usize {
    if key.local.is_v4() {
        let len = (20 + payload_len) as u16;
        buffer[..10].copy_from_slice(&[0x45, 0, (len >> 8) as u8, len as u8, 0, 0, 0x40, 0, 64, protocol.0]);
        buffer[10..12].fill(0);
        buffer[12..16].copy_from_slice(&key.local.v4_octets());
        buffer[16..20].copy_from_slice(&key.remote.v4_octets());
        20
    } else {
        let len = payload_len as u16;
        buffer[..8].copy_from_slice(&[0x60, 0, 0, 0, (len >> 8) as u8, len as u8, protocol.0, 64]);
        buffer[8..24].copy_from_slice(&key.local.octets());
        buffer[24..40].copy_from_slice(&key.remote.octets());
        40
    }
}

/// The options of a SYN or SYN-ACK of ours.
pub(crate) struct SynOptions {
    bytes: [u8; 12],
    len: usize,
}

impl SynOptions {
    /// Our MSS, and what `offered` (bits of [`option`]) says of the rest.
    pub(crate) fn new(offered: u8, mss: u16, shift: u8) -> Self {
        let mut options = Self { bytes: [0; 12], len: 4 };
        options.bytes[..4].copy_from_slice(&[2, 4, (mss >> 8) as u8, mss as u8]);
        if offered & option::SCALE != 0 {
            options.push([1, 3, 3, shift]);
        }
        if offered & option::SACK != 0 {
            options.push([1, 1, 4, 2]);
        }
        options
    }

    fn push(&mut self, four: [u8; 4]) {
        self.bytes[self.len..self.len + 4].copy_from_slice(&four);
        self.len += 4;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Writes a segment, checksums left out; returns the packet's length and that of its IP header.
pub(crate) fn segment(buffer: &mut [u8], key: &FlowKey, s: &Segment<'_>) -> (usize, usize) {
    let header_len = 20 + s.options.len();
    let l3_len = ip_header(buffer, key, Protocol::TCP, header_len + s.data.len());
    let (tcp, rest) = buffer[l3_len..].split_at_mut(header_len);
    tcp[0..2].copy_from_slice(&key.local_port.to_be_bytes());
    tcp[2..4].copy_from_slice(&key.remote_port.to_be_bytes());
    tcp[4..8].copy_from_slice(&s.seq.to_be_bytes());
    tcp[8..12].copy_from_slice(&s.ack.to_be_bytes());
    tcp[12..14].copy_from_slice(&[(header_len as u8) << 2, s.control]);
    tcp[14..16].copy_from_slice(&s.window.to_be_bytes());
    tcp[16..20].fill(0);
    tcp[20..].copy_from_slice(s.options);
    rest[..s.data.len()].copy_from_slice(s.data);
    (l3_len + header_len + s.data.len(), l3_len)
}

/// Numbers of the RST that answers a segment nobody expects (RFC 9293 section 3.10.7.1).
pub(crate) fn rst_numbers(h: &Headers) -> (u32, u32, u8) {
    if h.flags & flags::ACK != 0 {
        (h.ack, 0, flags::RST)
    } else {
        (0, h.seq.wrapping_add(h.segment_len()), flags::RST | flags::ACK)
    }
}

/// Writes a UDP header for `len` bytes of payload already at their place; returns the packet's length and that of
/// its IP header.
#[inline]
pub(crate) fn datagram(buffer: &mut [u8], key: &FlowKey, len: usize) -> (usize, usize) {
    let l3_len = ip_header(buffer, key, Protocol::UDP, 8 + len);
    let udp = &mut buffer[l3_len..l3_len + 8];
    udp[0..2].copy_from_slice(&key.local_port.to_be_bytes());
    udp[2..4].copy_from_slice(&key.remote_port.to_be_bytes());
    udp[4..6].copy_from_slice(&((8 + len) as u16).to_be_bytes());
    udp[6..8].fill(0);
    (l3_len + 8 + len, l3_len)
}

/// Why a packet could not be delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreachable {
    /// Nothing listens on that port.
    Port,
    /// Nothing serves that protocol.
    Protocol,
}

/// Writes an ICMP destination unreachable (RFC 792, RFC 1812 section 4.3.2.3) or its ICMPv6 sibling (RFC 4443
/// sections 3.1 and 3.4) about `packet`; returns its length. All checksums are filled in.
pub(crate) fn unreachable(buffer: &mut [u8], packet: &[u8], h: &Headers, why: Unreachable) -> usize {
    let v4 = h.is_v4();
    // As much of the packet as keeps the error within what every link carries.
    let (most, (kind, code)) = match (v4, why) {
        (true, Unreachable::Port) => (576 - 28, (3, 3)),
        (true, Unreachable::Protocol) => (576 - 28, (3, 2)),
        (false, Unreachable::Port) => (1280 - 48, (1, 4)),
        (false, Unreachable::Protocol) => (1280 - 48, (4, 1)),
    };
    let most = most.min(buffer.len() - if v4 { 28 } else { 48 });
    let quote = &packet[..usize::from(h.end).min(most)];
    let protocol = if v4 { Protocol::ICMP } else { Protocol::ICMPV6 };
    let len = 8 + quote.len();
    let l3_len = ip_header(buffer, &h.key, protocol, len);
    let icmp = &mut buffer[l3_len..l3_len + len];
    icmp[..8].copy_from_slice(&[kind, code, 0, 0, 0, 0, 0, 0]);
    if (v4, why) == (false, Unreachable::Protocol) {
        // The pointer names the next-header field that was not understood: that of the fixed header.
        icmp[7] = 6;
    }
    icmp[8..].copy_from_slice(quote);
    let value = if v4 {
        checksum::header(icmp)
    } else {
        checksum::segment(h.key.local, h.key.remote, protocol, icmp)
    };
    icmp[2..4].copy_from_slice(&value.to_be_bytes());
    if v4 {
        let value = checksum::header(&buffer[..20]);
        buffer[10..12].copy_from_slice(&value.to_be_bytes());
    }
    l3_len + len
}
