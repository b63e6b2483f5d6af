//! Buffers: nothing is lost, nothing is written outside, and a vector plus a ring always hold what went in.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use arrayvec::ArrayVec;
use common::{numbered, numbers, packet, pool};
use dpdk_ffi::mbuf::{L4Checksum, Mbuf, RxChecksum, TxOffload};
use dpdk_ffi::mempool::HEADROOM;

#[test]
fn every_mbuf_comes_home() {
    let pool = pool(63);
    assert_eq!((pool.size(), pool.available(), pool.in_use()), (63, 63, 0));
    let mut held: Vec<Mbuf> = Vec::new();
    while let Some(mbuf) = pool.alloc() {
        held.push(mbuf);
    }
    assert_eq!((held.len(), pool.available(), pool.in_use()), (63, 0, 63));
    held.truncate(10);
    assert_eq!(pool.in_use(), 10);
    drop(held);
    assert_eq!((pool.available(), pool.in_use()), (63, 0));
}

#[test]
fn bulk_allocation_is_all_or_nothing() {
    let pool = pool(15);
    let mut some = ArrayVec::<Mbuf, 16>::new();
    assert!(pool.alloc_bulk(&mut some, 10));
    assert_eq!((some.len(), pool.in_use()), (10, 10));
    assert!(!pool.alloc_bulk(&mut some, 6), "the pool has 5");
    assert!(!pool.alloc_bulk(&mut some, 7), "the vector has room for 6");
    assert_eq!((some.len(), pool.in_use()), (10, 10));
    assert!(pool.alloc_bulk(&mut some, 5));
    Mbuf::free_bulk(&mut some);
    assert_eq!((some.len(), pool.in_use()), (0, 0));
    Mbuf::free_bulk(&mut some);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn fresh_mbufs_are_empty_and_zeroed() {
    let pool = pool(7);
    let mut mbuf = pool.alloc().unwrap();
    assert_eq!((mbuf.len(), mbuf.pkt_len(), mbuf.segments()), (0, 0, 1));
    assert_eq!((mbuf.headroom(), mbuf.tailroom(), mbuf.capacity()), (HEADROOM, 2048, 2048));
    assert!(mbuf.data().is_empty());
    assert_eq!(mbuf.room_mut().len(), 2048);
    assert!(mbuf.room_mut().iter().all(|b| *b == 0));
    assert_eq!((mbuf.rss_hash(), mbuf.vlan_stripped()), (None, None));
    assert_eq!((mbuf.rx_ip_checksum(), mbuf.rx_l4_checksum()), (RxChecksum::Unknown, RxChecksum::Unknown));
}

#[test]
fn growing_and_cutting_keep_to_the_buffer() {
    let pool = pool(7);
    let mut mbuf = packet(&pool, b"payload");
    mbuf.prepend(4).unwrap().copy_from_slice(b"head");
    mbuf.append(4).unwrap().copy_from_slice(b"tail");
    assert_eq!(mbuf.data(), b"headpayloadtail");
    assert_eq!((mbuf.headroom(), mbuf.tailroom()), (HEADROOM - 4, 2048 - 11));
    assert!(mbuf.prepend(HEADROOM - 3).is_none());
    assert!(mbuf.append(2048 - 10).is_none());
    assert!(!mbuf.adj(16) && !mbuf.trim(16));
    assert_eq!(mbuf.data(), b"headpayloadtail", "what is refused changes nothing");
    assert!(mbuf.adj(4) && mbuf.trim(4));
    assert_eq!((mbuf.data(), mbuf.pkt_len()), (&b"payload"[..], 7));
    assert!(mbuf.adj(7));
    assert_eq!((mbuf.len(), mbuf.headroom()), (0, HEADROOM + 7));
    assert_eq!(mbuf.prepend(HEADROOM + 7).map(|bytes| bytes.len()), Some(usize::from(HEADROOM) + 7));
    assert!(mbuf.prepend(1).is_none());
    assert_eq!(mbuf.append(mbuf.tailroom()).map(|bytes| bytes.len()), Some(2048 - 7));
    assert_eq!((mbuf.len(), mbuf.tailroom()), (2048 + HEADROOM, 0));
}

#[test]
fn the_length_can_be_set_within_the_room() {
    let pool = pool(7);
    let mut mbuf = pool.alloc().unwrap();
    mbuf.room_mut()[..3].copy_from_slice(b"abc");
    assert!(mbuf.set_len(3));
    assert_eq!((mbuf.data(), mbuf.pkt_len()), (&b"abc"[..], 3));
    mbuf.data_mut()[0] = b'x';
    assert_eq!(mbuf.data(), b"xbc");
    assert!(mbuf.set_len(2048));
    assert!(!mbuf.set_len(2049));
    assert_eq!(mbuf.len(), 2048);
    assert!(mbuf.is_contiguous() && mbuf.linearize());
}

#[test]
fn offload_requests_are_packed_or_refused() {
    let pool = pool(7);
    let mut mbuf = packet(&pool, &[0; 100]);
    let tcp = TxOffload {
        l2_len: 14,
        l3_len: 20,
        l4_len: 20,
        ipv4: true,
        ip_checksum: true,
        l4: L4Checksum::Tcp,
        ..Default::default()
    };
    assert!(mbuf.set_tx_offload(&tcp));
    let (flags, lengths) = mbuf.tx_offload_bits();
    // DPDK's RTE_MBUF_F_TX_TCP_CKSUM (1 << 52), _IP_CKSUM (1 << 54) and _IPV4 (1 << 55).
    assert_eq!(flags, 1 << 52 | 1 << 54 | 1 << 55);
    // Bits 0..7 l2_len, 7..16 l3_len, 16..24 l4_len, 24..40 tso_segsz.
    assert_eq!(lengths, 14 | 20 << 7 | 20 << 16);
    let tso = TxOffload { tso: true, tso_segsz: 1448, vlan: Some(42), ..tcp };
    assert!(mbuf.set_tx_offload(&tso));
    assert_eq!(
        mbuf.tx_offload_bits(),
        (1 << 50 | 1 << 52 | 1 << 54 | 1 << 55 | 1 << 57, 14 | 20 << 7 | 20 << 16 | 1448 << 24)
    );
    for bad in [
        TxOffload { l2_len: 128, l3_len: 0, l4_len: 0, ..tcp },
        TxOffload { l4_len: 67, ..tcp },
        TxOffload { tso_segsz: 0, ..tso },
        TxOffload { l4: L4Checksum::Udp, ..tso },
        TxOffload { ipv4: false, ipv6: true, ..tcp },
    ] {
        assert!(!mbuf.set_tx_offload(&bad), "{bad:?}");
        assert_eq!(mbuf.tx_offload_bits(), (0, 0));
    }
}

#[test]
fn pools_share_and_threads_may_free() {
    let pool = pool(31);
    let mbufs = numbered::<31>(&pool, 31);
    assert_eq!(numbers(&mbufs), (0..31).collect::<Vec<_>>());
    let handle = pool.clone();
    std::thread::spawn(move || drop(mbufs)).join().unwrap();
    assert_eq!((pool.in_use(), handle.in_use()), (0, 0));
}
