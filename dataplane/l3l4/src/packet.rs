//! Reading an IP packet once: addresses, ports, flags and lengths, checked, in one small struct.
//!
//! Invariant: the offsets of a [`Headers`] lie inside the packet it was read from, in order, so code behind it
//! may slice without looking again. What is malformed, or comes from an address no network carries, is named as a
//! [`DropReason`] and never gets further.

use crate::drop::DropReason;
use crate::key::{Addr, FlowKey, Protocol};
use crate::{checksum, martian, plain, tcp_options};

/// TCP header flags.
pub mod flags {
    #![allow(missing_docs)]
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;
    pub const URG: u8 = 0x20;
}

/// What [`parse`] read from one packet. Offsets are in bytes from the packet's first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers {
    /// The five-tuple; ports are 0 for protocols other than TCP and UDP.
    pub key: FlowKey,
    /// Where the packet ends: padding after it does not count.
    pub end: u16,
    /// Where the transport header starts.
    pub l4: u16,
    /// Where the transport payload starts.
    pub payload: u16,
    /// Where the transport payload ends (a UDP length may say less than the IP header).
    pub payload_end: u16,
    /// TCP sequence number.
    pub seq: u32,
    /// TCP acknowledgment number.
    pub ack: u32,
    /// TCP window field, unscaled.
    pub window: u16,
    /// TCP flags; see [`flags`].
    pub flags: u8,
    /// Window scale option of a SYN.
    pub window_scale: Option<u8>,
    /// Maximum segment size option of a SYN.
    pub mss: Option<u16>,
    /// Whether a SYN offers selective acknowledgments (RFC 2018 section 2).
    pub sack: bool,
    /// Whether IPv6 extension headers lie between the fixed header and `l4`.
    pub extensions: bool,
}

impl Headers {
    /// Length of the transport payload in bytes.
    #[inline]
    #[must_use]
    pub const fn payload_len(&self) -> usize {
        (self.payload_end - self.payload) as usize
    }

    /// Length in sequence space: payload, and one each for SYN and FIN.
    #[inline]
    #[must_use]
    pub const fn segment_len(&self) -> u32 {
        self.payload_len() as u32 + (self.flags & flags::FIN) as u32 + ((self.flags & flags::SYN) >> 1) as u32
    }

    /// Whether the packet is IPv4.
    #[inline]
    #[must_use]
    pub const fn is_v4(&self) -> bool {
        self.key.local.is_v4()
    }
}

/// What a packet turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// A whole TCP, UDP, ICMP or ICMPv6 packet (the latter two with only addresses and offsets read).
    Whole,
    /// A fragment, to be reassembled before it can be read further.
    Fragment,
    /// A whole packet of a protocol that is not served.
    Other,
}

/// A [`Class`] with the headers that were read.
#[derive(Clone, Copy, Debug)]
pub enum Parsed {
    /// A whole TCP, UDP, ICMP or ICMPv6 packet (the latter two with only addresses and offsets read).
    Whole(Headers),
    /// A fragment, to be reassembled before it can be read further.
    Fragment(Headers),
    /// A whole packet of a protocol that is not served.
    Other(Headers),
}

/// What is known about a packet's checksums before it is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RxChecksum {
    /// The IPv4 header checksum has been verified already.
    pub ip_good: bool,
    /// The TCP or UDP checksum has been verified already.
    pub l4_good: bool,
    /// Addresses that no packet from a network carries are taken as they are: the packet is of a capture.
    pub any_address: bool,
}

impl RxChecksum {
    /// Both verified (or not to be looked at).
    pub const GOOD: Self = Self { ip_good: true, l4_good: true, any_address: false };
}

#[inline]
pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[inline]
pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Reads and checks one IP packet that came in on `link`.
///
/// # Errors
/// The reason for which the packet must be dropped.
#[inline]
pub fn parse(packet: &[u8], link: u32, known: RxChecksum) -> Result<Parsed, DropReason> {
    let mut headers = Headers::default();
    Ok(match read(packet, link, known, &mut headers)? {
        Class::Whole => Parsed::Whole(headers),
        Class::Fragment => Parsed::Fragment(headers),
        Class::Other => Parsed::Other(headers),
    })
}

