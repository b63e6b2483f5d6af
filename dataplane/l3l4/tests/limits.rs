//! Everything that grows has a bound, and refuses under the right name.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{DROP, ECHO, MANUAL, NO_SERVICE, REJECT};
use common::wire::{ACK, FIN, RST, SYN, got, seg, udp};
use common::{SECRET, World, builder};
use l3l4::{BuildError, Builder, CloseReason, DropReason, Limits, Link, SynCookies, TxChecksum};

fn limits(flows: usize, udp_flows: usize, half_open: usize) -> Builder {
    builder().limits(Limits { flows, udp_flows, half_open, ..Limits::default() })
}

#[test]
fn options_out_of_range() {
    let out_of_range = |b: Builder| matches!(b.build::<Vec<u8>>(), Err(BuildError::OutOfRange { .. }));
    assert!(out_of_range(builder().mtu(575)));
    assert!(out_of_range(builder().mtu(65_536)));
    assert!(out_of_range(builder().tcp_buffer_size(2047)));
    assert!(out_of_range(builder().tcp_buffer_size(8999).mtu(9000)));
    assert!(out_of_range(limits(0, 0, 1)));
    assert!(out_of_range(limits(1, 2, 1)));
    assert!(out_of_range(limits(1, 1, 2)));
    assert!(out_of_range(builder().tcp_min_mss(47)));
    let error = builder().mtu(1).build::<Vec<u8>>().err().unwrap();
    assert_eq!(error.to_string(), "mtu is 1; use 576 to 65535");
    let link = Link { mtu: 1500, tx_checksum: TxChecksum::None };
    let many = (0..65_537).fold(Builder::new(SECRET), |b, _| b.link(link));
    assert_eq!(many.build::<Vec<u8>>().err(), Some(BuildError::Links(65_537)));
}

#[test]
fn half_open_limit() {
    let mut world = World::new(limits(10, 0, 3).syn_cookies(SynCookies::Off));
    for n in 0..3 {
        world.give(seg(ECHO, SYN, 1, 0).sport(100 + n).build()).unwrap();
    }
    assert_eq!(world.give(seg(ECHO, SYN, 1, 0).sport(200).build()), Err(DropReason::HalfOpenLimit));
    // One completes its handshake: there is room again.
    world.turn();
    let answer = got(&world.app.take_out()[0]);
    world.give(seg(ECHO, ACK, 2, answer.seq.wrapping_add(1)).sport(100).build()).unwrap();
    world.give(seg(ECHO, SYN, 1, 0).sport(200).build()).unwrap();
    assert_eq!(world.engine.half_open_count(), 3);
}

#[test]
fn flow_limit() {
    let mut world = World::new(limits(3, 3, 3));
    for n in 0..3 {
        world.handshake(&seg(MANUAL, SYN, 1, 0).sport(100 + n));
    }
    assert_eq!(world.give(seg(MANUAL, SYN, 1, 0).sport(200).build()), Err(DropReason::FlowLimit));
    assert_eq!(world.give(udp("10.0.0.1", "10.0.0.2", 5, 7, b"x")), Err(DropReason::FlowLimit));
    assert_eq!(world.engine.counters().tcp_opened, 3);
}

#[test]
fn udp_flow_limit() {
    let mut world = World::new(limits(5, 2, 5));
    for n in 0..2 {
        world.exchange(udp("10.0.0.1", "10.0.0.2", 5 + n, 7, b"x"));
    }
    assert_eq!(world.give(udp("10.0.0.1", "10.0.0.2", 9, 7, b"x")), Err(DropReason::FlowLimit));
    // Those that are there go on, and TCP has its part.
    assert_eq!(world.exchange(udp("10.0.0.1", "10.0.0.2", 5, 7, b"x")).len(), 1);
    world.handshake(&seg(MANUAL, SYN, 1, 0));
}

#[test]
fn time_wait_makes_room() {
    let mut world = World::new(limits(2, 0, 2));
    for n in 0..10u16 {
        let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1, 0).sport(100 + n));
        let id = world.app.last_id();
        world.engine.close_flow(id).unwrap();
        world.turn();
        world.app.take_out();
        world.exchange(seg(MANUAL, FIN | ACK, theirs, ours + 1).sport(100 + n).build());
        assert_eq!(world.app.reason(id), Some(CloseReason::Finished));
        assert!(world.engine.flow_count() <= 2);
    }
    assert_eq!(world.engine.counters().closed[CloseReason::Evicted as usize], 8);
    // The oldest went first: the last two are still known.
    let old = world.exchange(seg(MANUAL, FIN | ACK, 2, 0).sport(107).build());
    assert_eq!(got(&old[0]).flags, RST);
    let young = world.exchange(seg(MANUAL, FIN | ACK, 2, 0).sport(109).build());
    assert_eq!(got(&young[0]).flags, ACK);
}

#[test]
fn draining() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(ECHO, SYN, 1, 0));
    world.give(udp("10.0.0.1", "10.0.0.2", 5, 7, b"x")).unwrap();
    world.app.take_out();
    world.engine.set_accepting(false);
    assert_eq!(world.give(seg(ECHO, SYN, 1, 0).sport(9).build()), Err(DropReason::Draining));
    let rst = got(&world.app.take_out()[0]);
    assert_eq!((rst.flags, rst.seq, rst.ack), (RST | ACK, 0, 2));
    assert_eq!(world.give(udp("10.0.0.1", "10.0.0.2", 6, 7, b"x")), Err(DropReason::Draining));
    // What runs goes on.
    let out = world.exchange(seg(ECHO, ACK, theirs, ours).data(b"still here").build());
    assert_eq!(got(&out[0]).data, b"still here");
    assert_eq!(world.exchange(udp("10.0.0.1", "10.0.0.2", 5, 7, b"me too")).len(), 1);
    world.engine.set_accepting(true);
    world.give(seg(ECHO, SYN, 1, 0).sport(9).build()).unwrap();
}

