//! The packet nearly all packets are: IPv4 without options, not a fragment, carrying TCP without options.
//!
//! Invariant: what is read here is read the same as by the long way (a test compares the two on random packets);
//! whatever is in any way unusual or wrong is left to the long way, which names it.

use crate::checksum;
use crate::key::{Addr, FlowKey, Protocol};
use crate::packet::{Headers, RxChecksum, be16, be32, flags};

/// Length of both headers.
const LEN: usize = 40;

/// Reads such a packet; false where it is another.
#[inline]
pub(crate) fn read(packet: &[u8], link: u32, known: RxChecksum, headers: &mut Headers) -> bool {
    // One length check; every offset below is a constant.
    let Some(p) = packet.first_chunk::<LEN>() else { return false };
    if p[9] != Protocol::TCP.0 {
        return false;
    }
    let total = usize::from(be16(p, 2));
    let control = p[33] & (flags::SYN | flags::FIN | flags::RST);
    let plain = p[0] == 0x45
        && be16(p, 6) & 0x3fff == 0
        && p[32] >> 4 == 5
        && p[33] & flags::ACK != 0
        && control & control.wrapping_sub(1) == 0;
    let (source, destination) = (be32(p, 12), be32(p, 16));
    let (remote_port, local_port) = (be16(p, 20), be16(p, 22));
    if !plain
        || total < LEN
        || total > packet.len()
        || unusable(source)
        || unusable(destination)
        || source == destination
        || remote_port == 0
        || local_port == 0
        || !known.ip_good && !checksum::is_intact(&p[..20])
        || !known.l4_good && !checksum::verify_between(&p[12..20], Protocol::TCP, &packet[20..total])
    {
        return false;
    }
    // Written where it stays: moving it would read back what was just written in smaller pieces.
    *headers = Headers {
        key: FlowKey {
            remote: Addr::v4(source.to_be_bytes()),
            local: Addr::v4(destination.to_be_bytes()),
            remote_port,
            local_port,
            protocol: Protocol::TCP,
            link,
        },
        end: total as u16,
        l4: 20,
        payload: LEN as u16,
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

/// The martian's first byte (see `martian::v4`).
#[inline]
fn unusable(addr: u32) -> bool {
    let first = addr >> 24;
    // 0 and 224 and above in one comparison.
    first.wrapping_sub(1) >= 223 || first == 127
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Class, read_long};
    use proptest::prelude::*;

    proptest! {
        /// A well-formed packet with a few bytes changed: both ways agree wherever this one reads it.
        #[test]
        fn reads_what_the_long_way_reads(
            changes in proptest::collection::vec((0usize..44, any::<u8>()), 0..4),
            cut in 0usize..4,
            good: bool,
        ) {
            let mut packet = [0u8; 44];
            packet[..20].copy_from_slice(&[0x45, 0, 0, 44, 0, 0, 64, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
            packet[20..40].copy_from_slice(&[4, 0, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, 0x10, 9, 9, 0, 0, 0, 0]);
            let sum = checksum::header(&packet[..20]);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            let ends = (Addr::v4([10, 0, 0, 1]), Addr::v4([10, 0, 0, 2]));
            let sum = checksum::segment(ends.0, ends.1, Protocol::TCP, &packet[20..]);
            packet[36..38].copy_from_slice(&sum.to_be_bytes());
            for (at, value) in &changes {
                packet[*at] = *value;
            }
            let packet = &packet[..44 - cut];
            let known = RxChecksum { ip_good: good, l4_good: good };
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
