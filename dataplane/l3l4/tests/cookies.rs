//! SYN cookies: floods leave nothing behind, and those who mean it get through.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{ECHO, REJECT, SHOUT};
use common::link::{Faults, Rng};
use common::transfer::{self, Transfer};
use common::wire::{ACK, FIN, RST, SYN, Seg, got, seg};
use common::{World, builder, limits};
use core::time::Duration;
use l3l4::{DropReason, Limits, SynCookies};
use smoltcp::wire::IpAddress;

fn always() -> World {
    World::new(builder().syn_cookies(SynCookies::Always))
}

/// Sends a SYN and returns our number, one above the cookie.
fn cookie(world: &mut World, syn: &Seg) -> u32 {
    let out = world.exchange(syn.build());
    assert_eq!((out.len(), world.engine.flow_count()), (1, 0), "nothing is remembered");
    let answer = got(&out[0]);
    assert_eq!((answer.flags, answer.ack, answer.window), (SYN | ACK, syn.seq.wrapping_add(1), 65_535));
    answer.seq.wrapping_add(1)
}

#[test]
fn the_ack_opens_the_connection() {
    for syn in [
        seg(ECHO, SYN, u32::MAX, 0).options(&[2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 4, 2]),
        seg(ECHO, SYN, 5, 0).ends("fd00::1", "fd00::2"),
    ] {
        let mut world = always();
        let ours = cookie(&mut world, &syn);
        let theirs = syn.seq.wrapping_add(1);
        let mut ack = syn.clone();
        (ack.flags, ack.seq, ack.ack, ack.options) = (ACK, theirs, ours, vec![]);
        assert!(world.exchange(ack.build()).is_empty());
        let c = world.engine.counters();
        assert_eq!(
            (c.tcp_opened, c.tcp_established, c.syn_cookies_sent, c.syn_cookies_accepted),
            (1, 1, 1, 1)
        );
        assert_eq!((world.engine.tcp_flow_count(), world.engine.half_open_count()), (1, 0));
        let out = world.exchange(ack.clone().data(b"hello").build());
        let answer = got(&out[0]);
        assert_eq!((answer.seq, answer.ack, answer.data), (ours, theirs.wrapping_add(5), b"hello".to_vec()));
        assert_eq!(world.app.calls, 2, "told of the connection, then of the data");
    }
}

#[test]
fn data_may_come_first_and_the_server_may_speak_first() {
    // The bare ACK was lost; the request brings the cookie back just as well.
    let mut world = always();
    let ours = cookie(&mut world, &seg(ECHO, SYN, 9, 0));
    let out = world.exchange(seg(ECHO, ACK, 10, ours).data(b"first").build());
    assert_eq!((got(&out[0]).ack, got(&out[0]).data), (15, b"first".to_vec()));

    let mut world = always();
    let ours = cookie(&mut world, &seg(SHOUT, SYN, 9, 0).options(&[2, 4, 0x02, 0x18]));
    let out = world.exchange(seg(SHOUT, ACK, 10, ours).build());
    let sizes: Vec<_> = out.iter().map(|packet| got(packet).data.len()).collect();
    assert_eq!(sizes, [536, 464], "the MSS was kept in the cookie");
    assert_eq!(got(&out[1]).flags & FIN, FIN);
}

#[test]
fn what_is_no_cookie_opens_nothing() {
    let mut world = always();
    let ours = cookie(&mut world, &seg(ECHO, SYN, 9, 0));
    for (what, packet) in [
        ("another number of ours", seg(ECHO, ACK, 10, ours + 16)),
        ("another number of theirs", seg(ECHO, ACK, 11, ours)),
        ("another port", seg(ECHO, ACK, 10, ours).sport(41_000)),
        ("another service", seg(SHOUT, ACK, 10, ours)),
    ] {
        assert_eq!(world.give(packet.build()), Err(DropReason::TcpNoFlow), "{what}");
        assert_eq!(got(&world.app.take_out()[0]).flags, RST, "{what}");
    }
    assert_eq!(world.give(seg(ECHO, SYN, 10, ours).build()), Ok(()), "a SYN is a SYN");
    assert_eq!(world.give(seg(ECHO, RST, 10, ours).build()), Err(DropReason::TcpRst));
    assert_eq!(world.give(seg(REJECT, ACK, 10, ours).build()), Err(DropReason::ServiceReject));
    assert_eq!((world.engine.counters().syn_cookies_failed, world.engine.flow_count()), (4, 0));
    // Good for 32 s at least, for 64 at most.
    world.now += 65_000_000;
    assert_eq!(world.give(seg(ECHO, ACK, 10, ours).build()), Err(DropReason::TcpNoFlow));
}

