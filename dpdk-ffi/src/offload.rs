//! What a port can do in the driver or the hardware, as bit sets with names.
//!
//! Invariant: the sets hold DPDK's `RTE_ETH_RX_OFFLOAD_*` and `RTE_ETH_TX_OFFLOAD_*` bits unchanged.

use crate::bits::bit_set;

bit_set! {
    /// Receive offloads.
    RxOffloads {
        /// Takes the VLAN tag off the frame.
        VLAN_STRIP = dpdk_sys::RTE_ETH_RX_OFFLOAD_VLAN_STRIP, "vlan_strip";
        /// Checks the IPv4 header checksum.
        IPV4_CHECKSUM = dpdk_sys::RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, "ipv4_checksum";
        /// Checks the UDP checksum.
        UDP_CHECKSUM = dpdk_sys::RTE_ETH_RX_OFFLOAD_UDP_CKSUM, "udp_checksum";
        /// Checks the TCP checksum.
        TCP_CHECKSUM = dpdk_sys::RTE_ETH_RX_OFFLOAD_TCP_CKSUM, "tcp_checksum";
        /// Merges TCP segments. Never asked for.
        LRO = dpdk_sys::RTE_ETH_RX_OFFLOAD_TCP_LRO, "lro";
        /// Spreads a long frame over several mbufs.
        SCATTER = dpdk_sys::RTE_ETH_RX_OFFLOAD_SCATTER, "scatter";
        /// Reports the RSS hash in the mbuf.
        RSS_HASH = dpdk_sys::RTE_ETH_RX_OFFLOAD_RSS_HASH, "rss_hash";
    }
}

bit_set! {
    /// Transmit offloads.
    TxOffloads {
        /// Puts a VLAN tag into the frame.
        VLAN_INSERT = dpdk_sys::RTE_ETH_TX_OFFLOAD_VLAN_INSERT, "vlan_insert";
        /// Fills in the IPv4 header checksum.
        IPV4_CHECKSUM = dpdk_sys::RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, "ipv4_checksum";
        /// Fills in the UDP checksum.
        UDP_CHECKSUM = dpdk_sys::RTE_ETH_TX_OFFLOAD_UDP_CKSUM, "udp_checksum";
        /// Fills in the TCP checksum.
        TCP_CHECKSUM = dpdk_sys::RTE_ETH_TX_OFFLOAD_TCP_CKSUM, "tcp_checksum";
        /// Cuts a large TCP segment into small ones.
        TCP_TSO = dpdk_sys::RTE_ETH_TX_OFFLOAD_TCP_TSO, "tcp_tso";
        /// Sends a frame held in several mbufs.
        MULTI_SEGS = dpdk_sys::RTE_ETH_TX_OFFLOAD_MULTI_SEGS, "multi_segs";
        /// Frees sent mbufs in bulk into one pool.
        MBUF_FAST_FREE = dpdk_sys::RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE, "mbuf_fast_free";
    }
}
