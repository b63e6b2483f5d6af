//! The order of the end: pools wait for their mbufs, DPDK waits for its pools, and an mbuf is sound to the last.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use arrayvec::ArrayVec;
use dpdk_ffi::eal::{Eal, EalOptions};
use dpdk_ffi::leaked_mempools;
use dpdk_ffi::mempool::{Mempool, MempoolOptions};
use dpdk_ffi::port::{Port, PortOptions, find_port};
use dpdk_ffi::ring::{Producers, mbuf_ring};

#[test]
fn everything_is_given_back_in_any_order() {
    let options = EalOptions { memory_mb: 64, vdevs: vec!["net_null0".into()], ..Default::default() };
    let cpus = std::thread::available_parallelism().unwrap();
    let eal = Eal::init(&options).unwrap();
    assert_eq!(std::thread::available_parallelism().unwrap(), cpus, "this thread is not pinned to one cpu");
    assert!(eal.args().contains(&"--no-pci".to_owned()));
    assert!(dpdk_ffi::version().starts_with("DPDK 2"));
    let small = MempoolOptions { mbufs: 127, cache: 16, ..Default::default() };
    let make = |name: &str| Mempool::new(&eal, name, &small).unwrap();

    // A pool without mbufs outside is freed with its last handle: its name is free again.
    let pool = make("a");
    let other = pool.clone();
    drop(pool);
    assert!(Mempool::new(&eal, "a", &small).unwrap_err().to_string().contains("EEXIST"));
    drop(other);
    let pool = make("a");

    // With an mbuf outside it waits, and the mbuf stays usable.
    let mut mbuf = pool.alloc().unwrap();
    drop(pool);
    assert_eq!(leaked_mempools(), 1);
    mbuf.append(4).unwrap().copy_from_slice(b"safe");
    assert_eq!(mbuf.data(), b"safe");
    drop(mbuf);
    assert_eq!(leaked_mempools(), 1, "nobody has looked yet");

    // A registered thread holds mbufs in its cache and may be anywhere in a free: pools wait for it too.
    let pool = make("b");
    let guard = eal.register_thread().unwrap();
    assert!(eal.register_thread().unwrap_err().to_string().contains("registered already"));
    drop(pool.alloc());
    assert_eq!(pool.in_use(), 0, "what is in a cache is not in use");
    drop(pool);
    assert_eq!(leaked_mempools(), 2);
    drop(guard);
    assert_eq!(leaked_mempools(), 0, "the last registered thread looked after both");

    // A port and a ring keep DPDK and their pools alive after every handle is gone.
    let pool = make("c");
    let port = Port::configure(&eal, find_port(&eal, "net_null0").unwrap(), &PortOptions::default(), &[pool])
        .unwrap();
    let mut rx = port.start().unwrap().take_rx_queue(0).unwrap();
    let (mut sender, receiver) = mbuf_ring(&eal, "ring", 64, Producers::Single).unwrap();
    drop(eal);
    let mut burst = ArrayVec::<_, 32>::new();
    assert_eq!(rx.rx_burst(&mut burst), 32);
    assert_eq!(sender.send_burst(&mut burst), 32);
    drop(rx);
    assert_eq!(leaked_mempools(), 1, "the ring holds 32 of its mbufs");
    drop((sender, receiver));
    assert_eq!(leaked_mempools(), 0, "freed as DPDK stopped");
}
