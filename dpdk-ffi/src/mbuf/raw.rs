//! Field access by offset: the one place that knows how an `rte_mbuf` lies in memory.
//!
//! Invariant: offsets come from the C compiler (`dpdk_sys::MBUF_*`), so they fit the installed release.
//!
//! # Safety
//! Every function needs a pointer to a live mbuf that this thread may read (and, for setters, write).

use dpdk_sys::rte_mbuf;

macro_rules! field {
    ($get:ident, $set:ident, $offset:ident, $type:ty) => {
        field!($get, $offset, $type);
        #[inline(always)]
        pub(crate) unsafe fn $set(mbuf: *mut rte_mbuf, value: $type) {
            // SAFETY: see the module's documentation; the field is naturally aligned inside a cache-aligned struct.
            unsafe { mbuf.byte_add(dpdk_sys::$offset as usize).cast::<$type>().write(value) }
        }
    };
    ($get:ident, $offset:ident, $type:ty) => {
        #[inline(always)]
        pub(crate) unsafe fn $get(mbuf: *const rte_mbuf) -> $type {
            // SAFETY: see the module's documentation; the field is naturally aligned inside a cache-aligned struct.
            unsafe { mbuf.byte_add(dpdk_sys::$offset as usize).cast::<$type>().read() }
        }
    };
}

field!(buf_addr, MBUF_BUF_ADDR, *mut u8);
field!(buf_len, MBUF_BUF_LEN, u16);
field!(data_off, set_data_off, MBUF_DATA_OFF, u16);
field!(data_len, set_data_len, MBUF_DATA_LEN, u16);
field!(pkt_len, set_pkt_len, MBUF_PKT_LEN, u32);
field!(segments, MBUF_NB_SEGS, u16);
field!(port, set_port, MBUF_PORT, u16);
field!(flags, set_flags, MBUF_OL_FLAGS, u64);
field!(vlan_tci, set_vlan_tci, MBUF_VLAN_TCI, u16);
field!(rss_hash, MBUF_RSS_HASH, u32);
field!(pool, MBUF_POOL, *mut dpdk_sys::rte_mempool);
field!(next, MBUF_NEXT, *mut rte_mbuf);
field!(tx_offload, set_tx_offload, MBUF_TX_OFFLOAD, u64);
