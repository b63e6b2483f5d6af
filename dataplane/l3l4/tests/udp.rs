//! Datagrams, without a socket.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::ECHO;
use common::link::Rng;
use common::wire::{udp, verifies};
use common::{World, builder};
use l3l4::{DropReason, Protocol};

#[test]
fn echo_of_every_size() {
    for (from, to, head) in [("10.0.0.1", "192.0.2.9", 28), ("fd00::1", "2001:db8::9", 48)] {
        let mut world = World::new(builder());
        for len in [0, 1, 2, 3, 100, 1500 - head - 1, 1500 - head] {
            let data = Rng(len as u64).bytes(len);
            let out = world.exchange(udp(from, to, 5, ECHO, &data));
            assert_eq!(out.len(), 1);
            assert!(verifies(&out[0]));
            assert_eq!(out[0][head..], data);
            assert_eq!(out[0][head - 8..head - 4], [0, 7, 0, 5], "ports swapped");
        }
        // Longer than what may leave: taken, not answered, never cut.
        assert!(world.exchange(udp(from, to, 5, ECHO, &[1; 1500])).is_empty());
        let c = world.engine.counters();
        assert_eq!((c.udp_opened, c.delivered, c.dropped_total()), (1, 8, 0));
        let info = world.engine.flow(world.app.last_id(), world.time()).unwrap();
        assert_eq!((info.state, info.key.protocol), ("UDP", Protocol::UDP));
        assert_eq!(info.bytes_in, info.bytes_out + 1500);
    }
}

#[test]
fn no_answer_costs_no_packet() {
    let mut world = World::new(builder());
    world.app.answer_udp = false;
    assert!(world.exchange(udp("10.0.0.1", "10.0.0.2", 5, ECHO, b"quiet")).is_empty());
    assert_eq!(world.app.got[&world.app.last_id()], b"quiet");
}

#[test]
fn no_buffer_means_not_processed() {
    let mut world = World::new(builder());
    world.app.dry = true;
    assert_eq!(world.give(udp("10.0.0.1", "10.0.0.2", 5, ECHO, b"x")), Err(DropReason::NoBuffer));
    assert!(!world.app.got.contains_key(&world.app.last_id()));
}

#[test]
fn malformed() {
    let mut world = World::new(builder());
    let good = udp("10.0.0.1", "10.0.0.2", 5, ECHO, b"hello");
    let mut bad = good.clone();
    bad[30] ^= 1;
    assert_eq!(world.give(bad), Err(DropReason::UdpChecksum));
    let mut none = good.clone();
    none[26..28].fill(0);
    assert_eq!(world.give(none), Ok(()), "over IPv4 the checksum may be absent");
    let mut none = udp("fd00::1", "fd00::2", 5, ECHO, b"hello");
    none[46..48].fill(0);
    assert_eq!(world.give(none), Err(DropReason::UdpChecksum), "over IPv6 it may not");
    let mut long = good;
    long[25] += 1;
    assert_eq!(world.give(long), Err(DropReason::UdpTruncated));
    assert_eq!(world.give(udp("10.0.0.1", "10.0.0.2", 0, ECHO, b"")), Err(DropReason::PortZero));
}
