//! Sleep: connections with nothing under way give up their stacks, and nobody notices.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{ECHO, MANUAL, SHOUT};
use common::link::{Faults, Rng};
use common::wire::{ACK, FIN, RST, SYN, Seg, got, seg};
use common::{World, builder, limits};
use core::time::Duration;
use l3l4::{CloseReason, DropReason, FlowError, Limits};
use smoltcp::wire::IpAddress;

const SECOND: u64 = 1_000_000;

/// Options of a Linux SYN, without timestamps.
const LINUX: [u8; 12] = [2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 4, 2];

/// A connection asleep; our number and the client's.
fn asleep(world: &mut World, syn: &Seg) -> (u32, u32) {
    let numbers = world.handshake(syn);
    world.pass(6 * SECOND);
    assert_eq!((world.engine.asleep_count(), world.engine.tcp_flow_count()), (1, 1));
    assert!(world.app.take_out().is_empty(), "falling asleep says nothing");
    numbers
}

#[test]
fn data_wakes_and_is_answered_with_the_right_numbers() {
    for syn in [
        seg(ECHO, SYN, 1000, 0),
        seg(ECHO, SYN, u32::MAX - 2, 0).options(&LINUX),
        seg(ECHO, SYN, 7, 0).ends("fd00::1", "fd00::2").options(&LINUX),
    ] {
        let mut world = World::new(builder().direct(false));
        let (mut ours, mut theirs) = asleep(&mut world, &syn);
        for round in 0..4u8 {
            let mut request = syn.clone();
            (request.flags, request.seq, request.ack, request.options) = (ACK, theirs, ours, vec![]);
            let out = world.exchange(request.data(&[round; 100]).build());
            assert_eq!(out.len(), 1);
            let answer = got(&out[0]);
            theirs = theirs.wrapping_add(100);
            assert_eq!((answer.seq, answer.ack, answer.data), (ours, theirs, vec![round; 100]));
            ours = ours.wrapping_add(100);
            assert_eq!((world.engine.asleep_count(), world.engine.tcp_flow_count()), (0, 1));
            let mut ack = syn.clone();
            (ack.flags, ack.seq, ack.ack, ack.options) = (ACK, theirs, ours, vec![]);
            assert!(world.exchange(ack.build()).is_empty());
            world.pass(6 * SECOND);
            assert_eq!(world.engine.asleep_count(), 1, "round {round}");
        }
        let c = world.engine.counters();
        assert_eq!((c.tcp_slept, c.tcp_woken, c.tcp_established), (5, 4, 1));
        assert_eq!((c.tcp_bytes_in, c.tcp_bytes_out, c.tcp_retransmits), (400, 400, 0));
        let info = world.engine.flow(world.app.last_id(), world.time()).unwrap();
        assert_eq!((info.state, info.asleep, info.bytes_in, info.bytes_out), ("ESTABLISHED", true, 400, 400));
    }
}

#[test]
fn the_peer_s_window_and_mss_are_remembered() {
    let syn = seg(MANUAL, SYN, 1, 0).options(&[2, 4, 0x01, 0xf4, 1, 3, 3, 2]).window(4000);
    let mut world = World::new(builder());
    let (ours, theirs) = asleep(&mut world, &syn);
    // A window update does not wake: 250 scaled by 2 bits are 1000 bytes.
    assert!(world.exchange(seg(MANUAL, ACK, theirs, ours).window(250).build()).is_empty());
    assert_eq!(world.engine.asleep_count(), 1);
    let id = world.app.last_id();
    assert_eq!(world.engine.l4_tx(id, &[9; 3000]), Ok(3000));
    world.turn();
    let out: Vec<_> = world.app.take_out().iter().map(|packet| got(packet)).collect();
    assert_eq!(out.iter().map(|s| s.data.len()).collect::<Vec<_>>(), [500, 500], "MSS 500, window 1000");
    assert_eq!(out[0].seq, ours);
}

/// A late segment with an old acknowledgment and a small window makes the edge of what may be sent fall back; what was
/// sent and acknowledged before is not forgotten for it.
#[test]
fn an_old_edge_does_not_make_it_forget_what_it_sent() {
    let mut world = World::new(builder().direct(false));
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1, 0));
    let id = world.app.last_id();
    assert_eq!(world.engine.l4_tx(id, &[9; 100]), Ok(100));
    world.turn();
    world.exchange(seg(MANUAL, ACK, theirs, ours + 100).build());
    world.exchange(seg(MANUAL, ACK, theirs, ours).data(b"late").window(50).build());
    world.engine.with_conn(id, |conn| conn.take(4)).unwrap();
    world.turn();
    world.app.take_out();
    world.pass(6 * SECOND);
    assert_eq!(world.engine.asleep_count(), 1);
    assert_eq!(world.give(seg(MANUAL, ACK, theirs + 4, ours + 100).data(b"next").build()), Ok(()));
    assert_eq!(world.engine.counters().challenge_acks, 0);
}

