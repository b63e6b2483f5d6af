//! One DPDK per test process, shared by its tests, which run on threads of their own.

#![allow(dead_code, unreachable_pub, clippy::expect_used)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use arrayvec::ArrayVec;
use dpdk_ffi::eal::{Eal, EalOptions};
use dpdk_ffi::mbuf::Mbuf;
use dpdk_ffi::mempool::{Mempool, MempoolOptions};

/// The process's DPDK, without hugepages and without PCI devices.
pub fn eal() -> &'static Eal {
    static EAL: OnceLock<Eal> = OnceLock::new();
    EAL.get_or_init(|| Eal::init(&EalOptions { memory_mb: 256, ..Default::default() }).expect("DPDK starts"))
}

/// A small pool with a name of its own.
pub fn pool(mbufs: u32) -> Mempool {
    let options = MempoolOptions { mbufs, cache: 0, ..Default::default() };
    Mempool::new(eal(), &unique("pool"), &options).expect("a pool")
}

/// `what` with a number that no other caller in this process gets.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{what}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An mbuf that carries these bytes.
pub fn packet(pool: &Mempool, bytes: &[u8]) -> Mbuf {
    let mut mbuf = pool.alloc().expect("an mbuf");
    let len = u16::try_from(bytes.len()).expect("a short packet");
    mbuf.append(len).expect("room").copy_from_slice(bytes);
    mbuf
}

/// A vector of `n` mbufs, each carrying its number.
pub fn numbered<const N: usize>(pool: &Mempool, n: usize) -> ArrayVec<Mbuf, N> {
    (0..n).map(|i| packet(pool, &u32::try_from(i).expect("small").to_be_bytes())).collect()
}

/// The numbers that `numbered` wrote.
pub fn numbers(mbufs: &[Mbuf]) -> Vec<u32> {
    mbufs.iter().map(|m| u32::from_be_bytes(m.data()[..4].try_into().expect("4 bytes"))).collect()
}