/// [`parse`] into a place that the caller keeps: a burst is read without moving what was read. With an error,
/// `headers` holds nothing of use.
///
/// # Errors
/// The reason for which the packet must be dropped.
#[inline]
pub fn read(packet: &[u8], link: u32, known: RxChecksum, headers: &mut Headers) -> Result<Class, DropReason> {
    if plain::read(packet, link, known, headers) {
        return Ok(Class::Whole);
    }
    read_long(packet, link, known, headers)
}

/// [`read`] without the short cut for plain packets.
#[inline]
pub(crate) fn read_long(
    packet: &[u8],
    link: u32,
    known: RxChecksum,
    headers: &mut Headers,
) -> Result<Class, DropReason> {
    match packet.first() {
        Some(first) if first >> 4 == 4 => read_v4(packet, link, known, headers),
        Some(first) if first >> 4 == 6 => read_v6(packet, link, known, headers),
        Some(_) => Err(DropReason::IpVersion),
        None => Err(DropReason::IpTruncated),
    }
}

#[inline]
fn read_v4(packet: &[u8], link: u32, known: RxChecksum, headers: &mut Headers) -> Result<Class, DropReason> {
    // One length check for the fixed part; the compiler drops the rest.
    let Some(fixed) = packet.first_chunk::<20>() else { return Err(DropReason::IpTruncated) };
    let header_len = usize::from(fixed[0] & 0x0f) * 4;
    let total = usize::from(be16(fixed, 2));
    if header_len < 20 {
        return Err(DropReason::IpVersion);
    }
    if total < header_len || total > packet.len() {
        return Err(DropReason::IpTruncated);
    }
    if !known.ip_good && !checksum::is_intact(&packet[..header_len]) {
        return Err(DropReason::IpChecksum);
    }
    let source = [fixed[12], fixed[13], fixed[14], fixed[15]];
    let destination = [fixed[16], fixed[17], fixed[18], fixed[19]];
    if martian::v4(source, destination) && !known.any_address {
        return Err(DropReason::Martian);
    }
    if header_len > 20 && !options_v4(&packet[20..header_len]) {
        return Err(DropReason::IpOptions);
    }
    *headers = Headers {
        key: FlowKey {
            remote: Addr::v4(source),
            local: Addr::v4(destination),
            protocol: Protocol(fixed[9]),
            link,
            ..FlowKey::default()
        },
        end: total as u16,
        l4: header_len as u16,
        payload: header_len as u16,
        payload_end: total as u16,
        ..Headers::default()
    };
    if be16(fixed, 6) & 0x3fff != 0 {
        return Ok(Class::Fragment);
    }
    read_l4(packet, headers, known)
}

/// Walks IPv4 options (RFC 791 section 3.1). False where they are malformed or route the packet (RFC 7126).
fn options_v4(mut options: &[u8]) -> bool {
    while let [kind, rest @ ..] = options {
        match *kind {
            0 => return true,
            1 => options = rest,
            // Loose and strict source route.
            131 | 137 => return false,
            _ => match rest.first() {
                Some(&len) if len >= 2 && usize::from(len) <= options.len() => {
                    options = &options[usize::from(len)..];
                }
                _ => return false,
            },
        }
    }
    true
}

#[inline]
fn read_v6(packet: &[u8], link: u32, known: RxChecksum, headers: &mut Headers) -> Result<Class, DropReason> {
    let Some(fixed) = packet.first_chunk::<40>() else { return Err(DropReason::IpTruncated) };
    let total = 40 + usize::from(be16(fixed, 4));
    if total > packet.len() || total > usize::from(u16::MAX) {
        return Err(DropReason::IpTruncated);
    }
    let mut source = [0; 16];
    let mut destination = [0; 16];
    source.copy_from_slice(&fixed[8..24]);
    destination.copy_from_slice(&fixed[24..40]);
    let (source, destination) = (Addr::v6(source), Addr::v6(destination));
    if martian::v6(source, destination) && !known.any_address {
        return Err(DropReason::Martian);
    }
    *headers = Headers {
        key: FlowKey { remote: source, local: destination, link, ..FlowKey::default() },
        end: total as u16,
        payload_end: total as u16,
        ..Headers::default()
    };
    let mut next = fixed[6];
    let mut at = 40;
    if !matches!(next, 6 | 17 | 58) {
        let walked = crate::extension::walk(&packet[..total], next)?;
        (next, at) = (walked.next, walked.at);
        headers.extensions = at > 40;
        if walked.fragment {
            headers.key.protocol = Protocol(next);
            (headers.l4, headers.payload) = (at as u16, at as u16);
            return Ok(Class::Fragment);
        }
    }
    headers.key.protocol = Protocol(next);
    (headers.l4, headers.payload) = (at as u16, at as u16);
    read_l4(packet, headers, known)
}

