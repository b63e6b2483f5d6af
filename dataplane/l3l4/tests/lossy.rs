//! Loss recovery in the places where it could have been forgotten: IPv6, peers that offer timestamps, connections whose SYN
//! or SYN-ACK was lost, connections opened by a cookie, and connections that slept.
//!
//! The engine is built with the defaults: recovery is not asked for.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{FLOOD, MANUAL};
use common::link::Faults;
use common::transfer::{self, Transfer};
use common::wire::{ACK, SYN, Seg, got, seg};
use common::{World, builder};
use core::time::Duration;
use l3l4::SynCookies;
use smoltcp::wire::IpAddress;

const SECOND: u64 = 1_000_000;
const TIMESTAMP: [u8; 12] = [1, 1, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0];

/// A SYN with 1440 bytes a segment, which fits both kinds of IP, and SACK.
fn syn() -> Seg {
    seg(MANUAL, SYN, 1, 0).options(&[2, 4, 5, 0xa0, 1, 1, 4, 2])
}

/// A segment of the connection that `syn` began.
fn ack(syn: &Seg, ours: u32, theirs: u32) -> Seg {
    let mut ack = syn.clone();
    (ack.flags, ack.seq, ack.ack, ack.options) = (ACK, theirs, ours, vec![]);
    ack
}

/// Ten segments leave at once, three of them are lost, and exactly these are sent again, without any timer. `before`
/// stands in front of the SACK option.
fn three_of_ten_are_lost(world: &mut World, syn: &Seg, (ours, theirs): (u32, u32), before: &[u8]) {
    let starts =
        |out: &[Vec<u8>]| -> Vec<u32> { out.iter().map(|p| got(p).seq.wrapping_sub(ours) / 1440).collect() };
    world.now += 10_000;
    assert_eq!(world.engine.l4_tx(world.app.last_id(), &[7; 14_400]), Ok(14_400));
    world.turn();
    assert_eq!(starts(&world.app.take_out()), (0..10).collect::<Vec<_>>());
    world.now += 10_000;
    let mut again = vec![];
    for blocks in [&[(1, 2)][..], &[(1, 3)], &[(5, 6), (1, 3)], &[(5, 7), (1, 3)], &[(5, 10), (1, 3)]] {
        let mut options = before.to_vec();
        options.extend([1, 1, 5, 2 + 8 * blocks.len() as u8]);
        for (from, to) in blocks {
            options.extend(ours.wrapping_add(from * 1440).to_be_bytes());
            options.extend(ours.wrapping_add(to * 1440).to_be_bytes());
        }
        world.now += 100;
        again.extend(world.exchange(ack(syn, ours, theirs).options(&options).build()));
    }
    assert_eq!(starts(&again), [0, 3, 4]);
    world.now += 10_000;
    assert!(world.exchange(ack(syn, ours.wrapping_add(14_400), theirs).options(before).build()).is_empty());
    let c = world.engine.counters();
    assert_eq!((c.tcp_fast_retransmits, c.tcp_timeouts, c.tcp_tail_probes), (3, 0, 0));
    assert_eq!(world.engine.flow(world.app.last_id(), world.time()).unwrap().bytes_out, 14_400);
}

#[test]
fn over_ipv6() {
    let mut world = World::new(builder());
    let syn = syn().ends("fd00::1", "fd00::2");
    let numbers = world.handshake(&syn);
    three_of_ten_are_lost(&mut world, &syn, numbers, &[]);
}

/// They are not taken up; a peer that sends them all the same has its SACK blocks read behind them.
#[test]
fn where_timestamps_are_offered() {
    let mut world = World::new(builder());
    let mut syn = syn();
    syn.options.extend(TIMESTAMP);
    let out = world.exchange(syn.build());
    let answer = got(&out[0]);
    assert!(!answer.options.windows(2).any(|kind| kind == [8, 10]), "{:?}", answer.options);
    let numbers = (answer.seq.wrapping_add(1), 2);
    assert!(world.exchange(ack(&syn, numbers.0, numbers.1).options(&TIMESTAMP).build()).is_empty());
    three_of_ten_are_lost(&mut world, &syn, numbers, &TIMESTAMP);
}