fn flood(world: &mut World, rng: &mut Rng, packets: usize) {
    for _ in 0..packets {
        let from = format!("100.{}.{}.{}", rng.below(256), rng.below(256), 1 + rng.below(254));
        let syn = seg(ECHO, SYN, rng.next() as u32, 0).sport(1 + rng.below(65_535) as u16);
        let _ = world.give(syn.ends(&from, "10.0.0.2").build());
        world.turn();
        world.app.take_out();
        world.now += 10;
    }
}

#[test]
fn a_flood_does_not_keep_clients_out() {
    let limits = Limits { half_open: 64, ..limits(256) };
    let mut world = World::new(builder().limits(limits));
    let mut rng = Rng(1);
    flood(&mut world, &mut rng, 5000);
    assert_eq!((world.engine.half_open_count(), world.engine.flow_count()), (32, 32), "half of the limit");
    for n in 0..200 {
        flood(&mut world, &mut rng, 20);
        let syn = seg(ECHO, SYN, 77, 0).sport(2000 + n);
        let out = world.exchange(syn.build());
        let ours = got(&out[0]).seq.wrapping_add(1);
        flood(&mut world, &mut rng, 20);
        let out = world.exchange(seg(ECHO, ACK, 78, ours).sport(2000 + n).data(b"real").build());
        assert_eq!(got(&out[0]).data, b"real", "client {n}");
    }
    assert_eq!((world.engine.half_open_count(), world.engine.flow_count()), (32, 232));
    let c = world.engine.counters();
    assert_eq!((c.syn_cookies_accepted, c.dropped_total()), (200, 0));
    assert_eq!(c.syn_cookies_sent, 5000 - 32 + 200 * 41);
}

#[test]
fn one_source_cannot_take_all() {
    let limits = Limits { half_open: 64, half_open_per_source: 4, ..limits(256) };
    let mut world = World::new(builder().limits(limits));
    for n in 0..20 {
        world.exchange(seg(ECHO, SYN, 1, 0).sport(1000 + n).ends("100.0.0.1", "10.0.0.2").build());
    }
    assert_eq!((world.engine.half_open_count(), world.engine.counters().syn_cookies_sent), (4, 16));
    world.exchange(seg(ECHO, SYN, 1, 0).build());
    assert_eq!(world.engine.half_open_count(), 5, "others are not meant");
    // Those that give up make room again.
    world.exchange(seg(ECHO, RST, 2, 0).sport(1000).ends("100.0.0.1", "10.0.0.2").build());
    world.exchange(seg(ECHO, SYN, 1, 0).sport(3000).ends("100.0.0.1", "10.0.0.2").build());
    assert_eq!((world.engine.half_open_count(), world.engine.counters().syn_cookies_sent), (5, 16));
}

#[test]
fn without_cookies_the_limits_hold() {
    let limits = Limits { half_open: 8, half_open_per_source: 4, ..limits(64) };
    let mut world = World::new(builder().limits(limits).syn_cookies(SynCookies::Off));
    for n in 0..4 {
        assert_eq!(world.give(seg(ECHO, SYN, 1, 0).sport(1000 + n).build()), Ok(()));
    }
    assert_eq!(world.give(seg(ECHO, SYN, 1, 0).sport(2000).build()), Err(DropReason::HalfOpenLimit));
    assert_eq!(world.engine.counters().syn_cookies_sent, 0);
}

/// Whole transfers, each begun by a cookie, over a link that loses and doubles SYNs, SYN-ACKs and ACKs.
#[test]
fn transfers_begin_by_cookies() {
    let faults =
        Faults { loss: 30, duplicate: 30, reorder: 30, corrupt: 10, delay: 1000, ..Faults::default() };
    for seed in 0..20 {
        let mut world = World::new(builder().syn_cookies(SynCookies::Always)).faults(faults, seed);
        let data = Rng(seed).bytes(100_000);
        let handle = if seed % 2 == 0 {
            world.connect(IpAddress::v4(10, 0, 0, 2), ECHO)
        } else {
            world.connect(IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2), ECHO)
        };
        let mut all = [Transfer::new(handle, data)];
        transfer::run(&mut world, &mut all, Duration::from_secs(3600), &format!("seed {seed}"));
        assert!(all[0].back == all[0].out, "seed {seed}");
        assert_eq!(world.engine.counters().syn_cookies_accepted, 1);
    }
}
