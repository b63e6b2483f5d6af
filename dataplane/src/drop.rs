//! Why a packet went nowhere: the worker's part of the closed list of drop reasons (the engine has the rest).
//!
//! Invariant: every packet received is delivered or counted under exactly one reason of either part, so that over
//! all workers rx = delivered + sum of drops + fragments held + (steered out - steered in); the last term is what
//! lies in the rings between workers at that moment.

use crate::fragment::FragmentDrop;
use crate::icmp::IcmpDrop;
use crate::neighbour::arp::ArpDrop;
use crate::neighbour::ndp::NdpDrop;

l3l4::drop_reasons! {
    EthernetTruncated = "ethernet_truncated", "the frame is shorter than its Ethernet or VLAN header";
    NotOurMac = "not_our_mac", "the frame is for another station, or for a group nobody here listens to";
    VlanUnknown = "vlan_unknown", "a VLAN that the port does not accept, or a tag within a tag";
    EtherType = "ethertype", "an EtherType that nothing here serves";
    Broadcast = "broadcast", "a broadcast or multicast that nothing here serves";
    IcmpNotOurs = "icmp_not_ours", "an ICMP or ICMPv6 message to an address that is not ours";
    NotContiguous = "not_contiguous", "the packet lies in several buffers that could not be joined";
    SteerFull = "steer_full", "the ring to the worker that owns the flow was full";
    AddressConflict = "address_conflict", "another station claims an address of the port";
    ArpMalformed = "arp_malformed", "an ARP packet that is truncated or not for Ethernet and IPv4";
    ArpSender = "arp_sender", "an ARP packet whose sender cannot exist or is not the frame's";
    ArpOffLink = "arp_off_link", "an ARP packet from outside the port's subnets";
    ArpOther = "arp_other", "an ARP request for an address that is not ours";
    NdpMalformed = "ndp_malformed", "a neighbour discovery message that fails the checks of RFC 4861 section 7.1";
    NdpSender = "ndp_sender", "a neighbour discovery message whose sender or target cannot exist or is ourselves";
    NdpOffLink = "ndp_off_link", "a neighbour discovery message about an address outside the port's subnets";
    NdpRouter = "ndp_router", "a router solicitation, router advertisement or redirect: routes are configured";
    NdpOther = "ndp_other", "a neighbour solicitation for an address that is not ours";
    IcmpMalformed = "icmp_malformed", "an ICMP or ICMPv6 message that is truncated or has a wrong checksum";
    IcmpType = "icmp_type", "an ICMP or ICMPv6 message other than an echo request or an error";
    IcmpError = "icmp_error", "an ICMP or ICMPv6 error that is not acted upon: all but those that say a segment was too big and can be believed";
    FragmentMalformed = "fragment_malformed", "a fragment with an impossible length or offset, or without a whole transport header in the first";
    FragmentOverlap = "fragment_overlap", "fragments that overlap: the whole datagram is dropped (RFC 5722)";
    FragmentTimeout = "fragment_timeout", "fragments whose datagram was not completed in time";
    FragmentLimit = "fragment_limit", "a fragment that found no free place for reassembly";
    ReplyTooLong = "reply_too_long", "an echo request in fragments whose reply would need fragments: nothing is fragmented on the way out";
    UdpLoopPort = "udp_loop_port", "a datagram to echo or chargen from a port whose service answers whatever comes: the two would never stop";
    NoBuffer = "no_buffer_frame", "no buffer was left, or none long enough, for an answer below the engine or a reassembled packet";
}

impl From<ArpDrop> for DropReason {
    fn from(why: ArpDrop) -> Self {
        match why {
            ArpDrop::SenderMac | ArpDrop::SenderMismatch | ArpDrop::SenderAddress | ArpDrop::Own => {
                Self::ArpSender
            }
            ArpDrop::OffLink => Self::ArpOffLink,
            ArpDrop::Truncated
            | ArpDrop::HardwareType
            | ArpDrop::ProtocolType
            | ArpDrop::Lengths
            | ArpDrop::Operation => Self::ArpMalformed,
        }
    }
}

impl From<NdpDrop> for DropReason {
    fn from(why: NdpDrop) -> Self {
        match why {
            NdpDrop::Target | NdpDrop::Source | NdpDrop::LinkAddress | NdpDrop::Own => Self::NdpSender,
            NdpDrop::OffLink => Self::NdpOffLink,
            NdpDrop::RouterSolicitation | NdpDrop::RouterAdvertisement | NdpDrop::Redirect => Self::NdpRouter,
            _ => Self::NdpMalformed,
        }
    }
}

impl From<IcmpDrop> for DropReason {
    fn from(why: IcmpDrop) -> Self {
        match why {
            IcmpDrop::Truncated | IcmpDrop::Checksum => Self::IcmpMalformed,
            IcmpDrop::GroupDestination => Self::Broadcast,
            IcmpDrop::Quote | IcmpDrop::Mtu | IcmpDrop::NotOurs => Self::IcmpError,
            _ => Self::IcmpType,
        }
    }
}

impl From<FragmentDrop> for DropReason {
    fn from(why: FragmentDrop) -> Self {
        match why {
            FragmentDrop::TooMany | FragmentDrop::SourceLimit => Self::FragmentLimit,
            FragmentDrop::Overlap | FragmentDrop::Duplicate => Self::FragmentOverlap,
            FragmentDrop::Timeout => Self::FragmentTimeout,
            _ => Self::FragmentMalformed,
        }
    }
}

/// How many reasons there are, the engine's included.
pub const DROP_REASONS: usize = DropReason::ALL.len() + l3l4::DropReason::ALL.len();

/// Name and meaning of every reason: the worker's, then the engine's.
pub fn all_reasons() -> impl Iterator<Item = (&'static str, &'static str)> {
    let own = DropReason::ALL.iter().map(|r| (r.name(), r.help()));
    own.chain(l3l4::DropReason::ALL.iter().map(|r| (r.name(), r.help())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_over_both_parts() {
        let names: std::collections::HashSet<_> = all_reasons().map(|(name, _)| name).collect();
        assert_eq!(names.len(), DROP_REASONS);
        assert!(DropReason::ALL.iter().enumerate().all(|(i, r)| r.index() == i));
    }
}
