//! Where everything lies in a frame, who is who on the link, and the one parse of a received frame.
//!
//! Invariant: a client's address and port *are* the number of its slot, so a packet finds its connection without a
//! table: slot `n` is port `FIRST_PORT + n % PORTS` of client address number `n / PORTS`.

use crate::checksum::Sum;

/// Length of the Ethernet header.
pub(crate) const ETHERNET: usize = 14;
/// Offset of the TCP or UDP header.
pub(crate) const L4: usize = ETHERNET + 20;
/// Offset of the payload behind a TCP header without options.
pub(crate) const TCP_PAYLOAD: usize = L4 + 20;
/// Offset of a datagram's payload.
pub(crate) const UDP_PAYLOAD: usize = L4 + 8;
/// Payload of a full segment: an MTU of 1500 without options.
pub(crate) const MSS: u16 = 1460;

/// Millrace's Ethernet address; the generated configuration sets it.
pub(crate) const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The generator's.
pub(crate) const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Millrace's on the upstream side; the generated configuration sets it, too.
pub(crate) const BACK_MAC: [u8; 6] = [2, 0, 0, 0, 0, 3];
/// That of the generator's servers.
pub(crate) const UPSTREAM_MAC: [u8; 6] = [2, 0, 0, 0, 0, 4];
/// 10.64.0.1, Millrace.
pub(crate) const SERVER: u32 = 0x0a40_0001;
/// 10.64.1.0, the first client.
const FIRST_CLIENT: u32 = 0x0a40_0100;
const FIRST_PORT: u16 = 16384;
const PORTS: u32 = 4096;
/// How many slots there are: 256 addresses of 4,096 ports each.
pub(crate) const SLOTS: u32 = 1 << 20;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

/// TCP flags.
pub(crate) mod flag {
    pub(crate) const FIN: u8 = 1;
    pub(crate) const SYN: u8 = 2;
    pub(crate) const RST: u8 = 4;
    pub(crate) const PSH: u8 = 8;
    pub(crate) const ACK: u8 = 16;
}

/// Address and port of a slot.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "below PORTS")]
pub(crate) fn client(slot: u32) -> (u32, u16) {
    (FIRST_CLIENT + slot / PORTS, FIRST_PORT + (slot % PORTS) as u16)
}

/// The slot of an address and port, if they are one of ours.
#[inline]
pub(crate) fn slot(address: u32, port: u16) -> Option<u32> {
    let port = u32::from(port.checked_sub(FIRST_PORT)?);
    let slot = address.checked_sub(FIRST_CLIENT)?.checked_mul(PORTS)?.checked_add(port)?;
    (port < PORTS && slot < SLOTS).then_some(slot)
}

/// Where an IPv4 frame goes; none of other frames.
#[inline]
pub(crate) fn destination(frame: &[u8]) -> Option<u32> {
    let head = frame.first_chunk::<L4>()?;
    (head[12..15] == [8, 0, 0x45]).then(|| be32(head, 30))
}

/// Whether an address is one of our clients'.
#[inline]
pub(crate) fn is_client(address: u32) -> bool {
    address.wrapping_sub(FIRST_CLIENT) < SLOTS / PORTS
}

/// A received packet for one of our slots, its checksum verified where asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// A TCP segment.
    Tcp(Segment<'a>),
    /// A UDP datagram: slot and payload.
    Udp(u32, &'a [u8]),
}

/// A TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    pub(crate) slot: u32,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    pub(crate) options: &'a [u8],
    pub(crate) payload: &'a [u8],
}

impl Segment<'_> {
    /// What it takes of the sequence space.
    #[allow(clippy::cast_possible_truncation, reason = "shorter than a frame")]
    pub(crate) fn length(&self) -> u32 {
        self.payload.len() as u32 + u32::from(self.has(flag::SYN)) + u32::from(self.has(flag::FIN))
    }

    #[inline]
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The window scale a SYN-ACK carries; none: no scaling.
    pub(crate) fn window_scale(&self) -> u8 {
        let mut rest = self.options;
        loop {
            rest = match rest {
                [1, tail @ ..] => tail,
                [3, 3, shift, ..] => return (*shift).min(14),
                [2..=255, length @ 2..=255, ..] => match rest.get(usize::from(*length)..) {
                    Some(tail) => tail,
                    None => return 0,
                },
                _ => return 0,
            }
        }
    }
}

/// Reads a frame. None: not IPv4 TCP or UDP from Millrace to a slot of ours, or its checksum is wrong.
#[inline]
pub(crate) fn parse(frame: &[u8], verify: bool) -> Option<Packet<'_>> {
    read(frame, verify, |from, to| (from.0 == SERVER).then(|| slot(to.0, to.1)).flatten())
}

