//! What the NIC said about a received frame, and what it shall do to one being sent.
//!
//! Invariant: lengths that do not fit their bit fields or the first segment never reach a driver: the offload is refused
//! and its flags stay clear.

use dpdk_sys as sys;

use super::{Mbuf, raw};

/// What the port found out about a checksum of a received frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RxChecksum {
    /// It did not look: check in software.
    Unknown,
    /// It is wrong.
    Bad,
    /// It is right.
    Good,
    /// It is not filled in, yet the data is known to be sound (a virtual link).
    None,
}

/// Which layer-4 checksum the port shall fill in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum L4Checksum {
    /// None: the frame already carries it.
    #[default]
    None,
    /// TCP. The field must hold the pseudo-header sum (see [`TxQueue::tx_prepare`](crate::queue::TxQueue::tx_prepare)).
    Tcp,
    /// UDP. The field must hold the pseudo-header sum.
    Udp,
}

/// Work left to the port when sending. Lengths are in bytes; ask only for what the port offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TxOffload {
    /// Ethernet header, VLAN tags in the frame included. Below 128.
    pub l2_len: u16,
    /// IP header with options or extensions. Below 512.
    pub l3_len: u16,
    /// TCP or UDP header with options. Below 256.
    pub l4_len: u16,
    /// Payload bytes per segment, for `tso`.
    pub tso_segsz: u16,
    /// The packet is IPv4.
    pub ipv4: bool,
    /// The packet is IPv6.
    pub ipv6: bool,
    /// Fill in the IPv4 header checksum.
    pub ip_checksum: bool,
    /// Fill in this layer-4 checksum.
    pub l4: L4Checksum,
    /// Cut the TCP payload into segments of `tso_segsz`.
    pub tso: bool,
    /// Put in a VLAN tag with this tag control information.
    pub vlan: Option<u16>,
}

impl Mbuf {
    /// What the port found out about the IPv4 header checksum.
    #[inline]
    #[must_use]
    pub fn rx_ip_checksum(&self) -> RxChecksum {
        match self.flags() & sys::RTE_MBUF_F_RX_IP_CKSUM_MASK {
            sys::RTE_MBUF_F_RX_IP_CKSUM_BAD => RxChecksum::Bad,
            sys::RTE_MBUF_F_RX_IP_CKSUM_GOOD => RxChecksum::Good,
            sys::RTE_MBUF_F_RX_IP_CKSUM_NONE => RxChecksum::None,
            _ => RxChecksum::Unknown,
        }
    }

    /// What the port found out about the TCP or UDP checksum.
    #[inline]
    #[must_use]
    pub fn rx_l4_checksum(&self) -> RxChecksum {
        match self.flags() & sys::RTE_MBUF_F_RX_L4_CKSUM_MASK {
            sys::RTE_MBUF_F_RX_L4_CKSUM_BAD => RxChecksum::Bad,
            sys::RTE_MBUF_F_RX_L4_CKSUM_GOOD => RxChecksum::Good,
            sys::RTE_MBUF_F_RX_L4_CKSUM_NONE => RxChecksum::None,
            _ => RxChecksum::Unknown,
        }
    }

    /// The hash by which the port chose the receive queue, if it says.
    #[inline]
    #[must_use]
    pub fn rss_hash(&self) -> Option<u32> {
        // SAFETY: self is a live mbuf owned by us.
        (self.flags() & sys::RTE_MBUF_F_RX_RSS_HASH != 0).then(|| unsafe { raw::rss_hash(self.as_ptr()) })
    }

    /// The VLAN tag control information the port took off the frame, if it did.
    #[inline]
    #[must_use]
    pub fn vlan_stripped(&self) -> Option<u16> {
        // SAFETY: self is a live mbuf owned by us.
        (self.flags() & sys::RTE_MBUF_F_RX_VLAN_STRIPPED != 0)
            .then(|| unsafe { raw::vlan_tci(self.as_ptr()) })
    }

    /// Leaves work to the port. False, and no offload at all, when the headers named do not fit the first segment or
    /// their fields. Set it last: changing the data afterwards makes the lengths wrong.
    #[inline]
    pub fn set_tx_offload(&mut self, offload: &TxOffload) -> bool {
        self.clear_offload();
        let headers = u32::from(offload.l2_len) + u32::from(offload.l3_len) + u32::from(offload.l4_len);
        if headers > u32::from(self.len())
            || offload.l2_len >= 1 << sys::RTE_MBUF_L2_LEN_BITS
            || offload.l3_len >= 1 << sys::RTE_MBUF_L3_LEN_BITS
            || offload.l4_len >= 1 << sys::RTE_MBUF_L4_LEN_BITS
            || (offload.tso && (offload.tso_segsz == 0 || offload.l4 != L4Checksum::Tcp))
            || (offload.ip_checksum && !offload.ipv4)
        {
            return false;
        }
        let mut flags = match offload.l4 {
            L4Checksum::None => 0,
            L4Checksum::Tcp => sys::RTE_MBUF_F_TX_TCP_CKSUM,
            L4Checksum::Udp => sys::RTE_MBUF_F_TX_UDP_CKSUM,
        };
        for (wanted, flag) in [
            (offload.ipv4, sys::RTE_MBUF_F_TX_IPV4),
            (offload.ipv6, sys::RTE_MBUF_F_TX_IPV6),
            (offload.ip_checksum, sys::RTE_MBUF_F_TX_IP_CKSUM),
            (offload.tso, sys::RTE_MBUF_F_TX_TCP_SEG),
            (offload.vlan.is_some(), sys::RTE_MBUF_F_TX_VLAN),
        ] {
            flags |= if wanted { flag } else { 0 };
        }
        let lengths = (u64::from(offload.l2_len) << sys::RTE_MBUF_L2_LEN_OFS)
            | (u64::from(offload.l3_len) << sys::RTE_MBUF_L3_LEN_OFS)
            | (u64::from(offload.l4_len) << sys::RTE_MBUF_L4_LEN_OFS)
            | (u64::from(offload.tso_segsz) << sys::RTE_MBUF_TSO_SEGSZ_OFS);
        // SAFETY: self is a live mbuf owned by us.
        unsafe {
            raw::set_tx_offload(self.as_ptr(), lengths);
            raw::set_vlan_tci(self.as_ptr(), offload.vlan.unwrap_or(0));
            raw::set_flags(self.as_ptr(), self.flags() | flags);
        }
        true
    }

    /// Forgets everything the port said about this frame or was asked to do: for sending on what was received.
    #[inline]
    pub fn clear_offload(&mut self) {
        // The two memory flags say how the buffer is attached; freeing it right depends on them.
        let kept = self.flags() & (sys::RTE_MBUF_F_INDIRECT | sys::RTE_MBUF_F_EXTERNAL);
        // SAFETY: self is a live mbuf owned by us.
        unsafe {
            raw::set_flags(self.as_ptr(), kept);
            raw::set_tx_offload(self.as_ptr(), 0);
        }
    }

    /// The offload request the mbuf carries, in DPDK's bits: flags and packed lengths.
    #[must_use]
    pub fn tx_offload_bits(&self) -> (u64, u64) {
        // SAFETY: self is a live mbuf owned by us.
        (self.flags() & sys::RTE_MBUF_F_TX_OFFLOAD_MASK, unsafe { raw::tx_offload(self.as_ptr()) })
    }

    #[inline]
    fn flags(&self) -> u64 {
        // SAFETY: self is a live mbuf owned by us.
        unsafe { raw::flags(self.as_ptr()) }
    }
}
