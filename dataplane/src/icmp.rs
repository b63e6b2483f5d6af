//! ICMP that reaches us: echo requests are answered in place, errors about our own packets are parsed for whoever
//! wants them, and all else has a name and is dropped. Errors are not generated here.
//!
//! Invariant: nothing is answered that was sent to or claims to come from a group or broadcast address, and
//! nothing is believed whose checksum is wrong or which quotes a packet that we cannot have sent.

mod error;

use l3l4::{Addr, Protocol, checksum};

use crate::neighbour::Owned;

pub use error::{ErrorKind, IcmpError};

const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;
/// Type, code, checksum, identifier and sequence.
const ECHO_HEADER: usize = 8;
const HOP_LIMIT: u8 = 64;

/// Why an ICMP packet goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum IcmpDrop {
    /// Shorter than its headers say, or headers that are none.
    #[error("truncated")]
    Truncated,
    /// Wrong checksum.
    #[error("wrong checksum")]
    Checksum,
    /// An echo request to a multicast or broadcast address.
    #[error("echo request to a group")]
    GroupDestination,
    /// The source is no host: multicast, broadcast, loopback or unspecified.
    #[error("source is no host")]
    Source,
    /// An answer to a question nobody asked.
    #[error("echo reply")]
    EchoReply,
    /// A redirect, which is never obeyed.
    #[error("redirect")]
    Redirect,
    /// Source quench (deprecated by RFC 6633).
    #[error("source quench")]
    SourceQuench,
    /// Multicast listener discovery, of interest to routers.
    #[error("multicast listener discovery")]
    ListenerDiscovery,
    /// Timestamps, masks, router and neighbour discovery, and whatever else there is.
    #[error("message type not handled")]
    Unsupported,
    /// An error that quotes a packet with another source than the address it was sent to.
    #[error("error about a packet that is not ours")]
    NotOurs,
    /// An error that quotes no usable IP header.
    #[error("malformed quoted packet")]
    Quote,
    /// An MTU below what the protocol allows (68 for IPv4, 1280 for IPv6).
    #[error("impossible MTU")]
    Mtu,
}

/// A valid message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icmp {
    /// Answer with [`echo_reply`].
    EchoRequest,
    /// Something happened to a packet of ours.
    Error(IcmpError),
}

/// An ICMP packet found in bytes: where its parts are.
struct Located {
    v4: bool,
    source: Addr,
    destination: Addr,
    /// Where the IP packet ends.
    end: usize,
}

/// Parses an IP packet whose ICMP header starts at `l4_offset` (the caller has walked the headers before it).
/// `link` goes into the key of a quoted flow.
pub fn parse(packet: &[u8], l4_offset: usize, link: u32) -> Result<Icmp, IcmpDrop> {
    let located = locate(packet, l4_offset)?;
    let message = packet.get(l4_offset..located.end).ok_or(IcmpDrop::Truncated)?;
    let (kind, code) = match *message {
        [kind, code, _, _, _, _, _, _, ..] => (kind, code),
        _ => return Err(IcmpDrop::Truncated),
    };
    let intact = match located {
        Located { v4: true, .. } => checksum::is_intact(message),
        Located { source, destination, .. } => {
            checksum::verify(source, destination, Protocol::ICMPV6, message)
        }
    };
    if !intact {
        return Err(IcmpDrop::Checksum);
    }
    let error =
        |kind, mtu| error::parse(kind, code, mtu, message, located.destination, link).map(Icmp::Error);
    let word = u32::from_be_bytes([message[4], message[5], message[6], message[7]]);
    match (located.v4, kind, code) {
        (true, 8, 0) | (false, 128, 0) => Ok(Icmp::EchoRequest),
        (true, 0, _) | (false, 129, _) => Err(IcmpDrop::EchoReply),
        // A router older than RFC 1191 names no MTU.
        (true, 3, 4) => match word & 0xffff {
            1..68 => Err(IcmpDrop::Mtu),
            mtu => error(ErrorKind::TooBig, (mtu != 0).then_some(mtu)),
        },
        (false, 2, _) if word < 1280 => Err(IcmpDrop::Mtu),
        (false, 2, _) => error(ErrorKind::TooBig, Some(word)),
        (true, 3, _) | (false, 1, _) => error(ErrorKind::Unreachable, None),
        (true, 11, _) | (false, 3, _) => error(ErrorKind::TimeExceeded, None),
        (true, 12, _) | (false, 4, _) => error(ErrorKind::ParameterProblem, None),
        (true, 4, _) => Err(IcmpDrop::SourceQuench),
        (true, 5, _) | (false, 137, _) => Err(IcmpDrop::Redirect),
        (false, 130..=132 | 143, _) => Err(IcmpDrop::ListenerDiscovery),
        _ => Err(IcmpDrop::Unsupported),
    }
}

