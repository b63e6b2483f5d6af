/*
 * What bindgen cannot see by itself: DPDK's static inline functions (as one-line wrappers, in shim.c) and the values
 * of 64-bit macros (as constants, below). No logic lives here.
 */
#ifndef DPDK_SYS_SHIM_H
#define DPDK_SYS_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_bus.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <rte_version.h>

/* Packet path. */
uint16_t shim_rte_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t shim_rte_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
uint16_t shim_rte_eth_tx_prepare(uint16_t port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
struct rte_mbuf *shim_rte_pktmbuf_alloc(struct rte_mempool *pool);
int shim_rte_pktmbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int n);
void shim_rte_pktmbuf_free(struct rte_mbuf *m);
int shim_rte_pktmbuf_linearize(struct rte_mbuf *m);
unsigned int shim_rte_ring_enqueue_burst(struct rte_ring *r, void *const *objs, unsigned int n);
unsigned int shim_rte_ring_dequeue_burst(struct rte_ring *r, void **objs, unsigned int n);
unsigned int shim_rte_ring_count(const struct rte_ring *r);
uint64_t shim_rte_rdtsc(void);

/* Control path. */
int shim_rte_errno(void);
unsigned int shim_rte_lcore_id(void);
int shim_rte_log_to_stderr(void);
int shim_rte_eth_link_get_nowait(uint16_t port, uint32_t *speed, bool *up, bool *full_duplex);
uint16_t shim_rte_pktmbuf_data_room_size(struct rte_mempool *pool);

/*
 * Offsets of mbuf fields. The ABI fixes them, but 24.03 moved the fields into anonymous unions, so a field path written
 * in Rust would fit only one side of that release.
 */
enum shim_mbuf_offset {
	MBUF_BUF_ADDR = offsetof(struct rte_mbuf, buf_addr),
	MBUF_DATA_OFF = offsetof(struct rte_mbuf, data_off),
	MBUF_REFCNT = offsetof(struct rte_mbuf, refcnt),
	MBUF_NB_SEGS = offsetof(struct rte_mbuf, nb_segs),
	MBUF_PORT = offsetof(struct rte_mbuf, port),
	MBUF_OL_FLAGS = offsetof(struct rte_mbuf, ol_flags),
	MBUF_PACKET_TYPE = offsetof(struct rte_mbuf, packet_type),
	MBUF_PKT_LEN = offsetof(struct rte_mbuf, pkt_len),
	MBUF_DATA_LEN = offsetof(struct rte_mbuf, data_len),
	MBUF_VLAN_TCI = offsetof(struct rte_mbuf, vlan_tci),
	MBUF_RSS_HASH = offsetof(struct rte_mbuf, hash.rss),
	MBUF_BUF_LEN = offsetof(struct rte_mbuf, buf_len),
	MBUF_POOL = offsetof(struct rte_mbuf, pool),
	MBUF_NEXT = offsetof(struct rte_mbuf, next),
	MBUF_TX_OFFLOAD = offsetof(struct rte_mbuf, tx_offload),
};

/* build.rs strips the K_ again, so Rust sees the names the DPDK manual uses. */
#define K(name) static const uint64_t K_##name = (uint64_t)(name)

K(RTE_VER_YEAR);
K(RTE_VER_MONTH);
K(RTE_PKTMBUF_HEADROOM);
K(RTE_MEMPOOL_NAMESIZE);
K(RTE_MEMPOOL_CACHE_MAX_SIZE);
K(RTE_MBUF_PRIV_ALIGN);
K(RTE_RING_NAMESIZE);
K(RTE_ETH_NAME_MAX_LEN);
K(RTE_ETH_XSTATS_NAME_SIZE);
K(RTE_ETH_RETA_GROUP_SIZE);
K(RTE_ETHER_CRC_LEN);
K(RTE_ETHER_HDR_LEN);
K(RTE_LOG_WARNING);
K(RTE_MAX_ETHPORTS);
K(RTE_MAX_LCORE);
K(RING_F_SP_ENQ);
K(RING_F_SC_DEQ);

K(RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
K(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM);
K(RTE_ETH_RX_OFFLOAD_UDP_CKSUM);
K(RTE_ETH_RX_OFFLOAD_TCP_CKSUM);
K(RTE_ETH_RX_OFFLOAD_TCP_LRO);
K(RTE_ETH_RX_OFFLOAD_SCATTER);
K(RTE_ETH_RX_OFFLOAD_KEEP_CRC);
K(RTE_ETH_RX_OFFLOAD_RSS_HASH);

K(RTE_ETH_TX_OFFLOAD_VLAN_INSERT);
K(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM);
K(RTE_ETH_TX_OFFLOAD_UDP_CKSUM);
K(RTE_ETH_TX_OFFLOAD_TCP_CKSUM);
K(RTE_ETH_TX_OFFLOAD_TCP_TSO);
K(RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
K(RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);

K(RTE_ETH_RSS_IPV4);
K(RTE_ETH_RSS_FRAG_IPV4);
K(RTE_ETH_RSS_NONFRAG_IPV4_TCP);
K(RTE_ETH_RSS_NONFRAG_IPV4_UDP);
K(RTE_ETH_RSS_NONFRAG_IPV4_OTHER);
K(RTE_ETH_RSS_IPV6);
K(RTE_ETH_RSS_FRAG_IPV6);
K(RTE_ETH_RSS_NONFRAG_IPV6_TCP);
K(RTE_ETH_RSS_NONFRAG_IPV6_UDP);
K(RTE_ETH_RSS_NONFRAG_IPV6_OTHER);

K(RTE_MBUF_F_RX_RSS_HASH);
K(RTE_MBUF_F_RX_VLAN);
K(RTE_MBUF_F_RX_VLAN_STRIPPED);
K(RTE_MBUF_F_RX_IP_CKSUM_MASK);
K(RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN);
K(RTE_MBUF_F_RX_IP_CKSUM_BAD);
K(RTE_MBUF_F_RX_IP_CKSUM_GOOD);
K(RTE_MBUF_F_RX_IP_CKSUM_NONE);
K(RTE_MBUF_F_RX_L4_CKSUM_MASK);
K(RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN);
K(RTE_MBUF_F_RX_L4_CKSUM_BAD);
K(RTE_MBUF_F_RX_L4_CKSUM_GOOD);
K(RTE_MBUF_F_RX_L4_CKSUM_NONE);
K(RTE_MBUF_F_TX_TCP_SEG);
K(RTE_MBUF_F_TX_TCP_CKSUM);
K(RTE_MBUF_F_TX_UDP_CKSUM);
K(RTE_MBUF_F_TX_IP_CKSUM);
K(RTE_MBUF_F_TX_IPV4);
K(RTE_MBUF_F_TX_IPV6);
K(RTE_MBUF_F_TX_VLAN);
K(RTE_MBUF_F_TX_OFFLOAD_MASK);
K(RTE_MBUF_F_INDIRECT);
K(RTE_MBUF_F_EXTERNAL);

K(RTE_MBUF_L2_LEN_OFS);
K(RTE_MBUF_L2_LEN_BITS);
K(RTE_MBUF_L3_LEN_OFS);
K(RTE_MBUF_L3_LEN_BITS);
K(RTE_MBUF_L4_LEN_OFS);
K(RTE_MBUF_L4_LEN_BITS);
K(RTE_MBUF_TSO_SEGSZ_OFS);
K(RTE_MBUF_TSO_SEGSZ_BITS);

#endif
