//! Direct connections: short exchanges without a stack, and the way to one when it is needed.

#![allow(clippy::unwrap_used)] // A test may panic.

mod common;

use common::app::{ANSWER, ECHO, FLOOD, MANUAL, pattern};
use common::wire::{ACK, FIN, Got, RST, SYN, Seg, got, seg};
use common::{World, builder, limits};
use l3l4::{CloseReason, DropReason, FlowError, Limits};

const MS: u64 = 1000;

/// Options of a Linux SYN, without timestamps.
const LINUX: [u8; 12] = [2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 4, 2];

fn all(packets: &[Vec<u8>]) -> Vec<Got> {
    packets.iter().map(|packet| got(packet)).collect()
}

/// What comes out `micros` later.
fn later(world: &mut World, micros: u64) -> Vec<Got> {
    world.now += micros;
    world.turn();
    all(&world.app.take_out())
}

#[test]
fn a_whole_connection_needs_no_stack() {
    for syn in [
        seg(ANSWER, SYN, 1000, 0),
        seg(ANSWER, SYN, u32::MAX - 2, 0).options(&LINUX),
        seg(ANSWER, SYN, 7, 0).ends("fd00::1", "fd00::2").options(&LINUX),
    ] {
        let mut world = World::new(builder());
        let (ours, theirs) = world.handshake(&syn);
        let id = world.app.last_id();
        let part = |flags: u8, seq: u32, ack: u32| Seg { flags, seq, ack, options: vec![], ..syn.clone() };
        let out = all(&world.exchange(part(ACK, theirs, ours).data(b"GET").build()));
        assert_eq!(
            (out.len(), out[0].flags & FIN, out[0].data.len()),
            (1, FIN, 200),
            "answer and FIN at once"
        );
        let (theirs, ours) = (theirs.wrapping_add(3), ours.wrapping_add(201));
        assert_eq!((out[0].ack, world.state(id)), (theirs, "FIN-WAIT-1"));
        assert!(world.exchange(part(ACK, theirs, ours).build()).is_empty());
        assert_eq!(world.state(id), "FIN-WAIT-2");
        let out = all(&world.exchange(part(FIN | ACK, theirs, ours).build()));
        assert_eq!((out[0].flags, out[0].seq, out[0].ack), (ACK, ours, theirs.wrapping_add(1)));
        assert_eq!(world.app.reason(id), Some(CloseReason::Finished));
        assert_eq!((world.engine.tcp_flow_count(), world.engine.flow_count()), (0, 1), "TIME-WAIT");
        let c = world.engine.counters();
        assert_eq!((c.tcp_woken, c.tcp_retransmits, c.tcp_bytes_in, c.tcp_bytes_out), (0, 0, 3, 200));
    }
}

#[test]
fn the_peer_closes_first() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(ECHO, SYN, 1, 0));
    let id = world.app.last_id();
    // Data and FIN in one segment are echoed with a FIN in one segment.
    let out = all(&world.exchange(seg(ECHO, FIN | ACK, theirs, ours).data(b"bye").build()));
    assert_eq!(
        (out.len(), &out[0].data[..], out[0].flags & FIN, out[0].ack),
        (1, &b"bye"[..], FIN, theirs + 4)
    );
    assert_eq!(world.state(id), "LAST-ACK");
    // The FIN again: an answer, no event.
    let again = all(&world.exchange(seg(ECHO, FIN | ACK, theirs, ours).data(b"bye").build()));
    assert_eq!((again.len(), again[0].ack, again[0].data.len()), (1, theirs + 4, 0));
    assert!(world.exchange(seg(ECHO, ACK, theirs + 4, ours + 4).build()).is_empty());
    assert_eq!((world.app.reason(id), world.engine.flow_count()), (Some(CloseReason::Finished), 0));
    assert_eq!(world.engine.counters().tcp_woken, 0);
}