/// Turns an echo request into its reply, in place; returns the reply's length.
///
/// IPv4 options and IPv6 extension headers are not reflected. A request put together from fragments may make a
/// reply longer than the MTU: the caller must not send that in one piece.
pub fn echo_reply(packet: &mut [u8], l4_offset: usize, owned: &Owned) -> Result<usize, IcmpDrop> {
    if parse(packet, l4_offset, 0)? != Icmp::EchoRequest {
        return Err(IcmpDrop::Unsupported);
    }
    let Located { v4, source, destination, end } = locate(packet, l4_offset)?;
    let is_group = |addr: Addr| addr.ip().is_multicast() || owned.is_broadcast(addr);
    if is_group(destination) {
        return Err(IcmpDrop::GroupDestination);
    }
    if is_group(source) || source.ip().is_unspecified() || source.ip().is_loopback() {
        return Err(IcmpDrop::Source);
    }
    let header = if v4 { V4_HEADER } else { V6_HEADER };
    packet.copy_within(l4_offset..end, header);
    let message_len = end - l4_offset;
    let len = header + message_len;
    let (head, message) = packet[..len].split_at_mut(header);
    message[0] = if v4 { 0 } else { 129 };
    // Afresh: an incremental update cannot tell the two zeros apart in an all-zero reply (RFC 1624, section 3).
    message[2..4].fill(0);
    let sum = if v4 {
        checksum::header(message)
    } else {
        checksum::segment(destination, source, Protocol::ICMPV6, message)
    };
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    if v4 {
        head[0] = 0x45;
        head[1] &= !3; // the request's congestion mark is not ours to return
        head[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        head[6..8].fill(0);
        head[8] = HOP_LIMIT;
        head[9] = Protocol::ICMP.0;
        head[10..12].fill(0);
        head[12..16].copy_from_slice(&destination.v4_octets());
        head[16..20].copy_from_slice(&source.v4_octets());
        let sum = checksum::header(head);
        head[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        // Keeps the traffic class but for the congestion mark; the flow label is the sender's.
        head[1] &= 0xc0;
        head[2..4].fill(0);
        head[4..6].copy_from_slice(&(message_len as u16).to_be_bytes());
        head[6] = Protocol::ICMPV6.0;
        head[7] = HOP_LIMIT;
        head[8..24].copy_from_slice(&destination.octets());
        head[24..40].copy_from_slice(&source.octets());
    }
    Ok(len)
}

fn locate(packet: &[u8], l4_offset: usize) -> Result<Located, IcmpDrop> {
    let v4 = match packet.first().map(|byte| byte >> 4) {
        Some(4) => true,
        Some(6) => false,
        _ => return Err(IcmpDrop::Truncated),
    };
    let header = if v4 { V4_HEADER } else { V6_HEADER };
    let word = |at: usize| packet.get(at..at + 2).map(|w| usize::from(u16::from_be_bytes([w[0], w[1]])));
    let end = if v4 { word(2) } else { word(4).map(|payload| payload + V6_HEADER) };
    let end = end.filter(|end| *end <= packet.len()).ok_or(IcmpDrop::Truncated)?;
    if l4_offset < header || end < l4_offset + ECHO_HEADER {
        return Err(IcmpDrop::Truncated);
    }
    let (source, destination) = error::addresses(packet).ok_or(IcmpDrop::Truncated)?;
    Ok(Located { v4, source, destination, end })
}

#[cfg(test)]
mod tests;
