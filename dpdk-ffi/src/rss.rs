//! Which header fields a port hashes to spread packets over its receive queues.
//!
//! Invariant: a [`RssTypes`] never claims more than DPDK's own bits say; ports are asked only for what they offer.

use crate::bits::bit_set;

bit_set! {
    /// RSS hash types (DPDK's `RTE_ETH_RSS_*`).
    RssTypes {
        /// IPv4 addresses, for any payload.
        IPV4 = dpdk_sys::RTE_ETH_RSS_IPV4, "ipv4";
        /// IPv4 addresses of fragments.
        FRAG4 = dpdk_sys::RTE_ETH_RSS_FRAG_IPV4, "frag4";
        /// IPv4 addresses and TCP ports.
        TCP4 = dpdk_sys::RTE_ETH_RSS_NONFRAG_IPV4_TCP, "tcp4";
        /// IPv4 addresses and UDP ports.
        UDP4 = dpdk_sys::RTE_ETH_RSS_NONFRAG_IPV4_UDP, "udp4";
        /// IPv4 addresses, neither TCP, UDP nor SCTP.
        OTHER4 = dpdk_sys::RTE_ETH_RSS_NONFRAG_IPV4_OTHER, "other4";
        /// IPv6 addresses, for any payload.
        IPV6 = dpdk_sys::RTE_ETH_RSS_IPV6, "ipv6";
        /// IPv6 addresses of fragments.
        FRAG6 = dpdk_sys::RTE_ETH_RSS_FRAG_IPV6, "frag6";
        /// IPv6 addresses and TCP ports.
        TCP6 = dpdk_sys::RTE_ETH_RSS_NONFRAG_IPV6_TCP, "tcp6";
        /// IPv6 addresses and UDP ports.
        UDP6 = dpdk_sys::RTE_ETH_RSS_NONFRAG_IPV6_UDP, "udp6";
        /// IPv6 addresses, neither TCP, UDP nor SCTP.
        OTHER6 = dpdk_sys::RTE_ETH_RSS_NONFRAG_IPV6_OTHER, "other6";
    }
}