#[test]
fn all_flows_are_aborted_a_few_at_a_time() {
    let mut world = World::new(builder().limits(common::limits(256)).tcp_buffer_size(4096));
    for n in 0..100u16 {
        world.handshake(&seg(MANUAL, SYN, 1, 0).sport(100 + n));
        world.exchange(udp("10.0.0.1", "10.0.0.2", 100 + n, 7, b"x"));
    }
    let mut rounds = 0;
    while world.engine.abort_some(&mut world.app, 16) {
        world.turn();
        rounds += 1;
        let ended = world.app.closed.len();
        assert!(ended <= 16 * (rounds + 1), "{ended} after {rounds}");
    }
    assert_eq!((world.engine.flow_count(), world.app.closed.len()), (0, 200));
    assert!(world.app.closed.iter().all(|(_, reason)| *reason == CloseReason::Aborted));
    assert!((12..30).contains(&rounds), "{rounds}");
    assert_eq!(world.engine.counters().rst_sent, 100);
}

#[test]
fn rates_hold() {
    let limits = Limits {
        rst_per_second: 50,
        icmp_per_second: 20,
        challenge_acks_per_second: 10,
        ..common::limits(64)
    };
    let mut world = World::new(builder().limits(limits));
    let (_, theirs) = world.handshake(&seg(MANUAL, SYN, 1, 0));
    let start = world.now;
    for n in 0..10_000u16 {
        world.now = start + u64::from(n) * 200;
        let _ = world.give(seg(ECHO, ACK, 5, 5).sport(1 + n).build());
        let _ = world.give(udp("10.0.0.1", "10.0.0.2", 1 + n, REJECT, b"x"));
        let _ = world.give(seg(MANUAL, RST, theirs + 5, 0).build());
    }
    // Two seconds: the rate twice, and one burst of a tenth of it.
    let c = world.engine.counters();
    assert!((100..=106).contains(&c.rst_sent), "{}", c.rst_sent);
    assert!((40..=43).contains(&c.icmp_sent), "{}", c.icmp_sent);
    assert!((20..=22).contains(&c.challenge_acks), "{}", c.challenge_acks);
    assert_eq!(c.rate_limited, 30_000 - c.rst_sent - c.icmp_sent - c.challenge_acks);
    world.engine.set_rates(&Limits { rst_per_second: 0, ..limits });
    world.now += 1_000_000;
    world.app.take_out();
    assert!(world.exchange(seg(ECHO, ACK, 5, 5).build()).is_empty());
}

#[test]
fn verdicts_and_their_answers() {
    let mut world = World::new(builder());
    let out = |world: &mut World, packet| {
        let why = world.give(packet);
        (why, world.app.take_out())
    };
    let (why, answer) = out(&mut world, seg(REJECT, SYN, 5, 0).build());
    assert_eq!(
        (why, got(&answer[0]).flags, got(&answer[0]).ack),
        (Err(DropReason::ServiceReject), RST | ACK, 6)
    );
    let (why, answer) = out(&mut world, udp("10.0.0.1", "10.0.0.2", 5, REJECT, b"x"));
    assert_eq!((why, answer[0][9], &answer[0][20..22]), (Err(DropReason::ServiceReject), 1, &[3, 3][..]));
    let (why, answer) = out(&mut world, udp("fd00::1", "fd00::2", 5, REJECT, b"x"));
    assert_eq!((why, answer[0][6], &answer[0][40..42]), (Err(DropReason::ServiceReject), 58, &[1, 4][..]));
    for (port, reason) in [(DROP, DropReason::ServiceDrop), (NO_SERVICE, DropReason::NoService)] {
        assert_eq!(out(&mut world, seg(port, SYN, 5, 0).build()), (Err(reason), vec![]));
        assert_eq!(out(&mut world, udp("10.0.0.1", "10.0.0.2", 5, port, b"x")), (Err(reason), vec![]));
    }
    let (why, answer) = out(&mut world, seg(ECHO, ACK, 5, 77).build());
    assert_eq!((why, got(&answer[0]).flags, got(&answer[0]).seq), (Err(DropReason::TcpNoFlow), RST, 77));
    assert_eq!(out(&mut world, seg(ECHO, RST, 5, 77).build()), (Err(DropReason::TcpRst), vec![]));
    let tiny = seg(ECHO, SYN, 5, 0).options(&[2, 4, 0, 63]).build();
    assert_eq!(out(&mut world, tiny), (Err(DropReason::TcpTinyMss), vec![]));
    assert_eq!(world.engine.flow_count(), 0);
}

#[test]
fn an_error_about_a_long_packet_fits_the_smallest_link() {
    let mut world = World::with_mtu(builder(), 576);
    let out = world.exchange(udp("fd00::1", "fd00::2", 5, REJECT, &[1; 1300]));
    assert_eq!((out.len(), out[0].len()), (1, 576));
    let out = world.exchange(udp("10.0.0.1", "10.0.0.2", 5, REJECT, &[1; 1300]));
    assert_eq!((out.len(), out[0].len()), (1, 576));
}
