//! The packets nearly all packets are: IPv4 without options, not a fragment, carrying TCP without options, or UDP.
//!
//! Invariant: what is read here is read the same as by the long way (a test compares the two on random packets);
//! whatever is in any way unusual or wrong is left to the long way, which names it.

use crate::checksum;
use crate::key::{Addr, FlowKey, Protocol};
use crate::packet::{Headers, RxChecksum, be16, be32, flags};

/// Length of the IP header.
const IP: usize = 20;
/// Length of both headers, of TCP and of UDP.
const TCP: usize = IP + 20;
const UDP: usize = IP + 8;

/// Reads such a packet; false where it is another.
#[inline]
pub(crate) fn read(packet: &[u8], link: u32, known: RxChecksum, headers: &mut Headers) -> bool {
    // One length check each; every offset from there on is a constant.
    if let Some(p) = packet.first_chunk::<TCP>()
        && p[9] == Protocol::TCP.0
    {
        return read_tcp(packet, p, link, known, headers);
    }
    packet.first_chunk().is_some_and(|p| read_udp(packet, p, link, known, headers))
}

#[inline]
fn read_tcp(packet: &[u8], p: &[u8; TCP], link: u32, known: RxChecksum, headers: &mut Headers) -> bool {
    let (total, ends) = (usize::from(be16(p, 2)), Ends::of(p));
    let control = p[33] & (flags::SYN | flags::FIN | flags::RST);
    if !without_options(p)
        || p[32] >> 4 != 5
        || p[33] & flags::ACK == 0
        || control & control.wrapping_sub(1) != 0
        || total < TCP
        || total > packet.len()
        || !ends.are_real()
        || !known.ip_good && !checksum::is_intact(&p[..IP])
        || !known.l4_good && !checksum::verify_between(&p[12..20], Protocol::TCP, &packet[IP..total])
    {
        return false;
    }
    // Written where it stays: moving it would read back what was just written in smaller pieces.
    *headers = Headers {
        key: ends.key(Protocol::TCP, link),
        end: total as u16,
        l4: IP as u16,
        payload: TCP as u16,
        payload_end: total as u16,
        seq: be32(p, 24),
        ack: be32(p, 28),
        window: be16(p, 34),
        flags: p[33] & 0x3f,
        window_scale: None,
        mss: None,
        sack: false,
        extensions: false,
    };
    true
}

#[inline]
fn read_udp(packet: &[u8], p: &[u8; UDP], link: u32, known: RxChecksum, headers: &mut Headers) -> bool {
    let (total, ends) = (usize::from(be16(p, 2)), Ends::of(p));
    if p[9] != Protocol::UDP.0
        || !without_options(p)
        || usize::from(be16(p, 24)) + IP != total
        || total < UDP
        || total > packet.len()
        || !ends.are_real()
        || !known.ip_good && !checksum::is_intact(&p[..IP])
        || be16(p, 26) != 0
            && !known.l4_good
            && !checksum::verify_between(&p[12..20], Protocol::UDP, &packet[IP..total])
    {
        return false;
    }
    *headers = Headers {
        key: ends.key(Protocol::UDP, link),
        end: total as u16,
        l4: IP as u16,
        payload: UDP as u16,
        payload_end: total as u16,
        seq: 0,
        ack: 0,
        window: 0,
        flags: 0,
        window_scale: None,
        mss: None,
        sack: false,
        extensions: false,
    };
    true
}

/// Whether an IP header has no options and belongs to no fragment.
#[inline(always)]
fn without_options<const N: usize>(p: &[u8; N]) -> bool {
    p[0] == 0x45 && be16(p, 6) & 0x3fff == 0
}

/// Addresses and ports of a packet without options.
#[derive(Clone, Copy)]
struct Ends {
    source: u32,
    destination: u32,
    remote_port: u16,
    local_port: u16,
}

impl Ends {
    #[inline(always)]
    fn of<const N: usize>(p: &[u8; N]) -> Self {
        Self {
            source: be32(p, 12),
            destination: be32(p, 16),
            remote_port: be16(p, 20),
            local_port: be16(p, 22),
        }
    }

    /// Whether they can be somebody's.
    #[inline(always)]
    fn are_real(self) -> bool {
        usable(self.source)
            && usable(self.destination)
            && self.source != self.destination
            && self.remote_port != 0
            && self.local_port != 0
    }

    #[inline(always)]
    fn key(self, protocol: Protocol, link: u32) -> FlowKey {
        FlowKey {
            remote: Addr::v4(self.source.to_be_bytes()),
            local: Addr::v4(self.destination.to_be_bytes()),
            remote_port: self.remote_port,
            local_port: self.local_port,
            protocol,
            link,
        }
    }
}

/// Not a martian by its first byte (see `martian::v4`).
#[inline]
fn usable(addr: u32) -> bool {
    let first = addr >> 24;
    // 0 and 224 and above in one comparison.
    first.wrapping_sub(1) < 223 && first != 127
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Class, read_long};
    use proptest::prelude::*;

    /// `bytes` as the payload of an IPv4 packet with right checksums; the one at `sum_at` is of `bytes`.
    fn packet(protocol: Protocol, bytes: &[u8], sum_at: usize) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 64, 0, 64, protocol.0, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet[3] = (IP + bytes.len()) as u8;
        let sum = checksum::header(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(bytes);
        let ends = (Addr::v4([10, 0, 0, 1]), Addr::v4([10, 0, 0, 2]));
        let sum = checksum::segment(ends.0, ends.1, protocol, &packet[IP..]);
        packet[IP + sum_at..IP + sum_at + 2].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    proptest! {
        /// A well-formed packet with a few bytes changed: both ways agree wherever this one reads it.
        #[test]
        fn reads_what_the_long_way_reads(
            udp: bool,
            changes in proptest::collection::vec((0usize..44, any::<u8>()), 0..4),
            cut in 0usize..4,
            good: bool,
        ) {
            let mut packet = if udp {
                packet(Protocol::UDP, &[4, 0, 0, 7, 0, 24, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], 6)
            } else {
                packet(
                    Protocol::TCP,
                    &[4, 0, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x10, 9, 9, 0, 0, 0, 0, 1, 2, 3, 4],
                    16,
                )
            };
            for (at, value) in &changes {
                packet[*at] = *value;
            }
            let packet = &packet[..44 - cut];
            let known = RxChecksum { ip_good: good, l4_good: good, any_address: false };
            let (mut short, mut long) = (Headers::default(), Headers::default());
            if read(packet, 7, known, &mut short) {
                prop_assert_eq!(read_long(packet, 7, known, &mut long), Ok(Class::Whole));
                prop_assert_eq!(format!("{short:?}"), format!("{long:?}"));
            } else {
                prop_assert!(changes.len() + cut > 0, "a plain packet was not taken");
            }
        }
    }
}