#[test]
fn a_long_farewell_ends() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(ECHO, SYN, 1, 0).options(&LINUX));
    // More than half of what can be held: the application is to hear of room, but has closed.
    let out = all(&world.exchange(seg(ECHO, FIN | ACK, theirs, ours).data(&[5; 2500]).build()));
    assert_eq!((out.len(), out[1].flags & FIN), (2, FIN));
    assert!(world.exchange(seg(ECHO, ACK, theirs + 2501, ours + 2501).build()).is_empty());
    assert_eq!(world.app.reason(world.app.last_id()), Some(CloseReason::Finished));
    assert_eq!((world.engine.flow_count(), world.engine.counters().tcp_woken), (0, 0));
}

#[test]
fn what_is_lost_is_sent_again_ever_more_seldom() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(ECHO, SYN, 1, 0));
    let first = all(&world.exchange(seg(ECHO, ACK, theirs, ours).data(b"hello").build()));
    assert_eq!((first[0].seq, world.engine.asleep_count()), (ours, 0));
    for pause in [200, 400, 800] {
        assert!(later(&mut world, (pause - 3) * MS).is_empty());
        let out = later(&mut world, 5 * MS);
        assert_eq!((out.len(), out[0].seq, &out[0].data[..]), (1, ours, &b"hello"[..]), "after {pause} ms");
        world.now -= 2 * MS;
    }
    assert_eq!(world.engine.counters().tcp_retransmits, 3);
    assert!(world.exchange(seg(ECHO, ACK, theirs + 5, ours + 5).build()).is_empty());
    assert!(later(&mut world, 10_000 * MS).is_empty());
    assert_eq!((world.engine.asleep_count(), world.engine.counters().tcp_woken), (1, 0));
    // Never acknowledged: it is given up with an RST.
    world.exchange(seg(ECHO, ACK, theirs + 5, ours + 5).data(b"?").build());
    for _ in 0..1000 {
        let out = later(&mut world, 200 * MS);
        if out.iter().any(|segment| segment.flags & RST != 0) {
            break;
        }
    }
    assert_eq!(world.app.reason(world.app.last_id()), Some(CloseReason::UserTimeout));
}

#[test]
fn part_of_an_answer_is_acknowledged() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(ECHO, SYN, 1, 0).options(&[2, 4, 0, 100]));
    let out = all(&world.exchange(seg(ECHO, ACK, theirs, ours).data(&[7; 250]).build()));
    assert_eq!(out.iter().map(|s| s.data.len()).collect::<Vec<_>>(), [100, 100, 50], "MSS 100");
    assert!(world.exchange(seg(ECHO, ACK, theirs + 250, ours + 100).build()).is_empty());
    let out = later(&mut world, 210 * MS);
    assert_eq!(
        out.iter().map(|s| (s.seq, s.data.len())).collect::<Vec<_>>(),
        [(ours + 100, 100), (ours + 200, 50)]
    );
    // More before the rest is acknowledged: behind it.
    let out = all(&world.exchange(seg(ECHO, ACK, theirs + 250, ours + 200).data(&[8; 60]).build()));
    assert_eq!(out.iter().map(|s| (s.seq, s.data.len())).collect::<Vec<_>>(), [(ours + 250, 60)]);
    world.exchange(seg(ECHO, ACK, theirs + 310, ours + 310).build());
    assert_eq!((world.engine.asleep_count(), world.engine.counters().tcp_woken), (1, 0));
}

#[test]
fn without_a_buffer_it_waits() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(ECHO, SYN, 1, 0));
    world.app.dry = true;
    world.engine.release_spare();
    assert!(world.exchange(seg(ECHO, ACK, theirs, ours).data(b"hello").build()).is_empty());
    assert_eq!(world.turn(), Some(world.time()), "it asks to be called again");
    world.app.dry = false;
    let out = later(&mut world, 10);
    assert_eq!((out[0].seq, &out[0].data[..]), (ours, &b"hello"[..]));
    assert_eq!(world.engine.counters().tcp_retransmits, 0);
}