#[test]
fn after_a_lost_syn_ack() {
    let mut world = World::new(builder());
    let first = got(&world.exchange(syn().build())[0]);
    // It is lost, and so is the second; the third gets through.
    for wait in [SECOND, 2 * SECOND] {
        world.now += wait;
        world.turn();
        let out = world.app.take_out();
        assert_eq!((out.len(), got(&out[0]).seq), (1, first.seq), "sent again after {wait} us");
    }
    let numbers = (first.seq.wrapping_add(1), 2);
    assert!(world.exchange(ack(&syn(), numbers.0, numbers.1).build()).is_empty());
    three_of_ten_are_lost(&mut world, &syn(), numbers, &[]);
}

#[test]
fn after_a_cookie() {
    let mut world = World::new(builder().syn_cookies(SynCookies::Always));
    let numbers = world.handshake(&syn());
    assert_eq!(world.engine.counters().syn_cookies_accepted, 1);
    three_of_ten_are_lost(&mut world, &syn(), numbers, &[]);
}

#[test]
fn after_sleep() {
    for syn in [syn(), syn().ends("fd00::1", "fd00::2")] {
        let mut world = World::new(builder());
        let numbers = world.handshake(&syn);
        world.pass(6 * SECOND);
        assert_eq!(world.engine.asleep_count(), 1);
        three_of_ten_are_lost(&mut world, &syn, numbers, &[]);
        world.pass(6 * SECOND);
        assert_eq!(world.engine.asleep_count(), 1, "nothing is left of it");
    }
}

/// Nothing sleeps while something it sent may be lost, however short its sleep.
#[test]
fn a_lost_tail_keeps_awake() {
    let mut world = World::new(builder().tcp_sleep_after(Some(Duration::from_millis(1))));
    let (ours, theirs) = world.handshake(&syn());
    world.now += 10_000;
    assert_eq!(world.engine.l4_tx(world.app.last_id(), &[7; 100]), Ok(100));
    world.turn();
    assert_eq!(world.app.take_out().len(), 1);
    for _ in 0..100 {
        world.now += 10_000;
        world.turn();
    }
    assert!(world.app.take_out().iter().all(|p| got(p).seq == ours && got(p).data.len() == 100));
    assert!(world.engine.counters().tcp_retransmits > 0, "it is sent again");
    assert_eq!(world.engine.asleep_count(), 0);
    world.exchange(ack(&syn(), ours.wrapping_add(100), theirs).build());
    world.pass(SECOND);
    assert_eq!(world.engine.asleep_count(), 1);
}

/// What was sent is sent again whatever a peer says that acknowledges nothing.
#[test]
fn a_peer_that_only_repeats_itself() {
    for repeats in 0..5 {
        let mut world = World::new(builder());
        let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1, 0).window(4096));
        world.now += 10_000;
        assert!(world.engine.l4_tx(world.app.last_id(), &[7; 16_000]).is_ok());
        world.turn();
        assert_eq!(world.app.take_out().len(), 8);
        for _ in 0..repeats {
            world.now += 1000;
            world.exchange(seg(MANUAL, ACK, theirs, ours).window(4096).build());
        }
        for _ in 0..1000 {
            world.now += 10_000;
            world.turn();
        }
        let again = world.app.take_out().len();
        assert!((3..=10).contains(&again), "{repeats}: {again}, {:?}", world.engine.counters());
    }
}

/// Whole transfers whose SYNs and SYN-ACKs are lost for a while, over links that lose a lot after that too.
#[test]
fn transfers_that_begin_badly() {
    let faults = Faults { loss: 100, burst: 10, delay: 5_000, ..Faults::default() };
    for seed in 0..20 {
        let mut world = World::new(builder()).faults(faults, seed);
        world.app.flood = 200_000;
        let to = if seed % 2 == 0 {
            IpAddress::v4(10, 0, 0, 2)
        } else {
            IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2)
        };
        let handle = world.connect(to, FLOOD);
        // A run is of packets: with one a minute it would outlast any patience.
        world.up.faults.burst = 0;
        (world.up.cut, world.down.cut) = (seed % 4 < 2, true);
        world.pass(4 * SECOND);
        (world.up.cut, world.down.cut) = (false, false);
        world.socket(handle).set_keep_alive(Some(smoltcp::time::Duration::from_secs(20)));
        let mut all = [Transfer::new(handle, vec![])];
        transfer::run(&mut world, &mut all, Duration::from_secs(600), &format!("seed {seed}"));
        assert_eq!(all[0].back.len(), 200_000, "seed {seed}: {:?}", world.engine.counters());
        assert!(world.engine.counters().tcp_fast_retransmits > 0, "seed {seed}");
    }
}