#[inline(always)] // Called in three places and worth it in each: 25 instructions of every packet.
fn read_l4(packet: &[u8], headers: &mut Headers, known: RxChecksum) -> Result<Class, DropReason> {
    match headers.key.protocol {
        Protocol::TCP => read_tcp(packet, headers, known)?,
        Protocol::UDP => read_udp(packet, headers, known)?,
        Protocol::ICMP if headers.is_v4() => {}
        Protocol::ICMPV6 if !headers.is_v4() => {}
        _ => return Ok(Class::Other),
    }
    Ok(Class::Whole)
}

#[inline]
fn read_tcp(packet: &[u8], headers: &mut Headers, known: RxChecksum) -> Result<(), DropReason> {
    let segment = &packet[usize::from(headers.l4)..usize::from(headers.end)];
    let Some(fixed) = segment.first_chunk::<20>() else { return Err(DropReason::TcpTruncated) };
    let header_len = usize::from(fixed[12] >> 4) * 4;
    if header_len < 20 || header_len > segment.len() {
        return Err(DropReason::TcpTruncated);
    }
    headers.flags = fixed[13] & 0x3f;
    let control = headers.flags & (flags::SYN | flags::FIN | flags::RST);
    // No TCP sends two of SYN, FIN and RST together, nor a segment with neither one of them nor ACK.
    if control & control.wrapping_sub(1) != 0 || (control | headers.flags & flags::ACK) == 0 {
        return Err(DropReason::TcpFlags);
    }
    if !known.l4_good && !checksum::verify_between(ends(packet, headers), Protocol::TCP, segment) {
        return Err(DropReason::TcpChecksum);
    }
    headers.key.remote_port = be16(fixed, 0);
    headers.key.local_port = be16(fixed, 2);
    headers.seq = be32(fixed, 4);
    headers.ack = be32(fixed, 8);
    headers.window = be16(fixed, 14);
    headers.payload += header_len as u16;
    if header_len > 20 {
        let options = tcp_options::read(&segment[20..header_len]).ok_or(DropReason::TcpOptions)?;
        if headers.flags & flags::SYN != 0 {
            headers.mss = options.mss;
            headers.window_scale = options.window_scale;
            headers.sack = options.sack;
        }
    }
    ports_are_real(&headers.key)
}

#[inline]
fn read_udp(packet: &[u8], headers: &mut Headers, known: RxChecksum) -> Result<(), DropReason> {
    let datagram = &packet[usize::from(headers.l4)..usize::from(headers.end)];
    let Some(fixed) = datagram.first_chunk::<8>() else { return Err(DropReason::UdpTruncated) };
    let len = usize::from(be16(fixed, 4));
    if len < 8 || len > datagram.len() {
        return Err(DropReason::UdpTruncated);
    }
    let absent = be16(fixed, 6) == 0;
    // RFC 8200 section 8.1: over IPv6 the checksum is not optional.
    if absent && !headers.is_v4()
        || !absent
            && !known.l4_good
            && !checksum::verify_between(ends(packet, headers), Protocol::UDP, &datagram[..len])
    {
        return Err(DropReason::UdpChecksum);
    }
    headers.key.remote_port = be16(fixed, 0);
    headers.key.local_port = be16(fixed, 2);
    headers.payload += 8;
    headers.payload_end = headers.l4 + len as u16;
    ports_are_real(&headers.key)
}

/// Both addresses as they stand in the packet.
#[inline]
fn ends<'a>(packet: &'a [u8], headers: &Headers) -> &'a [u8] {
    if headers.is_v4() { &packet[12..20] } else { &packet[8..40] }
}

#[inline]
fn ports_are_real(key: &FlowKey) -> Result<(), DropReason> {
    if key.remote_port == 0 || key.local_port == 0 { Err(DropReason::PortZero) } else { Ok(()) }
}