#[test]
fn a_long_answer_goes_on_on_a_stack() {
    let mut world = World::new(builder());
    world.app.flood = 30_000;
    let syn = seg(FLOOD, SYN, 1, 0).options(&LINUX);
    let answer = got(&world.exchange(syn.build())[0]);
    let (mut ours, theirs) = (answer.seq.wrapping_add(1), 2);
    let mut received = vec![];
    let mut out = world.exchange(seg(FLOOD, ACK, theirs, ours).window(512).build());
    assert_eq!((world.engine.stack_count(), world.engine.counters().tcp_woken), (1, 1));
    for _ in 0..100 {
        for segment in all(&out) {
            assert_eq!(segment.seq, ours, "nothing twice, nothing left out");
            ours = ours.wrapping_add(segment.data.len() as u32 + u32::from(segment.flags & FIN));
            received.extend(segment.data);
        }
        out = world.exchange(seg(FLOOD, ACK, theirs, ours).window(512).build());
    }
    assert_eq!(received, (0..30_000).map(pattern).collect::<Vec<_>>());
}

#[test]
fn a_hole_is_for_a_stack() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(ECHO, SYN, 1, 0));
    let out = all(&world.exchange(seg(ECHO, ACK, theirs + 5, ours).data(b"world").build()));
    assert_eq!((out.len(), out[0].ack, world.engine.stack_count()), (1, theirs, 1), "a duplicate ACK");
    let out = all(&world.exchange(seg(ECHO, ACK, theirs, ours).data(b"hello").build()));
    let text: Vec<u8> = out.iter().flat_map(|segment| segment.data.clone()).collect();
    assert_eq!((&text[..], out.last().unwrap().ack), (&b"helloworld"[..], theirs + 10));
}

#[test]
fn what_is_on_its_way_is_not_sent_again_by_the_stack() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(ECHO, SYN, 1, 0).options(&LINUX));
    assert_eq!(world.exchange(seg(ECHO, ACK, theirs, ours).data(&[1; 2000]).build()).len(), 2);
    let out = all(&world.exchange(seg(ECHO, ACK, theirs + 2500, ours).data(b"ahead").build()));
    assert_eq!(
        (out.len(), out[0].data.len(), out[0].ack),
        (1, 0, theirs + 2000),
        "a duplicate ACK, nothing else"
    );
    assert_eq!(world.engine.stack_count(), 1);
    // Half of it arrives; the hole is filled; all is answered behind what is on its way.
    world.exchange(seg(ECHO, ACK, theirs + 2000, ours + 1460).build());
    let out = all(&world.exchange(seg(ECHO, ACK, theirs + 2000, ours + 1460).data(&[2; 500]).build()));
    assert_eq!((out[0].seq, out[0].ack), (ours + 2000, theirs + 2505));
    assert_eq!(out.iter().map(|segment| segment.data.len()).sum::<usize>(), 505);
    assert_eq!(world.engine.counters().tcp_retransmits, 0);
    // What nobody acknowledges goes out again.
    let again = (0..20).flat_map(|_| later(&mut world, 100 * MS)).next().unwrap();
    assert!((ours + 1460..ours + 2505).contains(&again.seq));
}

#[test]
fn what_is_not_taken_is_for_a_stack() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(MANUAL, SYN, 1, 0));
    let id = world.app.last_id();
    let out = all(&world.exchange(seg(MANUAL, ACK, theirs, ours).data(b"unread").build()));
    assert_eq!((out[0].ack, out[0].window), (theirs + 6, 65_529));
    let out = all(&world.exchange(seg(MANUAL, FIN | ACK, theirs + 6, ours).data(b"!").build()));
    assert_eq!((out[0].ack, world.state(id)), (theirs + 8, "CLOSE-WAIT"));
    let mut bytes = [0; 9];
    assert_eq!(world.engine.with_conn(id, |conn| conn.copy(&mut bytes)), Ok(7));
    assert_eq!(&bytes[..7], b"unread!");
}