/// Reads a frame between the ends (address and port) for which `place` knows a slot. None: there is none, not IPv4 TCP or
/// UDP, or its checksum is wrong.
#[inline]
pub(crate) fn read(
    frame: &[u8],
    verify: bool,
    place: impl FnOnce((u32, u16), (u32, u16)) -> Option<u32>,
) -> Option<Packet<'_>> {
    let (head, l4) = frame.split_first_chunk::<L4>()?;
    if head[12..15] != [8, 0, 0x45] {
        return None;
    }
    let length = usize::from(be16(head, 16)).checked_sub(20)?;
    let l4 = l4.get(..length)?;
    if verify && !is_sound(head, l4) {
        return None;
    }
    let ports = l4.first_chunk::<8>()?;
    let slot = place((be32(head, 26), be16(ports, 0)), (be32(head, 30), be16(ports, 2)))?;
    match head[23] {
        TCP => {
            let fixed = l4.first_chunk::<20>()?;
            let offset = usize::from(fixed[12] >> 4) * 4;
            Some(Packet::Tcp(Segment {
                slot,
                seq: be32(fixed, 4),
                ack: be32(fixed, 8),
                flags: fixed[13],
                window: be16(fixed, 14),
                options: l4.get(20..offset)?,
                payload: &l4[offset..],
            }))
        }
        UDP => Some(Packet::Udp(slot, &l4[8..])),
        _ => None,
    }
}

/// Makes a TCP or UDP frame go back where it came from: stations, addresses and ports exchanged, which leaves the sums as
/// they are. Shorter ones stay what they are.
#[inline]
pub(crate) fn turn_round(frame: &mut [u8]) {
    if let Some((head, l4)) = frame.split_first_chunk_mut::<L4>()
        && let Some(ports) = l4.first_chunk_mut::<4>()
    {
        head[..12].rotate_left(6);
        head[26..34].rotate_left(4);
        ports.rotate_left(2);
    }
}

/// Gives a TCP or UDP frame other ends, and brings its checksums up to date (RFC 1624) without looking at the rest.
#[inline]
pub(crate) fn readdress(frame: &mut [u8], from: (u32, u16), to: (u32, u16)) {
    let Some((head, l4)) = frame.split_first_chunk_mut::<L4>() else { return };
    let field = if head[23] == UDP { 6 } else { 16 };
    if l4.len() < field + 2 {
        return;
    }
    let sum = [(be32(head, 26), from.0), (be32(head, 30), to.0)]
        .iter()
        .fold(Sum::default(), |sum, (old, new)| sum.long(!old).long(*new));
    let ip = sum.word(!be16(head, 24)).field();
    let ports = [(be16(l4, 0), from.1), (be16(l4, 2), to.1)];
    let sum = ports.iter().fold(sum, |sum, (old, new)| sum.word(!old).word(*new));
    let sum = sum.word(!be16(l4, field)).field();
    head[24..26].copy_from_slice(&ip);
    head[26..30].copy_from_slice(&from.0.to_be_bytes());
    head[30..34].copy_from_slice(&to.0.to_be_bytes());
    l4[..2].copy_from_slice(&from.1.to_be_bytes());
    l4[2..4].copy_from_slice(&to.1.to_be_bytes());
    // Of UDP, zero says that there is no checksum.
    let sum = if field == 6 && sum == [0, 0] { [0xff, 0xff] } else { sum };
    l4[field..field + 2].copy_from_slice(&sum);
}

fn is_sound(head: &[u8; L4], l4: &[u8]) -> bool {
    #[allow(clippy::cast_possible_truncation, reason = "comes from a 16-bit field")]
    let pseudo = Sum::of(&head[26..34]).word(u16::from(head[23])).word(l4.len() as u16);
    Sum::of(&head[ETHERNET..]).is_sound() && pseudo.bytes(l4).is_sound()
}

#[inline]
pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[inline]
pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_its_own_address_and_port() {
        for n in [0, 1, PORTS - 1, PORTS, SLOTS - 1] {
            let (address, port) = client(n);
            assert_eq!(slot(address, port), Some(n));
        }
        let (last, _) = client(SLOTS - 1);
        assert_eq!(slot(last + 1, FIRST_PORT), None);
        assert!(is_client(FIRST_CLIENT) && is_client(last) && !is_client(last + 1) && !is_client(SERVER));
        assert_eq!(slot(SERVER, FIRST_PORT), None);
        assert_eq!(slot(last, 80), None);
        assert_eq!(slot(last, u16::MAX), None);
    }

    #[test]
    fn the_window_scale_is_found_among_other_options() {
        let segment =
            |options| Segment { slot: 0, seq: 0, ack: 0, flags: 0, window: 0, options, payload: &[] };
        assert_eq!(segment(&[2, 4, 5, 180, 1, 3, 3, 7]).window_scale(), 7);
        assert_eq!(segment(&[3, 3, 99, 0]).window_scale(), 14);
        for none in [&[][..], &[0, 3, 3, 7], &[2, 4, 5, 180], &[2, 9, 0], &[8, 0, 0], &[3, 3]] {
            assert_eq!(segment(none).window_scale(), 0, "{none:?}");
        }
    }

    #[test]
    fn short_and_foreign_frames_are_refused() {
        assert_eq!(parse(&[], true), None);
        assert_eq!(parse(&[0; 60], true), None);
    }
}
