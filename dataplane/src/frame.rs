//! Ethernet and VLAN headers: read once on the way in, written once on the way out.
//!
//! Invariant: a [`Frame`] says where the payload starts and for whom the frame is; nothing behind it looks at
//! Ethernet again.

use crate::drop::DropReason;
use crate::neighbour::Mac;

/// Bytes of an Ethernet header without a VLAN tag.
pub const HEADER: usize = 14;
/// Bytes of a VLAN tag.
pub const TAG: usize = 4;

/// EtherTypes served.
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// A VLAN tag (IEEE 802.1Q).
    pub const VLAN: u16 = 0x8100;
    /// A service tag (IEEE 802.1ad), not served.
    pub const SERVICE_VLAN: u16 = 0x88a8;
}

/// What the Ethernet header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Frame {
    /// Where it is going.
    pub destination: Mac,
    /// Who sent it.
    pub source: Mac,
    /// VLAN id; 0 for untagged (and for priority tags).
    pub vlan: u16,
    /// What the payload is.
    pub ethertype: u16,
    /// Where the payload starts.
    pub payload: usize,
}

/// Reads a frame's header. `stripped` is the VLAN tag the port took off, if any.
///
/// # Errors
/// The reason for which the frame must be dropped.
#[inline]
pub fn parse(bytes: &[u8], stripped: Option<u16>) -> Result<Frame, DropReason> {
    let Some(head) = bytes.first_chunk::<HEADER>() else { return Err(DropReason::EthernetTruncated) };
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *head;
    let mut frame = Frame {
        destination: Mac([d0, d1, d2, d3, d4, d5]),
        source: Mac([s0, s1, s2, s3, s4, s5]),
        vlan: stripped.unwrap_or(0) & 0x0fff,
        ethertype: u16::from_be_bytes([t0, t1]),
        payload: HEADER,
    };
    if frame.ethertype == ethertype::VLAN {
        let Some(&[c0, c1, t0, t1]) = bytes[HEADER..].first_chunk::<TAG>() else {
            return Err(DropReason::EthernetTruncated);
        };
        frame.ethertype = u16::from_be_bytes([t0, t1]);
        if stripped.is_some() || frame.ethertype == ethertype::VLAN {
            return Err(DropReason::VlanUnknown);
        }
        frame.vlan = u16::from_be_bytes([c0, c1]) & 0x0fff;
        frame.payload = HEADER + TAG;
    }
    if frame.ethertype == ethertype::SERVICE_VLAN {
        return Err(DropReason::VlanUnknown);
    }
    Ok(frame)
}

/// Writes a header of 14 bytes, or of 18 where `out` is that long and a tag is to be written.
#[inline]
pub fn write(out: &mut [u8], destination: Mac, source: Mac, vlan: u16, ethertype: u16) {
    out[0..6].copy_from_slice(&destination.0);
    out[6..12].copy_from_slice(&source.0);
    let at = if out.len() >= HEADER + TAG {
        out[12..14].copy_from_slice(&ethertype::VLAN.to_be_bytes());
        out[14..16].copy_from_slice(&vlan.to_be_bytes());
        16
    } else {
        12
    };
    out[at..at + 2].copy_from_slice(&ethertype.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const B: Mac = Mac([2, 0, 0, 0, 0, 2]);

    #[test]
    fn what_is_written_reads_back() {
        let mut plain = [0; HEADER];
        write(&mut plain, A, B, 0, ethertype::IPV4);
        let frame = parse(&plain, None).unwrap();
        assert_eq!(
            frame,
            Frame { destination: A, source: B, vlan: 0, ethertype: ethertype::IPV4, payload: 14 }
        );
        let mut tagged = [0; HEADER + TAG];
        write(&mut tagged, A, B, 100, ethertype::IPV6);
        let frame = parse(&tagged, None).unwrap();
        assert_eq!((frame.vlan, frame.ethertype, frame.payload), (100, ethertype::IPV6, 18));
        assert_eq!(parse(&plain, Some(0x2000 | 7)).unwrap().vlan, 7);
    }

    #[test]
    fn refused() {
        assert_eq!(parse(&[0; 13], None), Err(DropReason::EthernetTruncated));
        let mut tagged = [0; HEADER + TAG];
        write(&mut tagged, A, B, 1, ethertype::VLAN);
        assert_eq!(parse(&tagged, None), Err(DropReason::VlanUnknown), "a tag within a tag");
        assert_eq!(parse(&tagged[..16], None), Err(DropReason::EthernetTruncated));
        write(&mut tagged, A, B, 1, ethertype::IPV4);
        assert_eq!(parse(&tagged, Some(3)), Err(DropReason::VlanUnknown));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64), stripped: Option<u16>) {
            if let Ok(frame) = parse(&bytes, stripped) {
                prop_assert!(frame.payload <= bytes.len());
            }
        }
    }
}