#[test]
fn a_small_window_is_for_a_stack() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(ECHO, SYN, 1, 0));
    let out = all(&world.exchange(seg(ECHO, ACK, theirs, ours).data(&[5; 300]).window(100).build()));
    let sent: usize = out.iter().map(|segment| segment.data.len()).sum();
    assert_eq!((sent, out.last().unwrap().ack), (100, theirs + 300));
    let out = all(&world.exchange(seg(ECHO, ACK, theirs + 300, ours + 100).build()));
    assert_eq!((out[0].seq, out[0].data.len()), (ours + 100, 200));
    // None at all: what came is acknowledged all the same, by a probe of one byte.
    let (ours, theirs) = world.handshake(&seg(ECHO, SYN, 1, 0).sport(99));
    let out = all(&world.exchange(seg(ECHO, ACK, theirs, ours).sport(99).data(b"x").window(0).build()));
    assert_eq!((out.len(), out[0].ack, out[0].data.len()), (1, theirs + 1, 1));
}

/// What a stack does not offer, because it was told of a smaller window than what is in flight, waits for a timer.
#[test]
fn what_was_sent_into_a_larger_window_keeps_nobody_busy() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(ECHO, SYN, 1, 0).window(3000).options(&[2, 4, 5, 0xb4]));
    let data = |at: u32, n: usize, window| {
        seg(ECHO, ACK, theirs + at, ours).window(window).data(&vec![7; n]).build()
    };
    for (at, n) in [(0, 952), (952, 1460), (2412, 588)] {
        assert_eq!(world.exchange(data(at, n, 3000)).len(), 1);
    }
    // Both come late; the first has the window that was, the second opens it again.
    world.exchange(data(0, 952, 952));
    assert_eq!(world.engine.stack_count(), 1);
    world.exchange(data(952, 1460, 3000));
    let next = world.turn().unwrap();
    assert!(next > world.time(), "nothing is to be done at once");
}

/// What is sent beyond the window is not noted as under way, and so would never be sent again.
#[test]
fn an_old_acknowledgment_does_not_open_a_window() {
    let mut world = World::new(builder().direct(false));
    let (ours, theirs) = world.handshake(&seg(ECHO, SYN, 1, 0).window(2000).options(&[2, 4, 5, 0xb4]));
    let out = all(&world.exchange(seg(ECHO, ACK, theirs, ours).window(2000).data(&[5; 1000]).build()));
    assert_eq!((out[0].seq, out[0].data.len()), (ours, 1000));
    // All of it is acknowledged, and the window closed.
    world.exchange(seg(ECHO, ACK, theirs + 1000, ours + 1000).window(0).build());
    // This was under way before.
    let late = seg(ECHO, ACK, theirs + 1000, ours).window(2000).data(&[6; 500]).build();
    let out = all(&world.exchange(late));
    assert!(out.iter().all(|segment| segment.data.len() <= 1), "no more than a probe: {out:?}");
    let out = all(&world.exchange(seg(ECHO, ACK, theirs + 1500, ours + 1000).window(2000).build()));
    assert_eq!((out[0].seq, out[0].data.len()), (ours + 1000, 500));
}

#[test]
fn many_small_segments_are_for_a_stack() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(ECHO, SYN, 1, 0).options(&[2, 4, 0, 100]));
    let out = all(&world.exchange(seg(ECHO, ACK, theirs, ours).data(&[7; 1000]).build()));
    assert_eq!((out.len(), world.engine.stack_count()), (10, 0));
    let out = all(&world.exchange(seg(ECHO, ACK, theirs + 1000, ours + 1000).data(&[7; 1001]).build()));
    assert_eq!((out.len(), world.engine.stack_count()), (10, 1), "no more than the initial window at once");
    let out = all(&world.exchange(seg(ECHO, ACK, theirs + 2001, ours + 2000).build()));
    assert_eq!((out.len(), out[0].data.len()), (1, 1));
}

