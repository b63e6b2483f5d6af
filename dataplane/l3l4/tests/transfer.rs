//! Bytes through the engine and back, over clean and bad links, to and from a real TCP.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{self, ECHO};
use common::link::{Faults, Rng};
use common::transfer::{self, Transfer};
use common::{World, builder};
use core::time::Duration;
use smoltcp::wire::IpAddress;

fn v4() -> IpAddress {
    IpAddress::v4(10, 0, 0, 2)
}

fn v6() -> IpAddress {
    IpAddress::v6(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7)
}

const BAD: Faults = Faults { loss: 10, duplicate: 10, corrupt: 5, reorder: 30, delay: 500, burst: 0 };

fn echo(mut world: World, to: IpAddress, len: usize, what: &str) -> World {
    let data = Rng(len as u64).bytes(len);
    let handle = world.connect(to, ECHO);
    let mut all = [Transfer::new(handle, data)];
    transfer::run(&mut world, &mut all, Duration::from_secs(3600), what);
    assert!(all[0].back == all[0].out, "{what}: {} of {} bytes came back", all[0].back.len(), len);
    world.run(Duration::from_secs(60), what, |w| w.engine.flow_count() == 0);
    world
}

#[test]
fn echo_of_every_size() {
    for to in [v4(), v6()] {
        for len in [1, 1024, 64 * 1024, 128 * 1024, 1024 * 1024] {
            let world = echo(World::new(builder()), to, len, &format!("{len} B to {to}"));
            let c = world.engine.counters();
            assert_eq!(c.dropped_total(), 0, "{c:?}");
            assert_eq!((c.tcp_bytes_in, c.tcp_bytes_out), (len as u64, len as u64));
            assert_eq!(c.tcp_retransmits, 0, "{len}");
        }
    }
}

#[test]
fn echo_over_a_bad_link() {
    for seed in 0..8 {
        let to = if seed % 2 == 0 { v4() } else { v6() };
        let world = World::new(builder()).faults(BAD, seed);
        let world = echo(world, to, 1024 * 1024, &format!("seed {seed}"));
        let c = world.engine.counters();
        assert!(c.tcp_retransmits > 0);
        assert_eq!((c.tcp_bytes_in, c.tcp_bytes_out), (1 << 20, 1 << 20));
    }
}

#[test]
fn echo_with_large_windows_and_frames() {
    for (buffer, mtu) in [(1 << 20, 1500), (1 << 20, 9000), (65_536, 9000), (100_000, 1500), (4096, 1500)] {
        for seed in [1, 2] {
            let faults = if seed == 1 { Faults::default() } else { BAD };
            let world = World::with_mtu(builder().tcp_buffer_size(buffer), mtu).faults(faults, seed);
            echo(world, v4(), 1024 * 1024, &format!("buffer {buffer}, mtu {mtu}, seed {seed}"));
        }
    }
}

#[test]
fn flood_over_a_bad_link() {
    for seed in 0..4 {
        let mut world = World::new(builder()).faults(BAD, seed);
        world.app.flood = 1 << 20;
        let handle = world.connect(v4(), app::FLOOD);
        let mut all = [Transfer::new(handle, vec![])];
        transfer::run(&mut world, &mut all, Duration::from_secs(3600), "flood");
        assert_eq!(all[0].back.len(), 1 << 20);
        assert!(all[0].back.iter().enumerate().all(|(i, &b)| b == app::pattern(i)));
    }
}

#[test]
fn buffers_run_out_and_nothing_is_lost() {
    for seed in 0..4 {
        let faults = if seed < 2 { Faults::default() } else { BAD };
        let mut world = World::new(builder()).faults(faults, seed);
        world.app.starve = 400;
        let world = echo(world, v4(), 300_000, &format!("seed {seed}"));
        let c = world.engine.counters();
        assert!(c.tx_nobuf > 10, "{}", c.tx_nobuf);
        assert!(c.dropped[l3l4::DropReason::NoBuffer.index()] > 0);
    }
}

#[test]
fn no_buffers_at_all_for_a_while() {
    let mut world = World::new(builder());
    let data = Rng(3).bytes(200_000);
    let handle = world.connect(v4(), ECHO);
    let mut all = [Transfer::new(handle, data)];
    for round in 0..20 {
        world.app.dry = round % 2 == 1;
        for _ in 0..15 {
            all[0].pump(&mut world);
            world.step();
        }
    }
    world.app.dry = false;
    transfer::run(&mut world, &mut all, Duration::from_secs(600), "after the drought");
    assert!(all[0].back == all[0].out);
    assert!(world.engine.counters().tx_nobuf > 0);
}

#[test]
fn a_thousand_at_once_to_any_address() {
    let mut world = World::new(builder().limits(common::limits(1100)).tcp_buffer_size(8192))
        .faults(Faults { delay: 100, ..BAD }, 9);
    let mut all: Vec<_> = (0..1000u32)
        .map(|n| {
            let to = if n % 3 == 0 {
                IpAddress::v6(0x2001, 0xdb8, 0, 0, 0, 0, (n >> 4) as u16, 9)
            } else {
                IpAddress::v4(172, 16 + (n % 7) as u8, n as u8, 1 + (n % 200) as u8)
            };
            let handle = world.connect_with(to, ECHO, 4096);
            Transfer::new(handle, Rng(u64::from(n)).bytes(100 + n as usize * 3))
        })
        .collect();
    transfer::run(&mut world, &mut all, Duration::from_secs(3600), "a thousand");
    assert!(all.iter().all(|t| t.back == t.out));
    assert_eq!(world.app.opened.len() as u64, world.engine.counters().tcp_opened);
    world.run(Duration::from_secs(300), "a thousand closed", |w| w.engine.flow_count() == 0);
}