#[test]
fn strangers_do_not_wake_it() {
    let mut world = World::new(builder());
    let (ours, theirs) = asleep(&mut world, &seg(MANUAL, SYN, 1, 0));
    let edge = theirs.wrapping_add(65_535);
    for (what, packet, answers, outcome) in [
        ("keepalive", seg(MANUAL, ACK, theirs - 1, ours), 1, Ok(())),
        ("duplicate ACK", seg(MANUAL, ACK, theirs, ours), 0, Ok(())),
        ("old ACK", seg(MANUAL, ACK, theirs, ours - 1), 0, Ok(())),
        (
            "ACK of what was never sent",
            seg(MANUAL, ACK, theirs, ours + 1),
            1,
            Err(DropReason::TcpOutOfWindow),
        ),
        (
            "data beyond the window",
            seg(MANUAL, ACK, edge + 1, ours).data(b"x"),
            1,
            Err(DropReason::TcpOutOfWindow),
        ),
        ("RST inside the window", seg(MANUAL, RST, theirs + 1, 0), 1, Err(DropReason::TcpChallenged)),
        ("RST outside of it", seg(MANUAL, RST, theirs - 1, 0), 0, Err(DropReason::TcpOutOfWindow)),
        ("SYN", seg(MANUAL, SYN, theirs, 0), 1, Err(DropReason::TcpChallenged)),
        ("FIN without ACK", seg(MANUAL, FIN, theirs, 0), 0, Err(DropReason::TcpFlags)),
    ] {
        assert_eq!(world.give(packet.build()), outcome, "{what}");
        world.turn();
        let out = world.app.take_out();
        assert_eq!(out.len(), answers, "{what}");
        for packet in out {
            let ack = got(&packet);
            assert_eq!((ack.flags, ack.seq, ack.ack, ack.window), (ACK, ours, theirs, 65_535), "{what}");
        }
        assert_eq!(world.engine.asleep_count(), 1, "{what}");
    }
    assert_eq!(world.give(seg(MANUAL, RST, theirs, 0).build()), Ok(()));
    assert_eq!(world.app.reason(world.app.last_id()), Some(CloseReason::PeerReset));
    assert_eq!((world.engine.flow_count(), world.engine.asleep_count()), (0, 0));
}

#[test]
fn a_fin_wakes_and_a_whole_close_follows() {
    let mut world = World::new(builder());
    let (ours, theirs) = asleep(&mut world, &seg(ECHO, SYN, 1, 0));
    let out = world.exchange(seg(ECHO, ACK | FIN, theirs, ours).build());
    let last = got(out.last().unwrap());
    assert_eq!((last.flags & FIN, last.ack), (FIN, theirs + 1));
    world.exchange(seg(ECHO, ACK, theirs + 1, ours + 1).build());
    assert_eq!(world.app.reason(world.app.last_id()), Some(CloseReason::Finished));
    assert_eq!(world.engine.flow_count(), 0);
}

#[test]
fn it_ends_by_the_idle_timeout_by_an_abort_and_at_the_end() {
    let mut world = World::new(builder().tcp_idle_timeout(Duration::from_secs(60)));
    let (ours, theirs) = asleep(&mut world, &seg(MANUAL, SYN, 1, 0));
    world.pass(56 * SECOND);
    assert_eq!(world.app.reason(world.app.last_id()), Some(CloseReason::Idle));
    let check = |world: &mut World, ours: u32, theirs: u32| {
        world.turn();
        let out = world.app.take_out();
        let rst = got(&out[0]);
        assert_eq!((out.len(), rst.flags & RST, rst.seq, rst.ack), (1, RST, ours, theirs));
        assert_eq!(world.engine.flow_count(), 0);
    };
    // What passed on the link went to the client, who has no such connection; so look at the counter.
    assert_eq!((world.engine.counters().rst_sent, world.engine.flow_count()), (1, 0));
    let _ = (ours, theirs);

    let mut world = World::new(builder());
    let (ours, theirs) = asleep(&mut world, &seg(MANUAL, SYN, 1, 0));
    world.engine.abort_flow(world.app.last_id()).unwrap();
    check(&mut world, ours, theirs);

    let mut world = World::new(builder());
    let (ours, theirs) = asleep(&mut world, &seg(MANUAL, SYN, 1, 0));
    assert!(!world.engine.abort_some(&mut world.app, 10));
    check(&mut world, ours, theirs);
}

#[test]
fn whoever_has_something_under_way_stays_awake() {
    let mut world = World::new(builder());
    // Data that nobody takes.
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1, 0));
    world.exchange(seg(MANUAL, ACK, theirs, ours).data(b"unread").build());
    // Data that nobody acknowledges, and a closed side.
    let shout = seg(SHOUT, SYN, 1, 0).sport(50_000);
    world.exchange(shout.build());
    world.pass(30 * SECOND);
    assert_eq!((world.engine.asleep_count(), world.engine.counters().tcp_slept), (0, 0));
    let mut unread = [0; 6];
    let id = world.app.opened[0].0;
    world.engine.with_conn(id, |conn| assert_eq!(conn.copy(&mut unread), 6)).unwrap();
    assert_eq!(&unread, b"unread");

    let mut world = World::new(builder().direct(false).tcp_sleep_after(None));
    world.handshake(&seg(MANUAL, SYN, 1, 0));
    world.pass(100 * SECOND);
    assert_eq!((world.engine.asleep_count(), world.engine.tcp_flow_count()), (0, 1), "not where it is off");
}