#[test]
fn what_is_closed_stays_closed_on_a_stack() {
    let mut world = World::new(builder());
    let (ours, theirs) = world.handshake(&seg(ECHO, SYN, 1, 0));
    let id = world.app.last_id();
    // Data and FIN, answered into a window that is too small for the echo.
    let out = all(&world.exchange(seg(ECHO, FIN | ACK, theirs, ours).data(&[5; 300]).window(200).build()));
    assert_eq!((world.engine.stack_count(), world.state(id)), (1, "LAST-ACK"));
    assert_eq!(out.last().unwrap().ack, theirs + 301);
    let out = all(&world.exchange(seg(ECHO, ACK, theirs + 301, ours + 200).build()));
    assert_eq!((out[0].seq, out[0].data.len(), out[0].flags & FIN), (ours + 200, 100, FIN));
    world.exchange(seg(ECHO, ACK, theirs + 301, ours + 301).build());
    assert_eq!((world.app.reason(id), world.engine.flow_count()), (Some(CloseReason::Finished), 0));
}

#[test]
fn as_many_hold_something_as_may() {
    let mut world = World::new(builder().limits(Limits { live: 1, ..limits(10) }));
    let ends: Vec<_> = (0..2).map(|n| world.handshake(&seg(ECHO, SYN, 1, 0).sport(100 + n))).collect();
    let ask = |n: usize| seg(ECHO, ACK, ends[n].1, ends[n].0).sport(100 + n as u16).data(b"hello").build();
    assert_eq!(world.exchange(ask(0)).len(), 1);
    assert_eq!(world.give(ask(1)), Err(DropReason::LiveLimit));
    world.exchange(seg(ECHO, ACK, ends[0].1 + 5, ends[0].0 + 5).sport(100).build());
    assert_eq!(got(&world.exchange(ask(1))[0]).data, b"hello", "nothing is lost that TCP does not repair");
}

#[test]
fn calls_from_outside() {
    let mut world = World::new(builder());
    world.exchange(seg(MANUAL, SYN, 1, 0).build());
    let id = world.app.last_id();
    assert_eq!((world.state(id), world.engine.half_open_count()), ("SYN-RECEIVED", 1));
    assert_eq!(world.engine.l4_tx(id, b"early"), Err(FlowError::Closed));
    assert_eq!(world.engine.close_flow(id), Err(FlowError::Closed));
    world.engine.abort_flow(id).unwrap();
    assert_eq!(later(&mut world, 10)[0].flags & RST, RST);
    assert_eq!((world.engine.half_open_count(), world.engine.flow_count()), (0, 0));

    let (ours, _) = world.handshake(&seg(MANUAL, SYN, 1, 0));
    let id = world.app.last_id();
    assert_eq!(world.engine.l4_tx(id, b"hello"), Ok(5));
    let out = later(&mut world, 10);
    assert_eq!((out[0].seq, &out[0].data[..]), (ours, &b"hello"[..]));
    assert_eq!(world.engine.counters().tcp_woken, 1);

    // FIN-WAIT-2: there is nothing to be done but to abort it.
    let (ours, theirs) = world.handshake(&seg(ANSWER, SYN, 1, 0).sport(77));
    let id = world.app.last_id();
    world.exchange(seg(ANSWER, ACK, theirs, ours).sport(77).data(b"?").build());
    world.exchange(seg(ANSWER, ACK, theirs + 1, ours + 201).sport(77).build());
    assert_eq!((world.state(id), world.engine.l4_tx(id, b"x")), ("FIN-WAIT-2", Err(FlowError::Closed)));
    world.engine.abort_flow(id).unwrap();
    assert_eq!(later(&mut world, 10)[0].flags & RST, RST);
}

#[test]
fn a_syn_ack_is_sent_again_and_then_no_more() {
    let mut world = World::new(builder().tcp_synack_retries(2));
    let first = got(&world.exchange(seg(ECHO, SYN, 1, 0).options(&LINUX).build())[0]);
    let mut seen = vec![];
    for ms in (0..20_000).step_by(100) {
        for again in later(&mut world, 100 * MS) {
            assert_eq!((again.flags, again.seq, again.ack), (first.flags, first.seq, first.ack));
            seen.push((ms + 100) / 1000);
        }
    }
    assert_eq!(seen, [1, 3], "one second later, then two");
    assert_eq!(world.app.reason(world.app.last_id()), Some(CloseReason::HalfOpen));
    assert_eq!((world.engine.half_open_count(), world.engine.counters().tcp_retransmits), (0, 2));
}
