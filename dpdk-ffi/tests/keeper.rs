//! An mbuf that outlives DPDK's handles keeps its memory: the pool is not freed and the clean-up does not run.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use dpdk_ffi::eal::{Eal, EalOptions};
use dpdk_ffi::leaked_mempools;
use dpdk_ffi::mempool::{Mempool, MempoolOptions};

#[test]
fn an_mbuf_survives_everything_else() {
    let eal = Eal::init(&EalOptions { memory_mb: 64, ..Default::default() }).unwrap();
    let pool =
        Mempool::new(&eal, "p", &MempoolOptions { mbufs: 15, cache: 0, ..Default::default() }).unwrap();
    let mut mbuf = pool.alloc().unwrap();
    drop(eal);
    drop(pool);
    assert_eq!(leaked_mempools(), 1);
    mbuf.append(2000).unwrap().fill(7);
    assert!(mbuf.data().iter().all(|b| *b == 7) && mbuf.data().len() == 2000);
    drop(mbuf);
    assert_eq!(leaked_mempools(), 1, "kept for good, and said so");
}