/// Far more connections than stacks: those that speak take them from those that do not.
#[test]
fn few_stacks_for_many_connections() {
    let limits = Limits { live: 8, ..limits(500) };
    let mut world = World::new(builder().direct(false).limits(limits));
    let syn = |n: u16| seg(ECHO, SYN, 100, 0).sport(10_000 + n);
    let mut ours: Vec<u32> = (0..500).map(|n| world.handshake(&syn(n)).0).collect();
    assert_eq!((world.engine.tcp_flow_count(), world.engine.asleep_count()), (500, 492));
    let mut theirs = vec![101u32; 500];
    let mut rng = Rng(3);
    for _ in 0..5000 {
        let n = rng.below(500) as usize;
        let data = rng.bytes(1 + n);
        let request = seg(ECHO, ACK, theirs[n], ours[n]).sport(10_000 + n as u16).data(&data);
        let out = world.exchange(request.build());
        theirs[n] += data.len() as u32;
        assert_eq!((got(&out[0]).seq, got(&out[0]).ack, &got(&out[0]).data), (ours[n], theirs[n], &data));
        ours[n] += data.len() as u32;
        world.exchange(seg(ECHO, ACK, theirs[n], ours[n]).sport(10_000 + n as u16).build());
        world.now += 10;
    }
    assert_eq!(world.engine.tcp_flow_count(), 500);
    assert!(world.engine.counters().tcp_woken > 4000);
    assert_eq!(world.engine.counters().dropped_total(), 0);
}

#[test]
fn where_nobody_can_sleep_newcomers_wait() {
    let limits = Limits { live: 2, ..limits(100) };
    let mut world = World::new(builder().direct(false).limits(limits));
    let (ours, theirs) = asleep(&mut world, &seg(ECHO, SYN, 1, 0));
    let sleeper = world.app.last_id();
    for n in 0..2 {
        let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1, 0).sport(1000 + n));
        world.exchange(seg(MANUAL, ACK, theirs, ours).sport(1000 + n).data(b"unread").build());
    }
    let request = seg(ECHO, ACK, theirs, ours).data(b"hello").build();
    assert_eq!(world.give(request.clone()), Err(DropReason::LiveLimit));
    assert_eq!(world.engine.l4_tx(sleeper, b"x"), Err(FlowError::NoStack));
    assert_eq!(world.give(seg(ECHO, SYN, 1, 0).sport(9).build()), Err(DropReason::LiveLimit));
    // Nothing is lost that TCP would not repair.
    let first = world.app.opened[1].0;
    world.engine.with_conn(first, |conn| conn.take(6)).unwrap();
    world.turn();
    world.app.take_out();
    assert_eq!(got(&world.exchange(request)[0]).data, b"hello");
}

/// Whole conversations with pauses, over a link that loses, reorders and doubles: the bytes are right.
#[test]
fn conversations_with_naps_over_a_bad_link() {
    let faults = Faults { loss: 30, duplicate: 30, reorder: 50, delay: 2_000, ..Faults::default() };
    let mut slept = 0;
    for seed in 0..30 {
        let buffer = if seed % 3 == 0 { 1 << 18 } else { 65_536 };
        let engine = builder().tcp_buffer_size(buffer).tcp_sleep_after(Some(Duration::from_millis(20)));
        let mut world = World::new(engine).faults(faults, seed);
        let handle = if seed % 2 == 0 {
            world.connect(IpAddress::v4(10, 0, 0, 2), ECHO)
        } else {
            world.connect(IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2), ECHO)
        };
        world.run(Duration::from_secs(600), "established", |w| w.socket(handle).may_send());
        let mut rng = Rng(seed);
        for round in 0..20 {
            let data = rng.bytes(1 + rng.clone().below(20_000) as usize);
            let (mut sent, mut back) = (0, vec![]);
            world.run(Duration::from_secs(3600), &format!("seed {seed} round {round}"), |w| {
                let socket = w.socket(handle);
                if sent < data.len() {
                    sent += socket.send_slice(&data[sent..]).unwrap();
                }
                while socket.can_recv() {
                    back.extend(socket.recv(|part| (part.len(), part.to_vec())).unwrap());
                }
                back.len() == data.len()
            });
            assert!(back == data, "seed {seed} round {round}");
            world.pass(rng.below(200_000));
        }
        world.socket(handle).close();
        world.run(Duration::from_secs(3600), "closed", |w| w.engine.flow_count() == 0);
        slept += world.engine.counters().tcp_slept;
    }
    assert!(slept > 100, "only {slept} naps");
}
