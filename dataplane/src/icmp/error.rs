//! ICMP errors and the packet they quote.
//!
//! Invariant: a flow key is returned only for a quoted packet that has our address as its source and whole ports;
//! the key is the one of the packets we receive, so that it finds the flow.

use l3l4::{Addr, FlowKey, Protocol, TooBig};

use super::IcmpDrop;

/// What happened to the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Destination unreachable; the code says what.
    Unreachable,
    /// Longer than the next link allows (RFC 1191, RFC 8201).
    TooBig,
    /// Hop limit or reassembly time exceeded.
    TimeExceeded,
    /// A header was not understood.
    ParameterProblem,
}

/// An error about a packet of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError {
    /// What happened.
    pub kind: ErrorKind,
    /// The code, in the numbers of the address family.
    pub code: u8,
    /// For [`ErrorKind::TooBig`], what the next link allows, in bytes, if the router said.
    pub mtu: Option<u32>,
    /// The flow, as received packets name it; None for another protocol or a later fragment.
    pub embedded: Option<FlowKey>,
    /// The sequence number of the quoted TCP segment: a spoofer cannot know it (RFC 5927).
    pub embedded_seq: Option<u32>,
    /// How long the quoted packet was, by its own header.
    pub embedded_len: u16,
}

pub(super) fn parse(
    kind: ErrorKind,
    code: u8,
    mtu: Option<u32>,
    message: &[u8],
    sent_to: Addr,
    link: u32,
) -> Result<IcmpError, IcmpDrop> {
    let quote = message.get(8..).ok_or(IcmpDrop::Quote)?;
    let (source, destination) = addresses(quote).ok_or(IcmpDrop::Quote)?;
    if source.is_v4() != sent_to.is_v4() {
        return Err(IcmpDrop::Quote);
    }
    if source != sent_to {
        return Err(IcmpDrop::NotOurs);
    }
    let (protocol, l4) = if source.is_v4() { payload_v4(quote)? } else { payload_v6(quote)? };
    let embedded_len = length(quote);
    let mut error = IcmpError { kind, code, mtu, embedded: None, embedded_seq: None, embedded_len };
    if let (Protocol::TCP | Protocol::UDP, Some(&[a, b, c, d, e, f, g, h])) = (protocol, l4.first_chunk()) {
        error.embedded = Some(FlowKey {
            remote: destination,
            local: source,
            remote_port: u16::from_be_bytes([c, d]),
            local_port: u16::from_be_bytes([a, b]),
            protocol,
            link,
        });
        error.embedded_seq = (protocol == Protocol::TCP).then_some(u32::from_be_bytes([e, f, g, h]));
    }
    Ok(error)
}

impl IcmpError {
    /// What it says of the path of one of our segments, if that is what it is about.
    pub fn too_big(&self) -> Option<TooBig> {
        match (self.kind, self.embedded, self.embedded_seq) {
            (ErrorKind::TooBig, Some(key), Some(seq)) => {
                Some(TooBig { key, seq, mtu: self.mtu, len: self.embedded_len })
            }
            _ => None,
        }
    }
}

/// The length that a whole IP header says.
fn length(packet: &[u8]) -> u16 {
    let word = |at: usize| {
        packet.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |&b| u16::from_be_bytes(b))
    };
    match packet.first().map(|first| first >> 4) {
        Some(4) => word(2),
        _ => word(4).saturating_add(40),
    }
}

/// Source and destination of an IP header.
pub(super) fn addresses(packet: &[u8]) -> Option<(Addr, Addr)> {
    match packet.first()? >> 4 {
        4 => {
            let v4 = |at: usize| packet.get(at..)?.first_chunk::<4>().map(|octets| Addr::v4(*octets));
            Some((v4(12)?, v4(16)?))
        }
        6 => {
            let v6 = |at: usize| packet.get(at..)?.first_chunk::<16>().map(|octets| Addr::v6(*octets));
            Some((v6(8)?, v6(24)?)).filter(|(a, b)| !a.is_v4() && !b.is_v4())
        }
        _ => None,
    }
}

/// The protocol and the payload, which is empty for a later fragment.
fn payload_v4(quote: &[u8]) -> Result<(Protocol, &[u8]), IcmpDrop> {
    let header = quote.first_chunk::<20>().ok_or(IcmpDrop::Quote)?;
    let length = usize::from(header[0] & 15) * 4;
    let payload = quote.get(length..).filter(|_| length >= 20).ok_or(IcmpDrop::Quote)?;
    let later = u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0;
    Ok((Protocol(header[9]), if later { &[] } else { payload }))
}

/// The same, past a fragment header: the only extension header we ever send.
fn payload_v6(quote: &[u8]) -> Result<(Protocol, &[u8]), IcmpDrop> {
    let (header, payload) = quote.split_first_chunk::<40>().ok_or(IcmpDrop::Quote)?;
    match (header[6], payload) {
        (44, [next, _, high, low, _, _, _, _, rest @ ..]) => {
            let later = u16::from_be_bytes([*high, *low]) >> 3 != 0;
            Ok((Protocol(*next), if later { &[] } else { rest }))
        }
        (44, _) => Err(IcmpDrop::Quote),
        (next, payload) => Ok((Protocol(next), payload)),
    }
}
