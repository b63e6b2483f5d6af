//! Rings of mbufs: order kept per sender, nothing lost, nothing left over.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use arrayvec::ArrayVec;
use common::{eal, numbered, numbers, packet, pool, unique};
use dpdk_ffi::mbuf::Mbuf;
use dpdk_ffi::ring::{Producers, mbuf_ring};

#[test]
fn a_full_ring_leaves_the_tail_with_the_sender() {
    let pool = pool(63);
    let (mut sender, mut receiver) = mbuf_ring(eal(), &unique("ring"), 8, Producers::Single).unwrap();
    assert_eq!((sender.capacity(), receiver.capacity()), (7, 7));
    let mut mbufs = numbered::<16>(&pool, 10);
    assert_eq!(sender.send_burst(&mut mbufs), 7);
    assert_eq!(numbers(&mbufs), [7, 8, 9]);
    assert_eq!((sender.send_burst(&mut mbufs), sender.len()), (0, 7));
    assert_eq!(numbers(&mbufs), [7, 8, 9]);
    let mut got = ArrayVec::<Mbuf, 4>::new();
    assert_eq!(receiver.receive_burst(&mut got), 4);
    assert_eq!(receiver.receive_burst(&mut got), 0, "no room left in the vector");
    assert_eq!((numbers(&got), receiver.len()), (vec![0, 1, 2, 3], 3));
    got.clear();
    assert_eq!(sender.send_burst(&mut mbufs), 3);
    let mut rest = ArrayVec::<Mbuf, 32>::new();
    rest.push(packet(&pool, &99_u32.to_be_bytes()));
    assert_eq!(receiver.receive_burst(&mut rest), 6);
    assert_eq!(numbers(&rest), [99, 4, 5, 6, 7, 8, 9], "received behind what was there");
    assert!(receiver.is_empty());
    drop(rest);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn the_last_end_frees_what_is_inside() {
    let pool = pool(255);
    let (mut sender, receiver) = mbuf_ring(eal(), &unique("ring"), 256, Producers::Multi).unwrap();
    let mut mbufs = numbered::<200>(&pool, 200);
    assert_eq!(sender.send_burst(&mut mbufs), 200);
    drop(receiver);
    assert_eq!(pool.in_use(), 200);
    drop(sender);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn two_senders_one_receiver_on_three_threads() {
    const EACH: u32 = 20_000;
    let pool = pool(255);
    let (sender, mut receiver) = mbuf_ring(eal(), &unique("ring"), 64, Producers::Multi).unwrap();
    let second = sender.try_clone().expect("a multi-producer ring has more senders");
    let threads: Vec<_> = [(sender, 0_u32), (second, 1)]
        .into_iter()
        .map(|(mut sender, who)| {
            let pool = pool.clone();
            std::thread::spawn(move || {
                // One of the two uses the pool's per-thread cache, as workers do.
                let _guard = (who == 0).then(|| eal().register_thread().unwrap());
                let mut burst = ArrayVec::<Mbuf, 16>::new();
                let mut next = 0;
                while next < EACH || !burst.is_empty() {
                    while next < EACH && !burst.is_full() {
                        let Some(mut mbuf) = pool.alloc() else { break };
                        mbuf.append(8).unwrap()[..4].copy_from_slice(&next.to_be_bytes());
                        mbuf.data_mut()[4..].copy_from_slice(&who.to_be_bytes());
                        burst.push(mbuf);
                        next += 1;
                    }
                    if sender.send_burst(&mut burst) == 0 {
                        std::thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let mut expected = [0_u32; 2];
    let mut got = ArrayVec::<Mbuf, 32>::new();
    while expected != [EACH; 2] {
        if receiver.receive_burst(&mut got) == 0 {
            std::thread::yield_now();
        }
        for mbuf in &got {
            let who = usize::from(mbuf.data()[7]);
            assert_eq!(mbuf.data()[..4], expected[who].to_be_bytes(), "sender {who}");
            expected[who] += 1;
        }
        Mbuf::free_bulk(&mut got);
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!((receiver.len(), pool.in_use()), (0, 0));
}

#[test]
fn a_single_producer_ring_has_one_sender() {
    let (sender, _receiver) = mbuf_ring(eal(), &unique("ring"), 8, Producers::Single).unwrap();
    assert!(sender.try_clone().is_none());
}

#[test]
fn impossible_rings_are_refused_with_a_fix() {
    let make = |name: &str, size| mbuf_ring(eal(), name, size, Producers::Single).map(drop).unwrap_err();
    for size in [0, 1, 100] {
        assert!(make("odd", size).to_string().contains("power of two"), "{size}");
    }
    assert!(make(&"x".repeat(29), 8).hint().contains("28 bytes"));
    let _held = mbuf_ring(eal(), "taken", 8, Producers::Single).unwrap();
    let error = make("taken", 8);
    assert_eq!(error.errno(), Some(libc::EEXIST));
    assert!(error.to_string().contains("EEXIST); fix: the name is taken"), "{error}");
}
